/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C is cut into tiles of ROWS x PANEL. A task takes one panel of columns and a band of rows; for
 * each slice of the inner extent it packs the panel of B to the stack, where it stays in the first
 * cache, and runs a register tile of ROWS x PANEL down the band. A needs no packing: a tile reads
 * ROWS of its values at a time, whichever way it is stored.
 */
#include "ops/gemm.h"

#include <string.h>

enum { ROWS = 4, PANEL = 8, SLICE = 256, BAND = 64, PARALLEL_PRODUCTS = 1 << 16 };

typedef struct operand {
    const float *data;
    int64_t row, column; /* strides */
} operand;

typedef struct product {
    int64_t m, n, k;
    float alpha, beta;
    operand a, b;
    float *c;
    int64_t c_stride;
} product;

static operand make_operand(gc_matrix matrix)
{
    return matrix.is_transposed ? (operand){matrix.data, 1, matrix.stride}
                                : (operand){matrix.data, matrix.stride, 1};
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* panel[k][column] = b[k0 + k][j0 + column], zero beyond the last column. */
static void pack(const product *p, int64_t k0, int64_t depth, int64_t j0, float *panel)
{
    const int64_t width = least(PANEL, p->n - j0);
    const float *const b = p->b.data + k0 * p->b.row + j0 * p->b.column;
    for (int64_t k = 0; k < depth; k++) {
        for (int64_t j = 0; j < width; j++)
            panel[k * PANEL + j] = b[k * p->b.row + j * p->b.column];
        for (int64_t j = width; j < PANEL; j++)
            panel[k * PANEL + j] = 0.0f;
    }
}

/* sum[i][j] = a[i][...] . panel[...][j] for ROWS rows of a; the constant bounds let the compiler
 * keep `sum` in registers. */
static void multiply_tile(const float *const a[ROWS], int64_t a_step, int64_t depth,
                          const float *restrict panel, float sum[restrict ROWS * PANEL])
{
    float s0[PANEL] = {0}, s1[PANEL] = {0}, s2[PANEL] = {0}, s3[PANEL] = {0};
    for (int64_t k = 0; k < depth; k++) {
        const float *const b = panel + k * PANEL;
        const float a0 = a[0][k * a_step], a1 = a[1][k * a_step];
        const float a2 = a[2][k * a_step], a3 = a[3][k * a_step];
#pragma omp simd
        for (int j = 0; j < PANEL; j++) {
            s0[j] += a0 * b[j];
            s1[j] += a1 * b[j];
            s2[j] += a2 * b[j];
            s3[j] += a3 * b[j];
        }
    }
    for (int j = 0; j < PANEL; j++) {
        sum[0 * PANEL + j] = s0[j];
        sum[1 * PANEL + j] = s1[j];
        sum[2 * PANEL + j] = s2[j];
        sum[3 * PANEL + j] = s3[j];
    }
}

static void store_tile(const product *p, const float *sum, int64_t i0, int64_t j0, float beta)
{
    const int64_t height = least(ROWS, p->m - i0), width = least(PANEL, p->n - j0);
    for (int64_t i = 0; i < height; i++) {
        float *const c = p->c + (i0 + i) * p->c_stride + j0;
        for (int64_t j = 0; j < width; j++)
            c[j] = p->alpha * sum[i * PANEL + j] + (beta == 0.0f ? 0.0f : beta * c[j]);
    }
}

static void multiply_band(const product *p, int64_t i0, int64_t i1, int64_t j0)
{
    float panel[SLICE * PANEL], sum[ROWS * PANEL];
    for (int64_t k0 = 0; k0 < p->k; k0 += SLICE) {
        const int64_t depth = least(SLICE, p->k - k0);
        pack(p, k0, depth, j0, panel);
        for (int64_t i = i0; i < i1; i += ROWS) {
            const float *rows[ROWS];
            for (int64_t r = 0; r < ROWS; r++) /* rows beyond the last repeat it, unstored */
                rows[r] = p->a.data + least(i + r, p->m - 1) * p->a.row + k0 * p->a.column;
            multiply_tile(rows, p->a.column, depth, panel, sum);
            store_tile(p, sum, i, j0, k0 == 0 ? p->beta : 1.0f);
        }
    }
}

static void scale(const product *p)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            float *const c = p->c + i * p->c_stride + j;
            *c = p->beta == 0.0f ? 0.0f : p->beta * *c;
        }
}

/* ---- One row: bound by reading B once ------------------------------------------------------- */

/* Columns of the result that one task makes at most: its sums stay in the first cache, and what it
 * reads of a row of B is long enough to be fetched ahead. */
enum { COLUMNS = 4096, TOGETHER = 4 };

static void add_row(float *restrict sum, const float *b, float factor, int64_t width)
{
#pragma omp simd
    for (int64_t j = 0; j < width; j++)
        sum[j] += factor * b[j];
}

static void add_four_rows(float *restrict sum, const float *const b[TOGETHER],
                          const float factors[TOGETHER], int64_t width)
{
    const float *const b0 = b[0], *const b1 = b[1], *const b2 = b[2], *const b3 = b[3];
    const float f0 = factors[0], f1 = factors[1], f2 = factors[2], f3 = factors[3];
#pragma omp simd
    for (int64_t j = 0; j < width; j++)
        sum[j] += (f0 * b0[j] + f1 * b1[j]) + (f2 * b2[j] + f3 * b3[j]);
}

/* Rows of B are contiguous: adds up those whose factor is not 0. The gradient of one class score is
 * a row with a single 1, and behind a Relu about half of it is 0. */
static void add_rows(const product *p, int64_t j0, int64_t width)
{
    float sum[COLUMNS], factors[TOGETHER];
    const float *rows[TOGETHER];
    int waiting = 0;
    memset(sum, 0, (size_t)width * sizeof *sum);
    for (int64_t k = 0; k < p->k; k++) {
        const float factor = p->a.data[k * p->a.column];
        if (factor == 0.0f)
            continue;
        factors[waiting] = factor;
        rows[waiting++] = p->b.data + k * p->b.row + j0;
        if (waiting == TOGETHER) {
            add_four_rows(sum, rows, factors, width);
            waiting = 0;
        }
    }
    for (int i = 0; i < waiting; i++)
        add_row(sum, rows[i], factors[i], width);
    for (int64_t j = 0; j < width; j++)
        p->c[j0 + j] = p->alpha * sum[j] + (p->beta == 0.0f ? 0.0f : p->beta * p->c[j0 + j]);
}

/* Tasks of equal width, some for each thread. */
static int64_t columns_of_task(int64_t n)
{
    enum { ALIKE = 4, LINE = 16 };
    const int64_t tasks = ((n + COLUMNS - 1) / COLUMNS + ALIKE - 1) / ALIKE * ALIKE;
    return ((n + tasks - 1) / tasks + LINE - 1) / LINE * LINE;
}

/* As many sums side by side as hide that an addition waits for the one before. */
static float inner_product(const float *a, const float *b, int64_t count)
{
    enum { SUMS = 32 };
    float sums[SUMS] = {0}, sum = 0.0f;
    const int64_t whole = count / SUMS * SUMS;
    for (int64_t k = 0; k < whole; k += SUMS)
#pragma omp simd
        for (int i = 0; i < SUMS; i++)
            sums[i] += a[k + i] * b[k + i];
    for (int64_t k = whole; k < count; k++)
        sum += a[k] * b[k];
    for (int half = SUMS / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sum + sums[0];
}

/* Of one row with TOGETHER columns: each is a stream from memory, and several are faster than one
 * where they are long. */
static void inner_products(const float *restrict a, const float *const b[TOGETHER], int64_t count,
                           float products[TOGETHER])
{
    enum { SUMS = 8 };
    const float *const b0 = b[0], *const b1 = b[1], *const b2 = b[2], *const b3 = b[3];
    float s0[SUMS] = {0}, s1[SUMS] = {0}, s2[SUMS] = {0}, s3[SUMS] = {0};
    const int64_t whole = count / SUMS * SUMS;
    for (int64_t k = 0; k < whole; k += SUMS)
#pragma omp simd
        for (int i = 0; i < SUMS; i++) {
            s0[i] += a[k + i] * b0[k + i];
            s1[i] += a[k + i] * b1[k + i];
            s2[i] += a[k + i] * b2[k + i];
            s3[i] += a[k + i] * b3[k + i];
        }
    const float *const sums[TOGETHER] = {s0, s1, s2, s3};
    for (int j = 0; j < TOGETHER; j++) {
        products[j] = 0.0f;
        for (int i = 0; i < SUMS; i++)
            products[j] += sums[j][i];
        for (int64_t k = whole; k < count; k++)
            products[j] += a[k] * b[j][k];
    }
}

/* Columns of B are contiguous: one inner product each. */
static void multiply_columns(const product *p, int64_t j0, int64_t width)
{
    enum { LONG = 8192 };
    const float *columns[TOGETHER];
    float products[TOGETHER];
    const int64_t step = p->k >= LONG ? TOGETHER : 1;
    for (int64_t j = j0; j < j0 + width; j += step) {
        const int64_t count = least(step, j0 + width - j);
        for (int64_t i = 0; i < TOGETHER; i++) /* the last one repeated, unstored */
            columns[i] = p->b.data + (j + least(i, count - 1)) * p->b.column;
        if (step == 1)
            products[0] = inner_product(p->a.data, columns[0], p->k);
        else
            inner_products(p->a.data, columns, p->k, products);
        for (int64_t i = 0; i < count; i++)
            p->c[j + i] = p->alpha * products[i] + (p->beta == 0.0f ? 0.0f : p->beta * p->c[j + i]);
    }
}

/* Is the product one row by a matrix that can be read along its rows or columns? */
static bool multiply_row(const product *p)
{
    const bool by_columns = p->b.row == 1 && p->a.column == 1;
    if (p->m != 1 || (p->b.column != 1 && !by_columns))
        return false;
    const int64_t step = p->b.column == 1 ? columns_of_task(p->n) : 16,
                  tasks = (p->n + step - 1) / step;
#pragma omp parallel for schedule(static) if (p->n * p->k > PARALLEL_PRODUCTS)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t j0 = task * step, width = least(step, p->n - j0);
        if (p->b.column == 1)
            add_rows(p, j0, width);
        else
            multiply_columns(p, j0, width);
    }
    return true;
}

void gc_gemm(int64_t m, int64_t n, int64_t k, float alpha, gc_matrix a, gc_matrix b, float beta,
             float *c, int64_t c_stride)
{
    const product p = {m, n, k, alpha, beta, make_operand(a), make_operand(b), c, c_stride};
    if (k == 0) {
        scale(&p);
        return;
    }
    if (multiply_row(&p))
        return;
    const int64_t bands = (m + BAND - 1) / BAND, panels = (n + PANEL - 1) / PANEL;
#pragma omp parallel for schedule(static) if (m * n * k > PARALLEL_PRODUCTS)
    for (int64_t task = 0; task < bands * panels; task++) {
        const int64_t i0 = task / panels * BAND;
        multiply_band(&p, i0, least(i0 + BAND, m), task % panels * PANEL);
    }
}
