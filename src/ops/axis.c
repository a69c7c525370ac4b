/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that walk along one axis: ArgMax, ArgMin, CumSum, OneHot; and Trilu, which works on the
 * last two. */
#include "ops/check.h"

/* A tensor seen as [outer, extent, inner]. */
typedef struct lanes {
    int axis;
    int64_t outer, extent, inner;
} lanes;

static lanes lanes_of(const gc_tensor *tensor, int axis)
{
    lanes l = {.axis = axis, .outer = 1, .extent = tensor->dims[axis], .inner = 1};
    for (int i = 0; i < tensor->rank; i++)
        if (i != axis)
            *(i < axis ? &l.outer : &l.inner) *= tensor->dims[i];
    return l;
}

/* ---- ArgMax, ArgMin ------------------------------------------------------------------------- */

static gradcam_status arg_lanes(const gc_call *call, lanes *l)
{
    int axis = 0;
    GC_TRY(gc_op_axis(call, gc_attr_int(call->node, "axis", 0), call->inputs[0]->rank, &axis));
    *l = lanes_of(call->inputs[0], axis);
    return GRADCAM_OK;
}

static gradcam_status arg_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const bool keeps = gc_attr_int(call->node, "keepdims", 1) != 0;
    lanes l;
    int64_t dims[GC_MAX_RANK];
    int rank = 0;
    GC_TRY(arg_lanes(call, &l));
    if (l.extent == 0)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "axis %d is empty", l.axis);
    for (int i = 0; i < x->rank; i++)
        if (i != l.axis || keeps)
            dims[rank++] = i == l.axis ? 1 : x->dims[i];
    gc_tensor_describe(call->outputs[0], GC_INT64, rank, dims);
    return GRADCAM_OK;
}

/* Of equal ones the first, or the last; NaN, as in NumPy, beats all. */
#define BEST(NAME, TYPE, is_nan)                                                                   \
    static int64_t NAME(const TYPE *x, const lanes *l, bool is_max, bool last)                     \
    {                                                                                              \
        int64_t best = 0;                                                                          \
        for (int64_t i = 1; i < l->extent; i++) {                                                  \
            const TYPE value = x[i * l->inner], record = x[best * l->inner];                       \
            const bool beats = is_max ? value > record : value < record;                           \
            if ((beats && !is_nan(record)) || (is_nan(value) && !is_nan(record)) ||                \
                (last && value == record))                                                         \
                best = i;                                                                          \
        }                                                                                          \
        return best;                                                                               \
    }

#define FLOAT_IS_NAN(v)   ((v) != (v))
#define INTEGER_IS_NAN(v) false
BEST(best_float, float, FLOAT_IS_NAN)
BEST(best_integer, int64_t, INTEGER_IS_NAN)

static gradcam_status arg_forward(const gc_call *call, bool is_max)
{
    const gc_tensor *const x = call->inputs[0];
    const bool last = gc_attr_int(call->node, "select_last_index", 0) != 0;
    lanes l;
    GC_TRY(arg_lanes(call, &l));
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t i = 0; i < l.inner; i++) {
            const int64_t at = o * l.extent * l.inner + i;
            gc_ints(call->outputs[0])[o * l.inner + i] =
                gc_dtype_is_float(x->dtype) ? best_float(gc_floats(x) + at, &l, is_max, last)
                                            : best_integer(gc_ints(x) + at, &l, is_max, last);
        }
    return GRADCAM_OK;
}

static gradcam_status arg_max_forward(const gc_call *call)
{
    return arg_forward(call, true);
}

static gradcam_status arg_min_forward(const gc_call *call)
{
    return arg_forward(call, false);
}

/* ---- CumSum --------------------------------------------------------------------------------- */

static gradcam_status cumsum_axis(const gc_call *call, int *axis)
{
    const int64_t *axes = NULL;
    size_t count = 0;
    GC_TRY(gc_op_const_ints(call, 1, &axes, &count));
    if (count != 1)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "the axis must be one number");
    return gc_op_axis(call, axes[0], call->inputs[0]->rank, axis);
}

static gradcam_status cumsum_infer(const gc_call *call)
{
    int axis = 0;
    GC_TRY(cumsum_axis(call, &axis));
    return gc_op_infer_same(call);
}

/* Integers through unsigned, which may overflow. */
#define CUMULATE(NAME, TYPE, SUM)                                                                  \
    static void NAME(const TYPE *x, TYPE *y, const lanes *l, bool reverse, bool exclusive)         \
    {                                                                                              \
        SUM sum = 0;                                                                               \
        for (int64_t i = 0; i < l->extent; i++) {                                                  \
            const int64_t at = (reverse ? l->extent - 1 - i : i) * l->inner;                       \
            const SUM next = sum + (SUM)x[at];                                                     \
            y[at] = (TYPE)(exclusive ? sum : next);                                                \
            sum = next;                                                                            \
        }                                                                                          \
    }

CUMULATE(cumulate_floats, float, double)
CUMULATE(cumulate_integers, int64_t, uint64_t)

static gradcam_status cumulate(const gc_call *call, const gc_tensor *x, const gc_tensor *y,
                               bool reverse)
{
    const bool exclusive = gc_attr_int(call->node, "exclusive", 0) != 0;
    int axis = 0;
    GC_TRY(cumsum_axis(call, &axis));
    const lanes l = lanes_of(x, axis);
    for (int64_t o = 0; o < l.outer; o++)
        for (int64_t i = 0; i < l.inner; i++) {
            const int64_t at = o * l.extent * l.inner + i;
            if (gc_dtype_is_float(x->dtype))
                cumulate_floats(gc_floats(x) + at, gc_floats(y) + at, &l, reverse, exclusive);
            else
                cumulate_integers(gc_ints(x) + at, gc_ints(y) + at, &l, reverse, exclusive);
        }
    return GRADCAM_OK;
}

static gradcam_status cumsum_forward(const gc_call *call)
{
    return cumulate(call, call->inputs[0], call->outputs[0],
                    gc_attr_int(call->node, "reverse", 0) != 0);
}

/* An element is in every sum from it on: the same operator, from the other end. */
static gradcam_status cumsum_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                      gc_tensor *const *input_grads)
{
    return cumulate(call, output_grads[0], input_grads[0],
                    gc_attr_int(call->node, "reverse", 0) == 0);
}

/* ---- OneHot: `values` are those for off and on ---------------------------------------------- */

static gradcam_status one_hot_axis(const gc_call *call, int *axis)
{
    return gc_op_axis(call, gc_attr_int(call->node, "axis", -1), call->inputs[0]->rank + 1, axis);
}

static gradcam_status one_hot_infer(const gc_call *call)
{
    const gc_tensor *const indices = call->inputs[0], *const depth = call->inputs[1];
    int64_t dims[GC_MAX_RANK];
    int axis = 0;
    GC_TRY(gc_check_rank(call, indices->rank + 1));
    GC_TRY(one_hot_axis(call, &axis));
    if (depth->data == NULL)
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED, "the depth must be constant");
    if (gc_tensor_count(depth) != 1 || gc_tensor_count(call->inputs[2]) != 2)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "depth must be a scalar, values a pair");
    const double given =
        gc_dtype_is_float(depth->dtype) ? (double)gc_floats(depth)[0] : (double)gc_ints(depth)[0];
    if (!(given >= 0.0 && given <= 0x1p31))
        return gc_op_fail(call, GRADCAM_ERROR_LIMIT, "the depth is %g", given);
    for (int i = 0, next = 0; i <= indices->rank; i++)
        dims[i] = i == axis ? (int64_t)given : indices->dims[next++];
    gc_tensor_describe(call->outputs[0], call->inputs[2]->dtype, indices->rank + 1, dims);
    return gc_check_output(call, 0);
}

static gradcam_status one_hot_forward(const gc_call *call)
{
    const gc_tensor *const indices = call->inputs[0], *const values = call->inputs[2];
    const gc_tensor *const y = call->outputs[0];
    int axis = 0;
    GC_TRY(one_hot_axis(call, &axis));
    const lanes l = lanes_of(y, axis);
    const int64_t count = gc_tensor_count(y);
    for (int64_t i = 0; i < count; i++) {
        const int64_t from = i / (l.extent * l.inner) * l.inner + i % l.inner;
        const int64_t at = i / l.inner % l.extent;
        const double wanted = gc_dtype_is_float(indices->dtype) ? (double)gc_floats(indices)[from]
                                                                : (double)gc_ints(indices)[from];
        const bool is_on = wanted == (double)at || wanted + (double)l.extent == (double)at;
        if (gc_dtype_is_float(y->dtype))
            gc_floats(y)[i] = gc_floats(values)[is_on];
        else
            gc_ints(y)[i] = gc_ints(values)[is_on];
    }
    return GRADCAM_OK;
}

/* ---- Trilu ---------------------------------------------------------------------------------- */

static gradcam_status trilu_diagonal(const gc_call *call, int64_t *k)
{
    const int64_t *given = NULL;
    size_t count = 0;
    *k = 0;
    GC_TRY(gc_op_const_ints(call, 1, &given, &count));
    if (given != NULL && count != 1)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "k must be one number");
    *k = given != NULL ? given[0] : 0;
    return GRADCAM_OK;
}

static gradcam_status trilu_infer(const gc_call *call)
{
    int64_t k = 0;
    GC_TRY(trilu_diagonal(call, &k));
    if (call->inputs[0]->rank < 2)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "the input must have two axes or more");
    return gc_op_infer_same(call);
}

static gradcam_status keep_triangle(const gc_call *call, const gc_tensor *x, const gc_tensor *y)
{
    const bool upper = gc_attr_int(call->node, "upper", 1) != 0;
    const int64_t columns = x->dims[x->rank - 1], rows = x->dims[x->rank - 2];
    const int64_t count = gc_tensor_count(x);
    int64_t k = 0;
    GC_TRY(trilu_diagonal(call, &k));
    for (int64_t i = 0; i < count; i++) {
        const int64_t diagonal = i % columns - i / columns % rows;
        const bool keeps = upper ? diagonal >= k : diagonal <= k;
        if (gc_dtype_is_float(x->dtype))
            gc_floats(y)[i] = keeps ? gc_floats(x)[i] : 0.0f;
        else
            gc_ints(y)[i] = keeps ? gc_ints(x)[i] : 0;
    }
    return GRADCAM_OK;
}

static gradcam_status trilu_forward(const gc_call *call)
{
    return keep_triangle(call, call->inputs[0], call->outputs[0]);
}

static gradcam_status trilu_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                     gc_tensor *const *input_grads)
{
    return keep_triangle(call, output_grads[0], input_grads[0]);
}

#define ROW(NAME, MIN_INPUTS, MAX_INPUTS, INFER, FORWARD, BACKWARD)                                \
    const gc_op gc_op_##NAME = {                                                                   \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .since = 1,                                                                                \
        .min_inputs = MIN_INPUTS,                                                                  \
        .max_inputs = MAX_INPUTS,                                                                  \
        .max_outputs = 1,                                                                          \
        .layouts = GC_OP_PLAIN,                                                                    \
        .backward_reads = GC_READS_PARAMETERS,                                                     \
        .infer = INFER,                                                                            \
        .forward = FORWARD,                                                                        \
        .backward = BACKWARD,                                                                      \
    }

ROW(ArgMax, 1, 1, arg_infer, arg_max_forward, NULL);
ROW(ArgMin, 1, 1, arg_infer, arg_min_forward, NULL);
ROW(CumSum, 2, 2, cumsum_infer, cumsum_forward, cumsum_backward);
ROW(OneHot, 3, 3, one_hot_infer, one_hot_forward, NULL);
ROW(Trilu, 1, 2, trilu_infer, trilu_forward, trilu_backward);
