/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ablation-CAM: channels weighted by how much the score drops without them.
 * Desai and Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional Network via
 * Gradient-free Localization", WACV 2020. The network's tail alone is run, in batches. A channel is
 * replaced by 0, or, as pytorch-grad-cam does, by the layer's minimum - 1e7 where that minimum is
 * not 0; with `zero` always by 0, as in the paper.
 */
#include "cam/method.h"

#include <math.h>
#include <string.h>

enum { ZERO };

static const gradcam_setting settings[] = {
    {"zero", 0, 0, 1, "always ablate to 0, as in the paper"}};

/* A value with a block of numbers for each channel: the layer, or what is left of it behind a
 * global pooling. */
typedef struct work {
    const float *base;
    int64_t channels, block;
    float value;
} work;

/* Run `channels` is the one with nothing ablated. */
static void change(void *user, int64_t index, float *block)
{
    const work *const w = user;
    for (int64_t i = 0; index < w->channels && i < w->block; i++)
        block[index * w->block + i] = w->value;
}

static void restore(void *user, int64_t index, float *block)
{
    const work *const w = user;
    if (index < w->channels)
        memcpy(block + index * w->block, w->base + index * w->block,
               (size_t)w->block * sizeof *block);
}

static float ablated_value(const gc_case *c)
{
    const gradcam_features *const f = &c->features;
    float low = f->activation[0];
    for (int64_t i = 1; i < f->channels * f->positions; i++)
        low = fminf(low, f->activation[i]);
    return low == 0.0f || c->settings[ZERO] != 0.0 ? 0.0f : low - 1e7f;
}

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const int64_t channels = c->features.channels;
    const gc_tensor *base = NULL;
    float *scores = NULL;
    int value = 0;
    GC_TRY(gc_runner_pooled(c->runner, c->layer, &value, error));
    GC_TRY(gc_runner_value(c->runner, value, &base, error));
    work w = {gc_floats(base), channels, gc_tensor_count(base) / channels, ablated_value(c)};
    GC_TRY(gc_new(&scores, (size_t)channels + 1, sizeof *scores, error));
    const gc_sweep sweep = {.key = gc_case_key(c),
                            .value = value,
                            .count = channels + 1,
                            .change = change,
                            .restore = restore,
                            .user = &w,
                            .name = c->method->info.name};
    const gradcam_status status = gc_runner_sweep(c->runner, &sweep, c->goal, scores, error);
    const double whole = scores[channels];
    for (int64_t k = 0; k < channels; k++)
        weights[k] = (float)((whole - scores[k]) / whole);
    gc_free(scores);
    return status;
}

const gc_method gc_method_ablationcam = {
    .info = {.name = "ablationcam",
             .summary = "channels weighted by how much the score drops without them",
             .formula = "sum_c w_c A_c, w_c = (s - s without A_c) / s",
             .paper = "Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360",
             .cost = "1 forward, channels through the tail",
             .needs = "forward passes",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_USES_TAIL,
    .weigh = weigh,
};
