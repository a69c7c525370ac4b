/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/build.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/relayout.h"

/* ---- What must be kept ---------------------------------------------------------------------- */

/* Values that depend on a layer (forward sweep) and lead to the target (backward sweep). */
static bool is_float(const gc_graph *graph, int value)
{
    return value != GC_ABSENT && gc_dtype_is_float(graph->values[value].type.dtype);
}

/* The values that lie between a layer and a score, and gradients with them: not through integers.
 */
static gradcam_status find_region(gc_plan *plan, const gc_plan_request *request,
                                  gradcam_error *error)
{
    const gc_graph *const g = plan->graph;
    bool *leads = NULL;
    GC_TRY(gc_new(&leads, (size_t)plan->value_count, sizeof *leads, error));
    for (int i = 0; i < request->layer_count; i++)
        plan->in_region[gc_graph_resolve(g, request->layers[i])] = true;
    for (int n = 0; n < g->node_count; n++)
        for (int i = 0; i < g->nodes[n].input_count; i++)
            if (g->nodes[n].inputs[i] != GC_ABSENT && plan->in_region[g->nodes[n].inputs[i]])
                for (int o = 0; o < g->nodes[n].output_count; o++)
                    if (is_float(g, g->nodes[n].outputs[o]))
                        plan->in_region[g->nodes[n].outputs[o]] = true;
    for (int i = 0; i < request->target_count; i++)
        leads[gc_graph_resolve(g, request->targets[i])] = true;
    for (int n = g->node_count - 1; n >= 0; n--)
        for (int o = 0; o < g->nodes[n].output_count; o++)
            if (is_float(g, g->nodes[n].outputs[o]) && leads[g->nodes[n].outputs[o]])
                for (int i = 0; i < g->nodes[n].input_count; i++)
                    if (is_float(g, g->nodes[n].inputs[i]))
                        leads[g->nodes[n].inputs[i]] = true;
    for (int v = 0; v < plan->value_count; v++)
        plan->in_region[v] = plan->in_region[v] && leads[v] && is_float(g, v);
    gc_free(leads);
    return GRADCAM_OK;
}

static void keep_region(gc_plan *plan)
{
    const gc_graph *const g = plan->graph;
    for (int n = 0; n < g->node_count; n++) {
        bool is_in = false, reaches = false;
        for (int o = 0; o < g->nodes[n].output_count; o++)
            is_in |= g->nodes[n].outputs[o] != GC_ABSENT && plan->in_region[g->nodes[n].outputs[o]];
        /* No gradient goes through what computes a layer, which may then be fused into it. */
        for (int i = 0; i < g->nodes[n].input_count; i++)
            reaches |= g->nodes[n].inputs[i] != GC_ABSENT && plan->in_region[g->nodes[n].inputs[i]];
        is_in = is_in && reaches;
        for (int i = 0; is_in && i < g->nodes[n].input_count; i++)
            if (g->nodes[n].inputs[i] != GC_ABSENT)
                plan->is_kept[g->nodes[n].inputs[i]] = true;
        for (int o = 0; is_in && o < g->nodes[n].output_count; o++)
            if (g->nodes[n].outputs[o] != GC_ABSENT)
                plan->is_kept[g->nodes[n].outputs[o]] = true;
    }
}

static gradcam_status check_layers(const gc_plan *plan, const gc_plan_request *request,
                                   gradcam_error *error)
{
    for (int i = 0; i < request->layer_count; i++) {
        const int v = gc_graph_resolve(plan->graph, request->layers[i]);
        GC_FAIL_IF(!plan->in_region[v], error, GRADCAM_ERROR_LAYER,
                   "the layer '%s' does not influence the score '%s', or only through integers "
                   "(ArgMax), which have no gradient; choose one that the score is computed from "
                   "(gradcam layers lists them)",
                   plan->graph->values[request->layers[i]].name,
                   plan->graph->values[request->targets[0]].name);
    }
    return GRADCAM_OK;
}

/* ---- Items ---------------------------------------------------------------------------------- */

static gradcam_status add_items(gc_plan *plan, gradcam_error *error)
{
    const gc_graph *const g = plan->graph;
    int item = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int v = 0; v < plan->value_count; v++)
            GC_TRY(gc_item_add(plan, &g->values[v].type, &item, error));
    for (int v = 0; v < plan->value_count; v++) {
        plan->items[v].readers_left = plan->uses[v] + (plan->is_kept[v] ? 1 : 0);
        if (g->values[v].constant == NULL)
            continue;
        int slot = GC_NO_SLOT;
        const gc_tensor *const t = gc_constant_tensor(g->values[v].constant);
        GC_TRY(gc_slot_add(plan, gc_tensor_bytes(t), &slot, error));
        plan->slots[slot].fixed = t->data; /* NULL where stored, until a step needs it */
        GC_TRY(gc_item_place(plan, v, GC_LAYOUT_PLAIN, slot, error));
    }
    return GRADCAM_OK;
}

static gradcam_status add_feeds(gc_plan *plan, const gc_plan_request *request, gradcam_error *error)
{
    plan->feed_count = request->feed_count;
    const size_t count = (size_t)request->feed_count;
    GC_TRY(gc_arena_new(plan->arena, &plan->feeds, count, sizeof(gc_tensor), error));
    GC_TRY(gc_arena_new(plan->arena, &plan->feed_slots, count, sizeof(int), error));
    for (int i = 0; i < request->feed_count; i++) {
        const int v = request->feeds[i].value;
        plan->feeds[i] = plan->graph->values[v].type;
        plan->items[v].readers_left++; /* the caller may run again without filling it again */
        GC_TRY(gc_item_place(plan, v, GC_LAYOUT_PLAIN, GC_NO_SLOT, error));
        plan->feed_slots[i] = plan->items[v].slots[GC_LAYOUT_PLAIN];
        gc_slot_pin(plan, plan->feed_slots[i]);
    }
    return GRADCAM_OK;
}

/* ---- Ends ----------------------------------------------------------------------------------- */

/* A row-major copy for the caller, which stays until the next run. */
static gradcam_status export_item(gc_plan *plan, int item, gc_tensor *tensor, int *slot,
                                  gradcam_error *error)
{
    GC_TRY(gc_item_need(plan, item, GC_LAYOUT_PLAIN, slot, error));
    *tensor = plan->items[item].type;
    gc_slot_pin(plan, *slot);
    return GRADCAM_OK;
}

static gradcam_status export_fetches(gc_plan *plan, const gc_plan_request *request,
                                     gradcam_error *error)
{
    const size_t count = (size_t)request->fetch_count;
    plan->fetch_count = request->fetch_count;
    GC_TRY(gc_arena_new(plan->arena, &plan->fetches, count, sizeof(gc_tensor), error));
    GC_TRY(gc_arena_new(plan->arena, &plan->fetch_slots, count, sizeof(int), error));
    for (int i = 0; i < request->fetch_count; i++)
        GC_TRY(export_item(plan, gc_graph_resolve(plan->graph, request->fetches[i]),
                           &plan->fetches[i], &plan->fetch_slots[i], error));
    return GRADCAM_OK;
}

static gradcam_status export_gradients(gc_plan *plan, const gc_plan_request *request,
                                       gradcam_error *error)
{
    const size_t count = (size_t)request->layer_count;
    plan->gradient_count = request->layer_count;
    GC_TRY(gc_arena_new(plan->arena, &plan->gradients, count, sizeof(gc_tensor), error));
    GC_TRY(gc_arena_new(plan->arena, &plan->gradient_slots, count, sizeof(int), error));
    for (int i = 0; i < request->layer_count; i++) {
        const int value = gc_graph_resolve(plan->graph, request->layers[i]);
        GC_TRY(export_item(plan, gc_gradient_item(plan, value), &plan->gradients[i],
                           &plan->gradient_slots[i], error));
    }
    return GRADCAM_OK;
}

/* ---- Building ------------------------------------------------------------------------------- */

static gradcam_status build_forward(gc_plan *plan, gradcam_error *error)
{
    plan->phase = GC_PHASE_FORWARD;
    for (int n = 0; n < plan->graph->node_count; n++) {
        bool taken = plan->is_done[n];
        plan->node = &plan->graph->nodes[n];
        if (!taken)
            GC_TRY(gc_forward_fast(plan, n, &taken, error));
        if (!taken)
            GC_TRY(gc_forward_plain(plan, n, error));
    }
    return GRADCAM_OK;
}

static gradcam_status make_graph(gc_plan *plan, const gc_graph *graph,
                                 const gc_plan_request *request, gradcam_error *error)
{
    int *targets = NULL;
    bool *observed = NULL;
    int count = 0;
    const size_t room =
        (size_t)request->fetch_count + (size_t)request->layer_count + (size_t)request->target_count;
    GC_TRY(gc_arena_new(plan->arena, &targets, room, sizeof *targets, error));
    for (int i = 0; i < request->fetch_count; i++)
        targets[count++] = request->fetches[i];
    for (int i = 0; i < request->layer_count; i++)
        targets[count++] = request->layers[i];
    for (int i = 0; i < request->target_count; i++)
        targets[count++] = request->targets[i];
    GC_TRY(gc_specialize(&plan->graph, graph, request->feeds, request->feed_count, targets, count,
                         error));
    GC_TRY(gc_arena_new(plan->arena, &observed, (size_t)plan->graph->value_count, sizeof *observed,
                        error));
    for (int i = 0; i < plan->graph->output_count; i++)
        observed[plan->graph->outputs[i]] = true;
    return gc_fold_batchnorm(plan->graph, observed, error);
}

static gradcam_status list_readers(gc_plan *plan, gradcam_error *error)
{
    const gc_graph *const g = plan->graph;
    char *counts = NULL;
    GC_TRY(gc_arena_new(plan->arena, &plan->readers, (size_t)plan->value_count,
                        sizeof *plan->readers, error));
    GC_TRY(gc_arena_new(plan->arena, &counts, (size_t)plan->value_count, 1, error));
    for (int n = 0; n < g->node_count; n++)
        for (int i = 0; i < g->nodes[n].input_count; i++) {
            const int v = g->nodes[n].inputs[i];
            if (v != GC_ABSENT && counts[v] < 2)
                plan->readers[v][(int)counts[v]++] = n;
        }
    return GRADCAM_OK;
}

static gradcam_status make_tables(gc_plan *plan, const gc_plan_request *request,
                                  gradcam_error *error)
{
    const size_t values = (size_t)plan->graph->value_count;
    plan->value_count = plan->graph->value_count;
    GC_TRY(gc_arena_new(plan->arena, &plan->is_kept, values, sizeof(bool), error));
    GC_TRY(gc_arena_new(plan->arena, &plan->in_region, values, sizeof(bool), error));
    GC_TRY(gc_arena_new(plan->arena, &plan->is_done, (size_t)plan->graph->node_count, sizeof(bool),
                        error));
    GC_TRY(gc_count_uses(plan->graph, &plan->uses, error));
    GC_TRY(list_readers(plan, error));
    GC_TRY(gc_concat_find_hosts(plan, error));
    if (request->target_count > 0) {
        GC_TRY(find_region(plan, request, error));
        GC_TRY(check_layers(plan, request, error));
        keep_region(plan);
    }
    for (int i = 0; i < plan->graph->output_count; i++)
        plan->is_kept[plan->graph->outputs[i]] = true;
    return GRADCAM_OK;
}

static gradcam_status build(gc_plan *plan, const gc_graph *graph, const gc_plan_request *request,
                            gradcam_error *error)
{
    GC_TRY(gc_arena_create(&plan->arena, error));
    GC_TRY(gc_dnnl_create(&plan->dnnl, error));
    GC_TRY(make_graph(plan, graph, request, error));
    GC_TRY(make_tables(plan, request, error));
    GC_TRY(add_items(plan, error));
    GC_TRY(add_feeds(plan, request, error));
    GC_TRY(build_forward(plan, error));
    plan->node = NULL;
    GC_TRY(export_fetches(plan, request, error));
    if (request->target_count > 0) {
        GC_TRY(gc_backward_build(plan, request, error));
        GC_TRY(export_gradients(plan, request, error));
    }
    return GRADCAM_OK;
}

/* ---- Binding -------------------------------------------------------------------------------- */

static void *address(const gc_plan *plan, int slot)
{
    const gc_slot *const s = &plan->slots[slot];
    if (s->fixed != NULL)
        return s->fixed;
    if (s->parent != GC_NO_SLOT)
        return (char *)address(plan, s->parent) + s->at;
    return (char *)plan->block + s->offset;
}

static void bind_step(gc_plan *plan, gc_step *step)
{
    for (int i = 0; i < step->tensor_count; i++)
        if (step->slots[i] != GC_NO_SLOT)
            step->tensors[i].data = address(plan, step->slots[i]);
    if (step->scratch_slot != GC_NO_SLOT)
        step->call.scratch = address(plan, step->scratch_slot);
    for (int a = 0; step->kernel != NULL && a < GC_ARG_COUNT; a++)
        if (step->kernel_slots[a] != GC_NO_SLOT)
            gc_kernel_bind(step->kernel, (gc_kernel_arg)a, address(plan, step->kernel_slots[a]));
}

static gradcam_status bind(gc_plan *plan, gradcam_error *error)
{
    size_t bytes = 0;
    GC_TRY(gc_place_slots(plan, &bytes, error));
    GC_TRY(gc_budget_take(gc_packs_budget(plan->packs), bytes, "activations and gradients", error));
    plan->block_bytes = bytes;
    GC_TRY(gc_new(&plan->block, 1, plan->block_bytes, error));
    for (int s = 0; s < plan->step_count; s++)
        bind_step(plan, &plan->steps[s]);
    for (int i = 0; i < plan->feed_count; i++)
        plan->feeds[i].data = address(plan, plan->feed_slots[i]);
    for (int i = 0; i < plan->fetch_count; i++)
        plan->fetches[i].data = address(plan, plan->fetch_slots[i]);
    for (int i = 0; i < plan->gradient_count; i++)
        plan->gradients[i].data = address(plan, plan->gradient_slots[i]);
    for (int i = 0; i < plan->seed_count; i++)
        plan->seeds[i].data = address(plan, plan->seed_slots[i]);
    return GRADCAM_OK;
}

/* ---- Running -------------------------------------------------------------------------------- */

static void add(const gc_step *step)
{
    const float *const a = gc_floats(&step->tensors[0]), *const b = gc_floats(&step->tensors[1]);
    float *const sum = gc_floats(&step->tensors[2]);
    const int64_t count = gc_tensor_count(&step->tensors[0]);
#pragma omp parallel for simd schedule(static) if (count > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < count; i++)
        sum[i] = a[i] + b[i];
}

static void guide(const gc_plan *plan, const gc_step *step)
{
    const float *const from = gc_floats(&step->tensors[0]);
    float *const to = gc_floats(&step->tensors[1]);
    const float lowest = plan->is_guided ? 0.0f : -INFINITY;
    const int64_t count = gc_tensor_count(&step->tensors[0]);
#pragma omp parallel for simd schedule(static) if (count > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < count; i++)
        to[i] = from[i] < lowest ? lowest : from[i];
}

static void clear_padding(const gc_tensor *tensor)
{
    const gc_spatial view = gc_spatial_of(tensor);
    const int64_t blocks = view.outer / tensor->dims[0];
    const int64_t used = tensor->dims[1] - (blocks - 1) * view.inner;
    float *const data = gc_floats(tensor);
    for (int64_t n = 0; n < tensor->dims[0]; n++) {
        float *const last = data + ((n + 1) * blocks - 1) * view.spatial * view.inner;
        for (int64_t s = 0; s < view.spatial; s++)
            memset(last + s * view.inner + used, 0, (size_t)(view.inner - used) * sizeof(float));
    }
}

static gradcam_status run_step(const gc_plan *plan, gc_step *step, gradcam_error *error)
{
    switch (step->kind) {
    case GC_STEP_FORWARD:
        step->call.error = error;
        return step->op->forward(&step->call);
    case GC_STEP_BACKWARD:
        step->call.error = error;
        return step->op->backward(&step->call, step->output_grads, step->input_grads);
    case GC_STEP_KERNEL:
        return gc_kernel_run(step->kernel, error);
    case GC_STEP_ADD:
        add(step);
        return GRADCAM_OK;
    case GC_STEP_ZERO:
        gc_clear_bytes(step->tensors[0].data, gc_tensor_bytes(&step->tensors[0]));
        return GRADCAM_OK;
    case GC_STEP_GUIDE:
        guide(plan, step);
        return GRADCAM_OK;
    case GC_STEP_AFFINE:
        gc_affine_run(step->affine, &step->tensors[0], &step->tensors[1], &step->tensors[2]);
        return GRADCAM_OK;
    case GC_STEP_RELAYOUT:
        gc_relayout(&step->tensors[0], &step->tensors[1]);
        return GRADCAM_OK;
    case GC_STEP_CLEAR:
        clear_padding(&step->tensors[0]);
        return GRADCAM_OK;
    }
    return gc_fail(error, GRADCAM_ERROR_INTERNAL, "unknown step");
}

static gradcam_status run(gc_plan *plan, gc_phase phase, gradcam_error *error)
{
    for (int s = 0; s < plan->step_count; s++)
        if (plan->steps[s].phase == phase)
            GC_TRY(run_step(plan, &plan->steps[s], error));
    return GRADCAM_OK;
}

/* ---- Public --------------------------------------------------------------------------------- */

gradcam_status gc_plan_create(gc_plan **plan, const gc_graph *graph, gc_packs *packs,
                              const gc_plan_request *request, gradcam_error *error)
{
    GC_TRY(gc_new(plan, 1, sizeof **plan, error));
    (*plan)->packs = packs;
    (*plan)->plain = request->plain;
    (*plan)->strict = request->strict;
    (*plan)->bfloat16 = request->bfloat16;
    (*plan)->can_guide = request->guided;
    gradcam_status status = build(*plan, graph, request, error);
    gc_packs_trim(packs);
    if (status == GRADCAM_OK)
        status = bind(*plan, error);
    if (status == GRADCAM_OK)
        status = run(*plan, GC_PHASE_SETUP, error);
    if (status != GRADCAM_OK)
        gc_plan_destroy(plan);
    return status;
}

void gc_plan_destroy(gc_plan **plan)
{
    if (plan == NULL || *plan == NULL)
        return;
    for (int s = 0; s < (*plan)->step_count; s++)
        gc_kernel_destroy(&(*plan)->steps[s].kernel);
    gc_budget_give(gc_packs_budget((*plan)->packs), (*plan)->block_bytes);
    gc_free((*plan)->block);
    gc_free((*plan)->steps);
    gc_free((*plan)->slots);
    gc_free((*plan)->items);
    gc_free((*plan)->uses);
    gc_graph_destroy(&(*plan)->graph);
    gc_arena_destroy(&(*plan)->arena);
    gc_dnnl_destroy(&(*plan)->dnnl);
    gc_free(*plan);
    *plan = NULL;
}

gc_tensor *gc_plan_feed(gc_plan *plan, int index)
{
    return &plan->feeds[index];
}

gradcam_status gc_plan_forward(gc_plan *plan, gradcam_error *error)
{
    return run(plan, GC_PHASE_FORWARD, error);
}

const gc_tensor *gc_plan_fetch(const gc_plan *plan, int index)
{
    return &plan->fetches[index];
}

gc_tensor *gc_plan_seed(gc_plan *plan, int index)
{
    return &plan->seeds[index];
}

void gc_plan_set_guided(gc_plan *plan, bool on)
{
    plan->is_guided = on;
}

gradcam_status gc_plan_backward(gc_plan *plan, gradcam_error *error)
{
    return run(plan, GC_PHASE_BACKWARD, error);
}

const gc_tensor *gc_plan_gradient(const gc_plan *plan, int index)
{
    return &plan->gradients[index];
}

int gc_plan_step_count(const gc_plan *plan)
{
    return plan->step_count;
}

gradcam_status gc_plan_run_step(gc_plan *plan, int step, gradcam_error *error)
{
    return run_step(plan, &plan->steps[step], error);
}

const char *gc_plan_step_text(const gc_plan *plan, int step, char text[GC_STEP_TEXT])
{
    static const char *const kinds[] = {"plain", "plain",  "oneDNN",   "add",  "zero",
                                        "guide", "affine", "relayout", "clear"};
    static const char *const phases[] = {"setup", "forward", "backward"};
    const gc_step *const s = &plan->steps[step];
    const char *const op = s->node != NULL ? s->node->op : "reorder";
    const char *const name = s->node != NULL ? s->node->name : "";
    const char *const kind = s->kernel != NULL ? gc_kernel_name(s->kernel) : kinds[s->kind];
    snprintf(text, GC_STEP_TEXT, "%s %s %s %s", phases[s->phase], op, kind, name);
    return text;
}

static double bytes_of_values(const gc_graph *graph, const int *values, int count)
{
    double bytes = 0.0;
    for (int i = 0; i < count; i++)
        if (values[i] != GC_ABSENT)
            bytes += (double)gc_tensor_bytes(&graph->values[values[i]].type);
    return bytes;
}

void gc_plan_step_work(const gc_plan *plan, int step, double *operations, double *bytes)
{
    const gc_step *const s = &plan->steps[step];
    const gc_node *const n = s->node;
    *operations = *bytes = 0.0;
    if (s->kernel != NULL && n != NULL) {
        *operations = 2.0 * (double)gc_node_macs(plan->graph, n);
        *bytes = bytes_of_values(plan->graph, n->inputs, n->input_count) +
                 bytes_of_values(plan->graph, n->outputs, n->output_count);
        return;
    }
    for (int i = 0; i < s->tensor_count; i++)
        if (s->slots[i] != GC_NO_SLOT)
            *bytes += (double)gc_tensor_bytes(&s->tensors[i]);
}

size_t gc_plan_memory(const gc_plan *plan)
{
    return plan->block_bytes;
}
