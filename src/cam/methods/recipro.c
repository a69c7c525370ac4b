/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recipro-CAM: the score when only one position of the layer is left.
 * Byun and Lee, "Recipro-CAM: Fast gradient-free visual explanations for convolutional neural
 * networks", 2022, arXiv:2209.14074. With `gaussian` a position is left together with its
 * neighbours, weighted 1/4, 1/8, 1/16.
 */
#include "cam/method.h"

#include <stdlib.h>

enum { GAUSSIAN };

static const gradcam_setting settings[] = {
    {"gaussian", 0, 0, 1, "leave the neighbours, too, with Gaussian weights"}};

typedef struct work {
    const gradcam_features *f;
    bool is_gaussian;
} work;

static float share(const work *w, int64_t index, int64_t position)
{
    const int width = w->f->width;
    const int dx = abs((int)(index % width - position % width));
    const int dy = abs((int)(index / width - position / width));
    if (!w->is_gaussian)
        return index == position ? 1.0f : 0.0f;
    return dx > 1 || dy > 1 ? 0.0f : 0.25f / (float)((1 + dx) * (1 + dy));
}

static void change(void *user, int64_t index, float *block)
{
    const work *const w = user;
    const gradcam_features *const f = w->f;
    for (int64_t i = 0; i < f->positions; i++) {
        const float s = share(w, index, i);
        for (int64_t k = 0; k < f->channels; k++)
            block[k * f->positions + i] =
                s == 0.0f ? 0.0f : s * f->activation[k * f->positions + i];
    }
}

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    work w = {&c->features, c->settings[GAUSSIAN] != 0.0};
    const gc_sweep sweep = {.key = gc_case_key(c),
                            .value = c->layer,
                            .count = c->features.positions,
                            .change = change,
                            .user = &w,
                            .name = c->method->info.name};
    return gc_runner_sweep(c->runner, &sweep, c->goal, out, error);
}

const gc_method gc_method_recipro = {
    .info = {.name = "recipro",
             .summary = "the score when only one position of the layer is left",
             .formula = "s(A at i alone)",
             .paper = "Byun and Lee 2022, arXiv:2209.14074",
             .cost = "1 forward, positions through the tail",
             .needs = "forward passes",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_USES_TAIL,
    .map = map,
};
