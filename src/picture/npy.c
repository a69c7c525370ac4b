/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file is the magic, two version bytes, the header's length (2 bytes in version 1, else 4), the
 * header (a Python dictionary with descr, fortran_order and shape, blanks, a newline), the data.
 */
#include "picture/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "picture/file.h"

#define MAGIC "\x93NUMPY"
enum { MAGIC_SIZE = 6, HEADER_ALIGNMENT = 64 };

void gc_array_free(gc_array *array)
{
    if (array == NULL)
        return;
    gc_free(array->data);
    gc_free(array->numbers);
    *array = (gc_array){0};
}

/* ---- The dictionary ------------------------------------------------------------------------ */

/* A cursor over the header, which is not terminated. */
typedef struct cursor {
    const char *at, *end;
} cursor;

typedef struct header {
    char descr[16];
    bool is_fortran, has_descr, has_order, has_shape;
    gc_array *array;
} header;

static char peek(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n'))
        c->at++;
    return c->at < c->end ? *c->at : '\0';
}

static bool take(cursor *c, char wanted)
{
    if (peek(c) != wanted)
        return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word)
{
    const size_t length = strlen(word);
    peek(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

static bool take_string(cursor *c, char text[16])
{
    const char quote = peek(c);
    size_t length = 0;
    if (quote != '\'' && quote != '"')
        return false;
    for (c->at++; c->at < c->end && *c->at != quote && length < 15; c->at++)
        text[length++] = *c->at;
    text[length] = '\0';
    return c->at < c->end && *c->at++ == quote;
}

static bool take_extent(cursor *c, int64_t *extent)
{
    *extent = 0;
    if (peek(c) < '0' || peek(c) > '9')
        return false;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(*extent, (int64_t)10, extent) ||
            __builtin_add_overflow(*extent, (int64_t)(*c->at - '0'), extent))
            return false;
    return true;
}

/* "()", "(3,)", "(1, 3, 224, 224)" */
static bool take_shape(cursor *c, gc_array *array)
{
    array->rank = 0;
    if (!take(c, '('))
        return false;
    while (!take(c, ')')) {
        if (array->rank == GC_NPY_MAX_RANK || !take_extent(c, &array->dims[array->rank]))
            return false;
        array->rank++;
        if (!take(c, ',') && peek(c) != ')')
            return false;
    }
    return true;
}

static bool take_bool(cursor *c, bool *value)
{
    *value = take_word(c, "True");
    return *value || take_word(c, "False");
}

static bool take_entry(cursor *c, header *h)
{
    char key[16];
    if (!take_string(c, key) || !take(c, ':'))
        return false;
    if (strcmp(key, "descr") == 0)
        return h->has_descr = take_string(c, h->descr);
    if (strcmp(key, "fortran_order") == 0)
        return h->has_order = take_bool(c, &h->is_fortran);
    if (strcmp(key, "shape") == 0)
        return h->has_shape = take_shape(c, h->array);
    return false;
}

static bool take_header(cursor *c, header *h)
{
    if (!take(c, '{'))
        return false;
    while (!take(c, '}'))
        if (!take_entry(c, h) || (!take(c, ',') && peek(c) != '}'))
            return false;
    return peek(c) == '\0' && c->at == c->end && h->has_descr && h->has_order && h->has_shape;
}

/* ---- The data ------------------------------------------------------------------------------ */

typedef struct element_type {
    const char *descr; /* little endian */
    char kind;         /* f, i (signed), u (unsigned, and booleans) */
    size_t size;
} element_type;

/* One byte has no order: "|u1", and NumPy also accepts "<u1". */
static const element_type *find_type(const char *descr)
{
    static const element_type types[] = {
        {"<f4", 'f', 4}, {"<f8", 'f', 8}, {"|u1", 'u', 1}, {"<u1", 'u', 1}, {"|b1", 'u', 1},
        {"|i1", 'i', 1}, {"<i1", 'i', 1}, {"<i2", 'i', 2}, {"<i4", 'i', 4}, {"<i8", 'i', 8}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(descr, types[i].descr) == 0)
            return &types[i];
    return NULL;
}

static double convert_one(const uint8_t *from, const element_type *type)
{
    double number = 0.0;
    float single = 0.0f;
    uint64_t bits = 0;
    for (size_t i = 0; i < type->size; i++)
        bits |= (uint64_t)from[i] << (8 * i);
    if (type->kind == 'f' && type->size == sizeof single) {
        memcpy(&single, from, sizeof single);
        return (double)single;
    }
    if (type->kind == 'f') {
        memcpy(&number, &bits, sizeof number);
        return number;
    }
    const uint64_t sign = (uint64_t)1 << (8 * type->size - 1);
    if (type->kind == 'i' && (bits & sign) != 0)
        return -(double)(sign - (bits & (sign - 1)));
    return (double)bits;
}

static gradcam_status convert(gc_array *array, const uint8_t *from, const element_type *type,
                              size_t count, gradcam_error *error)
{
    GC_TRY(gc_new_raw(&array->data, count, sizeof *array->data, error));
    if (type->kind == 'f' && type->size == sizeof *array->data && count > 0)
        memcpy(array->data, from, count * sizeof *array->data);
    else
        for (size_t i = 0; i < count; i++)
            array->data[i] = (float)convert_one(from + i * type->size, type);
    return GRADCAM_OK;
}

static gradcam_status convert_to_numbers(gc_array *array, const uint8_t *from,
                                         const element_type *type, size_t count,
                                         gradcam_error *error)
{
    GC_TRY(gc_new_raw(&array->numbers, count, sizeof *array->numbers, error));
    for (size_t i = 0; i < count; i++)
        array->numbers[i] = convert_one(from + i * type->size, type);
    return GRADCAM_OK;
}

static gradcam_status read_data(gc_array *array, bool as_numbers, const char *descr,
                                const uint8_t *bytes, size_t size, gradcam_error *error)
{
    const element_type *const type = find_type(descr);
    size_t count = 1, needed = 0;
    GC_FAIL_IF(type == NULL, error, GRADCAM_ERROR_FILE,
               "a .npy file of type '%s'; can be read: '<f4', '<f8', '|u1', '|b1', '|i1', '<i2', "
               "'<i4', '<i8'",
               descr);
    for (int i = 0; i < array->rank; i++)
        GC_FAIL_IF(!gc_multiply(count, (size_t)array->dims[i], &count), error, GRADCAM_ERROR_FILE,
                   "damaged .npy file: its shape is too large");
    GC_FAIL_IF(!gc_multiply(count, type->size, &needed) || needed != size, error,
               GRADCAM_ERROR_FILE,
               "damaged .npy file: %zu elements of %zu bytes are announced, %zu bytes are there",
               count, type->size, size);
    return (as_numbers ? convert_to_numbers : convert)(array, bytes, type, count, error);
}

/* Finds the header; *start is the offset of the data. */
static gradcam_status find_header(const uint8_t *b, size_t size, cursor *c, size_t *start,
                                  gradcam_error *error)
{
    GC_FAIL_IF(size < 10 || memcmp(b, MAGIC, MAGIC_SIZE) != 0, error, GRADCAM_ERROR_FILE,
               "not a .npy file");
    GC_FAIL_IF(b[6] < 1 || b[6] > 3 || b[7] != 0, error, GRADCAM_ERROR_FILE,
               "a .npy file of version %d.%d; known are 1.0, 2.0, 3.0", b[6], b[7]);
    const size_t prefix = b[6] == 1 ? 10 : 12;
    size_t length = b[8] | (size_t)b[9] << 8;
    if (prefix == 12)
        length = size < 12 ? size : length | (size_t)b[10] << 16 | (size_t)b[11] << 24;
    GC_FAIL_IF(size < prefix || length > size - prefix, error, GRADCAM_ERROR_FILE,
               "damaged .npy file: it ends inside the header");
    *c = (cursor){(const char *)b + prefix, (const char *)b + prefix + length};
    *start = prefix + length;
    return GRADCAM_OK;
}

static gradcam_status decode(gc_array *array, bool as_numbers, const void *bytes, size_t size,
                             gradcam_error *error)
{
    cursor c = {NULL, NULL};
    size_t start = 0;
    gc_array result = {0};
    header h = {.array = &result};
    *array = (gc_array){0};
    GC_TRY(find_header(bytes, size, &c, &start, error));
    GC_FAIL_IF(!take_header(&c, &h), error, GRADCAM_ERROR_FILE,
               "damaged .npy file: the header is not understood, or has more than %d dimensions",
               (int)GC_NPY_MAX_RANK);
    GC_FAIL_IF(h.is_fortran && result.rank > 1, error, GRADCAM_ERROR_FILE,
               "a column-major .npy file; save it with numpy.ascontiguousarray");
    GC_TRY(read_data(&result, as_numbers, h.descr, (const uint8_t *)bytes + start, size - start,
                     error));
    *array = result;
    return GRADCAM_OK;
}

gradcam_status gc_npy_decode(gc_array *array, const void *bytes, size_t size, gradcam_error *error)
{
    return decode(array, false, bytes, size, error);
}

static gradcam_status read(gc_array *array, bool as_numbers, const char *path,
                           const gradcam_limits *limits, gradcam_error *error)
{
    void *bytes = NULL;
    size_t size = 0;
    *array = (gc_array){0};
    GC_TRY(gc_file_read(path, gc_limit_array(limits), &bytes, &size, error));
    const gradcam_status status = decode(array, as_numbers, bytes, size, error);
    gc_free(bytes);
    return status == GRADCAM_OK ? status : gc_fail_context(error, status, "%s: ", path);
}

gradcam_status gc_npy_read(gc_array *array, const char *path, const gradcam_limits *limits,
                           gradcam_error *error)
{
    return read(array, false, path, limits, error);
}

gradcam_status gc_npy_read_numbers(gc_array *array, const char *path, const gradcam_limits *limits,
                                   gradcam_error *error)
{
    return read(array, true, path, limits, error);
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* Header text with blanks up to a multiple of 64 bytes from the start of the file; its length. */
static size_t format_header(char text[512], int rank, const int64_t *dims)
{
    int used = snprintf(text, 512, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++)
        used += snprintf(text + used, 512 - (size_t)used, "%" PRId64 "%s", dims[i],
                         rank == 1      ? ","
                         : i + 1 < rank ? ", "
                                        : "");
    used += snprintf(text + used, 512 - (size_t)used, "), }");
    while ((10 + used + 1) % HEADER_ALIGNMENT != 0)
        text[used++] = ' ';
    text[used++] = '\n';
    return (size_t)used;
}

gradcam_status gc_npy_write(const char *path, int rank, const int64_t *dims, const float *data,
                            gradcam_error *error)
{
    char text[512];
    uint8_t *bytes = NULL;
    size_t count = 1;
    GC_FAIL_IF(rank < 0 || rank > GC_NPY_MAX_RANK, error, GRADCAM_ERROR_ARGUMENT,
               "an array of %d dimensions cannot be written", rank);
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    const size_t length = format_header(text, rank, dims), start = 10 + length;
    GC_TRY(gc_new_raw(&bytes, start + 4 * count, 1, error));
    memcpy(bytes, MAGIC "\x01\x00", 8);
    bytes[8] = (uint8_t)(length & 0xff);
    bytes[9] = (uint8_t)(length >> 8);
    memcpy(bytes + 10, text, length);
    if (count > 0)
        memcpy(bytes + start, data, 4 * count);
    const gradcam_status status = gc_file_write(path, bytes, start + 4 * count, error);
    gc_free(bytes);
    return status;
}
