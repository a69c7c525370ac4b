/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include <string.h>

enum { KEY_WIDTH = 12 };

void gc_print_text(FILE *stream, const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        fputc(c < 32 || c == 127 ? '?' : c, stream);
    }
}

void gc_report_error(const gradcam_error *error)
{
    if (error->message[0] == '\0')
        return;
    fflush(stdout);
    fputs("gradcam: ", stderr);
    for (const char *line = error->message; *line != '\0';) {
        const int length = (int)strcspn(line, "\n");
        char part[sizeof error->message];
        snprintf(part, sizeof part, "%.*s", length, line);
        gc_print_text(stderr, part);
        fputc('\n', stderr);
        line += length + (line[length] == '\n');
    }
}

static void print_key(const char *key)
{
    printf("%-*s", KEY_WIDTH, key);
}

static void print_dims(const int64_t *dims, int rank)
{
    for (int i = 0; i < rank; i++)
        printf("%s%lld", i > 0 ? "x" : "", (long long)dims[i]);
}

static void print_values(const char *name, const float *values, int count)
{
    printf(", %s ", name);
    for (int i = 0; i < count; i++)
        printf("%s%g", i > 0 ? "," : "", (double)values[i]);
}

/* ---- Session -------------------------------------------------------------------------------- */

static const gradcam_layer *find_target(const gc_session *session)
{
    size_t count = 0;
    const gradcam_layer *const layers = gradcam_explainer_layers(session->explainer, &count);
    for (size_t i = 0; i < count; i++)
        if (layers[i].is_target)
            return &layers[i];
    return NULL;
}

static void print_preprocessing(const gradcam_input_info *input)
{
    print_key("Pixels");
    printf("times %g", (double)input->scale);
    print_values("mean", input->mean, input->channels);
    print_values("std", input->std, input->channels);
    printf("%s, resampled %s\n", input->bgr ? ", blue first" : "", input->resample);
}

static void print_layer(const gradcam_layer *layer)
{
    print_key("Layer");
    gc_print_text(stdout, layer->name);
    printf(" (%s, ", layer->operator_name);
    print_dims(layer->dims, layer->rank);
    printf(")%s", layer->reason != NULL ? ": " : "");
    gc_print_text(stdout, layer->reason != NULL ? layer->reason : "");
    fputc('\n', stdout);
}

/* All chosen layers, as far as a screen holds them. */
static void print_targets(const gc_session *session)
{
    enum { MOST = 8 };
    size_t count = 0;
    int shown = 0;
    const gradcam_layer *const layers = gradcam_explainer_layers(session->explainer, &count);
    for (size_t i = 0; i < count; i++) {
        shown += layers[i].is_target != 0;
        if (layers[i].is_target && shown <= MOST)
            print_layer(&layers[i]);
    }
    if (shown > MOST) {
        print_key("");
        printf("and %d more\n", shown - MOST);
    }
}

void gc_report_session(const gc_session *session, bool with_layer, bool verbose)
{
    const gradcam_input_info *const input = session->input;
    print_key("Model");
    gc_print_text(stdout, input->model_path);
    fputc('\n', stdout);
    print_key("Input");
    gc_print_text(stdout, input->name);
    fputc(' ', stdout);
    print_dims(input->dims, input->rank);
    printf(", preset %s (%s), %s", input->preset, input->source, input->fit);
    if (input->resize_edge > 0)
        printf(" from a short edge of %d", input->resize_edge);
    fputc('\n', stdout);
    if (verbose)
        print_preprocessing(input);
    if (with_layer) {
        print_targets(session);
        print_key("Score");
        gc_print_text(stdout, input->score);
        fputc('\n', stdout);
    }
}

/* ---- Predictions ---------------------------------------------------------------------------- */

static void print_class(const gradcam_prediction *prediction)
{
    printf("%d", prediction->index);
    if (prediction->label != NULL) {
        fputs("  ", stdout);
        gc_print_text(stdout, prediction->label);
    }
}

void gc_report_predictions(const char *picture, const gradcam_explanation *explanation, int top)
{
    size_t count = 0;
    int width = 0, height = 0;
    const gradcam_prediction *p = gradcam_explanation_predictions(explanation, &count);
    gradcam_explanation_size(explanation, &width, &height);
    fputc('\n', stdout);
    print_key("Picture");
    gc_print_text(stdout, picture);
    printf(", %d x %d\n", width, height);
    print_key("");
    printf("probability      logit  class\n");
    for (size_t i = 0; i < count && i < (size_t)top; i++) {
        print_key("");
        printf("%9.2f %%  %9.3f  ", 100.0 * (double)p[i].probability, (double)p[i].logit);
        print_class(&p[i]);
        fputc('\n', stdout);
    }
}

/* ---- Maps ----------------------------------------------------------------------------------- */

const char *gc_map_advice(gradcam_map_state state)
{
    switch (state) {
    case GRADCAM_MAP_OK:
        return "";
    case GRADCAM_MAP_FLAT:
        return "the map is flat: all its values are equal, and there is nothing to show. Try "
               "another layer (--layer, see 'gradcam layers') or another class (--class).";
    case GRADCAM_MAP_NON_POSITIVE:
        return "the map has no positive value: this layer speaks only against the class, and there "
               "is nothing to show. Try one of the predicted classes (--class) or an earlier layer "
               "(--layer, see 'gradcam layers').";
    case GRADCAM_MAP_NOT_FINITE:
        return "the map holds NaN or infinity, so nothing was written. Check the preprocessing "
               "(--preset, --mean, --std) and the model's weights.";
    }
    return "";
}

/* A class is told by its label; another target by its text and score. */
static bool is_class(const gradcam_map *map)
{
    const size_t digits = strspn(map->target, "0123456789");
    return map->prediction.index >= 0 && digits > 0 && map->target[digits] == '\0';
}

static void print_target(const gradcam_map *map)
{
    if (is_class(map)) {
        print_class(&map->prediction);
        return;
    }
    gc_print_text(stdout, map->target);
    printf(", score %.4g", map->score);
}

static void print_files(const gc_map_files *files)
{
    const char *const paths[] = {files->overlay, files->heatmap, files->npy};
    const char *separator = "";
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (paths[i] != NULL) {
            fputs(separator, stdout);
            gc_print_text(stdout, paths[i]);
            separator = ", ";
        }
    fputc('\n', stdout);
}

void gc_report_map(const gradcam_map *map, const gc_map_files *files, bool with_layer)
{
    fputc('\n', stdout);
    print_key("Explained");
    print_target(map);
    fputc('\n', stdout);
    if (strcmp(map->method, "gradcam") != 0) {
        print_key("Method");
        gc_print_text(stdout, map->method);
        if (map->part >= 0)
            printf(", map %d", map->part + 1);
        fputc('\n', stdout);
    }
    if (with_layer) {
        print_key("Layer");
        gc_print_text(stdout, map->layer.name);
        fputc('\n', stdout);
    }
    print_key("Map");
    printf("%d x %d, %.4g to %.4g before the ReLU", map->width, map->height, (double)map->minimum,
           (double)map->maximum);
    if (map->state == GRADCAM_MAP_OK)
        printf(", hottest at x %d, y %d\n", map->peak_x, map->peak_y);
    else
        printf(", %s\n", gradcam_map_state_text(map->state));
    if (map->state != GRADCAM_MAP_OK) {
        print_key("Note");
        gc_print_wrapped(stdout, gc_map_advice(map->state), KEY_WIDTH, KEY_WIDTH);
    }
    if (map->state != GRADCAM_MAP_NOT_FINITE) {
        print_key("Written");
        print_files(files);
    }
}

void gc_report_map_line(const char *picture, const gradcam_map *map, const gc_map_files *files)
{
    gc_print_text(stdout, picture);
    fputs("  ", stdout);
    if (is_class(map))
        printf("%.2f %%  ", 100.0 * (double)map->prediction.probability);
    print_target(map);
    if (strcmp(map->method, "gradcam") != 0) {
        fputs("  ", stdout);
        gc_print_text(stdout, map->method);
    }
    if (map->state != GRADCAM_MAP_OK)
        printf("  [%s]", gradcam_map_state_text(map->state));
    fputs("  -> ", stdout);
    print_files(files);
    fflush(stdout);
}

void gc_report_timings(const gradcam_explanation *explanation)
{
    const gradcam_timings t = gradcam_explanation_timings(explanation);
    print_key("Time");
    printf("load %.1f, plan %.1f, preprocess %.1f, forward %.1f, backward %.1f, render %.1f ms\n",
           t.load, t.plan, t.preprocess, t.forward, t.backward, t.render);
}

/* ---- Layers --------------------------------------------------------------------------------- */

static int text_width(const char *text, int width)
{
    const int length = (int)strlen(text);
    return length > width ? length : width;
}

static void print_padded(const char *text, int width)
{
    gc_print_text(stdout, text);
    printf("%*s", width - (int)strlen(text) + 2, "");
}

static void print_layer_row(const gradcam_layer *layer, int name_width, int operator_width)
{
    printf("%c %5d  ", layer->is_target ? '*' : ' ', layer->index);
    print_padded(layer->name, name_width);
    print_padded(layer->operator_name, operator_width);
    print_dims(layer->dims, layer->rank);
    fputc('\n', stdout);
}

void gc_report_layers(const gc_session *session)
{
    size_t count = 0;
    const gradcam_layer *const layers = gradcam_explainer_layers(session->explainer, &count);
    int name_width = (int)strlen("name"), operator_width = (int)strlen("operator");
    for (size_t i = 0; i < count; i++) {
        name_width = text_width(layers[i].name, name_width);
        operator_width = text_width(layers[i].operator_name, operator_width);
    }
    printf("  index  ");
    print_padded("name", name_width);
    print_padded("operator", operator_width);
    printf("shape\n");
    for (size_t i = 0; i < count; i++)
        print_layer_row(&layers[i], name_width, operator_width);
    const gradcam_layer *const target = find_target(session);
    if (target != NULL && target->reason != NULL) {
        printf("\n* ");
        gc_print_text(stdout, target->reason);
        fputc('\n', stdout);
    }
}
