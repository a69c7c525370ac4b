/* SPDX-License-Identifier: Apache-2.0 */
/* What was planned is kept: for other sizes of the input, and for other requests. A visit to what
 * is known makes no plan, and gives the bytes of the first visit. */
#include <stdlib.h>

#include "api/objects.h"
#include "test.h"

enum { LARGEST = 64, MOST = 3 * LARGEST * LARGEST };

static gradcam_error error;
static gradcam_model *model;
static gradcam_explainer *explainer;

static void fill(float *tensor, int count)
{
    for (int i = 0; i < count; i++)
        tensor[i] = (float)((i * 7919 + i / 13 * 31) % 251) / 125.0f - 1.0f;
}

static gradcam_explanation *explain_with(gradcam_explainer *own, int width, int height,
                                         const char *method)
{
    float tensor[MOST];
    const gradcam_method asked = {.text = method};
    const int64_t channels = gradcam_explainer_input(own)->dims[1];
    const gradcam_input input = {.tensor = tensor, .rank = 4, .dims = {1, channels, height, width}};
    const gradcam_request request = {.methods = &asked, .method_count = 1};
    gradcam_explanation *made = NULL;
    fill(tensor, (int)channels * width * height);
    CHECK_OK(gradcam_explain(own, &input, &request, &made, &error));
    if (made == NULL)
        exit(1);
    return made;
}

static gradcam_explanation *explain(int width, int height)
{
    return explain_with(explainer, width, height, "gradcam");
}

static void check_same(gradcam_explanation *a, gradcam_explanation *b)
{
    const gradcam_map *const one = gradcam_explanation_map(a, 0);
    const gradcam_map *const other = gradcam_explanation_map(b, 0);
    CHECK_INT(one->width, other->width);
    CHECK_INT(one->height, other->height);
    if (one->width == other->width && one->height == other->height)
        CHECK(memcmp(one->raw, other->raw,
                     sizeof(float) * (size_t)one->width * (size_t)one->height) == 0);
    gradcam_explanation_destroy(&a);
    gradcam_explanation_destroy(&b);
}

static int64_t plans(void)
{
    int64_t count = gc_runner_count(explainer->runner).plans;
    for (int i = 0; i < explainer->shape_count; i++)
        count += gc_runner_count(explainer->shapes[i]->runner).plans;
    return count;
}

/* All extents are free; the explainer's own size is 32 x 32. */
static void open_free(uint64_t max_memory)
{
    gradcam_model_options of_model;
    gradcam_explainer_options options;
    gradcam_model_options_init(&of_model);
    of_model.max_memory = max_memory;
    gradcam_explainer_options_init(&options);
    options.width = options.height = 32;
    CHECK_OK(gradcam_model_load(&model, FIXTURES "/numerics/free.onnx", &of_model, &error));
    CHECK_OK(gradcam_explainer_create(&explainer, model, &options, &error));
}

static void close_all(void)
{
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

static void known_sizes_need_no_plan(void)
{
    static const int sizes[][2] = {{32, 32}, {48, 32}, {32, 48}, {64, 40}};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    gradcam_explanation *first[SIZES];
    open_free(0);
    for (int i = 0; i < SIZES; i++)
        first[i] = explain(sizes[i][0], sizes[i][1]);
    CHECK_INT(explainer->shapes_made, SIZES - 1);
    const int64_t before = plans();
    for (int i = SIZES - 1; i >= 0; i--)
        check_same(first[i], explain(sizes[i][0], sizes[i][1]));
    CHECK_INT(explainer->shapes_made, SIZES - 1);
    CHECK_INT(plans(), before);
    close_all();
}

static void sizes_are_as_if_asked_for(void)
{
    gradcam_explainer *own = NULL;
    gradcam_explainer_options options;
    gradcam_explainer_options_init(&options);
    options.width = 48;
    options.height = 40;
    open_free(0);
    CHECK_OK(gradcam_explainer_create(&own, model, &options, &error));
    check_same(explain(48, 40), explain_with(own, 48, 40, "gradcam"));
    gradcam_explainer_destroy(&own);
    close_all();
}

static void the_oldest_size_makes_way(void)
{
    open_free(0);
    gradcam_explanation *const first = explain(40, 40);
    for (int i = 1; i <= GC_MAX_SHAPES; i++) {
        gradcam_explanation *next = explain(40 + 4 * i, 40);
        gradcam_explanation_destroy(&next);
    }
    CHECK_INT(explainer->shape_count, GC_MAX_SHAPES);
    CHECK_INT(explainer->shapes_made, GC_MAX_SHAPES + 1);
    check_same(first, explain(40, 40));
    CHECK_INT(explainer->shapes_made, GC_MAX_SHAPES + 2);
    close_all();
}

/* With memory for two sizes, any number of them can be had one after the other. */
static void sizes_make_way_to_each_other(void)
{
    open_free(0);
    gradcam_explanation *alone = explain(64, 64);
    gradcam_explanation_destroy(&alone);
    const uint64_t used = model->budget.used;
    close_all();
    open_free(used);
    for (int round = 0; round < 2; round++)
        for (int size = 48; size <= 64; size += 8) {
            gradcam_explanation *next = explain(size, size);
            gradcam_explanation_destroy(&next);
        }
    CHECK(explainer->shapes_made > 3);
    CHECK(model->budget.used <= used);
    close_all();
}

static void other_shapes_are_refused(void)
{
    static const int64_t wrong[][4] = {{2, 0, 32, 32}, {1, 7, 32, 32}, {1, 0, 0, 32}};
    float tensor[MOST];
    open_free(0);
    fill(tensor, MOST);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        gradcam_input input = {.tensor = tensor, .rank = 4};
        gradcam_explanation *made = NULL;
        memcpy(input.dims, wrong[i], sizeof wrong[i]);
        if (input.dims[1] == 0)
            input.dims[1] = gradcam_explainer_input(explainer)->dims[1];
        CHECK_INT(gradcam_explain(explainer, &input, NULL, &made, &error), GRADCAM_ERROR_SHAPE);
        CHECK(made == NULL);
    }
    CHECK_INT(explainer->shapes_made, 0);
    close_all();
}

/* Each method observes other values, so that each has a plan. */
static void known_requests_need_no_plan(void)
{
    static const char *const methods[] = {"gradcam", "eigencam", "smoothgrad:samples=2"};
    enum { METHODS = sizeof methods / sizeof methods[0] };
    gradcam_explanation *first[METHODS];
    open_free(0);
    for (int i = 0; i < METHODS; i++)
        first[i] = explain_with(explainer, 32, 32, methods[i]);
    const int64_t before = plans();
    CHECK_INT(before, METHODS);
    for (int i = 0; i < METHODS; i++)
        check_same(first[i], explain_with(explainer, 32, 32, methods[i]));
    CHECK_INT(plans(), before);
    close_all();
}

TEST_MAIN(known_sizes_need_no_plan, sizes_are_as_if_asked_for, the_oldest_size_makes_way,
          sizes_make_way_to_each_other, other_shapes_are_refused, known_requests_need_no_plan)
