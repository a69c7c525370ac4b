/* SPDX-License-Identifier: Apache-2.0 */
/* Gather: rows along one axis, chosen by an integer tensor; negative indices count from the end. */
#include <string.h>

#include "ops/check.h"
#include "ops/strided.h"

/* data seen as [outer, extent, inner], the result as [outer, picks, inner]. */
typedef struct pick {
    int axis;
    int64_t outer, extent, inner, picks;
} pick;

static gradcam_status find_pick(const gc_call *call, pick *p)
{
    const gc_tensor *const x = call->inputs[0];
    *p = (pick){.outer = 1, .inner = 1};
    GC_TRY(gc_op_axis(call, gc_attr_int(call->node, "axis", 0), x->rank, &p->axis));
    for (int i = 0; i < x->rank; i++)
        *(i < p->axis ? &p->outer : i == p->axis ? &p->extent : &p->inner) *= x->dims[i];
    p->extent = x->dims[p->axis];
    p->picks = gc_tensor_count(call->inputs[1]);
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const indices = call->inputs[1];
    pick p;
    int64_t dims[GC_MAX_RANK];
    int rank = 0;
    GC_TRY(find_pick(call, &p));
    GC_TRY(gc_check_integer(call, 1));
    GC_TRY(gc_check_rank(call, x->rank - 1 + indices->rank));
    for (int i = 0; i < p.axis; i++)
        dims[rank++] = x->dims[i];
    for (int i = 0; i < indices->rank; i++)
        dims[rank++] = indices->dims[i];
    for (int i = p.axis + 1; i < x->rank; i++)
        dims[rank++] = x->dims[i];
    gc_tensor_describe(call->outputs[0], x->dtype, rank, dims);
    return gc_check_output(call, 0);
}

static gradcam_status check_indices(const gc_call *call, const pick *p)
{
    const int64_t *const indices = gc_ints(call->inputs[1]);
    for (int64_t i = 0; i < p->picks; i++)
        if (indices[i] < -p->extent || indices[i] >= p->extent)
            return gc_op_fail(call, GRADCAM_ERROR_MODEL, "index %lld is outside an axis of %lld",
                              (long long)indices[i], (long long)p->extent);
    return GRADCAM_OK;
}

static int64_t row_of(const gc_call *call, const pick *p, int64_t outer, int64_t i)
{
    const int64_t index = gc_ints(call->inputs[1])[i];
    return (outer * p->extent + (index < 0 ? index + p->extent : index)) * p->inner;
}

static gradcam_status forward(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0], *const y = call->outputs[0];
    pick p;
    GC_TRY(find_pick(call, &p));
    GC_TRY(check_indices(call, &p));
    const size_t bytes = (size_t)p.inner * gc_element_size(gc_dtype_is_float(x->dtype));
    for (int64_t o = 0; o < p.outer; o++)
        for (int64_t i = 0; i < p.picks; i++)
            memcpy(gc_element(y, (o * p.picks + i) * p.inner),
                   gc_element(x, row_of(call, &p, o, i)), bytes);
    return GRADCAM_OK;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    const float *const gy = gc_floats(output_grads[0]);
    float *const gx = gc_floats(input_grads[0]);
    pick p;
    GC_TRY(find_pick(call, &p));
    memset(gx, 0, gc_tensor_bytes(input_grads[0]));
#pragma omp parallel for schedule(static) if (p.outer * p.picks * p.inner > GC_PARALLEL_ELEMENTS)
    for (int64_t o = 0; o < p.outer; o++)
        for (int64_t i = 0; i < p.picks; i++) {
            float *const to = gx + row_of(call, &p, o, i);
            const float *const from = gy + (o * p.picks + i) * p.inner;
            for (int64_t j = 0; j < p.inner; j++)
                to[j] += from[j];
        }
    return GRADCAM_OK;
}

const gc_op gc_op_Gather = {
    .name = "Gather",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_PARAMETERS,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
