/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saliency: the gradient of the score with respect to the input, the largest absolute value of a
 * pixel's channels.
 * Simonyan, Vedaldi, Zisserman, "Deep Inside Convolutional Networks: Visualising Image
 * Classification Models and Saliency Maps", 2013, arXiv:1312.6034, section 3.1.
 */
#include "cam/method.h"

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    const float *gradient = NULL;
    GC_TRY(gc_case_input_gradient(c, false, &gradient, error));
    gc_largest_of_channels(c, gradient, out);
    return GRADCAM_OK;
}

const gc_method gc_method_saliency = {
    .info =
        {.name = "saliency",
         .summary =
             "how strongly each pixel moves the score: largest absolute gradient of its channels",
         .formula = "max_c abs(ds/dx)",
         .paper = "Simonyan et al. 2013, arXiv:1312.6034",
         .cost = "1 forward, 1 backward",
         .needs = "gradients"},
    .uses = GC_IS_PIXELWISE | GC_USES_INPUT_GRADIENT,
    .map = map,
};
