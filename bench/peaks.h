/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine can do at best, measured on as many threads as OpenMP gives. */
#ifndef GC_BENCH_PEAKS_H
#define GC_BENCH_PEAKS_H

typedef struct peaks {
    double
        gflops; /**< Fused multiply-adds of float32 in registers; an addition and a product each. */
    double cache_gbs;  /**< Reading 512 KiB a thread. */
    double memory_gbs; /**< Reading 256 MiB in all. */
} peaks;

/** False where memory is short. */
int measure_peaks(peaks *found);

#endif
