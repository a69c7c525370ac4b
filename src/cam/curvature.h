/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The product of the score's Hessian with respect to a layer's activation A and A itself, as
 * double differentiation gives it.
 *
 * Differences of gradients alone would be wrong for networks with kinks (Relu, Clip, MaxPool, ...):
 * however small the step, some units cross theirs, and each crossing adds a jump that second
 * derivatives do not have. So every kinked operator of the tail is replaced by its tangent at A
 * first; what remains is smooth, and its differences converge.
 */
#ifndef GC_CAM_CURVATURE_H
#define GC_CAM_CURVATURE_H

#include "cam/runner.h"

/**
 * @param layer an observed value whose tail was wished for.
 * @param step of the difference, as a share of A; the five-point rule.
 * @param product receives H A, of the layer's shape.
 */
gradcam_status gc_curvature(gc_runner *runner, const gc_goal *goal, int layer, double step,
                            float *product, gradcam_error *error);

#endif
