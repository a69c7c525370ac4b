/* SPDX-License-Identifier: Apache-2.0 */
/* PRelu: y = x > 0 ? x : slope * x; the slope broadcasts to x. */
#include "ops/broadcast.h"

static gradcam_status infer(const gc_call *call)
{
    GC_TRY(gc_check_float(call, 0));
    GC_TRY(gc_check_float(call, 1));
    GC_TRY(gc_broadcast_infer(call, call->inputs[0]->dtype));
    if (!gc_tensor_same_dims(call->outputs[0], call->inputs[0]))
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "the slope is larger than the input");
    return gc_op_infer_same(call);
}

GC_SPAN_BINARY(value, float, float, float, a > 0.0f ? a : a * b)
GC_SPAN_GRADIENT(input_part, a > 0.0f ? g : g * b)
GC_SPAN_GRADIENT(slope_part, a > 0.0f ? 0.0f : g * a)

static gradcam_status forward(const gc_call *call)
{
    return gc_broadcast_binary(call, value);
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    gc_tensor slope, slope_grad;
    GC_TRY(gc_broadcast_align(call, call->inputs[0], call->inputs[1], &slope));
    const gc_tensor *const operands[] = {output_grads[0], call->inputs[0], &slope};
    if (input_grads[0] != NULL)
        gc_broadcast_reduce(output_grads[0], input_grads[0], 3, operands, input_part, NULL);
    if (input_grads[1] == NULL)
        return GRADCAM_OK;
    GC_TRY(gc_broadcast_align(call, call->inputs[0], input_grads[1], &slope_grad));
    gc_broadcast_reduce(output_grads[0], &slope_grad, 3, operands, slope_part, NULL);
    return GRADCAM_OK;
}

const gc_op gc_op_PRelu = {
    .name = "PRelu",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .max_outputs = 1,
    .layouts = GC_OP_ELEMENTWISE,
    .backward_reads = GC_READS_INPUTS,
    .is_in_place = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
