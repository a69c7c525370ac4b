/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of methods and targets. */
#include "api/objects.h"

const gradcam_method_info *gradcam_method_at(size_t index)
{
    const gc_method *const row = gc_method_at(index);
    return row != NULL ? &row->info : NULL;
}

const gradcam_target_info *gradcam_target_at(size_t index)
{
    const gc_target_row *const row = gc_target_row_at(index);
    return row != NULL ? &row->info : NULL;
}
