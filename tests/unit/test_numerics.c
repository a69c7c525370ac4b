/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edges of arithmetic: denormals and the state of the floating-point unit, scores that saturate
 * their Softmax or Sigmoid, tensors without elements, maps of very few places. The networks are
 * those of tests/oracle/make_numeric_fixtures.py; what they must give follows from how they are
 * made.
 */
#include <float.h>
#include <omp.h>

#include "asking.h"
#include "test.h"

#ifdef __SSE__
#include <xmmintrin.h>
#endif

static gradcam_error error;

enum { THREADS = 3, MAX_MAP = 64 * 64 };

static answer ask_model(const char *name, const asking *question)
{
    answer found;
    gradcam_model *model = load(name);
    CHECK_OK(ask_once(question, model, &found, &error));
    gradcam_model_destroy(&model);
    return found;
}

/* ---- Denormals ------------------------------------------------------------------------------ */

typedef struct seen {
    int calls, denormal_values, nonzero_values, slow_threads;
} seen;

static int is_denormal(float value)
{
    uint32_t bits = 0; /* arithmetic would take it for 0 */
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x7f800000u) == 0 && (bits & 0x007fffffu) != 0;
}

/* Does this thread compute with denormals, or make them? */
static int keeps_denormals(void)
{
    const volatile float small = FLT_MIN, half = 0.5f, one = 1.0f;
    const volatile float made = small * half;
    volatile float given = 0.0f;
    const uint32_t bits = 1;
    memcpy((void *)(uintptr_t)&given, &bits, sizeof bits);
    const volatile float used = given * one;
    return is_denormal(made) || is_denormal(used);
}

static gradcam_status look(void *user, const gradcam_features *f, float *map, gradcam_error *e)
{
    seen *const s = user;
    const int64_t count = f->channels * f->positions;
    int slow = 0;
    (void)e;
    s->calls++;
    for (int64_t i = 0; i < count; i++) {
        s->denormal_values += is_denormal(f->activation[i]) + is_denormal(f->gradient[i]);
        s->nonzero_values += is_denormal(f->activation[i]) || f->activation[i] != 0.0f;
    }
    for (int64_t i = 0; i < f->positions; i++)
        map[i] = 0.0f;
#pragma omp parallel reduction(+ : slow)
    slow += keeps_denormals();
    s->slow_threads += slow;
    return GRADCAM_OK;
}

static seen look_at(const char *name)
{
    seen s = {0};
    const gradcam_method method = {.text = "look", .function = look, .user = &s};
    uint8_t rgb[3 * PICTURE_WIDTH * PICTURE_HEIGHT];
    const asking question = {.width = 32, .height = 32, .threads = THREADS, .layer = "*"};
    gradcam_request request;
    gradcam_explainer *explainer = NULL;
    gradcam_explanation *x = NULL;
    gradcam_model *model = load(name);
    CHECK_OK(prepare(&question, model, &explainer, &error));
    gradcam_request_init(&request);
    request.methods = &method;
    request.method_count = 1;
    paint(rgb);
    const gradcam_input input = {.rgb = rgb, .width = PICTURE_WIDTH, .height = PICTURE_HEIGHT};
    CHECK_OK(gradcam_explain(explainer, &input, &request, &x, &error));
    gradcam_explanation_destroy(&x);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
    return s;
}

#ifdef __SSE__

/* Rounding towards zero, one exception not masked or not, denormals flushed or not: of each thread
 * another. */
static unsigned odd_state(int thread)
{
    static const unsigned odd[THREADS] = {0x1f80 | 0x6000, 0x1f80 | 0x8000, 0x1f80 & ~0x0200u};
    return odd[thread % THREADS];
}

static unsigned states[THREADS];

static unsigned state_without_flags(void)
{
    return _mm_getcsr() & ~0x3fu;
}

/* GCC's OpenMP leaves each worker its state, LLVM's gives all of them that of the calling thread.
 */
static void set_states(void)
{
#pragma omp parallel num_threads(THREADS)
    _mm_setcsr(odd_state(omp_get_thread_num()));
    _mm_setcsr(odd_state(0));
#pragma omp parallel num_threads(THREADS)
    states[omp_get_thread_num()] = state_without_flags();
}

static void reset_states(void)
{
#pragma omp parallel num_threads(THREADS)
    _mm_setcsr(0x1f80);
    _mm_setcsr(0x1f80);
}

static int changed_states(void)
{
    int changed = state_without_flags() != states[0];
#pragma omp parallel num_threads(THREADS) reduction(+ : changed)
    changed += state_without_flags() != states[omp_get_thread_num()];
    return changed;
}

/* Valgrind computes with denormals, whatever it is told. */
static int can_flush(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u);
    const int flushes = !keeps_denormals();
    _mm_setcsr(before);
    return flushes;
}

#endif

/* Where every activation would be denormal, none is: not one product is slow. */
static void test_no_denormals(void)
{
#ifdef __SSE__
    if (!can_flush())
        SKIP("denormals cannot be flushed here");
    const seen s = look_at("denormal"), normal = look_at("normal");
    CHECK(s.calls >= 5);
    CHECK_INT(s.denormal_values, 0);
    CHECK_INT(s.nonzero_values, 0);
    CHECK_INT(s.slow_threads, 0);
    CHECK(normal.nonzero_values > 1000);
    CHECK(keeps_denormals());
#else
    SKIP("denormals are left as they are on this machine");
#endif
}

/* Whatever the host has set: it finds it again, on its workers, too, and the answer is the same. */
static void test_state_of_host(void)
{
#ifdef __SSE__
    const asking question = {.width = 32, .height = 24, .threads = THREADS, .methods = {"gradcam"}};
    const int before = omp_get_max_threads();
    omp_set_num_threads(THREADS);
    answer plain = ask_model("free", &question), odd = {0};
    gradcam_model *model = NULL, *missing = NULL;
    gradcam_explainer *explainer = NULL;
    set_states();
    CHECK_INT(states[0], odd_state(0) & ~0x3fu);
    const gradcam_status loaded =
        gradcam_model_load(&model, FIXTURES "/numerics/free.onnx", NULL, &error);
    const int after_load = changed_states();
    const gradcam_status prepared = prepare(&question, model, &explainer, &error);
    const int after_create = changed_states();
    const gradcam_status asked = ask(&question, explainer, &odd, &error);
    const int after_explain = changed_states();
    const gradcam_status failed = gradcam_model_load(&missing, "missing.onnx", NULL, &error);
    const int after_failure = changed_states();
    reset_states();
    CHECK_INT(loaded, GRADCAM_OK);
    CHECK_INT(prepared, GRADCAM_OK);
    CHECK_INT(asked, GRADCAM_OK);
    CHECK_INT(failed, GRADCAM_ERROR_FILE);
    CHECK_INT(after_load, 0);
    CHECK_INT(after_create, 0);
    CHECK_INT(after_explain, 0);
    CHECK_INT(after_failure, 0);
    CHECK(is_same(&odd, &plain));
    omp_set_num_threads(before);
    release(&plain);
    release(&odd);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
#else
    SKIP("the state of the floating-point unit is left as it is on this machine");
#endif
}

static int inner_call_ended_slow;

/* A function of the caller's may explain something itself, and goes on as before. */
static gradcam_status ask_within(void *user, const gradcam_features *f, float *map,
                                 gradcam_error *e)
{
    const asking question = {.width = 32, .height = 24, .threads = 2, .methods = {"gradcam"}};
    answer *const to = user;
    for (int64_t i = 0; i < f->positions; i++)
        map[i] = (float)i;
    gradcam_model *model = NULL;
    gradcam_status status = gradcam_model_load(&model, FIXTURES "/numerics/free.onnx", NULL, e);
    if (status == GRADCAM_OK)
        status = ask_once(&question, model, to, e);
    gradcam_model_destroy(&model);
    inner_call_ended_slow = keeps_denormals();
    return status;
}

static void test_call_within_call(void)
{
#ifdef __SSE__
    const asking question = {.width = 32, .height = 24, .threads = 2, .methods = {"gradcam"}};
    answer within = {0}, plain = ask_model("free", &question);
    const gradcam_method method = {.text = "within", .function = ask_within, .user = &within};
    const unsigned state = _mm_getcsr() & 0xffc0u;
    uint8_t rgb[3 * PICTURE_WIDTH * PICTURE_HEIGHT];
    gradcam_request request;
    gradcam_explainer *explainer = NULL;
    gradcam_explanation *x = NULL;
    gradcam_model *model = load("free");
    CHECK_OK(prepare(&question, model, &explainer, &error));
    gradcam_request_init(&request);
    request.methods = &method;
    request.method_count = 1;
    paint(rgb);
    const gradcam_input input = {.rgb = rgb, .width = PICTURE_WIDTH, .height = PICTURE_HEIGHT};
    CHECK_OK(gradcam_explain(explainer, &input, &request, &x, &error));
    CHECK_INT(_mm_getcsr() & 0xffc0u, state);
    CHECK(!inner_call_ended_slow || !can_flush());
    CHECK(is_same(&within, &plain));
    release(&within);
    release(&plain);
    gradcam_explanation_destroy(&x);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
#else
    SKIP("the state of the floating-point unit is left as it is on this machine");
#endif
}

/* ---- Saturation ----------------------------------------------------------------------------- */

static gradcam_status explain_after(const char *name, float *raw, int *state, double *probability)
{
    gradcam_explainer_options options;
    gradcam_explainer *explainer = NULL;
    gradcam_explanation *x = NULL;
    uint8_t rgb[3 * PICTURE_WIDTH * PICTURE_HEIGHT];
    gradcam_model *model = load(name);
    paint(rgb);
    gradcam_explainer_options_init(&options);
    options.after_activation = 1;
    gradcam_status status = gradcam_explainer_create(&explainer, model, &options, &error);
    if (status == GRADCAM_OK)
        status = gradcam_explain_pixels(explainer, rgb, PICTURE_WIDTH, PICTURE_HEIGHT, NULL, 0, &x,
                                        &error);
    if (status == GRADCAM_OK) {
        const gradcam_map *const map = gradcam_explanation_map(x, 0);
        memcpy(raw, map->raw, (size_t)(map->width * map->height) * sizeof *raw);
        *state = (int)map->state;
        *probability = map->score;
    }
    gradcam_explanation_destroy(&x);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
    return status;
}

/* The logits are thousands apart, so behind the activation every gradient is 0. By default the
 * score is taken before it, and the map is that of the network without. */
static void test_saturated(void)
{
    static const char *const names[] = {"softmax", "sigmoid"};
    const asking question = {.methods = {"gradcam", "layercam", "hirescam", "scorecam"}};
    answer plain = ask_model("logits", &question);
    CHECK_INT(plain.state, GRADCAM_MAP_OK);
    for (size_t i = 0; i < 2; i++) {
        answer found = ask_model(names[i], &question);
        CHECK(is_same(&found, &plain));
        release(&found);
        float raw[MAX_MAP];
        int state = -1;
        double probability = 0.0;
        memset(raw, 0xff, sizeof raw); /* NaN */
        CHECK_OK(explain_after(names[i], raw, &state, &probability));
        CHECK_INT(state, GRADCAM_MAP_FLAT);
        CHECK_NEAR(probability, 1.0, 0.0);
        for (int k = 0; k < 8 * 8; k++)
            CHECK_NEAR(raw[k], 0.0, 0.0);
    }
    release(&plain);
}

/* ---- Normalisation -------------------------------------------------------------------------- */

/* FullGrad counts its shift as a bias, as that of a convolution that does the same. */
static void test_normalisation(void)
{
    const asking question = {.methods = {"fullgrad", "fullgrad:complete", "gradcam"}};
    answer norm = ask_model("norm", &question), conv = ask_model("norm_as_conv", &question);
    CHECK(distance(&norm, &conv) <= 1e-5);
    release(&norm);
    release(&conv);
}

/* ---- Few elements, and none ----------------------------------------------------------------- */

static void test_empty_input(void)
{
    static const char *const names[] = {"empty_batch", "empty_width"};
    static const char *const shapes[] = {"0x3x8x8", "1x3x8x0"};
    for (size_t i = 0; i < 2; i++) {
        gradcam_explainer *explainer = NULL;
        gradcam_model *model = load(names[i]);
        CHECK_INT(gradcam_explainer_create(&explainer, model, NULL, &error), GRADCAM_ERROR_SHAPE);
        CHECK(explainer == NULL);
        CHECK(strstr(error.message, shapes[i]) != NULL && strstr(error.message, "'input'") != NULL);
        gradcam_model_destroy(&model);
    }
}

/* Nothing, joined to something, leaves that. */
static void test_empty_part(void)
{
    const asking question = {
        .methods = {"gradcam", "gradcam++", "ablationcam", "eigencam", "fullgrad"},
        .layer = "relu1"};
    answer with = ask_model("empty_branch", &question), without = ask_model("logits", &question);
    CHECK(distance(&with, &without) <= 1e-6);
    release(&with);
    release(&without);
}

/* Classes that depend on a layer without places: each gets 0, and the map is flat. */
static void test_empty_layer(void)
{
    const asking question = {.methods = {"gradcam", "hirescam"}};
    answer found = ask_model("empty_space", &question);
    CHECK_INT(found.state, GRADCAM_MAP_FLAT);
    for (size_t i = 0; i < found.count; i++)
        CHECK_NEAR(found.values[i], 0.0, 0.0);
    release(&found);
}

/* A layer of one place says nothing about where, and that is said. */
static void test_one_place(void)
{
    const asking question = {.width = 2, .height = 2, .layer = "mul13"};
    gradcam_explainer *explainer = NULL;
    gradcam_model *model = load("point");
    CHECK_INT(gradcam_explainer_create(&explainer, model, NULL, &error), GRADCAM_ERROR_LAYER);
    CHECK(strstr(error.message, "spatial extent") != NULL);
    gradcam_model_destroy(&model);
    model = load("free");
    CHECK_INT(prepare(&question, model, &explainer, &error), GRADCAM_ERROR_LAYER);
    CHECK(strstr(error.message, "mul13") != NULL && strstr(error.message, "1x24x1x1") != NULL);
    gradcam_model_destroy(&model);
}

static void check_method(gradcam_explainer *explainer, const char *method, const int *size)
{
    const asking question = {.methods = {method}};
    answer found;
    const gradcam_status status = ask(&question, explainer, &found, &error);
    bool is_good = status == GRADCAM_OK && found.state != GRADCAM_MAP_NOT_FINITE;
    for (size_t i = 0; i < found.count; i++)
        is_good = is_good && isfinite(found.values[i]);
    if (!is_good)
        fprintf(stderr, "%s at %dx%d: %s\n", method, size[0], size[1],
                status == GRADCAM_OK ? "not finite" : error.message);
    CHECK(is_good);
    release(&found);
}

/* Every method on maps of two by two places, of one row, of one column: numbers, whatever they are.
 */
static void test_few_places(void)
{
    static const int sizes[][2] = {{2, 2}, {32, 2}, {2, 32}};
    gradcam_model *model = load("free");
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const asking question = {.width = sizes[s][0], .height = sizes[s][1], .threads = 1};
        gradcam_explainer *explainer = NULL;
        const gradcam_method_info *info = NULL;
        CHECK_OK(prepare(&question, model, &explainer, &error));
        for (size_t m = 0; (info = gradcam_method_at(m)) != NULL; m++)
            if (strcmp(info->name, "cam") != 0) /* the gate is in its way */
                check_method(explainer, info->name, sizes[s]);
        gradcam_explainer_destroy(&explainer);
    }
    gradcam_model_destroy(&model);
}

TEST_MAIN(test_no_denormals, test_state_of_host, test_call_within_call, test_saturated,
          test_normalisation, test_empty_input, test_empty_part, test_empty_layer, test_one_place,
          test_few_places)
