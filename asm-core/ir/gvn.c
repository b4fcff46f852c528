/* gvn.c - computes nothing twice: value numbering of pure operations and loads.
 *
 * One walk in reverse postorder. An operation that stands for the same operands in a block that
 * dominates is used again; a load, if nothing between may have written there, on any way or round
 * of a loop. Constants, symbols and slots go to the entry and are shared by all: gen makes them
 * anew where they are needed.
 *
 * The law is the verifier's: what is known about a value is known of the register that was
 * compared. So what was computed from a value before a compare bounds it is not used behind that
 * compare: there it is computed again, from the bounded value. CO-RE records are shared within a
 * block only. Nothing moves upwards. */
#include "address.h"
#include "blocks.h"
#include "cfg.h"
#include "fold.h"
#include "pass.h"

enum { CHAIN_MOST = 32, CLIMB_MOST = 64, BETWEEN_MOST = 256 };

/* Where an address points: to the stack, outside of it for sure, who knows, or into the context of
 * a program: packets, maps and what else pointers lead to are other memory. CONTEXT is an unknown
 * place in it, the numbers behind are its words of 8 bytes. */
enum {
    STACK,
    OUTSIDE,
    ANYWHERE,
    CONTEXT,
    CONTEXT_WORDS = 32,
    REGIONS = CONTEXT + 1 + CONTEXT_WORDS
};
typedef unsigned region;

enum { STORES = 8, LOADS = 16 };

typedef struct memory {
    uint32_t clock[REGIONS]; /* what is equal was not written between */
    eb_value stores[STORES]; /* the last ones that still stand there, or 0 */
    uint32_t next;           /* which of them goes first */
    eb_value loads[LOADS];   /* in the same way */
    uint32_t next_load;
} memory;

typedef struct gvn {
    eb_fn *fn;
    uint32_t mask, *heads, *chain; /* by hash: the newest value + its elders */
    memory *ends;                  /* of each block */
    uint64_t *writes;              /* of each block: the regions that it writes, as bits */
    memory now;
    uint32_t *seen;           /* of each block: the last join that it was looked at for */
    EB_VEC(uint32_t) between; /* such blocks */
    uint32_t clock, *age;     /* of a load: its region's clock */
    bool *compared;           /* a branch asks for its order */
    bool leaks;               /* an address of the stack is kept in memory or given to a function */
    bool gives;               /* the context's is */
    bool changed;
} gvn;

static eb_ir *at(const gvn *g, eb_value value) {
    return eb_ir_at(g->fn, value);
}

/* ---- addresses ---- */

static const eb_ir *root_of(const gvn *g, eb_value address) {
    const eb_ir *ir = at(g, address);
    for (unsigned n = 0; n < CHAIN_MOST && ir->type == EB_IR_PTR; n++) {
        if (ir->op != EB_IR_ADD && ir->op != EB_IR_SUB && ir->op != EB_IR_COPY)
            return ir;
        ir = at(g, ir->a);
    }
    return ir;
}

static region region_of(const gvn *g, eb_value address) {
    const eb_ir *root = root_of(g, address);
    switch (root->op) {
    case EB_IR_SLOT:
        return STACK;
    case EB_IR_SYMBOL:
    case EB_IR_HELPER: /* none gives the stack back */
    case EB_IR_ZEXT:   /* 32 bits are what a context says of packets */
        return OUTSIDE;
    case EB_IR_PARAM:
        return !g->fn->entry ? ANYWHERE : root->imm != 0 || g->gives ? OUTSIDE : CONTEXT;
    case EB_IR_LOAD:
        return g->leaks ? ANYWHERE : OUTSIDE;
    default:
        return ANYWHERE;
    }
}

/* Of a load or store: the word of the context, too. */
static region region_at(const gvn *g, const eb_ir *ir) {
    region where = region_of(g, ir->a);
    bool word = where == CONTEXT && at(g, ir->a)->op == EB_IR_PARAM && ir->imm >= 0 &&
                ir->imm < 8 * CONTEXT_WORDS && ir->imm % 8 + ir->size <= 8;
    return word ? CONTEXT + 1 + (region)ir->imm / 8 : where;
}

static bool never_changes(const gvn *g, eb_value address) {
    const eb_ir *root = root_of(g, address);
    return root->op == EB_IR_SYMBOL && g->fn->unit->symbols.at[root->extra].is_const;
}

static void leak(gvn *g, eb_value address) {
    region where = region_of(g, address);
    g->leaks |= where == STACK;
    g->gives |= where == CONTEXT;
}

static void find_leaks(gvn *g) {
    for (eb_value v = 1; v < g->fn->values.len; v++) {
        const eb_ir *ir = at(g, v);
        if (ir->op == EB_IR_STORE || ir->op == EB_IR_ATOMIC)
            leak(g, ir->b);
        if (ir->op != EB_IR_CALL && ir->op != EB_IR_CALLX && ir->op != EB_IR_ASM)
            continue;
        const eb_list *list = &g->fn->lists.at[ir->list];
        for (uint32_t n = 0; n < list->values.len; n++)
            leak(g, list->values.at[n]);
    }
}

/* What an instruction writes: a region, REGIONS for nothing. */
static region written(const gvn *g, const eb_ir *ir) {
    if (ir->op == EB_IR_STORE)
        return region_at(g, ir);
    if (ir->op == EB_IR_COPYMEM || ir->op == EB_IR_MOVEMEM || ir->op == EB_IR_SETMEM)
        return region_of(g, ir->a);
    bool writes = eb_ir_rows[ir->op].effect == EB_EFFECT_WRITE || ir->op == EB_IR_GOTO;
    return writes ? ANYWHERE : REGIONS;
}

static void find_writes(gvn *g) {
    for (eb_value v = 1; v < g->fn->values.len; v++) {
        const eb_ir *ir = at(g, v);
        region where = ir->block ? written(g, ir) : REGIONS;
        if (where < REGIONS)
            g->writes[ir->block] |= (uint64_t)1 << where;
    }
}

static void write_to(gvn *g, region where) {
    uint32_t *clock = g->now.clock;
    clock[ANYWHERE] = ++g->clock;
    if (where == STACK || where == ANYWHERE)
        clock[STACK] = g->clock;
    if (where == OUTSIDE || where == ANYWHERE)
        clock[OUTSIDE] = g->clock;
    if (where >= CONTEXT)
        clock[CONTEXT] = clock[where] = g->clock;
    if (where == ANYWHERE || where == CONTEXT)
        for (region n = CONTEXT; n < REGIONS; n++)
            clock[n] = g->clock;
}

/* ---- what was stored ---- */

/* The bytes at `at` behind a base; if that is a pointer with an index, they are somewhere from `lo`
 * to `hi` behind the pointer. */
typedef struct bytes {
    eb_value base, pointer; /* 0: not known */
    int64_t at, lo, hi;
    uint32_t size;
} bytes;

static bool is_near(int64_t offset) {
    return offset >= INT32_MIN && offset <= INT32_MAX;
}

static bytes bytes_of(const gvn *g, const eb_ir *ir) {
    eb_address place = eb_address_of(g->fn, ir->a);
    /* Where CO-RE says where a member is, it may be elsewhere. */
    if (ir->extra || !is_near(place.offset) || !is_near(ir->imm))
        return (bytes){0};
    int64_t from = place.offset + ir->imm;
    bytes p = {place.base, place.base, from, from, from + ir->size, ir->size};
    const eb_ir *sum = at(g, place.base);
    if (sum->op != EB_IR_ADD || sum->type != EB_IR_PTR)
        return p;
    bool first = at(g, sum->a)->type == EB_IR_PTR;
    uint64_t most = ~eb_bits_zero(g->fn, first ? sum->b : sum->a);
    eb_address start = eb_address_of(g->fn, first ? sum->a : sum->b);
    if (most <= INT32_MAX && is_near(start.offset)) {
        p.pointer = start.base;
        p.lo += start.offset;
        p.hi += start.offset + (int64_t)most;
    }
    return p;
}

/* Whether the write `y` may change what the load or store `x` had; of `y` its bytes count, if they
 * are known, and its region. */
static bool may_touch(const gvn *g, const eb_ir *x, bytes y, region b) {
    bytes p = y.base ? bytes_of(g, x) : (bytes){0};
    if (p.base && p.base == y.base)
        return p.at < y.at + y.size && y.at < p.at + p.size;
    if (p.base && p.pointer == y.pointer && (p.hi <= y.lo || y.hi <= p.lo))
        return false;
    region a = region_at(g, x);
    if (a >= CONTEXT && b >= CONTEXT)
        return a == b || a == CONTEXT || b == CONTEXT;
    return a == b || a == ANYWHERE || b == ANYWHERE;
}

static void forget_those(gvn *g, eb_value *list, unsigned count, bytes y, region where) {
    for (unsigned n = 0; n < count; n++)
        if (list[n] && may_touch(g, at(g, list[n]), y, where))
            list[n] = 0;
}

static void forget(gvn *g, bytes y, region where) {
    forget_those(g, g->now.stores, STORES, y, where);
    forget_those(g, g->now.loads, LOADS, y, where);
}

static void note_store(gvn *g, eb_value v) {
    if (at(g, v)->flags & EB_IR_VOLATILE || at(g, v)->extra)
        return;
    g->now.stores[g->now.next] = v;
    g->now.next = (g->now.next + 1) % STORES;
}

static void note_load(gvn *g, eb_value v) {
    g->now.loads[g->now.next_load] = v;
    g->now.next_load = (g->now.next_load + 1) % LOADS;
}

/* A load of what was stored before, whole and of its type, is that. Parts are left alone. */
static bool forward(gvn *g, eb_value load) {
    const eb_ir *ir = at(g, load);
    for (unsigned n = 0; n < STORES && !ir->extra; n++) {
        const eb_ir *store = at(g, g->now.stores[n]);
        if (!g->now.stores[n] || store->a != ir->a || store->imm != ir->imm ||
            store->size != ir->size)
            continue;
        eb_value value = eb_ir_origin(g->fn, store->b);
        unsigned type = at(g, value)->type;
        if (type != ir->type || ir->size != (type == EB_IR_I32 ? 4 : 8))
            continue;
        eb_ir_become(g->fn, load, value);
        g->changed = true;
        return true;
    }
    return false;
}

/* ---- what was computed ---- */

static uint32_t mix(uint32_t hash, uint64_t word) {
    uint64_t product = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(product ^ product >> 32);
}

static uint32_t hash_of(const gvn *g, const eb_ir *ir) {
    uint32_t hash =
        mix(ir->op, (uint64_t)ir->type << 24 | (uint64_t)ir->size << 16 | (uint64_t)ir->cond << 8 |
                        (ir->flags & ~(unsigned)EB_IR_NO_WRAP));
    hash = mix(hash, (uint64_t)ir->a << 32 | ir->b);
    hash = mix(hash, (uint64_t)ir->imm);
    if (ir->op == EB_IR_CORE)
        return mix(hash, eb_str_hash(g->fn->unit->cores.at[ir->extra].access));
    return mix(hash, ir->extra);
}

static bool same_record(const gvn *g, uint32_t a, uint32_t b) {
    const eb_ir_core *x = &g->fn->unit->cores.at[a], *y = &g->fn->unit->cores.at[b];
    return a == b || (x->kind == y->kind && x->of == y->of && x->value == y->value &&
                      eb_str_eq(x->access, y->access));
}

static bool is_same(const gvn *g, const eb_ir *x, const eb_ir *y) {
    return x->op == y->op && x->type == y->type && x->size == y->size && x->cond == y->cond &&
           !((x->flags ^ y->flags) & ~EB_IR_NO_WRAP) && x->a == y->a && x->b == y->b &&
           x->imm == y->imm &&
           (x->op == EB_IR_CORE ? same_record(g, x->extra, y->extra) : x->extra == y->extra);
}

/* Whether a branch between the dominating block `from` and `to` has bounded an operand. */
static bool is_bounded(const gvn *g, const eb_ir *ir, uint32_t from, uint32_t to) {
    bool a = ir->a && g->compared[ir->a], b = ir->b && g->compared[ir->b];
    if (!a && !b)
        return false;
    for (unsigned n = 0; to != from; n++) {
        to = g->fn->blocks.at[to].idom;
        const eb_ir *end = eb_block_end(g->fn, to);
        if (n == CLIMB_MOST)
            return true;
        if (end->op == EB_IR_BRANCH && ((a && (end->a == ir->a || end->b == ir->a)) ||
                                        (b && (end->a == ir->b || end->b == ir->b))))
            return true;
    }
    return false;
}

static bool is_usable(const gvn *g, eb_value elder, const eb_ir *ir) {
    const eb_ir *x = at(g, elder);
    if (!is_same(g, x, ir) || !eb_dominates(g->fn, x->block, ir->block))
        return false;
    if (ir->op == EB_IR_CORE)
        return x->block == ir->block;
    if (ir->op == EB_IR_LOAD)
        return never_changes(g, ir->a) || g->age[elder] == g->now.clock[region_at(g, ir)];
    return !is_bounded(g, ir, x->block, ir->block);
}

/* Other places were written since, but not this one. */
static bool load_again(gvn *g, eb_value load) {
    const eb_ir *ir = at(g, load);
    for (unsigned n = 0; n < LOADS; n++)
        if (g->now.loads[n] && is_same(g, at(g, g->now.loads[n]), ir)) {
            eb_ir_become(g->fn, load, g->now.loads[n]);
            return g->changed = true;
        }
    return false;
}

static void number(gvn *g, eb_value v) {
    const eb_ir *ir = at(g, v);
    uint32_t slot = hash_of(g, ir) & g->mask;
    eb_value elder = g->heads[slot];
    for (unsigned n = 0; elder && n < CHAIN_MOST; n++, elder = g->chain[elder])
        if (is_usable(g, elder, ir)) {
            at(g, elder)->flags &= (uint8_t)(ir->flags | ~EB_IR_NO_WRAP);
            eb_ir_become(g->fn, v, elder);
            g->changed = true;
            return;
        }
    if (ir->op == EB_IR_LOAD) {
        if (load_again(g, v))
            return;
        note_load(g, v);
        g->age[v] = g->now.clock[region_at(g, ir)];
    }
    g->chain[v] = g->heads[slot];
    g->heads[slot] = v;
}

/* What a phi brings but for undefined values, which may be anything: if there is one such value,
 * and it is known where the phi stands. Else 0. */
static eb_value only_defined(const gvn *g, eb_value phi) {
    const eb_list *list = &g->fn->lists.at[at(g, phi)->list];
    eb_value only = 0;
    for (uint32_t n = 0; n < list->values.len; n++) {
        eb_value value = eb_ir_origin(g->fn, list->values.at[n]);
        if (value == phi || value == only || at(g, value)->op == EB_IR_UNDEF)
            continue;
        if (only)
            return 0;
        only = value;
    }
    if (!only || at(g, only)->type != at(g, phi)->type || at(g, only)->block == at(g, phi)->block ||
        !eb_dominates(g->fn, at(g, only)->block, at(g, phi)->block))
        return 0;
    return only;
}

/* Two phis of a block with the same operands, or one that needs none. */
static void number_phi(gvn *g, eb_value v) {
    const eb_list *list = &g->fn->lists.at[at(g, v)->list];
    eb_value only = only_defined(g, v);
    if (only) {
        eb_ir_become(g->fn, v, only);
        g->changed = true;
        return;
    }
    unsigned n = 0;
    for (eb_value p = at(g, v)->prev; p && n < CHAIN_MOST; p = at(g, p)->prev, n++) {
        const eb_list *other = &g->fn->lists.at[at(g, p)->list];
        if (at(g, p)->type == at(g, v)->type &&
            !memcmp(other->values.at, list->values.at, list->values.len * sizeof(eb_value))) {
            eb_ir_become(g->fn, v, p);
            g->changed = true;
            return;
        }
    }
}

/* ---- the walk ---- */

static bool is_free(unsigned op) { /* gen makes it where it is needed */
    return op == EB_IR_CONST || op == EB_IR_SYMBOL || op == EB_IR_SLOT;
}

static bool is_pure(const eb_ir *ir) {
    return eb_ir_is_binary(ir->op) || (ir->op >= EB_IR_NEG && ir->op <= EB_IR_SPACE) ||
           ir->op == EB_IR_CORE || is_free(ir->op);
}

static void to_entry(gvn *g, eb_value v) {
    if (at(g, v)->block == 1)
        return;
    eb_ir_unlink(g->fn, v);
    eb_ir_before(g->fn, eb_block_body(g->fn, 1), v);
}

static void visit(gvn *g, eb_value v) {
    eb_uses uses = eb_uses_of(g->fn, v);
    while (eb_uses_next(&uses))
        *uses.at = eb_ir_origin(g->fn, *uses.at);
    const eb_ir *ir = at(g, v);
    if (ir->op == EB_IR_PHI) {
        number_phi(g, v);
    } else if (is_pure(ir)) {
        if (is_free(ir->op))
            to_entry(g, v);
        number(g, v);
    } else if (ir->op == EB_IR_LOAD && !(ir->flags & EB_IR_VOLATILE)) {
        if (!forward(g, v))
            number(g, v);
    } else {
        region where = written(g, ir);
        bool store = ir->op == EB_IR_STORE;
        if (where == REGIONS)
            return;
        forget(g, store ? bytes_of(g, ir) : (bytes){0}, where);
        if (store)
            note_store(g, v);
        write_to(g, where);
    }
}

/* What the blocks write that stand on ways from the dominator of `join` to it; everything where
 * these are many. */
static uint64_t written_before(gvn *g, uint32_t join) {
    uint64_t writes = 0;
    g->between.len = 0;
    for (uint32_t n = join, next = 0;; n = g->between.at[next++]) {
        const eb_block *block = &g->fn->blocks.at[n];
        for (uint32_t p = 0; p < block->preds.len; p++) {
            uint32_t pred = block->preds.at[p];
            if (pred == g->fn->blocks.at[join].idom || g->seen[pred] == join)
                continue;
            if (g->between.len == BETWEEN_MOST)
                return UINT64_MAX;
            g->seen[pred] = join;
            writes |= g->writes[pred];
            *EB_PUSH(eb_scratch(g->fn), &g->between) = pred;
        }
        if (next == g->between.len)
            return writes;
    }
}

/* Where ways meet, memory is as it was at the end of the block that dominates, but for what was
 * written since. */
static void join_memory(gvn *g, uint32_t join) {
    uint64_t writes = written_before(g, join);
    g->now = g->ends[g->fn->blocks.at[join].idom];
    for (region where = 0; where < REGIONS; where++)
        if (writes >> where & 1) {
            forget(g, (bytes){0}, where);
            write_to(g, where);
        }
}

static void visit_block(gvn *g, uint32_t block) {
    const eb_block *b = &g->fn->blocks.at[block];
    if (block == 1)
        write_to(g, ANYWHERE);
    else
        join_memory(g, block);
    for (eb_value v = b->first, next; v; v = next) {
        next = at(g, v)->next;
        visit(g, v);
    }
    g->ends[block] = g->now;
}

static void find_compared(gvn *g) {
    for (uint32_t n = 0; n < g->fn->rpo.len; n++) {
        const eb_ir *end = eb_block_end(g->fn, g->fn->rpo.at[n]);
        if (end->op == EB_IR_BRANCH)
            g->compared[end->a] = g->compared[end->b] = true;
    }
    for (eb_value v = 1; v < g->fn->values.len; v++)
        if (is_free(at(g, v)->op))
            g->compared[v] = false;
}

bool eb_pass_gvn(eb_fn *fn) {
    eb_arena *scratch = eb_scratch(fn);
    gvn g = {.fn = fn, .mask = 63};
    eb_cfg_build(fn);
    while (g.mask < fn->values.len)
        g.mask = g.mask * 2 + 1;
    g.heads = eb_alloc_array(scratch, g.mask + 1, sizeof *g.heads);
    g.chain = eb_value_map(fn);
    g.age = eb_value_map(fn);
    g.compared = eb_alloc_array(scratch, fn->values.len, sizeof *g.compared);
    g.ends = eb_alloc_array(scratch, fn->blocks.len, sizeof *g.ends);
    g.writes = eb_alloc_array(scratch, fn->blocks.len, sizeof *g.writes);
    g.seen = eb_alloc_array(scratch, fn->blocks.len, sizeof *g.seen);
    find_leaks(&g);
    find_writes(&g);
    find_compared(&g);
    for (uint32_t n = 0; n < fn->rpo.len; n++)
        visit_block(&g, fn->rpo.at[n]);
    eb_ir_settle(fn);
    return g.changed;
}
