/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <string.h>

#include "engine/dnnl/api.h"

/* A pack keeps its constant alive, so that the pointer stays a valid key. */
typedef struct pack {
    struct pack *next;
    gc_constant *constant;
    gc_md md;
    void *data; /* in a chunk */
} pack;

/* Packs live as long as their model, and together fill whole huge pages, which none of most would
 * alone. The data follows the header. */
typedef struct chunk {
    struct chunk *next;
    size_t used, size;
} chunk;

enum { ALIGNMENT = 64, CHUNK_SIZE = (8 << 20) - ALIGNMENT };

/* Grows as needed, and stays until gc_packs_trim. */
typedef struct buffer {
    void *data;
    size_t bytes;
} buffer;

struct gc_packs {
    pthread_mutex_t lock; /* guards everything below; data that was handed out never changes */
    pack *first;
    chunk *chunks;
    gc_budget *budget;
    buffer source;  /* elements of the constant at hand, where it is stored */
    buffer ordered; /* the same, in the order of the pack */
    buffer scratch; /* of oneDNN */
};

static gradcam_status need(buffer *b, size_t bytes, gradcam_error *error)
{
    if (bytes <= b->bytes)
        return GRADCAM_OK;
    gc_free(b->data);
    *b = (buffer){.data = NULL};
    GC_TRY(gc_new_raw(&b->data, 1, bytes, error));
    b->bytes = bytes;
    return GRADCAM_OK;
}

static void drop(buffer *b)
{
    gc_free(b->data);
    *b = (buffer){.data = NULL};
}

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
    for (chunk *c = (*packs)->chunks; c != NULL;) {
        chunk *const next = c->next;
        gc_free(c);
        c = next;
    }
    drop(&(*packs)->source);
    drop(&(*packs)->ordered);
    drop(&(*packs)->scratch);
    pthread_mutex_destroy(&(*packs)->lock);
    gc_free(*packs);
    *packs = NULL;
}

/* ---- Transforming --------------------------------------------------------------------------- */

typedef struct operand {
    int arg;
    gc_const_md md;
    const void *data;
} operand;

enum { OPERANDS = 3 };

static dnnl_status_t execute(gc_dnnl *dnnl, dnnl_primitive_t primitive, const operand *operands)
{
    dnnl_exec_arg_t args[OPERANDS] = {{0}};
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < OPERANDS && status == dnnl_success; i++) {
        args[i].arg = operands[i].arg;
        status = dnnl_memory_create(&args[i].memory, operands[i].md, dnnl->engine,
                                    (void *)(uintptr_t)operands[i].data);
    }
    if (status == dnnl_success)
        status = dnnl_primitive_execute(primitive, dnnl->stream, OPERANDS, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(dnnl->stream);
    for (int i = 0; i < OPERANDS; i++)
        if (args[i].memory != NULL)
            dnnl_memory_destroy(args[i].memory);
    return status;
}

/* What only oneDNN can write: weights transformed for Winograd's algorithm, bfloat16. */
static gradcam_status transform(gc_packs *packs, gc_dnnl *dnnl, gc_const_md from,
                                const float *from_data, gc_const_md to, void *to_data,
                                gradcam_error *error)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t primitive = NULL;
    gradcam_status status = GRADCAM_OK;
    dnnl_status_t made = gc_pd_copy(&pd, dnnl->engine, from, to);
    if (made == dnnl_success)
        made = dnnl_primitive_create(&primitive, pd);
    if (made == dnnl_success) {
        const gc_const_md md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
        status = need(&packs->scratch, dnnl_memory_desc_get_size(md), error);
        const operand operands[OPERANDS] = {{DNNL_ARG_FROM, from, from_data},
                                            {DNNL_ARG_TO, to, to_data},
                                            {DNNL_ARG_SCRATCHPAD, md, packs->scratch.data}};
        if (status == GRADCAM_OK)
            made = execute(dnnl, primitive, operands);
    }
    if (primitive != NULL)
        dnnl_primitive_destroy(primitive);
    if (pd != NULL)
        dnnl_primitive_desc_destroy(pd);
    GC_TRY(status);
    return made == dnnl_success ? GRADCAM_OK : gc_dnnl_fail(error, made, "transforming weights");
}

static gradcam_status reorder(gc_const_md from, const float *from_data, gc_const_md to,
                              float *to_data, gradcam_error *error)
{
    gc_reorder *reorder = NULL;
    GC_TRY(gc_reorder_create(&reorder, from, to, error));
    gc_reorder_run(reorder, from_data, to_data);
    gc_reorder_destroy(&reorder);
    return GRADCAM_OK;
}

/* Ordered first, then rounded element by element. */
static gradcam_status reorder_rounded(gc_packs *packs, gc_dnnl *dnnl, gc_const_md from,
                                      const float *from_data, gc_const_md to, void *to_data,
                                      gradcam_error *error)
{
    gc_md ordered = NULL, rounded = NULL;
    const int64_t count = gc_md_count(to);
    GC_TRY(need(&packs->ordered, (size_t)count * sizeof(float), error));
    GC_TRY(reorder(from, from_data, to, packs->ordered.data, error));
    dnnl_status_t described = gc_md_new(&ordered, dnnl_f32, 1, &count, dnnl_a);
    if (described == dnnl_success)
        described = gc_md_new(&rounded, dnnl_bf16, 1, &count, dnnl_a);
    const gradcam_status status =
        described == dnnl_success
            ? transform(packs, dnnl, ordered, packs->ordered.data, rounded, to_data, error)
            : gc_dnnl_fail(error, described, "describing weights");
    gc_md_free(&ordered);
    gc_md_free(&rounded);
    return status;
}

static gradcam_status reorder_once(gc_packs *packs, gc_dnnl *dnnl, gc_const_md from,
                                   const float *from_data, gc_const_md to, void *to_data,
                                   gradcam_error *error)
{
    gc_blocking blocking;
    if (!gc_md_blocking(to, &blocking))
        return transform(packs, dnnl, from, from_data, to, to_data, error);
    if (gc_md_type(to) == dnnl_bf16)
        return reorder_rounded(packs, dnnl, from, from_data, to, to_data, error);
    return reorder(from, from_data, to, to_data, error);
}

/* *data = the elements of the constant, until the next call. */
static gradcam_status elements_of(gc_packs *packs, const gc_constant *constant, const float **data,
                                  gradcam_error *error)
{
    const gc_tensor *const tensor = gc_constant_tensor(constant);
    const size_t bytes = gc_tensor_bytes(tensor);
    *data = gc_floats(tensor);
    if (!gc_constant_is_stored(constant))
        return GRADCAM_OK;
    GC_TRY(need(&packs->source, bytes, error));
    *data = packs->source.data;
    return gc_constant_copy(constant, packs->source.data, error);
}

/* *joined = O x (I/group * count) x kernel, row-major: the rows of a group keep their place beside
 * zeros for the other groups it is joined with. */
static gradcam_status join_groups(const gc_pack_source *source, const float *data, float **joined,
                                  gradcam_error *error)
{
    const gc_tensor *const w = gc_constant_tensor(source->constant);
    const int64_t per_group = w->dims[0] / source->group;
    const int64_t row = w->dims[0] > 0 ? gc_tensor_count(w) / w->dims[0] : 0;
    GC_TRY(
        gc_new(joined, (size_t)(w->dims[0] * row), (size_t)source->joined * sizeof(float), error));
    for (int64_t o = 0; o < w->dims[0]; o++) {
        const int64_t place = o / per_group % source->joined;
        memcpy(*joined + (o * source->joined + place) * row, data + o * row,
               (size_t)row * sizeof(float));
    }
    return GRADCAM_OK;
}

static gradcam_status fill(gc_packs *packs, gc_dnnl *dnnl, const gc_pack_source *source,
                           gc_const_md wanted, void *data, gradcam_error *error)
{
    const float *elements = NULL;
    float *joined = NULL;
    GC_TRY(elements_of(packs, source->constant, &elements, error));
    if (source->joined == 1)
        return reorder_once(packs, dnnl, source->plain, elements, wanted, data, error);
    GC_TRY(join_groups(source, elements, &joined, error));
    const gradcam_status status =
        reorder_once(packs, dnnl, source->plain, joined, wanted, data, error);
    gc_free(joined);
    return status;
}

static gradcam_status new_data(gc_packs *packs, void **data, size_t bytes, gradcam_error *error)
{
    const size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    chunk *c = packs->chunks;
    if (c == NULL || c->size - c->used < rounded) {
        const size_t size = rounded > CHUNK_SIZE ? rounded : CHUNK_SIZE;
        GC_TRY(gc_new_raw(&c, 1, ALIGNMENT + size, error));
        *c = (chunk){.next = packs->chunks, .used = 0, .size = size};
        packs->chunks = c;
    }
    *data = (char *)c + ALIGNMENT + c->used;
    c->used += rounded;
    return GRADCAM_OK;
}

static gradcam_status pack_create(gc_packs *packs, pack **out, gc_dnnl *dnnl,
                                  const gc_pack_source *source, gc_const_md wanted,
                                  gradcam_error *error)
{
    pack *p = NULL;
    *out = NULL;
    GC_TRY(gc_new(&p, 1, sizeof *p, error));
    p->constant = gc_constant_retain((gc_constant *)(uintptr_t)source->constant);
    gradcam_status status = new_data(packs, &p->data, dnnl_memory_desc_get_size(wanted), error);
    if (status == GRADCAM_OK && gc_md_copy(&p->md, wanted) != dnnl_success)
        status = gc_fail_memory(error, sizeof *p);
    if (status == GRADCAM_OK)
        status = fill(packs, dnnl, source, wanted, p->data, error);
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
    const gradcam_status status = pack_create(packs, out, dnnl, source, wanted, error);
    if (status != GRADCAM_OK)
        gc_budget_give(packs->budget, bytes);
    return status;
}

gradcam_status gc_packs_get(gc_packs *packs, gc_dnnl *dnnl, const gc_pack_source *source,
                            gc_const_md wanted, void **data, gradcam_error *error)
{
    if (source->joined == 1 && dnnl_memory_desc_equal(source->plain, wanted)) {
        gc_tensor tensor;
        const gradcam_status loaded =
            gc_constant_load((gc_constant *)(uintptr_t)source->constant, &tensor, error);
        *data = tensor.data;
        return loaded;
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

void gc_packs_trim(gc_packs *packs)
{
    pthread_mutex_lock(&packs->lock);
    drop(&packs->source);
    drop(&packs->ordered);
    drop(&packs->scratch);
    pthread_mutex_unlock(&packs->lock);
}
