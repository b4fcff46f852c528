/* inline.c - calls become the bodies of what they call, callees first.
 *
 * always_inline functions must be (a circle of them is an error), and so must those of more than
 * five parameters, which BPF cannot pass. Beyond these it decides as clang -O2 does, since programs
 * were tuned to that: a static function's only call always, others when what is left of the body
 * with the call's constants is small. Never noinline, weak, naked or recursive ones. A global
 * function stays as well.
 *
 * The body comes in as it is, between the halves of the block that called: parameters become copies
 * of the arguments, returns jump to the second half, where a phi gathers the results. Slots of the
 * callee become the caller's, in a scope of their own (eb_slot.scope). */
#include "blocks.h"
#include "cfg.h"
#include "fold.h"
#include "freq.h"
#include "pass.h"

enum {
    COST = 5,             /* of an instruction: LLVM's unit */
    COST_CALL = 25,       /* on top, of a call; to LLVM, that of a helper is like any instruction */
    THRESHOLD = 225,      /* -O2 */
    THRESHOLD_HINT = 325, /* of a function said to be inline */
    THRESHOLD_COLD = 45,  /* of a call that runs less than twice in a hundred times */
    COLD = EB_FREQ_ENTRY / 50,
    BONUS_LAST = 15000,   /* the only call of a static function */
    PARAMS_MOST = 5,      /* in registers */
    VALUES_MOST = 1000000 /* in a function; more are inlined only where they must be */
};

typedef struct inliner {
    eb_ir_unit *unit;
    uint32_t *refs; /* of each symbol: calls and other uses */
    uint8_t *state; /* of each function: NEW, OPEN while its callees are visited, DONE */
    bool *recursive;
    uint32_t *stack; /* the functions that are OPEN, outermost first */
    eb_value *next;  /* and the instruction that comes next in each */
    uint32_t depth;
    uint8_t *room; /* for what is known about a callee, used again for the next */
    size_t room_size;
    bool changed;
} inliner;

/* `size` zeroed bytes, until the next call. */
static void *room(inliner *in, size_t size) {
    if (in->room_size < size) {
        in->room_size = size * 2;
        in->room = eb_alloc(&in->unit->ctx->scratch, in->room_size);
    }
    return memset(in->room, 0, size);
}

enum { NEW, OPEN, DONE };

static eb_fn *function_of(const inliner *in, uint32_t symbol) {
    return in->unit->symbols.at[symbol].fn;
}

static const eb_list *arguments_of(const eb_fn *fn, const eb_ir *call) {
    return &fn->lists.at[call->list];
}

/* ---- whether ---- */

static void count_refs(inliner *in) {
    eb_ir_unit *unit = in->unit;
    for (uint32_t s = 1; s < unit->symbols.len; s++) {
        const eb_ir_symbol *symbol = &unit->symbols.at[s];
        for (uint32_t n = 0; n < symbol->words.len; n++)
            in->refs[symbol->words.at[n].symbol]++;
        for (eb_value v = 1; symbol->fn && v < symbol->fn->values.len; v++) {
            const eb_ir *ir = eb_ir_at(symbol->fn, v);
            if (ir->block && (ir->op == EB_IR_CALL || ir->op == EB_IR_SYMBOL))
                in->refs[ir->extra]++;
        }
    }
}

/* More arguments than parameters are those of a variadic function, which has no way to ask for
 * them. */
static bool is_possible(const inliner *in, const eb_fn *caller, const eb_ir *call) {
    const eb_ir_symbol *symbol = &in->unit->symbols.at[call->extra];
    const eb_fn *callee = symbol->fn;
    return callee && !in->recursive[call->extra] && !callee->is_naked && !callee->noinline &&
           callee->blocks.at[1].first && symbol->bind != 2 &&
           arguments_of(caller, call)->values.len >= callee->params;
}

static bool is_must(const eb_fn *callee) {
    return callee->always_inline || callee->params > PARAMS_MOST;
}

/* What a call's constants make of the callee: values that are known, blocks that are reached. */
typedef struct estimate {
    const eb_fn *caller;
    eb_fn *callee;
    const eb_list *arguments;
    int64_t *value;
    uint32_t *work, pending;
    uint8_t *known, *local; /* local: the address of a slot of the caller's */
    uint8_t *reached;       /* of blocks */
    int cost;
} estimate;

static void reach(estimate *e, uint32_t block) {
    if (e->reached[block])
        return;
    e->reached[block] = true;
    e->work[e->pending++] = block;
}

static bool is_extension(unsigned op) {
    return op == EB_IR_ZEXT || op == EB_IR_TRUNC || op == EB_IR_COPY || op == EB_IR_SPACE;
}

/* Gives `v` its value if the operands' are known; whether they are. */
static bool evaluate(estimate *e, eb_value v) {
    const eb_ir *ir = eb_ir_at(e->callee, v);
    bool a = !ir->a || e->known[ir->a], b = !ir->b || e->known[ir->b];
    if (!a || !b)
        return false;
    int64_t x = e->value[ir->a], y = e->value[ir->b];
    if (eb_ir_is_binary(ir->op))
        e->value[v] = eb_eval_binary((eb_ir_op)ir->op, (eb_ir_type)ir->type, x, y);
    else if (ir->op == EB_IR_CMP)
        e->value[v] =
            eb_eval_cond((eb_cond)ir->cond, (eb_ir_type)eb_ir_at(e->callee, ir->a)->type, x, y);
    else if (ir->op == EB_IR_COPY)
        e->value[v] = x;
    else if (ir->op >= EB_IR_NEG && ir->op <= EB_IR_TRUNC)
        e->value[v] = eb_eval_unary(ir, x);
    else
        return false;
    e->known[v] = true;
    return true;
}

static void visit_param(estimate *e, eb_value v) {
    const eb_ir *argument =
        eb_ir_at(e->caller, e->arguments->values.at[eb_ir_at(e->callee, v)->imm]);
    e->known[v] = argument->op == EB_IR_CONST;
    e->value[v] = argument->imm;
    e->local[v] = argument->op == EB_IR_SLOT;
}

static void visit_end(estimate *e, eb_value v) {
    const eb_ir *ir = eb_ir_at(e->callee, v);
    const eb_block *block = &e->callee->blocks.at[ir->block];
    bool known = ir->op == EB_IR_BRANCH && e->known[ir->a] && e->known[ir->b];
    bool taken =
        known && eb_eval_cond((eb_cond)ir->cond, (eb_ir_type)eb_ir_at(e->callee, ir->a)->type,
                              e->value[ir->a], e->value[ir->b]);
    for (uint32_t n = 0; n < block->succs.len; n++)
        if (!known || n == (taken ? 0u : 1u))
            reach(e, block->succs.at[n]);
    if ((ir->op == EB_IR_BRANCH && !known) || ir->op == EB_IR_GOTO)
        e->cost += COST;
}

static void visit(estimate *e, eb_value v) {
    const eb_ir *ir = eb_ir_at(e->callee, v);
    if (eb_ir_rows[ir->op].effect == EB_EFFECT_END) {
        visit_end(e, v);
        return;
    }
    if (ir->op == EB_IR_PARAM) {
        visit_param(e, v);
        return;
    }
    if (ir->op == EB_IR_CONST) {
        e->known[v] = true;
        e->value[v] = ir->imm;
        return;
    }
    if (evaluate(e, v) || is_extension(ir->op) || ir->op == EB_IR_PHI || ir->op == EB_IR_SLOT ||
        ir->op == EB_IR_SYMBOL || ir->op == EB_IR_UNDEF || ir->op == EB_IR_OUTPUT)
        return;
    if ((ir->op == EB_IR_LOAD || ir->op == EB_IR_STORE) && e->local[ir->a])
        return;
    if (ir->op == EB_IR_ADD && ir->type == EB_IR_PTR && eb_ir_is_const(e->callee, ir->b)) {
        e->local[v] = e->local[ir->a];
        return;
    }
    e->cost += COST;
    if (ir->op == EB_IR_CALL || ir->op == EB_IR_HELPER || ir->op == EB_IR_CALLX)
        e->cost += COST * (int)e->callee->lists.at[ir->list].values.len;
    if (ir->op == EB_IR_CALL)
        e->cost += COST_CALL;
}

/* LLVM's cost of the callee's instructions at this call; it stops above `most`. */
static int cost_of(inliner *in, const eb_fn *caller, const eb_ir *call, eb_fn *callee, int most) {
    uint32_t values = callee->values.len, blocks = callee->blocks.len;
    estimate e = {.caller = caller, .callee = callee, .arguments = arguments_of(caller, call)};
    e.value = room(in, values * (sizeof *e.value + 2) + blocks * (sizeof *e.work + 1));
    e.work = (uint32_t *)(e.value + values);
    e.known = (uint8_t *)(e.work + blocks);
    e.local = e.known + values;
    e.reached = e.local + values;
    e.cost = -(COST * (int)e.arguments->values.len + COST + COST_CALL);
    reach(&e, 1);
    while (e.pending && e.cost <= most)
        for (eb_value v = callee->blocks.at[e.work[--e.pending]].first; v;
             v = eb_ir_at(callee, v)->next)
            visit(&e, v);
    return e.cost;
}

static bool is_single_block(const eb_fn *fn) {
    return fn->blocks.at[1].succs.len == 0;
}

static bool is_wanted(inliner *in, const eb_fn *caller, const eb_ir *call, bool is_cold) {
    const eb_ir_symbol *symbol = &in->unit->symbols.at[call->extra];
    eb_fn *callee = symbol->fn;
    if (is_must(callee))
        return true;
    if (!in->unit->optimize || caller->values.len > VALUES_MOST)
        return false;
    int most = callee->hinted ? THRESHOLD_HINT : THRESHOLD;
    if (is_cold)
        return cost_of(in, caller, call, callee, THRESHOLD_COLD) <= THRESHOLD_COLD;
    if (is_single_block(callee))
        most += most / 2;
    if (symbol->bind == 0 && in->refs[call->extra] == 1)
        most += BONUS_LAST;
    if ((int64_t)callee->values.len * COST / 16 > most) /* no need to look */
        return false;
    return cost_of(in, caller, call, callee, most) <= most;
}

/* ---- how ---- */

typedef struct copier {
    eb_fn *from, *to;
    eb_value *map;   /* of values */
    uint32_t blocks; /* block n of the callee is block blocks + n */
    uint32_t slots;
    uint32_t rest; /* the block behind the call */
    EB_VEC(eb_value) results;
} copier;

static eb_arena *arena_of(const copier *c) {
    return &c->to->unit->ctx->arena;
}

static eb_value convert(eb_fn *fn, uint32_t block, eb_value value, eb_ir_type type) {
    eb_ir_type from = (eb_ir_type)eb_ir_at(fn, value)->type;
    eb_ir_op op = from == type || (from != EB_IR_I32 && type != EB_IR_I32) ? EB_IR_COPY
                  : type == EB_IR_I32                                      ? EB_IR_TRUNC
                                                                           : EB_IR_ZEXT;
    eb_value result = eb_ir_new(fn, op, type, value, 0, eb_ir_at(fn, value)->loc);
    eb_ir_append(fn, block, result);
    return result;
}

static void copy_value(copier *c, uint32_t block, eb_value v, const eb_list *arguments) {
    eb_ir ir = *eb_ir_at(c->from, v);
    eb_value made;
    if (ir.op == EB_IR_PARAM) {
        made = convert(c->to, block, arguments->values.at[ir.imm], (eb_ir_type)ir.type);
    } else {
        made = eb_ir_new(c->to, (eb_ir_op)ir.op, (eb_ir_type)ir.type, 0, 0, ir.loc);
        *eb_ir_at(c->to, made) = ir;
        if (ir.op == EB_IR_SLOT)
            eb_ir_at(c->to, made)->extra += c->slots;
        eb_ir_append(c->to, block, made);
    }
    c->map[v] = made;
}

/* Operands that mean the callee's values, as the caller's. */
static void connect(copier *c, eb_value v) {
    eb_ir *ir = eb_ir_at(c->to, c->map[v]);
    if (eb_ir_at(c->from, v)->op == EB_IR_PARAM)
        return;
    if (ir->list) {
        const eb_list *list = &c->from->lists.at[ir->list];
        uint32_t made = eb_list_new(c->to, list->values.at, list->values.len);
        ir = eb_ir_at(c->to, c->map[v]);
        ir->list = made;
    }
    eb_uses uses = eb_uses_of(c->to, c->map[v]);
    while (eb_uses_next(&uses))
        *uses.at = c->map[*uses.at];
}

static void copy_edges(copier *c, uint32_t block) {
    const eb_block *from = &c->from->blocks.at[block];
    eb_block *to = &c->to->blocks.at[c->blocks + block];
    to->unroll = from->unroll;
    for (uint32_t n = 0; n < from->succs.len; n++)
        *EB_PUSH(arena_of(c), &to->succs) = c->blocks + from->succs.at[n];
    for (uint32_t n = 0; n < from->preds.len; n++)
        *EB_PUSH(arena_of(c), &to->preds) = c->blocks + from->preds.at[n];
}

static void copy_slots(copier *c) {
    eb_fn *to = c->to;
    uint32_t scopes = to->scopes.len, outer = 0;
    c->slots = to->slots.len;
    /* The callee's scope 0 is a new one in the caller's, its others follow. */
    for (uint32_t n = 0; n < c->from->scopes.len || n == 0; n++)
        *EB_PUSH(arena_of(c), &to->scopes) = n ? scopes + c->from->scopes.at[n] : outer;
    for (uint32_t n = 0; n < c->from->slots.len; n++) {
        eb_slot slot = c->from->slots.at[n];
        slot.scope += scopes;
        *EB_PUSH(arena_of(c), &to->slots) = slot;
    }
}

static void copy_body(copier *c, const eb_list *arguments) {
    eb_fn *from = c->from;
    c->blocks = c->to->blocks.len - 1;
    for (uint32_t b = 1; b < from->blocks.len; b++)
        (void)eb_block_new(c->to);
    for (uint32_t b = 1; b < from->blocks.len; b++)
        for (eb_value v = from->blocks.at[b].first; v; v = eb_ir_at(from, v)->next)
            copy_value(c, c->blocks + b, v, arguments);
    for (uint32_t b = 1; b < from->blocks.len; b++) {
        for (eb_value v = from->blocks.at[b].first; v; v = eb_ir_at(from, v)->next)
            connect(c, v);
        if (from->blocks.at[b].first)
            copy_edges(c, b);
    }
}

/* Returns jump to the rest. What they give gets the call's type: an address may be returned as a
 * number. */
static void copy_returns(copier *c, eb_ir_type type) {
    for (uint32_t b = 1; b < c->from->blocks.len; b++) {
        uint32_t block = c->blocks + b;
        if (!c->from->blocks.at[b].first || eb_block_end(c->to, block)->op != EB_IR_RETURN)
            continue;
        eb_value end = c->to->blocks.at[block].last, result = eb_ir_at(c->to, end)->a;
        eb_ir_unlink(c->to, end);
        if (result && type != EB_IR_VOID)
            result = convert(c->to, block, result, type);
        *EB_PUSH(arena_of(c), &c->results) = result;
        eb_ir_at(c->to, end)->op = EB_IR_JUMP;
        eb_ir_at(c->to, end)->a = 0;
        eb_ir_append(c->to, block, end);
        eb_edge_add(c->to, block, c->rest);
    }
}

/* The value of the call, at the start of the rest. */
static eb_value result_of(copier *c, eb_ir_type type, eb_loc loc) {
    eb_fn *fn = c->to;
    eb_value first = fn->blocks.at[c->rest].first, undefined = 0;
    for (uint32_t n = 0; n < c->results.len; n++) {
        eb_value *each = &c->results.at[n];
        if (*each)
            continue;
        if (!undefined) {
            undefined = eb_ir_new(fn, EB_IR_UNDEF, type, 0, 0, loc);
            eb_ir_before(fn, eb_block_body(fn, 1), undefined);
        }
        *each = undefined;
    }
    if (c->results.len == 1)
        return c->results.at[0];
    eb_value result = eb_ir_new(fn, c->results.len ? EB_IR_PHI : EB_IR_UNDEF, type, 0, 0, loc);
    if (c->results.len) {
        uint32_t list = eb_list_new(fn, c->results.at, c->results.len);
        eb_ir_at(fn, result)->list = list;
    }
    eb_ir_before(fn, first, result);
    return result;
}

static void inline_call(inliner *in, eb_fn *caller, eb_value call) {
    eb_ir was = *eb_ir_at(caller, call);
    copier c = {.from = caller->unit->symbols.at[was.extra].fn, .to = caller};
    uint32_t block = was.block;
    eb_list arguments = *arguments_of(caller, &was);
    c.map = room(in, c.from->values.len * sizeof *c.map);
    c.rest = eb_block_split(caller, eb_ir_at(caller, call)->next);
    copy_slots(&c);
    copy_body(&c, &arguments);
    copy_returns(&c, (eb_ir_type)was.type);
    eb_value jump = eb_ir_new(caller, EB_IR_JUMP, EB_IR_VOID, 0, 0, was.loc);
    eb_ir_append(caller, block, jump);
    eb_edge_add(caller, block, c.blocks + 1);
    if (was.type == EB_IR_VOID)
        eb_ir_remove(caller, call);
    else
        eb_ir_become(caller, call, result_of(&c, (eb_ir_type)was.type, was.loc));
}

/* ---- callees first ---- */

/* A circle of functions that must be inlined into each other. */
static void refuse(inliner *in, const eb_ir *call) {
    uint32_t from = in->depth;
    while (in->stack[from - 1] != call->extra)
        from--;
    eb_ir_unit *unit = in->unit;
    const eb_ir_symbol *callee = &unit->symbols.at[call->extra];
    eb_diag *diag = eb_diag_add(unit->ctx, EB_DIAG_INLINE_CIRCLE, call->loc, call->loc,
                                (int)callee->name.len, callee->name.at);
    for (uint32_t n = from; n < in->depth; n++) {
        const eb_ir_symbol *each = &unit->symbols.at[in->stack[n]];
        eb_diag_note(unit->ctx, diag, each->fn->loc, each->fn->loc, "through %.*s",
                     (int)each->name.len, each->name.at);
    }
}

static void open(inliner *in, uint32_t symbol) {
    in->state[symbol] = OPEN;
    in->stack[in->depth] = symbol;
    in->next[in->depth++] = 0;
}

/* Which calls run hardly ever. */
static bool *find_cold(const inliner *in, eb_fn *fn) {
    eb_value v = 1;
    while (v < fn->values.len && eb_ir_at(fn, v)->op != EB_IR_CALL)
        v++;
    if (!in->unit->optimize || v == fn->values.len)
        return NULL;
    eb_cfg_build(fn);
    const uint64_t *freq = eb_freq_of_blocks(fn);
    bool *cold = eb_alloc_array(eb_scratch(fn), fn->values.len, sizeof *cold);
    for (; v < fn->values.len; v++)
        cold[v] = eb_ir_at(fn, v)->op == EB_IR_CALL && freq[eb_ir_at(fn, v)->block] < COLD;
    return cold;
}

/* All calls of a function whose callees are as they will be. */
static void finish(inliner *in, eb_fn *fn) {
    uint32_t count = fn->values.len;
    bool *cold = find_cold(in, fn);
    for (eb_value v = 1; v < count; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        if (ir->op != EB_IR_CALL || !ir->block || !is_possible(in, fn, ir))
            continue;
        if (in->state[ir->extra] == DONE && is_wanted(in, fn, ir, cold && cold[v])) {
            inline_call(in, fn, v);
            in->changed = true;
        }
    }
    (void)eb_ir_settle(fn);
}

static void walk(inliner *in, uint32_t symbol) {
    open(in, symbol);
    while (in->depth) {
        uint32_t top = in->depth - 1;
        eb_fn *fn = function_of(in, in->stack[top]);
        eb_value v = ++in->next[top];
        if (v >= fn->values.len) {
            finish(in, fn);
            in->state[in->stack[top]] = DONE;
            in->depth--;
            continue;
        }
        const eb_ir *ir = eb_ir_at(fn, v);
        eb_fn *callee = ir->op == EB_IR_CALL && ir->block ? function_of(in, ir->extra) : NULL;
        if (callee && in->state[ir->extra] == NEW) {
            open(in, ir->extra);
            continue;
        }
        if (!callee || in->state[ir->extra] != OPEN || in->recursive[ir->extra])
            continue;
        in->recursive[ir->extra] = true;
        if (is_must(callee))
            refuse(in, ir);
    }
}

bool eb_pass_inline(eb_ir_unit *unit) {
    eb_arena *scratch = &unit->ctx->scratch;
    uint32_t count = unit->symbols.len;
    inliner in = {.unit = unit,
                  .refs = eb_alloc_array(scratch, count, sizeof *in.refs),
                  .state = eb_alloc_array(scratch, count, sizeof *in.state),
                  .recursive = eb_alloc_array(scratch, count, sizeof *in.recursive),
                  .stack = eb_alloc_array(scratch, count, sizeof *in.stack),
                  .next = eb_alloc_array(scratch, count, sizeof *in.next)};
    count_refs(&in);
    for (uint32_t s = 1; s < count; s++)
        if (unit->symbols.at[s].fn && in.state[s] == NEW)
            walk(&in, s);
    return in.changed;
}
