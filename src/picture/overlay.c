/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/overlay.h"

#include <math.h>
#include <string.h>

enum { PARALLEL_PIXELS = 65536 };

void gc_overlay(const uint8_t *rgb, int width, int height, const float *map, const uint8_t *seen,
                const gc_colormap *colormap, float alpha, uint8_t *out)
{
    const int64_t count = (int64_t)width * height;
    const float heat_share = !(alpha > 0.0f) ? 0.0f : alpha < 1.0f ? alpha : 1.0f;
    const float picture_share = 1.0f - heat_share;
#pragma omp parallel for schedule(static) if (count > PARALLEL_PIXELS)
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *const heat = gc_colormap_at(colormap, map[i]);
        for (int64_t c = 3 * i; c < 3 * i + 3; c++)
            out[c] = seen != NULL && !seen[i]
                         ? rgb[c]
                         : (uint8_t)lrintf(picture_share * rgb[c] + heat_share * heat[c - 3 * i]);
    }
}

void gc_heatmap(int width, int height, const float *map, const gc_colormap *colormap, uint8_t *out)
{
    const int64_t count = (int64_t)width * height;
#pragma omp parallel for schedule(static) if (count > PARALLEL_PIXELS)
    for (int64_t i = 0; i < count; i++)
        memcpy(out + 3 * i, gc_colormap_at(colormap, map[i]), 3);
}
