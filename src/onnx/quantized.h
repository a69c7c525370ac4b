/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators on quantised tensors as the floating operators they stand for: QLinearConv is
 * QuantizeLinear(Conv(DequantizeLinear(x), DequantizeLinear(w), DequantizeLinear(b))). So graphs in
 * the QOperator format become those in the QDQ format, and gradients, fusion and kernels are those
 * of the floating operators. Results may differ from integer arithmetic by one step of the output
 * where a value lies within a float's rounding error of the middle between two steps.
 */
#ifndef GC_ONNX_QUANTIZED_H
#define GC_ONNX_QUANTIZED_H

#include "onnx/build.h"

typedef struct gc_expander gc_expander;

typedef struct gc_expansion_row {
    const char *op, *domain;
    const char *becomes; /**< The floating operator. */
    gradcam_status (*apply)(gc_expander *expander);
} gc_expansion_row;

extern const gc_expansion_row gc_expansion_rows[];
extern const size_t gc_expansion_row_count;

/** Replaces all such nodes. Others keep their order. */
gradcam_status gc_expand_quantized(gc_builder *builder, const gc_scope *scope);

/** Quantised activations are carried as float32: so must be the constants that are clipped, padded
 *  or joined with them. On a sorted graph. */
gradcam_status gc_carry_quantized(gc_builder *builder, const gc_scope *scope);

#endif
