/* SPDX-License-Identifier: Apache-2.0 */
/* Has libFuzzer mutate models as such; one time in eight as bytes. */
#include "onnx_mutator.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    const size_t result = seed % 8 != 0 ? gc_mutate_model(data, size, max_size, seed / 8) : 0;
    return result > 0 ? result : LLVMFuzzerMutate(data, size, max_size);
}
