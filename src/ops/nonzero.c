/* SPDX-License-Identifier: Apache-2.0 */
/* NonZero and Compress: how much comes out depends on values, which therefore have to be constant;
 * exporters write both in the computation of shapes. */
#include "ops/check.h"

static gradcam_status require_data(const gc_call *call, int index)
{
    if (call->inputs[index]->data != NULL)
        return GRADCAM_OK;
    return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                      "input %d must be constant for a given input shape, but it depends on the "
                      "picture's values",
                      index);
}

static bool is_nonzero(const gc_tensor *t, int64_t i)
{
    return gc_dtype_is_float(t->dtype) ? gc_floats(t)[i] != 0.0f : gc_ints(t)[i] != 0;
}

static int64_t count_nonzero(const gc_tensor *t, int64_t limit)
{
    int64_t count = 0;
    for (int64_t i = 0; i < gc_tensor_count(t) && i < limit; i++)
        count += is_nonzero(t, i);
    return count;
}

/* ---- NonZero: rank x count, in row-major order; a scalar counts as a vector -------------------
 */

static gradcam_status nonzero_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    GC_TRY(require_data(call, 0));
    const int64_t dims[] = {x->rank > 0 ? x->rank : 1, count_nonzero(x, INT64_MAX)};
    gc_tensor_describe(call->outputs[0], GC_INT64, 2, dims);
    return gc_check_output(call, 0);
}

static gradcam_status nonzero_forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t columns = call->outputs[0]->dims[1];
    int64_t found = 0;
    for (int64_t i = 0; i < gc_tensor_count(x); i++) {
        int64_t rest = i;
        if (!is_nonzero(x, i))
            continue;
        for (int a = x->rank - 1; a >= 0; a--) {
            gc_ints(call->outputs[0])[a * columns + found] = rest % x->dims[a];
            rest /= x->dims[a];
        }
        if (x->rank == 0)
            gc_ints(call->outputs[0])[found] = 0;
        found++;
    }
    return GRADCAM_OK;
}

const gc_op gc_op_NonZero = {
    .name = "NonZero",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .infer = nonzero_infer,
    .forward = nonzero_forward,
};

/* ---- Compress: the slices of one axis, or without it the elements, whose condition is true -----
 */

typedef struct slices {
    int axis; /**< -1: elements. */
    int64_t outer, extent, inner;
} slices;

static gradcam_status find_slices(const gc_call *call, slices *s)
{
    const gc_tensor *const x = call->inputs[0];
    *s = (slices){.axis = -1, .outer = 1, .extent = gc_tensor_count(x), .inner = 1};
    if (call->inputs[1]->rank != 1)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "the condition must be of rank 1");
    if (gc_attr_find(call->node, "axis") == NULL)
        return GRADCAM_OK;
    GC_TRY(gc_op_axis(call, gc_attr_int(call->node, "axis", 0), x->rank, &s->axis));
    s->extent = x->dims[s->axis];
    for (int i = 0; i < x->rank; i++)
        if (i != s->axis)
            *(i < s->axis ? &s->outer : &s->inner) *= x->dims[i];
    return GRADCAM_OK;
}

static gradcam_status compress_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    slices s;
    int64_t dims[GC_MAX_RANK];
    GC_TRY(require_data(call, 1));
    GC_TRY(find_slices(call, &s));
    const int64_t kept = count_nonzero(call->inputs[1], s.extent);
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == s.axis ? kept : x->dims[i];
    gc_tensor_describe(call->outputs[0], x->dtype, s.axis < 0 ? 1 : x->rank,
                       s.axis < 0 ? &kept : dims);
    return gc_check_output(call, 0);
}

static bool is_kept(const gc_call *call, int64_t i)
{
    return i < call->inputs[1]->dims[0] && is_nonzero(call->inputs[1], i);
}

static gradcam_status compress_forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const bool is_float = gc_dtype_is_float(x->dtype);
    slices s;
    int64_t to = 0;
    GC_TRY(find_slices(call, &s));
    for (int64_t row = 0; row < s.outer * s.extent; row++)
        for (int64_t i = 0; is_kept(call, row % s.extent) && i < s.inner; i++, to++)
            if (is_float)
                gc_floats(call->outputs[0])[to] = gc_floats(x)[row * s.inner + i];
            else
                gc_ints(call->outputs[0])[to] = gc_ints(x)[row * s.inner + i];
    return GRADCAM_OK;
}

static gradcam_status compress_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                        gc_tensor *const *input_grads)
{
    slices s;
    int64_t from = 0;
    GC_TRY(gc_op_check_first_grad(call, input_grads));
    GC_TRY(find_slices(call, &s));
    for (int64_t row = 0; row < s.outer * s.extent; row++) {
        const bool kept = is_kept(call, row % s.extent);
        for (int64_t i = 0; i < s.inner; i++)
            gc_floats(input_grads[0])[row * s.inner + i] =
                kept ? gc_floats(output_grads[0])[from++] : 0.0f;
    }
    return GRADCAM_OK;
}

const gc_op gc_op_Compress = {
    .name = "Compress",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_PARAMETERS,
    .infer = compress_infer,
    .forward = compress_forward,
    .backward = compress_backward,
};
