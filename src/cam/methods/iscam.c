/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IS-CAM: Score-CAM with scores averaged over masks of growing strength.
 * Naidu et al., "IS-CAM: Integrated Score-CAM for axiomatic-based explanations", 2020,
 * arXiv:2010.03023. The strengths cumulate, 1/N, (1 + 2)/N, ..., as in the paper's algorithm and in
 * torch-cam; with `linear` they are i/N, the integral that the text speaks of.
 */
#include "cam/method.h"

#include "cam/score_masks.h"

enum { SAMPLES, LINEAR, CHANNELS };

static const gradcam_setting settings[] = {
    {"samples", 10, 1, 100000, "strengths of each mask"},
    {"linear", 0, 0, 1, "strengths i / samples, instead of their sums"},
    {"channels", 0, 0, 1e6, "only the channels of the largest standard deviation; 0: all"},
};

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const gc_score_options options = {.kind = c->settings[LINEAR] != 0.0 ? GC_MASK_LINEAR
                                                                         : GC_MASK_CUMULATED,
                                      .channels = (int64_t)c->settings[CHANNELS],
                                      .samples = (int)c->settings[SAMPLES]};
    return gc_score_weights(c, &options, weights, error);
}

const gc_method gc_method_iscam = {
    .info = {.name = "iscam",
             .summary = "Score-CAM with scores averaged over masks of growing strength",
             .formula =
                 "as scorecam, w = softmax over c of mean over i of s(x mask_c (1 + ... + i) / n)",
             .paper = "Naidu et al. 2020, arXiv:2010.03023",
             .cost = "1 + channels samples forward",
             .needs = "forward passes",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .weigh = weigh,
};
