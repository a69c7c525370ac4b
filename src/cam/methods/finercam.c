/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finer-CAM: Grad-CAM of what sets the class apart from those that look like it.
 * Zhang et al., "Finer-CAM: Spotting the Difference Reveals Finer Details for Visual Explanation",
 * CVPR 2025, arXiv:2501.11309. The score is that of pytorch-grad-cam: the differences of the
 * class's logit to `alpha` times the logits of the three classes nearest to it, weighted by their
 * probabilities, which are differentiated, too.
 */
#include "cam/method.h"

#include <math.h>

enum { ALPHA, REFERENCES = 3 };

static const gradcam_setting settings[] = {
    {"alpha", 1, 0, 100, "how much of the other classes is taken away"}};

typedef struct comparison {
    int index, others[REFERENCES], count;
    double alpha;
    int64_t classes;
} comparison;

/* The classes of the smallest gap to the logit, in order; ties by index. */
static void find_references(comparison *k, const float *z)
{
    double last = -1.0;
    int last_index = -1;
    for (k->count = 0; k->count < REFERENCES; k->count++) {
        int best = -1;
        double best_gap = INFINITY;
        for (int i = 0; i < k->classes; i++) {
            const double gap = fabs((double)z[i] - z[k->index]);
            const bool is_next = gap > last || (gap == last && i > last_index);
            if (i != k->index && is_next && gap < best_gap) {
                best = i;
                best_gap = gap;
            }
        }
        if (best < 0)
            return;
        k->others[k->count] = best;
        last = best_gap;
        last_index = best;
    }
}

/* s = N / D, N = sum p_j (z_c - alpha z_j), D = sum p_j + 1e-9. */
static gradcam_status evaluate(void *user, const gradcam_tensor *outputs, size_t count,
                               double *score, gradcam_error *error)
{
    const comparison *const k = user;
    const float *const z = outputs[0].values;
    float *const g = outputs[0].gradient;
    double largest = -INFINITY, sum = 0.0, numerator = 0.0, denominator = 1e-9, p[REFERENCES];
    (void)count;
    (void)error;
    for (int64_t i = 0; i < k->classes; i++)
        largest = fmax(largest, z[i]);
    for (int64_t i = 0; i < k->classes; i++)
        sum += exp(z[i] - largest);
    for (int j = 0; j < k->count; j++) {
        p[j] = exp(z[k->others[j]] - largest) / sum;
        numerator += p[j] * (z[k->index] - k->alpha * z[k->others[j]]);
        denominator += p[j];
    }
    *score = numerator / denominator;
    if (g == NULL)
        return GRADCAM_OK;
    /* dp_j / dz_i = p_j ([i = j] - p_i): the second term is the same for every j. */
    const double common = numerator - *score * (denominator - 1e-9);
    for (int64_t i = 0; i < k->classes; i++)
        g[i] = (float)(-exp(z[i] - largest) / sum * common / denominator);
    g[k->index] += (float)((denominator - 1e-9) / denominator);
    for (int j = 0; j < k->count; j++) {
        const double term = z[k->index] - k->alpha * z[k->others[j]];
        g[k->others[j]] += (float)((p[j] * (term - *score) - k->alpha * p[j]) / denominator);
    }
    return GRADCAM_OK;
}

static gradcam_status run(gc_case *c, float *weights, const gc_goal *goal, gradcam_error *error)
{
    const gc_tensor *gradient = NULL;
    gc_case plain = *c;
    GC_TRY(gc_runner_gradient(c->runner, goal, false, c->layer, &gradient, error));
    plain.features.gradient = gc_floats(gradient);
    return gc_method_find("gradcam")->weigh(&plain, weights, error);
}

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    const gradcam_tensor *heads = NULL;
    int head_count = 0;
    GC_TRY(gc_runner_heads(c->runner, &heads, &head_count, error));
    int64_t classes = 1;
    for (int i = 0; i < heads[0].rank; i++)
        classes *= heads[0].dims[i];
    GC_FAIL_IF(c->goal->class_index < 0 || c->goal->class_index >= classes, error,
               GRADCAM_ERROR_ARGUMENT,
               "finercam compares a class with others, and the target '%s' is none", c->goal->text);
    comparison k = {.index = c->goal->class_index, .alpha = c->settings[ALPHA], .classes = classes};
    find_references(&k, heads[0].values);
    const gc_goal goal = {.text = c->goal->text,
                          .class_index = k.index,
                          .heads = 1,
                          .is_negated = c->goal->is_negated,
                          .evaluate = evaluate,
                          .state = &k};
    const gradcam_status status = run(c, weights, &goal, error);
    gc_runner_forget(c->runner); /* this goal goes */
    return status;
}

const gc_method gc_method_finercam = {
    .info = {.name = "finercam",
             .summary = "Grad-CAM of what sets the class apart from the three nearest ones",
             .formula = "Grad-CAM of sum_j p_j (s_c - alpha s_j) / sum_j p_j",
             .paper = "Zhang et al. 2025, arXiv:2501.11309",
             .cost = "1 forward, 1 backward of its own",
             .needs = "gradients",
             .settings = settings,
             .setting_count = sizeof settings / sizeof settings[0]},
    .uses = GC_USES_GRADIENT,
    .weigh = weigh,
};
