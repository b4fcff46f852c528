/* order.c - where blocks stand: reverse postorder, so that most jumps lead forward; a loop's body
 * before what follows the loop, the branch taken before the other one as in the source, and what is
 * unlikely at the end. Blocks that nobody reaches are forgotten.
 *
 * The verifier looks at what stands next before it looks at where a branch leads, and what it knows
 * of a state it need not look at again is what was less special before. So `if (failed) n = 0; else
 * n += read();` goes on with the sum. */
#include "mach.h"

typedef struct walk {
    eb_mfn *mfn;
    uint32_t *stack, *next; /* next: successor to visit, from 1; 0: not seen */
    uint32_t depth, at;
    uint32_t *order;
} walk;

/* A block of nothing but moves on one way to where two ways meet. */
static bool is_edge(const eb_mblock *block) {
    for (uint32_t i = 0; i + 1 < block->code.len; i++)
        if (block->code.at[i].kind != EB_M_COPY && block->code.at[i].kind != EB_M_CONST)
            return false;
    return block->preds.len == 1 && block->succs.len == 1;
}

/* The nth successor to visit: the one visited last stands next to the block. */
static uint32_t visited(const eb_mfn *mfn, const eb_mblock *block, uint32_t nth) {
    uint32_t count = block->succs.len;
    if (count != 2)
        return block->succs.at[count - 1 - nth];
    uint32_t taken = block->succs.at[0], other = block->succs.at[1];
    const eb_mblock *t = &mfn->blocks.at[taken], *o = &mfn->blocks.at[other];
    bool swap = t->cold != o->cold     ? t->cold
                : t->depth != o->depth ? t->depth < o->depth
                                       : is_edge(t) && !is_edge(o);
    return (nth == 0) == swap ? taken : other;
}

static void postorder(walk *w) {
    w->stack[w->depth++] = 1;
    w->next[1] = 1;
    while (w->depth) {
        uint32_t top = w->stack[w->depth - 1];
        const eb_mblock *block = &w->mfn->blocks.at[top];
        if (w->next[top] > block->succs.len) {
            w->order[--w->at] = top;
            w->depth--;
            continue;
        }
        uint32_t succ = visited(w->mfn, block, w->next[top]++ - 1);
        if (!w->next[succ]) {
            w->next[succ] = 1;
            w->stack[w->depth++] = succ;
        }
    }
}

static void drop_unreached(walk *w) {
    for (uint32_t n = 1; n < w->mfn->blocks.len; n++) {
        eb_mblock *block = &w->mfn->blocks.at[n];
        uint32_t kept = 0;
        for (uint32_t p = 0; p < block->preds.len; p++)
            if (w->next[block->preds.at[p]])
                block->preds.at[kept++] = block->preds.at[p];
        block->preds.len = kept;
    }
}

/* What is only reached from cold blocks is cold. */
static void spread_cold(eb_mfn *mfn) {
    for (uint32_t n = 1; n < mfn->order.len; n++) {
        eb_mblock *block = &mfn->blocks.at[mfn->order.at[n]];
        bool cold = block->preds.len > 0;
        for (uint32_t p = 0; p < block->preds.len; p++)
            cold &= mfn->blocks.at[block->preds.at[p]].cold;
        block->cold |= cold;
    }
}

void eb_gen_order(eb_mfn *mfn) {
    eb_arena *arena = &mfn->ctx->scratch;
    uint32_t total = mfn->blocks.len;
    walk w = {.mfn = mfn, .at = total};
    w.stack = eb_alloc_array(arena, total, sizeof *w.stack);
    w.next = eb_alloc_array(arena, total, sizeof *w.next);
    w.order = eb_alloc_array(arena, total, sizeof *w.order);
    postorder(&w);
    drop_unreached(&w);
    mfn->order.len = 0;
    for (uint32_t n = w.at; n < total; n++)
        *EB_PUSH(arena, &mfn->order) = w.order[n];
    spread_cold(mfn);
    mfn->order.len = 0;
    for (unsigned cold = 0; cold < 2; cold++)
        for (uint32_t n = w.at; n < total; n++)
            if (mfn->blocks.at[w.order[n]].cold == (cold == 1))
                *EB_PUSH(arena, &mfn->order) = w.order[n];
}
