/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places slots in one block of memory: largest first, each at the lowest offset where it overlaps
 * no placed slot whose lifetime meets its own.
 */
#include "engine/build.h"

#include <limits.h>
#include <stdlib.h>

enum { ALIGNMENT = 64 };

typedef struct placed {
    size_t offset, end;
    int first, last, slot;
} placed;

static int larger_first(const void *a, const void *b)
{
    const placed *const pa = a, *const pb = b;
    const size_t sa = pa->end - pa->offset, sb = pb->end - pb->offset;
    if (sa != sb)
        return sa < sb ? 1 : -1;
    return pa->slot - pb->slot; /* a total order, so that plans repeat exactly */
}

static int lower_first(const void *a, const void *b)
{
    const placed *const pa = *(const placed *const *)a, *const pb = *(const placed *const *)b;
    return pa->offset < pb->offset ? -1 : pa->offset > pb->offset;
}

static placed wish(const gc_plan *plan, int index)
{
    const gc_slot *const s = &plan->slots[index];
    const size_t bytes = (s->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    /* Some vectors read past the last channel; give every slot one line of slack. */
    return (placed){.end = bytes + ALIGNMENT,
                    .first = s->is_pinned ? 0 : s->first,
                    .last = s->is_pinned ? INT_MAX : s->last,
                    .slot = index};
}

/* `meeting` are the placed ones that live at the same time, sorted by offset. */
static size_t lowest_gap(placed *const *meeting, int count, size_t size)
{
    size_t offset = 0;
    for (int i = 0; i < count; i++) {
        if (meeting[i]->offset >= offset + size)
            break;
        if (meeting[i]->end > offset)
            offset = meeting[i]->end;
    }
    return offset;
}

static size_t place_all(gc_plan *plan, placed *all, placed **meeting, int count)
{
    size_t block = 0;
    for (int i = 0; i < count; i++) {
        const size_t size = all[i].end;
        int met = 0;
        for (int j = 0; j < i; j++)
            if (all[j].first <= all[i].last && all[i].first <= all[j].last)
                meeting[met++] = &all[j];
        qsort(meeting, (size_t)met, sizeof(placed *), lower_first);
        all[i].offset = lowest_gap(meeting, met, size);
        all[i].end = all[i].offset + size;
        plan->slots[all[i].slot].offset = all[i].offset;
        if (all[i].end > block)
            block = all[i].end;
    }
    return block;
}

gradcam_status gc_place_slots(gc_plan *plan, size_t *bytes, gradcam_error *error)
{
    placed *all = NULL, **meeting = NULL;
    int count = 0;
    gradcam_status status = gc_new(&all, (size_t)plan->slot_count, sizeof *all, error);
    if (status == GRADCAM_OK)
        status = gc_new(&meeting, (size_t)plan->slot_count, sizeof(placed *), error);
    if (status == GRADCAM_OK) {
        for (int s = 0; s < plan->slot_count; s++)
            if (plan->slots[s].fixed == NULL && plan->slots[s].parent == GC_NO_SLOT &&
                (plan->slots[s].first >= 0 || plan->slots[s].is_pinned))
                all[count++] = wish(plan, s);
        qsort(all, (size_t)count, sizeof *all, larger_first);
        *bytes = place_all(plan, all, meeting, count);
    }
    gc_free(all);
    gc_free(meeting);
    return status;
}
