/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LRN: y[c] = x[c] * S[c]^-beta, with S[c] = bias + alpha / size * (sum of x^2 over the `size`
 * channels around c). LpNormalization: y = x / |x|_p along one axis.
 */
#include <math.h>

#include "ops/check.h"

typedef struct lrn {
    int64_t channels, plane; /* elements of one channel */
    int64_t before, after;   /* channels of the neighbourhood on each side */
    float alpha, beta, bias; /* alpha already divided by size */
} lrn;

static lrn make_lrn(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t size = gc_attr_int(call->node, "size", 1);
    lrn l = {.channels = x->dims[1], .plane = 1};
    for (int i = 2; i < x->rank; i++)
        l.plane *= x->dims[i];
    l.before = (size - 1) / 2;
    l.after = size - 1 - l.before;
    l.alpha = gc_attr_float(call->node, "alpha", 1e-4f) / (float)size;
    l.beta = gc_attr_float(call->node, "beta", 0.75f);
    l.bias = gc_attr_float(call->node, "bias", 1.0f);
    return l;
}

static gradcam_status infer_lrn(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t size = gc_attr_int(call->node, "size", 0);
    GC_TRY(gc_check_floats(call, 1));
    if (x->rank < 2)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "input of rank %d, expected at least 2",
                          x->rank);
    if (size < 1 || size > INT32_MAX)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "size is %lld, expected at least 1",
                          (long long)size);
    return gc_op_infer_same(call);
}

/* base^-beta; the usual exponent 3/4 without pow, which would take most of the time. */
static float power(float base, float beta)
{
    if (beta == 0.75f) {
        const float root = sqrtf(base);
        return 1.0f / (root * sqrtf(root));
    }
    return powf(base, -beta);
}

static int64_t clamp_channel(const lrn *l, int64_t c)
{
    return c < 0 ? 0 : c >= l->channels ? l->channels - 1 : c;
}

/* sums = S of channel c of the picture x. */
static void neighbourhood(const lrn *l, const float *x, int64_t c, float *sums)
{
    const int64_t first = clamp_channel(l, c - l->before), last = clamp_channel(l, c + l->after);
    for (int64_t s = 0; s < l->plane; s++)
        sums[s] = 0.0f;
    for (int64_t j = first; j <= last; j++)
        for (int64_t s = 0; s < l->plane; s++)
            sums[s] += x[j * l->plane + s] * x[j * l->plane + s];
    for (int64_t s = 0; s < l->plane; s++)
        sums[s] = l->bias + l->alpha * sums[s];
}

static gradcam_status forward_lrn(const gc_call *call)
{
    const lrn l = make_lrn(call);
    const int64_t rows = call->inputs[0]->dims[0] * l.channels;
#pragma omp parallel for schedule(static) if (rows * l.plane > GC_PARALLEL_ELEMENTS)
    for (int64_t row = 0; row < rows; row++) {
        const int64_t n = row / l.channels, c = row % l.channels;
        const float *const x = gc_floats(call->inputs[0]) + n * l.channels * l.plane;
        float *const y = gc_floats(call->outputs[0]) + row * l.plane;
        neighbourhood(&l, x, c, y);
        for (int64_t s = 0; s < l.plane; s++)
            y[s] = x[c * l.plane + s] * power(y[s], l.beta);
    }
    return GRADCAM_OK;
}

static size_t scratch_lrn(const gc_call *call)
{
    return (size_t)gc_tensor_count(call->inputs[0]) * sizeof(float);
}

/* gx = gy * S^-beta and t = gy * x * S^(-beta-1), of one channel. */
static void own_term(const lrn *l, const float *x, int64_t c, const float *gy, float *gx, float *t)
{
    neighbourhood(l, x, c, t);
    for (int64_t s = 0; s < l->plane; s++) {
        const float p = power(t[s], l->beta);
        gx[s] = gy[s] * p;
        t[s] = gx[s] * x[c * l->plane + s] / t[s];
    }
}

/* gx[c] -= 2 alpha beta x[c] * (sum of t over the channels whose neighbourhood holds c). */
static void cross_term(const lrn *l, const float *x, const float *t, int64_t c, float *gx)
{
    const int64_t first = clamp_channel(l, c - l->after), last = clamp_channel(l, c + l->before);
    const float factor = 2.0f * l->alpha * l->beta;
    for (int64_t j = first; j <= last; j++)
        for (int64_t s = 0; s < l->plane; s++)
            gx[s] -= factor * x[c * l->plane + s] * t[j * l->plane + s];
}

static gradcam_status backward_lrn(const gc_call *call, const gc_tensor *const *output_grads,
                                   gc_tensor *const *input_grads)
{
    const lrn l = make_lrn(call);
    const int64_t rows = call->inputs[0]->dims[0] * l.channels;
    if (l.channels < 1 || rows < 1)
        return GRADCAM_OK;
    const float *const x = gc_floats(call->inputs[0]), *const gy = gc_floats(output_grads[0]);
    float *const gx = gc_floats(input_grads[0]), *const t = call->scratch;
#pragma omp parallel if (rows * l.plane > GC_PARALLEL_ELEMENTS)
    {
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            const int64_t picture = row / l.channels * l.channels * l.plane, at = row * l.plane;
            own_term(&l, x + picture, row % l.channels, gy + at, gx + at, t + at);
        }
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            const int64_t picture = row / l.channels * l.channels * l.plane;
            cross_term(&l, x + picture, t + picture, row % l.channels, gx + row * l.plane);
        }
    }
    return GRADCAM_OK;
}

/* ---- LpNormalization ---- */

typedef struct axis_view {
    int64_t outer, extent, inner;
    int p;
} axis_view;

static gradcam_status resolve_lp(const gc_call *call, axis_view *v)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t p = gc_attr_int(call->node, "p", 2);
    int axis = 0;
    GC_TRY(gc_op_axis(call, gc_attr_int(call->node, "axis", -1), x->rank, &axis));
    if (p != 1 && p != 2)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "p is %lld, expected 1 or 2", (long long)p);
    *v = (axis_view){1, x->dims[axis], 1, (int)p};
    for (int i = 0; i < x->rank; i++)
        *(i < axis ? &v->outer : &v->inner) *= i == axis ? 1 : x->dims[i];
    return GRADCAM_OK;
}

static gradcam_status infer_lp(const gc_call *call)
{
    axis_view v;
    GC_TRY(gc_check_floats(call, 1));
    GC_TRY(resolve_lp(call, &v));
    return gc_op_infer_same(call);
}

static double norm(const float *x, const axis_view *v)
{
    double sum = 0.0;
    for (int64_t i = 0; i < v->extent; i++) {
        const double value = (double)x[i * v->inner];
        sum += v->p == 1 ? fabs(value) : value * value;
    }
    return v->p == 1 ? sum : sqrt(sum);
}

static int64_t group_start(const axis_view *v, int64_t group)
{
    return group / v->inner * v->extent * v->inner + group % v->inner;
}

static gradcam_status forward_lp(const gc_call *call)
{
    axis_view v = {0};
    GC_TRY(resolve_lp(call, &v));
#pragma omp parallel for schedule(static) if (gc_tensor_count(call->inputs[0]) >                   \
                                              GC_PARALLEL_ELEMENTS)
    for (int64_t group = 0; group < v.outer * v.inner; group++) {
        const float *const x = gc_floats(call->inputs[0]) + group_start(&v, group);
        float *const y = gc_floats(call->outputs[0]) + group_start(&v, group);
        const double length = norm(x, &v);
        for (int64_t i = 0; i < v.extent; i++)
            y[i * v.inner] = length == 0.0 ? 0.0f : (float)((double)x[i * v.inner] / length);
    }
    return GRADCAM_OK;
}

/* gx = gy / norm - d norm / dx * (gy . x) / norm^2; 0 for a vector of zeros. */
static void lp_gradient(const axis_view *v, const float *x, const float *gy, float *gx)
{
    const double length = norm(x, v);
    double dot = 0.0;
    for (int64_t i = 0; i < v->extent; i++)
        dot += (double)gy[i * v->inner] * (double)x[i * v->inner];
    for (int64_t i = 0; i < v->extent; i++) {
        const double value = (double)x[i * v->inner];
        const double sign = value > 0.0 ? 1.0 : value < 0.0 ? -1.0 : 0.0;
        const double slope = v->p == 1 ? sign : value / length;
        const double g = ((double)gy[i * v->inner] - slope * dot / length) / length;
        gx[i * v->inner] = length == 0.0 ? 0.0f : (float)g;
    }
}

static gradcam_status backward_lp(const gc_call *call, const gc_tensor *const *output_grads,
                                  gc_tensor *const *input_grads)
{
    axis_view v = {0};
    GC_TRY(resolve_lp(call, &v));
#pragma omp parallel for schedule(static) if (gc_tensor_count(call->inputs[0]) >                   \
                                              GC_PARALLEL_ELEMENTS)
    for (int64_t group = 0; group < v.outer * v.inner; group++) {
        const int64_t start = group_start(&v, group);
        lp_gradient(&v, gc_floats(call->inputs[0]) + start, gc_floats(output_grads[0]) + start,
                    gc_floats(input_grads[0]) + start);
    }
    return GRADCAM_OK;
}

const gc_op gc_op_LRN = {
    .name = "LRN",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer_lrn,
    .forward = forward_lrn,
    .backward = backward_lrn,
    .scratch = scratch_lrn,
};

const gc_op gc_op_LpNormalization = {
    .name = "LpNormalization",
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
