/* SPDX-License-Identifier: Apache-2.0 */
/* Colour maps: 256 colours from cold to hot. "jet" and its like are OpenCV's, not Matplotlib's. */
#ifndef GC_PICTURE_COLORMAP_H
#define GC_PICTURE_COLORMAP_H

#include "base/error.h"

typedef struct gc_colormap {
    const char *name;
    uint8_t rgb[256][3];
} gc_colormap;

/**
 * @param name NULL for the default, "jet".
 * @return GRADCAM_OK; GRADCAM_ERROR_ARGUMENT listing the names.
 */
gradcam_status gc_colormap_find(const gc_colormap **colormap, const char *name,
                                gradcam_error *error);

/** NULL-terminated array of names, the default first. */
const char *const *gc_colormap_names(void);

/** The colour of a value in [0, 1]: entry trunc(255 * value); values outside, and NaN, are taken to
 *  the nearest end, NaN to the cold one. */
static inline const uint8_t *gc_colormap_at(const gc_colormap *colormap, float value)
{
    const int index = !(value > 0.0f) ? 0 : value >= 1.0f ? 255 : (int)(255.0f * value);
    return colormap->rgb[index];
}

#endif
