/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SmoothGrad: the gradient averaged over noisy inputs; the largest absolute value of a pixel's
 * channels. Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017, arXiv:1706.03825.
 * Element i of sample n takes normal number n * count + i of the seed's stream.
 */
#include "cam/method.h"

#include "cam/noise.h"

enum { SAMPLES, SIGMA };

static const gradcam_setting settings[] = {
    {"samples", 50, 1, 100000, "noisy inputs"},
    {"sigma", 0.15, 0, 10, "standard deviation of the noise, as a share of the input's range"},
};

static gradcam_status add_up(gc_case *c, float *point, double *sum, int64_t count,
                             gradcam_error *error)
{
    const float *const x = gc_case_input(c);
    const int samples = (int)c->settings[SAMPLES];
    const double size = gc_noise_size(x, count, c->settings[SIGMA]);
    for (int n = 0; n < samples; n++) {
        const gc_tensor *gradient = NULL;
        gc_add_noise(point, x, count, c->settings[SIGMA] > 0.0 ? size : 0.0, c->seed,
                     (uint64_t)n * (uint64_t)count);
        GC_TRY(gc_runner_gradient_at(c->runner, c->goal, point, gc_runner_base_value(c->runner),
                                     &gradient, error));
        for (int64_t i = 0; i < count; i++)
            sum[i] += (double)gc_floats(gradient)[i] / samples;
        gc_runner_report(c->runner, c->method->info.name, n + 1, samples);
    }
    for (int64_t i = 0; i < count; i++)
        point[i] = (float)sum[i];
    return GRADCAM_OK;
}

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    const int64_t count = gc_tensor_count(gc_runner_base(c->runner));
    float *point = NULL;
    double *sum = NULL;
    gradcam_status status = gc_new(&point, (size_t)count, sizeof *point, error);
    if (status == GRADCAM_OK)
        status = gc_new(&sum, (size_t)count, sizeof *sum, error);
    if (status == GRADCAM_OK)
        status = add_up(c, point, sum, count, error);
    if (status == GRADCAM_OK)
        gc_largest_of_channels(c, point, out);
    gc_free(point);
    gc_free(sum);
    return status;
}

const gc_method gc_method_smoothgrad = {
    .info = {.name = "smoothgrad",
             .summary = "saliency of gradients averaged over noisy inputs",
             .formula = "max_c abs(mean over n of ds/dx at x + noise_n)",
             .paper = "Smilkov et al. 2017, arXiv:1706.03825",
             .cost = "samples forward, samples backward",
             .needs = "gradients",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_IS_PIXELWISE | GC_USES_INPUT_GRADIENT | GC_USES_OTHER_INPUTS,
    .map = map,
};
