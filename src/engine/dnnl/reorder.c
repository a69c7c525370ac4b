/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of weights between memory layouts; those of activations are in engine/relayout.c.
 *
 * Ours, not oneDNN's: its reorders give wrong values for padded blocks in versions 3.7.0 to 3.8.0
 * (uxlfoundation/oneDNN#3280), one of which Debian 13 ships. Where an element lies in a blocked
 * layout is a sum with one term per axis, so a table per axis and side makes the copy one addition
 * per element.
 */
#include "engine/dnnl/api.h"

#include <string.h>

struct gc_reorder {
    int rank; /* at least 1; axes of extent 1 are left out */
    int64_t dims[GC_MD_RANK];
    int64_t *from[GC_MD_RANK], *to[GC_MD_RANK]; /* offset of each position, in elements */
    size_t to_count;                            /* with what pads */
    bool is_padded; /* the destination has channels that fill up a block */
};

/* offsets[i] of position i along `axis`: outer stride, and the place within each inner block. */
static void fill_offsets(const gc_blocking *b, int axis, int64_t *offsets)
{
    for (int64_t position = 0; position < b->dims[axis]; position++) {
        int64_t rest = position, inner_stride = 1, offset = 0;
        for (int k = b->inner_count - 1; k >= 0; k--) {
            if (b->inner_axes[k] == axis) {
                offset += rest % b->inner_blocks[k] * inner_stride;
                rest /= b->inner_blocks[k];
            }
            inner_stride *= b->inner_blocks[k];
        }
        offsets[position] = offset + rest * b->strides[axis];
    }
}

static int64_t block_of(const gc_blocking *b, int axis)
{
    int64_t block = 1;
    for (int k = 0; k < b->inner_count; k++)
        block *= b->inner_axes[k] == axis ? b->inner_blocks[k] : 1;
    return block;
}

static gradcam_status add_axis(gc_reorder *r, const gc_blocking *from, const gc_blocking *to,
                               int axis, gradcam_error *error)
{
    const int at = r->rank;
    const size_t extent = (size_t)from->dims[axis];
    r->dims[at] = from->dims[axis];
    r->rank++;
    GC_TRY(gc_new(&r->from[at], extent, sizeof(int64_t), error));
    GC_TRY(gc_new(&r->to[at], extent, sizeof(int64_t), error));
    fill_offsets(from, axis, r->from[at]);
    fill_offsets(to, axis, r->to[at]);
    return GRADCAM_OK;
}

static gradcam_status build(gc_reorder *r, gc_const_md from, gc_const_md to, gradcam_error *error)
{
    gc_blocking a, b;
    if (!gc_md_blocking(from, &a) || !gc_md_blocking(to, &b) || a.rank != b.rank)
        return gc_dnnl_fail(error, dnnl_unimplemented, "describing a reorder");
    for (int axis = 0; axis < a.rank; axis++)
        r->is_padded |= a.dims[axis] % block_of(&b, axis) != 0;
    for (int axis = 0; axis < a.rank; axis++)
        if (a.dims[axis] != 1 || (axis + 1 == a.rank && r->rank == 0))
            GC_TRY(add_axis(r, &a, &b, axis, error));
    r->to_count = (size_t)gc_md_count(to);
    return GRADCAM_OK;
}

gradcam_status gc_reorder_create(gc_reorder **reorder, gc_const_md from, gc_const_md to,
                                 gradcam_error *error)
{
    GC_TRY(gc_new(reorder, 1, sizeof **reorder, error));
    const gradcam_status status = build(*reorder, from, to, error);
    if (status != GRADCAM_OK)
        gc_reorder_destroy(reorder);
    return status;
}

void gc_reorder_destroy(gc_reorder **reorder)
{
    if (*reorder == NULL)
        return;
    for (int i = 0; i < GC_MD_RANK; i++) {
        gc_free((*reorder)->from[i]);
        gc_free((*reorder)->to[i]);
    }
    gc_free(*reorder);
    *reorder = NULL;
}

/* The last axis may be as short as a kernel's width. Of several positions of the first axis, which
 * are neighbours in a block, the cache lines are then written while they are near. */
enum { TILE = 16 };

typedef struct tile {
    int64_t first, count; /* along the first axis */
} tile;

/* All positions of a tile that share the coordinates of the axes between the first and the last,
 * which put them at a and b. */
static void copy_rows(const gc_reorder *r, tile t, const float *from, float *to)
{
    const int last = r->rank - 1;
    const int64_t *const from_first = r->from[0] + t.first, *const to_first = r->to[0] + t.first;
    const int64_t *const from_last = r->from[last], *const to_last = r->to[last];
    for (int64_t k = 0; k < t.count; k++) {
        const float *const a = from + from_first[k];
        float *const b = to + to_first[k];
        for (int64_t i = 0; i < r->dims[last]; i++)
            b[to_last[i]] = a[from_last[i]];
    }
}

static void copy_tile(const gc_reorder *r, tile t, const float *from, float *to)
{
    int64_t position[GC_MD_RANK] = {0};
    for (;;) {
        int64_t a = 0, b = 0;
        for (int i = 1; i < r->rank - 1; i++) {
            a += r->from[i][position[i]];
            b += r->to[i][position[i]];
        }
        copy_rows(r, t, from + a, to + b);
        int axis = r->rank - 2;
        while (axis > 0 && ++position[axis] == r->dims[axis])
            position[axis--] = 0;
        if (axis <= 0)
            return;
    }
}

void gc_reorder_run(const gc_reorder *r, const float *from, float *to)
{
    for (int i = 0; i < r->rank; i++)
        if (r->dims[i] == 0)
            return;
    if (r->is_padded)
        gc_clear_bytes(to, r->to_count * sizeof *to);
    if (r->rank == 1) {
        for (int64_t i = 0; i < r->dims[0]; i++)
            to[r->to[0][i]] = from[r->from[0][i]];
        return;
    }
    const int64_t tiles = (r->dims[0] + TILE - 1) / TILE;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t left = r->dims[0] - i * TILE;
        copy_tile(r, (tile){i * TILE, left < TILE ? left : TILE}, from, to);
    }
}
