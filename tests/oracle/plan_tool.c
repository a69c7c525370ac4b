/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a model on a raw float32 input and writes what the oracles compare: logits, the layer's
 * activation and gradient, and the raw Grad-CAM map.
 *
 *   plan_tool MODEL INPUT.f32 DIMS LAYER|- CLASS|-1 PREFIX [plain] [after] [bfloat16]
 *
 * DIMS is like 1x3x224x224. Writes PREFIX.{logits,activation,gradient,map}.f32 and prints one line
 * "layer NAME output TENSOR shape S classes N class C ... forward_ms T backward_ms T".
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

typedef struct run {
    gc_graph *graph, *specialized;
    gc_packs *packs;
    gc_plan *plan;
    gc_layers layers;
    gc_target target;
    gc_feed feed;
    int64_t classes, positions;
    int class_index;
    double forward_ms, backward_ms;
} run;

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

static gradcam_status load(run *r, const char *path, gradcam_error *error)
{
    GC_TRY(gc_onnx_read_file(&r->graph, path, NULL, error));
    GC_TRY(gc_prepare(r->graph, error));
    return gc_packs_create(&r->packs, NULL, error);
}

typedef struct modes {
    bool plain, after, bfloat16;
} modes;

static gradcam_status prepare(run *r, const char *layer, const modes *how, gradcam_error *error)
{
    r->feed.value = r->graph->inputs[0];
    GC_TRY(gc_unroll(r->graph, &r->feed, 1, error));
    gc_target_find(&r->target, r->graph, r->graph->outputs[0], how->after);
    const int targets[] = {r->target.score, r->target.logits};
    GC_TRY(gc_specialize(&r->specialized, r->graph, &r->feed, 1, targets, 2, error));
    GC_TRY(gc_layers_find(&r->layers, r->specialized,
                          gc_graph_resolve(r->specialized, r->target.score), NULL, error));
    GC_TRY(gc_layers_select(&r->layers, r->specialized, r->graph,
                            strcmp(layer, "-") != 0 ? layer : NULL, error));
    const int chosen = r->layers.items[r->layers.chosen].value;
    const int fetches[] = {r->target.logits, chosen};
    const gc_plan_request request = {.feeds = &r->feed,
                                     .feed_count = 1,
                                     .fetches = fetches,
                                     .fetch_count = 2,
                                     .targets = &r->target.score,
                                     .target_count = 1,
                                     .layers = &chosen,
                                     .layer_count = 1,
                                     .bfloat16 = how->bfloat16,
                                     .plain = how->plain};
    return gc_plan_create(&r->plan, r->graph, r->packs, &request, error);
}

static gradcam_status explain(run *r, float *map, gradcam_error *error)
{
    const double start = gc_now_ms();
    GC_TRY(gc_plan_forward(r->plan, error));
    r->forward_ms = gc_now_ms() - start;
    const gc_tensor *const logits = gc_plan_fetch(r->plan, 0);
    gc_tensor *const seed = gc_plan_seed(r->plan, 0);
    if (r->class_index < 0) {
        r->class_index = 0;
        for (int64_t i = 1; i < r->classes; i++)
            if (gc_floats(logits)[i] > gc_floats(logits)[r->class_index])
                r->class_index = (int)i;
    }
    memset(seed->data, 0, gc_tensor_bytes(seed));
    gc_floats(seed)[r->class_index] = 1.0f;
    const double middle = gc_now_ms();
    GC_TRY(gc_plan_backward(r->plan, error));
    r->backward_ms = gc_now_ms() - middle;
    const gc_tensor *const a = gc_plan_fetch(r->plan, 1), *const g = gc_plan_gradient(r->plan, 0);
    const gc_axes *const axes = &r->layers.items[r->layers.chosen].axes;
    int64_t grid[GC_MAX_GRID];
    int grid_rank = 0;
    float *planes = NULL;
    r->positions = gc_axes_grid(axes, a, grid, &grid_rank);
    const int64_t channels = gc_axes_channels(axes, a);
    GC_TRY(gc_new(&planes, (size_t)(2 * channels * r->positions), sizeof *planes, error));
    gc_axes_to_planes(axes, a, planes);
    gc_axes_to_planes(axes, g, planes + channels * r->positions);
    gc_case c = {.method = gc_method_find("gradcam"),
                 .features = {.activation = planes,
                              .gradient = planes + channels * r->positions,
                              .channels = channels,
                              .positions = r->positions}};
    const gradcam_status status = gc_method_run(&c, map, error);
    gc_free(planes);
    return status;
}

static int write_floats(const char *prefix, const char *name, const float *data, int64_t count)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.%s.f32", prefix, name);
    FILE *const file = fopen(path, "wb");
    if (file == NULL)
        return 1;
    const size_t done = fwrite(data, sizeof *data, (size_t)count, file);
    return (fclose(file) != 0) | (done != (size_t)count);
}

static int write_all(run *r, const char *prefix, const float *map)
{
    const gc_tensor *const logits = gc_plan_fetch(r->plan, 0), *const a = gc_plan_fetch(r->plan, 1);
    const gc_tensor *const g = gc_plan_gradient(r->plan, 0);
    const gc_candidate *const layer = &r->layers.items[r->layers.chosen];
    char shape[GC_SHAPE_TEXT];
    printf("layer %s output %s shape %s classes %lld class %d candidates %d memory %zu "
           "forward_ms %.3f backward_ms %.3f\n",
           layer->name, r->specialized->values[layer->value].name, gc_shape_text(a, shape),
           (long long)r->classes, r->class_index, r->layers.count, gc_plan_memory(r->plan),
           r->forward_ms, r->backward_ms);
    return write_floats(prefix, "logits", gc_floats(logits), gc_tensor_count(logits)) |
           write_floats(prefix, "activation", gc_floats(a), gc_tensor_count(a)) |
           write_floats(prefix, "gradient", gc_floats(g), gc_tensor_count(g)) |
           write_floats(prefix, "map", map, r->positions);
}

static gradcam_status work(run *r, int argc, char **argv, gradcam_error *error)
{
    modes how = {.plain = false};
    for (int i = 7; i < argc; i++) {
        how.plain |= strcmp(argv[i], "plain") == 0;
        how.after |= strcmp(argv[i], "after") == 0;
        how.bfloat16 |= strcmp(argv[i], "bfloat16") == 0;
    }
    parse_dims(argv[3], &r->feed.type);
    r->class_index = atoi(argv[5]);
    GC_TRY(load(r, argv[1], error));
    GC_TRY(prepare(r, argv[4], &how, error));
    gc_tensor *const in = gc_plan_feed(r->plan, 0);
    FILE *const file = fopen(argv[2], "rb");
    GC_FAIL_IF(file == NULL, error, GRADCAM_ERROR_FILE, "%s: cannot be opened", argv[2]);
    const size_t got = fread(in->data, sizeof(float), (size_t)gc_tensor_count(in), file);
    fclose(file);
    GC_FAIL_IF(got != (size_t)gc_tensor_count(in), error, GRADCAM_ERROR_FILE, "%s: too short",
               argv[2]);
    if (gc_target_classes(gc_plan_fetch(r->plan, 0), in->dims[0], &r->classes, NULL) != GRADCAM_OK)
        r->classes = gc_tensor_count(gc_plan_fetch(r->plan, 0)); /* any element may be explained */
    float *map = NULL;
    const gc_candidate *const layer = &r->layers.items[r->layers.chosen];
    GC_TRY(gc_new(&map, (size_t)gc_tensor_count(&r->specialized->values[layer->value].type),
                  sizeof *map, error));
    gradcam_status status = explain(r, map, error);
    if (status == GRADCAM_OK && write_all(r, argv[6], map) != 0)
        status = gc_fail(error, GRADCAM_ERROR_FILE, "%s: cannot be written", argv[6]);
    gc_free(map);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "usage: plan_tool MODEL INPUT.f32 DIMS LAYER|- CLASS|-1 PREFIX [plain] "
                        "[after] [bfloat16]\n");
        return GRADCAM_ERROR_ARGUMENT;
    }
    gradcam_error error = {0};
    run r = {0};
    const gradcam_status status = work(&r, argc, argv, &error);
    if (status != GRADCAM_OK)
        fprintf(stderr, "plan_tool: %s\n", error.message);
    gc_plan_destroy(&r.plan);
    gc_layers_free(&r.layers);
    gc_graph_destroy(&r.specialized);
    gc_graph_destroy(&r.graph);
    gc_packs_destroy(&r.packs);
    return (int)status;
}
