/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grad-CAM: each channel of the layer is weighted by the mean of its gradient,
 *   map = sum over c of mean(G_c) A_c.
 * Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
 * Localization", ICCV 2017, arXiv:1610.02391, equations 1 and 2.
 */
#include "cam/method.h"

#include <string.h>

static float mean(const float *values, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += values[i];
    return (float)(sum / (double)count);
}

static void map(const float *activation, const float *gradient, int64_t channels, int64_t positions,
                float *map)
{
    memset(map, 0, (size_t)positions * sizeof *map);
    for (int64_t c = 0; c < channels; c++) {
        const float weight = mean(gradient + c * positions, positions);
        const float *const a = activation + c * positions;
        for (int64_t i = 0; i < positions; i++)
            map[i] += weight * a[i];
    }
}

const gc_method gc_method_gradcam = {
    .name = "gradcam",
    .summary = "channels weighted by their mean gradient",
    .paper = "Selvaraju et al. 2017, arXiv:1610.02391",
    .map = map,
};
