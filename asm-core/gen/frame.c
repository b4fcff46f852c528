/* frame.c - the stack frame of a function: its variables and what found no register, below r10,
 * those with the largest alignment first. What inlined functions have of their own (eb_slot.scope)
 * lies below what is around it, side by side with nothing: two of them are never used at once. The
 * kernel gives 512 bytes to a chain of calls: how much each takes is told in the symbols. */
#include "emit.h"
#include "sort.h"

enum { FRAME_MOST = 512, LISTED = 5 };

static void mark_used(eb_mfn *mfn) {
    for (uint32_t n = 0; n < mfn->order.len; n++) {
        const eb_mblock *block = &mfn->blocks.at[mfn->order.at[n]];
        for (uint32_t i = 0; i < block->code.len; i++)
            if (block->code.at[i].slot)
                mfn->slots.at[block->code.at[i].slot - 1].used = true;
    }
}

/* Slots of registers are the function's own. */
static uint32_t scope_of(const eb_mfn *mfn, uint32_t slot) {
    return slot < mfn->ir->slots.len ? mfn->ir->slots.at[slot].scope : 0;
}

static int by_place(const void *data, uint32_t a, uint32_t b) {
    const eb_mfn *mfn = data;
    const eb_mslot *slots = mfn->slots.at;
    uint32_t x = scope_of(mfn, a), y = scope_of(mfn, b);
    if (x != y)
        return x < y ? -1 : 1;
    return slots[a].align > slots[b].align ? -1 : slots[a].align < slots[b].align;
}

static int by_size(const void *data, uint32_t a, uint32_t b) {
    const eb_mslot *slots = data;
    return slots[a].size > slots[b].size ? -1 : slots[a].size < slots[b].size;
}

/* Where a function's name stands. */
static eb_loc name_end(eb_loc loc, eb_str name) {
    return loc ? loc + (eb_loc)name.len : 0;
}

static void too_large(eb_mfn *mfn, uint32_t *used, uint32_t count, uint64_t size) {
    const eb_ir_symbol *symbol = &mfn->unit->symbols.at[mfn->ir->symbol];
    eb_diag *diag = eb_diag_add(mfn->ctx, EB_DIAG_FRAME_SIZE, mfn->ir->loc,
                                name_end(mfn->ir->loc, symbol->name), (int)symbol->name.len,
                                symbol->name.at, (unsigned long long)size);
    eb_sort(&mfn->ctx->scratch, used, count, by_size, mfn->slots.at);
    for (uint32_t n = 0; n < count && n < LISTED; n++) {
        const eb_mslot *slot = &mfn->slots.at[used[n]];
        eb_str name = slot->name.len ? slot->name : EB_STR("(temporary)");
        eb_diag_note(mfn->ctx, diag, slot->loc, slot->loc + (slot->loc != 0),
                     "%.*s takes %llu bytes", (int)name.len, name.at,
                     (unsigned long long)slot->size);
    }
}

/* Lays out the slots of a scope, from `at` on in `used`, below what is around it; where the next
 * scope's are. */
static uint32_t lay_scope(eb_mfn *mfn, const uint32_t *used, uint32_t count, uint32_t at,
                          uint64_t *size) {
    uint32_t scope = scope_of(mfn, used[at]);
    for (; at < count && scope_of(mfn, used[at]) == scope; at++) {
        eb_mslot *slot = &mfn->slots.at[used[at]];
        uint64_t align = slot->align ? slot->align : 1;
        *size = (*size + slot->size + align - 1) / align * align;
        if (*size <= INT32_MAX)
            slot->offset = -(int32_t)*size;
    }
    return at;
}

bool eb_gen_frame(eb_mfn *mfn) {
    eb_arena *scratch = &mfn->ctx->scratch;
    uint32_t *used = eb_alloc_array(scratch, mfn->slots.len + 1, sizeof *used), count = 0;
    uint64_t *ends = eb_alloc_array(scratch, mfn->ir->scopes.len + 1, sizeof *ends), size = 0;
    mark_used(mfn);
    for (uint32_t n = 0; n < mfn->slots.len; n++)
        if (mfn->slots.at[n].used)
            used[count++] = n;
    eb_sort(scratch, used, count, by_place, mfn);
    for (uint32_t scope = 0, at = 0; scope < mfn->ir->scopes.len || at < count; scope++) {
        ends[scope] = scope ? ends[mfn->ir->scopes.at[scope]] : 0;
        if (at < count && scope_of(mfn, used[at]) == scope)
            at = lay_scope(mfn, used, count, at, &ends[scope]);
        if (ends[scope] > size)
            size = ends[scope];
    }
    if (size > FRAME_MOST) {
        too_large(mfn, used, count, size);
        return false;
    }
    mfn->frame = (uint32_t)size;
    return true;
}

/* ---- chains of calls ---- */

typedef struct chain {
    eb_ir_unit *unit;
    const eb_links *links;
    const uint32_t *frames;
    uint32_t *first;   /* by symbol: its links are from here */
    uint32_t *next;    /* by symbol: 1 + the link to follow next; 0: not seen */
    uint64_t *depth;   /* by symbol: stack of it and what it calls, when known */
    uint32_t *deepest; /* by symbol: what it calls of which that is so */
    EB_VEC(uint32_t) path;
} chain;

/* A function that is called while it runs: those on the path since. */
static void recursion(chain *c, uint32_t symbol) {
    eb_arena *arena = &c->unit->ctx->arena;
    uint32_t at = c->path.len;
    while (at && c->path.at[at - 1] != symbol)
        at--;
    for (at -= at != 0; at < c->path.len; at++)
        *EB_PUSH(arena, &c->unit->circles) = c->path.at[at];
    *EB_PUSH(arena, &c->unit->circles) = 0;
}

static void follow(chain *c, uint32_t symbol, bool *on_path) {
    uint32_t top = c->path.at[c->path.len - 1], target = symbol;
    if (on_path[target]) {
        recursion(c, target);
        return;
    }
    if (!c->next[target]) {
        c->next[target] = 1 + c->first[target];
        c->depth[target] = c->frames[target];
        on_path[target] = true;
        *EB_PUSH(&c->unit->ctx->arena, &c->path) = target;
        return;
    }
    if (c->frames[top] + c->depth[target] > c->depth[top]) {
        c->depth[top] = c->frames[top] + c->depth[target];
        c->deepest[top] = target;
    }
}

static void leave(chain *c, bool *on_path) {
    uint32_t done = c->path.at[--c->path.len];
    on_path[done] = false;
    if (!c->path.len)
        return;
    uint32_t top = c->path.at[c->path.len - 1];
    if (c->frames[top] + c->depth[done] > c->depth[top]) {
        c->depth[top] = c->frames[top] + c->depth[done];
        c->deepest[top] = done;
    }
}

/* Links are in the order of the functions that they are in. */
void eb_gen_chains(eb_ir_unit *unit, const eb_links *links, const uint32_t *frames) {
    eb_arena *arena = &unit->ctx->arena;
    uint32_t count = unit->symbols.len;
    chain c = {.unit = unit, .links = links, .frames = frames};
    c.first = eb_alloc_array(arena, count + 1, sizeof *c.first);
    c.next = eb_alloc_array(arena, count, sizeof *c.next);
    c.depth = eb_alloc_array(arena, count, sizeof *c.depth);
    c.deepest = eb_alloc_array(arena, count, sizeof *c.deepest);
    bool *on_path = eb_alloc_array(arena, count, sizeof *on_path);
    bool *called = eb_alloc_array(arena, count, sizeof *called);
    for (uint32_t n = 0, k = 0; n < count; n++) {
        while (k < links->links.len && links->links.at[k].from < n)
            k++;
        c.first[n] = k;
    }
    for (uint32_t n = 1; n < count; n++) {
        if (!unit->symbols.at[n].live || !unit->symbols.at[n].fn || c.next[n])
            continue;
        c.next[n] = 1 + c.first[n];
        c.depth[n] = frames[n];
        on_path[n] = true;
        *EB_PUSH(arena, &c.path) = n;
        while (c.path.len) {
            uint32_t top = c.path.at[c.path.len - 1], at = c.next[top] - 1;
            if (at >= links->links.len || links->links.at[at].from != top) {
                leave(&c, on_path);
                continue;
            }
            c.next[top]++;
            uint32_t target = links->links.at[at].symbol;
            called[target] = true;
            if (unit->symbols.at[target].fn)
                follow(&c, target, on_path);
        }
    }
    for (uint32_t n = 1; n < count; n++) {
        eb_ir_symbol *symbol = &unit->symbols.at[n];
        symbol->frame = frames[n];
        symbol->chain = c.depth[n];
        symbol->deepest = c.deepest[n];
        symbol->called = called[n];
    }
}
