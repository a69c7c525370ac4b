/* SPDX-License-Identifier: Apache-2.0 */
/* Concat and Split: parts of a whole along one axis. */
#include <limits.h>
#include <string.h>

#include "ops/check.h"
#include "ops/strided.h"

/* The copy from a part to the whole. */
static gc_strided part_view(const gc_tensor *part, const gc_tensor *whole, int axis)
{
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < whole->rank; i++)
        *(i < axis ? &outer : &inner) *= i == axis ? 1 : whole->dims[i];
    gc_strided view = {0};
    gc_strided_axis(&view, outer, part->dims[axis] * inner, whole->dims[axis] * inner);
    gc_strided_axis(&view, part->dims[axis] * inner, 1, 1);
    return view;
}

/* Copies a part to, or from, where it begins in the whole. */
static void copy_part(const gc_tensor *part, const gc_tensor *whole, int axis, int64_t begin,
                      bool to_whole)
{
    const bool is_float = gc_dtype_is_float(part->dtype);
    gc_strided view = part_view(part, whole, axis);
    int64_t inner = 1;
    for (int i = axis + 1; i < whole->rank; i++)
        inner *= whole->dims[i];
    void *const place = gc_element(whole, begin * inner);
    if (to_whole) {
        gc_strided_copy(&view, part->data, place, is_float);
    } else {
        view = gc_strided_reversed(&view);
        gc_strided_copy(&view, place, part->data, is_float);
    }
}

/* ---- Concat --------------------------------------------------------------------------------- */

static gradcam_status concat_axis(const gc_call *call, int *axis)
{
    if (gc_attr_find(call->node, "axis") == NULL)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "the attribute axis is missing");
    return gc_op_axis(call, gc_attr_int(call->node, "axis", 0), call->inputs[0]->rank, axis);
}

static gradcam_status check_part(const gc_call *call, int index, int axis)
{
    const gc_tensor *const first = call->inputs[0], *const part = call->inputs[index];
    char a[GC_SHAPE_TEXT], b[GC_SHAPE_TEXT];
    if (part == NULL)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "input %d is missing", index);
    GC_TRY(gc_check_same_storage(call, index));
    bool fits = part->rank == first->rank;
    for (int i = 0; fits && i < first->rank; i++)
        fits = i == axis || part->dims[i] == first->dims[i];
    if (!fits)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                          "inputs 0 and %d, %s and %s, differ beside axis %d", index,
                          gc_shape_text(first, a), gc_shape_text(part, b), axis);
    return GRADCAM_OK;
}

static gradcam_status concat_infer(const gc_call *call)
{
    const gc_tensor *const first = call->inputs[0];
    int64_t dims[GC_MAX_RANK];
    int axis = 0;
    GC_TRY(concat_axis(call, &axis));
    memcpy(dims, first->dims, sizeof dims);
    dims[axis] = 0;
    for (int i = 0; i < call->input_count; i++) {
        GC_TRY(check_part(call, i, axis));
        if (__builtin_add_overflow(dims[axis], call->inputs[i]->dims[axis], &dims[axis]))
            return gc_op_fail(call, GRADCAM_ERROR_LIMIT, "the result is too large");
    }
    gc_tensor_describe(call->outputs[0], first->dtype, first->rank, dims);
    return gc_check_output(call, 0);
}

static gradcam_status concat_forward(const gc_call *call)
{
    int axis = 0;
    int64_t begin = 0;
    GC_TRY(concat_axis(call, &axis));
    for (int i = 0; i < call->input_count; i++) {
        copy_part(call->inputs[i], call->outputs[0], axis, begin, true);
        begin += call->inputs[i]->dims[axis];
    }
    return GRADCAM_OK;
}

static gradcam_status concat_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                      gc_tensor *const *input_grads)
{
    int axis = 0;
    int64_t begin = 0;
    GC_TRY(concat_axis(call, &axis));
    for (int i = 0; i < call->input_count; i++) {
        if (input_grads[i] != NULL)
            copy_part(input_grads[i], output_grads[0], axis, begin, false);
        begin += call->inputs[i]->dims[axis];
    }
    return GRADCAM_OK;
}

const gc_op gc_op_Concat = {
    .name = "Concat",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = -1,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .infer = concat_infer,
    .forward = concat_forward,
    .backward = concat_backward,
};

/* ---- Split ---------------------------------------------------------------------------------- */

/* Sizes are an input; or there are num_outputs equal parts, the last of which may be smaller. */
typedef struct parts {
    int axis;
    int64_t extent, each;
    const int64_t *sizes; /**< NULL: `each`. */
    size_t count;
} parts;

static int64_t part_size(const parts *p, int index, int64_t begin)
{
    if (p->sizes != NULL)
        return p->sizes[index];
    const int64_t left = p->extent - begin;
    return left < p->each ? left : p->each;
}

static gradcam_status find_parts(const gc_call *call, parts *p)
{
    const gc_tensor *const x = call->inputs[0];
    *p = (parts){0};
    GC_TRY(gc_op_axis(call, gc_attr_int(call->node, "axis", 0), x->rank, &p->axis));
    GC_TRY(gc_op_const_ints(call, 1, &p->sizes, &p->count));
    p->extent = x->dims[p->axis];
    if (p->sizes == NULL) {
        const int64_t count = gc_attr_int(call->node, "num_outputs", call->output_count);
        if (count < call->output_count)
            return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%d outputs, but num_outputs is %lld",
                              call->output_count, (long long)count);
        p->count = (size_t)count;
        p->each = p->extent / count + (p->extent % count != 0);
    }
    return GRADCAM_OK;
}

static gradcam_status check_parts(const gc_call *call, const parts *p)
{
    int64_t sum = 0;
    if (p->count < (size_t)call->output_count)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%d outputs for %zu parts", call->output_count,
                          p->count);
    if (p->sizes == NULL)
        return (int64_t)(p->count - 1) <= p->extent / (p->each > 0 ? p->each : 1)
                   ? GRADCAM_OK
                   : gc_op_fail(call, GRADCAM_ERROR_SHAPE, "%lld elements do not make %zu parts",
                                (long long)p->extent, p->count);
    for (size_t i = 0; i < p->count; i++)
        if (p->sizes[i] < 0 || __builtin_add_overflow(sum, p->sizes[i], &sum))
            return gc_op_fail(call, GRADCAM_ERROR_MODEL, "a part of %lld elements",
                              (long long)p->sizes[i]);
    if (sum != p->extent)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "the parts have %lld elements, not %lld",
                          (long long)sum, (long long)p->extent);
    return GRADCAM_OK;
}

static gradcam_status split_infer(const gc_call *call)
{
    const gc_tensor *const x = call->inputs[0];
    parts p;
    GC_TRY(find_parts(call, &p));
    GC_TRY(check_parts(call, &p));
    int64_t begin = 0;
    for (int i = 0; i < call->output_count; i++) {
        int64_t dims[GC_MAX_RANK];
        memcpy(dims, x->dims, sizeof dims);
        dims[p.axis] = part_size(&p, i, begin);
        begin += dims[p.axis];
        if (gc_op_gives(call, i))
            gc_tensor_describe(call->outputs[i], x->dtype, x->rank, dims);
    }
    return GRADCAM_OK;
}

static gradcam_status split_forward(const gc_call *call)
{
    parts p;
    GC_TRY(find_parts(call, &p));
    int64_t begin = 0;
    for (int i = 0; i < call->output_count; i++) {
        if (gc_op_gives(call, i))
            copy_part(call->outputs[i], call->inputs[0], p.axis, begin, false);
        begin += part_size(&p, i, begin);
    }
    return GRADCAM_OK;
}

/* A part without a gradient has one of 0. */
static gradcam_status split_backward(const gc_call *call, const gc_tensor *const *output_grads,
                                     gc_tensor *const *input_grads)
{
    parts p;
    GC_TRY(find_parts(call, &p));
    memset(input_grads[0]->data, 0, gc_tensor_bytes(input_grads[0]));
    int64_t begin = 0;
    for (int i = 0; i < call->output_count; i++) {
        if (output_grads[i] != NULL)
            copy_part(output_grads[i], input_grads[0], p.axis, begin, true);
        begin += part_size(&p, i, begin);
    }
    return GRADCAM_OK;
}

const gc_op gc_op_Split = {
    .name = "Split",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 2,
    .max_outputs = INT_MAX,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_PARAMETERS,
    .infer = split_infer,
    .forward = split_forward,
    .backward = split_backward,
};
