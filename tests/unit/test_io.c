/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks that are full, folders that cannot be written to, calls that do less than they were asked:
 * every failure is reported with the file and the reason, what was there before is still there, and
 * no part of a file is left behind. The library's calls of read, write, fsync, linkat and rename
 * are those of this program, which can make them fail.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE /* which has a read of its own */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "picture/file.h"
#include "picture/picture.h"
#include "test.h"

#define MODEL   FIXTURES "/cli/model.onnx"
#define PICTURE FIXTURES "/cli/picture.png"

enum { LARGE = 300000 };

static gradcam_error error;
static char folder[] = "/tmp/gradcam-io-XXXXXX", path[sizeof folder + 16];
static uint8_t large[LARGE];

/* ---- The calls --------------------------------------------------------------------------------
 */

static bool is_short, is_link_refused, is_sync_refused, is_rename_fatal;
static const char *replaced; /* becomes a folder just before the file gets its name */
static long interruptions;

/* Every other call is interrupted, and the others do a little. */
static size_t shorten(size_t size)
{
    return is_short && size > 7 ? 7 : size;
}

static bool is_interrupted(void)
{
    errno = EINTR;
    return is_short && ++interruptions % 2 == 0;
}

ssize_t read(int fd, void *to, size_t size)
{
    return is_interrupted() ? -1 : syscall(SYS_read, fd, to, shorten(size));
}

ssize_t write(int fd, const void *from, size_t size)
{
    return is_interrupted() ? -1 : syscall(SYS_write, fd, from, shorten(size));
}

int fsync(int fd)
{
    errno = EIO;
    return is_sync_refused ? -1 : (int)syscall(SYS_fsync, fd);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    if (replaced != NULL) {
        unlink(replaced);
        CHECK_INT(mkdir(replaced, 0700), 0);
        replaced = NULL;
    }
    errno = EXDEV;
    return is_link_refused ? -1 : (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

int rename(const char *from, const char *to)
{
    if (is_rename_fatal)
        kill(getpid(), SIGKILL);
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* ---- What is there ----------------------------------------------------------------------------
 */

static int count_files(void)
{
    DIR *const d = opendir(folder);
    int count = -2; /* . and .. */
    while (d != NULL && readdir(d) != NULL)
        count++;
    if (d != NULL)
        closedir(d);
    return count;
}

static void empty_folder(void)
{
    char name[sizeof folder + 256];
    DIR *const d = opendir(folder);
    for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;) {
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        unlink(name); /* not . and .. */
    }
    if (d != NULL)
        closedir(d);
}

static void check_content(const void *expected, size_t expected_size)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    CHECK_OK(gc_file_read(path, gc_limit_picture(NULL), &bytes, &size, &error));
    CHECK_INT(size, expected_size);
    CHECK(bytes != NULL && size == expected_size && memcmp(bytes, expected, size) == 0);
    gc_free(bytes);
}

/* Writing fails for `reason`, and the file is as before. */
static void check_refused(const char *reason)
{
    const int before = count_files();
    error = (gradcam_error){.message = ""};
    CHECK_INT(gc_file_write(path, large, sizeof large, &error), GRADCAM_ERROR_FILE);
    CHECK(strstr(error.message, path) != NULL);
    if (strstr(error.message, reason) == NULL) {
        fprintf(stderr, "expected '%s' in: %s\n", reason, error.message);
        test_failures++;
    }
    CHECK_INT(count_files(), before);
    check_content("before", 6);
}

static void begin(void)
{
    if (path[0] != '\0')
        return;
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/file", folder);
    for (int i = 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 31 + i / 256);
}

/* ---- Calls that do less -------------------------------------------------------------------------
 */

static void short_calls(void)
{
    begin();
    is_short = true;
    CHECK_OK(gc_file_write(path, large, sizeof large, &error));
    check_content(large, sizeof large);
    gc_picture picture;
    CHECK_OK(gc_picture_read(&picture, PICTURE, NULL, &error));
    CHECK_INT(picture.width, 60);
    gc_picture_free(&picture);
    is_short = false;
    check_content(large, sizeof large);
    CHECK(interruptions > 0);
    CHECK_INT(count_files(), 1);
}

/* Files without a name that cannot be given one: written again under a temporary one. */
static void refused_link(void)
{
    begin();
    is_link_refused = true;
    CHECK_OK(gc_file_write(path, large, sizeof large, &error));
    check_content(large, sizeof large);
    CHECK_INT(count_files(), 1);
    CHECK_OK(gc_file_write(path, "before", 6, &error));
    is_sync_refused = true;
    check_refused("cannot be written: Input/output error");
    is_link_refused = false;
    check_refused("cannot be written: Input/output error");
    is_sync_refused = false;
}

static void replaced_by_a_folder(void)
{
    begin();
    CHECK_OK(gc_file_write(path, "before", 6, &error));
    replaced = path;
    CHECK_INT(gc_file_write(path, large, sizeof large, &error), GRADCAM_ERROR_FILE);
    replaced = NULL;
    if (strstr(error.message, "Is a directory") == NULL)
        SKIP("no files without a name here");
    CHECK_INT(count_files(), 1);
    CHECK_INT(rmdir(path), 0);
    CHECK_INT(count_files(), 0);
}

/* A process that is killed between two steps: a new file is there in one, and a file that is
 * replaced is the old one, with the whole new one beside it. */
static void killed_between(void)
{
    begin();
    const int nameless = open(folder, O_TMPFILE | O_WRONLY, 0600);
    if (nameless < 0)
        SKIP("no files without a name here");
    close(nameless);
    unlink(path);
    for (int round = 0; round < 2; round++) {
        const pid_t child = fork();
        if (child == 0) {
            is_rename_fatal = true;
            _exit(gc_file_write(path, round == 0 ? "before" : "after", 6, NULL) == GRADCAM_OK ? 0
                                                                                              : 1);
        }
        int state = 0;
        CHECK_INT(waitpid(child, &state, 0), child);
        CHECK_INT(WIFSIGNALED(state) ? WTERMSIG(state) : 0, round == 0 ? 0 : SIGKILL);
        check_content("before", 6);
        CHECK_INT(count_files(), 1 + round);
    }
    empty_folder();
}

/* ---- Pipes
 * ---------------------------------------------------------------------------------------- */

/* A picture that comes through a pipe is read like any other, and one that ends early is damaged.
 */
static gradcam_status read_piped(const uint8_t *bytes, size_t size)
{
    gc_picture picture;
    CHECK_INT(mkfifo(path, 0600), 0);
    const pid_t child = fork();
    if (child == 0) {
        const int fd = open(path, O_WRONLY);
        const bool is_written = write(fd, bytes, size) == (ssize_t)size;
        _exit(is_written ? 0 : 1);
    }
    const gradcam_status status = gc_picture_read(&picture, path, NULL, &error);
    gc_picture_free(&picture);
    int state = 0;
    CHECK_INT(waitpid(child, &state, 0), child);
    CHECK_INT(state, 0);
    unlink(path);
    return status;
}

static void pipes(void)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    begin();
    CHECK_OK(gc_file_read(PICTURE, gc_limit_picture(NULL), &bytes, &size, &error));
    unlink(path);
    CHECK_OK(read_piped(bytes, size));
    CHECK_INT(read_piped(bytes, size / 2), GRADCAM_ERROR_PICTURE);
    CHECK(strstr(error.message, path) != NULL);
    CHECK_INT(read_piped(bytes, 0), GRADCAM_ERROR_PICTURE);
    gc_free(bytes);
    CHECK_INT(mkfifo(path, 0600), 0);
    gradcam_model *model = NULL;
    CHECK_INT(gradcam_model_load(&model, path, NULL, &error), GRADCAM_ERROR_FILE);
    CHECK(strstr(error.message, "is not a regular file") != NULL);
    unlink(path);
}

/* ---- Disks
 * ---------------------------------------------------------------------------------------- */

static void save_map(gradcam_status expected)
{
    gradcam_model *model = NULL;
    gradcam_explainer *explainer = NULL;
    gradcam_explanation *x = NULL;
    char name[sizeof path + 8];
    snprintf(name, sizeof name, "%s.png", path);
    CHECK_OK(gradcam_model_load(&model, MODEL, NULL, &error));
    CHECK_OK(gradcam_explainer_create(&explainer, model, NULL, &error));
    CHECK_OK(gradcam_explain_file(explainer, PICTURE, NULL, 0, &x, &error));
    CHECK_INT(gradcam_explanation_save(x, 0, GRADCAM_IMAGE_OVERLAY, NULL, name, &error), expected);
    CHECK_INT(access(name, F_OK), expected == GRADCAM_OK ? 0 : -1);
    unlink(name);
    gradcam_explanation_destroy(&x);
    gradcam_explainer_destroy(&explainer);
    gradcam_model_destroy(&model);
}

static void fill_disk(void)
{
    char name[sizeof path + 8];
    snprintf(name, sizeof name, "%s.rest", path);
    const int fd = open(name, O_WRONLY | O_CREAT, 0600);
    while (fd >= 0 && write(fd, large, 4096) > 0)
        ;
    close(fd);
}

static void use_disk(void)
{
    CHECK_OK(gc_file_write(path, "before", 6, &error));
    check_refused("No space left on device"); /* in the middle */
    is_link_refused = true;
    check_refused("No space left on device");
    is_link_refused = false;
    save_map(GRADCAM_OK);
    fill_disk();
    check_refused("No space left on device"); /* from the start */
    save_map(GRADCAM_ERROR_FILE);
    CHECK_INT(mount("none", folder, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
    check_refused("Read-only file system");
    save_map(GRADCAM_ERROR_FILE);
}

/* In a name space of mounts of its own, which ends with the process. */
static void small_disk(void)
{
    enum { NOT_PERMITTED = 77 };
    begin();
    const pid_t child = fork();
    if (child == 0) {
        test_failures = 0;
        if (unshare(CLONE_NEWNS) != 0 ||
            mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("none", folder, "tmpfs", 0, "size=128k") != 0)
            _exit(NOT_PERMITTED);
        use_disk();
        _exit(test_failures == 0 ? 0 : 1);
    }
    int state = 0;
    CHECK_INT(waitpid(child, &state, 0), child);
    if (WIFEXITED(state) && WEXITSTATUS(state) == NOT_PERMITTED)
        SKIP("mounting is not permitted here");
    CHECK(WIFEXITED(state) && WEXITSTATUS(state) == 0);
}

static void end(void)
{
    unlink(path);
    CHECK_INT(rmdir(folder), 0);
}

/* The child of small_disk explains: OpenMP's threads, once made, do not follow a fork. */
TEST_MAIN(small_disk, short_calls, refused_link, replaced_by_a_folder, killed_between, pipes, end)
