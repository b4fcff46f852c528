/* btf.c - mutations of BTF: a header, types behind each other, strings.
 *
 * As with ELF, the parts are taken, one is changed, and the header's sizes follow. */
#include "btf.h"
#include "mutate.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER = 24, TYPE = EB_BTF_HEAD, TYPES_MOST = 4096 };

typedef struct blob {
    bool big;
    size_t types_at, types_size, strings_at, strings_size; /* in the input */
    uint32_t count;
    uint32_t at[TYPES_MOST + 1]; /* of each type, in the types; ends with their size */
} blob;

/* Bytes behind a type's head. */
static size_t rest_of(uint32_t info) {
    eb_btf_layout layout = {0, 0};
    if ((info >> 24 & 31) < EB_BTF_KINDS)
        layout = eb_btf_layouts[info >> 24 & 31];
    return layout.own + (size_t)layout.each * (info & 0xffff);
}

static uint32_t info_at(const blob *b, const uint8_t *data, uint32_t at) {
    return eb_get32(data + b->types_at + at + 4, b->big);
}

/* The parts of `data`; false when it has not this shape. */
static bool take_apart(blob *b, const uint8_t *data, size_t size) {
    if (size < HEADER || (data[0] != 0xeb && data[0] != 0x9f))
        return false;
    b->big = data[0] == 0xeb;
    uint64_t header = eb_get32(data + 4, b->big);
    uint64_t types = eb_get32(data + 8, b->big) + header,
             strings = eb_get32(data + 16, b->big) + header;
    b->types_size = eb_get32(data + 12, b->big);
    b->strings_size = eb_get32(data + 20, b->big);
    if (types > size || b->types_size > size - types || strings > size ||
        b->strings_size > size - strings || types + b->types_size > strings)
        return false;
    b->types_at = (size_t)types;
    b->strings_at = (size_t)strings;
    size_t at = 0;
    for (b->count = 0; b->count < TYPES_MOST && at + TYPE <= b->types_size; b->count++) {
        b->at[b->count] = (uint32_t)at;
        at += TYPE + rest_of(info_at(b, data, (uint32_t)at));
    }
    b->at[b->count] = (uint32_t)at;
    return at == b->types_size;
}

/* The sizes in the header, after the types or strings have grown. */
static void set_sizes(const blob *b, uint8_t *data) {
    uint32_t header = eb_get32(data + 4, b->big);
    eb_set32(data + 12, b->big, (uint32_t)b->types_size);
    eb_set32(data + 16, b->big, (uint32_t)(b->strings_at - header));
    eb_set32(data + 20, b->big, (uint32_t)b->strings_size);
}

/* The types grow by (or lose) `grown` bytes. */
static void move_types(blob *b, uint8_t *data, ptrdiff_t grown) {
    b->types_size = (size_t)((ptrdiff_t)b->types_size + grown);
    b->strings_at = (size_t)((ptrdiff_t)b->strings_at + grown);
    set_sizes(b, data);
}

/* ---- changes ---- */

static size_t copy_type(blob *b, uint8_t *data, size_t size, size_t most, uint32_t type,
                        chance *dice) {
    uint32_t length = b->at[type + 1] - b->at[type], to = roll(dice, 3) ? b->count : type;
    uint8_t copy[1024];
    if (length > sizeof copy)
        return size;
    memcpy(copy, data + b->types_at + b->at[type], length);
    if (!open_gap(data, &size, most, b->types_at + b->at[to], length))
        return size;
    memcpy(data + b->types_at + b->at[to], copy, length);
    move_types(b, data, length);
    return size;
}

/* A new, small type of any kind, referring to any other, at the end. */
static size_t add_type(blob *b, uint8_t *data, size_t size, size_t most, chance *dice) {
    uint32_t kind = 1 + roll(dice, 20), count = roll(dice, 4);
    uint32_t info = (uint32_t)roll(dice, 2) << 31 | kind << 24 | count;
    size_t length = TYPE + rest_of(info), to = b->types_at + b->types_size;
    if (!open_gap(data, &size, most, to, length))
        return size;
    uint8_t *at = data + to;
    for (size_t word = 0; word < length; word += 4) /* small numbers: names, types, offsets */
        eb_set32(at + word, b->big, roll(dice, roll(dice, 2) ? 64 : b->count + 2));
    if (roll(dice, 2))
        eb_set32(at, b->big, roll(dice, (uint32_t)b->strings_size));
    eb_set32(at + 4, b->big, info);
    move_types(b, data, (ptrdiff_t)length);
    return size;
}

static size_t drop_type(blob *b, uint8_t *data, size_t size, uint32_t type) {
    uint32_t length = b->at[type + 1] - b->at[type];
    close_gap(data, &size, b->types_at + b->at[type], length);
    move_types(b, data, -(ptrdiff_t)length);
    return size;
}

/* A member more (a copy of another one) or less. */
static size_t change_members(blob *b, uint8_t *data, size_t size, size_t most, uint32_t type,
                             chance *dice) {
    uint8_t *at = data + b->types_at + b->at[type];
    uint32_t info = eb_get32(at + 4, b->big), count = info & 0xffff;
    uint32_t kind = info >> 24 & 31;
    size_t each = kind < EB_BTF_KINDS ? eb_btf_layouts[kind].each : 0;
    if (!each || !count)
        return size;
    size_t from = b->types_at + b->at[type] + TYPE + each * roll(dice, count);
    if (roll(dice, 3) == 0) {
        close_gap(data, &size, from, each);
        eb_set32(at + 4, b->big, info - 1);
        move_types(b, data, -(ptrdiff_t)each);
    } else if (count < 0xffff && open_gap(data, &size, most, from, each)) {
        memcpy(data + from, data + from + each, each);
        eb_set32(at + 4, b->big, info + 1);
        move_types(b, data, (ptrdiff_t)each);
    }
    return size;
}

/* Another kind of the same length, or with its flag turned. */
static void change_kind(const blob *b, uint8_t *data, uint32_t type, chance *dice) {
    uint8_t *at = data + b->types_at + b->at[type] + 4;
    uint32_t info = eb_get32(at, b->big);
    uint32_t other = (info & 0xe0ffffff) | (1 + roll(dice, 20)) << 24;
    if (roll(dice, 3) == 0)
        eb_set32(at, b->big, info ^ UINT32_C(1) << 31);
    else if (rest_of(other) == rest_of(info))
        eb_set32(at, b->big, other);
    else
        odd_field(dice, at, 4, b->big, info);
}

static void change_word(const blob *b, uint8_t *data, uint32_t type, chance *dice) {
    uint32_t words = (b->at[type + 1] - b->at[type]) / 4, word = roll(dice, words);
    uint8_t *at = data + b->types_at + b->at[type] + word * 4;
    if (word == 1)
        change_kind(b, data, type, dice);
    else if (word == 0)
        eb_set32(at, b->big, roll(dice, (uint32_t)b->strings_size + 1));
    else if (roll(dice, 2))
        eb_set32(at, b->big, roll(dice, b->count + 2));
    else
        odd_field(dice, at, 4, b->big, roll(dice, 2) ? type : b->count);
}

static size_t change_strings(blob *b, uint8_t *data, size_t size, size_t most, chance *dice) {
    static const char path[] = "0123456789:\0_";
    size_t at = b->strings_at + roll(dice, (uint32_t)b->strings_size);
    if (roll(dice, 2)) {
        data[at] = (uint8_t)path[roll(dice, sizeof path - 1)];
        return size;
    }
    if (open_gap(data, &size, most, at, 1)) {
        data[at] = (uint8_t)path[roll(dice, sizeof path - 1)];
        b->strings_size++;
        set_sizes(b, data);
    }
    return size;
}

size_t mutate_btf(uint8_t *data, size_t size, size_t most, chance *dice) {
    blob *b = malloc(sizeof *b);
    if (!b)
        return size;
    uint32_t what = roll(dice, 16);
    if (!take_apart(b, data, size) || b->count == 0 || b->strings_size == 0 || what == 0) {
        free(b);
        return LLVMFuzzerMutate(data, size, most);
    }
    uint32_t type = roll(dice, b->count);
    if (what == 1)
        odd_field(dice, data + 4 + (size_t)4 * roll(dice, 5), 4, b->big, size);
    else if (what < 4)
        size = change_strings(b, data, size, most, dice);
    else if (what == 4)
        size = drop_type(b, data, size, type);
    else if (what < 7)
        size = add_type(b, data, size, most, dice);
    else if (what == 7)
        size = copy_type(b, data, size, most, type, dice);
    else if (what < 10)
        size = change_members(b, data, size, most, type, dice);
    else
        change_word(b, data, type, dice);
    free(b);
    return size;
}
