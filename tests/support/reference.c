/* SPDX-License-Identifier: Apache-2.0 */
#include "reference.h"

#include <string.h>

struct reference {
    const gc_graph *graph;
    gc_tensor *values;    /**< data belongs to the interpreter, but for constants. */
    gc_tensor *gradients; /**< data is NULL where none arrived. */
    bool *known;          /**< Does not depend on what was fed. */
    bool *wanted;         /**< Asked for, or on the way to one that was. */
    /* Operands of the node at hand; room for the largest node. */
    gc_tensor *input_views, *output_views, *input_grads;
    const gc_tensor **inputs, **output_grads;
    gc_tensor **outputs, **input_grad_slots;
    void *poison; /**< NaN; as large as the largest tensor. */
};

static int largest_node(const gc_graph *graph)
{
    int most = 1;
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        most = node->input_count > most ? node->input_count : most;
        most = node->output_count > most ? node->output_count : most;
    }
    return most;
}

static gradcam_status allocate(reference *r, gradcam_error *error)
{
    const size_t values = (size_t)r->graph->value_count;
    const size_t slots = (size_t)largest_node(r->graph);
    GC_TRY(gc_new(&r->values, values, sizeof *r->values, error));
    GC_TRY(gc_new(&r->gradients, values, sizeof *r->gradients, error));
    GC_TRY(gc_new(&r->known, values, sizeof *r->known, error));
    GC_TRY(gc_new(&r->wanted, values, sizeof *r->wanted, error));
    GC_TRY(gc_new(&r->input_views, slots, sizeof *r->input_views, error));
    GC_TRY(gc_new(&r->output_views, slots, sizeof *r->output_views, error));
    GC_TRY(gc_new(&r->input_grads, slots, sizeof *r->input_grads, error));
    GC_TRY(gc_new(&r->inputs, slots, sizeof *r->inputs, error));
    GC_TRY(gc_new(&r->output_grads, slots, sizeof *r->output_grads, error));
    GC_TRY(gc_new(&r->outputs, slots, sizeof *r->outputs, error));
    return gc_new(&r->input_grad_slots, slots, sizeof *r->input_grad_slots, error);
}

gradcam_status reference_create(reference **out, const gc_graph *graph, gradcam_error *error)
{
    GC_TRY(gc_new(out, 1, sizeof **out, error));
    reference *const r = *out;
    r->graph = graph;
    gradcam_status status = allocate(r, error);
    for (int v = 0; v < graph->value_count && status == GRADCAM_OK; v++) {
        r->values[v] = graph->values[v].type;
        r->known[v] = graph->values[v].constant != NULL;
        if (r->known[v])
            status = gc_constant_load(graph->values[v].constant, &r->values[v], error);
    }
    if (status != GRADCAM_OK)
        reference_destroy(out);
    return status;
}

void reference_destroy(reference **out)
{
    if (out == NULL || *out == NULL)
        return;
    reference *const r = *out;
    for (int v = 0; v < r->graph->value_count; v++) {
        if (r->values != NULL && r->graph->values[v].constant == NULL)
            gc_tensor_free(&r->values[v]);
        if (r->gradients != NULL)
            gc_tensor_free(&r->gradients[v]);
    }
    void *const blocks[] = {r->values,
                            r->gradients,
                            r->known,
                            r->wanted,
                            r->input_views,
                            r->output_views,
                            r->input_grads,
                            (void *)r->inputs,
                            (void *)r->output_grads,
                            (void *)r->outputs,
                            (void *)r->input_grad_slots,
                            r->poison,
                            r};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        gc_free(blocks[i]);
    *out = NULL;
}

gradcam_status reference_feed(reference *r, int value, const gc_tensor *tensor,
                              gradcam_error *error)
{
    gc_tensor *const to = &r->values[value];
    gc_tensor_free(to);
    gc_tensor_describe(to, tensor->dtype, tensor->rank, tensor->dims);
    GC_TRY(gc_tensor_alloc(to, error));
    memcpy(to->data, tensor->data, gc_tensor_bytes(to));
    return GRADCAM_OK;
}

/* ---- Forward -------------------------------------------------------------------------------- */

static gradcam_status find_op(const reference *r, const gc_node *node, const gc_op **op,
                              gradcam_error *error)
{
    char text[GC_NODE_TEXT];
    *op = gc_op_find(node->op, node->domain);
    GC_FAIL_IF(*op == NULL, error, GRADCAM_ERROR_UNSUPPORTED, "%s: no such operator",
               gc_node_text(r->graph, node, text));
    GC_FAIL_IF(node->input_count < (*op)->min_inputs ||
                   ((*op)->max_inputs >= 0 && node->input_count > (*op)->max_inputs) ||
                   node->output_count > (*op)->max_outputs,
               error, GRADCAM_ERROR_MODEL, "%s: wrong number of inputs or outputs",
               gc_node_text(r->graph, node, text));
    for (int i = 0; i < (*op)->min_inputs; i++)
        GC_FAIL_IF(node->inputs[i] == GC_ABSENT, error, GRADCAM_ERROR_MODEL,
                   "%s: input %d is missing", gc_node_text(r->graph, node, text), i);
    return GRADCAM_OK;
}

static bool reads_only_shapes(const gc_op *op)
{
    return strcmp(op->name, "Shape") == 0 || strcmp(op->name, "Size") == 0;
}

/* Views of the node's operands. */
static gc_call make_call(reference *r, const gc_node *node, gradcam_error *error)
{
    for (int i = 0; i < node->input_count; i++) {
        const int v = node->inputs[i];
        if (v != GC_ABSENT)
            r->input_views[i] = r->values[v];
        r->inputs[i] = v != GC_ABSENT ? &r->input_views[i] : NULL;
    }
    for (int i = 0; i < node->output_count; i++) {
        const int v = node->outputs[i];
        if (v != GC_ABSENT)
            r->output_views[i] = r->values[v];
        r->outputs[i] = v != GC_ABSENT ? &r->output_views[i] : NULL;
    }
    return (gc_call){.graph = r->graph,
                     .node = node,
                     .input_count = node->input_count,
                     .output_count = node->output_count,
                     .inputs = r->inputs,
                     .outputs = r->outputs,
                     .error = error};
}

static gradcam_status infer(reference *r, const gc_op *op, const gc_node *node,
                            gradcam_error *error)
{
    const gc_call call = make_call(r, node, error);
    bool known = true;
    for (int i = 0; i < node->input_count; i++)
        if (r->inputs[i] != NULL && !r->known[node->inputs[i]]) {
            r->input_views[i].data = NULL;
            known = false;
        }
    GC_TRY(op->infer(&call));
    for (int i = 0; i < node->output_count; i++) {
        const int v = node->outputs[i];
        if (v == GC_ABSENT)
            continue;
        r->known[v] = known || reads_only_shapes(op);
        r->values[v] = r->output_views[i];
        GC_TRY(gc_tensor_alloc(&r->values[v], error));
        memset(r->values[v].data, 0xff, gc_tensor_bytes(&r->values[v])); /* NaN */
    }
    return GRADCAM_OK;
}

static gradcam_status fail_contract(const reference *r, const gc_node *node, const char *what,
                                    gradcam_error *error)
{
    char text[GC_NODE_TEXT];
    return gc_fail(error, GRADCAM_ERROR_INTERNAL, "%s: %s", gc_node_text(r->graph, node, text),
                   what);
}

/* Runs an in-place kernel again, this time in place. */
static gradcam_status check_in_place(reference *r, const gc_op *op, const gc_call *call)
{
    const gc_tensor *const out = call->outputs[0];
    const size_t bytes = gc_tensor_bytes(out);
    if (!op->is_in_place || gc_tensor_bytes(call->inputs[0]) != bytes ||
        gc_dtype_is_float(out->dtype) != gc_dtype_is_float(call->inputs[0]->dtype))
        return GRADCAM_OK;
    void *copy = NULL;
    GC_TRY(gc_new(&copy, 1, bytes, call->error));
    memcpy(copy, call->inputs[0]->data, bytes);
    r->input_views[0].data = copy;
    r->output_views[0].data = copy;
    gradcam_status status = op->forward(call);
    const int v = call->node->outputs[0];
    if (status == GRADCAM_OK && memcmp(copy, r->values[v].data, bytes) != 0)
        status = fail_contract(r, call->node, "in place it computes something else", call->error);
    gc_free(copy);
    return status;
}

static gradcam_status run_node(reference *r, const gc_node *node, gradcam_error *error)
{
    const gc_op *op = NULL;
    GC_TRY(find_op(r, node, &op, error));
    GC_TRY(infer(r, op, node, error));
    gc_call call = make_call(r, node, error);
    if (reads_only_shapes(op))
        r->input_views[0].data = NULL;
    if (op->scratch != NULL)
        GC_TRY(gc_new(&call.scratch, 1, op->scratch(&call), error));
    gradcam_status status = op->forward(&call);
    if (status == GRADCAM_OK && op->is_view &&
        (gc_tensor_bytes(call.inputs[0]) != gc_tensor_bytes(call.outputs[0]) ||
         memcmp(call.inputs[0]->data, call.outputs[0]->data, gc_tensor_bytes(call.inputs[0])) != 0))
        status = fail_contract(r, node, "a view has other bytes than its input", error);
    if (status == GRADCAM_OK)
        status = check_in_place(r, op, &call);
    gc_free(call.scratch);
    return status;
}

gradcam_status reference_forward(reference *r, gradcam_error *error)
{
    for (int n = 0; n < r->graph->node_count; n++)
        GC_TRY(run_node(r, &r->graph->nodes[n], error));
    size_t most = 1;
    for (int v = 0; v < r->graph->value_count; v++)
        if (r->values[v].rank >= 0 && gc_tensor_bytes(&r->values[v]) > most)
            most = gc_tensor_bytes(&r->values[v]);
    gc_free(r->poison);
    GC_TRY(gc_new(&r->poison, 1, most, error));
    memset(r->poison, 0xff, most);
    return GRADCAM_OK;
}

/* ---- Backward ------------------------------------------------------------------------------- */

static gradcam_status add_gradient(reference *r, int value, const gc_tensor *gradient,
                                   gradcam_error *error)
{
    gc_tensor *const sum = &r->gradients[value];
    if (sum->data == NULL) {
        const gc_tensor *const type = &r->values[value];
        gc_tensor_describe(sum, type->dtype, type->rank, type->dims);
        GC_TRY(gc_tensor_alloc(sum, error));
    }
    GC_FAIL_IF(!gc_tensor_same_dims(sum, gradient), error, GRADCAM_ERROR_SHAPE,
               "the gradient of '%s' has another shape", r->graph->values[value].name);
    const int64_t count = gc_tensor_count(sum);
    for (int64_t i = 0; i < count; i++)
        gc_floats(sum)[i] += gc_floats(gradient)[i];
    return GRADCAM_OK;
}

gradcam_status reference_seed(reference *r, int value, const gc_tensor *gradient,
                              gradcam_error *error)
{
    return add_gradient(r, value, gradient, error);
}

void reference_want(reference *r, int value)
{
    r->wanted[value] = true;
}

static bool wants_input(const reference *r, const gc_node *node, int i)
{
    const int v = node->inputs[i];
    return v != GC_ABSENT && r->wanted[v] && gc_dtype_is_float(r->values[v].dtype);
}

/* Everything that depends on a wanted value has to be differentiated, too. */
static void spread_wants(reference *r)
{
    for (int n = 0; n < r->graph->node_count; n++) {
        const gc_node *const node = &r->graph->nodes[n];
        bool any = false;
        for (int i = 0; i < node->input_count; i++)
            any |= wants_input(r, node, i);
        for (int i = 0; any && i < node->output_count; i++)
            if (node->outputs[i] != GC_ABSENT)
                r->wanted[node->outputs[i]] = true;
    }
}

/* Hides what backward does not declare to read. Constants are always there. */
static void poison_operands(reference *r, const gc_op *op, const gc_node *node)
{
    for (int i = 0; i < node->input_count; i++) {
        const unsigned reads = GC_READS_INPUTS | (i > 0 ? GC_READS_PARAMETERS : 0u);
        if (r->inputs[i] != NULL && !(op->backward_reads & reads) && !r->known[node->inputs[i]])
            r->input_views[i].data = r->poison;
    }
    for (int i = 0; i < node->output_count; i++)
        if (r->outputs[i] != NULL && !(op->backward_reads & GC_READS_OUTPUTS))
            r->output_views[i].data = r->poison;
}

static bool set_output_grads(reference *r, const gc_node *node)
{
    bool any = false;
    for (int i = 0; i < node->output_count; i++) {
        const int v = node->outputs[i];
        const bool is_there = v != GC_ABSENT && r->gradients[v].data != NULL;
        r->output_grads[i] = is_there ? &r->gradients[v] : NULL;
        any |= is_there;
    }
    return any;
}

static gradcam_status set_input_grads(reference *r, const gc_node *node, bool *any,
                                      gradcam_error *error)
{
    *any = false;
    for (int i = 0; i < node->input_count; i++) {
        r->input_grad_slots[i] = NULL;
        r->input_grads[i] = (gc_tensor){0};
        if (!wants_input(r, node, i))
            continue;
        const gc_tensor *const type = &r->values[node->inputs[i]];
        gc_tensor *const grad = &r->input_grads[i];
        gc_tensor_describe(grad, type->dtype, type->rank, type->dims);
        GC_TRY(gc_tensor_alloc(grad, error));
        memset(grad->data, 0xff, gc_tensor_bytes(grad)); /* NaN */
        r->input_grad_slots[i] = grad;
        *any = true;
    }
    return GRADCAM_OK;
}

static gradcam_status call_backward(reference *r, const gc_op *op, const gc_node *node,
                                    gradcam_error *error)
{
    if (op->backward == NULL)
        return fail_contract(r, node, "it has no gradient", error);
    gc_call call = make_call(r, node, error);
    poison_operands(r, op, node);
    if (op->scratch != NULL)
        GC_TRY(gc_new(&call.scratch, 1, op->scratch(&call), error));
    gradcam_status status = op->backward(&call, r->output_grads, r->input_grad_slots);
    for (int i = 0; status == GRADCAM_OK && i < node->input_count; i++)
        if (r->input_grad_slots[i] != NULL)
            status = add_gradient(r, node->inputs[i], &r->input_grads[i], error);
    gc_free(call.scratch);
    return status;
}

static gradcam_status backward_node(reference *r, const gc_node *node, gradcam_error *error)
{
    if (!set_output_grads(r, node))
        return GRADCAM_OK;
    const gc_op *op = NULL;
    GC_TRY(find_op(r, node, &op, error));
    bool any = false;
    gradcam_status status = set_input_grads(r, node, &any, error);
    if (status == GRADCAM_OK && any)
        status = call_backward(r, op, node, error);
    for (int i = 0; i < node->input_count; i++)
        gc_tensor_free(&r->input_grads[i]);
    return status;
}

gradcam_status reference_backward(reference *r, gradcam_error *error)
{
    spread_wants(r);
    for (int n = r->graph->node_count - 1; n >= 0; n--)
        GC_TRY(backward_node(r, &r->graph->nodes[n], error));
    return GRADCAM_OK;
}

/* ---- Results -------------------------------------------------------------------------------- */

const gc_tensor *reference_value(const reference *r, int value)
{
    return &r->values[value];
}

const gc_tensor *reference_gradient(const reference *r, int value)
{
    return r->gradients[value].data != NULL ? &r->gradients[value] : NULL;
}
