/* numbers.c - what mutations share: numbers that are likely to go wrong, tables of them, gaps and
 * lines. */
#include "mutate.h"

#include <string.h>

uint64_t odd_number(chance *dice, uint64_t old, uint64_t hint, unsigned bits) {
    static const uint64_t edges[] = {
        0,           1,         2,          0x7f,           0x80,           0xff,
        0x7fff,      0x8000,    0xffff,     0x7fffffff,     0x80000000,     0xffffffff,
        0x100000000, INT64_MAX, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 15};
    switch (roll(dice, 8)) {
    case 0:
        return edges[roll(dice, sizeof edges / sizeof *edges)];
    case 1:
        return old ^ UINT64_C(1) << roll(dice, bits);
    case 2:
        return roll(dice, 16);
    case 3:
        return roll(dice, 300) * 8;
    case 4:
        return old + roll(dice, 17) - 8;
    case 5:
        return hint;
    case 6:
        return hint + roll(dice, 17) - 8;
    default:
        return hint ? roll(dice, hint < UINT32_MAX ? (uint32_t)hint : UINT32_MAX) : old * 2;
    }
}

void odd_field(chance *dice, uint8_t *at, unsigned width, bool big, uint64_t hint) {
    switch (width) {
    case 1:
        *at = (uint8_t)odd_number(dice, *at, hint, 8);
        break;
    case 2:
        eb_set16(at, big, (uint16_t)odd_number(dice, eb_get16(at, big), hint, 16));
        break;
    case 4:
        eb_set32(at, big, (uint32_t)odd_number(dice, eb_get32(at, big), hint, 32));
        break;
    default:
        eb_set64(at, big, odd_number(dice, eb_get64(at, big), hint, 64));
    }
}

size_t mutate_words(uint8_t *data, size_t size, size_t most, bool big, chance *dice) {
    if (size < 4 || roll(dice, 16) == 0)
        return LLVMFuzzerMutate(data, size, most);
    uint8_t *at = data + 4 * (size_t)roll(dice, (uint32_t)(size / 4));
    uint64_t other = eb_get32(data + 4 * (size_t)roll(dice, (uint32_t)(size / 4)), big);
    odd_field(dice, at, 4, big, other);
    return size;
}

bool open_gap(uint8_t *data, size_t *have, size_t most, size_t at, size_t size) {
    if (size > most - *have)
        return false;
    memmove(data + at + size, data + at, *have - at);
    *have += size;
    return true;
}

void close_gap(uint8_t *data, size_t *have, size_t at, size_t size) {
    memmove(data + at, data + at + size, *have - at - size);
    *have -= size;
}

/* ---- parts of text ---- */

span line_at(const uint8_t *data, size_t from, size_t size, size_t at) {
    size_t end = at;
    while (at > from && data[at - 1] != '\n')
        at--;
    while (end < size && data[end] != '\n')
        end++;
    return (span){at, end + (end < size) - at};
}

size_t put(uint8_t *data, size_t size, size_t most, span to, const void *with, size_t length) {
    if (length > most - (size - to.size))
        return size;
    close_gap(data, &size, to.at, to.size);
    if (!open_gap(data, &size, most, to.at, length))
        return size;
    memcpy(data + to.at, with, length);
    return size;
}

size_t copy(uint8_t *data, size_t size, size_t most, span to, span from) {
    uint8_t bytes[512];
    size_t length = from.size < sizeof bytes ? from.size : sizeof bytes;
    memcpy(bytes, data + from.at, length);
    return put(data, size, most, to, bytes, length);
}
