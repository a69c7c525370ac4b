/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: targets and methods of the caller's own, what is shared between maps, every row of the
 * tables, signs and scales, seeds. */
#include <stdlib.h>
#include <unistd.h>

#include "api/objects.h"
#include "picture/npy.h"
#include "test.h"

static gradcam_error error;

enum { WIDTH = 40, HEIGHT = 30 };

typedef struct session {
    gradcam_model *model;
    gradcam_explainer *explainer;
    uint8_t rgb[3 * WIDTH * HEIGHT];
} session;

/* `layer` as in gradcam_explainer_options. */
static session *begin(const char *layer)
{
    session *const s = calloc(1, sizeof *s);
    if (s == NULL)
        abort();
    gradcam_explainer_options options;
    gradcam_explainer_options_init(&options);
    options.layer = layer;
    for (int i = 0; i < 3 * WIDTH * HEIGHT; i++)
        s->rgb[i] = (uint8_t)((i * 7 + i / WIDTH * 13 + i * i / 91) % 256);
    CHECK_OK(gradcam_model_load(&s->model, FIXTURES "/cli/model.onnx", NULL, &error));
    CHECK_OK(gradcam_explainer_create(&s->explainer, s->model, &options, &error));
    return s;
}

static void end(session *s)
{
    gradcam_explainer_destroy(&s->explainer);
    gradcam_model_destroy(&s->model);
    free(s);
}

static gradcam_status ask(const session *s, const gradcam_request *request, gradcam_explanation **x)
{
    const gradcam_input input = {.rgb = s->rgb, .width = WIDTH, .height = HEIGHT};
    return gradcam_explain(s->explainer, &input, request, x, &error);
}

static gradcam_explanation *explain(const session *s, const gradcam_request *request)
{
    gradcam_explanation *x = NULL;
    CHECK_OK(ask(s, request, &x));
    return x;
}

static const float *raw_of(const gradcam_explanation *x, size_t index, int *count)
{
    const gradcam_map *const map = gradcam_explanation_map(x, index);
    *count = map->width * map->height;
    return map->raw;
}

/* found = sum of weights[k] times map k, to 1e-5 of its size. */
static void check_sum(const float *found, int count, const float *const *maps, const float *weights,
                      int terms)
{
    float largest = 0.0f, difference = 0.0f;
    for (int i = 0; i < count; i++) {
        float sum = 0.0f;
        for (int k = 0; k < terms; k++)
            sum += weights[k] * maps[k][i];
        largest = fmaxf(largest, fabsf(sum));
        difference = fmaxf(difference, fabsf(sum - found[i]));
    }
    CHECK(largest > 0.0f);
    CHECK(difference <= 1e-5f * largest);
}

/* ---- The caller's own ----------------------------------------------------------------------- */

/* 3 z_1 - 2 z_0. */
static gradcam_status own_target(void *user, const gradcam_tensor *outputs, size_t count,
                                 double *score, gradcam_error *e)
{
    const float *const factors = user;
    (void)e;
    CHECK_INT(count, 1);
    CHECK_INT(outputs[0].rank, 2);
    CHECK_INT(outputs[0].dims[1], 4);
    *score = (double)(factors[0] * outputs[0].values[0] + factors[1] * outputs[0].values[1]);
    for (int k = 0; outputs[0].gradient != NULL && k < 2; k++)
        outputs[0].gradient[k] = factors[k];
    return GRADCAM_OK;
}

/* Behind pooling and a linear layer, Grad-CAM is linear in the gradient of the target. */
static void test_own_target(void)
{
    float factors[] = {-2.0f, 3.0f};
    const gradcam_target targets[] = {
        {.text = "0"}, {.text = "1"}, {.text = "mine", .function = own_target, .user = factors}};
    gradcam_request request;
    gradcam_request_init(&request);
    request.targets = targets;
    request.target_count = 3;
    session *const s = begin(NULL);
    gradcam_explanation *x = explain(s, &request);
    int count = 0;
    CHECK_INT(gradcam_explanation_map_count(x), 3);
    const float *const maps[] = {raw_of(x, 0, &count), raw_of(x, 1, &count)};
    const gradcam_map *const mine = gradcam_explanation_map(x, 2);
    check_sum(mine->raw, count, maps, factors, 2);
    CHECK_STR(mine->target, "mine");
    CHECK_INT(mine->prediction.index, -1);
    CHECK_NEAR(mine->score,
               -2.0 * gradcam_explanation_map(x, 0)->score +
                   3.0 * gradcam_explanation_map(x, 1)->score,
               1e-5);
    gradcam_explanation_destroy(&x);
    end(s);
}

/* Grad-CAM, once more. */
static gradcam_status own_method(void *user, const gradcam_features *f, float *map,
                                 gradcam_error *e)
{
    (void)e;
    ++*(int *)user;
    CHECK_INT(f->positions, f->width * f->height);
    for (int64_t i = 0; i < f->positions; i++)
        map[i] = 0.0f;
    for (int64_t c = 0; c < f->channels; c++) {
        float weight = 0.0f;
        for (int64_t i = 0; i < f->positions; i++)
            weight += f->gradient[c * f->positions + i] / (float)f->positions;
        for (int64_t i = 0; i < f->positions; i++)
            map[i] += weight * f->activation[c * f->positions + i];
    }
    return GRADCAM_OK;
}

static void test_own_method(void)
{
    int calls = 0;
    const gradcam_method methods[] = {{.text = "gradcam"},
                                      {.text = "mine", .function = own_method, .user = &calls}};
    const gradcam_target targets[] = {{.text = "0"}, {.text = "1"}};
    const float one[] = {1.0f};
    gradcam_request request;
    gradcam_request_init(&request);
    request.methods = methods;
    request.method_count = 2;
    request.targets = targets;
    request.target_count = 2;
    session *const s = begin("relu*");
    gradcam_explanation *x = explain(s, &request);
    CHECK_INT(gradcam_explanation_map_count(x), 8);
    CHECK_INT(calls, 4);
    for (size_t i = 0; i < 8; i++) {
        const gradcam_map *const mine = gradcam_explanation_map(x, i);
        int count = 0;
        if (strcmp(mine->method, "mine") != 0)
            continue;
        for (size_t k = 0; k < 8; k++) {
            const gradcam_map *const m = gradcam_explanation_map(x, k);
            if (strcmp(m->method, "gradcam") != 0 || strcmp(m->target, mine->target) != 0 ||
                m->layer.index != mine->layer.index)
                continue;
            const float *const theirs[] = {raw_of(x, k, &count)};
            check_sum(mine->raw, count, theirs, one, 1);
        }
        CHECK(count > 0);
    }
    gradcam_explanation_destroy(&x);
    end(s);
}

static gradcam_status failing_target(void *user, const gradcam_tensor *outputs, size_t count,
                                     double *score, gradcam_error *e)
{
    (void)user;
    (void)outputs;
    (void)count;
    (void)score;
    e->status = GRADCAM_ERROR_NUMERIC;
    snprintf(e->message, sizeof e->message, "no score today");
    return GRADCAM_ERROR_NUMERIC;
}

static gradcam_status failing_method(void *user, const gradcam_features *f, float *map,
                                     gradcam_error *e)
{
    (void)user;
    (void)f;
    (void)map;
    e->status = GRADCAM_ERROR_LIMIT;
    snprintf(e->message, sizeof e->message, "no map today");
    return GRADCAM_ERROR_LIMIT;
}

/* Their failures are handed on, and the explainer goes on working. */
static void test_own_failures(void)
{
    const gradcam_target target = {.function = failing_target};
    const gradcam_method method = {.function = failing_method};
    gradcam_request request;
    gradcam_explanation *x = NULL;
    session *const s = begin(NULL);
    gradcam_request_init(&request);
    request.targets = &target;
    request.target_count = 1;
    CHECK_INT(ask(s, &request, &x), GRADCAM_ERROR_NUMERIC);
    CHECK_STR(error.message, "no score today");
    CHECK(x == NULL);
    gradcam_request_init(&request);
    request.methods = &method;
    request.method_count = 1;
    CHECK_INT(ask(s, &request, &x), GRADCAM_ERROR_LIMIT);
    CHECK_STR(error.message, "no map today");
    x = explain(s, NULL);
    CHECK_INT(gradcam_explanation_map_count(x), 1);
    gradcam_explanation_destroy(&x);
    end(s);
}

/* ---- Sharing -------------------------------------------------------------------------------- */

static gc_runner_counts count_runs(session *s, const char *const *names, size_t count)
{
    static const gradcam_target targets[] = {{.text = "0"}, {.text = "1"}, {.text = "diff:0,1"}};
    gradcam_method methods[8] = {{0}};
    gradcam_request request;
    gradcam_request_init(&request);
    for (size_t i = 0; i < count; i++)
        methods[i].text = names[i];
    request.methods = methods;
    request.method_count = count;
    request.targets = targets;
    request.target_count = 3;
    const gc_runner_counts before = gc_runner_count(s->explainer->runner);
    gradcam_explanation *x = explain(s, &request);
    const gc_runner_counts after = gc_runner_count(s->explainer->runner);
    gradcam_explanation_destroy(&x);
    return (gc_runner_counts){after.forwards - before.forwards, after.backwards - before.backwards,
                              after.swept - before.swept, after.plans - before.plans};
}

/* Three targets, several methods, two layers. */
static void test_shared_passes(void)
{
    static const char *const gradients[] = {"gradcam",  "hirescam", "gradcam++",    "layercam",
                                            "xgradcam", "eigencam", "eigengradcam", "saliency"};
    static const char *const activations[] = {"eigencam", "fem", "kpcacam", "random"};
    static const char *const guided[] = {"gradcam", "guidedbackprop", "guidedgradcam"};
    static const char *const ablation[] = {"ablationcam"};
    static const char *const scores[] = {"scorecam", "gradcam"};
    session *s = begin("relu*");
    gc_runner_counts n = count_runs(s, gradients, 8);
    CHECK_INT(n.forwards, 1);
    CHECK_INT(n.backwards, 3);
    CHECK_INT(n.swept, 0);
    n = count_runs(s, activations, 4);
    CHECK_INT(n.forwards, 1);
    CHECK_INT(n.backwards, 0);
    n = count_runs(s, guided, 3);
    CHECK_INT(n.forwards, 1);
    CHECK(n.backwards <=
          2 * 3 * 2); /* a plain and a guided one, in turn where a method needs both */
    end(s);
    s = begin(NULL); /* four channels */
    n = count_runs(s, ablation, 1);
    CHECK_INT(n.forwards, 1);
    CHECK_INT(n.backwards, 0);
    CHECK_INT(n.swept, 4 + 1); /* for all targets together */
    n = count_runs(s, scores, 2);
    CHECK_INT(n.forwards, 1);
    CHECK_INT(n.backwards, 3);
    CHECK_INT(n.swept, 4);
    end(s);
}

/* ---- Tables --------------------------------------------------------------------------------- */

static void run_method(const session *s, const char *name)
{
    const gradcam_method method = {.text = name};
    gradcam_request request;
    gradcam_request_init(&request);
    request.methods = &method;
    request.method_count = 1;
    gradcam_explanation *x = explain(s, &request);
    for (size_t i = 0; i < gradcam_explanation_map_count(x); i++) {
        const gradcam_map *const map = gradcam_explanation_map(x, i);
        CHECK_STR(map->method, name);
        CHECK(map->state != GRADCAM_MAP_NOT_FINITE);
    }
    CHECK(gradcam_explanation_map_count(x) > 0);
    gradcam_explanation_destroy(&x);
}

static void test_every_method(void)
{
    session *const s = begin(NULL);
    size_t count = 0;
    for (; gradcam_method_at(count) != NULL; count++) {
        const gradcam_method_info *const m = gradcam_method_at(count);
        CHECK(m->summary[0] != '\0' && m->paper[0] != '\0' && m->formula[0] != '\0');
        CHECK(m->cost[0] != '\0' && m->needs[0] != '\0');
        CHECK(strchr(m->summary, '\n') == NULL);
        for (size_t k = 0; k < count; k++)
            CHECK(strcmp(gradcam_method_at(k)->name, m->name) != 0);
        run_method(s, strcmp(m->name, "rise") == 0 ? "rise:samples=20" : m->name);
    }
    CHECK(count >= 31);
    end(s);
}

static void refuse(const session *s, const char *method, const char *target, gradcam_status status,
                   const char *part)
{
    const gradcam_method methods[] = {{.text = method}};
    const gradcam_target targets[] = {{.text = target}};
    gradcam_request request;
    gradcam_explanation *x = NULL;
    gradcam_request_init(&request);
    request.methods = methods;
    request.method_count = method != NULL;
    request.targets = targets;
    request.target_count = target != NULL;
    CHECK_INT(ask(s, &request, &x), status);
    if (strstr(error.message, part) == NULL) {
        fprintf(stderr, "'%s' is missing in: %s\n", part, error.message);
        CHECK(0);
    }
}

static void test_refusals(void)
{
    session *const s = begin(NULL);
    refuse(s, "gradkam", NULL, GRADCAM_ERROR_ARGUMENT, "gradkam");
    refuse(s, "gradcam:fast", NULL, GRADCAM_ERROR_ARGUMENT, "fast");
    refuse(s, "scorecam:channels=many", NULL, GRADCAM_ERROR_ARGUMENT, "many");
    refuse(s, "scorecam:channels=-1", NULL, GRADCAM_ERROR_ARGUMENT, "channels");
    refuse(s, "", NULL, GRADCAM_ERROR_ARGUMENT, "");
    refuse(s, NULL, "diff:0", GRADCAM_ERROR_ARGUMENT, "diff:cat,dog");
    refuse(s, NULL, "0@own", GRADCAM_ERROR_SHAPE, "1x4");
    refuse(s, NULL, "binary:+", GRADCAM_ERROR_SHAPE, "1x4");
    refuse(s, NULL, "7", GRADCAM_ERROR_CLASS, "0 to 3");
    refuse(s, NULL, "boxes[0]", GRADCAM_ERROR_ARGUMENT, "'logits'");
    end(s);
}

/* ---- Signs, scales, seeds -------------------------------------------------------------------- */

static void check_file(gradcam_explanation *x, const gradcam_render_options *options, float scale,
                       float lowest)
{
    char path[] = "/tmp/test_request_XXXXXX.npy";
    gc_array array = {0};
    int count = 0;
    const float *const raw = raw_of(x, 0, &count);
    close(mkstemps(path, 4));
    CHECK_OK(gradcam_explanation_save(x, 0, GRADCAM_NPY_NORMALISED, options, path, &error));
    CHECK_OK(gc_npy_read(&array, path, NULL, &error));
    for (int i = 0; array.data != NULL && i < count; i++)
        CHECK_NEAR(array.data[i], fmaxf(lowest, fminf(1.0f, raw[i] / scale)), 1e-6);
    gc_array_free(&array);
    unlink(path);
}

static void test_signs_and_scales(void)
{
    const gradcam_target target = {.text = "0"};
    gradcam_render_options options;
    gradcam_request request;
    gradcam_request_init(&request);
    request.targets = &target;
    request.target_count = 1;
    session *const s = begin(NULL);
    gradcam_explanation *x = explain(s, &request);
    const gradcam_map *const map = gradcam_explanation_map(x, 0);
    CHECK(map->minimum < 0.0f && map->maximum > 0.0f);
    gradcam_render_options_init(&options);
    check_file(x, &options, map->maximum, 0.0f);
    options.is_signed = 1;
    check_file(x, &options, fmaxf(map->maximum, -map->minimum), -1.0f);
    options.scale = 2.0f * map->maximum;
    check_file(x, &options, options.scale, -1.0f);
    options.is_signed = 0;
    check_file(x, &options, options.scale, 0.0f);
    request.counterfactual = 1;
    gradcam_explanation *against = explain(s, &request);
    const float minus = -1.0f;
    int count = 0;
    const float *const maps[] = {raw_of(x, 0, &count)};
    check_sum(gradcam_explanation_map(against, 0)->raw, count, maps, &minus, 1);
    gradcam_explanation_destroy(&against);
    gradcam_explanation_destroy(&x);
    end(s);
}

static void count_progress(void *user, const char *method, size_t done, size_t total)
{
    size_t *const last = user;
    CHECK(method != NULL && done <= total && (done > last[0] || last[0] == last[1]));
    last[0] = done;
    last[1] = total;
}

static int same_raw(const gradcam_explanation *a, const gradcam_explanation *b)
{
    int count = 0;
    const float *const ra = raw_of(a, 0, &count), *const rb = raw_of(b, 0, &count);
    return memcmp(ra, rb, (size_t)count * sizeof *ra) == 0;
}

static void test_seeds(void)
{
    static const char *const names[] = {"random", "rise:samples=20", "smoothgrad:samples=3",
                                        "sscam:samples=2", "gradcam"};
    session *const s = begin("relu1");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const gradcam_method method = {.text = names[i]};
        size_t progress[2] = {0};
        gradcam_request request;
        gradcam_request_init(&request);
        request.methods = &method;
        request.method_count = 1;
        request.seed = 5;
        request.smooth_noise = strcmp(names[i], "gradcam") == 0 ? 3 : 0;
        request.progress = count_progress;
        request.progress_user = progress;
        gradcam_explanation *a = explain(s, &request), *b = explain(s, &request);
        request.seed = 6;
        gradcam_explanation *c = explain(s, &request);
        CHECK(same_raw(a, b));
        CHECK(!same_raw(a, c));
        CHECK(progress[0] == progress[1] && (progress[1] > 0 || i == 0));
        gradcam_explanation_destroy(&a);
        gradcam_explanation_destroy(&b);
        gradcam_explanation_destroy(&c);
    }
    end(s);
}

TEST_MAIN(test_own_target, test_own_method, test_own_failures, test_shared_passes,
          test_every_method, test_refusals, test_signs_and_scales, test_seeds)
