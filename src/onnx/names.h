/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that the reader makes others of. */
#ifndef GC_ONNX_NAMES_H
#define GC_ONNX_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/** `becomes` is the operator that does the work, in ai.onnx: that of QLinearConv is Conv. */
typedef struct gc_read_name {
    const char *op, *domain, *becomes;
} gc_read_name;

/** The operator that an operator of a file becomes, or NULL where it stays what it is. */
const char *gc_onnx_becomes(const char *op, const char *domain);

/** Name number `index` of all that become others; false behind the last. */
bool gc_onnx_read_name(size_t index, gc_read_name *name);

#endif
