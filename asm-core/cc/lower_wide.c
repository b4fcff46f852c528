/* lower_wide.c - __int128: what programs do with an address of IPv6 that is kept in one.
 *
 * A value is two words. They are loaded, stored, compared, converted, added and subtracted, and
 * their bits are combined and shifted by constants; what would take a library (products, quotients,
 * shifts by a variable) is refused. A value that comes from two places is joined in memory, and one
 * goes to functions and comes from them, as records do. */
#include "lower.h"

enum { WORD = 8, WORD_BITS = 64 };

static eb_type *word_type(eb_lower *l) {
    return eb_type_basic(&l->u->types, EB_TYPE_ULONG);
}

static eb_value word(eb_lower *l, uint64_t value, eb_loc loc) {
    return eb_emit_const(l, EB_IR_I64, (int64_t)value, loc);
}

static eb_value op(eb_lower *l, eb_ir_op code, eb_value a, eb_value b, eb_loc loc) {
    return eb_emit(l, code, EB_IR_I64, a, b, loc);
}

/* 0 or 1 as a word. */
static eb_value flag(eb_lower *l, eb_cond cond, eb_value a, eb_value b, eb_loc loc) {
    return eb_emit(l, EB_IR_ZEXT, EB_IR_I64, eb_emit_cmp(l, cond, a, b, loc), 0, loc);
}

/* ---- memory ---- */

/* A place with an address and nothing that CO-RE would have to say twice. */
static eb_lvalue settled(eb_lower *l, const eb_lvalue *place, eb_loc loc) {
    eb_lvalue p = *place;
    if (!p.chain.count)
        return p;
    p.base = eb_place_address(l, place, loc);
    p.chain.count = 0;
    p.offset = 0;
    p.align = WORD;
    return p;
}

static eb_lvalue half(eb_lower *l, const eb_lvalue *place, bool high) {
    eb_lvalue p = *place;
    p.type = word_type(l);
    p.offset += high != l->ir->big ? WORD : 0;
    return p;
}

eb_wide eb_wide_load(eb_lower *l, const eb_lvalue *place, eb_loc loc) {
    eb_lvalue p = settled(l, place, loc);
    eb_lvalue low = half(l, &p, false), high = half(l, &p, true);
    eb_value first = eb_place_load(l, &low, loc);
    return (eb_wide){first, eb_place_load(l, &high, loc)};
}

void eb_wide_store(eb_lower *l, const eb_lvalue *place, eb_wide value, eb_loc loc) {
    eb_lvalue p = settled(l, place, loc);
    eb_lvalue low = half(l, &p, false), high = half(l, &p, true);
    eb_place_store(l, &low, value.low, loc);
    eb_place_store(l, &high, value.high, loc);
}

/* ---- conversions ---- */

static bool without_sign(eb_type *type) {
    return eb_type_is(type, EB_TYPE_POINTER) || eb_type_is_unsigned(type);
}

static eb_wide widened(eb_lower *l, eb_value v, eb_type *from, eb_loc loc) {
    eb_value low = eb_lower_cast(l, v, from, word_type(l), loc);
    if (without_sign(from))
        return (eb_wide){low, word(l, 0, loc)};
    return (eb_wide){low, op(l, EB_IR_SAR, low, word(l, WORD_BITS - 1, loc), loc)};
}

eb_value eb_wide_narrowed(eb_lower *l, eb_wide value, eb_type *to, eb_loc loc) {
    if (eb_type_is(to, EB_TYPE_BOOL))
        return eb_emit_cmp(l, EB_COND_NE, op(l, EB_IR_OR, value.low, value.high, loc),
                           word(l, 0, loc), loc);
    return eb_lower_cast(l, value.low, word_type(l), to, loc);
}

/* ---- operators ---- */

static eb_wide sum(eb_lower *l, eb_wide a, eb_wide b, eb_loc loc) {
    eb_value low = op(l, EB_IR_ADD, a.low, b.low, loc);
    eb_value carry = flag(l, EB_COND_LT, low, a.low, loc);
    return (eb_wide){low, op(l, EB_IR_ADD, op(l, EB_IR_ADD, a.high, b.high, loc), carry, loc)};
}

static eb_wide difference(eb_lower *l, eb_wide a, eb_wide b, eb_loc loc) {
    eb_value borrow = flag(l, EB_COND_LT, a.low, b.low, loc);
    eb_value high = op(l, EB_IR_SUB, op(l, EB_IR_SUB, a.high, b.high, loc), borrow, loc);
    return (eb_wide){op(l, EB_IR_SUB, a.low, b.low, loc), high};
}

static eb_wide each(eb_lower *l, eb_ir_op code, eb_wide a, eb_wide b, eb_loc loc) {
    return (eb_wide){op(l, code, a.low, b.low, loc), op(l, code, a.high, b.high, loc)};
}

static eb_value shift(eb_lower *l, eb_ir_op code, eb_value v, unsigned by, eb_loc loc) {
    return by ? op(l, code, v, word(l, by, loc), loc) : v;
}

/* By less than 128. */
static eb_wide up(eb_lower *l, eb_wide a, unsigned by, eb_loc loc) {
    if (by >= WORD_BITS)
        return (eb_wide){word(l, 0, loc), shift(l, EB_IR_SHL, a.low, by - WORD_BITS, loc)};
    if (!by)
        return a;
    eb_value over = shift(l, EB_IR_SHR, a.low, WORD_BITS - by, loc);
    eb_value high = op(l, EB_IR_OR, shift(l, EB_IR_SHL, a.high, by, loc), over, loc);
    return (eb_wide){shift(l, EB_IR_SHL, a.low, by, loc), high};
}

static eb_wide down(eb_lower *l, eb_wide a, unsigned by, bool is_unsigned, eb_loc loc) {
    eb_ir_op code = is_unsigned ? EB_IR_SHR : EB_IR_SAR;
    if (by >= WORD_BITS) {
        eb_value sign =
            is_unsigned ? word(l, 0, loc) : shift(l, EB_IR_SAR, a.high, WORD_BITS - 1, loc);
        return (eb_wide){shift(l, code, a.high, by - WORD_BITS, loc), sign};
    }
    if (!by)
        return a;
    eb_value over = shift(l, EB_IR_SHL, a.high, WORD_BITS - by, loc);
    eb_value low = op(l, EB_IR_OR, shift(l, EB_IR_SHR, a.low, by, loc), over, loc);
    return (eb_wide){low, shift(l, code, a.high, by, loc)};
}

static eb_wide refused(eb_lower *l, const eb_expr *e) {
    eb_diag_add(l->ctx, EB_DIAG_NO_WIDE, e->lo, e->hi, eb_type_string(l->u, e->type));
    return (eb_wide){word(l, 0, e->lo), word(l, 0, e->lo)};
}

static eb_wide shifted(eb_lower *l, const eb_expr *e, eb_wide a, const eb_expr *count) {
    eb_constant by = eb_lower_constant(count);
    if (!by.kind || by.value >= 2 * WORD_BITS)
        return refused(l, e);
    bool is_unsigned = eb_type_is_unsigned(e->type);
    return e->op == EB_TOK_SHL ? up(l, a, (unsigned)by.value, e->lo)
                               : down(l, a, (unsigned)by.value, is_unsigned, e->lo);
}

/* a op b, where only a shift's count is no value of 128 bits. */
static eb_wide computed(eb_lower *l, const eb_expr *e, eb_wide a, const eb_expr *right) {
    if (e->op == EB_TOK_SHL || e->op == EB_TOK_SHR)
        return shifted(l, e, a, right);
    eb_wide b = eb_lower_wide(l, right);
    switch (e->op) {
    case EB_TOK_PLUS:
        return sum(l, a, b, e->lo);
    case EB_TOK_MINUS:
        return difference(l, a, b, e->lo);
    case EB_TOK_AND:
        return each(l, EB_IR_AND, a, b, e->lo);
    case EB_TOK_OR:
        return each(l, EB_IR_OR, a, b, e->lo);
    case EB_TOK_XOR:
        return each(l, EB_IR_XOR, a, b, e->lo);
    default:
        return refused(l, e);
    }
}

static eb_wide unary(eb_lower *l, const eb_expr *e) {
    eb_wide a = eb_lower_wide(l, e->a);
    eb_value zero = word(l, 0, e->lo), ones = word(l, UINT64_MAX, e->lo);
    if (e->op == EB_TOK_MINUS)
        return difference(l, (eb_wide){zero, zero}, a, e->lo);
    return each(l, EB_IR_XOR, a, (eb_wide){ones, ones}, e->lo);
}

/* ---- assignment ---- */

static eb_wide assign(eb_lower *l, const eb_expr *e) {
    eb_wide v = eb_lower_wide(l, e->b);
    eb_lvalue p = eb_lower_place(l, e->a);
    if (p.field)
        return refused(l, e);
    eb_wide_store(l, &p, v, e->lo);
    return v;
}

/* a op= b where b may be as wide while a is not, and ++ and --. */
static eb_wide update(eb_lower *l, const eb_expr *e) {
    eb_lvalue place = eb_lower_place(l, e->a);
    if (place.field)
        return refused(l, e);
    eb_lvalue p = settled(l, &place, e->lo);
    eb_wide old = eb_wide_load(l, &p, e->lo), v;
    if (e->kind == EB_EXPR_STEP) {
        eb_wide one = {word(l, 1, e->lo), word(l, 0, e->lo)};
        v = e->op == EB_TOK_MINUSMINUS ? difference(l, old, one, e->lo) : sum(l, old, one, e->lo);
    } else {
        v = computed(l, e, old, e->b);
    }
    eb_wide_store(l, &p, v, e->lo);
    return e->kind == EB_EXPR_STEP && e->postfix ? old : v;
}

/* ---- conditions ---- */

static eb_cond strict(unsigned token, bool is_unsigned) {
    bool less = token == EB_TOK_LT || token == EB_TOK_LE;
    if (is_unsigned)
        return less ? EB_COND_LT : EB_COND_GT;
    return less ? EB_COND_SLT : EB_COND_SGT;
}

void eb_wide_compare(eb_lower *l, const eb_expr *e, uint32_t yes, uint32_t no) {
    eb_wide a = eb_lower_wide(l, e->a), b = eb_lower_wide(l, e->b);
    eb_loc loc = e->lo;
    if (e->op == EB_TOK_EQ || e->op == EB_TOK_NE) {
        eb_wide differs = each(l, EB_IR_XOR, a, b, loc);
        eb_emit_branch(l, e->op == EB_TOK_EQ ? EB_COND_EQ : EB_COND_NE,
                       op(l, EB_IR_OR, differs.low, differs.high, loc), word(l, 0, loc), yes, no,
                       loc);
        return;
    }
    /* The upper words decide, unless they are equal. */
    uint32_t upper = eb_block_new(l->fn), lower = eb_block_new(l->fn);
    bool or_equal = e->op == EB_TOK_LE || e->op == EB_TOK_GE;
    eb_cond below = strict(e->op, true);
    if (or_equal)
        below = below == EB_COND_LT ? EB_COND_LE : EB_COND_GE;
    eb_emit_branch(l, EB_COND_NE, a.high, b.high, upper, lower, loc);
    eb_emit_in(l, upper);
    eb_emit_branch(l, strict(e->op, eb_type_is_unsigned(e->a->type)), a.high, b.high, yes, no, loc);
    eb_emit_in(l, lower);
    eb_emit_branch(l, below, a.low, b.low, yes, no, loc);
}

/* ---- all of them ---- */

static eb_wide cast(eb_lower *l, const eb_expr *e) {
    if (eb_type_is_wide(e->a->type))
        return eb_lower_wide(l, e->a);
    if (eb_refuse_type(l, e->a->type, e->lo, e->hi))
        return (eb_wide){word(l, 0, e->lo), word(l, 0, e->lo)};
    return widened(l, eb_lower_value(l, e->a), e->a->type, e->lo);
}

eb_wide eb_lower_wide(eb_lower *l, const eb_expr *e) {
    eb_constant c = eb_constant_of(e);
    if (c.kind == EB_CONSTANT_NUMBER) {
        bool negative = !eb_type_is_unsigned(e->type) && (int64_t)c.value < 0;
        return (eb_wide){word(l, c.value, e->lo), word(l, negative ? UINT64_MAX : 0, e->lo)};
    }
    eb_lvalue p;
    switch (e->kind) { /* one case per kind */
    case EB_EXPR_LOAD:
        p = eb_lower_place(l, e->a);
        return p.field ? refused(l, e) : eb_wide_load(l, &p, e->lo);
    case EB_EXPR_CAST:
        return cast(l, e);
    case EB_EXPR_UNARY:
        return unary(l, e);
    case EB_EXPR_BINARY:
        return computed(l, e, eb_lower_wide(l, e->a), e->b);
    case EB_EXPR_ASSIGN:
        return assign(l, e);
    case EB_EXPR_UPDATE:
        return eb_type_is_wide(e->of.common) ? update(l, e) : refused(l, e);
    case EB_EXPR_STEP:
        return update(l, e);
    case EB_EXPR_COMMA:
        eb_lower_effects(l, e->a);
        return eb_lower_wide(l, e->b);
    case EB_EXPR_COND:
    case EB_EXPR_STATEMENTS:
    case EB_EXPR_CALL:
        if (e->kind == EB_EXPR_COND && !e->b) /* a ?: c */
            return refused(l, e);
        p = eb_lower_record(l, e);
        return eb_wide_load(l, &p, e->lo);
    default:
        return refused(l, e);
    }
}
