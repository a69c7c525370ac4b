/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the time of an explanation goes.
 *
 *   bench_profile MODEL 1x3x224x224 [ROUNDS]
 *
 * Prints what the machine can do at best; medians of a whole warm explanation (forward, backward,
 * map) and of each convolution of the network as a bare oneDNN primitive (direct, no activation, no
 * addition), which take turns; then each kind of step, and each step, the longest first: its best
 * time, its arithmetic, as papers count it, and the bytes it has to touch, both a second and as a
 * share of the machine's best. Winograd's algorithm can do more than 100 %.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cam/layers.h"
#include "cam/method.h"
#include "cam/target.h"
#include "engine/plan.h"
#include "onnx/reader.h"
#include "peaks.h"

enum { MAX_ROUNDS = 1000 };

typedef struct bare_conv {
    gc_kernel *kernel;
    void *src, *dst, *scratch;
} bare_conv;

typedef struct bench {
    gc_graph *graph, *specialized;
    gc_packs *packs;
    gc_dnnl *dnnl;
    gc_plan *plan;
    gc_layers layers;
    gc_target target;
    gc_feed feed;
    float *map;
    bare_conv *convs;
    int conv_count;
} bench;

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static gradcam_status load(bench *b, const char *path, gradcam_error *error)
{
    GC_TRY(gc_onnx_read_file(&b->graph, path, NULL, error));
    GC_TRY(gc_prepare(b->graph, error));
    GC_TRY(gc_packs_create(&b->packs, NULL, error));
    return gc_dnnl_create(&b->dnnl, error);
}

static gradcam_status prepare_plan(bench *b, gradcam_error *error)
{
    b->feed.value = b->graph->inputs[0];
    gc_target_find(&b->target, b->graph, b->graph->outputs[0], false);
    GC_TRY(gc_specialize(&b->specialized, b->graph, &b->feed, 1, &b->target.score, 1, error));
    const int score = gc_graph_resolve(b->specialized, b->target.score);
    GC_TRY(gc_layers_find(&b->layers, b->specialized, score, NULL, error));
    const int layer = b->layers.items[b->layers.chosen].value;
    const int fetches[] = {b->target.logits, layer};
    const gc_plan_request request = {.feeds = &b->feed,
                                     .feed_count = 1,
                                     .fetches = fetches,
                                     .fetch_count = 2,
                                     .targets = &b->target.score,
                                     .target_count = 1,
                                     .layers = &layer,
                                     .layer_count = 1};
    GC_TRY(gc_plan_create(&b->plan, b->graph, b->packs, &request, error));
    /* Not zeros: what is multiplied by them may be passed over. */
    gc_tensor *const given = gc_plan_feed(b->plan, 0);
    for (int64_t i = 0; i < gc_tensor_count(given); i++)
        gc_floats(given)[i] = (float)((i * 2654435761u >> 8) % 2001) / 1000.0f - 1.0f;
    const gc_tensor *const type = &b->specialized->values[layer].type;
    return gc_new(&b->map, (size_t)gc_tensor_count(type), sizeof *b->map, error);
}

static gradcam_status explain(bench *b, gradcam_error *error)
{
    GC_TRY(gc_plan_forward(b->plan, error));
    gc_tensor *const seed = gc_plan_seed(b->plan, 0);
    memset(seed->data, 0, gc_tensor_bytes(seed));
    gc_floats(seed)[0] = 1.0f;
    GC_TRY(gc_plan_backward(b->plan, error));
    const gc_tensor *const a = gc_plan_fetch(b->plan, 1), *const g = gc_plan_gradient(b->plan, 0);
    gc_case c = {.method = gc_method_find("gradcam"),
                 .features = {.activation = gc_floats(a),
                              .gradient = gc_floats(g),
                              .channels = a->dims[1],
                              .positions = gc_tensor_count(a) / a->dims[1]}};
    return gc_method_run(&c, b->map, error);
}

static gradcam_status add_conv(bench *b, const gc_node *node, gradcam_error *error)
{
    const gc_value *const values = b->specialized->values;
    const gc_call call = {.graph = b->specialized, .node = node, .error = error};
    const bool has_bias = node->input_count > 2 && node->inputs[2] != GC_ABSENT;
    gc_conv_spec spec = {.src = values[node->inputs[0]].type,
                         .dst = values[node->outputs[0]].type,
                         .weights = values[node->inputs[1]].constant,
                         .bias = has_bias ? values[node->inputs[2]].constant : NULL,
                         .group = gc_attr_int(node, "group", 1)};
    int64_t out[GC_MAX_SPATIAL];
    bare_conv *const conv = &b->convs[b->conv_count];
    if (spec.weights == NULL)
        return GRADCAM_OK;
    GC_TRY(gc_window_resolve(&call, &spec.src, gc_constant_tensor(spec.weights)->dims + 2,
                             &spec.window, out));
    spec.ways[0] = gc_dnnl_prefers_last() ? GC_CONV_LAST : GC_CONV_BLOCKED;
    spec.ways[1] = GC_CONV_BLOCKED;
    spec.way_count = 2;
    GC_TRY(gc_dnnl_conv(b->dnnl, b->packs, &spec, &conv->kernel, error));
    if (conv->kernel == NULL)
        return GRADCAM_OK;
    b->conv_count++;
    spec.src.layout = gc_kernel_src_layout(conv->kernel);
    spec.dst.layout = gc_kernel_dst_layout(conv->kernel);
    GC_TRY(gc_new(&conv->src, 1, gc_tensor_bytes(&spec.src), error));
    GC_TRY(gc_new(&conv->dst, 1, gc_tensor_bytes(&spec.dst), error));
    GC_TRY(gc_new(&conv->scratch, 1, gc_kernel_scratch(conv->kernel), error));
    gc_kernel_bind(conv->kernel, GC_ARG_SRC, conv->src);
    gc_kernel_bind(conv->kernel, GC_ARG_DST, conv->dst);
    gc_kernel_bind(conv->kernel, GC_ARG_SCRATCH, conv->scratch);
    return GRADCAM_OK;
}

static gradcam_status prepare_convs(bench *b, gradcam_error *error)
{
    GC_TRY(gc_new(&b->convs, (size_t)b->specialized->node_count, sizeof *b->convs, error));
    for (int n = 0; n < b->specialized->node_count; n++)
        if (strcmp(b->specialized->nodes[n].op, "Conv") == 0)
            GC_TRY(add_conv(b, &b->specialized->nodes[n], error));
    return GRADCAM_OK;
}

static gradcam_status run_convs(bench *b, gradcam_error *error)
{
    for (int i = 0; i < b->conv_count; i++)
        GC_TRY(gc_kernel_run(b->convs[i].kernel, error));
    return GRADCAM_OK;
}

static gradcam_status measure(bench *b, int rounds, gradcam_error *error)
{
    static double whole[MAX_ROUNDS], convs[MAX_ROUNDS];
    for (int i = -2; i < rounds; i++) { /* two rounds to warm up */
        const double start = gc_now_ms();
        GC_TRY(explain(b, error));
        const double middle = gc_now_ms();
        GC_TRY(run_convs(b, error));
        const double end = gc_now_ms();
        whole[i < 0 ? 0 : i] = middle - start;
        convs[i < 0 ? 0 : i] = end - middle;
    }
    qsort(whole, (size_t)rounds, sizeof whole[0], ascending);
    qsort(convs, (size_t)rounds, sizeof convs[0], ascending);
    printf("explanation   median %.2f ms (%.2f to %.2f)\n", whole[rounds / 2], whole[0],
           whole[rounds - 1]);
    printf("%3d convolutions median %.2f ms (%.2f to %.2f)\n", b->conv_count, convs[rounds / 2],
           convs[0], convs[rounds - 1]);
    printf("ratio %.3f\n", whole[rounds / 2] / convs[rounds / 2]);
    return GRADCAM_OK;
}

typedef struct timed {
    char text[GC_STEP_TEXT];
    double ms, operations, bytes;
    int count;
} timed;

static int longest_first(const void *a, const void *b)
{
    const double x = ((const timed *)a)->ms, y = ((const timed *)b)->ms;
    return (x < y) - (x > y);
}

static gradcam_status time_steps(bench *b, timed *steps, int count, int rounds,
                                 gradcam_error *error)
{
    for (int i = 0; i < count; i++) {
        gc_plan_step_text(b->plan, i, steps[i].text);
        gc_plan_step_work(b->plan, i, &steps[i].operations, &steps[i].bytes);
        steps[i].count = 1;
    }
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++) {
            const double start = gc_now_ms();
            GC_TRY(gc_plan_run_step(b->plan, i, error));
            const double ms = gc_now_ms() - start;
            if (round == 0 || ms < steps[i].ms)
                steps[i].ms = ms;
        }
    return GRADCAM_OK;
}

/* The text without the name of the node, which comes last. */
static void kind_of(const timed *step, char kind[GC_STEP_TEXT])
{
    snprintf(kind, GC_STEP_TEXT, "%s", step->text);
    char *const name = strrchr(kind, ' ');
    if (name != NULL)
        *name = '\0';
}

static int add_up_kinds(const timed *steps, int count, timed *kinds)
{
    int kind_count = 0;
    for (int i = 0; i < count; i++) {
        char kind[GC_STEP_TEXT];
        int k = 0;
        kind_of(&steps[i], kind);
        while (k < kind_count && strcmp(kinds[k].text, kind) != 0)
            k++;
        if (k == kind_count)
            snprintf(kinds[kind_count++].text, GC_STEP_TEXT, "%s", kind);
        kinds[k].ms += steps[i].ms;
        kinds[k].operations += steps[i].operations;
        kinds[k].bytes += steps[i].bytes;
        kinds[k].count++;
    }
    return kind_count;
}

static void print_rows(timed *rows, int count, const peaks *best)
{
    qsort(rows, (size_t)count, sizeof *rows, longest_first);
    printf("\n%9s %6s %9s %5s %8s %5s  step\n", "ms", "times", "GFLOP/s", "%", "GB/s", "%");
    for (int i = 0; i < count; i++) {
        const double gflops = rows[i].operations / rows[i].ms / 1e6;
        const double gbs = rows[i].bytes / rows[i].ms / 1e6;
        printf("%9.3f %6d %9.1f %5.0f %8.1f %5.0f  %s\n", rows[i].ms, rows[i].count, gflops,
               100.0 * gflops / best->gflops, gbs, 100.0 * gbs / best->memory_gbs, rows[i].text);
    }
}

static gradcam_status profile(bench *b, int rounds, const peaks *best, gradcam_error *error)
{
    const int count = gc_plan_step_count(b->plan);
    timed *steps = NULL, *kinds = NULL;
    double sum = 0.0;
    gradcam_status status = gc_new(&steps, (size_t)count, sizeof *steps, error);
    if (status == GRADCAM_OK)
        status = gc_new(&kinds, (size_t)count, sizeof *kinds, error);
    if (status == GRADCAM_OK)
        status = time_steps(b, steps, count, rounds, error);
    if (status == GRADCAM_OK) {
        for (int i = 0; i < count; i++)
            sum += steps[i].ms;
        printf("%d steps     sum of best times %.2f ms\n", count, sum);
        print_rows(kinds, add_up_kinds(steps, count, kinds), best);
        print_rows(steps, count, best);
    }
    gc_free(steps);
    gc_free(kinds);
    return status;
}

static void parse_dims(const char *text, gc_tensor *type)
{
    int64_t dims[GC_MAX_RANK];
    int rank = 0;
    char *end = NULL;
    for (const char *at = text; rank < GC_MAX_RANK; at = end + 1) {
        dims[rank++] = strtoll(at, &end, 10);
        if (*end != 'x')
            break;
    }
    gc_tensor_describe(type, GC_FLOAT32, rank, dims);
}

static void release(bench *b)
{
    for (int i = 0; i < b->conv_count; i++) {
        gc_kernel_destroy(&b->convs[i].kernel);
        gc_free(b->convs[i].src);
        gc_free(b->convs[i].dst);
        gc_free(b->convs[i].scratch);
    }
    gc_free(b->convs);
    gc_free(b->map);
    gc_plan_destroy(&b->plan);
    gc_layers_free(&b->layers);
    gc_graph_destroy(&b->specialized);
    gc_graph_destroy(&b->graph);
    gc_packs_destroy(&b->packs);
    gc_dnnl_destroy(&b->dnnl);
}

int main(int argc, char **argv)
{
    gradcam_error error = {0};
    bench b = {0};
    const int rounds = argc > 3 ? atoi(argv[3]) : 50;
    if (argc < 3 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: bench_profile MODEL 1x3x224x224 [ROUNDS, at most %d]\n",
                MAX_ROUNDS);
        return GRADCAM_ERROR_ARGUMENT;
    }
    peaks best;
    if (!measure_peaks(&best)) {
        fprintf(stderr, "profile: out of memory\n");
        return GRADCAM_ERROR_MEMORY;
    }
    printf("machine       %.0f GFLOP/s, %.0f GB/s from the caches, %.0f GB/s from memory (the %% "
           "below)\n",
           best.gflops, best.cache_gbs, best.memory_gbs);
    parse_dims(argv[2], &b.feed.type);
    gradcam_status status = load(&b, argv[1], &error);
    if (status == GRADCAM_OK)
        status = prepare_plan(&b, &error);
    if (status == GRADCAM_OK)
        status = prepare_convs(&b, &error);
    if (status == GRADCAM_OK)
        status = measure(&b, rounds, &error);
    if (status == GRADCAM_OK)
        status = profile(&b, rounds, &best, &error);
    if (status != GRADCAM_OK)
        fprintf(stderr, "profile: %s\n", error.message);
    release(&b);
    return (int)status;
}
