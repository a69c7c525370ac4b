/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/source.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

bool gc_source_left_in_file(const gc_source *source, gc_bytes payload, uint64_t *offset)
{
    const uintptr_t begin = (uintptr_t)source->bytes.data, at = (uintptr_t)payload.data;
    if (source->store == NULL || payload.size < source->large || at < begin ||
        at - begin >= source->bytes.size)
        return false;
    *offset = at - begin;
    return true;
}

/* Room for the whole file. Of pages that are never read, none is ever made. */
static gradcam_status reserve(gc_source *source, size_t size, gradcam_error *error)
{
    void *const bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    GC_FAIL_IF(bytes == MAP_FAILED, error, GRADCAM_ERROR_MEMORY,
               "no room for a file of %zu bytes: %s", size, strerror(errno));
    source->bytes = (gc_bytes){bytes, size};
    return GRADCAM_OK;
}

static gradcam_status read_file(gc_source *source, gc_file_limit limit, gradcam_error *error)
{
    const uint64_t size = gc_store_size(source->store);
    GC_FAIL_IF(size == 0, error, GRADCAM_ERROR_MODEL, "the file is empty");
    if (size > limit.bytes)
        return gc_limit_exceeded(limit, "too large", size, error);
    GC_TRY(reserve(source, (size_t)size, error));
    return gc_source_outline(source, error);
}

gradcam_status gc_source_open(gc_source *source, const char *path, size_t large,
                              gc_file_limit limit, gradcam_error *error)
{
    *source = (gc_source){.large = large > 0 ? large : GC_LARGE_PAYLOAD};
    GC_TRY(gc_store_open(&source->store, path, true, error));
    const gradcam_status status = read_file(source, limit, error);
    if (status != GRADCAM_OK)
        gc_source_close(source);
    return status;
}

void gc_source_close(gc_source *source)
{
    if (source->store != NULL && source->bytes.data != NULL)
        munmap((void *)(uintptr_t)source->bytes.data, source->bytes.size);
    gc_store_release(source->store);
    *source = (gc_source){.folder = NULL};
}

/* ---- What else people pass ------------------------------------------------------------------- */

static const struct {
    const char *magic;
    size_t offset, length;
    const char *text;
} kinds[] = {
    {"version https://git-lfs", 0, 23,
     "this is a git-lfs pointer, not the model itself; fetch it with 'git lfs pull'"},
    {"\x89HDF\r\n\x1a\n", 0, 8, "this is an HDF5 file (Keras .h5); convert it with tf2onnx"},
    {"TFL3", 4, 4, "this is a TensorFlow Lite model; convert it with 'tf2onnx --tflite'"},
    {"ORTM", 4, 4, "this is an ONNX Runtime .ort model; use the .onnx file it was made from"},
    {"GGUF", 0, 4, "this is a GGUF file, which holds no network graph; export to ONNX"},
    {"\x80\x02", 0, 2,
     "this is a Python pickle (an old PyTorch .pt or .pth?); export it with torch.onnx.export"},
    {"\x80\x03", 0, 2, "this is a Python pickle; export the model with torch.onnx.export"},
    {"\x80\x04", 0, 2, "this is a Python pickle; export the model with torch.onnx.export"},
    {"\x80\x05", 0, 2, "this is a Python pickle; export the model with torch.onnx.export"},
    {"\x1f\x8b", 0, 2, "this is a gzip file; unpack it first"},
    {"\x28\xb5\x2f\xfd", 0, 4, "this is a Zstandard file; unpack it first"},
    {"\xfd"
     "7zXZ",
     0, 5, "this is an xz file; unpack it first"},
    {"\x93NUMPY", 0, 6, "this is a NumPy array, not a model"},
    {"<?xml", 0, 5, "this is an XML file (OpenVINO?); use the ONNX file it was made from"},
    {"<!DOCTYPE", 0, 9, "this is a web page, not a model; download the file again"},
    {"<html", 0, 5, "this is a web page, not a model; download the file again"},
    {"\x89PNG", 0, 4, "this is a PNG picture, not a model; are the arguments swapped?"},
    {"\xff\xd8\xff", 0, 3, "this is a JPEG picture, not a model; are the arguments swapped?"},
};

static bool contains(gc_bytes bytes, const char *text)
{
    const size_t length = strlen(text);
    for (size_t i = 0; i + length <= bytes.size; i++)
        if (memcmp(bytes.data + i, text, length) == 0)
            return true;
    return false;
}

/* The first member's name tells one zip from another. */
static const char *recognise_zip(gc_bytes bytes)
{
    if (bytes.size < 64 || memcmp(bytes.data, "PK\x03\x04", 4) != 0)
        return NULL;
    const gc_bytes head = {bytes.data + 30, bytes.size < 160 ? bytes.size - 30 : 130};
    if (contains(head, "data.pkl") || contains(head, "/version") || contains(head, "/byteorder"))
        return "this is a PyTorch .pt file; export it with torch.onnx.export";
    if (contains(head, ".npy"))
        return "this is a NumPy .npz file, not a model";
    if (contains(head, ".json"))
        return "this looks like a Keras .keras file; convert it with tf2onnx";
    return "this is a zip archive; unpack it, or export the model to ONNX";
}

/* A length of eight bytes, then JSON. */
static const char *recognise_safetensors(gc_bytes bytes)
{
    if (bytes.size < 10 || memcmp(bytes.data + 5, "\0\0\0{\"", 5) != 0)
        return NULL;
    return "this is a safetensors file, which holds weights but no network graph; export the "
           "model with torch.onnx.export";
}

const char *gc_source_recognise(gc_bytes bytes)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (bytes.size >= kinds[i].offset + kinds[i].length &&
            memcmp(bytes.data + kinds[i].offset, kinds[i].magic, kinds[i].length) == 0)
            return kinds[i].text;
    const char *const zip = recognise_zip(bytes);
    return zip != NULL ? zip : recognise_safetensors(bytes);
}
