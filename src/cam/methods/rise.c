/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RISE: random masks, weighted by the score of the input that they leave.
 * Petsiuk, Das, Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC
 * 2018, arXiv:1806.07421. A mask is a grid of cells that are open with probability p, upsampled
 * bilinearly by one cell more than the input has and shifted at random. The paper's score is the
 * probability: target "prob". Mask n takes the uniform numbers from n (cells^2 + 2) on: first the
 * cells, row by row, each open where its number is below p, then the shifts down and right.
 */
#include "cam/method.h"

#include "cam/noise.h"

enum { SAMPLES, CELLS, OPEN };

static const gradcam_setting settings[] = {
    {"samples", 4000, 1, 1e7, "masks"},
    {"cells", 7, 1, 64, "along an edge of the grid"},
    {"p", 0.5, 0.001, 1, "probability that a cell is open"},
};

typedef struct work {
    const gc_case *c;
    const float *input;
    int cells, cell_x, cell_y;
    double open;
} work;

/* The value of the upsampled grid, of (cells + 1) x cell pixels, at a pixel, for one axis. */
static void tap(int pixel, int cells, int cell, int *low, int *high, float *share)
{
    double at = (pixel + 0.5) * cells / ((cells + 1.0) * cell) - 0.5;
    at = at < 0.0 ? 0.0 : at > cells - 1 ? cells - 1 : at;
    *low = (int)at;
    *high = *low + 1 < cells ? *low + 1 : cells - 1;
    *share = (float)(at - *low);
}

typedef struct mask {
    float grid[64 * 64];
    int dx, dy;
} mask;

static void draw(const work *w, int64_t index, mask *m)
{
    const int cells = w->cells * w->cells;
    const uint64_t first = (uint64_t)index * (uint64_t)(cells + 2), seed = w->c->seed;
    for (int i = 0; i < cells; i++)
        m->grid[i] = gc_noise_uniform(seed, first + (uint64_t)i) < w->open ? 1.0f : 0.0f;
    m->dy = (int)(gc_noise_uniform(seed, first + (uint64_t)cells) * w->cell_y);
    m->dx = (int)(gc_noise_uniform(seed, first + (uint64_t)cells + 1) * w->cell_x);
}

/* Row `y` of the mask. */
static void fill_row(const work *w, const mask *m, int y, float *row)
{
    int y0 = 0, y1 = 0, x0 = 0, x1 = 0;
    float v = 0.0f, u = 0.0f;
    tap(y + m->dy, w->cells, w->cell_y, &y0, &y1, &v);
    for (int x = 0; x < w->c->input.width; x++) {
        tap(x + m->dx, w->cells, w->cell_x, &x0, &x1, &u);
        const float *const top = m->grid + y0 * w->cells, *const bottom = m->grid + y1 * w->cells;
        const float a = top[x0] + u * (top[x1] - top[x0]);
        const float b = bottom[x0] + u * (bottom[x1] - bottom[x0]);
        row[x] = a + v * (b - a);
    }
}

static void change(void *user, int64_t index, float *block)
{
    const work *const w = user;
    const gc_input_shape *const in = &w->c->input;
    mask m;
    draw(w, index, &m);
    for (int y = 0; y < in->height; y++) {
        float row[4096];
        fill_row(w, &m, y, row);
        for (int64_t ch = 0; ch < in->channels; ch++)
            for (int x = 0; x < in->width; x++) {
                const int64_t at =
                    ch * in->channel_stride + ((int64_t)y * in->width + x) * in->pixel_stride;
                block[at] = row[x] * w->input[at];
            }
    }
}

static void add_up(const work *w, const float *scores, int64_t samples, double *sums, float *out)
{
    const int width = w->c->input.width;
    const int64_t pixels = gc_input_pixels(w->c);
    for (int64_t n = 0; n < samples; n++) {
        mask m;
        draw(w, n, &m);
#pragma omp parallel for schedule(static)
        for (int y = 0; y < w->c->input.height; y++) {
            float row[4096];
            fill_row(w, &m, y, row);
            for (int x = 0; x < width; x++)
                sums[(int64_t)y * width + x] += (double)scores[n] * row[x];
        }
    }
    for (int64_t i = 0; i < pixels; i++)
        out[i] = (float)(sums[i] / ((double)samples * w->open));
}

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    const int cells = (int)c->settings[CELLS];
    const int64_t samples = (int64_t)c->settings[SAMPLES];
    work w = {.c = c,
              .input = gc_case_input(c),
              .cells = cells,
              .cell_x = (c->input.width + cells - 1) / cells,
              .cell_y = (c->input.height + cells - 1) / cells,
              .open = c->settings[OPEN]};
    float *scores = NULL;
    double *sums = NULL;
    GC_FAIL_IF(c->input.width > 4096, error, GRADCAM_ERROR_LIMIT,
               "rise: the input is %d pixels wide; the limit is 4096", c->input.width);
    const gc_sweep sweep = {.key = gc_case_key(c),
                            .value = gc_runner_base_value(c->runner),
                            .count = samples,
                            .change = change,
                            .user = &w,
                            .name = c->method->info.name};
    gradcam_status status = gc_new(&scores, (size_t)samples, sizeof *scores, error);
    if (status == GRADCAM_OK)
        status = gc_new(&sums, (size_t)gc_input_pixels(c), sizeof *sums, error);
    if (status == GRADCAM_OK)
        status = gc_runner_sweep(c->runner, &sweep, c->goal, scores, error);
    if (status == GRADCAM_OK)
        add_up(&w, scores, samples, sums, out);
    gc_free(scores);
    gc_free(sums);
    return status;
}

const gc_method gc_method_rise = {
    .info = {.name = "rise",
             .summary = "random masks weighted by the score of what they leave",
             .formula = "sum over n of s(x m_n) m_n / (n p)",
             .paper = "Petsiuk et al. 2018, arXiv:1806.07421",
             .cost = "1 + samples forward",
             .needs = "forward passes",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_IS_PIXELWISE,
    .map = map,
};
