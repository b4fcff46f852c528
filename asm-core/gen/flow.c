/* flow.c - the graph of blocks when registers are real: instructions that nobody needs, blocks that
 * are empty, twice there, or better before the branch to them.
 *
 * Which registers are read on the way from a block is a mask of bits, found by walking backwards
 * until nothing changes. */
#include "mach.h"

typedef struct flow {
    eb_mfn *mfn;
    eb_arena *arena;
    uint16_t *in;    /* by block: registers that are read before they are written */
    uint32_t *loads; /* by slot: how often a spilled register is loaded */
    bool changed;
} flow;

/* ---- liveness ---- */

static uint16_t bit(uint32_t reg) {
    return (uint16_t)(reg < EB_REGS ? 1u << reg : 0);
}

static uint16_t before(const flow *f, eb_mi *mi, uint16_t live) {
    eb_ref refs[EB_REFS_MOST];
    unsigned count = eb_m_refs(f->mfn, mi, refs);
    uint16_t reads = eb_m_reads(f->mfn, mi), writes = eb_m_writes(f->mfn, mi);
    for (unsigned r = 0; r < count; r++) {
        reads |= refs[r].use ? bit(*refs[r].reg) : 0;
        writes |= refs[r].def ? bit(*refs[r].reg) : 0;
    }
    return (uint16_t)((live & ~writes) | reads);
}

static uint16_t live_out(const flow *f, const eb_mblock *block) {
    uint16_t live = 0;
    for (uint32_t s = 0; s < block->succs.len; s++)
        live |= f->in[block->succs.at[s]];
    return live;
}

static void find_live(flow *f) {
    for (uint32_t n = 0; n < f->mfn->blocks.len; n++)
        f->in[n] = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t n = f->mfn->order.len; n-- > 0;) {
            uint32_t number = f->mfn->order.at[n];
            eb_mblock *block = &f->mfn->blocks.at[number];
            uint16_t live = live_out(f, block);
            for (uint32_t i = block->code.len; i-- > 0;)
                live = before(f, &block->code.at[i], live);
            changed |= live != f->in[number];
            f->in[number] = live;
        }
    }
}

/* ---- what nobody needs ---- */

static bool is_spill_access(const flow *f, const eb_mi *mi, unsigned code) {
    return mi->kind == EB_M_INSN && mi->code == code && mi->slot && !mi->off &&
           f->mfn->slots.at[mi->slot - 1].spill;
}

static bool is_pure(const flow *f, const eb_mi *mi) {
    switch (mi->kind) {
    case EB_M_COPY:
    case EB_M_CONST:
    case EB_M_SYMBOL:
    case EB_M_FRAME:
    case EB_M_SET:
        return true;
    case EB_M_INSN:
        return (mi->code & 7) == 4 || (mi->code & 7) == 7 ||
               is_spill_access(f, mi, EB_C_LDX | EB_C_DW);
    default:
        return false;
    }
}

static void count_loads(flow *f) {
    for (uint32_t n = 0; n < f->mfn->slots.len; n++)
        f->loads[n] = 0;
    for (uint32_t n = 0; n < f->mfn->order.len; n++) {
        const eb_mblock *block = &f->mfn->blocks.at[f->mfn->order.at[n]];
        for (uint32_t i = 0; i < block->code.len; i++)
            if (is_spill_access(f, &block->code.at[i], EB_C_LDX | EB_C_DW))
                f->loads[block->code.at[i].slot - 1]++;
    }
}

static void drop_dead(flow *f) {
    count_loads(f);
    for (uint32_t n = 0; n < f->mfn->order.len; n++) {
        eb_mblock *block = &f->mfn->blocks.at[f->mfn->order.at[n]];
        uint16_t live = live_out(f, block);
        uint32_t to = block->code.len;
        for (uint32_t i = block->code.len; i-- > 0;) {
            eb_mi mi = block->code.at[i];
            bool dead = mi.kind == EB_M_NONE || (is_pure(f, &mi) && !(live & bit(mi.dst))) ||
                        (is_spill_access(f, &mi, EB_C_STX | EB_C_DW) && !f->loads[mi.slot - 1]);
            if (dead) {
                f->changed |= mi.kind != EB_M_NONE;
                continue;
            }
            live = before(f, &mi, live);
            block->code.at[--to] = mi;
        }
        for (uint32_t i = to; i < block->code.len; i++)
            block->code.at[i - to] = block->code.at[i];
        block->code.len -= to;
    }
}

/* ---- edges ---- */

static void add_pred(flow *f, uint32_t block, uint32_t pred) {
    *EB_PUSH(f->arena, &f->mfn->blocks.at[block].preds) = pred;
}

/* Predecessors of what the entry reaches, and the order without the rest. */
static void rebuild(flow *f) {
    eb_mfn *mfn = f->mfn;
    bool *seen = eb_alloc_array(f->arena, mfn->blocks.len, sizeof *seen);
    uint32_t *stack = eb_alloc_array(f->arena, mfn->blocks.len + 1, sizeof *stack), depth = 0;
    for (uint32_t n = 0; n < mfn->blocks.len; n++)
        mfn->blocks.at[n].preds.len = 0;
    stack[depth++] = 1;
    seen[1] = true;
    while (depth) {
        uint32_t number = stack[--depth];
        for (uint32_t s = 0; s < mfn->blocks.at[number].succs.len; s++) {
            uint32_t succ = mfn->blocks.at[number].succs.at[s];
            add_pred(f, succ, number);
            if (!seen[succ]) {
                seen[succ] = true;
                stack[depth++] = succ;
            }
        }
    }
    uint32_t kept = 0;
    for (uint32_t n = 0; n < mfn->order.len; n++)
        if (seen[mfn->order.at[n]])
            mfn->order.at[kept++] = mfn->order.at[n];
    mfn->order.len = kept;
}

static const eb_mi *end_of(const eb_mblock *block) {
    return block->code.len ? &block->code.at[block->code.len - 1] : NULL;
}

static bool ends_in(const eb_mblock *block, eb_m_kind kind) {
    const eb_mi *last = end_of(block);
    return last && last->kind == kind;
}

/* Where a jump to `block` leads to in the end. */
static uint32_t final_target(const eb_mfn *mfn, uint32_t block) {
    for (uint32_t steps = 0; steps < mfn->blocks.len; steps++) {
        const eb_mblock *b = &mfn->blocks.at[block];
        if (b->code.len != 1 || b->code.at[0].kind != EB_M_JUMP || b->succs.at[0] == block)
            break;
        block = b->succs.at[0];
    }
    return block;
}

/* A branch both of whose ways are one is none; a jump to an exit is one. */
static void simplify_end(flow *f, eb_mblock *block) {
    eb_mi *last = &block->code.at[block->code.len - 1];
    if (last->kind == EB_M_BRANCH && block->succs.at[0] == block->succs.at[1]) {
        *last = (eb_mi){.kind = EB_M_JUMP,
                        .dst = EB_REG_NO,
                        .src = EB_REG_NO,
                        .src2 = EB_REG_NO,
                        .loc = last->loc};
        block->succs.len = 1;
        f->changed = true;
    }
    if (last->kind != EB_M_JUMP)
        return;
    const eb_mblock *target = &f->mfn->blocks.at[block->succs.at[0]];
    if (target->code.len == 1 && target->code.at[0].kind == EB_M_EXIT) {
        *last = target->code.at[0];
        block->succs.len = 0;
        f->changed = true;
    }
}

static void thread_jumps(flow *f) {
    for (uint32_t n = 0; n < f->mfn->order.len; n++) {
        eb_mblock *block = &f->mfn->blocks.at[f->mfn->order.at[n]];
        for (uint32_t s = 0; s < block->succs.len; s++) {
            uint32_t to = final_target(f->mfn, block->succs.at[s]);
            f->changed |= to != block->succs.at[s];
            block->succs.at[s] = to;
        }
        if (block->code.len)
            simplify_end(f, block);
    }
}

/* A jump to a block that nothing else leads to: they are one. */
static void join(flow *f) {
    for (uint32_t n = 0; n < f->mfn->order.len; n++) {
        uint32_t number = f->mfn->order.at[n];
        for (;;) {
            eb_mblock *block = &f->mfn->blocks.at[number];
            if (!ends_in(block, EB_M_JUMP))
                break;
            uint32_t to = block->succs.at[0];
            eb_mblock *next = &f->mfn->blocks.at[to];
            if (to == number || to == 1 || next->preds.len != 1)
                break;
            block->code.len--;
            for (uint32_t i = 0; i < next->code.len; i++)
                *EB_PUSH(f->arena, &block->code) = next->code.at[i];
            block->succs.len = 0;
            for (uint32_t s = 0; s < next->succs.len; s++)
                *EB_PUSH(f->arena, &block->succs) = next->succs.at[s];
            for (uint32_t s = 0; s < block->succs.len; s++) {
                eb_mblock *succ = &f->mfn->blocks.at[block->succs.at[s]];
                for (uint32_t p = 0; p < succ->preds.len; p++)
                    if (succ->preds.at[p] == to)
                        succ->preds.at[p] = number;
            }
            next->code.len = next->succs.len = next->preds.len = 0;
            f->changed = true;
        }
    }
}

/* ---- blocks that are the same ---- */

static bool same_insn(const eb_mi *a, const eb_mi *b) {
    return a->kind == b->kind && a->code == b->code && a->cond == b->cond &&
           a->narrow == b->narrow && a->dst == b->dst && a->src == b->src && a->src2 == b->src2 &&
           a->off == b->off && a->slot == b->slot && a->core == b->core && a->extra == b->extra &&
           a->args == b->args && a->imm == b->imm && a->kind != EB_M_ASM && a->kind != EB_M_GOTO;
}

static uint32_t hash_of(const eb_mblock *block) {
    uint32_t hash = EB_HASH_START;
    for (uint32_t i = 0; i < block->code.len; i++) {
        const eb_mi *mi = &block->code.at[i];
        hash = EB_HASH_STEP(hash, mi->kind ^ mi->dst << 4);
        hash = EB_HASH_STEP(hash, mi->code ^ mi->src << 4);
        hash = EB_HASH_STEP(hash, (uint32_t)mi->imm ^ (uint32_t)mi->off ^ mi->extra);
    }
    for (uint32_t s = 0; s < block->succs.len; s++)
        hash = EB_HASH_STEP(EB_HASH_STEP(hash, block->succs.at[s]), block->succs.at[s] >> 8);
    return hash;
}

static bool same_block(const eb_mblock *a, const eb_mblock *b) {
    if (a->code.len != b->code.len || a->succs.len != b->succs.len)
        return false;
    for (uint32_t i = 0; i < a->code.len; i++)
        if (!same_insn(&a->code.at[i], &b->code.at[i]))
            return false;
    for (uint32_t s = 0; s < a->succs.len; s++)
        if (a->succs.at[s] != b->succs.at[s])
            return false;
    return true;
}

/* Blocks with equal instructions and successors become one; only short ones, whose joining costs
 * the verifier nothing that it would know otherwise. */
static void merge_equal(flow *f) {
    enum { LONGEST = 4 };
    eb_mfn *mfn = f->mfn;
    uint32_t mask = 15;
    while (mask < mfn->order.len)
        mask = mask * 2 + 1;
    uint32_t *table = eb_alloc_array(f->arena, (size_t)mask + 1, sizeof *table);
    uint32_t *instead = eb_alloc_array(f->arena, mfn->blocks.len, sizeof *instead);
    for (uint32_t n = 0; n < mfn->order.len; n++) {
        uint32_t number = mfn->order.at[n];
        const eb_mblock *block = &mfn->blocks.at[number];
        if (number == 1 || !block->code.len || block->code.len > LONGEST)
            continue;
        uint32_t at = hash_of(block) & mask;
        while (table[at] && !same_block(&mfn->blocks.at[table[at]], block))
            at = (at + 1) & mask;
        if (table[at])
            instead[number] = table[at];
        else
            table[at] = number;
    }
    for (uint32_t n = 0; n < mfn->order.len; n++) {
        eb_mblock *block = &mfn->blocks.at[mfn->order.at[n]];
        for (uint32_t s = 0; s < block->succs.len; s++)
            if (instead[block->succs.at[s]]) {
                block->succs.at[s] = instead[block->succs.at[s]];
                f->changed = true;
            }
    }
}

/* ---- before the branch ---- */

/* A block that sets one register and jumps, reached by one branch only: the instruction may stand
 * before the branch, if nothing there minds; then the jump is for nothing. */
static void hoist(flow *f) {
    for (uint32_t n = 0; n < f->mfn->order.len; n++) {
        eb_mblock *block = &f->mfn->blocks.at[f->mfn->order.at[n]];
        if (block->code.len != 2 || !ends_in(block, EB_M_JUMP) || block->preds.len != 1)
            continue;
        const eb_mi mi = block->code.at[0];
        eb_mblock *pred = &f->mfn->blocks.at[block->preds.at[0]];
        bool moves = mi.kind == EB_M_CONST || mi.kind == EB_M_COPY;
        if (!moves || pred == block || !ends_in(pred, EB_M_BRANCH) || mi.core ||
            pred->succs.at[0] == pred->succs.at[1] || eb_m_slots(&mi) > 1)
            continue;
        eb_mi *branch = &pred->code.at[pred->code.len - 1];
        uint32_t other = pred->succs.at[&f->mfn->blocks.at[pred->succs.at[0]] == block];
        if ((f->in[other] & bit(mi.dst)) || branch->dst == mi.dst || branch->src == mi.dst)
            continue;
        eb_mi moved = *branch;
        *branch = mi;
        *EB_PUSH(f->arena, &pred->code) = moved;
        block->code.at[0] = block->code.at[1];
        block->code.len = 1;
        f->in[f->mfn->order.at[n]] |= bit(mi.dst);
        f->changed = true;
    }
}

void eb_gen_flow(eb_mfn *mfn) {
    enum { ROUNDS = 8 };
    flow f = {.mfn = mfn, .arena = &mfn->ctx->scratch};
    f.in = eb_alloc_array(f.arena, mfn->blocks.len, sizeof *f.in);
    f.loads = eb_alloc_array(f.arena, mfn->slots.len + 1, sizeof *f.loads);
    for (unsigned round = 0; round < ROUNDS; round++) {
        f.changed = false;
        find_live(&f);
        drop_dead(&f);
        thread_jumps(&f);
        merge_equal(&f);
        rebuild(&f);
        find_live(&f);
        hoist(&f);
        thread_jumps(&f);
        rebuild(&f);
        join(&f);
        rebuild(&f);
        if (!f.changed)
            break;
    }
}
