/* SPDX-License-Identifier: Apache-2.0 */
/* Cosine similarity of the output (an embedding) to that of another picture. */
#include <math.h>

#include "cam/goal.h"

typedef struct state {
    const float *reference;
    int64_t count;
} state;

static gradcam_status evaluate(void *user, const gradcam_tensor *outputs, size_t count,
                               double *score, gradcam_error *error)
{
    const state *const s = user;
    const float *const e = outputs[0].values, *const r = s->reference;
    double ee = 0.0, rr = 0.0, er = 0.0;
    (void)count;
    (void)error;
    for (int64_t i = 0; i < s->count; i++) {
        ee += (double)e[i] * e[i];
        rr += (double)r[i] * r[i];
        er += (double)e[i] * r[i];
    }
    const double length = sqrt(ee * rr) + 1e-300;
    *score = er / length;
    for (int64_t i = 0; outputs[0].gradient != NULL && i < s->count; i++)
        outputs[0].gradient[i] = (float)(r[i] / length - *score * e[i] / (ee + 1e-300));
    return GRADCAM_OK;
}

static gradcam_status resolve(const gc_world *world, const char *text, const char *argument,
                              gc_goals *goals, gradcam_error *error)
{
    state *s = NULL;
    GC_TRY(gc_arena_new(world->arena, &s, 1, sizeof *s, error));
    s->count = gc_head_count(&world->heads[0]);
    GC_TRY(world->embed(world->user, argument, &s->reference, error));
    const gc_goal goal = {
        .text = text, .class_index = -1, .heads = 1, .evaluate = evaluate, .state = s};
    return gc_goals_add(goals, &goal, error);
}

const gc_target_row gc_target_like = {
    .info = {.syntax = "like:FILE",
             .summary = "cosine similarity of the output to that of another picture (embeddings)"},
    .prefix = "like",
    .runs_picture = true,
    .resolve = resolve,
};
