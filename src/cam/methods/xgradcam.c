/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XGrad-CAM: the gradient averaged with the normalised activation as weights.
 * Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC
 * 2020, arXiv:2008.02312.
 */
#include "cam/method.h"

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    (void)error;
    for (int64_t k = 0; k < f->channels; k++) {
        double sum = 0.0, products = 0.0;
        for (int64_t i = k * f->positions; i < (k + 1) * f->positions; i++) {
            sum += f->activation[i];
            products += (double)f->activation[i] * f->gradient[i];
        }
        weights[k] = (float)(products / (sum + 1e-7));
    }
    return GRADCAM_OK;
}

const gc_method gc_method_xgradcam = {
    .info = {.name = "xgradcam",
             .summary = "gradients averaged in proportion to the activation",
             .formula = "sum_c w_c A_c, w_c = sum(G A) / (sum(A) + 1e-7)",
             .paper = "Fu et al. 2020, arXiv:2008.02312",
             .cost = "1 forward, 1 backward",
             .needs = "gradients"},
    .uses = GC_USES_GRADIENT,
    .weigh = weigh,
};
