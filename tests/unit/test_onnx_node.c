/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ONNX's own backend tests (where libonnx-testdata is installed), forward only: each on the plain
 * kernels with all inputs as constants, since many hand in what an operator needs as a constant,
 * and again on the engine with its floating inputs fed. The second may be refused as unsupported,
 * which is counted; whatever is computed must agree.
 *
 *   test_onnx_node SET      SET is node, simple, pytorch-converted or pytorch-operator
 *   test_onnx_node claims
 *
 * Prints a line for each test, or for each operator that is claimed, from which docs/operators.md
 * is made:
 *   passed|failed|skipped|unclaimed <tab> SET/TEST <tab> REASON
 *   OPERATOR <tab> DOMAIN <tab> gradient|none <tab> the operator it is read as, or nothing
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"
#include "onnx/names.h"
#include "onnx/reader.h"
#include "reference.h"

/* Those of another version can be tried: ONNX_TESTDATA=FOLDER. */
static const char *find_root(void)
{
    const char *const given = getenv("ONNX_TESTDATA");
    return given != NULL ? given : "/usr/share/libonnx-testdata/data";
}

/* ONNX's own runner compares with rtol 1e-3, atol 1e-7. What comes out as bfloat16 there has 8
 * significant bits, cut off; here it was not rounded. */
static const double relative_tolerance = 1e-3, absolute_tolerance = 1e-7;
static const double bfloat16_tolerance = 0x1p-7;

/* Parts of names of tests of supported operators that are not run, and why. */
static const struct {
    const char *part, *reason;
} skips[] = {
    {"resize_downsample_scales_linear_align_corners",
     "expects the corner of a fractional size; PyTorch and ONNX Runtime align that of the output"},
    {"resize_downsample_scales_cubic_align_corners",
     "expects the corner of a fractional size; PyTorch and ONNX Runtime align that of the output"},
    {"averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
     "divides by what lies beyond the padding, too; PyTorch does not"},
    {"qlinearmatmul_2D_int8", "expects wrapping around where the definition saturates"},
    {"qlinearmatmul_3D_int8", "expects wrapping around where the definition saturates"},
    {"identity_sequence", "a sequence, no tensor"},
    {"identity_opt", "an optional, no tensor"},
    {"training_dropout", "training: random numbers; a model is always run as for inference"},
};

typedef enum outcome { PASSED, FAILED, SKIPPED, UNCLAIMED, OUTCOMES } outcome;

typedef struct tally {
    int count[OUTCOMES];
    int engine, engine_refused;
} tally;

static gradcam_error error;

/* ---- Files ---------------------------------------------------------------------------------- */

static gradcam_status read_tensor(gc_tensor *tensor, const char *folder, const char *kind, int i)
{
    static char bytes[1 << 22];
    char path[1100];
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", folder, kind, i);
    FILE *const file = fopen(path, "rb");
    if (file == NULL)
        return gc_fail(&error, GRADCAM_ERROR_FILE, "%s: cannot be opened", path);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return gc_onnx_read_tensor(tensor, bytes, size, &error);
}

/* Data of type bfloat16 is labelled as uint16 in these files. */
static void relabel(gc_tensor *tensor, gc_dtype declared)
{
    if (tensor->dtype != GC_UINT16 || declared != GC_BFLOAT16)
        return;
    const int64_t count = gc_tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) { /* front to back: floats are the smaller ones */
        const uint32_t bits = (uint32_t)gc_ints(tensor)[i] << 16;
        memcpy(gc_floats(tensor) + i, &bits, sizeof bits);
    }
    tensor->dtype = GC_BFLOAT16;
}

static bool knows_operators(const gc_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++)
        if (gc_op_find(graph->nodes[n].op, graph->nodes[n].domain) == NULL)
            return false;
    return true;
}

static gradcam_status read_model(gc_graph **graph, const char *folder)
{
    char path[1100];
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    return gc_onnx_read_file(graph, path, NULL, &error);
}

/* ---- Comparison ----------------------------------------------------------------------------- */

/* Quantised values are carried as floats. */
static double element(const gc_tensor *tensor, int64_t i)
{
    return gc_dtype_is_float(tensor->dtype) ? (double)gc_floats(tensor)[i]
                                            : (double)gc_ints(tensor)[i];
}

static bool is_near(const gc_tensor *found, const gc_tensor *expected, int64_t i)
{
    if (!gc_dtype_is_float(expected->dtype) && !gc_dtype_is_float(found->dtype))
        return gc_ints(found)[i] == gc_ints(expected)[i];
    const double f = element(found, i), e = element(expected, i);
    if (f == e || !gc_dtype_is_float(expected->dtype))
        return f == e;
    const double relative =
        expected->dtype == GC_BFLOAT16 ? bfloat16_tolerance : relative_tolerance;
    return (isnan(f) && isnan(e)) || fabs(f - e) <= absolute_tolerance + relative * fabs(e);
}

static bool is_kind(const gc_tensor *found, const gc_tensor *expected)
{
    const bool is_small = expected->dtype == GC_INT8 || expected->dtype == GC_UINT8 ||
                          expected->dtype == GC_INT16 || expected->dtype == GC_UINT16 ||
                          expected->dtype == GC_INT32;
    return gc_dtype_is_float(found->dtype) == gc_dtype_is_float(expected->dtype) ||
           (gc_dtype_is_float(found->dtype) && is_small);
}

static gradcam_status compare(const gc_tensor *found, const gc_tensor *expected, const char *name)
{
    char a[GC_SHAPE_TEXT], b[GC_SHAPE_TEXT];
    if (!gc_tensor_same_dims(found, expected) || !is_kind(found, expected))
        return gc_fail(&error, GRADCAM_ERROR_NUMERIC, "'%s' is %s %s, expected %s %s", name,
                       gc_dtype_name(found->dtype), gc_shape_text(found, a),
                       gc_dtype_name(expected->dtype), gc_shape_text(expected, b));
    for (int64_t i = 0; i < gc_tensor_count(expected); i++)
        if (!is_near(found, expected, i))
            return gc_fail(&error, GRADCAM_ERROR_NUMERIC,
                           "'%s' differs at element %lld: %g, not %g", name, (long long)i,
                           element(found, i), element(expected, i));
    return GRADCAM_OK;
}

/* Then uint16 means uint16. */
static bool is_quantized(const gc_graph *graph, int value)
{
    const int producer = graph->values[value].producer;
    return producer >= 0 && strcmp(graph->nodes[producer].op, "QuantizeLinear") == 0;
}

static gradcam_status check_output(const gc_graph *graph, const char *folder, int i,
                                   const gc_tensor *found)
{
    gc_tensor expected = {0};
    GC_TRY(read_tensor(&expected, folder, "output", i));
    if (gc_dtype_is_float(found->dtype) && !is_quantized(graph, graph->outputs[i]))
        relabel(&expected, GC_BFLOAT16);
    const gradcam_status status = compare(found, &expected, graph->values[graph->outputs[i]].name);
    gc_tensor_free(&expected);
    return status;
}

/* ---- The plain kernels ---------------------------------------------------------------------- */

static gradcam_status make_constant(gc_graph *graph, const char *folder, int i)
{
    gc_tensor tensor = {0};
    gc_value *const value = &graph->values[graph->inputs[i]];
    GC_TRY(read_tensor(&tensor, folder, "input", i));
    relabel(&tensor, value->type.dtype);
    value->type = tensor;
    value->type.data = NULL;
    const gradcam_status status = gc_constant_create(&value->constant, &tensor, &error);
    gc_tensor_free(&tensor);
    return status;
}

static gradcam_status run_plain(gc_graph *graph, const char *folder)
{
    reference *r = NULL;
    for (int i = 0; i < graph->input_count; i++)
        GC_TRY(make_constant(graph, folder, i));
    GC_TRY(reference_create(&r, graph, &error));
    gradcam_status status = reference_forward(r, &error);
    for (int i = 0; i < graph->output_count && status == GRADCAM_OK; i++)
        status = check_output(graph, folder, i, reference_value(r, graph->outputs[i]));
    reference_destroy(&r);
    return status;
}

/* ---- The engine ----------------------------------------------------------------------------- */

enum { MAX_ENDS = 64 };

/* The floating inputs are fed, the rest become constants. */
typedef struct feeds {
    gc_feed feeds[MAX_ENDS];
    gc_tensor tensors[MAX_ENDS];
    int count;
} feeds;

static gradcam_status feed_floats(feeds *f, gc_graph *graph, const char *folder)
{
    for (int i = 0; i < graph->input_count; i++) {
        gc_tensor *const t = &f->tensors[f->count];
        gc_value *const value = &graph->values[graph->inputs[i]];
        GC_TRY(read_tensor(t, folder, "input", i));
        relabel(t, value->type.dtype);
        if (!gc_dtype_is_float(t->dtype)) {
            gc_tensor_free(t);
            GC_TRY(make_constant(graph, folder, i));
            continue;
        }
        f->feeds[f->count].value = graph->inputs[i];
        f->feeds[f->count++].type = *t;
    }
    return GRADCAM_OK;
}

static gradcam_status run_plan(const gc_graph *graph, const feeds *f, gc_packs *packs,
                               const char *folder)
{
    gc_plan *plan = NULL;
    const gc_plan_request request = {.feeds = f->feeds,
                                     .feed_count = f->count,
                                     .fetches = graph->outputs,
                                     .fetch_count = graph->output_count};
    GC_TRY(gc_plan_create(&plan, graph, packs, &request, &error));
    for (int i = 0; i < f->count; i++)
        memcpy(gc_plan_feed(plan, i)->data, f->tensors[i].data, gc_tensor_bytes(&f->tensors[i]));
    gradcam_status status = gc_plan_forward(plan, &error);
    for (int i = 0; i < graph->output_count && status == GRADCAM_OK; i++)
        status = check_output(graph, folder, i, gc_plan_fetch(plan, i));
    gc_plan_destroy(&plan);
    return status;
}

static gradcam_status run_engine(gc_graph *graph, const char *folder)
{
    feeds f = {.count = 0};
    gc_packs *packs = NULL;
    if (graph->input_count > MAX_ENDS)
        return gc_fail(&error, GRADCAM_ERROR_LIMIT, "%d inputs", graph->input_count);
    gradcam_status status = feed_floats(&f, graph, folder);
    if (status == GRADCAM_OK)
        status = gc_prepare(graph, &error);
    if (status == GRADCAM_OK)
        status = gc_packs_create(&packs, NULL, &error);
    if (status == GRADCAM_OK)
        status = run_plan(graph, &f, packs, folder);
    gc_packs_destroy(&packs);
    for (int i = 0; i < f.count; i++)
        gc_tensor_free(&f.tensors[i]);
    return status;
}

/* ---- A test --------------------------------------------------------------------------------- */

static const char *reason_to_skip(const char *name)
{
    for (size_t i = 0; i < sizeof skips / sizeof skips[0]; i++)
        if (strstr(name, skips[i].part) != NULL)
            return skips[i].reason;
    return NULL;
}

static outcome run_both(const char *folder, tally *t)
{
    gc_graph *graph = NULL;
    gradcam_status status = read_model(&graph, folder);
    if (status == GRADCAM_OK && !knows_operators(graph)) {
        gc_graph_destroy(&graph);
        return UNCLAIMED;
    }
    if (status == GRADCAM_OK)
        status = run_plain(graph, folder);
    gc_graph_destroy(&graph);
    if (status != GRADCAM_OK)
        return status == GRADCAM_ERROR_UNSUPPORTED ? SKIPPED : FAILED;
    status = read_model(&graph, folder);
    if (status == GRADCAM_OK)
        status = run_engine(graph, folder);
    gc_graph_destroy(&graph);
    if (status == GRADCAM_ERROR_UNSUPPORTED)
        fprintf(stderr, "refused by the engine: %s: %s\n", folder, error.message);
    t->engine += status == GRADCAM_OK;
    t->engine_refused += status == GRADCAM_ERROR_UNSUPPORTED;
    return status == GRADCAM_OK || status == GRADCAM_ERROR_UNSUPPORTED ? PASSED : FAILED;
}

static void run_test(const char *set, const char *name, tally *t)
{
    static const char *const words[] = {"passed", "failed", "skipped", "unclaimed"};
    char folder[1024];
    const char *const skip = reason_to_skip(name);
    snprintf(folder, sizeof folder, "%s/%s/%s", find_root(), set, name);
    const outcome o = skip != NULL ? SKIPPED : run_both(folder, t);
    const char *const reason = skip != NULL ? skip : error.message;
    printf("%s\t%s/%s\t%s\n", words[o], set, name, o == FAILED || o == SKIPPED ? reason : "");
    if (o == FAILED)
        fprintf(stderr, "failed: %s: %s\n", name, reason);
    t->count[o]++;
}

static int has_model(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* ---- Claims --------------------------------------------------------------------------------- */

static void print_claim(const char *name, const char *domain, const gc_op *op, const char *becomes)
{
    printf("%s\t%s\t%s\t%s\n", name, domain, op->backward != NULL ? "gradient" : "none", becomes);
}

static int print_claims(void)
{
    size_t count = 0;
    const gc_op *const *const all = gc_op_all(&count);
    gc_read_name name;
    printf("Constant\t\tnone\t\n"); /* becomes a value, no node */
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i]->domain, "gradcam") != 0) /* what the passes make */
            print_claim(all[i]->name, all[i]->domain, all[i], "");
    for (size_t i = 0; gc_onnx_read_name(i, &name); i++)
        print_claim(name.op, name.domain, gc_op_find(name.becomes, ""), name.becomes);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: test_onnx_node SET|claims\n");
        return 2;
    }
    if (strcmp(argv[1], "claims") == 0)
        return print_claims();
    char folder[512];
    struct dirent **entries = NULL;
    tally t = {.engine = 0};
    snprintf(folder, sizeof folder, "%s/%s", find_root(), argv[1]);
    const int count = scandir(folder, &entries, has_model, alphasort);
    if (count < 0) {
        printf("skipped: %s is not there\n", folder);
        return 77;
    }
    for (int i = 0; i < count; i++) {
        run_test(argv[1], entries[i]->d_name, &t);
        free(entries[i]);
    }
    free(entries);
    printf("%s: %d passed, %d failed, %d skipped, %d with operators that are not claimed; the "
           "engine ran %d and refused %d\n",
           argv[1], t.count[PASSED], t.count[FAILED], t.count[SKIPPED], t.count[UNCLAIMED],
           t.engine, t.engine_refused);
    return t.count[FAILED] > 0 || t.count[PASSED] == 0;
}
