/* SPDX-License-Identifier: Apache-2.0 */
/* What a format has to provide. One const row per format, listed in picture.c. */
#ifndef GC_PICTURE_DECODE_H
#define GC_PICTURE_DECODE_H

#include <stdbool.h>

#include "picture/picture.h"

typedef struct gc_picture_source {
    const uint8_t *bytes;
    size_t size;
    const gradcam_limits *limits; /**< May be NULL. */
} gc_picture_source;

typedef struct gc_decoder {
    const char *name;
    bool (*probe)(const uint8_t *bytes, size_t size);
    /** Fills `picture` by way of gc_picture_alloc (the caller releases it on failure) and sets
     *  *orientation, which is 1 at first, where the file has one. */
    gradcam_status (*decode)(gc_picture *picture, int *orientation, const gc_picture_source *source,
                             gradcam_error *error);
} gc_decoder;

extern const gc_decoder gc_decoder_jpeg, gc_decoder_png, gc_decoder_webp, gc_decoder_tiff,
    gc_decoder_bmp;

/** value * alpha over white, rounded. */
static inline uint8_t gc_over_white(uint8_t value, uint8_t alpha)
{
    const unsigned t = value * (unsigned)alpha + 255u * (255u - alpha);
    return (uint8_t)((t + 127u) / 255u);
}

#endif
