/* str.h - spans of text, the growable byte buffer, and formatting without stdio. */
#ifndef EB_STR_H
#define EB_STR_H

#include <stdarg.h>
#include <string.h>

#include "arena.h"

/* Text that need not end in NUL. */
typedef struct eb_str {
    const char *at;
    size_t len;
} eb_str;

#define EB_STR(literal) ((eb_str){(literal), sizeof(literal) - 1})

eb_str eb_str_from(const char *text); /* until its NUL */
bool eb_str_eq(eb_str a, eb_str b);
bool eb_str_is(eb_str a, const char *text);
bool eb_str_starts(eb_str a, const char *prefix);
eb_str eb_str_copy(eb_arena *arena, eb_str text); /* with a NUL behind it */
uint32_t eb_str_hash(eb_str text);
/* The same hash for a reader of single characters: start, a step for each, end. */
#define EB_HASH_START         2166136261u
#define EB_HASH_STEP(hash, c) (((hash) ^ (uint8_t)(c)) * 16777619u)
#define EB_HASH_END(hash)     ((hash) ^ (hash) >> 15)
/* The length of the well-formed UTF-8 sequence at `text`, of which `left` (not 0) bytes are there,
 * or 0. Overlong forms, surrogates and what is above U+10FFFF are not well-formed. */
unsigned eb_utf8_length(const char *text, size_t left);
/* How many columns of a terminal such a sequence of `length` bytes takes: 0 to 2. */
unsigned eb_utf8_width(const char *text, unsigned length);
/* Edits (insert, delete, replace, swap neighbours) from a to b, or `most` + 1 when there are more.
 */
unsigned eb_str_distance(eb_str a, eb_str b, unsigned most);

/* The nearest of many names to one that nobody knows: as few edits as any other, and no more than
 * one for each three letters. Of two that are as near, the one of the lower rank. */
typedef struct eb_near {
    eb_str name, best;
    unsigned most; /* edits */
    unsigned rank;
    bool tied; /* two are as near: neither is meant for sure */
} eb_near;

eb_near eb_near_to(eb_str name);
/* Whether `name` is the best so far. */
bool eb_near_try(eb_near *near, eb_str name, unsigned rank);
bool eb_near_found(const eb_near *near);

/* Bytes that grow in an arena. Zeroed but for the arena, it is empty. */
typedef struct eb_buf {
    eb_arena *arena;
    uint8_t *at;
    size_t len, cap;
} eb_buf;

uint8_t *eb_buf_room(eb_buf *buf, size_t size); /* `size` new, zeroed bytes at the end */
/* The end, with room for `size` bytes behind it that are not part of it yet: the caller writes and
 * advances len. */
uint8_t *eb_buf_reserve(eb_buf *buf, size_t size);
void eb_buf_put(eb_buf *buf, const void *bytes, size_t size);
void eb_buf_str(eb_buf *buf, eb_str text);
void eb_buf_byte(eb_buf *buf, uint8_t byte);
/* A character of Unicode as UTF-8. */
void eb_buf_utf8(eb_buf *buf, uint32_t c);
void eb_buf_align(eb_buf *buf, size_t align); /* pad with zeroes */

/* printf's %s %.*s %c %d %i %u %x %p-less subset with l, ll, z, 0, + and widths. */
void eb_buf_fmt(eb_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void eb_buf_vfmt(eb_buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
/* A formatted string in the arena, with a NUL behind it. */
eb_str eb_str_fmt(eb_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- numbers in either byte order ----
 * Here, since readers of large tables spend their time in them: a load and, where the order is not
 * the host's, a swap. */

#define EB_HOST_BIG (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

static inline uint16_t eb_get16(const void *at, bool big) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return big == EB_HOST_BIG ? value : __builtin_bswap16(value);
}

static inline uint32_t eb_get32(const void *at, bool big) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return big == EB_HOST_BIG ? value : __builtin_bswap32(value);
}

static inline uint64_t eb_get64(const void *at, bool big) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return big == EB_HOST_BIG ? value : __builtin_bswap64(value);
}

static inline void eb_set16(void *at, bool big, uint16_t value) {
    value = big == EB_HOST_BIG ? value : __builtin_bswap16(value);
    memcpy(at, &value, sizeof value);
}

static inline void eb_set32(void *at, bool big, uint32_t value) {
    value = big == EB_HOST_BIG ? value : __builtin_bswap32(value);
    memcpy(at, &value, sizeof value);
}

static inline void eb_set64(void *at, bool big, uint64_t value) {
    value = big == EB_HOST_BIG ? value : __builtin_bswap64(value);
    memcpy(at, &value, sizeof value);
}

#endif
