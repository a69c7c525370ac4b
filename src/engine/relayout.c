/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of activations between layouts.
 *
 * In every layout, an image is a matrix of positions x channels cut into runs of channels: one run
 * of all channels (LAST), runs of 8 or 16 (BLOCKED), runs of 1 (PLAIN). Runs that are whole on both
 * sides are copied at once; else elements are, a tile of positions at a time, so that both sides
 * of the transpose stay in the cache.
 */
#include "engine/relayout.h"

#include <string.h>

#include "ops/op.h"

/* A unit of work: positions x channels. A group of LANES channels is a cache line. */
enum { POSITIONS = 64, CHANNELS = 128, LANES = 16 };

/* Where channel c of position s lies: (c / run * positions + s) * run + c % run. */
typedef struct side {
    float *data; /* of one image */
    int64_t run, image;
    int64_t position, channel; /* steps from one to the next within a run, or a row of channels */
} side;

static side side_of(const gc_tensor *tensor, int64_t positions)
{
    const int64_t channels = tensor->dims[1];
    const bool is_last = tensor->layout == GC_LAYOUT_LAST;
    const int64_t run = is_last ? channels : gc_layout_block(tensor->layout);
    const int64_t runs = is_last ? 1 : (channels + run - 1) / run;
    return (side){.data = gc_floats(tensor),
                  .run = run,
                  .image = runs * run * positions,
                  .position = run,
                  .channel = run == 1 ? positions : 1};
}

typedef struct copy {
    side from, to;
    int64_t positions, channels;
    int64_t lanes; /* channels at once: they lie within one run of either side, or are runs of 1 */
} copy;

static float *place(const side *s, const copy *c, int64_t image, int64_t channel, int64_t position)
{
    return s->data + image * s->image + (channel / s->run * c->positions + position) * s->run +
           channel % s->run;
}

static void copy_lines(const copy *c, const float *from, float *to, int64_t count)
{
    for (int64_t s = 0; s < count; s++)
        memcpy(to + s * c->to.position, from + s * c->from.position, LANES * sizeof(float));
}

/* Four channels at four positions, between rows of positions and rows of channels. */
typedef float quad __attribute__((vector_size(16), aligned(4)));

static void transpose(const float *from, int64_t from_step, float *to, int64_t to_step)
{
    quad in[4], half[4];
    for (int i = 0; i < 4; i++)
        in[i] = *(const quad *)(const void *)(from + i * from_step);
    half[0] = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5);
    half[1] = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7);
    half[2] = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5);
    half[3] = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);
    for (int i = 0; i < 2; i++) {
        *(quad *)(void *)(to + 2 * i * to_step) =
            __builtin_shufflevector(half[i], half[i + 2], 0, 1, 4, 5);
        *(quad *)(void *)(to + (2 * i + 1) * to_step) =
            __builtin_shufflevector(half[i], half[i + 2], 2, 3, 6, 7);
    }
}

static void copy_lanes(const copy *c, const float *from, float *to, int64_t count, int64_t lanes)
{
    /* The step between the rows of a side: those of the PLAIN one are channels. */
    const bool from_plain = c->from.channel != 1, to_plain = c->to.channel != 1;
    const int64_t from_step = from_plain ? c->from.channel : c->from.position;
    const int64_t to_step = to_plain ? c->to.channel : c->to.position;
    const int64_t quads = from_plain != to_plain ? lanes / 4 * 4 : 0, whole = count / 4 * 4;
    for (int64_t i = 0; i < quads; i += 4)
        for (int64_t s = 0; s < whole; s += 4)
            transpose(from + s * c->from.position + i * c->from.channel, from_step,
                      to + s * c->to.position + i * c->to.channel, to_step);
    for (int64_t s = 0; s < count; s++)
        for (int64_t i = s < whole ? quads : 0; i < lanes; i++)
            to[s * c->to.position + i * c->to.channel] =
                from[s * c->from.position + i * c->from.channel];
}

static void clear_padding(const copy *c, int64_t image, int64_t first, int64_t count)
{
    const int64_t used = c->channels % c->to.run;
    float *const to = place(&c->to, c, image, c->channels - 1, first) + 1;
    for (int64_t s = 0; used != 0 && s < count; s++)
        memset(to + s * c->to.run, 0, (size_t)(c->to.run - used) * sizeof(float));
}

static void copy_unit(const copy *c, int64_t image, int64_t channel, int64_t first)
{
    const bool is_dense = c->from.channel == 1 && c->to.channel == 1;
    const int64_t left = c->positions - first, count = left < POSITIONS ? left : POSITIONS;
    const int64_t end = channel + CHANNELS < c->channels ? channel + CHANNELS : c->channels;
    for (; channel < end; channel += c->lanes) {
        const int64_t lanes = end - channel < c->lanes ? end - channel : c->lanes;
        const float *const from = place(&c->from, c, image, channel, first);
        float *const to = place(&c->to, c, image, channel, first);
        if (is_dense && lanes == LANES)
            copy_lines(c, from, to, count);
        else
            copy_lanes(c, from, to, count, lanes);
    }
    if (end == c->channels)
        clear_padding(c, image, first, count);
}

void gc_relayout(const gc_tensor *from, const gc_tensor *to)
{
    const int64_t count = gc_tensor_count(from);
    copy c = {.positions = 1, .channels = from->dims[1], .lanes = LANES};
    for (int i = 2; i < from->rank; i++)
        c.positions *= from->dims[i];
    if (count == 0)
        return;
    c.from = side_of(from, c.positions);
    c.to = side_of(to, c.positions);
    if (from->layout == GC_LAYOUT_BLOCKED8 || to->layout == GC_LAYOUT_BLOCKED8)
        c.lanes = LANES / 2;
    const int64_t rows = (c.positions + POSITIONS - 1) / POSITIONS;
    const int64_t columns = (c.channels + CHANNELS - 1) / CHANNELS;
    const int64_t units = from->dims[0] * rows * columns;
#pragma omp parallel for schedule(static) if (count > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < units; i++)
        copy_unit(&c, i / columns / rows, i % columns * CHANNELS, i / columns % rows * POSITIONS);
}
