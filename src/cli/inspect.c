/* SPDX-License-Identifier: Apache-2.0 */
/* gradcam inspect: what a model is made of, for whoever reports a problem. */
#include <inttypes.h>

#include "cli/json.h"
#include "cli/report.h"
#include "cli/session.h"

/* ---- Text ----------------------------------------------------------------------------------- */

static void print_value(const char *kind, const gradcam_value_info *v)
{
    printf("%-11s", kind);
    gc_print_text(stdout, v->name);
    printf("  %s  ", v->type);
    for (int i = 0; i < v->rank; i++) {
        if (i > 0)
            printf("x");
        if (v->dims[i] >= 0)
            printf("%" PRId64, v->dims[i]);
        else
            gc_print_text(stdout, v->dim_names[i][0] != '\0' ? v->dim_names[i] : "?");
    }
    printf("%s\n", v->rank < 0 ? "shape not given" : v->rank == 0 ? "scalar" : "");
}

/* 4089284608 as "4.09 G". */
static void print_large(const char *kind, int64_t value, const char *more)
{
    const double units[] = {1e9, 1e6, 1e3};
    printf("%-11s%" PRId64, kind, value);
    for (size_t i = 0; i < 3; i++)
        if ((double)value >= units[i]) {
            printf(" (%.3g %c)", (double)value / units[i], "GMk"[i]);
            break;
        }
    printf("%s\n", more);
}

static void print_operators(const gradcam_inspection_info *info)
{
    printf("operators  %zu types, %zu nodes", info->operator_count, info->node_count);
    if (info->function_count > 0)
        printf(", %zu functions", info->function_count);
    printf("\n");
    for (size_t i = 0; i < info->operator_count; i++) {
        const gradcam_operator_info *const o = &info->operators[i];
        printf("  %6d  ", o->count);
        gc_print_text(stdout, o->domain);
        printf("%s", o->domain[0] != '\0' ? "." : "");
        gc_print_text(stdout, o->name);
        printf("%s\n", !o->is_supported ? "  NOT SUPPORTED" : o->is_function ? "  (function)" : "");
    }
}

static void print_layer(const gradcam_inspection_info *info)
{
    const gradcam_layer *const l = &info->layer;
    if (info->macs >= 0)
        print_large("MACs", info->macs, "");
    else
        printf("%-11snot known: the shapes were not found\n", "MACs");
    if (!info->has_layer)
        return;
    printf("%-11s", "layer");
    gc_print_text(stdout, l->name);
    printf("  %s  ", l->operator_name);
    for (int i = 0; i < l->rank; i++)
        printf("%s%" PRId64, i > 0 ? "x" : "", l->dims[i]);
    printf("\n%-11s", "");
    gc_print_text(stdout, l->reason);
    printf("\n");
}

static void print_all(const gradcam_inspection_info *info)
{
    char bytes[64];
    printf("%-11s", "model");
    gc_print_text(stdout, info->path);
    printf("\n%-11s", "producer");
    gc_print_text(stdout, info->producer[0] != '\0' ? info->producer : "not named");
    printf("\n%-11sIR %" PRId64, "versions", info->ir_version);
    for (size_t i = 0; i < info->opset_count; i++) {
        printf(", ");
        gc_print_text(stdout, info->opsets[i].domain);
        printf(" %" PRId64, info->opsets[i].version);
    }
    printf("\n");
    for (size_t i = 0; i < info->input_count; i++)
        print_value("input", &info->inputs[i]);
    for (size_t i = 0; i < info->output_count; i++)
        print_value("output", &info->outputs[i]);
    snprintf(bytes, sizeof bytes, ", %" PRId64 " bytes", info->parameter_bytes);
    print_large("parameters", info->parameters, bytes);
    print_operators(info);
    print_layer(info);
    for (size_t i = 0; i < info->problem_count; i++) {
        printf("%-11s", "problem");
        gc_print_text(stdout, info->problems[i]);
        printf("\n");
    }
    printf("%-11s%s\n", "verdict", info->problem_count == 0 ? "supported" : "NOT SUPPORTED");
}

/* ---- The command ---------------------------------------------------------------------------- */

static gradcam_status report(const gc_settings *settings, const gradcam_inspection_info *info,
                             gc_json_sink *json, gradcam_error *error)
{
    if (!settings->quiet && !gc_json_is_stdout(json))
        print_all(info);
    GC_TRY(gc_json_inspection(json, info, error));
    return gc_json_finish(json, error);
}

static gradcam_status inspect(const gc_settings *settings, const char *path,
                              gradcam_inspection **inspection, gradcam_error *error)
{
    gc_side_inputs inputs;
    gradcam_explainer_options explainer = settings->explainer;
    gradcam_status status = gc_side_inputs_read(&inputs, settings, &explainer, error);
    if (status == GRADCAM_OK)
        status = gradcam_inspect(inspection, path, &settings->model, &explainer, error);
    gc_side_inputs_free(&inputs);
    return status;
}

static gradcam_status run(const gc_settings *settings, gradcam_error *error)
{
    GC_FAIL_IF(settings->arguments.count != 1, error, GRADCAM_ERROR_ARGUMENT,
               "one model is needed, %zu arguments are given. Usage: gradcam inspect %s",
               settings->arguments.count, gc_command_inspect.usage);
    const char *const path = settings->arguments.items[0];
    gradcam_inspection *inspection = NULL;
    gc_json_sink json = gc_json_open(settings);
    gc_protected inputs = {0};
    gradcam_status status = gc_protect(&inputs, path, error);
    if (status == GRADCAM_OK)
        status = gc_protected_check(&inputs, json.path, error);
    if (status == GRADCAM_OK)
        status = inspect(settings, path, &inspection, error);
    if (status == GRADCAM_OK)
        status = report(settings, gradcam_inspection_look(inspection), &json, error);
    gradcam_inspection_destroy(&inspection);
    gc_json_free(&json);
    gc_protected_free(&inputs);
    return status;
}

static const gc_option_table *const tables[] = {&gc_options_layer, &gc_options_network,
                                                &gc_options_limits, &gc_options_report, NULL};

const gc_command gc_command_inspect = {
    .name = "inspect",
    .usage = "MODEL.onnx [OPTIONS]",
    .summary = "Show what a model is made of and what of it is not supported",
    .details =
        "Works on models that cannot be explained, too. Exit code 0 as long as the file is an "
        "ONNX model: the verdict says whether it is supported.",
    .tables = tables,
    .run = run,
};
