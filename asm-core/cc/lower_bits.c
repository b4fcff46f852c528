/* lower_bits.c - builtin functions that count, swap and move bits, and arithmetic that tells
 * whether its result fits. */
#include "lower_builtin.h"

enum { BYTE = 8, WORD = 8 };

/* ---- bits ---- */

static eb_value swapped(const eb_call *c, unsigned size) {
    eb_value a = eb_arg(c, 0), v = eb_op(c, EB_IR_SWAP, a, 0);
    eb_ir_at(c->l->fn, v)->size = (uint8_t)size;
    return v;
}

/* Ones counted in pairs, nibbles, bytes, and the bytes summed by a multiplication. */
static eb_value ones(const eb_call *c, eb_value v) {
    v = eb_op(c, EB_IR_SUB, v,
              eb_op_imm(c, EB_IR_AND, eb_op_imm(c, EB_IR_SHR, v, 1), 0x5555555555555555));
    eb_value low = eb_op_imm(c, EB_IR_AND, v, 0x3333333333333333);
    v = eb_op(c, EB_IR_ADD, low,
              eb_op_imm(c, EB_IR_AND, eb_op_imm(c, EB_IR_SHR, v, 2), 0x3333333333333333));
    v = eb_op_imm(c, EB_IR_AND, eb_op(c, EB_IR_ADD, v, eb_op_imm(c, EB_IR_SHR, v, 4)),
                  0x0f0f0f0f0f0f0f0f);
    v = eb_op_imm(c, EB_IR_MUL, v, 0x0101010101010101);
    return eb_op_imm(c, EB_IR_SHR, v, eb_width_of(c, v) - BYTE);
}

static eb_value as_int(const eb_call *c, eb_value v) {
    return eb_width_of(c, v) == 64 ? eb_emit(c->l, EB_IR_TRUNC, EB_IR_I32, v, 0, c->loc) : v;
}

static eb_value trailing_zeroes(const eb_call *c, eb_value v) {
    eb_value lowest = eb_op(c, EB_IR_AND, v, eb_op(c, EB_IR_NEG, v, 0));
    return ones(c, eb_op_imm(c, EB_IR_SUB, lowest, 1));
}

static eb_value leading_zeroes(const eb_call *c, eb_value v) {
    for (unsigned by = 1; by < eb_width_of(c, v); by *= 2)
        v = eb_op(c, EB_IR_OR, v, eb_op_imm(c, EB_IR_SHR, v, by));
    return ones(c, eb_op_imm(c, EB_IR_XOR, v, -1));
}

/* The number of the lowest one, from 1, or 0 when there is none. */
static eb_value first_set(const eb_call *c, eb_value v) {
    eb_lower *l = c->l;
    uint32_t some = eb_block_new(l->fn), join = eb_block_new(l->fn);
    eb_value none = eb_number_of(c, EB_IR_I32, 0);
    eb_ir_type type = (eb_ir_type)eb_ir_at(l->fn, v)->type;
    eb_emit_branch(l, EB_COND_EQ, v, eb_number_of(c, type, 0), join, some, c->loc);
    eb_emit_in(l, some);
    eb_value at = eb_op_imm(c, EB_IR_ADD, as_int(c, trailing_zeroes(c, v)), 1);
    eb_emit_jump(l, join, c->loc);
    eb_emit_in(l, join);
    return eb_emit_phi(l, EB_IR_I32, none, at, c->loc);
}

static eb_value absolute(const eb_call *c) {
    eb_value v = eb_arg(c, 0), sign = eb_op_imm(c, EB_IR_SAR, v, eb_width_of(c, v) - 1);
    return eb_op(c, EB_IR_SUB, eb_op(c, EB_IR_XOR, v, sign), sign);
}

/* Swap neighbours of 1, 2 and 4 bits, then the bytes. */
static eb_value reversed(const eb_call *c, unsigned size) {
    static const int64_t masks[] = {0x5555555555555555, 0x3333333333333333, 0x0f0f0f0f0f0f0f0f};
    eb_value v = eb_arg(c, 0);
    int64_t all = size == 1 ? 0xff : size == 2 ? 0xffff : -1;
    for (unsigned n = 0; n < 3; n++) {
        eb_value high = eb_op_imm(c, EB_IR_AND, eb_op_imm(c, EB_IR_SHR, v, 1 << n), masks[n] & all);
        eb_value low = eb_op_imm(c, EB_IR_SHL, eb_op_imm(c, EB_IR_AND, v, masks[n] & all), 1 << n);
        v = eb_op(c, EB_IR_OR, high, low);
    }
    if (size == 1)
        return v;
    v = eb_op(c, EB_IR_SWAP, v, 0);
    eb_ir_at(c->l->fn, v)->size = (uint8_t)size;
    return v;
}

static eb_value rotated(const eb_call *c, unsigned bits, bool left) {
    eb_value v = eb_arg(c, 0), by = eb_op_imm(c, EB_IR_AND, eb_arg(c, 1), bits - 1);
    eb_value back = eb_op_imm(c, EB_IR_AND, eb_op(c, EB_IR_NEG, by, 0), bits - 1);
    eb_value up = eb_op(c, EB_IR_SHL, v, left ? by : back);
    eb_value down = eb_op(c, EB_IR_SHR, v, left ? back : by);
    v = eb_op(c, EB_IR_OR, up, down);
    return bits < 32 ? eb_op_imm(c, EB_IR_AND, v, (1 << bits) - 1) : v;
}

/* The bits below the highest that are the same as it. */
static eb_value sign_bits(const eb_call *c) {
    eb_value v = eb_arg(c, 0), sign = eb_op_imm(c, EB_IR_SAR, v, eb_width_of(c, v) - 1);
    return eb_op_imm(c, EB_IR_SUB, as_int(c, leading_zeroes(c, eb_op(c, EB_IR_XOR, v, sign))), 1);
}

/* clzg, ctzg, popcountg: of the argument's own size; a second argument is what they are of 0. */
static eb_value generic_count(const eb_call *c) {
    eb_lower *l = c->l;
    eb_value v = eb_arg(c, 0);
    unsigned bits = (unsigned)eb_type_size(c->args[0]->type) * BYTE, held = eb_width_of(c, v);
    if (c->e->builtin == EB_BUILTIN_POPCOUNTG)
        return as_int(c, ones(c, v));
    uint32_t some = eb_block_new(l->fn), join = eb_block_new(l->fn);
    eb_value none = 0;
    if (c->e->of.args.count > 1) {
        none = eb_arg(c, 1);
        eb_value zero = eb_number_of(c, (eb_ir_type)eb_ir_at(l->fn, v)->type, 0);
        eb_emit_branch(l, EB_COND_EQ, v, zero, join, some, c->loc);
        eb_emit_in(l, some);
    }
    eb_value at = c->e->builtin == EB_BUILTIN_CTZG
                      ? as_int(c, trailing_zeroes(c, v))
                      : eb_op_imm(c, EB_IR_SUB, as_int(c, leading_zeroes(c, v)), held - bits);
    if (!none)
        return at;
    eb_emit_jump(l, join, c->loc);
    eb_emit_in(l, join);
    return eb_emit_phi(l, EB_IR_I32, none, at, c->loc);
}

/* (x + (to - 1)) & ~(to - 1) and its like. */
static eb_value align_to(const eb_call *c) {
    eb_value v = eb_arg(c, 0), to = eb_arg(c, 1);
    eb_ir_type type = (eb_ir_type)eb_ir_at(c->l->fn, v)->type;
    if (type == EB_IR_I32)
        to = eb_emit(c->l, EB_IR_TRUNC, EB_IR_I32, to, 0, c->loc);
    eb_value mask = eb_op_imm(c, EB_IR_SUB, to, 1);
    if (c->e->builtin == EB_BUILTIN_IS_ALIGNED) {
        eb_value rest =
            eb_emit(c->l, EB_IR_AND, type == EB_IR_I32 ? EB_IR_I32 : EB_IR_I64, v, mask, c->loc);
        return eb_emit_cmp(c->l, EB_COND_EQ, rest,
                           eb_number_of(c, type == EB_IR_I32 ? EB_IR_I32 : EB_IR_I64, 0), c->loc);
    }
    if (c->e->builtin == EB_BUILTIN_ALIGN_UP)
        v = eb_emit(c->l, EB_IR_ADD, type, v, mask, c->loc);
    return eb_emit(c->l, EB_IR_AND, type, v, eb_op_imm(c, EB_IR_XOR, mask, -1), c->loc);
}

/* ---- overflow ---- */

static eb_value widened(const eb_call *c, uint32_t n) {
    eb_type *type = c->args[n]->type;
    eb_value v = eb_arg(c, n);
    if (eb_ir_at(c->l->fn, v)->type != EB_IR_I32)
        return v;
    v = eb_emit(c->l, eb_type_is_unsigned(type) ? EB_IR_ZEXT : EB_IR_SEXT, EB_IR_I64, v, 0, c->loc);
    if (!eb_type_is_unsigned(type))
        eb_ir_at(c->l->fn, v)->size = 4;
    return v;
}

static eb_value is_negative(const eb_call *c, eb_value v) {
    return eb_emit_cmp(c->l, EB_COND_SLT, v, eb_number_of(c, EB_IR_I64, 0), c->loc);
}

/* Of the mathematical result, the 64 bits and what stands above them: 0 and -1 are all zeroes and
 * all ones, anything else does not fit in any type. */
typedef struct exact {
    eb_value low, high;
} exact;

static eb_value sign_of(const eb_call *c, eb_value v) {
    return eb_op_imm(c, EB_IR_SAR, v, 63);
}

/* Above the 64 bits of an operand. */
static eb_value above(const eb_call *c, uint32_t n, eb_value v) {
    return eb_type_is_unsigned(c->args[n]->type) ? eb_number_of(c, EB_IR_I64, 0) : sign_of(c, v);
}

static eb_value truth(const eb_call *c, eb_cond cond, eb_value a, eb_value b) {
    eb_value v = eb_emit_cmp(c->l, cond, a, b, c->loc);
    return eb_emit(c->l, EB_IR_ZEXT, EB_IR_I64, v, 0, c->loc);
}

static exact exact_sum(const eb_call *c, eb_ir_op what, eb_value a, eb_value b) {
    eb_value low = eb_op(c, what, a, b), high = eb_op(c, what, above(c, 0, a), above(c, 1, b));
    eb_value carry = what == EB_IR_ADD ? truth(c, EB_COND_LT, low, a) : truth(c, EB_COND_LT, a, b);
    return (exact){low, eb_op(c, what, high, carry)};
}

/* By magnitudes, so that no signed division is needed; `high` is 1 when they have too many bits. */
static exact exact_product(const eb_call *c, eb_value a, eb_value b) {
    eb_lower *l = c->l;
    eb_value sa = above(c, 0, a), sb = above(c, 1, b), sign = eb_op(c, EB_IR_XOR, sa, sb);
    a = eb_op(c, EB_IR_SUB, eb_op(c, EB_IR_XOR, a, sa), sa);
    b = eb_op(c, EB_IR_SUB, eb_op(c, EB_IR_XOR, b, sb), sb);
    eb_value product = eb_op(c, EB_IR_MUL, a, b), zero = eb_number_of(c, EB_IR_I64, 0);
    uint32_t some = eb_block_new(l->fn), join = eb_block_new(l->fn);
    eb_emit_branch(l, EB_COND_EQ, b, zero, join, some, c->loc);
    eb_emit_in(l, some); /* product / b is a again, if all bits are there */
    eb_value lost = truth(c, EB_COND_NE, eb_op(c, EB_IR_DIV, product, b), a);
    eb_emit_jump(l, join, c->loc);
    eb_emit_in(l, join);
    lost = eb_emit_phi(l, EB_IR_I64, zero, lost, c->loc);
    eb_value low = eb_op(c, EB_IR_SUB, eb_op(c, EB_IR_XOR, product, sign), sign);
    eb_value some_bits = eb_op(c, EB_IR_NEG, truth(c, EB_COND_NE, product, zero), 0);
    /* Bit 1 is in no sign's extension by itself. */
    lost = eb_op_imm(c, EB_IR_SHL, lost, 1);
    return (exact){low, eb_op(c, EB_IR_XOR, eb_op(c, EB_IR_AND, sign, some_bits), lost)};
}

static bool fits_in_word(const eb_call *c, eb_type *to) {
    return eb_type_size(to) < WORD && eb_type_size(c->args[0]->type) < WORD &&
           eb_type_size(c->args[1]->type) < WORD;
}

/* `low` as the result's type, stored, and whether it is another number than that. */
static eb_value stored(const eb_call *c, eb_type *to, eb_value low) {
    eb_lower *l = c->l;
    eb_type *word = eb_type_basic(&l->u->types, EB_TYPE_LONG);
    eb_lvalue p = eb_place_at(eb_arg(c, 2), to);
    if (eb_type_size(to) == WORD) {
        eb_place_store(l, &p, low, c->loc);
        return 0;
    }
    eb_value narrow = eb_lower_cast(l, low, word, to, c->loc);
    eb_value back = eb_lower_cast(l, narrow, to, word, c->loc);
    eb_value differs = eb_emit_cmp(l, EB_COND_NE, low, back, c->loc);
    eb_place_store(l, &p, narrow, c->loc);
    return differs;
}

/* Unsigned or signed 64-bit numbers throughout: the usual tests. 0 when they are others. */
static eb_value plain_overflow(const eb_call *c, eb_ir_op what, eb_type *to, eb_value a, eb_value b,
                               eb_value v) {
    bool x = eb_type_is_unsigned(c->args[0]->type), y = eb_type_is_unsigned(c->args[1]->type);
    bool z = eb_type_is_unsigned(to);
    if (eb_type_size(to) != WORD || x != y || y != z || (what == EB_IR_MUL))
        return 0;
    if (x)
        return what == EB_IR_ADD ? eb_emit_cmp(c->l, EB_COND_LT, v, a, c->loc)
                                 : eb_emit_cmp(c->l, EB_COND_LT, a, b, c->loc);
    eb_value other = what == EB_IR_ADD ? eb_op(c, EB_IR_XOR, b, v) : eb_op(c, EB_IR_XOR, a, b);
    return is_negative(c, eb_op(c, EB_IR_AND, eb_op(c, EB_IR_XOR, a, v), other));
}

static eb_value overflow(const eb_call *c, eb_ir_op what) {
    eb_lower *l = c->l;
    eb_type *to = eb_type_plain(c->args[2]->type)->base;
    eb_value a = widened(c, 0), b = widened(c, 1);
    if (fits_in_word(c, to)) /* 64 bits hold what 32-bit operands give */
        return stored(c, to, eb_op(c, what, a, b));
    eb_value v = eb_op(c, what, a, b), over = plain_overflow(c, what, to, a, b, v);
    if (over) {
        stored(c, to, v);
        return over;
    }
    exact e = what == EB_IR_MUL ? exact_product(c, a, b) : exact_sum(c, what, a, b);
    eb_value zero = eb_number_of(c, EB_IR_I64, 0);
    eb_value fitting = eb_type_is_unsigned(to) ? zero : sign_of(c, e.low);
    over = eb_emit_cmp(l, EB_COND_NE, e.high, fitting, c->loc);
    eb_value differs = stored(c, to, e.low);
    return differs ? eb_op(c, EB_IR_OR, over, differs) : over;
}

eb_value eb_lower_bits_builtin(const eb_call *c) {
    switch (c->e->builtin) { /* one case per row */
    case EB_BUILTIN_BSWAP16:
        return swapped(c, 2);
    case EB_BUILTIN_BSWAP32:
        return swapped(c, 4);
    case EB_BUILTIN_BSWAP64:
        return swapped(c, 8);
    case EB_BUILTIN_CLZ:
    case EB_BUILTIN_CLZL:
    case EB_BUILTIN_CLZLL:
        return as_int(c, leading_zeroes(c, eb_arg(c, 0)));
    case EB_BUILTIN_CTZ:
    case EB_BUILTIN_CTZL:
    case EB_BUILTIN_CTZLL:
        return as_int(c, trailing_zeroes(c, eb_arg(c, 0)));
    case EB_BUILTIN_FFS:
    case EB_BUILTIN_FFSL:
    case EB_BUILTIN_FFSLL:
        return first_set(c, eb_arg(c, 0));
    case EB_BUILTIN_POPCOUNT:
    case EB_BUILTIN_POPCOUNTL:
    case EB_BUILTIN_POPCOUNTLL:
        return as_int(c, ones(c, eb_arg(c, 0)));
    case EB_BUILTIN_CLZS:
        return eb_op_imm(c, EB_IR_SUB, leading_zeroes(c, eb_arg(c, 0)), 16);
    case EB_BUILTIN_CTZS:
        return trailing_zeroes(c, eb_arg(c, 0));
    case EB_BUILTIN_CLZG:
    case EB_BUILTIN_CTZG:
    case EB_BUILTIN_POPCOUNTG:
        return generic_count(c);
    case EB_BUILTIN_PARITY:
    case EB_BUILTIN_PARITYL:
    case EB_BUILTIN_PARITYLL:
        return eb_op_imm(c, EB_IR_AND, as_int(c, ones(c, eb_arg(c, 0))), 1);
    case EB_BUILTIN_CLRSB:
    case EB_BUILTIN_CLRSBL:
    case EB_BUILTIN_CLRSBLL:
        return sign_bits(c);
    case EB_BUILTIN_REVERSE8:
    case EB_BUILTIN_REVERSE16:
    case EB_BUILTIN_REVERSE32:
    case EB_BUILTIN_REVERSE64:
        return reversed(c, 1u << (c->e->builtin - EB_BUILTIN_REVERSE8));
    case EB_BUILTIN_LEFT8:
    case EB_BUILTIN_LEFT16:
    case EB_BUILTIN_LEFT32:
    case EB_BUILTIN_LEFT64:
        return rotated(c, 8u << (c->e->builtin - EB_BUILTIN_LEFT8), true);
    case EB_BUILTIN_RIGHT8:
    case EB_BUILTIN_RIGHT16:
    case EB_BUILTIN_RIGHT32:
    case EB_BUILTIN_RIGHT64:
        return rotated(c, 8u << (c->e->builtin - EB_BUILTIN_RIGHT8), false);
    case EB_BUILTIN_ALIGN_UP:
    case EB_BUILTIN_ALIGN_DOWN:
    case EB_BUILTIN_IS_ALIGNED:
        return align_to(c);
    case EB_BUILTIN_ABS:
    case EB_BUILTIN_LABS:
        return absolute(c);
    case EB_BUILTIN_ADD_OVERFLOW:
        return overflow(c, EB_IR_ADD);
    case EB_BUILTIN_SUB_OVERFLOW:
        return overflow(c, EB_IR_SUB);
    case EB_BUILTIN_MUL_OVERFLOW:
        return overflow(c, EB_IR_MUL);
    default:
        return eb_lower_memory_builtin(c);
    }
}
