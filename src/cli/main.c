/* SPDX-License-Identifier: Apache-2.0 */
/* The command-line tool: finds the command, reads its options, runs it, or helps. */
#include <malloc.h>
#include <signal.h>
#include <string.h>

#include "cli/command.h"
#include "cli/report.h"

enum { COMMAND_LIMIT = 32 };

static const gc_command *find_command(const char *name)
{
    for (const gc_command *const *command = gc_commands; *command != NULL; command++)
        if (strcmp((*command)->name, name) == 0)
            return *command;
    return NULL;
}

static gradcam_status unknown_command(const char *name, gradcam_error *error)
{
    const char *names[COMMAND_LIMIT];
    size_t count = 0;
    for (; gc_commands[count] != NULL && count < COMMAND_LIMIT; count++)
        names[count] = gc_commands[count]->name;
    const char *nearest = gc_nearest(name, names, count);
    const size_t length = strlen(name);
    if (nearest == NULL && length > 5 && strcmp(name + length - 5, ".onnx") == 0)
        nearest = gc_command_explain.name;
    return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                   "unknown command '%s'.%s%s%s See 'gradcam --help'.", name,
                   nearest != NULL ? " Did you mean 'gradcam " : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "'?" : "");
}

/* ---- Help ----------------------------------------------------------------------------------- */

static void print_exit_codes(void)
{
    static const struct {
        int value;
        const char *meaning;
    } codes[] = {
#define STATUS_ROW(name, value, meaning) {value, meaning},
        GRADCAM_STATUS_MAP(STATUS_ROW)
#undef STATUS_ROW
    };
    char text[1024] = "";
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%d %s", i > 0 ? "; " : "", codes[i].value,
                 codes[i].meaning);
    }
    printf("\nExit codes:\n  ");
    gc_print_wrapped(stdout, text, 2, 2);
}

static void print_general_help(void)
{
    printf("gradcam: shows what an image network looked at (Grad-CAM for ONNX models)\n\n"
           "Usage: gradcam COMMAND ARGUMENTS... [OPTIONS]\n\n"
           "Commands:\n");
    for (const gc_command *const *command = gc_commands; *command != NULL; command++)
        printf("  %-10s %s\n", (*command)->name, (*command)->summary);
    printf("  %-10s %s\n", "help", "Show the options of a command: gradcam help explain");
    printf("\nExamples:\n"
           "  gradcam explain model.onnx cat.jpg              writes cat.gradcam.png\n"
           "  gradcam explain model.onnx photos/ -o maps/     a folder of pictures\n"
           "  gradcam explain model.onnx cat.jpg --class tabby --layer layer4\n"
           "  gradcam explain model.onnx cat.jpg --method layercam --method scorecam\n"
           "  gradcam explain model.onnx cat.jpg --target diff:tabby,tiger\n"
           "  gradcam layers model.onnx                       what --layer can name\n"
           "\nThe help of a command ends with the exit codes. 'man gradcam' tells all of it;\n"
           "gradcam --version prints the version and what this build consists of.\n");
}

static void print_version(void)
{
    char facts[1024];
    gradcam_build_info(facts, sizeof facts);
    printf("gradcam %s\n%s", gradcam_version(), facts);
}

static void print_command_help(const gc_command *command)
{
    printf("Usage: gradcam %s %s\n\n%s.\n", command->name, command->usage, command->summary);
    if (command->details != NULL)
        gc_print_wrapped(stdout, command->details, 0, 0);
    gc_options_help(command->tables, stdout);
    print_exit_codes();
}

static gradcam_status help(int count, char **names, gradcam_error *error)
{
    const gc_command *const command = count > 0 ? find_command(names[0]) : NULL;
    if (count > 0 && command == NULL)
        return unknown_command(names[0], error);
    if (command != NULL)
        print_command_help(command);
    else
        print_general_help();
    return GRADCAM_OK;
}

/* ---- Running -------------------------------------------------------------------------------- */

static gradcam_status run_command(const gc_command *command, int count, char **words,
                                  gradcam_error *error)
{
    gc_settings settings;
    gc_settings_init(&settings);
    gradcam_status status =
        gc_options_parse(command->tables, count, words, &settings, &settings.arguments, error);
    if (status == GRADCAM_ERROR_ARGUMENT) {
        const size_t used = strlen(error->message);
        const bool ends = used > 0 && strchr(".?", error->message[used - 1]) != NULL;
        snprintf(error->message + used, sizeof error->message - used, "%s See 'gradcam help %s'.",
                 ends ? "" : ".", command->name);
    } else if (status == GRADCAM_OK && settings.help) {
        print_command_help(command);
    } else if (status == GRADCAM_OK) {
        status = command->run(&settings, error);
    }
    gc_settings_free(&settings);
    return status;
}

static bool is_either(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

static gradcam_status dispatch(int argc, char **argv, gradcam_error *error)
{
    GC_FAIL_IF(argc < 2, error, GRADCAM_ERROR_ARGUMENT,
               "no command is given. See 'gradcam --help'.");
    if (is_either(argv[1], "--help", "-h"))
        return help(0, NULL, error);
    if (strcmp(argv[1], "help") == 0)
        return help(argc - 2, argv + 2, error);
    if (is_either(argv[1], "--version", "-V")) {
        print_version();
        return GRADCAM_OK;
    }
    const gc_command *const command = find_command(argv[1]);
    if (command == NULL)
        return unknown_command(argv[1], error);
    return run_command(command, argc - 2, argv + 2, error);
}

/* Blocks of a size that each picture needs anew stay with the process: the first touch of a fresh
 * page costs more than most of what is done with it. */
static void keep_pages(void)
{
#ifdef M_TRIM_THRESHOLD /* glibc */
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}

int main(int argc, char **argv)
{
    /* A file beyond the limit of sizes is an error like a full disk, not the end. */
    signal(SIGXFSZ, SIG_IGN);
    keep_pages();
    gradcam_error error = {0};
    gradcam_status status = dispatch(argc, argv, &error);
    /* A full disk or a closed pipe is noticed when the buffer is emptied. */
    const bool is_written = fflush(stdout) == 0 && ferror(stdout) == 0;
    if (status == GRADCAM_OK && !is_written)
        status = gc_fail(&error, GRADCAM_ERROR_FILE, "standard output cannot be written to.");
    if (status != GRADCAM_OK)
        gc_report_error(&error);
    return (int)status;
}
