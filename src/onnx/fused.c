/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators of com.microsoft, which ONNX Runtime's optimiser writes, as the standard ones they are
 * made of. Their definitions: ONNX Runtime's docs/ContribOperators.md.
 */
#include <string.h>

#include "onnx/build.h"

enum { NEWEST = 21 }; /* opset of what is made here: it is in canonical form */

typedef struct expansion {
    gc_builder *b;
    const gc_scope *scope;
    const gc_node *call;
} expansion;

/* ---- Parts ---------------------------------------------------------------------------------- */

static int input(const expansion *x, int index)
{
    return index < x->call->input_count ? x->call->inputs[index] : GC_ABSENT;
}

/* One more node; *value becomes its output. The last one is given the call's name and output. */
static gradcam_status add(const expansion *x, const char *op, const int *inputs, int count,
                          int *value)
{
    gc_graph *const graph = x->b->graph;
    const char *name = NULL;
    gc_node *node = NULL;
    const char *const base = x->call->name[0] != '\0' ? x->call->name
                             : x->call->outputs[0] != GC_ABSENT
                                 ? graph->values[x->call->outputs[0]].name
                                 : x->call->op;
    GC_TRY(gc_arena_format(graph->arena, &name, x->b->error, "%s/%s", base, op));
    GC_TRY(gc_graph_add_node(graph, name, op, "", NEWEST, count, 1, &node, x->b->error));
    for (int i = 0; i < count; i++)
        node->inputs[i] = inputs[i];
    GC_TRY(gc_graph_add_value(graph, name, value, x->b->error));
    node->outputs[0] = *value;
    return GRADCAM_OK;
}

static gradcam_status add2(const expansion *x, const char *op, int a, int b, int *value)
{
    return add(x, op, (const int[]){a, b}, 2, value);
}

static gc_node *last(const expansion *x)
{
    return &x->b->graph->nodes[x->b->graph->node_count - 1];
}

static gradcam_status number(const expansion *x, gc_dtype dtype, double value, int *index)
{
    gc_tensor tensor;
    gc_constant *constant = NULL;
    gc_tensor_describe(&tensor, dtype, dtype == GC_INT64 ? 1 : 0, (const int64_t[]){1});
    GC_TRY(gc_tensor_alloc(&tensor, x->b->error));
    if (dtype == GC_INT64)
        gc_ints(&tensor)[0] = (int64_t)value;
    else
        gc_floats(&tensor)[0] = (float)value;
    const gradcam_status status = gc_constant_create(&constant, &tensor, x->b->error);
    gc_tensor_free(&tensor);
    GC_TRY(status);
    return gc_build_fresh_constant(x->b, x->scope, "fused.constant", constant, index);
}

static gradcam_status set_float(const expansion *x, const char *name, float value)
{
    const gc_attr attr = {.name = name, .type = GC_ATTR_FLOAT, .f = value};
    return gc_node_set_attr(x->b->graph, last(x), attr, x->b->error);
}

static gradcam_status unsupported(const expansion *x, const char *what)
{
    char text[GC_NODE_TEXT];
    return gc_fail(x->b->error, GRADCAM_ERROR_UNSUPPORTED, "%s: %s is not supported",
                   gc_node_text(x->b->graph, x->call, text), what);
}

static gradcam_status add_if_there(const expansion *x, int other, int *value)
{
    return other == GC_ABSENT ? GRADCAM_OK : add2(x, "Add", *value, other, value);
}

static gradcam_status scale(const expansion *x, float factor, int *value)
{
    int constant = 0;
    if (factor == 1.0f)
        return GRADCAM_OK;
    GC_TRY(number(x, GC_FLOAT32, (double)factor, &constant));
    return add2(x, "Mul", *value, constant, value);
}

/* ---- Activations ---------------------------------------------------------------------------- */

/* Parameters are those of the standard operator, in the order alpha, beta or min, max. */
static gradcam_status activate(const expansion *x, const char *op, const float *parameters,
                               size_t count, int *value)
{
    static const char *const plain[] = {"Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid"};
    int bounds[3] = {*value, GC_ABSENT, GC_ABSENT};
    if (strcmp(op, "Clip") == 0) {
        for (size_t i = 0; i < count && i < 2; i++)
            GC_TRY(number(x, GC_FLOAT32, (double)parameters[i], &bounds[1 + i]));
        return add(x, op, bounds, 3, value);
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (strcmp(op, plain[i]) != 0)
            continue;
        GC_TRY(add(x, op, bounds, 1, value));
        if (i >= 3 && count > 0)
            GC_TRY(set_float(x, "alpha", parameters[0]));
        return i == 4 && count > 1 ? set_float(x, "beta", parameters[1]) : GRADCAM_OK;
    }
    return unsupported(x, "its activation");
}

static gradcam_status copy_attrs(const expansion *x)
{
    GC_TRY(gc_node_copy_attrs(x->b->graph, last(x), x->call, x->b->error));
    static const char *const others[] = {"activation", "activation_params", "activation_alpha",
                                         "activation_beta", "activation_gamma"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        gc_node_remove_attr(last(x), others[i]);
    return GRADCAM_OK;
}

static gradcam_status fused_conv(const expansion *x, int *value)
{
    const gc_attr *const p = gc_attr_find(x->call, "activation_params");
    const bool has = p != NULL && p->type == GC_ATTR_FLOATS;
    const char *const op = gc_attr_string(x->call, "activation", "");
    GC_TRY(add(x, "Conv", (const int[]){input(x, 0), input(x, 1), input(x, 2)},
               input(x, 2) != GC_ABSENT ? 3 : 2, value));
    GC_TRY(copy_attrs(x));
    GC_TRY(add_if_there(x, input(x, 3), value));
    return op[0] == '\0' ? GRADCAM_OK
                         : activate(x, op, has ? p->floats : NULL, has ? p->count : 0, value);
}

static gradcam_status fused_gemm(const expansion *x, int *value)
{
    const char *const op = gc_attr_string(x->call, "activation", "");
    const float parameters[] = {gc_attr_float(x->call, "activation_alpha", 0.0f),
                                gc_attr_float(x->call, "activation_beta", 0.0f)};
    const size_t count = gc_attr_find(x->call, "activation_alpha") == NULL  ? 0
                         : gc_attr_find(x->call, "activation_beta") == NULL ? 1
                                                                            : 2;
    GC_TRY(add(x, "Gemm", (const int[]){input(x, 0), input(x, 1), input(x, 2)},
               input(x, 2) != GC_ABSENT ? 3 : 2, value));
    GC_TRY(copy_attrs(x));
    return op[0] == '\0' ? GRADCAM_OK : activate(x, op, parameters, count, value);
}

/* ---- Products and normalisation ------------------------------------------------------------- */

static gradcam_status fused_matmul(const expansion *x, int *value)
{
    static const char *const equations[] = {"", "...ki,...kj->...ij", "...ik,...jk->...ij",
                                            "...ki,...jk->...ij"};
    const int which =
        (gc_attr_int(x->call, "transA", 0) != 0) + 2 * (gc_attr_int(x->call, "transB", 0) != 0);
    if (gc_attr_int(x->call, "transBatchA", 0) != 0 || gc_attr_int(x->call, "transBatchB", 0) != 0)
        return unsupported(x, "a product with transposed batches");
    GC_TRY(add2(x, which == 0 ? "MatMul" : "Einsum", input(x, 0), input(x, 1), value));
    if (which != 0) {
        const gc_attr attr = {.name = "equation", .type = GC_ATTR_STRING, .s = equations[which]};
        GC_TRY(gc_node_set_attr(x->b->graph, last(x), attr, x->b->error));
    }
    return scale(x, gc_attr_float(x->call, "alpha", 1.0f), value);
}

static gradcam_status skip_layer_norm(const expansion *x, int *value)
{
    int sum = input(x, 0);
    GC_TRY(add_if_there(x, input(x, 1), &sum));
    GC_TRY(add_if_there(x, input(x, 4), &sum));
    const bool is_summed = sum != input(x, 0);
    if (is_summed && x->call->output_count > 3 && x->call->outputs[3] != GC_ABSENT) {
        last(x)->outputs[0] = x->call->outputs[3];
        sum = x->call->outputs[3];
    }
    GC_TRY(add(x, "LayerNormalization", (const int[]){sum, input(x, 2), input(x, 3)},
               input(x, 3) != GC_ABSENT ? 3 : 2, value));
    return set_float(x, "epsilon", gc_attr_float(x->call, "epsilon", 1e-12f));
}

/* ---- Gelu and its relatives ----------------------------------------------------------------- */

static gradcam_status gelu(const expansion *x, int *value)
{
    *value = input(x, 0);
    GC_TRY(add_if_there(x, input(x, 1), value)); /* of BiasGelu */
    return add(x, "Gelu", value, 1, value);
}

static gradcam_status fast_gelu(const expansion *x, int *value)
{
    const gc_attr attr = {.name = "approximate", .type = GC_ATTR_STRING, .s = "tanh"};
    GC_TRY(gelu(x, value));
    return gc_node_set_attr(x->b->graph, last(x), attr, x->b->error);
}

/* x * sigmoid(alpha x) */
static gradcam_status quick_gelu(const expansion *x, int *value)
{
    *value = input(x, 0);
    GC_TRY(scale(x, gc_attr_float(x->call, "alpha", 1.702f), value));
    GC_TRY(add(x, "Sigmoid", value, 1, value));
    return add2(x, "Mul", input(x, 0), *value, value);
}

static gradcam_status bias_add(const expansion *x, int *value)
{
    *value = input(x, 0);
    GC_TRY(add_if_there(x, input(x, 1), value));
    return add_if_there(x, input(x, 2), value);
}

/* ---- The table ------------------------------------------------------------------------------ */

static const struct {
    const char *op;
    gradcam_status (*expand)(const expansion *x, int *value);
} rows[] = {
    {"BiasAdd", bias_add},
    {"BiasGelu", gelu},
    {"FastGelu", fast_gelu},
    {"FusedConv", fused_conv},
    {"FusedGemm", fused_gemm},
    {"FusedMatMul", fused_matmul},
    {"Gelu", gelu},
    {"QuickGelu", quick_gelu},
    {"TransposeMatMul", fused_matmul},
    {"SkipLayerNormalization", skip_layer_norm},
};

static gradcam_status expand(const expansion *x,
                             gradcam_status (*make)(const expansion *x, int *value))
{
    int value = GC_ABSENT;
    if (x->call->input_count < 1 || x->call->output_count < 1)
        return unsupported(x, "a node without inputs or outputs");
    const int before = x->b->graph->node_count;
    GC_TRY(make(x, &value));
    if (x->b->graph->node_count == before) /* a sum of one */
        GC_TRY(add(x, "Identity", &value, 1, &value));
    last(x)->outputs[0] = x->call->outputs[0];
    last(x)->name = x->call->name;
    return GRADCAM_OK;
}

gradcam_status gc_build_fused(gc_builder *b, const gc_scope *scope)
{
    const gc_node call = b->graph->nodes[b->graph->node_count - 1];
    const expansion x = {b, scope, &call};
    if (strcmp(call.domain, "com.microsoft") != 0)
        return GRADCAM_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(call.op, rows[i].op) != 0)
            continue;
        b->graph->node_count--;
        gc_node released = call;
        const gradcam_status status = expand(&x, rows[i].expand);
        gc_node_release(&released);
        return status;
    }
    return GRADCAM_OK;
}
