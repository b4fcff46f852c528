/* cfg.h - what passes ask about a function's graph and values, and how they change it.
 *
 * Scratch arrays live in eb_scratch(fn), which pass.c empties behind each pass: nothing there may
 * be kept, and nothing of the function may be put there. */
#ifndef EB_CFG_H
#define EB_CFG_H

#include "blocks.h"

static inline eb_arena *eb_scratch(const eb_fn *fn) {
    return &fn->unit->ctx->scratch;
}

/* ---- blocks ---- */

/* Takes out the blocks that the entry does not reach, then fills in what blocks say about order,
 * dominators and loops, and fn->rpo. It is right until edges or blocks change. */
void eb_cfg_build(eb_fn *fn);
/* The same without taking blocks out; those not reached have order 0. */
void eb_cfg_analyse(eb_fn *fn);

/* Whether block `a` dominates `b`, both reached; a block dominates itself. */
static inline bool eb_dominates(const eb_fn *fn, uint32_t a, uint32_t b) {
    const eb_block *x = &fn->blocks.at[a], *y = &fn->blocks.at[b];
    return x->enter <= y->enter && y->leave <= x->leave;
}

/* The nearest block that dominates both. */
uint32_t eb_block_meet(const eb_fn *fn, uint32_t a, uint32_t b);

/* A new block on edge number `nth` of `from`'s successors: nothing but a jump. */
uint32_t eb_edge_split(eb_fn *fn, uint32_t from, uint32_t nth);

/* The numbers of all edges among the predecessors of where they lead, for who asks for many of
 * them; right until edges change. */
typedef struct eb_edges {
    uint32_t *first; /* by block: of its successors in `index` */
    uint32_t *index;
} eb_edges;
eb_edges eb_edges_build(const eb_fn *fn);
static inline uint32_t eb_edges_at(const eb_edges *edges, uint32_t from, uint32_t succ) {
    return edges->index[edges->first[from] + succ];
}

/* ---- values ---- */

/* Who uses a value: users[start[v]] up to users[start[v + 1]], an instruction as often as it uses
 * it, in the order of their numbers. */
typedef struct eb_users {
    uint32_t *start;
    eb_value *users;
} eb_users;
eb_users eb_uses_build(eb_fn *fn);
/* How often each value is used. */
uint32_t *eb_uses_count(eb_fn *fn);

/* Zeroed, one for each value that there is now. */
eb_value *eb_value_map(const eb_fn *fn);

#endif
