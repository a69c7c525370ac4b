/* SPDX-License-Identifier: Apache-2.0 */
/* What people read: standard output, and errors on standard error. */
#ifndef GC_CLI_REPORT_H
#define GC_CLI_REPORT_H

#include "cli/paths.h"
#include "cli/session.h"

/** Prints text from a model, a file or a path; control characters, which could steer the terminal,
 *  become '?'. */
void gc_print_text(FILE *stream, const char *text);

/** "gradcam: message" on standard error; says nothing where the message is empty. */
void gc_report_error(const gradcam_error *error);

/** The model and what is done to pictures. `with_layer`: and which layer and score are explained.
 */
void gc_report_session(const gc_session *session, bool with_layer, bool verbose);

/** The picture and its best classes. */
void gc_report_predictions(const char *picture, const gradcam_explanation *explanation, int top);

/** One map and where it was written. */
void gc_report_map(const gradcam_map *map, const gc_map_files *files, bool with_layer);

/** A map in one line, for runs over many pictures. */
void gc_report_map_line(const char *picture, const gradcam_map *map, const gc_map_files *files);

void gc_report_timings(const gradcam_explanation *explanation);

/** What a map that shows nothing means and what to try; "" for one that is in order. */
const char *gc_map_advice(gradcam_map_state state);

void gc_report_layers(const gc_session *session);

#endif
