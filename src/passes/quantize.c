/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantised graphs. Once a model:
 *   DequantizeLinear(QuantizeLinear(x)) with the same parameters becomes one FakeQuantize; where
 *   several stand behind one QuantizeLinear, as exporters write one for each reader, the others
 *   stand for the first.
 */
#include "passes/passes.h"

#include <string.h>

static bool is_op(const gc_node *node, const char *op)
{
    return node->domain[0] == '\0' && strcmp(node->op, op) == 0;
}

/* ---- Pairs ---------------------------------------------------------------------------------- */

static const gc_tensor *constant_at(const gc_graph *graph, const gc_node *node, int i)
{
    if (i >= node->input_count || node->inputs[i] == GC_ABSENT)
        return NULL;
    const gc_constant *const c = graph->values[node->inputs[i]].constant;
    return c != NULL ? gc_constant_tensor(c) : NULL;
}

static bool has_input(const gc_node *node, int i)
{
    return i < node->input_count && node->inputs[i] != GC_ABSENT;
}

static bool same_parameter(const gc_graph *graph, const gc_node *a, const gc_node *b, int i)
{
    if (has_input(a, i) != has_input(b, i))
        return false;
    if (!has_input(a, i) || a->inputs[i] == b->inputs[i])
        return true;
    const gc_tensor *const ta = constant_at(graph, a, i), *const tb = constant_at(graph, b, i);
    return ta != NULL && tb != NULL && ta->dtype == tb->dtype && gc_tensor_same_dims(ta, tb) &&
           memcmp(ta->data, tb->data, gc_tensor_bytes(ta)) == 0;
}

static bool same_parameters(const gc_graph *graph, const gc_node *a, const gc_node *b)
{
    static const char *const attrs[] = {"axis", "block_size"};
    for (size_t i = 0; i < sizeof attrs / sizeof attrs[0]; i++)
        if (gc_attr_int(a, attrs[i], -99) != gc_attr_int(b, attrs[i], -99))
            return false;
    return same_parameter(graph, a, b, 1) && same_parameter(graph, a, b, 2);
}

/* The DequantizeLinear takes the place of both; its value keeps its name. */
static void join(const gc_node *quantize, gc_node *node)
{
    node->op = "FakeQuantize";
    node->domain = "gradcam";
    node->inputs = quantize->inputs;
    node->input_count = quantize->input_count;
    node->attrs = quantize->attrs; /* numbers only: nothing that is counted */
    node->attr_count = quantize->attr_count;
}

static gradcam_status stand_for(gc_graph *graph, gc_node *node, int value, gradcam_error *error)
{
    int *input = NULL;
    GC_TRY(gc_arena_new(graph->arena, &input, 1, sizeof *input, error));
    *input = value;
    node->op = "Identity";
    node->inputs = input;
    node->input_count = 1;
    node->attr_count = 0;
    return GRADCAM_OK;
}

static gradcam_status join_pairs(gc_graph *graph, int *first_of, gradcam_error *error)
{
    for (int v = 0; v < graph->value_count; v++)
        first_of[v] = -1;
    for (int n = 0; n < graph->node_count; n++) {
        gc_node *const node = &graph->nodes[n];
        if (!is_op(node, "DequantizeLinear") || !has_input(node, 0))
            continue;
        const int quantized = node->inputs[0], producer = graph->values[quantized].producer;
        const gc_node *const quantize = producer >= 0 ? &graph->nodes[producer] : NULL;
        if (quantize == NULL || !is_op(quantize, "QuantizeLinear") ||
            !same_parameters(graph, quantize, node))
            continue;
        if (first_of[quantized] >= 0) {
            GC_TRY(stand_for(graph, node, first_of[quantized], error));
        } else {
            first_of[quantized] = node->outputs[0];
            join(quantize, node);
        }
    }
    return GRADCAM_OK;
}

/* ---- The pass ------------------------------------------------------------------------------- */

gradcam_status gc_join_quantization(gc_graph *graph, gradcam_error *error)
{
    int *first_of = NULL;
    GC_TRY(gc_new(&first_of, (size_t)graph->value_count, sizeof *first_of, error));
    const gradcam_status status = join_pairs(graph, first_of, error);
    gc_free(first_of);
    GC_TRY(status);
    return gc_graph_remove_dead(graph, error);
}
