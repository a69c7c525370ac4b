/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/target.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_view(const gc_node *node)
{
    static const char *const views[] = {"Identity",  "Reshape", "Flatten", "Squeeze",
                                        "Unsqueeze", "Cast",    "Dropout"};
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++)
        if (strcmp(node->op, views[i]) == 0)
            return true;
    return false;
}

static gc_activation activation_of(const gc_node *node)
{
    if (strcmp(node->op, "Softmax") == 0)
        return GC_SOFTMAX;
    if (strcmp(node->op, "LogSoftmax") == 0)
        return GC_LOG_SOFTMAX;
    return strcmp(node->op, "Sigmoid") == 0 ? GC_SIGMOID : GC_NO_ACTIVATION;
}

void gc_target_find(gc_target *target, const gc_graph *graph, int output, bool after_activation)
{
    *target = (gc_target){.output = output, .logits = output, .score = output};
    int value = output;
    const gc_node *node = NULL;
    while (graph->values[value].producer >= 0) {
        node = &graph->nodes[graph->values[value].producer];
        target->activation = activation_of(node);
        if (target->activation != GC_NO_ACTIVATION || !is_view(node) || node->outputs[0] != value)
            break;
        value = node->inputs[0];
    }
    if (node == NULL || target->activation == GC_NO_ACTIVATION) {
        snprintf(target->text, sizeof target->text, "logit '%s'", graph->values[output].name);
        return;
    }
    target->logits = node->inputs[0];
    target->score = after_activation ? output : target->logits;
    snprintf(target->text, sizeof target->text, "%s %s '%s'",
             after_activation ? "value after" : "logit before", node->op,
             node->name[0] != '\0' ? node->name : graph->values[node->outputs[0]].name);
}

gradcam_status gc_target_classes(const gc_tensor *type, int64_t batch, int64_t *classes,
                                 gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    const int64_t count = gc_tensor_count(type);
    const bool has_batch = type->rank >= 2 && type->dims[0] == batch;
    *classes = has_batch ? type->dims[1] : type->rank == 1 && batch == 1 ? type->dims[0] : 0;
    GC_FAIL_IF(
        *classes <= 0 || count != batch * *classes || !gc_dtype_is_float(type->dtype), error,
        GRADCAM_ERROR_SHAPE,
        "the network's output has the shape %s, not N x classes: it is not a classifier, and "
        "explaining other outputs is not supported",
        gc_shape_text(type, shape));
    return GRADCAM_OK;
}

void gc_probabilities(gc_activation activation, const float *logits, float *probabilities,
                      int64_t count)
{
    if (activation == GC_SIGMOID) {
        for (int64_t i = 0; i < count; i++)
            probabilities[i] = (float)(1.0 / (1.0 + exp(-(double)logits[i])));
        return;
    }
    double largest = -INFINITY, sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, logits[i]);
    for (int64_t i = 0; i < count; i++) {
        const double part = exp(logits[i] - largest);
        probabilities[i] = (float)part;
        sum += part;
    }
    for (int64_t i = 0; i < count; i++)
        probabilities[i] = (float)(probabilities[i] / sum);
}
