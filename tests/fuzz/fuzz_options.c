/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts a user types: one line each for layer, target, method, tokens and class, tried on a
 * tiny network. "like:" and masks name files and are left out.
 */
#include <string.h>

#include "fuzz.h"

enum { LINES = 5, TEXT_LIMIT = 512 };

static gradcam_status ask(gradcam_model *model, char *const lines[LINES], gradcam_error *error)
{
    static const uint8_t rgb[8 * 8 * 3] = {200, 10, 30, 90};
    gradcam_explainer *explainer = NULL;
    gradcam_explanation *explanation = NULL;
    gradcam_explainer_options options;
    gradcam_explainer_options_init(&options);
    options.threads = 1;
    options.layer = lines[0][0] != '\0' ? lines[0] : NULL;
    options.tokens = lines[3][0] != '\0' ? lines[3] : NULL;
    gradcam_target target = {.text = lines[1]};
    gradcam_method method = {.text = lines[2]};
    gradcam_request request;
    gradcam_request_init(&request);
    request.targets = &target;
    request.target_count = lines[1][0] != '\0';
    request.methods = &method;
    request.method_count = lines[2][0] != '\0';
    const gradcam_input input = {.rgb = rgb, .width = 8, .height = 8};
    gradcam_status status = gradcam_explainer_create(&explainer, model, &options, error);
    if (status == GRADCAM_OK)
        status = gradcam_explain(explainer, &input, &request, &explanation, error);
    gradcam_explanation_destroy(&explanation);
    gradcam_explainer_destroy(&explainer);
    return status;
}

static void split(char *text, char *lines[LINES])
{
    for (int i = 0; i < LINES; i++) {
        lines[i] = text;
        char *const end = strchr(text, '\n');
        if (end == NULL) {
            text += strlen(text);
        } else {
            *end = '\0';
            text = end + 1;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    char text[TEXT_LIMIT], *lines[LINES];
    if (size >= sizeof text)
        return 0;
    memcpy(text, bytes, size);
    text[size] = '\0';
    split(text, lines);
    if (strstr(lines[1], "like:") != NULL || strchr(lines[1], '@') != NULL)
        return 0;
    gradcam_model *model = NULL;
    gradcam_error error = {.message = ""};
    gc_fuzz_judge(gradcam_model_load(&model, FIXTURES "/cli/model.onnx", NULL, &error), &error);
    gc_fuzz_judge(ask(model, lines, &error), &error);
    int index;
    error.message[0] = '\0';
    gc_fuzz_judge(gradcam_model_find_class(model, lines[4], &index, &error), &error);
    gradcam_model_destroy(&model);
    return 0;
}
