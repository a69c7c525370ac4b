/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SS-CAM: Score-CAM with scores averaged over noisy masks.
 * Wang et al., "SS-CAM: Smoothed Score-CAM for Sharper Visual Feature Localization", 2020,
 * arXiv:2006.14255, with torch-cam's defaults. For the noise see cam/score_masks.h.
 */
#include "cam/method.h"

#include "cam/score_masks.h"

enum { SAMPLES, SIGMA, CHANNELS };

static const gradcam_setting settings[] = {
    {"samples", 35, 1, 100000, "noisy masks a channel"},
    {"sigma", 2, 0, 100, "standard deviation of the noise on masks from 0 to 1"},
    {"channels", 0, 0, 1e6, "only the channels of the largest standard deviation; 0: all"},
};

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const gc_score_options options = {.kind = GC_MASK_NOISY,
                                      .channels = (int64_t)c->settings[CHANNELS],
                                      .samples = (int)c->settings[SAMPLES],
                                      .sigma = c->settings[SIGMA]};
    return gc_score_weights(c, &options, weights, error);
}

const gc_method gc_method_sscam = {
    .info = {.name = "sscam",
             .summary = "Score-CAM with scores averaged over noisy masks",
             .formula = "as scorecam, w = softmax over c of mean over n of s(x (mask_c + noise_n))",
             .paper = "Wang et al. 2020, arXiv:2006.14255",
             .cost = "1 + channels samples forward",
             .needs = "forward passes",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .weigh = weigh,
};
