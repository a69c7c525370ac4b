/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activation functions. Where a function has a kink, the gradient there is PyTorch's. Those that
 * could take their slope from the output only while alpha has the usual sign take it from the
 * input, which is right for any.
 */
#include <math.h>
#include <string.h>

#include "ops/map.h"

static inline float sigmoid(float x, gc_map_params p)
{
    (void)p;
    return 1.0f / (1.0f + expf(-x));
}

static inline float sigmoid_slope(float y, gc_map_params p)
{
    (void)p;
    return y * (1.0f - y);
}

GC_MAP(Sigmoid, GC_READS_OUTPUTS, GC_MAP_NO_PARAMS, sigmoid, sigmoid_slope);

static inline float tangent(float x, gc_map_params p)
{
    (void)p;
    return tanhf(x);
}

static inline float tangent_slope(float y, gc_map_params p)
{
    (void)p;
    return 1.0f - y * y;
}

GC_MAP(Tanh, GC_READS_OUTPUTS, GC_MAP_NO_PARAMS, tangent, tangent_slope);

static inline float hard_sigmoid(float x, gc_map_params p)
{
    const float y = p.alpha * x + p.beta;
    return y < 0.0f ? 0.0f : y > 1.0f ? 1.0f : y;
}

static inline float hard_sigmoid_slope(float y, gc_map_params p)
{
    return y > 0.0f && y < 1.0f ? p.alpha : 0.0f;
}

GC_MAP(HardSigmoid, GC_READS_OUTPUTS, gc_map_read(node, "alpha", 0.2f, "beta", 0.5f), hard_sigmoid,
       hard_sigmoid_slope);

static inline float hard_swish(float x, gc_map_params p)
{
    (void)p;
    const float gate = x + 3.0f;
    return x * (gate < 0.0f ? 0.0f : gate > 6.0f ? 6.0f : gate) / 6.0f;
}

static inline float hard_swish_slope(float x, gc_map_params p)
{
    (void)p;
    return x < -3.0f ? 0.0f : x < 3.0f ? x / 3.0f + 0.5f : 1.0f;
}

GC_MAP(HardSwish, GC_READS_INPUTS, GC_MAP_NO_PARAMS, hard_swish, hard_swish_slope);

static inline float leaky_relu(float x, gc_map_params p)
{
    return x > 0.0f ? x : p.alpha * x;
}

static inline float leaky_relu_slope(float x, gc_map_params p)
{
    return x > 0.0f ? 1.0f : p.alpha;
}

GC_MAP(LeakyRelu, GC_READS_INPUTS, gc_map_read(node, "alpha", 0.01f, NULL, 0.0f), leaky_relu,
       leaky_relu_slope);

static inline float elu(float x, gc_map_params p)
{
    return x > 0.0f ? x : p.alpha * expm1f(x);
}

static inline float elu_slope(float x, gc_map_params p)
{
    return x > 0.0f ? 1.0f : p.alpha * expf(x);
}

GC_MAP(Elu, GC_READS_INPUTS, gc_map_read(node, "alpha", 1.0f, NULL, 0.0f), elu, elu_slope);

static inline float selu(float x, gc_map_params p)
{
    return p.beta * elu(x, p);
}

static inline float selu_slope(float x, gc_map_params p)
{
    return p.beta * elu_slope(x, p);
}

GC_MAP(Selu, GC_READS_INPUTS,
       gc_map_read(node, "alpha", 1.67326319217681884765625f, "gamma", 1.05070102214813232421875f),
       selu, selu_slope);

static inline float celu(float x, gc_map_params p)
{
    return x > 0.0f ? x : p.alpha * expm1f(x / p.alpha);
}

static inline float celu_slope(float x, gc_map_params p)
{
    return x > 0.0f ? 1.0f : expf(x / p.alpha);
}

GC_MAP(Celu, GC_READS_INPUTS, gc_map_read(node, "alpha", 1.0f, NULL, 0.0f), celu, celu_slope);

static inline float softplus(float x, gc_map_params p)
{
    (void)p;
    return (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x)));
}

/* The sigmoid of x is 1 - exp(-y). */
static inline float softplus_slope(float y, gc_map_params p)
{
    (void)p;
    return -expm1f(-y);
}

GC_MAP(Softplus, GC_READS_OUTPUTS, GC_MAP_NO_PARAMS, softplus, softplus_slope);

static inline float softsign(float x, gc_map_params p)
{
    (void)p;
    return x / (1.0f + fabsf(x));
}

static inline float softsign_slope(float x, gc_map_params p)
{
    (void)p;
    const float d = 1.0f + fabsf(x);
    return 1.0f / (d * d);
}

GC_MAP(Softsign, GC_READS_INPUTS, GC_MAP_NO_PARAMS, softsign, softsign_slope);

static inline float thresholded_relu(float x, gc_map_params p)
{
    return x > p.alpha ? x : 0.0f;
}

static inline float thresholded_relu_slope(float x, gc_map_params p)
{
    return x > p.alpha ? 1.0f : 0.0f;
}

GC_MAP(ThresholdedRelu, GC_READS_INPUTS, gc_map_read(node, "alpha", 1.0f, NULL, 0.0f),
       thresholded_relu, thresholded_relu_slope);

/* alpha is lambd, beta is bias. */
static inline float shrink(float x, gc_map_params p)
{
    return x < -p.alpha ? x + p.beta : x > p.alpha ? x - p.beta : 0.0f;
}

static inline float shrink_slope(float x, gc_map_params p)
{
    return x < -p.alpha || x > p.alpha ? 1.0f : 0.0f;
}

GC_MAP(Shrink, GC_READS_INPUTS, gc_map_read(node, "lambd", 0.5f, "bias", 0.0f), shrink,
       shrink_slope);

static inline float mish(float x, gc_map_params p)
{
    return x * tanhf(softplus(x, p));
}

static inline float mish_slope(float x, gc_map_params p)
{
    const float t = tanhf(softplus(x, p));
    return t + x * (1.0f - t * t) * sigmoid(x, p);
}

GC_MAP(Mish, GC_READS_INPUTS, GC_MAP_NO_PARAMS, mish, mish_slope);

/* ---- Gelu ----------------------------------------------------------------------------------- */

static const float sqrt_half = 0.70710678118654752440f;      /* 1 / sqrt(2) */
static const float normal_density = 0.39894228040143267794f; /* 1 / sqrt(2 pi) */
static const float tanh_scale = 0.79788456080286535588f;     /* sqrt(2 / pi) */
static const float tanh_cubic = 0.044715f;

static inline float gelu_erf(float x, gc_map_params p)
{
    (void)p;
    return 0.5f * x * (1.0f + erff(x * sqrt_half));
}

static inline float gelu_erf_slope(float x, gc_map_params p)
{
    (void)p;
    return 0.5f * (1.0f + erff(x * sqrt_half)) + x * normal_density * expf(-0.5f * x * x);
}

static inline float gelu_tanh(float x, gc_map_params p)
{
    (void)p;
    return 0.5f * x * (1.0f + tanhf(tanh_scale * (x + tanh_cubic * x * x * x)));
}

static inline float gelu_tanh_slope(float x, gc_map_params p)
{
    (void)p;
    const float t = tanhf(tanh_scale * (x + tanh_cubic * x * x * x));
    const float inner = tanh_scale * (1.0f + 3.0f * tanh_cubic * x * x);
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * inner;
}

GC_MAP_KERNELS(gelu_erf, GC_READS_INPUTS, GC_MAP_NO_PARAMS, gelu_erf, gelu_erf_slope)
GC_MAP_KERNELS(gelu_tanh, GC_READS_INPUTS, GC_MAP_NO_PARAMS, gelu_tanh, gelu_tanh_slope)

static bool is_tanh(const gc_call *call)
{
    return strcmp(gc_attr_string(call->node, "approximate", "none"), "tanh") == 0;
}

static gradcam_status gelu_infer(const gc_call *call)
{
    const char *const approximate = gc_attr_string(call->node, "approximate", "none");
    if (strcmp(approximate, "none") != 0 && strcmp(approximate, "tanh") != 0)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "approximate '%s' is not none or tanh",
                          approximate);
    return gc_map_infer_float(call);
}

static gradcam_status gelu_forward(const gc_call *call)
{
    return is_tanh(call) ? gelu_tanh_forward(call) : gelu_erf_forward(call);
}

static gradcam_status Gelu_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                    gc_tensor *const *input_grads)
{
    return is_tanh(call) ? gelu_tanh_backward(call, output_grads, input_grads)
                         : gelu_erf_backward(call, output_grads, input_grads);
}

GC_MAP_ROW_WITH(Gelu, GC_READS_INPUTS, gelu_infer, gelu_forward);
