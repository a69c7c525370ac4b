/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/build.h"

#include <stdio.h>
#include <string.h>

enum { UNKNOWN = -2 };

gradcam_status gc_pieces_add(gc_pieces *pieces, uint64_t number, gc_bytes bytes,
                             gradcam_error *error)
{
    GC_TRY(gc_grow(&pieces->items, &pieces->capacity, pieces->count + 1, sizeof *pieces->items,
                   error));
    pieces->items[pieces->count++] = (gc_piece){number, bytes};
    return GRADCAM_OK;
}

const char *gc_domain(const char *domain)
{
    return domain == NULL || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

int gc_scope_opset(const gc_scope *scope, const char *domain)
{
    int version = domain[0] == '\0' ? scope->default_opset : 1;
    for (size_t i = 0; i < scope->import_count; i++)
        if (strcmp(gc_domain(scope->imports[i]->domain), domain) == 0)
            version = (int)scope->imports[i]->version;
    return version;
}

/* ---- Names ---------------------------------------------------------------------------------- */

static bool is_in_use(const gc_builder *b, const gc_scope *scope, const char *name)
{
    return gc_map_get(scope->main_names, name, UNKNOWN) != UNKNOWN ||
           gc_map_get(b->taken, name, UNKNOWN) != UNKNOWN;
}

/* A free name: `wanted`, or with a number behind it. Numbers go on where they stopped, so that a
 * function that is called a thousand times does not try a million names. */
static gradcam_status fresh_name(gc_builder *b, const gc_scope *scope, const char *wanted,
                                 const char **name)
{
    enum { KEPT = 900 };
    char text[KEPT + 16];
    const char *key = NULL;
    *name = wanted;
    if (!is_in_use(b, scope, wanted))
        return GRADCAM_OK;
    GC_TRY(gc_arena_format(b->graph->arena, &key, b->error, "%.*s", KEPT, wanted));
    int number = gc_map_get(b->numbers, key, 0);
    do
        snprintf(text, sizeof text, "%s~%d", key, ++number);
    while (is_in_use(b, scope, text));
    GC_TRY(gc_map_set(b->numbers, key, number, b->error));
    return gc_arena_string(b->graph->arena, name, text, strlen(text), b->error);
}

static gradcam_status add_value(gc_builder *b, const char *name, int *index)
{
    GC_FAIL_IF(
        b->graph->value_count >= gc_build_most_values(b), b->error, GRADCAM_ERROR_LIMIT,
        "the model has more than %d values, %d times the limit for nodes (--max-nodes, nodes)",
        gc_build_most_values(b), GC_MAX_VALUES_PER_NODE);
    return gc_graph_add_value(b->graph, name, index, b->error);
}

/* A name inside a function or sub-graph: the value gets a prefix that tells one call from another.
 */
gradcam_status gc_build_local(gc_builder *b, const gc_scope *scope, const char *name, int *index)
{
    const char *full = NULL, *key = NULL;
    GC_TRY(gc_arena_format(b->graph->arena, &full, b->error, "%s%s", scope->prefix, name));
    GC_TRY(fresh_name(b, scope, full, &full));
    GC_TRY(add_value(b, full, index));
    GC_TRY(gc_map_set(b->taken, b->graph->values[*index].name, *index, b->error));
    GC_TRY(gc_arena_string(b->graph->arena, &key, name, strlen(name), b->error));
    return gc_map_set(scope->names, key, *index, b->error);
}

gradcam_status gc_build_value(gc_builder *b, const gc_scope *scope, const char *name, int *index)
{
    *index = GC_ABSENT;
    if (name[0] == '\0')
        return GRADCAM_OK;
    *index = gc_map_get(scope->names, name, UNKNOWN);
    if (*index != UNKNOWN)
        return GRADCAM_OK;
    if (scope->outer != NULL)
        return gc_build_value(b, scope->outer, name, index);
    if (scope->call != NULL)
        return gc_build_local(b, scope, name, index);
    GC_FAIL_IF(is_in_use(b, scope, name), b->error, GRADCAM_ERROR_MODEL,
               "'%s' is the name of two values", name);
    GC_TRY(add_value(b, name, index));
    return gc_map_set(scope->names, b->graph->values[*index].name, *index, b->error);
}

/* ---- Constants ------------------------------------------------------------------------------ */

static bool is_graph_input(const gc_graph *graph, int value)
{
    for (int i = 0; i < graph->input_count; i++)
        if (graph->inputs[i] == value)
            return true;
    return false;
}

static gradcam_status find_empty(gc_builder *b, const gc_scope *scope, const char *name, int *index)
{
    GC_FAIL_IF(name[0] == '\0', b->error, GRADCAM_ERROR_MODEL, "a constant has no name");
    GC_TRY(gc_build_value(b, scope, name, index));
    GC_FAIL_IF(*index == GC_ABSENT, b->error, GRADCAM_ERROR_MODEL,
               "'%s' is an absent input of a function and a constant in it", name);
    GC_FAIL_IF(b->graph->values[*index].constant != NULL || is_graph_input(b->graph, *index),
               b->error, GRADCAM_ERROR_MODEL, "'%s' is defined twice", name);
    return GRADCAM_OK;
}

static void set_constant(gc_value *value, gc_constant *constant)
{
    value->constant = constant;
    value->type = *gc_constant_tensor(constant);
    value->type.data = NULL;
}

gradcam_status gc_build_constant(gc_builder *b, const gc_scope *scope, const char *name,
                                 gc_constant *constant)
{
    int index = 0;
    const gradcam_status status = find_empty(b, scope, name, &index);
    if (status != GRADCAM_OK) {
        gc_constant_release(constant);
        return status;
    }
    set_constant(&b->graph->values[index], constant);
    return GRADCAM_OK;
}

gradcam_status gc_build_fresh_value(gc_builder *b, const gc_scope *scope, const char *wanted,
                                    int *index)
{
    const char *name = NULL;
    GC_TRY(fresh_name(b, scope, wanted, &name));
    GC_TRY(add_value(b, name, index));
    return gc_map_set(b->taken, b->graph->values[*index].name, *index, b->error);
}

gradcam_status gc_build_fresh_constant(gc_builder *b, const gc_scope *scope, const char *wanted,
                                       gc_constant *constant, int *index)
{
    const gradcam_status status = gc_build_fresh_value(b, scope, wanted, index);
    if (status != GRADCAM_OK) {
        gc_constant_release(constant);
        return status;
    }
    set_constant(&b->graph->values[*index], constant);
    return GRADCAM_OK;
}

gradcam_status gc_build_tensor(gc_builder *b, const gc_tensor_message *message,
                               gc_constant **constant)
{
    gc_tensor tensor = {.rank = -1};
    gc_store *store = NULL;
    uint64_t offset = 0;
    *constant = NULL;
    GC_TRY(gc_tensor_message_stay(message, b->source, &tensor, &store, &offset, b->error));
    if (store != NULL) {
        const gradcam_status stored = gc_constant_create_stored(constant, &tensor, store, offset,
                                                                b->source->budget, b->error);
        gc_store_release(store);
        return stored;
    }
    GC_TRY(gc_tensor_message_load(message, b->source, &tensor, b->error));
    const gradcam_status status = gc_constant_create(constant, &tensor, b->error);
    gc_tensor_free(&tensor); /* taken over and NULL unless that failed */
    return status;
}

/* ---- Refusals ------------------------------------------------------------------------------- */

gradcam_status gc_build_refuse(gc_builder *b, const gc_scope *scope, const char *name,
                               const char *reason)
{
    gc_refusal refusal = {.value = 0};
    GC_TRY(find_empty(b, scope, name, &refusal.value));
    GC_TRY(gc_arena_string(b->graph->arena, &refusal.reason, reason, strlen(reason), b->error));
    GC_TRY(gc_grow(&b->refusals, &b->refusal_capacity, b->refusal_count + 1, sizeof *b->refusals,
                   b->error));
    b->refusals[b->refusal_count++] = refusal;
    return gc_map_set(b->refused, b->graph->values[refusal.value].name, refusal.value, b->error);
}

bool gc_build_is_refused(const gc_builder *b, int value)
{
    return gc_map_get(b->refused, b->graph->values[value].name, UNKNOWN) == value;
}

static gradcam_status check_use(gc_builder *b, const int *reason_of, int value, const char *user)
{
    if (value == GC_ABSENT || reason_of[value] == 0)
        return GRADCAM_OK;
    return gc_fail(b->error, GRADCAM_ERROR_UNSUPPORTED, "constant '%s', used by %s: %s",
                   b->graph->values[value].name, user, b->refusals[reason_of[value] - 1].reason);
}

static gradcam_status check_uses(gc_builder *b, const int *reason_of)
{
    char text[GC_NODE_TEXT];
    const gc_graph *const graph = b->graph;
    for (int n = 0; n < graph->node_count; n++)
        for (int i = 0; i < graph->nodes[n].input_count; i++)
            GC_TRY(check_use(b, reason_of, graph->nodes[n].inputs[i],
                             gc_node_text(graph, &graph->nodes[n], text)));
    for (int i = 0; i < graph->output_count; i++)
        GC_TRY(check_use(b, reason_of, graph->outputs[i], "a graph output"));
    return GRADCAM_OK;
}

gradcam_status gc_build_check_refusals(gc_builder *b)
{
    int *reason_of = NULL;
    if (b->refusal_count == 0)
        return GRADCAM_OK;
    GC_TRY(gc_new(&reason_of, (size_t)b->graph->value_count, sizeof *reason_of, b->error));
    for (size_t i = 0; i < b->refusal_count; i++)
        reason_of[b->refusals[i].value] = (int)i + 1;
    const gradcam_status status = check_uses(b, reason_of);
    gc_free(reason_of);
    return status;
}
