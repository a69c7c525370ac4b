/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes over graphs. Two moments:
 *   once a model     gc_prepare: gc_check_supported, gc_fold_constants,
 *                    gc_join_quantization, gc_prepare_batchnorm
 *   once a shape     gc_unroll where there is control flow; gc_specialize: concrete shapes,
 *                    everything that depends only on them folded, no-ops dropped; then
 *                    gc_fold_batchnorm, which must know what is observed.
 */
#ifndef GC_PASSES_PASSES_H
#define GC_PASSES_PASSES_H

#include "graph/graph.h"

/** Fails with GRADCAM_ERROR_UNSUPPORTED and the list of all operators that have no row (with their
 *  first node and how many there are), or that have more or fewer inputs than their row allows. */
gradcam_status gc_check_supported(const gc_graph *graph, gradcam_error *error);

/** The second half of that. Passes that look at nodes before shapes are known rely on it. */
gradcam_status gc_check_operands(const gc_graph *graph, gradcam_error *error);

/** Runs every node that has only constant inputs and turns its outputs into constants. */
gradcam_status gc_fold_constants(gc_graph *graph, gradcam_error *error);

/** Makes pairs of QuantizeLinear and DequantizeLinear one operator; see quantize.c. */
gradcam_status gc_join_quantization(gc_graph *graph, gradcam_error *error);

/** All that is done once after reading: dead nodes removed, operators checked, constants folded,
 *  BatchNormalization prepared. */
gradcam_status gc_prepare(gc_graph *graph, gradcam_error *error);

/** A value that is given from outside, with its concrete type and extents. */
typedef struct gc_feed {
    int value;
    gc_tensor type; /**< data is ignored. */
} gc_feed;

/**
 * A copy of `graph` for concrete inputs.
 *
 * Any value may be fed: what produced it is cut off. Only what the `targets` need remains; they
 * become the outputs. On success every remaining value has a concrete type, and value indices are
 * those of `graph` (dropped values say in `same_as` which one took their place).
 *
 * @return GRADCAM_ERROR_SHAPE, _MODEL, _UNSUPPORTED, _MEMORY, _LIMIT: with the node.
 */
gradcam_status gc_specialize(gc_graph **specialized, const gc_graph *graph, const gc_feed *feeds,
                             int feed_count, const int *targets, int target_count,
                             gradcam_error *error);

/** Is this an If, a Loop, or an operator on sequences, which gc_unroll takes away? */
bool gc_is_unrolled(const gc_node *node);
bool gc_has_control_flow(const gc_graph *graph);

/**
 * Replaces, in place, every If, Loop and sequence that follows from constants and the shapes of the
 * inputs by the nodes it stands for. The others stay.
 *
 * @return GRADCAM_ERROR_MODEL, _LIMIT (a loop that does not end), _UNSUPPORTED, _MEMORY.
 */
gradcam_status gc_unroll(gc_graph *graph, const gc_feed *feeds, int feed_count,
                         gradcam_error *error);

/** Fails and says why the node could not be unrolled. */
gradcam_status gc_refuse_control_flow(const gc_graph *graph, const gc_node *node,
                                      gradcam_error *error);

/** Multiply-accumulate operations of a specialised graph: of convolutions and matrix products. */
int64_t gc_count_macs(const gc_graph *graph);

/** The value that stands for `value` now. */
int gc_graph_resolve(const gc_graph *graph, int value);

/** Number of inputs of nodes, and graph outputs, that read each value; *counts has value_count
 *  entries, to be freed with gc_free. */
gradcam_status gc_count_uses(const gc_graph *graph, int **counts, gradcam_error *error);

/** Where a BatchNormalization follows a convolution with constant weights, computes the weights of
 *  the folded convolution once and keeps them as attributes of the node, shared by all clones. */
gradcam_status gc_prepare_batchnorm(gc_graph *graph, gradcam_error *error);

/** Folds the prepared BatchNormalizations into their convolutions, except where the tensor between
 *  them is observed (observed[value] true) or used elsewhere. */
gradcam_status gc_fold_batchnorm(gc_graph *graph, const bool *observed, gradcam_error *error);

#endif
