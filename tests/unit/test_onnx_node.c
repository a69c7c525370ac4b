/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX's own tests of operators (where libonnx-testdata is installed) on the plain kernels, forward
 * only. A test of an operator without a row is passed over and counted; so is one that is refused
 * as unsupported, with its reason printed. Everything else must agree.
 *
 * All inputs are fed as constants: many tests hand in what an operator needs as a constant.
 */
#include <dirent.h>
#include <stdlib.h>

#include "onnx/reader.h"
#include "ops/op.h"
#include "reference.h"
#include "test.h"

static const char root[] = "/usr/share/libonnx-testdata/data";
static const double relative_tolerance = 1e-3, absolute_tolerance = 1e-6;

/* Parts of names of tests that cannot agree:
 * - with align_corners their expected values divide by a scaled extent that is no whole number;
 *   ONNX Runtime and PyTorch use that of the output, and so do we;
 * - their bfloat16 data is labelled as uint16;
 * - an optional is no tensor;
 * - Dropout with training_mode draws random numbers; a model is always run as for inference. */
static const char *const disputed[] = {"resize_downsample_scales_linear_align_corners",
                                       "resize_downsample_scales_cubic_align_corners", "BFLOAT16",
                                       "identity_opt", "training_dropout"};

typedef struct tally {
    int passed, failed, unknown, refused;
} tally;

static gradcam_error error;

static gradcam_status read_tensor(gc_tensor *tensor, const char *path)
{
    static char bytes[1 << 22];
    FILE *const file = fopen(path, "rb");
    if (file == NULL)
        return gc_fail(&error, GRADCAM_ERROR_FILE, "%s: cannot be opened", path);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return gc_onnx_read_tensor(tensor, bytes, size, &error);
}

static bool knows_operators(const gc_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++)
        if (gc_op_find(graph->nodes[n].op, graph->nodes[n].domain) == NULL)
            return false;
    return true;
}

static gradcam_status feed(gc_graph *graph, const char *folder)
{
    for (int i = 0; i < graph->input_count; i++) {
        char path[1024];
        gc_tensor tensor = {0};
        snprintf(path, sizeof path, "%s/test_data_set_0/input_%d.pb", folder, i);
        GC_TRY(read_tensor(&tensor, path));
        gc_value *const value = &graph->values[graph->inputs[i]];
        const gradcam_status status = gc_constant_create(&value->constant, &tensor, &error);
        gc_tensor_free(&tensor);
        GC_TRY(status);
    }
    return GRADCAM_OK;
}

static bool is_near(const gc_tensor *found, const gc_tensor *expected, int64_t i)
{
    if (!gc_dtype_is_float(expected->dtype))
        return gc_ints(found)[i] == gc_ints(expected)[i];
    const double f = (double)gc_floats(found)[i], e = (double)gc_floats(expected)[i];
    return f == e || (isnan(f) && isnan(e)) ||
           fabs(f - e) <= absolute_tolerance + relative_tolerance * fabs(e);
}

static gradcam_status compare(const gc_tensor *found, const gc_tensor *expected, const char *name)
{
    char a[GC_SHAPE_TEXT], b[GC_SHAPE_TEXT];
    if (!gc_tensor_same_dims(found, expected) ||
        gc_dtype_is_float(found->dtype) != gc_dtype_is_float(expected->dtype))
        return gc_fail(&error, GRADCAM_ERROR_NUMERIC, "'%s' is %s, expected %s", name,
                       gc_shape_text(found, a), gc_shape_text(expected, b));
    for (int64_t i = 0; i < gc_tensor_count(expected); i++)
        if (!is_near(found, expected, i))
            return gc_fail(&error, GRADCAM_ERROR_NUMERIC, "'%s' differs at element %lld", name,
                           (long long)i);
    return GRADCAM_OK;
}

static gradcam_status check_outputs(const gc_graph *graph, const reference *r, const char *folder)
{
    for (int i = 0; i < graph->output_count; i++) {
        char path[1024];
        gc_tensor expected = {0};
        snprintf(path, sizeof path, "%s/test_data_set_0/output_%d.pb", folder, i);
        GC_TRY(read_tensor(&expected, path));
        const int v = graph->outputs[i];
        const gradcam_status status =
            compare(reference_value(r, v), &expected, graph->values[v].name);
        gc_tensor_free(&expected);
        GC_TRY(status);
    }
    return GRADCAM_OK;
}

static gradcam_status run(gc_graph *graph, const char *folder)
{
    reference *r = NULL;
    GC_TRY(feed(graph, folder));
    GC_TRY(reference_create(&r, graph, &error));
    gradcam_status status = reference_forward(r, &error);
    if (status == GRADCAM_OK)
        status = check_outputs(graph, r, folder);
    reference_destroy(&r);
    return status;
}

static void run_folder(const char *folder, tally *t)
{
    char path[1024];
    gc_graph *graph = NULL;
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    gradcam_status status = gc_onnx_read_file(&graph, path, &error);
    if (status == GRADCAM_OK && !knows_operators(graph)) {
        t->unknown++;
        gc_graph_destroy(&graph);
        return;
    }
    if (status == GRADCAM_OK)
        status = run(graph, folder);
    gc_graph_destroy(&graph);
    t->passed += status == GRADCAM_OK;
    t->refused += status == GRADCAM_ERROR_UNSUPPORTED;
    if (status == GRADCAM_ERROR_UNSUPPORTED)
        printf("refused: %s: %s\n", folder + sizeof root, error.message);
    else if (status != GRADCAM_OK) {
        fprintf(stderr, "failed: %s: %s\n", folder + sizeof root, error.message);
        t->failed++;
    }
}

static bool is_disputed(const char *name)
{
    for (size_t i = 0; i < sizeof disputed / sizeof disputed[0]; i++)
        if (strstr(name, disputed[i]) != NULL)
            return true;
    return false;
}

static void run_set(const char *set)
{
    char folder[512];
    tally t = {0};
    snprintf(folder, sizeof folder, "%s/%s", root, set);
    DIR *const directory = opendir(folder);
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.' || is_disputed(entry->d_name))
            continue;
        snprintf(folder, sizeof folder, "%s/%s/%.200s", root, set, entry->d_name);
        run_folder(folder, &t);
    }
    if (directory == NULL)
        SKIP(folder);
    closedir(directory);
    printf("%s: %d passed, %d failed, %d refused, %d with operators that have no row\n", set,
           t.passed, t.failed, t.refused, t.unknown);
    CHECK(t.passed > 0);
    CHECK_INT(t.failed, 0);
}

static void node(void)
{
    run_set("node");
}

static void pytorch_converted(void)
{
    run_set("pytorch-converted");
}

static void pytorch_operator(void)
{
    run_set("pytorch-operator");
}

TEST_MAIN(node, pytorch_converted, pytorch_operator)
