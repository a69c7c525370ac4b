/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deep feature factorisation: the activations as a sum of a few non-negative concepts, a map for
 * each, the strongest first; no class takes part. Collins, Achanta, Suesstrunk, "Deep Feature
 * Factorization for Concept Discovery", ECCV 2018, arXiv:1806.10206. V = W H with V positions x
 * channels, negative activations cut, by hierarchical alternating least squares (Cichocki and Phan
 * 2009). They start from sqrt(mean(V) / concepts) times the absolute values of the seed's normal
 * numbers, first for W, row by row, then for H. A map is a column of W times the length of its row
 * of H.
 */
#include "cam/method.h"

#include <math.h>
#include <string.h>

#include "cam/noise.h"

enum { CONCEPTS, ITERATIONS, MOST_CONCEPTS = 32 };

static const gradcam_setting settings[] = {
    {"concepts", 4, 1, MOST_CONCEPTS, "number of maps"},
    {"iterations", 200, 1, 100000, "of the factorisation"},
};

typedef struct factors {
    int64_t rows, columns; /* positions, channels */
    int rank;
    double *v, *w, *h; /* v[c][i] by channel; w[j][i] by concept; h[j][c] by concept */
} factors;

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

static void start(const factors *f, const gc_case *c)
{
    const gradcam_features *const from = &c->features;
    double sum = 0.0;
    for (int64_t i = 0; i < f->rows * f->columns; i++) {
        f->v[i] = from->activation[i] > 0.0f ? from->activation[i] : 0.0;
        sum += f->v[i];
    }
    const double size = sqrt(sum / (double)(f->rows * f->columns) / f->rank);
    for (int64_t i = 0; i < f->rows; i++)
        for (int j = 0; j < f->rank; j++)
            f->w[j * f->rows + i] =
                size * fabs(gc_noise_normal(c->seed, (uint64_t)(i * f->rank + j)));
    for (int64_t i = 0; i < f->rank * f->columns; i++)
        f->h[i] = size * fabs(gc_noise_normal(c->seed, (uint64_t)(f->rows * f->rank + i)));
}

/* Each concept in turn, with the others fixed: H_j = max(0, H_j + (W_j'V - (W'W)_j H) / |W_j|^2).
 */
static void update_h(const factors *f)
{
    for (int j = 0; j < f->rank; j++) {
        const double *const w = f->w + j * f->rows;
        double gram[MOST_CONCEPTS];
        for (int k = 0; k < f->rank; k++)
            gram[k] = dot(w, f->w + k * f->rows, f->rows);
#pragma omp parallel for schedule(static)
        for (int64_t c = 0; c < f->columns; c++) {
            double step = dot(w, f->v + c * f->rows, f->rows);
            for (int k = 0; k < f->rank; k++)
                step -= gram[k] * f->h[k * f->columns + c];
            const double value = f->h[j * f->columns + c] + step / (gram[j] + 1e-300);
            f->h[j * f->columns + c] = value > 0.0 ? value : 0.0;
        }
    }
}

static void update_w(const factors *f, double *product)
{
    for (int j = 0; j < f->rank; j++) {
        const double *const h = f->h + j * f->columns;
        double *const w = f->w + j * f->rows;
        double gram[MOST_CONCEPTS];
        for (int k = 0; k < f->rank; k++)
            gram[k] = dot(h, f->h + k * f->columns, f->columns);
        memset(product, 0, (size_t)f->rows * sizeof *product);
        for (int64_t c = 0; c < f->columns; c++)
            for (int64_t i = 0; i < f->rows && h[c] > 0.0; i++)
                product[i] += h[c] * f->v[c * f->rows + i];
        for (int64_t i = 0; i < f->rows; i++) {
            double step = product[i];
            for (int k = 0; k < f->rank; k++)
                step -= gram[k] * f->w[k * f->rows + i];
            const double value = w[i] + step / (gram[j] + 1e-300);
            w[i] = value > 0.0 ? value : 0.0;
        }
    }
}

/* The concept of the part-th largest share |W_j| |H_j|. */
static int concept_at(const factors *f, int part)
{
    double sizes[MOST_CONCEPTS];
    for (int j = 0; j < f->rank; j++)
        sizes[j] = dot(f->w + j * f->rows, f->w + j * f->rows, f->rows) *
                   dot(f->h + j * f->columns, f->h + j * f->columns, f->columns);
    for (int j = 0; j < f->rank; j++) {
        int larger = 0;
        for (int k = 0; k < f->rank; k++)
            larger += sizes[k] > sizes[j] || (sizes[k] == sizes[j] && k < j);
        if (larger == part)
            return j;
    }
    return 0;
}

static gradcam_status factorise(gc_case *c, factors *f, float *out, gradcam_error *error)
{
    double *product = NULL;
    GC_TRY(gc_new(&f->v, (size_t)(f->rows * f->columns), sizeof(double), error));
    GC_TRY(gc_new(&f->w, (size_t)(f->rows * f->rank), sizeof(double), error));
    GC_TRY(gc_new(&f->h, (size_t)(f->columns * f->rank), sizeof(double), error));
    GC_TRY(gc_new(&product, (size_t)f->rows, sizeof(double), error));
    start(f, c);
    for (int i = 0; i < (int)c->settings[ITERATIONS]; i++) {
        update_h(f);
        update_w(f, product);
    }
    gc_free(product);
    const int j = concept_at(f, c->part);
    const double size = sqrt(dot(f->h + j * f->columns, f->h + j * f->columns, f->columns));
    for (int64_t i = 0; i < f->rows; i++)
        out[i] = (float)(size * f->w[j * f->rows + i]);
    return GRADCAM_OK;
}

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    factors f = {.rows = c->features.positions,
                 .columns = c->features.channels,
                 .rank = (int)c->settings[CONCEPTS]};
    const gradcam_status status = factorise(c, &f, out, error);
    gc_free(f.v);
    gc_free(f.w);
    gc_free(f.h);
    return status;
}

static int parts(const double *values)
{
    return (int)values[CONCEPTS];
}

const gc_method gc_method_dff = {
    .info = {.name = "dff",
             .summary =
                 "deep feature factorisation: a map for each of a few concepts, whatever the class",
             .formula = "W_j |H_j|, relu(A) = W H, non-negative",
             .paper = "Collins et al. 2018, arXiv:1806.10206",
             .cost = "1 forward, a factorisation a concept",
             .needs = "activations",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_IS_SIGNLESS,
    .map = map,
    .parts = parts,
};
