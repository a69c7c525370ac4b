/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/picture.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "picture/decode.h"
#include "picture/file.h"

static const gc_decoder *const decoders[] = {
    &gc_decoder_jpeg, &gc_decoder_png, &gc_decoder_webp, &gc_decoder_tiff, &gc_decoder_bmp,
};
enum { DECODER_COUNT = sizeof decoders / sizeof decoders[0] };

gradcam_status gc_picture_alloc(gc_picture *picture, int64_t width, int64_t height,
                                const gradcam_limits *limits, gradcam_error *error)
{
    const uint64_t most = gc_limits(limits).picture_pixels;
    *picture = (gc_picture){0};
    GC_FAIL_IF(width < 1 || height < 1, error, GRADCAM_ERROR_PICTURE,
               "the picture claims a size of %" PRId64 " x %" PRId64 " pixels", width, height);
    GC_FAIL_IF(width > GC_MAX_EDGE || height > GC_MAX_EDGE, error, GRADCAM_ERROR_LIMIT,
               "the picture is %" PRId64 " x %" PRId64 " pixels; the limit for an edge is %d",
               width, height, GC_MAX_EDGE);
    const uint64_t pixels = (uint64_t)width * (uint64_t)height;
    GC_FAIL_IF(pixels > most, error, GRADCAM_ERROR_LIMIT,
               "the picture is %" PRId64 " x %" PRId64 " = %" PRIu64
               " pixels; the limit is %" PRIu64 " (--max-pixels, picture_pixels)",
               width, height, pixels, most);
    GC_TRY(gc_new_raw(&picture->rgb, pixels, 3, error));
    picture->width = (int)width;
    picture->height = (int)height;
    return GRADCAM_OK;
}

void gc_picture_free(gc_picture *picture)
{
    if (picture == NULL)
        return;
    gc_free(picture->rgb);
    *picture = (gc_picture){0};
}

static const gc_decoder *find_decoder(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < DECODER_COUNT; i++)
        if (decoders[i]->probe(bytes, size))
            return decoders[i];
    return NULL;
}

void gc_picture_read_formats(char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < DECODER_COUNT && used < size; i++) {
        const char *const name = decoders[i]->name; /* NOLINT: no row is NULL */
        used += (size_t)snprintf(text + used, size - used, "%s%s", i == 0 ? "" : ", ", name);
    }
}

static gradcam_status fail_unknown(const uint8_t *bytes, size_t size, gradcam_error *error)
{
    char names[128] = "", start[3 * 8 + 1] = "";
    gc_picture_read_formats(names, sizeof names);
    for (size_t i = 0; i < size && i < 8; i++)
        snprintf(start + 3 * i, 4, " %02x", bytes[i]);
    GC_FAIL_IF(size == 0, error, GRADCAM_ERROR_PICTURE, "the file is empty");
    return gc_fail(
        error, GRADCAM_ERROR_PICTURE,
        "not a picture in a known format: it starts with the bytes%s. Known formats: %s.", start,
        names);
}

gradcam_status gc_picture_decode(gc_picture *picture, const void *bytes, size_t size,
                                 const gradcam_limits *limits, gradcam_error *error)
{
    const gc_picture_source source = {.bytes = bytes, .size = size, .limits = limits};
    const gc_decoder *const decoder = find_decoder(bytes, size);
    int orientation = 1;
    *picture = (gc_picture){0};
    if (decoder == NULL)
        return fail_unknown(bytes, size, error);
    gradcam_status status = decoder->decode(picture, &orientation, &source, error);
    if (status == GRADCAM_OK)
        status = gc_picture_orient(picture, orientation, error);
    if (status != GRADCAM_OK)
        gc_picture_free(picture);
    return status;
}

gradcam_status gc_picture_read(gc_picture *picture, const char *path, const gradcam_limits *limits,
                               gradcam_error *error)
{
    void *bytes = NULL;
    size_t size = 0;
    *picture = (gc_picture){0};
    GC_TRY(gc_file_read(path, gc_limit_picture(limits), &bytes, &size, error));
    const gradcam_status status = gc_picture_decode(picture, bytes, size, limits, error);
    gc_free(bytes);
    return status == GRADCAM_OK ? status : gc_fail_context(error, status, "%s: ", path);
}
