/* mutate.h - mutations that keep an input's shape, so that it gets past the first check.
 *
 * Each takes what libFuzzer's custom mutators take: an input of `size` bytes in a buffer of `most`,
 * which it changes in place; the new size is returned. All chance comes from `dice`, so the same
 * seed makes the same input. What has not the shape that a mutation knows is given to libFuzzer's
 * own, LLVMFuzzerMutate. */
#ifndef MUTATE_H
#define MUTATE_H

#include "insn.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t most, unsigned seed);

typedef struct chance {
    uint64_t state;
} chance;

static inline uint32_t roll(chance *dice, uint32_t sides) { /* splitmix64 */
    uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return sides ? (uint32_t)((z ^ z >> 31) >> 32) % sides : 0;
}

/* A number near `old` (or with one of its `bits` turned), a small one, one at the edge of a type;
 * or `hint`, or near it. */
uint64_t odd_number(chance *dice, uint64_t old, uint64_t hint, unsigned bits);
/* Put such a number into the `width` bytes at `at`. */
void odd_field(chance *dice, uint8_t *at, unsigned width, bool big, uint64_t hint);

/* An ELF object: a header, a section, or what a section holds, by the mutations below. */
size_t mutate_elf(uint8_t *data, size_t size, size_t most, chance *dice);
/* BTF: types, their references, members and names, strings. */
size_t mutate_btf(uint8_t *data, size_t size, size_t most, chance *dice);
/* Instructions: put in, taken out, or a field of one changed. */
size_t mutate_code(uint8_t *data, size_t size, size_t most, bool big, chance *dice);
/* Assembly: lines and words of it; instructions are put in, printed in either dialect. */
size_t mutate_text(uint8_t *data, size_t size, size_t most, chance *dice);
/* C behind a byte of options: its tokens, groups in brackets and lines. */
size_t mutate_c(uint8_t *data, size_t size, size_t most, chance *dice);
/* Text of IR: its words by others of their kind, its numbers and lines. */
size_t mutate_ir(uint8_t *data, size_t size, size_t most, chance *dice);
/* Lines of both texts. */
size_t mix_texts(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                 size_t most, chance *dice);
/* Some 32-bit word of a table of them. */
size_t mutate_words(uint8_t *data, size_t size, size_t most, bool big, chance *dice);

/* A valid instruction of any operation. */
ebpf_insn any_insn(chance *dice, eb_op *op);

/* Insert `size` new bytes at `at`, of which `have` are in use and `most` fit; false if they do not.
 */
bool open_gap(uint8_t *data, size_t *have, size_t most, size_t at, size_t size);
void close_gap(uint8_t *data, size_t *have, size_t at, size_t size);

typedef struct span {
    size_t at, size;
} span;

/* The line of text that byte `at` is in, with its end; text starts at `from`. */
span line_at(const uint8_t *data, size_t from, size_t size, size_t at);
/* `with` in the place of `to`, if there is room; the new size. */
size_t put(uint8_t *data, size_t size, size_t most, span to, const void *with, size_t length);
/* A copy of `from`, of 512 bytes at most, there. */
size_t copy(uint8_t *data, size_t size, size_t most, span to, span from);

#endif
