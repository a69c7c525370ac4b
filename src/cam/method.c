/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/method.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "cam/project.h"

/* ---- The rows ------------------------------------------------------------------------------- */

#define ROW(name) extern const gc_method gc_method_##name;
#include "cam/methods/list.h"
#undef ROW

static const gc_method *const rows[] = {
#define ROW(name) &gc_method_##name,
#include "cam/methods/list.h"
#undef ROW
};

enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

const gc_method *gc_method_at(size_t index)
{
    return index < ROW_COUNT ? rows[index] : NULL;
}

const gc_method *gc_method_find(const char *name)
{
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (strcmp(rows[i]->info.name, name) == 0)
            return rows[i];
    return NULL;
}

/* ---- Parsing -------------------------------------------------------------------------------- */

static gradcam_status unknown_method(const char *text, int length, gradcam_error *error)
{
    char names[1024] = "";
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? ", " : "", rows[i]->info.name);
    }
    return gc_fail(error, GRADCAM_ERROR_ARGUMENT, "no method is called '%.*s'. There are: %s.",
                   length, text, names);
}

static gradcam_status unknown_setting(const gc_method *method, const char *text, int length,
                                      gradcam_error *error)
{
    char names[512] = "";
    for (size_t i = 0; i < method->info.setting_count; i++) {
        const size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? ", " : "",
                 method->info.settings[i].name);
    }
    GC_FAIL_IF(names[0] == '\0', error, GRADCAM_ERROR_ARGUMENT,
               "the method %s has no settings, so '%.*s' means nothing", method->info.name, length,
               text);
    return gc_fail(error, GRADCAM_ERROR_ARGUMENT, "the method %s has no setting '%.*s', but: %s.",
                   method->info.name, length, text, names);
}

/* "name" (a switch) or "name=number". */
static gradcam_status parse_setting(gc_case *c, const char *text, size_t length,
                                    gradcam_error *error)
{
    const gradcam_method_info *const info = &c->method->info;
    const char *const equals = memchr(text, '=', length);
    const size_t name = equals != NULL ? (size_t)(equals - text) : length;
    size_t i = 0;
    while (i < info->setting_count && (strncmp(info->settings[i].name, text, name) != 0 ||
                                       info->settings[i].name[name] != '\0'))
        i++;
    if (i == info->setting_count)
        return unknown_setting(c->method, text, (int)name, error);
    const gradcam_setting *const s = &info->settings[i];
    char number[64] = "1", *end = NULL;
    if (equals != NULL)
        snprintf(number, sizeof number, "%.*s", (int)(length - name - 1), equals + 1);
    c->settings[i] = gc_number_read(number, &end);
    const bool is_switch = s->minimum == 0.0 && s->maximum == 1.0 && s->standard == 0.0;
    GC_FAIL_IF(equals == NULL && !is_switch, error, GRADCAM_ERROR_ARGUMENT,
               "the setting %s of the method %s needs a number: %s:%s=%g", s->name, info->name,
               info->name, s->name, s->standard);
    GC_FAIL_IF(end == number || *end != '\0' || !(c->settings[i] >= s->minimum) ||
                   !(c->settings[i] <= s->maximum),
               error, GRADCAM_ERROR_ARGUMENT,
               "the setting %s of the method %s is a number from %g to %g, not '%s'", s->name,
               info->name, s->minimum, s->maximum, number);
    return GRADCAM_OK;
}

gradcam_status gc_method_parse(gc_case *c, const char *text, gradcam_error *error)
{
    char name[64];
    const size_t length = strcspn(text, ":");
    snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : 0), text);
    c->method = gc_method_find(name);
    if (c->method == NULL)
        return unknown_method(text, (int)length, error);
    for (size_t i = 0; i < c->method->info.setting_count; i++)
        c->settings[i] = c->method->info.settings[i].standard;
    for (const char *at = text + length; *at != '\0'; at += strcspn(at, ",")) {
        at++; /* the colon or a comma */
        GC_TRY(parse_setting(c, at, strcspn(at, ","), error));
    }
    return GRADCAM_OK;
}

/* ---- Running -------------------------------------------------------------------------------- */

void gc_weighted_sum(const gradcam_features *f, const float *weights, float *map)
{
    memset(map, 0, (size_t)f->positions * sizeof *map);
    for (int64_t c = 0; c < f->channels; c++) {
        const float *const a = f->activation + c * f->positions;
        for (int64_t i = 0; i < f->positions; i++)
            map[i] += weights[c] * a[i];
    }
}

static void sum_elements(const gradcam_features *f, const float *elements, float *map)
{
    memset(map, 0, (size_t)f->positions * sizeof *map);
    for (int64_t c = 0; c < f->channels; c++)
        for (int64_t i = 0; i < f->positions; i++)
            map[i] += elements[c * f->positions + i];
}

static gradcam_status find_elements(gc_case *c, float *elements, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    float *weights = NULL;
    if (c->method->elements != NULL)
        return c->method->elements(c, elements, error);
    GC_TRY(gc_new(&weights, (size_t)f->channels, sizeof *weights, error));
    const gradcam_status status = c->method->weigh(c, weights, error);
    for (int64_t i = 0; i < f->channels * f->positions; i++)
        elements[i] = weights[i / f->positions] * f->activation[i];
    gc_free(weights);
    return status;
}

static gradcam_status run_elements(gc_case *c, float *map, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    float *elements = NULL;
    GC_TRY(gc_new_raw(&elements, (size_t)(f->channels * f->positions), sizeof *elements, error));
    gradcam_status status = find_elements(c, elements, error);
    if (status == GRADCAM_OK && c->smooth_eigen)
        status = gc_project(elements, f, map, error);
    else if (status == GRADCAM_OK)
        sum_elements(f, elements, map);
    gc_free(elements);
    return status;
}

static gradcam_status run_weights(gc_case *c, float *map, gradcam_error *error)
{
    float *weights = NULL;
    GC_TRY(gc_new(&weights, (size_t)c->features.channels, sizeof *weights, error));
    const gradcam_status status = c->method->weigh(c, weights, error);
    if (status == GRADCAM_OK)
        gc_weighted_sum(&c->features, weights, map);
    gc_free(weights);
    return status;
}

gradcam_status gc_method_run(gc_case *c, float *map, gradcam_error *error)
{
    GC_FAIL_IF(c->smooth_eigen && c->method->map != NULL, error, GRADCAM_ERROR_ARGUMENT,
               "the method %s makes no weighted activations, so there is nothing to take the "
               "principal component of; leave eigen smoothing out",
               c->method->info.name);
    if (c->method->map != NULL)
        return c->method->map(c, map, error);
    return c->method->elements != NULL || c->smooth_eigen ? run_elements(c, map, error)
                                                          : run_weights(c, map, error);
}

/* ---- For rows ------------------------------------------------------------------------------- */

uint64_t gc_case_key(const gc_case *c)
{
    uint64_t key = UINT64_C(0xCBF29CE484222325); /* FNV-1a */
    const struct {
        const void *bytes;
        size_t size;
    } parts[] = {{&c->method, sizeof c->method},
                 {c->settings, sizeof c->settings},
                 {&c->layer, sizeof c->layer},
                 {&c->seed, sizeof c->seed}};
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++)
        for (size_t i = 0; i < parts[p].size; i++)
            key = (key ^ ((const unsigned char *)parts[p].bytes)[i]) * UINT64_C(0x100000001B3);
    return key != 0 ? key : 1;
}

const float *gc_case_input(const gc_case *c)
{
    return gc_floats(gc_runner_base(c->runner));
}

gradcam_status gc_case_input_gradient(gc_case *c, bool guided, const float **gradient,
                                      gradcam_error *error)
{
    const gc_tensor *g = NULL;
    GC_TRY(
        gc_runner_gradient(c->runner, c->goal, guided, gc_runner_base_value(c->runner), &g, error));
    *gradient = gc_floats(g);
    return GRADCAM_OK;
}

void gc_sum_channels(const gc_case *c, const float *values, float *map)
{
    const gc_input_shape *const in = &c->input;
    for (int64_t i = 0; i < gc_input_pixels(c); i++) {
        double sum = 0.0;
        for (int64_t ch = 0; ch < in->channels; ch++)
            sum += values[ch * in->channel_stride + i * in->pixel_stride];
        map[i] = (float)sum;
    }
}

void gc_largest_of_channels(const gc_case *c, const float *values, float *map)
{
    const gc_input_shape *const in = &c->input;
    for (int64_t i = 0; i < gc_input_pixels(c); i++) {
        map[i] = 0.0f;
        for (int64_t ch = 0; ch < in->channels; ch++)
            map[i] = fmaxf(map[i], fabsf(values[ch * in->channel_stride + i * in->pixel_stride]));
    }
}
