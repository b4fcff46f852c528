/* tails.c - blocks that end alike share their end: it stands once, and the others jump there.
 *
 * It works on real registers and places in the frame, so that copies of an inlined function, whose
 * variables are different slots at the same place, are alike. Where the verifier remembers for an
 * instruction what kind of pointer it met (accesses by way of a register) or which map (calls),
 * both must come from one place in the source: then they most likely meet the same. */
#include "mach.h"

enum {
    LEAST = 2,      /* slots that are saved by a jump of one */
    TRIED_MOST = 32 /* earlier blocks of the same end that are compared */
};

typedef struct tails {
    eb_mfn *mfn;
    eb_arena *arena;
    uint32_t *table, mask; /* by hash of an end: the last block that ends so, or 0 */
    EB_VEC(uint32_t) next; /* by block: the one before it in the same place of the table */
    EB_VEC(uint32_t) order;
    bool changed;
} tails;

static eb_mblock *block_at(const tails *t, uint32_t number) {
    return &t->mfn->blocks.at[number];
}

static int32_t place_of(const tails *t, const eb_mi *mi) {
    return mi->slot ? mi->off + t->mfn->slots.at[mi->slot - 1].offset : mi->off;
}

static bool same_core(const tails *t, uint32_t a, uint32_t b) {
    const eb_ir_core *x = &t->mfn->unit->cores.at[a], *y = &t->mfn->unit->cores.at[b];
    return a == b || (a && b && x->kind == y->kind && x->type == y->type && x->value == y->value &&
                      eb_str_eq(x->access, y->access));
}

/* Memory that is not in the frame, or a call. */
static bool is_typed(const eb_mi *mi) {
    unsigned class = mi->code & 7;
    return eb_m_is_call(mi) || (mi->kind == EB_M_INSN && class <= 3 && !mi->slot);
}

static bool same_insn(const tails *t, const eb_mi *a, const eb_mi *b) {
    return a->kind == b->kind && a->code == b->code && a->cond == b->cond &&
           a->narrow == b->narrow && a->dst == b->dst && a->src == b->src && a->src2 == b->src2 &&
           place_of(t, a) == place_of(t, b) && !a->slot == !b->slot &&
           same_core(t, a->core, b->core) && a->extra == b->extra && a->args == b->args &&
           a->imm == b->imm && a->kind != EB_M_ASM && a->kind != EB_M_GOTO &&
           (!is_typed(a) || a->loc == b->loc);
}

static const eb_mi *end_of(const eb_mblock *block) {
    return block->code.len ? &block->code.at[block->code.len - 1] : NULL;
}

static uint32_t hash_of(const eb_mblock *block) {
    const eb_mi *mi = end_of(block);
    uint32_t hash = EB_HASH_STEP(EB_HASH_START, mi->kind ^ mi->dst << 4);
    hash = EB_HASH_STEP(EB_HASH_STEP(hash, mi->src ^ (uint32_t)mi->cond << 4), (uint32_t)mi->imm);
    for (uint32_t s = 0; s < block->succs.len; s++)
        hash = EB_HASH_STEP(EB_HASH_STEP(hash, block->succs.at[s]), block->succs.at[s] >> 8);
    return hash;
}

static bool same_end(const tails *t, const eb_mblock *a, const eb_mblock *b) {
    if (a->succs.len != b->succs.len || !same_insn(t, end_of(a), end_of(b)))
        return false;
    for (uint32_t s = 0; s < a->succs.len; s++)
        if (a->succs.at[s] != b->succs.at[s])
            return false;
    return true;
}

/* How many instructions at the end of both are the same, and what they take in slots. */
static uint32_t common(const tails *t, const eb_mblock *a, const eb_mblock *b, unsigned *slots) {
    uint32_t n = 0;
    *slots = 0;
    while (n < a->code.len && n < b->code.len) {
        const eb_mi *x = &a->code.at[a->code.len - 1 - n], *y = &b->code.at[b->code.len - 1 - n];
        if (!same_insn(t, x, y))
            break;
        *slots += x->kind == EB_M_JUMP ? 0 : eb_m_slots(x);
        n++;
    }
    return n;
}

/* ---- the table ---- */

static void enter(tails *t, uint32_t number) {
    uint32_t *head = &t->table[hash_of(block_at(t, number)) & t->mask];
    t->next.at[number] = *head;
    *head = number;
}

/* The place in the table of the block that has most in common with `number`, or NULL. */
static uint32_t *best(tails *t, uint32_t number, uint32_t *count) {
    const eb_mblock *block = block_at(t, number);
    uint32_t *found = NULL, *at = &t->table[hash_of(block) & t->mask];
    unsigned most = LEAST - 1;
    for (unsigned tried = 0; *at && tried < TRIED_MOST; tried++, at = &t->next.at[*at]) {
        unsigned slots;
        const eb_mblock *other = block_at(t, *at);
        uint32_t same = same_end(t, block, other) ? common(t, block, other, &slots) : 0;
        if (same && slots > most) {
            most = slots;
            *count = same;
            found = at;
        }
    }
    return found;
}

/* ---- sharing ---- */

/* `number` without its last instructions goes on at `to`. */
static void cut(tails *t, uint32_t number, uint32_t count, uint32_t to) {
    eb_mblock *block = block_at(t, number);
    block->code.len -= count;
    eb_loc loc = block->code.at[block->code.len].loc;
    eb_mi *jump = EB_PUSH(t->arena, &block->code);
    *jump = (eb_mi){
        .kind = EB_M_JUMP, .dst = EB_REG_NO, .src = EB_REG_NO, .src2 = EB_REG_NO, .loc = loc};
    block->succs.len = 0;
    *EB_PUSH(t->arena, &block->succs) = to;
}

/* The last instructions of a block as one of their own, behind it. */
static uint32_t split(tails *t, uint32_t number, uint32_t count) {
    uint32_t made = t->mfn->blocks.len;
    (void)EB_PUSH(t->arena, &t->mfn->blocks);
    (void)EB_PUSH(t->arena, &t->next);
    eb_mblock *from = block_at(t, number), *to = block_at(t, made);
    to->depth = from->depth;
    to->cold = from->cold;
    for (uint32_t i = from->code.len - count; i < from->code.len; i++)
        *EB_PUSH(t->arena, &to->code) = from->code.at[i];
    for (uint32_t s = 0; s < from->succs.len; s++)
        *EB_PUSH(t->arena, &to->succs) = from->succs.at[s];
    cut(t, number, count, made);
    *EB_PUSH(t->arena, &t->order) = made;
    return made;
}

static void visit(tails *t, uint32_t number) {
    uint32_t count = 0;
    *EB_PUSH(t->arena, &t->order) = number;
    if (!end_of(block_at(t, number)))
        return;
    uint32_t *at = best(t, number, &count);
    if (at) {
        uint32_t other = *at;
        bool whole = number != 1 && count == block_at(t, number)->code.len;
        *at = t->next.at[other];
        number = whole ? number : split(t, number, count);
        cut(t, other, count, number);
        t->changed = true;
    }
    enter(t, number);
}

void eb_gen_tails(eb_mfn *mfn) {
    tails t = {.mfn = mfn, .arena = &mfn->ctx->scratch, .mask = 63};
    while (t.mask < mfn->order.len)
        t.mask = t.mask * 2 + 1;
    t.table = eb_alloc_array(t.arena, (size_t)t.mask + 1, sizeof *t.table);
    for (uint32_t n = 0; n < mfn->blocks.len; n++)
        (void)EB_PUSH(t.arena, &t.next);
    for (uint32_t n = 0; n < mfn->order.len; n++)
        visit(&t, mfn->order.at[n]);
    mfn->order.len = 0;
    for (uint32_t n = 0; n < t.order.len; n++)
        *EB_PUSH(t.arena, &mfn->order) = t.order.at[n];
    if (t.changed)
        eb_gen_flow(mfn);
}
