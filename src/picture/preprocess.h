/* SPDX-License-Identifier: Apache-2.0 */
/* From a picture to the network's input tensor: resize, crop, scale, normalise. */
#ifndef GC_PICTURE_PREPROCESS_H
#define GC_PICTURE_PREPROCESS_H

#include <stdbool.h>

#include "picture/picture.h"
#include "picture/resize.h"
#include "picture/view.h"

/** What is fed is (level * scale - mean[c]) / std[c], c counting channels in the order fed. */
typedef struct gc_preprocessing {
    gradcam_fit fit;                 /**< STRETCH, CROP or LETTERBOX. */
    int resize_edge;                 /**< See gc_view_make; 0: 256/224 of the input. */
    int resize_width, resize_height; /**< CROP: resize to exactly this instead, if not 0. */
    int width, height;               /**< Input size that the source suggests; 0: none. */
    gc_filter filter;
    float scale;  /**< 1/255 or 1, usually. */
    bool bgr;     /**< Fed in the order blue, green, red. */
    int channels; /**< 3, or 1: grey (ITU-R 601-2 luma, after resizing). */
    float mean[4], std[4];
} gc_preprocessing;

/**
 * Looks a preset up: "torchvision", "timm", "tf", "caffe", "unit", "raw". All have 3 channels.
 *
 * @return GRADCAM_OK; GRADCAM_ERROR_ARGUMENT listing the names.
 */
gradcam_status gc_preprocessing_preset(gc_preprocessing *preprocessing, const char *name,
                                       gradcam_error *error);

/** The names of the presets by index, the default first; NULL past the last. */
const char *gc_preprocessing_name(size_t index);

/**
 * Adapts mean and std to a network of `channels` channels: for 1, the average of the three means
 * and of the three stds; from 1 to 3, the one value thrice.
 *
 * @return GRADCAM_OK; GRADCAM_ERROR_SHAPE for channels other than 1 and 3.
 */
gradcam_status gc_preprocessing_set_channels(gc_preprocessing *preprocessing, int channels,
                                             gradcam_error *error);

/**
 * Reads a preprocessor_config.json of the Hugging Face hub.
 *
 * Understood: do_resize, size (number, {height, width} or {shortest_edge}), do_center_crop,
 * crop_size, crop_pct, resample, do_rescale, rescale_factor, rescale_offset, do_normalize,
 * image_mean, image_std, do_flip_channel_order. Other members are ignored.
 *
 * @return GRADCAM_OK; GRADCAM_ERROR_FILE saying which member was wrong and what was found;
 *         _MEMORY.
 */
gradcam_status gc_preprocessing_from_json(gc_preprocessing *preprocessing, const char *text,
                                          size_t length, gradcam_error *error);

/** The view that gc_preprocess would use. Errors as gc_view_make. */
gradcam_status gc_preprocessing_view(const gc_preprocessing *preprocessing, int picture_width,
                                     int picture_height, int width, int height, gc_view *view,
                                     gradcam_error *error);

/**
 * Makes the input tensor of a picture.
 *
 * @param nchw receives channels x height x width floats.
 * @param view receives the mapping back to the picture; may be NULL.
 * @return GRADCAM_OK; GRADCAM_ERROR_ARGUMENT (std 0 or not finite), _SHAPE (channels), _LIMIT,
 *         _MEMORY.
 */
gradcam_status gc_preprocess(const gc_picture *picture, const gc_preprocessing *preprocessing,
                             int width, int height, float *nchw, gc_view *view,
                             gradcam_error *error);

#endif
