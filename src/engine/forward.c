/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/build.h"

/* Everything about a node's operands that must be settled before its step is added, since settling
 * may add steps (reorders) of its own. */
typedef struct node_plan {
    const gc_node *node;
    const gc_op *op;
    gc_layout layout;
    gc_operand *operands; /* inputs, then outputs */
    int *slots;
} node_plan;

static gradcam_status settle_operand(gc_plan *plan, node_plan *p, int index, int value,
                                     gradcam_error *error)
{
    const gc_tensor *const result = &plan->graph->values[p->node->outputs[0]].type;
    return gc_operand_for(plan, p->op, value, false, p->layout, result, &p->operands[index], error);
}

static gradcam_status settle_inputs(gc_plan *plan, node_plan *p, gradcam_error *error)
{
    for (int i = 0; i < p->node->input_count; i++) {
        GC_TRY(settle_operand(plan, p, i, p->node->inputs[i], error));
        p->slots[i] = GC_NO_SLOT;
        if (p->operands[i].item != GC_ABSENT)
            GC_TRY(gc_item_need(plan, p->operands[i].item, p->operands[i].layout, &p->slots[i],
                                error));
    }
    return GRADCAM_OK;
}

/* The slot of input 0 where output 0 may replace it, else GC_NO_SLOT. */
static int slot_to_reuse(const gc_plan *plan, const node_plan *p)
{
    const gc_node *const node = p->node;
    const gc_operand *const in = &p->operands[0], *const out = &p->operands[node->input_count];
    if (!p->op->is_in_place || p->slots[0] == GC_NO_SLOT || in->layout != out->layout ||
        !gc_tensor_same_dims(&in->view, &out->view) ||
        gc_dtype_is_float(in->view.dtype) != gc_dtype_is_float(out->view.dtype))
        return GC_NO_SLOT;
    for (int i = 1; i < node->input_count; i++)
        if (p->slots[i] == p->slots[0])
            return GC_NO_SLOT;
    return gc_slot_is_free_after(plan, p->slots[0], 1) ? p->slots[0] : GC_NO_SLOT;
}

static gradcam_status settle_outputs(gc_plan *plan, node_plan *p, gradcam_error *error)
{
    const int inputs = p->node->input_count;
    for (int o = 0; o < p->node->output_count; o++) {
        const int value = p->node->outputs[o], at = inputs + o;
        GC_TRY(settle_operand(plan, p, at, value, error));
        p->slots[at] = GC_NO_SLOT;
        if (value == GC_ABSENT)
            continue;
        const bool is_part = gc_concat_hosts(plan, value, p->operands[at].layout);
        const int reused = o == 0 && !is_part ? slot_to_reuse(plan, p) : GC_NO_SLOT;
        GC_TRY(gc_item_place(plan, value, p->operands[at].layout, reused, error));
        p->slots[at] = plan->items[value].slots[p->operands[at].layout];
    }
    return GRADCAM_OK;
}

static gradcam_status add_step(gc_plan *plan, const node_plan *p, gradcam_error *error)
{
    const int inputs = p->node->input_count, outputs = p->node->output_count;
    gc_step *step = NULL;
    const gc_tensor **in = NULL;
    gc_tensor **out = NULL;
    GC_TRY(gc_step_add(plan, GC_STEP_FORWARD, inputs + outputs, &step, error));
    GC_TRY(gc_arena_new(plan->arena, &in, (size_t)inputs, sizeof *in, error));
    GC_TRY(gc_arena_new(plan->arena, &out, (size_t)outputs, sizeof *out, error));
    for (int i = 0; i < inputs + outputs; i++) {
        if (p->operands[i].item == GC_ABSENT)
            continue;
        gc_step_set(plan, step, i, &p->operands[i].view, p->slots[i]);
        if (i < inputs)
            in[i] = &step->tensors[i];
        else
            out[i - inputs] = &step->tensors[i];
    }
    step->op = p->op;
    step->call = (gc_call){.graph = plan->graph,
                           .node = p->node,
                           .input_count = inputs,
                           .output_count = outputs,
                           .inputs = in,
                           .outputs = out};
    return gc_step_scratch(plan, step, error);
}

static gradcam_status plan_view(gc_plan *plan, const node_plan *p, gradcam_error *error)
{
    return gc_item_place(plan, p->node->outputs[0], GC_LAYOUT_PLAIN, p->slots[0], error);
}

gradcam_status gc_forward_plain(gc_plan *plan, int index, gradcam_error *error)
{
    node_plan p = {.node = &plan->graph->nodes[index]};
    const size_t count = (size_t)p.node->input_count + (size_t)p.node->output_count;
    p.op = gc_op_find(p.node->op, p.node->domain);
    p.layout = gc_choose_layout(plan, p.op, p.node);
    GC_TRY(gc_arena_new(plan->arena, &p.operands, count, sizeof *p.operands, error));
    GC_TRY(gc_arena_new(plan->arena, &p.slots, count, sizeof *p.slots, error));
    GC_TRY(settle_inputs(plan, &p, error));
    if (p.op->is_view && p.node->output_count == 1) {
        GC_TRY(plan_view(plan, &p, error));
    } else {
        GC_TRY(settle_outputs(plan, &p, error));
        GC_TRY(add_step(plan, &p, error));
        GC_TRY(gc_step_clear(plan, p.node->outputs[0], error));
    }
    gc_node_is_planned(plan, index);
    return GRADCAM_OK;
}
