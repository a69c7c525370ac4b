/* SPDX-License-Identifier: Apache-2.0 */
/* The files beside a model: labels as text and as config.json, and preprocessor_config.json. */
#include "fuzz.h"
#include "picture/labels.h"
#include "picture/preprocess.h"

static void judge_labels(gradcam_status (*read)(gc_labels *, const char *, size_t, gradcam_error *),
                         const char *text, size_t size)
{
    gc_labels labels = {0};
    gradcam_error error = {.message = ""};
    gc_fuzz_judge(read(&labels, text, size, &error), &error);
    gc_labels_free(&labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const char *const text = (const char *)bytes;
    judge_labels(gc_labels_from_text, text, size);
    judge_labels(gc_labels_from_json, text, size);
    gradcam_error error = {.message = ""};
    gc_preprocessing preprocessing;
    gradcam_status status = gc_preprocessing_preset(&preprocessing, "torchvision", &error);
    if (status == GRADCAM_OK)
        status = gc_preprocessing_from_json(&preprocessing, text, size, &error);
    gc_fuzz_judge(status, &error);
    return 0;
}
