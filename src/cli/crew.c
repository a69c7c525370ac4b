/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/crew.h"

#include <pthread.h>
#include <string.h>

#include "base/threads.h"

/* A picture between taking and handing over. */
typedef struct slot {
    void *item;
    gradcam_status status;
    gradcam_error error;
    bool is_done;
} slot;

typedef struct crew {
    const gc_crew_job *job;
    slot *slots; /* picture i is in slot i % ring */
    char *items;
    size_t ring;
    pthread_t *threads;
    int thread_count;
    gradcam_status first;   /* failure of all pictures */
    gradcam_error *failure; /* its text */
    bool is_alone;          /* memory or threads do not suffice for several */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* one of what follows, which the lock guards, or is_done of a slot */
    size_t taken, finished;
    int seated;
    bool is_scarce; /* a worker ran out of memory; all of them leave */
} crew;

/* Few pictures are sooner done by all threads together, since each explainer has to be prepared. */
int gc_crew_size(const gc_settings *settings, size_t count, int *threads_each)
{
    enum { WORTH = 4, MOST = 1024 };
    const int threads = gc_threads_count(settings->explainer.threads);
    const size_t worth = count / WORTH < MOST ? count / WORTH : MOST;
    const int workers = worth < 2 ? 1 : (int)worth < threads ? (int)worth : threads;
    *threads_each = threads / workers;
    return workers;
}

/* ---- Workers -------------------------------------------------------------------------------- */

static bool take(crew *c, size_t *index)
{
    pthread_mutex_lock(&c->lock);
    while (!c->is_scarce && c->taken < c->job->count && c->taken - c->finished >= c->ring)
        pthread_cond_wait(&c->changed, &c->lock);
    const bool is_taken = !c->is_scarce && c->taken < c->job->count;
    if (is_taken)
        *index = c->taken++;
    pthread_mutex_unlock(&c->lock);
    return is_taken;
}

/* A picture may be refused for its size alone: the caller's thread finds out, by trying again. */
static void put(crew *c, size_t index)
{
    slot *const s = &c->slots[index % c->ring];
    pthread_mutex_lock(&c->lock);
    if (gc_is_scarce(s->status))
        c->is_scarce = true;
    else
        s->is_done = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void run_slot(crew *c, const gc_session *session, size_t index)
{
    slot *const s = &c->slots[index % c->ring];
    s->error = (gradcam_error){.message = ""};
    s->status = c->job->work(c->job->user, session, index, s->item, &s->error);
}

static int take_seat(crew *c)
{
    pthread_mutex_lock(&c->lock);
    const int seat = c->seated++;
    pthread_mutex_unlock(&c->lock);
    return seat;
}

/* The first has the session's explainer; another that gets none leaves the work to the others. */
static void *work(void *argument)
{
    crew *const c = argument;
    gc_session own = *c->job->session;
    const int seat = take_seat(c);
    size_t index = 0;
    gc_threads_set(own.threads);
    if (seat > 0 && gc_session_another(&own, c->job->settings, NULL) != GRADCAM_OK)
        return NULL;
    while (take(c, &index)) {
        run_slot(c, &own, index);
        put(c, index);
    }
    if (seat > 0)
        gradcam_explainer_destroy(&own.explainer);
    return NULL;
}

static void start(crew *c)
{
    c->seated = 0;
    c->is_scarce = false;
    for (c->thread_count = 0; c->thread_count < c->job->workers; c->thread_count++)
        if (pthread_create(&c->threads[c->thread_count], NULL, work, c) != 0)
            break;
    c->is_alone = c->thread_count == 0;
}

static void join(crew *c)
{
    while (c->thread_count > 0)
        pthread_join(c->threads[--c->thread_count], NULL);
}

/* ---- The caller's thread -------------------------------------------------------------------- */

/* False where it will not be done: memory is scarce. */
static bool wait_for(crew *c, size_t index)
{
    const slot *const s = &c->slots[index % c->ring];
    pthread_mutex_lock(&c->lock);
    while (!s->is_done && !c->is_scarce)
        pthread_cond_wait(&c->changed, &c->lock);
    const bool is_done = s->is_done;
    pthread_mutex_unlock(&c->lock);
    return is_done;
}

static void finish(crew *c, size_t index)
{
    slot *const s = &c->slots[index % c->ring];
    const gradcam_status status =
        c->job->finish(c->job->user, index, s->item, s->status, &s->error);
    if (c->first == GRADCAM_OK && status != GRADCAM_OK) {
        c->first = status;
        *c->failure = s->error;
    }
    memset(s->item, 0, c->job->item_size);
    pthread_mutex_lock(&c->lock);
    s->is_done = false;
    c->finished++;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void run_together(crew *c)
{
    start(c);
    while (!c->is_alone && c->finished < c->job->count && wait_for(c, c->finished))
        finish(c, c->finished);
    join(c);
    /* What was taken when memory became scarce. If it suffices for one at a time, that is it. */
    while (c->finished < c->taken) {
        slot *const s = &c->slots[c->finished % c->ring];
        if (!s->is_done) {
            run_slot(c, c->job->session, c->finished);
            c->is_alone |= s->status == GRADCAM_OK;
        }
        finish(c, c->finished);
    }
}

static void run_alone(crew *c)
{
    while (c->finished < c->job->count) {
        run_slot(c, c->job->session, c->finished);
        finish(c, c->finished);
    }
}

static void run(crew *c)
{
    /* Beside workers, this one must not wake a team of its own. */
    const int threads = gc_threads_count(0);
    if (!c->is_alone)
        gc_threads_set(1);
    while (c->finished < c->job->count) {
        if (c->is_alone)
            run_alone(c);
        else
            run_together(c);
    }
    gc_threads_set(threads);
}

static gradcam_status prepare(crew *c, gradcam_error *error)
{
    const gc_crew_job *const job = c->job;
    c->ring = c->is_alone ? 1 : 2 * (size_t)job->workers;
    GC_TRY(gc_new(&c->slots, c->ring, sizeof *c->slots, error));
    GC_TRY(gc_new(&c->items, c->ring, job->item_size, error));
    GC_TRY(gc_new(&c->threads, (size_t)job->workers, sizeof *c->threads, error));
    for (size_t i = 0; i < c->ring; i++)
        c->slots[i].item = c->items + i * job->item_size;
    return GRADCAM_OK;
}

gradcam_status gc_crew_run(const gc_crew_job *job, gradcam_error *error)
{
    crew c = {.job = job,
              .failure = error,
              .is_alone = job->workers < 2,
              .lock = PTHREAD_MUTEX_INITIALIZER,
              .changed = PTHREAD_COND_INITIALIZER};
    gradcam_status status = prepare(&c, error);
    if (status == GRADCAM_OK) {
        run(&c);
        status = c.first;
    }
    gc_free(c.slots);
    gc_free(c.items);
    gc_free(c.threads);
    return status;
}
