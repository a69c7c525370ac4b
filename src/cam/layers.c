/* SPDX-License-Identifier: Apache-2.0 */
#include "cam/layers.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- What the score needs ------------------------------------------------------------------- */

/* How much of a value the score depends on. Behind the last attention of a transformer, only the
 * class token matters: the tokens of the picture have no gradient there. */
typedef enum need { NEED_NOTHING, NEED_EXTRA, NEED_ALL } need;

typedef struct facts {
    const gc_graph *graph;
    gc_axes *axes;
    uint8_t *needs; /* of each value */
    int64_t batch;
} facts;

static bool is_map(const facts *f, int value)
{
    return value != GC_ABSENT && f->graph->values[value].constant == NULL &&
           gc_axes_is_map(&f->axes[value], &f->graph->values[value].type);
}

static bool is_tokens(const facts *f, int value)
{
    return is_map(f, value) && f->axes[value].tokens.extra > 0 &&
           gc_axis_find(&f->axes[value], f->graph->values[value].type.rank, GC_AXIS_TOKENS) >= 0;
}

static const gc_tensor *constant_at(const facts *f, const gc_node *node, int index)
{
    const int value = index < node->input_count ? node->inputs[index] : GC_ABSENT;
    const gc_constant *const c = value == GC_ABSENT ? NULL : f->graph->values[value].constant;
    return c != NULL ? gc_constant_tensor(c) : NULL;
}

/* Does the node read nothing but extra tokens of its first input? */
static bool takes_extra(const facts *f, const gc_node *node)
{
    const gc_axes *const axes = &f->axes[node->inputs[0]];
    const int rank = f->graph->values[node->inputs[0]].type.rank;
    const int axis = gc_axis_find(axes, rank, GC_AXIS_TOKENS);
    const gc_tensor *const indices = constant_at(f, node, 1);
    int64_t given = gc_attr_int(node, "axis", 0);
    given += given < 0 ? rank : 0;
    if (strcmp(node->op, "Gather") == 0 && indices != NULL && given == axis) {
        for (int64_t i = 0; i < gc_tensor_count(indices); i++)
            if (gc_ints(indices)[i] < 0 || gc_ints(indices)[i] >= axes->tokens.extra)
                return false;
        return true;
    }
    const gc_tensor *const ends = constant_at(f, node, 2), *const on = constant_at(f, node, 3);
    if (strcmp(node->op, "Slice") != 0 || indices == NULL || ends == NULL || on == NULL)
        return false;
    for (int64_t i = 0; i < gc_tensor_count(on); i++) {
        const int64_t at = gc_ints(on)[i] + (gc_ints(on)[i] < 0 ? rank : 0);
        if (at == axis && gc_ints(indices)[i] >= 0 && gc_ints(ends)[i] >= 0 &&
            gc_ints(ends)[i] <= axes->tokens.extra)
            return true;
    }
    return false;
}

/* How much the node needs of an input, if `needed` is what is needed of its outputs. */
static need need_of_input(const facts *f, const gc_node *node, int input, need needed)
{
    const int v = node->inputs[input], out = node->outputs[0];
    if (needed == NEED_NOTHING || v == GC_ABSENT || f->graph->values[v].constant != NULL)
        return NEED_NOTHING;
    if (!is_tokens(f, v))
        return NEED_ALL;
    if (input == 0 && takes_extra(f, node))
        return NEED_EXTRA;
    /* Token by token: the axis passes through. */
    const int rank = f->graph->values[v].type.rank;
    const bool passes = out != GC_ABSENT && rank == f->graph->values[out].type.rank &&
                        gc_axis_find(&f->axes[v], rank, GC_AXIS_TOKENS) ==
                            gc_axis_find(&f->axes[out], rank, GC_AXIS_TOKENS) &&
                        strcmp(node->op, "Transpose") != 0;
    return needed == NEED_EXTRA && passes ? NEED_EXTRA : NEED_ALL;
}

static need need_of_outputs(const facts *f, const gc_node *node)
{
    need most = NEED_NOTHING;
    for (int o = 0; o < node->output_count; o++)
        if (node->outputs[o] != GC_ABSENT && f->needs[node->outputs[o]] > most)
            most = f->needs[node->outputs[o]];
    return most;
}

static void find_needs(facts *f, int score)
{
    f->needs[score] = NEED_ALL;
    for (int n = f->graph->node_count - 1; n >= 0; n--) {
        const gc_node *const node = &f->graph->nodes[n];
        const need needed = need_of_outputs(f, node);
        for (int i = 0; i < node->input_count; i++) {
            const need of_input = need_of_input(f, node, i, needed);
            if (of_input > NEED_NOTHING && of_input > f->needs[node->inputs[i]])
                f->needs[node->inputs[i]] = (uint8_t)of_input;
        }
    }
}

/* ---- Candidates ----------------------------------------------------------------------------- */

static gradcam_status collect(gc_layers *layers, const facts *f, gradcam_error *error)
{
    const gc_graph *const graph = f->graph;
    GC_TRY(gc_new(&layers->items, (size_t)graph->node_count, sizeof *layers->items, error));
    for (int n = 0; n < graph->node_count; n++) {
        const gc_node *const node = &graph->nodes[n];
        const int value = node->outputs[0];
        if (!is_map(f, value) || f->needs[value] == NEED_NOTHING)
            continue;
        const char *const output = graph->values[value].name;
        layers->items[layers->count++] = (gc_candidate){.value = value,
                                                        .name = node->name[0] ? node->name : output,
                                                        .op = node->op,
                                                        .axes = f->axes[value]};
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
static int choose_before_pooling(gc_layers *layers, const facts *f)
{
    for (int n = f->graph->node_count - 1; n >= 0; n--) {
        const gc_node *const node = &f->graph->nodes[n];
        const need needed = need_of_outputs(f, node);
        if (needed == NEED_NOTHING || is_map(f, node->outputs[0]))
            continue;
        for (int i = 0; i < node->input_count; i++) {
            const int at = node->inputs[i] == GC_ABSENT ? -1 : index_of(layers, node->inputs[i]);
            if (at < 0 || need_of_input(f, node, i, needed) != NEED_ALL)
                continue;
            layers->chosen = at;
            snprintf(layers->reason, sizeof layers->reason,
                     "the last activation with spatial extent: input of %s '%s'", node->op,
                     name_of(f->graph, node));
            return n;
        }
    }
    return -1;
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

/* ---- Default of token models ---------------------------------------------------------------- */

/* Channels of the stream of tokens: those of the last value that leads to the score. */
static int64_t stream_channels(const gc_layers *layers, const facts *f)
{
    for (int i = layers->count - 1; i >= 0; i--) {
        const gc_candidate *const c = &layers->items[i];
        const gc_tensor *const type = &f->graph->values[c->value].type;
        if (gc_axis_find(&c->axes, type->rank, GC_AXIS_TOKENS) >= 0)
            return gc_axes_channels(&c->axes, type);
    }
    return 0;
}

/* uses[value] = reads of the whole value by nodes. */
static void count_whole_uses(const facts *f, int *uses)
{
    for (int n = 0; n < f->graph->node_count; n++) {
        const gc_node *const node = &f->graph->nodes[n];
        const need needed = need_of_outputs(f, node);
        for (int i = 0; i < node->input_count; i++)
            if (need_of_input(f, node, i, needed) == NEED_ALL)
                uses[node->inputs[i]]++;
    }
}

/* The last candidate up to `node` through which all that the score knows of the picture goes, as
 * wide as the stream of tokens: not the queries, keys and values that are made of it. */
static int last_bottleneck(const gc_layers *layers, const facts *f, int last_node, int *uses)
{
    const int64_t channels = stream_channels(layers, f);
    int live = 0, found = -1;
    count_whole_uses(f, uses);
    for (int i = 0; i < f->graph->input_count; i++)
        live += uses[f->graph->inputs[i]] > 0;
    for (int n = 0; n < last_node; n++) {
        const gc_node *const node = &f->graph->nodes[n];
        const need needed = need_of_outputs(f, node);
        for (int i = 0; i < node->input_count; i++)
            if (need_of_input(f, node, i, needed) == NEED_ALL)
                live -= --uses[node->inputs[i]] == 0;
        for (int o = 0; o < node->output_count; o++)
            live += node->outputs[o] != GC_ABSENT && uses[node->outputs[o]] > 0;
        const int at = live == 1 ? index_of(layers, node->outputs[0]) : -1;
        if (at < 0 || uses[node->outputs[0]] == 0)
            continue;
        const gc_tensor *const type = &f->graph->values[node->outputs[0]].type;
        if (gc_axes_channels(&layers->items[at].axes, type) == channels &&
            gc_axis_find(&layers->items[at].axes, type->rank, GC_AXIS_TOKENS) >= 0)
            found = at;
    }
    return found;
}

/* The same numbers in another order are shown where they were made. */
static int before_views(const gc_layers *layers, const gc_graph *graph, int at)
{
    for (;;) {
        const gc_node *const node = &graph->nodes[graph->values[layers->items[at].value].producer];
        const bool is_view = strcmp(node->op, "Transpose") == 0 || strcmp(node->op, "Reshape") == 0;
        const int before = is_view ? index_of(layers, node->inputs[0]) : -1;
        if (before < 0)
            return at;
        at = before;
    }
}

static gradcam_status refine_tokens(gc_layers *layers, const facts *f, int node,
                                    gradcam_error *error)
{
    int *uses = NULL;
    char grid[GC_GRID_TEXT];
    GC_TRY(gc_new(&uses, (size_t)f->graph->value_count, sizeof *uses, error));
    const int found = last_bottleneck(layers, f, node, uses);
    gc_free(uses);
    if (found >= 0)
        layers->chosen = before_views(layers, f->graph, found);
    snprintf(layers->reason, sizeof layers->reason,
             "the last tokens of the picture (%s) that the score depends on",
             gc_grid_text(&layers->items[layers->chosen].axes.tokens, grid));
    return GRADCAM_OK;
}

/* Tokens whose grid is not known, behind what would be chosen: then nothing is chosen. */
static void refuse_unknown_tokens(gc_layers *layers, const facts *f, int first_node)
{
    static const char *const ops[] = {"Add", "LayerNormalization"};
    int found = GC_ABSENT, count = 0;
    for (int n = first_node; n < f->graph->node_count; n++) {
        const gc_node *const node = &f->graph->nodes[n];
        const int v = node->outputs[0];
        const gc_tensor *const type = &f->graph->values[v].type;
        if (f->needs[v] != NEED_NOTHING && !is_map(f, v) && type->rank == 3 &&
            type->dims[0] == f->batch && type->dims[1] >= 4 && type->dims[2] > 1 &&
            (strcmp(node->op, ops[0]) == 0 || strcmp(node->op, ops[1]) == 0)) {
            found = v;
            count++;
        }
    }
    if (count < 2) /* a transformer adds and normalises again and again */
        return;
    layers->chosen = -1;
    snprintf(layers->refusal, sizeof layers->refusal,
             "the network works on %lld tokens ('%s'), and how they lie in the picture cannot be "
             "told from the shapes. Give "
             "--tokens HxW+K: a grid of H x W after K extra ones, H*W+K = %lld",
             (long long)f->graph->values[found].type.dims[1], f->graph->values[found].name,
             (long long)f->graph->values[found].type.dims[1]);
}

static gradcam_status choose(gc_layers *layers, const facts *f, int score, gradcam_error *error)
{
    const gc_graph *const graph = f->graph;
    if (is_map(f, score) && choose_before_last_conv(layers, graph))
        return GRADCAM_OK;
    const int node = choose_before_pooling(layers, f);
    if (node < 0 && choose_before_last_conv(layers, graph))
        return GRADCAM_OK;
    if (node < 0) {
        layers->chosen = layers->count - 1;
        snprintf(layers->reason, sizeof layers->reason, "the last activation with spatial extent");
        return GRADCAM_OK;
    }
    const gc_candidate *const c = &layers->items[layers->chosen];
    if (gc_axis_find(&c->axes, graph->values[c->value].type.rank, GC_AXIS_TOKENS) >= 0)
        return refine_tokens(layers, f, node, error);
    refuse_unknown_tokens(layers, f, node);
    return GRADCAM_OK;
}

/* ---- Finding -------------------------------------------------------------------------------- */

static gradcam_status check_tokens(const facts *f, const gc_tokens *tokens, gradcam_error *error)
{
    char text[GC_GRID_TEXT];
    for (int v = 0; tokens != NULL && tokens->grid_rank > 0 && v < f->graph->value_count; v++)
        if (is_map(f, v) &&
            gc_axis_find(&f->axes[v], f->graph->values[v].type.rank, GC_AXIS_TOKENS) >= 0 &&
            memcmp(f->axes[v].tokens.grid, tokens->grid, sizeof tokens->grid) == 0 &&
            f->axes[v].tokens.extra == tokens->extra)
            return GRADCAM_OK;
    GC_FAIL_IF(tokens != NULL && tokens->grid_rank > 0, error, GRADCAM_ERROR_LAYER,
               "tokens %s: no activation N x tokens x C has so many; gradcam layers lists the "
               "activations there are",
               gc_grid_text(tokens, text));
    return GRADCAM_OK;
}

static gradcam_status find(gc_layers *layers, facts *f, int score, const gc_tokens *tokens,
                           gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    GC_TRY(gc_axes_trace(&f->axes, f->graph, tokens, error));
    GC_TRY(check_tokens(f, tokens, error));
    GC_TRY(gc_new(&f->needs, (size_t)f->graph->value_count, sizeof *f->needs, error));
    find_needs(f, score);
    GC_TRY(collect(layers, f, error));
    if (layers->count == 0)
        refuse_unknown_tokens(layers, f, 0);
    GC_FAIL_IF(layers->refusal[0] != '\0' && layers->count == 0, error, GRADCAM_ERROR_LAYER, "%s",
               layers->refusal);
    GC_FAIL_IF(layers->count == 0, error, GRADCAM_ERROR_LAYER,
               "no activation between the input and the score '%s' (%s) has spatial extent, so "
               "there is nothing to map back to the picture",
               f->graph->values[score].name, gc_shape_text(&f->graph->values[score].type, shape));
    return choose(layers, f, score, error);
}

gradcam_status gc_layers_find(gc_layers *layers, const gc_graph *graph, int score,
                              const gc_tokens *tokens, gradcam_error *error)
{
    facts f = {.graph = graph};
    *layers = (gc_layers){.score = score};
    if (graph->input_count > 0 && graph->values[graph->inputs[0]].type.rank > 0)
        f.batch = graph->values[graph->inputs[0]].type.dims[0];
    const gradcam_status status = find(layers, &f, score, tokens, error);
    gc_free(f.axes);
    gc_free(f.needs);
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

static gradcam_status refuse(const gc_layers *layers, const gc_graph *graph, int value,
                             const char *text, gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    bool *depends = NULL;
    GC_TRY(gc_new(&depends, (size_t)graph->value_count, sizeof *depends, error));
    gc_graph_mark_dependent(graph, value, depends);
    const bool leads_to_score = depends[layers->score];
    gc_free(depends);
    return gc_fail(error, GRADCAM_ERROR_LAYER,
                   "layer '%s' cannot be explained: %s (its shape is %s). Choose an activation "
                   "with spatial extent between the input and the score; gradcam layers lists "
                   "them.",
                   text,
                   leads_to_score
                       ? "it has no spatial extent, or which axes are spatial cannot be told"
                       : "the score does not depend on it",
                   gc_shape_text(&graph->values[value].type, shape));
}

static gradcam_status select_exact(gc_layers *layers, const gc_graph *graph,
                                   const gc_graph *original, const char *text, bool *found,
                                   gradcam_error *error)
{
    int value = value_named(original, text);
    *found = value >= 0;
    if (!*found)
        return GRADCAM_OK;
    value = gc_graph_resolve(graph, value);
    layers->chosen = index_of(layers, value);
    if (layers->chosen >= 0)
        return GRADCAM_OK;
    return refuse(layers, graph, value, text, error);
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
    if (text == NULL) {
        GC_FAIL_IF(layers->chosen < 0, error, GRADCAM_ERROR_LAYER, "%s", layers->refusal);
        return GRADCAM_OK;
    }
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
