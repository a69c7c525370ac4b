/* SPDX-License-Identifier: Apache-2.0 */
/* gradcam layers: what --layer can name. */
#include "cli/json.h"
#include "cli/report.h"

static gradcam_status report(const gc_settings *settings, const gc_session *session,
                             gc_json_sink *json, gradcam_error *error)
{
    if (!settings->quiet && !gc_json_is_stdout(json)) {
        gc_report_session(session, false, settings->verbose);
        printf("\n");
        gc_report_layers(session);
    }
    GC_TRY(gc_json_layers(json, session, error));
    return gc_json_finish(json, error);
}

static gradcam_status run(const gc_settings *settings, gradcam_error *error)
{
    GC_FAIL_IF(settings->arguments.count != 1, error, GRADCAM_ERROR_ARGUMENT,
               "one model is needed, %zu arguments are given. Usage: gradcam layers %s",
               settings->arguments.count, gc_command_layers.usage);
    gc_session session = {0};
    gc_json_sink json = gc_json_open(settings);
    gc_protected inputs = {0};
    gradcam_status status = gc_protect(&inputs, settings->arguments.items[0], error);
    if (status == GRADCAM_OK)
        status = gc_protected_check(&inputs, json.path, error);
    if (status == GRADCAM_OK)
        status = gc_session_open(&session, settings, settings->explainer.threads, error);
    if (status == GRADCAM_OK)
        status = report(settings, &session, &json, error);
    gc_session_close(&session);
    gc_json_free(&json);
    gc_protected_free(&inputs);
    return status;
}

static const gc_option_table *const tables[] = {&gc_options_layer, &gc_options_network,
                                                &gc_options_limits, &gc_options_report, NULL};

const gc_command gc_command_layers = {
    .name = "layers",
    .usage = "MODEL.onnx [OPTIONS]",
    .summary = "List the layers that can be explained",
    .details = "The line with * is the layer that would be explained, with the reason below the "
               "table.",
    .tables = tables,
    .run = run,
};
