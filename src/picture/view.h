/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The view: the invertible mapping between the pixels of a picture and those of the network's
 * input.
 *
 * Coordinates are continuous: pixel i covers [i, i + 1), its centre is i + 0.5. Per axis
 *     input = picture * scale + offset,  scale = resized / picture extent.
 *
 *   STRETCH    resized = input, offset 0.
 *   CROP       the short edge becomes resize_edge, the long one is truncated, as torchvision does;
 *              the centre is cut out (offset round-half-even of half the surplus). Where the input
 *              is larger than the resized picture, the rest is black.
 *   LETTERBOX  the picture fits inside the input with its aspect ratio; extents and offsets as in
 *              Ultralytics' LetterBox, an odd pixel goes to the right and bottom; the rest is grey
 *              114.
 */
#ifndef GC_PICTURE_VIEW_H
#define GC_PICTURE_VIEW_H

#include "base/error.h"

typedef struct gc_view {
    int picture_width, picture_height;
    int input_width, input_height;
    int resized_width, resized_height; /**< The whole picture in input pixels. */
    int offset_x, offset_y; /**< Its top left corner in the input; negative where it is cropped. */
    uint8_t fill;           /**< Level of input pixels that show no part of the picture. */
} gc_view;

/**
 * @param fit GRADCAM_FIT_AUTO counts as STRETCH.
 * @param resize_edge for CROP; 0: 256/224 of the input's short edge, rounded down.
 * @return GRADCAM_OK; GRADCAM_ERROR_ARGUMENT (an extent below 1), _LIMIT (the resized picture would
 *         have an edge over 2^30 pixels).
 */
gradcam_status gc_view_make(gc_view *view, gradcam_fit fit, int resize_edge, int picture_width,
                            int picture_height, int input_width, int input_height,
                            gradcam_error *error);

/** Resizes to exactly resized_width x resized_height, then crops the centre. */
gradcam_status gc_view_make_resized(gc_view *view, int resized_width, int resized_height,
                                    int picture_width, int picture_height, int input_width,
                                    int input_height, gradcam_error *error);

/** Maps a point; input and output may be outside of the other's pixels. */
void gc_view_to_input(const gc_view *view, double x, double y, double *input_x, double *input_y);
void gc_view_to_picture(const gc_view *view, double x, double y, double *picture_x,
                        double *picture_y);

/**
 * Brings a map that tiles the network's input evenly to the picture's own pixels, bilinearly. For
 * STRETCH this equals OpenCV's resize with INTER_LINEAR of the map to the picture's size.
 *
 * @param map map_height x map_width.
 * @param out picture_height x picture_width; 0 where the network saw nothing.
 * @param seen NULL, or picture_height x picture_width: 1 where the centre of the pixel lies inside
 *        the network's input, else 0.
 */
gradcam_status gc_view_map_to_picture(const gc_view *view, const float *map, int map_width,
                                      int map_height, float *out, uint8_t *seen,
                                      gradcam_error *error);

/** The first pixel in reading order where gc_view_map_to_picture gives the greatest value, and that
 *  value; pixels that the network did not see count as 0. */
gradcam_status gc_view_peak(const gc_view *view, const float *map, int map_width, int map_height,
                            int *x, int *y, float *value, gradcam_error *error);

#endif
