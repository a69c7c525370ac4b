/* SPDX-License-Identifier: Apache-2.0 */
/* Comparison and logic: bool results, stored as integers 0 and 1. No gradients. */
#include <math.h>

#include "ops/broadcast.h"

static gradcam_status infer_compare(const gc_call *call)
{
    GC_TRY(gc_check_same_storage(call, 1));
    return gc_broadcast_infer(call, GC_BOOL);
}

static gradcam_status infer_logic(const gc_call *call)
{
    for (int i = 0; i < 2; i++)
        if (call->inputs[i]->dtype != GC_BOOL)
            return gc_op_fail(call, GRADCAM_ERROR_MODEL, "input %d must be bool, found %s", i,
                              gc_dtype_name(call->inputs[i]->dtype));
    return gc_broadcast_infer(call, GC_BOOL);
}

#define ROW(NAME, INPUTS, INFER)                                                                   \
    const gc_op gc_op_##NAME = {                                                                   \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .since = 1,                                                                                \
        .min_inputs = INPUTS,                                                                      \
        .max_inputs = INPUTS,                                                                      \
        .max_outputs = 1,                                                                          \
        .layouts = GC_OP_PLAIN,                                                                    \
        .infer = INFER,                                                                            \
        .forward = NAME##_forward,                                                                 \
    }

#define COMPARE(NAME, expression)                                                                  \
    GC_SPAN_BINARY(NAME##_floats, int64_t, float, float, expression)                               \
    GC_SPAN_BINARY(NAME##_integers, int64_t, int64_t, int64_t, expression)                         \
    static gradcam_status NAME##_forward(const gc_call *call)                                      \
    {                                                                                              \
        const bool is_float = gc_dtype_is_float(call->inputs[0]->dtype);                           \
        return gc_broadcast_binary(call, is_float ? NAME##_floats : NAME##_integers);              \
    }                                                                                              \
    ROW(NAME, 2, infer_compare)

#define LOGIC(NAME, expression)                                                                    \
    GC_SPAN_BINARY(NAME##_bools, int64_t, int64_t, int64_t, expression)                            \
    static gradcam_status NAME##_forward(const gc_call *call)                                      \
    {                                                                                              \
        return gc_broadcast_binary(call, NAME##_bools);                                            \
    }                                                                                              \
    ROW(NAME, 2, infer_logic)

COMPARE(Equal, a == b);
COMPARE(Less, a < b);
COMPARE(LessOrEqual, a <= b);
COMPARE(Greater, a > b);
COMPARE(GreaterOrEqual, a >= b);
LOGIC(And, a != 0 && b != 0);
LOGIC(Or, a != 0 || b != 0);
LOGIC(Xor, (a != 0) != (b != 0));

static gradcam_status infer_not(const gc_call *call)
{
    GC_TRY(gc_check_integer(call, 0));
    GC_TRY(gc_op_infer_same(call));
    call->outputs[0]->dtype = GC_BOOL;
    return GRADCAM_OK;
}

static gradcam_status Not_forward(const gc_call *call)
{
    const int64_t count = gc_tensor_count(call->inputs[0]);
    for (int64_t i = 0; i < count; i++)
        gc_ints(call->outputs[0])[i] = gc_ints(call->inputs[0])[i] == 0;
    return GRADCAM_OK;
}

ROW(Not, 1, infer_not);

static gradcam_status infer_test(const gc_call *call)
{
    GC_TRY(gc_check_float(call, 0));
    GC_TRY(gc_op_infer_same(call));
    call->outputs[0]->dtype = GC_BOOL;
    return GRADCAM_OK;
}

static gradcam_status IsNaN_forward(const gc_call *call)
{
    const float *const x = gc_floats(call->inputs[0]);
    const int64_t count = gc_tensor_count(call->inputs[0]);
    for (int64_t i = 0; i < count; i++)
        gc_ints(call->outputs[0])[i] = x[i] != x[i];
    return GRADCAM_OK;
}

ROW(IsNaN, 1, infer_test);

static gradcam_status IsInf_forward(const gc_call *call)
{
    const bool detects_negative = gc_attr_int(call->node, "detect_negative", 1) != 0;
    const bool detects_positive = gc_attr_int(call->node, "detect_positive", 1) != 0;
    const float *const x = gc_floats(call->inputs[0]);
    const int64_t count = gc_tensor_count(call->inputs[0]);
    for (int64_t i = 0; i < count; i++)
        gc_ints(call->outputs[0])[i] =
            (detects_positive && x[i] == INFINITY) || (detects_negative && x[i] == -INFINITY);
    return GRADCAM_OK;
}

ROW(IsInf, 1, infer_test);
