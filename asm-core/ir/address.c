/* address.c - see address.h. */
#include "address.h"

eb_address eb_address_of(const eb_fn *fn, eb_value address) {
    eb_address at = {address, 0};
    for (;;) {
        const eb_ir *ir = eb_ir_at(fn, at.base);
        eb_value next = ir->a;
        int64_t by = 0;
        if (ir->op == EB_IR_ADD && eb_ir_is_const(fn, ir->b)) {
            by = eb_ir_at(fn, ir->b)->imm;
        } else if (ir->op == EB_IR_ADD && eb_ir_is_const(fn, ir->a)) {
            by = eb_ir_at(fn, ir->a)->imm;
            next = ir->b;
        } else if (ir->op == EB_IR_SUB && eb_ir_is_const(fn, ir->b) &&
                   eb_ir_at(fn, ir->b)->imm != INT64_MIN) {
            by = -eb_ir_at(fn, ir->b)->imm;
        } else if (ir->op == EB_IR_SLOT || ir->op == EB_IR_SYMBOL) {
            by = ir->imm;
            next = 0;
        } else if (ir->op != EB_IR_COPY) {
            return at;
        }
        if (ir->type == EB_IR_I32 || __builtin_add_overflow(at.offset, by, &at.offset))
            return (eb_address){address, 0};
        if (!next)
            return at;
        at.base = next;
    }
}

bool eb_address_shared(const eb_fn *fn, eb_address a, eb_address b) {
    const eb_ir *x = eb_ir_at(fn, a.base), *y = eb_ir_at(fn, b.base);
    bool named = x->op == y->op && (x->op == EB_IR_SLOT || x->op == EB_IR_SYMBOL);
    return a.base == b.base || (named && x->extra == y->extra);
}

static unsigned lowest_bit(uint64_t value) {
    return (unsigned)(value & (0 - value)) & 0xf;
}

/* The alignment of the base, raised where it is ours to say. */
static unsigned base_align(eb_fn *fn, const eb_ir *base) {
    unsigned best = 8;
    uint32_t *align;
    uint64_t size;
    if (base->op == EB_IR_SLOT) {
        align = &fn->slots.at[base->extra].align;
        size = fn->slots.at[base->extra].size;
    } else {
        eb_ir_symbol *symbol = &fn->unit->symbols.at[base->extra];
        bool ours = symbol->kind == EB_IR_VARIABLE && symbol->is_defined && !symbol->section.len &&
                    symbol->bind != 2;
        if (!ours)
            return symbol->kind == EB_IR_VARIABLE ? lowest_bit(symbol->align | 8) : 1;
        align = &symbol->align;
        size = symbol->size;
    }
    while (best > size && best > 1)
        best /= 2;
    if (*align < best)
        *align = best;
    return lowest_bit(*align | 8);
}

unsigned eb_address_align(eb_fn *fn, eb_value address, unsigned least) {
    eb_address at = eb_address_of(fn, address);
    const eb_ir *base = eb_ir_at(fn, at.base);
    if (base->op != EB_IR_SLOT && base->op != EB_IR_SYMBOL)
        return least;
    unsigned align = base_align(fn, base), offset = lowest_bit((uint64_t)at.offset | 8);
    align = align < offset ? align : offset;
    return align > least ? align : least;
}
