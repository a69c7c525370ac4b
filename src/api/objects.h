/* SPDX-License-Identifier: Apache-2.0 */
/* The objects behind gradcam.h. */
#ifndef GC_API_OBJECTS_H
#define GC_API_OBJECTS_H

#include <stdatomic.h>

#include "base/clock.h"
#include "cam/biases.h"
#include "cam/goal.h"
#include "cam/layers.h"
#include "cam/method.h"
#include "cam/runner.h"
#include "cam/target.h"
#include "picture/labels.h"
#include "picture/preprocess.h"

/** Immutable once loaded, except for the packed weights, which guard themselves. */
struct gradcam_model {
    atomic_int holds; /* of the caller, of explainers, of explanations */
    gc_arena *arena;
    const char *path;
    gc_graph *graph;
    gc_packs *packs;
    gc_budget budget;
    gradcam_limits limits; /* none of them zero */
    gc_labels labels;
    const char *labels_source; /* NULL: no labels */
    bool has_preprocessing;    /* the model's own files say how to feed it */
    gc_preprocessing preprocessing;
    const char *preset, *preset_source;
    double load_ms;
};

enum { GC_MAX_SHAPES = 4 };

struct gradcam_explainer {
    gradcam_model *model; /* held */
    gc_arena *arena;
    const gc_graph *source; /* as read, with the inputs that are given as constants */
    gc_graph *own_source;   /* a clone that holds those, or NULL */
    gc_graph *graph;        /* specialised to the input shape */
    gc_runner *runner;
    gc_layers layers;
    gc_tokens tokens;          /* as the caller says; grid_rank 0: nothing */
    int *chosen, chosen_count; /* indices of layers */
    int heads[GC_MAX_HEADS], head_count;
    const char *head_names[GC_MAX_HEADS];
    gc_biased *biased; /* NULL until a method asks for them */
    int biased_count;
    gc_input_shape input_shape;
    gradcam_tensor references[8]; /* of targets like:FILE; owned names and values */
    int reference_count;
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
    bool strict, bfloat16;
    double plan_ms;
    bool is_free[2];                          /* the model leaves the height, the width open */
    gradcam_explainer_options kept;           /* where it does; all in the arena */
    gradcam_explainer *shapes[GC_MAX_SHAPES]; /* for other sizes, the last used first; owned */
    int shape_count;
    int shapes_made; /* so far: for tests */
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

/** Places of a map. */
static inline int64_t gc_map_count(const gradcam_map *map)
{
    return (int64_t)map->depth * map->width * map->height;
}

gradcam_model *gc_model_retain(gradcam_model *model);

/** Labels and preprocessing from options, from files beside the model, from its metadata. */
gradcam_status gc_model_learn(gradcam_model *model, const gradcam_model_options *options,
                              gradcam_error *error);

/** Inputs that are given; which one is the picture. */
gradcam_status gc_explainer_choose_input(gradcam_explainer *explainer,
                                         const gradcam_explainer_options *options,
                                         gradcam_error *error);

/** Control flow that follows from the shape of the input. */
gradcam_status gc_explainer_unroll(gradcam_explainer *explainer, gradcam_error *error);

/** The output of that name; of NULL, the first. */
gradcam_status gc_explainer_choose_head(const gradcam_explainer *explainer, const char *name,
                                        int *output, gradcam_error *error);

/** Input shape, layout and preprocessing. */
gradcam_status gc_explainer_set_input(gradcam_explainer *explainer,
                                      const gradcam_explainer_options *options,
                                      gradcam_error *error);

/** How raw values become those that are shown; options NULL: the defaults. The picture-sized map is
 *  to be freed with gc_free; *seen likewise. */
gradcam_status gc_explanation_picture_map(const gradcam_explanation *explanation,
                                          const gradcam_map *map,
                                          const gradcam_render_options *options, float **values,
                                          uint8_t **seen, gradcam_error *error);

/** raw to [0,1]: negative parts cut, divided by the maximum or options->scale; zeros where there is
 *  nothing to show. With options->is_signed to [-1,1]. */
void gc_normalise_map(const gradcam_map *map, const gradcam_render_options *options, float *values);

/** Range, state and hottest pixel of a map whose raw values are there. */
/** Makes each of the first width x height values the strongest one along the depth of the map. */
void gc_project_slices(const gradcam_map *map, float *values);

gradcam_status gc_measure_map(const gradcam_explanation *x, gradcam_map *map, gradcam_error *error);

/** Keeps what is needed to make explainers for other sizes, where the model leaves them free. */
gradcam_status gc_shapes_prepare(gradcam_explainer *explainer,
                                 const gradcam_explainer_options *options, gradcam_error *error);

/** The explainer for the size of a tensor that is given: `explainer` itself, or one that it keeps.
 *  A size that no longer is there, or was never, costs planning. */
gradcam_status gc_shapes_find(gradcam_explainer *explainer, const gradcam_input *input,
                              gradcam_explainer **shaped, gradcam_error *error);
void gc_shapes_free(gradcam_explainer *explainer);

/** Makes all maps of a request; the base input is set. */
gradcam_status gc_make_maps(gradcam_explainer *e, gradcam_explanation *x,
                            const gradcam_request *request, gradcam_error *error);

/** Decodes a picture file, and preprocesses x->picture into the base input. */
gradcam_status gc_feed_picture(gradcam_explainer *e, gradcam_explanation *x, gradcam_error *error);

/** Lists the classes of the base input, best first; none where the network is no classifier. */
gradcam_status gc_predict(gradcam_explainer *e, gradcam_explanation *x, gradcam_error *error);

/** What targets ask about; x is the explanation that is being made. */
typedef struct gc_asker {
    gradcam_explainer *e;
    gradcam_explanation *x;
} gc_asker;
gradcam_status gc_asker_world(gc_asker *asker, gc_world *world, gradcam_error *error);

/** Runs the picture that a target like:FILE names, unless that has been done. */
gradcam_status gc_asker_embed(gc_asker *asker, const char *path, gradcam_error *error);

#endif
