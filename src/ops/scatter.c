/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/scatter.h"

#include <string.h>

gradcam_status gc_scatter_read_mode(const gc_call *call, gc_scatter_mode *mode)
{
    static const char *const names[] = {"none", "add", "mul", "min", "max"};
    const char *const name = gc_attr_string(call->node, "reduction", "none");
    for (int i = 0; i < 5; i++)
        if (strcmp(name, names[i]) == 0) {
            *mode = (gc_scatter_mode)i;
            return GRADCAM_OK;
        }
    return gc_op_fail(call, GRADCAM_ERROR_MODEL, "unknown reduction '%s'", name);
}

gradcam_status gc_scatter_differentiable(const gc_call *call, gc_scatter_mode *mode)
{
    GC_TRY(gc_scatter_read_mode(call, mode));
    if (*mode != GC_SCATTER_SET && *mode != GC_SCATTER_ADD)
        return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED, "reduction '%s' has no gradient",
                          gc_attr_string(call->node, "reduction", "none"));
    return GRADCAM_OK;
}

#define COMBINE(NAME, TYPE, ADD, MUL)                                                              \
    static TYPE NAME(TYPE old, TYPE update, gc_scatter_mode mode)                                  \
    {                                                                                              \
        switch (mode) {                                                                            \
        case GC_SCATTER_ADD:                                                                       \
            return ADD;                                                                            \
        case GC_SCATTER_MUL:                                                                       \
            return MUL;                                                                            \
        case GC_SCATTER_MIN:                                                                       \
            return update < old ? update : old;                                                    \
        case GC_SCATTER_MAX:                                                                       \
            return update > old ? update : old;                                                    \
        default:                                                                                   \
            return update;                                                                         \
        }                                                                                          \
    }

COMBINE(combine_floats, float, old + update, old *update)
COMBINE(combine_integers, int64_t, (int64_t)((uint64_t)old + (uint64_t)update),
        (int64_t)((uint64_t)old *(uint64_t)update))

void gc_scatter_row(const gc_tensor *out, int64_t to, const gc_tensor *updates, int64_t from,
                    int64_t width, gc_scatter_mode mode)
{
    const bool is_float = gc_dtype_is_float(out->dtype);
    for (int64_t i = 0; i < width; i++)
        if (is_float)
            gc_floats(out)[to + i] =
                combine_floats(gc_floats(out)[to + i], gc_floats(updates)[from + i], mode);
        else
            gc_ints(out)[to + i] =
                combine_integers(gc_ints(out)[to + i], gc_ints(updates)[from + i], mode);
}
