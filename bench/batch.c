/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gradcam's side of bench/compare.py --batches: explains a batch of tensors again and again.
 *
 *   bench_batch MODEL INPUT.f32 THREADS
 *
 * Several tensors are explained at once, each on one thread with an explainer of its own; the model
 * and its packed weights are shared. A batch of one has all threads. Prints "ready"; then each line
 * of standard input, "BATCH RUNS", is answered by a line of RUNS times in ms, of a whole batch.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "gradcam.h"

enum { MOST_THREADS = 256 };

typedef struct bench {
    gradcam_model *model;
    gradcam_explainer *alone;                 /* with all threads */
    gradcam_explainer *workers[MOST_THREADS]; /* with one each */
    int thread_count;
    float *tensor;
    int batch;
    atomic_int next, failures;
    sem_t start, end; /* of the batch, for each worker */
    pthread_t threads[MOST_THREADS];
    atomic_int started;
    atomic_bool is_over;
} bench;

static gradcam_status explain(const bench *b, gradcam_explainer *explainer, gradcam_error *error)
{
    gradcam_explanation *explanation = NULL;
    const gradcam_input_info *const input = gradcam_explainer_input(explainer);
    const gradcam_status status = gradcam_explain_tensor(
        explainer, b->tensor, input->rank, input->dims, NULL, 0, 0, NULL, 0, &explanation, error);
    gradcam_explanation_destroy(&explanation);
    return status;
}

static void *work(void *argument)
{
    bench *const b = argument;
    gradcam_explainer *const own = b->workers[atomic_fetch_add(&b->started, 1)];
    for (;;) {
        sem_wait(&b->start);
        if (atomic_load(&b->is_over))
            return NULL;
        while (atomic_fetch_add(&b->next, 1) < b->batch)
            if (explain(b, own, NULL) != GRADCAM_OK)
                atomic_fetch_add(&b->failures, 1);
        sem_post(&b->end);
    }
}

static void run_batch(bench *b)
{
    if (b->batch == 1) {
        if (explain(b, b->alone, NULL) != GRADCAM_OK)
            atomic_fetch_add(&b->failures, 1);
        return;
    }
    atomic_store(&b->next, 0);
    for (int i = 0; i < b->thread_count; i++)
        sem_post(&b->start);
    for (int i = 0; i < b->thread_count; i++)
        sem_wait(&b->end);
}

static void start_workers(bench *b)
{
    sem_init(&b->start, 0, 0);
    sem_init(&b->end, 0, 0);
    for (int i = 0; i < b->thread_count; i++)
        if (pthread_create(&b->threads[i], NULL, work, b) != 0)
            abort();
}

static void stop_workers(bench *b)
{
    atomic_store(&b->is_over, true);
    for (int i = 0; i < b->thread_count; i++)
        sem_post(&b->start);
    for (int i = 0; i < b->thread_count; i++)
        pthread_join(b->threads[i], NULL);
}

static void answer(bench *b)
{
    int runs = 0;
    while (scanf("%d %d", &b->batch, &runs) == 2) {
        for (int i = 0; i < runs; i++) {
            const double start = gc_now_ms();
            run_batch(b);
            printf("%.4f ", gc_now_ms() - start);
        }
        printf("\n");
        fflush(stdout);
    }
}

static int read_tensor(bench *b, const char *path)
{
    const gradcam_input_info *const input = gradcam_explainer_input(b->alone);
    size_t count = 1;
    for (int i = 0; i < input->rank; i++)
        count *= (size_t)input->dims[i];
    b->tensor = malloc(count * sizeof *b->tensor);
    FILE *const file = fopen(path, "rb");
    const int is_read = b->tensor != NULL && file != NULL &&
                        fread(b->tensor, sizeof *b->tensor, count, file) == count;
    if (file != NULL)
        fclose(file);
    if (!is_read)
        fprintf(stderr, "%s: cannot be read, or is shorter than the input of the model\n", path);
    return is_read;
}

static gradcam_status prepare(bench *b, char **argv, gradcam_error *error)
{
    gradcam_explainer_options options;
    gradcam_explainer_options_init(&options);
    b->thread_count = atoi(argv[3]);
    if (b->thread_count < 1 || b->thread_count > MOST_THREADS)
        return GRADCAM_ERROR_ARGUMENT;
    options.threads = b->thread_count;
    gradcam_status status = gradcam_model_load(&b->model, argv[1], NULL, error);
    if (status == GRADCAM_OK)
        status = gradcam_explainer_create(&b->alone, b->model, &options, error);
    options.threads = 1;
    for (int i = 0; i < b->thread_count && status == GRADCAM_OK; i++)
        status = gradcam_explainer_create(&b->workers[i], b->model, &options, error);
    if (status != GRADCAM_OK)
        return status;
    return read_tensor(b, argv[2]) ? explain(b, b->alone, error) : GRADCAM_ERROR_FILE;
}

int main(int argc, char **argv)
{
    static bench b;
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL INPUT.f32 THREADS\n", argv[0]);
        return GRADCAM_ERROR_ARGUMENT;
    }
    gradcam_error error = {.message = ""};
    const gradcam_status status = prepare(&b, argv, &error);
    if (status == GRADCAM_OK) {
        printf("ready\n");
        fflush(stdout);
        start_workers(&b);
        answer(&b);
        stop_workers(&b);
    }
    if (status != GRADCAM_OK || b.failures > 0)
        fprintf(stderr, "%s; %d failures\n", error.message, b.failures);
    for (int i = 0; i < b.thread_count && i < MOST_THREADS; i++)
        gradcam_explainer_destroy(&b.workers[i]);
    gradcam_explainer_destroy(&b.alone);
    gradcam_model_destroy(&b.model);
    free(b.tensor);
    return status != GRADCAM_OK ? (int)status : b.failures > 0 ? GRADCAM_ERROR_INTERNAL : 0;
}
