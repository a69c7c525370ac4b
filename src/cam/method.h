/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Methods: one file and one row each.
 *
 * A row makes its map in one of three ways, from the special to the general:
 *   weigh     a weight for each channel;              map = sum over c of weight_c A_c
 *   elements  a value for each element of A;          map = their sum over c
 *   map       the map itself, at whatever resolution
 * The first two can be smoothed by their first principal component. A case is one map to be made:
 * what is explained, where, with which settings, and a handle to run things.
 */
#ifndef GC_CAM_METHOD_H
#define GC_CAM_METHOD_H

#include "cam/runner.h"

enum { GC_MAX_SETTINGS = 8 };

/** What has to be planned for a method, and what is known of it. */
typedef enum gc_uses {
    GC_USES_GRADIENT = 1, /**< At the layer: in the case's features. */
    GC_USES_TAIL = 2,     /**< Sweeps or gradients from the layer on. */
    GC_USES_INPUT_GRADIENT = 4,
    GC_USES_GUIDED = 8,        /**< Guided gradients. */
    GC_USES_BIASES = 16,       /**< Gradients of all values that a constant is added to. */
    GC_USES_OTHER_INPUTS = 32, /**< Runs other inputs through the plan of the base input. */
    GC_IS_PIXELWISE = 64,      /**< The map has the input's resolution; there may be no layer. */
    GC_IS_SIGNLESS = 128       /**< Does not depend on the target at all. */
} gc_uses;

/** The geometry of the base input: element (c, pixel) is at c * channel_stride + pixel *
 *  pixel_stride. */
typedef struct gc_input_shape {
    int width, height; /**< Of volumes, the height is that of all slices one below the other. */
    int depth;
    int64_t channels, channel_stride, pixel_stride;
} gc_input_shape;

typedef struct gc_case {
    const struct gc_method *method;
    double settings[GC_MAX_SETTINGS]; /**< In the order of the method's. */
    gc_runner *runner;
    const gc_goal *goal;
    int layer; /**< Value; -1 for pixelwise methods without one. */
    gradcam_features features;
    gc_input_shape input;
    const struct gc_biased *biased; /**< See cam/biases.h. */
    int biased_count;
    uint64_t seed;
    bool smooth_eigen;
    int part;                  /**< Of a method that makes several maps. */
    const char *text;          /**< As given. */
    const gradcam_method *own; /**< A function of the caller's; NULL: the method's row. */
} gc_case;

typedef struct gc_method {
    gradcam_method_info info; /**< uses_gradients and is_pixelwise follow from `uses`. */
    unsigned uses;
    gradcam_status (*weigh)(gc_case *c, float *weights, gradcam_error *error);
    gradcam_status (*elements)(gc_case *c, float *elements, gradcam_error *error);
    gradcam_status (*map)(gc_case *c, float *map, gradcam_error *error);
    /** Number of maps; NULL: one. */
    int (*parts)(const double *settings);
} gc_method;

/** The row at an index, or of a name; NULL where there is none. */
const gc_method *gc_method_at(size_t index);
const gc_method *gc_method_find(const char *name);

/** Reads "name" or "name:switch,setting=number,..." into c->method and c->settings. */
gradcam_status gc_method_parse(gc_case *c, const char *text, gradcam_error *error);

/** Makes the map of a case: c->features' (or, for pixelwise methods, the input's) height x width.
 */
gradcam_status gc_method_run(gc_case *c, float *map, gradcam_error *error);

/* ---- For rows ------------------------------------------------------------------------------- */

/** Identifies what a sweep of this case runs, see gc_sweep. */
uint64_t gc_case_key(const gc_case *c);

/** The base input, and its gradient for the goal. */
const float *gc_case_input(const gc_case *c);
gradcam_status gc_case_input_gradient(gc_case *c, bool guided, const float **gradient,
                                      gradcam_error *error);

/** Pixels of the input; and one value a pixel from one a channel and pixel: their sum, or the
 *  largest absolute one. */
static inline int64_t gc_input_pixels(const gc_case *c)
{
    return (int64_t)c->input.width * c->input.height;
}
void gc_sum_channels(const gc_case *c, const float *values, float *map);
void gc_largest_of_channels(const gc_case *c, const float *values, float *map);

/** map = the sum over channels of weights x activation. */
void gc_weighted_sum(const gradcam_features *f, const float *weights, float *map);

#endif
