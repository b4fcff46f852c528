/* live.c - live ranges as lists of spans.
 *
 * For each register the instructions in which it stands are gathered in order; from its uses that
 * no definition in the same block precedes, liveness is followed backwards over the predecessors.
 * The work is what the ranges come to, not blocks times registers. */
#include "mach.h"

/* ---- numbering ---- */

static void number(eb_live *live) {
    eb_mfn *mfn = live->mfn;
    eb_arena *arena = &mfn->ctx->scratch;
    uint32_t count = 0;
    for (uint32_t n = 0; n < mfn->order.len; n++) {
        eb_mblock *block = &mfn->blocks.at[mfn->order.at[n]];
        block->begin = count;
        count += block->code.len;
        block->end = count;
    }
    live->count = count;
    live->at = eb_alloc_array(arena, count + 1, sizeof *live->at);
    live->block = eb_alloc_array(arena, count + 1, sizeof *live->block);
    for (uint32_t n = 0; n < mfn->order.len; n++) {
        eb_mblock *block = &mfn->blocks.at[mfn->order.at[n]];
        for (uint32_t k = 0; k < block->code.len; k++) {
            live->at[block->begin + k] = &block->code.at[k];
            live->block[block->begin + k] = mfn->order.at[n];
        }
    }
}

/* ---- occurrences ---- */

static void count_occs(eb_live *live) {
    eb_ref refs[EB_REFS_MOST];
    for (uint32_t i = 0; i < live->count; i++) {
        unsigned count = eb_m_refs(live->mfn, live->at[i], refs);
        for (unsigned r = 0; r < count; r++)
            live->ranges[*refs[r].reg].cap++;
    }
}

static void put_occ(eb_range *range, uint32_t at, const eb_ref *ref) {
    eb_occ *last = range->occ_count ? &range->occs[range->occ_count - 1] : NULL;
    if (!last || last->at != at) {
        last = &range->occs[range->occ_count++];
        *last = (eb_occ){.at = at};
    }
    last->use |= ref->use;
    last->def |= ref->def;
    last->early |= ref->early;
}

static void gather(eb_live *live) {
    eb_arena *arena = &live->mfn->ctx->scratch;
    eb_ref refs[EB_REFS_MOST];
    count_occs(live);
    size_t total = 0;
    for (uint32_t r = 0; r < live->mfn->regs; r++)
        total += live->ranges[r].cap;
    eb_occ *occs = eb_alloc_array(arena, total + 1, sizeof *occs);
    for (uint32_t r = 0; r < live->mfn->regs; r++) {
        live->ranges[r].occs = occs;
        occs += live->ranges[r].cap;
        live->ranges[r].cap = 0;
    }
    for (uint32_t i = 0; i < live->count; i++) {
        unsigned count = eb_m_refs(live->mfn, live->at[i], refs);
        for (unsigned r = 0; r < count; r++)
            put_occ(&live->ranges[*refs[r].reg], i, &refs[r]);
    }
}

/* ---- ranges ---- */

typedef struct flow {
    eb_live *live;
    uint32_t *in, *out, *defines; /* by block: the register of which it is so, the last */
    uint32_t *place;              /* by block: in the order */
    EB_VEC(uint32_t) work;
    uint32_t lo, hi; /* places of blocks that the register is in */
} flow;

static void reach(flow *f, uint32_t block) {
    uint32_t place = f->place[block];
    if (place < f->lo)
        f->lo = place;
    if (place > f->hi)
        f->hi = place;
}

static void live_into(flow *f, uint32_t reg, uint32_t block) {
    if (f->in[block] == reg)
        return;
    f->in[block] = reg;
    reach(f, block);
    const eb_mblock *b = &f->live->mfn->blocks.at[block];
    for (uint32_t p = 0; p < b->preds.len; p++) {
        uint32_t pred = b->preds.at[p];
        if (f->out[pred] == reg)
            continue;
        f->out[pred] = reg;
        reach(f, pred);
        if (f->defines[pred] != reg)
            *EB_PUSH(&f->live->mfn->ctx->scratch, &f->work) = pred;
    }
}

static void spread(flow *f, uint32_t reg) {
    const eb_range *range = &f->live->ranges[reg];
    uint32_t last = 0;
    for (uint32_t n = 0; n < range->occ_count; n++) {
        uint32_t block = f->live->block[range->occs[n].at];
        reach(f, block);
        if (range->occs[n].def)
            f->defines[block] = reg;
    }
    for (uint32_t n = 0; n < range->occ_count; n++) {
        uint32_t block = f->live->block[range->occs[n].at];
        if (block == last)
            continue;
        last = block; /* its first occurrence there */
        if (range->occs[n].use)
            live_into(f, reg, block);
    }
    while (f->work.len) {
        uint32_t block = f->work.at[--f->work.len];
        live_into(f, reg, block);
    }
}

static void put_span(eb_arena *arena, eb_range *range, uint32_t start, uint32_t end) {
    if (start >= end)
        return;
    if (range->count && range->spans[range->count - 1].end == start) {
        range->spans[range->count - 1].end = end;
        return;
    }
    if (range->count == range->cap)
        range->spans = eb_vec_room(arena, range->spans, sizeof *range->spans, &range->cap);
    range->spans[range->count++] = (eb_span){start, end};
}

/* The spans in one block; returns how many occurrences it has. */
static uint32_t spans_in(flow *f, uint32_t reg, uint32_t block, uint32_t first) {
    eb_range *range = &f->live->ranges[reg];
    eb_arena *arena = &f->live->mfn->ctx->scratch;
    const eb_mblock *b = &f->live->mfn->blocks.at[block];
    uint32_t start = 2 * b->begin, end = start, n = first; /* [start, end): nothing so far */
    for (; n < range->occ_count && range->occs[n].at < b->end; n++) {
        const eb_occ *occ = &range->occs[n];
        if (occ->use)
            end = 2 * occ->at + 1;
        if (occ->def && !occ->use) {
            put_span(arena, range, start, end);
            start = 2 * occ->at + !occ->early;
        }
        if (occ->def)
            end = 2 * occ->at + 2;
    }
    put_span(arena, range, start, f->out[block] == reg ? 2 * b->end : end);
    return n - first;
}

static void make_range(flow *f, uint32_t reg) {
    eb_mfn *mfn = f->live->mfn;
    f->lo = UINT32_MAX;
    f->hi = 0;
    spread(f, reg);
    uint32_t occ = 0;
    for (uint32_t place = f->lo; place <= f->hi; place++) {
        uint32_t block = mfn->order.at[place];
        const eb_range *range = &f->live->ranges[reg];
        bool here = occ < range->occ_count && range->occs[occ].at < mfn->blocks.at[block].end;
        if (here || f->in[block] == reg)
            occ += spans_in(f, reg, block, occ);
    }
}

void eb_live_make(eb_live *live, eb_mfn *mfn) {
    eb_arena *arena = &mfn->ctx->scratch;
    *live = (eb_live){.mfn = mfn};
    number(live);
    live->ranges = eb_alloc_array(arena, mfn->regs, sizeof *live->ranges);
    gather(live);
    flow f = {.live = live};
    f.in = eb_alloc_array(arena, mfn->blocks.len, sizeof *f.in);
    f.out = eb_alloc_array(arena, mfn->blocks.len, sizeof *f.out);
    f.defines = eb_alloc_array(arena, mfn->blocks.len, sizeof *f.defines);
    f.place = eb_alloc_array(arena, mfn->blocks.len, sizeof *f.place);
    for (uint32_t n = 0; n < mfn->order.len; n++)
        f.place[mfn->order.at[n]] = n;
    for (uint32_t reg = EB_VREG; reg < mfn->regs; reg++)
        if (live->ranges[reg].occ_count)
            make_range(&f, reg);
}
