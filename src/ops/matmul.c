/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MatMul: NumPy's matmul. Leading axes are a batch and broadcast; a 1-D first operand is a row, a
 * 1-D second one a column, and their axis of extent 1 is dropped from the result.
 * Gemm: y = alpha * op(a) * op(b) + beta * c, c broadcast to y.
 */
#include <string.h>

#include "ops/check.h"
#include "ops/gemm.h"
#include "ops/op.h"

typedef struct shapes {
    int64_t m, n, k;
    int rank; /* of the batch */
    int64_t batch_count;
    int64_t batch[GC_MAX_RANK];
    int64_t a_stride[GC_MAX_RANK], b_stride[GC_MAX_RANK]; /* in matrices; 0 where it broadcasts */
} shapes;

/* Extent of batch axis i (of `rank`) of t, 1 where t has fewer axes. */
static int64_t batch_extent(const gc_tensor *t, int rank, int i)
{
    const int own = i - (rank - (t->rank - 2));
    return t->rank <= 2 || own < 0 ? 1 : t->dims[own];
}

static void batch_strides(const gc_tensor *t, int rank, int64_t *strides)
{
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        const int64_t extent = batch_extent(t, rank, i);
        strides[i] = extent == 1 ? 0 : stride;
        stride *= extent;
    }
}

static gradcam_status fail_shapes(const gc_call *call, const gc_tensor *a, const gc_tensor *b)
{
    char ta[GC_SHAPE_TEXT], tb[GC_SHAPE_TEXT];
    return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "shapes %s and %s cannot be multiplied",
                      gc_shape_text(a, ta), gc_shape_text(b, tb));
}

static gradcam_status resolve(const gc_call *call, shapes *s)
{
    const gc_tensor *const a = call->inputs[0], *const b = call->inputs[1];
    if (a->rank < 1 || b->rank < 1)
        return fail_shapes(call, a, b);
    *s = (shapes){.batch_count = 1};
    s->m = a->rank == 1 ? 1 : a->dims[a->rank - 2];
    s->k = a->dims[a->rank - 1];
    s->n = b->rank == 1 ? 1 : b->dims[b->rank - 1];
    if (s->k != (b->rank == 1 ? b->dims[0] : b->dims[b->rank - 2]))
        return fail_shapes(call, a, b);
    s->rank = (a->rank > b->rank ? a->rank : b->rank) - 2;
    if (s->rank < 0)
        s->rank = 0;
    for (int i = 0; i < s->rank; i++) {
        const int64_t da = batch_extent(a, s->rank, i), db = batch_extent(b, s->rank, i);
        if (da != db && da != 1 && db != 1)
            return fail_shapes(call, a, b);
        s->batch[i] = da == 1 ? db : da;
        s->batch_count *= s->batch[i];
    }
    batch_strides(a, s->rank, s->a_stride);
    batch_strides(b, s->rank, s->b_stride);
    return GRADCAM_OK;
}

static gradcam_status infer_matmul(const gc_call *call)
{
    shapes s;
    GC_TRY(gc_check_floats(call, 2));
    GC_TRY(resolve(call, &s));
    int64_t dims[GC_MAX_RANK];
    int rank = s.rank;
    memcpy(dims, s.batch, sizeof dims);
    if (call->inputs[0]->rank > 1)
        dims[rank++] = s.m;
    if (call->inputs[1]->rank > 1)
        dims[rank++] = s.n;
    gc_tensor_describe(call->outputs[0], call->inputs[0]->dtype, rank, dims);
    return gc_check_output(call, 0);
}

/* One matrix on the right for the whole batch: the batch is as good as more rows. */
static void join_rows(const gc_call *call, shapes *s)
{
    if (call->inputs[1]->rank > 2 || s->rank == 0)
        return;
    s->m *= s->batch_count;
    s->batch_count = 1;
    s->rank = 0;
}

static int64_t matrix_index(const shapes *s, const int64_t *strides, int64_t index)
{
    int64_t at = 0;
    for (int i = s->rank - 1; i >= 0; i--) {
        at += index % s->batch[i] * strides[i];
        index /= s->batch[i];
    }
    return at;
}

static gradcam_status forward_matmul(const gc_call *call)
{
    shapes s;
    GC_TRY(resolve(call, &s));
    join_rows(call, &s);
    const float *const a = gc_floats(call->inputs[0]), *const b = gc_floats(call->inputs[1]);
    float *const y = gc_floats(call->outputs[0]);
    /* Threads over the batch leave none for the products inside, so a short batch keeps its hands
     * off. */
#pragma omp parallel for schedule(static) if (s.batch_count > 8)
    for (int64_t i = 0; i < s.batch_count; i++) {
        const gc_matrix left = {a + matrix_index(&s, s.a_stride, i) * s.m * s.k, s.k, false};
        const gc_matrix right = {b + matrix_index(&s, s.b_stride, i) * s.k * s.n, s.n, false};
        gc_gemm(s.m, s.n, s.k, 1.0f, left, right, 0.0f, y + i * s.m * s.n, s.n);
    }
    return GRADCAM_OK;
}

/* ga = gy * b^T, added up over the batch where a broadcasts. */
static void backward_left(const gc_call *call, const shapes *s, const float *gy, gc_tensor *ga)
{
    memset(ga->data, 0, gc_tensor_bytes(ga));
    for (int64_t i = 0; i < s->batch_count; i++) {
        const float *const b = gc_floats(call->inputs[1]);
        const gc_matrix left = {gy + i * s->m * s->n, s->n, false};
        const gc_matrix right = {b + matrix_index(s, s->b_stride, i) * s->k * s->n, s->n, true};
        gc_gemm(s->m, s->k, s->n, 1.0f, left, right, 1.0f,
                gc_floats(ga) + matrix_index(s, s->a_stride, i) * s->m * s->k, s->k);
    }
}

/* gb = a^T * gy, added up over the batch where b broadcasts. */
static void backward_right(const gc_call *call, const shapes *s, const float *gy, gc_tensor *gb)
{
    memset(gb->data, 0, gc_tensor_bytes(gb));
    for (int64_t i = 0; i < s->batch_count; i++) {
        const float *const a = gc_floats(call->inputs[0]);
        const gc_matrix left = {a + matrix_index(s, s->a_stride, i) * s->m * s->k, s->k, true};
        const gc_matrix right = {gy + i * s->m * s->n, s->n, false};
        gc_gemm(s->k, s->n, s->m, 1.0f, left, right, 1.0f,
                gc_floats(gb) + matrix_index(s, s->b_stride, i) * s->k * s->n, s->n);
    }
}

static gradcam_status backward_matmul(const gc_call *call, const gc_tensor *const *output_grads,
                                      gc_tensor *const *input_grads)
{
    shapes s;
    GC_TRY(resolve(call, &s));
    join_rows(call, &s);
    const float *const gy = gc_floats(output_grads[0]);
    if (input_grads[0] != NULL)
        backward_left(call, &s, gy, input_grads[0]);
    if (input_grads[1] != NULL)
        backward_right(call, &s, gy, input_grads[1]);
    return GRADCAM_OK;
}

/* ---- Gemm ---- */

typedef struct gemm {
    int64_t m, n, k;
    bool trans_a, trans_b;
    float alpha, beta;
    int64_t c_row, c_column; /* strides of c broadcast to m x n */
} gemm;

static gradcam_status resolve_addend(const gc_call *call, gemm *g)
{
    const gc_tensor *const c = call->inputs[2];
    const int64_t columns = c->rank < 1 ? 1 : c->dims[c->rank - 1];
    const int64_t rows = c->rank < 2 ? 1 : c->dims[c->rank - 2];
    if (c->rank > 2 || (columns != 1 && columns != g->n) || (rows != 1 && rows != g->m)) {
        char text[GC_SHAPE_TEXT];
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                          "C of shape %s does not broadcast to %lldx%lld", gc_shape_text(c, text),
                          (long long)g->m, (long long)g->n);
    }
    g->c_row = rows == 1 ? 0 : columns;
    g->c_column = columns == 1 ? 0 : 1;
    return GRADCAM_OK;
}

static gradcam_status resolve_gemm(const gc_call *call, gemm *g)
{
    const gc_tensor *const a = call->inputs[0], *const b = call->inputs[1];
    if (a->rank != 2 || b->rank != 2)
        return fail_shapes(call, a, b);
    *g = (gemm){.alpha = gc_attr_float(call->node, "alpha", 1.0f),
                .beta = gc_attr_float(call->node, "beta", 1.0f),
                .trans_a = gc_attr_int(call->node, "transA", 0) != 0,
                .trans_b = gc_attr_int(call->node, "transB", 0) != 0};
    g->m = a->dims[g->trans_a ? 1 : 0];
    g->k = a->dims[g->trans_a ? 0 : 1];
    g->n = b->dims[g->trans_b ? 0 : 1];
    if (g->k != b->dims[g->trans_b ? 1 : 0])
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                          "inner extents of A and B (after transA, transB) are %lld and %lld",
                          (long long)g->k, (long long)b->dims[g->trans_b ? 1 : 0]);
    return gc_op_has(call, 2) ? resolve_addend(call, g) : GRADCAM_OK;
}

static gradcam_status infer_gemm(const gc_call *call)
{
    gemm g = {0};
    GC_TRY(gc_check_floats(call, 3));
    GC_TRY(resolve_gemm(call, &g));
    gc_tensor_describe(call->outputs[0], call->inputs[0]->dtype, 2, (int64_t[]){g.m, g.n});
    return gc_check_output(call, 0);
}

static void fill_addend(const gemm *g, const float *c, float *y)
{
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++)
            y[i * g->n + j] = g->beta * c[i * g->c_row + j * g->c_column];
}

static gradcam_status forward_gemm(const gc_call *call)
{
    gemm g = {0};
    GC_TRY(resolve_gemm(call, &g));
    const gc_tensor *const a = call->inputs[0], *const b = call->inputs[1];
    float *const y = gc_floats(call->outputs[0]);
    if (gc_op_has(call, 2))
        fill_addend(&g, gc_floats(call->inputs[2]), y);
    gc_gemm(g.m, g.n, g.k, g.alpha, (gc_matrix){gc_floats(a), a->dims[1], g.trans_a},
            (gc_matrix){gc_floats(b), b->dims[1], g.trans_b}, gc_op_has(call, 2) ? 1.0f : 0.0f, y,
            g.n);
    return GRADCAM_OK;
}

/* d(op(a)) = gy * op(b)^T, so da is that or, where a was transposed, op(b) * gy^T; b likewise. */
static void backward_gemm_left(const gc_call *call, const gemm *g, const float *gy, float *ga)
{
    const gc_tensor *const b = call->inputs[1];
    const gc_matrix right = {gc_floats(b), b->dims[1], g->trans_b != !g->trans_a};
    if (g->trans_a)
        gc_gemm(g->k, g->m, g->n, g->alpha, right, (gc_matrix){gy, g->n, true}, 0.0f, ga, g->m);
    else
        gc_gemm(g->m, g->k, g->n, g->alpha, (gc_matrix){gy, g->n, false}, right, 0.0f, ga, g->k);
}

static void backward_gemm_right(const gc_call *call, const gemm *g, const float *gy, float *gb)
{
    const gc_tensor *const a = call->inputs[0];
    const gc_matrix left = {gc_floats(a), a->dims[1], g->trans_a != !g->trans_b};
    if (g->trans_b)
        gc_gemm(g->n, g->k, g->m, g->alpha, (gc_matrix){gy, g->n, true}, left, 0.0f, gb, g->k);
    else
        gc_gemm(g->k, g->n, g->m, g->alpha, left, (gc_matrix){gy, g->n, false}, 0.0f, gb, g->n);
}

static void backward_gemm_addend(const gemm *g, const float *gy, gc_tensor *gc)
{
    float *const to = gc_floats(gc);
    memset(to, 0, gc_tensor_bytes(gc));
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++)
            to[i * g->c_row + j * g->c_column] += g->beta * gy[i * g->n + j];
}

static gradcam_status backward_gemm(const gc_call *call, const gc_tensor *const *output_grads,
                                    gc_tensor *const *input_grads)
{
    gemm g = {0};
    GC_TRY(resolve_gemm(call, &g));
    const float *const gy = gc_floats(output_grads[0]);
    if (input_grads[0] != NULL)
        backward_gemm_left(call, &g, gy, gc_floats(input_grads[0]));
    if (input_grads[1] != NULL)
        backward_gemm_right(call, &g, gy, gc_floats(input_grads[1]));
    if (call->input_count > 2 && input_grads[2] != NULL)
        backward_gemm_addend(&g, gy, input_grads[2]);
    return GRADCAM_OK;
}

const gc_op gc_op_MatMul = {
    .name = "MatMul",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer_matmul,
    .forward = forward_matmul,
    .backward = backward_matmul,
};

const gc_op gc_op_Gemm = {
    .name = "Gemm",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer_gemm,
    .forward = forward_gemm,
    .backward = backward_gemm,
};
