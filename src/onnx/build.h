/* SPDX-License-Identifier: Apache-2.0 */
/* The state of reading one model: the graph that grows, and which name means which value. */
#ifndef GC_ONNX_BUILD_H
#define GC_ONNX_BUILD_H

#include "base/map.h"
#include "graph/graph.h"
#include "onnx/tensor.h"

/** Counts above these are no network but an attack; for nodes and nesting see gradcam_limits. */
enum {
    GC_MAX_VALUES_PER_NODE = 4, /**< On the average, of the most nodes that a model may have. */
    GC_MAX_INPUTS = 4096,       /**< Of the graph, without initializers. */
    GC_MAX_OPERANDS = 65536,    /**< Inputs or outputs of one node. */
    GC_MAX_ATTRS = 256          /**< Of one node. */
};

/** A part of the file that is read later. */
typedef struct gc_piece {
    uint64_t number; /**< Field of the enclosing message. */
    gc_bytes bytes;
} gc_piece;

typedef struct gc_pieces {
    gc_piece *items;
    size_t count, capacity;
} gc_pieces;

/** A constant that cannot be represented. That is an error only if something uses it. */
typedef struct gc_refusal {
    int value;
    const char *reason;
} gc_refusal;

typedef struct gc_functions gc_functions;

typedef struct gc_builder {
    gc_graph *graph;
    const gc_source *source;
    gc_map *taken;           /**< Names of values that are not of the main graph's scope. */
    gc_functions *functions; /**< NULL where the model has none. */
    int node_total;          /**< Nodes read so far, calls and constants included. */
    gc_refusal *refusals;
    gc_map *refused; /**< Names of their values. */
    size_t refusal_count, refusal_capacity;
    gradcam_error *error;
} gc_builder;

/** How many values the model may have. */
static inline int gc_build_most_values(const gc_builder *builder)
{
    return builder->graph->most_nodes * GC_MAX_VALUES_PER_NODE;
}

/** What names mean: in the main graph, or in one call of a function. */
typedef struct gc_scope {
    gc_map *names; /**< To value indices, or GC_ABSENT for an operand that the call leaves out. */
    const gc_map *main_names;
    const struct gc_scope *outer; /**< Around a sub-graph; NULL elsewhere. */
    GcOnnx__OperatorSet *const *imports;
    size_t import_count;
    int default_opset;   /**< Of ai.onnx where it is not imported; 0: that is an error. */
    const char *prefix;  /**< Of the names of values and nodes, "" in the main graph. */
    const gc_node *call; /**< Whose attributes `ref_attr_name` means; NULL in the main graph. */
    const gc_pieces *defaults; /**< Serialized attributes that hold where the call has none. */
    int depth;
} gc_scope;

/** *index = the value of that name, which is added if new; GC_ABSENT for "". */
gradcam_status gc_build_value(gc_builder *builder, const gc_scope *scope, const char *name,
                              int *index);

/** Adds a value that is local to a sub-graph or function, under a name that is not in use. */
gradcam_status gc_build_local(gc_builder *builder, const gc_scope *scope, const char *name,
                              int *index);

/** Gives the value of that name a constant; takes over the hold, also on failure. */
gradcam_status gc_build_constant(gc_builder *builder, const gc_scope *scope, const char *name,
                                 gc_constant *constant);

/** Adds a constant under a name like `wanted` that is not in use; takes over the hold. */
gradcam_status gc_build_fresh_constant(gc_builder *builder, const gc_scope *scope,
                                       const char *wanted, gc_constant *constant, int *index);

/** *index = a new value under a name like `wanted` that is not in use. */
gradcam_status gc_build_fresh_value(gc_builder *builder, const gc_scope *scope, const char *wanted,
                                    int *index);

/** Decodes a tensor. */
gradcam_status gc_build_tensor(gc_builder *builder, const gc_tensor_message *message,
                               gc_constant **constant);

/** Notes why the value of that name has no constant. */
gradcam_status gc_build_refuse(gc_builder *builder, const gc_scope *scope, const char *name,
                               const char *reason);

/** Is this the value of a refused constant? */
bool gc_build_is_refused(const gc_builder *builder, int value);

/** Fails where a refused constant is used. */
gradcam_status gc_build_check_refusals(gc_builder *builder);

/** The version of `domain` in this scope, 0 if that is unknown. */
int gc_scope_opset(const gc_scope *scope, const char *domain);

/** "" for "ai.onnx", which is the same. */
const char *gc_domain(const char *domain);

/** Appends to a list of pieces. */
gradcam_status gc_pieces_add(gc_pieces *pieces, uint64_t number, gc_bytes bytes,
                             gradcam_error *error);

/** Reads one serialized node: adds it, or its constant, or the body of the function it calls. */
gradcam_status gc_build_node(gc_builder *builder, const gc_scope *scope, gc_bytes bytes);

/** If the last node of the graph is a fused operator of com.microsoft that is known, replaces it by
 *  what it is made of. */
gradcam_status gc_build_fused(gc_builder *builder, const gc_scope *scope);

/** Reads the bodies of node `index` of the graph if it is an If or a Loop; `bytes` is the node. */
gradcam_status gc_build_bodies(gc_builder *builder, const gc_scope *scope, int index,
                               gc_bytes bytes);

/** Reads the serialized main graph: the whole of it, canonical and sorted. */
gradcam_status gc_build_graph(gc_builder *builder, const gc_scope *scope, gc_bytes bytes);

/** Takes the model's functions in; release with gc_functions_close. */
gradcam_status gc_functions_open(gc_builder *builder, const gc_pieces *serialized);
void gc_functions_close(gc_builder *builder);

/** If the last node of the graph calls a function of the model, replaces it by the body. */
gradcam_status gc_build_call(gc_builder *builder, const gc_scope *scope, const char *overload);

#endif
