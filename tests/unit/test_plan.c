/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine against PyTorch: plans with oneDNN, fusion and blocked layouts, and plain ones, on the
 * single operators of fixtures/ops and the small networks of fixtures/plans.
 *
 * usage: test_plan FOLDER [PREFIX]
 *
 * Every case runs with the engine, with the engine in strict mode, with plain kernels, and with the
 * engine once constants are folded and operators joined (gc_prepare); each time twice forward and,
 * from different seeds, twice backward, so that a buffer reused too early is seen. Exit status 1
 * when a case failed or there was none, when a strict plan uses Winograd's algorithm, when no other
 * one does where oneDNN is known to have it and the case "tiled" ran, when none computes in
 * bfloat16 where the CPU has it and "whole_numbers" ran, which must be exact then, too, or when
 * running a plan allocated memory or took a lock: gc_new_raw, where all blocks of the library come
 * from, calls the aligned_alloc of this program, and whoever takes a lock its pthread_mutex_lock.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan.h"
#include "op_case.h"
#include "passes/passes.h"

enum { MAX_VALUES = 64 };

static const double output_tolerance = 2e-5, gradient_tolerance = 1e-4;

typedef struct tally {
    int cases, failures, gradients;
    double worst_output, worst_gradient;
    int winograd, rounded; /* steps */
    bool failed, is_tiled, is_whole;
} tally;

/* ---- What running does not do --------------------------------------------------------------- */

static long allocations, locks;

void *aligned_alloc(size_t alignment, size_t size)
{
    void *block = NULL;
    allocations++;
    return posix_memalign(&block, alignment, size) == 0 ? block : NULL;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    static int (*real)(pthread_mutex_t *);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_lock");
    locks++;
    return real(mutex);
}

/* ---- Cases ---------------------------------------------------------------------------------- */

/* Of whom the engine asks what. */
typedef enum mode { ENGINE, STRICT, ROUNDED, PLAIN } mode;

typedef struct setup {
    const op_case *c;
    gc_packs *packs;
    gc_feed feeds[MAX_VALUES];
    int fetches[MAX_VALUES], layers[MAX_VALUES], targets[MAX_VALUES];
    const gc_tensor *expected[MAX_VALUES], *gradients[MAX_VALUES], *seeds[MAX_VALUES];
    gc_plan_request request;
} setup;

/* What oneDNN does otherwise, by its own design: its maximum starts at the lowest finite number, so
 * a window of nothing but -infinity gives that. Such activations are refused later as not finite.
 */
static bool is_exception(const setup *s)
{
    return !s->request.plain && strcmp(s->c->name, "max_pool_infinities") == 0;
}

static void complain(tally *t, const setup *s, const char *what, int value, double difference)
{
    fprintf(stderr, "%s%s: %s of '%s' differs by %.3g\n", s->c->name,
            s->request.plain ? " (plain)" : "", what, s->c->model->values[value].name, difference);
    t->failed = true;
}

static void check_calls(tally *t, const setup *s, const char *pass, long allocated, long locked)
{
    if (allocations == allocated && locks == locked)
        return;
    fprintf(stderr, "%s%s: %s: %ld blocks were allocated and %ld locks taken\n", s->c->name,
            s->request.plain ? " (plain)" : "", pass, allocations - allocated, locks - locked);
    t->failed = true;
}

static bool is_input(const gc_graph *model, int value)
{
    for (int i = 0; i < model->input_count; i++)
        if (model->inputs[i] == value)
            return true;
    return false;
}

/* What the case knows becomes the request; false where it cannot be one plan. */
static bool prepare(setup *s, const op_case *c, mode how)
{
    const gc_graph *const m = c->model;
    *s = (setup){.c = c};
    s->request = (gc_plan_request){.feeds = s->feeds,
                                   .fetches = s->fetches,
                                   .layers = s->layers,
                                   .targets = s->targets,
                                   .plain = how == PLAIN,
                                   .strict = how == STRICT,
                                   .bfloat16 = how == ROUNDED};
    if (m->value_count > MAX_VALUES * 4 || m->input_count > MAX_VALUES)
        return false;
    for (int i = 0; i < m->input_count; i++) {
        const gc_tensor *const t = op_case_find(c, "input", m->values[m->inputs[i]].name);
        if (t == NULL)
            return false;
        s->feeds[s->request.feed_count++] = (gc_feed){m->inputs[i], *t};
    }
    for (int v = 0; v < m->value_count && s->request.fetch_count < MAX_VALUES; v++) {
        const char *const name = m->values[v].name;
        const gc_tensor *const out = op_case_find(c, "output", name);
        const gc_tensor *const gradient = op_case_find(c, "grad_input", name);
        const gc_tensor *const seed = op_case_find(c, "grad_output", name);
        if (out != NULL) {
            s->expected[s->request.fetch_count] = out;
            s->fetches[s->request.fetch_count++] = v;
        }
        if (gradient != NULL) {
            s->gradients[s->request.layer_count] = gradient;
            s->layers[s->request.layer_count++] = v;
        }
        if (seed == NULL)
            continue;
        s->seeds[s->request.target_count] = seed;
        s->targets[s->request.target_count++] = v;
    }
    /* A case that must fail has nothing to compare, but still must fail. */
    if (op_case_status(c) != GRADCAM_OK)
        for (int i = 0; i < m->output_count && i < MAX_VALUES; i++)
            s->fetches[s->request.fetch_count++] = m->outputs[i];
    return true;
}

static void feed(const setup *s, gc_plan *plan)
{
    for (int i = 0; i < s->request.feed_count; i++) {
        gc_tensor *const to = gc_plan_feed(plan, i);
        const char *const name = s->c->model->values[s->feeds[i].value].name;
        memcpy(to->data, op_case_find(s->c, "input", name)->data, gc_tensor_bytes(to));
    }
}

static void check_forward(tally *t, const setup *s, const gc_plan *plan)
{
    for (int i = 0; i < s->request.fetch_count; i++) {
        const double d = op_case_difference(gc_plan_fetch(plan, i), s->expected[i]);
        if (is_exception(s))
            continue;
        t->worst_output = fmax(t->worst_output, d);
        if (!(d <= output_tolerance))
            complain(t, s, "value", s->fetches[i], d);
    }
}

static gradcam_status check_backward(tally *t, const setup *s, gc_plan *plan, gradcam_error *error)
{
    for (int k = 0; k < s->request.target_count; k++) {
        gc_tensor *const seed = gc_plan_seed(plan, k);
        for (int64_t i = 0; i < gc_tensor_count(seed); i++)
            gc_floats(seed)[i] = 123.0f;
    }
    const long allocated = allocations, locked = locks;
    GC_TRY(gc_plan_backward(plan, error));
    check_calls(t, s, "backward", allocated, locked);
    for (int k = 0; k < s->request.target_count; k++) {
        gc_tensor *const seed = gc_plan_seed(plan, k);
        memcpy(seed->data, s->seeds[k]->data, gc_tensor_bytes(seed));
    }
    GC_TRY(gc_plan_backward(plan, error));
    for (int i = 0; i < s->request.layer_count; i++) {
        const double d = op_case_difference(gc_plan_gradient(plan, i), s->gradients[i]);
        t->gradients++;
        t->worst_gradient = fmax(t->worst_gradient, d);
        if (!(d <= gradient_tolerance))
            complain(t, s, "gradient", s->layers[i], d);
    }
    return GRADCAM_OK;
}

static void check_algorithms(tally *t, const setup *s, const gc_plan *plan)
{
    char text[GC_STEP_TEXT];
    for (int i = 0; i < gc_plan_step_count(plan); i++) {
        gc_plan_step_text(plan, i, text);
        const bool is_conv = strstr(text, " Conv ") != NULL && strstr(text, " add ") == NULL;
        const bool is_winograd = strstr(text, "wino") != NULL;
        const bool is_rounded = strstr(text, "bf16") != NULL;
        t->winograd += is_winograd;
        t->rounded += is_rounded;
        if ((is_winograd && (s->request.strict || s->request.plain)) ||
            (is_conv && is_rounded != s->request.bfloat16)) {
            fprintf(stderr, "%s: not in this mode: %s\n", s->c->name, text);
            t->failed = true;
        }
    }
}

static gradcam_status run(tally *t, const setup *s, gradcam_error *error)
{
    gc_plan *plan = NULL;
    GC_TRY(gc_plan_create(&plan, s->c->model, s->packs, &s->request, error));
    check_algorithms(t, s, plan);
    feed(s, plan);
    gradcam_status status = GRADCAM_OK;
    for (int round = 0; round < 2 && status == GRADCAM_OK; round++) {
        const long allocated = allocations, locked = locks;
        status = gc_plan_forward(plan, error);
        check_calls(t, s, "forward", allocated, locked);
        if (status == GRADCAM_OK && op_case_status(s->c) == GRADCAM_OK)
            check_forward(t, s, plan);
        if (status == GRADCAM_OK && s->request.target_count > 0)
            status = check_backward(t, s, plan, error);
    }
    gc_plan_destroy(&plan);
    return status;
}

static gradcam_status run_setup(tally *t, const op_case *c, mode how, gradcam_error *error)
{
    setup s;
    if (!prepare(&s, c, how) || s.request.fetch_count == 0)
        return GRADCAM_OK;
    GC_TRY(gc_packs_create(&s.packs, NULL, error));
    gradcam_status status = run(t, &s, error);
    /* A second plan takes the weights the first one packed; and each gradient asked for alone lets
     * more be fused. */
    const int count = s.request.layer_count;
    for (int i = 0; i < count && count > 1 && status == GRADCAM_OK; i++) {
        if (is_input(c->model, s.layers[i]) == (i > 0))
            continue;
        setup alone = s;
        alone.request.layers = &s.layers[i];
        alone.layers[0] = s.layers[i];
        alone.gradients[0] = s.gradients[i];
        alone.request.layer_count = 1;
        alone.request.fetch_count = 1;
        status = run(t, &alone, error);
    }
    gc_packs_destroy(&s.packs);
    return status;
}

static void run_case(tally *t, const char *folder, const char *name)
{
    op_case c = {0};
    gradcam_error error = {.message = ""};
    t->failed = false;
    const bool is_whole = strcmp(name, "whole_numbers") == 0;
    t->is_tiled |= strcmp(name, "tiled") == 0;
    t->is_whole |= is_whole;
    gradcam_status status = op_case_read(&c, folder, name, &error);
    if (status == GRADCAM_OK && c.model != NULL) {
        const gradcam_status expected = op_case_status(&c);
        t->cases++;
        status = run_setup(t, &c, ENGINE, &error);
        if (status == GRADCAM_OK)
            status = run_setup(t, &c, STRICT, &error);
        if (status == GRADCAM_OK && is_whole && gc_dnnl_has_bfloat16())
            status = run_setup(t, &c, ROUNDED, &error);
        if (status == GRADCAM_OK)
            status = run_setup(t, &c, PLAIN, &error);
        if (status == GRADCAM_OK) /* as a user's model is, before its first plan */
            status = gc_prepare(c.model, &error);
        if (status == GRADCAM_OK)
            status = run_setup(t, &c, ENGINE, &error);
        if (expected != GRADCAM_OK) /* refused, with whatever status names the reason best */
            status = status != GRADCAM_OK ? GRADCAM_OK : GRADCAM_ERROR_INTERNAL;
    }
    if (status != GRADCAM_OK) {
        fprintf(stderr, "%s: %s: %s\n", name, gradcam_status_text(status), error.message);
        t->failed = true;
    }
    op_case_free(&c);
    t->failures += t->failed;
}

/* Version 2 has it for AVX-512; later ones need not. */
static bool lacks_winograd(const tally *t)
{
    char text[256];
    gc_dnnl_describe(text, sizeof text);
    const bool has_it = strstr(text, "oneDNN 2.") != NULL && strstr(text, "AVX-512") != NULL;
    if (!has_it || !t->is_tiled || t->winograd > 0)
        return false;
    fprintf(stderr, "tiled: no convolution took Winograd's algorithm (%s)\n", text);
    return true;
}

/* All convolutions of the case that is made for it do (check_algorithms), if the mode ran. */
static bool lacks_bfloat16(const tally *t)
{
    if (!gc_dnnl_has_bfloat16() || !t->is_whole || t->rounded > 0)
        return false;
    fprintf(stderr, "whole_numbers: no convolution read bfloat16\n");
    return true;
}

/* Making plans does both. */
static bool sees_no_calls(void)
{
    if (allocations > 0 && locks > 0)
        return false;
    fprintf(stderr, "calls of aligned_alloc or pthread_mutex_lock do not come here\n");
    return true;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: test_plan FOLDER [PREFIX]\n");
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
    printf("%d cases, %d failed; %d gradients; largest difference of values %.2g, of gradients "
           "%.2g; %d steps by Winograd's algorithm, %d in bfloat16\n",
           t.cases, t.failures, t.gradients, t.worst_output, t.worst_gradient, t.winograd,
           t.rounded);
    return t.failures > 0 || t.cases == 0 || lacks_winograd(&t) || lacks_bfloat16(&t) ||
           sees_no_calls();
}
