/* SPDX-License-Identifier: Apache-2.0 */
/* DepthToSpace and SpaceToDepth: blocks of b x b pixels against b*b channels. */
#include <string.h>

#include "ops/check.h"
#include "ops/strided.h"

/*
 * The copy from the deep form [N, C*b*b, H, W] to the wide one [N, C, H*b, W*b], over the axes
 * N, C, H, by, W, bx. Channels are ordered (by, bx, C) in mode DCR, (C, by, bx) in CRD.
 */
static gc_strided block_view(const gc_tensor *deep, int64_t b, bool is_crd)
{
    const int64_t n = deep->dims[0], c = deep->dims[1] / (b * b);
    const int64_t h = deep->dims[2], w = deep->dims[3];
    const int64_t plane = h * w, wide = w * b;
    const int64_t step_c = is_crd ? b * b * plane : plane;
    const int64_t step_x = is_crd ? plane : c * plane;
    gc_strided view = {0};
    gc_strided_axis(&view, n, c * b * b * plane, c * b * b * plane);
    gc_strided_axis(&view, c, step_c, b * b * plane);
    gc_strided_axis(&view, h, w, b * wide);
    gc_strided_axis(&view, b, b * step_x, wide);
    gc_strided_axis(&view, w, 1, b);
    gc_strided_axis(&view, b, step_x, 1);
    return view;
}

static gradcam_status block_size(const gc_call *call, int64_t *b)
{
    *b = gc_attr_int(call->node, "blocksize", 0);
    if (call->inputs[0]->rank != 4)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "the input must be of rank 4, found %d",
                          call->inputs[0]->rank);
    if (*b < 1 || *b > 1 << 15)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "blocksize is %lld", (long long)*b);
    return GRADCAM_OK;
}

static bool is_crd(const gc_call *call)
{
    return strcmp(gc_attr_string(call->node, "mode", "DCR"), "CRD") == 0;
}

static gradcam_status fail_division(const gc_call *call, int64_t b)
{
    char text[GC_SHAPE_TEXT];
    return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "%s is not divisible by blocks of %lld",
                      gc_shape_text(call->inputs[0], text), (long long)b);
}

static gradcam_status depth_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    const char *const mode = gc_attr_string(call->node, "mode", "DCR");
    int64_t b = 0;
    GC_TRY(block_size(call, &b));
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "mode '%s' is not DCR or CRD", mode);
    if (x->dims[1] % (b * b) != 0)
        return fail_division(call, b);
    const int64_t dims[] = {x->dims[0], x->dims[1] / (b * b), x->dims[2] * b, x->dims[3] * b};
    gc_tensor_describe(call->outputs[0], x->dtype, 4, dims);
    return gc_check_output(call, 0);
}

static gradcam_status space_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    int64_t b = 0;
    GC_TRY(block_size(call, &b));
    if (x->dims[2] % b != 0 || x->dims[3] % b != 0)
        return fail_division(call, b);
    const int64_t dims[] = {x->dims[0], x->dims[1] * b * b, x->dims[2] / b, x->dims[3] / b};
    gc_tensor_describe(call->outputs[0], x->dtype, 4, dims);
    return gc_check_output(call, 0);
}

/* Copies one form to the other. */
static gradcam_status copy(const gc_call *call, const gc_tensor *from, const gc_tensor *to,
                           bool from_deep)
{
    int64_t b = 0;
    GC_TRY(block_size(call, &b));
    gc_strided view = block_view(from_deep ? from : to, b, is_crd(call));
    if (!from_deep)
        view = gc_strided_reversed(&view);
    gc_strided_copy(&view, from->data, to->data, gc_dtype_is_float(from->dtype));
    return GRADCAM_OK;
}

#define ROW(NAME, INFER, from_deep)                                                                \
    static gradcam_status NAME##_forward(const gc_call *call)                                      \
    {                                                                                              \
        return copy(call, call->inputs[0], call->outputs[0], from_deep);                           \
    }                                                                                              \
    static gradcam_status NAME##_backward(                                                         \
        const gc_call *call, const gc_tensor *const *output_grads, gc_tensor *const *input_grads)  \
    {                                                                                              \
        return copy(call, output_grads[0], input_grads[0], !(from_deep));                          \
    }                                                                                              \
    const gc_op gc_op_##NAME = {                                                                   \
        .name = #NAME,                                                                             \
        .domain = "",                                                                              \
        .since = 1,                                                                                \
        .min_inputs = 1,                                                                           \
        .max_inputs = 1,                                                                           \
        .max_outputs = 1,                                                                          \
        .layouts = GC_OP_PLAIN,                                                                    \
        .infer = INFER,                                                                            \
        .forward = NAME##_forward,                                                                 \
        .backward = NAME##_backward,                                                               \
    }

ROW(DepthToSpace, depth_infer, true);
ROW(SpaceToDepth, space_infer, false);
