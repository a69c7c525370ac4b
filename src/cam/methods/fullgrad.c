/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FullGrad: input times gradient plus bias times gradient of every bias in the network.
 * Srinivas and Fleuret, "Full-Gradient Representation for Neural Network Visualization", NeurIPS
 * 2019, arXiv:1905.00780. As pytorch-grad-cam: absolute values, each channel brought to [0, 1] and
 * to the input's size, all added up; biases are those of convolutions and of BatchNormalization
 * (beta - mean gamma / sqrt(var + eps)), and a BatchNormalization that has been folded into its
 * convolution counts as the convolution's bias. With `complete`, the signed shares of all additive
 * constants instead, spread over the pixels they belong to: for a network of rectifiers they add up
 * to the score.
 */
#include "cam/method.h"

#include <math.h>
#include <string.h>

#include "cam/biases.h"
#include "cam/resample.h"

enum { COMPLETE };

static const gradcam_setting settings[] = {
    {"complete", 0, 0, 1, "signed shares that add up to the score, not normalised by channel"}};

typedef struct work {
    gc_case *c;
    float *out;
    float *plane, *full; /* of one channel */
} work;

/* ---- Normalised channels -------------------------------------------------------------------- */

static gradcam_status add_normalised(const work *w, int width, int height, gradcam_error *error)
{
    const int64_t count = (int64_t)width * height;
    const gc_input_shape *const in = &w->c->input;
    float low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        low = fminf(low, w->plane[i]);
        high = fmaxf(high, w->plane[i]);
    }
    for (int64_t i = 0; i < count; i++)
        w->plane[i] = (w->plane[i] - low) / (1e-7f + (high - low));
    GC_TRY(gc_resample_map(w->plane, width, height, w->full, in->width, in->height, error));
    for (int64_t i = 0; i < (int64_t)in->width * in->height; i++)
        w->out[i] += w->full[i];
    return GRADCAM_OK;
}

/* ---- Complete shares ------------------------------------------------------------------------ */

/* Range of pixels that cell `i` of `cells` belongs to: at least one. */
static void range_of(int i, int cells, int pixels, int *first, int *end)
{
    *first = (int)((int64_t)i * pixels / cells);
    *end = (int)((int64_t)(i + 1) * pixels / cells);
    *end = *end > *first ? *end : *first + 1;
}

static void add_spread(const work *w, int width, int height)
{
    const gc_input_shape *const in = &w->c->input;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int x0 = 0, x1 = 0, y0 = 0, y1 = 0;
            range_of(x, width, in->width, &x0, &x1);
            range_of(y, height, in->height, &y0, &y1);
            const float share = w->plane[(int64_t)y * width + x] / (float)((x1 - x0) * (y1 - y0));
            for (int j = y0; j < y1; j++)
                for (int i = x0; i < x1; i++)
                    w->out[(int64_t)j * in->width + i] += share;
        }
}

static gradcam_status add_plane(const work *w, int width, int height, gradcam_error *error)
{
    if (w->c->settings[COMPLETE] == 0.0) {
        for (int64_t i = 0; i < (int64_t)width * height; i++)
            w->plane[i] = fabsf(w->plane[i]);
        return add_normalised(w, width, height, error);
    }
    add_spread(w, width, height);
    return GRADCAM_OK;
}

/* ---- The input and the biases --------------------------------------------------------------- */

static gradcam_status add_input(const work *w, gradcam_error *error)
{
    const gc_input_shape *const in = &w->c->input;
    const float *gradient = NULL;
    const float *const x = gc_case_input(w->c);
    GC_TRY(gc_case_input_gradient(w->c, false, &gradient, error));
    for (int64_t ch = 0; ch < in->channels; ch++) {
        for (int64_t i = 0; i < gc_input_pixels(w->c); i++) {
            const int64_t at = ch * in->channel_stride + i * in->pixel_stride;
            w->plane[i] = x[at] * gradient[at];
        }
        GC_TRY(add_plane(w, in->width, in->height, error));
    }
    return GRADCAM_OK;
}

static gradcam_status add_biased(const work *w, const gc_biased *b, gradcam_error *error)
{
    const gc_tensor *g = NULL;
    GC_TRY(gc_runner_gradient(w->c->runner, w->c->goal, false, b->value, &g, error));
    const bool has_extent = g->rank == 4 || g->rank == 3;
    const int width = has_extent ? (int)g->dims[g->rank - 1] : 1;
    const int height = g->rank == 4 ? (int)g->dims[2] : 1;
    const int64_t positions = (int64_t)width * height;
    const int64_t channels = gc_tensor_count(g) / g->dims[0] / positions;
    for (int64_t ch = 0; ch < channels; ch++) {
        const float bias = b->values[b->count == 1 ? 0 : ch];
        for (int64_t i = 0; i < positions; i++)
            w->plane[i] = bias * gc_floats(g)[ch * positions + i];
        GC_TRY(add_plane(w, width, height, error));
    }
    return GRADCAM_OK;
}

static gradcam_status add_all(const work *w, gradcam_error *error)
{
    const bool complete = w->c->settings[COMPLETE] != 0.0;
    GC_TRY(add_input(w, error));
    for (int i = 0; i < w->c->biased_count; i++)
        if (complete || w->c->biased[i].is_spatial)
            GC_TRY(add_biased(w, &w->c->biased[i], error));
    return GRADCAM_OK;
}

static size_t largest_plane(const gc_case *c)
{
    const gc_graph *const g = gc_runner_graph(c->runner);
    int64_t most = gc_input_pixels(c);
    for (int i = 0; i < c->biased_count; i++) {
        const gc_tensor *const t = &g->values[gc_graph_resolve(g, c->biased[i].value)].type;
        const int64_t count = gc_tensor_count(t);
        most = count > most ? count : most;
    }
    return (size_t)most;
}

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    work w = {.c = c, .out = out};
    memset(out, 0, (size_t)gc_input_pixels(c) * sizeof *out);
    gradcam_status status = gc_new(&w.plane, largest_plane(c), sizeof *w.plane, error);
    if (status == GRADCAM_OK)
        status = gc_new(&w.full, (size_t)gc_input_pixels(c), sizeof *w.full, error);
    if (status == GRADCAM_OK)
        status = add_all(&w, error);
    gc_free(w.plane);
    gc_free(w.full);
    return status;
}

const gc_method gc_method_fullgrad = {
    .info = {.name = "fullgrad",
             .summary = "input times gradient plus bias times gradient of every bias",
             .formula = "minmax(abs(x ds/dx)) + sum over biases of minmax(abs(b ds/db))",
             .paper = "Srinivas and Fleuret 2019, arXiv:1905.00780",
             .cost = "1 forward, 1 backward through everything",
             .needs = "gradients",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_IS_PIXELWISE | GC_USES_INPUT_GRADIENT | GC_USES_BIASES,
    .map = map,
};
