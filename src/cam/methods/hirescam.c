/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HiResCAM: activation times gradient, element by element, summed over channels.
 * Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
 * neural networks", 2020, arXiv:2011.08891.
 */
#include "cam/method.h"

static gradcam_status elements(gc_case *c, float *out, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    (void)error;
    for (int64_t i = 0; i < f->channels * f->positions; i++)
        out[i] = f->gradient[i] * f->activation[i];
    return GRADCAM_OK;
}

const gc_method gc_method_hirescam = {
    .info = {.name = "hirescam",
             .summary = "activation times gradient, element by element",
             .formula = "sum_c G_c A_c",
             .paper = "Draelos and Carin 2020, arXiv:2011.08891",
             .cost = "1 forward, 1 backward",
             .needs = "gradients"},
    .uses = GC_USES_GRADIENT,
    .elements = elements,
};
