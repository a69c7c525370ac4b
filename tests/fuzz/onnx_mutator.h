/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GC_TESTS_FUZZ_ONNX_MUTATOR_H
#define GC_TESTS_FUZZ_ONNX_MUTATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/**
 * Changes one to three things in a serialized model.
 *
 * @param data `size` bytes of a room of max_size.
 * @return how many bytes there are now; 0: nothing was changed, as the bytes are no model or the
 *         result would not fit. Equal seeds give equal results.
 */
size_t gc_mutate_model(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#endif
