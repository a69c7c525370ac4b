/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between arrays whose axes lie differently: transposes, slices, parts of a whole, repeats.
 * Axes are ordered, merged and cut so that memory is walked in order as far as that is possible. */
#ifndef GC_OPS_STRIDED_H
#define GC_OPS_STRIDED_H

#include "ops/op.h"

enum { GC_STRIDED_RANK = 2 * GC_MAX_RANK };

/** Strides are in elements, may be negative, and in `from` also 0 (a repeat). Elements of the
 * target are written once each. */
typedef struct gc_strided {
    int rank;
    int64_t dims[GC_STRIDED_RANK], from[GC_STRIDED_RANK], to[GC_STRIDED_RANK];
} gc_strided;

/** Appends an axis. */
void gc_strided_axis(gc_strided *view, int64_t extent, int64_t from, int64_t to);

/** The same copy the other way round. */
gc_strided gc_strided_reversed(const gc_strided *view);

/** target[index . to] = source[index . from] for all indices; elements of either storage type. */
void gc_strided_copy(const gc_strided *view, const void *source, void *target, bool is_float);

/** Bytes of an element. */
static inline size_t gc_element_size(bool is_float)
{
    return is_float ? sizeof(float) : sizeof(int64_t);
}

/** Address of an element. */
static inline void *gc_element(const gc_tensor *tensor, int64_t offset)
{
    return (char *)tensor->data +
           offset * (int64_t)gc_element_size(gc_dtype_is_float(tensor->dtype));
}

#endif
