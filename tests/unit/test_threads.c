/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads: one model and many explainers at once, which outlive the caller's hold on it; explainers
 * made and used under other numbers of threads, and inside the parallel regions of a host. What
 * each must answer is what it answers alone. Under the thread sanitizer (test.sh threads) this is
 * also the test for races.
 */
#include <omp.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "asking.h"
#include "test.h"

static gradcam_error error;

enum { WORKERS = 8, ROUNDS = 3 };

/* Other sizes, methods, layers and numbers of threads. */
static const asking questions[WORKERS] = {
    {.width = 32, .height = 24, .threads = 1, .methods = {"gradcam", "layercam"}},
    {.width = 48, .height = 24, .threads = 2, .methods = {"gradcam", "gradcam++"}},
    {.width = 33, .height = 47, .threads = 3, .methods = {"hirescam", "eigencam"}},
    {.width = 20, .height = 20, .threads = 1, .methods = {"scorecam", "ablationcam"}},
    {.width = 64, .height = 40, .threads = 2, .methods = {"fullgrad", "guidedbackprop"}},
    {.width = 24, .height = 32, .threads = 4, .methods = {"rise:samples=40", "occlusion"}},
    {.width = 32, .height = 32, .threads = 2, .methods = {"smoothgrad", "integratedgradients"}},
    {.width = 40, .height = 30, .threads = 1, .methods = {"xgradcam", "kpcacam"}, .layer = "relu1"},
};

/* ---- One model, many threads ---------------------------------------------------------------- */

typedef struct worker {
    gradcam_model *model; /* until the barrier */
    pthread_barrier_t *barrier;
    const asking *question;
    const answer *expected;
    gradcam_status status;
    gradcam_error error;
    int changed;
} worker;

/* Makes its explainer, sees the caller give the model back, and goes on asking. */
static void *work(void *argument)
{
    worker *const w = argument;
    gradcam_explainer *explainer = NULL;
    w->status = prepare(w->question, w->model, &explainer, &w->error);
    pthread_barrier_wait(w->barrier);
    for (int i = 0; i < ROUNDS && w->status == GRADCAM_OK; i++) {
        answer found;
        w->status = ask(w->question, explainer, &found, &w->error);
        w->changed += w->status == GRADCAM_OK && !is_same(&found, w->expected);
        release(&found);
    }
    gradcam_explainer_destroy(&explainer);
    return NULL;
}

static void test_one_model(void)
{
    gradcam_model *model = load("free");
    answer alone[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        CHECK_OK(ask_once(&questions[i], model, &alone[i], &error));
        CHECK(largest(&alone[i]) > 0.0);
    }
    gradcam_model_destroy(&model);
    model = load("free"); /* nothing is packed yet: the workers do that all at once */
    worker workers[WORKERS];
    pthread_t threads[WORKERS];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, WORKERS + 1);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (worker){
            .model = model, .barrier = &barrier, .question = &questions[i], .expected = &alone[i]};
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0)
            abort();
    }
    pthread_barrier_wait(&barrier);
    gradcam_model_destroy(&model);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        if (workers[i].status != GRADCAM_OK)
            fprintf(stderr, "worker %d: %s\n", i, workers[i].error.message);
        CHECK_INT(workers[i].status, GRADCAM_OK);
        CHECK_INT(workers[i].changed, 0);
        release(&alone[i]);
    }
    pthread_barrier_destroy(&barrier);
}

/* Models themselves are loaded and given back by many threads at once. */
static void *load_and_ask(void *argument)
{
    worker *const w = argument;
    for (int i = 0; i < ROUNDS && w->status == GRADCAM_OK; i++) {
        gradcam_model *model = NULL;
        answer found = {0};
        w->status = gradcam_model_load(&model, FIXTURES "/numerics/free.onnx", NULL, &w->error);
        if (w->status == GRADCAM_OK)
            w->status = ask_once(w->question, model, &found, &w->error);
        w->changed += w->status == GRADCAM_OK && !is_same(&found, w->expected);
        release(&found);
        gradcam_model_destroy(&model);
    }
    return NULL;
}

static void test_many_models(void)
{
    gradcam_model *model = load("free");
    answer alone;
    CHECK_OK(ask_once(&questions[0], model, &alone, &error));
    gradcam_model_destroy(&model);
    worker workers[WORKERS];
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.question = &questions[0], .expected = &alone};
        if (pthread_create(&threads[i], NULL, load_and_ask, &workers[i]) != 0)
            abort();
    }
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(workers[i].status, GRADCAM_OK);
        CHECK_INT(workers[i].changed, 0);
    }
    release(&alone);
}

/* ---- Numbers of threads --------------------------------------------------------------------- */

/* What 1 thread answers, to rounding; 7 are more than there are rows or channels in places. */
static void test_numbers(void)
{
    static const int numbers[] = {1, 2, 3, 7};
    gradcam_model *model = load("free");
    for (int q = 0; q < WORKERS; q++) {
        answer one = {0};
        for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
            asking question = questions[q];
            answer found;
            question.threads = numbers[n];
            CHECK_OK(ask_once(&question, model, &found, &error));
            if (n == 0)
                one = found;
            else {
                CHECK(distance(&found, &one) <= 1e-5);
                release(&found);
            }
        }
        release(&one);
    }
    gradcam_model_destroy(&model);
}

/* threads 0: OpenMP's number counts, and may be another one at each call. */
static void test_changing_number(void)
{
    static const int pairs[][2] = {{1, 7}, {7, 1}, {2, 3}, {3, 2}};
    const int before = omp_get_max_threads();
    gradcam_model *model = load("free");
    for (int q = 0; q < WORKERS; q++) {
        asking question = questions[q];
        answer one;
        question.threads = 1;
        CHECK_OK(ask_once(&question, model, &one, &error));
        question.threads = 0;
        for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
            gradcam_explainer *explainer = NULL;
            answer found = {0};
            omp_set_num_threads(pairs[p][0]);
            CHECK_OK(prepare(&question, model, &explainer, &error));
            omp_set_num_threads(pairs[p][1]);
            CHECK_OK(ask(&question, explainer, &found, &error));
            CHECK_INT(omp_get_max_threads(), pairs[p][1]);
            CHECK(distance(&found, &one) <= 1e-5);
            release(&found);
            gradcam_explainer_destroy(&explainer);
        }
        release(&one);
    }
    omp_set_num_threads(before);
    gradcam_model_destroy(&model);
}

/* ---- In a host's regions -------------------------------------------------------------------- */

/* Explainers made outside a parallel region, or in one, and used in one: regions inside it get one
 * thread only, whatever was asked for. */
static void test_host_region(void)
{
    gradcam_model *model = load("free");
    gradcam_explainer *explainers[WORKERS] = {NULL};
    answer one[WORKERS], found[WORKERS][2];
    gradcam_status status[WORKERS][2];
    for (int q = 0; q < WORKERS; q++) {
        asking question = questions[q];
        question.threads = 1;
        CHECK_OK(ask_once(&question, model, &one[q], &error));
        question.threads = 4;
        CHECK_OK(prepare(&question, model, &explainers[q], &error));
    }
#pragma omp parallel for num_threads(4) schedule(dynamic, 1)
    for (int q = 0; q < WORKERS; q++) {
        asking question = questions[q];
        question.threads = 4;
        status[q][0] = ask(&question, explainers[q], &found[q][0], NULL);
        status[q][1] = ask_once(&question, model, &found[q][1], NULL);
    }
    for (int q = 0; q < WORKERS; q++) {
        for (int k = 0; k < 2; k++) {
            CHECK_INT(status[q][k], GRADCAM_OK);
            CHECK(distance(&found[q][k], &one[q]) <= 1e-5);
            release(&found[q][k]);
        }
        release(&one[q]);
        gradcam_explainer_destroy(&explainers[q]);
    }
    gradcam_model_destroy(&model);
}

TEST_MAIN(test_one_model, test_many_models, test_numbers, test_changing_number, test_host_region)
