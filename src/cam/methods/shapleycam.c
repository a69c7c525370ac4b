/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapley-CAM: channels weighted by the second-order estimate of their Shapley value,
 *    w = mean(G - H A / 2),  H the Hessian of the score with respect to A.
 * Cai, "CAMs as Shapley Value-based Explainers", 2025, arXiv:2501.06261. For a score that is linear
 * in A, as a logit behind pooling and a linear layer, this is Grad-CAM; the paper uses the target
 * "rest".
 */
#include "cam/curvature.h"
#include "cam/method.h"

enum { EPSILON };

static const gradcam_setting settings[] = {
    {"epsilon", 0.01, 1e-6, 0.5, "step of the difference, as a share of the activation"}};

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    float *product = NULL;
    GC_TRY(gc_new(&product, (size_t)(f->channels * f->positions), sizeof *product, error));
    const gradcam_status status =
        gc_curvature(c->runner, c->goal, c->layer, c->settings[EPSILON], product, error);
    for (int64_t k = 0; k < f->channels && status == GRADCAM_OK; k++) {
        double sum = 0.0;
        for (int64_t i = k * f->positions; i < (k + 1) * f->positions; i++)
            sum += f->gradient[i] - 0.5 * product[i];
        weights[k] = (float)(sum / (double)f->positions);
    }
    gc_free(product);
    return status;
}

const gc_method gc_method_shapleycam = {
    .info = {.name = "shapleycam",
             .summary = "channels weighted by their second-order Shapley value",
             .formula = "sum_c mean(G_c - (H A)_c / 2) A_c",
             .paper = "Cai 2025, arXiv:2501.06261",
             .cost = "1 forward, 1 backward, 5 forward and 4 backward through the tail",
             .needs = "gradients",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_USES_GRADIENT | GC_USES_TAIL,
    .weigh = weigh,
};
