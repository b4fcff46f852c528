/* thread.c - branches that were decided before they are reached, or that the next one decides.
 *
 * A branch on a condition that a dominating branch has settled becomes a jump; what is signed is
 * not any more where a branch above has found its operand not to be negative; and of two questions
 * in a row with one way out, the first is dropped where the second asks for as much (0 <= n && n <
 * 4 asks for n < 4 of the unsigned). Where only the way in decides (a phi of constants: what an
 * inlined function returned, `a && b` kept in a bool), those that come that way jump to where they
 * go: the block between is copied for them, and values defined there become variables with several
 * definitions, which ssa.c repairs.
 *
 * Blocks that are passed by hold pure operations only, a handful, and start no loop: the optimiser
 * knows loops by the test that they start with. The pass rotate, at its end, lets a loop start
 * behind a first test that is decided, which leaves one jump per round, at the end of it. */
#include "cfg.h"
#include "fold.h"
#include "pass.h"
#include "ssa.h"

enum { CLIMB_MOST = 24, COPY_MOST = 6, SIZE_MOST = 3 /* times the function */, DEPTH_MOST = 12 };

/* A compare that holds. */
typedef struct fact {
    eb_cond cond;
    eb_value a, b;
} fact;

/* ---- what a fact says about a compare ---- */

/* Which of below, equal and above make a condition true; signed and unsigned ones differ in bit 3
 * and 4. */
static unsigned outcomes(eb_cond cond) {
    enum { BELOW = 1, EQUAL = 2, ABOVE = 4 };
    static const uint8_t table[] = {
        [EB_COND_EQ] = EQUAL,          [EB_COND_NE] = BELOW | ABOVE,  [EB_COND_LT] = BELOW,
        [EB_COND_GE] = EQUAL | ABOVE,  [EB_COND_GT] = ABOVE,          [EB_COND_LE] = BELOW | EQUAL,
        [EB_COND_SLT] = BELOW,         [EB_COND_SGE] = EQUAL | ABOVE, [EB_COND_SGT] = ABOVE,
        [EB_COND_SLE] = BELOW | EQUAL,
    };
    return table[cond];
}

static bool is_signed(eb_cond cond) {
    return cond >= EB_COND_SLT && cond <= EB_COND_SLE;
}

static bool is_equality(eb_cond cond) {
    return cond == EB_COND_EQ || cond == EB_COND_NE;
}

/* About the same two values. */
static int by_order(eb_cond known, eb_cond asked) {
    if (known >= EB_COND_SET || asked >= EB_COND_SET)
        return known == asked ? 1 : known == (asked ^ 1u) ? 0 : -1;
    if (is_signed(known) != is_signed(asked) && !is_equality(known) && !is_equality(asked))
        return -1;
    unsigned may = outcomes(known), wanted = outcomes(asked);
    return !(may & ~wanted) ? 1 : !(may & wanted) ? 0 : -1;
}

typedef struct range {
    uint64_t lo, hi;
} range;

/* The values of which `cond` with the constant c is true, as unsigned ones; false if they are none
 * or no range: those of NE are not, nor are signed ones on both sides of 0. */
static bool range_of(eb_cond cond, uint64_t c, unsigned type, range *r) {
    uint64_t all = eb_bits_of(type), sign = all ^ all >> 1, flip = is_signed(cond) ? sign : 0;
    *r = (range){0, all};
    c = (c & all) ^ flip;
    bool some = true;
    switch (outcomes(cond)) {
    case 1:
        r->hi = c - 1;
        some = c > 0;
        break;
    case 2:
        r->lo = r->hi = c;
        break;
    case 3:
        r->hi = c;
        break;
    case 4:
        r->lo = c + 1;
        some = c < all;
        break;
    case 6:
        r->lo = c;
        break;
    default:
        return false;
    }
    r->lo ^= flip;
    r->hi ^= flip;
    return some && r->lo <= r->hi;
}

/* About one value and two constants: the answer, if those of which the fact is true are all among
 * those asked for, or all among the others. */
static int by_range(const fact *known, uint64_t c, eb_cond asked, uint64_t d, unsigned type) {
    range have, want;
    if (known->cond >= EB_COND_SET || asked >= EB_COND_SET ||
        !range_of(known->cond, c, type, &have))
        return -1;
    for (unsigned negated = 0; negated < 2; negated++) {
        if (!range_of((eb_cond)(asked ^ negated), d, type, &want))
            continue;
        if (want.lo <= have.lo && have.hi <= want.hi)
            return !negated;
        if (want.hi < have.lo || have.hi < want.lo)
            return (int)negated;
    }
    return -1;
}

/* 0 or 1 if the fact decides `asked` of a and b, else -1. */
static int implied(const eb_fn *fn, const fact *known, eb_cond asked, eb_value a, eb_value b) {
    if (known->a == b && known->b == a) {
        eb_value other = a;
        a = b;
        b = other;
        asked = eb_cond_swapped(asked);
    }
    if (known->a != a)
        return -1;
    if (known->b == b)
        return by_order(known->cond, asked);
    if (!eb_ir_is_const(fn, known->b) || !eb_ir_is_const(fn, b))
        return -1;
    uint64_t c = (uint64_t)eb_ir_at(fn, known->b)->imm, d = (uint64_t)eb_ir_at(fn, b)->imm;
    if (c == d)
        return by_order(known->cond, asked);
    return by_range(known, c, asked, d, eb_ir_at(fn, a)->type);
}

/* What holds on edge number `succ` of a block that ends with a branch. */
static bool fact_of(const eb_fn *fn, uint32_t block, uint32_t succ, fact *f) {
    const eb_ir *end = eb_block_end(fn, block);
    const eb_block *b = &fn->blocks.at[block];
    if (end->op != EB_IR_BRANCH || b->succs.at[0] == b->succs.at[1])
        return false;
    *f = (fact){(eb_cond)(end->cond ^ succ), end->a, end->b};
    return true;
}

/* ---- settled by a dominating branch ---- */

/* What the branch that leads to `block` alone says about a compare; then those above. */
static int decided_above(const eb_fn *fn, uint32_t block, eb_cond cond, eb_value a, eb_value b) {
    for (unsigned n = 0; n < CLIMB_MOST && block != 1; n++) {
        const eb_block *at = &fn->blocks.at[block];
        if (at->preds.len == 1) {
            uint32_t from = at->preds.at[0];
            fact known;
            int outcome = -1;
            if (fact_of(fn, from, fn->blocks.at[from].succs.at[0] != block, &known))
                outcome = implied(fn, &known, cond, a, b);
            if (outcome >= 0)
                return outcome;
        }
        block = at->idom;
    }
    return -1;
}

static bool settle_branches(eb_fn *fn) {
    bool changed = false;
    for (uint32_t n = 0; n < fn->rpo.len; n++) {
        uint32_t block = fn->rpo.at[n];
        const eb_ir *end = eb_block_end(fn, block);
        if (end->op != EB_IR_BRANCH)
            continue;
        int outcome = decided_above(fn, block, (eb_cond)end->cond, end->a, end->b);
        if (outcome < 0)
            continue;
        eb_block_jump(fn, block, outcome ? 0 : 1);
        changed = true;
    }
    return changed;
}

/* Whether a value has no sign where `block` is: by what it is made of, or by a branch above. */
static bool has_no_sign(const eb_fn *fn, uint32_t block, eb_value v, const eb_value *zeros) {
    unsigned type = eb_ir_at(fn, v)->type;
    uint64_t bits = eb_bits_of(type), sign = bits & ~(bits >> 1);
    return (eb_bits_zero(fn, v) & sign) ||
           decided_above(fn, block, EB_COND_SGE, v, zeros[type]) == 1;
}

/* That, or the sum of two such where it does not wrap: n++ behind n >= 0. The verifier does not
 * know that it cannot, and needs the question without sign. */
static bool not_negative(const eb_fn *fn, uint32_t block, eb_value v, const eb_value *zeros) {
    const eb_ir *ir = eb_ir_at(fn, v);
    bool sum = ir->op == EB_IR_ADD && (ir->flags & EB_IR_NO_WRAP);
    return has_no_sign(fn, block, v, zeros) ||
           (sum && has_no_sign(fn, block, ir->a, zeros) && has_no_sign(fn, block, ir->b, zeros));
}

/* What stands for a signed operation of something that is not negative, with something that is
 * not: of divisions, which BPF has for signed numbers from v4 on only, of extensions, and, with
 * constants, of orders. */
static bool unsigned_like(const eb_fn *fn, eb_ir *ir, const eb_value *zeros) {
    bool by_const = ir->b && eb_ir_is_const(fn, ir->b);
    int64_t c = by_const ? eb_ir_at(fn, ir->b)->imm : -1;
    switch (ir->op) {
    case EB_IR_SDIV:
    case EB_IR_SMOD:
        ir->op = ir->op == EB_IR_SDIV ? EB_IR_DIV : EB_IR_MOD;
        return by_const ? c > 0 : not_negative(fn, ir->block, ir->b, zeros);
    case EB_IR_SEXT:
        ir->op = EB_IR_ZEXT;
        return ir->size == 4 && ir->type == EB_IR_I64;
    case EB_IR_BRANCH:
        if (!is_signed((eb_cond)ir->cond))
            return false;
        ir->cond = (uint8_t)(ir->cond - EB_COND_SLT + EB_COND_LT);
        return c >= 0;
    default:
        return false;
    }
}

static bool settle_signs(eb_fn *fn) {
    const eb_ir_type types[] = {EB_IR_I32, EB_IR_I64, EB_IR_PTR};
    eb_value zeros[EB_IR_PTR + 1] = {0};
    bool changed = false;
    for (unsigned n = 0; n < 3; n++)
        zeros[types[n]] = eb_ir_const(fn, types[n], 0, 0);
    for (eb_value v = 1; v < fn->values.len; v++) {
        eb_ir ir = *eb_ir_at(fn, v);
        if (!ir.block || !unsigned_like(fn, &ir, zeros) || !not_negative(fn, ir.block, ir.a, zeros))
            continue;
        ir.size = ir.op == EB_IR_ZEXT ? 0 : ir.size;
        *eb_ir_at(fn, v) = ir;
        changed = true;
    }
    for (unsigned n = 0; n < 3; n++)
        *eb_ir_at(fn, zeros[types[n]]) = (eb_ir){.op = EB_IR_NONE};
    return changed;
}

/* ---- decided by the next one ---- */

/* Whether a block does nothing but ask, having come from one other. */
static bool only_asks(const eb_fn *fn, uint32_t block) {
    const eb_block *b = &fn->blocks.at[block];
    if (b->preds.len != 1 || eb_block_end(fn, block)->op != EB_IR_BRANCH)
        return false;
    for (eb_value v = b->first; v != b->last; v = eb_ir_at(fn, v)->next)
        if (eb_ir_at(fn, v)->op != EB_IR_CONST && eb_ir_at(fn, v)->op != EB_IR_COPY)
            return false;
    return true;
}

static bool same_phis(const eb_fn *fn, uint32_t to, uint32_t x, uint32_t y) {
    for (eb_value v = fn->blocks.at[to].first; eb_ir_at(fn, v)->op == EB_IR_PHI;
         v = eb_ir_at(fn, v)->next)
        if (*eb_phi_at(fn, v, x) != *eb_phi_at(fn, v, y))
            return false;
    return true;
}

/* Whether who leaves by way `n` leaves by the next block's branch to the same place, too. Not with
 * pointers: the verifier wants them asked as they are. */
static bool is_asked_again(const eb_fn *fn, uint32_t block, uint32_t n) {
    const eb_block *b = &fn->blocks.at[block];
    uint32_t to = b->succs.at[n], next = b->succs.at[1 - n];
    fact known;
    if (next == to || next == block || !fact_of(fn, block, n, &known) || !only_asks(fn, next) ||
        eb_ir_at(fn, known.a)->type == EB_IR_PTR || eb_ir_at(fn, known.b)->type == EB_IR_PTR)
        return false;
    const eb_ir *end = eb_block_end(fn, next);
    int outcome = implied(fn, &known, (eb_cond)end->cond, end->a, end->b);
    uint32_t way = outcome ? 0 : 1;
    return outcome >= 0 && fn->blocks.at[next].succs.at[way] == to &&
           fn->blocks.at[next].succs.at[1 - way] != to &&
           same_phis(fn, to, eb_edge_of(fn, block, n), eb_edge_of(fn, next, way));
}

static bool ask_once(eb_fn *fn) {
    bool changed = false;
    for (uint32_t i = fn->rpo.len; i--;) {
        uint32_t block = fn->rpo.at[i];
        for (uint32_t n = 0; n < 2 && eb_block_end(fn, block)->op == EB_IR_BRANCH; n++)
            if (is_asked_again(fn, block, n)) {
                eb_block_jump(fn, block, 1 - n);
                changed = true;
            }
    }
    return changed;
}

/* ---- decided by the way in ---- */

typedef struct threader {
    eb_fn *fn;
    eb_value *map; /* what the block's values are for one predecessor, where known already */
    uint32_t *var; /* of each value that is one definition of several, by eb_ssa_repair */
    uint32_t vars, var_count, most;
} threader;

static eb_ir *at(const threader *t, eb_value value) {
    return eb_ir_at(t->fn, value);
}

static bool is_copyable(const eb_ir *ir) {
    return eb_ir_is_binary(ir->op) || ir->op == EB_IR_CONST || ir->op == EB_IR_SLOT ||
           ir->op == EB_IR_SYMBOL || (ir->op >= EB_IR_NEG && ir->op <= EB_IR_COPY) ||
           ir->op == EB_IR_UNDEF;
}

/* Whether the block may be copied: phis, a few pure operations, a branch. */
static bool is_short(const threader *t, uint32_t block) {
    const eb_block *b = &t->fn->blocks.at[block];
    unsigned count = 0;
    if (eb_block_end(t->fn, block)->op != EB_IR_BRANCH || b->preds.len < 2)
        return false;
    for (eb_value v = eb_block_body(t->fn, block); v != b->last; v = at(t, v)->next) {
        unsigned op = at(t, v)->op;
        count += op != EB_IR_CONST && op != EB_IR_SLOT && op != EB_IR_SYMBOL;
        if (!is_copyable(at(t, v)) || count > COPY_MOST)
            return false;
    }
    return true;
}

/* `value` at the end of the block for those that come by edge `index`: a phi's operand. */
static eb_value for_edge(const threader *t, uint32_t block, uint32_t index, eb_value value) {
    const eb_ir *ir = at(t, value);
    return ir->op == EB_IR_PHI && ir->block == block ? *eb_phi_at(t->fn, value, index) : value;
}

static bool evaluate(const threader *t, uint32_t block, uint32_t index, eb_value value,
                     int64_t *result, unsigned depth) {
    const eb_ir *ir = at(t, for_edge(t, block, index, value));
    int64_t x, y = 0;
    if (ir->op == EB_IR_CONST) {
        *result = ir->imm;
        return true;
    }
    bool binary = eb_ir_is_binary(ir->op) || ir->op == EB_IR_CMP;
    bool unary = ir->op >= EB_IR_NEG && ir->op <= EB_IR_TRUNC;
    if (ir->block != block || (!binary && !unary) || depth == DEPTH_MOST ||
        !evaluate(t, block, index, ir->a, &x, depth + 1) ||
        (binary && !evaluate(t, block, index, ir->b, &y, depth + 1)))
        return false;
    *result = ir->op == EB_IR_CMP
                  ? eb_eval_cond((eb_cond)ir->cond, (eb_ir_type)at(t, ir->a)->type, x, y)
              : unary ? eb_eval_unary(ir, x)
                      : eb_eval_binary((eb_ir_op)ir->op, (eb_ir_type)ir->type, x, y);
    return true;
}

static int outcome_for(const threader *t, uint32_t block, uint32_t index) {
    const eb_ir *end = eb_block_end(t->fn, block);
    int64_t x, y;
    if (evaluate(t, block, index, end->a, &x, 0) && evaluate(t, block, index, end->b, &y, 0))
        return eb_eval_cond((eb_cond)end->cond, (eb_ir_type)at(t, end->a)->type, x, y);
    eb_value a = for_edge(t, block, index, end->a), b = for_edge(t, block, index, end->b);
    if (at(t, a)->block == block || at(t, b)->block == block)
        return -1;
    uint32_t from = t->fn->blocks.at[block].preds.at[index];
    fact known;
    int outcome = -1;
    if (fact_of(t->fn, from, t->fn->blocks.at[from].succs.at[0] != block, &known))
        outcome = implied(t->fn, &known, (eb_cond)end->cond, a, b);
    return outcome;
}

static void set_var(threader *t, eb_value value, uint32_t var) {
    if (value >= t->var_count) {
        uint32_t count = t->fn->values.len * 2;
        uint32_t *more = eb_alloc_array(eb_scratch(t->fn), count, sizeof *more);
        if (t->var_count)
            memcpy(more, t->var, t->var_count * sizeof *more);
        t->var = more;
        t->var_count = count;
    }
    t->var[value] = var;
}

/* The definition that `value` is for those that pass `block` by in `copy`. */
static eb_value copy_value(threader *t, uint32_t block, uint32_t index, uint32_t copy, eb_value v) {
    eb_ir ir = *at(t, v);
    bool phi = ir.op == EB_IR_PHI;
    eb_value made =
        eb_ir_new(t->fn, phi ? EB_IR_COPY : (eb_ir_op)ir.op, (eb_ir_type)ir.type, 0, 0, ir.loc);
    if (phi) {
        at(t, made)->a = *eb_phi_at(t->fn, v, index);
    } else {
        *at(t, made) = ir;
        eb_uses uses = eb_uses_of(t->fn, made);
        while (eb_uses_next(&uses))
            if (at(t, *uses.at)->block == block)
                *uses.at = t->map[*uses.at];
    }
    eb_ir_append(t->fn, copy, made);
    if (v >= t->var_count || !t->var[v])
        set_var(t, v, ++t->vars);
    set_var(t, made, t->var[v]);
    return t->map[v] = made;
}

/* Those that come by edge `index` go to successor number `succ` by a copy of the block. */
static void thread(threader *t, uint32_t block, uint32_t index, uint32_t succ) {
    eb_fn *fn = t->fn;
    uint32_t copy = eb_block_new(fn), to = fn->blocks.at[block].succs.at[succ];
    uint32_t from = fn->blocks.at[block].preds.at[index], way = 0;
    uint32_t like = eb_edge_of(fn, block, succ);
    for (eb_value v = fn->blocks.at[block].first; v != fn->blocks.at[block].last;
         v = at(t, v)->next)
        copy_value(t, block, index, copy, v);
    eb_value jump = eb_ir_new(fn, EB_IR_JUMP, EB_IR_VOID, 0, 0, eb_block_end(fn, block)->loc);
    eb_ir_append(fn, copy, jump);
    eb_edge_add(fn, copy, to);
    for (eb_value v = fn->blocks.at[to].first; at(t, v)->op == EB_IR_PHI; v = at(t, v)->next) {
        const eb_list *list = &fn->lists.at[at(t, v)->list];
        eb_value old = list->values.at[like];
        list->values.at[list->values.len - 1] = at(t, old)->block == block ? t->map[old] : old;
    }
    while (fn->blocks.at[from].succs.at[way] != block || eb_edge_of(fn, from, way) != index)
        way++;
    eb_edge_drop(fn, block, index);
    fn->blocks.at[from].succs.at[way] = copy;
    *EB_PUSH(&fn->unit->ctx->arena, &fn->blocks.at[copy].preds) = from;
}

static bool starts_loop(const threader *t, uint32_t block) {
    return t->fn->blocks.at[block].loop == block;
}

static bool thread_block(threader *t, uint32_t block) {
    bool changed = false;
    if (starts_loop(t, block) || !is_short(t, block))
        return false;
    for (uint32_t n = t->fn->blocks.at[block].preds.len; n--;) {
        const eb_block *b = &t->fn->blocks.at[block];
        if (b->preds.at[n] == block || t->fn->values.len > t->most)
            continue;
        int outcome = outcome_for(t, block, n);
        uint32_t succ = outcome ? 0 : 1;
        if (outcome < 0 || b->succs.at[succ] == block || starts_loop(t, b->succs.at[succ]))
            continue;
        thread(t, block, n, succ);
        changed = true;
    }
    return changed;
}

static bool is_inside(const threader *t, uint32_t block, uint32_t header) {
    uint32_t loop = t->fn->blocks.at[block].loop;
    while (loop && loop != header)
        loop = t->fn->blocks.at[loop].outer;
    return loop != 0;
}

/* A loop whose first test is decided starts behind it, and so has its test at its end. Only if
 * that goes for all ways in, or it would have two starts. */
static bool rotate(threader *t, uint32_t header) {
    const eb_block *b = &t->fn->blocks.at[header];
    int outcome = -1;
    if (!starts_loop(t, header) || !is_short(t, header))
        return false;
    for (uint32_t n = 0; n < b->preds.len; n++)
        if (!eb_dominates(t->fn, header, b->preds.at[n])) {
            int own = outcome_for(t, header, n);
            if (own < 0 || (outcome >= 0 && own != outcome))
                return false;
            outcome = own;
        }
    uint32_t succ = outcome > 0 ? 0 : 1, to = b->succs.at[succ];
    if (outcome < 0 || to == header || starts_loop(t, to) || !is_inside(t, to, header))
        return false;
    for (uint32_t n = b->preds.len; n--;)
        if (!eb_dominates(t->fn, header, t->fn->blocks.at[header].preds.at[n]))
            thread(t, header, n, succ);
    return true;
}

/* Asks `change` for each block, and puts right what it left. */
static bool for_blocks(eb_fn *fn, bool (*change)(threader *t, uint32_t block)) {
    threader t = {.fn = fn, .map = eb_value_map(fn), .most = fn->values.len * SIZE_MOST + 1000};
    bool changed = false;
    for (uint32_t n = 0; n < fn->rpo.len; n++)
        changed |= change(&t, fn->rpo.at[n]);
    if (!changed)
        return false;
    eb_cfg_build(fn);
    uint32_t *var = eb_value_map(fn);
    uint32_t known = t.var_count < fn->values.len ? t.var_count : fn->values.len;
    if (known)
        memcpy(var, t.var, known * sizeof *var);
    eb_ssa_repair(fn, var, t.vars);
    (void)eb_ir_settle(fn);
    return true;
}

bool eb_pass_thread(eb_fn *fn) {
    eb_cfg_build(fn);
    bool changed = settle_signs(fn), asked = ask_once(fn);
    if (settle_branches(fn) || asked) {
        eb_cfg_build(fn);
        changed = true;
    }
    return for_blocks(fn, thread_block) || changed;
}

bool eb_pass_rotate(eb_fn *fn) {
    eb_cfg_build(fn);
    return for_blocks(fn, rotate);
}
