/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one error idiom: functions return a gradcam_status and describe a failure in a caller-owned
 * gradcam_error (which may be NULL). Where something must be freed: `status = ...; if (status)
 * goto done;`, one label, destructors that accept half-built objects.
 */
#ifndef GC_BASE_ERROR_H
#define GC_BASE_ERROR_H

#include <stdbool.h>

#include "gradcam.h"

/** Fills `error` (if any) and returns `status`, so that a failure is one statement. */
gradcam_status gc_fail(gradcam_error *error, gradcam_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/** Puts text in front of the message, e.g. the file that was being read. Returns error->status,
 *  or `status` where error is NULL. */
gradcam_status gc_fail_context(gradcam_error *error, gradcam_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/** The usual text for a failed allocation of `size` bytes. */
gradcam_status gc_fail_memory(gradcam_error *error, size_t size) __attribute__((cold));

/** Did memory run out, or what the limits leave of it? */
static inline bool gc_is_scarce(gradcam_status status)
{
    return status == GRADCAM_ERROR_MEMORY || status == GRADCAM_ERROR_LIMIT;
}

/* The static analyser sees one file at a time, and must be told that these return what they got. */
#ifdef __clang_analyzer__
#define gc_fail(error, status, ...) (gc_fail(error, status, __VA_ARGS__), (status))
#define gc_fail_memory(error, size) (gc_fail_memory(error, size), GRADCAM_ERROR_MEMORY)
#endif

/** Hands a failure on to the caller. */
#define GC_TRY(call)                                                                               \
    do {                                                                                           \
        const gradcam_status gc_status_ = (call);                                                  \
        if (gc_status_ != GRADCAM_OK)                                                              \
            return gc_status_;                                                                     \
    } while (0)

/** Fails when `condition` holds. */
#define GC_FAIL_IF(condition, error, status, ...)                                                  \
    do {                                                                                           \
        if (condition)                                                                             \
            return gc_fail(error, status, __VA_ARGS__);                                            \
    } while (0)

#endif
