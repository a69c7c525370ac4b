/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings nodes to the form of the newest opset (21), so that an operator has one implementation.
 *
 * Where that needs what is not known yet (the rank of an activation), the old meaning stays as an
 * attribute of ours:
 *   Softmax, LogSoftmax, Hardmax  `coerce2d` = 1: extents before `axis` are rows, the rest columns
 *   Add, Sub, Mul, Div, Pow, comparisons, logic, PRelu
 *                                 `broadcast` = 1: the second operand's extents stand at `axis`
 *                                 of the first's
 *   GroupNormalization            `per_group` = 1: scale and bias have one element a group
 * Constants that come from attributes are float32 or int64, whatever the type of the operands.
 */
#ifndef GC_ONNX_UPGRADE_H
#define GC_ONNX_UPGRADE_H

#include "onnx/build.h"

/** The state of the pass. */
typedef struct gc_upgrade {
    gc_builder *builder;
    const gc_scope *scope; /**< Of the main graph. */
    const int *uses;       /**< How often each value of the file is used. */
} gc_upgrade;

/** Rewrites nodes of `op` in opsets before `below`. */
typedef struct gc_upgrade_row {
    const char *op;
    int below;
    gradcam_status (*apply)(const gc_upgrade *upgrade, gc_node *node);
} gc_upgrade_row;

enum { GC_ANY_OPSET = 0x7fffffff };

/** Rows are applied in order; a row that renames the operator stands behind the new name's. */
extern const gc_upgrade_row gc_upgrade_rows[];
extern const size_t gc_upgrade_row_count;

gradcam_status gc_upgrade_graph(gc_builder *builder, const gc_scope *scope);

/* ---- Helpers for the rows ------------------------------------------------------------------- */

/** Input `index` = `value`; inputs in between become absent. */
gradcam_status gc_upgrade_set_input(const gc_upgrade *u, gc_node *node, int index, int value);

/** Is input `index` there? */
bool gc_upgrade_has(const gc_node *node, int index);

/** Moves an attribute (INT, INTS, FLOAT or FLOATS; nothing happens where it is missing) to input
 *  `index`, unless that is there already. INT becomes one element, FLOAT a scalar. */
gradcam_status gc_upgrade_to_input(const gc_upgrade *u, gc_node *node, const char *attr, int index);

gradcam_status gc_upgrade_set_string(const gc_upgrade *u, gc_node *node, const char *name,
                                     const char *value);

gradcam_status gc_upgrade_fail(const gc_upgrade *u, const gc_node *node, const char *text);

#endif
