/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RoiAlign (He et al. 2017, "Mask R-CNN"): each region of interest is cut into output_height x
 * output_width bins; a bin is the mean of bilinear samples spread evenly over it. With mode max it
 * is the maximum of what these would add up: of pixels, each with its bilinear weight (so ONNX's
 * tests and ONNX Runtime have it), not of the samples.
 *
 * Inputs: X (N x C x H x W), regions (R x 4: x1, y1, x2, y2), the picture each lies in (R). Where a
 * sample lies more than one pixel outside, it counts as 0. With mode max, the gradient goes to the
 * first greatest. Regions count as constants, as in torchvision.
 */
#include <math.h>
#include <string.h>

#include "ops/check.h"

typedef struct setup {
    int64_t channels, height, width, rows, columns; /**< rows x columns bins */
    int64_t ratio;                                  /**< samples along a bin; 0: adaptive */
    float scale, shift;
    bool is_max;
} setup;

/* One axis of one region: bin b, sample s lies at begin + (b + (s + 0.5) / samples) * bin. */
typedef struct span {
    float begin, bin;
    int64_t samples;
} span;

/* A bilinear sample along one axis: two neighbours; weights are 0 outside. */
typedef struct taps {
    int64_t index[2];
    float weight[2];
} taps;

static gradcam_status read_setup(const gc_call *call, setup *s)
{
    const gc_node *const node = call->node;
    const gc_tensor *const x = call->inputs[0];
    const char *const mode = gc_attr_string(node, "mode", "avg");
    const char *const place = gc_attr_string(node, "coordinate_transformation_mode", "half_pixel");
    *s = (setup){.rows = gc_attr_int(node, "output_height", 1),
                 .columns = gc_attr_int(node, "output_width", 1),
                 .ratio = gc_attr_int(node, "sampling_ratio", 0),
                 .scale = gc_attr_float(node, "spatial_scale", 1.0f),
                 .shift = strcmp(place, "half_pixel") == 0 ? 0.5f : 0.0f,
                 .is_max = strcmp(mode, "max") == 0};
    if ((!s->is_max && strcmp(mode, "avg") != 0) ||
        (s->shift == 0.0f && strcmp(place, "output_half_pixel") != 0))
        return gc_op_fail(call, GRADCAM_ERROR_MODEL,
                          "mode '%s', coordinate_transformation_mode '%s': expected avg or max, "
                          "half_pixel or output_half_pixel",
                          mode, place);
    if (s->rows < 1 || s->columns < 1 || s->ratio < 0 || s->rows > INT32_MAX ||
        s->columns > INT32_MAX || s->ratio > 1024)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "%lld x %lld bins with %lld samples each way",
                          (long long)s->rows, (long long)s->columns, (long long)s->ratio);
    if (x->rank != 4 || x->dims[2] < 1 || x->dims[3] < 1)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE, "the input must be N x C x H x W");
    s->channels = x->dims[1];
    s->height = x->dims[2];
    s->width = x->dims[3];
    return GRADCAM_OK;
}

static gradcam_status infer(const gc_call *call)
{
    const gc_tensor *const rois = call->inputs[1], *const batch = call->inputs[2];
    setup s;
    GC_TRY(gc_check_float(call, 0));
    GC_TRY(gc_check_float(call, 1));
    GC_TRY(gc_check_integer(call, 2));
    GC_TRY(read_setup(call, &s));
    if (rois->rank != 2 || rois->dims[1] != 4 || batch->rank != 1 ||
        batch->dims[0] != rois->dims[0]) {
        char a[GC_SHAPE_TEXT], b[GC_SHAPE_TEXT];
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                          "regions of shape %s in pictures of shape %s, expected R x 4 and R",
                          gc_shape_text(rois, a), gc_shape_text(batch, b));
    }
    const int64_t dims[] = {rois->dims[0], s.channels, s.rows, s.columns};
    gc_tensor_describe(call->outputs[0], call->inputs[0]->dtype, 4, dims);
    return gc_check_output(call, 0);
}

static gradcam_status find_span(const gc_call *call, const setup *s, float from, float to,
                                int64_t bins, span *axis)
{
    enum { MOST_SAMPLES = 4096 };
    const float begin = from * s->scale - s->shift;
    float extent = to * s->scale - s->shift - begin;
    if (s->shift == 0.0f && extent < 1.0f) /* as the paper's code had it */
        extent = 1.0f;
    *axis = (span){begin, extent / (float)bins, s->ratio};
    const float samples = ceilf(axis->bin);
    if (!(samples <= (float)MOST_SAMPLES) || !(fabsf(begin) < 1e9f))
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "a region from %g to %g", (double)from,
                          (double)to);
    if (s->ratio == 0)
        axis->samples = samples > 0.0f ? (int64_t)samples : 0;
    return GRADCAM_OK;
}

static taps find_taps(const span *axis, int64_t bin, int64_t sample, int64_t extent)
{
    float at =
        axis->begin + ((float)bin + ((float)sample + 0.5f) / (float)axis->samples) * axis->bin;
    if (at < -1.0f || at > (float)extent)
        return (taps){.weight = {0.0f, 0.0f}};
    at = at < 0.0f ? 0.0f : at;
    int64_t low = (int64_t)at;
    if (low >= extent - 1) {
        low = extent - 1;
        at = (float)low;
    }
    const float part = at - (float)low;
    return (taps){{low, low + 1 < extent ? low + 1 : low}, {1.0f - part, part}};
}

typedef struct region {
    span y, x;
    int64_t picture;
} region;

static gradcam_status find_region(const gc_call *call, const setup *s, int64_t index, region *r)
{
    const float *const box = gc_floats(call->inputs[1]) + 4 * index;
    r->picture = gc_ints(call->inputs[2])[index];
    if (r->picture < 0 || r->picture >= call->inputs[0]->dims[0])
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "region %lld lies in picture %lld of %lld",
                          (long long)index, (long long)r->picture,
                          (long long)call->inputs[0]->dims[0]);
    GC_TRY(find_span(call, s, box[0], box[2], s->columns, &r->x));
    return find_span(call, s, box[1], box[3], s->rows, &r->y);
}

/* One of the four pixels of a sample: its place in the plane, and its weight. */
typedef struct pixel {
    int64_t at;
    float weight;
} pixel;

/* Number `i` of the four times samples pixels that make a bin. */
static pixel pixel_of(const setup *s, const region *r, int64_t row, int64_t column, int64_t i)
{
    const int64_t sample = i / 4;
    const taps y = find_taps(&r->y, row, sample / r->x.samples, s->height);
    const taps x = find_taps(&r->x, column, sample % r->x.samples, s->width);
    const int64_t v = i / 2 % 2, h = i % 2;
    return (pixel){y.index[v] * s->width + x.index[h], y.weight[v] * x.weight[h]};
}

/* The value of a bin; for max, *best is the greatest of its pixels. */
static float pool_bin(const setup *s, const region *r, const float *plane, int64_t row,
                      int64_t column, int64_t *best)
{
    const int64_t count = r->y.samples * r->x.samples;
    float result = 0.0f;
    for (int64_t i = 0; i < 4 * count; i++) {
        const pixel p = pixel_of(s, r, row, column, i);
        const float value = p.weight * plane[p.at];
        if (!s->is_max)
            result += value / (float)count;
        else if (i == 0 || value > result) {
            result = value;
            *best = i;
        }
    }
    return result;
}

static void spread_bin(const setup *s, const region *r, const float *plane, int64_t row,
                       int64_t column, float gy, float *gx)
{
    const int64_t count = r->y.samples * r->x.samples;
    int64_t best = -1;
    if (s->is_max)
        (void)pool_bin(s, r, plane, row, column, &best);
    for (int64_t i = 0; i < 4 * count; i++) {
        const pixel p = pixel_of(s, r, row, column, i);
        if (!s->is_max || i == best)
            gx[p.at] += p.weight * (s->is_max ? gy : gy / (float)count);
    }
}

static gradcam_status forward(const gc_call *call)
{
    setup s;
    GC_TRY(read_setup(call, &s));
    const int64_t plane = s.height * s.width, bins = s.rows * s.columns;
    for (int64_t n = 0; n < call->inputs[1]->dims[0]; n++) {
        region r;
        GC_TRY(find_region(call, &s, n, &r));
        for (int64_t c = 0; c < s.channels; c++) {
            const float *const x =
                gc_floats(call->inputs[0]) + (r.picture * s.channels + c) * plane;
            float *const y = gc_floats(call->outputs[0]) + (n * s.channels + c) * bins;
            int64_t best = 0;
            for (int64_t b = 0; b < bins; b++)
                y[b] = pool_bin(&s, &r, x, b / s.columns, b % s.columns, &best);
        }
    }
    return GRADCAM_OK;
}

static gradcam_status backward(const gc_call *call, const gc_tensor *const *output_grads,
                               gc_tensor *const *input_grads)
{
    setup s;
    GC_TRY(read_setup(call, &s));
    const int64_t plane = s.height * s.width, bins = s.rows * s.columns;
    for (int i = 0; i < call->input_count; i++)
        if (input_grads[i] != NULL)
            memset(input_grads[i]->data, 0, gc_tensor_bytes(input_grads[i]));
    for (int64_t n = 0; n < call->inputs[1]->dims[0] && input_grads[0] != NULL; n++) {
        region r;
        GC_TRY(find_region(call, &s, n, &r));
        for (int64_t c = 0; c < s.channels; c++) {
            const int64_t at = (r.picture * s.channels + c) * plane;
            const float *const gy = gc_floats(output_grads[0]) + (n * s.channels + c) * bins;
            for (int64_t b = 0; b < bins; b++)
                spread_bin(&s, &r, gc_floats(call->inputs[0]) + at, b / s.columns, b % s.columns,
                           gy[b], gc_floats(input_grads[0]) + at);
        }
    }
    return GRADCAM_OK;
}

const gc_op gc_op_RoiAlign = {
    .name = "RoiAlign",
    .domain = "",
    .since = 1,
    .min_inputs = 3,
    .max_inputs = 3,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .backward_reads = GC_READS_INPUTS | GC_READS_PARAMETERS,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
