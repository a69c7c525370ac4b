/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TIFF by libtiff's RGBA interface: first page, any layout and compression that libtiff knows.
 *
 * libtiff can mirror while reading but not turn; so it is told to leave the pixels in file order,
 * and the orientation is applied as for every other format.
 */
#include <stdio.h>
#include <string.h>

#include <tiffio.h>

#include "base/memory.h"
#include "picture/decode.h"

/* The file in memory, and the first message that libtiff had to say about it. */
typedef struct stream {
    const uint8_t *bytes;
    uint64_t size, position;
    char message[512];
} stream;

static bool probe(const uint8_t *bytes, size_t size)
{
    static const uint8_t marks[4][4] = {
        {'I', 'I', 42, 0}, {'M', 'M', 0, 42}, {'I', 'I', 43, 0}, {'M', 'M', 0, 43}};
    for (int i = 0; i < 4; i++)
        if (size >= 8 && memcmp(bytes, marks[i], 4) == 0)
            return true;
    return false;
}

static tmsize_t on_read(thandle_t handle, void *to, tmsize_t wanted)
{
    stream *const s = handle;
    const uint64_t left = s->position < s->size ? s->size - s->position : 0;
    const uint64_t count = wanted < 0 ? 0 : (uint64_t)wanted < left ? (uint64_t)wanted : left;
    if (count > 0)
        memcpy(to, s->bytes + s->position, count);
    s->position += count;
    return (tmsize_t)count;
}

static tmsize_t on_write(thandle_t handle, void *from, tmsize_t size)
{
    (void)handle, (void)from, (void)size;
    return -1;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence)
{
    stream *const s = handle;
    const uint64_t base = whence == SEEK_CUR ? s->position : whence == SEEK_END ? s->size : 0;
    s->position = base + offset; /* wraps for the negative offsets that toff_t cannot express */
    return s->position;
}

static int on_close(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle)
{
    return ((stream *)handle)->size;
}

static int on_map(thandle_t handle, void **base, toff_t *size)
{
    (void)handle, (void)base, (void)size;
    return 0;
}

static void on_unmap(thandle_t handle, void *base, toff_t size)
{
    (void)handle, (void)base, (void)size;
}

/* Returning non-zero keeps libtiff from calling its global handlers, which print. */
static int on_error(TIFF *tiff, void *user, const char *module, const char *format,
                    va_list arguments)
{
    stream *const s = user;
    (void)tiff, (void)module;
    if (s->message[0] == '\0')
        vsnprintf(s->message, sizeof s->message, format, arguments);
    return 1;
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *format,
                      va_list arguments)
{
    (void)tiff, (void)user, (void)module, (void)format, (void)arguments;
    return 1;
}

/* A short file may claim strips of gigabytes. Deflate unfolds to 1032 times its size at most; of
 * the rest, blank pages of facsimiles unfold to more, but are small. */
static tmsize_t most_memory(uint64_t size)
{
    const uint64_t standing = 64u << 20, most = (uint64_t)2 << 30;
    return (tmsize_t)(size < (most - standing) / 2048 ? standing + size * 2048 : most);
}

static TIFF *open_stream(stream *s)
{
    TIFFOpenOptions *const options = TIFFOpenOptionsAlloc();
    if (options == NULL)
        return NULL;
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, s);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, s);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, most_memory(s->size));
    TIFF *const tiff = TIFFClientOpenExt("picture", "rm", s, on_read, on_write, on_seek, on_close,
                                         on_size, on_map, on_unmap, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

static gradcam_status fail_tiff(const stream *s, const char *otherwise, gradcam_error *error)
{
    return gc_fail(error, GRADCAM_ERROR_PICTURE, "damaged or unsupported TIFF: %s",
                   s->message[0] != '\0' ? s->message : otherwise);
}

/* libtiff multiplies colour and alpha, so that white is what alpha leaves over. */
static void unpack(const uint32_t *raster, bool has_alpha, const gc_picture *picture)
{
    const size_t count = (size_t)picture->width * picture->height;
    for (size_t i = 0; i < count; i++) {
        const uint32_t p = raster[i];
        const unsigned white = has_alpha ? 255u - TIFFGetA(p) : 0;
        const unsigned rgb[3] = {TIFFGetR(p) + white, TIFFGetG(p) + white, TIFFGetB(p) + white};
        for (size_t c = 0; c < 3; c++)
            picture->rgb[3 * i + c] = (uint8_t)(rgb[c] < 255 ? rgb[c] : 255);
    }
}

static gradcam_status read_raster(TIFFRGBAImage *image, stream *s, const gc_picture *picture,
                                  gradcam_error *error)
{
    uint32_t *raster = NULL;
    GC_TRY(gc_new(&raster, (size_t)picture->width * picture->height, sizeof *raster, error));
    const int ok = TIFFRGBAImageGet(image, raster, image->width, image->height);
    if (ok)
        unpack(raster, image->alpha != 0, picture);
    gc_free(raster);
    return ok ? GRADCAM_OK : fail_tiff(s, "the pixels cannot be read", error);
}

static gradcam_status decode_open(TIFF *tiff, stream *s, gc_picture *picture, int *orientation,
                                  const gc_picture_source *source, gradcam_error *error)
{
    TIFFRGBAImage image;
    char text[1024] = "";
    uint32_t width = 0, height = 0;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    GC_TRY(gc_picture_alloc(picture, width, height, source->limits, error));
    if (!TIFFRGBAImageOK(tiff, text) || !TIFFRGBAImageBegin(&image, tiff, 1, text))
        return fail_tiff(s, text, error);
    *orientation = image.orientation;
    image.req_orientation = image.orientation;
    const gradcam_status status = read_raster(&image, s, picture, error);
    TIFFRGBAImageEnd(&image);
    return status;
}

static gradcam_status decode(gc_picture *picture, int *orientation, const gc_picture_source *source,
                             gradcam_error *error)
{
    stream s = {.bytes = source->bytes, .size = source->size};
    TIFF *const tiff = open_stream(&s);
    if (tiff == NULL)
        return fail_tiff(&s, "the header cannot be read", error);
    const gradcam_status status = decode_open(tiff, &s, picture, orientation, source, error);
    TIFFClose(tiff);
    return status;
}

const gc_decoder gc_decoder_tiff = {.name = "TIFF", .probe = probe, .decode = decode};
