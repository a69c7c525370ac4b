/* SPDX-License-Identifier: Apache-2.0 */
/* Reads models that other people made, where they are installed: those of $GRADCAM_SHARED and
 * ONNX's own test data. */
#include <dirent.h>
#include <stdlib.h>

#include "onnx/reader.h"
#include "test.h"

static gradcam_error error;

static bool has_suffix(const char *text, const char *suffix)
{
    const size_t a = strlen(text), b = strlen(suffix);
    return a >= b && strcmp(text + a - b, suffix) == 0;
}

/* Reads one model; false where it is refused as unsupported, which must say why. */
static bool read_one(const char *path)
{
    gc_graph *graph = NULL;
    const gradcam_status status = gc_onnx_read_file(&graph, path, NULL, &error);
    if (status != GRADCAM_OK && status != GRADCAM_ERROR_UNSUPPORTED) {
        fprintf(stderr, "status %d: %s\n", status, error.message);
        test_failures++;
    }
    if (status == GRADCAM_OK)
        CHECK(graph->output_count > 0);
    gc_graph_destroy(&graph);
    return status == GRADCAM_OK;
}

/* Every file that ends in ".onnx" in `folder` and its folders; returns how many. */
static int read_folder(const char *folder, int depth, int *refused)
{
    DIR *const directory = opendir(folder);
    int count = 0;
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        char path[4096];
        const int length = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || length < 0 || (size_t)length >= sizeof path)
            continue;
        if (has_suffix(path, ".onnx")) {
            *refused += !read_one(path);
            count++;
        } else if (depth > 0) {
            count += read_folder(path, depth - 1, refused);
        }
    }
    if (directory != NULL)
        closedir(directory);
    return count;
}

static void shared_models(void)
{
    char path[4096];
    int refused = 0;
    const char *const shared = getenv("GRADCAM_SHARED");
    snprintf(path, sizeof path, "%s/models", shared != NULL ? shared : SHARED);
    const int count = read_folder(path, 1, &refused);
    if (count == 0)
        SKIP(path);
    printf("%s: %d models, %d refused\n", path, count, refused);
    CHECK_INT(refused, 0);
}

static void onnx_test_data(void)
{
    int refused = 0;
    const int count = read_folder("/usr/share/libonnx-testdata/data", 2, &refused);
    if (count == 0)
        SKIP("no /usr/share/libonnx-testdata/data");
    printf("ONNX test data: %d models, %d refused\n", count, refused);
}

TEST_MAIN(shared_models, onnx_test_data)
