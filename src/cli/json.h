/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reports; docs/cli.md describes them. Numbers are finite or null, strings valid UTF-8. */
#ifndef GC_CLI_JSON_H
#define GC_CLI_JSON_H

#include "cli/paths.h"
#include "cli/session.h"

/** Where the lines go: standard output at once, or a file when all is done. */
typedef struct gc_json_sink {
    bool on;
    const char *path; /* NULL: standard output */
    char *text;
    size_t length, capacity;
} gc_json_sink;

gc_json_sink gc_json_open(const gc_settings *settings);

/** True if the report takes the place of the text on standard output. */
bool gc_json_is_stdout(const gc_json_sink *sink);

/** Writes the file, unless there was nothing to report. */
gradcam_status gc_json_finish(gc_json_sink *sink, gradcam_error *error);
void gc_json_free(gc_json_sink *sink);

/** One picture; `files` has an entry for each map, or is NULL where maps are not reported. */
gradcam_status gc_json_picture(gc_json_sink *sink, const gc_session *session, const char *picture,
                               const gradcam_explanation *explanation, const gc_map_files *files,
                               int top, gradcam_error *error);

/** What a model is made of. */
gradcam_status gc_json_inspection(gc_json_sink *sink, const gradcam_inspection_info *info,
                                  gradcam_error *error);

/** The layers of the session. */
gradcam_status gc_json_layers(gc_json_sink *sink, const gc_session *session, gradcam_error *error);

#endif
