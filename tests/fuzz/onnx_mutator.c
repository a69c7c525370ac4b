/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structure-aware mutation of models: the bytes are decoded, one thing is changed that a hostile
 * file would change (an extent, a name, an attribute, a type of node, ...), and encoded again, so
 * that the fuzzer gets past the outer layers of the format. One time in eight, and where the bytes
 * are no model, libFuzzer's own mutation of bytes is used.
 */
#include <string.h>

#include "onnx/onnx.pb-c.h"
#include "onnx_mutator.h"
#include "ops/op.h"

enum { NAME_LIMIT = 512 };

/* What the mutations draw from. */
typedef struct dice {
    uint64_t state;
    char *names[NAME_LIMIT]; /* of values, as the model's nodes use them */
    size_t name_count;
} dice;

static uint32_t roll(dice *d, size_t sides)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return sides > 0 ? (uint32_t)((d->state >> 33) % sides) : 0;
}

static int64_t odd_number(dice *d)
{
    static const int64_t numbers[] = {
        0,  -1, 1,  2,         3,         4,         5,         7,         8,
        9,  16, 32, 64,        127,       255,       1 << 16,   INT32_MAX, (int64_t)INT32_MAX + 1,
        -2, -3, -4, INT32_MIN, INT64_MAX, INT64_MIN, 1LL << 62, 1LL << 40, 1LL << 61};
    return numbers[roll(d, sizeof numbers / sizeof *numbers)];
}

static float odd_float(dice *d)
{
    static const float numbers[] = {0, -0.0F, 1, -1, 0.5F, 2, 1e-40F, 1e38F, -1e38F, 3e9F, 1e19F};
    const uint32_t which = roll(d, sizeof numbers / sizeof *numbers + 2);
    const float zero = numbers[0];
    return which < sizeof numbers / sizeof *numbers ? numbers[which]
                                                    : (which % 2 ? 1 : -1) / zero * (which % 2);
}

static void *allocate(size_t size)
{
    void *const result = calloc(1, size > 0 ? size : 1);
    if (result == NULL)
        abort();
    return result;
}

static char *copy(const char *text)
{
    char *const result = strdup(text);
    if (result == NULL)
        abort();
    return result;
}

static void set_text(char **field, const char *text)
{
    char *const fresh = copy(text);
    if (*field != NULL && *field != protobuf_c_empty_string)
        free(*field);
    *field = fresh;
}

/* ---- Parts --------------------------------------------------------------------------------------
 * A part of a model is bytes in the message around it; it is decoded, changed and encoded again. */

typedef ProtobufCBinaryData piece;
typedef void (*change)(void *message, dice *d);

static void edit(piece *p, const ProtobufCMessageDescriptor *kind, change apply, dice *d)
{
    ProtobufCMessage *const message = protobuf_c_message_unpack(kind, NULL, p->len, p->data);
    if (message == NULL)
        return;
    apply(message, d);
    const size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *const bytes = allocate(size);
    protobuf_c_message_pack(message, bytes);
    free(p->data);
    *p = (piece){.data = bytes, .len = size};
    protobuf_c_message_free_unpacked(message, NULL);
}

static piece copy_piece(const piece *p)
{
    piece result = {.data = allocate(p->len), .len = p->len};
    if (p->len > 0)
        memcpy(result.data, p->data, p->len);
    return result;
}

static void add_piece(piece **list, size_t *count, piece added)
{
    piece *const larger = allocate((*count + 1) * sizeof **list);
    if (*count > 0)
        memcpy(larger, *list, *count * sizeof **list);
    larger[(*count)++] = added;
    free(*list);
    *list = larger;
}

static void swap_pieces(piece *list, size_t count, dice *d)
{
    if (count < 2)
        return;
    piece *const a = &list[roll(d, count)], *const b = &list[roll(d, count)];
    const piece kept = *a;
    *a = *b;
    *b = kept;
}

static void drop_piece(piece *list, size_t *count, dice *d)
{
    if (*count == 0)
        return;
    const size_t which = roll(d, *count);
    free(list[which].data);
    list[which] = list[--*count];
}

/* ---- Numbers and names ----------------------------------------------------------------------- */

static void change_ints(int64_t **values, size_t *count, dice *d)
{
    if (*count > 0 && roll(d, 4) != 0) {
        (*values)[roll(d, *count)] = odd_number(d);
        return;
    }
    if (*count > 0 && roll(d, 2) == 0) {
        --*count;
        return;
    }
    int64_t *const larger = allocate((*count + 1) * sizeof *larger);
    if (*count > 0)
        memcpy(larger, *values, *count * sizeof *larger);
    larger[(*count)++] = odd_number(d);
    free(*values);
    *values = larger;
}

static const char *any_name(dice *d)
{
    static const char *const strangers[] = {"", "nowhere", "x", "y"};
    if (d->name_count > 0 && roll(d, 6) != 0)
        return d->names[roll(d, d->name_count)];
    return strangers[roll(d, 4)];
}

static void change_texts(char **texts, size_t count, dice *d)
{
    if (count > 0)
        set_text(&texts[roll(d, count)], any_name(d));
}

static void add_text(char ***texts, size_t *count, const char *text)
{
    char **const larger = allocate((*count + 1) * sizeof *larger);
    if (*count > 0)
        memcpy(larger, *texts, *count * sizeof *larger);
    larger[(*count)++] = copy(text);
    free(*texts);
    *texts = larger;
}

/* ---- Tensors ----------------------------------------------------------------------------------
 */

static void resize_raw(GcOnnx__Tensor *t, size_t size)
{
    uint8_t *const bytes = allocate(size);
    const size_t kept = size < t->raw_data.len ? size : t->raw_data.len;
    if (kept > 0)
        memcpy(bytes, t->raw_data.data, kept);
    memset(bytes + kept, 0, size - kept);
    if (t->has_raw_data)
        free(t->raw_data.data);
    t->raw_data = (piece){.data = bytes, .len = size};
    t->has_raw_data = 1;
}

static void change_raw(GcOnnx__Tensor *t, dice *d)
{
    const int64_t whole = odd_number(d);
    const float real = odd_float(d);
    const size_t eighths = t->raw_data.len / 8, quarters = t->raw_data.len / 4;
    if (eighths > 0 && roll(d, 2) == 0)
        memcpy(t->raw_data.data + 8 * roll(d, eighths), &whole, 8);
    else if (quarters > 0)
        memcpy(t->raw_data.data + 4 * roll(d, quarters), &real, 4);
}

static void add_pair(GcOnnx__Tensor *t, const char *key, const char *value)
{
    GcOnnx__Pair **const larger = allocate((t->n_external_data + 1) * sizeof *larger);
    if (t->n_external_data > 0)
        memcpy(larger, t->external_data, t->n_external_data * sizeof *larger);
    GcOnnx__Pair *const pair = allocate(sizeof *pair);
    gc_onnx__pair__init(pair);
    pair->key = copy(key);
    pair->value = copy(value);
    larger[t->n_external_data++] = pair;
    free(t->external_data);
    t->external_data = larger;
}

static void move_outside(GcOnnx__Tensor *t, dice *d)
{
    static const char *const places[] = {"../../../../../../../../etc/passwd",
                                         "/etc/passwd",
                                         "weights.bin",
                                         "a/../../b",
                                         "..",
                                         "",
                                         "fd/0",
                                         ".",
                                         "self/mem",
                                         "//etc/passwd",
                                         "./../x",
                                         "dev/zero"};
    static const char *const numbers[] = {
        "0", "-1", "4", "9223372036854775807", "18446744073709551616", "1e3", "", "0x10"};
    t->has_data_location = 1;
    t->data_location = roll(d, 8) == 0 ? (int32_t)odd_number(d) : 1;
    add_pair(t, "location", places[roll(d, sizeof places / sizeof *places)]);
    if (roll(d, 2) == 0)
        add_pair(t, roll(d, 2) == 0 ? "offset" : "length", numbers[roll(d, 8)]);
}

static void change_tensor(void *message, dice *d)
{
    GcOnnx__Tensor *const t = message;
    switch (roll(d, 8)) {
    case 0:
    case 1:
        change_ints(&t->dims, &t->n_dims, d);
        break;
    case 2:
        t->has_data_type = 1;
        t->data_type = (int32_t)roll(d, 24);
        break;
    case 3:
        resize_raw(t, roll(d, 2) == 0 ? roll(d, 256) : t->raw_data.len + roll(d, 9));
        break;
    case 4:
        set_text(&t->name, any_name(d));
        break;
    case 5:
        move_outside(t, d);
        break;
    case 6:
        change_ints(&t->int64_data, &t->n_int64_data, d);
        break;
    default:
        change_raw(t, d);
    }
}

/* ---- Inputs and outputs ------------------------------------------------------------------------
 */

static void change_value(void *message, dice *d)
{
    GcOnnx__ValueInfo *const value = message;
    GcOnnx__TensorType *const type = value->type != NULL ? value->type->tensor_type : NULL;
    const uint32_t what = roll(d, 6);
    if (what == 0 || type == NULL) {
        set_text(&value->name, any_name(d));
    } else if (what == 1) {
        type->has_elem_type = 1;
        type->elem_type = (int32_t)roll(d, 24);
    } else if (type->shape != NULL && type->shape->n_dim > 0) {
        GcOnnx__Dimension *const dim = type->shape->dim[roll(d, type->shape->n_dim)];
        dim->has_dim_value = what != 2;
        dim->dim_value = odd_number(d);
        if (what == 2)
            set_text(&dim->dim_param, any_name(d));
    }
}

/* ---- Attributes --------------------------------------------------------------------------------
 */

static const char *attribute_name(dice *d)
{
    static const char *const names[] = {"axis",
                                        "axes",
                                        "perm",
                                        "pads",
                                        "strides",
                                        "dilations",
                                        "kernel_shape",
                                        "group",
                                        "auto_pad",
                                        "output_padding",
                                        "output_shape",
                                        "ceil_mode",
                                        "count_include_pad",
                                        "storage_order",
                                        "alpha",
                                        "beta",
                                        "epsilon",
                                        "size",
                                        "bias",
                                        "keepdims",
                                        "noop_with_empty_axes",
                                        "mode",
                                        "coordinate_transformation_mode",
                                        "nearest_mode",
                                        "keep_aspect_ratio_policy",
                                        "antialias",
                                        "cubic_coeff_a",
                                        "exclude_outside",
                                        "to",
                                        "blocksize",
                                        "equation",
                                        "num_outputs",
                                        "split",
                                        "batch_dims",
                                        "largest",
                                        "sorted",
                                        "reduction",
                                        "value",
                                        "transA",
                                        "transB",
                                        "p",
                                        "lambd",
                                        "allowzero",
                                        "start",
                                        "end",
                                        "fmod",
                                        "select_last_index",
                                        "exclusive",
                                        "reverse",
                                        "k",
                                        "num_groups",
                                        "stash_type",
                                        "upper",
                                        "sampling_ratio",
                                        "spatial_scale",
                                        "output_height",
                                        "output_width",
                                        "body",
                                        "then_branch",
                                        "else_branch",
                                        "direction",
                                        "approximate",
                                        "dtype",
                                        "center_point_box",
                                        "align_corners",
                                        "padding_mode",
                                        "scale",
                                        "gamma",
                                        "value_ints",
                                        "value_float",
                                        "sparse_value",
                                        "scales",
                                        "min",
                                        "max",
                                        "num_heads",
                                        "levels"};
    return names[roll(d, sizeof names / sizeof *names)];
}

static void set_word(GcOnnx__Attribute *a, dice *d)
{
    static const char *const words[] = {"SAME_UPPER",
                                        "SAME_LOWER",
                                        "VALID",
                                        "NOTSET",
                                        "linear",
                                        "cubic",
                                        "nearest",
                                        "bilinear",
                                        "constant",
                                        "reflect",
                                        "edge",
                                        "wrap",
                                        "half_pixel",
                                        "asymmetric",
                                        "align_corners",
                                        "tf_crop_and_resize",
                                        "pytorch_half_pixel",
                                        "half_pixel_symmetric",
                                        "floor",
                                        "ceil",
                                        "add",
                                        "mul",
                                        "none",
                                        "ij,jk->ik",
                                        "...i->...",
                                        "ii->i",
                                        "DCR",
                                        "CRD",
                                        "avg",
                                        "max",
                                        "tanh",
                                        ""};
    const char *const word = words[roll(d, sizeof words / sizeof *words)];
    if (a->has_s)
        free(a->s.data);
    a->s = (piece){.data = (uint8_t *)copy(word), .len = strlen(word)};
    a->has_s = 1;
    a->has_type = 1;
    a->type = 3;
}

static void change_graph(void *message, dice *d);

static void change_attribute(void *message, dice *d)
{
    GcOnnx__Attribute *const a = message;
    const uint32_t what = roll(d, 10);
    if (a->has_g && what < 7) {
        edit(&a->g, &gc_onnx__graph__descriptor, change_graph, d);
    } else if (a->has_t && what < 7) {
        edit(&a->t, &gc_onnx__tensor__descriptor, change_tensor, d);
    } else if (a->has_s && what < 7) {
        set_word(a, d);
    } else if (a->n_ints > 0 && what < 7) {
        change_ints(&a->ints, &a->n_ints, d);
    } else if (what < 5) {
        a->has_i = 1;
        a->i = odd_number(d);
    } else if (what < 7) {
        a->has_f = 1;
        a->f = odd_float(d);
    } else if (what == 7) {
        a->has_type = 1;
        a->type = (int32_t)roll(d, 16);
    } else if (what == 8) {
        set_text(&a->name, attribute_name(d));
    } else {
        change_ints(&a->ints, &a->n_ints, d);
        a->has_type = 1;
        a->type = 7;
    }
}

static piece fresh_attribute(dice *d)
{
    GcOnnx__Attribute a = GC_ONNX__ATTRIBUTE__INIT;
    int64_t ints[4];
    a.name = copy(attribute_name(d));
    a.has_type = 1;
    const uint32_t kind = roll(d, 3);
    if (kind == 0) {
        a.has_i = 1;
        a.i = odd_number(d);
        a.type = 2;
    } else if (kind == 1) {
        a.has_f = 1;
        a.f = odd_float(d);
        a.type = 1;
    } else {
        a.ints = ints;
        a.n_ints = roll(d, 5);
        for (size_t i = 0; i < a.n_ints; i++)
            ints[i] = odd_number(d);
        a.type = 7;
    }
    piece result = {.len = gc_onnx__attribute__get_packed_size(&a)};
    result.data = allocate(result.len);
    gc_onnx__attribute__pack(&a, result.data);
    free(a.name);
    return result;
}

/* ---- Nodes -------------------------------------------------------------------------------------
 */

static const char *operator_name(dice *d)
{
    /* Those that the reader replaces or unrolls, so that they have no row. */
    static const char *const others[] = {"Constant",
                                         "If",
                                         "Loop",
                                         "Scan",
                                         "SequenceConstruct",
                                         "SequenceEmpty",
                                         "SequenceInsert",
                                         "SequenceAt",
                                         "SequenceLength",
                                         "SplitToSequence",
                                         "ConcatFromSequence",
                                         "QLinearConv",
                                         "QLinearMatMul",
                                         "QLinearAdd",
                                         "QLinearGlobalAveragePool",
                                         "ConvInteger",
                                         "MatMulInteger",
                                         "Upsample",
                                         "SkipLayerNormalization",
                                         "FusedConv",
                                         "FusedMatMul",
                                         "Attention",
                                         "BiasGelu",
                                         "FastGelu",
                                         "QAttention",
                                         "MeanVarianceNormalization",
                                         "Identity",
                                         "NoSuchOperator"};
    size_t count = 0;
    const gc_op *const *const rows = gc_op_all(&count);
    const uint32_t which = roll(d, count + sizeof others / sizeof *others);
    return which < count ? rows[which]->name : others[which - count];
}

static void change_node(void *message, dice *d)
{
    GcOnnx__Node *const node = message;
    switch (roll(d, 12)) {
    case 0:
    case 1:
        change_texts(node->input, node->n_input, d);
        break;
    case 2:
        change_texts(node->output, node->n_output, d);
        break;
    case 3:
        set_text(&node->op_type, operator_name(d));
        break;
    case 4:
        add_text(&node->input, &node->n_input, any_name(d));
        break;
    case 5:
        set_text(&node->domain, roll(d, 2) == 0 ? "com.microsoft" : "");
        break;
    case 6:
        add_piece(&node->attribute, &node->n_attribute, fresh_attribute(d));
        break;
    case 7:
        drop_piece(node->attribute, &node->n_attribute, d);
        break;
    case 8:
        if (node->n_input > 0)
            free(node->input[--node->n_input]);
        break;
    default:
        if (node->n_attribute > 0)
            edit(&node->attribute[roll(d, node->n_attribute)], &gc_onnx__attribute__descriptor,
                 change_attribute, d);
        else
            change_texts(node->input, node->n_input, d);
    }
}

/* ---- Graphs and models
 * --------------------------------------------------------------------------- */

static void collect_name(dice *d, const char *name)
{
    if (d->name_count < NAME_LIMIT && name != NULL)
        d->names[d->name_count++] = copy(name);
}

static void collect_names(dice *d, const GcOnnx__Graph *graph)
{
    for (size_t i = 0; i < graph->n_node; i++) {
        GcOnnx__Node *const node =
            gc_onnx__node__unpack(NULL, graph->node[i].len, graph->node[i].data);
        for (size_t k = 0; node != NULL && k < node->n_input; k++)
            collect_name(d, node->input[k]);
        for (size_t k = 0; node != NULL && k < node->n_output; k++)
            collect_name(d, node->output[k]);
        if (node != NULL)
            gc_onnx__node__free_unpacked(node, NULL);
    }
}

static void rewire(void *message, dice *d)
{
    GcOnnx__Node *const node = message;
    if (node->n_output > 0)
        set_text(&node->output[0], any_name(d));
    change_texts(node->input, node->n_input, d);
}

static void repeat_node(GcOnnx__Graph *graph, dice *d)
{
    if (graph->n_node == 0)
        return;
    piece twin = copy_piece(&graph->node[roll(d, graph->n_node)]);
    if (roll(d, 4) != 0)
        edit(&twin, &gc_onnx__node__descriptor, rewire, d);
    add_piece(&graph->node, &graph->n_node, twin);
    swap_pieces(graph->node, graph->n_node, d);
}

static void edit_one(piece *list, size_t count, const ProtobufCMessageDescriptor *kind,
                     change apply, dice *d)
{
    if (count > 0)
        edit(&list[roll(d, count)], kind, apply, d);
}

static void change_graph(void *message, dice *d)
{
    GcOnnx__Graph *const g = message;
    collect_names(d, g);
    switch (roll(d, 16)) {
    case 0:
        repeat_node(g, d);
        break;
    case 1:
        drop_piece(g->node, &g->n_node, d);
        break;
    case 2:
        swap_pieces(g->node, g->n_node, d);
        break;
    case 3:
        drop_piece(g->initializer, &g->n_initializer, d);
        break;
    case 4:
        if (g->n_initializer > 0)
            add_piece(&g->initializer, &g->n_initializer,
                      copy_piece(&g->initializer[roll(d, g->n_initializer)]));
        break;
    case 5:
    case 6:
        edit_one(g->input, g->n_input, &gc_onnx__value_info__descriptor, change_value, d);
        break;
    case 7:
        edit_one(g->output, g->n_output, &gc_onnx__value_info__descriptor, change_value, d);
        break;
    case 8:
    case 9:
    case 10:
        edit_one(g->initializer, g->n_initializer, &gc_onnx__tensor__descriptor, change_tensor, d);
        break;
    default:
        edit_one(g->node, g->n_node, &gc_onnx__node__descriptor, change_node, d);
    }
}

static void change_model(void *message, dice *d)
{
    GcOnnx__Model *const model = message;
    if (roll(d, 24) == 0 && model->n_opset_import > 0) {
        GcOnnx__OperatorSet *const set = model->opset_import[roll(d, model->n_opset_import)];
        set->has_version = 1;
        set->version = roll(d, 4) == 0 ? odd_number(d) : 7 + (int64_t)roll(d, 16);
        return;
    }
    for (uint32_t times = 1 + roll(d, 3); model->has_graph && times > 0; times--)
        edit(&model->graph, &gc_onnx__graph__descriptor, change_graph, d);
}

/* The mutated bytes, or none where nothing changed or they are too many. */
static piece mutate_once(const piece *before, size_t max_size, dice *d)
{
    piece whole = copy_piece(before);
    edit(&whole, &gc_onnx__model__descriptor, change_model, d);
    if (whole.len <= max_size &&
        (whole.len != before->len || memcmp(whole.data, before->data, whole.len) != 0))
        return whole;
    free(whole.data);
    return (piece){.data = NULL, .len = 0};
}

size_t gc_mutate_model(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    enum { ATTEMPTS = 10 }; /* many changes find nothing to change in a small model */
    dice d = {.state = seed * 0x9E3779B97F4A7C15u + 1};
    const piece before = {.data = data, .len = size};
    piece after = {.data = NULL, .len = 0};
    for (int i = 0; i < ATTEMPTS && after.data == NULL; i++)
        after = mutate_once(&before, max_size, &d);
    if (after.data != NULL)
        memcpy(data, after.data, after.len);
    free(after.data);
    for (size_t i = 0; i < d.name_count; i++)
        free(d.names[i]);
    return after.len;
}
