/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integrated gradients: the gradients along the straight line from a baseline to the input, times
 * the way, summed over channels. The values add up to the difference of the scores. Sundararajan,
 * Taly, Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, arXiv:1703.01365. The integral
 * is a Gauss-Legendre sum of 5 points in each of `steps` / 5 parts, which are exact for polynomials
 * of degree 9. The baseline is one value in the network's input.
 */
#include "cam/method.h"

enum { STEPS, BASELINE, POINTS = 5 };

static const gradcam_setting settings[] = {
    {"steps", 50, 5, 100000, "points on the way, in fives"},
    {"baseline", 0, -1e6, 1e6, "value of the input where the way begins"},
};

/* Nodes and weights on [0, 1]. */
static const double nodes[POINTS] = {0.046910077030668, 0.230765344947158, 0.5, 0.769234655052841,
                                     0.953089922969332};
static const double weights[POINTS] = {0.118463442528095, 0.239314335249683, 0.284444444444444,
                                       0.239314335249683, 0.118463442528095};

typedef struct work {
    float *point;
    double *sum;
} work;

static gradcam_status integrate(gc_case *c, const work *w, int64_t count, gradcam_error *error)
{
    const float *const x = gc_case_input(c);
    const double baseline = c->settings[BASELINE];
    const int parts = (int)c->settings[STEPS] / POINTS;
    for (int step = 0; step < parts * POINTS; step++) {
        const gc_tensor *gradient = NULL;
        const int part = step / POINTS;
        const double t = (part + nodes[step % POINTS]) / parts;
        const double weight = weights[step % POINTS] / parts;
        for (int64_t i = 0; i < count; i++)
            w->point[i] = (float)(baseline + t * (x[i] - baseline));
        GC_TRY(gc_runner_gradient_at(c->runner, c->goal, w->point, gc_runner_base_value(c->runner),
                                     &gradient, error));
        for (int64_t i = 0; i < count; i++)
            w->sum[i] += weight * gc_floats(gradient)[i];
        gc_runner_report(c->runner, c->method->info.name, step + 1, parts * POINTS);
    }
    for (int64_t i = 0; i < count; i++)
        w->point[i] = (float)(w->sum[i] * (x[i] - baseline));
    return GRADCAM_OK;
}

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    const int64_t count = gc_tensor_count(gc_runner_base(c->runner));
    work w = {0};
    gradcam_status status = gc_new(&w.point, (size_t)count, sizeof *w.point, error);
    if (status == GRADCAM_OK)
        status = gc_new(&w.sum, (size_t)count, sizeof *w.sum, error);
    if (status == GRADCAM_OK)
        status = integrate(c, &w, count, error);
    if (status == GRADCAM_OK)
        gc_sum_channels(c, w.point, out);
    gc_free(w.point);
    gc_free(w.sum);
    return status;
}

const gc_method gc_method_integratedgradients = {
    .info = {.name = "integratedgradients",
             .summary = "gradients along the way from a baseline to the input; adds up to the "
                        "score difference",
             .formula = "sum_c (x - b) mean over t of ds/dx at b + t (x - b)",
             .paper = "Sundararajan et al. 2017, arXiv:1703.01365",
             .cost = "steps forward, steps backward",
             .needs = "gradients",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_IS_PIXELWISE | GC_USES_INPUT_GRADIENT | GC_USES_OTHER_INPUTS,
    .map = map,
};
