/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out: each allocation of the library in turn fails, until what was asked for
 * succeeds. Every failure is reported as such, leaves no file behind, leaves an explainer that goes
 * on to give the right map, and, as LeakSanitizer sees in its build, nothing unreleased.
 * gc_new_raw, where all blocks of the library come from, calls the aligned_alloc of this program;
 * what oneDNN and the decoders allocate does not fail here.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "gradcam.h"
#include "test.h"

static const char *const methods[] = {"gradcam",
                                      "gradcam++",
                                      "ablationcam",
                                      "cam",
                                      "scorecam:channels=3",
                                      "smoothgrad:samples=2",
                                      "fullgrad",
                                      "dff:concepts=2",
                                      "kpcacam",
                                      "shapleycam",
                                      "recipro",
                                      "integratedgradients:steps=5",
                                      "guidedgradcam",
                                      "segeigencam",
                                      "rise:samples=4",
                                      "occlusion",
                                      "finercam"};
enum { METHODS = sizeof methods / sizeof methods[0], MAX_VALUES = 4096 };

static gradcam_error error;
static long allocations, failing; /* The number of the one that fails; 0: none. */
static gradcam_model *model;
static gradcam_explainer *explainer;
static gradcam_explanation *explanation;
static const char *method;
static char output[64];

void *aligned_alloc(size_t alignment, size_t size)
{
    void *block = NULL;
    const long number = __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return number != failing && posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

static gradcam_status load(void)
{
    return gradcam_model_load(&model, FIXTURES "/cli/model.onnx", NULL, &error);
}

static gradcam_status plan(void)
{
    return gradcam_explainer_create(&explainer, model, NULL, &error);
}

static gradcam_status explain(void)
{
    const gradcam_input input = {.path = FIXTURES "/cli/picture.png"};
    const gradcam_method asked = {.text = method};
    gradcam_request request;
    gradcam_request_init(&request);
    request.methods = &asked;
    request.method_count = 1;
    return gradcam_explain(explainer, &input, &request, &explanation, &error);
}

static gradcam_status save(void)
{
    return gradcam_explanation_save(explanation, 0, GRADCAM_IMAGE_OVERLAY, NULL, output, &error);
}

/* Goes on until it succeeds; returns how many allocations that took. `made` is where the result
 * goes; NULL: a file. */
static long exhaust(gradcam_status (*attempt)(void), void *made)
{
    for (long n = 1;; n++) {
        allocations = 0;
        failing = n;
        error = (gradcam_error){.message = ""};
        const gradcam_status status = attempt();
        failing = 0;
        const bool is_there = made != NULL ? *(void **)made != NULL : access(output, F_OK) == 0;
        CHECK(is_there == (status == GRADCAM_OK));
        if (status == GRADCAM_OK)
            return allocations;
        if (status != GRADCAM_ERROR_MEMORY || strstr(error.message, "memory") == NULL) {
            fprintf(stderr, "%s, allocation %ld: %d, %s\n", method, n, (int)status, error.message);
            test_failures++;
            return n;
        }
    }
}

static size_t copy_map(float *values)
{
    const gradcam_map *const map = gradcam_explanation_map(explanation, 0);
    const size_t count = (size_t)map->width * (size_t)map->height;
    CHECK(count <= MAX_VALUES);
    memcpy(values, map->raw, (count <= MAX_VALUES ? count : MAX_VALUES) * sizeof *values);
    return count;
}

/* What an explainer says that never lacked memory, and one that did again and again. */
static void check_method(void)
{
    static float expected[MAX_VALUES], found[MAX_VALUES];
    gradcam_explainer *const spared = explainer;
    explainer = NULL;
    CHECK_OK(plan());
    CHECK_OK(explain());
    if (explanation == NULL)
        exit(1);
    const size_t count = copy_map(expected);
    gradcam_explanation_destroy(&explanation);
    gradcam_explainer_destroy(&explainer);
    explainer = spared;
    CHECK(exhaust(explain, &explanation) > 5);
    if (explanation == NULL)
        return;
    CHECK_INT(copy_map(found), count);
    for (size_t i = 0; i < count && i < MAX_VALUES; i++)
        CHECK_NEAR(found[i], expected[i], 1e-5 * (1.0 + fabs((double)expected[i])));
}

static void each_allocation(void)
{
    char folder[] = "/tmp/gradcam-memory-XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    snprintf(output, sizeof output, "%s/map.png", folder);
    method = "loading";
    CHECK(exhaust(load, &model) > 10);
    method = "planning";
    CHECK(exhaust(plan, &explainer) > 10);
    for (int m = 0; m < METHODS; m++) {
        method = methods[m];
        gradcam_explanation_destroy(&explanation);
        check_method();
    }
    method = "saving";
    CHECK(exhaust(save, NULL) > 5);
    gradcam_explanation_destroy(&explanation);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
    unlink(output);
    CHECK_INT(rmdir(folder), 0); /* no unfinished file is left */
}

TEST_MAIN(each_allocation)
