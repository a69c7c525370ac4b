/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan: everything needed to run a graph for one set of input shapes, forward and backward.
 *
 * Making a plan chooses kernels and layouts, fuses, and places every buffer in one block of memory;
 * running it allocates nothing and takes no lock (oneDNN makes lists of arguments). A plan belongs
 * to one thread at a time; the packed weights it uses are shared.
 */
#ifndef GC_ENGINE_PLAN_H
#define GC_ENGINE_PLAN_H

#include "engine/dnnl/kernels.h"
#include "passes/passes.h"

typedef struct gc_plan gc_plan;

typedef struct gc_plan_request {
    const gc_feed *feeds; /**< Values given from outside; float32 or integer, row-major. */
    int feed_count;
    const int *fetches; /**< Values to be readable after gc_plan_forward. */
    int fetch_count;
    const int *targets; /**< Values that the score is computed from; none: a forward-only plan. */
    int target_count;
    const int *layers; /**< Values whose gradients are wanted; the targets depend on them. */
    int layer_count;
    bool guided; /**< gc_plan_set_guided will be used. */
    bool strict; /**< No algorithm that rounds more than a direct convolution (Winograd's). */
    /** Convolutions round their operands to bfloat16, where that is faster; for CPUs that have it.
     */
    bool bfloat16;
    bool plain; /**< Only the plain kernels, no fusion: the reference in tests. */
} gc_plan_request;

/**
 * Makes a plan for `graph`, which is specialised for the request (see gc_specialize) and must
 * outlive the plan, as must `packs`.
 *
 * @return GRADCAM_OK; GRADCAM_ERROR_LAYER where a layer does not influence the target or an
 * operator between them has no gradient; the failures of gc_specialize; _MEMORY, _INTERNAL.
 */
gradcam_status gc_plan_create(gc_plan **plan, const gc_graph *graph, gc_packs *packs,
                              const gc_plan_request *request, gradcam_error *error);
void gc_plan_destroy(gc_plan **plan);

/** The buffer of feed `index`, to be filled before gc_plan_forward. Stays as it is when run. */
gc_tensor *gc_plan_feed(gc_plan *plan, int index);

gradcam_status gc_plan_forward(gc_plan *plan, gradcam_error *error);

/** Row-major; valid until the next forward. */
const gc_tensor *gc_plan_fetch(const gc_plan *plan, int index);

/** The gradient of the score with respect to target `index`, to be filled after gc_plan_forward and
 *  before each gc_plan_backward. Zero at first. */
gc_tensor *gc_plan_seed(gc_plan *plan, int index);

/** Whether rectifiers pass positive gradients only (guided backpropagation, Springenberg et al.
 *  2015, arXiv:1412.6806), until it is set again. For plans made with `guided`. */
void gc_plan_set_guided(gc_plan *plan, bool on);

/** May be called several times for one forward. */
gradcam_status gc_plan_backward(gc_plan *plan, gradcam_error *error);

/** Row-major gradient of the score with respect to layer `index`; valid until the next call. */
const gc_tensor *gc_plan_gradient(const gc_plan *plan, int index);

/**
 * For profiles: runs one step, and tells what it is. Steps are numbered in the order of execution;
 * forward ones come before backward ones.
 */
int gc_plan_step_count(const gc_plan *plan);
gradcam_status gc_plan_run_step(gc_plan *plan, int step, gradcam_error *error);
enum { GC_STEP_TEXT = 160 };
const char *gc_plan_step_text(const gc_plan *plan, int step, char text[GC_STEP_TEXT]);

/** What the step has to do: operations of convolutions and matrix products (two for each product of
 *  elements, whatever the algorithm), and bytes of operands and results, each once. */
void gc_plan_step_work(const gc_plan *plan, int step, double *operations, double *bytes);

/** Bytes of activations, gradients and scratch. */
size_t gc_plan_memory(const gc_plan *plan);

#endif
