/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grad-CAM: each channel of the layer is weighted by the mean of its gradient.
 * Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
 * Localization", ICCV 2017, arXiv:1610.02391, equations 1 and 2.
 */
#include "cam/method.h"

enum { MANY_ELEMENTS = 16384 };

static double sum_of(const float *values, int64_t count)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++)
        sum += values[i];
    return sum;
}

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    const int64_t length = f->positions;
    (void)error;
#pragma omp parallel for schedule(static) if (f->channels * length > MANY_ELEMENTS)
    for (int64_t k = 0; k < f->channels; k++)
        weights[k] = (float)(sum_of(f->gradient + k * length, length) / (double)length);
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
