/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of a model file, the reader's own memory gets everything but the large payloads of initializers,
 * each byte at its offset in the file. So what parses needs to know nothing of files, weights are
 * read straight into their storage, and a file that becomes shorter meanwhile is an error (of a
 * mapped one, it would end the process).
 */
#include "onnx/source.h"
#include "onnx/tensor.h"

enum { MODEL_GRAPH = 7, GRAPH_INITIALIZER = 5 };

/* A field's tag and length are two varints. */
enum { HEAD = 20 };

/* At least this much is read at once. */
enum { WINDOW = 4096 };

typedef struct outline {
    const gc_store *store;
    uint8_t *bytes;
    size_t size, large;
    size_t mark; /* What is wanted below it has been read. */
    gradcam_status status;
    gradcam_error *error;
} outline;

static void read_range(outline *o, size_t first, size_t last)
{
    if (o->status == GRADCAM_OK && first < last)
        o->status = gc_store_read(o->store, o->bytes + first, last - first, first, o->error);
}

/* Makes [begin, end) readable. Callers go through the file from front to back. */
static void want(outline *o, const uint8_t *begin, const uint8_t *end)
{
    size_t first = (size_t)(begin - o->bytes), last = (size_t)(end - o->bytes);
    first = first > o->mark ? first : o->mark;
    if (first >= last)
        return;
    last = last - first > WINDOW ? last : first + WINDOW;
    last = last < o->size ? last : o->size;
    read_range(o, first, last);
    o->mark = last;
}

/* As gc_wire_next, once the head of the field is readable; false also after a failure. */
static bool next(outline *o, gc_wire *wire, gc_field *field)
{
    const size_t left = (size_t)(wire->end - wire->at);
    want(o, wire->at, wire->at + (left < HEAD ? left : HEAD));
    return o->status == GRADCAM_OK && gc_wire_next(wire, field);
}

static void want_content(outline *o, const gc_field *field)
{
    if (field->type == GC_WIRE_BYTES)
        want(o, field->content.data, field->content.data + field->content.size);
}

/* A payload in several pieces is joined by protobuf-c, which needs them here. */
static void read_tensor(outline *o, gc_bytes bytes)
{
    gc_wire wire = gc_wire_of(bytes);
    gc_field field;
    int piece_count = 0;
    bool has_gap = false;
    while (next(o, &wire, &field)) {
        const bool is_payload = gc_is_payload(&field);
        const bool is_gap = is_payload && field.content.size >= o->large;
        piece_count += is_payload;
        has_gap |= is_gap;
        if (!is_gap)
            want_content(o, &field);
    }
    const size_t first = (size_t)(bytes.data - o->bytes);
    if (has_gap && piece_count > 1)
        read_range(o, first, first + bytes.size);
}

static void read_graph(outline *o, gc_bytes bytes)
{
    gc_wire wire = gc_wire_of(bytes);
    gc_field field;
    while (next(o, &wire, &field)) {
        if (field.number == GRAPH_INITIALIZER && field.type == GC_WIRE_BYTES)
            read_tensor(o, field.content);
        else
            want_content(o, &field);
    }
}

/* Where the file is malformed, what is behind that place stays unread: the parser gets no further
 * either. */
gradcam_status gc_source_outline(const gc_source *source, gradcam_error *error)
{
    outline o = {.store = source->store,
                 .bytes = (uint8_t *)(uintptr_t)source->bytes.data,
                 .size = source->bytes.size,
                 .large = source->large,
                 .error = error};
    gc_wire wire = gc_wire_of(source->bytes);
    gc_field field;
    want(&o, o.bytes, o.bytes + 1);
    while (next(&o, &wire, &field)) {
        if (field.number == MODEL_GRAPH && field.type == GC_WIRE_BYTES)
            read_graph(&o, field.content);
        else
            want_content(&o, &field);
    }
    return o.status;
}
