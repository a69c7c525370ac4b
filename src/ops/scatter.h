/* SPDX-License-Identifier: Apache-2.0 */
/* What ScatterElements and ScatterND share: how an update meets what is there. */
#ifndef GC_OPS_SCATTER_H
#define GC_OPS_SCATTER_H

#include "ops/op.h"

typedef enum gc_scatter_mode {
    GC_SCATTER_SET,
    GC_SCATTER_ADD,
    GC_SCATTER_MUL,
    GC_SCATTER_MIN,
    GC_SCATTER_MAX
} gc_scatter_mode;

/** The attribute `reduction`. */
gradcam_status gc_scatter_read_mode(const gc_call *call, gc_scatter_mode *mode);

/** Combines `width` elements of `updates` from `from` with those of `out` from `to`. */
void gc_scatter_row(const gc_tensor *out, int64_t to, const gc_tensor *updates, int64_t from,
                    int64_t width, gc_scatter_mode mode);

/* ---- Gradients ------------------------------------------------------------------------------ */

/* Of several updates of one element that replace each other, each gets the gradient, as in PyTorch;
 * so it does where they are added. A product, minimum or maximum over the element and its updates
 * needs to be known as a whole before its gradient can be shared out: an element's product without
 * one of its factors; equal shares to all that are the minimum or maximum. */

/** Does the gradient have to be shared out? */
static inline bool gc_scatter_is_shared(gc_scatter_mode mode)
{
    return mode >= GC_SCATTER_MUL;
}

/** Bytes of call->scratch for the next two, for gc_op.scratch. */
size_t gc_scatter_scratch(const gc_call *call);

/** Takes in the data; after it, gc_scatter_meet takes in each row of updates. */
void gc_scatter_begin(const gc_call *call, gc_scatter_mode mode);
void gc_scatter_meet(const gc_call *call, int64_t to, int64_t from, int64_t width,
                     gc_scatter_mode mode);

/** grad = the share of `from` (the data or the updates), rows as for gc_scatter_row. */
void gc_scatter_share(const gc_call *call, const gc_tensor *gy, int64_t at, const gc_tensor *from,
                      int64_t first, int64_t width, gc_scatter_mode mode, const gc_tensor *grad);

#endif
