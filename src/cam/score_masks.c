/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/score_masks.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "cam/noise.h"
#include "cam/resample.h"
#include "cam/target.h"

typedef struct masks {
    const gc_case *c;
    const gc_score_options *options;
    gc_resampler resampler;
    const float *input;
    int64_t *channels, count;
    float *planes, *natives; /* one a thread */
    float *scores;           /* one a run */
} masks;

/* ---- Channels ------------------------------------------------------------------------------- */

typedef struct spread {
    double deviation;
    int64_t channel;
} spread;

static int wider_first(const void *a, const void *b)
{
    const spread *const sa = a, *const sb = b;
    if (sa->deviation != sb->deviation)
        return sa->deviation < sb->deviation ? 1 : -1;
    return sa->channel < sb->channel ? -1 : 1;
}

static double deviation_of(const float *a, int64_t count)
{
    double mean = 0.0, sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        mean += (double)a[i] / (double)count;
    for (int64_t i = 0; i < count; i++)
        sum += (a[i] - mean) * (a[i] - mean);
    return sqrt(sum / (double)count);
}

static gradcam_status choose_channels(masks *m, gradcam_error *error)
{
    const gradcam_features *const f = &m->c->features;
    spread *all = NULL;
    m->count = m->options->channels > 0 && m->options->channels < f->channels ? m->options->channels
                                                                              : f->channels;
    GC_TRY(gc_new(&m->channels, (size_t)f->channels, sizeof *m->channels, error));
    GC_TRY(gc_new(&all, (size_t)f->channels, sizeof *all, error));
    for (int64_t k = 0; k < f->channels; k++)
        all[k] = (spread){deviation_of(f->activation + k * f->positions, f->positions), k};
    if (m->count < f->channels)
        qsort(all, (size_t)f->channels, sizeof *all, wider_first);
    for (int64_t k = 0; k < m->count; k++)
        m->channels[k] = all[k].channel;
    gc_free(all);
    return GRADCAM_OK;
}

/* ---- One mask ------------------------------------------------------------------------------- */

static void normalise(float *values, int64_t count)
{
    float low = values[0], high = values[0];
    for (int64_t i = 1; i < count; i++) {
        low = fminf(low, values[i]);
        high = fmaxf(high, values[i]);
    }
    for (int64_t i = 0; i < count; i++)
        values[i] = (values[i] - low) / (high - low + 1e-8f);
}

static const float *make_mask(const masks *m, int64_t channel)
{
    const gradcam_features *const f = &m->c->features;
    const int64_t pixels = gc_input_pixels(m->c);
    float *const plane = m->planes + omp_get_thread_num() * pixels;
    float *const native = m->natives + omp_get_thread_num() * f->positions;
    for (int64_t i = 0; i < f->positions; i++)
        native[i] = f->activation[channel * f->positions + i];
    if (m->options->normalise_first)
        normalise(native, f->positions);
    gc_resample(&m->resampler, native, plane);
    if (!m->options->normalise_first)
        normalise(plane, pixels);
    return plane;
}

static double factor_of(const gc_score_options *o, int sample)
{
    const double i = sample + 1.0;
    return o->kind == GC_MASK_CUMULATED ? i * (i + 1.0) / 2.0 / o->samples
           : o->kind == GC_MASK_LINEAR  ? i / o->samples
                                        : 1.0;
}

static void change(void *user, int64_t index, float *block)
{
    const masks *const m = user;
    const gc_score_options *const o = m->options;
    const gc_input_shape *const in = &m->c->input;
    const int64_t pixels = gc_input_pixels(m->c), channel = m->channels[index / o->samples];
    const int sample = (int)(index % o->samples);
    const float *const mask = make_mask(m, channel);
    const float factor = (float)factor_of(o, sample);
    const uint64_t first =
        ((uint64_t)channel * (uint64_t)o->samples + (uint64_t)sample) * (uint64_t)pixels;
    for (int64_t i = 0; i < pixels; i++) {
        float value = factor * mask[i];
        if (o->kind == GC_MASK_NOISY)
            value += (float)(o->sigma * gc_noise_normal(m->c->seed, first + (uint64_t)i));
        for (int64_t ch = 0; ch < in->channels; ch++) {
            const int64_t at = ch * in->channel_stride + i * in->pixel_stride;
            block[at] = value * m->input[at];
        }
    }
}

/* ---- All ------------------------------------------------------------------------------------ */

static gradcam_status prepare(masks *m, gradcam_error *error)
{
    const gradcam_features *const f = &m->c->features;
    const gc_input_shape *const in = &m->c->input;
    const size_t threads = (size_t)omp_get_max_threads();
    GC_TRY(choose_channels(m, error));
    GC_TRY(gc_resampler_create(&m->resampler, f->width, f->height, in->width, in->height,
                               !m->options->normalise_first, error));
    GC_TRY(gc_new(&m->planes, threads * (size_t)gc_input_pixels(m->c), sizeof(float), error));
    GC_TRY(gc_new(&m->natives, threads * (size_t)f->positions, sizeof(float), error));
    return gc_new(&m->scores, (size_t)(m->count * m->options->samples), sizeof(float), error);
}

static gradcam_status run(masks *m, float *weights, gradcam_error *error)
{
    const int samples = m->options->samples;
    GC_TRY(prepare(m, error));
    const gc_sweep sweep = {.key = gc_case_key(m->c),
                            .value = gc_runner_base_value(m->c->runner),
                            .count = m->count * samples,
                            .change = change,
                            .user = m,
                            .name = m->c->method->info.name};
    GC_TRY(gc_runner_sweep(m->c->runner, &sweep, m->c->goal, m->scores, error));
    for (int64_t k = 0; k < m->count; k++) {
        double sum = 0.0;
        for (int s = 0; s < samples; s++)
            sum += m->scores[k * samples + s];
        m->scores[k] = (float)(sum / samples);
    }
    gc_probabilities(GC_SOFTMAX, m->scores, m->scores, m->count);
    for (int64_t k = 0; k < m->count; k++)
        weights[m->channels[k]] = m->scores[k];
    return GRADCAM_OK;
}

gradcam_status gc_score_weights(gc_case *c, const gc_score_options *options, float *weights,
                                gradcam_error *error)
{
    masks m = {.c = c, .options = options, .input = gc_case_input(c)};
    const gradcam_status status = run(&m, weights, error);
    gc_resampler_free(&m.resampler);
    gc_free(m.channels);
    gc_free(m.planes);
    gc_free(m.natives);
    gc_free(m.scores);
    return status;
}
