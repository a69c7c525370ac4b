/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pad. Inputs: data, pads (constant), value, axes (constant). Negative pads cut off.
 *
 * Along each axis every output position has one source position, or none (constant mode, outside
 * the data). So padding copies and its gradient adds back, whatever the mode; reflect and wrap go
 * round as often as it takes, as in NumPy.
 */
#include <string.h>

#include "ops/check.h"

typedef enum mode { CONSTANT, REFLECT, EDGE, WRAP } mode;

typedef struct padding {
    mode mode;
    int rank;
    int64_t begin[GC_MAX_RANK], end[GC_MAX_RANK];
    int64_t in[GC_MAX_RANK], out[GC_MAX_RANK];
} padding;

static gradcam_status read_mode(const gc_call *call, mode *result)
{
    static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
    const char *const name = gc_attr_string(call->node, "mode", "constant");
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) {
            *result = (mode)i;
            return GRADCAM_OK;
        }
    return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                      "mode is '%s', expected constant, reflect, edge or wrap", name);
}

static gradcam_status read_pads(const gc_call *call, padding *p)
{
    const int64_t *pads = NULL, *axes = NULL;
    size_t pad_count = 0, axis_count = (size_t)p->rank;
    GC_TRY(gc_op_const_ints(call, 1, &pads, &pad_count));
    GC_TRY(gc_op_const_ints(call, 3, &axes, &axis_count));
    if (pad_count != 2 * axis_count)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%zu pads, expected 2 for each of %zu axes",
                          pad_count, axis_count);
    bool is_chosen[GC_MAX_RANK];
    if (axes != NULL)
        GC_TRY(gc_check_axes(call, axes, axis_count, p->rank, is_chosen));
    for (size_t i = 0; i < axis_count; i++) {
        int axis = (int)i;
        if (axes != NULL)
            GC_TRY(gc_op_axis(call, axes[i], p->rank, &axis));
        p->begin[axis] = pads[i];
        p->end[axis] = pads[axis_count + i];
    }
    return GRADCAM_OK;
}

static gradcam_status resolve(const gc_call *call, padding *p)
{
    const gc_tensor *const x = call->inputs[0];
    *p = (padding){.rank = x->rank};
    GC_TRY(read_mode(call, &p->mode));
    GC_TRY(read_pads(call, p));
    for (int i = 0; i < x->rank; i++) {
        const int64_t begin = p->begin[i], end = p->end[i], in = x->dims[i];
        if (begin < INT32_MIN || begin > INT32_MAX || end < INT32_MIN || end > INT32_MAX)
            return gc_op_fail(call, GRADCAM_ERROR_LIMIT, "pads of axis %d are %lld and %lld", i,
                              (long long)begin, (long long)end);
        p->in[i] = in;
        p->out[i] = in + begin + end;
        if (p->out[i] < 0 || (p->out[i] > 0 && in == 0 && p->mode != CONSTANT))
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                              "axis %d of extent %lld cannot be padded by %lld and %lld", i,
                              (long long)in, (long long)begin, (long long)end);
    }
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    padding p;
    GC_TRY(resolve(call, &p));
    if (gc_op_has(call, 2) && gc_tensor_count(call->inputs[2]) != 1)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%lld values to pad with, expected one",
                          (long long)gc_tensor_count(call->inputs[2]));
    gc_tensor_describe(call->outputs[0], x->dtype, x->rank, p.out);
    return gc_check_output(call, 0);
}

/* Source of output position o along an axis, -1 for none. */
static int64_t source(const padding *p, int axis, int64_t o)
{
    const int64_t n = p->in[axis], i = o - p->begin[axis];
    if (i >= 0 && i < n)
        return i;
    switch (p->mode) {
    case EDGE:
        return i < 0 ? 0 : n - 1;
    case WRAP:
        return (i % n + n) % n;
    case REFLECT: {
        if (n == 1)
            return 0;
        const int64_t period = 2 * (n - 1), at = (i % period + period) % period;
        return at < n ? at : period - at;
    }
    case CONSTANT:
        break;
    }
    return -1;
}

/* Offset in the data of output row `row` (all axes but the last), -1 for none. */
static int64_t source_row(const padding *p, int64_t row)
{
    int64_t offset = 0, stride = p->in[p->rank - 1];
    for (int i = p->rank - 2; i >= 0; i--) {
        const int64_t extent = p->out[i] > 0 ? p->out[i] : 1; /* no row of nothing is asked for */
        const int64_t at = source(p, i, row % extent);
        if (at < 0)
            return -1;
        row /= extent;
        offset += at * stride;
        stride *= p->in[i];
    }
    return offset;
}

/* The stretch [begin, end) of a row that copies neighbours one to one. */
static void find_middle(const padding *p, int64_t *begin, int64_t *end)
{
    const int last = p->rank - 1;
    *begin = p->begin[last] > 0 ? p->begin[last] : 0;
    *end = p->begin[last] + p->in[last];
    if (*begin > p->out[last])
        *begin = p->out[last];
    if (*end > p->out[last])
        *end = p->out[last];
    if (*end < *begin)
        *end = *begin;
}

/* One row for either storage type; x is NULL where the whole row is padding. */
#define COPY_ROW(NAME, TYPE)                                                                       \
    static void NAME(const padding *p, const TYPE *x, TYPE value, TYPE *y)                         \
    {                                                                                              \
        const int last = p->rank - 1;                                                              \
        int64_t begin = 0, end = 0;                                                                \
        find_middle(p, &begin, &end);                                                              \
        for (int64_t o = 0; o < p->out[last]; o++) {                                               \
            if (x != NULL && o == begin && end > begin) {                                          \
                memcpy(y + begin, x + begin - p->begin[last], (size_t)(end - begin) * sizeof *y);  \
                o = end - 1;                                                                       \
                continue;                                                                          \
            }                                                                                      \
            const int64_t at = x == NULL ? -1 : source(p, last, o);                                \
            y[o] = at < 0 ? value : x[at];                                                         \
        }                                                                                          \
    }
COPY_ROW(copy_floats, float)
COPY_ROW(copy_ints, int64_t)

static int64_t row_count(const padding *p, int first)
{
    int64_t rows = 1;
    for (int i = first; i < p->rank - 1; i++)
        rows *= p->out[i];
    return rows;
}

/* A value that was an attribute is a float, whatever it pads. */
static double pad_value(const gc_call *call)
{
    const gc_tensor *const value = gc_op_has(call, 2) ? call->inputs[2] : NULL;
    if (value == NULL)
        return 0.0;
    return gc_dtype_is_float(value->dtype) ? (double)gc_floats(value)[0]
                                           : (double)gc_ints(value)[0];
}

static gradcam_status forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const y = call->outputs[0];
    padding p;
    GC_TRY(resolve(call, &p));
    const bool is_float = gc_dtype_is_float(x->dtype);
    if (p.rank == 0) {
        memcpy(y->data, x->data, gc_tensor_bytes(x));
        return GRADCAM_OK;
    }
    const int64_t row = p.out[p.rank - 1];
    const double value = pad_value(call);
#pragma omp parallel for schedule(static) if (gc_tensor_count(y) > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < row_count(&p, 0); i++) {
        const int64_t at = source_row(&p, i);
        if (is_float)
            copy_floats(&p, at < 0 ? NULL : gc_floats(x) + at, (float)value,
                        gc_floats(y) + i * row);
        else
            copy_ints(&p, at < 0 ? NULL : gc_ints(x) + at, (int64_t)value, gc_ints(y) + i * row);
    }
    return GRADCAM_OK;
}

/* Leading axes that stay as they are: their parts are independent, which threads need. */
static int count_untouched(const padding *p)
{
    int i = 0;
    while (i < p->rank - 1 && p->begin[i] == 0 && p->end[i] == 0)
        i++;
    return i;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    padding p;
    GC_TRY(gc_op_check_first_grad(call, input_grads));
    GC_TRY(resolve(call, &p));
    const float *const gy = gc_floats(output_grads[0]);
    float *const gx = gc_floats(input_grads[0]);
    memset(gx, 0, gc_tensor_bytes(input_grads[0]));
    if (p.rank == 0) {
        gx[0] = gy[0];
        return GRADCAM_OK;
    }
    const int last = p.rank - 1;
    const int64_t rows = row_count(&p, count_untouched(&p)), all = row_count(&p, 0);
    const int64_t parts = rows > 0 ? all / rows : 0;
#pragma omp parallel for schedule(static) if (parts > 1 && all * p.out[last] > GC_PARALLEL_ELEMENTS)
    for (int64_t part = 0; part < parts; part++)
        for (int64_t row = part * rows; row < (part + 1) * rows; row++) {
            const int64_t at = source_row(&p, row);
            for (int64_t o = 0; at >= 0 && o < p.out[last]; o++) {
                const int64_t from = source(&p, last, o);
                if (from >= 0)
                    gx[at + from] += gy[row * p.out[last] + o];
            }
        }
    return GRADCAM_OK;
}

const gc_op gc_op_Pad = {
    .name = "Pad",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 4,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_PARAMETERS,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
