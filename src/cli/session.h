/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded model and its explainer, as every command needs them. */
#ifndef GC_CLI_SESSION_H
#define GC_CLI_SESSION_H

#include "cli/command.h"

typedef struct gc_session {
    gradcam_model *model;
    gradcam_explainer *explainer;
    const gradcam_input_info *input; /* of the explainer */
} gc_session;

/** Loads the model that the arguments name first. Close the session on failure, too. */
gradcam_status gc_session_open(gc_session *session, const gc_settings *settings,
                               gradcam_error *error);
void gc_session_close(gc_session *session);

/** Explains a picture, or the tensor of --input-npy (then `picture` may be NULL). */
gradcam_status gc_session_explain(const gc_session *session, const gc_settings *settings,
                                  const char *picture, const gradcam_request *request,
                                  gradcam_explanation **explanation, gradcam_error *error);

#endif
