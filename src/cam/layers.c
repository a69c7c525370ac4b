/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/layers.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Candidates ----------------------------------------------------------------------------- */

/* What is known of each value: does the score depend on it, and are its channels last (between two
 * Transposes, as ConvNeXt and Keras graphs have it)? */
typedef struct facts {
    bool *leads, *is_last;
} facts;

static void mark_leading(const gc_graph *graph, int score, bool *leads)
{
    leads[score] = true;
    for (int n = graph->node_count - 1; n >= 0; n--) {
        const gc_node *const node = &graph->nodes[n];
        bool used = false;
        for (int o = 0; o < node->output_count; o++)
            used |= node->outputs[o] != GC_ABSENT && leads[node->outputs[o]];
        for (int i = 0; used && i < node->input_count; i++)
            if (node->inputs[i] != GC_ABSENT)
                leads[node->inputs[i]] = true;
    }
}

static bool moves_channels(const gc_node *node, bool to_last)
{
    size_t rank = 0;
    const int64_t *const perm = gc_attr_ints(node, "perm", &rank);
    if (strcmp(node->op, "Transpose") != 0 || rank < 3)
        return false;
    for (size_t i = 1; i < rank; i++) {
        const size_t expected = to_last ? (i + 1 < rank ? i + 1 : 1) : (i == 1 ? rank - 1 : i - 1);
        if (perm[i] != (int64_t)expected)
            return false;
    }
    return perm[0] == 0;
}

static bool has_channels_first(const gc_node *node)
{
    static const char *const ops[] = {"Conv",        "ConvTranspose", "MaxPool",
                                      "AveragePool", "Upsample",      "BatchNormalization"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (strcmp(node->op, ops[i]) == 0)
            return true;
    return false;
}

static void mark_channels_last(const gc_graph *graph, bool *is_last)
{
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        bool last = false;
        for (int i = 0; i < node->input_count; i++)
            last |= node->inputs[i] != GC_ABSENT && is_last[node->inputs[i]];
        if (moves_channels(node, true))
            last = true;
        else if (moves_channels(node, false) || has_channels_first(node))
            last = false;
        for (int o = 0; o < node->output_count; o++)
            if (node->outputs[o] != GC_ABSENT)
                is_last[node->outputs[o]] = last;
    }
}

static bool is_spatial(const gc_tensor *type, int rank)
{
    int64_t positions = 1;
    for (int i = 2; i < type->rank; i++)
        positions *= type->dims[i];
    return type->rank == rank && rank >= 3 && gc_dtype_is_float(type->dtype) && positions > 1 &&
           type->dims[1] > 0;
}

static bool is_candidate(const gc_graph *graph, const facts *f, int value, int rank)
{
    return value != GC_ABSENT && f->leads[value] && !f->is_last[value] &&
           graph->values[value].constant == NULL && is_spatial(&graph->values[value].type, rank);
}

static gradcam_status collect(gc_layers *layers, const gc_graph *graph, const facts *f, int rank,
                              gradcam_error *error)
{
    GC_TRY(gc_new(&layers->items, (size_t)graph->node_count, sizeof *layers->items, error));
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        if (!is_candidate(graph, f, node->outputs[0], rank))
            continue;
        const char *const output = graph->values[node->outputs[0]].name;
        layers->items[layers->count++] = (gc_candidate){
            .value = node->outputs[0], .name = node->name[0] ? node->name : output, .op = node->op};
    }
    return GRADCAM_OK;
}

/* ---- Default -------------------------------------------------------------------------------- */

static int index_of(const gc_layers *layers, int value)
{
    for (int i = 0; i < layers->count; i++)
        if (layers->items[i].value == value)
            return i;
    return -1;
}

static const char *name_of(const gc_graph *graph, const gc_node *node)
{
    return node->name[0] != '\0' ? node->name : graph->values[node->outputs[0]].name;
}

/* The latest operator with a candidate as input and none as output. Reverse order finds the head of
 * the network before the gates of squeeze-and-excitation blocks, which lie earlier. */
static bool choose_before_pooling(gc_layers *layers, const gc_graph *graph, const facts *f,
                                  int rank)
{
    for (int n = graph->node_count - 1; n >= 0; n--) {
        const gc_node *const node = &graph->nodes[n];
        if (!f->leads[node->outputs[0]] || is_spatial(&graph->values[node->outputs[0]].type, rank))
            continue;
        for (int i = 0; i < node->input_count; i++) {
            const int at = node->inputs[i] == GC_ABSENT ? -1 : index_of(layers, node->inputs[i]);
            if (at < 0)
                continue;
            layers->chosen = at;
            snprintf(layers->reason, sizeof layers->reason,
                     "the last activation with spatial extent: input of %s '%s'", node->op,
                     name_of(graph, node));
            return true;
        }
    }
    return false;
}

/* A network whose score is itself a map (segmentation): what its last convolution reads. */
static bool choose_before_last_conv(gc_layers *layers, const gc_graph *graph)
{
    for (int n = graph->node_count - 1; n >= 0; n--) {
        const gc_node *const node = &graph->nodes[n];
        const int at = strcmp(node->op, "Conv") == 0 ? index_of(layers, node->inputs[0]) : -1;
        if (at < 0)
            continue;
        layers->chosen = at;
        snprintf(layers->reason, sizeof layers->reason,
                 "the score is a map: input of the last convolution '%s'", name_of(graph, node));
        return true;
    }
    return false;
}

static gradcam_status find(gc_layers *layers, const gc_graph *graph, int score, int rank,
                           const facts *f, gradcam_error *error)
{
    GC_TRY(collect(layers, graph, f, rank, error));
    char shape[GC_SHAPE_TEXT];
    GC_FAIL_IF(
        layers->count == 0, error, GRADCAM_ERROR_LAYER,
        "no activation between the input and the score '%s' (%s) has spatial extent, so there "
        "is nothing to map back to the picture",
        graph->values[score].name, gc_shape_text(&graph->values[score].type, shape));
    const bool is_map = is_spatial(&graph->values[score].type, rank);
    if (is_map && choose_before_last_conv(layers, graph))
        return GRADCAM_OK;
    if (choose_before_pooling(layers, graph, f, rank) || choose_before_last_conv(layers, graph))
        return GRADCAM_OK;
    layers->chosen = layers->count - 1;
    snprintf(layers->reason, sizeof layers->reason, "the last activation with spatial extent");
    return GRADCAM_OK;
}

gradcam_status gc_layers_find(gc_layers *layers, const gc_graph *graph, int score, int input_rank,
                              gradcam_error *error)
{
    facts f = {0};
    *layers = (gc_layers){0};
    gradcam_status status = gc_new(&f.leads, (size_t)graph->value_count, sizeof(bool), error);
    if (status == GRADCAM_OK)
        status = gc_new(&f.is_last, (size_t)graph->value_count, sizeof(bool), error);
    if (status == GRADCAM_OK) {
        mark_leading(graph, score, f.leads);
        mark_channels_last(graph, f.is_last);
        status = find(layers, graph, score, input_rank, &f, error);
    }
    gc_free(f.leads);
    gc_free(f.is_last);
    return status;
}

void gc_layers_free(gc_layers *layers)
{
    gc_free(layers->items);
    *layers = (gc_layers){0};
}

/* ---- Selection ------------------------------------------------------------------------------ */

static const char *output_name(const gc_graph *graph, const gc_candidate *candidate)
{
    return graph->values[candidate->value].name;
}

/* Lists the candidates that match (all, with match NULL), as far as they fit. */
static void list_candidates(const gc_layers *layers, const gc_graph *graph, const bool *match,
                            char *text, size_t size)
{
    size_t used = 0;
    int left_out = 0;
    text[0] = '\0';
    for (int i = 0; i < layers->count; i++) {
        char shape[GC_SHAPE_TEXT];
        if (match != NULL && !match[i])
            continue;
        const gc_candidate *const c = &layers->items[i];
        const int length = snprintf(text + used, size - used, "\n  %3d  %s  %s  %s", i, c->name,
                                    c->op, gc_shape_text(&graph->values[c->value].type, shape));
        if (length < 0 || used + (size_t)length >= size - 40) {
            text[used] = '\0';
            left_out++;
        } else {
            used += (size_t)length;
        }
    }
    if (left_out > 0)
        snprintf(text + used, size - used, "\n  ... and %d more", left_out);
}

static gradcam_status select_index(gc_layers *layers, const char *text, bool *found,
                                   gradcam_error *error)
{
    char *end = NULL;
    const long index = strtol(text, &end, 10);
    *found = isdigit((unsigned char)text[0]) && *end == '\0';
    if (!*found)
        return GRADCAM_OK;
    GC_FAIL_IF(
        index >= layers->count, error, GRADCAM_ERROR_LAYER,
        "layer index %s is out of range: this network has layers 0 to %d (gradcam layers lists "
        "them)",
        text, layers->count - 1);
    layers->chosen = (int)index;
    return GRADCAM_OK;
}

/* The value a node or output of this name makes in the graph as read, or -1. */
static int value_named(const gc_graph *original, const char *text)
{
    const int value = gc_graph_find_value(original, text);
    if (value >= 0)
        return value;
    for (int n = 0; n < original->node_count; n++)
        if (strcmp(original->nodes[n].name, text) == 0)
            return original->nodes[n].outputs[0];
    return -1;
}

static gradcam_status select_exact(gc_layers *layers, const gc_graph *graph,
                                   const gc_graph *original, const char *text, bool *found,
                                   gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    int value = value_named(original, text);
    *found = value >= 0;
    if (!*found)
        return GRADCAM_OK;
    value = gc_graph_resolve(graph, value);
    layers->chosen = index_of(layers, value);
    if (layers->chosen >= 0)
        return GRADCAM_OK;
    const gc_value *const v = &graph->values[value];
    const bool is_alive = v->producer >= 0;
    return gc_fail(error, GRADCAM_ERROR_LAYER,
                   "layer '%s' cannot be explained: %s (its shape is %s). Choose an activation "
                   "N x C x H x W between the input and the score; gradcam layers lists them.",
                   text,
                   is_alive ? "it has no spatial extent, or its channels are not in second place"
                            : "the score does not depend on it",
                   gc_shape_text(&v->type, shape));
}

static bool is_separator(char c)
{
    return c == '\0' || c == '/' || c == '.' || c == ':';
}

/* Does `name` contain `text` as one or more whole path components? */
static bool has_component(const char *name, const char *text)
{
    const size_t length = strlen(text);
    for (const char *at = strstr(name, text); at != NULL; at = strstr(at + 1, text))
        if ((at == name || is_separator(at[-1])) && is_separator(at[length]))
            return true;
    return false;
}

static gradcam_status select_part(gc_layers *layers, const gc_graph *graph, const char *text,
                                  bool *match, gradcam_error *error)
{
    char names[1200];
    int matches = 0, components = 0, last = 0;
    for (int i = 0; i < layers->count; i++) {
        const char *const name = layers->items[i].name;
        const char *const output = output_name(graph, &layers->items[i]);
        match[i] = strstr(name, text) != NULL || strstr(output, text) != NULL;
        matches += match[i];
        components += match[i] && (has_component(name, text) || has_component(output, text));
        last = match[i] ? i : last;
    }
    list_candidates(layers, graph, matches > 0 ? match : NULL, names, sizeof names);
    GC_FAIL_IF(matches == 0, error, GRADCAM_ERROR_LAYER, "no layer is called '%s'. There are:%s",
               text, names);
    GC_FAIL_IF(matches > 1 && components < matches, error, GRADCAM_ERROR_LAYER,
               "'%s' is part of %d layer names; give one of them, or its index:%s", text, matches,
               names);
    layers->chosen = last;
    if (matches > 1)
        snprintf(layers->reason, sizeof layers->reason, "the last of %d layers in '%s'", matches,
                 text);
    return GRADCAM_OK;
}

gradcam_status gc_layers_select(gc_layers *layers, const gc_graph *graph, const gc_graph *original,
                                const char *text, gradcam_error *error)
{
    bool found = false;
    snprintf(layers->reason, sizeof layers->reason, "chosen by '%s'", text);
    GC_FAIL_IF(text[0] == '\0', error, GRADCAM_ERROR_LAYER, "the layer name is empty");
    GC_TRY(select_index(layers, text, &found, error));
    if (!found)
        GC_TRY(select_exact(layers, graph, original, text, &found, error));
    if (found)
        return GRADCAM_OK;
    bool *match = NULL;
    GC_TRY(gc_new(&match, (size_t)layers->count, sizeof *match, error));
    const gradcam_status status = select_part(layers, graph, text, match, error);
    gc_free(match);
    return status;
}

/* ---- Several -------------------------------------------------------------------------------- */

static void add_once(int *list, int *count, int index)
{
    for (int i = 0; i < *count; i++)
        if (list[i] == index)
            return;
    list[(*count)++] = index;
}

gradcam_status gc_layers_select_several(gc_layers *layers, const gc_graph *graph,
                                        const gc_graph *original, const char *text, int *list,
                                        int *count, gradcam_error *error)
{
    const bool is_all = strcmp(text, "all") == 0 && value_named(original, text) < 0;
    const int before = *count;
    if (!is_all && (strpbrk(text, "*?") == NULL || value_named(original, text) >= 0)) {
        GC_TRY(gc_layers_select(layers, graph, original, text, error));
        add_once(list, count, layers->chosen);
        return GRADCAM_OK;
    }
    for (int i = 0; i < layers->count; i++) {
        const gc_candidate *const c = &layers->items[i];
        const bool matches =
            is_all ? strcmp(c->op, "Conv") == 0
                   : fnmatch(text, c->name, 0) == 0 || fnmatch(text, output_name(graph, c), 0) == 0;
        if (matches)
            add_once(list, count, i);
    }
    char names[1200];
    list_candidates(layers, graph, NULL, names, sizeof names);
    GC_FAIL_IF(*count == before && before == 0, error, GRADCAM_ERROR_LAYER,
               "no layer matches '%s'. There are:%s", text, names);
    layers->chosen = list[before < *count ? before : 0];
    snprintf(layers->reason, sizeof layers->reason, "chosen by '%s'", text);
    return GRADCAM_OK;
}
