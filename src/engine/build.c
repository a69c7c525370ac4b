/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/build.h"

/* ---- Slots ---------------------------------------------------------------------------------- */

gradcam_status gc_slot_add(gc_plan *plan, size_t bytes, int *slot, gradcam_error *error)
{
    GC_TRY(gc_grow(&plan->slots, &plan->slot_capacity, (size_t)plan->slot_count + 1,
                   sizeof *plan->slots, error));
    *slot = plan->slot_count++;
    plan->slots[*slot] = (gc_slot){.bytes = bytes, .first = -1, .last = -1, .parent = GC_NO_SLOT};
    return GRADCAM_OK;
}

gradcam_status gc_slot_add_part(gc_plan *plan, int parent, size_t at, size_t bytes, int *slot,
                                gradcam_error *error)
{
    GC_TRY(gc_slot_add(plan, bytes, slot, error));
    plan->slots[*slot].parent = parent;
    plan->slots[*slot].at = at;
    plan->slots[parent].has_parts = true;
    return GRADCAM_OK;
}

void gc_slot_pin(gc_plan *plan, int slot)
{
    plan->slots[slot].is_pinned = true;
    if (plan->slots[slot].parent != GC_NO_SLOT)
        gc_slot_pin(plan, plan->slots[slot].parent);
}

/* The step being planned is the last one added. */
static void touch(gc_plan *plan, int slot)
{
    const int step = plan->step_count - 1;
    gc_slot *const s = &plan->slots[slot];
    if (s->first < 0)
        s->first = step;
    s->last = step;
    /* Backward may run again after one forward: what it reads from earlier must still be there. */
    if (plan->phase == GC_PHASE_SETUP ||
        (plan->phase == GC_PHASE_BACKWARD && plan->steps[s->first].phase != GC_PHASE_BACKWARD))
        s->is_pinned = true;
    if (s->parent != GC_NO_SLOT)
        touch(plan, s->parent);
}

bool gc_slot_is_free_after(const gc_plan *plan, int slot, int own_reads)
{
    const gc_slot *const s = &plan->slots[slot];
    /* A whole and its parts are read under each other's names. */
    return s->fixed == NULL && !s->is_pinned && s->parent == GC_NO_SLOT && !s->has_parts &&
           s->readers_left <= own_reads;
}

/* ---- Items ---------------------------------------------------------------------------------- */

gradcam_status gc_item_add(gc_plan *plan, const gc_tensor *type, int *item, gradcam_error *error)
{
    GC_TRY(gc_grow(&plan->items, &plan->item_capacity, (size_t)plan->item_count + 1,
                   sizeof *plan->items, error));
    *item = plan->item_count++;
    gc_item *const made = &plan->items[*item];
    *made = (gc_item){.type = *type};
    made->type.data = NULL;
    made->type.layout = GC_LAYOUT_PLAIN;
    for (int i = 0; i < GC_LAYOUT_COUNT; i++)
        made->slots[i] = GC_NO_SLOT;
    return GRADCAM_OK;
}

static size_t bytes_in(const gc_item *item, gc_layout layout)
{
    gc_tensor t = item->type;
    t.layout = layout;
    return gc_tensor_bytes(&t);
}

static gradcam_status new_slot(gc_plan *plan, int item, gc_layout layout, int *slot,
                               gradcam_error *error)
{
    if (gc_concat_hosts(plan, item, layout))
        return gc_concat_slot(plan, item, slot, error);
    return gc_slot_add(plan, bytes_in(&plan->items[item], layout), slot, error);
}

static void settle(gc_plan *plan, gc_item *item, gc_layout layout, int slot)
{
    item->slots[layout] = slot;
    plan->slots[slot].readers_left += item->readers_left;
}

gradcam_status gc_item_place(gc_plan *plan, int item, gc_layout layout, int slot,
                             gradcam_error *error)
{
    if (slot == GC_NO_SLOT)
        GC_TRY(new_slot(plan, item, layout, &slot, error));
    gc_item *const it = &plan->items[item];
    it->home = layout;
    it->exists = true;
    settle(plan, it, layout, slot);
    return GRADCAM_OK;
}

void gc_item_read(gc_plan *plan, int item)
{
    gc_item *const it = &plan->items[item];
    it->readers_left--;
    for (int i = 0; i < GC_LAYOUT_COUNT; i++) {
        bool counted = it->slots[i] == GC_NO_SLOT;
        for (int j = 0; j < i; j++) /* two layouts in one slot count once */
            counted |= it->slots[j] == it->slots[i];
        if (!counted)
            plan->slots[it->slots[i]].readers_left--;
    }
}

void gc_node_is_planned(gc_plan *plan, int node)
{
    const gc_node *const n = &plan->graph->nodes[node];
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] != GC_ABSENT)
            gc_item_read(plan, n->inputs[i]);
    plan->is_done[node] = true;
}

bool gc_item_can_lie(const gc_item *item, gc_layout layout)
{
    return layout == GC_LAYOUT_PLAIN ||
           (gc_dtype_is_float(item->type.dtype) && item->type.rank >= 3 && item->type.rank <= 5);
}

/* With one position per channel, layouts differ only in the channels that pad a block. */
static bool same_bytes(const gc_item *item, gc_layout a, gc_layout b)
{
    if (item->type.rank < 3 || gc_layout_is_rounded(a) != gc_layout_is_rounded(b))
        return a == b;
    for (int i = 2; i < item->type.rank; i++)
        if (item->type.dims[i] != 1)
            return a == b;
    return item->type.dims[1] % gc_layout_block(a) == 0 &&
           item->type.dims[1] % gc_layout_block(b) == 0;
}

static gradcam_status add_relayout(gc_plan *plan, int item, gc_layout from, gc_layout to, int slot,
                                   gradcam_error *error)
{
    gc_step *step = NULL;
    gc_tensor type = plan->items[item].type;
    GC_TRY(gc_step_add(plan, GC_STEP_RELAYOUT, 2, &step, error));
    type.layout = from;
    gc_step_set(plan, step, 0, &type, plan->items[item].slots[from]);
    type.layout = to;
    gc_step_set(plan, step, 1, &type, slot);
    return GRADCAM_OK;
}

static gradcam_status add_rounding(gc_plan *plan, int item, gc_layout from, gc_layout to, int slot,
                                   gradcam_error *error)
{
    gc_kernel *kernel = NULL;
    GC_TRY(gc_dnnl_round(plan->dnnl, &plan->items[item].type, from, to, &kernel, error));
    return gc_step_kernel(plan, kernel, plan->items[item].slots[from], GC_NO_SLOT, GC_NO_SLOT, slot,
                          error);
}

static gradcam_status add_reorder(gc_plan *plan, int item, gc_layout from, gc_layout to, int *slot,
                                  gradcam_error *error)
{
    GC_TRY(new_slot(plan, item, to, slot, error));
    /* A constant is converted once, when the plan is made. */
    const gc_phase phase = plan->phase;
    const gc_node *const node = plan->node;
    plan->node = NULL;
    if (plan->slots[plan->items[item].slots[from]].fixed != NULL)
        plan->phase = GC_PHASE_SETUP;
    const gradcam_status status = gc_layout_is_rounded(from) != gc_layout_is_rounded(to)
                                      ? add_rounding(plan, item, from, to, *slot, error)
                                      : add_relayout(plan, item, from, to, *slot, error);
    plan->phase = phase;
    plan->node = node;
    return status;
}

/* Weights that no kernel has packed are needed as they are. */
static gradcam_status load_stored(gc_plan *plan, int item, gradcam_error *error)
{
    gc_constant *const constant =
        item < plan->value_count ? plan->graph->values[item].constant : NULL;
    if (constant == NULL || !gc_constant_is_stored(constant))
        return GRADCAM_OK;
    gc_tensor tensor;
    const gradcam_status status = gc_constant_load(constant, &tensor, error);
    if (status != GRADCAM_OK)
        return gc_fail_context(error, status, "the weight '%s': ", plan->graph->values[item].name);
    plan->slots[plan->items[item].slots[GC_LAYOUT_PLAIN]].fixed = tensor.data;
    return GRADCAM_OK;
}

gradcam_status gc_item_need(gc_plan *plan, int item, gc_layout layout, int *slot,
                            gradcam_error *error)
{
    GC_TRY(load_stored(plan, item, error));
    const gc_item *it = &plan->items[item];
    *slot = it->slots[layout];
    if (*slot != GC_NO_SLOT)
        return GRADCAM_OK;
    /* Layouts change in float32 only; bfloat16 is rounded from the same layout, and widened to it.
     */
    gc_layout from = it->home;
    if (gc_layout_is_rounded(layout))
        from = gc_layout_exact(layout);
    else if (gc_layout_is_rounded(from) && layout != gc_layout_exact(from))
        from = gc_layout_exact(from);
    if (from != it->home)
        GC_TRY(gc_item_need(plan, item, from, slot, error));
    it = &plan->items[item];
    if (same_bytes(it, it->home, layout)) {
        *slot = it->slots[it->home];
        plan->items[item].slots[layout] = *slot;
        return GRADCAM_OK;
    }
    GC_TRY(add_reorder(plan, item, from, layout, slot, error));
    settle(plan, &plan->items[item], layout, *slot);
    return GRADCAM_OK;
}

/* ---- Steps ---------------------------------------------------------------------------------- */

gradcam_status gc_step_add(gc_plan *plan, gc_step_kind kind, int tensor_count, gc_step **step,
                           gradcam_error *error)
{
    GC_TRY(gc_grow(&plan->steps, &plan->step_capacity, (size_t)plan->step_count + 1,
                   sizeof *plan->steps, error));
    gc_step *const s = &plan->steps[plan->step_count];
    *s = (gc_step){
        .kind = kind, .phase = plan->phase, .node = plan->node, .scratch_slot = GC_NO_SLOT};
    for (int i = 0; i < GC_ARG_COUNT; i++)
        s->kernel_slots[i] = GC_NO_SLOT;
    const size_t count = (size_t)tensor_count;
    GC_TRY(gc_arena_new(plan->arena, &s->tensors, count, sizeof *s->tensors, error));
    GC_TRY(gc_arena_new(plan->arena, &s->slots, count, sizeof *s->slots, error));
    for (int i = 0; i < tensor_count; i++)
        s->slots[i] = GC_NO_SLOT;
    s->tensor_count = tensor_count;
    plan->step_count++;
    *step = s;
    return GRADCAM_OK;
}

void gc_step_set(gc_plan *plan, gc_step *step, int index, const gc_tensor *type, int slot)
{
    step->tensors[index] = *type;
    step->tensors[index].data = plan->slots[slot].fixed; /* constants tell how much scratch */
    step->slots[index] = slot;
    touch(plan, slot);
}

gradcam_status gc_step_scratch(gc_plan *plan, gc_step *step, gradcam_error *error)
{
    const size_t bytes = step->op->scratch != NULL ? step->op->scratch(&step->call) : 0;
    if (bytes == 0)
        return GRADCAM_OK;
    GC_TRY(gc_slot_add(plan, bytes, &step->scratch_slot, error));
    touch(plan, step->scratch_slot);
    return GRADCAM_OK;
}

static void use(gc_plan *plan, gc_step *step, gc_kernel_arg arg, int slot)
{
    step->kernel_slots[arg] = slot;
    if (slot != GC_NO_SLOT)
        touch(plan, slot);
}

gradcam_status gc_step_kernel(gc_plan *plan, gc_kernel *kernel, int src_slot, int src2_slot,
                              int bias_slot, int dst_slot, gradcam_error *error)
{
    gc_step *step = NULL;
    int scratch = GC_NO_SLOT;
    gradcam_status status = gc_step_add(plan, GC_STEP_KERNEL, 0, &step, error);
    if (status == GRADCAM_OK && gc_kernel_scratch(kernel) > 0)
        status = gc_slot_add(plan, gc_kernel_scratch(kernel), &scratch, error);
    if (status != GRADCAM_OK) {
        gc_kernel_destroy(&kernel);
        return status;
    }
    step->kernel = kernel;
    use(plan, step, GC_ARG_SRC, src_slot);
    use(plan, step, GC_ARG_SRC2, src2_slot);
    use(plan, step, GC_ARG_BIAS, bias_slot);
    use(plan, step, GC_ARG_DST, dst_slot);
    use(plan, step, GC_ARG_SCRATCH, scratch);
    return GRADCAM_OK;
}

gradcam_status gc_step_clear(gc_plan *plan, int item, gradcam_error *error)
{
    const gc_item *const it = &plan->items[item];
    if (it->type.rank < 3 || it->type.dims[1] % gc_layout_block(it->home) == 0)
        return GRADCAM_OK;
    gc_step *step = NULL;
    GC_TRY(gc_step_add(plan, GC_STEP_CLEAR, 1, &step, error));
    gc_tensor type = it->type;
    type.layout = it->home;
    gc_step_set(plan, step, 0, &type, it->slots[it->home]);
    return GRADCAM_OK;
}
