/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/method.h"

#include <string.h>

extern const gc_method gc_method_gradcam;

static const gc_method *const rows[] = {&gc_method_gradcam};

const gc_method *gc_method_find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i]->name, name) == 0)
            return rows[i];
    return NULL;
}
