/* c.c - mutations of C by tokens: taken out, put in, copied, another of the kind, and whole groups
 * in brackets. */
#include "mutate.h"

#include <string.h>

static const char *const words[] = {
#define PUNCT(id, spelling)         spelling,
#define KEYWORD(id, spelling)       spelling,
#define SPELLED(id, when, spelling) spelling,
#include "token.def"
#define BUILTIN_FUNCTION(id, name, shape) name,
#include "builtin.def"
#define DIRECTIVE(id, name)     "\n#" name,
#define BUILTIN_MACRO(id, name) name,
#define ATTRIBUTE(name)         "__attribute__((" name "))",
#include "predef.def"
};
enum { WORDS = sizeof words / sizeof words[0] };

/* Pieces of programs, each of which is a whole of some kind. */
static const char *const pieces[] = {
    "({ int a = 1; a; })",
    "(struct s){.a = 1}",
    "struct { int a : 3, : 0; union { long b; char c[]; }; }",
    "for (;;) {}",
    "switch (1) { case 1 ... 3: default:; }",
    "_Generic(1, int: 2, default: 3)",
    "asm volatile(\"%0 = %[b]\" : \"=r\"(x) : [b]\"ri\"(1) : \"memory\");",
    "goto l; l:;",
    "typedef int t;",
    "enum e { A, B = -1, C };",
    "\n#define M(a, b...) a ## b #a __VA_OPT__(x)\n",
    "\n#if defined(M) && __has_include(<x>)\n",
    "\n#include \"a.h\"\n",
    "\n#include_next <a.h>\n",
    "_Pragma(\"GCC diagnostic push\")",
    "\n#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)\n",
    "sizeof(int[3])",
    "__builtin_offsetof(struct s, a)",
    "\\\n",
    "/*",
};
enum { PIECES = sizeof pieces / sizeof pieces[0] };

static bool in_word(uint8_t c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* A word, or a byte that is in none. */
static span any_token(const uint8_t *data, size_t size, chance *dice) {
    size_t at = 1 + roll(dice, (uint32_t)size - 1);
    while (at + 1 < size && (data[at] == ' ' || data[at] == '\n'))
        at++;
    size_t end = at + 1;
    if (in_word(data[at])) {
        while (at > 1 && in_word(data[at - 1]))
            at--;
        while (end < size && in_word(data[end]))
            end++;
    }
    return (span){at, end - at};
}

/* From a bracket to the one that closes it, with the word in front; or some token. */
static span any_group(const uint8_t *data, size_t size, chance *dice) {
    span token = any_token(data, size, dice);
    size_t at = token.at;
    while (at < size && !strchr("([{", data[at] ? data[at] : ' '))
        at++;
    if (at == size)
        return token;
    int depth = 0;
    for (size_t end = at; end < size; end++) {
        if (data[end] == '(' || data[end] == '[' || data[end] == '{')
            depth++;
        if ((data[end] == ')' || data[end] == ']' || data[end] == '}') && --depth == 0) {
            while (at > token.at && in_word(data[at - 1]))
                at--;
            return (span){at, end + 1 - at};
        }
    }
    return token;
}

static span any_line(const uint8_t *data, size_t size, chance *dice) {
    return line_at(data, 1, size, 1 + roll(dice, (uint32_t)size - 1));
}

static size_t put_text(uint8_t *data, size_t size, size_t most, span to, const char *text) {
    char spaced[128] = " ";
    size_t length = strlen(text);
    memcpy(spaced + 1, text, length);
    spaced[length + 1] = ' ';
    return put(data, size, most, to, spaced, length + 2);
}

static size_t put_number(uint8_t *data, size_t size, size_t most, span to, chance *dice) {
    char text[32];
    uint64_t left = odd_number(dice, roll(dice, 100), roll(dice, 2) ? 64 : 0, 64);
    unsigned at = sizeof text;
    for (; left || at == sizeof text; left /= 10)
        text[--at] = (char)('0' + left % 10);
    return put(data, size, most, to, text + at, sizeof text - at);
}

/* Words that stand in one another's place, so that a program stays one: types, and operators of two
 * operands, which their spaces set apart. */
static const char *const types[] = {"char",  "short", "int",  "long",  "unsigned", "_Bool", "u8",
                                    "s8",    "u16",   "s16",  "u32",   "s32",      "u64",   "s64",
                                    "__u32", "__u64", "__u8", "__u16", "__s32",    "__s64"};
static const char *const operators[] = {
    " + ",  " - ",  " * ",  " / ",  " % ",  " & ",  " | ",  " ^ ",   " << ", " >> ",
    " < ",  " > ",  " <= ", " >= ", " == ", " != ", " && ", " || ",  " = ",  " += ",
    " -= ", " *= ", " /= ", " %= ", " &= ", " |= ", " ^= ", " <<= ", " >>= "};
enum { TYPES = sizeof types / sizeof types[0], OPERATORS = sizeof operators / sizeof operators[0] };

/* The first word of the table at or behind `at`. */
static span find_word(const uint8_t *data, size_t size, size_t at, const char *const *table,
                      unsigned count) {
    for (; at < size; at++)
        for (unsigned n = 0; n < count; n++) {
            size_t length = strlen(table[n]);
            if (length <= size - at && memcmp(data + at, table[n], length) == 0 &&
                !(in_word(data[at]) && in_word(data[at - 1])) &&
                !(in_word(data[at]) && at + length < size && in_word(data[at + length])))
                return (span){at, length};
        }
    return (span){0};
}

static size_t put_alike(uint8_t *data, size_t size, size_t most, size_t at, chance *dice) {
    bool is_type = roll(dice, 3) == 0;
    const char *const *table = is_type ? types : operators;
    unsigned count = is_type ? TYPES : OPERATORS;
    span old = find_word(data, size, at, table, count);
    const char *word = table[roll(dice, count)];
    return old.size ? put(data, size, most, old, word, strlen(word)) : size;
}

size_t mutate_c(uint8_t *data, size_t size, size_t most, chance *dice) {
    if (size < 3)
        return LLVMFuzzerMutate(data, size, most);
    span token = any_token(data, size, dice), here = {token.at, 0};
    switch (roll(dice, 18)) {
    case 0:
        return put_text(data, size, most, roll(dice, 2) ? here : token, words[roll(dice, WORDS)]);
    case 1:
        return put_text(data, size, most, here, words[roll(dice, WORDS)]);
    case 2:
        return put_text(data, size, most, here, pieces[roll(dice, PIECES)]);
    case 3:
        return put(data, size, most, token, "", 0);
    case 4:
        return copy(data, size, most, token, any_token(data, size, dice));
    case 5:
        return copy(data, size, most, here, any_token(data, size, dice));
    case 6:
        return copy(data, size, most, here, any_group(data, size, dice));
    case 7:
        return copy(data, size, most, any_group(data, size, dice), any_group(data, size, dice));
    case 8:
        return put(data, size, most, any_group(data, size, dice), "", 0);
    case 9: {
        span line = any_line(data, size, dice);
        line.size = 0;
        return copy(data, size, most, line, any_line(data, size, dice));
    }
    case 10:
        return put(data, size, most, any_line(data, size, dice), "", 0);
    case 11:
    case 12:
        return put_number(data, size, most, token, dice);
    case 13:
    case 14:
    case 15:
        return put_alike(data, size, most, token.at, dice);
    case 16:
        data[0] ^= (uint8_t)(1u << roll(dice, 6));
        return size;
    default:
        return LLVMFuzzerMutate(data, size, most);
    }
}
