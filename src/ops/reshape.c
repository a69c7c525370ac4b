/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that leave the bytes alone: Identity, Dropout (at inference), Flatten, Reshape,
 * Squeeze, Unsqueeze. An engine may run them as views; the kernels copy. */
#include <string.h>

#include "ops/check.h"

static gradcam_status forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const y = call->outputs[0];
    if (y->data != x->data)
        memcpy(y->data, x->data, gc_tensor_bytes(x));
    return GRADCAM_OK;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    (void)call;
    memcpy(input_grads[0]->data, output_grads[0]->data, gc_tensor_bytes(output_grads[0]));
    return GRADCAM_OK;
}

static void set_shape(const gc_call *call, int rank, const int64_t *dims)
{
    gc_tensor_describe(call->outputs[0], call->inputs[0]->dtype, rank, dims);
}

/* ---- Dropout: the mask, if asked for, keeps everything -------------------------------------- */

static gradcam_status dropout_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    if (gc_op_gives(call, 1))
        gc_tensor_describe(call->outputs[1], GC_BOOL, x->rank, x->dims);
    return gc_op_infer_same(call);
}

static gradcam_status dropout_forward(const gc_call *call)
{
    const int64_t count = gc_op_gives(call, 1) ? gc_tensor_count(call->outputs[1]) : 0;
    for (int64_t i = 0; i < count; i++)
        gc_ints(call->outputs[1])[i] = 1;
    return forward(call);
}

/* ---- Shape rules ---------------------------------------------------------------------------- */

static gradcam_status flatten_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t axis = gc_attr_int(call->node, "axis", 1);
    int64_t dims[2] = {1, 1};
    if (axis < -x->rank || axis > x->rank) /* behind the last axis is allowed, too */
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "axis %lld is outside a tensor of rank %d",
                          (long long)axis, x->rank);
    const int split = (int)(axis < 0 ? axis + x->rank : axis);
    for (int i = 0; i < x->rank; i++)
        dims[i >= split] *= x->dims[i];
    set_shape(call, 2, dims);
    return GRADCAM_OK;
}

/* What the wanted extents leave for the one that is -1. */
static gradcam_status fill_in(const gc_call *call, int64_t *dims, int rank, int unknown)
{
    const gc_tensor *const x = call->inputs[0];
    char from[GC_SHAPE_TEXT], to[GC_SHAPE_TEXT];
    gc_tensor wanted;
    gc_tensor_describe(&wanted, x->dtype, rank, dims);
    const int64_t count = gc_tensor_count(x);
    if (unknown >= 0)
        wanted.dims[unknown] = 1;
    const int64_t known = gc_tensor_is_valid(&wanted) ? gc_tensor_count(&wanted) : -1;
    if (unknown >= 0 && known > 0)
        wanted.dims[unknown] = count / known;
    if (known < 0 || (unknown >= 0 && known == 0) || gc_tensor_count(&wanted) != count) {
        gc_tensor_describe(&wanted, x->dtype, rank, dims);
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "%s cannot be reshaped to %s",
                          gc_shape_text(x, from), gc_shape_text(&wanted, to));
    }
    set_shape(call, rank, wanted.dims);
    return GRADCAM_OK;
}

static gradcam_status reshape_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const bool copies_zero = gc_attr_int(call->node, "allowzero", 0) == 0;
    const int64_t *shape = NULL;
    size_t rank = 0;
    int64_t dims[GC_MAX_RANK];
    int unknown = -1;
    GC_TRY(gc_op_const_ints(call, 1, &shape, &rank));
    GC_TRY(gc_check_rank(call, (int64_t)rank));
    for (int i = 0; i < (int)rank; i++) {
        dims[i] = shape[i];
        if (dims[i] == 0 && copies_zero) {
            if (i >= x->rank)
                return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                                  "the shape copies axis %d of a tensor of rank %d", i, x->rank);
            dims[i] = x->dims[i];
        }
        if (dims[i] < -1 || (dims[i] == -1 && unknown >= 0))
            return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                              "the shape has a second -1 or a value below it");
        unknown = dims[i] == -1 ? i : unknown;
    }
    return fill_in(call, dims, (int)rank, unknown);
}

static gradcam_status squeeze_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t *axes = NULL;
    size_t count = 0;
    bool drops[GC_MAX_RANK];
    int64_t dims[GC_MAX_RANK];
    int rank = 0;
    GC_TRY(gc_op_const_ints(call, 1, &axes, &count));
    GC_TRY(gc_check_axes(call, axes, count, x->rank, drops));
    for (int i = 0; i < x->rank; i++) {
        if (!gc_op_has(call, 1))
            drops[i] = x->dims[i] == 1;
        if (drops[i] && x->dims[i] != 1)
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "axis %d has %lld elements, not 1", i,
                              (long long)x->dims[i]);
        if (!drops[i])
            dims[rank++] = x->dims[i];
    }
    set_shape(call, rank, dims);
    return GRADCAM_OK;
}

static gradcam_status unsqueeze_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t *axes = NULL;
    size_t count = 0;
    bool is_new[GC_MAX_RANK];
    int64_t dims[GC_MAX_RANK];
    GC_TRY(gc_op_const_ints(call, 1, &axes, &count));
    GC_TRY(gc_check_rank(call, x->rank + (int64_t)count));
    const int rank = x->rank + (int)count;
    GC_TRY(gc_check_axes(call, axes, count, rank, is_new));
    for (int i = 0, next = 0; i < rank; i++)
        dims[i] = is_new[i] ? 1 : x->dims[next++];
    set_shape(call, rank, dims);
    return GRADCAM_OK;
}

#define ROW(NAME, MIN_INPUTS, MAX_INPUTS, OUTPUTS, INFER, FORWARD)                                 \
    const gc_op gc_op_##NAME = {                                                                   \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .since = 1,                                                                                \
        .min_inputs = MIN_INPUTS,                                                                  \
        .max_inputs = MAX_INPUTS,                                                                  \
        .max_outputs = OUTPUTS,                                                                    \
        .layouts = GC_OP_PLAIN,                                                                    \
        .is_view = true,                                                                           \
        .infer = INFER,                                                                            \
        .forward = FORWARD,                                                                        \
        .backward = backward,                                                                      \
    }

ROW(Identity, 1, 1, 1, gc_op_infer_same, forward);
ROW(Dropout, 1, 3, 2, dropout_infer, dropout_forward);
ROW(Flatten, 1, 1, 1, flatten_infer, forward);
ROW(Reshape, 2, 2, 1, reshape_infer, forward);
ROW(Squeeze, 1, 2, 1, squeeze_infer, forward);
ROW(Unsqueeze, 2, 2, 1, unsqueeze_infer, forward);
