/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/encode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>
#include <zlib.h>

#include "base/memory.h"
#include "picture/file.h"

/* A growing buffer; `failed` once memory ran out. */
typedef struct sink {
    uint8_t *bytes;
    size_t size, capacity;
    gradcam_status status;
    gradcam_error *error;
} sink;

typedef struct canvas {
    const uint8_t *rgb;
    int width, height, quality;
} canvas;

struct gc_encoder {
    const char *name;
    const char *endings[3];
    int max_edge;
    gradcam_status (*encode)(const canvas *from, sink *to);
};

static bool sink_add(sink *s, const void *bytes, size_t size)
{
    if (s->status == GRADCAM_OK)
        s->status = gc_grow(&s->bytes, &s->capacity, s->size + size, 1, s->error);
    if (s->status != GRADCAM_OK)
        return false;
    if (size > 0)
        memcpy(s->bytes + s->size, bytes, size);
    s->size += size;
    return true;
}

/* ---- PNG ----------------------------------------------------------------------------------- */

/* As in decode_png.c: libpng jumps, and what is touched after setjmp lives here. */
typedef struct png_session {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    sink *to;
} png_session;

static void png_failed(png_structp png, png_const_charp text)
{
    png_session *const s = png_get_error_ptr(png);
    if (s->to->status == GRADCAM_OK)
        s->to->status = gc_fail(s->to->error, GRADCAM_ERROR_INTERNAL, "libpng: %s", text);
    longjmp(s->jump, 1);
}

static void png_warned(png_structp png, png_const_charp text)
{
    (void)png, (void)text;
}

static void png_add(png_structp png, png_bytep bytes, size_t size)
{
    png_session *const s = png_get_io_ptr(png);
    if (!sink_add(s->to, bytes, size))
        png_error(png, "out of memory");
}

static void png_flushed(png_structp png)
{
    (void)png;
}

static gradcam_status write_png(png_session *s, const canvas *from)
{
    if (setjmp(s->jump) != 0)
        return s->to->status;
    png_set_write_fn(s->png, s, png_add, png_flushed);
    png_set_user_limits(s->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    /* Of overlays on photographs, runs of what the mean of two neighbours lets expect make files as
     * small as all filters and matches do, in a third of the time. */
    png_set_compression_level(s->png, 1);
    png_set_compression_strategy(s->png, Z_RLE);
    png_set_filter(s->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_AVG);
    png_set_IHDR(s->png, s->info, (png_uint_32)from->width, (png_uint_32)from->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(s->png, s->info);
    for (int y = 0; y < from->height; y++)
        png_write_row(s->png, from->rgb + 3 * (size_t)from->width * (size_t)y);
    png_write_end(s->png, s->info);
    return GRADCAM_OK;
}

static gradcam_status encode_png(const canvas *from, sink *to)
{
    png_session s = {.to = to};
    s.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, png_failed, png_warned);
    if (s.png != NULL)
        s.info = png_create_info_struct(s.png);
    gradcam_status status = GRADCAM_OK;
    if (s.info == NULL)
        status = gc_fail(to->error, GRADCAM_ERROR_MEMORY, "libpng could not be started");
    else
        status = write_png(&s, from);
    png_destroy_write_struct(&s.png, &s.info);
    return status;
}

/* ---- JPEG ---------------------------------------------------------------------------------- */

typedef struct jpeg_session {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    jmp_buf jump;
    unsigned char *bytes; /* libjpeg's, by malloc */
    unsigned long size;
    gradcam_error *error;
} jpeg_session;

static void jpeg_failed(j_common_ptr info)
{
    jpeg_session *const s = info->client_data;
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    gc_fail(s->error, GRADCAM_ERROR_INTERNAL, "libjpeg: %s", text);
    longjmp(s->jump, 1);
}

static void jpeg_said(j_common_ptr info, int level)
{
    (void)info, (void)level;
}

static gradcam_status write_jpeg(jpeg_session *s, const canvas *from)
{
    if (setjmp(s->jump) != 0)
        return GRADCAM_ERROR_INTERNAL;
    jpeg_create_compress(&s->info);
    s->info.client_data = s;
    jpeg_mem_dest(&s->info, &s->bytes, &s->size);
    s->info.image_width = (JDIMENSION)from->width;
    s->info.image_height = (JDIMENSION)from->height;
    s->info.input_components = 3;
    s->info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&s->info);
    jpeg_set_quality(&s->info, from->quality, TRUE);
    jpeg_start_compress(&s->info, TRUE);
    while (s->info.next_scanline < s->info.image_height) {
        const size_t start = 3 * (size_t)from->width * s->info.next_scanline;
        JSAMPROW row = (JSAMPROW)(from->rgb + start); /* libjpeg only reads it */
        jpeg_write_scanlines(&s->info, &row, 1);
    }
    jpeg_finish_compress(&s->info);
    return GRADCAM_OK;
}

static gradcam_status encode_jpeg(const canvas *from, sink *to)
{
    jpeg_session s = {.error = to->error};
    s.info.err = jpeg_std_error(&s.errors);
    s.info.client_data = &s;
    s.errors.error_exit = jpeg_failed;
    s.errors.emit_message = jpeg_said;
    gradcam_status status = write_jpeg(&s, from);
    jpeg_destroy_compress(&s.info);
    if (status == GRADCAM_OK && !sink_add(to, s.bytes, s.size))
        status = to->status;
    free(s.bytes);
    return status;
}

/* ---- WebP ---------------------------------------------------------------------------------- */

static int webp_add(const uint8_t *bytes, size_t size, const WebPPicture *picture)
{
    return sink_add(picture->custom_ptr, bytes, size);
}

static gradcam_status encode_webp(const canvas *from, sink *to)
{
    WebPConfig config;
    WebPPicture picture;
    GC_FAIL_IF(!WebPConfigPreset(&config, WEBP_PRESET_PHOTO, (float)from->quality) ||
                   !WebPPictureInit(&picture),
               to->error, GRADCAM_ERROR_INTERNAL, "libwebp is of another version than its header");
    picture.width = from->width;
    picture.height = from->height;
    picture.writer = webp_add;
    picture.custom_ptr = to;
    const int ok =
        WebPPictureImportRGB(&picture, from->rgb, 3 * from->width) && WebPEncode(&config, &picture);
    const int code = picture.error_code;
    WebPPictureFree(&picture);
    if (ok || to->status != GRADCAM_OK)
        return to->status;
    GC_FAIL_IF(code == VP8_ENC_ERROR_OUT_OF_MEMORY || code == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY,
               to->error, GRADCAM_ERROR_MEMORY, "out of memory in libwebp");
    return gc_fail(to->error, GRADCAM_ERROR_INTERNAL, "libwebp: error %d", code);
}

/* ---- Interface ----------------------------------------------------------------------------- */

static const gc_encoder encoders[] = {
    {"PNG", {".png"}, 0x7fffffff / 3, encode_png},
    {"JPEG", {".jpg", ".jpeg"}, JPEG_MAX_DIMENSION, encode_jpeg},
    {"WebP", {".webp"}, WEBP_MAX_DIMENSION, encode_webp},
};
enum { ENCODER_COUNT = sizeof encoders / sizeof encoders[0] };

gradcam_status gc_encoder_find(const gc_encoder **encoder, const char *path, gradcam_error *error)
{
    char list[128] = "";
    size_t used = 0;
    const size_t length = strlen(path);
    *encoder = NULL;
    for (size_t i = 0; i < ENCODER_COUNT; i++)
        for (const char *const *ending = encoders[i].endings; *ending != NULL; ending++) {
            const size_t n = strlen(*ending);
            if (length > n && strcasecmp(path + length - n, *ending) == 0) {
                *encoder = &encoders[i];
                return GRADCAM_OK;
            }
            used += (size_t)snprintf(list + used, sizeof list - used, " %s", *ending);
        }
    return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                   "%s: the ending must say how to write a picture:%s", path, list);
}

void gc_picture_write_formats(char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < ENCODER_COUNT && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i == 0 ? "" : ", ",
                                 encoders[i].name);
}

gradcam_status gc_picture_encode(const gc_encoder *encoder, const uint8_t *rgb, int width,
                                 int height, int quality, uint8_t **bytes, size_t *size,
                                 gradcam_error *error)
{
    const canvas from = {rgb, width, height, quality < 1 ? 1 : quality > 100 ? 100 : quality};
    sink to = {.error = error};
    *bytes = NULL;
    *size = 0;
    GC_FAIL_IF(
        width < 1 || height < 1 || width > encoder->max_edge || height > encoder->max_edge, error,
        GRADCAM_ERROR_LIMIT,
        "a picture of %d x %d pixels cannot be written as %s: an edge can have 1 to %d pixels",
        width, height, encoder->name, encoder->max_edge);
    const gradcam_status status = encoder->encode(&from, &to);
    if (status != GRADCAM_OK) {
        gc_free(to.bytes);
        return status;
    }
    *bytes = to.bytes;
    *size = to.size;
    return GRADCAM_OK;
}

gradcam_status gc_picture_write(const char *path, const uint8_t *rgb, int width, int height,
                                int quality, gradcam_error *error)
{
    const gc_encoder *encoder = NULL;
    uint8_t *bytes = NULL;
    size_t size = 0;
    GC_TRY(gc_encoder_find(&encoder, path, error));
    gradcam_status status =
        gc_picture_encode(encoder, rgb, width, height, quality, &bytes, &size, error);
    if (status != GRADCAM_OK)
        return gc_fail_context(error, status, "%s: ", path);
    status = gc_file_write(path, bytes, size, error);
    gc_free(bytes);
    return status;
}
