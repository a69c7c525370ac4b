/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "engine/dnnl/kernels.h"
#include "gradcam.h"
#include "ops/op.h"
#include "picture/encode.h"
#include "picture/picture.h"

#define TEXT_OF(number)                   #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *gradcam_version(void)
{
    return VERSION_TEXT(GRADCAM_VERSION_MAJOR, GRADCAM_VERSION_MINOR, GRADCAM_VERSION_PATCH);
}

#ifdef __clang__
#define COMPILER __VERSION__ /* names itself */
#else
#define COMPILER "gcc " __VERSION__
#endif

#ifdef NDEBUG
#define ASSERTIONS "assertions off"
#else
#define ASSERTIONS "assertions on"
#endif

size_t gradcam_build_info(char *text, size_t size)
{
    char compute[128], read[128], written[128];
    size_t operators = 0;
    gc_op_all(&operators);
    gc_dnnl_describe(compute, sizeof compute);
    gc_picture_read_formats(read, sizeof read);
    gc_picture_write_formats(written, sizeof written);
    const int length = snprintf(text, size,
                                "compute   %s\n"
                                "model     ONNX, %zu operators, opsets to 21\n"
                                "pictures  reads %s; writes %s\n"
                                "build     %s, %s, %s, %s\n",
                                compute, operators, read, written, GRADCAM_BUILD_TYPE,
                                GRADCAM_MACHINE, COMPILER, ASSERTIONS);
    return length > 0 ? (size_t)length : 0;
}
