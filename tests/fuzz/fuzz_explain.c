/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, planning and one explanation of a small picture: what a service does with an upload. */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

static gradcam_status explain(const char *path, gradcam_error *error)
{
    static const uint8_t rgb[8 * 8 * 3] = {200, 10, 30, 90};
    gradcam_model *model = NULL;
    gradcam_explainer *explainer = NULL;
    gradcam_explanation *explanation = NULL;
    gradcam_explainer_options options;
    gradcam_explainer_options_init(&options);
    options.threads = 1;
    /* A model may ask for much computation within the limits: these keep a run short. */
    const gradcam_model_options model_options = {.max_memory = 32 << 20};
    gradcam_status status = gradcam_model_load(&model, path, &model_options, error);
    if (status == GRADCAM_OK)
        status = gradcam_explainer_create(&explainer, model, &options, error);
    if (status == GRADCAM_OK)
        status = gradcam_explain_pixels(explainer, rgb, 8, 8, NULL, 0, &explanation, error);
    gradcam_explanation_destroy(&explanation);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const int file = memfd_create("model", MFD_CLOEXEC);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size)
        abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    gradcam_error error = {.message = ""};
    gc_fuzz_judge(explain(path, &error), &error);
    close(file);
    return 0;
}
