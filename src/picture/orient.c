/* SPDX-License-Identifier: Apache-2.0 */
/* EXIF orientation: where it is found, and the eight ways to turn a picture. */
#include <libexif/exif-data.h>
#include <string.h>

#include "base/memory.h"
#include "picture/picture.h"

/* Result pixel (x, y) comes from source pixel (x, y), swapped first, mirrored then. */
typedef struct turn {
    int swap, mirror_x, mirror_y;
} turn;

static const turn turns[9] = {
    [2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1}, [5] = {1, 0, 0},
    [6] = {1, 0, 1}, [7] = {1, 1, 1}, [8] = {1, 1, 0},
};

/* Square tiles, because a quarter turn reads columns. */
enum { TILE = 32 };

static void turn_tile(const gc_picture *from, const gc_picture *to, turn t, int left, int top)
{
    const int right = left + TILE < to->width ? left + TILE : to->width;
    const int bottom = top + TILE < to->height ? top + TILE : to->height;
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++) {
            int u = t.swap ? y : x, v = t.swap ? x : y;
            u = t.mirror_x ? from->width - 1 - u : u;
            v = t.mirror_y ? from->height - 1 - v : v;
            memcpy(to->rgb + 3 * ((size_t)y * to->width + x),
                   from->rgb + 3 * ((size_t)v * from->width + u), 3);
        }
}

gradcam_status gc_picture_orient(gc_picture *picture, int orientation, gradcam_error *error)
{
    if (orientation < 2 || orientation > 8)
        return GRADCAM_OK;
    const turn t = turns[orientation];
    gc_picture turned = {.width = t.swap ? picture->height : picture->width,
                         .height = t.swap ? picture->width : picture->height};
    GC_TRY(gc_new_raw(&turned.rgb, (size_t)turned.width * turned.height, 3, error));
    for (int top = 0; top < turned.height; top += TILE)
        for (int left = 0; left < turned.width; left += TILE)
            turn_tile(picture, &turned, t, left, top);
    gc_picture_free(picture);
    *picture = turned;
    return GRADCAM_OK;
}

static int read_orientation(const uint8_t *block, size_t size)
{
    ExifData *const data = exif_data_new();
    if (data == NULL)
        return 1;
    /* Otherwise libexif "corrects" what it reads. */
    exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
    exif_data_load_data(data, block, (unsigned)size);
    const ExifEntry *const entry =
        exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    int orientation = 1;
    if (entry != NULL && entry->format == EXIF_FORMAT_SHORT && entry->size >= 2)
        orientation = exif_get_short(entry->data, exif_data_get_byte_order(data));
    exif_data_unref(data);
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

int gc_exif_orientation(const uint8_t *exif, size_t size)
{
    static const char mark[6] = "Exif\0";
    if (exif == NULL || size < 8 || size > (1u << 30))
        return 1;
    if (memcmp(exif, mark, sizeof mark) == 0)
        return read_orientation(exif, size);
    /* PNG and WebP store the bare block; libexif wants the mark of JPEG's in front. */
    uint8_t *marked = NULL;
    if (gc_new_raw(&marked, size + sizeof mark, 1, NULL) != GRADCAM_OK)
        return 1;
    memcpy(marked, mark, sizeof mark);
    memcpy(marked + sizeof mark, exif, size);
    const int orientation = read_orientation(marked, size + sizeof mark);
    gc_free(marked);
    return orientation;
}
