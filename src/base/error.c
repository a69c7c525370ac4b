/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

gradcam_status(gc_fail)(gradcam_error *error, gradcam_status status, const char *format, ...)
{
    if (error != NULL) {
        va_list arguments;
        va_start(arguments, format);
        error->status = status;
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
    return status;
}

gradcam_status gc_fail_context(gradcam_error *error, gradcam_status status, const char *format, ...)
{
    if (error == NULL)
        return status;
    char text[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return error->status;
    if ((size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, "%s", error->message);
    memcpy(error->message, text, sizeof text);
    return error->status;
}

gradcam_status(gc_fail_memory)(gradcam_error *error, size_t size)
{
    return gc_fail(error, GRADCAM_ERROR_MEMORY,
                   "out of memory: %zu bytes could not be allocated. Use a smaller input size or a "
                   "machine with more memory.",
                   size);
}

const char *gradcam_status_text(gradcam_status status)
{
    switch (status) {
#define STATUS_CASE(name, value, text)                                                             \
    case name:                                                                                     \
        return text;
        GRADCAM_STATUS_MAP(STATUS_CASE)
#undef STATUS_CASE
    }
    return "unknown status";
}
