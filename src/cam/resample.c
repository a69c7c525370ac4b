/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/resample.h"

static double position(int i, int from, int to, bool align_corners)
{
    if (align_corners)
        return to > 1 ? (double)i * (from - 1) / (to - 1) : 0.0;
    return ((double)i + 0.5) * from / to - 0.5;
}

static gradcam_status make_taps(gc_taps *taps, int from, int to, bool align_corners,
                                gradcam_error *error)
{
    GC_TRY(gc_new(&taps->low, (size_t)to, sizeof(int), error));
    GC_TRY(gc_new(&taps->high, (size_t)to, sizeof(int), error));
    GC_TRY(gc_new(&taps->share, (size_t)to, sizeof(float), error));
    for (int i = 0; i < to; i++) {
        double at = position(i, from, to, align_corners);
        at = at < 0.0 ? 0.0 : at > from - 1 ? from - 1 : at;
        taps->low[i] = (int)at;
        taps->high[i] = taps->low[i] + 1 < from ? taps->low[i] + 1 : from - 1;
        taps->share[i] = (float)(at - taps->low[i]);
    }
    return GRADCAM_OK;
}

gradcam_status gc_resampler_create(gc_resampler *resampler, int width, int height, int to_width,
                                   int to_height, bool align_corners, gradcam_error *error)
{
    *resampler = (gc_resampler){width, height, to_width, to_height, {0}, {0}};
    gradcam_status status = make_taps(&resampler->x, width, to_width, align_corners, error);
    if (status == GRADCAM_OK)
        status = make_taps(&resampler->y, height, to_height, align_corners, error);
    if (status != GRADCAM_OK)
        gc_resampler_free(resampler);
    return status;
}

void gc_resampler_free(gc_resampler *resampler)
{
    gc_taps *const both[] = {&resampler->x, &resampler->y};
    for (int i = 0; i < 2; i++) {
        gc_free(both[i]->low);
        gc_free(both[i]->high);
        gc_free(both[i]->share);
    }
    *resampler = (gc_resampler){0};
}

void gc_resample(const gc_resampler *resampler, const float *from, float *to)
{
    const gc_taps *const x = &resampler->x, *const y = &resampler->y;
    const int width = resampler->width, to_width = resampler->to_width;
    for (int j = 0; j < resampler->to_height; j++) {
        const float *const top = from + (int64_t)y->low[j] * width;
        const float *const bottom = from + (int64_t)y->high[j] * width;
        float *const row = to + (int64_t)j * to_width;
        const float v = y->share[j];
        for (int i = 0; i < to_width; i++) {
            const int l = x->low[i], h = x->high[i];
            const float u = x->share[i];
            const float a = top[l] + u * (top[h] - top[l]);
            const float b = bottom[l] + u * (bottom[h] - bottom[l]);
            row[i] = a + v * (b - a);
        }
    }
}

gradcam_status gc_resample_map(const float *from, int width, int height, float *to, int to_width,
                               int to_height, gradcam_error *error)
{
    gc_resampler resampler;
    GC_TRY(gc_resampler_create(&resampler, width, height, to_width, to_height, false, error));
    gc_resample(&resampler, from, to);
    gc_resampler_free(&resampler);
    return GRADCAM_OK;
}
