/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much memory a model and all that is made from it may take: weights, packed weights,
 * activations and gradients, which are by far the largest blocks. Each is counted before it is
 * allocated. Threads may share a budget.
 */
#ifndef GC_BASE_BUDGET_H
#define GC_BASE_BUDGET_H

#include <stdatomic.h>

#include "base/error.h"

typedef struct gc_budget {
    uint64_t limit; /**< Bytes. */
    _Atomic uint64_t used;
} gc_budget;

/** @param limit bytes; 0: four fifths of the memory of this machine or, where that is less, of the
 *  control group this process is in. */
void gc_budget_init(gc_budget *budget, uint64_t limit);

/** Counts `bytes` for `what` ("the weight 'fc'"). GRADCAM_ERROR_LIMIT with the figures where they
 *  are too many. A NULL budget has no limit. */
gradcam_status gc_budget_take(gc_budget *budget, uint64_t bytes, const char *what,
                              gradcam_error *error);

void gc_budget_give(gc_budget *budget, uint64_t bytes);

#endif
