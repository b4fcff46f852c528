/* pair.c - two inputs in one: "pair:", the size of the first (32 bits, little-endian), both. */
#include "pair.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD = 9 };

bool open_pair(const uint8_t *data, size_t size, part *first, part *second) {
    if (size < HEAD || memcmp(data, "pair:", 5) != 0)
        return false;
    size_t front = eb_get32(data + 5, false);
    if (front > size - HEAD)
        front = size - HEAD;
    *first = (part){data + HEAD, front};
    *second = (part){data + HEAD + front, size - HEAD - front};
    return true;
}

size_t mutate_pair(uint8_t *data, size_t size, size_t most, chance *dice, mutator *first,
                   mutator *second) {
    part front, back;
    if (!open_pair(data, size, &front, &back))
        return second(data, size, most, dice);
    size_t room = most - size;
    if (roll(dice, 2))
        return size - back.size +
               second(data + HEAD + front.size, back.size, back.size + room, dice);
    uint8_t *copy = malloc(front.size + room);
    if (!copy)
        return size;
    memcpy(copy, front.at, front.size);
    size_t made = first(copy, front.size, front.size + room, dice);
    memmove(data + HEAD + made, back.at, back.size);
    memcpy(data + HEAD, copy, made);
    eb_set32(data + 5, false, (uint32_t)made);
    free(copy);
    return HEAD + made + back.size;
}
