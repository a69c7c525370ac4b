/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnnl/api.h"

static gradcam_status make(gc_dnnl *dnnl, dnnl_alg_kind_t algorithm, gc_const_md src,
                           gc_const_md dst, const gc_window *window, gc_kernel **kernel,
                           gradcam_error *error)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made = gc_attr_new(&attr, NULL, 0);
    if (made == dnnl_success)
        made = gc_pd_pool(&pd, dnnl->engine, algorithm, src, dst, window, attr);
    if (attr != NULL)
        dnnl_primitive_attr_destroy(attr);
    if (made != dnnl_success)
        return GRADCAM_OK; /* declined */
    return gc_kernel_create_unary(kernel, dnnl, pd, src, dst, error);
}

gradcam_status gc_dnnl_pool(gc_dnnl *dnnl, gc_pool_kind kind, const gc_tensor *src,
                            const gc_tensor *dst, gc_layout layout, const gc_window *window,
                            gc_kernel **kernel, gradcam_error *error)
{
    static const dnnl_alg_kind_t algorithms[] = {
        [GC_POOL_MAX] = dnnl_pooling_max,
        [GC_POOL_AVERAGE] = dnnl_pooling_avg_exclude_padding,
        [GC_POOL_AVERAGE_PADDED] = dnnl_pooling_avg_include_padding,
    };
    gc_md src_md = NULL, dst_md = NULL;
    gradcam_status status = GRADCAM_OK;
    *kernel = NULL;
    if (gc_md_activation(&src_md, src, layout) == dnnl_success &&
        gc_md_activation(&dst_md, dst, layout) == dnnl_success)
        status = make(dnnl, algorithms[kind], src_md, dst_md, window, kernel, error);
    gc_md_free(&src_md);
    gc_md_free(&dst_md);
    if (status == GRADCAM_OK && *kernel != NULL) {
        (*kernel)->src_layout = layout;
        (*kernel)->dst_layout = layout;
    }
    return status;
}
