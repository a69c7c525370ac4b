/* SPDX-License-Identifier: Apache-2.0 */
/* The taps of Resize: which input positions make an output position, and with which weights. */
#ifndef GC_OPS_RESIZE_H
#define GC_OPS_RESIZE_H

#include "ops/op.h"

/** How one axis is resized. */
typedef struct gc_resize_axis {
    int64_t in, out;
    double scale; /**< out / in where that is what the file means, else as the file gives it. */
    double roi_begin, roi_end;
    int64_t taps; /**< Per output position. */
} gc_resize_axis;

typedef enum gc_resize_mode { GC_RESIZE_NEAREST, GC_RESIZE_LINEAR, GC_RESIZE_CUBIC } gc_resize_mode;

/** coordinate_transformation_mode and nearest_mode, in the order of the tables in resize_taps.c. */
typedef enum gc_resize_coordinate {
    GC_RESIZE_HALF_PIXEL,
    GC_RESIZE_HALF_PIXEL_SYMMETRIC,
    GC_RESIZE_PYTORCH_HALF_PIXEL,
    GC_RESIZE_ALIGN_CORNERS,
    GC_RESIZE_ASYMMETRIC,
    GC_RESIZE_TF_HALF_PIXEL_FOR_NN,
    GC_RESIZE_TF_CROP_AND_RESIZE
} gc_resize_coordinate;

typedef enum gc_resize_rounding {
    GC_RESIZE_ROUND_PREFER_FLOOR,
    GC_RESIZE_ROUND_PREFER_CEIL,
    GC_RESIZE_FLOOR,
    GC_RESIZE_CEIL
} gc_resize_rounding;

typedef struct gc_resize_rule {
    gc_resize_mode mode;
    gc_resize_coordinate coordinate;
    gc_resize_rounding rounding;
    double cubic_a;
    bool is_antialiased, excludes_outside;
} gc_resize_rule;

/** Reads and checks the attributes. */
gradcam_status gc_resize_read_rule(const gc_call *call, gc_resize_rule *rule);

/** Taps that one output position of an axis needs at most. */
int64_t gc_resize_tap_count(const gc_resize_rule *rule, const gc_resize_axis *axis);

/**
 * Fills in index[o * taps + t] and weight[o * taps + t] for all output positions o. Indices lie in
 * [0, in); unused taps have weight 0. An output position outside the input, which only
 * tf_crop_and_resize knows, has index -1 in its first tap, and weights 0.
 */
void gc_resize_fill_taps(const gc_resize_rule *rule, const gc_resize_axis *axis, int64_t *index,
                         float *weight);

#endif
