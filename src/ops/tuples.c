/* SPDX-License-Identifier: Apache-2.0 */
/* GatherND and ScatterND: the last axis of the index tensor holds tuples that point to elements, or
 * to whole rows where a tuple is shorter than the rank of the data. */
#include <string.h>

#include "ops/check.h"
#include "ops/scatter.h"
#include "ops/strided.h"

/* Tuples of `length` indices into the axes from `first` on; each names `row` elements. */
typedef struct tuples {
    int first, length;
    int64_t count, row;
    int64_t per_batch, batch_stride; /**< Tuples, and elements of data, in one batch. */
} tuples;

static gradcam_status find_tuples(const gc_call *call, tuples *t)
{
    const gc_tensor *const x = call->inputs[0], *const indices = call->inputs[1];
    const int64_t batch_axes = gc_attr_int(call->node, "batch_dims", 0);
    GC_TRY(gc_check_integer(call, 1));
    if (x->rank < 1 || indices->rank < 1)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "data and indices must not be scalars");
    const int64_t length = indices->dims[indices->rank - 1];
    if (batch_axes < 0 || batch_axes >= indices->rank || batch_axes >= x->rank || length < 1 ||
        length > x->rank - batch_axes)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                          "tuples of %lld indices after %lld axes of data of rank %d",
                          (long long)length, (long long)batch_axes, x->rank);
    *t = (tuples){.first = (int)batch_axes, .length = (int)length, .row = 1, .per_batch = 1};
    for (int i = 0; i < t->first; i++)
        if (x->dims[i] != indices->dims[i])
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "data and indices differ along axis %d",
                              i);
    for (int i = t->first; i < indices->rank - 1; i++)
        t->per_batch *= indices->dims[i];
    for (int i = t->first + t->length; i < x->rank; i++)
        t->row *= x->dims[i];
    t->count = gc_tensor_count(indices) / length;
    t->batch_stride = t->row;
    for (int i = t->first; i < t->first + t->length; i++)
        t->batch_stride *= x->dims[i];
    return GRADCAM_OK;
}

/* First element of the row that tuple `i` names, or -1. */
static int64_t target_of(const tuples *t, const gc_tensor *x, const gc_tensor *indices, int64_t i)
{
    const int64_t *const tuple = gc_ints(indices) + i * t->length;
    int64_t at = 0;
    for (int d = 0; d < t->length; d++) {
        const int64_t extent = x->dims[t->first + d];
        if (tuple[d] < -extent || tuple[d] >= extent)
            return -1;
        at = at * extent + (tuple[d] < 0 ? tuple[d] + extent : tuple[d]);
    }
    return i / t->per_batch * t->batch_stride + at * t->row;
}

static gradcam_status fail_tuple(const gc_call *call, int64_t i)
{
    char text[GC_SHAPE_TEXT];
    return gc_op_fail(call, GRADCAM_ERROR_MODEL, "tuple %lld of indices is outside data of %s",
                      (long long)i, gc_shape_text(call->inputs[0], text));
}

/* ---- GatherND ------------------------------------------------------------------------------- */

static gradcam_status gather_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const indices = call->inputs[1];
    tuples t = {0};
    int64_t dims[GC_MAX_RANK];
    int rank = 0;
    GC_TRY(find_tuples(call, &t));
    GC_TRY(gc_check_rank(call, indices->rank - 1 + x->rank - t.first - t.length));
    for (int i = 0; i < indices->rank - 1; i++)
        dims[rank++] = indices->dims[i];
    for (int i = t.first + t.length; i < x->rank; i++)
        dims[rank++] = x->dims[i];
    gc_tensor_describe(call->outputs[0], x->dtype, rank, dims);
    return gc_check_output(call, 0);
}

static gradcam_status gather_forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    tuples t = {0};
    GC_TRY(find_tuples(call, &t));
    const size_t bytes = (size_t)t.row * gc_element_size(gc_dtype_is_float(x->dtype));
    for (int64_t i = 0; i < t.count; i++) {
        const int64_t at = target_of(&t, x, call->inputs[1], i);
        if (at < 0)
            return fail_tuple(call, i);
        memcpy(gc_element(call->outputs[0], i * t.row), gc_element(x, at), bytes);
    }
    return GRADCAM_OK;
}

static gradcam_status gather_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                      gc_tensor *const *input_grads)
{
    gc_tensor *const gx = input_grads[0];
    tuples t = {0};
    GC_TRY(find_tuples(call, &t));
    memset(gx->data, 0, gc_tensor_bytes(gx));
    for (int64_t i = 0; i < t.count; i++)
        gc_scatter_row(gx, target_of(&t, gx, call->inputs[1], i), output_grads[0], i * t.row, t.row,
                       GC_SCATTER_ADD);
    return GRADCAM_OK;
}

const gc_op gc_op_GatherND = {
    .name = "GatherND",
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

/* ---- ScatterND ------------------------------------------------------------------------------ */

static gradcam_status scatter_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const indices = call->inputs[1];
    const gc_tensor *const updates = call->inputs[2];
    char text[GC_SHAPE_TEXT];
    tuples t = {0};
    gc_scatter_mode mode = GC_SCATTER_SET;
    GC_TRY(find_tuples(call, &t));
    GC_TRY(gc_check_same_storage(call, 2));
    GC_TRY(gc_scatter_read_mode(call, &mode));
    const int lead = indices->rank - 1;
    bool fits = updates->rank == lead + x->rank - t.length;
    for (int i = 0; fits && i < updates->rank; i++)
        fits = updates->dims[i] == (i < lead ? indices->dims[i] : x->dims[i - lead + t.length]);
    if (!fits)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "updates of shape %s do not fit the indices",
                          gc_shape_text(updates, text));
    return gc_op_infer_same(call);
}

static gradcam_status scatter_forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const y = call->outputs[0];
    tuples t = {0};
    gc_scatter_mode mode = GC_SCATTER_SET;
    GC_TRY(find_tuples(call, &t));
    GC_TRY(gc_scatter_read_mode(call, &mode));
    if (y->data != x->data)
        memcpy(y->data, x->data, gc_tensor_bytes(x));
    for (int64_t i = 0; i < t.count; i++) {
        const int64_t at = target_of(&t, x, call->inputs[1], i);
        if (at < 0)
            return fail_tuple(call, i);
        gc_scatter_row(y, at, call->inputs[2], i * t.row, t.row, mode);
    }
    return GRADCAM_OK;
}

/* Products, minima and maxima. */
static void scatter_shares(const gc_call *call, const tuples *t, gc_scatter_mode mode,
                           const gc_tensor *gy, gc_tensor *const *input_grads)
{
    const gc_tensor *const x = call->inputs[0], *const indices = call->inputs[1];
    gc_scatter_begin(call, mode);
    for (int64_t i = 0; i < t->count; i++)
        gc_scatter_meet(call, target_of(t, x, indices, i), i * t->row, t->row, mode);
    if (input_grads[0] != NULL)
        gc_scatter_share(call, gy, 0, x, 0, gc_tensor_count(x), mode, input_grads[0]);
    for (int64_t i = 0; input_grads[2] != NULL && i < t->count; i++)
        gc_scatter_share(call, gy, target_of(t, x, indices, i), call->inputs[2], i * t->row, t->row,
                         mode, input_grads[2]);
}

static gradcam_status scatter_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                       gc_tensor *const *input_grads)
{
    const gc_tensor *const gy = output_grads[0];
    tuples t = {0};
    gc_scatter_mode mode = GC_SCATTER_SET;
    GC_TRY(find_tuples(call, &t));
    GC_TRY(gc_scatter_read_mode(call, &mode));
    if (gc_scatter_is_shared(mode)) {
        scatter_shares(call, &t, mode, gy, input_grads);
        return GRADCAM_OK;
    }
    if (input_grads[0] != NULL)
        memcpy(input_grads[0]->data, gy->data, gc_tensor_bytes(gy));
    for (int64_t i = 0; i < t.count; i++) {
        const int64_t at = target_of(&t, gy, call->inputs[1], i);
        const size_t bytes = (size_t)t.row * sizeof(float);
        if (input_grads[2] != NULL)
            memcpy(gc_element(input_grads[2], i * t.row), gc_element(gy, at), bytes);
        if (input_grads[0] != NULL && mode == GC_SCATTER_SET)
            memset(gc_element(input_grads[0], at), 0, bytes);
    }
    return GRADCAM_OK;
}

const gc_op gc_op_ScatterND = {
    .name = "ScatterND",
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
