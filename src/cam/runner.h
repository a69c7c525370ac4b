/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network as methods need it: one forward and one backward pass that reach all observed values,
 * shared by all who ask; the tail from any value, and batches of changed inputs.
 *
 * Heads are the values that scores are computed from: first the main one (before a final
 * activation), then the other outputs. A base input is set; activations and gradients are always
 * those of the base input, whatever a method ran in between.
 */
#ifndef GC_CAM_RUNNER_H
#define GC_CAM_RUNNER_H

#include "engine/plan.h"

enum { GC_MAX_HEADS = 16 };

/** What is differentiated: a function of the heads. */
typedef struct gc_goal {
    const char *text;
    int class_index; /**< -1: none. */
    unsigned heads;  /**< Bit h: reads head h. */
    bool is_negated; /**< Counterfactual. */
    gradcam_target_function evaluate;
    void *state;
} gc_goal;

typedef struct gc_runner gc_runner;

typedef struct gc_runner_setup {
    const gc_graph *graph;  /**< As read. */
    const gc_graph *shaped; /**< Specialised to the feeds. */
    gc_packs *packs;
    const gc_feed *feeds; /**< The first is the base input. */
    int feed_count;
    const int *heads; /**< Values. */
    int head_count;
    bool strict, bfloat16; /**< See gc_plan_request. */
} gc_runner_setup;

/** Everything in the setup must outlive the runner, except for the arrays. */
gradcam_status gc_runner_create(gc_runner **runner, const gc_runner_setup *setup,
                                gradcam_error *error);
void gc_runner_destroy(gc_runner **runner);

/** What the passes over the base input must reach. */
typedef struct gc_wish {
    const int *values; /**< Observed. */
    int value_count;
    const int *layers; /**< Gradients are wanted, too: a subset of the values. */
    int layer_count;
    const int *tails; /**< Values from which tails will run. */
    int tail_count;
    unsigned heads; /**< Those that may be differentiated. */
    bool guided;
} gc_wish;

/** Makes the plan for a wish, unless there is one: the last three that were used are kept. */
gradcam_status gc_runner_prepare(gc_runner *runner, const gc_wish *wish, gradcam_error *error);

/** The value that is the base input. */
int gc_runner_base_value(const gc_runner *runner);

/** The base input, to be filled by the caller; then gc_runner_set_base. */
gc_tensor *gc_runner_base(gc_runner *runner);

/** Declares that the contents of the base input, or of another feed, have changed. */
void gc_runner_set_base(gc_runner *runner);

/** Forgets which goal the gradients belong to: its memory may become another's. */
void gc_runner_forget(gc_runner *runner);

/** A feed other than the base input. */
gc_tensor *gc_runner_feed(gc_runner *runner, int index);

/** Values of the base input: valid until the next call that runs something. */
gradcam_status gc_runner_value(gc_runner *runner, int value, const gc_tensor **tensor,
                               gradcam_error *error);
gradcam_status gc_runner_gradient(gc_runner *runner, const gc_goal *goal, bool guided, int layer,
                                  const gc_tensor **tensor, gradcam_error *error);
gradcam_status gc_runner_score(gc_runner *runner, const gc_goal *goal, double *score,
                               gradcam_error *error);

/** The heads of the base input; those that the wish leaves out have no values. */
gradcam_status gc_runner_heads(gc_runner *runner, const gradcam_tensor **heads, int *count,
                               gradcam_error *error);

/** As gc_runner_gradient, for another input: `input` has the shape of the base input. */
gradcam_status gc_runner_gradient_at(gc_runner *runner, const gc_goal *goal, const float *input,
                                     int layer, const gc_tensor **tensor, gradcam_error *error);

/** Many runs from one value on, in batches. */
typedef struct gc_sweep {
    uint64_t key; /**< Sweeps of one key over one base input from one value are the same: their
                       results are kept where that needs little memory. 0: never the same. */
    int value;    /**< The base input or a layer, observed. */
    int64_t count;
    /** Changes `block`, which holds the value as it is for the base input, into run `index`. */
    void (*change)(void *user, int64_t index, float *block);
    /** Undoes that; NULL: `change` writes the whole block. */
    void (*restore)(void *user, int64_t index, float *block);
    void *user;
    const char *name; /**< For progress. */
} gc_sweep;

/** Where sweeps that set whole channels of a layer to one number can start: behind a global pooling
 * of the layer, where nothing else reads it, or at the layer itself. */
gradcam_status gc_runner_pooled(const gc_runner *runner, int layer, int *value,
                                gradcam_error *error);

/** scores[count] of the goal. */
gradcam_status gc_runner_sweep(gc_runner *runner, const gc_sweep *sweep, const gc_goal *goal,
                               float *scores, gradcam_error *error);

/** Tells how far a method with a loop of its own is. */
void gc_runner_report(gc_runner *runner, const char *name, int done, int total);

void gc_runner_set_progress(gc_runner *runner, gradcam_progress_function progress, void *user);

/** Runs so far in sweeps, passes over whole inputs, plans made: for tests of what is shared. */
typedef struct gc_runner_counts {
    int64_t forwards, backwards, swept, plans;
} gc_runner_counts;
gc_runner_counts gc_runner_count(const gc_runner *runner);

/** The graph as specialised to the feeds, and as read. */
const gc_graph *gc_runner_graph(const gc_runner *runner);

#endif
