/* SPDX-License-Identifier: Apache-2.0 */
#include "graph/tensor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

bool gc_dtype_is_float(gc_dtype dtype)
{
    return dtype == GC_FLOAT32 || dtype == GC_FLOAT16 || dtype == GC_FLOAT64 ||
           dtype == GC_BFLOAT16;
}

const char *gc_dtype_name(gc_dtype dtype)
{
    switch (dtype) {
    case GC_FLOAT32:
        return "float32";
    case GC_UINT8:
        return "uint8";
    case GC_INT8:
        return "int8";
    case GC_UINT16:
        return "uint16";
    case GC_INT16:
        return "int16";
    case GC_INT32:
        return "int32";
    case GC_INT64:
        return "int64";
    case GC_STRING:
        return "string";
    case GC_BOOL:
        return "bool";
    case GC_FLOAT16:
        return "float16";
    case GC_FLOAT64:
        return "float64";
    case GC_UINT32:
        return "uint32";
    case GC_UINT64:
        return "uint64";
    case GC_BFLOAT16:
        return "bfloat16";
    case GC_UNDEFINED:
        break;
    }
    return "undefined";
}

int64_t gc_tensor_count(const gc_tensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= tensor->dims[i];
    return count;
}

bool gc_layout_is_rounded(gc_layout layout)
{
    return gc_layout_exact(layout) != layout;
}

gc_layout gc_layout_rounded(gc_layout layout)
{
    return layout == GC_LAYOUT_LAST        ? GC_LAYOUT_LAST_BF16
           : layout == GC_LAYOUT_BLOCKED16 ? GC_LAYOUT_BLOCKED16_BF16
                                           : layout;
}

gc_layout gc_layout_exact(gc_layout layout)
{
    return layout == GC_LAYOUT_LAST_BF16        ? GC_LAYOUT_LAST
           : layout == GC_LAYOUT_BLOCKED16_BF16 ? GC_LAYOUT_BLOCKED16
                                                : layout;
}

int gc_layout_block(gc_layout layout)
{
    layout = gc_layout_exact(layout);
    return layout == GC_LAYOUT_BLOCKED8 ? 8 : layout == GC_LAYOUT_BLOCKED16 ? 16 : 1;
}

gc_tensor gc_tensor_physical(const gc_tensor *tensor)
{
    gc_tensor view = *tensor;
    if (tensor->layout == GC_LAYOUT_PLAIN)
        return view;
    view.layout = GC_LAYOUT_PLAIN;
    const int rank = tensor->rank;
    if (gc_layout_exact(tensor->layout) == GC_LAYOUT_LAST) {
        for (int i = 2; i < rank; i++)
            view.dims[i - 1] = tensor->dims[i];
        view.dims[rank - 1] = tensor->dims[1];
        return view;
    }
    const int block = gc_layout_block(tensor->layout);
    view.dims[1] = (tensor->dims[1] + block - 1) / block;
    view.dims[rank] = block;
    view.rank = rank + 1;
    return view;
}

static size_t element_size(const gc_tensor *tensor)
{
    return !gc_dtype_is_float(tensor->dtype)      ? sizeof(int64_t)
           : gc_layout_is_rounded(tensor->layout) ? sizeof(uint16_t)
                                                  : sizeof(float);
}

size_t gc_tensor_bytes(const gc_tensor *tensor)
{
    const gc_tensor physical = gc_tensor_physical(tensor);
    return (size_t)gc_tensor_count(&physical) * element_size(tensor);
}

bool gc_tensor_is_valid(const gc_tensor *tensor)
{
    if (tensor->rank < 0 || tensor->rank > GC_MAX_RANK)
        return false;
    /* Zero extents are skipped so that 0 x 2^62 x 2^62 does not pass, and a block of 16 channels
     * more per extent leaves room for padded layouts. */
    size_t bytes = 16 * sizeof(int64_t);
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] < 0 ||
            !gc_multiply(bytes, tensor->dims[i] == 0 ? 1 : (size_t)tensor->dims[i], &bytes))
            return false;
    return bytes <= PTRDIFF_MAX;
}

bool gc_tensor_same_dims(const gc_tensor *a, const gc_tensor *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    return true;
}

void gc_tensor_describe(gc_tensor *tensor, gc_dtype dtype, int rank, const int64_t *dims)
{
    int64_t copy[GC_MAX_RANK] = {0};
    for (int i = 0; i < rank; i++)
        copy[i] = dims[i];
    *tensor = (gc_tensor){.dtype = dtype, .layout = GC_LAYOUT_PLAIN, .rank = rank};
    memcpy(tensor->dims, copy, sizeof copy);
}

gradcam_status gc_tensor_alloc(gc_tensor *tensor, gradcam_error *error)
{
    if (!gc_tensor_is_valid(tensor)) {
        char text[GC_SHAPE_TEXT];
        return gc_fail(error, GRADCAM_ERROR_SHAPE, "a tensor of shape %s cannot be",
                       gc_shape_text(tensor, text));
    }
    return gc_new(&tensor->data, 1, gc_tensor_bytes(tensor), error);
}

void gc_tensor_free(gc_tensor *tensor)
{
    if (tensor != NULL) {
        gc_free(tensor->data);
        tensor->data = NULL;
    }
}

const char *gc_shape_text(const gc_tensor *tensor, char text[GC_SHAPE_TEXT])
{
    if (tensor->rank <= 0) {
        snprintf(text, GC_SHAPE_TEXT, "%s", tensor->rank == 0 ? "scalar" : "?");
        return text;
    }
    size_t used = 0;
    for (int i = 0; i < tensor->rank; i++) {
        const char *const separator = i == 0 ? "" : "x";
        const int length = tensor->dims[i] < 0
                               ? snprintf(text + used, GC_SHAPE_TEXT - used, "%s?", separator)
                               : snprintf(text + used, GC_SHAPE_TEXT - used, "%s%lld", separator,
                                          (long long)tensor->dims[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    return text;
}

void gc_strides(int rank, const int64_t *dims, int64_t *strides)
{
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i];
    }
}

struct gc_constant {
    gc_tensor tensor;
    atomic_int holds;
    gc_budget *budget; /* that counts its bytes; NULL: none */
    gc_store *store;   /* NULL: the data is in `tensor` */
    uint64_t offset;
    pthread_mutex_t lock; /* where stored: guards `loaded` */
    void *loaded;
};

gradcam_status gc_constant_create(gc_constant **constant, gc_tensor *tensor, gradcam_error *error)
{
    GC_TRY(gc_new(constant, 1, sizeof **constant, error));
    (*constant)->tensor = *tensor;
    atomic_init(&(*constant)->holds, 1);
    tensor->data = NULL;
    return GRADCAM_OK;
}

gradcam_status gc_constant_create_stored(gc_constant **constant, const gc_tensor *type,
                                         gc_store *store, uint64_t offset, gc_budget *budget,
                                         gradcam_error *error)
{
    GC_TRY(gc_new(constant, 1, sizeof **constant, error));
    gc_constant *const c = *constant;
    c->tensor = *type;
    atomic_init(&c->holds, 1);
    c->budget = budget;
    c->store = gc_store_retain(store);
    c->offset = offset;
    pthread_mutex_init(&c->lock, NULL);
    return GRADCAM_OK;
}

void gc_constant_charge(gc_constant *constant, gc_budget *budget)
{
    constant->budget = budget;
}

gc_constant *gc_constant_retain(gc_constant *constant)
{
    if (constant != NULL)
        atomic_fetch_add_explicit(&constant->holds, 1, memory_order_relaxed);
    return constant;
}

void gc_constant_release(gc_constant *constant)
{
    if (constant == NULL ||
        atomic_fetch_sub_explicit(&constant->holds, 1, memory_order_acq_rel) != 1)
        return;
    if (constant->store == NULL || constant->loaded != NULL)
        gc_budget_give(constant->budget, gc_tensor_bytes(&constant->tensor));
    if (constant->store != NULL)
        pthread_mutex_destroy(&constant->lock);
    gc_store_release(constant->store);
    gc_free(constant->loaded);
    gc_tensor_free(&constant->tensor);
    gc_free(constant);
}

const gc_tensor *gc_constant_tensor(const gc_constant *constant)
{
    return &constant->tensor;
}

bool gc_constant_is_stored(const gc_constant *constant)
{
    return constant->store != NULL;
}

const char gc_not_finite[] = "it holds NaN or infinity; the training has diverged or the file is "
                             "damaged. Export the model again.";

/* Infinity and NaN are the values for which x * 0 is not 0, so one sum tells of all. */
bool gc_is_finite(const float *values, int64_t count)
{
    float sum = 0.0f;
#pragma omp parallel for simd reduction(+ : sum) schedule(static) if (count > 1 << 16)
    for (int64_t i = 0; i < count; i++)
        sum += values[i] * 0.0f;
    return sum == 0.0f;
}

/* The elements as the file has them. */
static gradcam_status read_stored(const gc_constant *constant, void *out, gradcam_error *error)
{
    const gradcam_status status = gc_store_read(
        constant->store, out, gc_tensor_bytes(&constant->tensor), constant->offset, error);
    if (status != GRADCAM_OK)
        return gc_fail_context(error, status, "%s: ", gc_store_path(constant->store));
    return gc_store_check(constant->store, error);
}

gradcam_status gc_constant_copy(const gc_constant *constant, float *out, gradcam_error *error)
{
    GC_TRY(read_stored(constant, out, error));
    GC_FAIL_IF(!gc_is_finite(out, gc_tensor_count(&constant->tensor)), error, GRADCAM_ERROR_NUMERIC,
               "%s", gc_not_finite);
    return GRADCAM_OK;
}

static gradcam_status allocate(const gc_constant *constant, void **data, gradcam_error *error)
{
    const size_t bytes = gc_tensor_bytes(&constant->tensor);
    GC_TRY(gc_budget_take(constant->budget, bytes, "the weights", error));
    const gradcam_status status = gc_new_raw(data, 1, bytes, error);
    if (status != GRADCAM_OK)
        gc_budget_give(constant->budget, bytes);
    return status;
}

static void give_back(const gc_constant *constant, void **data)
{
    gc_budget_give(constant->budget, gc_tensor_bytes(&constant->tensor));
    gc_free(*data);
    *data = NULL;
}

static gradcam_status load(gc_constant *constant, gradcam_error *error)
{
    if (constant->loaded != NULL)
        return GRADCAM_OK;
    GC_TRY(allocate(constant, &constant->loaded, error));
    const gradcam_status status = gc_constant_copy(constant, constant->loaded, error);
    if (status != GRADCAM_OK)
        give_back(constant, &constant->loaded);
    return status;
}

gradcam_status gc_constant_load(gc_constant *constant, gc_tensor *tensor, gradcam_error *error)
{
    *tensor = constant->tensor;
    if (constant->store == NULL)
        return GRADCAM_OK;
    pthread_mutex_lock(&constant->lock);
    const gradcam_status status = load(constant, error);
    tensor->data = constant->loaded;
    pthread_mutex_unlock(&constant->lock);
    return status;
}

gradcam_status gc_constant_settle(gc_constant *constant, gradcam_error *error)
{
    if (constant->store == NULL)
        return GRADCAM_OK;
    GC_TRY(allocate(constant, &constant->tensor.data, error));
    const gradcam_status status = read_stored(constant, constant->tensor.data, error);
    if (status != GRADCAM_OK) {
        give_back(constant, &constant->tensor.data);
        return status;
    }
    pthread_mutex_destroy(&constant->lock);
    gc_store_release(constant->store);
    constant->store = NULL;
    return GRADCAM_OK;
}
