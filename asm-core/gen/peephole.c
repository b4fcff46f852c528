/* peephole.c - what a register holds already need not be put there again.
 *
 * Walking a block, each register and each spilled slot has the number of the value in it; values
 * that are constants or addresses are known as such. A copy, constant, address or reload that
 * changes nothing goes; one that another register has becomes a copy where that is shorter; what
 * reads a copy reads its source, so that the copy may be dead (flow.c). A block that one other
 * leads to goes on with what that one knew, and with what its branch has found out. */
#include "mach.h"

typedef struct known { /* of a value */
    uint8_t kind;      /* EB_M_CONST, EB_M_SYMBOL, EB_M_FRAME, or 0 */
    bool clean;        /* its upper 32 bits are 0, and the verifier knows */
    uint32_t what;     /* symbol or slot */
    int64_t imm;
} known;

enum { SLOTS_MOST = 64, REGISTERS = EB_R10 + 1 };

typedef struct state {
    uint32_t reg[REGISTERS];
    uint32_t slot[SLOTS_MOST]; /* of spilled registers, by their order among these; 0 unknown */
} state;

typedef struct pass {
    eb_mfn *mfn;
    eb_arena *arena;
    EB_VEC(known) values; /* [0] is none */
    state now;
    state **ends;    /* by block: at its end, when it is done */
    uint32_t *spill; /* by slot: 1 + its number in states, or 0 */
} pass;

static uint32_t new_value(pass *p, known k) {
    *EB_PUSH(p->arena, &p->values) = k;
    return p->values.len - 1;
}

static void set_unknown(pass *p, unsigned reg, bool clean) {
    p->now.reg[reg] = new_value(p, (known){.clean = clean});
}

static bool same(const known *a, const known *b) {
    return a->kind && a->kind == b->kind && a->what == b->what && a->imm == b->imm;
}

/* ---- one instruction ---- */

static void take_out(eb_mi *mi) {
    mi->kind = EB_M_NONE;
}

static void become_copy(eb_mi *mi, unsigned src) {
    mi->kind = EB_M_COPY;
    mi->src = src;
    mi->slot = 0;
    mi->extra = 0;
}

/* Some register with a value, or EB_REG_NO. */
static unsigned holder(const pass *p, uint32_t value) {
    for (unsigned r = 0; r < EB_REGS; r++)
        if (p->now.reg[r] == value)
            return r;
    return EB_REG_NO;
}

static void copy(pass *p, eb_mi *mi) {
    uint32_t value = p->now.reg[mi->src];
    if (p->now.reg[mi->dst] == value)
        take_out(mi);
    p->now.reg[mi->dst] = value;
}

static void make(pass *p, eb_mi *mi) {
    known k = {.kind = mi->kind, .imm = mi->imm};
    if (mi->kind == EB_M_CONST)
        k.clean = mi->imm >= 0 && mi->imm <= UINT32_MAX;
    if (mi->kind == EB_M_SYMBOL)
        k.what = mi->extra;
    if (mi->kind == EB_M_FRAME) {
        k.what = mi->slot;
        k.imm = mi->off;
    }
    if (mi->core)
        k = (known){0};
    for (unsigned r = 0; r < EB_REGS && k.kind; r++) {
        uint32_t value = p->now.reg[r];
        if (!same(&p->values.at[value], &k))
            continue;
        if (p->now.reg[mi->dst] == value)
            take_out(mi);
        else if (eb_m_slots(mi) > 1)
            become_copy(mi, r);
        p->now.reg[mi->dst] = value;
        return;
    }
    p->now.reg[mi->dst] = new_value(p, k);
}

static uint32_t *spilled(pass *p, const eb_mi *mi) {
    uint32_t number = mi->slot && !mi->off ? p->spill[mi->slot - 1] : 0;
    return number ? &p->now.slot[number - 1] : NULL;
}

static void reload(pass *p, eb_mi *mi, uint32_t *slot) {
    if (!*slot)
        *slot = new_value(p, (known){0});
    unsigned from = holder(p, *slot);
    if (p->now.reg[mi->dst] == *slot)
        take_out(mi);
    else if (from != EB_REG_NO)
        become_copy(mi, from);
    p->now.reg[mi->dst] = *slot;
}

/* dst = (u32)src: nothing or a copy, where the upper half is clear. */
static void zero_upper(pass *p, eb_mi *mi) {
    uint32_t value = p->now.reg[mi->src];
    if (!p->values.at[value].clean) {
        set_unknown(p, mi->dst, true);
        return;
    }
    become_copy(mi, mi->src);
    copy(p, mi);
}

static bool is_zero_upper(const eb_mi *mi) {
    return mi->code == (EB_C_ALU32 | EB_C_MOV | EB_C_REG) && !mi->off;
}

/* Whether a 32-bit operation or load leaves what the verifier knows to be 32 bits. */
static bool leaves_clean(const eb_mi *mi) {
    enum { DIV = 0x30, MOD = 0x90 };
    unsigned class = mi->code & 7, op = mi->code & 0xf0;
    if (class == 1)
        return (mi->code & 0xe0) == 0x60 && (mi->code & 0x18) != EB_C_DW;
    return class == 4 && op != DIV && op != MOD && op != EB_C_END;
}

static void plain(pass *p, eb_mi *mi) {
    unsigned class = mi->code & 7;
    uint32_t *slot = spilled(p, mi);
    if (slot && mi->code == (EB_C_LDX | EB_C_DW)) {
        reload(p, mi, slot);
    } else if (slot && mi->code == (EB_C_STX | EB_C_DW)) {
        if (*slot == p->now.reg[mi->src])
            take_out(mi);
        *slot = p->now.reg[mi->src];
    } else if (is_zero_upper(mi)) {
        zero_upper(p, mi);
    } else if (class == 3 || class == 2) {
        eb_ref refs[EB_REFS_MOST];
        unsigned count = eb_m_refs(p->mfn, mi, refs);
        for (unsigned r = 0; r < count; r++)
            if (refs[r].def)
                set_unknown(p, *refs[r].reg, false);
        if (eb_m_writes(p->mfn, mi))
            set_unknown(p, 0, false);
    } else {
        set_unknown(p, mi->dst, leaves_clean(mi));
    }
}

static void forget(pass *p, const eb_mi *mi) {
    uint16_t writes = eb_m_writes(p->mfn, mi);
    for (unsigned r = 0; r < EB_REGS; r++)
        if (writes >> r & 1)
            set_unknown(p, r, false);
}

/* What it reads, from the register that a copy was made of. */
static void read_sources(pass *p, eb_mi *mi, const unsigned *source) {
    eb_ref refs[EB_REFS_MOST];
    if (mi->kind == EB_M_ASM || mi->kind == EB_M_GOTO)
        return; /* operands may be tied */
    unsigned count = eb_m_refs(p->mfn, mi, refs);
    for (unsigned r = 0; r < count; r++) {
        unsigned reg = *refs[r].reg;
        if (reg >= EB_REGS || !refs[r].use || refs[r].def)
            continue;
        unsigned from = source[reg];
        for (unsigned d = 0; d < count; d++) /* written before it is read */
            if (refs[d].early && *refs[d].reg == from)
                from = EB_REG_NO;
        if (from != EB_REG_NO && p->now.reg[from] == p->now.reg[reg])
            *refs[r].reg = from;
    }
}

static void step(pass *p, eb_mi *mi, unsigned *source) {
    read_sources(p, mi, source);
    uint32_t dst = mi->dst, src = mi->src;
    bool copies = mi->kind == EB_M_COPY;
    switch (mi->kind) {
    case EB_M_COPY:
        copy(p, mi);
        break;
    case EB_M_CONST:
    case EB_M_SYMBOL:
    case EB_M_FRAME:
        make(p, mi);
        break;
    case EB_M_INSN:
        plain(p, mi);
        break;
    case EB_M_SET:
        set_unknown(p, mi->dst, true);
        break;
    case EB_M_ASM:
    case EB_M_GOTO: {
        eb_ref refs[EB_REFS_MOST];
        unsigned count = eb_m_refs(p->mfn, mi, refs);
        for (unsigned r = 0; r < count; r++)
            if (refs[r].def && *refs[r].reg < EB_REGS)
                set_unknown(p, *refs[r].reg, false);
        forget(p, mi);
        break;
    }
    default:
        forget(p, mi);
    }
    if (copies && mi->kind == EB_M_COPY && dst < EB_REGS)
        source[dst] = src;
}

/* ---- blocks ---- */

/* Behind `if r == constant` r is that, where the branch says so. */
static void learn(pass *p, uint32_t from, uint32_t block) {
    const eb_mblock *pred = &p->mfn->blocks.at[from];
    const eb_mi *last = pred->code.len ? &pred->code.at[pred->code.len - 1] : NULL;
    if (!last || last->kind != EB_M_BRANCH || last->src != EB_REG_NO || last->imm ||
        pred->succs.at[0] == pred->succs.at[1] || last->dst >= EB_REGS)
        return;
    uint32_t value = p->now.reg[last->dst];
    bool taken = pred->succs.at[0] == block;
    if (last->cond != (taken ? EB_COND_EQ : EB_COND_NE) ||
        (last->narrow && !p->values.at[value].clean))
        return;
    uint32_t zero = new_value(p, (known){.kind = EB_M_CONST, .clean = true});
    for (unsigned r = 0; r < EB_REGS; r++)
        if (p->now.reg[r] == value)
            p->now.reg[r] = zero;
}

static void enter(pass *p, uint32_t block) {
    const eb_mblock *b = &p->mfn->blocks.at[block];
    if (b->preds.len == 1 && p->ends[b->preds.at[0]]) {
        p->now = *p->ends[b->preds.at[0]];
        learn(p, b->preds.at[0], block);
        return;
    }
    p->now = (state){0};
    for (unsigned r = 0; r < REGISTERS; r++)
        set_unknown(p, r, false);
}

static void walk(pass *p, uint32_t number) {
    eb_mblock *block = &p->mfn->blocks.at[number];
    unsigned source[EB_REGS];
    for (unsigned r = 0; r < EB_REGS; r++)
        source[r] = EB_REG_NO;
    enter(p, number);
    for (uint32_t i = 0; i < block->code.len; i++)
        step(p, &block->code.at[i], source);
    p->ends[number] = eb_alloc(p->arena, sizeof(state));
    *p->ends[number] = p->now;
}

void eb_gen_peephole(eb_mfn *mfn) {
    pass p = {.mfn = mfn, .arena = &mfn->ctx->scratch};
    (void)EB_PUSH(p.arena, &p.values);
    p.ends = eb_alloc_array(p.arena, mfn->blocks.len, sizeof *p.ends);
    p.spill = eb_alloc_array(p.arena, mfn->slots.len + 1, sizeof *p.spill);
    for (uint32_t n = 0, count = 0; n < mfn->slots.len && count < SLOTS_MOST; n++)
        if (mfn->slots.at[n].spill)
            p.spill[n] = ++count;
    for (uint32_t n = 0; n < mfn->order.len; n++)
        walk(&p, mfn->order.at[n]);
}
