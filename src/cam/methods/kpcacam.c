/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KPCA-CAM: kernel principal components of the activations, so that the structure need not be
 * linear. Karmani et al., "KPCA-CAM: Visual Explainability of Deep Computer Vision Models using
 * Kernel PCA", MMSP 2024, arXiv:2410.00267. Kernel tanh(x'y / channels + 1) over positions,
 * centred; the map is the projection on the first component.
 */
#include "cam/method.h"

#include <math.h>

#include "cam/project.h"

/* The kernel matrix has positions x positions elements. */
enum { MOST_POSITIONS = 4096 };

typedef struct kernel {
    double *values; /* positions x positions */
    int64_t order;
} kernel;

static void multiply(void *user, const double *x, double *y)
{
    const kernel *const k = user;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < k->order; i++) {
        double sum = 0.0;
        for (int64_t j = 0; j < k->order; j++)
            sum += k->values[i * k->order + j] * x[j];
        y[i] = sum;
    }
}

/* Activations with positions as rows, each channel centred. */
static void make_rows(const gradcam_features *f, double *rows)
{
    for (int64_t c = 0; c < f->channels; c++) {
        const float *const a = f->activation + c * f->positions;
        double mean = 0.0;
        for (int64_t i = 0; i < f->positions; i++)
            mean += a[i] / (double)f->positions;
        for (int64_t i = 0; i < f->positions; i++)
            rows[i * f->channels + c] = a[i] - mean;
    }
}

static void fill(const kernel *k, const double *rows, int64_t channels)
{
    const int64_t n = k->order;
#pragma omp parallel for schedule(dynamic, 8)
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (int64_t c = 0; c < channels; c++)
                sum += rows[i * channels + c] * rows[j * channels + c];
            k->values[i * n + j] = tanh(sum / (double)channels + 1.0);
        }
}

/* Centres the kernel: rows, columns, whole. `means` has room for one a row. */
static void centre(const kernel *k, double *means)
{
    const int64_t n = k->order;
    double whole = 0.0;
    for (int64_t i = 0; i < n; i++) {
        means[i] = 0.0;
        for (int64_t j = 0; j < n; j++)
            means[i] += k->values[i * n + j] / (double)n;
        whole += means[i] / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            k->values[i * n + j] += whole - means[i] - means[j];
}

static gradcam_status solve(gc_case *c, kernel *k, double *rows, double *vector, float *out,
                            gradcam_error *error)
{
    double value = 0.0;
    make_rows(&c->features, rows);
    fill(k, rows, c->features.channels);
    centre(k, vector);
    GC_TRY(gc_largest_eigenvector(k->order, multiply, k, &value, vector, error));
    for (int64_t i = 0; i < k->order; i++)
        out[i] = (float)(sqrt(fmax(value, 0.0)) * vector[i]);
    gc_fix_sign(&c->features, out);
    return GRADCAM_OK;
}

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    kernel k = {.order = f->positions};
    double *rows = NULL, *vector = NULL;
    GC_FAIL_IF(f->positions > MOST_POSITIONS, error, GRADCAM_ERROR_LIMIT,
               "kpcacam: the layer has %d x %d positions, and its kernel would compare each with "
               "each; the limit is %d positions. Choose a later layer.",
               f->width, f->height, MOST_POSITIONS);
    gradcam_status status = gc_new(&k.values, (size_t)(k.order * k.order), sizeof *k.values, error);
    if (status == GRADCAM_OK)
        status = gc_new(&rows, (size_t)(f->channels * f->positions), sizeof *rows, error);
    if (status == GRADCAM_OK)
        status = gc_new(&vector, (size_t)f->positions, sizeof *vector, error);
    if (status == GRADCAM_OK)
        status = solve(c, &k, rows, vector, out, error);
    gc_free(k.values);
    gc_free(rows);
    gc_free(vector);
    return status;
}

const gc_method gc_method_kpcacam = {
    .info = {.name = "kpcacam",
             .summary = "first kernel principal component of the activations, whatever the class",
             .formula = "kernel PCA of A with tanh(x'y / channels + 1)",
             .paper = "Karmani et al. 2024, arXiv:2410.00267",
             .cost = "1 forward",
             .needs = "activations"},
    .uses = GC_IS_SIGNLESS,
    .map = map,
};
