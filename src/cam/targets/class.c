/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A class: its logit, or, for a network whose output is a map of classes, the sum of its logits
 * where it is predicted. "top:N" are the N best classes, a map each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cam/goal.h"

static gradcam_status evaluate(void *user, const gradcam_tensor *outputs, size_t count,
                               double *score, gradcam_error *error)
{
    const int index = *(const int *)user;
    (void)count;
    (void)error;
    *score = (double)outputs[0].values[index];
    if (outputs[0].gradient != NULL)
        outputs[0].gradient[index] = 1.0f;
    return GRADCAM_OK;
}

gradcam_status gc_class_goal(const gc_world *world, const char *text, int index, gc_goal *goal,
                             gradcam_error *error)
{
    int *state = NULL;
    GC_TRY(gc_arena_new(world->arena, &state, 1, sizeof *state, error));
    *state = index;
    *goal = (gc_goal){
        .text = text, .class_index = index, .heads = 1, .evaluate = evaluate, .state = state};
    return GRADCAM_OK;
}

static gradcam_status resolve_class(const gc_world *world, const char *text, const char *argument,
                                    gc_goals *goals, gradcam_error *error)
{
    gc_goal goal;
    int index = 0;
    if (gc_world_is_map(world))
        return gc_region_resolve(world, text, argument, "own", goals, error);
    GC_TRY(gc_world_check_classes(world, text, error));
    GC_TRY(gc_world_class(world, argument, &index, error));
    GC_TRY(gc_class_goal(world, text, index, &goal, error));
    return gc_goals_add(goals, &goal, error);
}

static gradcam_status resolve_top(const gc_world *world, const char *text, const char *argument,
                                  gc_goals *goals, gradcam_error *error)
{
    char *end = NULL;
    const long number = strtol(argument, &end, 10);
    GC_FAIL_IF(end == argument || *end != '\0' || number < 1, error, GRADCAM_ERROR_ARGUMENT,
               "target '%s': top: needs a number of classes, as in top:3", text);
    GC_TRY(gc_world_check_classes(world, text, error));
    for (long i = 0; i < number && i < (long)world->classes; i++) {
        gc_goal goal;
        const char *name = NULL;
        const int index = world->predictions[i].index;
        GC_TRY(gc_arena_format(world->arena, &name, error, "%d", index));
        GC_TRY(gc_class_goal(world, name, index, &goal, error));
        GC_TRY(gc_goals_add(goals, &goal, error));
    }
    return GRADCAM_OK;
}

static bool takes_all(const char *text)
{
    (void)text;
    return true;
}

const gc_target_row gc_target_class = {
    .info = {.syntax = "CLASS",
             .summary = "logit of a class: index, label or a part of one; of a map of classes, its "
                        "sum where the class is predicted"},
    .matches = takes_all,
    .resolve = resolve_class,
};

const gc_target_row gc_target_top = {
    .info = {.syntax = "top:N", .summary = "each of the N best classes, a map for each"},
    .prefix = "top",
    .resolve = resolve_top,
};
