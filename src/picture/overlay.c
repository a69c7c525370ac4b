/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/overlay.h"

#include <string.h>

enum { PARALLEL_PIXELS = 65536, PART = 256 };

/* As lrintf of values from 0 to 255, for loops that are to become vectors: above 2^23 floats have
 * no fraction left, so adding rounds. */
static inline uint8_t rounded(float value)
{
    const float shifted = value + 12582912.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (uint8_t)bits;
}

/* `count` bytes of the picture mixed with as many of the heat. */
static void mix(const uint8_t *restrict rgb, const uint8_t *restrict heat, int64_t count,
                float picture_share, float heat_share, uint8_t *restrict out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = rounded(picture_share * rgb[i] + heat_share * heat[i]);
}

/* The colours of up to PART places. */
static void gather_heat(const float *map, const gc_colormap *colormap, int64_t count, uint8_t *heat)
{
    uint8_t index[PART];
    for (int64_t i = 0; i < count; i++)
        index[i] = (uint8_t)gc_colormap_index(map[i]);
    for (int64_t i = 0; i < count; i++)
        memcpy(heat + 3 * i, colormap->rgb[index[i]], 3);
}

void gc_overlay(const uint8_t *rgb, int width, int height, const float *map, const uint8_t *seen,
                const gc_colormap *colormap, float alpha, uint8_t *out)
{
    const int64_t count = (int64_t)width * height;
    const float heat_share = !(alpha > 0.0f) ? 0.0f : alpha < 1.0f ? alpha : 1.0f;
    const float picture_share = 1.0f - heat_share;
#pragma omp parallel for schedule(static) if (count > PARALLEL_PIXELS)
    for (int64_t start = 0; start < count; start += PART) {
        uint8_t heat[3 * PART], kept[3 * PART]; /* `out` may be `rgb` */
        const int64_t part = count - start < PART ? count - start : PART;
        memcpy(kept, rgb + 3 * start, 3 * (size_t)part);
        gather_heat(map + start, colormap, part, heat);
        mix(kept, heat, 3 * part, picture_share, heat_share, out + 3 * start);
        for (int64_t i = 0; seen != NULL && i < part; i++)
            if (!seen[start + i])
                memcpy(out + 3 * (start + i), kept + 3 * i, 3);
    }
}

void gc_heatmap(int width, int height, const float *map, const gc_colormap *colormap, uint8_t *out)
{
    const int64_t count = (int64_t)width * height;
#pragma omp parallel for schedule(static) if (count > PARALLEL_PIXELS)
    for (int64_t i = 0; i < count; i++)
        memcpy(out + 3 * i, gc_colormap_at(colormap, map[i]), 3);
}
