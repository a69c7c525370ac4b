/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/biases.h"

#include <math.h>
#include <string.h>

static const gc_tensor *constant_input(const gc_graph *g, const gc_node *node, int input)
{
    if (input >= node->input_count || node->inputs[input] == GC_ABSENT)
        return NULL;
    const gc_value *const v = &g->values[node->inputs[input]];
    return v->constant != NULL && gc_dtype_is_float(v->type.dtype) ? gc_constant_tensor(v->constant)
                                                                   : NULL;
}

static gradcam_status scaled(gc_arena *arena, const gc_tensor *from, float factor, gc_biased *b,
                             gradcam_error *error)
{
    float *values = NULL;
    b->count = gc_tensor_count(from);
    GC_TRY(gc_arena_new(arena, &values, (size_t)b->count, sizeof *values, error));
    for (int64_t i = 0; i < b->count; i++)
        values[i] = factor * gc_floats(from)[i];
    b->values = values;
    return GRADCAM_OK;
}

/* beta - mean gamma / sqrt(var + eps) */
static gradcam_status of_batchnorm(const gc_graph *g, const gc_node *node, gc_arena *arena,
                                   gc_biased *b, gradcam_error *error)
{
    const gc_tensor *in[5] = {NULL};
    for (int i = 1; i < 5; i++)
        if ((in[i] = constant_input(g, node, i)) == NULL)
            return GRADCAM_OK;
    const float epsilon = gc_attr_float(node, "epsilon", 1e-5f);
    float *values = NULL;
    b->count = gc_tensor_count(in[2]);
    GC_TRY(gc_arena_new(arena, &values, (size_t)b->count, sizeof *values, error));
    for (int64_t i = 0; i < b->count; i++)
        values[i] = gc_floats(in[2])[i] - gc_floats(in[3])[i] * gc_floats(in[1])[i] /
                                              sqrtf(gc_floats(in[4])[i] + epsilon);
    b->values = values;
    b->is_spatial = true;
    return GRADCAM_OK;
}

/* A constant that is the same everywhere, or differs by channel only. */
static bool is_by_channel(const gc_tensor *constant, const gc_tensor *result)
{
    const int64_t count = gc_tensor_count(constant);
    if (count == 1)
        return true;
    const int axis = constant->rank - (result->rank - 1); /* of the channel in the constant */
    return result->rank >= 2 && axis >= 0 && constant->dims[axis] == result->dims[1] &&
           count == result->dims[1];
}

static gradcam_status of_sum(const gc_graph *g, const gc_node *node, gc_arena *arena, gc_biased *b,
                             gradcam_error *error)
{
    const bool is_difference = strcmp(node->op, "Sub") == 0;
    for (int i = 0; i < 2; i++) {
        const gc_tensor *const c = constant_input(g, node, i);
        if (c != NULL && is_by_channel(c, &g->values[node->outputs[0]].type))
            return scaled(arena, c, is_difference && i == 1 ? -1.0f : 1.0f, b, error);
    }
    return GRADCAM_OK;
}

static gradcam_status of_node(const gc_graph *g, const gc_node *node, gc_arena *arena, gc_biased *b,
                              gradcam_error *error)
{
    const bool is_conv = strcmp(node->op, "Conv") == 0 || strcmp(node->op, "ConvTranspose") == 0;
    const gc_tensor *const third = constant_input(g, node, 2);
    *b = (gc_biased){.value = node->outputs[0], .is_spatial = is_conv};
    if (strcmp(node->op, "BatchNormalization") == 0)
        return of_batchnorm(g, node, arena, b, error);
    if (strcmp(node->op, "Add") == 0 || strcmp(node->op, "Sub") == 0)
        return of_sum(g, node, arena, b, error);
    if (third == NULL || (!is_conv && strcmp(node->op, "Gemm") != 0))
        return GRADCAM_OK;
    return scaled(arena, third, is_conv ? 1.0f : gc_attr_float(node, "beta", 1.0f), b, error);
}

static void mark_leading(const gc_graph *g, int score, bool *leads)
{
    leads[score] = true;
    for (int n = g->node_count - 1; n >= 0; n--)
        for (int o = 0; o < g->nodes[n].output_count; o++)
            if (g->nodes[n].outputs[o] != GC_ABSENT && leads[g->nodes[n].outputs[o]])
                for (int i = 0; i < g->nodes[n].input_count; i++)
                    if (g->nodes[n].inputs[i] != GC_ABSENT)
                        leads[g->nodes[n].inputs[i]] = true;
}

gradcam_status gc_biases_find(const gc_graph *g, int score, gc_arena *arena, gc_biased **biased,
                              int *count, gradcam_error *error)
{
    bool *leads = NULL;
    gradcam_status status = GRADCAM_OK;
    *count = 0;
    GC_TRY(gc_arena_new(arena, biased, (size_t)g->node_count, sizeof **biased, error));
    GC_TRY(gc_new(&leads, (size_t)g->value_count, sizeof *leads, error));
    mark_leading(g, score, leads);
    for (int n = 0; n < g->node_count && status == GRADCAM_OK; n++) {
        gc_biased b = {0};
        if (!leads[g->nodes[n].outputs[0]])
            continue;
        status = of_node(g, &g->nodes[n], arena, &b, error);
        if (status == GRADCAM_OK && b.values != NULL)
            (*biased)[(*count)++] = b;
    }
    gc_free(leads);
    return status;
}
