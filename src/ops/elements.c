/* SPDX-License-Identifier: Apache-2.0 */
/* GatherElements and ScatterElements: an index tensor says, element by element, where along one
 * axis to read or to write. */
#include <string.h>

#include "ops/check.h"
#include "ops/scatter.h"
#include "ops/strided.h"

static gradcam_status check_indices(const gc_call *call, int *axis)
{
    const gc_tensor *const x = call->inputs[0], *const indices = call->inputs[1];
    char a[GC_SHAPE_TEXT], b[GC_SHAPE_TEXT];
    GC_TRY(gc_op_axis(call, gc_attr_int(call->node, "axis", 0), x->rank, axis));
    GC_TRY(gc_check_integer(call, 1));
    bool fits = indices->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == *axis || indices->dims[i] <= x->dims[i];
    if (!fits)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "indices of shape %s do not fit data of %s",
                          gc_shape_text(indices, b), gc_shape_text(x, a));
    return GRADCAM_OK;
}

/* Where element `i` of the index tensor points to in the data, or -1. */
static int64_t target_of(const gc_tensor *x, const gc_tensor *indices, int axis, int64_t i)
{
    int64_t strides[GC_MAX_RANK], at = 0, rest = i;
    gc_strides(x->rank, x->dims, strides);
    for (int d = x->rank - 1; d >= 0; d--) {
        if (d != axis)
            at += rest % indices->dims[d] * strides[d];
        rest /= indices->dims[d];
    }
    const int64_t index = gc_ints(indices)[i], extent = x->dims[axis];
    if (index < -extent || index >= extent)
        return -1;
    return at + (index < 0 ? index + extent : index) * strides[axis];
}

static gradcam_status fail_index(const gc_call *call, int64_t i, int axis)
{
    return gc_op_fail(call, GRADCAM_ERROR_MODEL, "index %lld is outside an axis of %lld",
                      (long long)gc_ints(call->inputs[1])[i],
                      (long long)call->inputs[0]->dims[axis]);
}

/* ---- GatherElements ------------------------------------------------------------------------- */

static gradcam_status gather_infer(const gc_call *call)
{
    int axis = 0;
    GC_TRY(check_indices(call, &axis));
    gc_tensor_describe(call->outputs[0], call->inputs[0]->dtype, call->inputs[1]->rank,
                       call->inputs[1]->dims);
    return GRADCAM_OK;
}

static gradcam_status gather_forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const indices = call->inputs[1];
    const size_t size = gc_element_size(gc_dtype_is_float(x->dtype));
    const int64_t count = gc_tensor_count(indices);
    int axis = 0;
    GC_TRY(check_indices(call, &axis));
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = target_of(x, indices, axis, i);
        if (at < 0)
            return fail_index(call, i, axis);
        memcpy(gc_element(call->outputs[0], i), gc_element(x, at), size);
    }
    return GRADCAM_OK;
}

static gradcam_status gather_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                      gc_tensor *const *input_grads)
{
    gc_tensor *const gx = input_grads[0];
    const int64_t count = gc_tensor_count(call->inputs[1]);
    int axis = 0;
    GC_TRY(check_indices(call, &axis));
    memset(gx->data, 0, gc_tensor_bytes(gx));
    for (int64_t i = 0; i < count; i++)
        gc_floats(gx)[target_of(gx, call->inputs[1], axis, i)] += gc_floats(output_grads[0])[i];
    return GRADCAM_OK;
}

const gc_op gc_op_GatherElements = {
    .name = "GatherElements",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_PARAMETERS,
    .infer = gather_infer,
    .forward = gather_forward,
    .backward = gather_backward,
};

/* ---- ScatterElements ------------------------------------------------------------------------ */

static gradcam_status scatter_infer(const gc_call *call)
{
    int axis = 0;
    gc_scatter_mode mode = GC_SCATTER_SET;
    GC_TRY(check_indices(call, &axis));
    GC_TRY(gc_check_same_storage(call, 2));
    GC_TRY(gc_scatter_read_mode(call, &mode));
    if (!gc_tensor_same_dims(call->inputs[1], call->inputs[2]))
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "indices and updates differ in shape");
    return gc_op_infer_same(call);
}

static gradcam_status scatter_forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const indices = call->inputs[1];
    const int64_t count = gc_tensor_count(indices);
    int axis = 0;
    gc_scatter_mode mode = GC_SCATTER_SET;
    GC_TRY(check_indices(call, &axis));
    GC_TRY(gc_scatter_read_mode(call, &mode));
    if (call->outputs[0]->data != x->data)
        memcpy(call->outputs[0]->data, x->data, gc_tensor_bytes(x));
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = target_of(x, indices, axis, i);
        if (at < 0)
            return fail_index(call, i, axis);
        gc_scatter_row(call->outputs[0], at, call->inputs[2], i, 1, mode);
    }
    return GRADCAM_OK;
}

/* Products, minima and maxima. */
static void scatter_shares(const gc_call *call, int axis, gc_scatter_mode mode, const gc_tensor *gy,
                           gc_tensor *const *input_grads)
{
    const gc_tensor *const x = call->inputs[0], *const indices = call->inputs[1];
    const int64_t count = gc_tensor_count(indices);
    gc_scatter_begin(call, mode);
    for (int64_t i = 0; i < count; i++)
        gc_scatter_meet(call, target_of(x, indices, axis, i), i, 1, mode);
    if (input_grads[0] != NULL)
        gc_scatter_share(call, gy, 0, x, 0, gc_tensor_count(x), mode, input_grads[0]);
    for (int64_t i = 0; input_grads[2] != NULL && i < count; i++)
        gc_scatter_share(call, gy, target_of(x, indices, axis, i), call->inputs[2], i, 1, mode,
                         input_grads[2]);
}

static gradcam_status scatter_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                       gc_tensor *const *input_grads)
{
    const gc_tensor *const gy = output_grads[0], *const indices = call->inputs[1];
    const int64_t count = gc_tensor_count(indices);
    int axis = 0;
    gc_scatter_mode mode = GC_SCATTER_SET;
    GC_TRY(check_indices(call, &axis));
    GC_TRY(gc_scatter_read_mode(call, &mode));
    if (gc_scatter_is_shared(mode)) {
        scatter_shares(call, axis, mode, gy, input_grads);
        return GRADCAM_OK;
    }
    if (input_grads[0] != NULL)
        memcpy(input_grads[0]->data, gy->data, gc_tensor_bytes(gy));
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = target_of(gy, indices, axis, i);
        if (input_grads[2] != NULL)
            gc_floats(input_grads[2])[i] = gc_floats(gy)[at];
        if (input_grads[0] != NULL && mode == GC_SCATTER_SET)
            gc_floats(input_grads[0])[at] = 0.0f;
    }
    return GRADCAM_OK;
}

const gc_op gc_op_ScatterElements = {
    .name = "ScatterElements",
    .domain = "",
    .since = 1,
    .min_inputs = 3,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS | GC_READS_OUTPUTS,
    .is_in_place = true,
    .infer = scatter_infer,
    .forward = scatter_forward,
    .backward = scatter_backward,
    .scratch = gc_scatter_scratch,
};
