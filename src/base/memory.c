/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* One cache line, and the width of an AVX-512 register. */
enum { ALIGNMENT = 64, CHUNK_SIZE = 64 * 1024 };

/* Weights and activations are many small pages, each of which costs a fault when it is first
 * touched and a slot of the TLB after that. */
#define HUGE_PAGE ((size_t)2 << 20)

/* What a thread copies or clears at once. */
#define PIECE ((size_t)64 << 10)

bool gc_multiply(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

gradcam_status gc_new_raw(void *out, size_t count, size_t size, gradcam_error *error)
{
    void **const block = out;
    *block = NULL;
    size_t bytes = 0;
    if (!gc_multiply(count, size, &bytes) || bytes > SIZE_MAX - HUGE_PAGE)
        return gc_fail_memory(error, SIZE_MAX);
    const size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : ALIGNMENT;
    /* C11 wants whole multiples, and the sanitizers insist. What is added stays untouched. */
    const size_t rounded = bytes == 0 ? ALIGNMENT : (bytes + alignment - 1) / alignment * alignment;
    *block = aligned_alloc(alignment, rounded);
    if (*block == NULL)
        return gc_fail_memory(error, bytes);
    /* Only a hint. Whole huge pages: what lies behind the last one is others' memory. */
    if (bytes >= HUGE_PAGE)
        (void)madvise(*block, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return GRADCAM_OK;
}

gradcam_status gc_new(void *out, size_t count, size_t size, gradcam_error *error)
{
    GC_TRY(gc_new_raw(out, count, size, error));
    void *const block = *(void **)out;
    memset(block, 0, count * size);
    return GRADCAM_OK;
}

static size_t piece_count(size_t bytes)
{
    return (bytes + PIECE - 1) / PIECE;
}

static size_t piece_size(size_t bytes, size_t piece)
{
    return bytes - piece * PIECE < PIECE ? bytes - piece * PIECE : PIECE;
}

void gc_copy_bytes(void *to, const void *from, size_t bytes)
{
    const size_t pieces = piece_count(bytes);
#pragma omp parallel for schedule(static) if (pieces > 1)
    for (size_t i = 0; i < pieces; i++)
        memcpy((char *)to + i * PIECE, (const char *)from + i * PIECE, piece_size(bytes, i));
}

void gc_clear_bytes(void *block, size_t bytes)
{
    const size_t pieces = piece_count(bytes);
#pragma omp parallel for schedule(static) if (pieces > 1)
    for (size_t i = 0; i < pieces; i++)
        memset((char *)block + i * PIECE, 0, piece_size(bytes, i));
}

gradcam_status gc_grow(void *items, size_t *capacity, size_t count, size_t size,
                       gradcam_error *error)
{
    if (count <= *capacity)
        return GRADCAM_OK;
    size_t wanted = *capacity < 8 ? 8 : *capacity * 2;
    if (wanted < count)
        wanted = count;
    void *grown = NULL;
    GC_TRY(gc_new(&grown, wanted, size, error));
    void **const array = items;
    if (*array != NULL)
        memcpy(grown, *array, *capacity * size);
    gc_free(*array);
    *array = grown;
    *capacity = wanted;
    return GRADCAM_OK;
}

void gc_free(void *block)
{
    free(block);
}

/* The data of a chunk follows its header. */
typedef struct chunk {
    struct chunk *next;
    size_t used, size;
} chunk;

enum { HEADER = (sizeof(chunk) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT };

struct gc_arena {
    chunk *chunks;
    gc_budget *budget;        /* NULL: none */
    uint64_t bytes, budgeted; /* of all chunks; of those that the budget counts */
};

/* What every model needs is not worth counting. */
enum { FREE_BYTES = 16 << 20 };

gradcam_status gc_arena_create(gc_arena **arena, gradcam_error *error)
{
    return gc_new(arena, 1, sizeof **arena, error);
}

void gc_arena_destroy(gc_arena **arena)
{
    if (arena == NULL || *arena == NULL)
        return;
    for (chunk *c = (*arena)->chunks; c != NULL;) {
        chunk *const next = c->next;
        gc_free(c);
        c = next;
    }
    gc_budget_give((*arena)->budget, (*arena)->budgeted);
    gc_free(*arena);
    *arena = NULL;
}

void gc_arena_charge(gc_arena *arena, gc_budget *budget)
{
    arena->budget = budget;
}

static gradcam_status take(gc_arena *arena, uint64_t bytes, gradcam_error *error)
{
    if (arena->bytes + bytes > FREE_BYTES) {
        GC_TRY(gc_budget_take(arena->budget, bytes, "names and nodes", error));
        arena->budgeted += arena->budget != NULL ? bytes : 0;
    }
    arena->bytes += bytes;
    return GRADCAM_OK;
}

static gradcam_status arena_add_chunk(gc_arena *arena, size_t bytes, gradcam_error *error)
{
    chunk *c = NULL;
    const size_t size = bytes > CHUNK_SIZE ? bytes : CHUNK_SIZE;
    GC_TRY(take(arena, size, error));
    GC_TRY(gc_new_raw(&c, 1, HEADER + size, error));
    *c = (chunk){.next = arena->chunks, .used = 0, .size = size};
    arena->chunks = c;
    return GRADCAM_OK;
}

gradcam_status gc_arena_new(gc_arena *arena, void *out, size_t count, size_t size,
                            gradcam_error *error)
{
    void **const block = out;
    size_t bytes = 0;
    *block = NULL;
    if (!gc_multiply(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return gc_fail_memory(error, SIZE_MAX);
    const size_t unit = _Alignof(max_align_t);
    bytes = (bytes + unit - 1) / unit * unit;
    if (arena->chunks == NULL || arena->chunks->size - arena->chunks->used < bytes)
        GC_TRY(arena_add_chunk(arena, bytes, error));
    chunk *const c = arena->chunks;
    *block = (char *)c + HEADER + c->used;
    c->used += bytes;
    memset(*block, 0, bytes);
    return GRADCAM_OK;
}

gradcam_status gc_arena_string(gc_arena *arena, const char **out, const char *text, size_t length,
                               gradcam_error *error)
{
    char *copy = NULL;
    GC_TRY(gc_arena_new(arena, &copy, length + 1, 1, error));
    if (length > 0)
        memcpy(copy, text, length);
    *out = copy;
    return GRADCAM_OK;
}

gradcam_status gc_arena_format(gc_arena *arena, const char **out, gradcam_error *error,
                               const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const size_t kept = length < 0                     ? 0
                        : (size_t)length < sizeof text ? (size_t)length
                                                       : sizeof text - 1;
    return gc_arena_string(arena, out, text, kept, error);
}
