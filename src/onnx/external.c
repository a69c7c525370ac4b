/* SPDX-License-Identifier: Apache-2.0 */
/* The model is not trusted to name a file: it must lie inside the model's folder after symbolic
 * links are followed. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/external.h"
#include "onnx/tensor.h"

typedef struct place {
    const char *location;
    uint64_t offset, length;
    bool has_length;
} place;

static gradcam_status parse_number(const char *key, const char *text, uint64_t *value,
                                   gradcam_error *error)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    GC_FAIL_IF(text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number > INT64_MAX,
               error, GRADCAM_ERROR_MODEL, "external data: %s '%s' is not a number of bytes", key,
               text);
    *value = number;
    return GRADCAM_OK;
}

static gradcam_status parse(place *p, const GcOnnx__Tensor *header, gradcam_error *error)
{
    *p = (place){.location = ""};
    for (size_t i = 0; i < header->n_external_data; i++) {
        const char *const key = gc_text(header->external_data[i]->key);
        const char *const value = gc_text(header->external_data[i]->value);
        if (strcmp(key, "location") == 0) {
            p->location = value;
        } else if (strcmp(key, "offset") == 0) {
            GC_TRY(parse_number(key, value, &p->offset, error));
        } else if (strcmp(key, "length") == 0) {
            GC_TRY(parse_number(key, value, &p->length, error));
            p->has_length = true;
        }
    }
    GC_FAIL_IF(p->location[0] == '\0', error, GRADCAM_ERROR_MODEL,
               "external data: no location is given");
    return GRADCAM_OK;
}

static bool climbs(const char *location)
{
    for (const char *part = location; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return true;
    }
    return false;
}

/* *real = the resolved path, from malloc. */
static gradcam_status resolve(char **real, const char *folder, const char *location,
                              gradcam_error *error)
{
    char path[PATH_MAX], *root = realpath(folder, NULL);
    *real = NULL;
    const int length = snprintf(path, sizeof path, "%s/%s", folder, location);
    if (root != NULL && length > 0 && (size_t)length < sizeof path)
        *real = realpath(path, NULL);
    const int reason = errno;
    const size_t prefix = root != NULL ? strlen(root) : 0;
    const bool is_inside = *real != NULL && strncmp(*real, root, prefix) == 0 &&
                           ((*real)[prefix] == '/' || (*real)[prefix] == '\0' || prefix == 1);
    free(root);
    if (is_inside)
        return GRADCAM_OK;
    const bool exists = *real != NULL;
    free(*real);
    *real = NULL;
    GC_FAIL_IF(exists, error, GRADCAM_ERROR_MODEL,
               "external data file '%s' is a link that leads out of the model's folder, which is "
               "refused; copy the file there",
               location);
    return gc_fail(error, GRADCAM_ERROR_FILE,
                   "external data file '%s' (expected in the folder '%s'): %s", location, folder,
                   strerror(reason));
}

/* ---- Files ---------------------------------------------------------------------------------- */

static gradcam_status open_inside(gc_store **store, const char *folder, const char *location,
                                  gradcam_error *error)
{
    char *path = NULL;
    GC_FAIL_IF(location[0] == '/' || climbs(location), error, GRADCAM_ERROR_MODEL,
               "external data file '%s' is outside the model's folder, which is refused", location);
    GC_TRY(resolve(&path, folder, location, error));
    const gradcam_status status = gc_store_open(store, path, false, error);
    free(path);
    return status == GRADCAM_OK
               ? status
               : gc_fail_context(error, status, "external data file '%s': ", location);
}

/* Takes a hold of `store`. */
static gradcam_status keep(gc_externals *externals, const char *location, gc_store *store,
                           gradcam_error *error)
{
    char **const name = &externals->locations[externals->count];
    const size_t size = strlen(location) + 1;
    GC_TRY(gc_new_raw(name, size, 1, error));
    memcpy(*name, location, size);
    externals->stores[externals->count++] = gc_store_retain(store);
    return GRADCAM_OK;
}

void gc_externals_close(gc_externals *externals)
{
    for (int i = 0; i < externals->count; i++) {
        gc_free(externals->locations[i]);
        gc_store_release(externals->stores[i]);
    }
    *externals = (gc_externals){.count = 0};
}

static gc_store *find_kept(const gc_externals *externals, const char *location)
{
    for (int i = 0; i < externals->count; i++)
        if (strcmp(externals->locations[i], location) == 0)
            return externals->stores[i];
    return NULL;
}

/* *store is to be released. It is kept as long as there is room. */
static gradcam_status open_store(gc_store **store, const gc_source *source, const char *location,
                                 gradcam_error *error)
{
    gc_externals *const externals = source->externals;
    *store = externals != NULL ? find_kept(externals, location) : NULL;
    if (*store != NULL) {
        gc_store_retain(*store);
        return GRADCAM_OK;
    }
    GC_TRY(open_inside(store, source->folder, location, error));
    if (externals == NULL || externals->count == GC_MOST_EXTERNALS)
        return GRADCAM_OK;
    const gradcam_status status = keep(externals, location, *store, error);
    if (status != GRADCAM_OK)
        gc_store_release(*store);
    return status;
}

static gradcam_status check_place(const gc_store *store, const place *p, const gc_source *source,
                                  const gc_tensor *type, gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    const uint64_t size = gc_store_size(store);
    const uint64_t expected = (uint64_t)gc_tensor_count(type) * gc_onnx_element_size(type->dtype);
    const gc_file_limit limit = gc_limit_model(&source->limits);
    GC_FAIL_IF(p->has_length && p->length != expected, error, GRADCAM_ERROR_MODEL,
               "%s of shape %s has %" PRIu64 " bytes of external data; %" PRIu64 " were expected",
               gc_dtype_name(type->dtype), gc_shape_text(type, shape), p->length, expected);
    if (size > limit.bytes)
        return gc_limit_exceeded(limit, p->location, size, error);
    GC_FAIL_IF(p->offset > size || expected > size - p->offset, error, GRADCAM_ERROR_MODEL,
               "external data file '%s' has %" PRIu64 " bytes; %" PRIu64 " at offset %" PRIu64
               " were expected",
               p->location, size, expected, p->offset);
    return GRADCAM_OK;
}

/* The elements are all there; *store is to be released. */
static gradcam_status find(const place *p, const gc_source *source, const gc_tensor *type,
                           gc_store **store, gradcam_error *error)
{
    GC_FAIL_IF(source->folder == NULL, error, GRADCAM_ERROR_UNSUPPORTED,
               "its data is in the file '%s', which cannot be found for a model read from memory",
               p->location);
    GC_TRY(open_store(store, source, p->location, error));
    const gradcam_status status = check_place(*store, p, source, type, error);
    if (status != GRADCAM_OK)
        gc_store_release(*store);
    return status;
}

/* ---- Interface ------------------------------------------------------------------------------ */

gradcam_status gc_external_stay(const GcOnnx__Tensor *header, const gc_source *source,
                                const gc_tensor *type, gc_store **store, uint64_t *offset,
                                gradcam_error *error)
{
    const gc_externals *const externals = source->externals;
    gc_store *found = NULL;
    place p;
    *store = NULL;
    if (externals == NULL || gc_tensor_bytes(type) < source->large)
        return GRADCAM_OK;
    GC_TRY(parse(&p, header, error));
    if (externals->count == GC_MOST_EXTERNALS && find_kept(externals, p.location) == NULL)
        return GRADCAM_OK;
    GC_TRY(find(&p, source, type, &found, error));
    *store = found;
    *offset = p.offset;
    return GRADCAM_OK;
}

static gradcam_status read_place(const gc_store *store, const place *p, const gc_source *source,
                                 gc_tensor *tensor, gradcam_error *error)
{
    GC_TRY(gc_budget_take(source->budget, gc_tensor_bytes(tensor), "the weights", error));
    GC_TRY(gc_new_raw(&tensor->data, 1, gc_tensor_bytes(tensor), error));
    const gradcam_status status = gc_onnx_read_elements(store, p->offset, tensor, error);
    return status == GRADCAM_OK
               ? status
               : gc_fail_context(error, status, "external data file '%s': ", p->location);
}

gradcam_status gc_external_load(const GcOnnx__Tensor *header, const gc_source *source,
                                gc_tensor *tensor, gradcam_error *error)
{
    place p;
    gc_store *store = NULL;
    GC_TRY(parse(&p, header, error));
    GC_TRY(find(&p, source, tensor, &store, error));
    const gradcam_status status = read_place(store, &p, source, tensor, error);
    gc_store_release(store);
    return status;
}
