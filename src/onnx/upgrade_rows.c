/* SPDX-License-Identifier: Apache-2.0 */
/* What changed between opsets, operator by operator. */
#include <string.h>

#include "onnx/upgrade.h"

#define ROW(name) static gradcam_status name(const gc_upgrade *u, gc_node *node)

/* ---- Attributes that became inputs ---------------------------------------------------------- */

ROW(axes_to_input)
{
    /* An empty list meant all axes, like none, where there is a choice. */
    const gc_attr *const axes = gc_attr_find(node, "axes");
    const bool is_empty = axes != NULL && axes->type == GC_ATTR_INTS && axes->count == 0;
    if (is_empty && strcmp(node->op, "Unsqueeze") != 0)
        gc_node_remove_attr(node, "axes");
    return gc_upgrade_to_input(u, node, "axes", 1);
}

ROW(reshape)
{
    return gc_upgrade_to_input(u, node, "shape", 1);
}

ROW(clip)
{
    GC_TRY(gc_upgrade_to_input(u, node, "min", 1));
    return gc_upgrade_to_input(u, node, "max", 2);
}

ROW(slice)
{
    GC_TRY(gc_upgrade_to_input(u, node, "starts", 1));
    GC_TRY(gc_upgrade_to_input(u, node, "ends", 2));
    return gc_upgrade_to_input(u, node, "axes", 3);
}

ROW(pad)
{
    GC_TRY(gc_upgrade_to_input(u, node, "paddings", 1)); /* opset 1 */
    GC_TRY(gc_upgrade_to_input(u, node, "pads", 1));
    return gc_upgrade_to_input(u, node, "value", 2);
}

ROW(split)
{
    return gc_upgrade_to_input(u, node, "split", 1);
}

/* Without sizes, the number of parts is the number of outputs: say so. */
ROW(split_evenly)
{
    if (gc_upgrade_has(node, 1) || gc_attr_find(node, "num_outputs") != NULL)
        return GRADCAM_OK;
    return gc_node_set_int(u->builder->graph, node, "num_outputs", node->output_count,
                           u->builder->error);
}

ROW(top_k)
{
    return gc_upgrade_to_input(u, node, "k", 1);
}

/* ---- Inference semantics -------------------------------------------------------------------- */

static void drop_unused_outputs(const gc_upgrade *u, gc_node *node)
{
    while (node->output_count > 1 && (node->outputs[node->output_count - 1] == GC_ABSENT ||
                                      u->uses[node->outputs[node->output_count - 1]] == 0))
        node->output_count--;
}

ROW(dropout)
{
    static const char *const attrs[] = {"ratio", "is_test", "seed", "training_mode"};
    for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++)
        gc_node_remove_attr(node, attrs[i]);
    node->input_count = node->input_count > 1 ? 1 : node->input_count;
    drop_unused_outputs(u, node);
    return GRADCAM_OK;
}

/* spatial = 0 asks for statistics of each position; some exporters wrote it beside ordinary ones of
 * each channel. */
static bool has_channel_statistics(const gc_upgrade *u, const gc_node *node)
{
    for (int i = 1; i < 5; i++) {
        if (!gc_upgrade_has(node, i))
            return false;
        const gc_value *const value = &u->builder->graph->values[node->inputs[i]];
        if (value->constant == NULL || value->type.rank != 1)
            return false;
    }
    return true;
}

ROW(batch_normalization)
{
    static const char *const attrs[] = {"is_test", "spatial", "momentum", "training_mode"};
    if (gc_attr_int(node, "spatial", 1) == 0 && !has_channel_statistics(u, node))
        return gc_upgrade_fail(u, node,
                               "statistics of each position (spatial = 0) are not "
                               "supported");
    for (size_t i = 0; i < sizeof attrs / sizeof *attrs; i++)
        gc_node_remove_attr(node, attrs[i]);
    drop_unused_outputs(u, node);
    return GRADCAM_OK;
}

/* ---- Resize --------------------------------------------------------------------------------- */

static bool is_empty_constant(const gc_upgrade *u, int value)
{
    const gc_constant *const constant = u->builder->graph->values[value].constant;
    return constant != NULL && gc_tensor_count(gc_constant_tensor(constant)) == 0;
}

/* Opset 11 asked for roi and scales even where they say nothing: as tensors without elements. */
ROW(resize_drop_empty)
{
    for (int i = 1; i < node->input_count; i++)
        if (node->inputs[i] != GC_ABSENT && is_empty_constant(u, node->inputs[i]))
            node->inputs[i] = GC_ABSENT;
    while (node->input_count > 1 && node->inputs[node->input_count - 1] == GC_ABSENT)
        node->input_count--;
    return GRADCAM_OK;
}

static bool shrinks_only(const gc_upgrade *u, int scales)
{
    const gc_constant *const constant = u->builder->graph->values[scales].constant;
    const gc_tensor *const tensor = constant != NULL ? gc_constant_tensor(constant) : NULL;
    if (tensor == NULL || tensor->data == NULL || !gc_dtype_is_float(tensor->dtype))
        return false;
    bool shrinks = false;
    for (int64_t i = 0; i < gc_tensor_count(tensor); i++) {
        if (gc_floats(tensor)[i] > 1)
            return false;
        shrinks |= gc_floats(tensor)[i] < 1;
    }
    return shrinks;
}

/* (X, scales): up to opset 10, input i lies at i * scale, and the nearest neighbour is the one
 * below when enlarging and the one above when reducing (ONNX's own expected results). */
static gradcam_status old_resize(const gc_upgrade *u, gc_node *node)
{
    const int scales = gc_upgrade_has(node, 1) ? node->inputs[1] : GC_ABSENT;
    if (scales == GC_ABSENT)
        return gc_upgrade_fail(u, node, "has no scales");
    GC_TRY(gc_upgrade_set_input(u, node, 2, scales));
    node->inputs[1] = GC_ABSENT;
    const char *const mode = gc_attr_string(node, "mode", "nearest");
    if (strcmp(mode, "bilinear") == 0 || strcmp(mode, "trilinear") == 0)
        GC_TRY(gc_upgrade_set_string(u, node, "mode", "linear"));
    GC_TRY(gc_upgrade_set_string(u, node, "coordinate_transformation_mode", "asymmetric"));
    return gc_upgrade_set_string(u, node, "nearest_mode",
                                 shrinks_only(u, scales) ? "ceil" : "floor");
}

ROW(resize)
{
    return old_resize(u, node);
}

ROW(upsample)
{
    const float height = gc_attr_float(node, "height_scale", 0);
    const float width = gc_attr_float(node, "width_scale", 0);
    if (height > 0 && width > 0) { /* opset 1 */
        const float scales[] = {1, 1, height, width};
        float *copy = NULL;
        GC_TRY(gc_arena_new(u->builder->graph->arena, &copy, 4, sizeof *copy, u->builder->error));
        memcpy(copy, scales, sizeof scales);
        const gc_attr attr = {.name = "scales", .type = GC_ATTR_FLOATS, .count = 4, .floats = copy};
        GC_TRY(gc_node_set_attr(u->builder->graph, node, attr, u->builder->error));
        gc_node_remove_attr(node, "height_scale");
        gc_node_remove_attr(node, "width_scale");
    }
    GC_TRY(gc_upgrade_to_input(u, node, "scales", 1));
    node->op = "Resize";
    return old_resize(u, node);
}

/* ---- Meanings that changed ------------------------------------------------------------------ */

ROW(softmax)
{
    GC_TRY(gc_node_set_int(u->builder->graph, node, "axis", gc_attr_int(node, "axis", 1),
                           u->builder->error));
    return gc_node_set_int(u->builder->graph, node, "coerce2d", 1, u->builder->error);
}

/* Without an axis, the shorter operand stood at the end, as in today's broadcasting. */
ROW(broadcast)
{
    (void)u;
    if (gc_attr_int(node, "broadcast", 0) != 0 && gc_attr_find(node, "axis") != NULL)
        return GRADCAM_OK;
    gc_node_remove_attr(node, "broadcast");
    gc_node_remove_attr(node, "axis");
    return GRADCAM_OK;
}

/* A slope of more than one element belonged to the channels. */
ROW(prelu)
{
    GC_TRY(gc_node_set_int(u->builder->graph, node, "broadcast", 1, u->builder->error));
    return gc_node_set_int(u->builder->graph, node, "axis", 1, u->builder->error);
}

ROW(gemm)
{
    (void)u;
    gc_node_remove_attr(node, "broadcast");
    return GRADCAM_OK;
}

ROW(concat)
{
    return gc_node_set_int(u->builder->graph, node, "axis", gc_attr_int(node, "axis", 1),
                           u->builder->error);
}

/* `to` was the name of a type. */
ROW(cast)
{
    static const char *const names[] = {
        [GC_FLOAT32] = "FLOAT",   [GC_UINT8] = "UINT8",    [GC_INT8] = "INT8",
        [GC_UINT16] = "UINT16",   [GC_INT16] = "INT16",    [GC_INT32] = "INT32",
        [GC_INT64] = "INT64",     [GC_STRING] = "STRING",  [GC_BOOL] = "BOOL",
        [GC_FLOAT16] = "FLOAT16", [GC_FLOAT64] = "DOUBLE", [GC_UINT32] = "UINT32",
        [GC_UINT64] = "UINT64",
    };
    const char *const to = gc_attr_string(node, "to", NULL);
    for (int i = 1; to != NULL && i < (int)(sizeof names / sizeof *names); i++)
        if (strcmp(to, names[i]) == 0)
            return gc_node_set_int(u->builder->graph, node, "to", i, u->builder->error);
    return GRADCAM_OK;
}

ROW(selu)
{
    /* The defaults had fewer digits. */
    const gc_attr alpha = {.name = "alpha", .type = GC_ATTR_FLOAT, .f = 1.6732f};
    const gc_attr gamma = {.name = "gamma", .type = GC_ATTR_FLOAT, .f = 1.0507f};
    if (gc_attr_find(node, "alpha") == NULL)
        GC_TRY(gc_node_set_attr(u->builder->graph, node, alpha, u->builder->error));
    if (gc_attr_find(node, "gamma") == NULL)
        GC_TRY(gc_node_set_attr(u->builder->graph, node, gamma, u->builder->error));
    return GRADCAM_OK;
}

ROW(tile)
{
    if (node->input_count > 2)
        return gc_upgrade_fail(u, node, "Tile with a separate axis is not supported");
    return GRADCAM_OK;
}

/* p was a float. */
ROW(lp_pool)
{
    const float p = gc_attr_float(node, "p", 2);
    if (gc_attr_find(node, "p") == NULL)
        return GRADCAM_OK;
    if (!(p >= 1 && p <= 1024) || p != (float)(int)p)
        return gc_upgrade_fail(u, node, "p is not a whole number");
    return gc_node_set_int(u->builder->graph, node, "p", (int)p, u->builder->error);
}

ROW(group_normalization)
{
    return gc_node_set_int(u->builder->graph, node, "per_group", 1, u->builder->error);
}

ROW(grid_sample)
{
    const char *const mode = gc_attr_string(node, "mode", "bilinear");
    return gc_upgrade_set_string(u, node, "mode",
                                 strcmp(mode, "bilinear") == 0  ? "linear"
                                 : strcmp(mode, "bicubic") == 0 ? "cubic"
                                                                : mode);
}

/* The default became half_pixel. */
ROW(roi_align)
{
    return gc_upgrade_set_string(u, node, "coordinate_transformation_mode", "output_half_pixel");
}

static const gc_tensor *constant_input(const gc_upgrade *u, const gc_node *node, int index)
{
    const int value = gc_upgrade_has(node, index) ? node->inputs[index] : GC_ABSENT;
    const gc_constant *const constant =
        value != GC_ABSENT ? u->builder->graph->values[value].constant : NULL;
    return constant != NULL ? gc_constant_tensor(constant) : NULL;
}

/* One parameter for all needs no axis; of several, the axis is said. */
ROW(quantization)
{
    const gc_tensor *const scale = constant_input(u, node, 1), *const zero =
                                                                   constant_input(u, node, 2);
    const bool is_blocked = gc_attr_int(node, "block_size", 0) != 0;
    if (!is_blocked && scale != NULL && gc_tensor_count(scale) == 1 &&
        (zero == NULL || gc_tensor_count(zero) == 1)) {
        gc_node_remove_attr(node, "axis");
        return GRADCAM_OK;
    }
    if (!is_blocked && scale == NULL && zero == NULL)
        return GRADCAM_OK;
    return gc_node_set_int(u->builder->graph, node, "axis", gc_attr_int(node, "axis", 1),
                           u->builder->error);
}

ROW(scatter)
{
    (void)u;
    node->op = "ScatterElements";
    return GRADCAM_OK;
}

/* ---- The table ------------------------------------------------------------------------------ */

const gc_upgrade_row gc_upgrade_rows[] = {
    {"Add", 7, broadcast},
    {"And", 7, broadcast},
    {"BatchNormalization", GC_ANY_OPSET, batch_normalization},
    {"Cast", 6, cast},
    {"Clip", 11, clip},
    {"Concat", 4, concat},
    {"DequantizeLinear", GC_ANY_OPSET, quantization},
    {"Div", 7, broadcast},
    {"Dropout", GC_ANY_OPSET, dropout},
    {"Equal", 7, broadcast},
    {"Gemm", 7, gemm},
    {"GlobalLpPool", 2, lp_pool},
    {"Greater", 7, broadcast},
    {"GridSample", 20, grid_sample},
    {"GroupNormalization", 21, group_normalization},
    {"Hardmax", 13, softmax},
    {"Less", 7, broadcast},
    {"LogSoftmax", 13, softmax},
    {"LpPool", 2, lp_pool},
    {"Mul", 7, broadcast},
    {"Or", 7, broadcast},
    {"PRelu", 7, prelu},
    {"Pad", 11, pad},
    {"Pow", 7, broadcast},
    {"QuantizeLinear", GC_ANY_OPSET, quantization},
    {"ReduceL1", 18, axes_to_input},
    {"ReduceL2", 18, axes_to_input},
    {"ReduceLogSum", 18, axes_to_input},
    {"ReduceLogSumExp", 18, axes_to_input},
    {"ReduceMax", 18, axes_to_input},
    {"ReduceMean", 18, axes_to_input},
    {"ReduceMin", 18, axes_to_input},
    {"ReduceProd", 18, axes_to_input},
    {"ReduceSum", 13, axes_to_input},
    {"ReduceSumSquare", 18, axes_to_input},
    {"Reshape", 5, reshape},
    {"Resize", GC_ANY_OPSET, resize_drop_empty},
    {"Resize", 11, resize},
    {"RoiAlign", 16, roi_align},
    {"Scatter", GC_ANY_OPSET, scatter},
    {"Selu", 6, selu},
    {"Slice", 10, slice},
    {"Softmax", 13, softmax},
    {"Split", 13, split},
    {"Split", GC_ANY_OPSET, split_evenly},
    {"Squeeze", 13, axes_to_input},
    {"Sub", 7, broadcast},
    {"Tile", 6, tile},
    {"TopK", 10, top_k},
    {"Unsqueeze", 13, axes_to_input},
    {"Upsample", GC_ANY_OPSET, upsample},
    {"Xor", 7, broadcast},
};
const size_t gc_upgrade_row_count = sizeof gc_upgrade_rows / sizeof *gc_upgrade_rows;
