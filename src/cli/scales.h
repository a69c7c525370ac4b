/* SPDX-License-Identifier: Apache-2.0 */
/* The shared scale: the largest raw value of all maps that a method made at a layer. */
#ifndef GC_CLI_SCALES_H
#define GC_CLI_SCALES_H

#include <stdbool.h>

#include "base/memory.h"

typedef struct gc_scale {
    char *key; /* method and layer */
    float largest;
} gc_scale;

typedef struct gc_scales {
    gc_scale *items;
    size_t count, capacity;
} gc_scales;

/** Takes the maps of an explanation into account; their absolute values with `is_signed`. */
gradcam_status gc_scales_add(gc_scales *scales, const gradcam_explanation *explanation,
                             bool is_signed, gradcam_error *error);

/** The scale for a map; 0 (its own) where no map of its kind has anything to show. */
float gc_scales_find(const gc_scales *scales, const gradcam_map *map);

void gc_scales_free(gc_scales *scales);

#endif
