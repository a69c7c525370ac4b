/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OP(name) extern const gc_op gc_op_##name;
#include "ops/list.h"
#undef OP

static const gc_op *const rows[] = {
#define OP(name) &gc_op_##name,
#include "ops/list.h"
#undef OP
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

static int compare(const void *key, const void *row)
{
    return strcmp(key, (*(const gc_op *const *)row)->name);
}

const gc_op *gc_op_find(const char *name, const char *domain)
{
    const gc_op *const *const row = bsearch(name, rows, ROW_COUNT, sizeof rows[0], compare);
    return row != NULL && strcmp((*row)->domain, domain) == 0 ? *row : NULL;
}

const gc_op *const *gc_op_all(size_t *count)
{
    *count = ROW_COUNT;
    return rows;
}

gradcam_status(gc_op_fail)(const gc_call *call, gradcam_status status, const char *format, ...)
{
    if (call->error == NULL)
        return status;
    char text[1024];
    char node[GC_NODE_TEXT];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return gc_fail(call->error, status, "%s: %s", gc_node_text(call->graph, call->node, node),
                   text);
}

gradcam_status gc_op_check_first_grad(const gc_call *call, gc_tensor *const *input_grads)
{
    for (int i = 1; i < call->input_count; i++)
        if (input_grads[i] != NULL)
            return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                              "input %d depends on the picture, but a gradient is only known for "
                              "input 0",
                              i);
    return GRADCAM_OK;
}

gradcam_status gc_op_infer_same(const gc_call *call)
{
    const gc_tensor *const in = call->inputs[0];
    gc_tensor_describe(call->outputs[0], in->dtype, in->rank, in->dims);
    return GRADCAM_OK;
}

gradcam_status gc_op_const_ints(const gc_call *call, int index, const int64_t **values,
                                size_t *count)
{
    if (!gc_op_has(call, index))
        return GRADCAM_OK;
    const gc_tensor *const t = call->inputs[index];
    if (t->data == NULL)
        return gc_op_fail(
            call, GRADCAM_ERROR_UNSUPPORTED,
            "input %d must be constant for a given input shape, but it depends on the "
            "picture's values. Re-export the model with constant shapes.",
            index);
    if (gc_dtype_is_float(t->dtype) || t->rank > 1)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                          "input %d must be an integer scalar or vector, found %s of rank %d",
                          index, gc_dtype_name(t->dtype), t->rank);
    *values = gc_ints(t);
    *count = (size_t)gc_tensor_count(t);
    return GRADCAM_OK;
}

gradcam_status gc_op_axis(const gc_call *call, int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "axis %lld is outside a tensor of rank %d",
                          (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return GRADCAM_OK;
}

gradcam_status gc_op_broadcast(const gc_call *call, const gc_tensor *a, const gc_tensor *b,
                               gc_tensor *out)
{
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t dims[GC_MAX_RANK];
    for (int i = 0; i < rank; i++) {
        const int ia = i - (rank - a->rank), ib = i - (rank - b->rank);
        const int64_t da = ia < 0 ? 1 : a->dims[ia], db = ib < 0 ? 1 : b->dims[ib];
        if (da != db && da != 1 && db != 1) {
            char ta[GC_SHAPE_TEXT], tb[GC_SHAPE_TEXT];
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "shapes %s and %s do not broadcast",
                              gc_shape_text(a, ta), gc_shape_text(b, tb));
        }
        dims[i] = da == 1 ? db : da;
    }
    gc_tensor_describe(out, out->dtype, rank, dims);
    return GRADCAM_OK;
}

gc_spatial gc_spatial_of(const gc_tensor *tensor)
{
    gc_spatial view = {1, 1, 1};
    for (int i = 2; i < tensor->rank; i++)
        view.spatial *= tensor->dims[i];
    const int block = gc_layout_block(tensor->layout);
    const int64_t channels = tensor->rank > 1 ? tensor->dims[1] : 1;
    const int64_t batch = tensor->rank > 0 ? tensor->dims[0] : 1;
    if (tensor->layout == GC_LAYOUT_LAST) {
        view.outer = batch;
        view.inner = channels;
    } else {
        view.outer = batch * ((channels + block - 1) / block);
        view.inner = block;
    }
    return view;
}
