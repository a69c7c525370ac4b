/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oneDNN 2 and 3 differ in how primitives are described; this file and api.c are the only ones that
 * know. Memory descriptors are handled through pointers owned by us in both.
 */
#ifndef GC_ENGINE_DNNL_API_H
#define GC_ENGINE_DNNL_API_H

#include <oneapi/dnnl/dnnl.h>

#include "engine/dnnl/kernels.h"

#if DNNL_VERSION_MAJOR >= 3
typedef struct dnnl_memory_desc *gc_md;
typedef const struct dnnl_memory_desc *gc_const_md;
typedef const_dnnl_primitive_desc_t gc_hint;
#else
typedef dnnl_memory_desc_t *gc_md;
typedef const dnnl_memory_desc_t *gc_const_md;
typedef const_dnnl_primitive_desc_t gc_hint;
#endif

struct gc_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
};

/** A copy of weights between layouts; see reorder.c. */
typedef struct gc_reorder gc_reorder;

struct gc_kernel {
    dnnl_stream_t stream; /* the plan's */
    dnnl_primitive_t primitive;
    dnnl_memory_t memories[8];
    dnnl_exec_arg_t args[8];
    int arg_count;
    int slot_of[GC_ARG_COUNT]; /* index into memories, or -1 */
    size_t scratch;
    gc_layout src_layout, dst_layout;
    char name[32]; /* of the implementation */
};

gradcam_status gc_dnnl_fail(gradcam_error *error, dnnl_status_t status, const char *what);

/** A dense descriptor by tag; of float32 by strides; a copy. Free with gc_md_free (NULL is fine).
 */
dnnl_status_t gc_md_new(gc_md *md, dnnl_data_type_t type, int rank, const int64_t *dims,
                        dnnl_format_tag_t tag);
dnnl_status_t gc_md_new_strided(gc_md *md, int rank, const int64_t *dims, const int64_t *strides);
dnnl_status_t gc_md_copy(gc_md *md, gc_const_md from);
void gc_md_free(gc_md *md);

/** A descriptor of an activation in one of our layouts. */
dnnl_status_t gc_md_activation(gc_md *md, const gc_tensor *tensor, gc_layout layout);

/** Which of our layouts `md` is; false if none. */
bool gc_md_layout(gc_const_md md, const gc_tensor *tensor, gc_layout *layout);

/** Of the elements of a descriptor, and how many there are in memory, with those that pad. */
dnnl_data_type_t gc_md_type(gc_const_md md);
int64_t gc_md_count(gc_const_md md);

/** How a descriptor lays elements out: `strides` of the blocks, and inner blocks, outermost first.
 */
enum { GC_MD_RANK = DNNL_MAX_NDIMS };
typedef struct gc_blocking {
    int rank;
    int64_t dims[GC_MD_RANK], strides[GC_MD_RANK];
    int inner_count;
    int64_t inner_blocks[GC_MD_RANK];
    int inner_axes[GC_MD_RANK];
} gc_blocking;

/** False for descriptors that are not blocked. */
bool gc_md_blocking(gc_const_md md, gc_blocking *blocking);

/** Describes the copy of a float32 tensor into the order of elements that `to` has, whatever their
 *  type; the descriptors are not needed afterwards. */
gradcam_status gc_reorder_create(gc_reorder **reorder, gc_const_md from, gc_const_md to,
                                 gradcam_error *error);
void gc_reorder_destroy(gc_reorder **reorder);

/** Channels of `to` that fill up a block are set to 0; what lies between rows is not set. */
void gc_reorder_run(const gc_reorder *reorder, const float *from, float *to);

typedef struct gc_conv_mds {
    gc_const_md src, weights, bias, dst;
} gc_conv_mds;

/** The first implementation whose name contains `name` (NULL: the first). */
dnnl_status_t gc_pd_conv(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const gc_conv_mds *mds,
                         const gc_window *window, dnnl_alg_kind_t algorithm, const char *name,
                         dnnl_primitive_attr_t attr);

/** "jit:avx512_core", "brgconv_1x1:avx512_core", "gemm:jit", "ref:any", ...; "" if unknown. */
const char *gc_pd_name(gc_hint pd);

dnnl_status_t gc_pd_conv_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                  const gc_conv_mds *mds, const gc_window *window, gc_hint hint,
                                  dnnl_primitive_attr_t attr);
dnnl_status_t gc_pd_pool(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t algorithm,
                         gc_const_md src, gc_const_md dst, const gc_window *window,
                         dnnl_primitive_attr_t attr);
dnnl_status_t gc_pd_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, gc_const_md a,
                           gc_const_md b, gc_const_md bias, gc_const_md dst,
                           dnnl_primitive_attr_t attr);

/** A copy from one form to another. */
dnnl_status_t gc_pd_copy(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, gc_const_md from,
                         gc_const_md to);

/** Post-ops and "scratch memory comes from us". */
dnnl_status_t gc_attr_new(dnnl_primitive_attr_t *attr, const gc_post *posts, int post_count);

/** A kernel around `pd`, which is consumed, also on failure. */
gradcam_status gc_kernel_create(gc_kernel **kernel, gc_dnnl *dnnl, dnnl_primitive_desc_t pd,
                                gradcam_error *error);

/** Adds an execution argument; `arg` may be GC_ARG_COUNT for memory that is bound for good. */
gradcam_status gc_kernel_add(gc_kernel *kernel, gc_dnnl *dnnl, gc_kernel_arg arg, int dnnl_arg,
                             gc_const_md md, void *data, gradcam_error *error);

/** One around `pd` with the arguments SRC and DST alone, not bound yet. */
gradcam_status gc_kernel_create_unary(gc_kernel **kernel, gc_dnnl *dnnl, dnnl_primitive_desc_t pd,
                                      gc_const_md src, gc_const_md dst, gradcam_error *error);

/** Weights to be packed. */
typedef struct gc_pack_source {
    const gc_constant *constant; /**< O x I/group x kernel. */
    gc_const_md plain;           /**< Its row-major form, after joining. */
    int64_t group,
        joined; /**< Every `joined` groups become one, with zeros where they do not meet. */
} gc_pack_source;

/** The weights in the form `wanted`; the memory belongs to `packs`. */
gradcam_status gc_packs_get(gc_packs *packs, gc_dnnl *dnnl, const gc_pack_source *source,
                            gc_const_md wanted, void **data, gradcam_error *error);

#endif
