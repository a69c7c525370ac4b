/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All maps of a request. Targets become goals, methods cases; the plan is made for what all of them
 * need, and then maps are made target by target, so that those of one target share its gradients.
 * Smoothing repeats that for variants of the input.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/objects.h"
#include "cam/noise.h"
#include "cam/resample.h"
#include "cam/trouble.h"

typedef struct job {
    gradcam_explainer *e;
    gradcam_explanation *x;
    const gradcam_request *request;
    gc_case *cases;
    size_t case_count;
    gc_spec *specs;
    size_t spec_count;
    gc_goals goals;
    struct slot *slots; /* one a map */
    float *original;    /* the base input, where variants replace it */
    float *planes[2];   /* activation and gradient of layers that are not N x C x spatial */
} job;

/* Where a map comes from. */
typedef struct slot {
    const gc_goal *goal;
    size_t method;
    int layer; /* index into e->chosen; -1: pixelwise, or all of them fused */
    int part;
    float *raw;
} slot;

static const float augment_factors[] = {0.9f, 1.0f, 1.1f};

/* ---- Parsing -------------------------------------------------------------------------------- */

/* The caller's function sees A and G like any row. */
static gradcam_status run_own(gc_case *c, float *map, gradcam_error *error)
{
    const gradcam_method *const own = c->own;
    return own->function(own->user, &c->features, map, error);
}

static const gc_method own_method = {
    .info = {.name = "function", .needs = "gradients"},
    .uses = GC_USES_GRADIENT,
    .map = run_own,
};

static gradcam_status check_method(const job *j, const gc_case *c, const char *text,
                                   gradcam_error *error)
{
    const gradcam_request *const r = j->request;
    GC_FAIL_IF(r->counterfactual && strcmp(c->method->info.needs, "gradients") != 0, error,
               GRADCAM_ERROR_ARGUMENT,
               "the method %s uses no gradients, so they cannot be negated; leave counterfactual "
               "out",
               text);
    GC_FAIL_IF(r->smooth_eigen && c->method->map != NULL, error, GRADCAM_ERROR_ARGUMENT,
               "the method %s makes no weighted activations, so there is nothing to take the "
               "principal component of; leave eigen smoothing out",
               text);
    return GRADCAM_OK;
}

static gradcam_status parse_methods(job *j, gradcam_error *error)
{
    static const gradcam_method standard = {.text = "gradcam"};
    const gradcam_request *const r = j->request;
    const gradcam_method *const methods = r->method_count > 0 ? r->methods : &standard;
    j->case_count = r->method_count > 0 ? r->method_count : 1;
    GC_TRY(gc_arena_new(j->x->arena, &j->cases, j->case_count, sizeof *j->cases, error));
    for (size_t i = 0; i < j->case_count; i++) {
        gc_case *const c = &j->cases[i];
        const char *text = methods[i].text;
        *c = (gc_case){.runner = j->e->runner,
                       .input = j->e->input_shape,
                       .seed = r->seed,
                       .smooth_eigen = r->smooth_eigen != 0};
        if (methods[i].function != NULL) {
            c->method = &own_method;
            c->own = &methods[i];
            text = text != NULL ? text : own_method.info.name;
        } else {
            GC_FAIL_IF(text == NULL, error, GRADCAM_ERROR_ARGUMENT,
                       "a method is empty: it has neither a text nor a function");
            GC_TRY(gc_method_parse(c, text, error));
        }
        GC_TRY(check_method(j, c, text, error));
        GC_TRY(gc_arena_string(j->x->arena, &c->text, text, strlen(text), error));
    }
    return GRADCAM_OK;
}

static gradcam_status parse_targets(job *j, gradcam_error *error)
{
    const gradcam_request *const r = j->request;
    j->spec_count = r->target_count;
    GC_TRY(gc_arena_new(j->x->arena, &j->specs, j->spec_count, sizeof *j->specs, error));
    for (size_t i = 0; i < j->spec_count; i++) {
        gc_spec *const s = &j->specs[i];
        gradcam_target target = r->targets[i];
        if (target.text != NULL)
            GC_TRY(gc_arena_string(j->x->arena, &target.text, target.text, strlen(target.text),
                                   error));
        GC_TRY(gc_spec_parse(s, &target, j->e->head_names, j->e->head_count, error));
    }
    return GRADCAM_OK;
}

/* ---- The plan ------------------------------------------------------------------------------- */

static unsigned all_uses(const job *j)
{
    unsigned uses = 0;
    for (size_t i = 0; i < j->case_count; i++)
        uses |= j->cases[i].method->uses;
    return uses;
}

static unsigned all_heads(const job *j)
{
    unsigned heads = j->spec_count > 0 ? 0u : 1u;
    for (size_t i = 0; i < j->spec_count; i++)
        heads |= j->specs[i].heads;
    return heads;
}

static bool needs_layers(const job *j)
{
    for (size_t i = 0; i < j->case_count; i++)
        if ((j->cases[i].method->uses & GC_IS_PIXELWISE) == 0 ||
            (j->cases[i].method->uses & GC_USES_GRADIENT) != 0)
            return true;
    return false;
}

static int layer_value(const gradcam_explainer *e, int index)
{
    return e->layers.items[e->chosen[index]].value;
}

static gradcam_status find_biases(job *j, unsigned uses, gradcam_error *error)
{
    gradcam_explainer *const e = j->e;
    if ((uses & GC_USES_BIASES) != 0 && e->biased == NULL)
        GC_TRY(gc_biases_find(e->graph, gc_graph_resolve(e->graph, e->target.score), e->arena,
                              &e->biased, &e->biased_count, error));
    for (size_t i = 0; i < j->case_count; i++) {
        j->cases[i].biased = e->biased;
        j->cases[i].biased_count = e->biased_count;
    }
    return GRADCAM_OK;
}

static gradcam_status prepare(job *j, gradcam_error *error)
{
    const gradcam_explainer *const e = j->e;
    const unsigned uses = all_uses(j);
    GC_TRY(find_biases(j, uses, error));
    int *values = NULL, *layers = NULL, count = 0, layer_count = 0;
    const size_t room = (size_t)(e->chosen_count + e->biased_count) + 2;
    GC_TRY(gc_arena_new(j->x->arena, &values, room, sizeof *values, error));
    GC_TRY(gc_arena_new(j->x->arena, &layers, room, sizeof *layers, error));
    for (int i = 0; i < e->chosen_count && needs_layers(j); i++) {
        values[count++] = layer_value(e, i);
        if ((uses & GC_USES_GRADIENT) != 0)
            layers[layer_count++] = layer_value(e, i);
    }
    values[count++] = e->target.logits;
    if ((uses & (GC_USES_INPUT_GRADIENT | GC_USES_GUIDED)) != 0)
        layers[layer_count++] = e->feed.value;
    for (int i = 0; i < e->biased_count && (uses & GC_USES_BIASES) != 0; i++)
        layers[layer_count++] = e->biased[i].value;
    const gc_wish wish = {.values = values,
                          .value_count = count,
                          .layers = layers,
                          .layer_count = layer_count,
                          .tails = values,
                          .tail_count = (uses & GC_USES_TAIL) != 0 ? count - 1 : 0,
                          .heads = all_heads(j),
                          .guided = (uses & GC_USES_GUIDED) != 0};
    return gc_runner_prepare(e->runner, &wish, error);
}

/* ---- Goals ---------------------------------------------------------------------------------- */

static gradcam_status resolve_targets(job *j, gradcam_error *error)
{
    static const gradcam_target predicted = {.text = "predicted"};
    gc_asker asker = {j->e, j->x};
    gc_world world;
    GC_TRY(gc_asker_world(&asker, &world, error));
    for (size_t i = 0; i < j->spec_count; i++)
        GC_TRY(gc_spec_resolve(&j->specs[i], &world, &j->goals, error));
    if (j->spec_count == 0) {
        gc_goal goal;
        const char *text = NULL;
        GC_TRY(gc_world_check_classes(&world, predicted.text, error));
        GC_TRY(gc_arena_format(j->x->arena, &text, error, "%d", world.predictions[0].index));
        GC_TRY(gc_class_goal(&world, text, world.predictions[0].index, &goal, error));
        GC_TRY(gc_goals_add(&j->goals, &goal, error));
    }
    for (size_t i = 0; i < j->goals.count; i++)
        j->goals.items[i].is_negated = j->request->counterfactual != 0;
    return GRADCAM_OK;
}

/* Targets that need other pictures have them run before this one. */
static gradcam_status run_references(job *j, gradcam_error *error)
{
    gc_asker asker = {j->e, j->x};
    for (size_t i = 0; i < j->spec_count; i++)
        if (j->specs[i].row != NULL && j->specs[i].row->runs_picture)
            GC_TRY(gc_asker_embed(&asker, j->specs[i].argument, error));
    return GRADCAM_OK;
}

/* ---- Slots ---------------------------------------------------------------------------------- */

static bool is_pixelwise(const gc_case *c)
{
    return (c->method->uses & GC_IS_PIXELWISE) != 0;
}

static bool is_fused(const job *j, const gc_case *c)
{
    return j->request->fusion != GRADCAM_FUSE_NONE && j->e->chosen_count > 1 && !is_pixelwise(c);
}

static int part_count(const gc_case *c)
{
    return c->method->parts != NULL ? c->method->parts(c->settings) : 1;
}

/* Of volumes, the height is that of all slices one below the other. */
static void size_of(const job *j, int layer, int *width, int *height)
{
    *width = j->e->input_shape.width;
    *height = j->e->input_shape.height;
    if (layer < 0)
        return;
    const gradcam_layer *const l = &j->e->layer_list[j->e->chosen[layer]];
    *width = l->width;
    *height = l->depth * l->height;
}

static const gradcam_prediction *prediction_of(const gradcam_explanation *x, int class_index)
{
    for (size_t i = 0; i < x->class_count; i++)
        if (x->predictions[i].index == class_index)
            return &x->predictions[i];
    return NULL;
}

static gradcam_status copy_text(gradcam_explanation *x, const char **to, const char *from,
                                gradcam_error *error)
{
    *to = NULL;
    return from != NULL ? gc_arena_string(x->arena, to, from, strlen(from), error) : GRADCAM_OK;
}

static gradcam_status copy_layer(gradcam_explanation *x, const gradcam_layer *from,
                                 gradcam_layer *to, gradcam_error *error)
{
    *to = *from;
    GC_TRY(copy_text(x, &to->name, from->name, error));
    GC_TRY(copy_text(x, &to->output, from->output, error));
    GC_TRY(copy_text(x, &to->operator_name, from->operator_name, error));
    return copy_text(x, &to->reason, from->reason, error);
}

/* The input, or several layers, in the form of one. */
static gradcam_status describe_other(const job *j, bool fused, gradcam_layer *to,
                                     gradcam_error *error)
{
    static const char *const names[] = {"", "mean of ", "maximum of ", "product of "};
    const gradcam_explainer *const e = j->e;
    const char *name = fused ? names[j->request->fusion] : e->info.name;
    for (int i = 0; fused && i < e->chosen_count; i++)
        GC_TRY(gc_arena_format(j->x->arena, &name, error, "%s%s%s", name, i > 0 ? ", " : "",
                               e->layers.items[e->chosen[i]].name));
    GC_TRY(copy_text(j->x, &to->name, name, error));
    GC_TRY(copy_text(j->x, &to->output, fused ? name : e->info.name, error));
    to->operator_name = fused ? "fusion" : "input";
    to->index = -1;
    to->is_target = 1;
    to->reason = fused ? "several layers in one map" : "the method explains the input itself";
    to->rank = e->info.rank;
    memcpy(to->dims, e->info.dims, sizeof to->dims);
    return GRADCAM_OK;
}

static gradcam_status describe_map(job *j, const slot *s, gradcam_map *map, gradcam_error *error)
{
    const gc_case *const c = &j->cases[s->method];
    const gradcam_prediction *const p = prediction_of(j->x, s->goal->class_index);
    map->prediction =
        p != NULL
            ? *p
            : (gradcam_prediction){
                  .index = s->goal->class_index,
                  .label = s->goal->class_index < 0
                               ? NULL
                               : gradcam_model_label(j->e->model, (size_t)s->goal->class_index)};
    map->target = s->goal->text;
    map->method = c->text;
    map->part = c->method->parts != NULL ? s->part : -1;
    size_of(j, s->layer, &map->width, &map->height);
    map->depth = s->layer < 0 && !is_fused(j, c) ? j->e->input_shape.depth
                 : s->layer < 0                  ? 1
                                                 : j->e->layer_list[j->e->chosen[s->layer]].depth;
    map->height /= map->depth;
    map->raw = s->raw;
    if (s->layer < 0)
        return describe_other(j, is_fused(j, c), &map->layer, error);
    return copy_layer(j->x, &j->e->layer_list[j->e->chosen[s->layer]], &map->layer, error);
}

static gradcam_status add_slot(job *j, slot s, gradcam_error *error)
{
    int width = 0, height = 0;
    size_of(j, s.layer, &width, &height);
    GC_TRY(gc_arena_new(j->x->arena, &s.raw, (size_t)width * (size_t)height, sizeof *s.raw, error));
    j->slots[j->x->map_count] = s;
    GC_TRY(describe_map(j, &s, &j->x->maps[j->x->map_count], error));
    j->x->map_count++;
    return GRADCAM_OK;
}

static int layers_of(const job *j, const gc_case *c)
{
    return is_pixelwise(c) || is_fused(j, c) ? 1 : j->e->chosen_count;
}

static gradcam_status add_slots(job *j, gradcam_error *error)
{
    size_t count = 0;
    for (size_t m = 0; m < j->case_count; m++)
        count += (size_t)(layers_of(j, &j->cases[m]) * part_count(&j->cases[m]));
    count *= j->goals.count;
    GC_TRY(gc_arena_new(j->x->arena, &j->slots, count, sizeof *j->slots, error));
    GC_TRY(gc_arena_new(j->x->arena, &j->x->maps, count, sizeof *j->x->maps, error));
    for (size_t g = 0; g < j->goals.count; g++)
        for (size_t m = 0; m < j->case_count; m++) {
            const gc_case *const c = &j->cases[m];
            const bool is_whole = is_pixelwise(c) || is_fused(j, c);
            for (int l = 0; l < layers_of(j, c); l++)
                for (int p = 0; p < part_count(c); p++)
                    GC_TRY(add_slot(j,
                                    (slot){.goal = &j->goals.items[g],
                                           .method = m,
                                           .layer = is_whole ? -1 : l,
                                           .part = p},
                                    error));
        }
    return GRADCAM_OK;
}

/* ---- One map -------------------------------------------------------------------------------- */

/* Planes for the largest of the chosen layers that need them. */
static gradcam_status new_planes(job *j, gradcam_error *error)
{
    size_t most = 0;
    for (int i = 0; i < j->e->chosen_count; i++) {
        const gc_candidate *const c = &j->e->layers.items[j->e->chosen[i]];
        const gc_tensor *const type = &j->e->graph->values[c->value].type;
        const size_t count = (size_t)gc_tensor_count(type);
        if (!gc_axes_is_planar(&c->axes, type) && count > most)
            most = count;
    }
    for (int i = 0; most > 0 && i < 2; i++)
        GC_TRY(gc_arena_new(j->x->arena, &j->planes[i], most, sizeof(float), error));
    return GRADCAM_OK;
}

static const float *planes_of(const job *j, int layer, const gc_tensor *t, int which)
{
    const gc_axes *const axes = &j->e->layers.items[j->e->chosen[layer]].axes;
    if (gc_axes_is_planar(axes, t))
        return gc_floats(t);
    gc_axes_to_planes(axes, t, j->planes[which]);
    return j->planes[which];
}

/* Methods that change channels and places of the activation itself know one order of axes. */
static gradcam_status check_planar(const job *j, const gc_case *c, int layer, gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    const gc_candidate *const l = &j->e->layers.items[j->e->chosen[layer]];
    const gc_tensor *const type = &j->e->graph->values[l->value].type;
    GC_FAIL_IF((c->method->uses & GC_USES_TAIL) != 0 && !gc_axes_is_planar(&l->axes, type), error,
               GRADCAM_ERROR_UNSUPPORTED,
               "the method %s changes the activation and needs it as N x C x H x W; layer '%s' has "
               "the shape %s. Choose another layer or another method",
               c->text, l->name, gc_shape_text(type, shape));
    return GRADCAM_OK;
}

/* Fills in the layer; the gradient last, since it may run the network. */
static gradcam_status set_layer(const job *j, gc_case *c, int layer, gradcam_error *error)
{
    GC_TRY(check_planar(j, c, layer, error));
    const gc_tensor *t = NULL;
    gradcam_features *const f = &c->features;
    *f = (gradcam_features){0};
    c->layer = layer_value(j->e, layer);
    size_of(j, layer, &f->width, &f->height);
    f->positions = (int64_t)f->width * f->height;
    if ((c->method->uses & GC_USES_GRADIENT) != 0) {
        GC_TRY(gc_runner_gradient(c->runner, c->goal, false, c->layer, &t, error));
        f->gradient = planes_of(j, layer, t, 1);
    }
    GC_TRY(gc_runner_value(c->runner, c->layer, &t, error));
    f->activation = planes_of(j, layer, t, 0);
    f->channels = gc_axes_channels(&j->e->layers.items[j->e->chosen[layer]].axes, t);
    return GRADCAM_OK;
}

/* Positive part, or with `keep_sign` all, divided by the largest; a map without any is zero. */
static void normalise(float *map, int64_t count, bool keep_sign)
{
    float largest = 0.0f;
    for (int64_t i = 0; i < count; i++)
        largest = fmaxf(largest, keep_sign ? fabsf(map[i]) : map[i]);
    for (int64_t i = 0; i < count; i++)
        map[i] = largest > 0.0f && (keep_sign || map[i] > 0.0f) ? map[i] / largest
                 : map[i] != map[i]                             ? map[i]
                                                                : 0.0f;
}

static void fuse(gradcam_fusion how, const float *one, float share, bool is_first, int64_t count,
                 float *all)
{
    for (int64_t i = 0; i < count; i++)
        switch (how) {
        case GRADCAM_FUSE_NONE:
        case GRADCAM_FUSE_MEAN:
            all[i] = (is_first ? 0.0f : all[i]) + share * one[i];
            break;
        case GRADCAM_FUSE_MAX:
            all[i] = is_first ? one[i] : fmaxf(all[i], one[i]);
            break;
        case GRADCAM_FUSE_PRODUCT:
            all[i] = is_first ? one[i] : all[i] * one[i];
            break;
        }
}

static gradcam_status add_layer(const job *j, gc_case *c, int layer, float *native, float *full,
                                float *all, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    const int64_t count = gc_input_pixels(c);
    GC_TRY(set_layer(j, c, layer, error));
    GC_TRY(gc_method_run(c, native, error));
    normalise(native, f->positions, false);
    GC_TRY(
        gc_resample_map(native, f->width, f->height, full, c->input.width, c->input.height, error));
    fuse(j->request->fusion, full, 1.0f / (float)j->e->chosen_count, layer == 0, count, all);
    return GRADCAM_OK;
}

static gradcam_status run_fused(const job *j, gc_case *c, float *map, gradcam_error *error)
{
    float *native = NULL, *full = NULL;
    size_t most = 0;
    for (int l = 0; l < j->e->chosen_count; l++) {
        int width = 0, height = 0;
        size_of(j, l, &width, &height);
        most = (size_t)width * (size_t)height > most ? (size_t)width * (size_t)height : most;
    }
    GC_TRY(gc_new(&native, most, sizeof *native, error));
    gradcam_status status = gc_new(&full, (size_t)gc_input_pixels(c), sizeof *full, error);
    for (int l = 0; status == GRADCAM_OK && l < j->e->chosen_count; l++)
        status = add_layer(j, c, l, native, full, map, error);
    if (status == GRADCAM_OK && j->request->fusion == GRADCAM_FUSE_PRODUCT)
        normalise(map, gc_input_pixels(c), false);
    gc_free(native);
    gc_free(full);
    return status;
}

static gradcam_status run_slot(job *j, const slot *s, float *map, gradcam_error *error)
{
    gc_case *const c = &j->cases[s->method];
    c->goal = s->goal;
    c->part = s->part;
    if (is_fused(j, c))
        return run_fused(j, c, map, error);
    if (s->layer >= 0)
        GC_TRY(set_layer(j, c, s->layer, error));
    else if ((c->method->uses & GC_USES_GRADIENT) != 0)
        GC_TRY(set_layer(j, c, 0, error)); /* Guided Grad-CAM: the input and one layer */
    return gc_method_run(c, map, error);
}

/* ---- Variants of the input ------------------------------------------------------------------ */

static int variant_count(const gradcam_request *r)
{
    const int augmented = r->smooth_augment ? 6 : 1;
    return augmented * (r->smooth_noise > 0 ? r->smooth_noise : 1);
}

static void mirror_input(const job *j, const float *from, float *to)
{
    const gc_input_shape *const s = &j->e->input_shape;
    for (int64_t c = 0; c < s->channels; c++)
        for (int64_t y = 0; y < s->height; y++)
            for (int64_t x = 0; x < s->width; x++) {
                const int64_t a = y * s->width + x, b = y * s->width + s->width - 1 - x;
                to[c * s->channel_stride + a * s->pixel_stride] =
                    from[c * s->channel_stride + b * s->pixel_stride];
            }
}

static void mirror_map(float *map, int width, int height)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width / 2; x++) {
            float *const row = map + (int64_t)y * width;
            const float kept = row[x];
            row[x] = row[width - 1 - x];
            row[width - 1 - x] = kept;
        }
}

/* Variant v: noise sample v / 6, then mirrored for v % 6 >= 3, then times a factor. */
static void set_variant(const job *j, int variant, bool *is_mirrored)
{
    const gradcam_request *const r = j->request;
    gc_tensor *const base = gc_runner_base(j->e->runner);
    float *const x = gc_floats(base);
    const int64_t count = gc_tensor_count(base);
    const int augmented = r->smooth_augment ? 6 : 1;
    const int sample = variant / augmented, view = variant % augmented;
    *is_mirrored = view >= 3;
    if (*is_mirrored)
        mirror_input(j, j->original, x);
    else
        memcpy(x, j->original, gc_tensor_bytes(base));
    for (int64_t i = 0; r->smooth_augment && i < count; i++)
        x[i] *= augment_factors[view % 3];
    if (r->smooth_noise > 0)
        gc_add_noise(x, x, count, gc_noise_size(j->original, count, r->noise_sigma), r->seed,
                     (uint64_t)sample * (uint64_t)count);
    gc_runner_set_base(j->e->runner);
}

static gradcam_status add_variant(job *j, const slot *s, int variants, bool is_mirrored,
                                  float *scratch, gradcam_error *error)
{
    int width = 0, height = 0;
    size_of(j, s->layer, &width, &height);
    const int64_t count = (int64_t)width * height;
    if (variants == 1)
        return run_slot(j, s, s->raw, error);
    memset(scratch, 0, (size_t)count * sizeof *scratch);
    GC_TRY(run_slot(j, s, scratch, error));
    if (is_mirrored)
        mirror_map(scratch, width, height);
    if (j->request->smooth_augment)
        normalise(scratch, count, false);
    for (int64_t i = 0; i < count; i++)
        s->raw[i] += scratch[i] / (float)variants;
    return GRADCAM_OK;
}

/* Methods that run other inputs through the plan come last, or the others would have to run theirs
 * again. */
static gradcam_status run_slots(job *j, int variants, bool is_mirrored, float *scratch,
                                gradcam_error *error)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < j->x->map_count; i++) {
            const unsigned uses = j->cases[j->slots[i].method].method->uses;
            if (((uses & GC_USES_OTHER_INPUTS) != 0) == (pass == 1))
                GC_TRY(add_variant(j, &j->slots[i], variants, is_mirrored, scratch, error));
        }
    return GRADCAM_OK;
}

static gradcam_status run_variants(job *j, int variants, gradcam_error *error)
{
    gc_tensor *const base = gc_runner_base(j->e->runner);
    gradcam_status status = GRADCAM_OK;
    float *scratch = NULL;
    size_t most = (size_t)j->e->input_shape.width * (size_t)j->e->input_shape.height;
    for (size_t i = 0; i < j->x->map_count; i++) {
        const gradcam_map *const m = &j->x->maps[i];
        const size_t count = (size_t)gc_map_count(m);
        most = count > most ? count : most;
    }
    GC_TRY(gc_arena_new(j->x->arena, &scratch, most, sizeof *scratch, error));
    GC_TRY(gc_new(&j->original, (size_t)gc_tensor_count(base), sizeof *j->original, error));
    memcpy(j->original, base->data, gc_tensor_bytes(base));
    for (int v = 0; v < variants && status == GRADCAM_OK; v++) {
        bool is_mirrored = false;
        set_variant(j, v, &is_mirrored);
        status = run_slots(j, variants, is_mirrored, scratch, error);
        if (j->request->progress != NULL)
            j->request->progress(j->request->progress_user, "smoothing", (size_t)v + 1,
                                 (size_t)variants);
    }
    memcpy(base->data, j->original, gc_tensor_bytes(base));
    gc_runner_set_base(j->e->runner);
    return status;
}

/* ---- The flow ------------------------------------------------------------------------------- */

static gradcam_status run_forward(job *j, gradcam_error *error)
{
    const gc_tensor *logits = NULL;
    GC_TRY(run_references(j, error));
    const double start = gc_now_ms();
    GC_TRY(gc_runner_value(j->e->runner, j->e->target.logits, &logits, error));
    j->x->timings.forward = gc_now_ms() - start;
    return gc_predict(j->e, j->x, error);
}

/* The value that gradients are followed to: the first layer where several are fused. */
static int trouble_layer(const job *j, const slot *s)
{
    if (j->e->chosen_count == 0 || is_pixelwise(&j->cases[s->method]))
        return j->e->feed.value;
    return layer_value(j->e, s->layer >= 0 ? s->layer : 0);
}

static gradcam_status measure_all(job *j, gradcam_error *error)
{
    for (size_t i = 0; i < j->x->map_count; i++) {
        gradcam_map *const map = &j->x->maps[i];
        GC_TRY(gc_runner_score(j->e->runner, j->slots[i].goal, &map->score, error));
        GC_TRY(gc_measure_map(j->x, map, error));
        if (map->state == GRADCAM_MAP_NOT_FINITE)
            GC_TRY(gc_trouble_find(j->e->runner, j->slots[i].goal->heads, j->slots[i].goal,
                                   trouble_layer(j, &j->slots[i]), j->x->arena, &map->trouble,
                                   error));
    }
    return GRADCAM_OK;
}

static gradcam_status make(job *j, gradcam_error *error)
{
    GC_TRY(parse_methods(j, error));
    GC_TRY(parse_targets(j, error));
    GC_FAIL_IF(j->request->fusion != GRADCAM_FUSE_NONE && j->e->feed.type.rank > 4, error,
               GRADCAM_ERROR_UNSUPPORTED,
               "fusion: maps of volumes cannot be fused; leave it out for one map a layer");
    GC_TRY(prepare(j, error));
    GC_TRY(run_forward(j, error));
    GC_TRY(resolve_targets(j, error));
    GC_TRY(new_planes(j, error));
    GC_TRY(add_slots(j, error));
    const double start = gc_now_ms();
    const int variants = variant_count(j->request);
    gc_runner_set_progress(j->e->runner, j->request->progress, j->request->progress_user);
    GC_TRY(variants > 1 ? run_variants(j, variants, error) : run_slots(j, 1, false, NULL, error));
    j->x->timings.backward = gc_now_ms() - start;
    return measure_all(j, error);
}

gradcam_status gc_make_maps(gradcam_explainer *e, gradcam_explanation *x,
                            const gradcam_request *request, gradcam_error *error)
{
    job j = {.e = e, .x = x, .request = request};
    const gradcam_status status = make(&j, error);
    gc_runner_set_progress(e->runner, NULL, NULL);
    gc_runner_forget(e->runner);
    gc_free(j.goals.items);
    gc_free(j.original);
    return status;
}
