/* SPDX-License-Identifier: Apache-2.0 */
/* What untrusted files may ask for: the defaults behind gradcam_limits. */
#ifndef GC_BASE_LIMITS_H
#define GC_BASE_LIMITS_H

#include "base/error.h"

/** Beyond these, counts of nodes and values would not fit int, nor nesting the stack of a thread.
 */
enum { GC_MOST_NODES = 100000000, GC_MOST_DEPTH = 256 };

/** `given` with the default in place of each zero; NULL: all defaults. */
gradcam_limits gc_limits(const gradcam_limits *given);

/** GRADCAM_ERROR_ARGUMENT for what is beyond any use. */
gradcam_status gc_limits_check(const gradcam_limits *limits, gradcam_error *error);

/** A greatest size of a file, and what raises it, for messages. */
typedef struct gc_file_limit {
    uint64_t bytes;
    const char *option; /**< "--max-picture, picture_bytes". */
} gc_file_limit;

/** Of the kinds of files; limits NULL: the defaults. */
gc_file_limit gc_limit_picture(const gradcam_limits *limits);
gc_file_limit gc_limit_model(const gradcam_limits *limits);
gc_file_limit gc_limit_text(const gradcam_limits *limits);
gc_file_limit gc_limit_array(const gradcam_limits *limits);

/** The failure of a file of `size` bytes (0: nobody knows how many more). */
gradcam_status gc_limit_exceeded(gc_file_limit limit, const char *file, uint64_t size,
                                 gradcam_error *error);

#endif
