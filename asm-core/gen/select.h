/* select.h - what the parts of instruction selection share: select.c, select_op.c (arithmetic),
 * select_mem.c (memory), select_asm.c (inline assembly), slots.c and homes.c (what goes where). */
#ifndef EB_SELECT_H
#define EB_SELECT_H

#include "mach.h"

typedef struct eb_sel {
    ebpf_ctx *ctx;
    eb_fn *fn;
    eb_mfn *mfn;
    unsigned cpu;
    uint32_t *uses;         /* by value: how often it is used */
    uint32_t *reg;          /* by value: its register, or 0 */
    bool *dirty;            /* by i32 value: bits above the lower 32 may be set in its register */
    bool *wanted;           /* by i32 value: somebody needs them clear */
    uint32_t *entry;        /* by phi: the register that the edges write; by assembly: its number */
    uint32_t *lazy;         /* by value that is made where it is used: the block that `reg` is of */
    uint32_t *home;         /* by value: the block in which it is made for all, or 0 */
    EB_VEC(eb_value) homed; /* those that have a home */
    uint32_t *slots;        /* by slot: the one that it stands in */
    uint32_t *tail;         /* by block of the IR: the one that it ends in here */
    uint32_t block;         /* where instructions go */
    eb_loc loc;
} eb_sel;

/* What an operand of memory is. */
typedef struct eb_address {
    uint32_t base, slot; /* slot: 1 + its number if base is r10 */
    int32_t off;
    uint32_t core; /* the record that off is of, or 0 */
} eb_address;

static inline eb_ir *eb_sel_ir(const eb_sel *s, eb_value value) {
    return eb_ir_at(s->fn, value);
}

/* ---- select.c ---- */

uint32_t eb_sel_new(eb_sel *s);                           /* a register */
uint32_t eb_sel_reg(eb_sel *s, eb_value value);           /* the one that has a value */
uint32_t eb_sel_def(eb_sel *s, eb_value value);           /* the one that a value goes to */
void eb_sel_put(eb_sel *s, uint32_t dst, eb_value value); /* dst = value */
bool eb_sel_is_const(const eb_sel *s, eb_value value, int64_t *imm);
/* The same, if an instruction has room for it. */
bool eb_sel_is_imm(const eb_sel *s, eb_value value, int64_t *imm);
/* Behind the definition of a value of 32 bits: clear what is above, if somebody needs it. */
void eb_sel_clean(eb_sel *s, eb_value value);
bool eb_sel_is_lazy(const eb_sel *s, eb_value value);
/* A new machine block, entered from the one at hand and selected into from here on. */
uint32_t eb_sel_block(eb_sel *s);
void eb_sel_edge(eb_sel *s, uint32_t from, uint32_t to);

/* slots.c: shared[n] is the slot that slot n stands in, itself or one at least as large. */
void eb_sel_share_slots(eb_fn *fn, uint32_t *shared);
/* homes.c: by value: the block in which it is made, or 0: where it is used. */
uint32_t *eb_sel_homes(eb_fn *fn);

/* ---- making instructions ---- */

eb_mi *eb_sel_emit(eb_sel *s, eb_m_kind kind);
eb_mi *eb_sel_alu(eb_sel *s, unsigned code, uint32_t dst, uint32_t src); /* a register's form */
eb_mi *eb_sel_alui(eb_sel *s, unsigned code, uint32_t dst, int64_t imm);
void eb_sel_copy(eb_sel *s, uint32_t dst, uint32_t src);
void eb_sel_constant(eb_sel *s, uint32_t dst, int64_t imm);
void eb_sel_frame(eb_sel *s, uint32_t dst, uint32_t slot, int32_t off);
void eb_sel_zero_upper(eb_sel *s, uint32_t dst, uint32_t src); /* dst = (u32)src */
void eb_sel_load(eb_sel *s, unsigned size, uint32_t dst, eb_address at);
void eb_sel_store(eb_sel *s, unsigned size, eb_address at, uint32_t src);

/* ---- parts: one function per operation or group of them ---- */

void eb_sel_binary(eb_sel *s, eb_value value);
void eb_sel_unary(eb_sel *s, eb_value value); /* neg, swap, sext, zext, trunc, space */
void eb_sel_compare(eb_sel *s, eb_value value);
void eb_sel_branch(eb_sel *s, eb_value value);
void eb_sel_memory(eb_sel *s, eb_value value); /* load, store, atomic, copymem, movemem, setmem */
void eb_sel_asm(eb_sel *s, eb_value value);
void eb_sel_output(eb_sel *s, eb_value value);
/* What a comparison of i32 by 64-bit instructions needs of its operands (before v3). */
bool eb_sel_needs_clean(const eb_sel *s, const eb_ir *ir);

#endif
