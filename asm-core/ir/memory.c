/* memory.c - slots that stay in memory: a load gets what was stored there, as a load of a variable
 * does, and what is stored over before anybody could read it is not stored.
 *
 * Contents are known as a short list of (slot or variable, bytes, value), the bytes counted from
 * its start or from an address somewhere in it (an element at an index), carried from a block to
 * one of which it is the only predecessor. Dead stores are found backwards, from blocks to those
 * that lead there; behind a return, all slots are dead. A store to what a helper is given later is
 * not: the kernel compares the padding of keys, too. Scalars at constant places are known further:
 * cells.c.
 */
#include "cfg.h"
#include "pass.h"
#include "mem.h"

enum { KNOWN_MOST = 48, DEAD_MOST = 64 };

typedef struct known {
    eb_mem place;   /* in a slot or variable */
    eb_value value; /* its lower bytes stand there */
} known;

typedef struct known_list {
    known *at;
    uint32_t count;
} known_list;

typedef struct span { /* of a slot: bytes that will be written before they are read */
    uint32_t slot;
    int64_t lo, hi;
} span;

typedef struct span_list {
    span *at;
    uint32_t count;
} span_list;

typedef struct mem {
    eb_fn *fn;
    uint8_t *escapes;
    bool *unread; /* by slot: nobody ever reads it */
    uint32_t slots;
    known_list *ends;  /* of blocks */
    span_list *starts; /* of blocks that have been looked at backwards */
    known now[KNOWN_MOST];
    uint32_t count;
    span dead[DEAD_MOST];
    uint32_t dead_count;
    bool changed;
} mem;

/* ---- loads get what was stored ---- */

static void forget(mem *m, const eb_mem *p) {
    uint32_t kept = 0;
    for (uint32_t n = 0; n < m->count; n++)
        if (!eb_mem_touches(m->fn, m->escapes, p, &m->now[n].place))
            m->now[kept++] = m->now[n];
    m->count = kept;
}

static void learn(mem *m, const eb_mem *p, eb_value value) {
    if (!eb_mem_is_named(p))
        return;
    if (m->count == KNOWN_MOST) /* the eldest goes */
        memmove(m->now, m->now + 1, --m->count * sizeof m->now[0]);
    m->now[m->count++] = (known){*p, value};
}

/* How many bits above the lowest of what is known the bytes of `p` are, or -1: elsewhere. */
static int bits_above(const mem *m, const eb_mem *whole, const eb_mem *p) {
    int64_t from = p->at - whole->at, to = from + p->size;
    if (whole->root != p->root || whole->number != p->number || whole->base != p->base ||
        from < 0 || to > whole->size)
        return -1;
    return (int)(8 * (m->fn->unit->big ? whole->size - to : from));
}

/* What the load at `place` gives of the value; 0 if that would cost more than the load. */
static eb_value part_of(mem *m, eb_value place, eb_value value, int above) {
    const eb_ir *ir = eb_ir_at(m->fn, value);
    if (ir->type == EB_IR_PTR && eb_ir_at(m->fn, place)->size < 8)
        return 0;
    if (!above)
        return value;
    if (ir->op != EB_IR_CONST)
        return 0;
    eb_value part = eb_ir_new(m->fn, EB_IR_CONST, EB_IR_I64, 0, 0, eb_ir_at(m->fn, place)->loc);
    eb_ir_at(m->fn, part)->imm = (int64_t)((uint64_t)eb_ir_at(m->fn, value)->imm >> above);
    eb_ir_before(m->fn, place, part);
    return part;
}

static bool find(mem *m, eb_value load) {
    const eb_ir *ir = eb_ir_at(m->fn, load);
    eb_mem p = eb_mem_at(m->fn, ir->a, ir->imm, ir->size);
    for (uint32_t n = 0; n < m->count && eb_mem_is_named(&p); n++) {
        int above = bits_above(m, &m->now[n].place, &p);
        eb_value part = above < 0 ? 0 : part_of(m, load, m->now[n].value, above);
        if (!part)
            continue;
        eb_load_become(m->fn, load, part);
        return m->changed = true;
    }
    return false;
}

static void forward(mem *m, eb_value v) {
    const eb_ir *ir = eb_ir_at(m->fn, v);
    eb_mem p;
    if (ir->op == EB_IR_LOAD && !(ir->flags & EB_IR_VOLATILE) && !ir->extra && find(m, v))
        return;
    ir = eb_ir_at(m->fn, v);
    if (!eb_mem_written(m->fn, ir, &p))
        return;
    forget(m, &p);
    if (ir->op == EB_IR_STORE && !(ir->flags & EB_IR_VOLATILE) && !ir->extra)
        learn(m, &p, ir->b);
}

static void forward_block(mem *m, uint32_t b) {
    eb_fn *fn = m->fn;
    const eb_block *block = &fn->blocks.at[b];
    m->count = 0;
    if (block->preds.len == 1) {
        const known_list *before = &m->ends[block->preds.at[0]];
        m->count = before->count;
        if (m->count)
            memcpy(m->now, before->at, m->count * sizeof m->now[0]);
    }
    for (eb_value v = block->first, next; v; v = next) {
        next = eb_ir_at(fn, v)->next;
        forward(m, v);
    }
    if (!m->count)
        return;
    known_list *end = &m->ends[b];
    end->at = eb_alloc_array(eb_scratch(fn), m->count, sizeof *end->at);
    memcpy(end->at, m->now, m->count * sizeof m->now[0]);
    end->count = m->count;
}

/* ---- stores that nobody sees ---- */

static eb_mem place_in(uint32_t slot, int64_t lo, int64_t hi) {
    return (eb_mem){.root = EB_MEM_SLOT, .number = slot, .at = lo, .size = hi - lo};
}

static void revive(mem *m, const eb_mem *p) {
    uint32_t kept = 0;
    for (uint32_t n = 0; n < m->dead_count; n++) {
        eb_mem dead = place_in(m->dead[n].slot, m->dead[n].lo, m->dead[n].hi);
        if (!eb_mem_touches(m->fn, m->escapes, p, &dead))
            m->dead[kept++] = m->dead[n];
    }
    m->dead_count = kept;
}

static bool is_dead(const mem *m, const eb_mem *p) {
    if (m->unread[p->number])
        return true;
    for (uint32_t n = 0; n < m->dead_count; n++)
        if (m->dead[n].slot == p->number && !p->base && m->dead[n].lo <= p->at &&
            p->at + p->size <= m->dead[n].hi)
            return true;
    return false;
}

/* The bytes join spans that they meet. */
static void bury(mem *m, const eb_mem *p) {
    span s = {p->number, p->at, p->at + p->size};
    uint32_t kept = 0;
    if (p->base)
        return;
    for (uint32_t n = 0; n < m->dead_count; n++) {
        span old = m->dead[n];
        if (old.slot != s.slot || old.lo > s.hi || s.lo > old.hi) {
            m->dead[kept++] = old;
            continue;
        }
        s.lo = old.lo < s.lo ? old.lo : s.lo;
        s.hi = old.hi > s.hi ? old.hi : s.hi;
    }
    if (kept == DEAD_MOST)
        memmove(m->dead, m->dead + 1, --kept * sizeof m->dead[0]);
    m->dead[kept++] = s;
    m->dead_count = kept;
}

static void visit_dead(mem *m, eb_value v) {
    const eb_ir *ir = eb_ir_at(m->fn, v);
    eb_mem p;
    bool plain = (ir->op == EB_IR_STORE || ir->op == EB_IR_SETMEM || ir->op == EB_IR_COPYMEM) &&
                 !(ir->flags & EB_IR_VOLATILE) && !ir->c;
    if (plain && eb_mem_written(m->fn, ir, &p) && p.root == EB_MEM_SLOT) {
        if (is_dead(m, &p)) {
            eb_ir_remove(m->fn, v);
            m->changed = true;
            return;
        }
        bury(m, &p);
    }
    if (eb_mem_read(m->fn, ir, &p))
        revive(m, &p);
}

static void find_unread(mem *m) {
    eb_mem p;
    for (uint32_t n = 0; n < m->slots; n++)
        m->unread[n] = !m->escapes[n];
    for (eb_value v = 1; v < m->fn->values.len; v++)
        if (eb_ir_at(m->fn, v)->block && eb_mem_read(m->fn, eb_ir_at(m->fn, v), &p) &&
            p.root == EB_MEM_SLOT)
            m->unread[p.number] = false;
}

/* What is dead where either way goes on. */
static void meet(mem *m, const span_list *other) {
    span both[DEAD_MOST];
    uint32_t count = 0;
    for (uint32_t n = 0; n < m->dead_count; n++)
        for (uint32_t k = 0; k < other->count && count < DEAD_MOST; k++) {
            span a = m->dead[n], b = other->at[k];
            span s = {a.slot, a.lo > b.lo ? a.lo : b.lo, a.hi < b.hi ? a.hi : b.hi};
            if (a.slot == b.slot && s.lo < s.hi)
                both[count++] = s;
        }
    memcpy(m->dead, both, count * sizeof both[0]);
    m->dead_count = count;
}

/* What is dead at the end of a block; of a block that follows and has not been looked at, as the
 * first one of a loop, nothing is. */
static void start_dead(mem *m, const eb_block *block) {
    m->dead_count = 0;
    for (uint32_t n = 0; !block->succs.len && n < m->slots && n < DEAD_MOST; n++) {
        eb_mem slot = place_in(n, 0, INT32_MAX);
        bury(m, &slot);
    }
    for (uint32_t s = 0; s < block->succs.len; s++) {
        const span_list *next = &m->starts[block->succs.at[s]];
        if (s) {
            meet(m, next);
            continue;
        }
        m->dead_count = next->count;
        if (next->count)
            memcpy(m->dead, next->at, next->count * sizeof m->dead[0]);
    }
}

static void drop_dead(mem *m, uint32_t b) {
    start_dead(m, &m->fn->blocks.at[b]);
    for (eb_value v = m->fn->blocks.at[b].last, before; v; v = before) {
        before = eb_ir_at(m->fn, v)->prev;
        visit_dead(m, v);
    }
    span_list *start = &m->starts[b];
    if (!m->dead_count)
        return;
    start->count = m->dead_count;
    start->at = eb_alloc_array(eb_scratch(m->fn), m->dead_count, sizeof *start->at);
    memcpy(start->at, m->dead, m->dead_count * sizeof m->dead[0]);
}

bool eb_pass_memory(eb_fn *fn) {
    mem m = {.fn = fn, .slots = fn->slots.len};
    if (!m.slots)
        return false;
    eb_cfg_build(fn);
    m.escapes = eb_mem_escapes(fn);
    m.unread = eb_alloc_array(eb_scratch(fn), m.slots, sizeof *m.unread);
    m.ends = eb_alloc_array(eb_scratch(fn), fn->blocks.len, sizeof *m.ends);
    for (uint32_t n = 0; n < fn->rpo.len; n++)
        forward_block(&m, fn->rpo.at[n]);
    (void)eb_ir_settle(fn);
    find_unread(&m);
    m.starts = eb_alloc_array(eb_scratch(fn), fn->blocks.len, sizeof *m.starts);
    for (uint32_t n = fn->rpo.len; n-- > 0;)
        drop_dead(&m, fn->rpo.at[n]);
    return m.changed;
}
