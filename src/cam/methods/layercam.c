/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LayerCAM: each element of the activation weighted by its own positive gradient.
 * Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE TIP
 * 2021, doi:10.1109/TIP.2021.3089943.
 */
#include "cam/method.h"

static gradcam_status elements(gc_case *c, float *out, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    (void)error;
    for (int64_t i = 0; i < f->channels * f->positions; i++)
        out[i] = (f->gradient[i] < 0.0f ? 0.0f : f->gradient[i]) * f->activation[i];
    return GRADCAM_OK;
}

const gc_method gc_method_layercam = {
    .info = {.name = "layercam",
             .summary = "each element weighted by its own positive gradient",
             .formula = "sum_c relu(G_c) A_c",
             .paper = "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943",
             .cost = "1 forward, 1 backward",
             .needs = "gradients"},
    .uses = GC_USES_GRADIENT,
    .elements = elements,
};
