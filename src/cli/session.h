/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded model and its explainer, as every command needs them. */
#ifndef GC_CLI_SESSION_H
#define GC_CLI_SESSION_H

#include "cli/command.h"
#include "picture/npy.h"

/** Inputs of the network that are not the picture, read from the files that --input names. */
typedef struct gc_side_inputs {
    gradcam_side_input *items;
    gc_array *arrays; /* hold the values */
    char **names;
    size_t count;
} gc_side_inputs;

/** Reads them and points `options` to them. Free them on failure, too. */
gradcam_status gc_side_inputs_read(gc_side_inputs *inputs, const gc_settings *settings,
                                   gradcam_explainer_options *options, gradcam_error *error);
void gc_side_inputs_free(gc_side_inputs *inputs);

typedef struct gc_session {
    gradcam_model *model;
    gradcam_explainer *explainer;
    const gradcam_input_info *input; /* of the explainer */
    int threads;                     /* of the explainer; 0: as OpenMP decides */
} gc_session;

/** Loads the model that the arguments name first. Close the session on failure, too. */
gradcam_status gc_session_open(gc_session *session, const gc_settings *settings, int threads,
                               gradcam_error *error);

/** Gives a copy of a session an explainer of its own, to be destroyed by the caller. */
gradcam_status gc_session_another(gc_session *session, const gc_settings *settings,
                                  gradcam_error *error);
void gc_session_close(gc_session *session);

/** Explains a picture, or the tensor of --input-npy (then `picture` may be NULL). */
gradcam_status gc_session_explain(const gc_session *session, const gc_settings *settings,
                                  const char *picture, const gradcam_request *request,
                                  gradcam_explanation **explanation, gradcam_error *error);

#endif
