/* str.c - see str.h. */
#include "str.h"

#include <string.h>

#include "ebpf.h"

eb_str eb_str_from(const char *text) {
    return (eb_str){text, strlen(text)};
}

bool eb_str_eq(eb_str a, eb_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool eb_str_is(eb_str a, const char *text) {
    return eb_str_eq(a, eb_str_from(text));
}

bool eb_str_starts(eb_str a, const char *prefix) {
    size_t len = strlen(prefix);
    return a.len >= len && memcmp(a.at, prefix, len) == 0;
}

eb_str eb_str_copy(eb_arena *arena, eb_str text) {
    char *at = eb_alloc(arena, text.len + 1);
    if (text.len)
        memcpy(at, text.at, text.len);
    return (eb_str){at, text.len};
}

uint32_t eb_str_hash(eb_str text) {
    uint32_t hash = EB_HASH_START; /* FNV-1a: short keys, the same on every host */
    for (size_t i = 0; i < text.len; i++)
        hash = EB_HASH_STEP(hash, text.at[i]);
    return EB_HASH_END(hash);
}

unsigned eb_utf8_length(const char *text, size_t left) {
    const uint8_t *at = (const uint8_t *)text;
    uint8_t c = at[0];
    unsigned n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : 0;
    if (c >= 0xf0 && c < 0xf5)
        n = 4;
    if (n == 0 || n > left)
        return 0;
    for (unsigned i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) || (c == 0xf0 && at[1] < 0x90) ||
        (c == 0xf4 && at[1] > 0x8f))
        return 0;
    return n;
}

static uint32_t utf8_char(const char *text, unsigned length) {
    uint32_t c = length > 1 ? (uint8_t)text[0] & (0xffu >> (length + 1)) : (uint8_t)text[0];
    for (unsigned i = 1; i < length; i++)
        c = c << 6 | ((uint8_t)text[i] & 0x3f);
    return c;
}

unsigned eb_utf8_width(const char *text, unsigned length) {
    /* Unicode's wide and full-width blocks, and of what has no width the marks that are common. */
    static const struct {
        uint32_t first, last, width;
    } ranges[] = {{0x300, 0x36f, 0},     {0x1100, 0x115f, 2},   {0x200b, 0x200f, 0},
                  {0x2e80, 0x303e, 2},   {0x3041, 0xa4cf, 2},   {0xac00, 0xd7a3, 2},
                  {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},   {0xfe30, 0xfe6f, 2},
                  {0xff00, 0xff60, 2},   {0xffe0, 0xffe6, 2},   {0x1f300, 0x1f64f, 2},
                  {0x1f680, 0x1f6ff, 2}, {0x1f900, 0x1f9ff, 2}, {0x20000, 0x3fffd, 2}};
    uint32_t c = utf8_char(text, length);
    for (size_t n = 0; n < sizeof ranges / sizeof ranges[0]; n++)
        if (c >= ranges[n].first && c <= ranges[n].last)
            return ranges[n].width;
    return 1;
}

/* Only the cells near the diagonal are computed that may lead to `most`, and none behind a row that
 * has no such cell: against most names of a long list, that is its first rows. */
unsigned eb_str_distance(eb_str a, eb_str b, unsigned most) {
    enum { LONGEST = 63 };
    unsigned rows[3][LONGEST + 2];
    size_t gap = a.len > b.len ? a.len - b.len : b.len - a.len;
    if (a.len > LONGEST || b.len > LONGEST || gap > most)
        return most + 1;
    unsigned width = (unsigned)b.len;
    for (unsigned j = 0; j <= width; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        unsigned from = i > most ? i - most : 1, to = i + most < width ? i + most : width;
        unsigned least = row[from - 1] = from == 1 ? i : most + 1;
        if (i + most <= width)
            above[to] = most + 1; /* it was outside */
        for (unsigned j = from; j <= to; j++) {
            unsigned best = above[j - 1] + (a.at[i - 1] != b.at[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1] &&
                above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            row[j] = best;
            least = best < least ? best : least;
        }
        if (least > most)
            return most + 1;
    }
    unsigned distance = rows[a.len % 3][b.len];
    return distance > most ? most + 1 : distance;
}

eb_near eb_near_to(eb_str name) {
    return (eb_near){.name = name, .most = (unsigned)(name.len / 3)};
}

bool eb_near_try(eb_near *near, eb_str name, unsigned rank) {
    unsigned distance = eb_str_distance(name, near->name, near->most);
    if (!distance || distance > near->most)
        return false;
    bool as_near = near->best.len && distance == near->most;
    if (as_near && rank == near->rank)
        near->tied = near->tied || !eb_str_eq(name, near->best);
    if (as_near && rank >= near->rank)
        return false;
    *near = (eb_near){near->name, name, distance, rank, false};
    return true;
}

bool eb_near_found(const eb_near *near) {
    return near->best.len && !near->tied;
}

/* ---- buffer ---- */

uint8_t *eb_buf_reserve(eb_buf *buf, size_t size) {
    if (size > buf->cap - buf->len) {
        if (size > SIZE_MAX / 4 || buf->len > SIZE_MAX / 4)
            eb_fail(buf->arena, EBPF_E_NOMEM);
        size_t cap = buf->cap < 64 ? 128 : buf->cap * 2;
        if (cap < buf->len + size)
            cap = buf->len + size;
        uint8_t *at = eb_alloc(buf->arena, cap);
        if (buf->len)
            memcpy(at, buf->at, buf->len);
        buf->at = at;
        buf->cap = cap;
    }
    return buf->at ? buf->at + buf->len : NULL; /* NULL + 0 is undefined in C */
}

uint8_t *eb_buf_room(eb_buf *buf, size_t size) {
    uint8_t *room = eb_buf_reserve(buf, size);
    buf->len += size;
    return size ? memset(room, 0, size) : room;
}

void eb_buf_put(eb_buf *buf, const void *bytes, size_t size) {
    if (!size)
        return;
    memcpy(eb_buf_reserve(buf, size), bytes, size);
    buf->len += size;
}

void eb_buf_str(eb_buf *buf, eb_str text) {
    eb_buf_put(buf, text.at, text.len);
}

void eb_buf_byte(eb_buf *buf, uint8_t byte) {
    *eb_buf_reserve(buf, 1) = byte;
    buf->len++;
}

void eb_buf_align(eb_buf *buf, size_t align) {
    size_t over = align ? buf->len % align : 0;
    if (over)
        eb_buf_room(buf, align - over);
}

/* ---- formatting ---- */

typedef struct spec {
    bool zero, plus;
    unsigned width;
    int length; /* 0 int, 1 long, 2 long long, 3 size_t */
} spec;

static void put_number(eb_buf *buf, spec s, uint64_t value, bool negative, unsigned base) {
    char digits[24];
    unsigned n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    unsigned sign = negative || s.plus;
    if (sign && s.zero)
        eb_buf_byte(buf, negative ? '-' : '+');
    for (unsigned i = n + sign; i < s.width; i++)
        eb_buf_byte(buf, s.zero ? '0' : ' ');
    if (sign && !s.zero)
        eb_buf_byte(buf, negative ? '-' : '+');
    while (n)
        eb_buf_byte(buf, (uint8_t)digits[--n]);
}

static uint64_t take_unsigned(va_list *args, int length) {
    switch (length) {
    case 1:
        return va_arg(*args, unsigned long);
    case 2:
        return va_arg(*args, unsigned long long);
    case 3:
        return va_arg(*args, size_t);
    default:
        return va_arg(*args, unsigned);
    }
}

static int64_t take_signed(va_list *args, int length) {
    switch (length) {
    case 1:
        return va_arg(*args, long);
    case 2:
        return va_arg(*args, long long);
    case 3:
        return (int64_t)va_arg(*args, size_t);
    default:
        return va_arg(*args, int);
    }
}

static void put_text(eb_buf *buf, spec s, eb_str text) {
    eb_buf_str(buf, text);
    for (size_t i = text.len; i < s.width; i++)
        eb_buf_byte(buf, ' '); /* strings are padded to the right: %-*s is what tables want */
}

void eb_buf_vfmt(eb_buf *buf, const char *f, va_list args0) {
    va_list args;
    va_copy(args, args0);
    while (*f) {
        const char *from = f;
        while (*f && *f != '%')
            f++;
        eb_buf_put(buf, from, (size_t)(f - from));
        if (!*f)
            break;
        f++;
        spec s = {0};
        int precision = -1;
        for (; *f == '0' || *f == '+' || *f == '-'; f++) {
            s.zero |= *f == '0';
            s.plus |= *f == '+';
        }
        for (; *f >= '0' && *f <= '9'; f++)
            s.width = s.width * 10 + (unsigned)(*f - '0');
        if (*f == '*') {
            s.width = (unsigned)va_arg(args, int);
            f++;
        }
        if (f[0] == '.' && f[1] == '*') {
            precision = va_arg(args, int);
            f += 2;
        }
        for (; *f == 'l' || *f == 'z'; f++)
            s.length = *f == 'z' ? 3 : s.length + 1;
        switch (*f) {
        case 's': {
            const char *text = va_arg(args, const char *);
            put_text(buf, s,
                     precision >= 0 ? (eb_str){text, (size_t)precision} : eb_str_from(text));
            break;
        }
        case 'c':
            eb_buf_byte(buf, (uint8_t)va_arg(args, int));
            break;
        case 'd':
        case 'i': {
            int64_t value = take_signed(&args, s.length);
            put_number(buf, s, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, 10);
            break;
        }
        case 'u':
            put_number(buf, s, take_unsigned(&args, s.length), false, 10);
            break;
        case 'x':
            put_number(buf, s, take_unsigned(&args, s.length), false, 16);
            break;
        case '%':
            eb_buf_byte(buf, '%');
            break;
        default: /* the compiler checks formats; an unknown one shows itself */
            eb_buf_byte(buf, '?');
            break;
        }
        if (*f)
            f++;
    }
    va_end(args);
}

void eb_buf_fmt(eb_buf *buf, const char *format, ...) {
    va_list args;
    va_start(args, format);
    eb_buf_vfmt(buf, format, args);
    va_end(args);
}

eb_str eb_str_fmt(eb_arena *arena, const char *format, ...) {
    eb_buf buf = {.arena = arena};
    va_list args;
    va_start(args, format);
    eb_buf_vfmt(&buf, format, args);
    va_end(args);
    eb_buf_byte(&buf, 0);
    return (eb_str){(const char *)buf.at, buf.len - 1};
}

void eb_buf_utf8(eb_buf *out, uint32_t c) {
    if (c < 0x80) {
        eb_buf_byte(out, (uint8_t)c);
    } else if (c < 0x800) {
        eb_buf_byte(out, (uint8_t)(0xc0 | c >> 6));
        eb_buf_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        eb_buf_byte(out, (uint8_t)(0xe0 | c >> 12));
        eb_buf_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        eb_buf_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        eb_buf_byte(out, (uint8_t)(0xf0 | (c >> 18 & 7)));
        eb_buf_byte(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        eb_buf_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        eb_buf_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    }
}
