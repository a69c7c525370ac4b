/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a plan, shared by the files that build it.
 *
 * An item is a tensor that exists while the plan runs: the activation of a value, or the gradient
 * of one. It has a home layout, in which it is computed, and may have copies in others. Each copy
 * lives in a slot: a range of bytes with a lifetime in steps. Several items may share a slot
 * (views, in-place kernels). Steps run in three phases: setup once, forward, backward.
 */
#ifndef GC_ENGINE_BUILD_H
#define GC_ENGINE_BUILD_H

#include "engine/plan.h"
#include "ops/op.h"

enum { GC_LAYOUT_COUNT = 6, GC_NO_SLOT = -1 };

typedef struct gc_slot {
    size_t bytes, offset;
    int first, last;  /**< Steps that touch it; first -1: none yet. */
    bool is_pinned;   /**< Lives from the first step to the end. */
    int readers_left; /**< Reads that are still to be planned, by all items that live here. */
    void *fixed;      /**< Memory from elsewhere (constants); NULL: in the plan's block. */
    int parent;       /**< The slot that this one is a part of, from byte `at` on, or GC_NO_SLOT. */
    size_t at;
    bool has_parts;
} gc_slot;

typedef struct gc_item {
    gc_tensor type;
    gc_layout home;             /**< Rounded only where convolutions alone read it. */
    int slots[GC_LAYOUT_COUNT]; /**< Slot per layout or GC_NO_SLOT. */
    int readers_left;
    bool exists; /**< Its home has been planned. */
} gc_item;

typedef enum gc_phase { GC_PHASE_SETUP, GC_PHASE_FORWARD, GC_PHASE_BACKWARD } gc_phase;

typedef enum gc_step_kind {
    GC_STEP_FORWARD,  /**< op->forward(call) */
    GC_STEP_BACKWARD, /**< op->backward(call, output_grads, input_grads) */
    GC_STEP_KERNEL,   /**< oneDNN */
    GC_STEP_ADD,      /**< tensors[2] = tensors[0] + tensors[1] */
    GC_STEP_ZERO,     /**< tensors[0] = 0 */
    GC_STEP_GUIDE,    /**< tensors[1] = tensors[0], only its positive part where plan->is_guided */
    GC_STEP_AFFINE,   /**< tensors[1] = step->affine of tensors[0] (and tensors[2]) */
    GC_STEP_RELAYOUT, /**< tensors[1] = tensors[0], in another layout */
    GC_STEP_CLEAR     /**< Zero the channels of tensors[0] that only pad a block. */
} gc_step_kind;

/** y = scale x + offset a channel, see affine.c. */
typedef struct gc_affine gc_affine;

typedef struct gc_step {
    gc_step_kind kind;
    gc_phase phase;
    const gc_node *node; /**< For profiles; NULL: a reorder or another step of the planner's. */
    const gc_op *op;
    gc_call call;
    const gc_affine *affine;
    gc_kernel *kernel; /**< Owned. */
    int kernel_slots[GC_ARG_COUNT];
    /* The tensors of the step with the slots their data comes from (GC_NO_SLOT: absent). */
    int tensor_count;
    gc_tensor *tensors;
    int *slots;
    const gc_tensor **output_grads;
    gc_tensor **input_grads;
    int scratch_slot;
} gc_step;

struct gc_plan {
    gc_graph *graph; /**< Specialised, owned. */
    gc_packs *packs;
    gc_dnnl *dnnl;
    gc_arena *arena;
    bool plain, strict, bfloat16;
    bool can_guide, is_guided;
    gc_item *items; /**< Activations of all values, then their gradients, then temporaries. */
    int item_count;
    size_t item_capacity;
    gc_slot *slots;
    int slot_count;
    size_t slot_capacity;
    gc_step *steps;
    int step_count;
    size_t step_capacity;
    gc_phase phase;
    const gc_node *node; /**< Being planned. */
    int value_count;     /**< Gradient of value v is item value_count + v. */
    bool *is_kept;       /**< Values that must exist as they are: fetched or read by backward. */
    bool *in_region;     /**< Values that lie on a path from a layer to the target. */
    bool *is_done;       /**< Nodes that are planned or absorbed. */
    int *uses;           /**< Reads of each value by nodes and outputs. */
    int (*readers)[2]; /**< The first two nodes that read each value; valid where `uses` says so. */
    int *hosts;        /**< Per value: the node number of its Concat, or GC_ABSENT (concat.c). */
    int *host_slots;   /**< Per node: the slot of a Concat that hosts its parts. */
    void *block;
    size_t block_bytes;
    gc_tensor *feeds, *fetches, *gradients, *seeds;
    int *feed_slots, *fetch_slots, *gradient_slots, *seed_slots;
    int feed_count, fetch_count, gradient_count, seed_count;
};

/* ---- Slots and items (build.c) -------------------------------------------------------------- */

gradcam_status gc_slot_add(gc_plan *plan, size_t bytes, int *slot, gradcam_error *error);
gradcam_status gc_item_add(gc_plan *plan, const gc_tensor *type, int *item, gradcam_error *error);

static inline int gc_gradient_item(const gc_plan *plan, int value)
{
    return plan->value_count + value;
}

/** A slot within another one, which lives at least as long. */
gradcam_status gc_slot_add_part(gc_plan *plan, int parent, size_t at, size_t bytes, int *slot,
                                gradcam_error *error);

/** Keeps the slot's bytes from the first step to the end. */
void gc_slot_pin(gc_plan *plan, int slot);

/** Gives an item its home in a new slot, or in an existing one (`slot` not GC_NO_SLOT). */
gradcam_status gc_item_place(gc_plan *plan, int item, gc_layout layout, int slot,
                             gradcam_error *error);

/** The slot of an existing item in a layout; adds a reorder where there is no such copy yet. */
gradcam_status gc_item_need(gc_plan *plan, int item, gc_layout layout, int *slot,
                            gradcam_error *error);

/** Can this item lie in the layout at all? (float, N x C x 1 to 3 spatial extents) */
bool gc_item_can_lie(const gc_item *item, gc_layout layout);

/** One planned read of an item is over. */
void gc_item_read(gc_plan *plan, int item);

/** May a step write its result over `slot`, when the step is one of its `own_reads` readers? */
bool gc_slot_is_free_after(const gc_plan *plan, int slot, int own_reads);

/** Is the value a constant? */
static inline bool gc_is_constant(const gc_plan *plan, int value)
{
    return plan->graph->values[value].constant != NULL;
}

/* ---- Steps (build.c) ------------------------------------------------------------------------ */

/** A new step with room for tensors; scratch_slot and kernel_slots are GC_NO_SLOT. */
gradcam_status gc_step_add(gc_plan *plan, gc_step_kind kind, int tensor_count, gc_step **step,
                           gradcam_error *error);

/** Records that the step uses `slot` for its tensor `index`, of the given type. */
void gc_step_set(gc_plan *plan, gc_step *step, int index, const gc_tensor *type, int slot);

/** Gives the step, whose op and call are set, the scratch memory that its operator asks for. */
gradcam_status gc_step_scratch(gc_plan *plan, gc_step *step, gradcam_error *error);

/** Adds a kernel step (takes the kernel over, also on failure) with its scratch memory. */
gradcam_status gc_step_kernel(gc_plan *plan, gc_kernel *kernel, int src_slot, int src2_slot,
                              int bias_slot, int dst_slot, gradcam_error *error);

/** Zeroes the padding channels of a blocked item's home where it has any. */
gradcam_status gc_step_clear(gc_plan *plan, int item, gradcam_error *error);

/* ---- Operators (operands.c, forward.c, accelerate.c, backward.c) ---------------------------- */

/** How an operand takes part in a step: which item and layout, and the extents the kernel sees. */
typedef struct gc_operand {
    int item; /**< -1: absent. */
    gc_layout layout;
    gc_tensor view;
} gc_operand;

/** The layout in which an operator with inputs `items` (-1 absent) should run. */
gc_layout gc_choose_layout(const gc_plan *plan, const gc_op *op, const gc_node *node);

/** Describes value `value` (its activation, or its gradient) for a kernel that runs in `layout` on
 *  results of type `result`. May add an item for an operand of lower rank. */
gradcam_status gc_operand_for(gc_plan *plan, const gc_op *op, int value, bool gradient,
                              gc_layout layout, const gc_tensor *result, gc_operand *operand,
                              gradcam_error *error);

/** Plans one node forward with the operator's own kernel. */
gradcam_status gc_forward_plain(gc_plan *plan, int node, gradcam_error *error);

/** Plans one node in a faster way, if there is one (the table in accelerate.c): by oneDNN, or by a
 *  row below; absorbs what follows it where possible. *taken tells. */
gradcam_status gc_forward_fast(gc_plan *plan, int node, bool *taken, gradcam_error *error);

/** Marks a node as planned, and its inputs as read. */
void gc_node_is_planned(gc_plan *plan, int node);

/** The oneDNN form of a Conv; false where it is none (weights that are not constant, ...). */
bool gc_conv_spec_of(gc_plan *plan, const gc_node *node, gc_conv_spec *spec);

/** A failure to plan a convolution: with the names of node and weights, where it is about those. */
gradcam_status gc_fail_packing(const gc_plan *plan, const gc_node *node, gradcam_status status,
                               gradcam_error *error);

/** Plans all nodes of the region backward, from the seeds of the request's targets. */
gradcam_status gc_backward_build(gc_plan *plan, const gc_plan_request *request,
                                 gradcam_error *error);

/* ---- Ways of convolutions (ways.c) ---------------------------------------------------------- */

/** Is it faster with its operands rounded to bfloat16? */
bool gc_conv_pays_rounded(const gc_conv_spec *spec);

/** Sets the ways that a convolution from value `src` to `dst` (with `residual` added, or GC_ABSENT)
 *  should try, the one with the least estimated time first. */
void gc_conv_rank_ways(const gc_plan *plan, int src, int residual, int dst, gc_conv_spec *spec);

/** The same for the gradient of a convolution's result, item `gradient`. */
void gc_conv_rank_backward_ways(const gc_plan *plan, int gradient, gc_conv_spec *spec);

/* ---- Maps of channels (affine.c) ------------------------------------------------------------ */

/** Plans a BatchNormalization with constant parameters and the rectifier behind it as one step. */
gradcam_status gc_forward_affine(gc_plan *plan, int node, bool *taken, gradcam_error *error);

/** Plans the product of an activation and one factor a channel. */
gradcam_status gc_forward_gate(gc_plan *plan, int node, bool *taken, gradcam_error *error);

void gc_affine_run(const gc_affine *affine, const gc_tensor *from, const gc_tensor *to,
                   const gc_tensor *factors);

/* ---- Concatenation in place (concat.c) ------------------------------------------------------ */

/** Finds the Concat in whose result each value may be computed. */
gradcam_status gc_concat_find_hosts(gc_plan *plan, gradcam_error *error);

/** Is there one for the item in the layout, and the part of its slot for a value. */
bool gc_concat_hosts(const gc_plan *plan, int item, gc_layout layout);
gradcam_status gc_concat_slot(gc_plan *plan, int value, int *slot, gradcam_error *error);

/** Plans a Concat whose parts lie where they belong already. */
gradcam_status gc_forward_concat(gc_plan *plan, int node, bool *taken, gradcam_error *error);

/* ---- Fusion (fuse.c) ------------------------------------------------------------------------ */

/** What a convolution absorbs: the post-operations, the value it then makes, and the nodes. */
typedef struct gc_fusion {
    gc_post posts[GC_MAX_POSTS];
    int post_count;
    int output;
    int residual; /**< Value that a GC_POST_SUM adds, or -1. */
    int nodes[GC_MAX_POSTS + 2];
    int node_count;
} gc_fusion;

/** Everything that may be fused into node `node`; with_sum false leaves residual additions out. */
void gc_fusion_find(const gc_plan *plan, int node, bool with_sum, gc_fusion *fusion);

/* ---- Placement (place.c) -------------------------------------------------------------------- */

/** Gives every slot its offset; *bytes is the size of the block. */
gradcam_status gc_place_slots(gc_plan *plan, size_t *bytes, gradcam_error *error);

#endif
