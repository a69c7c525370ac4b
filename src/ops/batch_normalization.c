/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BatchNormalization with the stored statistics (inference): one scale and one offset a channel, in
 * every layout. Inputs X, scale, B, mean, var. Training outputs are not made.
 */
#include <math.h>

#include "ops/check.h"

static gradcam_status check_parameter(const gc_call *call, int index, int64_t channels)
{
    const gc_tensor *const t = call->inputs[index];
    if (gc_op_has(call, index) && t->rank == 1 && t->dims[0] == channels)
        return GRADCAM_OK;
    char text[GC_SHAPE_TEXT] = "missing";
    return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "parameter %d is %s, expected a vector of %lld",
                      index, gc_op_has(call, index) ? gc_shape_text(t, text) : text,
                      (long long)channels);
}

static gradcam_status infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    GC_TRY(gc_check_floats(call, 5));
    if (x->rank < 1)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "input is a scalar");
    for (int i = 1; i < 5; i++)
        GC_TRY(check_parameter(call, i, x->rank > 1 ? x->dims[1] : 1));
    if (gc_attr_int(call->node, "training_mode", 0) != 0)
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                          "training_mode is 1: export the model in evaluation mode");
    for (int i = 1; i < call->output_count; i++)
        if (gc_op_gives(call, i)) /* old files declare them; nothing computes them in inference */
            return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                              "output %d exists only in training: export the model in evaluation "
                              "mode",
                              i);
    return gc_op_infer_same(call);
}

static size_t padded_channels(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t channels = x->rank > 1 ? x->dims[1] : 1;
    return ((size_t)channels + 15) / 16 * 16;
}

/* Room for a scale and an offset a channel; a block of channels may be cut short. */
static size_t scratch(const gc_call *call)
{
    return 2 * padded_channels(call) * sizeof(float);
}

/* y = x * scale + offset; zero in the padding of blocked layouts. */
static void fold(const gc_call *call, float *scale, float *offset)
{
    const double epsilon = (double)gc_attr_float(call->node, "epsilon", 1e-5f);
    const int64_t channels = call->inputs[1]->dims[0];
    const int64_t padded = (int64_t)padded_channels(call);
    for (int64_t c = 0; c < padded; c++) {
        scale[c] = offset[c] = 0.0f;
        if (c >= channels)
            continue;
        const double gamma = (double)gc_floats(call->inputs[1])[c];
        const double mean = (double)gc_floats(call->inputs[3])[c];
        const double factor = gamma / sqrt((double)gc_floats(call->inputs[4])[c] + epsilon);
        scale[c] = (float)factor;
        offset[c] = (float)((double)gc_floats(call->inputs[2])[c] - mean * factor);
    }
}

/* First channel of outer row o: see gc_spatial. */
static int64_t first_channel(const gc_tensor *t, int64_t o)
{
    if (t->layout == GC_LAYOUT_LAST)
        return 0;
    const int block = gc_layout_block(t->layout);
    const int64_t channels = t->rank > 1 ? t->dims[1] : 1;
    return o % ((channels + block - 1) / block) * block;
}

static void apply_row(const float *x, float *y, const float *scale, const float *offset,
                      gc_spatial v)
{
    if (v.inner == 1) {
        const float a = scale[0], b = offset[0];
        for (int64_t s = 0; s < v.spatial; s++)
            y[s] = x[s] * a + b;
        return;
    }
    for (int64_t s = 0; s < v.spatial; s++)
        for (int64_t i = 0; i < v.inner; i++)
            y[s * v.inner + i] = x[s * v.inner + i] * scale[i] + offset[i];
}

static void apply(const gc_tensor *x, const gc_tensor *y, const float *scale, const float *offset)
{
    const gc_spatial v = gc_spatial_of(x);
    const int64_t row = v.spatial * v.inner;
#pragma omp parallel for schedule(static) if (v.outer * row > GC_PARALLEL_ELEMENTS)
    for (int64_t o = 0; o < v.outer; o++) {
        const int64_t c = first_channel(x, o);
        apply_row(gc_floats(x) + o * row, gc_floats(y) + o * row, scale + c, offset + c, v);
    }
}

static gradcam_status forward(const gc_call *call)
{
    float *const scale = call->scratch, *const offset = scale + padded_channels(call);
    fold(call, scale, offset);
    apply(call->inputs[0], call->outputs[0], scale, offset);
    return GRADCAM_OK;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    GC_TRY(gc_op_check_first_grad(call, input_grads));
    float *const scale = call->scratch, *const offset = scale + padded_channels(call);
    fold(call, scale, offset);
    for (size_t c = 0; c < padded_channels(call); c++)
        offset[c] = 0.0f;
    apply(output_grads[0], input_grads[0], scale, offset);
    return GRADCAM_OK;
}

const gc_op gc_op_BatchNormalization = {
    .name = "BatchNormalization",
    .domain = "",
    .since = 1,
    .min_inputs = 5,
    .max_inputs = 5,
    .max_outputs = 5,
    .layouts = GC_OP_SPATIAL,
    .backward_reads = GC_READS_PARAMETERS,
    .is_in_place = true,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .scratch = scratch,
};
