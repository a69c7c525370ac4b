/* SPDX-License-Identifier: Apache-2.0 */
/* Writing pictures: PNG, JPEG, WebP, by the ending of the name. */
#ifndef GC_PICTURE_ENCODE_H
#define GC_PICTURE_ENCODE_H

#include "base/error.h"

/** How a format is written; one const row each. */
typedef struct gc_encoder gc_encoder;

/** Finds the format for a file name (case is ignored) before any work is done.
 *  GRADCAM_ERROR_ARGUMENT, listing the endings, for any other. */
gradcam_status gc_encoder_find(const gc_encoder **encoder, const char *path, gradcam_error *error);

/** Names of the formats that can be written, as in "PNG, JPEG". */
void gc_picture_write_formats(char *text, size_t size);

/**
 * Encodes a picture to memory.
 *
 * @param rgb height x width x 3.
 * @param quality 1 to 100 (clamped) for JPEG and WebP.
 * @param bytes receives `*size` bytes, to be released with gc_free; NULL on failure.
 * @return GRADCAM_OK; GRADCAM_ERROR_LIMIT (too large for the format), _MEMORY, _INTERNAL.
 */
gradcam_status gc_picture_encode(const gc_encoder *encoder, const uint8_t *rgb, int width,
                                 int height, int quality, uint8_t **bytes, size_t *size,
                                 gradcam_error *error);

/** Encodes by the ending of `path` and writes the file, whole or not at all. Errors of the three
 *  functions above and of gc_file_write. */
gradcam_status gc_picture_write(const char *path, const uint8_t *rgb, int width, int height,
                                int quality, gradcam_error *error);

#endif
