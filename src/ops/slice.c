/* SPDX-License-Identifier: Apache-2.0 */
/* Slice: starts, ends, axes, steps are constant inputs. Bounds beyond the tensor are clamped; a
 * negative one counts from the end, INT64_MIN included. */
#include <string.h>

#include "ops/check.h"
#include "ops/strided.h"

typedef struct window {
    int64_t start[GC_MAX_RANK], step[GC_MAX_RANK], count[GC_MAX_RANK];
} window;

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Wraps once and clamps, without overflow. Going down, -1 stands for "up to the first element". */
static int64_t bound(int64_t value, int64_t extent, int64_t step)
{
    const int64_t wrapped = value < 0 ? value + extent : value;
    return step > 0 ? clamp(wrapped, 0, extent) : clamp(wrapped, -1, extent - 1);
}

static void cut_axis(window *w, int axis, int64_t extent, int64_t start, int64_t end, int64_t step)
{
    const int64_t from = bound(start, extent, step), to = bound(end, extent, step);
    /* -step overflows for INT64_MIN: through unsigned. */
    const uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    const int64_t length = step > 0 ? to - from : from - to;
    w->start[axis] = from;
    w->count[axis] = length > 0 ? (int64_t)(((uint64_t)length - 1) / stride) + 1 : 0;
    w->step[axis] = w->count[axis] > 1 ? step : 1; /* so that step * stride stays in the tensor */
}

static gradcam_status find_window(const gc_call *call, window *w)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t *starts = NULL, *ends = NULL, *axes = NULL, *steps = NULL;
    size_t count = 0, end_count = 0, axis_count = 0, step_count = 0;
    GC_TRY(gc_op_const_ints(call, 1, &starts, &count));
    GC_TRY(gc_op_const_ints(call, 2, &ends, &end_count));
    GC_TRY(gc_op_const_ints(call, 3, &axes, &axis_count));
    GC_TRY(gc_op_const_ints(call, 4, &steps, &step_count));
    if (end_count != count || (axes != NULL && axis_count != count) ||
        (steps != NULL && step_count != count) || count > (size_t)x->rank)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                          "%zu starts, %zu ends, %zu axes, %zu steps for a tensor of rank %d",
                          count, end_count, axis_count, step_count, x->rank);
    bool is_chosen[GC_MAX_RANK];
    GC_TRY(gc_check_axes(call, axes, axes != NULL ? count : 0, x->rank, is_chosen));
    for (int i = 0; i < x->rank; i++)
        cut_axis(w, i, x->dims[i], 0, x->dims[i], 1);
    for (size_t i = 0; i < count; i++) {
        const int64_t given = axes != NULL ? axes[i] : (int64_t)i;
        const int axis = (int)(given < 0 ? given + x->rank : given);
        const int64_t step = steps != NULL ? steps[i] : 1;
        if (step == 0)
            return gc_op_fail(call, GRADCAM_ERROR_MODEL, "the step along axis %d is 0", axis);
        cut_axis(w, axis, x->dims[axis], starts[i], ends[i], step);
    }
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    window w = {0};
    GC_TRY(find_window(call, &w));
    gc_tensor_describe(call->outputs[0], x->dtype, x->rank, w.count);
    return GRADCAM_OK;
}

/* The copy from the input, and where it begins there. */
static gc_strided window_view(const window *w, const gc_tensor *x, int64_t *begin)
{
    int64_t from[GC_MAX_RANK], to[GC_MAX_RANK];
    gc_strides(x->rank, x->dims, from);
    gc_strides(x->rank, w->count, to);
    gc_strided view = {0};
    *begin = 0;
    for (int i = 0; i < x->rank; i++) {
        gc_strided_axis(&view, w->count[i], from[i] * w->step[i], to[i]);
        *begin += from[i] * w->start[i];
    }
    return view;
}

static gradcam_status forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    window w = {0};
    int64_t begin = 0;
    GC_TRY(find_window(call, &w));
    if (gc_tensor_count(call->outputs[0]) == 0)
        return GRADCAM_OK;
    const gc_strided view = window_view(&w, x, &begin);
    gc_strided_copy(&view, gc_element(x, begin), call->outputs[0]->data,
                    gc_dtype_is_float(x->dtype));
    return GRADCAM_OK;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    gc_tensor *const gx = input_grads[0];
    window w = {0};
    int64_t begin = 0;
    GC_TRY(find_window(call, &w));
    memset(gx->data, 0, gc_tensor_bytes(gx));
    if (gc_tensor_count(output_grads[0]) == 0)
        return GRADCAM_OK;
    const gc_strided view = window_view(&w, gx, &begin);
    const gc_strided back = gc_strided_reversed(&view);
    gc_strided_copy(&back, output_grads[0]->data, gc_element(gx, begin), true);
    return GRADCAM_OK;
}

const gc_op gc_op_Slice = {
    .name = "Slice",
    .domain = "",
    .since = 1,
    .min_inputs = 3,
    .max_inputs = 5,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_PARAMETERS,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
