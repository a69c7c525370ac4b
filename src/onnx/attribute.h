/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GC_ONNX_ATTRIBUTE_H
#define GC_ONNX_ATTRIBUTE_H

#include "onnx/build.h"

/** Reads one serialized attribute; a tensor in it is a hold of the caller's. *is_present is false
 *  for a reference to an attribute that the function's call does not give. */
gradcam_status gc_build_attr(gc_builder *builder, const gc_scope *scope, gc_bytes bytes,
                             gc_attr *attr, bool *is_present);

#endif
