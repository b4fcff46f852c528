/* lower_expr.c - values of expressions, conversions, conditions and calls. */
#include "lower.h"

#include "builtin.h"

enum { WORD = 8 };

static bool is_unsigned(eb_type *type) {
    return eb_type_is(type, EB_TYPE_POINTER) || eb_type_is_unsigned(type);
}

static eb_ir_type type_of(const eb_lower *l, eb_value v) {
    return (eb_ir_type)eb_ir_at(l->fn, v)->type;
}

/* Something of the type, where an error has been told already. */
static eb_value any(eb_lower *l, eb_type *type, eb_loc loc) {
    eb_ir_type ir = eb_lower_type(type);
    return ir == EB_IR_VOID ? 0 : eb_emit(l, EB_IR_UNDEF, ir, 0, 0, loc);
}

/* ---- constants ---- */

/* The initial value of a const pointer, such as those that name helper functions. */
static eb_constant const_pointer(const eb_expr *e) {
    const eb_constant none = {0};
    if (e->kind != EB_EXPR_LOAD || e->a->kind != EB_EXPR_DECL)
        return none;
    const eb_decl *decl = e->a->of.decl;
    unsigned quals = eb_type_quals(decl->type);
    if (!eb_type_is(decl->type, EB_TYPE_POINTER))
        return none;
    bool fixed =
        (quals & EB_CONST) || (decl->storage == EB_STORAGE_STATIC &&
                               eb_type_is(eb_type_plain(decl->type)->base, EB_TYPE_FUNCTION));
    if (!decl->is_global || !fixed || (quals & EB_VOLATILE) || decl->inits.len != 1 ||
        decl->attrs.section.len)
        return none;
    eb_constant c = eb_constant_of(decl->inits.at[0].expr);
    return c.kind == EB_CONSTANT_NUMBER ? c : none;
}

eb_constant eb_lower_constant(const eb_expr *e) {
    while (e->kind == EB_EXPR_CAST && eb_type_is(e->type, EB_TYPE_POINTER) &&
           eb_type_is(e->a->type, EB_TYPE_POINTER))
        e = e->a;
    if (eb_type_is(e->type, EB_TYPE_POINTER) && e->kind == EB_EXPR_LOAD)
        return const_pointer(e);
    eb_constant c = eb_constant_of(e);
    return c.kind == EB_CONSTANT_NUMBER ? c : (eb_constant){0};
}

/* ---- conversions ---- */

static eb_value with_size(eb_lower *l, eb_ir_op op, eb_ir_type type, eb_value v, uint64_t size,
                          eb_loc loc) {
    eb_value made = eb_emit(l, op, type, v, 0, loc);
    eb_ir_at(l->fn, made)->size = (uint8_t)size;
    return made;
}

/* An i32 or i64 that is cut to a narrower type and extended again as that type is. */
static eb_value narrowed(eb_lower *l, eb_value v, eb_type *to, eb_loc loc) {
    uint64_t size = eb_type_size(to);
    if (is_unsigned(to))
        return eb_emit(l, EB_IR_AND, EB_IR_I32, v,
                       eb_emit_const(l, EB_IR_I32, size == 1 ? 0xff : 0xffff, loc), loc);
    return with_size(l, EB_IR_SEXT, EB_IR_I32, v, size, loc);
}

eb_value eb_lower_cast(eb_lower *l, eb_value v, eb_type *from, eb_type *to, eb_loc loc) {
    eb_type *a = eb_type_plain(from), *b = eb_type_plain(to);
    if (b->kind == EB_TYPE_POINTER && a->kind == EB_TYPE_POINTER)
        return eb_emit_space(l, v, a->base, b->base, loc);
    if (b->kind == EB_TYPE_BOOL && a->kind != EB_TYPE_BOOL)
        return eb_emit_cmp(l, EB_COND_NE, v, eb_emit_const(l, type_of(l, v), 0, loc), loc);
    uint64_t had = eb_type_size(a), wanted = eb_type_size(b);
    if (wanted == WORD && had < WORD && is_unsigned(a))
        return eb_emit(l, EB_IR_ZEXT, EB_IR_I64, v, 0, loc);
    if (wanted == WORD && had < WORD)
        return with_size(l, EB_IR_SEXT, EB_IR_I64, v, 4, loc);
    if (wanted < WORD && had == WORD)
        v = eb_emit(l, EB_IR_TRUNC, EB_IR_I32, v, 0, loc);
    bool fits = had < wanted ? is_unsigned(a) || !is_unsigned(b)
                             : had == wanted && is_unsigned(a) == is_unsigned(b);
    return wanted >= 4 || fits ? v : narrowed(l, v, b, loc);
}

static eb_value cast(eb_lower *l, const eb_expr *e) {
    if (eb_type_is(e->type, EB_TYPE_VOID)) {
        eb_lower_effects(l, e->a);
        return 0;
    }
    if (eb_type_is_wide(e->a->type) && !eb_type_is_floating(e->type))
        return eb_wide_narrowed(l, eb_lower_wide(l, e->a), e->type, e->lo);
    if (eb_refuse_type(l, e->type, e->lo, e->hi))
        return any(l, e->type, e->lo);
    eb_value v = eb_lower_value(l, e->a);
    return v ? eb_lower_cast(l, v, e->a->type, e->type, e->lo) : any(l, e->type, e->lo);
}

/* ---- operators ---- */

static eb_cond condition_of(unsigned op, bool without_sign) {
    switch (op) {
    case EB_TOK_LT:
        return without_sign ? EB_COND_LT : EB_COND_SLT;
    case EB_TOK_LE:
        return without_sign ? EB_COND_LE : EB_COND_SLE;
    case EB_TOK_GT:
        return without_sign ? EB_COND_GT : EB_COND_SGT;
    case EB_TOK_GE:
        return without_sign ? EB_COND_GE : EB_COND_SGE;
    case EB_TOK_EQ:
        return EB_COND_EQ;
    default:
        return EB_COND_NE;
    }
}

static bool is_comparison(unsigned op) {
    return op == EB_TOK_LT || op == EB_TOK_LE || op == EB_TOK_GT || op == EB_TOK_GE ||
           op == EB_TOK_EQ || op == EB_TOK_NE;
}

static eb_ir_op operation(unsigned op, bool without_sign) {
    switch (op) { /* one case per operator */
    case EB_TOK_PLUS:
        return EB_IR_ADD;
    case EB_TOK_MINUS:
        return EB_IR_SUB;
    case EB_TOK_STAR:
        return EB_IR_MUL;
    case EB_TOK_SLASH:
        return without_sign ? EB_IR_DIV : EB_IR_SDIV;
    case EB_TOK_PERCENT:
        return without_sign ? EB_IR_MOD : EB_IR_SMOD;
    case EB_TOK_AND:
        return EB_IR_AND;
    case EB_TOK_OR:
        return EB_IR_OR;
    case EB_TOK_XOR:
        return EB_IR_XOR;
    case EB_TOK_SHL:
        return EB_IR_SHL;
    default:
        return without_sign ? EB_IR_SHR : EB_IR_SAR;
    }
}

static uint64_t step_of(eb_type *pointer) {
    return eb_type_size(eb_type_plain(pointer)->base);
}

/* pointer + index or - index, the index an i64. */
static eb_value moved(eb_lower *l, eb_value pointer, eb_value index, uint64_t step, bool minus,
                      eb_loc loc) {
    if (eb_ir_is_const(l->fn, index)) {
        int64_t by = (int64_t)((uint64_t)eb_ir_at(l->fn, index)->imm * step);
        return eb_emit_sum(l, pointer, minus ? (int64_t)(0 - (uint64_t)by) : by, loc);
    }
    if (step != 1)
        index = eb_emit(l, EB_IR_MUL, EB_IR_I64, index,
                        eb_emit_const(l, EB_IR_I64, (int64_t)step, loc), loc);
    return eb_emit(l, minus ? EB_IR_SUB : EB_IR_ADD, EB_IR_PTR, pointer, index, loc);
}

static eb_value distance(eb_lower *l, const eb_expr *e, eb_value a, eb_value b) {
    uint64_t step = step_of(e->a->type);
    eb_value v = eb_emit(l, EB_IR_SUB, EB_IR_I64, a, b, e->lo);
    if (step <= 1)
        return v;
    /* The distance is a multiple of the step: powers of two are shifted, others divided. */
    if ((step & (step - 1)) == 0) {
        unsigned shift = 0;
        while (step >> shift > 1)
            shift++;
        return eb_emit(l, EB_IR_SAR, EB_IR_I64, v, eb_emit_const(l, EB_IR_I64, shift, e->lo),
                       e->lo);
    }
    /* Multiplying by the inverse modulo 2^64 of the odd part divides exactly (Newton). */
    unsigned shift = 0;
    while ((step & 1) == 0) {
        step >>= 1;
        shift++;
    }
    uint64_t inverse = step;
    for (int round = 0; round < 5; round++)
        inverse *= 2 - step * inverse;
    if (shift)
        v = eb_emit(l, EB_IR_SAR, EB_IR_I64, v, eb_emit_const(l, EB_IR_I64, shift, e->lo), e->lo);
    return eb_emit(l, EB_IR_MUL, EB_IR_I64, v, eb_emit_const(l, EB_IR_I64, (int64_t)inverse, e->lo),
                   e->lo);
}

/* The right side of an operator; a shift's count may have 128 bits where the left has not. */
static eb_value right_of(eb_lower *l, const eb_expr *e) {
    if (!eb_type_is_wide(e->type))
        return eb_lower_value(l, e);
    eb_type *word = eb_type_basic(&l->u->types, EB_TYPE_ULONG);
    return eb_wide_narrowed(l, eb_lower_wide(l, e), word, e->lo);
}

/* A shift's count in the type of what is shifted. */
static eb_value count_as(eb_lower *l, eb_value count, eb_ir_type type, eb_loc loc) {
    eb_ir_type own = type_of(l, count);
    if (own == type)
        return count;
    if (eb_ir_is_const(l->fn, count))
        return eb_emit_const(l, type, eb_ir_at(l->fn, count)->imm, loc);
    return own == EB_IR_I32 ? eb_emit(l, EB_IR_ZEXT, EB_IR_I64, count, 0, loc)
                            : eb_emit(l, EB_IR_TRUNC, EB_IR_I32, count, 0, loc);
}

/* A signed sum that overflows is undefined, unless they say that it wraps. */
static void note_overflow(eb_lower *l, eb_value sum, eb_type *type) {
    bool defined =
        is_unsigned(type) || eb_type_size(type) < 4 || (l->u->pp->dialect & EBPF_CC_WRAPPING);
    eb_ir *ir = eb_ir_at(l->fn, sum);
    if (!defined && ir->op == EB_IR_ADD)
        ir->flags |= EB_IR_NO_WRAP;
}

/* The value of `a op b` in `type`, both operands being of it. */
static eb_value computed(eb_lower *l, unsigned op, eb_type *type, eb_value a, eb_value b,
                         eb_loc loc) {
    eb_ir_type ir = eb_lower_type(type);
    if (op == EB_TOK_SHL || op == EB_TOK_SHR)
        b = count_as(l, b, ir, loc);
    eb_value v = eb_emit(l, operation(op, is_unsigned(type)), ir, a, b, loc);
    if (op == EB_TOK_PLUS)
        note_overflow(l, v, type);
    return v;
}

/* A condition as 0 or 1, by way of two blocks. */
static eb_value truth(eb_lower *l, const eb_expr *e) {
    uint32_t yes = eb_block_new(l->fn), no = eb_block_new(l->fn), join = eb_block_new(l->fn);
    eb_lower_condition(l, e, yes, no);
    eb_emit_in(l, yes);
    eb_value one = eb_emit_const(l, EB_IR_I32, 1, e->lo);
    eb_emit_jump(l, join, e->lo);
    eb_emit_in(l, no);
    eb_value zero = eb_emit_const(l, EB_IR_I32, 0, e->lo);
    eb_emit_jump(l, join, e->lo);
    eb_emit_in(l, join);
    return eb_emit_phi(l, EB_IR_I32, one, zero, e->lo);
}

static eb_value binary(eb_lower *l, const eb_expr *e) {
    bool wide = is_comparison(e->op) && eb_type_is_wide(e->a->type);
    if (e->op == EB_TOK_ANDAND || e->op == EB_TOK_OROR || wide)
        return truth(l, e);
    if (eb_refuse_type(l, e->a->type, e->lo, e->hi))
        return any(l, e->type, e->lo);
    eb_value a = eb_lower_value(l, e->a), b = right_of(l, e->b);
    bool pointer = eb_type_is(e->a->type, EB_TYPE_POINTER);
    if (is_comparison(e->op))
        return eb_emit_cmp(l, condition_of(e->op, is_unsigned(e->a->type)), a, b, e->lo);
    if (pointer && eb_type_is(e->b->type, EB_TYPE_POINTER))
        return distance(l, e, a, b);
    if (pointer)
        return moved(l, a, b, step_of(e->a->type), e->op == EB_TOK_MINUS, e->lo);
    return computed(l, e->op, e->type, a, b, e->lo);
}

static eb_value unary(eb_lower *l, const eb_expr *e) {
    if (e->op == EB_TOK_NOT) {
        eb_constant c = eb_lower_constant(e->a);
        if (c.kind)
            return eb_emit_const(l, EB_IR_I32, c.value == 0, e->lo);
        bool logical =
            e->a->kind == EB_EXPR_BINARY && (e->a->op == EB_TOK_ANDAND || e->a->op == EB_TOK_OROR);
        if (logical || eb_type_is_wide(e->a->type))
            return truth(l, e);
        eb_value v = eb_lower_value(l, e->a);
        return eb_emit_cmp(l, EB_COND_EQ, v, eb_emit_const(l, type_of(l, v), 0, e->lo), e->lo);
    }
    if (eb_refuse_type(l, e->type, e->lo, e->hi))
        return any(l, e->type, e->lo);
    eb_value v = eb_lower_value(l, e->a);
    eb_ir_type type = eb_lower_type(e->type);
    if (e->op == EB_TOK_MINUS)
        return eb_emit(l, EB_IR_NEG, type, v, 0, e->lo);
    return eb_emit(l, EB_IR_XOR, type, v, eb_emit_const(l, type, -1, e->lo), e->lo);
}

/* ---- assignment ---- */

/* What an assignment's value is: a bit-field's is cut to its width. */
static eb_value assigned(eb_lower *l, const eb_lvalue *p, eb_value v, eb_loc loc) {
    if (!p->field)
        return v;
    eb_ir_type type = type_of(l, v);
    uint32_t width = type == EB_IR_I32 ? 32 : 64;
    if (p->field->bits >= width || eb_type_is(p->type, EB_TYPE_BOOL))
        return v;
    eb_value shift = eb_emit_const(l, type, width - p->field->bits, loc);
    v = eb_emit(l, EB_IR_SHL, type, v, shift, loc);
    return eb_emit(l, is_unsigned(p->type) ? EB_IR_SHR : EB_IR_SAR, type, v, shift, loc);
}

static eb_value assign(eb_lower *l, const eb_expr *e) {
    if (eb_type_is_record(e->type)) {
        eb_lower_record(l, e);
        return 0;
    }
    if (eb_refuse_type(l, e->type, e->lo, e->hi))
        return 0;
    eb_value v = eb_lower_value(l, e->b);
    eb_lvalue p = eb_lower_place(l, e->a);
    eb_place_store(l, &p, v, e->lo);
    return assigned(l, &p, v, e->lo);
}

/* x += 1 and the like of an _Atomic x are one instruction; the others there are none for. False
 * when x is not _Atomic. */
static bool atomic_update(eb_lower *l, const eb_expr *e, unsigned by, eb_value b,
                          eb_value *result) {
    static const struct {
        uint8_t op, atomic, ir;
    } rows[] = {{EB_TOK_PLUS, EB_ATOMIC_ADD, EB_IR_ADD},
                {EB_TOK_MINUS, EB_ATOMIC_ADD, EB_IR_ADD},
                {EB_TOK_AND, EB_ATOMIC_AND, EB_IR_AND},
                {EB_TOK_OR, EB_ATOMIC_OR, EB_IR_OR},
                {EB_TOK_XOR, EB_ATOMIC_XOR, EB_IR_XOR}};
    enum { ROWS = sizeof rows / sizeof rows[0] };
    if (!(eb_type_quals(e->a->type) & EB_ATOMIC))
        return false;
    unsigned row = 0;
    uint64_t size = eb_type_size(e->a->type);
    eb_ir_type type = eb_lower_type(e->a->type);
    while (row < ROWS && rows[row].op != by)
        row++;
    *result = any(l, e->type, e->lo);
    if (row == ROWS || (size != 4 && size != 8) || eb_type_is(e->type, EB_TYPE_POINTER)) {
        eb_diag_add(l->ctx, row == ROWS ? EB_DIAG_ATOMIC_OPERATOR : EB_DIAG_ATOMIC_SIZE, e->lo,
                    e->hi, eb_type_string(l->u, e->a->type));
        return true;
    }
    if (by == EB_TOK_MINUS)
        b = eb_emit(l, EB_IR_NEG, type, b, 0, e->lo);
    eb_lvalue p = eb_lower_place(l, e->a);
    eb_value at = eb_place_address(l, &p, e->lo);
    eb_value old = eb_emit(l, EB_IR_ATOMIC, type, at, b, e->lo);
    eb_ir_at(l->fn, old)->cond = rows[row].atomic;
    eb_ir_at(l->fn, old)->size = (uint8_t)size;
    *result = e->kind == EB_EXPR_STEP && e->postfix
                  ? old
                  : eb_emit(l, (eb_ir_op)rows[row].ir, type, old, b, e->lo);
    return true;
}

static eb_value update(eb_lower *l, const eb_expr *e) {
    eb_value result;
    if (eb_refuse_type(l, e->of.common, e->lo, e->hi))
        return any(l, e->type, e->lo);
    eb_value by = right_of(l, e->b);
    bool shift = e->op == EB_TOK_SHL || e->op == EB_TOK_SHR;
    if ((eb_type_quals(e->a->type) & EB_ATOMIC) && !shift &&
        !eb_type_is(e->a->type, EB_TYPE_POINTER))
        by = eb_lower_cast(l, by, e->of.common, e->a->type, e->lo);
    if (atomic_update(l, e, e->op, by, &result))
        return result;
    eb_lvalue p = eb_lower_place(l, e->a);
    eb_value v = eb_place_load(l, &p, e->lo);
    if (eb_type_is(e->a->type, EB_TYPE_POINTER)) {
        v = moved(l, v, by, step_of(e->a->type), e->op == EB_TOK_MINUS, e->lo);
    } else {
        v = eb_lower_cast(l, v, e->a->type, e->of.common, e->lo);
        v = computed(l, e->op, e->of.common, v, by, e->lo);
        v = eb_lower_cast(l, v, e->of.common, e->a->type, e->lo);
    }
    eb_place_store(l, &p, v, e->lo);
    return assigned(l, &p, v, e->lo);
}

static eb_value step(eb_lower *l, const eb_expr *e) {
    if (eb_refuse_type(l, e->type, e->lo, e->hi))
        return any(l, e->type, e->lo);
    bool minus = e->op == EB_TOK_MINUSMINUS;
    eb_value result;
    if (eb_type_quals(e->a->type) & EB_ATOMIC) {
        eb_value one = eb_emit_const(l, eb_lower_type(e->type), 1, e->lo);
        if (atomic_update(l, e, minus ? EB_TOK_MINUS : EB_TOK_PLUS, one, &result))
            return result;
    }
    eb_lvalue p = eb_lower_place(l, e->a);
    eb_value old = eb_place_load(l, &p, e->lo), v;
    if (eb_type_is(e->a->type, EB_TYPE_POINTER)) {
        int64_t by = (int64_t)step_of(e->a->type);
        v = eb_emit_sum(l, old, minus ? -by : by, e->lo);
    } else {
        eb_ir_type type = eb_lower_type(e->type);
        v = eb_emit(l, EB_IR_ADD, type, old, eb_emit_const(l, type, minus ? -1 : 1, e->lo), e->lo);
        note_overflow(l, v, e->type);
        if (eb_type_is(e->type, EB_TYPE_BOOL))
            v = eb_emit_cmp(l, EB_COND_NE, v, eb_emit_const(l, type, 0, e->lo), e->lo);
        else if (eb_type_size(e->type) < 4)
            v = narrowed(l, v, e->type, e->lo);
    }
    eb_place_store(l, &p, v, e->lo);
    return e->postfix ? old : assigned(l, &p, v, e->lo);
}

/* ---- conditions ---- */

static bool is_expect(const eb_expr *e) {
    return e->kind == EB_EXPR_BUILTIN && e->builtin == EB_BUILTIN_EXPECT;
}

/* Casts that keep whether a value is 0. */
static const eb_expr *without_casts(const eb_expr *e) {
    while (e->kind == EB_EXPR_CAST && eb_type_is_scalar(e->a->type) &&
           (eb_type_is(e->type, EB_TYPE_BOOL) || eb_type_size(e->type) >= eb_type_size(e->a->type)))
        e = e->a;
    return e;
}

static void likely(eb_lower *l, uint32_t block, int64_t expected) {
    eb_value last = l->fn->blocks.at[block].last;
    if (last && eb_ir_at(l->fn, last)->op == EB_IR_BRANCH)
        eb_ir_at(l->fn, last)->flags |= expected ? EB_IR_LIKELY : EB_IR_UNLIKELY;
}

void eb_lower_condition(eb_lower *l, const eb_expr *e, uint32_t yes, uint32_t no) {
    e = without_casts(e);
    eb_constant c = eb_lower_constant(e);
    if (c.kind) {
        eb_emit_jump(l, c.value ? yes : no, e->lo);
        return;
    }
    if (e->kind == EB_EXPR_UNARY && e->op == EB_TOK_NOT) {
        eb_lower_condition(l, e->a, no, yes);
        return;
    }
    if (is_expect(e)) {
        eb_constant expected = eb_lower_constant(e->of.args.at[1]);
        eb_lower_condition(l, e->of.args.at[0], yes, no);
        if (expected.kind)
            likely(l, l->block, (int64_t)expected.value);
        return;
    }
    if (e->kind == EB_EXPR_BINARY && (e->op == EB_TOK_ANDAND || e->op == EB_TOK_OROR)) {
        uint32_t between = eb_block_new(l->fn);
        if (e->op == EB_TOK_ANDAND)
            eb_lower_condition(l, e->a, between, no);
        else
            eb_lower_condition(l, e->a, yes, between);
        eb_emit_in(l, between);
        eb_lower_condition(l, e->b, yes, no);
        return;
    }
    if (e->kind == EB_EXPR_BINARY && is_comparison(e->op) && eb_type_is_wide(e->a->type)) {
        eb_wide_compare(l, e, yes, no);
        return;
    }
    if (eb_type_is_wide(e->type)) {
        eb_type *truth = eb_type_basic(&l->u->types, EB_TYPE_BOOL);
        eb_value v = eb_wide_narrowed(l, eb_lower_wide(l, e), truth, e->lo);
        eb_emit_branch(l, EB_COND_NE, v, eb_emit_const(l, type_of(l, v), 0, e->lo), yes, no, e->lo);
        return;
    }
    if (e->kind == EB_EXPR_BINARY && is_comparison(e->op) &&
        !eb_refuse_type(l, e->a->type, e->lo, e->hi)) {
        eb_value a = eb_lower_value(l, e->a), b = eb_lower_value(l, e->b);
        eb_emit_branch(l, condition_of(e->op, is_unsigned(e->a->type)), a, b, yes, no, e->lo);
        return;
    }
    if (eb_refuse_type(l, e->type, e->lo, e->hi)) {
        eb_emit_jump(l, yes, e->lo);
        return;
    }
    eb_value v = eb_lower_value(l, e);
    if (!v) {
        eb_emit_jump(l, yes, e->lo);
        return;
    }
    eb_emit_branch(l, EB_COND_NE, v, eb_emit_const(l, type_of(l, v), 0, e->lo), yes, no, e->lo);
}

/* a ? b : c, whose values a phi joins; records in a slot of their own. */
static eb_value conditional(eb_lower *l, const eb_expr *e, eb_lvalue *record) {
    bool is_void = record || eb_lower_type(e->type) == EB_IR_VOID;
    eb_constant known = eb_lower_constant(e->a);
    if (known.kind && e->b && !record) {
        const eb_expr *chosen = known.value ? e->b : e->c;
        if (!is_void)
            return eb_lower_value(l, chosen);
        eb_lower_effects(l, chosen);
        return 0;
    }
    uint32_t yes = eb_block_new(l->fn), no = eb_block_new(l->fn), join = eb_block_new(l->fn);
    eb_value first = 0, second = 0;
    if (e->b) {
        eb_lower_condition(l, e->a, yes, no);
    } else { /* a ?: c */
        eb_value v = eb_lower_value(l, e->a);
        eb_emit_branch(l, EB_COND_NE, v, eb_emit_const(l, type_of(l, v), 0, e->lo), yes, no, e->lo);
        eb_emit_in(l, yes);
        first = is_void ? 0 : eb_lower_cast(l, v, e->a->type, e->type, e->lo);
    }
    eb_emit_in(l, yes);
    if (record) {
        eb_lvalue from = eb_lower_record(l, e->b);
        eb_place_copy(l, record, &from, e->lo);
    } else if (e->b && is_void) {
        eb_lower_effects(l, e->b);
    } else if (e->b) {
        first = eb_lower_value(l, e->b);
    }
    eb_emit_jump(l, join, e->lo);
    eb_emit_in(l, no);
    if (record) {
        eb_lvalue from = eb_lower_record(l, e->c);
        eb_place_copy(l, record, &from, e->lo);
    } else if (is_void) {
        eb_lower_effects(l, e->c);
    } else {
        second = eb_lower_value(l, e->c);
    }
    eb_emit_jump(l, join, e->lo);
    eb_emit_in(l, join);
    return is_void ? 0 : eb_emit_phi(l, eb_lower_type(e->type), first, second, e->lo);
}

/* ---- calls ---- */

static void push(eb_lower *l, void *to, eb_value v) {
    EB_VEC(eb_value) *args = to;
    *EB_PUSH(&l->ctx->arena, args) = v;
}

/* A record of up to 16 bytes goes in words, a larger one by the address of a copy. */
static void push_record(eb_lower *l, void *to, const eb_expr *e) {
    uint64_t size = eb_type_size(e->type), words = (size + WORD - 1) / WORD;
    if (!size)
        return;
    eb_lvalue from = eb_lower_record(l, e);
    uint32_t slot = eb_slot_new(l->fn, words * WORD, WORD, EB_STR(""), e->lo);
    eb_lvalue copy = eb_place_at(eb_emit_slot(l, slot, e->lo), e->type);
    copy.align = WORD;
    eb_place_copy(l, &copy, &from, e->lo);
    if (words > 2) {
        push(l, to, copy.base);
        return;
    }
    for (uint64_t n = 0; n < words; n++) {
        eb_value v = eb_emit(l, EB_IR_LOAD, EB_IR_I64, copy.base, 0, e->lo);
        eb_ir_at(l->fn, v)->size = WORD;
        eb_ir_at(l->fn, v)->imm = (int64_t)(n * WORD);
        push(l, to, v);
    }
}

static const eb_decl *called_function(const eb_expr *callee) {
    while (callee->kind == EB_EXPR_DECAY || callee->kind == EB_EXPR_ADDRESS ||
           callee->kind == EB_EXPR_DEREF ||
           (callee->kind == EB_EXPR_CAST && eb_type_is(callee->type, EB_TYPE_POINTER)))
        callee = callee->a;
    return callee->kind == EB_EXPR_DECL && callee->of.decl->kind == EB_DECL_FUNCTION
               ? callee->of.decl
               : NULL;
}

/* The call, its result in `record` if it is one. */
static eb_value call(eb_lower *l, const eb_expr *e, const eb_lvalue *record) {
    EB_VEC(eb_value) args = {0};
    eb_decl *decl = (eb_decl *)(uintptr_t)called_function(e->a);
    eb_constant helper = decl ? (eb_constant){0} : eb_lower_constant(e->a);
    eb_value through = decl || helper.kind ? 0 : eb_lower_value(l, e->a);
    if (record)
        push(l, &args, eb_place_address(l, record, e->lo));
    for (uint32_t n = 0; n < e->of.args.count; n++) {
        const eb_expr *arg = e->of.args.at[n];
        if (eb_type_is_record(arg->type) || eb_type_is_wide(arg->type))
            push_record(l, &args, arg);
        else if (!eb_refuse_type(l, arg->type, arg->lo, arg->hi))
            push(l, &args, eb_lower_value(l, arg));
    }
    eb_ir_type type = record ? EB_IR_VOID : eb_lower_type(e->type);
    eb_value loaded =
        decl && decl->assembly.len ? eb_lower_packet_load(l, decl, args.at, args.len, e) : 0;
    if (loaded)
        return loaded;
    uint32_t symbol = decl ? eb_symbol_of(l, decl) : 0;
    uint32_t list = eb_list_new(l->fn, args.at, args.len);
    eb_value v = eb_emit(l,
                         decl      ? EB_IR_CALL
                         : through ? EB_IR_CALLX
                                   : EB_IR_HELPER,
                         type, through, 0, e->lo);
    eb_ir *ir = eb_ir_at(l->fn, v);
    ir->list = list;
    ir->extra = symbol;
    ir->imm = (int64_t)helper.value;
    if (decl && decl->attrs.noreturn) {
        eb_emit(l, EB_IR_UNREACHABLE, EB_IR_VOID, 0, 0, e->lo);
        eb_emit_dead(l);
        return type == EB_IR_VOID ? 0 : any(l, e->type, e->lo);
    }
    return type == EB_IR_VOID ? 0 : v;
}

void eb_lower_cleanup(eb_lower *l, eb_decl *variable) {
    eb_decl *decl = eb_lookup(l->u, variable->attrs.cleanup - 1);
    if (!decl || decl->kind != EB_DECL_FUNCTION || !variable->number)
        return;
    eb_loc loc = variable->lo;
    eb_value at = eb_emit_slot(l, variable->number - 1, loc);
    uint32_t symbol = eb_symbol_of(l, decl), list = eb_list_new(l->fn, &at, 1);
    eb_value v = eb_emit(l, EB_IR_CALL, EB_IR_VOID, 0, 0, loc);
    eb_ir_at(l->fn, v)->list = list;
    eb_ir_at(l->fn, v)->extra = symbol;
}

/* ---- statement expressions ---- */

/* The last statement's expression is the value, evaluated inside the scope. */
static eb_value statements(eb_lower *l, const eb_expr *e, eb_lvalue *record) {
    const eb_stmt *block = e->of.body, *s = block->body;
    bool has_value = !eb_type_is(e->type, EB_TYPE_VOID);
    uint32_t cleanups = l->cleanups.len;
    eb_value v = 0;
    l->depth++;
    for (; s; s = s->next) {
        const eb_stmt *last = s;
        if (s->next || !has_value) {
            eb_lower_stmt(l, s);
            continue;
        }
        while (last->kind == EB_STMT_LABEL) {
            uint32_t to = eb_label_block(l, last->label);
            eb_emit_jump(l, to, last->lo);
            eb_emit_in(l, to);
            last = last->body;
        }
        if (last->kind != EB_STMT_EXPR)
            eb_lower_stmt(l, last);
        else if (record)
            *record = eb_lower_record(l, last->expr);
        else
            v = eb_lower_value(l, last->expr);
    }
    while (l->cleanups.len > cleanups)
        eb_lower_cleanup(l, l->cleanups.at[--l->cleanups.len].decl);
    l->depth--;
    return v;
}

/* ---- records ---- */

static eb_lvalue temporary(eb_lower *l, const eb_expr *e) {
    uint32_t slot = eb_new_slot(l, e->type, EB_STR(""), e->lo);
    eb_lvalue p = eb_place_at(eb_emit_slot(l, slot, e->lo), e->type);
    p.align = l->fn->slots.at[slot].align;
    return p;
}

/* What leaves a value of 128 bits in memory, as it does with a record. */
static bool is_joined(const eb_expr *e) {
    return e->kind == EB_EXPR_COND || e->kind == EB_EXPR_STATEMENTS || e->kind == EB_EXPR_CALL;
}

static eb_lvalue wide_place(eb_lower *l, const eb_expr *e) {
    eb_wide v = eb_lower_wide(l, e);
    eb_lvalue p = temporary(l, e);
    eb_wide_store(l, &p, v, e->lo);
    return p;
}

eb_lvalue eb_lower_record(eb_lower *l, const eb_expr *e) {
    eb_lvalue p, from;
    if (eb_type_is_wide(e->type) && !is_joined(e))
        return wide_place(l, e);
    switch (e->kind) { /* one case per kind */
    case EB_EXPR_LOAD:
    case EB_EXPR_DECAY:
        return eb_lower_place(l, e->a);
    case EB_EXPR_ASSIGN:
        from = eb_lower_record(l, e->b);
        p = eb_lower_place(l, e->a);
        eb_place_copy(l, &p, &from, e->lo);
        return p;
    case EB_EXPR_COMMA:
        eb_lower_effects(l, e->a);
        return eb_lower_record(l, e->b);
    case EB_EXPR_COND:
        p = temporary(l, e);
        conditional(l, e, &p);
        return p;
    case EB_EXPR_CALL:
        p = temporary(l, e);
        call(l, e, &p);
        return p;
    case EB_EXPR_STATEMENTS:
        p = (eb_lvalue){0};
        statements(l, e, &p);
        if (p.base)
            return p;
        return temporary(l, e);
    case EB_EXPR_CAST:
        return eb_lower_record(l, e->a);
    case EB_EXPR_BUILTIN:
        if (e->builtin == EB_BUILTIN_PRESERVE_ACCESS) {
            l->preserve++;
            p = eb_lower_record(l, e->of.args.at[0]);
            l->preserve--;
            return p;
        }
        return temporary(l, e);
    default:
        return e->is_lvalue || e->kind == EB_EXPR_MEMBER ? eb_lower_place(l, e) : temporary(l, e);
    }
}

/* ---- all of them ---- */

static eb_value load(eb_lower *l, const eb_expr *e) {
    eb_constant c = const_pointer(e);
    if (c.kind)
        return eb_emit_const(l, EB_IR_PTR, (int64_t)c.value, e->lo);
    if (eb_refuse_type(l, e->type, e->lo, e->hi))
        return any(l, e->type, e->lo);
    eb_lvalue p = eb_lower_place(l, e->a);
    return eb_place_load(l, &p, e->lo);
}

static eb_value address(eb_lower *l, const eb_expr *e) {
    const eb_decl *function = called_function(e);
    if (function && e->a->kind == EB_EXPR_DECL)
        return eb_emit_symbol(l, eb_symbol_of(l, (eb_decl *)(uintptr_t)function), 0, e->lo);
    if (eb_type_is(e->a->type, EB_TYPE_FUNCTION) && e->a->kind == EB_EXPR_DEREF)
        return eb_lower_value(l, e->a->a);
    eb_lvalue p = eb_lower_place(l, e->a);
    return eb_place_address(l, &p, e->lo);
}

eb_value eb_lower_value(eb_lower *l, const eb_expr *e) {
    if (eb_type_is_record(e->type)) {
        eb_lower_record(l, e);
        return 0;
    }
    if (eb_type_is_wide(e->type)) {
        eb_lower_wide(l, e);
        return 0;
    }
    eb_ir_type type = eb_lower_type(e->type);
    if (type != EB_IR_VOID && e->kind != EB_EXPR_NUMBER) {
        eb_constant c = eb_constant_of(e);
        if (c.kind == EB_CONSTANT_NUMBER)
            return eb_emit_const(l, type, (int64_t)c.value, e->lo);
    }
    switch (e->kind) { /* one case per kind */
    case EB_EXPR_NUMBER:
        if (eb_refuse_type(l, e->type, e->lo, e->hi))
            return any(l, e->type, e->lo);
        return eb_emit_const(l, type, (int64_t)eb_wrap(e->of.value, e->type), e->lo);
    case EB_EXPR_FLOAT:
        eb_refuse_type(l, e->type, e->lo, e->hi);
        return 0;
    case EB_EXPR_ADDRESS:
    case EB_EXPR_DECAY:
        return address(l, e);
    case EB_EXPR_LOAD:
        return load(l, e);
    case EB_EXPR_CAST:
        return cast(l, e);
    case EB_EXPR_UNARY:
        return unary(l, e);
    case EB_EXPR_BINARY:
        return binary(l, e);
    case EB_EXPR_ASSIGN:
        return assign(l, e);
    case EB_EXPR_UPDATE:
        return update(l, e);
    case EB_EXPR_STEP:
        return step(l, e);
    case EB_EXPR_COMMA:
        eb_lower_effects(l, e->a);
        return eb_lower_value(l, e->b);
    case EB_EXPR_COND:
        return conditional(l, e, NULL);
    case EB_EXPR_CALL:
        return call(l, e, NULL);
    case EB_EXPR_BUILTIN:
        return eb_lower_builtin(l, e);
    case EB_EXPR_STATEMENTS:
        return statements(l, e, NULL);
    case EB_EXPR_MEMBER: /* of a record that is no lvalue */
        if (!e->is_lvalue) {
            eb_lvalue p = eb_lower_place(l, e);
            return eb_place_load(l, &p, e->lo);
        }
        eb_lower_place(l, e);
        return 0;
    default: /* an lvalue or function whose value nobody takes */
        if (e->is_lvalue)
            eb_lower_place(l, e);
        return 0;
    }
}

void eb_lower_effects(eb_lower *l, const eb_expr *e) {
    /* What is read for nothing is not read, unless it is volatile. */
    if (e->kind == EB_EXPR_LOAD && !(eb_type_quals(e->a->type) & EB_VOLATILE)) {
        if (e->a->kind != EB_EXPR_DECL)
            eb_lower_place(l, e->a);
        return;
    }
    if (e->kind == EB_EXPR_CAST && eb_type_is_record(e->a->type)) {
        eb_lower_record(l, e->a);
        return;
    }
    eb_lower_value(l, e);
}
