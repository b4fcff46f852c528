/* allocate.c - a real register or a place in the frame for each virtual one.
 *
 * First copies are removed: two registers of which one is a copy of the other become one where
 * their ranges do not overlap. Then ranges are placed, the longest first: in the register that
 * copies suggest, in any that is free, or in one whose ranges there weigh less (uses, more in
 * loops, by length), which are placed anew. What finds none goes to the frame: it is loaded for
 * each stretch of a block without calls that uses it, and stored behind what changes it; constants
 * and addresses are made again instead. A stretch that finds no register is cut into single
 * instructions. Who occupies which register when is an array by time for each, so a question costs
 * the length of the range. The idea is LLVM's greedy allocator without its splitting.
 *
 * Calls write r0 to r5; r6 to r9 survive them. Arguments, results and clobbers are occupied by
 * nobody who could go. */
#include "mach.h"
#include "sort.h"

enum { FREE = 0, FIXED = 1 }; /* occupants; else the number of a register */
enum { WHOLE, STRETCH, SINGLE };

typedef struct areg {
    eb_range range;
    uint32_t into;   /* the register it has been merged into, or 0 */
    uint32_t member; /* the next of those merged into it, or 0 */
    uint32_t last;   /* the last of them */
    float cost;      /* uses, by how often they run */
    float weight;
    uint32_t length; /* time covered */
    uint8_t real, level;
    uint32_t slot;        /* 1 + the slot it is kept in, or 0 */
    const eb_mi *made;    /* how it is made again, or NULL */
    uint32_t load, store; /* 1 + the inserts that serve it, or 0 */
} areg;

typedef struct insert {
    eb_mi mi;
    uint32_t next; /* 1 + the next at that place */
} insert;

typedef struct spill_slot {
    uint32_t slot;
    EB_VEC(eb_span) spans; /* of those kept in it, sorted */
} spill_slot;

typedef struct alloc {
    eb_mfn *mfn;
    eb_arena *arena;
    eb_live live;
    EB_VEC(areg) regs;
    uint32_t *occupant[EB_REGS]; /* by time */
    uint32_t *calls;             /* calls before an instruction, by its number */
    EB_VEC(uint32_t) heap;       /* registers to place, the longest first */
    EB_VEC(insert) inserts;
    uint32_t *before, *after; /* by instruction: 1 + its first insert */
    EB_VEC(spill_slot) slots;
    bool failed;
} alloc;

static areg *reg_at(alloc *a, uint32_t reg) {
    return &a->regs.at[reg];
}

static uint32_t find(alloc *a, uint32_t reg) {
    while (a->regs.at[reg].into) {
        uint32_t up = a->regs.at[a->regs.at[reg].into].into;
        if (up)
            a->regs.at[reg].into = up;
        reg = a->regs.at[reg].into;
    }
    return reg;
}

/* How often an instruction runs, about. */
static float frequency(const alloc *a, uint32_t at) {
    enum { DEEPEST = 6 };
    const eb_mblock *block = &a->mfn->blocks.at[a->live.block[at]];
    float f = block->cold ? 0.1f : 1.0f;
    for (uint32_t n = 0; n < block->depth && n < DEEPEST; n++)
        f *= 10;
    return f;
}

/* ---- ranges ---- */

/* The first span that ends behind `time`. */
static uint32_t span_behind(const eb_range *range, uint32_t time) {
    uint32_t lo = 0, hi = range->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (range->spans[mid].end > time)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

static bool covers(const eb_range *range, uint32_t time) {
    uint32_t n = span_behind(range, time);
    return n < range->count && range->spans[n].start <= time;
}

static bool overlap(const eb_range *a, const eb_range *b) {
    if (a->count > b->count) {
        const eb_range *swap = a;
        a = b;
        b = swap;
    }
    for (uint32_t n = 0; n < a->count; n++) {
        uint32_t k = span_behind(b, a->spans[n].start);
        if (k < b->count && b->spans[k].start < a->spans[n].end)
            return true;
    }
    return false;
}

/* Add the spans of `b`, which do not overlap, to `a`. */
static void unite(alloc *s, eb_range *a, const eb_range *b) {
    while (a->cap < a->count + b->count)
        a->spans = eb_vec_room(s->arena, a->spans, sizeof *a->spans, &a->cap);
    uint32_t i = a->count, j = b->count, to = i + j;
    while (j) {
        bool from_a = i && a->spans[i - 1].start > b->spans[j - 1].start;
        a->spans[--to] = from_a ? a->spans[--i] : b->spans[--j];
    }
    a->count += b->count;
    uint32_t kept = 0;
    for (uint32_t n = 0; n < a->count; n++) {
        if (kept && a->spans[kept - 1].end == a->spans[n].start)
            a->spans[kept - 1].end = a->spans[n].end;
        else
            a->spans[kept++] = a->spans[n];
    }
    a->count = kept;
}

static uint32_t length_of(const eb_range *range) {
    uint32_t length = 0;
    for (uint32_t n = 0; n < range->count; n++)
        length += range->spans[n].end - range->spans[n].start;
    return length;
}

/* ---- copies ---- */

static void merge(alloc *a, uint32_t to, uint32_t from) {
    areg *t = reg_at(a, to), *f = reg_at(a, from);
    unite(a, &t->range, &f->range);
    f->into = to;
    reg_at(a, t->last)->member = from;
    t->last = f->last;
}

static void remove_copies(alloc *a, uint32_t depth) {
    for (uint32_t i = 0; i < a->live.count; i++) {
        eb_mi *mi = a->live.at[i];
        if (mi->kind != EB_M_COPY || mi->dst < EB_VREG || mi->src < EB_VREG ||
            a->mfn->blocks.at[a->live.block[i]].depth != depth)
            continue;
        uint32_t dst = find(a, mi->dst), src = find(a, mi->src);
        if (dst != src) {
            if (overlap(&reg_at(a, dst)->range, &reg_at(a, src)->range))
                continue;
            if (reg_at(a, dst)->range.count < reg_at(a, src)->range.count)
                merge(a, src, dst);
            else
                merge(a, dst, src);
        }
        mi->kind = EB_M_NONE;
    }
}

static void coalesce(alloc *a) {
    uint32_t deepest = 0;
    for (uint32_t n = 1; n < a->mfn->blocks.len; n++)
        if (a->mfn->blocks.at[n].depth > deepest)
            deepest = a->mfn->blocks.at[n].depth;
    for (uint32_t depth = deepest + 1; depth-- > 0;)
        remove_copies(a, depth);
}

/* ---- what is occupied by real registers ---- */

static void fix(alloc *a, unsigned reg, uint32_t start, uint32_t end) {
    for (uint32_t t = start; reg < EB_REGS && t < end; t++)
        a->occupant[reg][t] = FIXED;
}

/* One instruction, backwards: until[reg] is when the value that it reads was needed last. */
static void fix_insn(alloc *a, uint32_t i, uint32_t *until) {
    eb_ref refs[EB_REFS_MOST];
    eb_mi *mi = a->live.at[i];
    unsigned count = eb_m_refs(a->mfn, mi, refs);
    uint16_t reads = eb_m_reads(a->mfn, mi), writes = eb_m_writes(a->mfn, mi);
    uint16_t early = mi->kind == EB_M_ASM || mi->kind == EB_M_GOTO ? writes : 0;
    for (unsigned r = 0; r < count; r++) {
        if (*refs[r].reg >= EB_REGS)
            continue;
        reads |= (uint16_t)(refs[r].use << *refs[r].reg);
        writes |= (uint16_t)(refs[r].def << *refs[r].reg);
    }
    for (unsigned reg = 0; reg < EB_REGS; reg++) {
        if (writes >> reg & 1) {
            fix(a, reg, 2 * i + !(early >> reg & 1), until[reg] ? until[reg] : 2 * i + 2);
            until[reg] = 0;
        }
        if ((reads >> reg & 1) && !until[reg])
            until[reg] = 2 * i + 1;
    }
}

static void fix_all(alloc *a) {
    for (unsigned reg = 0; reg < EB_REGS; reg++)
        a->occupant[reg] =
            eb_alloc_array(a->arena, 2 * (size_t)a->live.count + 2, sizeof *a->occupant[reg]);
    for (uint32_t n = 0; n < a->mfn->order.len; n++) {
        const eb_mblock *block = &a->mfn->blocks.at[a->mfn->order.at[n]];
        uint32_t until[EB_REGS] = {0};
        for (uint32_t i = block->end; i-- > block->begin;)
            fix_insn(a, i, until);
        for (unsigned reg = 0; reg < EB_REGS; reg++)
            if (until[reg])
                fix(a, reg, 2 * block->begin, until[reg]);
    }
}

/* ---- the queue ---- */

static bool goes_before(alloc *a, uint32_t x, uint32_t y) {
    const areg *rx = reg_at(a, x), *ry = reg_at(a, y);
    return rx->length != ry->length ? rx->length > ry->length : x < y;
}

static void enqueue(alloc *a, uint32_t reg) {
    *EB_PUSH(a->arena, &a->heap) = reg;
    uint32_t at = a->heap.len - 1;
    while (at && goes_before(a, reg, a->heap.at[(at - 1) / 2])) {
        a->heap.at[at] = a->heap.at[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    a->heap.at[at] = reg;
}

static uint32_t dequeue(alloc *a) {
    uint32_t first = a->heap.at[0], reg = a->heap.at[--a->heap.len], at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= a->heap.len)
            break;
        if (child + 1 < a->heap.len && goes_before(a, a->heap.at[child + 1], a->heap.at[child]))
            child++;
        if (!goes_before(a, a->heap.at[child], reg))
            break;
        a->heap.at[at] = a->heap.at[child];
        at = child;
    }
    if (a->heap.len)
        a->heap.at[at] = reg;
    return first;
}

/* Length, cost and weight of a register, whose range and occurrences are set. What can be made
 * again costs less than what has to be kept. */
static void weigh(alloc *a, uint32_t reg) {
    enum { SHORTEST = 16 };
    areg *r = reg_at(a, reg);
    uint32_t defs = 0, remakes = 0;
    r->length = length_of(&r->range);
    r->cost = 0;
    for (uint32_t m = reg; m; m = reg_at(a, m)->member) {
        const eb_range *range = &reg_at(a, m)->range;
        for (uint32_t n = 0; n < range->occ_count; n++) {
            const eb_mi *mi = a->live.at[range->occs[n].at];
            if (mi->kind == EB_M_NONE)
                continue;
            r->cost +=
                frequency(a, range->occs[n].at) * (float)(range->occs[n].use + range->occs[n].def);
            defs += range->occs[n].def;
            remakes += range->occs[n].def && eb_m_is_remade(mi);
        }
    }
    if (defs == 1 && remakes == 1)
        r->cost /= 2;
    r->weight = r->level == SINGLE ? 1e30f : r->cost / (float)(r->length + SHORTEST);
}

/* ---- placing ---- */

static void occupy(alloc *a, unsigned real, const eb_range *range, uint32_t who) {
    for (uint32_t n = 0; n < range->count; n++)
        for (uint32_t t = range->spans[n].start; t < range->spans[n].end; t++)
            a->occupant[real][t] = who;
}

static bool is_free(const alloc *a, unsigned real, const eb_range *range) {
    const uint32_t *occupant = a->occupant[real];
    for (uint32_t n = 0; n < range->count; n++)
        for (uint32_t t = range->spans[n].start; t < range->spans[n].end; t++)
            if (occupant[t])
                return false;
    return true;
}

/* What copies from and to real registers would save. */
static void hints_of(alloc *a, uint32_t reg, float *hints) {
    for (uint32_t m = reg; m; m = reg_at(a, m)->member) {
        const eb_range *range = &reg_at(a, m)->range;
        for (uint32_t n = 0; n < range->occ_count; n++) {
            const eb_mi *mi = a->live.at[range->occs[n].at];
            if (mi->kind != EB_M_COPY)
                continue;
            bool is_dst = mi->dst >= EB_VREG && find(a, mi->dst) == reg;
            uint32_t other = is_dst ? mi->src : mi->dst;
            if (other >= EB_VREG)
                other = reg_at(a, find(a, other))->real;
            if (other < EB_REGS)
                hints[other] += frequency(a, range->occs[n].at);
        }
    }
}

static const uint8_t usual[EB_REGS] = {1, 2, 3, 4, 5, 0, 6, 7, 8, 9};

/* The registers from the best to the worst. */
static void preferred(alloc *a, uint32_t reg, uint8_t *order) {
    float hints[EB_REGS] = {0};
    hints_of(a, reg, hints);
    for (unsigned n = 0; n < EB_REGS; n++) {
        unsigned at = n;
        while (at && hints[usual[n]] > hints[order[at - 1]]) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = usual[n];
    }
}

static void place(alloc *a, uint32_t reg, unsigned real) {
    reg_at(a, reg)->real = (uint8_t)real;
    occupy(a, real, &reg_at(a, reg)->range, reg);
}

static void displace(alloc *a, uint32_t reg) {
    areg *r = reg_at(a, reg);
    occupy(a, r->real, &r->range, FREE);
    r->real = EB_REG_NO;
    enqueue(a, reg);
}

/* The greatest weight of those in the way; below 0 when one of them cannot go. */
static float resistance(alloc *a, unsigned real, const eb_range *range) {
    float most = 0;
    uint32_t last = FREE;
    for (uint32_t n = 0; n < range->count; n++)
        for (uint32_t t = range->spans[n].start; t < range->spans[n].end; t++) {
            uint32_t who = a->occupant[real][t];
            if (who == last || who == FREE)
                continue;
            last = who;
            if (who == FIXED)
                return -1;
            if (reg_at(a, who)->weight > most)
                most = reg_at(a, who)->weight;
        }
    return most;
}

static bool evict(alloc *a, uint32_t reg, const uint8_t *order) {
    const eb_range *range = &reg_at(a, reg)->range;
    float best = reg_at(a, reg)->weight;
    unsigned chosen = EB_REG_NO;
    for (unsigned n = 0; n < EB_REGS; n++) {
        float r = resistance(a, order[n], range);
        if (r >= 0 && r < best) {
            best = r;
            chosen = order[n];
        }
    }
    if (chosen == EB_REG_NO)
        return false;
    for (uint32_t n = 0; n < range->count; n++)
        for (uint32_t t = range->spans[n].start; t < range->spans[n].end; t++)
            if (a->occupant[chosen][t])
                displace(a, a->occupant[chosen][t]);
    place(a, reg, chosen);
    return true;
}

/* ---- the frame ---- */

/* A slot in which nobody else is kept at the same time. */
static uint32_t slot_for(alloc *a, uint32_t reg) {
    const eb_range *range = &reg_at(a, reg)->range;
    if (reg_at(a, reg)->slot)
        return reg_at(a, reg)->slot;
    spill_slot *found = NULL;
    for (uint32_t n = 0; n < a->slots.len && !found; n++) {
        eb_range kept = {.spans = a->slots.at[n].spans.at, .count = a->slots.at[n].spans.len};
        if (!overlap(&kept, range))
            found = &a->slots.at[n];
    }
    if (!found) {
        found = EB_PUSH(a->arena, &a->slots);
        *EB_PUSH(a->arena, &a->mfn->slots) = (eb_mslot){.size = 8,
                                                        .align = 8,
                                                        .spill = true,
                                                        .name = EB_STR("(spilled)"),
                                                        .loc = a->mfn->ir->loc};
        found->slot = a->mfn->slots.len;
    }
    eb_range kept = {.spans = found->spans.at, .count = found->spans.len, .cap = found->spans.cap};
    unite(a, &kept, range);
    found->spans.at = kept.spans;
    found->spans.len = kept.count;
    found->spans.cap = kept.cap;
    return reg_at(a, reg)->slot = found->slot;
}

static eb_mi access_slot(const alloc *a, uint32_t slot, uint32_t reg, bool loads, uint32_t at) {
    eb_mi mi = {.kind = EB_M_INSN, .slot = slot, .src2 = EB_REG_NO, .loc = a->live.at[at]->loc};
    mi.code = (uint8_t)((loads ? EB_C_LDX : EB_C_STX) | EB_C_DW);
    mi.dst = loads ? reg : EB_R10;
    mi.src = loads ? EB_R10 : reg;
    return mi;
}

/* Puts an instruction behind those that stand at a place already; 1 + its number. */
static uint32_t put_insert(alloc *a, uint32_t *head, eb_mi mi) {
    *EB_PUSH(a->arena, &a->inserts) = (insert){.mi = mi};
    while (*head)
        head = &a->inserts.at[*head - 1].next;
    return *head = a->inserts.len;
}

/* How a register that lives in the frame, or nowhere, comes into `dst`. */
static eb_mi loaded(alloc *a, uint32_t reg, uint32_t dst, uint32_t at) {
    const eb_mi *made = reg_at(a, reg)->made;
    if (!made)
        return access_slot(a, slot_for(a, reg), dst, true, at);
    eb_mi mi = *made;
    mi.dst = dst;
    mi.loc = a->live.at[at]->loc;
    return mi;
}

/* ---- cutting a register up ---- */

typedef struct cut {
    alloc *a;
    uint32_t whole; /* the register */
    eb_occ *occs;   /* all of them, in order */
    uint32_t count;
    uint32_t piece;   /* the one being made, or 0 */
    uint32_t first;   /* its first occurrence */
    bool loads;       /* it needs its value at the start */
    uint32_t defined; /* 1 + the last instruction that writes it */
    bool escapes;     /* what is written is needed behind the register's own range */
} cut;

static int by_place(const void *data, uint32_t x, uint32_t y) {
    const eb_occ *occs = data;
    return occs[x].at < occs[y].at ? -1 : occs[x].at > occs[y].at;
}

/* All occurrences of a register and those merged into it. */
static void gather(cut *c) {
    alloc *a = c->a;
    uint32_t total = 0;
    for (uint32_t m = c->whole; m; m = reg_at(a, m)->member)
        total += reg_at(a, m)->range.occ_count;
    eb_occ *all = eb_alloc_array(a->arena, total + 1, sizeof *all);
    uint32_t *order = eb_alloc_array(a->arena, total + 1, sizeof *order), count = 0;
    for (uint32_t m = c->whole; m; m = reg_at(a, m)->member) {
        const eb_range *range = &reg_at(a, m)->range;
        for (uint32_t n = 0; n < range->occ_count; n++)
            if (a->live.at[range->occs[n].at]->kind != EB_M_NONE) {
                order[count] = count;
                all[count++] = range->occs[n];
            }
    }
    if (reg_at(a, c->whole)->member)
        eb_sort(a->arena, order, count, by_place, all);
    c->occs = eb_alloc_array(a->arena, count + 1, sizeof *c->occs);
    for (uint32_t n = 0; n < count; n++) {
        eb_occ occ = all[order[n]];
        eb_occ *last = c->count ? &c->occs[c->count - 1] : NULL;
        if (last && last->at == occ.at) {
            last->use |= occ.use;
            last->def |= occ.def;
            last->early |= occ.early;
        } else {
            c->occs[c->count++] = occ;
        }
    }
}

/* How it is made again when a single constant or address is all that it ever is. */
static const eb_mi *remade(const cut *c) {
    const eb_mi *made = NULL;
    for (uint32_t n = 0; n < c->count; n++) {
        if (!c->occs[n].def)
            continue;
        const eb_mi *mi = c->a->live.at[c->occs[n].at];
        if (made || !eb_m_is_remade(mi))
            return NULL;
        made = mi;
    }
    return made;
}

static void rename(cut *c, uint32_t at) {
    eb_ref refs[EB_REFS_MOST];
    unsigned count = eb_m_refs(c->a->mfn, c->a->live.at[at], refs);
    for (unsigned r = 0; r < count; r++)
        if (*refs[r].reg >= EB_VREG && find(c->a, *refs[r].reg) == c->whole)
            *refs[r].reg = c->piece;
}

/* Whether the value that the register has behind instruction `at` is needed there. */
static bool needed_behind(const cut *c, uint32_t at, bool defined) {
    const eb_range *range = &c->a->regs.at[c->whole].range;
    uint32_t end = c->a->mfn->blocks.at[c->a->live.block[at]].end;
    if (c->escapes)
        return true;
    if (!defined)
        return covers(range, 2 * at + 1);
    return at + 1 >= end || covers(range, 2 * at + 2);
}

static uint32_t new_piece(cut *c, uint8_t level) {
    alloc *a = c->a;
    areg piece = {.real = EB_REG_NO, .level = level};
    piece.made = reg_at(a, c->whole)->made;
    *EB_PUSH(a->arena, &a->regs) = piece;
    uint32_t number = a->regs.len - 1;
    reg_at(a, number)->last = number;
    return number;
}

/* The piece ends with occurrence `last`. */
static void close_piece(cut *c, uint32_t last) {
    alloc *a = c->a;
    if (!c->piece)
        return;
    const eb_occ *first = &c->occs[c->first], *end = &c->occs[last];
    areg *piece = reg_at(a, c->piece);
    eb_span *span = eb_alloc(a->arena, sizeof *span);
    span->start = c->loads ? 2 * first->at : 2 * first->at + !first->early;
    span->end = end->def ? 2 * end->at + 2 : 2 * end->at + 1;
    piece->range = (eb_range){.spans = span,
                              .count = 1,
                              .cap = 1,
                              .occs = &c->occs[c->first],
                              .occ_count = last - c->first + 1};
    bool stores = c->defined && needed_behind(c, end->at, end->def);
    if (piece->level == SINGLE && c->defined)
        stores = needed_behind(c, end->at, true);
    if (c->loads) {
        eb_mi mi = loaded(a, c->whole, c->piece, first->at);
        uint32_t put = put_insert(a, &a->before[first->at], mi);
        reg_at(a, c->piece)->load = put;
    }
    if (stores && !reg_at(a, c->whole)->made) {
        uint32_t at = c->defined - 1;
        eb_mi mi = access_slot(a, slot_for(a, c->whole), c->piece, false, at);
        uint32_t put = put_insert(a, &a->after[at], mi);
        reg_at(a, c->piece)->store = put;
    }
    reg_at(a, c->piece)->slot = reg_at(a, c->whole)->slot;
    weigh(a, c->piece);
    enqueue(a, c->piece);
    c->piece = 0;
}

/* A copy that needs no register: it loads into its destination or stores its source. */
static bool is_direct(cut *c, uint32_t n, uint32_t next_region) {
    alloc *a = c->a;
    const eb_occ *occ = &c->occs[n];
    eb_mi *mi = a->live.at[occ->at];
    if (mi->kind != EB_M_COPY || c->piece)
        return false;
    if (occ->use && !occ->def) {
        *mi = loaded(a, c->whole, mi->dst, occ->at);
        return true;
    }
    if (!occ->def || occ->use || next_region > n + 1)
        return false;
    if (needed_behind(c, occ->at, true))
        *mi = access_slot(a, slot_for(a, c->whole), mi->src, false, occ->at);
    else
        mi->kind = EB_M_NONE;
    return true;
}

/* The first occurrence that is not in one stretch with number n: no call lies between. */
static uint32_t stretch(const cut *c, uint32_t n, uint8_t level) {
    const alloc *a = c->a;
    uint32_t end = n + 1;
    while (level == STRETCH && end < c->count &&
           a->live.block[c->occs[end].at] == a->live.block[c->occs[n].at] &&
           a->calls[c->occs[end].at] == a->calls[c->occs[n].at])
        end++;
    return end;
}

static void cut_up(cut *c, uint8_t level) {
    for (uint32_t n = 0; n < c->count;) {
        uint32_t end = stretch(c, n, level);
        for (; n < end; n++) {
            const eb_occ *occ = &c->occs[n];
            if (is_direct(c, n, end))
                continue;
            if (!c->piece) {
                c->piece = new_piece(c, level);
                c->first = n;
                c->loads = occ->use;
                c->defined = 0;
            }
            rename(c, occ->at);
            if (occ->def)
                c->defined = occ->at + 1;
        }
        close_piece(c, end - 1);
    }
}

static void cancel(alloc *a, uint32_t put) {
    if (put)
        a->inserts.at[put - 1].mi.kind = EB_M_NONE;
}

/* What is made where it is used needs no definition. */
static void drop_definition(cut *c) {
    uint32_t kept = 0;
    for (uint32_t n = 0; n < c->count; n++) {
        if (c->occs[n].def)
            c->a->live.at[c->occs[n].at]->kind = EB_M_NONE;
        else
            c->occs[kept++] = c->occs[n];
    }
    c->count = kept;
}

/* Out of the registers: into pieces. */
static void spill(alloc *a, uint32_t reg) {
    cut c = {.a = a, .whole = reg};
    gather(&c);
    areg *r = reg_at(a, reg);
    const eb_mi *made = r->made ? NULL : remade(&c);
    if (made) {
        eb_mi *kept = eb_alloc(a->arena, sizeof *kept);
        *kept = *made;
        r->made = kept;
        drop_definition(&c);
    }
    c.escapes = r->store != 0;
    cancel(a, r->load);
    cancel(a, r->store);
    uint8_t level = r->level == WHOLE ? STRETCH : SINGLE;
    if (level == STRETCH && c.count && stretch(&c, 0, STRETCH) == c.count)
        level = SINGLE;
    cut_up(&c, level);
}

/* ---- the whole ---- */

static void start(alloc *a) {
    eb_mfn *mfn = a->mfn;
    eb_live_make(&a->live, mfn);
    for (uint32_t r = 0; r < mfn->regs; r++)
        *EB_PUSH(a->arena, &a->regs) =
            (areg){.range = a->live.ranges[r], .last = r, .real = EB_REG_NO};
    a->before = eb_alloc_array(a->arena, a->live.count + 1, sizeof *a->before);
    a->after = eb_alloc_array(a->arena, a->live.count + 1, sizeof *a->after);
    a->calls = eb_alloc_array(a->arena, a->live.count + 1, sizeof *a->calls);
    for (uint32_t i = 0; i < a->live.count; i++)
        a->calls[i + 1] = a->calls[i] + eb_m_is_call(a->live.at[i]);
}

static void place_all(alloc *a) {
    for (uint32_t r = EB_VREG; r < a->mfn->regs; r++)
        if (!reg_at(a, r)->into && reg_at(a, r)->range.count) {
            weigh(a, r);
            enqueue(a, r);
        }
    while (a->heap.len && !a->failed) {
        uint32_t reg = dequeue(a);
        uint8_t order[EB_REGS];
        unsigned n = 0;
        preferred(a, reg, order);
        while (n < EB_REGS && !is_free(a, order[n], &reg_at(a, reg)->range))
            n++;
        if (n < EB_REGS)
            place(a, reg, order[n]);
        else if (!evict(a, reg, order)) {
            if (reg_at(a, reg)->level == SINGLE) {
                eb_loc loc = a->live.at[reg_at(a, reg)->range.occs[0].at]->loc;
                eb_diag_add(a->mfn->ctx, EB_DIAG_REGISTERS, loc, loc + (loc != 0));
                a->failed = true;
            } else {
                spill(a, reg);
            }
        }
    }
}

static void settle(alloc *a, eb_mi *mi) {
    eb_ref refs[EB_REFS_MOST];
    unsigned count = eb_m_refs(a->mfn, mi, refs);
    for (unsigned r = 0; r < count; r++)
        if (*refs[r].reg >= EB_VREG)
            *refs[r].reg = reg_at(a, find(a, *refs[r].reg))->real;
}

static void put_final(alloc *a, eb_mblock *block, eb_mi mi) {
    settle(a, &mi);
    if (mi.kind != EB_M_NONE && !(mi.kind == EB_M_COPY && mi.dst == mi.src))
        *EB_PUSH(a->arena, &block->code) = mi;
}

static void rewrite(alloc *a) {
    for (uint32_t n = 0; n < a->mfn->order.len; n++) {
        eb_mblock *block = &a->mfn->blocks.at[a->mfn->order.at[n]];
        eb_mblock fresh = *block;
        fresh.code.at = NULL;
        fresh.code.len = fresh.code.cap = 0;
        for (uint32_t i = block->begin; i < block->end; i++) {
            for (uint32_t p = a->before[i]; p; p = a->inserts.at[p - 1].next)
                put_final(a, &fresh, a->inserts.at[p - 1].mi);
            put_final(a, &fresh, *a->live.at[i]);
            for (uint32_t p = a->after[i]; p; p = a->inserts.at[p - 1].next)
                put_final(a, &fresh, a->inserts.at[p - 1].mi);
        }
        *block = fresh;
    }
}

void eb_gen_allocate(eb_mfn *mfn) {
    alloc a = {.mfn = mfn, .arena = &mfn->ctx->scratch};
    start(&a);
    coalesce(&a);
    fix_all(&a);
    place_all(&a);
    if (!a.failed)
        rewrite(&a);
}
