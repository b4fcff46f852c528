/* mach.h - a function on its way from IR to bytes; internal to gen/.
 *
 * select.c makes blocks of machine instructions over registers without end (from EB_VREG on); real
 * ones stand where the machine wants them: arguments, results, the frame pointer. Values flow
 * between blocks through registers that are copied on the edges. allocate.c then gives each a real
 * register or a place in the frame, peephole.c takes out what became superfluous, frame.c lays out
 * the frame, tails.c joins what ends alike, emit.c writes bytes, relocations and records. */
#ifndef EB_MACH_H
#define EB_MACH_H

#include "gen.h"
#include "insn.h"

enum {
    EB_REGS = 10,   /* that can be given away: r0 to r9 */
    EB_R10 = 10,    /* the frame */
    EB_REG_NO = 15, /* none */
    EB_VREG = 16,   /* the first virtual register */
    EB_CALLER_SAVED = 0x3f
};

typedef enum eb_m_kind {
    EB_M_NONE,   /* taken out */
    EB_M_INSN,   /* what code, dst, src, off and imm say */
    EB_M_COPY,   /* dst = src */
    EB_M_CONST,  /* dst = imm; 32 bits of it and zeroes if `narrow` */
    EB_M_SYMBOL, /* dst = address of symbol `extra` + imm */
    EB_M_FRAME,  /* dst = address of slot `slot` + off */
    EB_M_SET,    /* dst = src `cond` src2 (or imm) ? 1 : 0 */
    EB_M_CALL,   /* function `extra`; without one helper imm */
    EB_M_CALLX,  /* the function at src */
    EB_M_ASM,    /* assembly: mfn->asms[extra] */
    EB_M_JUMP,   /* what ends a block, from here on */
    EB_M_BRANCH, /* to the first successor if dst `cond` src (or imm) */
    EB_M_EXIT,   /* r0 is the result if imm */
    EB_M_END,    /* unreachable */
    EB_M_GOTO    /* asm goto: mfn->asms[extra] */
} eb_m_kind;

typedef struct eb_mi {
    uint8_t kind, code, cond;
    bool narrow; /* SET, BRANCH: compares 32 bits */
    uint32_t dst, src, src2;
    int32_t off;
    uint32_t slot;  /* 1 + the stack slot that off starts from, and the register is r10; or 0 */
    uint32_t core;  /* a CO-RE record of this instruction, or 0 */
    uint32_t extra; /* CALL: a symbol; ASM, GOTO */
    uint32_t args;  /* CALL, CALLX: number of arguments */
    eb_loc loc;
    int64_t imm;
} eb_mi;

typedef struct eb_mblock {
    EB_VEC(eb_mi) code;
    EB_VEC(uint32_t) preds;
    EB_VEC(uint32_t) succs;
    uint32_t depth;      /* of loops */
    bool cold;           /* not likely run */
    uint32_t begin, end; /* live.c: numbers of its instructions in the order of blocks */
} eb_mblock;

/* An operand of an assembly: in a register, or symbol + imm. */
typedef struct eb_masm_reg {
    int64_t imm;
    uint32_t symbol; /* or 0 */
    uint32_t reg;    /* or EB_REG_NO */
    bool def, use;
    bool early; /* defined while inputs are still read */
} eb_masm_reg;

typedef struct eb_masm {
    const eb_ir_asm *ir;
    EB_VEC(eb_masm_reg) regs; /* by operand, outputs first; EB_REG_NO for numbers */
    uint16_t clobbers;
} eb_masm;

typedef struct eb_mslot {
    uint64_t size;
    uint32_t align;
    int32_t offset; /* frame.c: from r10 */
    eb_str name;
    eb_loc loc;
    bool used, spill;
} eb_mslot;

typedef struct eb_mfn {
    ebpf_ctx *ctx;
    eb_ir_unit *unit;
    eb_fn *ir;
    EB_VEC(eb_mblock) blocks; /* [0] is none, [1] the entry */
    EB_VEC(uint32_t) order;   /* the blocks as they will stand */
    EB_VEC(eb_mslot) slots;
    EB_VEC(eb_masm) asms;
    uint32_t regs;  /* one past the last virtual register */
    uint32_t frame; /* frame.c: bytes */
} eb_mfn;

/* ---- what an instruction does with registers ---- */

enum { EB_REFS_MOST = 40 };

typedef struct eb_ref {
    uint32_t *reg;
    bool use, def;
    bool early; /* a definition that must not share a register with what is used */
} eb_ref;

/* The registers that stand in it, virtual or real; returns how many. */
unsigned eb_m_refs(const eb_mfn *mfn, eb_mi *mi, eb_ref *refs);
/* Real registers that it reads and writes without naming them: bits. */
uint16_t eb_m_reads(const eb_mfn *mfn, const eb_mi *mi);
uint16_t eb_m_writes(const eb_mfn *mfn, const eb_mi *mi);
static inline bool eb_m_is_call(const eb_mi *mi) {
    return mi->kind == EB_M_CALL || mi->kind == EB_M_CALLX;
}
/* Whether it can be made again anywhere: it reads nothing that changes. */
static inline bool eb_m_is_remade(const eb_mi *mi) {
    return (mi->kind == EB_M_CONST || mi->kind == EB_M_SYMBOL || mi->kind == EB_M_FRAME) &&
           !mi->core;
}
/* Slots of 8 bytes that it takes. */
unsigned eb_m_slots(const eb_mi *mi);

/* ---- codes (RFC 9669) ---- */

enum {
    EB_C_LDX = 0x61,
    EB_C_LDXSX = 0x81,
    EB_C_ST = 0x62,
    EB_C_STX = 0x63,
    EB_C_DW = 0x18,
    EB_C_ATOMIC = 0xc3,
    EB_C_ALU32 = 0x04,
    EB_C_ALU64 = 0x07,
    EB_C_REG = 0x08, /* of ALU and JMP: the source is a register */
    EB_C_ADD = 0x00,
    EB_C_AND = 0x50,
    EB_C_LSH = 0x60,
    EB_C_RSH = 0x70,
    EB_C_NEG = 0x80,
    EB_C_MOV = 0xb0,
    EB_C_ARSH = 0xc0,
    EB_C_END = 0xd0
};
/* The bits of code for accesses of `size` bytes. */
uint8_t eb_c_size(unsigned size);

/* ---- stages ---- */

eb_mfn *eb_gen_select(eb_fn *fn);  /* select.c; NULL after errors */
void eb_gen_order(eb_mfn *mfn);    /* order.c: where blocks stand */
void eb_gen_allocate(eb_mfn *mfn); /* allocate.c */
void eb_gen_peephole(eb_mfn *mfn); /* peephole.c */
void eb_gen_flow(eb_mfn *mfn);     /* flow.c */
bool eb_gen_frame(eb_mfn *mfn);    /* frame.c; false after an error */
void eb_gen_tails(eb_mfn *mfn);    /* tails.c */

/* ---- live.c: where registers are live ----
 *
 * Instructions are numbered in the order of the blocks. Instruction i reads at time 2i and writes
 * at 2i + 1; a range is a sorted list of [start, end). */

typedef struct eb_span {
    uint32_t start, end;
} eb_span;

typedef struct eb_occ { /* an instruction in which a register stands */
    uint32_t at;
    bool use, def, early;
} eb_occ;

typedef struct eb_range {
    eb_span *spans;
    uint32_t count, cap;
    eb_occ *occs;
    uint32_t occ_count;
} eb_range;

typedef struct eb_live {
    eb_mfn *mfn;
    uint32_t count;   /* of instructions */
    eb_mi **at;       /* by number */
    uint32_t *block;  /* by number */
    eb_range *ranges; /* by register */
} eb_live;

void eb_live_make(eb_live *live, eb_mfn *mfn);

#endif
