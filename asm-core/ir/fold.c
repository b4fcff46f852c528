/* fold.c - says single instructions more simply: constants, identities, strength, addresses.
 *
 * One walk over the blocks; each instruction is looked at until nothing changes about it. What
 * becomes another value is a COPY until the end of the walk. Constants stand on the right. The
 * rules are those of clang that the kernel's verifier can follow, and none beyond:
 *   - a sum behind a check stays the sum that was checked: constants are only added up;
 *   - memory is accessed at a value + constant, so a context pointer keeps its form;
 *   - masks go only where bits.c proves them useless in the verifier's eyes;
 *   - what a CO-RE record or inline assembly gives is opaque;
 *   - volatile loads are never looked into. */
#include "fold.h"

#include "contents.h"

#include "cfg.h"
#include "pass.h"

enum { ROUNDS_MOST = 16 };

eb_value eb_fold_make(eb_folder *f, eb_value place, eb_ir_op op, eb_ir_type type, eb_value a,
                      eb_value b) {
    eb_value value = eb_ir_new(f->fn, op, type, a, b, eb_ir_at(f->fn, place)->loc);
    while (eb_ir_at(f->fn, place)->op == EB_IR_PHI)
        place = eb_ir_at(f->fn, place)->next;
    eb_ir_before(f->fn, place, value);
    return value;
}

eb_value eb_fold_const(eb_folder *f, eb_value place, eb_ir_type type, int64_t imm) {
    eb_value value = eb_fold_make(f, place, EB_IR_CONST, type, 0, 0);
    eb_ir_at(f->fn, value)->imm = eb_ir_wrap(type, imm);
    return value;
}

bool eb_fold_is_single(const eb_folder *f, eb_value value) {
    return value < f->count && f->uses[value] <= 1;
}

static eb_ir *at(const eb_folder *f, eb_value value) {
    return eb_ir_at(f->fn, value);
}

static bool is_const(const eb_folder *f, eb_value value) {
    return eb_ir_is_const(f->fn, value);
}

/* Whether `value` is `op` with a constant on the right. */
static bool has_const(const eb_folder *f, eb_value value, eb_ir_op op) {
    return at(f, value)->op == op && is_const(f, at(f, value)->b);
}

static int64_t right(const eb_folder *f, eb_value value) {
    return at(f, at(f, value)->b)->imm;
}

static void use(eb_folder *f, eb_value value) {
    if (value < f->count)
        f->uses[value]++;
}

static bool become(eb_folder *f, eb_value value, eb_value with) {
    use(f, with);
    eb_ir_become(f->fn, value, with);
    return true;
}

static bool become_const(eb_folder *f, eb_value value, int64_t imm) {
    eb_ir_type type = (eb_ir_type)at(f, value)->type;
    return become(f, value, eb_fold_const(f, value, type, imm));
}

/* Another operation in the place of `value`, of the same type. */
static bool turn(eb_folder *f, eb_value value, eb_ir_op op, eb_value a, eb_value b) {
    eb_ir *ir = at(f, value);
    if (a != ir->a)
        use(f, a);
    if (b != ir->b)
        use(f, b);
    ir->op = (uint8_t)op;
    ir->flags &= (uint8_t)~EB_IR_NO_WRAP;
    ir->a = a;
    ir->b = b;
    return true;
}

static bool turn_const(eb_folder *f, eb_value value, eb_ir_op op, eb_value a, int64_t b) {
    eb_value constant = eb_fold_const(f, value, (eb_ir_type)at(f, value)->type, b);
    return turn(f, value, op, a, constant);
}

/* The same with the second operand's type, for pointers. */
static bool turn_sum(eb_folder *f, eb_value value, eb_value a, int64_t addend) {
    eb_ir_type type = at(f, value)->type == EB_IR_I32 ? EB_IR_I32 : EB_IR_I64;
    return turn(f, value, EB_IR_ADD, a, eb_fold_const(f, value, type, addend));
}

static bool turn_unary(eb_folder *f, eb_value value, eb_ir_op op, unsigned size, eb_value a) {
    turn(f, value, op, a, 0);
    at(f, value)->size = (uint8_t)size;
    return true;
}

static int exponent(uint64_t value) { /* of a power of two, or -1 */
    return value && !(value & (value - 1)) ? __builtin_ctzll(value) : -1;
}

static unsigned bits_of(const eb_folder *f, eb_value value) {
    return at(f, value)->type == EB_IR_I32 ? 32 : 64;
}

static uint64_t sign_of(const eb_folder *f, eb_value value) {
    return (uint64_t)1 << (bits_of(f, value) - 1);
}

static bool is_positive(const eb_folder *f, eb_value value) {
    return eb_bits_zero(f->fn, value) & sign_of(f, value);
}

static bool is_integer(const eb_folder *f, eb_value value) {
    return at(f, value)->type != EB_IR_PTR;
}

static bool fits32(int64_t imm) {
    return imm == (int32_t)imm;
}

/* ---- operations with a constant on the right ---- */

static bool fold_add(eb_folder *f, eb_value v, eb_value a, int64_t c) {
    if (c == 0)
        return become(f, v, a);
    if (has_const(f, a, EB_IR_ADD))
        return turn_sum(f, v, at(f, a)->a, (int64_t)((uint64_t)right(f, a) + (uint64_t)c));
    const eb_ir *base = at(f, a);
    if (base->op == EB_IR_SLOT || base->op == EB_IR_SYMBOL) {
        int64_t sum;
        if (__builtin_add_overflow(base->imm, c, &sum) || !fits32(sum))
            return false;
        eb_ir *ir = at(f, v);
        ir->op = base->op;
        ir->type = base->type;
        ir->extra = base->extra;
        ir->imm = sum;
        ir->a = ir->b = 0;
        return true;
    }
    return false;
}

static bool fold_mul(eb_folder *f, eb_value v, eb_value a, int64_t c) {
    int power = exponent((uint64_t)c & eb_bits_of(at(f, v)->type));
    if (c == 0)
        return become_const(f, v, 0);
    if (c == 1)
        return become(f, v, a);
    if (c == -1)
        return turn(f, v, EB_IR_NEG, a, 0);
    if (power > 0)
        return turn_const(f, v, EB_IR_SHL, a, power);
    if (has_const(f, a, EB_IR_MUL))
        return turn_const(f, v, EB_IR_MUL, at(f, a)->a,
                          (int64_t)((uint64_t)right(f, a) * (uint64_t)c));
    if (has_const(f, a, EB_IR_SHL))
        return turn_const(f, v, EB_IR_MUL, at(f, a)->a,
                          (int64_t)((uint64_t)c << (right(f, a) & (bits_of(f, v) - 1))));
    return false;
}

static bool fold_div(eb_folder *f, eb_value v, eb_value a, int64_t c) {
    int power = exponent((uint64_t)c & eb_bits_of(at(f, v)->type));
    if (power == 0)
        return become(f, v, a);
    return power > 0 && turn_const(f, v, EB_IR_SHR, a, power);
}

static bool fold_mod(eb_folder *f, eb_value v, eb_value a, int64_t c) {
    int power = exponent((uint64_t)c & eb_bits_of(at(f, v)->type));
    if (power == 0)
        return become_const(f, v, 0);
    return power > 0 && turn_const(f, v, EB_IR_AND, a, (int64_t)((uint64_t)c - 1));
}

/* x + 2^n - 1 if x is negative, else x: what an arithmetic shift right divides towards 0. */
static eb_value biased(eb_folder *f, eb_value v, eb_value a, int power) {
    eb_ir_type type = (eb_ir_type)at(f, v)->type;
    unsigned bits = bits_of(f, v);
    eb_value sign = a;
    if (power > 1) {
        eb_value all = eb_fold_const(f, v, type, bits - 1);
        sign = eb_fold_make(f, v, EB_IR_SAR, type, a, all);
    }
    eb_value by = eb_fold_const(f, v, type, bits - (unsigned)power);
    eb_value bias = eb_fold_make(f, v, EB_IR_SHR, type, sign, by);
    return eb_fold_make(f, v, EB_IR_ADD, type, a, bias);
}

/* Only signed division by powers of two has a code before v4. */
static bool fold_sdiv(eb_folder *f, eb_value v, eb_value a, int64_t c) {
    uint64_t size = c < 0 ? 0 - (uint64_t)c : (uint64_t)c;
    int power = exponent(size);
    if (c == 1)
        return become(f, v, a);
    if (c == -1)
        return turn(f, v, EB_IR_NEG, a, 0);
    if (c > 0 && is_positive(f, a))
        return turn(f, v, EB_IR_DIV, a, at(f, v)->b);
    if (power < 1 || (unsigned)power >= bits_of(f, v) - 1)
        return false;
    eb_ir_type type = (eb_ir_type)at(f, v)->type;
    eb_value sum = biased(f, v, a, power);
    if (c > 0)
        return turn_const(f, v, EB_IR_SAR, sum, power);
    eb_value by = eb_fold_const(f, v, type, power);
    return turn(f, v, EB_IR_NEG, eb_fold_make(f, v, EB_IR_SAR, type, sum, by), 0);
}

static bool fold_smod(eb_folder *f, eb_value v, eb_value a, int64_t c) {
    uint64_t size = c < 0 ? 0 - (uint64_t)c : (uint64_t)c;
    int power = exponent(size);
    if (c == 1 || c == -1)
        return become_const(f, v, 0);
    if (c > 0 && is_positive(f, a))
        return turn(f, v, EB_IR_MOD, a, at(f, v)->b);
    if (power < 1 || (unsigned)power >= bits_of(f, v) - 1)
        return false;
    eb_ir_type type = (eb_ir_type)at(f, v)->type;
    eb_value sum = biased(f, v, a, power);
    eb_value mask = eb_fold_const(f, v, type, (int64_t)(0 - size));
    eb_value whole = eb_fold_make(f, v, EB_IR_AND, type, sum, mask);
    return turn(f, v, EB_IR_SUB, a, whole);
}

static bool fold_and(eb_folder *f, eb_value v, eb_value a, int64_t c) {
    unsigned type = at(f, v)->type;
    uint64_t all = eb_bits_of(type), mask = (uint64_t)c & all;
    const eb_ir *left = at(f, a);
    if (mask == 0)
        return become_const(f, v, 0);
    if ((eb_bits_zero(f->fn, a) | mask) == UINT64_MAX || mask == all)
        return become(f, v, a);
    if (has_const(f, a, EB_IR_AND))
        return turn_const(f, v, EB_IR_AND, left->a, right(f, a) & c);
    if (has_const(f, a, EB_IR_OR) && !((uint64_t)right(f, a) & mask))
        return turn(f, v, EB_IR_AND, left->a, at(f, v)->b);
    if (left->op == EB_IR_SEXT && at(f, left->a)->type == type &&
        !(mask >> (8 * left->size - 1) >> 1))
        return turn(f, v, EB_IR_AND, left->a, at(f, v)->b);
    if (mask == UINT32_MAX) {
        eb_value low = eb_fold_make(f, v, EB_IR_TRUNC, EB_IR_I32, a, 0);
        return turn_unary(f, v, EB_IR_ZEXT, 0, low);
    }
    if (left->op == EB_IR_SEXT && left->size == 4 && at(f, left->a)->type == EB_IR_I32 &&
        mask <= INT32_MAX) {
        eb_value x = left->a, b = eb_fold_const(f, v, EB_IR_I32, c);
        eb_value low = eb_fold_make(f, v, EB_IR_AND, EB_IR_I32, x, b);
        return turn_unary(f, v, EB_IR_ZEXT, 0, low);
    }
    return false;
}

static bool fold_or(eb_folder *f, eb_value v, eb_value a, int64_t c) {
    if (c == 0)
        return become(f, v, a);
    if (c == -1)
        return become_const(f, v, -1);
    return has_const(f, a, EB_IR_OR) && turn_const(f, v, EB_IR_OR, at(f, a)->a, right(f, a) | c);
}

static bool fold_xor(eb_folder *f, eb_value v, eb_value a, int64_t c) {
    const eb_ir *left = at(f, a);
    if (c == 0)
        return become(f, v, a);
    if (has_const(f, a, EB_IR_XOR))
        return turn_const(f, v, EB_IR_XOR, left->a, right(f, a) ^ c);
    if (c == 1 && left->op == EB_IR_CMP && at(f, v)->type == EB_IR_I32) {
        eb_cond cond = (eb_cond)(left->cond ^ 1);
        turn(f, v, EB_IR_CMP, left->a, left->b);
        at(f, v)->cond = (uint8_t)cond;
        return true;
    }
    return false;
}

/* One shift behind another. */
static bool fold_shifts(eb_folder *f, eb_value v, eb_value a, unsigned by) {
    eb_ir_op op = (eb_ir_op)at(f, v)->op, inner = (eb_ir_op)at(f, a)->op;
    unsigned bits = bits_of(f, v), first = (unsigned)right(f, a) & (bits - 1);
    eb_value x = at(f, a)->a;
    uint64_t all = eb_bits_of(at(f, v)->type);
    if (op == inner) {
        if (first + by < bits)
            return turn_const(f, v, op, x, first + by);
        return op == EB_IR_SAR ? turn_const(f, v, op, x, bits - 1) : become_const(f, v, 0);
    }
    if (first != by)
        return false;
    if (op == EB_IR_SHL && fits32((int64_t)(UINT64_MAX << by)))
        return turn_const(f, v, EB_IR_AND, x, (int64_t)(UINT64_MAX << by));
    if (inner != EB_IR_SHL)
        return false;
    if (op == EB_IR_SHR && (all >> by <= INT32_MAX || bits == 32 || by == 32))
        return turn_const(f, v, EB_IR_AND, x, (int64_t)(all >> by));
    if (op == EB_IR_SAR && (by == bits - 8 || by == bits - 16 || by == bits - 32)) {
        eb_value low = x;
        if (bits - by == 32)
            low = eb_fold_make(f, v, EB_IR_TRUNC, EB_IR_I32, x, 0);
        return turn_unary(f, v, EB_IR_SEXT, (bits - by) / 8, low);
    }
    return false;
}

static bool fold_shift(eb_folder *f, eb_value v, eb_value a, int64_t c) {
    unsigned bits = bits_of(f, v), by = (unsigned)c & (bits - 1);
    eb_ir_op op = (eb_ir_op)at(f, v)->op;
    if (by == 0)
        return become(f, v, a);
    if (op == EB_IR_SAR && is_positive(f, a))
        return turn(f, v, EB_IR_SHR, a, at(f, v)->b);
    if (op == EB_IR_SHR && (eb_bits_zero(f->fn, a) | ~(UINT64_MAX << by)) == UINT64_MAX)
        return become_const(f, v, 0);
    eb_ir_op inner = (eb_ir_op)at(f, a)->op;
    bool shifted = inner == EB_IR_SHL || inner == EB_IR_SHR || inner == EB_IR_SAR;
    return shifted && is_const(f, at(f, a)->b) && fold_shifts(f, v, a, by);
}

static bool fold_right(eb_folder *f, eb_value v, eb_value a, int64_t c) {
    switch (at(f, v)->op) { /* one case per operation */
    case EB_IR_ADD:
        return fold_add(f, v, a, c);
    case EB_IR_SUB:
        return c == 0 ? become(f, v, a) : turn_sum(f, v, a, (int64_t)(0 - (uint64_t)c));
    case EB_IR_MUL:
        return fold_mul(f, v, a, c);
    case EB_IR_DIV:
        return fold_div(f, v, a, c);
    case EB_IR_SDIV:
        return fold_sdiv(f, v, a, c);
    case EB_IR_MOD:
        return fold_mod(f, v, a, c);
    case EB_IR_SMOD:
        return fold_smod(f, v, a, c);
    case EB_IR_AND:
        return fold_and(f, v, a, c);
    case EB_IR_OR:
        return fold_or(f, v, a, c);
    case EB_IR_XOR:
        return fold_xor(f, v, a, c);
    default:
        return fold_shift(f, v, a, c);
    }
}

/* ---- others of two operands ---- */

static bool commutes(unsigned op) {
    return op == EB_IR_ADD || op == EB_IR_MUL || op == EB_IR_AND || op == EB_IR_OR ||
           op == EB_IR_XOR;
}

/* The same value twice. */
static bool fold_twice(eb_folder *f, eb_value v, eb_value a) {
    switch (at(f, v)->op) {
    case EB_IR_AND:
    case EB_IR_OR:
        return become(f, v, a);
    case EB_IR_SUB:
    case EB_IR_XOR:
        return become_const(f, v, 0);
    default:
        return false;
    }
}

static bool is_negation(const eb_folder *f, eb_value value) {
    return at(f, value)->op == EB_IR_NEG;
}

/* (x + y) - x, (x - y) + y and the like, of integers: a pointer's arithmetic stays. */
static bool fold_sum(eb_folder *f, eb_value v, eb_value a, eb_value b) {
    const eb_ir *x = at(f, a), *y = at(f, b);
    if (at(f, v)->op == EB_IR_SUB) {
        if (x->op == EB_IR_ADD && x->a == b && is_integer(f, x->b))
            return become(f, v, x->b);
        if (x->op == EB_IR_ADD && x->b == b && is_integer(f, x->a))
            return become(f, v, x->a);
        if (is_negation(f, b))
            return turn(f, v, EB_IR_ADD, a, y->a);
        return false;
    }
    if (x->op == EB_IR_SUB && x->b == b && is_integer(f, x->a))
        return become(f, v, x->a);
    if (y->op == EB_IR_SUB && y->b == a && is_integer(f, y->a))
        return become(f, v, y->a);
    if (is_negation(f, b))
        return turn(f, v, EB_IR_SUB, a, y->a);
    return is_negation(f, a) && is_integer(f, b) && turn(f, v, EB_IR_SUB, b, x->a);
}

static bool fold_binary(eb_folder *f, eb_value v) {
    eb_ir *ir = at(f, v);
    eb_value a = ir->a, b = ir->b;
    if (is_const(f, a) && is_const(f, b))
        return become_const(
            f, v,
            eb_eval_binary((eb_ir_op)ir->op, (eb_ir_type)ir->type, at(f, a)->imm, at(f, b)->imm));
    if (is_const(f, a) && commutes(ir->op)) {
        ir->a = b;
        ir->b = a;
        return true;
    }
    if (is_const(f, b))
        return fold_right(f, v, a, at(f, b)->imm);
    if (is_const(f, a) && at(f, a)->imm == 0)
        return ir->op == EB_IR_SUB ? turn(f, v, EB_IR_NEG, b, 0) : become(f, v, a);
    if (a == b && is_integer(f, a))
        return fold_twice(f, v, a);
    if ((ir->op == EB_IR_ADD || ir->op == EB_IR_SUB) && is_integer(f, v))
        return fold_sum(f, v, a, b);
    if ((ir->op == EB_IR_SDIV || ir->op == EB_IR_SMOD) && is_positive(f, a) && is_positive(f, b))
        return turn(f, v, ir->op == EB_IR_SDIV ? EB_IR_DIV : EB_IR_MOD, a, b);
    return ir->op == EB_IR_SAR && is_positive(f, a) && turn(f, v, EB_IR_SHR, a, b);
}

/* ---- of one operand ---- */

/* An operand that only matters in its lower `bits`, without what changes the others only. */
static eb_value narrow(const eb_folder *f, eb_value value, unsigned bits) {
    for (;;) {
        const eb_ir *ir = at(f, value);
        bool skip = false;
        if (ir->op == EB_IR_AND && is_const(f, ir->b))
            skip = bits < 64 && !(~(uint64_t)at(f, ir->b)->imm << (64 - bits));
        else if (ir->op == EB_IR_SEXT)
            skip = 8u * ir->size >= bits;
        if (!skip || at(f, ir->a)->type != ir->type)
            return value;
        value = ir->a;
    }
}

static bool fold_sext(eb_folder *f, eb_value v, eb_value a) {
    const eb_ir *ir = at(f, v), *x = at(f, a);
    unsigned bits = 8u * ir->size;
    bool same = x->type == ir->type;
    if (x->op == EB_IR_SEXT && x->size <= ir->size && (same || ir->size == 4))
        return turn_unary(f, v, EB_IR_SEXT, x->size, x->a);
    bool loads = x->op == EB_IR_LOAD && (x->flags & EB_IR_SIGNED) && x->size <= ir->size;
    if (loads && !same && x->size < 4 && eb_fold_is_single(f, a)) {
        eb_ir_at(f->fn, a)->type = ir->type; /* once, to the whole width */
        same = true;
    }
    if (loads && same)
        return become(f, v, a);
    uint64_t zero = eb_bits_zero(f->fn, a);
    if (!(~zero >> (bits - 1)) && (same || x->type == EB_IR_I32))
        return same ? become(f, v, a) : turn_unary(f, v, EB_IR_ZEXT, 0, a);
    eb_value low = narrow(f, a, bits);
    return low != a && turn(f, v, EB_IR_SEXT, low, 0);
}

/* Arithmetic whose lower half needs only the lower halves. */
static bool is_low(unsigned op) {
    return op == EB_IR_ADD || op == EB_IR_SUB || op == EB_IR_MUL || op == EB_IR_AND ||
           op == EB_IR_OR || op == EB_IR_XOR;
}

static eb_value low_half(eb_folder *f, eb_value v, eb_value x) {
    const eb_ir *ir = at(f, x);
    if (ir->op == EB_IR_CONST)
        return eb_fold_const(f, v, EB_IR_I32, ir->imm);
    bool extends = ir->op == EB_IR_ZEXT || (ir->op == EB_IR_SEXT && ir->size == 4);
    return extends && at(f, ir->a)->type == EB_IR_I32 ? ir->a : 0;
}

static bool fold_trunc(eb_folder *f, eb_value v, eb_value a) {
    const eb_ir *x = at(f, a);
    if (x->op == EB_IR_ZEXT)
        return become(f, v, x->a);
    if (x->op == EB_IR_SEXT && at(f, x->a)->type == EB_IR_I32)
        return x->size == 4 ? become(f, v, x->a) : turn_unary(f, v, EB_IR_SEXT, x->size, x->a);
    eb_value low = narrow(f, a, 32);
    if (low != a)
        return turn(f, v, EB_IR_TRUNC, low, 0);
    if (!eb_fold_is_single(f, a) || !x->b)
        return false;
    eb_ir_op op = (eb_ir_op)x->op;
    if (is_low(op)) {
        eb_value right_half = x->b, left = low_half(f, v, x->a);
        eb_value b = left ? low_half(f, v, right_half) : 0;
        return b && turn(f, v, op, left, b);
    }
    bool shifts = (op == EB_IR_SHL || (op == EB_IR_SHR && at(f, x->a)->op == EB_IR_ZEXT)) &&
                  is_const(f, x->b) && (uint64_t)at(f, x->b)->imm < 32;
    int64_t by = shifts ? at(f, x->b)->imm : 0;
    eb_value left = shifts ? low_half(f, v, x->a) : 0;
    return left && turn_const(f, v, op, left, by);
}

static bool fold_unary(eb_folder *f, eb_value v) {
    const eb_ir *ir = at(f, v);
    eb_value a = ir->a;
    const eb_ir *x = at(f, a);
    if (x->op == EB_IR_CONST)
        return become_const(f, v, eb_eval_unary(ir, x->imm));
    switch (ir->op) {
    case EB_IR_NEG:
        if (x->op == EB_IR_NEG)
            return become(f, v, x->a);
        return x->op == EB_IR_SUB && is_integer(f, x->a) && eb_fold_is_single(f, a) &&
               turn(f, v, EB_IR_SUB, x->b, x->a);
    case EB_IR_SWAP: {
        if (x->op == EB_IR_SWAP && x->size == ir->size && x->type == ir->type) {
            uint64_t mask = UINT64_MAX >> (64 - 8 * ir->size);
            return turn_const(f, v, EB_IR_AND, x->a, (int64_t)mask);
        }
        eb_value low = narrow(f, a, 8u * ir->size);
        return low != a && turn(f, v, EB_IR_SWAP, low, 0);
    }
    case EB_IR_SEXT:
        return fold_sext(f, v, a);
    case EB_IR_ZEXT:
        return x->op == EB_IR_TRUNC && !(~eb_bits_zero(f->fn, x->a) >> 32) &&
               at(f, x->a)->type == ir->type && become(f, v, x->a);
    default:
        return fold_trunc(f, v, a);
    }
}

/* ---- memory ---- */

/* The address of a load, store or atomic: constants go into the instruction. The base is a symbol
 * or slot itself, so that accesses to it share one. */
static bool fold_address(eb_folder *f, eb_value v) {
    eb_ir *ir = at(f, v);
    if (ir->extra)
        return false;
    const eb_ir *base = at(f, ir->a);
    bool sum = base->op == EB_IR_ADD && is_const(f, base->b);
    bool direct = (base->op == EB_IR_SLOT || base->op == EB_IR_SYMBOL) && base->imm;
    if (!sum && !direct)
        return false;
    int64_t offset = sum ? at(f, base->b)->imm : base->imm;
    if (__builtin_add_overflow(offset, ir->imm, &offset) || offset != (int16_t)offset)
        return false;
    eb_value a = base->a;
    if (direct) {
        uint32_t extra = base->extra;
        a = eb_fold_make(f, v, (eb_ir_op)base->op, EB_IR_PTR, 0, 0);
        at(f, a)->extra = extra;
    }
    ir = at(f, v);
    ir->a = a;
    ir->imm = offset;
    use(f, a);
    return true;
}

/* An arena's pointer plus a constant: cast first, it can be the offset of an access. */
static bool fold_space(eb_folder *f, eb_value v) {
    eb_ir ir = *at(f, v), sum = *at(f, ir.a);
    bool to_kernel = ir.imm >> 16 == 0;
    if (!to_kernel || sum.op != EB_IR_ADD || !is_const(f, sum.b))
        return false;
    eb_value start = eb_fold_make(f, v, EB_IR_SPACE, EB_IR_PTR, sum.a, 0);
    at(f, start)->imm = ir.imm;
    at(f, v)->imm = 0;
    return turn(f, v, EB_IR_ADD, start, sum.b);
}

/* Whether the load's bytes at offset `at` of the symbol are there. */
static bool is_there(const eb_ir_symbol *s, int64_t at, const eb_ir *load) {
    return s->kind == EB_IR_VARIABLE && s->is_defined && s->bind != 2 && at >= 0 &&
           (uint64_t)at <= s->size && load->size <= s->size - (uint64_t)at;
}

const eb_ir_word *eb_initial_word(const eb_ir_unit *unit, uint32_t symbol, int64_t offset,
                                  const eb_ir *load) {
    const eb_ir_symbol *s = &unit->symbols.at[symbol];
    if (load->size != 8 || !is_there(s, offset, load))
        return NULL;
    for (uint32_t n = 0; n < s->words.len; n++)
        if (s->words.at[n].offset == (uint64_t)offset && s->words.at[n].size == 8)
            return &s->words.at[n];
    return NULL;
}

bool eb_initial_number(const eb_ir_unit *unit, uint32_t symbol, int64_t offset, const eb_ir *load,
                       int64_t *result) {
    const eb_ir_symbol *s = &unit->symbols.at[symbol];
    if (!is_there(s, offset, load))
        return false;
    for (uint32_t n = 0; n < s->words.len; n++)
        if (s->words.at[n].offset < (uint64_t)offset + load->size &&
            (uint64_t)offset < s->words.at[n].offset + s->words.at[n].size)
            return false;
    uint64_t value = 0;
    if (s->data.len) {
        if ((uint64_t)offset + load->size > s->data.len)
            return false;
        const uint8_t *at = s->data.at + offset;
        value = load->size == 1   ? *at
                : load->size == 2 ? eb_get16(at, unit->big)
                : load->size == 4 ? eb_get32(at, unit->big)
                                  : eb_get64(at, unit->big);
    }
    unsigned unused = 64 - 8u * load->size;
    if (load->flags & EB_IR_SIGNED)
        value = (uint64_t)((int64_t)(value << unused) >> unused);
    *result = eb_ir_wrap((eb_ir_type)load->type, (int64_t)value);
    return true;
}

const eb_ir_word *eb_fold_word(const eb_ir_unit *unit, uint32_t symbol, int64_t at,
                               const eb_ir *load) {
    return eb_is_initial(unit, symbol, at, load) ? eb_initial_word(unit, symbol, at, load) : NULL;
}

bool eb_fold_data(const eb_ir_unit *unit, uint32_t symbol, int64_t at, const eb_ir *load,
                  int64_t *result) {
    return eb_is_initial(unit, symbol, at, load) &&
           eb_initial_number(unit, symbol, at, load, result);
}

static bool fold_load(eb_folder *f, eb_value v) {
    const eb_ir *ir = at(f, v), *base = at(f, ir->a);
    int64_t value, offset;
    if (base->op != EB_IR_SYMBOL || ir->extra ||
        __builtin_add_overflow(base->imm, ir->imm, &offset))
        return fold_address(f, v);
    if (eb_fold_data(f->fn->unit, base->extra, offset, ir, &value))
        return become_const(f, v, value);
    const eb_ir_word *word = eb_fold_word(f->fn->unit, base->extra, offset, ir);
    if (!word)
        return fold_address(f, v);
    eb_value address = eb_fold_make(f, v, EB_IR_SYMBOL, EB_IR_PTR, 0, 0);
    at(f, address)->extra = word->symbol;
    at(f, address)->imm = word->addend;
    if (at(f, v)->type != EB_IR_PTR)
        address = eb_fold_make(f, v, EB_IR_COPY, (eb_ir_type)at(f, v)->type, address, 0);
    return become(f, v, address);
}

/* A number of bytes that has become known. */
static bool fold_bytes(eb_folder *f, eb_value v) {
    eb_ir *ir = at(f, v);
    if (!ir->c || !is_const(f, ir->c) || at(f, ir->c)->imm < 0)
        return false;
    ir->imm = at(f, ir->c)->imm;
    ir->c = 0;
    return true;
}

static bool fold_text(eb_folder *f, eb_value v) {
    int64_t result;
    if (eb_fold_text(f->fn, at(f, v), &result))
        return become_const(f, v, result);
    return at(f, v)->op == EB_IR_MEMCMP && fold_bytes(f, v);
}

static bool fold_store(eb_folder *f, eb_value v) {
    eb_ir *ir = at(f, v);
    eb_value low = narrow(f, ir->b, 8u * ir->size);
    if (low != ir->b) {
        ir->b = low;
        use(f, low);
        return true;
    }
    return fold_address(f, v);
}

/* Inputs of inline assembly: as in clang, registers have any bits above a narrow operand's, so
 * `(short)x` hands over x as it is; bpf_cmp_likely() relies on that. */
static bool fold_asm(eb_folder *f, eb_value v) {
    const eb_ir_asm *body = &f->fn->unit->asms.at[at(f, v)->extra];
    eb_list *list = &f->fn->lists.at[at(f, v)->list];
    bool changed = false;
    uint32_t used = 0; /* values of memory outputs and of those that are read come first */
    for (uint32_t n = 0; n < body->outputs.len; n++)
        used += (body->outputs.at[n].kind == 'm' ? 1u : 0) + (body->outputs.at[n].is_read ? 1u : 0);
    for (uint32_t n = 0; n < body->inputs.len && used < list->values.len; n++) {
        const eb_ir_operand *operand = &body->inputs.at[n];
        if (operand->kind == 'i')
            continue;
        eb_value *value = &list->values.at[used++], low = *value;
        if (operand->kind != 'r' || operand->size >= 8)
            continue;
        for (;;) {
            eb_value next = narrow(f, low, 8u * operand->size);
            if (at(f, next)->op == EB_IR_TRUNC)
                next = at(f, next)->a;
            if (next == low)
                break;
            low = next;
        }
        changed |= low != *value;
        *value = low;
    }
    return changed;
}

/* ---- phis ---- */

/* All operands are one value, or equal constants, or the phi itself. An operand that was never set
 * may be any value, so it follows a constant. */
static bool fold_phi(eb_folder *f, eb_value v) {
    const eb_list *list = &f->fn->lists.at[at(f, v)->list];
    eb_value one = 0;
    bool undefined = false;
    for (uint32_t n = 0; n < list->values.len; n++) {
        eb_value each = eb_ir_origin(f->fn, list->values.at[n]);
        if (each == v || each == one)
            continue;
        if (at(f, each)->op == EB_IR_UNDEF) {
            undefined = true;
            continue;
        }
        bool equal = one && is_const(f, one) && is_const(f, each) &&
                     at(f, one)->imm == at(f, each)->imm && at(f, one)->type == at(f, each)->type;
        if (one && !equal)
            return false;
        one = each;
    }
    if (!one) {
        eb_value undef = eb_fold_make(f, v, EB_IR_UNDEF, (eb_ir_type)at(f, v)->type, 0, 0);
        return become(f, v, undef);
    }
    if (is_const(f, one))
        return become_const(f, v, at(f, one)->imm);
    return !undefined && at(f, one)->type == at(f, v)->type && become(f, v, one);
}

/* ---- the walk ---- */

/* Operands without copies, as what is folded before them left them. */
static void refresh(eb_folder *f, eb_value v) {
    eb_uses uses = eb_uses_of(f->fn, v);
    while (eb_uses_next(&uses))
        *uses.at = eb_ir_origin(f->fn, *uses.at);
}

static bool fold_one(eb_folder *f, eb_value v) {
    const eb_ir *ir = at(f, v);
    if (eb_ir_is_binary(ir->op))
        return fold_binary(f, v);
    switch (ir->op) { /* one case per kind */
    case EB_IR_NEG:
    case EB_IR_SWAP:
    case EB_IR_SEXT:
    case EB_IR_ZEXT:
    case EB_IR_TRUNC:
        return fold_unary(f, v);
    case EB_IR_CMP: {
        int outcome = eb_fold_outcome(f->fn, v);
        return outcome >= 0 ? become_const(f, v, outcome) : eb_fold_compare(f, v);
    }
    case EB_IR_BRANCH:
        return eb_fold_outcome(f->fn, v) < 0 && eb_fold_compare(f, v);
    case EB_IR_CONST_P:
        return is_const(f, ir->a) && become_const(f, v, 1);
    case EB_IR_LOAD:
        return fold_load(f, v);
    case EB_IR_STORE:
        return fold_store(f, v);
    case EB_IR_COPYMEM:
    case EB_IR_MOVEMEM:
    case EB_IR_SETMEM:
        return fold_bytes(f, v);
    case EB_IR_STRLEN:
    case EB_IR_STRCMP:
    case EB_IR_MEMCMP:
        return fold_text(f, v);
    case EB_IR_ATOMIC:
        return fold_address(f, v);
    case EB_IR_SPACE:
        return fold_space(f, v);
    case EB_IR_ASM:
    case EB_IR_GOTO:
        return fold_asm(f, v);
    case EB_IR_PHI:
        return fold_phi(f, v);
    default:
        return false;
    }
}

static void fold_block(eb_folder *f, uint32_t block) {
    for (eb_value v = f->fn->blocks.at[block].first, next; v; v = next) {
        bool more = true;
        next = at(f, v)->next; /* what is made stands before v, or behind the phis */
        refresh(f, v);
        for (unsigned round = 0; more && round < ROUNDS_MOST; round++) {
            more = fold_one(f, v);
            f->changed |= more;
            more &= at(f, v)->op != EB_IR_COPY;
        }
    }
}

static void count_uses(eb_folder *f) {
    f->count = f->fn->values.len;
    f->uses = eb_alloc_array(eb_scratch(f->fn), f->count, sizeof *f->uses);
    for (eb_value v = 1; v < f->count; v++) {
        eb_uses uses = eb_uses_of(f->fn, v);
        while (at(f, v)->block && eb_uses_next(&uses))
            f->uses[*uses.at]++;
    }
}

bool eb_pass_fold(eb_fn *fn) {
    eb_folder f = {.fn = fn};
    count_uses(&f);
    for (uint32_t n = 1; n < fn->blocks.len; n++)
        if (fn->blocks.at[n].first)
            fold_block(&f, n);
    f.changed |= eb_ir_settle(fn);
    return f.changed;
}

/* What is no constant by now never will be one. */
bool eb_pass_const_p(eb_fn *fn) {
    bool changed = false;
    for (eb_value v = 1; v < fn->values.len; v++) {
        eb_ir *ir = eb_ir_at(fn, v);
        if (ir->op != EB_IR_CONST_P)
            continue;
        ir->op = EB_IR_CONST;
        ir->imm = eb_ir_is_const(fn, ir->a);
        ir->a = 0;
        changed = true;
    }
    return changed;
}
