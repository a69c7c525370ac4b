/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Per-channel affine maps: a BatchNormalization that no convolution took up, and the rectifier that
 * follows it (DenseNet, pre-activation ResNets), in one pass over memory.
 */
#include "engine/build.h"

#include <math.h>
#include <string.h>

struct gc_affine {
    float *scale, *offset; /* a channel, zero in the padding of a last block */
    bool is_rectified;
};

static const gc_tensor *constant(const gc_plan *plan, const gc_node *node, int input)
{
    const gc_constant *const c = plan->graph->values[node->inputs[input]].constant;
    return c != NULL ? gc_constant_tensor(c) : NULL;
}

static gradcam_status fold(gc_plan *plan, const gc_node *node, gc_affine **affine,
                           gradcam_error *error)
{
    const double epsilon = (double)gc_attr_float(node, "epsilon", 1e-5f);
    const float *const gamma = gc_floats(constant(plan, node, 1));
    const float *const beta = gc_floats(constant(plan, node, 2));
    const float *const mean = gc_floats(constant(plan, node, 3));
    const float *const variance = gc_floats(constant(plan, node, 4));
    const int64_t channels = constant(plan, node, 1)->dims[0];
    const size_t padded = ((size_t)channels + 15) / 16 * 16;
    GC_TRY(gc_arena_new(plan->arena, affine, 1, sizeof **affine, error));
    GC_TRY(gc_arena_new(plan->arena, &(*affine)->scale, padded, sizeof(float), error));
    GC_TRY(gc_arena_new(plan->arena, &(*affine)->offset, padded, sizeof(float), error));
    for (int64_t c = 0; c < channels; c++) {
        const double factor = (double)gamma[c] / sqrt((double)variance[c] + epsilon);
        (*affine)->scale[c] = (float)factor;
        (*affine)->offset[c] = (float)((double)beta[c] - (double)mean[c] * factor);
    }
    return GRADCAM_OK;
}

static bool fits(const gc_plan *plan, const gc_node *node)
{
    for (int i = 1; i < 5; i++)
        if (constant(plan, node, i) == NULL)
            return false;
    return plan->items[node->inputs[0]].type.rank >= 3;
}

/* The rectifier that alone reads the result, or NULL. */
static const gc_node *rectifier_of(const gc_plan *plan, int value, int *index)
{
    *index = plan->readers[value][0];
    if (plan->is_kept[value] || plan->uses[value] != 1)
        return NULL;
    const gc_node *const next = &plan->graph->nodes[*index];
    return strcmp(next->op, "Relu") == 0 && next->domain[0] == '\0' ? next : NULL;
}

gradcam_status gc_forward_affine(gc_plan *plan, int index, bool *taken, gradcam_error *error)
{
    const gc_node *const node = &plan->graph->nodes[index];
    int next = 0, slot = GC_NO_SLOT;
    gc_affine *affine = NULL;
    gc_step *step = NULL;
    if (!fits(plan, node))
        return GRADCAM_OK;
    const gc_node *const rectifier = rectifier_of(plan, node->outputs[0], &next);
    const int input = node->inputs[0];
    const int output = rectifier != NULL ? rectifier->outputs[0] : node->outputs[0];
    const gc_layout layout = plan->items[input].home;
    const int from = plan->items[input].slots[layout];
    GC_TRY(fold(plan, node, &affine, error));
    affine->is_rectified = rectifier != NULL;
    if (gc_slot_is_free_after(plan, from, 1) && !gc_concat_hosts(plan, output, layout))
        slot = from;
    GC_TRY(gc_item_place(plan, output, layout, slot, error));
    GC_TRY(gc_step_add(plan, GC_STEP_AFFINE, 2, &step, error));
    gc_tensor type = plan->items[input].type;
    type.layout = layout;
    step->affine = affine;
    gc_step_set(plan, step, 0, &type, from);
    gc_step_set(plan, step, 1, &type, plan->items[output].slots[layout]);
    gc_node_is_planned(plan, index);
    if (rectifier != NULL)
        gc_node_is_planned(plan, next);
    *taken = true;
    return GRADCAM_OK;
}

/* ---- Running -------------------------------------------------------------------------------- */

/* A run of adjacent channels at `positions` positions. */
static void apply(const float *x, float *y, int64_t positions, int64_t step, const float *scale,
                  const float *offset, int64_t channels, float lowest)
{
    for (int64_t s = 0; s < positions; s++)
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) {
            const float value = x[s * step + c] * scale[c] + offset[c];
            y[s * step + c] = value < lowest ? lowest : value;
        }
}

/* Whole vectors of constants stay in registers. */
static void apply_block(const float *x, float *y, int64_t positions, const float *scale,
                        const float *offset, float lowest)
{
    enum { BLOCK = 16 };
    float a[BLOCK], b[BLOCK];
    memcpy(a, scale, sizeof a);
    memcpy(b, offset, sizeof b);
    for (int64_t s = 0; s < positions; s++)
#pragma omp simd
        for (int c = 0; c < BLOCK; c++) {
            const float value = x[s * BLOCK + c] * a[c] + b[c];
            y[s * BLOCK + c] = value < lowest ? lowest : value;
        }
}

static void apply_row(const float *x, float *y, int64_t positions, float scale, float offset,
                      float lowest)
{
#pragma omp simd
    for (int64_t s = 0; s < positions; s++) {
        const float value = x[s] * scale + offset;
        y[s] = value < lowest ? lowest : value;
    }
}

enum { POSITIONS = 32 };

void gc_affine_run(const gc_affine *affine, const gc_tensor *from, const gc_tensor *to)
{
    const gc_spatial v = gc_spatial_of(from);
    const float *const x = gc_floats(from);
    float *const y = gc_floats(to);
    const float lowest = affine->is_rectified ? 0.0f : -INFINITY;
    const int64_t rows = v.outer / from->dims[0]; /* of an image */
    const int64_t pieces = v.inner == 1 ? 1 : (v.spatial + POSITIONS - 1) / POSITIONS;
    const int64_t work = v.outer * pieces;
#pragma omp parallel for schedule(static) if (v.outer * v.spatial * v.inner > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < work; i++) {
        const int64_t outer = i / pieces, channel = outer % rows * v.inner;
        const int64_t first = i % pieces * POSITIONS;
        const int64_t at = (outer * v.spatial + first) * v.inner;
        const int64_t left = v.spatial - first;
        if (v.inner == 1)
            apply_row(x + at, y + at, v.spatial, affine->scale[channel], affine->offset[channel],
                      lowest);
        else if (v.inner == 16)
            apply_block(x + at, y + at, left < POSITIONS ? left : POSITIONS,
                        affine->scale + channel, affine->offset + channel, lowest);
        else
            apply(x + at, y + at, left < POSITIONS ? left : POSITIONS, v.inner,
                  affine->scale + channel, affine->offset + channel, v.inner, lowest);
    }
}
