/* SPDX-License-Identifier: Apache-2.0 */
#include "op_case.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/reader.h"

static const char suffix[] = ".expected.onnx";

gradcam_status op_case_read(op_case *c, const char *folder, const char *name, gradcam_error *error)
{
    /* Weights of convolutions stay in the file, as only large ones do otherwise. */
    const gc_onnx_bounds bounds = {.large_payload = 8};
    *c = (op_case){.name = name};
    char path[4096];
    snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix);
    GC_TRY(gc_onnx_read_file(&c->expected, path, NULL, error));
    snprintf(path, sizeof path, "%s/%s.onnx", folder, name);
    const gradcam_status status = gc_onnx_read_file(&c->model, path, &bounds, error);
    return status == op_case_status(c) ? GRADCAM_OK : status;
}

void op_case_free(op_case *c)
{
    gc_graph_destroy(&c->model);
    gc_graph_destroy(&c->expected);
}

const gc_tensor *op_case_find(const op_case *c, const char *kind, const char *name)
{
    char text[1024];
    snprintf(text, sizeof text, "%s:%s", kind, name);
    const int v = gc_graph_find_value(c->expected, text);
    if (v < 0 || c->expected->values[v].constant == NULL)
        return NULL;
    return gc_constant_tensor(c->expected->values[v].constant);
}

gradcam_status op_case_status(const op_case *c)
{
    const gc_tensor *const status = op_case_find(c, "error", "status");
    return status != NULL ? (gradcam_status)gc_ints(status)[0] : GRADCAM_OK;
}

static double float_difference(const gc_tensor *found, const gc_tensor *expected)
{
    const float *const f = gc_floats(found), *const e = gc_floats(expected);
    const int64_t count = gc_tensor_count(expected);
    double largest = 0.0, most = 0.0;
    for (int64_t i = 0; i < count; i++) {
        const bool both_nan = isnan(f[i]) && isnan(e[i]);
        if (both_nan || f[i] == e[i]) {
            largest = isfinite(e[i]) ? fmax(largest, fabs((double)e[i])) : largest;
            continue;
        }
        if (!isfinite(f[i]) || !isfinite(e[i]))
            return INFINITY;
        largest = fmax(largest, fabs((double)e[i]));
        most = fmax(most, fabs((double)f[i] - (double)e[i]));
    }
    return largest > 0.0 ? most / largest : most;
}

double op_case_difference(const gc_tensor *found, const gc_tensor *expected)
{
    if (found == NULL || !gc_tensor_same_dims(found, expected) ||
        gc_dtype_is_float(found->dtype) != gc_dtype_is_float(expected->dtype))
        return INFINITY;
    if (gc_dtype_is_float(expected->dtype))
        return float_difference(found, expected);
    const size_t bytes = gc_tensor_bytes(expected);
    return memcmp(found->data, expected->data, bytes) == 0 ? 0.0 : INFINITY;
}

/* ---- The folder ----------------------------------------------------------------------------- */

static gradcam_status add_name(char ***names, size_t *capacity, size_t *count, const char *file,
                               gradcam_error *error)
{
    const size_t length = strlen(file);
    if (length < sizeof suffix || strcmp(file + length - (sizeof suffix - 1), suffix) != 0)
        return GRADCAM_OK;
    GC_TRY(gc_grow(names, capacity, *count + 1, sizeof **names, error));
    char *name = NULL;
    GC_TRY(gc_new(&name, length, 1, error));
    memcpy(name, file, length - (sizeof suffix - 1));
    (*names)[(*count)++] = name;
    return GRADCAM_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

gradcam_status op_case_list(const char *folder, char ***names, size_t *count, gradcam_error *error)
{
    *names = NULL;
    *count = 0;
    size_t capacity = 0;
    DIR *const directory = opendir(folder);
    GC_FAIL_IF(directory == NULL, error, GRADCAM_ERROR_FILE, "cannot open the folder '%s'", folder);
    gradcam_status status = GRADCAM_OK;
    const struct dirent *entry = NULL;
    while (status == GRADCAM_OK && (entry = readdir(directory)) != NULL)
        status = add_name(names, &capacity, count, entry->d_name, error);
    closedir(directory);
    if (*count > 0)
        qsort(*names, *count, sizeof **names, compare_names);
    return status;
}

void op_case_list_free(char ***names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        gc_free((*names)[i]);
    gc_free(*names);
    *names = NULL;
}
