/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX reader: encodings, structure, refusals, hostile bytes. Models come from
 * tests/oracle/make_onnx_fixtures.py. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "onnx/reader.h"
#include "test.h"

static gradcam_error error;

static const char *fixture(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/onnx/%s", FIXTURES, name);
    return path;
}

static gc_graph *read_model(const char *name)
{
    gc_graph *graph = NULL;
    CHECK_OK(gc_onnx_read_file(&graph, fixture(name), NULL, &error));
    return graph;
}

/* Reading fails with this status, and the message has this part. */
static void check_fails(const char *name, gradcam_status status, const char *part)
{
    gc_graph *graph = (gc_graph *)&error;
    memset(&error, 0, sizeof error);
    const gradcam_status found = gc_onnx_read_file(&graph, fixture(name), NULL, &error);
    if (found != status || error.status != status || strstr(error.message, part) == NULL ||
        strstr(error.message, name) == NULL || graph != NULL) {
        fprintf(stderr, "%s: status %d (%s), expected %d and \"%s\"\n", name, found, error.message,
                status, part);
        test_failures++;
    }
    gc_graph_destroy(&graph);
}

static const gc_tensor *constant(const gc_graph *graph, const char *name)
{
    const int index = graph != NULL ? gc_graph_find_value(graph, name) : -1;
    if (index < 0 || graph->values[index].constant == NULL) {
        fprintf(stderr, "no constant '%s'\n", name);
        test_failures++;
        return NULL;
    }
    return gc_constant_tensor(graph->values[index].constant);
}

/* ---- Encodings ------------------------------------------------------------------------------ */

static void check_encoding(const gc_graph *graph, const char *type, const char *encoding)
{
    char name[64], expected_name[64];
    snprintf(name, sizeof name, "%s.%s", type, encoding);
    snprintf(expected_name, sizeof expected_name, "%s.expected", type);
    const gc_tensor *const found = constant(graph, name);
    const gc_tensor *const expected = constant(graph, expected_name);
    if (found == NULL || expected == NULL)
        return;
    CHECK_STR(gc_dtype_name(found->dtype), type);
    CHECK_INT(gc_tensor_count(found), gc_tensor_count(expected));
    CHECK_INT(gc_dtype_is_float(found->dtype), gc_dtype_is_float(expected->dtype));
    for (int64_t i = 0; i < gc_tensor_count(expected); i++) {
        if (!gc_dtype_is_float(found->dtype))
            CHECK_INT(gc_ints(found)[i], gc_ints(expected)[i]);
        else if (isnan(gc_floats(expected)[i]))
            CHECK(isnan(gc_floats(found)[i]));
        else
            CHECK(memcmp(&gc_floats(found)[i], &gc_floats(expected)[i], sizeof(float)) == 0);
    }
}

static void every_type_in_every_encoding(void)
{
    static const char *const types[] = {"float32", "float64", "float16", "bfloat16", "uint8",
                                        "int8",    "uint16",  "int16",   "int32",    "int64",
                                        "uint32",  "uint64",  "bool"};
    gc_graph *graph = read_model("encodings.onnx");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        check_encoding(graph, types[i], "raw");
        check_encoding(graph, types[i], "typed");
        check_encoding(graph, types[i], "external");
    }
    const gc_tensor *t = constant(graph, "tail");
    CHECK(t != NULL && gc_ints(t)[2] == 0xee);
    t = constant(graph, "scalar");
    CHECK(t != NULL && t->rank == 0 && gc_floats(t)[0] == 7);
    t = constant(graph, "empty");
    CHECK(t != NULL && t->rank == 3 && gc_tensor_count(t) == 0);
    t = constant(graph, "empty_raw");
    CHECK(t != NULL && gc_ints(t)[0] == 9);
    gc_graph_destroy(&graph);
}

static void broken_tensors(void)
{
    static const struct {
        const char *name, *part;
        gradcam_status status;
    } cases[] = {
        {"bad_raw_short.onnx", "initializer 'w': float32 of shape 3x4 has 40 bytes of data; 48",
         GRADCAM_ERROR_MODEL},
        {"bad_raw_long.onnx", "has 12 bytes of data; 8 were expected", GRADCAM_ERROR_MODEL},
        {"bad_typed_count.onnx", "12 bytes of data; 16", GRADCAM_ERROR_MODEL},
        {"bad_typed_field.onnx", "no data", GRADCAM_ERROR_MODEL},
        {"bad_no_data.onnx", "no data", GRADCAM_ERROR_MODEL},
        {"bad_negative.onnx", "negative", GRADCAM_ERROR_MODEL},
        {"bad_overflow.onnx", "overflows", GRADCAM_ERROR_MODEL},
        {"bad_hidden_overflow.onnx", "overflows", GRADCAM_ERROR_MODEL},
        {"bad_no_type.onnx", "no element type", GRADCAM_ERROR_MODEL},
        {"bad_no_name.onnx", "no name", GRADCAM_ERROR_MODEL},
        {"bad_external_absolute.onnx", "'/etc/passwd' is outside", GRADCAM_ERROR_MODEL},
        {"bad_external_climbing.onnx", "outside the model's folder", GRADCAM_ERROR_MODEL},
        {"bad_external_missing.onnx", "'nowhere.bin'", GRADCAM_ERROR_FILE},
        {"bad_external_nameless.onnx", "no location", GRADCAM_ERROR_MODEL},
        {"bad_external_folder.onnx", "is a folder", GRADCAM_ERROR_FILE},
        {"bad_external_short.onnx", "4 at offset 1048576 were expected", GRADCAM_ERROR_MODEL},
        {"bad_external_wrapping.onnx", "4 at offset 9223372036854775807", GRADCAM_ERROR_MODEL},
        {"bad_external_huge.onnx", "not a number", GRADCAM_ERROR_MODEL},
        {"bad_external_negative.onnx", "not a number", GRADCAM_ERROR_MODEL},
        {"bad_external_length.onnx", "3 bytes of external data; 4", GRADCAM_ERROR_MODEL},
        {"bad_external_count.onnx", "4398046511104 at offset 0", GRADCAM_ERROR_MODEL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_fails(cases[i].name, cases[i].status, cases[i].part);
}

static void unrepresentable_constants_matter_only_when_used(void)
{
    static const char *const kinds[] = {"string", "complex", "float8", "rank9", "segment"};
    char name[64];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(name, sizeof name, "refused_%s.onnx", kinds[i]);
        check_fails(name, GRADCAM_ERROR_UNSUPPORTED, "constant 'w', used by node 'add' (Add): ");
        snprintf(name, sizeof name, "unused_%s.onnx", kinds[i]);
        memset(&error, 0, sizeof error);
        gc_graph *graph = read_model(name);
        CHECK_STR(error.message, ""); /* success leaves the error alone */
        gc_graph_destroy(&graph);
    }
    check_fails("refused_sparse.onnx", GRADCAM_ERROR_UNSUPPORTED, "sparse");
}

static uint8_t *read_bytes(const char *path, size_t *size)
{
    FILE *const file = fopen(path, "rb");
    uint8_t *bytes = malloc(1 << 20);
    *size = 0;
    if (file != NULL && bytes != NULL)
        *size = fread(bytes, 1, 1 << 20, file);
    CHECK(*size > 0 && *size < 1 << 20);
    if (file != NULL)
        fclose(file);
    return bytes;
}

static void external_data_needs_a_folder(void)
{
    size_t size;
    gc_graph *graph = NULL;
    uint8_t *const bytes = read_bytes(fixture("bad_external_short.onnx"), &size);
    CHECK_INT(gc_onnx_read(&graph, bytes, size, NULL, &error), GRADCAM_ERROR_UNSUPPORTED);
    CHECK(strstr(error.message, "'encodings.bin'") != NULL);
    free(bytes);
}

static void write_bytes(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *const file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(bytes, 1, size, file) == size);
    if (file != NULL)
        fclose(file);
}

static void links_may_not_lead_out(void)
{
    char folder[] = "/tmp/gradcam_test_XXXXXX", path[1024], target[1024];
    size_t size;
    gc_graph *graph = NULL;
    uint8_t *const bytes = read_bytes(fixture("bad_external_missing.onnx"), &size);
    CHECK(mkdtemp(folder) != NULL);
    write_bytes(folder, "model.onnx", bytes, size);
    snprintf(path, sizeof path, "%s/nowhere.bin", folder);

    CHECK(symlink("/etc/hostname", path) == 0);
    CHECK_INT(gc_onnx_read(&graph, bytes, size, folder, &error), GRADCAM_ERROR_MODEL);
    CHECK(strstr(error.message, "leads out of the model's folder") != NULL);
    CHECK(unlink(path) == 0);

    CHECK(symlink("inside.bin", path) == 0);
    write_bytes(folder, "inside.bin", "\0\0\0\x40", 4);
    CHECK_OK(gc_onnx_read(&graph, bytes, size, folder, &error));
    const gc_tensor *const w = constant(graph, "w");
    CHECK(w != NULL && gc_floats(w)[0] == 2);
    gc_graph_destroy(&graph);
    CHECK(unlink(path) == 0);

    CHECK(mkfifo(path, 0600) == 0); /* must not wait for a writer */
    CHECK_INT(gc_onnx_read(&graph, bytes, size, folder, &error), GRADCAM_ERROR_FILE);
    CHECK_INT(gc_onnx_read_file(&graph, path, NULL, &error), GRADCAM_ERROR_FILE);
    CHECK_INT(gc_onnx_read_file(&graph, folder, NULL, &error), GRADCAM_ERROR_FILE);
    CHECK(strstr(error.message, "is a folder") != NULL);
    static const char *const names[] = {"nowhere.bin", "inside.bin", "model.onnx"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(target, sizeof target, "%s/%s", folder, names[i]);
        CHECK(unlink(target) == 0);
    }
    CHECK(rmdir(folder) == 0);
    free(bytes);
}

static void tensor_files(void)
{
    size_t size;
    gc_tensor tensor;
    uint8_t *const bytes = read_bytes(fixture("tensor.pb"), &size);
    CHECK_OK(gc_onnx_read_tensor(&tensor, bytes, size, &error));
    CHECK_INT(tensor.rank, 2);
    CHECK_INT(tensor.dims[1], 3);
    CHECK_NEAR(gc_floats(&tensor)[2], 3, 0);
    gc_tensor_free(&tensor);
    for (size_t cut = 0; cut < size; cut++) {
        const gradcam_status status = gc_onnx_read_tensor(&tensor, bytes, cut, &error);
        CHECK(status != GRADCAM_OK || cut > 4);
        gc_tensor_free(&tensor);
    }
    free(bytes);
}

/* ---- Structure ------------------------------------------------------------------------------ */

static void inputs_and_their_shapes(void)
{
    char text[GC_SHAPE_TEXT];
    gc_graph *graph = read_model("inputs.onnx");
    CHECK_INT(graph->input_count, 3);
    const gc_value *const x = &graph->values[graph->inputs[0]];
    CHECK_STR(x->name, "x");
    CHECK_STR(gc_shape_text(&x->type, text), "?x3x?x224");
    CHECK_INT(x->type.dtype, GC_FLOAT32);
    CHECK_INT(graph->values[graph->inputs[1]].type.rank, -1);
    CHECK_INT(graph->values[graph->inputs[2]].type.rank, 0);
    CHECK_INT(graph->values[graph->inputs[2]].type.dtype, GC_FLOAT16);
    CHECK(constant(graph, "w") != NULL); /* listed as an input, too, but given */
    CHECK_STR(graph->producer, "maker 1.2");
    CHECK_INT(graph->ir_version, 3);
    gc_graph_destroy(&graph);
}

static void absent_operands(void)
{
    gc_graph *graph = read_model("absent.onnx");
    CHECK_INT(graph->nodes[0].input_count, 3);
    CHECK_INT(graph->nodes[0].inputs[1], GC_ABSENT);
    CHECK_INT(graph->nodes[0].output_count, 2);
    CHECK_INT(graph->nodes[0].outputs[1], GC_ABSENT);
    CHECK_INT(graph->nodes[1].input_count, 2);
    gc_graph_destroy(&graph);
}

static void order_is_restored(void)
{
    gc_graph *graph = read_model("shuffled.onnx");
    CHECK_STR(graph->nodes[0].name, "first");
    CHECK_STR(graph->nodes[1].name, "second");
    CHECK_STR(graph->nodes[2].name, "third");
    CHECK_INT(graph->values[graph->outputs[0]].producer, 2);
    gc_graph_destroy(&graph);
}

static void domains_and_metadata(void)
{
    gc_graph *graph = read_model("foreign.onnx");
    CHECK_STR(graph->nodes[0].domain, "");
    CHECK_INT(graph->nodes[0].opset, 15);
    /* ONNX Runtime's own Gelu is read as the standard one. */
    CHECK_STR(graph->nodes[1].op, "Gelu");
    CHECK_STR(graph->nodes[1].domain, "");
    CHECK_INT(graph->metadata_count, 2);
    CHECK_STR(graph->metadata[0].key, "labels");
    CHECK_STR(graph->metadata[0].value, "cat,dog");
    CHECK_STR(graph->metadata[1].value, "");
    gc_graph_destroy(&graph);
    graph = read_model("ir2.onnx");
    CHECK_INT(graph->nodes[0].opset, 1);
    gc_graph_destroy(&graph);
    graph = read_model("future.onnx");
    CHECK_INT(graph->nodes[0].opset, 99);
    gc_graph_destroy(&graph);
    graph = read_model("direct_output.onnx");
    CHECK_INT(graph->outputs[0], graph->inputs[0]);
    gc_graph_destroy(&graph);
}

static void constant_nodes(void)
{
    gc_graph *graph = read_model("constants.onnx");
    CHECK_INT(graph->node_count, 1);
    const gc_tensor *t = constant(graph, "late");
    CHECK(t != NULL && t->rank == 2 && gc_floats(t)[1] == 4);
    t = constant(graph, "f");
    CHECK(t != NULL && t->rank == 0 && gc_floats(t)[0] == 0.5f);
    t = constant(graph, "fs");
    CHECK(t != NULL && t->dims[0] == 2 && gc_floats(t)[1] == 2);
    t = constant(graph, "i");
    CHECK(t != NULL && t->rank == 0 && gc_ints(t)[0] == -7);
    t = constant(graph, "is");
    CHECK(t != NULL && t->dims[0] == 3 && gc_ints(t)[2] == 3);
    gc_graph_destroy(&graph);
}

static void check_attributes(const char *name)
{
    size_t count = 0;
    gc_graph *graph = read_model(name);
    const gc_node *const node = &graph->nodes[0];
    CHECK_INT(node->attr_count, 8);
    CHECK_NEAR(gc_attr_float(node, "f", 0), 1.5, 0);
    CHECK_INT(gc_attr_int(node, "i", 0), -3);
    CHECK_STR(gc_attr_string(node, "s", ""), "text");
    const int64_t *const ints = gc_attr_ints(node, "ii", &count);
    CHECK(count == 2 && ints[1] == 5);
    const gc_attr *attr = gc_attr_find(node, "fs");
    CHECK(attr->type == GC_ATTR_FLOATS && attr->count == 2 && attr->floats[1] == 2);
    attr = gc_attr_find(node, "ss");
    CHECK(attr->type == GC_ATTR_STRINGS && attr->count == 2);
    CHECK_STR(attr->strings[1], "b");
    attr = gc_attr_find(node, "t");
    CHECK(attr->type == GC_ATTR_TENSOR && gc_ints(gc_constant_tensor(attr->tensor))[0] == 8);
    CHECK_INT(gc_attr_find(node, "g")->type, GC_ATTR_GRAPH);
    gc_graph_destroy(&graph);
}

static void attributes_with_and_without_type(void)
{
    check_attributes("typed.onnx");
    check_attributes("typeless.onnx");
}

static void broken_structure(void)
{
    static const struct {
        const char *name, *part;
    } cases[] = {
        {"cycle.onnx", "node 'one' (Add) is part of a cycle"},
        {"dangling.onnx", "node 'add' (Add): input 'ghost' is made by no node"},
        {"two_makers.onnx", "already made by another node"},
        {"two_initializers.onnx", "'w' is defined twice"},
        {"two_inputs.onnx", "'x' is listed twice"},
        {"made_initializer.onnx", "also an initializer"},
        {"made_input.onnx", "also the output"},
        {"no_outputs.onnx", "no outputs"},
        {"ghost_output.onnx", "'ghost' is made by no node"},
        {"no_opset.onnx", "imports no version"},
        {"bad_opset.onnx", "opset version -3"},
        {"no_operator.onnx", "no operator type"},
        {"attribute_twice.onnx", "attribute 'alpha' is given twice"},
        {"reference_outside.onnx", "outside a function"},
        {"many_operands.onnx", "has 3 inputs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_fails(cases[i].name, GRADCAM_ERROR_MODEL, cases[i].part);
    check_fails("rank9_input.onnx", GRADCAM_ERROR_UNSUPPORTED, "9 extents");
    check_fails("spatial0.onnx", GRADCAM_ERROR_UNSUPPORTED, "spatial = 0");
    check_fails("tile1.onnx", GRADCAM_ERROR_UNSUPPORTED, "separate axis");
    check_fails("recursive.onnx", GRADCAM_ERROR_LIMIT, "functions call each other");
}

/* ---- Not a model ---------------------------------------------------------------------------- */

static void other_files_are_recognised(void)
{
#define BYTES(text) text, sizeof(text) - 1
    static const struct {
        const char *bytes;
        size_t size;
        const char *part;
    } cases[] = {
        {BYTES(""), "empty (0 bytes)"},
        {BYTES("\x08"), "truncated or not an ONNX model"},
        {BYTES("\x08\x07"), "no graph (2 bytes in all)"},
        {BYTES("\x3a\x00"), "no IR version"},
        {BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:1"), "git lfs pull"},
        {BYTES("\x1c\0\0\0TFL3\x14\0 \0\0\0\0\0"), "tf2onnx --tflite"},
        {BYTES("\x89HDF\r\n\x1a\n\0\0\0\0"), "HDF5"},
        {BYTES("\x80\x02\x8a\nl\xfc\x9c"), "torch.onnx.export"},
        {BYTES("PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x12\0"
               "archive/data.pklFB\x0e\0ZZZZZZZZZZZZZZZZZZZZZZZZZZZ"),
         "PyTorch .pt file; export it with torch.onnx.export"},
        {BYTES("PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x12\0"
               "metadata.json...........................................ZZ"),
         "Keras"},
        {BYTES("\x40\0\0\0\0\0\0\0{\"a\":1}"), "safetensors"},
        {BYTES("<!DOCTYPE html><html>"), "web page"},
        {BYTES("random words that are no model"), "truncated or not an ONNX model"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gc_graph *graph = NULL;
        CHECK_INT(gc_onnx_read(&graph, cases[i].bytes, cases[i].size, NULL, &error),
                  GRADCAM_ERROR_MODEL);
        if (strstr(error.message, cases[i].part) == NULL) {
            fprintf(stderr, "case %zu: \"%s\" lacks \"%s\"\n", i, error.message, cases[i].part);
            test_failures++;
        }
    }
    check_fails("nowhere.onnx", GRADCAM_ERROR_FILE, "No such file");
    gc_graph *graph = NULL;
    CHECK_INT(gc_onnx_read_file(&graph, fixture("nowhere.onnx"), NULL, NULL), GRADCAM_ERROR_FILE);
}

/* ---- Hostile bytes -------------------------------------------------------------------------- */

/* The opset import is the last field of these files, so that no prefix is a model. */
static void every_prefix_is_refused(void)
{
    static const char *const names[] = {"upgrade1.onnx", "encodings.onnx", "absent.onnx",
                                        "inputs.onnx"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size;
        uint8_t *const bytes = read_bytes(fixture(names[i]), &size);
        for (size_t cut = 0; cut < size; cut++) {
            /* A block of its own, so that the sanitizer sees a read behind its end. */
            uint8_t *const part = malloc(cut + 1);
            gc_graph *graph = NULL;
            memcpy(part + 1, bytes, cut);
            const gradcam_status status =
                gc_onnx_read(&graph, part + 1, cut, FIXTURES "/onnx", &error);
            if (status != GRADCAM_ERROR_MODEL || graph != NULL) {
                fprintf(stderr, "%s cut to %zu of %zu bytes: status %d\n", names[i], cut, size,
                        status);
                test_failures++;
            }
            gc_graph_destroy(&graph);
            free(part);
        }
        free(bytes);
    }
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void damage(uint8_t *bytes, size_t size, uint32_t *state)
{
    const uint32_t times = 1 + next_random(state) % 4;
    for (uint32_t i = 0; i < times && size > 0; i++) {
        uint8_t *const byte = &bytes[next_random(state) % size];
        const uint32_t kind = next_random(state) % 4;
        *byte = kind == 0   ? (uint8_t)(*byte ^ 1u << next_random(state) % 8)
                : kind == 1 ? (uint8_t)next_random(state)
                : kind == 2 ? 0xff
                            : 0;
    }
}

static void damaged_bytes_never_crash(void)
{
    static const char *const names[] = {"upgrade1.onnx",  "upgrade8.onnx",       "upgrade10.onnx",
                                        "upgrade13.onnx", "typed.onnx",          "inputs.onnx",
                                        "functions.onnx", "encodings.onnx",      "absent.onnx",
                                        "foreign.onnx",   "refused_sparse.onnx", "constants.onnx"};
    uint32_t state = 20240229;
    int read = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t size;
        uint8_t *const bytes = read_bytes(fixture(names[i]), &size);
        uint8_t *const copy = malloc(size);
        for (int round = 0; round < DAMAGE_ROUNDS; round++) {
            gc_graph *graph = NULL;
            memcpy(copy, bytes, size);
            damage(copy, size, &state);
            const gradcam_status status =
                gc_onnx_read(&graph, copy, size, FIXTURES "/onnx", &error);
            CHECK((status == GRADCAM_OK) == (graph != NULL));
            CHECK(status != GRADCAM_ERROR_INTERNAL && status != GRADCAM_ERROR_ARGUMENT);
            read += status == GRADCAM_OK;
            gc_graph_destroy(&graph);
        }
        free(copy);
        free(bytes);
    }
    printf("%d damaged models could be read\n", read);
}

TEST_MAIN(every_type_in_every_encoding, broken_tensors,
          unrepresentable_constants_matter_only_when_used, external_data_needs_a_folder,
          links_may_not_lead_out, tensor_files, inputs_and_their_shapes, absent_operands,
          order_is_restored, domains_and_metadata, constant_nodes, attributes_with_and_without_type,
          broken_structure, other_files_are_recognised, every_prefix_is_refused,
          damaged_bytes_never_crash)
