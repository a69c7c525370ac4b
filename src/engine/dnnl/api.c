/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnnl/api.h"

#include <string.h>

gradcam_status gc_dnnl_fail(gradcam_error *error, dnnl_status_t status, const char *what)
{
    if (status == dnnl_out_of_memory)
        return gc_fail(error, GRADCAM_ERROR_MEMORY, "out of memory in oneDNN (%s)", what);
    return gc_fail(error, GRADCAM_ERROR_INTERNAL, "oneDNN failed with status %d (%s)", (int)status,
                   what);
}

/* ---- Memory descriptors --------------------------------------------------------------------- */

/* oneDNN declares extents as arrays of its own greatest rank. */
typedef struct full_dims {
    dnnl_dims_t dims;
} full_dims;

static full_dims fill_dims(int rank, const int64_t *dims)
{
    full_dims full;
    memset(&full, 0, sizeof full);
    for (int i = 0; i < rank; i++)
        full.dims[i] = dims[i];
    return full;
}

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t gc_md_new(gc_md *md, dnnl_data_type_t type, int rank, const int64_t *dims,
                        dnnl_format_tag_t tag)
{
    const full_dims d = fill_dims(rank, dims);
    return dnnl_memory_desc_create_with_tag(md, rank, d.dims, type, tag);
}

dnnl_status_t gc_md_new_strided(gc_md *md, int rank, const int64_t *dims, const int64_t *strides)
{
    const full_dims d = fill_dims(rank, dims), s = fill_dims(rank, strides);
    return dnnl_memory_desc_create_with_strides(md, rank, d.dims, dnnl_f32, s.dims);
}

dnnl_status_t gc_md_copy(gc_md *md, gc_const_md from)
{
    return dnnl_memory_desc_clone(md, from);
}

void gc_md_free(gc_md *md)
{
    if (*md != NULL)
        dnnl_memory_desc_destroy(*md);
    *md = NULL;
}

#else

static dnnl_status_t md_keep(gc_md *md, const dnnl_memory_desc_t *from)
{
    if (gc_new(md, 1, sizeof **md, NULL) != GRADCAM_OK)
        return dnnl_out_of_memory;
    **md = *from;
    return dnnl_success;
}

dnnl_status_t gc_md_new(gc_md *md, dnnl_data_type_t type, int rank, const int64_t *dims,
                        dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t made;
    *md = NULL;
    const full_dims d = fill_dims(rank, dims);
    const dnnl_status_t status = dnnl_memory_desc_init_by_tag(&made, rank, d.dims, type, tag);
    return status == dnnl_success ? md_keep(md, &made) : status;
}

dnnl_status_t gc_md_new_strided(gc_md *md, int rank, const int64_t *dims, const int64_t *strides)
{
    dnnl_memory_desc_t made;
    *md = NULL;
    const full_dims d = fill_dims(rank, dims), s = fill_dims(rank, strides);
    const dnnl_status_t status =
        dnnl_memory_desc_init_by_strides(&made, rank, d.dims, dnnl_f32, s.dims);
    return status == dnnl_success ? md_keep(md, &made) : status;
}

dnnl_status_t gc_md_copy(gc_md *md, gc_const_md from)
{
    return md_keep(md, from);
}

void gc_md_free(gc_md *md)
{
    gc_free(*md);
    *md = NULL;
}

#endif

#if DNNL_VERSION_MAJOR >= 3

bool gc_md_blocking(gc_const_md md, gc_blocking *blocking)
{
    dnnl_dims_t *dims = NULL, *strides = NULL, *blocks = NULL, *axes = NULL;
    int rank = 0, inner = 0;
    dnnl_format_kind_t kind = dnnl_format_kind_undef;
    if (dnnl_memory_desc_query(md, dnnl_query_format_kind, &kind) != dnnl_success ||
        kind != dnnl_blocked ||
        dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &rank) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_dims, (void *)&dims) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_strides, (void *)&strides) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_inner_nblks_s32, &inner) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_inner_blks, (void *)&blocks) != dnnl_success ||
        dnnl_memory_desc_query(md, dnnl_query_inner_idxs, (void *)&axes) != dnnl_success)
        return false;
    *blocking = (gc_blocking){.rank = rank, .inner_count = inner};
    for (int i = 0; i < rank; i++) {
        blocking->dims[i] = (*dims)[i];
        blocking->strides[i] = (*strides)[i];
    }
    for (int i = 0; i < inner; i++) {
        blocking->inner_blocks[i] = (*blocks)[i];
        blocking->inner_axes[i] = (int)(*axes)[i];
    }
    return true;
}

#else

bool gc_md_blocking(gc_const_md md, gc_blocking *blocking)
{
    const dnnl_blocking_desc_t *const b = &md->format_desc.blocking;
    if (md->format_kind != dnnl_blocked)
        return false;
    *blocking = (gc_blocking){.rank = md->ndims, .inner_count = b->inner_nblks};
    for (int i = 0; i < md->ndims; i++) {
        blocking->dims[i] = md->dims[i];
        blocking->strides[i] = b->strides[i];
    }
    for (int i = 0; i < b->inner_nblks; i++) {
        blocking->inner_blocks[i] = b->inner_blks[i];
        blocking->inner_axes[i] = (int)b->inner_idxs[i];
    }
    return true;
}

#endif

dnnl_data_type_t gc_md_type(gc_const_md md)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_data_type_t type = dnnl_data_type_undef;
    const dnnl_status_t status = dnnl_memory_desc_query(md, dnnl_query_data_type, &type);
    return status == dnnl_success ? type : dnnl_data_type_undef;
#else
    return md->data_type;
#endif
}

int64_t gc_md_count(gc_const_md md)
{
    const size_t bytes = dnnl_memory_desc_get_size(md);
    return (int64_t)(bytes / (gc_md_type(md) == dnnl_bf16 ? sizeof(uint16_t) : sizeof(float)));
}

/* Row: layout; column: rank 3, 4, 5. */
static const dnnl_format_tag_t layout_tags[][3] = {
    [GC_LAYOUT_PLAIN] = {dnnl_abc, dnnl_abcd, dnnl_abcde},
    [GC_LAYOUT_BLOCKED8] = {dnnl_aBc8b, dnnl_aBcd8b, dnnl_aBcde8b},
    [GC_LAYOUT_BLOCKED16] = {dnnl_aBc16b, dnnl_aBcd16b, dnnl_aBcde16b},
    [GC_LAYOUT_LAST] = {dnnl_acb, dnnl_acdb, dnnl_acdeb},
    [GC_LAYOUT_BLOCKED16_BF16] = {dnnl_aBc16b, dnnl_aBcd16b, dnnl_aBcde16b},
    [GC_LAYOUT_LAST_BF16] = {dnnl_acb, dnnl_acdb, dnnl_acdeb},
};

dnnl_status_t gc_md_activation(gc_md *md, const gc_tensor *tensor, gc_layout layout)
{
    if (tensor->rank < 3 || tensor->rank > 5)
        return dnnl_unimplemented;
    const dnnl_data_type_t type = gc_layout_is_rounded(layout) ? dnnl_bf16 : dnnl_f32;
    return gc_md_new(md, type, tensor->rank, tensor->dims, layout_tags[layout][tensor->rank - 3]);
}

bool gc_md_layout(gc_const_md md, const gc_tensor *tensor, gc_layout *layout)
{
    static const gc_layout all[] = {GC_LAYOUT_BLOCKED16, GC_LAYOUT_BLOCKED8,
                                    GC_LAYOUT_PLAIN,     GC_LAYOUT_LAST,
                                    GC_LAYOUT_LAST_BF16, GC_LAYOUT_BLOCKED16_BF16};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        gc_md candidate = NULL;
        if (gc_md_activation(&candidate, tensor, all[i]) != dnnl_success)
            return false;
        const bool same = dnnl_memory_desc_equal(md, candidate) != 0;
        gc_md_free(&candidate);
        if (same) {
            *layout = all[i];
            return true;
        }
    }
    return false;
}

/* ---- Primitive descriptors ------------------------------------------------------------------ */

/* oneDNN counts dilation from 0, and wants the padding at the end that makes the extents agree. */
typedef struct geometry {
    dnnl_dims_t strides, dilations, kernel, pad_begin, pad_end;
} geometry;

static geometry geometry_of(const gc_window *window)
{
    geometry g;
    memset(&g, 0, sizeof g);
    for (int i = 0; i < window->spatial; i++) {
        g.strides[i] = window->stride[i];
        g.dilations[i] = window->dilation[i] - 1;
        g.kernel[i] = window->kernel[i];
        g.pad_begin[i] = window->pad_begin[i];
        g.pad_end[i] = window->pad_end[i];
    }
    return g;
}

const char *gc_pd_name(gc_hint pd)
{
    const char *name = "";
    const dnnl_status_t status =
        dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&name);
    return status == dnnl_success ? name : "";
}

static bool is_named(gc_hint pd, const char *part)
{
    return part == NULL || strstr(gc_pd_name(pd), part) != NULL;
}

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t gc_pd_conv(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const gc_conv_mds *mds,
                         const gc_window *window, dnnl_alg_kind_t algorithm, const char *name,
                         dnnl_primitive_attr_t attr)
{
    const geometry g = geometry_of(window);
    dnnl_status_t status = dnnl_convolution_forward_primitive_desc_create(
        pd, engine, dnnl_forward_inference, algorithm, mds->src, mds->weights, mds->bias, mds->dst,
        g.strides, g.dilations, g.pad_begin, g.pad_end, attr);
    if (status != dnnl_success)
        return status;
    while (status == dnnl_success && !is_named(*pd, name))
        status = dnnl_primitive_desc_next_impl(*pd);
    if (status == dnnl_success)
        return status;
    dnnl_primitive_desc_destroy(*pd);
    *pd = NULL;
    return dnnl_unimplemented;
}

dnnl_status_t gc_pd_conv_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                  const gc_conv_mds *mds, const gc_window *window, gc_hint hint,
                                  dnnl_primitive_attr_t attr)
{
    const geometry g = geometry_of(window);
    return dnnl_convolution_backward_data_primitive_desc_create(
        pd, engine, dnnl_convolution_direct, mds->src, mds->weights, mds->dst, g.strides,
        g.dilations, g.pad_begin, g.pad_end, hint, attr);
}

dnnl_status_t gc_pd_pool(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t algorithm,
                         gc_const_md src, gc_const_md dst, const gc_window *window,
                         dnnl_primitive_attr_t attr)
{
    const geometry g = geometry_of(window);
    return dnnl_pooling_forward_primitive_desc_create(pd, engine, dnnl_forward_inference, algorithm,
                                                      src, dst, g.strides, g.kernel, g.dilations,
                                                      g.pad_begin, g.pad_end, attr);
}

dnnl_status_t gc_pd_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, gc_const_md a,
                           gc_const_md b, gc_const_md bias, gc_const_md dst,
                           dnnl_primitive_attr_t attr)
{
    return dnnl_matmul_primitive_desc_create(pd, engine, a, b, bias, dst, attr);
}

#else

static dnnl_status_t fetch_named(dnnl_primitive_desc_t *pd, dnnl_primitive_desc_iterator_t each,
                                 const char *name)
{
    dnnl_status_t status = dnnl_success;
    while (status == dnnl_success) {
        *pd = dnnl_primitive_desc_iterator_fetch(each);
        if (*pd == NULL)
            return dnnl_out_of_memory;
        if (is_named(*pd, name))
            return dnnl_success;
        dnnl_primitive_desc_destroy(*pd);
        *pd = NULL;
        status = dnnl_primitive_desc_iterator_next(each);
    }
    return dnnl_unimplemented;
}

dnnl_status_t gc_pd_conv(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const gc_conv_mds *mds,
                         const gc_window *window, dnnl_alg_kind_t algorithm, const char *name,
                         dnnl_primitive_attr_t attr)
{
    const geometry g = geometry_of(window);
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_iterator_t each = NULL;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &desc, dnnl_forward_inference, algorithm, mds->src, mds->weights, mds->bias, mds->dst,
        g.strides, g.dilations, g.pad_begin, g.pad_end);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_iterator_create(&each, &desc, attr, engine, NULL);
    if (status == dnnl_success)
        status = fetch_named(pd, each, name);
    if (each != NULL)
        dnnl_primitive_desc_iterator_destroy(each);
    return status;
}

dnnl_status_t gc_pd_conv_backward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine,
                                  const gc_conv_mds *mds, const gc_window *window, gc_hint hint,
                                  dnnl_primitive_attr_t attr)
{
    const geometry g = geometry_of(window);
    dnnl_convolution_desc_t desc;
    const dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(
        &desc, dnnl_convolution_direct, mds->src, mds->weights, mds->dst, g.strides, g.dilations,
        g.pad_begin, g.pad_end);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &desc, attr, engine, hint)
                                  : status;
}

dnnl_status_t gc_pd_pool(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, dnnl_alg_kind_t algorithm,
                         gc_const_md src, gc_const_md dst, const gc_window *window,
                         dnnl_primitive_attr_t attr)
{
    const geometry g = geometry_of(window);
    dnnl_pooling_v2_desc_t desc;
    const dnnl_status_t status =
        dnnl_pooling_v2_forward_desc_init(&desc, dnnl_forward_inference, algorithm, src, dst,
                                          g.strides, g.kernel, g.dilations, g.pad_begin, g.pad_end);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &desc, attr, engine, NULL)
                                  : status;
}

dnnl_status_t gc_pd_matmul(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, gc_const_md a,
                           gc_const_md b, gc_const_md bias, gc_const_md dst,
                           dnnl_primitive_attr_t attr)
{
    dnnl_matmul_desc_t desc;
    const dnnl_status_t status = dnnl_matmul_desc_init(&desc, a, b, bias, dst);
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, &desc, attr, engine, NULL)
                                  : status;
}

#endif

/* ---- Attributes ----------------------------------------------------------------------------- */

static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t algorithm, float alpha,
                                    float beta)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_eltwise(ops, algorithm, alpha, beta);
#else
    return dnnl_post_ops_append_eltwise(ops, 1.0f, algorithm, alpha, beta);
#endif
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops)
{
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
#else
    return dnnl_post_ops_append_sum(ops, 1.0f);
#endif
}

static dnnl_status_t append_post(dnnl_post_ops_t ops, const gc_post *post)
{
    switch (post->kind) {
    case GC_POST_SUM:
        return append_sum(ops);
    case GC_POST_RELU:
        return append_eltwise(ops, dnnl_eltwise_relu, post->alpha, 0.0f);
    case GC_POST_CLIP:
        return append_eltwise(ops, dnnl_eltwise_clip, post->alpha, post->beta);
    case GC_POST_SIGMOID:
        return append_eltwise(ops, dnnl_eltwise_logistic, 0.0f, 0.0f);
    case GC_POST_TANH:
        return append_eltwise(ops, dnnl_eltwise_tanh, 0.0f, 0.0f);
    case GC_POST_SWISH:
        return append_eltwise(ops, dnnl_eltwise_swish, 1.0f, 0.0f);
    case GC_POST_HARDSWISH:
        return append_eltwise(ops, dnnl_eltwise_hardswish, 1.0f / 6.0f, 0.5f);
    }
    return dnnl_invalid_arguments;
}

static dnnl_status_t fill_attr(dnnl_primitive_attr_t attr, dnnl_post_ops_t ops,
                               const gc_post *posts, int post_count)
{
    dnnl_status_t status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    /* The default is what an environment variable says, and may be bfloat16. */
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_fpmath_mode(attr, dnnl_fpmath_mode_strict);
    for (int i = 0; i < post_count && status == dnnl_success; i++)
        status = append_post(ops, &posts[i]);
    if (status == dnnl_success && post_count > 0)
        status = dnnl_primitive_attr_set_post_ops(attr, ops);
    return status;
}

dnnl_status_t gc_attr_new(dnnl_primitive_attr_t *attr, const gc_post *posts, int post_count)
{
    dnnl_post_ops_t ops = NULL;
    *attr = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    if (status == dnnl_success)
        status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success)
        status = fill_attr(*attr, ops, posts, post_count);
    if (ops != NULL)
        dnnl_post_ops_destroy(ops);
    if (status != dnnl_success && *attr != NULL) {
        dnnl_primitive_attr_destroy(*attr);
        *attr = NULL;
    }
    return status;
}

/* ---- Copies --------------------------------------------------------------------------------- */

dnnl_status_t gc_pd_copy(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, gc_const_md from,
                         gc_const_md to)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status = gc_attr_new(&attr, NULL, 0);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(pd, from, engine, to, engine, attr);
    if (attr != NULL)
        dnnl_primitive_attr_destroy(attr);
    return status;
}
