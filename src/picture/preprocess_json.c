/* SPDX-License-Identifier: Apache-2.0 */
/* preprocessor_config.json of the Hugging Face hub, in the spellings of its several generations. */
#include <math.h>

#include "picture/json.h"
#include "picture/preprocess.h"

enum { MAX_EDGE = 65536 };

/* `edge` where the file gives one number or a shortest edge, else width and height; all 0: absent.
 */
typedef struct size {
    int edge, width, height;
    bool is_shortest_edge; /* Named so: never a square. */
} size;

static gradcam_status read_bool(const cJSON *root, const char *name, bool *value,
                                gradcam_error *error)
{
    const cJSON *const member = gc_json_member(root, name);
    if (member == NULL)
        return GRADCAM_OK;
    if (!cJSON_IsBool(member))
        return gc_json_fail(member, "true or false", error);
    *value = cJSON_IsTrue(member);
    return GRADCAM_OK;
}

static gradcam_status read_float(const cJSON *root, const char *name, float *value,
                                 gradcam_error *error)
{
    const cJSON *const member = gc_json_member(root, name);
    if (member == NULL)
        return GRADCAM_OK;
    if (!cJSON_IsNumber(member) || !isfinite((float)member->valuedouble))
        return gc_json_fail(member, "a finite number", error);
    *value = (float)member->valuedouble;
    return GRADCAM_OK;
}

static gradcam_status edge_of(const cJSON *item, int *edge, gradcam_error *error)
{
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble) ||
        item->valuedouble < 1 || item->valuedouble > MAX_EDGE)
        return gc_json_fail(item, "a whole number of pixels from 1 to 65536", error);
    *edge = (int)item->valuedouble;
    return GRADCAM_OK;
}

static gradcam_status read_size(const cJSON *root, const char *name, size *s, gradcam_error *error)
{
    const cJSON *const member = gc_json_member(root, name);
    if (member == NULL)
        return GRADCAM_OK;
    if (!cJSON_IsObject(member))
        return edge_of(member, &s->edge, error);
    const cJSON *const shortest = gc_json_member(member, "shortest_edge");
    const cJSON *const width = gc_json_member(member, "width");
    const cJSON *const height = gc_json_member(member, "height");
    s->is_shortest_edge = shortest != NULL;
    if (shortest != NULL)
        return edge_of(shortest, &s->edge, error);
    if (width == NULL || height == NULL)
        return gc_json_fail(member, "a number, {\"height\", \"width\"} or {\"shortest_edge\"}",
                            error);
    GC_TRY(edge_of(width, &s->width, error));
    return edge_of(height, &s->height, error);
}

static bool is_given(const size *s)
{
    return s->edge != 0 || s->width != 0;
}

static int width_of(const size *s)
{
    return s->edge != 0 ? s->edge : s->width;
}

static int height_of(const size *s)
{
    return s->edge != 0 ? s->edge : s->height;
}

static void set_crop(gc_preprocessing *p, const size *resized, const size *crop)
{
    p->width = width_of(crop);
    p->height = height_of(crop);
    if (!is_given(resized))
        return;
    p->fit = GRADCAM_FIT_CROP;
    p->resize_edge = resized->edge;
    p->resize_width = resized->width;
    p->resize_height = resized->height;
}

/* ConvNeXt's rule: below 384 pixels the picture is resized to edge / crop_pct and cropped. */
static gradcam_status set_crop_share(gc_preprocessing *p, const size *s, float share,
                                     gradcam_error *error)
{
    GC_FAIL_IF(!(share >= 0.01f && share <= 1.0f), error, GRADCAM_ERROR_FILE,
               "member 'crop_pct' is %g, expected a share from 0.01 to 1", (double)share);
    p->width = p->height = s->edge;
    if (s->edge >= 384)
        return GRADCAM_OK;
    p->fit = GRADCAM_FIT_CROP;
    /* The share is a float here and a double in Python: the nudge keeps 224 / 0.7 at 320. */
    p->resize_edge = (int)(s->edge / (double)share * (1.0 + 1e-6));
    return GRADCAM_OK;
}

static gradcam_status read_geometry(const cJSON *root, gc_preprocessing *p, gradcam_error *error)
{
    size resized = {0}, crop = {0};
    float share = 0.0f;
    GC_TRY(read_size(root, "size", &resized, error));
    GC_TRY(read_size(root, "crop_size", &crop, error));
    GC_TRY(read_float(root, "crop_pct", &share, error));
    bool resizes = true, crops = is_given(&crop);
    GC_TRY(read_bool(root, "do_resize", &resizes, error));
    GC_TRY(read_bool(root, "do_center_crop", &crops, error));
    if (share != 0.0f && resized.edge != 0)
        return set_crop_share(p, &resized, share, error);
    if (crops || resized.is_shortest_edge) {
        set_crop(p, resizes ? &resized : &(size){0}, is_given(&crop) && crops ? &crop : &resized);
        return GRADCAM_OK;
    }
    p->width = width_of(&resized);
    p->height = height_of(&resized);
    return GRADCAM_OK;
}

/* Fills values[0..2]; *count is 1 or 3, or stays where the member is missing. */
static gradcam_status read_floats(const cJSON *root, const char *name, float *values, int *count,
                                  gradcam_error *error)
{
    const cJSON *const member = gc_json_member(root, name);
    if (member == NULL || cJSON_IsNumber(member)) {
        *count = member == NULL ? *count : 1;
        return read_float(root, name, values, error);
    }
    const int length = cJSON_IsArray(member) ? cJSON_GetArraySize(member) : 0;
    if (length != 1 && length != 3)
        return gc_json_fail(member, "an array of 1 or 3 numbers", error);
    int i = 0;
    for (const cJSON *item = member->child; item != NULL; item = item->next, i++) {
        if (!cJSON_IsNumber(item) || !isfinite((float)item->valuedouble))
            return gc_json_fail(member, "an array of finite numbers", error);
        values[i] = (float)item->valuedouble;
    }
    *count = length;
    return GRADCAM_OK;
}

static gradcam_status set_normalisation(const cJSON *root, gc_preprocessing *p,
                                        gradcam_error *error)
{
    int means = 0, stds = 0;
    GC_TRY(read_floats(root, "image_mean", p->mean, &means, error));
    GC_TRY(read_floats(root, "image_std", p->std, &stds, error));
    GC_FAIL_IF(means != stds, error, GRADCAM_ERROR_FILE,
               "'image_mean' has %d values but 'image_std' has %d", means, stds);
    for (int c = 0; c < stds; c++)
        GC_FAIL_IF(p->std[c] == 0.0f, error, GRADCAM_ERROR_FILE, "a value of 'image_std' is 0");
    p->channels = 3;
    for (int c = 1; means == 1 && c < 3; c++) {
        p->mean[c] = p->mean[0];
        p->std[c] = p->std[0];
    }
    return GRADCAM_OK;
}

static gradcam_status read_levels(const cJSON *root, gc_preprocessing *p, gradcam_error *error)
{
    bool rescales = true, has_offset = false, normalises = true;
    GC_TRY(read_bool(root, "do_rescale", &rescales, error));
    GC_TRY(read_bool(root, "rescale_offset", &has_offset, error));
    GC_TRY(read_bool(root, "do_normalize", &normalises, error));
    GC_TRY(read_bool(root, "do_flip_channel_order", &p->bgr, error));
    GC_TRY(read_float(root, "rescale_factor", &p->scale, error));
    if (!rescales)
        p->scale = 1.0f;
    if (normalises)
        GC_TRY(set_normalisation(root, p, error));
    /* rescale_offset subtracts 1 after scaling, that is before the mean. */
    for (int c = 0; rescales && has_offset && c < 3; c++)
        p->mean[c] += 1.0f;
    return GRADCAM_OK;
}

static gradcam_status read_filter(const cJSON *root, gc_preprocessing *p, gradcam_error *error)
{
    const cJSON *const member = gc_json_member(root, "resample");
    if (member == NULL)
        return GRADCAM_OK;
    if (!cJSON_IsNumber(member) || member->valuedouble != floor(member->valuedouble) ||
        member->valuedouble < 0 || member->valuedouble >= GC_FILTER_COUNT)
        return gc_json_fail(member, "one of Pillow's filters, 0 to 5", error);
    p->filter = (gc_filter)member->valuedouble;
    return GRADCAM_OK;
}

gradcam_status gc_preprocessing_from_json(gc_preprocessing *preprocessing, const char *text,
                                          size_t length, gradcam_error *error)
{
    cJSON *root = NULL;
    gc_preprocessing p;
    GC_TRY(gc_preprocessing_preset(&p, "unit", error));
    GC_TRY(gc_json_parse(&root, text, length, error));
    gradcam_status status = read_geometry(root, &p, error);
    if (status == GRADCAM_OK)
        status = read_levels(root, &p, error);
    if (status == GRADCAM_OK)
        status = read_filter(root, &p, error);
    cJSON_Delete(root);
    if (status == GRADCAM_OK)
        *preprocessing = p;
    return status;
}
