/* print.c - a unit as text, which read.c reads again.
 *
 *     function prog(1) i32 "xdp" global
 *     slot 0: 16 align 8 "buffer"
 *     b1:
 *       v1:ptr = param 0
 *       v2:i32 = load.4 v1+76
 *       branch.4 gt v2, 5 -> b2, b3         (a constant operand is a value too: v3:i32 = const 5)
 *
 * An instruction is: its value if it has one, the operation with size, condition and flags behind
 * dots, its operands, for what ends a block the blocks that follow. */
#include "ir.h"

static const char *const types[] = {"void", "i32", "i64", "ptr"};
static const char *const conds[EB_COND_COUNT] = {"eq",  "ne",  "lt",  "ge",  "gt",  "le",
                                                 "slt", "sge", "sgt", "sle", "set", "clear"};
static const char *const atomics[EB_ATOMIC_COUNT] = {"add",  "or",  "and",  "xor",
                                                     "swap", "cas", "load", "store"};

static void put_symbol(const eb_fn *fn, uint32_t symbol, eb_buf *out) {
    eb_str name = fn->unit->symbols.at[symbol].name;
    eb_buf_fmt(out, " @%u", symbol);
    if (name.len)
        eb_buf_fmt(out, "(%.*s)", (int)name.len, name.at);
}

static void put_core(const eb_fn *fn, uint32_t core, eb_buf *out) {
    const eb_ir_core *record = &fn->unit->cores.at[core];
    eb_buf_fmt(out, " core %u(%.*s)", core, (int)record->access.len, record->access.at);
}

static void put_offset(int64_t imm, eb_buf *out) {
    if (imm)
        eb_buf_fmt(out, "%+lld", (long long)imm);
}

static void put_list(const eb_fn *fn, const eb_ir *ir, eb_buf *out) {
    const eb_list *list = &fn->lists.at[ir->list];
    eb_buf_str(out, EB_STR(" ["));
    for (uint32_t n = 0; ir->list && n < list->values.len; n++)
        eb_buf_fmt(out, n ? ", v%u" : "v%u", list->values.at[n]);
    eb_buf_byte(out, ']');
}

static void put_operand(const eb_fn *fn, const eb_ir *ir, char letter, eb_buf *out) {
    switch (letter) { /* one case per letter */
    case 'a':
        eb_buf_fmt(out, " v%u", ir->a);
        break;
    case 'b':
        eb_buf_fmt(out, ", v%u", ir->b);
        break;
    case 'c':
        eb_buf_fmt(out, ", v%u", ir->c);
        break;
    case 'i':
        eb_buf_fmt(out, " %lld", (long long)ir->imm);
        break;
    case 'l':
        put_list(fn, ir, out);
        break;
    case 's':
        put_symbol(fn, ir->extra, out);
        put_offset(ir->imm, out);
        break;
    case 'k':
        eb_buf_fmt(out, " #%u", ir->extra);
        put_offset(ir->imm, out);
        break;
    case 'r':
        put_core(fn, ir->extra, out);
        break;
    default: /* m */
        eb_buf_fmt(out, " v%u", ir->a);
        put_offset(ir->imm, out);
        if (ir->extra)
            put_core(fn, ir->extra, out);
    }
}

static void put_modifiers(const eb_ir *ir, eb_buf *out) {
    if (ir->size)
        eb_buf_fmt(out, ".%u", ir->size);
    if (ir->op == EB_IR_CMP || ir->op == EB_IR_BRANCH)
        eb_buf_fmt(out, ".%s", conds[ir->cond]);
    if (ir->op == EB_IR_ATOMIC)
        eb_buf_fmt(out, ".%s", atomics[ir->cond]);
    if (ir->flags & EB_IR_SIGNED)
        eb_buf_str(out, EB_STR(".signed"));
    if (ir->flags & EB_IR_VOLATILE)
        eb_buf_str(out, EB_STR(".volatile"));
}

static void put_instruction(const eb_fn *fn, eb_value value, eb_buf *out) {
    const eb_ir *ir = eb_ir_at(fn, value);
    const eb_ir_row *row = &eb_ir_rows[ir->op];
    eb_buf_str(out, EB_STR("  "));
    if (ir->type != EB_IR_VOID)
        eb_buf_fmt(out, "v%u:%s = ", value, types[ir->type]);
    eb_buf_fmt(out, "%s", row->text);
    put_modifiers(ir, out);
    if (ir->op == EB_IR_ASM || ir->op == EB_IR_GOTO)
        eb_buf_fmt(out, " %u", ir->extra);
    for (const char *letter = row->operands; *letter; letter++)
        if (!(ir->op == EB_IR_RETURN && !ir->a) && !(*letter == 'c' && !ir->c))
            put_operand(fn, ir, *letter, out);
    const eb_block *block = &fn->blocks.at[ir->block];
    if (row->effect == EB_EFFECT_END)
        for (uint32_t n = 0; n < block->succs.len; n++)
            eb_buf_fmt(out, n ? ", b%u" : " -> b%u", block->succs.at[n]);
    eb_buf_byte(out, '\n');
}

void eb_ir_print_fn(const eb_fn *fn, eb_buf *out) {
    const eb_ir_symbol *symbol = &fn->unit->symbols.at[fn->symbol];
    eb_buf_fmt(out, "function @%u(%.*s) %u %s\n", fn->symbol, (int)symbol->name.len,
               symbol->name.at, fn->params, types[fn->result]);
    for (uint32_t n = 0; n < fn->slots.len; n++) {
        const eb_slot *slot = &fn->slots.at[n];
        eb_buf_fmt(out, "slot %u: %llu align %u \"%.*s\"\n", n, (unsigned long long)slot->size,
                   slot->align, (int)slot->name.len, slot->name.at);
    }
    for (uint32_t n = 1; n < fn->blocks.len; n++) {
        if (!fn->blocks.at[n].first)
            continue;
        eb_buf_fmt(out, "b%u:", n);
        for (uint32_t p = 0; p < fn->blocks.at[n].preds.len; p++)
            eb_buf_fmt(out, p ? ", b%u" : " ; from b%u", fn->blocks.at[n].preds.at[p]);
        eb_buf_byte(out, '\n');
        for (eb_value v = fn->blocks.at[n].first; v; v = eb_ir_at(fn, v)->next)
            put_instruction(fn, v, out);
    }
}

void eb_ir_print(const eb_ir_unit *unit, eb_buf *out) {
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        if (unit->symbols.at[n].fn)
            eb_ir_print_fn(unit->symbols.at[n].fn, out);
}
