/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors out of nothing: ConstantOfShape, Range, EyeLike. No gradients. */
#include <math.h>

#include "ops/check.h"

#define ROW(NAME, INPUTS, INFER, FORWARD)                                                          \
    const gc_op gc_op_##NAME = {                                                                   \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .since = 1,                                                                                \
        .min_inputs = INPUTS,                                                                      \
        .max_inputs = INPUTS,                                                                      \
        .max_outputs = 1,                                                                          \
        .layouts = GC_OP_PLAIN,                                                                    \
        .infer = INFER,                                                                            \
        .forward = FORWARD,                                                                        \
    }

/* ---- ConstantOfShape ------------------------------------------------------------------------ */

/* The attribute `value`, or NULL: a float 0. */
static const gc_tensor *fill_value(const gc_call *call)
{
    const gc_attr *const attr = gc_attr_find(call->node, "value");
    return attr != NULL && attr->type == GC_ATTR_TENSOR ? gc_constant_tensor(attr->tensor) : NULL;
}

static gradcam_status constant_infer(const gc_call *call)
{
    const gc_tensor *const value = fill_value(call);
    const int64_t *dims = NULL;
    size_t rank = 0;
    GC_TRY(gc_op_const_ints(call, 0, &dims, &rank));
    GC_TRY(gc_check_rank(call, (int64_t)rank));
    if (value != NULL && gc_tensor_count(value) != 1)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "its value must have one element");
    gc_tensor_describe(call->outputs[0], value != NULL ? value->dtype : GC_FLOAT32, (int)rank,
                       dims);
    return gc_check_output(call, 0);
}

static gradcam_status constant_forward(const gc_call *call)
{
    const gc_tensor *const value = fill_value(call), *const y = call->outputs[0];
    const int64_t count = gc_tensor_count(y);
    if (gc_dtype_is_float(y->dtype))
        for (int64_t i = 0; i < count; i++)
            gc_floats(y)[i] = value != NULL ? gc_floats(value)[0] : 0.0f;
    else
        for (int64_t i = 0; i < count; i++)
            gc_ints(y)[i] = gc_ints(value)[0];
    return GRADCAM_OK;
}

ROW(ConstantOfShape, 1, constant_infer, constant_forward);

/* ---- Range ---------------------------------------------------------------------------------- */

/* Differences of int64 fit uint64. */
static int64_t integer_steps(int64_t start, int64_t limit, int64_t delta)
{
    const uint64_t from = (uint64_t)start, to = (uint64_t)limit, step = (uint64_t)delta;
    uint64_t steps = 0;
    if (delta > 0 && limit > start)
        steps = (to - from - 1) / step + 1;
    if (delta < 0 && limit < start)
        steps = (from - to - 1) / (0 - step) + 1;
    return steps > INT64_MAX ? INT64_MAX : (int64_t)steps;
}

static int64_t float_steps(double start, double limit, double delta)
{
    const double steps = ceil((limit - start) / delta);
    return steps > 0.0 ? (int64_t)fmin(steps, 0x1p62) : 0;
}

static gradcam_status range_infer(const gc_call *call)
{
    for (int i = 0; i < 3; i++) {
        GC_TRY(gc_check_same_storage(call, i));
        if (call->inputs[i]->data == NULL)
            return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                              "input %d must be constant for a given input shape, but it depends "
                              "on the picture's values",
                              i);
        if (gc_tensor_count(call->inputs[i]) != 1)
            return gc_op_fail(call, GRADCAM_ERROR_MODEL, "input %d must be a scalar", i);
    }
    const bool is_float = gc_dtype_is_float(call->inputs[0]->dtype);
    int64_t count = 0;
    if (is_float ? !(fabsf(gc_floats(call->inputs[2])[0]) > 0.0f)
                 : gc_ints(call->inputs[2])[0] == 0)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "the step is 0 or not a number");
    if (is_float)
        count = float_steps((double)gc_floats(call->inputs[0])[0],
                            (double)gc_floats(call->inputs[1])[0],
                            (double)gc_floats(call->inputs[2])[0]);
    else
        count = integer_steps(gc_ints(call->inputs[0])[0], gc_ints(call->inputs[1])[0],
                              gc_ints(call->inputs[2])[0]);
    gc_tensor_describe(call->outputs[0], call->inputs[0]->dtype, 1, &count);
    return gc_check_output(call, 0);
}

static gradcam_status range_forward(const gc_call *call)
{
    const gc_tensor *const y = call->outputs[0];
    const int64_t count = gc_tensor_count(y);
    if (gc_dtype_is_float(y->dtype)) {
        const double start = (double)gc_floats(call->inputs[0])[0];
        const double delta = (double)gc_floats(call->inputs[2])[0];
        for (int64_t i = 0; i < count; i++)
            gc_floats(y)[i] = (float)(start + (double)i * delta);
    } else {
        const int64_t start = gc_ints(call->inputs[0])[0], delta = gc_ints(call->inputs[2])[0];
        for (int64_t i = 0; i < count; i++)
            gc_ints(y)[i] = start + i * delta;
    }
    return GRADCAM_OK;
}

ROW(Range, 3, range_infer, range_forward);

/* ---- EyeLike: only the extents of the input matter, and its type if none is given ------------ */

static gradcam_status eye_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t type = gc_attr_int(call->node, "dtype", (int64_t)x->dtype);
    if (x->rank != 2)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "the input must be of rank 2, found %d",
                          x->rank);
    gc_tensor_describe(call->outputs[0], (gc_dtype)type, 2, x->dims);
    return GRADCAM_OK;
}

static gradcam_status eye_forward(const gc_call *call)
{
    const gc_tensor *const y = call->outputs[0];
    const int64_t k = gc_attr_int(call->node, "k", 0);
    const int64_t columns = y->dims[1], count = gc_tensor_count(y);
    for (int64_t i = 0; i < count; i++) {
        const bool is_one = i % columns - i / columns == k;
        if (gc_dtype_is_float(y->dtype))
            gc_floats(y)[i] = is_one ? 1.0f : 0.0f;
        else
            gc_ints(y)[i] = is_one;
    }
    return GRADCAM_OK;
}

ROW(EyeLike, 1, eye_infer, eye_forward);
