/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of a model besides its graph: labels and preprocessing. Each comes from the first
 * of options, files beside the model (as the Hugging Face hub lays them), ONNX metadata.
 *
 * Metadata keys: "id2label" (JSON object), "labels" (one a line, or comma-separated), and
 * "preprocessor_config" (JSON, as the file), "preset" (a name).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "api/objects.h"
#include "picture/file.h"

static gradcam_status beside(gradcam_model *model, const char *name, const char **path,
                             gradcam_error *error)
{
    const char *const slash = strrchr(model->path, '/');
    const int folder = slash != NULL ? (int)(slash - model->path) + 1 : 0;
    return gc_arena_format(model->arena, path, error, "%.*s%s", folder, model->path, name);
}

static const char *metadata(const gradcam_model *model, const char *key)
{
    for (int i = 0; i < model->graph->metadata_count; i++)
        if (strcmp(model->graph->metadata[i].key, key) == 0)
            return model->graph->metadata[i].value;
    return NULL;
}

/* ---- Labels --------------------------------------------------------------------------------- */

static gradcam_status labels_from_file(gradcam_model *model, const char *path, gradcam_error *error)
{
    char *text = NULL;
    size_t size = 0;
    GC_TRY(gc_file_read(path, gc_limit_text(&model->limits), &text, &size, error));
    const bool is_json = size > 0 && text[strspn(text, " \t\r\n")] == '{';
    const gradcam_status status = is_json ? gc_labels_from_json(&model->labels, text, size, error)
                                          : gc_labels_from_text(&model->labels, text, size, error);
    gc_free(text);
    return status == GRADCAM_OK ? status : gc_fail_context(error, status, "%s: ", path);
}

static gradcam_status labels_from_metadata(gradcam_model *model, gradcam_error *error)
{
    const char *const json = metadata(model, "id2label");
    const char *const text = metadata(model, "labels");
    if (json != NULL) {
        /* The value is what config.json has under that name. */
        const char *object = NULL;
        GC_TRY(gc_arena_format(model->arena, &object, error, "{\"id2label\":%s}", json));
        return gc_labels_from_json(&model->labels, object, strlen(object), error);
    }
    if (text == NULL || text[0] == '\0')
        return GRADCAM_OK;
    char *lines = NULL;
    const size_t length = strlen(text);
    GC_TRY(gc_arena_new(model->arena, &lines, length + 1, 1, error));
    memcpy(lines, text, length);
    for (char *at = lines; strchr(text, '\n') == NULL && *at != '\0'; at++)
        if (*at == ',')
            *at = '\n';
    return gc_labels_from_text(&model->labels, lines, length, error);
}

static gradcam_status learn_labels(gradcam_model *model, const char *option, gradcam_error *error)
{
    const char *config = NULL;
    if (option != NULL) {
        GC_TRY(labels_from_file(model, option, error));
        return gc_arena_string(model->arena, &model->labels_source, option, strlen(option), error);
    }
    GC_TRY(beside(model, "config.json", &config, error));
    if (access(config, R_OK) == 0)
        GC_TRY(labels_from_file(model, config, error));
    model->labels_source = model->labels.count > 0 ? config : NULL;
    if (model->labels.count > 0)
        return GRADCAM_OK;
    GC_TRY(labels_from_metadata(model, error));
    model->labels_source = model->labels.count > 0 ? "metadata" : NULL;
    return GRADCAM_OK;
}

/* ---- Preprocessing -------------------------------------------------------------------------- */

static gradcam_status preprocessing_from_file(gradcam_model *model, const char *path,
                                              gradcam_error *error)
{
    char *text = NULL;
    size_t size = 0;
    GC_TRY(gc_file_read(path, gc_limit_text(&model->limits), &text, &size, error));
    const gradcam_status status =
        gc_preprocessing_from_json(&model->preprocessing, text, size, error);
    gc_free(text);
    return status == GRADCAM_OK ? status : gc_fail_context(error, status, "%s: ", path);
}

static gradcam_status learn_preprocessing(gradcam_model *model, gradcam_error *error)
{
    const char *config = NULL;
    const char *const json = metadata(model, "preprocessor_config");
    const char *const preset = metadata(model, "preset");
    GC_TRY(beside(model, "preprocessor_config.json", &config, error));
    model->preset = "custom";
    if (access(config, R_OK) == 0) {
        GC_TRY(preprocessing_from_file(model, config, error));
        model->preset_source = "preprocessor_config.json";
    } else if (json != NULL) {
        GC_TRY(gc_preprocessing_from_json(&model->preprocessing, json, strlen(json), error));
        model->preset_source = "metadata";
    } else if (preset != NULL) {
        GC_TRY(gc_preprocessing_preset(&model->preprocessing, preset, error));
        model->preset = preset;
        model->preset_source = "metadata";
    }
    model->has_preprocessing = model->preset_source != NULL;
    return GRADCAM_OK;
}

gradcam_status gc_model_learn(gradcam_model *model, const gradcam_model_options *options,
                              gradcam_error *error)
{
    GC_TRY(learn_labels(model, options->labels_path, error));
    return learn_preprocessing(model, error);
}
