/* SPDX-License-Identifier: Apache-2.0 */
/* From a picture to its classes; maps.c makes the maps. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/objects.h"
#include "base/threads.h"
#include "cam/trouble.h"

/* ---- Feeding -------------------------------------------------------------------------------- */

static void planes_to_last(const gradcam_explainer *e, float *to)
{
    const int64_t positions = (int64_t)e->width * e->height;
    const int channels = e->info.channels;
    for (int64_t i = 0; i < positions; i++)
        for (int c = 0; c < channels; c++)
            to[i * channels + c] = e->planar[c * positions + i];
}

gradcam_status gc_feed_picture(gradcam_explainer *e, gradcam_explanation *x, gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    float *const input = gc_floats(gc_runner_base(e->runner));
    GC_FAIL_IF(
        e->width == 0, error, GRADCAM_ERROR_SHAPE,
        "the network's input '%s' has the shape %s, which no picture gives (1 or 3 channels); "
        "give a ready tensor instead (--input-npy, gradcam_explain_tensor)",
        e->info.name, gc_shape_text(&e->feed.type, shape));
    GC_TRY(gc_preprocess(&x->picture, &e->preprocessing, e->width, e->height,
                         e->is_nhwc ? e->planar : input, &x->view, error));
    if (e->is_nhwc)
        planes_to_last(e, input);
    gc_runner_set_base(e->runner);
    return GRADCAM_OK;
}

/* ---- Forward -------------------------------------------------------------------------------- */

/* The first one, or `count`. */
static int64_t find_not_finite(const float *values, int64_t count)
{
    int64_t i = 0;
    if (gc_is_finite(values, count))
        return count;
    while (i < count && isfinite(values[i]))
        i++;
    return i;
}

static gradcam_status check_tensor(const char *name, const float *values, int64_t count,
                                   gradcam_error *error)
{
    const int64_t at = find_not_finite(values, count);
    GC_FAIL_IF(
        at < count, error, GRADCAM_ERROR_NUMERIC,
        "the input tensor for '%s' holds %s at element %lld; make it anew from finite values", name,
        isnan(values[at]) ? "NaN" : "infinity", (long long)at);
    return GRADCAM_OK;
}

static gradcam_status check_logits(gradcam_explainer *e, gradcam_explanation *x,
                                   const float *logits, int64_t count, gradcam_error *error)
{
    const char *first = NULL;
    const int64_t at = find_not_finite(logits, count);
    if (at == count)
        return GRADCAM_OK;
    const bool is_nan = isnan(logits[at]);
    GC_TRY(gc_trouble_find(e->runner, 1u, NULL, e->feed.value, x->arena, &first, error));
    return gc_fail(
        error, GRADCAM_ERROR_NUMERIC,
        "the output '%s' holds %s at element %lld%s%s: the input may be scaled wrongly for "
        "this network (see the preprocessing options), or its weights are damaged",
        e->graph->values[e->target.logits].name, is_nan ? "NaN" : "infinity", (long long)at,
        first != NULL ? "; such first appear in " : "", first != NULL ? first : "");
}

/* Larger floats have larger keys (Herf 2001, "Radix tricks"); -0 counts as 0. */
static uint32_t key_of(float value)
{
    const float positive_zero = value + 0.0f;
    uint32_t bits;
    memcpy(&bits, &positive_zero, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* A class and its place in the order: the complement of its key, then its index. */
static uint64_t place_of(float logit, uint32_t index)
{
    return (uint64_t)~key_of(logit) << 32 | index;
}

/* The classes, best first, equals by index: a radix sort of the upper half, stable, a byte at a
 * time. */
static gradcam_status rank(const float *logits, uint64_t *places, size_t count,
                           gradcam_error *error)
{
    enum { DIGITS = 256, PASSES = 4 };
    size_t start[PASSES][DIGITS] = {{0}};
    uint64_t *other = NULL, *from = places;
    GC_TRY(gc_new_raw(&other, count, sizeof *other, error));
    uint64_t *to = other;
    for (size_t i = 0; i < count; i++) {
        places[i] = place_of(logits[i], (uint32_t)i);
        for (int p = 0; p < PASSES; p++)
            start[p][places[i] >> (32 + 8 * p) & (DIGITS - 1)]++;
    }
    for (int p = 0; p < PASSES; p++) {
        size_t before = 0;
        for (int d = 0; d < DIGITS; d++) {
            const size_t here = start[p][d];
            start[p][d] = before;
            before += here;
        }
        for (size_t i = 0; i < count; i++)
            to[start[p][from[i] >> (32 + 8 * p) & (DIGITS - 1)]++] = from[i];
        uint64_t *const swap = from;
        from = to;
        to = swap;
    }
    gc_free(other); /* an even number of passes ends in `places` */
    return GRADCAM_OK;
}

static gradcam_status list_classes(gradcam_explainer *e, gradcam_explanation *x,
                                   const float *logits, const uint64_t *places,
                                   float *probabilities, gradcam_error *error)
{
    GC_TRY(gc_arena_new(x->arena, &x->predictions, x->class_count, sizeof *x->predictions, error));
    gc_probabilities(e->target.activation, logits, probabilities, e->classes);
    for (size_t k = 0; k < x->class_count; k++) {
        const size_t i = (uint32_t)places[k];
        x->predictions[k] = (gradcam_prediction){.index = (int)i,
                                                 .label = gradcam_model_label(e->model, i),
                                                 .logit = logits[i],
                                                 .probability = probabilities[i]};
    }
    return GRADCAM_OK;
}

/* The first sample of the batch; the others, where the model fixes a batch, stay empty. */
gradcam_status gc_predict(gradcam_explainer *e, gradcam_explanation *x, gradcam_error *error)
{
    const gc_tensor *logits = NULL;
    float *probabilities = NULL;
    uint64_t *places = NULL;
    GC_TRY(gc_runner_value(e->runner, e->target.logits, &logits, error));
    GC_TRY(check_logits(e, x, gc_floats(logits),
                        e->classes > 0 ? e->classes : gc_tensor_count(logits), error));
    if (e->classes == 0)
        return GRADCAM_OK;
    x->class_count = (size_t)e->classes;
    GC_TRY(gc_new_raw(&probabilities, x->class_count, sizeof *probabilities, error));
    gradcam_status status = gc_new_raw(&places, x->class_count, sizeof *places, error);
    if (status == GRADCAM_OK)
        status = rank(gc_floats(logits), places, x->class_count, error);
    if (status == GRADCAM_OK)
        status = list_classes(e, x, gc_floats(logits), places, probabilities, error);
    gc_free(places);
    gc_free(probabilities);
    return status;
}

/* ---- The flow ------------------------------------------------------------------------------- */

void gradcam_request_init(gradcam_request *request)
{
    *request = (gradcam_request){0};
}

static gradcam_status begin(gradcam_explainer *e, gradcam_explanation **out, gradcam_error *error)
{
    GC_TRY(gc_new(out, 1, sizeof **out, error));
    (*out)->model = gc_model_retain(e->model);
    (*out)->timings.load = e->model->load_ms;
    (*out)->timings.plan = e->plan_ms;
    return gc_arena_create(&(*out)->arena, error);
}

/* A copy of the caller's pixels. Without any, only the size is kept: rendering shows grey. */
static gradcam_status take_pixels(gradcam_explanation *x, const uint8_t *rgb, int width, int height,
                                  gradcam_error *error)
{
    if (rgb == NULL) {
        x->picture = (gc_picture){.width = width, .height = height};
        return GRADCAM_OK;
    }
    GC_TRY(gc_picture_alloc(&x->picture, width, height, NULL, error));
    memcpy(x->picture.rgb, rgb, 3 * (size_t)width * (size_t)height);
    return GRADCAM_OK;
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
    GC_TRY(check_tensor(e->info.name, tensor, gc_tensor_count(&given), error));
    gc_copy_bytes(gc_runner_base(e->runner)->data, tensor, gc_tensor_bytes(&given));
    gc_runner_set_base(e->runner);
    return GRADCAM_OK;
}

/* A tensor is shown over the whole picture: what cropping it went through is not known here. */
static gradcam_status show_tensor(gradcam_explainer *e, gradcam_explanation *x, const uint8_t *rgb,
                                  int width, int height, gradcam_error *error)
{
    const gc_input_shape *const s = &e->input_shape;
    const int input_width = e->width > 0 ? e->width : s->width;
    const int input_height = e->width > 0 ? e->height : s->height / s->depth;
    if (rgb == NULL) {
        width = input_width;
        height = input_height;
    }
    GC_TRY(take_pixels(x, rgb, width, height, error));
    return gc_view_make(&x->view, GRADCAM_FIT_STRETCH, 0, width, height, input_width, input_height,
                        error);
}

static gradcam_status take_input(gradcam_explainer *e, gradcam_explanation *x,
                                 const gradcam_input *input, gradcam_error *error)
{
    if (input->tensor != NULL) {
        GC_TRY(feed_tensor(e, input->tensor, input->rank, input->dims, error));
        return show_tensor(e, x, input->rgb, input->width, input->height, error);
    }
    if (input->path != NULL)
        GC_TRY(gc_picture_read(&x->picture, input->path, &e->model->limits, error));
    else
        GC_TRY(take_pixels(x, input->rgb, input->width, input->height, error));
    return gc_feed_picture(e, x, error);
}

static gradcam_status explain(gradcam_explainer *e, gradcam_explanation *x,
                              const gradcam_input *input, const gradcam_request *request,
                              gradcam_error *error)
{
    const double start = gc_now_ms();
    GC_TRY(take_input(e, x, input, error));
    x->timings.preprocess = gc_now_ms() - start;
    return gc_make_maps(e, x, request, error);
}

static gradcam_status check_input(const gradcam_input *input, gradcam_error *error)
{
    const int given = (input->path != NULL) + (input->tensor != NULL) +
                      (input->rgb != NULL && input->tensor == NULL);
    GC_FAIL_IF(given != 1, error, GRADCAM_ERROR_ARGUMENT,
               "input: exactly one of path, rgb and tensor is to be given (path, pixels or tensor: "
               "NULL)");
    GC_FAIL_IF(input->rgb != NULL && (input->width < 1 || input->height < 1), error,
               GRADCAM_ERROR_ARGUMENT, "pixels: an extent below 1 (%d x %d)", input->width,
               input->height);
    return GRADCAM_OK;
}

static gradcam_status check_request(const gradcam_request *r, gradcam_error *error)
{
    GC_FAIL_IF((r->targets == NULL && r->target_count > 0) ||
                   (r->methods == NULL && r->method_count > 0),
               error, GRADCAM_ERROR_ARGUMENT, "targets or methods: NULL");
    GC_FAIL_IF((unsigned)r->fusion > GRADCAM_FUSE_PRODUCT || r->smooth_noise < 0 ||
                   !(r->noise_sigma >= 0.0f),
               error, GRADCAM_ERROR_ARGUMENT, "an option of the request is out of range");
    return GRADCAM_OK;
}

/* Runs with the explainer's number of threads; releases the explanation on failure. */
gradcam_status gradcam_explain(gradcam_explainer *explainer, const gradcam_input *input,
                               const gradcam_request *request, gradcam_explanation **explanation,
                               gradcam_error *error)
{
    static const gradcam_request defaults = {0};
    GC_FAIL_IF(explanation == NULL, error, GRADCAM_ERROR_ARGUMENT, "explanation: NULL");
    *explanation = NULL;
    GC_FAIL_IF(explainer == NULL || input == NULL, error, GRADCAM_ERROR_ARGUMENT,
               "explainer or input: NULL");
    request = request != NULL ? request : &defaults;
    GC_TRY(check_input(input, error));
    GC_TRY(check_request(request, error));
    GC_TRY(gc_shapes_find(explainer, input, &explainer, error));
    const gc_threads threads = gc_threads_begin(explainer->threads);
    gradcam_status status = begin(explainer, explanation, error);
    if (status == GRADCAM_OK)
        status = explain(explainer, *explanation, input, request, error);
    gc_threads_end(&threads);
    if (status != GRADCAM_OK)
        gradcam_explanation_destroy(explanation);
    return status;
}

/* ---- Classes alone -------------------------------------------------------------------------- */

static gradcam_status explain_classes(gradcam_explainer *explainer, const gradcam_input *input,
                                      const int *classes, size_t class_count,
                                      gradcam_explanation **explanation, gradcam_error *error)
{
    enum { DIGITS = 12 };
    gradcam_request request = {0};
    gradcam_target *targets = NULL;
    char *texts = NULL;
    GC_FAIL_IF(explanation == NULL, error, GRADCAM_ERROR_ARGUMENT, "explanation: NULL");
    *explanation = NULL;
    GC_FAIL_IF(classes == NULL && class_count > 0, error, GRADCAM_ERROR_ARGUMENT, "classes: NULL");
    gradcam_status status = gc_new(&targets, class_count, sizeof *targets, error);
    if (status == GRADCAM_OK)
        status = gc_new(&texts, class_count, DIGITS, error);
    for (size_t i = 0; status == GRADCAM_OK && i < class_count; i++) {
        snprintf(texts + i * DIGITS, DIGITS, "%d", classes[i]);
        targets[i].text = texts + i * DIGITS;
    }
    request.targets = targets;
    request.target_count = class_count;
    if (status == GRADCAM_OK)
        status = gradcam_explain(explainer, input, &request, explanation, error);
    gc_free(targets);
    gc_free(texts);
    return status;
}

gradcam_status gradcam_explain_file(gradcam_explainer *explainer, const char *path,
                                    const int *classes, size_t class_count,
                                    gradcam_explanation **explanation, gradcam_error *error)
{
    const gradcam_input input = {.path = path};
    return explain_classes(explainer, &input, classes, class_count, explanation, error);
}

gradcam_status gradcam_explain_pixels(gradcam_explainer *explainer, const uint8_t *rgb, int width,
                                      int height, const int *classes, size_t class_count,
                                      gradcam_explanation **explanation, gradcam_error *error)
{
    const gradcam_input input = {.rgb = rgb, .width = width, .height = height};
    return explain_classes(explainer, &input, classes, class_count, explanation, error);
}

gradcam_status gradcam_explain_tensor(gradcam_explainer *explainer, const float *tensor, int rank,
                                      const int64_t *dims, const uint8_t *rgb, int width,
                                      int height, const int *classes, size_t class_count,
                                      gradcam_explanation **explanation, gradcam_error *error)
{
    gradcam_input input = {
        .tensor = tensor, .rank = rank, .rgb = rgb, .width = width, .height = height};
    for (int i = 0; dims != NULL && i < rank && i < (int)(sizeof input.dims / sizeof *dims); i++)
        input.dims[i] = dims[i];
    return explain_classes(explainer, &input, classes, class_count, explanation, error);
}
