/* recur.c - a function that calls itself as the last thing it does goes back to its start instead,
 * with new parameters, as clang has it. The kernel has no recursion, and what is always_inline
 * could not be inlined into itself.
 *
 * A call is the last thing where its result, or nothing, is returned right behind it, maybe at the
 * end of some jumps. Frames of the calls would be one then, so no slot's address may
 * go anywhere. */
#include "cfg.h"
#include "mem.h"
#include "pass.h"

enum { HOPS_MOST = 8 };

typedef struct recursion {
    eb_fn *fn;
    uint32_t start;     /* the block to which calls lead back */
    const eb_value *at; /* by parameter: its PARAM, or 0 */
    eb_value *phi;
} recursion;

/* Whether nothing follows the call but jumps to a RETURN of its result, or of nothing. */
static bool is_last(const eb_fn *fn, eb_value call) {
    eb_value value = call, v = eb_ir_at(fn, call)->next;
    for (unsigned hops = 0; hops < HOPS_MOST && eb_ir_at(fn, v)->op == EB_IR_JUMP; hops++) {
        uint32_t block = eb_ir_at(fn, v)->block, to = fn->blocks.at[block].succs.at[0];
        uint32_t edge = eb_edge_of(fn, block, 0);
        eb_value now = value;
        for (v = fn->blocks.at[to].first; eb_ir_at(fn, v)->op == EB_IR_PHI;
             v = eb_ir_at(fn, v)->next)
            if (*eb_phi_at(fn, v, edge) == value)
                now = v;
        value = now;
    }
    const eb_ir *end = eb_ir_at(fn, v);
    return end->op == EB_IR_RETURN && (!end->a || end->a == value);
}

/* Numbers and addresses are the same to a register; halves are not. */
static bool fits(const eb_fn *fn, const eb_ir *call, const eb_value *params) {
    const eb_list *list = &fn->lists.at[call->list];
    if (list->values.len != fn->params)
        return false;
    for (uint32_t n = 0; n < fn->params; n++) {
        bool half = params[n] && eb_ir_at(fn, params[n])->type == EB_IR_I32;
        if (params[n] && half != (eb_ir_at(fn, list->values.at[n])->type == EB_IR_I32))
            return false;
    }
    return true;
}

static bool is_candidate(const eb_fn *fn, eb_value v, const eb_value *params) {
    const eb_ir *ir = eb_ir_at(fn, v);
    return ir->block && ir->op == EB_IR_CALL && ir->extra == fn->symbol && is_last(fn, v) &&
           fits(fn, ir, params);
}

static bool keeps_slots(eb_fn *fn) {
    const uint8_t *escapes = eb_mem_escapes(fn);
    for (uint32_t n = 0; n < fn->slots.len; n++)
        if (escapes[n] != EB_MEM_STAYS)
            return false;
    return true;
}

/* Parameters stay in the entry; all else is in a block of its own, with a phi for each. */
static void make_start(recursion *r) {
    eb_fn *fn = r->fn;
    eb_value first = fn->blocks.at[1].first;
    eb_loc loc = eb_ir_at(fn, first)->loc;
    r->start = eb_block_split(fn, first);
    for (uint32_t n = 0; n < fn->params; n++)
        if (r->at[n]) {
            eb_ir_unlink(fn, r->at[n]);
            eb_ir_append(fn, 1, r->at[n]);
        }
    eb_ir_append(fn, 1, eb_ir_new(fn, EB_IR_JUMP, EB_IR_VOID, 0, 0, loc));
    eb_edge_add(fn, 1, r->start);
    for (uint32_t n = 0; n < fn->params; n++) {
        if (!r->at[n])
            continue;
        r->phi[n] = eb_ir_new(fn, EB_IR_PHI, (eb_ir_type)eb_ir_at(fn, r->at[n])->type, 0, 0, loc);
        uint32_t list = eb_list_new(fn, &r->at[n], 1);
        eb_ir_at(fn, r->phi[n])->list = list;
        eb_ir_before(fn, fn->blocks.at[r->start].first, r->phi[n]);
    }
}

/* Who used a parameter uses its phi. */
static void use_phis(const recursion *r) {
    eb_fn *fn = r->fn;
    for (eb_value v = 1; v < fn->values.len; v++)
        for (eb_uses uses = eb_uses_of(fn, v); eb_ir_at(fn, v)->block && eb_uses_next(&uses);)
            for (uint32_t n = 0; n < fn->params; n++)
                if (*uses.at == r->at[n] && v != r->phi[n])
                    *uses.at = r->phi[n];
}

static void go_back(const recursion *r, eb_value call) {
    eb_fn *fn = r->fn;
    eb_ir was = *eb_ir_at(fn, call);
    eb_value end = was.next;
    if (eb_ir_at(fn, end)->op == EB_IR_JUMP)
        eb_edge_cut(fn, was.block, 0);
    eb_edge_add(fn, was.block, r->start);
    for (uint32_t n = 0; n < fn->params; n++) {
        if (!r->phi[n])
            continue;
        eb_value value = fn->lists.at[was.list].values.at[n];
        eb_ir_type type = (eb_ir_type)eb_ir_at(fn, r->phi[n])->type;
        if (eb_ir_at(fn, value)->type != type) {
            value = eb_ir_new(fn, EB_IR_COPY, type, value, 0, was.loc);
            eb_ir_before(fn, call, value);
        }
        *eb_phi_at(fn, r->phi[n], fn->blocks.at[r->start].preds.len - 1) = value;
    }
    eb_ir_remove(fn, end);
    eb_ir_remove(fn, call);
    eb_ir_append(fn, was.block, eb_ir_new(fn, EB_IR_JUMP, EB_IR_VOID, 0, 0, was.loc));
}

bool eb_pass_recur(eb_fn *fn) {
    eb_value *params = eb_alloc_array(eb_scratch(fn), fn->params + 1, sizeof *params);
    eb_value *phis = eb_alloc_array(eb_scratch(fn), fn->params + 1, sizeof *phis);
    recursion r = {.fn = fn, .at = params, .phi = phis};
    eb_value count = fn->values.len;
    for (eb_value v = fn->blocks.at[1].first; v; v = eb_ir_at(fn, v)->next)
        if (eb_ir_at(fn, v)->op == EB_IR_PARAM)
            params[eb_ir_at(fn, v)->imm] = v;
    for (eb_value v = 1; v < count; v++) {
        if (!is_candidate(fn, v, params))
            continue;
        if (!r.start && !keeps_slots(fn))
            return false;
        if (!r.start) {
            make_start(&r);
            use_phis(&r);
        }
        go_back(&r, v);
    }
    return r.start != 0;
}
