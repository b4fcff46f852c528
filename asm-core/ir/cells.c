/* cells.c - scalars in memory, known across blocks: a load that finds on every way to it what was
 * stored or loaded there before is that value, through phis where the ways meet; a store over which
 * every way stores again before anybody could read it is none.
 *
 * A cell is a part of a slot or of a variable that is loaded or stored as a whole, at a constant
 * place. Two problems of data flow over sets of cells say where one is known (forwards) and where
 * its contents do not matter (backwards). Each definition of a cell that somebody reads then gets a
 * copy of its value; these copies are one variable, which eb_ssa_repair brings to the loads. A loop
 * that counts in a variable of the program becomes one that counts in a register this way, and may
 * be unrolled. Stores are never put where there was none: another CPU may be writing there. */
#include "cfg.h"
#include "mem.h"
#include "pass.h"
#include "ssa.h"

enum { CELLS_MOST = 512 };

typedef struct cell {
    eb_mem mem;
    uint8_t type; /* eb_ir_type of its values: of 8 bytes i64 or ptr, otherwise i32 */
    bool read;    /* a load of it is to be replaced */
    eb_value now; /* what it has, from an instruction of the block at work, or 0 */
    eb_value def; /* one of the copies that define it */
    uint32_t next;
} cell;

typedef struct flow { /* of a block, as sets of cells */
    uint64_t *in, *out, *gen, *kill;
} flow;

typedef struct cells {
    eb_fn *fn;
    eb_arena *scratch;
    uint8_t *escapes;
    uint32_t *of_slot, *of_symbol; /* 1 + the first cell there; cell.next goes on */
    uint32_t *of;                  /* by value: 1 + the cell that a plain load or store is of */
    EB_VEC(cell) at;
    uint32_t words;            /* of a set */
    uint64_t *world, *pointed; /* what calls touch, what unknown pointers touch */
    uint64_t *slots;           /* all cells in slots */
    uint64_t *touched;         /* of the instruction at work */
    flow *blocks;
    EB_VEC(eb_value) copies; /* each with 1 + its cell */
    bool changed;
} cells;

static bool has(const uint64_t *set, uint32_t n) {
    return set[n / 64] >> n % 64 & 1;
}
static void add(uint64_t *set, uint32_t n) {
    set[n / 64] |= (uint64_t)1 << n % 64;
}
static void subtract(const cells *c, uint64_t *from, const uint64_t *what) {
    for (uint32_t w = 0; w < c->words; w++)
        from[w] &= ~what[w];
}
static void unite(const cells *c, uint64_t *to, const uint64_t *with) {
    for (uint32_t w = 0; w < c->words; w++)
        to[w] |= with[w];
}
static uint64_t *set_new(const cells *c) {
    return eb_alloc_array(c->scratch, c->words + 1, sizeof(uint64_t));
}

/* ---- which cells there are ---- */

static bool is_plain(const eb_ir *ir) {
    return (ir->op == EB_IR_LOAD || ir->op == EB_IR_STORE) && !(ir->flags & EB_IR_VOLATILE) &&
           !ir->extra;
}

static uint32_t *chain_of(cells *c, const eb_mem *m) {
    return m->root == EB_MEM_SLOT ? &c->of_slot[m->number] : &c->of_symbol[m->number];
}

static void note_type(cells *c, cell *x, const eb_ir *ir) {
    unsigned type = ir->op == EB_IR_LOAD ? ir->type : eb_ir_at(c->fn, ir->b)->type;
    if (x->type == EB_IR_VOID)
        x->type = (uint8_t)(ir->size < 8 ? EB_IR_I32 : type);
    else if (ir->size == 8 && x->type != type)
        x->type = EB_IR_I64;
}

/* The cell that the load or store is of. */
static void note_cell(cells *c, eb_value v) {
    const eb_ir *ir = eb_ir_at(c->fn, v);
    eb_mem m = eb_mem_at(c->fn, ir->a, ir->imm, ir->size);
    if (!eb_mem_is_named(&m) || m.base)
        return;
    if (m.root == EB_MEM_SYMBOL && c->fn->unit->symbols.at[m.number].is_const)
        return; /* which nothing ever changes: gvn.c */
    uint32_t *chain = chain_of(c, &m), n = *chain;
    while (n && (c->at.at[n - 1].mem.at != m.at || c->at.at[n - 1].mem.size != m.size))
        n = c->at.at[n - 1].next;
    if (!n) {
        if (c->at.len == CELLS_MOST)
            return;
        *EB_PUSH(c->scratch, &c->at) = (cell){.mem = m, .next = *chain};
        n = *chain = c->at.len;
    }
    c->of[v] = n;
    note_type(c, &c->at.at[n - 1], ir);
}

static void find_cells(cells *c) {
    eb_fn *fn = c->fn;
    c->of_slot = eb_alloc_array(c->scratch, fn->slots.len + 1, sizeof *c->of_slot);
    c->of_symbol = eb_alloc_array(c->scratch, fn->unit->symbols.len, sizeof *c->of_symbol);
    for (uint32_t n = 0; n < fn->rpo.len; n++)
        for (eb_value v = fn->blocks.at[fn->rpo.at[n]].first; v; v = eb_ir_at(fn, v)->next)
            if (is_plain(eb_ir_at(fn, v)))
                note_cell(c, v);
}

static void find_sets(cells *c) {
    c->words = (c->at.len + 63) / 64;
    c->world = set_new(c);
    c->pointed = set_new(c);
    c->slots = set_new(c);
    c->touched = set_new(c);
    const eb_mem world = {.root = EB_MEM_WORLD}, pointer = {.root = EB_MEM_POINTER};
    for (uint32_t n = 0; n < c->at.len; n++) {
        const eb_mem *m = &c->at.at[n].mem;
        if (eb_mem_touches(c->fn, c->escapes, &world, m))
            add(c->world, n);
        if (eb_mem_touches(c->fn, c->escapes, &pointer, m))
            add(c->pointed, n);
        if (m->root == EB_MEM_SLOT)
            add(c->slots, n);
    }
}

/* The cells that may share a byte with it, without `own` (1 + a cell). */
static const uint64_t *touched_by(cells *c, const eb_mem *m, uint32_t own) {
    if (m->root == EB_MEM_WORLD)
        return c->world;
    if (m->root == EB_MEM_POINTER)
        return c->pointed;
    for (uint32_t w = 0; w < c->words; w++)
        c->touched[w] = 0;
    if (eb_mem_is_named(m))
        for (uint32_t n = *chain_of(c, m); n; n = c->at.at[n - 1].next)
            if (n != own && eb_mem_touches(c->fn, c->escapes, m, &c->at.at[n - 1].mem))
                add(c->touched, n - 1);
    return c->touched;
}

/* set = with, or set & with. */
static void intersect(const cells *c, uint64_t *set, const uint64_t *with, bool first) {
    for (uint32_t w = 0; w < c->words; w++)
        set[w] = first ? with[w] : set[w] & with[w];
}

/* out = gen | (in & ~kill); whether that is new. */
static bool pass_through(const cells *c, uint64_t *out, const uint64_t *in, const flow *f) {
    bool changed = false;
    for (uint32_t w = 0; w < c->words; w++) {
        uint64_t now = f->gen[w] | (in[w] & ~f->kill[w]);
        changed |= now != out[w];
        out[w] = now;
    }
    return changed;
}

static void start_flow(cells *c) {
    c->blocks = eb_alloc_array(c->scratch, c->fn->blocks.len, sizeof *c->blocks);
    for (uint32_t n = 0; n < c->fn->rpo.len; n++) {
        flow *f = &c->blocks[c->fn->rpo.at[n]];
        *f = (flow){set_new(c), set_new(c), set_new(c), set_new(c)};
        for (uint32_t w = 0; w < c->words; w++)
            f->in[w] = f->out[w] = UINT64_MAX;
    }
}

/* ---- loads of what is known ---- */

/* Forwards over one instruction: what is `known` behind it. */
static void learn(cells *c, eb_value v, uint64_t *known, uint64_t *killed) {
    const eb_ir *ir = eb_ir_at(c->fn, v);
    uint32_t own = c->of[v];
    eb_mem m;
    if (eb_mem_written(c->fn, ir, &m)) {
        const uint64_t *gone = touched_by(c, &m, own);
        subtract(c, known, gone);
        if (killed)
            unite(c, killed, gone);
    }
    if (own)
        add(known, own - 1);
}

static void find_known(cells *c) {
    const eb_fn *fn = c->fn;
    start_flow(c);
    for (uint32_t n = 0; n < fn->rpo.len; n++) {
        flow *f = &c->blocks[fn->rpo.at[n]];
        for (eb_value v = fn->blocks.at[fn->rpo.at[n]].first; v; v = eb_ir_at(fn, v)->next)
            learn(c, v, f->gen, f->kill);
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t n = 0; n < fn->rpo.len; n++) {
            uint32_t b = fn->rpo.at[n];
            const eb_block *block = &fn->blocks.at[b];
            flow *f = &c->blocks[b];
            for (uint32_t p = 0; p < block->preds.len; p++)
                intersect(c, f->in, c->blocks[block->preds.at[p]].out, p == 0);
            if (!block->preds.len || b == 1)
                for (uint32_t w = 0; w < c->words; w++)
                    f->in[w] = 0;
            changed |= pass_through(c, f->out, f->in, f);
        }
    }
}

/* What the cell has now; whether it had that before. */
static bool keep(cells *c, eb_value v) {
    const eb_ir *ir = eb_ir_at(c->fn, v);
    cell *x = &c->at.at[c->of[v] - 1];
    eb_value value = ir->op == EB_IR_LOAD ? v : ir->b, before = x->now;
    x->now = value;
    return ir->op == EB_IR_STORE && value == before;
}

/* Stores of what is there anyway. */
static void drop_repeated(cells *c) {
    eb_fn *fn = c->fn;
    for (uint32_t n = 0; n < fn->rpo.len; n++) {
        for (uint32_t k = 0; k < c->at.len; k++)
            c->at.at[k].now = 0;
        for (eb_value v = fn->blocks.at[fn->rpo.at[n]].first, next; v; v = next) {
            next = eb_ir_at(fn, v)->next;
            eb_mem m;
            if (c->of[v] && keep(c, v)) {
                eb_ir_remove(fn, v);
                c->changed = true;
                continue;
            }
            if (!eb_mem_written(fn, eb_ir_at(fn, v), &m))
                continue;
            const uint64_t *gone = touched_by(c, &m, c->of[v]);
            for (uint32_t k = 0; k < c->at.len; k++)
                if (has(gone, k))
                    c->at.at[k].now = 0;
        }
    }
}

/* Which loads find something, in `found`; marks their cells. */
static bool find_loads(cells *c, bool *found) {
    const eb_fn *fn = c->fn;
    uint64_t *known = set_new(c);
    bool any = false;
    for (uint32_t n = 0; n < fn->rpo.len; n++) {
        uint32_t b = fn->rpo.at[n];
        intersect(c, known, c->blocks[b].in, true);
        for (eb_value v = fn->blocks.at[b].first; v; v = eb_ir_at(fn, v)->next) {
            uint32_t own = c->of[v];
            if (own && eb_ir_at(fn, v)->op == EB_IR_LOAD && has(known, own - 1))
                any = found[v] = c->at.at[own - 1].read = true;
            learn(c, v, known, NULL);
        }
    }
    return any;
}

/* Behind a definition, a copy of what the cell has. */
static void define(cells *c, eb_value v) {
    eb_fn *fn = c->fn;
    cell *x = &c->at.at[c->of[v] - 1];
    eb_ir ir = *eb_ir_at(fn, v);
    eb_value value = ir.op == EB_IR_LOAD ? v : ir.b;
    bool narrow = x->type == EB_IR_I32 && eb_ir_at(fn, value)->type != EB_IR_I32;
    x->def =
        eb_ir_new(fn, narrow ? EB_IR_TRUNC : EB_IR_COPY, (eb_ir_type)x->type, value, 0, ir.loc);
    eb_ir_behind(fn, v, x->def);
    *EB_PUSH(c->scratch, &c->copies) = x->def;
    *EB_PUSH(c->scratch, &c->copies) = c->of[v];
}

static void replace_loads(cells *c, const bool *found) {
    eb_fn *fn = c->fn;
    uint32_t values = fn->values.len;
    for (eb_value v = 1; v < values; v++)
        if (c->of[v] && !found[v] && eb_ir_at(fn, v)->block && c->at.at[c->of[v] - 1].read)
            define(c, v);
    for (eb_value v = 1; v < values; v++)
        if (found[v]) {
            const cell *x = &c->at.at[c->of[v] - 1];
            eb_value now =
                eb_ir_new(fn, EB_IR_COPY, (eb_ir_type)x->type, x->def, 0, eb_ir_at(fn, v)->loc);
            eb_ir_before(fn, v, now);
            eb_load_become(fn, v, now);
        }
    eb_value *var = eb_value_map(fn);
    for (uint32_t n = 0; n < c->copies.len; n += 2)
        var[c->copies.at[n]] = c->copies.at[n + 1];
    eb_ssa_repair(fn, var, c->at.len);
    (void)eb_ir_settle(fn);
    c->changed = true;
}

/* ---- stores of what does not matter ---- */

/* Backwards over one instruction: what is `dead` before it. */
static void bury(cells *c, eb_value v, uint64_t *dead, uint64_t *read) {
    const eb_ir *ir = eb_ir_at(c->fn, v);
    uint32_t own = c->of[v];
    eb_mem m;
    if (own && ir->op == EB_IR_STORE)
        add(dead, own - 1);
    if (!eb_mem_read(c->fn, ir, &m))
        return;
    const uint64_t *seen = touched_by(c, &m, 0);
    subtract(c, dead, seen);
    if (read)
        unite(c, read, seen);
}

static void find_dead(cells *c) {
    const eb_fn *fn = c->fn;
    start_flow(c);
    for (uint32_t n = 0; n < fn->rpo.len; n++) {
        flow *f = &c->blocks[fn->rpo.at[n]];
        for (eb_value v = fn->blocks.at[fn->rpo.at[n]].last; v; v = eb_ir_at(fn, v)->prev)
            bury(c, v, f->gen, f->kill);
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t n = fn->rpo.len; n-- > 0;) {
            uint32_t b = fn->rpo.at[n];
            const eb_block *block = &fn->blocks.at[b];
            flow *f = &c->blocks[b];
            for (uint32_t s = 0; s < block->succs.len; s++)
                intersect(c, f->out, c->blocks[block->succs.at[s]].in, s == 0);
            if (!block->succs.len) /* behind the end, nobody reads the stack */
                intersect(c, f->out, c->slots, true);
            changed |= pass_through(c, f->in, f->out, f);
        }
    }
}

static void drop_stores(cells *c) {
    eb_fn *fn = c->fn;
    uint64_t *dead = set_new(c);
    for (uint32_t n = 0; n < fn->rpo.len; n++) {
        uint32_t b = fn->rpo.at[n];
        intersect(c, dead, c->blocks[b].out, true);
        for (eb_value v = fn->blocks.at[b].last, before; v; v = before) {
            before = eb_ir_at(fn, v)->prev;
            uint32_t own = c->of[v];
            if (own && eb_ir_at(fn, v)->op == EB_IR_STORE && has(dead, own - 1)) {
                eb_ir_remove(fn, v);
                c->changed = true;
            } else {
                bury(c, v, dead, NULL);
            }
        }
    }
}

static bool start(cells *c, eb_fn *fn) {
    eb_cfg_build(fn);
    *c = (cells){.fn = fn, .scratch = eb_scratch(fn)};
    c->escapes = eb_mem_escapes(fn);
    c->of = eb_value_map(fn);
    find_cells(c);
    find_sets(c);
    return c->at.len != 0;
}

bool eb_pass_cells(eb_fn *fn) {
    cells c;
    if (!start(&c, fn))
        return false;
    bool *found = eb_alloc_array(c.scratch, fn->values.len, sizeof *found), changed = false;
    find_known(&c);
    if (find_loads(&c, found)) {
        replace_loads(&c, found);
        changed = true;
        if (!start(&c, fn)) /* values have other numbers of cells now */
            return true;
    }
    drop_repeated(&c);
    find_dead(&c);
    drop_stores(&c);
    return changed || c.changed;
}
