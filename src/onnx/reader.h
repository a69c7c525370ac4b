/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX to gc_graph.
 *
 * The graph is sorted and canonical (see upgrade.c), initializers and Constant nodes are constants,
 * calls of the model's own functions are replaced by their bodies. Operators are not looked at
 * beyond that: whoever runs the graph says which are unknown.
 */
#ifndef GC_ONNX_READER_H
#define GC_ONNX_READER_H

#include "base/budget.h"
#include "graph/graph.h"

/** What a model may ask for. */
typedef struct gc_onnx_bounds {
    gc_budget *budget; /**< Counts constants; NULL: no limit. The weights are not given back. */
    const gradcam_limits *limits; /**< NULL: the defaults. */
    size_t large_payload;         /**< Bytes of weights that are left in the file; 0: the usual. */
} gc_onnx_bounds;

/** @param bounds NULL: no budget, default limits.
 *  @return GRADCAM_OK; GRADCAM_ERROR_FILE, _MODEL, _UNSUPPORTED, _LIMIT, _MEMORY. The message
 *  names the file. */
gradcam_status gc_onnx_read_file(gc_graph **graph, const char *path, const gc_onnx_bounds *bounds,
                                 gradcam_error *error);

/** @param folder where external data lies; NULL: there must be none. */
gradcam_status gc_onnx_read(gc_graph **graph, const void *bytes, size_t size, const char *folder,
                            gradcam_error *error);

/** A serialized TensorProto; release the tensor with gc_tensor_free. */
gradcam_status gc_onnx_read_tensor(gc_tensor *tensor, const void *bytes, size_t size,
                                   gradcam_error *error);

#endif
