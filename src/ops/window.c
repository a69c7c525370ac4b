/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/window.h"

#include <string.h>

typedef enum auto_pad { NOTSET, SAME_UPPER, SAME_LOWER, VALID } auto_pad;

static gradcam_status read_auto_pad(const gc_call *call, auto_pad *mode)
{
    static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
    const char *const name = gc_attr_string(call->node, "auto_pad", "NOTSET");
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) {
            *mode = (auto_pad)i;
            return GRADCAM_OK;
        }
    return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                      "auto_pad is '%s', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", name);
}

/* An attribute of `count` integers in [least, INT32_MAX], so that products of two stay in range;
 * `values` stays as it is where the attribute is missing. */
static gradcam_status read_ints(const gc_call *call, const char *name, size_t count, int64_t least,
                                int64_t *values)
{
    size_t found = 0;
    const int64_t *const ints = gc_attr_ints(call->node, name, &found);
    if (found == 0)
        return GRADCAM_OK;
    if (found != count)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%s has %zu entries, expected %zu", name,
                          found, count);
    for (size_t i = 0; i < count; i++) {
        if (ints[i] < least || ints[i] > INT32_MAX)
            return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%s holds %lld, expected at least %lld",
                              name, (long long)ints[i], (long long)least);
        values[i] = ints[i];
    }
    return GRADCAM_OK;
}

static gradcam_status check_input(const gc_call *call, const gc_tensor *input)
{
    if (input->rank < 3 || input->rank > 2 + GC_MAX_SPATIAL)
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                          "input of rank %d, expected N, C and 1 to 3 spatial axes", input->rank);
    for (int i = 2; i < input->rank; i++)
        if (input->dims[i] < 1 || input->dims[i] > INT32_MAX) {
            char text[GC_SHAPE_TEXT];
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "input of shape %s has no spatial extent",
                              gc_shape_text(input, text));
        }
    return GRADCAM_OK;
}

static gradcam_status read_kernel(const gc_call *call, const int64_t *kernel, gc_window *window)
{
    int64_t extents[GC_MAX_SPATIAL] = {0};
    GC_TRY(read_ints(call, "kernel_shape", (size_t)window->spatial, 1, extents));
    if (kernel == NULL && extents[0] == 0)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "kernel_shape is missing");
    for (int a = 0; a < window->spatial; a++) {
        window->kernel[a] = kernel == NULL ? extents[a] : kernel[a];
        if (kernel != NULL && (kernel[a] < 1 || kernel[a] > INT32_MAX))
            return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                              "weights have a spatial extent of %lld, expected at least 1",
                              (long long)kernel[a]);
        if (kernel != NULL && extents[0] != 0 && extents[a] != kernel[a])
            return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                              "kernel_shape holds %lld, but the weights have extent %lld",
                              (long long)extents[a], (long long)kernel[a]);
    }
    return GRADCAM_OK;
}

static gradcam_status read_window(const gc_call *call, const gc_tensor *input,
                                  const int64_t *kernel, gc_window *window, auto_pad *mode)
{
    GC_TRY(check_input(call, input));
    *window = (gc_window){input->rank - 2, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0}, {0}};
    const size_t spatial = (size_t)window->spatial;
    int64_t pads[2 * GC_MAX_SPATIAL] = {0};
    GC_TRY(read_kernel(call, kernel, window));
    GC_TRY(read_ints(call, "strides", spatial, 1, window->stride));
    GC_TRY(read_ints(call, "dilations", spatial, 1, window->dilation));
    GC_TRY(read_auto_pad(call, mode));
    if (*mode != NOTSET) /* then pads, which some exporters still write, do not count */
        return GRADCAM_OK;
    GC_TRY(read_ints(call, "pads", 2 * spatial, 0, pads));
    memcpy(window->pad_begin, pads, spatial * sizeof *pads);
    memcpy(window->pad_end, pads + spatial, spatial * sizeof *pads);
    return GRADCAM_OK;
}

static int64_t reach(const gc_window *window, int axis)
{
    return (window->kernel[axis] - 1) * window->dilation[axis] + 1;
}

static void distribute(gc_window *window, int axis, int64_t total, auto_pad mode)
{
    const int64_t half = total / 2;
    window->pad_begin[axis] = mode == SAME_UPPER ? half : total - half;
    window->pad_end[axis] = total - window->pad_begin[axis];
}

static void resolve_same(gc_window *window, int axis, int64_t in, auto_pad mode, int64_t *out)
{
    const int64_t stride = window->stride[axis];
    *out = (in + stride - 1) / stride;
    const int64_t total = (*out - 1) * stride + reach(window, axis) - in;
    distribute(window, axis, total > 0 ? total : 0, mode);
}

static gradcam_status resolve_axis(const gc_call *call, const gc_window *window, int axis,
                                   int64_t in, bool ceil_mode, int64_t *out)
{
    const int64_t stride = window->stride[axis];
    const int64_t padded = in + window->pad_begin[axis] + window->pad_end[axis];
    const int64_t room = padded - reach(window, axis) + (ceil_mode ? stride - 1 : 0);
    if (room < 0)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                          "a window of %lld (with dilation) does not fit into %lld (spatial axis "
                          "%d with padding)",
                          (long long)reach(window, axis), (long long)padded, axis);
    *out = room / stride + 1;
    if (ceil_mode && (*out - 1) * stride >= in + window->pad_begin[axis])
        (*out)--;
    return GRADCAM_OK;
}

gradcam_status gc_window_resolve(const gc_call *call, const gc_tensor *input, const int64_t *kernel,
                                 gc_window *window, int64_t *out_dims)
{
    auto_pad mode = NOTSET;
    GC_TRY(read_window(call, input, kernel, window, &mode));
    const bool is_ceil =
        kernel == NULL && mode == NOTSET && gc_attr_int(call->node, "ceil_mode", 0) != 0;
    for (int a = 0; a < window->spatial; a++) {
        const int64_t in = input->dims[2 + a];
        if (mode == SAME_UPPER || mode == SAME_LOWER)
            resolve_same(window, a, in, mode, &out_dims[a]);
        else
            GC_TRY(resolve_axis(call, window, a, in, is_ceil, &out_dims[a]));
    }
    return GRADCAM_OK;
}

gradcam_status gc_window_resolve_transposed(const gc_call *call, const gc_tensor *input,
                                            const int64_t *kernel, gc_window *window,
                                            int64_t *out_dims)
{
    auto_pad mode = NOTSET;
    GC_TRY(read_window(call, input, kernel, window, &mode));
    const size_t spatial = (size_t)window->spatial;
    int64_t extra[GC_MAX_SPATIAL] = {0}, wanted[GC_MAX_SPATIAL] = {0};
    GC_TRY(read_ints(call, "output_padding", spatial, 0, extra));
    GC_TRY(read_ints(call, "output_shape", spatial, 1, wanted));
    for (int a = 0; a < window->spatial; a++) {
        const int64_t in = input->dims[2 + a], stride = window->stride[a];
        const int64_t full = (in - 1) * stride + extra[a] + reach(window, a);
        if (wanted[a] == 0 && (mode == SAME_UPPER || mode == SAME_LOWER))
            wanted[a] = in * stride;
        if (wanted[a] != 0)
            distribute(window, a, full > wanted[a] ? full - wanted[a] : 0, mode);
        out_dims[a] = wanted[a] != 0 ? wanted[a] : full - window->pad_begin[a] - window->pad_end[a];
        if (out_dims[a] < 1)
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                              "pads cut spatial axis %d down to %lld, expected at least 1", a,
                              (long long)out_dims[a]);
    }
    return GRADCAM_OK;
}

gc_window gc_window_3d(const gc_window *window)
{
    gc_window w = {GC_MAX_SPATIAL, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, {0}, {0}};
    const int shift = GC_MAX_SPATIAL - window->spatial;
    for (int a = 0; a < window->spatial; a++) {
        w.kernel[shift + a] = window->kernel[a];
        w.stride[shift + a] = window->stride[a];
        w.dilation[shift + a] = window->dilation[a];
        w.pad_begin[shift + a] = window->pad_begin[a];
        w.pad_end[shift + a] = window->pad_end[a];
    }
    return w;
}

void gc_extents_3d(const gc_tensor *tensor, int64_t extents[GC_MAX_SPATIAL])
{
    const int missing = 2 + GC_MAX_SPATIAL - tensor->rank;
    for (int a = 0; a < GC_MAX_SPATIAL; a++)
        extents[a] = a < missing ? 1 : tensor->dims[2 + a - missing];
}

gc_range gc_window_outputs(const gc_window *window, int axis, int64_t k, int64_t in, int64_t out)
{
    const int64_t stride = window->stride[axis];
    const int64_t offset = k * window->dilation[axis] - window->pad_begin[axis];
    gc_range range = {offset >= 0 ? 0 : (-offset + stride - 1) / stride, 0};
    if (offset < in)
        range.end = (in - 1 - offset) / stride + 1;
    if (range.end > out)
        range.end = out;
    return range;
}

gc_range gc_window_taps(const gc_window *window, int axis, int64_t o, int64_t low, int64_t high)
{
    const int64_t dilation = window->dilation[axis];
    const int64_t start = o * window->stride[axis] - window->pad_begin[axis];
    gc_range range = {start >= low ? 0 : (low - start + dilation - 1) / dilation, 0};
    if (start < high)
        range.end = (high - 1 - start) / dilation + 1;
    if (range.end > window->kernel[axis])
        range.end = window->kernel[axis];
    return range;
}
