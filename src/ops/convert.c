/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/convert.h"

int64_t gc_convert_integer(int64_t value, gc_dtype dtype)
{
    switch (dtype) {
    case GC_BOOL:
        return value != 0;
    case GC_INT8:
        return (int8_t)value;
    case GC_UINT8:
        return (uint8_t)value;
    case GC_INT16:
        return (int16_t)value;
    case GC_UINT16:
        return (uint16_t)value;
    case GC_INT32:
        return (int32_t)value;
    case GC_UINT32:
        return (uint32_t)value;
    default:
        return value;
    }
}

int64_t gc_convert_float(double value, gc_dtype dtype)
{
    if (dtype == GC_BOOL)
        return value != 0.0;
    const bool fits = value >= -0x1p63 && value < 0x1p63;
    return gc_convert_integer(fits ? (int64_t)value : INT64_MIN, dtype);
}

void gc_convert_wrap(const gc_tensor *tensor)
{
    if (gc_dtype_is_float(tensor->dtype) || tensor->dtype == GC_INT64 || tensor->dtype == GC_UINT64)
        return;
    int64_t *const values = gc_ints(tensor);
    const int64_t count = gc_tensor_count(tensor);
    for (int64_t i = 0; i < count; i++)
        values[i] = gc_convert_integer(values[i], tensor->dtype);
}
