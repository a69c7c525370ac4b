/* SPDX-License-Identifier: Apache-2.0 */
#include "onnx/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a thread reads at once. */
enum { PIECE = 1 << 20 };

/* ---- Reading -------------------------------------------------------------------------------- */

static gradcam_status read_piece(int file, uint8_t *out, size_t size, uint64_t offset,
                                 gradcam_error *error)
{
    while (size > 0) {
        const ssize_t got = pread(file, out, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        GC_FAIL_IF(got < 0, error, GRADCAM_ERROR_FILE, "%s", strerror(errno));
        GC_FAIL_IF(got == 0, error, GRADCAM_ERROR_FILE,
                   "the file became shorter while it was read");
        out += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return GRADCAM_OK;
}

/* All threads: the first touch of a page costs more than the copy. */
gradcam_status gc_source_read(int file, void *out, size_t size, uint64_t offset,
                              gradcam_error *error)
{
    const size_t pieces = (size + PIECE - 1) / PIECE;
    gradcam_error first_error = {.status = GRADCAM_OK};
#pragma omp parallel for schedule(static) if (pieces > 1)
    for (size_t i = 0; i < pieces; i++) {
        gradcam_error local = {.status = GRADCAM_OK};
        const size_t begin = i * PIECE, length = size - begin < PIECE ? size - begin : PIECE;
        if (read_piece(file, (uint8_t *)out + begin, length, offset + begin, &local) == GRADCAM_OK)
            continue;
#pragma omp critical(gc_source_read)
        first_error = local;
    }
    if (first_error.status != GRADCAM_OK && error != NULL)
        *error = first_error;
    return first_error.status;
}

bool gc_source_left_in_file(const gc_source *source, gc_bytes payload, uint64_t *offset)
{
    const uintptr_t begin = (uintptr_t)source->bytes.data, at = (uintptr_t)payload.data;
    if (!source->is_file || payload.size < GC_LARGE_PAYLOAD || at < begin ||
        at - begin >= source->bytes.size)
        return false;
    *offset = at - begin;
    return true;
}

/* ---- Opening -------------------------------------------------------------------------------- */

/* Room for the whole file. Of pages that are never read, none is ever made. */
static gradcam_status reserve(gc_source *source, uint64_t size, gradcam_error *error)
{
    void *const bytes = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    GC_FAIL_IF(bytes == MAP_FAILED, error, GRADCAM_ERROR_MEMORY,
               "no room for a file of %" PRIu64 " bytes: %s", size, strerror(errno));
    source->bytes = (gc_bytes){bytes, (size_t)size};
    return GRADCAM_OK;
}

static gradcam_status read_file(gc_source *source, gc_file_limit limit, gradcam_error *error)
{
    struct stat info;
    GC_FAIL_IF(fstat(source->file, &info) != 0, error, GRADCAM_ERROR_FILE, "%s", strerror(errno));
    GC_FAIL_IF(S_ISDIR(info.st_mode), error, GRADCAM_ERROR_FILE, "is a folder");
    GC_FAIL_IF(!S_ISREG(info.st_mode), error, GRADCAM_ERROR_FILE, "is not a regular file");
    GC_FAIL_IF(info.st_size == 0, error, GRADCAM_ERROR_MODEL, "the file is empty");
    GC_FAIL_IF((uintmax_t)info.st_size > PTRDIFF_MAX, error, GRADCAM_ERROR_LIMIT,
               "the file is too large for this machine");
    if ((uint64_t)info.st_size > limit.bytes)
        return gc_limit_exceeded(limit, "too large", (uint64_t)info.st_size, error);
    GC_TRY(reserve(source, (uint64_t)info.st_size, error));
    return gc_source_outline(source->file, (uint8_t *)(uintptr_t)source->bytes.data,
                             source->bytes.size, error);
}

gradcam_status gc_source_open(gc_source *source, const char *path, gc_file_limit limit,
                              gradcam_error *error)
{
    *source = (gc_source){.folder = NULL};
    /* O_NONBLOCK: a named pipe must not hang us; it is refused below. */
    source->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    GC_FAIL_IF(source->file < 0, error, GRADCAM_ERROR_FILE, "%s", strerror(errno));
    source->is_file = true;
    const gradcam_status status = read_file(source, limit, error);
    if (status != GRADCAM_OK)
        gc_source_close(source);
    return status;
}

void gc_source_close(gc_source *source)
{
    if (source->is_file) {
        close(source->file);
        if (source->bytes.data != NULL)
            munmap((void *)(uintptr_t)source->bytes.data, source->bytes.size);
    }
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
