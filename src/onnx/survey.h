/* SPDX-License-Identifier: Apache-2.0 */
/* What a model file says of itself, whether or not it can be run: read without the graph. */
#ifndef GC_ONNX_SURVEY_H
#define GC_ONNX_SURVEY_H

#include "base/limits.h"
#include "graph/tensor.h"

typedef struct gc_survey_value {
    const char *name, *type;   /**< "float32"; "?" for sequences, maps and unknown types. */
    int rank;                  /**< -1: not said. */
    int64_t dims[GC_MAX_RANK]; /**< -1: free. */
    const char *dim_names[GC_MAX_RANK]; /**< "" where the file gives none. */
} gc_survey_value;

typedef struct gc_survey_operator {
    const char *name, *domain;
    int count;
    bool is_function; /**< Of the model's own. */
} gc_survey_operator;

typedef struct gc_survey_opset {
    const char *domain; /**< "" for ai.onnx. */
    int64_t version;
} gc_survey_opset;

typedef struct gc_survey {
    gc_arena *arena;
    const char *producer;
    int64_t ir_version;
    gc_survey_opset *opsets;
    gc_survey_value *inputs, *outputs; /**< Inputs without those that have an initializer. */
    gc_survey_operator *operators;     /**< Of the main graph, most frequent first. */
    size_t opset_count, input_count, output_count, operator_count;
    size_t node_count, function_count, initializer_count;
    int64_t parameters, parameter_bytes; /**< Elements of initializers of more than no extents; as
                                              stored. */
} gc_survey;

gradcam_status gc_survey_file(gc_survey *survey, const char *path, gc_file_limit limit,
                              gradcam_error *error);
void gc_survey_free(gc_survey *survey);

#endif
