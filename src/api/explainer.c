/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "api/objects.h"
#include "base/threads.h"

void gradcam_explainer_options_init(gradcam_explainer_options *options)
{
    memset(options, 0, sizeof *options);
}

/* ---- Input ---------------------------------------------------------------------------------- */

/* "14x14+1": a grid of up to three extents, and how many tokens stand before it. */
static gradcam_status parse_tokens(const char *text, gc_tokens *tokens, gradcam_error *error)
{
    const char *at = text;
    bool is_good = true;
    *tokens = (gc_tokens){0};
    for (;;) {
        char *end = NULL;
        const long extent = strtol(at, &end, 10);
        is_good = is_good && end > at && *at >= '0' && *at <= '9' && extent > 0 && extent < 65536;
        if (!is_good || tokens->grid_rank == GC_MAX_GRID)
            break;
        tokens->grid[tokens->grid_rank++] = extent;
        at = end + 1;
        if (*end == 'x')
            continue;
        if (*end == '+') {
            tokens->extra = strtol(at, &end, 10);
            is_good = end > at && *at >= '0' && *at <= '9' && tokens->extra < 65536;
        }
        if (is_good && *end == '\0')
            return GRADCAM_OK;
        break;
    }
    return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                   "tokens: '%s' is not HxW or HxW+K, such as 14x14+1: the grid, and the number of "
                   "tokens before it that are no part of the picture",
                   text);
}

static bool may_be_channels(int64_t extent)
{
    return extent == 1 || extent == 3;
}

/* Fills in an extent the model leaves free, or checks that it is what the caller asks for. */
static gradcam_status settle_extent(int64_t *extent, int wanted, const char *what,
                                    gradcam_error *error)
{
    GC_FAIL_IF(wanted < 0, error, GRADCAM_ERROR_ARGUMENT, "input %s: %d is negative", what, wanted);
    if (*extent < 0)
        *extent = wanted > 0 ? wanted : 224;
    GC_FAIL_IF(wanted > 0 && wanted != *extent, error, GRADCAM_ERROR_SHAPE,
               "input %s %d was asked for, but the model is fixed to %lld. Leave the size out, or "
               "export the model with free extents.",
               what, wanted, (long long)*extent);
    return GRADCAM_OK;
}

static void suggest_size(const gradcam_explainer *e, int *width, int *height)
{
    const gc_tensor *const type = &e->feed.type;
    const int first = e->is_nhwc ? 1 : 2;
    if (*width == 0 && *height == 0 && type->dims[first] < 0 && type->dims[first + 1] < 0) {
        *width = e->preprocessing.width;
        *height = e->preprocessing.height;
    }
}

static gradcam_status settle_picture_input(gradcam_explainer *e, int width, int height,
                                           gradcam_error *error)
{
    gc_tensor *const type = &e->feed.type;
    e->is_nhwc = gc_is_channels_last(type);
    const int first = e->is_nhwc ? 1 : 2;
    int64_t *const channels = &type->dims[e->is_nhwc ? 3 : 1];
    if (*channels < 0)
        *channels = 3;
    for (int i = 0; i < 2; i++)
        e->is_free[i] = type->dims[first + i] < 0;
    suggest_size(e, &width, &height);
    GC_TRY(settle_extent(&type->dims[first], height, "height", error));
    GC_TRY(settle_extent(&type->dims[first + 1], width, "width", error));
    if (!may_be_channels(*channels))
        return GRADCAM_OK; /* takes ready tensors only */
    e->height = (int)type->dims[first];
    e->width = (int)type->dims[first + 1];
    e->info.channels = (int)*channels;
    return GRADCAM_OK;
}

/* Pictures and maps count their pixels with int. */
static gradcam_status check_extents(const gc_tensor *type, const char *name, gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    GC_FAIL_IF(!gc_tensor_is_valid(type) || gc_tensor_count(type) > INT_MAX, error,
               GRADCAM_ERROR_LIMIT,
               "the model's input '%s' has the shape %s; the limit is %d elements", name,
               gc_shape_text(type, shape), INT_MAX);
    return GRADCAM_OK;
}

static gradcam_status settle_shape(gradcam_explainer *e, const gradcam_explainer_options *options,
                                   gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    gc_tensor *const type = &e->feed.type;
    const char *const name = e->source->values[e->feed.value].name;
    GC_FAIL_IF(type->rank < 1, error, GRADCAM_ERROR_SHAPE,
               "the model does not say how many extents its input '%s' has; export it with a shape",
               name);
    GC_FAIL_IF(!gc_dtype_is_float(type->dtype), error, GRADCAM_ERROR_UNSUPPORTED,
               "the model's input '%s' has the type %s; only floating-point inputs are supported",
               name, gc_dtype_name(type->dtype));
    if (type->dims[0] < 0)
        type->dims[0] = 1;
    if (type->rank == 4)
        GC_TRY(settle_picture_input(e, options->width, options->height, error));
    for (int i = 0; i < type->rank; i++)
        GC_FAIL_IF(
            type->dims[i] == 0, error, GRADCAM_ERROR_SHAPE,
            "the model's input '%s' has the shape %s: extent %d is 0, so there is nothing to "
            "compute; export it with at least 1, or with a free extent",
            name, gc_shape_text(type, shape), i);
    for (int i = 0; i < type->rank; i++)
        GC_FAIL_IF(
            type->dims[i] < 1, error, GRADCAM_ERROR_SHAPE,
            "the model's input '%s' has the shape %s, which leaves extent %d open; export it "
            "with a fixed one",
            name, gc_shape_text(type, shape), i);
    type->dtype = GC_FLOAT32;
    return check_extents(type, name, error);
}

/* Values given one by one are for pixels in [0,1]. */
static gradcam_status override_values(gradcam_explainer *e, const float *values, int count,
                                      const char *what, float *into, gradcam_error *error)
{
    gc_preprocessing *const p = &e->preprocessing;
    if (count == 0)
        return GRADCAM_OK;
    GC_FAIL_IF(count != 1 && count != p->channels, error, GRADCAM_ERROR_ARGUMENT,
               "%s: %d values were given; the network has %d channel%s, so give 1 or %d", what,
               count, p->channels, p->channels == 1 ? "" : "s", p->channels);
    for (int c = 0; c < p->channels; c++)
        into[c] = values[count == 1 ? 0 : c];
    p->scale = 1.0f / 255.0f;
    e->info.preset = "custom";
    e->info.source = "option";
    return GRADCAM_OK;
}

static gradcam_status choose_preprocessing(gradcam_explainer *e,
                                           const gradcam_explainer_options *options,
                                           gradcam_error *error)
{
    const gradcam_model *const model = e->model;
    if (options->preset == NULL && model->has_preprocessing) {
        e->preprocessing = model->preprocessing;
        e->info.preset = model->preset;
        e->info.source = model->preset_source;
        return GRADCAM_OK;
    }
    const char *const name = options->preset != NULL ? options->preset : gc_preprocessing_name(0);
    e->info.source = options->preset != NULL ? "option" : "default";
    GC_TRY(gc_preprocessing_preset(&e->preprocessing, name, error));
    return gc_arena_string(e->arena, &e->info.preset, name, strlen(name), error);
}

static gradcam_status adapt_preprocessing(gradcam_explainer *e,
                                          const gradcam_explainer_options *options,
                                          gradcam_error *error)
{
    gc_preprocessing *const p = &e->preprocessing;
    GC_TRY(gc_preprocessing_set_channels(p, e->info.channels, error));
    GC_TRY(override_values(e, options->mean, options->mean_count, "mean", p->mean, error));
    GC_TRY(override_values(e, options->std, options->std_count, "std", p->std, error));
    if (options->fit != GRADCAM_FIT_AUTO) {
        p->fit = options->fit;
        p->resize_width = p->resize_height = p->resize_edge = 0;
    }
    if (options->resize_edge > 0)
        p->resize_edge = options->resize_edge;
    return GRADCAM_OK;
}

static void describe_preprocessing(gradcam_explainer *e)
{
    static const char *const fits[] = {"stretch", "stretch", "crop", "letterbox"};
    const gc_preprocessing *const p = &e->preprocessing;
    e->info.fit = fits[p->fit];
    e->info.resample = gc_filter_name(p->filter);
    e->info.resize_edge = p->fit == GRADCAM_FIT_CROP ? p->resize_edge : 0;
    memcpy(e->info.mean, p->mean, sizeof e->info.mean);
    memcpy(e->info.std, p->std, sizeof e->info.std);
    e->info.scale = p->scale;
    e->info.bgr = p->bgr;
}

gradcam_status gc_explainer_set_input(gradcam_explainer *e,
                                      const gradcam_explainer_options *options,
                                      gradcam_error *error)
{
    GC_TRY(gc_explainer_choose_input(e, options, error));
    const gc_graph *const graph = e->source;
    GC_TRY(choose_preprocessing(e, options, error));
    GC_TRY(settle_shape(e, options, error));
    GC_TRY(gc_explainer_unroll(e, error));
    if (e->width > 0)
        GC_TRY(adapt_preprocessing(e, options, error));
    e->info.model_path = e->model->path;
    e->info.labels_source = e->model->labels_source;
    e->info.name = graph->values[e->feed.value].name;
    e->info.rank = e->feed.type.rank;
    memcpy(e->info.dims, e->feed.type.dims, sizeof e->info.dims);
    describe_preprocessing(e);
    return GRADCAM_OK;
}

/* ---- Layers --------------------------------------------------------------------------------- */

static void describe_places(const gc_candidate *c, const gc_tensor *type, gradcam_layer *layer)
{
    int64_t grid[GC_MAX_GRID];
    int rank = 0;
    (void)gc_axes_grid(&c->axes, type, grid, &rank);
    layer->width = rank > 0 ? (int)grid[rank - 1] : 1;
    layer->height = rank > 1 ? (int)grid[rank - 2] : 1;
    layer->depth = rank > 2 ? (int)grid[rank - 3] : 1;
    layer->channels = gc_axes_channels(&c->axes, type);
    layer->extra_tokens =
        gc_axis_find(&c->axes, type->rank, GC_AXIS_TOKENS) >= 0 ? (int)c->axes.tokens.extra : 0;
}

static gradcam_status list_layers(gradcam_explainer *e, gradcam_error *error)
{
    GC_TRY(gc_arena_new(e->arena, &e->layer_list, (size_t)e->layers.count, sizeof *e->layer_list,
                        error));
    for (int i = 0; i < e->layers.count; i++) {
        const gc_candidate *const c = &e->layers.items[i];
        const gc_value *const value = &e->graph->values[c->value];
        bool is_target = false;
        for (int k = 0; k < e->chosen_count; k++)
            is_target |= e->chosen[k] == i;
        e->layer_list[i] = (gradcam_layer){.name = c->name,
                                           .output = value->name,
                                           .operator_name = c->op,
                                           .index = i,
                                           .is_target = is_target,
                                           .reason = is_target ? e->layers.reason : NULL,
                                           .rank = value->type.rank};
        memcpy(e->layer_list[i].dims, value->type.dims, sizeof e->layer_list[i].dims);
        describe_places(c, &value->type, &e->layer_list[i]);
    }
    return GRADCAM_OK;
}

/* The score first, then the other outputs, then the main output where a final activation stands
 * between it and the score. */
static void list_heads(gradcam_explainer *e)
{
    const gc_graph *const g = e->source;
    e->heads[e->head_count++] = e->target.score;
    for (int i = 0; i < g->output_count && e->head_count < GC_MAX_HEADS - 1; i++)
        if (g->outputs[i] != e->target.output)
            e->heads[e->head_count++] = g->outputs[i];
    if (e->target.output != e->target.score)
        e->heads[e->head_count++] = e->target.output;
    for (int h = 0; h < e->head_count; h++)
        e->head_names[h] = g->values[e->heads[h]].name;
}

/* Class indices and the like are no scores. */
static void drop_integer_heads(gradcam_explainer *e)
{
    int kept = 1;
    for (int h = 1; h < e->head_count; h++) {
        const int value = gc_graph_resolve(e->graph, e->heads[h]);
        if (!gc_dtype_is_float(e->graph->values[value].type.dtype))
            continue;
        e->heads[kept] = e->heads[h];
        e->head_names[kept++] = e->head_names[h];
    }
    e->head_count = kept;
}

static gradcam_status select_layers(gradcam_explainer *e, const gradcam_explainer_options *options,
                                    gradcam_error *error)
{
    const gc_graph *const g = e->source;
    GC_TRY(gc_arena_new(e->arena, &e->chosen, (size_t)e->layers.count, sizeof(int), error));
    if (options->layer != NULL)
        GC_TRY(gc_layers_select_several(&e->layers, e->graph, g, options->layer, e->chosen,
                                        &e->chosen_count, error));
    for (size_t i = 0; i < options->more_layer_count; i++)
        GC_TRY(gc_layers_select_several(&e->layers, e->graph, g, options->more_layers[i], e->chosen,
                                        &e->chosen_count, error));
    if (e->chosen_count > 0)
        return GRADCAM_OK;
    GC_TRY(gc_layers_select(&e->layers, e->graph, g, NULL, error));
    e->chosen[e->chosen_count++] = e->layers.chosen;
    return GRADCAM_OK;
}

static gradcam_status choose_layers(gradcam_explainer *e, const gradcam_explainer_options *options,
                                    gradcam_error *error)
{
    int targets[GC_MAX_HEADS + 1];
    list_heads(e);
    memcpy(targets, e->heads, sizeof e->heads);
    targets[e->head_count] = e->target.logits;
    /* Other outputs may be beyond us (non-maximum suppression, say); the main one must not be. */
    if (gc_specialize(&e->graph, e->source, &e->feed, 1, targets, e->head_count + 1, NULL) !=
        GRADCAM_OK) {
        e->head_count = 1;
        targets[1] = e->target.logits;
        GC_TRY(gc_specialize(&e->graph, e->source, &e->feed, 1, targets, 2, error));
    }
    drop_integer_heads(e);
    const int score = gc_graph_resolve(e->graph, e->target.score);
    GC_TRY(gc_layers_find(&e->layers, e->graph, score, &e->tokens, error));
    GC_TRY(select_layers(e, options, error));
    return list_layers(e, error);
}

/* ---- Plan ----------------------------------------------------------------------------------- */

/* A label file that is one line off shifts every name: the classic silent mistake. */
static gradcam_status check_labels(const gradcam_explainer *e, gradcam_error *error)
{
    const size_t labels = e->model->labels.count;
    GC_FAIL_IF(e->classes > 0 && labels > 0 && labels != (size_t)e->classes, error,
               GRADCAM_ERROR_ARGUMENT,
               "%s has %zu labels, but the network has %lld classes; one more or less usually is a "
               "background class. Give the labels that belong to this network.",
               e->model->labels_source, labels, (long long)e->classes);
    return GRADCAM_OK;
}

/* The plan of a plain request, so that what cannot be is said before the first picture. */
static gradcam_status make_plan(gradcam_explainer *e, gradcam_error *error)
{
    const gc_runner_setup setup = {.graph = e->source,
                                   .shaped = e->graph,
                                   .packs = e->model->packs,
                                   .feeds = &e->feed,
                                   .feed_count = 1,
                                   .heads = e->heads,
                                   .head_count = e->head_count,
                                   .strict = e->strict,
                                   .bfloat16 = e->bfloat16};
    int *values = NULL;
    GC_TRY(gc_runner_create(&e->runner, &setup, error));
    GC_TRY(gc_new(&values, (size_t)e->chosen_count + 1, sizeof *values, error));
    for (int i = 0; i < e->chosen_count; i++)
        values[i] = e->layers.items[e->chosen[i]].value;
    values[e->chosen_count] = e->target.logits;
    const gc_wish wish = {.values = values,
                          .value_count = e->chosen_count + 1,
                          .layers = values,
                          .layer_count = e->chosen_count,
                          .heads = 1};
    const gradcam_status status = gc_runner_prepare(e->runner, &wish, error);
    gc_free(values);
    return status;
}

static void describe_input_shape(gradcam_explainer *e)
{
    const gc_tensor *const type = &e->feed.type;
    gc_input_shape *const s = &e->input_shape;
    const int first = e->is_nhwc ? 1 : 2;
    s->width = type->rank == 4 ? (int)type->dims[first + 1] : (int)type->dims[type->rank - 1];
    s->height = type->rank == 4 ? (int)type->dims[first] : 1;
    s->depth = type->rank > 4 ? (int)type->dims[type->rank - 3] : 1;
    if (type->rank > 4)
        s->height = s->depth * (int)type->dims[type->rank - 2];
    const int64_t pixels = (int64_t)s->width * s->height;
    s->channels = gc_tensor_count(type) / type->dims[0] / pixels;
    s->channel_stride = e->is_nhwc ? 1 : pixels;
    s->pixel_stride = e->is_nhwc ? s->channels : 1;
}

/* Pictures are prepared by channels, and turned for a network that wants them last. */
static gradcam_status make_planar(gradcam_explainer *e, gradcam_error *error)
{
    gc_budget *const budget = &e->model->budget;
    const size_t bytes = gc_tensor_bytes(&e->feed.type);
    GC_TRY(gc_budget_take(budget, bytes, "the input", error));
    const gradcam_status status = gc_new(&e->planar, 1, bytes, error);
    if (status != GRADCAM_OK)
        gc_budget_give(budget, bytes);
    return status;
}

static gradcam_status create(gradcam_explainer *e, const gradcam_explainer_options *options,
                             gradcam_error *error)
{
    const double start = gc_now_ms();
    GC_TRY(gc_arena_create(&e->arena, error));
    if (options->tokens != NULL)
        GC_TRY(parse_tokens(options->tokens, &e->tokens, error));
    GC_TRY(gc_explainer_set_input(e, options, error));
    int output = 0;
    GC_TRY(gc_explainer_choose_head(e, options->head, &output, error));
    gc_target_find(&e->target, e->source, output, options->after_activation != 0);
    e->info.score = e->target.text;
    GC_TRY(choose_layers(e, options, error));
    describe_input_shape(e);
    const int logits = gc_graph_resolve(e->graph, e->target.logits);
    if (gc_target_classes(&e->graph->values[logits].type, e->feed.type.dims[0], &e->classes,
                          NULL) != GRADCAM_OK)
        e->classes = 0;
    GC_TRY(check_labels(e, error));
    GC_TRY(make_plan(e, error));
    if (e->is_nhwc)
        GC_TRY(make_planar(e, error));
    GC_TRY(gc_shapes_prepare(e, options, error));
    e->plan_ms = gc_now_ms() - start;
    return GRADCAM_OK;
}

/* Not what was asked for is worse than nothing: no other computation takes its place. */
static gradcam_status check_bfloat16(const gradcam_explainer_options *options, gradcam_error *error)
{
    if (options->bfloat16 == 0)
        return GRADCAM_OK;
    GC_FAIL_IF(options->strict != 0, error, GRADCAM_ERROR_ARGUMENT,
               "bfloat16 and strict exclude each other: one rounds more, the other less");
    GC_FAIL_IF(!gc_dnnl_has_bfloat16(), error, GRADCAM_ERROR_UNSUPPORTED,
               "this CPU has no instructions for bfloat16 (AVX512_BF16), or ONEDNN_MAX_CPU_ISA "
               "hides them: compute in float32, without bfloat16");
    return GRADCAM_OK;
}

gradcam_status gradcam_explainer_create(gradcam_explainer **explainer, gradcam_model *model,
                                        const gradcam_explainer_options *options,
                                        gradcam_error *error)
{
    GC_FAIL_IF(explainer == NULL, error, GRADCAM_ERROR_ARGUMENT, "explainer: NULL");
    *explainer = NULL;
    GC_FAIL_IF(model == NULL, error, GRADCAM_ERROR_ARGUMENT, "model: NULL");
    gradcam_explainer_options defaults;
    gradcam_explainer_options_init(&defaults);
    if (options == NULL)
        options = &defaults;
    GC_FAIL_IF(options->threads < 0 || options->mean_count < 0 || options->mean_count > 4 ||
                   options->std_count < 0 || options->std_count > 4 ||
                   (unsigned)options->fit > GRADCAM_FIT_LETTERBOX || options->resize_edge < 0,
               error, GRADCAM_ERROR_ARGUMENT, "an explainer option is out of range");
    GC_TRY(check_bfloat16(options, error));
    GC_TRY(gc_new(explainer, 1, sizeof **explainer, error));
    (*explainer)->model = gc_model_retain(model);
    (*explainer)->threads = options->threads;
    (*explainer)->strict = options->strict != 0;
    (*explainer)->bfloat16 = options->bfloat16 != 0;
    const gc_threads threads = gc_threads_begin(options->threads);
    const gradcam_status status = create(*explainer, options, error);
    gc_threads_end(&threads);
    if (status != GRADCAM_OK) {
        gradcam_explainer_destroy(explainer);
        return gc_fail_context(error, status, "%s: ", model->path);
    }
    return GRADCAM_OK;
}

void gradcam_explainer_destroy(gradcam_explainer **explainer)
{
    if (explainer == NULL || *explainer == NULL)
        return;
    gradcam_explainer *const e = *explainer;
    gc_shapes_free(e);
    gc_runner_destroy(&e->runner);
    for (int i = 0; i < e->reference_count; i++)
        gc_free((void *)e->references[i].values);
    gc_layers_free(&e->layers);
    gc_graph_destroy(&e->graph);
    gc_graph_destroy(&e->own_source);
    gc_arena_destroy(&e->arena);
    if (e->planar != NULL)
        gc_budget_give(&e->model->budget, gc_tensor_bytes(&e->feed.type));
    gc_free(e->planar);
    gradcam_model_destroy(&e->model);
    gc_free(e);
    *explainer = NULL;
}

const gradcam_layer *gradcam_explainer_layers(const gradcam_explainer *explainer, size_t *count)
{
    *count = (size_t)explainer->layers.count;
    return explainer->layer_list;
}

const gradcam_input_info *gradcam_explainer_input(const gradcam_explainer *explainer)
{
    return &explainer->info;
}
