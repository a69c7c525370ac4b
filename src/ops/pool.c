/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MaxPool, AveragePool, LpPool. For each output position, the taps inside the input; see window.h.
 */
#include <math.h>

#include "ops/check.h"
#include "ops/window.h"

typedef struct geometry {
    gc_window window; /* three axes */
    int64_t planes;
    int64_t in[GC_MAX_SPATIAL], out[GC_MAX_SPATIAL];
    int64_t in_size, out_size;
    bool count_padding; /* AveragePool */
    int p;              /* LpPool */
} geometry;

/* The taps of one output position, and the input index of a tap. */
typedef struct patch {
    gc_range taps[GC_MAX_SPATIAL];
    int64_t start[GC_MAX_SPATIAL];
    int64_t divisor;
} patch;

static gradcam_status make_geometry(const gc_call *call, const gc_tensor *x, geometry *g)
{
    gc_window window;
    int64_t out[GC_MAX_SPATIAL];
    GC_TRY(gc_window_resolve(call, x, NULL, &window, out));
    const int missing = GC_MAX_SPATIAL - window.spatial;
    *g = (geometry){.window = gc_window_3d(&window), .planes = x->dims[0] * x->dims[1]};
    gc_extents_3d(x, g->in);
    for (int a = 0; a < GC_MAX_SPATIAL; a++)
        g->out[a] = a < missing ? 1 : out[a - missing];
    g->in_size = g->in[0] * g->in[1] * g->in[2];
    g->out_size = g->out[0] * g->out[1] * g->out[2];
    g->count_padding = gc_attr_int(call->node, "count_include_pad", 0) != 0;
    g->p = (int)gc_attr_int(call->node, "p", 2);
    return GRADCAM_OK;
}

/* With count_include_pad the divisor counts the padding, but not what ceil_mode reaches beyond it;
 * without, only the input. As in PyTorch. */
static patch make_patch(const geometry *g, int64_t position)
{
    const gc_window *const w = &g->window;
    patch p = {.divisor = 1};
    for (int a = GC_MAX_SPATIAL - 1; a >= 0; a--) {
        const int64_t o = position % g->out[a];
        position /= g->out[a];
        p.start[a] = o * w->stride[a] - w->pad_begin[a];
        p.taps[a] = gc_window_taps(w, a, o, 0, g->in[a]);
        gc_range counted = p.taps[a];
        if (g->count_padding)
            counted = gc_window_taps(w, a, o, -w->pad_begin[a], g->in[a] + w->pad_end[a]);
        p.divisor *= counted.end > counted.begin ? counted.end - counted.begin : 0;
    }
    return p;
}

static int64_t input_position(const geometry *g, const patch *p, int axis, int64_t tap)
{
    return p->start[axis] + tap * g->window.dilation[axis];
}

/* Start of the row of the input that taps d, h lie in; add input_position of axis 2. */
static int64_t input_row(const geometry *g, const patch *p, int64_t d, int64_t h)
{
    return (input_position(g, p, 0, d) * g->in[1] + input_position(g, p, 1, h)) * g->in[2];
}

/* Index in the plane of the first maximum in scan order, -1 where no tap is inside. A NaN wins, as
 * in PyTorch; it is what differs from itself. */
#define FIND_MAXIMUM(NAME, TYPE)                                                                   \
    static int64_t NAME(const geometry *g, int64_t position, const TYPE *x)                        \
    {                                                                                              \
        const patch p = make_patch(g, position);                                                   \
        int64_t best = -1;                                                                         \
        for (int64_t d = p.taps[0].begin; d < p.taps[0].end; d++)                                  \
            for (int64_t h = p.taps[1].begin; h < p.taps[1].end; h++) {                            \
                const int64_t row = input_row(g, &p, d, h);                                        \
                for (int64_t w = p.taps[2].begin; w < p.taps[2].end; w++) {                        \
                    const int64_t i = row + input_position(g, &p, 2, w);                           \
                    if (best < 0 || x[i] > x[best] || (x[i] != x[i] && x[best] == x[best]))        \
                        best = i;                                                                  \
                }                                                                                  \
            }                                                                                      \
        return best;                                                                               \
    }
FIND_MAXIMUM(find_maximum, float)
FIND_MAXIMUM(find_maximum_int, int64_t)

static double sum_patch(const geometry *g, const patch *p, const float *x, bool is_power)
{
    double sum = 0.0;
    for (int64_t d = p->taps[0].begin; d < p->taps[0].end; d++)
        for (int64_t h = p->taps[1].begin; h < p->taps[1].end; h++) {
            const int64_t row = input_row(g, p, d, h);
            for (int64_t w = p->taps[2].begin; w < p->taps[2].end; w++) {
                const double value = (double)x[row + input_position(g, p, 2, w)];
                sum += is_power ? pow(fabs(value), g->p) : value;
            }
        }
    return sum;
}

/* ---- Shape ---- */

static gradcam_status infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    gc_window window;
    int64_t dims[GC_MAX_RANK];
    GC_TRY(gc_window_resolve(call, x, NULL, &window, dims + 2));
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    gc_tensor_describe(call->outputs[0], x->dtype, x->rank, dims);
    if (gc_op_gives(call, 1))
        gc_tensor_describe(call->outputs[1], GC_INT64, x->rank, dims);
    return gc_check_output(call, 0);
}

static gradcam_status infer_average(const gc_call *call)
{
    GC_TRY(gc_check_floats(call, 1));
    return infer(call);
}

static gradcam_status infer_lp(const gc_call *call)
{
    const int64_t p = gc_attr_int(call->node, "p", 2);
    if (p < 1 || p > 64)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "p is %lld, expected 1 to 64", (long long)p);
    return infer_average(call);
}

/* ---- MaxPool ---- */

/* An index in the plane as the Indices output counts it: with storage_order 1 the first spatial
 * axis runs fastest. */
static int64_t stored_index(const geometry *g, int64_t index, bool is_column_major)
{
    if (!is_column_major || index < 0)
        return index;
    const int64_t w = index % g->in[2], h = index / g->in[2] % g->in[1];
    const int64_t d = index / (g->in[1] * g->in[2]);
    return (w * g->in[1] + h) * g->in[0] + d;
}

static void max_plane(const gc_call *call, const geometry *g, int64_t plane)
{
    const bool is_float = gc_dtype_is_float(call->inputs[0]->dtype);
    const bool is_column_major = gc_attr_int(call->node, "storage_order", 0) != 0;
    const int64_t in = plane * g->in_size, out = plane * g->out_size;
    for (int64_t i = 0; i < g->out_size; i++) {
        int64_t best = 0;
        if (is_float) {
            const float *const x = gc_floats(call->inputs[0]) + in;
            best = find_maximum(g, i, x);
            gc_floats(call->outputs[0])[out + i] = best < 0 ? -INFINITY : x[best];
        } else {
            const int64_t *const x = gc_ints(call->inputs[0]) + in;
            best = find_maximum_int(g, i, x);
            gc_ints(call->outputs[0])[out + i] = best < 0 ? INT64_MIN : x[best];
        }
        if (gc_op_gives(call, 1))
            gc_ints(call->outputs[1])[out + i] = in + stored_index(g, best, is_column_major);
    }
}

static gradcam_status forward_max(const gc_call *call)
{
    geometry g;
    GC_TRY(make_geometry(call, call->inputs[0], &g));
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < g.planes; plane++)
        max_plane(call, &g, plane);
    return GRADCAM_OK;
}

static gradcam_status backward_max(const gc_call *call, const gc_tensor *const *output_grads,
                                   gc_tensor *const *input_grads)
{
    geometry g;
    GC_TRY(make_geometry(call, call->inputs[0], &g));
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < g.planes; plane++) {
        const float *const x = gc_floats(call->inputs[0]) + plane * g.in_size;
        const float *const gy = gc_floats(output_grads[0]) + plane * g.out_size;
        float *const gx = gc_floats(input_grads[0]) + plane * g.in_size;
        for (int64_t i = 0; i < g.in_size; i++)
            gx[i] = 0.0f;
        for (int64_t i = 0; i < g.out_size; i++) {
            const int64_t best = find_maximum(&g, i, x);
            if (best >= 0)
                gx[best] += gy[i];
        }
    }
    return GRADCAM_OK;
}

/* ---- AveragePool ---- */

static gradcam_status forward_average(const gc_call *call)
{
    geometry g;
    GC_TRY(make_geometry(call, call->inputs[0], &g));
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < g.planes; plane++) {
        const float *const x = gc_floats(call->inputs[0]) + plane * g.in_size;
        float *const y = gc_floats(call->outputs[0]) + plane * g.out_size;
        for (int64_t i = 0; i < g.out_size; i++) {
            const patch p = make_patch(&g, i);
            y[i] = p.divisor == 0 ? 0.0f : (float)(sum_patch(&g, &p, x, false) / (double)p.divisor);
        }
    }
    return GRADCAM_OK;
}

static void spread(const geometry *g, const patch *p, float value, float *gx)
{
    for (int64_t d = p->taps[0].begin; d < p->taps[0].end; d++)
        for (int64_t h = p->taps[1].begin; h < p->taps[1].end; h++) {
            const int64_t row = input_row(g, p, d, h);
            for (int64_t w = p->taps[2].begin; w < p->taps[2].end; w++)
                gx[row + input_position(g, p, 2, w)] += value;
        }
}

static gradcam_status backward_average(const gc_call *call, const gc_tensor *const *output_grads,
                                       gc_tensor *const *input_grads)
{
    geometry g;
    GC_TRY(make_geometry(call, input_grads[0], &g));
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < g.planes; plane++) {
        const float *const gy = gc_floats(output_grads[0]) + plane * g.out_size;
        float *const gx = gc_floats(input_grads[0]) + plane * g.in_size;
        for (int64_t i = 0; i < g.in_size; i++)
            gx[i] = 0.0f;
        for (int64_t i = 0; i < g.out_size; i++) {
            const patch p = make_patch(&g, i);
            if (p.divisor != 0)
                spread(&g, &p, gy[i] / (float)p.divisor, gx);
        }
    }
    return GRADCAM_OK;
}

/* ---- LpPool: y = (sum |x|^p)^(1/p) ---- */

static gradcam_status forward_lp(const gc_call *call)
{
    geometry g;
    GC_TRY(make_geometry(call, call->inputs[0], &g));
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < g.planes; plane++) {
        const float *const x = gc_floats(call->inputs[0]) + plane * g.in_size;
        float *const y = gc_floats(call->outputs[0]) + plane * g.out_size;
        for (int64_t i = 0; i < g.out_size; i++) {
            const patch p = make_patch(&g, i);
            y[i] = (float)pow(sum_patch(&g, &p, x, true), 1.0 / g.p);
        }
    }
    return GRADCAM_OK;
}

/* dy/dx = sign(x) (|x| / y)^(p-1); 0 where y is 0. */
static void spread_lp(const geometry *g, int64_t position, const float *x, float gy, float *gx)
{
    const patch p = make_patch(g, position);
    const double y = pow(sum_patch(g, &p, x, true), 1.0 / g->p);
    if (y == 0.0)
        return;
    for (int64_t d = p.taps[0].begin; d < p.taps[0].end; d++)
        for (int64_t h = p.taps[1].begin; h < p.taps[1].end; h++) {
            const int64_t row = input_row(g, &p, d, h);
            for (int64_t w = p.taps[2].begin; w < p.taps[2].end; w++) {
                const int64_t i = row + input_position(g, &p, 2, w);
                const double slope = pow(fabs((double)x[i]) / y, g->p - 1);
                gx[i] += x[i] == 0.0f ? 0.0f : (float)(copysign(slope, (double)x[i]) * (double)gy);
            }
        }
}

static gradcam_status backward_lp(const gc_call *call, const gc_tensor *const *output_grads,
                                  gc_tensor *const *input_grads)
{
    geometry g;
    GC_TRY(make_geometry(call, call->inputs[0], &g));
#pragma omp parallel for schedule(static)
    for (int64_t plane = 0; plane < g.planes; plane++) {
        const float *const x = gc_floats(call->inputs[0]) + plane * g.in_size;
        const float *const gy = gc_floats(output_grads[0]) + plane * g.out_size;
        float *const gx = gc_floats(input_grads[0]) + plane * g.in_size;
        for (int64_t i = 0; i < g.in_size; i++)
            gx[i] = 0.0f;
        for (int64_t i = 0; i < g.out_size; i++)
            spread_lp(&g, i, x, gy[i], gx);
    }
    return GRADCAM_OK;
}

const gc_op gc_op_MaxPool = {
    .name = "MaxPool",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 2,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer,
    .forward = forward_max,
    .backward = backward_max,
};

const gc_op gc_op_AveragePool = {
    .name = "AveragePool",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_NOTHING,
    .infer = infer_average,
    .forward = forward_average,
    .backward = backward_average,
};

const gc_op gc_op_LpPool = {
    .name = "LpPool",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer_lp,
    .forward = forward_lp,
    .backward = backward_lp,
};
