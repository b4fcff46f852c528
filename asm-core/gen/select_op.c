/* select_op.c - arithmetic and comparisons.
 *
 * Instructions have two addresses: `d = a op b` is a copy and an operation on it. From v3 on i32 is
 * computed with 32-bit instructions; before there are none, so a value's register has anything
 * above its 32 bits, and what depends on them (right shifts, division, comparisons) clears or
 * extends first. Source: RFC 9669, section 4. */
#include "select.h"

/* ---- arithmetic ---- */

/* Each operation in 64 bits with a register. */
static const uint16_t ops[EB_IR_OP_COUNT] = {
#define IR_BINARY(id, text, alu) [EB_IR_##id] = EB_OP_ALU64_X_##alu,
#include "ir.def"
};

static bool commutes(unsigned op) {
    return op == EB_IR_ADD || op == EB_IR_MUL || op == EB_IR_AND || op == EB_IR_OR ||
           op == EB_IR_XOR;
}

static bool is_narrow(const eb_sel *s, const eb_ir *ir) {
    return ir->type == EB_IR_I32 && s->cpu >= 3;
}

static unsigned width_of(const eb_sel *s, const eb_ir *ir) {
    return is_narrow(s, ir) ? EB_C_ALU32 : EB_C_ALU64;
}

/* The exponent when imm, as an unsigned number of the type, is a power of two; else -1. */
static int exponent(const eb_ir *ir, int64_t imm) {
    uint64_t value = ir->type == EB_IR_I32 ? (uint32_t)imm : (uint64_t)imm;
    return value && !(value & (value - 1)) ? __builtin_ctzll(value) : -1;
}

/* dst = a, the left operand: before v3 a constant of 32 bits has zeroes above them where these
 * count. */
static void put_left(eb_sel *s, uint32_t dst, const eb_ir *ir, eb_value a) {
    int64_t imm;
    if (s->cpu < 3 && eb_sel_needs_clean(s, ir) && eb_sel_is_const(s, a, &imm))
        eb_sel_constant(s, dst, (uint32_t)imm);
    else
        eb_sel_put(s, dst, a);
}

/* Multiplication and division of `a` by 2^n; true when it was one. */
static bool by_power(eb_sel *s, eb_value value, eb_value a, int64_t imm) {
    const eb_ir *ir = eb_sel_ir(s, value);
    int n = exponent(ir, imm);
    unsigned op = ir->op == EB_IR_MUL   ? EB_C_LSH
                  : ir->op == EB_IR_DIV ? EB_C_RSH
                  : ir->op == EB_IR_MOD ? EB_C_AND
                                        : 0;
    if (n < 0 || !op || (op == EB_C_AND && n > 31))
        return false;
    uint32_t dst = eb_sel_def(s, value);
    put_left(s, dst, ir, a);
    int64_t operand = op == EB_C_AND ? ((int64_t)1 << n) - 1 : n;
    if (op == EB_C_AND || n || ir->type == EB_IR_I32) /* by 1 it clears the upper half */
        eb_sel_alui(s, width_of(s, ir) | op, dst, operand);
    return true;
}

/* Masks of 32 bits: 32-bit instructions clear the rest. */
static bool mask(eb_sel *s, eb_value value, eb_value a, int64_t imm) {
    const eb_ir *ir = eb_sel_ir(s, value);
    if (ir->op != EB_IR_AND || ir->type == EB_IR_I32 || imm <= INT32_MAX || imm > UINT32_MAX)
        return false;
    if (imm != UINT32_MAX && s->cpu < 3)
        return false;
    uint32_t dst = eb_sel_def(s, value);
    if (imm == UINT32_MAX) {
        eb_sel_zero_upper(s, dst, eb_sel_reg(s, a));
        return true;
    }
    eb_sel_put(s, dst, a);
    eb_sel_alui(s, EB_C_ALU32 | EB_C_AND, dst, (int32_t)(uint32_t)imm);
    return true;
}

/* dst's 32 bits with their sign, in 64. */
static void extend32(eb_sel *s, uint32_t dst) {
    eb_sel_alui(s, EB_C_ALU64 | EB_C_LSH, dst, 32);
    eb_sel_alui(s, EB_C_ALU64 | EB_C_ARSH, dst, 32);
}

/* What counts a shift: a field's number that was widened for it is as good as it is. */
static eb_value count_of(const eb_sel *s, eb_value value) {
    const eb_ir *ir = eb_sel_ir(s, value);
    return ir->op == EB_IR_ZEXT && eb_sel_ir(s, ir->a)->op == EB_IR_CORE ? ir->a : value;
}

static bool is_core_imm(const eb_sel *s, eb_value value) {
    const eb_ir *ir = eb_sel_ir(s, value);
    if (ir->op != EB_IR_CORE)
        return false;
    int64_t imm = s->fn->unit->cores.at[ir->extra].value;
    return imm >= INT32_MIN && imm <= INT32_MAX;
}

static void signed_division(eb_sel *s, const eb_ir *ir) {
    eb_diag_add(s->ctx, EB_DIAG_SIGNED_DIVISION, ir->loc, ir->loc + (ir->loc != 0));
}

void eb_sel_binary(eb_sel *s, eb_value value) {
    const eb_ir *ir = eb_sel_ir(s, value);
    eb_value a = ir->a, b = ir->b;
    int64_t imm = 0;
    if ((ir->op == EB_IR_SDIV || ir->op == EB_IR_SMOD) && s->cpu < 4)
        signed_division(s, ir);
    bool last = s->uses[b] == 1 && s->uses[a] > 1 && !eb_sel_is_lazy(s, b);
    if (commutes(ir->op) && (eb_sel_is_const(s, a, &imm) || last)) {
        a = ir->b;
        b = ir->a;
    }
    if (ir->op == EB_IR_SHL || ir->op == EB_IR_SHR || ir->op == EB_IR_SAR)
        b = count_of(s, b);
    if (eb_sel_is_const(s, b, &imm) && (by_power(s, value, a, imm) || mask(s, value, a, imm))) {
        eb_sel_clean(s, value);
        return;
    }
    bool is_imm = eb_sel_is_imm(s, b, &imm), is_core = is_core_imm(s, b);
    uint32_t src = EB_REG_NO;
    if (is_imm && imm < 0 && eb_sel_needs_clean(s, ir) && s->cpu < 3)
        eb_sel_constant(s, src = eb_sel_new(s), (uint32_t)imm);
    else if (!is_imm && !is_core)
        src = eb_sel_reg(s, b);
    uint32_t dst = eb_sel_def(s, value);
    const eb_insn_row *row = &eb_insn_rows[ops[ir->op]];
    unsigned code = width_of(s, ir) | (row->code & 0xf0);
    put_left(s, dst, ir, a);
    if (ir->op == EB_IR_SAR && ir->type == EB_IR_I32 && s->cpu < 3)
        extend32(s, dst);
    eb_mi *mi = src == EB_REG_NO ? eb_sel_alui(s, code, dst, imm) : eb_sel_alu(s, code, dst, src);
    mi->off = row->off;
    if (is_core) {
        mi->core = eb_sel_ir(s, b)->extra;
        mi->imm = s->fn->unit->cores.at[mi->core].value;
    }
    eb_sel_clean(s, value);
}

/* ---- conversions ---- */

static void swap_bytes(eb_sel *s, uint32_t dst, unsigned bits) {
    enum { BE = 0xdc, LE = 0xd4, BSWAP = 0xd7 };
    unsigned code = s->cpu >= 4 ? BSWAP : s->fn->unit->big ? LE : BE;
    eb_sel_alui(s, code, dst, bits);
}

static void sign_extend(eb_sel *s, eb_value value) {
    const eb_ir *ir = eb_sel_ir(s, value);
    unsigned bits = ir->size * 8u, narrow = is_narrow(s, ir);
    uint32_t dst = eb_sel_def(s, value);
    if (s->cpu >= 4 && bits < (narrow ? 32 : 64)) {
        unsigned code = (narrow ? EB_C_ALU32 : EB_C_ALU64) | EB_C_MOV;
        eb_sel_alu(s, code, dst, eb_sel_reg(s, ir->a))->off = (int32_t)bits;
        return;
    }
    eb_sel_put(s, dst, ir->a);
    unsigned left = (narrow ? 32 : 64) - bits;
    if (!left)
        return;
    eb_sel_alui(s, width_of(s, ir) | EB_C_LSH, dst, left);
    eb_sel_alui(s, width_of(s, ir) | EB_C_ARSH, dst, left);
}

/* The same register, if nobody minds what it has above. */
static void narrow_to(eb_sel *s, eb_value value) {
    uint32_t src = eb_sel_reg(s, eb_sel_ir(s, value)->a);
    if (s->wanted[value])
        eb_sel_zero_upper(s, eb_sel_def(s, value), src);
    else if (eb_sel_is_lazy(s, eb_sel_ir(s, value)->a))
        eb_sel_copy(s, eb_sel_def(s, value), src); /* that register is this block's only */
    else
        s->reg[value] = src;
}

static void widen(eb_sel *s, eb_value value) {
    eb_value a = eb_sel_ir(s, value)->a;
    int64_t imm;
    if (eb_sel_is_const(s, a, &imm))
        eb_sel_constant(s, eb_sel_def(s, value), (uint32_t)imm);
    else if (eb_sel_is_lazy(s, a))
        eb_sel_put(s, eb_sel_def(s, value), a);
    else
        s->reg[value] = eb_sel_reg(s, a); /* whose upper half is clear */
}

void eb_sel_unary(eb_sel *s, eb_value value) {
    const eb_ir *ir = eb_sel_ir(s, value);
    switch (ir->op) {
    case EB_IR_NEG: {
        uint32_t dst = eb_sel_def(s, value);
        eb_sel_put(s, dst, ir->a);
        eb_sel_alui(s, width_of(s, ir) | EB_C_NEG, dst, 0);
        break;
    }
    case EB_IR_SWAP: {
        uint32_t dst = eb_sel_def(s, value);
        eb_sel_put(s, dst, ir->a);
        swap_bytes(s, dst, ir->size * 8u);
        break;
    }
    case EB_IR_SEXT:
        sign_extend(s, value);
        break;
    case EB_IR_ZEXT:
        widen(s, value);
        return;
    case EB_IR_TRUNC:
        narrow_to(s, value);
        return;
    default: { /* SPACE: a move with the spaces as its immediate */
        eb_mi *mi =
            eb_sel_alu(s, EB_C_ALU64 | EB_C_MOV, eb_sel_def(s, value), eb_sel_reg(s, ir->a));
        mi->off = 1;
        mi->imm = ir->imm;
    }
    }
    eb_sel_clean(s, value);
}

/* ---- comparisons ---- */

bool eb_sel_needs_clean(const eb_sel *s, const eb_ir *ir) {
    bool compares = ir->op == EB_IR_CMP || ir->op == EB_IR_BRANCH;
    bool divides = ir->op == EB_IR_DIV || ir->op == EB_IR_MOD || ir->op == EB_IR_SHR;
    if ((!compares && !divides) || eb_sel_ir(s, ir->a)->type != EB_IR_I32)
        return false;
    return divides || ir->cond < EB_COND_SLT || ir->cond > EB_COND_SLE;
}

typedef struct comparison {
    uint32_t a, b; /* b: EB_REG_NO for imm */
    int64_t imm;
    eb_cond cond;
    bool narrow;
} comparison;

/* An i32 for 64-bit comparison: with its sign for signed ones, else as it is, which is clean. */
static uint32_t widened(eb_sel *s, eb_value value, bool is_signed) {
    int64_t imm;
    if (!is_signed && !eb_sel_is_const(s, value, &imm))
        return eb_sel_reg(s, value);
    uint32_t reg = eb_sel_new(s);
    if (!is_signed) {
        eb_sel_constant(s, reg, (uint32_t)imm);
        return reg;
    }
    eb_sel_put(s, reg, value);
    extend32(s, reg);
    return reg;
}

static comparison compared(eb_sel *s, const eb_ir *ir) {
    eb_value a = ir->a, b = ir->b;
    int64_t imm;
    comparison c = {.cond = (eb_cond)ir->cond, .b = EB_REG_NO};
    if (eb_sel_is_const(s, a, &imm) && !eb_sel_is_const(s, b, &imm)) {
        a = ir->b;
        b = ir->a;
        c.cond = eb_cond_swapped(c.cond);
    }
    bool i32 = eb_sel_ir(s, a)->type == EB_IR_I32;
    c.narrow = i32 && s->cpu >= 3;
    bool is_signed = c.cond >= EB_COND_SLT && c.cond <= EB_COND_SLE;
    bool wide = i32 && !c.narrow;
    c.a = wide ? widened(s, a, is_signed) : eb_sel_reg(s, a);
    if (wide && !is_signed && eb_sel_is_const(s, b, &imm)) {
        imm = (uint32_t)imm;
        if (imm > INT32_MAX)
            eb_sel_constant(s, c.b = eb_sel_new(s), imm);
        c.imm = imm;
    } else if (eb_sel_is_imm(s, b, &c.imm)) {
        /* in the instruction */
    } else {
        c.b = wide ? widened(s, b, is_signed) : eb_sel_reg(s, b);
    }
    return c;
}

void eb_sel_branch(eb_sel *s, eb_value value) {
    comparison c = compared(s, eb_sel_ir(s, value));
    eb_mi *mi = eb_sel_emit(s, EB_M_BRANCH);
    mi->cond = (uint8_t)c.cond;
    mi->narrow = c.narrow;
    mi->dst = c.a;
    mi->src = c.b;
    mi->imm = c.imm;
}

/* x < 0 is the highest bit. */
static bool is_sign(const eb_sel *s, const eb_ir *ir) {
    int64_t imm;
    return ir->cond == EB_COND_SLT && eb_sel_is_const(s, ir->b, &imm) && imm == 0 &&
           !(eb_sel_ir(s, ir->a)->type == EB_IR_I32 && s->cpu < 3);
}

void eb_sel_compare(eb_sel *s, eb_value value) {
    const eb_ir *ir = eb_sel_ir(s, value);
    if (is_sign(s, ir)) {
        bool narrow = eb_sel_ir(s, ir->a)->type == EB_IR_I32;
        uint32_t dst = eb_sel_def(s, value);
        eb_sel_put(s, dst, ir->a);
        eb_sel_alui(s, (narrow ? EB_C_ALU32 : EB_C_ALU64) | EB_C_RSH, dst, narrow ? 31 : 63);
        return;
    }
    comparison c = compared(s, ir);
    eb_mi *mi = eb_sel_emit(s, EB_M_SET);
    mi->cond = (uint8_t)c.cond;
    mi->narrow = c.narrow;
    mi->dst = eb_sel_def(s, value);
    mi->src = c.a;
    mi->src2 = c.b;
    mi->imm = c.imm;
}
