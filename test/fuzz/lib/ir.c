/* ir.c - mutations of the text of IR: an operation, type, condition, value or number takes the
 * place of another of its kind, so that most texts stay programs; lines are copied and taken out.
 */
#include "mutate.h"

#include <string.h>

#include "text.h"

static bool in_word(uint8_t c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static span any_word(const uint8_t *data, size_t size, chance *dice) {
    size_t at = roll(dice, (uint32_t)size), end;
    while (at < size && !in_word(data[at]))
        at++;
    for (end = at; end < size && in_word(data[end]);)
        end++;
    while (at > 0 && at < size && in_word(data[at - 1]))
        at--;
    return (span){at, end - at};
}

static span any_line(const uint8_t *data, size_t size, chance *dice) {
    return line_at(data, 0, size, roll(dice, (uint32_t)size));
}

/* ---- words of a kind ---- */

static bool is_word(const uint8_t *data, span s, const char *word) {
    return s.size == strlen(word) && memcmp(data + s.at, word, s.size) == 0;
}

/* A word of the table in the place of one of it; NULL when it is none. */
static const char *other_of(const char *const *names, unsigned count, const uint8_t *data, span s,
                            chance *dice) {
    for (unsigned n = 0; n < count; n++)
        if (is_word(data, s, names[n]))
            return names[roll(dice, count)];
    return NULL;
}

static const char *other_operation(const uint8_t *data, span s, chance *dice) {
    for (unsigned n = 1; n < EB_IR_OP_COUNT; n++)
        if (is_word(data, s, eb_ir_rows[n].text)) {
            const char *operands = eb_ir_rows[n].operands;
            uint32_t other = 1 + roll(dice, EB_IR_OP_COUNT - 1);
            for (unsigned tries = 0; tries < EB_IR_OP_COUNT; tries++, other++)
                if (strcmp(eb_ir_rows[other % EB_IR_OP_COUNT].operands, operands) == 0)
                    return eb_ir_rows[other % EB_IR_OP_COUNT].text;
        }
    return NULL;
}

static const char *other_word(const uint8_t *data, span s, chance *dice) {
    static const char *const sizes[] = {"1", "2", "4", "8"};
    static const char *const cpus[] = {"v1", "v2", "v3", "v4"};
    static const char *const orders[] = {"little", "big"};
    static const char *const flags[] = {"signed", "volatile", "likely", "unlikely"};
    const char *word = other_operation(data, s, dice);
    word = word ? word : other_of(eb_ir_types, EB_IR_TYPE_COUNT, data, s, dice);
    word = word ? word : other_of(eb_ir_conds, EB_COND_COUNT, data, s, dice);
    word = word ? word : other_of(eb_ir_atomics, EB_ATOMIC_COUNT, data, s, dice);
    word = word ? word : other_of(sizes, 4, data, s, dice);
    word = word ? word : other_of(cpus, 4, data, s, dice);
    word = word ? word : other_of(orders, 2, data, s, dice);
    return word ? word : other_of(flags, 4, data, s, dice);
}

static bool is_number(const uint8_t *data, span s) {
    for (size_t i = 0; i < s.size; i++)
        if (data[s.at + i] < '0' || data[s.at + i] > '9')
            return false;
    return s.size > 0;
}

/* v12 by another value, b3 by another block, a number by an odd one. */
static size_t put_number(uint8_t *data, size_t size, size_t most, span s, chance *dice) {
    char text[32];
    bool numbered = s.size > 1 && (data[s.at] == 'v' || data[s.at] == 'b');
    uint64_t old = 0;
    for (size_t i = numbered; i < s.size; i++)
        old = old * 10 + (uint64_t)(data[s.at + i] - '0');
    uint64_t left = numbered ? old + 8 - roll(dice, 16) : odd_number(dice, old, 64, 64);
    unsigned at = sizeof text;
    if (numbered)
        left = left > old + 8 ? 1 : left; /* it went below 0 */
    for (; left || at == sizeof text; left /= 10)
        text[--at] = (char)('0' + left % 10);
    if (numbered)
        text[--at] = (char)data[s.at];
    return put(data, size, most, s, text + at, sizeof text - at);
}

static size_t mutate_word(uint8_t *data, size_t size, size_t most, chance *dice) {
    span s = any_word(data, size, dice);
    const char *word = other_word(data, s, dice);
    if (word && roll(dice, 4))
        return put(data, size, most, s, word, strlen(word));
    span digits = {s.at + 1, s.size ? s.size - 1 : 0};
    bool numbered = s.size > 1 && (data[s.at] == 'v' || data[s.at] == 'b');
    if (is_number(data, s) || (numbered && is_number(data, digits)))
        return put_number(data, size, most, s, dice);
    return copy(data, size, most, s, any_word(data, size, dice));
}

size_t mutate_ir(uint8_t *data, size_t size, size_t most, chance *dice) {
    if (size < 2)
        return LLVMFuzzerMutate(data, size, most);
    span line = any_line(data, size, dice);
    switch (roll(dice, 16)) {
    case 0:
        return copy(data, size, most, (span){line.at, 0}, any_line(data, size, dice));
    case 1:
        return copy(data, size, most, line, any_line(data, size, dice));
    case 2:
        return line.size < size ? put(data, size, most, line, "", 0) : size;
    case 3:
        return LLVMFuzzerMutate(data, size, most);
    default:
        return mutate_word(data, size, most, dice);
    }
}
