/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear, and FakeQuantize: the first two in one,
 * which the passes make of a pair.
 *
 *   q = saturate(round(x / scale) + zero_point)      halves to the even neighbour
 *   x = (q - zero_point) * scale
 *
 * Quantised activations are carried as float32 that holds whole numbers, so that gradients flow
 * through whatever stands between the two. Gradients are straight-through (Jacob et al. 2018,
 * "Quantization and Training of Neural Networks"; PyTorch's fake_quantize): rounding counts as the
 * identity, values that saturate get 0, scales and zero points count as constants.
 *
 * Scale and zero point: one for all, one for each index along `axis`, or, with block_size, one for
 * each block of so many indices along it.
 */
#include <string.h>

#include "ops/check.h"

/* Element (o, a, i) of outer x extent x inner has parameter
 *   0                                     one for all
 *   a                                     one for each index
 *   (o * blocks + a / block) * inner + i  one for each block */
typedef struct layout {
    int64_t outer, extent, inner;
    int64_t block, blocks; /**< block 0: not blocked. */
} layout;

typedef struct range {
    float low, high;
} range;

static bool is_one(const gc_tensor *parameter)
{
    return gc_tensor_count(parameter) == 1;
}

/* ---- Checks --------------------------------------------------------------------------------- */

static gradcam_status fail_extents(const gc_call *call, int index)
{
    char a[GC_SHAPE_TEXT], b[GC_SHAPE_TEXT];
    return gc_op_fail(
        call, GRADCAM_ERROR_SHAPE,
        "input %d of shape %s does not fit input 0 of shape %s: expected one element, "
        "one for each index along the axis, or one for each block",
        index, gc_shape_text(call->inputs[index], a), gc_shape_text(call->inputs[0], b));
}

static gradcam_status find_axis(const gc_call *call, int *axis)
{
    /* Per-tensor parameters need no axis, and x may be of rank 0 or 1. */
    bool all_single = true;
    for (int i = 1; i < 3; i++)
        all_single &= !gc_op_has(call, i) || is_one(call->inputs[i]);
    *axis = 0;
    if (all_single && gc_attr_int(call->node, "block_size", 0) == 0)
        return GRADCAM_OK;
    return gc_op_axis(call, gc_attr_int(call->node, "axis", 1), call->inputs[0]->rank, axis);
}

static bool fits(const gc_tensor *x, const gc_tensor *parameter, int axis, const layout *l)
{
    if (l->block == 0)
        return is_one(parameter) || (parameter->rank == 1 && parameter->dims[0] == l->extent);
    if (parameter->rank != x->rank)
        return false;
    for (int i = 0; i < x->rank; i++)
        if (parameter->dims[i] != (i == axis ? l->blocks : x->dims[i]))
            return false;
    return true;
}

static gradcam_status make_layout(const gc_call *call, layout *l)
{
    const gc_tensor *const x = call->inputs[0];
    const int64_t block = gc_attr_int(call->node, "block_size", 0);
    int axis = 0;
    GC_TRY(find_axis(call, &axis));
    if (block < 0)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "block_size is %lld", (long long)block);
    *l = (layout){.outer = 1, .extent = 1, .inner = 1, .block = block};
    for (int i = 0; i < x->rank; i++)
        *(i < axis ? &l->outer : i == axis ? &l->extent : &l->inner) *= x->dims[i];
    l->blocks = block > 0 ? (l->extent + block - 1) / block : 0;
    for (int i = 1; i < 3; i++)
        if (gc_op_has(call, i) && !fits(x, call->inputs[i], axis, l))
            return fail_extents(call, i);
    return GRADCAM_OK;
}

/* The type that is quantised to: that of the zero point, else as output_dtype says, else uint8. */
static gradcam_status find_range(const gc_call *call, range *r)
{
    int64_t type = gc_attr_int(call->node, "output_dtype", GC_UNDEFINED);
    if (gc_op_has(call, 2) && !gc_dtype_is_float(call->inputs[2]->dtype))
        type = (int64_t)call->inputs[2]->dtype;
    switch (type == GC_UNDEFINED ? GC_UINT8 : type) {
    case GC_UINT8:
        *r = (range){0.0f, 255.0f};
        return GRADCAM_OK;
    case GC_INT8:
        *r = (range){-128.0f, 127.0f};
        return GRADCAM_OK;
    case GC_UINT16:
        *r = (range){0.0f, 65535.0f};
        return GRADCAM_OK;
    case GC_INT16:
        *r = (range){-32768.0f, 32767.0f};
        return GRADCAM_OK;
    default:
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                          "quantises to type %lld; int8, uint8, int16 and uint16 are supported",
                          (long long)type);
    }
}

static gradcam_status check_scale(const gc_call *call)
{
    layout l;
    GC_TRY(gc_check_float(call, 1));
    return make_layout(call, &l);
}

/* The result is float32 whatever the type of x: quantised values are carried so. */
static void describe_float(const gc_call *call)
{
    gc_tensor_describe(call->outputs[0], GC_FLOAT32, call->inputs[0]->rank, call->inputs[0]->dims);
}

/* ---- Loops ---------------------------------------------------------------------------------- */

static float number(const gc_tensor *tensor, int64_t i)
{
    return gc_dtype_is_float(tensor->dtype) ? gc_floats(tensor)[i] : (float)gc_ints(tensor)[i];
}

static float zero_point(const gc_call *call, int64_t i)
{
    if (!gc_op_has(call, 2))
        return 0.0f;
    return number(call->inputs[2], is_one(call->inputs[2]) ? 0 : i);
}

static float scale_of(const gc_call *call, int64_t i)
{
    return gc_floats(call->inputs[1])[is_one(call->inputs[1]) ? 0 : i];
}

typedef struct parameters {
    float scale, zero;
    range range;
} parameters;

/* A run of elements with the same parameters. */
typedef void run_function(const gc_call *call, const gc_tensor *const *grads, parameters p,
                          int64_t start, int64_t count);

static void run_blocked(const gc_call *call, const gc_tensor *const *grads, const layout *l,
                        range r, run_function *function)
{
    for (int64_t at = 0; at < l->outer * l->extent * l->inner; at++) {
        const int64_t a = at / l->inner % l->extent, o = at / (l->inner * l->extent);
        const int64_t i = (o * l->blocks + a / l->block) * l->inner + at % l->inner;
        function(call, grads, (parameters){scale_of(call, i), zero_point(call, i), r}, at, 1);
    }
}

/* Calls function for every run; in blocked layouts, where only one parameter for all is possible,
 * extents are physical ones. */
static gradcam_status run_all(const gc_call *call, const gc_tensor *const *grads, range r,
                              run_function *function)
{
    const bool is_single =
        is_one(call->inputs[1]) && (!gc_op_has(call, 2) || is_one(call->inputs[2]));
    const int64_t count = gc_tensor_count(call->inputs[0]);
    if (is_single) {
        enum { CHUNK = 1 << 14 };
        const parameters p = {scale_of(call, 0), zero_point(call, 0), r};
#pragma omp parallel for schedule(static) if (count > GC_PARALLEL_ELEMENTS)
        for (int64_t start = 0; start < count; start += CHUNK)
            function(call, grads, p, start, count - start < CHUNK ? count - start : CHUNK);
        return GRADCAM_OK;
    }
    layout l;
    GC_TRY(make_layout(call, &l));
    if (l.block > 0)
        run_blocked(call, grads, &l, r, function);
    for (int64_t row = 0; l.block == 0 && row < l.outer * l.extent; row++) {
        const int64_t a = row % l.extent;
        function(call, grads, (parameters){scale_of(call, a), zero_point(call, a), r},
                 row * l.inner, l.inner);
    }
    return GRADCAM_OK;
}

static inline float between(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

/* To the nearest whole number, halves to the even one, for magnitudes below 2^22: adding 1.5 * 2^23
 * leaves no bits for a fraction. Unlike rintf, loops of it are vectorised on every processor. */
static inline float nearest(float x)
{
    return (x + 0x1.8p23f) - 0x1.8p23f;
}

/* Before it saturates, but never far outside the range. */
static inline float unsaturated(float x, parameters p)
{
    const float low = p.range.low - p.zero - 1.0f, high = p.range.high - p.zero + 1.0f;
    return nearest(between(x / p.scale, low, high)) + p.zero;
}

static inline float quantized(float x, parameters p)
{
    return between(unsaturated(x, p), p.range.low, p.range.high);
}

static inline bool saturates(float x, parameters p)
{
    const float q = unsaturated(x, p);
    return !(q >= p.range.low && q <= p.range.high);
}

/* Scales count as constants. */
static void clear_parameter_grads(const gc_call *call, gc_tensor *const *input_grads)
{
    for (int i = 1; i < call->input_count; i++)
        if (input_grads[i] != NULL)
            memset(input_grads[i]->data, 0, gc_tensor_bytes(input_grads[i]));
}

/* ---- QuantizeLinear ------------------------------------------------------------------------- */

static gradcam_status quantize_infer(const gc_call *call)
{
    range r;
    GC_TRY(check_scale(call));
    GC_TRY(find_range(call, &r));
    describe_float(call);
    return GRADCAM_OK;
}

static void quantize_run(const gc_call *call, const gc_tensor *const *grads, parameters p,
                         int64_t start, int64_t count)
{
    (void)grads;
    float *const y = gc_floats(call->outputs[0]) + start;
    if (!gc_dtype_is_float(call->inputs[0]->dtype)) {
        for (int64_t i = 0; i < count; i++)
            y[i] = quantized((float)gc_ints(call->inputs[0])[start + i], p);
        return;
    }
    const float *const x = gc_floats(call->inputs[0]) + start;
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        y[i] = quantized(x[i], p);
}

static gradcam_status quantize_forward(const gc_call *call)
{
    range r;
    GC_TRY(find_range(call, &r));
    return run_all(call, NULL, r, quantize_run);
}

/* grads: of the output, of the input. */
static void quantize_back(const gc_call *call, const gc_tensor *const *grads, parameters p,
                          int64_t start, int64_t count)
{
    const float *const x = gc_floats(call->inputs[0]) + start;
    const float *const gy = gc_floats(grads[0]) + start;
    float *const gx = gc_floats(grads[1]) + start;
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        gx[i] = saturates(x[i], p) ? 0.0f : gy[i] / p.scale;
}

static gradcam_status back_through(const gc_call *call, const gc_tensor *const *output_grads,
                                   gc_tensor *const *input_grads, bool has_range,
                                   run_function *function)
{
    range r = {0.0f, 0.0f};
    clear_parameter_grads(call, input_grads);
    if (input_grads[0] == NULL)
        return GRADCAM_OK;
    if (has_range)
        GC_TRY(find_range(call, &r));
    const gc_tensor *const grads[] = {output_grads[0], input_grads[0]};
    return run_all(call, grads, r, function);
}

static gradcam_status quantize_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                        gc_tensor *const *input_grads)
{
    return back_through(call, output_grads, input_grads, true, quantize_back);
}

const gc_op gc_op_QuantizeLinear = {
    .name = "QuantizeLinear",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_ELEMENTWISE,
    .backward_reads = GC_READS_INPUTS,
    .is_in_place = true,
    .infer = quantize_infer,
    .forward = quantize_forward,
    .backward = quantize_backward,
};

/* ---- DequantizeLinear ----------------------------------------------------------------------- */

static gradcam_status dequantize_infer(const gc_call *call)
{
    GC_TRY(check_scale(call));
    describe_float(call);
    return GRADCAM_OK;
}

static void dequantize_run(const gc_call *call, const gc_tensor *const *grads, parameters p,
                           int64_t start, int64_t count)
{
    (void)grads;
    float *const y = gc_floats(call->outputs[0]) + start;
    if (gc_dtype_is_float(call->inputs[0]->dtype)) {
        const float *const q = gc_floats(call->inputs[0]) + start;
#pragma omp simd
        for (int64_t i = 0; i < count; i++)
            y[i] = (q[i] - p.zero) * p.scale;
        return;
    }
    const int64_t *const q = gc_ints(call->inputs[0]) + start;
    const int64_t zero = (int64_t)p.zero;
    for (int64_t i = 0; i < count; i++)
        y[i] = (float)(q[i] - zero) * p.scale;
}

static gradcam_status dequantize_forward(const gc_call *call)
{
    return run_all(call, NULL, (range){0.0f, 0.0f}, dequantize_run);
}

static void dequantize_back(const gc_call *call, const gc_tensor *const *grads, parameters p,
                            int64_t start, int64_t count)
{
    (void)call;
    const float *const gy = gc_floats(grads[0]) + start;
    float *const gx = gc_floats(grads[1]) + start;
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        gx[i] = gy[i] * p.scale;
}

static gradcam_status dequantize_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                          gc_tensor *const *input_grads)
{
    return back_through(call, output_grads, input_grads, false, dequantize_back);
}

const gc_op gc_op_DequantizeLinear = {
    .name = "DequantizeLinear",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_ELEMENTWISE,
    .backward_reads = GC_READS_PARAMETERS,
    .is_in_place = true,
    .infer = dequantize_infer,
    .forward = dequantize_forward,
    .backward = dequantize_backward,
};

/* ---- FakeQuantize: DequantizeLinear(QuantizeLinear(x)) --------------------------------------- */

static void fake_run(const gc_call *call, const gc_tensor *const *grads, parameters p,
                     int64_t start, int64_t count)
{
    (void)grads;
    const float *const x = gc_floats(call->inputs[0]) + start;
    float *const y = gc_floats(call->outputs[0]) + start;
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        y[i] = (quantized(x[i], p) - p.zero) * p.scale;
}

static gradcam_status fake_infer(const gc_call *call)
{
    GC_TRY(gc_check_float(call, 0));
    return quantize_infer(call);
}

static gradcam_status fake_forward(const gc_call *call)
{
    range r;
    GC_TRY(find_range(call, &r));
    return run_all(call, NULL, r, fake_run);
}

static void fake_back(const gc_call *call, const gc_tensor *const *grads, parameters p,
                      int64_t start, int64_t count)
{
    const float *const x = gc_floats(call->inputs[0]) + start;
    const float *const gy = gc_floats(grads[0]) + start;
    float *const gx = gc_floats(grads[1]) + start;
#pragma omp simd
    for (int64_t i = 0; i < count; i++)
        gx[i] = saturates(x[i], p) ? 0.0f : gy[i];
}

static gradcam_status fake_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                    gc_tensor *const *input_grads)
{
    return back_through(call, output_grads, input_grads, true, fake_back);
}

const gc_op gc_op_FakeQuantize = {
    .name = "FakeQuantize",
    .domain = "gradcam",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_ELEMENTWISE,
    .backward_reads = GC_READS_INPUTS,
    .is_in_place = true,
    .infer = fake_infer,
    .forward = fake_forward,
    .backward = fake_backward,
};

/* ---- DynamicQuantizeLinear: to uint8, with the range of the data and 0 ----------------------- */

static gradcam_status dynamic_infer(const gc_call *call)
{
    GC_TRY(gc_check_float(call, 0));
    describe_float(call);
    if (gc_op_gives(call, 1))
        gc_tensor_describe(call->outputs[1], GC_FLOAT32, 0, NULL);
    if (gc_op_gives(call, 2))
        gc_tensor_describe(call->outputs[2], GC_UINT8, 0, NULL);
    return GRADCAM_OK;
}

static parameters dynamic_parameters(const gc_tensor *x)
{
    const int64_t count = gc_tensor_count(x);
    float low = 0.0f, high = 0.0f;
    for (int64_t i = 0; i < count; i++) {
        const float value = gc_floats(x)[i];
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    const float scale = high > low ? (high - low) / 255.0f : 1.0f;
    const float zero = nearest(between(-low / scale, 0.0f, 255.0f));
    return (parameters){scale, zero, {0.0f, 255.0f}};
}

static gradcam_status dynamic_forward(const gc_call *call)
{
    const parameters p = dynamic_parameters(call->inputs[0]);
    quantize_run(call, NULL, p, 0, gc_tensor_count(call->inputs[0]));
    if (gc_op_gives(call, 1))
        gc_floats(call->outputs[1])[0] = p.scale;
    if (gc_op_gives(call, 2))
        gc_ints(call->outputs[2])[0] = (int64_t)p.zero;
    return GRADCAM_OK;
}

/* Nothing saturates. */
static gradcam_status dynamic_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                       gc_tensor *const *input_grads)
{
    const parameters p = dynamic_parameters(call->inputs[0]);
    const int64_t count = gc_tensor_count(input_grads[0]);
    float *const gx = gc_floats(input_grads[0]);
    for (int64_t i = 0; i < count; i++)
        gx[i] = output_grads[0] != NULL ? gc_floats(output_grads[0])[i] / p.scale : 0.0f;
    return GRADCAM_OK;
}

const gc_op gc_op_DynamicQuantizeLinear = {
    .name = "DynamicQuantizeLinear",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 3,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS,
    .infer = dynamic_infer,
    .forward = dynamic_forward,
    .backward = dynamic_backward,
};
