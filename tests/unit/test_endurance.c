/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long runs: after a warm-up, memory and open files stay as they are, and equal inputs give equal
 * bytes, over thousands of explanations, of pictures of other sizes, and of loads and unloads.
 */
#include <dirent.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "gradcam.h"
#include "test.h"

enum { EXPLANATIONS = 10000, CYCLES = 1000, GROWTH_LIMIT = 1 << 20 };

static gradcam_error error;

/* Resident bytes of this process; the allocator has given back what it can. */
static long resident(void)
{
    long pages = 0, all = 0;
    malloc_trim(0);
    FILE *const file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &all, &pages) != 2)
        abort();
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static int open_files(void)
{
    int count = 0;
    DIR *const folder = opendir("/proc/self/fd");
    if (folder == NULL)
        abort();
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static uint64_t hash_map(const gradcam_map *map)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    const unsigned char *const bytes = (const unsigned char *)map->raw;
    const size_t size = (size_t)map->width * (size_t)map->height * sizeof *map->raw;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}

/* One of two classes of one of two pictures. */
static uint64_t explain_once(gradcam_explainer *explainer, int turn)
{
    static uint8_t rgb[3 * 61 * 47];
    const int class_index = turn / 2 % 2, width = turn % 2 == 0 ? 61 : 40;
    gradcam_explanation *x = NULL;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i * 31 + i / 183 * 7);
    CHECK_OK(gradcam_explain_pixels(explainer, rgb, width, 47, &class_index, 1, &x, &error));
    if (x == NULL)
        exit(1);
    const uint64_t hash = hash_map(gradcam_explanation_map(x, 0));
    gradcam_explanation_destroy(&x);
    return hash;
}

static void check_flat(long memory, int files)
{
    CHECK_INT(open_files(), files);
    const long growth = resident() - memory;
    printf("resident memory grew by %ld KiB\n", growth / 1024);
    CHECK(growth <= GROWTH_LIMIT);
}

static void explanations(void)
{
    gradcam_model *model = NULL;
    gradcam_explainer *explainer = NULL;
    uint64_t expected[4];
    CHECK_OK(gradcam_model_load(&model, FIXTURES "/cli/model.onnx", NULL, &error));
    CHECK_OK(gradcam_explainer_create(&explainer, model, NULL, &error));
    for (int i = 0; i < 200; i++)
        expected[i % 4] = explain_once(explainer, i);
    const long memory = resident();
    const int files = open_files();
    int changed = 0;
    for (int i = 0; i < EXPLANATIONS; i++)
        changed += explain_once(explainer, i) != expected[i % 4];
    CHECK_INT(changed, 0);
    CHECK(expected[0] != expected[1] && expected[0] != expected[2]);
    check_flat(memory, files);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

static uint64_t load_once(void)
{
    gradcam_model *model = NULL;
    gradcam_explainer *explainer = NULL;
    CHECK_OK(gradcam_model_load(&model, FIXTURES "/cli/model.onnx", NULL, &error));
    CHECK_OK(gradcam_explainer_create(&explainer, model, NULL, &error));
    gradcam_model_destroy(&model);
    const uint64_t hash = explain_once(explainer, 0);
    gradcam_explainer_destroy(&explainer);
    return hash;
}

static void cycles(void)
{
    uint64_t expected = 0;
    for (int i = 0; i < 50; i++)
        expected = load_once();
    const long memory = resident();
    const int files = open_files();
    int changed = 0;
    for (int i = 0; i < CYCLES; i++)
        changed += load_once() != expected;
    CHECK_INT(changed, 0);
    check_flat(memory, files);
}

TEST_MAIN(explanations, cycles)
