/* symbol.c - which symbols are kept: what others can see, what is said to be used, what has a
 * section that the loader knows by its name, and what these reach by calls, addresses, inline
 * assembly and words in their data. Functions that are not (static ones that were inlined
 * everywhere) lose their bodies.
 *
 * A call through a constant that holds a number or a function's address is a call of that helper or
 * function; what else is known of the contents of variables: contents.c. */
#include "address.h"
#include "contents.h"
#include "fold.h"
#include "object.h"
#include "pass.h"

typedef struct marks {
    eb_ir_unit *unit;
    EB_VEC(uint32_t) todo;
} marks;

/* ---- calls ---- */

/* The variable's word at the address is `symbol` (or 0) plus `value`. */
static bool find_word(const eb_fn *fn, eb_value value, uint32_t *symbol, int64_t *number) {
    const eb_ir *load = eb_ir_at(fn, value);
    if (load->op != EB_IR_LOAD || load->size != 8)
        return false;
    eb_address at = eb_address_of(fn, load->a);
    const eb_ir *base = eb_ir_at(fn, at.base);
    if (base->op != EB_IR_SYMBOL || __builtin_add_overflow(at.offset, load->imm, &at.offset))
        return false;
    *symbol = 0;
    if (eb_fold_data(fn->unit, base->extra, at.offset, load, number))
        return true;
    const eb_ir_word *word = eb_fold_word(fn->unit, base->extra, at.offset, load);
    if (!word || word->addend)
        return false;
    *symbol = word->symbol;
    return fn->unit->symbols.at[word->symbol].kind == EB_IR_FUNCTION;
}

static void direct_call(eb_fn *fn, eb_value call) {
    eb_ir *ir = eb_ir_at(fn, call);
    const eb_ir *to = eb_ir_at(fn, eb_ir_origin(fn, ir->a));
    uint32_t symbol = 0;
    int64_t number = to->imm;
    if (to->op == EB_IR_SYMBOL && !to->imm &&
        fn->unit->symbols.at[to->extra].kind == EB_IR_FUNCTION)
        symbol = to->extra;
    else if (to->op != EB_IR_CONST && !find_word(fn, eb_ir_origin(fn, ir->a), &symbol, &number))
        return;
    ir->op = symbol ? EB_IR_CALL : EB_IR_HELPER;
    ir->extra = symbol;
    ir->imm = symbol ? 0 : number;
    ir->a = 0;
}

/* ---- what is kept ---- */

static void mark(marks *m, uint32_t number) {
    if (!number || m->unit->symbols.at[number].live)
        return;
    m->unit->symbols.at[number].live = true;
    *EB_PUSH(&m->unit->ctx->scratch, &m->todo) = number;
}

static void mark_operands(marks *m, const eb_ir_operand *at, uint32_t count) {
    for (uint32_t n = 0; n < count; n++)
        mark(m, at[n].symbol);
}

static void mark_function(marks *m, eb_fn *fn) {
    for (uint32_t v = 1; v < fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block)
            continue;
        if (ir->op == EB_IR_CALLX)
            direct_call(fn, v);
        if (ir->op == EB_IR_SYMBOL || ir->op == EB_IR_CALL)
            mark(m, ir->extra);
        if (ir->op == EB_IR_ASM || ir->op == EB_IR_GOTO) {
            const eb_ir_asm *a = &m->unit->asms.at[ir->extra];
            mark_operands(m, a->inputs.at, a->inputs.len);
            mark_operands(m, a->outputs.at, a->outputs.len);
        }
    }
}

static bool is_root(const eb_ir_symbol *symbol) {
    bool named = symbol->section.len &&
                 (symbol->kind == EB_IR_FUNCTION || eb_str_is(symbol->section, ".maps"));
    return symbol->is_defined && (symbol->bind != EB_STB_LOCAL || symbol->retained || named);
}

/* Marks what is reached as live. */
static void reach(marks *m) {
    eb_ir_unit *unit = m->unit;
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        unit->symbols.at[n].live = false;
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        if (is_root(&unit->symbols.at[n]))
            mark(m, n);
    while (m->todo.len) {
        const eb_ir_symbol *symbol = &unit->symbols.at[m->todo.at[--m->todo.len]];
        for (uint32_t n = 0; n < symbol->words.len; n++)
            mark(m, symbol->words.at[n].symbol);
        if (symbol->fn)
            mark_function(m, symbol->fn);
    }
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        if (!unit->symbols.at[n].live)
            unit->symbols.at[n].fn = NULL;
}

bool eb_pass_symbols(eb_ir_unit *unit) {
    marks m = {.unit = unit};
    reach(&m);
    if (!unit->optimize || !eb_find_contents(unit))
        return false;
    reach(&m); /* what was only called through a variable that is constant is called by its name */
    return true;
}
