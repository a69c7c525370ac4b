/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TopK: the K largest (or smallest) values along an axis, in order, and where they stood. Of equal
 * ones the first comes first; NaN, as in PyTorch, counts as the largest of all. With sorted = 0 any
 * order may come; it is the same here.
 */
#include <math.h>
#include <string.h>

#include "ops/check.h"

typedef struct top {
    int axis;
    int64_t outer, extent, inner; /**< The input seen as outer x extent x inner. */
    int64_t k;
    bool is_largest;
} top;

static gradcam_status find_top(const gc_call *call, top *t)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t *k = NULL;
    size_t count = 0;
    GC_TRY(gc_op_const_ints(call, 1, &k, &count));
    *t = (top){.outer = 1, .inner = 1, .k = count == 1 ? k[0] : -1};
    t->is_largest = gc_attr_int(call->node, "largest", 1) != 0;
    GC_TRY(gc_op_axis(call, gc_attr_int(call->node, "axis", -1), x->rank, &t->axis));
    t->extent = x->dims[t->axis];
    for (int i = 0; i < x->rank; i++)
        if (i != t->axis)
            *(i < t->axis ? &t->outer : &t->inner) *= x->dims[i];
    if (t->k < 0 || t->k > t->extent)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                          "k is %lld (%zu values), expected one from 0 to %lld, the extent of axis "
                          "%d",
                          (long long)t->k, count, (long long)t->extent, t->axis);
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    int64_t dims[GC_MAX_RANK];
    top t;
    GC_TRY(find_top(call, &t));
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == t.axis ? t.k : x->dims[i];
    if (gc_op_gives(call, 0))
        gc_tensor_describe(call->outputs[0], x->dtype, x->rank, dims);
    if (gc_op_gives(call, 1))
        gc_tensor_describe(call->outputs[1], GC_INT64, x->rank, dims);
    return GRADCAM_OK;
}

/* ---- One lane: a heap of the best so far, the worst of them on top --------------------------- */

typedef struct lane {
    const gc_tensor *x;
    int64_t start, step; /**< Of the lane in x. */
    bool is_largest;
} lane;

/* -1, 0, 1; NaN above all. */
static int compare_floats(float a, float b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

/* Does element i come before element j in the result? */
static bool is_before(const lane *l, int64_t i, int64_t j)
{
    const int64_t a = l->start + i * l->step, b = l->start + j * l->step;
    int order = 0;
    if (gc_dtype_is_float(l->x->dtype))
        order = compare_floats(gc_floats(l->x)[a], gc_floats(l->x)[b]);
    else
        order = (gc_ints(l->x)[a] > gc_ints(l->x)[b]) - (gc_ints(l->x)[a] < gc_ints(l->x)[b]);
    return order != 0 ? (order > 0) == l->is_largest : i < j;
}

static void sink(const lane *l, int64_t *heap, int64_t count, int64_t at)
{
    for (;;) {
        const int64_t left = 2 * at + 1;
        int64_t last = at;
        for (int64_t child = left; child < left + 2 && child < count; child++)
            if (is_before(l, heap[last], heap[child]))
                last = child;
        if (last == at)
            return;
        const int64_t moved = heap[at];
        heap[at] = heap[last];
        heap[last] = moved;
        at = last;
    }
}

/* chosen[0 .. k) = indices along the axis, the best first. */
static void choose(const lane *l, int64_t extent, int64_t k, int64_t *chosen)
{
    for (int64_t i = 0; i < k; i++)
        chosen[i] = i;
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sink(l, chosen, k, i);
    for (int64_t i = k; i < extent && k > 0; i++)
        if (is_before(l, i, chosen[0])) {
            chosen[0] = i;
            sink(l, chosen, k, 0);
        }
    for (int64_t count = k - 1; count > 0; count--) {
        const int64_t worst = chosen[0];
        chosen[0] = chosen[count];
        chosen[count] = worst;
        sink(l, chosen, count, 0);
    }
}

static size_t scratch(const gc_call *call)
{
    top t;
    return find_top(call, &t) == GRADCAM_OK ? (size_t)t.k * sizeof(int64_t) : 0;
}

static lane lane_of(const gc_call *call, const top *t, int64_t row)
{
    return (lane){.x = call->inputs[0],
                  .start = row / t->inner * t->extent * t->inner + row % t->inner,
                  .step = t->inner,
                  .is_largest = t->is_largest};
}

/* ---- Forward, backward ----------------------------------------------------------------------- */

static void store(const gc_call *call, const lane *l, const int64_t *chosen, const top *t,
                  int64_t row)
{
    const int64_t to = row / t->inner * t->k * t->inner + row % t->inner;
    for (int64_t i = 0; i < t->k; i++) {
        const int64_t at = to + i * t->inner, from = l->start + chosen[i] * l->step;
        if (gc_op_gives(call, 1))
            gc_ints(call->outputs[1])[at] = chosen[i];
        if (!gc_op_gives(call, 0))
            continue;
        if (gc_dtype_is_float(l->x->dtype))
            gc_floats(call->outputs[0])[at] = gc_floats(l->x)[from];
        else
            gc_ints(call->outputs[0])[at] = gc_ints(l->x)[from];
    }
}

static gradcam_status forward(const gc_call *call)
{
    top t;
    GC_TRY(find_top(call, &t));
    for (int64_t row = 0; row < t.outer * t.inner; row++) {
        const lane l = lane_of(call, &t, row);
        choose(&l, t.extent, t.k, call->scratch);
        store(call, &l, call->scratch, &t, row);
    }
    return GRADCAM_OK;
}

/* What was chosen gets the gradient of its place. */
static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    top t;
    GC_TRY(gc_op_check_first_grad(call, input_grads));
    GC_TRY(find_top(call, &t));
    const int64_t *const chosen = call->scratch;
    float *const gx = gc_floats(input_grads[0]);
    memset(gx, 0, gc_tensor_bytes(input_grads[0]));
    for (int64_t row = 0; row < t.outer * t.inner && output_grads[0] != NULL; row++) {
        const lane l = lane_of(call, &t, row);
        const int64_t from = row / t.inner * t.k * t.inner + row % t.inner;
        choose(&l, t.extent, t.k, call->scratch);
        for (int64_t i = 0; i < t.k; i++)
            gx[l.start + chosen[i] * l.step] = gc_floats(output_grads[0])[from + i * t.inner];
    }
    return GRADCAM_OK;
}

const gc_op gc_op_TopK = {
    .name = "TopK",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .max_outputs = 2,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS | GC_READS_PARAMETERS,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .scratch = scratch,
};
