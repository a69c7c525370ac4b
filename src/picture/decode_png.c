/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PNG by libpng. 16-bit channels keep their high byte; transparency is blended over white by
 * libpng itself, without gamma, as Pillow's paste does.
 *
 * As in decode_jpeg.c, what is touched after setjmp lives in `session`.
 */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "picture/decode.h"

/* What a chunk beside the pixels, such as a compressed text, may unfold to in any file. */
enum { CHUNK_BYTES = 1 << 20 };

typedef struct session {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    size_t position;
    const gc_picture_source *source;
    gc_picture *picture;
    int *orientation;
    gradcam_error *error;
} session;

static void on_error(png_structp png, png_const_charp text)
{
    session *const s = png_get_error_ptr(png);
    gc_fail(s->error, GRADCAM_ERROR_PICTURE, "damaged PNG: %s", text);
    longjmp(s->jump, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png, (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t size)
{
    session *const s = png_get_io_ptr(png);
    if (size > s->source->size - s->position)
        png_error(png, "the file ends too early");
    memcpy(to, s->source->bytes + s->position, size);
    s->position += size;
}

static bool probe(const uint8_t *bytes, size_t size)
{
    return size >= 8 && png_sig_cmp(bytes, 0, 8) == 0;
}

/* libpng allocates what a chunk claims to hold before it reads, which may be gigabytes in a short
 * file: so chunks have to lie inside the file. */
static void check_chunks(session *s)
{
    enum { AROUND = 12 /* length, type, checksum */ };
    const uint8_t *const bytes = s->source->bytes;
    const size_t size = s->source->size;
    for (size_t at = 8; at + AROUND <= size;) {
        const size_t length = png_get_uint_32(bytes + at);
        if (length > size - at - AROUND)
            png_error(s->png, "the file ends too early");
        if (memcmp(bytes + at + 4, "IEND", 4) == 0)
            break;
        at += AROUND + length;
    }
}

/* Whatever the file holds becomes 8-bit RGB. */
static void ask_for_rgb(session *s)
{
    /* At 8 bits also for 16-bit files: libpng widens it, because they are to be stripped. */
    const png_color_16 white = {.red = 0xff, .green = 0xff, .blue = 0xff, .gray = 0xff};
    const bool has_alpha = (png_get_color_type(s->png, s->info) & PNG_COLOR_MASK_ALPHA) != 0 ||
                           png_get_valid(s->png, s->info, PNG_INFO_tRNS) != 0;
    png_set_expand(s->png);
    png_set_strip_16(s->png);
    png_set_gray_to_rgb(s->png);
    if (has_alpha)
        png_set_background_fixed(s->png, &white, PNG_BACKGROUND_GAMMA_SCREEN, 0, PNG_FP_1);
}

static void find_orientation(session *s)
{
    png_bytep exif = NULL;
    png_uint_32 size = 0;
    if (png_get_eXIf_1(s->png, s->info, &size, &exif) != 0)
        *s->orientation = gc_exif_orientation(exif, size);
}

static void read_rows(session *s)
{
    const size_t stride = 3 * (size_t)s->picture->width;
    const int passes = png_set_interlace_handling(s->png);
    png_read_update_info(s->png, s->info);
    if (png_get_rowbytes(s->png, s->info) != stride)
        png_error(s->png, "rows are of unexpected length");
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < s->picture->height; y++)
            png_read_row(s->png, s->picture->rgb + stride * (size_t)y, NULL);
}

/* The part that libpng may leave by a jump. */
static gradcam_status decode_guarded(session *s)
{
    if (setjmp(s->jump) != 0)
        return GRADCAM_ERROR_PICTURE;
    /* gc_picture_alloc checks the size, with our limits and our words. */
    png_set_user_limits(s->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    /* Compressed texts and profiles unfold to no more. */
    png_set_chunk_malloc_max(s->png, s->source->size < CHUNK_BYTES ? CHUNK_BYTES : s->source->size);
    png_set_read_fn(s->png, s, on_read);
    check_chunks(s);
    png_read_info(s->png, s->info);
    GC_TRY(gc_picture_alloc(s->picture, png_get_image_width(s->png, s->info),
                            png_get_image_height(s->png, s->info), s->source->limits, s->error));
    ask_for_rgb(s);
    read_rows(s);
    png_read_end(s->png, s->info);
    find_orientation(s);
    return GRADCAM_OK;
}

static gradcam_status decode(gc_picture *picture, int *orientation, const gc_picture_source *source,
                             gradcam_error *error)
{
    session s = {.source = source, .picture = picture, .orientation = orientation, .error = error};
    s.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
    if (s.png != NULL)
        s.info = png_create_info_struct(s.png);
    gradcam_status status = GRADCAM_OK;
    if (s.info == NULL)
        status = gc_fail(error, GRADCAM_ERROR_MEMORY, "libpng could not be started");
    else
        status = decode_guarded(&s);
    png_destroy_read_struct(&s.png, &s.info, NULL);
    return status;
}

const gc_decoder gc_decoder_png = {.name = "PNG", .probe = probe, .decode = decode};
