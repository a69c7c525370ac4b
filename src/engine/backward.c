/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reverse mode over the region between the layers and the target.
 *
 * Nodes are visited in reverse order, so that all consumers of a value have contributed to its
 * gradient before its producer reads it. The first contribution becomes the gradient, further ones
 * are added.
 */
#include "engine/build.h"

#include <string.h>

typedef struct back_plan {
    const gc_node *node;
    const gc_op *op;
    gc_layout layout;
    /* In this order: inputs, outputs, gradients of outputs, gradients of inputs. */
    gc_operand *operands;
    int *slots;
    int count;
} back_plan;

static bool is_wanted(const gc_plan *plan, const gc_node *node, int input)
{
    const int v = node->inputs[input];
    return v != GC_ABSENT && plan->in_region[v];
}

static bool wants_any(const gc_plan *plan, const gc_node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (is_wanted(plan, node, i))
            return true;
    return false;
}

/* ---- Contributions -------------------------------------------------------------------------- */

static gradcam_status add_up(gc_plan *plan, int gradient, int term, gradcam_error *error)
{
    const gc_layout layout = plan->items[gradient].home;
    int term_slot = GC_NO_SLOT, sum_slot = GC_NO_SLOT;
    gc_step *step = NULL;
    GC_TRY(gc_item_need(plan, term, layout, &term_slot, error));
    gc_tensor type = plan->items[gradient].type;
    type.layout = layout;
    GC_TRY(gc_slot_add(plan, gc_tensor_bytes(&type), &sum_slot, error));
    GC_TRY(gc_step_add(plan, GC_STEP_ADD, 3, &step, error));
    const gc_tensor view = gc_tensor_physical(&type);
    gc_step_set(plan, step, 0, &view, plan->items[gradient].slots[layout]);
    gc_step_set(plan, step, 1, &view, term_slot);
    gc_step_set(plan, step, 2, &view, sum_slot);
    for (int i = 0; i < GC_LAYOUT_COUNT; i++)
        plan->items[gradient].slots[i] = GC_NO_SLOT;
    plan->items[gradient].slots[layout] = sum_slot;
    return GRADCAM_OK;
}

/* A new item for a contribution to the gradient of `value`; `item` may be the gradient itself. */
static gradcam_status begin_contribution(gc_plan *plan, int value, int *item, gradcam_error *error)
{
    *item = gc_gradient_item(plan, value);
    if (!plan->items[*item].exists)
        return GRADCAM_OK;
    return gc_item_add(plan, &plan->graph->values[value].type, item, error);
}

static gradcam_status end_contribution(gc_plan *plan, int value, int item, gradcam_error *error)
{
    const int gradient = gc_gradient_item(plan, value);
    return item == gradient ? GRADCAM_OK : add_up(plan, gradient, item, error);
}

/* Guided backpropagation: what reaches a rectifier counts only where it is positive. The gradient
 * of the rectifier's output itself, where somebody observes it, becomes the rectified one. */
static bool is_rectifier(const gc_node *node)
{
    return strcmp(node->op, "Relu") == 0 || strcmp(node->op, "Clip") == 0;
}

static gradcam_status guide(gc_plan *plan, int value, gradcam_error *error)
{
    const int item = gc_gradient_item(plan, value);
    const gc_layout layout = plan->items[item].home;
    gc_step *step = NULL;
    int slot = GC_NO_SLOT;
    gc_tensor type = plan->items[item].type;
    type.layout = layout;
    GC_TRY(gc_slot_add(plan, gc_tensor_bytes(&type), &slot, error));
    GC_TRY(gc_step_add(plan, GC_STEP_GUIDE, 2, &step, error));
    const gc_tensor view = gc_tensor_physical(&type);
    gc_step_set(plan, step, 0, &view, plan->items[item].slots[layout]);
    gc_step_set(plan, step, 1, &view, slot);
    for (int i = 0; i < GC_LAYOUT_COUNT; i++)
        plan->items[item].slots[i] = GC_NO_SLOT;
    plan->items[item].slots[layout] = slot;
    return GRADCAM_OK;
}

/* An output nobody differentiated (one part of a Split, say) has the gradient 0. */
static gradcam_status zero_gradient(gc_plan *plan, int value, gradcam_error *error)
{
    const int item = gc_gradient_item(plan, value);
    gc_step *step = NULL;
    GC_TRY(gc_item_place(plan, item, GC_LAYOUT_PLAIN, GC_NO_SLOT, error));
    GC_TRY(gc_step_add(plan, GC_STEP_ZERO, 1, &step, error));
    gc_step_set(plan, step, 0, &plan->items[item].type, plan->items[item].slots[GC_LAYOUT_PLAIN]);
    return GRADCAM_OK;
}

/* ---- Convolutions through oneDNN ------------------------------------------------------------ */

static gradcam_status conv_backward(gc_plan *plan, const gc_node *node, bool *taken,
                                    gradcam_error *error)
{
    gc_conv_spec spec;
    gc_kernel *kernel = NULL;
    int src_slot = GC_NO_SLOT, item = 0;
    if (plan->plain || strcmp(node->op, "Conv") != 0 || !gc_conv_spec_of(plan, node, &spec))
        return GRADCAM_OK;
    gc_conv_rank_backward_ways(plan, gc_gradient_item(plan, node->outputs[0]), &spec);
    gradcam_status status = gc_dnnl_conv_backward(plan->dnnl, plan->packs, &spec, &kernel, error);
    if (status != GRADCAM_OK)
        return gc_fail_packing(plan, node, status, error);
    if (kernel == NULL)
        return GRADCAM_OK;
    const gc_layout layout = gc_kernel_dst_layout(kernel);
    status = gc_item_need(plan, gc_gradient_item(plan, node->outputs[0]),
                          gc_kernel_src_layout(kernel), &src_slot, error);
    if (status == GRADCAM_OK)
        status = begin_contribution(plan, node->inputs[0], &item, error);
    if (status == GRADCAM_OK)
        status = gc_item_place(plan, item, layout, GC_NO_SLOT, error);
    if (status != GRADCAM_OK) {
        gc_kernel_destroy(&kernel);
        return status;
    }
    GC_TRY(gc_step_kernel(plan, kernel, src_slot, GC_NO_SLOT, GC_NO_SLOT,
                          plan->items[item].slots[layout], error));
    *taken = true;
    return end_contribution(plan, node->inputs[0], item, error);
}

/* ---- Plain kernels -------------------------------------------------------------------------- */

static gradcam_status settle(gc_plan *plan, back_plan *p, int at, int value, bool gradient,
                             bool needed, gradcam_error *error)
{
    const gc_tensor *const result = &plan->graph->values[p->node->outputs[0]].type;
    GC_TRY(
        gc_operand_for(plan, p->op, value, gradient, p->layout, result, &p->operands[at], error));
    p->slots[at] = GC_NO_SLOT;
    if (p->operands[at].item == GC_ABSENT || !needed)
        return GRADCAM_OK;
    return gc_item_need(plan, p->operands[at].item, p->operands[at].layout, &p->slots[at], error);
}

static gradcam_status settle_reads(gc_plan *plan, back_plan *p, gradcam_error *error)
{
    const gc_node *const node = p->node;
    const unsigned reads = p->op->backward_reads;
    for (int i = 0; i < node->input_count; i++) {
        const int v = node->inputs[i];
        const bool is_read =
            (reads & GC_READS_INPUTS) != 0 || (i > 0 && (reads & GC_READS_PARAMETERS) != 0);
        const bool needed = v != GC_ABSENT && (gc_is_constant(plan, v) || is_read);
        GC_TRY(settle(plan, p, i, v, false, needed, error));
    }
    for (int o = 0; o < node->output_count; o++) {
        const int v = node->outputs[o];
        GC_TRY(settle(plan, p, node->input_count + o, v, false, (reads & GC_READS_OUTPUTS) != 0,
                      error));
    }
    for (int o = 0; o < node->output_count; o++) {
        const int v = node->outputs[o];
        const bool is_float =
            v != GC_ABSENT && gc_dtype_is_float(plan->graph->values[v].type.dtype);
        if (is_float && !plan->items[gc_gradient_item(plan, v)].exists)
            GC_TRY(zero_gradient(plan, v, error));
        GC_TRY(settle(plan, p, node->input_count + node->output_count + o, is_float ? v : GC_ABSENT,
                      true, true, error));
    }
    return GRADCAM_OK;
}

static gradcam_status settle_results(gc_plan *plan, back_plan *p, gradcam_error *error)
{
    const gc_node *const node = p->node;
    for (int i = 0; i < node->input_count; i++) {
        const int at = node->input_count + 2 * node->output_count + i;
        const int value = is_wanted(plan, node, i) ? node->inputs[i] : GC_ABSENT;
        GC_TRY(settle(plan, p, at, value, true, false, error));
        if (value == GC_ABSENT)
            continue;
        gc_operand *const operand = &p->operands[at];
        GC_TRY(begin_contribution(plan, value, &operand->item, error));
        /* The same value twice among the inputs: begun in the order in which it is ended. */
        GC_TRY(gc_item_place(plan, operand->item, operand->layout, GC_NO_SLOT, error));
        p->slots[at] = plan->items[operand->item].slots[operand->layout];
    }
    return GRADCAM_OK;
}

/* Fills the tensors of a step and a pointer array to some of them. */
static gradcam_status fill(gc_plan *plan, gc_step *step, const back_plan *p, int from, int count,
                           gc_tensor ***pointers, gradcam_error *error)
{
    GC_TRY(gc_arena_new(plan->arena, pointers, (size_t)count, sizeof **pointers, error));
    for (int i = from; i < from + count; i++) {
        if (p->operands[i].item == GC_ABSENT)
            continue;
        step->tensors[i] = p->operands[i].view;
        if (p->slots[i] != GC_NO_SLOT)
            gc_step_set(plan, step, i, &p->operands[i].view, p->slots[i]);
        (*pointers)[i - from] = &step->tensors[i];
    }
    return GRADCAM_OK;
}

static gradcam_status add_step(gc_plan *plan, const back_plan *p, gradcam_error *error)
{
    const int inputs = p->node->input_count, outputs = p->node->output_count;
    gc_step *step = NULL;
    gc_tensor **in = NULL, **out = NULL, **out_grads = NULL;
    GC_TRY(gc_step_add(plan, GC_STEP_BACKWARD, p->count, &step, error));
    step->op = p->op;
    GC_TRY(fill(plan, step, p, 0, inputs, &in, error));
    GC_TRY(fill(plan, step, p, inputs, outputs, &out, error));
    GC_TRY(fill(plan, step, p, inputs + outputs, outputs, &out_grads, error));
    GC_TRY(fill(plan, step, p, inputs + 2 * outputs, inputs, &step->input_grads, error));
    step->output_grads = (const gc_tensor **)out_grads;
    step->call = (gc_call){.graph = plan->graph,
                           .node = p->node,
                           .input_count = inputs,
                           .output_count = outputs,
                           .inputs = (const gc_tensor *const *)in,
                           .outputs = out};
    return gc_step_scratch(plan, step, error);
}

static gradcam_status finish_results(gc_plan *plan, const back_plan *p, gradcam_error *error)
{
    for (int i = 0; i < p->node->input_count; i++) {
        const int at = p->node->input_count + 2 * p->node->output_count + i;
        if (p->operands[at].item == GC_ABSENT)
            continue;
        GC_TRY(gc_step_clear(plan, p->operands[at].item, error));
        GC_TRY(end_contribution(plan, p->node->inputs[i], p->operands[at].item, error));
    }
    return GRADCAM_OK;
}

/* Does the gradient of the value end there, as that of a layer which no other one lies before? */
static bool is_last_gradient(const gc_plan *plan, int value)
{
    const int producer = plan->graph->values[value].producer;
    return producer < 0 || !wants_any(plan, &plan->graph->nodes[producer]);
}

/* A last gradient is handed out row-major: where no activation is read, it is made so. */
static gc_layout backward_layout(const gc_plan *plan, const gc_op *op, const gc_node *node)
{
    const bool reads = (op->backward_reads & (GC_READS_INPUTS | GC_READS_OUTPUTS)) != 0;
    if (op->layouts == GC_OP_SPATIAL && !reads && is_last_gradient(plan, node->inputs[0]))
        return GC_LAYOUT_PLAIN;
    return gc_choose_layout(plan, op, node);
}

/* A view's gradient is the gradient's view. */
static gradcam_status view_backward(gc_plan *plan, const gc_node *node, gradcam_error *error)
{
    int slot = GC_NO_SLOT, item = 0;
    GC_TRY(gc_item_need(plan, gc_gradient_item(plan, node->outputs[0]), GC_LAYOUT_PLAIN, &slot,
                        error));
    GC_TRY(begin_contribution(plan, node->inputs[0], &item, error));
    GC_TRY(gc_item_place(plan, item, GC_LAYOUT_PLAIN, slot, error));
    return end_contribution(plan, node->inputs[0], item, error);
}

static gradcam_status plain_backward(gc_plan *plan, const gc_node *node, gradcam_error *error)
{
    back_plan p = {.node = node, .op = gc_op_find(node->op, node->domain)};
    if (p.op->is_view && node->output_count == 1)
        return view_backward(plan, node, error);
    char text[GC_NODE_TEXT];
    GC_FAIL_IF(
        p.op->backward == NULL, error, GRADCAM_ERROR_LAYER,
        "%s lies between the target layer and the score, and has no gradient; choose a later "
        "layer",
        gc_node_text(plan->graph, node, text));
    p.count = 2 * (node->input_count + node->output_count);
    p.layout = backward_layout(plan, p.op, node);
    GC_TRY(gc_arena_new(plan->arena, &p.operands, (size_t)p.count, sizeof *p.operands, error));
    GC_TRY(gc_arena_new(plan->arena, &p.slots, (size_t)p.count, sizeof *p.slots, error));
    GC_TRY(settle_reads(plan, &p, error));
    GC_TRY(settle_results(plan, &p, error));
    GC_TRY(add_step(plan, &p, error));
    return finish_results(plan, &p, error);
}

/* ---- The region ----------------------------------------------------------------------------- */

static bool has_gradient(const gc_plan *plan, const gc_node *node)
{
    for (int o = 0; o < node->output_count; o++)
        if (node->outputs[o] != GC_ABSENT &&
            plan->items[gc_gradient_item(plan, node->outputs[o])].exists)
            return true;
    return false;
}

/* Targets that passes have made one value share a seed, too. */
static gradcam_status add_seeds(gc_plan *plan, const gc_plan_request *request, gradcam_error *error)
{
    const size_t count = (size_t)request->target_count;
    plan->seed_count = request->target_count;
    GC_TRY(gc_arena_new(plan->arena, &plan->seeds, count, sizeof(gc_tensor), error));
    GC_TRY(gc_arena_new(plan->arena, &plan->seed_slots, count, sizeof(int), error));
    for (int i = 0; i < request->target_count; i++) {
        const int target = gc_graph_resolve(plan->graph, request->targets[i]);
        const int item = gc_gradient_item(plan, target);
        plan->seeds[i] = plan->graph->values[target].type;
        if (!plan->items[item].exists)
            GC_TRY(gc_item_place(plan, item, GC_LAYOUT_PLAIN, GC_NO_SLOT, error));
        plan->seed_slots[i] = plan->items[item].slots[GC_LAYOUT_PLAIN];
        plan->slots[plan->seed_slots[i]].is_pinned = true;
    }
    return GRADCAM_OK;
}

gradcam_status gc_backward_build(gc_plan *plan, const gc_plan_request *request,
                                 gradcam_error *error)
{
    plan->phase = GC_PHASE_BACKWARD;
    GC_TRY(add_seeds(plan, request, error));
    for (int n = plan->graph->node_count - 1; n >= 0; n--) {
        const gc_node *const node = &plan->graph->nodes[n];
        bool taken = false;
        if (!has_gradient(plan, node) || !wants_any(plan, node))
            continue;
        plan->node = node;
        if (plan->can_guide && is_rectifier(node))
            GC_TRY(guide(plan, node->outputs[0], error));
        GC_TRY(conv_backward(plan, node, &taken, error));
        if (!taken)
            GC_TRY(plain_backward(plan, node, error));
    }
    plan->node = NULL;
    return GRADCAM_OK;
}
