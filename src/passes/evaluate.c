/* SPDX-License-Identifier: Apache-2.0 */
#include "passes/evaluate.h"

#include <stdio.h>
#include <string.h>

/* More than any real constant; a hostile file can ask for petabytes with one ConstantOfShape. */
static const size_t max_constant_bytes = (size_t)8 << 30;

gradcam_status gc_operands_init(gc_operands *operands, gc_call *call, const gc_graph *graph,
                                const gc_node *node, gradcam_error *error)
{
    char text[GC_NODE_TEXT];
    GC_FAIL_IF(node->input_count > GC_MAX_OPERANDS || node->output_count > GC_MAX_OPERANDS, error,
               GRADCAM_ERROR_LIMIT, "%s has %d inputs and %d outputs; at most %d are supported",
               gc_node_text(graph, node, text), node->input_count, node->output_count,
               GC_MAX_OPERANDS);
    for (int i = 0; i < node->input_count; i++) {
        operands->input_pointers[i] = NULL;
        if (node->inputs[i] == GC_ABSENT)
            continue;
        const gc_value *const value = &graph->values[node->inputs[i]];
        operands->inputs[i] =
            value->constant != NULL ? *gc_constant_tensor(value->constant) : value->type;
        operands->input_pointers[i] = &operands->inputs[i];
    }
    for (int o = 0; o < node->output_count; o++) {
        operands->outputs[o] = (gc_tensor){.rank = -1};
        operands->output_pointers[o] = node->outputs[o] == GC_ABSENT ? NULL : &operands->outputs[o];
    }
    *call = (gc_call){.graph = graph,
                      .node = node,
                      .input_count = node->input_count,
                      .output_count = node->output_count,
                      .inputs = operands->input_pointers,
                      .outputs = operands->output_pointers,
                      .error = error};
    return GRADCAM_OK;
}

static gradcam_status check_operands(const gc_call *call, const gc_op *op)
{
    char text[GC_SHAPE_TEXT];
    if (op == NULL)
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED, "the operator is not supported");
    for (int i = 0; i < op->min_inputs; i++)
        if (!gc_op_has(call, i))
            return gc_op_fail(call, GRADCAM_ERROR_MODEL, "input %d is missing", i);
    for (int i = 0; i < call->input_count; i++)
        if (call->inputs[i] != NULL && call->inputs[i]->rank < 0)
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "the shape of input %d is not known", i);
    for (int i = 0; i < call->input_count; i++)
        if (call->inputs[i] != NULL && !gc_tensor_is_valid(call->inputs[i]))
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "input %d would have the shape %s", i,
                              gc_shape_text(call->inputs[i], text));
    if (op->max_inputs >= 0 && call->input_count > op->max_inputs)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%d inputs, at most %d are defined",
                          call->input_count, op->max_inputs);
    if (!gc_op_gives(call, 0))
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED, "its first output is not used");
    for (int o = op->max_outputs; o < call->output_count; o++)
        if (call->outputs[o] != NULL)
            return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED, "output %d is not supported", o);
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call, const gc_op *op)
{
    GC_TRY(check_operands(call, op));
    GC_TRY(op->infer(call));
    for (int o = 0; o < call->output_count; o++) {
        char text[GC_SHAPE_TEXT];
        if (call->outputs[o] != NULL && !gc_tensor_is_valid(call->outputs[o]))
            return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "output %d would have the shape %s", o,
                              gc_shape_text(call->outputs[o], text));
    }
    return GRADCAM_OK;
}

gradcam_status gc_infer_node(gc_graph *graph, const gc_node *node, gc_operands *operands,
                             gradcam_error *error)
{
    gc_call call;
    GC_TRY(gc_operands_init(operands, &call, graph, node, error));
    GC_TRY(infer(&call, gc_op_find(node->op, node->domain)));
    for (int o = 0; o < node->output_count; o++)
        if (node->outputs[o] != GC_ABSENT)
            graph->values[node->outputs[o]].type = operands->outputs[o];
    return GRADCAM_OK;
}

bool gc_is_foldable(const gc_graph *graph, const gc_node *node)
{
    if (strcmp(node->op, "Shape") == 0 || strcmp(node->op, "Size") == 0) {
        const int v = node->input_count > 0 ? node->inputs[0] : GC_ABSENT;
        return v != GC_ABSENT && gc_tensor_is_valid(&graph->values[v].type);
    }
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] != GC_ABSENT && graph->values[node->inputs[i]].constant == NULL)
            return false;
    return true;
}

static gradcam_status allocate_output(const gc_call *call, gc_budget *budget, gc_tensor *t)
{
    char node[GC_NODE_TEXT], what[GC_NODE_TEXT + 32];
    if (gc_tensor_bytes(t) > max_constant_bytes)
        return gc_op_fail(call, GRADCAM_ERROR_LIMIT, "a constant of %zu bytes; at most %zu",
                          gc_tensor_bytes(t), max_constant_bytes);
    snprintf(what, sizeof what, "%s: a constant", gc_node_text(call->graph, call->node, node));
    GC_TRY(gc_budget_take(budget, gc_tensor_bytes(t), what, call->error));
    const gradcam_status status = gc_tensor_alloc(t, call->error);
    if (status != GRADCAM_OK)
        gc_budget_give(budget, gc_tensor_bytes(t));
    return status;
}

static gradcam_status allocate(const gc_call *call)
{
    for (int o = 0; o < call->output_count; o++)
        if (call->outputs[o] != NULL)
            GC_TRY(allocate_output(call, call->graph->budget, call->outputs[o]));
    return GRADCAM_OK;
}

/* Shapes and small integers need no weights; values do. */
static gradcam_status load_inputs(const gc_call *call, gc_operands *operands)
{
    for (int i = 0; i < call->input_count; i++) {
        const int v = call->node->inputs[i];
        if (v != GC_ABSENT && call->graph->values[v].constant != NULL)
            GC_TRY(gc_node_load(call->graph, call->node, i, &operands->inputs[i], call->error));
    }
    return GRADCAM_OK;
}

/* Outputs that were allocated and not kept. */
static void drop_outputs(gc_operands *operands, int count, gc_budget *budget)
{
    for (int o = 0; o < count; o++) {
        gc_tensor *const t = &operands->outputs[o];
        if (t->data != NULL)
            gc_budget_give(budget, gc_tensor_bytes(t));
        gc_tensor_free(t);
    }
}

static gradcam_status run(gc_call *call, const gc_op *op)
{
    const size_t scratch = op->scratch != NULL ? op->scratch(call) : 0;
    if (scratch > 0)
        GC_TRY(gc_new_raw(&call->scratch, 1, scratch, call->error));
    const gradcam_status status = op->forward(call);
    gc_free(call->scratch);
    return status;
}

static gradcam_status keep(gc_graph *graph, const gc_node *node, gc_operands *operands,
                           gradcam_error *error)
{
    for (int o = 0; o < node->output_count; o++) {
        if (node->outputs[o] == GC_ABSENT)
            continue;
        gc_constant *constant = NULL;
        GC_TRY(gc_constant_create(&constant, &operands->outputs[o], error));
        gc_constant_charge(constant, graph->budget);
        gc_value *const value = &graph->values[node->outputs[o]];
        gc_constant_release(value->constant);
        value->constant = constant;
        value->type = *gc_constant_tensor(constant);
        value->type.data = NULL;
    }
    return GRADCAM_OK;
}

gradcam_status gc_evaluate_node(gc_graph *graph, const gc_node *node, gc_operands *operands,
                                gradcam_error *error)
{
    gc_call call;
    GC_TRY(gc_operands_init(operands, &call, graph, node, error));
    const gc_op *const op = gc_op_find(node->op, node->domain);
    GC_TRY(infer(&call, op));
    gradcam_status status = load_inputs(&call, operands);
    if (status == GRADCAM_OK)
        status = allocate(&call);
    if (status == GRADCAM_OK)
        status = run(&call, op);
    if (status == GRADCAM_OK)
        status = keep(graph, node, operands, error);
    drop_outputs(operands, node->output_count, graph->budget);
    return status;
}
