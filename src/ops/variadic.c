/* SPDX-License-Identifier: Apache-2.0 */
/* Sum, Mean, Min, Max of any number of tensors that broadcast. A gradient is shared evenly among
 * the operands that attain the extreme, as PyTorch does. NaN wins over any number. */
#include <string.h>

#include "ops/broadcast.h"

static gradcam_status infer(const gc_call *call)
{
    gc_tensor *const out = call->outputs[0];
    *out = *call->inputs[0];
    for (int i = 0; i < call->input_count; i++) {
        if (call->inputs[i] == NULL)
            return gc_op_fail(call, GRADCAM_ERROR_MODEL, "input %d is missing", i);
        GC_TRY(gc_check_same_storage(call, i));
        const gc_tensor so_far = *out;
        GC_TRY(gc_op_broadcast(call, &so_far, call->inputs[i], out));
    }
    return gc_check_output(call, 0);
}

static gradcam_status infer_float(const gc_call *call)
{
    GC_TRY(gc_check_float(call, 0));
    return infer(call);
}

GC_SPAN_BINARY(sum_floats, float, float, float, a + b)
GC_SPAN_BINARY(min_floats, float, float, float, a < b || a != a ? a : b)
GC_SPAN_BINARY(max_floats, float, float, float, a > b || a != a ? a : b)
GC_SPAN_BINARY(min_integers, int64_t, int64_t, int64_t, a < b ? a : b)
GC_SPAN_BINARY(max_integers, int64_t, int64_t, int64_t, a > b ? a : b)
GC_SPAN_GRADIENT(product, g *a)
GC_SPAN_GRADIENT(same, g)
GC_SPAN_GRADIENT(count_attained, g + (a == b ? 1.0f : 0.0f))
GC_SPAN_BINARY(share, float, float, float, b > 0.0f ? a / b : 0.0f)
GC_SPAN_GRADIENT(attained_part, a == b ? g : 0.0f)

/* out = kernel(out, input i), one input after the other. */
static void accumulate(const gc_call *call, gc_span_kernel kernel)
{
    const gc_tensor *const out = call->outputs[0];
    const gc_tensor *so_far = call->inputs[0];
    for (int i = 1; i < call->input_count; i++) {
        const gc_tensor *const operands[] = {so_far, call->inputs[i]};
        gc_broadcast loop;
        gc_broadcast_begin(&loop, out, 2, operands);
        gc_broadcast_run(&loop, out, kernel, NULL);
        so_far = out;
    }
    if (call->input_count == 1)
        memcpy(out->data, so_far->data, gc_tensor_bytes(out));
}

static gradcam_status sum_forward(const gc_call *call)
{
    accumulate(call, sum_floats);
    return GRADCAM_OK;
}

static gradcam_status mean_forward(const gc_call *call)
{
    accumulate(call, sum_floats);
    float *const y = gc_floats(call->outputs[0]);
    const float scale = 1.0f / (float)call->input_count;
    const int64_t count = gc_tensor_count(call->outputs[0]);
#pragma omp parallel for simd schedule(static) if (count > GC_PARALLEL_ELEMENTS)
    for (int64_t i = 0; i < count; i++)
        y[i] *= scale;
    return GRADCAM_OK;
}

static gradcam_status min_forward(const gc_call *call)
{
    accumulate(call, gc_dtype_is_float(call->outputs[0]->dtype) ? min_floats : min_integers);
    return GRADCAM_OK;
}

static gradcam_status max_forward(const gc_call *call)
{
    accumulate(call, gc_dtype_is_float(call->outputs[0]->dtype) ? max_floats : max_integers);
    return GRADCAM_OK;
}

static gradcam_status sum_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                   gc_tensor *const *input_grads)
{
    for (int i = 0; i < call->input_count; i++)
        if (input_grads[i] != NULL)
            gc_broadcast_reduce(output_grads[0], input_grads[i], 1, output_grads, same, NULL);
    return GRADCAM_OK;
}

static gradcam_status mean_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                    gc_tensor *const *input_grads)
{
    float scale = 1.0f / (float)call->input_count;
    const gc_tensor factor = {.dtype = GC_FLOAT32, .rank = 0, .data = &scale};
    const gc_tensor *const operands[] = {output_grads[0], &factor};
    for (int i = 0; i < call->input_count; i++)
        if (input_grads[i] != NULL)
            gc_broadcast_reduce(output_grads[0], input_grads[i], 2, operands, product, NULL);
    return GRADCAM_OK;
}

static size_t extreme_scratch(const gc_call *call)
{
    return gc_tensor_bytes(call->outputs[0]);
}

static gradcam_status extreme_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                       gc_tensor *const *input_grads)
{
    const gc_tensor *const y = call->outputs[0];
    gc_tensor shares = *output_grads[0]; /* first how many attain it, then the gradient of each */
    shares.data = call->scratch;
    memset(shares.data, 0, gc_tensor_bytes(&shares));
    gc_broadcast loop;
    for (int i = 0; i < call->input_count; i++) {
        const gc_tensor *const operands[] = {&shares, call->inputs[i], y};
        gc_broadcast_begin(&loop, &shares, 3, operands);
        gc_broadcast_run(&loop, &shares, count_attained, NULL);
    }
    const gc_tensor *const pair[] = {output_grads[0], &shares};
    gc_broadcast_begin(&loop, &shares, 2, pair);
    gc_broadcast_run(&loop, &shares, share, NULL);
    for (int i = 0; i < call->input_count; i++) {
        const gc_tensor *const operands[] = {&shares, call->inputs[i], y};
        if (input_grads[i] != NULL)
            gc_broadcast_reduce(&shares, input_grads[i], 3, operands, attained_part, NULL);
    }
    return GRADCAM_OK;
}

/* Not in place: an operand may be there twice, and would change under the loop over the others. */
#define ROW(NAME, READS, INFER, FORWARD, BACKWARD, SCRATCH)                                        \
    const gc_op gc_op_##NAME = {                                                                   \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .since = 1,                                                                                \
        .min_inputs = 1,                                                                           \
        .max_inputs = -1,                                                                          \
        .max_outputs = 1,                                                                          \
        .layouts = GC_OP_ELEMENTWISE,                                                              \
        .backward_reads = READS,                                                                   \
        .infer = INFER,                                                                            \
        .forward = FORWARD,                                                                        \
        .backward = BACKWARD,                                                                      \
        .scratch = SCRATCH,                                                                        \
    }

ROW(Sum, GC_READS_NOTHING, infer_float, sum_forward, sum_backward, NULL);
ROW(Mean, GC_READS_NOTHING, infer_float, mean_forward, mean_backward, NULL);
ROW(Min, GC_READS_INPUTS | GC_READS_OUTPUTS, infer, min_forward, extreme_backward, extreme_scratch);
ROW(Max, GC_READS_INPUTS | GC_READS_OUTPUTS, infer, max_forward, extreme_backward, extreme_scratch);
