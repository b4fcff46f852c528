/* slots.c - stack slots that are never used at the same time share a place, when there are more
 * than a frame has room for: inlining leaves a copy of a function's variables for each of its
 * calls.
 *
 * A slot is in use from where its address is first made or read from to where what comes of the
 * address is last used: at every place that such a use leads to and from which one can be reached.
 * One whose address is kept in memory is in use always. The place of a group is that of its largest
 * slot, so all others are of the same scope or of one inside it: the places of two scopes side by
 * side are the same bytes (frame.c).
 *
 * A function that takes in a thousand others has thousands of slots: 64 at a time are followed
 * through the blocks, a bit each. */
#include "cfg.h"
#include "select.h"
#include "sort.h"

enum { BATCH = 64 }; /* bits of a set */

typedef struct used { /* the places of a slot's uses in a block */
    uint32_t block, first, last;
} used;

typedef struct group { /* slots that share a place */
    uint32_t slot;     /* the largest of them */
    EB_VEC(eb_span) spans;
} group;

typedef EB_VEC(group) group_list;

typedef struct candidate {
    group alone;
    EB_VEC(used) uses; /* in the order of the blocks */
    uint32_t next;     /* of the uses, while spans are made */
    bool escapes;
} candidate;

typedef struct slots {
    eb_fn *fn;
    eb_arena *arena;
    eb_users users;
    uint32_t *place;          /* by value: its number in the order of the blocks */
    uint32_t *begin, *end;    /* by block: places in it */
    uint32_t *seen;           /* by value: 1 + the slot that it was last found to come from */
    uint32_t *first, *last;   /* by block: places of the slot's uses; last 0: none */
    EB_VEC(uint32_t) touched; /* blocks with such */
    uint64_t *used, *entered, *left; /* by block, a bit for each slot of the batch: it has a use, a
                                        use leads to it, one is reached from it */
    candidate batch[BATCH];
    EB_VEC(eb_value) work;
    bool escapes;
} slots;

static void number(slots *s) {
    uint32_t at = 1;
    for (uint32_t n = 0; n < s->fn->rpo.len; n++) {
        uint32_t block = s->fn->rpo.at[n];
        s->begin[block] = at;
        for (eb_value v = s->fn->blocks.at[block].first; v; v = eb_ir_at(s->fn, v)->next)
            s->place[v] = at++;
        s->end[block] = at;
    }
}

static void use_at(slots *s, uint32_t block, uint32_t place) {
    if (!s->last[block])
        *EB_PUSH(s->arena, &s->touched) = block;
    if (!s->last[block] || place < s->first[block])
        s->first[block] = place;
    if (place > s->last[block])
        s->last[block] = place;
}

/* Whether an instruction that is given an address may give it on. */
static bool gives_on(const eb_ir *ir) {
    if (ir->type == EB_IR_VOID || ir->op == EB_IR_CMP || ir->op == EB_IR_LOAD)
        return false;
    bool calls = ir->op == EB_IR_CALL || ir->op == EB_IR_HELPER || ir->op == EB_IR_CALLX;
    return !calls || ir->type == EB_IR_PTR;
}

static void follow(slots *s, eb_value v, eb_value user, uint32_t slot) {
    const eb_ir *ir = eb_ir_at(s->fn, user);
    if (!ir->block)
        return;
    s->escapes |= (ir->op == EB_IR_STORE && ir->b == v) ||
                  (ir->op == EB_IR_ATOMIC && (ir->b == v || ir->c == v));
    if (ir->op == EB_IR_PHI) { /* read where the edge starts */
        const eb_block *block = &s->fn->blocks.at[ir->block];
        const eb_list *list = &s->fn->lists.at[ir->list];
        for (uint32_t p = 0; p < block->preds.len && p < list->values.len; p++)
            if (list->values.at[p] == v && s->end[block->preds.at[p]])
                use_at(s, block->preds.at[p], s->end[block->preds.at[p]] - 1);
    }
    use_at(s, ir->block, s->place[user]);
    if (gives_on(ir) && s->seen[user] != slot + 1) {
        s->seen[user] = slot + 1;
        *EB_PUSH(s->arena, &s->work) = user;
    }
}

static void find_uses(slots *s, uint32_t slot, const eb_value *addresses, uint32_t count) {
    s->work.len = s->touched.len = 0;
    s->escapes = false;
    for (uint32_t n = 0; n < count; n++) {
        s->seen[addresses[n]] = slot + 1;
        *EB_PUSH(s->arena, &s->work) = addresses[n];
    }
    while (s->work.len) {
        eb_value v = s->work.at[--s->work.len];
        for (uint32_t u = s->users.start[v]; u < s->users.start[v + 1]; u++)
            follow(s, v, s->users.users[u], slot);
    }
}

static int by_place(const void *data, uint32_t a, uint32_t b) {
    const uint32_t *begin = data;
    return begin[a] < begin[b] ? -1 : begin[a] > begin[b];
}

/* Slot number `n` of the batch, whose uses have been found. */
static void take_uses(slots *s, unsigned n, uint32_t slot) {
    candidate *c = &s->batch[n];
    *c = (candidate){.alone.slot = slot, .escapes = s->escapes};
    eb_sort(s->arena, s->touched.at, s->touched.len, by_place, s->begin);
    for (uint32_t k = 0; k < s->touched.len; k++) {
        uint32_t block = s->touched.at[k];
        *EB_PUSH(s->arena, &c->uses) = (used){block, s->first[block], s->last[block]};
        s->used[block] |= 1ull << n;
        s->first[block] = s->last[block] = 0;
    }
}

/* Which blocks uses lead to, and which lead to uses. */
static void spread(slots *s) {
    const eb_fn *fn = s->fn;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t n = 0; n < fn->rpo.len; n++) {
            uint32_t b = fn->rpo.at[n];
            const eb_block *block = &fn->blocks.at[b];
            uint64_t entered = s->entered[b];
            for (uint32_t p = 0; p < block->preds.len; p++)
                entered |= s->used[block->preds.at[p]] | s->entered[block->preds.at[p]];
            changed |= entered != s->entered[b];
            s->entered[b] = entered;
        }
        for (uint32_t n = fn->rpo.len; n-- > 0;) {
            uint32_t b = fn->rpo.at[n];
            const eb_block *block = &fn->blocks.at[b];
            uint64_t left = s->left[b];
            for (uint32_t k = 0; k < block->succs.len; k++)
                left |= s->used[block->succs.at[k]] | s->left[block->succs.at[k]];
            changed |= left != s->left[b];
            s->left[b] = left;
        }
    }
}

/* Where slot number `n` of the batch is in use in a block. */
static void put_span(slots *s, unsigned n, uint32_t block) {
    candidate *c = &s->batch[n];
    bool entered = s->entered[block] >> n & 1, left = s->left[block] >> n & 1;
    uint32_t start = s->begin[block], end = s->end[block];
    if (c->next < c->uses.len && c->uses.at[c->next].block == block) {
        const used *use = &c->uses.at[c->next++];
        start = entered ? start : use->first;
        end = left ? end : use->last + 1;
    }
    *EB_PUSH(s->arena, &c->alone.spans) = (eb_span){start, end};
}

static void put_spans(slots *s, unsigned count) {
    for (uint32_t n = 0; n < s->fn->rpo.len; n++) {
        uint32_t block = s->fn->rpo.at[n];
        uint64_t in = s->used[block] | (s->entered[block] & s->left[block]);
        for (unsigned k = 0; in; k++, in >>= 1)
            if (in & 1 && !s->batch[k].escapes)
                put_span(s, k, block);
        s->used[block] = s->entered[block] = s->left[block] = 0;
    }
    for (unsigned k = 0; k < count; k++)
        if (s->batch[k].escapes)
            *EB_PUSH(s->arena, &s->batch[k].alone.spans) = (eb_span){0, UINT32_MAX};
}

/* The first span that ends behind `place`. */
static uint32_t span_behind(const group *g, uint32_t place) {
    uint32_t lo = 0, hi = g->spans.len;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (g->spans.at[mid].end > place)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* `all` are those of a place, `own` those of a slot. */
static bool apart(const group *all, const group *own) {
    for (uint32_t n = 0; n < own->spans.len; n++) {
        uint32_t k = span_behind(all, own->spans.at[n].start);
        if (k < all->spans.len && all->spans.at[k].start < own->spans.at[n].end)
            return false;
    }
    return true;
}

static void unite(slots *s, group *to, const group *from) {
    uint32_t i = to->spans.len, j = from->spans.len;
    for (uint32_t n = 0; n < j; n++)
        (void)EB_PUSH(s->arena, &to->spans);
    for (uint32_t n = i + j; j;) { /* from behind: what stays in front is not touched */
        bool mine = i && to->spans.at[i - 1].start > from->spans.at[j - 1].start;
        to->spans.at[--n] = mine ? to->spans.at[--i] : from->spans.at[--j];
    }
}

/* Whether scope `inner` is `outer` or lies in it. */
static bool is_within(const eb_fn *fn, uint32_t inner, uint32_t outer) {
    while (inner != outer && inner)
        inner = fn->scopes.at[inner];
    return inner == outer;
}

static bool fits(const eb_fn *fn, const group *g, const group *to) {
    uint32_t inner = fn->slots.at[g->slot].scope, outer = fn->slots.at[to->slot].scope;
    return is_within(fn, inner, outer) && apart(to, g);
}

static int by_size(const void *data, uint32_t a, uint32_t b) {
    const eb_slot *all = data;
    return all[a].size > all[b].size ? -1 : all[a].size < all[b].size;
}

static void start(slots *s) {
    eb_fn *fn = s->fn;
    uint32_t values = fn->values.len, blocks = fn->blocks.len;
    s->users = eb_uses_build(fn);
    s->place = eb_alloc_array(s->arena, values, sizeof *s->place);
    s->seen = eb_alloc_array(s->arena, values, sizeof *s->seen);
    s->begin = eb_alloc_array(s->arena, blocks, sizeof *s->begin);
    s->end = eb_alloc_array(s->arena, blocks, sizeof *s->end);
    s->first = eb_alloc_array(s->arena, blocks, sizeof *s->first);
    s->last = eb_alloc_array(s->arena, blocks, sizeof *s->last);
    s->used = eb_alloc_array(s->arena, blocks, sizeof *s->used);
    s->entered = eb_alloc_array(s->arena, blocks, sizeof *s->entered);
    s->left = eb_alloc_array(s->arena, blocks, sizeof *s->left);
    number(s);
}

static bool are_too_many(const eb_fn *fn) {
    enum { ROOM = 448 }; /* of 512 bytes; the rest is for registers */
    uint64_t size = 0;
    for (uint32_t n = 0; n < fn->slots.len; n++)
        size += fn->slots.at[n].size;
    return size > ROOM;
}

/* The instructions that make addresses of slots, those of one slot together: at[first[slot]] up to
 * at[first[slot + 1]]. */
typedef struct addresses {
    eb_value *at;
    uint32_t *first;
} addresses;

static addresses find_addresses(const slots *s) {
    const eb_fn *fn = s->fn;
    EB_VEC(eb_value) all = {0};
    for (uint32_t n = 0; n < fn->rpo.len; n++)
        for (eb_value v = fn->blocks.at[fn->rpo.at[n]].first; v; v = eb_ir_at(fn, v)->next)
            if (eb_ir_at(fn, v)->op == EB_IR_SLOT)
                *EB_PUSH(s->arena, &all) = v;
    addresses a = {.at = eb_alloc_array(s->arena, (size_t)all.len + 1, sizeof *a.at),
                   .first = eb_alloc_array(s->arena, (size_t)fn->slots.len + 2, sizeof *a.first)};
    for (uint32_t n = 0; n < all.len; n++)
        a.first[eb_ir_at(fn, all.at[n])->extra + 2]++;
    for (uint32_t n = 0; n <= fn->slots.len; n++)
        a.first[n + 1] += a.first[n];
    /* first[slot + 1] runs from the first of a slot to behind its last one. */
    for (uint32_t n = 0; n < all.len; n++)
        a.at[a.first[eb_ir_at(fn, all.at[n])->extra + 1]++] = all.at[n];
    return a;
}

/* A place for one slot: that of the first group that it fits into, or a new one. */
static uint32_t place_in(slots *s, group_list *groups, const group *g) {
    uint32_t k = 0;
    while (k < groups->len && !fits(s->fn, g, &groups->at[k]))
        k++;
    if (k == groups->len)
        *EB_PUSH(s->arena, groups) = *g;
    else
        unite(s, &groups->at[k], g);
    return groups->at[k].slot;
}

void eb_sel_share_slots(eb_fn *fn, uint32_t *shared) {
    eb_arena *arena = &fn->unit->ctx->scratch;
    uint32_t count = fn->slots.len;
    for (uint32_t n = 0; n < count; n++)
        shared[n] = n;
    if (!are_too_many(fn))
        return;
    slots *s = eb_alloc(arena, sizeof *s);
    s->fn = fn;
    s->arena = arena;
    start(s);
    addresses all = find_addresses(s);
    uint32_t *order = eb_alloc_array(arena, count, sizeof *order);
    for (uint32_t n = 0; n < count; n++)
        order[n] = n;
    eb_sort(arena, order, count, by_size, fn->slots.at);
    group_list groups = {0};
    for (uint32_t from = 0; from < count; from += BATCH) {
        unsigned size = count - from < BATCH ? count - from : BATCH;
        for (unsigned k = 0; k < size; k++) {
            uint32_t slot = order[from + k];
            find_uses(s, slot, &all.at[all.first[slot]], all.first[slot + 1] - all.first[slot]);
            take_uses(s, k, slot);
        }
        spread(s);
        put_spans(s, size);
        for (unsigned k = 0; k < size; k++)
            if (s->batch[k].alone.spans.len) /* else nobody uses it */
                shared[order[from + k]] = place_in(s, &groups, &s->batch[k].alone);
    }
}
