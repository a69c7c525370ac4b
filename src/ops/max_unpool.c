/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxUnpool: puts every value where MaxPool found it, zeros elsewhere. The indices count elements
 * of the whole tensor that MaxPool would have read: the input's extents, unpooled by kernel_shape,
 * strides and pads. output_shape may ask for more than that: zeros follow on every axis (so ONNX's
 * own tests have it).
 */
#include <string.h>

#include "ops/check.h"

/* An attribute of `count` integers, or `values` as it is. */
static gradcam_status read_ints(const gc_call *call, const char *name, int count, int64_t least,
                                int64_t *values)
{
    size_t found = 0;
    const int64_t *const ints = gc_attr_ints(call->node, name, &found);
    if (found == 0)
        return GRADCAM_OK;
    if (found != (size_t)count)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%s has %zu entries, expected %d", name, found,
                          count);
    for (int i = 0; i < count; i++) {
        if (ints[i] < least || ints[i] > INT32_MAX)
            return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%s holds %lld, expected at least %lld",
                              name, (long long)ints[i], (long long)least);
        values[i] = ints[i];
    }
    return GRADCAM_OK;
}

/* pooled = the extents that the indices count in. */
static gradcam_status find_pooled(const gc_call *call, int64_t pooled[GC_MAX_RANK])
{
    const gc_tensor *const x = call->inputs[0];
    const int spatial = x->rank - 2;
    int64_t kernel[GC_MAX_RANK] = {0}, stride[GC_MAX_RANK], pads[2 * GC_MAX_RANK] = {0};
    for (int a = 0; a < GC_MAX_RANK; a++)
        stride[a] = 1;
    if (spatial < 1)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "input of rank %d, expected N, C, spatial...",
                          x->rank);
    GC_TRY(read_ints(call, "kernel_shape", spatial, 1, kernel));
    GC_TRY(read_ints(call, "strides", spatial, 1, stride));
    GC_TRY(read_ints(call, "pads", 2 * spatial, 0, pads));
    if (kernel[0] == 0)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "kernel_shape is missing");
    for (int i = 0; i < x->rank; i++)
        pooled[i] = x->dims[i];
    for (int a = 0; a < spatial; a++) {
        pooled[2 + a] = (x->dims[2 + a] - 1) * stride[a] + kernel[a] - pads[a] - pads[spatial + a];
        if (pooled[2 + a] < 1)
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                              "pads cut spatial axis %d down to %lld, expected at least 1", a,
                              (long long)pooled[2 + a]);
    }
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    int64_t pooled[GC_MAX_RANK];
    const int64_t *wanted = NULL;
    size_t count = 0;
    GC_TRY(gc_check_float(call, 0));
    GC_TRY(gc_check_integer(call, 1));
    GC_TRY(find_pooled(call, pooled));
    GC_TRY(gc_op_const_ints(call, 2, &wanted, &count));
    if (!gc_tensor_same_dims(x, call->inputs[1]) || (wanted != NULL && count != (size_t)x->rank))
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                          "the indices must have the extents of the input, and output_shape one "
                          "entry for each");
    for (int i = 0; wanted != NULL && i < x->rank; i++)
        if (wanted[i] < pooled[i] || wanted[i] > INT32_MAX)
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                              "output_shape asks for %lld on axis %d, where unpooling gives %lld",
                              (long long)wanted[i], i, (long long)pooled[i]);
    gc_tensor_describe(call->outputs[0], x->dtype, x->rank, wanted != NULL ? wanted : pooled);
    return gc_check_output(call, 0);
}

/* Where element `index` of the pooled extents lies in `to`; -1: outside. */
static int64_t place_of(const gc_tensor *to, const int64_t *pooled, int64_t index)
{
    int64_t at = 0, step = 1;
    if (index < 0)
        return -1;
    for (int i = to->rank - 1; i >= 0; i--) {
        at += index % pooled[i] * step;
        index /= pooled[i];
        step *= to->dims[i];
    }
    return index == 0 ? at : -1;
}

static gradcam_status forward(const gc_call *call)
{
    int64_t pooled[GC_MAX_RANK];
    const gc_tensor *const y = call->outputs[0];
    const int64_t count = gc_tensor_count(call->inputs[0]);
    GC_TRY(find_pooled(call, pooled));
    memset(y->data, 0, gc_tensor_bytes(y));
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = place_of(y, pooled, gc_ints(call->inputs[1])[i]);
        if (at < 0)
            return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                              "index %lld is outside the unpooled tensor",
                              (long long)gc_ints(call->inputs[1])[i]);
        gc_floats(y)[at] = gc_floats(call->inputs[0])[i];
    }
    return GRADCAM_OK;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    int64_t pooled[GC_MAX_RANK];
    const gc_tensor *const gy = output_grads[0];
    GC_TRY(gc_op_check_first_grad(call, input_grads));
    GC_TRY(find_pooled(call, pooled));
    const int64_t count = gc_tensor_count(input_grads[0]);
    for (int64_t i = 0; i < count; i++)
        gc_floats(input_grads[0])[i] =
            gc_floats(gy)[place_of(gy, pooled, gc_ints(call->inputs[1])[i])];
    return GRADCAM_OK;
}

const gc_op gc_op_MaxUnpool = {
    .name = "MaxUnpool",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_PARAMETERS,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
