/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sum of any elements of an output, by index as in NumPy: "boxes[0,12,4]", "scores[0,:,3]",
 * "boxes[0,3+7+9,4]" for chosen anchors, "[0,5]" for the main output. Indices that are left out
 * stand for all; negative ones count from the end.
 */
#include <stdlib.h>
#include <string.h>

#include "cam/goal.h"

typedef struct state {
    int head;
    int64_t *offsets, count;
} state;

static gradcam_status evaluate(void *user, const gradcam_tensor *outputs, size_t count,
                               double *score, gradcam_error *error)
{
    const state *const s = user;
    const gradcam_tensor *const head = &outputs[s->head];
    (void)count;
    (void)error;
    *score = 0.0;
    for (int64_t i = 0; i < s->count; i++) {
        *score += (double)head->values[s->offsets[i]];
        if (head->gradient != NULL)
            head->gradient[s->offsets[i]] += 1.0f;
    }
    return GRADCAM_OK;
}

/* One index, "a", "a:b", ":" or "a+b+c", as the positions it selects of `extent`. */
static bool parse_index(const char *text, size_t length, int64_t extent, bool *selected)
{
    char *end = NULL;
    const char *at = text;
    const char *const stop = text + length;
    const char *const colon = memchr(text, ':', length);
    memset(selected, 0, (size_t)extent * sizeof *selected);
    if (colon != NULL) {
        long long from = 0, to = extent;
        if (colon > text)
            from = strtoll(text, &end, 10);
        if ((colon > text && end != colon))
            return false;
        if (colon + 1 < stop)
            to = strtoll(colon + 1, &end, 10);
        if (colon + 1 < stop && end != stop)
            return false;
        from += from < 0 ? extent : 0;
        to += to < 0 ? extent : 0;
        for (long long i = from; i < to && i >= 0 && i < extent; i++)
            selected[i] = true;
        return from >= 0 && from < to && to <= extent;
    }
    while (at < stop) {
        long long i = strtoll(at, &end, 10);
        i += i < 0 ? extent : 0;
        if (end == at || i < 0 || i >= extent || (end < stop && *end != '+') || end + 1 == stop)
            return false;
        selected[i] = true;
        at = end + (end < stop);
    }
    return length > 0;
}

typedef struct selection {
    const gradcam_tensor *head;
    bool *of[8]; /* which positions of each extent */
} selection;

static gradcam_status select_all(const gc_world *world, const char *text, selection *s,
                                 gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    const char *at = strchr(text, '[') + 1;
    const size_t rest = strlen(at);
    GC_FAIL_IF(rest == 0 || at[rest - 1] != ']', error, GRADCAM_ERROR_ARGUMENT,
               "target '%s': a ']' is missing at the end", text);
    bool is_good = true, is_over = rest == 1;
    for (int d = 0; d < s->head->rank; d++) {
        const int64_t extent = s->head->dims[d];
        GC_TRY(gc_arena_new(world->arena, &s->of[d], (size_t)extent, sizeof(bool), error));
        const size_t length = is_over ? 1 : strcspn(at, ",]");
        is_good &= parse_index(is_over ? ":" : at, length, extent, s->of[d]);
        if (!is_over) {
            is_over = at[length] == ']';
            at += length + 1;
        }
    }
    GC_FAIL_IF(!is_good || !is_over, error, GRADCAM_ERROR_ARGUMENT,
               "target '%s': the output '%s' has the shape %s; an index is a number, a range a:b, "
               "':' or a choice a+b+c for each extent, counted from 0",
               text, s->head->name, gc_head_shape(s->head, shape));
    return GRADCAM_OK;
}

static gradcam_status list_offsets(const gc_world *world, const selection *s, state *st,
                                   gradcam_error *error)
{
    const int64_t count = gc_head_count(s->head);
    for (int pass = 0; pass < 2; pass++) {
        st->count = 0;
        for (int64_t i = 0; i < count; i++) {
            int64_t rest = i;
            bool is_in = true;
            for (int d = s->head->rank - 1; d >= 0; d--) {
                is_in = is_in && s->of[d] != NULL && s->of[d][rest % s->head->dims[d]];
                rest /= s->head->dims[d];
            }
            if (is_in && pass == 1)
                st->offsets[st->count] = i;
            st->count += is_in;
        }
        if (pass == 0)
            GC_TRY(gc_arena_new(world->arena, &st->offsets, (size_t)st->count, sizeof *st->offsets,
                                error));
    }
    return GRADCAM_OK;
}

static gradcam_status resolve(const gc_world *world, const char *text, const char *argument,
                              gc_goals *goals, gradcam_error *error)
{
    const char *names[GC_MAX_HEADS];
    state *st = NULL;
    (void)argument;
    for (int h = 0; h < world->head_count; h++)
        names[h] = world->heads[h].name;
    GC_TRY(gc_arena_new(world->arena, &st, 1, sizeof *st, error));
    st->head = gc_head_named(text, strcspn(text, "["), names, world->head_count);
    selection s = {.head = &world->heads[st->head]};
    GC_TRY(select_all(world, text, &s, error));
    GC_TRY(list_offsets(world, &s, st, error));
    const gc_goal goal = {.text = text, .class_index = -1, .evaluate = evaluate, .state = st};
    return gc_goals_add(goals, &goal, error);
}

static bool matches(const char *text)
{
    const size_t length = strlen(text);
    return strchr(text, '[') != NULL && text[length - 1] == ']';
}

const gc_target_row gc_target_element = {
    .info = {.syntax = "OUTPUT[I,J,...]",
             .summary = "an element of an output, or the sum of a slice: boxes[0,12,4], "
                        "scores[0,:,3], boxes[0,3+7+9,4]; [0,5] for the main output"},
    .matches = matches,
    .reads_named_head = true,
    .resolve = resolve,
};
