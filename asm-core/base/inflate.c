/* inflate.c - DEFLATE, decompressing only (RFC 1951): the packed header set is stored so.
 *
 * A Huffman code is canonical: the lengths of its words say all. Words of up to FAST bits are
 * looked up in a table of what the next FAST bits of the stream mean; the few that are longer are
 * counted out, length by length. Past the end of the input the stream reads as zeroes, and having
 * read any of them is the error. */
#include "inflate.h"

#include <string.h>

enum { FAST = 10, LENGTH_MOST = 15, LITERALS_MOST = 288, DISTANCES_MOST = 32 };

typedef struct stream {
    const uint8_t *in, *in_end;
    uint64_t bits; /* not used yet, the next one lowest */
    unsigned count;
    unsigned missing; /* of them, made up behind the end */
    uint8_t *out;
    size_t done, size;
} stream;

typedef struct code {
    uint16_t fast[1 << FAST]; /* symbol << 4 | length, or 0 */
    uint16_t count[LENGTH_MOST + 1];
    uint16_t symbol[LITERALS_MOST]; /* in the order of their words */
} code;

/* At least 48 bits in s->bits. */
static void fill(stream *s) {
    while (s->count <= 48) {
        if (s->in < s->in_end)
            s->bits |= (uint64_t)*s->in++ << s->count;
        else
            s->missing += 8;
        s->count += 8;
    }
}

static uint32_t take(stream *s, unsigned count) {
    fill(s);
    uint32_t value = (uint32_t)(s->bits & ((1u << count) - 1));
    s->bits >>= count;
    s->count -= count;
    return value;
}

static bool overrun(const stream *s) {
    return s->missing > s->count;
}

static unsigned reversed(unsigned word, unsigned length) {
    unsigned result = 0;
    for (unsigned i = 0; i < length; i++)
        result |= (word >> i & 1) << (length - 1 - i);
    return result;
}

/* The code whose words have these lengths, 0 for none; false when there is no such code. A single
 * word, or none, is allowed: a stream need not use distances. */
static bool make_code(code *c, const uint8_t *lengths, unsigned symbols) {
    uint16_t start[LENGTH_MOST + 2] = {0}, word[LENGTH_MOST + 2] = {0};
    memset(c, 0, sizeof *c);
    for (unsigned n = 0; n < symbols; n++)
        c->count[lengths[n]]++;
    c->count[0] = 0;
    int left = 1;
    for (unsigned length = 1; length <= LENGTH_MOST; length++) {
        left = left * 2 - c->count[length];
        if (left < 0)
            return false;
        start[length + 1] = (uint16_t)(start[length] + c->count[length]);
        word[length + 1] = (uint16_t)((word[length] + c->count[length]) << 1);
    }
    for (unsigned n = 0; n < symbols; n++) {
        unsigned length = lengths[n];
        if (!length)
            continue;
        c->symbol[start[length]++] = (uint16_t)n;
        unsigned bits = reversed(word[length]++, length);
        for (; length <= FAST && bits < 1u << FAST; bits += 1u << length)
            c->fast[bits] = (uint16_t)(n << 4 | length);
    }
    return left == 0 || start[LENGTH_MOST + 1] <= 1;
}

/* The next symbol, or -1. */
static int decode(stream *s, const code *c) {
    fill(s);
    unsigned entry = c->fast[s->bits & ((1u << FAST) - 1)];
    if (entry) {
        s->bits >>= entry & 15;
        s->count -= entry & 15;
        return (int)(entry >> 4);
    }
    int word = 0, first = 0, index = 0;
    for (unsigned length = 1; length <= LENGTH_MOST; length++) {
        word |= (int)take(s, 1);
        int count = c->count[length];
        if (word - count < first)
            return c->symbol[index + (word - first)];
        index += count;
        first = (first + count) << 1;
        word <<= 1;
    }
    return -1;
}

static bool put_match(stream *s, size_t length, size_t distance) {
    if (distance > s->done || length > s->size - s->done)
        return false;
    for (; length; length--, s->done++) /* it may overlap itself: byte by byte */
        s->out[s->done] = s->out[s->done - distance];
    return true;
}

/* A block's symbols up to its end. */
static bool read_symbols(stream *s, const code *literals, const code *distances) {
    static const uint16_t length_base[] = {3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                           15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                           67, 83, 99, 115, 131, 163, 195, 227, 258};
    static const uint8_t length_bits[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                          2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    for (int symbol; (symbol = decode(s, literals)) != 256;) {
        if (symbol < 0 || symbol > 285 || overrun(s) || s->done == s->size)
            return false;
        if (symbol < 256) {
            s->out[s->done++] = (uint8_t)symbol;
            continue;
        }
        size_t length = length_base[symbol - 257] + take(s, length_bits[symbol - 257]);
        int d = decode(s, distances);
        if (d < 0 || d > 29)
            return false;
        unsigned extra = d < 4 ? 0 : (unsigned)d / 2 - 1;
        size_t base = d < 4 ? (size_t)d + 1 : ((size_t)(2 + d % 2) << extra) + 1;
        if (!put_match(s, length, base + take(s, extra)))
            return false;
    }
    return !overrun(s);
}

static bool fixed_block(stream *s, code *literals, code *distances) {
    uint8_t lengths[LITERALS_MOST];
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    make_code(literals, lengths, LITERALS_MOST);
    memset(lengths, 5, DISTANCES_MOST);
    make_code(distances, lengths, DISTANCES_MOST);
    return read_symbols(s, literals, distances);
}

/* Both codes' lengths are written with a third code; 16 to 18 repeat. */
static bool read_lengths(stream *s, const code *c, uint8_t *lengths, unsigned count) {
    for (unsigned n = 0; n < count;) {
        int symbol = decode(s, c);
        unsigned repeat = 1, value = symbol < 0 ? 0 : (unsigned)symbol;
        if (symbol < 0 || symbol > 18 || (symbol == 16 && !n))
            return false;
        if (symbol == 16) {
            value = lengths[n - 1];
            repeat = 3 + take(s, 2);
        } else if (symbol > 16) {
            value = 0;
            repeat = symbol == 17 ? 3 + take(s, 3) : 11 + take(s, 7);
        }
        if (repeat > count - n)
            return false;
        memset(lengths + n, (int)value, repeat);
        n += repeat;
    }
    return true;
}

static bool coded_block(stream *s, code *literals, code *distances) {
    static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                      11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[LITERALS_MOST + DISTANCES_MOST] = {0}, third[19] = {0};
    unsigned literal_count = take(s, 5) + 257, distance_count = take(s, 5) + 1;
    unsigned third_count = take(s, 4) + 4;
    for (unsigned n = 0; n < third_count; n++)
        third[order[n]] = (uint8_t)take(s, 3);
    return make_code(literals, third, 19) &&
           read_lengths(s, literals, lengths, literal_count + distance_count) &&
           make_code(literals, lengths, literal_count) &&
           make_code(distances, lengths + literal_count, distance_count) &&
           read_symbols(s, literals, distances);
}

static bool stored_block(stream *s) {
    take(s, s->count % 8);
    uint32_t size = take(s, 16), check = take(s, 16);
    if ((size ^ check) != 0xffff || size > s->size - s->done)
        return false;
    for (; size && !overrun(s); size--)
        s->out[s->done++] = (uint8_t)take(s, 8);
    return !overrun(s);
}

bool eb_inflate(const uint8_t *in, size_t in_size, uint8_t *out, size_t size) {
    stream s = {.in = in, .in_end = in_size ? in + in_size : in, .out = out, .size = size};
    code literals, distances;
    for (bool last = false; !last;) {
        last = take(&s, 1);
        unsigned type = take(&s, 2);
        bool ok = type == 0   ? stored_block(&s)
                  : type == 1 ? fixed_block(&s, &literals, &distances)
                  : type == 2 ? coded_block(&s, &literals, &distances)
                              : false;
        if (!ok)
            return false;
    }
    return s.done == size;
}
