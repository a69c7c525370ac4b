/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "onnx/attribute.h"

enum { FIELD_ATTRIBUTE = 5 };

/* ---- Constant ------------------------------------------------------------------------------- */

static gradcam_status new_constant(gc_builder *b, gc_dtype dtype, int rank, int64_t count,
                                   const void *values, gc_constant **constant)
{
    gc_tensor tensor;
    gc_tensor_describe(&tensor, dtype, rank, &count);
    GC_TRY(gc_tensor_alloc(&tensor, b->error));
    if (count > 0)
        memcpy(tensor.data, values, gc_tensor_bytes(&tensor));
    const gradcam_status status = gc_constant_create(constant, &tensor, b->error);
    gc_tensor_free(&tensor);
    return status;
}

/* *constant = NULL where the attribute is none of those that hold a value. */
static gradcam_status constant_of(gc_builder *b, const gc_attr *attr, gc_constant **constant)
{
    *constant = NULL;
    if (strncmp(attr->name, "value", 5) != 0)
        return GRADCAM_OK;
    switch (attr->type) {
    case GC_ATTR_TENSOR:
        *constant = gc_constant_retain(attr->tensor);
        return GRADCAM_OK;
    case GC_ATTR_FLOAT:
        return new_constant(b, GC_FLOAT32, 0, 1, &attr->f, constant);
    case GC_ATTR_FLOATS:
        return new_constant(b, GC_FLOAT32, 1, (int64_t)attr->count, attr->floats, constant);
    case GC_ATTR_INT:
        return new_constant(b, GC_INT64, 0, 1, &attr->i, constant);
    case GC_ATTR_INTS:
        return new_constant(b, GC_INT64, 1, (int64_t)attr->count, attr->ints, constant);
    default:
        return GRADCAM_OK;
    }
}

static gradcam_status read_value(gc_builder *b, const gc_scope *scope, gc_bytes bytes,
                                 gc_constant **constant)
{
    gc_attr attr;
    bool is_present = false;
    *constant = NULL;
    GC_TRY(gc_build_attr(b, scope, bytes, &attr, &is_present));
    if (!is_present)
        return GRADCAM_OK;
    const gradcam_status status = constant_of(b, &attr, constant);
    if (attr.type == GC_ATTR_TENSOR)
        gc_constant_release(attr.tensor);
    return status;
}

static gradcam_status read_constant(gc_builder *b, const gc_scope *scope, const GcOnnx__Node *node,
                                    gc_bytes bytes)
{
    gc_wire wire = gc_wire_of(bytes);
    gc_field field;
    gc_constant *constant = NULL;
    gradcam_status status = GRADCAM_OK;
    const char *reason = "strings and sparse tensors are not supported";
    if (node->n_output == 0 || node->output[0][0] == '\0')
        return GRADCAM_OK;
    while (constant == NULL && status == GRADCAM_OK && gc_wire_next(&wire, &field))
        if (field.number == FIELD_ATTRIBUTE)
            status = read_value(b, scope, field.content, &constant);
    if (constant != NULL)
        return gc_build_constant(b, scope, node->output[0], constant);
    if (status == GRADCAM_ERROR_UNSUPPORTED)
        reason = b->error->message;
    else if (status != GRADCAM_OK)
        return gc_fail_context(b->error, status, "the Constant that makes '%s': ", node->output[0]);
    return gc_build_refuse(b, scope, node->output[0], reason);
}

/* ---- Other nodes ---------------------------------------------------------------------------- */

static gradcam_status read_attr(gc_builder *b, const gc_scope *scope, gc_node *node, gc_bytes bytes)
{
    gc_attr *const attr = &node->attrs[node->attr_count];
    bool is_present = false;
    GC_TRY(gc_build_attr(b, scope, bytes, attr, &is_present));
    if (!is_present)
        return GRADCAM_OK;
    const bool is_double = gc_attr_find(node, attr->name) != NULL;
    node->attr_count++; /* from here on the graph releases the tensor */
    GC_FAIL_IF(is_double, b->error, GRADCAM_ERROR_MODEL, "attribute '%s' is given twice",
               attr->name);
    return GRADCAM_OK;
}

static size_t count_attrs(gc_bytes bytes)
{
    gc_wire wire = gc_wire_of(bytes);
    gc_field field;
    size_t count = 0;
    while (gc_wire_next(&wire, &field))
        count += field.number == FIELD_ATTRIBUTE;
    return count;
}

static gradcam_status read_attrs(gc_builder *b, const gc_scope *scope, gc_node *node,
                                 gc_bytes bytes)
{
    gc_wire wire = gc_wire_of(bytes);
    gc_field field;
    const size_t count = count_attrs(bytes);
    GC_FAIL_IF(count > GC_MAX_ATTRS, b->error, GRADCAM_ERROR_LIMIT,
               "has %zu attributes; the limit is %d", count, GC_MAX_ATTRS);
    GC_TRY(gc_arena_new(b->graph->arena, &node->attrs, count, sizeof *node->attrs, b->error));
    while (gc_wire_next(&wire, &field))
        if (field.number == FIELD_ATTRIBUTE)
            GC_TRY(read_attr(b, scope, node, field.content));
    return GRADCAM_OK;
}

static gradcam_status read_operands(gc_builder *b, const gc_scope *scope, gc_node *node,
                                    const GcOnnx__Node *message)
{
    for (int i = 0; i < node->input_count; i++)
        GC_TRY(gc_build_value(b, scope, message->input[i], &node->inputs[i]));
    for (int i = 0; i < node->output_count; i++)
        GC_TRY(gc_build_value(b, scope, message->output[i], &node->outputs[i]));
    while (node->input_count > 0 && node->inputs[node->input_count - 1] == GC_ABSENT)
        node->input_count--;
    return GRADCAM_OK;
}

static gradcam_status check_node(gc_builder *b, const GcOnnx__Node *node)
{
    const char *const name = gc_text(node->name);
    GC_FAIL_IF(gc_text(node->op_type)[0] == '\0', b->error, GRADCAM_ERROR_MODEL,
               "node '%s' has no operator type", name);
    GC_FAIL_IF(++b->node_total > b->graph->most_nodes, b->error, GRADCAM_ERROR_LIMIT,
               "the model has %d nodes or more; the limit is %d (--max-nodes, nodes)",
               b->node_total, b->graph->most_nodes);
    GC_FAIL_IF(node->n_input > GC_MAX_OPERANDS || node->n_output > GC_MAX_OPERANDS, b->error,
               GRADCAM_ERROR_LIMIT,
               "node '%s' (%s) has %zu inputs and %zu outputs; the limit is "
               "%d",
               name, node->op_type, node->n_input, node->n_output, GC_MAX_OPERANDS);
    return GRADCAM_OK;
}

static gradcam_status add_node(gc_builder *b, const gc_scope *scope, const GcOnnx__Node *message,
                               gc_bytes bytes)
{
    char text[GC_NODE_TEXT];
    gc_node *node = NULL;
    const char *name = gc_text(message->name);
    const char *const domain = gc_domain(message->domain);
    GC_FAIL_IF(gc_scope_opset(scope, domain) == 0, b->error, GRADCAM_ERROR_MODEL,
               "the model has nodes of ai.onnx (such as %s) but imports no version of it; is the "
               "file truncated?",
               message->op_type);
    if (name[0] != '\0' && scope->prefix[0] != '\0')
        GC_TRY(gc_arena_format(b->graph->arena, &name, b->error, "%s%s", scope->prefix, name));
    GC_TRY(gc_graph_add_node(b->graph, name, message->op_type, domain,
                             gc_scope_opset(scope, domain), (int)message->n_input,
                             (int)message->n_output, &node, b->error));
    GC_TRY(read_operands(b, scope, node, message));
    const int index = b->graph->node_count - 1;
    gradcam_status status = read_attrs(b, scope, node, bytes);
    if (status == GRADCAM_OK)
        status = gc_build_bodies(b, scope, index, bytes);
    if (status != GRADCAM_OK)
        return gc_fail_context(b->error, status,
                               "%s: ", gc_node_text(b->graph, &b->graph->nodes[index], text));
    GC_TRY(gc_build_call(b, scope, gc_text(message->overload)));
    return b->graph->node_count == index + 1 ? gc_build_fused(b, scope) : GRADCAM_OK;
}

gradcam_status gc_build_node(gc_builder *b, const gc_scope *scope, gc_bytes bytes)
{
    GcOnnx__Node *node = NULL;
    GC_TRY(gc_unpack(&node, &gc_onnx__node__descriptor, bytes, 1u << FIELD_ATTRIBUTE, b->error));
    gradcam_status status = check_node(b, node);
    if (status == GRADCAM_OK)
        status = strcmp(node->op_type, "Constant") == 0 && gc_domain(node->domain)[0] == '\0'
                     ? read_constant(b, scope, node, bytes)
                     : add_node(b, scope, node, bytes);
    gc_unpacked_free(node);
    return status;
}
