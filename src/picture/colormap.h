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

/** Of the colour of a value: trunc(255 * value), NaN as 0. Without branches. */
static inline int gc_colormap_index(float value)
{
    const float positive = value > 0.0f ? value : 0.0f;
    return (int)(255.0f * (positive < 1.0f ? positive : 1.0f));
}

/** The colour of a value in [0, 1]: entry trunc(255 * value); values outside, and NaN, are taken to
 *  the nearest end, NaN to the cold one. */
static inline const uint8_t *gc_colormap_at(const gc_colormap *colormap, float value)
{
    return colormap->rgb[gc_colormap_index(value)];
}

#endif
