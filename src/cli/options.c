/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_WIDTH = 80, HELP_COLUMN = 26, NAME_LIMIT = 63 };

/* ---- Lists ---------------------------------------------------------------------------------- */

gradcam_status gc_texts_add(gc_texts *texts, const char *text, gradcam_error *error)
{
    GC_TRY(gc_grow(&texts->items, &texts->capacity, texts->count + 1, sizeof *texts->items, error));
    texts->items[texts->count++] = text;
    return GRADCAM_OK;
}

void gc_texts_free(gc_texts *texts)
{
    gc_free(texts->items);
    *texts = (gc_texts){0};
}

/* ---- Setters -------------------------------------------------------------------------------- */

static void *field(const gc_option *option, void *settings)
{
    return (char *)settings + option->offset;
}

bool gc_parse_integer(const char *text, double minimum, double maximum, int *value)
{
    char *end = NULL;
    errno = 0;
    const long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < INT_MIN || number > INT_MAX)
        return false;
    *value = (int)number;
    return (double)number >= minimum && (double)number <= maximum;
}

bool gc_parse_number(const char *text, double minimum, double maximum, float *value)
{
    char *end = NULL;
    *value = strtof(text, &end);
    return end != text && *end == '\0' && isfinite(*value) && (double)*value >= minimum &&
           (double)*value <= maximum;
}

gradcam_status gc_set_switch(const gc_option *option, const char *value, void *settings,
                             gradcam_error *error)
{
    (void)value;
    (void)error;
    *(bool *)field(option, settings) = true;
    return GRADCAM_OK;
}

gradcam_status gc_set_int_switch(const gc_option *option, const char *value, void *settings,
                                 gradcam_error *error)
{
    (void)value;
    (void)error;
    *(int *)field(option, settings) = 1;
    return GRADCAM_OK;
}

gradcam_status gc_set_text(const gc_option *option, const char *value, void *settings,
                           gradcam_error *error)
{
    GC_FAIL_IF(value[0] == '\0', error, GRADCAM_ERROR_ARGUMENT, "--%s: the value is empty.",
               option->name);
    *(const char **)field(option, settings) = value;
    return GRADCAM_OK;
}

gradcam_status gc_set_integer(const gc_option *option, const char *value, void *settings,
                              gradcam_error *error)
{
    if (!gc_parse_integer(value, option->minimum, option->maximum, field(option, settings)))
        return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                       "--%s: '%s' is not a whole number from %.0f to %.0f.", option->name, value,
                       option->minimum, option->maximum);
    return GRADCAM_OK;
}

gradcam_status gc_set_number(const gc_option *option, const char *value, void *settings,
                             gradcam_error *error)
{
    if (!gc_parse_number(value, option->minimum, option->maximum, field(option, settings)))
        return gc_fail(error, GRADCAM_ERROR_ARGUMENT, "--%s: '%s' is not a number from %g to %g.",
                       option->name, value, option->minimum, option->maximum);
    return GRADCAM_OK;
}

gradcam_status gc_set_list(const gc_option *option, const char *value, void *settings,
                           gradcam_error *error)
{
    GC_FAIL_IF(value[0] == '\0', error, GRADCAM_ERROR_ARGUMENT, "--%s: the value is empty.",
               option->name);
    return gc_texts_add(field(option, settings), value, error);
}

gradcam_status gc_set_file(const gc_option *option, const char *value, void *settings,
                           gradcam_error *error)
{
    GC_FAIL_IF(value != NULL && value[0] == '\0', error, GRADCAM_ERROR_ARGUMENT,
               "--%s=: the file name is empty.", option->name);
    *(gc_file_option *)field(option, settings) = (gc_file_option){true, value};
    return GRADCAM_OK;
}

/* ---- Suggestions ---------------------------------------------------------------------------- */

static int minimum(int a, int b)
{
    return a < b ? a : b;
}

/* Levenshtein distance; names longer than NAME_LIMIT are compared by their beginnings. */
static int distance(const char *a, const char *b)
{
    const int rows = minimum((int)strlen(a), NAME_LIMIT);
    const int columns = minimum((int)strlen(b), NAME_LIMIT);
    int costs[NAME_LIMIT + 1] = {0};
    for (int j = 0; j <= columns; j++)
        costs[j] = j;
    for (int i = 1; i <= rows; i++) {
        int diagonal = costs[0];
        costs[0] = i;
        for (int j = 1; j <= columns; j++) {
            const int substitute = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = costs[j];
            costs[j] = minimum(substitute, minimum(costs[j], costs[j - 1]) + 1);
        }
    }
    return costs[columns];
}

const char *gc_nearest(const char *text, const char *const *names, size_t count)
{
    const char *best = NULL;
    int best_distance = INT_MAX;
    const size_t length = strlen(text);
    for (size_t i = 0; i < count; i++) {
        /* A beginning of a name is a good sign, however much is missing. */
        const bool begins = length >= 3 && strncmp(names[i], text, length) == 0;
        const int d = begins ? 0 : distance(text, names[i]);
        if (d < best_distance) {
            best_distance = d;
            best = names[i];
        }
    }
    return best_distance <= 1 + (int)length / 4 ? best : NULL;
}

static gradcam_status unknown_option(const gc_option_table *const *tables, const char *text,
                                     gradcam_error *error)
{
    gc_texts names = {0};
    gradcam_status status = GRADCAM_OK;
    for (; *tables != NULL; tables++)
        for (size_t i = 0; i < (*tables)->count && status == GRADCAM_OK; i++)
            status = gc_texts_add(&names, (*tables)->rows[i].name, error);
    if (status == GRADCAM_OK) {
        char name[NAME_LIMIT + 1];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(text + 2, "="), text + 2);
        const char *const nearest = gc_nearest(name, names.items, names.count);
        status = gc_fail(error, GRADCAM_ERROR_ARGUMENT, "unknown option '--%s'.%s%s%s", name,
                         nearest != NULL ? " Did you mean '--" : "", nearest != NULL ? nearest : "",
                         nearest != NULL ? "'?" : "");
    }
    gc_texts_free(&names);
    return status;
}

/* ---- Parser --------------------------------------------------------------------------------- */

typedef struct parser {
    const gc_option_table *const *tables;
    void *settings;
    char **argv;
    int count, next; /* argv[next] is the first that has not been read */
    gradcam_error *error;
} parser;

static const gc_option *find_name(const gc_option_table *const *tables, const char *name,
                                  size_t length)
{
    for (; *tables != NULL; tables++)
        for (size_t i = 0; i < (*tables)->count; i++) {
            const gc_option *const row = &(*tables)->rows[i];
            if (strncmp(row->name, name, length) == 0 && row->name[length] == '\0')
                return row;
        }
    return NULL;
}

static const gc_option *find_letter(const gc_option_table *const *tables, char letter)
{
    for (; *tables != NULL; tables++)
        for (size_t i = 0; i < (*tables)->count; i++)
            if ((*tables)->rows[i].letter == letter)
                return &(*tables)->rows[i];
    return NULL;
}

/* Hands on the value that is part of the same word (`attached`) or the next word. */
static gradcam_status set_value(parser *p, const gc_option *option, const char *attached)
{
    const bool takes_next = option->value != NULL && !option->value_may_lack && attached == NULL;
    if (takes_next && p->next >= p->count)
        return gc_fail(p->error, GRADCAM_ERROR_ARGUMENT, "--%s needs a value: --%s %s.",
                       option->name, option->name, option->value);
    GC_FAIL_IF(option->value == NULL && attached != NULL, p->error, GRADCAM_ERROR_ARGUMENT,
               "--%s takes no value.", option->name);
    return option->set(option, takes_next ? p->argv[p->next++] : attached, p->settings, p->error);
}

static gradcam_status parse_long(parser *p, const char *word)
{
    const size_t length = strcspn(word + 2, "=");
    const gc_option *const option = find_name(p->tables, word + 2, length);
    if (option == NULL)
        return unknown_option(p->tables, word, p->error);
    return set_value(p, option, word[2 + length] == '=' ? word + 3 + length : NULL);
}

/* "-q", "-o FILE", "-oFILE", "-qo FILE". */
static gradcam_status parse_letters(parser *p, const char *word)
{
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const gc_option *const option = find_letter(p->tables, *letter);
        GC_FAIL_IF(option == NULL, p->error, GRADCAM_ERROR_ARGUMENT,
                   "unknown option '-%c' in '%s'.", *letter, word);
        if (option->value != NULL && !option->value_may_lack)
            return set_value(p, option, letter[1] != '\0' ? letter + 1 : NULL);
        GC_TRY(set_value(p, option, NULL));
    }
    return GRADCAM_OK;
}

gradcam_status gc_options_parse(const gc_option_table *const *tables, int count, char **argv,
                                void *settings, gc_texts *arguments, gradcam_error *error)
{
    parser p = {tables, settings, argv, count, 0, error};
    bool only_arguments = false;
    while (p.next < count) {
        const char *const word = argv[p.next++];
        if (only_arguments || word[0] != '-' || word[1] == '\0')
            GC_TRY(gc_texts_add(arguments, word, error));
        else if (strcmp(word, "--") == 0)
            only_arguments = true;
        else if (word[1] == '-')
            GC_TRY(parse_long(&p, word));
        else
            GC_TRY(parse_letters(&p, word));
    }
    return GRADCAM_OK;
}

/* ---- Help ----------------------------------------------------------------------------------- */

void gc_print_wrapped(FILE *stream, const char *text, int column, int indent)
{
    while (*text != '\0') {
        const int length = (int)strcspn(text, " ");
        if (column > indent && column + 1 + length > LINE_WIDTH) {
            fprintf(stream, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', stream);
            column++;
        }
        fprintf(stream, "%.*s", length, text);
        column += length;
        text += length + (text[length] == ' ');
    }
    fputc('\n', stream);
}

static void print_row(const gc_option *row, FILE *stream)
{
    char left[LINE_WIDTH];
    const char letter[] = {'-', row->letter, ',', ' ', '\0'};
    snprintf(left, sizeof left, "  %s--%s%s%s%s", row->letter != '\0' ? letter : "    ", row->name,
             row->value == NULL ? "" : (row->value_may_lack ? "[=" : " "),
             row->value == NULL ? "" : row->value, row->value_may_lack ? "]" : "");
    fputs(left, stream);
    const int used = (int)strlen(left);
    if (used > HELP_COLUMN - 2)
        fprintf(stream, "\n%*s", HELP_COLUMN, "");
    else
        fprintf(stream, "%*s", HELP_COLUMN - used, "");
    gc_print_wrapped(stream, row->help, HELP_COLUMN, HELP_COLUMN);
}

void gc_options_help(const gc_option_table *const *tables, FILE *stream)
{
    for (; *tables != NULL; tables++) {
        fprintf(stream, "\n%s:\n", (*tables)->title);
        for (size_t i = 0; i < (*tables)->count; i++)
            print_row(&(*tables)->rows[i], stream);
    }
}
