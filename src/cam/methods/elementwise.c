/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element-wise Grad-CAM: as HiResCAM, but only what speaks for the target.
 * Pillai and Pirsiavash, "Explainable models with consistent interpretations", AAAI 2021; in the
 * form of pytorch-grad-cam's GradCAMElementWise.
 */
#include "cam/method.h"

static gradcam_status elements(gc_case *c, float *out, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    (void)error;
    for (int64_t i = 0; i < f->channels * f->positions; i++) {
        const float product = f->gradient[i] * f->activation[i];
        out[i] = product < 0.0f ? 0.0f : product;
    }
    return GRADCAM_OK;
}

const gc_method gc_method_elementwise = {
    .info = {.name = "elementwise",
             .summary = "as hirescam, but only positive products",
             .formula = "sum_c relu(G_c A_c)",
             .paper = "Pillai and Pirsiavash, AAAI 2021",
             .cost = "1 forward, 1 backward",
             .needs = "gradients"},
    .uses = GC_USES_GRADIENT,
    .elements = elements,
};
