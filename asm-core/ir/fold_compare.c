/* fold_compare.c - compares, of CMP and of BRANCH: what they give if that is known, and their
 * simplest form: the constant on the right, strict order, equality where it says the same, a
 * branch on the operands of the CMP that it asks about.
 *
 * The law is the verifier's: what a branch compares is what it learns about. A wider or narrower
 * relative of a value is compared in its place only when that relative alone is used elsewhere, or
 * nothing is. */
#include "fold.h"

static const eb_ir *at(const eb_fn *fn, eb_value value) {
    return eb_ir_at(fn, value);
}

static uint64_t sign_bit(unsigned type) {
    return type == EB_IR_I32 ? (uint64_t)1 << 31 : (uint64_t)1 << 63;
}

/* An address that is not 0: a weak symbol's may be, and one that the kernel shall fill in. */
static bool is_there(const eb_fn *fn, eb_value value) {
    const eb_ir *ir = at(fn, value);
    if (ir->op == EB_IR_SLOT)
        return true;
    if (ir->op != EB_IR_SYMBOL)
        return false;
    const eb_ir_symbol *symbol = &fn->unit->symbols.at[ir->extra];
    return symbol->is_defined && symbol->bind != 2;
}

static int of_twice(eb_cond cond) {
    switch (cond) {
    case EB_COND_EQ:
    case EB_COND_GE:
    case EB_COND_LE:
    case EB_COND_SGE:
    case EB_COND_SLE:
        return 1;
    case EB_COND_SET:
    case EB_COND_CLEAR:
        return -1;
    default:
        return 0;
    }
}

/* Against the least and the greatest constant. */
static int of_limits(eb_cond cond, unsigned type, uint64_t c) {
    uint64_t all = eb_bits_of(type), sign = sign_bit(type);
    if ((cond == EB_COND_LT && c == 0) || (cond == EB_COND_GT && c == all) ||
        (cond == EB_COND_SLT && c == sign) || (cond == EB_COND_SGT && c == sign - 1) ||
        (cond == EB_COND_SET && c == 0))
        return 0;
    if ((cond == EB_COND_GE && c == 0) || (cond == EB_COND_LE && c == all) ||
        (cond == EB_COND_SGE && c == sign) || (cond == EB_COND_SLE && c == sign - 1) ||
        (cond == EB_COND_CLEAR && c == 0))
        return 1;
    return -1;
}

/* A value of which only the bits `may` can be set, against a constant. */
static int of_bits(eb_cond cond, uint64_t may, uint64_t c) {
    switch (cond) {
    case EB_COND_EQ:
        return c & ~may ? 0 : -1;
    case EB_COND_NE:
        return c & ~may ? 1 : -1;
    case EB_COND_LT:
        return may < c ? 1 : -1;
    case EB_COND_GE:
        return may < c ? 0 : -1;
    case EB_COND_GT:
        return may <= c ? 0 : -1;
    case EB_COND_LE:
        return may <= c ? 1 : -1;
    case EB_COND_SET:
        return may & c ? -1 : 0;
    case EB_COND_CLEAR:
        return may & c ? -1 : 1;
    default:
        return -1;
    }
}

/* A signed condition as an unsigned one, for two values that are not negative. */
static eb_cond unsigned_of(eb_cond cond) {
    return cond >= EB_COND_SLT && cond <= EB_COND_SLE ? (eb_cond)(cond - EB_COND_SLT + EB_COND_LT)
                                                      : cond;
}

int eb_fold_outcome(const eb_fn *fn, eb_value value) {
    const eb_ir *ir = at(fn, value);
    eb_value a = ir->a, b = ir->b;
    unsigned type = at(fn, a)->type;
    eb_cond cond = (eb_cond)ir->cond;
    if (at(fn, a)->op == EB_IR_UNDEF || at(fn, b)->op == EB_IR_UNDEF)
        return -1;
    if (a == b)
        return of_twice(cond);
    if (!eb_ir_is_const(fn, b))
        return -1;
    int64_t c = at(fn, b)->imm;
    if (eb_ir_is_const(fn, a))
        return eb_eval_cond(cond, (eb_ir_type)type, at(fn, a)->imm, c);
    if (c == 0 && is_there(fn, a) && (cond == EB_COND_EQ || cond == EB_COND_NE))
        return cond == EB_COND_NE;
    uint64_t bits = (uint64_t)c & eb_bits_of(type), may = ~eb_bits_zero(fn, a);
    if (!(may & sign_bit(type)) && c >= 0)
        cond = unsigned_of(cond);
    int outcome = of_limits(cond, type, bits);
    if (outcome >= 0)
        return outcome;
    if (!(may & sign_bit(type)) && c < 0 && cond >= EB_COND_SLT && cond <= EB_COND_SLE)
        return cond == EB_COND_SGT || cond == EB_COND_SGE;
    return of_bits(cond, may, bits);
}

/* ---- simpler forms ---- */

static bool set(eb_folder *f, eb_value v, eb_cond cond, eb_value a, eb_value b) {
    eb_ir *ir = eb_ir_at(f->fn, v);
    if (a != ir->a && a != ir->b && a < f->count)
        f->uses[a]++;
    if (b != ir->a && b != ir->b && b < f->count)
        f->uses[b]++;
    ir->cond = (uint8_t)cond;
    ir->a = a;
    ir->b = b;
    return true;
}

static bool set_const(eb_folder *f, eb_value v, eb_cond cond, eb_value a, int64_t c) {
    eb_ir_type type = at(f->fn, a)->type == EB_IR_I32 ? EB_IR_I32 : EB_IR_I64;
    return set(f, v, cond, a, eb_fold_const(f, v, type, c));
}

static bool is_integer(const eb_ir *ir) {
    return ir->type == EB_IR_I32 || ir->type == EB_IR_I64;
}

static bool is_equality(eb_cond cond) {
    return cond == EB_COND_EQ || cond == EB_COND_NE;
}

static bool fits32(int64_t c) {
    return c == (int32_t)c;
}

/* Of an order, the strict one; of one with a single value on a side, equality. The limits are gone
 * by now (eb_fold_outcome), so c - 1 and c + 1 are there. */
static bool simplify_order(eb_folder *f, eb_value v, eb_cond cond, eb_value a, int64_t c) {
    unsigned type = at(f->fn, a)->type;
    if (cond == EB_COND_GE || cond == EB_COND_SGE) {
        int64_t less = eb_ir_wrap((eb_ir_type)type, (int64_t)((uint64_t)c - 1));
        if (fits32(c) && !fits32(less))
            return false;
        return set_const(f, v, cond == EB_COND_GE ? EB_COND_GT : EB_COND_SGT, a, less);
    }
    if (cond == EB_COND_LE || cond == EB_COND_SLE) {
        int64_t more = eb_ir_wrap((eb_ir_type)type, (int64_t)((uint64_t)c + 1));
        if (fits32(c) && !fits32(more))
            return false;
        return set_const(f, v, cond == EB_COND_LE ? EB_COND_LT : EB_COND_SLT, a, more);
    }
    if (cond == EB_COND_LT && c == 1)
        return set_const(f, v, EB_COND_EQ, a, 0);
    return cond == EB_COND_GT && c == 0 && set_const(f, v, EB_COND_NE, a, 0);
}

/* A CMP compared with 0 or 1. */
static bool simplify_cmp(eb_folder *f, eb_value v, eb_cond cond, const eb_ir *cmp, int64_t c) {
    if (!is_equality(cond) || (c != 0 && c != 1))
        return false;
    bool same = (cond == EB_COND_NE) == (c == 0);
    return set(f, v, (eb_cond)(cmp->cond ^ (same ? 0u : 1u)), cmp->a, cmp->b);
}

/* An extension that is needed for this compare alone: the value itself is compared. */
static bool simplify_extension(eb_folder *f, eb_value v, eb_cond cond, eb_value a, int64_t c) {
    const eb_ir *x = at(f->fn, a);
    if (!eb_fold_is_single(f, a) || at(f->fn, x->a)->type != EB_IR_I32)
        return false;
    if (x->op == EB_IR_SEXT && x->size == 4)
        return fits32(c) && cond < EB_COND_SET && set_const(f, v, cond, x->a, c);
    return x->op == EB_IR_ZEXT && (uint64_t)c <= UINT32_MAX &&
           set_const(f, v, unsigned_of(cond), x->a, c);
}

static bool is_ext(const eb_fn *fn, eb_value value) {
    const eb_ir *ir = at(fn, value);
    return (ir->op == EB_IR_ZEXT || (ir->op == EB_IR_SEXT && ir->size == 4)) &&
           at(fn, ir->a)->type == EB_IR_I32;
}

/* Two values extended alike. */
static bool simplify_extensions(eb_folder *f, eb_value v, eb_cond cond, eb_value a, eb_value b) {
    const eb_ir *x = at(f->fn, a), *y = at(f->fn, b);
    if (!is_ext(f->fn, a) || !is_ext(f->fn, b) || x->op != y->op || cond >= EB_COND_SET ||
        !eb_fold_is_single(f, a) || !eb_fold_is_single(f, b))
        return false;
    return set(f, v, x->op == EB_IR_ZEXT ? unsigned_of(cond) : cond, x->a, y->a);
}

/* Whether bit number `power` of x is as `cond` says, as 0 or 1. */
static bool move_bit(eb_folder *f, eb_value v, eb_cond cond, eb_value x, unsigned power) {
    eb_ir_type type = (eb_ir_type)at(f->fn, x)->type;
    if (power)
        x = eb_fold_make(f, v, EB_IR_SHR, type, x, eb_fold_const(f, v, type, power));
    if (type != EB_IR_I32)
        x = eb_fold_make(f, v, EB_IR_TRUNC, EB_IR_I32, x, 0);
    eb_value one = eb_fold_const(f, v, EB_IR_I32, 1);
    if (cond == EB_COND_EQ)
        x = eb_fold_make(f, v, EB_IR_XOR, EB_IR_I32, x, one);
    eb_ir_at(f->fn, v)->op = EB_IR_AND;
    return set(f, v, EB_COND_EQ, x, one);
}

/* `x & bits` against 0 asks for bits. As a value, one bit is moved to the bottom. */
static bool simplify_mask(eb_folder *f, eb_value v, eb_cond cond, eb_value a, int64_t c) {
    const eb_ir *x = at(f->fn, a);
    if (!is_equality(cond))
        return false;
    bool one = eb_ir_is_const(f->fn, x->b);
    uint64_t mask = one ? (uint64_t)at(f->fn, x->b)->imm & eb_bits_of(x->type) : 0;
    if (c && (uint64_t)c == mask && !(mask & (mask - 1))) {
        cond = (eb_cond)(cond ^ 1); /* the one bit is there */
        c = 0;
    }
    if (c)
        return false;
    if (at(f->fn, v)->op == EB_IR_BRANCH)
        return eb_fold_is_single(f, a) && (!one || fits32(at(f->fn, x->b)->imm)) &&
               set(f, v, cond == EB_COND_EQ ? EB_COND_CLEAR : EB_COND_SET, x->a, x->b);
    return mask && !(mask & (mask - 1)) && is_integer(at(f->fn, x->a)) &&
           move_bit(f, v, cond, x->a, (unsigned)__builtin_ctzll(mask));
}

/* Operations that can be undone on both sides of an equality. */
static bool simplify_equality(eb_folder *f, eb_value v, eb_cond cond, eb_value a, int64_t c) {
    const eb_ir *x = at(f->fn, a);
    if (!is_equality(cond) || !eb_fold_is_single(f, a))
        return false;
    bool by_const = eb_ir_is_const(f->fn, x->b);
    uint64_t by = by_const ? (uint64_t)at(f->fn, x->b)->imm : 0;
    switch (x->op) {
    case EB_IR_ADD:
        return by_const && x->type != EB_IR_PTR &&
               set_const(f, v, cond, x->a, (int64_t)((uint64_t)c - by));
    case EB_IR_XOR:
        if (by_const)
            return set_const(f, v, cond, x->a, c ^ (int64_t)by);
        return c == 0 && set(f, v, cond, x->a, x->b);
    case EB_IR_SUB:
        return c == 0 && at(f->fn, x->a)->type == at(f->fn, x->b)->type &&
               set(f, v, cond, x->a, x->b);
    case EB_IR_SWAP:
        return !(~eb_bits_zero(f->fn, x->a) >> (8 * x->size - 1) >> 1) &&
               at(f->fn, x->a)->type == x->type && set_const(f, v, cond, x->a, eb_eval_unary(x, c));
    default:
        return false;
    }
}

/* Whether any of the upper bits are there: the value itself is compared, and so bounded. */
static bool simplify_shift(eb_folder *f, eb_value v, eb_cond cond, const eb_ir *x, int64_t c) {
    int64_t by = eb_ir_is_const(f->fn, x->b) ? at(f->fn, x->b)->imm : 0;
    if (!is_equality(cond) || c != 0 || by < 1 || by > 30)
        return false;
    return cond == EB_COND_EQ ? set_const(f, v, EB_COND_LT, x->a, (int64_t)1 << by)
                              : set_const(f, v, EB_COND_GT, x->a, ((int64_t)1 << by) - 1);
}

static bool with_const(eb_folder *f, eb_value v, eb_cond cond, eb_value a, int64_t c) {
    const eb_ir *x = at(f->fn, a);
    unsigned op = x->op;
    if (cond >= EB_COND_SLT && cond <= EB_COND_SLE && c >= 0 &&
        (eb_bits_zero(f->fn, a) & sign_bit(x->type)))
        return set_const(f, v, unsigned_of(cond), a, c);
    if (simplify_order(f, v, cond, a, c))
        return true;
    if (op == EB_IR_CMP)
        return simplify_cmp(f, v, cond, x, c);
    if (op == EB_IR_ZEXT || op == EB_IR_SEXT)
        return simplify_extension(f, v, cond, a, c);
    if (op == EB_IR_SHR)
        return simplify_shift(f, v, cond, x, c);
    if (op == EB_IR_AND)
        return simplify_mask(f, v, cond, a, c);
    return simplify_equality(f, v, cond, a, c);
}

bool eb_fold_compare(eb_folder *f, eb_value v) {
    const eb_ir *ir = at(f->fn, v);
    eb_value a = ir->a, b = ir->b;
    eb_cond cond = (eb_cond)ir->cond;
    if (eb_ir_is_const(f->fn, b))
        return with_const(f, v, cond, a, at(f->fn, b)->imm);
    if (eb_ir_is_const(f->fn, a))
        return set(f, v, eb_cond_swapped(cond), b, a);
    return simplify_extensions(f, v, cond, a, b);
}
