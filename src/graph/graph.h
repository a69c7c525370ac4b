/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The intermediate representation: a directed acyclic graph of nodes over values.
 *
 * The reader produces canonical nodes: whatever the opset of the file, a node has the inputs and
 * attributes of the newest ONNX form (axes, pads, shapes, bounds are inputs). So an operator has
 * one implementation. See onnx/upgrade.c.
 *
 * Invariants: nodes are in topological order; each value has at most one producer; names are unique
 * among values. Everything but constants lives in the graph's arena.
 */
#ifndef GC_GRAPH_GRAPH_H
#define GC_GRAPH_GRAPH_H

#include "base/limits.h"
#include "graph/tensor.h"

typedef enum gc_attr_type {
    GC_ATTR_INT,
    GC_ATTR_FLOAT,
    GC_ATTR_STRING,
    GC_ATTR_TENSOR,
    GC_ATTR_INTS,
    GC_ATTR_FLOATS,
    GC_ATTR_STRINGS,
    GC_ATTR_GRAPH /**< The body of an If or a Loop; of other nodes only the name is kept. */
} gc_attr_type;

typedef struct gc_body gc_body;

typedef struct gc_attr {
    const char *name;
    gc_attr_type type;
    size_t count; /**< Of ints, floats, strings. */
    union {
        int64_t i;
        float f;
        const char *s;
        const int64_t *ints;
        const float *floats;
        const char *const *strings;
        gc_constant *tensor; /**< A hold that belongs to the graph. */
        const gc_body *body; /**< May be NULL. */
    };
} gc_attr;

enum { GC_ABSENT = -1 }; /**< An optional input or output that is not there. */

typedef struct gc_node {
    const char *name;   /**< May be empty. */
    const char *op;     /**< "Conv". */
    const char *domain; /**< "" for ai.onnx. */
    int opset;          /**< Version of the domain that the file imports. */
    int input_count, output_count;
    int *inputs, *outputs; /**< Value indices or GC_ABSENT. */
    int attr_count;
    gc_attr *attrs;
} gc_node;

/** A sub-graph over the values of the graph; belongs to the graph that read it. Its own values are
 *  made by no node of the graph until a pass puts copies of its nodes there. */
struct gc_body {
    gc_node *nodes; /**< In order. */
    int node_count;
    int *inputs, *outputs;
    int input_count, output_count;
    int *captures; /**< Values from outside that it reads: the last inputs of the node that has it,
                        in the order of its bodies. */
    int capture_count;
    gc_body *next; /**< Of the graph's list. */
};

typedef struct gc_value {
    const char *name;
    gc_tensor type; /**< Extents of -1 are not known yet; rank -1: nothing is. data is NULL. */
    gc_constant *constant; /**< A hold that belongs to the graph; NULL for activations. */
    int producer;          /**< Node index or -1. */
    int same_as; /**< The value that stands for this one since a pass dropped its node, or -1. */
} gc_value;

typedef struct gc_metadata {
    const char *key, *value;
} gc_metadata;

typedef struct gc_graph {
    gc_arena *arena;
    gc_node *nodes;
    gc_value *values;
    int node_count, value_count;
    size_t node_capacity, value_capacity;
    int *inputs, *outputs; /**< Value indices; inputs without those that have a constant. */
    int input_count, output_count;
    gc_body *bodies; /**< All that were read; clones have none of their own. */
    gc_metadata *metadata;
    int metadata_count;
    const char *producer; /**< "pytorch 1.13.0", or "". */
    int64_t ir_version;
    int most_nodes;    /**< That unrolling may make. */
    gc_budget *budget; /**< Counts what folding makes; NULL: no limit. */
} gc_graph;

gradcam_status gc_graph_create(gc_graph **graph, gradcam_error *error);
void gc_graph_destroy(gc_graph **graph);

/** A copy that shares the constants, and attribute arrays: it must not outlive the original. */
gradcam_status gc_graph_clone(gc_graph **copy, const gc_graph *graph, gradcam_error *error);

/** Adds a value; *index is its number. The name is copied; rank -1 until somebody sets the type. */
gradcam_status gc_graph_add_value(gc_graph *graph, const char *name, int *index,
                                  gradcam_error *error);

/** Adds a value that holds a constant; takes over the caller's hold, also on failure. */
gradcam_status gc_graph_add_constant(gc_graph *graph, const char *name, gc_constant *constant,
                                     int *index, gradcam_error *error);

/** Adds a node with room for its inputs and outputs, all GC_ABSENT. Strings are copied. The pointer
 *  is valid until the next node is added; sets no producer. */
gradcam_status gc_graph_add_node(gc_graph *graph, const char *name, const char *op,
                                 const char *domain, int opset, int input_count, int output_count,
                                 gc_node **node, gradcam_error *error);

/** Adds or replaces attributes. */
gradcam_status gc_node_set_int(gc_graph *graph, gc_node *node, const char *name, int64_t value,
                               gradcam_error *error);
gradcam_status gc_node_set_ints(gc_graph *graph, gc_node *node, const char *name,
                                const int64_t *values, size_t count, gradcam_error *error);
gradcam_status gc_node_set_attr(gc_graph *graph, gc_node *node, gc_attr attr, gradcam_error *error);
void gc_node_remove_attr(gc_node *node, const char *name);

/** Gives a node that has none the attributes of another, sharing tensors and arrays. */
gradcam_status gc_node_copy_attrs(gc_graph *graph, gc_node *node, const gc_node *from,
                                  gradcam_error *error);

/** Releases what the attributes of a node hold that is taken out of a graph. */
void gc_node_release(gc_node *node);

/** Sorts nodes so that producers come first, fills in producers, fails on cycles, on two producers
 *  of one value, and on values that nothing produces (naming the node). */
gradcam_status gc_graph_sort(gc_graph *graph, gradcam_error *error);

/** Drops nodes of which no output is used, starting from the graph's outputs, and nodes whose used
 *  outputs have become constants. */
gradcam_status gc_graph_remove_dead(gc_graph *graph, gradcam_error *error);

/** Index of a value by name, or -1. Linear. */
int gc_graph_find_value(const gc_graph *graph, const char *name);

/** Attribute look-up with a default for a missing one (or one of another type). */
const gc_attr *gc_attr_find(const gc_node *node, const char *name);
int64_t gc_attr_int(const gc_node *node, const char *name, int64_t missing);
float gc_attr_float(const gc_node *node, const char *name, float missing);
const char *gc_attr_string(const gc_node *node, const char *name, const char *missing);
/** NULL and *count = 0 where missing. */
const int64_t *gc_attr_ints(const gc_node *node, const char *name, size_t *count);

/** "node 'Conv_3' (Conv)", or "the Conv that makes 'x'" for a nameless one. */
enum { GC_NODE_TEXT = 256 };
const char *gc_node_text(const gc_graph *graph, const gc_node *node, char text[GC_NODE_TEXT]);

/** A failure that is about an input of a node, a weight: puts the names of both in front. */
gradcam_status gc_fail_weight(const gc_graph *graph, const gc_node *node, int input,
                              gradcam_status status, gradcam_error *error);

/** gc_constant_load for an input of a node that is constant. */
gradcam_status gc_node_load(const gc_graph *graph, const gc_node *node, int input,
                            gc_tensor *tensor, gradcam_error *error);

/** Sets depends[v] for `value` and every value computed from it; the graph is sorted, `depends` has
 *  room for all values. */
void gc_graph_mark_dependent(const gc_graph *graph, int value, bool *depends);

#endif
