/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conv and ConvTranspose, directly: one tap of one weight at a time, over whole rows.
 *
 * Both share two kernels. With X: N x groups*c x in..., W: groups*m x c x k..., Y: N x groups*m x
 * out..., `gather` makes Y from X and `scatter`, its transpose, X from Y. A Conv is gather forward
 * and scatter backward, a ConvTranspose the reverse.
 */
#include "ops/check.h"
#include "ops/window.h"

typedef struct geometry {
    gc_window window; /* three axes */
    int64_t batch, groups;
    int64_t c, m; /* channels per group of X and of Y */
    int64_t in[GC_MAX_SPATIAL], out[GC_MAX_SPATIAL];
    int64_t in_size, out_size, taps;
} geometry;

static geometry make_geometry(const gc_window *window, int64_t groups, const gc_tensor *x,
                              const gc_tensor *y)
{
    geometry g = {.window = gc_window_3d(window), .batch = x->dims[0], .groups = groups};
    g.c = x->dims[1] / groups;
    g.m = y->dims[1] / groups;
    gc_extents_3d(x, g.in);
    gc_extents_3d(y, g.out);
    g.in_size = g.in[0] * g.in[1] * g.in[2];
    g.out_size = g.out[0] * g.out[1] * g.out[2];
    g.taps = g.window.kernel[0] * g.window.kernel[1] * g.window.kernel[2];
    return g;
}

/* Where one tap of the kernel meets the planes. */
typedef struct tap {
    gc_range range[GC_MAX_SPATIAL]; /* of outputs */
    int64_t offset[GC_MAX_SPATIAL]; /* input position = output * stride + offset */
} tap;

static tap make_tap(const geometry *g, int64_t index)
{
    const gc_window *const w = &g->window;
    tap t;
    for (int a = GC_MAX_SPATIAL - 1; a >= 0; a--) {
        const int64_t k = index % w->kernel[a];
        index /= w->kernel[a];
        t.range[a] = gc_window_outputs(w, a, k, g->in[a], g->out[a]);
        t.offset[a] = k * w->dilation[a] - w->pad_begin[a];
    }
    return t;
}

static void gather_row(float weight, const float *x, int64_t stride, float *y, int64_t count)
{
    if (stride == 1) {
#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            y[i] += weight * x[i];
    } else {
        for (int64_t i = 0; i < count; i++)
            y[i] += weight * x[i * stride];
    }
}

static void scatter_row(float weight, float *x, int64_t stride, const float *y, int64_t count)
{
    if (stride == 1) {
#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            x[i] += weight * y[i];
    } else {
        for (int64_t i = 0; i < count; i++)
            x[i * stride] += weight * y[i];
    }
}

/* One tap between a plane of X and a plane of Y. `to_y`: gather, else scatter. */
static void apply_tap(const geometry *g, const tap *t, float weight, float *x, float *y, bool to_y)
{
    const int64_t *const stride = g->window.stride;
    const int64_t count = t->range[2].end - t->range[2].begin;
    if (count <= 0)
        return;
    for (int64_t d = t->range[0].begin; d < t->range[0].end; d++)
        for (int64_t h = t->range[1].begin; h < t->range[1].end; h++) {
            const int64_t in_d = d * stride[0] + t->offset[0], in_h = h * stride[1] + t->offset[1];
            const int64_t in_w = t->range[2].begin * stride[2] + t->offset[2];
            float *const row_x = x + (in_d * g->in[1] + in_h) * g->in[2] + in_w;
            float *const row_y = y + (d * g->out[1] + h) * g->out[2] + t->range[2].begin;
            if (to_y)
                gather_row(weight, row_x, stride[2], row_y, count);
            else
                scatter_row(weight, row_x, stride[2], row_y, count);
        }
}

static void fill(float *plane, int64_t count, float value)
{
    for (int64_t i = 0; i < count; i++)
        plane[i] = value;
}

/* Y = X * W + bias (which may be NULL). X is not written. */
static void gather(const geometry *g, float *x, const float *w, const float *bias, float *y)
{
    const int64_t channels = g->groups * g->m;
#pragma omp parallel for schedule(static) if (g->batch * channels > 1)
    for (int64_t plane = 0; plane < g->batch * channels; plane++) {
        const int64_t n = plane / channels, m = plane % channels, group = m / g->m;
        float *const to = y + plane * g->out_size;
        fill(to, g->out_size, bias == NULL ? 0.0f : bias[m]);
        for (int64_t k = 0; k < g->taps; k++) {
            const tap t = make_tap(g, k);
            for (int64_t c = 0; c < g->c; c++)
                apply_tap(g, &t, w[(m * g->c + c) * g->taps + k],
                          x + ((n * g->groups + group) * g->c + c) * g->in_size, to, true);
        }
    }
}

/* X = transpose of gather, applied to Y, + bias (which may be NULL). Y is not written. */
static void scatter(const geometry *g, float *y, const float *w, const float *bias, float *x)
{
    const int64_t channels = g->groups * g->c;
#pragma omp parallel for schedule(static) if (g->batch * channels > 1)
    for (int64_t plane = 0; plane < g->batch * channels; plane++) {
        const int64_t n = plane / channels, group = plane % channels / g->c, c = plane % g->c;
        float *const to = x + plane * g->in_size;
        fill(to, g->in_size, bias == NULL ? 0.0f : bias[plane % channels]);
        for (int64_t k = 0; k < g->taps; k++) {
            const tap t = make_tap(g, k);
            for (int64_t i = 0; i < g->m; i++) {
                const int64_t m = group * g->m + i;
                apply_tap(g, &t, w[(m * g->c + c) * g->taps + k], to,
                          y + (n * g->groups * g->m + m) * g->out_size, false);
            }
        }
    }
}

/* `channels`: of the output, which the bias must match. */
static gradcam_status check_operands(const gc_call *call, int64_t groups, int64_t channels)
{
    const gc_tensor *const w = call->inputs[1];
    GC_TRY(gc_check_floats(call, 3));
    if (w->dims[0] % groups != 0 || w->dims[0] < 1 || w->dims[1] < 1)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                          "group %lld does not divide the weights' first extent %lld",
                          (long long)groups, (long long)w->dims[0]);
    if (gc_op_has(call, 2) &&
        (call->inputs[2]->rank != 1 || call->inputs[2]->dims[0] != channels)) {
        char text[GC_SHAPE_TEXT];
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "bias of shape %s, expected %lld",
                          gc_shape_text(call->inputs[2], text), (long long)channels);
    }
    return GRADCAM_OK;
}

/* `channels`: of the input, as the weights want it. */
static gradcam_status check_channels(const gc_call *call, int64_t channels)
{
    char x[GC_SHAPE_TEXT], w[GC_SHAPE_TEXT];
    if (call->inputs[0]->dims[1] == channels)
        return GRADCAM_OK;
    return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                      "input of shape %s, but weights of shape %s expect %lld channels",
                      gc_shape_text(call->inputs[0], x), gc_shape_text(call->inputs[1], w),
                      (long long)channels);
}

static gradcam_status resolve(const gc_call *call, bool is_transposed, gc_window *window,
                              int64_t *groups, int64_t *dims)
{
    const gc_tensor *const x = call->inputs[0], *const w = call->inputs[1];
    if (x->rank != w->rank || x->rank < 3)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                          "input of rank %d and weights of rank %d, expected the same of at least "
                          "3",
                          x->rank, w->rank);
    *groups = gc_attr_int(call->node, "group", 1);
    if (*groups < 1 || *groups > INT32_MAX)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "group is %lld", (long long)*groups);
    dims[0] = x->dims[0];
    dims[1] = is_transposed ? w->dims[1] * *groups : w->dims[0];
    return is_transposed ? gc_window_resolve_transposed(call, x, w->dims + 2, window, dims + 2)
                         : gc_window_resolve(call, x, w->dims + 2, window, dims + 2);
}

static gradcam_status infer(const gc_call *call, bool is_transposed)
{
    const gc_tensor *const x = call->inputs[0], *const w = call->inputs[1];
    gc_window window;
    int64_t groups = 1, dims[GC_MAX_RANK];
    GC_TRY(resolve(call, is_transposed, &window, &groups, dims));
    GC_TRY(check_operands(call, groups, dims[1]));
    GC_TRY(check_channels(call, is_transposed ? w->dims[0] : w->dims[1] * groups));
    gc_tensor_describe(call->outputs[0], x->dtype, x->rank, dims);
    return gc_check_output(call, 0);
}

static gradcam_status infer_conv(const gc_call *call)
{
    return infer(call, false);
}

static gradcam_status infer_transposed(const gc_call *call)
{
    return infer(call, true);
}

static const float *bias_of(const gc_call *call)
{
    return gc_op_has(call, 2) ? gc_floats(call->inputs[2]) : NULL;
}

static gradcam_status forward_conv(const gc_call *call)
{
    gc_window window;
    int64_t groups = 1, dims[GC_MAX_RANK];
    GC_TRY(resolve(call, false, &window, &groups, dims));
    const geometry g = make_geometry(&window, groups, call->inputs[0], call->outputs[0]);
    gather(&g, gc_floats(call->inputs[0]), gc_floats(call->inputs[1]), bias_of(call),
           gc_floats(call->outputs[0]));
    return GRADCAM_OK;
}

static gradcam_status backward_conv(const gc_call *call, const gc_tensor *const *output_grads,
                                    gc_tensor *const *input_grads)
{
    gc_window window;
    int64_t groups = 1, dims[GC_MAX_RANK];
    GC_TRY(gc_op_check_first_grad(call, input_grads));
    GC_TRY(resolve(call, false, &window, &groups, dims));
    const geometry g = make_geometry(&window, groups, input_grads[0], output_grads[0]);
    scatter(&g, gc_floats(output_grads[0]), gc_floats(call->inputs[1]), NULL,
            gc_floats(input_grads[0]));
    return GRADCAM_OK;
}

static gradcam_status forward_transposed(const gc_call *call)
{
    gc_window window;
    int64_t groups = 1, dims[GC_MAX_RANK];
    GC_TRY(resolve(call, true, &window, &groups, dims));
    const geometry g = make_geometry(&window, groups, call->outputs[0], call->inputs[0]);
    scatter(&g, gc_floats(call->inputs[0]), gc_floats(call->inputs[1]), bias_of(call),
            gc_floats(call->outputs[0]));
    return GRADCAM_OK;
}

static gradcam_status backward_transposed(const gc_call *call, const gc_tensor *const *output_grads,
                                          gc_tensor *const *input_grads)
{
    gc_window window;
    int64_t groups = 1, dims[GC_MAX_RANK];
    GC_TRY(gc_op_check_first_grad(call, input_grads));
    GC_TRY(resolve(call, true, &window, &groups, dims));
    const geometry g = make_geometry(&window, groups, output_grads[0], input_grads[0]);
    gather(&g, gc_floats(output_grads[0]), gc_floats(call->inputs[1]), NULL,
           gc_floats(input_grads[0]));
    return GRADCAM_OK;
}

const gc_op gc_op_Conv = {
    .name = "Conv",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_PARAMETERS,
    .infer = infer_conv,
    .forward = forward_conv,
    .backward = backward_conv,
};

const gc_op gc_op_ConvTranspose = {
    .name = "ConvTranspose",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_PARAMETERS,
    .infer = infer_transposed,
    .forward = forward_transposed,
    .backward = backward_transposed,
};
