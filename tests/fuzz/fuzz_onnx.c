/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX reader: any bytes become a graph in canonical form, or an error. */
#include "fuzz.h"
#include "onnx/reader.h"
#include "passes/passes.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    gc_graph *graph = NULL;
    gradcam_error error = {.message = ""};
    gc_fuzz_judge(gc_onnx_read(&graph, bytes, size, NULL, &error), &error);
    gc_graph_destroy(&graph);
    return 0;
}
