/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <string.h>

#include "base/memory.h"

typedef struct entry {
    const char *key; /* NULL: free */
    int value;
} entry;

/* `size` is a power of two and at least twice `used`, so that probing ends. */
struct gc_map {
    entry *entries;
    size_t size, used;
};

/* FNV-1a. */
static size_t hash(const char *key)
{
    uint64_t h = 14695981039346656037u;
    for (; *key != '\0'; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211u;
    return (size_t)(h ^ (h >> 32));
}

static entry *find(entry *entries, size_t size, const char *key)
{
    size_t i = hash(key) & (size - 1);
    while (entries[i].key != NULL && strcmp(entries[i].key, key) != 0)
        i = (i + 1) & (size - 1);
    return &entries[i];
}

gradcam_status gc_map_create(gc_map **map, gradcam_error *error)
{
    GC_TRY(gc_new(map, 1, sizeof **map, error));
    (*map)->size = 64;
    const gradcam_status status =
        gc_new(&(*map)->entries, (*map)->size, sizeof *(*map)->entries, error);
    if (status != GRADCAM_OK)
        gc_map_destroy(map);
    return status;
}

void gc_map_destroy(gc_map **map)
{
    if (map == NULL || *map == NULL)
        return;
    gc_free((*map)->entries);
    gc_free(*map);
    *map = NULL;
}

static gradcam_status double_size(gc_map *map, gradcam_error *error)
{
    entry *larger = NULL;
    GC_TRY(gc_new(&larger, map->size * 2, sizeof *larger, error));
    for (size_t i = 0; i < map->size; i++)
        if (map->entries[i].key != NULL)
            *find(larger, map->size * 2, map->entries[i].key) = map->entries[i];
    gc_free(map->entries);
    map->entries = larger;
    map->size *= 2;
    return GRADCAM_OK;
}

gradcam_status gc_map_set(gc_map *map, const char *key, int value, gradcam_error *error)
{
    if (map->used * 2 >= map->size)
        GC_TRY(double_size(map, error));
    entry *const e = find(map->entries, map->size, key);
    map->used += e->key == NULL;
    *e = (entry){key, value};
    return GRADCAM_OK;
}

int gc_map_get(const gc_map *map, const char *key, int missing)
{
    const entry *const e = find(map->entries, map->size, key);
    return e->key != NULL ? e->value : missing;
}
