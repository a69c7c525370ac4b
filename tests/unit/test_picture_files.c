/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: what is written can be read again; hostile bytes get an error and nothing else. Run this
 * with -Db_sanitize=address,undefined, too.
 */
#define _GNU_SOURCE /* O_TMPFILE */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "picture/encode.h"
#include "picture/file.h"
#include "picture/npy.h"
#include "picture/picture.h"
#include "test.h"

#include <tiffio.h>

enum { WIDTH = 37, HEIGHT = 23, SAMPLE_COUNT = 6 };

static gradcam_error error;
static char folder[] = "/tmp/gradcam-test-XXXXXX";

/* A small file of each format. */
static struct sample {
    const char *name;
    uint8_t *bytes;
    size_t size;
} samples[SAMPLE_COUNT] = {{.name = "a.png"}, {.name = "a.jpg"}, {.name = "a.webp"},
                           {.name = "a.tif"}, {.name = "a.bmp"}, {.name = "palette.bmp"}};

static const char *in_folder(const char *name)
{
    static char path[4][512];
    static int turn;
    char *const p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

static void draw(uint8_t *rgb)
{
    for (int i = 0; i < WIDTH * HEIGHT; i++) {
        rgb[3 * i] = (uint8_t)(i % WIDTH * 6);
        rgb[3 * i + 1] = (uint8_t)(i / WIDTH * 11);
        rgb[3 * i + 2] = (uint8_t)(i * 7);
    }
}

static void put(uint8_t *to, size_t size, uint32_t value)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

/* An uncompressed bitmap of `bits` (8 or 24) bits. */
static void make_bmp(struct sample *s, int bits)
{
    const size_t stride = (size_t)(WIDTH * bits + 31) / 32 * 4, palette = bits == 8 ? 1024 : 0;
    const size_t start = 54 + palette;
    s->size = start + stride * HEIGHT;
    CHECK_OK(gc_new(&s->bytes, s->size, 1, &error));
    memcpy(s->bytes, "BM", 2);
    put(s->bytes + 2, 4, (uint32_t)s->size);
    put(s->bytes + 10, 4, (uint32_t)start);
    put(s->bytes + 14, 4, 40);
    put(s->bytes + 18, 4, WIDTH);
    put(s->bytes + 22, 4, HEIGHT);
    put(s->bytes + 26, 2, 1);
    put(s->bytes + 28, 2, (uint32_t)bits);
    for (size_t i = 54; i < s->size; i++)
        s->bytes[i] = (uint8_t)(i * 5);
}

static void make_tiff(struct sample *s, const uint8_t *rgb)
{
    const char *const path = in_folder(s->name);
    TIFF *const tiff = TIFFOpen(path, "w");
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, WIDTH);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, HEIGHT);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 3);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_LZW);
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 8);
    for (int y = 0; y < HEIGHT; y++)
        TIFFWriteScanline(tiff, (void *)(rgb + 3 * WIDTH * y), (uint32_t)y, 0);
    TIFFClose(tiff);
    CHECK_OK(gc_file_read(path, (gc_file_limit){1 << 20, "more"}, &s->bytes, &s->size, &error));
}

static void make_samples(void)
{
    uint8_t rgb[3 * WIDTH * HEIGHT];
    draw(rgb);
    CHECK(mkdtemp(folder) != NULL);
    for (int i = 0; i < 3; i++) {
        const char *const path = in_folder(samples[i].name);
        CHECK_OK(gc_picture_write(path, rgb, WIDTH, HEIGHT, 90, &error));
        CHECK_OK(gc_file_read(path, (gc_file_limit){1 << 20, "more"}, &samples[i].bytes,
                              &samples[i].size, &error));
    }
    make_tiff(&samples[3], rgb);
    make_bmp(&samples[4], 24);
    make_bmp(&samples[5], 8);
}

static void reads_what_it_writes(void)
{
    uint8_t rgb[3 * WIDTH * HEIGHT];
    draw(rgb);
    for (int i = 0; i < SAMPLE_COUNT; i++) {
        gc_picture p;
        CHECK_OK(gc_picture_decode(&p, samples[i].bytes, samples[i].size, NULL, &error));
        CHECK_INT(p.width, WIDTH);
        CHECK_INT(p.height, HEIGHT);
        if (i == 0 || i == 3) /* the lossless ones */
            CHECK(p.rgb != NULL && memcmp(p.rgb, rgb, sizeof rgb) == 0);
        gc_picture_free(&p);
    }
}

static gradcam_status decode_copy(const uint8_t *bytes, size_t size)
{
    /* An exact block on the heap, so that a sanitizer sees a read past its end. */
    uint8_t *const copy = malloc(size > 0 ? size : 1);
    gc_picture p;
    memcpy(copy, bytes, size);
    error = (gradcam_error){0};
    const gradcam_status status = gc_picture_decode(&p, copy, size, NULL, &error);
    CHECK((status == GRADCAM_OK) == (p.rgb != NULL));
    CHECK((status == GRADCAM_OK) == (error.message[0] == '\0'));
    gc_picture_free(&p);
    free(copy);
    return status;
}

static void truncations(void)
{
    for (int i = 0; i < SAMPLE_COUNT; i++) /* a BMP may lack the padding byte of its last row */
        for (size_t size = 0; size + 1 < samples[i].size; size += size < 200 ? 1 : 7) {
            const gradcam_status status = decode_copy(samples[i].bytes, size);
            if (status != GRADCAM_ERROR_PICTURE)
                fprintf(stderr, "%s cut to %zu bytes of %zu: %s\n", samples[i].name, size,
                        samples[i].size, error.message);
            CHECK_INT(status, GRADCAM_ERROR_PICTURE);
        }
    /* Without its last two bytes, the end marker, a JPEG is incomplete. */
    CHECK_INT(decode_copy(samples[1].bytes, samples[1].size - 2), GRADCAM_ERROR_PICTURE);
    CHECK(strstr(error.message, "JPEG") != NULL);
}

static void byte_flips(void)
{
    uint32_t seed = 20161007;
    for (int i = 0; i < SAMPLE_COUNT; i++)
        for (int round = 0; round < 1500; round++) {
            uint8_t *const copy = malloc(samples[i].size);
            memcpy(copy, samples[i].bytes, samples[i].size);
            for (int flips = 0; flips <= round % 4; flips++) {
                seed = seed * 1664525u + 1013904223u;
                /* Every second round spoils the header, where the sizes are. */
                const size_t range = round % 2 == 0 && samples[i].size > 64 ? 64 : samples[i].size;
                copy[(seed >> 8) % range] ^= (uint8_t)(1u << (seed >> 29));
            }
            decode_copy(copy, samples[i].size);
            free(copy);
        }
}

/* Sizes that the file cannot hold or that nobody wants to hold. */
static void giant_sizes(void)
{
    uint8_t *const bmp = samples[4].bytes;
    put(bmp + 18, 4, 0x7fffffff);
    put(bmp + 22, 4, 0x7fffffff);
    CHECK_INT(decode_copy(bmp, samples[4].size), GRADCAM_ERROR_LIMIT);
    put(bmp + 22, 4, 0x80000000u); /* a height of which the negative does not fit 32 bits */
    CHECK_INT(decode_copy(bmp, samples[4].size), GRADCAM_ERROR_LIMIT);
    put(bmp + 18, 4, 20000);
    put(bmp + 22, 4, 10000);
    CHECK_INT(decode_copy(bmp, samples[4].size), GRADCAM_ERROR_PICTURE);
    put(bmp + 18, 4, WIDTH);
    put(bmp + 22, 4, HEIGHT);
    CHECK_INT(decode_copy(bmp, samples[4].size), GRADCAM_OK);
    /* The size in a JPEG's frame header: find FF C0, then height and width, big-endian. */
    uint8_t *const jpeg = samples[1].bytes;
    for (size_t i = 2; i + 9 < samples[1].size; i++)
        if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0) {
            uint8_t old[4];
            memcpy(old, jpeg + i + 5, 4);
            memset(jpeg + i + 5, 0xfe, 4);
            CHECK_INT(decode_copy(jpeg, samples[1].size), GRADCAM_ERROR_LIMIT);
            CHECK(strstr(error.message, "65278 x 65278 = 4261217284 pixels") != NULL);
            memcpy(jpeg + i + 5, old, 4);
            break;
        }
    gc_picture p;
    const gradcam_limits small = {.picture_pixels = WIDTH * HEIGHT - 1};
    for (int i = 0; i < SAMPLE_COUNT; i++)
        CHECK_INT(gc_picture_decode(&p, samples[i].bytes, samples[i].size, &small, &error),
                  GRADCAM_ERROR_LIMIT);
}

static void messages(void)
{
    gc_picture p;
    CHECK_OK(gc_file_write(in_folder("note.jpg"), "hello, world", 12, &error));
    CHECK_INT(gc_picture_read(&p, in_folder("note.jpg"), NULL, &error), GRADCAM_ERROR_PICTURE);
    CHECK(strstr(error.message, "note.jpg: not a picture in a known format: it starts with the "
                                "bytes 68 65 6c 6c 6f 2c 20 77. Known formats: JPEG, PNG") != NULL);
    CHECK_OK(gc_file_write(in_folder("cut.png"), samples[0].bytes, samples[0].size / 2, &error));
    CHECK_INT(gc_picture_read(&p, in_folder("cut.png"), NULL, &error), GRADCAM_ERROR_PICTURE);
    CHECK(strstr(error.message, "cut.png: damaged PNG: ") != NULL);
    CHECK_INT(gc_picture_read(&p, in_folder("missing.png"), NULL, &error), GRADCAM_ERROR_FILE);
    CHECK(strstr(error.message, "missing.png: cannot be opened: No such file") != NULL);
    CHECK_INT(gc_picture_read(&p, folder, NULL, &error), GRADCAM_ERROR_FILE);
    CHECK_OK(gc_file_write(in_folder("empty.png"), "", 0, &error));
    CHECK_INT(gc_picture_read(&p, in_folder("empty.png"), NULL, &error), GRADCAM_ERROR_PICTURE);
    const gradcam_limits small = {.picture_bytes = 100};
    CHECK_INT(gc_picture_read(&p, in_folder("a.png"), &small, &error), GRADCAM_ERROR_LIMIT);
    CHECK_INT(gc_picture_read(&p, in_folder("missing.png"), NULL, NULL), GRADCAM_ERROR_FILE);
}

static int count_files(void)
{
    DIR *const d = opendir(folder);
    int count = 0;
    while (d != NULL && readdir(d) != NULL)
        count++;
    if (d != NULL)
        closedir(d);
    return count;
}

static void atomic_writing(void)
{
    struct stat info;
    const mode_t mask = umask(022);
    umask(mask);
    const char *const path = in_folder("b.bin");
    CHECK_OK(gc_file_write(path, "one", 3, &error));
    CHECK_INT(stat(path, &info), 0);
    CHECK_INT(info.st_mode & 0777, 0666 & ~mask);
    CHECK_INT(symlink("b.bin", in_folder("link")), 0);
    const int before = count_files();
    CHECK_OK(gc_file_write(in_folder("link"), "second", 6, &error));
    CHECK_INT(lstat(in_folder("link"), &info), 0);
    CHECK(S_ISLNK(info.st_mode));
    char *bytes = NULL;
    size_t size = 0;
    CHECK_OK(gc_file_read(path, (gc_file_limit){6, "more"}, &bytes, &size, &error));
    CHECK_STR(bytes, "second");
    gc_free(bytes);
    CHECK_INT(gc_file_read(path, (gc_file_limit){5, "more"}, &bytes, &size, &error),
              GRADCAM_ERROR_LIMIT);
    CHECK(bytes == NULL);
    CHECK_INT(gc_file_write(in_folder("no/such/folder"), "x", 1, &error), GRADCAM_ERROR_FILE);
    CHECK(strstr(error.message, "no/such/folder: cannot be created: No such file") != NULL);
    CHECK_INT(gc_file_write(folder, "x", 1, &error), GRADCAM_ERROR_FILE);
    CHECK_INT(gc_file_write("", "x", 1, &error), GRADCAM_ERROR_FILE);
    CHECK_OK(gc_file_write("/dev/null", "x", 1, &error));
    CHECK_INT(count_files(), before);
}

/* A process that is killed while it writes: by the limit of file sizes, at a known place. */
static void killed_writing(void)
{
    static uint8_t bytes[100000];
    const char *const path = in_folder("killed.bin");
    const int nameless = open(folder, O_TMPFILE | O_WRONLY, 0600);
    if (nameless < 0)
        SKIP("no files without a name here");
    close(nameless);
    CHECK_OK(gc_file_write(path, "before", 6, &error));
    const int before = count_files();
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = {1000, 1000}, no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        setrlimit(RLIMIT_FSIZE, &limit);
        signal(SIGXFSZ, SIG_DFL);
        (void)gc_file_write(path, bytes, sizeof bytes, &error);
        _exit(0);
    }
    int state = 0;
    CHECK_INT(waitpid(child, &state, 0), child);
    CHECK(WIFSIGNALED(state));
    CHECK_INT(count_files(), before);
    void *kept = NULL;
    size_t size = 0;
    CHECK_OK(gc_file_read(path, (gc_file_limit){1000, "more"}, &kept, &size, &error));
    CHECK(size == 6 && memcmp(kept, "before", 6) == 0);
    gc_free(kept);
    unlink(path);
}

static void encoders(void)
{
    const gc_encoder *encoder = NULL;
    const uint8_t pixel[3] = {1, 2, 3};
    CHECK_OK(gc_encoder_find(&encoder, "A.JPEG", &error));
    CHECK_INT(gc_encoder_find(&encoder, "a.gif", &error), GRADCAM_ERROR_ARGUMENT);
    CHECK_STR(error.message, "a.gif: the ending must say how to write a picture: .png .jpg .jpeg "
                             ".webp");
    CHECK_INT(gc_encoder_find(&encoder, ".png", &error), GRADCAM_ERROR_ARGUMENT);
    CHECK_INT(gc_picture_write(in_folder("x.webp"), pixel, 16384, 1, 90, &error),
              GRADCAM_ERROR_LIMIT);
    CHECK(strstr(error.message, "WebP: an edge can have 1 to 16383 pixels") != NULL);
    CHECK_OK(gc_picture_write(in_folder("x.webp"), pixel, 1, 1, -5, &error));
    CHECK_OK(gc_picture_write(in_folder("x.jpg"), pixel, 1, 1, 500, &error));
}

/* Noise or one colour, written and read back by libpng, which is strict about check sums. */
static void check_png(bool noise, int width, int height)
{
    const size_t count = 3 * (size_t)width * (size_t)height;
    const gc_encoder *encoder = NULL;
    uint8_t *rgb = NULL, *bytes = NULL;
    size_t size = 0;
    gc_picture back = {0};
    uint32_t seed = 1;
    CHECK_OK(gc_new_raw(&rgb, count, 1, &error));
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        rgb[i] = noise ? (uint8_t)(seed >> 24) : 200;
    }
    CHECK_OK(gc_encoder_find(&encoder, "a.png", &error));
    CHECK_OK(gc_picture_encode(encoder, rgb, width, height, 92, &bytes, &size, &error));
    CHECK(size <= count + count / 100 + 200 + (size_t)height);
    CHECK(noise || count < 100000 || size < count / 100);
    CHECK_OK(gc_picture_decode(&back, bytes, size, NULL, &error));
    CHECK(back.width == width && back.height == height && memcmp(back.rgb, rgb, count) == 0);
    gc_picture_free(&back);
    gc_free(bytes);
    gc_free(rgb);
}

static void png_sizes(void)
{
    static const int sizes[][2] = {{1, 1},   {2, 1},     {1, 40},    {40, 1},     {3, 3},
                                   {33, 17}, {500, 375}, {21845, 3}, {1000000, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int noise = 0; noise < 2; noise++)
            check_png(noise, sizes[i][0], sizes[i][1]);
}

static void npy_files(void)
{
    const float values[6] = {0, 1, 2, 3, 4, -0.5f};
    gc_array a;
    CHECK_OK(gc_npy_write(in_folder("a.npy"), 2, (const int64_t[]){2, 3}, values, &error));
    CHECK_OK(gc_npy_read(&a, in_folder("a.npy"), NULL, &error));
    CHECK_INT(a.rank, 2);
    CHECK_INT(a.dims[1], 3);
    CHECK(memcmp(a.data, values, sizeof values) == 0);
    gc_array_free(&a);
    uint8_t *bytes = NULL;
    size_t size = 0;
    CHECK_OK(
        gc_file_read(in_folder("a.npy"), (gc_file_limit){1000, "more"}, &bytes, &size, &error));
    CHECK_INT(size, 128 + 24);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *const copy = malloc(cut > 0 ? cut : 1);
        memcpy(copy, bytes, cut);
        CHECK_INT(gc_npy_decode(&a, copy, cut, &error), GRADCAM_ERROR_FILE);
        free(copy);
    }
    uint32_t seed = 7;
    for (int round = 0; round < 5000 && size > 128; round++) {
        uint8_t *const copy = malloc(size);
        memcpy(copy, bytes, size);
        seed = seed * 1664525u + 1013904223u;
        copy[(seed >> 8) % 128] ^= (uint8_t)(1u << (seed >> 29));
        if (gc_npy_decode(&a, copy, size, &error) == GRADCAM_OK)
            gc_array_free(&a);
        free(copy);
    }
    gc_free(bytes);
}

static gradcam_status decode_header(const char *dictionary)
{
    uint8_t bytes[300] = "\x93NUMPY\x01";
    const size_t length = strlen(dictionary);
    gc_array a;
    bytes[8] = (uint8_t)length;
    memcpy(bytes + 10, dictionary, length);
    const gradcam_status status = gc_npy_decode(&a, bytes, 10 + length, &error);
    gc_array_free(&a);
    return status;
}

/* Two's complement, little endian, by hand. */
static void npy_types(void)
{
    static const struct {
        const char *descr;
        uint8_t data[16];
        size_t size;
        float first, second;
    } types[] = {
        {"|b1", {0, 1}, 2, 0, 1},
        {"|u1", {3, 255}, 2, 3, 255},
        {"|i1", {0x80, 0x7f}, 2, -128, 127},
        {"<i2", {0xfe, 0xff, 0x00, 0x01}, 4, -2, 256},
        {"<i4", {0xff, 0xff, 0xff, 0xff, 0x40, 0x42, 0x0f, 0x00}, 8, -1, 1000000},
        {"<i8",
         {0xf6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1, 0, 0, 0},
         16,
         -10,
         4294967296.0f},
        {"<f8", {0, 0, 0, 0, 0, 0, 0xf8, 0xbf, 0, 0, 0, 0, 0, 0, 0x10, 0x40}, 16, -1.5f, 4},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        uint8_t bytes[300] = "\x93NUMPY\x01";
        gc_array a;
        const int length =
            snprintf((char *)bytes + 10, 200,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (2,)}", types[i].descr);
        bytes[8] = (uint8_t)length;
        memcpy(bytes + 10 + length, types[i].data, types[i].size);
        CHECK_OK(gc_npy_decode(&a, bytes, 10 + (size_t)length + types[i].size, &error));
        CHECK(a.data[0] == types[i].first && a.data[1] == types[i].second);
        gc_array_free(&a);
    }
}

/* 2^53 - 1 and -2^53, which float32 cannot hold; float32 itself. */
static void npy_numbers(void)
{
    static const int64_t whole[] = {9007199254740991, -9007199254740992};
    static const float single[] = {0.1f, -3.5f};
    const struct {
        const char *descr;
        const void *data;
        size_t size;
        double first, second;
    } types[] = {{"<i8", whole, sizeof whole, 9007199254740991.0, -9007199254740992.0},
                 {"<f4", single, sizeof single, (double)0.1f, -3.5}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char bytes[300] = "\x93NUMPY\x01";
        gc_array a;
        const int length =
            snprintf(bytes + 10, 200, "{'descr': '%s', 'fortran_order': False, 'shape': (2,)}",
                     types[i].descr);
        bytes[8] = (char)length;
        memcpy(bytes + 10 + length, types[i].data, types[i].size);
        CHECK_OK(gc_file_write(in_folder("numbers.npy"), bytes, 10 + (size_t)length + types[i].size,
                               &error));
        CHECK_OK(gc_npy_read_numbers(&a, in_folder("numbers.npy"), NULL, &error));
        CHECK(a.data == NULL && a.numbers[0] == types[i].first && a.numbers[1] == types[i].second);
        gc_array_free(&a);
    }
}

static void npy_headers(void)
{
    CHECK_INT(decode_header("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }\n"), 0);
    CHECK_INT(decode_header("{'shape':(0,),'descr':\"<f4\",'fortran_order':True}"), 0);
    static const char *const bad[][2] = {
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (0, 3)}", "column-major"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (0,)}", "type '<c8'"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (0,)}", "type '>f4'"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (0,)}", "not understood"},
        {"{'descr': '<f4', 'fortran_order': False}", "not understood"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (0,)} x", "not understood"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "not understood"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", "more than 8"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "not under"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
         "too large"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,)}", "announced"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "2 elements of 4 bytes"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(decode_header(bad[i][0]), GRADCAM_ERROR_FILE);
        if (strstr(error.message, bad[i][1]) == NULL)
            CHECK_STR(error.message, bad[i][1]);
    }
}

static void clean_up(void)
{
    char command[64];
    for (int i = 0; i < SAMPLE_COUNT; i++)
        gc_free(samples[i].bytes);
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_INT(system(command), 0);
}

TEST_MAIN(make_samples, reads_what_it_writes, truncations, byte_flips, giant_sizes, messages,
          atomic_writing, killed_writing, encoders, png_sizes, npy_files, npy_types, npy_numbers,
          npy_headers, clean_up)
