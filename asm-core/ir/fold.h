/* fold.h - what can be said about single instructions: results of constants (eval.c), bits that
 * are 0 whatever happens (bits.c), and simpler ways to say the same (fold.c, fold_compare.c). */
#ifndef EB_FOLD_H
#define EB_FOLD_H

#include "ir.h"

/* ---- eval.c: insn.def's expressions over constants; i32 results are sign-extended ---- */

int64_t eb_eval_binary(eb_ir_op op, eb_ir_type type, int64_t a, int64_t b);
bool eb_eval_cond(eb_cond cond, eb_ir_type type, int64_t a, int64_t b);
/* NEG, SWAP, SEXT, ZEXT and TRUNC. */
int64_t eb_eval_unary(const eb_ir *ir, int64_t a);

/* ---- bits.c ---- */

/* Bits that are 0 in every value, as the verifier knows them too: not by division. Those above an
 * i32 count as 0. */
uint64_t eb_bits_zero(const eb_fn *fn, eb_value value);
/* The bits that a value of the type has. */
static inline uint64_t eb_bits_of(unsigned type) {
    return type == EB_IR_I32 ? UINT32_MAX : UINT64_MAX;
}

/* ---- fold.c ---- */

typedef struct eb_folder {
    eb_fn *fn;
    uint32_t *uses; /* how often each value is used, of those below `count` */
    uint32_t count;
    bool changed;
} eb_folder;

/* An instruction at `place`, which is being folded: before it, or behind the phis. */
eb_value eb_fold_make(eb_folder *f, eb_value place, eb_ir_op op, eb_ir_type type, eb_value a,
                      eb_value b);
eb_value eb_fold_const(eb_folder *f, eb_value place, eb_ir_type type, int64_t imm);
bool eb_fold_is_single(const eb_folder *f, eb_value value); /* it has one use */

/* What STRLEN, STRCMP or MEMCMP gives, if the bytes that decide are known. strings.c */
bool eb_fold_text(const eb_fn *fn, const eb_ir *ir, int64_t *result);
/* 0 or 1 if a CMP or BRANCH is known to give that, else -1. */
int eb_fold_outcome(const eb_fn *fn, eb_value value);
/* Says a CMP or BRANCH more simply; whether it has. fold_compare.c */
bool eb_fold_compare(eb_folder *f, eb_value value);
/* What a load from offset `at` of a symbol gives at the start: a number, or (otherwise NULL) the
 * address that the symbol keeps there. */
bool eb_initial_number(const eb_ir_unit *unit, uint32_t symbol, int64_t at, const eb_ir *load,
                       int64_t *result);
const eb_ir_word *eb_initial_word(const eb_ir_unit *unit, uint32_t symbol, int64_t at,
                                  const eb_ir *load);
/* The same of a symbol that never changes. */
bool eb_fold_data(const eb_ir_unit *unit, uint32_t symbol, int64_t at, const eb_ir *load,
                  int64_t *result);
const eb_ir_word *eb_fold_word(const eb_ir_unit *unit, uint32_t symbol, int64_t at,
                               const eb_ir *load);

#endif
