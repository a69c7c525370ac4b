/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions of a class probability p (softmax of the logits z, or sigmoid where the network ends in
 * one): p, log p, and z + log p, the ReST of Cai, "CAMs as Shapley Value-based Explainers", 2025,
 * arXiv:2501.06261.
 */
#include <math.h>
#include <string.h>

#include "cam/goal.h"

typedef enum kind { PROBABILITY, LOG_PROBABILITY, REST } kind;

typedef struct state {
    kind what;
    bool is_sigmoid;
    int index;
    int64_t classes;
} state;

/* log p without loss where p is tiny. */
static double log_probability(const state *s, const float *z, double *log_sum)
{
    double largest = -INFINITY, sum = 0.0;
    if (s->is_sigmoid) {
        const double x = (double)z[s->index];
        return x < 0.0 ? x - log1p(exp(x)) : -log1p(exp(-x));
    }
    for (int64_t i = 0; i < s->classes; i++)
        largest = fmax(largest, (double)z[i]);
    for (int64_t i = 0; i < s->classes; i++)
        sum += exp((double)z[i] - largest);
    *log_sum = largest + log(sum);
    return (double)z[s->index] - *log_sum;
}

static gradcam_status evaluate(void *user, const gradcam_tensor *outputs, size_t count,
                               double *score, gradcam_error *error)
{
    const state *const s = user;
    const float *const z = outputs[0].values;
    float *const g = outputs[0].gradient;
    double log_sum = 0.0;
    const double log_p = log_probability(s, z, &log_sum), p = exp(log_p);
    (void)count;
    (void)error;
    *score = s->what == PROBABILITY ? p : s->what == REST ? (double)z[s->index] + log_p : log_p;
    /* d log p / dz_i = [i = class] - p_i, and dp = p d log p. */
    const double factor = s->what == PROBABILITY ? p : 1.0;
    for (int64_t i = 0; g != NULL && !s->is_sigmoid && i < s->classes; i++)
        g[i] = (float)(-factor * exp((double)z[i] - log_sum));
    if (g != NULL)
        g[s->index] = (float)(factor * (1.0 - p) + (s->what == REST ? 1.0 : 0.0));
    return GRADCAM_OK;
}

static gradcam_status add(const gc_world *world, const char *text, const char *argument, kind what,
                          gc_goals *goals, gradcam_error *error)
{
    state *s = NULL;
    GC_TRY(gc_world_check_classes(world, text, error));
    GC_TRY(gc_arena_new(world->arena, &s, 1, sizeof *s, error));
    *s = (state){.what = what, .is_sigmoid = world->is_sigmoid, .classes = world->classes};
    GC_TRY(gc_world_class(world, argument, &s->index, error));
    const gc_goal goal = {
        .text = text, .class_index = s->index, .heads = 1, .evaluate = evaluate, .state = s};
    return gc_goals_add(goals, &goal, error);
}

static gradcam_status resolve_probability(const gc_world *world, const char *text,
                                          const char *argument, gc_goals *goals,
                                          gradcam_error *error)
{
    return add(world, text, argument, PROBABILITY, goals, error);
}

static gradcam_status resolve_log(const gc_world *world, const char *text, const char *argument,
                                  gc_goals *goals, gradcam_error *error)
{
    return add(world, text, argument, LOG_PROBABILITY, goals, error);
}

static gradcam_status resolve_rest(const gc_world *world, const char *text, const char *argument,
                                   gc_goals *goals, gradcam_error *error)
{
    return add(world, text, argument, REST, goals, error);
}

const gc_target_row gc_target_probability = {
    .info = {.syntax = "prob[:CLASS]",
             .summary = "probability of a class; without one, of the predicted class"},
    .prefix = "prob",
    .argument_may_lack = true,
    .resolve = resolve_probability,
};

const gc_target_row gc_target_log_probability = {
    .info = {.syntax = "logprob[:CLASS]", .summary = "logarithm of the probability"},
    .prefix = "logprob",
    .argument_may_lack = true,
    .resolve = resolve_log,
};

const gc_target_row gc_target_rest = {
    .info = {.syntax = "rest[:CLASS]",
             .summary = "logit plus logarithm of the probability (ReST, arXiv:2501.06261)"},
    .prefix = "rest",
    .argument_may_lack = true,
    .resolve = resolve_rest,
};
