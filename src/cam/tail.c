/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/tail.h"

#include <math.h>
#include <string.h>

enum {
    MAX_PLANS = 6,
    BATCH_LIMIT = 32,
    INPUT_BATCH = 8,        /* larger batches of whole inputs are not faster */
    BATCH_BYTES = 16 << 20, /* of the value a tail starts from */
    KEPT_BYTES = 64 << 20   /* of results */
};

typedef struct tail {
    int value, batch;
    unsigned heads;
    gc_plan *plan;
    int *frontier;
    int frontier_count;
    uint64_t base; /* that the frontier and the blocks hold */
} tail;

/* The heads of every run of a sweep, one run after the other. */
typedef struct results {
    uint64_t key, base;
    int value;
    unsigned heads;
    int64_t count, width;
    float *values;
} results;

struct gc_tails {
    const gc_runner_setup *setup;
    tail plans[MAX_PLANS];
    int next; /* the one to be replaced */
    results kept;
    gradcam_progress_function progress;
    void *progress_user;
    int64_t swept;
};

/* ---- Creating ------------------------------------------------------------------------------- */

gradcam_status gc_tails_create(gc_tails **tails, const gc_runner_setup *setup, gradcam_error *error)
{
    GC_TRY(gc_new(tails, 1, sizeof **tails, error));
    (*tails)->setup = setup;
    return GRADCAM_OK;
}

static void drop(tail *t)
{
    gc_plan_destroy(&t->plan);
    gc_free(t->frontier);
    *t = (tail){0};
}

void gc_tails_destroy(gc_tails **tails)
{
    if (*tails == NULL)
        return;
    for (int i = 0; i < MAX_PLANS; i++)
        drop(&(*tails)->plans[i]);
    gc_free((*tails)->kept.values);
    gc_free(*tails);
    *tails = NULL;
}

void gc_tails_set_progress(gc_tails *tails, gradcam_progress_function progress, void *user)
{
    tails->progress = progress;
    tails->progress_user = user;
}

void gc_tails_report(gc_tails *tails, const char *name, int64_t done, int64_t total)
{
    if (tails->progress != NULL)
        tails->progress(tails->progress_user, name, (size_t)done, (size_t)total);
}

int64_t gc_tails_count(const gc_tails *tails)
{
    return tails->swept;
}

/* ---- The frontier --------------------------------------------------------------------------- */

void gc_mark_leading(const gc_runner_setup *setup, unsigned heads, bool *leads)
{
    const gc_graph *const g = setup->shaped;
    for (int h = 0; h < setup->head_count; h++)
        if ((heads >> h & 1u) != 0)
            leads[gc_graph_resolve(g, setup->heads[h])] = true;
    for (int n = g->node_count - 1; n >= 0; n--)
        for (int o = 0; o < g->nodes[n].output_count; o++)
            if (g->nodes[n].outputs[o] != GC_ABSENT && leads[g->nodes[n].outputs[o]])
                for (int i = 0; i < g->nodes[n].input_count; i++)
                    if (g->nodes[n].inputs[i] != GC_ABSENT)
                        leads[g->nodes[n].inputs[i]] = true;
}

static bool is_in_tail(const gc_node *node, const bool *depends, const bool *leads)
{
    for (int o = 0; o < node->output_count; o++) {
        const int v = node->outputs[o];
        if (v != GC_ABSENT && depends[v] && leads[v])
            return true;
    }
    return false;
}

static void list_frontier(const gc_graph *g, bool *depends, const bool *leads, int *frontier,
                          int *count)
{
    for (int n = 0; n < g->node_count; n++)
        for (int i = 0; i < g->nodes[n].input_count; i++) {
            const int v = g->nodes[n].inputs[i];
            if (v == GC_ABSENT || depends[v] || g->values[v].constant != NULL ||
                !is_in_tail(&g->nodes[n], depends, leads))
                continue;
            frontier[(*count)++] = v;
        }
    /* Each once; there are few. */
    int kept = 0;
    for (int i = 0; i < *count; i++) {
        int k = 0;
        while (k < kept && frontier[k] != frontier[i])
            k++;
        if (k == kept)
            frontier[kept++] = frontier[i];
    }
    *count = kept;
}

gradcam_status gc_tail_frontier(const gc_runner_setup *setup, int value, unsigned heads,
                                int **frontier, int *count, gradcam_error *error)
{
    const gc_graph *const g = setup->shaped;
    bool *marks = NULL;
    size_t room = 1;
    for (int n = 0; n < g->node_count; n++)
        room += (size_t)g->nodes[n].input_count;
    *count = 0;
    GC_TRY(gc_new(&marks, 2 * (size_t)g->value_count, sizeof *marks, error));
    const gradcam_status status = gc_new(frontier, room, sizeof **frontier, error);
    if (status == GRADCAM_OK) {
        gc_graph_mark_dependent(g, gc_graph_resolve(g, value), marks);
        gc_mark_leading(setup, heads, marks + g->value_count);
        list_frontier(g, marks, marks + g->value_count, *frontier, count);
    }
    gc_free(marks);
    return status;
}

/* ---- Pooling -------------------------------------------------------------------------------- */

static bool is_pooling(const gc_graph *g, const gc_node *node)
{
    static const char *const ops[] = {"GlobalAveragePool", "GlobalMaxPool", "ReduceMean",
                                      "ReduceMax"};
    const gc_tensor *const from = &g->values[node->inputs[0]].type;
    const gc_tensor *const to = &g->values[node->outputs[0]].type;
    bool is_named = false;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        is_named |= strcmp(node->op, ops[i]) == 0;
    return is_named && from->rank > 2 && to->rank >= 2 && from->dims[0] == to->dims[0] &&
           from->dims[1] == to->dims[1] && gc_tensor_count(to) == from->dims[0] * from->dims[1];
}

/* The one node that reads the value and leads to a head, or NULL. */
static const gc_node *only_reader(const gc_graph *g, int value, const bool *leads)
{
    const gc_node *reader = NULL;
    for (int n = 0; n < g->node_count; n++)
        for (int i = 0; i < g->nodes[n].input_count; i++) {
            if (g->nodes[n].inputs[i] != value || !is_in_tail(&g->nodes[n], leads, leads))
                continue;
            if (reader != NULL)
                return NULL;
            reader = &g->nodes[n];
        }
    return reader;
}

gradcam_status gc_tail_pooled(const gc_runner_setup *setup, int value, unsigned heads, int *pooled,
                              gradcam_error *error)
{
    const gc_graph *const g = setup->shaped;
    const int start = gc_graph_resolve(g, value);
    bool *leads = NULL, is_head = false;
    *pooled = value;
    GC_TRY(gc_new(&leads, (size_t)g->value_count, sizeof *leads, error));
    gc_mark_leading(setup, heads, leads);
    const gc_node *const reader = only_reader(g, start, leads);
    for (int h = 0; h < setup->head_count; h++) {
        const int head = gc_graph_resolve(g, setup->heads[h]);
        is_head |= head == start || (reader != NULL && head == reader->outputs[0]);
    }
    if (reader != NULL && !is_head && is_pooling(g, reader) && reader->inputs[0] == start)
        *pooled = reader->outputs[0];
    gc_free(leads);
    return GRADCAM_OK;
}

/* ---- Making a tail -------------------------------------------------------------------------- */

static gc_feed feed_of(const gc_runner_setup *setup, int value, int batch)
{
    gc_feed feed = {.value = value,
                    .type = setup->shaped->values[gc_graph_resolve(setup->shaped, value)].type};
    feed.type.data = NULL;
    if (feed.type.rank > 0)
        feed.type.dims[0] *= batch;
    return feed;
}

/* Feeds: the value, the frontier and, where shapes are computed from them, the network's inputs. */
static int list_feeds(const gc_runner_setup *setup, const tail *t, bool with_inputs, gc_feed *feeds)
{
    int count = 0;
    feeds[count++] = feed_of(setup, t->value, t->batch);
    for (int i = 0; i < t->frontier_count; i++)
        feeds[count++] = feed_of(setup, t->frontier[i], t->batch);
    for (int i = 0; with_inputs && i < setup->feed_count; i++) {
        bool is_there = false;
        for (int k = 0; k < count; k++)
            is_there |= feeds[k].value == setup->feeds[i].value;
        if (!is_there)
            feeds[count++] = feed_of(setup, setup->feeds[i].value, t->batch);
    }
    return count;
}

static gradcam_status make_plan(const gc_runner_setup *setup, tail *t, bool with_inputs,
                                gradcam_error *error)
{
    gc_feed *feeds = NULL;
    int heads[GC_MAX_HEADS], head_count = 0;
    GC_TRY(
        gc_new(&feeds, (size_t)(1 + t->frontier_count + setup->feed_count), sizeof *feeds, error));
    for (int h = 0; h < setup->head_count; h++)
        if ((t->heads >> h & 1u) != 0)
            heads[head_count++] = setup->heads[h];
    const gc_plan_request request = {.feeds = feeds,
                                     .feed_count = list_feeds(setup, t, with_inputs, feeds),
                                     .fetches = heads,
                                     .fetch_count = head_count,
                                     .strict = setup->strict,
                                     .bfloat16 = setup->bfloat16};
    const gradcam_status status =
        gc_plan_create(&t->plan, setup->graph, setup->packs, &request, error);
    gc_free(feeds);
    return status;
}

/* Fills the frontier, and every block of the value, with what the base input gives. */
static gradcam_status fill(const tail *t, gc_runner *runner, gradcam_error *error)
{
    for (int f = 0; f <= t->frontier_count; f++) {
        const gc_tensor *from = NULL;
        gc_tensor *const to = gc_plan_feed(t->plan, f);
        GC_TRY(gc_runner_value(runner, f == 0 ? t->value : t->frontier[f - 1], &from, error));
        const size_t bytes = gc_tensor_bytes(from);
        for (int b = 0; b < t->batch; b++)
            memcpy((char *)to->data + (size_t)b * bytes, from->data, bytes);
    }
    return GRADCAM_OK;
}

static int64_t head_width(const gradcam_tensor *head)
{
    int64_t width = 1;
    for (int i = 0; i < head->rank; i++)
        width *= head->dims[i];
    return width;
}

/* Does every sample of the batch give what the base input gave alone? A network may have the batch
 * wired in, or mix samples; then batches of one are used. */
static gradcam_status verify(const gc_runner_setup *setup, const tail *t, gc_runner *runner,
                             bool *is_same, gradcam_error *error)
{
    const gradcam_tensor *heads = NULL;
    int count = 0;
    GC_TRY(gc_plan_forward(t->plan, error));
    GC_TRY(gc_runner_heads(runner, &heads, &count, error));
    *is_same = true;
    for (int h = 0, f = 0; h < setup->head_count; h++) {
        if ((t->heads >> h & 1u) == 0)
            continue;
        const gc_tensor *const found = gc_plan_fetch(t->plan, f++);
        const int64_t width = head_width(&heads[h]);
        float largest = 0.0f, difference = 0.0f;
        if (gc_tensor_count(found) != width * t->batch) {
            *is_same = false;
            return GRADCAM_OK;
        }
        for (int64_t i = 0; i < width; i++)
            largest = fmaxf(largest, fabsf(heads[h].values[i]));
        for (int64_t i = 0; i < width * t->batch; i++)
            difference = fmaxf(difference, fabsf(gc_floats(found)[i] - heads[h].values[i % width]));
        *is_same &= difference <= 1e-2f * largest;
    }
    return GRADCAM_OK;
}

static gradcam_status try_tail(const gc_runner_setup *setup, gc_runner *runner, tail *t,
                               bool with_inputs, bool *is_good, gradcam_error *error)
{
    *is_good = false;
    gc_plan_destroy(&t->plan);
    GC_TRY(make_plan(setup, t, with_inputs, error));
    GC_TRY(fill(t, runner, error));
    return verify(setup, t, runner, is_good, error);
}

static gradcam_status make_tail(const gc_runner_setup *setup, gc_runner *runner, tail *t,
                                gradcam_error *error)
{
    GC_TRY(gc_tail_frontier(setup, t->value, t->heads, &t->frontier, &t->frontier_count, error));
    const int wanted = t->batch;
    for (int attempt = 0; attempt < 4; attempt++) {
        bool is_good = false;
        gradcam_error reason = {.message = ""};
        t->batch = attempt < 2 ? wanted : 1;
        const gradcam_status status =
            try_tail(setup, runner, t, attempt % 2 == 1, &is_good, &reason);
        if (status == GRADCAM_OK && is_good)
            return GRADCAM_OK;
        if (status == GRADCAM_OK || (attempt < 3 && status != GRADCAM_ERROR_MEMORY))
            continue;
        if (error != NULL)
            *error = reason;
        return status;
    }
    return gc_fail(error, GRADCAM_ERROR_UNSUPPORTED,
                   "the network cannot be run from '%s' on; choose a method that does not change "
                   "activations, or another layer",
                   setup->graph->values[t->value].name);
}

/* *batch is what was wanted when asked for, and what could be had on return; a tail that came out
 * smaller than wanted is found again by its size. */
static gradcam_status get_tail(gc_tails *tails, gc_runner *runner, uint64_t base, int value,
                               int batch, unsigned heads, tail **out, gradcam_error *error)
{
    for (int i = 0; i < MAX_PLANS; i++) {
        tail *const t = &tails->plans[i];
        if (t->plan == NULL || t->value != value || t->heads != heads ||
            (t->batch != batch && t->batch != 1))
            continue;
        *out = t;
        if (t->base == base)
            return GRADCAM_OK;
        t->base = base;
        return fill(t, runner, error);
    }
    tail *const t = &tails->plans[tails->next];
    tails->next = (tails->next + 1) % MAX_PLANS;
    drop(t);
    *t = (tail){.value = value, .batch = batch, .heads = heads, .base = base};
    const gradcam_status status = make_tail(tails->setup, runner, t, error);
    if (status != GRADCAM_OK)
        drop(t);
    *out = t;
    return status;
}

/* ---- Heads ---------------------------------------------------------------------------------- */

static void view_heads(const gc_runner_setup *setup, const tail *t, const gradcam_tensor *like,
                       int sample, gradcam_tensor *heads)
{
    for (int h = 0, f = 0; h < setup->head_count; h++) {
        heads[h] = like[h];
        heads[h].gradient = NULL;
        heads[h].values = (t->heads >> h & 1u) == 0 ? NULL
                                                    : gc_floats(gc_plan_fetch(t->plan, f++)) +
                                                          (int64_t)sample * head_width(&like[h]);
    }
}

/* ---- Sweeps --------------------------------------------------------------------------------- */

/* Batches of equal size, none of them larger than is good. */
static int choose_batch(const gc_runner_setup *setup, const gc_sweep *sweep)
{
    const gc_feed feed = feed_of(setup, sweep->value, 1);
    const int64_t bytes = (int64_t)gc_tensor_bytes(&feed.type);
    int64_t most = sweep->value == setup->feeds[0].value ? INPUT_BATCH : BATCH_LIMIT;
    if (most > BATCH_BYTES / bytes)
        most = BATCH_BYTES / bytes > 1 ? BATCH_BYTES / bytes : 1;
    const int64_t batches = (sweep->count + most - 1) / most;
    return (int)((sweep->count + batches - 1) / batches);
}

static int64_t width_of(const gc_runner_setup *setup, const gradcam_tensor *like, unsigned heads)
{
    int64_t width = 0;
    for (int h = 0; h < setup->head_count; h++)
        width += (heads >> h & 1u) != 0 ? head_width(&like[h]) : 0;
    return width;
}

static bool is_kept(const results *kept, const gc_sweep *sweep, uint64_t base, unsigned heads)
{
    return kept->values != NULL && sweep->key != 0 && kept->key == sweep->key &&
           kept->base == base && kept->value == sweep->value && kept->heads == heads &&
           kept->count == sweep->count;
}

static gradcam_status make_room(gc_tails *tails, const gc_sweep *sweep, uint64_t base,
                                unsigned heads, int64_t width, gradcam_error *error)
{
    results *const kept = &tails->kept;
    gc_free(kept->values);
    *kept = (results){.key = sweep->key,
                      .base = base,
                      .value = sweep->value,
                      .heads = heads,
                      .count = sweep->count,
                      .width = width};
    if (sweep->key == 0 || width * sweep->count > (int64_t)KEPT_BYTES / (int64_t)sizeof(float))
        return GRADCAM_OK;
    return gc_new_raw(&kept->values, (size_t)(width * sweep->count), sizeof(float), error);
}

static void keep(const gc_runner_setup *setup, results *kept, const gradcam_tensor *heads,
                 int64_t run)
{
    float *to = kept->values + run * kept->width;
    for (int h = 0; h < setup->head_count; h++) {
        if ((kept->heads >> h & 1u) == 0)
            continue;
        const int64_t width = head_width(&heads[h]);
        if (heads[h].values != NULL)
            memcpy(to, heads[h].values, (size_t)width * sizeof *to);
        to += width;
    }
}

static gradcam_status score_kept(const gc_tails *tails, const gradcam_tensor *like,
                                 const gc_goal *goal, float *scores, gradcam_error *error)
{
    const results *const kept = &tails->kept;
    gradcam_tensor heads[GC_MAX_HEADS];
    for (int64_t run = 0; run < kept->count; run++) {
        const float *from = kept->values + run * kept->width;
        double score = 0.0;
        for (int h = 0; h < tails->setup->head_count; h++) {
            heads[h] = like[h];
            heads[h].gradient = NULL;
            heads[h].values = (kept->heads >> h & 1u) != 0 ? from : NULL;
            from += heads[h].values != NULL ? head_width(&like[h]) : 0;
        }
        GC_TRY(gc_goal_score(goal, heads, tails->setup->head_count, &score, error));
        scores[run] = (float)score;
    }
    return GRADCAM_OK;
}

static void change_batch(const tail *t, const gc_sweep *sweep, int64_t first, int used, bool undo)
{
    float *const data = gc_floats(gc_plan_feed(t->plan, 0));
    const int64_t block = gc_tensor_count(gc_plan_feed(t->plan, 0)) / t->batch;
#pragma omp parallel for schedule(static)
    for (int b = 0; b < used; b++)
        (undo ? sweep->restore : sweep->change)(sweep->user, first + b, data + b * block);
}

static gradcam_status run_sweep(gc_tails *tails, gc_runner *runner, tail *t, const gc_sweep *sweep,
                                const gc_goal *goal, float *scores, gradcam_error *error)
{
    gradcam_tensor heads[GC_MAX_HEADS];
    const gradcam_tensor *like = NULL;
    int count = 0;
    GC_TRY(gc_runner_heads(runner, &like, &count, error));
    for (int64_t first = 0; first < sweep->count; first += t->batch) {
        const int64_t left = sweep->count - first;
        const int used = left < t->batch ? (int)left : t->batch;
        change_batch(t, sweep, first, used, false);
        GC_TRY(gc_plan_forward(t->plan, error));
        tails->swept += used;
        for (int b = 0; b < used; b++) {
            double score = 0.0;
            view_heads(tails->setup, t, like, b, heads);
            if (tails->kept.values != NULL)
                keep(tails->setup, &tails->kept, heads, first + b);
            GC_TRY(gc_goal_score(goal, heads, count, &score, error));
            scores[first + b] = (float)score;
        }
        if (sweep->restore != NULL)
            change_batch(t, sweep, first, used, true);
        gc_tails_report(tails, sweep->name, first + used, sweep->count);
    }
    return GRADCAM_OK;
}

gradcam_status gc_tails_sweep(gc_tails *tails, gc_runner *runner, uint64_t base, unsigned heads,
                              const gc_sweep *sweep, const gc_goal *goal, float *scores,
                              gradcam_error *error)
{
    const gradcam_tensor *like = NULL;
    tail *t = NULL;
    int count = 0;
    GC_TRY(gc_runner_heads(runner, &like, &count, error));
    if (is_kept(&tails->kept, sweep, base, heads))
        return score_kept(tails, like, goal, scores, error);
    GC_TRY(get_tail(tails, runner, base, sweep->value, choose_batch(tails->setup, sweep), heads, &t,
                    error));
    GC_TRY(make_room(tails, sweep, base, heads, width_of(tails->setup, like, heads), error));
    const gradcam_status status = run_sweep(tails, runner, t, sweep, goal, scores, error);
    if (sweep->restore == NULL || status != GRADCAM_OK)
        t->base = base - 1; /* its blocks are others now */
    if (status != GRADCAM_OK) {
        gc_free(tails->kept.values);
        tails->kept.values = NULL;
    }
    return status;
}
