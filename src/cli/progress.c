/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/report.h"

enum { BAR_WIDTH = 24, NARROWEST = 60 };

gc_progress gc_progress_start(size_t total, bool is_wanted)
{
    return (gc_progress){is_wanted && total > 1 && isatty(STDERR_FILENO) == 1, total};
}

static int terminal_width(void)
{
    struct winsize size;
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

void gc_progress_show(const gc_progress *progress, size_t done, const char *what)
{
    static const char bar[] = "########################";
    static const char rest[] = "........................";
    if (!progress->on)
        return;
    const int filled = (int)(done * BAR_WIDTH / progress->total);
    const int width = terminal_width();
    fprintf(stderr, "\r\033[K[%.*s%.*s] %zu/%zu  ", filled, bar, BAR_WIDTH - filled, rest, done,
            progress->total);
    /* A line that wraps could not be emptied; the end of a path tells most. */
    const size_t room = width > NARROWEST ? (size_t)(width - NARROWEST + 10) : 0;
    const size_t length = strlen(what);
    gc_print_text(stderr, length > room ? what + (length - room) : what);
    fflush(stderr);
}

void gc_progress_clear(const gc_progress *progress)
{
    if (progress->on) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}
