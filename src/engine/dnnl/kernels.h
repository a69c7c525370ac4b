/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door to oneDNN: what the planner may ask for, without oneDNN's types.
 *
 * Each constructor may decline: it then returns GRADCAM_OK with *kernel NULL, and the plain kernel
 * of src/ops takes over. Memory is bound once, when the plan has placed its buffers; running a
 * kernel allocates nothing but what oneDNN lists its arguments in.
 */
#ifndef GC_ENGINE_DNNL_KERNELS_H
#define GC_ENGINE_DNNL_KERNELS_H

#include "base/budget.h"
#include "graph/tensor.h"
#include "ops/window.h"

/** A oneDNN engine and stream; belongs to one plan. */
typedef struct gc_dnnl gc_dnnl;
gradcam_status gc_dnnl_create(gc_dnnl **dnnl, gradcam_error *error);
void gc_dnnl_destroy(gc_dnnl **dnnl);

/** Which oneDNN this is and what it computes with, e.g. "oneDNN 3.7.1, threads by OpenMP, AVX2". */
void gc_dnnl_describe(char *text, size_t size);

/** Weights in the layouts that kernels want, packed once and shared by all plans of a model. May be
 *  used by several threads at once. */
typedef struct gc_packs gc_packs;
/** @param budget counts the packs, and what plans take; outlives them; NULL: no limit. */
gradcam_status gc_packs_create(gc_packs **packs, gc_budget *budget, gradcam_error *error);
gc_budget *gc_packs_budget(const gc_packs *packs);
void gc_packs_destroy(gc_packs **packs);

/** Gives back what only packing needs: call it when a plan is made. */
void gc_packs_trim(gc_packs *packs);

/** One primitive with its memories. */
typedef struct gc_kernel gc_kernel;
void gc_kernel_destroy(gc_kernel **kernel);

typedef enum gc_kernel_arg {
    GC_ARG_SRC,  /**< First operand; of a backward kernel, the gradient of the result. */
    GC_ARG_SRC2, /**< Second operand of a matrix product. */
    GC_ARG_DST,  /**< Result; of a backward kernel, the gradient of the source. */
    GC_ARG_BIAS,
    GC_ARG_SCRATCH,
    GC_ARG_COUNT
} gc_kernel_arg;

/** Points an argument to its memory. Arguments a kernel does not have are ignored. */
void gc_kernel_bind(gc_kernel *kernel, gc_kernel_arg arg, void *data);
gradcam_status gc_kernel_run(gc_kernel *kernel, gradcam_error *error);

/** oneDNN's name of the implementation; valid while the kernel is. */
const char *gc_kernel_name(const gc_kernel *kernel);

/** Bytes for GC_ARG_SCRATCH, and the layouts chosen for source and destination. */
size_t gc_kernel_scratch(const gc_kernel *kernel);
gc_layout gc_kernel_src_layout(const gc_kernel *kernel);
gc_layout gc_kernel_dst_layout(const gc_kernel *kernel);

/** The blocks of channels that fill this CPU's vectors, and whether its convolutions are faster
 * over channels-last images. */
gc_layout gc_dnnl_blocked_layout(void);
bool gc_dnnl_prefers_last(void);

/** Has this CPU instructions that multiply bfloat16 and add to float32? */
bool gc_dnnl_has_bfloat16(void);

/** What is computed on a convolution's result while it is still in registers. */
typedef enum gc_post_kind {
    GC_POST_SUM,  /**< Add what the destination holds. */
    GC_POST_RELU, /**< alpha: slope for negative values. */
    GC_POST_CLIP, /**< Between alpha and beta. */
    GC_POST_SIGMOID,
    GC_POST_TANH,
    GC_POST_SWISH,    /**< x sigmoid(x) */
    GC_POST_HARDSWISH /**< x clip(x/6 + 1/2, 0, 1) */
} gc_post_kind;

typedef struct gc_post {
    gc_post_kind kind;
    float alpha, beta;
} gc_post;

enum { GC_MAX_POSTS = 3 };

/** In which layout and by which algorithm. */
typedef enum gc_conv_way {
    GC_CONV_LAST,    /**< Direct, channels-last. */
    GC_CONV_BLOCKED, /**< Direct, over blocks of channels. */
    /** Winograd's algorithm over blocks of channels (Lavin and Gray 2016, arXiv:1509.09308), with
     *  tiles of 2x2 or 4x4 results. */
    GC_CONV_WINOGRAD_2X3,
    GC_CONV_WINOGRAD_4X3
} gc_conv_way;

enum { GC_CONV_WAYS = 4 };

typedef struct gc_conv_spec {
    gc_tensor src, dst;         /**< Logical extents. */
    const gc_constant *weights; /**< O x I/group x kernel. */
    const gc_constant *bias;    /**< NULL for none. */
    int64_t group;
    gc_window window;
    gc_post posts[GC_MAX_POSTS];
    int post_count;
    gc_conv_way ways[GC_CONV_WAYS]; /**< To be tried in this order. */
    int way_count;
    /** For the ways that are direct, where oneDNN can: the operand (backward: the gradient of the
     *  result) and the weights are bfloat16, and products are added in float32. */
    bool bfloat16;
    bool rounds_result; /**< Then the result is bfloat16, too. */
} gc_conv_spec;

gradcam_status gc_dnnl_conv(gc_dnnl *dnnl, gc_packs *packs, const gc_conv_spec *spec,
                            gc_kernel **kernel, gradcam_error *error);

/** Gradient with respect to the source. SRC is the gradient of the result, DST that of the source.
 *  Posts are ignored. */
gradcam_status gc_dnnl_conv_backward(gc_dnnl *dnnl, gc_packs *packs, const gc_conv_spec *spec,
                                     gc_kernel **kernel, gradcam_error *error);

/** Copies an activation between a layout and its rounded form, whichever way. */
gradcam_status gc_dnnl_round(gc_dnnl *dnnl, const gc_tensor *type, gc_layout from, gc_layout to,
                             gc_kernel **kernel, gradcam_error *error);

typedef enum gc_pool_kind { GC_POOL_MAX, GC_POOL_AVERAGE, GC_POOL_AVERAGE_PADDED } gc_pool_kind;

/** Pooling in whatever layout the source has. */
gradcam_status gc_dnnl_pool(gc_dnnl *dnnl, gc_pool_kind kind, const gc_tensor *src,
                            const gc_tensor *dst, gc_layout layout, const gc_window *window,
                            gc_kernel **kernel, gradcam_error *error);

/** dst[b] = a[b] b[b] (+ bias), each operand with element strides for (batch, row, column); bias
 * has one entry a column. */
typedef struct gc_matmul_spec {
    int64_t batch, rows, inner, columns;
    int64_t a_strides[3], b_strides[3];
    bool has_bias;
} gc_matmul_spec;

gradcam_status gc_dnnl_matmul(gc_dnnl *dnnl, const gc_matmul_spec *spec, gc_kernel **kernel,
                              gradcam_error *error);

#endif
