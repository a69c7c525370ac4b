/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a target over mutated models without a fuzzer: from each file a chain of mutations, each
 * built on the one before. Fails where the mutator makes something that is no model, is not
 * determined by its seed, or never changes anything.
 */
#include <dirent.h>
#include <string.h>

#include "fuzz.h"
#include "onnx/onnx.pb-c.h"
#include "onnx_mutator.h"

enum { MOST = 1 << 16, CHAIN = 40 };

static void demand(bool holds, const char *what, const char *path, unsigned seed)
{
    if (holds)
        return;
    fprintf(stderr, "%s, seed %u: %s\n", path, seed, what);
    exit(EXIT_FAILURE);
}

static size_t read_model(const char *path, uint8_t *bytes)
{
    FILE *const file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    const size_t size = fread(bytes, 1, MOST, file);
    const bool is_whole = size < MOST;
    fclose(file);
    return is_whole ? size : 0;
}

static bool is_model(const uint8_t *bytes, size_t size)
{
    GcOnnx__Model *const model = gc_onnx__model__unpack(NULL, size, bytes);
    if (model != NULL)
        gc_onnx__model__free_unpacked(model, NULL);
    return model != NULL;
}

static int run_chain(const char *path)
{
    static uint8_t bytes[MOST], twin[MOST];
    int changes = 0;
    size_t size = read_model(path, bytes);
    if (size == 0 || !is_model(bytes, size))
        return 0;
    for (unsigned seed = 0; seed < CHAIN; seed++) {
        memcpy(twin, bytes, size);
        const size_t again = gc_mutate_model(twin, size, MOST, seed);
        const size_t result = gc_mutate_model(bytes, size, MOST, seed);
        demand(result == again && memcmp(bytes, twin, result) == 0, "not determined", path, seed);
        if (result == 0)
            continue;
        size = result;
        changes++;
        demand(is_model(bytes, size), "the result is no model", path, seed);
        LLVMFuzzerTestOneInput(bytes, size);
    }
    demand(changes > 0, "no mutation changed anything", path, CHAIN);
    return changes;
}

int main(int argc, char **argv)
{
    int changes = 0;
    for (int i = 1; i < argc; i++) {
        DIR *const folder = opendir(argv[i]);
        for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
            char path[4096];
            const int length = snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (length < (int)sizeof path)
                changes += run_chain(path);
        }
        if (folder != NULL)
            closedir(folder);
    }
    printf("%d mutated models\n", changes);
    return changes > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
