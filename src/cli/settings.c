/* SPDX-License-Identifier: Apache-2.0 */
/* Options that several commands share. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "picture/preprocess.h"

/* Far beyond what memory allows; the library has limits of its own. */
enum { SIZE_LIMIT = 32768, THREAD_LIMIT = 1024, TOP_LIMIT = 1000000 };

void gc_settings_init(gc_settings *settings)
{
    *settings = (gc_settings){.top = 5, .npy_kind = GRADCAM_NPY_RAW};
    gradcam_model_options_init(&settings->model);
    gradcam_limits_init(&settings->limits);
    settings->model.limits = &settings->limits;
    gradcam_explainer_options_init(&settings->explainer);
    gradcam_render_options_init(&settings->render);
    gradcam_request_init(&settings->request);
}

void gc_settings_free(gc_settings *settings)
{
    gc_texts_free(&settings->arguments);
    gc_texts_free(&settings->classes);
    gc_texts_free(&settings->targets);
    gc_texts_free(&settings->methods);
    gc_texts_free(&settings->layers);
    gc_texts_free(&settings->inputs);
}

/* "NAME=FILE.npy"; the name of a tensor may hold a '=', so it ends at the last one. */
static gradcam_status set_input(const gc_option *option, const char *value, void *settings,
                                gradcam_error *error)
{
    const char *const sign = strrchr(value, '=');
    GC_FAIL_IF(sign == NULL || sign == value || sign[1] == '\0', error, GRADCAM_ERROR_ARGUMENT,
               "--%s: '%s' is not NAME=FILE.npy.", option->name, value);
    return gc_set_list(option, value, settings, error);
}

/* "4G": binary units. For uint64_t. */
static gradcam_status set_size_limit(const gc_option *option, const char *value, void *settings,
                                     gradcam_error *error)
{
    static const char units[] = "KMGT";
    char *end = NULL;
    errno = 0;
    const double number = strtod(value, &end);
    const char *const unit = *end != '\0' ? strchr(units, *end) : NULL;
    const double bytes = unit != NULL ? ldexp(number, 10 * (int)(unit - units + 1)) : number;
    const bool is_size = end != value && (*end == '\0' || (unit != NULL && end[1] == '\0'));
    GC_FAIL_IF(!is_size || !(bytes >= 1.0) || bytes > 0x1p62, error, GRADCAM_ERROR_ARGUMENT,
               "--%s: '%s' is not a size such as 500M or 4G (K, M, G, T: times 1024).",
               option->name, value);
    *(uint64_t *)((char *)settings + option->offset) = (uint64_t)bytes;
    return GRADCAM_OK;
}

/* For uint64_t. */
static gradcam_status set_count_limit(const gc_option *option, const char *value, void *settings,
                                      gradcam_error *error)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long count = strtoull(value, &end, 10);
    GC_FAIL_IF(value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 || count < 1 ||
                   (double)count > option->maximum,
               error, GRADCAM_ERROR_ARGUMENT, "--%s: '%s' is not a whole number from 1 to %.0f.",
               option->name, value, option->maximum);
    *(uint64_t *)((char *)settings + option->offset) = count;
    return GRADCAM_OK;
}

/* "224" or "320x240", width first. */
static gradcam_status set_size(const gc_option *option, const char *value, void *settings,
                               gradcam_error *error)
{
    gradcam_explainer_options *const explainer = &((gc_settings *)settings)->explainer;
    char width[16];
    const size_t length = strcspn(value, "x");
    const char *const height = value[length] == 'x' ? value + length + 1 : width;
    snprintf(width, sizeof width, "%.*s", (int)(length < sizeof width ? length : 0), value);
    if (!gc_parse_integer(width, 1, SIZE_LIMIT, &explainer->width) ||
        !gc_parse_integer(height, 1, SIZE_LIMIT, &explainer->height))
        return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                       "--%s: '%s' is not a size such as 224 or 320x240 (width x height, 1 to %d).",
                       option->name, value, SIZE_LIMIT);
    return GRADCAM_OK;
}

static gradcam_status set_crop(const gc_option *option, const char *value, void *settings,
                               gradcam_error *error)
{
    ((gc_settings *)settings)->explainer.fit = GRADCAM_FIT_CROP;
    return set_size(option, value, settings, error);
}

static const struct {
    const char *name;
    gradcam_fit fit;
} fits[] = {{"stretch", GRADCAM_FIT_STRETCH},
            {"crop", GRADCAM_FIT_CROP},
            {"letterbox", GRADCAM_FIT_LETTERBOX}};
enum { FIT_COUNT = sizeof fits / sizeof fits[0] };

static const char *fit_name(size_t index)
{
    return index < FIT_COUNT ? fits[index].name : NULL;
}

static gradcam_status set_resize(const gc_option *option, const char *value, void *settings,
                                 gradcam_error *error)
{
    gradcam_explainer_options *const explainer = &((gc_settings *)settings)->explainer;
    for (size_t i = 0; i < FIT_COUNT; i++)
        if (strcmp(value, fits[i].name) == 0) {
            explainer->fit = fits[i].fit;
            return GRADCAM_OK;
        }
    explainer->fit = GRADCAM_FIT_CROP;
    if (!gc_parse_integer(value, 1, SIZE_LIMIT, &explainer->resize_edge))
        return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                       "--%s: '%s' is not stretch, crop, letterbox or the length of the short edge "
                       "in pixels (1 to %d).",
                       option->name, value, SIZE_LIMIT);
    return GRADCAM_OK;
}

static gradcam_status set_preset(const gc_option *option, const char *value, void *settings,
                                 gradcam_error *error)
{
    gc_preprocessing preset;
    GC_TRY(gc_preprocessing_preset(&preset, value, error));
    return gc_set_text(option, value, settings, error);
}

/* One number for all channels, or one for each: "0.5" or "0.485,0.456,0.406". */
static gradcam_status parse_channels(const gc_option *option, const char *value, float *values,
                                     int *count, gradcam_error *error)
{
    *count = 0;
    for (const char *part = value; part != NULL && *count <= 4; (*count)++) {
        char number[32];
        const size_t length = strcspn(part, ",");
        snprintf(number, sizeof number, "%.*s", (int)(length < sizeof number ? length : 0), part);
        if (*count == 4 || !gc_parse_number(number, -1e6, 1e6, &values[*count]))
            return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                           "--%s: '%s' is not one to four numbers with commas between them, for "
                           "pixels in [0,1], such as 0.485,0.456,0.406.",
                           option->name, value);
        part = part[length] == ',' ? part + length + 1 : NULL;
    }
    return GRADCAM_OK;
}

static gradcam_status set_mean(const gc_option *option, const char *value, void *settings,
                               gradcam_error *error)
{
    gradcam_explainer_options *const explainer = &((gc_settings *)settings)->explainer;
    return parse_channels(option, value, explainer->mean, &explainer->mean_count, error);
}

static gradcam_status set_std(const gc_option *option, const char *value, void *settings,
                              gradcam_error *error)
{
    gradcam_explainer_options *const explainer = &((gc_settings *)settings)->explainer;
    GC_TRY(parse_channels(option, value, explainer->std, &explainer->std_count, error));
    for (int i = 0; i < explainer->std_count; i++)
        GC_FAIL_IF(explainer->std[i] == 0, error, GRADCAM_ERROR_ARGUMENT,
                   "--%s: '%s' holds a zero, and values are divided by it.", option->name, value);
    return GRADCAM_OK;
}

static gradcam_status set_fusion(const gc_option *option, const char *value, void *settings,
                                 gradcam_error *error)
{
    static const char *const names[] = {"none", "mean", "max", "product"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(value, names[i]) == 0) {
            ((gc_settings *)settings)->request.fusion = (gradcam_fusion)i;
            return GRADCAM_OK;
        }
    return gc_fail(error, GRADCAM_ERROR_ARGUMENT, "--%s: '%s' is not one of mean, max, product.",
                   option->name, value);
}

/* "augment", "eigen", "noise" or "noise=N". */
static gradcam_status set_smoothing(const gc_option *option, const char *value, void *settings,
                                    gradcam_error *error)
{
    enum { STANDARD_SAMPLES = 16, MOST_SAMPLES = 100000 };
    gradcam_request *const request = &((gc_settings *)settings)->request;
    if (strcmp(value, "augment") == 0)
        request->smooth_augment = 1;
    else if (strcmp(value, "eigen") == 0)
        request->smooth_eigen = 1;
    else if (strcmp(value, "noise") == 0)
        request->smooth_noise = STANDARD_SAMPLES;
    else if (strncmp(value, "noise=", 6) != 0 ||
             !gc_parse_integer(value + 6, 1, MOST_SAMPLES, &request->smooth_noise))
        return gc_fail(error, GRADCAM_ERROR_ARGUMENT,
                       "--%s: '%s' is not one of augment, eigen, noise, noise=N.", option->name,
                       value);
    return GRADCAM_OK;
}

static gradcam_status set_seed(const gc_option *option, const char *value, void *settings,
                               gradcam_error *error)
{
    char *end = NULL;
    errno = 0;
    ((gc_settings *)settings)->request.seed = strtoull(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || value[0] == '-')
        return gc_fail(error, GRADCAM_ERROR_ARGUMENT, "--%s: '%s' is not a whole number from 0 on.",
                       option->name, value);
    return GRADCAM_OK;
}

#define AT(member) .offset = offsetof(gc_settings, member)

static const gc_option method_rows[] = {
    {"method", 0, "METHOD", .set = gc_set_list, AT(methods),
     .help = "How to explain, perhaps with settings, such as gradcam++ or scorecam:channels=64; "
             "may be repeated; 'gradcam methods' lists them. Default: gradcam"},
    {"class", 0, "X", .set = gc_set_list, AT(classes),
     .help = "Class to explain: index, label or a part of one; may be repeated. Default: the "
             "predicted class"},
    {"target", 0, "TARGET", .set = gc_set_list, AT(targets),
     .help = "Something else to explain, such as prob:tabby, diff:cat,dog, top:3 or "
             "'boxes[0,12,4]'; may be repeated; 'gradcam targets' lists them"},
    {"at", 0, "X,Y", .set = gc_set_text, AT(at),
     .help = "For a network that makes a map of classes: explain the class predicted at this pixel "
             "of the picture, or the classes given, there"},
    {"counterfactual", 0, NULL, .set = gc_set_int_switch, AT(request.counterfactual),
     .help = "What speaks against the target: negated gradients"},
    {"fuse", 0, "HOW", .set = set_fusion,
     .help = "One map of several layers: mean, max or product (Refine-CAM)"},
    {"smooth", 0, "HOW", .set = set_smoothing,
     .help = "augment: mean over the mirrored picture and three contrasts; eigen: first principal "
             "component; noise or noise=N: mean over N noisy inputs (16); may be repeated"},
    {"sigma", 0, "S", .set = gc_set_number, AT(request.noise_sigma), .maximum = 10,
     .help = "Size of that noise as a share of the input's range; default 0.15"},
    {"seed", 0, "N", .set = set_seed, .help = "Of all random numbers; default 0"},
};

static const gc_option network_rows[] = {
    {"labels", 0, "FILE", .set = gc_set_text, AT(model.labels_path),
     .help = "Class names, one a line. Default: config.json beside the model, then its metadata"},
    {"input", 0, "NAME=FILE", .set = set_input, AT(inputs),
     .help = "A tensor (.npy) for an input that is not the picture; may be repeated"},
    {"picture-input", 0, "NAME", .set = gc_set_text, AT(explainer.picture_input),
     .help = "Input that the picture is fed to. Default: the first that looks like one"},
    {"head", 0, "NAME", .set = gc_set_text, AT(explainer.head),
     .help = "Output that is explained. Default: the first"},
    {"preset", 0, "NAME", .set = set_preset, AT(explainer.preset), .choice = gc_preprocessing_name,
     .help = "Preprocessing: torchvision, timm, tf, caffe, unit or raw. Default: "
             "preprocessor_config.json beside the model, then its metadata, then torchvision"},
    {"size", 0, "N|WxH", .set = set_size,
     .help = "Size of the network's input where the model leaves it free; default 224"},
    {"resize", 0, "HOW", .set = set_resize, .choice = fit_name,
     .help =
         "How a picture gets that size: stretch, crop (centre), letterbox (grey borders), or N: "
         "short edge to N pixels, then crop"},
    {"fit", 0, "HOW", .set = set_resize, .choice = fit_name, .help = "The same as --resize"},
    {"crop", 0, "N|WxH", .set = set_crop, .help = "The same as --size N --resize crop"},
    {"mean", 0, "A,B,C", .set = set_mean,
     .help = "Subtracted from pixels in [0,1]; one number or one a channel"},
    {"std", 0, "A,B,C", .set = set_std, .help = "Divides what --mean leaves"},
    {"threads", 0, "N", .set = gc_set_integer, AT(explainer.threads), .maximum = THREAD_LIMIT,
     .help = "Threads; default 0: one a core"},
    {"strict", 0, NULL, .set = gc_set_int_switch, AT(explainer.strict),
     .help = "Convolve directly only: no Winograd, which is faster and rounds more"},
    {"bfloat16", 0, NULL, .set = gc_set_int_switch, AT(explainer.bfloat16),
     .help = "Convolve in bfloat16, where the CPU has it: faster, but to 2 or 3 digits"},
};

static const gc_option limit_rows[] = {
    {"max-memory", 0, "SIZE", .set = set_size_limit, AT(model.max_memory),
     .help = "Most that weights, activations and gradients may take together, such as 500M or 4G; "
             "default: four fifths of the machine's memory"},
    {"max-pixels", 0, "N", .set = set_count_limit, AT(limits.picture_pixels), .maximum = 1e12,
     .help = "Most pixels of a picture; default 268435456"},
    {"max-picture", 0, "SIZE", .set = set_size_limit, AT(limits.picture_bytes),
     .help = "Largest picture file; default 1G"},
    {"max-model", 0, "SIZE", .set = set_size_limit, AT(limits.model_bytes),
     .help = "Largest model file, and file of external data; default 64G"},
    {"max-text", 0, "SIZE", .set = set_size_limit, AT(limits.text_bytes),
     .help = "Largest file of labels, and JSON file beside the model; default 64M"},
    {"max-array", 0, "SIZE", .set = set_size_limit, AT(limits.array_bytes),
     .help = "Largest .npy file; default 4G"},
    {"max-nodes", 0, "N", .set = set_count_limit, AT(limits.nodes), .maximum = 1e8,
     .help = "Most nodes of a model, with functions called and loops unrolled; default 1000000"},
    {"max-depth", 0, "N", .set = set_count_limit, AT(limits.depth), .maximum = 256,
     .help = "How deep functions may call functions and sub-graphs lie in sub-graphs; default 32"},
};

static const gc_option layer_rows[] = {
    {"layer", 0, "LAYER", .set = gc_set_list, AT(layers),
     .help =
         "Name, unique part of a name, or index as listed by 'gradcam layers'; a pattern with * "
         "and ?; or all, for all convolutions; may be repeated. Default: the last layer that "
         "still has a height and a width"},
    {"tokens", 0, "HxW+K", .set = gc_set_text, AT(explainer.tokens),
     .help = "Transformers: a grid of H x W tokens after K others (class token, ...). Default: "
             "found from the shapes"},
    {"after-activation", 0, NULL, .set = gc_set_int_switch, AT(explainer.after_activation),
     .help = "Differentiate after a final Softmax or Sigmoid, not before it"},
};

static const gc_option picture_rows[] = {
    {"input-npy", 0, "FILE", .set = gc_set_text, AT(input_npy),
     .help = "A ready input tensor (.npy, float32, N x C x H x W) instead of a picture; a picture "
             "may be given to show the map on"},
    {"top", 0, "N", .set = gc_set_integer, AT(top), .minimum = 1, .maximum = TOP_LIMIT,
     .help = "How many predictions to report; default 5"},
};

static const gc_option report_rows[] = {
    {"json", 0, "FILE", true, .set = gc_set_file, AT(json),
     .help = "Report as JSON, one object a line; without a name (or with -) to standard output "
             "instead of text"},
    {"quiet", 'q', NULL, .set = gc_set_switch, AT(quiet), .help = "No report, no progress bar"},
    {"verbose", 0, NULL, .set = gc_set_switch, AT(verbose),
     .help = "Report preprocessing and timings, too, and every picture in full"},
    {"help", 'h', NULL, .set = gc_set_switch, AT(help), .help = "Show this help"},
};

#define TABLE(title, rows)                                                                         \
    {                                                                                              \
        title, rows, sizeof rows / sizeof rows[0]                                                  \
    }

const gc_option_table gc_options_network = TABLE("Model and input", network_rows);
const gc_option_table gc_options_limits = TABLE("Limits for untrusted files", limit_rows);
const gc_option_table gc_options_layer = TABLE("Layer and score", layer_rows);
const gc_option_table gc_options_method = TABLE("Method and target", method_rows);
const gc_option_table gc_options_picture = TABLE("Pictures and predictions", picture_rows);
const gc_option_table gc_options_report = TABLE("Report", report_rows);
