/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seg-Eigen-CAM: the first principal component of activation times absolute gradient, turned so
 * that its larger extreme is positive. Chung and Ying, "Seg-Eigen-CAM: Eigen-Value-Based Visual
 * Explanations for Semantic Segmentation Models", Applied Sciences 2025, doi:10.3390/app15137562.
 */
#include "cam/method.h"

#include <math.h>

#include "cam/project.h"

static void turn(float *map, int64_t count)
{
    float low = 0.0f, high = 0.0f;
    for (int64_t i = 0; i < count; i++) {
        low = fminf(low, map[i]);
        high = fmaxf(high, map[i]);
    }
    for (int64_t i = 0; - low > high && i < count; i++)
        map[i] = -map[i];
}

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    const size_t count = (size_t)(f->channels * f->positions);
    float *products = NULL;
    GC_TRY(gc_new_raw(&products, count, sizeof *products, error));
    for (size_t i = 0; i < count; i++)
        products[i] = fabsf(f->gradient[i]) * f->activation[i];
    const gradcam_status status = gc_project(products, f, out, error);
    if (status == GRADCAM_OK)
        turn(out, f->positions);
    gc_free(products);
    return status;
}

const gc_method gc_method_segeigencam = {
    .info = {.name = "segeigencam",
             .summary = "first principal component of activation times absolute gradient",
             .formula = "projection of abs(G) A; its larger extreme is positive",
             .paper = "Chung and Ying 2025, doi:10.3390/app15137562",
             .cost = "1 forward, 1 backward",
             .needs = "gradients"},
    .uses = GC_USES_GRADIENT,
    .map = map,
};
