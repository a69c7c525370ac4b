/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pow: the type of the base is that of the result; the exponent may be of another. Normalisations
 * are full of squares and square roots, so a scalar exponent of 2 or 0.5 has kernels of its own.
 * Where the base is 0 the gradient of the exponent is 0, and where the exponent is 0 that of the
 * base is, as in PyTorch.
 */
#include <math.h>

#include "ops/broadcast.h"
#include "ops/convert.h"

static gradcam_status infer(const gc_call *call)
{
    return gc_broadcast_infer(call, call->inputs[0]->dtype);
}

/* By squaring; overflow wraps. A negative exponent leaves 0 but for a base of 1 or -1. */
static int64_t integer_power(int64_t base, int64_t exponent)
{
    if (exponent < 0)
        return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
    uint64_t result = 1, square = (uint64_t)base;
    for (; exponent > 0; exponent >>= 1) {
        result *= exponent & 1 ? square : 1;
        square *= square;
    }
    return (int64_t)result;
}

static inline float slope(float base, float exponent)
{
    return exponent == 0.0f ? 0.0f : exponent * powf(base, exponent - 1.0f);
}

static inline float exponent_slope(float base, float exponent)
{
    return base == 0.0f && exponent >= 0.0f ? 0.0f : powf(base, exponent) * logf(base);
}

GC_SPAN_BINARY(general, float, float, float, powf(a, b))
GC_SPAN_BINARY(squares, float, float, float, ((void)b, a *a))
GC_SPAN_BINARY(roots, float, float, float, ((void)b, sqrtf(a)))
GC_SPAN_BINARY(float_integer, float, float, int64_t, powf(a, (float)b))
GC_SPAN_BINARY(integer_integer, int64_t, int64_t, int64_t, integer_power(a, b))
GC_SPAN_BINARY(integer_float, int64_t, int64_t, float,
               gc_convert_float(pow((double)a, (double)b), GC_INT64))
GC_SPAN_GRADIENT(base_part, g *slope(a, b))
GC_SPAN_GRADIENT(base_part_squares, 2.0f * g * a)
GC_SPAN_GRADIENT_OF(base_part_integer, float, int64_t, g *slope(a, (float)b))
GC_SPAN_GRADIENT(exponent_part, g *exponent_slope(a, b))

/* Is the exponent one number, and this one? */
static bool is_scalar(const gc_tensor *exponent, float value)
{
    return gc_dtype_is_float(exponent->dtype) && gc_tensor_count(exponent) == 1 &&
           gc_floats(exponent)[0] == value;
}

static gradcam_status forward(const gc_call *call)
{
    const gc_tensor *const exponent = call->inputs[1];
    const bool is_float = gc_dtype_is_float(exponent->dtype);
    if (!gc_dtype_is_float(call->inputs[0]->dtype)) {
        GC_TRY(gc_broadcast_binary(call, is_float ? integer_float : integer_integer));
        gc_convert_wrap(call->outputs[0]);
        return GRADCAM_OK;
    }
    return gc_broadcast_binary(call, !is_float                   ? float_integer
                                     : is_scalar(exponent, 2.0f) ? squares
                                     : is_scalar(exponent, 0.5f) ? roots
                                                                 : general);
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    gc_tensor exponent, exponent_grad;
    GC_TRY(gc_broadcast_align(call, call->inputs[0], call->inputs[1], &exponent));
    const gc_tensor *const operands[] = {output_grads[0], call->inputs[0], &exponent};
    if (input_grads[0] != NULL)
        gc_broadcast_reduce(output_grads[0], input_grads[0], 3, operands,
                            !gc_dtype_is_float(exponent.dtype) ? base_part_integer
                            : is_scalar(&exponent, 2.0f)       ? base_part_squares
                                                               : base_part,
                            NULL);
    if (input_grads[1] == NULL)
        return GRADCAM_OK;
    GC_TRY(gc_broadcast_align(call, call->inputs[0], input_grads[1], &exponent_grad));
    gc_broadcast_reduce(output_grads[0], &exponent_grad, 3, operands, exponent_part, NULL);
    return GRADCAM_OK;
}

const gc_op gc_op_Pow = {
    .name = "Pow",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .max_outputs = 1,
    .layouts = GC_OP_ELEMENTWISE,
    .backward_reads = GC_READS_INPUTS,
    .is_in_place = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
