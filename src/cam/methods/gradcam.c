/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grad-CAM: each channel of the layer is weighted by the mean of its gradient.
 * Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
 * Localization", ICCV 2017, arXiv:1610.02391, equations 1 and 2.
 */
#include "cam/method.h"

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    (void)error;
    for (int64_t k = 0; k < f->channels; k++) {
        double sum = 0.0;
        for (int64_t i = 0; i < f->positions; i++)
            sum += f->gradient[k * f->positions + i];
        weights[k] = (float)(sum / (double)f->positions);
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
