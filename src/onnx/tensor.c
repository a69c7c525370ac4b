/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The elements of a tensor stand in one of four places: raw_data (little-endian bytes), a field
 * that depends on the type (float_data, int32_data, ...), a file of their own, or nowhere (no
 * elements). A packed float_data or double_data looks like raw_data on the wire, so all large
 * payloads go from the file straight into storage.
 */
#include "onnx/tensor.h"

#include <string.h>

#include "onnx/external.h"

enum { FIELD_FLOATS = 4, FIELD_RAW = 9, FIELD_DOUBLES = 10, EXTERNAL = 1 };

enum { BUFFER = 1 << 16 };

/* ---- Element types -------------------------------------------------------------------------- */

gc_dtype gc_onnx_dtype(int32_t number)
{
    const bool is_known = (number >= GC_FLOAT32 && number <= GC_UINT64) || number == GC_BFLOAT16;
    return is_known ? (gc_dtype)number : GC_UNDEFINED;
}

static const char *foreign_name(int32_t number)
{
    static const char *const names[] = {
        [GC_STRING] = "string",  [14] = "complex64",      [15] = "complex128",
        [17] = "float8e4m3fn",   [18] = "float8e4m3fnuz", [19] = "float8e5m2",
        [20] = "float8e5m2fnuz", [21] = "uint4",          [22] = "int4",
        [23] = "float4e2m1",
    };
    if (number < 0 || (size_t)number >= sizeof names / sizeof *names || names[number] == NULL)
        return "unknown";
    return names[number];
}

size_t gc_onnx_element_size(gc_dtype dtype)
{
    static const unsigned char sizes[] = {
        [GC_FLOAT32] = 4, [GC_UINT8] = 1,  [GC_INT8] = 1,     [GC_UINT16] = 2,  [GC_INT16] = 2,
        [GC_INT32] = 4,   [GC_INT64] = 8,  [GC_BOOL] = 1,     [GC_FLOAT16] = 2, [GC_FLOAT64] = 8,
        [GC_UINT32] = 4,  [GC_UINT64] = 8, [GC_BFLOAT16] = 2,
    };
    return sizes[dtype];
}

/* ---- Conversion ----------------------------------------------------------------------------- */

static uint16_t load16(const uint8_t *b)
{
    return (uint16_t)(b[0] | b[1] << 8);
}

static uint32_t load32(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t load64(const uint8_t *b)
{
    return load32(b) | (uint64_t)load32(b + 4) << 32;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float float_of_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return (float)value;
}

/* Subnormal halves are normal floats: multiplying by 2^-24 scales their integer mantissa. */
static float float_of_half(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t exponent = half >> 10 & 0x1f, mantissa = half & 0x3ff;
    if (exponent == 0) {
        const float magnitude = (float)mantissa * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    if (exponent == 0x1f)
        return float_of_bits(sign | 0x7f800000 | mantissa << 13);
    return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

static float float_of_brain(uint16_t bits)
{
    return float_of_bits((uint32_t)bits << 16);
}

#define CONVERT(out, size, expression)                                                             \
    for (size_t i = 0; i < count; i++) {                                                           \
        const uint8_t *const b = bytes + i * (size);                                               \
        (out)[i] = (expression);                                                                   \
    }                                                                                              \
    break

static void convert_ints(gc_dtype dtype, int64_t *out, const uint8_t *bytes, size_t count)
{
    switch (dtype) {
    case GC_UINT8:
        CONVERT(out, 1, b[0]);
    case GC_INT8:
        CONVERT(out, 1, b[0] < 128 ? b[0] : b[0] - 256);
    case GC_BOOL:
        CONVERT(out, 1, b[0] != 0);
    case GC_UINT16:
        CONVERT(out, 2, load16(b));
    case GC_INT16:
        CONVERT(out, 2, (int16_t)load16(b));
    case GC_UINT32:
        CONVERT(out, 4, load32(b));
    case GC_INT32:
        CONVERT(out, 4, (int32_t)load32(b));
    default: /* int64, and uint64, whose upper half wraps */
        CONVERT(out, 8, (int64_t)load64(b));
    }
}

static void convert_floats(gc_dtype dtype, float *out, const uint8_t *bytes, size_t count)
{
    switch (dtype) {
    case GC_FLOAT16:
        CONVERT(out, 2, float_of_half(load16(b)));
    case GC_BFLOAT16:
        CONVERT(out, 2, float_of_brain(load16(b)));
    case GC_FLOAT64:
        CONVERT(out, 8, float_of_double(load64(b)));
    default:
        CONVERT(out, 4, float_of_bits(load32(b)));
    }
}

/* Does storage have the bytes of the file? Then copying is all, and several times faster. */
static bool is_verbatim(gc_dtype dtype)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && (dtype == GC_FLOAT32 || dtype == GC_INT64);
}

void gc_onnx_convert(gc_tensor *tensor, size_t first, const uint8_t *bytes, size_t count)
{
    if (is_verbatim(tensor->dtype)) {
        const size_t size = gc_onnx_element_size(tensor->dtype);
        gc_copy_bytes((uint8_t *)tensor->data + first * size, bytes, count * size);
        return;
    }
    if (gc_dtype_is_float(tensor->dtype))
        convert_floats(tensor->dtype, gc_floats(tensor) + first, bytes, count);
    else
        convert_ints(tensor->dtype, gc_ints(tensor) + first, bytes, count);
}

/* ---- Loading -------------------------------------------------------------------------------- */

/* int32_data holds the bits of half types, and wraps like the smaller integers do. */
static void convert_int32(gc_tensor *tensor, const int32_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t v = (uint32_t)values[i];
        const uint8_t bytes[8] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
                                  (uint8_t)(v >> 24)}; /* 8: what the widest type would read */
        gc_onnx_convert(tensor, i, bytes, 1);
    }
}

static gradcam_status check_count(const gc_tensor *tensor, const char *field, size_t found,
                                  gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    const size_t expected = (size_t)gc_tensor_count(tensor);
    GC_FAIL_IF(found == 0 && expected > 0, error, GRADCAM_ERROR_MODEL,
               "%s of shape %s has no data; %zu elements were expected",
               gc_dtype_name(tensor->dtype), gc_shape_text(tensor, shape), expected);
    GC_FAIL_IF(found != expected, error, GRADCAM_ERROR_MODEL,
               "%s of shape %s has %zu elements in %s; %zu were expected",
               gc_dtype_name(tensor->dtype), gc_shape_text(tensor, shape), found, field, expected);
    return GRADCAM_OK;
}

static gradcam_status load_typed(const GcOnnx__Tensor *header, gc_tensor *tensor,
                                 gradcam_error *error)
{
    switch (tensor->dtype) {
    case GC_FLOAT32:
        GC_TRY(check_count(tensor, "float_data", header->n_float_data, error));
        for (size_t i = 0; i < header->n_float_data; i++)
            gc_floats(tensor)[i] = header->float_data[i];
        return GRADCAM_OK;
    case GC_FLOAT64:
        GC_TRY(check_count(tensor, "double_data", header->n_double_data, error));
        for (size_t i = 0; i < header->n_double_data; i++)
            gc_floats(tensor)[i] = (float)header->double_data[i];
        return GRADCAM_OK;
    case GC_INT64:
        GC_TRY(check_count(tensor, "int64_data", header->n_int64_data, error));
        for (size_t i = 0; i < header->n_int64_data; i++)
            gc_ints(tensor)[i] = header->int64_data[i];
        return GRADCAM_OK;
    case GC_UINT32:
    case GC_UINT64:
        GC_TRY(check_count(tensor, "uint64_data", header->n_uint64_data, error));
        for (size_t i = 0; i < header->n_uint64_data; i++)
            gc_ints(tensor)[i] = (int64_t)header->uint64_data[i];
        return GRADCAM_OK;
    default:
        GC_TRY(check_count(tensor, "int32_data", header->n_int32_data, error));
        convert_int32(tensor, header->int32_data, header->n_int32_data);
        return GRADCAM_OK;
    }
}

gradcam_status gc_onnx_read_elements(const gc_store *store, uint64_t offset, gc_tensor *tensor,
                                     gradcam_error *error)
{
    uint8_t buffer[BUFFER];
    const size_t size = gc_onnx_element_size(tensor->dtype);
    const size_t count = (size_t)gc_tensor_count(tensor), most = sizeof buffer / size;
    if (is_verbatim(tensor->dtype))
        return gc_store_read(store, tensor->data, count * size, offset, error);
    for (size_t first = 0; first < count; first += most) {
        const size_t length = count - first < most ? count - first : most;
        GC_TRY(gc_store_read(store, buffer, length * size, offset + first * size, error));
        gc_onnx_convert(tensor, first, buffer, length);
    }
    return GRADCAM_OK;
}

static gradcam_status load_payload(gc_bytes payload, const gc_source *source, gc_tensor *tensor,
                                   gradcam_error *error)
{
    uint64_t offset = 0;
    if (gc_source_left_in_file(source, payload, &offset))
        return gc_onnx_read_elements(source->store, offset, tensor, error);
    gc_onnx_convert(tensor, 0, payload.data, (size_t)gc_tensor_count(tensor));
    return GRADCAM_OK;
}

/* Does the payload that was left in the file hold elements of this type? An empty one does not
 * count: some writers set raw_data = "" beside a typed field. */
static bool payload_fits(const gc_tensor_message *message, gc_dtype dtype)
{
    if (message->payload.size == 0)
        return false;
    return message->payload_field == FIELD_RAW ||
           (message->payload_field == FIELD_FLOATS && dtype == GC_FLOAT32) ||
           (message->payload_field == FIELD_DOUBLES && dtype == GC_FLOAT64);
}

static gradcam_status describe(const GcOnnx__Tensor *header, gc_tensor *tensor,
                               gradcam_error *error)
{
    const gc_dtype dtype = gc_onnx_dtype(header->data_type);
    GC_FAIL_IF(header->data_type == GC_UNDEFINED, error, GRADCAM_ERROR_MODEL,
               "has no element type");
    GC_FAIL_IF(dtype == GC_UNDEFINED || dtype == GC_STRING, error, GRADCAM_ERROR_UNSUPPORTED,
               "elements of type %s (%d) are not supported", foreign_name(header->data_type),
               header->data_type);
    GC_FAIL_IF(header->n_dims > GC_MAX_RANK, error, GRADCAM_ERROR_UNSUPPORTED,
               "has %zu extents; at most %d are supported", header->n_dims, GC_MAX_RANK);
    GC_FAIL_IF(header->segment != NULL, error, GRADCAM_ERROR_UNSUPPORTED,
               "is stored in segments, which is not supported");
    gc_tensor_describe(tensor, dtype, (int)header->n_dims, header->dims);
    char shape[GC_SHAPE_TEXT];
    GC_FAIL_IF(!gc_tensor_is_valid(tensor), error, GRADCAM_ERROR_MODEL,
               "a shape of %s cannot be: an extent is negative or the size overflows",
               gc_shape_text(tensor, shape));
    return GRADCAM_OK;
}

static gradcam_status check_payload(gc_bytes payload, const gc_tensor *tensor, gradcam_error *error)
{
    char shape[GC_SHAPE_TEXT];
    const size_t size = (size_t)gc_tensor_count(tensor) * gc_onnx_element_size(tensor->dtype);
    GC_FAIL_IF(payload.size != size, error, GRADCAM_ERROR_MODEL,
               "%s of shape %s has %zu bytes of data; %zu were expected",
               gc_dtype_name(tensor->dtype), gc_shape_text(tensor, shape), payload.size, size);
    return GRADCAM_OK;
}

/* A few bytes that claim a large shape must not make us allocate gigabytes before the claim is
 * found false. */
static gradcam_status check_claim(const gc_tensor_message *message, const gc_tensor *tensor,
                                  gradcam_error *error)
{
    const GcOnnx__Tensor *const header = message->header;
    if (header->data_location == EXTERNAL)
        return GRADCAM_OK;
    if (payload_fits(message, tensor->dtype))
        return check_payload(message->payload, tensor, error);
    const size_t counts[] = {header->n_float_data, header->n_int32_data, header->n_int64_data,
                             header->n_double_data, header->n_uint64_data};
    size_t most = 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        most = counts[i] > most ? counts[i] : most;
    return check_count(tensor, "its data field", most, error);
}

static gradcam_status load_inline(const gc_tensor_message *message, const gc_source *source,
                                  gc_tensor *tensor, gradcam_error *error)
{
    GC_TRY(gc_budget_take(source->budget, gc_tensor_bytes(tensor), "the weights", error));
    GC_TRY(gc_new_raw(&tensor->data, 1, gc_tensor_bytes(tensor), error));
    if (!payload_fits(message, tensor->dtype))
        return load_typed(message->header, tensor, error);
    return load_payload(message->payload, source, tensor, error);
}

gradcam_status gc_tensor_message_load(const gc_tensor_message *message, const gc_source *source,
                                      gc_tensor *tensor, gradcam_error *error)
{
    GC_TRY(describe(message->header, tensor, error));
    GC_TRY(check_claim(message, tensor, error));
    const gradcam_status status = message->header->data_location == EXTERNAL
                                      ? gc_external_load(message->header, source, tensor, error)
                                      : load_inline(message, source, tensor, error);
    if (status != GRADCAM_OK)
        gc_tensor_free(tensor);
    return status;
}

gradcam_status gc_tensor_message_stay(const gc_tensor_message *message, const gc_source *source,
                                      gc_tensor *type, gc_store **store, uint64_t *offset,
                                      gradcam_error *error)
{
    *store = NULL;
    /* What is wrong with it, loading says. */
    if (describe(message->header, type, NULL) != GRADCAM_OK || type->dtype != GC_FLOAT32 ||
        !is_verbatim(type->dtype))
        return GRADCAM_OK;
    if (message->header->data_location == EXTERNAL)
        return gc_external_stay(message->header, source, type, store, offset, error);
    if (gc_source_left_in_file(source, message->payload, offset) &&
        payload_fits(message, type->dtype) &&
        check_payload(message->payload, type, NULL) == GRADCAM_OK)
        *store = gc_store_retain(source->store);
    return GRADCAM_OK;
}

/* ---- Taking a message apart ----------------------------------------------------------------- */

bool gc_is_payload(const gc_field *field)
{
    return field->number == FIELD_FLOATS || field->number == FIELD_RAW ||
           field->number == FIELD_DOUBLES;
}

/* Finds the payload to leave in place. Of several raw_data the last counts, as protobuf says;
 * float_data or double_data in several pieces is left to protobuf-c. */
static gradcam_status find_payload(gc_tensor_message *message, gc_bytes bytes, gradcam_error *error)
{
    gc_wire wire = gc_wire_of(bytes);
    gc_field field;
    gc_bytes typed = {NULL, 0};
    uint64_t typed_field = 0;
    int typed_count = 0;
    while (gc_wire_next(&wire, &field)) {
        if (field.number == FIELD_RAW && field.type == GC_WIRE_BYTES) {
            message->payload = field.content;
            message->payload_field = FIELD_RAW;
        }
        if (field.number == FIELD_FLOATS || field.number == FIELD_DOUBLES) {
            typed = field.content;
            typed_field = field.number;
            typed_count += field.type == GC_WIRE_BYTES ? 1 : 2;
        }
    }
    GC_FAIL_IF(wire.malformed, error, GRADCAM_ERROR_MODEL, "a malformed tensor in the file");
    if (message->payload.size == 0 && typed_count == 1) {
        message->payload = typed;
        message->payload_field = typed_field;
    }
    return GRADCAM_OK;
}

gradcam_status gc_tensor_message_open(gc_tensor_message *message, gc_bytes bytes,
                                      gradcam_error *error)
{
    *message = (gc_tensor_message){.header = NULL};
    GC_TRY(find_payload(message, bytes, error));
    return gc_unpack(&message->header, &gc_onnx__tensor__descriptor, bytes,
                     UINT64_C(1) << message->payload_field, error);
}

void gc_tensor_message_close(gc_tensor_message *message)
{
    gc_unpacked_free(message->header);
    message->header = NULL;
}
