/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shapley-CAM: channels weighted by the second-order estimate of their Shapley value,
 *    w = mean(G - H A / 2),  H the Hessian of the score with respect to A.
 * Cai, "CAMs as Shapley Value-based Explainers", 2025, arXiv:2501.06261. The product H A is the
 * difference of the gradients at (1 + e) A and (1 - e) A, divided by 2 e, through the network's
 * tail. For a score that is linear in A, as a logit behind pooling and a linear layer, this is
 * Grad-CAM; the paper uses the target "rest".
 */
#include "cam/method.h"

enum { EPSILON };

static const gradcam_setting settings[] = {
    {"epsilon", 0.001, 1e-6, 0.5, "step of the difference, as a share of the activation"}};

typedef struct work {
    float *activation, *above, *below; /* channels x positions */
} work;

static gradcam_status gradient_at(gc_case *c, const work *w, double factor, float *gradient,
                                  gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    for (int64_t i = 0; i < f->channels * f->positions; i++)
        w->activation[i] = (float)(factor * f->activation[i]);
    return gc_runner_tail_gradient(c->runner, c->goal, c->layer, w->activation, gradient, error);
}

static gradcam_status make(gc_case *c, const work *w, float *weights, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    const double e = c->settings[EPSILON];
    GC_TRY(gradient_at(c, w, 1.0 + e, w->above, error));
    GC_TRY(gradient_at(c, w, 1.0 - e, w->below, error));
    for (int64_t k = 0; k < f->channels; k++) {
        double sum = 0.0;
        for (int64_t i = k * f->positions; i < (k + 1) * f->positions; i++)
            sum += f->gradient[i] - 0.5 * ((double)w->above[i] - w->below[i]) / (2.0 * e);
        weights[k] = (float)(sum / (double)f->positions);
    }
    return GRADCAM_OK;
}

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const gc_tensor *a = NULL;
    work w = {0};
    float **const buffers[] = {&w.activation, &w.above, &w.below};
    gradcam_status status = gc_runner_value(c->runner, c->layer, &a, error);
    for (int i = 0; i < 3 && status == GRADCAM_OK; i++)
        status = gc_new(buffers[i], (size_t)gc_tensor_count(a), sizeof(float), error);
    if (status == GRADCAM_OK)
        status = make(c, &w, weights, error);
    for (int i = 0; i < 3; i++)
        gc_free(*buffers[i]);
    return status;
}

const gc_method gc_method_shapleycam = {
    .info = {.name = "shapleycam",
             .summary = "channels weighted by their second-order Shapley value",
             .formula = "sum_c mean(G_c - (H A)_c / 2) A_c",
             .paper = "Cai 2025, arXiv:2501.06261",
             .cost = "1 forward, 1 backward, 2 of each through the tail",
             .needs = "gradients",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_USES_GRADIENT | GC_USES_TAIL,
    .weigh = weigh,
};
