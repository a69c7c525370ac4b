/* SPDX-License-Identifier: Apache-2.0 */
/* The first principal component of weighted activations. */
#ifndef GC_CAM_PROJECT_H
#define GC_CAM_PROJECT_H

#include "base/memory.h"

/** y = M x for a symmetric M of order `order`. */
typedef void (*gc_product)(void *user, const double *x, double *y);

/** The largest eigenvalue (not the largest in absolute value) of a symmetric matrix, and its
 *  eigenvector of length 1, by the Lanczos process with full reorthogonalisation. */
gradcam_status gc_largest_eigenvector(int64_t order, gc_product product, void *user, double *value,
                                      double *vector, gradcam_error *error);

/**
 * Positions are the rows of a matrix, channels its columns; each channel is centred; the map is the
 * projection of the rows on the first right singular vector. Its sign, which the decomposition
 * leaves open, is that of a non-negative correlation with the sum of the activations over channels.
 *
 * @param elements channels x positions.
 */
gradcam_status gc_project(const float *elements, const gradcam_features *features, float *map,
                          gradcam_error *error);

/** Turns the map so that it correlates positively with the sum of the activations. */
void gc_fix_sign(const gradcam_features *features, float *map);

#endif
