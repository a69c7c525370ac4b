/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A class in a part of a map of classes (segmentation): the sum of its logits over the pixels where
 * it is predicted, at one pixel, over a given mask, or over all.
 * Vinogradova et al., "Towards Interpretable Semantic Segmentation via Gradient-weighted Class
 * Activation Mapping", AAAI 2020, arXiv:2002.11434.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "cam/goal.h"

typedef struct state {
    int64_t class_stride, pixel_stride, pixels;
    int index;
    float *mask;
} state;

static gradcam_status evaluate(void *user, const gradcam_tensor *outputs, size_t count,
                               double *score, gradcam_error *error)
{
    const state *const s = user;
    (void)count;
    (void)error;
    *score = 0.0;
    for (int64_t i = 0; i < s->pixels; i++) {
        const int64_t at = s->index * s->class_stride + i * s->pixel_stride;
        *score += (double)(s->mask[i] * outputs[0].values[at]);
        if (outputs[0].gradient != NULL)
            outputs[0].gradient[at] = s->mask[i];
    }
    return GRADCAM_OK;
}

typedef struct geometry {
    int64_t classes, class_stride, pixel_stride;
    int width, height;
} geometry;

static geometry geometry_of(const gradcam_tensor *head)
{
    return (geometry){.classes = head->dims[1],
                      .class_stride = head->dims[2] * head->dims[3],
                      .pixel_stride = 1,
                      .width = (int)head->dims[3],
                      .height = (int)head->dims[2]};
}

static int predicted_at(const gradcam_tensor *head, const geometry *g, int64_t pixel)
{
    int best = 0;
    for (int k = 1; k < g->classes; k++)
        if (head->values[k * g->class_stride + pixel * g->pixel_stride] >
            head->values[best * g->class_stride + pixel * g->pixel_stride])
            best = k;
    return best;
}

static gradcam_status mask_pixel(const gc_world *world, const char *text, const char *where,
                                 const geometry *g, state *s, int *pixel, gradcam_error *error)
{
    double u = 0.0, v = 0.0;
    char *end = NULL;
    const double x = gc_number_read(where, &end);
    const double y = *end == ',' ? gc_number_read(end + 1, &end) : 0.0;
    GC_FAIL_IF(end == where || *end != '\0', error, GRADCAM_ERROR_ARGUMENT,
               "target '%s': '%s' is not a pixel x,y", text, where);
    world->to_input(world->user, x + 0.5, y + 0.5, &u, &v);
    GC_FAIL_IF(!(u >= 0.0 && u < 1.0 && v >= 0.0 && v < 1.0), error, GRADCAM_ERROR_ARGUMENT,
               "target '%s': the network does not see the pixel %g,%g of the picture", text, x, y);
    *pixel = (int)(v * g->height) * g->width + (int)(u * g->width);
    s->mask[*pixel] = 1.0f;
    return GRADCAM_OK;
}

/* The mask of some pixels: where the class beats all before it, and no later one beats it. */
static void mask_own_pixels(const gradcam_tensor *head, const geometry *g, state *s, int64_t first,
                            int64_t count)
{
    const float *const values = head->values + first;
    const float *const own = values + s->index * g->class_stride;
    float *const mask = s->mask + first;
    for (int64_t i = 0; i < count; i++)
        mask[i] = 1.0f;
    for (int k = 0; k < g->classes; k++) {
        const float *const other = values + k * g->class_stride;
        const float wins = k > s->index ? 1.0f : 0.0f; /* among equals, the first class */
        for (int64_t i = 0; i < count && k != s->index; i++) {
            const float kept = own[i] == other[i] ? wins : own[i] > other[i] ? 1.0f : 0.0f;
            mask[i] *= kept;
        }
    }
}

static gradcam_status mask_own(const gc_world *world, const char *text, const geometry *g, state *s,
                               gradcam_error *error)
{
    enum { PIECE = 1024 };
    const int64_t pieces = (s->pixels + PIECE - 1) / PIECE;
    bool is_somewhere = false;
#pragma omp parallel for schedule(static) if (s->pixels > 4 * PIECE)
    for (int64_t i = 0; i < pieces; i++) {
        const int64_t left = s->pixels - i * PIECE;
        mask_own_pixels(&world->heads[0], g, s, i * PIECE, left < PIECE ? left : PIECE);
    }
    for (int64_t i = 0; i < s->pixels && !is_somewhere; i++)
        is_somewhere = s->mask[i] != 0.0f;
    GC_FAIL_IF(!is_somewhere, error, GRADCAM_ERROR_CLASS,
               "target '%s': class %d is predicted nowhere in this picture; CLASS@all explains it "
               "over all pixels",
               text, s->index);
    return GRADCAM_OK;
}

static bool is_pixel(const char *where)
{
    return where[0] != '\0' && strspn(where, "0123456789.,") == strlen(where) &&
           strchr(where, ',') != NULL;
}

/* The class, or, for a pixel alone, the one that is predicted there. */
static gradcam_status find_class(const gc_world *world, const char *text, const char *class_text,
                                 const geometry *g, state *s, int pixel, gradcam_error *error)
{
    GC_FAIL_IF(class_text[0] == '\0' && pixel < 0, error, GRADCAM_ERROR_ARGUMENT,
               "target '%s': name a class, as in CLASS@own", text);
    if (class_text[0] == '\0')
        s->index = predicted_at(&world->heads[0], g, pixel);
    else
        GC_TRY(world->find_class(world->user, class_text, &s->index, error));
    GC_FAIL_IF(s->index < 0 || s->index >= g->classes, error, GRADCAM_ERROR_CLASS,
               "class %d is out of range: the network has classes 0 to %lld", s->index,
               (long long)g->classes - 1);
    return GRADCAM_OK;
}

gradcam_status gc_region_resolve(const gc_world *world, const char *text, const char *class_text,
                                 const char *where, gc_goals *goals, gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    state *s = NULL;
    int pixel = -1;
    GC_FAIL_IF(
        !gc_world_is_map(world), error, GRADCAM_ERROR_SHAPE,
        "target '%s': the network's output '%s' has the shape %s, not N x classes x height x "
        "width, so there are no places in it",
        text, world->heads[0].name, gc_head_shape(&world->heads[0], shape));
    const geometry g = geometry_of(&world->heads[0]);
    GC_TRY(gc_arena_new(world->arena, &s, 1, sizeof *s, error));
    *s = (state){.class_stride = g.class_stride,
                 .pixel_stride = g.pixel_stride,
                 .pixels = (int64_t)g.width * g.height};
    GC_TRY(gc_arena_new(world->arena, &s->mask, (size_t)s->pixels, sizeof *s->mask, error));
    if (is_pixel(where))
        GC_TRY(mask_pixel(world, text, where, &g, s, &pixel, error));
    GC_TRY(find_class(world, text, class_text, &g, s, pixel, error));
    if (strcmp(where, "own") == 0)
        GC_TRY(mask_own(world, text, &g, s, error));
    else if (strcmp(where, "all") == 0)
        for (int64_t i = 0; i < s->pixels; i++)
            s->mask[i] = 1.0f;
    else if (pixel < 0)
        GC_TRY(world->read_mask(world->user, where, g.width, g.height, s->mask, error));
    const gc_goal goal = {
        .text = text, .class_index = s->index, .heads = 1, .evaluate = evaluate, .state = s};
    return gc_goals_add(goals, &goal, error);
}

static gradcam_status resolve(const gc_world *world, const char *text, const char *argument,
                              gc_goals *goals, gradcam_error *error)
{
    const char *class_text = NULL;
    const char *const at = strrchr(argument, '@');
    GC_TRY(gc_arena_string(world->arena, &class_text, argument, (size_t)(at - argument), error));
    return gc_region_resolve(world, text, class_text, at + 1, goals, error);
}

static bool matches(const char *text)
{
    return strchr(text, '@') != NULL;
}

const gc_target_row gc_target_region = {
    .info = {.syntax = "CLASS@WHERE",
             .summary =
                 "of a map of classes (segmentation), the class summed over WHERE: own (where "
                 "it is predicted), all, x,y (a pixel of the picture; without CLASS, the one "
                 "predicted there) or a mask file (.png, .npy)"},
    .matches = matches,
    .resolve = resolve,
};
