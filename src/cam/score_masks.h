/* SPDX-License-Identifier: Apache-2.0 */
/* Score-CAM and its descendants: each channel, as a mask on the input, gets a score. */
#ifndef GC_CAM_SCORE_MASKS_H
#define GC_CAM_SCORE_MASKS_H

#include "cam/method.h"

typedef enum gc_mask_kind {
    GC_MASK_PLAIN,
    GC_MASK_NOISY,     /**< Plus sigma times normal number (channel samples + sample) pixels + i. */
    GC_MASK_CUMULATED, /**< Times (1 + 2 + ... + i) / samples for sample i = 1 to samples. */
    GC_MASK_LINEAR     /**< Times i / samples. */
} gc_mask_kind;

typedef struct gc_score_options {
    gc_mask_kind kind;
    int64_t channels; /**< Those of the largest standard deviation; 0: all. */
    int samples;
    double sigma;
    bool normalise_first; /**< Normalise, then upsample with half-pixel centres (torch-cam), instead
                               of upsampling with aligned corners first (pytorch-grad-cam). */
} gc_score_options;

/** The softmax over channels of their mean scores; channels that are left out get 0. */
gradcam_status gc_score_weights(gc_case *c, const gc_score_options *options, float *weights,
                                gradcam_error *error);

#endif
