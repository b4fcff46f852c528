/* memory.c - slots that stay in memory: a load gets what was stored there, and what is stored over
 * before anybody could read it is not stored.
 *
 * Contents are known as a short list of (slot, bytes, value), the bytes counted from its start or
 * from an address somewhere in it (an element at an index), carried from a block to one of which
 * it is the only predecessor. A slot whose address goes anywhere but into loads and stores at known
 * places "escapes": calls, assembly and pointers from elsewhere may read and write it. Dead stores
 * are found backwards in each block; behind a return, all slots are dead. A store to what a helper
 * is given later is not: the kernel compares the padding of keys, too. */
#include "address.h"
#include "cfg.h"
#include "pass.h"

enum { KNOWN_MOST = 48, DEAD_MOST = 64, CHAIN_MOST = 8, SCALE_MOST = 4096, NO_SLOT = UINT32_MAX };

typedef struct known {
    uint32_t slot, size;
    eb_value base; /* as in place */
    int64_t at;
    eb_value value; /* the lower `size` bytes of it stand there */
} known;

typedef struct known_list {
    known *at;
    uint32_t count;
} known_list;

typedef struct span { /* of a slot: bytes that will be written before they are read */
    uint32_t slot;
    int64_t lo, hi;
} span;

typedef struct mem {
    eb_fn *fn;
    bool *escapes, *unread; /* of slots; unread: nobody ever reads it */
    uint32_t slots;
    known_list *ends; /* of blocks */
    known now[KNOWN_MOST];
    uint32_t count;
    span dead[DEAD_MOST];
    uint32_t dead_count;
    bool changed;
} mem;

typedef struct place { /* what an instruction reads or writes */
    uint32_t slot;     /* NO_SLOT: somewhere else, or in any slot that escapes */
    eb_value base;     /* 0, or what `at` counts from: somewhere in the slot */
    int64_t at, size;
} place;

/* ---- what goes where ---- */

/* The slot that an address is in, through sums with an index. */
static uint32_t root_of(const mem *m, eb_value address) {
    for (unsigned n = 0; n < CHAIN_MOST; n++) {
        const eb_ir *ir = eb_ir_at(m->fn, eb_address_of(m->fn, address).base);
        if (ir->op == EB_IR_SLOT)
            return ir->extra;
        if (ir->op != EB_IR_ADD || ir->type != EB_IR_PTR)
            return NO_SLOT;
        bool first = eb_ir_at(m->fn, ir->a)->type == EB_IR_PTR;
        if (first == (eb_ir_at(m->fn, ir->b)->type == EB_IR_PTR))
            return NO_SLOT;
        address = first ? ir->a : ir->b;
    }
    return NO_SLOT;
}

static place place_of(const mem *m, eb_value address, int64_t imm, int64_t size) {
    eb_address at = eb_address_of(m->fn, address);
    place p = {root_of(m, address), 0, 0, size};
    if (eb_ir_at(m->fn, at.base)->op != EB_IR_SLOT)
        p.base = at.base;
    bool wraps = __builtin_add_overflow(at.offset, imm, &p.at);
    if (wraps || p.at < INT32_MIN || size < 0 || p.at > INT32_MAX || size > INT32_MAX)
        p = (place){p.slot, address, 0, size};
    return p;
}

static bool is_memory(const eb_ir *ir) {
    return ir->op == EB_IR_COPYMEM || ir->op == EB_IR_MOVEMEM || ir->op == EB_IR_SETMEM;
}

/* Whether the operand is an address that is only accessed, at a known place. */
static bool is_access(const mem *m, const eb_ir *ir, eb_value value, const eb_value *operand) {
    int64_t imm = is_memory(ir) ? 0 : ir->imm, size = is_memory(ir) ? ir->imm : ir->size;
    switch (ir->op) {
    case EB_IR_ADD:
    case EB_IR_SUB:
    case EB_IR_COPY:
        return root_of(m, value) != NO_SLOT;
    case EB_IR_STORE:
    case EB_IR_ATOMIC:
        if (operand != &ir->a)
            return false;
        break;
    case EB_IR_LOAD:
        break;
    case EB_IR_COPYMEM:
    case EB_IR_MOVEMEM:
        if (ir->c)
            return false;
        break;
    case EB_IR_SETMEM:
        if (ir->c || operand != &ir->a)
            return false;
        break;
    default:
        return false;
    }
    place p = place_of(m, *operand, imm, size);
    return p.slot != NO_SLOT &&
           (p.base || (p.at >= 0 && (uint64_t)(p.at + p.size) <= m->fn->slots.at[p.slot].size));
}

static void find_escapes(mem *m) {
    for (eb_value v = 1; v < m->fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(m->fn, v);
        if (!ir->block)
            continue;
        for (eb_uses uses = eb_uses_of(m->fn, v); eb_uses_next(&uses);) {
            uint32_t slot = root_of(m, *uses.at);
            if (slot != NO_SLOT && !is_access(m, ir, v, uses.at))
                m->escapes[slot] = true;
        }
    }
}

/* slot + constant + scale * (index + number), the index of 32 bits and extended, or of 64. */
typedef struct element {
    eb_value index;
    uint8_t extend; /* SEXT, ZEXT or NONE */
    uint32_t number;
    int64_t offset, scale; /* scale 0: it is not so */
} element;

static element element_of(const mem *m, eb_value base) {
    const eb_fn *fn = m->fn;
    const eb_ir *sum = eb_ir_at(fn, base);
    element none = {0}, e = {0};
    if (sum->op != EB_IR_ADD || sum->type != EB_IR_PTR)
        return none;
    bool first = eb_ir_at(fn, sum->a)->type == EB_IR_PTR;
    eb_address start = eb_address_of(fn, first ? sum->a : sum->b);
    const eb_ir *scaled = eb_ir_at(fn, first ? sum->b : sum->a);
    if (eb_ir_at(fn, start.base)->op != EB_IR_SLOT || !eb_ir_is_const(fn, scaled->b))
        return none;
    int64_t by = eb_ir_at(fn, scaled->b)->imm;
    if (scaled->op == EB_IR_SHL && by >= 0 && by < 12)
        e.scale = (int64_t)1 << by;
    else if (scaled->op == EB_IR_MUL && by > 0 && by < SCALE_MOST)
        e.scale = by;
    const eb_ir *wide = eb_ir_at(fn, scaled->a);
    bool extends = wide->op == EB_IR_ZEXT || (wide->op == EB_IR_SEXT && wide->size == 4);
    if (!e.scale || !extends || eb_ir_at(fn, wide->a)->type != EB_IR_I32)
        return none;
    const eb_ir *narrow = eb_ir_at(fn, wide->a);
    bool moved = narrow->op == EB_IR_ADD && eb_ir_is_const(fn, narrow->b);
    e.offset = start.offset;
    e.extend = wide->op;
    e.index = moved ? narrow->a : wide->a;
    e.number = moved ? (uint32_t)eb_ir_at(fn, narrow->b)->imm : 0;
    return e;
}

static bool is_inside(place p, int64_t scale) {
    return p.at >= 0 && p.at + p.size <= scale;
}

/* Other elements of one array: indices that differ by less than 2^32 before they are extended
 * differ behind it. */
static bool is_other_element(const mem *m, place p, place q) {
    if (!p.base || !q.base)
        return false;
    element x = element_of(m, p.base), y = element_of(m, q.base);
    return x.scale && x.scale == y.scale && x.index == y.index && x.extend == y.extend &&
           x.offset == y.offset && x.number != y.number && is_inside(p, x.scale) &&
           is_inside(q, x.scale);
}

static bool touches(const mem *m, place p, place q) {
    if (p.slot == NO_SLOT)
        return m->escapes[q.slot];
    if (p.slot != q.slot || p.base != q.base)
        return p.slot == q.slot && !is_other_element(m, p, q);
    return p.at < q.at + q.size && q.at < p.at + p.size;
}

static const place everywhere = {NO_SLOT, 0, 0, 0};

/* What an instruction reads or writes, other than a plain load or store. */
static bool written(const mem *m, const eb_ir *ir, place *p) {
    *p = everywhere;
    if (ir->op == EB_IR_STORE || ir->op == EB_IR_ATOMIC)
        *p = place_of(m, ir->a, ir->imm, ir->size);
    else if (is_memory(ir) && !ir->c)
        *p = place_of(m, ir->a, 0, ir->imm);
    return eb_ir_rows[ir->op].effect == EB_EFFECT_WRITE || ir->op == EB_IR_GOTO;
}

static bool read(const mem *m, const eb_ir *ir, place *p) {
    *p = everywhere;
    if (ir->op == EB_IR_STORE || ir->op == EB_IR_SETMEM)
        return false;
    if (ir->op == EB_IR_LOAD || ir->op == EB_IR_ATOMIC)
        *p = place_of(m, ir->a, ir->imm, ir->size);
    else if (is_memory(ir) && !ir->c)
        *p = place_of(m, ir->b, 0, ir->imm);
    return eb_ir_rows[ir->op].effect != EB_EFFECT_PURE && ir->op != EB_IR_JUMP &&
           ir->op != EB_IR_BRANCH && ir->op != EB_IR_RETURN && ir->op != EB_IR_UNREACHABLE;
}

/* ---- loads get what was stored ---- */

static place place_known(const known *k) {
    return (place){k->slot, k->base, k->at, k->size};
}

static void forget(mem *m, place p) {
    uint32_t kept = 0;
    for (uint32_t n = 0; n < m->count; n++)
        if (!touches(m, p, place_known(&m->now[n])))
            m->now[kept++] = m->now[n];
    m->count = kept;
}

static void learn(mem *m, place p, eb_value value) {
    if (p.slot == NO_SLOT)
        return;
    if (m->count == KNOWN_MOST) /* the eldest goes */
        memmove(m->now, m->now + 1, --m->count * sizeof m->now[0]);
    m->now[m->count++] = (known){p.slot, (uint32_t)p.size, p.base, p.at, value};
}

static eb_value put(mem *m, eb_value before, eb_ir_op op, eb_ir_type type, eb_value a, eb_value b) {
    eb_value v = eb_ir_new(m->fn, op, type, a, b, eb_ir_at(m->fn, before)->loc);
    eb_ir_before(m->fn, before, v);
    return v;
}

/* The lower `size` bytes of the value as the load would give them. */
static void become(mem *m, eb_value load, eb_value value) {
    eb_ir ir = *eb_ir_at(m->fn, load);
    eb_ir_type has = (eb_ir_type)eb_ir_at(m->fn, value)->type;
    eb_ir_type wants = (eb_ir_type)ir.type;
    if (ir.size < 8 && has != EB_IR_I32)
        value = put(m, load, EB_IR_TRUNC, EB_IR_I32, value, 0);
    if (ir.size < 8 && (ir.flags & EB_IR_SIGNED) && (ir.size < 4 || wants != EB_IR_I32)) {
        value = put(m, load, EB_IR_SEXT, wants, value, 0);
        eb_ir_at(m->fn, value)->size = ir.size;
    } else if (ir.size < 8) {
        if (ir.size < 4) {
            eb_value mask = put(m, load, EB_IR_CONST, EB_IR_I32, 0, 0);
            eb_ir_at(m->fn, mask)->imm = ir.size == 1 ? 0xff : 0xffff;
            value = put(m, load, EB_IR_AND, EB_IR_I32, value, mask);
        }
        if (wants != EB_IR_I32)
            value = put(m, load, EB_IR_ZEXT, EB_IR_I64, value, 0);
    } else if (has != wants) {
        value = put(m, load, EB_IR_COPY, wants, value, 0);
    }
    eb_ir_become(m->fn, load, value);
    m->changed = true;
}

static void forward(mem *m, eb_value v) {
    const eb_ir *ir = eb_ir_at(m->fn, v);
    place p;
    if (ir->op == EB_IR_LOAD && !(ir->flags & EB_IR_VOLATILE) && !ir->extra) {
        p = place_of(m, ir->a, ir->imm, ir->size);
        for (uint32_t n = 0; n < m->count; n++)
            if (m->now[n].slot == p.slot && m->now[n].base == p.base && m->now[n].at == p.at &&
                m->now[n].size == p.size) {
                become(m, v, m->now[n].value);
                return;
            }
    }
    if (!written(m, ir, &p))
        return;
    forget(m, p);
    if (ir->op == EB_IR_STORE && !(ir->flags & EB_IR_VOLATILE) && !ir->extra)
        learn(m, p, ir->b);
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

static void revive(mem *m, place p) {
    uint32_t kept = 0;
    for (uint32_t n = 0; n < m->dead_count; n++)
        if (!touches(m, p,
                     (place){m->dead[n].slot, 0, m->dead[n].lo, m->dead[n].hi - m->dead[n].lo}))
            m->dead[kept++] = m->dead[n];
    m->dead_count = kept;
}

static bool is_dead(const mem *m, place p) {
    if (m->unread[p.slot])
        return true;
    for (uint32_t n = 0; n < m->dead_count; n++)
        if (m->dead[n].slot == p.slot && !p.base && m->dead[n].lo <= p.at &&
            p.at + p.size <= m->dead[n].hi)
            return true;
    return false;
}

/* The bytes join spans that they meet. */
static void bury(mem *m, place p) {
    span s = {p.slot, p.at, p.at + p.size};
    uint32_t kept = 0;
    if (p.slot == NO_SLOT || p.base)
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
    place p;
    bool plain = (ir->op == EB_IR_STORE || ir->op == EB_IR_SETMEM || ir->op == EB_IR_COPYMEM) &&
                 !(ir->flags & EB_IR_VOLATILE) && !ir->c;
    if (plain && written(m, ir, &p) && p.slot != NO_SLOT) {
        if (is_dead(m, p)) {
            eb_ir_remove(m->fn, v);
            m->changed = true;
            return;
        }
        bury(m, p);
    }
    if (read(m, ir, &p))
        revive(m, p);
}

static void find_unread(mem *m) {
    place p;
    for (uint32_t n = 0; n < m->slots; n++)
        m->unread[n] = !m->escapes[n];
    for (eb_value v = 1; v < m->fn->values.len; v++)
        if (eb_ir_at(m->fn, v)->block && read(m, eb_ir_at(m->fn, v), &p) && p.slot != NO_SLOT)
            m->unread[p.slot] = false;
}

static void drop_dead(mem *m, uint32_t b) {
    const eb_block *block = &m->fn->blocks.at[b];
    m->dead_count = 0;
    if (eb_ir_at(m->fn, block->last)->op == EB_IR_RETURN)
        for (uint32_t n = 0; n < m->slots && n < DEAD_MOST; n++)
            bury(m, (place){n, 0, 0, INT32_MAX});
    for (eb_value v = block->last, before; v; v = before) {
        before = eb_ir_at(m->fn, v)->prev;
        visit_dead(m, v);
    }
}

bool eb_pass_memory(eb_fn *fn) {
    mem m = {.fn = fn, .slots = fn->slots.len};
    if (!m.slots)
        return false;
    eb_cfg_build(fn);
    m.escapes = eb_alloc_array(eb_scratch(fn), m.slots, sizeof *m.escapes);
    m.unread = eb_alloc_array(eb_scratch(fn), m.slots, sizeof *m.unread);
    m.ends = eb_alloc_array(eb_scratch(fn), fn->blocks.len, sizeof *m.ends);
    find_escapes(&m);
    for (uint32_t n = 0; n < fn->rpo.len; n++)
        forward_block(&m, fn->rpo.at[n]);
    (void)eb_ir_settle(fn);
    find_unread(&m);
    for (uint32_t n = 0; n < fn->rpo.len; n++)
        drop_dead(&m, fn->rpo.at[n]);
    return m.changed;
}
