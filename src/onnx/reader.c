/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/reader.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "onnx/build.h"
#include "onnx/external.h"

enum { MODEL_GRAPH = 7, MODEL_FUNCTION = 25 };

/* From this IR version on, a model must say which opsets it means; before, there was one. */
enum { FIRST_IR_WITH_OPSETS = 3 };

/* ---- Model ---------------------------------------------------------------------------------- */

static gradcam_status copy_metadata(gc_builder *b, const GcOnnx__Model *model)
{
    gc_graph *const graph = b->graph;
    GC_FAIL_IF(model->n_metadata_props > INT_MAX, b->error, GRADCAM_ERROR_LIMIT,
               "too many metadata entries");
    GC_TRY(gc_arena_new(graph->arena, &graph->metadata, model->n_metadata_props,
                        sizeof *graph->metadata, b->error));
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        gc_metadata *const entry = &graph->metadata[i];
        const char *const key = gc_text(model->metadata_props[i]->key);
        const char *const value = gc_text(model->metadata_props[i]->value);
        GC_TRY(gc_arena_string(graph->arena, &entry->key, key, strlen(key), b->error));
        GC_TRY(gc_arena_string(graph->arena, &entry->value, value, strlen(value), b->error));
        graph->metadata_count++;
    }
    return GRADCAM_OK;
}

static gradcam_status copy_producer(gc_builder *b, const GcOnnx__Model *model)
{
    const char *const name = gc_text(model->producer_name);
    const char *const version = gc_text(model->producer_version);
    return gc_arena_format(b->graph->arena, &b->graph->producer, b->error, "%s%s%s", name,
                           name[0] != '\0' && version[0] != '\0' ? " " : "", version);
}

static gradcam_status check_opsets(GcOnnx__OperatorSet *const *imports, size_t count,
                                   gradcam_error *error)
{
    for (size_t i = 0; i < count; i++)
        GC_FAIL_IF(imports[i]->version < 1 || imports[i]->version > INT_MAX, error,
                   GRADCAM_ERROR_MODEL, "opset version %lld of domain '%s' cannot be",
                   (long long)imports[i]->version, gc_domain(imports[i]->domain));
    return GRADCAM_OK;
}

static gradcam_status build(gc_builder *b, const GcOnnx__Model *model, gc_bytes graph,
                            const gc_pieces *functions)
{
    gc_scope scope = {
        .imports = model->opset_import,
        .import_count = model->n_opset_import,
        .default_opset = model->ir_version < FIRST_IR_WITH_OPSETS,
        .prefix = "",
    };
    GC_TRY(check_opsets(model->opset_import, model->n_opset_import, b->error));
    GC_TRY(copy_metadata(b, model));
    GC_TRY(copy_producer(b, model));
    b->graph->ir_version = model->ir_version;
    GC_TRY(gc_map_create(&b->taken, b->error));
    GC_TRY(gc_map_create(&b->refused, b->error));
    GC_TRY(gc_map_create(&b->numbers, b->error));
    GC_TRY(gc_functions_open(b, functions));
    GC_TRY(gc_map_create(&scope.names, b->error));
    scope.main_names = scope.names;
    const gradcam_status status = gc_build_graph(b, &scope, graph);
    gc_map_destroy(&scope.names);
    return status;
}

/* What the error says of a file that is no model at all. */
static gradcam_status fail_foreign(gc_bytes bytes, const char *found, gradcam_error *error)
{
    const char *const kind = gc_source_recognise(bytes);
    if (kind != NULL)
        return gc_fail(error, GRADCAM_ERROR_MODEL, "%s", kind);
    return gc_fail(error, GRADCAM_ERROR_MODEL,
                   "truncated or not an ONNX model: %s (%zu bytes in all)", found, bytes.size);
}

static gradcam_status find_parts(gc_bytes bytes, gc_bytes *graph, gc_pieces *functions,
                                 gradcam_error *error)
{
    gc_wire wire = gc_wire_of(bytes);
    gc_field field = {.number = 0};
    while (gc_wire_next(&wire, &field)) {
        if (field.type != GC_WIRE_BYTES)
            continue;
        if (field.number == MODEL_FUNCTION)
            GC_TRY(gc_pieces_add(functions, field.number, field.content, error));
        if (field.number != MODEL_GRAPH)
            continue;
        GC_FAIL_IF(graph->data != NULL, error, GRADCAM_ERROR_MODEL, "the file has two graphs");
        *graph = field.content;
    }
    if (wire.malformed) {
        char found[128];
        snprintf(found, sizeof found, "the field at byte %zu is cut short or none",
                 (size_t)(field.start - bytes.data));
        return fail_foreign(bytes, found, error);
    }
    if (graph->data == NULL)
        return fail_foreign(bytes, "it has no graph", error);
    return GRADCAM_OK;
}

static gradcam_status read_parts(gc_builder *b, gc_bytes bytes, gc_bytes *graph,
                                 gc_pieces *functions)
{
    GcOnnx__Model *model = NULL;
    GC_TRY(find_parts(bytes, graph, functions, b->error));
    GC_TRY(gc_unpack(&model, &gc_onnx__model__descriptor, bytes,
                     1u << MODEL_GRAPH | 1u << MODEL_FUNCTION, b->error));
    const gradcam_status status = model->ir_version < 1
                                      ? fail_foreign(bytes, "it has no IR version", b->error)
                                      : build(b, model, *graph, functions);
    gc_unpacked_free(model);
    return status;
}

static gradcam_status read_source(gc_graph **graph, const gc_source *source, gradcam_error *error)
{
    gradcam_error local = {.status = GRADCAM_OK};
    gc_builder b = {.source = source, .error = &local};
    gc_bytes main_graph = {NULL, 0};
    gc_pieces functions = {NULL, 0, 0};
    gradcam_status status = gc_graph_create(&b.graph, &local);
    if (status == GRADCAM_OK) {
        b.graph->most_nodes = (int)source->limits.nodes;
        b.graph->budget = source->budget;
        gc_arena_charge(b.graph->arena, source->budget);
    }
    if (status == GRADCAM_OK)
        status = read_parts(&b, source->bytes, &main_graph, &functions);
    gc_functions_close(&b);
    gc_free(functions.items);
    gc_free(b.refusals);
    gc_map_destroy(&b.taken);
    gc_map_destroy(&b.refused);
    gc_map_destroy(&b.numbers);
    gc_free(b.places);
    if (status != GRADCAM_OK) {
        gc_graph_destroy(&b.graph);
        if (error != NULL)
            *error = local;
    }
    *graph = b.graph;
    return status;
}

/* ---- Entry points --------------------------------------------------------------------------- */

gradcam_status gc_onnx_read(gc_graph **graph, const void *bytes, size_t size, const char *folder,
                            gradcam_error *error)
{
    const gc_source source = {.bytes = {bytes, size}, .folder = folder, .limits = gc_limits(NULL)};
    *graph = NULL;
    GC_FAIL_IF(size == 0, error, GRADCAM_ERROR_MODEL, "the model is empty (0 bytes)");
    return read_source(graph, &source, error);
}

/* *folder = the part of `path` before the last slash, to be freed. */
static gradcam_status folder_of(const char *path, char **folder, gradcam_error *error)
{
    const char *const slash = strrchr(path, '/');
    const size_t length = slash != NULL ? (size_t)(slash - path) + (slash == path) : 1;
    GC_TRY(gc_new(folder, length + 1, 1, error));
    memcpy(*folder, slash != NULL ? path : ".", length);
    return GRADCAM_OK;
}

gradcam_status gc_onnx_read_file(gc_graph **graph, const char *path, const gc_onnx_bounds *bounds,
                                 gradcam_error *error)
{
    gc_source source;
    gc_externals externals = {.count = 0};
    char *folder = NULL;
    *graph = NULL;
    GC_TRY(folder_of(path, &folder, error));
    const gradcam_limits limits = gc_limits(bounds != NULL ? bounds->limits : NULL);
    const size_t large = bounds != NULL ? bounds->large_payload : 0;
    gradcam_status status = gc_source_open(&source, path, large, gc_limit_model(&limits), error);
    source.folder = folder;
    source.externals = &externals;
    source.limits = limits;
    source.budget = bounds != NULL ? bounds->budget : NULL;
    if (status == GRADCAM_OK)
        status = read_source(graph, &source, error);
    gc_externals_close(&externals);
    gc_source_close(&source);
    gc_free(folder);
    return status == GRADCAM_OK ? status : gc_fail_context(error, status, "%s: ", path);
}

gradcam_status gc_onnx_read_tensor(gc_tensor *tensor, const void *bytes, size_t size,
                                   gradcam_error *error)
{
    const gc_source source = {.bytes = {bytes, size}, .limits = gc_limits(NULL)};
    gc_tensor_message message;
    *tensor = (gc_tensor){.rank = -1};
    gradcam_status status = gc_tensor_message_open(&message, source.bytes, error);
    if (status == GRADCAM_OK)
        status = gc_tensor_message_load(&message, &source, tensor, error);
    gc_tensor_message_close(&message);
    return status;
}
