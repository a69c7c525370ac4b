/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Smooth Grad-CAM++: Grad-CAM++ with the powers of the gradient averaged over noisy inputs.
 * Omeiza et al., "Smooth Grad-CAM++: An Enhanced Inference Level Visualization Technique for Deep
 * Convolutional Neural Network Models", 2019, arXiv:1908.01224, with the activation of the clean
 * input. Noise as in smoothgrad.
 */
#include "cam/method.h"

#include <string.h>

#include "cam/noise.h"

enum { SAMPLES, SIGMA };

static const gradcam_setting settings[] = {
    {"samples", 10, 1, 100000, "noisy inputs"},
    {"sigma", 0.15, 0, 10, "standard deviation of the noise, as a share of the input's range"},
};

typedef struct powers {
    double *first, *second, *third; /* channels x positions */
    float *point;                   /* a noisy input */
    float *activation;              /* of the clean one */
} powers;

static void add_powers(const powers *p, const float *g, int64_t count, int samples)
{
    for (int64_t i = 0; i < count; i++) {
        const double x = g[i];
        p->first[i] += x / samples;
        p->second[i] += x * x / samples;
        p->third[i] += x * x * x / samples;
    }
}

static gradcam_status run_samples(gc_case *c, const powers *p, int64_t count, gradcam_error *error)
{
    const float *const x = gc_case_input(c);
    const int64_t size = gc_tensor_count(gc_runner_base(c->runner));
    const int samples = (int)c->settings[SAMPLES];
    const double noise =
        c->settings[SIGMA] > 0.0 ? gc_noise_size(x, size, c->settings[SIGMA]) : 0.0;
    memcpy(p->activation, c->features.activation, (size_t)count * sizeof(float));
    for (int n = 0; n < samples; n++) {
        const gc_tensor *gradient = NULL;
        gc_add_noise(p->point, x, size, noise, c->seed, (uint64_t)n * (uint64_t)size);
        GC_TRY(gc_runner_gradient_at(c->runner, c->goal, p->point, c->layer, &gradient, error));
        add_powers(p, gc_floats(gradient), count, samples);
        gc_runner_report(c->runner, c->method->info.name, n + 1, samples);
    }
    return GRADCAM_OK;
}

static double channel_weight(const powers *p, int64_t first, int64_t count)
{
    double products = 0.0, weight = 0.0;
    for (int64_t i = first; i < first + count; i++)
        products += p->activation[i] * p->third[i];
    for (int64_t i = first; i < first + count; i++) {
        const double alpha = p->second[i] / (2.0 * p->second[i] + products + 1e-8);
        weight += p->first[i] > 0.0 ? alpha * p->first[i] : 0.0;
    }
    return weight;
}

static gradcam_status make(gc_case *c, powers *p, float *out, gradcam_error *error)
{
    const int64_t positions = c->features.positions, count = c->features.channels * positions;
    const size_t input = (size_t)gc_tensor_count(gc_runner_base(c->runner));
    double **const doubles[] = {&p->first, &p->second, &p->third};
    for (int i = 0; i < 3; i++)
        GC_TRY(gc_new(doubles[i], (size_t)count, sizeof(double), error));
    GC_TRY(gc_new(&p->point, input, sizeof(float), error));
    GC_TRY(gc_new(&p->activation, (size_t)count, sizeof(float), error));
    GC_TRY(run_samples(c, p, count, error));
    memset(out, 0, (size_t)positions * sizeof *out);
    for (int64_t k = 0; k < c->features.channels; k++) {
        const double weight = channel_weight(p, k * positions, positions);
        for (int64_t i = 0; i < positions; i++)
            out[i] += (float)(weight * p->activation[k * positions + i]);
    }
    return GRADCAM_OK;
}

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    powers p = {0};
    const gradcam_status status = make(c, &p, out, error);
    gc_free(p.first);
    gc_free(p.second);
    gc_free(p.third);
    gc_free(p.point);
    gc_free(p.activation);
    return status;
}

const gc_method gc_method_smoothgradcampp = {
    .info =
        {.name = "smoothgradcam++",
         .summary = "Grad-CAM++ with powers of the gradient averaged over noisy inputs",
         .formula =
             "sum_c w_c A_c, w_c = sum relu(D1) D2 / (2 D2 + sum(A D3) + 1e-8), Dk = mean of G^k",
         .paper = "Omeiza et al. 2019, arXiv:1908.01224",
         .cost = "samples forward, samples backward",
         .needs = "gradients",
         .settings = settings,
         .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_USES_GRADIENT | GC_USES_OTHER_INPUTS,
    .map = map,
};
