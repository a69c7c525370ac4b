/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which layers can be explained, which one is by default, and how a user names one.
 *
 * A candidate is an activation from which the score is computed and whose axes are known (see
 * axes.h): batch, channels, and more than one place, be they spatial extents or tokens.
 */
#ifndef GC_CAM_LAYERS_H
#define GC_CAM_LAYERS_H

#include "cam/axes.h"
#include "passes/passes.h"

typedef struct gc_candidate {
    int value;
    const char *name; /**< Of the node, or of its output where the node has none. */
    const char *op;
    gc_axes axes;
} gc_candidate;

typedef struct gc_layers {
    gc_candidate *items; /**< In order of execution. */
    int count;
    int score;  /**< The value the candidates lead to. */
    int chosen; /**< Index of the target layer; of several, the first that was asked for. */
    char reason[256];
    char refusal[512]; /**< Why none is chosen by default (chosen is -1 then). */
} gc_layers;

/**
 * Lists the candidates for `score` and chooses the default: walking back from the score, the input
 * of the first operator that removes the spatial extent (a global pool, a mean, a flatten). Of
 * tokens, the last ones through which all that the score knows of the picture goes: in a
 * transformer that reads a class token, what the last attention reads.
 *
 * @param graph specialised: all shapes are concrete.
 * @param tokens the user's --tokens, or NULL.
 * @return GRADCAM_OK; GRADCAM_ERROR_LAYER where there is no candidate; _MEMORY. gc_layers_free is
 *         allowed in any case.
 */
gradcam_status gc_layers_find(gc_layers *layers, const gc_graph *graph, int score,
                              const gc_tokens *tokens, gradcam_error *error);

/**
 * Chooses by text, or with NULL the default, which fails where there is none: an index, an exact
 * node or output name, or a part of a name. A part that several names have as a whole path
 * component ("layer4") means the last of them.
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
