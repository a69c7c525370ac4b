/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "ops/resize.h"

static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
static const char *const coordinates[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
    "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize", NULL};
static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
                                        NULL};

/* Index of a string attribute among the names; the first is the default. */
static gradcam_status read_name(const gc_call *call, const char *attr, const char *const *names,
                                int *index)
{
    const char *const text = gc_attr_string(call->node, attr, names[0]);
    for (*index = 0; names[*index] != NULL; (*index)++)
        if (strcmp(names[*index], text) == 0)
            return GRADCAM_OK;
    return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED, "%s is '%s', expected one like '%s'", attr,
                      text, names[0]);
}

gradcam_status gc_resize_read_rule(const gc_call *call, gc_resize_rule *rule)
{
    int mode = 0, coordinate = 0, rounding = 0;
    GC_TRY(read_name(call, "mode", modes, &mode));
    GC_TRY(read_name(call, "coordinate_transformation_mode", coordinates, &coordinate));
    GC_TRY(read_name(call, "nearest_mode", roundings, &rounding));
    *rule = (gc_resize_rule){.mode = (gc_resize_mode)mode,
                             .coordinate = (gc_resize_coordinate)coordinate,
                             .rounding = (gc_resize_rounding)rounding};
    rule->cubic_a = (double)gc_attr_float(call->node, "cubic_coeff_a", -0.75f);
    rule->is_antialiased = gc_attr_int(call->node, "antialias", 0) != 0;
    rule->excludes_outside = gc_attr_int(call->node, "exclude_outside", 0) != 0;
    return GRADCAM_OK;
}

/* ---- From output to input coordinates ---- */

/* o * in / out without the rounding of a scale, so that whole numbers come out whole. */
static double unscale(const gc_resize_axis *axis, double position)
{
    if (axis->scale == (double)axis->out / (double)axis->in)
        return position * (double)axis->in / (double)axis->out;
    return position / axis->scale;
}

static double symmetric(const gc_resize_axis *axis, double o)
{
    const double exact = axis->scale * (double)axis->in;
    const double offset = (double)axis->in / 2.0 * (1.0 - (double)axis->out / exact);
    return offset + unscale(axis, o + 0.5) - 0.5;
}

static double crop(const gc_resize_axis *axis, double o)
{
    const double last = (double)(axis->in - 1);
    if (axis->out <= 1)
        return 0.5 * (axis->roi_begin + axis->roi_end) * last;
    const double extent = axis->roi_end - axis->roi_begin;
    return axis->roi_begin * last + o * extent * last / (double)(axis->out - 1);
}

static double coordinate_of(const gc_resize_rule *rule, const gc_resize_axis *axis, int64_t index)
{
    const double o = (double)index;
    switch (rule->coordinate) {
    case GC_RESIZE_HALF_PIXEL_SYMMETRIC:
        return symmetric(axis, o);
    case GC_RESIZE_PYTORCH_HALF_PIXEL:
        return axis->out > 1 ? unscale(axis, o + 0.5) - 0.5 : 0.0;
    case GC_RESIZE_ALIGN_CORNERS:
        return axis->out > 1 ? o * (double)(axis->in - 1) / (double)(axis->out - 1) : 0.0;
    case GC_RESIZE_ASYMMETRIC:
        return unscale(axis, o);
    case GC_RESIZE_TF_HALF_PIXEL_FOR_NN:
        return unscale(axis, o + 0.5);
    case GC_RESIZE_TF_CROP_AND_RESIZE:
        return crop(axis, o);
    case GC_RESIZE_HALF_PIXEL:
        break;
    }
    return unscale(axis, o + 0.5) - 0.5;
}

/* ---- From coordinates to taps ---- */

static double round_position(gc_resize_rounding rounding, double x)
{
    switch (rounding) {
    case GC_RESIZE_ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    case GC_RESIZE_FLOOR:
        return floor(x);
    case GC_RESIZE_CEIL:
        return ceil(x);
    case GC_RESIZE_ROUND_PREFER_FLOOR:
        break;
    }
    return ceil(x - 0.5);
}

static int64_t clamp(double position, int64_t extent)
{
    return position < 0.0 ? 0 : position >= (double)extent ? extent - 1 : (int64_t)position;
}

/* Antialiasing stretches the filter by the shrinking factor. */
static double stretch(const gc_resize_rule *rule, const gc_resize_axis *axis)
{
    return rule->is_antialiased && axis->scale < 1.0 ? 1.0 / axis->scale : 1.0;
}

static double support(const gc_resize_rule *rule)
{
    return rule->mode == GC_RESIZE_CUBIC ? 2.0 : 1.0;
}

static double filter(const gc_resize_rule *rule, double distance)
{
    const double d = fabs(distance), a = rule->cubic_a;
    if (rule->mode == GC_RESIZE_LINEAR)
        return d < 1.0 ? 1.0 - d : 0.0;
    if (d <= 1.0)
        return ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
    return d < 2.0 ? ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a : 0.0;
}

int64_t gc_resize_tap_count(const gc_resize_rule *rule, const gc_resize_axis *axis)
{
    if (rule->mode == GC_RESIZE_NEAREST)
        return 1;
    return 2 * (int64_t)ceil(support(rule) * stretch(rule, axis));
}

static void fill_nearest(const gc_resize_rule *rule, const gc_resize_axis *axis, double x,
                         int64_t *index, float *weight)
{
    index[0] = clamp(round_position(rule->rounding, x), axis->in);
    weight[0] = 1.0f;
}

/* Positions beyond the border count as the border or, with exclude_outside, not at all; then, and
 * with antialiasing, the weights are scaled to a sum of 1. */
static void fill_filter(const gc_resize_rule *rule, const gc_resize_axis *axis, double x,
                        int64_t *index, float *weight)
{
    const double width = stretch(rule, axis);
    const bool excludes = rule->excludes_outside, scales = excludes || rule->is_antialiased;
    const int64_t before = axis->taps / 2 - 1;
    const double first = floor(x) - (double)before;
    double sum = 0.0;
    for (int64_t t = 0; t < axis->taps; t++) {
        const double position = first + (double)t;
        const bool is_outside = position < 0.0 || position >= (double)axis->in;
        const double w = excludes && is_outside ? 0.0 : filter(rule, (position - x) / width);
        index[t] = clamp(position, axis->in);
        weight[t] = (float)w;
        sum += w;
    }
    for (int64_t t = 0; scales && sum != 0.0 && t < axis->taps; t++)
        weight[t] = (float)((double)weight[t] / sum);
}

/* A region given in float32 that ends at the border must not miss it by a rounding error. */
static bool is_beyond(const gc_resize_axis *axis, double x)
{
    const double slack = 1e-6 * (double)axis->in;
    return x < -slack || x > (double)(axis->in - 1) + slack;
}

static void fill_outside(const gc_resize_axis *axis, int64_t *index, float *weight)
{
    for (int64_t t = 0; t < axis->taps; t++) {
        index[t] = t == 0 ? -1 : 0;
        weight[t] = 0.0f;
    }
}

void gc_resize_fill_taps(const gc_resize_rule *rule, const gc_resize_axis *axis, int64_t *index,
                         float *weight)
{
    const bool is_crop = rule->coordinate == GC_RESIZE_TF_CROP_AND_RESIZE;
    for (int64_t o = 0; o < axis->out; o++, index += axis->taps, weight += axis->taps) {
        const double x = coordinate_of(rule, axis, o);
        if (is_crop && is_beyond(axis, x))
            fill_outside(axis, index, weight);
        else if (rule->mode == GC_RESIZE_NEAREST)
            fill_nearest(rule, axis, x, index, weight);
        else
            fill_filter(rule, axis, x, index, weight);
    }
}
