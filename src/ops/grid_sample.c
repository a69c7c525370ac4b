/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GridSample (Jaderberg et al. 2015, "Spatial Transformer Networks"; PyTorch's grid_sample): reads
 * X (N x C x spatial) at the points of a grid (N x out... x axes), whose coordinates run from -1 to
 * 1 and begin with the last axis. One, two or three spatial axes; cubic on one or two, as in
 * PyTorch.
 *
 * Per axis there are taps: positions, their weights, and how the weights change with the grid. A
 * value is a sum over products of taps, so the gradient of the grid is the same sum with the slope
 * of one axis in the place of its weight. A point outside X is 0 (padding zeros), moves to the edge
 * (border) or is mirrored at it (reflection); a cubic does so with each of its positions.
 */
#include <math.h>
#include <string.h>

#include "ops/check.h"

enum { AXES = 3, TAPS = 4 };

typedef enum mode { LINEAR, NEAREST, CUBIC } mode;
typedef enum padding { ZEROS, BORDER, REFLECTION } padding;

typedef struct sampler {
    mode mode;
    padding padding;
    bool align_corners;
    int axes;
    int64_t extent[AXES]; /**< of X; axes that are missing come first, with extent 1 */
    int64_t batch, channels, plane, points;
} sampler;

typedef struct axis_taps {
    int count;
    int64_t index[TAPS]; /**< -1: outside, counts as 0 */
    float weight[TAPS], slope[TAPS];
} axis_taps;

/* ---- Attributes and shapes ------------------------------------------------------------------- */

static gradcam_status read_choice(const gc_call *call, const char *name, const char *const *words,
                                  int *choice)
{
    const char *const given = gc_attr_string(call->node, name, words[0]);
    for (*choice = 0; *choice < 3; ++*choice)
        if (strcmp(given, words[*choice]) == 0)
            return GRADCAM_OK;
    return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%s is '%s', expected %s, %s or %s", name, given,
                      words[0], words[1], words[2]);
}

static gradcam_status make_sampler(const gc_call *call, sampler *s)
{
    static const char *const modes[] = {"linear", "nearest", "cubic"};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    const gc_tensor *const x = call->inputs[0], *const grid = call->inputs[1];
    int chosen_mode = 0, chosen_padding = 0;
    GC_TRY(read_choice(call, "mode", modes, &chosen_mode));
    GC_TRY(read_choice(call, "padding_mode", paddings, &chosen_padding));
    *s = (sampler){.mode = (mode)chosen_mode,
                   .padding = (padding)chosen_padding,
                   .align_corners = gc_attr_int(call->node, "align_corners", 0) != 0,
                   .axes = x->rank - 2,
                   .plane = 1,
                   .points = 1};
    if (s->axes < 1 || s->axes > AXES || (s->mode == CUBIC && s->axes > 2))
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                          "input of rank %d, expected N, C and 1 to %d spatial axes", x->rank,
                          s->mode == CUBIC ? 2 : 3);
    char a[GC_SHAPE_TEXT], b[GC_SHAPE_TEXT];
    if (grid->rank != x->rank || grid->dims[0] != x->dims[0] ||
        grid->dims[grid->rank - 1] != s->axes)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "grid of shape %s for an input of shape %s",
                          gc_shape_text(grid, b), gc_shape_text(x, a));
    s->batch = x->dims[0];
    s->channels = x->dims[1];
    for (int i = 0; i < AXES; i++) {
        const int axis = i - AXES + x->rank;
        s->extent[i] = axis < 2 ? 1 : x->dims[axis];
        s->plane *= s->extent[i];
    }
    for (int i = 1; i < grid->rank - 1; i++)
        s->points *= grid->dims[i];
    if (s->plane < 1)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "input of shape %s has no spatial extent",
                          gc_shape_text(x, a));
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const grid = call->inputs[1];
    int64_t dims[GC_MAX_RANK] = {x->dims[0], x->dims[1]};
    sampler s;
    GC_TRY(gc_check_floats(call, 2));
    GC_TRY(make_sampler(call, &s));
    for (int i = 2; i < x->rank; i++)
        dims[i] = grid->dims[i - 1];
    gc_tensor_describe(call->outputs[0], x->dtype, x->rank, dims);
    return gc_check_output(call, 0);
}

/* ---- Positions ------------------------------------------------------------------------------- */

/* A position, and its derivative by what it was made of. */
typedef struct place {
    float at, slope;
} place;

static place clip(place p, int64_t extent)
{
    const float last = (float)(extent - 1);
    if (!(p.at > 0.0f))
        return (place){0.0f, 0.0f};
    return p.at >= last ? (place){last, 0.0f} : p;
}

/* Mirrored at the corners, or at the outer edges of the pixels at the end. */
static place reflect(const sampler *s, place p, int64_t extent)
{
    const float low = s->align_corners ? 0.0f : -0.5f;
    const float span = s->align_corners ? (float)(extent - 1) : (float)extent;
    if (span <= 0.0f)
        return (place){0.0f, 0.0f};
    const float sign = p.at < low ? -1.0f : 1.0f, distance = fabsf(p.at - low);
    const float rest = fmodf(distance, span);
    const bool is_even = fmodf(floorf(distance / span), 2.0f) == 0.0f;
    return clip(is_even ? (place){rest + low, p.slope * sign}
                        : (place){span - rest + low, -p.slope * sign},
                extent);
}

static place pad(const sampler *s, place p, int64_t extent)
{
    return s->padding == BORDER       ? clip(p, extent)
           : s->padding == REFLECTION ? reflect(s, p, extent)
                                      : p;
}

/* From -1..1 to pixels. What is far outside, or no number, stays outside, but within what an index
 * can hold. */
static place unnormalize(const sampler *s, float grid, int64_t extent)
{
    const float size = (float)extent;
    place p = {((grid + 1.0f) * size - 1.0f) / 2.0f, size / 2.0f};
    if (s->align_corners)
        p = (place){(grid + 1.0f) / 2.0f * (size - 1.0f), (size - 1.0f) / 2.0f};
    if (!(fabsf(p.at) < 1e9f))
        p = (place){-1e9f, 0.0f};
    return p;
}

/* ---- Taps ------------------------------------------------------------------------------------ */

static int64_t inside(int64_t index, int64_t extent)
{
    return index >= 0 && index < extent ? index : -1;
}

/* Keys' cubic convolution with a = -3/4, at distances 1 + t, t, 1 - t, 2 - t. */
static void cubic(float t, float weight[TAPS], float slope[TAPS])
{
    const float a = -0.75f;
    for (int i = 0; i < TAPS; i++) {
        const float d = i == 0 ? t + 1.0f : i == 1 ? t : i == 2 ? 1.0f - t : 2.0f - t;
        const float sign = i < 2 ? 1.0f : -1.0f;
        const bool is_near = i == 1 || i == 2;
        weight[i] = is_near ? ((a + 2.0f) * d - (a + 3.0f)) * d * d + 1.0f
                            : ((a * d - 5.0f * a) * d + 8.0f * a) * d - 4.0f * a;
        slope[i] = sign * (is_near ? (3.0f * (a + 2.0f) * d - 2.0f * (a + 3.0f)) * d
                                   : (3.0f * a * d - 10.0f * a) * d + 8.0f * a);
    }
}

static void cubic_taps(const sampler *s, place p, int64_t extent, axis_taps *t)
{
    const float low = floorf(p.at);
    t->count = TAPS;
    cubic(p.at - low, t->weight, t->slope);
    for (int i = 0; i < TAPS; i++) {
        const place q = pad(s, (place){low + (float)(i - 1), 1.0f}, extent);
        t->index[i] = inside((int64_t)q.at, extent);
        t->slope[i] *= p.slope;
    }
}

static void find_taps(const sampler *s, float grid, int64_t extent, axis_taps *t)
{
    place p = unnormalize(s, grid, extent);
    if (s->mode == CUBIC) {
        cubic_taps(s, p, extent, t);
        return;
    }
    p = pad(s, p, extent);
    if (s->mode == NEAREST) {
        *t = (axis_taps){1, {inside((int64_t)rintf(p.at), extent)}, {1.0f}, {0.0f}};
        return;
    }
    const float low = floorf(p.at), part = p.at - low;
    *t = (axis_taps){2,
                     {inside((int64_t)low, extent), inside((int64_t)low + 1, extent)},
                     {1.0f - part, part},
                     {-p.slope, p.slope}};
}

static void find_all(const sampler *s, const float *grid, axis_taps taps[AXES])
{
    for (int a = 0; a < AXES; a++) {
        const int from_end = AXES - 1 - a; /* the grid begins with the last axis */
        if (from_end < s->axes)
            find_taps(s, grid[from_end], s->extent[a], &taps[a]);
        else
            taps[a] = (axis_taps){1, {0}, {1.0f}, {0.0f}};
    }
}

/* Calls BODY for each product of taps inside X: `at` in the plane, i[3] the taps. */
#define EACH_TAP(s, taps, BODY)                                                                    \
    for (int i0 = 0; i0 < (taps)[0].count; i0++)                                                   \
        for (int i1 = 0; i1 < (taps)[1].count; i1++)                                               \
            for (int i2 = 0; i2 < (taps)[2].count; i2++) {                                         \
                const int64_t p0 = (taps)[0].index[i0], p1 = (taps)[1].index[i1],                  \
                              p2 = (taps)[2].index[i2];                                            \
                if (p0 < 0 || p1 < 0 || p2 < 0)                                                    \
                    continue;                                                                      \
                const int64_t at = (p0 * (s)->extent[1] + p1) * (s)->extent[2] + p2;               \
                const float w0 = (taps)[0].weight[i0], w1 = (taps)[1].weight[i1],                  \
                            w2 = (taps)[2].weight[i2];                                             \
                BODY                                                                               \
            }

/* ---- Forward, backward ----------------------------------------------------------------------- */

static gradcam_status forward(const gc_call *call)
{
    sampler s;
    GC_TRY(make_sampler(call, &s));
#pragma omp parallel for schedule(static) if (s.batch * s.points * s.channels >                    \
                                              GC_PARALLEL_ELEMENTS)
    for (int64_t n = 0; n < s.batch * s.points; n++) {
        const int64_t picture = n / s.points;
        axis_taps taps[AXES];
        find_all(&s, gc_floats(call->inputs[1]) + n * s.axes, taps);
        for (int64_t c = 0; c < s.channels; c++) {
            const float *const x =
                gc_floats(call->inputs[0]) + (picture * s.channels + c) * s.plane;
            float sum = 0.0f;
            EACH_TAP(&s, taps, sum += w0 * w1 * w2 * x[at];)
            gc_floats(call->outputs[0])[(picture * s.channels + c) * s.points + n % s.points] = sum;
        }
    }
    return GRADCAM_OK;
}

static void point_backward(const sampler *s, const axis_taps *taps, const float *x, float gy,
                           float *gx, double ggrid[AXES])
{
    EACH_TAP(s, taps, {
        if (gx != NULL)
            gx[at] += w0 * w1 * w2 * gy;
        const double v = (double)(gy * x[at]);
        ggrid[0] += (double)(taps[0].slope[i0] * w1 * w2) * v;
        ggrid[1] += (double)(w0 * taps[1].slope[i1] * w2) * v;
        ggrid[2] += (double)(w0 * w1 * taps[2].slope[i2]) * v;
    })
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    sampler s;
    GC_TRY(make_sampler(call, &s));
    float *const gx = input_grads[0] != NULL ? gc_floats(input_grads[0]) : NULL;
    if (gx != NULL)
        memset(gx, 0, gc_tensor_bytes(input_grads[0]));
    for (int64_t n = 0; n < s.batch * s.points; n++) {
        const int64_t picture = n / s.points;
        axis_taps taps[AXES];
        double ggrid[AXES] = {0};
        find_all(&s, gc_floats(call->inputs[1]) + n * s.axes, taps);
        for (int64_t c = 0; c < s.channels; c++) {
            const int64_t plane = (picture * s.channels + c) * s.plane;
            const int64_t to = (picture * s.channels + c) * s.points + n % s.points;
            point_backward(&s, taps, gc_floats(call->inputs[0]) + plane,
                           gc_floats(output_grads[0])[to], gx != NULL ? gx + plane : NULL, ggrid);
        }
        for (int a = 0; a < s.axes && input_grads[1] != NULL; a++)
            gc_floats(input_grads[1])[n * s.axes + a] = (float)ggrid[AXES - 1 - a];
    }
    return GRADCAM_OK;
}

const gc_op gc_op_GridSample = {
    .name = "GridSample",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS | GC_READS_PARAMETERS,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
