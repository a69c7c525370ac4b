/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/quantized.h"

#include <string.h>

static const char microsoft[] = "com.microsoft"; /* operators that ONNX Runtime adds */

/* New nodes are in the newest form. */
enum { NEWEST_OPSET = 21 };

struct gc_expander {
    gc_builder *builder;
    const gc_scope *scope;
    int index;    /**< The node being expanded; nodes move when one is added. */
    int *origins; /**< Of added nodes, by their index minus `old_count`. */
    size_t origin_capacity;
    int old_count;
    const char *becomes; /**< Of the row at hand. */
};

#define EXPAND(name) static gradcam_status name(gc_expander *e)

/* ---- Nodes ---------------------------------------------------------------------------------- */

static gc_node *node_of(const gc_expander *e)
{
    return &e->builder->graph->nodes[e->index];
}

static int input(const gc_expander *e, int i)
{
    const gc_node *const node = node_of(e);
    return i < node->input_count ? node->inputs[i] : GC_ABSENT;
}

static gradcam_status fail(const gc_expander *e, gradcam_status status, const char *text)
{
    char name[GC_NODE_TEXT];
    return gc_fail(e->builder->error, status, "%s: %s",
                   gc_node_text(e->builder->graph, node_of(e), name), text);
}

static gradcam_status require(const gc_expander *e, int count)
{
    if (node_of(e)->output_count < 1 || node_of(e)->outputs[0] == GC_ABSENT)
        return fail(e, GRADCAM_ERROR_MODEL, "it has no output");
    for (int i = 0; i < count; i++)
        if (input(e, i) == GC_ABSENT)
            return fail(e, GRADCAM_ERROR_MODEL, "one of its inputs is missing");
    return GRADCAM_OK;
}

/* "conv1.float" for a value behind the one called conv1. */
static gradcam_status add_value(const gc_expander *e, int behind, const char *suffix, int *value)
{
    gc_graph *const graph = e->builder->graph;
    const char *name = NULL;
    GC_TRY(gc_arena_format(graph->arena, &name, e->builder->error, "%.900s.%s",
                           graph->values[behind].name, suffix));
    return gc_build_fresh_value(e->builder, e->scope, name, value);
}

/* Adds a node that makes `output`; *index is its number. */
static gradcam_status add_node(gc_expander *e, const char *op, const int *inputs, int count,
                               int output, int *index)
{
    gc_graph *const graph = e->builder->graph;
    gc_node *node = NULL;
    const size_t added = (size_t)(graph->node_count - e->old_count);
    GC_TRY(gc_grow(&e->origins, &e->origin_capacity, added + 1, sizeof *e->origins,
                   e->builder->error));
    e->origins[added] = e->index;
    *index = graph->node_count;
    GC_TRY(gc_graph_add_node(graph, node_of(e)->name, op, "", NEWEST_OPSET, count, 1, &node,
                             e->builder->error));
    for (int i = 0; i < count; i++)
        node->inputs[i] = inputs[i];
    node->outputs[0] = output;
    return GRADCAM_OK;
}

/* Attributes that say what the floating operator does go there. */
static void move_attrs(gc_expander *e, int to)
{
    gc_node *const from = node_of(e), *const node = &e->builder->graph->nodes[to];
    node->attrs = from->attrs;
    node->attr_count = from->attr_count;
    from->attrs = NULL;
    from->attr_count = 0;
}

/* The node itself becomes `op`, whose result is the node's output. */
static gradcam_status become(gc_expander *e, const char *op, const int *inputs, int count)
{
    int *copy = NULL;
    gc_node *const node = node_of(e);
    GC_TRY(gc_arena_new(e->builder->graph->arena, &copy, (size_t)count, sizeof *copy,
                        e->builder->error));
    for (int i = 0; i < count; i++)
        copy[i] = inputs[i];
    node->op = op;
    node->domain = "";
    node->opset = NEWEST_OPSET;
    node->inputs = copy;
    node->input_count = count;
    return GRADCAM_OK;
}

/* ---- Building blocks ------------------------------------------------------------------------ */

static gradcam_status constant_one(const gc_expander *e, int *value)
{
    gc_tensor one;
    gc_constant *constant = NULL;
    gc_tensor_describe(&one, GC_FLOAT32, 0, NULL);
    GC_TRY(gc_tensor_alloc(&one, e->builder->error));
    gc_floats(&one)[0] = 1.0f;
    const gradcam_status status = gc_constant_create(&constant, &one, e->builder->error);
    gc_tensor_free(&one);
    GC_TRY(status);
    return gc_build_fresh_constant(e->builder, e->scope, "one", constant, value);
}

/* *result = (x - zero) * scale; scale GC_ABSENT: 1. Parameters of several elements go along axis.
 */
static gradcam_status dequantize(gc_expander *e, int x, int scale, int zero, int axis, int *result)
{
    int node = 0;
    if (scale == GC_ABSENT)
        GC_TRY(constant_one(e, &scale));
    GC_TRY(add_value(e, x, "dequantized", result));
    const int inputs[] = {x, scale, zero};
    GC_TRY(add_node(e, "DequantizeLinear", inputs, zero == GC_ABSENT ? 2 : 3, *result, &node));
    return gc_node_set_int(e->builder->graph, &e->builder->graph->nodes[node], "axis", axis,
                           e->builder->error);
}

/* Dequantises inputs at, at + 1, at + 2 of the node: values, scale, zero point. */
static gradcam_status dequantize_triple(gc_expander *e, int at, int axis, int *result)
{
    if (input(e, at) == GC_ABSENT || input(e, at + 1) == GC_ABSENT)
        return fail(e, GRADCAM_ERROR_MODEL, "one of its inputs is missing");
    return dequantize(e, input(e, at), input(e, at + 1), input(e, at + 2), axis, result);
}

/* An int32 bias: its scale is the product of the other two, its zero point 0. */
static gradcam_status dequantize_bias(gc_expander *e, int bias, int scale_a, int scale_b,
                                      int *result)
{
    int scale = GC_ABSENT, node = 0;
    *result = GC_ABSENT;
    if (bias == GC_ABSENT)
        return GRADCAM_OK;
    const int factors[] = {scale_a, scale_b};
    GC_TRY(add_value(e, bias, "scale", &scale));
    GC_TRY(add_node(e, "Mul", factors, 2, scale, &node));
    return dequantize(e, bias, scale, GC_ABSENT, 0, result);
}

/* The floating operator with the node's attributes, quantised to the node's output. */
static gradcam_status compute(gc_expander *e, const char *op, const int *inputs, int count,
                              int scale, int zero)
{
    int real = GC_ABSENT, node = 0;
    GC_TRY(add_value(e, node_of(e)->outputs[0], "float", &real));
    GC_TRY(add_node(e, op, inputs, count, real, &node));
    move_attrs(e, node);
    const int quantized[] = {real, scale, zero};
    return become(e, "QuantizeLinear", quantized, zero == GC_ABSENT ? 2 : 3);
}

/* ---- ai.onnx -------------------------------------------------------------------------------- */

EXPAND(qlinear_conv)
{
    int operands[3];
    GC_TRY(require(e, 8));
    const int x_scale = input(e, 1), w_scale = input(e, 4), scale = input(e, 6);
    const int zero = input(e, 7), bias = input(e, 8);
    GC_TRY(dequantize_triple(e, 0, 1, &operands[0]));
    GC_TRY(dequantize_triple(e, 3, 0, &operands[1]));
    GC_TRY(dequantize_bias(e, bias, x_scale, w_scale, &operands[2]));
    return compute(e, e->becomes, operands, bias == GC_ABSENT ? 2 : 3, scale, zero);
}

/* Parameters of the first operand go by row, those of the second by column. */
EXPAND(qlinear_matmul)
{
    int operands[2];
    GC_TRY(require(e, 8));
    const int scale = input(e, 6), zero = input(e, 7);
    GC_TRY(dequantize_triple(e, 0, -2, &operands[0]));
    GC_TRY(dequantize_triple(e, 3, -1, &operands[1]));
    return compute(e, e->becomes, operands, 2, scale, zero);
}

/* The result is an int32 tensor, which is carried as float32, too: exact up to 2^24. */
EXPAND(integer_product)
{
    /* Zero points go by channel, those of a matrix product by row and column. */
    const bool is_conv = strcmp(e->becomes, "Conv") == 0;
    int operands[2];
    GC_TRY(require(e, 2));
    GC_TRY(dequantize(e, input(e, 0), GC_ABSENT, input(e, 2), is_conv ? 1 : -2, &operands[0]));
    GC_TRY(dequantize(e, input(e, 1), GC_ABSENT, input(e, 3), is_conv ? 0 : -1, &operands[1]));
    return become(e, e->becomes, operands, 2);
}

/* ---- com.microsoft -------------------------------------------------------------------------- */

EXPAND(standard)
{
    node_of(e)->domain = "";
    node_of(e)->opset = NEWEST_OPSET;
    return GRADCAM_OK;
}

EXPAND(binary)
{
    int operands[2];
    GC_TRY(require(e, 2));
    const int scale = input(e, 6), zero = input(e, 7);
    if (scale == GC_ABSENT)
        return fail(e, GRADCAM_ERROR_MODEL, "the output's scale is missing");
    GC_TRY(dequantize_triple(e, 0, 1, &operands[0]));
    GC_TRY(dequantize_triple(e, 3, 1, &operands[1]));
    return compute(e, e->becomes, operands, 2, scale, zero);
}

EXPAND(unary)
{
    int operand = GC_ABSENT;
    GC_TRY(require(e, 2));
    const int scale = input(e, 3), zero = input(e, 4);
    if (scale == GC_ABSENT)
        return fail(e, GRADCAM_ERROR_MODEL, "the output's scale is missing");
    if (gc_attr_int(node_of(e), "channels_last", 0) != 0)
        return fail(e, GRADCAM_ERROR_UNSUPPORTED, "channels_last = 1 is not supported");
    gc_node_remove_attr(node_of(e), "channels_last");
    GC_TRY(dequantize_triple(e, 0, 1, &operand));
    return compute(e, e->becomes, &operand, 1, scale, zero);
}

static gradcam_status with_opset(gc_expander *e, int opset)
{
    const int count = e->builder->graph->node_count;
    GC_TRY(unary(e));
    for (int n = count; n < e->builder->graph->node_count; n++)
        if (strcmp(e->builder->graph->nodes[n].op, e->becomes) == 0)
            e->builder->graph->nodes[n].opset = opset;
    return GRADCAM_OK;
}

EXPAND(qlinear_softmax)
{
    const int opset = (int)gc_attr_int(node_of(e), "opset", NEWEST_OPSET);
    gc_node_remove_attr(node_of(e), "opset");
    return with_opset(e, opset);
}

/* Axes are an attribute. */
EXPAND(qlinear_reduce_mean)
{
    return with_opset(e, 13);
}

EXPAND(qlinear_concat)
{
    gc_builder *const b = e->builder;
    GC_TRY(require(e, 5));
    const int scale = input(e, 0), zero = input(e, 1), count = (node_of(e)->input_count - 1) / 3;
    int *operands = NULL;
    GC_TRY(gc_arena_new(b->graph->arena, &operands, (size_t)count, sizeof *operands, b->error));
    for (int i = 0; i < count; i++)
        GC_TRY(dequantize_triple(e, 2 + 3 * i, 1, &operands[i]));
    return compute(e, e->becomes, operands, count, scale, zero);
}

EXPAND(qlinear_where)
{
    int operands[3] = {input(e, 0)};
    GC_TRY(require(e, 8));
    const int scale = input(e, 7), zero = input(e, 8);
    GC_TRY(dequantize_triple(e, 1, 1, &operands[1]));
    GC_TRY(dequantize_triple(e, 4, 1, &operands[2]));
    return compute(e, e->becomes, operands, 3, scale, zero);
}

/* Without an output scale the result is a float. */
EXPAND(q_gemm)
{
    int operands[3];
    GC_TRY(require(e, 5));
    const int a_scale = input(e, 1), b_scale = input(e, 4), bias = input(e, 6);
    const int scale = input(e, 7), zero = input(e, 8);
    const int column_axis = gc_attr_int(node_of(e), "transB", 0) != 0 ? 0 : 1;
    GC_TRY(dequantize_triple(e, 0, 1, &operands[0]));
    GC_TRY(dequantize_triple(e, 3, column_axis, &operands[1]));
    GC_TRY(dequantize_bias(e, bias, a_scale, b_scale, &operands[2]));
    const int count = bias == GC_ABSENT ? 2 : 3;
    return scale == GC_ABSENT ? become(e, e->becomes, operands, count)
                              : compute(e, e->becomes, operands, count, scale, zero);
}

/* ---- The table ------------------------------------------------------------------------------ */

const gc_expansion_row gc_expansion_rows[] = {
    {"ConvInteger", "", "Conv", integer_product},
    {"DequantizeLinear", microsoft, "DequantizeLinear", standard},
    {"MatMulInteger", "", "MatMul", integer_product},
    {"QGemm", microsoft, "Gemm", q_gemm},
    {"QLinearAdd", microsoft, "Add", binary},
    {"QLinearAveragePool", microsoft, "AveragePool", unary},
    {"QLinearConcat", microsoft, "Concat", qlinear_concat},
    {"QLinearConv", "", "Conv", qlinear_conv},
    {"QLinearConv", microsoft, "Conv", qlinear_conv},
    {"QLinearGlobalAveragePool", microsoft, "GlobalAveragePool", unary},
    {"QLinearLeakyRelu", microsoft, "LeakyRelu", unary},
    {"QLinearMatMul", "", "MatMul", qlinear_matmul},
    {"QLinearMul", microsoft, "Mul", binary},
    {"QLinearReduceMean", microsoft, "ReduceMean", qlinear_reduce_mean},
    {"QLinearSigmoid", microsoft, "Sigmoid", unary},
    {"QLinearSoftmax", microsoft, "Softmax", qlinear_softmax},
    {"QLinearWhere", microsoft, "Where", qlinear_where},
    {"QuantizeLinear", microsoft, "QuantizeLinear", standard},
};
const size_t gc_expansion_row_count = sizeof gc_expansion_rows / sizeof *gc_expansion_rows;

/* ---- The pass ------------------------------------------------------------------------------- */

static const gc_expansion_row *row_of(const gc_node *node)
{
    for (size_t i = 0; i < gc_expansion_row_count; i++)
        if (strcmp(node->op, gc_expansion_rows[i].op) == 0 &&
            strcmp(node->domain, gc_expansion_rows[i].domain) == 0)
            return &gc_expansion_rows[i];
    return NULL;
}

/* Added nodes stand before the one they come from, so that the order of the file is kept. */
static gradcam_status put_in_order(const gc_expander *e)
{
    gc_graph *const graph = e->builder->graph;
    gc_node *sorted = NULL;
    int added = e->old_count, count = 0;
    if (graph->node_count == e->old_count)
        return GRADCAM_OK;
    GC_TRY(gc_new(&sorted, (size_t)graph->node_count, sizeof *sorted, e->builder->error));
    for (int n = 0; n < e->old_count; n++) {
        for (; added < graph->node_count && e->origins[added - e->old_count] == n; added++)
            sorted[count++] = graph->nodes[added];
        sorted[count++] = graph->nodes[n];
    }
    memcpy(graph->nodes, sorted, (size_t)count * sizeof *sorted);
    gc_free(sorted);
    return GRADCAM_OK;
}

gradcam_status gc_expand_quantized(gc_builder *b, const gc_scope *scope)
{
    gc_expander e = {.builder = b, .scope = scope, .old_count = b->graph->node_count};
    gradcam_status status = GRADCAM_OK;
    for (; e.index < e.old_count && status == GRADCAM_OK; e.index++) {
        const gc_expansion_row *const row = row_of(node_of(&e));
        e.becomes = row != NULL ? row->becomes : NULL;
        status = row != NULL ? row->apply(&e) : GRADCAM_OK;
    }
    if (status == GRADCAM_OK)
        status = put_in_order(&e);
    gc_free(e.origins);
    return status;
}
