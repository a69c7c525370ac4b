/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's .npy files, versions 1 to 3, little endian, row-major. */
#ifndef GC_PICTURE_NPY_H
#define GC_PICTURE_NPY_H

#include "base/limits.h"

enum { GC_NPY_MAX_RANK = 8 };

typedef struct gc_array {
    int rank;
    int64_t dims[GC_NPY_MAX_RANK];
    float *data;     /**< Row-major, owned; NULL in an empty array. */
    double *numbers; /**< In place of data, from gc_npy_read_numbers. */
} gc_array;

/** Releases and empties. Accepts NULL. */
void gc_array_free(gc_array *array);

/**
 * Reads float32, float64, uint8, bool and signed integer arrays; all are converted to float32
 * (whole numbers stay exact up to 2^24).
 *
 * @param limits NULL for the defaults.
 * @return GRADCAM_OK; GRADCAM_ERROR_FILE (not a .npy file, another type, column-major, longer or
 *         shorter than it says), _LIMIT, _MEMORY; messages name the path.
 */
gradcam_status gc_npy_read(gc_array *array, const char *path, const gradcam_limits *limits,
                           gradcam_error *error);

/** As gc_npy_read, but into array->numbers: whole numbers stay exact up to 2^53. */
gradcam_status gc_npy_read_numbers(gc_array *array, const char *path, const gradcam_limits *limits,
                                   gradcam_error *error);

/** As gc_npy_read, for a file in memory. */
gradcam_status gc_npy_decode(gc_array *array, const void *bytes, size_t size, gradcam_error *error);

/** Writes a float32 array, whole or not at all. GRADCAM_ERROR_FILE, _MEMORY. */
gradcam_status gc_npy_write(const char *path, int rank, const int64_t *dims, const float *data,
                            gradcam_error *error);

#endif
