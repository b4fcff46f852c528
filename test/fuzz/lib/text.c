/* text.c - mutations of assembly: by lines, by words, and by instructions printed in a dialect. */
#include "dialect.h"
#include "mutate.h"

#include <string.h>

/* A line with its end; the first byte of an input chooses dialect and byte order and is no text. */
static span any_line(const uint8_t *data, size_t size, chance *dice) {
    return line_at(data, 0, size, roll(dice, (uint32_t)size + 1));
}

static bool in_word(uint8_t c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '.';
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

static size_t put_insn(uint8_t *data, size_t size, size_t most, chance *dice) {
    enum { MEMORY = 1 << 20 };
    ebpf_ctx *ctx = ebpf_ctx_new(MEMORY);
    if (!ctx)
        return size;
    eb_op op;
    ebpf_insn insn = any_insn(dice, &op);
    eb_style style = {.hex = roll(dice, 4) == 0};
    eb_buf text = {.arena = &ctx->arena};
    uint32_t chosen = roll(dice, 16) ? data[0] & 1 : roll(dice, EBPF_DIALECT_COUNT);
    eb_insn_print(&text, (enum ebpf_dialect)chosen, op, &insn, &style);
    eb_buf_byte(&text, '\n');
    span line = any_line(data, size, dice);
    size = put(data, size, most, (span){line.at, 0}, text.at, text.len);
    ebpf_ctx_free(ctx);
    return size;
}

static size_t put_number(uint8_t *data, size_t size, size_t most, chance *dice) {
    char text[32];
    int64_t number = (int64_t)odd_number(dice, roll(dice, 100), roll(dice, 2) ? 64 : 0, 64);
    unsigned at = sizeof text;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    for (; left || at == sizeof text; left /= 10)
        text[--at] = (char)('0' + left % 10);
    if (number < 0)
        text[--at] = '-';
    return put(data, size, most, any_word(data, size, dice), text + at, sizeof text - at);
}

/* A copy of one span in another's place, out of the way of the move. */
static size_t copy_span(uint8_t *data, size_t size, size_t most, span to, span from) {
    uint8_t bytes[256];
    size_t length = from.size < sizeof bytes ? from.size : sizeof bytes;
    memcpy(bytes, data + from.at, length);
    return put(data, size, most, to, bytes, length);
}

size_t mutate_text(uint8_t *data, size_t size, size_t most, chance *dice) {
    if (size < 2)
        return LLVMFuzzerMutate(data, size, most);
    span line = any_line(data, size, dice), other = any_line(data, size, dice);
    switch (roll(dice, 12)) {
    case 10: /* another dialect or byte order */
        data[0] ^= (uint8_t)(1 + roll(dice, 3));
        return size;
    case 0:
    case 1:
        return put_insn(data, size, most, dice);
    case 2:
        return copy_span(data, size, most, (span){line.at, 0}, other);
    case 3:
        return copy_span(data, size, most, line, other);
    case 4:
        return line.size < size ? put(data, size, most, line, "", 0) : size;
    case 5:
    case 6:
        return copy_span(data, size, most, any_word(data, size, dice), any_word(data, size, dice));
    case 7:
        return put_number(data, size, most, dice);
    default:
        return LLVMFuzzerMutate(data, size, most);
    }
}

size_t mix_texts(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                 size_t most, chance *dice) {
    size_t size = a_size < most ? a_size : most;
    memcpy(out, a, size);
    for (uint32_t times = 1 + roll(dice, 4); times > 0; times--) {
        span from = any_line(b, b_size, dice), to = any_line(out, size, dice);
        if (roll(dice, 2))
            to.size = 0;
        size = put(out, size, most, to, b + from.at, from.size);
    }
    return size;
}
