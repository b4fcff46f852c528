/* simplify.c - straightens the graph of blocks: branches whose outcome is known or does not matter
 * become jumps, what cannot be reached goes, a block joins its only predecessor, and one that only
 * jumps is passed by.
 *
 * A branch towards UNREACHABLE is a promise that it never happens, so it becomes a jump to the
 * other side, as in clang. Branches never become arithmetic. */
#include "blocks.h"
#include "fold.h"
#include "pass.h"

enum { HOPS_MOST = 8 };

/* Where an edge leads, through blocks of nothing but a jump: a block, and the edge's number there.
 */
typedef struct way {
    uint32_t to, edge;
} way;

static way way_of(const eb_fn *fn, uint32_t from, uint32_t succ) {
    way w = {fn->blocks.at[from].succs.at[succ], eb_edge_of(fn, from, succ)};
    for (unsigned n = 0; n < HOPS_MOST; n++) {
        const eb_block *block = &fn->blocks.at[w.to];
        if (block->first != block->last || eb_ir_at(fn, block->last)->op != EB_IR_JUMP)
            break;
        w = (way){block->succs.at[0], eb_edge_of(fn, w.to, 0)};
    }
    return w;
}

static bool is_same(const eb_fn *fn, eb_value a, eb_value b) {
    const eb_ir *x = eb_ir_at(fn, a), *y = eb_ir_at(fn, b);
    return a == b || (a && b && x->op == EB_IR_CONST && y->op == EB_IR_CONST &&
                      x->type == y->type && x->imm == y->imm);
}

/* The RETURN of a block that has nothing else, but for a constant to return; or NULL. */
static const eb_ir *only_return(const eb_fn *fn, uint32_t block) {
    const eb_block *b = &fn->blocks.at[block];
    const eb_ir *first = eb_ir_at(fn, b->first), *last = eb_ir_at(fn, b->last);
    bool only = first == last || (first->op == EB_IR_CONST && first->next == b->last);
    return only && last->op == EB_IR_RETURN ? last : NULL;
}

/* Whether both ways of a branch are the same: they meet with the same values, or return the same.
 */
static bool is_idle(const eb_fn *fn, uint32_t block) {
    way x = way_of(fn, block, 0), y = way_of(fn, block, 1);
    if (x.to != y.to) {
        const eb_ir *end = only_return(fn, x.to), *other = only_return(fn, y.to);
        return end && other && is_same(fn, end->a, other->a);
    }
    for (eb_value v = fn->blocks.at[x.to].first; eb_ir_at(fn, v)->op == EB_IR_PHI;
         v = eb_ir_at(fn, v)->next)
        if (!is_same(fn, *eb_phi_at(fn, v, x.edge), *eb_phi_at(fn, v, y.edge)))
            return false;
    return true;
}

/* Not a trap, though: that is an error where it stays. */
static bool is_unreachable(const eb_fn *fn, uint32_t block) {
    const eb_ir *ir = eb_ir_at(fn, eb_block_body(fn, block));
    return ir->op == EB_IR_UNREACHABLE && ir->imm == 0;
}

static bool simplify_branch(eb_fn *fn, uint32_t block) {
    const eb_block *from = &fn->blocks.at[block];
    int outcome = eb_fold_outcome(fn, from->last);
    if (outcome < 0 && is_idle(fn, block))
        outcome = 1;
    for (uint32_t n = 0; outcome < 0 && n < 2; n++)
        if (is_unreachable(fn, from->succs.at[n]))
            outcome = (int)n;
    if (outcome < 0)
        return false;
    eb_block_jump(fn, block, outcome ? 0 : 1);
    return true;
}

/* A block of nothing but a jump: those that come from elsewhere pass it by. Where the values of
 * phis differ by the way taken, a branch keeps it: there is the place for the moves. */
static bool pass_by(eb_fn *fn, uint32_t block) {
    uint32_t to = fn->blocks.at[block].succs.at[0];
    if (block == 1 || to == block || fn->blocks.at[block].first != fn->blocks.at[block].last)
        return false;
    bool changed = false, phis = eb_block_has_phis(fn, to);
    for (uint32_t n = fn->blocks.at[block].preds.len; n--;) {
        uint32_t from = fn->blocks.at[block].preds.at[n], succ = 0;
        if (from == block || (phis && eb_block_end(fn, from)->op != EB_IR_JUMP))
            continue;
        while (fn->blocks.at[from].succs.at[succ] != block)
            succ++;
        changed |= eb_edge_move(fn, from, succ, to, eb_edge_of(fn, block, 0));
        if (n > fn->blocks.at[block].preds.len)
            n = fn->blocks.at[block].preds.len;
    }
    if (changed && !fn->blocks.at[to].unroll)
        fn->blocks.at[to].unroll = fn->blocks.at[block].unroll;
    return changed;
}

static bool simplify_jump(eb_fn *fn, uint32_t block) {
    uint32_t to = fn->blocks.at[block].succs.at[0];
    if (is_unreachable(fn, to) && to != block) {
        eb_block_jump(fn, block, UINT32_MAX);
        return true;
    }
    if (to != block && to != 1 && fn->blocks.at[to].preds.len == 1) {
        eb_blocks_join(fn, block, to);
        return true;
    }
    return pass_by(fn, block);
}

static bool simplify_block(eb_fn *fn, uint32_t block) {
    switch (eb_block_end(fn, block)->op) {
    case EB_IR_BRANCH:
        return simplify_branch(fn, block);
    case EB_IR_JUMP:
        return simplify_jump(fn, block);
    default:
        return false;
    }
}

bool eb_pass_simplify(eb_fn *fn) {
    bool changed = eb_blocks_prune(fn), more = true;
    while (more) {
        more = false;
        for (uint32_t n = 1; n < fn->blocks.len; n++)
            while (fn->blocks.at[n].first && (n == 1 || fn->blocks.at[n].preds.len) &&
                   simplify_block(fn, n))
                more = true;
        changed |= more;
        more = eb_blocks_prune(fn) || more;
    }
    changed |= eb_ir_settle(fn);
    return changed;
}
