/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cast, CastLike. From floating to integer types values are truncated toward zero and wrapped to
 * the range of the target. A cast to float16 or bfloat16 does not round: graphs in half precision
 * are run in float32 throughout, which only adds accuracy.
 */
#include <string.h>

#include "ops/check.h"
#include "ops/convert.h"

static gradcam_status infer_type(const gc_call *call, int64_t type)
{
    const gc_tensor *const x = call->inputs[0];
    const bool is_known =
        type > GC_UNDEFINED && type != GC_STRING && (type <= GC_UINT64 || type == GC_BFLOAT16);
    if (!is_known || x->dtype == GC_STRING)
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED, "from type %d to type %lld",
                          (int)x->dtype, (long long)type);
    gc_tensor_describe(call->outputs[0], (gc_dtype)type, x->rank, x->dims);
    return GRADCAM_OK;
}

static gradcam_status cast_infer(const gc_call *call)
{
    return infer_type(call, gc_attr_int(call->node, "to", GC_UNDEFINED));
}

static gradcam_status cast_like_infer(const gc_call *call)
{
    return infer_type(call, (int64_t)call->inputs[1]->dtype);
}

static gradcam_status forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const y = call->outputs[0];
    const bool from_float = gc_dtype_is_float(x->dtype), to_float = gc_dtype_is_float(y->dtype);
    const int64_t count = gc_tensor_count(x);
    if (from_float && to_float)
        memcpy(y->data, x->data, gc_tensor_bytes(x));
    else if (from_float)
        for (int64_t i = 0; i < count; i++)
            gc_ints(y)[i] = gc_convert_float((double)gc_floats(x)[i], y->dtype);
    else if (to_float)
        for (int64_t i = 0; i < count; i++)
            gc_floats(y)[i] = (float)gc_ints(x)[i];
    else
        for (int64_t i = 0; i < count; i++)
            gc_ints(y)[i] = gc_convert_integer(gc_ints(x)[i], y->dtype);
    return GRADCAM_OK;
}

/* From an integer output no gradient comes. */
static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    if (input_grads[0] != NULL)
        memcpy(input_grads[0]->data, output_grads[0]->data, gc_tensor_bytes(input_grads[0]));
    if (call->input_count > 1 && input_grads[1] != NULL)
        memset(input_grads[1]->data, 0, gc_tensor_bytes(input_grads[1]));
    return GRADCAM_OK;
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
        .forward = forward,                                                                        \
        .backward = backward,                                                                      \
    }

ROW(Cast, 1, cast_infer);
ROW(CastLike, 2, cast_like_infer);
