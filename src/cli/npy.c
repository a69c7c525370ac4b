/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A .npy file: "\x93NUMPY", major, minor, the length of the header (2 bytes little-endian in
 * version 1, else 4), the header (a Python dict: {'descr': '<f4', 'fortran_order': False, 'shape':
 * (1, 3, 224, 224), }), and the values.
 */
#include "cli/npy.h"

#include <stdlib.h>
#include <string.h>

#include "picture/file.h"

static const uint64_t file_limit = UINT64_C(4) << 30;

typedef struct npy_file {
    const char *path;
    char *bytes;
    size_t size;
    char *header;        /* terminated by the caller of find_header */
    size_t values_start; /* offset of the values */
} npy_file;

static gradcam_status fail_format(const npy_file *file, const char *what, gradcam_error *error)
{
    return gc_fail(error, GRADCAM_ERROR_FILE,
                   "%s: not a usable .npy file: %s. Write it with numpy.save(name, "
                   "array.astype('float32')).",
                   file->path, what);
}

static gradcam_status find_header(npy_file *file, gradcam_error *error)
{
    const unsigned char *const b = (const unsigned char *)file->bytes;
    if (file->size < 12 || memcmp(b, "\x93NUMPY", 6) != 0)
        return fail_format(file, "it does not begin with \\x93NUMPY", error);
    const bool is_short = b[6] == 1;
    const size_t start = is_short ? 10 : 12;
    size_t length = (size_t)b[8] | (size_t)b[9] << 8;
    if (!is_short)
        length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (length == 0 || length > file->size - start)
        return fail_format(file, "it ends within its header", error);
    file->header = file->bytes + start;
    file->values_start = start + length;
    return GRADCAM_OK;
}

/* What follows 'key': in the header, or NULL. */
static const char *find_value(const npy_file *file, const char *key)
{
    const char *value = strstr(file->header, key);
    if (value == NULL)
        return NULL;
    value += strlen(key);
    return value + strspn(value, " :");
}

static gradcam_status check_type(const npy_file *file, gradcam_error *error)
{
    const char *const type = find_value(file, "'descr'");
    const char *const order = find_value(file, "'fortran_order'");
    if (type == NULL || order == NULL)
        return fail_format(file, "its header names no type or order", error);
    GC_FAIL_IF(strncmp(type, "'<f4'", 5) != 0, error, GRADCAM_ERROR_ARGUMENT,
               "%s: the elements are of type %.*s, not float32. Convert with "
               "array.astype('float32').",
               file->path, (int)strcspn(type, ","), type);
    GC_FAIL_IF(strncmp(order, "False", 5) != 0, error, GRADCAM_ERROR_ARGUMENT,
               "%s: the array is in Fortran order. Convert with numpy.ascontiguousarray(array).",
               file->path);
    return GRADCAM_OK;
}

/* "(1, 3, 224, 224)", "(7,)", "()". */
static gradcam_status parse_shape(const npy_file *file, gc_npy *npy, size_t *count,
                                  gradcam_error *error)
{
    const char *at = find_value(file, "'shape'");
    if (at == NULL || *at != '(')
        return fail_format(file, "its header names no shape", error);
    *count = 1;
    for (at += 1 + strspn(at + 1, " "); *at != ')'; at += strspn(at, ", ")) {
        char *end = NULL;
        const long long extent = strtoll(at, &end, 10);
        if (end == at || extent < 0 || npy->rank == 8 ||
            !gc_multiply(*count, (size_t)extent, count))
            return fail_format(file, "its shape is malformed, too large or of a rank above 8",
                               error);
        npy->dims[npy->rank++] = extent;
        at = end;
    }
    return GRADCAM_OK;
}

static gradcam_status copy_values(const npy_file *file, gc_npy *npy, size_t count,
                                  gradcam_error *error)
{
    size_t bytes = 0;
    const size_t present = file->size - file->values_start;
    if (!gc_multiply(count, sizeof(float), &bytes) || bytes > present)
        return fail_format(file, "it ends before its last value", error);
    GC_TRY(gc_new_raw(&npy->values, count, sizeof(float), error));
    memcpy(npy->values, file->bytes + file->values_start, bytes);
    return GRADCAM_OK;
}

static gradcam_status parse(npy_file *file, gc_npy *npy, gradcam_error *error)
{
    size_t count = 0;
    GC_TRY(find_header(file, error));
    /* The header ends with a newline; it becomes the terminator of a string. */
    file->bytes[file->values_start - 1] = '\0';
    GC_TRY(check_type(file, error));
    GC_TRY(parse_shape(file, npy, &count, error));
    return copy_values(file, npy, count, error);
}

gradcam_status gc_npy_read(gc_npy *npy, const char *path, gradcam_error *error)
{
    npy_file file = {.path = path};
    *npy = (gc_npy){0};
    GC_TRY(gc_file_read(path, file_limit, &file.bytes, &file.size, error));
    const gradcam_status status = parse(&file, npy, error);
    if (status != GRADCAM_OK)
        gc_npy_free(npy);
    gc_free(file.bytes);
    return status;
}

void gc_npy_free(gc_npy *npy)
{
    gc_free(npy->values);
    *npy = (gc_npy){0};
}
