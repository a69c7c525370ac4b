/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors in files of their own, beside the model. */
#ifndef GC_ONNX_EXTERNAL_H
#define GC_ONNX_EXTERNAL_H

#include "graph/tensor.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/source.h"

/** The files that are open already, by the name that the model gives them. Few have more than one;
 *  where each tensor has its own, not all can stay open. */
enum { GC_MOST_EXTERNALS = 16 };
struct gc_externals {
    char *locations[GC_MOST_EXTERNALS];
    gc_store *stores[GC_MOST_EXTERNALS];
    int count;
};

void gc_externals_close(gc_externals *externals);

/** May the elements stay in their file? Then *store is that file, to be released, and *offset where
 *  they are, all of them; else *store is NULL. */
gradcam_status gc_external_stay(const GcOnnx__Tensor *header, const gc_source *source,
                                const gc_tensor *type, gc_store **store, uint64_t *offset,
                                gradcam_error *error);

/** Allocates storage of a described tensor and fills it from data of exactly its size. Storage may
 *  be there on failure, too. */
gradcam_status gc_external_load(const GcOnnx__Tensor *header, const gc_source *source,
                                gc_tensor *tensor, gradcam_error *error);

#endif
