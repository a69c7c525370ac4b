/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clip: y = min(max(x, low), high); either bound may be absent. The gradient is 0 on both bounds,
 * as in PyTorch's relu6 and hardtanh, which is what exporters write as Clip. (torch.clamp has 1
 * there.) So it shows in the output alone, and the input need not be kept; for that the bounds have
 * to be constant.
 */
#include <math.h>

#include "ops/check.h"

static gradcam_status check_bound(const gc_call *call, int index)
{
    if (!gc_op_has(call, index))
        return GRADCAM_OK;
    GC_TRY(gc_check_same_storage(call, index));
    if (gc_tensor_count(call->inputs[index]) != 1)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "input %d must be a scalar", index);
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call)
{
    GC_TRY(check_bound(call, 1));
    GC_TRY(check_bound(call, 2));
    return gc_op_infer_same(call);
}

static float float_bound(const gc_call *call, int index, float missing)
{
    return gc_op_has(call, index) ? gc_floats(call->inputs[index])[0] : missing;
}

static int64_t integer_bound(const gc_call *call, int index, int64_t missing)
{
    return gc_op_has(call, index) ? gc_ints(call->inputs[index])[0] : missing;
}

static void clip_integers(const gc_call *call)
{
    const int64_t low = integer_bound(call, 1, INT64_MIN), high = integer_bound(call, 2, INT64_MAX);
    const int64_t *const x = gc_ints(call->inputs[0]);
    int64_t *const y = gc_ints(call->outputs[0]);
    const int64_t count = gc_tensor_count(call->inputs[0]);
    for (int64_t i = 0; i < count; i++) {
        const int64_t raised = x[i] < low ? low : x[i];
        y[i] = raised > high ? high : raised;
    }
}

static gradcam_status forward(const gc_call *call)
{
    if (!gc_dtype_is_float(call->inputs[0]->dtype)) {
        clip_integers(call);
        return GRADCAM_OK;
    }
    const float low = float_bound(call, 1, -INFINITY), high = float_bound(call, 2, INFINITY);
    const float *const x = gc_floats(call->inputs[0]);
    float *const y = gc_floats(call->outputs[0]);
    const int64_t count = gc_tensor_count(call->inputs[0]);
#pragma omp parallel for simd schedule(static) if (count > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < count; i++) {
        const float raised = x[i] < low ? low : x[i];
        y[i] = raised > high ? high : raised;
    }
    return GRADCAM_OK;
}

/* What was clipped to a bound belongs to the bound. */
static float bound_gradient(const gc_call *call, const float *gy, float bound)
{
    const float *const y = gc_floats(call->outputs[0]);
    const int64_t count = gc_tensor_count(call->outputs[0]);
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += y[i] == bound ? (double)gy[i] : 0.0;
    return (float)sum;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    const float low = float_bound(call, 1, -INFINITY), high = float_bound(call, 2, INFINITY);
    const float *const y = gc_floats(call->outputs[0]);
    const float *const gy = gc_floats(output_grads[0]);
    const int64_t count = gc_tensor_count(output_grads[0]);
    for (int i = 1; i < call->input_count; i++)
        if (input_grads[i] != NULL) /* the upper bound wins where they cross */
            gc_floats(input_grads[i])[0] =
                i == 1 && low >= high ? 0.0f : bound_gradient(call, gy, i == 1 ? low : high);
    if (input_grads[0] == NULL)
        return GRADCAM_OK;
    float *const gx = gc_floats(input_grads[0]);
#pragma omp parallel for simd schedule(static) if (count > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < count; i++)
        gx[i] = y[i] > low && y[i] < high ? gy[i] : 0.0f;
    return GRADCAM_OK;
}

const gc_op gc_op_Clip = {
    .name = "Clip",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_ELEMENTWISE,
    .backward_reads = GC_READS_OUTPUTS | GC_READS_PARAMETERS,
    .is_in_place = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
