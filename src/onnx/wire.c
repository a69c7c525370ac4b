/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/wire.h"

#include <string.h>

#include "base/memory.h"

static bool read_varint(gc_wire *wire, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && wire->at < wire->end; shift += 7) {
        const uint8_t byte = *wire->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool skip_bytes(gc_wire *wire, uint64_t count)
{
    if (count > (uint64_t)(wire->end - wire->at))
        return false;
    wire->at += count;
    return true;
}

static bool read_content(gc_wire *wire, gc_field *field)
{
    uint64_t value = 0;
    switch (field->type) {
    case GC_WIRE_VARINT:
        return read_varint(wire, &value);
    case GC_WIRE_FIXED64:
        return skip_bytes(wire, 8);
    case GC_WIRE_FIXED32:
        return skip_bytes(wire, 4);
    case GC_WIRE_BYTES:
        if (!read_varint(wire, &value))
            return false;
        field->content = (gc_bytes){wire->at, (size_t)value};
        return skip_bytes(wire, value);
    }
    return false; /* groups, which ONNX never had, and types that do not exist */
}

bool gc_wire_next(gc_wire *wire, gc_field *field)
{
    if (wire->malformed || wire->at == wire->end)
        return false;
    uint64_t tag = 0;
    *field = (gc_field){.start = wire->at};
    wire->malformed = !read_varint(wire, &tag);
    field->number = tag >> 3;
    field->type = (gc_wire_type)(tag & 7);
    /* Numbers above 2^29 - 1 do not exist; protobuf-c would cut them to 32 bits. */
    if (field->number == 0 || field->number > 0x1fffffff || !read_content(wire, field))
        wire->malformed = true;
    return !wire->malformed;
}

/* ---- Unpacking ------------------------------------------------------------------------------ */

/* protobuf-c answers NULL to every failure; this tells which one it was. */
static void *allocate(void *failed, size_t size)
{
    void *block = NULL;
    if (gc_new_raw(&block, 1, size, NULL) != GRADCAM_OK)
        *(bool *)failed = true;
    return block;
}

static void release(void *failed, void *block)
{
    (void)failed;
    gc_free(block);
}

static bool is_wanted(const gc_field *field, const ProtobufCMessageDescriptor *descriptor,
                      uint64_t skip)
{
    if (field->number < 64 && (skip >> field->number & 1) != 0)
        return false;
    return protobuf_c_message_descriptor_get_field(descriptor, (unsigned)field->number) != NULL;
}

/* Copies the wanted fields to `out` (NULL: only counts) and returns their size. */
static size_t copy_wanted(uint8_t *out, const ProtobufCMessageDescriptor *descriptor,
                          gc_bytes bytes, uint64_t skip, bool *malformed)
{
    gc_wire wire = gc_wire_of(bytes);
    gc_field field;
    size_t size = 0;
    while (gc_wire_next(&wire, &field)) {
        if (!is_wanted(&field, descriptor, skip))
            continue;
        const size_t length = (size_t)(wire.at - field.start);
        if (out != NULL)
            memcpy(out + size, field.start, length);
        size += length;
    }
    *malformed = wire.malformed;
    return size;
}

gradcam_status gc_unpack(void *message, const ProtobufCMessageDescriptor *descriptor,
                         gc_bytes bytes, uint64_t skip, gradcam_error *error)
{
    bool malformed = false, out_of_memory = false;
    uint8_t *copy = NULL;
    *(void **)message = NULL;
    const size_t size = copy_wanted(NULL, descriptor, bytes, skip, &malformed);
    GC_FAIL_IF(malformed, error, GRADCAM_ERROR_MODEL, "a malformed %s in the file",
               descriptor->short_name);
    if (size < bytes.size) {
        GC_TRY(gc_new_raw(&copy, 1, size, error));
        copy_wanted(copy, descriptor, bytes, skip, &malformed);
    }
    ProtobufCAllocator allocator = {allocate, release, &out_of_memory};
    *(void **)message =
        protobuf_c_message_unpack(descriptor, &allocator, size, copy != NULL ? copy : bytes.data);
    gc_free(copy);
    if (out_of_memory)
        return gc_fail_memory(error, size);
    GC_FAIL_IF(*(void **)message == NULL, error, GRADCAM_ERROR_MODEL, "a malformed %s in the file",
               descriptor->short_name);
    return GRADCAM_OK;
}

void gc_unpacked_free(void *message)
{
    ProtobufCAllocator allocator = {allocate, release, NULL};
    if (message != NULL)
        protobuf_c_message_free_unpacked(message, &allocator);
}
