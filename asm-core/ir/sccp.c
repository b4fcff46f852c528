/* sccp.c - sparse conditional constants (Wegman and Zadeck, 1991): assumes that no block is reached
 * and every value a constant yet to come, and takes back what turns out wrong. So it sees constants
 * that go round a loop, and phis whose other ways in are never taken.
 *
 * Every value is unknown, then a constant, then varying; every edge of the graph is dead, then
 * alive. A value is looked at again when an operand has fallen or an edge to its phi came alive:
 * at most a few times each. What was never set may be any value and follows the others of a phi. */
#include "blocks.h"
#include "cfg.h"
#include "fold.h"
#include "pass.h"

enum { UNKNOWN, KNOWN, VARYING };

typedef struct edge {
    uint32_t to, index; /* predecessor number `index` of `to` */
} edge;

typedef struct sccp {
    eb_fn *fn;
    uint8_t *state;
    int64_t *known;
    uint32_t *first_use, *uses; /* the users of each value: uses[first_use[v]] and on */
    uint32_t *first_edge;       /* of each block's predecessors in `alive` */
    bool *alive, *reached;
    eb_edges into;
    EB_VEC(edge) edges;
    EB_VEC(eb_value) fallen;
} sccp;

static eb_arena *arena_of(const sccp *s) {
    return eb_scratch(s->fn);
}

static void collect_uses(sccp *s) {
    eb_fn *fn = s->fn;
    uint32_t count = fn->values.len;
    s->first_use = eb_alloc_array(arena_of(s), count + 1, sizeof *s->first_use);
    for (eb_value v = 1; v < count; v++) {
        eb_uses uses = eb_uses_of(fn, v);
        while (eb_ir_at(fn, v)->block && eb_uses_next(&uses))
            s->first_use[*uses.at]++;
    }
    uint32_t sum = 0;
    for (eb_value v = 0; v <= count; v++)
        sum = s->first_use[v] += sum;
    s->uses = eb_alloc_array(arena_of(s), sum, sizeof *s->uses);
    for (eb_value v = 1; v < count; v++) {
        eb_uses uses = eb_uses_of(fn, v);
        while (eb_ir_at(fn, v)->block && eb_uses_next(&uses))
            s->uses[--s->first_use[*uses.at]] = v;
    }
}

static void collect_edges(sccp *s) {
    uint32_t sum = 0;
    s->into = eb_edges_build(s->fn);
    s->first_edge = eb_alloc_array(arena_of(s), s->fn->blocks.len, sizeof *s->first_edge);
    for (uint32_t n = 1; n < s->fn->blocks.len; n++) {
        s->first_edge[n] = sum;
        sum += s->fn->blocks.at[n].preds.len;
    }
    s->alive = eb_alloc_array(arena_of(s), sum, sizeof *s->alive);
    s->reached = eb_alloc_array(arena_of(s), s->fn->blocks.len, sizeof *s->reached);
}

static void fall(sccp *s, eb_value v, uint8_t state, int64_t known) {
    if (state < s->state[v])
        return;
    if (state == s->state[v] && (state != KNOWN || s->known[v] == known))
        return;
    s->state[v] = state == s->state[v] ? VARYING : state;
    s->known[v] = known;
    *EB_PUSH(arena_of(s), &s->fallen) = v;
}

/* ---- what instructions say ---- */

static void visit_phi(sccp *s, eb_value v) {
    const eb_ir *ir = eb_ir_at(s->fn, v);
    const eb_list *list = &s->fn->lists.at[ir->list];
    bool found = false;
    int64_t known = 0;
    if (s->state[v] == VARYING)
        return;
    for (uint32_t n = 0; n < list->values.len; n++) {
        eb_value each = list->values.at[n];
        if (!s->alive[s->first_edge[ir->block] + n] || s->state[each] == UNKNOWN ||
            eb_ir_at(s->fn, each)->op == EB_IR_UNDEF)
            continue;
        if (s->state[each] == VARYING || (found && known != s->known[each])) {
            fall(s, v, VARYING, 0);
            return;
        }
        found = true;
        known = s->known[each];
    }
    if (found)
        fall(s, v, KNOWN, known);
}

static void visit_edge(sccp *s, uint32_t block, uint32_t succ) {
    uint32_t to = s->fn->blocks.at[block].succs.at[succ];
    uint32_t index = eb_edges_at(&s->into, block, succ);
    if (s->alive[s->first_edge[to] + index])
        return;
    s->alive[s->first_edge[to] + index] = true;
    *EB_PUSH(arena_of(s), &s->edges) = (edge){to, index};
}

/* How a branch goes: 0 or 1, or -1 if both ways, or 2 if that is not known yet. */
static int branch_outcome(const sccp *s, eb_value v) {
    const eb_ir *ir = eb_ir_at(s->fn, v);
    if (s->state[ir->a] == VARYING || s->state[ir->b] == VARYING)
        return eb_fold_outcome(s->fn, v);
    if (s->state[ir->a] == UNKNOWN || s->state[ir->b] == UNKNOWN)
        return 2;
    return eb_eval_cond((eb_cond)ir->cond, (eb_ir_type)eb_ir_at(s->fn, ir->a)->type,
                        s->known[ir->a], s->known[ir->b]);
}

static void visit_end(sccp *s, eb_value v) {
    const eb_ir *ir = eb_ir_at(s->fn, v);
    int outcome = ir->op == EB_IR_BRANCH ? branch_outcome(s, v) : -1;
    for (uint32_t n = 0; n < s->fn->blocks.at[ir->block].succs.len; n++)
        if (outcome < 0 || (outcome < 2 && n == (outcome ? 0u : 1u)))
            visit_edge(s, ir->block, n);
}

static void visit_operation(sccp *s, eb_value v) {
    const eb_ir *ir = eb_ir_at(s->fn, v);
    bool binary = eb_ir_is_binary(ir->op) || ir->op == EB_IR_CMP;
    bool unary = ir->op == EB_IR_NEG || ir->op == EB_IR_SWAP || ir->op == EB_IR_SEXT ||
                 ir->op == EB_IR_ZEXT || ir->op == EB_IR_TRUNC || ir->op == EB_IR_COPY;
    uint8_t a = ir->a ? s->state[ir->a] : KNOWN, b = ir->b ? s->state[ir->b] : KNOWN;
    if ((!binary && !unary) || a == VARYING || b == VARYING) {
        fall(s, v, VARYING, 0);
        return;
    }
    if (a == UNKNOWN || b == UNKNOWN)
        return;
    int64_t x = s->known[ir->a], y = s->known[ir->b];
    eb_ir_type of = (eb_ir_type)eb_ir_at(s->fn, ir->a)->type;
    int64_t known = ir->op == EB_IR_CMP    ? eb_eval_cond((eb_cond)ir->cond, of, x, y)
                    : ir->op == EB_IR_COPY ? x
                    : unary                ? eb_eval_unary(ir, x)
                            : eb_eval_binary((eb_ir_op)ir->op, (eb_ir_type)ir->type, x, y);
    fall(s, v, KNOWN, known);
}

static void visit(sccp *s, eb_value v) {
    const eb_ir *ir = eb_ir_at(s->fn, v);
    if (eb_ir_rows[ir->op].effect == EB_EFFECT_END)
        visit_end(s, v);
    else if (ir->op == EB_IR_PHI)
        visit_phi(s, v);
    else if (ir->op == EB_IR_CONST)
        fall(s, v, KNOWN, ir->imm);
    else if (s->state[v] != VARYING)
        visit_operation(s, v);
}

static void visit_block(sccp *s, uint32_t block) {
    bool again = s->reached[block];
    s->reached[block] = true;
    for (eb_value v = s->fn->blocks.at[block].first; v; v = eb_ir_at(s->fn, v)->next) {
        if (again && eb_ir_at(s->fn, v)->op != EB_IR_PHI)
            return;
        visit(s, v);
    }
}

static void solve(sccp *s) {
    visit_block(s, 1);
    while (s->edges.len || s->fallen.len) {
        if (s->edges.len) {
            visit_block(s, s->edges.at[--s->edges.len].to);
            continue;
        }
        eb_value v = s->fallen.at[--s->fallen.len];
        for (uint32_t n = s->first_use[v]; n < s->first_use[v + 1]; n++)
            if (s->reached[eb_ir_at(s->fn, s->uses[n])->block])
                visit(s, s->uses[n]);
    }
}

/* ---- what follows ---- */

static bool replace(sccp *s, eb_value v) {
    eb_fn *fn = s->fn;
    const eb_ir *ir = eb_ir_at(fn, v);
    if (!ir->block || s->state[v] != KNOWN || ir->op == EB_IR_CONST || !s->reached[ir->block])
        return false;
    eb_value place = ir->op == EB_IR_PHI ? eb_block_body(fn, ir->block) : v;
    eb_value constant = eb_ir_const(fn, (eb_ir_type)ir->type, s->known[v], ir->loc);
    eb_ir_before(fn, place, constant);
    eb_ir_become(fn, v, constant);
    return true;
}

static bool cut(sccp *s, uint32_t block) {
    eb_value end = s->fn->blocks.at[block].last;
    if (!s->reached[block] || eb_ir_at(s->fn, end)->op != EB_IR_BRANCH)
        return false;
    int outcome = branch_outcome(s, end);
    if (outcome != 0 && outcome != 1)
        return false;
    eb_block_jump(s->fn, block, outcome ? 0 : 1);
    return true;
}

bool eb_pass_sccp(eb_fn *fn) {
    sccp s = {.fn = fn};
    uint32_t count = fn->values.len;
    s.state = eb_alloc_array(arena_of(&s), count, sizeof *s.state);
    s.known = eb_alloc_array(arena_of(&s), count, sizeof *s.known);
    s.state[0] = KNOWN;
    collect_uses(&s);
    collect_edges(&s);
    solve(&s);
    bool changed = false;
    for (uint32_t n = 1; n < fn->blocks.len; n++)
        changed |= fn->blocks.at[n].first && cut(&s, n);
    for (eb_value v = 1; v < count; v++)
        changed |= replace(&s, v);
    changed |= eb_ir_settle(fn);
    return eb_blocks_prune(fn) || changed;
}
