/* SPDX-License-Identifier: Apache-2.0 */
/* cJSON's adding functions accept NULL for both the object and the item and then return false, so a
 * tree is built without looking back, and `complete` tells at the end whether memory sufficed. */
#include "cli/json.h"

#include <cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "picture/file.h"

typedef struct builder {
    bool complete;
} builder;

static cJSON *add(builder *b, cJSON *object, const char *name, cJSON *item)
{
    const bool added = name != NULL ? cJSON_AddItemToObject(object, name, item)
                                    : cJSON_AddItemToArray(object, item);
    if (added)
        return item;
    cJSON_Delete(item);
    b->complete = false;
    return NULL;
}

/* ---- Values --------------------------------------------------------------------------------- */

/* Length of the valid UTF-8 character at `s`, 0 if there is none. */
static size_t character_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    const size_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    const bool is_overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    const bool is_surrogate = s[0] == 0xED && s[1] > 0x9F;
    const bool is_beyond = s[0] == 0xF4 && s[1] > 0x8F;
    return is_overlong || is_surrogate || is_beyond ? 0 : length;
}

/* A string, with U+FFFD for every byte that is not UTF-8 (file names need not be); null for NULL.
 */
static cJSON *text(const char *string)
{
    if (string == NULL)
        return cJSON_CreateNull();
    char *clean = NULL;
    if (gc_new_raw(&clean, strlen(string) + 1, 3, NULL) != GRADCAM_OK)
        return NULL;
    char *out = clean;
    while (*string != '\0') {
        const size_t length = character_length((const unsigned char *)string);
        memcpy(out, length > 0 ? string : "\xEF\xBF\xBD", length > 0 ? length : 3);
        out += length > 0 ? length : 3;
        string += length > 0 ? length : 1;
    }
    *out = '\0';
    cJSON *const item = cJSON_CreateString(clean);
    gc_free(clean);
    return item;
}

/* The shortest decimal that reads back as the same float. */
static cJSON *number(float value)
{
    char digits[32];
    if (!isfinite(value))
        return cJSON_CreateNull();
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, (double)value);
        if (strtof(digits, NULL) == value)
            break;
    }
    return cJSON_CreateRaw(digits);
}

static cJSON *milliseconds(double value)
{
    char digits[64];
    if (!isfinite(value))
        return cJSON_CreateNull();
    snprintf(digits, sizeof digits, "%.3f", value);
    return cJSON_CreateRaw(digits);
}

static cJSON *numbers(builder *b, const float *values, int count)
{
    cJSON *const array = cJSON_CreateArray();
    for (int i = 0; i < count; i++)
        add(b, array, NULL, number(values[i]));
    return array;
}

static cJSON *shape(builder *b, const int64_t *dims, int rank)
{
    cJSON *const array = cJSON_CreateArray();
    for (int i = 0; i < rank; i++)
        add(b, array, NULL, cJSON_CreateNumber((double)dims[i]));
    return array;
}

/* ---- Parts ---------------------------------------------------------------------------------- */

static void add_input(builder *b, cJSON *root, const gradcam_input_info *input)
{
    cJSON *const object = add(b, root, "input", cJSON_CreateObject());
    add(b, object, "name", text(input->name));
    add(b, object, "shape", shape(b, input->dims, input->rank));
    add(b, object, "preset", text(input->preset));
    add(b, object, "resize", text(input->fit));
    add(b, object, "mean", numbers(b, input->mean, input->channels));
    add(b, object, "std", numbers(b, input->std, input->channels));
}

static void add_predictions(builder *b, cJSON *root, const gradcam_explanation *explanation,
                            int top)
{
    size_t count = 0;
    const gradcam_prediction *p = gradcam_explanation_predictions(explanation, &count);
    cJSON *const array = add(b, root, "predictions", cJSON_CreateArray());
    for (size_t i = 0; i < count && i < (size_t)top; i++) {
        cJSON *const object = add(b, array, NULL, cJSON_CreateObject());
        add(b, object, "index", cJSON_CreateNumber(p[i].index));
        add(b, object, "label", text(p[i].label));
        add(b, object, "logit", number(p[i].logit));
        add(b, object, "probability", number(p[i].probability));
    }
}

static void add_layer(builder *b, cJSON *map, const gradcam_layer *layer)
{
    cJSON *const object = add(b, map, "layer", cJSON_CreateObject());
    add(b, object, "name", text(layer->name));
    add(b, object, "index",
        layer->index >= 0 ? cJSON_CreateNumber(layer->index) : cJSON_CreateNull());
    add(b, object, "shape", shape(b, layer->dims, layer->rank));
    add(b, object, "reason", text(layer->reason));
}

static void add_files(builder *b, cJSON *map, const gc_map_files *files)
{
    const char *const paths[] = {files->overlay, files->heatmap, files->npy};
    cJSON *const array = add(b, map, "files", cJSON_CreateArray());
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (paths[i] != NULL)
            add(b, array, NULL, text(paths[i]));
}

static void add_map(builder *b, cJSON *array, const gradcam_map *map, const gc_map_files *files)
{
    cJSON *const object = add(b, array, NULL, cJSON_CreateObject());
    const bool has_class = map->prediction.index >= 0;
    add(b, object, "class_index",
        has_class ? cJSON_CreateNumber(map->prediction.index) : cJSON_CreateNull());
    add(b, object, "label", text(map->prediction.label));
    add(b, object, "target", text(map->target));
    add(b, object, "score", number((float)map->score));
    add(b, object, "method", text(map->method));
    add(b, object, "part", map->part >= 0 ? cJSON_CreateNumber(map->part) : cJSON_CreateNull());
    add_layer(b, object, &map->layer);
    add(b, object, "min", number(map->minimum));
    add(b, object, "max", number(map->maximum));
    add(b, object, "status", text(gradcam_map_state_text(map->state)));
    const bool has_peak = map->peak_x >= 0;
    cJSON *const peak = add(b, object, "peak", cJSON_CreateObject());
    add(b, peak, "x", has_peak ? cJSON_CreateNumber(map->peak_x) : cJSON_CreateNull());
    add(b, peak, "y", has_peak ? cJSON_CreateNumber(map->peak_y) : cJSON_CreateNull());
    add_files(b, object, files);
}

static void add_timings(builder *b, cJSON *root, gradcam_timings timings)
{
    cJSON *const object = add(b, root, "timings_ms", cJSON_CreateObject());
    add(b, object, "load", milliseconds(timings.load));
    add(b, object, "plan", milliseconds(timings.plan));
    add(b, object, "preprocess", milliseconds(timings.preprocess));
    add(b, object, "forward", milliseconds(timings.forward));
    add(b, object, "backward", milliseconds(timings.backward));
    add(b, object, "render", milliseconds(timings.render));
}

/* ---- Lines ---------------------------------------------------------------------------------- */

static gradcam_status append(gc_json_sink *sink, const char *line, gradcam_error *error)
{
    const size_t length = strlen(line);
    GC_TRY(gc_grow(&sink->text, &sink->capacity, sink->length + length + 1, 1, error));
    memcpy(sink->text + sink->length, line, length);
    sink->text[sink->length + length] = '\n';
    sink->length += length + 1;
    return GRADCAM_OK;
}

/* Prints the tree as a line and deletes it. */
static gradcam_status emit(gc_json_sink *sink, const builder *b, cJSON *root, gradcam_error *error)
{
    char *const line = b->complete ? cJSON_PrintUnformatted(root) : NULL;
    gradcam_status status = GRADCAM_OK;
    if (line == NULL)
        status = gc_fail_memory(error, sizeof *root);
    else if (sink->path != NULL)
        status = append(sink, line, error);
    else if (printf("%s\n", line) < 0 || fflush(stdout) != 0)
        status = gc_fail(error, GRADCAM_ERROR_FILE, "standard output cannot be written to.");
    cJSON_free(line);
    cJSON_Delete(root);
    return status;
}

gradcam_status gc_json_picture(gc_json_sink *sink, const gc_session *session, const char *picture,
                               const gradcam_explanation *explanation, const gc_map_files *files,
                               int top, gradcam_error *error)
{
    if (!sink->on)
        return GRADCAM_OK;
    builder b = {true};
    cJSON *const root = cJSON_CreateObject();
    add(&b, root, "picture", text(picture));
    add(&b, root, "model", text(session->input->model_path));
    add_input(&b, root, session->input);
    add_predictions(&b, root, explanation, top);
    cJSON *const maps = add(&b, root, "maps", cJSON_CreateArray());
    const size_t count = files != NULL ? gradcam_explanation_map_count(explanation) : 0;
    for (size_t i = 0; i < count; i++)
        add_map(&b, maps, gradcam_explanation_map(explanation, i), &files[i]);
    add_timings(&b, root, gradcam_explanation_timings(explanation));
    return emit(sink, &b, root, error);
}

gradcam_status gc_json_layers(gc_json_sink *sink, const gc_session *session, gradcam_error *error)
{
    if (!sink->on)
        return GRADCAM_OK;
    size_t count = 0;
    const gradcam_layer *const layers = gradcam_explainer_layers(session->explainer, &count);
    builder b = {true};
    cJSON *const root = cJSON_CreateObject();
    add(&b, root, "model", text(session->input->model_path));
    add_input(&b, root, session->input);
    cJSON *const array = add(&b, root, "layers", cJSON_CreateArray());
    for (size_t i = 0; i < count; i++) {
        cJSON *const object = add(&b, array, NULL, cJSON_CreateObject());
        add(&b, object, "index", cJSON_CreateNumber(layers[i].index));
        add(&b, object, "name", text(layers[i].name));
        add(&b, object, "operator", text(layers[i].operator_name));
        add(&b, object, "output", text(layers[i].output));
        add(&b, object, "shape", shape(&b, layers[i].dims, layers[i].rank));
        add(&b, object, "target", cJSON_CreateBool(layers[i].is_target != 0));
        add(&b, object, "reason", text(layers[i].reason));
    }
    return emit(sink, &b, root, error);
}

static void add_values(builder *b, cJSON *root, const char *name, const gradcam_value_info *values,
                       size_t count)
{
    cJSON *const array = add(b, root, name, cJSON_CreateArray());
    for (size_t i = 0; i < count; i++) {
        cJSON *const object = add(b, array, NULL, cJSON_CreateObject());
        add(b, object, "name", text(values[i].name));
        add(b, object, "type", text(values[i].type));
        cJSON *const dims =
            add(b, object, "shape", values[i].rank < 0 ? cJSON_CreateNull() : cJSON_CreateArray());
        for (int d = 0; d < values[i].rank; d++)
            add(b, dims, NULL,
                values[i].dims[d] >= 0 ? cJSON_CreateNumber((double)values[i].dims[d])
                                       : text(values[i].dim_names[d]));
    }
}

static void add_operators(builder *b, cJSON *root, const gradcam_inspection_info *info)
{
    cJSON *const array = add(b, root, "operators", cJSON_CreateArray());
    for (size_t i = 0; i < info->operator_count; i++) {
        const gradcam_operator_info *const o = &info->operators[i];
        cJSON *const object = add(b, array, NULL, cJSON_CreateObject());
        add(b, object, "domain", text(o->domain));
        add(b, object, "name", text(o->name));
        add(b, object, "count", cJSON_CreateNumber(o->count));
        add(b, object, "supported", cJSON_CreateBool(o->is_supported));
        add(b, object, "gradient", cJSON_CreateBool(o->has_gradient));
    }
}

gradcam_status gc_json_inspection(gc_json_sink *sink, const gradcam_inspection_info *info,
                                  gradcam_error *error)
{
    if (!sink->on)
        return GRADCAM_OK;
    builder b = {true};
    cJSON *const root = cJSON_CreateObject();
    add(&b, root, "model", text(info->path));
    add(&b, root, "producer", text(info->producer));
    add(&b, root, "ir_version", cJSON_CreateNumber((double)info->ir_version));
    cJSON *const opsets = add(&b, root, "opsets", cJSON_CreateObject());
    for (size_t i = 0; i < info->opset_count; i++)
        add(&b, opsets, info->opsets[i].domain,
            cJSON_CreateNumber((double)info->opsets[i].version));
    add_values(&b, root, "inputs", info->inputs, info->input_count);
    add_values(&b, root, "outputs", info->outputs, info->output_count);
    add(&b, root, "nodes", cJSON_CreateNumber((double)info->node_count));
    add(&b, root, "functions", cJSON_CreateNumber((double)info->function_count));
    add_operators(&b, root, info);
    add(&b, root, "parameters", cJSON_CreateNumber((double)info->parameters));
    add(&b, root, "parameter_bytes", cJSON_CreateNumber((double)info->parameter_bytes));
    add(&b, root, "macs",
        info->macs >= 0 ? cJSON_CreateNumber((double)info->macs) : cJSON_CreateNull());
    if (info->has_layer)
        add_layer(&b, root, &info->layer);
    else
        add(&b, root, "layer", cJSON_CreateNull());
    cJSON *const problems = add(&b, root, "problems", cJSON_CreateArray());
    for (size_t i = 0; i < info->problem_count; i++)
        add(&b, problems, NULL, text(info->problems[i]));
    add(&b, root, "supported", cJSON_CreateBool(info->problem_count == 0));
    return emit(sink, &b, root, error);
}

/* ---- Sink ----------------------------------------------------------------------------------- */

gc_json_sink gc_json_open(const gc_settings *settings)
{
    const char *const path = settings->json.path;
    const bool is_stdout = path == NULL || strcmp(path, "-") == 0;
    return (gc_json_sink){.on = settings->json.wanted, .path = is_stdout ? NULL : path};
}

bool gc_json_is_stdout(const gc_json_sink *sink)
{
    return sink->on && sink->path == NULL;
}

gradcam_status gc_json_finish(gc_json_sink *sink, gradcam_error *error)
{
    if (sink->length == 0)
        return GRADCAM_OK;
    return gc_file_write(sink->path, sink->text, sink->length, error);
}

void gc_json_free(gc_json_sink *sink)
{
    gc_free(sink->text);
    *sink = (gc_json_sink){0};
}
