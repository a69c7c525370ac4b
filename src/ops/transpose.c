/* SPDX-License-Identifier: Apache-2.0 */
/* Transpose: axis i of the result is axis perm[i] of the input; the default reverses all. */
#include "ops/check.h"
#include "ops/strided.h"

static gradcam_status find_axes(const gc_call *call, int axes[GC_MAX_RANK])
{
    const int rank = call->inputs[0]->rank;
    size_t count = 0;
    const int64_t *const perm = gc_attr_ints(call->node, "perm", &count);
    bool is_used[GC_MAX_RANK];
    if (perm != NULL && count != (size_t)rank)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "perm has %zu entries for a tensor of rank %d",
                          count, rank);
    GC_TRY(gc_check_axes(call, perm, count, rank, is_used));
    for (int i = 0; i < rank; i++)
        axes[i] = perm == NULL ? rank - 1 - i : (int)(perm[i] < 0 ? perm[i] + rank : perm[i]);
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    int axes[GC_MAX_RANK] = {0};
    int64_t dims[GC_MAX_RANK];
    GC_TRY(find_axes(call, axes));
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[axes[i]];
    gc_tensor_describe(call->outputs[0], x->dtype, x->rank, dims);
    return GRADCAM_OK;
}

static gradcam_status find_view(const gc_call *call, gc_strided *view)
{
    const gc_tensor *const x = call->inputs[0], *const y = call->outputs[0];
    int axes[GC_MAX_RANK] = {0};
    int64_t from[GC_MAX_RANK], to[GC_MAX_RANK];
    GC_TRY(find_axes(call, axes));
    gc_strides(x->rank, x->dims, from);
    gc_strides(y->rank, y->dims, to);
    *view = (gc_strided){0};
    for (int i = 0; i < y->rank; i++)
        gc_strided_axis(view, y->dims[i], from[axes[i]], to[i]);
    return GRADCAM_OK;
}

static gradcam_status forward(const gc_call *call)
{
    gc_strided view;
    GC_TRY(find_view(call, &view));
    gc_strided_copy(&view, call->inputs[0]->data, call->outputs[0]->data,
                    gc_dtype_is_float(call->inputs[0]->dtype));
    return GRADCAM_OK;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    gc_strided view;
    GC_TRY(find_view(call, &view));
    const gc_strided back = gc_strided_reversed(&view);
    gc_strided_copy(&back, output_grads[0]->data, input_grads[0]->data, true);
    return GRADCAM_OK;
}

const gc_op gc_op_Transpose = {
    .name = "Transpose",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
