/* SPDX-License-Identifier: Apache-2.0 */
/* What targets ask the caller: classes by name, places in the picture, masks, other pictures. */
#include <string.h>
#include <strings.h>

#include "api/objects.h"
#include "picture/npy.h"

static gradcam_status find_class(void *user, const char *text, int *index, gradcam_error *error)
{
    const gc_asker *const asker = user;
    return gradcam_model_find_class(asker->e->model, text, index, error);
}

static void to_input(void *user, double x, double y, double *u, double *v)
{
    const gc_view *const view = &((const gc_asker *)user)->x->view;
    gc_view_to_input(view, x, y, u, v);
    *u /= view->input_width;
    *v /= view->input_height;
}

/* ---- Masks ---------------------------------------------------------------------------------- */

static gradcam_status read_npy_mask(gc_array *mask, const char *path, const gradcam_limits *limits,
                                    gradcam_error *error)
{
    GC_TRY(gc_npy_read(mask, path, limits, error));
    if (mask->rank == 2)
        return GRADCAM_OK;
    const int rank = mask->rank;
    gc_array_free(mask);
    return gc_fail(error, GRADCAM_ERROR_SHAPE,
                   "%s: a mask has two extents, height and width, not %d", path, rank);
}

/* Any pixel that is not black is in. */
static gradcam_status read_picture_mask(gc_array *mask, const char *path,
                                        const gradcam_limits *limits, gradcam_error *error)
{
    gc_picture picture = {0};
    GC_TRY(gc_picture_read(&picture, path, limits, error));
    *mask = (gc_array){.rank = 2, .dims = {picture.height, picture.width}};
    const int64_t pixels = (int64_t)picture.width * picture.height;
    const gradcam_status status = gc_new(&mask->data, (size_t)pixels, sizeof(float), error);
    for (int64_t i = 0; status == GRADCAM_OK && i < pixels; i++)
        mask->data[i] =
            (float)(picture.rgb[3 * i] | picture.rgb[3 * i + 1] | picture.rgb[3 * i + 2]);
    gc_picture_free(&picture);
    return status;
}

/* A mask in picture pixels, of whatever resolution, looked up at the centres of the grid's cells.
 */
static void sample_mask(const gc_array *mask, const gc_view *view, int width, int height, float *to)
{
    const double rows = (double)mask->dims[0], columns = (double)mask->dims[1];
    for (int j = 0; j < height; j++)
        for (int i = 0; i < width; i++) {
            double x = 0.0, y = 0.0;
            gc_view_to_picture(view, (i + 0.5) * view->input_width / width,
                               (j + 0.5) * view->input_height / height, &x, &y);
            x *= columns / view->picture_width;
            y *= rows / view->picture_height;
            const bool is_inside = x >= 0.0 && y >= 0.0 && x < columns && y < rows;
            to[(int64_t)j * width + i] =
                is_inside && mask->data[(int64_t)y * mask->dims[1] + (int64_t)x] != 0.0f ? 1.0f
                                                                                         : 0.0f;
        }
}

static gradcam_status read_mask(void *user, const char *path, int width, int height, float *mask,
                                gradcam_error *error)
{
    const gc_asker *const asker = user;
    gc_array read = {0};
    const size_t length = strlen(path);
    const bool is_npy = length > 4 && strcasecmp(path + length - 4, ".npy") == 0;
    const gradcam_limits *const limits = &asker->e->model->limits;
    GC_TRY(is_npy ? read_npy_mask(&read, path, limits, error)
                  : read_picture_mask(&read, path, limits, error));
    sample_mask(&read, &asker->x->view, width, height, mask);
    gc_array_free(&read);
    for (int64_t i = 0; i < (int64_t)width * height; i++)
        if (mask[i] != 0.0f)
            return GRADCAM_OK;
    return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                   "%s: the mask is empty where the network sees the picture", path);
}

/* ---- Other pictures ------------------------------------------------------------------------- */

static gradcam_status embed(void *user, const char *path, const float **values,
                            gradcam_error *error)
{
    const gradcam_explainer *const e = ((const gc_asker *)user)->e;
    for (int i = 0; i < e->reference_count; i++)
        if (strcmp(e->references[i].name, path) == 0) {
            *values = e->references[i].values;
            return GRADCAM_OK;
        }
    return gc_fail(error, GRADCAM_ERROR_INTERNAL, "%s: the reference has not been run", path);
}

/* Runs the picture as the base input and puts back what was there. */
static gradcam_status run_other(gradcam_explainer *e, const char *path, float *base, float *values,
                                gradcam_error *error)
{
    gradcam_explanation other = {0};
    gc_tensor *const input = gc_runner_base(e->runner);
    const gradcam_tensor *heads = NULL;
    int count = 0;
    memcpy(base, input->data, gc_tensor_bytes(input));
    gradcam_status status = gc_picture_read(&other.picture, path, &e->model->limits, error);
    if (status == GRADCAM_OK)
        status = gc_feed_picture(e, &other, error);
    if (status == GRADCAM_OK)
        status = gc_runner_heads(e->runner, &heads, &count, error);
    if (status == GRADCAM_OK)
        memcpy(values, heads[0].values, (size_t)gc_head_count(&heads[0]) * sizeof *values);
    gc_picture_free(&other.picture);
    memcpy(input->data, base, gc_tensor_bytes(input));
    gc_runner_set_base(e->runner);
    return status;
}

gradcam_status gc_asker_embed(gc_asker *asker, const char *path, gradcam_error *error)
{
    enum { MOST = sizeof asker->e->references / sizeof asker->e->references[0] };
    gradcam_explainer *const e = asker->e;
    const float *known = NULL;
    float *base = NULL, *values = NULL;
    if (embed(asker, path, &known, NULL) == GRADCAM_OK)
        return GRADCAM_OK;
    GC_FAIL_IF(e->reference_count == MOST, error, GRADCAM_ERROR_LIMIT,
               "like:%s: no more than %d pictures can be compared with by one explainer", path,
               (int)MOST);
    gradcam_tensor *const to = &e->references[e->reference_count];
    const gc_tensor *const head = &e->graph->values[gc_graph_resolve(e->graph, e->heads[0])].type;
    GC_TRY(gc_arena_string(e->arena, &to->name, path, strlen(path), error));
    GC_TRY(gc_new(&base, (size_t)gc_tensor_count(&e->feed.type), sizeof *base, error));
    gradcam_status status = gc_new(&values, (size_t)gc_tensor_count(head), sizeof *values, error);
    if (status == GRADCAM_OK)
        status = run_other(e, path, base, values, error);
    gc_free(base);
    if (status != GRADCAM_OK) {
        gc_free(values);
        return status;
    }
    to->values = values;
    e->reference_count++;
    return GRADCAM_OK;
}

/* ---- The world ------------------------------------------------------------------------------ */

gradcam_status gc_asker_world(gc_asker *asker, gc_world *world, gradcam_error *error)
{
    const gradcam_explainer *const e = asker->e;
    *world = (gc_world){.arena = asker->x->arena,
                        .classes = e->classes,
                        .is_sigmoid = e->target.activation == GC_SIGMOID,
                        .predictions = asker->x->predictions,
                        .find_class = find_class,
                        .to_input = to_input,
                        .read_mask = read_mask,
                        .embed = embed,
                        .user = asker};
    return gc_runner_heads(e->runner, &world->heads, &world->head_count, error);
}
