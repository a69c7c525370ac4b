/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GC_ENGINE_RELAYOUT_H
#define GC_ENGINE_RELAYOUT_H

#include "graph/tensor.h"

/** Copies an activation (float, N x C x 1 to 3 spatial extents) into the other one's layout.
 * Channels of `to` that only pad a block become zero. */
void gc_relayout(const gc_tensor *from, const gc_tensor *to);

#endif
