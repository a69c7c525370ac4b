/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/encode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jpeglib.h>
#include <libdeflate.h>
#include <webp/encode.h>

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

/* A PNG is four chunks around one compressed block. They are put together here, not by libpng,
 * which compresses with zlib: libdeflate makes files as small in half the time, and of all that
 * happens to a photograph around the network, compressing what is written takes the longest. */

static void png_number(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Size, type, data, check sum of type and data. */
static bool png_chunk(sink *to, const char type[4], const uint8_t *data, size_t size)
{
    uint8_t head[8], tail[4];
    png_number(head, (uint32_t)size);
    memcpy(head + 4, type, 4);
    png_number(tail, libdeflate_crc32(libdeflate_crc32(0, head + 4, 4), data, size));
    return sink_add(to, head, sizeof head) && sink_add(to, data, size) &&
           sink_add(to, tail, sizeof tail);
}

static bool png_data(sink *to, const uint8_t *data, size_t size)
{
    static const size_t longest = 0x7fffffff;
    while (size > longest) {
        if (!png_chunk(to, "IDAT", data, longest))
            return false;
        data += longest;
        size -= longest;
    }
    return png_chunk(to, "IDAT", data, size);
}

/* Each byte less the mean of the same channel's to the left and above; outside is 0. Overlays on
 * photographs become as small as with the best filter of each row. */
static void png_filter_mean(uint8_t *restrict to, const uint8_t *restrict row,
                            const uint8_t *restrict above, size_t size)
{
    for (size_t i = 0; i < 3; i++)
        to[i] = (uint8_t)(row[i] - above[i] / 2);
    for (size_t i = 3; i < size; i++)
        to[i] = (uint8_t)(row[i] - (row[i - 3] + above[i]) / 2);
}

/* rows: of each row the number of its filter and its bytes; new. */
static gradcam_status png_filter(const canvas *from, uint8_t **rows, gradcam_error *error)
{
    enum { FILTER_MEAN = 3 };
    const size_t width = 3 * (size_t)from->width;
    uint8_t *outside = NULL;
    GC_TRY(gc_new(&outside, width, 1, error));
    gradcam_status status = gc_new_raw(rows, (size_t)from->height, width + 1, error);
    const uint8_t *above = outside;
    for (int y = 0; status == GRADCAM_OK && y < from->height; y++) {
        const uint8_t *const row = from->rgb + width * (size_t)y;
        uint8_t *const to = *rows + (width + 1) * (size_t)y;
        to[0] = FILTER_MEAN;
        png_filter_mean(to + 1, row, above, width);
        above = row;
    }
    gc_free(outside);
    return status;
}

/* bytes: `size` of them in zlib's format; new. */
static gradcam_status png_compress(const uint8_t *rows, size_t length, uint8_t **bytes,
                                   size_t *size, gradcam_error *error)
{
    struct libdeflate_compressor *const by = libdeflate_alloc_compressor(1);
    GC_FAIL_IF(by == NULL, error, GRADCAM_ERROR_MEMORY, "out of memory in libdeflate");
    const size_t most = libdeflate_zlib_compress_bound(by, length);
    const gradcam_status status = gc_new_raw(bytes, most, 1, error);
    if (status == GRADCAM_OK)
        *size = libdeflate_zlib_compress(by, rows, length, *bytes, most);
    libdeflate_free_compressor(by);
    return status;
}

static gradcam_status encode_png(const canvas *from, sink *to)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    uint8_t header[13] = {[8] = 8 /* bits a channel */, [9] = 2 /* RGB */};
    uint8_t *rows = NULL, *bytes = NULL;
    size_t size = 0;
    png_number(header, (uint32_t)from->width);
    png_number(header + 4, (uint32_t)from->height);
    gradcam_status status = png_filter(from, &rows, to->error);
    if (status == GRADCAM_OK)
        status = png_compress(rows, (size_t)from->height * (3 * (size_t)from->width + 1), &bytes,
                              &size, to->error);
    gc_free(rows);
    if (status == GRADCAM_OK && !(sink_add(to, signature, sizeof signature) &&
                                  png_chunk(to, "IHDR", header, sizeof header) &&
                                  png_data(to, bytes, size) && png_chunk(to, "IEND", header, 0)))
        status = to->status;
    gc_free(bytes);
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
