/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/graph.h"

#include <stdio.h>
#include <string.h>

#include "base/map.h"

gradcam_status gc_graph_create(gc_graph **graph, gradcam_error *error)
{
    GC_TRY(gc_new(graph, 1, sizeof **graph, error));
    (*graph)->producer = "";
    (*graph)->most_nodes = (int)gc_limits(NULL).nodes;
    const gradcam_status status = gc_arena_create(&(*graph)->arena, error);
    if (status != GRADCAM_OK)
        gc_graph_destroy(graph);
    return status;
}

void gc_node_release(gc_node *node)
{
    for (int i = 0; i < node->attr_count; i++)
        if (node->attrs[i].type == GC_ATTR_TENSOR)
            gc_constant_release(node->attrs[i].tensor);
}

void gc_graph_destroy(gc_graph **graph)
{
    if (graph == NULL || *graph == NULL)
        return;
    gc_graph *const g = *graph;
    for (int i = 0; i < g->node_count; i++)
        gc_node_release(&g->nodes[i]);
    for (const gc_body *body = g->bodies; body != NULL; body = body->next)
        for (int i = 0; i < body->node_count; i++)
            gc_node_release(&body->nodes[i]);
    for (int i = 0; i < g->value_count; i++)
        gc_constant_release(g->values[i].constant);
    gc_free(g->nodes);
    gc_free(g->values);
    gc_arena_destroy(&g->arena);
    gc_free(g);
    *graph = NULL;
}

/* ---- Building ------------------------------------------------------------------------------- */

static gradcam_status copy_string(gc_graph *graph, const char **out, const char *text,
                                  gradcam_error *error)
{
    return gc_arena_string(graph->arena, out, text, strlen(text), error);
}

gradcam_status gc_graph_add_value(gc_graph *graph, const char *name, int *index,
                                  gradcam_error *error)
{
    GC_TRY(gc_grow(&graph->values, &graph->value_capacity, (size_t)graph->value_count + 1,
                   sizeof *graph->values, error));
    gc_value *const value = &graph->values[graph->value_count];
    *value = (gc_value){.type = {.rank = -1}, .producer = -1, .same_as = -1};
    GC_TRY(copy_string(graph, &value->name, name, error));
    *index = graph->value_count++;
    return GRADCAM_OK;
}

gradcam_status gc_graph_add_constant(gc_graph *graph, const char *name, gc_constant *constant,
                                     int *index, gradcam_error *error)
{
    const gradcam_status status = gc_graph_add_value(graph, name, index, error);
    if (status != GRADCAM_OK) {
        gc_constant_release(constant);
        return status;
    }
    gc_value *const value = &graph->values[*index];
    value->constant = constant;
    value->type = *gc_constant_tensor(constant);
    value->type.data = NULL;
    return GRADCAM_OK;
}

static gradcam_status new_slots(gc_graph *graph, int **slots, int count, gradcam_error *error)
{
    GC_TRY(gc_arena_new(graph->arena, slots, (size_t)count, sizeof **slots, error));
    for (int i = 0; i < count; i++)
        (*slots)[i] = GC_ABSENT;
    return GRADCAM_OK;
}

gradcam_status gc_graph_add_node(gc_graph *graph, const char *name, const char *op,
                                 const char *domain, int opset, int input_count, int output_count,
                                 gc_node **node, gradcam_error *error)
{
    GC_TRY(gc_grow(&graph->nodes, &graph->node_capacity, (size_t)graph->node_count + 1,
                   sizeof *graph->nodes, error));
    gc_node *const n = &graph->nodes[graph->node_count];
    *n = (gc_node){.opset = opset, .input_count = input_count, .output_count = output_count};
    GC_TRY(copy_string(graph, &n->name, name, error));
    GC_TRY(copy_string(graph, &n->op, op, error));
    GC_TRY(copy_string(graph, &n->domain, domain, error));
    GC_TRY(new_slots(graph, &n->inputs, input_count, error));
    GC_TRY(new_slots(graph, &n->outputs, output_count, error));
    graph->node_count++;
    *node = n;
    return GRADCAM_OK;
}

/* ---- Attributes ----------------------------------------------------------------------------- */

void gc_node_remove_attr(gc_node *node, const char *name)
{
    for (int i = 0; i < node->attr_count; i++) {
        if (strcmp(node->attrs[i].name, name) != 0)
            continue;
        if (node->attrs[i].type == GC_ATTR_TENSOR)
            gc_constant_release(node->attrs[i].tensor);
        node->attrs[i] = node->attrs[--node->attr_count];
        return;
    }
}

gradcam_status gc_node_set_attr(gc_graph *graph, gc_node *node, gc_attr attr, gradcam_error *error)
{
    gc_attr *attrs = NULL;
    const size_t room = (size_t)node->attr_count + 1;
    gradcam_status status = gc_arena_new(graph->arena, &attrs, room, sizeof *attrs, error);
    if (status == GRADCAM_OK)
        status = copy_string(graph, &attr.name, attr.name, error);
    if (status != GRADCAM_OK) {
        if (attr.type == GC_ATTR_TENSOR)
            gc_constant_release(attr.tensor);
        return status;
    }
    gc_node_remove_attr(node, attr.name);
    if (node->attr_count > 0)
        memcpy(attrs, node->attrs, (size_t)node->attr_count * sizeof *attrs);
    attrs[node->attr_count++] = attr;
    node->attrs = attrs;
    return GRADCAM_OK;
}

gradcam_status gc_node_set_int(gc_graph *graph, gc_node *node, const char *name, int64_t value,
                               gradcam_error *error)
{
    return gc_node_set_attr(graph, node, (gc_attr){.name = name, .type = GC_ATTR_INT, .i = value},
                            error);
}

gradcam_status gc_node_set_ints(gc_graph *graph, gc_node *node, const char *name,
                                const int64_t *values, size_t count, gradcam_error *error)
{
    int64_t *copy = NULL;
    GC_TRY(gc_arena_new(graph->arena, &copy, count, sizeof *copy, error));
    if (count > 0)
        memcpy(copy, values, count * sizeof *copy);
    const gc_attr attr = {.name = name, .type = GC_ATTR_INTS, .count = count, .ints = copy};
    return gc_node_set_attr(graph, node, attr, error);
}

const gc_attr *gc_attr_find(const gc_node *node, const char *name)
{
    for (int i = 0; i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    return NULL;
}

static const gc_attr *find_typed(const gc_node *node, const char *name, gc_attr_type type)
{
    const gc_attr *const attr = gc_attr_find(node, name);
    return attr != NULL && attr->type == type ? attr : NULL;
}

int64_t gc_attr_int(const gc_node *node, const char *name, int64_t missing)
{
    const gc_attr *const attr = find_typed(node, name, GC_ATTR_INT);
    return attr != NULL ? attr->i : missing;
}

float gc_attr_float(const gc_node *node, const char *name, float missing)
{
    const gc_attr *const attr = find_typed(node, name, GC_ATTR_FLOAT);
    return attr != NULL ? attr->f : missing;
}

const char *gc_attr_string(const gc_node *node, const char *name, const char *missing)
{
    const gc_attr *const attr = find_typed(node, name, GC_ATTR_STRING);
    return attr != NULL ? attr->s : missing;
}

const int64_t *gc_attr_ints(const gc_node *node, const char *name, size_t *count)
{
    const gc_attr *const attr = find_typed(node, name, GC_ATTR_INTS);
    *count = attr != NULL ? attr->count : 0;
    return attr != NULL ? attr->ints : NULL;
}

const char *gc_node_text(const gc_graph *graph, const gc_node *node, char text[GC_NODE_TEXT])
{
    const char *made = "nothing";
    if (node->output_count > 0 && node->outputs[0] != GC_ABSENT && graph != NULL)
        made = graph->values[node->outputs[0]].name;
    if (node->name[0] != '\0')
        snprintf(text, GC_NODE_TEXT, "node '%s' (%s)", node->name, node->op);
    else
        snprintf(text, GC_NODE_TEXT, "the %s that makes '%s'", node->op, made);
    return text;
}

int gc_graph_find_value(const gc_graph *graph, const char *name)
{
    for (int i = 0; i < graph->value_count; i++)
        if (strcmp(graph->values[i].name, name) == 0)
            return i;
    return -1;
}

/* ---- Order ---------------------------------------------------------------------------------- */

static gradcam_status set_producers(gc_graph *graph, gradcam_error *error)
{
    char text[GC_NODE_TEXT];
    for (int v = 0; v < graph->value_count; v++)
        graph->values[v].producer = -1;
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        for (int o = 0; o < node->output_count; o++) {
            if (node->outputs[o] == GC_ABSENT)
                continue;
            gc_value *const value = &graph->values[node->outputs[o]];
            GC_FAIL_IF(value->producer >= 0, error, GRADCAM_ERROR_MODEL,
                       "%s: its output '%s' is already made by another node",
                       gc_node_text(graph, node, text), value->name);
            GC_FAIL_IF(value->constant != NULL, error, GRADCAM_ERROR_MODEL,
                       "%s: its output '%s' is also an initializer",
                       gc_node_text(graph, node, text), value->name);
            value->producer = n;
        }
    }
    for (int i = 0; i < graph->input_count; i++) {
        const gc_value *const value = &graph->values[graph->inputs[i]];
        GC_FAIL_IF(value->producer >= 0, error, GRADCAM_ERROR_MODEL,
                   "graph input '%s' is also the output of %s", value->name,
                   gc_node_text(graph, &graph->nodes[value->producer], text));
    }
    return GRADCAM_OK;
}

static bool is_graph_input(const gc_graph *graph, int value)
{
    for (int i = 0; i < graph->input_count; i++)
        if (graph->inputs[i] == value)
            return true;
    return false;
}

static gradcam_status check_sources(const gc_graph *graph, gradcam_error *error)
{
    char text[GC_NODE_TEXT];
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; i++) {
            const int v = node->inputs[i];
            if (v == GC_ABSENT || graph->values[v].producer >= 0 ||
                graph->values[v].constant != NULL || is_graph_input(graph, v))
                continue;
            return gc_fail(error, GRADCAM_ERROR_MODEL,
                           "%s: input '%s' is made by no node, initializer or graph input",
                           gc_node_text(graph, node, text), graph->values[v].name);
        }
    }
    return GRADCAM_OK;
}

/*
 * Kahn's algorithm on a list of ready nodes, so that deep graphs need no recursion. `waiting`
 * counts the inputs of a node that are still to be made; `readers` lists, value by value, who waits
 * for it.
 */
typedef struct sorter {
    int *waiting, *order, *reader_start, *readers;
    gc_node *sorted;
} sorter;

static void sorter_free(sorter *s)
{
    gc_free(s->waiting);
    gc_free(s->order);
    gc_free(s->reader_start);
    gc_free(s->readers);
    gc_free(s->sorted);
}

static gradcam_status sorter_init(sorter *s, const gc_graph *graph, gradcam_error *error)
{
    size_t edges = 0;
    for (int n = 0; n < graph->node_count; n++)
        edges += (size_t)graph->nodes[n].input_count;
    const size_t nodes = (size_t)graph->node_count;
    GC_TRY(gc_new(&s->waiting, nodes, sizeof(int), error));
    GC_TRY(gc_new(&s->order, nodes, sizeof(int), error));
    GC_TRY(gc_new(&s->reader_start, (size_t)graph->value_count + 2, sizeof(int), error));
    GC_TRY(gc_new(&s->readers, edges, sizeof(int), error));
    GC_TRY(gc_new(&s->sorted, nodes, sizeof(gc_node), error));
    /* Counting sort of the edges by value: starts end up shifted by one place. */
    int *const start = s->reader_start;
    for (int n = 0; n < graph->node_count; n++)
        for (int i = 0; i < graph->nodes[n].input_count; i++)
            if (graph->nodes[n].inputs[i] != GC_ABSENT)
                start[graph->nodes[n].inputs[i] + 2]++;
    for (int v = 0; v < graph->value_count; v++)
        start[v + 2] += start[v + 1];
    for (int n = 0; n < graph->node_count; n++)
        for (int i = 0; i < graph->nodes[n].input_count; i++)
            if (graph->nodes[n].inputs[i] != GC_ABSENT)
                s->readers[start[graph->nodes[n].inputs[i] + 1]++] = n;
    return GRADCAM_OK;
}

static int sorter_run(sorter *s, const gc_graph *graph)
{
    int ready = 0;
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            s->waiting[n] +=
                node->inputs[i] != GC_ABSENT && graph->values[node->inputs[i]].producer >= 0;
        if (s->waiting[n] == 0)
            s->order[ready++] = n;
    }
    for (int done = 0; done < ready; done++) {
        const gc_node *const node = &graph->nodes[s->order[done]];
        for (int o = 0; o < node->output_count; o++) {
            const int v = node->outputs[o];
            if (v == GC_ABSENT)
                continue;
            for (int r = s->reader_start[v]; r < s->reader_start[v + 1]; r++)
                if (--s->waiting[s->readers[r]] == 0)
                    s->order[ready++] = s->readers[r];
        }
    }
    return ready;
}

static gradcam_status apply_order(sorter *s, gc_graph *graph, gradcam_error *error)
{
    char text[GC_NODE_TEXT];
    const int ready = sorter_run(s, graph);
    for (int n = 0; ready < graph->node_count && n < graph->node_count; n++)
        GC_FAIL_IF(s->waiting[n] > 0, error, GRADCAM_ERROR_MODEL,
                   "%s is part of a cycle or fed by one; an ONNX graph must have none",
                   gc_node_text(graph, &graph->nodes[n], text));
    for (int i = 0; i < ready; i++)
        s->sorted[i] = graph->nodes[s->order[i]];
    if (ready > 0)
        memcpy(graph->nodes, s->sorted, (size_t)ready * sizeof *s->sorted);
    for (int n = 0; n < ready; n++)
        for (int o = 0; o < graph->nodes[n].output_count; o++)
            if (graph->nodes[n].outputs[o] != GC_ABSENT)
                graph->values[graph->nodes[n].outputs[o]].producer = n;
    return GRADCAM_OK;
}

static bool is_sorted(const gc_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++)
        for (int i = 0; i < graph->nodes[n].input_count; i++)
            if (graph->nodes[n].inputs[i] != GC_ABSENT &&
                graph->values[graph->nodes[n].inputs[i]].producer >= n)
                return false;
    return true;
}

gradcam_status gc_graph_sort(gc_graph *graph, gradcam_error *error)
{
    GC_TRY(set_producers(graph, error));
    GC_TRY(check_sources(graph, error));
    /* The file's own order is kept where it is one: it is the order of execution that its author
     * had in mind, and residual branches then end where the fusion expects them. */
    if (is_sorted(graph))
        return GRADCAM_OK;
    sorter s = {0};
    gradcam_status status = sorter_init(&s, graph, error);
    if (status == GRADCAM_OK)
        status = apply_order(&s, graph, error);
    sorter_free(&s);
    return status;
}

gradcam_status gc_graph_remove_dead(gc_graph *graph, gradcam_error *error)
{
    char *live = NULL;
    GC_TRY(gc_new(&live, (size_t)graph->value_count, 1, error));
    for (int i = 0; i < graph->output_count; i++)
        live[graph->outputs[i]] = 1;
    int kept = graph->node_count;
    for (int n = graph->node_count - 1; n >= 0; n--) {
        gc_node node = graph->nodes[n];
        bool used = false;
        for (int o = 0; o < node.output_count; o++)
            used |= node.outputs[o] != GC_ABSENT && live[node.outputs[o]] &&
                    graph->values[node.outputs[o]].constant == NULL;
        if (!used) {
            gc_node_release(&node);
            continue;
        }
        for (int i = 0; i < node.input_count; i++)
            if (node.inputs[i] != GC_ABSENT)
                live[node.inputs[i]] = 1;
        graph->nodes[--kept] = node; /* kept ones gather at the end, in order */
    }
    graph->node_count -= kept;
    if (graph->node_count > 0) /* a graph that never had any has no array */
        memmove(graph->nodes, graph->nodes + kept,
                (size_t)graph->node_count * sizeof *graph->nodes);
    gc_free(live);
    return set_producers(graph, error);
}

/* ---- Copying -------------------------------------------------------------------------------- */

gradcam_status gc_node_copy_attrs(gc_graph *graph, gc_node *node, const gc_node *from,
                                  gradcam_error *error)
{
    const size_t count = (size_t)from->attr_count;
    GC_TRY(gc_arena_new(graph->arena, &node->attrs, count, sizeof *node->attrs, error));
    for (int i = 0; i < from->attr_count; i++) {
        node->attrs[i] = from->attrs[i];
        if (node->attrs[i].type == GC_ATTR_TENSOR)
            gc_constant_retain(node->attrs[i].tensor);
        node->attr_count++;
    }
    return GRADCAM_OK;
}

static gradcam_status clone_nodes(gc_graph *copy, const gc_graph *graph, gradcam_error *error)
{
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const from = &graph->nodes[n];
        gc_node *to = NULL;
        GC_TRY(gc_graph_add_node(copy, from->name, from->op, from->domain, from->opset,
                                 from->input_count, from->output_count, &to, error));
        memcpy(to->inputs, from->inputs, (size_t)from->input_count * sizeof(int));
        memcpy(to->outputs, from->outputs, (size_t)from->output_count * sizeof(int));
        GC_TRY(gc_node_copy_attrs(copy, to, from, error));
    }
    return GRADCAM_OK;
}

static gradcam_status clone_into(gc_graph *copy, const gc_graph *graph, gradcam_error *error)
{
    for (int v = 0; v < graph->value_count; v++) {
        int index = 0;
        GC_TRY(gc_graph_add_value(copy, graph->values[v].name, &index, error));
        copy->values[v].type = graph->values[v].type;
        copy->values[v].producer = graph->values[v].producer;
        copy->values[v].same_as = graph->values[v].same_as;
        copy->values[v].constant = gc_constant_retain(graph->values[v].constant);
    }
    GC_TRY(clone_nodes(copy, graph, error));
    copy->input_count = graph->input_count;
    copy->output_count = graph->output_count;
    GC_TRY(new_slots(copy, &copy->inputs, graph->input_count, error));
    GC_TRY(new_slots(copy, &copy->outputs, graph->output_count, error));
    for (int i = 0; i < graph->input_count; i++)
        copy->inputs[i] = graph->inputs[i];
    for (int i = 0; i < graph->output_count; i++)
        copy->outputs[i] = graph->outputs[i];
    return GRADCAM_OK;
}

gradcam_status gc_graph_clone(gc_graph **copy, const gc_graph *graph, gradcam_error *error)
{
    GC_TRY(gc_graph_create(copy, error));
    (*copy)->metadata = graph->metadata;
    (*copy)->metadata_count = graph->metadata_count;
    (*copy)->producer = graph->producer;
    (*copy)->ir_version = graph->ir_version;
    (*copy)->most_nodes = graph->most_nodes;
    (*copy)->budget = graph->budget;
    gc_arena_charge((*copy)->arena, graph->budget);
    const gradcam_status status = clone_into(*copy, graph, error);
    if (status != GRADCAM_OK)
        gc_graph_destroy(copy);
    return status;
}

gradcam_status gc_fail_weight(const gc_graph *graph, const gc_node *node, int input,
                              gradcam_status status, gradcam_error *error)
{
    char text[GC_NODE_TEXT];
    return gc_fail_context(error, status, "%s: the weight '%s': ", gc_node_text(graph, node, text),
                           graph->values[node->inputs[input]].name);
}

gradcam_status gc_node_load(const gc_graph *graph, const gc_node *node, int input,
                            gc_tensor *tensor, gradcam_error *error)
{
    const gradcam_status status =
        gc_constant_load(graph->values[node->inputs[input]].constant, tensor, error);
    return status == GRADCAM_OK ? status : gc_fail_weight(graph, node, input, status, error);
}

void gc_graph_mark_dependent(const gc_graph *graph, int value, bool *depends)
{
    depends[value] = true;
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            if (node->inputs[i] != GC_ABSENT && depends[node->inputs[i]])
                for (int o = 0; o < node->output_count; o++)
                    if (node->outputs[o] != GC_ABSENT)
                        depends[node->outputs[o]] = true;
    }
}
