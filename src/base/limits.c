/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limits.h"

#include <inttypes.h>
#include <stdio.h>

/* No honest file comes near these. */
static const gradcam_limits defaults = {
    .picture_pixels = 256u << 20,
    .picture_bytes = 1u << 30,
    .model_bytes = (uint64_t)64 << 30,
    .text_bytes = 64u << 20,
    .array_bytes = (uint64_t)4 << 30,
    .nodes = 1000000,
    .depth = 32,
};

gradcam_limits gc_limits(const gradcam_limits *given)
{
    gradcam_limits result = given != NULL ? *given : defaults;
#define FILL(member) result.member = result.member != 0 ? result.member : defaults.member
    FILL(picture_pixels);
    FILL(picture_bytes);
    FILL(model_bytes);
    FILL(text_bytes);
    FILL(array_bytes);
    FILL(nodes);
    FILL(depth);
#undef FILL
    return result;
}

gradcam_status gc_limits_check(const gradcam_limits *limits, gradcam_error *error)
{
    GC_FAIL_IF(limits->nodes > GC_MOST_NODES, error, GRADCAM_ERROR_ARGUMENT,
               "the limit of %" PRIu64 " nodes is above the greatest possible, %d", limits->nodes,
               GC_MOST_NODES);
    GC_FAIL_IF(limits->depth > GC_MOST_DEPTH, error, GRADCAM_ERROR_ARGUMENT,
               "the limit of %" PRIu64 " for nesting is above the greatest possible, %d",
               limits->depth, GC_MOST_DEPTH);
    return GRADCAM_OK;
}

gc_file_limit gc_limit_picture(const gradcam_limits *limits)
{
    return (gc_file_limit){gc_limits(limits).picture_bytes, "--max-picture, picture_bytes"};
}

gc_file_limit gc_limit_model(const gradcam_limits *limits)
{
    return (gc_file_limit){gc_limits(limits).model_bytes, "--max-model, model_bytes"};
}

gc_file_limit gc_limit_text(const gradcam_limits *limits)
{
    return (gc_file_limit){gc_limits(limits).text_bytes, "--max-text, text_bytes"};
}

gc_file_limit gc_limit_array(const gradcam_limits *limits)
{
    return (gc_file_limit){gc_limits(limits).array_bytes, "--max-array, array_bytes"};
}

gradcam_status gc_limit_exceeded(gc_file_limit limit, const char *file, uint64_t size,
                                 gradcam_error *error)
{
    char found[32] = "more";
    if (size > 0)
        snprintf(found, sizeof found, "%" PRIu64, size);
    return gc_fail(error, GRADCAM_ERROR_LIMIT,
                   "%s: the file has %s bytes; the limit is %" PRIu64 " (%s)", file, found,
                   limit.bytes, limit.option);
}
