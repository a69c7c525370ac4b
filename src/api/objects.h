/* SPDX-License-Identifier: Apache-2.0 */
/* The objects behind gradcam.h. */
#ifndef GC_API_OBJECTS_H
#define GC_API_OBJECTS_H

#include <stdatomic.h>
#include <time.h>

#include "cam/layers.h"
#include "cam/method.h"
#include "cam/target.h"
#include "engine/plan.h"
#include "picture/labels.h"
#include "picture/preprocess.h"

/** Immutable once loaded, except for the packed weights, which guard themselves. */
struct gradcam_model {
    atomic_int holds; /* of the caller, of explainers, of explanations */
    gc_arena *arena;
    const char *path;
    gc_graph *graph;
    gc_packs *packs;
    gc_labels labels;
    const char *labels_source; /* NULL: no labels */
    bool has_preprocessing;    /* the model's own files say how to feed it */
    gc_preprocessing preprocessing;
    const char *preset, *preset_source;
    double load_ms;
};

struct gradcam_explainer {
    gradcam_model *model; /* held */
    gc_arena *arena;
    gc_graph *graph; /* specialised to the input shape */
    gc_plan *plan;
    gc_layers layers;
    gc_target target;
    gradcam_layer *layer_list;
    gradcam_input_info info;
    gc_feed feed;
    gc_preprocessing preprocessing;
    int width, height; /* of the input in pixels; 0 for inputs that are no pictures */
    bool is_nhwc;
    float *planar;   /* N x C x H x W staging for NHWC inputs */
    int64_t classes; /* 0: not a classifier */
    int threads;
    double plan_ms;
};

struct gradcam_explanation {
    gradcam_model *model; /* held, for the labels */
    gc_arena *arena;
    gc_picture picture;
    gc_view view;
    gradcam_prediction *predictions; /* best first */
    size_t class_count;
    gradcam_map *maps;
    size_t map_count;
    gradcam_timings timings;
};

static inline double gc_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

gradcam_model *gc_model_retain(gradcam_model *model);

/** Labels and preprocessing from options, from files beside the model, from its metadata. */
gradcam_status gc_model_learn(gradcam_model *model, const gradcam_model_options *options,
                              gradcam_error *error);

/** Input shape, layout and preprocessing. */
gradcam_status gc_explainer_set_input(gradcam_explainer *explainer,
                                      const gradcam_explainer_options *options,
                                      gradcam_error *error);

/** The picture-sized map in [0,1], to be freed with gc_free; *seen likewise. */
gradcam_status gc_explanation_picture_map(const gradcam_explanation *explanation,
                                          const gradcam_map *map, float **values, uint8_t **seen,
                                          gradcam_error *error);

/** raw to [0,1]: negative parts cut, divided by the maximum; zeros unless the state is OK. */
void gc_normalise_map(const gradcam_map *map, float *values);

#endif
