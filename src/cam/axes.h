/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the axes of activations mean: batch, channels, space, or tokens that stand for a grid of
 * places. It is followed through the graph from the input on, so that N x H x W x C and
 * N x tokens x C activations can be explained as well as N x C x H x W ones.
 */
#ifndef GC_CAM_AXES_H
#define GC_CAM_AXES_H

#include "graph/graph.h"

enum { GC_MAX_GRID = 3 };

typedef enum gc_axis {
    GC_AXIS_OTHER,
    GC_AXIS_BATCH,
    GC_AXIS_CHANNEL,
    GC_AXIS_TOKENS,
    GC_AXIS_SPACE /**< And the next two: the second and third spatial extent. */
} gc_axis;

/** A grid of tokens: extra ones (class, distillation, registers) come first. */
typedef struct gc_tokens {
    int grid_rank; /**< 0: none. */
    int64_t grid[GC_MAX_GRID];
    int64_t extra;
} gc_tokens;

typedef struct gc_axes {
    uint8_t kind[GC_MAX_RANK];
    gc_tokens tokens; /**< Of the axis GC_AXIS_TOKENS, if there is one. */
    bool is_known;
} gc_axes;

/** Is a picture of this shape N x H x W x C? Extents below 0 are free. */
bool gc_is_channels_last(const gc_tensor *type);

/**
 * Finds the axes of all values of a specialised graph.
 *
 * @param tokens what the user says of the token axis, or NULL: N x tokens x C activations without a
 *        history get a square grid where the picture is square and that fits, with up to 2 extra
 *        tokens.
 * @param axes receives value_count entries, to be freed with gc_free.
 */
gradcam_status gc_axes_trace(gc_axes **axes, const gc_graph *graph, const gc_tokens *tokens,
                             gradcam_error *error);

/** Index of the axis of a kind, or -1. */
int gc_axis_find(const gc_axes *axes, int rank, gc_axis kind);

/** Can this activation be explained: one axis of channels, and more than one place? */
bool gc_axes_is_map(const gc_axes *axes, const gc_tensor *type);

/** The places of a map: grid[0..rank) = spatial extents; their product. */
int64_t gc_axes_grid(const gc_axes *axes, const gc_tensor *type, int64_t grid[GC_MAX_GRID],
                     int *grid_rank);

int64_t gc_axes_channels(const gc_axes *axes, const gc_tensor *type);

/** Is it N x C x spatial, so that planes lie in the tensor as they are? */
bool gc_axes_is_planar(const gc_axes *axes, const gc_tensor *type);

/** planes[channels * places] = the first sample of a row-major tensor. */
void gc_axes_to_planes(const gc_axes *axes, const gc_tensor *tensor, float *planes);

/** "14x14+1" or "7x7". */
enum { GC_GRID_TEXT = 96 };
const char *gc_grid_text(const gc_tokens *tokens, char text[GC_GRID_TEXT]);

#endif
