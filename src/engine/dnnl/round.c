/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnnl/api.h"

static dnnl_status_t describe(gc_md *md, gc_layout layout, const int64_t *count)
{
    return gc_md_new(md, gc_layout_is_rounded(layout) ? dnnl_bf16 : dnnl_f32, 1, count, dnnl_a);
}

static gradcam_status make(gc_dnnl *dnnl, gc_const_md from, gc_const_md to, gc_kernel **kernel,
                           gradcam_error *error)
{
    dnnl_primitive_desc_t pd = NULL;
    const dnnl_status_t described = gc_pd_copy(&pd, dnnl->engine, from, to);
    if (described != dnnl_success)
        return gc_dnnl_fail(error, described, "describing how to round");
    return gc_kernel_create_unary(kernel, dnnl, pd, from, to, error);
}

/* Element by element in the order in which they lie, those that pad included: which shape they have
 * does not matter. */
gradcam_status gc_dnnl_round(gc_dnnl *dnnl, const gc_tensor *type, gc_layout from, gc_layout to,
                             gc_kernel **kernel, gradcam_error *error)
{
    gc_md from_md = NULL, to_md = NULL;
    gc_tensor laid = *type;
    laid.layout = gc_layout_exact(from);
    const int64_t count = (int64_t)(gc_tensor_bytes(&laid) / sizeof(float));
    dnnl_status_t described = describe(&from_md, from, &count);
    *kernel = NULL;
    if (described == dnnl_success)
        described = describe(&to_md, to, &count);
    gradcam_status status = described == dnnl_success
                                ? make(dnnl, from_md, to_md, kernel, error)
                                : gc_dnnl_fail(error, described, "describing how to round");
    gc_md_free(&from_md);
    gc_md_free(&to_md);
    if (*kernel != NULL) {
        (*kernel)->src_layout = from;
        (*kernel)->dst_layout = to;
    }
    return status;
}
