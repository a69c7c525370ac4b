/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that are planned in another way than by their operator's own kernel, most by oneDNN. One
 * row per operator; a row may decline. */
#include "engine/build.h"

#include <string.h>

static gc_call call_of(const gc_plan *plan, const gc_node *node, gradcam_error *error)
{
    return (gc_call){.graph = plan->graph, .node = node, .error = error};
}

/* ---- Convolution ---------------------------------------------------------------------------- */

bool gc_conv_spec_of(gc_plan *plan, const gc_node *node, gc_conv_spec *spec)
{
    const gc_value *const values = plan->graph->values;
    const bool has_bias = node->input_count > 2 && node->inputs[2] != GC_ABSENT;
    const gc_call call = call_of(plan, node, NULL);
    int64_t out[GC_MAX_SPATIAL];
    *spec = (gc_conv_spec){.src = values[node->inputs[0]].type,
                           .dst = values[node->outputs[0]].type,
                           .weights = values[node->inputs[1]].constant,
                           .bias = has_bias ? values[node->inputs[2]].constant : NULL,
                           .group = gc_attr_int(node, "group", 1)};
    if (spec->weights == NULL || (has_bias && spec->bias == NULL) || spec->src.rank > 5 ||
        gc_tensor_count(&spec->src) == 0)
        return false;
    const int64_t *const kernel = gc_constant_tensor(spec->weights)->dims + 2;
    spec->bfloat16 = plan->bfloat16 && gc_conv_pays_rounded(spec);
    return gc_window_resolve(&call, &spec->src, kernel, &spec->window, out) == GRADCAM_OK;
}

/* May the result be added onto the residual in place? Settles the slot. */
static gradcam_status residual_slot(gc_plan *plan, int residual, gc_layout layout, int *slot,
                                    gradcam_error *error)
{
    const gc_item *const item = &plan->items[residual];
    const bool is_copy = item->slots[layout] == GC_NO_SLOT;
    *slot = GC_NO_SLOT;
    if (plan->is_kept[residual] && !is_copy)
        return GRADCAM_OK;
    int found = GC_NO_SLOT;
    GC_TRY(gc_item_need(plan, residual, layout, &found, error));
    if (gc_slot_is_free_after(plan, found, 1))
        *slot = found;
    return GRADCAM_OK;
}

/* Is the value read by convolutions only, which round it? */
static bool is_read_rounded(gc_plan *plan, int value)
{
    enum { KNOWN_READERS = 2 };
    const gc_tensor *const type = &plan->graph->values[value].type;
    if (plan->is_kept[value] || plan->uses[value] < 1 || plan->uses[value] > KNOWN_READERS ||
        type->dims[1] % gc_layout_block(gc_dnnl_blocked_layout()) != 0)
        return false;
    for (int i = 0; i < plan->uses[value]; i++) {
        const gc_node *const reader = &plan->graph->nodes[plan->readers[value][i]];
        gc_conv_spec spec;
        if (strcmp(reader->op, "Conv") != 0 || reader->domain[0] != '\0' ||
            reader->inputs[0] != value || !gc_conv_spec_of(plan, reader, &spec) || !spec.bfloat16)
            return false;
    }
    return true;
}

static void use_fusion(gc_plan *plan, gc_conv_spec *spec, const gc_fusion *fusion)
{
    spec->rounds_result =
        spec->bfloat16 && fusion->residual == GC_ABSENT && is_read_rounded(plan, fusion->output);
    spec->post_count = fusion->post_count;
    memcpy(spec->posts, fusion->posts, sizeof spec->posts);
}

/* Makes the kernel with as much fused as possible; *dst_slot is the residual's slot or none. */
static gradcam_status fused_kernel(gc_plan *plan, int node, gc_conv_spec *spec, gc_fusion *fusion,
                                   gc_kernel **kernel, int *dst_slot, gradcam_error *error)
{
    *dst_slot = GC_NO_SLOT;
    const int src = plan->graph->nodes[node].inputs[0];
    gc_fusion_find(plan, node, true, fusion);
    use_fusion(plan, spec, fusion);
    gc_conv_rank_ways(plan, src, fusion->residual, fusion->output, spec);
    GC_TRY(gc_dnnl_conv(plan->dnnl, plan->packs, spec, kernel, error));
    if (fusion->residual == GC_ABSENT && (*kernel != NULL || fusion->post_count == 0))
        return GRADCAM_OK;
    if (*kernel != NULL) {
        const gradcam_status status =
            residual_slot(plan, fusion->residual, gc_kernel_dst_layout(*kernel), dst_slot, error);
        if (status == GRADCAM_OK && *dst_slot != GC_NO_SLOT)
            return GRADCAM_OK;
        gc_kernel_destroy(kernel);
        GC_TRY(status);
    }
    gc_fusion_find(plan, node, false, fusion);
    use_fusion(plan, spec, fusion);
    gc_conv_rank_ways(plan, src, GC_ABSENT, fusion->output, spec);
    GC_TRY(gc_dnnl_conv(plan->dnnl, plan->packs, spec, kernel, error));
    if (*kernel != NULL || fusion->post_count == 0)
        return GRADCAM_OK;
    *fusion = (gc_fusion){.output = plan->graph->nodes[node].outputs[0], .residual = GC_ABSENT};
    use_fusion(plan, spec, fusion);
    return gc_dnnl_conv(plan->dnnl, plan->packs, spec, kernel, error);
}

static gradcam_status add_conv(gc_plan *plan, int node, const gc_fusion *fusion, gc_kernel *kernel,
                               int dst_slot, gradcam_error *error)
{
    const gc_layout layout = gc_kernel_dst_layout(kernel);
    int src_slot = GC_NO_SLOT;
    gradcam_status status = gc_item_need(plan, plan->graph->nodes[node].inputs[0],
                                         gc_kernel_src_layout(kernel), &src_slot, error);
    if (status == GRADCAM_OK)
        status = gc_item_place(plan, fusion->output, layout, dst_slot, error);
    if (status != GRADCAM_OK) {
        gc_kernel_destroy(&kernel);
        return status;
    }
    GC_TRY(gc_step_kernel(plan, kernel, src_slot, GC_NO_SLOT, GC_NO_SLOT,
                          plan->items[fusion->output].slots[layout], error));
    /* The padding channels come out as act(0), which is not always 0. */
    GC_TRY(gc_step_clear(plan, fusion->output, error));
    gc_node_is_planned(plan, node);
    for (int i = 0; i < fusion->node_count; i++)
        gc_node_is_planned(plan, fusion->nodes[i]);
    return GRADCAM_OK;
}

gradcam_status gc_fail_packing(const gc_plan *plan, const gc_node *node, gradcam_status status,
                               gradcam_error *error)
{
    const bool is_about_weights = status == GRADCAM_ERROR_FILE || status == GRADCAM_ERROR_NUMERIC;
    return is_about_weights ? gc_fail_weight(plan->graph, node, 1, status, error) : status;
}

static gradcam_status conv(gc_plan *plan, int node, bool *taken, gradcam_error *error)
{
    gc_conv_spec spec;
    gc_fusion fusion;
    gc_kernel *kernel = NULL;
    int dst_slot = GC_NO_SLOT;
    if (!gc_conv_spec_of(plan, &plan->graph->nodes[node], &spec))
        return GRADCAM_OK;
    const gradcam_status status =
        fused_kernel(plan, node, &spec, &fusion, &kernel, &dst_slot, error);
    if (status != GRADCAM_OK)
        return gc_fail_packing(plan, &plan->graph->nodes[node], status, error);
    *taken = kernel != NULL;
    return *taken ? add_conv(plan, node, &fusion, kernel, dst_slot, error) : GRADCAM_OK;
}

/* ---- Pooling -------------------------------------------------------------------------------- */

/* oneDNN wants end paddings that make the extents agree; with ceil_mode that is more than the file
 * says. Returns whether any window reaches beyond the padding. */
static bool extend_padding(gc_window *w, const gc_tensor *src, const gc_tensor *dst)
{
    bool extended = false;
    for (int i = 0; i < w->spatial; i++) {
        const int64_t reach =
            (dst->dims[i + 2] - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1;
        const int64_t needed = reach - src->dims[i + 2] - w->pad_begin[i];
        if (needed > w->pad_end[i]) {
            w->pad_end[i] = needed;
            extended = true;
        }
    }
    return extended;
}

static gradcam_status pool(gc_plan *plan, int node, bool *taken, gradcam_error *error)
{
    const gc_node *const n = &plan->graph->nodes[node];
    const gc_item *const src = &plan->items[n->inputs[0]];
    const gc_tensor *const dst = &plan->graph->values[n->outputs[0]].type;
    const bool is_max = strcmp(n->op, "MaxPool") == 0;
    const gc_call call = call_of(plan, n, NULL);
    gc_window window;
    int64_t out[GC_MAX_SPATIAL];
    for (int o = 1; o < n->output_count; o++)
        if (n->outputs[o] != GC_ABSENT)
            return GRADCAM_OK;
    if (src->type.rank > 5 || !gc_dtype_is_float(src->type.dtype) ||
        gc_window_resolve(&call, &src->type, NULL, &window, out) != GRADCAM_OK)
        return GRADCAM_OK;
    const bool counts_padding = gc_attr_int(n, "count_include_pad", 0) != 0;
    if (extend_padding(&window, &src->type, dst) && !is_max && counts_padding)
        return GRADCAM_OK;
    const gc_pool_kind kind = is_max           ? GC_POOL_MAX
                              : counts_padding ? GC_POOL_AVERAGE_PADDED
                                               : GC_POOL_AVERAGE;
    gc_kernel *kernel = NULL;
    const gc_layout layout = src->home;
    const int src_slot = src->slots[layout];
    GC_TRY(gc_dnnl_pool(plan->dnnl, kind, &src->type, dst, layout, &window, &kernel, error));
    if (kernel == NULL)
        return GRADCAM_OK;
    const gradcam_status status = gc_item_place(plan, n->outputs[0], layout, GC_NO_SLOT, error);
    if (status != GRADCAM_OK) {
        gc_kernel_destroy(&kernel);
        return status;
    }
    GC_TRY(gc_step_kernel(plan, kernel, src_slot, GC_NO_SLOT, GC_NO_SLOT,
                          plan->items[n->outputs[0]].slots[layout], error));
    gc_node_is_planned(plan, node);
    *taken = true;
    return GRADCAM_OK;
}

/* ---- Matrix products ------------------------------------------------------------------------ */

/* Rows of the first operand are folded together where the second is one matrix. */
static bool describe_matmul(const gc_tensor *a, const gc_tensor *b, gc_matmul_spec *spec)
{
    if (a->rank < 2 || b->rank < 2 || (b->rank > 2 && b->rank != a->rank))
        return false;
    const int64_t inner = a->dims[a->rank - 1], columns = b->dims[b->rank - 1];
    *spec = (gc_matmul_spec){.batch = 1,
                             .rows = a->dims[a->rank - 2],
                             .inner = inner,
                             .columns = columns,
                             .b_strides = {inner * columns, columns, 1}};
    for (int i = 0; i < a->rank - 2; i++) {
        if (b->rank > 2 && a->dims[i] != b->dims[i])
            return false;
        *(b->rank > 2 ? &spec->batch : &spec->rows) *= a->dims[i];
    }
    spec->a_strides[0] = spec->rows * inner;
    spec->a_strides[1] = inner;
    spec->a_strides[2] = 1;
    return true;
}

static bool describe_gemm(const gc_plan *plan, const gc_node *node, gc_matmul_spec *spec)
{
    const gc_tensor *const a = &plan->graph->values[node->inputs[0]].type;
    const gc_tensor *const b = &plan->graph->values[node->inputs[1]].type;
    const bool trans_a = gc_attr_int(node, "transA", 0) != 0;
    const bool trans_b = gc_attr_int(node, "transB", 0) != 0;
    const bool has_bias = node->input_count > 2 && node->inputs[2] != GC_ABSENT;
    if (gc_attr_float(node, "alpha", 1.0f) != 1.0f ||
        (has_bias && gc_attr_float(node, "beta", 1.0f) != 1.0f) || a->rank != 2 || b->rank != 2)
        return false;
    *spec = (gc_matmul_spec){.batch = 1,
                             .rows = a->dims[trans_a ? 1 : 0],
                             .inner = a->dims[trans_a ? 0 : 1],
                             .columns = b->dims[trans_b ? 0 : 1],
                             .has_bias = has_bias};
    spec->a_strides[1] = trans_a ? 1 : spec->inner;
    spec->a_strides[2] = trans_a ? spec->rows : 1;
    spec->b_strides[1] = trans_b ? 1 : spec->columns;
    spec->b_strides[2] = trans_b ? spec->inner : 1;
    if (!has_bias)
        return true;
    const gc_tensor *const c = &plan->graph->values[node->inputs[2]].type;
    return gc_tensor_count(c) == spec->columns && c->rank > 0 &&
           c->dims[c->rank - 1] == spec->columns;
}

/* Inner products with the rows of the weights, as a classifier's: nothing to do but to read them,
 * which the plain kernel does faster. */
static bool is_row_by_columns(const gc_matmul_spec *spec)
{
    return spec->batch == 1 && spec->rows == 1 && spec->b_strides[1] == 1 && spec->columns > 1;
}

static gradcam_status matmul(gc_plan *plan, int node, bool *taken, gradcam_error *error)
{
    const gc_node *const n = &plan->graph->nodes[node];
    const gc_value *const values = plan->graph->values;
    gc_matmul_spec spec;
    gc_kernel *kernel = NULL;
    int slots[3] = {GC_NO_SLOT, GC_NO_SLOT, GC_NO_SLOT};
    const bool fits =
        strcmp(n->op, "Gemm") == 0
            ? describe_gemm(plan, n, &spec)
            : describe_matmul(&values[n->inputs[0]].type, &values[n->inputs[1]].type, &spec);
    if (!fits || is_row_by_columns(&spec) || !gc_dtype_is_float(values[n->outputs[0]].type.dtype))
        return GRADCAM_OK;
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] != GC_ABSENT)
            GC_TRY(gc_item_need(plan, n->inputs[i], GC_LAYOUT_PLAIN, &slots[i], error));
    GC_TRY(gc_dnnl_matmul(plan->dnnl, &spec, &kernel, error));
    if (kernel == NULL)
        return GRADCAM_OK;
    const gradcam_status status =
        gc_item_place(plan, n->outputs[0], GC_LAYOUT_PLAIN, GC_NO_SLOT, error);
    if (status != GRADCAM_OK) {
        gc_kernel_destroy(&kernel);
        return status;
    }
    GC_TRY(gc_step_kernel(plan, kernel, slots[0], slots[1], slots[2],
                          plan->items[n->outputs[0]].slots[GC_LAYOUT_PLAIN], error));
    gc_node_is_planned(plan, node);
    *taken = true;
    return GRADCAM_OK;
}

/* ---- Table ---------------------------------------------------------------------------------- */

gradcam_status gc_forward_fast(gc_plan *plan, int node, bool *taken, gradcam_error *error)
{
    static const struct {
        const char *op;
        gradcam_status (*plan)(gc_plan *plan, int node, bool *taken, gradcam_error *error);
    } rows[] = {{"AveragePool", pool},
                {"BatchNormalization", gc_forward_affine},
                {"Concat", gc_forward_concat},
                {"Conv", conv},
                {"Gemm", matmul},
                {"MatMul", matmul},
                {"MaxPool", pool},
                {"Mul", gc_forward_gate}};
    const gc_node *const n = &plan->graph->nodes[node];
    *taken = false;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !plan->plain && n->domain[0] == '\0';
         i++)
        if (strcmp(rows[i].op, n->op) == 0)
            return rows[i].plan(plan, node, taken, error);
    return GRADCAM_OK;
}
