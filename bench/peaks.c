/* SPDX-License-Identifier: Apache-2.0 */
#include "peaks.h"

#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

enum { LANES = 16, CHAINS = 12, TURNS = 200000, REPEATS = 7 };

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

/* Both loops for one set of instructions. Enough independent chains hide the latency of each. */
#define LOOPS(NAME, TARGET)                                                                        \
    TARGET static float multiply_add_##NAME(float factor)                                          \
    {                                                                                              \
        lanes a[CHAINS];                                                                           \
        for (int c = 0; c < CHAINS; c++)                                                           \
            a[c] = (lanes){0} + (float)c;                                                          \
        for (int turn = 0; turn < TURNS; turn++)                                                   \
            for (int c = 0; c < CHAINS; c++)                                                       \
                a[c] = a[c] * factor + 0.5f;                                                       \
        for (int c = 1; c < CHAINS; c++)                                                           \
            a[0] += a[c];                                                                          \
        return a[0][0];                                                                            \
    }                                                                                              \
    TARGET static float add_up_##NAME(const float *data, size_t count)                             \
    {                                                                                              \
        lanes sum[4] = {{0}, {0}, {0}, {0}};                                                       \
        for (size_t i = 0; i + 4 * LANES <= count; i += 4 * LANES)                                 \
            for (int k = 0; k < 4; k++)                                                            \
                sum[k] += *(const lanes *)(const void *)(data + i + (size_t)k * LANES);            \
        sum[0] += sum[1] + sum[2] + sum[3];                                                        \
        return sum[0][0];                                                                          \
    }

LOOPS(plain, )
#if defined(__x86_64__)
LOOPS(avx512, __attribute__((target("avx512f"))))
LOOPS(avx2, __attribute__((target("avx2,fma"))))
#endif

static float multiply_add(float factor)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return multiply_add_avx512(factor);
    if (__builtin_cpu_supports("avx2"))
        return multiply_add_avx2(factor);
#endif
    return multiply_add_plain(factor);
}

static float add_up(const float *data, size_t count)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return add_up_avx512(data, count);
    if (__builtin_cpu_supports("avx2"))
        return add_up_avx2(data, count);
#endif
    return add_up_plain(data, count);
}

static volatile float sink; /* keeps the loops alive */

static double arithmetic(void)
{
    double best = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        float total = 0.0f;
        const double start = gc_now_ms();
#pragma omp parallel reduction(+ : total)
        total += multiply_add(0.999f);
        const double seconds = (gc_now_ms() - start) / 1e3;
        best = seconds < best ? seconds : best;
        sink = total;
    }
    return 2.0 * TURNS * CHAINS * LANES * omp_get_max_threads() / best / 1e9;
}

/* Each thread reads its own `bytes`, `turns` times. */
static double reading(const float *data, size_t bytes, int turns)
{
    const size_t count = bytes / sizeof(float);
    double best = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        float total = 0.0f;
        const double start = gc_now_ms();
#pragma omp parallel reduction(+ : total)
        for (int turn = 0; turn < turns; turn++)
            total += add_up(data + (size_t)omp_get_thread_num() * count, count);
        const double seconds = (gc_now_ms() - start) / 1e3;
        best = seconds < best ? seconds : best;
        sink = total;
    }
    return (double)bytes * turns * omp_get_max_threads() / best / 1e9;
}

int measure_peaks(peaks *found)
{
    const size_t threads = (size_t)omp_get_max_threads();
    const size_t cached = (size_t)512 << 10, large = ((size_t)256 << 20) / threads / 64 * 64;
    const size_t bytes = (large > cached ? large : cached) * threads;
    float *const data = aligned_alloc(64, bytes);
    if (data == NULL)
        return 0;
    memset(data, 0, bytes);
    found->gflops = arithmetic();
    found->cache_gbs = reading(data, cached, 100);
    found->memory_gbs = reading(data, large, 1);
    free(data);
    return 1;
}
