/* mem.h - what instructions read and write: a part of a stack slot, of a symbol, or of something
 * that only its address is known of; and whether two of them may be the same memory. */
#ifndef EB_MEM_H
#define EB_MEM_H

#include "ir.h"

typedef enum eb_mem_root {
    EB_MEM_SLOT,
    EB_MEM_SYMBOL,
    EB_MEM_OUTSIDE, /* neither: what a helper gave, or the context of a program */
    EB_MEM_POINTER, /* wherever an address of unknown origin leads */
    EB_MEM_WORLD    /* calls and assembly: all that is known to anybody else */
} eb_mem_root;

typedef struct eb_mem {
    uint8_t root;     /* eb_mem_root */
    bool helper;      /* WORLD: a helper, which is given the slots in its arguments only */
    uint32_t number;  /* of the slot or symbol; of a helper its list of arguments */
    eb_value base;    /* 0, or what `at` counts from: somewhere in the slot or symbol */
    int64_t at, size; /* bytes */
} eb_mem;

/* Where a slot's address goes: into loads and stores at known places, to helpers as an argument,
 * which none of them keeps, or anywhere else. */
enum { EB_MEM_STAYS, EB_MEM_GIVEN, EB_MEM_ESCAPES };

/* By slot, in the function's scratch arena. */
uint8_t *eb_mem_escapes(eb_fn *fn);

/* The SLOT or SYMBOL that an address starts from, through sums with an index; or the value that
 * nothing more is known of. */
const eb_ir *eb_mem_root_of(const eb_fn *fn, eb_value address);
/* The `size` bytes at an address + imm. */
eb_mem eb_mem_at(const eb_fn *fn, eb_value address, int64_t imm, int64_t size);
static inline bool eb_mem_is_named(const eb_mem *p) {
    return p->root == EB_MEM_SLOT || p->root == EB_MEM_SYMBOL;
}

/* What an instruction reads; what it writes. False: nothing. */
bool eb_mem_read(const eb_fn *fn, const eb_ir *ir, eb_mem *p);
bool eb_mem_written(const eb_fn *fn, const eb_ir *ir, eb_mem *p);

/* Whether `p` and `q`, which is named, may share a byte. */
bool eb_mem_touches(const eb_fn *fn, const uint8_t *escapes, const eb_mem *p, const eb_mem *q);

/* The load becomes what it would give if the lower bytes of `value` stood there; the instructions
 * that cut and extend it are put before it. */
void eb_load_become(eb_fn *fn, eb_value load, eb_value value);

#endif
