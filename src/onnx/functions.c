/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that a model brings along. A call is replaced by the function's nodes: formal names
 * become the call's operands, all other names and those of nodes get the call's name in front.
 */
#include <stdio.h>
#include <string.h>

#include "onnx/build.h"

enum { FIELD_NODE = 7, FIELD_DEFAULT = 11, UNKNOWN = -2, KEY = 512 };

typedef struct function {
    GcOnnx__Function *header;
    gc_bytes bytes;
    gc_pieces defaults;
} function;

struct gc_functions {
    function *items;
    size_t count;
    gc_map *index;
};

static gradcam_status make_key(char key[KEY], const char *domain, const char *name,
                               const char *overload, gradcam_error *error)
{
    const int length = snprintf(key, KEY, "%s\n%s\n%s", domain, name, overload);
    GC_FAIL_IF(length < 0 || length >= KEY, error, GRADCAM_ERROR_LIMIT,
               "the name of operator '%.64s...' is too long", name);
    return GRADCAM_OK;
}

static gradcam_status open_one(gc_builder *b, function *f, gc_bytes bytes)
{
    gc_wire wire = gc_wire_of(bytes);
    gc_field field;
    f->bytes = bytes;
    GC_TRY(gc_unpack(&f->header, &gc_onnx__function__descriptor, bytes,
                     1u << FIELD_NODE | 1u << FIELD_DEFAULT, b->error));
    while (gc_wire_next(&wire, &field))
        if (field.number == FIELD_DEFAULT)
            GC_TRY(gc_pieces_add(&f->defaults, FIELD_DEFAULT, field.content, b->error));
    return GRADCAM_OK;
}

static gradcam_status add_one(gc_builder *b, gc_bytes bytes)
{
    char text[KEY];
    const char *key = NULL;
    const int index = (int)b->functions->count;
    function *const f = &b->functions->items[b->functions->count++];
    GC_TRY(open_one(b, f, bytes));
    GC_TRY(make_key(text, gc_domain(f->header->domain), gc_text(f->header->name),
                    gc_text(f->header->overload), b->error));
    GC_TRY(gc_arena_string(b->graph->arena, &key, text, strlen(text), b->error));
    return gc_map_set(b->functions->index, key, index, b->error);
}

gradcam_status gc_functions_open(gc_builder *b, const gc_pieces *serialized)
{
    if (serialized->count == 0)
        return GRADCAM_OK;
    GC_TRY(gc_new(&b->functions, 1, sizeof *b->functions, b->error));
    GC_TRY(gc_map_create(&b->functions->index, b->error));
    GC_TRY(gc_new(&b->functions->items, serialized->count, sizeof(function), b->error));
    for (size_t i = 0; i < serialized->count; i++)
        GC_TRY(add_one(b, serialized->items[i].bytes));
    return GRADCAM_OK;
}

void gc_functions_close(gc_builder *b)
{
    if (b->functions == NULL)
        return;
    for (size_t i = 0; i < b->functions->count; i++) {
        gc_unpacked_free(b->functions->items[i].header);
        gc_free(b->functions->items[i].defaults.items);
    }
    gc_free(b->functions->items);
    gc_map_destroy(&b->functions->index);
    gc_free(b->functions);
    b->functions = NULL;
}

/* ---- Calls ---------------------------------------------------------------------------------- */

/* An output that is also an input, or the same as another output, is handed on by an Identity. */
static gradcam_status add_identity(gc_builder *b, const gc_scope *scope, int from, int to)
{
    gc_node *node = NULL;
    const int opset = gc_scope_opset(scope, "");
    GC_TRY(
        gc_graph_add_node(b->graph, scope->prefix, "Identity", "", opset, 1, 1, &node, b->error));
    node->inputs[0] = from;
    node->outputs[0] = to;
    return GRADCAM_OK;
}

static gradcam_status bind(gc_builder *b, const gc_scope *scope, const GcOnnx__Function *header)
{
    const gc_node *const call = scope->call;
    GC_FAIL_IF((size_t)call->input_count > header->n_input ||
                   (size_t)call->output_count > header->n_output,
               b->error, GRADCAM_ERROR_MODEL,
               "has %d inputs and %d outputs; the function has %zu and %zu", call->input_count,
               call->output_count, header->n_input, header->n_output);
    for (size_t i = 0; i < header->n_input; i++) {
        const int value = i < (size_t)call->input_count ? call->inputs[i] : GC_ABSENT;
        GC_TRY(gc_map_set(scope->names, header->input[i], value, b->error));
    }
    for (int i = 0; i < call->output_count; i++) {
        if (call->outputs[i] == GC_ABSENT)
            continue;
        const int known = gc_map_get(scope->names, header->output[i], UNKNOWN);
        if (known != UNKNOWN)
            GC_TRY(add_identity(b, scope, known, call->outputs[i]));
        else
            GC_TRY(gc_map_set(scope->names, header->output[i], call->outputs[i], b->error));
    }
    return GRADCAM_OK;
}

static gradcam_status expand(gc_builder *b, const gc_scope *scope, const function *f)
{
    gc_wire wire = gc_wire_of(f->bytes);
    gc_field field;
    GC_TRY(bind(b, scope, f->header));
    while (gc_wire_next(&wire, &field))
        if (field.number == FIELD_NODE)
            GC_TRY(gc_build_node(b, scope, field.content));
    return GRADCAM_OK;
}

/* Both names start with the outer prefix already. */
static gradcam_status make_prefix(gc_builder *b, const gc_node *call, const char **prefix)
{
    const char *name = call->name;
    if (name[0] == '\0')
        name = call->op;
    if (call->name[0] == '\0' && call->output_count > 0 && call->outputs[0] != GC_ABSENT)
        name = b->graph->values[call->outputs[0]].name;
    return gc_arena_format(b->graph->arena, prefix, b->error, "%s/", name);
}

static gradcam_status call_function(gc_builder *b, const gc_scope *outer, const gc_node *call,
                                    const function *f)
{
    char text[GC_NODE_TEXT];
    const int most = (int)b->source->limits.depth;
    gc_scope scope = {.main_names = outer->main_names,
                      .imports = f->header->opset_import,
                      .import_count = f->header->n_opset_import,
                      .default_opset = gc_scope_opset(outer, ""),
                      .call = call,
                      .defaults = &f->defaults,
                      .depth = outer->depth + 1};
    gc_node_text(b->graph, call, text);
    GC_FAIL_IF(scope.depth > most, b->error, GRADCAM_ERROR_LIMIT,
               "functions call each other %d deep or deeper; the limit is %d (--max-depth, depth)",
               scope.depth, most);
    GC_TRY(make_prefix(b, call, &scope.prefix));
    GC_TRY(gc_map_create(&scope.names, b->error));
    gradcam_status status = expand(b, &scope, f);
    gc_map_destroy(&scope.names);
    /* The outermost call is the one that a user sees in the file. */
    return status == GRADCAM_OK || scope.depth > 1
               ? status
               : gc_fail_context(b->error, status, "%s: ", text);
}

gradcam_status gc_build_call(gc_builder *b, const gc_scope *scope, const char *overload)
{
    char key[KEY];
    if (b->functions == NULL)
        return GRADCAM_OK;
    const gc_node call = b->graph->nodes[b->graph->node_count - 1];
    GC_TRY(make_key(key, call.domain, call.op, overload, b->error));
    const int index = gc_map_get(b->functions->index, key, -1);
    if (index < 0)
        return GRADCAM_OK;
    b->graph->node_count--;
    const gradcam_status status = call_function(b, scope, &call, &b->functions->items[index]);
    for (int i = 0; i < call.attr_count; i++)
        if (call.attrs[i].type == GC_ATTR_TENSOR)
            gc_constant_release(call.attrs[i].tensor);
    return status;
}
