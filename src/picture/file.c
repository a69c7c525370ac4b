/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* O_TMPFILE, and the strerror_r that returns text */
#include "picture/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static gradcam_status fail_errno(gradcam_error *error, const char *path, const char *what)
{
    char room[128];
    return gc_fail(error, GRADCAM_ERROR_FILE, "%s: %s: %s", path, what,
                   strerror_r(errno, room, sizeof room));
}

/* ---- Reading ------------------------------------------------------------------------------- */

static ssize_t read_some(int fd, void *to, size_t size)
{
    ssize_t count;
    do
        count = read(fd, to, size < (1u << 30) ? size : 1u << 30);
    while (count < 0 && errno == EINTR);
    return count;
}

static gradcam_status enlarge(uint8_t **buffer, size_t used, size_t *capacity, gradcam_error *error)
{
    uint8_t *larger = NULL;
    GC_TRY(gc_new_raw(&larger, *capacity, 2, error));
    memcpy(larger, *buffer, used);
    gc_free(*buffer);
    *buffer = larger;
    *capacity *= 2;
    return GRADCAM_OK;
}

/* `buffer` always has room for one byte more: the final zero, and the probe for a longer file. */
static gradcam_status read_all(int fd, const char *path, gc_file_limit limit, uint8_t **buffer,
                               size_t capacity, size_t *size, gradcam_error *error)
{
    for (*size = 0;;) {
        if (*size == capacity)
            GC_TRY(enlarge(buffer, *size, &capacity, error));
        const ssize_t count = read_some(fd, *buffer + *size, capacity - *size);
        if (count < 0)
            return fail_errno(error, path, "cannot be read");
        if (count == 0)
            break;
        *size += (size_t)count;
        if (*size > limit.bytes)
            return gc_limit_exceeded(limit, path, 0, error);
    }
    (*buffer)[*size] = 0;
    return GRADCAM_OK;
}

static gradcam_status read_open(int fd, const char *path, gc_file_limit limit, uint8_t **buffer,
                                size_t *size, gradcam_error *error)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return fail_errno(error, path, "cannot be read");
    GC_FAIL_IF(S_ISDIR(info.st_mode), error, GRADCAM_ERROR_FILE, "%s: is a folder", path);
    const bool is_regular = S_ISREG(info.st_mode) && info.st_size > 0;
    if (is_regular && (uint64_t)info.st_size > limit.bytes)
        return gc_limit_exceeded(limit, path, (uint64_t)info.st_size, error);
    const size_t capacity = is_regular ? (size_t)info.st_size + 1 : 65536;
    GC_TRY(gc_new_raw(buffer, capacity, 1, error));
    return read_all(fd, path, limit, buffer, capacity, size, error);
}

gradcam_status gc_file_read(const char *path, gc_file_limit limit, void *bytes, size_t *size,
                            gradcam_error *error)
{
    uint8_t *buffer = NULL;
    *(void **)bytes = NULL;
    *size = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(error, path, "cannot be opened");
    const gradcam_status status = read_open(fd, path, limit, &buffer, size, error);
    close(fd);
    if (status == GRADCAM_OK)
        *(void **)bytes = buffer;
    else
        gc_free(buffer);
    return status;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t count = write(fd, bytes, size < (1u << 30) ? size : 1u << 30);
        if (count < 0 && errno != EINTR)
            return false;
        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
        }
    }
    return true;
}

static gradcam_status write_device(const char *path, const void *bytes, size_t size,
                                   gradcam_error *error)
{
    gradcam_status status = GRADCAM_OK;
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || !write_all(fd, bytes, size))
        status = fail_errno(error, path, "cannot be written");
    if (fd >= 0 && close(fd) != 0 && status == GRADCAM_OK)
        status = fail_errno(error, path, "cannot be written");
    return status;
}

/* A file that is written under a temporary name in the folder of `path`, or under none, so that the
 * system drops it where the process is killed. */
typedef struct draft {
    const char *path;
    int folder;  /* Length of the folder in `path`, with its slash. */
    char *name;  /* Temporary. */
    size_t size; /* Of `name`. */
} draft;

static bool choose_name(draft *d)
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return false;
    snprintf(d->name, d->size, "%.*s.gradcam-%016" PRIx64, d->folder, d->path, number);
    return true;
}

/* A file without a name gets one through /proc, so that has to be there. */
static int open_nameless(draft *d)
{
    int fd = -1;
    snprintf(d->name, d->size, "%.*s", d->folder > 0 ? d->folder : 1,
             d->folder > 0 ? d->path : ".");
    if (access("/proc/self/fd", X_OK) == 0)
        fd = open(d->name, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    return fd;
}

/* The mode is what open makes of 0666 and the umask, which mkstemp would not give. */
static int open_named(draft *d)
{
    for (int attempt = 0; attempt < 100 && choose_name(d); attempt++) {
        const int fd = open(d->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static bool link_draft(int fd, const char *name)
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, link, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
}

/* Gives a file without a name a temporary one. */
static bool name_draft(draft *d, int fd)
{
    for (int attempt = 0; attempt < 100 && choose_name(d); attempt++)
        if (link_draft(fd, d->name))
            return true;
        else if (errno != EEXIST)
            break;
    return false;
}

/* Leaves nothing behind on failure; errno is that of the first one. */
static bool rename_draft(const draft *d, bool is_written)
{
    if (is_written && rename(d->name, d->path) == 0)
        return true;
    const int code = errno;
    unlink(d->name);
    errno = code;
    return false;
}

/* Synced files: what closing them would still report has been. */
static bool close_draft(int fd, bool is_done)
{
    const int code = errno;
    close(fd);
    errno = code;
    return is_done;
}

/* A new file gets its name in one step. A link cannot replace a file, so one that is there already
 * is replaced by a renamed one. False without anything done where this folder has no files without
 * a name; some file systems have them and cannot name them afterwards. */
static bool write_nameless(draft *d, const void *bytes, size_t size, bool *is_whole)
{
    const int fd = open_nameless(d);
    if (fd < 0)
        return false;
    const bool is_written = write_all(fd, bytes, size) && fsync(fd) == 0;
    *is_whole = is_written && link_draft(fd, d->path);
    if (!is_written || *is_whole)
        return close_draft(fd, true);
    const bool is_named = name_draft(d, fd);
    *is_whole = is_named && rename_draft(d, true);
    return close_draft(fd, is_named);
}

static bool write_named(draft *d, int fd, const void *bytes, size_t size)
{
    return close_draft(fd, rename_draft(d, write_all(fd, bytes, size) && fsync(fd) == 0));
}

static gradcam_status write_draft(draft *d, const void *bytes, size_t size, gradcam_error *error)
{
    bool is_whole = false;
    if (!write_nameless(d, bytes, size, &is_whole)) {
        const int fd = open_named(d);
        if (fd < 0)
            return fail_errno(error, d->path, "cannot be created");
        is_whole = write_named(d, fd, bytes, size);
    }
    return is_whole ? GRADCAM_OK : fail_errno(error, d->path, "cannot be written");
}

static gradcam_status write_regular(const char *path, const void *bytes, size_t size,
                                    gradcam_error *error)
{
    const char *const slash = strrchr(path, '/');
    draft d = {.path = path,
               .folder = slash == NULL ? 0 : (int)(slash - path) + 1,
               .size = strlen(path) + 32}; /* more than the temporary part takes */
    GC_TRY(gc_new(&d.name, d.size, 1, error));
    const gradcam_status status = write_draft(&d, bytes, size, error);
    gc_free(d.name);
    return status;
}

gradcam_status gc_file_write(const char *path, const void *bytes, size_t size, gradcam_error *error)
{
    struct stat info;
    GC_FAIL_IF(path[0] == '\0', error, GRADCAM_ERROR_FILE,
               "the name of the file to write is empty");
    if (stat(path, &info) != 0)
        return write_regular(path, bytes, size, error);
    GC_FAIL_IF(S_ISDIR(info.st_mode), error, GRADCAM_ERROR_FILE, "%s: is a folder", path);
    if (!S_ISREG(info.st_mode))
        return write_device(path, bytes, size, error);
    /* Replace the file that a link points to, not the link. */
    char *const target = realpath(path, NULL);
    if (target == NULL)
        return fail_errno(error, path, "cannot be written");
    const gradcam_status status = write_regular(target, bytes, size, error);
    free(target);
    return status;
}
