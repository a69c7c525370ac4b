/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target and a method of one's own: the margin between the two best classes, explained by the
 * channel that supports it most.
 *
 *     cc own_method.c $(pkg-config --cflags --libs gradcam) -o own_method
 *     ./own_method model.onnx cat.jpg cat.margin.png
 */
#include <stdio.h>

#include "gradcam.h"

/* The largest value of the first output minus the second largest. The gradient is zero at first. */
static gradcam_status margin(void *user, const gradcam_tensor *outputs, size_t count, double *score,
                             gradcam_error *error)
{
    const gradcam_tensor *const out = &outputs[0];
    int64_t size = 1, best = 0, second = -1;
    (void)user;
    (void)count;
    for (int d = 0; d < out->rank; d++)
        size *= out->dims[d];
    if (size < 2) {
        error->status = GRADCAM_ERROR_SHAPE;
        snprintf(error->message, sizeof error->message, "'%s' has one value, so there is no margin",
                 out->name);
        return error->status;
    }
    for (int64_t i = 1; i < size; i++)
        if (out->values[i] > out->values[best]) {
            second = best;
            best = i;
        } else if (second < 0 || out->values[i] > out->values[second]) {
            second = i;
        }
    *score = (double)out->values[best] - (double)out->values[second];
    if (out->gradient != NULL) {
        out->gradient[best] = 1.0f;
        out->gradient[second] = -1.0f;
    }
    return GRADCAM_OK;
}

/* The share of the score that comes through a channel, to first order. */
static float share(const gradcam_features *f, int64_t channel)
{
    float sum = 0.0f;
    for (int64_t i = channel * f->positions; i < (channel + 1) * f->positions; i++)
        sum += f->gradient[i] * f->activation[i];
    return sum;
}

static gradcam_status strongest_channel(void *user, const gradcam_features *f, float *map,
                                        gradcam_error *error)
{
    int64_t best = 0;
    (void)user;
    (void)error;
    for (int64_t c = 1; c < f->channels; c++)
        if (share(f, c) > share(f, best))
            best = c;
    for (int64_t i = 0; i < f->positions; i++)
        map[i] = f->activation[best * f->positions + i];
    return GRADCAM_OK;
}

static gradcam_status run(gradcam_explainer *explainer, char **argv, gradcam_error *error)
{
    const gradcam_target target = {.text = "margin", .function = margin};
    const gradcam_method method = {.text = "strongest channel", .function = strongest_channel};
    const gradcam_input input = {.path = argv[2]};
    gradcam_explanation *explanation = NULL;
    gradcam_request request;
    gradcam_request_init(&request);
    request.targets = &target;
    request.target_count = 1;
    request.methods = &method;
    request.method_count = 1;
    gradcam_status status = gradcam_explain(explainer, &input, &request, &explanation, error);
    if (status == GRADCAM_OK) {
        const gradcam_map *const map = gradcam_explanation_map(explanation, 0);
        printf("%s %.3f, %s at %s\n", map->target, map->score, map->method, map->layer.name);
        status =
            gradcam_explanation_save(explanation, 0, GRADCAM_IMAGE_OVERLAY, NULL, argv[3], error);
    }
    gradcam_explanation_destroy(&explanation);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL.onnx PICTURE OUTPUT.png\n", argv[0]);
        return GRADCAM_ERROR_ARGUMENT;
    }
    gradcam_error error = {.status = GRADCAM_OK};
    gradcam_model *model = NULL;
    gradcam_explainer *explainer = NULL;
    if (gradcam_model_load(&model, argv[1], NULL, &error) != GRADCAM_OK ||
        gradcam_explainer_create(&explainer, model, NULL, &error) != GRADCAM_OK ||
        run(explainer, argv, &error) != GRADCAM_OK)
        fprintf(stderr, "%s\n", error.message);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
    return (int)error.status;
}
