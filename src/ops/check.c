/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/check.h"

gradcam_status gc_check_output(const gc_call *call, int index)
{
    static const double most = 2147483648.0;
    const gc_tensor *const out = call->outputs[index];
    char text[GC_SHAPE_TEXT];
    double count = 1.0;
    for (int i = 0; i < out->rank; i++) {
        if (out->dims[i] < 0)
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "the result has the shape %s",
                              gc_shape_text(out, text));
        /* An extent of 0 does not excuse the others: views of it would overflow. */
        count *= out->dims[i] == 0 ? 1.0 : (double)out->dims[i];
    }
    if (count > most || !gc_tensor_is_valid(out))
        return gc_op_fail(call, GRADCAM_ERROR_LIMIT,
                          "the result has the shape %s: more than 2^31 elements",
                          gc_shape_text(out, text));
    return GRADCAM_OK;
}

gradcam_status gc_check_rank(const gc_call *call, int64_t rank)
{
    if (rank < 0 || rank > GC_MAX_RANK)
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                          "the result has rank %lld; at most %d is supported", (long long)rank,
                          GC_MAX_RANK);
    return GRADCAM_OK;
}

gradcam_status gc_check_float(const gc_call *call, int index)
{
    if (gc_dtype_is_float(call->inputs[index]->dtype))
        return GRADCAM_OK;
    return gc_op_fail(call, GRADCAM_ERROR_MODEL, "input %d must be of a floating type, found %s",
                      index, gc_dtype_name(call->inputs[index]->dtype));
}

gradcam_status gc_check_floats(const gc_call *call, int count)
{
    for (int i = 0; i < count; i++)
        if (gc_op_has(call, i) && !gc_dtype_is_float(call->inputs[i]->dtype))
            return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                              "input %d is %s, expected a float type", i,
                              gc_dtype_name(call->inputs[i]->dtype));
    return GRADCAM_OK;
}

gradcam_status gc_check_integer(const gc_call *call, int index)
{
    if (!gc_dtype_is_float(call->inputs[index]->dtype))
        return GRADCAM_OK;
    return gc_op_fail(call, GRADCAM_ERROR_MODEL, "input %d must be integer or bool, found %s",
                      index, gc_dtype_name(call->inputs[index]->dtype));
}

gradcam_status gc_check_same_storage(const gc_call *call, int index)
{
    const gc_dtype a = call->inputs[0]->dtype, b = call->inputs[index]->dtype;
    if (gc_dtype_is_float(a) == gc_dtype_is_float(b))
        return GRADCAM_OK;
    return gc_op_fail(call, GRADCAM_ERROR_MODEL, "inputs 0 and %d are of types %s and %s", index,
                      gc_dtype_name(a), gc_dtype_name(b));
}

gradcam_status gc_check_axes(const gc_call *call, const int64_t *axes, size_t count, int rank,
                             bool is_chosen[GC_MAX_RANK])
{
    for (int i = 0; i < GC_MAX_RANK; i++)
        is_chosen[i] = false;
    for (size_t i = 0; i < count; i++) {
        int axis = 0;
        GC_TRY(gc_op_axis(call, axes[i], rank, &axis));
        if (is_chosen[axis])
            return gc_op_fail(call, GRADCAM_ERROR_MODEL, "axis %d is given twice", axis);
        is_chosen[axis] = true;
    }
    return GRADCAM_OK;
}
