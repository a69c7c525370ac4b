/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/view.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "picture/resize.h"

enum { LETTERBOX_GREY = 114, MAX_RESIZED = 1 << 30 };

/* Offset of the centre crop, or of the centred picture in a larger input: torchvision rounds the
 * first half to even, and puts the odd pixel of its padding to the end. */
static int centre_offset(int resized, int input)
{
    if (input >= resized)
        return (input - resized) / 2;
    const int surplus = resized - input, half = surplus / 2;
    return -(surplus % 2 == 0 ? half : half + half % 2);
}

static gradcam_status check_extents(const gc_view *v, gradcam_error *error)
{
    GC_FAIL_IF(v->picture_width < 1 || v->picture_height < 1 || v->input_width < 1 ||
                   v->input_height < 1,
               error, GRADCAM_ERROR_ARGUMENT,
               "a picture of %d x %d pixels cannot become an input of %d x %d", v->picture_width,
               v->picture_height, v->input_width, v->input_height);
    return GRADCAM_OK;
}

static gradcam_status set_resized(gc_view *v, int64_t width, int64_t height, gradcam_error *error)
{
    GC_FAIL_IF(width < 1 || height < 1, error, GRADCAM_ERROR_ARGUMENT,
               "the size to resize to must be at least 1 x 1, not %lld x %lld", (long long)width,
               (long long)height);
    GC_FAIL_IF(width > MAX_RESIZED || height > MAX_RESIZED, error, GRADCAM_ERROR_LIMIT,
               "a picture of %d x %d pixels would be resized to %lld x %lld before the crop; the "
               "limit is %d",
               v->picture_width, v->picture_height, (long long)width, (long long)height,
               (int)MAX_RESIZED);
    v->resized_width = (int)width;
    v->resized_height = (int)height;
    v->offset_x = centre_offset(v->resized_width, v->input_width);
    v->offset_y = centre_offset(v->resized_height, v->input_height);
    return GRADCAM_OK;
}

static gradcam_status make_crop(gc_view *v, int resize_edge, gradcam_error *error)
{
    const int64_t w = v->picture_width, h = v->picture_height;
    const int64_t input = v->input_width < v->input_height ? v->input_width : v->input_height;
    const int64_t edge = resize_edge != 0 ? resize_edge : input * 256 / 224;
    return w <= h ? set_resized(v, edge, edge * h / w, error)
                  : set_resized(v, edge * w / h, edge, error);
}

static gradcam_status make_letterbox(gc_view *v, gradcam_error *error)
{
    const double ratio = fmin((double)v->input_height / v->picture_height,
                              (double)v->input_width / v->picture_width);
    v->fill = LETTERBOX_GREY;
    /* nearbyint rounds half to even as Python does; a thin picture keeps one pixel. */
    return set_resized(v, (int64_t)fmax(nearbyint(v->picture_width * ratio), 1.0),
                       (int64_t)fmax(nearbyint(v->picture_height * ratio), 1.0), error);
}

gradcam_status gc_view_make(gc_view *view, gradcam_fit fit, int resize_edge, int picture_width,
                            int picture_height, int input_width, int input_height,
                            gradcam_error *error)
{
    *view = (gc_view){.picture_width = picture_width,
                      .picture_height = picture_height,
                      .input_width = input_width,
                      .input_height = input_height};
    GC_TRY(check_extents(view, error));
    switch (fit) {
    case GRADCAM_FIT_AUTO:
    case GRADCAM_FIT_STRETCH:
        return set_resized(view, input_width, input_height, error);
    case GRADCAM_FIT_CROP:
        return make_crop(view, resize_edge, error);
    case GRADCAM_FIT_LETTERBOX:
        return make_letterbox(view, error);
    }
    return gc_fail(error, GRADCAM_ERROR_ARGUMENT, "unknown fit %d", (int)fit);
}

gradcam_status gc_view_make_resized(gc_view *view, int resized_width, int resized_height,
                                    int picture_width, int picture_height, int input_width,
                                    int input_height, gradcam_error *error)
{
    *view = (gc_view){.picture_width = picture_width,
                      .picture_height = picture_height,
                      .input_width = input_width,
                      .input_height = input_height};
    GC_TRY(check_extents(view, error));
    return set_resized(view, resized_width, resized_height, error);
}

static double to_input(double at, int picture, int resized, int offset)
{
    return at * ((double)resized / picture) + offset;
}

static double to_picture(double at, int picture, int resized, int offset)
{
    return (at - offset) * ((double)picture / resized);
}

void gc_view_to_input(const gc_view *view, double x, double y, double *input_x, double *input_y)
{
    *input_x = to_input(x, view->picture_width, view->resized_width, view->offset_x);
    *input_y = to_input(y, view->picture_height, view->resized_height, view->offset_y);
}

void gc_view_to_picture(const gc_view *view, double x, double y, double *picture_x,
                        double *picture_y)
{
    *picture_x = to_picture(x, view->picture_width, view->resized_width, view->offset_x);
    *picture_y = to_picture(y, view->picture_height, view->resized_height, view->offset_y);
}

/* ---- Maps ---------------------------------------------------------------------------------- */

/* Where a row or column of the picture lies in the map; outside of the input: low is -1. */
static gc_tap locate(int i, int picture, int resized, int offset, int input, int map)
{
    const double at = to_input(i + 0.5, picture, resized, offset);
    if (at < 0.0 || at >= input)
        return (gc_tap){-1, 0, 0.0f};
    return gc_tap_at(at * ((double)map / input), map);
}

static gc_tap locate_row(const gc_view *v, int y, int map_height)
{
    return locate(y, v->picture_height, v->resized_height, v->offset_y, v->input_height,
                  map_height);
}

/* *columns: one of each column of the picture, to be freed with gc_free. */
static gradcam_status locate_columns(const gc_view *v, int map_width, gc_tap **columns,
                                     gradcam_error *error)
{
    GC_TRY(gc_new(columns, (size_t)v->picture_width, sizeof **columns, error));
    for (int x = 0; x < v->picture_width; x++)
        (*columns)[x] =
            locate(x, v->picture_width, v->resized_width, v->offset_x, v->input_width, map_width);
    return GRADCAM_OK;
}

/* Columns between the same two of the map, one after the other. */
typedef struct stretch {
    int start, end; /* in the picture */
    gc_tap tap;     /* of the first; low -1: outside of the input */
} stretch;

typedef struct columns {
    stretch *stretches;
    int count;
    float *weights; /* of each column of the picture */
    uint8_t *seen;
} columns;

static void columns_free(columns *c)
{
    gc_free(c->stretches);
    gc_free(c->weights);
    gc_free(c->seen);
}

static gradcam_status make_stretches(columns *c, const gc_tap *taps, int width,
                                     gradcam_error *error)
{
    GC_TRY(gc_new(&c->stretches, (size_t)width, sizeof *c->stretches, error));
    GC_TRY(gc_new(&c->weights, (size_t)width, sizeof *c->weights, error));
    GC_TRY(gc_new(&c->seen, (size_t)width, sizeof *c->seen, error));
    for (int x = 0; x < width; x++) {
        if (x == 0 || taps[x].low != taps[x - 1].low || taps[x].step != taps[x - 1].step)
            c->stretches[c->count++] = (stretch){.start = x, .tap = taps[x]};
        c->stretches[c->count - 1].end = x + 1;
        c->weights[x] = taps[x].weight;
        c->seen[x] = taps[x].low >= 0;
    }
    return GRADCAM_OK;
}

static gradcam_status columns_make(columns *c, const gc_view *v, int map_width,
                                   gradcam_error *error)
{
    gc_tap *taps = NULL;
    *c = (columns){0};
    GC_TRY(locate_columns(v, map_width, &taps, error));
    const gradcam_status status = make_stretches(c, taps, v->picture_width, error);
    gc_free(taps);
    return status;
}

/* gc_tap_sample at each column of the stretch. */
static void map_stretch(const float *map, int map_width, const stretch *s, const float *weights,
                        gc_tap down, float *out)
{
    const float *const top = map + (size_t)down.low * (size_t)map_width + s->tap.low;
    const float *const bottom = top + (size_t)down.step * (size_t)map_width;
    const float of_top = top[0], of_bottom = bottom[0];
    const float top_step = top[s->tap.step] - of_top;
    const float bottom_step = bottom[s->tap.step] - of_bottom;
    for (int x = s->start; x < s->end; x++) {
        const float a = of_top + top_step * weights[x];
        const float b = of_bottom + bottom_step * weights[x];
        out[x] = a + (b - a) * down.weight;
    }
}

static void map_row(const columns *c, int width, const float *map, int map_width, gc_tap down,
                    float *out, uint8_t *seen)
{
    if (down.low < 0) {
        memset(out, 0, (size_t)width * sizeof *out);
        if (seen != NULL)
            memset(seen, 0, (size_t)width);
        return;
    }
    for (int i = 0; i < c->count; i++) {
        const stretch *const s = &c->stretches[i];
        if (s->tap.low >= 0)
            map_stretch(map, map_width, s, c->weights, down, out);
        else
            memset(out + s->start, 0, (size_t)(s->end - s->start) * sizeof *out);
    }
    if (seen != NULL)
        memcpy(seen, c->seen, (size_t)width);
}

gradcam_status gc_view_map_to_picture(const gc_view *view, const float *map, int map_width,
                                      int map_height, float *out, uint8_t *seen,
                                      gradcam_error *error)
{
    const gc_view *const v = view;
    const size_t width = (size_t)v->picture_width;
    columns across;
    const gradcam_status status = columns_make(&across, v, map_width, error);
#pragma omp parallel for schedule(static) if (v->picture_height > 64)
    for (int y = 0; y < (status == GRADCAM_OK ? v->picture_height : 0); y++)
        map_row(&across, v->picture_width, map, map_width, locate_row(v, y, map_height),
                out + (size_t)y * width, seen != NULL ? seen + (size_t)y * width : NULL);
    columns_free(&across);
    return status;
}

static float row_maximum(const float *row, int count)
{
    float most = row[0];
    for (int i = 1; i < count; i++)
        most = row[i] > most ? row[i] : most;
    return most;
}

/* Nothing in a row of the picture is above this: interpolation stays between the cells, but for
 * rounding; what the network does not see counts as 0. */
static float row_bound(const float *map, int map_width, gc_tap down)
{
    if (down.low < 0)
        return 0.0f;
    const float *const row = map + (size_t)down.low * (size_t)map_width;
    const float low = row_maximum(row, map_width);
    const float high = row_maximum(row + (size_t)down.step * (size_t)map_width, map_width);
    const float most = low + (high - low) * down.weight + 1e-5f * (fabsf(low) + fabsf(high));
    return most > 0.0f ? most : 0.0f;
}

/* The largest value of a row of the picture, and the first column that has it. */
static float row_peak(const gc_view *v, const float *map, int map_width, const gc_tap *across,
                      gc_tap down, int *x)
{
    float most = -INFINITY;
    *x = 0;
    for (int i = 0; i < v->picture_width; i++) {
        const bool is_seen = down.low >= 0 && across[i].low >= 0;
        const float here = is_seen ? gc_tap_sample(map, map_width, across[i], down) : 0.0f;
        if (here > most) {
            most = here;
            *x = i;
        }
    }
    return most;
}

/* The peak of the most promising row: the rows that cannot reach it need no look. */
static float promising_peak(const gc_view *v, const float *map, int map_width, int map_height,
                            const gc_tap *across)
{
    float most = -INFINITY;
    gc_tap best = {-1, 0, 0.0f};
    int x = 0;
    for (int row = 0; row < v->picture_height; row++) {
        const gc_tap down = locate_row(v, row, map_height);
        const float bound = row_bound(map, map_width, down);
        if (bound > most) {
            most = bound;
            best = down;
        }
    }
    return row_peak(v, map, map_width, across, best, &x);
}

gradcam_status gc_view_peak(const gc_view *view, const float *map, int map_width, int map_height,
                            int *x, int *y, float *value, gradcam_error *error)
{
    gc_tap *across = NULL;
    GC_TRY(locate_columns(view, map_width, &across, error));
    const float reached = promising_peak(view, map, map_width, map_height, across);
    *x = *y = 0;
    *value = -INFINITY;
    for (int row = 0; row < view->picture_height; row++) {
        const gc_tap down = locate_row(view, row, map_height);
        const float bound = row_bound(map, map_width, down);
        int column = 0;
        if (bound < reached || (*value >= 0.0f && bound <= *value))
            continue;
        const float here = row_peak(view, map, map_width, across, down, &column);
        if (here > *value) {
            *value = here;
            *x = column;
            *y = row;
        }
    }
    gc_free(across);
    return GRADCAM_OK;
}
