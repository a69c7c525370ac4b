/* SPDX-License-Identifier: Apache-2.0 */
/* Shape and Size: results follow from the extents of the input alone; its data is never touched. */
#include "ops/check.h"

/* Bounds count from the end where negative, and are clamped. */
static int64_t bound(int64_t value, int rank)
{
    const int64_t wrapped = value < 0 ? value + rank : value;
    return wrapped < 0 ? 0 : wrapped > rank ? rank : wrapped;
}

static void range(const gc_call *call, int64_t *start, int64_t *count)
{
    const int rank = call->inputs[0]->rank;
    const int64_t end = bound(gc_attr_int(call->node, "end", INT32_MAX), rank);
    *start = bound(gc_attr_int(call->node, "start", 0), rank);
    *count = end > *start ? end - *start : 0;
}

static gradcam_status shape_infer(const gc_call *call)
{
    int64_t start = 0, count = 0;
    range(call, &start, &count);
    gc_tensor_describe(call->outputs[0], GC_INT64, 1, &count);
    return GRADCAM_OK;
}

static gradcam_status shape_forward(const gc_call *call)
{
    int64_t start = 0, count = 0;
    range(call, &start, &count);
    for (int64_t i = 0; i < count; i++)
        gc_ints(call->outputs[0])[i] = call->inputs[0]->dims[start + i];
    return GRADCAM_OK;
}

static gradcam_status size_infer(const gc_call *call)
{
    gc_tensor_describe(call->outputs[0], GC_INT64, 0, NULL);
    return GRADCAM_OK;
}

static gradcam_status size_forward(const gc_call *call)
{
    gc_ints(call->outputs[0])[0] = gc_tensor_count(call->inputs[0]);
    return GRADCAM_OK;
}

const gc_op gc_op_Shape = {
    .name = "Shape",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .infer = shape_infer,
    .forward = shape_forward,
};

const gc_op gc_op_Size = {
    .name = "Size",
    .domain = "",
    .since = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .infer = size_infer,
    .forward = size_forward,
};
