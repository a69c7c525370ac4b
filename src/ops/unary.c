/* SPDX-License-Identifier: Apache-2.0 */
/* Mathematical functions of one input. Neg, Abs and Sign take integers, too. The gradient of a step
 * function is 0, as in PyTorch. */
#include <math.h>

#include "ops/map.h"

#define PLAIN(NAME, READS, forward_expression, slope_expression)                                   \
    static inline float NAME##_value(float x, gc_map_params p)                                     \
    {                                                                                              \
        (void)p;                                                                                   \
        return forward_expression;                                                                 \
    }                                                                                              \
                                                                                                   \
    static inline float NAME##_slope(float v, gc_map_params p)                                     \
    {                                                                                              \
        (void)p;                                                                                   \
        (void)v;                                                                                   \
        return slope_expression;                                                                   \
    }                                                                                              \
                                                                                                   \
    GC_MAP_KERNELS(NAME, READS, GC_MAP_NO_PARAMS, NAME##_value, NAME##_slope)

/* v is x or y, as READS says. */
#define FLOAT_ONLY(NAME, READS, forward_expression, slope_expression)                              \
    PLAIN(NAME, READS, forward_expression, slope_expression)                                       \
    GC_MAP_ROW_WITH(NAME, READS, gc_map_infer_float, NAME##_forward)

#define WITH_INTEGERS(NAME, READS, forward_expression, slope_expression, integer_expression)       \
    PLAIN(NAME, READS, forward_expression, slope_expression)                                       \
    static gradcam_status NAME##_any(const gc_call *call)                                          \
    {                                                                                              \
        if (gc_dtype_is_float(call->inputs[0]->dtype))                                             \
            return NAME##_forward(call);                                                           \
        const int64_t *const x = gc_ints(call->inputs[0]);                                         \
        int64_t *const y = gc_ints(call->outputs[0]);                                              \
        const int64_t count = gc_tensor_count(call->inputs[0]);                                    \
        for (int64_t i = 0; i < count; i++)                                                        \
            y[i] = integer_expression;                                                             \
        return GRADCAM_OK;                                                                         \
    }                                                                                              \
    GC_MAP_ROW_WITH(NAME, READS, gc_op_infer_same, NAME##_any)

static const float two_over_sqrt_pi = 1.12837916709551257390f;

static inline float sign_of(float x)
{
    return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; /* NaN stays NaN, and -0 stays -0 */
}

/* Through unsigned: the negation of INT64_MIN wraps, as in NumPy. */
static inline int64_t negated(int64_t x)
{
    return (int64_t)(0 - (uint64_t)x);
}

FLOAT_ONLY(Acos, GC_READS_INPUTS, acosf(x), -1.0f / sqrtf(1.0f - v * v));
FLOAT_ONLY(Acosh, GC_READS_INPUTS, acoshf(x), 1.0f / sqrtf((v - 1.0f) * (v + 1.0f)));
FLOAT_ONLY(Asin, GC_READS_INPUTS, asinf(x), 1.0f / sqrtf(1.0f - v * v));
FLOAT_ONLY(Asinh, GC_READS_INPUTS, asinhf(x), 1.0f / sqrtf(1.0f + v * v));
FLOAT_ONLY(Atan, GC_READS_INPUTS, atanf(x), 1.0f / (1.0f + v * v));
FLOAT_ONLY(Atanh, GC_READS_INPUTS, atanhf(x), 1.0f / (1.0f - v * v));
FLOAT_ONLY(Ceil, GC_READS_NOTHING, ceilf(x), 0.0f);
FLOAT_ONLY(Cos, GC_READS_INPUTS, cosf(x), -sinf(v));
FLOAT_ONLY(Cosh, GC_READS_INPUTS, coshf(x), sinhf(v));
FLOAT_ONLY(Erf, GC_READS_INPUTS, erff(x), two_over_sqrt_pi *expf(-v *v));
FLOAT_ONLY(Exp, GC_READS_OUTPUTS, expf(x), v);
FLOAT_ONLY(Floor, GC_READS_NOTHING, floorf(x), 0.0f);
FLOAT_ONLY(Log, GC_READS_INPUTS, logf(x), 1.0f / v);
FLOAT_ONLY(Reciprocal, GC_READS_OUTPUTS, 1.0f / x, -v *v);
FLOAT_ONLY(Round, GC_READS_NOTHING, rintf(x), 0.0f); /* halves to the even neighbour */
FLOAT_ONLY(Sin, GC_READS_INPUTS, sinf(x), cosf(v));
FLOAT_ONLY(Sinh, GC_READS_INPUTS, sinhf(x), coshf(v));
FLOAT_ONLY(Sqrt, GC_READS_OUTPUTS, sqrtf(x), 0.5f / v);
FLOAT_ONLY(Tan, GC_READS_OUTPUTS, tanf(x), 1.0f + v * v);
WITH_INTEGERS(Abs, GC_READS_INPUTS, fabsf(x), sign_of(v), x[i] < 0 ? negated(x[i]) : x[i]);
WITH_INTEGERS(Neg, GC_READS_NOTHING, -x, -1.0f, negated(x[i]));
WITH_INTEGERS(Sign, GC_READS_NOTHING, sign_of(x), 0.0f, x[i] > 0 ? 1 : x[i] < 0 ? -1 : 0);
