/* SPDX-License-Identifier: Apache-2.0 */
/* gradcam methods, gradcam targets: what --method and --target can name. */
#include <string.h>

#include "cli/command.h"

enum { INDENT = 4 };

static void print_part(const char *key, const char *text)
{
    const int used = printf("%*s%s ", INDENT, "", key);
    gc_print_wrapped(stdout, text, used, INDENT + 9);
}

static void print_settings(const gradcam_method_info *info)
{
    for (size_t i = 0; i < info->setting_count; i++) {
        const gradcam_setting *const s = &info->settings[i];
        const bool is_switch = s->standard == 0.0 && s->minimum == 0.0 && s->maximum == 1.0;
        char text[512];
        if (is_switch)
            snprintf(text, sizeof text, ":%s  %s", s->name, s->summary);
        else
            snprintf(text, sizeof text, ":%s=%g  %s", s->name, s->standard, s->summary);
        print_part(i == 0 ? "settings" : "        ", text);
    }
}

static void print_method(const gradcam_method_info *info)
{
    printf("%s\n", info->name);
    printf("%*s", INDENT, "");
    gc_print_wrapped(stdout, info->summary, INDENT, INDENT);
    print_part("formula ", info->formula);
    print_part("paper   ", info->paper);
    print_part("cost    ", info->cost);
    print_settings(info);
}

static gradcam_status run_methods(const gc_settings *settings, gradcam_error *error)
{
    const gradcam_method_info *info = NULL;
    size_t shown = 0;
    const gc_texts *const names = &settings->arguments;
    for (size_t i = 0; (info = gradcam_method_at(i)) != NULL; i++) {
        bool is_wanted = names->count == 0;
        for (size_t n = 0; n < names->count; n++)
            is_wanted |= strcmp(names->items[n], info->name) == 0;
        if (is_wanted)
            print_method(info);
        shown += is_wanted;
    }
    GC_FAIL_IF(shown < names->count, error, GRADCAM_ERROR_ARGUMENT,
               "not every one of these is a method; 'gradcam methods' lists them all.");
    return GRADCAM_OK;
}

static gradcam_status run_targets(const gc_settings *settings, gradcam_error *error)
{
    const gradcam_target_info *info = NULL;
    GC_FAIL_IF(settings->arguments.count > 0, error, GRADCAM_ERROR_ARGUMENT,
               "no arguments are needed. Usage: gradcam targets");
    for (size_t i = 0; (info = gradcam_target_at(i)) != NULL; i++) {
        const int used = printf("%-17s ", info->syntax);
        gc_print_wrapped(stdout, info->summary, used, 18);
    }
    return GRADCAM_OK;
}

static const gc_option help_rows[] = {
    {"help", 'h', NULL, .set = gc_set_switch, .offset = offsetof(gc_settings, help),
     .help = "Show this help"},
};

static const gc_option_table help_table = {"Options", help_rows, 1};

static const gc_option_table *const tables[] = {&help_table, NULL};

const gc_command gc_command_methods = {
    .name = "methods",
    .usage = "[METHOD...]",
    .summary = "List the methods, with formula, paper, cost and settings",
    .details = "In formulas, A is the activation of the layer, G the gradient of the score s with "
               "respect to it, x the input; sums and means run over positions, sum_c over "
               "channels.",
    .tables = tables,
    .run = run_methods,
};

const gc_command gc_command_targets = {
    .name = "targets",
    .usage = "",
    .summary = "List what can be explained besides a class",
    .details = NULL,
    .tables = tables,
    .run = run_targets,
};
