/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NonMaxSuppression: of each class of each picture, the boxes of the highest scores, without those
 * that overlap a chosen one by more than iou_threshold. Rows of the result: picture, class, box.
 *
 * How many there are depends on the values, so it can only be run where those are constant; a
 * detector's score stands before it, and then nothing asks for it.
 */
#include "ops/check.h"

typedef struct suppression {
    int64_t batch, classes, boxes, most;
    float iou_threshold, score_threshold;
    bool has_score_threshold, is_center;
} suppression;

static gradcam_status read_float(const gc_call *call, int index, float *value)
{
    if (!gc_op_has(call, index))
        return GRADCAM_OK;
    GC_TRY(gc_check_float(call, index));
    if (gc_tensor_count(call->inputs[index]) != 1)
        return gc_op_fail(call, GRADCAM_ERROR_MODEL, "input %d must be a scalar", index);
    *value = gc_floats(call->inputs[index])[0];
    return GRADCAM_OK;
}

static gradcam_status read(const gc_call *call, suppression *s)
{
    const gc_tensor *const boxes = call->inputs[0], *const scores = call->inputs[1];
    const int64_t *most = NULL;
    size_t count = 0;
    char a[GC_SHAPE_TEXT], b[GC_SHAPE_TEXT];
    for (int i = 0; i < call->input_count; i++)
        if (gc_op_has(call, i) && call->inputs[i]->data == NULL)
            return gc_op_fail(call, GRADCAM_ERROR_UNSUPPORTED,
                              "how many boxes there are depends on the picture's values; choose an "
                              "output of the model that lies before it");
    GC_TRY(gc_check_float(call, 0));
    GC_TRY(gc_check_float(call, 1));
    if (boxes->rank != 3 || scores->rank != 3 || boxes->dims[2] != 4 ||
        boxes->dims[0] != scores->dims[0] || boxes->dims[1] != scores->dims[2])
        return gc_op_fail(
            call, GRADCAM_ERROR_SHAPE,
            "boxes of shape %s and scores of shape %s, expected N x boxes x 4 and N x "
            "classes x boxes",
            gc_shape_text(boxes, a), gc_shape_text(scores, b));
    GC_TRY(gc_op_const_ints(call, 2, &most, &count));
    *s = (suppression){.batch = scores->dims[0],
                       .classes = scores->dims[1],
                       .boxes = scores->dims[2],
                       .most = count > 0 ? most[0] : 0,
                       .has_score_threshold = gc_op_has(call, 4),
                       .is_center = gc_attr_int(call->node, "center_point_box", 0) != 0};
    GC_TRY(read_float(call, 3, &s->iou_threshold));
    return read_float(call, 4, &s->score_threshold);
}

/* ---- Boxes ----------------------------------------------------------------------------------- */

typedef struct box {
    float low[2], high[2];
} box;

static box box_at(const suppression *s, const float *four)
{
    box b;
    for (int i = 0; i < 2; i++) {
        const float first = s->is_center ? four[i] - four[2 + i] / 2.0f : four[i];
        const float second = s->is_center ? four[i] + four[2 + i] / 2.0f : four[2 + i];
        b.low[i] = first < second ? first : second;
        b.high[i] = first < second ? second : first;
    }
    return b;
}

static float area(const box *b)
{
    return (b->high[0] - b->low[0]) * (b->high[1] - b->low[1]);
}

static bool overlap(const suppression *s, const box *a, const box *b)
{
    box common;
    for (int i = 0; i < 2; i++) {
        common.low[i] = a->low[i] > b->low[i] ? a->low[i] : b->low[i];
        common.high[i] = a->high[i] < b->high[i] ? a->high[i] : b->high[i];
        if (!(common.high[i] > common.low[i]))
            return false;
    }
    const float both = area(&common);
    return both > s->iou_threshold * (area(a) + area(b) - both);
}

/* ---- One class ------------------------------------------------------------------------------- */

static int64_t best_of(const suppression *s, const float *scores, const bool *is_gone)
{
    int64_t best = -1;
    for (int64_t i = 0; i < s->boxes; i++)
        if (!is_gone[i] && (!s->has_score_threshold || scores[i] > s->score_threshold) &&
            (best < 0 || scores[i] > scores[best]))
            best = i;
    return best;
}

/* *rows: where the result goes on, or NULL to count only. */
static int64_t suppress_class(const suppression *s, const float *boxes, const float *scores,
                              const int64_t head[2], bool *is_gone, int64_t *rows)
{
    int64_t count = 0;
    for (int64_t i = 0; i < s->boxes; i++)
        is_gone[i] = false;
    for (; count < s->most; count++) {
        const int64_t best = best_of(s, scores, is_gone);
        if (best < 0)
            break;
        const box chosen = box_at(s, boxes + 4 * best);
        for (int64_t i = 0; i < s->boxes; i++) {
            const box other = box_at(s, boxes + 4 * i);
            is_gone[i] = is_gone[i] || i == best || overlap(s, &chosen, &other);
        }
        if (rows == NULL)
            continue;
        rows[3 * count] = head[0];
        rows[3 * count + 1] = head[1];
        rows[3 * count + 2] = best;
    }
    return count;
}

static int64_t suppress(const gc_call *call, const suppression *s, bool *is_gone, int64_t *rows)
{
    int64_t count = 0;
    for (int64_t i = 0; i < s->batch * s->classes; i++) {
        const int64_t head[] = {i / s->classes, i % s->classes};
        count += suppress_class(s, gc_floats(call->inputs[0]) + 4 * s->boxes * head[0],
                                gc_floats(call->inputs[1]) + s->boxes * i, head, is_gone,
                                rows != NULL ? rows + 3 * count : NULL);
    }
    return count;
}

static size_t scratch(const gc_call *call)
{
    return (size_t)call->inputs[0]->dims[1] * sizeof(bool);
}

static gradcam_status infer(const gc_call *call)
{
    suppression s;
    bool *is_gone = NULL;
    GC_TRY(read(call, &s));
    GC_TRY(gc_new(&is_gone, (size_t)s.boxes, sizeof *is_gone, call->error));
    const int64_t dims[] = {suppress(call, &s, is_gone, NULL), 3};
    gc_free(is_gone);
    gc_tensor_describe(call->outputs[0], GC_INT64, 2, dims);
    return gc_check_output(call, 0);
}

static gradcam_status forward(const gc_call *call)
{
    suppression s;
    GC_TRY(read(call, &s));
    (void)suppress(call, &s, call->scratch, gc_ints(call->outputs[0]));
    return GRADCAM_OK;
}

const gc_op gc_op_NonMaxSuppression = {
    .name = "NonMaxSuppression",
    .domain = "",
    .since = 1,
    .min_inputs = 2,
    .max_inputs = 5,
    .max_outputs = 1,
    .layouts = GC_OP_PLAIN,
    .infer = infer,
    .forward = forward,
    .scratch = scratch,
};
