/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include <string.h>

#include "base/memory.h"
#include "picture/picture.h"

/* ---- Inputs other than the picture ----------------------------------------------------------- */

void gc_side_inputs_free(gc_side_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) {
        gc_array_free(&inputs->arrays[i]);
        gc_free(inputs->names[i]);
    }
    gc_free(inputs->items);
    gc_free(inputs->arrays);
    gc_free(inputs->names);
}

/* "NAME=FILE.npy", which the option has checked. */
static gradcam_status read_input(gc_side_inputs *inputs, const char *text,
                                 const gradcam_limits *limits, gradcam_error *error)
{
    const char *const sign = strrchr(text, '=');
    const size_t i = inputs->count++;
    GC_TRY(gc_new(&inputs->names[i], (size_t)(sign - text) + 1, 1, error));
    memcpy(inputs->names[i], text, (size_t)(sign - text));
    GC_TRY(gc_npy_read_numbers(&inputs->arrays[i], sign + 1, limits, error));
    inputs->items[i] = (gradcam_side_input){.name = inputs->names[i],
                                            .rank = inputs->arrays[i].rank,
                                            .values = inputs->arrays[i].numbers};
    memcpy(inputs->items[i].dims, inputs->arrays[i].dims, sizeof inputs->items[i].dims);
    return GRADCAM_OK;
}

gradcam_status gc_side_inputs_read(gc_side_inputs *inputs, const gc_settings *settings,
                                   gradcam_explainer_options *options, gradcam_error *error)
{
    const gc_texts *const texts = &settings->inputs;
    *inputs = (gc_side_inputs){0};
    GC_TRY(gc_new(&inputs->items, texts->count, sizeof *inputs->items, error));
    GC_TRY(gc_new(&inputs->arrays, texts->count, sizeof *inputs->arrays, error));
    GC_TRY(gc_new(&inputs->names, texts->count, sizeof *inputs->names, error));
    for (size_t i = 0; i < texts->count; i++)
        GC_TRY(read_input(inputs, texts->items[i], &settings->limits, error));
    options->inputs = inputs->items;
    options->input_count = inputs->count;
    return GRADCAM_OK;
}

/* ---- Session -------------------------------------------------------------------------------- */

static gradcam_status create(gc_session *session, const gc_settings *settings, gradcam_error *error)
{
    gc_side_inputs inputs;
    gradcam_explainer_options options = settings->explainer;
    options.threads = session->threads;
    options.more_layers = settings->layers.items;
    options.more_layer_count = settings->layers.count;
    gradcam_status status = gc_side_inputs_read(&inputs, settings, &options, error);
    if (status == GRADCAM_OK)
        status = gradcam_explainer_create(&session->explainer, session->model, &options, error);
    gc_side_inputs_free(&inputs);
    return status;
}

gradcam_status gc_session_another(gc_session *session, const gc_settings *settings,
                                  gradcam_error *error)
{
    session->explainer = NULL;
    GC_TRY(create(session, settings, error));
    session->input = gradcam_explainer_input(session->explainer);
    return GRADCAM_OK;
}

gradcam_status gc_session_open(gc_session *session, const gc_settings *settings, int threads,
                               gradcam_error *error)
{
    *session = (gc_session){.threads = threads};
    GC_TRY(
        gradcam_model_load(&session->model, settings->arguments.items[0], &settings->model, error));
    GC_TRY(create(session, settings, error));
    session->input = gradcam_explainer_input(session->explainer);
    return GRADCAM_OK;
}

void gc_session_close(gc_session *session)
{
    gradcam_explainer_destroy(&session->explainer);
    gradcam_model_destroy(&session->model);
}

static gradcam_status explain_tensor(const gc_session *session, const gc_settings *settings,
                                     const char *picture, const gradcam_request *request,
                                     gradcam_explanation **explanation, gradcam_error *error)
{
    gc_array tensor = {0};
    gc_picture shown = {0};
    gradcam_status status = gc_npy_read(&tensor, settings->input_npy, &settings->limits, error);
    if (status == GRADCAM_OK && picture != NULL)
        status = gc_picture_read(&shown, picture, &settings->limits, error);
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
        return explain_tensor(session, settings, picture, request, explanation, error);
    return gradcam_explain(session->explainer, &input, request, explanation, error);
}
