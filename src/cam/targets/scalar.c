/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as they come out: regression upwards or downwards, and the single logit of a binary
 * classifier, whose sign says for which side it speaks.
 */
#include <stdlib.h>
#include <string.h>

#include "cam/goal.h"

typedef struct state {
    int64_t index;
    float sign;
} state;

static gradcam_status evaluate(void *user, const gradcam_tensor *outputs, size_t count,
                               double *score, gradcam_error *error)
{
    const state *const s = user;
    (void)count;
    (void)error;
    *score = (double)(s->sign * outputs[0].values[s->index]);
    if (outputs[0].gradient != NULL)
        outputs[0].gradient[s->index] = s->sign;
    return GRADCAM_OK;
}

static gradcam_status add(const gc_world *world, const char *text, const char *argument, float sign,
                          gc_goals *goals, gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT], *end = NULL;
    state *s = NULL;
    const int64_t count = gc_head_count(&world->heads[0]);
    const long index = strtol(argument, &end, 10);
    GC_FAIL_IF(*end != '\0' || index < 0 || index >= count || (argument[0] == '\0' && count != 1),
               error, GRADCAM_ERROR_ARGUMENT,
               "target '%s': the network's output '%s' has the shape %s; %s from 0 to %lld, as in "
               "up:0",
               text, world->heads[0].name, gc_head_shape(&world->heads[0], shape),
               argument[0] == '\0' ? "say which element is meant," : "elements are numbered",
               (long long)count - 1);
    GC_TRY(gc_arena_new(world->arena, &s, 1, sizeof *s, error));
    *s = (state){index, sign};
    const gc_goal goal = {
        .text = text, .class_index = -1, .heads = 1, .evaluate = evaluate, .state = s};
    return gc_goals_add(goals, &goal, error);
}

static gradcam_status resolve_up(const gc_world *world, const char *text, const char *argument,
                                 gc_goals *goals, gradcam_error *error)
{
    return add(world, text, argument, 1.0f, goals, error);
}

static gradcam_status resolve_down(const gc_world *world, const char *text, const char *argument,
                                   gc_goals *goals, gradcam_error *error)
{
    return add(world, text, argument, -1.0f, goals, error);
}

static gradcam_status resolve_binary(const gc_world *world, const char *text, const char *argument,
                                     gc_goals *goals, gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    const bool is_positive = strcmp(argument, "+") == 0;
    GC_FAIL_IF(!is_positive && strcmp(argument, "-") != 0, error, GRADCAM_ERROR_ARGUMENT,
               "target '%s': binary:+ explains the positive side, binary:- the negative one", text);
    GC_FAIL_IF(gc_head_count(&world->heads[0]) != 1, error, GRADCAM_ERROR_SHAPE,
               "target '%s': the network's output '%s' has the shape %s, not a single logit", text,
               world->heads[0].name, gc_head_shape(&world->heads[0], shape));
    return add(world, text, "", is_positive ? 1.0f : -1.0f, goals, error);
}

const gc_target_row gc_target_up = {
    .info = {.syntax = "up[:I]",
             .summary = "element I of the output as it is (regression): what makes it larger"},
    .prefix = "up",
    .argument_may_lack = true,
    .resolve = resolve_up,
};

const gc_target_row gc_target_down = {
    .info = {.syntax = "down[:I]",
             .summary = "the same with its sign turned: what makes it smaller"},
    .prefix = "down",
    .argument_may_lack = true,
    .resolve = resolve_down,
};

const gc_target_row gc_target_binary = {
    .info = {.syntax = "binary:+ or -",
             .summary =
                 "the single logit of a binary classifier, for its positive or negative side"},
    .prefix = "binary",
    .resolve = resolve_binary,
};
