/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One fuzz target a file, each over bytes in memory. With clang's libFuzzer a target becomes a
 * fuzzer; with replay.c it becomes a test over its corpus. README.md in this folder says how to run
 * them.
 */
#ifndef GC_TESTS_FUZZ_H
#define GC_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/** A failure says why, a success says nothing: else the input has found a bug. */
static inline void gc_fuzz_judge(gradcam_status status, const gradcam_error *error)
{
    if ((status != GRADCAM_OK) != (error->message[0] != '\0') || status == GRADCAM_ERROR_INTERNAL) {
        fprintf(stderr, "status %d with the message \"%s\"\n", (int)status, error->message);
        abort();
    }
}

#endif
