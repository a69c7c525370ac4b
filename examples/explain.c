/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shortest use of the library: explain one picture and write the overlay.
 *
 *     cc explain.c $(pkg-config --cflags --libs gradcam) -o explain
 *     ./explain model.onnx cat.jpg cat.gradcam.png
 */
#include <stdio.h>

#include "gradcam.h"

static void print_result(const gradcam_explanation *explanation)
{
    const gradcam_map *const map = gradcam_explanation_map(explanation, 0);
    const gradcam_prediction *const class = &map->prediction;
    printf("class %d (%s), probability %.3f, layer %s, map %s\n", class->index,
           class->label != NULL ? class->label : "no label", (double)class->probability,
           map->layer.name, gradcam_map_state_text(map->state));
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
    gradcam_explanation *explanation = NULL;
    if (gradcam_model_load(&model, argv[1], NULL, &error) == GRADCAM_OK &&
        gradcam_explainer_create(&explainer, model, NULL, &error) == GRADCAM_OK &&
        gradcam_explain_file(explainer, argv[2], NULL, 0, &explanation, &error) == GRADCAM_OK &&
        gradcam_explanation_save(explanation, 0, GRADCAM_IMAGE_OVERLAY, NULL, argv[3], &error) ==
            GRADCAM_OK)
        print_result(explanation);
    else
        fprintf(stderr, "%s\n", error.message);
    gradcam_explanation_destroy(&explanation);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
    return (int)error.status;
}
