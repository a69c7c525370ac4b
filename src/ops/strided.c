/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/strided.h"

#include <stdlib.h>
#include <string.h>

/* PIECE: elements in one unit of work. TILE: lines that a transposing piece writes side by side, a
 * cache line of floats. */
enum { PIECE = 4096, TILE = 16 };

void gc_strided_axis(gc_strided *view, int64_t extent, int64_t from, int64_t to)
{
    view->dims[view->rank] = extent;
    view->from[view->rank] = from;
    view->to[view->rank++] = to;
}

gc_strided gc_strided_reversed(const gc_strided *view)
{
    gc_strided other = *view;
    memcpy(other.from, view->to, sizeof other.from);
    memcpy(other.to, view->from, sizeof other.to);
    return other;
}

/* Axes by falling stride of the target, without those of extent 1, neighbours merged. */
static gc_strided normalised(const gc_strided *view)
{
    int order[GC_STRIDED_RANK];
    int count = 0;
    for (int i = 0; i < view->rank; i++) {
        if (view->dims[i] == 1)
            continue;
        int at = count++;
        for (; at > 0 && llabs(view->to[order[at - 1]]) < llabs(view->to[i]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    gc_strided n = {0};
    for (int i = 0; i < count; i++) {
        const int64_t extent = view->dims[order[i]];
        const int64_t from = view->from[order[i]], to = view->to[order[i]];
        const int last = n.rank - 1;
        if (last >= 0 && n.from[last] == from * extent && n.to[last] == to * extent) {
            n.dims[last] *= extent;
            n.from[last] = from;
            n.to[last] = to;
        } else {
            gc_strided_axis(&n, extent, from, to);
        }
    }
    if (n.rank == 0)
        gc_strided_axis(&n, 1, 1, 1);
    return n;
}

/* The two axes of a piece: `lines` lines of `count` elements. */
typedef struct piece {
    int64_t lines, count;
    int64_t from_line, from, to_line, to;
} piece;

#define COPY_PIECE(NAME, TYPE)                                                                     \
    static void NAME(const piece *p, const TYPE *source, TYPE *target)                             \
    {                                                                                              \
        if (p->from_line == 1 && p->from != 1) { /* transposing: read along the lines */           \
            for (int64_t i = 0; i < p->count; i++)                                                 \
                for (int64_t l = 0; l < p->lines; l++)                                             \
                    target[l * p->to_line + i * p->to] = source[l + i * p->from];                  \
            return;                                                                                \
        }                                                                                          \
        for (int64_t l = 0; l < p->lines; l++) {                                                   \
            const TYPE *const s = source + l * p->from_line;                                       \
            TYPE *const t = target + l * p->to_line;                                               \
            if (p->from == 1 && p->to == 1)                                                        \
                memcpy(t, s, (size_t)p->count * sizeof *t);                                        \
            else                                                                                   \
                for (int64_t i = 0; i < p->count; i++)                                             \
                    t[i * p->to] = s[i * p->from];                                                 \
        }                                                                                          \
    }

COPY_PIECE(copy_floats, float)
COPY_PIECE(copy_integers, int64_t)

/* The axis whose elements lie side by side in the source, if that is not the innermost one anyway;
 * else the innermost but one; -1 where there is a single axis. */
static int line_axis(const gc_strided *n)
{
    const int inner = n->rank - 1;
    if (n->from[inner] != 1)
        for (int i = 0; i < inner; i++)
            if (n->from[i] == 1)
                return i;
    return inner - 1;
}

typedef struct plan {
    gc_strided view;
    int line; /**< Axis of the lines, or -1. */
    int64_t step_lines, step_count;
    int64_t line_pieces, count_pieces, pieces;
} plan;

static plan make_plan(const gc_strided *view)
{
    plan p = {.view = normalised(view)};
    const int inner = p.view.rank - 1;
    const int64_t count = p.view.dims[inner];
    p.line = line_axis(&p.view);
    const int64_t lines = p.line < 0 ? 1 : p.view.dims[p.line];
    const bool transposes = p.line >= 0 && p.view.from[p.line] == 1 && p.view.from[inner] != 1;
    p.step_count = count < PIECE ? count : PIECE;
    p.step_lines = transposes ? TILE : PIECE / p.step_count;
    p.line_pieces = (lines + p.step_lines - 1) / p.step_lines;
    p.count_pieces = (count + p.step_count - 1) / p.step_count;
    p.pieces = p.line_pieces * p.count_pieces;
    for (int i = 0; i < inner; i++)
        p.pieces *= i == p.line ? 1 : p.view.dims[i];
    return p;
}

static void run_piece(const plan *p, int64_t index, const char *source, char *target, bool is_float)
{
    const gc_strided *const v = &p->view;
    const int inner = v->rank - 1;
    const int64_t element = index % p->count_pieces * p->step_count;
    index /= p->count_pieces;
    const int64_t line = index % p->line_pieces * p->step_lines;
    index /= p->line_pieces;
    piece cut = {.lines = 1, .from = v->from[inner], .to = v->to[inner]};
    cut.count = v->dims[inner] - element;
    cut.count = cut.count < p->step_count ? cut.count : p->step_count;
    int64_t from = element * cut.from, to = element * cut.to;
    if (p->line >= 0) {
        cut.lines = v->dims[p->line] - line;
        cut.lines = cut.lines < p->step_lines ? cut.lines : p->step_lines;
        cut.from_line = v->from[p->line];
        cut.to_line = v->to[p->line];
        from += line * cut.from_line;
        to += line * cut.to_line;
    }
    for (int i = inner - 1; i >= 0; i--) {
        if (i == p->line)
            continue;
        from += index % v->dims[i] * v->from[i];
        to += index % v->dims[i] * v->to[i];
        index /= v->dims[i];
    }
    if (is_float)
        copy_floats(&cut, (const float *)(const void *)source + from, (float *)(void *)target + to);
    else
        copy_integers(&cut, (const int64_t *)(const void *)source + from,
                      (int64_t *)(void *)target + to);
}

void gc_strided_copy(const gc_strided *view, const void *source, void *target, bool is_float)
{
    int64_t count = 1;
    for (int i = 0; i < view->rank; i++)
        count *= view->dims[i];
    if (count == 0)
        return;
    const plan p = make_plan(view);
#pragma omp parallel for schedule(static) if (count > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < p.pieces; i++)
        run_piece(&p, i, source, target, is_float);
}
