/* SPDX-License-Identifier: Apache-2.0 */
/* The six steps: preprocess, forward, class, backward, map; rendering is in explanation.c. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "api/objects.h"

typedef struct request {
    const int *classes;
    size_t class_count;
} request;

/* ---- Feeding -------------------------------------------------------------------------------- */

static void planes_to_last(const gradcam_explainer *e, float *to)
{
    const int64_t positions = (int64_t)e->width * e->height;
    const int channels = e->info.channels;
    for (int64_t i = 0; i < positions; i++)
        for (int c = 0; c < channels; c++)
            to[i * channels + c] = e->planar[c * positions + i];
}

static gradcam_status feed_picture(gradcam_explainer *e, gradcam_explanation *x,
                                   gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    float *const input = gc_floats(gc_plan_feed(e->plan, 0));
    GC_FAIL_IF(
        e->width == 0, error, GRADCAM_ERROR_SHAPE,
        "the network's input '%s' has the shape %s, which no picture gives (1 or 3 channels); "
        "give a ready tensor instead (--input-npy, gradcam_explain_tensor)",
        e->info.name, gc_shape_text(&e->feed.type, shape));
    GC_TRY(gc_preprocess(&x->picture, &e->preprocessing, e->width, e->height,
                         e->is_nhwc ? e->planar : input, &x->view, error));
    if (e->is_nhwc)
        planes_to_last(e, input);
    return GRADCAM_OK;
}

/* ---- Forward -------------------------------------------------------------------------------- */

static gradcam_status check_finite(const char *what, const char *name, const float *values,
                                   int64_t count, gradcam_error *error)
{
    for (int64_t i = 0; i < count; i++)
        GC_FAIL_IF(!isfinite(values[i]), error, GRADCAM_ERROR_NUMERIC,
                   "%s '%s' holds %s at element %lld: the input may be scaled wrongly for this "
                   "network (see the preprocessing options), or its weights are damaged",
                   what, name, isnan(values[i]) ? "NaN" : "infinity", (long long)i);
    return GRADCAM_OK;
}

static int better(const void *a, const void *b)
{
    const gradcam_prediction *const pa = a, *const pb = b;
    if (pa->logit != pb->logit)
        return pa->logit < pb->logit ? 1 : -1;
    return pa->index - pb->index;
}

/* The first sample of the batch; the others, where the model fixes a batch, stay empty. */
static gradcam_status predict(gradcam_explainer *e, gradcam_explanation *x, gradcam_error *error)
{
    const gc_tensor *const logits = gc_plan_fetch(e->plan, 0);
    float *probabilities = NULL;
    GC_TRY(gc_target_classes(logits, e->feed.type.dims[0], &e->classes, error));
    GC_TRY(check_finite("the output", e->graph->values[e->target.logits].name, gc_floats(logits),
                        e->classes, error));
    x->class_count = (size_t)e->classes;
    GC_TRY(gc_arena_new(x->arena, &x->predictions, x->class_count, sizeof *x->predictions, error));
    GC_TRY(gc_new(&probabilities, x->class_count, sizeof *probabilities, error));
    gc_probabilities(e->target.activation, gc_floats(logits), probabilities, e->classes);
    for (int i = 0; i < (int)e->classes; i++)
        x->predictions[i] = (gradcam_prediction){.index = i,
                                                 .label = gradcam_model_label(e->model, (size_t)i),
                                                 .logit = gc_floats(logits)[i],
                                                 .probability = probabilities[i]};
    gc_free(probabilities);
    qsort(x->predictions, x->class_count, sizeof *x->predictions, better);
    return GRADCAM_OK;
}

/* ---- One map -------------------------------------------------------------------------------- */

static gradcam_map_state state_of(float minimum, float maximum)
{
    const float size = fmaxf(fabsf(minimum), fabsf(maximum));
    if (maximum - minimum <= 1e-6f * size)
        return GRADCAM_MAP_FLAT;
    return maximum <= 0.0f ? GRADCAM_MAP_NON_POSITIVE : GRADCAM_MAP_OK;
}

static void measure(gradcam_map *map)
{
    const int64_t count = (int64_t)map->width * map->height;
    bool is_finite = true;
    map->minimum = map->maximum = map->raw[0];
    for (int64_t i = 0; i < count; i++) {
        is_finite = is_finite && isfinite(map->raw[i]);
        map->minimum = fminf(map->minimum, map->raw[i]);
        map->maximum = fmaxf(map->maximum, map->raw[i]);
    }
    map->state = is_finite ? state_of(map->minimum, map->maximum) : GRADCAM_MAP_NOT_FINITE;
}

static gradcam_status copy_layer(gradcam_explanation *x, const gradcam_layer *from,
                                 gradcam_layer *to, gradcam_error *error)
{
    *to = *from;
    GC_TRY(gc_arena_string(x->arena, &to->name, from->name, strlen(from->name), error));
    GC_TRY(gc_arena_string(x->arena, &to->output, from->output, strlen(from->output), error));
    GC_TRY(gc_arena_string(x->arena, &to->operator_name, from->operator_name,
                           strlen(from->operator_name), error));
    return gc_arena_string(x->arena, &to->reason, from->reason, strlen(from->reason), error);
}

static int clamp_pixel(double position, int extent)
{
    return position < 0.0 ? 0 : position >= extent ? extent - 1 : (int)position;
}

/* Where the hottest cell of the map lies: for pictures so narrow that the network saw less than the
 * centre of a pixel. */
static void peak_of_cell(const gradcam_explanation *x, gradcam_map *map)
{
    int64_t best = 0;
    double px = 0.0, py = 0.0;
    for (int64_t i = 1; i < (int64_t)map->width * map->height; i++)
        if (map->raw[i] > map->raw[best])
            best = i;
    const int64_t column = best % map->width, row = best / map->width;
    gc_view_to_picture(&x->view, ((double)column + 0.5) * x->view.input_width / map->width,
                       ((double)row + 0.5) * x->view.input_height / map->height, &px, &py);
    map->peak_x = clamp_pixel(px, x->picture.width);
    map->peak_y = clamp_pixel(py, x->picture.height);
}

static gradcam_status find_peak(const gradcam_explanation *x, gradcam_map *map,
                                gradcam_error *error)
{
    float *values = NULL;
    map->peak_x = map->peak_y = -1;
    if (map->state != GRADCAM_MAP_OK)
        return GRADCAM_OK;
    GC_TRY(gc_explanation_picture_map(x, map, &values, NULL, error));
    const int width = x->picture.width;
    const int64_t count = (int64_t)width * x->picture.height;
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    map->peak_x = (int)(best % width);
    map->peak_y = (int)(best / width);
    if (values[best] <= 0.0f)
        peak_of_cell(x, map);
    gc_free(values);
    return GRADCAM_OK;
}

static const gradcam_prediction *prediction_of(const gradcam_explanation *x, int class_index)
{
    for (size_t i = 0; i < x->class_count; i++)
        if (x->predictions[i].index == class_index)
            return &x->predictions[i];
    return NULL;
}

static gradcam_status map_class(gradcam_explainer *e, gradcam_explanation *x, int class_index,
                                gradcam_map *map, gradcam_error *error)
{
    static const char method_name[] = "gradcam";
    const gc_tensor *const activation = gc_plan_fetch(e->plan, 1);
    gc_tensor *const seed = gc_plan_seed(e->plan, 0);
    float *raw = NULL;
    memset(seed->data, 0, gc_tensor_bytes(seed));
    gc_floats(seed)[class_index] = 1.0f;
    GC_TRY(gc_plan_backward(e->plan, error));
    map->prediction = *prediction_of(x, class_index);
    map->method = method_name;
    map->width = (int)activation->dims[activation->rank - 1];
    map->height = activation->rank > 3 ? (int)activation->dims[2] : 1;
    GC_TRY(copy_layer(x, &e->layer_list[e->layers.chosen], &map->layer, error));
    const int64_t positions = (int64_t)map->width * map->height;
    GC_TRY(gc_arena_new(x->arena, &raw, (size_t)positions, sizeof *raw, error));
    gc_method_find(method_name)
        ->map(gc_floats(activation), gc_floats(gc_plan_gradient(e->plan, 0)), activation->dims[1],
              positions, raw);
    map->raw = raw;
    measure(map);
    return GRADCAM_OK;
}

static gradcam_status check_classes(const gradcam_explainer *e, const request *r,
                                    gradcam_error *error)
{
    for (size_t i = 0; i < r->class_count; i++)
        GC_FAIL_IF(r->classes[i] < 0 || r->classes[i] >= e->classes, error, GRADCAM_ERROR_CLASS,
                   "class %d is out of range: the network has classes 0 to %lld", r->classes[i],
                   (long long)e->classes - 1);
    return GRADCAM_OK;
}

static gradcam_status map_all(gradcam_explainer *e, gradcam_explanation *x, const request *r,
                              gradcam_error *error)
{
    x->map_count = r->class_count > 0 ? r->class_count : 1;
    GC_TRY(gc_arena_new(x->arena, &x->maps, x->map_count, sizeof *x->maps, error));
    const double start = gc_now_ms();
    for (size_t i = 0; i < x->map_count; i++) {
        const int index = r->class_count > 0 ? r->classes[i] : x->predictions[0].index;
        GC_TRY(map_class(e, x, index, &x->maps[i], error));
    }
    x->timings.backward = gc_now_ms() - start;
    for (size_t i = 0; i < x->map_count; i++)
        GC_TRY(find_peak(x, &x->maps[i], error));
    return GRADCAM_OK;
}

/* ---- The flow ------------------------------------------------------------------------------- */

static gradcam_status run(gradcam_explainer *e, gradcam_explanation *x, const request *r,
                          gradcam_error *error)
{
    GC_FAIL_IF(e->feed.type.rank > 4, error, GRADCAM_ERROR_UNSUPPORTED,
               "the layer has three spatial extents; maps of volumes are not supported");
    const double start = gc_now_ms();
    GC_TRY(gc_plan_forward(e->plan, error));
    x->timings.forward = gc_now_ms() - start;
    GC_TRY(predict(e, x, error));
    GC_TRY(check_classes(e, r, error));
    return map_all(e, x, r, error);
}

static gradcam_status begin(gradcam_explainer *e, gradcam_explanation **out, gradcam_error *error)
{
    GC_TRY(gc_new(out, 1, sizeof **out, error));
    (*out)->model = gc_model_retain(e->model);
    (*out)->timings.load = e->model->load_ms;
    (*out)->timings.plan = e->plan_ms;
    const gradcam_status status = gc_arena_create(&(*out)->arena, error);
    if (status != GRADCAM_OK)
        gradcam_explanation_destroy(out);
    return status;
}

/* Runs with the explainer's number of threads; releases the explanation on failure. */
static gradcam_status finish(gradcam_explainer *e, gradcam_explanation **out, gradcam_status status,
                             const request *r, gradcam_error *error)
{
    const int threads = omp_get_max_threads();
    if (e->threads > 0)
        omp_set_num_threads(e->threads);
    if (status == GRADCAM_OK)
        status = run(e, *out, r, error);
    omp_set_num_threads(threads);
    if (status != GRADCAM_OK)
        gradcam_explanation_destroy(out);
    return status;
}

static gradcam_status check_arguments(gradcam_explainer *e, const int *classes, size_t class_count,
                                      gradcam_explanation **out, gradcam_error *error)
{
    GC_FAIL_IF(out == NULL, error, GRADCAM_ERROR_ARGUMENT, "explanation: NULL");
    *out = NULL;
    GC_FAIL_IF(e == NULL || (classes == NULL && class_count > 0), error, GRADCAM_ERROR_ARGUMENT,
               "explainer or classes: NULL");
    return GRADCAM_OK;
}

gradcam_status gradcam_explain_file(gradcam_explainer *explainer, const char *path,
                                    const int *classes, size_t class_count,
                                    gradcam_explanation **explanation, gradcam_error *error)
{
    const request r = {classes, class_count};
    GC_TRY(check_arguments(explainer, classes, class_count, explanation, error));
    GC_FAIL_IF(path == NULL, error, GRADCAM_ERROR_ARGUMENT, "path: NULL");
    GC_TRY(begin(explainer, explanation, error));
    gradcam_explanation *const x = *explanation;
    const double start = gc_now_ms();
    gradcam_status status = gc_picture_read(&x->picture, path, NULL, error);
    if (status == GRADCAM_OK)
        status = feed_picture(explainer, x, error);
    x->timings.preprocess = gc_now_ms() - start;
    return finish(explainer, explanation, status, &r, error);
}

/* A copy of the caller's pixels, or a grey field of the given size where there are none. */
static gradcam_status take_pixels(gradcam_explanation *x, const uint8_t *rgb, int width, int height,
                                  gradcam_error *error)
{
    GC_TRY(gc_picture_alloc(&x->picture, width, height, NULL, error));
    const size_t bytes = 3 * (size_t)width * (size_t)height;
    if (rgb != NULL)
        memcpy(x->picture.rgb, rgb, bytes);
    else
        memset(x->picture.rgb, 128, bytes);
    return GRADCAM_OK;
}

gradcam_status gradcam_explain_pixels(gradcam_explainer *explainer, const uint8_t *rgb, int width,
                                      int height, const int *classes, size_t class_count,
                                      gradcam_explanation **explanation, gradcam_error *error)
{
    const request r = {classes, class_count};
    GC_TRY(check_arguments(explainer, classes, class_count, explanation, error));
    GC_FAIL_IF(rgb == NULL || width < 1 || height < 1, error, GRADCAM_ERROR_ARGUMENT,
               "pixels: NULL, or an extent below 1 (%d x %d)", width, height);
    GC_TRY(begin(explainer, explanation, error));
    const double start = gc_now_ms();
    gradcam_status status = take_pixels(*explanation, rgb, width, height, error);
    if (status == GRADCAM_OK)
        status = feed_picture(explainer, *explanation, error);
    (*explanation)->timings.preprocess = gc_now_ms() - start;
    return finish(explainer, explanation, status, &r, error);
}

static gradcam_status feed_tensor(gradcam_explainer *e, const float *tensor, int rank,
                                  const int64_t *dims, gradcam_error *error)
{
    char found[GC_SHAPE_TEXT], expected[GC_SHAPE_TEXT];
    gc_tensor given;
    GC_FAIL_IF(rank < 0 || rank > GC_MAX_RANK, error, GRADCAM_ERROR_SHAPE, "a tensor of rank %d",
               rank);
    gc_tensor_describe(&given, GC_FLOAT32, rank, dims);
    GC_FAIL_IF(!gc_tensor_same_dims(&given, &e->feed.type), error, GRADCAM_ERROR_SHAPE,
               "the tensor has the shape %s, the network's input '%s' has %s",
               gc_shape_text(&given, found), e->info.name, gc_shape_text(&e->feed.type, expected));
    GC_TRY(
        check_finite("the input tensor for", e->info.name, tensor, gc_tensor_count(&given), error));
    memcpy(gc_plan_feed(e->plan, 0)->data, tensor, gc_tensor_bytes(&given));
    return GRADCAM_OK;
}

/* A tensor is shown over the whole picture: what cropping it went through is not known here. */
static gradcam_status show_tensor(gradcam_explainer *e, gradcam_explanation *x, const uint8_t *rgb,
                                  int width, int height, gradcam_error *error)
{
    const gc_tensor *const type = &e->feed.type;
    const int input_width = e->width > 0 ? e->width : (int)type->dims[type->rank - 1];
    const int input_height = e->width > 0 ? e->height : type->rank > 3 ? (int)type->dims[2] : 1;
    if (rgb == NULL) {
        width = input_width;
        height = input_height;
    }
    GC_TRY(take_pixels(x, rgb, width, height, error));
    return gc_view_make(&x->view, GRADCAM_FIT_STRETCH, 0, width, height, input_width, input_height,
                        error);
}

gradcam_status gradcam_explain_tensor(gradcam_explainer *explainer, const float *tensor, int rank,
                                      const int64_t *dims, const uint8_t *rgb, int width,
                                      int height, const int *classes, size_t class_count,
                                      gradcam_explanation **explanation, gradcam_error *error)
{
    const request r = {classes, class_count};
    GC_TRY(check_arguments(explainer, classes, class_count, explanation, error));
    GC_FAIL_IF(tensor == NULL || dims == NULL, error, GRADCAM_ERROR_ARGUMENT,
               "tensor or dims: NULL");
    GC_TRY(begin(explainer, explanation, error));
    const double start = gc_now_ms();
    gradcam_status status = feed_tensor(explainer, tensor, rank, dims, error);
    if (status == GRADCAM_OK)
        status = show_tensor(explainer, *explanation, rgb, width, height, error);
    (*explanation)->timings.preprocess = gc_now_ms() - start;
    return finish(explainer, explanation, status, &r, error);
}
