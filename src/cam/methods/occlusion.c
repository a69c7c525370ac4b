/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Occlusion: how much the score drops when a window of the input is covered, averaged over the
 * windows that cover a pixel. Zeiler and Fergus, "Visualizing and Understanding Convolutional
 * Networks", ECCV 2014, arXiv:1311.2901, section 4.2.
 */
#include "cam/method.h"

enum { WINDOW, STRIDE, VALUE };

static const gradcam_setting settings[] = {
    {"window", 0, 0, 1e5, "edge of the window in pixels of the input; 0: a seventh of it"},
    {"stride", 0, 0, 1e5, "step of the window; 0: half of it"},
    {"value", 0, -1e6, 1e6, "of the covered input"},
};

typedef struct work {
    const gc_case *c;
    const float *input;
    int window_x, window_y, stride, columns, rows;
    float value;
} work;

static int at_least_one(double value)
{
    return value < 1.0 ? 1 : (int)value;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Windows in a row: the last one ends at the edge. */
static int steps(int extent, int window, int stride)
{
    return (extent - window + stride - 1) / stride + 1;
}

static work plan(const gc_case *c)
{
    const gc_input_shape *const in = &c->input;
    const int edge = smaller(in->width, in->height > 1 ? in->height : in->width);
    const int window = at_least_one(c->settings[WINDOW] > 0.0 ? c->settings[WINDOW] : edge / 7.0);
    work w = {.c = c, .input = gc_case_input(c), .value = (float)c->settings[VALUE]};
    w.window_x = smaller(window, in->width);
    w.window_y = smaller(window, in->height);
    w.stride = at_least_one(c->settings[STRIDE] > 0.0 ? c->settings[STRIDE] : window / 2.0);
    w.columns = steps(in->width, w.window_x, w.stride);
    w.rows = steps(in->height, w.window_y, w.stride);
    return w;
}

static void corner(const work *w, int64_t index, int *x, int *y)
{
    *x = smaller((int)(index % w->columns) * w->stride, w->c->input.width - w->window_x);
    *y = smaller((int)(index / w->columns) * w->stride, w->c->input.height - w->window_y);
}

/* Run columns x rows is the one with nothing covered. */
static void set_window(const work *w, int64_t index, float *block, bool cover)
{
    const gc_input_shape *const in = &w->c->input;
    int x = 0, y = 0;
    if (index == (int64_t)w->columns * w->rows)
        return;
    corner(w, index, &x, &y);
    for (int64_t ch = 0; ch < in->channels; ch++)
        for (int j = y; j < y + w->window_y; j++)
            for (int i = x; i < x + w->window_x; i++) {
                const int64_t at =
                    ch * in->channel_stride + ((int64_t)j * in->width + i) * in->pixel_stride;
                block[at] = cover ? w->value : w->input[at];
            }
}

static void change(void *user, int64_t index, float *block)
{
    set_window(user, index, block, true);
}

static void restore(void *user, int64_t index, float *block)
{
    set_window(user, index, block, false);
}

static void average(const work *w, const float *scores, double *sums, float *out)
{
    const int width = w->c->input.width;
    const int64_t windows = (int64_t)w->columns * w->rows, pixels = gc_input_pixels(w->c);
    for (int64_t n = 0; n < windows; n++) {
        int x = 0, y = 0;
        corner(w, n, &x, &y);
        for (int j = y; j < y + w->window_y; j++)
            for (int i = x; i < x + w->window_x; i++) {
                sums[(int64_t)j * width + i] += (double)scores[windows] - scores[n];
                sums[pixels + (int64_t)j * width + i] += 1.0;
            }
    }
    for (int64_t i = 0; i < pixels; i++)
        out[i] = sums[pixels + i] > 0.0 ? (float)(sums[i] / sums[pixels + i]) : 0.0f;
}

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    work w = plan(c);
    float *scores = NULL;
    double *sums = NULL;
    const gc_sweep sweep = {.key = gc_case_key(c),
                            .value = gc_runner_base_value(c->runner),
                            .count = (int64_t)w.columns * w.rows + 1,
                            .change = change,
                            .restore = restore,
                            .user = &w,
                            .name = c->method->info.name};
    gradcam_status status = gc_new(&scores, (size_t)sweep.count, sizeof *scores, error);
    if (status == GRADCAM_OK)
        status = gc_new(&sums, 2 * (size_t)gc_input_pixels(c), sizeof *sums, error);
    if (status == GRADCAM_OK)
        status = gc_runner_sweep(c->runner, &sweep, c->goal, scores, error);
    if (status == GRADCAM_OK)
        average(&w, scores, sums, out);
    gc_free(scores);
    gc_free(sums);
    return status;
}

const gc_method gc_method_occlusion = {
    .info = {.name = "occlusion",
             .summary = "how much the score drops when a window of the input is covered",
             .formula = "mean over windows over a pixel of s(x) - s(x covered)",
             .paper = "Zeiler and Fergus 2014, arXiv:1311.2901",
             .cost = "1 + windows forward",
             .needs = "forward passes",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_IS_PIXELWISE,
    .map = map,
};
