/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reference interpreter: the plain kernels, one node after the other, every tensor kept,
 * row-major layout only. What the engine computes must agree with it.
 *
 * It also holds kernels to their contract: results start as NaN, so that a kernel which does not
 * write everything is seen; backward gets NaN for whatever it does not declare to read; an in-place
 * kernel runs a second time in place and must agree with itself; Shape and Size get no data.
 */
#ifndef GRADCAM_TEST_REFERENCE_H
#define GRADCAM_TEST_REFERENCE_H

#include "ops/op.h"

typedef struct reference reference;

/** The graph is borrowed and must outlive the interpreter. */
gradcam_status reference_create(reference **out, const gc_graph *graph, gradcam_error *error);
void reference_destroy(reference **r);

/** Copies a tensor into a value, usually a graph input. */
gradcam_status reference_feed(reference *r, int value, const gc_tensor *tensor,
                              gradcam_error *error);

/** Infers, allocates and runs every node in order. Call once. */
gradcam_status reference_forward(reference *r, gradcam_error *error);

/** Adds the gradient of some score with respect to a value (copied); call before backward. */
gradcam_status reference_seed(reference *r, int value, const gc_tensor *gradient,
                              gradcam_error *error);

/** Asks for the gradient of a value. */
void reference_want(reference *r, int value);

/** Runs from the seeds to the wanted values, adding where a value has several consumers. */
gradcam_status reference_backward(reference *r, gradcam_error *error);

/** data is NULL before forward has run. */
const gc_tensor *reference_value(const reference *r, int value);

/** NULL where no gradient arrived. */
const gc_tensor *reference_gradient(const reference *r, int value);

#endif
