/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/runner.h"

#include <math.h>
#include <string.h>

#include "cam/tail.h"

enum { MOST_IDLE = 2 };

/* A plan and what it is for. */
typedef struct prepared {
    gc_plan *plan;
    gc_wish wish; /* arrays are owned: */
    int *values, *layers, *fetches;
    int fetch_count;
    bool was_run;
} prepared;

struct gc_runner {
    gc_arena *arena;
    gc_runner_setup setup;
    gc_tensor *feeds; /* owned data */
    gradcam_tensor heads[GC_MAX_HEADS];
    prepared now;
    prepared idle[MOST_IDLE]; /* of other wishes, the last used first */
    int idle_count;
    uint64_t base;              /* counts the contents of the base input */
    bool is_at_base;            /* the plan holds the activations of the base input */
    const gc_goal *gradient_of; /* the plan holds the gradients of this goal at the base input */
    bool is_guided;
    gc_tails *tails;
    gc_runner_counts counts;
};

/* ---- Creating ------------------------------------------------------------------------------- */

static void describe_head(gc_runner *r, int head)
{
    const int value = gc_graph_resolve(r->setup.shaped, r->setup.heads[head]);
    const gc_tensor *const type = &r->setup.shaped->values[value].type;
    gradcam_tensor *const to = &r->heads[head];
    *to = (gradcam_tensor){.name = r->setup.graph->values[r->setup.heads[head]].name,
                           .rank = type->rank};
    memcpy(to->dims, type->dims, sizeof to->dims);
}

/* Counted while it lives. */
static gradcam_status allocate_feed(const gc_runner *r, gc_tensor *feed, gradcam_error *error)
{
    gc_budget *const budget = gc_packs_budget(r->setup.packs);
    if (!gc_tensor_is_valid(feed))
        return gc_tensor_alloc(feed, error);
    GC_TRY(gc_budget_take(budget, gc_tensor_bytes(feed), "the input", error));
    const gradcam_status status = gc_tensor_alloc(feed, error);
    if (status != GRADCAM_OK)
        gc_budget_give(budget, gc_tensor_bytes(feed));
    return status;
}

static void free_feed(const gc_runner *r, gc_tensor *feed)
{
    if (feed->data != NULL)
        gc_budget_give(gc_packs_budget(r->setup.packs), gc_tensor_bytes(feed));
    gc_tensor_free(feed);
}

static gradcam_status create(gc_runner *r, const gc_runner_setup *setup, gradcam_error *error)
{
    gc_feed *feeds = NULL;
    int *heads = NULL;
    GC_TRY(gc_arena_create(&r->arena, error));
    r->setup = *setup;
    r->setup.head_count = setup->head_count < GC_MAX_HEADS ? setup->head_count : GC_MAX_HEADS;
    GC_TRY(gc_arena_new(r->arena, &feeds, (size_t)setup->feed_count, sizeof *feeds, error));
    GC_TRY(gc_arena_new(r->arena, &heads, (size_t)setup->head_count, sizeof *heads, error));
    GC_TRY(gc_arena_new(r->arena, &r->feeds, (size_t)setup->feed_count, sizeof *r->feeds, error));
    memcpy(feeds, setup->feeds, (size_t)setup->feed_count * sizeof *feeds);
    memcpy(heads, setup->heads, (size_t)setup->head_count * sizeof *heads);
    r->setup.feeds = feeds;
    r->setup.heads = heads;
    for (int i = 0; i < setup->feed_count; i++) {
        r->feeds[i] = feeds[i].type;
        GC_TRY(allocate_feed(r, &r->feeds[i], error));
    }
    for (int h = 0; h < r->setup.head_count; h++)
        describe_head(r, h);
    return gc_tails_create(&r->tails, &r->setup, error);
}

gradcam_status gc_runner_create(gc_runner **runner, const gc_runner_setup *setup,
                                gradcam_error *error)
{
    GC_TRY(gc_new(runner, 1, sizeof **runner, error));
    const gradcam_status status = create(*runner, setup, error);
    if (status != GRADCAM_OK)
        gc_runner_destroy(runner);
    return status;
}

static void drop(prepared *p)
{
    gc_plan_destroy(&p->plan);
    gc_free(p->values);
    gc_free(p->layers);
    gc_free(p->fetches);
    *p = (prepared){0};
}

static void drop_idle(gc_runner *r)
{
    while (r->idle_count > 0)
        drop(&r->idle[--r->idle_count]);
}

void gc_runner_destroy(gc_runner **runner)
{
    if (runner == NULL || *runner == NULL)
        return;
    gc_runner *const r = *runner;
    drop(&r->now);
    drop_idle(r);
    gc_tails_destroy(&r->tails);
    for (int i = 0; r->feeds != NULL && i < r->setup.feed_count; i++)
        free_feed(r, &r->feeds[i]);
    gc_arena_destroy(&r->arena);
    gc_free(r);
    *runner = NULL;
}

/* ---- The plan ------------------------------------------------------------------------------- */

static bool same_values(const int *a, int a_count, const int *b, int b_count)
{
    return a_count == b_count && memcmp(a, b, (size_t)a_count * sizeof *a) == 0;
}

static gradcam_status copy_values(int **to, const int *from, int count, gradcam_error *error)
{
    GC_TRY(gc_new(to, (size_t)count, sizeof **to, error));
    memcpy(*to, from, (size_t)count * sizeof **to);
    return GRADCAM_OK;
}

static void add_value(int *list, int *count, int value)
{
    for (int i = 0; i < *count; i++)
        if (list[i] == value)
            return;
    list[(*count)++] = value;
}

/* The wish's values, what tails may start from and all they read beside it, each once. */
static gradcam_status collect_values(gc_runner *r, const gc_wish *wish, int **values, int *count,
                                     gradcam_error *error)
{
    const size_t room = (size_t)r->setup.shaped->value_count + (size_t)wish->value_count;
    gradcam_status status = GRADCAM_OK;
    int *frontier = NULL, frontier_count = 0, pooled = 0;
    *count = 0;
    GC_TRY(gc_new(values, room, sizeof **values, error));
    for (int i = 0; i < wish->value_count; i++)
        add_value(*values, count, wish->values[i]);
    for (int i = 0; i < wish->tail_count && status == GRADCAM_OK; i++) {
        status = gc_tail_frontier(&r->setup, wish->tails[i], wish->heads, &frontier,
                                  &frontier_count, error);
        for (int k = 0; status == GRADCAM_OK && k < frontier_count; k++)
            add_value(*values, count, frontier[k]);
        gc_free(frontier);
        frontier = NULL;
        if (status == GRADCAM_OK)
            status = gc_tail_pooled(&r->setup, wish->tails[i], wish->heads, &pooled, error);
        if (status == GRADCAM_OK)
            add_value(*values, count, pooled);
    }
    if (status != GRADCAM_OK) {
        gc_free(*values);
        *values = NULL;
    }
    return status;
}

static void bind_heads(gc_runner *r)
{
    for (int h = 0, f = 0; h < r->setup.head_count; h++)
        r->heads[h].values =
            (r->now.wish.heads >> h & 1u) != 0 ? gc_floats(gc_plan_fetch(r->now.plan, f++)) : NULL;
}

static gradcam_status make_plan(gc_runner *r, gradcam_error *error)
{
    int targets[GC_MAX_HEADS], target_count = 0;
    prepared *const p = &r->now;
    const gc_wish *const w = &p->wish;
    gc_free(p->fetches);
    GC_TRY(gc_new(&p->fetches, (size_t)(GC_MAX_HEADS + w->value_count), sizeof(int), error));
    p->fetch_count = 0;
    for (int h = 0; h < r->setup.head_count; h++)
        if ((w->heads >> h & 1u) != 0)
            targets[target_count++] = p->fetches[p->fetch_count++] = r->setup.heads[h];
    for (int i = 0; i < w->value_count; i++)
        p->fetches[p->fetch_count++] = w->values[i];
    const gc_plan_request request = {.feeds = r->setup.feeds,
                                     .feed_count = r->setup.feed_count,
                                     .fetches = p->fetches,
                                     .fetch_count = p->fetch_count,
                                     .targets = targets,
                                     .target_count = w->layer_count > 0 ? target_count : 0,
                                     .layers = w->layers,
                                     .layer_count = w->layer_count,
                                     .guided = w->guided,
                                     .strict = r->setup.strict,
                                     .bfloat16 = r->setup.bfloat16};
    GC_TRY(gc_plan_create(&p->plan, r->setup.graph, r->setup.packs, &request, error));
    r->counts.plans++;
    bind_heads(r);
    return GRADCAM_OK;
}

static bool is_for(const prepared *p, const gc_wish *wish, const int *values, int count)
{
    return p->plan != NULL && same_values(values, count, p->values, p->wish.value_count) &&
           same_values(wish->layers, wish->layer_count, p->layers, p->wish.layer_count) &&
           wish->heads == p->wish.heads && wish->guided == p->wish.guided;
}

/* Takes an idle plan out, or makes an empty one. */
static prepared take_idle(gc_runner *r, const gc_wish *wish, const int *values, int count)
{
    for (int i = 0; i < r->idle_count; i++) {
        const prepared found = r->idle[i];
        if (!is_for(&found, wish, values, count))
            continue;
        r->idle_count--;
        memmove(&r->idle[i], &r->idle[i + 1], (size_t)(r->idle_count - i) * sizeof *r->idle);
        return found;
    }
    return (prepared){0};
}

/* Keeps the plan for the next time, in place of the one that was not used for longest. One that was
 * never used, as made for the most usual wish, is not waited for. */
static void put_aside(gc_runner *r)
{
    if (!r->now.was_run) {
        drop(&r->now);
        return;
    }
    if (r->idle_count == MOST_IDLE)
        drop(&r->idle[--r->idle_count]);
    memmove(&r->idle[1], &r->idle[0], (size_t)r->idle_count * sizeof *r->idle);
    r->idle[0] = r->now;
    r->idle_count++;
    r->now = (prepared){0};
}

/* Idle plans make way where memory does not suffice. */
static gradcam_status prepare_new(gc_runner *r, const gc_wish *wish, int count,
                                  gradcam_error *error)
{
    prepared *const p = &r->now;
    GC_TRY(copy_values(&p->layers, wish->layers, wish->layer_count, error));
    p->wish = (gc_wish){.values = p->values,
                        .value_count = count,
                        .layers = p->layers,
                        .layer_count = wish->layer_count,
                        .heads = wish->heads,
                        .guided = wish->guided};
    if (r->idle_count > 0) {
        const gradcam_status status = make_plan(r, NULL);
        if (status == GRADCAM_OK)
            return status;
        if (gc_is_scarce(status))
            drop_idle(r);
    }
    return make_plan(r, error);
}

gradcam_status gc_runner_prepare(gc_runner *r, const gc_wish *wish, gradcam_error *error)
{
    int *values = NULL, count = 0;
    GC_TRY(collect_values(r, wish, &values, &count, error));
    if (is_for(&r->now, wish, values, count)) {
        gc_free(values);
        return GRADCAM_OK;
    }
    r->is_at_base = false;
    r->gradient_of = NULL;
    const prepared known = take_idle(r, wish, values, count);
    put_aside(r);
    r->now = known;
    if (known.plan != NULL) {
        gc_free(values);
        bind_heads(r);
        return GRADCAM_OK;
    }
    r->now.values = values;
    const gradcam_status status = prepare_new(r, wish, count, error);
    if (status != GRADCAM_OK)
        drop(&r->now);
    return status;
}

/* ---- The base input ------------------------------------------------------------------------- */

int gc_runner_base_value(const gc_runner *runner)
{
    return runner->setup.feeds[0].value;
}

gc_tensor *gc_runner_base(gc_runner *runner)
{
    return &runner->feeds[0];
}

gc_tensor *gc_runner_feed(gc_runner *runner, int index)
{
    return &runner->feeds[index];
}

void gc_runner_set_base(gc_runner *runner)
{
    runner->base++;
    runner->is_at_base = false;
    runner->gradient_of = NULL;
}

void gc_runner_forget(gc_runner *runner)
{
    runner->gradient_of = NULL;
}

static gradcam_status run_forward(gc_runner *r, const float *input, gradcam_error *error)
{
    for (int i = 0; i < r->setup.feed_count; i++)
        gc_copy_bytes(gc_plan_feed(r->now.plan, i)->data,
                      i == 0 ? (const void *)input : r->feeds[i].data,
                      gc_tensor_bytes(&r->feeds[i]));
    r->counts.forwards++;
    r->gradient_of = NULL;
    r->now.was_run = true;
    return gc_plan_forward(r->now.plan, error);
}

static gradcam_status go_to_base(gc_runner *r, gradcam_error *error)
{
    GC_FAIL_IF(r->now.plan == NULL, error, GRADCAM_ERROR_INTERNAL, "a runner without a plan");
    if (r->is_at_base)
        return GRADCAM_OK;
    GC_TRY(run_forward(r, gc_floats(&r->feeds[0]), error));
    r->is_at_base = true;
    return GRADCAM_OK;
}

gradcam_status gc_runner_value(gc_runner *r, int value, const gc_tensor **tensor,
                               gradcam_error *error)
{
    GC_TRY(go_to_base(r, error));
    if (value == r->setup.feeds[0].value) {
        *tensor = &r->feeds[0];
        return GRADCAM_OK;
    }
    for (int i = 0; i < r->now.fetch_count; i++)
        if (r->now.fetches[i] == value) {
            *tensor = gc_plan_fetch(r->now.plan, i);
            return GRADCAM_OK;
        }
    return gc_fail(error, GRADCAM_ERROR_INTERNAL, "the value '%s' is not observed",
                   r->setup.graph->values[value].name);
}

gradcam_status gc_runner_heads(gc_runner *r, const gradcam_tensor **heads, int *count,
                               gradcam_error *error)
{
    GC_TRY(go_to_base(r, error));
    *heads = r->heads;
    *count = r->setup.head_count;
    return GRADCAM_OK;
}

/* ---- Scores and gradients ------------------------------------------------------------------- */

gradcam_status gc_goal_score(const gc_goal *goal, const gradcam_tensor *heads, int count,
                             double *score, gradcam_error *error)
{
    GC_TRY(goal->evaluate(goal->state, heads, (size_t)count, score, error));
    if (goal->is_negated)
        *score = -*score;
    return GRADCAM_OK;
}

gradcam_status gc_goal_seed(const gc_goal *goal, const gradcam_tensor *heads, int count,
                            unsigned mask, gc_plan *plan, gradcam_error *error)
{
    gradcam_tensor with_gradients[GC_MAX_HEADS] = {0};
    double score = 0.0;
    for (int h = 0, seed = 0; h < count; h++) {
        with_gradients[h] = heads[h];
        with_gradients[h].gradient = NULL;
        if ((mask >> h & 1u) == 0)
            continue;
        gc_tensor *const to = gc_plan_seed(plan, seed++);
        gc_clear_bytes(to->data, gc_tensor_bytes(to));
        with_gradients[h].gradient = gc_floats(to);
    }
    GC_TRY(goal->evaluate(goal->state, with_gradients, (size_t)count, &score, error));
    for (int h = 0, seed = 0; h < count && goal->is_negated; h++) {
        if ((mask >> h & 1u) == 0)
            continue;
        gc_tensor *const to = gc_plan_seed(plan, seed++);
        for (int64_t i = 0; i < gc_tensor_count(to); i++)
            gc_floats(to)[i] = -gc_floats(to)[i];
    }
    return GRADCAM_OK;
}

static gradcam_status run_backward(gc_runner *r, const gc_goal *goal, bool guided,
                                   gradcam_error *error)
{
    GC_TRY(
        gc_goal_seed(goal, r->heads, r->setup.head_count, r->now.wish.heads, r->now.plan, error));
    gc_plan_set_guided(r->now.plan, guided);
    r->counts.backwards++;
    return gc_plan_backward(r->now.plan, error);
}

static gradcam_status find_gradient(const gc_runner *r, int layer, const gc_tensor **tensor,
                                    gradcam_error *error)
{
    for (int i = 0; i < r->now.wish.layer_count; i++)
        if (r->now.layers[i] == layer) {
            *tensor = gc_plan_gradient(r->now.plan, i);
            return GRADCAM_OK;
        }
    return gc_fail(error, GRADCAM_ERROR_INTERNAL, "no gradient is planned for '%s'",
                   r->setup.graph->values[layer].name);
}

gradcam_status gc_runner_gradient(gc_runner *r, const gc_goal *goal, bool guided, int layer,
                                  const gc_tensor **tensor, gradcam_error *error)
{
    GC_TRY(go_to_base(r, error));
    if (r->gradient_of != goal || r->is_guided != guided) {
        r->gradient_of = NULL;
        GC_TRY(run_backward(r, goal, guided, error));
        r->gradient_of = goal;
        r->is_guided = guided;
    }
    return find_gradient(r, layer, tensor, error);
}

gradcam_status gc_runner_score(gc_runner *r, const gc_goal *goal, double *score,
                               gradcam_error *error)
{
    GC_TRY(go_to_base(r, error));
    return gc_goal_score(goal, r->heads, r->setup.head_count, score, error);
}

gradcam_status gc_runner_gradient_at(gc_runner *r, const gc_goal *goal, const float *input,
                                     int layer, const gc_tensor **tensor, gradcam_error *error)
{
    r->is_at_base = false;
    GC_TRY(run_forward(r, input, error));
    GC_TRY(run_backward(r, goal, false, error));
    return find_gradient(r, layer, tensor, error);
}

/* ---- Tails ---------------------------------------------------------------------------------- */

gradcam_status gc_runner_pooled(const gc_runner *r, int layer, int *value, gradcam_error *error)
{
    return gc_tail_pooled(&r->setup, layer, r->now.wish.heads, value, error);
}

gradcam_status gc_runner_sweep(gc_runner *r, const gc_sweep *sweep, const gc_goal *goal,
                               float *scores, gradcam_error *error)
{
    return gc_tails_sweep(r->tails, r, r->base, r->now.wish.heads, sweep, goal, scores, error);
}

void gc_runner_report(gc_runner *runner, const char *name, int done, int total)
{
    gc_tails_report(runner->tails, name, done, total);
}

void gc_runner_set_progress(gc_runner *runner, gradcam_progress_function progress, void *user)
{
    gc_tails_set_progress(runner->tails, progress, user);
}

gc_runner_counts gc_runner_count(const gc_runner *runner)
{
    gc_runner_counts counts = runner->counts;
    counts.swept = gc_tails_count(runner->tails);
    return counts;
}

const gc_runner_setup *gc_runner_setup_of(const gc_runner *runner)
{
    return &runner->setup;
}

const gc_graph *gc_runner_graph(const gc_runner *runner)
{
    return runner->setup.shaped;
}
