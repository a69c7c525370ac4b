/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a runner: plans that start at a value, for one or several samples at once.
 *
 * A tail reads its value and, where the network goes around it (a residual connection), the
 * frontier: what its nodes need beside it. Those come from the pass over the base input.
 */
#ifndef GC_CAM_TAIL_H
#define GC_CAM_TAIL_H

#include "cam/runner.h"

typedef struct gc_tails gc_tails;

gradcam_status gc_tails_create(gc_tails **tails, const gc_runner_setup *setup,
                               gradcam_error *error);
void gc_tails_destroy(gc_tails **tails);
void gc_tails_set_progress(gc_tails *tails, gradcam_progress_function progress, void *user);
void gc_tails_report(gc_tails *tails, const char *name, int64_t done, int64_t total);
int64_t gc_tails_count(const gc_tails *tails);

/** Sets leads[v] for the heads and every value that they are computed from; room for all values. */
void gc_mark_leading(const gc_runner_setup *setup, unsigned heads, bool *leads);

/** Values that the way from `value` to the heads reads and that do not depend on it; to be freed
 *  with gc_free. */
gradcam_status gc_tail_frontier(const gc_runner_setup *setup, int value, unsigned heads,
                                int **frontier, int *count, gradcam_error *error);

/** The value that holds one number a channel, where all ways from a value of N x C x spatial
 * extents to the heads lead through a global mean or maximum of each channel; else the value
 * itself. A channel that is the same number everywhere there is that number here. */
gradcam_status gc_tail_pooled(const gc_runner_setup *setup, int value, unsigned heads, int *pooled,
                              gradcam_error *error);

gradcam_status gc_tails_sweep(gc_tails *tails, gc_runner *runner, uint64_t base, unsigned heads,
                              const gc_sweep *sweep, const gc_goal *goal, float *scores,
                              gradcam_error *error);

/* In runner.c. */
const gc_runner_setup *gc_runner_setup_of(const gc_runner *runner);

/* In runner.c: the goal's score, negated where asked for, and the seeds of a plan whose targets are
 * the heads in `mask`. */
gradcam_status gc_goal_score(const gc_goal *goal, const gradcam_tensor *heads, int count,
                             double *score, gradcam_error *error);
gradcam_status gc_goal_seed(const gc_goal *goal, const gradcam_tensor *heads, int count,
                            unsigned mask, gc_plan *plan, gradcam_error *error);

#endif
