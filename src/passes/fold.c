/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/passes.h"

#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "passes/evaluate.h"

/* ---- Supported operators -------------------------------------------------------------------- */

static bool is_missing(const gc_node *node)
{
    return gc_op_find(node->op, node->domain) == NULL && !gc_is_unrolled(node);
}

/* An operator that has no row, in the order in which they come. */
typedef struct missing_op {
    int first, count; /* node, number of nodes */
} missing_op;

/* The key in `seen`: an operator by its domain and name. */
static gradcam_status count_missing(const gc_graph *graph, gc_map *seen, missing_op *list,
                                    int *list_count, gradcam_error *error)
{
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        const char *key = NULL;
        if (!is_missing(node))
            continue;
        GC_TRY(gc_arena_format(graph->arena, &key, error, "%s.%s", node->domain, node->op));
        const int at = gc_map_get(seen, key, *list_count);
        if (at == *list_count) {
            GC_TRY(gc_map_set(seen, key, at, error));
            list[(*list_count)++].first = n;
        }
        list[at].count++;
    }
    return GRADCAM_OK;
}

static gradcam_status refuse_missing(const gc_graph *graph, const missing_op *ops, int count,
                                     gradcam_error *error)
{
    char list[1400] = "", text[GC_NODE_TEXT];
    size_t used = 0;
    for (int i = 0; i < count; i++) {
        const gc_node *const node = &graph->nodes[ops[i].first];
        const int length =
            snprintf(list + used, sizeof list - used, "\n  %s%s%s, %d times; first %s",
                     node->domain, node->domain[0] != '\0' ? "." : "", node->op, ops[i].count,
                     gc_node_text(graph, node, text));
        if (length > 0 && used + (size_t)length < sizeof list)
            used += (size_t)length;
        else
            list[used] = '\0'; /* the count in the message tells that there are more */
    }
    return gc_fail(
        error, GRADCAM_ERROR_UNSUPPORTED,
        "the model uses %d operator type%s that gradcam does not have:%s\nSimplify the model "
        "(onnxsim), export with another opset, or ask for the operator.",
        count, count == 1 ? "" : "s", list);
}

gradcam_status gc_check_operands(const gc_graph *graph, gradcam_error *error)
{
    char text[GC_NODE_TEXT];
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        const gc_op *const op = gc_op_find(node->op, node->domain);
        for (int i = 0; op != NULL && i < op->min_inputs; i++)
            GC_FAIL_IF(i >= node->input_count || node->inputs[i] == GC_ABSENT, error,
                       GRADCAM_ERROR_MODEL, "%s: input %d is missing; the operator needs %d",
                       gc_node_text(graph, node, text), i, op->min_inputs);
        GC_FAIL_IF(op != NULL && op->max_inputs >= 0 && node->input_count > op->max_inputs, error,
                   GRADCAM_ERROR_MODEL, "%s: %d inputs, at most %d are defined",
                   gc_node_text(graph, node, text), node->input_count, op->max_inputs);
    }
    return GRADCAM_OK;
}

static gradcam_status check_rows(const gc_graph *graph, missing_op *list, gradcam_error *error)
{
    gc_map *seen = NULL;
    int count = 0;
    GC_TRY(gc_map_create(&seen, error));
    gradcam_status status = count_missing(graph, seen, list, &count, error);
    gc_map_destroy(&seen);
    if (status == GRADCAM_OK && count > 0)
        status = refuse_missing(graph, list, count, error);
    return status;
}

gradcam_status gc_check_supported(const gc_graph *graph, gradcam_error *error)
{
    missing_op *list = NULL;
    int count = 0;
    for (int n = 0; n < graph->node_count; n++)
        count += is_missing(&graph->nodes[n]);
    GC_TRY(gc_new(&list, (size_t)count, sizeof *list, error));
    const gradcam_status status = count > 0 ? check_rows(graph, list, error) : GRADCAM_OK;
    gc_free(list);
    return status == GRADCAM_OK ? gc_check_operands(graph, error) : status;
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
