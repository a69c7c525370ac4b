/* SPDX-License-Identifier: Apache-2.0 */
/* The workers of `gradcam explain`: order, failures, what is under way at once, scarce memory. */
#include <stdatomic.h>
#include <time.h>

#include "cli/crew.h"
#include "test.h"

enum { COUNT = 120, WORKERS = 4, REFUSED = 50 };

static gradcam_error error;
static gc_settings settings;
static gc_session session;

/* How a run goes, and what was seen of it. */
typedef struct run {
    bool fails;     /* every tenth picture, and one for its size */
    int most;       /* explain no more at once, or run out of memory; 0: as many as come */
    atomic_int now; /* being explained */
    atomic_size_t taken;
    atomic_bool is_crowded;
    size_t delivered;
} run;

typedef struct item {
    size_t index;
    gradcam_explanation *explanation;
} item;

/* Each takes another time, so that they get ready in another order. */
static void linger(size_t index)
{
    const struct timespec time = {0, (long)(index * 7919 % 5) * 200000};
    nanosleep(&time, NULL);
}

static gradcam_status explain(run *r, const gc_session *own, size_t index, item *to,
                              gradcam_error *failure)
{
    const gradcam_input input = {.path = FIXTURES "/cli/picture.png"};
    linger(index);
    if (r->most > 0 && atomic_load(&r->now) > r->most)
        return gc_fail(failure, GRADCAM_ERROR_MEMORY, "too many at once");
    if (r->fails && index == REFUSED)
        return gc_fail(failure, GRADCAM_ERROR_LIMIT, "picture %zu is too large", index);
    if (r->fails && index % 10 == 3)
        return gc_fail(failure, GRADCAM_ERROR_FILE, "picture %zu", index);
    to->index = index;
    return gradcam_explain(own->explainer, &input, NULL, &to->explanation, failure);
}

static gradcam_status work(void *user, const gc_session *own, size_t index, void *to,
                           gradcam_error *failure)
{
    run *const r = user;
    atomic_fetch_add(&r->taken, 1);
    atomic_fetch_add(&r->now, 1);
    const gradcam_status status = explain(r, own, index, to, failure);
    atomic_fetch_sub(&r->now, 1);
    return status;
}

static gradcam_status finish(void *user, size_t index, void *from, gradcam_status status,
                             gradcam_error *failure)
{
    run *const r = user;
    item *const it = from;
    char expected[32];
    CHECK_INT(index, r->delivered);
    r->delivered++;
    snprintf(expected, sizeof expected, "picture %zu", index);
    if (r->fails && index == REFUSED) {
        CHECK_INT(status, GRADCAM_ERROR_LIMIT);
    } else if (r->fails && index % 10 == 3) {
        CHECK_INT(status, GRADCAM_ERROR_FILE);
        CHECK_STR(failure->message, expected);
    } else {
        CHECK_INT(status, GRADCAM_OK);
        CHECK_INT(it->index, index);
        CHECK(it->explanation != NULL);
    }
    if (atomic_load(&r->taken) > r->delivered + 2 * WORKERS)
        atomic_store(&r->is_crowded, true);
    gradcam_explanation_destroy(&it->explanation);
    return status;
}

static gradcam_status go(run *r, int workers)
{
    const gc_crew_job job = {.settings = &settings,
                             .session = &session,
                             .count = COUNT,
                             .item_size = sizeof(item),
                             .workers = workers,
                             .user = r,
                             .work = work,
                             .finish = finish};
    const gradcam_status status = gc_crew_run(&job, &error);
    CHECK_INT(r->delivered, COUNT);
    CHECK_INT(r->now, 0);
    return status;
}

static void pictures_come_in_order(void)
{
    for (int workers = 1; workers <= WORKERS; workers++) {
        run r = {.fails = false};
        CHECK_OK(go(&r, workers));
        CHECK(!r.is_crowded);
        CHECK_INT(r.taken, COUNT);
    }
}

static void the_first_failure_is_the_status(void)
{
    for (int workers = 1; workers <= WORKERS; workers += WORKERS - 1) {
        run r = {.fails = true};
        CHECK_INT(go(&r, workers), GRADCAM_ERROR_FILE);
        CHECK_STR(error.message, "picture 3");
    }
}

static void scarce_memory_is_for_one_at_a_time(void)
{
    for (int most = 1; most < WORKERS; most++) {
        run r = {.most = most};
        CHECK_OK(go(&r, WORKERS));
    }
}

static void few_pictures_are_for_one_worker(void)
{
    int threads = 0;
    settings.explainer.threads = 4;
    CHECK_INT(gc_crew_size(&settings, 1, &threads), 1);
    CHECK_INT(threads, 4);
    CHECK_INT(gc_crew_size(&settings, 7, &threads), 1);
    CHECK_INT(gc_crew_size(&settings, 8, &threads), 2);
    CHECK_INT(threads, 2);
    CHECK_INT(gc_crew_size(&settings, 1000, &threads), 4);
    CHECK_INT(threads, 1);
    settings.explainer.threads = 1;
    CHECK_INT(gc_crew_size(&settings, 1000, &threads), 1);
    settings.explainer.threads = 0;
    CHECK(gc_crew_size(&settings, 1000, &threads) >= 1);
}

static void open_session(void)
{
    gc_settings_init(&settings);
    CHECK_OK(gc_texts_add(&settings.arguments, FIXTURES "/cli/model.onnx", &error));
    CHECK_OK(gc_session_open(&session, &settings, 1, &error));
}

static void close_session(void)
{
    gc_session_close(&session);
    gc_settings_free(&settings);
}

TEST_MAIN(open_session, pictures_come_in_order, the_first_failure_is_the_status,
          scarce_memory_is_for_one_at_a_time, few_pictures_are_for_one_worker, close_session)
