/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resize. Inputs: X, roi, scales, sizes; one of the last two is given, and all but X are constant.
 *
 * The filters are products over axes, so each axis has a table of taps (resize_taps.c), rebuilt in
 * scratch at every call, which costs little beside the picture. The tensor is seen as outer x a x b
 * x c x inner, where a, b, c hold every axis that changes. Rows of inputs are brought to the new
 * extent of c first; a row of outputs is then a weighted sum of whole rows. The gradient is the
 * transpose: same tables, the two passes in the other order.
 */
#include "ops/resize.h"

#include <math.h>
#include <string.h>

#include "ops/check.h"

enum { AXES = 3, PIECE = 256 };

typedef struct table {
    gc_resize_axis axis;
    int64_t *index;
    float *weight;
} table;

typedef struct resize {
    gc_resize_rule rule;
    int64_t outer, inner;
    gc_resize_axis axes[AXES];
} resize;

/* ---- Shape ---- */

/* A constant float vector input; NULL where it is absent or, as old exporters write it, empty. */
static gradcam_status read_floats(const gc_call *call, int index, size_t count, const float **out)
{
    *out = NULL;
    if (!gc_op_has(call, index) || gc_tensor_count(call->inputs[index]) == 0)
        return GRADCAM_OK;
    const gc_tensor *const t = call->inputs[index];
    if (t->data == NULL)
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                          "input %d must be constant for a given input shape, but it depends on "
                          "the picture's values",
                          index);
    if (!gc_dtype_is_float(t->dtype) || t->rank != 1 || (size_t)t->dims[0] != count) {
        char text[GC_SHAPE_TEXT];
        return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                          "input %d is %s of shape %s, expected %zu float values", index,
                          gc_dtype_name(t->dtype), gc_shape_text(t, text), count);
    }
    *out = gc_floats(t);
    return GRADCAM_OK;
}

/* The axes that roi, scales and sizes speak of: the attribute `axes`, or all. */
static gradcam_status read_axes(const gc_call *call, int axes[GC_MAX_RANK], size_t *count)
{
    const int rank = call->inputs[0]->rank;
    const int64_t *const given = gc_attr_ints(call->node, "axes", count);
    bool is_chosen[GC_MAX_RANK];
    GC_TRY(gc_check_axes(call, given, *count, rank, is_chosen));
    for (size_t i = 0; i < *count; i++)
        GC_TRY(gc_op_axis(call, given[i], rank, &axes[i]));
    if (*count > 0)
        return GRADCAM_OK;
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    *count = (size_t)rank;
    return GRADCAM_OK;
}

static gradcam_status set_scale(const gc_call *call, float scale, gc_resize_axis *axis)
{
    const double out = floor((double)axis->in * (double)scale);
    if (!(scale > 0.0f) || !(out >= 1.0 && out < (double)INT32_MAX))
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                          "scale %g of extent %lld leaves nothing, or too much", (double)scale,
                          (long long)axis->in);
    axis->out = (int64_t)out;
    axis->scale = (double)scale;
    /* 1/3 as a float32 is not 1/3: where the extents say what was meant, believe them. */
    if (axis->out > 0 && (float)((double)axis->out / (double)axis->in) == scale)
        axis->scale = (double)axis->out / (double)axis->in;
    return GRADCAM_OK;
}

static gradcam_status set_size(const gc_call *call, int64_t size, gc_resize_axis *axis)
{
    if (size < 1 || size > INT32_MAX)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "size %lld, expected at least 1",
                          (long long)size);
    axis->out = size;
    axis->scale = (double)size / (double)axis->in;
    return GRADCAM_OK;
}

/* keep_aspect_ratio_policy: one scale for all the axes given. */
static gradcam_status keep_aspect(const gc_call *call, const int *axes, size_t count,
                                  gc_resize_axis *all)
{
    const char *const policy = gc_attr_string(call->node, "keep_aspect_ratio_policy", "stretch");
    const bool is_smallest = strcmp(policy, "not_larger") == 0;
    if (strcmp(policy, "stretch") == 0)
        return GRADCAM_OK;
    if (!is_smallest && strcmp(policy, "not_smaller") != 0)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                          "keep_aspect_ratio_policy is '%s', expected stretch, not_larger or "
                          "not_smaller",
                          policy);
    double scale = all[axes[0]].scale;
    for (size_t i = 1; i < count; i++) {
        const double other = all[axes[i]].scale;
        scale = is_smallest == (other < scale) ? other : scale;
    }
    for (size_t i = 0; i < count; i++) {
        gc_resize_axis *const axis = &all[axes[i]];
        const double out = floor(scale * (double)axis->in + 0.5);
        GC_TRY(set_size(call, (int64_t)(out < 1.0 ? 1.0 : out), axis));
        axis->scale = scale;
    }
    return GRADCAM_OK;
}

static gradcam_status read_extents(const gc_call *call, const int *axes, size_t count,
                                   gc_resize_axis *all)
{
    const float *scales = NULL;
    const int64_t *sizes = NULL;
    size_t size_count = 0;
    GC_TRY(read_floats(call, 2, count, &scales));
    GC_TRY(gc_op_const_ints(call, 3, &sizes, &size_count));
    if ((scales != NULL) == (size_count > 0) || (size_count > 0 && size_count != count))
        return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                          "%s scales and %zu sizes for %zu axes, expected one of the two",
                          scales != NULL ? "there are" : "no", size_count, count);
    for (size_t i = 0; i < count; i++) {
        gc_resize_axis *const axis = &all[axes[i]];
        if (axis->in < 1)
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "axis %d is empty", axes[i]);
        GC_TRY(scales != NULL ? set_scale(call, scales[i], axis) : set_size(call, sizes[i], axis));
    }
    return scales != NULL ? GRADCAM_OK : keep_aspect(call, axes, count, all);
}

static gradcam_status resolve_axes(const gc_call *call, const gc_resize_rule *rule,
                                   gc_resize_axis all[GC_MAX_RANK])
{
    const gc_tensor *const x = call->inputs[0];
    int axes[GC_MAX_RANK] = {0};
    size_t count = 0;
    const float *roi = NULL;
    for (int i = 0; i < x->rank; i++)
        all[i] = (gc_resize_axis){x->dims[i], x->dims[i], 1.0, 0.0, 1.0, 1};
    GC_TRY(read_axes(call, axes, &count));
    GC_TRY(read_extents(call, axes, count, all));
    if (rule->coordinate != GC_RESIZE_TF_CROP_AND_RESIZE)
        return GRADCAM_OK;
    GC_TRY(read_floats(call, 1, 2 * count, &roi));
    if (roi == NULL)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "tf_crop_and_resize without roi");
    for (size_t i = 0; i < count; i++) {
        all[axes[i]].roi_begin = (double)roi[i];
        all[axes[i]].roi_end = (double)roi[count + i];
    }
    return GRADCAM_OK;
}

static bool is_changed(const gc_resize_axis *axis)
{
    return axis->in != axis->out || axis->scale != 1.0 || axis->roi_begin != 0.0 ||
           axis->roi_end != 1.0;
}

/* Brings the changed axes into the three places; the others become taps on themselves. */
static gradcam_status arrange(const gc_call *call, const gc_resize_axis *all, resize *r)
{
    const int rank = call->inputs[0]->rank;
    int first = 0, last = rank - 1;
    while (first < rank && !is_changed(&all[first]))
        first++;
    while (last > first && !is_changed(&all[last]))
        last--;
    if (last - first >= AXES)
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                          "resizes axes %d to %d, expected at most 3 neighbours", first, last);
    r->outer = r->inner = 1;
    for (int a = 0; a < AXES; a++)
        r->axes[a] = (gc_resize_axis){1, 1, 1.0, 0.0, 1.0, 1};
    for (int i = 0; i < rank; i++)
        if (i < first)
            r->outer *= all[i].in;
        else if (i > last)
            r->inner *= all[i].in;
        else
            r->axes[AXES - 1 - last + i] = all[i];
    for (int a = 0; a < AXES; a++)
        r->axes[a].taps = is_changed(&r->axes[a]) ? gc_resize_tap_count(&r->rule, &r->axes[a]) : 1;
    return GRADCAM_OK;
}

static gradcam_status resolve(const gc_call *call, resize *r, int64_t dims[GC_MAX_RANK])
{
    gc_resize_axis all[GC_MAX_RANK] = {0};
    GC_TRY(gc_check_floats(call, 1));
    GC_TRY(gc_resize_read_rule(call, &r->rule));
    GC_TRY(resolve_axes(call, &r->rule, all));
    for (int i = 0; i < call->inputs[0]->rank; i++)
        dims[i] = all[i].out;
    return arrange(call, all, r);
}

static gradcam_status infer(const gc_call *call)
{
    resize r;
    int64_t dims[GC_MAX_RANK];
    GC_TRY(resolve(call, &r, dims));
    gc_tensor_describe(call->outputs[0], call->inputs[0]->dtype, call->inputs[0]->rank, dims);
    return gc_check_output(call, 0);
}

/* ---- Values ---- */

/* Elements between the two passes: rows of inputs, as wide as those of outputs. */
static int64_t between_count(const resize *r)
{
    return r->outer * r->axes[0].in * r->axes[1].in * r->axes[2].out * r->inner;
}

static size_t scratch(const gc_call *call)
{
    resize r;
    int64_t dims[GC_MAX_RANK];
    size_t entries = 0;
    if (resolve(call, &r, dims) != GRADCAM_OK)
        return 0;
    for (int a = 0; a < AXES; a++)
        entries += (size_t)(r.axes[a].out * r.axes[a].taps);
    return entries * (sizeof(int64_t) + sizeof(float)) + (size_t)between_count(&r) * sizeof(float);
}

/* What both directions walk over. */
typedef struct walk {
    table t[AXES];
    int64_t outer, inner;
    int64_t in_rows, out_rows; /* of a block */
    int64_t in_row, out_row;   /* elements */
    float *between;            /* outer x in_rows x out_row */
} walk;

static void begin(const gc_call *call, const resize *r, walk *w)
{
    int64_t entries = 0;
    for (int a = 0; a < AXES; a++)
        entries += r->axes[a].out * r->axes[a].taps;
    int64_t *index = call->scratch;
    float *weight = (float *)(index + entries);
    for (int a = 0; a < AXES; a++) {
        const gc_resize_axis *const axis = &r->axes[a];
        w->t[a] = (table){*axis, index, weight};
        if (is_changed(axis))
            gc_resize_fill_taps(&r->rule, axis, index, weight);
        for (int64_t o = 0; o < axis->out && !is_changed(axis); o++) {
            index[o] = o;
            weight[o] = 1.0f;
        }
        index += axis->out * axis->taps;
        weight += axis->out * axis->taps;
    }
    w->outer = r->outer;
    w->inner = r->inner;
    w->in_rows = r->axes[0].in * r->axes[1].in;
    w->out_rows = r->axes[0].out * r->axes[1].out;
    w->in_row = r->axes[2].in * r->inner;
    w->out_row = r->axes[2].out * r->inner;
    w->between = weight;
}

static bool is_parallel(const walk *w)
{
    return w->outer * w->out_rows * w->out_row > GC_PARALLEL_ELEMENTS;
}

static bool is_outside(const table *t, int64_t o)
{
    return t->index[o * t->axis.taps] < 0;
}

static void add_scaled(float *to, float weight, const float *from, int64_t count)
{
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        to[i] += weight * from[i];
}

/* A row of inputs made as wide as one of outputs. */
static void widen(const table *t, int64_t inner, const float *x, float *to)
{
    memset(to, 0, (size_t)(t->axis.out * inner) * sizeof *to);
    for (int64_t o = 0; o < t->axis.out; o++)
        for (int64_t k = o * t->axis.taps; k < (o + 1) * t->axis.taps; k++) {
            if (t->weight[k] == 0.0f) /* and perhaps an infinity there */
                continue;
            for (int64_t i = 0; i < inner; i++)
                to[o * inner + i] += t->weight[k] * x[t->index[k] * inner + i];
        }
}

/* The gradient of that. */
static void narrow(const table *t, int64_t inner, const float *from, float *gx)
{
    memset(gx, 0, (size_t)(t->axis.in * inner) * sizeof *gx);
    for (int64_t o = 0; o < t->axis.out; o++)
        for (int64_t k = o * t->axis.taps; k < (o + 1) * t->axis.taps; k++) {
            if (t->weight[k] == 0.0f)
                continue;
            for (int64_t i = 0; i < inner; i++)
                gx[t->index[k] * inner + i] += t->weight[k] * from[o * inner + i];
        }
}

/* Piece [first, first + count) of output row `row` of a block, as a sum of the rows between or,
 * `reverse`, what it adds to them. */
static void mix(const walk *w, int64_t outer, int64_t row, int64_t first, int64_t count, float *y,
                bool reverse)
{
    const table *const a = &w->t[0], *const b = &w->t[1];
    const int64_t at_a = row / b->axis.out * a->axis.taps, at_b = row % b->axis.out * b->axis.taps;
    for (int64_t k = at_a; k < at_a + a->axis.taps; k++)
        for (int64_t l = at_b; l < at_b + b->axis.taps; l++) {
            const float weight = a->weight[k] * b->weight[l];
            if (weight == 0.0f)
                continue;
            const int64_t from = outer * w->in_rows + a->index[k] * b->axis.in + b->index[l];
            float *const between = w->between + from * w->out_row + first;
            if (reverse)
                add_scaled(between, weight, y + first, count);
            else
                add_scaled(y + first, weight, between, count);
        }
}

/* What lies outside the input has a value of its own. */
static void fill_outside(const walk *w, int64_t row, float value, float *y)
{
    const table *const t = w->t;
    const bool is_all =
        is_outside(&t[0], row / t[1].axis.out) || is_outside(&t[1], row % t[1].axis.out);
    for (int64_t o = 0; o < t[2].axis.out; o++)
        for (int64_t i = 0; i < w->inner && (is_all || is_outside(&t[2], o)); i++)
            y[o * w->inner + i] = value;
}

static gradcam_status forward(const gc_call *call)
{
    resize r;
    walk w;
    int64_t dims[GC_MAX_RANK];
    GC_TRY(resolve(call, &r, dims));
    begin(call, &r, &w);
    const float value = gc_attr_float(call->node, "extrapolation_value", 0.0f);
    const bool may_leave = r.rule.coordinate == GC_RESIZE_TF_CROP_AND_RESIZE;
    const float *const x = gc_floats(call->inputs[0]);
    float *const y = gc_floats(call->outputs[0]);
#pragma omp parallel if (is_parallel(&w))
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < w.outer * w.in_rows; i++)
            widen(&w.t[2], w.inner, x + i * w.in_row, w.between + i * w.out_row);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < w.outer * w.out_rows; i++) {
            const int64_t outer = i / w.out_rows, row = i % w.out_rows;
            float *const to = y + i * w.out_row;
            memset(to, 0, (size_t)w.out_row * sizeof *to);
            mix(&w, outer, row, 0, w.out_row, to, false);
            if (may_leave)
                fill_outside(&w, row, value, to);
        }
    }
    return GRADCAM_OK;
}

/* As gradients of a class of a map of classes are in all channels but its own. */
static bool is_zero(const float *values, int64_t count)
{
    int differ = 0;
    for (int64_t i = 0; i < count; i++)
        differ |= values[i] != 0.0f;
    return differ == 0;
}

/* Pieces of rows are independent of each other, so that one block keeps all threads busy, and the
 * rows between stay in the cache. */
static void collect(const walk *w, int64_t outer, int64_t first, float *gy)
{
    const int64_t left = w->out_row - first, count = left < PIECE ? left : PIECE;
    for (int64_t row = 0; row < w->in_rows; row++)
        memset(w->between + (outer * w->in_rows + row) * w->out_row + first, 0,
               (size_t)count * sizeof *gy);
    for (int64_t row = 0; row < w->out_rows; row++) {
        float *const from = gy + (outer * w->out_rows + row) * w->out_row;
        if (!is_zero(from + first, count))
            mix(w, outer, row, first, count, from, true);
    }
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    resize r;
    walk w;
    int64_t dims[GC_MAX_RANK];
    GC_TRY(gc_op_check_first_grad(call, input_grads));
    GC_TRY(resolve(call, &r, dims));
    begin(call, &r, &w);
    const int64_t pieces = (w.out_row + PIECE - 1) / PIECE;
    float *const gy = gc_floats(output_grads[0]), *const gx = gc_floats(input_grads[0]);
#pragma omp parallel if (is_parallel(&w))
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < w.outer * pieces; i++)
            collect(&w, i / pieces, i % pieces * PIECE, gy);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < w.outer * w.in_rows; i++)
            narrow(&w.t[2], w.inner, w.between + i * w.out_row, gx + i * w.in_row);
    }
    return GRADCAM_OK;
}

const gc_op gc_op_Resize = {
    .name = "Resize",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 4,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_PARAMETERS,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .scratch = scratch,
};
