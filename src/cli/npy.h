/* SPDX-License-Identifier: Apache-2.0 */
/* Reads NumPy's .npy files (numpy.lib.format, versions 1 to 3) that hold float32. */
#ifndef GC_CLI_NPY_H
#define GC_CLI_NPY_H

#include "base/memory.h"

typedef struct gc_npy {
    int rank;
    int64_t dims[8];
    float *values; /* row-major */
} gc_npy;

/**
 * @param npy empty on failure; to be released with gc_npy_free.
 * @return GRADCAM_OK; GRADCAM_ERROR_FILE (unreadable, not .npy, incomplete), _ARGUMENT (another
 *         element type or Fortran order), _MEMORY, _LIMIT.
 */
gradcam_status gc_npy_read(gc_npy *npy, const char *path, gradcam_error *error);
void gc_npy_free(gc_npy *npy);

#endif
