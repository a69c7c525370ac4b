/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf's wire format. Large messages are walked field by field in place; what remains small is
 * unpacked by protobuf-c.
 */
#ifndef GC_ONNX_WIRE_H
#define GC_ONNX_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/** Bytes that belong to somebody else. */
typedef struct gc_bytes {
    const uint8_t *data;
    size_t size;
} gc_bytes;

typedef struct gc_wire {
    const uint8_t *at, *end;
    bool malformed; /**< Set when a field is cut short or is none. */
} gc_wire;

typedef enum gc_wire_type {
    GC_WIRE_VARINT = 0,
    GC_WIRE_FIXED64 = 1,
    GC_WIRE_BYTES = 2,
    GC_WIRE_FIXED32 = 5
} gc_wire_type;

typedef struct gc_field {
    uint64_t number;
    gc_wire_type type;
    const uint8_t *start; /**< Of the tag. */
    gc_bytes content;     /**< Of GC_WIRE_BYTES. */
} gc_field;

static inline gc_wire gc_wire_of(gc_bytes bytes)
{
    const uint8_t *const end = bytes.data != NULL ? bytes.data + bytes.size : NULL;
    return (gc_wire){.at = bytes.data, .end = end};
}

/** The next field; false at the end and where wire->malformed is set. */
bool gc_wire_next(gc_wire *wire, gc_field *field);

/** *message = `bytes` unpacked, without the fields whose bit 1 << number is set in `skip` and those
 *  that the schema does not have. Free with gc_unpacked_free. */
gradcam_status gc_unpack(void *message, const ProtobufCMessageDescriptor *descriptor,
                         gc_bytes bytes, uint64_t skip, gradcam_error *error);
void gc_unpacked_free(void *message);

/** A string field, "" where it is missing. */
static inline const char *gc_text(const char *text)
{
    return text != NULL ? text : "";
}

#endif
