/* SPDX-License-Identifier: Apache-2.0 */
#include "base/threads.h"

#include <omp.h>

/* MXCSR, which rules SSE and AVX; on other machines the state is left as it is. */
#ifdef __SSE__
#include <xmmintrin.h>
enum { FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040, MASK_ALL = 0x1f80 };
static const unsigned wanted = MASK_ALL | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO;

static unsigned get_control(void)
{
    return _mm_getcsr();
}

static void set_control(unsigned control)
{
    _mm_setcsr(control);
}
#else
static const unsigned wanted = 0;

static unsigned get_control(void)
{
    return 0;
}

static void set_control(unsigned control)
{
    (void)control;
}
#endif

/* GCC's workers keep their state between regions, so each notes what it has to go back to; one that
 * was started meanwhile has inherited ours and takes over the caller's. LLVM's follow the calling
 * thread at the start of each region, and that thread finds its own state again behind it: so it is
 * also set outside. */
static _Thread_local bool is_changed;
static _Thread_local unsigned kept;

static void change_all(void)
{
#pragma omp parallel
    {
        kept = get_control();
        is_changed = true;
        set_control(wanted);
    }
    set_control(wanted);
}

static void restore_all(unsigned of_caller)
{
#pragma omp parallel
    {
        set_control(is_changed ? kept : of_caller);
        is_changed = false;
    }
    set_control(of_caller);
}

int gc_threads_count(int number)
{
    return number > 0 ? number : omp_get_max_threads();
}

void gc_threads_set(int number)
{
    omp_set_num_threads(number);
}

gc_threads gc_threads_begin(int number)
{
    const gc_threads before = {omp_get_max_threads(), get_control(), is_changed};
    if (number > 0)
        omp_set_num_threads(number);
    if (!before.is_nested)
        change_all();
    return before;
}

void gc_threads_end(const gc_threads *before)
{
    if (!before->is_nested)
        restore_all(before->control);
    omp_set_num_threads(before->number);
}
