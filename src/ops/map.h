/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of element-wise functions of one float input: y = f(x), dx = f'(x) dy. A function is
 * written for one element; the macro makes loops and a row of it. Where f' is easier from y, or
 * needs nothing, the row says so and the input need not be kept.
 */
#ifndef GC_OPS_MAP_H
#define GC_OPS_MAP_H

#include "ops/check.h"

/** The attributes of such an operator: at most two numbers. */
typedef struct gc_map_params {
    float alpha, beta;
} gc_map_params;

/** One attribute or two (second NULL: none), with their defaults. */
static inline gc_map_params gc_map_read(const gc_node *node, const char *first, float first_default,
                                        const char *second, float second_default)
{
    return (gc_map_params){
        .alpha = first != NULL ? gc_attr_float(node, first, first_default) : 0.0f,
        .beta = second != NULL ? gc_attr_float(node, second, second_default) : 0.0f,
    };
}

#define GC_MAP_NO_PARAMS gc_map_read(node, NULL, 0.0f, NULL, 0.0f)

static inline gradcam_status gc_map_infer_float(const gc_call *call)
{
    GC_TRY(gc_check_float(call, 0));
    return gc_op_infer_same(call);
}

#define GC_MAP_LOOP                                                                                \
    _Pragma("omp parallel for simd schedule(static) if (count > GC_PARALLEL_ELEMENTS)")

/**
 * static NAME_forward and NAME_backward.
 *
 * READS     GC_READS_INPUTS, _OUTPUTS or _NOTHING: what slope's first argument is.
 * PARAMS    an expression of `node` that gives gc_map_params
 * function  float function(float x, gc_map_params p)
 * slope     float slope(float x_or_y, gc_map_params p)
 */
#define GC_MAP_KERNELS(NAME, READS, PARAMS, function, slope)                                       \
    static gradcam_status NAME##_forward(const gc_call *call)                                      \
    {                                                                                              \
        const gc_node *const node = call->node;                                                    \
        const gc_map_params p = PARAMS;                                                            \
        const float *const x = gc_floats(call->inputs[0]);                                         \
        float *const y = gc_floats(call->outputs[0]);                                              \
        const int64_t count = gc_tensor_count(call->inputs[0]);                                    \
        (void)node;                                                                                \
        GC_MAP_LOOP                                                                                \
        for (int64_t i = 0; i < count; i++)                                                        \
            y[i] = function(x[i], p);                                                              \
        return GRADCAM_OK;                                                                         \
    }                                                                                              \
                                                                                                   \
    static gradcam_status NAME##_backward(                                                         \
        const gc_call *call, const gc_tensor *const *output_grads, gc_tensor *const *input_grads)  \
    {                                                                                              \
        const gc_node *const node = call->node;                                                    \
        const gc_map_params p = PARAMS;                                                            \
        const float *const gy = gc_floats(output_grads[0]);                                        \
        const float *const v = (READS) == GC_READS_INPUTS    ? gc_floats(call->inputs[0])          \
                               : (READS) == GC_READS_OUTPUTS ? gc_floats(call->outputs[0])         \
                                                             : gy;                                 \
        float *const gx = gc_floats(input_grads[0]);                                               \
        const int64_t count = gc_tensor_count(output_grads[0]);                                    \
        (void)node;                                                                                \
        GC_MAP_LOOP                                                                                \
        for (int64_t i = 0; i < count; i++)                                                        \
            gx[i] = gy[i] * slope(v[i], p);                                                        \
        return GRADCAM_OK;                                                                         \
    }

#define GC_MAP_ROW_WITH(NAME, READS, INFER, FORWARD)                                               \
    const gc_op gc_op_##NAME = {                                                                   \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .since = 1,                                                                                \
        .min_inputs = 1,                                                                           \
        .max_inputs = 1,                                                                           \
        .max_outputs = 1,                                                                          \
        .layouts = GC_OP_ELEMENTWISE,                                                              \
        .backward_reads = READS,                                                                   \
        .is_in_place = true,                                                                       \
        .infer = INFER,                                                                            \
        .forward = FORWARD,                                                                        \
        .backward = NAME##_backward,                                                               \
    }

/** Kernels and row. To be followed by a semicolon. */
#define GC_MAP(NAME, READS, PARAMS, function, slope)                                               \
    GC_MAP_KERNELS(NAME, READS, PARAMS, function, slope)                                           \
    GC_MAP_ROW_WITH(NAME, READS, gc_map_infer_float, NAME##_forward)

#endif
