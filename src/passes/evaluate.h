/* SPDX-License-Identifier: Apache-2.0 */
/* Shape inference and evaluation of single nodes, as the passes need them. */
#ifndef GC_PASSES_EVALUATE_H
#define GC_PASSES_EVALUATE_H

#include "ops/op.h"

enum { GC_MAX_OPERANDS = 512 }; /**< Inputs or outputs of one node. */

/** The tensors of one node while it is inferred or evaluated. */
typedef struct gc_operands {
    gc_tensor inputs[GC_MAX_OPERANDS], outputs[GC_MAX_OPERANDS];
    const gc_tensor *input_pointers[GC_MAX_OPERANDS];
    gc_tensor *output_pointers[GC_MAX_OPERANDS];
} gc_operands;

/** Fills `operands` from the graph (data where constant), and `call` to point to them. Fails where
 *  there are more than GC_MAX_OPERANDS. */
gradcam_status gc_operands_init(gc_operands *operands, gc_call *call, const gc_graph *graph,
                                const gc_node *node, gradcam_error *error);

/** Runs the operator's shape rule and stores the types of the outputs in the graph. */
gradcam_status gc_infer_node(gc_graph *graph, const gc_node *node, gc_operands *operands,
                             gradcam_error *error);

/** Can the node be evaluated now: are all its inputs constant, or does it depend on shapes only? */
bool gc_is_foldable(const gc_graph *graph, const gc_node *node);

/** Infers and runs the node; its outputs become constants of the graph. */
gradcam_status gc_evaluate_node(gc_graph *graph, const gc_node *node, gc_operands *operands,
                                gradcam_error *error);

#endif
