/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guided Grad-CAM: guided backpropagation times Grad-CAM, so that the detail of the one is about
 * the class of the other. Selvaraju et al. 2017, arXiv:1610.02391, section 3.2. Grad-CAM's positive
 * part is upsampled bilinearly.
 */
#include "cam/method.h"

#include "cam/resample.h"

/* The positive part of Grad-CAM at the input's size. Its features are read before the guided
 * gradients take their place. */
static gradcam_status make_gradcam(gc_case *c, float *native, float *full, gradcam_error *error)
{
    const gradcam_features *const f = &c->features;
    gc_case plain = *c;
    plain.method = gc_method_find("gradcam");
    GC_TRY(gc_method_run(&plain, native, error));
    for (int64_t i = 0; i < f->positions; i++)
        native[i] = native[i] < 0.0f ? 0.0f : native[i];
    return gc_resample_map(native, f->width, f->height, full, c->input.width, c->input.height,
                           error);
}

static gradcam_status multiply(gc_case *c, const float *full, float *out, gradcam_error *error)
{
    const float *gradient = NULL;
    GC_TRY(gc_case_input_gradient(c, true, &gradient, error));
    gc_sum_channels(c, gradient, out);
    for (int64_t i = 0; i < gc_input_pixels(c); i++)
        out[i] *= full[i];
    return GRADCAM_OK;
}

static gradcam_status map(gc_case *c, float *out, gradcam_error *error)
{
    float *native = NULL, *full = NULL;
    gradcam_status status = gc_new(&native, (size_t)c->features.positions, sizeof *native, error);
    if (status == GRADCAM_OK)
        status = gc_new(&full, (size_t)gc_input_pixels(c), sizeof *full, error);
    if (status == GRADCAM_OK)
        status = make_gradcam(c, native, full, error);
    if (status == GRADCAM_OK)
        status = multiply(c, full, out, error);
    gc_free(native);
    gc_free(full);
    return status;
}

const gc_method gc_method_guidedgradcam = {
    .info = {.name = "guidedgradcam",
             .summary = "guided backpropagation times upsampled Grad-CAM",
             .formula = "(sum_c guided ds/dx) upsampled relu(Grad-CAM)",
             .paper = "Selvaraju et al. 2017, arXiv:1610.02391",
             .cost = "1 forward, 2 backward",
             .needs = "gradients"},
    .uses = GC_IS_PIXELWISE | GC_USES_GUIDED | GC_USES_GRADIENT,
    .map = map,
};
