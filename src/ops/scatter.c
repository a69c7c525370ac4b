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

/* ---- Gradients ------------------------------------------------------------------------------ */

/* What meets in one element of the output: the product of the factors that are not zero, and how
 * many are; or how many are the minimum or maximum (`count` alone). */
typedef struct meeting {
    double product;
    int64_t count;
} meeting;

size_t gc_scatter_scratch(const gc_call *call)
{
    gc_scatter_mode mode = GC_SCATTER_SET;
    const bool is_shared =
        gc_scatter_read_mode(call, &mode) == GRADCAM_OK && gc_scatter_is_shared(mode);
    return is_shared ? (size_t)gc_tensor_count(call->inputs[0]) * sizeof(meeting) : 0;
}

static void meet(const gc_call *call, int64_t at, float value, gc_scatter_mode mode)
{
    meeting *const m = (meeting *)call->scratch + at;
    if (mode != GC_SCATTER_MUL)
        m->count += value == gc_floats(call->outputs[0])[at];
    else if (value == 0.0f)
        m->count++;
    else
        m->product *= (double)value;
}

void gc_scatter_begin(const gc_call *call, gc_scatter_mode mode)
{
    const int64_t count = gc_tensor_count(call->inputs[0]);
    for (int64_t i = 0; i < count; i++) {
        ((meeting *)call->scratch)[i] = (meeting){1.0, 0};
        meet(call, i, gc_floats(call->inputs[0])[i], mode);
    }
}

void gc_scatter_meet(const gc_call *call, int64_t to, int64_t from, int64_t width,
                     gc_scatter_mode mode)
{
    for (int64_t i = 0; i < width; i++)
        meet(call, to + i, gc_floats(call->inputs[2])[from + i], mode);
}

static double share(const meeting *m, float value, float result, gc_scatter_mode mode)
{
    if (mode != GC_SCATTER_MUL)
        return value == result ? 1.0 / (double)m->count : 0.0;
    if (m->count == 0)
        return m->product / (double)value;
    return m->count == 1 && value == 0.0f ? m->product : 0.0;
}

void gc_scatter_share(const gc_call *call, const gc_tensor *gy, int64_t at, const gc_tensor *from,
                      int64_t first, int64_t width, gc_scatter_mode mode, const gc_tensor *grad)
{
    const meeting *const m = call->scratch;
    for (int64_t i = 0; i < width; i++) {
        const double part = share(&m[at + i], gc_floats(from)[first + i],
                                  gc_floats(call->outputs[0])[at + i], mode);
        gc_floats(grad)[first + i] = (float)(part * (double)gc_floats(gy)[at + i]);
    }
}
