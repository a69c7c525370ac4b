/* SPDX-License-Identifier: Apache-2.0 */
/* Runs single steps of src/picture on files, for tests/oracle/check_picture.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "picture/encode.h"
#include "picture/file.h"
#include "picture/npy.h"
#include "picture/overlay.h"
#include "picture/preprocess.h"

typedef struct command {
    const char *name;
    int argument_count;
    const char *usage;
    gradcam_status (*run)(char **a, gradcam_error *error);
} command;

static gradcam_status write_levels(const char *path, const uint8_t *levels, int height, int width,
                                   int channels, gradcam_error *error)
{
    const int64_t dims[3] = {height, width, channels};
    const size_t count = (size_t)height * (size_t)width * (size_t)channels;
    float *values = NULL;
    GC_TRY(gc_new(&values, count, sizeof *values, error));
    for (size_t i = 0; i < count; i++)
        values[i] = levels[i];
    const gradcam_status status = gc_npy_write(path, channels == 1 ? 2 : 3, dims, values, error);
    gc_free(values);
    return status;
}

static gradcam_fit fit_named(const char *name)
{
    return strcmp(name, "crop") == 0        ? GRADCAM_FIT_CROP
           : strcmp(name, "letterbox") == 0 ? GRADCAM_FIT_LETTERBOX
                                            : GRADCAM_FIT_STRETCH;
}

static gradcam_status run_decode(char **a, gradcam_error *error)
{
    gc_picture p;
    GC_TRY(gc_picture_read(&p, a[0], NULL, error));
    const gradcam_status status = write_levels(a[1], p.rgb, p.height, p.width, 3, error);
    gc_picture_free(&p);
    return status;
}

static gradcam_status run_resize(char **a, gradcam_error *error)
{
    gc_picture p, out = {0};
    GC_TRY(gc_picture_read(&p, a[0], NULL, error));
    gradcam_status status = gc_picture_alloc(&out, atoi(a[1]), atoi(a[2]), NULL, error);
    if (status == GRADCAM_OK)
        status = gc_resize_rgb(p.rgb, p.width, p.height, out.width, out.height,
                               (gc_filter)atoi(a[3]), out.rgb, error);
    if (status == GRADCAM_OK)
        status = write_levels(a[4], out.rgb, out.height, out.width, 3, error);
    gc_picture_free(&p);
    gc_picture_free(&out);
    return status;
}

/* Preprocesses picture `path` to w x h and writes the tensor. */
static gradcam_status preprocess_to(const char *path, const gc_preprocessing *p, int w, int h,
                                    const char *out, gradcam_error *error)
{
    gc_picture picture;
    float *tensor = NULL;
    const int64_t dims[3] = {p->channels, h, w};
    GC_TRY(gc_picture_read(&picture, path, NULL, error));
    gradcam_status status =
        gc_new(&tensor, (size_t)p->channels * (size_t)w * (size_t)h, sizeof *tensor, error);
    if (status == GRADCAM_OK)
        status = gc_preprocess(&picture, p, w, h, tensor, NULL, error);
    if (status == GRADCAM_OK)
        status = gc_npy_write(out, 3, dims, tensor, error);
    gc_picture_free(&picture);
    gc_free(tensor);
    return status;
}

static gradcam_status run_preprocess(char **a, gradcam_error *error)
{
    gc_preprocessing p;
    GC_TRY(gc_preprocessing_preset(&p, a[1], error));
    GC_TRY(gc_preprocessing_set_channels(&p, atoi(a[6]), error));
    p.fit = strcmp(a[2], "auto") == 0 ? p.fit : fit_named(a[2]);
    p.resize_edge = atoi(a[3]);
    return preprocess_to(a[0], &p, atoi(a[4]), atoi(a[5]), a[7], error);
}

static gradcam_status run_json(char **a, gradcam_error *error)
{
    gc_preprocessing p;
    char *text = NULL;
    size_t size = 0;
    GC_TRY(gc_file_read(a[1], (gc_file_limit){1 << 20, "more"}, &text, &size, error));
    const gradcam_status status = gc_preprocessing_from_json(&p, text, size, error);
    gc_free(text);
    GC_TRY(status);
    return preprocess_to(a[0], &p, p.width, p.height, a[2], error);
}

static gradcam_status run_mapview(char **a, gradcam_error *error)
{
    gc_array map;
    gc_view v;
    float *out = NULL;
    uint8_t *seen = NULL;
    const int width = atoi(a[3]), height = atoi(a[4]);
    const int64_t dims[2] = {height, width};
    GC_TRY(gc_view_make(&v, fit_named(a[1]), atoi(a[2]), width, height, atoi(a[5]), atoi(a[6]),
                        error));
    GC_TRY(gc_npy_read(&map, a[0], NULL, error));
    gradcam_status status = gc_new(&out, (size_t)width * (size_t)height, sizeof *out, error);
    if (status == GRADCAM_OK)
        status = gc_new(&seen, (size_t)width * (size_t)height, 1, error);
    if (status == GRADCAM_OK)
        status = gc_view_map_to_picture(&v, map.data, (int)map.dims[1], (int)map.dims[0], out, seen,
                                        error);
    if (status == GRADCAM_OK)
        status = gc_npy_write(a[7], 2, dims, out, error);
    if (status == GRADCAM_OK)
        status = write_levels(a[8], seen, height, width, 1, error);
    gc_array_free(&map);
    gc_free(out);
    gc_free(seen);
    return status;
}

static gradcam_status run_resizemap(char **a, gradcam_error *error)
{
    gc_array map;
    float *out = NULL;
    const int width = atoi(a[1]), height = atoi(a[2]);
    const int64_t dims[2] = {height, width};
    GC_TRY(gc_npy_read(&map, a[0], NULL, error));
    gradcam_status status = gc_new(&out, (size_t)width * (size_t)height, sizeof *out, error);
    if (status == GRADCAM_OK)
        status =
            gc_resize_map(map.data, (int)map.dims[1], (int)map.dims[0], out, width, height, error);
    if (status == GRADCAM_OK)
        status = gc_npy_write(a[3], 2, dims, out, error);
    gc_array_free(&map);
    gc_free(out);
    return status;
}

static gradcam_status overlay_to(const gc_picture *p, char **a, gradcam_error *error)
{
    const gc_colormap *colormap = NULL;
    gc_array map;
    GC_TRY(gc_colormap_find(&colormap, a[2], error));
    GC_TRY(gc_npy_read(&map, a[1], NULL, error));
    gradcam_status status = GRADCAM_OK;
    if (map.rank != 2 || map.dims[0] != p->height || map.dims[1] != p->width)
        status = gc_fail(error, GRADCAM_ERROR_SHAPE, "the map is not of the picture's size");
    else if (atof(a[3]) > 1.0)
        gc_heatmap(p->width, p->height, map.data, colormap, p->rgb);
    else
        gc_overlay(p->rgb, p->width, p->height, map.data, NULL, colormap, (float)atof(a[3]),
                   p->rgb);
    gc_array_free(&map);
    if (status == GRADCAM_OK)
        status = gc_picture_write(a[4], p->rgb, p->width, p->height, 92, error);
    return status;
}

static gradcam_status run_overlay(char **a, gradcam_error *error)
{
    gc_picture p;
    GC_TRY(gc_picture_read(&p, a[0], NULL, error));
    const gradcam_status status = overlay_to(&p, a, error);
    gc_picture_free(&p);
    return status;
}

static gradcam_status run_write(char **a, gradcam_error *error)
{
    gc_picture p;
    GC_TRY(gc_picture_read(&p, a[0], NULL, error));
    const gradcam_status status =
        gc_picture_write(a[2], p.rgb, p.width, p.height, atoi(a[1]), error);
    gc_picture_free(&p);
    return status;
}

static gradcam_status run_colormap(char **a, gradcam_error *error)
{
    const gc_colormap *colormap = NULL;
    GC_TRY(gc_colormap_find(&colormap, a[0], error));
    return write_levels(a[1], &colormap->rgb[0][0], 256, 3, 1, error);
}

static gradcam_status run_npy(char **a, gradcam_error *error)
{
    gc_array array;
    GC_TRY(gc_npy_read(&array, a[0], NULL, error));
    const gradcam_status status = gc_npy_write(a[1], array.rank, array.dims, array.data, error);
    gc_array_free(&array);
    return status;
}

static const command commands[] = {
    {"decode", 2, "picture out.npy", run_decode},
    {"resize", 5, "picture width height filter out.npy", run_resize},
    {"preprocess", 8, "picture preset fit edge width height channels out.npy", run_preprocess},
    {"json", 3, "picture preprocessor_config.json out.npy", run_json},
    {"mapview", 9, "map.npy fit edge width height input-width input-height out.npy seen.npy",
     run_mapview},
    {"resizemap", 4, "map.npy width height out.npy", run_resizemap},
    {"overlay", 5, "picture map.npy colormap alpha(2: heat map) out.png", run_overlay},
    {"write", 3, "picture quality out", run_write},
    {"colormap", 2, "name out.npy", run_colormap},
    {"npy", 2, "in.npy out.npy", run_npy},
};

int main(int argc, char **argv)
{
    gradcam_error error = {0};
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof commands[0]; i++) {
        const command *const c = &commands[i];
        if (strcmp(c->name, argv[1]) != 0 || argc - 2 != c->argument_count)
            continue;
        const gradcam_status status = c->run(argv + 2, &error);
        if (status != GRADCAM_OK)
            fprintf(stderr, "%s\n", error.message);
        return (int)status;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(stderr, "picture_tool %s %s\n", commands[i].name, commands[i].usage);
    return GRADCAM_ERROR_ARGUMENT;
}
