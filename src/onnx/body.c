/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of If and Loop. Their values are values of the graph, under a name that starts with the
 * node's; what they read from outside becomes inputs of the node, so that the order of nodes, and
 * what is alive, need not know of bodies.
 */
#include <string.h>

#include "onnx/build.h"

enum { FIELD_ATTRIBUTE = 5, ATTRIBUTE_NAME = 1, ATTRIBUTE_GRAPH = 6 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { OUTSIDE, HERE, LATER }; /* where a value is made, as seen from a node of the body */

typedef struct reader {
    gc_builder *b;
    gc_scope scope;
    gc_bytes bytes;
    gc_body *body;
    int first_local, end_local; /* values of the body, its constants included */
    size_t input_room, output_room, capture_room;
    int *inputs, *outputs, *captures; /* grow; copied into the arena at the end */
} reader;

static gradcam_status add_index(int **list, size_t *room, int *count, int value,
                                gradcam_error *error)
{
    GC_TRY(gc_grow(list, room, (size_t)*count + 1, sizeof **list, error));
    (*list)[(*count)++] = value;
    return GRADCAM_OK;
}

/* ---- Names ---------------------------------------------------------------------------------- */

static gradcam_status declare_outputs(reader *r, gc_bytes bytes)
{
    int index = 0;
    GcOnnx__Node *node = NULL;
    gradcam_status status = GRADCAM_OK;
    GC_TRY(gc_unpack(&node, &gc_onnx__node__descriptor, bytes, 1u << FIELD_ATTRIBUTE, r->b->error));
    for (size_t i = 0; i < node->n_output && status == GRADCAM_OK; i++)
        if (node->output[i][0] != '\0')
            status = gc_build_local(r->b, &r->scope, node->output[i], &index);
    gc_unpacked_free(node);
    return status;
}

static gradcam_status declare_constant(reader *r, gc_bytes bytes)
{
    int index = 0;
    gc_tensor_message message;
    gradcam_status status = gc_tensor_message_open(&message, bytes, r->b->error);
    if (status == GRADCAM_OK)
        status = gc_build_local(r->b, &r->scope, gc_text(message.header->name), &index);
    gc_tensor_message_close(&message);
    return status;
}

static gradcam_status declare_input(reader *r, gc_bytes bytes)
{
    int index = 0;
    GcOnnx__ValueInfo *info = NULL;
    GC_TRY(gc_unpack(&info, &gc_onnx__value_info__descriptor, bytes, 0, r->b->error));
    gradcam_status status = gc_build_local(r->b, &r->scope, gc_text(info->name), &index);
    gc_unpacked_free(info);
    if (status == GRADCAM_OK)
        status = add_index(&r->inputs, &r->input_room, &r->body->input_count, index, r->b->error);
    return status;
}

/* All names of the body, before any is used: the others are those of the scope around it. */
static gradcam_status declare_all(reader *r)
{
    gc_field field;
    gc_wire wire = gc_wire_of(r->bytes);
    r->first_local = r->b->graph->value_count;
    while (gc_wire_next(&wire, &field)) {
        if (field.type != GC_WIRE_BYTES)
            continue;
        if (field.number == GRAPH_INPUT)
            GC_TRY(declare_input(r, field.content));
        else if (field.number == GRAPH_INITIALIZER)
            GC_TRY(declare_constant(r, field.content));
        else if (field.number == GRAPH_NODE)
            GC_TRY(declare_outputs(r, field.content));
    }
    GC_FAIL_IF(wire.malformed, r->b->error, GRADCAM_ERROR_MODEL, "a sub-graph is malformed");
    r->end_local = r->b->graph->value_count;
    return GRADCAM_OK;
}

/* ---- Contents ------------------------------------------------------------------------------- */

static gradcam_status read_initializer(reader *r, gc_bytes bytes)
{
    gc_tensor_message message;
    gc_constant *constant = NULL;
    gradcam_status status = gc_tensor_message_open(&message, bytes, r->b->error);
    if (status == GRADCAM_OK)
        status = gc_build_tensor(r->b, &message, &constant);
    if (status == GRADCAM_OK)
        status = gc_build_constant(r->b, &r->scope, gc_text(message.header->name), constant);
    gc_tensor_message_close(&message);
    return status;
}

static gradcam_status read_output(reader *r, gc_bytes bytes)
{
    int index = 0;
    GcOnnx__ValueInfo *info = NULL;
    GC_TRY(gc_unpack(&info, &gc_onnx__value_info__descriptor, bytes, 0, r->b->error));
    gradcam_status status = gc_build_value(r->b, &r->scope, gc_text(info->name), &index);
    gc_unpacked_free(info);
    GC_TRY(status);
    GC_FAIL_IF(index == GC_ABSENT, r->b->error, GRADCAM_ERROR_MODEL,
               "an output of a sub-graph has no name");
    return add_index(&r->outputs, &r->output_room, &r->body->output_count, index, r->b->error);
}

static gradcam_status read_fields(reader *r, uint64_t number,
                                  gradcam_status (*read)(reader *, gc_bytes))
{
    gc_field field;
    gc_wire wire = gc_wire_of(r->bytes);
    while (gc_wire_next(&wire, &field))
        if (field.type == GC_WIRE_BYTES && field.number == number)
            GC_TRY(read(r, field.content));
    return GRADCAM_OK;
}

static gradcam_status read_node(reader *r, gc_bytes bytes)
{
    return gc_build_node(r->b, &r->scope, bytes);
}

/* The nodes are read as if they were the graph's, and then taken away. */
static gradcam_status read_nodes(reader *r)
{
    gc_graph *const graph = r->b->graph;
    const int start = graph->node_count;
    GC_TRY(read_fields(r, GRAPH_NODE, read_node));
    const size_t count = (size_t)(graph->node_count - start);
    GC_TRY(gc_arena_new(graph->arena, &r->body->nodes, count, sizeof(gc_node), r->b->error));
    if (count > 0)
        memcpy(r->body->nodes, graph->nodes + start, count * sizeof(gc_node));
    r->body->node_count = (int)count;
    graph->node_count = start;
    r->body->next = graph->bodies; /* which from here on releases what their attributes hold */
    graph->bodies = r->body;
    return GRADCAM_OK;
}

/* ---- What it reads from outside ------------------------------------------------------------- */

static gradcam_status see_use(reader *r, char *place, int value)
{
    const gc_value *const v = value == GC_ABSENT ? NULL : &r->b->graph->values[value];
    if (v == NULL || v->constant != NULL || place[value] == HERE ||
        gc_build_is_refused(r->b, value))
        return GRADCAM_OK;
    GC_FAIL_IF(place[value] == LATER, r->b->error, GRADCAM_ERROR_MODEL,
               "a sub-graph reads '%s' before it is made", v->name);
    place[value] = HERE;
    return add_index(&r->captures, &r->capture_room, &r->body->capture_count, value, r->b->error);
}

static gradcam_status make(reader *r, char *place, int value)
{
    if (value == GC_ABSENT)
        return GRADCAM_OK;
    /* Functions that the body calls have made values behind the declared ones. */
    const bool is_new = place[value] == LATER || (place[value] == OUTSIDE && value >= r->end_local);
    GC_FAIL_IF(!is_new || r->b->graph->values[value].constant != NULL, r->b->error,
               GRADCAM_ERROR_MODEL, "a sub-graph makes '%s' twice",
               r->b->graph->values[value].name);
    place[value] = HERE;
    return GRADCAM_OK;
}

static gradcam_status follow(reader *r, char *place)
{
    const gc_body *const body = r->body;
    for (int v = r->first_local; v < r->end_local; v++)
        place[v] = LATER;
    for (int i = 0; i < body->input_count; i++)
        GC_TRY(make(r, place, r->inputs[i]));
    for (int n = 0; n < body->node_count; n++) {
        const gc_node *const node = &body->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            GC_TRY(see_use(r, place, node->inputs[i]));
        for (int o = 0; o < node->output_count; o++)
            GC_TRY(make(r, place, node->outputs[o]));
    }
    for (int o = 0; o < body->output_count; o++)
        GC_TRY(see_use(r, place, r->outputs[o]));
    return GRADCAM_OK;
}

static gradcam_status find_captures(reader *r)
{
    char *place = NULL;
    GC_TRY(gc_new(&place, (size_t)r->b->graph->value_count, 1, r->b->error));
    const gradcam_status status = follow(r, place);
    gc_free(place);
    return status;
}

/* ---- All of it ------------------------------------------------------------------------------ */

static gradcam_status keep(reader *r, const int *list, int count, int **kept)
{
    GC_TRY(gc_arena_new(r->b->graph->arena, kept, (size_t)count, sizeof **kept, r->b->error));
    if (count > 0)
        memcpy(*kept, list, (size_t)count * sizeof **kept);
    return GRADCAM_OK;
}

static gradcam_status read_all(reader *r)
{
    GC_TRY(gc_map_create(&r->scope.names, r->b->error));
    GC_TRY(gc_arena_new(r->b->graph->arena, &r->body, 1, sizeof *r->body, r->b->error));
    GC_TRY(declare_all(r));
    GC_TRY(read_fields(r, GRAPH_INITIALIZER, read_initializer));
    GC_TRY(read_nodes(r));
    GC_TRY(read_fields(r, GRAPH_OUTPUT, read_output));
    GC_TRY(find_captures(r));
    GC_TRY(keep(r, r->inputs, r->body->input_count, &r->body->inputs));
    GC_TRY(keep(r, r->outputs, r->body->output_count, &r->body->outputs));
    return keep(r, r->captures, r->body->capture_count, &r->body->captures);
}

static gradcam_status read_body(gc_builder *b, const gc_scope *outer, const char *prefix,
                                gc_bytes bytes, const gc_body **body)
{
    reader r = {.b = b, .scope = *outer, .bytes = bytes};
    const int most = (int)b->source->limits.depth;
    r.scope.outer = outer;
    r.scope.prefix = prefix;
    r.scope.depth = outer->depth + 1;
    r.scope.names = NULL;
    GC_FAIL_IF(r.scope.depth > most, b->error, GRADCAM_ERROR_LIMIT,
               "sub-graphs lie within each other %d deep or deeper; the limit is %d (--max-depth, "
               "depth)",
               r.scope.depth, most);
    const gradcam_status status = read_all(&r);
    gc_map_destroy(&r.scope.names);
    gc_free(r.inputs);
    gc_free(r.outputs);
    gc_free(r.captures);
    *body = r.body;
    return status;
}

/* The graph in a serialized attribute, and the attribute's name. */
static bool find_graph(gc_bytes bytes, gc_bytes *name, gc_bytes *graph)
{
    gc_field field;
    gc_wire wire = gc_wire_of(bytes);
    bool is_graph = false;
    while (gc_wire_next(&wire, &field)) {
        if (field.type != GC_WIRE_BYTES)
            continue;
        if (field.number == ATTRIBUTE_NAME)
            *name = field.content;
        if (field.number == ATTRIBUTE_GRAPH) {
            *graph = field.content;
            is_graph = true;
        }
    }
    return is_graph;
}

/* Nodes may move while the body is read, so the node is named by its index. */
static gradcam_status attach(gc_builder *b, int index, const char *name, const gc_body *body)
{
    gc_node *const node = &b->graph->nodes[index];
    const int old = node->input_count;
    int *inputs = NULL;
    for (int i = 0; i < node->attr_count; i++)
        if (strcmp(node->attrs[i].name, name) == 0 && node->attrs[i].type == GC_ATTR_GRAPH)
            node->attrs[i].body = body;
    /* The number of turns, the condition and what is carried stand before what is captured. */
    const int fixed = strcmp(node->op, "Loop") == 0 ? body->input_count : old;
    GC_FAIL_IF(fixed < old, b->error, GRADCAM_ERROR_MODEL,
               "the loop has %d inputs, its body %d; there should be as many", old, fixed);
    GC_TRY(gc_arena_new(b->graph->arena, &inputs, (size_t)(fixed + body->capture_count),
                        sizeof *inputs, b->error));
    for (int i = 0; i < fixed; i++)
        inputs[i] = i < old ? node->inputs[i] : GC_ABSENT;
    for (int i = 0; i < body->capture_count; i++)
        inputs[fixed + i] = body->captures[i];
    node->inputs = inputs;
    node->input_count = fixed + body->capture_count;
    return GRADCAM_OK;
}

static gradcam_status read_attribute(gc_builder *b, const gc_scope *scope, int index,
                                     gc_bytes bytes)
{
    gc_bytes name = {NULL, 0}, graph = {NULL, 0};
    const char *text = NULL, *prefix = NULL;
    const gc_body *body = NULL;
    const gc_node *const node = &b->graph->nodes[index];
    if (!find_graph(bytes, &name, &graph))
        return GRADCAM_OK;
    const char *own = node->name[0] != '\0' ? node->name : node->op;
    if (node->name[0] == '\0' && node->output_count > 0 && node->outputs[0] != GC_ABSENT)
        own = b->graph->values[node->outputs[0]].name;
    GC_TRY(gc_arena_string(b->graph->arena, &text, (const char *)name.data, name.size, b->error));
    GC_TRY(gc_arena_format(b->graph->arena, &prefix, b->error, "%s/%s/", own, text));
    GC_TRY(read_body(b, scope, prefix, graph, &body));
    return attach(b, index, text, body);
}

gradcam_status gc_build_bodies(gc_builder *b, const gc_scope *scope, int index, gc_bytes bytes)
{
    gc_field field;
    gc_wire wire = gc_wire_of(bytes);
    const gc_node *const node = &b->graph->nodes[index];
    if (node->domain[0] != '\0' || (strcmp(node->op, "If") != 0 && strcmp(node->op, "Loop") != 0))
        return GRADCAM_OK;
    while (gc_wire_next(&wire, &field))
        if (field.number == FIELD_ATTRIBUTE && field.type == GC_WIRE_BYTES)
            GC_TRY(read_attribute(b, scope, index, field.content));
    return GRADCAM_OK;
}
