/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <string.h>

#include "engine/dnnl/api.h"

/* A pack keeps its constant alive, so that the pointer stays a valid key. */
typedef struct pack {
    struct pack *next;
    gc_constant *constant;
    gc_md md;
    void *data;
} pack;

struct gc_packs {
    pthread_mutex_t lock; /* guards the list; packs themselves never change */
    pack *first;
    gc_budget *budget;
};

gradcam_status gc_packs_create(gc_packs **packs, gc_budget *budget, gradcam_error *error)
{
    GC_TRY(gc_new(packs, 1, sizeof **packs, error));
    (*packs)->budget = budget;
    pthread_mutex_init(&(*packs)->lock, NULL);
    return GRADCAM_OK;
}

gc_budget *gc_packs_budget(const gc_packs *packs)
{
    return packs->budget;
}

static void pack_destroy(pack *p)
{
    if (p == NULL)
        return;
    gc_constant_release(p->constant);
    gc_md_free(&p->md);
    gc_free(p->data);
    gc_free(p);
}

void gc_packs_destroy(gc_packs **packs)
{
    if (packs == NULL || *packs == NULL)
        return;
    for (pack *p = (*packs)->first; p != NULL;) {
        pack *const next = p->next;
        pack_destroy(p);
        p = next;
    }
    pthread_mutex_destroy(&(*packs)->lock);
    gc_free(*packs);
    *packs = NULL;
}

/* Weights transformed for Winograd's algorithm are known to oneDNN alone. */
static dnnl_status_t transform(gc_dnnl *dnnl, gc_const_md from, const float *from_data,
                               gc_const_md to, float *to_data)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t source = NULL, target = NULL;
    dnnl_status_t status =
        dnnl_reorder_primitive_desc_create(&pd, from, dnnl->engine, to, dnnl->engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&primitive, pd);
    if (status == dnnl_success)
        status = dnnl_memory_create(&source, from, dnnl->engine, (void *)(uintptr_t)from_data);
    if (status == dnnl_success)
        status = dnnl_memory_create(&target, to, dnnl->engine, to_data);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}};
    if (status == dnnl_success)
        status = dnnl_primitive_execute(primitive, dnnl->stream, 2, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(dnnl->stream);
    if (target != NULL)
        dnnl_memory_destroy(target);
    if (source != NULL)
        dnnl_memory_destroy(source);
    if (primitive != NULL)
        dnnl_primitive_destroy(primitive);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    return status;
}

static gradcam_status reorder_once(gc_dnnl *dnnl, gc_const_md from, const float *from_data,
                                   gc_const_md to, float *to_data, gradcam_error *error)
{
    gc_reorder *reorder = NULL;
    gc_blocking blocking;
    if (!gc_md_blocking(to, &blocking)) {
        const dnnl_status_t status = transform(dnnl, from, from_data, to, to_data);
        return status == dnnl_success ? GRADCAM_OK
                                      : gc_dnnl_fail(error, status, "transforming weights");
    }
    GC_TRY(gc_reorder_create(&reorder, from, to, error));
    gc_reorder_run(reorder, from_data, to_data);
    gc_reorder_destroy(&reorder);
    return GRADCAM_OK;
}

/* *joined = O x (I/group * count) x kernel, row-major: the rows of a group keep their place beside
 * zeros for the other groups it is joined with. */
static gradcam_status join_groups(const gc_pack_source *source, float **joined,
                                  gradcam_error *error)
{
    const gc_tensor *const w = gc_constant_tensor(source->constant);
    const int64_t per_group = w->dims[0] / source->group;
    const int64_t row = w->dims[0] > 0 ? gc_tensor_count(w) / w->dims[0] : 0;
    GC_TRY(
        gc_new(joined, (size_t)(w->dims[0] * row), (size_t)source->joined * sizeof(float), error));
    for (int64_t o = 0; o < w->dims[0]; o++) {
        const int64_t place = o / per_group % source->joined;
        memcpy(*joined + (o * source->joined + place) * row, gc_floats(w) + o * row,
               (size_t)row * sizeof(float));
    }
    return GRADCAM_OK;
}

static gradcam_status fill(gc_dnnl *dnnl, const gc_pack_source *source, gc_const_md wanted,
                           float *data, gradcam_error *error)
{
    float *joined = NULL;
    if (source->joined == 1)
        return reorder_once(dnnl, source->plain, gc_floats(gc_constant_tensor(source->constant)),
                            wanted, data, error);
    GC_TRY(join_groups(source, &joined, error));
    const gradcam_status status = reorder_once(dnnl, source->plain, joined, wanted, data, error);
    gc_free(joined);
    return status;
}

static gradcam_status pack_create(pack **out, gc_dnnl *dnnl, const gc_pack_source *source,
                                  gc_const_md wanted, gradcam_error *error)
{
    pack *p = NULL;
    *out = NULL;
    GC_TRY(gc_new(&p, 1, sizeof *p, error));
    p->constant = gc_constant_retain((gc_constant *)(uintptr_t)source->constant);
    gradcam_status status = gc_new_raw(&p->data, 1, dnnl_memory_desc_get_size(wanted), error);
    if (status == GRADCAM_OK && gc_md_copy(&p->md, wanted) != dnnl_success)
        status = gc_fail_memory(error, sizeof *p);
    if (status == GRADCAM_OK)
        status = fill(dnnl, source, wanted, p->data, error);
    if (status != GRADCAM_OK)
        pack_destroy(p);
    else
        *out = p;
    return status;
}

static pack *find(const gc_packs *packs, const gc_constant *constant, gc_const_md wanted)
{
    for (pack *p = packs->first; p != NULL; p = p->next)
        if (p->constant == constant && dnnl_memory_desc_equal(p->md, wanted))
            return p;
    return NULL;
}

/* Counted while it lives. */
static gradcam_status pack_within(gc_packs *packs, gc_dnnl *dnnl, pack **out,
                                  const gc_pack_source *source, gc_const_md wanted,
                                  gradcam_error *error)
{
    const size_t bytes = dnnl_memory_desc_get_size(wanted);
    GC_TRY(gc_budget_take(packs->budget, bytes, "the weights, packed for this machine", error));
    const gradcam_status status = pack_create(out, dnnl, source, wanted, error);
    if (status != GRADCAM_OK)
        gc_budget_give(packs->budget, bytes);
    return status;
}

gradcam_status gc_packs_get(gc_packs *packs, gc_dnnl *dnnl, const gc_pack_source *source,
                            gc_const_md wanted, void **data, gradcam_error *error)
{
    if (source->joined == 1 && dnnl_memory_desc_equal(source->plain, wanted)) {
        *data = gc_constant_tensor(source->constant)->data;
        return GRADCAM_OK;
    }
    pthread_mutex_lock(&packs->lock);
    gradcam_status status = GRADCAM_OK;
    pack *p = find(packs, source->constant, wanted);
    if (p == NULL) {
        status = pack_within(packs, dnnl, &p, source, wanted, error);
        if (status == GRADCAM_OK) {
            p->next = packs->first;
            packs->first = p;
        }
    }
    pthread_mutex_unlock(&packs->lock);
    *data = p != NULL ? p->data : NULL;
    return status;
}
