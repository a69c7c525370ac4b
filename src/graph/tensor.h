/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors.
 *
 * Whatever the file says, values are held in one of two storage types: float32 for every floating
 * type, int64 for every integer type and bool. `dtype` keeps the declared type for operators whose
 * meaning depends on it (Cast, integer division, quantisation). So a kernel has at most two forms.
 */
#ifndef GC_GRAPH_TENSOR_H
#define GC_GRAPH_TENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/memory.h"
#include "base/store.h"

enum { GC_MAX_RANK = 8 };

/** Declared element types; the values are ONNX's TensorProto.DataType. */
typedef enum gc_dtype {
    GC_UNDEFINED = 0,
    GC_FLOAT32 = 1,
    GC_UINT8 = 2,
    GC_INT8 = 3,
    GC_UINT16 = 4,
    GC_INT16 = 5,
    GC_INT32 = 6,
    GC_INT64 = 7,
    GC_STRING = 8,
    GC_BOOL = 9,
    GC_FLOAT16 = 10,
    GC_FLOAT64 = 11,
    GC_UINT32 = 12,
    GC_UINT64 = 13,
    GC_BFLOAT16 = 16
} gc_dtype;

/** Stored as float32? Otherwise as int64. */
bool gc_dtype_is_float(gc_dtype dtype);

/** "float32", "int64", ...; "undefined" for anything else. */
const char *gc_dtype_name(gc_dtype dtype);

/**
 * How the elements of an activation N x C x spatial... lie in memory.
 *
 * The engine may keep activations in a layout that suits its convolutions. Each layout is a plain
 * row-major tensor of other ("physical") extents, so an element-wise kernel need not know:
 *   PLAIN     N, C, spatial...
 *   BLOCKED8  N, ceil(C/8), spatial..., 8      (channels beyond C are zero)
 *   BLOCKED16 N, ceil(C/16), spatial..., 16    (channels beyond C are zero)
 *   LAST      N, spatial..., C
 */
typedef enum gc_layout {
    GC_LAYOUT_PLAIN = 0,
    GC_LAYOUT_BLOCKED8,
    GC_LAYOUT_BLOCKED16,
    GC_LAYOUT_LAST,
    /** BLOCKED16 and LAST with elements rounded to bfloat16: for convolutions by oneDNN only. */
    GC_LAYOUT_BLOCKED16_BF16,
    GC_LAYOUT_LAST_BF16
} gc_layout;

/**
 * A tensor or a view of one. `dims` are the logical extents, whatever the layout. `data` is NULL
 * where only type and shape are known. Who owns `data` is said where a tensor is held.
 */
typedef struct gc_tensor {
    gc_dtype dtype;
    gc_layout layout;
    int rank; /**< 0 for a scalar; -1 where even the rank is unknown. */
    int64_t dims[GC_MAX_RANK];
    void *data; /**< float or int64_t, see gc_dtype_is_float. */
} gc_tensor;

/** Number of logical elements: product of the extents, 1 for a scalar. */
int64_t gc_tensor_count(const gc_tensor *tensor);

/** Bytes of storage in its layout, padding included. */
size_t gc_tensor_bytes(const gc_tensor *tensor);

/** False where the extents are negative or their product overflows size_t bytes. */
bool gc_tensor_is_valid(const gc_tensor *tensor);

bool gc_tensor_same_dims(const gc_tensor *a, const gc_tensor *b);

/** Sets dtype, rank and dims; layout PLAIN, no data. */
void gc_tensor_describe(gc_tensor *tensor, gc_dtype dtype, int rank, const int64_t *dims);

/** The physical view of a tensor: same data, PLAIN layout, extents as laid out in memory (the rank
 *  may grow to GC_MAX_RANK at most; layouts other than PLAIN have rank 3 to 5). */
gc_tensor gc_tensor_physical(const gc_tensor *tensor);

/** Channels in one block: 8, 16, or 1 for the other layouts. */
int gc_layout_block(gc_layout layout);

/** Are its elements bfloat16? The same layout with such (itself if there is none), and without. */
bool gc_layout_is_rounded(gc_layout layout);
gc_layout gc_layout_rounded(gc_layout layout);
gc_layout gc_layout_exact(gc_layout layout);

/** Allocates data (zeroed) for a described tensor; release with gc_tensor_free. */
gradcam_status gc_tensor_alloc(gc_tensor *tensor, gradcam_error *error);
void gc_tensor_free(gc_tensor *tensor);

/** "1x3x224x224" into `text`, which is returned. Unknown extents print as "?"; a scalar as
 *  "scalar". */
enum { GC_SHAPE_TEXT = 8 * 21 + 1 };
const char *gc_shape_text(const gc_tensor *tensor, char text[GC_SHAPE_TEXT]);

/** Row-major strides, in elements, of the logical extents. */
void gc_strides(int rank, const int64_t *dims, int64_t *strides);

static inline float *gc_floats(const gc_tensor *tensor)
{
    return (float *)tensor->data;
}

static inline int64_t *gc_ints(const gc_tensor *tensor)
{
    return (int64_t *)tensor->data;
}

/**
 * A constant: an immutable tensor with a name, counted by reference, shared by graphs and plans
 * across threads. Layout PLAIN.
 *
 * Large weights of convolutions need not be in memory as the file has them, since only what an
 * engine packs of them is used: such constants are stored, see gc_constant_create_stored.
 */
typedef struct gc_constant gc_constant;

/** Takes over tensor->data (from gc_tensor_alloc) on success. The count starts at 1. */
gradcam_status gc_constant_create(gc_constant **constant, gc_tensor *tensor, gradcam_error *error);

/** As gc_constant_create, for elements that stay in a file, as they are in memory, until somebody
 *  asks for them: `type` has no data. Keeps a hold of `store`; `budget` counts them once loaded. */
gradcam_status gc_constant_create_stored(gc_constant **constant, const gc_tensor *type,
                                         gc_store *store, uint64_t offset, gc_budget *budget,
                                         gradcam_error *error);

/** Are the elements left in a file? Then gc_constant_tensor has no data, ever. */
bool gc_constant_is_stored(const gc_constant *constant);

/** *tensor = gc_constant_tensor with data, which is loaded first where it is stored, and stays as
 *  long as the constant; fails as gc_constant_copy. Any thread may ask. */
gradcam_status gc_constant_load(gc_constant *constant, gc_tensor *tensor, gradcam_error *error);

/** A stored constant becomes a loaded one, whatever its elements are. Only while nobody else knows
 *  it. */
gradcam_status gc_constant_settle(gc_constant *constant, gradcam_error *error);

/** Copies all elements of a stored constant, without keeping them. GRADCAM_ERROR_FILE where the
 *  file has changed, GRADCAM_ERROR_NUMERIC where an element is not finite. */
gradcam_status gc_constant_copy(const gc_constant *constant, float *out, gradcam_error *error);

/** Why a weight is refused, as a sentence. */
extern const char gc_not_finite[];

/** Of float32 elements. */
bool gc_is_finite(const float *values, int64_t count);

/** The bytes of the tensor are counted in `budget` already, and go back to it at the end. */
void gc_constant_charge(gc_constant *constant, gc_budget *budget);
gc_constant *gc_constant_retain(gc_constant *constant);
void gc_constant_release(gc_constant *constant);
const gc_tensor *gc_constant_tensor(const gc_constant *constant);

#endif
