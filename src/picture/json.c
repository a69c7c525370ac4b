/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/json.h"

#include <ctype.h>
#include <string.h>

static gradcam_status fail_at(const char *text, const char *at, const char *end,
                              gradcam_error *error)
{
    int line = 1, shown = 0;
    for (const char *p = text; p < at; p++)
        line += *p == '\n';
    while (at + shown < end && shown < 24 && isprint((unsigned char)at[shown]))
        shown++;
    if (at >= end)
        return gc_fail(error, GRADCAM_ERROR_FILE, "not valid JSON: the text ends in line %d", line);
    return gc_fail(error, GRADCAM_ERROR_FILE, "not valid JSON: line %d, at '%.*s'", line, shown,
                   at);
}

gradcam_status gc_json_parse(cJSON **root, const char *text, size_t length, gradcam_error *error)
{
    const char *end = text;
    *root = cJSON_ParseWithLengthOpts(text, length, &end, 0);
    if (*root == NULL)
        return fail_at(text, end, text + length, error);
    while (end < text + length && (isspace((unsigned char)*end) || *end == '\0'))
        end++;
    if (end == text + length && cJSON_IsObject(*root))
        return GRADCAM_OK;
    const int is_object = cJSON_IsObject(*root);
    cJSON_Delete(*root);
    *root = NULL;
    GC_FAIL_IF(!is_object, error, GRADCAM_ERROR_FILE, "the JSON text is not an object {...}");
    return fail_at(text, end, text + length, error);
}

const cJSON *gc_json_member(const cJSON *object, const char *name)
{
    const cJSON *const member = cJSON_GetObjectItemCaseSensitive(object, name);
    return member == NULL || cJSON_IsNull(member) ? NULL : member;
}

gradcam_status gc_json_fail(const cJSON *found, const char *expected, gradcam_error *error)
{
    char *const text = cJSON_PrintUnformatted(found);
    const gradcam_status status =
        gc_fail(error, GRADCAM_ERROR_FILE, "member '%.60s' is %.80s, expected %s",
                found->string != NULL ? found->string : "", text != NULL ? text : "?", expected);
    cJSON_free(text);
    return status;
}
