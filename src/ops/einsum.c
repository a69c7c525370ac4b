/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Einsum, by its definition: for every assignment of positions to labels, the product of the
 * operands' elements is added to the result's. The gradient of an operand is an einsum, too, with
 * that operand and the result exchanged; so one kernel does both.
 *
 * An axis of extent 1 broadcasts (its stride is 0), as in NumPy. The axes of an ellipsis have
 * labels of their own, counted from the right.
 */
#include <string.h>

#include "ops/check.h"

enum { OPERANDS = 8, LETTERS = 52, LABELS = LETTERS + GC_MAX_RANK };

/* The labels of one operand. */
typedef struct term {
    int rank;
    int labels[GC_MAX_RANK];
    int dots; /* Labels in front of the ellipsis; -1: there is none. */
} term;

typedef struct einsum {
    int count;              /* of inputs; the result is operand number `count` */
    int64_t extent[LABELS]; /* 0: not in use */
    bool is_used[LABELS];
    int64_t stride[OPERANDS + 1][LABELS];
} einsum;

/* ---- The equation ---- */

static int label_of(char c)
{
    if (c >= 'A' && c <= 'Z') /* the order that an implicit result has */
        return c - 'A';
    return c >= 'a' && c <= 'z' ? 26 + c - 'a' : -1;
}

static gradcam_status fail_equation(const gc_call *call)
{
    return gc_op_fail(call, GRADCAM_ERROR_MODEL, "the equation '%s' does not fit the operands",
                      gc_attr_string(call->node, "equation", ""));
}

/* Reads labels up to ',', '->' or the end. */
static gradcam_status read_term(const gc_call *call, const char **text, term *t)
{
    *t = (term){.dots = -1};
    for (; **text != '\0' && **text != ',' && **text != '-'; (*text)++) {
        if (**text == ' ')
            continue;
        if (t->dots < 0 && strncmp(*text, "...", 3) == 0) {
            t->dots = t->rank;
            *text += 2;
            continue;
        }
        if (label_of(**text) < 0 || t->rank == GC_MAX_RANK)
            return fail_equation(call);
        t->labels[t->rank++] = label_of(**text);
    }
    return GRADCAM_OK;
}

/* Puts the labels of `extra` axes in place of the ellipsis. */
static gradcam_status expand(const gc_call *call, int extra, term *t)
{
    if (extra < 0 || (extra > 0 && t->dots < 0) || t->rank + extra > GC_MAX_RANK)
        return fail_equation(call);
    if (t->dots < 0)
        return GRADCAM_OK;
    memmove(t->labels + t->dots + extra, t->labels + t->dots,
            (size_t)(t->rank - t->dots) * sizeof *t->labels);
    for (int i = 0; i < extra; i++)
        t->labels[t->dots + i] = LABELS - extra + i;
    t->rank += extra;
    return GRADCAM_OK;
}

static gradcam_status add_extents(const gc_call *call, const term *t, const gc_tensor *x, einsum *e)
{
    for (int i = 0; i < t->rank; i++) {
        const int label = t->labels[i];
        int64_t *const extent = &e->extent[label];
        if (e->is_used[label] && *extent != x->dims[i] && *extent != 1 && x->dims[i] != 1) {
            char text[GC_SHAPE_TEXT];
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                              "axis %d of an operand of shape %s, expected extent %lld", i,
                              gc_shape_text(x, text), (long long)*extent);
        }
        if (!e->is_used[label] || *extent == 1)
            *extent = x->dims[i];
        e->is_used[label] = true;
    }
    return GRADCAM_OK;
}

/* A label that comes twice in an operand walks its diagonal: the strides add up. */
static void add_strides(const term *t, const int64_t *dims, int64_t strides[LABELS])
{
    int64_t axis[GC_MAX_RANK];
    gc_strides(t->rank, dims, axis);
    for (int i = 0; i < t->rank; i++)
        strides[t->labels[i]] += dims[i] == 1 ? 0 : axis[i];
}

/* The result of an equation without "->": the ellipsis, then the labels that come once, in order.
 */
static void implicit_result(const term *terms, int count, term *out)
{
    int uses[LETTERS] = {0};
    *out = (term){.dots = 0};
    for (int i = 0; i < count; i++)
        for (int k = 0; k < terms[i].rank; k++)
            if (terms[i].labels[k] < LETTERS)
                uses[terms[i].labels[k]]++;
    for (int label = 0; label < LETTERS && out->rank < GC_MAX_RANK; label++)
        if (uses[label] == 1)
            out->labels[out->rank++] = label;
}

static gradcam_status read_inputs(const gc_call *call, const char **text, term *terms, int *dots,
                                  einsum *e)
{
    for (int i = 0; i < e->count; i++) {
        const gc_tensor *const x = call->inputs[i];
        if (x == NULL || (i > 0 && *(*text)++ != ','))
            return fail_equation(call);
        GC_TRY(read_term(call, text, &terms[i]));
        const int extra = x->rank - terms[i].rank;
        GC_TRY(expand(call, extra, &terms[i]));
        *dots = extra > *dots ? extra : *dots;
        GC_TRY(add_extents(call, &terms[i], x, e));
        add_strides(&terms[i], x->dims, e->stride[i]);
    }
    return GRADCAM_OK;
}

static gradcam_status resolve(const gc_call *call, einsum *e, int64_t dims[GC_MAX_RANK], int *rank)
{
    const char *text = gc_attr_string(call->node, "equation", "");
    term terms[OPERANDS], out;
    int dots = 0;
    *e = (einsum){.count = call->input_count};
    if (e->count > OPERANDS)
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED, "%d operands, at most %d are supported",
                          e->count, OPERANDS);
    GC_TRY(read_inputs(call, &text, terms, &dots, e));
    if (*text == '\0') {
        implicit_result(terms, e->count, &out);
    } else {
        if (strncmp(text, "->", 2) != 0)
            return fail_equation(call);
        text += 2;
        GC_TRY(read_term(call, &text, &out));
    }
    if (*text != '\0')
        return fail_equation(call);
    GC_TRY(expand(call, out.dots < 0 ? 0 : dots, &out));
    bool is_given[LABELS] = {false};
    for (int i = 0; i < out.rank; i++) {
        if (!e->is_used[out.labels[i]] || is_given[out.labels[i]])
            return fail_equation(call);
        is_given[out.labels[i]] = true;
        dims[i] = e->extent[out.labels[i]];
    }
    *rank = out.rank;
    add_strides(&out, dims, e->stride[e->count]);
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call)
{
    einsum e;
    int64_t dims[GC_MAX_RANK];
    int rank = 0;
    GC_TRY(gc_check_floats(call, call->input_count));
    GC_TRY(resolve(call, &e, dims, &rank));
    gc_tensor_describe(call->outputs[0], call->inputs[0]->dtype, rank, dims);
    return gc_check_output(call, 0);
}

/* ---- The sum ---- */

/* target[...] += product of the sources: labels of the target outside, the others inside. */
typedef struct nest {
    int outer, inner, sources;
    int64_t outer_count, inner_count;
    int64_t outer_extent[LABELS], inner_extent[LABELS];
    int64_t target_stride[LABELS];
    int64_t outer_stride[OPERANDS][LABELS], inner_stride[OPERANDS][LABELS];
    const float *source[OPERANDS];
} nest;

static void add_label(const einsum *e, int label, int target, nest *n)
{
    const bool is_outer = e->stride[target][label] != 0;
    const int at = is_outer ? n->outer++ : n->inner++;
    (is_outer ? n->outer_extent : n->inner_extent)[at] = e->extent[label];
    *(is_outer ? &n->outer_count : &n->inner_count) *= e->extent[label];
    n->target_stride[at] = is_outer ? e->stride[target][label] : n->target_stride[at];
    for (int operand = 0, s = 0; operand <= e->count; operand++)
        if (operand != target)
            (is_outer ? n->outer_stride : n->inner_stride)[s++][at] = e->stride[operand][label];
}

static nest make_nest(const einsum *e, int target, const float *const *data)
{
    nest n = {.outer_count = 1, .inner_count = 1};
    for (int operand = 0; operand <= e->count; operand++)
        if (operand != target)
            n.source[n.sources++] = data[operand];
    for (int label = 0; label < LABELS; label++)
        if (e->is_used[label] && e->extent[label] != 1)
            add_label(e, label, target, &n);
    if (n.inner == 0)
        n.inner_extent[n.inner++] = 1;
    return n;
}

static int64_t offset_of(int rank, const int64_t *extents, const int64_t *strides, int64_t index)
{
    int64_t at = 0;
    for (int i = rank - 1; i >= 0; i--) {
        at += index % extents[i] * strides[i];
        index /= extents[i];
    }
    return at;
}

/* The sum over one run of the last inner label. */
static double sum_run(const nest *n, const float *const *from)
{
    const int last = n->inner - 1;
    double sum = 0.0;
    for (int64_t i = 0; i < n->inner_extent[last]; i++) {
        double product = (double)from[0][i * n->inner_stride[0][last]];
        for (int s = 1; s < n->sources; s++)
            product *= (double)from[s][i * n->inner_stride[s][last]];
        sum += product;
    }
    return sum;
}

static float sum_element(const nest *n, int64_t index)
{
    const float *from[OPERANDS] = {NULL}, *at[OPERANDS] = {NULL};
    double sum = 0.0;
    for (int s = 0; s < n->sources; s++)
        at[s] = n->source[s] + offset_of(n->outer, n->outer_extent, n->outer_stride[s], index);
    for (int64_t i = 0; i < n->inner_count; i += n->inner_extent[n->inner - 1]) {
        for (int s = 0; s < n->sources; s++)
            from[s] = at[s] + offset_of(n->inner, n->inner_extent, n->inner_stride[s], i);
        sum += sum_run(n, from);
    }
    return (float)sum;
}

static void compute(const einsum *e, int target, const float *const *data, gc_tensor *out)
{
    const nest n = make_nest(e, target, data);
    float *const to = gc_floats(out);
    memset(to, 0, gc_tensor_bytes(out)); /* what no assignment reaches: off a diagonal */
    if (n.inner_count == 0)
        return;
#pragma omp parallel for schedule(static) if (n.outer_count * n.inner_count > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < n.outer_count; i++)
        to[offset_of(n.outer, n.outer_extent, n.target_stride, i)] = sum_element(&n, i);
}

static gradcam_status forward(const gc_call *call)
{
    einsum e;
    int64_t dims[GC_MAX_RANK];
    int rank = 0;
    GC_TRY(resolve(call, &e, dims, &rank));
    const float *data[OPERANDS + 1] = {NULL};
    for (int i = 0; i < e.count; i++)
        data[i] = gc_floats(call->inputs[i]);
    compute(&e, e.count, data, call->outputs[0]);
    return GRADCAM_OK;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    einsum e;
    int64_t dims[GC_MAX_RANK];
    int rank = 0;
    GC_TRY(resolve(call, &e, dims, &rank));
    const float *data[OPERANDS + 1] = {NULL};
    for (int i = 0; i < e.count; i++)
        data[i] = gc_floats(call->inputs[i]);
    data[e.count] = gc_floats(output_grads[0]);
    for (int i = 0; i < e.count; i++)
        if (input_grads[i] != NULL)
            compute(&e, i, data, input_grads[i]);
    return GRADCAM_OK;
}

const gc_op gc_op_Einsum = {
    .name = "Einsum",
    .domain = "",
    .since = 12,
    .min_inputs = 1,
    .max_inputs = OPERANDS,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
