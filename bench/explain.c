/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gradcam's side of bench/compare.py: explains one tensor again and again.
 *
 *   bench_explain [--bfloat16] MODEL INPUT.f32 MAP.f32 THREADS [TARGET]
 *
 * Where the model leaves the size of its input free, that of INPUT decides (a square, three
 * channels). Writes the map of INPUT (raw, at the layer's resolution) to MAP.f32 and prints
 * "ready". Then each line of standard input is a number of runs; each is answered by a line with as
 * many times in ms.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gradcam.h"

typedef struct worker {
    gradcam_model *model;
    gradcam_explainer *explainer;
    gradcam_explanation *explanation;
    float *tensor;
    size_t count;
    gradcam_target target; /* without a text: the predicted class */
    int bfloat16;
} worker;

static gradcam_status explain(worker *w, gradcam_error *error)
{
    const gradcam_input_info *const input = gradcam_explainer_input(w->explainer);
    gradcam_input given = {.tensor = w->tensor, .rank = input->rank};
    gradcam_request request;
    for (int i = 0; i < input->rank; i++)
        given.dims[i] = input->dims[i];
    gradcam_request_init(&request);
    request.targets = &w->target;
    request.target_count = w->target.text != NULL ? 1 : 0;
    gradcam_explanation_destroy(&w->explanation);
    return gradcam_explain(w->explainer, &given, &request, &w->explanation, error);
}

static int read_tensor(worker *w, const char *path)
{
    FILE *const file = fopen(path, "rb");
    long bytes = -1;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        bytes = ftell(file);
    const size_t count = bytes < 0 ? 0 : (size_t)bytes / sizeof *w->tensor;
    w->tensor = malloc((count + 1) * sizeof *w->tensor);
    w->count = count;
    const int is_read = w->tensor != NULL && count > 0 && fseek(file, 0, SEEK_SET) == 0 &&
                        fread(w->tensor, sizeof *w->tensor, count, file) == count;
    if (file != NULL)
        fclose(file);
    if (!is_read)
        fprintf(stderr, "%s: cannot be read, or is empty\n", path);
    return is_read;
}

/* The side of a square picture of three channels that has so many values, or 0. */
static int side_of(size_t count)
{
    int side = 1;
    while ((size_t)side * (size_t)side * 3 < count)
        side++;
    return (size_t)side * (size_t)side * 3 == count ? side : 0;
}

static int fits(const worker *w)
{
    const gradcam_input_info *const input = gradcam_explainer_input(w->explainer);
    size_t count = 1;
    for (int i = 0; i < input->rank; i++)
        count *= (size_t)input->dims[i];
    if (count != w->count)
        fprintf(stderr, "the input has %zu values, the model takes %zu\n", w->count, count);
    return count == w->count;
}

static int write_map(const worker *w, const char *path)
{
    const gradcam_map *const map = gradcam_explanation_map(w->explanation, 0);
    const size_t count = (size_t)map->width * (size_t)map->height;
    FILE *const file = fopen(path, "wb");
    const int is_written = file != NULL && fwrite(map->raw, sizeof *map->raw, count, file) == count;
    if (file == NULL || fclose(file) != 0 || !is_written) {
        fprintf(stderr, "%s: cannot be written\n", path);
        return 0;
    }
    return 1;
}

static gradcam_status answer(worker *w, gradcam_error *error)
{
    int runs;
    while (scanf("%d", &runs) == 1) {
        for (int i = 0; i < runs; i++) {
            const double start = gc_now_ms();
            const gradcam_status status = explain(w, error);
            if (status != GRADCAM_OK)
                return status;
            printf("%.4f ", gc_now_ms() - start);
        }
        printf("\n");
        fflush(stdout);
    }
    return GRADCAM_OK;
}

static gradcam_status work(worker *w, char **argv, gradcam_error *error)
{
    gradcam_explainer_options options;
    gradcam_explainer_options_init(&options);
    options.threads = atoi(argv[4]);
    options.bfloat16 = w->bfloat16;
    if (!read_tensor(w, argv[2]))
        return GRADCAM_ERROR_FILE;
    options.width = options.height = side_of(w->count);
    gradcam_status status = gradcam_model_load(&w->model, argv[1], NULL, error);
    if (status == GRADCAM_OK)
        status = gradcam_explainer_create(&w->explainer, w->model, &options, error);
    if (status != GRADCAM_OK)
        return status;
    if (!fits(w))
        return GRADCAM_ERROR_SHAPE;
    status = explain(w, error);
    if (status != GRADCAM_OK)
        return status;
    if (!write_map(w, argv[3]))
        return GRADCAM_ERROR_FILE;
    printf("ready\n");
    fflush(stdout);
    return answer(w, error);
}

int main(int argc, char **argv)
{
    const int bfloat16 = argc > 1 && strcmp(argv[1], "--bfloat16") == 0;
    if (argc - bfloat16 != 5 && argc - bfloat16 != 6) {
        fprintf(stderr, "usage: %s [--bfloat16] MODEL INPUT.f32 MAP.f32 THREADS [TARGET]\n",
                argv[0]);
        return GRADCAM_ERROR_ARGUMENT;
    }
    argv += bfloat16;
    gradcam_error error = {.message = ""};
    worker w = {.target = {.text = argv[5]}, .bfloat16 = bfloat16};
    const gradcam_status status = work(&w, argv, &error);
    if (status != GRADCAM_OK)
        fprintf(stderr, "%s\n", error.message);
    gradcam_explanation_destroy(&w.explanation);
    gradcam_explainer_destroy(&w.explainer);
    gradcam_model_destroy(&w.model);
    free(w.tensor);
    return (int)status;
}
