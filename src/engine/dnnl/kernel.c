/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "engine/dnnl/api.h"

gradcam_status gc_dnnl_create(gc_dnnl **dnnl, gradcam_error *error)
{
    GC_TRY(gc_new(dnnl, 1, sizeof **dnnl, error));
    dnnl_status_t status = dnnl_engine_create(&(*dnnl)->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&(*dnnl)->stream, (*dnnl)->engine, dnnl_stream_default_flags);
    if (status == dnnl_success)
        return GRADCAM_OK;
    gc_dnnl_destroy(dnnl);
    return gc_dnnl_fail(error, status, "creating the engine");
}

void gc_dnnl_destroy(gc_dnnl **dnnl)
{
    if (dnnl == NULL || *dnnl == NULL)
        return;
    if ((*dnnl)->stream != NULL)
        dnnl_stream_destroy((*dnnl)->stream);
    if ((*dnnl)->engine != NULL)
        dnnl_engine_destroy((*dnnl)->engine);
    gc_free(*dnnl);
    *dnnl = NULL;
}

bool gc_dnnl_prefers_last(void)
{
    return dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core;
}

bool gc_dnnl_has_bfloat16(void)
{
    const unsigned wanted = dnnl_cpu_isa_avx512_core_bf16;
    return ((unsigned)dnnl_get_effective_cpu_isa() & wanted) == wanted;
}

gc_layout gc_dnnl_blocked_layout(void)
{
    return dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core ? GC_LAYOUT_BLOCKED16
                                                                    : GC_LAYOUT_BLOCKED8;
}

/* ---- Kernels -------------------------------------------------------------------------------- */

static gradcam_status add_scratch(gc_kernel *kernel, gc_dnnl *dnnl, gc_hint pd,
                                  gradcam_error *error)
{
    const gc_const_md md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    kernel->scratch = md != NULL ? dnnl_memory_desc_get_size(md) : 0;
    if (kernel->scratch == 0)
        return GRADCAM_OK;
    return gc_kernel_add(kernel, dnnl, GC_ARG_SCRATCH, DNNL_ARG_SCRATCHPAD, md, NULL, error);
}

gradcam_status gc_kernel_create(gc_kernel **kernel, gc_dnnl *dnnl, dnnl_primitive_desc_t pd,
                                gradcam_error *error)
{
    gradcam_status status = gc_new(kernel, 1, sizeof **kernel, error);
    if (status == GRADCAM_OK) {
        (*kernel)->stream = dnnl->stream;
        snprintf((*kernel)->name, sizeof(*kernel)->name, "%s", gc_pd_name(pd));
        for (int i = 0; i < GC_ARG_COUNT; i++)
            (*kernel)->slot_of[i] = -1;
        const dnnl_status_t made = dnnl_primitive_create(&(*kernel)->primitive, pd);
        status = made == dnnl_success ? add_scratch(*kernel, dnnl, pd, error)
                                      : gc_dnnl_fail(error, made, "creating a primitive");
    }
    dnnl_primitive_desc_destroy(pd);
    if (status != GRADCAM_OK)
        gc_kernel_destroy(kernel);
    return status;
}

gradcam_status gc_kernel_add(gc_kernel *kernel, gc_dnnl *dnnl, gc_kernel_arg arg, int dnnl_arg,
                             gc_const_md md, void *data, gradcam_error *error)
{
    const int i = kernel->arg_count;
    const dnnl_status_t status = dnnl_memory_create(&kernel->memories[i], md, dnnl->engine, data);
    if (status != dnnl_success)
        return gc_dnnl_fail(error, status, "describing memory");
    kernel->args[i] = (dnnl_exec_arg_t){dnnl_arg, kernel->memories[i]};
    if (arg < GC_ARG_COUNT)
        kernel->slot_of[arg] = i;
    kernel->arg_count++;
    return GRADCAM_OK;
}

/* oneDNN's source and destination of a copy are the same arguments by other names. */
gradcam_status gc_kernel_create_unary(gc_kernel **kernel, gc_dnnl *dnnl, dnnl_primitive_desc_t pd,
                                      gc_const_md src, gc_const_md dst, gradcam_error *error)
{
    GC_TRY(gc_kernel_create(kernel, dnnl, pd, error));
    gradcam_status status =
        gc_kernel_add(*kernel, dnnl, GC_ARG_SRC, DNNL_ARG_SRC, src, NULL, error);
    if (status == GRADCAM_OK)
        status = gc_kernel_add(*kernel, dnnl, GC_ARG_DST, DNNL_ARG_DST, dst, NULL, error);
    if (status != GRADCAM_OK)
        gc_kernel_destroy(kernel);
    return status;
}

void gc_kernel_destroy(gc_kernel **kernel)
{
    if (kernel == NULL || *kernel == NULL)
        return;
    for (int i = 0; i < (*kernel)->arg_count; i++)
        dnnl_memory_destroy((*kernel)->memories[i]);
    if ((*kernel)->primitive != NULL)
        dnnl_primitive_destroy((*kernel)->primitive);
    gc_free(*kernel);
    *kernel = NULL;
}

void gc_kernel_bind(gc_kernel *kernel, gc_kernel_arg arg, void *data)
{
    if (kernel->slot_of[arg] >= 0)
        dnnl_memory_set_data_handle(kernel->memories[kernel->slot_of[arg]], data);
}

gradcam_status gc_kernel_run(gc_kernel *kernel, gradcam_error *error)
{
    const dnnl_status_t status =
        dnnl_primitive_execute(kernel->primitive, kernel->stream, kernel->arg_count, kernel->args);
    return status == dnnl_success ? GRADCAM_OK : gc_dnnl_fail(error, status, "running a primitive");
}

size_t gc_kernel_scratch(const gc_kernel *kernel)
{
    return kernel->scratch;
}

const char *gc_kernel_name(const gc_kernel *kernel)
{
    return kernel->name;
}

gc_layout gc_kernel_src_layout(const gc_kernel *kernel)
{
    return kernel->src_layout;
}

gc_layout gc_kernel_dst_layout(const gc_kernel *kernel)
{
    return kernel->dst_layout;
}
