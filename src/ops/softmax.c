/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Softmax, LogSoftmax, Hardmax along one axis. The reader marks files older than opset 13 with the
 * attribute coerce2d: there the tensor counts as a matrix cut at `axis`, and all of a row of it is
 * normalised together.
 */
#include <math.h>

#include "ops/check.h"

/* Element j of group (o, i) lies at (o * extent + j) * inner + i. */
typedef struct groups {
    int64_t outer, extent, inner;
} groups;

static gradcam_status resolve(const gc_call *call, groups *g)
{
    const gc_tensor *const x = call->inputs[0];
    const bool is_matrix = gc_attr_int(call->node, "coerce2d", 0) != 0;
    const int64_t given = gc_attr_int(call->node, "axis", is_matrix ? 1 : -1);
    int axis = x->rank; /* a matrix of extent-1 rows may be cut behind the last axis */
    if (!is_matrix || given != x->rank)
        GC_TRY(gc_op_axis(call, given, x->rank, &axis));
    *g = (groups){1, 1, 1};
    for (int i = 0; i < x->rank; i++) {
        if (i < axis)
            g->outer *= x->dims[i];
        else if (i == axis || is_matrix)
            g->extent *= x->dims[i];
        else
            g->inner *= x->dims[i];
    }
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call)
{
    groups g;
    GC_TRY(gc_check_floats(call, 1));
    GC_TRY(resolve(call, &g));
    return gc_op_infer_same(call);
}

typedef void group_forward(const float *x, float *y, int64_t count, int64_t step);
typedef void group_backward(const float *y, const float *gy, float *gx, int64_t count,
                            int64_t step);

static gradcam_status run_forward(const gc_call *call, group_forward *function)
{
    groups g;
    GC_TRY(resolve(call, &g));
    const float *const x = gc_floats(call->inputs[0]);
    float *const y = gc_floats(call->outputs[0]);
    if (g.extent == 0)
        return GRADCAM_OK;
#pragma omp parallel for schedule(static) if (gc_tensor_count(call->inputs[0]) > 1024)
    for (int64_t group = 0; group < g.outer * g.inner; group++) {
        const int64_t start = group / g.inner * g.extent * g.inner + group % g.inner;
        function(x + start, y + start, g.extent, g.inner);
    }
    return GRADCAM_OK;
}

static gradcam_status run_backward(const gc_call *call, const gc_tensor *gy, gc_tensor *gx,
                                   group_backward *function)
{
    groups g;
    GC_TRY(resolve(call, &g));
    const float *const y = gc_floats(call->outputs[0]);
    if (g.extent == 0)
        return GRADCAM_OK;
#pragma omp parallel for schedule(static) if (gc_tensor_count(gy) > 1024)
    for (int64_t group = 0; group < g.outer * g.inner; group++) {
        const int64_t start = group / g.inner * g.extent * g.inner + group % g.inner;
        function(y + start, gc_floats(gy) + start, gc_floats(gx) + start, g.extent, g.inner);
    }
    return GRADCAM_OK;
}

/* Index of the first maximum. */
static int64_t find_maximum(const float *x, int64_t count, int64_t step)
{
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        if (x[i * step] > x[best * step])
            best = i;
    return best;
}

/* ---- Softmax ---- */

static void softmax_group(const float *x, float *y, int64_t count, int64_t step)
{
    const float maximum = x[find_maximum(x, count, step) * step];
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        y[i * step] = expf(x[i * step] - maximum);
        sum += (double)y[i * step];
    }
    const float scale = (float)(1.0 / sum);
    for (int64_t i = 0; i < count; i++)
        y[i * step] *= scale;
}

static void softmax_gradient(const float *y, const float *gy, float *gx, int64_t count,
                             int64_t step)
{
    double dot = 0.0;
    for (int64_t i = 0; i < count; i++)
        dot += (double)y[i * step] * (double)gy[i * step];
    for (int64_t i = 0; i < count; i++)
        gx[i * step] = (float)((double)y[i * step] * ((double)gy[i * step] - dot));
}

static gradcam_status forward_softmax(const gc_call *call)
{
    return run_forward(call, softmax_group);
}

static gradcam_status backward_softmax(const gc_call *call, const gc_tensor *const *output_grads,
                                       gc_tensor *const *input_grads)
{
    return run_backward(call, output_grads[0], input_grads[0], softmax_gradient);
}

/* ---- LogSoftmax ---- */

static void log_softmax_group(const float *x, float *y, int64_t count, int64_t step)
{
    const float maximum = x[find_maximum(x, count, step) * step];
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)expf(x[i * step] - maximum);
    const float offset = (float)log(sum);
    for (int64_t i = 0; i < count; i++)
        y[i * step] = x[i * step] - maximum - offset;
}

static void log_softmax_gradient(const float *y, const float *gy, float *gx, int64_t count,
                                 int64_t step)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)gy[i * step];
    for (int64_t i = 0; i < count; i++)
        gx[i * step] = (float)((double)gy[i * step] - exp((double)y[i * step]) * sum);
}

static gradcam_status forward_log_softmax(const gc_call *call)
{
    return run_forward(call, log_softmax_group);
}

static gradcam_status backward_log_softmax(const gc_call *call,
                                           const gc_tensor *const *output_grads,
                                           gc_tensor *const *input_grads)
{
    return run_backward(call, output_grads[0], input_grads[0], log_softmax_gradient);
}

/* ---- Hardmax: 1 at the first maximum, 0 elsewhere; its gradient is 0. ---- */

static void hardmax_group(const float *x, float *y, int64_t count, int64_t step)
{
    const int64_t best = find_maximum(x, count, step);
    for (int64_t i = 0; i < count; i++)
        y[i * step] = i == best ? 1.0f : 0.0f;
}

static gradcam_status forward_hardmax(const gc_call *call)
{
    return run_forward(call, hardmax_group);
}

const gc_op gc_op_Softmax = {
    .name = "Softmax",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_OUTPUTS,
    .is_in_place = true,
    .infer = infer,
    .forward = forward_softmax,
    .backward = backward_softmax,
};

const gc_op gc_op_LogSoftmax = {
    .name = "LogSoftmax",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_OUTPUTS,
    .is_in_place = true,
    .infer = infer,
    .forward = forward_log_softmax,
    .backward = backward_log_softmax,
};

const gc_op gc_op_Hardmax = {
    .name = "Hardmax",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .is_in_place = true,
    .infer = infer,
    .forward = forward_hardmax,
};
