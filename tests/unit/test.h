/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small test frame: a test program is a list of functions `static void name(void)`, each checked
 * with CHECK macros that print both values and go on, run by TEST_MAIN. Exit status 1 when anything
 * failed, 77 (skipped, for Meson) when SKIP was called and nothing failed.
 */
#ifndef GRADCAM_TEST_H
#define GRADCAM_TEST_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gradcam.h"

static int test_failures, test_skips;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                \
            test_failures++;                                                                       \
        }                                                                                          \
    } while (0)

#define CHECK_INT(found, expected)                                                                 \
    do {                                                                                           \
        const long long found_ = (long long)(found), expected_ = (long long)(expected);            \
        if (found_ != expected_) {                                                                 \
            fprintf(stderr, "%s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #found,      \
                    found_, expected_);                                                            \
            test_failures++;                                                                       \
        }                                                                                          \
    } while (0)

#define CHECK_NEAR(found, expected, tolerance)                                                     \
    do {                                                                                           \
        const double found_ = (double)(found), expected_ = (double)(expected);                     \
        if (!(fabs(found_ - expected_) <= (tolerance))) {                                          \
            fprintf(stderr, "%s:%d: %s is %.9g, expected %.9g\n", __FILE__, __LINE__, #found,      \
                    found_, expected_);                                                            \
            test_failures++;                                                                       \
        }                                                                                          \
    } while (0)

#define CHECK_STR(found, expected)                                                                 \
    do {                                                                                           \
        const char *const found_ = (found);                                                        \
        if (found_ == NULL || strcmp(found_, (expected)) != 0) {                                   \
            fprintf(stderr, "%s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #found,  \
                    found_ == NULL ? "(null)" : found_, (expected));                               \
            test_failures++;                                                                       \
        }                                                                                          \
    } while (0)

/** A call that must succeed; prints error.message otherwise. `error` must be in scope. */
#define CHECK_OK(call)                                                                             \
    do {                                                                                           \
        const gradcam_status status_ = (call);                                                     \
        if (status_ != GRADCAM_OK) {                                                               \
            fprintf(stderr, "%s:%d: %s: %s: %s\n", __FILE__, __LINE__, #call,                      \
                    gradcam_status_text(status_), error.message);                                  \
            test_failures++;                                                                       \
        }                                                                                          \
    } while (0)

#define SKIP(reason)                                                                               \
    do {                                                                                           \
        printf("skipped: %s: %s\n", __func__, (reason));                                           \
        test_skips++;                                                                              \
        return;                                                                                    \
    } while (0)

#define TEST_MAIN(...)                                                                             \
    int main(void)                                                                                 \
    {                                                                                              \
        void (*const tests[])(void) = {__VA_ARGS__};                                               \
        for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)                                \
            tests[i]();                                                                            \
        printf("%zu tests, %d failed checks, %d skipped\n", sizeof tests / sizeof tests[0],        \
               test_failures, test_skips);                                                         \
        return test_failures > 0 ? 1 : test_skips > 0 ? 77 : 0;                                    \
    }

#endif
