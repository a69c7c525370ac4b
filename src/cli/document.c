/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run while building, not installed: fills the manual page and the shell completions from the
 * tables of commands and options, so that there is no second list.
 *
 *     gradcam-document TEMPLATE > FILE
 *
 * A line "@NAME@" is replaced by what the writer of that name prints, "@VERSION@" anywhere by the
 * version.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/paths.h"

enum { TABLE_LIMIT = 32 };

/* ---- Walking the tables --------------------------------------------------------------------- */

/* Every table once, in the order of the commands. */
static size_t collect_tables(const gc_option_table **tables)
{
    size_t count = 0;
    for (const gc_command *const *command = gc_commands; *command != NULL; command++)
        for (const gc_option_table *const *table = (*command)->tables; *table != NULL; table++) {
            size_t k = 0;
            while (k < count && tables[k] != *table)
                k++;
            if (k < TABLE_LIMIT)
                tables[k] = *table;
            count += k == count && count < TABLE_LIMIT;
        }
    return count;
}

static bool has_table(const gc_command *command, const gc_option_table *table)
{
    const gc_option_table *const *own = command->tables;
    while (*own != NULL && *own != table)
        own++;
    return *own != NULL;
}

/* Calls `visit` for every option once. */
static void each_option(void (*visit)(const gc_option *option))
{
    const gc_option_table *tables[TABLE_LIMIT];
    const size_t count = collect_tables(tables);
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < tables[t]->count; i++)
            visit(&tables[t]->rows[i]);
}

static bool is_file(const gc_option *option)
{
    return option->value != NULL && strstr(option->value, "FILE") != NULL;
}

static bool takes_next_word(const gc_option *option)
{
    return option->value != NULL && !option->value_may_lack;
}

static bool takes_pictures(const gc_command *command)
{
    return strstr(command->usage, "PICTURE") != NULL;
}

/* ---- Manual page ---------------------------------------------------------------------------- */

/* Text for roff, whose own signs are told from ours. */
static void print_roff(const char *text)
{
    if (text[0] == '.' || text[0] == '\'')
        fputs("\\&", stdout);
    for (; *text != '\0'; text++)
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '\'')
            fputs("\\(aq", stdout);
        else
            putchar(*text);
}

static void man_commands(void)
{
    for (const gc_command *const *command = gc_commands; *command != NULL; command++) {
        printf(".TP\n.B gradcam %s\n", (*command)->name);
        print_roff((*command)->usage);
        printf("\n.br\n");
        print_roff((*command)->summary);
        printf(".\n");
        if ((*command)->details != NULL) {
            print_roff((*command)->details);
            printf("\n");
        }
    }
    printf(".TP\n.B gradcam help\n[COMMAND]\n.br\nShow the options of a command.\n");
}

/* The words a value may be, where the help does not name them all. */
static void man_choices(const gc_option *option)
{
    bool is_told = true;
    for (size_t i = 0; option->choice != NULL && option->choice(i) != NULL; i++)
        is_told = is_told && strstr(option->help, option->choice(i)) != NULL;
    for (size_t i = 0; !is_told && option->choice(i) != NULL; i++) {
        printf(i == 0 ? " Known are: " : ", ");
        print_roff(option->choice(i));
    }
    printf(is_told ? "\n" : ".\n");
}

static void man_option(const gc_option *option)
{
    printf(".TP\n");
    if (option->letter != '\0')
        printf("\\fB\\-%c\\fR, ", option->letter);
    printf("\\fB\\-\\-");
    print_roff(option->name);
    printf("\\fR");
    if (option->value != NULL) {
        printf(option->value_may_lack ? "[=\\fI" : " \\fI");
        print_roff(option->value);
        printf(option->value_may_lack ? "\\fR]" : "\\fR");
    }
    printf("\n");
    print_roff(option->help);
    printf(".");
    man_choices(option);
}

static void man_options(void)
{
    const gc_option_table *tables[TABLE_LIMIT];
    const size_t count = collect_tables(tables);
    for (size_t t = 0; t < count; t++) {
        const char *joint = "Of ";
        printf(".SS %s\n", tables[t]->title);
        for (const gc_command *const *command = gc_commands; *command != NULL; command++)
            if (has_table(*command, tables[t])) {
                printf("%s\\fB%s\\fR", joint, (*command)->name);
                joint = ", ";
            }
        printf(".\n");
        for (size_t i = 0; i < tables[t]->count; i++)
            man_option(&tables[t]->rows[i]);
    }
}

static void man_exit_codes(void)
{
#define STATUS_ROW(name, value, meaning) printf(".TP\n.B %d\n%s\n", value, meaning);
    GRADCAM_STATUS_MAP(STATUS_ROW)
#undef STATUS_ROW
}

/* ---- Bash ----------------------------------------------------------------------------------- */

static void bash_command_names(void)
{
    printf("    local commands='");
    for (const gc_command *const *command = gc_commands; *command != NULL; command++)
        printf("%s ", (*command)->name);
    printf("help'\n");
}

static void bash_pattern(const gc_option *option)
{
    printf("--%s", option->name);
    if (option->letter != '\0')
        printf(" | -%c", option->letter);
}

static void bash_skip_row(const gc_option *option)
{
    if (!takes_next_word(option))
        return;
    printf("        ");
    bash_pattern(option);
    printf(") [ \"${COMP_WORDS[i + 1]}\" = = ] || i=$((i + 1)) ;;\n");
}

/* Words that are an option's value, not an argument. */
static void bash_skips(void)
{
    each_option(bash_skip_row);
}

static void bash_value_row(const gc_option *option)
{
    if (option->value == NULL)
        return;
    printf("    ");
    bash_pattern(option);
    printf(option->value_may_lack ? ") [ -z \"$attached\" ] || { " : ") ");
    if (option->choice != NULL) {
        printf("_gradcam_words '");
        for (size_t i = 0; option->choice(i) != NULL; i++)
            printf("%s%s", i > 0 ? " " : "", option->choice(i));
        printf("'; ");
    } else if (is_file(option)) {
        printf("_gradcam_files ''; ");
    }
    printf(option->value_may_lack ? "return; } ;;\n" : "return ;;\n");
}

static void bash_values(void)
{
    each_option(bash_value_row);
}

static void bash_options(void)
{
    for (const gc_command *const *command = gc_commands; *command != NULL; command++) {
        printf("    %s)\n        pictures=%s\n        options='", (*command)->name,
               takes_pictures(*command) ? "yes" : "");
        const char *gap = "";
        for (const gc_option_table *const *table = (*command)->tables; *table != NULL; table++)
            for (size_t i = 0; i < (*table)->count; i++) {
                printf("%s--%s", gap, (*table)->rows[i].name);
                gap = " ";
            }
        printf("'\n        ;;\n");
    }
}

static void bash_pictures(void)
{
    printf("        _gradcam_files '\\.(");
    for (size_t i = 0; gc_picture_ending(i) != NULL; i++)
        printf("%s%s", i > 0 ? "|" : "", gc_picture_ending(i) + 1);
    printf(")$'\n");
}

/* ---- Zsh ------------------------------------------------------------------------------------ */

/* Text within '...[...]...': zsh's own signs, and the quote, are told from ours. */
static void print_zsh(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '\'')
            fputs("'\\''", stdout);
        else if (strchr("[]:\\", *text) != NULL)
            printf("\\%c", *text);
        else
            putchar(*text);
}

static void zsh_value(const gc_option *option)
{
    if (option->value == NULL)
        return;
    printf(option->value_may_lack ? "::" : ":");
    print_zsh(option->value);
    printf(":");
    if (option->choice != NULL) {
        printf("(");
        for (size_t i = 0; option->choice(i) != NULL; i++)
            printf("%s%s", i > 0 ? " " : "", option->choice(i));
        printf(")");
    } else if (is_file(option)) {
        printf("_files");
    }
}

/* One specification of _arguments; with a letter there are two that exclude each other. */
static void zsh_option(const gc_option *option)
{
    for (int is_short = 0; is_short <= (option->letter != '\0'); is_short++) {
        printf("            '");
        if (option->set == gc_set_list)
            printf("*");
        else if (option->letter != '\0')
            printf("(-%c --%s)", option->letter, option->name);
        if (is_short)
            printf("-%c%s", option->letter, option->value != NULL ? "+" : "");
        else
            printf("--%s%s", option->name,
                   option->value == NULL ? "" : (option->value_may_lack ? "=-" : "="));
        printf("[");
        print_zsh(option->help);
        printf("]");
        zsh_value(option);
        printf("' \\\n");
    }
}

static void zsh_commands(void)
{
    for (const gc_command *const *command = gc_commands; *command != NULL; command++) {
        printf("        '%s:", (*command)->name);
        print_zsh((*command)->summary);
        printf("'\n");
    }
}

static void zsh_arguments(void)
{
    for (const gc_command *const *command = gc_commands; *command != NULL; command++) {
        printf("    %s)\n        _arguments -s -S \\\n", (*command)->name);
        for (const gc_option_table *const *table = (*command)->tables; *table != NULL; table++)
            for (size_t i = 0; i < (*table)->count; i++)
                zsh_option(&(*table)->rows[i]);
        printf("            '1:model:_files -g \"*.(#i)onnx(-.)\"'");
        if (takes_pictures(*command)) {
            printf(" \\\n            '*:picture or folder:_files -g \"*.(#i)(");
            for (size_t i = 0; gc_picture_ending(i) != NULL; i++)
                printf("%s%s", i > 0 ? "|" : "", gc_picture_ending(i) + 1);
            printf(")(-.)\"'");
        }
        printf("\n        ;;\n");
    }
}

/* ---- Templates ------------------------------------------------------------------------------ */

static const struct {
    const char *line;
    void (*write)(void);
} writers[] = {
    {"@MAN_COMMANDS@", man_commands},     {"@MAN_OPTIONS@", man_options},
    {"@MAN_EXIT_CODES@", man_exit_codes}, {"@BASH_COMMAND_NAMES@", bash_command_names},
    {"@BASH_SKIPS@", bash_skips},         {"@BASH_VALUES@", bash_values},
    {"@BASH_OPTIONS@", bash_options},     {"@BASH_PICTURES@", bash_pictures},
    {"@ZSH_COMMANDS@", zsh_commands},     {"@ZSH_ARGUMENTS@", zsh_arguments},
};

static bool write_line(char *line)
{
    static const char version[] = "@VERSION@";
    line[strcspn(line, "\n")] = '\0';
    for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++)
        if (strcmp(line, writers[i].line) == 0) {
            writers[i].write();
            return true;
        }
    char *const place = strstr(line, version);
    if (place == NULL)
        return puts(line) >= 0 && line[0] != '@';
    printf("%.*s%s%s\n", (int)(place - line), line, gradcam_version(), place + strlen(version));
    return true;
}

int main(int argc, char **argv)
{
    char line[1024];
    FILE *const template = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (template == NULL) {
        fprintf(stderr, "usage: gradcam-document TEMPLATE > FILE\n");
        return EXIT_FAILURE;
    }
    bool is_good = true;
    while (is_good && fgets(line, sizeof line, template) != NULL)
        is_good = write_line(line);
    if (!is_good)
        fprintf(stderr, "%s: no writer of the name '%s'\n", argv[1], line);
    is_good = fclose(template) == 0 && fflush(stdout) == 0 && ferror(stdout) == 0 && is_good;
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
