/* SPDX-License-Identifier: Apache-2.0 */
/* Relu: y = max(x, 0); the gradient at 0 is 0, as in PyTorch. */
#include "ops/op.h"

static gradcam_status forward(const gc_call *call)
{
    const float *const x = gc_floats(call->inputs[0]);
    float *const y = gc_floats(call->outputs[0]);
    const int64_t count = gc_tensor_count(call->inputs[0]);
#pragma omp parallel for simd schedule(static) if (count > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] > 0.0f || x[i] != x[i] ? x[i] : 0.0f; /* NaN stays NaN */
    return GRADCAM_OK;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    const float *const y = gc_floats(call->outputs[0]);
    const float *const gy = gc_floats(output_grads[0]);
    float *const gx = gc_floats(input_grads[0]);
    const int64_t count = gc_tensor_count(call->outputs[0]);
#pragma omp parallel for simd schedule(static) if (count > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < count; i++)
        gx[i] = y[i] > 0.0f ? gy[i] : 0.0f;
    return GRADCAM_OK;
}

const gc_op gc_op_Relu = {
    .name = "Relu",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_ELEMENTWISE,
    .backward_reads = GC_READS_OUTPUTS,
    .is_in_place = true,
    .infer = gc_op_infer_same,
    .forward = forward,
    .backward = backward,
};
