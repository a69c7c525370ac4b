/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/attribute.h"

#include <string.h>

/* AttributeProto.AttributeType. */
enum { FLOAT = 1, INT, STRING, TENSOR, GRAPH, FLOATS, INTS, STRINGS };

enum { FIELD_TENSOR = 5, FIELD_GRAPH = 6 };

/* A serialized attribute: what is small is unpacked, the tensor stays where it is. */
typedef struct attribute {
    GcOnnx__Attribute *header;
    gc_bytes tensor;
    bool has_tensor, has_graph;
} attribute;

static gradcam_status attribute_open(attribute *a, gc_bytes bytes, gradcam_error *error)
{
    gc_wire wire = gc_wire_of(bytes);
    gc_field field;
    *a = (attribute){.header = NULL};
    while (gc_wire_next(&wire, &field)) {
        a->has_graph |= field.number == FIELD_GRAPH;
        if (field.number != FIELD_TENSOR || field.type != GC_WIRE_BYTES)
            continue;
        a->tensor = field.content;
        a->has_tensor = true;
    }
    return gc_unpack(&a->header, &gc_onnx__attribute__descriptor, bytes,
                     1u << FIELD_TENSOR | 1u << FIELD_GRAPH, error);
}

/* Files before IR version 2 do not say the type. */
static int type_of(const attribute *a)
{
    const GcOnnx__Attribute *const h = a->header;
    if (h->has_type && h->type != 0)
        return h->type;
    return h->has_f           ? FLOAT
           : h->has_i         ? INT
           : h->has_s         ? STRING
           : a->has_tensor    ? TENSOR
           : a->has_graph     ? GRAPH
           : h->n_floats > 0  ? FLOATS
           : h->n_strings > 0 ? STRINGS
                              : INTS;
}

static gradcam_status copy_floats(gc_builder *b, const GcOnnx__Attribute *h, gc_attr *attr)
{
    float *copy = NULL;
    GC_TRY(gc_arena_new(b->graph->arena, &copy, h->n_floats, sizeof *copy, b->error));
    for (size_t i = 0; i < h->n_floats; i++)
        copy[i] = h->floats[i];
    attr->floats = copy;
    attr->count = h->n_floats;
    return GRADCAM_OK;
}

static gradcam_status copy_ints(gc_builder *b, const GcOnnx__Attribute *h, gc_attr *attr)
{
    int64_t *copy = NULL;
    GC_TRY(gc_arena_new(b->graph->arena, &copy, h->n_ints, sizeof *copy, b->error));
    for (size_t i = 0; i < h->n_ints; i++)
        copy[i] = h->ints[i];
    attr->ints = copy;
    attr->count = h->n_ints;
    return GRADCAM_OK;
}

static gradcam_status copy_strings(gc_builder *b, const GcOnnx__Attribute *h, gc_attr *attr)
{
    const char **strings = NULL;
    GC_TRY(gc_arena_new(b->graph->arena, &strings, h->n_strings, sizeof *strings, b->error));
    for (size_t i = 0; i < h->n_strings; i++)
        GC_TRY(gc_arena_string(b->graph->arena, &strings[i], (const char *)h->strings[i].data,
                               h->strings[i].len, b->error));
    attr->strings = strings;
    attr->count = h->n_strings;
    return GRADCAM_OK;
}

static gradcam_status read_tensor(gc_builder *b, const attribute *a, gc_attr *attr)
{
    gc_tensor_message message;
    GC_FAIL_IF(!a->has_tensor, b->error, GRADCAM_ERROR_MODEL, "the tensor is missing");
    gradcam_status status = gc_tensor_message_open(&message, a->tensor, b->error);
    if (status == GRADCAM_OK)
        status = gc_build_tensor(b, &message, &attr->tensor);
    gc_tensor_message_close(&message);
    return status;
}

/* Everything but the name. */
static gradcam_status convert(gc_builder *b, const attribute *a, gc_attr *attr)
{
    const GcOnnx__Attribute *const h = a->header;
    switch (type_of(a)) {
    case FLOAT:
        attr->type = GC_ATTR_FLOAT;
        attr->f = h->f;
        return GRADCAM_OK;
    case INT:
        attr->type = GC_ATTR_INT;
        attr->i = h->i;
        return GRADCAM_OK;
    case STRING:
        attr->type = GC_ATTR_STRING;
        return gc_arena_string(b->graph->arena, &attr->s, (const char *)h->s.data, h->s.len,
                               b->error);
    case TENSOR:
        attr->type = GC_ATTR_TENSOR;
        return read_tensor(b, a, attr);
    case FLOATS:
        attr->type = GC_ATTR_FLOATS;
        return copy_floats(b, h, attr);
    case INTS:
        attr->type = GC_ATTR_INTS;
        return copy_ints(b, h, attr);
    case STRINGS:
        attr->type = GC_ATTR_STRINGS;
        return copy_strings(b, h, attr);
    default: /* sub-graphs, see body.c; types, sparse tensors: no operator here reads them */
        attr->type = GC_ATTR_GRAPH;
        attr->body = NULL;
        return GRADCAM_OK;
    }
}

/* The value that the function declares for calls that do not give one. */
static gradcam_status read_default(gc_builder *b, const gc_scope *scope, const char *name,
                                   gc_attr *attr, bool *is_present)
{
    *is_present = false;
    for (size_t i = 0; !*is_present && i < scope->defaults->count; i++) {
        attribute a;
        GC_TRY(attribute_open(&a, scope->defaults->items[i].bytes, b->error));
        gradcam_status status = GRADCAM_OK;
        if (strcmp(gc_text(a.header->name), name) == 0) {
            status = convert(b, &a, attr);
            *is_present = true;
        }
        gc_unpacked_free(a.header);
        GC_TRY(status);
    }
    return GRADCAM_OK;
}

static gradcam_status read_reference(gc_builder *b, const gc_scope *scope, const char *name,
                                     gc_attr *attr, bool *is_present)
{
    GC_FAIL_IF(scope->call == NULL, b->error, GRADCAM_ERROR_MODEL,
               "refers to the function attribute '%s' outside a function", name);
    const gc_attr *const given = gc_attr_find(scope->call, name);
    if (given == NULL)
        return read_default(b, scope, name, attr, is_present);
    *attr = *given;
    if (attr->type == GC_ATTR_TENSOR)
        gc_constant_retain(attr->tensor);
    return GRADCAM_OK;
}

static gradcam_status read_open(gc_builder *b, const gc_scope *scope, const attribute *a,
                                gc_attr *attr, bool *is_present)
{
    const char *const name = gc_text(a->header->name);
    const char *const reference = gc_text(a->header->ref_attr_name), *copy = NULL;
    *attr = (gc_attr){.type = GC_ATTR_INT};
    GC_TRY(gc_arena_string(b->graph->arena, &copy, name, strlen(name), b->error));
    const gradcam_status status = reference[0] != '\0'
                                      ? read_reference(b, scope, reference, attr, is_present)
                                      : convert(b, a, attr);
    attr->name = copy;
    return status == GRADCAM_OK ? status
                                : gc_fail_context(b->error, status, "attribute '%s': ", name);
}

gradcam_status gc_build_attr(gc_builder *b, const gc_scope *scope, gc_bytes bytes, gc_attr *attr,
                             bool *is_present)
{
    attribute a;
    *is_present = true;
    GC_TRY(attribute_open(&a, bytes, b->error));
    const gradcam_status status = read_open(b, scope, &a, attr, is_present);
    gc_unpacked_free(a.header);
    return status;
}
