/* literal.c - see literal.h. */
#include "literal.h"

static int digit_of(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

static bool suffix_of(eb_str text, eb_integer *out) {
    for (size_t n = 0; n < text.len; n++) {
        char c = (char)(text.at[n] | 0x20);
        if (c == 'u' && !out->is_unsigned) {
            out->is_unsigned = true;
        } else if (c == 'l' && !out->longs) {
            out->longs = 1;
            if (n + 1 < text.len && text.at[n + 1] == text.at[n]) {
                out->longs = 2;
                n++;
            }
        } else {
            return false;
        }
    }
    return true;
}

bool eb_integer_of(eb_str text, eb_integer *out) {
    unsigned base = 10;
    size_t at = 0, digits = 0;
    *out = (eb_integer){0};
    if (text.len > 1 && text.at[0] == '0') {
        char c = (char)(text.at[1] | 0x20);
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        at = base == 8 ? 0 : 2;
    }
    for (; at < text.len; at++, digits++) {
        if (text.at[at] == '\'' && digits) { /* C23: between digits */
            digits--;
            continue;
        }
        unsigned digit = (unsigned)digit_of(text.at[at]);
        if (digit >= base)
            break;
        out->overflow = out->overflow || out->value > (UINT64_MAX - digit) / base;
        out->value = out->value * base + digit;
    }
    out->is_decimal = base == 10;
    return digits && suffix_of((eb_str){text.at + at, text.len - at}, out);
}

/* ---- characters ---- */

static uint32_t utf8_value(const char **at, const char *end) {
    unsigned length = eb_utf8_length(*at, (size_t)(end - *at));
    uint8_t first = (uint8_t) * *at;
    if (length < 2) {
        *at += 1;
        return first;
    }
    uint32_t value = first & (0xffu >> (length + 1));
    for (unsigned n = 1; n < length; n++)
        value = value << 6 | ((uint8_t)(*at)[n] & 0x3f);
    *at += length;
    return value;
}

static uint32_t numbered(ebpf_ctx *ctx, const char **at, const char *end, unsigned base,
                         unsigned most, unsigned width, eb_loc loc) {
    uint64_t value = 0;
    unsigned count = 0;
    for (; *at < end && count < most && digit_of(**at) < (int)base; count++)
        value = ((value & UINT32_MAX) * base + (uint64_t)digit_of(*(*at)++));
    if (!count)
        eb_diag_add(ctx, EB_DIAG_BAD_ESCAPE, loc, loc + 1, 'x');
    if (value >> (width * 8))
        eb_diag_add(ctx, EB_DIAG_ESCAPE_RANGE, loc, loc + 1, width * 8);
    return (uint32_t)value;
}

/* Behind \u or \U, which have four and eight digits. */
static uint32_t universal(ebpf_ctx *ctx, const char **at, const char *end, unsigned digits,
                          eb_loc loc) {
    uint32_t value = 0;
    unsigned count = 0;
    for (; *at < end && count < digits && digit_of(**at) < 16; count++)
        value = value << 4 | (uint32_t)digit_of(*(*at)++);
    if (count < digits || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        eb_diag_add(ctx, EB_DIAG_BAD_UNIVERSAL, loc, loc + 1, digits == 4 ? 'u' : 'U', digits);
    return value;
}

uint32_t eb_literal_char(ebpf_ctx *ctx, const char **at, const char *end, unsigned width,
                         eb_loc loc, bool *raw) {
    static const char letters[] = "abefnrtv", values[] = "\a\b\033\f\n\r\t\v";
    *raw = false;
    if (**at != '\\' || *at + 1 >= end)
        return utf8_value(at, end);
    char c = (*at)[1];
    if (c >= '0' && c <= '7') {
        *raw = true;
        *at += 1;
        return numbered(ctx, at, end, 8, 3, width, loc);
    }
    *at += 2;
    if (c == 'x') {
        *raw = true;
        return numbered(ctx, at, end, 16, 1000, width, loc);
    }
    if (c == 'u' || c == 'U')
        return universal(ctx, at, end, c == 'u' ? 4 : 8, loc);
    for (unsigned n = 0; letters[n]; n++)
        if (c == letters[n])
            return (uint8_t)values[n];
    if (c != '\\' && c != '\'' && c != '"' && c != '?')
        eb_diag_add(ctx, EB_DIAG_UNKNOWN_ESCAPE, loc, loc + 1, c);
    return (uint8_t)c;
}

eb_char_literal eb_char_of(ebpf_ctx *ctx, eb_str text, eb_loc loc, bool unsigned_char) {
    eb_char_literal out = {0};
    const char *at = text.at, *end = text.at + text.len - 1;
    if (*at != '\'') {
        out.prefix = *at == 'u' && at[1] == '8' ? '8' : *at;
        at += out.prefix == '8' ? 2 : 1;
    }
    at++;
    if (at >= end)
        eb_diag_add(ctx, EB_DIAG_EMPTY_CHAR, loc, loc + (eb_loc)text.len);
    uint32_t value = 0;
    unsigned count = 0;
    unsigned width = out.prefix == 'u' ? 2 : out.prefix == 'U' || out.prefix == 'L' ? 4 : 1;
    for (bool raw; at < end; count++) {
        uint32_t c = eb_literal_char(ctx, &at, end, width, loc, &raw);
        /* Plain characters are bytes; several make one int, the last lowest. */
        value = out.prefix ? c : value << 8 | (c & 0xff);
    }
    out.count = count;
    out.is_unsigned = out.prefix && out.prefix != 'L';
    bool byte = count == 1 && !out.prefix;
    out.value = out.is_unsigned || (byte && unsigned_char) ? (int64_t)value
                : byte                                     ? (int8_t)value
                                                           : (int32_t)value;
    return out;
}

static bool times_ten(uint64_t *value, unsigned digit) {
    if (*value > (UINT64_MAX - digit) / 10)
        return false;
    *value = *value * 10 + digit;
    return true;
}

/* Digits, a point among them, an exponent: digits behind the point count as far as the exponent
 * moves it. */
bool eb_float_integer(eb_str text, uint64_t *value) {
    size_t n = 0, point = SIZE_MAX, digits = 0;
    long exponent = 0;
    for (n = 0; n < text.len && (text.at[n] == '.' || (text.at[n] >= '0' && text.at[n] <= '9'));
         n++)
        if (text.at[n] == '.')
            point = digits;
        else
            digits++;
    size_t end = n;
    if (n < text.len && (text.at[n] == 'e' || text.at[n] == 'E')) {
        bool negative = ++n < text.len && text.at[n] == '-';
        n += n < text.len && (text.at[n] == '-' || text.at[n] == '+');
        for (; n < text.len && text.at[n] >= '0' && text.at[n] <= '9' && exponent < 1000; n++)
            exponent = exponent * 10 + (text.at[n] - '0');
        exponent = negative ? -exponent : exponent;
    } else if (n < text.len && (text.at[n] == 'x' || text.at[n] == 'X')) {
        return false;
    }
    long whole = (long)(point == SIZE_MAX ? digits : point) + exponent, seen = 0;
    *value = 0;
    for (n = 0; n < end && seen < whole; n++)
        if (text.at[n] != '.' && (seen++, !times_ten(value, (unsigned)(text.at[n] - '0'))))
            return false;
    for (; seen < whole; seen++)
        if (!times_ten(value, 0))
            return false;
    return true;
}
