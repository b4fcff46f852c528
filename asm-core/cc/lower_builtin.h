/* lower_builtin.h - what the files of builtin functions share: a call, and values made of it.
 *
 * lower_builtin.c CO-RE and what is of no family, lower_bits.c bits and overflow, lower_memory.c
 * memory and strings, lower_atomic.c atomics. Each hands what it does not know to the next. What is
 * no instruction of BPF is computed by several; nothing becomes a call of a library. */
#ifndef EB_LOWER_BUILTIN_H
#define EB_LOWER_BUILTIN_H

#include "builtin.h"
#include "lower.h"

typedef struct eb_call {
    eb_lower *l;
    const eb_expr *e;
    eb_expr **args;
    eb_loc loc;
} eb_call;

eb_value eb_lower_bits_builtin(const eb_call *c);
eb_value eb_lower_memory_builtin(const eb_call *c);
eb_value eb_lower_atomic_builtin(const eb_call *c);

static inline eb_value eb_arg(const eb_call *c, uint32_t n) {
    return eb_lower_value(c->l, c->args[n]);
}

static inline eb_value eb_number_of(const eb_call *c, eb_ir_type type, int64_t imm) {
    return eb_emit_const(c->l, type, imm, c->loc);
}

static inline eb_value eb_op(const eb_call *c, eb_ir_op what, eb_value a, eb_value b) {
    eb_ir_type type = (eb_ir_type)eb_ir_at(c->l->fn, a)->type;
    return eb_emit(c->l, what, type, a, b, c->loc);
}

static inline eb_value eb_op_imm(const eb_call *c, eb_ir_op what, eb_value a, int64_t imm) {
    eb_ir_type type = (eb_ir_type)eb_ir_at(c->l->fn, a)->type;
    return eb_emit(c->l, what, type, a, eb_emit_const(c->l, type, imm, c->loc), c->loc);
}

static inline unsigned eb_width_of(const eb_call *c, eb_value v) {
    return eb_ir_at(c->l->fn, v)->type == EB_IR_I32 ? 32 : 64;
}

/* The constant that an argument is, after a diagnostic if it is none. */
static inline int64_t eb_constant_arg(const eb_call *c, uint32_t n) {
    eb_constant k = eb_lower_constant(c->args[n]);
    if (!k.kind)
        eb_diag_add(c->l->ctx, EB_DIAG_NOT_INTEGER_CONSTANT, c->args[n]->lo, c->args[n]->hi);
    return (int64_t)k.value;
}

#endif
