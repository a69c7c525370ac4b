/* SPDX-License-Identifier: Apache-2.0 */
/* Checked allocation. Every heap block of the library comes from here (and, inside third-party
 * libraries, from their own allocators). */
#ifndef GC_BASE_MEMORY_H
#define GC_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/** *out = zeroed count * size bytes, 64-byte aligned; never NULL on success, even for 0 bytes.
 *  Overflow of the product counts as out of memory. Free with gc_free. */
gradcam_status gc_new(void *out, size_t count, size_t size, gradcam_error *error);

/** As gc_new, but the bytes are not set. For large buffers. */
gradcam_status gc_new_raw(void *out, size_t count, size_t size, gradcam_error *error);

/** Grows the array *items (elements of `size` bytes, *capacity of them) so that it holds at least
 *  `count`; new elements are zero. On failure the array is as before. */
gradcam_status gc_grow(void *items, size_t *capacity, size_t count, size_t size,
                       gradcam_error *error);

/** As memcpy and memset to zero, for large blocks: on all threads, since the first touch of a page
 *  costs more than the copy. */
void gc_copy_bytes(void *to, const void *from, size_t bytes);
void gc_clear_bytes(void *block, size_t bytes);

/** Accepts NULL. */
void gc_free(void *block);

/** a * b in *product; false on overflow. */
bool gc_multiply(size_t a, size_t b, size_t *product);

/*
 * An arena: many small blocks that live and die together (names, nodes, attributes).
 */
typedef struct gc_arena gc_arena;

gradcam_status gc_arena_create(gc_arena **arena, gradcam_error *error);
void gc_arena_destroy(gc_arena **arena);

/** *out = zeroed count * size bytes, aligned for any type. */
gradcam_status gc_arena_new(gc_arena *arena, void *out, size_t count, size_t size,
                            gradcam_error *error);

/** *out = a terminated copy of `length` bytes of `text`. */
gradcam_status gc_arena_string(gc_arena *arena, const char **out, const char *text, size_t length,
                               gradcam_error *error);

/** *out = a printf-formatted string. */
gradcam_status gc_arena_format(gc_arena *arena, const char **out, gradcam_error *error,
                               const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
