/* SPDX-License-Identifier: Apache-2.0 */
/* What is differentiated: by default the logit before a final Softmax or Sigmoid, whose saturation
 * would make every gradient vanish. */
#ifndef GC_CAM_TARGET_H
#define GC_CAM_TARGET_H

#include "graph/graph.h"

typedef enum gc_activation {
    GC_NO_ACTIVATION,
    GC_SOFTMAX,
    GC_LOG_SOFTMAX,
    GC_SIGMOID
} gc_activation;

typedef struct gc_target {
    int output; /**< The network's output. */
    int logits; /**< The value before a final activation; else the output. */
    int score;  /**< The one that is differentiated: logits, or output. */
    gc_activation activation;
    char text[256]; /**< "logit before Softmax 'prob'". */
} gc_target;

/** Reads the end of the graph. */
void gc_target_find(gc_target *target, const gc_graph *graph, int output, bool after_activation);

/**
 * Number of classes where `type` is a classifier's result: N x C, N x C x 1 x 1, or C for N = 1.
 *
 * @return GRADCAM_OK; GRADCAM_ERROR_SHAPE for anything else, saying what the output looks like.
 */
gradcam_status gc_target_classes(const gc_tensor *type, int64_t batch, int64_t *classes,
                                 gradcam_error *error);

/** probability[i] of logits[i]: sigmoid for GC_SIGMOID, else softmax. They may be one array. */
void gc_probabilities(gc_activation activation, const float *logits, float *probabilities,
                      int64_t count);

#endif
