/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BatchNormalization after a convolution is a per-channel affine map, so it can be folded:
 *   s = scale / sqrt(variance + epsilon),  W' = s W,  b' = s (b - mean) + bias.
 */
#include "passes/passes.h"

#include <math.h>
#include <string.h>

/* Internal attributes of a BatchNormalization node. */
static const char folded_weight[] = "gradcam_folded_weight";
static const char folded_bias[] = "gradcam_folded_bias";

static const gc_tensor *constant_of(const gc_graph *graph, const gc_node *node, int input)
{
    if (input >= node->input_count || node->inputs[input] == GC_ABSENT)
        return NULL;
    const gc_constant *const c = graph->values[node->inputs[input]].constant;
    return c != NULL ? gc_constant_tensor(c) : NULL;
}

/* The convolution right before `node`, or NULL. */
static gc_node *convolution_before(const gc_graph *graph, const gc_node *node)
{
    if (strcmp(node->op, "BatchNormalization") != 0 || node->inputs[0] == GC_ABSENT)
        return NULL;
    const int producer = graph->values[node->inputs[0]].producer;
    if (producer < 0 || strcmp(graph->nodes[producer].op, "Conv") != 0)
        return NULL;
    return &graph->nodes[producer];
}

typedef struct affine {
    const gc_tensor *weight, *old_bias, *scale, *bias, *mean, *variance;
    float epsilon;
} affine;

static bool gather(const gc_graph *graph, const gc_node *conv, const gc_node *norm, affine *a)
{
    *a = (affine){.weight = constant_of(graph, conv, 1),
                  .old_bias = constant_of(graph, conv, 2),
                  .scale = constant_of(graph, norm, 1),
                  .bias = constant_of(graph, norm, 2),
                  .mean = constant_of(graph, norm, 3),
                  .variance = constant_of(graph, norm, 4),
                  .epsilon = gc_attr_float(norm, "epsilon", 1e-5f)};
    const bool has_bias = conv->input_count > 2 && conv->inputs[2] != GC_ABSENT;
    if (a->weight == NULL || a->scale == NULL || a->bias == NULL || a->mean == NULL ||
        a->variance == NULL || has_bias != (a->old_bias != NULL) || a->weight->rank < 3)
        return false;
    const int64_t channels = a->weight->dims[0];
    return gc_tensor_count(a->scale) == channels && gc_tensor_count(a->bias) == channels &&
           gc_tensor_count(a->mean) == channels && gc_tensor_count(a->variance) == channels &&
           (a->old_bias == NULL || gc_tensor_count(a->old_bias) == channels);
}

static void compute(const affine *a, gc_tensor *weight, gc_tensor *bias)
{
    const int64_t channels = a->weight->dims[0];
    const int64_t size = channels > 0 ? gc_tensor_count(a->weight) / channels : 0;
    for (int64_t c = 0; c < channels; c++) {
        const double s =
            gc_floats(a->scale)[c] / sqrt((double)gc_floats(a->variance)[c] + (double)a->epsilon);
        const double b = a->old_bias != NULL ? gc_floats(a->old_bias)[c] : 0.0;
        gc_floats(bias)[c] = (float)(s * (b - gc_floats(a->mean)[c]) + gc_floats(a->bias)[c]);
        const float *const from = gc_floats(a->weight) + c * size;
        float *const to = gc_floats(weight) + c * size;
        for (int64_t i = 0; i < size; i++)
            to[i] = (float)s * from[i];
    }
}

static gradcam_status attach(gc_graph *graph, gc_node *norm, const char *name, gc_tensor *tensor,
                             gradcam_error *error)
{
    gc_constant *constant = NULL;
    GC_TRY(gc_constant_create(&constant, tensor, error));
    const gc_attr attr = {.name = name, .type = GC_ATTR_TENSOR, .tensor = constant};
    return gc_node_set_attr(graph, norm, attr, error);
}

static gradcam_status prepare(gc_graph *graph, const gc_node *conv, gc_node *norm, const affine *a,
                              gradcam_error *error)
{
    gc_tensor weight, bias, source;
    affine loaded = *a;
    GC_TRY(gc_node_load(graph, conv, 1, &source, error));
    loaded.weight = &source;
    gc_tensor_describe(&weight, GC_FLOAT32, a->weight->rank, a->weight->dims);
    gc_tensor_describe(&bias, GC_FLOAT32, 1, a->weight->dims);
    gradcam_status status = gc_tensor_alloc(&weight, error);
    if (status == GRADCAM_OK)
        status = gc_tensor_alloc(&bias, error);
    if (status == GRADCAM_OK) {
        compute(&loaded, &weight, &bias);
        status = attach(graph, norm, folded_weight, &weight, error);
    }
    if (status == GRADCAM_OK)
        status = attach(graph, norm, folded_bias, &bias, error);
    gc_tensor_free(&weight);
    gc_tensor_free(&bias);
    return status;
}

gradcam_status gc_prepare_batchnorm(gc_graph *graph, gradcam_error *error)
{
    for (int n = 0; n < graph->node_count; n++) {
        gc_node *const norm = &graph->nodes[n];
        const gc_node *const conv = convolution_before(graph, norm);
        affine a;
        if (conv != NULL && gc_attr_find(norm, folded_bias) == NULL &&
            gather(graph, conv, norm, &a))
            GC_TRY(prepare(graph, conv, norm, &a, error));
    }
    return GRADCAM_OK;
}

/* The convolution takes the folded weights and makes the output of the normalisation. */
static gradcam_status fold(gc_graph *graph, gc_node *conv, gc_node *norm, gradcam_error *error)
{
    const gc_attr *const weight = gc_attr_find(norm, folded_weight);
    const gc_attr *const bias = gc_attr_find(norm, folded_bias);
    int *inputs = NULL;
    GC_TRY(gc_arena_new(graph->arena, &inputs, 3, sizeof *inputs, error));
    inputs[0] = conv->inputs[0];
    GC_TRY(gc_graph_add_constant(graph, "", gc_constant_retain(weight->tensor), &inputs[1], error));
    GC_TRY(gc_graph_add_constant(graph, "", gc_constant_retain(bias->tensor), &inputs[2], error));
    conv->inputs = inputs;
    conv->input_count = 3;
    const int inner = conv->outputs[0];
    conv->outputs[0] = norm->outputs[0];
    norm->outputs[0] = inner; /* no longer used by anyone: removed as dead */
    norm->inputs[0] = conv->outputs[0];
    return GRADCAM_OK;
}

gradcam_status gc_fold_batchnorm(gc_graph *graph, const bool *observed, gradcam_error *error)
{
    int *uses = NULL;
    GC_TRY(gc_count_uses(graph, &uses, error));
    gradcam_status status = GRADCAM_OK;
    for (int n = 0; n < graph->node_count && status == GRADCAM_OK; n++) {
        gc_node *const norm = &graph->nodes[n];
        gc_node *const conv = convolution_before(graph, norm);
        if (conv != NULL && gc_attr_find(norm, folded_bias) != NULL && uses[norm->inputs[0]] == 1 &&
            !observed[norm->inputs[0]])
            status = fold(graph, conv, norm, error);
    }
    gc_free(uses);
    return status == GRADCAM_OK ? gc_graph_remove_dead(graph, error) : status;
}
