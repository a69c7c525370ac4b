/* SPDX-License-Identifier: Apache-2.0 */
/* A file that several holders read at any place, from any thread. */
#ifndef GC_BASE_STORE_H
#define GC_BASE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct gc_store gc_store;

/** Opens a regular file; the count of holds starts at 1. Messages do not name `path`, but for
 *  those of gc_store_check.
 *  @param follow false: a path that is a symbolic link is refused. */
gradcam_status gc_store_open(gc_store **store, const char *path, bool follow, gradcam_error *error);
gc_store *gc_store_retain(gc_store *store);
void gc_store_release(gc_store *store); /**< Accepts NULL. */

/** As given to gc_store_open. */
const char *gc_store_path(const gc_store *store);

/** When it was opened. */
uint64_t gc_store_size(const gc_store *store);

/** Reads exactly `size` bytes at `offset`, large parts on all threads. */
gradcam_status gc_store_read(const gc_store *store, void *out, size_t size, uint64_t offset,
                             gradcam_error *error);

/** GRADCAM_ERROR_FILE if the file was written to since it was opened. */
gradcam_status gc_store_check(const gc_store *store, gradcam_error *error);

#endif
