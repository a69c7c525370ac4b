/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Add, Sub, Mul, Div, Mod: two operands that broadcast. Integers wrap to their declared type,
 * division truncates toward zero, and a zero divisor is an error.
 */
#include <math.h>

#include "ops/broadcast.h"
#include "ops/convert.h"

static gradcam_status infer(const gc_call *call)
{
    GC_TRY(gc_check_same_storage(call, 1));
    return gc_broadcast_infer(call, call->inputs[0]->dtype);
}

static gradcam_status run(const gc_call *call, gc_span_kernel floats, gc_span_kernel integers)
{
    const bool is_float = gc_dtype_is_float(call->outputs[0]->dtype);
    GC_TRY(gc_broadcast_binary(call, is_float ? floats : integers));
    gc_convert_wrap(call->outputs[0]);
    return GRADCAM_OK;
}

static gradcam_status check_divisors(const gc_call *call)
{
    const gc_tensor *const b = call->inputs[1];
    const int64_t count = gc_dtype_is_float(b->dtype) ? 0 : gc_tensor_count(b);
    for (int64_t i = 0; i < count; i++)
        if (gc_ints(b)[i] == 0)
            return gc_op_fail(call, GRADCAM_ERROR_NUMERIC, "integer division by zero");
    return GRADCAM_OK;
}

/* Gradient of input `index`; `first` and `second` are the operands beside the output's gradient.
 * NULL: the kernel does not look at it. */
static gradcam_status differentiate(const gc_call *call, const gc_tensor *gy, int index,
                                    const gc_tensor *grad, const gc_tensor *first,
                                    const gc_tensor *second, gc_span_kernel kernel)
{
    if (grad == NULL)
        return GRADCAM_OK;
    gc_tensor target = *grad, aligned[2];
    const gc_tensor *operands[3] = {gy, first, second};
    const int count = second != NULL ? 3 : first != NULL ? 2 : 1;
    if (index == 1)
        GC_TRY(gc_broadcast_align(call, call->inputs[0], grad, &target));
    for (int i = 1; i < count; i++) {
        if (operands[i] != call->inputs[1])
            continue;
        GC_TRY(gc_broadcast_align(call, call->inputs[0], operands[i], &aligned[i - 1]));
        operands[i] = &aligned[i - 1];
    }
    gc_broadcast_reduce(gy, &target, count, operands, kernel, NULL);
    return GRADCAM_OK;
}

#define ROW(NAME, READS)                                                                           \
    const gc_op gc_op_##NAME = {                                                                   \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .since = 1,                                                                                \
        .min_inputs = 2,                                                                           \
        .max_inputs = 2,                                                                           \
        .max_outputs = 1,                                                                          \
        .layouts = GC_OP_ELEMENTWISE,                                                              \
        .backward_reads = READS,                                                                   \
        .is_in_place = true,                                                                       \
        .infer = NAME##_infer,                                                                     \
        .forward = NAME##_forward,                                                                 \
        .backward = NAME##_backward,                                                               \
    }

#define FORWARD(NAME, check)                                                                       \
    static gradcam_status NAME##_forward(const gc_call *call)                                      \
    {                                                                                              \
        GC_TRY(check);                                                                             \
        return run(call, NAME##_floats, NAME##_integers);                                          \
    }

/* first_a, second_a: operands of the gradient of a; likewise for b. `a` and `b` are the inputs. */
#define BACKWARD(NAME, first_a, second_a, kernel_a, first_b, second_b, kernel_b)                   \
    static gradcam_status NAME##_backward(                                                         \
        const gc_call *call, const gc_tensor *const *output_grads, gc_tensor *const *input_grads)  \
    {                                                                                              \
        const gc_tensor *const a = call->inputs[0];                                                \
        const gc_tensor *const b = call->inputs[1];                                                \
        const gc_tensor *const gy = output_grads[0];                                               \
        (void)a;                                                                                   \
        (void)b;                                                                                   \
        GC_TRY(differentiate(call, gy, 0, input_grads[0], first_a, second_a, kernel_a));           \
        return differentiate(call, gy, 1, input_grads[1], first_b, second_b, kernel_b);            \
    }

#define Add_infer infer
#define Sub_infer infer
#define Mul_infer infer
#define Div_infer infer

GC_SPAN_GRADIENT(same, g)
GC_SPAN_GRADIENT(negative, -g)
GC_SPAN_GRADIENT(product, g *a)
GC_SPAN_GRADIENT(quotient, g / a)

/* Integers go through unsigned, which may overflow. */
GC_SPAN_BINARY(Add_floats, float, float, float, a + b)
GC_SPAN_BINARY(Add_integers, int64_t, int64_t, int64_t, (uint64_t)a + (uint64_t)b)
FORWARD(Add, GRADCAM_OK)
BACKWARD(Add, NULL, NULL, same, NULL, NULL, same)
ROW(Add, GC_READS_NOTHING);

GC_SPAN_BINARY(Sub_floats, float, float, float, a - b)
GC_SPAN_BINARY(Sub_integers, int64_t, int64_t, int64_t, (uint64_t)a - (uint64_t)b)
FORWARD(Sub, GRADCAM_OK)
BACKWARD(Sub, NULL, NULL, same, NULL, NULL, negative)
ROW(Sub, GC_READS_NOTHING);

GC_SPAN_BINARY(Mul_floats, float, float, float, a *b)
GC_SPAN_BINARY(Mul_integers, int64_t, int64_t, int64_t, (uint64_t)a *(uint64_t)b)
FORWARD(Mul, GRADCAM_OK)
BACKWARD(Mul, b, NULL, product, a, NULL, product)
ROW(Mul, GC_READS_INPUTS);

/* INT64_MIN / -1 overflows. */
static inline int64_t divided(int64_t a, int64_t b)
{
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

GC_SPAN_BINARY(Div_floats, float, float, float, a / b)
GC_SPAN_BINARY(Div_integers, int64_t, int64_t, int64_t, divided(a, b))
GC_SPAN_GRADIENT(divisor_part, -g *a / (b * b))
FORWARD(Div, check_divisors(call))
BACKWARD(Div, b, NULL, quotient, a, b, divisor_part)
ROW(Div, GC_READS_INPUTS);

/* ---- Mod: the sign of the divisor, as in Python; or, with `fmod`, of the dividend, as in C ----
 */

static gradcam_status Mod_infer(const gc_call *call)
{
    if (gc_dtype_is_float(call->inputs[0]->dtype) && gc_attr_int(call->node, "fmod", 0) == 0)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "floating types need the attribute fmod=1");
    return infer(call);
}

static inline int64_t remainder_c(int64_t a, int64_t b)
{
    return b == -1 ? 0 : a % b;
}

static inline int64_t remainder_python(int64_t a, int64_t b)
{
    const int64_t r = remainder_c(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

GC_SPAN_BINARY(Mod_floats, float, float, float, fmodf(a, b))
GC_SPAN_BINARY(mod_c, int64_t, int64_t, int64_t, remainder_c(a, b))
GC_SPAN_BINARY(mod_python, int64_t, int64_t, int64_t, remainder_python(a, b))
GC_SPAN_GRADIENT(mod_divisor_part, -g *truncf(a / b))

static gradcam_status Mod_forward(const gc_call *call)
{
    GC_TRY(check_divisors(call));
    return run(call, Mod_floats, gc_attr_int(call->node, "fmod", 0) != 0 ? mod_c : mod_python);
}

BACKWARD(Mod, NULL, NULL, same, a, b, mod_divisor_part)
ROW(Mod, GC_READS_INPUTS);
