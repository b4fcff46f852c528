/* symbol.c - which symbols are kept: what others can see, what is said to be used, and what these
 * reach by calls, addresses, inline assembly and words in their data. Static functions that were
 * inlined everywhere are gone then. */
#include "object.h"
#include "pass.h"

typedef struct marks {
    eb_ir_unit *unit;
    EB_VEC(uint32_t) todo;
} marks;

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

static void mark_function(marks *m, const eb_fn *fn) {
    for (uint32_t v = 1; v < fn->values.len; v++) {
        const eb_ir *ir = eb_ir_at(fn, v);
        if (!ir->block)
            continue;
        if (ir->op == EB_IR_SYMBOL || ir->op == EB_IR_CALL)
            mark(m, ir->extra);
        if (ir->op == EB_IR_ASM || ir->op == EB_IR_GOTO) {
            const eb_ir_asm *a = &m->unit->asms.at[ir->extra];
            mark_operands(m, a->inputs.at, a->inputs.len);
            mark_operands(m, a->outputs.at, a->outputs.len);
        }
    }
}

bool eb_pass_symbols(eb_ir_unit *unit) {
    marks m = {.unit = unit};
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        unit->symbols.at[n].live = false;
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        const eb_ir_symbol *symbol = &unit->symbols.at[n];
        if (symbol->is_defined && (symbol->bind != EB_STB_LOCAL || symbol->retained))
            mark(&m, n);
    }
    while (m.todo.len) {
        const eb_ir_symbol *symbol = &unit->symbols.at[m.todo.at[--m.todo.len]];
        for (uint32_t n = 0; n < symbol->words.len; n++)
            mark(&m, symbol->words.at[n].symbol);
        if (symbol->fn)
            mark_function(&m, symbol->fn);
    }
    return false;
}
