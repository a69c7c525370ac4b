/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as a declared type would hold them, in the int64 that stores every integer type. */
#ifndef GC_OPS_CONVERT_H
#define GC_OPS_CONVERT_H

#include "ops/op.h"

/** Wraps to the range of an integer type; bool becomes 0 or 1. */
int64_t gc_convert_integer(int64_t value, gc_dtype dtype);

/** Truncates toward zero, then wraps; NaN and what int64 cannot hold become INT64_MIN, as on x86.
 */
int64_t gc_convert_float(double value, gc_dtype dtype);

/** Wraps a whole tensor in place; does nothing for types that fill their storage. */
void gc_convert_wrap(const gc_tensor *tensor);

#endif
