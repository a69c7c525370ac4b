/* SPDX-License-Identifier: Apache-2.0 */
/* Encoded overlays and heat maps of one picture, made before they are to be written: the work of
 * rendering and encoding is a worker's, names and files are the caller's thread's. */
#ifndef GC_CLI_IMAGES_H
#define GC_CLI_IMAGES_H

#include "cli/command.h"
#include "cli/scales.h"

typedef struct gc_images {
    struct gc_image *items; /* by map and kind */
    size_t count;
} gc_images;

/** How a map is rendered; `scales` has the shared one. */
gradcam_render_options gc_images_options(const gc_settings *settings, const gc_scales *scales,
                                         const gradcam_map *map);

/** Encodes what `settings` ask for, as PNG. What cannot be encoded, or would take too much memory
 *  beside the rest, is left out. */
void gc_images_make(gc_images *images, gradcam_explanation *explanation,
                    const gc_settings *settings, const gc_scales *scales);

/** Writes an overlay or heat map to `path`; *is_written is false where it is not there as PNG. */
gradcam_status gc_images_write(const gc_images *images, size_t map, gradcam_output output,
                               const char *path, bool *is_written, gradcam_error *error);

void gc_images_free(gc_images *images);

#endif
