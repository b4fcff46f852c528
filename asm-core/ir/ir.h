/* ir.h - programs between C and instructions: functions in SSA form, symbols and their data.
 *
 * What comes in: cc/lower*.c builds functions whose variables are stack slots. What goes out: gen/
 * selects instructions. Between, passes (pass.def) make each function better; every value is the
 * number of the instruction that computes it, so a pass walks arrays, and what it takes out turns
 * into NONE. Values are 32 or 64 bits wide as registers are; a pointer is 64 bits and known as one,
 * since the kernel's verifier judges pointers by how they are made:
 *   - memory is accessed at a value plus a constant (imm), never at a sum that could have been one;
 *   - a compare tests the value that is used behind it;
 *   - a CO-RE record belongs to one instruction.
 * Narrower integers of C are i32 with the bits above theirs defined: sext, and, load say how.
 *
 * Files: ir.c making and changing, cfg.c blocks and dominance, print.c and read.c the text form,
 * check.c what must always hold, pass.c the pipeline, and a file per pass. */
#ifndef EB_IR_H
#define EB_IR_H

#include "ctx.h"

typedef uint32_t eb_value; /* an instruction's number in its function; 0 is none */

typedef enum eb_ir_op {
#define IR(id, text, operands, effect) EB_IR_##id,
#include "ir.def"
    EB_IR_OP_COUNT
} eb_ir_op;

typedef enum eb_ir_type { EB_IR_VOID, EB_IR_I32, EB_IR_I64, EB_IR_PTR } eb_ir_type;

/* Pairs differ in the lowest bit, so that a condition ^ 1 is its opposite. */
typedef enum eb_cond {
    EB_COND_EQ,
    EB_COND_NE,
    EB_COND_LT, /* unsigned */
    EB_COND_GE,
    EB_COND_GT,
    EB_COND_LE,
    EB_COND_SLT,
    EB_COND_SGE,
    EB_COND_SGT,
    EB_COND_SLE,
    EB_COND_SET, /* a & b is not 0 */
    EB_COND_CLEAR,
    EB_COND_COUNT
} eb_cond;

/* The condition for b and a that says the same as `cond` for a and b. */
static inline eb_cond eb_cond_swapped(unsigned cond) {
    return (eb_cond)(cond < EB_COND_LT || cond >= EB_COND_SET ? cond
                     : cond < EB_COND_SLT                     ? cond ^ 6u
                                                              : cond ^ 14u);
}

typedef enum eb_atomic {
    EB_ATOMIC_ADD,
    EB_ATOMIC_OR,
    EB_ATOMIC_AND,
    EB_ATOMIC_XOR,
    EB_ATOMIC_SWAP,
    EB_ATOMIC_CAS,
    EB_ATOMIC_LOAD,  /* load-acquire (v4) */
    EB_ATOMIC_STORE, /* store-release (v4) */
    EB_ATOMIC_COUNT
} eb_atomic;

enum {
    EB_IR_SIGNED = 1,   /* load: with its sign */
    EB_IR_VOLATILE = 2, /* load, store, asm: as often as it stands there */
    EB_IR_UNLIKELY = 4, /* branch: to the first successor, says __builtin_expect */
    EB_IR_LIKELY = 8,
    EB_IR_NO_WRAP = 16 /* add: of signed numbers, whose sum is one: overflow is undefined */
};

typedef struct eb_list {
    EB_VEC(eb_value) values;
} eb_list;

typedef struct eb_ir {
    uint8_t op, type; /* eb_ir_op, eb_ir_type */
    uint8_t size;     /* bytes, where ir.def says so */
    uint8_t cond;     /* eb_cond or eb_atomic */
    uint8_t flags;
    uint32_t block;
    eb_value prev, next; /* in its block */
    eb_value a, b, c;
    uint32_t extra; /* a symbol, a slot, an assembly, or a CO-RE record (0 is none) */
    uint32_t list;  /* number of the list of operands, or 0 */
    eb_loc loc;
    int64_t imm;
} eb_ir;

typedef struct eb_block {
    eb_value first, last;    /* phis stand first, what ends the block last; 0: taken out */
    EB_VEC(uint32_t) preds;  /* a predecessor stands once for each of its edges to here */
    EB_VEC(uint32_t) succs;  /* as the last instruction says */
    uint32_t idom;           /* cfg.c: immediate dominator; 0 for the entry */
    uint32_t order;          /* cfg.c: place in reverse postorder, from 1; 0: not reached */
    uint32_t child, sibling; /* cfg.c: the dominator tree downwards; 0 ends */
    uint32_t enter, leave;   /* cfg.c: when a walk of that tree comes by, below and behind */
    uint32_t level;          /* cfg.c: depth in the dominator tree */
    uint32_t loop, depth;    /* cfg.c: header of the innermost loop or 0, and nesting */
    uint32_t outer;          /* cfg.c: header: the header of the loop around its own, or 0 */
    uint32_t found;          /* ir.c: the number of the predecessor that was asked for last */
    uint32_t unroll;         /* header: of #pragma unroll: how often, UINT32_MAX for all, 0 unsaid,
                                1 not */
} eb_block;

typedef struct eb_slot {
    uint64_t size;
    uint32_t align;
    eb_str name; /* of the variable; "" */
    eb_loc loc;
    uint32_t scope; /* slots of two scopes, neither around the other, are never used at once */
} eb_slot;

typedef struct eb_ir_unit eb_ir_unit;

typedef struct eb_fn {
    eb_ir_unit *unit;
    uint32_t symbol;
    EB_VEC(eb_ir) values;    /* [0] is none */
    EB_VEC(eb_block) blocks; /* [0] is none, [1] the entry */
    EB_VEC(eb_list) lists;   /* [0] is none */
    EB_VEC(eb_slot) slots;
    EB_VEC(uint32_t) scopes; /* the scope around each; [0] is the function's own */
    EB_VEC(uint32_t) rpo;    /* cfg.c: reached blocks in reverse postorder */
    uint32_t params;
    uint8_t result; /* eb_ir_type */
    bool is_naked, always_inline, noinline;
    bool hinted;     /* said to be inline */
    bool entry;      /* a program: its first parameter is a context */
    eb_loc loc, end; /* of its name, and of the closing brace */
} eb_fn;

/* ---- the unit ---- */

typedef enum eb_ir_kind { EB_IR_FUNCTION, EB_IR_VARIABLE } eb_ir_kind;

/* A word in a symbol's data that is the address of another symbol. */
typedef struct eb_ir_word {
    uint64_t offset;
    uint32_t symbol;
    int64_t addend;
    uint8_t size; /* 8, or 4 */
} eb_ir_word;

typedef struct eb_ir_symbol {
    eb_str name, section; /* section "": by what it is (code .text, zeroes .bss ...) */
    uint8_t kind;         /* eb_ir_kind */
    uint8_t bind;         /* EB_STB_...: 0 local, 1 global, 2 weak */
    bool hidden, is_defined, is_const, retained; /* retained: __attribute__((used)) */
    bool is_string;                              /* a literal: equal ones are one */
    bool written;    /* its contents may change, or its address is taken */
    bool is_private; /* contents.c: static, and only named loads and stores of this unit reach it */
    uint8_t *bytes;  /* contents.c: what is done to each of a private one, or NULL */
    uint64_t size;
    uint32_t align;
    eb_str refusal; /* a function that must not be called: why */
    eb_buf data;    /* `size` bytes in the target's order, or none when all are 0 */
    EB_VEC(eb_ir_word) words;
    eb_fn *fn;
    void *decl; /* cc's eb_decl, or NULL */
    eb_loc loc;
    bool live;              /* symbol.c: reached from what is kept */
    uint32_t object_symbol; /* gen: its number in the object */
    uint64_t object_offset; /* gen: a literal's place behind that, its section's */
    uint32_t btf;           /* cc: id of a function's type, or 0 */
    uint32_t frame;         /* gen: bytes of stack that a function takes */
    uint64_t chain;         /* gen: that and what it takes by what it calls, at most */
    uint32_t deepest;       /* gen: what it calls of which that is so, or 0 */
    bool called;            /* gen: by a function of the unit */
} eb_ir_symbol;

/* Another name of a symbol, in the object only. */
typedef struct eb_ir_alias {
    eb_str name;
    uint32_t symbol;
    uint8_t bind;
    bool hidden;
    eb_loc loc;
} eb_ir_alias;

typedef struct eb_ir_core {
    uint32_t kind; /* core.def */
    uint32_t type; /* cc: BTF id of the type it starts from */
    void *of;      /* cc's eb_type */
    eb_str access; /* "0:1:2" */
    int64_t value; /* as the local types have it */
} eb_ir_core;

typedef struct eb_ir_operand {
    eb_str name;     /* [name], or "" */
    char kind;       /* r register, i number, n a value that must be a constant or symbol when code
                        is made (EB_DIAG_ASM_CONSTANT), e a register or, if it is a constant
                        then, a number, m memory (the value is the address),
                        0-9: tied to that output */
    uint8_t type;    /* eb_ir_type */
    uint8_t size;    /* bytes in C */
    bool early;      /* output: written before all inputs are read ("&") */
    bool is_read;    /* output: its old value is wanted, too ("+") */
    int64_t imm;     /* of i */
    uint32_t symbol; /* of i: the symbol whose address + imm it is, or 0 */
} eb_ir_operand;

/* asm("text") at file scope. */
typedef struct eb_ir_text {
    eb_str text;
    eb_loc lo, hi;
} eb_ir_text;

/* asm("template" : outputs : inputs : clobbers : labels). The list of the instruction has, in this
 * order: the addresses of outputs in memory, the old values of outputs that are read, and a value
 * for each input that is no i. The first output in a register is the instruction's value, for
 * the others there is an OUTPUT each, numbered from 1. */
typedef struct eb_ir_asm {
    eb_str text;
    EB_VEC(eb_ir_operand) outputs;
    EB_VEC(eb_ir_operand) inputs;
    EB_VEC(eb_str) labels; /* of a goto: how the template calls them */
    uint16_t clobbers;     /* registers r0 to r10 */
    bool memory;           /* clobbers memory */
    eb_loc lo, hi;         /* of the template */
} eb_ir_asm;

struct eb_ir_unit {
    ebpf_ctx *ctx;
    bool big, optimize;
    unsigned cpu;                 /* 1 to 4 */
    EB_VEC(eb_ir_symbol) symbols; /* [0] is none */
    EB_VEC(eb_ir_core) cores;     /* [0] is none */
    EB_VEC(eb_ir_asm) asms;       /* [0] is none */
    EB_VEC(eb_ir_text) texts;     /* asm() at file scope */
    EB_VEC(eb_ir_alias) aliases;
    EB_VEC(uint32_t) circles; /* gen: functions that call each other in a circle; 0 ends one */
    eb_loc end;
    eb_str dump_after; /* eb_ir_optimize writes the unit into `dump` behind each pass so called */
    eb_buf dump;
    eb_str broken; /* builds for development: what a pass has broken, or "" */
};

/* ---- making ---- */

eb_ir_unit *eb_ir_unit_new(ebpf_ctx *ctx, bool big, unsigned cpu, bool optimize);
uint32_t eb_ir_symbol_add(eb_ir_unit *unit, eb_str name, eb_ir_kind kind);
/* The function of a symbol, with an empty entry block. */
eb_fn *eb_fn_new(eb_ir_unit *unit, uint32_t symbol);
uint32_t eb_block_new(eb_fn *fn);
uint32_t eb_slot_new(eb_fn *fn, uint64_t size, uint32_t align, eb_str name, eb_loc loc);
uint32_t eb_list_new(eb_fn *fn, const eb_value *values, uint32_t count);

static inline eb_ir *eb_ir_at(const eb_fn *fn, eb_value value) {
    return &fn->values.at[value];
}

/* A new instruction in no block; pointers to instructions are valid until the next. */
eb_value eb_ir_new(eb_fn *fn, eb_ir_op op, eb_ir_type type, eb_value a, eb_value b, eb_loc loc);
/* Put one that is in no block at the end of a block, before or behind another. */
void eb_ir_append(eb_fn *fn, uint32_t block, eb_value value);
void eb_ir_before(eb_fn *fn, eb_value place, eb_value value);
/* A new one before `place`, with its location. */
eb_value eb_ir_put(eb_fn *fn, eb_value place, eb_ir_op op, eb_ir_type type, eb_value a, eb_value b);
void eb_ir_behind(eb_fn *fn, eb_value place, eb_value value);
/* Out of its block (it may be put into another), or out for good. */
void eb_ir_unlink(eb_fn *fn, eb_value value);
void eb_ir_remove(eb_fn *fn, eb_value value);
/* Everyone who uses `value` shall use `with`: it leaves its block and is a COPY until
 * eb_ir_settle. */
void eb_ir_become(eb_fn *fn, eb_value value, eb_value with);
/* Behind a chain of copies of one type. */
eb_value eb_ir_origin(const eb_fn *fn, eb_value value);
/* Puts what copies stand for in their place, everywhere, and takes them out. */
bool eb_ir_settle(eb_fn *fn);
eb_value eb_ir_const(eb_fn *fn, eb_ir_type type, int64_t imm, eb_loc loc); /* in no block */
/* `imm` as a value of the type: sign-extended from 32 bits if that is its width. */
int64_t eb_ir_wrap(eb_ir_type type, int64_t imm);

/* An edge; the phis of `to` get an operand 0, to be filled in. */
void eb_edge_add(eb_fn *fn, uint32_t from, uint32_t to);
/* Takes out predecessor number `index` of `to`, with the operands of its phis. The successor's
 * entry of the other side is the caller's. */
void eb_edge_drop(eb_fn *fn, uint32_t to, uint32_t index);
/* The number of the edge from `from` to `to` in to's predecessors, for the `nth` such edge. */
uint32_t eb_edge_index(const eb_fn *fn, uint32_t from, uint32_t to, uint32_t nth);

/* ---- asking ---- */

typedef enum eb_effect { EB_EFFECT_PURE, EB_EFFECT_READ, EB_EFFECT_WRITE, EB_EFFECT_END } eb_effect;

typedef struct eb_ir_row {
    const char *text, *operands;
    eb_effect effect;
} eb_ir_row;

extern const eb_ir_row eb_ir_rows[EB_IR_OP_COUNT];

static inline bool eb_ir_is_binary(unsigned op) {
    return op >= EB_IR_ADD && op <= EB_IR_SAR;
}
static inline bool eb_ir_is_const(const eb_fn *fn, eb_value value) {
    return value && fn->values.at[value].op == EB_IR_CONST;
}
/* Whether it may be left out when nobody uses it. */
bool eb_ir_is_removable(const eb_ir *ir);

/* Calls for each operand: `for (eb_uses u = eb_uses_of(fn, v); eb_uses_next(&u);) ... *u.at`. */
typedef struct eb_uses {
    eb_ir *ir;
    eb_list *list;
    uint32_t step;
    eb_value *at; /* the operand, never 0 */
} eb_uses;
eb_uses eb_uses_of(eb_fn *fn, eb_value value);
bool eb_uses_next(eb_uses *uses);

/* ---- text (print.c, read.c) ---- */

void eb_ir_print_fn(const eb_fn *fn, eb_buf *out);
void eb_ir_print(const eb_ir_unit *unit, eb_buf *out);
/* The unit of a printed text; or NULL, and what is wrong with it as text for developers. What it
 * returns is sound enough for eb_ir_check, which tells whether it is a program. */
eb_ir_unit *eb_ir_read(ebpf_ctx *ctx, eb_str text, eb_str *error);

#endif
