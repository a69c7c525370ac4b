/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of an operator: one const row.
 *
 * infer    sets dtype, rank and dims of every present output from the inputs. Constant inputs
 * (axes, shapes, ...) have data; activations do not. Checks everything that the file can get wrong,
 * so that forward and backward may trust sizes. Never guesses: an input that must be constant and
 * is not is an error that says so. forward  computes the outputs. Plain C, no allocation, no
 * failure except on data that only shows at run time (an index out of range). backward computes
 * gradients of the wanted float inputs from those of the outputs. It overwrites (the engine adds
 * where a value has several consumers). Only activations: the engine asks for no gradient of a
 * constant.
 *
 * The plain kernels are the reference. The engine runs them, or oneDNN's where it has one.
 */
#ifndef GC_OPS_OP_H
#define GC_OPS_OP_H

#include "graph/graph.h"

/** One application of an operator to tensors. Absent inputs and outputs are NULL. */
typedef struct gc_call {
    const gc_graph *graph; /**< For messages only. */
    const gc_node *node;
    int input_count, output_count;
    const gc_tensor *const *inputs;
    gc_tensor *const *outputs;
    void *scratch; /**< See gc_op.scratch. */
    gradcam_error *error;
} gc_call;

/** Which memory layouts a kernel accepts. */
typedef enum gc_op_layouts {
    /** Only row-major. */
    GC_OP_PLAIN = 0,
    /** Any, as long as all operands agree: the kernel gets physical views (see gc_tensor_physical)
     *  and works element by element with broadcasting. Operands that broadcast are converted to
     *  match. What it leaves in the padding of a blocked layout does not matter. */
    GC_OP_ELEMENTWISE,
    /** Any, with extents N, C, spatial...: the kernel reads `layout` itself. */
    GC_OP_SPATIAL
} gc_op_layouts;

/** What backward reads besides the output gradients (a bit set); the engine keeps those alive.
 *  PARAMETERS: the inputs after the first. They are nearly always constants, which live anyway. */
enum { GC_READS_NOTHING = 0, GC_READS_INPUTS = 1, GC_READS_OUTPUTS = 2, GC_READS_PARAMETERS = 4 };

typedef struct gc_op {
    const char *name;   /**< ONNX operator type. */
    const char *domain; /**< "" for ai.onnx. */
    int since;          /**< First opset whose canonical form this row implements; usually 1. */
    int min_inputs, max_inputs; /**< max -1: any number. */
    int max_outputs;
    gc_op_layouts layouts;
    unsigned backward_reads;
    bool is_view;     /**< Output 0 has the bytes of input 0 in the same order (Reshape, ...). */
    bool is_in_place; /**< forward may be called with output 0 in the storage of input 0. */
    gradcam_status (*infer)(const gc_call *call);
    gradcam_status (*forward)(const gc_call *call);
    /** NULL where no gradient exists. */
    gradcam_status (*backward)(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads);
    /** Bytes of call->scratch that forward or backward need; NULL: none. */
    size_t (*scratch)(const gc_call *call);
} gc_op;

/** The row for a node, or NULL. */
const gc_op *gc_op_find(const char *name, const char *domain);

/** All rows, `*count` of them, in alphabetical order. */
const gc_op *const *gc_op_all(size_t *count);

/* ---- Helpers for the rows ------------------------------------------------------------------- */

/** Fails with the node's description in front. For infer and forward. */
gradcam_status gc_op_fail(const gc_call *call, gradcam_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

#ifdef __clang_analyzer__ /* see base/error.h */
#define gc_op_fail(call, status, ...) (gc_op_fail(call, status, __VA_ARGS__), (status))
#endif

/** Loops over fewer elements than this stay on one thread: starting threads would cost more. */
enum { GC_PARALLEL_ELEMENTS = 16384 };

/** Is input `index` there? */
static inline bool gc_op_has(const gc_call *call, int index)
{
    return index < call->input_count && call->inputs[index] != NULL;
}

/** Is output `index` there? */
static inline bool gc_op_gives(const gc_call *call, int index)
{
    return index < call->output_count && call->outputs[index] != NULL;
}

/** Fails where a gradient of another input than the first is wanted: for operators whose further
 *  inputs are parameters. */
gradcam_status gc_op_check_first_grad(const gc_call *call, gc_tensor *const *input_grads);

/** Output 0 = same type and extents as input 0. */
gradcam_status gc_op_infer_same(const gc_call *call);

/** An optional constant integer input: *values stays as it is where the input is absent. Fails
 * where it is not constant or not of rank 0 or 1. */
gradcam_status gc_op_const_ints(const gc_call *call, int index, const int64_t **values,
                                size_t *count);

/** Wraps a negative axis; fails outside [-rank, rank). */
gradcam_status gc_op_axis(const gc_call *call, int64_t axis, int rank, int *out);

/** The NumPy broadcast of a and b into the extents of `out` (dtype is left alone). */
gradcam_status gc_op_broadcast(const gc_call *call, const gc_tensor *a, const gc_tensor *b,
                               gc_tensor *out);

/**
 * A spatial view shared by all layouts: element (o, s, i) of N x C x spatial lies at
 * (o * spatial + s) * inner + i. PLAIN: outer = N*C, inner = 1. BLOCKEDb: outer = N*ceil(C/b),
 * inner = b. LAST: outer = N, inner = C. So a global pool is one loop nest.
 */
typedef struct gc_spatial {
    int64_t outer, spatial, inner;
} gc_spatial;
gc_spatial gc_spatial_of(const gc_tensor *tensor);

#endif
