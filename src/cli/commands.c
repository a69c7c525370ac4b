/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

const gc_command *const gc_commands[] = {
    &gc_command_explain,
    &gc_command_layers,
    &gc_command_classify,
    &gc_command_inspect,
    &gc_command_methods,
    &gc_command_targets,
    NULL,
};
