/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eigen-CAM: the activations projected on their first principal component; no class takes part.
 * Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020,
 * arXiv:2008.00299.
 */
#include "cam/method.h"

#include "cam/project.h"

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    return gc_project(c->features.activation, &c->features, out, error);
}

const gc_method gc_method_eigencam = {
    .info = {.name = "eigencam",
             .summary = "first principal component of the activations, whatever the class",
             .formula = "projection of A on its first right singular vector",
             .paper = "Muhammad and Yeasin 2020, arXiv:2008.00299",
             .cost = "1 forward",
             .needs = "activations"},
    .uses = GC_IS_SIGNLESS,
    .map = map,
};
