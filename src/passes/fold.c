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

/* What no node reads any more goes at once: integer weights are held in eight bytes an element. */
static void release_inputs(gc_graph *graph, const gc_node *node, int *uses)
{
    for (int i = 0; i < node->input_count; i++) {
        const int v = node->inputs[i];
        if (v == GC_ABSENT || --uses[v] > 0)
            continue;
        gc_constant_release(graph->values[v].constant);
        graph->values[v].constant = NULL;
    }
}

static gradcam_status fold_all(gc_graph *graph, gc_operands *operands, int *uses,
                               gradcam_error *error)
{
    int kept = 0;
    for (int n = 0; n < graph->node_count; n++) {
        if (!has_only_constants(graph, &graph->nodes[n]) || gc_is_unrolled(&graph->nodes[n])) {
            kept++;
            continue;
        }
        GC_TRY(gc_evaluate_node(graph, &graph->nodes[n], operands, error));
        release_inputs(graph, &graph->nodes[n], uses);
    }
    return kept < graph->node_count ? gc_graph_remove_dead(graph, error) : GRADCAM_OK;
}

gradcam_status gc_fold_constants(gc_graph *graph, gradcam_error *error)
{
    gc_operands *operands = NULL;
    int *uses = NULL;
    GC_TRY(gc_count_uses(graph, &uses, error));
    gradcam_status status = gc_new(&operands, 1, sizeof *operands, error);
    if (status == GRADCAM_OK)
        status = fold_all(graph, operands, uses, error);
    gc_free(operands);
    gc_free(uses);
    return status;
}

/* ---- Once a model --------------------------------------------------------------------------- */

gradcam_status gc_prepare(gc_graph *graph, gradcam_error *error)
{
    GC_TRY(gc_graph_remove_dead(graph, error));
    GC_TRY(gc_check_supported(graph, error));
    GC_TRY(gc_fold_constants(graph, error));
    GC_TRY(gc_join_quantization(graph, error));
    return gc_prepare_batchnorm(graph, error);
}
