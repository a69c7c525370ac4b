/* SPDX-License-Identifier: Apache-2.0 */
/* Heat on a picture. */
#ifndef GC_PICTURE_OVERLAY_H
#define GC_PICTURE_OVERLAY_H

#include "picture/colormap.h"

/**
 * out = round((1 - alpha) * rgb + alpha * heat), halves to even; where the network saw nothing, the
 * picture stays as it is.
 *
 * @param rgb height x width x 3.
 * @param map height x width, values in [0, 1].
 * @param seen height x width, 0 where the map says nothing; NULL: seen everywhere.
 * @param alpha share of the heat, clamped to [0, 1].
 * @param out height x width x 3; may be `rgb`.
 */
void gc_overlay(const uint8_t *rgb, int width, int height, const float *map, const uint8_t *seen,
                const gc_colormap *colormap, float alpha, uint8_t *out);

/** The coloured map alone; unseen pixels get the cold end. */
void gc_heatmap(int width, int height, const float *map, const gc_colormap *colormap, uint8_t *out);

#endif
