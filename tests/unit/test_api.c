/* SPDX-License-Identifier: Apache-2.0 */
/* The public API as a program uses it: lifetimes, threads, repeatability, refusals. */
#include <pthread.h>
#include <stdlib.h>

#include "test.h"

static gradcam_error error;

enum { WIDTH = 40, HEIGHT = 30, MAX_MAP = 4096 };

static const char model_path[] = FIXTURES "/cli/model.onnx";

/* A picture with some structure: any two programs that disagree about it will differ in the map. */
static void paint(uint8_t *rgb)
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++)
                rgb[(y * WIDTH + x) * 3 + c] = (uint8_t)((x * (7 + c) + y * y * (c + 1)) % 256);
}

static gradcam_model *load(void)
{
    gradcam_model *model = NULL;
    CHECK_OK(gradcam_model_load(&model, model_path, NULL, &error));
    return model;
}

static gradcam_explainer *explainer_for(gradcam_model *model)
{
    gradcam_explainer *explainer = NULL;
    CHECK_OK(gradcam_explainer_create(&explainer, model, NULL, &error));
    return explainer;
}

static gradcam_explanation *explain(gradcam_explainer *explainer, const int *classes, size_t count)
{
    uint8_t rgb[3 * WIDTH * HEIGHT];
    gradcam_explanation *explanation = NULL;
    paint(rgb);
    CHECK_OK(gradcam_explain_pixels(explainer, rgb, WIDTH, HEIGHT, classes, count, &explanation,
                                    &error));
    return explanation;
}

static int same_map(const gradcam_map *a, const gradcam_map *b)
{
    return a->width == b->width && a->height == b->height &&
           memcmp(a->raw, b->raw, sizeof(float) * (size_t)a->width * (size_t)a->height) == 0;
}

/* As snprintf: the length does not depend on the room, and what fits is terminated. */
static void test_build_info(void)
{
    char whole[1024], part[16];
    const size_t length = gradcam_build_info(NULL, 0);
    CHECK_INT(gradcam_build_info(whole, sizeof whole), length);
    CHECK_INT(strlen(whole), length);
    CHECK(strstr(whole, "oneDNN ") != NULL && strstr(whole, "JPEG") != NULL);
    CHECK_INT(gradcam_build_info(part, sizeof part), length);
    CHECK_INT(strlen(part), sizeof part - 1);
    CHECK(memcmp(part, whole, sizeof part - 1) == 0);
}

static void test_model_may_go_first(void)
{
    gradcam_model *model = load();
    gradcam_explainer *explainer = explainer_for(model);
    gradcam_model_destroy(&model);
    CHECK(model == NULL);
    gradcam_explanation *explanation = explain(explainer, NULL, 0);
    gradcam_explainer_destroy(&explainer);
    CHECK(explainer == NULL);
    const gradcam_map *const map = gradcam_explanation_map(explanation, 0);
    CHECK(map->prediction.label != NULL && strlen(map->prediction.label) > 0);
    CHECK(strlen(map->layer.name) > 0 && strlen(map->layer.reason) > 0);
    gradcam_explanation_destroy(&explanation);
    gradcam_explanation_destroy(&explanation);
    gradcam_explanation_destroy(NULL);
}

static void test_repeats_exactly(void)
{
    gradcam_model *model = load();
    gradcam_explainer *explainer = explainer_for(model);
    gradcam_explanation *first = explain(explainer, NULL, 0), *second = explain(explainer, NULL, 0);
    CHECK(same_map(gradcam_explanation_map(first, 0), gradcam_explanation_map(second, 0)));
    gradcam_explanation_destroy(&first);
    gradcam_explanation_destroy(&second);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

/* Several classes share one forward pass and give what each gives alone. */
static void test_classes_together(void)
{
    gradcam_model *model = load();
    gradcam_explainer *explainer = explainer_for(model);
    const int classes[] = {2, 0, 2};
    gradcam_explanation *together = explain(explainer, classes, 3);
    CHECK_INT(gradcam_explanation_map_count(together), 3);
    for (size_t i = 0; i < 3; i++) {
        gradcam_explanation *alone = explain(explainer, &classes[i], 1);
        const gradcam_map *const map = gradcam_explanation_map(together, i);
        CHECK_INT(map->prediction.index, classes[i]);
        CHECK(same_map(map, gradcam_explanation_map(alone, 0)));
        gradcam_explanation_destroy(&alone);
    }
    CHECK(!same_map(gradcam_explanation_map(together, 0), gradcam_explanation_map(together, 1)));
    CHECK(gradcam_explanation_map(together, 3) == NULL);
    gradcam_explanation_destroy(&together);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

typedef struct job {
    gradcam_model *model;
    float raw[MAX_MAP];
    int width, height, failures;
} job;

static void *work(void *argument)
{
    job *const j = argument;
    uint8_t rgb[3 * WIDTH * HEIGHT];
    gradcam_explainer *explainer = NULL;
    j->failures += gradcam_explainer_create(&explainer, j->model, NULL, NULL) != GRADCAM_OK;
    paint(rgb);
    for (int i = 0; i < 20 && j->failures == 0; i++) {
        gradcam_explanation *explanation = NULL;
        j->failures += gradcam_explain_pixels(explainer, rgb, WIDTH, HEIGHT, NULL, 0, &explanation,
                                              NULL) != GRADCAM_OK;
        const gradcam_map *const map =
            j->failures == 0 ? gradcam_explanation_map(explanation, 0) : NULL;
        if (map != NULL) {
            j->width = map->width;
            j->height = map->height;
            const size_t bytes = sizeof(float) * (size_t)map->width * (size_t)map->height;
            if (i > 0)
                j->failures += memcmp(j->raw, map->raw, bytes) != 0;
            memcpy(j->raw, map->raw, bytes);
        }
        gradcam_explanation_destroy(&explanation);
    }
    gradcam_explainer_destroy(&explainer);
    return NULL;
}

static void test_two_threads(void)
{
    gradcam_model *model = load();
    gradcam_explainer *explainer = explainer_for(model);
    gradcam_explanation *alone = explain(explainer, NULL, 0);
    const gradcam_map *const map = gradcam_explanation_map(alone, 0);
    job jobs[2] = {{.model = model}, {.model = model}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(jobs[i].failures, 0);
        CHECK_INT(jobs[i].width, map->width);
        CHECK_INT(jobs[i].height, map->height);
        for (int p = 0; p < map->width * map->height; p++)
            CHECK_NEAR(jobs[i].raw[p], map->raw[p], 1e-6 * fabs((double)map->maximum));
    }
    gradcam_explanation_destroy(&alone);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

/* The tensor that the picture becomes gives the same map as the picture. */
static void test_tensor_equals_pixels(void)
{
    gradcam_model *model = load();
    gradcam_explainer_options options;
    gradcam_explainer_options_init(&options);
    options.preset = "raw";
    gradcam_explainer *explainer = NULL;
    CHECK_OK(gradcam_explainer_create(&explainer, model, &options, &error));
    const gradcam_input_info *const input = gradcam_explainer_input(explainer);
    const int height = (int)input->dims[2], width = (int)input->dims[3];
    const size_t pixels = (size_t)width * (size_t)height;
    uint8_t *const rgb = malloc(3 * pixels);
    float *const tensor = malloc(3 * pixels * sizeof *tensor);
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++) {
            rgb[3 * i + c] = (uint8_t)(i * (c + 3) % 251);
            tensor[c * pixels + i] = rgb[3 * i + c];
        }
    gradcam_explanation *a = NULL, *b = NULL;
    CHECK_OK(gradcam_explain_pixels(explainer, rgb, width, height, NULL, 0, &a, &error));
    CHECK_OK(gradcam_explain_tensor(explainer, tensor, input->rank, input->dims, NULL, 0, 0, NULL,
                                    0, &b, &error));
    CHECK(same_map(gradcam_explanation_map(a, 0), gradcam_explanation_map(b, 0)));
    tensor[5] = NAN;
    gradcam_explanation *c = NULL;
    CHECK_INT(gradcam_explain_tensor(explainer, tensor, input->rank, input->dims, NULL, 0, 0, NULL,
                                     0, &c, &error),
              GRADCAM_ERROR_NUMERIC);
    CHECK(c == NULL);
    free(rgb);
    free(tensor);
    gradcam_explanation_destroy(&a);
    gradcam_explanation_destroy(&b);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

static void test_predictions(void)
{
    gradcam_model *model = load();
    gradcam_explainer *explainer = explainer_for(model);
    gradcam_explanation *explanation = explain(explainer, NULL, 0);
    size_t count = 0;
    const gradcam_prediction *const p = gradcam_explanation_predictions(explanation, &count);
    double sum = 0;
    CHECK_INT(count, gradcam_model_label_count(model));
    for (size_t i = 0; i < count; i++) {
        sum += (double)p[i].probability;
        CHECK(i == 0 || p[i - 1].logit > p[i].logit ||
              (p[i - 1].logit == p[i].logit && p[i - 1].index < p[i].index));
        CHECK_STR(p[i].label, gradcam_model_label(model, (size_t)p[i].index));
    }
    CHECK_NEAR(sum, 1.0, 1e-5);
    CHECK_INT(gradcam_explanation_map(explanation, 0)->prediction.index, p[0].index);
    gradcam_explanation_destroy(&explanation);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

static void test_refusals(void)
{
    gradcam_model *model = NULL;
    gradcam_explainer *explainer = NULL;
    gradcam_explanation *explanation = (gradcam_explanation *)&model; /* must become NULL */
    const int beyond = 1000;
    CHECK_INT(gradcam_model_load(NULL, model_path, NULL, &error), GRADCAM_ERROR_ARGUMENT);
    CHECK_INT(gradcam_model_load(&model, NULL, NULL, NULL), GRADCAM_ERROR_ARGUMENT);
    CHECK_INT(gradcam_model_load(&model, "missing.onnx", NULL, &error), GRADCAM_ERROR_FILE);
    CHECK(model == NULL && strstr(error.message, "missing.onnx") != NULL);
    CHECK_INT(gradcam_explainer_create(&explainer, NULL, NULL, &error), GRADCAM_ERROR_ARGUMENT);
    CHECK_INT(gradcam_explain_file(NULL, "a.png", NULL, 0, &explanation, &error),
              GRADCAM_ERROR_ARGUMENT);
    CHECK(explanation == NULL);
    model = load();
    explainer = explainer_for(model);
    CHECK_INT(gradcam_explain_file(explainer, "missing.png", NULL, 0, &explanation, &error),
              GRADCAM_ERROR_FILE);
    uint8_t rgb[3] = {1, 2, 3};
    CHECK_INT(gradcam_explain_pixels(explainer, rgb, 1, 1, &beyond, 1, &explanation, &error),
              GRADCAM_ERROR_CLASS);
    CHECK_INT(gradcam_explain_pixels(explainer, rgb, 0, 1, NULL, 0, &explanation, &error),
              GRADCAM_ERROR_ARGUMENT);
    CHECK(explanation == NULL);
    int class_index = 0;
    CHECK_INT(gradcam_model_find_class(model, "no such thing", &class_index, &error),
              GRADCAM_ERROR_CLASS);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

static void test_rendering(void)
{
    gradcam_model *model = load();
    gradcam_explainer *explainer = explainer_for(model);
    gradcam_explanation *explanation = explain(explainer, NULL, 0);
    uint8_t rgb[3 * WIDTH * HEIGHT], original[3 * WIDTH * HEIGHT];
    gradcam_render_options options;
    gradcam_render_options_init(&options);
    options.alpha = 0.0f;
    paint(original);
    CHECK_OK(
        gradcam_explanation_render(explanation, 0, GRADCAM_IMAGE_OVERLAY, &options, rgb, &error));
    CHECK(memcmp(rgb, original, sizeof rgb) == 0);
    options.alpha = 1.5f;
    CHECK_INT(
        gradcam_explanation_render(explanation, 0, GRADCAM_IMAGE_OVERLAY, &options, rgb, &error),
        GRADCAM_ERROR_ARGUMENT);
    CHECK_INT(gradcam_explanation_render(explanation, 7, GRADCAM_IMAGE_OVERLAY, NULL, rgb, &error),
              GRADCAM_ERROR_ARGUMENT);
    CHECK_INT(
        gradcam_explanation_save(explanation, 0, GRADCAM_IMAGE_OVERLAY, NULL, "out.gif", &error),
        GRADCAM_ERROR_ARGUMENT);
    gradcam_explanation_destroy(&explanation);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

/* The network sees less than one pixel of a picture that is 1 wide, cropped: its middle. */
static void test_narrow_picture(void)
{
    enum { LENGTH = 501 };
    gradcam_model *model = load();
    gradcam_explainer *explainer = NULL;
    gradcam_explanation *explanation = NULL;
    gradcam_explainer_options options;
    uint8_t rgb[3 * LENGTH];
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i * 7 % 256);
    gradcam_explainer_options_init(&options);
    options.fit = GRADCAM_FIT_CROP;
    CHECK_OK(gradcam_explainer_create(&explainer, model, &options, &error));
    for (int is_tall = 0; is_tall < 2; is_tall++) {
        CHECK_OK(gradcam_explain_pixels(explainer, rgb, is_tall ? 1 : LENGTH, is_tall ? LENGTH : 1,
                                        NULL, 0, &explanation, &error));
        const gradcam_map *const map = gradcam_explanation_map(explanation, 0);
        CHECK_INT(map->state, GRADCAM_MAP_OK);
        CHECK_INT(is_tall ? map->peak_x : map->peak_y, 0);
        CHECK_INT(is_tall ? map->peak_y : map->peak_x, LENGTH / 2);
        gradcam_explanation_destroy(&explanation);
    }
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

/* Finite logits, but an infinite slope where a score is 0; times the 0 of the other classes that is
 * NaN for them, too, as in PyTorch. Said, and never rendered. */
static void test_map_not_finite(void)
{
    gradcam_model *model = NULL;
    const int classes[] = {3, 0};
    uint8_t rgb[3 * WIDTH * HEIGHT];
    CHECK_OK(gradcam_model_load(&model, FIXTURES "/cli/root.onnx", NULL, &error));
    gradcam_explainer *explainer = explainer_for(model);
    gradcam_explanation *explanation = explain(explainer, classes, 2);
    for (size_t i = 0; i < 2; i++) {
        const gradcam_map *const map = gradcam_explanation_map(explanation, i);
        CHECK(isfinite(map->prediction.logit));
        CHECK_INT(map->state, GRADCAM_MAP_NOT_FINITE);
        CHECK_INT(map->peak_x, -1);
        CHECK_INT(
            gradcam_explanation_render(explanation, i, GRADCAM_IMAGE_OVERLAY, NULL, rgb, &error),
            GRADCAM_ERROR_NUMERIC);
    }
    gradcam_explanation_destroy(&explanation);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

TEST_MAIN(test_build_info, test_model_may_go_first, test_repeats_exactly, test_classes_together,
          test_two_threads, test_tensor_equals_pixels, test_predictions, test_refusals,
          test_rendering, test_narrow_picture, test_map_not_finite)
