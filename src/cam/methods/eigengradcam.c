/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EigenGrad-CAM: the first principal component of activation times gradient, so that the class
 * takes part. In the form of pytorch-grad-cam's EigenGradCAM.
 */
#include "cam/method.h"

#include "cam/project.h"

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    const size_t count = (size_t)(f->channels * f->positions);
    float *products = NULL;
    GC_TRY(gc_new_raw(&products, count, sizeof *products, error));
    for (size_t i = 0; i < count; i++)
        products[i] = f->gradient[i] * f->activation[i];
    const gradcam_status status = gc_project(products, f, out, error);
    gc_free(products);
    return status;
}

const gc_method gc_method_eigengradcam = {
    .info = {.name = "eigengradcam",
             .summary = "first principal component of activation times gradient",
             .formula = "projection of G A on its first right singular vector",
             .paper = "Muhammad and Yeasin 2020, arXiv:2008.00299, times the gradient",
             .cost = "1 forward, 1 backward",
             .needs = "gradients"},
    .uses = GC_USES_GRADIENT,
    .map = map,
};
