/* homes.c - where an address or a wide constant that several blocks need is made once, instead of
 * in each of them: two slots each time. The place is the nearest block that dominates all uses, out
 * of loops. A call's argument gains less: it is a copy then. The allocator makes it again, where it
 * is used, when it finds no register for all the way. */
#include "cfg.h"
#include "select.h"

typedef struct homes {
    eb_fn *fn;
    uint32_t *home; /* by value: the nearest block above all uses so far, or 0 */
    uint32_t *last; /* by value: the block of the last use that gained */
    uint32_t *gain; /* by value: slots */
} homes;

static bool is_wide(const eb_ir *ir) {
    bool narrow = ir->imm >= INT32_MIN && ir->imm <= UINT32_MAX;
    return ir->op == EB_IR_SYMBOL || (ir->op == EB_IR_CONST && !narrow);
}

static uint32_t meet(const eb_fn *fn, uint32_t a, uint32_t b) {
    while (a != b) {
        bool deeper = fn->blocks.at[a].level > fn->blocks.at[b].level;
        if (deeper)
            a = fn->blocks.at[a].idom;
        else
            b = fn->blocks.at[b].idom;
    }
    return a;
}

static void note(homes *h, eb_value v, uint32_t block, bool copied) {
    h->home[v] = h->home[v] ? meet(h->fn, h->home[v], block) : block;
    if (copied)
        h->gain[v]++;
    else if (h->last[v] != block)
        h->gain[v] += 2;
    if (!copied)
        h->last[v] = block;
}

static void note_uses(homes *h, eb_value user, uint32_t block) {
    eb_fn *fn = h->fn;
    const eb_ir *ir = eb_ir_at(fn, user);
    if (ir->op == EB_IR_PHI) {
        const eb_block *at = &fn->blocks.at[block];
        for (uint32_t p = 0; p < at->preds.len; p++) {
            eb_value v = *eb_phi_at(fn, user, p);
            if (v && is_wide(eb_ir_at(fn, v)))
                note(h, v, at->preds.at[p], true);
        }
        return;
    }
    bool calls = ir->op == EB_IR_CALL || ir->op == EB_IR_HELPER || ir->op == EB_IR_CALLX;
    for (eb_uses u = eb_uses_of(fn, user); eb_uses_next(&u);)
        if (is_wide(eb_ir_at(fn, *u.at)))
            note(h, *u.at, block, calls || ir->op == EB_IR_RETURN);
}

static uint32_t out_of_loops(const eb_fn *fn, uint32_t block) {
    while (fn->blocks.at[block].loop) {
        uint32_t header = fn->blocks.at[block].loop;
        if (!fn->blocks.at[header].idom)
            break;
        block = fn->blocks.at[header].idom;
    }
    return block;
}

uint32_t *eb_sel_homes(eb_fn *fn) {
    homes h = {.fn = fn};
    h.home = eb_value_map(fn);
    h.last = eb_value_map(fn);
    h.gain = eb_value_map(fn);
    for (uint32_t n = 0; n < fn->rpo.len; n++)
        for (eb_value v = fn->blocks.at[fn->rpo.at[n]].first; v; v = eb_ir_at(fn, v)->next)
            note_uses(&h, v, fn->rpo.at[n]);
    for (eb_value v = 1; v < fn->values.len; v++) {
        bool pays = h.home[v] && h.gain[v] > 2;
        h.home[v] = pays ? out_of_loops(fn, h.home[v]) : 0;
    }
    return h.home;
}
