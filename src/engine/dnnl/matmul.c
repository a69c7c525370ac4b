/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/dnnl/api.h"

typedef struct descriptors {
    gc_md a, b, bias, dst;
} descriptors;

static void descriptors_free(descriptors *d)
{
    gc_md_free(&d->a);
    gc_md_free(&d->b);
    gc_md_free(&d->bias);
    gc_md_free(&d->dst);
}

/* Strides of an operand whose extent of 1 leaves them free confuse oneDNN's layout checks; a batch
 * of one is left out. */
static dnnl_status_t operand(gc_md *md, const gc_matmul_spec *spec, int64_t rows, int64_t columns,
                             const int64_t strides[3])
{
    const int64_t dims[] = {spec->batch, rows, columns};
    const int skip = spec->batch == 1;
    return gc_md_new_strided(md, 3 - skip, dims + skip, strides + skip);
}

static dnnl_status_t describe(descriptors *d, const gc_matmul_spec *spec)
{
    const int64_t dst_strides[] = {spec->rows * spec->columns, spec->columns, 1};
    const int64_t bias_dims[] = {1, 1, spec->columns};
    const int64_t bias_strides[] = {spec->columns, spec->columns, 1};
    const int skip = spec->batch == 1;
    *d = (descriptors){0};
    dnnl_status_t status = operand(&d->a, spec, spec->rows, spec->inner, spec->a_strides);
    if (status == dnnl_success)
        status = operand(&d->b, spec, spec->inner, spec->columns, spec->b_strides);
    if (status == dnnl_success)
        status = operand(&d->dst, spec, spec->rows, spec->columns, dst_strides);
    if (status == dnnl_success && spec->has_bias)
        status = gc_md_new_strided(&d->bias, 3 - skip, bias_dims + skip, bias_strides + skip);
    return status;
}

static gradcam_status add_arguments(gc_kernel *kernel, gc_dnnl *dnnl, const descriptors *d,
                                    gradcam_error *error)
{
    GC_TRY(gc_kernel_add(kernel, dnnl, GC_ARG_SRC, DNNL_ARG_SRC, d->a, NULL, error));
    GC_TRY(gc_kernel_add(kernel, dnnl, GC_ARG_SRC2, DNNL_ARG_WEIGHTS, d->b, NULL, error));
    GC_TRY(gc_kernel_add(kernel, dnnl, GC_ARG_DST, DNNL_ARG_DST, d->dst, NULL, error));
    if (d->bias != NULL)
        GC_TRY(gc_kernel_add(kernel, dnnl, GC_ARG_BIAS, DNNL_ARG_BIAS, d->bias, NULL, error));
    return GRADCAM_OK;
}

static gradcam_status make(gc_dnnl *dnnl, const descriptors *d, gc_kernel **kernel,
                           gradcam_error *error)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made = gc_attr_new(&attr, NULL, 0);
    if (made == dnnl_success)
        made = gc_pd_matmul(&pd, dnnl->engine, d->a, d->b, d->bias, d->dst, attr);
    if (attr != NULL)
        dnnl_primitive_attr_destroy(attr);
    if (made != dnnl_success)
        return GRADCAM_OK; /* declined */
    GC_TRY(gc_kernel_create(kernel, dnnl, pd, error));
    const gradcam_status status = add_arguments(*kernel, dnnl, d, error);
    if (status != GRADCAM_OK)
        gc_kernel_destroy(kernel);
    return status;
}

gradcam_status gc_dnnl_matmul(gc_dnnl *dnnl, const gc_matmul_spec *spec, gc_kernel **kernel,
                              gradcam_error *error)
{
    descriptors d = {0};
    gradcam_status status = GRADCAM_OK;
    *kernel = NULL;
    if (spec->batch > 0 && spec->rows > 0 && spec->inner > 0 && spec->columns > 0 &&
        describe(&d, spec) == dnnl_success)
        status = make(dnnl, &d, kernel, error);
    descriptors_free(&d);
    return status;
}
