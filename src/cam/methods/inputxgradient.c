/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input times gradient, summed over channels: the first-order share of each pixel in the score.
 * Shrikumar et al., "Not Just a Black Box: Learning Important Features Through Propagating
 * Activation Differences", 2016, arXiv:1605.01713. A pixel that preprocessing makes 0 has no share.
 */
#include "cam/method.h"

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    const float *gradient = NULL;
    const float *const x = gc_case_input(c);
    const gc_input_shape *const in = &c->input;
    GC_TRY(gc_case_input_gradient(c, false, &gradient, error));
    for (int64_t i = 0; i < gc_input_pixels(c); i++) {
        double sum = 0.0;
        for (int64_t ch = 0; ch < in->channels; ch++) {
            const int64_t at = ch * in->channel_stride + i * in->pixel_stride;
            sum += (double)x[at] * gradient[at];
        }
        out[i] = (float)sum;
    }
    return GRADCAM_OK;
}

const gc_method gc_method_inputxgradient = {
    .info = {.name = "inputxgradient",
             .summary = "input times gradient, summed over channels",
             .formula = "sum_c x ds/dx",
             .paper = "Shrikumar et al. 2016, arXiv:1605.01713",
             .cost = "1 forward, 1 backward",
             .needs = "gradients"},
    .uses = GC_IS_PIXELWISE | GC_USES_INPUT_GRADIENT,
    .map = map,
};
