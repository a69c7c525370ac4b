/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CAM: the weights of the linear layer behind global average pooling.
 * Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016,
 * arXiv:1512.04150. Only for networks whose layer is pooled and then goes through one linear layer,
 * or the other way round through a 1x1 convolution; there it equals Grad-CAM times the number of
 * positions. A target that mixes classes mixes their weights by its derivatives.
 */
#include "cam/method.h"

#include <string.h>

/* What lies between the layer and the score: pooling and views in any number, one linear node. */
typedef struct head {
    const gc_graph *graph;
    const gc_node *linear;
    int weight;   /* value */
    bool by_rows; /* a class is a row: weight[class * channels + channel] */
    bool has_pool;
} head;

static bool is_one_of(const char *op, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(op, *list) == 0)
            return true;
    return false;
}

static bool is_constant(const gc_graph *g, const gc_node *node, int input)
{
    return node->input_count > input && node->inputs[input] != GC_ABSENT &&
           g->values[node->inputs[input]].constant != NULL;
}

/* Takes the node in, or says that it does not belong in such a head. */
static bool take_node(head *h, const gc_node *node)
{
    static const char *const views[] = {"Flatten",  "Reshape", "Squeeze", "Unsqueeze",
                                        "Identity", "Dropout", NULL};
    static const char *const pools[] = {"GlobalAveragePool", "ReduceMean", "AveragePool", NULL};
    static const char *const linears[] = {"Gemm", "MatMul", "Conv", NULL};
    if (is_one_of(node->op, views))
        return true;
    if (is_one_of(node->op, pools)) {
        const gc_tensor *const out = &h->graph->values[node->outputs[0]].type;
        const gc_tensor *const in = &h->graph->values[node->inputs[0]].type;
        const bool is_whole = gc_tensor_count(out) == in->dims[0] * in->dims[1];
        const bool is_first = !h->has_pool;
        h->has_pool = true;
        return is_whole && is_first;
    }
    if (strcmp(node->op, "Add") == 0) /* the bias of a MatMul */
        return h->linear != NULL &&
               (is_constant(h->graph, node, 0) || is_constant(h->graph, node, 1));
    if (!is_one_of(node->op, linears) || h->linear != NULL || !is_constant(h->graph, node, 1))
        return false;
    h->linear = node;
    h->weight = node->inputs[1];
    h->by_rows = strcmp(node->op, "Conv") == 0 || gc_attr_int(node, "transB", 0) != 0;
    const gc_tensor *const w = &h->graph->values[h->weight].type;
    return gc_tensor_count(w) == w->dims[0] * w->dims[1] && gc_attr_int(node, "group", 1) == 1 &&
           gc_attr_int(node, "transA", 0) == 0;
}

static bool depends(const gc_node *node, const bool *marks)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] != GC_ABSENT && marks[node->inputs[i]])
            return true;
    return false;
}

/* A chain from the layer to the end in which every node belongs. */
static gradcam_status find_head(const gc_case *c, head *h, gradcam_error *error)
{
    const gc_graph *const g = h->graph;
    const gc_node *stranger = NULL;
    bool *marks = NULL;
    char text[GC_NODE_TEXT];
    GC_TRY(gc_new(&marks, (size_t)g->value_count, sizeof *marks, error));
    marks[gc_graph_resolve(g, c->layer)] = true;
    const int score = gc_graph_resolve(g, g->outputs[0]);
    for (int n = 0; n < g->node_count && stranger == NULL && !marks[score]; n++) {
        if (!depends(&g->nodes[n], marks))
            continue;
        if (!take_node(h, &g->nodes[n]))
            stranger = &g->nodes[n];
        marks[g->nodes[n].outputs[0]] = true;
    }
    gc_free(marks);
    GC_FAIL_IF(stranger != NULL || h->linear == NULL || !h->has_pool, error, GRADCAM_ERROR_LAYER,
               "cam needs a layer that goes through global average pooling and one linear layer to "
               "the score%s%s; gradcam is its generalisation",
               stranger != NULL ? ", but there is " : "",
               stranger != NULL ? gc_node_text(g, stranger, text) : "");
    return GRADCAM_OK;
}

static gradcam_status weigh(gc_case *c, float *weights, gradcam_error *error)
{
    gradcam_tensor outputs[GC_MAX_HEADS];
    const gradcam_tensor *heads = NULL;
    int count = 0;
    double score = 0.0;
    head h = {.graph = gc_runner_graph(c->runner)};
    GC_TRY(find_head(c, &h, error));
    GC_TRY(gc_runner_heads(c->runner, &heads, &count, error));
    gc_tensor w;
    GC_TRY(gc_node_load(h.graph, h.linear, 1, &w, error));
    const int64_t classes = w.dims[h.by_rows ? 0 : 1], channels = w.dims[h.by_rows ? 1 : 0];
    GC_FAIL_IF(
        channels != c->features.channels, error, GRADCAM_ERROR_LAYER,
        "cam: the linear layer has %lld inputs, the layer %lld channels; gradcam has no such "
        "need",
        (long long)channels, (long long)c->features.channels);
    float *seed = NULL;
    GC_TRY(gc_new(&seed, (size_t)classes, sizeof *seed, error));
    memcpy(outputs, heads, (size_t)count * sizeof *heads);
    outputs[0].gradient = seed;
    const gradcam_status status =
        c->goal->evaluate(c->goal->state, outputs, (size_t)count, &score, error);
    const float sign = c->goal->is_negated ? -1.0f : 1.0f;
    const float alpha = gc_attr_float(h.linear, "alpha", 1.0f);
    for (int64_t k = 0; k < channels; k++)
        for (int64_t i = 0; i < classes; i++)
            weights[k] += sign * alpha * seed[i] *
                          gc_floats(&w)[h.by_rows ? i * channels + k : k * classes + i];
    gc_free(seed);
    return status;
}

const gc_method gc_method_cam = {
    .info =
        {.name = "cam",
         .summary =
             "weights of the linear layer behind global average pooling, where the network ends so",
         .formula = "sum_c w_c A_c, w the class row of the linear layer",
         .paper = "Zhou et al. 2016, arXiv:1512.04150",
         .cost = "1 forward",
         .needs = "activations"},
    .weigh = weigh,
};
