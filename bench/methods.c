/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What methods without gradients cost beside what they are made of.
 *
 *   bench_methods MODEL [ROUNDS [CHANNELS]]
 *
 * On the default layer, warm, medians of ROUNDS (5): Grad-CAM; Ablation-CAM through the network's
 * tail, in Grad-CAMs; Score-CAM of CHANNELS (64) channels, with progress, and the same number of
 * pictures through a bare forward plan in batches, and the share of its throughput that Score-CAM
 * reaches.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/objects.h"

enum { MAX_ROUNDS = 1000, BATCH = 8 };

typedef struct bench {
    gradcam_model *model;
    gradcam_explainer *explainer;
    gradcam_input input;
    gc_plan *plan; /* forward, BATCH inputs at once */
    size_t reports;
} bench;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, ascending);
    return values[count / 2];
}

static void count_reports(void *user, const char *method, size_t done, size_t total)
{
    (void)method;
    (void)done;
    (void)total;
    ++*(size_t *)user;
}

/* Nothing is kept between calls: each sets a new base input. */
static gradcam_status run_method(bench *b, const char *name, double *ms, gradcam_error *error)
{
    const gradcam_method method = {.text = name};
    gradcam_explanation *x = NULL;
    gradcam_request request;
    gradcam_request_init(&request);
    request.methods = &method;
    request.method_count = 1;
    request.progress = count_reports;
    request.progress_user = &b->reports;
    const double start = now();
    GC_TRY(gradcam_explain(b->explainer, &b->input, &request, &x, error));
    *ms = now() - start;
    gradcam_explanation_destroy(&x);
    return GRADCAM_OK;
}

static gradcam_status run_forward(bench *b, int pictures, double *ms, gradcam_error *error)
{
    const double start = now();
    for (int i = 0; i < pictures; i += BATCH)
        GC_TRY(gc_plan_forward(b->plan, error));
    *ms = now() - start;
    return GRADCAM_OK;
}

static gradcam_status make_input(bench *b, gradcam_error *error)
{
    const gradcam_input_info *const info = gradcam_explainer_input(b->explainer);
    const size_t count = (size_t)gc_tensor_count(&b->explainer->feed.type);
    float *values = NULL;
    GC_TRY(gc_new(&values, count, sizeof *values, error));
    for (size_t i = 0; i < count; i++)
        values[i] = (float)((i * 2654435761u >> 8) % 2001) / 1000.0f - 1.0f;
    b->input = (gradcam_input){.tensor = values, .rank = info->rank};
    for (int d = 0; d < info->rank; d++)
        b->input.dims[d] = info->dims[d];
    return GRADCAM_OK;
}

static gradcam_status make_plan(bench *b, gradcam_error *error)
{
    gc_feed feed = b->explainer->feed;
    feed.type.dims[0] *= BATCH;
    const gc_plan_request request = {
        .feeds = &feed, .feed_count = 1, .fetches = &b->explainer->heads[0], .fetch_count = 1};
    GC_TRY(gc_plan_create(&b->plan, b->model->graph, b->model->packs, &request, error));
    float *const to = gc_floats(gc_plan_feed(b->plan, 0));
    const int64_t one = gc_tensor_count(&feed.type) / BATCH;
    for (int64_t i = 0; i < one * BATCH; i++)
        to[i] = b->input.tensor[i % one];
    return GRADCAM_OK;
}

static gradcam_status measure(bench *b, int rounds, int channels, gradcam_error *error)
{
    static double gradcam[MAX_ROUNDS], ablation[MAX_ROUNDS], score[MAX_ROUNDS], forward[MAX_ROUNDS];
    char name[64];
    snprintf(name, sizeof name, "scorecam:channels=%d", channels);
    for (int r = -1; r < rounds; r++) { /* the first round warms up */
        const int at = r < 0 ? 0 : r;
        GC_TRY(run_method(b, "gradcam", &gradcam[at], error));
        GC_TRY(run_method(b, "gradcam", &gradcam[at], error)); /* its plan is made again */
        GC_TRY(run_method(b, "ablationcam", &ablation[at], error));
        GC_TRY(run_method(b, "ablationcam", &ablation[at], error));
        GC_TRY(run_forward(b, channels, &forward[at], error));
        b->reports = 0;
        GC_TRY(run_method(b, name, &score[at], error));
        GC_TRY(run_method(b, name, &score[at], error));
    }
    const double g = median(gradcam, rounds), a = median(ablation, rounds);
    const double f = median(forward, rounds), s = median(score, rounds);
    printf("gradcam            %8.1f ms\n", g);
    printf("ablationcam        %8.1f ms   %.2f Grad-CAMs\n", a, a / g);
    printf("%d x forward       %8.1f ms   in batches of %d\n", channels, f, BATCH);
    printf("scorecam, %d       %8.1f ms   %.1f %% of that throughput, %zu reports\n", channels, s,
           100.0 * f / s, b->reports / 2);
    return GRADCAM_OK;
}

static gradcam_status run(bench *b, const char *path, int rounds, int channels,
                          gradcam_error *error)
{
    GC_TRY(gradcam_model_load(&b->model, path, NULL, error));
    GC_TRY(gradcam_explainer_create(&b->explainer, b->model, NULL, error));
    GC_TRY(make_input(b, error));
    GC_TRY(make_plan(b, error));
    return measure(b, rounds, channels, error);
}

int main(int argc, char **argv)
{
    bench b = {0};
    gradcam_error error;
    const int rounds = argc > 2 ? atoi(argv[2]) : 5, channels = argc > 3 ? atoi(argv[3]) : 64;
    if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS || channels < 1) {
        fprintf(stderr, "usage: bench_methods MODEL [ROUNDS [CHANNELS]]\n");
        return GRADCAM_ERROR_ARGUMENT;
    }
    const gradcam_status status = run(&b, argv[1], rounds, channels, &error);
    if (status != GRADCAM_OK)
        fprintf(stderr, "%s\n", error.message);
    gc_free((float *)b.input.tensor);
    gc_plan_destroy(&b.plan);
    gradcam_explainer_destroy(&b.explainer);
    gradcam_model_destroy(&b.model);
    return (int)status;
}
