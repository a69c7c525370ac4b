/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Per-channel affine maps in one pass over memory: a BatchNormalization that no convolution took
 * up, with the rectifier that follows it (DenseNet, pre-activation ResNets), and a product with one
 * factor a channel (the gate of squeeze-and-excitation).
 */
#include "engine/build.h"

#include <math.h>
#include <string.h>

/* One entry a channel, zero in the padding of a last block. */
struct gc_affine {
    float *scale; /* NULL: the step's third tensor, N x C x 1..., in the layout of the first */
    float *offset;
    bool is_rectified;
};

static gradcam_status new_vector(gc_plan *plan, float **vector, int64_t channels,
                                 gradcam_error *error)
{
    return gc_arena_new(plan->arena, vector, ((size_t)channels + 15) / 16 * 16, sizeof(float),
                        error);
}

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
    GC_TRY(gc_arena_new(plan->arena, affine, 1, sizeof **affine, error));
    GC_TRY(new_vector(plan, &(*affine)->scale, channels, error));
    GC_TRY(new_vector(plan, &(*affine)->offset, channels, error));
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
    const gc_tensor *const type = &plan->items[node->inputs[0]].type;
    return type->rank >= 3 && gc_tensor_count(type) > 0;
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

/* Where the result goes: over the input if nobody else reads that. */
static gradcam_status place_result(gc_plan *plan, int output, gc_layout layout, int from,
                                   gradcam_error *error)
{
    const bool in_place =
        gc_slot_is_free_after(plan, from, 1) && !gc_concat_hosts(plan, output, layout);
    return gc_item_place(plan, output, layout, in_place ? from : GC_NO_SLOT, error);
}

/* From the home of `input` to that of `output`; `factors` is a value or GC_ABSENT. */
static gradcam_status add_step(gc_plan *plan, const gc_affine *affine, int input, int factors,
                               int output, gradcam_error *error)
{
    const gc_layout layout = plan->items[input].home;
    const int from = plan->items[input].slots[layout];
    int factor_slot = GC_NO_SLOT;
    gc_step *step = NULL;
    if (factors != GC_ABSENT)
        GC_TRY(gc_item_need(plan, factors, layout, &factor_slot, error));
    GC_TRY(place_result(plan, output, layout, from, error));
    GC_TRY(gc_step_add(plan, GC_STEP_AFFINE, 3, &step, error));
    step->affine = affine;
    gc_tensor type = plan->items[input].type;
    type.layout = layout;
    gc_step_set(plan, step, 0, &type, from);
    gc_step_set(plan, step, 1, &type, plan->items[output].slots[layout]);
    if (factors == GC_ABSENT)
        return GRADCAM_OK;
    type = plan->items[factors].type;
    type.layout = layout;
    gc_step_set(plan, step, 2, &type, factor_slot);
    return GRADCAM_OK;
}

gradcam_status gc_forward_affine(gc_plan *plan, int index, bool *taken, gradcam_error *error)
{
    const gc_node *const node = &plan->graph->nodes[index];
    int next = 0;
    gc_affine *affine = NULL;
    if (!fits(plan, node))
        return GRADCAM_OK;
    const gc_node *const rectifier = rectifier_of(plan, node->outputs[0], &next);
    const int output = rectifier != NULL ? rectifier->outputs[0] : node->outputs[0];
    GC_TRY(fold(plan, node, &affine, error));
    affine->is_rectified = rectifier != NULL;
    GC_TRY(add_step(plan, affine, node->inputs[0], GC_ABSENT, output, error));
    gc_node_is_planned(plan, index);
    if (rectifier != NULL)
        gc_node_is_planned(plan, next);
    *taken = true;
    return GRADCAM_OK;
}

/* Is the value one factor a channel of `whole`, and computed? */
static bool is_gate_of(const gc_plan *plan, int value, const gc_tensor *whole)
{
    const gc_tensor *const type = &plan->graph->values[value].type;
    if (gc_is_constant(plan, value) || !gc_dtype_is_float(type->dtype) ||
        type->rank != whole->rank || type->dims[0] != whole->dims[0] ||
        type->dims[1] != whole->dims[1])
        return false;
    for (int i = 2; i < type->rank; i++)
        if (type->dims[i] != 1)
            return false;
    return true;
}

gradcam_status gc_forward_gate(gc_plan *plan, int index, bool *taken, gradcam_error *error)
{
    const gc_node *const node = &plan->graph->nodes[index];
    const gc_tensor *const whole = &plan->graph->values[node->outputs[0]].type;
    gc_affine *affine = NULL;
    if (node->input_count != 2 || whole->rank < 3 || whole->rank > 5 ||
        gc_attr_find(node, "axis") != NULL || gc_tensor_count(whole) == 0)
        return GRADCAM_OK;
    const int gate = is_gate_of(plan, node->inputs[1], whole) ? 1 : 0;
    const int input = node->inputs[1 - gate];
    if (!is_gate_of(plan, node->inputs[gate], whole) || gc_is_constant(plan, input) ||
        !gc_tensor_same_dims(&plan->graph->values[input].type, whole) ||
        plan->items[input].home == GC_LAYOUT_PLAIN)
        return GRADCAM_OK;
    GC_TRY(gc_arena_new(plan->arena, &affine, 1, sizeof *affine, error));
    GC_TRY(new_vector(plan, &affine->offset, whole->dims[1], error));
    GC_TRY(add_step(plan, affine, input, node->inputs[gate], node->outputs[0], error));
    gc_node_is_planned(plan, index);
    *taken = true;
    return GRADCAM_OK;
}

/* ---- Running -------------------------------------------------------------------------------- */

enum { POSITIONS = 32, BLOCK = 16 };

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

void gc_affine_run(const gc_affine *affine, const gc_tensor *from, const gc_tensor *to,
                   const gc_tensor *factors)
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
        const int64_t first = i % pieces * POSITIONS, left = v.spatial - first;
        const int64_t at = (outer * v.spatial + first) * v.inner;
        const int64_t positions = left < POSITIONS ? left : POSITIONS;
        const float *const scale =
            affine->scale != NULL ? affine->scale + channel : gc_floats(factors) + outer * v.inner;
        const float *const offset = affine->offset + channel;
        if (v.inner == 1)
            apply_row(x + at, y + at, v.spatial, scale[0], offset[0], lowest);
        else if (v.inner == BLOCK)
            apply_block(x + at, y + at, positions, scale, offset, lowest);
        else
            apply(x + at, y + at, positions, v.inner, scale, offset, v.inner, lowest);
    }
}
