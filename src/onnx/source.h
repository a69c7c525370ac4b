/* SPDX-License-Identifier: Apache-2.0 */
/* Where a model's bytes come from: a file, or the caller's memory. */
#ifndef GC_ONNX_SOURCE_H
#define GC_ONNX_SOURCE_H

#include "base/budget.h"
#include "base/limits.h"
#include "base/store.h"
#include "onnx/wire.h"

/** Payloads of initializers from this size on are left in the file, see outline.c. */
enum { GC_LARGE_PAYLOAD = 64 << 10 };

/** Files of external data, see external.h. */
typedef struct gc_externals gc_externals;

typedef struct gc_source {
    gc_bytes bytes;          /**< Of a file, without large payloads: zeros stand for those. */
    const char *folder;      /**< Of external data; NULL: there is none. */
    gc_budget *budget;       /**< Counts weights; NULL: no limit. */
    gradcam_limits limits;   /**< None of them zero. */
    size_t large;            /**< As GC_LARGE_PAYLOAD; tests set it to less. */
    gc_store *store;         /**< NULL: all is in `bytes`, which belong to the caller. */
    gc_externals *externals; /**< NULL: no external data stays in its file. */
} gc_source;

/** Reads a regular file but for payloads of `large` bytes and more; 0: GC_LARGE_PAYLOAD. Nothing to
 *  close on failure. */
gradcam_status gc_source_open(gc_source *source, const char *path, size_t large,
                              gc_file_limit limit, gradcam_error *error);
void gc_source_close(gc_source *source);

/** The part of gc_source_open that reads, into source->bytes, which are zeros. */
gradcam_status gc_source_outline(const gc_source *source, gradcam_error *error);

/** Is a payload, as it lies in source->bytes, still in the file? Then *offset is its place. */
bool gc_source_left_in_file(const gc_source *source, gc_bytes payload, uint64_t *offset);

/** What a file is that is no ONNX model, and the way out, as a sentence; NULL if unknown. */
const char *gc_source_recognise(gc_bytes bytes);

#endif
