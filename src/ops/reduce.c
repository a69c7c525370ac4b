/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Reduce family. Input 1, axes, is an optional constant; without it, or with none in it, all
 * axes are reduced, or none with noop_with_empty_axes, which makes the operator a copy.
 *
 * Adjacent axes that share a fate are merged, so that most reductions become one or two loops. The
 * gradient of Max and Min is shared equally among ties, as in PyTorch's amax.
 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "ops/check.h"

typedef enum reducer {
    SUM,
    MEAN,
    MAX,
    MIN,
    PROD,
    L1,
    L2,
    SUM_SQUARE,
    LOG_SUM,
    LOG_SUM_EXP
} reducer;

/* One side (kept or reduced) of the merged axes: extents and strides in the input. */
typedef struct axes {
    int rank;
    int64_t count;
    int64_t extent[GC_MAX_RANK], stride[GC_MAX_RANK];
} axes;

typedef struct reduction {
    reducer kind;
    bool is_copy;
    bool is_reduced[GC_MAX_RANK];
    axes kept, reduced;
} reduction;

static void add_axis(axes *side, bool is_merged, int64_t extent, int64_t stride)
{
    side->count *= extent;
    if (is_merged) {
        side->extent[side->rank - 1] *= extent;
        side->stride[side->rank - 1] = stride;
    } else {
        side->extent[side->rank] = extent;
        side->stride[side->rank++] = stride;
    }
}

static void merge_axes(const gc_tensor *x, reduction *r)
{
    int64_t strides[GC_MAX_RANK];
    gc_strides(x->rank, x->dims, strides);
    r->kept = r->reduced = (axes){.count = 1};
    int previous = -1; /* fate of the last axis, if it can be merged with */
    for (int i = 0; i < x->rank; i++) {
        if (x->dims[i] == 1)
            continue;
        add_axis(r->is_reduced[i] ? &r->reduced : &r->kept, previous == r->is_reduced[i],
                 x->dims[i], strides[i]);
        previous = r->is_reduced[i];
    }
    if (r->reduced.rank == 0)
        add_axis(&r->reduced, false, 1, 1);
}

static gradcam_status resolve(const gc_call *call, reducer kind, reduction *r)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t *given = NULL;
    size_t count = 0;
    GC_TRY(gc_op_const_ints(call, 1, &given, &count));
    *r = (reduction){.kind = kind};
    r->is_copy = count == 0 && gc_attr_int(call->node, "noop_with_empty_axes", 0) != 0;
    GC_TRY(gc_check_axes(call, given, count, x->rank, r->is_reduced));
    for (int i = 0; i < x->rank && count == 0 && !r->is_copy; i++)
        r->is_reduced[i] = true;
    merge_axes(x, r);
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call, reducer kind)
{
    const gc_tensor *const x = call->inputs[0];
    reduction r;
    if (kind == L2 || kind == LOG_SUM || kind == LOG_SUM_EXP)
        GC_TRY(gc_check_floats(call, 1));
    GC_TRY(resolve(call, kind, &r));
    const bool keep = gc_attr_int(call->node, "keepdims", 1) != 0;
    int64_t dims[GC_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (!r.is_reduced[i])
            dims[rank++] = x->dims[i];
        else if (keep)
            dims[rank++] = 1;
    gc_tensor_describe(call->outputs[0], x->dtype, rank, dims);
    return GRADCAM_OK;
}

/* Offset in the input of element `index` of one side. */
static int64_t offset_of(const axes *side, int64_t index)
{
    int64_t at = 0;
    for (int i = side->rank - 1; i >= 0; i--) {
        at += index % side->extent[i] * side->stride[i];
        index /= side->extent[i];
    }
    return at;
}

/* The reduced elements lie in runs: the last axis of that side, with its stride. */
static int64_t run_extent(const reduction *r)
{
    return r->reduced.extent[r->reduced.rank - 1];
}

static int64_t run_stride(const reduction *r)
{
    return r->reduced.stride[r->reduced.rank - 1];
}

static double start_value(reducer kind)
{
    return kind == PROD                         ? 1.0
           : kind == MAX || kind == LOG_SUM_EXP ? -INFINITY
           : kind == MIN                        ? INFINITY
                                                : 0.0;
}

/* Adds a run to the accumulator. LOG_SUM_EXP finds its maximum here. NaN wins in MAX and MIN. */
static double accumulate(reducer kind, const float *x, int64_t count, int64_t stride, double value)
{
    for (int64_t i = 0; i < count; i++) {
        const double element = (double)x[i * stride];
        if (kind == SUM || kind == MEAN || kind == LOG_SUM)
            value += element;
        else if (kind == L1)
            value += fabs(element);
        else if (kind == L2 || kind == SUM_SQUARE)
            value += element * element;
        else if (kind == PROD)
            value *= element;
        else if (kind == MIN)
            value = element < value || isnan(element) ? element : value;
        else
            value = element > value || isnan(element) ? element : value;
    }
    return value;
}

static double sum_exp(const reduction *r, const float *x, double maximum)
{
    double sum = 0.0;
    for (int64_t i = 0; i < r->reduced.count; i++)
        sum += exp((double)x[offset_of(&r->reduced, i)] - maximum);
    return sum;
}

static float reduce(const reduction *r, const float *x)
{
    double value = start_value(r->kind);
    for (int64_t i = 0; i < r->reduced.count; i += run_extent(r))
        value =
            accumulate(r->kind, x + offset_of(&r->reduced, i), run_extent(r), run_stride(r), value);
    switch (r->kind) {
    case MEAN:
        return (float)(value / (double)r->reduced.count);
    case L2:
        return (float)sqrt(value);
    case LOG_SUM:
        return (float)log(value);
    case LOG_SUM_EXP: /* infinite: all -inf, or an inf that exp(inf - inf) would turn into NaN */
        return (float)(isinf(value) ? value : value + log(sum_exp(r, x, value)));
    default:
        return (float)value;
    }
}

/* Integers wrap around like the unsigned arithmetic of the file's machine would. */
static int64_t reduce_ints(const reduction *r, const int64_t *x)
{
    uint64_t sum = 0, product = 1;
    int64_t maximum = INT64_MIN, minimum = INT64_MAX;
    for (int64_t i = 0; i < r->reduced.count; i++) {
        const int64_t element = x[offset_of(&r->reduced, i)];
        const uint64_t bits = (uint64_t)element;
        sum += r->kind == L1 && element < 0 ? 0 - bits : r->kind == SUM_SQUARE ? bits * bits : bits;
        product *= bits;
        maximum = element > maximum ? element : maximum;
        minimum = element < minimum ? element : minimum;
    }
    if (r->kind == MAX || r->kind == MIN)
        return r->kind == MAX ? maximum : minimum;
    if (r->kind == PROD)
        return (int64_t)product;
    const int64_t count = r->reduced.count > 0 ? r->reduced.count : 1;
    return r->kind == MEAN ? (int64_t)sum / count : (int64_t)sum;
}

static gradcam_status forward(const gc_call *call, reducer kind)
{
    const gc_tensor *const x = call->inputs[0], *const y = call->outputs[0];
    reduction r;
    GC_TRY(resolve(call, kind, &r));
    if (r.is_copy) {
        memcpy(y->data, x->data, gc_tensor_bytes(x));
        return GRADCAM_OK;
    }
    const bool is_float = gc_dtype_is_float(x->dtype);
#pragma omp parallel for schedule(static) if (gc_tensor_count(x) > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < r.kept.count; i++) {
        const int64_t at = offset_of(&r.kept, i);
        if (is_float)
            gc_floats(y)[i] = reduce(&r, gc_floats(x) + at);
        else
            gc_ints(y)[i] = reduce_ints(&r, gc_ints(x) + at);
    }
    return GRADCAM_OK;
}

/* ---- Gradients ---- */

/* What the gradient of all elements of one reduction has in common. */
typedef struct common {
    reducer kind;
    double gy, y;
    double factor; /* MEAN: 1 / count. MAX, MIN: 1 / ties. LOG_SUM: 1 / sum. PROD: see below. */
    int64_t zeros; /* PROD: how many elements are 0; factor is the product of the others */
} common;

static common find_common(const reduction *r, const float *x, float y, float gy)
{
    common c = {r->kind, (double)gy, (double)y, 1.0, 0};
    int64_t ties = 0;
    double sum = 0.0;
    for (int64_t i = 0; i < r->reduced.count; i++) {
        const float element = x[offset_of(&r->reduced, i)];
        ties += element == y;
        sum += (double)element;
        c.zeros += element == 0.0f;
        if (r->kind == PROD && element != 0.0f)
            c.factor *= (double)element;
    }
    if (r->kind == MEAN)
        c.factor = 1.0 / (double)r->reduced.count;
    else if (r->kind == LOG_SUM)
        c.factor = 1.0 / sum;
    else if (r->kind == MAX || r->kind == MIN)
        c.factor = ties > 0 ? 1.0 / (double)ties : 0.0;
    return c;
}

static double sign(double x)
{
    return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : 0.0;
}

static double product_slope(const common *c, double x)
{
    if (c->zeros == 0)
        return c->factor / x;
    return c->zeros == 1 && x == 0.0 ? c->factor : 0.0;
}

/* dy/dx */
static double slope(const common *c, double x)
{
    switch (c->kind) {
    case MEAN:
    case LOG_SUM:
        return c->factor;
    case MAX:
    case MIN:
        return x == c->y ? c->factor : 0.0;
    case PROD:
        return product_slope(c, x);
    case L1:
        return sign(x);
    case L2:
        return c->y == 0.0 ? 0.0 : x / c->y;
    case SUM_SQUARE:
        return 2.0 * x;
    case LOG_SUM_EXP:
        return exp(x - c->y);
    case SUM:
        break;
    }
    return 1.0;
}

static void spread(const reduction *r, const common *c, const float *x, float *gx)
{
    for (int64_t i = 0; i < r->reduced.count; i += run_extent(r)) {
        const int64_t at = offset_of(&r->reduced, i), stride = run_stride(r);
        for (int64_t j = 0; j < run_extent(r); j++)
            gx[at + j * stride] =
                (float)(c->gy * slope(c, x == NULL ? 0.0 : (double)x[at + j * stride]));
    }
}

static gradcam_status backward(const gc_call *call, reducer kind, const gc_tensor *gy,
                               gc_tensor *gx)
{
    reduction r;
    GC_TRY(resolve(call, kind, &r));
    if (r.is_copy) {
        memcpy(gx->data, gy->data, gc_tensor_bytes(gx));
        return GRADCAM_OK;
    }
    const bool is_linear = kind == SUM || kind == MEAN; /* then x is not there */
#pragma omp parallel for schedule(static) if (gc_tensor_count(gx) > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < r.kept.count; i++) {
        const int64_t at = offset_of(&r.kept, i);
        const float *const x = is_linear ? NULL : gc_floats(call->inputs[0]) + at;
        const float g = gc_floats(gy)[i];
        common c = {kind, (double)g, 0.0, kind == MEAN ? 1.0 / (double)r.reduced.count : 1.0, 0};
        if (!is_linear)
            c = find_common(&r, x, reduce(&r, x), g);
        spread(&r, &c, x, gc_floats(gx) + at);
    }
    return GRADCAM_OK;
}

/* One row: its kind and what backward reads. */
#define REDUCE(NAME, KIND, READS)                                                                  \
    static gradcam_status infer_##NAME(const gc_call *call)                                        \
    {                                                                                              \
        return infer(call, KIND);                                                                  \
    }                                                                                              \
    static gradcam_status forward_##NAME(const gc_call *call)                                      \
    {                                                                                              \
        return forward(call, KIND);                                                                \
    }                                                                                              \
    static gradcam_status backward_##NAME(const gc_call *call, const gc_tensor *const *gy,         \
                                          gc_tensor *const *gx)                                    \
    {                                                                                              \
        return backward(call, KIND, gy[0], gx[0]);                                                 \
    }                                                                                              \
    const gc_op gc_op_##NAME = {                                                                   \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .since = 1,                                                                                \
        .min_inputs = 1,                                                                           \
        .max_inputs = 2,                                                                           \
        .max_outputs = 1,                                                                          \
        .layouts = GC_OP_PLAIN,                                                                    \
        .backward_reads = READS,                                                                   \
        .infer = infer_##NAME,                                                                     \
        .forward = forward_##NAME,                                                                 \
        .backward = backward_##NAME,                                                               \
    }

REDUCE(ReduceSum, SUM, GC_READS_NOTHING);
REDUCE(ReduceMean, MEAN, GC_READS_NOTHING);
REDUCE(ReduceMax, MAX, GC_READS_INPUTS);
REDUCE(ReduceMin, MIN, GC_READS_INPUTS);
REDUCE(ReduceProd, PROD, GC_READS_INPUTS);
REDUCE(ReduceL1, L1, GC_READS_INPUTS);
REDUCE(ReduceL2, L2, GC_READS_INPUTS);
REDUCE(ReduceSumSquare, SUM_SQUARE, GC_READS_INPUTS);
REDUCE(ReduceLogSum, LOG_SUM, GC_READS_INPUTS);
REDUCE(ReduceLogSumExp, LOG_SUM_EXP, GC_READS_INPUTS);
