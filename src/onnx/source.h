/* SPDX-License-Identifier: Apache-2.0 */
/* Where a model's bytes come from: a mapped file, or the caller's memory. */
#ifndef GC_ONNX_SOURCE_H
#define GC_ONNX_SOURCE_H

#include "base/budget.h"
#include "base/limits.h"
#include "onnx/wire.h"

typedef struct gc_source {
    gc_bytes bytes;
    const char *folder;    /**< Of external data; NULL: there is none. */
    gc_budget *budget;     /**< Counts weights; NULL: no limit. */
    gradcam_limits limits; /**< None of them zero. */
    bool is_mapped;
} gc_source;

/** Maps a regular file. The mapping follows the file: whoever cuts it short meanwhile ends the
 *  process. */
gradcam_status gc_source_open(gc_source *source, const char *path, gc_file_limit limit,
                              gradcam_error *error);
void gc_source_close(gc_source *source);

/** The pages wholly inside [begin, end) are not needed again soon: they leave resident memory. */
void gc_source_discard(const gc_source *source, const uint8_t *begin, const uint8_t *end);

/** What a file is that is no ONNX model, and the way out, as a sentence; NULL if unknown. */
const char *gc_source_recognise(gc_bytes bytes);

#endif
