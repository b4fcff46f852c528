/* fill.c - memory that nothing writes but memset with one byte: copies of it are memsets.
 *
 * What sroa leaves of `union all u = {}` are the bytes that the program has no name for; they are
 * zeroed, and copied along with the rest. A slot whose address goes nowhere else has that byte or
 * no value at all, wherever a copy of it stands. Nobody reads it then, and it is gone. */
#include "cfg.h"
#include "mem.h"
#include "pass.h"

enum { NOTHING, FILLED, VARIED };
enum { ROUNDS_MOST = 4, WORD = 8 };

typedef struct fill {
    uint8_t state, byte;
} fill;

static void note(fill *of, const eb_fn *fn, const eb_ir *ir) {
    bool known = ir->op == EB_IR_SETMEM && !(ir->flags & EB_IR_VOLATILE) &&
                 eb_ir_at(fn, ir->b)->op == EB_IR_CONST;
    uint8_t byte = known ? (uint8_t)eb_ir_at(fn, ir->b)->imm : 0;
    if (!known || (of->state != NOTHING && of->byte != byte))
        of->state = VARIED;
    else if (of->state == NOTHING)
        *of = (fill){FILLED, byte};
}

static void find(eb_fn *fn, const uint8_t *escapes, fill *fills) {
    for (uint32_t n = 0; n < fn->slots.len; n++)
        fills[n] = (fill){.state = escapes[n] ? VARIED : NOTHING};
    for (eb_value v = 1; v < fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        eb_mem p;
        if (ir->block && eb_mem_written(fn, ir, &p) && p.root == EB_MEM_SLOT)
            note(&fills[p.number], fn, ir);
    }
}

/* In words as large as its target is aligned, which the source need not be any more. */
static uint8_t align_of(const eb_fn *fn, const eb_mem *to, uint8_t known) {
    uint32_t align = WORD;
    if (to->root != EB_MEM_SLOT || to->base)
        return known;
    while (align > known && (fn->slots.at[to->number].align % align || to->at % align))
        align /= 2;
    return (uint8_t)align;
}

static bool become_memset(eb_fn *fn, const fill *fills, eb_value copy) {
    eb_ir *ir = eb_ir_at(fn, copy);
    eb_mem from, to;
    bool fixed = (ir->op == EB_IR_COPYMEM || ir->op == EB_IR_MOVEMEM) && !ir->c;
    if (!ir->block || !fixed || (ir->flags & EB_IR_VOLATILE) || !eb_mem_read(fn, ir, &from) ||
        !eb_mem_written(fn, ir, &to) || from.root != EB_MEM_SLOT ||
        fills[from.number].state != FILLED)
        return false;
    eb_value byte = eb_ir_const(fn, EB_IR_I32, fills[from.number].byte, ir->loc);
    eb_ir_before(fn, copy, byte);
    ir = eb_ir_at(fn, copy);
    ir->op = EB_IR_SETMEM;
    ir->b = byte;
    ir->size = align_of(fn, &to, ir->size);
    return true;
}

/* A copy into another such slot fills that: then again. */
bool eb_pass_fill(eb_fn *fn) {
    const uint8_t *escapes = eb_mem_escapes(fn);
    fill *fills = eb_alloc_array(eb_scratch(fn), fn->slots.len + 1, sizeof *fills);
    bool changed = false, more = fn->slots.len != 0;
    for (unsigned round = 0; more && round < ROUNDS_MOST; round++) {
        more = false;
        find(fn, escapes, fills);
        for (eb_value v = 1, count = fn->values.len; v < count; v++)
            more |= become_memset(fn, fills, v);
        changed |= more;
    }
    return changed;
}
