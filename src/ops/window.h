/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Geometry of sliding windows, shared by convolutions and pools, by the plain kernels here and by
 * the engine's: kernel extents, strides, dilations and paddings of 1 to 3 spatial axes.
 *
 * Along axis a, tap k of output position o reads input position
 *     o * stride[a] + k * dilation[a] - pad_begin[a]
 * which lies outside the input where it is negative or not below the extent. A transposed
 * convolution swaps the two roles: its input takes the place of the output in this formula.
 */
#ifndef GC_OPS_WINDOW_H
#define GC_OPS_WINDOW_H

#include "ops/op.h"

enum { GC_MAX_SPATIAL = 3 };

/** Entries from `spatial` on are those of an axis of extent 1: kernel, stride, dilation 1, pads 0.
 */
typedef struct gc_window {
    int spatial; /**< 1 to 3. */
    int64_t kernel[GC_MAX_SPATIAL];
    int64_t stride[GC_MAX_SPATIAL];
    int64_t dilation[GC_MAX_SPATIAL];
    int64_t pad_begin[GC_MAX_SPATIAL];
    int64_t pad_end[GC_MAX_SPATIAL];
} gc_window;

/**
 * Reads and checks the window attributes of a Conv or a pool: kernel_shape, strides, dilations,
 * pads, auto_pad (whose result is put into the pads) and, for pools, ceil_mode.
 *
 * With ceil_mode the last window may reach beyond pad_end, but must start inside the input or its
 * begin padding, as in PyTorch; pad_end stays as the file gives it.
 *
 * @param input N, C and 1 to 3 spatial extents.
 * @param kernel spatial extents of a convolution's weights, against which kernel_shape is checked;
 *        NULL for a pool, where kernel_shape is required.
 * @param out_dims receives window->spatial output extents, all positive.
 * @return GRADCAM_OK; _MODEL for attributes that no input makes right, _SHAPE where the window does
 *         not fit the padded input, _UNSUPPORTED for other ranks.
 */
gradcam_status gc_window_resolve(const gc_call *call, const gc_tensor *input, const int64_t *kernel,
                                 gc_window *window, int64_t *out_dims);

/** As gc_window_resolve, for ConvTranspose, with output_padding and output_shape. Where
 *  output_shape asks for more than the windows reach, pads are 0 and the rest gets only the bias.
 */
gradcam_status gc_window_resolve_transposed(const gc_call *call, const gc_tensor *input,
                                            const int64_t *kernel, gc_window *window,
                                            int64_t *out_dims);

/** The window with its axes moved to the end, so that loops over three axes serve all ranks. */
gc_window gc_window_3d(const gc_window *window);

/** The spatial extents of N x C x spatial, preceded by ones. */
void gc_extents_3d(const gc_tensor *tensor, int64_t extents[GC_MAX_SPATIAL]);

/** A half-open range. */
typedef struct gc_range {
    int64_t begin, end;
} gc_range;

/** The output positions, out of `out`, whose tap k falls inside an input of extent `in`. */
gc_range gc_window_outputs(const gc_window *window, int axis, int64_t k, int64_t in, int64_t out);

/** The taps of output position o that fall inside [low, high) of the input axis. */
gc_range gc_window_taps(const gc_window *window, int axis, int64_t o, int64_t low, int64_t high);

#endif
