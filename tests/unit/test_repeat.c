/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeatability, as docs/reproducibility.md states it: what has equal bytes, and what is equal to
 * rounding only. (Across processes: the CLI cases maps-repeat and maps-order.)
 */
#include <locale.h>
#include <stdlib.h>

#include "asking.h"
#include "test.h"

static gradcam_error error;

enum { SAMPLES = 3 };

static gradcam_explainer *explainer_for(const asking *question, gradcam_model *model)
{
    gradcam_explainer *explainer = NULL;
    CHECK_OK(prepare(question, model, &explainer, &error));
    if (explainer == NULL)
        exit(1);
    return explainer;
}

/* Makes the German locale in a folder of its own; few machines have it. */
static bool set_comma(void)
{
    char folder[] = "/tmp/gradcam-locale.XXXXXX", command[256], path[64];
    bool is_set = false;
    if (mkdtemp(folder) == NULL)
        return false;
    snprintf(path, sizeof path, "%s/de_DE.UTF-8", folder);
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s >%s/log 2>&1", path, folder);
    if (system(command) == 0) {
        setenv("LOCPATH", folder, 1);
        is_set = setlocale(LC_ALL, "de_DE.UTF-8") != NULL && localeconv()->decimal_point[0] == ',';
    }
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 && is_set;
}

/* With everything that draws random numbers, and everything that runs batches. */
static const asking questions[] = {
    {.width = 32, .height = 24, .methods = {"gradcam", "layercam", "gradcam++"}},
    {.width = 32, .height = 24, .methods = {"scorecam", "ablationcam", "kpcacam"}},
    {.width = 32, .height = 24, .methods = {"rise:samples=50", "sscam:samples=3", "random"}},
    {.width = 32, .height = 24, .methods = {"smoothgrad", "integratedgradients"}},
};
enum { QUESTIONS = sizeof questions / sizeof questions[0] };

/* ---- Equal bytes ---------------------------------------------------------------------------- */

/* Asked again, whatever was asked in between, and of a new explainer of a model loaded anew. */
static void test_again(void)
{
    gradcam_model *model = load("free");
    gradcam_explainer *explainer = explainer_for(&questions[0], model);
    answer first[QUESTIONS];
    for (int q = 0; q < QUESTIONS; q++)
        CHECK_OK(ask(&questions[q], explainer, &first[q], &error));
    for (int q = QUESTIONS - 1; q >= 0; q--) {
        answer again;
        CHECK_OK(ask(&questions[q], explainer, &again, &error));
        CHECK(is_same(&again, &first[q]));
        release(&again);
    }
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
    for (int q = 0; q < QUESTIONS; q++) {
        answer anew;
        model = load("free");
        CHECK_OK(ask_once(&questions[q], model, &anew, &error));
        CHECK(is_same(&anew, &first[q]));
        release(&anew);
        release(&first[q]);
        gradcam_model_destroy(&model);
    }
}

/* Values of one map of an explanation made by `explainer` for class 1 of a tensor. */
static answer ask_tensor(gradcam_explainer *explainer, const float *tensor)
{
    static const int class_index = 1;
    const gradcam_input_info *const input = gradcam_explainer_input(explainer);
    gradcam_explanation *x = NULL;
    answer found = {0};
    CHECK_OK(gradcam_explain_tensor(explainer, tensor, input->rank, input->dims, NULL, 0, 0,
                                    &class_index, 1, &x, &error));
    if (x == NULL)
        exit(1);
    collect(x, &found);
    gradcam_explanation_destroy(&x);
    return found;
}

static void fill(float *values, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(seed >> 8) / 16777216.0f - 0.5f;
    }
}

/* What else is in a batch does not matter. Alone, the sample gives the same to rounding. */
static void test_batch(void)
{
    enum { SAMPLE = 3 * 24 * 32 };
    static float tensor[SAMPLES * SAMPLE];
    const asking as_is = {0}, alone = {.width = 32, .height = 24};
    gradcam_model *batched = load("fixed_batch"), *single = load("free");
    gradcam_explainer *three = explainer_for(&as_is, batched);
    gradcam_explainer *one = explainer_for(&alone, single);
    memset(tensor, 0, sizeof tensor);
    fill(tensor, SAMPLE, 1);
    answer with_zeros = ask_tensor(three, tensor), by_itself = ask_tensor(one, tensor);
    fill(tensor + SAMPLE, SAMPLE, 2);
    fill(tensor + (size_t)2 * SAMPLE, SAMPLE, 3);
    answer with_others = ask_tensor(three, tensor);
    CHECK(is_same(&with_others, &with_zeros));
    CHECK(distance(&with_others, &by_itself) <= 1e-5);
    fill(tensor, SAMPLE, 4);
    answer other = ask_tensor(three, tensor);
    CHECK(distance(&other, &with_others) > 1e-2);
    release(&with_zeros);
    release(&by_itself);
    release(&with_others);
    release(&other);
    gradcam_explainer_destroy(&three);
    gradcam_explainer_destroy(&one);
    gradcam_model_destroy(&batched);
    gradcam_model_destroy(&single);
}

/* In a program whose locale writes a decimal comma. */
static void test_locale(void)
{
    const asking question = {
        .width = 32, .height = 24, .methods = {"rise:p=0.25,samples=20", "sscam:sigma=0.5"}};
    answer plain, comma;
    gradcam_model *model = load("free");
    CHECK_OK(ask_once(&question, model, &plain, &error));
    if (!set_comma()) {
        release(&plain);
        gradcam_model_destroy(&model);
        SKIP("no localedef, or not the sources of de_DE (Debian: locales)");
    }
    CHECK_OK(ask_once(&question, model, &comma, &error));
    setlocale(LC_ALL, "C");
    CHECK(is_same(&comma, &plain));
    release(&plain);
    release(&comma);
    gradcam_model_destroy(&model);
}

/* ---- Equal to rounding ---------------------------------------------------------------------- */

/* Methods that share a request, as each alone: the plan observes other layers. */
static void test_together(void)
{
    static const char *const names[] = {"gradcam", "fullgrad", "scorecam", "layercam"};
    const asking all = {
        .width = 32, .height = 24, .methods = {"gradcam", "fullgrad", "scorecam", "layercam"}};
    answer together;
    gradcam_model *model = load("free");
    CHECK_OK(ask_once(&all, model, &together, &error));
    size_t at = 0;
    for (size_t m = 0; m < sizeof names / sizeof names[0]; m++) {
        const asking question = {.width = 32, .height = 24, .methods = {names[m]}};
        answer alone;
        CHECK_OK(ask_once(&question, model, &alone, &error));
        const size_t places = strcmp(names[m], "fullgrad") == 0 ? (size_t)32 * 24 : (size_t)16 * 12;
        const answer part = {.values = together.values + at, .count = places, .map_count = 1};
        alone.count = places; /* without the logits behind it */
        CHECK(distance(&part, &alone) <= 1e-5);
        at += places;
        release(&alone);
    }
    CHECK_INT(together.count, at + 5);
    release(&together);
    gradcam_model_destroy(&model);
}

/* Also where random numbers are drawn: they belong to places, not to threads. */
static void test_threads(void)
{
    gradcam_model *model = load("free");
    for (int q = 0; q < QUESTIONS; q++) {
        asking question = questions[q];
        answer one, many;
        question.threads = 1;
        CHECK_OK(ask_once(&question, model, &one, &error));
        question.threads = 5;
        CHECK_OK(ask_once(&question, model, &many, &error));
        CHECK(distance(&many, &one) <= 1e-5);
        release(&one);
        release(&many);
    }
    gradcam_model_destroy(&model);
}

TEST_MAIN(test_again, test_batch, test_locale, test_together, test_threads)
