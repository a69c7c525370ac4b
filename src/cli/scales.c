/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/scales.h"

#include <math.h>
#include <string.h>

static bool is_key(const char *key, const gradcam_map *map)
{
    const size_t length = strlen(map->method);
    return strncmp(key, map->method, length) == 0 && key[length] == '\n' &&
           strcmp(key + length + 1, map->layer.name) == 0;
}

static gc_scale *find(const gc_scales *scales, const gradcam_map *map)
{
    for (size_t i = 0; i < scales->count; i++)
        if (is_key(scales->items[i].key, map))
            return &scales->items[i];
    return NULL;
}

static gradcam_status add_key(gc_scales *scales, const gradcam_map *map, gradcam_error *error)
{
    const size_t method = strlen(map->method), layer = strlen(map->layer.name);
    char *key = NULL;
    GC_TRY(gc_grow(&scales->items, &scales->capacity, scales->count + 1, sizeof *scales->items,
                   error));
    GC_TRY(gc_new(&key, method + layer + 2, 1, error));
    memcpy(key, map->method, method);
    key[method] = '\n';
    memcpy(key + method + 1, map->layer.name, layer);
    scales->items[scales->count++] = (gc_scale){key, 0.0f};
    return GRADCAM_OK;
}

gradcam_status gc_scales_add(gc_scales *scales, const gradcam_explanation *explanation,
                             bool is_signed, gradcam_error *error)
{
    const gradcam_map *map = NULL;
    for (size_t i = 0; (map = gradcam_explanation_map(explanation, i)) != NULL; i++) {
        if (map->state == GRADCAM_MAP_NOT_FINITE)
            continue;
        if (find(scales, map) == NULL)
            GC_TRY(add_key(scales, map, error));
        gc_scale *const scale = find(scales, map);
        scale->largest = fmaxf(scale->largest, map->maximum);
        if (is_signed)
            scale->largest = fmaxf(scale->largest, -map->minimum);
    }
    return GRADCAM_OK;
}

float gc_scales_find(const gc_scales *scales, const gradcam_map *map)
{
    const gc_scale *const scale = find(scales, map);
    return scale != NULL ? scale->largest : 0.0f;
}

void gc_scales_free(gc_scales *scales)
{
    for (size_t i = 0; i < scales->count; i++)
        gc_free(scales->items[i].key);
    gc_free(scales->items);
    *scales = (gc_scales){0};
}
