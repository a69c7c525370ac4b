/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/curvature.h"

#include <string.h>

#include "cam/tail.h"
#include "passes/evaluate.h"

typedef struct work {
    gc_runner *runner;
    const gc_runner_setup *setup;
    const gc_goal *goal;
    gc_graph *graph; /* the tail, of batch 1 */
    gc_plan *plan;
    gc_feed *feeds; /* the layer, then the frontier */
    int feed_count;
    int heads[GC_MAX_HEADS], head_count;
    gc_tensor *points; /* input 0 of every node that has a kink, by node; owned data */
    int point_count;
} work;

/* ---- The tail ------------------------------------------------------------------------------- */

static gradcam_status list_feeds(work *w, int layer, gradcam_error *error)
{
    int *frontier = NULL, count = 0;
    GC_TRY(gc_tail_frontier(w->setup, layer, w->goal->heads, &frontier, &count, error));
    const gradcam_status status = gc_new(&w->feeds, (size_t)count + 1, sizeof *w->feeds, error);
    w->feed_count = count + 1;
    for (int i = 0; status == GRADCAM_OK && i <= count; i++) {
        const int value = gc_graph_resolve(w->setup->shaped, i == 0 ? layer : frontier[i - 1]);
        w->feeds[i] = (gc_feed){value, w->setup->shaped->values[value].type};
    }
    gc_free(frontier);
    return status;
}

static gradcam_status cut_tail(work *w, int layer, gradcam_error *error)
{
    GC_TRY(list_feeds(w, layer, error));
    for (int h = 0; h < w->setup->head_count; h++)
        if ((w->goal->heads >> h & 1u) != 0)
            w->heads[w->head_count++] = gc_graph_resolve(w->setup->shaped, w->setup->heads[h]);
    return gc_specialize(&w->graph, w->setup->shaped, w->feeds, w->feed_count, w->heads,
                         w->head_count, error);
}

static gradcam_status fill_feeds(const work *w, gradcam_error *error)
{
    for (int f = 0; f < w->feed_count; f++) {
        const gc_tensor *from = NULL;
        GC_TRY(gc_runner_value(w->runner, w->feeds[f].value, &from, error));
        memcpy(gc_plan_feed(w->plan, f)->data, from->data, gc_tensor_bytes(from));
    }
    return GRADCAM_OK;
}

/* ---- Where the kinks are -------------------------------------------------------------------- */

/* Piecewise linear in input 0; the others are parameters. */
static bool is_kinked(const gc_graph *g, const gc_node *node)
{
    static const char *const names[] = {"Relu",   "LeakyRelu",   "PRelu",           "Clip",
                                        "Abs",    "HardSigmoid", "ThresholdedRelu", "HardSwish",
                                        "MaxPool"};
    for (int i = 1; i < node->input_count; i++)
        if (node->inputs[i] != GC_ABSENT && g->values[node->inputs[i]].constant == NULL)
            return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (node->domain[0] == '\0' && strcmp(node->op, names[i]) == 0)
            return gc_attr_int(node, "storage_order", 0) == 0;
    return false;
}

static int list_points(const work *w, int *fetches)
{
    int count = 0;
    for (int n = 0; n < w->graph->node_count; n++) {
        const int value = w->graph->nodes[n].inputs[0];
        bool is_there = !is_kinked(w->graph, &w->graph->nodes[n]);
        for (int i = 0; i < w->feed_count && !is_there; i++)
            is_there = w->feeds[i].value == value;
        for (int i = 0; i < count && !is_there; i++)
            is_there = fetches[i] == value;
        if (!is_there)
            fetches[count++] = value;
    }
    return count;
}

static const gc_tensor *find_value(const work *w, const int *fetches, int fetch_count, int value)
{
    for (int i = 0; i < fetch_count; i++)
        if (fetches[i] == value)
            return gc_plan_fetch(w->plan, i);
    for (int f = 0; f < w->feed_count; f++)
        if (w->feeds[f].value == value)
            return gc_plan_feed(w->plan, f);
    return NULL;
}

/* Runs the tail as it is and keeps what its kinked nodes read. */
static gradcam_status keep_points(work *w, int *fetches, gradcam_error *error)
{
    const int count = list_points(w, fetches);
    memcpy(fetches + count, w->heads, (size_t)w->head_count * sizeof *fetches);
    const gc_plan_request request = {.feeds = w->feeds,
                                     .feed_count = w->feed_count,
                                     .fetches = fetches,
                                     .fetch_count = count + w->head_count,
                                     .strict = true};
    GC_TRY(gc_plan_create(&w->plan, w->graph, w->setup->packs, &request, error));
    GC_TRY(fill_feeds(w, error));
    GC_TRY(gc_plan_forward(w->plan, error));
    w->point_count = w->graph->node_count;
    GC_TRY(gc_new(&w->points, (size_t)w->point_count, sizeof *w->points, error));
    for (int n = 0; n < w->point_count; n++) {
        const gc_node *const node = &w->graph->nodes[n];
        if (!is_kinked(w->graph, node))
            continue;
        const gc_tensor *const from = find_value(w, fetches, count, node->inputs[0]);
        w->points[n] = *from;
        w->points[n].data = NULL;
        GC_TRY(gc_tensor_alloc(&w->points[n], error));
        memcpy(w->points[n].data, from->data, gc_tensor_bytes(from));
    }
    return GRADCAM_OK;
}

static gradcam_status find_points(work *w, gradcam_error *error)
{
    int *fetches = NULL;
    GC_TRY(gc_new(&fetches, (size_t)(w->graph->node_count + GC_MAX_HEADS), sizeof *fetches, error));
    const gradcam_status status = keep_points(w, fetches, error);
    gc_free(fetches);
    gc_plan_destroy(&w->plan);
    return status;
}

/* ---- Tangents ------------------------------------------------------------------------------- */

/* Adds a constant that takes over the tensor's data. */
static gradcam_status add_constant(gc_graph *g, gc_tensor *tensor, int *value, gradcam_error *error)
{
    gc_constant *constant = NULL;
    GC_TRY(gc_constant_create(&constant, tensor, error));
    tensor->data = NULL;
    return gc_graph_add_constant(g, "", constant, value, error);
}

static gradcam_status add_node(gc_graph *g, const char *op, int a, int b, int out,
                               gradcam_error *error)
{
    gc_node *node = NULL;
    GC_TRY(gc_graph_add_node(g, "", op, "", g->nodes[0].opset, 2, 1, &node, error));
    node->inputs[0] = a;
    node->inputs[1] = b;
    node->outputs[0] = out;
    return GRADCAM_OK;
}

/* slope * x + offset, by the plain kernels. HardSwish is x times a hard sigmoid, whose tangent this
 * is then. */
static gradcam_status line_at(gc_call *call, gc_tensor *slope, gc_tensor *offset)
{
    const gc_op *const op = gc_op_find(call->node->op, call->node->domain);
    const float *const x = gc_floats(call->inputs[0]);
    const int64_t count = gc_tensor_count(slope);
    float *const s = gc_floats(slope), *const o = gc_floats(offset);
    if (strcmp(call->node->op, "HardSwish") == 0) {
        for (int64_t i = 0; i < count; i++) {
            s[i] = x[i] > -3.0f && x[i] < 3.0f ? 1.0f / 6.0f : 0.0f;
            o[i] = x[i] >= 3.0f ? 1.0f : x[i] <= -3.0f ? 0.0f : 0.5f;
        }
        return GRADCAM_OK;
    }
    gc_tensor ones = *slope;
    GC_TRY(gc_tensor_alloc(&ones, call->error));
    for (int64_t i = 0; i < count; i++)
        gc_floats(&ones)[i] = 1.0f;
    const gc_tensor *const seeds[] = {&ones};
    gc_tensor *gradients[GC_MAX_OPERANDS] = {slope};
    *call->outputs[0] = *offset;
    gradcam_status status = op->forward(call);
    if (status == GRADCAM_OK)
        status = op->backward(call, seeds, gradients);
    gc_tensor_free(&ones);
    for (int64_t i = 0; i < count; i++)
        o[i] -= s[i] * x[i];
    return status;
}

static gradcam_status replace_by_line(gc_graph *g, gc_call *call, gc_tensor *slope,
                                      gc_tensor *offset, gradcam_error *error)
{
    const int x = call->node->inputs[0], y = call->node->outputs[0];
    const bool is_swish = strcmp(call->node->op, "HardSwish") == 0;
    int slopes = 0, offsets = 0, scaled = 0, line = y;
    *slope = *offset = *call->inputs[0];
    slope->data = offset->data = NULL;
    GC_TRY(gc_tensor_alloc(slope, error));
    GC_TRY(gc_tensor_alloc(offset, error));
    GC_TRY(line_at(call, slope, offset));
    GC_TRY(add_constant(g, slope, &slopes, error));
    GC_TRY(add_constant(g, offset, &offsets, error));
    GC_TRY(gc_graph_add_value(g, "", &scaled, error));
    if (is_swish)
        GC_TRY(gc_graph_add_value(g, "", &line, error));
    GC_TRY(add_node(g, "Mul", x, slopes, scaled, error));
    GC_TRY(add_node(g, "Add", scaled, offsets, line, error));
    return is_swish ? add_node(g, "Mul", x, line, y, error) : GRADCAM_OK;
}

/* The maxima stay where they are: y = x[indices]. */
static gradcam_status replace_by_gather(gc_graph *g, gc_call *call, gc_tensor *indices,
                                        gc_tensor *values, gradcam_error *error)
{
    const gc_op *const op = gc_op_find("MaxPool", "");
    const int x = call->node->inputs[0], y = call->node->outputs[0];
    const int64_t one = 1;
    gc_tensor *outputs[] = {values, indices}, all;
    int where = 0, flat = 0, shape = 0;
    gc_call with_indices = *call;
    with_indices.outputs = outputs;
    with_indices.output_count = 2;
    *values = *indices = (gc_tensor){.rank = -1};
    GC_TRY(op->infer(&with_indices));
    GC_TRY(gc_tensor_alloc(values, error));
    GC_TRY(gc_tensor_alloc(indices, error));
    GC_TRY(op->forward(&with_indices));
    gc_tensor_describe(&all, GC_INT64, 1, &one);
    GC_TRY(gc_tensor_alloc(&all, error));
    gc_ints(&all)[0] = -1;
    GC_TRY(add_constant(g, indices, &where, error));
    GC_TRY(add_constant(g, &all, &shape, error));
    GC_TRY(gc_graph_add_value(g, "", &flat, error));
    GC_TRY(add_node(g, "Reshape", x, shape, flat, error));
    return add_node(g, "Gather", flat, where, y, error);
}

static gradcam_status replace(work *w, int index, gc_operands *operands, gradcam_error *error)
{
    gc_graph *const g = w->graph;
    gc_tensor first = {0}, second = {0};
    gc_call call;
    int unused = 0;
    gc_node node = g->nodes[index]; /* adding nodes moves them */
    GC_TRY(gc_operands_init(operands, &call, g, &node, error));
    operands->inputs[0] = w->points[index];
    const gradcam_status status = strcmp(node.op, "MaxPool") == 0
                                      ? replace_by_gather(g, &call, &first, &second, error)
                                      : replace_by_line(g, &call, &first, &second, error);
    gc_tensor_free(&first);
    gc_tensor_free(&second);
    GC_TRY(status);
    GC_TRY(gc_graph_add_value(g, "", &unused, error));
    node.outputs[0] = unused; /* the arrays are the node's own */
    return GRADCAM_OK;
}

static gradcam_status replace_all(work *w, gradcam_error *error)
{
    gc_operands *operands = NULL;
    gradcam_status status = gc_new(&operands, 1, sizeof *operands, error);
    for (int n = 0; n < w->point_count && status == GRADCAM_OK; n++)
        if (is_kinked(w->graph, &w->graph->nodes[n]))
            status = replace(w, n, operands, error);
    gc_free(operands);
    GC_TRY(status);
    return gc_graph_sort(w->graph, error);
}

/* ---- Differences ---------------------------------------------------------------------------- */

static gradcam_status add_gradient(const work *w, const gc_tensor *a, double factor, double weight,
                                   float *product, gradcam_error *error)
{
    gradcam_tensor heads[GC_MAX_HEADS];
    const gradcam_tensor *like = NULL;
    gc_tensor *const feed = gc_plan_feed(w->plan, 0);
    const int64_t count = gc_tensor_count(feed);
    int head_count = 0;
    GC_TRY(gc_runner_heads(w->runner, &like, &head_count, error));
    for (int64_t i = 0; i < count; i++)
        gc_floats(feed)[i] = (float)(factor * gc_floats(a)[i]);
    GC_TRY(gc_plan_forward(w->plan, error));
    for (int h = 0, f = 0; h < head_count; h++) {
        heads[h] = like[h];
        heads[h].values =
            (w->goal->heads >> h & 1u) != 0 ? gc_floats(gc_plan_fetch(w->plan, f++)) : NULL;
    }
    GC_TRY(gc_goal_seed(w->goal, heads, head_count, w->goal->heads, w->plan, error));
    GC_TRY(gc_plan_backward(w->plan, error));
    const float *const g = gc_floats(gc_plan_gradient(w->plan, 0));
    for (int64_t i = 0; i < count; i++)
        product[i] += (float)(weight * g[i]);
    return GRADCAM_OK;
}

static gradcam_status differentiate(work *w, int layer, double step, float *product,
                                    gradcam_error *error)
{
    /* f'(0) = (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h + O(h^4) */
    static const double at[] = {1.0, -1.0, 2.0, -2.0}, weights[] = {8.0, -8.0, -1.0, 1.0};
    const gc_tensor *a = NULL;
    const gc_plan_request request = {.feeds = w->feeds,
                                     .feed_count = w->feed_count,
                                     .fetches = w->heads,
                                     .fetch_count = w->head_count,
                                     .targets = w->heads,
                                     .target_count = w->head_count,
                                     .layers = &w->feeds[0].value,
                                     .layer_count = 1,
                                     .strict = true}; /* differences enlarge rounding */
    GC_TRY(gc_plan_create(&w->plan, w->graph, w->setup->packs, &request, error));
    GC_TRY(fill_feeds(w, error));
    GC_TRY(gc_runner_value(w->runner, layer, &a, error));
    memset(product, 0, gc_tensor_bytes(a));
    for (int i = 0; i < 4; i++)
        GC_TRY(add_gradient(w, a, 1.0 + at[i] * step, weights[i] / (12.0 * step), product, error));
    return GRADCAM_OK;
}

static gradcam_status run(work *w, int layer, double step, float *product, gradcam_error *error)
{
    GC_TRY(cut_tail(w, layer, error));
    GC_TRY(find_points(w, error));
    GC_TRY(replace_all(w, error));
    return differentiate(w, layer, step, product, error);
}

gradcam_status gc_curvature(gc_runner *runner, const gc_goal *goal, int layer, double step,
                            float *product, gradcam_error *error)
{
    work w = {.runner = runner, .setup = gc_runner_setup_of(runner), .goal = goal};
    const gradcam_status status = run(&w, layer, step, product, error);
    for (int n = 0; n < w.point_count; n++)
        gc_tensor_free(&w.points[n]);
    gc_free(w.points);
    gc_free(w.feeds);
    gc_plan_destroy(&w.plan);
    gc_graph_destroy(&w.graph);
    return status;
}
