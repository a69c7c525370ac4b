/* SPDX-License-Identifier: Apache-2.0 */
/* gradcam explain: heat maps of one or many pictures with one model and one explainer. */
#include <string.h>

#include "cli/command.h"
#include "cli/crew.h"
#include "cli/images.h"
#include "cli/json.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/scales.h"
#include "cli/session.h"
#include "picture/colormap.h"

typedef struct job {
    const gc_settings *settings;
    gc_session session;
    gc_arena *arena; /* of all names */
    gc_texts pictures;
    gc_naming naming;
    gc_protected inputs;
    gradcam_request request;
    gradcam_target *targets;
    gradcam_method *methods;
    gc_scales scales;
    gc_json_sink json;
    gc_progress progress;
    bool is_text; /* standard output gets the report for people */
    int workers;
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

static gradcam_status set_scale(const gc_option *option, const char *value, void *settings,
                                gradcam_error *error)
{
    gc_settings *const s = settings;
    s->is_scale_shared = strcmp(value, "shared") == 0;
    s->render.scale = 0.0f;
    if (s->is_scale_shared || strcmp(value, "own") == 0)
        return GRADCAM_OK;
    if (!gc_parse_number(value, 1e-30, 1e30, &s->render.scale))
        return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                       "--%s: '%s' is not own, shared or a number above 0.", option->name, value);
    return GRADCAM_OK;
}

#define AT(member) .offset = offsetof(gc_settings, member)

static const gc_option output_rows[] = {
    {"output", 'o', "FILE|DIR", .set = gc_set_text, AT(output),
     .help = "Where the overlay goes (.png, .jpg or .webp), or a folder for all files; a folder "
             "ends in '/' or is there already. Default: NAME.gradcam.png in the current folder"},
    {"alpha", 0, "A", .set = gc_set_number, AT(render.alpha), .maximum = 1,
     .help = "Share of the heat in the overlay, 0 to 1; default 0.4"},
    {"colormap", 0, "NAME", .set = set_colormap, AT(render.colormap), .choice = colormap_name,
     .help = "Colours of the map; default jet, or bwr with --signed; an unknown name lists them "
             "all"},
    {"signed", 0, NULL, .set = gc_set_int_switch, AT(render.is_signed),
     .help = "Keep what speaks against the target: maps from -1 to 1, the middle colour for 0"},
    {"scale", 0, "HOW", .set = set_scale,
     .help = "What becomes 1: own, the maximum of each map (default); shared, the largest of all "
             "maps of a method and layer in this run, so that they can be compared; or a number"},
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

static const gc_option_table *const tables[] = {
    &output_table,       &gc_options_method, &gc_options_layer,  &gc_options_network,
    &gc_options_picture, &gc_options_limits, &gc_options_report, NULL};

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
    GC_TRY(gc_protect(&j->inputs, s->model.labels_path, error));
    GC_TRY(gc_protect(&j->inputs, s->input_npy, error));
    for (size_t i = 0; i < s->inputs.count; i++) /* NAME=FILE */
        GC_TRY(gc_protect(&j->inputs, strrchr(s->inputs.items[i], '=') + 1, error));
    for (size_t i = 0; i < j->pictures.count; i++)
        GC_TRY(gc_protect(&j->inputs, j->pictures.items[i], error));
    GC_TRY(gc_protected_check(&j->inputs, j->naming.overlay, error));
    GC_TRY(gc_protected_check(&j->inputs, s->heatmap.path, error));
    GC_TRY(gc_protected_check(&j->inputs, s->npy.path, error));
    return gc_protected_check(&j->inputs, j->json.path, error);
}

static void add_target(job *j, const char *text)
{
    for (size_t i = 0; i < j->request.target_count; i++)
        if (strcmp(j->targets[i].text, text) == 0)
            return;
    j->targets[j->request.target_count++].text = text;
}

/* Classes as indices, at the pixel of --at where there is one; then other targets. Each once. */
static gradcam_status list_targets(job *j, gradcam_error *error)
{
    const gc_settings *const s = j->settings;
    const char *text = NULL;
    const char *const at = s->at != NULL ? "@" : "", *const pixel = s->at != NULL ? s->at : "";
    GC_TRY(gc_new(&j->targets, s->classes.count + s->targets.count + 1, sizeof *j->targets, error));
    for (size_t i = 0; i < s->classes.count; i++) {
        int found = 0;
        GC_TRY(gradcam_model_find_class(j->session.model, s->classes.items[i], &found, error));
        GC_TRY(gc_arena_format(j->arena, &text, error, "%d%s%s", found, at, pixel));
        add_target(j, text);
    }
    if (s->at != NULL && s->classes.count == 0) {
        GC_TRY(gc_arena_format(j->arena, &text, error, "@%s", s->at));
        add_target(j, text);
    }
    for (size_t i = 0; i < s->targets.count; i++)
        add_target(j, s->targets.items[i]);
    j->request.targets = j->targets;
    return GRADCAM_OK;
}

/* A long run shows how far it is in the picture's own line. */
static void show_progress(void *user, const char *method, size_t done, size_t total)
{
    const gc_progress bar = gc_progress_start(total, !((const job *)user)->settings->quiet);
    gc_progress_show(&bar, done, method);
    if (done == total)
        gc_progress_clear(&bar);
}

static gradcam_status make_request(job *j, gradcam_error *error)
{
    const gc_texts *const methods = &j->settings->methods;
    j->request = j->settings->request;
    GC_TRY(gc_new(&j->methods, methods->count, sizeof *j->methods, error));
    for (size_t i = 0; i < methods->count; i++)
        j->methods[i].text = methods->items[i];
    j->request.methods = j->methods;
    j->request.method_count = methods->count;
    if (j->workers == 1) { /* several pictures at once have one line: how many are done */
        j->request.progress = show_progress;
        j->request.progress_user = j;
    }
    return list_targets(j, error);
}

static gradcam_status prepare(job *j, gradcam_error *error)
{
    GC_TRY(gc_arena_create(&j->arena, error));
    GC_TRY(collect_pictures(j, error));
    const gc_settings *const s = j->settings;
    const bool is_several = j->pictures.count > 1 || s->methods.count > 1 ||
                            s->classes.count + s->targets.count > 1 ||
                            (s->layers.count > 1 && s->request.fusion == GRADCAM_FUSE_NONE);
    GC_TRY(gc_naming_init(&j->naming, j->arena, j->settings, is_several, error));
    GC_TRY(protect_inputs(j, error));
    int threads = 0;
    j->workers = gc_crew_size(s, j->pictures.count, &threads);
    GC_TRY(gc_session_open(&j->session, s, threads, error));
    j->progress = gc_progress_start(j->pictures.count, !j->settings->quiet);
    return make_request(j, error);
}

/* ---- One picture ---------------------------------------------------------------------------- */

typedef struct result {
    const char *name; /* of the picture, or of the tensor where there is no picture */
    const char *base;
    gradcam_explanation *explanation;
    gc_images images;
    size_t map_count;
    gc_map_files *files;       /* one entry a map */
    const gradcam_map *broken; /* holds NaN or infinity; NULL: none does */
} result;

/* A pattern of layers or top:N can make several maps where one was expected. */
static gradcam_status check_unique(const result *r, size_t map, gradcam_error *error)
{
    for (size_t i = 0; i < map; i++)
        GC_FAIL_IF(
            r->files[i].overlay != NULL && strcmp(r->files[i].overlay, r->files[map].overlay) == 0,
            error, GRADCAM_ERROR_ARGUMENT,
            "%s: two maps would have this name. Name a folder: -o maps/.", r->files[map].overlay);
    return GRADCAM_OK;
}

/* Names come first, all of them: a name that is refused must not leave half the files behind. */
static gradcam_status name_files(const job *j, result *r, gradcam_error *error)
{
    const gc_variety variety = gc_variety_of(r->explanation);
    GC_TRY(gc_new(&r->files, r->map_count, sizeof *r->files, error));
    for (size_t i = 0; i < r->map_count; i++) {
        const gradcam_map *const map = gradcam_explanation_map(r->explanation, i);
        if (map->state == GRADCAM_MAP_NOT_FINITE) {
            r->broken = r->broken != NULL ? r->broken : map;
            continue;
        }
        GC_TRY(gc_naming_files(&j->naming, r->base, map, variety, &r->files[i], error));
        GC_TRY(check_unique(r, i, error));
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
    const gradcam_render_options render =
        gc_images_options(j->settings, &j->scales, gradcam_explanation_map(r->explanation, map));
    for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) {
        bool is_written = outputs[i].path == NULL;
        if (!is_written)
            GC_TRY(gc_images_write(&r->images, map, outputs[i].output, outputs[i].path, &is_written,
                                   error));
        if (!is_written)
            GC_TRY(gradcam_explanation_save(r->explanation, map, outputs[i].output, &render,
                                            outputs[i].path, error));
    }
    return GRADCAM_OK;
}

static void report_full(const job *j, const result *r)
{
    gc_report_predictions(r->name, r->explanation, j->settings->top);
    for (size_t i = 0; i < r->map_count; i++)
        gc_report_map(gradcam_explanation_map(r->explanation, i), &r->files[i],
                      gc_variety_of(r->explanation).layers);
    if (j->settings->verbose)
        gc_report_timings(r->explanation);
}

/* Where there is no report, a map that shows nothing is worth a word all the same. */
static void warn(const result *r, const gradcam_map *map)
{
    gradcam_error note = {0};
    if (map->state != GRADCAM_MAP_FLAT && map->state != GRADCAM_MAP_NON_POSITIVE)
        return;
    gc_fail(&note, GRADCAM_OK, "note: %s, %s%s: %s", r->name,
            map->prediction.index >= 0 ? "class " : "", map->target, gc_map_advice(map->state));
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
    const char *const trouble = r->broken != NULL ? r->broken->trouble : NULL;
    GC_FAIL_IF(r->broken != NULL, error, GRADCAM_ERROR_NUMERIC, "%s: %s%s%s%s", r->name,
               gc_map_advice(GRADCAM_MAP_NOT_FINITE),
               trouble != NULL ? " It appears first in " : "", trouble != NULL ? trouble : "",
               trouble != NULL ? "." : "");
    return GRADCAM_OK;
}

static const char *picture_at(const job *j, size_t index)
{
    return j->pictures.count > 0 ? j->pictures.items[index] : NULL;
}

/* What needs no order: on a worker's thread where there are several. */
static gradcam_status explain_picture(void *user, const gc_session *session, size_t index,
                                      void *item, gradcam_error *error)
{
    const job *const j = user;
    result *const r = item;
    const char *const picture = picture_at(j, index);
    if (j->workers == 1)
        gc_progress_show(&j->progress, index, picture != NULL ? picture : "");
    GC_TRY(gc_session_explain(session, j->settings, picture, &j->request, &r->explanation, error));
    if (j->workers > 1)
        gc_images_make(&r->images, r->explanation, j->settings, &j->scales);
    return GRADCAM_OK;
}

/* Names are given in the order of pictures, to those that failed, too. */
static gradcam_status deliver_next(job *j, result *r, gradcam_status status, gradcam_error *error)
{
    GC_TRY(gc_naming_base(&j->naming, r->name, &r->base, error));
    GC_TRY(status);
    if (j->settings->is_scale_shared && j->pictures.count <= 1)
        GC_TRY(gc_scales_add(&j->scales, r->explanation, j->settings->render.is_signed, error));
    return deliver(j, r, error);
}

static gradcam_status finish_picture(void *user, size_t index, void *item, gradcam_status status,
                                     gradcam_error *error)
{
    job *const j = user;
    result *const r = item;
    const char *const picture = picture_at(j, index);
    r->name = picture != NULL ? picture : j->settings->input_npy;
    status = deliver_next(j, r, status, error);
    gc_progress_clear(&j->progress);
    if (status != GRADCAM_OK)
        gc_report_error(error);
    error->message[0] = '\0';
    if (j->workers > 1 && index + 1 < j->pictures.count)
        gc_progress_show(&j->progress, index + 1, r->name);
    gc_free(r->files);
    gc_images_free(&r->images);
    gradcam_explanation_destroy(&r->explanation);
    return status;
}

/* ---- The run -------------------------------------------------------------------------------- */

static gradcam_status run_crew(job *j, gc_crew_job crew, gradcam_error *error)
{
    crew.settings = j->settings;
    crew.session = &j->session;
    crew.count = j->pictures.count > 0 ? j->pictures.count : 1;
    crew.workers = j->workers;
    crew.user = j;
    return gc_crew_run(&crew, error);
}

/* A picture that fails is reported and the others go on; the first failure is the status. */
static gradcam_status explain_all(job *j, gradcam_error *error)
{
    const gc_crew_job crew = {
        .item_size = sizeof(result), .work = explain_picture, .finish = finish_picture};
    return run_crew(j, crew, error);
}

static gradcam_status measure_picture(void *user, const gc_session *session, size_t index,
                                      void *item, gradcam_error *error)
{
    const job *const j = user;
    if (j->workers == 1)
        gc_progress_show(&j->progress, index, "measuring the shared scale");
    return gc_session_explain(session, j->settings, picture_at(j, index), &j->request, item, error);
}

/* Failures are reported in the second round. */
static gradcam_status add_scale(void *user, size_t index, void *item, gradcam_status status,
                                gradcam_error *error)
{
    job *const j = user;
    gradcam_explanation **const explanation = item;
    if (status != GRADCAM_OK)
        return GRADCAM_OK;
    if (j->workers > 1)
        gc_progress_show(&j->progress, index, "measuring the shared scale");
    status = gc_scales_add(&j->scales, *explanation, j->settings->render.is_signed, error);
    gradcam_explanation_destroy(explanation);
    return status;
}

/* The shared scale of many pictures needs all of them once before the first is written; keeping
 * them all might need more memory than there is. */
static gradcam_status measure_scales(job *j, gradcam_error *error)
{
    const gc_crew_job crew = {
        .item_size = sizeof(gradcam_explanation *), .work = measure_picture, .finish = add_scale};
    return run_crew(j, crew, error);
}

static gradcam_status run_job(job *j, gradcam_error *error)
{
    GC_TRY(prepare(j, error));
    if (j->settings->is_scale_shared && j->pictures.count > 1)
        GC_TRY(measure_scales(j, error));
    if (j->is_text)
        gc_report_session(&j->session, true, j->settings->verbose);
    if (j->is_text && j->pictures.count > 1 && !j->settings->verbose)
        printf("\n");
    const gradcam_status status = explain_all(j, error);
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
    gc_free(j.targets);
    gc_free(j.methods);
    gc_scales_free(&j.scales);
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
        "and so on; with several methods or layers, these are named, too. An input is never "
        "replaced, and a file appears whole or not at all. A picture "
        "that fails does not stop the others; the exit code is that of the first failure.",
    .tables = tables,
    .run = run,
};
