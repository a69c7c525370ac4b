/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LayerNormalization, InstanceNormalization, GroupNormalization: runs of adjacent elements are
 * brought to mean 0 and variance 1, then scaled and shifted by parameters. They differ in what a
 * run is and which parameter an element has.
 */
#include <math.h>

#include "ops/check.h"

typedef struct runs {
    int64_t count, extent;
    double epsilon;
    /* `span` neighbours of a run share a parameter: element i of run r has number
     * r % period * step + i / span. */
    int64_t period, step, span;
} runs;

typedef struct moments {
    double mean, inverse; /* 1 / sqrt(variance + epsilon) */
} moments;

static moments measure(const float *x, int64_t count, double epsilon)
{
    double sum = 0.0, squares = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++)
        sum += (double)x[i];
    const double mean = sum / (double)count;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < count; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    return (moments){mean, 1.0 / sqrt(squares / (double)count + epsilon)};
}

/* y = (x - mean) * inverse * scale + bias; bias may be NULL. */
static void normalise(const runs *r, moments m, const float *x, const float *scale,
                      const float *bias, float *y)
{
    for (int64_t p = 0; p < r->extent / r->span; p++) {
        const double factor = m.inverse * (double)scale[p];
        const double offset = (bias == NULL ? 0.0 : (double)bias[p]) - m.mean * factor;
        for (int64_t i = p * r->span; i < (p + 1) * r->span; i++)
            y[i] = (float)((double)x[i] * factor + offset);
    }
}

static void keep(const gc_call *call, int output, int64_t run, double value)
{
    if (gc_op_gives(call, output))
        gc_floats(call->outputs[output])[run] = (float)value;
}

static gradcam_status run_forward(const gc_call *call, const runs *r)
{
    const float *const scale = gc_floats(call->inputs[1]);
    const float *const bias = gc_op_has(call, 2) ? gc_floats(call->inputs[2]) : NULL;
#pragma omp parallel for schedule(static) if (r->count * r->extent > GC_PARALLEL_ELEMENTS)
    for (int64_t run = 0; run < r->count; run++) {
        const float *const x = gc_floats(call->inputs[0]) + run * r->extent;
        const moments m = measure(x, r->extent, r->epsilon);
        const int64_t first = run % r->period * r->step;
        normalise(r, m, x, scale + first, bias == NULL ? NULL : bias + first,
                  gc_floats(call->outputs[0]) + run * r->extent);
        keep(call, 1, run, m.mean);
        keep(call, 2, run, m.inverse);
    }
    return GRADCAM_OK;
}

/* With g = gy * scale and n = (x - mean) * inverse:
 * gx = inverse * (g - mean(g) - n * mean(g * n)). */
static void differentiate(const runs *r, const float *x, const float *scale, const float *gy,
                          float *gx)
{
    const moments m = measure(x, r->extent, r->epsilon);
    double sum = 0.0, dot = 0.0;
    for (int64_t p = 0; p < r->extent / r->span; p++)
        for (int64_t i = p * r->span; i < (p + 1) * r->span; i++) {
            const double g = (double)gy[i] * (double)scale[p];
            sum += g;
            dot += g * ((double)x[i] - m.mean) * m.inverse;
        }
    sum /= (double)r->extent;
    dot /= (double)r->extent;
    for (int64_t p = 0; p < r->extent / r->span; p++)
        for (int64_t i = p * r->span; i < (p + 1) * r->span; i++) {
            const double g = (double)gy[i] * (double)scale[p];
            const double n = ((double)x[i] - m.mean) * m.inverse;
            gx[i] = (float)(m.inverse * (g - sum - n * dot));
        }
}

static gradcam_status run_backward(const gc_call *call, const runs *r,
                                   const gc_tensor *const *output_grads,
                                   gc_tensor *const *input_grads)
{
    GC_TRY(gc_op_check_first_grad(call, input_grads));
    if (output_grads[0] == NULL || (call->output_count > 1 && output_grads[1] != NULL) ||
        (call->output_count > 2 && output_grads[2] != NULL))
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                          "no gradient through the statistics that it returns");
#pragma omp parallel for schedule(static) if (r->count * r->extent > GC_PARALLEL_ELEMENTS)
    for (int64_t run = 0; run < r->count; run++)
        differentiate(r, gc_floats(call->inputs[0]) + run * r->extent,
                      gc_floats(call->inputs[1]) + run % r->period * r->step,
                      gc_floats(output_grads[0]) + run * r->extent,
                      gc_floats(input_grads[0]) + run * r->extent);
    return GRADCAM_OK;
}

/* ---- LayerNormalization: runs are the trailing axes, every element has its own parameters ---- */

static gradcam_status resolve_layer(const gc_call *call, runs *r, int *axis)
{
    const gc_tensor *const x = call->inputs[0];
    GC_TRY(gc_op_axis(call, gc_attr_int(call->node, "axis", -1), x->rank, axis));
    *r = (runs){1, 1, (double)gc_attr_float(call->node, "epsilon", 1e-5f), 1, 0, 1};
    for (int i = 0; i < x->rank; i++)
        *(i < *axis ? &r->count : &r->extent) *= x->dims[i];
    return GRADCAM_OK;
}

/* Does t have the trailing extents of x from `axis` on, apart from ones in front? */
static bool has_trailing_dims(const gc_tensor *t, const gc_tensor *x, int axis)
{
    const int rank = x->rank - axis;
    for (int i = 1; i <= t->rank || i <= rank; i++) {
        const int64_t found = i <= t->rank ? t->dims[t->rank - i] : 1;
        if (found != (i <= rank ? x->dims[x->rank - i] : 1))
            return false;
    }
    return true;
}

static gradcam_status infer_layer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    runs r;
    int axis = 0;
    GC_TRY(gc_check_floats(call, 3));
    GC_TRY(resolve_layer(call, &r, &axis));
    for (int i = 1; i < 3; i++) {
        char tx[GC_SHAPE_TEXT], tp[GC_SHAPE_TEXT];
        if (gc_op_has(call, i) && !has_trailing_dims(call->inputs[i], x, axis))
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                              "parameter %d of shape %s, expected the extents of %s from axis %d",
                              i, gc_shape_text(call->inputs[i], tp), gc_shape_text(x, tx), axis);
    }
    GC_TRY(gc_op_infer_same(call));
    int64_t dims[GC_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        dims[i] = i < axis ? x->dims[i] : 1;
    for (int i = 1; i < 3; i++)
        if (gc_op_gives(call, i))
            gc_tensor_describe(call->outputs[i], GC_FLOAT32, x->rank, dims);
    return GRADCAM_OK;
}

static gradcam_status forward_layer(const gc_call *call)
{
    runs r;
    int axis = 0;
    GC_TRY(resolve_layer(call, &r, &axis));
    return run_forward(call, &r);
}

static gradcam_status backward_layer(const gc_call *call, const gc_tensor *const *output_grads,
                                     gc_tensor *const *input_grads)
{
    runs r;
    int axis = 0;
    GC_TRY(resolve_layer(call, &r, &axis));
    return run_backward(call, &r, output_grads, input_grads);
}

/* ---- Group- and InstanceNormalization: runs are groups of channels of one picture ---- */

/* `per_group`: parameters belong to a group (the old GroupNormalization), not a channel. */
static runs make_groups(const gc_call *call, int64_t groups, bool per_group)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t channels = x->dims[1] / groups;
    runs r = {
        x->dims[0] * groups, 0, (double)gc_attr_float(call->node, "epsilon", 1e-5f), groups, 1, 1};
    for (int i = 2; i < x->rank; i++)
        r.span *= x->dims[i];
    r.extent = channels * r.span;
    if (per_group)
        r.span = r.extent;
    else
        r.step = channels;
    return r;
}

static gradcam_status infer_groups(const gc_call *call, int64_t groups, bool per_group)
{
    const gc_tensor *const x = call->inputs[0];
    char text[GC_SHAPE_TEXT];
    GC_TRY(gc_check_floats(call, 3));
    if (x->rank < 3 || groups < 1 || x->dims[1] % groups != 0 || gc_tensor_count(x) < 1)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                          "input of shape %s with %lld groups, expected N, C, spatial axes and "
                          "groups that divide C",
                          gc_shape_text(x, text), (long long)groups);
    const int64_t expected = per_group ? groups : x->dims[1];
    for (int i = 1; i < 3; i++)
        if (call->inputs[i]->rank != 1 || call->inputs[i]->dims[0] != expected)
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "parameter %d of shape %s, expected %lld",
                              i, gc_shape_text(call->inputs[i], text), (long long)expected);
    return gc_op_infer_same(call);
}

static int64_t group_count(const gc_call *call)
{
    return gc_attr_int(call->node, "num_groups", 0);
}

/* The mark of the reader for files older than opset 21. */
static bool is_per_group(const gc_call *call)
{
    return gc_attr_int(call->node, "per_group", 0) != 0;
}

static gradcam_status infer_group(const gc_call *call)
{
    return infer_groups(call, group_count(call), is_per_group(call));
}

static gradcam_status forward_group(const gc_call *call)
{
    const runs r = make_groups(call, group_count(call), is_per_group(call));
    return run_forward(call, &r);
}

static gradcam_status backward_group(const gc_call *call, const gc_tensor *const *output_grads,
                                     gc_tensor *const *input_grads)
{
    const runs r = make_groups(call, group_count(call), is_per_group(call));
    return run_backward(call, &r, output_grads, input_grads);
}

static gradcam_status infer_instance(const gc_call *call)
{
    return infer_groups(call, call->inputs[0]->rank > 1 ? call->inputs[0]->dims[1] : 0, false);
}

static gradcam_status forward_instance(const gc_call *call)
{
    const runs r = make_groups(call, call->inputs[0]->dims[1], false);
    return run_forward(call, &r);
}

static gradcam_status backward_instance(const gc_call *call, const gc_tensor *const *output_grads,
                                        gc_tensor *const *input_grads)
{
    const runs r = make_groups(call, call->inputs[0]->dims[1], false);
    return run_backward(call, &r, output_grads, input_grads);
}

const gc_op gc_op_LayerNormalization = {
    .name = "LayerNormalization",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 3,
    .max_outputs = 3,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer_layer,
    .forward = forward_layer,
    .backward = backward_layer,
};

const gc_op gc_op_GroupNormalization = {
    .name = "GroupNormalization",
    .domain = "",
    .since = 18,
    .min_inputs = 3,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer_group,
    .forward = forward_group,
    .backward = backward_group,
};

const gc_op gc_op_InstanceNormalization = {
    .name = "InstanceNormalization",
    .domain = "",
    .since = 1,
    .min_inputs = 3,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer_instance,
    .forward = forward_instance,
    .backward = backward_instance,
};
