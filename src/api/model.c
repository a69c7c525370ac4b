/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/objects.h"
#include "base/threads.h"
#include "onnx/reader.h"

void gradcam_model_options_init(gradcam_model_options *options)
{
    memset(options, 0, sizeof *options);
}

static gradcam_status check_weight(const gc_graph *graph, const gc_node *node, int input,
                                   gradcam_error *error)
{
    const int value = node->inputs[input];
    const gc_constant *const c = value == GC_ABSENT ? NULL : graph->values[value].constant;
    const gc_tensor *const tensor = c != NULL ? gc_constant_tensor(c) : NULL;
    if (tensor == NULL || !gc_dtype_is_float(tensor->dtype) || gc_constant_is_stored(c) ||
        gc_is_finite(gc_floats(tensor), gc_tensor_count(tensor)))
        return GRADCAM_OK;
    gc_fail(error, GRADCAM_ERROR_NUMERIC, "%s", gc_not_finite);
    return gc_fail_weight(graph, node, input, GRADCAM_ERROR_NUMERIC, error);
}

/* Only what convolutions and matrix products use: a bound of Clip may well be infinite. Stored
 * weights are looked at when they are loaded. */
static gradcam_status check_weights(const gc_graph *graph, gradcam_error *error)
{
    static const char *const ops[] = {"Conv", "ConvTranspose", "Gemm", "MatMul",
                                      "BatchNormalization"};
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        bool has_weights = false;
        for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
            has_weights |= strcmp(node->op, ops[i]) == 0;
        for (int i = 1; has_weights && i < node->input_count; i++)
            GC_TRY(check_weight(graph, node, i, error));
    }
    return GRADCAM_OK;
}

static gradcam_status check_inputs(const gc_graph *graph, gradcam_error *error)
{
    GC_FAIL_IF(graph->output_count < 1, error, GRADCAM_ERROR_MODEL, "the model has no output");
    GC_FAIL_IF(graph->input_count < 1, error, GRADCAM_ERROR_MODEL, "the model has no input");
    return GRADCAM_OK;
}

void gradcam_limits_init(gradcam_limits *limits)
{
    memset(limits, 0, sizeof *limits);
}

static gradcam_status read_graph(gradcam_model *model, const char *path, gradcam_error *error)
{
    const gc_onnx_bounds bounds = {.budget = &model->budget, .limits = &model->limits};
    GC_TRY(gc_onnx_read_file(&model->graph, path, &bounds, error));
    gc_graph *const graph = model->graph;
    gradcam_status status = check_inputs(graph, error);
    if (status == GRADCAM_OK)
        status = gc_prepare(graph, error);
    if (status == GRADCAM_OK)
        status = check_weights(graph, error);
    return status == GRADCAM_OK ? status : gc_fail_context(error, status, "%s: ", path);
}

static gradcam_status load(gradcam_model *model, const char *path,
                           const gradcam_model_options *options, gradcam_error *error)
{
    const double start = gc_now_ms();
    GC_TRY(gc_arena_create(&model->arena, error));
    GC_TRY(gc_arena_string(model->arena, &model->path, path, strlen(path), error));
    gc_budget_init(&model->budget, options->max_memory);
    model->limits = gc_limits(options->limits);
    GC_TRY(gc_limits_check(&model->limits, error));
    GC_TRY(read_graph(model, path, error));
    GC_TRY(gc_packs_create(&model->packs, &model->budget, error));
    GC_TRY(gc_model_learn(model, options, error));
    model->load_ms = gc_now_ms() - start;
    return GRADCAM_OK;
}

gradcam_status gradcam_model_load(gradcam_model **model, const char *path,
                                  const gradcam_model_options *options, gradcam_error *error)
{
    GC_FAIL_IF(model == NULL, error, GRADCAM_ERROR_ARGUMENT, "model: NULL");
    *model = NULL;
    GC_FAIL_IF(path == NULL, error, GRADCAM_ERROR_ARGUMENT, "path: NULL");
    gradcam_model_options defaults;
    gradcam_model_options_init(&defaults);
    GC_TRY(gc_new(model, 1, sizeof **model, error));
    atomic_init(&(*model)->holds, 1);
    const gc_threads threads = gc_threads_begin(0);
    const gradcam_status status = load(*model, path, options != NULL ? options : &defaults, error);
    gc_threads_end(&threads);
    if (status != GRADCAM_OK)
        gradcam_model_destroy(model);
    return status;
}

gradcam_model *gc_model_retain(gradcam_model *model)
{
    atomic_fetch_add_explicit(&model->holds, 1, memory_order_relaxed);
    return model;
}

void gradcam_model_destroy(gradcam_model **model)
{
    if (model == NULL || *model == NULL)
        return;
    gradcam_model *const m = *model;
    *model = NULL;
    if (atomic_fetch_sub_explicit(&m->holds, 1, memory_order_acq_rel) != 1)
        return;
    gc_packs_destroy(&m->packs);
    gc_graph_destroy(&m->graph);
    gc_labels_free(&m->labels);
    gc_arena_destroy(&m->arena);
    gc_free(m);
}
