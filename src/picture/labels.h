/* SPDX-License-Identifier: Apache-2.0 */
/* Names of classes, from a text file or from the Hugging Face hub's config.json. */
#ifndef GC_PICTURE_LABELS_H
#define GC_PICTURE_LABELS_H

#include "base/error.h"

typedef struct gc_labels {
    char **items; /**< `count` strings inside `text`. */
    size_t count; /**< 0 in an empty list, which owns nothing. */
    char *text;
} gc_labels;

/** Releases and empties. Accepts NULL. */
void gc_labels_free(gc_labels *labels);

/**
 * One label a line; a byte order mark, CR at line ends and blanks around a label are dropped. An
 * empty line is an empty label, so that the others keep their index, except after the last label.
 *
 * @return GRADCAM_OK; GRADCAM_ERROR_FILE (no label, or a zero byte: not a text), _MEMORY.
 */
gradcam_status gc_labels_from_text(gc_labels *labels, const char *text, size_t length,
                                   gradcam_error *error);

/**
 * The member "id2label", an object {"0": "tench", ...} that names each index up to the highest.
 * Without it the list is empty.
 *
 * @return GRADCAM_OK; GRADCAM_ERROR_FILE saying what was found, _MEMORY.
 */
gradcam_status gc_labels_from_json(gc_labels *labels, const char *text, size_t length,
                                   gradcam_error *error);

#endif
