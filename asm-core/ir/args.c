/* args.c - what is known of arguments: a static function that is only called gets the constants
 * that all its calls agree on, and is not given what it does not ask for.
 *
 * A noinline function that is always called with the same length has its loops unrolled by it, and
 * the verifier, which follows each call on its own, has less to follow. BTF goes on saying what the
 * source says, as clang's does: of static functions the verifier does not ask it. */
#include "pass.h"

typedef struct argument {
    eb_ir value; /* what the calls so far give: op is CONST, SYMBOL, or NONE where they differ */
    bool seen;
    bool used;
} argument;

typedef struct callee {
    argument *arguments; /* `count` of them, or NULL where nothing is to be known */
    uint32_t count;
} callee;

typedef struct args {
    eb_ir_unit *unit;
    callee *callees; /* by symbol */
    bool changed;
} args;

static bool is_candidate(const eb_ir_symbol *symbol) {
    return symbol->fn && symbol->bind == 0 && !symbol->retained && !symbol->section.len &&
           !symbol->fn->is_naked && symbol->fn->params;
}

static void find_callees(args *a) {
    eb_arena *scratch = &a->unit->ctx->scratch;
    uint32_t count = a->unit->symbols.len;
    a->callees = eb_alloc_array(scratch, count, sizeof *a->callees);
    for (uint32_t n = 1; n < count && !a->unit->texts.len; n++) {
        const eb_ir_symbol *symbol = &a->unit->symbols.at[n];
        if (!is_candidate(symbol))
            continue;
        a->callees[n].count = symbol->fn->params;
        a->callees[n].arguments = eb_alloc_array(scratch, symbol->fn->params, sizeof(argument));
    }
}

/* ---- what calls say ---- */

static void forget(args *a, uint32_t symbol) {
    a->callees[symbol].arguments = NULL;
}

/* A call of itself that hands on what it was given says nothing new. */
static bool is_handed_on(const eb_fn *fn, uint32_t symbol, const eb_ir *value, uint32_t n) {
    return fn->symbol == symbol && value->op == EB_IR_PARAM && value->imm == n;
}

static void note_argument(argument *known, const eb_ir *value) {
    bool fixed = value->op == EB_IR_CONST || value->op == EB_IR_SYMBOL;
    bool same = known->value.op == value->op && known->value.type == value->type &&
                known->value.imm == value->imm && known->value.extra == value->extra;
    if (!known->seen && fixed)
        known->value = *value;
    else if (!fixed || !same)
        known->value.op = EB_IR_NONE;
    known->seen = true;
}

static void note_call(args *a, const eb_fn *fn, const eb_ir *call) {
    callee *to = &a->callees[call->extra];
    const eb_list *list = &fn->lists.at[call->list];
    if (!to->arguments || list->values.len != to->count) {
        forget(a, call->extra);
        return;
    }
    for (uint32_t n = 0; n < to->count; n++) {
        const eb_ir *value = eb_ir_at(fn, list->values.at[n]);
        if (!is_handed_on(fn, call->extra, value, n))
            note_argument(&to->arguments[n], value);
    }
}

static void note_function(args *a, const eb_fn *fn) {
    for (eb_value v = 1; v < fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block)
            continue;
        if (ir->op == EB_IR_CALL)
            note_call(a, fn, ir);
        else if (ir->op == EB_IR_SYMBOL)
            forget(a, ir->extra);
        if (ir->op != EB_IR_ASM && ir->op != EB_IR_GOTO)
            continue;
        const eb_ir_asm *text = &a->unit->asms.at[ir->extra];
        for (uint32_t n = 0; n < text->inputs.len; n++)
            forget(a, text->inputs.at[n].symbol);
    }
}

/* ---- what follows ---- */

static void set_constants(args *a, eb_fn *fn) {
    const callee *own = &a->callees[fn->symbol];
    for (eb_value v = 1; v < fn->values.len; v++) {
        eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block || ir->op != EB_IR_PARAM)
            continue;
        const argument *known = &own->arguments[ir->imm];
        if (!known->value.op || known->value.type != ir->type)
            continue;
        ir->op = known->value.op;
        ir->imm = known->value.imm;
        ir->extra = known->value.extra;
        a->changed = true;
    }
}

static void note_uses(const args *a, eb_fn *fn) {
    argument *own = a->callees[fn->symbol].arguments;
    for (eb_value v = 1; v < fn->values.len; v++) {
        bool stays = eb_ir_at(fn, v)->block != 0;
        for (eb_uses uses = eb_uses_of(fn, v); stays && eb_uses_next(&uses);)
            if (eb_ir_at(fn, *uses.at)->op == EB_IR_PARAM)
                own[eb_ir_at(fn, *uses.at)->imm].used = true;
    }
}

/* Parameters that are left get the numbers of those that went. */
static void drop_unused(args *a, eb_fn *fn) {
    const callee *own = &a->callees[fn->symbol];
    uint32_t left = 0;
    uint32_t *number = eb_alloc_array(&a->unit->ctx->scratch, own->count + 1, sizeof *number);
    for (uint32_t n = 0; n < own->count; n++) {
        number[n] = left;
        left += own->arguments[n].used;
    }
    for (eb_value v = 1; v < fn->values.len; v++) {
        eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block || ir->op != EB_IR_PARAM)
            continue;
        if (own->arguments[ir->imm].used)
            ir->imm = number[ir->imm];
        else
            eb_ir_remove(fn, v);
    }
    a->changed |= left < own->count;
    fn->params = left;
}

static void shorten_calls(const args *a, eb_fn *fn) {
    for (eb_value v = 1; v < fn->values.len; v++) {
        eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block || ir->op != EB_IR_CALL || !a->callees[ir->extra].arguments)
            continue;
        const callee *to = &a->callees[ir->extra];
        eb_value *values = eb_alloc_array(&a->unit->ctx->scratch, to->count, sizeof *values);
        uint32_t left = 0;
        for (uint32_t n = 0; n < to->count; n++)
            if (to->arguments[n].used)
                values[left++] = fn->lists.at[ir->list].values.at[n];
        if (left < to->count)
            ir->list = eb_list_new(fn, values, left);
    }
}

bool eb_pass_args(eb_ir_unit *unit) {
    args a = {.unit = unit};
    find_callees(&a);
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        const eb_ir_symbol *symbol = &unit->symbols.at[n];
        for (uint32_t k = 0; k < symbol->words.len; k++)
            forget(&a, symbol->words.at[k].symbol);
        if (symbol->fn)
            note_function(&a, symbol->fn);
    }
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        if (a.callees[n].arguments) {
            set_constants(&a, unit->symbols.at[n].fn);
            note_uses(&a, unit->symbols.at[n].fn);
            drop_unused(&a, unit->symbols.at[n].fn);
        }
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        if (unit->symbols.at[n].fn)
            shorten_calls(&a, unit->symbols.at[n].fn);
    return a.changed;
}
