/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Convolutions, in the first of the wanted ways that oneDNN has.
 */
#include "engine/dnnl/api.h"

#include <omp.h>
#include <string.h>

/* Descriptors of one convolution, owned. `plain_*` describe the constants as the file has them. */
typedef struct descriptors {
    gc_md src, weights, bias, dst, plain_weights;
} descriptors;

static void descriptors_free(descriptors *d)
{
    gc_md_free(&d->src);
    gc_md_free(&d->weights);
    gc_md_free(&d->bias);
    gc_md_free(&d->dst);
    gc_md_free(&d->plain_weights);
}

/*
 * oneDNN has fast kernels for groups of whole channel blocks and for depthwise convolutions;
 * between them (ResNeXt has groups of 4 channels) it falls back to slow ones. Several groups joined
 * into one of a whole block, with zeros where they do not meet, are much faster in spite of the
 * products with zeros. Returns how many to join.
 */
static int64_t groups_to_join(const gc_conv_spec *spec)
{
    const gc_tensor *const w = gc_constant_tensor(spec->weights);
    const int64_t in = w->dims[1], out = w->dims[0] / spec->group;
    const int block = gc_layout_block(gc_dnnl_blocked_layout());
    if (spec->group == 1 || (in == 1 && out == 1))
        return 1;
    for (int64_t count = 1; count <= block && count <= spec->group; count++)
        if (spec->group % count == 0 && in * count % block == 0 && out * count % block == 0)
            return count;
    return 1;
}

/* oneDNN puts the groups in front: G x O/G x I/G x kernel. */
static int weight_dims(const gc_conv_spec *spec, int64_t dims[GC_MAX_RANK])
{
    const gc_tensor *const w = gc_constant_tensor(spec->weights);
    const int64_t joined = groups_to_join(spec), group = spec->group / joined;
    int rank = 0;
    if (group > 1)
        dims[rank++] = group;
    dims[rank++] = w->dims[0] / group;
    dims[rank++] = w->dims[1] * joined;
    for (int i = 2; i < w->rank; i++)
        dims[rank++] = w->dims[i];
    return rank;
}

static dnnl_status_t describe_weights(descriptors *d, const gc_conv_spec *spec,
                                      dnnl_data_type_t type)
{
    int64_t dims[GC_MAX_RANK], strides[GC_MAX_RANK];
    const int rank = weight_dims(spec, dims);
    gc_strides(rank, dims, strides);
    dnnl_status_t status = gc_md_new_strided(&d->plain_weights, rank, dims, strides);
    if (status == dnnl_success)
        status = gc_md_new(&d->weights, type, rank, dims, dnnl_format_tag_any);
    if (status == dnnl_success && spec->bias != NULL) {
        const int64_t channels = spec->dst.dims[1];
        status = gc_md_new(&d->bias, dnnl_f32, 1, &channels, dnnl_a);
    }
    return status;
}

/* How to ask for a kernel. */
typedef struct attempt {
    bool any;            /* let oneDNN choose the layouts */
    gc_layout src, dst;  /* else these */
    bool may_be_generic; /* take a kernel that is not made for this CPU */
    bool is_winograd;
    const char *name; /* part of the implementation's; NULL: any */
} attempt;

static dnnl_status_t describe(descriptors *d, const gc_conv_spec *spec, const attempt *a)
{
    memset(d, 0, sizeof *d);
    const bool is_rounded = gc_layout_is_rounded(a->src) || gc_layout_is_rounded(a->dst);
    dnnl_status_t status = describe_weights(d, spec, is_rounded ? dnnl_bf16 : dnnl_f32);
    if (status == dnnl_success)
        status = a->any ? gc_md_new(&d->src, dnnl_f32, spec->src.rank, spec->src.dims,
                                    dnnl_format_tag_any)
                        : gc_md_activation(&d->src, &spec->src, a->src);
    if (status == dnnl_success)
        status = a->any ? gc_md_new(&d->dst, dnnl_f32, spec->dst.rank, spec->dst.dims,
                                    dnnl_format_tag_any)
                        : gc_md_activation(&d->dst, &spec->dst, a->dst);
    return status;
}

static dnnl_status_t forward_pd(dnnl_primitive_desc_t *pd, gc_dnnl *dnnl, const descriptors *d,
                                const gc_conv_spec *spec, const attempt *a, bool with_posts)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status = gc_attr_new(&attr, spec->posts, with_posts ? spec->post_count : 0);
    const gc_conv_mds mds = {d->src, d->weights, d->bias, d->dst};
    const dnnl_alg_kind_t algorithm =
        a->is_winograd ? dnnl_convolution_winograd : dnnl_convolution_direct;
    if (status == dnnl_success)
        status = gc_pd_conv(pd, dnnl->engine, &mds, &spec->window, algorithm, a->name, attr);
    if (attr != NULL)
        dnnl_primitive_attr_destroy(attr);
    return status;
}

static bool layouts_known(gc_hint pd, const gc_conv_spec *spec, dnnl_query_t src, dnnl_query_t dst,
                          gc_layout *src_layout, gc_layout *dst_layout)
{
    return gc_md_layout(dnnl_primitive_desc_query_md(pd, src, 0), &spec->src, src_layout) &&
           gc_md_layout(dnnl_primitive_desc_query_md(pd, dst, 0), &spec->dst, dst_layout);
}

/* A way may be more than one attempt: a first convolution over blocks reads its few channels
 * row-major. */
enum { PER_WAY = 2, FALLBACKS = 3, ATTEMPTS = 2 * PER_WAY * GC_CONV_WAYS + FALLBACKS };

/* The products are added in float32, and the result stays so, unless it is wanted otherwise. */
static int add_rounded(const gc_conv_spec *spec, bool is_backward, attempt attempts[ATTEMPTS])
{
    int count = 0;
    for (int i = 0; i < spec->way_count; i++) {
        const gc_layout layout =
            spec->ways[i] == GC_CONV_LAST ? GC_LAYOUT_LAST : gc_dnnl_blocked_layout();
        const gc_layout rounded = gc_layout_rounded(layout);
        const gc_layout result = spec->rounds_result ? rounded : layout;
        if (spec->ways[i] == GC_CONV_LAST || spec->ways[i] == GC_CONV_BLOCKED)
            attempts[count++] = is_backward ? (attempt){.src = result, .dst = rounded}
                                            : (attempt){.src = rounded, .dst = result};
    }
    return count;
}

static int attempts_of(const gc_conv_spec *spec, bool is_backward, attempt attempts[ATTEMPTS])
{
    const gc_layout blocked = gc_dnnl_blocked_layout();
    int count = spec->bfloat16 ? add_rounded(spec, is_backward, attempts) : 0;
    for (int i = 0; i < spec->way_count; i++)
        switch (spec->ways[i]) {
        case GC_CONV_LAST:
            attempts[count++] = (attempt){.src = GC_LAYOUT_LAST, .dst = GC_LAYOUT_LAST};
            break;
        case GC_CONV_BLOCKED:
            attempts[count++] = (attempt){.src = blocked, .dst = blocked};
            attempts[count++] = (attempt){.src = GC_LAYOUT_PLAIN, .dst = blocked};
            break;
        case GC_CONV_WINOGRAD_2X3:
        case GC_CONV_WINOGRAD_4X3:
            attempts[count++] =
                (attempt){.src = blocked,
                          .dst = blocked,
                          .is_winograd = true,
                          .name = spec->ways[i] == GC_CONV_WINOGRAD_4X3 ? "wino_4x3" : "wino_2x3"};
            break;
        }
    attempts[count++] = (attempt){.any = true, .may_be_generic = true};
    attempts[count++] = (attempt){.src = blocked, .dst = blocked, .may_be_generic = true};
    attempts[count++] =
        (attempt){.src = GC_LAYOUT_PLAIN, .dst = GC_LAYOUT_PLAIN, .may_be_generic = true};
    return count;
}

/* Winograd's transformed tensors grow with the image, to twice what is convolved and more. */
static bool is_modest(gc_hint pd)
{
    enum { MOST = 256 << 20 };
    const gc_const_md scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    return scratch == NULL || dnnl_memory_desc_get_size(scratch) <= MOST;
}

static bool is_generic(gc_hint pd)
{
    const char *const name = gc_pd_name(pd);
    return strncmp(name, "ref", 3) == 0 || strncmp(name, "gemm", 4) == 0;
}

/* What differs between the two passes. Source and result are those of the convolution itself. */
typedef struct direction {
    dnnl_status_t (*describe)(dnnl_primitive_desc_t *pd, gc_dnnl *dnnl, const descriptors *d,
                              const gc_conv_spec *spec, const attempt *a);
    dnnl_query_t src_query, dst_query;
    int src_arg, dst_arg; /* of oneDNN's execution */
    bool is_backward;     /* reads the result's gradient and writes the source's */
} direction;

static dnnl_status_t describe_forward(dnnl_primitive_desc_t *pd, gc_dnnl *dnnl,
                                      const descriptors *d, const gc_conv_spec *spec,
                                      const attempt *a)
{
    return forward_pd(pd, dnnl, d, spec, a, true);
}

/* The forward pass that a backward one belongs to reads what that one writes, in the same type as
 * its other operand. */
static dnnl_status_t describe_hint(dnnl_primitive_desc_t *hint, gc_dnnl *dnnl,
                                   const gc_conv_spec *spec, const attempt *a)
{
    attempt of_forward = *a;
    descriptors d;
    if (gc_layout_is_rounded(a->dst))
        of_forward.src = gc_layout_rounded(a->src);
    dnnl_status_t status = describe(&d, spec, &of_forward);
    if (status == dnnl_success)
        status = forward_pd(hint, dnnl, &d, spec, &of_forward, false);
    descriptors_free(&d);
    return status;
}

static dnnl_status_t describe_backward(dnnl_primitive_desc_t *pd, gc_dnnl *dnnl,
                                       const descriptors *d, const gc_conv_spec *spec,
                                       const attempt *a)
{
    dnnl_primitive_desc_t hint = NULL;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t status = describe_hint(&hint, dnnl, spec, a);
    if (status != dnnl_success)
        return status;
    status = gc_attr_new(&attr, NULL, 0);
    const gc_conv_mds mds = {d->src, d->weights, NULL, d->dst};
    if (status == dnnl_success)
        status = gc_pd_conv_backward(pd, dnnl->engine, &mds, &spec->window, hint, attr);
    if (attr != NULL)
        dnnl_primitive_attr_destroy(attr);
    dnnl_primitive_desc_destroy(hint);
    return status;
}

static const direction forward = {describe_forward, dnnl_query_src_md, dnnl_query_dst_md,
                                  DNNL_ARG_SRC,     DNNL_ARG_DST,      false};
static const direction backward = {describe_backward,      dnnl_query_diff_src_md,
                                   dnnl_query_diff_dst_md, DNNL_ARG_DIFF_SRC,
                                   DNNL_ARG_DIFF_DST,      true};

/* *pd stays NULL where nothing works. */
static void choose(dnnl_primitive_desc_t *pd, gc_dnnl *dnnl, const gc_conv_spec *spec,
                   const direction *way, gc_layout *src_layout, gc_layout *dst_layout)
{
    attempt attempts[ATTEMPTS];
    const int count = attempts_of(spec, way->is_backward, attempts);
    for (int i = 0; i < count; i++) {
        const attempt *const a = &attempts[i];
        descriptors d;
        dnnl_status_t status = describe(&d, spec, a);
        *pd = NULL;
        if (status == dnnl_success)
            status = way->describe(pd, dnnl, &d, spec, a);
        descriptors_free(&d);
        if (status != dnnl_success)
            continue;
        if ((a->may_be_generic || !is_generic(*pd)) && (!a->is_winograd || is_modest(*pd)) &&
            layouts_known(*pd, spec, way->src_query, way->dst_query, src_layout, dst_layout))
            return;
        dnnl_primitive_desc_destroy(*pd);
    }
    *pd = NULL;
}

/* The descriptors a primitive settled on. Copies, since `pd` goes when the kernel is made. */
typedef struct settled {
    gc_md src, weights, dst;
} settled;

static gradcam_status settle(settled *s, gc_hint pd, dnnl_query_t src, dnnl_query_t dst,
                             gradcam_error *error)
{
    memset(s, 0, sizeof *s);
    dnnl_status_t status = gc_md_copy(&s->src, dnnl_primitive_desc_query_md(pd, src, 0));
    if (status == dnnl_success)
        status = gc_md_copy(&s->dst, dnnl_primitive_desc_query_md(pd, dst, 0));
    if (status == dnnl_success)
        status =
            gc_md_copy(&s->weights, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    return status == dnnl_success ? GRADCAM_OK : gc_dnnl_fail(error, status, "copying descriptors");
}

static void settled_free(settled *s)
{
    gc_md_free(&s->src);
    gc_md_free(&s->weights);
    gc_md_free(&s->dst);
}

static gradcam_status add_constants(gc_kernel *kernel, gc_dnnl *dnnl, gc_packs *packs,
                                    const gc_conv_spec *spec, const settled *s, bool with_bias,
                                    gradcam_error *error)
{
    descriptors d;
    void *data = NULL;
    const attempt any = {.any = true};
    const dnnl_status_t described = describe(&d, spec, &any);
    const gc_pack_source source = {spec->weights, d.plain_weights, spec->group,
                                   groups_to_join(spec)};
    gradcam_status status = described == dnnl_success
                                ? gc_packs_get(packs, dnnl, &source, s->weights, &data, error)
                                : gc_dnnl_fail(error, described, "describing weights");
    if (status == GRADCAM_OK)
        status =
            gc_kernel_add(kernel, dnnl, GC_ARG_COUNT, DNNL_ARG_WEIGHTS, s->weights, data, error);
    if (status == GRADCAM_OK && with_bias && spec->bias != NULL)
        status = gc_kernel_add(kernel, dnnl, GC_ARG_COUNT, DNNL_ARG_BIAS, d.bias,
                               gc_constant_tensor(spec->bias)->data, error);
    descriptors_free(&d);
    return status;
}

static gradcam_status make_kernel(gc_dnnl *dnnl, gc_packs *packs, const gc_conv_spec *spec,
                                  const direction *way, gc_kernel **kernel, gradcam_error *error)
{
    dnnl_primitive_desc_t pd = NULL;
    gc_layout src_layout = GC_LAYOUT_PLAIN, dst_layout = GC_LAYOUT_PLAIN;
    *kernel = NULL;
    choose(&pd, dnnl, spec, way, &src_layout, &dst_layout);
    if (pd == NULL)
        return GRADCAM_OK;
    settled s;
    gradcam_status status = settle(&s, pd, way->src_query, way->dst_query, error);
    if (status == GRADCAM_OK)
        status = gc_kernel_create(kernel, dnnl, pd, error);
    else
        dnnl_primitive_desc_destroy(pd);
    const gc_kernel_arg src = way->is_backward ? GC_ARG_DST : GC_ARG_SRC;
    const gc_kernel_arg dst = way->is_backward ? GC_ARG_SRC : GC_ARG_DST;
    if (status == GRADCAM_OK)
        status = gc_kernel_add(*kernel, dnnl, src, way->src_arg, s.src, NULL, error);
    if (status == GRADCAM_OK)
        status = gc_kernel_add(*kernel, dnnl, dst, way->dst_arg, s.dst, NULL, error);
    if (status == GRADCAM_OK)
        status = add_constants(*kernel, dnnl, packs, spec, &s, !way->is_backward, error);
    settled_free(&s);
    if (status != GRADCAM_OK) {
        gc_kernel_destroy(kernel);
        return status;
    }
    (*kernel)->src_layout = way->is_backward ? dst_layout : src_layout;
    (*kernel)->dst_layout = way->is_backward ? src_layout : dst_layout;
    return GRADCAM_OK;
}

/* A primitive runs on as many threads as there were when it was made. Waking them takes longer than
 * a small convolution (squeeze-and-excitation). */
static gradcam_status make(gc_dnnl *dnnl, gc_packs *packs, const gc_conv_spec *spec,
                           const direction *way, gc_kernel **kernel, gradcam_error *error)
{
    enum { MANY_PRODUCTS = 20000 };
    const gc_tensor *const w = gc_constant_tensor(spec->weights);
    const int threads = omp_get_max_threads();
    if (gc_tensor_count(&spec->dst) * (gc_tensor_count(w) / w->dims[0]) < MANY_PRODUCTS)
        omp_set_num_threads(1);
    const gradcam_status status = make_kernel(dnnl, packs, spec, way, kernel, error);
    omp_set_num_threads(threads);
    return status;
}

gradcam_status gc_dnnl_conv(gc_dnnl *dnnl, gc_packs *packs, const gc_conv_spec *spec,
                            gc_kernel **kernel, gradcam_error *error)
{
    return make(dnnl, packs, spec, &forward, kernel, error);
}

gradcam_status gc_dnnl_conv_backward(gc_dnnl *dnnl, gc_packs *packs, const gc_conv_spec *spec,
                                     gc_kernel **kernel, gradcam_error *error)
{
    return make(dnnl, packs, spec, &backward, kernel, error);
}
