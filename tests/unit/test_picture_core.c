/* SPDX-License-Identifier: Apache-2.0 */
/* Geometry, resampling, colours, presets, labels: what can be said without a picture file. */
#include <stdlib.h>

#include "base/memory.h"
#include "picture/labels.h"
#include "picture/overlay.h"
#include "picture/preprocess.h"
#include "test.h"

static gradcam_error error;

static void orientations(void)
{
    /* 1 2 3     The pixels of each of the eight turns, by their numbers. */
    /* 4 5 6 */
    static const char *const expected[9] = {"123456", "123456", "321654", "654321", "456123",
                                            "142536", "415263", "635241", "362514"};
    for (int orientation = 0; orientation <= 8; orientation++) {
        gc_picture p;
        char found[7] = "";
        CHECK_OK(gc_picture_alloc(&p, 3, 2, NULL, &error));
        for (int i = 0; i < 18; i++)
            p.rgb[i] = (uint8_t)('1' + i / 3);
        CHECK_OK(gc_picture_orient(&p, orientation, &error));
        for (int i = 0; i < 6; i++)
            found[i] = (char)p.rgb[3 * i + 2];
        CHECK_STR(found, expected[orientation]);
        CHECK_INT(p.width, orientation >= 5 ? 2 : 3);
        gc_picture_free(&p);
    }
    CHECK_INT(gc_exif_orientation((const uint8_t *)"Exif\0\0garbage", 13), 1);
    CHECK_INT(gc_exif_orientation(NULL, 0), 1);
}

static void limits(void)
{
    gc_picture p;
    const gradcam_limits small = {.picture_pixels = 100}, large = {.picture_pixels = UINT64_MAX};
    CHECK_INT(gc_picture_alloc(&p, 0, 5, NULL, &error), GRADCAM_ERROR_PICTURE);
    CHECK_INT(gc_picture_alloc(&p, 11, 10, &small, &error), GRADCAM_ERROR_LIMIT);
    CHECK_STR(error.message, "the picture is 11 x 10 = 110 pixels; the limit is 100 "
                             "(--max-pixels, picture_pixels)");
    CHECK_OK(gc_picture_alloc(&p, 10, 10, &small, &error));
    gc_picture_free(&p);
    CHECK_INT(gc_picture_alloc(&p, GC_MAX_EDGE + 1, 1, &large, &error), GRADCAM_ERROR_LIMIT);
    CHECK_OK(gc_picture_alloc(&p, GC_MAX_EDGE, 1, &large, &error));
    gc_picture_free(&p);
    CHECK_INT(gc_picture_alloc(&p, 20000, 20000, NULL, &error), GRADCAM_ERROR_LIMIT);
    CHECK(p.rgb == NULL);
    gc_picture_free(&p);
    gc_picture_free(NULL);
}

static void check_round_trip(const gc_view *v)
{
    for (int i = 0; i < 50; i++) {
        const double x = i * 13.7, y = i * 7.3;
        double input_x, input_y, back_x, back_y;
        gc_view_to_input(v, x, y, &input_x, &input_y);
        gc_view_to_picture(v, input_x, input_y, &back_x, &back_y);
        CHECK_NEAR(back_x, x, 1e-9);
        CHECK_NEAR(back_y, y, 1e-9);
    }
}

static void views(void)
{
    gc_view v;
    CHECK_OK(gc_view_make(&v, GRADCAM_FIT_STRETCH, 0, 640, 427, 224, 224, &error));
    check_round_trip(&v);
    CHECK_OK(gc_view_make(&v, GRADCAM_FIT_CROP, 256, 640, 427, 224, 224, &error));
    CHECK_INT(v.resized_width, 383);
    CHECK_INT(v.resized_height, 256);
    CHECK_INT(v.offset_x, -80); /* round(79.5) to even */
    CHECK_INT(v.offset_y, -16);
    check_round_trip(&v);
    CHECK_OK(gc_view_make(&v, GRADCAM_FIT_CROP, 0, 100, 100, 299, 320, &error));
    CHECK_INT(v.resized_width, 341);
    CHECK_OK(gc_view_make(&v, GRADCAM_FIT_CROP, 100, 100, 100, 224, 161, &error));
    CHECK_INT(v.offset_x, 62);
    CHECK_INT(v.offset_y, 30); /* the odd pixel of padding is below */
    CHECK_OK(gc_view_make(&v, GRADCAM_FIT_LETTERBOX, 0, 640, 427, 224, 224, &error));
    CHECK_INT(v.resized_width, 224);
    CHECK_INT(v.resized_height, 149);
    CHECK_INT(v.offset_y, 37);
    CHECK_INT(v.fill, 114);
    check_round_trip(&v);
    CHECK_OK(gc_view_make(&v, GRADCAM_FIT_LETTERBOX, 0, 1, 100000, 224, 224, &error));
    CHECK_INT(v.resized_width, 1);
    CHECK_INT(gc_view_make(&v, GRADCAM_FIT_CROP, 65536, 1, 1000000, 224, 224, &error),
              GRADCAM_ERROR_LIMIT);
    CHECK_INT(gc_view_make(&v, GRADCAM_FIT_CROP, -1, 9, 9, 224, 224, &error),
              GRADCAM_ERROR_ARGUMENT);
    CHECK_INT(gc_view_make(&v, GRADCAM_FIT_CROP, 0, 9, 9, 0, 224, &error), GRADCAM_ERROR_ARGUMENT);
    CHECK_INT(gc_view_make(&v, (gradcam_fit)77, 0, 9, 9, 9, 9, &error), GRADCAM_ERROR_ARGUMENT);
}

/* The hot cell of a map must lie on the part of the picture that the cell has seen. */
static void map_follows_crop(void)
{
    enum { WIDTH = 640, HEIGHT = 427 };
    static float out[WIDTH * HEIGHT];
    static uint8_t seen[WIDTH * HEIGHT];
    gc_view v;
    float map[49] = {0};
    map[3 * 7 + 6] = 1.0f; /* the middle of the right edge of the input */
    CHECK_OK(gc_view_make(&v, GRADCAM_FIT_CROP, 256, WIDTH, HEIGHT, 224, 224, &error));
    CHECK_OK(gc_view_map_to_picture(&v, map, 7, 7, out, seen, &error));
    double x, y;
    gc_view_to_picture(&v, 6.5 * 32, 3.5 * 32, &x, &y);
    CHECK(out[(int)y * WIDTH + (int)x] > 0.95f);
    CHECK_INT(seen[0], 0);
    CHECK_NEAR(out[0], 0.0, 0.0);
    CHECK_INT(seen[200 * WIDTH + 320], 1);
    CHECK_OK(gc_view_map_to_picture(&v, map, 7, 7, out, NULL, &error));
}

static void resizing_keeps_constants(void)
{
    uint8_t in[3 * 30 * 20], out[3 * 9 * 40];
    memset(in, 200, sizeof in);
    for (int filter = 0; filter < GC_FILTER_COUNT; filter++) {
        memset(out, 0, sizeof out);
        CHECK_OK(gc_resize_rgb(in, 30, 20, 9, 40, (gc_filter)filter, out, &error));
        for (size_t i = 0; i < sizeof out; i++)
            CHECK_INT(out[i], 200);
    }
    CHECK_INT(gc_resize_rgb(in, 30, 20, 0, 40, GC_FILTER_BOX, out, &error), GRADCAM_ERROR_ARGUMENT);
    CHECK_INT(gc_resize_rgb(in, 30, 20, 9, 40, (gc_filter)9, out, &error), GRADCAM_ERROR_ARGUMENT);
    CHECK_STR(gc_filter_name(GC_FILTER_BICUBIC), "bicubic");
    CHECK_STR(gc_filter_name((gc_filter)-1), "unknown");
}

/* A window must be exactly that part of the whole. */
static void resizing_windows(void)
{
    uint8_t in[3 * 50 * 40], whole[3 * 33 * 61], part[3 * 10 * 20];
    unsigned seed = 1;
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)((seed = seed * 1103515245u + 12345u) >> 16);
    const gc_resize_window window = {33, 61, 11, 25, 10, 20};
    for (int filter = 0; filter < GC_FILTER_COUNT; filter++) {
        CHECK_OK(gc_resize_rgb(in, 50, 40, 33, 61, (gc_filter)filter, whole, &error));
        CHECK_OK(gc_resize_rgb_window(in, 50, 40, &window, (gc_filter)filter, part, 30, &error));
        for (int y = 0; y < 20; y++)
            CHECK(memcmp(part + 30 * y, whole + 3 * (33 * (25 + y) + 11), 30) == 0);
    }
}

static void presets(void)
{
    gc_preprocessing p;
    size_t count = 0;
    for (; gc_preprocessing_name(count) != NULL; count++)
        CHECK_OK(gc_preprocessing_preset(&p, gc_preprocessing_name(count), &error));
    CHECK_INT(count, 6);
    CHECK_INT(gc_preprocessing_preset(&p, "imagenet", &error), GRADCAM_ERROR_ARGUMENT);
    CHECK_STR(error.message, "unknown preprocessing preset 'imagenet'; there are: torchvision, "
                             "timm, tf, caffe, unit, raw");
    CHECK_OK(gc_preprocessing_preset(&p, "torchvision", &error));
    CHECK_INT(gc_preprocessing_set_channels(&p, 4, &error), GRADCAM_ERROR_SHAPE);
    CHECK_OK(gc_preprocessing_set_channels(&p, 1, &error));
    CHECK_NEAR(p.mean[0], 0.449, 1e-6);
    CHECK_NEAR(p.std[0], 0.226, 1e-6);
    CHECK_OK(gc_preprocessing_set_channels(&p, 3, &error));
    CHECK_NEAR(p.mean[2], 0.449, 1e-6);
    gc_picture picture = {.width = 1, .height = 1, .rgb = (uint8_t[]){1, 2, 3}};
    float tensor[3];
    p.std[1] = 0.0f;
    CHECK_INT(gc_preprocess(&picture, &p, 1, 1, tensor, NULL, &error), GRADCAM_ERROR_ARGUMENT);
}

static gradcam_status parse(gc_preprocessing *p, const char *text)
{
    return gc_preprocessing_from_json(p, text, strlen(text), &error);
}

static void preprocessor_configs(void)
{
    gc_preprocessing p;
    CHECK_OK(parse(&p, "{}"));
    CHECK_INT(p.fit, GRADCAM_FIT_STRETCH);
    CHECK_NEAR(p.scale, 1.0 / 255.0, 1e-9);
    CHECK_OK(parse(&p, "{\"size\": {\"shortest_edge\": 224}, \"crop_pct\": 0.7, \"resample\": 3}"));
    CHECK_INT(p.resize_edge, 320);
    CHECK_INT(p.filter, GC_FILTER_BICUBIC);
    CHECK_OK(parse(&p, "{\"do_flip_channel_order\": true, \"do_normalize\": false, "
                       "\"image_mean\": [1, 1, 1], \"crop_size\": 200, \"size\": 300}"));
    CHECK_INT(p.bgr, 1);
    CHECK_NEAR(p.mean[0], 0.0, 0.0);
    CHECK_INT(p.width, 200);
    CHECK_INT(p.resize_edge, 300);
    CHECK_OK(parse(&p, "{\"rescale_factor\": 0.0078431373, \"rescale_offset\": true, "
                       "\"do_normalize\": false}"));
    CHECK_NEAR(p.mean[1], 1.0, 0.0);
    static const char *const bad[][2] = {
        {"{\"size\": \"big\"}", "member 'size' is \"big\", expected a whole number of pixels"},
        {"{\"size\": {\"longest_edge\": 9}}", "member 'size' is {\"longest_edge\":9}, expected"},
        {"{\"size\": 0}", "member 'size' is 0"},
        {"{\"size\": 1e99}", "member 'size' is 1e+99"},
        {"{\"image_mean\": [1, 2]}", "member 'image_mean' is [1,2], expected an array of 1 or 3"},
        {"{\"image_mean\": [1, 2, null]}", "member 'image_mean' is [1,2,null]"},
        {"{\"image_mean\": 1}", "'image_mean' has 1 values but 'image_std' has 0"},
        {"{\"image_mean\": 1, \"image_std\": 0}", "a value of 'image_std' is 0"},
        {"{\"resample\": 17}", "member 'resample' is 17"},
        {"{\"do_resize\": 1}", "member 'do_resize' is 1, expected true or false"},
        {"{\"rescale_factor\": 1e999}", "member 'rescale_factor' is"},
        {"{\"size\": 224, \"crop_pct\": -3}", "member 'crop_pct' is -3"},
        {"[]", "the JSON text is not an object"},
        {"{\n\"size\": 3,\n oops", "not valid JSON: line 3, at '"},
        {"{} trailing", "not valid JSON: line 1, at 'trailing'"},
        {"", "not valid JSON"},
        {"{\"a\":", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(parse(&p, bad[i][0]), GRADCAM_ERROR_FILE);
        if (strncmp(error.message, bad[i][1], strlen(bad[i][1])) != 0)
            CHECK_STR(error.message, bad[i][1]);
    }
}

static void labels_of_text(void)
{
    gc_labels l;
    const char text[] = "\xef\xbb\xbf"
                        "tench, Tinca tinca\r\n\r\n  goldfish \r\nshark\r\n\r\n";
    CHECK_OK(gc_labels_from_text(&l, text, strlen(text), &error));
    CHECK_INT(l.count, 4);
    CHECK_STR(l.items[0], "tench, Tinca tinca");
    CHECK_STR(l.items[1], "");
    CHECK_STR(l.items[2], "goldfish");
    CHECK_STR(l.items[3], "shark");
    gc_labels_free(&l);
    CHECK_INT(gc_labels_from_text(&l, "\n \n", 3, &error), GRADCAM_ERROR_FILE);
    CHECK_INT(gc_labels_from_text(&l, "a\0b", 3, &error), GRADCAM_ERROR_FILE);
    CHECK_INT(gc_labels_from_text(&l, "", 0, &error), GRADCAM_ERROR_FILE);
    gc_labels_free(&l);
    gc_labels_free(NULL);
}

static void labels_of_json(void)
{
    gc_labels l;
    const char *const text = "{\"id2label\": {\"1\": \"dog\", \"0\": \"cat\"}}";
    CHECK_OK(gc_labels_from_json(&l, text, strlen(text), &error));
    CHECK_INT(l.count, 2);
    CHECK_STR(l.items[0], "cat");
    CHECK_STR(l.items[1], "dog");
    gc_labels_free(&l);
    CHECK_OK(gc_labels_from_json(&l, "{}", 2, &error));
    CHECK_INT(l.count, 0);
    static const char *const bad[] = {
        "{\"id2label\": [1]}",
        "{\"id2label\": {\"1\": \"dog\"}}",
        "{\"id2label\": {\"0\": 7}}",
        "{\"id2label\": {\"x\": \"dog\"}}",
        "{\"id2label\": {\"-0\": \"\"}}",
        "{\"id2label\": {\"0\": \"a\", \"00\": \"b\"}}",
        "{\"id2label\": {\"99999999999999999999999\": \"a\"}}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_INT(gc_labels_from_json(&l, bad[i], strlen(bad[i]), &error), GRADCAM_ERROR_FILE);
    CHECK(l.items == NULL);
}

static void colours(void)
{
    const gc_colormap *jet = NULL, *other = NULL;
    CHECK_OK(gc_colormap_find(&jet, NULL, &error));
    CHECK_STR(jet->name, "jet");
    for (const char *const *name = gc_colormap_names(); *name != NULL; name++) {
        CHECK_OK(gc_colormap_find(&other, *name, &error));
        CHECK_STR(other->name, *name);
    }
    CHECK_INT(gc_colormap_find(&other, "rainbow", &error), GRADCAM_ERROR_ARGUMENT);
    CHECK(other == NULL && strstr(error.message, "jet, turbo") != NULL);
    CHECK(gc_colormap_at(jet, NAN) == jet->rgb[0]);
    CHECK(gc_colormap_at(jet, -1e30f) == jet->rgb[0]);
    CHECK(gc_colormap_at(jet, INFINITY) == jet->rgb[255]);
    CHECK(gc_colormap_at(jet, 0.5f) == jet->rgb[127]);
    const uint8_t picture[6] = {10, 20, 30, 40, 50, 60}, seen[2] = {1, 0};
    uint8_t out[6];
    gc_overlay(picture, 2, 1, (const float[]){1.0f, 1.0f}, seen, jet, 0.4f, out);
    CHECK_INT(out[0], 57); /* 0.6 * 10 + 0.4 * 128 = 57.2 */
    CHECK_INT(out[1], 12);
    CHECK_INT(out[2], 18);
    CHECK(memcmp(out + 3, picture + 3, 3) == 0);
    gc_heatmap(2, 1, (const float[]){0.0f, 1.0f}, jet, out);
    CHECK(memcmp(out, jet->rgb[0], 3) == 0 && memcmp(out + 3, jet->rgb[255], 3) == 0);
}

/* The hottest pixel is the first of the greatest values of the whole map. */
static void check_peak(const gc_view *v, const float *map, int width, int height)
{
    const int count = v->picture_width * v->picture_height;
    float *const all = malloc((size_t)count * sizeof *all), value = 0.0f;
    int x = -1, y = -1, best = 0;
    CHECK_OK(gc_view_map_to_picture(v, map, width, height, all, NULL, &error));
    for (int i = 1; i < count; i++)
        if (all[i] > all[best])
            best = i;
    CHECK_OK(gc_view_peak(v, map, width, height, &x, &y, &value, &error));
    CHECK_INT(y * v->picture_width + x, best);
    CHECK(value == all[best]);
    free(all);
}

static void peaks(void)
{
    enum { WIDTH = 7, HEIGHT = 5, ROUNDS = 40 };
    float map[WIDTH * HEIGHT];
    uint32_t state = 1;
    gc_view views[4];
    CHECK_OK(gc_view_make(&views[0], GRADCAM_FIT_STRETCH, 0, 61, 43, 224, 224, &error));
    CHECK_OK(gc_view_make(&views[1], GRADCAM_FIT_CROP, 256, 97, 60, 224, 224, &error));
    CHECK_OK(gc_view_make(&views[2], GRADCAM_FIT_LETTERBOX, 0, 64, 31, 224, 224, &error));
    CHECK_OK(gc_view_make(&views[3], GRADCAM_FIT_STRETCH, 0, 5, 3, 224, 224, &error));
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < WIDTH * HEIGHT; i++) {
            state = state * 1664525u + 1013904223u;
            /* Few values, so that there are equals; all below 0 in the last round. */
            map[i] = (float)(state >> 24) / 255.0f - (round == ROUNDS - 1 ? 2.0f : 0.5f);
            map[i] = round % 3 == 0 ? roundf(map[i] * 2.0f) : map[i];
        }
        for (int v = 0; v < 4; v++)
            check_peak(&views[v], map, WIDTH, HEIGHT);
    }
}

TEST_MAIN(orientations, limits, views, map_follows_crop, peaks, resizing_keeps_constants,
          resizing_windows, presets, preprocessor_configs, labels_of_text, labels_of_json, colours)
