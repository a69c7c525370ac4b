/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of a call of the API: how many there are, and how they do arithmetic.
 *
 * While the call lasts, every thread of OpenMP's team rounds to nearest, raises no exception and
 * takes denormals (below 1.2e-38) for 0: an activation that fades away would otherwise make each
 * product up to a hundred times slower, and a result would depend on how the host has set its
 * threads. Afterwards each has the state that it had.
 */
#ifndef GC_BASE_THREADS_H
#define GC_BASE_THREADS_H

#include <stdbool.h>

/** What is to be put back. */
typedef struct gc_threads {
    int number;
    unsigned control;
    bool is_nested; /**< A call within a call, from a function of the caller's. */
} gc_threads;

/** `number`, or where that is 0, as many threads as OpenMP gives this one. */
int gc_threads_count(int number);

/** From now on OpenMP gives the calling thread `number` threads. */
void gc_threads_set(int number);

/** `number` threads; 0: as many as OpenMP gives this thread. */
gc_threads gc_threads_begin(int number);
void gc_threads_end(const gc_threads *before);

#endif
