/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weights that stay in the model file until they are packed: however they are encoded, the results
 * are the same bytes; a file that changes in between, and weights that are not finite, are errors
 * that name them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "graph/graph.h"
#include "onnx/reader.h"
#include "test.h"

enum { SIDE = 24, CHANNELS = 48, CLASSES = 5, INPUT = 3 * SIDE * SIDE };
enum { FIRST = CHANNELS * 3 * 11 * 11, SECOND = CHANNELS * CHANNELS * 3 * 3 };

static gradcam_error error;
static char path[] = "/tmp/gradcam-stored-XXXXXX";
/* Files of external data, in its folder. */
enum { DATA_FILES = 20 };
static char data_paths[DATA_FILES][sizeof path + 8];

/* ---- A model -------------------------------------------------------------------------------- */

/* A serialized message that grows. */
typedef struct message {
    uint8_t *bytes;
    size_t size, capacity;
} message;

static void put(message *m, const void *bytes, size_t size)
{
    if (m->size + size > m->capacity) {
        m->capacity = 2 * (m->size + size);
        m->bytes = realloc(m->bytes, m->capacity);
        if (m->bytes == NULL)
            abort();
    }
    memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

static void put_varint(message *m, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put(m, &(uint8_t){(uint8_t)(value | 0x80)}, 1);
    put(m, &(uint8_t){(uint8_t)value}, 1);
}

static void put_int(message *m, unsigned field, uint64_t value)
{
    put_varint(m, field << 3);
    put_varint(m, value);
}

static void put_bytes(message *m, unsigned field, const void *bytes, size_t size)
{
    put_varint(m, field << 3 | 2);
    put_varint(m, size);
    put(m, bytes, size);
}

static void put_text(message *m, unsigned field, const char *text)
{
    put_bytes(m, field, text, strlen(text));
}

/* Takes over `part`. */
static void put_message(message *m, unsigned field, message part)
{
    put_bytes(m, field, part.bytes, part.size);
    free(part.bytes);
}

/* How elements are written. */
typedef enum encoding {
    RAW,
    FLOATS,
    FLOATS_IN_PIECES,
    FLOATS_UNPACKED,
    RAW_TWICE,
    EXTERNAL,     /* in one file for all */
    EXTERNAL_EACH /* in a file of its own */
} encoding;

static void write_to(const char *file_path, const void *bytes, size_t size, bool anew)
{
    const int file = open(file_path, O_WRONLY | O_CREAT | (anew ? O_TRUNC : O_APPEND), 0600);
    CHECK(file >= 0 && write(file, bytes, size) == (ssize_t)size);
    close(file);
}

static void put_entry(message *m, const char *key, const char *value)
{
    message entry = {NULL, 0, 0};
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_message(m, 13, entry);
}

/* Appends the elements to file number `file`. */
static void put_external(message *m, int file, const float *values, size_t count)
{
    char number[24];
    struct stat info = {.st_size = 0};
    stat(data_paths[file], &info);
    write_to(data_paths[file], values, count * sizeof *values, false);
    put_int(m, 14, 1);
    put_entry(m, "location", strrchr(data_paths[file], '/') + 1);
    snprintf(number, sizeof number, "%lld", (long long)info.st_size);
    put_entry(m, "offset", number);
    snprintf(number, sizeof number, "%zu", count * sizeof *values);
    put_entry(m, "length", number);
}

static void remove_data(void)
{
    for (int i = 0; i < DATA_FILES; i++)
        unlink(data_paths[i]);
}

/* The number of the next one that is written to a file of its own. */
static int next_file;

static void put_elements(message *m, encoding how, const float *values, size_t count)
{
    const size_t part = count / 3;
    const uint8_t fixed32 = 4 << 3 | 5;
    switch (how) {
    case RAW_TWICE: /* the last counts */
        put_bytes(m, 9, values + 1, (count - 1) * sizeof *values);
        put_bytes(m, 9, values, count * sizeof *values);
        break;
    case RAW:
        put_bytes(m, 9, values, count * sizeof *values);
        break;
    case FLOATS:
        put_bytes(m, 4, values, count * sizeof *values);
        break;
    case FLOATS_IN_PIECES: /* a large one and a small one */
        put_bytes(m, 4, values, (count - 7) * sizeof *values);
        put_bytes(m, 4, values + count - 7, 7 * sizeof *values);
        break;
    case FLOATS_UNPACKED: /* and a packed rest */
        for (size_t i = 0; i < part; i++) {
            put(m, &fixed32, 1);
            put(m, values + i, sizeof *values);
        }
        put_bytes(m, 4, values + part, (count - part) * sizeof *values);
        break;
    case EXTERNAL:
        put_external(m, 0, values, count);
        break;
    case EXTERNAL_EACH:
        put_external(m, next_file++ % DATA_FILES, values, count);
        break;
    }
}

static void put_initializer(message *graph, const char *name, encoding how, const float *values,
                            const int *dims, int rank)
{
    message tensor = {NULL, 0, 0};
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        put_int(&tensor, 1, (uint64_t)dims[i]);
        count *= (size_t)dims[i];
    }
    put_int(&tensor, 2, 1); /* float32 */
    put_elements(&tensor, how, values, count);
    put_text(&tensor, 8, name);
    put_message(graph, 5, tensor);
}

static void put_node(message *graph, const char *op, const char *name, const char *input,
                     const char *weights, const char *output)
{
    message node = {NULL, 0, 0};
    put_text(&node, 1, input);
    if (weights != NULL)
        put_text(&node, 1, weights);
    put_text(&node, 2, output);
    put_text(&node, 3, name);
    put_text(&node, 4, op);
    put_message(graph, 1, node);
}

static void put_value(message *graph, unsigned field, const char *name, const int *dims, int rank)
{
    message shape = {NULL, 0, 0}, tensor = {NULL, 0, 0}, type = {NULL, 0, 0}, value = {NULL, 0, 0};
    for (int i = 0; i < rank; i++) {
        message dim = {NULL, 0, 0};
        put_int(&dim, 1, (uint64_t)dims[i]);
        put_message(&shape, 1, dim);
    }
    put_int(&tensor, 1, 1);
    put_message(&tensor, 2, shape);
    put_message(&type, 1, tensor);
    put_text(&value, 1, name);
    put_message(&value, 2, type);
    put_message(graph, field, value);
}

static float first[FIRST], second[SECOND], linear[CLASSES * CHANNELS], mask[SECOND];

static void fill(float *values, size_t count, uint32_t seed, float scale)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = ((float)(seed >> 8) / (float)(1 << 24) - 0.5f) * scale;
    }
}

static void fill_weights(void)
{
    fill(first, FIRST, 1, 0.2f);
    fill(second, SECOND, 2, 0.2f);
    fill(linear, CLASSES * CHANNELS, 3, 1.0f);
    for (int i = 0; i < SECOND; i++)
        mask[i] = i % 3 == 0 ? -INFINITY : 0.0f;
}

/* Takes over `graph`. */
static message model_of(message graph)
{
    message opset = {NULL, 0, 0}, model = {NULL, 0, 0};
    put_int(&opset, 2, 13);
    put_int(&model, 1, 8); /* IR version */
    put_message(&model, 7, graph);
    put_message(&model, 8, opset);
    return model;
}

/* Two convolutions and a linear layer. A second result is a constant: "w2", the weights of a
 * convolution, or "mask", which is not finite; NULL: there is none. */
static message make_model(encoding how, const char *result)
{
    remove_data();
    next_file = 0;
    write_to(data_paths[0], "odd", 3, true); /* elements that are not aligned */
    message graph = {NULL, 0, 0};
    put_node(&graph, "Conv", "conv1", "x", "w1", "a");
    put_node(&graph, "Relu", "", "a", NULL, "b");
    put_node(&graph, "Conv", "conv2", "b", "w2", "c");
    put_node(&graph, "Relu", "", "c", NULL, "d");
    put_node(&graph, "GlobalAveragePool", "", "d", NULL, "e");
    put_node(&graph, "Flatten", "", "e", NULL, "f");
    put_node(&graph, "MatMul", "", "f", "w3", "scores");
    put_text(&graph, 2, "stored");
    put_initializer(&graph, "w1", how, first, (int[]){CHANNELS, 3, 11, 11}, 4);
    put_initializer(&graph, "w2", how, second, (int[]){CHANNELS, CHANNELS, 3, 3}, 4);
    put_initializer(&graph, "w3", RAW, linear, (int[]){CHANNELS, CLASSES}, 2);
    put_value(&graph, 11, "x", (int[]){1, 3, SIDE, SIDE}, 4);
    put_value(&graph, 12, "scores", (int[]){1, CLASSES}, 2);
    if (result != NULL) {
        put_initializer(&graph, "mask", how, mask, (int[]){CHANNELS, CHANNELS, 3, 3}, 4);
        put_node(&graph, "Identity", "", result, NULL, "copy");
        put_value(&graph, 12, "copy", (int[]){CHANNELS, CHANNELS, 3, 3}, 4);
    }
    return model_of(graph);
}

static void write_model(encoding how, const char *result)
{
    message model = make_model(how, result);
    write_to(path, model.bytes, model.size, true);
    free(model.bytes);
}

/* ---- Results -------------------------------------------------------------------------------- */

enum { MAP = 12 * 12 };

typedef struct session {
    gradcam_model *model;
    gradcam_explainer *explainer;
} session;

static void close_session(session *s)
{
    gradcam_explainer_destroy(&s->explainer);
    gradcam_model_destroy(&s->model);
}

static void explain(session *s, float map[MAP])
{
    static float input[INPUT];
    const int64_t dims[] = {1, 3, SIDE, SIDE};
    gradcam_explanation *x = NULL;
    fill(input, INPUT, 4, 2.0f);
    memset(map, 0, MAP * sizeof *map);
    CHECK_OK(gradcam_explain_tensor(s->explainer, input, 4, dims, NULL, 0, 0, NULL, 0, &x, &error));
    const gradcam_map *const found = x != NULL ? gradcam_explanation_map(x, 0) : NULL;
    CHECK(found != NULL && found->width * found->height == MAP);
    if (found != NULL && found->width * found->height == MAP)
        memcpy(map, found->raw, MAP * sizeof *map);
    gradcam_explanation_destroy(&x);
}

static void explain_file(float map[MAP])
{
    session s = {NULL, NULL};
    CHECK_OK(gradcam_model_load(&s.model, path, NULL, &error));
    CHECK_OK(gradcam_explainer_create(&s.explainer, s.model, NULL, &error));
    if (s.explainer != NULL)
        explain(&s, map);
    close_session(&s);
}

/* The message of the failure to make an explainer of a loaded model. */
static void expect_refusal(gradcam_model *model, gradcam_status status, const char *const *parts)
{
    gradcam_explainer *explainer = NULL;
    CHECK_INT(gradcam_explainer_create(&explainer, model, NULL, &error), status);
    for (; *parts != NULL; parts++)
        if (strstr(error.message, *parts) == NULL) {
            fprintf(stderr, "'%s' is not in \"%s\"\n", *parts, error.message);
            test_failures++;
        }
    gradcam_explainer_destroy(&explainer);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

static const gc_constant *constant_of(const gc_graph *graph, const char *name)
{
    const int value = gc_graph_find_value(graph, name);
    return value >= 0 ? graph->values[value].constant : NULL;
}

static void check_constant(const gc_graph *graph, const char *name, const float *values,
                           size_t count, bool is_stored)
{
    gc_tensor tensor;
    const gc_constant *const c = constant_of(graph, name);
    CHECK(c != NULL);
    if (c == NULL)
        return;
    CHECK_INT(gc_constant_is_stored(c), is_stored);
    CHECK_INT(gc_constant_tensor(c)->data == NULL, is_stored);
    CHECK_OK(gc_constant_load((gc_constant *)(uintptr_t)c, &tensor, &error));
    CHECK_INT(gc_tensor_count(&tensor), count);
    CHECK(tensor.data != NULL && memcmp(tensor.data, values, count * sizeof *values) == 0);
}

/* What may stay in the file does, and nothing else. */
static void encodings(void)
{
    static const bool stays[] = {[RAW] = true,
                                 [FLOATS] = true,
                                 [FLOATS_IN_PIECES] = false,
                                 [FLOATS_UNPACKED] = false,
                                 [RAW_TWICE] = true,
                                 [EXTERNAL] = true,
                                 [EXTERNAL_EACH] = true};
    static float expected[MAP], map[MAP];
    for (int how = RAW; how <= EXTERNAL_EACH; how++) {
        gc_graph *graph = NULL;
        write_model((encoding)how, NULL);
        CHECK_OK(gc_onnx_read_file(&graph, path, NULL, &error));
        if (graph == NULL)
            continue;
        check_constant(graph, "w1", first, FIRST, stays[how]);
        check_constant(graph, "w2", second, SECOND, stays[how]);
        check_constant(graph, "w3", linear, CLASSES * CHANNELS, false);
        gc_graph_destroy(&graph);
        explain_file(how == RAW ? expected : map);
        if (how != RAW)
            CHECK(memcmp(map, expected, sizeof map) == 0);
    }
    float largest = 0.0f;
    for (int i = 0; i < MAP; i++)
        largest = fmaxf(largest, expected[i]);
    CHECK(largest > 0.0f);
}

static void with_other_readers(void)
{
    gc_graph *graph = NULL;
    write_model(RAW, "w2");
    CHECK_OK(gc_onnx_read_file(&graph, path, NULL, &error));
    if (graph == NULL)
        return;
    check_constant(graph, "w1", first, FIRST, true);
    check_constant(graph, "w2", second, SECOND, false);
    gc_graph_destroy(&graph);
    write_model(RAW, "mask");
    CHECK_OK(gc_onnx_read_file(&graph, path, NULL, &error));
    if (graph == NULL)
        return;
    check_constant(graph, "w2", second, SECOND, true);
    check_constant(graph, "mask", mask, SECOND, false);
    gc_graph_destroy(&graph);
}

static void from_memory(void)
{
    gc_graph *graph = NULL;
    message model = make_model(RAW, NULL);
    CHECK_OK(gc_onnx_read(&graph, model.bytes, model.size, NULL, &error));
    if (graph != NULL)
        check_constant(graph, "w2", second, SECOND, false);
    gc_graph_destroy(&graph);
    free(model.bytes);
}

static void file_changes(void)
{
    session s = {NULL, NULL};
    const message model = make_model(RAW, NULL);
    static float expected[MAP], map[MAP];
    write_model(RAW, NULL);
    explain_file(expected);

    /* Removed: the open file is still there. */
    CHECK_OK(gradcam_model_load(&s.model, path, NULL, &error));
    unlink(path);
    CHECK_OK(gradcam_explainer_create(&s.explainer, s.model, NULL, &error));
    explain(&s, map);
    CHECK(memcmp(map, expected, sizeof map) == 0);
    close_session(&s);

    /* Cut short. */
    static const char *const shorter[] = {"conv1", "'w1'", "the file became shorter", NULL};
    write_model(RAW, NULL);
    CHECK_OK(gradcam_model_load(&s.model, path, NULL, &error));
    CHECK_INT(truncate(path, 100), 0);
    expect_refusal(s.model, GRADCAM_ERROR_FILE, shorter);
    close_session(&s);

    /* Written to. */
    static const char *const changed[] = {path, "conv1", "'w1'", "was written to after it was",
                                          NULL};
    write_model(RAW, NULL);
    CHECK_OK(gradcam_model_load(&s.model, path, NULL, &error));
    write_to(path, model.bytes, model.size, true);
    const struct timespec times[] = {{.tv_sec = 1}, {.tv_sec = 1}};
    CHECK_INT(utimensat(AT_FDCWD, path, times, 0), 0);
    expect_refusal(s.model, GRADCAM_ERROR_FILE, changed);
    close_session(&s);
    free(model.bytes);
}

static void not_finite(void)
{
    static const char *const parts[] = {"conv2", "'w2'", "NaN or infinity", NULL};
    for (int i = 0; i < 2; i++) {
        session s = {NULL, NULL};
        second[SECOND - 1] = i == 0 ? NAN : INFINITY;
        write_model(RAW, NULL);
        CHECK_OK(gradcam_model_load(&s.model, path, NULL, &error));
        expect_refusal(s.model, GRADCAM_ERROR_NUMERIC, parts);
        close_session(&s);
    }
    fill_weights();
}

static void change_data(void)
{
    static const float zero = 0.0f;
    const struct timespec times[] = {{.tv_sec = 1}, {.tv_sec = 1}};
    const int file = open(data_paths[0], O_WRONLY);
    CHECK(file >= 0 && pwrite(file, &zero, sizeof zero, 3) == (ssize_t)sizeof zero);
    close(file);
    CHECK_INT(utimensat(AT_FDCWD, data_paths[0], times, 0), 0);
}

static void external_file_changes(void)
{
    const char *const shorter[] = {data_paths[0], "conv1", "'w1'", "the file became shorter", NULL};
    const char *const changed[] = {data_paths[0], "conv1", "'w1'", "was written to after it was",
                                   NULL};
    static float expected[MAP], map[MAP];
    session s = {NULL, NULL};
    write_model(EXTERNAL, NULL);
    explain_file(expected);
    CHECK_OK(gradcam_model_load(&s.model, path, NULL, &error));
    remove_data();
    CHECK_OK(gradcam_explainer_create(&s.explainer, s.model, NULL, &error));
    explain(&s, map);
    CHECK(memcmp(map, expected, sizeof map) == 0);
    close_session(&s);

    write_model(EXTERNAL, NULL);
    CHECK_OK(gradcam_model_load(&s.model, path, NULL, &error));
    CHECK_INT(truncate(data_paths[0], 100), 0);
    expect_refusal(s.model, GRADCAM_ERROR_FILE, shorter);
    close_session(&s);

    write_model(EXTERNAL, NULL);
    CHECK_OK(gradcam_model_load(&s.model, path, NULL, &error));
    change_data();
    expect_refusal(s.model, GRADCAM_ERROR_FILE, changed);
    close_session(&s);
}

static int open_files(void)
{
    int count = 0;
    for (int i = 0; i < 256; i++)
        count += fcntl(i, F_GETFD) != -1;
    return count;
}

/* Of many files not all stay open. */
static void many_files(void)
{
    enum { COUNT = DATA_FILES, MOST = 16 };
    static const int dims[] = {CHANNELS, CHANNELS, 3, 3};
    const int before = open_files();
    int stored = 0;
    message graph = {NULL, 0, 0};
    gc_graph *read = NULL;
    remove_data();
    next_file = 0;
    for (int i = 0; i < COUNT; i++) {
        char name[8], from[8], to[8];
        snprintf(name, sizeof name, "w%d", i);
        snprintf(from, sizeof from, "x%d", i);
        snprintf(to, sizeof to, "x%d", i + 1);
        put_node(&graph, "Conv", name, from, name, to);
        put_initializer(&graph, name, EXTERNAL_EACH, second, dims, 4);
    }
    put_value(&graph, 11, "x0", (int[]){1, CHANNELS, 64, 64}, 4);
    put_value(&graph, 12, "x20", (int[]){1, CHANNELS, 24, 24}, 4);
    message model = model_of(graph);
    write_to(path, model.bytes, model.size, true);
    free(model.bytes);
    CHECK_OK(gc_onnx_read_file(&read, path, NULL, &error));
    for (int i = 0; read != NULL && i < COUNT; i++) {
        char name[8];
        snprintf(name, sizeof name, "w%d", i);
        const bool is_stored = gc_constant_is_stored(constant_of(read, name));
        check_constant(read, name, second, SECOND, is_stored);
        stored += is_stored;
    }
    CHECK_INT(stored, MOST);
    CHECK_INT(open_files(), before + MOST);
    gc_graph_destroy(&read);
    CHECK_INT(open_files(), before);
}

/* However much of the file is there: an error, and the same one as from memory. */
static void truncated(void)
{
    const message model = make_model(RAW, NULL);
    for (size_t size = 1; size < model.size; size += size < 400 ? 1 : 9973) {
        gradcam_error from_memory = {.message = ""};
        gc_graph *graph = NULL;
        write_to(path, model.bytes, size, true);
        const gradcam_status expected = gc_onnx_read(&graph, model.bytes, size, NULL, &from_memory);
        CHECK(expected != GRADCAM_OK);
        gc_graph_destroy(&graph);
        CHECK_INT(gc_onnx_read_file(&graph, path, NULL, &error), expected);
        CHECK(strstr(error.message, from_memory.message) != NULL);
        gc_graph_destroy(&graph);
    }
    free(model.bytes);
}

static void *load(void *constant)
{
    gc_tensor tensor;
    const gradcam_status status = gc_constant_load(constant, &tensor, NULL);
    return status == GRADCAM_OK && memcmp(tensor.data, second, sizeof second) == 0 ? tensor.data
                                                                                   : NULL;
}

/* Several threads that load one constant share its elements. */
static void threads(void)
{
    pthread_t all[4];
    void *data[4] = {NULL};
    gc_graph *graph = NULL;
    write_model(RAW, NULL);
    CHECK_OK(gc_onnx_read_file(&graph, path, NULL, &error));
    if (graph == NULL)
        return;
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&all[i], NULL, load, (void *)(uintptr_t)constant_of(graph, "w2")),
                  0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(pthread_join(all[i], &data[i]), 0);
        CHECK(data[i] != NULL && data[i] == data[0]);
    }
    gc_graph_destroy(&graph);
}

static void make_file(void)
{
    const int file = mkstemp(path);
    CHECK(file >= 0);
    close(file);
    for (int i = 0; i < DATA_FILES; i++)
        snprintf(data_paths[i], sizeof data_paths[i], "%s.data%02d", path, i);
    fill_weights();
}

static void remove_file(void)
{
    remove_data();
    unlink(path);
}

TEST_MAIN(make_file, encodings, with_other_readers, from_memory, file_changes,
          external_file_changes, many_files, not_finite, truncated, threads, remove_file)
