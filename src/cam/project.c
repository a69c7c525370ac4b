/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/project.h"

#include <math.h>
#include <string.h>

#include "cam/noise.h"

enum { MOST_STEPS = 200 };

/* ---- Lanczos -------------------------------------------------------------------------------- */

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

static void add_scaled(double *to, double factor, const double *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        to[i] += factor * from[i];
}

/* Number of eigenvalues of the tridiagonal matrix that are larger than x (Sturm's sequence). */
static int count_above(const double *diagonal, const double *beside, int order, double x)
{
    int count = 0;
    double q = diagonal[0] - x;
    for (int i = 0; i < order; i++) {
        if (i > 0)
            q = diagonal[i] - x - beside[i - 1] * beside[i - 1] / (q != 0.0 ? q : 1e-300);
        count += q > 0.0;
    }
    return count;
}

/* By bisection: robust, and there is only one to be found. */
static double largest_of_tridiagonal(const double *diagonal, const double *beside, int order)
{
    double low = diagonal[0], high = diagonal[0];
    for (int i = 0; i < order; i++) {
        const double radius =
            (i > 0 ? fabs(beside[i - 1]) : 0.0) + (i + 1 < order ? fabs(beside[i]) : 0.0);
        low = fmin(low, diagonal[i] - radius);
        high = fmax(high, diagonal[i] + radius);
    }
    for (int i = 0; i < 200 && high - low > 1e-15 * fmax(fabs(low), fabs(high)); i++) {
        const double middle = 0.5 * (low + high);
        if (count_above(diagonal, beside, order, middle) > 0)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

/* Solves (T - value) x = x twice from ones: inverse iteration with partial pivoting. */
static void vector_of_tridiagonal(const double *diagonal, const double *beside, int order,
                                  double value, double *x)
{
    double d[MOST_STEPS] = {0}, u[MOST_STEPS] = {0}, v[MOST_STEPS] = {0}, b[MOST_STEPS] = {0};
    for (int i = 0; i < order; i++)
        x[i] = 1.0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < order; i++) {
            d[i] = diagonal[i] - value;
            u[i] = i + 1 < order ? beside[i] : 0.0;
            v[i] = 0.0;
            b[i] = x[i];
        }
        for (int i = 0; i + 1 < order; i++) {
            double below = beside[i], next_d = d[i + 1], next_u = u[i + 1], next_b = b[i + 1];
            if (fabs(below) > fabs(d[i])) { /* swap rows i and i + 1 */
                const double od = d[i], ou = u[i], ob = b[i];
                d[i] = below, u[i] = next_d, v[i] = next_u, b[i] = next_b;
                below = od, next_d = ou, next_u = 0.0, next_b = ob;
            }
            const double factor = d[i] != 0.0 ? below / d[i] : 0.0;
            d[i + 1] = next_d - factor * u[i];
            u[i + 1] = next_u - factor * v[i];
            b[i + 1] = next_b - factor * b[i];
        }
        for (int i = order - 1; i >= 0; i--) {
            double sum = b[i];
            sum -= i + 1 < order ? u[i] * x[i + 1] : 0.0;
            sum -= i + 2 < order ? v[i] * x[i + 2] : 0.0;
            x[i] = sum / (fabs(d[i]) > 1e-290 ? d[i] : 1e-290);
        }
        double largest = 0.0;
        for (int i = 0; i < order; i++)
            largest = fmax(largest, fabs(x[i]));
        for (int i = 0; i < order && largest > 0.0; i++)
            x[i] /= largest;
    }
    const double length = sqrt(dot(x, x, order));
    for (int i = 0; i < order; i++)
        x[i] /= length > 0.0 ? length : 1.0;
}

typedef struct lanczos {
    int64_t order;
    int steps, most;
    double *basis; /* most + 1 vectors */
    double diagonal[MOST_STEPS], beside[MOST_STEPS];
} lanczos;

/* One step: the next basis vector, or false where the space is exhausted. */
static bool step(lanczos *l, gc_product product, void *user)
{
    const int64_t n = l->order;
    const double *const q = l->basis + l->steps * n;
    double *const next = l->basis + (l->steps + 1) * n;
    product(user, q, next);
    l->diagonal[l->steps] = dot(q, next, n);
    for (int round = 0; round < 2; round++)
        for (int k = 0; k <= l->steps; k++)
            add_scaled(next, -dot(l->basis + k * n, next, n), l->basis + k * n, n);
    const double length = sqrt(dot(next, next, n));
    l->beside[l->steps] = length;
    l->steps++;
    double scale = 0.0;
    for (int i = 0; i < l->steps; i++)
        scale = fmax(scale, fabs(l->diagonal[i]));
    if (!(length > 1e-13 * scale))
        return false;
    for (int64_t i = 0; i < n; i++)
        next[i] /= length;
    return true;
}

gradcam_status gc_largest_eigenvector(int64_t order, gc_product product, void *user, double *value,
                                      double *vector, gradcam_error *error)
{
    lanczos l = {.order = order, .most = order < MOST_STEPS ? (int)order : MOST_STEPS};
    double x[MOST_STEPS] = {0};
    GC_TRY(gc_new(&l.basis, (size_t)(l.most + 1) * (size_t)order, sizeof *l.basis, error));
    for (int64_t i = 0; i < order; i++)
        l.basis[i] = gc_noise_normal(0, (uint64_t)i);
    const double length = sqrt(dot(l.basis, l.basis, order));
    for (int64_t i = 0; i < order; i++)
        l.basis[i] /= length;
    bool goes_on = true;
    while (goes_on && l.steps < l.most) {
        goes_on = step(&l, product, user);
        if (goes_on && l.steps % 8 != 0 && l.steps < l.most)
            continue;
        *value = largest_of_tridiagonal(l.diagonal, l.beside, l.steps);
        vector_of_tridiagonal(l.diagonal, l.beside, l.steps, *value, x);
        /* What is left over when the matrix is applied to the approximation. */
        goes_on &= !(fabs(l.beside[l.steps - 1] * x[l.steps - 1]) <= 1e-11 * fabs(*value));
    }
    memset(vector, 0, (size_t)order * sizeof *vector);
    for (int k = 0; k < l.steps; k++)
        add_scaled(vector, x[k], l.basis + k * order, order);
    gc_free(l.basis);
    return GRADCAM_OK;
}

/* ---- Projection ----------------------------------------------------------------------------- */

typedef struct matrix {
    const double *centred; /* channels x positions */
    int64_t channels, positions;
} matrix;

/* y = X X' x over positions, X positions x channels. */
static void multiply(void *user, const double *x, double *y)
{
    const matrix *const m = user;
    memset(y, 0, (size_t)m->positions * sizeof *y);
    for (int64_t c = 0; c < m->channels; c++)
        add_scaled(y, dot(m->centred + c * m->positions, x, m->positions),
                   m->centred + c * m->positions, m->positions);
}

static void centre(const float *from, int64_t count, double *to)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += from[i];
    for (int64_t i = 0; i < count; i++)
        to[i] = from[i] - sum / (double)count;
}

void gc_fix_sign(const gradcam_features *f, float *map)
{
    double sum_map = 0.0, sum_a = 0.0, sum_both = 0.0;
    for (int64_t i = 0; i < f->positions; i++) {
        double a = 0.0;
        for (int64_t c = 0; c < f->channels; c++)
            a += f->activation[c * f->positions + i];
        sum_map += map[i];
        sum_a += a;
        sum_both += a * map[i];
    }
    if (sum_both - sum_map * sum_a / (double)f->positions < 0.0)
        for (int64_t i = 0; i < f->positions; i++)
            map[i] = -map[i];
}

/* The left singular vector times the singular value is the projection on the right one. */
gradcam_status gc_project(const float *elements, const gradcam_features *f, float *map,
                          gradcam_error *error)
{
    double *centred = NULL, value = 0.0, *vector = NULL;
    GC_TRY(gc_new(&centred, (size_t)(f->channels * f->positions), sizeof *centred, error));
    gradcam_status status = gc_new(&vector, (size_t)f->positions, sizeof *vector, error);
    if (status == GRADCAM_OK) {
        matrix m = {.centred = centred, .channels = f->channels, .positions = f->positions};
        for (int64_t c = 0; c < f->channels; c++)
            centre(elements + c * f->positions, f->positions, centred + c * f->positions);
        status = gc_largest_eigenvector(f->positions, multiply, &m, &value, vector, error);
    }
    for (int64_t i = 0; status == GRADCAM_OK && i < f->positions; i++)
        map[i] = (float)(sqrt(fmax(value, 0.0)) * vector[i]);
    if (status == GRADCAM_OK)
        gc_fix_sign(f, map);
    gc_free(centred);
    gc_free(vector);
    return status;
}
