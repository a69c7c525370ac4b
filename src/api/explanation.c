/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "api/objects.h"
#include "picture/encode.h"
#include "picture/npy.h"
#include "picture/overlay.h"

void gradcam_explanation_destroy(gradcam_explanation **explanation)
{
    if (explanation == NULL || *explanation == NULL)
        return;
    gc_picture_free(&(*explanation)->picture);
    gc_arena_destroy(&(*explanation)->arena);
    gradcam_model_destroy(&(*explanation)->model);
    gc_free(*explanation);
    *explanation = NULL;
}

/* ---- Looking -------------------------------------------------------------------------------- */

const gradcam_prediction *gradcam_explanation_predictions(const gradcam_explanation *explanation,
                                                          size_t *count)
{
    *count = explanation->class_count;
    return explanation->predictions;
}

const char *gradcam_map_state_text(gradcam_map_state state)
{
    switch (state) {
    case GRADCAM_MAP_OK:
        return "ok";
    case GRADCAM_MAP_FLAT:
        return "flat";
    case GRADCAM_MAP_NON_POSITIVE:
        return "non-positive";
    case GRADCAM_MAP_NOT_FINITE:
        return "not-finite";
    }
    return "unknown";
}

size_t gradcam_explanation_map_count(const gradcam_explanation *explanation)
{
    return explanation->map_count;
}

const gradcam_map *gradcam_explanation_map(const gradcam_explanation *explanation, size_t index)
{
    return index < explanation->map_count ? &explanation->maps[index] : NULL;
}

void gradcam_explanation_size(const gradcam_explanation *explanation, int *width, int *height)
{
    *width = explanation->picture.width;
    *height = explanation->picture.height;
}

gradcam_timings gradcam_explanation_timings(const gradcam_explanation *explanation)
{
    return explanation->timings;
}

/* ---- Maps ----------------------------------------------------------------------------------- */

/* A map that is only negative has something to show where the sign is kept. */
void gc_normalise_map(const gradcam_map *map, const gradcam_render_options *options, float *values)
{
    const bool is_signed = options != NULL && options->is_signed != 0;
    const size_t count = (size_t)gc_map_count(map);
    float scale = options != NULL ? options->scale : 0.0f;
    if (scale == 0.0f)
        scale = is_signed ? fmaxf(fabsf(map->minimum), fabsf(map->maximum)) : map->maximum;
    const bool is_shown =
        map->state == GRADCAM_MAP_OK || (is_signed && map->state == GRADCAM_MAP_NON_POSITIVE);
    const float lowest = is_signed ? -1.0f : 0.0f;
    for (size_t i = 0; i < count; i++)
        values[i] = is_shown ? fminf(fmaxf(map->raw[i] / scale, lowest), 1.0f) : 0.0f;
}

void gc_project_slices(const gradcam_map *map, float *values)
{
    const int64_t slice = (int64_t)map->width * map->height;
    for (int64_t i = slice; i < gc_map_count(map); i++)
        if (fabsf(values[i]) > fabsf(values[i % slice]))
            values[i % slice] = values[i];
}

gradcam_status gc_explanation_picture_map(const gradcam_explanation *explanation,
                                          const gradcam_map *map,
                                          const gradcam_render_options *options, float **values,
                                          uint8_t **seen, gradcam_error *error)
{
    const size_t pixels = (size_t)explanation->picture.width * (size_t)explanation->picture.height;
    float *native = NULL;
    *values = NULL;
    if (seen != NULL)
        *seen = NULL;
    gradcam_status status = gc_new(&native, (size_t)gc_map_count(map), sizeof *native, error);
    if (status == GRADCAM_OK)
        status = gc_new_raw(values, pixels, sizeof **values, error);
    if (status == GRADCAM_OK && seen != NULL)
        status = gc_new_raw(seen, pixels, sizeof **seen, error);
    if (status == GRADCAM_OK) {
        gc_normalise_map(map, options, native);
        gc_project_slices(map, native);
        status = gc_view_map_to_picture(&explanation->view, native, map->width, map->height,
                                        *values, seen != NULL ? *seen : NULL, error);
    }
    gc_free(native);
    if (status != GRADCAM_OK) {
        gc_free(*values);
        *values = NULL;
        if (seen != NULL) {
            gc_free(*seen);
            *seen = NULL;
        }
    }
    return status;
}

/* ---- Rendering ------------------------------------------------------------------------------ */

void gradcam_render_options_init(gradcam_render_options *options)
{
    *options = (gradcam_render_options){.alpha = 0.4f, .quality = 92};
}

const char *const *gradcam_colormap_names(void)
{
    return gc_colormap_names();
}

static gradcam_status check_output(const gradcam_explanation *explanation, size_t map_index,
                                   gradcam_output output, const gradcam_render_options *options,
                                   gradcam_error *error)
{
    GC_FAIL_IF(explanation == NULL, error, GRADCAM_ERROR_ARGUMENT, "explanation: NULL");
    GC_FAIL_IF(map_index >= explanation->map_count, error, GRADCAM_ERROR_ARGUMENT,
               "map %zu does not exist; there are %zu, counted from 0", map_index,
               explanation->map_count);
    GC_FAIL_IF(!(options->alpha >= 0.0f && options->alpha <= 1.0f), error, GRADCAM_ERROR_ARGUMENT,
               "alpha: %g is not between 0 and 1", (double)options->alpha);
    GC_FAIL_IF(options->quality < 1 || options->quality > 100, error, GRADCAM_ERROR_ARGUMENT,
               "quality: %d is not between 1 and 100", options->quality);
    GC_FAIL_IF(!(options->scale >= 0.0f) || !isfinite(options->scale), error,
               GRADCAM_ERROR_ARGUMENT, "scale: %g is not a positive number or 0",
               (double)options->scale);
    const gradcam_map *const map = &explanation->maps[map_index];
    GC_FAIL_IF(map->state == GRADCAM_MAP_NOT_FINITE && output != GRADCAM_NPY_RAW, error,
               GRADCAM_ERROR_NUMERIC,
               "the map of %s at layer '%s' holds NaN or infinity%s%s and cannot be shown; try "
               "another layer, and see the preprocessing",
               map->target, map->layer.name,
               map->trouble != NULL ? ", which appears first in " : "",
               map->trouble != NULL ? map->trouble : "");
    return GRADCAM_OK;
}

static gradcam_status render(const gradcam_explanation *explanation, const gradcam_map *map,
                             gradcam_output output, const gradcam_render_options *options,
                             uint8_t *rgb, gradcam_error *error)
{
    const gc_colormap *colormap = NULL;
    float *values = NULL;
    uint8_t *seen = NULL;
    const gc_picture *const picture = &explanation->picture;
    const char *const name =
        options->colormap == NULL && options->is_signed ? "bwr" : options->colormap;
    GC_TRY(gc_colormap_find(&colormap, name, error));
    GC_TRY(gc_explanation_picture_map(explanation, map, options, &values, &seen, error));
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    /* The middle of the colours is 0. */
    for (size_t i = 0; options->is_signed && i < pixels; i++)
        values[i] = 0.5f + 0.5f * values[i];
    if (output == GRADCAM_IMAGE_OVERLAY) {
        if (picture->rgb == NULL) /* a tensor alone was explained */
            memset(rgb, 128, 3 * pixels);
        gc_overlay(picture->rgb != NULL ? picture->rgb : rgb, picture->width, picture->height,
                   values, seen, colormap, options->alpha, rgb);
    } else {
        gc_heatmap(picture->width, picture->height, values, colormap, rgb);
    }
    gc_free(values);
    gc_free(seen);
    return GRADCAM_OK;
}

gradcam_status gradcam_explanation_render(gradcam_explanation *explanation, size_t map_index,
                                          gradcam_output output,
                                          const gradcam_render_options *options, uint8_t *rgb,
                                          gradcam_error *error)
{
    gradcam_render_options defaults;
    gradcam_render_options_init(&defaults);
    if (options == NULL)
        options = &defaults;
    GC_TRY(check_output(explanation, map_index, output, options, error));
    GC_FAIL_IF(rgb == NULL || (output != GRADCAM_IMAGE_OVERLAY && output != GRADCAM_IMAGE_HEATMAP),
               error, GRADCAM_ERROR_ARGUMENT, "rgb: NULL, or an output that is no image");
    const double start = gc_now_ms();
    GC_TRY(render(explanation, &explanation->maps[map_index], output, options, rgb, error));
    explanation->timings.render += gc_now_ms() - start;
    return GRADCAM_OK;
}

/* ---- Saving --------------------------------------------------------------------------------- */

static gradcam_status save_image(const gradcam_explanation *explanation, const gradcam_map *map,
                                 gradcam_output output, const gradcam_render_options *options,
                                 const char *path, gradcam_error *error)
{
    const gc_encoder *encoder = NULL;
    uint8_t *rgb = NULL;
    const gc_picture *const picture = &explanation->picture;
    GC_TRY(gc_encoder_find(&encoder, path, error));
    GC_TRY(gc_new_raw(&rgb, 3 * (size_t)picture->width, (size_t)picture->height, error));
    gradcam_status status = render(explanation, map, output, options, rgb, error);
    if (status == GRADCAM_OK)
        status =
            gc_picture_write(path, rgb, picture->width, picture->height, options->quality, error);
    gc_free(rgb);
    return status;
}

static gradcam_status save_native(const gradcam_map *map, const gradcam_render_options *options,
                                  bool normalised, const char *path, gradcam_error *error)
{
    const bool is_volume = map->depth > 1;
    const int64_t all[] = {map->depth, map->height, map->width};
    const int64_t *const dims = is_volume ? all : all + 1;
    float *values = NULL;
    if (!normalised)
        return gc_npy_write(path, 2 + is_volume, dims, map->raw, error);
    GC_TRY(gc_new(&values, (size_t)gc_map_count(map), sizeof *values, error));
    gc_normalise_map(map, options, values);
    const gradcam_status status = gc_npy_write(path, 2 + is_volume, dims, values, error);
    gc_free(values);
    return status;
}

static gradcam_status save_picture_map(const gradcam_explanation *explanation,
                                       const gradcam_map *map,
                                       const gradcam_render_options *options, const char *path,
                                       gradcam_error *error)
{
    const int64_t dims[] = {explanation->picture.height, explanation->picture.width};
    float *values = NULL;
    GC_TRY(gc_explanation_picture_map(explanation, map, options, &values, NULL, error));
    const gradcam_status status = gc_npy_write(path, 2, dims, values, error);
    gc_free(values);
    return status;
}

static gradcam_status save(const gradcam_explanation *explanation, const gradcam_map *map,
                           gradcam_output output, const gradcam_render_options *options,
                           const char *path, gradcam_error *error)
{
    switch (output) {
    case GRADCAM_IMAGE_OVERLAY:
    case GRADCAM_IMAGE_HEATMAP:
        return save_image(explanation, map, output, options, path, error);
    case GRADCAM_NPY_RAW:
    case GRADCAM_NPY_NORMALISED:
        return save_native(map, options, output == GRADCAM_NPY_NORMALISED, path, error);
    case GRADCAM_NPY_PICTURE:
        return save_picture_map(explanation, map, options, path, error);
    }
    return gc_fail(error, GRADCAM_ERROR_ARGUMENT, "output: %d is none of gradcam_output",
                   (int)output);
}

gradcam_status gradcam_explanation_save(gradcam_explanation *explanation, size_t map_index,
                                        gradcam_output output,
                                        const gradcam_render_options *options, const char *path,
                                        gradcam_error *error)
{
    gradcam_render_options defaults;
    gradcam_render_options_init(&defaults);
    if (options == NULL)
        options = &defaults;
    GC_TRY(check_output(explanation, map_index, output, options, error));
    GC_FAIL_IF(path == NULL, error, GRADCAM_ERROR_ARGUMENT, "path: NULL");
    const double start = gc_now_ms();
    GC_TRY(save(explanation, &explanation->maps[map_index], output, options, path, error));
    explanation->timings.render += gc_now_ms() - start;
    return GRADCAM_OK;
}
