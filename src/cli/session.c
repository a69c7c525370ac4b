/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include <string.h>

#include "picture/npy.h"
#include "picture/picture.h"

gradcam_status gc_session_open(gc_session *session, const gc_settings *settings,
                               gradcam_error *error)
{
    gradcam_model_options options;
    *session = (gc_session){0};
    gradcam_model_options_init(&options);
    options.labels_path = settings->labels;
    GC_TRY(gradcam_model_load(&session->model, settings->arguments.items[0], &options, error));
    gradcam_explainer_options explainer = settings->explainer;
    explainer.more_layers = settings->layers.items;
    explainer.more_layer_count = settings->layers.count;
    GC_TRY(gradcam_explainer_create(&session->explainer, session->model, &explainer, error));
    session->input = gradcam_explainer_input(session->explainer);
    return GRADCAM_OK;
}

void gc_session_close(gc_session *session)
{
    gradcam_explainer_destroy(&session->explainer);
    gradcam_model_destroy(&session->model);
}

static gradcam_status explain_tensor(const gc_session *session, const char *path,
                                     const char *picture, const gradcam_request *request,
                                     gradcam_explanation **explanation, gradcam_error *error)
{
    gc_array tensor = {0};
    gc_picture shown = {0};
    gradcam_status status = gc_npy_read(&tensor, path, error);
    if (status == GRADCAM_OK && picture != NULL)
        status = gc_picture_read(&shown, picture, NULL, error);
    gradcam_input input = {.rgb = shown.rgb,
                           .width = shown.width,
                           .height = shown.height,
                           .tensor = tensor.data,
                           .rank = tensor.rank};
    memcpy(input.dims, tensor.dims, sizeof input.dims);
    if (status == GRADCAM_OK)
        status = gradcam_explain(session->explainer, &input, request, explanation, error);
    gc_picture_free(&shown);
    gc_array_free(&tensor);
    return status;
}

gradcam_status gc_session_explain(const gc_session *session, const gc_settings *settings,
                                  const char *picture, const gradcam_request *request,
                                  gradcam_explanation **explanation, gradcam_error *error)
{
    const gradcam_input input = {.path = picture};
    if (settings->input_npy != NULL)
        return explain_tensor(session, settings->input_npy, picture, request, explanation, error);
    return gradcam_explain(session->explainer, &input, request, explanation, error);
}
