/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/labels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "picture/json.h"

void gc_labels_free(gc_labels *labels)
{
    if (labels == NULL)
        return;
    gc_free(labels->items);
    gc_free(labels->text);
    *labels = (gc_labels){0};
}

/* `bytes` of text, terminators included. */
static gradcam_status labels_alloc(gc_labels *labels, size_t count, size_t bytes,
                                   gradcam_error *error)
{
    *labels = (gc_labels){0};
    gradcam_status status = gc_new(&labels->items, count, sizeof *labels->items, error);
    if (status == GRADCAM_OK)
        status = gc_new(&labels->text, bytes, 1, error);
    if (status == GRADCAM_OK)
        labels->count = count;
    else
        gc_labels_free(labels);
    return status;
}

/* ---- Text ---------------------------------------------------------------------------------- */

static size_t trimmed_length(const char *text, size_t length)
{
    while (length > 0 && strchr("\r\n\t ", text[length - 1]) != NULL)
        length--;
    return length;
}

static size_t count_lines(const char *text, size_t length)
{
    size_t lines = 1;
    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    return lines;
}

static void split_lines(gc_labels *labels)
{
    char *line = labels->text;
    for (size_t i = 0; i < labels->count; i++) {
        char *const end = strchr(line, '\n');
        char *const next = end != NULL ? end + 1 : line + strlen(line);
        if (end != NULL)
            *end = '\0';
        while (*line == ' ' || *line == '\t')
            line++;
        line[trimmed_length(line, strlen(line))] = '\0';
        labels->items[i] = line;
        line = next;
    }
}

gradcam_status gc_labels_from_text(gc_labels *labels, const char *text, size_t length,
                                   gradcam_error *error)
{
    *labels = (gc_labels){0};
    if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        length -= 3;
    }
    GC_FAIL_IF(length > 0 && memchr(text, '\0', length) != NULL, error, GRADCAM_ERROR_FILE,
               "not a text of labels: it contains a zero byte");
    length = trimmed_length(text, length);
    GC_FAIL_IF(length == 0, error, GRADCAM_ERROR_FILE, "there are no labels in the file");
    GC_TRY(labels_alloc(labels, count_lines(text, length), length + 1, error));
    memcpy(labels->text, text, length);
    split_lines(labels);
    return GRADCAM_OK;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static gradcam_status parse_id(const cJSON *item, size_t count, size_t *id, gradcam_error *error)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(item->string, &end, 10);
    GC_FAIL_IF(item->string[0] < '0' || item->string[0] > '9' || *end != '\0' || errno != 0, error,
               GRADCAM_ERROR_FILE, "id2label: '%.60s' is not the index of a class", item->string);
    GC_FAIL_IF(value >= count, error, GRADCAM_ERROR_FILE,
               "id2label has %zu labels but one for class %llu", count, value);
    *id = (size_t)value;
    return GRADCAM_OK;
}

static gradcam_status fill_labels(gc_labels *labels, const cJSON *map, gradcam_error *error)
{
    char *to = labels->text;
    for (const cJSON *item = map->child; item != NULL; item = item->next) {
        size_t id = 0;
        GC_TRY(parse_id(item, labels->count, &id, error));
        GC_FAIL_IF(labels->items[id] != NULL, error, GRADCAM_ERROR_FILE,
                   "id2label names class %zu twice", id);
        labels->items[id] = to;
        to = stpcpy(to, item->valuestring) + 1;
    }
    return GRADCAM_OK;
}

static gradcam_status read_map(gc_labels *labels, const cJSON *map, gradcam_error *error)
{
    size_t count = 0, bytes = 0;
    if (map == NULL)
        return GRADCAM_OK;
    if (!cJSON_IsObject(map))
        return gc_json_fail(map, "an object {\"0\": \"label\", ...}", error);
    for (const cJSON *item = map->child; item != NULL; item = item->next, count++) {
        if (!cJSON_IsString(item))
            return gc_json_fail(item, "a string", error);
        bytes += strlen(item->valuestring) + 1;
    }
    if (count == 0)
        return GRADCAM_OK;
    GC_TRY(labels_alloc(labels, count, bytes, error));
    const gradcam_status status = fill_labels(labels, map, error);
    if (status != GRADCAM_OK)
        gc_labels_free(labels);
    return status;
}

gradcam_status gc_labels_from_json(gc_labels *labels, const char *text, size_t length,
                                   gradcam_error *error)
{
    cJSON *root = NULL;
    *labels = (gc_labels){0};
    GC_TRY(gc_json_parse(&root, text, length, error));
    const gradcam_status status = read_map(labels, gc_json_member(root, "id2label"), error);
    cJSON_Delete(root);
    return status;
}
