/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every operator against PyTorch: outputs, and gradients from autograd and from finite differences,
 * computed by the plain kernels through the reference interpreter.
 *
 * usage: test_ops FOLDER [PREFIX]   (only cases whose name starts with PREFIX)
 *
 * Prints a line per failure, then the largest differences met. Exit status 1 when a case failed or
 * there was none.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "op_case.h"
#include "reference.h"

static const double output_tolerance = 1e-5, gradient_tolerance = 1e-4;

typedef struct tally {
    size_t cases, failures, gradients;
    double worst_output, worst_gradient;
    bool failed; /**< The case at hand. */
} tally;

static void complain(tally *t, const op_case *c, const char *what, const char *value,
                     double difference)
{
    fprintf(stderr, "%s: %s of '%s' differs by %.3g\n", c->name, what, value, difference);
    t->failed = true;
}

static gradcam_status feed(reference *r, const op_case *c, gradcam_error *error)
{
    for (int i = 0; i < c->model->input_count; i++) {
        const int v = c->model->inputs[i];
        const char *const name = c->model->values[v].name;
        const gc_tensor *const tensor = op_case_find(c, "input", name);
        GC_FAIL_IF(tensor == NULL, error, GRADCAM_ERROR_FILE, "no input for '%s'", name);
        GC_TRY(reference_feed(r, v, tensor, error));
    }
    return GRADCAM_OK;
}

static void check_outputs(tally *t, const op_case *c, const reference *r)
{
    for (int i = 0; i < c->model->output_count; i++) {
        const int v = c->model->outputs[i];
        const char *const name = c->model->values[v].name;
        const gc_tensor *const expected = op_case_find(c, "output", name);
        const double difference =
            expected == NULL ? INFINITY : op_case_difference(reference_value(r, v), expected);
        t->worst_output = fmax(t->worst_output, difference);
        if (!(difference <= output_tolerance))
            complain(t, c, "output", name, difference);
    }
}

static bool seed_gradients(reference *r, const op_case *c, gradcam_status *status,
                           gradcam_error *error)
{
    bool any = false;
    for (int i = 0; i < c->model->output_count && *status == GRADCAM_OK; i++) {
        const int v = c->model->outputs[i];
        const gc_tensor *const seed = op_case_find(c, "grad_output", c->model->values[v].name);
        if (seed == NULL)
            continue;
        *status = reference_seed(r, v, seed, error);
        any = true;
    }
    for (int i = 0; i < c->model->input_count; i++) {
        const int v = c->model->inputs[i];
        if (op_case_find(c, "grad_input", c->model->values[v].name) != NULL)
            reference_want(r, v);
    }
    return any;
}

static void check_gradient(tally *t, const op_case *c, const reference *r, int v, const char *kind)
{
    const char *const name = c->model->values[v].name;
    const gc_tensor *const expected = op_case_find(c, kind, name);
    if (expected == NULL)
        return;
    const double difference = op_case_difference(reference_gradient(r, v), expected);
    t->gradients++;
    t->worst_gradient = fmax(t->worst_gradient, difference);
    if (!(difference <= gradient_tolerance))
        complain(t, c, kind, name, difference);
}

static gradcam_status check_gradients(tally *t, const op_case *c, reference *r,
                                      gradcam_error *error)
{
    gradcam_status status = GRADCAM_OK;
    if (!seed_gradients(r, c, &status, error) || status != GRADCAM_OK)
        return status;
    GC_TRY(reference_backward(r, error));
    for (int i = 0; i < c->model->input_count; i++) {
        check_gradient(t, c, r, c->model->inputs[i], "grad_input");
        check_gradient(t, c, r, c->model->inputs[i], "fd_input");
    }
    return GRADCAM_OK;
}

static gradcam_status run(tally *t, const op_case *c, gradcam_error *error)
{
    reference *r = NULL;
    gradcam_status status = reference_create(&r, c->model, error);
    if (status == GRADCAM_OK)
        status = feed(r, c, error);
    if (status == GRADCAM_OK)
        status = reference_forward(r, error);
    if (status == GRADCAM_OK && op_case_status(c) == GRADCAM_OK) {
        check_outputs(t, c, r);
        status = check_gradients(t, c, r, error);
    }
    reference_destroy(&r);
    return status;
}

static void run_case(tally *t, const char *folder, const char *name)
{
    op_case c = {0};
    gradcam_error error = {.message = ""};
    t->failed = false;
    t->cases++;
    gradcam_status status = op_case_read(&c, folder, name, &error);
    gradcam_status expected = GRADCAM_OK;
    if (status == GRADCAM_OK) {
        expected = op_case_status(&c);
        status = c.model == NULL ? expected : run(t, &c, &error);
    }
    if (status != expected) {
        fprintf(stderr, "%s: %s: %s\n", name, gradcam_status_text(status), error.message);
        t->failed = true;
    }
    op_case_free(&c);
    t->failures += t->failed;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: test_ops FOLDER [PREFIX]\n");
        return 2;
    }
    char **names = NULL;
    size_t count = 0;
    gradcam_error error = {.message = ""};
    tally t = {0};
    if (op_case_list(argv[1], &names, &count, &error) != GRADCAM_OK)
        fprintf(stderr, "%s\n", error.message);
    for (size_t i = 0; i < count; i++)
        if (argc < 3 || strncmp(names[i], argv[2], strlen(argv[2])) == 0)
            run_case(&t, argv[1], names[i]);
    op_case_list_free(&names, count);
    printf("%zu cases, %zu failed; %zu gradients; largest difference of outputs %.2g, of gradients "
           "%.2g\n",
           t.cases, t.failures, t.gradients, t.worst_output, t.worst_gradient);
    return t.failures > 0 || t.cases == 0;
}
