/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Concatenation in place: over blocks of channels, the parts of one image lie one after the other,
 * so each can be computed where the whole will need it. Where a value is a part of several wholes,
 * the one with the most parts is its host; shorter wholes are then a stretch of it (DenseNet).
 */
#include "engine/build.h"

#include <string.h>

static bool is_concat(const gc_node *node, int rank)
{
    const int64_t axis = gc_attr_int(node, "axis", 0);
    return strcmp(node->op, "Concat") == 0 && node->domain[0] == '\0' &&
           (axis == 1 || axis == 1 - rank);
}

static bool may_be_part(const gc_plan *plan, const gc_node *node, int input)
{
    const int value = node->inputs[input];
    if (value == GC_ABSENT || gc_is_constant(plan, value))
        return false;
    const gc_tensor *const type = &plan->graph->values[value].type;
    for (int i = 0; i < input; i++)
        if (node->inputs[i] == value)
            return false;
    return gc_dtype_is_float(type->dtype) && type->rank >= 3 && type->rank <= 5 &&
           type->dims[0] == 1 && type->dims[1] % gc_layout_block(gc_dnnl_blocked_layout()) == 0;
}

static bool may_host(const gc_plan *plan, const gc_node *node)
{
    if (node->input_count < 2 || !is_concat(node, plan->graph->values[node->outputs[0]].type.rank))
        return false;
    for (int i = 0; i < node->input_count; i++)
        if (!may_be_part(plan, node, i))
            return false;
    return true;
}

gradcam_status gc_concat_find_hosts(gc_plan *plan, gradcam_error *error)
{
    const gc_graph *const g = plan->graph;
    GC_TRY(gc_arena_new(plan->arena, &plan->hosts, (size_t)plan->value_count, sizeof(int), error));
    GC_TRY(gc_arena_new(plan->arena, &plan->host_slots, (size_t)g->node_count, sizeof(int), error));
    for (int v = 0; v < plan->value_count; v++)
        plan->hosts[v] = GC_ABSENT;
    for (int n = 0; n < g->node_count; n++) {
        plan->host_slots[n] = GC_NO_SLOT;
        if (plan->plain || !may_host(plan, &g->nodes[n]))
            continue;
        for (int i = 0; i < g->nodes[n].input_count; i++) {
            int *const host = &plan->hosts[g->nodes[n].inputs[i]];
            if (*host == GC_ABSENT || g->nodes[*host].input_count < g->nodes[n].input_count)
                *host = n;
        }
    }
    return GRADCAM_OK;
}

static size_t bytes_of(const gc_plan *plan, int value)
{
    return gc_tensor_bytes(&plan->graph->values[value].type);
}

bool gc_concat_hosts(const gc_plan *plan, int item, gc_layout layout)
{
    return item < plan->value_count && plan->hosts[item] != GC_ABSENT &&
           layout == gc_dnnl_blocked_layout();
}

gradcam_status gc_concat_slot(gc_plan *plan, int value, int *slot, gradcam_error *error)
{
    const int host = plan->hosts[value];
    const gc_node *const node = &plan->graph->nodes[host];
    size_t at = 0;
    if (plan->host_slots[host] == GC_NO_SLOT)
        GC_TRY(gc_slot_add(plan, bytes_of(plan, node->outputs[0]), &plan->host_slots[host], error));
    for (int i = 0; node->inputs[i] != value; i++)
        at += bytes_of(plan, node->inputs[i]);
    return gc_slot_add_part(plan, plan->host_slots[host], at, bytes_of(plan, value), slot, error);
}

/* Do the parts lie one after the other in one host? */
static bool is_stretch(const gc_plan *plan, const gc_node *node, gc_layout layout)
{
    size_t end = 0;
    int parent = GC_NO_SLOT;
    for (int i = 0; i < node->input_count; i++) {
        const int slot = plan->items[node->inputs[i]].slots[layout];
        if (slot == GC_NO_SLOT || plan->slots[slot].parent == GC_NO_SLOT)
            return false;
        const gc_slot *const s = &plan->slots[slot];
        if (i > 0 && (s->parent != parent || s->at != end))
            return false;
        parent = s->parent;
        end = s->at + s->bytes;
    }
    return true;
}

/* Is there something to gain: a part that lies in a host already? */
static bool has_started(const gc_plan *plan, const gc_node *node, gc_layout layout)
{
    for (int i = 0; i < node->input_count; i++) {
        const int slot = plan->items[node->inputs[i]].slots[layout];
        if (slot != GC_NO_SLOT && plan->slots[slot].parent != GC_NO_SLOT)
            return true;
    }
    return false;
}

gradcam_status gc_forward_concat(gc_plan *plan, int index, bool *taken, gradcam_error *error)
{
    const gc_node *const node = &plan->graph->nodes[index];
    const gc_layout layout = gc_dnnl_blocked_layout();
    int slot = GC_NO_SLOT;
    if (!may_host(plan, node) || !has_started(plan, node, layout))
        return GRADCAM_OK;
    for (int i = 0; i < node->input_count; i++) /* copies the parts that lie elsewhere */
        GC_TRY(gc_item_need(plan, node->inputs[i], layout, &slot, error));
    if (!is_stretch(plan, node, layout))
        return GRADCAM_OK;
    const gc_slot *const first = &plan->slots[plan->items[node->inputs[0]].slots[layout]];
    GC_TRY(gc_slot_add_part(plan, first->parent, first->at, bytes_of(plan, node->outputs[0]), &slot,
                            error));
    GC_TRY(gc_item_place(plan, node->outputs[0], layout, slot, error));
    gc_node_is_planned(plan, index);
    *taken = true;
    return GRADCAM_OK;
}
