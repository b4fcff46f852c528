/* draw.h - an input as a source of decisions: numbers from its front, zeroes when it is used up. */
#ifndef DRAW_H
#define DRAW_H

#include <stddef.h>
#include <stdint.h>

typedef struct draw {
    const uint8_t *at;
    size_t left;
} draw;

static inline uint8_t draw_byte(draw *in) {
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static inline uint32_t draw_word(draw *in) {
    uint32_t word = 0;
    for (int i = 0; i < 4; i++)
        word |= (uint32_t)draw_byte(in) << 8 * i;
    return word;
}

/* Below `sides`, from one byte (or two, where one is too few). */
static inline uint32_t draw_below(draw *in, uint32_t sides) {
    uint32_t number = draw_byte(in);
    if (sides > 256)
        number |= (uint32_t)draw_byte(in) << 8;
    return number % sides;
}

#endif
