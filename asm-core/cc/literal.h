/* literal.h - what numbers and character constants mean (C11 6.4.4), for #if and for the parser. */
#ifndef EB_LITERAL_H
#define EB_LITERAL_H

#include "ctx.h"

typedef struct eb_integer {
    uint64_t value;
    bool is_unsigned, is_decimal;
    uint8_t longs; /* 0, 1 (l) or 2 (ll) */
    bool overflow; /* it needs more than 64 bits; value is modulo 2^64 */
} eb_integer;

/* False if it is no integer: a floating constant, or a suffix that there is not. */
bool eb_integer_of(eb_str text, eb_integer *out);

typedef struct eb_char_literal {
    int64_t value;
    bool is_unsigned;
    char prefix;    /* 0, L, u, U, or 8 for u8 */
    unsigned count; /* of characters */
} eb_char_literal;

/* A character constant with its quotes. Diagnostics are at `loc`, where it begins. */
eb_char_literal eb_char_of(ebpf_ctx *ctx, eb_str text, eb_loc loc, bool unsigned_char);

/* One character of a literal at *at, escapes resolved: its value; *at goes behind it. `end` is the
 * closing quote, `width` the bytes that a character takes. *raw tells a byte given by number (\x,
 * \0) from a character. */
uint32_t eb_literal_char(ebpf_ctx *ctx, const char **at, const char *end, unsigned width,
                         eb_loc loc, bool *raw);

/* The integer part of a decimal floating constant, such as 1e9; false if 64 bits do not hold it, or
 * for hexadecimal ones. */
bool eb_float_integer(eb_str text, uint64_t *value);

#endif
