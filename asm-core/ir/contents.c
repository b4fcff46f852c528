/* contents.c - what is known of the contents of static variables, of all functions together: one
 * that is only ever read, or stored to what it has from the start, is constant, as in clang. Where
 * the address of one goes nowhere else, that is known of each of its bytes: an element or member
 * that is never stored to has what it has from the start (fold.c puts that into the loads), and
 * what is stored where nobody reads is not stored.
 *
 * Variables hold addresses of others, too. When a pointer has become a constant and nobody loads it
 * any more, what it points to may be known as well, so it takes some turns (pass.def) to follow
 * pointers to pointers. */
#include "contents.h"

#include "fold.h"
#include "mem.h"
#include "object.h"

enum { READ = 1, WRITTEN = 2, ELSEWHERE = 4 }; /* what an instruction does with an address */
enum { BYTES_MOST = 4096 };

/* A static variable that only this unit knows. */
static bool is_ours(const eb_ir_unit *unit, const eb_ir_symbol *symbol) {
    return symbol->kind == EB_IR_VARIABLE && symbol->bind == EB_STB_LOCAL && symbol->is_defined &&
           !symbol->retained && !symbol->section.len && !unit->texts.len;
}

/* ---- what is done to them ---- */

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

/* What the instruction does with an address that is its operand, and where (no base: a place, all
 * of the variable otherwise). */
static unsigned effect_of(const eb_fn *fn, eb_ir *ir, const eb_value *operand, eb_mem *m) {
    bool first = operand == &ir->a, is_volatile = ir->flags & EB_IR_VOLATILE;
    *m = (eb_mem){.base = 1};
    switch (ir->op) {
    case EB_IR_LOAD:
    case EB_IR_STORE:
    case EB_IR_ATOMIC:
        if (!first)
            return ELSEWHERE;
        *m = eb_mem_at(fn, ir->a, ir->imm, ir->size);
        if (is_volatile || ir->op == EB_IR_ATOMIC)
            return READ | WRITTEN;
        return ir->op == EB_IR_LOAD ? READ : rewritten(fn, ir) ? 0 : WRITTEN;
    case EB_IR_COPYMEM:
    case EB_IR_MOVEMEM:
    case EB_IR_SETMEM:
        if (!ir->c)
            *m = eb_mem_at(fn, *operand, 0, ir->imm);
        return is_volatile ? READ | WRITTEN : first ? WRITTEN : READ;
    case EB_IR_MEMCMP:
    case EB_IR_STRCMP:
    case EB_IR_STRLEN:
        return READ;
    case EB_IR_CMP:
    case EB_IR_BRANCH:
        return 0;
    default:
        return ELSEWHERE;
    }
}

static void note_bytes(eb_ir_symbol *symbol, const eb_mem *m, unsigned effect) {
    int64_t lo = 0, hi = (int64_t)symbol->size;
    if (!m->base) {
        lo = m->at < 0 ? 0 : m->at;
        hi = m->at + m->size < hi ? m->at + m->size : hi;
    }
    for (; symbol->bytes && lo < hi; lo++)
        symbol->bytes[lo] |= (uint8_t)effect;
}

static void note_accesses(eb_fn *fn) {
    for (eb_value v = 1; v < fn->values.len; v++) {
        eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block)
            continue;
        for (eb_uses uses = eb_uses_of(fn, v); eb_uses_next(&uses);) {
            const eb_ir *root = eb_mem_root_of(fn, *uses.at);
            if (root->op != EB_IR_SYMBOL || eb_mem_root_of(fn, v) == root)
                continue; /* elsewhere, or a sum whose uses are looked at */
            eb_mem m;
            eb_ir_symbol *symbol = &fn->unit->symbols.at[root->extra];
            unsigned effect = effect_of(fn, ir, uses.at, &m);
            symbol->written |= (effect & (WRITTEN | ELSEWHERE)) != 0;
            symbol->is_private &= !(effect & ELSEWHERE);
            note_bytes(symbol, &m, effect);
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

static void start(eb_ir_unit *unit, eb_ir_symbol *symbol) {
    symbol->written = false;
    symbol->is_private = is_ours(unit, symbol);
    bool counted = symbol->is_private && symbol->size <= BYTES_MOST;
    if (counted && !symbol->bytes)
        symbol->bytes = eb_alloc(&unit->ctx->arena, symbol->size + 1);
    if (counted)
        memset(symbol->bytes, 0, symbol->size);
}

/* False: there is no variable of which anything might be found out. */
static bool note_all(eb_ir_unit *unit) {
    bool any = false;
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        eb_ir_symbol *symbol = &unit->symbols.at[n];
        start(unit, symbol);
        any |= symbol->is_private && symbol->live && !symbol->is_const;
    }
    if (!any)
        return false;
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        const eb_ir_symbol *symbol = &unit->symbols.at[n];
        for (uint32_t w = 0; symbol->live && w < symbol->words.len; w++)
            expose(&unit->symbols.at[symbol->words.at[w].symbol]);
        if (symbol->fn)
            note_accesses(symbol->fn);
    }
    for (uint32_t n = 1; n < unit->asms.len; n++) {
        note_operands(unit, unit->asms.at[n].inputs.at, unit->asms.at[n].inputs.len);
        note_operands(unit, unit->asms.at[n].outputs.at, unit->asms.at[n].outputs.len);
    }
    return true;
}

/* ---- what follows ---- */

/* Whether none of the bytes has been marked so. */
static bool are_free_of(const eb_ir_symbol *symbol, int64_t at, int64_t size, uint8_t mark) {
    if (!symbol->is_private || !symbol->bytes || at < 0 || size > (int64_t)symbol->size - at)
        return false;
    for (int64_t n = at; n < at + size; n++)
        if (symbol->bytes[n] & mark)
            return false;
    return true;
}

bool eb_is_initial(const eb_ir_unit *unit, uint32_t number, int64_t at, const eb_ir *load) {
    const eb_ir_symbol *symbol = &unit->symbols.at[number];
    return !(load->flags & EB_IR_VOLATILE) &&
           (symbol->is_const || are_free_of(symbol, at, load->size, WRITTEN));
}

/* A store of what is there from the start, where nothing else is ever stored; or of what nobody
 * reads. */
static bool is_idle(const eb_fn *fn, const eb_ir *ir) {
    eb_mem m;
    if (ir->op != EB_IR_STORE && ir->op != EB_IR_SETMEM && ir->op != EB_IR_COPYMEM)
        return false;
    if ((ir->flags & EB_IR_VOLATILE) || !eb_mem_written(fn, ir, &m) || m.root != EB_MEM_SYMBOL)
        return false;
    const eb_ir_symbol *symbol = &fn->unit->symbols.at[m.number];
    int64_t at = m.base ? 0 : m.at, size = m.base ? (int64_t)symbol->size : m.size;
    return (symbol->is_const && rewritten(fn, ir)) || are_free_of(symbol, at, size, READ);
}

/* Whether the load will be folded. */
static bool is_known(const eb_fn *fn, const eb_ir *ir) {
    int64_t number;
    if (ir->op != EB_IR_LOAD || ir->extra)
        return false;
    eb_mem m = eb_mem_at(fn, ir->a, ir->imm, ir->size);
    return m.root == EB_MEM_SYMBOL && !m.base &&
           (eb_fold_data(fn->unit, m.number, m.at, ir, &number) ||
            eb_fold_word(fn->unit, m.number, m.at, ir));
}

static bool look_for_news(eb_fn *fn) {
    bool news = false;
    for (eb_value v = 1; v < fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block)
            continue;
        bool idle = is_idle(fn, ir);
        news |= idle || is_known(fn, ir);
        if (idle)
            eb_ir_remove(fn, v);
    }
    return news;
}

bool eb_find_contents(eb_ir_unit *unit) {
    bool news = false;
    if (!note_all(unit))
        return false;
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        eb_ir_symbol *symbol = &unit->symbols.at[n];
        symbol->is_const |= !symbol->written && is_ours(unit, symbol);
    }
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        if (unit->symbols.at[n].fn)
            news |= look_for_news(unit->symbols.at[n].fn);
    return news;
}
