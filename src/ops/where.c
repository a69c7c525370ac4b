/* SPDX-License-Identifier: Apache-2.0 */
/* Where: y = condition ? a : b; all three broadcast. */
#include "ops/broadcast.h"

static gradcam_status infer(const gc_call *call)
{
    gc_tensor *const out = call->outputs[0];
    if (call->inputs[0]->dtype != GC_BOOL)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "the condition must be bool, found %s",
                          gc_dtype_name(call->inputs[0]->dtype));
    const gc_dtype a = call->inputs[1]->dtype, b = call->inputs[2]->dtype;
    if (gc_dtype_is_float(a) != gc_dtype_is_float(b))
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "inputs 1 and 2 are of types %s and %s",
                          gc_dtype_name(a), gc_dtype_name(b));
    gc_tensor values;
    GC_TRY(gc_op_broadcast(call, call->inputs[1], call->inputs[2], &values));
    GC_TRY(gc_op_broadcast(call, call->inputs[0], &values, out));
    out->dtype = a;
    return gc_check_output(call, 0);
}

#define CHOOSE(NAME, TYPE)                                                                         \
    static void NAME(const gc_span *s, const void *context)                                        \
    {                                                                                              \
        (void)context;                                                                             \
        for (int64_t l = 0; l < s->lines; l++) {                                                   \
            const int64_t *const condition = (const int64_t *)s->in[0] + l * s->line[0];           \
            const TYPE *const a = (const TYPE *)s->in[1] + l * s->line[1];                         \
            const TYPE *const b = (const TYPE *)s->in[2] + l * s->line[2];                         \
            TYPE *const out = (TYPE *)s->out + l * s->out_line;                                    \
            for (int64_t i = 0; i < s->count; i++)                                                 \
                out[i] = condition[i * s->step[0]] != 0 ? a[i * s->step[1]] : b[i * s->step[2]];   \
        }                                                                                          \
    }

CHOOSE(choose_floats, float)
CHOOSE(choose_integers, int64_t)
GC_SPAN_GRADIENT_OF(chosen_part, int64_t, float, a != 0 ? g : 0.0f)
GC_SPAN_GRADIENT_OF(other_part, int64_t, float, a == 0 ? g : 0.0f)

static gradcam_status forward(const gc_call *call)
{
    const bool is_float = gc_dtype_is_float(call->outputs[0]->dtype);
    gc_broadcast loop;
    gc_broadcast_begin(&loop, call->outputs[0], 3, call->inputs);
    gc_broadcast_run(&loop, call->outputs[0], is_float ? choose_floats : choose_integers, NULL);
    return GRADCAM_OK;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    const gc_tensor *const operands[] = {output_grads[0], call->inputs[0]};
    if (input_grads[1] != NULL)
        gc_broadcast_reduce(output_grads[0], input_grads[1], 2, operands, chosen_part, NULL);
    if (input_grads[2] != NULL)
        gc_broadcast_reduce(output_grads[0], input_grads[2], 2, operands, other_part, NULL);
    return GRADCAM_OK;
}

const gc_op gc_op_Where = {
    .name = "Where",
    .domain = "",
    .since = 1,
    .min_inputs = 3,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
