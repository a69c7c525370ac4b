/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiply-accumulate operations, as papers count them: of convolutions and matrix products, one
 * for each product of two elements. Biases, normalisation, activations and pooling are left out.
 */
#include <string.h>

#include "passes/passes.h"

static const gc_tensor *type_at(const gc_graph *graph, const int *values, int count, int index)
{
    return index < count && values[index] != GC_ABSENT ? &graph->values[values[index]].type : NULL;
}

static int64_t product(const gc_tensor *t, int first)
{
    int64_t count = 1;
    for (int i = first; i < t->rank; i++)
        count *= t->dims[i];
    return count;
}

/* Every letter of the equation once. */
static int64_t einsum(const gc_graph *graph, const gc_node *node)
{
    const char *at = gc_attr_string(node, "equation", "");
    bool seen[128] = {false};
    int64_t count = 1;
    for (int input = 0, axis = 0; *at != '\0' && *at != '-'; at++) {
        const gc_tensor *const t = type_at(graph, node->inputs, node->input_count, input);
        if (*at == ',') {
            input++;
            axis = 0;
        } else if (*at != ' ' && t != NULL && axis < t->rank && (*at & 0x80) == 0) {
            count *= seen[(int)*at] ? 1 : t->dims[axis];
            seen[(int)*at] = true;
            axis++;
        }
    }
    return node->input_count > 1 ? count : 0;
}

int64_t gc_node_macs(const gc_graph *graph, const gc_node *node)
{
    const gc_tensor *const x = type_at(graph, node->inputs, node->input_count, 0);
    const gc_tensor *const w = type_at(graph, node->inputs, node->input_count, 1);
    const gc_tensor *const y = type_at(graph, node->outputs, node->output_count, 0);
    if (x == NULL || w == NULL || y == NULL || x->rank < 1 || w->rank < 1)
        return 0;
    if (strcmp(node->op, "Conv") == 0)
        return gc_tensor_count(y) * product(w, 1);
    if (strcmp(node->op, "ConvTranspose") == 0)
        return gc_tensor_count(x) * product(w, 1);
    if (strcmp(node->op, "MatMul") == 0)
        return gc_tensor_count(y) * x->dims[x->rank - 1];
    if (strcmp(node->op, "Gemm") == 0)
        return gc_tensor_count(y) * x->dims[gc_attr_int(node, "transA", 0) != 0 ? 0 : 1];
    return strcmp(node->op, "Einsum") == 0 ? einsum(graph, node) : 0;
}

int64_t gc_count_macs(const gc_graph *graph)
{
    int64_t total = 0;
    for (int n = 0; n < graph->node_count; n++)
        total += gc_node_macs(graph, &graph->nodes[n]);
    return total;
}
