/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line options. One row describes an option; the parser, the help text and the suggestions
 * for mistyped names all come from the same rows.
 */
#ifndef GC_CLI_OPTIONS_H
#define GC_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "base/memory.h"

/** A growing list of borrowed strings. */
typedef struct gc_texts {
    const char **items;
    size_t count, capacity;
} gc_texts;

gradcam_status gc_texts_add(gc_texts *texts, const char *text, gradcam_error *error);
void gc_texts_free(gc_texts *texts);

/** An output that may be asked for with or without a file name. */
typedef struct gc_file_option {
    bool wanted;
    const char *path; /* NULL: no name was given */
} gc_file_option;

typedef struct gc_option {
    const char *name;    /* without the dashes */
    char letter;         /* short form; 0: none */
    const char *value;   /* what the help calls its value; NULL: a switch without one */
    bool value_may_lack; /* the value is given as --name=value or not at all */
    /** Stores `value` (NULL for a switch or a lacking one) in `settings`, usually at `offset`. */
    gradcam_status (*set)(const struct gc_option *option, const char *value, void *settings,
                          gradcam_error *error);
    size_t offset;
    double minimum, maximum; /* for numbers */
    /** The words the value may be, by index; NULL past the last. For completion. */
    const char *(*choice)(size_t index);
    const char *help;
} gc_option;

typedef struct gc_option_table {
    const char *title; /* in the help text */
    const gc_option *rows;
    size_t count;
} gc_option_table;

/* The setters for common types; `offset` is that of a bool or int, const char *, int, float,
 * gc_texts or gc_file_option. */
gradcam_status gc_set_switch(const gc_option *option, const char *value, void *settings,
                             gradcam_error *error);
gradcam_status gc_set_int_switch(const gc_option *option, const char *value, void *settings,
                                 gradcam_error *error);
gradcam_status gc_set_text(const gc_option *option, const char *value, void *settings,
                           gradcam_error *error);
gradcam_status gc_set_integer(const gc_option *option, const char *value, void *settings,
                              gradcam_error *error);
gradcam_status gc_set_number(const gc_option *option, const char *value, void *settings,
                             gradcam_error *error);
gradcam_status gc_set_list(const gc_option *option, const char *value, void *settings,
                           gradcam_error *error);
gradcam_status gc_set_file(const gc_option *option, const char *value, void *settings,
                           gradcam_error *error);

/** The whole of `text` as a number in [minimum, maximum]. */
bool gc_parse_integer(const char *text, double minimum, double maximum, int *value);
bool gc_parse_number(const char *text, double minimum, double maximum, float *value);

/**
 * Reads argv[0..count): options into `settings` through `tables` (ends with NULL), everything else
 * and all that follows "--" into `arguments`.
 */
gradcam_status gc_options_parse(const gc_option_table *const *tables, int count, char **argv,
                                void *settings, gc_texts *arguments, gradcam_error *error);

/** Prints every row. */
void gc_options_help(const gc_option_table *const *tables, FILE *stream);

/** Prints `text` in lines of at most 80 columns, continued at `indent`; `column` is where the
 *  cursor stands. Ends with a newline. */
void gc_print_wrapped(FILE *stream, const char *text, int column, int indent);

/** The nearest of `names` if it is near enough to be meant, else NULL. */
const char *gc_nearest(const char *text, const char *const *names, size_t count);

#endif
