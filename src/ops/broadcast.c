/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/broadcast.h"

/* Elements of one span: enough to forget the call, few enough to share the work and stay in L1. */
enum { SPAN_ELEMENTS = 4096, SUMS = 256 };

gradcam_status gc_broadcast_align(const gc_call *call, const gc_tensor *a, const gc_tensor *b,
                                  gc_tensor *aligned)
{
    *aligned = *b;
    if (gc_attr_int(call->node, "broadcast", 0) == 0 || gc_attr_find(call->node, "axis") == NULL ||
        b->rank >= a->rank || gc_tensor_count(b) == 1)
        return GRADCAM_OK;
    int axis = 0;
    GC_TRY(gc_op_axis(call, gc_attr_int(call->node, "axis", 0), a->rank, &axis));
    const int behind = a->rank - axis - b->rank;
    if (behind < 0)
        return gc_op_fail(call, GRADCAM_ERROR_SHAPE,
                          "a tensor of rank %d does not fit at axis %d of one of rank %d", b->rank,
                          axis, a->rank);
    for (int i = 0; i < behind; i++)
        aligned->dims[aligned->rank++] = 1;
    return GRADCAM_OK;
}

gradcam_status gc_broadcast_infer(const gc_call *call, gc_dtype dtype)
{
    gc_tensor aligned;
    GC_TRY(gc_broadcast_align(call, call->inputs[0], call->inputs[1], &aligned));
    GC_TRY(gc_op_broadcast(call, call->inputs[0], &aligned, call->outputs[0]));
    call->outputs[0]->dtype = dtype;
    return gc_check_output(call, 0);
}

gradcam_status gc_broadcast_binary(const gc_call *call, gc_span_kernel kernel)
{
    gc_tensor aligned;
    GC_TRY(gc_broadcast_align(call, call->inputs[0], call->inputs[1], &aligned));
    const gc_tensor *const operands[] = {call->inputs[0], &aligned};
    gc_broadcast loop;
    gc_broadcast_begin(&loop, call->outputs[0], 2, operands);
    gc_broadcast_run(&loop, call->outputs[0], kernel, NULL);
    return GRADCAM_OK;
}

/* Appends an axis of the result, or merges it with the one before. */
static void add_axis(gc_broadcast *loop, int operands, int64_t extent, const int64_t *strides)
{
    bool merges = loop->rank > 0;
    for (int o = 0; o < operands && merges; o++)
        merges = loop->strides[o][loop->rank - 1] == strides[o] * extent;
    if (!merges)
        loop->dims[loop->rank++] = 1;
    loop->dims[loop->rank - 1] *= extent;
    for (int o = 0; o < operands; o++)
        loop->strides[o][loop->rank - 1] = strides[o];
}

void gc_broadcast_begin(gc_broadcast *loop, const gc_tensor *out, int operands,
                        const gc_tensor *const *tensors)
{
    *loop = (gc_broadcast){0};
    int64_t own[GC_BROADCAST_OPERANDS][GC_MAX_RANK] = {{0}};
    for (int o = 0; o < GC_BROADCAST_OPERANDS; o++) {
        const gc_tensor *const t = tensors[o < operands ? o : 0];
        loop->data[o] = t->data;
        loop->sizes[o] = gc_dtype_is_float(t->dtype) ? sizeof(float) : sizeof(int64_t);
        if (o < operands)
            gc_strides(t->rank, t->dims, own[o]);
    }
    for (int i = 0; i < out->rank; i++) {
        int64_t strides[GC_BROADCAST_OPERANDS] = {0};
        for (int o = 0; o < operands; o++) {
            const int axis = i - (out->rank - tensors[o]->rank);
            strides[o] = axis < 0 || tensors[o]->dims[axis] == 1 ? 0 : own[o][axis];
        }
        if (out->dims[i] != 1)
            add_axis(loop, operands, out->dims[i], strides);
    }
    if (loop->rank == 0)
        loop->dims[loop->rank++] = 1;
}

/* ---- Walking -------------------------------------------------------------------------------- */

/* Some of the loop's axes, in order; an index counts through them, the last one fastest. */
typedef struct axis_list {
    int count;
    int axes[GC_MAX_RANK];
} axis_list;

static int64_t axes_product(const gc_broadcast *loop, const axis_list *list)
{
    int64_t product = 1;
    for (int i = 0; i < list->count; i++)
        product *= loop->dims[list->axes[i]];
    return product;
}

/* offsets[o] += where operand o is for an index into the listed axes. */
static void add_offsets(const gc_broadcast *loop, const axis_list *list, int64_t index,
                        int64_t *offsets)
{
    for (int i = list->count - 1; i >= 0; i--) {
        const int axis = list->axes[i];
        const int64_t at = index % loop->dims[axis];
        index /= loop->dims[axis];
        for (int o = 0; o < GC_BROADCAST_OPERANDS; o++)
            offsets[o] += at * loop->strides[o][axis];
    }
}

static void set_operands(const gc_broadcast *loop, gc_span *span, const int64_t *offsets,
                         int line_axis, int element_axis)
{
    for (int o = 0; o < GC_BROADCAST_OPERANDS; o++) {
        span->in[o] = loop->data[o] + (size_t)offsets[o] * loop->sizes[o];
        span->line[o] = line_axis < 0 ? 0 : loop->strides[o][line_axis];
        span->step[o] = loop->strides[o][element_axis];
    }
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* How the innermost two axes are cut into spans. */
typedef struct cut {
    axis_list rows; /**< The axes before them. */
    int64_t lines, count;
    int64_t span_lines, span_count;
    int64_t line_pieces, count_pieces;
} cut;

static cut cut_loop(const gc_broadcast *loop)
{
    const int rank = loop->rank;
    cut c = {.lines = rank > 1 ? loop->dims[rank - 2] : 1, .count = loop->dims[rank - 1]};
    for (int i = 0; i < rank - 2; i++)
        c.rows.axes[c.rows.count++] = i;
    c.span_count = c.count < SPAN_ELEMENTS ? c.count : SPAN_ELEMENTS;
    c.span_lines = SPAN_ELEMENTS / c.span_count;
    c.line_pieces = ceil_div(c.lines, c.span_lines);
    c.count_pieces = ceil_div(c.count, c.span_count);
    return c;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void run_piece(const gc_broadcast *loop, const cut *c, int64_t piece, char *out,
                      size_t out_size, gc_span_kernel kernel, const void *context)
{
    const int rank = loop->rank;
    const int64_t element = piece % c->count_pieces * c->span_count;
    piece /= c->count_pieces;
    const int64_t line = piece % c->line_pieces * c->span_lines;
    const int64_t row = piece / c->line_pieces;
    int64_t offsets[GC_BROADCAST_OPERANDS];
    for (int o = 0; o < GC_BROADCAST_OPERANDS; o++)
        offsets[o] = element * loop->strides[o][rank - 1] +
                     (rank > 1 ? line * loop->strides[o][rank - 2] : 0);
    add_offsets(loop, &c->rows, row, offsets);
    gc_span span = {
        .lines = least(c->span_lines, c->lines - line),
        .count = least(c->span_count, c->count - element),
        .out = out + (size_t)((row * c->lines + line) * c->count + element) * out_size,
        .out_line = c->count,
        .out_step = 1,
    };
    set_operands(loop, &span, offsets, rank - 2, rank - 1);
    kernel(&span, context);
}

void gc_broadcast_run(const gc_broadcast *loop, const gc_tensor *out, gc_span_kernel kernel,
                      const void *context)
{
    const int64_t count = gc_tensor_count(out);
    if (count == 0)
        return;
    const cut c = cut_loop(loop);
    const int64_t pieces = axes_product(loop, &c.rows) * c.line_pieces * c.count_pieces;
    const size_t size = gc_dtype_is_float(out->dtype) ? sizeof(float) : sizeof(int64_t);
#pragma omp parallel for schedule(static) if (count > GC_PARALLEL_ELEMENTS)
    for (int64_t p = 0; p < pieces; p++)
        run_piece(loop, &c, p, out->data, size, kernel, context);
}

/* ---- Reducing ------------------------------------------------------------------------------- */

/* The target is operand SELF of the loop, so that its strides say which axes are summed. */
enum { SELF = GC_BROADCAST_OPERANDS - 1 };

typedef struct reduction {
    axis_list kept;  /**< Without the innermost axis. */
    axis_list outer; /**< Summed axes but for `line_axis` and the innermost. */
    int line_axis;   /**< The innermost of the other summed axes, or -1. */
    bool is_row;     /**< The innermost axis is kept: sums for up to SUMS of its elements. */
    int64_t width, pieces;
} reduction;

static reduction plan_reduction(const gc_broadcast *loop)
{
    const int inner = loop->rank - 1;
    reduction r = {.line_axis = -1, .is_row = loop->strides[SELF][inner] != 0};
    for (int i = 0; i < inner; i++) {
        if (loop->strides[SELF][i] != 0) {
            r.kept.axes[r.kept.count++] = i;
        } else {
            if (r.line_axis >= 0)
                r.outer.axes[r.outer.count++] = r.line_axis;
            r.line_axis = i;
        }
    }
    r.width = r.is_row ? least(loop->dims[inner], SUMS) : loop->dims[inner];
    r.pieces = r.is_row ? ceil_div(loop->dims[inner], r.width) : 1;
    return r;
}

/* One unit of work: up to SUMS neighbouring elements of the target. */
static void reduce_piece(const gc_broadcast *loop, const reduction *r, int64_t piece, float *target,
                         gc_span_kernel kernel, const void *context)
{
    const int inner = loop->rank - 1;
    const int64_t element = piece % r->pieces * r->width;
    double sums[SUMS] = {0.0};
    int64_t start[GC_BROADCAST_OPERANDS];
    for (int o = 0; o < GC_BROADCAST_OPERANDS; o++)
        start[o] = element * loop->strides[o][inner];
    add_offsets(loop, &r->kept, piece / r->pieces, start);
    gc_span span = {
        .lines = r->line_axis < 0 ? 1 : loop->dims[r->line_axis],
        .count = least(r->width, loop->dims[inner] - element),
        .out = sums,
        .out_step = r->is_row,
        .is_sum = true,
    };
    const int64_t outer = axes_product(loop, &r->outer);
    for (int64_t i = 0; i < outer; i++) {
        int64_t offsets[GC_BROADCAST_OPERANDS];
        for (int o = 0; o < GC_BROADCAST_OPERANDS; o++)
            offsets[o] = start[o];
        add_offsets(loop, &r->outer, i, offsets);
        set_operands(loop, &span, offsets, r->line_axis, inner);
        kernel(&span, context);
    }
    for (int64_t i = 0; i < (r->is_row ? span.count : 1); i++)
        target[start[SELF] + i] = (float)sums[i];
}

static void run_reduction(const gc_broadcast *loop, const gc_tensor *out, const gc_tensor *target,
                          gc_span_kernel kernel, const void *context)
{
    const reduction r = plan_reduction(loop);
    const int64_t pieces = axes_product(loop, &r.kept) * r.pieces;
    const bool is_large = gc_tensor_count(out) > GC_PARALLEL_ELEMENTS;
#pragma omp parallel for schedule(static) if (is_large)
    for (int64_t p = 0; p < pieces; p++)
        reduce_piece(loop, &r, p, gc_floats(target), kernel, context);
}

void gc_broadcast_reduce(const gc_tensor *out, const gc_tensor *target, int operands,
                         const gc_tensor *const *tensors, gc_span_kernel kernel,
                         const void *context)
{
    const gc_tensor *all[GC_BROADCAST_OPERANDS];
    for (int o = 0; o < GC_BROADCAST_OPERANDS; o++)
        all[o] = o < operands ? tensors[o] : tensors[0];
    gc_broadcast loop;
    if (gc_tensor_count(out) == 0) {
        const int64_t count = gc_tensor_count(target);
        for (int64_t i = 0; i < count; i++)
            gc_floats(target)[i] = 0.0f;
    } else if (gc_tensor_count(target) == gc_tensor_count(out)) {
        gc_broadcast_begin(&loop, out, operands, all);
        gc_broadcast_run(&loop, target, kernel, context);
    } else {
        all[SELF] = target;
        gc_broadcast_begin(&loop, out, GC_BROADCAST_OPERANDS, all);
        run_reduction(&loop, out, target, kernel, context);
    }
}
