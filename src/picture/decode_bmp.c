/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows and OS/2 bitmaps: 1, 4, 8, 16, 24 and 32 bits a pixel, uncompressed or with bit masks,
 * bottom-up or top-down. Run-length encoding is refused by name.
 *
 * All offsets are checked against the file before a pixel is read.
 */
#include <string.h>

#include "picture/decode.h"

enum { FILE_HEADER = 14, CORE_HEADER = 12, INFO_HEADER = 40, MASKS_HEADER = 52, ALPHA_HEADER = 56 };
enum { PLAIN = 0, RLE8 = 1, RLE4 = 2, BIT_FIELDS = 3, ALPHA_BIT_FIELDS = 6 };

typedef struct bitmap {
    const uint8_t *bytes;
    size_t size;
    uint32_t header; /* Bytes in the second header. */
    int64_t width, height;
    bool is_top_down;
    unsigned bits, compression;
    uint32_t colours;  /* Palette entries that the file claims; 0: all. */
    uint32_t masks[4]; /* R, G, B, A of a 16- or 32-bit pixel; 0: absent. */
    size_t pixels;     /* Offset of the first row. */
    size_t stride;     /* Bytes from row to row. */
    uint8_t palette[256][3];
} bitmap;

static uint32_t read16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t read32(const uint8_t *p)
{
    return read16(p) | read16(p + 2) << 16;
}

static bool probe(const uint8_t *bytes, size_t size)
{
    return size >= FILE_HEADER + 4 && bytes[0] == 'B' && bytes[1] == 'M' &&
           read32(bytes + FILE_HEADER) >= CORE_HEADER && read32(bytes + FILE_HEADER) <= 256;
}

static void read_core_header(bitmap *b, const uint8_t *p)
{
    b->width = read16(p + 4);
    b->height = read16(p + 6);
    b->bits = read16(p + 10);
}

static void read_info_header(bitmap *b, const uint8_t *p)
{
    b->width = (int32_t)read32(p + 4);
    b->height = (int32_t)read32(p + 8);
    b->is_top_down = b->height < 0;
    b->height = b->is_top_down ? -b->height : b->height;
    b->bits = read16(p + 14);
    b->compression = read32(p + 16);
    b->colours = read32(p + 32);
}

static gradcam_status read_header(bitmap *b, gradcam_error *error)
{
    const uint8_t *const p = b->bytes + FILE_HEADER;
    b->header = read32(p);
    b->pixels = read32(b->bytes + 10);
    GC_FAIL_IF(b->header != CORE_HEADER && b->header < INFO_HEADER, error, GRADCAM_ERROR_PICTURE,
               "BMP with an unknown header of %u bytes", (unsigned)b->header);
    GC_FAIL_IF(b->size - FILE_HEADER < b->header, error, GRADCAM_ERROR_PICTURE,
               "damaged BMP: the file ends inside the header");
    if (b->header == CORE_HEADER)
        read_core_header(b, p);
    else
        read_info_header(b, p);
    return GRADCAM_OK;
}

static gradcam_status check_kind(const bitmap *b, gradcam_error *error)
{
    const bool is_masked = b->compression == BIT_FIELDS || b->compression == ALPHA_BIT_FIELDS;
    const bool is_deep = b->bits == 16 || b->bits == 32;
    GC_FAIL_IF(b->compression == RLE8 || b->compression == RLE4, error, GRADCAM_ERROR_PICTURE,
               "run-length encoded BMP is not supported; save it uncompressed or as PNG");
    GC_FAIL_IF(b->compression != PLAIN && !is_masked, error, GRADCAM_ERROR_PICTURE,
               "BMP with unknown compression %u", b->compression);
    GC_FAIL_IF(b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 24 && !is_deep, error,
               GRADCAM_ERROR_PICTURE, "BMP with %u bits a pixel; known are 1, 4, 8, 16, 24, 32",
               b->bits);
    GC_FAIL_IF(is_masked && !is_deep, error, GRADCAM_ERROR_PICTURE,
               "damaged BMP: bit masks with %u bits a pixel", b->bits);
    return GRADCAM_OK;
}

/* In a plain INFO_HEADER file the masks follow the header; later headers contain them at the same
 * place. Sets *end to what follows. */
static gradcam_status read_masks(bitmap *b, size_t *end, gradcam_error *error)
{
    static const uint32_t of16[3] = {0x7c00, 0x03e0, 0x001f};
    static const uint32_t of32[3] = {0xff0000, 0x00ff00, 0x0000ff};
    *end = FILE_HEADER + (size_t)b->header;
    if (b->compression == PLAIN) {
        memcpy(b->masks, b->bits == 16 ? of16 : of32, sizeof of16);
        return GRADCAM_OK;
    }
    const size_t start = FILE_HEADER + INFO_HEADER;
    const bool has_alpha = b->compression == ALPHA_BIT_FIELDS || b->header >= ALPHA_HEADER;
    const size_t count = has_alpha ? 4 : 3;
    GC_FAIL_IF(b->size < start + 4 * count, error, GRADCAM_ERROR_PICTURE,
               "damaged BMP: the file ends inside the bit masks");
    for (size_t i = 0; i < count; i++)
        b->masks[i] = read32(b->bytes + start + 4 * i);
    if (*end < start + 4 * count)
        *end = start + 4 * count;
    return GRADCAM_OK;
}

static gradcam_status read_palette(bitmap *b, size_t start, gradcam_error *error)
{
    if (b->bits > 8)
        return GRADCAM_OK;
    const size_t entry = b->header == CORE_HEADER ? 3 : 4;
    const size_t most = (size_t)1 << b->bits;
    const size_t count = b->colours == 0 || b->colours > most ? most : b->colours;
    GC_FAIL_IF(start > b->size || (b->size - start) / entry < count, error, GRADCAM_ERROR_PICTURE,
               "damaged BMP: the file ends inside the palette");
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < 3; c++)
            b->palette[i][c] = b->bytes[start + entry * i + 2 - c];
    return GRADCAM_OK;
}

static gradcam_status check_rows(bitmap *b, gradcam_error *error)
{
    const size_t row_bits = (size_t)b->width * b->bits;
    b->stride = (row_bits + 31) / 32 * 4;
    /* Some writers leave out the padding of the last row. */
    const size_t needed = b->stride * (size_t)(b->height - 1) + (row_bits + 7) / 8;
    GC_FAIL_IF(b->pixels < FILE_HEADER + (size_t)b->header || b->pixels > b->size ||
                   b->size - b->pixels < needed,
               error, GRADCAM_ERROR_PICTURE,
               "damaged BMP: %zu bytes of pixels at offset %zu do not fit into a file of %zu bytes",
               needed, b->pixels, b->size);
    return GRADCAM_OK;
}

static void indexed_row(const bitmap *b, const uint8_t *row, uint8_t *rgb)
{
    const size_t bits = b->bits, width = (size_t)b->width;
    for (size_t x = 0; x < width; x++, rgb += 3) {
        const size_t at = x * bits;
        const unsigned index = row[at / 8] >> (8 - bits - at % 8) & ((1u << bits) - 1);
        memcpy(rgb, b->palette[index], 3);
    }
}

/* The value under a mask, stretched to 0..255. */
static uint8_t masked(uint32_t pixel, uint32_t mask)
{
    if (mask == 0)
        return 0;
    const int shift = __builtin_ctz(mask);
    return (uint8_t)((uint64_t)((pixel & mask) >> shift) * 255u / (mask >> shift));
}

static void masked_row(const bitmap *b, const uint8_t *row, uint8_t *rgb)
{
    const size_t step = b->bits / 8, width = (size_t)b->width;
    for (size_t x = 0; x < width; x++, rgb += 3) {
        const uint8_t *const p = row + step * x;
        const uint32_t pixel = step == 2 ? read16(p) : read32(p);
        const uint8_t alpha = b->masks[3] != 0 ? masked(pixel, b->masks[3]) : 255;
        for (size_t c = 0; c < 3; c++)
            rgb[c] = gc_over_white(masked(pixel, b->masks[c]), alpha);
    }
}

static void bgr_row(const bitmap *b, const uint8_t *row, uint8_t *rgb)
{
    const size_t width = (size_t)b->width;
    for (size_t x = 0; x < width; x++)
        for (size_t c = 0; c < 3; c++)
            rgb[3 * x + c] = row[3 * x + 2 - c];
}

static void read_rows(const bitmap *b, const gc_picture *picture)
{
    for (int y = 0; y < picture->height; y++) {
        const size_t from = (size_t)(b->is_top_down ? y : picture->height - 1 - y);
        const uint8_t *const row = b->bytes + b->pixels + b->stride * from;
        uint8_t *const rgb = picture->rgb + 3 * (size_t)picture->width * (size_t)y;
        if (b->bits <= 8)
            indexed_row(b, row, rgb);
        else if (b->bits == 24)
            bgr_row(b, row, rgb);
        else
            masked_row(b, row, rgb);
    }
}

static gradcam_status decode(gc_picture *picture, int *orientation, const gc_picture_source *source,
                             gradcam_error *error)
{
    bitmap b = {.bytes = source->bytes, .size = source->size};
    size_t palette = 0;
    (void)orientation; /* BMP has none */
    GC_TRY(read_header(&b, error));
    GC_TRY(check_kind(&b, error));
    GC_TRY(gc_picture_alloc(picture, b.width, b.height, source->limits, error));
    GC_TRY(read_masks(&b, &palette, error));
    GC_TRY(read_palette(&b, palette, error));
    GC_TRY(check_rows(&b, error));
    read_rows(&b, picture);
    return GRADCAM_OK;
}

const gc_decoder gc_decoder_bmp = {.name = "BMP", .probe = probe, .decode = decode};
