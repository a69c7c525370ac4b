/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control flow that follows from constants and shapes is taken away: an If becomes the nodes of its
 * branch, a Loop those of its body, turn by turn. Sequences, which loops build, are followed
 * through the nodes that make them, and their elements are read directly.
 *
 * Between turns, a Loop has the inputs
 *   number of turns, condition, carried values, captured values, elements of the scan outputs
 * and says in `gradcam_turn` how many turns have been taken.
 */
#include <string.h>

#include "passes/evaluate.h"
#include "passes/passes.h"

/* Turns of one loop, and of all loops together; and how often a node may be moved to make room. */
enum { MAX_TURNS = 1024, MAX_ALL_TURNS = 16384, MAX_SEQUENCE = 512 };
static const int64_t max_moves = 1 << 27;

static const char turn_name[] = "gradcam_turn";

typedef struct unroller {
    gc_graph *graph;
    gc_operands *operands;
    gradcam_error *error;
    int *map;   /* of the body that is copied: its values to the graph's; others to themselves */
    int *bound; /* values that the map takes to others */
    size_t bound_count, bound_room;
    int turns; /* of all loops so far */
    int64_t moves;
} unroller;

static bool is_op(const gc_node *node, const char *op)
{
    return node->domain[0] == '\0' && strcmp(node->op, op) == 0;
}

static bool is_sequence_op(const gc_node *node)
{
    static const char *const ops[] = {"SequenceEmpty",  "SequenceConstruct", "SequenceInsert",
                                      "SequenceLength", "SequenceAt",        "ConcatFromSequence"};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (is_op(node, ops[i]))
            return true;
    return false;
}

bool gc_is_unrolled(const gc_node *node)
{
    return is_op(node, "If") || is_op(node, "Loop") || is_sequence_op(node);
}

/* Is the input a constant with a first element? Then *value is that. */
static bool read_integer(const gc_graph *graph, int input, int64_t *value)
{
    const gc_constant *const c = input == GC_ABSENT ? NULL : graph->values[input].constant;
    const gc_tensor *const t = c != NULL ? gc_constant_tensor(c) : NULL;
    if (t == NULL || gc_dtype_is_float(t->dtype) || gc_tensor_count(t) < 1)
        return false;
    *value = gc_ints(t)[0];
    return true;
}

/* ---- New nodes and values ------------------------------------------------------------------- */

static gradcam_status add_integer(unroller *u, const char *name, gc_dtype dtype, int rank,
                                  int64_t value, int *index)
{
    gc_tensor tensor;
    gc_constant *constant = NULL;
    gc_tensor_describe(&tensor, dtype, rank, (const int64_t[]){1});
    GC_TRY(gc_tensor_alloc(&tensor, u->error));
    gc_ints(&tensor)[0] = value;
    const gradcam_status status = gc_constant_create(&constant, &tensor, u->error);
    gc_tensor_free(&tensor);
    GC_TRY(status);
    return gc_graph_add_constant(u->graph, name, constant, index, u->error);
}

static gradcam_status add_simple(unroller *u, const char *name, const char *op, int opset, int from,
                                 int to)
{
    gc_node *node = NULL;
    GC_TRY(gc_graph_add_node(u->graph, name, op, "", opset, 1, 1, &node, u->error));
    node->inputs[0] = from;
    node->outputs[0] = to;
    return GRADCAM_OK;
}

/* ---- The map of a body ---------------------------------------------------------------------- */

static gradcam_status bind(unroller *u, int value, int to)
{
    GC_TRY(gc_grow(&u->bound, &u->bound_room, u->bound_count + 1, sizeof *u->bound, u->error));
    u->bound[u->bound_count++] = value;
    u->map[value] = to;
    return GRADCAM_OK;
}

/* As many steps as the last body has values, not as many as the graph has. */
static void begin_map(unroller *u)
{
    for (size_t i = 0; i < u->bound_count; i++)
        u->map[u->bound[i]] = u->bound[i];
    u->bound_count = 0;
}

/* Bodies hold no other values than those that the file names. */
static gradcam_status create_map(unroller *u)
{
    GC_TRY(gc_new(&u->map, (size_t)u->graph->value_count, sizeof *u->map, u->error));
    for (int v = 0; v < u->graph->value_count; v++)
        u->map[v] = v;
    return GRADCAM_OK;
}

/* Values that stand in the graph already get a copy for each further time. */
static gradcam_status instantiate(unroller *u, int value, int turn)
{
    const gc_value v = u->graph->values[value];
    const char *name = v.name;
    if (u->map[value] != value)
        return GRADCAM_OK;
    if (turn == 0 && v.producer < 0 && v.constant == NULL)
        return GRADCAM_OK;
    GC_TRY(
        gc_arena_format(u->graph->arena, &name, u->error, "%s[%d]", v.name, u->graph->value_count));
    int made = 0;
    GC_TRY(gc_graph_add_value(u->graph, name, &made, u->error));
    return bind(u, value, made);
}

static int mapped(const unroller *u, int value)
{
    return value == GC_ABSENT ? GC_ABSENT : u->map[value];
}

static gradcam_status copy_node(unroller *u, const gc_node *from, int turn)
{
    gc_node *to = NULL;
    const char *name = from->name;
    if (turn > 0 && name[0] != '\0')
        GC_TRY(gc_arena_format(u->graph->arena, &name, u->error, "%s[%d]", name, turn));
    for (int o = 0; o < from->output_count; o++)
        if (from->outputs[o] != GC_ABSENT)
            GC_TRY(instantiate(u, from->outputs[o], turn));
    GC_TRY(gc_graph_add_node(u->graph, name, from->op, from->domain, from->opset, from->input_count,
                             from->output_count, &to, u->error));
    for (int i = 0; i < from->input_count; i++)
        to->inputs[i] = mapped(u, from->inputs[i]);
    for (int o = 0; o < from->output_count; o++) {
        to->outputs[o] = mapped(u, from->outputs[o]);
        if (to->outputs[o] != GC_ABSENT) /* the index is set right when the nodes are in place */
            u->graph->values[to->outputs[o]].producer = u->graph->node_count - 1;
    }
    return gc_node_copy_attrs(u->graph, to, from, u->error);
}

/* The body's nodes behind those of the graph. Inputs and captures are in the map already. */
static gradcam_status copy_body(unroller *u, const gc_body *body, int turn)
{
    for (int n = 0; n < body->node_count; n++)
        GC_TRY(copy_node(u, &body->nodes[n], turn));
    return GRADCAM_OK;
}

/* ---- If ------------------------------------------------------------------------------------- */

static const gc_body *body_of(const gc_node *node, const char *name)
{
    const gc_attr *const attr = gc_attr_find(node, name);
    return attr != NULL && attr->type == GC_ATTR_GRAPH ? attr->body : NULL;
}

/* The captured values of all bodies stand in the order in which the file names them. */
static int first_capture(const gc_node *node, const char *name, int fixed)
{
    int at = fixed;
    for (int i = 0; i < node->attr_count; i++) {
        if (strcmp(node->attrs[i].name, name) == 0)
            break;
        if (node->attrs[i].type == GC_ATTR_GRAPH && node->attrs[i].body != NULL)
            at += node->attrs[i].body->capture_count;
    }
    return at;
}

static gradcam_status check_bodies(const unroller *u, const gc_node *node, const gc_body *body,
                                   int outputs)
{
    char text[GC_NODE_TEXT];
    GC_FAIL_IF(body == NULL || body->output_count < outputs, u->error, GRADCAM_ERROR_MODEL,
               "%s: a sub-graph is missing or has fewer outputs than the node",
               gc_node_text(u->graph, node, text));
    return GRADCAM_OK;
}

static gradcam_status expand_if(unroller *u, const gc_node *node, bool *is_done)
{
    int64_t condition = 0;
    *is_done = node->input_count > 0 && read_integer(u->graph, node->inputs[0], &condition);
    if (!*is_done)
        return GRADCAM_OK;
    const char *const name = condition != 0 ? "then_branch" : "else_branch";
    const gc_body *const body = body_of(node, name);
    const int captures = first_capture(node, name, 1);
    GC_TRY(check_bodies(u, node, body, node->output_count));
    begin_map(u);
    for (int i = 0; i < body->capture_count; i++)
        GC_TRY(bind(u, body->captures[i], node->inputs[captures + i]));
    GC_TRY(copy_body(u, body, 0));
    for (int o = 0; o < node->output_count; o++)
        if (node->outputs[o] != GC_ABSENT)
            GC_TRY(add_simple(u, node->name, "Identity", node->opset, mapped(u, body->outputs[o]),
                              node->outputs[o]));
    return GRADCAM_OK;
}

/* ---- Loop ----------------------------------------------------------------------------------- */

typedef struct loop {
    const gc_node *node;
    const gc_body *body;
    int carried, scanned, turn;
    int condition; /* of the next turn: a value, or GC_ABSENT */
} loop;

static int scan_start(const loop *l)
{
    return 2 + l->carried + l->body->capture_count;
}

/* The elements that the turns gave, each with a new first extent, one after the other. */
static gradcam_status join_scanned(unroller *u, const loop *l, int which)
{
    char text[GC_NODE_TEXT];
    const gc_node *const node = l->node;
    int axes = 0;
    gc_node *concat = NULL;
    const int first = u->graph->value_count + 1;
    GC_FAIL_IF(l->turn == 0, u->error, GRADCAM_ERROR_UNSUPPORTED,
               "%s takes no turn, so that the shape of its output %d cannot be known",
               gc_node_text(u->graph, node, text), l->carried + which);
    GC_TRY(add_integer(u, "", GC_INT64, 1, 0, &axes));
    for (int t = 0; t < l->turn; t++) {
        int made = 0;
        gc_node *unsqueeze = NULL;
        GC_TRY(gc_graph_add_value(u->graph, "", &made, u->error));
        GC_TRY(gc_graph_add_node(u->graph, node->name, "Unsqueeze", "", node->opset, 2, 1,
                                 &unsqueeze, u->error));
        unsqueeze->inputs[0] = node->inputs[scan_start(l) + t * l->scanned + which];
        unsqueeze->inputs[1] = axes;
        unsqueeze->outputs[0] = made;
    }
    GC_TRY(gc_graph_add_node(u->graph, node->name, "Concat", "", node->opset, l->turn, 1, &concat,
                             u->error));
    for (int t = 0; t < l->turn; t++)
        concat->inputs[t] = first + t;
    concat->outputs[0] = node->outputs[l->carried + which];
    return gc_node_set_int(u->graph, concat, "axis", 0, u->error);
}

static gradcam_status end_loop(unroller *u, const loop *l)
{
    const gc_node *const node = l->node;
    for (int o = 0; o < node->output_count; o++) {
        if (node->outputs[o] == GC_ABSENT)
            continue;
        if (o < l->carried)
            GC_TRY(add_simple(u, node->name, "Identity", node->opset, node->inputs[2 + o],
                              node->outputs[o]));
        else
            GC_TRY(join_scanned(u, l, o - l->carried));
    }
    return GRADCAM_OK;
}

/* The loop again, after one turn more. */
static gradcam_status add_rest(unroller *u, const loop *l)
{
    gc_node *rest = NULL;
    const gc_node *const node = l->node;
    const gc_body *const body = l->body;
    GC_TRY(gc_graph_add_node(u->graph, node->name, "Loop", "", node->opset,
                             node->input_count + l->scanned, node->output_count, &rest, u->error));
    for (int i = 0; i < node->input_count; i++)
        rest->inputs[i] = node->inputs[i];
    rest->inputs[1] = mapped(u, body->outputs[0]);
    for (int i = 0; i < l->carried; i++)
        rest->inputs[2 + i] = mapped(u, body->outputs[1 + i]);
    for (int i = 0; i < l->scanned; i++)
        rest->inputs[node->input_count + i] = mapped(u, body->outputs[1 + l->carried + i]);
    memcpy(rest->outputs, node->outputs, (size_t)node->output_count * sizeof(int));
    GC_TRY(gc_node_copy_attrs(u->graph, rest, node, u->error));
    return gc_node_set_int(u->graph, rest, turn_name, l->turn + 1, u->error);
}

static gradcam_status take_turn(unroller *u, const loop *l)
{
    char text[GC_NODE_TEXT];
    int turn = 0, condition = l->condition;
    const gc_body *const body = l->body;
    const int most = u->graph->most_nodes;
    GC_FAIL_IF(l->turn >= MAX_TURNS || u->graph->node_count + body->node_count > most, u->error,
               GRADCAM_ERROR_LIMIT,
               "%s: %d turns and no end, with %d nodes; the limit is %d turns and %d nodes "
               "(--max-nodes, nodes)",
               gc_node_text(u->graph, l->node, text), l->turn, u->graph->node_count, MAX_TURNS,
               most);
    GC_FAIL_IF(++u->turns > MAX_ALL_TURNS, u->error, GRADCAM_ERROR_LIMIT,
               "%s: the loops of the model take more than %d turns together, and no more are "
               "unrolled",
               gc_node_text(u->graph, l->node, text), MAX_ALL_TURNS);
    GC_TRY(add_integer(u, "", GC_INT64, 0, l->turn, &turn));
    if (condition == GC_ABSENT)
        GC_TRY(add_integer(u, "", GC_BOOL, 0, 1, &condition));
    begin_map(u);
    GC_TRY(bind(u, body->inputs[0], turn));
    GC_TRY(bind(u, body->inputs[1], condition));
    for (int i = 0; i < l->carried; i++)
        GC_TRY(bind(u, body->inputs[2 + i], l->node->inputs[2 + i]));
    for (int i = 0; i < body->capture_count; i++)
        GC_TRY(bind(u, body->captures[i], l->node->inputs[2 + l->carried + i]));
    GC_TRY(copy_body(u, body, l->turn));
    return add_rest(u, l);
}

static gradcam_status open_loop(const unroller *u, const gc_node *node, loop *l)
{
    char text[GC_NODE_TEXT];
    *l = (loop){.node = node, .body = body_of(node, "body"), .condition = GC_ABSENT};
    GC_TRY(check_bodies(u, node, l->body, node->output_count + 1));
    l->carried = l->body->input_count - 2;
    l->scanned = l->body->output_count - 1 - l->carried;
    l->turn = (int)gc_attr_int(node, turn_name, 0);
    GC_FAIL_IF(l->carried < 0 || l->scanned < 0, u->error, GRADCAM_ERROR_MODEL,
               "%s: a body of %d inputs and %d outputs is none of a loop",
               gc_node_text(u->graph, node, text), l->body->input_count, l->body->output_count);
    return GRADCAM_OK;
}

static gradcam_status expand_loop(unroller *u, const gc_node *node, bool *is_done)
{
    int64_t turns = INT64_MAX, condition = 1;
    loop l;
    *is_done = false;
    GC_TRY(open_loop(u, node, &l));
    if (node->inputs[0] != GC_ABSENT && !read_integer(u->graph, node->inputs[0], &turns))
        return GRADCAM_OK;
    /* After the last of a known number of turns, the condition does not matter. */
    l.condition = node->inputs[1];
    if (l.turn < turns && l.condition != GC_ABSENT &&
        !read_integer(u->graph, l.condition, &condition))
        return GRADCAM_OK;
    *is_done = true;
    return l.turn >= turns || condition == 0 ? end_loop(u, &l) : take_turn(u, &l);
}

/* ---- Sequences ------------------------------------------------------------------------------ */

typedef struct sequence {
    int items[MAX_SEQUENCE];
    int count;
} sequence;

static gradcam_status full(const unroller *u)
{
    return gc_fail(u->error, GRADCAM_ERROR_LIMIT, "a sequence has more than %d elements",
                   MAX_SEQUENCE);
}

static gradcam_status insert(const unroller *u, sequence *s, const gc_node *node, bool *is_known)
{
    int64_t at = s->count;
    const bool has_place = node->input_count > 2 && node->inputs[2] != GC_ABSENT;
    *is_known = !has_place || read_integer(u->graph, node->inputs[2], &at);
    if (at < 0)
        at += s->count;
    *is_known &= at >= 0 && at <= s->count && node->input_count > 1;
    if (!*is_known)
        return GRADCAM_OK;
    if (s->count == MAX_SEQUENCE)
        return full(u);
    memmove(s->items + at + 1, s->items + at, (size_t)(s->count - at) * sizeof(int));
    s->items[at] = node->inputs[1];
    s->count++;
    return GRADCAM_OK;
}

/* The elements of the sequence `value`, from the nodes that make it: the first of them is found by
 * going back, the others are applied on the way forth. */
static gradcam_status find_sequence(const unroller *u, int value, sequence *s, bool *is_known)
{
    int chain[MAX_SEQUENCE], length = 0;
    const gc_graph *const g = u->graph;
    *is_known = false;
    s->count = 0;
    for (;; value = g->nodes[chain[length - 1]].inputs[0]) {
        const int producer = value == GC_ABSENT ? -1 : g->values[value].producer;
        if (producer < 0)
            return GRADCAM_OK;
        if (length == MAX_SEQUENCE)
            return full(u);
        chain[length++] = producer;
        if (!is_op(&g->nodes[producer], "SequenceInsert") &&
            !is_op(&g->nodes[producer], "Identity"))
            break;
    }
    const gc_node *const first = &g->nodes[chain[length - 1]];
    if (is_op(first, "SequenceConstruct"))
        for (int i = 0; i < first->input_count && i < MAX_SEQUENCE; i++)
            s->items[s->count++] = first->inputs[i];
    else if (!is_op(first, "SequenceEmpty"))
        return GRADCAM_OK;
    *is_known = true;
    for (int i = length - 2; i >= 0 && *is_known; i--)
        if (is_op(&g->nodes[chain[i]], "SequenceInsert"))
            GC_TRY(insert(u, s, &g->nodes[chain[i]], is_known));
    return GRADCAM_OK;
}

static gradcam_status replace_concat(unroller *u, const gc_node *node, const sequence *s)
{
    const int64_t axis = gc_attr_int(node, "axis", 0);
    const bool is_new = gc_attr_int(node, "new_axis", 0) != 0;
    const int first = u->graph->value_count + 1;
    int axes = 0;
    gc_node *made = NULL;
    if (is_new)
        GC_TRY(add_integer(u, "", GC_INT64, 1, axis, &axes));
    for (int i = 0; is_new && i < s->count; i++) {
        int value = 0;
        GC_TRY(gc_graph_add_value(u->graph, "", &value, u->error));
        GC_TRY(gc_graph_add_node(u->graph, node->name, "Unsqueeze", "", node->opset, 2, 1, &made,
                                 u->error));
        made->inputs[0] = s->items[i];
        made->inputs[1] = axes;
        made->outputs[0] = value;
    }
    GC_TRY(gc_graph_add_node(u->graph, node->name, "Concat", "", node->opset, s->count, 1, &made,
                             u->error));
    for (int i = 0; i < s->count; i++)
        made->inputs[i] = is_new ? first + i : s->items[i];
    made->outputs[0] = node->outputs[0];
    return gc_node_set_int(u->graph, made, "axis", axis, u->error);
}

static gradcam_status expand_sequence(unroller *u, const gc_node *node, bool *is_done)
{
    sequence s;
    int64_t at = 0;
    int constant = 0;
    GC_TRY(find_sequence(u, node->input_count > 0 ? node->inputs[0] : GC_ABSENT, &s, is_done));
    if (!*is_done || node->output_count < 1)
        return GRADCAM_OK;
    if (is_op(node, "ConcatFromSequence"))
        return replace_concat(u, node, &s);
    if (is_op(node, "SequenceLength")) {
        GC_TRY(add_integer(u, "", GC_INT64, 0, s.count, &constant));
        return add_simple(u, node->name, "Identity", node->opset, constant, node->outputs[0]);
    }
    *is_done = node->input_count > 1 && read_integer(u->graph, node->inputs[1], &at);
    at += at < 0 ? s.count : 0;
    *is_done &= at >= 0 && at < s.count;
    if (!*is_done)
        return GRADCAM_OK;
    return add_simple(u, node->name, "Identity", node->opset, s.items[at], node->outputs[0]);
}

/* ---- The pass ------------------------------------------------------------------------------- */

/* Nodes that were added behind the others take the place of node `index`. */
static gradcam_status put_in_place(unroller *u, int index, int old_count)
{
    gc_graph *const g = u->graph;
    const int added = g->node_count - old_count;
    gc_node *nodes = NULL;
    u->moves += g->node_count - index;
    GC_FAIL_IF(
        u->moves > max_moves, u->error, GRADCAM_ERROR_LIMIT,
        "the model is too large for control flow with so many turns: %d nodes after %d turns",
        g->node_count, u->turns);
    GC_TRY(gc_new(&nodes, (size_t)added, sizeof *nodes, u->error));
    memcpy(nodes, g->nodes + old_count, (size_t)added * sizeof *nodes);
    gc_node_release(&g->nodes[index]);
    memmove(g->nodes + index + added, g->nodes + index + 1,
            (size_t)(old_count - index - 1) * sizeof *nodes);
    memcpy(g->nodes + index, nodes, (size_t)added * sizeof *nodes);
    g->node_count--;
    gc_free(nodes);
    for (int n = index; n < g->node_count; n++)
        for (int o = 0; o < g->nodes[n].output_count; o++)
            if (g->nodes[n].outputs[o] != GC_ABSENT)
                g->values[g->nodes[n].outputs[o]].producer = n;
    return GRADCAM_OK;
}

static gradcam_status expand(unroller *u, int index, bool *is_done)
{
    const gc_node node = u->graph->nodes[index];
    const int old_count = u->graph->node_count;
    if (is_op(&node, "If"))
        GC_TRY(expand_if(u, &node, is_done));
    else if (is_op(&node, "Loop"))
        GC_TRY(expand_loop(u, &node, is_done));
    else
        GC_TRY(expand_sequence(u, &node, is_done));
    return *is_done ? put_in_place(u, index, old_count) : GRADCAM_OK;
}

/* What cannot be inferred may not be needed, or depend on what cannot be unrolled: that is for
 * gc_specialize to say. */
static gradcam_status follow(unroller *u, const gc_node *node)
{
    gradcam_error ignored = {0};
    const bool is_known = gc_op_find(node->op, node->domain) != NULL;
    gradcam_status status = GRADCAM_OK;
    if (is_known && gc_is_foldable(u->graph, node))
        status = gc_evaluate_node(u->graph, node, u->operands, &ignored);
    else if (is_known)
        status = gc_infer_node(u->graph, node, u->operands, &ignored);
    return status == GRADCAM_ERROR_MEMORY ? gc_fail(u->error, status, "%s", ignored.message)
                                          : GRADCAM_OK;
}

/* Where nodes are left that make a constant, they shall go on making it: it may be another one for
 * another shape. */
static void forget_constants(gc_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++)
        for (int o = 0; o < graph->nodes[n].output_count; o++)
            if (graph->nodes[n].outputs[o] != GC_ABSENT) {
                gc_value *const value = &graph->values[graph->nodes[n].outputs[o]];
                gc_constant_release(value->constant);
                value->constant = NULL;
                value->type = (gc_tensor){.rank = -1};
            }
}

static gradcam_status unroll(unroller *u)
{
    gc_graph *const g = u->graph;
    for (int n = 0; n < g->node_count;) {
        bool is_done = false;
        if (gc_is_unrolled(&g->nodes[n]))
            GC_TRY(expand(u, n, &is_done));
        if (is_done)
            continue; /* with what stands here now */
        GC_TRY(follow(u, &g->nodes[n]));
        n++;
    }
    forget_constants(g);
    GC_TRY(gc_graph_remove_dead(g, u->error));
    GC_TRY(gc_check_operands(g, u->error));
    return gc_prepare_batchnorm(g, u->error);
}

bool gc_has_control_flow(const gc_graph *graph)
{
    for (int n = 0; n < graph->node_count; n++)
        if (gc_is_unrolled(&graph->nodes[n]))
            return true;
    return false;
}

gradcam_status gc_unroll(gc_graph *graph, const gc_feed *feeds, int feed_count,
                         gradcam_error *error)
{
    unroller u = {.graph = graph, .error = error};
    if (!gc_has_control_flow(graph))
        return GRADCAM_OK;
    for (int i = 0; i < feed_count; i++) {
        graph->values[feeds[i].value].type = feeds[i].type;
        graph->values[feeds[i].value].type.data = NULL;
    }
    GC_TRY(gc_new(&u.operands, 1, sizeof *u.operands, error));
    gradcam_status status = create_map(&u);
    if (status == GRADCAM_OK)
        status = unroll(&u);
    gc_free(u.map);
    gc_free(u.bound);
    gc_free(u.operands);
    return status;
}

gradcam_status gc_refuse_control_flow(const gc_graph *graph, const gc_node *node,
                                      gradcam_error *error)
{
    char text[GC_NODE_TEXT];
    const char *what = "the sequence it reads", *which = "";
    int input = 0;
    int64_t ignored = 0;
    if (is_op(node, "If"))
        what = "its condition";
    if (is_op(node, "Loop") && node->input_count > 0) {
        input =
            node->inputs[0] != GC_ABSENT && !read_integer(graph, node->inputs[0], &ignored) ? 0 : 1;
        what = input == 0 ? "the number of turns" : "the condition of going on";
    }
    if (input < node->input_count && node->inputs[input] != GC_ABSENT)
        which = graph->values[node->inputs[input]].name;
    return gc_fail(error, GRADCAM_ERROR_UNSUPPORTED,
                   "%s: %s, '%s', follows neither from constants nor from the shape of the input. "
                   "Control flow that depends on the picture is not supported; export the model "
                   "without it (torch.onnx.export of a traced model, onnxsim).",
                   gc_node_text(graph, node, text), what, which);
}
