/* blocks.c - changing the graph of blocks; see blocks.h. */
#include "blocks.h"

#include "cfg.h"

static eb_arena *arena_of(const eb_fn *fn) {
    return &fn->unit->ctx->arena;
}

eb_value eb_block_body(const eb_fn *fn, uint32_t block) {
    eb_value v = fn->blocks.at[block].first;
    while (eb_ir_at(fn, v)->op == EB_IR_PHI)
        v = eb_ir_at(fn, v)->next;
    return v;
}

uint32_t eb_edge_of(const eb_fn *fn, uint32_t from, uint32_t succ) {
    const uint32_t *succs = fn->blocks.at[from].succs.at;
    uint32_t nth = 0;
    for (uint32_t n = 0; n < succ; n++)
        nth += succs[n] == succs[succ];
    return eb_edge_index(fn, from, succs[succ], nth);
}

void eb_edge_cut(eb_fn *fn, uint32_t from, uint32_t succ) {
    uint32_t to = fn->blocks.at[from].succs.at[succ];
    eb_edge_drop(fn, to, eb_edge_of(fn, from, succ));
    eb_block *block = &fn->blocks.at[from];
    block->succs.len--;
    for (uint32_t n = succ; n < block->succs.len; n++)
        block->succs.at[n] = block->succs.at[n + 1];
}

void eb_block_jump(eb_fn *fn, uint32_t from, uint32_t succ) {
    for (uint32_t n = fn->blocks.at[from].succs.len; n--;)
        if (n != succ)
            eb_edge_cut(fn, from, n);
    eb_ir *end = eb_block_end(fn, from);
    end->op = succ == UINT32_MAX ? EB_IR_UNREACHABLE : EB_IR_JUMP;
    end->a = end->b = end->list = 0;
    end->cond = end->flags = 0;
}

static bool has_edge(const eb_fn *fn, uint32_t from, uint32_t to) {
    for (uint32_t n = 0; n < fn->blocks.at[from].succs.len; n++)
        if (fn->blocks.at[from].succs.at[n] == to)
            return true;
    return false;
}

bool eb_edge_move(eb_fn *fn, uint32_t from, uint32_t succ, uint32_t to, uint32_t like) {
    if (eb_block_has_phis(fn, to) && has_edge(fn, from, to))
        return false;
    uint32_t old = fn->blocks.at[from].succs.at[succ];
    eb_edge_drop(fn, old, eb_edge_of(fn, from, succ));
    fn->blocks.at[from].succs.at[succ] = to;
    *EB_PUSH(arena_of(fn), &fn->blocks.at[to].preds) = from;
    for (eb_value v = fn->blocks.at[to].first; eb_ir_at(fn, v)->op == EB_IR_PHI;
         v = eb_ir_at(fn, v)->next) {
        eb_value value = *eb_phi_at(fn, v, like);
        *EB_PUSH(arena_of(fn), &fn->lists.at[eb_ir_at(fn, v)->list].values) = value;
    }
    return true;
}

bool eb_blocks_prune(eb_fn *fn) {
    bool *reached = eb_alloc_array(eb_scratch(fn), fn->blocks.len, sizeof *reached);
    uint32_t *stack = eb_alloc_array(eb_scratch(fn), fn->blocks.len, sizeof *stack), depth = 0;
    reached[1] = true;
    stack[depth++] = 1;
    while (depth) {
        const eb_block *block = &fn->blocks.at[stack[--depth]];
        for (uint32_t n = 0; n < block->succs.len; n++)
            if (!reached[block->succs.at[n]]) {
                reached[block->succs.at[n]] = true;
                stack[depth++] = block->succs.at[n];
            }
    }
    for (uint32_t n = 1; n < fn->blocks.len; n++)
        while (!reached[n] && fn->blocks.at[n].succs.len)
            eb_edge_cut(fn, n, fn->blocks.at[n].succs.len - 1);
    bool changed = false;
    for (uint32_t n = 1; n < fn->blocks.len; n++)
        while (!reached[n] && fn->blocks.at[n].first) {
            eb_ir_remove(fn, fn->blocks.at[n].first);
            changed = true;
        }
    return changed;
}

/* The edges out of `block` leave from `heir` now. */
static void bequeath(eb_fn *fn, uint32_t block, uint32_t heir) {
    eb_block *from = &fn->blocks.at[block], *to = &fn->blocks.at[heir];
    to->succs.len = 0;
    for (uint32_t n = 0; n < from->succs.len; n++) {
        uint32_t succ = from->succs.at[n];
        *EB_PUSH(arena_of(fn), &to->succs) = succ;
        for (uint32_t p = 0; p < fn->blocks.at[succ].preds.len; p++)
            if (fn->blocks.at[succ].preds.at[p] == block)
                fn->blocks.at[succ].preds.at[p] = heir;
    }
    from->succs.len = 0;
}

uint32_t eb_block_split(eb_fn *fn, eb_value first) {
    uint32_t block = eb_ir_at(fn, first)->block, rest = eb_block_new(fn);
    for (eb_value v = first, next; v; v = next) {
        next = eb_ir_at(fn, v)->next;
        eb_ir_unlink(fn, v);
        eb_ir_append(fn, rest, v);
    }
    bequeath(fn, block, rest);
    return rest;
}

void eb_blocks_join(eb_fn *fn, uint32_t block, uint32_t next) {
    for (eb_value v = fn->blocks.at[next].first; eb_ir_at(fn, v)->op == EB_IR_PHI;) {
        eb_value phi = v, value = *eb_phi_at(fn, v, 0);
        v = eb_ir_at(fn, v)->next;
        eb_ir_become(fn, phi, value);
    }
    eb_ir_remove(fn, fn->blocks.at[block].last);
    for (eb_value v = fn->blocks.at[next].first, after; v; v = after) {
        after = eb_ir_at(fn, v)->next;
        eb_ir_unlink(fn, v);
        eb_ir_append(fn, block, v);
    }
    bequeath(fn, next, block);
    fn->blocks.at[next].preds.len = 0;
}
