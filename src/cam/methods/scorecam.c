/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Score-CAM: each channel, upsampled to a mask on the input, weighted by the score it earns.
 * Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks",
 * CVPR workshops 2020, arXiv:1910.01279. As pytorch-grad-cam; `torchcam` names torch-cam's order of
 * normalising and upsampling. `channels` (`fast`: 10) takes only those that vary most: Faster
 * Score-CAM of tf-keras-vis.
 */
#include "cam/method.h"

#include "cam/score_masks.h"

enum { CHANNELS, FAST, TORCHCAM, FAST_CHANNELS = 10 };

static const gradcam_setting settings[] = {
    {"channels", 0, 0, 1e6, "only the channels of the largest standard deviation; 0: all"},
    {"fast", 0, 0, 1, "the same as channels=10"},
    {"torchcam", 0, 0, 1, "normalise before upsampling, without aligned corners, as torch-cam"},
};

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const bool is_fast = c->settings[FAST] != 0.0 && c->settings[CHANNELS] == 0.0;
    const gc_score_options options = {.kind = GC_MASK_PLAIN,
                                      .channels =
                                          is_fast ? FAST_CHANNELS : (int64_t)c->settings[CHANNELS],
                                      .samples = 1,
                                      .normalise_first = c->settings[TORCHCAM] != 0.0};
    return gc_score_weights(c, &options, weights, error);
}

const gc_method gc_method_scorecam = {
    .info = {.name = "scorecam",
             .summary = "each channel as a mask on the input, weighted by the score it earns",
             .formula = "sum_c w_c A_c, w = softmax over c of s(x minmax(up(A_c)))",
             .paper = "Wang et al. 2020, arXiv:1910.01279",
             .cost = "1 + channels forward",
             .needs = "forward passes",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .weigh = weigh,
};
