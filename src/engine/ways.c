/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which way a convolution should take: layout and algorithm.
 *
 * By rule, not by trial: the same network on the same machine must give the same bytes each time,
 * and algorithms differ in rounding. The rule estimates a way's time in floating-point operations
 * of a direct convolution: its own, by factors measured with oneDNN 2.6 on AVX-512, and more for
 * each byte that must be copied into another layout first.
 */
#include "engine/build.h"

/* Operations that take as long as moving a byte through the caches, and as starting a step. */
static const double per_byte = 7.0, per_step = 3e6;

static double bytes_of(const gc_tensor *tensor)
{
    return (double)gc_tensor_count(tensor) * (double)sizeof(float);
}

static double operations(const gc_conv_spec *spec)
{
    const gc_tensor *const w = gc_constant_tensor(spec->weights);
    const double per_result = (double)gc_tensor_count(w) / (double)w->dims[0];
    return 2.0 * per_result * (double)gc_tensor_count(&spec->dst);
}

/* Multiplying is twice as fast, but the operand has to be rounded first. A first layer decides for
 * what follows it, see blocked_factor, and there is no rounded form of what it reads over blocks.
 */
bool gc_conv_pays_rounded(const gc_conv_spec *spec)
{
    const double rounding = per_step + 1.5 * bytes_of(&spec->src) * per_byte;
    const bool is_first = spec->src.dims[1] < gc_layout_block(gc_dnnl_blocked_layout());
    return !is_first && operations(spec) / 2.0 > rounding;
}

static bool is_pointwise(const gc_window *w)
{
    for (int i = 0; i < w->spatial; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1)
            return false;
    return true;
}

/* ---- Winograd ------------------------------------------------------------------------------- */

static bool is_square_3x3(const gc_window *w)
{
    bool fits = w->spatial == 2;
    for (int i = 0; fits && i < 2; i++)
        fits = w->kernel[i] == 3 && w->stride[i] == 1 && w->dilation[i] == 1;
    return fits;
}

/*
 * Time of a Winograd convolution beside the direct one's, 0 where it is not worth trying. Small
 * images leave too few tiles, few channels too little work for the transforms to pay.
 */
static double winograd_factor(const gc_conv_spec *spec, gc_conv_way way)
{
    const gc_tensor *const w = gc_constant_tensor(spec->weights);
    const int64_t in = w->dims[1], out = w->dims[0];
    const int64_t least = in < out ? in : out;
    if (!is_square_3x3(&spec->window) || spec->group != 1 || least < 16 || spec->bfloat16)
        return 0.0;
    const int64_t positions = spec->dst.dims[2] * spec->dst.dims[3];
    if (way == GC_CONV_WINOGRAD_4X3)
        return positions >= 26 * 26 && out >= 64      ? 0.55
               : least >= 192 && positions >= 14 * 14 ? 0.75
                                                      : 0.0;
    return (positions >= 26 * 26 && least >= 32) || (positions >= 14 * 14 && least >= 192) ? 0.65
                                                                                           : 0.0;
}

/* ---- Estimates ------------------------------------------------------------------------------ */

/* Time of a direct convolution over blocks beside the one over channels-last images. A first layer,
 * with its few channels, decides for what follows it: whole networks of pointwise and depthwise
 * convolutions are a little faster over blocks. */
static double blocked_factor(const gc_conv_spec *spec)
{
    const gc_tensor *const w = gc_constant_tensor(spec->weights);
    const bool is_depthwise = w->dims[1] == 1 && spec->group > 1;
    const bool is_first = spec->src.dims[1] < gc_layout_block(gc_dnnl_blocked_layout());
    return is_first ? 0.99 : is_depthwise || is_pointwise(&spec->window) ? 1.0 : 1.17;
}

static double own_cost(const gc_conv_spec *spec, gc_conv_way way)
{
    const double speed = spec->bfloat16 ? 2.0 : 1.0;
    return operations(spec) / speed *
           (way == GC_CONV_LAST      ? 1.0
            : way == GC_CONV_BLOCKED ? blocked_factor(spec)
                                     : winograd_factor(spec, way));
}

static double relayout_cost(const gc_plan *plan, int value, gc_layout layout)
{
    const gc_item *const item = &plan->items[value];
    if (item->slots[layout] != GC_NO_SLOT || item->slots[gc_layout_rounded(layout)] != GC_NO_SLOT)
        return 0.0;
    return per_step + 2.0 * bytes_of(&item->type) * per_byte;
}

static double cost_of(const gc_plan *plan, int src, int residual, int dst, const gc_conv_spec *spec,
                      gc_conv_way way)
{
    const gc_layout layout = way == GC_CONV_LAST ? GC_LAYOUT_LAST : gc_dnnl_blocked_layout();
    double cost = own_cost(spec, way);
    /* Few channels: the image is small, and over blocks it is read as it is. */
    if (spec->src.dims[1] >= gc_layout_block(gc_dnnl_blocked_layout()))
        cost += relayout_cost(plan, src, layout);
    if (residual != GC_ABSENT)
        cost += relayout_cost(plan, residual, layout);
    if (way == GC_CONV_LAST && gc_concat_hosts(plan, dst, gc_dnnl_blocked_layout()))
        cost += relayout_cost(plan, dst, gc_dnnl_blocked_layout());
    return cost;
}

void gc_conv_rank_ways(const gc_plan *plan, int src, int residual, int dst, gc_conv_spec *spec)
{
    static const gc_conv_way all[] = {GC_CONV_LAST, GC_CONV_BLOCKED, GC_CONV_WINOGRAD_4X3,
                                      GC_CONV_WINOGRAD_2X3};
    double costs[GC_CONV_WAYS];
    spec->way_count = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const bool is_winograd = i >= 2;
        if ((all[i] == GC_CONV_LAST && !gc_dnnl_prefers_last()) ||
            (is_winograd && (plan->strict || winograd_factor(spec, all[i]) == 0.0)))
            continue;
        const double cost = cost_of(plan, src, residual, dst, spec, all[i]);
        int at = spec->way_count++;
        for (; at > 0 && costs[at - 1] > cost; at--) {
            costs[at] = costs[at - 1];
            spec->ways[at] = spec->ways[at - 1];
        }
        costs[at] = cost;
        spec->ways[at] = all[i];
    }
}

void gc_conv_rank_backward_ways(const gc_plan *plan, int gradient, gc_conv_spec *spec)
{
    const gc_layout home = plan->items[gradient].home;
    const bool last_first =
        gc_dnnl_prefers_last() && (home == GC_LAYOUT_LAST || home == GC_LAYOUT_PLAIN);
    spec->ways[0] = last_first ? GC_CONV_LAST : GC_CONV_BLOCKED;
    spec->ways[1] = last_first ? GC_CONV_BLOCKED : GC_CONV_LAST;
    spec->way_count = 2;
}
