/* SPDX-License-Identifier: Apache-2.0 */
/* Old forms become the newest one, and calls of functions become their bodies. A node is compared
 * as text: "Op(inputs) attributes -> outputs", constants written out. */
#include <stdarg.h>
#include <stdlib.h>

#include "onnx/reader.h"
#include "test.h"

static gradcam_error error;

enum { TEXT = 1024 };

static void append(char text[TEXT], const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(char text[TEXT], const char *format, ...)
{
    const size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, TEXT - used, format, arguments);
    va_end(arguments);
}

/* "[1 2]" for int64, "{1 2}" for float32; a scalar has no brackets. */
static void append_constant(char text[TEXT], const gc_tensor *tensor)
{
    const bool is_float = gc_dtype_is_float(tensor->dtype);
    const int64_t count = gc_tensor_count(tensor);
    append(text, "%s", tensor->rank == 0 ? "" : is_float ? "{" : "[");
    for (int64_t i = 0; i < count; i++) {
        append(text, "%s", i > 0 ? " " : "");
        if (is_float)
            append(text, "%g", (double)gc_floats(tensor)[i]);
        else
            append(text, "%lld", (long long)gc_ints(tensor)[i]);
    }
    append(text, "%s", tensor->rank == 0 ? "" : is_float ? "}" : "]");
}

static void append_values(char text[TEXT], const gc_graph *graph, const int *values, int count)
{
    for (int i = 0; i < count; i++) {
        append(text, "%s", i > 0 ? ", " : "");
        if (values[i] == GC_ABSENT)
            append(text, "-");
        else if (graph->values[values[i]].constant != NULL)
            append_constant(text, gc_constant_tensor(graph->values[values[i]].constant));
        else
            append(text, "%s", graph->values[values[i]].name);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const gc_attr *const *)a)->name, (*(const gc_attr *const *)b)->name);
}

static void append_attrs(char text[TEXT], const gc_node *node)
{
    const gc_attr *sorted[32];
    for (int i = 0; i < node->attr_count; i++)
        sorted[i] = &node->attrs[i];
    qsort(sorted, (size_t)node->attr_count, sizeof *sorted, by_name);
    for (int i = 0; i < node->attr_count; i++) {
        const gc_attr *const attr = sorted[i];
        append(text, " %s=", attr->name);
        if (attr->type == GC_ATTR_INT)
            append(text, "%lld", (long long)attr->i);
        else if (attr->type == GC_ATTR_FLOAT)
            append(text, "%g", (double)attr->f);
        else if (attr->type == GC_ATTR_STRING)
            append(text, "%s", attr->s);
        for (size_t k = 0; attr->type == GC_ATTR_INTS && k < attr->count; k++)
            append(text, "%s%lld", k > 0 ? "," : "", (long long)attr->ints[k]);
    }
}

static const char *node_text(const gc_graph *graph, const gc_node *node)
{
    static char text[TEXT];
    text[0] = '\0';
    append(text, "%s(", node->op);
    append_values(text, graph, node->inputs, node->input_count);
    append(text, ")");
    append_attrs(text, node);
    if (node->output_count > 1) {
        append(text, " -> ");
        append_values(text, graph, node->outputs, node->output_count);
    }
    return text;
}

static gc_graph *read_model(const char *name)
{
    char path[1024];
    gc_graph *graph = NULL;
    snprintf(path, sizeof path, "%s/onnx/%s.onnx", FIXTURES, name);
    CHECK_OK(gc_onnx_read_file(&graph, path, NULL, &error));
    return graph;
}

static void check_node(const gc_graph *graph, const char *name, const char *expected)
{
    for (int n = 0; n < graph->node_count; n++) {
        if (strcmp(graph->nodes[n].name, name) != 0)
            continue;
        const char *const found = node_text(graph, &graph->nodes[n]);
        if (strcmp(found, expected) != 0) {
            fprintf(stderr, "%s:\n  found    %s\n  expected %s\n", name, found, expected);
            test_failures++;
        }
        return;
    }
    fprintf(stderr, "no node '%s'\n", name);
    test_failures++;
}

/* name, expected; ends with NULL. */
static void check_model(const char *name, const char *const (*cases)[2])
{
    gc_graph *graph = read_model(name);
    for (; graph != NULL && (*cases)[0] != NULL; cases++)
        check_node(graph, (*cases)[0], (*cases)[1]);
    gc_graph_destroy(&graph);
}

static void opset_1(void)
{
    static const char *const cases[][2] = {
        {"Add_axis", "Add(x, b) axis=1 broadcast=1"},
        {"Sub_axis", "Sub(x, b) axis=1 broadcast=1"},
        {"Mul_axis", "Mul(x, b) axis=1 broadcast=1"},
        {"Div_axis", "Div(x, b) axis=1 broadcast=1"},
        {"Pow_axis", "Pow(x, b) axis=1 broadcast=1"},
        {"And_axis", "And(x, b) axis=1 broadcast=1"},
        {"Or_axis", "Or(x, b) axis=1 broadcast=1"},
        {"Xor_axis", "Xor(x, b) axis=1 broadcast=1"},
        {"Equal_axis", "Equal(x, b) axis=1 broadcast=1"},
        {"Greater_axis", "Greater(x, b) axis=1 broadcast=1"},
        {"Less_axis", "Less(x, b) axis=1 broadcast=1"},
        {"Add_suffix", "Add(x, b)"},
        {"Reshape", "Reshape(x, [2 -1])"},
        {"Concat", "Concat(x, b) axis=1"},
        {"Cast", "Cast(x) to=7"},
        {"Cast_double", "Cast(x) to=11"},
        {"Pad", "Pad(x, [0 1 0 2], 1.5)"},
        {"Split", "Split(x, [1 1]) axis=1 -> Split, Split_1"},
        {"Split_input", "Split(x, b) axis=1 -> Split_input, Split_input_1"},
        {"Upsample", "Resize(x, -, {1 1 2 3}) coordinate_transformation_mode=asymmetric "
                     "mode=linear nearest_mode=floor"},
        {"Gemm", "Gemm(x, x, b) transB=1"},
        {"PRelu", "PRelu(x, b) axis=1 broadcast=1"},
        {"Selu", "Selu(x) alpha=1.6732 gamma=1.0507"},
        {"LpPool", "LpPool(x) kernel_shape=2,2 p=3"},
        {"GlobalLpPool", "GlobalLpPool(x) p=1"},
        {"Dropout", "Dropout(x)"},
        {"BatchNormalization", "BatchNormalization(x, {1 2}, {1 2}, {1 2}, {1 2}) epsilon=0.5"},
        {"Clip", "Clip(x, -1, 6)"},
        {"Clip_max", "Clip(x, -, 6)"},
        {NULL, NULL}};
    check_model("upgrade1", cases);
}

static void opset_8(void)
{
    static const char *const cases[][2] = {
        {"Upsample", "Resize(x, -, {1 1 2 2}) coordinate_transformation_mode=asymmetric "
                     "mode=linear nearest_mode=floor"},
        {"BatchNormalization", "BatchNormalization(x, {1 2}, {1 2}, {1 2}, {1 2})"},
        {"Slice", "Slice(x, [0 1], [1 2], [0 1])"},
        {"Slice_no_axes", "Slice(x, [0], [1])"},
        {"TopK", "TopK(x, [3]) -> TopK, TopK_1"},
        {"Pad", "Pad(x, [0 0 1 1]) mode=reflect"},
        {"Sum", "Sum(x, b)"},
        {NULL, NULL}};
    check_model("upgrade8", cases);
}

static void opset_9(void)
{
    static const char *const cases[][2] = {
        {"Upsample", "Resize(x, -, {1 1 2 2}) coordinate_transformation_mode=asymmetric "
                     "mode=nearest nearest_mode=floor"},
        {"Scatter", "ScatterElements(x, b, b) axis=0"},
        {"Softmax", "Softmax(x) axis=1 coerce2d=1"},
        {"LogSoftmax", "LogSoftmax(x) axis=2 coerce2d=1"},
        {"Hardmax", "Hardmax(x) axis=1 coerce2d=1"},
        {NULL, NULL}};
    check_model("upgrade9", cases);
}

static void opset_10(void)
{
    static const char *const reductions[] = {"L1",   "L2",  "LogSum", "LogSumExp", "Max",
                                             "Mean", "Min", "Prod",   "Sum",       "SumSquare"};
    static const char *const cases[][2] = {
        {"ReduceMean_all", "ReduceMean(x)"},
        {"ReduceMean_empty", "ReduceMean(x)"},
        {"Resize", "Resize(x, -, {1 1 2 1}) coordinate_transformation_mode=asymmetric "
                   "nearest_mode=floor"},
        {"Resize_down", "Resize(x, -, {1 1 0.6 1}) coordinate_transformation_mode=asymmetric "
                        "nearest_mode=ceil"},
        {"Squeeze", "Squeeze(x, [0])"},
        {"Squeeze_all", "Squeeze(x)"},
        {"Unsqueeze", "Unsqueeze(x, [0 3])"},
        {"Split", "Split(x) axis=1 num_outputs=3 -> Split, Split_1, Split_2"},
        {"RoiAlign", "RoiAlign(x, b, b) coordinate_transformation_mode=output_half_pixel"},
        {NULL, NULL}};
    char name[64], expected[128];
    gc_graph *graph = read_model("upgrade10");
    for (size_t i = 0; graph != NULL && i < sizeof reductions / sizeof *reductions; i++) {
        snprintf(name, sizeof name, "Reduce%s", reductions[i]);
        snprintf(expected, sizeof expected, "%s(x, [-1 1]) keepdims=0", name);
        check_node(graph, name, expected);
    }
    gc_graph_destroy(&graph);
    check_model("upgrade10", cases);
}

static void opset_13(void)
{
    static const char *const cases[][2] = {
        {"Resize", "Resize(x, -, -, [1 2]) mode=linear"},
        {"Resize_names", "Resize(x, -, -, [1 2])"},
        {"ReduceSum", "ReduceSum(x, [1 2])"},
        {"ReduceMean", "ReduceMean(x, [2])"},
        {"Softmax", "Softmax(x)"},
        {"Clip", "Clip(x, -, b)"},
        {"Dropout", "Dropout(x)"},
        {"BatchNormalization", "BatchNormalization(x, {1 2}, {1 2}, {1 2}, {1 2})"},
        {"GridSample", "GridSample(x, b) mode=linear"},
        {"GroupNormalization", "GroupNormalization(x, b, b) num_groups=2 per_group=1"},
        {NULL, NULL}};
    check_model("upgrade13", cases);
}

static void opset_21_stays(void)
{
    static const char *const cases[][2] = {
        {"ReduceMean", "ReduceMean(x, [-1])"},
        {"Split", "Split(x) num_outputs=2 -> Split, Split_1"},
        {"GroupNormalization", "GroupNormalization(x, b, b) num_groups=2"},
        {"GridSample", "GridSample(x, b) mode=cubic"},
        {"RoiAlign", "RoiAlign(x, b, b)"},
        {"Add", "Add(x, b)"},
        {NULL, NULL}};
    check_model("upgrade21", cases);
}

static void masks_stay_where_they_are_used(void)
{
    static const char *const cases[][2] = {{"Dropout", "Dropout(x) -> a, mask"}, {NULL, NULL}};
    check_model("mask_used", cases);
}

/* The name that a new constant would like to have may be taken. */
static void new_names_are_unique(void)
{
    gc_graph *graph = read_model("upgrade_names");
    for (int a = 0; graph != NULL && a < graph->value_count; a++)
        for (int b = 0; b < a; b++)
            CHECK(strcmp(graph->values[a].name, graph->values[b].name) != 0);
    gc_graph_destroy(&graph);
}

static void functions_are_expanded(void)
{
    static const char *const expected[] = {
        "Elu(x) alpha=0.25",  "Squeeze(o1/e, [0])", "Mul(o1/e2, 2)",
        "Clip(o1/call/t)",    "Identity(o1/e2)",    "Elu(m)",
        "Squeeze(o2/e, [0])", "Mul(o2/e2, 2)",      "Clip(o2/call/t)",
        "Identity(o2/e2)",    "Identity(n)",        "Mul(n, 2)",
        "Clip(y/t, -, m)",
    };
    gc_graph *graph = read_model("functions");
    if (graph == NULL)
        return;
    CHECK_INT(graph->node_count, sizeof expected / sizeof *expected);
    size_t found = 0;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        for (int n = 0; n < graph->node_count; n++)
            if (strcmp(node_text(graph, &graph->nodes[n]), expected[i]) == 0) {
                found++;
                break;
            }
    CHECK_INT(found, sizeof expected / sizeof *expected);
    for (int n = 0; n < graph->node_count && found < sizeof expected / sizeof *expected; n++)
        fprintf(stderr, "  %s\n", node_text(graph, &graph->nodes[n]));
    CHECK_STR(graph->values[graph->outputs[0]].name, "y");
    CHECK_STR(graph->nodes[0].name, "o1/elu");
    CHECK_INT(graph->nodes[0].opset, 11);
    gc_graph_destroy(&graph);
}

TEST_MAIN(opset_1, opset_8, opset_9, opset_10, opset_13, opset_21_stays,
          masks_stay_where_they_are_used, new_names_are_unique, functions_are_expanded)
