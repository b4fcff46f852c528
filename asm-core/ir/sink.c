/* sink.c - what only one way behind a branch needs is computed there.
 *
 * A program that loads its arguments and then returns early has not loaded them; what is kept over
 * the branch is one value less, and what is computed from a value that the branch asks about is
 * computed from the bounded one. An instruction moves to the start of a block that its own leads to
 * alone, and from there on; a load only over what writes nothing. */
#include "blocks.h"
#include "cfg.h"
#include "pass.h"

/* A use of a value: by an instruction, wherever that is by now, or on the edge from a block. */
typedef struct use {
    eb_value user;
    uint32_t edge;
} use;

typedef struct sink {
    eb_fn *fn;
    uint32_t *first; /* by value: where its uses start; they end where the next one's do */
    use *uses;
} sink;

/* Counts the uses of each value, or puts them where first[] says. */
static void each_use(sink *s, bool note) {
    eb_fn *fn = s->fn;
    for (eb_value v = 1; v < fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block)
            continue;
        uint32_t n = 0;
        for (eb_uses uses = eb_uses_of(fn, v); eb_uses_next(&uses); n++) {
            uint32_t edge = ir->op == EB_IR_PHI ? fn->blocks.at[ir->block].preds.at[n] : 0;
            if (note)
                s->uses[--s->first[*uses.at]] = (use){v, edge};
            else
                s->first[*uses.at]++;
        }
    }
}

static void find_uses(sink *s) {
    uint32_t count = s->fn->values.len, sum = 0;
    s->first = eb_alloc_array(eb_scratch(s->fn), count + 1, sizeof *s->first);
    each_use(s, false);
    for (eb_value v = 0; v < count; v++)
        s->first[v] = sum += s->first[v];
    s->first[count] = sum;
    s->uses = eb_alloc_array(eb_scratch(s->fn), sum + 1, sizeof *s->uses);
    each_use(s, true);
}

/* The block behind its own, entered from there alone, that all uses are in or below; or 0. */
static uint32_t place_of(const sink *s, eb_value v, uint32_t block) {
    const eb_fn *fn = s->fn;
    uint32_t to = 0;
    for (uint32_t n = s->first[v]; n < s->first[v + 1]; n++) {
        const use *u = &s->uses[n];
        uint32_t at = u->edge ? u->edge : eb_ir_at(fn, u->user)->block;
        if (!fn->blocks.at[at].order)
            return 0;
        to = to ? eb_block_meet(fn, to, at) : at;
    }
    if (!to || to == block || !eb_dominates(fn, block, to))
        return 0;
    while (fn->blocks.at[to].idom != block)
        to = fn->blocks.at[to].idom;
    return fn->blocks.at[to].preds.len == 1 ? to : 0;
}

static bool may_move(const eb_ir *ir, bool written) {
    if (ir->op == EB_IR_LOAD)
        return !written && !(ir->flags & EB_IR_VOLATILE);
    return eb_ir_is_binary(ir->op) || (ir->op >= EB_IR_NEG && ir->op <= EB_IR_SPACE);
}

static bool sink_block(const sink *s, uint32_t block) {
    eb_fn *fn = s->fn;
    bool changed = false, written = false;
    for (eb_value v = fn->blocks.at[block].last, before; v; v = before) {
        const eb_ir *ir = eb_ir_at(fn, v);
        before = ir->prev;
        uint32_t to = may_move(ir, written) ? place_of(s, v, block) : 0;
        written |= eb_ir_rows[ir->op].effect == EB_EFFECT_WRITE;
        if (!to)
            continue;
        eb_ir_unlink(fn, v);
        eb_ir_before(fn, eb_block_body(fn, to), v);
        changed = true;
    }
    return changed;
}

bool eb_pass_sink(eb_fn *fn) {
    sink s = {.fn = fn};
    bool changed = false;
    eb_cfg_build(fn);
    find_uses(&s);
    for (uint32_t n = 0; n < fn->rpo.len; n++)
        changed |= sink_block(&s, fn->rpo.at[n]);
    return changed;
}
