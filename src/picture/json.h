/* SPDX-License-Identifier: Apache-2.0 */
/* JSON files: parsing with messages that say what was found. */
#ifndef GC_PICTURE_JSON_H
#define GC_PICTURE_JSON_H

#include <cJSON.h>

#include "base/error.h"

/** *root = the object in `text`, to be released with cJSON_Delete. GRADCAM_ERROR_FILE with the line
 *  of a mistake, or where the text is not an object. */
gradcam_status gc_json_parse(cJSON **root, const char *text, size_t length, gradcam_error *error);

/** The member of an object; NULL where it is missing or null. */
const cJSON *gc_json_member(const cJSON *object, const char *name);

/** "member 'size' is [1,2], expected a number" as GRADCAM_ERROR_FILE. */
gradcam_status gc_json_fail(const cJSON *found, const char *expected, gradcam_error *error);

#endif
