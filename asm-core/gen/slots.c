/* slots.c - stack slots that are never used at the same time share a place, when there are more
 * than a frame has room for: inlining leaves a copy of a function's variables for each of its
 * calls.
 *
 * A slot is in use from where its address is first made or read from to where what comes of the
 * address is last used: at every place that such a use leads to and from which one can be reached.
 * One whose address is kept in memory is in use always. The place of a group is that of its largest
 * slot, so all others are of the same scope or of one inside it: the places of two scopes side by
 * side are the same bytes (frame.c). */
#include "cfg.h"
#include "select.h"
#include "sort.h"

typedef struct slots {
    eb_fn *fn;
    eb_arena *arena;
    eb_users users;
    uint32_t *place;        /* by value: its number in the order of the blocks */
    uint32_t *begin, *end;  /* by block: places in it */
    uint32_t *seen;         /* by value: 1 + the slot that it was last found to come from */
    uint32_t *first, *last; /* by block: places of the slot's uses; last 0: none */
    bool *entered, *left;   /* by block: a use leads to it, one is reached from it */
    EB_VEC(eb_value) work;
    bool escapes;
} slots;

typedef struct group { /* slots that share a place */
    uint32_t slot;     /* the largest of them */
    EB_VEC(eb_span) spans;
} group;

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
    s->work.len = 0;
    s->escapes = false;
    for (uint32_t n = 0; n < s->fn->blocks.len; n++)
        s->last[n] = s->first[n] = 0;
    for (uint32_t n = 0; n < count; n++)
        if (eb_ir_at(s->fn, addresses[n])->extra == slot) {
            s->seen[addresses[n]] = slot + 1;
            *EB_PUSH(s->arena, &s->work) = addresses[n];
        }
    while (s->work.len) {
        eb_value v = s->work.at[--s->work.len];
        for (uint32_t u = s->users.start[v]; u < s->users.start[v + 1]; u++)
            follow(s, v, s->users.users[u], slot);
    }
}

/* Which blocks uses lead to, and which lead to uses. */
static void spread(slots *s) {
    const eb_fn *fn = s->fn;
    for (uint32_t n = 0; n < fn->blocks.len; n++)
        s->entered[n] = s->left[n] = false;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t n = 0; n < fn->rpo.len; n++) {
            uint32_t b = fn->rpo.at[n];
            const eb_block *block = &fn->blocks.at[b];
            bool entered = s->entered[b];
            for (uint32_t p = 0; p < block->preds.len; p++)
                entered |= s->last[block->preds.at[p]] || s->entered[block->preds.at[p]];
            changed |= entered != s->entered[b];
            s->entered[b] = entered;
        }
        for (uint32_t n = fn->rpo.len; n-- > 0;) {
            uint32_t b = fn->rpo.at[n];
            const eb_block *block = &fn->blocks.at[b];
            bool left = s->left[b];
            for (uint32_t k = 0; k < block->succs.len; k++)
                left |= s->last[block->succs.at[k]] || s->left[block->succs.at[k]];
            changed |= left != s->left[b];
            s->left[b] = left;
        }
    }
}

static void put_span(slots *s, group *g, uint32_t start, uint32_t end) {
    *EB_PUSH(s->arena, &g->spans) = (eb_span){start, end};
}

/* Where the slot is in use. */
static void put_spans(slots *s, group *g) {
    if (s->escapes) {
        put_span(s, g, 0, UINT32_MAX);
        return;
    }
    spread(s);
    for (uint32_t n = 0; n < s->fn->rpo.len; n++) {
        uint32_t b = s->fn->rpo.at[n];
        if (!s->last[b] && !(s->entered[b] && s->left[b]))
            continue;
        put_span(s, g, s->entered[b] ? s->begin[b] : s->first[b],
                 s->left[b] ? s->end[b] : s->last[b] + 1);
    }
}

static bool apart(const group *a, const group *b) {
    for (uint32_t i = 0, j = 0; i < a->spans.len && j < b->spans.len;) {
        if (a->spans.at[i].end <= b->spans.at[j].start)
            i++;
        else if (b->spans.at[j].end <= a->spans.at[i].start)
            j++;
        else
            return false;
    }
    return true;
}

static void unite(slots *s, group *to, const group *from) {
    group both = {.slot = to->slot};
    for (uint32_t i = 0, j = 0; i < to->spans.len || j < from->spans.len;) {
        bool mine = j == from->spans.len ||
                    (i < to->spans.len && to->spans.at[i].start < from->spans.at[j].start);
        *EB_PUSH(s->arena, &both.spans) = mine ? to->spans.at[i++] : from->spans.at[j++];
    }
    *to = both;
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

void eb_sel_share_slots(eb_fn *fn, uint32_t *shared) {
    eb_arena *arena = &fn->unit->ctx->scratch;
    uint32_t count = fn->slots.len;
    for (uint32_t n = 0; n < count; n++)
        shared[n] = n;
    if (!are_too_many(fn))
        return;
    slots s = {.fn = fn, .arena = arena};
    start(&s);
    EB_VEC(eb_value) addresses = {0};
    for (uint32_t n = 0; n < fn->rpo.len; n++)
        for (eb_value v = fn->blocks.at[fn->rpo.at[n]].first; v; v = eb_ir_at(fn, v)->next)
            if (eb_ir_at(fn, v)->op == EB_IR_SLOT)
                *EB_PUSH(arena, &addresses) = v;
    uint32_t *order = eb_alloc_array(arena, count, sizeof *order);
    for (uint32_t n = 0; n < count; n++)
        order[n] = n;
    eb_sort(arena, order, count, by_size, fn->slots.at);
    EB_VEC(group) groups = {0};
    for (uint32_t n = 0; n < count; n++) {
        group g = {.slot = order[n]};
        find_uses(&s, order[n], addresses.at, addresses.len);
        put_spans(&s, &g);
        if (!g.spans.len)
            continue; /* nobody uses it */
        uint32_t k = 0;
        while (k < groups.len && !fits(fn, &g, &groups.at[k]))
            k++;
        if (k == groups.len)
            *EB_PUSH(arena, &groups) = g;
        else
            unite(&s, &groups.at[k], &g);
        shared[order[n]] = groups.at[k].slot;
    }
}
