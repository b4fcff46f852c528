/* insn.h - the table of concrete instructions and what can be asked of one.
 * Everything here unfolds from def/insn.def and def/dialect.def. */
#ifndef EB_INSN_H
#define EB_INSN_H

#include "ctx.h"
#include "ebpf_insn.h"

/* How an instruction is written and which fields it leaves free; one per FORM of dialect.def. */
typedef enum eb_form {
#define FORM(form, fields, llvm, ubpf) EB_FORM_##form,
#include "dialect.def"
    EB_FORM_COUNT
} eb_form;

/* Every concrete instruction: EB_OP_<form>_<id>, as EB_OP_ALU64_X_ADD. */
typedef enum eb_op {
#define ROW(form, id, code, src, off, imm, cpu, llvm, ubpf) EB_OP_##form##_##id,
#include "rows.h"
    EB_OP_COUNT
} eb_op;

typedef struct eb_insn_row {
    uint8_t form, code, src, cpu; /* src, off and imm are what a field has that the form fixes */
    int16_t off;
    int32_t imm;
    const char *spelling[EBPF_DIALECT_COUNT]; /* of @ in the form's template */
} eb_insn_row;

extern const eb_insn_row eb_insn_rows[EB_OP_COUNT];

/* Which fields a form leaves free: bits of EB_FREE_.... */
enum {
    EB_FREE_DST = 1,
    EB_FREE_SRC = 2,
    EB_FREE_OFF = 4,
    EB_FREE_IMM = 8,
    EB_FREE_IMM64 = 16,
    EB_FREE_PSEUDO = 32 /* src, which must not be 0 */
};
uint32_t eb_form_free(ebpf_ctx *ctx, eb_form form);

/* The operation of an instruction, or EB_OP_COUNT when no row describes it (an unknown code, a
 * register above r10, a field that must be zero and is not). */
eb_op eb_insn_op(ebpf_ctx *ctx, const ebpf_insn *insn);

/* Why eb_insn_op knows no operation for it, as text for people. */
const char *eb_insn_why_invalid(ebpf_ctx *ctx, const ebpf_insn *insn);

/* ---- questions about the shape ---- */

/* Where the target of a jump or local call is, in slots from the following instruction. */
typedef enum eb_target { EB_TARGET_NONE, EB_TARGET_OFF, EB_TARGET_IMM, EB_TARGET_CALL } eb_target;
eb_target eb_op_target(eb_op op);

static inline bool eb_insn_is_lddw(uint8_t code) {
    return code == 0x18;
}

#endif
