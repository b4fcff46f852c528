/* symbol.c - which symbols are kept: what others can see, what is said to be used, what has a
 * section that the loader knows by its name, and what these reach by calls, addresses, inline
 * assembly and words in their data. Functions that are not (static ones that were inlined
 * everywhere) lose their bodies.
 *
 * And what is known of their contents: a static variable that is only ever read, or stored to what
 * it has from the start, is constant, as in clang (fold.c puts its contents into the loads); a call
 * through a constant that holds a number or a function's address is a call of that helper or
 * function. */
#include "address.h"
#include "fold.h"
#include "mem.h"
#include "object.h"
#include "pass.h"

typedef struct marks {
    eb_ir_unit *unit;
    EB_VEC(uint32_t) todo;
    bool changed;
} marks;

/* ---- contents ---- */

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

static bool direct_call(eb_fn *fn, eb_value call) {
    eb_ir *ir = eb_ir_at(fn, call);
    const eb_ir *to = eb_ir_at(fn, eb_ir_origin(fn, ir->a));
    uint32_t symbol = 0;
    int64_t number = to->imm;
    if (to->op == EB_IR_SYMBOL && !to->imm &&
        fn->unit->symbols.at[to->extra].kind == EB_IR_FUNCTION)
        symbol = to->extra;
    else if (to->op != EB_IR_CONST && !find_word(fn, eb_ir_origin(fn, ir->a), &symbol, &number))
        return false;
    ir->op = symbol ? EB_IR_CALL : EB_IR_HELPER;
    ir->extra = symbol;
    ir->imm = symbol ? 0 : number;
    ir->a = 0;
    return true;
}

/* A static variable that only this unit knows. */
static bool is_ours(const eb_ir_unit *unit, const eb_ir_symbol *symbol) {
    return symbol->kind == EB_IR_VARIABLE && symbol->bind == EB_STB_LOCAL && symbol->is_defined &&
           !symbol->retained && !symbol->section.len && !unit->texts.len;
}

/* A use of a variable's address that only reads. */
static bool only_reads(const eb_ir *ir) {
    return ir->op == EB_IR_LOAD && !(ir->flags & EB_IR_VOLATILE);
}

/* A use of a variable's address to which only reading and writing there is known. */
static bool only_accesses(eb_ir *ir, const eb_value *operand) {
    switch (ir->op) {
    case EB_IR_LOAD:
    case EB_IR_COPYMEM:
    case EB_IR_MOVEMEM:
        return true;
    case EB_IR_STORE:
    case EB_IR_ATOMIC:
    case EB_IR_SETMEM:
        return operand == &ir->a;
    default:
        return false;
    }
}

/* The static variable into which a store puts what it has from the start; or 0. */
static uint32_t rewritten(const eb_fn *fn, const eb_ir *ir) {
    if (ir->op != EB_IR_STORE || (ir->flags & EB_IR_VOLATILE) || ir->extra)
        return 0;
    eb_mem m = eb_mem_at(fn, ir->a, ir->imm, ir->size);
    if (m.root != EB_MEM_SYMBOL || m.base || !is_ours(fn->unit, &fn->unit->symbols.at[m.number]))
        return 0;
    const eb_ir *value = eb_ir_at(fn, eb_ir_origin(fn, ir->b));
    eb_ir load = {.op = EB_IR_LOAD, .type = value->type, .size = ir->size};
    int64_t number;
    if (value->op == EB_IR_CONST && eb_initial_number(fn->unit, m.number, m.at, &load, &number)) {
        uint64_t unused = 64 - 8u * ir->size;
        return (uint64_t)(number ^ value->imm) << unused ? 0 : m.number;
    }
    const eb_ir_word *word = eb_initial_word(fn->unit, m.number, m.at, &load);
    bool same = word && value->op == EB_IR_SYMBOL && value->extra == word->symbol &&
                value->imm == word->addend;
    return same ? m.number : 0;
}

/* Stores of what is there from the start, where nothing else is ever stored. */
static void drop_rewrites(eb_fn *fn) {
    for (eb_value v = 1; v < fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        uint32_t symbol = ir->block ? rewritten(fn, ir) : 0;
        if (symbol && fn->unit->symbols.at[symbol].is_const)
            eb_ir_remove(fn, v);
    }
}

/* Marks the variables that are written, and those whose address goes elsewhere. */
static void note_writes(eb_fn *fn) {
    for (eb_value v = 1; v < fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block || only_reads(ir))
            continue;
        for (eb_uses uses = eb_uses_of(fn, v); eb_uses_next(&uses);) {
            const eb_ir *root = eb_mem_root_of(fn, *uses.at);
            bool source = ir->op == EB_IR_COPYMEM && uses.at == &eb_ir_at(fn, v)->b;
            if (root->op != EB_IR_SYMBOL || eb_mem_root_of(fn, v) == root)
                continue; /* elsewhere, or a sum whose uses are looked at */
            eb_ir_symbol *symbol = &fn->unit->symbols.at[root->extra];
            bool same = uses.at == &eb_ir_at(fn, v)->a && rewritten(fn, ir) == root->extra;
            symbol->written |= !source && !same;
            symbol->is_private &= only_accesses(eb_ir_at(fn, v), uses.at);
        }
    }
}

static void expose(eb_ir_symbol *symbol) {
    symbol->written = true;
    symbol->is_private = false;
}

static void note_operands(eb_ir_unit *unit, const eb_ir_operand *at, uint32_t count) {
    for (uint32_t n = 0; n < count; n++)
        if (at[n].symbol)
            expose(&unit->symbols.at[at[n].symbol]);
}

static void find_constants(eb_ir_unit *unit) {
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        eb_ir_symbol *symbol = &unit->symbols.at[n];
        symbol->written = false;
        symbol->is_private = is_ours(unit, symbol);
    }
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        const eb_ir_symbol *symbol = &unit->symbols.at[n];
        for (uint32_t w = 0; symbol->live && w < symbol->words.len; w++)
            expose(&unit->symbols.at[symbol->words.at[w].symbol]);
        if (symbol->fn)
            note_writes(symbol->fn);
    }
    for (uint32_t n = 1; n < unit->asms.len; n++) {
        note_operands(unit, unit->asms.at[n].inputs.at, unit->asms.at[n].inputs.len);
        note_operands(unit, unit->asms.at[n].outputs.at, unit->asms.at[n].outputs.len);
    }
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        eb_ir_symbol *symbol = &unit->symbols.at[n];
        symbol->is_const |= !symbol->written && is_ours(unit, symbol);
    }
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        if (unit->symbols.at[n].fn)
            drop_rewrites(unit->symbols.at[n].fn);
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
        if (ir->op == EB_IR_CALLX && direct_call(fn, v))
            m->changed = true;
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
        if (unit->symbols.at[n].fn && !unit->symbols.at[n].live) {
            unit->symbols.at[n].fn = NULL;
            m->changed = true;
        }
}

bool eb_pass_symbols(eb_ir_unit *unit) {
    marks m = {.unit = unit};
    reach(&m);
    if (!unit->optimize)
        return m.changed;
    find_constants(unit);
    reach(&m); /* what was only called through a variable that is constant is called by its name */
    return m.changed;
}
