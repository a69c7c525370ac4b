/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gradcam's side of bench/compare.py: explains one tensor again and again.
 *
 *   bench_explain MODEL INPUT.f32 MAP.f32 THREADS
 *
 * Writes the map of INPUT (raw, at the layer's resolution) to MAP.f32 and prints "ready". Then each
 * line of standard input is a number of runs; each is answered by a line with as many times in ms.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "gradcam.h"

typedef struct worker {
    gradcam_model *model;
    gradcam_explainer *explainer;
    gradcam_explanation *explanation;
    float *tensor;
} worker;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static gradcam_status explain(worker *w, gradcam_error *error)
{
    const gradcam_input_info *const input = gradcam_explainer_input(w->explainer);
    gradcam_explanation_destroy(&w->explanation);
    return gradcam_explain_tensor(w->explainer, w->tensor, input->rank, input->dims, NULL, 0, 0,
                                  NULL, 0, &w->explanation, error);
}

static int read_tensor(worker *w, const char *path)
{
    const gradcam_input_info *const input = gradcam_explainer_input(w->explainer);
    size_t count = 1;
    for (int i = 0; i < input->rank; i++)
        count *= (size_t)input->dims[i];
    w->tensor = malloc(count * sizeof *w->tensor);
    FILE *const file = fopen(path, "rb");
    const int is_read = w->tensor != NULL && file != NULL &&
                        fread(w->tensor, sizeof *w->tensor, count, file) == count;
    if (file != NULL)
        fclose(file);
    if (!is_read)
        fprintf(stderr, "%s: cannot be read, or is shorter than the input of the model\n", path);
    return is_read;
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
            const double start = now_ms();
            const gradcam_status status = explain(w, error);
            if (status != GRADCAM_OK)
                return status;
            printf("%.4f ", now_ms() - start);
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
    gradcam_status status = gradcam_model_load(&w->model, argv[1], NULL, error);
    if (status == GRADCAM_OK)
        status = gradcam_explainer_create(&w->explainer, w->model, &options, error);
    if (status != GRADCAM_OK)
        return status;
    if (!read_tensor(w, argv[2]))
        return GRADCAM_ERROR_FILE;
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
    if (argc != 5) {
        fprintf(stderr, "usage: %s MODEL INPUT.f32 MAP.f32 THREADS\n", argv[0]);
        return GRADCAM_ERROR_ARGUMENT;
    }
    gradcam_error error = {.message = ""};
    worker w = {.model = NULL};
    const gradcam_status status = work(&w, argv, &error);
    if (status != GRADCAM_OK)
        fprintf(stderr, "%s\n", error.message);
    gradcam_explanation_destroy(&w.explanation);
    gradcam_explainer_destroy(&w.explainer);
    gradcam_model_destroy(&w.model);
    free(w.tensor);
    return (int)status;
}
