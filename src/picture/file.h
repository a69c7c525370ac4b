/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files: read with a limit, written so that they appear whole or not at all. */
#ifndef GC_PICTURE_FILE_H
#define GC_PICTURE_FILE_H

#include "base/limits.h"

/**
 * Reads a whole file; pipes work, too.
 *
 * @param limit greatest size, and what raises it.
 * @param bytes receives `*size` bytes and one zero more; release with gc_free. NULL on failure.
 * @return GRADCAM_OK; GRADCAM_ERROR_FILE, _LIMIT, _MEMORY; messages name the path.
 */
gradcam_status gc_file_read(const char *path, gc_file_limit limit, void *bytes, size_t *size,
                            gradcam_error *error);

/**
 * Writes a whole file: without a name, or, where the file system has no such files or cannot name
 * them afterwards, under a temporary one in the same folder; synced, then named or renamed. On
 * failure nothing is left behind and a file that was there before is untouched. A killed process
 * leaves nothing of a new file; a temporary file (.gradcam- and 16 digits) only if it was killed
 * between the two steps that replace a file, whole, or where files had to have a name. A link is
 * followed; a device or a pipe is written to directly.
 *
 * @return GRADCAM_OK; GRADCAM_ERROR_FILE, _MEMORY; messages name the path.
 */
gradcam_status gc_file_write(const char *path, const void *bytes, size_t size,
                             gradcam_error *error);

#endif
