/* SPDX-License-Identifier: Apache-2.0 */
/* Each limit of gradcam_limits: what lies at it passes, what lies one above is refused with what
 * was found, the limit, and the option that raises it. */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "onnx/reader.h"
#include "picture/file.h"
#include "picture/npy.h"
#include "test.h"

#define MODEL  FIXTURES "/cli/model.onnx"
#define CORPUS FIXTURES "/../fuzz/corpus/explain"

static gradcam_error error;
static char folder[] = "/tmp/gradcam-limits-XXXXXX";

static uint64_t size_of(const char *path)
{
    struct stat info = {0};
    CHECK_INT(stat(path, &info), 0);
    return (uint64_t)info.st_size;
}

/* All that a user does with a model and a picture. */
static gradcam_status explain(const gradcam_model_options *options, const char *model_path)
{
    gradcam_model *model = NULL;
    gradcam_explainer *explainer = NULL;
    gradcam_explanation *explanation = NULL;
    error = (gradcam_error){.message = ""};
    gradcam_status status = gradcam_model_load(&model, model_path, options, &error);
    if (status == GRADCAM_OK)
        status = gradcam_explainer_create(&explainer, model, NULL, &error);
    if (status == GRADCAM_OK)
        status = gradcam_explain_file(explainer, FIXTURES "/cli/picture.png", NULL, 0, &explanation,
                                      &error);
    gradcam_explanation_destroy(&explanation);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
    return status;
}

static void says(uint64_t found, uint64_t limit, const char *option)
{
    char figure[32], most[48];
    snprintf(figure, sizeof figure, "%" PRIu64, found);
    snprintf(most, sizeof most, "limit is %" PRIu64, limit);
    if (strstr(error.message, figure) == NULL || strstr(error.message, most) == NULL ||
        strstr(error.message, option) == NULL) {
        fprintf(stderr, "expected %s, '%s' and '%s' in: %s\n", figure, most, option, error.message);
        test_failures++;
    }
}

/* `member` of `limits`, at which everything passes. */
static void check_member(gradcam_limits *limits, uint64_t *member, uint64_t found,
                         gradcam_model_options options, const char *option)
{
    options.limits = limits;
    *member = found;
    CHECK_OK(explain(&options, MODEL));
    *member = found - 1;
    CHECK_INT(explain(&options, MODEL), GRADCAM_ERROR_LIMIT);
    says(found, found - 1, option);
    *member = 0;
    CHECK_OK(explain(&options, MODEL));
}

static void files_and_pixels(void)
{
    gradcam_limits limits;
    gradcam_model_options options;
    gradcam_limits_init(&limits);
    gradcam_model_options_init(&options);
    check_member(&limits, &limits.model_bytes, size_of(MODEL), options, "--max-model, model_bytes");
    check_member(&limits, &limits.picture_bytes, size_of(FIXTURES "/cli/picture.png"), options,
                 "--max-picture, picture_bytes");
    /* picture.png: 20 x 16, as its header says */
    uint8_t *bytes = NULL;
    size_t size = 0;
    CHECK_OK(
        gc_file_read(FIXTURES "/cli/picture.png", gc_limit_picture(NULL), &bytes, &size, &error));
    const uint64_t pixels = size > 24 ? (uint64_t)bytes[19] * bytes[23] : 0;
    gc_free(bytes);
    check_member(&limits, &limits.picture_pixels, pixels, options, "--max-pixels, picture_pixels");
    options.labels_path = FIXTURES "/cli/labels.txt";
    check_member(&limits, &limits.text_bytes, size_of(options.labels_path), options,
                 "--max-text, text_bytes");
}

static void arrays(void)
{
    const char *const path = FIXTURES "/cli/tensor3.npy";
    gc_array array;
    gradcam_limits limits = {.array_bytes = size_of(path)};
    CHECK_OK(gc_npy_read(&array, path, &limits, &error));
    gc_array_free(&array);
    limits.array_bytes--;
    CHECK_INT(gc_npy_read(&array, path, &limits, &error), GRADCAM_ERROR_LIMIT);
    says(size_of(path), limits.array_bytes, "--max-array, array_bytes");
    CHECK_INT(gc_npy_read_numbers(&array, path, &limits, &error), GRADCAM_ERROR_LIMIT);
}

static gradcam_status read_model(const char *path, const gradcam_limits *limits)
{
    gc_graph *graph = NULL;
    const gc_onnx_bounds bounds = {.limits = limits};
    const gradcam_status status = gc_onnx_read_file(&graph, path, &bounds, &error);
    gc_graph_destroy(&graph);
    return status;
}

static void nodes(void)
{
    gradcam_inspection *inspection = NULL;
    CHECK_OK(gradcam_inspect(&inspection, MODEL, NULL, NULL, &error));
    const uint64_t count = gradcam_inspection_look(inspection)->node_count;
    gradcam_inspection_destroy(&inspection);
    gradcam_limits limits = {.nodes = count};
    CHECK_OK(read_model(MODEL, &limits));
    limits.nodes = count - 1;
    CHECK_INT(read_model(MODEL, &limits), GRADCAM_ERROR_LIMIT);
    says(count, count - 1, "--max-nodes, nodes");
}

/* A loop that takes three turns of one node is read with few, and needs more to be unrolled. */
static void unrolled_nodes(void)
{
    gradcam_limits limits = {.nodes = 4};
    const gradcam_model_options options = {.limits = &limits};
    CHECK_OK(read_model(CORPUS "/loop.onnx", &limits));
    CHECK_INT(explain(&options, CORPUS "/loop.onnx"), GRADCAM_ERROR_LIMIT);
    CHECK(strstr(error.message, "and 4 nodes (--max-nodes, nodes)") != NULL);
    limits.nodes = 8;
    CHECK_OK(explain(&options, CORPUS "/loop.onnx"));
}

static void depth(void)
{
    gradcam_limits limits = {.depth = 4};
    CHECK_OK(read_model(CORPUS "/loops_in_loops.onnx", &limits));
    limits.depth = 3;
    CHECK_INT(read_model(CORPUS "/loops_in_loops.onnx", &limits), GRADCAM_ERROR_LIMIT);
    says(4, 3, "--max-depth, depth");
    /* functions.onnx: a function that calls another */
    limits.depth = 2;
    CHECK_OK(read_model(FIXTURES "/onnx/functions.onnx", &limits));
    limits.depth = 1;
    CHECK_INT(read_model(FIXTURES "/onnx/functions.onnx", &limits), GRADCAM_ERROR_LIMIT);
    says(2, 1, "--max-depth, depth");
}

static void copy_into_folder(const char *name)
{
    char from[512], to[512];
    uint8_t *bytes = NULL;
    size_t size = 0;
    snprintf(from, sizeof from, FIXTURES "/onnx/%s", name);
    snprintf(to, sizeof to, "%s/%s", folder, name);
    CHECK_OK(gc_file_read(from, gc_limit_picture(NULL), &bytes, &size, &error));
    CHECK_OK(gc_file_write(to, bytes, size, &error));
    gc_free(bytes);
}

static void external_data(void)
{
    char model[512], data[512];
    CHECK(mkdtemp(folder) != NULL);
    copy_into_folder("encodings.onnx");
    copy_into_folder("encodings.bin");
    snprintf(model, sizeof model, "%s/encodings.onnx", folder);
    snprintf(data, sizeof data, "%s/encodings.bin", folder);
    CHECK_INT(truncate(data, 100000), 0);
    gradcam_limits limits = {.model_bytes = 100000};
    CHECK_OK(read_model(model, &limits));
    limits.model_bytes--;
    CHECK_INT(read_model(model, &limits), GRADCAM_ERROR_LIMIT);
    says(100000, 99999, "--max-model, model_bytes");
    CHECK(strstr(error.message, "encodings.bin") != NULL);
    unlink(model);
    unlink(data);
    rmdir(folder);
}

/* Folding makes three constants of 64 MiB, each gone before the next. */
static void folded_constants(void)
{
    gradcam_model_options options = {.max_memory = 100 << 20};
    CHECK_OK(explain(&options, CORPUS "/constants_of_64_megabytes.onnx"));
    options.max_memory = 50 << 20;
    CHECK_INT(explain(&options, CORPUS "/constants_of_64_megabytes.onnx"), GRADCAM_ERROR_LIMIT);
    CHECK(strstr(error.message, "ConstantOfShape that makes 'k0'") != NULL);
    CHECK(strstr(error.message, "64.0 MiB of memory are needed") != NULL);
}

/* 127 x 3 x 65536 x 8, refused before it is made. */
static void input(void)
{
    gradcam_model_options options = {.max_memory = 700 << 20};
    CHECK_INT(explain(&options, CORPUS "/input_of_800_megabytes.onnx"), GRADCAM_ERROR_LIMIT);
    CHECK(strstr(error.message, "the input: 762.0 MiB of memory are needed") != NULL);
}

/* Names and nodes of a model live in an arena. */
static void arena(void)
{
    gc_budget budget;
    gc_arena *a = NULL;
    gradcam_status status = GRADCAM_OK;
    int blocks = 0;
    gc_budget_init(&budget, 8 << 20);
    CHECK_OK(gc_arena_create(&a, &error));
    gc_arena_charge(a, &budget);
    for (char *block = NULL; status == GRADCAM_OK && blocks < 100; blocks++)
        status = gc_arena_new(a, &block, 1, 1 << 20, &error);
    CHECK_INT(status, GRADCAM_ERROR_LIMIT);
    CHECK_INT(blocks, 16 + 8 + 1);
    CHECK(budget.used == 8 << 20);
    gc_arena_destroy(&a);
    CHECK(budget.used == 0);
}

static void beyond_use(void)
{
    gradcam_limits limits = {.nodes = GC_MOST_NODES + 1};
    const gradcam_model_options options = {.limits = &limits};
    CHECK_INT(explain(&options, MODEL), GRADCAM_ERROR_ARGUMENT);
    limits = (gradcam_limits){.depth = GC_MOST_DEPTH + 1};
    CHECK_INT(explain(&options, MODEL), GRADCAM_ERROR_ARGUMENT);
    gradcam_inspection *inspection = NULL;
    CHECK_INT(gradcam_inspect(&inspection, MODEL, &options, NULL, &error), GRADCAM_ERROR_ARGUMENT);
}

TEST_MAIN(files_and_pixels, arrays, nodes, unrolled_nodes, depth, external_data, folded_constants,
          input, arena, beyond_use)
