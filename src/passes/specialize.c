/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/passes.h"

#include <string.h>

#include "passes/evaluate.h"

int gc_graph_resolve(const gc_graph *graph, int value)
{
    while (value >= 0 && graph->values[value].same_as >= 0)
        value = graph->values[value].same_as;
    return value;
}

gradcam_status gc_count_uses(const gc_graph *graph, int **counts, gradcam_error *error)
{
    GC_TRY(gc_new(counts, (size_t)graph->value_count, sizeof **counts, error));
    for (int n = 0; n < graph->node_count; n++)
        for (int i = 0; i < graph->nodes[n].input_count; i++)
            if (graph->nodes[n].inputs[i] != GC_ABSENT)
                (*counts)[graph->nodes[n].inputs[i]]++;
    for (int o = 0; o < graph->output_count; o++)
        (*counts)[graph->outputs[o]]++;
    return GRADCAM_OK;
}

/* ---- Cutting -------------------------------------------------------------------------------- */

/* A fed value that a node makes gets detached from it; the node may still make others. */
static gradcam_status detach(gc_graph *graph, int value, gradcam_error *error)
{
    const int producer = graph->values[value].producer;
    if (producer < 0)
        return GRADCAM_OK;
    for (int o = 0; o < graph->nodes[producer].output_count; o++) {
        if (graph->nodes[producer].outputs[o] != value)
            continue;
        int unused = 0;
        GC_TRY(gc_graph_add_value(graph, "", &unused, error));
        graph->nodes[producer].outputs[o] = unused;
    }
    graph->values[value].producer = -1;
    return GRADCAM_OK;
}

static gradcam_status set_ends(gc_graph *graph, const gc_feed *feeds, int feed_count,
                               const int *targets, int target_count, gradcam_error *error)
{
    GC_TRY(gc_arena_new(graph->arena, &graph->inputs, (size_t)feed_count, sizeof(int), error));
    GC_TRY(gc_arena_new(graph->arena, &graph->outputs, (size_t)target_count, sizeof(int), error));
    for (int i = 0; i < feed_count; i++) {
        GC_TRY(detach(graph, feeds[i].value, error));
        graph->inputs[i] = feeds[i].value;
        graph->values[feeds[i].value].type = feeds[i].type;
        graph->values[feeds[i].value].type.data = NULL;
    }
    for (int i = 0; i < target_count; i++)
        graph->outputs[i] = targets[i];
    graph->input_count = feed_count;
    graph->output_count = target_count;
    return gc_graph_remove_dead(graph, error);
}

/* An input of the model that is needed but not fed: with several inputs this is the caller's
 * omission, so it is named. */
static gradcam_status check_inputs(const gc_graph *graph, gradcam_error *error)
{
    char text[GC_NODE_TEXT], shape[GC_SHAPE_TEXT];
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; i++) {
            const int v = node->inputs[i];
            bool fed = v == GC_ABSENT || graph->values[v].producer >= 0 ||
                       graph->values[v].constant != NULL;
            for (int f = 0; f < graph->input_count && !fed; f++)
                fed = graph->inputs[f] == v;
            GC_FAIL_IF(!fed, error, GRADCAM_ERROR_ARGUMENT,
                       "%s needs the model input '%s' (%s), which is not given: the model has "
                       "several inputs, and only one is the picture. Give it a value (--input "
                       "%s=FILE.npy, gradcam_explainer_options.inputs)",
                       gc_node_text(graph, node, text), graph->values[v].name,
                       gc_shape_text(&graph->values[v].type, shape), graph->values[v].name);
        }
    }
    return GRADCAM_OK;
}

/* ---- Shapes and folding --------------------------------------------------------------------- */

static gradcam_status infer_all(gc_graph *graph, gc_operands *operands, gradcam_error *error)
{
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        if (gc_is_unrolled(node))
            return gc_refuse_control_flow(graph, node, error);
        if (gc_is_foldable(graph, node))
            GC_TRY(gc_evaluate_node(graph, node, operands, error));
        else
            GC_TRY(gc_infer_node(graph, node, operands, error));
    }
    return GRADCAM_OK;
}

/* ---- No-ops --------------------------------------------------------------------------------- */

static bool all_equal(const gc_graph *graph, int value, int64_t expected)
{
    if (value == GC_ABSENT || graph->values[value].constant == NULL)
        return false;
    const gc_tensor *const t = gc_constant_tensor(graph->values[value].constant);
    for (int64_t i = 0; i < gc_tensor_count(t); i++)
        if (gc_ints(t)[i] != expected)
            return false;
    return true;
}

static bool attr_is_all(const gc_node *node, const char *name, int64_t expected)
{
    size_t count = 0;
    const int64_t *const values = gc_attr_ints(node, name, &count);
    for (size_t i = 0; i < count; i++)
        if (values[i] != expected)
            return false;
    return true;
}

static bool is_unit_pool(const gc_node *node)
{
    return attr_is_all(node, "kernel_shape", 1) && attr_is_all(node, "strides", 1) &&
           attr_is_all(node, "pads", 0);
}

/* Does output 0 equal input 0, element by element and in shape and type? */
static bool is_no_op(const gc_graph *graph, const gc_node *node)
{
    static const char *const views[] = {"Identity", "Dropout",   "Reshape", "Flatten",  "Squeeze",
                                        "Cast",     "Unsqueeze", "Expand",  "Transpose"};
    if (node->domain[0] != '\0' || node->input_count < 1 || node->inputs[0] == GC_ABSENT)
        return false;
    for (int o = 1; o < node->output_count; o++)
        if (node->outputs[o] != GC_ABSENT)
            return false;
    const gc_tensor *const in = &graph->values[node->inputs[0]].type;
    const gc_tensor *const out = &graph->values[node->outputs[0]].type;
    const bool both_float = gc_dtype_is_float(in->dtype) && gc_dtype_is_float(out->dtype);
    if (!gc_tensor_same_dims(in, out) || (in->dtype != out->dtype && !both_float))
        return false;
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++)
        if (strcmp(node->op, views[i]) == 0)
            return i + 1 < sizeof views / sizeof views[0] || out->rank < 2;
    if (strcmp(node->op, "Pad") == 0)
        return all_equal(graph, node->inputs[1], 0);
    return (strcmp(node->op, "AveragePool") == 0 || strcmp(node->op, "MaxPool") == 0) &&
           is_unit_pool(node);
}

/* Nodes are in order, so what a no-op's input stands for is known when the no-op is met. */
static gradcam_status drop_no_ops(gc_graph *graph, gradcam_error *error)
{
    for (int n = 0; n < graph->node_count; n++) {
        gc_node *const node = &graph->nodes[n];
        for (int i = 0; i < node->input_count; i++)
            if (node->inputs[i] != GC_ABSENT)
                node->inputs[i] = gc_graph_resolve(graph, node->inputs[i]);
        if (is_no_op(graph, node) && graph->values[node->outputs[0]].constant == NULL)
            graph->values[node->outputs[0]].same_as = node->inputs[0];
    }
    for (int o = 0; o < graph->output_count; o++)
        graph->outputs[o] = gc_graph_resolve(graph, graph->outputs[o]);
    return gc_graph_remove_dead(graph, error);
}

/* ---- The pass ------------------------------------------------------------------------------- */

static gradcam_status specialize(gc_graph *graph, const gc_feed *feeds, int feed_count,
                                 const int *targets, int target_count, gradcam_error *error)
{
    GC_TRY(set_ends(graph, feeds, feed_count, targets, target_count, error));
    GC_TRY(check_inputs(graph, error));
    gc_operands *operands = NULL;
    GC_TRY(gc_new(&operands, 1, sizeof *operands, error));
    const gradcam_status status = infer_all(graph, operands, error);
    gc_free(operands);
    GC_TRY(status);
    GC_TRY(gc_graph_remove_dead(graph, error));
    return drop_no_ops(graph, error);
}

gradcam_status gc_specialize(gc_graph **specialized, const gc_graph *graph, const gc_feed *feeds,
                             int feed_count, const int *targets, int target_count,
                             gradcam_error *error)
{
    GC_TRY(gc_graph_clone(specialized, graph, error));
    const gradcam_status status =
        specialize(*specialized, feeds, feed_count, targets, target_count, error);
    if (status != GRADCAM_OK)
        gc_graph_destroy(specialized);
    return status;
}
