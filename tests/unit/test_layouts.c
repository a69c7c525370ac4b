/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that read the memory layout themselves give the same in each of them, and copies
 * between layouts put every element where tensor.h says. */
#include <stdlib.h>

#include "engine/relayout.h"
#include "ops/op.h"
#include "test.h"

enum { BATCH = 2, CHANNELS = 19, HEIGHT = 3, WIDTH = 5, ROOM = BATCH * 32 * HEIGHT * WIDTH };

static gradcam_error error;
static const int64_t full[] = {BATCH, CHANNELS, HEIGHT, WIDTH}, one[] = {BATCH, CHANNELS, 1, 1};

/* Where element (n, c, s) of `spatial` positions lies, straight from the description in tensor.h.
 */
static size_t place_of(gc_layout layout, size_t channels, size_t spatial, size_t n, size_t c,
                       size_t s)
{
    const size_t block = (size_t)gc_layout_block(layout);
    const size_t blocks = (channels + block - 1) / block;
    if (layout == GC_LAYOUT_LAST)
        return (n * spatial + s) * channels + c;
    return ((n * blocks + c / block) * spatial + s) * block + c % block;
}

static size_t place(gc_layout layout, size_t n, size_t c, size_t s, size_t spatial)
{
    return place_of(layout, CHANNELS, spatial, n, c, s);
}

static void convert(gc_layout from, const float *x, gc_layout to, float *y, size_t spatial)
{
    for (size_t i = 0; i < ROOM; i++)
        y[i] = 0.0f;
    for (size_t n = 0; n < BATCH; n++)
        for (size_t c = 0; c < CHANNELS; c++)
            for (size_t s = 0; s < spatial; s++)
                y[place(to, n, c, s, spatial)] = x[place(from, n, c, s, spatial)];
}

static gc_tensor view(const int64_t *dims, gc_layout layout, float *data)
{
    gc_tensor t;
    gc_tensor_describe(&t, GC_FLOAT32, 4, dims);
    t.layout = layout;
    t.data = data;
    return t;
}

/* Runs forward and backward in a layout; results come back row-major. */
static void run(const gc_op *op, gc_layout layout, const float *plain, float *y, float *gx)
{
    static float parameters[4][CHANNELS], buffers[4][ROOM], scratch[256];
    const gc_node node = {.name = "", .op = op->name};
    const bool is_pool = op->max_inputs == 1;
    const int64_t *const out_dims = is_pool ? one : full;
    const size_t spatial = is_pool ? 1 : HEIGHT * WIDTH;
    gc_tensor x = view(full, layout, buffers[0]), out = view(out_dims, layout, buffers[1]);
    gc_tensor gy = view(out_dims, layout, buffers[2]), grad = view(full, layout, buffers[3]);
    gc_tensor p[4];
    const int64_t channels = CHANNELS;
    for (int i = 0; i < 4; i++) {
        for (int c = 0; c < CHANNELS; c++)
            parameters[i][c] = 0.5f + 0.1f * (float)((c * 7 + i * 3) % 11);
        gc_tensor_describe(&p[i], GC_FLOAT32, 1, &channels);
        p[i].data = parameters[i];
    }
    convert(GC_LAYOUT_PLAIN, plain, layout, buffers[0], HEIGHT * WIDTH);
    convert(GC_LAYOUT_PLAIN, plain + 7, layout, buffers[2], spatial);
    const gc_tensor *const inputs[] = {&x, &p[0], &p[1], &p[2], &p[3]}, *const gys[] = {&gy};
    gc_tensor *const outputs[] = {&out}, *const gxs[5] = {&grad};
    const gc_call call = {.node = &node,
                          .input_count = op->max_inputs,
                          .output_count = 1,
                          .inputs = inputs,
                          .outputs = outputs,
                          .scratch = scratch,
                          .error = &error};
    if (op->scratch != NULL)
        CHECK(op->scratch(&call) <= sizeof scratch);
    CHECK_OK(op->forward(&call));
    CHECK_OK(op->backward(&call, gys, gxs));
    convert(layout, buffers[1], GC_LAYOUT_PLAIN, y, spatial);
    convert(layout, buffers[3], GC_LAYOUT_PLAIN, gx, HEIGHT * WIDTH);
}

static void check(const char *name)
{
    static float x[ROOM + 7], y[2][ROOM], gx[2][ROOM];
    const gc_op *const op = gc_op_find(name, "");
    CHECK(op->layouts == GC_OP_SPATIAL);
    for (size_t i = 0; i < ROOM + 7; i++)
        x[i] = (float)(i * 37 % 101) * 0.03f - 1.5f;
    run(op, GC_LAYOUT_PLAIN, x, y[0], gx[0]);
    for (int layout = GC_LAYOUT_BLOCKED8; layout <= GC_LAYOUT_LAST; layout++) {
        run(op, (gc_layout)layout, x, y[1], gx[1]);
        double difference = 0.0;
        for (size_t i = 0; i < ROOM; i++)
            difference = fmax(difference, fmax(fabs((double)y[0][i] - (double)y[1][i]),
                                               fabs((double)gx[0][i] - (double)gx[1][i])));
        CHECK_NEAR(difference, 0.0, 1e-6);
    }
}

static void batch_normalization(void)
{
    check("BatchNormalization");
}

static void global_pools(void)
{
    check("GlobalAveragePool");
    check("GlobalMaxPool");
    check("GlobalLpPool");
}

/* ---- Copies between layouts ----------------------------------------------------------------- */

/* An element's value tells what it is; what only pads must be 0, whatever was there. */
static void check_copy(const int64_t *dims, gc_layout from, gc_layout to)
{
    gc_tensor a = view(dims, from, NULL), b = view(dims, to, NULL);
    const size_t channels = (size_t)dims[1], spatial = (size_t)(dims[2] * dims[3]);
    const size_t room = gc_tensor_bytes(&b) / sizeof(float);
    size_t wrong = 0, sum = 0;
    float *const x = a.data = malloc(gc_tensor_bytes(&a)), *const y = b.data = malloc(room * 4);
    for (size_t i = 0; i < gc_tensor_bytes(&a) / sizeof(float); i++)
        x[i] = -1.0f;
    for (size_t i = 0; i < room; i++)
        y[i] = -1.0f;
    for (size_t n = 0; n < (size_t)dims[0]; n++)
        for (size_t c = 0; c < channels; c++)
            for (size_t s = 0; s < spatial; s++)
                x[place_of(from, channels, spatial, n, c, s)] =
                    (float)((n * channels + c) * spatial + s + 1);
    gc_relayout(&a, &b);
    for (size_t n = 0; n < (size_t)dims[0]; n++)
        for (size_t c = 0; c < channels; c++)
            for (size_t s = 0; s < spatial; s++)
                wrong += y[place_of(to, channels, spatial, n, c, s)] !=
                         (float)((n * channels + c) * spatial + s + 1);
    for (size_t i = 0; i < room; i++)
        sum += (size_t)(y[i] != 0.0f);
    CHECK_INT(wrong, 0);
    CHECK_INT(sum, (size_t)dims[0] * channels * spatial);
    free(x);
    free(y);
}

static void copies(void)
{
    static const int64_t shapes[][4] = {{1, 3, 9, 7},   {2, 16, 5, 5},   {1, 19, 8, 9},
                                        {3, 40, 1, 1},  {1, 130, 3, 3},  {2, 64, 13, 11},
                                        {1, 256, 9, 9}, {1, 33, 33, 31}, {1, 1, 6, 6}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int from = GC_LAYOUT_PLAIN; from <= GC_LAYOUT_LAST; from++)
            for (int to = GC_LAYOUT_PLAIN; to <= GC_LAYOUT_LAST; to++)
                if (from != to)
                    check_copy(shapes[i], (gc_layout)from, (gc_layout)to);
}

TEST_MAIN(batch_normalization, global_pools, copies)
