/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/names.h"

#include <string.h>

#include "onnx/quantized.h"

/* What upgrade_rows.c renames. */
static const gc_read_name renamed[] = {
    {"Scatter", "", "ScatterElements"},
    {"Upsample", "", "Resize"},
};
enum { RENAMED = sizeof renamed / sizeof renamed[0] };

bool gc_onnx_read_name(size_t index, gc_read_name *name)
{
    if (index >= RENAMED + gc_expansion_row_count)
        return false;
    if (index < RENAMED) {
        *name = renamed[index];
        return true;
    }
    const gc_expansion_row *const row = &gc_expansion_rows[index - RENAMED];
    *name = (gc_read_name){row->op, row->domain, row->becomes};
    return true;
}

const char *gc_onnx_becomes(const char *op, const char *domain)
{
    gc_read_name name;
    for (size_t i = 0; gc_onnx_read_name(i, &name); i++)
        if (strcmp(op, name.op) == 0 && strcmp(domain, name.domain) == 0)
            return name.becomes;
    return NULL;
}
