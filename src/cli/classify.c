/* SPDX-License-Identifier: Apache-2.0 */
/* gradcam classify: predictions alone. */
#include "cli/json.h"
#include "cli/report.h"

typedef struct job {
    const gc_settings *settings;
    gc_session session;
    gc_json_sink json;
    gc_arena *arena;
    gc_texts pictures;
    gc_protected inputs;
} job;

static gradcam_status prepare(job *j, gradcam_error *error)
{
    const gc_texts *const arguments = &j->settings->arguments;
    const bool has_npy = j->settings->input_npy != NULL;
    GC_FAIL_IF(arguments->count < (has_npy ? 1 : 2) || (has_npy && arguments->count > 1), error,
               GRADCAM_ERROR_ARGUMENT,
               "a model and pictures are needed (or a model and --input-npy). Usage: gradcam "
               "classify %s",
               gc_command_classify.usage);
    GC_TRY(gc_arena_create(&j->arena, error));
    for (size_t i = 1; i < arguments->count; i++)
        GC_TRY(gc_pictures_add(j->arena, &j->pictures, arguments->items[i], error));
    GC_TRY(gc_protect(&j->inputs, arguments->items[0], error));
    GC_TRY(gc_protect(&j->inputs, j->settings->model.labels_path, error));
    GC_TRY(gc_protect(&j->inputs, j->settings->input_npy, error));
    for (size_t i = 0; i < j->pictures.count; i++)
        GC_TRY(gc_protect(&j->inputs, j->pictures.items[i], error));
    GC_TRY(gc_protected_check(&j->inputs, j->json.path, error));
    return gc_session_open(&j->session, j->settings, j->settings->explainer.threads, error);
}

static gradcam_status classify_picture(job *j, const char *picture, bool is_text,
                                       gradcam_error *error)
{
    gradcam_explanation *explanation = NULL;
    const char *const name = picture != NULL ? picture : j->settings->input_npy;
    GC_TRY(gc_session_explain(&j->session, j->settings, picture, NULL, &explanation, error));
    if (is_text)
        gc_report_predictions(name, explanation, j->settings->top);
    if (is_text && j->settings->verbose)
        gc_report_timings(explanation);
    const gradcam_status status =
        gc_json_picture(&j->json, &j->session, name, explanation, NULL, j->settings->top, error);
    gradcam_explanation_destroy(&explanation);
    return status;
}

/* A picture that fails is reported and the others go on; the first failure is the status. */
static gradcam_status run_job(job *j, gradcam_error *error)
{
    GC_TRY(prepare(j, error));
    const bool is_text = !j->settings->quiet && !gc_json_is_stdout(&j->json);
    if (is_text)
        gc_report_session(&j->session, false, j->settings->verbose);
    gradcam_status first = GRADCAM_OK;
    const size_t count = j->pictures.count > 0 ? j->pictures.count : 1;
    for (size_t i = 0; i < count; i++) {
        gradcam_error own = {0};
        const char *const picture = j->pictures.count > 0 ? j->pictures.items[i] : NULL;
        const gradcam_status status = classify_picture(j, picture, is_text, &own);
        if (status != GRADCAM_OK)
            gc_report_error(&own);
        if (first == GRADCAM_OK)
            first = status;
    }
    GC_TRY(gc_json_finish(&j->json, error));
    return first;
}

static gradcam_status run(const gc_settings *settings, gradcam_error *error)
{
    job j = {.settings = settings, .json = gc_json_open(settings)};
    const gradcam_status status = run_job(&j, error);
    gc_session_close(&j.session);
    gc_json_free(&j.json);
    gc_protected_free(&j.inputs);
    gc_texts_free(&j.pictures);
    gc_arena_destroy(&j.arena);
    return status;
}

static const gc_option_table *const tables[] = {&gc_options_network, &gc_options_picture,
                                                &gc_options_limits, &gc_options_report, NULL};

const gc_command gc_command_classify = {
    .name = "classify",
    .usage = "MODEL.onnx PICTURE|FOLDER... [OPTIONS]",
    .summary = "Print the best classes of pictures",
    .tables = tables,
    .run = run,
};
