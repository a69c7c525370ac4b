/* SPDX-License-Identifier: Apache-2.0 */
#include "picture/deflate.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* A token is a literal byte, or FIRST_RUN + n for a run of n + SHORTEST more of the byte before. */
enum {
    END = 256,
    SYMBOLS = 286,
    LONGEST_CODE = 15,
    SHORTEST = 3,
    LONGEST = 258,
    FIRST_RUN = 256,
    TOKENS = FIRST_RUN + LONGEST - SHORTEST + 1,
    WORTH = 8, /* shorter runs are cheaper as literals */
    ADLER_BASE = 65521,
};

typedef struct code {
    uint32_t bits;
    unsigned count;
} code;

/* ---- Checksum ------------------------------------------------------------------------------- */

/* Sums of weighted bytes instead of running sums, which vectors can do. */
static void add_checksum(gc_deflate *d, const uint8_t *bytes, size_t size)
{
    enum { PART = 4096 }; /* below 5553, where the sum of sums would overflow */
    while (size > 0) {
        const uint32_t count = size < PART ? (uint32_t)size : PART;
        uint32_t sum = 0, weighted = 0;
        for (uint32_t i = 0; i < count; i++) {
            sum += bytes[i];
            weighted += (uint32_t)((uint16_t)(count - i) * bytes[i]);
        }
        d->sum_of_sums =
            (uint32_t)((d->sum_of_sums + (uint64_t)count * d->sum + weighted) % ADLER_BASE);
        d->sum = (d->sum + sum) % ADLER_BASE;
        bytes += count;
        size -= count;
    }
}

/* ---- Runs ----------------------------------------------------------------------------------- */

/* How many of the bytes from `at` on equal the one before; fewer than WORTH count as none. */
static size_t run_length(const uint8_t *bytes, size_t at, size_t size)
{
    uint64_t next;
    if (at == 0 || at + WORTH > size)
        return 0;
    memcpy(&next, bytes + at, sizeof next);
    if (next != bytes[at - 1] * UINT64_C(0x0101010101010101))
        return 0;
    size_t length = WORTH;
    while (length < LONGEST && at + length < size && bytes[at + length] == bytes[at - 1])
        length++;
    return length;
}

static size_t find_tokens(const uint8_t *bytes, size_t size, uint16_t *tokens)
{
    size_t count = 0;
    for (size_t at = 0; at < size;) {
        /* A run that begins at one of the next eight bytes holds the last two of them. */
        if (at + WORTH <= size && bytes[at + WORTH - 2] != bytes[at + WORTH - 1]) {
            for (int i = 0; i < WORTH; i++)
                tokens[count++] = bytes[at++];
            continue;
        }
        const size_t run = run_length(bytes, at, size);
        tokens[count++] = run > 0 ? (uint16_t)(FIRST_RUN + run - SHORTEST) : bytes[at];
        at += run > 0 ? run : 1;
    }
    return count;
}

/* The symbol of a run's length, and the bits that follow it: each four symbols have one bit more
 * than the four before. */
static int run_symbol(int length, int *extra_bits, int *extra)
{
    int rest = length - SHORTEST, bits = 0;
    *extra_bits = *extra = 0;
    if (length == LONGEST)
        return SYMBOLS - 1;
    while (rest >= 8 << bits)
        bits++;
    *extra_bits = bits;
    *extra = rest & ((1 << bits) - 1);
    return 257 + 4 * bits + (rest >> bits);
}

static void count_symbols(const uint16_t *tokens, size_t count, uint32_t uses[SYMBOLS])
{
    uint32_t of_tokens[4][TOKENS] = {{0}}; /* in one, equal neighbours would wait for each other */
    for (size_t i = 0; i < count; i++)
        of_tokens[i % 4][tokens[i]]++;
    memset(uses, 0, SYMBOLS * sizeof *uses);
    for (int t = 0; t < TOKENS; t++) {
        int extra_bits, extra;
        const int symbol =
            t < FIRST_RUN ? t : run_symbol(t - FIRST_RUN + SHORTEST, &extra_bits, &extra);
        for (int i = 0; i < 4; i++)
            uses[symbol] += of_tokens[i][t];
    }
    uses[END] = 1;
}

/* ---- Huffman codes -------------------------------------------------------------------------- */

typedef struct leaf {
    uint32_t uses;
    int symbol, parent;
} leaf;

static int compare_leaves(const void *a, const void *b)
{
    const leaf *const one = a, *const other = b;
    return one->uses != other->uses ? (one->uses < other->uses ? -1 : 1)
                                    : one->symbol - other->symbol;
}

/* Numbers of codes by length. Nodes are made in the order of their weights, so that the lightest
 * two are found at the heads of two queues (van Leeuwen 1976). */
static void count_lengths(leaf *leaves, int count, int lengths[SYMBOLS])
{
    uint32_t weights[SYMBOLS] = {0};
    int parents[SYMBOLS] = {0}, depths[SYMBOLS] = {0};
    int leaf_at = 0, node_at = 0;
    for (int made = 0; made < count - 1; made++)
        for (int child = 0; child < 2; child++) {
            const bool is_leaf =
                leaf_at < count && (node_at == made || leaves[leaf_at].uses <= weights[node_at]);
            weights[made] += is_leaf ? leaves[leaf_at].uses : weights[node_at];
            if (is_leaf)
                leaves[leaf_at++].parent = made;
            else
                parents[node_at++] = made;
        }
    for (int node = count - 3; node >= 0; node--)
        depths[node] = depths[parents[node]] + 1;
    for (int i = 0; i < count; i++)
        lengths[depths[leaves[i].parent] + 1]++;
}

/* Codes that are too long become as long as may be; where that makes too many of them, one moves
 * up beside a shorter one, which thereby gets longer. */
static void limit_lengths(int lengths[SYMBOLS])
{
    uint32_t total = 0;
    for (int l = LONGEST_CODE + 1; l < SYMBOLS; l++) {
        lengths[LONGEST_CODE] += lengths[l];
        lengths[l] = 0;
    }
    for (int l = 1; l <= LONGEST_CODE; l++)
        total += (uint32_t)lengths[l] << (LONGEST_CODE - l);
    for (; total > 1u << LONGEST_CODE; total--) {
        int shorter = LONGEST_CODE - 1;
        while (lengths[shorter] == 0)
            shorter--;
        lengths[LONGEST_CODE]--;
        lengths[shorter]--;
        lengths[shorter + 1] += 2;
    }
}

static uint32_t reversed(uint32_t bits, unsigned count)
{
    uint32_t result = 0;
    for (unsigned i = 0; i < count; i++)
        result |= (bits >> i & 1u) << (count - 1 - i);
    return result;
}

/* Codes of one length follow each other in the order of symbols (RFC 1951, 3.2.2). */
static void assign_codes(const int lengths[SYMBOLS], code codes[SYMBOLS])
{
    uint32_t next[LONGEST_CODE + 1] = {0};
    for (int l = 1; l < LONGEST_CODE; l++)
        next[l + 1] = (next[l] + (uint32_t)lengths[l]) << 1;
    for (int s = 0; s < SYMBOLS; s++)
        if (codes[s].count > 0)
            codes[s].bits = reversed(next[codes[s].count]++, codes[s].count);
}

static void make_codes(const uint32_t uses[SYMBOLS], code codes[SYMBOLS])
{
    leaf leaves[SYMBOLS];
    int lengths[SYMBOLS] = {0}, count = 0;
    for (int s = 0; s < SYMBOLS; s++) {
        codes[s] = (code){0, 0};
        if (uses[s] > 0)
            leaves[count++] = (leaf){.uses = uses[s], .symbol = s};
    }
    qsort(leaves, (size_t)count, sizeof *leaves, compare_leaves);
    count_lengths(leaves, count, lengths);
    limit_lengths(lengths);
    for (int l = LONGEST_CODE, i = 0; l > 0; l--)
        for (int k = 0; k < lengths[l]; k++)
            codes[leaves[i++].symbol].count = (unsigned)l; /* the rarest ones the longest */
    assign_codes(lengths, codes);
}

/* ---- Bits ----------------------------------------------------------------------------------- */

static void add_bits(gc_deflate *d, code c)
{
    d->bits |= (uint64_t)c.bits << d->bit_count;
    d->bit_count += c.count;
}

/* Writes whole bytes; up to 56 bits may have been added. */
static uint8_t *put_bytes(gc_deflate *d, uint8_t *out)
{
    const uint64_t little = htole64(d->bits);
    memcpy(out, &little, sizeof little);
    out += d->bit_count / 8;
    d->bits >>= d->bit_count & ~7u;
    d->bit_count &= 7;
    return out;
}

static uint8_t *put(gc_deflate *d, code c, uint8_t *out)
{
    add_bits(d, c);
    return put_bytes(d, out);
}

/* The lengths of codes are themselves written in a code of four bits each, which needs no
 * repetitions to be small beside a block. */
static uint8_t *put_head(gc_deflate *d, const code codes[SYMBOLS], bool is_last, uint8_t *out)
{
    enum { LENGTHS = 19, UNUSED = 3, DISTANCES = 2, DYNAMIC = 2, OF_LENGTH = 4 };
    out = put(d, (code){is_last ? 1 : 0, 1}, out);
    out = put(d, (code){DYNAMIC, 2}, out);
    out = put(d, (code){SYMBOLS - 257, 5}, out);
    out = put(d, (code){DISTANCES - 1, 5}, out);
    out = put(d, (code){LENGTHS - 4, 4}, out);
    for (int i = 0; i < LENGTHS; i++) /* the first are those for repetitions */
        out = put(d, (code){i < UNUSED ? 0 : OF_LENGTH, 3}, out);
    for (int s = 0; s < SYMBOLS; s++)
        out = put(d, (code){reversed(codes[s].count, OF_LENGTH), OF_LENGTH}, out);
    for (int s = 0; s < DISTANCES; s++) /* a single one would be an incomplete code */
        out = put(d, (code){reversed(1, OF_LENGTH), OF_LENGTH}, out);
    return out;
}

/* What a token becomes; behind a run the distance 1, whose code is 0. */
static void make_table(const code codes[SYMBOLS], code table[TOKENS])
{
    memcpy(table, codes, FIRST_RUN * sizeof *table);
    for (int t = FIRST_RUN; t < TOKENS; t++) {
        int extra_bits, extra;
        const code c = codes[run_symbol(t - FIRST_RUN + SHORTEST, &extra_bits, &extra)];
        table[t] = (code){c.bits | (uint32_t)extra << c.count, c.count + (unsigned)extra_bits + 1};
    }
}

static uint8_t *put_tokens(gc_deflate *d, const code table[TOKENS], const uint16_t *tokens,
                           size_t count, uint8_t *out)
{
    gc_deflate local = *d; /* in registers: `out` might be anything */
    size_t i = 0;
    for (; i + 1 < count; i += 2) { /* at most 21 bits each */
        add_bits(&local, table[tokens[i]]);
        add_bits(&local, table[tokens[i + 1]]);
        out = put_bytes(&local, out);
    }
    if (i < count)
        out = put(&local, table[tokens[i]], out);
    *d = local;
    return out;
}

static uint8_t *put_end(gc_deflate *d, uint8_t *out)
{
    out = put(d, (code){0, -d->bit_count % 8}, out);
    const uint32_t sums[] = {d->sum_of_sums >> 8, d->sum_of_sums & 255, d->sum >> 8, d->sum & 255};
    for (int i = 0; i < 4; i++)
        out = put(d, (code){sums[i], 8}, out);
    return out;
}

/* No code is longer than 15 bits, a byte's or, with what follows it, a run's per byte; the head
 * takes 150 bytes, and `put` writes eight at a time. */
size_t gc_deflate_bound(size_t size)
{
    return 2 * size + 256;
}

size_t gc_deflate_block(gc_deflate *stream, const uint8_t *bytes, size_t size, bool is_last,
                        uint16_t *tokens, uint8_t *out)
{
    uint32_t uses[SYMBOLS];
    code codes[SYMBOLS], table[TOKENS];
    uint8_t *at = out;
    if (!stream->is_started)
        at = put(stream, (code){0x0178, 16}, at); /* deflate, window of 32 KiB, fast */
    stream->is_started = true;
    add_checksum(stream, bytes, size);
    const size_t count = find_tokens(bytes, size, tokens);
    count_symbols(tokens, count, uses);
    make_codes(uses, codes);
    make_table(codes, table);
    at = put_head(stream, codes, is_last, at);
    at = put_tokens(stream, table, tokens, count, at);
    at = put(stream, codes[END], at);
    if (is_last)
        at = put_end(stream, at);
    return (size_t)(at - out);
}
