/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which layers can be explained, which one is by default, and how a user names one.
 *
 * A candidate is an activation N x C x spatial (channels first, at least one spatial extent above
 * 1) from which the score is computed.
 */
#ifndef GC_CAM_LAYERS_H
#define GC_CAM_LAYERS_H

#include "passes/passes.h"

typedef struct gc_candidate {
    int value;
    const char *name; /**< Of the node, or of its output where the node has none. */
    const char *op;
} gc_candidate;

typedef struct gc_layers {
    gc_candidate *items; /**< In order of execution. */
    int count;
    int chosen; /**< Index of the target layer; of several, the first that was asked for. */
    char reason[256];
} gc_layers;

/**
 * Lists the candidates for `score` and chooses the default: walking back from the score, the input
 * of the first operator that removes the spatial extent (a global pool, a mean, a flatten).
 *
 * @param graph specialised: all shapes are concrete.
 * @param input_rank rank of the network's input: candidates have the same.
 * @return GRADCAM_OK; GRADCAM_ERROR_LAYER where there is no candidate; _MEMORY. gc_layers_free is
 *         allowed in any case.
 */
gradcam_status gc_layers_find(gc_layers *layers, const gc_graph *graph, int score, int input_rank,
                              gradcam_error *error);

/**
 * Chooses by text: an index, an exact node or output name, or a part of a name. A part that several
 * names have as a whole path component ("layer4") means the last of them.
 *
 * @param original the graph as read, whose names count also where a pass dropped the node.
 * @return GRADCAM_OK; GRADCAM_ERROR_LAYER with the candidates in the message.
 */
gradcam_status gc_layers_select(gc_layers *layers, const gc_graph *graph, const gc_graph *original,
                                const char *text, gradcam_error *error);

/**
 * Chooses any number by a text: a pattern with * and ? over names of nodes and outputs, "all" (all
 * convolutions), or as gc_layers_select.
 *
 * @param list receives indices that are not yet among its *count; has room for layers->count.
 */
gradcam_status gc_layers_select_several(gc_layers *layers, const gc_graph *graph,
                                        const gc_graph *original, const char *text, int *list,
                                        int *count, gradcam_error *error);

void gc_layers_free(gc_layers *layers);

#endif
