/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FEM: channels weighted by how often they are unusually active; no class takes part.
 * Fuad et al., "Features Understanding in 3D CNNs for Actions Recognition in Video", IPTA 2020,
 * hal-02963298: the rule of two sigma.
 */
#include "cam/method.h"

#include <math.h>

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    const double n = (double)f->positions;
    (void)error;
    for (int64_t k = 0; k < f->channels; k++) {
        const float *const a = f->activation + k * f->positions;
        double mean = 0.0, variance = 0.0, above = 0.0;
        for (int64_t i = 0; i < f->positions; i++)
            mean += a[i] / n;
        for (int64_t i = 0; i < f->positions; i++)
            variance += (a[i] - mean) * (a[i] - mean) / n;
        for (int64_t i = 0; i < f->positions; i++)
            above += a[i] > mean + 2.0 * sqrt(variance);
        weights[k] = (float)(above / n);
    }
    return GRADCAM_OK;
}

const gc_method gc_method_fem = {
    .info = {.name = "fem",
             .summary =
                 "channels weighted by how often they are unusually active, whatever the class",
             .formula = "sum_c w_c A_c, w_c = share of positions above mean + 2 std",
             .paper = "Fuad et al. 2020, hal-02963298",
             .cost = "1 forward",
             .needs = "activations"},
    .uses = GC_IS_SIGNLESS,
    .weigh = weigh,
};
