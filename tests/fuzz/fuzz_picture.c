/* SPDX-License-Identifier: Apache-2.0 */
/* All picture decoders, orientation included, with limits that keep a run short. */
#include "fuzz.h"
#include "picture/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const gradcam_limits limits = {.picture_pixels = 1 << 20};
    gc_picture picture = {0};
    gradcam_error error = {.message = ""};
    gc_fuzz_judge(gc_picture_decode(&picture, bytes, size, &limits, &error), &error);
    gc_picture_free(&picture);
    return 0;
}
