/* SPDX-License-Identifier: Apache-2.0 */
/* Bilinear resampling of one plane, both extents up or down, without antialiasing. */
#ifndef GC_CAM_RESAMPLE_H
#define GC_CAM_RESAMPLE_H

#include <stdbool.h>

#include "base/memory.h"

/** Where the samples of the target lie between those of the source, for one axis. */
typedef struct gc_taps {
    int *low, *high;
    float *share; /**< Of `high`. */
} gc_taps;

/** Taps for both axes of a resampling, made once for many planes. Frees itself on failure. */
typedef struct gc_resampler {
    int width, height, to_width, to_height;
    gc_taps x, y;
} gc_resampler;

/** @param align_corners the outermost samples fall on each other; else half-pixel centres with
 *         edges clamped, as OpenCV's INTER_LINEAR. */
gradcam_status gc_resampler_create(gc_resampler *resampler, int width, int height, int to_width,
                                   int to_height, bool align_corners, gradcam_error *error);
void gc_resampler_free(gc_resampler *resampler);

/** to_height x to_width from height x width. */
void gc_resample(const gc_resampler *resampler, const float *from, float *to);

/** Once, with half-pixel centres. */
gradcam_status gc_resample_map(const float *from, int width, int height, float *to, int to_width,
                               int to_height, gradcam_error *error);

#endif
