/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <string.h>
#include <sys/random.h>

#include "base/memory.h"

typedef struct entry {
    const char *key; /* NULL: free */
    int value;
} entry;

/* `size` is a power of two and at least twice `used`, so that probing ends. */
struct gc_map {
    entry *entries;
    size_t size, used;
    uint64_t secret[2];
};

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, 2012) with a secret: names come from files, and whoever
 * could choose names of equal hash would make every look-up a walk over all of them. */
static size_t hash(const uint64_t secret[2], const char *key)
{
    uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575u, secret[1] ^ 0x646f72616e646f6du,
                     secret[0] ^ 0x6c7967656e657261u, secret[1] ^ 0x7465646279746573u};
    const size_t length = strlen(key);
    for (size_t at = 0; at <= length; at += 8) {
        uint64_t word = 0;
        memcpy(&word, key + at, length - at < 8 ? length - at : 8);
        if (length - at < 8)
            word |= (uint64_t)length << 56;
        v[3] ^= word;
        mix(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        mix(v);
    return (size_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

static entry *find(const gc_map *map, entry *entries, size_t size, const char *key)
{
    size_t i = hash(map->secret, key) & (size - 1);
    while (entries[i].key != NULL && strcmp(entries[i].key, key) != 0)
        i = (i + 1) & (size - 1);
    return &entries[i];
}

gradcam_status gc_map_create(gc_map **map, gradcam_error *error)
{
    GC_TRY(gc_new(map, 1, sizeof **map, error));
    (*map)->size = 64;
    /* Early in a boot there may be nothing random yet; then the address of the map has to do. */
    if (getrandom((*map)->secret, sizeof(*map)->secret, GRND_NONBLOCK) < 0)
        (*map)->secret[0] = (uint64_t)(uintptr_t)*map;
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
            *find(map, larger, map->size * 2, map->entries[i].key) = map->entries[i];
    gc_free(map->entries);
    map->entries = larger;
    map->size *= 2;
    return GRADCAM_OK;
}

gradcam_status gc_map_set(gc_map *map, const char *key, int value, gradcam_error *error)
{
    if (map->used * 2 >= map->size)
        GC_TRY(double_size(map, error));
    entry *const e = find(map, map->entries, map->size, key);
    map->used += e->key == NULL;
    *e = (entry){key, value};
    return GRADCAM_OK;
}

int gc_map_get(const gc_map *map, const char *key, int missing)
{
    const entry *const e = find(map, map->entries, map->size, key);
    return e->key != NULL ? e->value : missing;
}
