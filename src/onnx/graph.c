/* SPDX-License-Identifier: Apache-2.0 */
/* The main graph: initializers, inputs, nodes, outputs. */
#include <string.h>

#include "onnx/quantized.h"
#include "onnx/upgrade.h"

enum {
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE = 15
};

/* ---- Initializers --------------------------------------------------------------------------- */

static gradcam_status add_initializer(gc_builder *b, const gc_scope *scope,
                                      const gc_tensor_message *message)
{
    const char *const name = gc_text(message->header->name);
    gc_constant *constant = NULL;
    gradcam_status status = gc_build_tensor(b, message, &constant);
    if (status == GRADCAM_OK)
        return gc_build_constant(b, scope, name, constant);
    if (status == GRADCAM_ERROR_UNSUPPORTED)
        return gc_build_refuse(b, scope, name, b->error->message);
    return gc_fail_context(b->error, status, "initializer '%s': ", name);
}

static gradcam_status read_initializer(gc_builder *b, const gc_scope *scope, gc_bytes bytes)
{
    gc_tensor_message message;
    gradcam_status status = gc_tensor_message_open(&message, bytes, b->error);
    if (status == GRADCAM_OK)
        status = add_initializer(b, scope, &message);
    gc_tensor_message_close(&message);
    return status;
}

/* A sparse initializer has the name of its values. */
static gradcam_status read_sparse(gc_builder *b, const gc_scope *scope, gc_bytes bytes)
{
    gc_tensor_message values;
    GcOnnx__SparseTensor *sparse = NULL;
    GC_TRY(gc_unpack(&sparse, &gc_onnx__sparse_tensor__descriptor, bytes, 0, b->error));
    const gc_bytes inner = {sparse->values.data, sparse->values.len};
    gradcam_status status = gc_tensor_message_open(&values, inner, b->error);
    if (status == GRADCAM_OK)
        status = gc_build_refuse(b, scope, gc_text(values.header->name),
                                 "sparse initializers are not supported");
    gc_tensor_message_close(&values);
    gc_unpacked_free(sparse);
    return status;
}

/* ---- Inputs and outputs --------------------------------------------------------------------- */

static gradcam_status read_type(gc_builder *b, const GcOnnx__ValueInfo *info, gc_tensor *type)
{
    *type = (gc_tensor){.rank = -1};
    if (info->type == NULL || info->type->tensor_type == NULL)
        return GRADCAM_OK;
    const GcOnnx__TensorType *const tensor = info->type->tensor_type;
    type->dtype = gc_onnx_dtype(tensor->elem_type);
    if (tensor->shape == NULL)
        return GRADCAM_OK;
    const size_t rank = tensor->shape->n_dim;
    GC_FAIL_IF(rank > GC_MAX_RANK, b->error, GRADCAM_ERROR_UNSUPPORTED,
               "graph input '%s' has %zu extents; at most %d are supported", info->name, rank,
               GC_MAX_RANK);
    type->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const GcOnnx__Dimension *const dim = tensor->shape->dim[i];
        /* Some exporters write -1 for an extent that is free. */
        type->dims[i] = dim->has_dim_value && dim->dim_value >= 0 ? dim->dim_value : -1;
    }
    return GRADCAM_OK;
}

static gradcam_status add_input(gc_builder *b, const gc_scope *scope, const GcOnnx__ValueInfo *info)
{
    int index = 0;
    gc_graph *const graph = b->graph;
    const int before = graph->value_count;
    const char *const name = gc_text(info->name);
    GC_FAIL_IF(name[0] == '\0', b->error, GRADCAM_ERROR_MODEL, "a graph input has no name");
    GC_TRY(gc_build_value(b, scope, name, &index));
    if (graph->values[index].constant != NULL || gc_build_is_refused(b, index))
        return GRADCAM_OK; /* old files list their initializers as inputs, too */
    GC_FAIL_IF(index < before, b->error, GRADCAM_ERROR_MODEL, "graph input '%s' is listed twice",
               name);
    GC_FAIL_IF(graph->input_count >= GC_MAX_INPUTS, b->error, GRADCAM_ERROR_LIMIT,
               "the graph has more than %d inputs", GC_MAX_INPUTS);
    GC_TRY(read_type(b, info, &graph->values[index].type));
    graph->inputs[graph->input_count++] = index;
    return GRADCAM_OK;
}

static gradcam_status add_output(gc_builder *b, const gc_scope *scope,
                                 const GcOnnx__ValueInfo *info)
{
    int index = 0;
    const char *const name = gc_text(info->name);
    GC_FAIL_IF(name[0] == '\0', b->error, GRADCAM_ERROR_MODEL, "a graph output has no name");
    GC_TRY(gc_build_value(b, scope, name, &index));
    b->graph->outputs[b->graph->output_count++] = index;
    return GRADCAM_OK;
}

static gradcam_status read_value_info(gc_builder *b, const gc_scope *scope, gc_bytes bytes,
                                      gradcam_status (*add)(gc_builder *, const gc_scope *,
                                                            const GcOnnx__ValueInfo *))
{
    GcOnnx__ValueInfo *info = NULL;
    GC_TRY(gc_unpack(&info, &gc_onnx__value_info__descriptor, bytes, 0, b->error));
    const gradcam_status status = add(b, scope, info);
    gc_unpacked_free(info);
    return status;
}

/* ---- Graph ---------------------------------------------------------------------------------- */

/* Reads initializers at once and lists the rest. */
static gradcam_status read_initializers(gc_builder *b, const gc_scope *scope, gc_bytes bytes,
                                        gc_pieces *rest)
{
    gc_wire wire = gc_wire_of(bytes);
    gc_field field;
    while (gc_wire_next(&wire, &field)) {
        if (field.type != GC_WIRE_BYTES)
            continue;
        if (field.number == GRAPH_INITIALIZER)
            GC_TRY(read_initializer(b, scope, field.content));
        else if (field.number == GRAPH_SPARSE)
            GC_TRY(read_sparse(b, scope, field.content));
        else if (field.number == GRAPH_NODE || field.number == GRAPH_INPUT ||
                 field.number == GRAPH_OUTPUT)
            GC_TRY(gc_pieces_add(rest, field.number, field.content, b->error));
    }
    GC_FAIL_IF(wire.malformed, b->error, GRADCAM_ERROR_MODEL, "the graph is malformed");
    return GRADCAM_OK;
}

static size_t count_pieces(const gc_pieces *pieces, uint64_t number)
{
    size_t count = 0;
    for (size_t i = 0; i < pieces->count; i++)
        count += pieces->items[i].number == number;
    return count;
}

static gradcam_status new_slots(gc_builder *b, const gc_pieces *rest, uint64_t number, int **slots)
{
    const size_t count = count_pieces(rest, number);
    GC_FAIL_IF(count > (size_t)gc_build_most_values(b), b->error, GRADCAM_ERROR_LIMIT,
               "the graph has %zu inputs or outputs; the limit is %d, %d times that for nodes "
               "(--max-nodes, nodes)",
               count, gc_build_most_values(b), GC_MAX_VALUES_PER_NODE);
    return gc_arena_new(b->graph->arena, slots, count, sizeof **slots, b->error);
}

static gradcam_status read_rest(gc_builder *b, const gc_scope *scope, const gc_pieces *rest)
{
    GC_TRY(new_slots(b, rest, GRAPH_INPUT, &b->graph->inputs));
    GC_TRY(new_slots(b, rest, GRAPH_OUTPUT, &b->graph->outputs));
    for (size_t i = 0; i < rest->count; i++)
        if (rest->items[i].number == GRAPH_INPUT)
            GC_TRY(read_value_info(b, scope, rest->items[i].bytes, add_input));
    for (size_t i = 0; i < rest->count; i++)
        if (rest->items[i].number == GRAPH_NODE)
            GC_TRY(gc_build_node(b, scope, rest->items[i].bytes));
    for (size_t i = 0; i < rest->count; i++)
        if (rest->items[i].number == GRAPH_OUTPUT)
            GC_TRY(read_value_info(b, scope, rest->items[i].bytes, add_output));
    return GRADCAM_OK;
}

static bool is_graph_input(const gc_graph *graph, int value)
{
    for (int i = 0; i < graph->input_count; i++)
        if (graph->inputs[i] == value)
            return true;
    return false;
}

static gradcam_status check_outputs(const gc_graph *graph, gradcam_error *error)
{
    GC_FAIL_IF(graph->output_count == 0, error, GRADCAM_ERROR_MODEL, "the graph has no outputs");
    for (int i = 0; i < graph->output_count; i++) {
        const gc_value *const value = &graph->values[graph->outputs[i]];
        GC_FAIL_IF(value->producer < 0 && value->constant == NULL &&
                       !is_graph_input(graph, graph->outputs[i]),
                   error, GRADCAM_ERROR_MODEL, "graph output '%s' is made by no node", value->name);
    }
    return GRADCAM_OK;
}

/* ---- Stored constants ----------------------------------------------------------------------- */

static void mark(bool *is_read, const int *values, int count)
{
    for (int i = 0; i < count; i++)
        if (values[i] != GC_ABSENT)
            is_read[values[i]] = true;
}

/* The weights of a convolution are packed by the engine, and nobody else looks at them. */
static void mark_inputs(const gc_graph *graph, const gc_node *node, bool *is_read)
{
    const bool packs = strcmp(node->op, "Conv") == 0 && node->domain[0] == '\0' &&
                       node->input_count > 1 && node->inputs[0] != GC_ABSENT &&
                       graph->values[node->inputs[0]].constant == NULL;
    mark(is_read, node->inputs, packs ? 1 : node->input_count);
    if (packs)
        mark(is_read, node->inputs + 2, node->input_count - 2);
}

static void mark_all(const gc_graph *graph, bool *is_read)
{
    for (int n = 0; n < graph->node_count; n++)
        mark_inputs(graph, &graph->nodes[n], is_read);
    for (const gc_body *body = graph->bodies; body != NULL; body = body->next)
        for (int n = 0; n < body->node_count; n++)
            mark(is_read, body->nodes[n].inputs, body->nodes[n].input_count);
    mark(is_read, graph->outputs, graph->output_count);
}

/* Whatever else reads a constant finds its elements in memory. */
static gradcam_status settle_constants(gc_graph *graph, gradcam_error *error)
{
    bool *is_read = NULL;
    GC_TRY(gc_new(&is_read, (size_t)graph->value_count, sizeof *is_read, error));
    mark_all(graph, is_read);
    gradcam_status status = GRADCAM_OK;
    for (int v = 0; v < graph->value_count && status == GRADCAM_OK; v++)
        if (is_read[v] && graph->values[v].constant != NULL)
            status = gc_constant_settle(graph->values[v].constant, error);
    gc_free(is_read);
    return status;
}

gradcam_status gc_build_graph(gc_builder *b, const gc_scope *scope, gc_bytes bytes)
{
    gc_pieces rest = {NULL, 0, 0};
    gradcam_status status = read_initializers(b, scope, bytes, &rest);
    if (status == GRADCAM_OK)
        status = read_rest(b, scope, &rest);
    gc_free(rest.items);
    GC_TRY(status);
    GC_TRY(gc_build_check_refusals(b));
    GC_TRY(gc_expand_quantized(b, scope));
    GC_TRY(gc_upgrade_graph(b, scope));
    GC_TRY(gc_graph_sort(b->graph, b->error));
    GC_TRY(gc_carry_quantized(b, scope));
    GC_TRY(settle_constants(b->graph, b->error));
    return check_outputs(b->graph, b->error);
}
