/* SPDX-License-Identifier: Apache-2.0 */
/* A progress bar in the last line of a terminal (standard error). */
#ifndef GC_CLI_PROGRESS_H
#define GC_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct gc_progress {
    bool on;
    size_t total;
} gc_progress;

/** Off if `is_wanted` is false, for a single step, and where standard error is no terminal. */
gc_progress gc_progress_start(size_t total, bool is_wanted);

/** Shows that `done` steps are done and what is being worked on. */
void gc_progress_show(const gc_progress *progress, size_t done, const char *what);

/** Empties the line, before anything else is printed. */
void gc_progress_clear(const gc_progress *progress);

#endif
