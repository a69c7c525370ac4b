/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guided backpropagation: gradients that pass rectifiers only where they are positive, summed over
 * channels. Sharp, and little dependent on the class.
 * Springenberg et al., "Striving for Simplicity: The All Convolutional Net", 2015, arXiv:1412.6806.
 */
#include "cam/method.h"

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    const float *gradient = NULL;
    GC_TRY(gc_case_input_gradient(c, true, &gradient, error));
    gc_sum_channels(c, gradient, out);
    return GRADCAM_OK;
}

const gc_method gc_method_guidedbackprop = {
    .info =
        {.name = "guidedbackprop",
         .summary =
             "gradients that pass rectifiers only where positive; sharp, hardly about the class",
         .formula = "sum_c guided ds/dx",
         .paper = "Springenberg et al. 2015, arXiv:1412.6806",
         .cost = "1 forward, 1 backward",
         .needs = "gradients"},
    .uses = GC_IS_PIXELWISE | GC_USES_GUIDED,
    .map = map,
};
