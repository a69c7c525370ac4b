/* SPDX-License-Identifier: Apache-2.0 */
/* gradcam explain: heat maps of one or many pictures with one model and one explainer. */
#include <string.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/session.h"
#include "picture/colormap.h"

typedef struct job {
    const gc_settings *settings;
    gc_session session;
    gc_arena *arena; /* of all names */
    gc_texts pictures;
    gc_naming naming;
    gc_protected inputs;
    int *classes;
    size_t class_count;
    gc_json_sink json;
    gc_progress progress;
    bool is_text; /* standard output gets the report for people */
} job;

/* ---- Options -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    gradcam_output output;
} kinds[] = {{"raw", GRADCAM_NPY_RAW},
             {"normalised", GRADCAM_NPY_NORMALISED},
             {"picture", GRADCAM_NPY_PICTURE},
             {"normalized", GRADCAM_NPY_NORMALISED}};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

static const char *kind_name(size_t index)
{
    return index < KIND_COUNT - 1 ? kinds[index].name : NULL; /* one spelling is enough */
}

static gradcam_status set_npy_kind(const gc_option *option, const char *value, void *settings,
                                   gradcam_error *error)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (strcmp(value, kinds[i].name) == 0) {
            ((gc_settings *)settings)->npy_kind = kinds[i].output;
            ((gc_settings *)settings)->npy.wanted = true;
            return GRADCAM_OK;
        }
    return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                   "--%s: '%s' is not one of raw, normalised, picture.", option->name, value);
}

static const char *colormap_name(size_t index)
{
    const char *const *name = gradcam_colormap_names();
    while (*name != NULL && index-- > 0)
        name++;
    return *name;
}

static gradcam_status set_colormap(const gc_option *option, const char *value, void *settings,
                                   gradcam_error *error)
{
    const gc_colormap *colormap = NULL;
    GC_TRY(gc_colormap_find(&colormap, value, error));
    return gc_set_text(option, value, settings, error);
}

#define AT(member) .offset = offsetof(gc_settings, member)

static const gc_option output_rows[] = {
    {"output", 'o', "FILE|DIR", .set = gc_set_text, AT(output),
     .help = "Where the overlay goes (.png, .jpg or .webp), or a folder for all files; a folder "
             "ends in '/' or is there already. Default: NAME.gradcam.png in the current folder"},
    {"class", 0, "X", .set = gc_set_list, AT(classes),
     .help = "Class to explain: index, label or a part of one; may be repeated. Default: the "
             "predicted class"},
    {"alpha", 0, "A", .set = gc_set_number, AT(render.alpha), .maximum = 1,
     .help = "Share of the heat in the overlay, 0 to 1; default 0.4"},
    {"colormap", 0, "NAME", .set = set_colormap, AT(render.colormap), .choice = colormap_name,
     .help = "Colours of the map; default jet; an unknown name lists them all"},
    {"quality", 0, "N", .set = gc_set_integer, AT(render.quality), .minimum = 1, .maximum = 100,
     .help = "Of JPEG and WebP, 1 to 100; default 92"},
    {"heatmap", 0, "FILE", true, .set = gc_set_file, AT(heatmap),
     .help = "Write the coloured map alone, too; default NAME.heatmap.png"},
    {"npy", 0, "FILE", true, .set = gc_set_file, AT(npy),
     .help = "Write the map as numbers, too (float32); default NAME.npy"},
    {"npy-kind", 0, "KIND", .set = set_npy_kind, .choice = kind_name,
     .help = "raw: native resolution, before the ReLU (default); normalised: native resolution, 0 "
             "to 1; picture: the picture's resolution, 0 to 1. Implies --npy"},
};

static const gc_option_table output_table = {"Output", output_rows,
                                             sizeof output_rows / sizeof output_rows[0]};

static const gc_option_table *const tables[] = {&output_table,       &gc_options_layer,
                                                &gc_options_network, &gc_options_picture,
                                                &gc_options_report,  NULL};

/* ---- Preparing ------------------------------------------------------------------------------ */

static gradcam_status collect_pictures(job *j, gradcam_error *error)
{
    const gc_texts *const arguments = &j->settings->arguments;
    const char *const npy = j->settings->input_npy;
    GC_FAIL_IF(arguments->count == 0, error, GRADCAM_ERROR_ARGUMENT,
               "no model is given. Usage: gradcam explain %s", gc_command_explain.usage);
    GC_FAIL_IF(arguments->count == 1 && npy == NULL, error, GRADCAM_ERROR_ARGUMENT,
               "no picture is given. Usage: gradcam explain %s", gc_command_explain.usage);
    for (size_t i = 1; i < arguments->count; i++)
        GC_TRY(gc_pictures_add(j->arena, &j->pictures, arguments->items[i], error));
    GC_FAIL_IF(npy != NULL && j->pictures.count > 1, error, GRADCAM_ERROR_ARGUMENT,
               "--input-npy takes one picture to show the map on, but %zu are given.",
               j->pictures.count);
    return GRADCAM_OK;
}

/* No output may replace the model, the labels, the tensor or a picture. */
static gradcam_status protect_inputs(job *j, gradcam_error *error)
{
    const gc_settings *const s = j->settings;
    GC_TRY(gc_protect(&j->inputs, s->arguments.items[0], error));
    GC_TRY(gc_protect(&j->inputs, s->labels, error));
    GC_TRY(gc_protect(&j->inputs, s->input_npy, error));
    for (size_t i = 0; i < j->pictures.count; i++)
        GC_TRY(gc_protect(&j->inputs, j->pictures.items[i], error));
    GC_TRY(gc_protected_check(&j->inputs, j->naming.overlay, error));
    GC_TRY(gc_protected_check(&j->inputs, s->heatmap.path, error));
    GC_TRY(gc_protected_check(&j->inputs, s->npy.path, error));
    return gc_protected_check(&j->inputs, j->json.path, error);
}

/* Texts to indices, each once. */
static gradcam_status resolve_classes(job *j, gradcam_error *error)
{
    const gc_texts *const texts = &j->settings->classes;
    GC_TRY(gc_new(&j->classes, texts->count, sizeof *j->classes, error));
    for (size_t i = 0; i < texts->count; i++) {
        int found = 0;
        size_t k = 0;
        GC_TRY(gradcam_model_find_class(j->session.model, texts->items[i], &found, error));
        while (k < j->class_count && j->classes[k] != found)
            k++;
        j->classes[k] = found;
        j->class_count += k == j->class_count;
    }
    return GRADCAM_OK;
}

static gradcam_status prepare(job *j, gradcam_error *error)
{
    GC_TRY(gc_arena_create(&j->arena, error));
    GC_TRY(collect_pictures(j, error));
    const bool is_several = j->pictures.count > 1 || j->settings->classes.count > 1;
    GC_TRY(gc_naming_init(&j->naming, j->arena, j->settings, is_several, error));
    GC_TRY(protect_inputs(j, error));
    GC_TRY(gc_session_open(&j->session, j->settings, error));
    j->progress = gc_progress_start(j->pictures.count, !j->settings->quiet);
    return resolve_classes(j, error);
}

/* ---- One picture ---------------------------------------------------------------------------- */

typedef struct result {
    const char *name; /* of the picture, or of the tensor where there is no picture */
    const char *base;
    gradcam_explanation *explanation;
    size_t map_count;
    gc_map_files *files; /* one entry a map */
    bool is_finite;
} result;

/* Names come first, all of them: a name that is refused must not leave half the files behind. */
static gradcam_status name_files(const job *j, result *r, gradcam_error *error)
{
    GC_TRY(gc_new(&r->files, r->map_count, sizeof *r->files, error));
    for (size_t i = 0; i < r->map_count; i++) {
        const gradcam_map *const map = gradcam_explanation_map(r->explanation, i);
        if (map->state == GRADCAM_MAP_NOT_FINITE) {
            r->is_finite = false;
            continue;
        }
        GC_TRY(gc_naming_files(&j->naming, r->base, r->map_count > 1 ? &map->prediction : NULL,
                               &r->files[i], error));
        GC_TRY(gc_protected_check(&j->inputs, r->files[i].overlay, error));
        GC_TRY(gc_protected_check(&j->inputs, r->files[i].heatmap, error));
        GC_TRY(gc_protected_check(&j->inputs, r->files[i].npy, error));
    }
    return GRADCAM_OK;
}

static gradcam_status save(const job *j, const result *r, size_t map, gradcam_error *error)
{
    const struct {
        const char *path;
        gradcam_output output;
    } outputs[] = {{r->files[map].overlay, GRADCAM_IMAGE_OVERLAY},
                   {r->files[map].heatmap, GRADCAM_IMAGE_HEATMAP},
                   {r->files[map].npy, j->settings->npy_kind}};
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++)
        if (outputs[i].path != NULL)
            GC_TRY(gradcam_explanation_save(r->explanation, map, outputs[i].output,
                                            &j->settings->render, outputs[i].path, error));
    return GRADCAM_OK;
}

static void report_full(const job *j, const result *r)
{
    gc_report_predictions(r->name, r->explanation, j->settings->top);
    for (size_t i = 0; i < r->map_count; i++)
        gc_report_map(gradcam_explanation_map(r->explanation, i), &r->files[i]);
    if (j->settings->verbose)
        gc_report_timings(r->explanation);
}

/* Where there is no report, a map that shows nothing is worth a word all the same. */
static void warn(const result *r, const gradcam_map *map)
{
    gradcam_error note = {0};
    if (map->state != GRADCAM_MAP_FLAT && map->state != GRADCAM_MAP_NON_POSITIVE)
        return;
    gc_fail(&note, GRADCAM_OK, "note: %s, class %d: %s", r->name, map->prediction.index,
            gc_map_advice(map->state));
    gc_report_error(&note);
}

static void report(const job *j, const result *r)
{
    gc_progress_clear(&j->progress);
    if (j->is_text && (j->pictures.count <= 1 || j->settings->verbose)) {
        report_full(j, r);
        return;
    }
    for (size_t i = 0; i < r->map_count; i++) {
        const gradcam_map *const map = gradcam_explanation_map(r->explanation, i);
        if (j->is_text)
            gc_report_map_line(r->name, map, &r->files[i]);
        else
            warn(r, map);
    }
}

static gradcam_status deliver(job *j, result *r, gradcam_error *error)
{
    r->map_count = gradcam_explanation_map_count(r->explanation);
    GC_TRY(name_files(j, r, error));
    GC_TRY(gc_naming_make_folder(&j->naming, error));
    for (size_t i = 0; i < r->map_count; i++)
        GC_TRY(save(j, r, i, error));
    report(j, r);
    GC_TRY(gc_json_picture(&j->json, &j->session, r->name, r->explanation, r->files,
                           j->settings->top, error));
    GC_FAIL_IF(!r->is_finite, error, GRADCAM_ERROR_NUMERIC, "%s: %s", r->name,
               gc_map_advice(GRADCAM_MAP_NOT_FINITE));
    return GRADCAM_OK;
}

static gradcam_status explain_picture(job *j, const char *picture, gradcam_error *error)
{
    result r = {.name = picture != NULL ? picture : j->settings->input_npy, .is_finite = true};
    GC_TRY(gc_naming_base(&j->naming, r.name, &r.base, error));
    gradcam_status status = gc_session_explain(&j->session, j->settings, picture,
                                               j->class_count > 0 ? j->classes : NULL,
                                               j->class_count, &r.explanation, error);
    if (status == GRADCAM_OK)
        status = deliver(j, &r, error);
    gc_free(r.files);
    gradcam_explanation_destroy(&r.explanation);
    return status;
}

/* ---- The run -------------------------------------------------------------------------------- */

/* A picture that fails is reported and the others go on; the first failure is the status. */
static gradcam_status explain_all(job *j)
{
    gradcam_status first = GRADCAM_OK;
    const size_t count = j->pictures.count > 0 ? j->pictures.count : 1;
    for (size_t i = 0; i < count; i++) {
        gradcam_error error = {0};
        const char *const picture = j->pictures.count > 0 ? j->pictures.items[i] : NULL;
        gc_progress_show(&j->progress, i, picture != NULL ? picture : "");
        const gradcam_status status = explain_picture(j, picture, &error);
        gc_progress_clear(&j->progress);
        if (status != GRADCAM_OK)
            gc_report_error(&error);
        if (first == GRADCAM_OK)
            first = status;
    }
    return first;
}

static gradcam_status run_job(job *j, gradcam_error *error)
{
    GC_TRY(prepare(j, error));
    if (j->is_text)
        gc_report_session(&j->session, true, j->settings->verbose);
    if (j->is_text && j->pictures.count > 1 && !j->settings->verbose)
        printf("\n");
    const gradcam_status status = explain_all(j);
    GC_TRY(gc_json_finish(&j->json, error));
    return status;
}

static gradcam_status run(const gc_settings *settings, gradcam_error *error)
{
    job j = {.settings = settings, .json = gc_json_open(settings)};
    j.is_text = !settings->quiet && !gc_json_is_stdout(&j.json);
    const gradcam_status status = run_job(&j, error);
    gc_session_close(&j.session);
    gc_json_free(&j.json);
    gc_free(j.classes);
    gc_naming_free(&j.naming);
    gc_protected_free(&j.inputs);
    gc_texts_free(&j.pictures);
    gc_arena_destroy(&j.arena);
    return status;
}

const gc_command gc_command_explain = {
    .name = "explain",
    .usage = "MODEL.onnx PICTURE|FOLDER... [OPTIONS]",
    .summary = "Write heat maps that show what the model looked at",
    .details =
        "Pictures are JPEG, PNG, WebP, TIFF or BMP; a folder stands for the pictures in it. "
        "photos/cat.jpg gives cat.gradcam.png; with several classes, cat.281-tabby.gradcam.png "
        "and so on. An input is never replaced, and a file appears whole or not at all. A picture "
        "that fails does not stop the others; the exit code is that of the first failure.",
    .tables = tables,
    .run = run,
};
