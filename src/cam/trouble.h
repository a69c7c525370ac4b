/* SPDX-License-Identifier: Apache-2.0 */
/* Where NaN or infinity comes from: for maps that hold some. */
#ifndef GC_CAM_TROUBLE_H
#define GC_CAM_TROUBLE_H

#include "cam/runner.h"

/**
 * Runs the base input again, with every value in reach, and says where NaN or infinity appears
 * first: among the activations that lead to `heads` (a bit set) in the order of execution, then
 * among gradients from the goal's score back to `layer` (a value).
 *
 * @param goal NULL: activations alone.
 * @param text receives a part of a sentence ("the output 'y' of node ..."), in `arena`; NULL where
 *        it was not found: all is finite, or running so has failed.
 */
gradcam_status gc_trouble_find(gc_runner *runner, unsigned heads, const gc_goal *goal, int layer,
                               gc_arena *arena, const char **text, gradcam_error *error);

#endif
