/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grad-CAM: each channel of the layer is weighted by the mean of its gradient.
 * Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
 * Localization", ICCV 2017, arXiv:1610.02391, equations 1 and 2.
 */
#include "cam/method.h"

enum { TOGETHER = 4, MANY_ELEMENTS = 16384 };

/* The means of some neighbouring rows, each summed from left to right; side by side, since each
 * addition waits for the one before. */
static void average_rows(const float *rows, int64_t length, int count, float *means)
{
    double sums[TOGETHER] = {0};
    if (count == TOGETHER)
        for (int64_t i = 0; i < length; i++)
            for (int k = 0; k < TOGETHER; k++)
                sums[k] += rows[k * length + i];
    else
        for (int k = 0; k < count; k++)
            for (int64_t i = 0; i < length; i++)
                sums[k] += rows[k * length + i];
    for (int k = 0; k < count; k++)
        means[k] = (float)(sums[k] / (double)length);
}

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    (void)error;
#pragma omp parallel for schedule(static) if (f->channels * f->positions > MANY_ELEMENTS)
    for (int64_t k = 0; k < f->channels; k += TOGETHER) {
        const int64_t left = f->channels - k;
        average_rows(f->gradient + k * f->positions, f->positions,
                     left < TOGETHER ? (int)left : TOGETHER, weights + k);
    }
    return GRADCAM_OK;
}

const gc_method gc_method_gradcam = {
    .info = {.name = "gradcam",
             .summary = "channels weighted by their mean gradient",
             .formula = "sum_c mean(G_c) A_c",
             .paper = "Selvaraju et al. 2017, arXiv:1610.02391",
             .cost = "1 forward, 1 backward",
             .needs = "gradients"},
    .uses = GC_USES_GRADIENT,
    .weigh = weigh,
};
