/* SPDX-License-Identifier: Apache-2.0 */
/* A serialized tensor, in any of ONNX's encodings, to a gc_tensor. */
#ifndef GC_ONNX_TENSOR_H
#define GC_ONNX_TENSOR_H

#include "graph/tensor.h"
#include "onnx/onnx.pb-c.h"
#include "onnx/source.h"

typedef struct gc_tensor_message {
    GcOnnx__Tensor *header; /**< Everything but the payload. */
    gc_bytes payload; /**< Where it lies in the source; data is NULL where the header holds it. */
    uint64_t payload_field; /**< 4 float_data, 9 raw_data, 10 double_data. */
} gc_tensor_message;

gradcam_status gc_tensor_message_open(gc_tensor_message *message, gc_bytes bytes,
                                      gradcam_error *error);
void gc_tensor_message_close(gc_tensor_message *message);

/** May float32 elements stay in a file, which holds them as storage would? Then *type describes
 *  them, *store is the file, to be released, and *offset where they are; else *store is NULL. */
gradcam_status gc_tensor_message_stay(const gc_tensor_message *message, const gc_source *source,
                                      gc_tensor *type, gc_store **store, uint64_t *offset,
                                      gradcam_error *error);

/** Allocates and fills `tensor`; release it with gc_tensor_free. GRADCAM_ERROR_UNSUPPORTED for
 *  strings, complex and sub-byte types, and for more than GC_MAX_RANK extents. */
gradcam_status gc_tensor_message_load(const gc_tensor_message *message, const gc_source *source,
                                      gc_tensor *tensor, gradcam_error *error);

/** Is a field of a serialized tensor one that may be left in the file? See outline.c. */
bool gc_is_payload(const gc_field *field);

/** Fills a described tensor, whose storage is there, with elements that lie in a file. */
gradcam_status gc_onnx_read_elements(const gc_store *store, uint64_t offset, gc_tensor *tensor,
                                     gradcam_error *error);

/** Does ONNX's TensorProto.DataType `number` have a gc_dtype? GC_UNDEFINED if not. */
gc_dtype gc_onnx_dtype(int32_t number);

/** Bytes of one element in raw and external data. */
size_t gc_onnx_element_size(gc_dtype dtype);

/** Converts `count` little-endian elements (no alignment needed) to storage at element `first`. */
void gc_onnx_convert(gc_tensor *tensor, size_t first, const uint8_t *bytes, size_t count);

#endif
