/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/trouble.h"

#include <math.h>
#include <string.h>

#include "cam/tail.h"

typedef struct search {
    const gc_runner_setup *setup;
    const gc_graph *graph;
    const gc_goal *goal; /* NULL: no gradients */
    unsigned heads;
    gc_arena *arena;
    gc_plan *plan;
    int *values, count; /* Fetched, or differentiated: in the order of execution. */
    const char *text;
} search;

static bool is_finite(const gc_tensor *tensor)
{
    const int64_t count = gc_tensor_count(tensor);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(gc_floats(tensor)[i]))
            return false;
    return true;
}

/* Activations that nodes make, and that are among the marked ones. */
static void list_values(search *s, const bool *depends, const bool *leads)
{
    const gc_graph *const g = s->graph;
    for (int n = 0; n < g->node_count; n++)
        for (int o = 0; o < g->nodes[n].output_count; o++) {
            const int v = g->nodes[n].outputs[o];
            if (v != GC_ABSENT && v < s->setup->graph->value_count &&
                g->values[v].constant == NULL && gc_dtype_is_float(g->values[v].type.dtype) &&
                (depends == NULL || depends[v]) && leads[v])
                s->values[s->count++] = v;
        }
}

static gradcam_status run(search *s, gc_runner *runner, bool with_gradients, gradcam_error *error)
{
    int heads[GC_MAX_HEADS], head_count = 0;
    const gradcam_tensor *like = NULL;
    int like_count = 0;
    for (int h = 0; h < s->setup->head_count; h++)
        if ((s->heads >> h & 1u) != 0)
            heads[head_count++] = s->setup->heads[h];
    const gc_plan_request request = {.feeds = s->setup->feeds,
                                     .feed_count = s->setup->feed_count,
                                     .fetches = with_gradients ? heads : s->values,
                                     .fetch_count = with_gradients ? head_count : s->count,
                                     .targets = heads,
                                     .target_count = with_gradients ? head_count : 0,
                                     .layers = s->values,
                                     .layer_count = with_gradients ? s->count : 0,
                                     .strict = s->setup->strict,
                                     .bfloat16 = s->setup->bfloat16};
    GC_TRY(gc_plan_create(&s->plan, s->setup->graph, s->setup->packs, &request, error));
    for (int i = 0; i < s->setup->feed_count; i++) {
        const gc_tensor *const feed = i == 0 ? gc_runner_base(runner) : gc_runner_feed(runner, i);
        memcpy(gc_plan_feed(s->plan, i)->data, feed->data, gc_tensor_bytes(feed));
    }
    GC_TRY(gc_plan_forward(s->plan, error));
    if (!with_gradients)
        return GRADCAM_OK;
    GC_TRY(gc_runner_heads(runner, &like, &like_count, error));
    GC_TRY(gc_goal_seed(s->goal, like, like_count, s->heads, s->plan, error));
    return gc_plan_backward(s->plan, error);
}

static gradcam_status look_at_values(search *s, gradcam_error *error)
{
    char node[GC_NODE_TEXT];
    for (int i = 0; i < s->count; i++)
        if (!is_finite(gc_plan_fetch(s->plan, i)))
            return gc_arena_format(
                s->arena, &s->text, error, "the output '%s' of %s",
                s->graph->values[s->values[i]].name,
                gc_node_text(s->graph, &s->graph->nodes[s->graph->values[s->values[i]].producer],
                             node));
    return GRADCAM_OK;
}

/* Some node that reads the value, or NULL: it is a head. */
static const gc_node *reader_of(const gc_graph *g, int value)
{
    for (int n = 0; n < g->node_count; n++)
        for (int i = 0; i < g->nodes[n].input_count; i++)
            if (g->nodes[n].inputs[i] == value)
                return &g->nodes[n];
    return NULL;
}

static gradcam_status look_at_gradients(search *s, gradcam_error *error)
{
    char node[GC_NODE_TEXT];
    for (int i = s->count - 1; i >= 0; i--) {
        if (is_finite(gc_plan_gradient(s->plan, i)))
            continue;
        const gc_node *const reader = reader_of(s->graph, s->values[i]);
        return gc_arena_format(s->arena, &s->text, error, "the gradient of %s with respect to '%s'",
                               reader != NULL ? gc_node_text(s->graph, reader, node) : "the score",
                               s->graph->values[s->values[i]].name);
    }
    return GRADCAM_OK;
}

static gradcam_status find(search *s, gc_runner *runner, int layer, bool *marks,
                           gradcam_error *error)
{
    bool *const depends = marks, *const leads = marks + s->graph->value_count;
    gc_graph_mark_dependent(s->graph, gc_graph_resolve(s->graph, layer), depends);
    gc_mark_leading(s->setup, s->heads, leads);
    list_values(s, NULL, leads);
    GC_TRY(run(s, runner, false, error));
    GC_TRY(look_at_values(s, error));
    if (s->text != NULL || s->goal == NULL)
        return GRADCAM_OK;
    gc_plan_destroy(&s->plan);
    s->count = 0;
    list_values(s, depends, leads);
    GC_TRY(run(s, runner, true, error));
    return look_at_gradients(s, error);
}

gradcam_status gc_trouble_find(gc_runner *runner, unsigned heads, const gc_goal *goal, int layer,
                               gc_arena *arena, const char **text, gradcam_error *error)
{
    search s = {.setup = gc_runner_setup_of(runner), .goal = goal, .heads = heads, .arena = arena};
    bool *marks = NULL;
    gradcam_error reason;
    *text = NULL;
    s.graph = s.setup->shaped;
    GC_TRY(gc_new(&marks, 2 * (size_t)s.graph->value_count, sizeof *marks, error));
    gradcam_status status =
        gc_new(&s.values, (size_t)s.graph->value_count, sizeof *s.values, error);
    if (status == GRADCAM_OK && find(&s, runner, layer, marks, &reason) == GRADCAM_OK)
        *text = s.text;
    gc_plan_destroy(&s.plan);
    gc_free(s.values);
    gc_free(marks);
    return status;
}
