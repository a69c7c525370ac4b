/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that many shape rules share. */
#ifndef GC_OPS_CHECK_H
#define GC_OPS_CHECK_H

#include "ops/op.h"

/** Fails unless the extents of output `index` can exist. Also where the file, and not the data,
 * says how large a tensor becomes: a hostile one asks for more than any machine has, so there is a
 * limit of 2^31 elements. */
gradcam_status gc_check_output(const gc_call *call, int index);

/** Fails unless the rank of a result is one a tensor can have. */
gradcam_status gc_check_rank(const gc_call *call, int64_t rank);

/** Fails unless input `index` is stored as float, or as integers. */
gradcam_status gc_check_float(const gc_call *call, int index);
gradcam_status gc_check_integer(const gc_call *call, int index);

/** Fails where one of the first `count` inputs is there and not stored as float: for operators of
 *  which only the floating forms are known here. */
gradcam_status gc_check_floats(const gc_call *call, int count);

/** Fails where inputs 0 and `index` are not both stored as float or both as integers. */
gradcam_status gc_check_same_storage(const gc_call *call, int index);

/** Distinct axes from a constant input or attribute, negative ones wrapped: sets is_chosen[axis].
 *  `rank` is at most GC_MAX_RANK. */
gradcam_status gc_check_axes(const gc_call *call, const int64_t *axes, size_t count, int rank,
                             bool is_chosen[GC_MAX_RANK]);

#endif
