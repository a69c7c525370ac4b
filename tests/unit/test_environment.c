/* SPDX-License-Identifier: Apache-2.0 */
/* Variables of the environment that would make results others, silently. */
#include <stdlib.h>

#include "engine/dnnl/api.h"
#include "test.h"

/* Products in bfloat16 have 3 digits. */
static void test_float_stays_float(void)
{
    dnnl_primitive_attr_t plain = NULL, ours = NULL;
    dnnl_fpmath_mode_t mode = dnnl_fpmath_mode_any;
    setenv("DNNL_DEFAULT_FPMATH_MODE", "BF16", 1);
    setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16", 1);
    CHECK_INT(dnnl_primitive_attr_create(&plain), dnnl_success);
    CHECK_INT(dnnl_primitive_attr_get_fpmath_mode(plain, &mode), dnnl_success);
    dnnl_primitive_attr_destroy(plain);
    CHECK_INT(mode, dnnl_fpmath_mode_bf16); /* so the variable would count */
    CHECK_INT(gc_attr_new(&ours, NULL, 0), dnnl_success);
    CHECK_INT(dnnl_primitive_attr_get_fpmath_mode(ours, &mode), dnnl_success);
    dnnl_primitive_attr_destroy(ours);
    CHECK_INT(mode, dnnl_fpmath_mode_strict);
}

TEST_MAIN(test_float_stays_float)
