/* SPDX-License-Identifier: Apache-2.0 */
/**
 * gradcam: why an image network said what it said.
 *
 * Loads an ONNX model, runs it on a picture, and returns maps of what a score depends on, in the
 * picture's own geometry: Grad-CAM (Selvaraju et al., 2017, arXiv:1610.02391) and its family, see
 * gradcam_method_at, for class scores and others, see gradcam_target_at.
 *
 * In ten lines:
 *
 *     gradcam_error e;
 *     gradcam_model *model = NULL;
 *     gradcam_explainer *explainer = NULL;
 *     gradcam_explanation *x = NULL;
 *     if (gradcam_model_load(&model, "model.onnx", NULL, &e) != GRADCAM_OK ||
 *         gradcam_explainer_create(&explainer, model, NULL, &e) != GRADCAM_OK ||
 *         gradcam_explain_file(explainer, "cat.jpg", NULL, 0, &x, &e) != GRADCAM_OK ||
 *         gradcam_explanation_save(x, 0, GRADCAM_IMAGE_OVERLAY, NULL, "cat.png", &e) != GRADCAM_OK)
 *         fprintf(stderr, "%s\n", e.message);
 *     gradcam_explanation_destroy(&x);
 *     gradcam_explainer_destroy(&explainer);
 *     gradcam_model_destroy(&model);
 *
 * Conventions that hold for every function:
 *  - Results come through the first pointer argument or a named out argument; the return value is
 *    only a status. On failure the out pointer is set to NULL and nothing has to be freed.
 *  - `error` may be NULL. Otherwise it is filled on failure and left alone on success.
 *  - destroy functions accept NULL and pointers to NULL, and set the pointer to NULL.
 *  - Strings and arrays in returned structs belong to the object they came from and live as long.
 *  - Strings are UTF-8. Pixels are RGB, 8 bits a channel, rows from the top, no padding.
 *
 * Threads: a model is immutable once loaded and may be shared; an explainer and its explanations
 * belong to one thread at a time, which may be another one at each call. There is no global state.
 * An explainer keeps its model alive: the model may be destroyed first, from whatever thread.
 * Loading, preparing and explaining use OpenMP, from threads of any pool: `threads` of the
 * explainer where that is not 0, else as many as OpenMP gives the calling thread; one inside a
 * parallel region. GNU's OpenMP does not follow a fork: a child of a process that has called
 * gradcam hangs in its first call unless it runs exec. While calls last, these threads round to
 * nearest and take denormals for 0 (on x86; functions of the caller's that are called find it so);
 * on return each has the state that it had.
 */
#ifndef GRADCAM_H
#define GRADCAM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define GRADCAM_API __attribute__((visibility("default")))
#else
#define GRADCAM_API
#endif

/* ---- Version ------------------------------------------------------------------------------- */

#define GRADCAM_VERSION_MAJOR 0
#define GRADCAM_VERSION_MINOR 1
#define GRADCAM_VERSION_PATCH 0

/** The version of the library at run time, as "major.minor.patch". */
GRADCAM_API const char *gradcam_version(void);

/**
 * What this build of the library consists of, for logs and reports of problems: lines such as
 * "compute  oneDNN 3.7.1, threads by OpenMP, AVX2". The lines may change from version to version.
 *
 * @param text receives the text, cut off where `size` bytes do not hold it, always terminated; may
 *        be NULL with `size` 0.
 * @return the length of the whole text, as snprintf does.
 */
GRADCAM_API size_t gradcam_build_info(char *text, size_t size);

/* ---- Status and error ---------------------------------------------------------------------- */

/** Each row: enumerator, value (also the exit code of the command-line tool), meaning. */
#define GRADCAM_STATUS_MAP(X)                                                                      \
    X(GRADCAM_OK, 0, "success")                                                                    \
    X(GRADCAM_ERROR_ARGUMENT, 2, "invalid argument or option")                                     \
    X(GRADCAM_ERROR_FILE, 3, "a file cannot be opened, read or written")                           \
    X(GRADCAM_ERROR_MODEL, 4, "not an ONNX model, or a malformed one")                             \
    X(GRADCAM_ERROR_UNSUPPORTED, 5, "the model uses something that is not supported")              \
    X(GRADCAM_ERROR_PICTURE, 6, "not a picture, or one that cannot be decoded")                    \
    X(GRADCAM_ERROR_SHAPE, 7, "shapes do not fit")                                                 \
    X(GRADCAM_ERROR_LAYER, 8, "the target layer is unknown, ambiguous or of no use")               \
    X(GRADCAM_ERROR_CLASS, 9, "the class is unknown or out of range")                              \
    X(GRADCAM_ERROR_NUMERIC, 10, "NaN or infinity where a number was expected")                    \
    X(GRADCAM_ERROR_MEMORY, 11, "out of memory")                                                   \
    X(GRADCAM_ERROR_LIMIT, 12, "a safety limit was exceeded")                                      \
    X(GRADCAM_ERROR_INTERNAL, 13, "a bug in gradcam or in a library it uses")

typedef enum gradcam_status {
#define GRADCAM_STATUS_ENUM(name, value, text) name = value,
    GRADCAM_STATUS_MAP(GRADCAM_STATUS_ENUM)
#undef GRADCAM_STATUS_ENUM
} gradcam_status;

/** What went wrong: which file, node or option, what was found, what was expected, the way out. */
typedef struct gradcam_error {
    gradcam_status status;
    char message[2044]; /**< One line or several, without a final newline; always terminated. */
} gradcam_error;

/** The meaning of a status, e.g. "out of memory". Never NULL. */
GRADCAM_API const char *gradcam_status_text(gradcam_status status);

/* ---- Model --------------------------------------------------------------------------------- */

typedef struct gradcam_model gradcam_model;

/** What files may ask for. They may come from anyone: a small file can unfold to more than a
 * machine holds. 0 stands for the default, which no honest file comes near. Above a limit:
 *  GRADCAM_ERROR_LIMIT with what was found, and the limit. */
typedef struct gradcam_limits {
    uint64_t picture_pixels; /**< Width times height; 268,435,456. */
    uint64_t picture_bytes;  /**< Of a picture file; 1 GiB. */
    uint64_t model_bytes;    /**< Of the model file, and of each file of external data; 64 GiB. */
    uint64_t text_bytes;     /**< Of labels, and of a JSON file beside the model; 64 MiB. */
    uint64_t array_bytes;    /**< Of a .npy file; 4 GiB. */
    uint64_t nodes; /**< Of a model, with functions called and loops unrolled; 1,000,000, and at
                         most 100,000,000. */
    uint64_t depth; /**< Of functions in functions and sub-graphs in sub-graphs; 32, and at most
                         256. */
    uint64_t reserved[9]; /**< Must be zero. */
} gradcam_limits;

/** Sets all to 0: the defaults. */
GRADCAM_API void gradcam_limits_init(gradcam_limits *limits);

typedef struct gradcam_model_options {
    /** A text file with one label a line, or NULL: config.json (id2label) beside the model, then
     *  the model's metadata, then no labels. */
    const char *labels_path;
    /** Bytes that weights, activations and gradients may take, of the model and all its explainers;
     *  0: four fifths of the machine's (or control group's) memory. */
    uint64_t max_memory;
    const gradcam_limits *limits; /**< NULL: the defaults. Copied: they hold for all explainers. */
    const void *reserved[5];      /**< Must be zero. */
} gradcam_model_options;

/** Fills in the defaults. */
GRADCAM_API void gradcam_model_options_init(gradcam_model_options *options);

/**
 * Loads an ONNX model.
 *
 * Large weights of convolutions stay in the file, or in up to 16 files of external data, which stay
 * open, until an explainer needs them. The files may be removed or replaced by others of their
 * names; where one is written to instead, later explainers may be refused (GRADCAM_ERROR_FILE).
 *
 * @param options NULL for the defaults.
 * @return GRADCAM_OK; GRADCAM_ERROR_FILE, _MODEL, _UNSUPPORTED (names every operator that is
 *         missing), _NUMERIC (NaN or infinity in a weight), _MEMORY, _LIMIT, _ARGUMENT.
 */
GRADCAM_API gradcam_status gradcam_model_load(gradcam_model **model, const char *path,
                                              const gradcam_model_options *options,
                                              gradcam_error *error);

/** Gives back the caller's hold; the memory goes when the last explainer is gone, too. */
GRADCAM_API void gradcam_model_destroy(gradcam_model **model);

/** Number of labels known, 0 if none; and the label of a class, NULL if there is none. */
GRADCAM_API size_t gradcam_model_label_count(const gradcam_model *model);
GRADCAM_API const char *gradcam_model_label(const gradcam_model *model, size_t class_index);

/**
 * Finds a class by its index written as a number, its exact label, or the only label that contains
 * the text (case is ignored).
 *
 * @return GRADCAM_OK; GRADCAM_ERROR_CLASS with near labels in the message.
 */
GRADCAM_API gradcam_status gradcam_model_find_class(const gradcam_model *model, const char *text,
                                                    int *class_index, gradcam_error *error);

/* ---- Explainer ----------------------------------------------------------------------------- */

typedef struct gradcam_explainer gradcam_explainer;

/** How a picture becomes the network's H x W. */
typedef enum gradcam_fit {
    GRADCAM_FIT_AUTO = 0, /**< As the model's own files say, else STRETCH. */
    GRADCAM_FIT_STRETCH,  /**< Plain resize; the aspect ratio may change. */
    GRADCAM_FIT_CROP,     /**< Short edge to `resize_edge`, then the centre H x W. */
    GRADCAM_FIT_LETTERBOX /**< Longest edge fits; the rest is filled with grey 114. */
} gradcam_fit;

/** A value for an input of the network that is not the picture. */
typedef struct gradcam_side_input {
    const char *name;
    int rank;
    int64_t dims[8];
    const double *values; /**< Row-major; for integer inputs whole numbers that the input's type
                               can hold, up to 2^53. Copied. */
} gradcam_side_input;

typedef struct gradcam_explainer_options {
    /** Target layer: the exact name of a node or of its output, a unique part of one, or an index
     *  as listed by gradcam_explainer_layers; or several layers at once: a pattern with * and ?, or
     *  "all" for all convolutions. NULL: the last layer with spatial extent. */
    const char *layer;
    /** Further layers, each as `layer`. */
    const char *const *more_layers;
    size_t more_layer_count;
    /** How the tokens of a transformer lie in the picture, "HxW+K": a grid of H x W after K extra
     *  tokens (class, distillation, registers), e.g. "14x14+1". NULL: found from the shapes. */
    const char *tokens;
    /** Values of inputs other than the picture. Inputs that have an initializer need none. */
    const gradcam_side_input *inputs;
    size_t input_count;
    /** The input that the picture is fed to. NULL: the first that looks like one. */
    const char *picture_input;
    /** The output that is explained. NULL: the first. */
    const char *head;
    /** Preprocessing preset: "torchvision", "timm", "tf", "caffe", "unit" or "raw". NULL: from
     *  preprocessor_config.json beside the model, then its metadata, then "torchvision". */
    const char *preset;
    gradcam_fit fit;
    int resize_edge; /**< For GRADCAM_FIT_CROP; 0: 256/224 of the input's short edge. */
    int width,
        height; /**< Network input in pixels; 0: from the model, 224 where it leaves it free. */
    /** Per-channel values for pixels in [0,1] that replace the preset's, used when `mean_count` or
     *  `std_count` is 1 or the network's channel count. */
    float mean[4], std[4];
    int mean_count, std_count;
    int after_activation; /**< Non-zero: differentiate after a final Softmax or Sigmoid, not before.
                           */
    int threads;          /**< 0: as OpenMP decides. */
    /** Non-zero: convolve directly only. Else some 3x3 convolutions take Winograd's algorithm,
     *  which is faster and rounds more (logits of VGG-16 differ by 5e-7 of the largest). */
    int strict;
    /** Non-zero: convolutions round their operands to bfloat16 and add up in float32, for CPUs with
     *  the instructions (AVX512_BF16): faster where convolutions are large, but to 2 or 3 digits
     *  only; not together with `strict`. */
    int bfloat16;
    const void *reserved[7]; /**< Must be zero. */
} gradcam_explainer_options;

GRADCAM_API void gradcam_explainer_options_init(gradcam_explainer_options *options);

/**
 * Prepares a model for explaining: fixes the input size, chooses the layer, plans memory and
 * kernels.
 *
 * @return GRADCAM_OK; GRADCAM_ERROR_LAYER, _SHAPE, _UNSUPPORTED, _ARGUMENT, _FILE (a bad JSON file
 *         beside the model, or weights that cannot be read any more), _NUMERIC (NaN or infinity in
 * a weight that was left in the file), _MEMORY, _LIMIT, _INTERNAL.
 */
GRADCAM_API gradcam_status gradcam_explainer_create(gradcam_explainer **explainer,
                                                    gradcam_model *model,
                                                    const gradcam_explainer_options *options,
                                                    gradcam_error *error);

GRADCAM_API void gradcam_explainer_destroy(gradcam_explainer **explainer);

/** A layer that can be explained. */
typedef struct gradcam_layer {
    const char *name;          /**< Of the node, or of its output where the node has no name. */
    const char *output;        /**< Name of the output tensor. */
    const char *operator_name; /**< "Conv", "Relu", ... */
    int index;                 /**< Usable as `layer` option. */
    int is_target;             /**< Non-zero for a chosen layer. */
    const char *reason;        /**< Why it was chosen; NULL for the others. */
    int rank;
    int64_t dims[8]; /**< As in the network: N, C, then the spatial extents; or N, H, W, C; or N,
                          tokens, C. */
    int width, height, depth; /**< The places of its map; depth 1 unless the network takes volumes.
                               */
    int64_t channels;
    int extra_tokens; /**< Leading tokens that are no part of the picture, such as a class token. */
} gradcam_layer;

/** The candidate layers in the order of execution; the array belongs to the explainer. */
GRADCAM_API const gradcam_layer *gradcam_explainer_layers(const gradcam_explainer *explainer,
                                                          size_t *count);

/** What is fed to the network and where each part of it comes from. */
typedef struct gradcam_input_info {
    const char *model_path;
    const char *name; /**< Of the input tensor. */
    int rank;
    int64_t dims[8];       /**< Usually N, C, H, W. */
    const char *preset;    /**< "torchvision", ..., or "custom" when values were given. */
    const char *source;    /**< "option", "preprocessor_config.json", "metadata" or "default". */
    const char *fit;       /**< "stretch", "crop" or "letterbox". */
    const char *resample;  /**< "bilinear", "bicubic", ... */
    int resize_edge;       /**< 0 unless `fit` is "crop". */
    int channels;          /**< Entries in use in mean and std. */
    float mean[4], std[4]; /**< For pixels multiplied by `scale`. */
    float scale;           /**< 1/255 or 1. */
    int bgr;               /**< Non-zero: channels are fed in the order blue, green, red. */
    const char *labels_source; /**< Where the labels come from, NULL if there are none. */
    const char *score; /**< The score that is differentiated, e.g. "logit before Softmax_5". */
} gradcam_input_info;

/** Belongs to the explainer. Never NULL. */
GRADCAM_API const gradcam_input_info *gradcam_explainer_input(const gradcam_explainer *explainer);

/* ---- Methods and targets ------------------------------------------------------------------- */

/** An output of the network, or the value before its final Softmax or Sigmoid. */
typedef struct gradcam_tensor {
    const char *name;
    int rank;
    int64_t dims[8];     /**< Of one run: N is what the model fixes, usually 1. */
    const float *values; /**< Row-major. */
    float *gradient;     /**< Of the score, same shape, zero at first; NULL: not wanted. */
} gradcam_tensor;

/**
 * A target of the caller's own: the score as a function of the outputs, and its gradient.
 *
 * @param outputs in the model's order; outputs[0] is the one before a final activation, unless
 *        after_activation was asked for.
 * @param score receives the score, which has to be a function of `values` alone.
 * @return GRADCAM_OK, or a status of the caller's, with `error` filled.
 */
typedef gradcam_status (*gradcam_target_function)(void *user, const gradcam_tensor *outputs,
                                                  size_t count, double *score,
                                                  gradcam_error *error);

/** What is explained: a value made by its text, or by a function of the caller's. */
typedef struct gradcam_target {
    /** With `function`, a name for reports. Without, a target as gradcam_target_at describes
     *  them: "281", "tabby", "prob:tabby", "diff:cat,dog", "top:3", "cat@own", "boxes[0,12,4]"...
     */
    const char *text;
    gradcam_target_function function;
    void *user;
    const void *reserved[4]; /**< Must be zero. */
} gradcam_target;

/** What a method sees of a layer. */
typedef struct gradcam_features {
    const float *activation; /**< A: channels x height x width. */
    const float *gradient;   /**< G of the score with respect to A, same shape. */
    int64_t channels, positions;
    int width, height; /**< positions = width * height. */
} gradcam_features;

/**
 * A method of the caller's own.
 *
 * @param map receives height x width values; positive ones speak for the target.
 * @return GRADCAM_OK, or a status of the caller's, with `error` filled.
 */
typedef gradcam_status (*gradcam_method_function)(void *user, const gradcam_features *features,
                                                  float *map, gradcam_error *error);

/** How it is explained: a value made by its text, or by a function of the caller's. */
typedef struct gradcam_method {
    /** With `function`, a name for reports. Without, a method's name, perhaps with settings:
     *  "gradcam", "gradcam++:torchcam", "scorecam:channels=64", see gradcam_method_at. */
    const char *text;
    gradcam_method_function function;
    void *user;
    const void *reserved[4]; /**< Must be zero. */
} gradcam_method;

/** A number that a method can be given in its text; a switch is one from 0 to 1. */
typedef struct gradcam_setting {
    const char *name;
    double standard, minimum, maximum;
    const char *summary;
} gradcam_setting;

typedef struct gradcam_method_info {
    const char *name;
    const char *summary; /**< One line. */
    const char *formula; /**< One line; A activation, G gradient, s score, x input. */
    const char *paper;
    const char *cost;  /**< In passes, e.g. "1 forward, 1 backward". */
    const char *needs; /**< "gradients", "forward passes" or "activations". */
    const gradcam_setting *settings;
    size_t setting_count;
} gradcam_method_info;

/** All methods, one after the other; NULL if `index` is beyond the last. Static. */
GRADCAM_API const gradcam_method_info *gradcam_method_at(size_t index);

typedef struct gradcam_target_info {
    const char *syntax;  /**< "prob:CLASS". */
    const char *summary; /**< One line. */
} gradcam_target_info;

/** All targets that a text can name; NULL if `index` is beyond the last. Static. */
GRADCAM_API const gradcam_target_info *gradcam_target_at(size_t index);

/* ---- Explaining ---------------------------------------------------------------------------- */

typedef struct gradcam_explanation gradcam_explanation;

/** What is explained; exactly one of `path`, `tensor`, and `rgb` alone is given. */
typedef struct gradcam_input {
    const char *path;    /**< A picture: JPEG, PNG, WebP, TIFF, BMP. */
    const uint8_t *rgb;  /**< width x height pixels; beside a tensor, what the map is shown on. */
    int width, height;   /**< Of rgb. */
    const float *tensor; /**< Row-major, of the shape gradcam_explainer_input reports. Height and
                              width may be others where the model leaves them free: what has to be
                              planned for a size is kept, for the last four beside that one. */
    int rank;
    int64_t dims[8];
} gradcam_input;

/** How the maps of several layers become one. Each is normalised and brought to the input's size
 *  first. */
typedef enum gradcam_fusion {
    GRADCAM_FUSE_NONE = 0, /**< A map for each layer. */
    GRADCAM_FUSE_MEAN,
    GRADCAM_FUSE_MAX,
    GRADCAM_FUSE_PRODUCT /**< Normalised again: Refine-CAM. */
} gradcam_fusion;

/** Called now and then in long runs, from the thread that explains. */
typedef void (*gradcam_progress_function)(void *user, const char *method, size_t done,
                                          size_t total);

typedef struct gradcam_request {
    const gradcam_target *targets; /**< None: the predicted class. */
    size_t target_count;
    const gradcam_method *methods; /**< None: "gradcam". */
    size_t method_count;
    gradcam_fusion fusion;
    int smooth_augment; /**< Non-zero: mean of the normalised maps of the picture and its mirror
                             image, times 0.9, 1 and 1.1. */
    int smooth_eigen;   /**< Non-zero: the first principal component of the weighted activations
                             instead of their sum. */
    int smooth_noise;   /**< Mean of the maps of so many noisy inputs; 0: none. */
    float noise_sigma;  /**< Of the noise, as a share of the input's range; 0: 0.15. */
    uint64_t seed;      /**< Of all random numbers. Equal seeds give equal maps. */
    int counterfactual; /**< Non-zero: what speaks against the target; its gradients negated. */
    gradcam_progress_function progress;
    void *progress_user;
    const void *reserved[8]; /**< Must be zero. */
} gradcam_request;

GRADCAM_API void gradcam_request_init(gradcam_request *request);

/**
 * Explains. All targets, methods and layers share one forward pass and, where they need gradients,
 * one backward pass a target; further passes are those that methods need by definition.
 *
 * @param request NULL for the defaults.
 * @return GRADCAM_OK, also when a map is flat or not finite (see gradcam_map.state);
 *         GRADCAM_ERROR_FILE, _PICTURE, _CLASS, _LAYER (no use to a method), _SHAPE (the network
 *         does not take 1 or 3 channels: give a tensor; or the output does not fit the target),
 *         _NUMERIC, _MEMORY, _LIMIT, _ARGUMENT; what a function of the caller's returned.
 */
GRADCAM_API gradcam_status gradcam_explain(gradcam_explainer *explainer, const gradcam_input *input,
                                           const gradcam_request *request,
                                           gradcam_explanation **explanation, gradcam_error *error);

/**
 * Explains a picture file (JPEG, PNG, WebP, TIFF, BMP) with Grad-CAM.
 *
 * @param classes class indices, each of which gets a map from one shared forward pass; NULL with
 *        class_count 0 for the predicted class.
 * @return GRADCAM_OK, also when a map is flat or not finite (see gradcam_map.state);
 *         GRADCAM_ERROR_FILE, _PICTURE, _CLASS, _SHAPE (the network does not take 1 or 3
 *         channels: use gradcam_explain_tensor), _NUMERIC, _MEMORY, _LIMIT, _ARGUMENT.
 */
GRADCAM_API gradcam_status gradcam_explain_file(gradcam_explainer *explainer, const char *path,
                                                const int *classes, size_t class_count,
                                                gradcam_explanation **explanation,
                                                gradcam_error *error);

/** As gradcam_explain_file, for width x height RGB pixels, which are copied. */
GRADCAM_API gradcam_status gradcam_explain_pixels(gradcam_explainer *explainer, const uint8_t *rgb,
                                                  int width, int height, const int *classes,
                                                  size_t class_count,
                                                  gradcam_explanation **explanation,
                                                  gradcam_error *error);

/**
 * As gradcam_explain_file, for a ready input tensor.
 *
 * @param tensor row-major float32, see gradcam_input.
 * @param rgb optional picture to show the map on (may be NULL, with width and height 0: the map is
 *        then shown at the size of the input).
 */
GRADCAM_API gradcam_status gradcam_explain_tensor(gradcam_explainer *explainer, const float *tensor,
                                                  int rank, const int64_t *dims, const uint8_t *rgb,
                                                  int width, int height, const int *classes,
                                                  size_t class_count,
                                                  gradcam_explanation **explanation,
                                                  gradcam_error *error);

GRADCAM_API void gradcam_explanation_destroy(gradcam_explanation **explanation);

/** One class as the network sees it. */
typedef struct gradcam_prediction {
    int index;
    const char *label; /**< NULL without labels. */
    float logit;       /**< The score before a final Softmax or Sigmoid. */
    float probability; /**< Softmax (Sigmoid for a network that ends in one) of the logits. */
} gradcam_prediction;

/** All classes, best first; none where the network is no classifier. The array belongs to the
 *  explanation. */
GRADCAM_API const gradcam_prediction *
gradcam_explanation_predictions(const gradcam_explanation *explanation, size_t *count);

typedef enum gradcam_map_state {
    GRADCAM_MAP_OK = 0,
    GRADCAM_MAP_FLAT,         /**< All values equal before the ReLU: nothing to show. */
    GRADCAM_MAP_NON_POSITIVE, /**< No positive value: the layer speaks only against the class. */
    GRADCAM_MAP_NOT_FINITE    /**< NaN or infinity in the map, which then cannot be rendered. */
} gradcam_map_state;

/** "ok", "flat", "non-positive" or "not-finite". */
GRADCAM_API const char *gradcam_map_state_text(gradcam_map_state state);

/** One heat map. */
typedef struct gradcam_map {
    gradcam_prediction prediction; /**< The class that is explained; index -1: no class. */
    const char *target;            /**< As given, or as chosen: "281", "diff:cat,dog". */
    double score;                  /**< Of the target. */
    const char *method;            /**< As given: "gradcam". */
    int part;               /**< Of a method that makes several maps, counted from 0; else -1. */
    gradcam_layer layer;    /**< Index -1: the input, or several layers fused. */
    int width, height;      /**< Native resolution: the spatial extents of the layer. */
    int depth;              /**< 1 unless the network takes volumes. */
    const float *raw;       /**< depth x height x width, before the ReLU. */
    float minimum, maximum; /**< Of `raw`. */
    gradcam_map_state state;
    int peak_x, peak_y;  /**< The hottest picture pixel; -1 where the state is not OK. */
    const char *trouble; /**< Where NaN or infinity appears first, such as "the output 'y' of node
                              'root' (Sqrt)", where the state is NOT_FINITE and that was found; else
                              NULL. */
} gradcam_map;

GRADCAM_API size_t gradcam_explanation_map_count(const gradcam_explanation *explanation);

/** NULL if `index` is out of range. */
GRADCAM_API const gradcam_map *gradcam_explanation_map(const gradcam_explanation *explanation,
                                                       size_t index);

/** The size of the picture, after EXIF orientation. */
GRADCAM_API void gradcam_explanation_size(const gradcam_explanation *explanation, int *width,
                                          int *height);

/** Milliseconds; `load` belongs to the model, `plan` to the explainer, the rest to this call. */
typedef struct gradcam_timings {
    double load, plan, preprocess, forward, backward, render;
} gradcam_timings;

GRADCAM_API gradcam_timings gradcam_explanation_timings(const gradcam_explanation *explanation);

/* ---- Output -------------------------------------------------------------------------------- */

typedef enum gradcam_output {
    GRADCAM_IMAGE_OVERLAY = 0, /**< Picture and heat blended: .png, .jpg, .webp by the name. */
    GRADCAM_IMAGE_HEATMAP,     /**< The coloured map alone, at the picture's size. */
    GRADCAM_NPY_RAW,           /**< float32 h x w (volumes: d x h x w), native resolution, before
                                    the ReLU. */
    GRADCAM_NPY_NORMALISED,    /**< The same in [0,1]. */
    GRADCAM_NPY_PICTURE        /**< float32 H x W of the picture, in [0,1]; of volumes, the largest
                                    value along the depth, as in the images. */
} gradcam_output;

typedef struct gradcam_render_options {
    float alpha;          /**< Share of the heat in the overlay, 0 to 1; 0.4. */
    const char *colormap; /**< "jet" (OpenCV's) and others, see gradcam_colormap_names; NULL: jet,
                               or bwr with `is_signed`. */
    int quality;          /**< JPEG and WebP, 1 to 100; 92. */
    int is_signed; /**< Non-zero: negative values are kept; maps have values in [-1,1], and the
                        middle of the colour map stands for 0. */
    float scale;   /**< The raw value that becomes 1, so that maps can be compared; 0: each map's
                        own maximum (of the absolute values, with `is_signed`). */
    const void *reserved[6]; /**< Must be zero. */
} gradcam_render_options;

GRADCAM_API void gradcam_render_options_init(gradcam_render_options *options);

/** NULL-terminated array. */
GRADCAM_API const char *const *gradcam_colormap_names(void);

/**
 * Writes one output of one map. The file appears whole or not at all.
 *
 * @param options NULL for the defaults.
 * @return GRADCAM_OK; GRADCAM_ERROR_FILE, _ARGUMENT (unknown ending, colormap, index), _NUMERIC
 *         (the map is not finite; only GRADCAM_NPY_RAW writes such), _MEMORY.
 */
GRADCAM_API gradcam_status gradcam_explanation_save(gradcam_explanation *explanation,
                                                    size_t map_index, gradcam_output output,
                                                    const gradcam_render_options *options,
                                                    const char *path, gradcam_error *error);

/**
 * Renders GRADCAM_IMAGE_OVERLAY or GRADCAM_IMAGE_HEATMAP to memory.
 *
 * @param rgb receives 3 x width x height bytes, see gradcam_explanation_size.
 */
GRADCAM_API gradcam_status gradcam_explanation_render(gradcam_explanation *explanation,
                                                      size_t map_index, gradcam_output output,
                                                      const gradcam_render_options *options,
                                                      uint8_t *rgb, gradcam_error *error);

/* ---- Inspection ---------------------------------------------------------------------------- */

/** An input or output as the file declares it. */
typedef struct gradcam_value_info {
    const char *name, *type;  /**< Type: "float32", ..., "?" where it is no tensor. */
    int rank;                 /**< -1: the file does not say. */
    int64_t dims[8];          /**< -1: free. */
    const char *dim_names[8]; /**< Of free extents, as the file names them; may be "". */
} gradcam_value_info;

typedef struct gradcam_opset {
    const char *domain; /**< "ai.onnx", "com.microsoft", ... */
    int64_t version;
} gradcam_opset;

typedef struct gradcam_operator_info {
    const char *name, *domain; /**< Domain "" for ai.onnx. */
    int count;                 /**< Nodes of the main graph. */
    int is_supported;          /**< Zero: needed, and not there. */
    int has_gradient;
    int is_function; /**< Non-zero: the model brings its own definition. */
} gradcam_operator_info;

typedef struct gradcam_inspection_info {
    const char *path, *producer;
    int64_t ir_version;
    const gradcam_opset *opsets;
    size_t opset_count;
    const gradcam_value_info *inputs; /**< Without those that have an initializer. */
    size_t input_count;
    const gradcam_value_info *outputs;
    size_t output_count;
    size_t node_count, function_count;
    const gradcam_operator_info *operators; /**< Most frequent first. */
    size_t operator_count;
    int64_t parameters;      /**< Elements of all initializers with at least one extent. */
    int64_t parameter_bytes; /**< As stored in the file. */
    int64_t macs; /**< Multiply-accumulate operations of convolutions and matrix products for one
                       input of the size that would be used; -1: the shapes are not known. */
    int has_layer;
    gradcam_layer layer;         /**< The default layer, if there is one. */
    const char *const *problems; /**< All that is known to be unsupported, a sentence each. */
    size_t problem_count;
} gradcam_inspection_info;

typedef struct gradcam_inspection gradcam_inspection;

/**
 * Looks at a model, whether or not it can be explained: what cannot be is said in `problems`.
 *
 * @param model_options NULL for the defaults, as `options`.
 * @return GRADCAM_OK; GRADCAM_ERROR_FILE, _MODEL (not an ONNX model at all), _MEMORY, _ARGUMENT.
 */
GRADCAM_API gradcam_status gradcam_inspect(gradcam_inspection **inspection, const char *path,
                                           const gradcam_model_options *model_options,
                                           const gradcam_explainer_options *options,
                                           gradcam_error *error);

/** Belongs to the inspection. */
GRADCAM_API const gradcam_inspection_info *
gradcam_inspection_look(const gradcam_inspection *inspection);

GRADCAM_API void gradcam_inspection_destroy(gradcam_inspection **inspection);

#ifdef __cplusplus
}
#endif
#endif
