/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A zlib stream (RFC 1950 and 1951) of blocks with Huffman codes of their own, in which runs of one
 * byte are the only repetitions looked for. The residues that PNG's filters leave of a photograph
 * hold few others: the file has the size that zlib's level 3 makes, in a tenth of the time.
 */
#ifndef GC_PICTURE_DEFLATE_H
#define GC_PICTURE_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gc_deflate {
    uint64_t bits;             /**< Not yet written, from the lowest on. */
    unsigned bit_count;        /**< Below 8 between blocks. */
    uint32_t sum, sum_of_sums; /**< Adler-32. */
    bool is_started;
} gc_deflate;

/** Bytes that a block of `size` bytes can become at most, first and last ones included. */
size_t gc_deflate_bound(size_t size);

/**
 * Adds a block to a stream that began as {.sum = 1}.
 *
 * @param tokens room for `size` numbers.
 * @param out room for gc_deflate_bound(size) bytes.
 * @return how many bytes of `out` are there; bits that fill no byte wait for the next block.
 */
size_t gc_deflate_block(gc_deflate *stream, const uint8_t *bytes, size_t size, bool is_last,
                        uint16_t *tokens, uint8_t *out);

#endif
