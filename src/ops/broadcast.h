/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops over tensors that broadcast against each other.
 *
 * The extents of the result are merged into as few as possible: neighbours stay separate only where
 * some operand broadcasts along one and not along the other. So equal shapes become one long line,
 * [N,C,1,1] against [N,C,H,W] becomes lines of H*W elements against one, and their blocked forms
 * [N,C/16,1,1,16] against [N,C/16,H,W,16] become H*W lines of 16. Kernels get pieces ("spans") of
 * some thousand elements, a few lines by a few elements, and vectorise over the elements, where an
 * operand's step is 0 or 1.
 */
#ifndef GC_OPS_BROADCAST_H
#define GC_OPS_BROADCAST_H

#include "ops/check.h"

enum { GC_BROADCAST_OPERANDS = 4 };

/** A piece of the work: `lines` lines of `count` elements. */
typedef struct gc_span {
    int64_t lines, count;
    /** What to write: set `out` elements (is_sum false), or add to sums in double (is_sum): each
     *  element of a line to its own (out_step 1), or all to one (out_step 0). */
    void *out;
    int64_t out_line, out_step;
    bool is_sum;
    const void *in[GC_BROADCAST_OPERANDS]; /**< Those beyond the last operand may be read, too. */
    int64_t line[GC_BROADCAST_OPERANDS];   /**< From one line to the next, in elements. */
    int64_t step[GC_BROADCAST_OPERANDS];   /**< From one element to the next: 0 or 1. */
} gc_span;

typedef void (*gc_span_kernel)(const gc_span *span, const void *context);

/** Merged extents, and the operands' strides in elements (0 where one broadcasts). */
typedef struct gc_broadcast {
    int rank; /**< At least 1. */
    int64_t dims[GC_MAX_RANK];
    int64_t strides[GC_BROADCAST_OPERANDS][GC_MAX_RANK];
    size_t sizes[GC_BROADCAST_OPERANDS]; /**< Bytes of an element. */
    const char *data[GC_BROADCAST_OPERANDS];
} gc_broadcast;

/**
 * Before opset 7 an operand could be aligned at an axis of the other one (`broadcast`, `axis`).
 * *aligned = b with extents of 1 behind, so that the usual rule from the right holds; or just b.
 * An operand that has as many extents as `a` already, as the engine's physical views have, stays.
 */
gradcam_status gc_broadcast_align(const gc_call *call, const gc_tensor *a, const gc_tensor *b,
                                  gc_tensor *aligned);

/** Output 0 = inputs 0 and 1 broadcast, with the type `dtype`; checks both. */
gradcam_status gc_broadcast_infer(const gc_call *call, gc_dtype dtype);

/** Output 0 = kernel(input 0, input 1), elements of either storage type. */
gradcam_status gc_broadcast_binary(const gc_call *call, gc_span_kernel kernel);

/** Operands (with data) that broadcast to the extents of `out`. */
void gc_broadcast_begin(gc_broadcast *loop, const gc_tensor *out, int operands,
                        const gc_tensor *const *tensors);

/** out[i] = kernel(in0[i], in1[i], ...) for all elements. */
void gc_broadcast_run(const gc_broadcast *loop, const gc_tensor *out, gc_span_kernel kernel,
                      const void *context);

/** target = kernel(in0[i], in1[i], ...) summed over the axes along which `target` broadcasts to
 *  `out`, in double. */
void gc_broadcast_reduce(const gc_tensor *out, const gc_tensor *target, int operands,
                         const gc_tensor *const *tensors, gc_span_kernel kernel,
                         const void *context);

/* ---- Kernels -------------------------------------------------------------------------------- */

#define GC_INLINE static inline __attribute__((always_inline))

/* Steps are passed as literals, so that each of the four loops is compiled for its own: contiguous
 * operands are loaded as vectors, an operand that stays is held in one. */
#define GC_SPAN_CHOOSE(LOOP, s, one, two)                                                          \
    do {                                                                                           \
        if ((s)->step[one] == 1 && (s)->step[two] == 1)                                            \
            LOOP(s, 1, 1);                                                                         \
        else if ((s)->step[one] == 1)                                                              \
            LOOP(s, 1, 0);                                                                         \
        else if ((s)->step[two] == 1)                                                              \
            LOOP(s, 0, 1);                                                                         \
        else                                                                                       \
            LOOP(s, 0, 0);                                                                         \
    } while (0)

/** Defines a kernel out = expression(a, b) for operands 0 and 1 of the given types. */
#define GC_SPAN_BINARY(NAME, OUT, A, B, expression)                                                \
    GC_INLINE void NAME##_loop(const gc_span *s, int64_t sa, int64_t sb)                           \
    {                                                                                              \
        for (int64_t l = 0; l < s->lines; l++) {                                                   \
            const A *const as = (const A *)s->in[0] + l * s->line[0];                              \
            const B *const bs = (const B *)s->in[1] + l * s->line[1];                              \
            OUT *const out = (OUT *)s->out + l * s->out_line;                                      \
            _Pragma("omp simd") for (int64_t i = 0; i < s->count; i++)                             \
            {                                                                                      \
                const A a = as[i * sa];                                                            \
                const B b = bs[i * sb];                                                            \
                out[i] = (OUT)(expression);                                                        \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void NAME(const gc_span *s, const void *context)                                        \
    {                                                                                              \
        (void)context;                                                                             \
        GC_SPAN_CHOOSE(NAME##_loop, s, 0, 1);                                                      \
    }

/** Defines a kernel that sets or adds expression(g, a, b): operand 0 is the gradient of the result,
 *  which does not broadcast; 1 and 2 are up to the caller. */
#define GC_SPAN_GRADIENT_OF(NAME, A, B, expression)                                                \
    GC_INLINE void NAME##_loop(const gc_span *s, int64_t sa, int64_t sb)                           \
    {                                                                                              \
        for (int64_t l = 0; l < s->lines; l++) {                                                   \
            const float *const gs = (const float *)s->in[0] + l * s->line[0];                      \
            const A *const as = (const A *)s->in[1] + l * s->line[1];                              \
            const B *const bs = (const B *)s->in[2] + l * s->line[2];                              \
            float *const out = (float *)s->out + l * s->out_line;                                  \
            double *const sums = (double *)s->out + l * s->out_line;                               \
            double sum = 0.0;                                                                      \
            if (!s->is_sum) {                                                                      \
                _Pragma("omp simd") for (int64_t i = 0; i < s->count; i++)                         \
                {                                                                                  \
                    const float g = gs[i];                                                         \
                    const A a = as[i * sa];                                                        \
                    const B b = bs[i * sb];                                                        \
                    (void)g, (void)a, (void)b;                                                     \
                    out[i] = (expression);                                                         \
                }                                                                                  \
            } else if (s->out_step == 1) {                                                         \
                _Pragma("omp simd") for (int64_t i = 0; i < s->count; i++)                         \
                {                                                                                  \
                    const float g = gs[i];                                                         \
                    const A a = as[i * sa];                                                        \
                    const B b = bs[i * sb];                                                        \
                    (void)g, (void)a, (void)b;                                                     \
                    sums[i] += (double)(expression);                                               \
                }                                                                                  \
            } else {                                                                               \
                _Pragma("omp simd reduction(+ : sum)") for (int64_t i = 0; i < s->count; i++)      \
                {                                                                                  \
                    const float g = gs[i];                                                         \
                    const A a = as[i * sa];                                                        \
                    const B b = bs[i * sb];                                                        \
                    (void)g, (void)a, (void)b;                                                     \
                    sum += (double)(expression);                                                   \
                }                                                                                  \
                sums[0] += sum;                                                                    \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void NAME(const gc_span *s, const void *context)                                        \
    {                                                                                              \
        (void)context;                                                                             \
        GC_SPAN_CHOOSE(NAME##_loop, s, 1, 2);                                                      \
    }

#define GC_SPAN_GRADIENT(NAME, expression) GC_SPAN_GRADIENT_OF(NAME, float, float, expression)

#endif
