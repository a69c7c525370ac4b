/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a map: its range, its state, its hottest pixel. */
#include <math.h>

#include "api/objects.h"

static gradcam_map_state state_of(float minimum, float maximum)
{
    const float size = fmaxf(fabsf(minimum), fabsf(maximum));
    if (maximum - minimum <= 1e-6f * size)
        return GRADCAM_MAP_FLAT;
    return maximum <= 0.0f ? GRADCAM_MAP_NON_POSITIVE : GRADCAM_MAP_OK;
}

static void measure(gradcam_map *map)
{
    const int64_t count = gc_map_count(map);
    bool is_finite = true;
    map->minimum = map->maximum = map->raw[0];
    for (int64_t i = 0; i < count; i++) {
        is_finite = is_finite && isfinite(map->raw[i]);
        map->minimum = fminf(map->minimum, map->raw[i]);
        map->maximum = fmaxf(map->maximum, map->raw[i]);
    }
    map->state = is_finite ? state_of(map->minimum, map->maximum) : GRADCAM_MAP_NOT_FINITE;
}

static int clamp_pixel(double position, int extent)
{
    return position < 0.0 ? 0 : position >= extent ? extent - 1 : (int)position;
}

/* Where the hottest cell of the map lies: for pictures so narrow that the network saw less than the
 * centre of a pixel. */
static void peak_of_cell(const gradcam_explanation *x, gradcam_map *map)
{
    int64_t best = 0;
    double px = 0.0, py = 0.0;
    for (int64_t i = 1; i < gc_map_count(map); i++)
        if (map->raw[i] > map->raw[best])
            best = i;
    const int64_t column = best % map->width, row = best / map->width % map->height;
    gc_view_to_picture(&x->view, ((double)column + 0.5) * x->view.input_width / map->width,
                       ((double)row + 0.5) * x->view.input_height / map->height, &px, &py);
    map->peak_x = clamp_pixel(px, x->picture.width);
    map->peak_y = clamp_pixel(py, x->picture.height);
}

static gradcam_status find_peak(const gradcam_explanation *x, gradcam_map *map,
                                gradcam_error *error)
{
    float *values = NULL, value = 0.0f;
    map->peak_x = map->peak_y = -1;
    if (map->state != GRADCAM_MAP_OK)
        return GRADCAM_OK;
    GC_TRY(gc_new(&values, (size_t)gc_map_count(map), sizeof *values, error));
    gc_normalise_map(map, NULL, values);
    gc_project_slices(map, values);
    const gradcam_status status = gc_view_peak(&x->view, values, map->width, map->height,
                                               &map->peak_x, &map->peak_y, &value, error);
    gc_free(values);
    if (status == GRADCAM_OK && value <= 0.0f)
        peak_of_cell(x, map);
    return status;
}

gradcam_status gc_measure_map(const gradcam_explanation *x, gradcam_map *map, gradcam_error *error)
{
    measure(map);
    return find_peak(x, map, error);
}
