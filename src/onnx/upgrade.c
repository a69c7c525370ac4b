/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/upgrade.h"

#include <string.h>

bool gc_upgrade_has(const gc_node *node, int index)
{
    return index < node->input_count && node->inputs[index] != GC_ABSENT;
}

gradcam_status gc_upgrade_fail(const gc_upgrade *u, const gc_node *node, const char *text)
{
    char name[GC_NODE_TEXT];
    return gc_fail(u->builder->error, GRADCAM_ERROR_UNSUPPORTED, "%s, opset %d: %s",
                   gc_node_text(u->builder->graph, node, name), node->opset, text);
}

gradcam_status gc_upgrade_set_input(const gc_upgrade *u, gc_node *node, int index, int value)
{
    if (index >= node->input_count) {
        int *inputs = NULL;
        GC_TRY(gc_arena_new(u->builder->graph->arena, &inputs, (size_t)index + 1, sizeof *inputs,
                            u->builder->error));
        for (int i = 0; i <= index; i++)
            inputs[i] = i < node->input_count ? node->inputs[i] : GC_ABSENT;
        node->inputs = inputs;
        node->input_count = index + 1;
    }
    node->inputs[index] = value;
    return GRADCAM_OK;
}

gradcam_status gc_upgrade_set_string(const gc_upgrade *u, gc_node *node, const char *name,
                                     const char *value)
{
    gc_attr attr = {.name = name, .type = GC_ATTR_STRING};
    GC_TRY(gc_arena_string(u->builder->graph->arena, &attr.s, value, strlen(value),
                           u->builder->error));
    return gc_node_set_attr(u->builder->graph, node, attr, u->builder->error);
}

static gradcam_status constant_of(const gc_upgrade *u, const gc_attr *attr, gc_constant **constant)
{
    const bool is_float = attr->type == GC_ATTR_FLOAT || attr->type == GC_ATTR_FLOATS;
    const bool is_array = attr->type == GC_ATTR_INTS || attr->type == GC_ATTR_FLOATS;
    const int64_t count = is_array ? (int64_t)attr->count : 1;
    gc_tensor tensor;
    gc_tensor_describe(&tensor, is_float ? GC_FLOAT32 : GC_INT64, attr->type != GC_ATTR_FLOAT,
                       &count);
    GC_TRY(gc_tensor_alloc(&tensor, u->builder->error));
    for (int64_t i = 0; i < count; i++) {
        if (is_float)
            gc_floats(&tensor)[i] = is_array ? attr->floats[i] : attr->f;
        else
            gc_ints(&tensor)[i] = is_array ? attr->ints[i] : attr->i;
    }
    const gradcam_status status = gc_constant_create(constant, &tensor, u->builder->error);
    gc_tensor_free(&tensor);
    return status;
}

/* The new constant is called after the node's first output: "y.axes". */
static gradcam_status add_constant(const gc_upgrade *u, const gc_node *node, const char *name,
                                   gc_constant *constant, int *value)
{
    gc_graph *const graph = u->builder->graph;
    const char *full = NULL, *output = node->name;
    if (node->output_count > 0 && node->outputs[0] != GC_ABSENT)
        output = graph->values[node->outputs[0]].name;
    const gradcam_status status =
        gc_arena_format(graph->arena, &full, u->builder->error, "%s.%s", output, name);
    if (status != GRADCAM_OK) {
        gc_constant_release(constant);
        return status;
    }
    return gc_build_fresh_constant(u->builder, u->scope, full, constant, value);
}

gradcam_status gc_upgrade_to_input(const gc_upgrade *u, gc_node *node, const char *name, int index)
{
    gc_constant *constant = NULL;
    int value = GC_ABSENT;
    const gc_attr *const attr = gc_attr_find(node, name);
    if (attr == NULL)
        return GRADCAM_OK;
    const bool is_number = attr->type == GC_ATTR_INT || attr->type == GC_ATTR_INTS ||
                           attr->type == GC_ATTR_FLOAT || attr->type == GC_ATTR_FLOATS;
    if (is_number && !gc_upgrade_has(node, index)) {
        GC_TRY(constant_of(u, attr, &constant));
        GC_TRY(add_constant(u, node, name, constant, &value));
        GC_TRY(gc_upgrade_set_input(u, node, index, value));
    }
    gc_node_remove_attr(node, name);
    return GRADCAM_OK;
}

/* ---- The pass ------------------------------------------------------------------------------- */

static void count_uses(const gc_graph *graph, int *uses)
{
    for (int n = 0; n < graph->node_count; n++)
        for (int i = 0; i < graph->nodes[n].input_count; i++)
            if (graph->nodes[n].inputs[i] != GC_ABSENT)
                uses[graph->nodes[n].inputs[i]]++;
    for (int i = 0; i < graph->output_count; i++)
        uses[graph->outputs[i]]++;
    for (const gc_body *body = graph->bodies; body != NULL; body = body->next) {
        for (int n = 0; n < body->node_count; n++)
            for (int i = 0; i < body->nodes[n].input_count; i++)
                if (body->nodes[n].inputs[i] != GC_ABSENT)
                    uses[body->nodes[n].inputs[i]]++;
        for (int i = 0; i < body->output_count; i++)
            uses[body->outputs[i]]++;
    }
}

static gradcam_status upgrade_node(const gc_upgrade *u, gc_node *node)
{
    if (node->domain[0] != '\0')
        return GRADCAM_OK;
    gc_node_remove_attr(node, "consumed_inputs"); /* told early runtimes what they may overwrite */
    for (size_t i = 0; i < gc_upgrade_row_count; i++) {
        const gc_upgrade_row *const row = &gc_upgrade_rows[i];
        if (node->opset < row->below && strcmp(node->op, row->op) == 0)
            GC_TRY(row->apply(u, node));
    }
    return GRADCAM_OK;
}

gradcam_status gc_upgrade_graph(gc_builder *builder, const gc_scope *scope)
{
    gc_graph *const graph = builder->graph;
    int *uses = NULL;
    GC_TRY(gc_new(&uses, (size_t)graph->value_count, sizeof *uses, builder->error));
    count_uses(graph, uses);
    const gc_upgrade upgrade = {builder, scope, uses};
    gradcam_status status = GRADCAM_OK;
    for (int n = 0; n < graph->node_count && status == GRADCAM_OK; n++)
        status = upgrade_node(&upgrade, &graph->nodes[n]);
    for (const gc_body *body = graph->bodies; body != NULL; body = body->next)
        for (int n = 0; n < body->node_count && status == GRADCAM_OK; n++)
            status = upgrade_node(&upgrade, &body->nodes[n]);
    gc_free(uses);
    return status;
}
