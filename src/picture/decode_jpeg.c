/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JPEG by libjpeg with its defaults (slow integer DCT, smooth chroma upsampling), as Pillow and
 * OpenCV use it.
 *
 * libjpeg reports errors by a jump. Everything that is touched after setjmp lives in `session`, so
 * no local variable is clobbered and nothing is left behind.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "picture/decode.h"

/* A progressive file may have any number of scans, each of which costs a pass over the picture. */
enum { MAX_SCANS = 500 };

typedef struct session {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    const gc_picture_source *source;
    gc_picture *picture;
    int *orientation;
    gradcam_error *error;
    gradcam_status status; /* Of a jump. */
} session;

static void on_error(j_common_ptr info)
{
    session *const s = info->client_data;
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    if (info->err->msg_code == JERR_OUT_OF_MEMORY)
        s->status = gc_fail(s->error, GRADCAM_ERROR_MEMORY, "libjpeg: %s", text);
    else
        s->status = gc_fail(s->error, GRADCAM_ERROR_PICTURE, "damaged JPEG: %s", text);
    longjmp(s->jump, 1);
}

/* libjpeg goes on with grey where data are missing; here that is an error. Harmless oddities, such
 * as stray bytes before a marker, are let pass. */
static void on_message(j_common_ptr info, int level)
{
    if (level >= 0)
        return;
    switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        on_error(info);
        break;
    default:
        break;
    }
}

static void on_output(j_common_ptr info)
{
    (void)info;
}

static void on_progress(j_common_ptr info)
{
    session *const s = info->client_data;
    if (s->info.input_scan_number <= MAX_SCANS)
        return;
    s->status = gc_fail(s->error, GRADCAM_ERROR_LIMIT, "JPEG with more than the limit of %d scans",
                        (int)MAX_SCANS);
    longjmp(s->jump, 1);
}

static bool probe(const uint8_t *bytes, size_t size)
{
    return size >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

static int find_orientation(const struct jpeg_decompress_struct *info)
{
    for (jpeg_saved_marker_ptr m = info->marker_list; m != NULL; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > 6 && memcmp(m->data, "Exif\0", 6) == 0)
            return gc_exif_orientation(m->data, m->data_length);
    return 1;
}

/* Reads one row of inverted CMYK and leaves it as RGB. */
static void read_cmyk_row(session *s, JSAMPARRAY cmyk, uint8_t *rgb)
{
    jpeg_read_scanlines(&s->info, cmyk, 1);
    const uint8_t *from = cmyk[0];
    for (int x = 0; x < s->picture->width; x++, from += 4, rgb += 3)
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)((from[c] * from[3] + 127) / 255);
}

static void read_rows(session *s)
{
    const bool is_cmyk = s->info.out_color_space == JCS_CMYK;
    JSAMPARRAY cmyk = NULL;
    if (is_cmyk) /* belongs to libjpeg's pool */
        cmyk = s->info.mem->alloc_sarray((j_common_ptr)&s->info, JPOOL_IMAGE,
                                         4 * s->info.output_width, 1);
    while (s->info.output_scanline < s->info.output_height) {
        uint8_t *row = s->picture->rgb + 3 * (size_t)s->picture->width * s->info.output_scanline;
        if (is_cmyk)
            read_cmyk_row(s, cmyk, row);
        else
            jpeg_read_scanlines(&s->info, &row, 1);
    }
}

/* The part that libjpeg may leave by a jump. */
static gradcam_status decode_guarded(session *s)
{
    struct jpeg_decompress_struct *const info = &s->info;
    if (setjmp(s->jump) != 0)
        return s->status;
    jpeg_create_decompress(info);
    info->client_data = s;
    info->progress = &s->progress;
    jpeg_mem_src(info, (unsigned char *)s->source->bytes, (unsigned long)s->source->size);
    jpeg_save_markers(info, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(info, TRUE);
    GC_TRY(gc_picture_alloc(s->picture, info->image_width, info->image_height, s->source->limits,
                            s->error));
    *s->orientation = find_orientation(info);
    info->out_color_space = info->num_components == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(info);
    read_rows(s);
    jpeg_finish_decompress(info);
    return GRADCAM_OK;
}

static gradcam_status decode(gc_picture *picture, int *orientation, const gc_picture_source *source,
                             gradcam_error *error)
{
    session s = {.source = source, .picture = picture, .orientation = orientation, .error = error};
    s.info.err = jpeg_std_error(&s.errors);
    s.info.client_data = &s;
    s.errors.error_exit = on_error;
    s.errors.emit_message = on_message;
    s.errors.output_message = on_output;
    s.progress.progress_monitor = on_progress;
    const gradcam_status status = decode_guarded(&s);
    jpeg_destroy_decompress(&s.info);
    return status;
}

const gc_decoder gc_decoder_jpeg = {.name = "JPEG", .probe = probe, .decode = decode};
