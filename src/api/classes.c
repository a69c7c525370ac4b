/* SPDX-License-Identifier: Apache-2.0 */
/* Labels, and finding a class by what a person types. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/objects.h"

size_t gradcam_model_label_count(const gradcam_model *model)
{
    return model != NULL ? model->labels.count : 0;
}

const char *gradcam_model_label(const gradcam_model *model, size_t class_index)
{
    return model != NULL && class_index < model->labels.count ? model->labels.items[class_index]
                                                              : NULL;
}

/* Is `text` one of the comma-separated synonyms of a label ("tabby, tabby cat")? */
static bool is_synonym(const char *label, const char *text)
{
    const size_t length = strlen(text);
    while (*label != '\0') {
        label += strspn(label, ", ");
        const size_t part = strcspn(label, ",");
        if (part == length && strncasecmp(label, text, length) == 0)
            return true;
        label += part;
    }
    return false;
}

static bool contains(const char *label, const char *text)
{
    const size_t length = strlen(text);
    for (; *label != '\0'; label++)
        if (strncasecmp(label, text, length) == 0)
            return true;
    return false;
}

/* Levenshtein distance, for names of at most 63 letters; longer ones are cut. */
static int distance(const char *a, const char *b)
{
    enum { LONGEST = 63 };
    int row[LONGEST + 1];
    const int la = (int)strnlen(a, LONGEST), lb = (int)strnlen(b, LONGEST);
    for (int j = 0; j <= lb; j++)
        row[j] = j;
    for (int i = 1; i <= la; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= lb; j++) {
            const bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            const int replaced = diagonal + !same;
            diagonal = row[j];
            const int shorter = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[lb];
}

/* The three labels nearest to the text. */
static void suggest(const gc_labels *labels, const char *text, char *out, size_t size)
{
    size_t used = 0;
    int last = -1, last_index = -1;
    out[0] = '\0';
    for (int rank = 0; rank < 3 && rank < (int)labels->count; rank++) {
        int best = 1 << 30, best_index = -1;
        for (int i = 0; i < (int)labels->count; i++) {
            const int d = distance(labels->items[i], text);
            const bool is_next = d > last || (d == last && i > last_index);
            if (is_next && d < best) {
                best = d;
                best_index = i;
            }
        }
        if (best_index < 0)
            return;
        const int length = snprintf(out + used, size - used, "%s'%s' (%d)", rank > 0 ? ", " : "",
                                    labels->items[best_index], best_index);
        if (length < 0 || used + (size_t)length >= size)
            return;
        used += (size_t)length;
        last = best;
        last_index = best_index;
    }
}

static int count_matches(const gc_labels *labels, const char *text,
                         bool (*matches)(const char *, const char *), int *first, char *list,
                         size_t size)
{
    int count = 0;
    size_t used = 0;
    list[0] = '\0';
    for (int i = 0; i < (int)labels->count; i++) {
        if (!matches(labels->items[i], text))
            continue;
        if (count++ == 0)
            *first = i;
        const int length = count <= 8 ? snprintf(list + used, size - used, "%s'%s' (%d)",
                                                 count > 1 ? ", " : "", labels->items[i], i)
                                      : 0;
        used += length > 0 && used + (size_t)length < size ? (size_t)length : 0;
    }
    return count;
}

static gradcam_status find_label(const gc_labels *labels, const char *text, int *class_index,
                                 gradcam_error *error)
{
    bool (*const rules[])(const char *, const char *) = {is_synonym, contains};
    char list[1024];
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const int count = count_matches(labels, text, rules[i], class_index, list, sizeof list);
        if (count == 1)
            return GRADCAM_OK;
        GC_FAIL_IF(count > 1, error, GRADCAM_ERROR_CLASS,
                   "class '%s' could be any of %d labels: %s%s. Give one in full, or its index.",
                   text, count, list, count > 8 ? ", ..." : "");
    }
    suggest(labels, text, list, sizeof list);
    return gc_fail(error, GRADCAM_ERROR_CLASS, "no class is called '%s'. Near: %s.", text, list);
}

gradcam_status gradcam_model_find_class(const gradcam_model *model, const char *text,
                                        int *class_index, gradcam_error *error)
{
    GC_FAIL_IF(model == NULL || text == NULL || class_index == NULL, error, GRADCAM_ERROR_ARGUMENT,
               "model, text or class_index: NULL");
    *class_index = -1;
    char *end = NULL;
    const long index = strtol(text, &end, 10);
    if (text[0] != '\0' && *end == '\0') {
        GC_FAIL_IF(index < 0 || index > 1 << 30, error, GRADCAM_ERROR_CLASS,
                   "class %s is out of range; indices start at 0", text);
        *class_index = (int)index;
        return GRADCAM_OK;
    }
    GC_FAIL_IF(text[0] == '\0', error, GRADCAM_ERROR_CLASS, "the class name is empty");
    GC_FAIL_IF(model->labels.count == 0, error, GRADCAM_ERROR_CLASS,
               "class '%s' is a name, but the model has no labels. Give the labels file, or the "
               "class as an index.",
               text);
    for (size_t i = 0; i < model->labels.count; i++)
        if (strcmp(model->labels.items[i], text) == 0) {
            *class_index = (int)i;
            return GRADCAM_OK;
        }
    return find_label(&model->labels, text, class_index, error);
}
