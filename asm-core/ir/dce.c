/* dce.c - takes out what nobody needs: marks from what has an effect back through its operands, so
 * phis that only keep each other alive go, too; the rest goes. Blocks stay (simplify.c). */
#include "cfg.h"
#include "pass.h"

typedef struct marker {
    eb_fn *fn;
    bool *live;
    eb_value *stack;
    uint32_t depth;
} marker;

static void mark(marker *m, eb_value value) {
    if (m->live[value])
        return;
    m->live[value] = true;
    m->stack[m->depth++] = value;
}

static void mark_operands(marker *m) {
    while (m->depth) {
        eb_uses uses = eb_uses_of(m->fn, m->stack[--m->depth]);
        while (eb_uses_next(&uses))
            mark(m, *uses.at);
    }
}

bool eb_pass_dce(eb_fn *fn) {
    eb_arena *arena = eb_scratch(fn);
    marker m = {.fn = fn,
                .live = eb_alloc_array(arena, fn->values.len, sizeof *m.live),
                .stack = eb_alloc_array(arena, fn->values.len, sizeof *m.stack)};
    for (eb_value v = 1; v < fn->values.len; v++)
        if (eb_ir_at(fn, v)->block && !eb_ir_is_removable(eb_ir_at(fn, v)))
            mark(&m, v);
    mark_operands(&m);
    bool changed = false;
    for (eb_value v = 1; v < fn->values.len; v++)
        if (eb_ir_at(fn, v)->block && !m.live[v]) {
            eb_ir_remove(fn, v);
            changed = true;
        }
    return changed;
}
