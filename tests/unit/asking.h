/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of threads, repeatability and arithmetic: one question to one explainer, and what the
 * answer consists of, as bytes. */
#ifndef GRADCAM_TEST_ASKING_H
#define GRADCAM_TEST_ASKING_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gradcam.h"

typedef struct asking {
    int width, height; /* of the network's input; 0: as the model says */
    int threads;
    const char *methods[8]; /* NULL behind the last */
    const char *layer;
} asking;

/* All raw maps and logits, one behind the other; to be freed. NULL: it failed, and `error` says
 * why. */
typedef struct answer {
    float *values;
    size_t count;
    int map_count, state; /* state of the first map */
} answer;

enum { PICTURE_WIDTH = 50, PICTURE_HEIGHT = 34 };

/* A network of fixtures/numerics; without it there is nothing to test. */
static inline gradcam_model *load(const char *name)
{
    char path[512];
    gradcam_error error = {.message = ""};
    gradcam_model *model = NULL;
    snprintf(path, sizeof path, "%s/%s.onnx", FIXTURES "/numerics", name);
    if (gradcam_model_load(&model, path, NULL, &error) == GRADCAM_OK)
        return model;
    fprintf(stderr, "%s\n", error.message);
    exit(1);
}

/* Some structure: any two programs that disagree about it will differ in the map. */
static inline void paint(uint8_t *rgb)
{
    for (int y = 0; y < PICTURE_HEIGHT; y++)
        for (int x = 0; x < PICTURE_WIDTH; x++)
            for (int c = 0; c < 3; c++)
                rgb[(y * PICTURE_WIDTH + x) * 3 + c] =
                    (uint8_t)((x * (7 + c) + y * y * (c + 1)) % 256);
}

static inline gradcam_status prepare(const asking *a, gradcam_model *model,
                                     gradcam_explainer **explainer, gradcam_error *error)
{
    gradcam_explainer_options options;
    gradcam_explainer_options_init(&options);
    options.width = a->width;
    options.height = a->height;
    options.threads = a->threads;
    options.layer = a->layer;
    return gradcam_explainer_create(explainer, model, &options, error);
}

static inline void collect(const gradcam_explanation *x, answer *to)
{
    size_t classes = 0;
    const gradcam_prediction *const p = gradcam_explanation_predictions(x, &classes);
    const size_t maps = gradcam_explanation_map_count(x);
    to->count = classes;
    for (size_t i = 0; i < maps; i++) {
        const gradcam_map *const map = gradcam_explanation_map(x, i);
        to->count += (size_t)map->width * (size_t)map->height;
    }
    to->values = malloc((to->count + 1) * sizeof *to->values);
    if (to->values == NULL)
        abort();
    float *at = to->values;
    for (size_t i = 0; i < maps; i++) {
        const gradcam_map *const map = gradcam_explanation_map(x, i);
        for (int k = 0; k < map->width * map->height; k++)
            *at++ = map->raw[k];
    }
    for (size_t k = 0; k < classes; k++)
        *at++ = p[k].logit;
    to->map_count = (int)maps;
    to->state = maps > 0 ? (int)gradcam_explanation_map(x, 0)->state : -1;
}

static inline gradcam_status ask(const asking *a, gradcam_explainer *explainer, answer *to,
                                 gradcam_error *error)
{
    static const gradcam_target target = {.text = "1"};
    gradcam_method methods[8] = {{0}};
    uint8_t rgb[3 * PICTURE_WIDTH * PICTURE_HEIGHT];
    gradcam_request request;
    gradcam_explanation *x = NULL;
    gradcam_request_init(&request);
    request.targets = &target;
    request.target_count = 1;
    request.methods = methods;
    while (request.method_count < 8 && a->methods[request.method_count] != NULL) {
        methods[request.method_count].text = a->methods[request.method_count];
        request.method_count++;
    }
    paint(rgb);
    const gradcam_input input = {.rgb = rgb, .width = PICTURE_WIDTH, .height = PICTURE_HEIGHT};
    *to = (answer){0};
    const gradcam_status status = gradcam_explain(explainer, &input, &request, &x, error);
    if (status == GRADCAM_OK)
        collect(x, to);
    gradcam_explanation_destroy(&x);
    return status;
}

/* With an explainer for this question alone. */
static inline gradcam_status ask_once(const asking *a, gradcam_model *model, answer *to,
                                      gradcam_error *error)
{
    gradcam_explainer *explainer = NULL;
    *to = (answer){0};
    gradcam_status status = prepare(a, model, &explainer, error);
    if (status == GRADCAM_OK)
        status = ask(a, explainer, to, error);
    gradcam_explainer_destroy(&explainer);
    return status;
}

static inline double largest(const answer *a)
{
    double most = 0.0;
    for (size_t i = 0; i < a->count; i++)
        most = fmax(most, fabs((double)a->values[i]));
    return most;
}

/* Of the largest value; 2 where they are not even of the same size. */
static inline double distance(const answer *a, const answer *b)
{
    double most = 0.0;
    if (a->count != b->count || a->map_count != b->map_count || a->count == 0)
        return 2.0;
    for (size_t i = 0; i < a->count; i++)
        most = fmax(most, fabs((double)a->values[i] - (double)b->values[i]));
    return most / largest(b);
}

static inline bool is_same(const answer *a, const answer *b)
{
    return a->count == b->count && a->count > 0 &&
           memcmp(a->values, b->values, a->count * sizeof *a->values) == 0;
}

static inline void release(answer *a)
{
    free(a->values);
    *a = (answer){0};
}

#endif
