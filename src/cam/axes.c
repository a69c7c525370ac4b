/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/axes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct tracer {
    const gc_graph *graph;
    gc_axes *axes;
    int64_t batch;
    const gc_tokens *tokens; /* given by the user, or NULL */
} tracer;

static bool is_one_of(const char *op, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(op, names[i]) == 0)
            return true;
    return false;
}
#define IS_ONE_OF(op, names) is_one_of(op, names, sizeof(names) / sizeof *(names))

static bool may_be_channels(int64_t extent)
{
    return extent == 1 || extent == 3;
}

bool gc_is_channels_last(const gc_tensor *type)
{
    return type->rank == 4 && !may_be_channels(type->dims[1]) && may_be_channels(type->dims[3]);
}

static const gc_tensor *type_of(const tracer *t, int value)
{
    return &t->graph->values[value].type;
}

static gc_axes channels_first(int rank)
{
    gc_axes a = {.kind = {GC_AXIS_BATCH, GC_AXIS_CHANNEL}, .is_known = true};
    for (int i = 2; i < rank; i++)
        a.kind[i] = (uint8_t)(GC_AXIS_SPACE + i - 2);
    return a;
}

static gc_axes channels_last(int rank)
{
    gc_axes a = {.kind = {GC_AXIS_BATCH}, .is_known = true};
    for (int i = 1; i < rank - 1; i++)
        a.kind[i] = (uint8_t)(GC_AXIS_SPACE + i - 1);
    a.kind[rank - 1] = GC_AXIS_CHANNEL;
    return a;
}

static bool may_be_spatial(const tracer *t, int value)
{
    const gc_tensor *const type = type_of(t, value);
    return type->rank >= 3 && type->rank <= 2 + GC_MAX_GRID && type->dims[0] == t->batch &&
           gc_dtype_is_float(type->dtype);
}

static int64_t grid_size(const gc_tokens *tokens)
{
    int64_t size = 1;
    for (int i = 0; i < tokens->grid_rank; i++)
        size *= tokens->grid[i];
    return size;
}

int gc_axis_find(const gc_axes *axes, int rank, gc_axis kind)
{
    for (int i = 0; i < rank; i++)
        if (axes->kind[i] == kind)
            return i;
    return -1;
}

/* Forgets what does not fit the extents: batches that were split, tokens that were dropped. */
static void verify(const tracer *t, gc_axes *a, const gc_tensor *type)
{
    for (int i = 0; i < type->rank; i++) {
        const int64_t extent = type->dims[i], size = grid_size(&a->tokens);
        if (a->kind[i] == GC_AXIS_BATCH && extent != t->batch)
            a->kind[i] = GC_AXIS_OTHER;
        if (a->kind[i] == GC_AXIS_TOKENS && extent == size)
            a->tokens.extra = 0; /* the extra ones were cut off */
        if (a->kind[i] == GC_AXIS_TOKENS && extent != size + a->tokens.extra && extent != 1)
            a->kind[i] = GC_AXIS_OTHER;
    }
}

/* ---- Operators that rearrange --------------------------------------------------------------- */

static gc_axes transposed(const gc_node *node, const gc_axes *from, int rank)
{
    size_t count = 0;
    const int64_t *const perm = gc_attr_ints(node, "perm", &count);
    gc_axes a = *from;
    for (int i = 0; i < rank; i++)
        a.kind[i] = from->kind[count == (size_t)rank ? perm[i] : rank - 1 - i];
    return a;
}

/* Axes [first, last) of `from` become one. */
static gc_axis merge(const gc_axes *from, const gc_tensor *type, int first, int last,
                     gc_tokens *tokens)
{
    gc_tokens grid = {0};
    int kept = -1, count = 0, channels = 0;
    for (int i = first; i < last; i++) {
        if (type->dims[i] == 1 && from->kind[i] < GC_AXIS_SPACE)
            continue;
        count++;
        kept = i;
        channels += from->kind[i] == GC_AXIS_CHANNEL;
        if (from->kind[i] == GC_AXIS_SPACE + grid.grid_rank && grid.grid_rank < GC_MAX_GRID)
            grid.grid[grid.grid_rank++] = type->dims[i];
    }
    if (count == 0)
        return from->kind[first];
    if (count == 1)
        return from->kind[kept];
    if (channels == count)
        return GC_AXIS_CHANNEL;
    if (grid.grid_rank != count)
        return GC_AXIS_OTHER;
    *tokens = grid;
    return GC_AXIS_TOKENS;
}

/* One axis becomes axes [first, last) of `to`. */
static void split(gc_axis kind, const gc_tokens *tokens, const gc_tensor *type, int first, int last,
                  gc_axes *to)
{
    int count = 0, kept = first;
    for (int i = first; i < last; i++)
        if (type->dims[i] != 1) {
            count++;
            kept = i;
        }
    bool is_grid =
        kind == GC_AXIS_TOKENS && tokens->extra == 0 && tokens->grid_rank == last - first;
    for (int i = first; is_grid && i < last; i++)
        is_grid = type->dims[i] == tokens->grid[i - first];
    for (int i = first; i < last; i++)
        to->kind[i] = is_grid                   ? (uint8_t)(GC_AXIS_SPACE + i - first)
                      : kind == GC_AXIS_CHANNEL ? GC_AXIS_CHANNEL
                                                : GC_AXIS_OTHER;
    if (!is_grid && count <= 1)
        to->kind[kept] = (uint8_t)kind;
}

/* Matches the runs of axes whose products agree. */
static gc_axes reshaped(const gc_axes *from, const gc_tensor *in, const gc_tensor *out)
{
    gc_axes a = {.tokens = from->tokens, .is_known = true};
    int i = 0, o = 0;
    while (i < in->rank && o < out->rank) {
        const int i0 = i, o0 = o;
        int64_t p = in->dims[i++], q = out->dims[o++];
        while (p != q && (p < q ? i < in->rank : o < out->rank)) {
            if (p < q)
                p *= in->dims[i++];
            else
                q *= out->dims[o++];
        }
        if (p != q)
            break;
        const gc_axis kind = merge(from, in, i0, i, &a.tokens);
        if (o - o0 == 1)
            a.kind[o0] = (uint8_t)kind;
        else if (i - i0 == 1)
            split(kind, &from->tokens, out, o0, o, &a);
    }
    return a;
}

static gc_axes without_axes(const gc_axes *from, int rank, const int64_t *axes, size_t count)
{
    gc_axes a = {.tokens = from->tokens, .is_known = true};
    int kept = 0;
    for (int i = 0; i < rank; i++) {
        bool is_dropped = false;
        for (size_t k = 0; k < count; k++)
            is_dropped |= axes[k] == i || axes[k] + rank == i;
        if (!is_dropped)
            a.kind[kept++] = from->kind[i];
    }
    return a;
}

static const gc_tensor *constant_of(const gc_graph *graph, const gc_node *node, int index)
{
    const int value = index < node->input_count ? node->inputs[index] : GC_ABSENT;
    if (value == GC_ABSENT || graph->values[value].constant == NULL)
        return NULL;
    return gc_constant_tensor(graph->values[value].constant);
}

/* ---- What operators say of their input ------------------------------------------------------ */

/* Operators that are defined on N x C x spatial. */
static bool is_spatial_op(const char *op)
{
    static const char *const ops[] = {
        "Conv",         "ConvTranspose",      "MaxPool",      "AveragePool",
        "LpPool",       "GlobalAveragePool",  "GlobalLpPool", "GlobalMaxPool",
        "LRN",          "BatchNormalization", "GridSample",   "InstanceNormalization",
        "SpaceToDepth", "GroupNormalization", "DepthToSpace", "MaxUnpool",
        "RoiAlign"};
    return IS_ONE_OF(op, ops);
}

static bool is_reduction(const char *op)
{
    return strncmp(op, "Reduce", 6) == 0 || strncmp(op, "Arg", 3) == 0;
}

/* The mean over all places says which axes these are. */
static void learn_from_mean(tracer *t, const gc_node *node)
{
    const int value = node->inputs[0];
    const gc_tensor *const axes = constant_of(t->graph, node, 1);
    const int rank = type_of(t, value)->rank;
    if (t->axes[value].is_known || !may_be_spatial(t, value) || rank < 4 || axes == NULL ||
        gc_tensor_count(axes) != rank - 2)
        return;
    bool has_last = false;
    for (int i = 0; i < rank - 2; i++)
        has_last |= gc_ints(axes)[i] == -1 || gc_ints(axes)[i] == rank - 1;
    t->axes[value] = has_last ? channels_first(rank) : channels_last(rank);
}

static void learn(tracer *t, const gc_node *node)
{
    const int value = node->input_count > 0 ? node->inputs[0] : GC_ABSENT;
    if (value == GC_ABSENT || t->graph->values[value].constant != NULL)
        return;
    const bool is_map = gc_axes_is_map(&t->axes[value], type_of(t, value));
    if (is_spatial_op(node->op) && !is_map && may_be_spatial(t, value) &&
        (strcmp(node->op, "BatchNormalization") != 0 || type_of(t, value)->rank > 3))
        t->axes[value] = channels_first(type_of(t, value)->rank);
    else if (strcmp(node->op, "ReduceMean") == 0)
        learn_from_mean(t, node);
}

/* ---- One node ------------------------------------------------------------------------------- */

/* The operand that an element-wise, or nearly element-wise, result takes its axes from. */
static int model_operand(const tracer *t, const gc_node *node, const gc_tensor *out)
{
    int found = -1;
    for (int i = 0; i < node->input_count; i++) {
        const int v = node->inputs[i];
        if (v == GC_ABSENT || !t->axes[v].is_known || type_of(t, v)->rank != out->rank)
            continue;
        if (gc_tensor_same_dims(type_of(t, v), out))
            return i;
        found = found < 0 ? i : found;
    }
    return found;
}

/* Operands of the same shape mean the same: the other side of a residual addition. */
static void teach_operands(tracer *t, const gc_node *node, const gc_axes *axes,
                           const gc_tensor *out)
{
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Mean"};
    for (int i = 0; IS_ONE_OF(node->op, ops) && i < node->input_count; i++) {
        const int v = node->inputs[i];
        if (v != GC_ABSENT && !gc_axes_is_map(&t->axes[v], out) &&
            gc_tensor_same_dims(type_of(t, v), out) && gc_axes_is_map(axes, out))
            t->axes[v] = *axes;
    }
}

/* Tokens put in front of others are extra ones. */
static void count_extra(const tracer *t, const gc_node *node, int operand, gc_axes *a)
{
    const int axis = gc_axis_find(a, type_of(t, node->outputs[0])->rank, GC_AXIS_TOKENS);
    const int64_t given = gc_attr_int(node, "axis", 0);
    const int rank = type_of(t, node->outputs[0])->rank;
    for (int i = 0; axis >= 0 && (given == axis || given + rank == axis) && i < operand; i++)
        if (node->inputs[i] != GC_ABSENT)
            a->tokens.extra += type_of(t, node->inputs[i])->dims[axis];
}

static gc_axes matrix_product(const tracer *t, const gc_node *node)
{
    gc_axes a = {0};
    const int x = node->inputs[0], w = node->inputs[1], rank = type_of(t, x)->rank;
    if (t->graph->values[w].constant == NULL || !t->axes[x].is_known || rank < 2 ||
        t->axes[x].kind[rank - 1] != GC_AXIS_CHANNEL || type_of(t, w)->rank != 2)
        return a;
    return t->axes[x];
}

static gc_axes reduced(const tracer *t, const gc_node *node)
{
    const gc_axes *const from = &t->axes[node->inputs[0]];
    const gc_tensor *const axes = constant_of(t->graph, node, 1);
    const int64_t axis = gc_attr_int(node, "axis", 0);
    const bool is_arg = node->op[0] == 'A';
    if (gc_attr_int(node, "keepdims", 1) != 0)
        return *from;
    return without_axes(from, type_of(t, node->inputs[0])->rank,
                        is_arg         ? &axis
                        : axes != NULL ? gc_ints(axes)
                                       : NULL,
                        is_arg         ? 1
                        : axes != NULL ? (size_t)gc_tensor_count(axes)
                                       : 0);
}

static gc_axes axes_of(const tracer *t, const gc_node *node)
{
    static const char *const views[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"};
    const int value = node->input_count > 0 ? node->inputs[0] : GC_ABSENT;
    const gc_tensor *const out = type_of(t, node->outputs[0]);
    gc_axes none = {0};
    if (value == GC_ABSENT)
        return none;
    const gc_axes *const from = &t->axes[value];
    if (is_spatial_op(node->op))
        return may_be_spatial(t, node->outputs[0]) ? channels_first(out->rank) : none;
    if (strcmp(node->op, "MatMul") == 0)
        return matrix_product(t, node);
    if (strcmp(node->op, "Transpose") == 0)
        return from->is_known ? transposed(node, from, out->rank) : none;
    if (IS_ONE_OF(node->op, views))
        return from->is_known ? reshaped(from, type_of(t, value), out) : none;
    if (is_reduction(node->op))
        return from->is_known ? reduced(t, node) : none;
    if (strcmp(node->op, "Gather") == 0 && out->rank + 1 == type_of(t, value)->rank) {
        const int64_t axis = gc_attr_int(node, "axis", 0);
        return from->is_known ? without_axes(from, out->rank + 1, &axis, 1) : none;
    }
    const int operand = model_operand(t, node, out);
    if (operand < 0 || strcmp(node->op, "Einsum") == 0 || strcmp(node->op, "Gemm") == 0)
        return none;
    gc_axes a = t->axes[node->inputs[operand]];
    if (strcmp(node->op, "Concat") == 0)
        count_extra(t, node, operand, &a);
    return a;
}

/* ---- Tokens without a history --------------------------------------------------------------- */

static bool square_grid(int64_t count, int64_t extra, gc_tokens *tokens)
{
    const int64_t side = (int64_t)llround(sqrt((double)(count - extra)));
    if (count - extra < 4 || side * side != count - extra)
        return false;
    *tokens = (gc_tokens){.grid_rank = 2, .grid = {side, side}, .extra = extra};
    return true;
}

/* Only where the picture is square, too, and for no more than a class and a distillation token: of
 * 41 tokens, 36 may be 6 x 6, but 40 may as well be 5 x 8. */
static bool guess_grid(const tracer *t, int64_t count, gc_tokens *tokens)
{
    int64_t grid[GC_MAX_GRID];
    int rank = 0;
    const int input = t->graph->inputs[0];
    (void)gc_axes_grid(&t->axes[input], type_of(t, input), grid, &rank);
    if (rank > 0 && (rank != 2 || grid[0] != grid[1]))
        return false;
    for (int64_t extra = 0; extra <= 2; extra++)
        if (square_grid(count, extra, tokens))
            return true;
    return false;
}

static void learn_tokens(tracer *t, const gc_node *node, int value)
{
    static const char *const ops[] = {"Add", "LayerNormalization"};
    const gc_tensor *const type = type_of(t, value);
    gc_axes *const a = &t->axes[value];
    gc_tokens tokens = {0};
    if (type->rank != 3 || type->dims[0] != t->batch || !gc_dtype_is_float(type->dtype))
        return;
    if (t->tokens != NULL && type->dims[1] == grid_size(t->tokens) + t->tokens->extra)
        tokens = *t->tokens;
    else if (t->tokens != NULL || gc_axes_is_map(a, type) || !IS_ONE_OF(node->op, ops) ||
             !guess_grid(t, type->dims[1], &tokens))
        return;
    *a = (gc_axes){.kind = {GC_AXIS_BATCH, GC_AXIS_TOKENS, GC_AXIS_CHANNEL},
                   .tokens = tokens,
                   .is_known = true};
}

/* ---- All nodes ------------------------------------------------------------------------------ */

static void trace_node(tracer *t, const gc_node *node)
{
    learn(t, node);
    gc_axes a = axes_of(t, node);
    for (int o = 0; o < node->output_count; o++) {
        const int value = node->outputs[o];
        if (value == GC_ABSENT)
            continue;
        t->axes[value] = a;
        if (a.is_known)
            verify(t, &t->axes[value], type_of(t, value));
        learn_tokens(t, node, value);
    }
    if (node->outputs[0] != GC_ABSENT && t->axes[node->outputs[0]].is_known)
        teach_operands(t, node, &t->axes[node->outputs[0]], type_of(t, node->outputs[0]));
}

gradcam_status gc_axes_trace(gc_axes **axes, const gc_graph *graph, const gc_tokens *tokens,
                             gradcam_error *error)
{
    GC_TRY(gc_new(axes, (size_t)graph->value_count, sizeof **axes, error));
    if (graph->input_count < 1)
        return GRADCAM_OK;
    const int input = graph->inputs[0];
    const gc_tensor *const type = &graph->values[input].type;
    tracer t = {.graph = graph, .axes = *axes, .batch = type->rank > 0 ? type->dims[0] : 1};
    t.tokens = tokens != NULL && tokens->grid_rank > 0 ? tokens : NULL;
    if (type->rank >= 3 && type->rank <= 2 + GC_MAX_GRID)
        (*axes)[input] =
            gc_is_channels_last(type) ? channels_last(type->rank) : channels_first(type->rank);
    for (int n = 0; n < graph->node_count; n++)
        trace_node(&t, &graph->nodes[n]);
    return GRADCAM_OK;
}

/* ---- Maps ----------------------------------------------------------------------------------- */

int64_t gc_axes_grid(const gc_axes *axes, const gc_tensor *type, int64_t grid[GC_MAX_GRID],
                     int *grid_rank)
{
    int64_t places = 1;
    *grid_rank = 0;
    for (int s = 0; s < GC_MAX_GRID; s++) {
        const int axis = gc_axis_find(axes, type->rank, GC_AXIS_SPACE + s);
        if (axis >= 0)
            grid[(*grid_rank)++] = type->dims[axis];
    }
    if (*grid_rank == 0 && gc_axis_find(axes, type->rank, GC_AXIS_TOKENS) >= 0) {
        *grid_rank = axes->tokens.grid_rank;
        memcpy(grid, axes->tokens.grid, sizeof axes->tokens.grid);
    }
    for (int i = 0; i < *grid_rank; i++)
        places *= grid[i];
    return places;
}

int64_t gc_axes_channels(const gc_axes *axes, const gc_tensor *type)
{
    const int axis = gc_axis_find(axes, type->rank, GC_AXIS_CHANNEL);
    return axis >= 0 ? type->dims[axis] : 0;
}

bool gc_axes_is_map(const gc_axes *axes, const gc_tensor *type)
{
    int64_t grid[GC_MAX_GRID];
    int rank = 0, channels = 0, tokens = 0, spaces = 0;
    if (!axes->is_known || type->rank < 2 || !gc_dtype_is_float(type->dtype))
        return false;
    for (int i = 0; i < type->rank; i++) {
        channels += axes->kind[i] == GC_AXIS_CHANNEL;
        tokens += axes->kind[i] == GC_AXIS_TOKENS;
        spaces += axes->kind[i] >= GC_AXIS_SPACE;
        if (axes->kind[i] == GC_AXIS_OTHER && type->dims[i] != 1)
            return false;
        if (axes->kind[i] == GC_AXIS_TOKENS &&
            type->dims[i] != grid_size(&axes->tokens) + axes->tokens.extra)
            return false;
    }
    return channels == 1 && tokens + (spaces > 0) == 1 && gc_axes_channels(axes, type) > 0 &&
           gc_axes_grid(axes, type, grid, &rank) > 1;
}

bool gc_axes_is_planar(const gc_axes *axes, const gc_tensor *type)
{
    if (type->rank < 3 || axes->kind[0] != GC_AXIS_BATCH || axes->kind[1] != GC_AXIS_CHANNEL)
        return false;
    for (int i = 2; i < type->rank; i++)
        if (axes->kind[i] != GC_AXIS_SPACE + i - 2)
            return false;
    return true;
}

/* The offset of a place, counted row by row in the grid. */
static int64_t place_offset(const gc_axes *axes, const gc_tensor *t, const int64_t *strides,
                            int64_t place)
{
    const int tokens = gc_axis_find(axes, t->rank, GC_AXIS_TOKENS);
    if (tokens >= 0)
        return (place + axes->tokens.extra) * strides[tokens];
    int64_t offset = 0;
    for (int s = GC_MAX_GRID - 1; s >= 0; s--) {
        const int axis = gc_axis_find(axes, t->rank, GC_AXIS_SPACE + s);
        if (axis < 0)
            continue;
        offset += place % t->dims[axis] * strides[axis];
        place /= t->dims[axis];
    }
    return offset;
}

void gc_axes_to_planes(const gc_axes *axes, const gc_tensor *tensor, float *planes)
{
    int64_t strides[GC_MAX_RANK], grid[GC_MAX_GRID];
    int rank = 0;
    gc_strides(tensor->rank, tensor->dims, strides);
    const int64_t places = gc_axes_grid(axes, tensor, grid, &rank);
    const int64_t channels = gc_axes_channels(axes, tensor);
    const int64_t step = strides[gc_axis_find(axes, tensor->rank, GC_AXIS_CHANNEL)];
    for (int64_t p = 0; p < places; p++) {
        const float *const from = gc_floats(tensor) + place_offset(axes, tensor, strides, p);
        for (int64_t c = 0; c < channels; c++)
            planes[c * places + p] = from[c * step];
    }
}

const char *gc_grid_text(const gc_tokens *tokens, char text[GC_GRID_TEXT])
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < tokens->grid_rank; i++)
        used += (size_t)snprintf(text + used, GC_GRID_TEXT - used, "%s%lld", i > 0 ? "x" : "",
                                 (long long)tokens->grid[i]);
    if (tokens->extra > 0)
        snprintf(text + used, GC_GRID_TEXT - used, "+%lld", (long long)tokens->extra);
    return text;
}
