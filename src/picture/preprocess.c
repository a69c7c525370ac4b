/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/preprocess.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

typedef struct preset {
    const char *name;
    gc_preprocessing values;
} preset;

#define IMAGENET_MEAN                                                                              \
    {                                                                                              \
        0.485f, 0.456f, 0.406f                                                                     \
    }
#define IMAGENET_STD                                                                               \
    {                                                                                              \
        0.229f, 0.224f, 0.225f                                                                     \
    }

static const preset presets[] = {
    {"torchvision",
     {.fit = GRADCAM_FIT_STRETCH,
      .filter = GC_FILTER_BILINEAR,
      .scale = 1.0f / 255.0f,
      .channels = 3,
      .mean = IMAGENET_MEAN,
      .std = IMAGENET_STD}},
    /* timm's usual crop_pct of 0.875 is the default resize edge. */
    {"timm",
     {.fit = GRADCAM_FIT_CROP,
      .filter = GC_FILTER_BICUBIC,
      .scale = 1.0f / 255.0f,
      .channels = 3,
      .mean = IMAGENET_MEAN,
      .std = IMAGENET_STD}},
    /* [-1, 1], as Keras' "tf" mode. */
    {"tf",
     {.fit = GRADCAM_FIT_STRETCH,
      .filter = GC_FILTER_BILINEAR,
      .scale = 1.0f / 255.0f,
      .channels = 3,
      .mean = {0.5f, 0.5f, 0.5f},
      .std = {0.5f, 0.5f, 0.5f}}},
    {"caffe",
     {.fit = GRADCAM_FIT_STRETCH,
      .filter = GC_FILTER_BILINEAR,
      .scale = 1.0f,
      .bgr = true,
      .channels = 3,
      .mean = {103.939f, 116.779f, 123.68f},
      .std = {1.0f, 1.0f, 1.0f}}},
    {"unit",
     {.fit = GRADCAM_FIT_STRETCH,
      .filter = GC_FILTER_BILINEAR,
      .scale = 1.0f / 255.0f,
      .channels = 3,
      .std = {1.0f, 1.0f, 1.0f}}},
    {"raw",
     {.fit = GRADCAM_FIT_STRETCH,
      .filter = GC_FILTER_BILINEAR,
      .scale = 1.0f,
      .channels = 3,
      .std = {1.0f, 1.0f, 1.0f}}},
};
enum { PRESET_COUNT = sizeof presets / sizeof presets[0] };

const char *gc_preprocessing_name(size_t index)
{
    return index < PRESET_COUNT ? presets[index].name : NULL;
}

gradcam_status gc_preprocessing_preset(gc_preprocessing *preprocessing, const char *name,
                                       gradcam_error *error)
{
    char names[128] = "";
    size_t used = 0;
    for (size_t i = 0; i < PRESET_COUNT; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            *preprocessing = presets[i].values;
            return GRADCAM_OK;
        }
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ",
                                 presets[i].name);
    }
    return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                   "unknown preprocessing preset '%s'; there are: %s", name, names);
}

static gradcam_status check_channels(int channels, gradcam_error *error)
{
    GC_FAIL_IF(channels != 1 && channels != 3, error, GRADCAM_ERROR_SHAPE,
               "a picture can be fed to a network of 1 or 3 channels, not of %d", channels);
    return GRADCAM_OK;
}

gradcam_status gc_preprocessing_set_channels(gc_preprocessing *preprocessing, int channels,
                                             gradcam_error *error)
{
    gc_preprocessing *const p = preprocessing;
    GC_TRY(check_channels(channels, error));
    if (channels == 1 && p->channels == 3) {
        p->mean[0] = (p->mean[0] + p->mean[1] + p->mean[2]) / 3.0f;
        p->std[0] = (p->std[0] + p->std[1] + p->std[2]) / 3.0f;
    }
    for (int c = 1; channels == 3 && p->channels == 1 && c < 3; c++) {
        p->mean[c] = p->mean[0];
        p->std[c] = p->std[0];
    }
    p->channels = channels;
    return GRADCAM_OK;
}

gradcam_status gc_preprocessing_view(const gc_preprocessing *preprocessing, int picture_width,
                                     int picture_height, int width, int height, gc_view *view,
                                     gradcam_error *error)
{
    const gc_preprocessing *const p = preprocessing;
    if (p->fit == GRADCAM_FIT_CROP && p->resize_width != 0)
        return gc_view_make_resized(view, p->resize_width, p->resize_height, picture_width,
                                    picture_height, width, height, error);
    return gc_view_make(view, p->fit, p->resize_edge, picture_width, picture_height, width, height,
                        error);
}

/* The part of the resized picture that the input shows, at its place on the canvas. */
static gradcam_status draw(const gc_picture *picture, const gc_view *v, gc_filter filter,
                           uint8_t *canvas, gradcam_error *error)
{
    const int left = v->offset_x > 0 ? v->offset_x : 0, top = v->offset_y > 0 ? v->offset_y : 0;
    const gc_resize_window window = {
        .full_width = v->resized_width,
        .full_height = v->resized_height,
        .x = left - v->offset_x,
        .y = top - v->offset_y,
        .width = v->resized_width < v->input_width ? v->resized_width : v->input_width,
        .height = v->resized_height < v->input_height ? v->resized_height : v->input_height,
    };
    const size_t stride = 3 * (size_t)v->input_width;
    memset(canvas, v->fill, stride * (size_t)v->input_height);
    return gc_resize_rgb_window(picture->rgb, picture->width, picture->height, &window, filter,
                                canvas + stride * (size_t)top + 3 * (size_t)left, stride, error);
}

/* The value fed for each of the 256 levels of channel c. */
static void make_table(const gc_preprocessing *p, int c, float table[256])
{
    for (int level = 0; level < 256; level++)
        table[level] = (float)(((double)level * p->scale - p->mean[c]) / p->std[c]);
}

static void normalise(const gc_preprocessing *p, const uint8_t *canvas, size_t count, float *nchw)
{
    float table[256];
    for (int c = 0; c < p->channels; c++) {
        const uint8_t *const from = canvas + (p->bgr ? 2 - c : c);
        float *const plane = nchw + count * (size_t)c;
        make_table(p, c, table);
        if (p->channels == 1)
            for (size_t i = 0; i < count; i++)
                plane[i] = table[gc_luma(canvas + 3 * i)];
        else
            for (size_t i = 0; i < count; i++)
                plane[i] = table[from[3 * i]];
    }
}

static gradcam_status check_values(const gc_preprocessing *p, gradcam_error *error)
{
    GC_TRY(check_channels(p->channels, error));
    for (int c = 0; c < p->channels; c++)
        GC_FAIL_IF(!isfinite(p->mean[c]) || !isfinite(p->std[c]) || p->std[c] == 0.0f, error,
                   GRADCAM_ERROR_ARGUMENT,
                   "mean %g and std %g of channel %d: both must be finite, and std not 0",
                   (double)p->mean[c], (double)p->std[c], c);
    GC_FAIL_IF(!isfinite(p->scale), error, GRADCAM_ERROR_ARGUMENT, "the scale is not finite");
    return GRADCAM_OK;
}

gradcam_status gc_preprocess(const gc_picture *picture, const gc_preprocessing *preprocessing,
                             int width, int height, float *nchw, gc_view *view,
                             gradcam_error *error)
{
    gc_view v;
    uint8_t *canvas = NULL;
    GC_TRY(check_values(preprocessing, error));
    GC_TRY(gc_preprocessing_view(preprocessing, picture->width, picture->height, width, height, &v,
                                 error));
    GC_TRY(gc_new_raw(&canvas, (size_t)width * (size_t)height, 3, error));
    const gradcam_status status = draw(picture, &v, preprocessing->filter, canvas, error);
    if (status == GRADCAM_OK)
        normalise(preprocessing, canvas, (size_t)width * (size_t)height, nchw);
    gc_free(canvas);
    if (status == GRADCAM_OK && view != NULL)
        *view = v;
    return status;
}
