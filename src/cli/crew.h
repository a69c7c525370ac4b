/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many pictures, worked on by several threads at once, each with an explainer of its own on the
 * shared model, and handed over by the calling thread one after the other, in their order.
 *
 * Several pictures on one core each make more of a machine than one picture on all cores, and what
 * is done beside computing (decoding, rendering, encoding, waiting for the disk) goes on meanwhile.
 * No more than two pictures a worker are between taking and handing over, so memory does not depend
 * on the number of pictures.
 */
#ifndef GC_CLI_CREW_H
#define GC_CLI_CREW_H

#include "cli/session.h"

typedef struct gc_crew_job {
    const gc_settings *settings;
    const gc_session *session;
    size_t count;     /**< Of pictures. */
    size_t item_size; /**< Of what becomes of a picture; zeroed before. */
    int workers;      /**< See gc_crew_size. */
    void *user;
    /** On a worker's thread, with its session. On failure the item needs no freeing. */
    gradcam_status (*work)(void *user, const gc_session *session, size_t index, void *item,
                           gradcam_error *error);
    /** On the caller's thread, in the order of pictures, also where work failed: `status` and
     *  `error` say how. Frees the item. */
    gradcam_status (*finish)(void *user, size_t index, void *item, gradcam_status status,
                             gradcam_error *error);
} gc_crew_job;

/** How many workers `count` pictures are worth, and how many threads each of them gets. */
int gc_crew_size(const gc_settings *settings, size_t count, int *threads_each);

/**
 * Works through all pictures; with one worker, on the calling thread. Where memory does not suffice
 * for several at once, goes on with one.
 *
 * @return the first failure of `finish`, which does not stop the others, and its error;
 *         GRADCAM_ERROR_MEMORY.
 */
gradcam_status gc_crew_run(const gc_crew_job *job, gradcam_error *error);

#endif
