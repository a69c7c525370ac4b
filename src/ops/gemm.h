/* SPDX-License-Identifier: Apache-2.0 */
/* A plain matrix product of row-major matrices, for the reference kernels. */
#ifndef GC_OPS_GEMM_H
#define GC_OPS_GEMM_H

#include <stdbool.h>
#include <stdint.h>

/** A row-major matrix, or its transpose. */
typedef struct gc_matrix {
    const float *data;
    int64_t stride; /**< Elements from one stored row to the next. */
    bool is_transposed;
} gc_matrix;

/**
 * c = alpha * a * b + beta * c, with a: m x k, b: k x n (after their transposition), c: m x n with
 * rows `c_stride` apart. With beta 0, c is not read. c overlaps neither a nor b. Uses the threads
 * of OpenMP where that pays; allocates nothing.
 */
void gc_gemm(int64_t m, int64_t n, int64_t k, float alpha, gc_matrix a, gc_matrix b, float beta,
             float *c, int64_t c_stride);

#endif
