/* SPDX-License-Identifier: Apache-2.0 */
/* WebP by libwebp: still pictures; transparency is blended over white. */
#include <string.h>

#include <webp/decode.h>

#include "base/memory.h"
#include "picture/decode.h"

static bool probe(const uint8_t *bytes, size_t size)
{
    return size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0;
}

static const char *status_text(VP8StatusCode code)
{
    static const char *const texts[] = {
        [VP8_STATUS_OK] = "no error",
        [VP8_STATUS_OUT_OF_MEMORY] = "out of memory",
        [VP8_STATUS_INVALID_PARAM] = "invalid parameter",
        [VP8_STATUS_BITSTREAM_ERROR] = "broken data",
        [VP8_STATUS_UNSUPPORTED_FEATURE] = "unsupported feature",
        [VP8_STATUS_SUSPENDED] = "the file ends too early",
        [VP8_STATUS_USER_ABORT] = "aborted",
        [VP8_STATUS_NOT_ENOUGH_DATA] = "the file ends too early",
    };
    return (size_t)code < sizeof texts / sizeof texts[0] ? texts[code] : "unknown error";
}

static gradcam_status fail_webp(VP8StatusCode code, gradcam_error *error)
{
    const gradcam_status status =
        code == VP8_STATUS_OUT_OF_MEMORY ? GRADCAM_ERROR_MEMORY : GRADCAM_ERROR_PICTURE;
    return gc_fail(error, status, "damaged WebP: %s", status_text(code));
}

static size_t read_le32(const uint8_t *p)
{
    return p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

/* Walks the RIFF chunks: a four-letter name, a size, the data, padded to an even length. */
static int find_orientation(const uint8_t *bytes, size_t size)
{
    for (size_t at = 12; at + 8 <= size;) {
        const size_t length = read_le32(bytes + at + 4);
        if (length > size - at - 8)
            break;
        if (memcmp(bytes + at, "EXIF", 4) == 0)
            return gc_exif_orientation(bytes + at + 8, length);
        at += 8 + length + (length & 1);
    }
    return 1;
}

static gradcam_status decode_into(uint8_t *pixels, int channels, const gc_picture *picture,
                                  const gc_picture_source *source, gradcam_error *error)
{
    WebPDecoderConfig config;
    GC_FAIL_IF(!WebPInitDecoderConfig(&config), error, GRADCAM_ERROR_INTERNAL,
               "libwebp is of another version than its header");
    config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = pixels;
    config.output.u.RGBA.stride = channels * picture->width;
    config.output.u.RGBA.size = (size_t)channels * picture->width * picture->height;
    const VP8StatusCode code = WebPDecode(source->bytes, source->size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? GRADCAM_OK : fail_webp(code, error);
}

static gradcam_status decode_alpha(const gc_picture *picture, const gc_picture_source *source,
                                   gradcam_error *error)
{
    const size_t count = (size_t)picture->width * picture->height;
    uint8_t *rgba = NULL;
    GC_TRY(gc_new_raw(&rgba, count, 4, error));
    const gradcam_status status = decode_into(rgba, 4, picture, source, error);
    for (size_t i = 0; status == GRADCAM_OK && i < count; i++)
        for (size_t c = 0; c < 3; c++)
            picture->rgb[3 * i + c] = gc_over_white(rgba[4 * i + c], rgba[4 * i + 3]);
    gc_free(rgba);
    return status;
}

static gradcam_status decode(gc_picture *picture, int *orientation, const gc_picture_source *source,
                             gradcam_error *error)
{
    WebPBitstreamFeatures features;
    const VP8StatusCode code = WebPGetFeatures(source->bytes, source->size, &features);
    if (code != VP8_STATUS_OK)
        return fail_webp(code, error);
    GC_FAIL_IF(features.has_animation, error, GRADCAM_ERROR_PICTURE,
               "an animated WebP; only still pictures can be explained");
    GC_TRY(gc_picture_alloc(picture, features.width, features.height, source->limits, error));
    *orientation = find_orientation(source->bytes, source->size);
    return features.has_alpha ? decode_alpha(picture, source, error)
                              : decode_into(picture->rgb, 3, picture, source, error);
}

const gc_decoder gc_decoder_webp = {.name = "WebP", .probe = probe, .decode = decode};
