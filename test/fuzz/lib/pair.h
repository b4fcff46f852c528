/* pair.h - two inputs in one, and their mutation. */
#ifndef PAIR_H
#define PAIR_H

#include "mutate.h"

typedef struct part {
    const uint8_t *at;
    size_t size;
} part;

typedef size_t mutator(uint8_t *data, size_t size, size_t most, chance *dice);

/* The two; false when `data` is no pair. */
bool open_pair(const uint8_t *data, size_t size, part *first, part *second);
/* One of the two by its mutator; what is no pair by the second's. */
size_t mutate_pair(uint8_t *data, size_t size, size_t most, chance *dice, mutator *first,
                   mutator *second);

#endif
