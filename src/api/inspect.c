/* SPDX-License-Identifier: Apache-2.0 */
/* What a model is made of, and what of it is not supported: for reports of problems. */
#include <stdio.h>
#include <string.h>

#include "api/objects.h"
#include "onnx/names.h"
#include "onnx/reader.h"
#include "onnx/survey.h"
#include "ops/op.h"

struct gradcam_inspection {
    gc_arena *arena;
    gc_survey survey;
    gradcam_inspection_info info;
    size_t problem_capacity;
    const char **problems; /* grows */
};

static gradcam_status add_problem(gradcam_inspection *x, const char *text, gradcam_error *error)
{
    const char *copy = NULL;
    GC_TRY(gc_arena_string(x->arena, &copy, text, strlen(text), error));
    GC_TRY(gc_grow(&x->problems, &x->problem_capacity, x->info.problem_count + 1,
                   sizeof *x->problems, error));
    x->problems[x->info.problem_count++] = copy;
    x->info.problems = x->problems;
    return GRADCAM_OK;
}

/* ---- The file ------------------------------------------------------------------------------- */

static gradcam_status copy_values(gradcam_inspection *x, const gc_survey_value *from, size_t count,
                                  const gradcam_value_info **to, gradcam_error *error)
{
    gradcam_value_info *list = NULL;
    GC_TRY(gc_arena_new(x->arena, &list, count, sizeof *list, error));
    for (size_t i = 0; i < count; i++) {
        list[i] =
            (gradcam_value_info){.name = from[i].name, .type = from[i].type, .rank = from[i].rank};
        for (int d = 0; d < from[i].rank; d++) {
            list[i].dims[d] = from[i].dims[d];
            list[i].dim_names[d] = from[i].dim_names[d];
        }
    }
    *to = list;
    return GRADCAM_OK;
}

static gradcam_status copy_survey(gradcam_inspection *x, gradcam_error *error)
{
    const gc_survey *const s = &x->survey;
    gradcam_opset *opsets = NULL;
    GC_TRY(gc_arena_new(x->arena, &opsets, s->opset_count, sizeof *opsets, error));
    for (size_t i = 0; i < s->opset_count; i++)
        opsets[i] = (gradcam_opset){
            s->opsets[i].domain[0] != '\0' ? s->opsets[i].domain : "ai.onnx", s->opsets[i].version};
    x->info.opsets = opsets;
    x->info.opset_count = s->opset_count;
    x->info.producer = s->producer;
    x->info.ir_version = s->ir_version;
    x->info.node_count = s->node_count;
    x->info.function_count = s->function_count;
    x->info.parameters = s->parameters;
    x->info.parameter_bytes = s->parameter_bytes;
    x->info.input_count = s->input_count;
    x->info.output_count = s->output_count;
    GC_TRY(copy_values(x, s->inputs, s->input_count, &x->info.inputs, error));
    return copy_values(x, s->outputs, s->output_count, &x->info.outputs, error);
}

/* ---- Operators ------------------------------------------------------------------------------ */

/* The row of an operator, or of the one that the reader makes of it. */
static const gc_op *row_of(const gc_survey_operator *o)
{
    const char *const becomes = gc_onnx_becomes(o->name, o->domain);
    return becomes != NULL ? gc_op_find(becomes, "") : gc_op_find(o->name, o->domain);
}

static bool is_constant(const gc_survey_operator *o)
{
    return o->domain[0] == '\0' && strcmp(o->name, "Constant") == 0;
}

static bool is_missing_in(const gc_graph *graph, const gc_survey_operator *o)
{
    for (int n = 0; n < graph->node_count; n++)
        if (strcmp(graph->nodes[n].op, o->name) == 0 &&
            strcmp(graph->nodes[n].domain, o->domain) == 0)
            return gc_op_find(o->name, o->domain) == NULL && !gc_is_unrolled(&graph->nodes[n]);
    return false; /* the reader made something else of it, or nothing needs it */
}

/* Operators of the graph that are missing but not in the file's list: from functions. */
static gradcam_status add_inner_problems(gradcam_inspection *x, const gc_graph *graph,
                                         gradcam_error *error)
{
    gradcam_error found = {0};
    if (x->info.function_count == 0 || gc_check_supported(graph, &found) == GRADCAM_OK)
        return GRADCAM_OK;
    return add_problem(x, found.message, error);
}

static gradcam_status judge_operators(gradcam_inspection *x, const gc_graph *graph,
                                      gradcam_error *error)
{
    const gc_survey *const s = &x->survey;
    gradcam_operator_info *list = NULL;
    char text[256];
    GC_TRY(gc_arena_new(x->arena, &list, s->operator_count, sizeof *list, error));
    for (size_t i = 0; i < s->operator_count; i++) {
        const gc_survey_operator *const o = &s->operators[i];
        const gc_op *const op = row_of(o);
        const bool is_missing = graph != NULL ? is_missing_in(graph, o)
                                              : op == NULL && !is_constant(o) && !o->is_function;
        list[i] = (gradcam_operator_info){.name = o->name,
                                          .domain = o->domain,
                                          .count = o->count,
                                          .is_supported = !is_missing,
                                          .has_gradient = op != NULL && op->backward != NULL,
                                          .is_function = o->is_function};
        if (!is_missing)
            continue;
        snprintf(text, sizeof text, "operator %s%s%s is not supported (%d node%s)", o->domain,
                 o->domain[0] != '\0' ? "." : "", o->name, o->count, o->count == 1 ? "" : "s");
        GC_TRY(add_problem(x, text, error));
    }
    x->info.operators = list;
    x->info.operator_count = s->operator_count;
    return graph != NULL ? add_inner_problems(x, graph, error) : GRADCAM_OK;
}

/* ---- The network ---------------------------------------------------------------------------- */

static gradcam_status copy_layer(gradcam_inspection *x, const gradcam_explainer *e,
                                 gradcam_error *error)
{
    size_t count = 0;
    const gradcam_layer *const layers = gradcam_explainer_layers(e, &count);
    for (size_t i = 0; i < count; i++) {
        if (!layers[i].is_target)
            continue;
        gradcam_layer *const l = &x->info.layer;
        *l = layers[i];
        const char **const texts[] = {&l->name, &l->output, &l->operator_name, &l->reason};
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
            GC_TRY(gc_arena_string(x->arena, texts[t], *texts[t], strlen(*texts[t]), error));
        x->info.has_layer = 1;
        return GRADCAM_OK;
    }
    return GRADCAM_OK;
}

/* What explaining would say: the layer, or why not. A problem is no failure of the inspection. */
static gradcam_status try_to_plan(gradcam_inspection *x, const char *path,
                                  const gradcam_model_options *model_options,
                                  const gradcam_explainer_options *options, gradcam_error *error)
{
    gradcam_error found = {0};
    gradcam_model *model = NULL;
    gradcam_explainer *e = NULL;
    gradcam_status status = gradcam_model_load(&model, path, model_options, &found);
    if (status == GRADCAM_OK)
        status = gradcam_explainer_create(&e, model, options, &found);
    if (status != GRADCAM_OK && status != GRADCAM_ERROR_MEMORY)
        status = add_problem(x, found.message, error);
    else if (status != GRADCAM_OK)
        status = gc_fail(error, status, "%s", found.message);
    if (e != NULL) {
        x->info.macs = gc_count_macs(e->graph);
        status = copy_layer(x, e, error);
    }
    gradcam_explainer_destroy(&e);
    gradcam_model_destroy(&model);
    return status;
}

static gradcam_status inspect(gradcam_inspection *x, const char *path,
                              const gradcam_model_options *model_options,
                              const gradcam_explainer_options *options, gradcam_error *error)
{
    gradcam_error found = {0};
    gc_graph *graph = NULL;
    gc_budget budget;
    gc_budget_init(&budget, model_options != NULL ? model_options->max_memory : 0);
    GC_TRY(gc_arena_create(&x->arena, error));
    const gradcam_limits limits = gc_limits(model_options != NULL ? model_options->limits : NULL);
    const gc_onnx_bounds bounds = {.budget = &budget, .limits = &limits};
    GC_TRY(gc_limits_check(&limits, error));
    GC_TRY(gc_survey_file(&x->survey, path, gc_limit_model(&limits), error));
    GC_TRY(gc_arena_string(x->arena, &x->info.path, path, strlen(path), error));
    x->info.macs = -1;
    GC_TRY(copy_survey(x, error));
    gradcam_status status = gc_onnx_read_file(&graph, path, &bounds, &found);
    if (status == GRADCAM_OK)
        status = gc_graph_remove_dead(graph, &found);
    const bool is_read = status == GRADCAM_OK;
    status = judge_operators(x, is_read ? graph : NULL, error);
    gc_graph_destroy(&graph);
    GC_TRY(status);
    if (!is_read)
        return add_problem(x, found.message, error);
    if (x->info.problem_count > 0)
        return GRADCAM_OK;
    return try_to_plan(x, path, model_options, options, error);
}

gradcam_status gradcam_inspect(gradcam_inspection **inspection, const char *path,
                               const gradcam_model_options *model_options,
                               const gradcam_explainer_options *options, gradcam_error *error)
{
    GC_FAIL_IF(inspection == NULL, error, GRADCAM_ERROR_ARGUMENT, "inspection: NULL");
    *inspection = NULL;
    GC_FAIL_IF(path == NULL, error, GRADCAM_ERROR_ARGUMENT, "path: NULL");
    GC_TRY(gc_new(inspection, 1, sizeof **inspection, error));
    const gradcam_status status = inspect(*inspection, path, model_options, options, error);
    if (status != GRADCAM_OK)
        gradcam_inspection_destroy(inspection);
    return status;
}

const gradcam_inspection_info *gradcam_inspection_look(const gradcam_inspection *inspection)
{
    return &inspection->info;
}

void gradcam_inspection_destroy(gradcam_inspection **inspection)
{
    if (inspection == NULL || *inspection == NULL)
        return;
    gc_survey_free(&(*inspection)->survey);
    gc_free((*inspection)->problems);
    gc_arena_destroy(&(*inspection)->arena);
    gc_free(*inspection);
    *inspection = NULL;
}
