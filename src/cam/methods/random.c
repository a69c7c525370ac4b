/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random weights: no explanation at all, the baseline that every method has to beat.
 */
#include "cam/method.h"

#include "cam/noise.h"

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    (void)error;
    for (int64_t k = 0; k < c->features.channels; k++)
        weights[k] = (float)(2.0 * gc_noise_uniform(c->seed, (uint64_t)k) - 1.0);
    return GRADCAM_OK;
}

const gc_method gc_method_random = {
    .info = {.name = "random",
             .summary = "random channel weights: the baseline of every comparison",
             .formula = "sum_c w_c A_c, w_c uniform in [-1, 1]",
             .paper = "-",
             .cost = "1 forward",
             .needs = "activations"},
    .uses = GC_IS_SIGNLESS,
    .weigh = weigh,
};
