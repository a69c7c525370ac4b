/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets as users name them: one file a family, one row each. A text is parsed before the network
 * runs (which heads does it read?) and becomes goals when the outputs are known.
 */
#ifndef GC_CAM_GOAL_H
#define GC_CAM_GOAL_H

#include "cam/runner.h"

/** What targets may ask about: the network's outputs for the base input, and the caller. */
typedef struct gc_world {
    gc_arena *arena;
    const gradcam_tensor *heads; /**< Without values where no spec reads them. */
    int head_count;
    int64_t classes;                       /**< Of head 0; 0: the network is no classifier. */
    bool is_sigmoid;                       /**< Each class has a probability of its own. */
    const gradcam_prediction *predictions; /**< Best first. */
    gradcam_status (*find_class)(void *user, const char *text, int *index, gradcam_error *error);
    /** From picture pixels to shares of the network's input, and back. */
    void (*to_input)(void *user, double x, double y, double *u, double *v);
    /** mask[height * width] of 0 and 1 on the input's grid, from a file in picture pixels. */
    gradcam_status (*read_mask)(void *user, const char *path, int width, int height, float *mask,
                                gradcam_error *error);
    /** Head 0 for another picture. */
    gradcam_status (*embed)(void *user, const char *path, const float **values,
                            gradcam_error *error);
    void *user;
} gc_world;

typedef struct gc_goals {
    gc_goal *items;
    size_t count, capacity;
} gc_goals;

typedef struct gc_target_row {
    gradcam_target_info info;
    const char *prefix; /**< Of "prefix:argument"; NULL: `matches` tells. */
    bool argument_may_lack;
    bool (*matches)(const char *text);
    /** Adds goals for a target; `argument` is what follows the prefix and colon, or "", or the
     *  whole text. */
    gradcam_status (*resolve)(const gc_world *world, const char *text, const char *argument,
                              gc_goals *goals, gradcam_error *error);
    bool runs_picture;     /**< `argument` is a picture for gc_world.embed. */
    bool reads_named_head; /**< The head that is named before a '['; others read head 0. */
} gc_target_row;

typedef struct gc_spec {
    const gc_target_row *row; /**< NULL: a function of the caller's. */
    const char *text, *argument;
    gradcam_target target;
    unsigned heads;
} gc_spec;

/** The row at an index, or NULL. */
const gc_target_row *gc_target_row_at(size_t index);

gradcam_status gc_spec_parse(gc_spec *spec, const gradcam_target *target,
                             const char *const *head_names, int head_count, gradcam_error *error);
gradcam_status gc_spec_resolve(const gc_spec *spec, const gc_world *world, gc_goals *goals,
                               gradcam_error *error);

/* ---- For rows ------------------------------------------------------------------------------- */

gradcam_status gc_goals_add(gc_goals *goals, const gc_goal *goal, gradcam_error *error);

/** The class an argument names; the predicted one for "". */
gradcam_status gc_world_class(const gc_world *world, const char *text, int *index,
                              gradcam_error *error);

/** Fails unless head 0 is a classifier's, saying what it looks like and what could be asked. */
gradcam_status gc_world_check_classes(const gc_world *world, const char *text,
                                      gradcam_error *error);

/** A goal for a class target. */
gradcam_status gc_class_goal(const gc_world *world, const char *text, int index, gc_goal *goal,
                             gradcam_error *error);

/** Is head 0 a map of classes (N x C x H x W)? */
bool gc_world_is_map(const gc_world *world);
gradcam_status gc_region_resolve(const gc_world *world, const char *text, const char *class_text,
                                 const char *where, gc_goals *goals, gradcam_error *error);

/** "1x21x65x65" of a head. */
const char *gc_head_shape(const gradcam_tensor *head, char text[GC_SHAPE_TEXT]);
int64_t gc_head_count(const gradcam_tensor *head);
int gc_head_named(const char *text, size_t length, const char *const *names, int count);

#endif
