/* SPDX-License-Identifier: Apache-2.0 */
/* What `gradcam --version` says about oneDNN. */
#include <stdio.h>

#include "engine/dnnl/api.h"

static const char *threads_name(unsigned runtime)
{
    switch (runtime) {
    case DNNL_RUNTIME_SEQ:
        return "one thread";
    case DNNL_RUNTIME_OMP:
        return "threads by OpenMP";
    case DNNL_RUNTIME_TBB:
        return "threads by TBB";
    case DNNL_RUNTIME_THREADPOOL:
        return "threads by a pool of the caller";
    default:
        return "threads by an unknown runtime";
    }
}

/* The instruction set for float32 as oneDNN sees it: this machine's, or less if the environment
 * asks for less (ONEDNN_MAX_CPU_ISA). */
static const char *instructions_name(void)
{
    static const struct {
        unsigned bits;
        const char *name;
    } sets[] = {{dnnl_cpu_isa_avx512_core, "AVX-512"},
                {dnnl_cpu_isa_avx2, "AVX2"},
                {dnnl_cpu_isa_avx, "AVX"},
                {dnnl_cpu_isa_sse41, "SSE4.1"}};
    const unsigned isa = (unsigned)dnnl_get_effective_cpu_isa();
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        if ((isa & sets[i].bits) == sets[i].bits)
            return sets[i].name;
    return "the machine's own instructions";
}

void gc_dnnl_describe(char *text, size_t size)
{
    const dnnl_version_t *const version = dnnl_version();
    snprintf(text, size, "oneDNN %d.%d.%d, %s, %s", version->major, version->minor, version->patch,
             threads_name(version->cpu_runtime), instructions_name());
}
