/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resampling.
 *
 * Pictures: Pillow's antialiased resampling of 8-bit images, to the level: filters widen with the
 * scale when shrinking, weights are fixed-point, rows are resampled first and rounded to 8 bits,
 * columns second.
 *
 * Maps: plain bilinear interpolation in float: half-pixel centres, clamped edges, no antialiasing.
 */
#ifndef GC_PICTURE_RESIZE_H
#define GC_PICTURE_RESIZE_H

#include "base/error.h"

/** The values are Pillow's, as found in preprocessor_config.json. */
typedef enum gc_filter {
    GC_FILTER_NEAREST = 0,
    GC_FILTER_LANCZOS = 1,
    GC_FILTER_BILINEAR = 2,
    GC_FILTER_BICUBIC = 3,
    GC_FILTER_BOX = 4,
    GC_FILTER_HAMMING = 5
} gc_filter;
enum { GC_FILTER_COUNT = 6 };

/** "nearest", "bilinear", ...; "unknown" for anything else. */
const char *gc_filter_name(gc_filter filter);

/** A part of a picture that is resized to full_width x full_height; only the part is computed. */
typedef struct gc_resize_window {
    int full_width, full_height;
    int x, y, width, height; /**< Inside the full size. */
} gc_resize_window;

/**
 * Resizes `rgb` (height x width x 3) and stores the window at `out`, whose rows are `out_stride`
 * bytes apart.
 *
 * @return GRADCAM_OK; GRADCAM_ERROR_MEMORY, _ARGUMENT (extents below 1, a window outside).
 */
gradcam_status gc_resize_rgb_window(const uint8_t *rgb, int width, int height,
                                    const gc_resize_window *window, gc_filter filter, uint8_t *out,
                                    size_t out_stride, gradcam_error *error);

/** As gc_resize_rgb_window for the whole picture; out is out_height x out_width x 3. */
gradcam_status gc_resize_rgb(const uint8_t *rgb, int width, int height, int out_width,
                             int out_height, gc_filter filter, uint8_t *out, gradcam_error *error);

/** Where one output sample is taken from: `low` and `low + step`, the latter with `weight`. */
typedef struct gc_tap {
    int low, step; /**< step is 1, or 0 at an edge. */
    float weight;
} gc_tap;

/** The tap at `position` (in samples; sample i has its centre at i + 0.5) among `count` samples. */
gc_tap gc_tap_at(double position, int count);

/** Bilinear interpolation of a height x width map at two taps. */
static inline float gc_tap_sample(const float *map, int width, gc_tap x, gc_tap y)
{
    const float *const top = map + (size_t)y.low * (size_t)width + x.low;
    const float *const bottom = top + (size_t)y.step * (size_t)width;
    const float a = top[0] + (top[x.step] - top[0]) * x.weight;
    const float b = bottom[0] + (bottom[x.step] - bottom[0]) * x.weight;
    return a + (b - a) * y.weight;
}

/** Resizes a map (height x width) to out (out_height x out_width); equal to OpenCV's INTER_LINEAR
 *  on float32 within rounding. */
gradcam_status gc_resize_map(const float *map, int width, int height, float *out, int out_width,
                             int out_height, gradcam_error *error);

#endif
