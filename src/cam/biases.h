/* SPDX-License-Identifier: Apache-2.0 */
/* The additive constants of a network, for FullGrad. */
#ifndef GC_CAM_BIASES_H
#define GC_CAM_BIASES_H

#include "graph/graph.h"

typedef struct gc_biased {
    int value;           /**< The constant is added to it, or is part of what makes it. */
    const float *values; /**< One a channel, or a single one. */
    int64_t count;
    bool is_spatial; /**< Of a convolution or a BatchNormalization. */
} gc_biased;

/** Lists those from which `score` is computed. The arrays belong to the arena and to the graph's
 *  constants. */
gradcam_status gc_biases_find(const gc_graph *graph, int score, gc_arena *arena, gc_biased **biased,
                              int *count, gradcam_error *error);

#endif
