/* SPDX-License-Identifier: Apache-2.0 */
/* The difference of two logits: why this class and not that one? */
#include <string.h>

#include "cam/goal.h"

static gradcam_status evaluate(void *user, const gradcam_tensor *outputs, size_t count,
                               double *score, gradcam_error *error)
{
    const int *const classes = user;
    (void)count;
    (void)error;
    *score = (double)outputs[0].values[classes[0]] - (double)outputs[0].values[classes[1]];
    if (outputs[0].gradient != NULL) {
        outputs[0].gradient[classes[0]] += 1.0f;
        outputs[0].gradient[classes[1]] -= 1.0f;
    }
    return GRADCAM_OK;
}

static gradcam_status resolve(const gc_world *world, const char *text, const char *argument,
                              gc_goals *goals, gradcam_error *error)
{
    int *classes = NULL;
    const char *first = NULL;
    const char *const comma = strchr(argument, ',');
    GC_FAIL_IF(
        comma == NULL || comma == argument || comma[1] == '\0', error, GRADCAM_ERROR_ARGUMENT,
        "target '%s': diff: needs two classes with a comma between them, as in diff:cat,dog", text);
    GC_TRY(gc_world_check_classes(world, text, error));
    GC_TRY(gc_arena_new(world->arena, &classes, 2, sizeof *classes, error));
    GC_TRY(gc_arena_string(world->arena, &first, argument, (size_t)(comma - argument), error));
    GC_TRY(gc_world_class(world, first, &classes[0], error));
    GC_TRY(gc_world_class(world, comma + 1, &classes[1], error));
    const gc_goal goal = {.text = text,
                          .class_index = classes[0],
                          .heads = 1,
                          .evaluate = evaluate,
                          .state = classes};
    return gc_goals_add(goals, &goal, error);
}

const gc_target_row gc_target_difference = {
    .info = {.syntax = "diff:A,B", .summary = "logit of class A minus that of B: why A and not B"},
    .prefix = "diff",
    .resolve = resolve,
};
