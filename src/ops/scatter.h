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

/** Likewise; fails for those without a gradient here: only replacing and adding have one. Of
 * several updates of one element that replace each other, each gets the gradient, as in PyTorch. */
gradcam_status gc_scatter_differentiable(const gc_call *call, gc_scatter_mode *mode);

/** Combines `width` elements of `updates` from `from` with those of `out` from `to`. */
void gc_scatter_row(const gc_tensor *out, int64_t to, const gc_tensor *updates, int64_t from,
                    int64_t width, gc_scatter_mode mode);

#endif
