/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grad-CAM++: positive gradients weighted so that each occurrence of an object counts.
 * Chattopadhay et al., "Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks",
 * WACV 2018, arXiv:1710.11063, equation 19 with the derivatives of an exponential score: powers of
 * the first one. The implementations of the field differ in the denominator: sum(A) G^3, which
 * follows the paper, or sum(A G^3), named after torch-cam.
 */
#include "cam/method.h"

enum { TORCHCAM };

static const gradcam_setting settings[] = {
    {"torchcam", 0, 0, 1, "sum(A G^3) in the denominator, as torch-cam and MONAI have it"}};

static double channel_weight(const float *a, const float *g, int64_t count, bool torchcam)
{
    const double tiny = torchcam ? 1e-8 : 1e-6;
    double sum = 0.0, cubes = 0.0, weight = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += a[i];
        cubes += (double)a[i] * g[i] * g[i] * g[i];
    }
    for (int64_t i = 0; i < count; i++) {
        const double square = (double)g[i] * g[i];
        const double third = torchcam ? cubes : sum * square * g[i];
        if (g[i] > 0.0f)
            weight += g[i] * square / (2.0 * square + third + tiny);
    }
    return weight;
}

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    (void)error;
    for (int64_t k = 0; k < f->channels; k++)
        weights[k] =
            (float)channel_weight(f->activation + k * f->positions, f->gradient + k * f->positions,
                                  f->positions, c->settings[TORCHCAM] != 0.0);
    return GRADCAM_OK;
}

const gc_method gc_method_gradcampp = {
    .info = {.name = "gradcam++",
             .summary = "positive gradients, weighted so that every occurrence counts",
             .formula = "sum_c w_c A_c, w_c = sum relu(G) G^2 / (2 G^2 + sum(A) G^3 + 1e-6)",
             .paper = "Chattopadhay et al. 2018, arXiv:1710.11063",
             .cost = "1 forward, 1 backward",
             .needs = "gradients",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_USES_GRADIENT,
    .weigh = weigh,
};
