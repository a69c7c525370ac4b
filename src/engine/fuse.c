/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a convolution can absorb: [residual addition] [activation].
 *
 * A value that somebody else reads, that is observed, or that the backward pass needs must exist by
 * itself: fusion stops there and nowhere else.
 */
#include "engine/build.h"

#include <math.h>
#include <string.h>

static bool is_op(const gc_node *node, const char *name)
{
    return node->domain[0] == '\0' && strcmp(node->op, name) == 0;
}

/* Is the value read by exactly so many nodes, and by nobody else? */
static bool may_vanish(const gc_plan *plan, int value, int readers)
{
    return !plan->is_kept[value] && plan->uses[value] == readers;
}

static bool scalar(const gc_plan *plan, const gc_node *node, int input, float missing, float *out)
{
    *out = missing;
    if (input >= node->input_count || node->inputs[input] == GC_ABSENT)
        return true;
    const gc_constant *const c = plan->graph->values[node->inputs[input]].constant;
    if (c == NULL || gc_tensor_count(gc_constant_tensor(c)) != 1)
        return false;
    *out = gc_floats(gc_constant_tensor(c))[0];
    return true;
}

/* A node with one activation input as a post-operation. */
static bool unary_post(const gc_plan *plan, const gc_node *node, gc_post *post)
{
    *post = (gc_post){.kind = GC_POST_RELU};
    if (is_op(node, "Relu"))
        return true;
    if (is_op(node, "LeakyRelu")) {
        post->alpha = gc_attr_float(node, "alpha", 0.01f);
        return true;
    }
    if (is_op(node, "Clip")) {
        post->kind = GC_POST_CLIP;
        return scalar(plan, node, 1, -INFINITY, &post->alpha) &&
               scalar(plan, node, 2, INFINITY, &post->beta);
    }
    post->kind = is_op(node, "Sigmoid") ? GC_POST_SIGMOID
                 : is_op(node, "Tanh")  ? GC_POST_TANH
                                        : GC_POST_HARDSWISH;
    return post->kind != GC_POST_HARDSWISH || is_op(node, "HardSwish");
}

static void absorb(gc_fusion *fusion, const gc_plan *plan, int node, gc_post post)
{
    fusion->posts[fusion->post_count++] = post;
    fusion->nodes[fusion->node_count++] = node;
    fusion->output = plan->graph->nodes[node].outputs[0];
}

/* Add of two equal shapes where the other side has been computed already. */
static bool find_sum(const gc_plan *plan, gc_fusion *fusion)
{
    if (!may_vanish(plan, fusion->output, 1))
        return false;
    const int *const found = plan->readers[fusion->output];
    const gc_node *const add = &plan->graph->nodes[found[0]];
    if (!is_op(add, "Add") || gc_attr_find(add, "axis") != NULL)
        return false;
    const int other = add->inputs[0] == fusion->output ? add->inputs[1] : add->inputs[0];
    const gc_value *const values = plan->graph->values;
    if (other == fusion->output || !plan->items[other].exists || values[other].constant != NULL ||
        !gc_tensor_same_dims(&values[other].type, &values[fusion->output].type))
        return false;
    absorb(fusion, plan, found[0], (gc_post){.kind = GC_POST_SUM});
    fusion->residual = other;
    return true;
}

static bool find_unary(const gc_plan *plan, gc_fusion *fusion)
{
    const int *const found = plan->readers[fusion->output];
    gc_post post;
    if (!may_vanish(plan, fusion->output, 1) ||
        plan->graph->nodes[found[0]].inputs[0] != fusion->output ||
        !unary_post(plan, &plan->graph->nodes[found[0]], &post))
        return false;
    absorb(fusion, plan, found[0], post);
    return true;
}

static bool is_hardswish_gate(const gc_node *node)
{
    return is_op(node, "HardSigmoid") &&
           fabsf(gc_attr_float(node, "alpha", 0.2f) - 1.0f / 6.0f) < 1e-6f &&
           gc_attr_float(node, "beta", 0.5f) == 0.5f;
}

/* x * sigmoid(x) and x * hardsigmoid(x), which exporters write as two nodes. */
static bool find_gated(const gc_plan *plan, gc_fusion *fusion)
{
    const int x = fusion->output;
    const int *const found = plan->readers[x];
    if (!may_vanish(plan, x, 2))
        return false;
    const gc_node *const nodes = plan->graph->nodes;
    const int gate = is_op(&nodes[found[0]], "Mul") ? found[1] : found[0];
    const bool is_swish = is_op(&nodes[gate], "Sigmoid");
    if (!is_swish && !is_hardswish_gate(&nodes[gate]))
        return false;
    const int gated = nodes[gate].outputs[0];
    const int *const product = plan->readers[gated];
    if (!may_vanish(plan, gated, 1) || (product[0] != found[0] && product[0] != found[1]) ||
        !is_op(&nodes[product[0]], "Mul"))
        return false;
    fusion->nodes[fusion->node_count++] = gate;
    absorb(fusion, plan, product[0],
           (gc_post){.kind = is_swish ? GC_POST_SWISH : GC_POST_HARDSWISH});
    return true;
}

void gc_fusion_find(const gc_plan *plan, int node, bool with_sum, gc_fusion *fusion)
{
    *fusion = (gc_fusion){.output = plan->graph->nodes[node].outputs[0], .residual = GC_ABSENT};
    if (plan->plain)
        return;
    if (with_sum)
        find_sum(plan, fusion);
    if (!find_unary(plan, fusion))
        find_gated(plan, fusion);
}
