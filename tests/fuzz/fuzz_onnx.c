/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX reader: any bytes become a graph in canonical form, or an error; the same from memory
 * and from a file in which weights are left. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "onnx/reader.h"

static gradcam_status read_file(gc_graph **graph, const uint8_t *bytes, size_t size,
                                gradcam_error *error)
{
    const gc_onnx_bounds bounds = {.large_payload = 8};
    const int file = memfd_create("model", MFD_CLOEXEC);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size)
        abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    const gradcam_status status = gc_onnx_read_file(graph, path, &bounds, error);
    close(file);
    return status;
}

/* Weights that are not finite are refused when they are loaded. */
static void compare_constants(gc_constant *a, gc_constant *b)
{
    gc_tensor left, right;
    gradcam_error error = {.message = ""};
    if (gc_constant_load(a, &left, NULL) != GRADCAM_OK)
        abort();
    const gradcam_status status = gc_constant_load(b, &right, &error);
    gc_fuzz_judge(status, &error);
    if (status != GRADCAM_OK && status != GRADCAM_ERROR_NUMERIC)
        abort();
    if (status == GRADCAM_OK && (left.dtype != right.dtype || !gc_tensor_same_dims(&left, &right) ||
                                 memcmp(left.data, right.data, gc_tensor_bytes(&left)) != 0))
        abort();
}

static void compare(const gc_graph *a, const gc_graph *b)
{
    if (a->node_count != b->node_count || a->value_count != b->value_count)
        abort();
    for (int v = 0; v < a->value_count; v++) {
        gc_constant *const left = a->values[v].constant, *const right = b->values[v].constant;
        if ((left == NULL) != (right == NULL))
            abort();
        if (left != NULL)
            compare_constants(left, right);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    gc_graph *graph = NULL, *from_file = NULL;
    gradcam_error error = {.message = ""}, of_file = {.message = ""};
    const gradcam_status status = gc_onnx_read(&graph, bytes, size, NULL, &error);
    gc_fuzz_judge(status, &error);
    const gradcam_status other = read_file(&from_file, bytes, size, &of_file);
    gc_fuzz_judge(other, &of_file);
    /* From memory there is no data in other files. */
    if (other != status && strstr(of_file.message, "external data") == NULL &&
        strstr(error.message, "external data") == NULL &&
        strstr(error.message, "read from memory") == NULL) {
        fprintf(stderr, "from memory: %s; from a file: %s\n", error.message, of_file.message);
        abort();
    }
    if (graph != NULL && from_file != NULL)
        compare(graph, from_file);
    gc_graph_destroy(&graph);
    gc_graph_destroy(&from_file);
    return 0;
}
