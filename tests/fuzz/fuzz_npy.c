/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of .npy files. */
#include "fuzz.h"
#include "picture/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    gc_array array = {0};
    gradcam_error error = {.message = ""};
    gc_fuzz_judge(gc_npy_decode(&array, bytes, size, &error), &error);
    gc_array_free(&array);
    return 0;
}
