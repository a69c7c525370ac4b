/* SPDX-License-Identifier: Apache-2.0 */
/* CAM methods: one file and one row each. */
#ifndef GC_CAM_METHOD_H
#define GC_CAM_METHOD_H

#include "graph/tensor.h"

typedef struct gc_method {
    const char *name;    /**< As given to options: "gradcam". */
    const char *summary; /**< One line. */
    const char *paper;
    /**
     * The raw map, before the ReLU.
     *
     * @param activation C x positions, row-major.
     * @param gradient of the score with respect to it, same shape.
     * @param map positions values.
     */
    void (*map)(const float *activation, const float *gradient, int64_t channels, int64_t positions,
                float *map);
} gc_method;

/** The row of a name, or NULL. */
const gc_method *gc_method_find(const char *name);

#endif
