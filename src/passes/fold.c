/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/passes.h"

#include <stdio.h>
#include <string.h>

#include "passes/evaluate.h"

/* ---- Supported operators -------------------------------------------------------------------- */

static bool seen_before(const gc_graph *graph, int index)
{
    for (int n = 0; n < index; n++)
        if (strcmp(graph->nodes[n].op, graph->nodes[index].op) == 0 &&
            strcmp(graph->nodes[n].domain, graph->nodes[index].domain) == 0)
            return true;
    return false;
}

static int count_same(const gc_graph *graph, int index)
{
    int count = 0;
    for (int n = index; n < graph->node_count; n++)
        count += strcmp(graph->nodes[n].op, graph->nodes[index].op) == 0 &&
                 strcmp(graph->nodes[n].domain, graph->nodes[index].domain) == 0;
    return count;
}

gradcam_status gc_check_supported(const gc_graph *graph, gradcam_error *error)
{
    char list[1400] = "";
    size_t used = 0;
    int missing = 0;
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        if (gc_op_find(node->op, node->domain) != NULL || gc_is_unrolled(node) ||
            seen_before(graph, n))
            continue;
        char text[GC_NODE_TEXT];
        missing++;
        const int length =
            snprintf(list + used, sizeof list - used, "\n  %s%s%s, %d times; first %s",
                     node->domain, node->domain[0] != '\0' ? "." : "", node->op,
                     count_same(graph, n), gc_node_text(graph, node, text));
        if (length > 0 && used + (size_t)length < sizeof list)
            used += (size_t)length;
        else
            list[used] = '\0'; /* the count in the message tells that there are more */
    }
    GC_FAIL_IF(
        missing > 0, error, GRADCAM_ERROR_UNSUPPORTED,
        "the model uses %d operator type%s that gradcam does not have:%s\nSimplify the model "
        "(onnxsim), export with another opset, or ask for the operator.",
        missing, missing == 1 ? "" : "s", list);
    return GRADCAM_OK;
}

/* ---- Constants ------------------------------------------------------------------------------ */

/* Shape and Size must wait for concrete extents. */
static bool has_only_constants(const gc_graph *graph, const gc_node *node)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] != GC_ABSENT && graph->values[node->inputs[i]].constant == NULL)
            return false;
    return node->input_count > 0;
}

static gradcam_status fold_all(gc_graph *graph, gc_operands *operands, gradcam_error *error)
{
    int kept = 0;
    for (int n = 0; n < graph->node_count; n++) {
        if (has_only_constants(graph, &graph->nodes[n]) && !gc_is_unrolled(&graph->nodes[n]))
            GC_TRY(gc_evaluate_node(graph, &graph->nodes[n], operands, error));
        else
            kept++;
    }
    return kept < graph->node_count ? gc_graph_remove_dead(graph, error) : GRADCAM_OK;
}

gradcam_status gc_fold_constants(gc_graph *graph, gradcam_error *error)
{
    gc_operands *operands = NULL;
    GC_TRY(gc_new(&operands, 1, sizeof *operands, error));
    const gradcam_status status = fold_all(graph, operands, error);
    gc_free(operands);
    return status;
}

/* ---- Once a model --------------------------------------------------------------------------- */

gradcam_status gc_prepare(gc_graph *graph, gradcam_error *error)
{
    GC_TRY(gc_graph_remove_dead(graph, error));
    GC_TRY(gc_check_supported(graph, error));
    GC_TRY(gc_fold_constants(graph, error));
    return gc_prepare_batchnorm(graph, error);
}
