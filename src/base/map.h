/* SPDX-License-Identifier: Apache-2.0 */
/* A map from names to integers (open addressing). Keys are borrowed: they must outlive the map. */
#ifndef GC_BASE_MAP_H
#define GC_BASE_MAP_H

#include "base/error.h"

typedef struct gc_map gc_map;

gradcam_status gc_map_create(gc_map **map, gradcam_error *error);
void gc_map_destroy(gc_map **map);

/** Adds a key or replaces its value. */
gradcam_status gc_map_set(gc_map *map, const char *key, int value, gradcam_error *error);

/** The value, or `missing`. */
int gc_map_get(const gc_map *map, const char *key, int missing);

#endif
