/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/images.h"

#include <string.h>
#include <strings.h>

#include "picture/encode.h"
#include "picture/file.h"

enum { KINDS = GRADCAM_IMAGE_HEATMAP + 1, MOST_BYTES = 64 << 20 /* of one picture */ };

typedef struct gc_image {
    uint8_t *bytes;
    size_t size;
} gc_image;

static const char ending[] = ".png";

gradcam_render_options gc_images_options(const gc_settings *settings, const gc_scales *scales,
                                         const gradcam_map *map)
{
    gradcam_render_options options = settings->render;
    if (settings->is_scale_shared)
        options.scale = gc_scales_find(scales, map);
    return options;
}

static gradcam_status make(gc_image *image, gradcam_explanation *explanation, size_t map,
                           gradcam_output output, const gradcam_render_options *options)
{
    const gc_encoder *encoder = NULL;
    uint8_t *rgb = NULL;
    int width = 0, height = 0;
    gradcam_explanation_size(explanation, &width, &height);
    GC_TRY(gc_encoder_find(&encoder, "overlay.png", NULL));
    GC_TRY(gc_new_raw(&rgb, 3 * (size_t)width, (size_t)height, NULL));
    gradcam_status status =
        gradcam_explanation_render(explanation, map, output, options, rgb, NULL);
    if (status == GRADCAM_OK)
        status = gc_picture_encode(encoder, rgb, width, height, options->quality, &image->bytes,
                                   &image->size, NULL);
    gc_free(rgb);
    return status;
}

void gc_images_make(gc_images *images, gradcam_explanation *explanation,
                    const gc_settings *settings, const gc_scales *scales)
{
    const bool wanted[KINDS] = {true, settings->heatmap.wanted};
    const size_t count = gradcam_explanation_map_count(explanation);
    size_t bytes = 0;
    *images = (gc_images){0};
    if (gc_new(&images->items, count * KINDS, sizeof *images->items, NULL) != GRADCAM_OK)
        return;
    images->count = count * KINDS;
    for (size_t i = 0; i < images->count && bytes < MOST_BYTES; i++) {
        const gradcam_map *const map = gradcam_explanation_map(explanation, i / KINDS);
        const gradcam_render_options options = gc_images_options(settings, scales, map);
        if (!wanted[i % KINDS] || map->state == GRADCAM_MAP_NOT_FINITE)
            continue;
        if (make(&images->items[i], explanation, i / KINDS, (gradcam_output)(i % KINDS),
                 &options) != GRADCAM_OK)
            return;
        bytes += images->items[i].size;
    }
}

gradcam_status gc_images_write(const gc_images *images, size_t map, gradcam_output output,
                               const char *path, bool *is_written, gradcam_error *error)
{
    const size_t at = map * KINDS + (size_t)output, length = strlen(path);
    *is_written = (int)output < KINDS && at < images->count && images->items[at].bytes != NULL &&
                  length > sizeof ending - 1 &&
                  strcasecmp(path + length - (sizeof ending - 1), ending) == 0;
    if (!*is_written)
        return GRADCAM_OK;
    return gc_file_write(path, images->items[at].bytes, images->items[at].size, error);
}

void gc_images_free(gc_images *images)
{
    for (size_t i = 0; i < images->count; i++)
        gc_free(images->items[i].bytes);
    gc_free(images->items);
    *images = (gc_images){0};
}
