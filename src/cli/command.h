/* SPDX-License-Identifier: Apache-2.0 */
/* A command of the tool is one const row; commands.c lists them. Their options are rows, too:
 * tables that several commands share are in settings.c. */
#ifndef GC_CLI_COMMAND_H
#define GC_CLI_COMMAND_H

#include "cli/options.h"

/** Everything the command line can say. A command reads what its option tables can set. */
typedef struct gc_settings {
    gc_texts arguments;          /* what is not an option: the model, then pictures */
    gradcam_model_options model; /* whose limits are these: */
    gradcam_limits limits;
    gradcam_explainer_options explainer;
    gradcam_render_options render;
    const char *output, *input_npy;
    gc_texts classes, targets, methods, layers, inputs;
    gradcam_request request; /* how maps are fused and smoothed */
    const char *at;          /* a pixel, "x,y" */
    bool is_scale_shared;
    int top;
    gc_file_option heatmap, npy, json;
    gradcam_output npy_kind;
    bool quiet, verbose, help;
} gc_settings;

void gc_settings_init(gc_settings *settings);
void gc_settings_free(gc_settings *settings);

extern const gc_option_table gc_options_network; /* --labels, --size, --preset, --threads ... */
extern const gc_option_table gc_options_limits;  /* --max-memory, --max-nodes ... */
extern const gc_option_table gc_options_layer;   /* --layer */
extern const gc_option_table gc_options_method;  /* --method, --target, --smooth ... */
extern const gc_option_table gc_options_picture; /* --input-npy, --top */
extern const gc_option_table gc_options_report;  /* --json, --quiet, --verbose, --help */

typedef struct gc_command {
    const char *name;
    const char *usage;                    /* what follows "gradcam NAME " */
    const char *summary;                  /* one line */
    const char *details;                  /* paragraphs for the help, each a line; may be NULL */
    const gc_option_table *const *tables; /* ends with NULL */
    /** `error->message` is left empty where everything has been reported already. */
    gradcam_status (*run)(const gc_settings *settings, gradcam_error *error);
} gc_command;

/** All commands, as the help shows them; ends with NULL. */
extern const gc_command *const gc_commands[];

extern const gc_command gc_command_explain;
extern const gc_command gc_command_inspect;
extern const gc_command gc_command_layers;
extern const gc_command gc_command_classify;
extern const gc_command gc_command_methods;
extern const gc_command gc_command_targets;

#endif
