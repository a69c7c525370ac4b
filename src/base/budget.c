/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* Of the control group (version 2) that a container usually sees as its root; UINT64_MAX: none. */
static uint64_t group_limit(void)
{
    uint64_t bytes = UINT64_MAX;
    FILE *const file = fopen("/sys/fs/cgroup/memory.max", "re");
    if (file == NULL)
        return bytes;
    if (fscanf(file, "%" SCNu64, &bytes) != 1) /* "max" */
        bytes = UINT64_MAX;
    (void)fclose(file);
    return bytes;
}

static uint64_t machine_memory(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
}

void gc_budget_init(gc_budget *budget, uint64_t limit)
{
    if (limit == 0) {
        const uint64_t machine = machine_memory(), group = group_limit();
        limit = (machine < group ? machine : group) / 5 * 4;
    }
    budget->limit = limit;
    atomic_init(&budget->used, 0);
}

enum { SIZE_TEXT = 32 };

/* "1.5 MiB" */
static const char *size_text(uint64_t bytes, char text[SIZE_TEXT])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes / 1024.0;
    int unit = 0;
    for (; size >= 1024.0 && unit < 3; unit++)
        size /= 1024.0;
    snprintf(text, SIZE_TEXT, "%.1f %s", size, units[unit]);
    return text;
}

gradcam_status gc_budget_take(gc_budget *budget, uint64_t bytes, const char *what,
                              gradcam_error *error)
{
    char needed[SIZE_TEXT], used[SIZE_TEXT], limit[SIZE_TEXT];
    if (budget == NULL)
        return GRADCAM_OK;
    const uint64_t before = atomic_fetch_add(&budget->used, bytes);
    if (before <= budget->limit && bytes <= budget->limit - before)
        return GRADCAM_OK;
    atomic_fetch_sub(&budget->used, bytes);
    return gc_fail(error, GRADCAM_ERROR_LIMIT,
                   "%s: %s of memory are needed beside %s in use, but the limit is %s; raise it "
                   "(--max-memory, max_memory) or take a smaller input (--size)",
                   what, size_text(bytes, needed), size_text(before, used),
                   size_text(budget->limit, limit));
}

void gc_budget_give(gc_budget *budget, uint64_t bytes)
{
    if (budget != NULL)
        atomic_fetch_sub(&budget->used, bytes);
}
