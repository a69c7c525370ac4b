/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How operands look to a kernel that runs in a given layout.
 *
 * Element-wise kernels see physical views. An operand that broadcasts must then have matching
 * physical extents: one that spans the channels is converted to the layout, one with a single
 * channel keeps its bytes and only gets a trailing extent of 1, a single element is a scalar.
 */
#include "engine/build.h"

#include <string.h>

static bool is_single(const gc_tensor *type)
{
    return gc_tensor_count(type) == 1;
}

/* ---- Choice of layout ----------------------------------------------------------------------- */

static bool fits_elementwise(const gc_plan *plan, int value, const gc_tensor *result)
{
    const gc_value *const v = &plan->graph->values[value];
    if (is_single(&v->type))
        return true;
    if (!gc_dtype_is_float(v->type.dtype))
        return false;
    return v->type.rank == result->rank || (v->constant != NULL && v->type.rank < result->rank);
}

static gc_layout choose_elementwise(const gc_plan *plan, const gc_node *node)
{
    const gc_tensor *const result = &plan->graph->values[node->outputs[0]].type;
    gc_layout layout = GC_LAYOUT_PLAIN;
    if (!gc_dtype_is_float(result->dtype) || result->rank < 3 || result->rank > 5 ||
        gc_attr_find(node, "axis") != NULL || node->output_count != 1)
        return GC_LAYOUT_PLAIN;
    for (int i = 0; i < node->input_count; i++) {
        const int v = node->inputs[i];
        if (v == GC_ABSENT)
            continue;
        if (!fits_elementwise(plan, v, result))
            return GC_LAYOUT_PLAIN;
        if (layout == GC_LAYOUT_PLAIN && plan->items[v].exists &&
            gc_tensor_same_dims(&plan->items[v].type, result))
            layout = plan->items[v].home;
    }
    return layout;
}

/* Joining whole blocks of channels is joining along physical axis 1; so is joining channels-last
 * images, seen as matrices of positions x channels. */
static gc_layout choose_concat(const gc_plan *plan, const gc_node *node)
{
    gc_layout layout = GC_LAYOUT_PLAIN;
    if (gc_attr_int(node, "axis", -1) != 1)
        return GC_LAYOUT_PLAIN;
    for (int i = 0; i < node->input_count; i++) {
        const gc_item *const item = &plan->items[node->inputs[i]];
        if (!gc_item_can_lie(item, GC_LAYOUT_LAST))
            return GC_LAYOUT_PLAIN;
        if (item->home == GC_LAYOUT_LAST || layout == GC_LAYOUT_PLAIN)
            layout = item->home;
    }
    for (int i = 0; i < node->input_count; i++)
        if (plan->items[node->inputs[i]].type.dims[1] % gc_layout_block(layout) != 0)
            return GC_LAYOUT_PLAIN;
    return layout;
}

gc_layout gc_choose_layout(const gc_plan *plan, const gc_op *op, const gc_node *node)
{
    if (plan->plain)
        return GC_LAYOUT_PLAIN;
    if (op->layouts == GC_OP_ELEMENTWISE)
        return choose_elementwise(plan, node);
    if (op->layouts == GC_OP_SPATIAL)
        return plan->items[node->inputs[0]].home;
    if (strcmp(op->name, "Concat") == 0)
        return choose_concat(plan, node);
    return GC_LAYOUT_PLAIN;
}

/* ---- Views ---------------------------------------------------------------------------------- */

static gc_tensor padded_to(const gc_tensor *type, int rank)
{
    gc_tensor padded = *type;
    const int shift = rank - type->rank;
    for (int i = rank - 1; i >= 0; i--)
        padded.dims[i] = i >= shift ? type->dims[i - shift] : 1;
    padded.rank = rank;
    return padded;
}

/* Row-major bytes of one channel, seen with the rank of the layout's physical extents. */
static gc_tensor single_channel_view(const gc_tensor *type, gc_layout layout)
{
    gc_tensor view = *type;
    if (layout == GC_LAYOUT_LAST) {
        view.layout = layout;
        return gc_tensor_physical(&view);
    }
    view.dims[view.rank++] = 1;
    return view;
}

/* A constant of lower rank gets an item of its own, in the same slot, with leading extents of 1. */
static gradcam_status raise_rank(gc_plan *plan, const gc_tensor *type, int *item,
                                 gradcam_error *error)
{
    int slot = GC_NO_SLOT, raised = 0;
    GC_TRY(gc_item_need(plan, *item, GC_LAYOUT_PLAIN, &slot, error));
    GC_TRY(gc_item_add(plan, type, &raised, error));
    *item = raised;
    return gc_item_place(plan, raised, GC_LAYOUT_PLAIN, slot, error);
}

static gradcam_status elementwise_operand(gc_plan *plan, gc_layout layout, const gc_tensor *result,
                                          gc_operand *operand, gradcam_error *error)
{
    gc_tensor type = operand->view;
    if (is_single(&type) && !gc_tensor_same_dims(&type, result)) {
        operand->view.rank = 0;
        return GRADCAM_OK;
    }
    const bool is_lower = type.rank < result->rank;
    type = padded_to(&type, result->rank);
    if (type.dims[1] != result->dims[1]) {
        operand->view = single_channel_view(&type, layout);
        return GRADCAM_OK;
    }
    if (is_lower)
        GC_TRY(raise_rank(plan, &type, &operand->item, error));
    operand->layout = layout;
    type.layout = layout;
    operand->view = gc_tensor_physical(&type);
    return GRADCAM_OK;
}

/* Axis 1 counts the channels, or blocks of them, and what lies between two of its steps is
 * contiguous. */
static gc_tensor concat_view(const gc_tensor *type)
{
    gc_tensor view = gc_tensor_physical(type);
    if (type->layout != GC_LAYOUT_LAST)
        return view;
    const int last = view.rank - 1;
    for (int i = 1; i < last; i++)
        view.dims[0] *= view.dims[i];
    view.dims[1] = view.dims[last];
    view.rank = 2;
    return view;
}

gradcam_status gc_operand_for(gc_plan *plan, const gc_op *op, int value, bool gradient,
                              gc_layout layout, const gc_tensor *result, gc_operand *operand,
                              gradcam_error *error)
{
    *operand = (gc_operand){.item = GC_ABSENT, .layout = GC_LAYOUT_PLAIN};
    if (value == GC_ABSENT)
        return GRADCAM_OK;
    operand->item = gradient ? gc_gradient_item(plan, value) : value;
    operand->view = plan->graph->values[value].type;
    operand->view.data = NULL;
    operand->view.layout = GC_LAYOUT_PLAIN;
    if (layout == GC_LAYOUT_PLAIN)
        return GRADCAM_OK;
    if (op->layouts == GC_OP_ELEMENTWISE)
        return elementwise_operand(plan, layout, result, operand, error);
    if (operand->view.rank != result->rank)
        return GRADCAM_OK; /* parameters of a spatial operator stay row-major */
    operand->layout = layout;
    operand->view.layout = layout;
    if (op->layouts == GC_OP_PLAIN) /* Concat */
        operand->view = concat_view(&operand->view);
    return GRADCAM_OK;
}
