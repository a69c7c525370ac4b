/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors of other sizes than the explainer's, where the model leaves height and width free: for
 * each an explainer is made when the size is first seen, and kept. What depends on the model alone
 * (weights, and these packed for convolutions) is shared, so that a new size costs planning.
 */
#include <limits.h>
#include <string.h>

#include "api/objects.h"

/* ---- What was asked for --------------------------------------------------------------------- */

static gradcam_status keep_text(gc_arena *arena, const char **text, gradcam_error *error)
{
    return *text != NULL ? gc_arena_string(arena, text, *text, strlen(*text), error) : GRADCAM_OK;
}

static gradcam_status keep_layers(gc_arena *arena, gradcam_explainer_options *o,
                                  gradcam_error *error)
{
    const char **layers = NULL;
    GC_TRY(gc_arena_new(arena, &layers, o->more_layer_count, sizeof *layers, error));
    for (size_t i = 0; i < o->more_layer_count; i++) {
        layers[i] = o->more_layers[i];
        GC_TRY(keep_text(arena, &layers[i], error));
    }
    o->more_layers = layers;
    return GRADCAM_OK;
}

static gradcam_status keep_inputs(gc_arena *arena, gradcam_explainer_options *o,
                                  gradcam_error *error)
{
    gradcam_side_input *inputs = NULL;
    GC_TRY(gc_arena_new(arena, &inputs, o->input_count, sizeof *inputs, error));
    for (size_t i = 0; i < o->input_count; i++) {
        size_t count = 1;
        double *values = NULL;
        inputs[i] = o->inputs[i];
        for (int d = 0; d < inputs[i].rank; d++)
            count *= (size_t)inputs[i].dims[d];
        GC_TRY(keep_text(arena, &inputs[i].name, error));
        GC_TRY(gc_arena_new(arena, &values, count, sizeof *values, error));
        memcpy(values, inputs[i].values, count * sizeof *values);
        inputs[i].values = values;
    }
    o->inputs = inputs;
    return GRADCAM_OK;
}

gradcam_status gc_shapes_prepare(gradcam_explainer *e, const gradcam_explainer_options *options,
                                 gradcam_error *error)
{
    gradcam_explainer_options *const o = &e->kept;
    if (!e->is_free[0] && !e->is_free[1])
        return GRADCAM_OK;
    *o = *options;
    GC_TRY(keep_text(e->arena, &o->layer, error));
    GC_TRY(keep_text(e->arena, &o->tokens, error));
    GC_TRY(keep_text(e->arena, &o->picture_input, error));
    GC_TRY(keep_text(e->arena, &o->head, error));
    GC_TRY(keep_text(e->arena, &o->preset, error));
    GC_TRY(keep_layers(e->arena, o, error));
    return keep_inputs(e->arena, o, error);
}

/* ---- Sizes ---------------------------------------------------------------------------------- */

/* Does the tensor have the explainer's shape but for extents that are free? */
static bool is_other_size(const gradcam_explainer *e, const gradcam_input *input)
{
    const int64_t *const own = e->feed.type.dims;
    const int first = e->is_nhwc ? 1 : 2;
    bool is_other = false;
    if (input->tensor == NULL || input->rank != 4 || e->feed.type.rank != 4)
        return false;
    for (int i = 0; i < 4; i++) {
        if (input->dims[i] == own[i])
            continue;
        const bool may_differ = i >= first && i < first + 2 && e->is_free[i - first];
        if (!may_differ || input->dims[i] < 1 || input->dims[i] > INT_MAX)
            return false;
        is_other = true;
    }
    return is_other;
}

static void drop_last(gradcam_explainer *e)
{
    gradcam_explainer_destroy(&e->shapes[--e->shape_count]);
}

static gradcam_status make(const gradcam_explainer *e, const gradcam_input *input,
                           gradcam_explainer **made, gradcam_error *error)
{
    const int first = e->is_nhwc ? 1 : 2;
    gradcam_explainer_options options = e->kept;
    options.height = (int)input->dims[first];
    options.width = (int)input->dims[first + 1];
    return gradcam_explainer_create(made, e->model, &options, error);
}

/* Those that are kept make way where there are too many, or memory does not suffice. */
static gradcam_status make_room(gradcam_explainer *e, const gradcam_input *input,
                                gradcam_explainer **made, gradcam_error *error)
{
    if (e->shape_count == GC_MAX_SHAPES)
        drop_last(e);
    while (e->shape_count > 0) {
        const gradcam_status status = make(e, input, made, NULL);
        if (status == GRADCAM_OK)
            return status;
        if (!gc_is_scarce(status))
            break;
        drop_last(e);
    }
    return make(e, input, made, error);
}

static int find(const gradcam_explainer *e, const gradcam_input *input)
{
    for (int i = 0; i < e->shape_count; i++)
        if (memcmp(e->shapes[i]->feed.type.dims, input->dims, 4 * sizeof *input->dims) == 0)
            return i;
    return e->shape_count;
}

gradcam_status gc_shapes_find(gradcam_explainer *explainer, const gradcam_input *input,
                              gradcam_explainer **shaped, gradcam_error *error)
{
    gradcam_explainer *const e = explainer;
    gradcam_explainer *wanted = NULL;
    *shaped = e;
    if (!is_other_size(e, input))
        return GRADCAM_OK;
    int at = find(e, input);
    if (at < e->shape_count) {
        wanted = e->shapes[at];
    } else {
        GC_TRY(make_room(e, input, &wanted, error));
        e->shapes_made++;
        at = e->shape_count++;
    }
    memmove(&e->shapes[1], &e->shapes[0], (size_t)at * sizeof(gradcam_explainer *));
    e->shapes[0] = *shaped = wanted;
    return GRADCAM_OK;
}

void gc_shapes_free(gradcam_explainer *e)
{
    while (e->shape_count > 0)
        drop_last(e);
}
