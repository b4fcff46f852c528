/* endless.c - see endless.h.
 *
 * The verifier walks a loop round by round until what it knows decides that it is left. So one of
 * the conditions that lead out must depend on something that changes from round to round and that
 * it follows: a number or pointer that is computed from what it was in the round before. What is
 * read from memory or comes from a helper function it does not know, and what was computed in front
 * of the loop does not change. may_goto and the like stand in inline assembly, an iterator's next
 * is a function of the kernel: both are taken for an end, as are variables on the stack that the
 * loop changes. It errs to that side: what is told here, no kernel accepts. Source:
 * kernel/bpf/verifier.c (is_state_visited, "infinite loop detected"). */
#include "endless.h"
#include "cfg.h"

enum { DEPTH_MOST = 64 }; /* deeper expressions are taken for an end */
enum { UNKNOWN, STANDS, ADVANCES };

typedef struct question {
    eb_endless *all;
    eb_fn *fn;
    uint32_t header;
    eb_value from; /* the phi of the header whose change is looked for, or 0 */
    uint32_t mark;
} question;

static bool in_loop(const eb_fn *fn, uint32_t header, uint32_t block) {
    uint32_t loop = fn->blocks.at[block].loop;
    while (loop && loop != header)
        loop = fn->blocks.at[loop].outer;
    return loop == header;
}

/* Whether an address is in what the verifier knows: a variable on the stack, constant data. */
static bool is_known(eb_fn *fn, eb_value address, unsigned depth) {
    const eb_ir *ir = eb_ir_at(fn, address);
    if (ir->op == EB_IR_SYMBOL) {
        const eb_ir_symbol *symbol = &fn->unit->symbols.at[ir->extra];
        return symbol->is_const || eb_str_starts(symbol->section, ".rodata");
    }
    if (ir->op == EB_IR_SLOT || !depth)
        return ir->op == EB_IR_SLOT;
    /* LOAD: a pointer that is kept on the stack may lead there. */
    if (ir->op == EB_IR_ADD || ir->op == EB_IR_PHI || ir->op == EB_IR_COPY || ir->op == EB_IR_LOAD)
        for (eb_uses u = eb_uses_of(fn, address); eb_uses_next(&u);)
            if (is_known(fn, *u.at, depth - 1))
                return true;
    return false;
}

static bool steps(question *q, eb_value value, bool changed, unsigned depth);

static void ask(question *q, eb_value from) {
    q->from = from;
    q->mark = ++q->all->mark;
}

/* Whether a phi of the header is computed from itself in the loop. */
static bool advances(question *q, eb_value phi) {
    uint8_t *known = &q->all->known[phi];
    if (*known != UNKNOWN)
        return *known == ADVANCES;
    const eb_block *header = &q->fn->blocks.at[q->header];
    const eb_list *list = &q->fn->lists.at[eb_ir_at(q->fn, phi)->list];
    question of = *q;
    *known = STANDS;
    ask(&of, phi);
    for (uint32_t n = 0; n < header->preds.len; n++)
        if (in_loop(q->fn, q->header, header->preds.at[n]) &&
            steps(&of, list->values.at[n], false, 0))
            *known = ADVANCES;
    return *known == ADVANCES;
}

/* Visited before in this question, and with no less known of it. */
static bool was_asked(question *q, eb_value value, bool changed) {
    uint32_t *mark = &q->all->marks[value], now = q->mark << 1 | changed;
    if (*mark >> 1 == q->mark && *mark >= now)
        return true;
    *mark = now;
    return false;
}

/* Whether the verifier follows how `value` changes from round to round; or, of a phi, whether it is
 * computed from that (`from`), `changed` on the way. */
static bool steps(question *q, eb_value value, bool changed, unsigned depth) {
    eb_ir *ir = eb_ir_at(q->fn, value);
    if (depth > DEPTH_MOST)
        return true;
    if (q->from && value == q->from)
        return changed;
    if (!ir->block || !in_loop(q->fn, q->header, ir->block) || was_asked(q, value, changed))
        return false;
    switch (ir->op) {
    case EB_IR_LOAD:
        return is_known(q->fn, ir->a, 6);
    case EB_IR_HELPER:
    case EB_IR_ATOMIC:
        return false;
    case EB_IR_CALL:
    case EB_IR_CALLX:
    case EB_IR_ASM:
    case EB_IR_GOTO:
    case EB_IR_OUTPUT:
        return true;
    case EB_IR_PHI:
        if (!q->from && ir->block == q->header)
            return advances(q, value);
        break;
    default:
        changed = changed || eb_ir_is_binary(ir->op);
    }
    for (eb_uses u = eb_uses_of(q->fn, value); eb_uses_next(&u);)
        if (steps(q, *u.at, changed, depth + 1))
            return true;
    return false;
}

/* Whether a block is left for what is outside of the loop by a way that the verifier can decide. */
static bool ends_at(question *q, uint32_t block) {
    const eb_block *b = &q->fn->blocks.at[block];
    bool leaves = false;
    for (uint32_t n = 0; n < b->succs.len; n++)
        leaves |= !in_loop(q->fn, q->header, b->succs.at[n]);
    eb_ir *last = eb_ir_at(q->fn, b->last);
    if (last->op == EB_IR_GOTO)
        return true;
    if (!leaves)
        return false;
    if (last->op != EB_IR_BRANCH)
        return true;
    ask(q, 0);
    return steps(q, last->a, false, 0) || steps(q, last->b, false, 0);
}

/* Calls of other functions may end the program, and may be iterators. */
static bool may_end_inside(const eb_fn *fn, uint32_t block) {
    for (eb_value v = fn->blocks.at[block].first; v; v = eb_ir_at(fn, v)->next) {
        unsigned op = eb_ir_at(fn, v)->op;
        if (op == EB_IR_CALL || op == EB_IR_CALLX || op == EB_IR_ASM || op == EB_IR_GOTO)
            return true;
    }
    return false;
}

static bool is_endless(eb_endless *all, uint32_t header) {
    question q = {.all = all, .fn = all->fn, .header = header};
    for (uint32_t n = all->fn->blocks.at[header].order - 1; n < all->fn->rpo.len; n++) {
        uint32_t block = all->fn->rpo.at[n];
        if (in_loop(all->fn, header, block) &&
            (may_end_inside(all->fn, block) || ends_at(&q, block)))
            return false;
    }
    return true;
}

eb_endless eb_endless_of(eb_fn *fn) {
    return (eb_endless){.fn = fn,
                        .marks = eb_value_map(fn),
                        .known = eb_alloc_array(eb_scratch(fn), fn->values.len, 1)};
}

bool eb_endless_next(eb_endless *loops) {
    while (loops->at < loops->fn->rpo.len) {
        uint32_t block = loops->fn->rpo.at[loops->at++];
        if (loops->fn->blocks.at[block].loop != block || !is_endless(loops, block))
            continue;
        loops->header = block;
        return true;
    }
    return false;
}
