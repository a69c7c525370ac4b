/* SPDX-License-Identifier: Apache-2.0 */
/* Expand (broadcasting to a given shape) and Tile (repeating). */
#include <string.h>

#include "ops/broadcast.h"
#include "ops/strided.h"

/* ---- Expand --------------------------------------------------------------------------------- */

static gradcam_status expand_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t *dims = NULL;
    size_t rank = 0;
    GC_TRY(gc_op_const_ints(call, 1, &dims, &rank));
    GC_TRY(gc_check_rank(call, (int64_t)rank));
    gc_tensor wanted;
    gc_tensor_describe(&wanted, x->dtype, (int)rank, dims);
    GC_TRY(gc_op_broadcast(call, x, &wanted, call->outputs[0]));
    call->outputs[0]->dtype = x->dtype;
    return gc_check_output(call, 0);
}

static gradcam_status expand_forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const y = call->outputs[0];
    int64_t from[GC_MAX_RANK], to[GC_MAX_RANK];
    gc_strides(x->rank, x->dims, from);
    gc_strides(y->rank, y->dims, to);
    gc_strided view = {0};
    for (int i = 0; i < y->rank; i++) {
        const int axis = i - (y->rank - x->rank);
        const bool repeats = axis < 0 || x->dims[axis] == 1;
        gc_strided_axis(&view, y->dims[i], repeats ? 0 : from[axis], to[i]);
    }
    gc_strided_copy(&view, x->data, y->data, gc_dtype_is_float(x->dtype));
    return GRADCAM_OK;
}

GC_SPAN_GRADIENT(same, g)

static gradcam_status expand_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                      gc_tensor *const *input_grads)
{
    (void)call;
    gc_broadcast_reduce(output_grads[0], input_grads[0], 1, output_grads, same, NULL);
    return GRADCAM_OK;
}

const gc_op gc_op_Expand = {
    .name = "Expand",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .infer = expand_infer,
    .forward = expand_forward,
    .backward = expand_backward,
};

/* ---- Tile ----------------------------------------------------------------------------------- */

static gradcam_status tile_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t *repeats = NULL;
    size_t count = 0;
    int64_t dims[GC_MAX_RANK];
    GC_TRY(gc_op_const_ints(call, 1, &repeats, &count));
    if (count != (size_t)x->rank)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%zu repeats for a tensor of rank %d", count,
                          x->rank);
    for (int i = 0; i < x->rank; i++)
        if (repeats[i] < 0 || __builtin_mul_overflow(x->dims[i], repeats[i], &dims[i]))
            return gc_op_fail(call, GRADCAM_ERROR_LIMIT, "%lld repeats of %lld elements",
                              (long long)repeats[i], (long long)x->dims[i]);
    gc_tensor_describe(call->outputs[0], x->dtype, x->rank, dims);
    return gc_check_output(call, 0);
}

/* Each axis of the result is two: which repeat, and where in it. */
static gradcam_status tile_forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const y = call->outputs[0];
    int64_t from[GC_MAX_RANK], to[GC_MAX_RANK];
    gc_strides(x->rank, x->dims, from);
    gc_strides(y->rank, y->dims, to);
    gc_strided view = {0};
    for (int i = 0; i < x->rank; i++) {
        const int64_t extent = x->dims[i];
        gc_strided_axis(&view, extent == 0 ? 0 : y->dims[i] / extent, 0, to[i] * extent);
        gc_strided_axis(&view, extent, from[i], to[i]);
    }
    gc_strided_copy(&view, x->data, y->data, gc_dtype_is_float(x->dtype));
    return GRADCAM_OK;
}

/* Walks the rows of the result's gradient and adds each to where it came from. */
static gradcam_status tile_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                    gc_tensor *const *input_grads)
{
    (void)call;
    const gc_tensor *const gy = output_grads[0], *const gx = input_grads[0];
    const int inner = gx->rank - 1;
    const int64_t width = inner < 0 ? 1 : gx->dims[inner];
    int64_t from[GC_MAX_RANK];
    memset(gx->data, 0, gc_tensor_bytes(gx));
    gc_strides(gx->rank, gx->dims, from);
    const int64_t rows = width == 0 ? 0 : gc_tensor_count(gy) / width;
    for (int64_t row = 0; row < rows; row++) {
        int64_t index = inner < 0 ? 0 : row / (gy->dims[inner] / width), at = 0;
        for (int i = inner - 1; i >= 0; i--) {
            at += index % gy->dims[i] % gx->dims[i] * from[i];
            index /= gy->dims[i];
        }
        for (int64_t i = 0; i < width; i++)
            gc_floats(gx)[at + i] += gc_floats(gy)[row * width + i];
    }
    return GRADCAM_OK;
}

const gc_op gc_op_Tile = {
    .name = "Tile",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .infer = tile_infer,
    .forward = tile_forward,
    .backward = tile_backward,
};
