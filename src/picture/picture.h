/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pictures: RGB, 8 bits a channel, rows from the top, no padding, EXIF orientation already applied.
 *
 * Files are recognised by their content, never by their name. Transparent pixels are blended over
 * white. 16-bit channels keep their high byte, as libpng and Pillow do. CMYK JPEGs are taken to be
 * inverted, as Adobe writes them and as Pillow and OpenCV read them. Colour profiles are ignored.
 */
#ifndef GC_PICTURE_PICTURE_H
#define GC_PICTURE_PICTURE_H

#include <stdint.h>

#include "base/error.h"

typedef struct gc_picture {
    int width, height;
    uint8_t *rgb; /**< height x width x 3, owned; NULL in an empty picture. */
} gc_picture;

/** Of pictures; beside the limits of gradcam_limits. */
enum { GC_MAX_EDGE = 1000000 };

/**
 * Reads a picture file.
 *
 * @param picture receives the pixels; to be released with gc_picture_free. Empty on failure.
 * @param limits NULL for the defaults; checked before anything is allocated.
 * @return GRADCAM_OK; GRADCAM_ERROR_FILE, _PICTURE (no known format, damaged or incomplete: half a
 *         picture is an error, not grey), _LIMIT (with the figure), _MEMORY.
 */
gradcam_status gc_picture_read(gc_picture *picture, const char *path, const gradcam_limits *limits,
                               gradcam_error *error);

/** As gc_picture_read, for `size` bytes in memory, which are only read. */
gradcam_status gc_picture_decode(gc_picture *picture, const void *bytes, size_t size,
                                 const gradcam_limits *limits, gradcam_error *error);

/** Names of the formats that can be read, as in "JPEG, PNG". */
void gc_picture_read_formats(char *text, size_t size);

/** *picture = width x height pixels, not set. GRADCAM_ERROR_LIMIT where `limits` forbid it,
 *  GRADCAM_ERROR_PICTURE for an extent below 1. */
gradcam_status gc_picture_alloc(gc_picture *picture, int64_t width, int64_t height,
                                const gradcam_limits *limits, gradcam_error *error);

/** Releases the pixels and empties the picture. Accepts NULL and empty pictures. */
void gc_picture_free(gc_picture *picture);

/** Turns and mirrors the picture as an EXIF orientation from 1 to 8 asks for; other values mean 1.
 */
gradcam_status gc_picture_orient(gc_picture *picture, int orientation, gradcam_error *error);

/** The orientation in an EXIF block (with or without its "Exif" mark); 1 where there is none or
 *  where the block is damaged. */
int gc_exif_orientation(const uint8_t *exif, size_t size);

/** ITU-R 601-2 luma of a pixel, in the fixed point that Pillow uses for mode "L". */
static inline uint8_t gc_luma(const uint8_t *rgb)
{
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

#endif
