/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/resize.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

/* Weights have this many fractional bits, Pillow's number: 8 bits of pixel and 2 of head room are
 * left of 32. */
enum { PRECISION = 32 - 8 - 2 };

/* ---- Filters ------------------------------------------------------------------------------- */

static double box(double x)
{
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double triangle(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

static double sinc(double x)
{
    return x == 0.0 ? 1.0 : sin(x * M_PI) / (x * M_PI);
}

static double hamming(double x)
{
    x = fabs(x); /* single-precision constants, as in Pillow: they decide some levels */
    return x < 1.0 ? sinc(x) * (0.54f + 0.46f * cos(M_PI * x)) : 0.0;
}

/* Keys' cubic with a = -0.5. */
static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

static double lanczos3(double x)
{
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3.0) : 0.0;
}

typedef struct filter_row {
    const char *name;
    double (*weight)(double x);
    double support; /* Half width, in output pixels. */
} filter_row;

static const filter_row filters[GC_FILTER_COUNT] = {
    [GC_FILTER_NEAREST] = {"nearest", NULL, 0.0},
    [GC_FILTER_LANCZOS] = {"lanczos", lanczos3, 3.0},
    [GC_FILTER_BILINEAR] = {"bilinear", triangle, 1.0},
    [GC_FILTER_BICUBIC] = {"bicubic", cubic, 2.0},
    [GC_FILTER_BOX] = {"box", box, 0.5},
    [GC_FILTER_HAMMING] = {"hamming", hamming, 1.0},
};

const char *gc_filter_name(gc_filter filter)
{
    return (unsigned)filter < GC_FILTER_COUNT ? filters[filter].name : "unknown";
}

/* ---- Weights of one axis ------------------------------------------------------------------- */

/* Output sample i is the sum of weights[i * most + k] * input[first[i] + k] for k < count[i]. */
typedef struct axis {
    int size; /* Output samples. */
    int most;
    int *first, *count;
    int32_t *weights;
} axis;

static void axis_free(axis *a)
{
    gc_free(a->first);
    gc_free(a->count);
    gc_free(a->weights);
}

static void weigh_sample(axis *a, int i, double centre, double scale, const filter_row *filter,
                         int in_size, double *scratch)
{
    const double support = filter->support * scale;
    const int low = (int)fmax(centre - support + 0.5, 0.0);
    const int high = (int)fmin(centre + support + 0.5, in_size);
    double sum = 0.0;
    for (int k = 0; k < high - low; k++) {
        scratch[k] = filter->weight((k + low - centre + 0.5) * (1.0 / scale));
        sum += scratch[k];
    }
    for (int k = 0; k < high - low; k++) {
        const double w = (sum != 0.0 ? scratch[k] / sum : scratch[k]) * (1 << PRECISION);
        a->weights[(size_t)i * (size_t)a->most + (size_t)k] =
            (int32_t)(w < 0.0 ? w - 0.5 : w + 0.5);
    }
    a->first[i] = low;
    a->count[i] = high - low;
}

/* Samples `start` to `start + size` of an axis of in_size samples resized to full_size. */
static gradcam_status axis_make(axis *a, const filter_row *filter, int in_size, int full_size,
                                int start, int size, gradcam_error *error)
{
    const double ratio = (double)in_size / full_size;
    const double scale = ratio < 1.0 ? 1.0 : ratio; /* only shrinking widens the filter */
    const double most = fmin(ceil(filter->support * scale) * 2.0 + 1.0, (double)in_size + 1.0);
    double *scratch = NULL;
    *a = (axis){.size = size, .most = (int)most};
    GC_TRY(gc_new(&a->first, (size_t)size, sizeof *a->first, error));
    GC_TRY(gc_new(&a->count, (size_t)size, sizeof *a->count, error));
    GC_TRY(gc_new(&a->weights, (size_t)size * (size_t)a->most, sizeof *a->weights, error));
    GC_TRY(gc_new(&scratch, (size_t)a->most, sizeof *scratch, error));
    for (int i = 0; i < size; i++)
        weigh_sample(a, i, (start + i + 0.5) * ratio, scale, filter, in_size, scratch);
    gc_free(scratch);
    return GRADCAM_OK;
}

/* ---- Two passes ---------------------------------------------------------------------------- */

static inline uint8_t to_level(int32_t sum)
{
    const int32_t level = sum >> PRECISION;
    return (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
}

static void resample_row(const uint8_t *in, const axis *a, uint8_t *out)
{
    for (int i = 0; i < a->size; i++, out += 3) {
        const int32_t *const w = a->weights + (size_t)i * (size_t)a->most;
        const uint8_t *p = in + 3 * (size_t)a->first[i];
        int32_t r = 1 << (PRECISION - 1), g = r, b = r;
        for (int k = 0; k < a->count[i]; k++, p += 3) {
            r += p[0] * w[k];
            g += p[1] * w[k];
            b += p[2] * w[k];
        }
        out[0] = to_level(r);
        out[1] = to_level(g);
        out[2] = to_level(b);
    }
}

/* One output row as the weighted sum of `in` rows; blocks keep the sums in the first cache. */
static void resample_column(const uint8_t *in, size_t stride, const axis *a, int i, uint8_t *out)
{
    enum { BLOCK = 512 };
    int32_t sums[BLOCK];
    const int32_t *const w = a->weights + (size_t)i * (size_t)a->most;
    for (size_t start = 0; start < stride; start += BLOCK) {
        const size_t length = stride - start < BLOCK ? stride - start : BLOCK;
        for (size_t x = 0; x < length; x++)
            sums[x] = 1 << (PRECISION - 1);
        for (int k = 0; k < a->count[i]; k++) {
            const uint8_t *const p = in + ((size_t)a->first[i] + (size_t)k) * stride + start;
            for (size_t x = 0; x < length; x++)
                sums[x] += p[x] * w[k];
        }
        for (size_t x = 0; x < length; x++)
            out[start + x] = to_level(sums[x]);
    }
}

typedef struct job {
    const uint8_t *rgb;
    int width, height;
    const gc_resize_window *window;
    uint8_t *out;
    size_t out_stride;
} job;

/* The rows that the second pass reads, resampled along x, 3 * window width bytes each. */
static void first_pass(const job *j, const axis *across, int first_row, int row_count,
                       uint8_t *rows)
{
    const size_t stride = 3 * (size_t)j->window->width;
#pragma omp parallel for schedule(static) if (row_count > 64)
    for (int y = 0; y < row_count; y++) {
        const uint8_t *const in = j->rgb + 3 * (size_t)j->width * ((size_t)first_row + (size_t)y);
        if (j->window->full_width == j->width) /* as in Pillow, no pass where nothing changes */
            memcpy(rows + stride * (size_t)y, in + 3 * (size_t)j->window->x, stride);
        else
            resample_row(in, across, rows + stride * (size_t)y);
    }
}

static void second_pass(const job *j, const axis *down, int first_row, const uint8_t *rows)
{
    const size_t stride = 3 * (size_t)j->window->width;
    for (int i = 0; i < down->size; i++)
        down->first[i] -= first_row;
#pragma omp parallel for schedule(static) if (down->size > 64)
    for (int y = 0; y < down->size; y++) {
        uint8_t *const out = j->out + j->out_stride * (size_t)y;
        if (j->window->full_height == j->height)
            memcpy(out, rows + stride * (size_t)y, stride);
        else
            resample_column(rows, stride, down, y, out);
    }
}

static gradcam_status run_passes(const job *j, const axis *across, const axis *down,
                                 gradcam_error *error)
{
    const gc_resize_window *const w = j->window;
    const bool is_same = w->full_height == j->height;
    const int first_row = is_same ? w->y : down->first[0];
    const int last_row =
        is_same ? w->y + w->height : down->first[w->height - 1] + down->count[w->height - 1];
    uint8_t *rows = NULL;
    GC_TRY(gc_new_raw(&rows, (size_t)(last_row - first_row) * (size_t)w->width, 3, error));
    first_pass(j, across, first_row, last_row - first_row, rows);
    second_pass(j, down, first_row, rows);
    gc_free(rows);
    return GRADCAM_OK;
}

static gradcam_status resample(const job *j, const filter_row *filter, gradcam_error *error)
{
    const gc_resize_window *const w = j->window;
    axis across = {0}, down = {0};
    gradcam_status status =
        axis_make(&across, filter, j->width, w->full_width, w->x, w->width, error);
    if (status == GRADCAM_OK)
        status = axis_make(&down, filter, j->height, w->full_height, w->y, w->height, error);
    if (status == GRADCAM_OK)
        status = run_passes(j, &across, &down, error);
    axis_free(&across);
    axis_free(&down);
    return status;
}

/* Input index of each output sample. The position is summed up, not multiplied, because Pillow does
 * so and the last bit decides at ties. */
static void nearest_indices(int *index, int in_size, int full_size, int start, int size)
{
    const double ratio = (double)in_size / full_size;
    double position = ratio * 0.5;
    for (int i = 0; i < start + size; i++, position += ratio)
        if (i >= start)
            index[i - start] = position < in_size ? (int)position : in_size - 1;
}

static gradcam_status pick_nearest(const job *j, gradcam_error *error)
{
    const gc_resize_window *const w = j->window;
    int *columns = NULL;
    GC_TRY(gc_new(&columns, (size_t)w->width + (size_t)w->height, sizeof *columns, error));
    int *const rows = columns + w->width;
    nearest_indices(columns, j->width, w->full_width, w->x, w->width);
    nearest_indices(rows, j->height, w->full_height, w->y, w->height);
    for (int y = 0; y < w->height; y++) {
        const uint8_t *const in = j->rgb + 3 * (size_t)j->width * (size_t)rows[y];
        for (int x = 0; x < w->width; x++)
            memcpy(j->out + j->out_stride * (size_t)y + 3 * (size_t)x, in + 3 * (size_t)columns[x],
                   3);
    }
    gc_free(columns);
    return GRADCAM_OK;
}

/* ---- Interface ----------------------------------------------------------------------------- */

gradcam_status gc_resize_rgb_window(const uint8_t *rgb, int width, int height,
                                    const gc_resize_window *window, gc_filter filter, uint8_t *out,
                                    size_t out_stride, gradcam_error *error)
{
    const gc_resize_window *const w = window;
    GC_FAIL_IF((unsigned)filter >= GC_FILTER_COUNT, error, GRADCAM_ERROR_ARGUMENT,
               "unknown resampling filter %d", (int)filter);
    GC_FAIL_IF(width < 1 || height < 1 || w->width < 1 || w->height < 1 || w->x < 0 || w->y < 0 ||
                   w->x > w->full_width - w->width || w->y > w->full_height - w->height,
               error, GRADCAM_ERROR_ARGUMENT,
               "cannot resize %d x %d pixels to the part %d,%d %d x %d of %d x %d", width, height,
               w->x, w->y, w->width, w->height, w->full_width, w->full_height);
    const job j = {rgb, width, height, window, out, out_stride};
    return filter == GC_FILTER_NEAREST ? pick_nearest(&j, error)
                                       : resample(&j, &filters[filter], error);
}

gradcam_status gc_resize_rgb(const uint8_t *rgb, int width, int height, int out_width,
                             int out_height, gc_filter filter, uint8_t *out, gradcam_error *error)
{
    const gc_resize_window whole = {out_width, out_height, 0, 0, out_width, out_height};
    return gc_resize_rgb_window(rgb, width, height, &whole, filter, out, 3 * (size_t)out_width,
                                error);
}

gc_tap gc_tap_at(double position, int count)
{
    const double x = position - 0.5;
    if (!(x > 0.0))
        return (gc_tap){0, 0, 0.0f};
    if (x >= count - 1)
        return (gc_tap){count - 1, 0, 0.0f};
    return (gc_tap){(int)x, 1, (float)(x - (int)x)};
}

gradcam_status gc_resize_map(const float *map, int width, int height, float *out, int out_width,
                             int out_height, gradcam_error *error)
{
    gc_tap *across = NULL;
    GC_TRY(gc_new(&across, (size_t)out_width, sizeof *across, error));
    for (int x = 0; x < out_width; x++)
        across[x] = gc_tap_at((x + 0.5) * ((double)width / out_width), width);
#pragma omp parallel for schedule(static) if (out_height > 64)
    for (int y = 0; y < out_height; y++) {
        const gc_tap down = gc_tap_at((y + 0.5) * ((double)height / out_height), height);
        for (int x = 0; x < out_width; x++)
            out[(size_t)y * (size_t)out_width + (size_t)x] =
                gc_tap_sample(map, width, across[x], down);
    }
    gc_free(across);
    return GRADCAM_OK;
}
