/* SPDX-License-Identifier: Apache-2.0 */
#include "base/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

/* What a thread reads at once. */
enum { PIECE = 1 << 20 };

/* No errno is this. */
enum { SHORTER = 1 << 20 };

struct gc_store {
    int number;
    atomic_int holds;
    struct stat info;
    char *path;
};

static gradcam_status find_out(gc_store *store, gradcam_error *error)
{
    GC_FAIL_IF(fstat(store->number, &store->info) != 0, error, GRADCAM_ERROR_FILE, "%s",
               strerror(errno));
    GC_FAIL_IF(S_ISDIR(store->info.st_mode), error, GRADCAM_ERROR_FILE, "is a folder");
    GC_FAIL_IF(!S_ISREG(store->info.st_mode), error, GRADCAM_ERROR_FILE, "is not a regular file");
    GC_FAIL_IF((uintmax_t)store->info.st_size > PTRDIFF_MAX, error, GRADCAM_ERROR_LIMIT,
               "the file is too large for this machine");
    return GRADCAM_OK;
}

static gradcam_status open_file(gc_store *store, const char *path, bool follow,
                                gradcam_error *error)
{
    const size_t length = strlen(path) + 1;
    GC_TRY(gc_new_raw(&store->path, length, 1, error));
    memcpy(store->path, path, length);
    /* O_NONBLOCK: a named pipe must not hang us; it is refused below. */
    store->number = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
    GC_FAIL_IF(store->number < 0, error, GRADCAM_ERROR_FILE, "%s", strerror(errno));
    return find_out(store, error);
}

gradcam_status gc_store_open(gc_store **store, const char *path, bool follow, gradcam_error *error)
{
    GC_TRY(gc_new(store, 1, sizeof **store, error));
    atomic_init(&(*store)->holds, 1);
    (*store)->number = -1;
    const gradcam_status status = open_file(*store, path, follow, error);
    if (status != GRADCAM_OK) {
        gc_store_release(*store);
        *store = NULL;
    }
    return status;
}

gc_store *gc_store_retain(gc_store *store)
{
    atomic_fetch_add_explicit(&store->holds, 1, memory_order_relaxed);
    return store;
}

void gc_store_release(gc_store *store)
{
    if (store == NULL || atomic_fetch_sub_explicit(&store->holds, 1, memory_order_acq_rel) != 1)
        return;
    if (store->number >= 0)
        close(store->number);
    gc_free(store->path);
    gc_free(store);
}

const char *gc_store_path(const gc_store *store)
{
    return store->path;
}

uint64_t gc_store_size(const gc_store *store)
{
    return (uint64_t)store->info.st_size;
}

/* 0, errno, or SHORTER. */
static int read_piece(int number, uint8_t *out, size_t size, uint64_t offset)
{
    while (size > 0) {
        const ssize_t got = pread(number, out, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : SHORTER;
        out += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return 0;
}

/* On all threads, since the first touch of a page costs more than the copy. */
gradcam_status gc_store_read(const gc_store *store, void *out, size_t size, uint64_t offset,
                             gradcam_error *error)
{
    const size_t pieces = (size + PIECE - 1) / PIECE;
    int reason = 0;
#pragma omp parallel for reduction(max : reason) schedule(static) if (pieces > 1)
    for (size_t i = 0; i < pieces; i++) {
        const size_t first = i * PIECE, length = size - first < PIECE ? size - first : PIECE;
        const int failed =
            read_piece(store->number, (uint8_t *)out + first, length, offset + first);
        reason = failed > reason ? failed : reason;
    }
    GC_FAIL_IF(reason == SHORTER, error, GRADCAM_ERROR_FILE,
               "the file became shorter while it was read");
    GC_FAIL_IF(reason != 0, error, GRADCAM_ERROR_FILE, "%s", strerror(reason));
    return GRADCAM_OK;
}

gradcam_status gc_store_check(const gc_store *store, gradcam_error *error)
{
    struct stat now;
    const struct stat *const then = &store->info;
    GC_FAIL_IF(fstat(store->number, &now) != 0, error, GRADCAM_ERROR_FILE, "%s: %s", store->path,
               strerror(errno));
    GC_FAIL_IF(now.st_size != then->st_size || now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
                   now.st_mtim.tv_nsec != then->st_mtim.tv_nsec,
               error, GRADCAM_ERROR_FILE,
               "%s: the file was written to after it was loaded, and weights that are needed now "
               "are not what they were; load the model again (and replace model files by renaming)",
               store->path);
    return GRADCAM_OK;
}
