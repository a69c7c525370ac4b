/* SPDX-License-Identifier: Apache-2.0 */
/* One operator case of tests/fixtures/ops: a model and what PyTorch computed for it. What the files
 * hold is described in tests/oracle/make_op_fixtures.py. */
#ifndef GRADCAM_TEST_OP_CASE_H
#define GRADCAM_TEST_OP_CASE_H

#include "graph/graph.h"

typedef struct op_case {
    const char *name; /**< Borrowed. */
    gc_graph *model, *expected;
} op_case;

/** Reads <folder>/<name>.onnx and <folder>/<name>.expected.onnx. A model that cannot be read is an
 *  error, unless the case expects just that: then model is NULL. */
gradcam_status op_case_read(op_case *c, const char *folder, const char *name, gradcam_error *error);
void op_case_free(op_case *c);

/** The array called <kind>:<name>, or NULL. */
const gc_tensor *op_case_find(const op_case *c, const char *kind, const char *name);

/** The status that running must end with; GRADCAM_OK for most cases. */
gradcam_status op_case_status(const op_case *c);

/** Largest difference, relative to the largest magnitude of `expected` (absolute where that is 0).
 *  Infinity where type or shape differ, or where one is not finite and the other differs. Integers
 *  are compared exactly: 0 or infinity. */
double op_case_difference(const gc_tensor *found, const gc_tensor *expected);

/** *names = the sorted names of all cases in the folder, and their count; free with
 *  op_case_list_free. */
gradcam_status op_case_list(const char *folder, char ***names, size_t *count, gradcam_error *error);
void op_case_list_free(char ***names, size_t count);

#endif
