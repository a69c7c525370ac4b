/* SPDX-License-Identifier: Apache-2.0 */
/* Networks with several inputs and outputs: which input is the picture, what the others are given,
 * which output is explained. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/objects.h"
#include "ops/convert.h"

/* ---- Other inputs --------------------------------------------------------------------------- */

static gradcam_status check_side_input(const gradcam_side_input *given, const gc_value *value,
                                       gradcam_error *error)
{
    char found[GC_SHAPE_TEXT], expected[GC_SHAPE_TEXT];
    gc_tensor type;
    GC_FAIL_IF(given->values == NULL || given->rank < 0 || given->rank > GC_MAX_RANK, error,
               GRADCAM_ERROR_ARGUMENT, "input '%s': no values, or a rank of %d", given->name,
               given->rank);
    gc_tensor_describe(&type, GC_FLOAT32, given->rank, given->dims);
    bool fits =
        gc_tensor_is_valid(&type) && (value->type.rank < 0 || value->type.rank == type.rank);
    for (int i = 0; fits && i < value->type.rank; i++)
        fits = value->type.dims[i] < 0 || value->type.dims[i] == type.dims[i];
    GC_FAIL_IF(!fits, error, GRADCAM_ERROR_SHAPE,
               "input '%s': the tensor given has the shape %s, the model asks for %s", given->name,
               gc_shape_text(&type, found), gc_shape_text(&value->type, expected));
    return GRADCAM_OK;
}

/* Can a type of integers hold this number, and did it reach us exactly? */
static bool is_whole(double value, gc_dtype dtype)
{
    const double most = (double)(INT64_C(1) << 53);
    return value == trunc(value) && fabs(value) <= most && (dtype != GC_UINT64 || value >= 0.0) &&
           gc_convert_integer((int64_t)value, dtype) == (int64_t)value;
}

static gradcam_status check_whole(const gradcam_side_input *given, gc_dtype dtype,
                                  gradcam_error *error)
{
    int64_t count = 1;
    for (int i = 0; i < given->rank; i++)
        count *= given->dims[i];
    for (int64_t i = 0; !gc_dtype_is_float(dtype) && i < count; i++)
        GC_FAIL_IF(!is_whole(given->values[i], dtype), error, GRADCAM_ERROR_ARGUMENT,
                   "input '%s': element %" PRId64 " is %.17g; the model asks for whole numbers of "
                   "the type %s (at most 2^53)",
                   given->name, i, given->values[i], gc_dtype_name(dtype));
    return GRADCAM_OK;
}

static gradcam_status make_constant(const gradcam_side_input *given, gc_dtype dtype,
                                    gc_constant **constant, gradcam_error *error)
{
    gc_tensor tensor;
    gc_tensor_describe(&tensor, gc_dtype_is_float(dtype) ? GC_FLOAT32 : dtype, given->rank,
                       given->dims);
    GC_TRY(gc_tensor_alloc(&tensor, error));
    const int64_t count = gc_tensor_count(&tensor);
    for (int64_t i = 0; i < count; i++) {
        if (gc_dtype_is_float(tensor.dtype))
            gc_floats(&tensor)[i] = (float)given->values[i];
        else
            gc_ints(&tensor)[i] = (int64_t)given->values[i];
    }
    const gradcam_status status = gc_constant_create(constant, &tensor, error);
    gc_tensor_free(&tensor);
    return status;
}

/* "'a', 'b'" */
static void list_names(const gc_graph *graph, const int *values, int count, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        const int length = snprintf(text + used, size - used, "%s'%s'", i > 0 ? ", " : "",
                                    graph->values[values[i]].name);
        if (length < 0 || used + (size_t)length >= size)
            return;
        used += (size_t)length;
    }
}

static int find_name(const gc_graph *graph, const int *values, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(graph->values[values[i]].name, name) == 0)
            return i;
    return -1;
}

static gradcam_status give(gc_graph *graph, const gradcam_side_input *given, gradcam_error *error)
{
    char names[512];
    gc_constant *constant = NULL;
    GC_FAIL_IF(given->name == NULL, error, GRADCAM_ERROR_ARGUMENT, "an input has no name");
    const int at = find_name(graph, graph->inputs, graph->input_count, given->name);
    list_names(graph, graph->inputs, graph->input_count, names, sizeof names);
    GC_FAIL_IF(at < 0, error, GRADCAM_ERROR_ARGUMENT,
               "the model has no input '%s' that could be given; it has %s", given->name, names);
    gc_value *const value = &graph->values[graph->inputs[at]];
    GC_TRY(check_side_input(given, value, error));
    GC_TRY(check_whole(given, value->type.dtype, error));
    GC_TRY(make_constant(given, value->type.dtype, &constant, error));
    value->constant = constant;
    value->type = *gc_constant_tensor(constant);
    value->type.data = NULL;
    graph->input_count--;
    for (int i = at; i < graph->input_count; i++)
        graph->inputs[i] = graph->inputs[i + 1];
    return GRADCAM_OK;
}

/* What is given becomes constant, so that even shapes may depend on it. */
static gradcam_status give_all(gradcam_explainer *e, const gradcam_explainer_options *options,
                               gradcam_error *error)
{
    e->source = e->model->graph;
    if (options->input_count == 0)
        return GRADCAM_OK;
    GC_FAIL_IF(options->inputs == NULL, error, GRADCAM_ERROR_ARGUMENT, "inputs: NULL");
    GC_TRY(gc_graph_clone(&e->own_source, e->model->graph, error));
    for (size_t i = 0; i < options->input_count; i++)
        GC_TRY(give(e->own_source, &options->inputs[i], error));
    e->source = e->own_source;
    return gc_fold_constants(e->own_source, error);
}

/* ---- The picture ---------------------------------------------------------------------------- */

static bool looks_like_picture(const gc_tensor *type)
{
    const int64_t first = type->dims[1], last = type->dims[3];
    return type->rank == 4 && gc_dtype_is_float(type->dtype) &&
           (first == 1 || first == 3 || last == 1 || last == 3 || first < 0);
}

static gradcam_status choose_picture(gradcam_explainer *e, const char *name, gradcam_error *error)
{
    char names[512];
    const gc_graph *const g = e->source;
    int at = -1;
    GC_FAIL_IF(g->input_count < 1, error, GRADCAM_ERROR_ARGUMENT,
               "every input of the model is given; none is left for the picture");
    list_names(g, g->inputs, g->input_count, names, sizeof names);
    for (int i = g->input_count - 1; i >= 0; i--)
        at = looks_like_picture(&g->values[g->inputs[i]].type) ? i : at;
    if (name != NULL) {
        at = find_name(g, g->inputs, g->input_count, name);
        GC_FAIL_IF(at < 0, error, GRADCAM_ERROR_ARGUMENT,
                   "the model has no input '%s' left for the picture; it has %s", name, names);
    }
    e->feed.value = g->inputs[at >= 0 ? at : 0];
    e->feed.type = g->values[e->feed.value].type;
    return GRADCAM_OK;
}

gradcam_status gc_explainer_choose_input(gradcam_explainer *e,
                                         const gradcam_explainer_options *options,
                                         gradcam_error *error)
{
    GC_TRY(give_all(e, options, error));
    return choose_picture(e, options->picture_input, error);
}

gradcam_status gc_explainer_unroll(gradcam_explainer *e, gradcam_error *error)
{
    if (!gc_has_control_flow(e->source))
        return GRADCAM_OK;
    if (e->own_source == NULL)
        GC_TRY(gc_graph_clone(&e->own_source, e->source, error));
    e->source = e->own_source;
    return gc_unroll(e->own_source, &e->feed, 1, error);
}

gradcam_status gc_explainer_choose_head(const gradcam_explainer *e, const char *name, int *output,
                                        gradcam_error *error)
{
    char names[512];
    const gc_graph *const g = e->source;
    const int at = name != NULL ? find_name(g, g->outputs, g->output_count, name) : 0;
    list_names(g, g->outputs, g->output_count, names, sizeof names);
    GC_FAIL_IF(at < 0, error, GRADCAM_ERROR_ARGUMENT, "the model has no output '%s'; it has %s",
               name, names);
    *output = g->outputs[at];
    return GRADCAM_OK;
}
