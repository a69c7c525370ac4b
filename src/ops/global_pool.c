/* SPDX-License-Identifier: Apache-2.0 */
/* GlobalAveragePool, GlobalMaxPool, GlobalLpPool: one value per channel, in every layout. */
#include <math.h>

#include "ops/check.h"

static gradcam_status infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    GC_TRY(gc_check_floats(call, 1));
    if (x->rank < 2)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "input of rank %d, expected at least 2",
                          x->rank);
    int64_t dims[GC_MAX_RANK] = {x->dims[0], x->dims[1]};
    for (int i = 2; i < x->rank; i++) {
        dims[i] = 1;
        if (x->dims[i] < 1)
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "spatial axis %d has extent %lld", i - 2,
                              (long long)x->dims[i]);
    }
    gc_tensor_describe(call->outputs[0], x->dtype, x->rank, dims);
    return GRADCAM_OK;
}

static gradcam_status infer_lp(const gc_call *call)
{
    const int64_t p = gc_attr_int(call->node, "p", 2);
    if (p < 1 || p > 64)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "p is %lld, expected 1 to 64", (long long)p);
    return infer(call);
}

/* Is a loop over all of the view worth threads? */
static bool is_large(gc_spatial v)
{
    return v.outer * v.spatial * v.inner > GC_PARALLEL_ELEMENTS;
}

/* ---- Average. Channels of one block are adjacent. ---- */

enum { WIDTH = 16, MOST = 64, CHUNK = 256 };

/* Adds up `positions` rows of `width` adjacent channels. Float sums of a chunk of positions go to
 * double ones, which keeps both speed and digits. */
static inline void add_up(const float *x, int64_t positions, int64_t step, int64_t width,
                          double *total)
{
    for (int64_t begin = 0; begin < positions; begin += CHUNK) {
        const int64_t end = begin + CHUNK < positions ? begin + CHUNK : positions;
        float sum[MOST] = {0};
        for (int64_t s = begin; s < end; s++)
            for (int64_t i = 0; i < width; i++)
                sum[i] += x[s * step + i];
        for (int64_t i = 0; i < width; i++)
            total[i] += (double)sum[i];
    }
}

/* Widths that are constants become registers. */
static void average_part(const float *x, gc_spatial v, int64_t width, float *y)
{
    double total[MOST] = {0};
    if (width == MOST)
        add_up(x, v.spatial, v.inner, MOST, total);
    else if (width == WIDTH)
        add_up(x, v.spatial, v.inner, WIDTH, total);
    else
        add_up(x, v.spatial, v.inner, width, total);
    for (int64_t i = 0; i < width; i++)
        y[i] = (float)(total[i] / (double)v.spatial);
}

static float average_row(const float *x, int64_t count)
{
    double total = 0.0;
    for (int64_t begin = 0; begin < count; begin += CHUNK) {
        const int64_t end = begin + CHUNK < count ? begin + CHUNK : count;
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (int64_t s = begin; s < end; s++)
            sum += x[s];
        total += (double)sum;
    }
    return (float)(total / (double)count);
}

static gradcam_status forward_average(const gc_call *call)
{
    const gc_spatial v = gc_spatial_of(call->inputs[0]);
    const float *const x = gc_floats(call->inputs[0]);
    float *const y = gc_floats(call->outputs[0]);
    const int64_t width = v.inner >= 4 * MOST ? MOST : WIDTH;
    const int64_t parts = (v.inner + width - 1) / width;
#pragma omp parallel for schedule(static) if (is_large(v))
    for (int64_t p = 0; p < v.outer * parts; p++) {
        const int64_t o = p / parts, i = p % parts * width;
        const float *const row = x + o * v.spatial * v.inner;
        if (v.inner == 1)
            y[o] = average_row(row, v.spatial);
        else
            average_part(row + i, v, v.inner - i < width ? v.inner - i : width,
                         y + o * v.inner + i);
    }
    return GRADCAM_OK;
}

static void fill(float *to, int64_t count, float value)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = value;
}

static gradcam_status backward_average(const gc_call *call, const gc_tensor *const *output_grads,
                                       gc_tensor *const *input_grads)
{
    (void)call;
    const gc_spatial v = gc_spatial_of(input_grads[0]);
    const float *const gy = gc_floats(output_grads[0]);
    float *const gx = gc_floats(input_grads[0]);
    const float scale = 1.0f / (float)v.spatial;
#pragma omp parallel for schedule(static) if (is_large(v))
    for (int64_t o = 0; o < v.outer; o++)
        if (v.inner == 1)
            fill(gx + o * v.spatial, v.spatial, gy[o] * scale);
        else
            for (int64_t s = 0; s < v.spatial; s++)
                for (int64_t i = 0; i < v.inner; i++)
                    gx[(o * v.spatial + s) * v.inner + i] = gy[o * v.inner + i] * scale;
    return GRADCAM_OK;
}

/* ---- Max: the gradient goes to the first maximum, as in PyTorch. ---- */

static int64_t find_maximum(const float *x, gc_spatial v)
{
    int64_t best = 0;
    for (int64_t s = 1; s < v.spatial; s++) {
        const float value = x[s * v.inner], found = x[best * v.inner];
        if (value > found || (isnan(value) && !isnan(found)))
            best = s;
    }
    return best;
}

static gradcam_status forward_max(const gc_call *call)
{
    const gc_spatial v = gc_spatial_of(call->inputs[0]);
    float *const y = gc_floats(call->outputs[0]);
#pragma omp parallel for schedule(static) if (is_large(v))
    for (int64_t o = 0; o < v.outer; o++)
        for (int64_t i = 0; i < v.inner; i++) {
            const float *const x = gc_floats(call->inputs[0]) + o * v.spatial * v.inner + i;
            y[o * v.inner + i] = x[find_maximum(x, v) * v.inner];
        }
    return GRADCAM_OK;
}

static gradcam_status backward_max(const gc_call *call, const gc_tensor *const *output_grads,
                                   gc_tensor *const *input_grads)
{
    const gc_spatial v = gc_spatial_of(call->inputs[0]);
    const float *const gy = gc_floats(output_grads[0]);
#pragma omp parallel for schedule(static) if (is_large(v))
    for (int64_t o = 0; o < v.outer; o++)
        for (int64_t i = 0; i < v.inner; i++) {
            const int64_t start = o * v.spatial * v.inner + i;
            float *const gx = gc_floats(input_grads[0]) + start;
            for (int64_t s = 0; s < v.spatial; s++)
                gx[s * v.inner] = 0.0f;
            gx[find_maximum(gc_floats(call->inputs[0]) + start, v) * v.inner] = gy[o * v.inner + i];
        }
    return GRADCAM_OK;
}

/* ---- Lp norm ---- */

static double norm(const float *x, gc_spatial v, int p)
{
    double sum = 0.0;
    for (int64_t s = 0; s < v.spatial; s++)
        sum += pow(fabs((double)x[s * v.inner]), p);
    return pow(sum, 1.0 / p);
}

static gradcam_status forward_lp(const gc_call *call)
{
    const gc_spatial v = gc_spatial_of(call->inputs[0]);
    const int p = (int)gc_attr_int(call->node, "p", 2);
    const float *const x = gc_floats(call->inputs[0]);
    float *const y = gc_floats(call->outputs[0]);
#pragma omp parallel for schedule(static) if (is_large(v))
    for (int64_t o = 0; o < v.outer; o++)
        for (int64_t i = 0; i < v.inner; i++)
            y[o * v.inner + i] = (float)norm(x + o * v.spatial * v.inner + i, v, p);
    return GRADCAM_OK;
}

static void spread_lp(const float *x, float *gx, float gy, gc_spatial v, int p)
{
    const double y = norm(x, v, p);
    for (int64_t s = 0; s < v.spatial; s++) {
        const double value = (double)x[s * v.inner];
        const double slope = y == 0.0 || value == 0.0 ? 0.0 : pow(fabs(value) / y, p - 1);
        gx[s * v.inner] = (float)(copysign(slope, value) * (double)gy);
    }
}

static gradcam_status backward_lp(const gc_call *call, const gc_tensor *const *output_grads,
                                  gc_tensor *const *input_grads)
{
    const gc_spatial v = gc_spatial_of(call->inputs[0]);
    const int p = (int)gc_attr_int(call->node, "p", 2);
    const float *const x = gc_floats(call->inputs[0]);
    const float *const gy = gc_floats(output_grads[0]);
    float *const gx = gc_floats(input_grads[0]);
#pragma omp parallel for schedule(static) if (is_large(v))
    for (int64_t o = 0; o < v.outer; o++)
        for (int64_t i = 0; i < v.inner; i++) {
            const int64_t start = o * v.spatial * v.inner + i;
            spread_lp(x + start, gx + start, gy[o * v.inner + i], v, p);
        }
    return GRADCAM_OK;
}

const gc_op gc_op_GlobalAveragePool = {
    .name = "GlobalAveragePool",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_SPATIAL,
    .backward_reads = GC_READS_NOTHING,
    .infer = infer,
    .forward = forward_average,
    .backward = backward_average,
};

const gc_op gc_op_GlobalMaxPool = {
    .name = "GlobalMaxPool",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_SPATIAL,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer,
    .forward = forward_max,
    .backward = backward_max,
};

const gc_op gc_op_GlobalLpPool = {
    .name = "GlobalLpPool",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_SPATIAL,
    .backward_reads = GC_READS_INPUTS,
    .infer = infer_lp,
    .forward = forward_lp,
    .backward = backward_lp,
};
