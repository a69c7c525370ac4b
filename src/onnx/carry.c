/* SPDX-License-Identifier: Apache-2.0 */
/* Constants that meet quantised activations, which are carried as float32, become float32, too. */
#include <string.h>

#include "onnx/quantized.h"

static bool is_op(const gc_node *node, const char *op)
{
    return node->domain[0] == '\0' && strcmp(node->op, op) == 0;
}

/* Operators whose result is quantised as their input is. */
static bool keeps_quantized(const gc_node *node)
{
    static const char *const ops[] = {
        "Clip",     "Concat", "DepthToSpace", "Expand",   "Flatten",      "Gather",
        "Identity", "Max",    "MaxPool",      "Min",      "Pad",          "Relu",
        "Reshape",  "Resize", "Slice",        "Split",    "SpaceToDepth", "Tile",
        "Squeeze",  "Where",  "Transpose",    "Unsqueeze"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (is_op(node, ops[i]))
            return true;
    return false;
}

static bool is_quantized_type(gc_dtype dtype)
{
    return dtype == GC_UINT8 || dtype == GC_INT8 || dtype == GC_UINT16 || dtype == GC_INT16;
}

static gradcam_status to_float(gc_builder *b, const gc_scope *scope, int from, int *value)
{
    const gc_tensor *const old = gc_constant_tensor(b->graph->values[from].constant);
    gc_tensor made;
    gc_constant *constant = NULL;
    gc_tensor_describe(&made, GC_FLOAT32, old->rank, old->dims);
    GC_TRY(gc_tensor_alloc(&made, b->error));
    for (int64_t i = 0; i < gc_tensor_count(old); i++)
        gc_floats(&made)[i] = (float)gc_ints(old)[i];
    const gradcam_status status = gc_constant_create(&constant, &made, b->error);
    gc_tensor_free(&made);
    GC_TRY(status);
    return gc_build_fresh_constant(b, scope, b->graph->values[from].name, constant, value);
}

static gradcam_status carry_constants(gc_builder *b, const gc_scope *scope, const gc_node *node)
{
    for (int i = 0; i < node->input_count; i++) {
        const int v = node->inputs[i];
        const gc_constant *const c = v != GC_ABSENT ? b->graph->values[v].constant : NULL;
        if (c != NULL && is_quantized_type(gc_constant_tensor(c)->dtype))
            GC_TRY(to_float(b, scope, v, &node->inputs[i]));
    }
    return GRADCAM_OK;
}

static bool reads_carried(const gc_node *node, const bool *is_carried, int count)
{
    for (int i = 0; i < node->input_count; i++) /* constants that were added are none */
        if (node->inputs[i] >= 0 && node->inputs[i] < count && is_carried[node->inputs[i]])
            return true;
    return false;
}

static gradcam_status carry(gc_builder *b, const gc_scope *scope, bool *is_carried, int count)
{
    for (int n = 0; n < b->graph->node_count; n++) {
        const gc_node *const node = &b->graph->nodes[n];
        bool any = is_op(node, "QuantizeLinear") || is_op(node, "DynamicQuantizeLinear");
        if (!any && keeps_quantized(node) && reads_carried(node, is_carried, count)) {
            GC_TRY(carry_constants(b, scope, node));
            any = true;
        }
        for (int i = 0; any && i < node->output_count; i++)
            if (node->outputs[i] != GC_ABSENT)
                is_carried[node->outputs[i]] = true;
    }
    return GRADCAM_OK;
}

gradcam_status gc_carry_quantized(gc_builder *b, const gc_scope *scope)
{
    bool *is_carried = NULL;
    const int count = b->graph->value_count;
    GC_TRY(gc_new(&is_carried, (size_t)count, sizeof *is_carried, b->error));
    const gradcam_status status = carry(b, scope, is_carried, count);
    gc_free(is_carried);
    return status;
}
