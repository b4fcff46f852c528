/* print.c - a unit as text, which read.c reads again.
 *
 *     unit little v3
 *     @1 function "prog" global section "xdp"
 *     @2 variable "x" const size 4 align 4 data 05000000
 *     core 1 kind 0 type 4 value 12 "0:1"
 *     asm 1 "%0 = %1" clobbers 1 : out r i64 8 0 @0 "" : in r i64 8 0 @0 "" : label "out"
 *     function @1(prog) params 1 i32 entry
 *     scope 1 in 0
 *     slot 0: 16 align 8 "buffer" in 1
 *     b1:
 *       v1:ptr = param 0
 *       v2:i32 = load.4 v1+76
 *       v3:i32 = const 5
 *       branch.gt v2, v3 -> b2, b3
 *     b2: from b1, b4 unroll 8
 *
 * An instruction is: its value if it has one, the operation with size, condition and flags behind
 * dots, its operands, for what ends a block the blocks that follow. What in a line stands for
 * nothing (no section, size 0) is left out. */
#include "text.h"

const char *const eb_ir_types[4] = {"void", "i32", "i64", "ptr"};
const char *const eb_ir_conds[EB_COND_COUNT] = {"eq",  "ne",  "lt",  "ge",  "gt",  "le",
                                                "slt", "sge", "sgt", "sle", "set", "clear"};
const char *const eb_ir_atomics[EB_ATOMIC_COUNT] = {"add",  "or",  "and",  "xor",
                                                    "swap", "cas", "load", "store"};
const eb_ir_flag_name eb_ir_flags[EB_IR_FLAG_COUNT] = {{"signed", EB_IR_SIGNED},
                                                       {"volatile", EB_IR_VOLATILE},
                                                       {"unlikely", EB_IR_UNLIKELY},
                                                       {"likely", EB_IR_LIKELY},
                                                       {"nowrap", EB_IR_NO_WRAP}};

static void put_quoted(eb_str text, eb_buf *out) {
    eb_buf_str(out, EB_STR(" \""));
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = (uint8_t)text.at[i];
        if (c == '"' || c == '\\' || c < 32 || c > 126)
            eb_buf_fmt(out, "\\%02x", c);
        else
            eb_buf_byte(out, c);
    }
    eb_buf_byte(out, '"');
}

/* A name for the reader's eye only: what read.c skips. */
static void put_hint(eb_str name, eb_buf *out) {
    if (!name.len)
        return;
    eb_buf_byte(out, '(');
    for (size_t i = 0; i < name.len; i++)
        eb_buf_byte(out, name.at[i] > 32 && name.at[i] < 127 && name.at[i] != ')'
                             ? (uint8_t)name.at[i]
                             : '_');
    eb_buf_byte(out, ')');
}

/* ---- instructions ---- */

static void put_symbol(const eb_fn *fn, uint32_t symbol, eb_buf *out) {
    eb_buf_fmt(out, " @%u", symbol);
    put_hint(fn->unit->symbols.at[symbol].name, out);
}

static void put_core(const eb_fn *fn, uint32_t core, eb_buf *out) {
    eb_buf_fmt(out, " core %u", core);
    put_hint(fn->unit->cores.at[core].access, out);
}

static void put_offset(int64_t imm, eb_buf *out) {
    if (imm)
        eb_buf_fmt(out, "%s%lld", imm > 0 ? "+" : "", (long long)imm);
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
        eb_buf_fmt(out, " v%u", ir->b);
        break;
    case 'c':
        eb_buf_fmt(out, " v%u", ir->c);
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
    case 'x':
        eb_buf_fmt(out, " asm %u", ir->extra);
        break;
    default: /* m */
        eb_buf_fmt(out, " v%u", ir->a);
        put_offset(ir->imm, out);
        if (ir->extra)
            put_core(fn, ir->extra, out);
    }
}

static bool has_operand(const eb_ir *ir, char letter) {
    return !(letter == 'a' && ir->op == EB_IR_RETURN && !ir->a) && !(letter == 'c' && !ir->c) &&
           !(ir->op == EB_IR_UNREACHABLE && !ir->imm);
}

static void put_modifiers(const eb_ir *ir, eb_buf *out) {
    if (ir->size)
        eb_buf_fmt(out, ".%u", ir->size);
    if (ir->op == EB_IR_CMP || ir->op == EB_IR_BRANCH)
        eb_buf_fmt(out, ".%s", eb_ir_conds[ir->cond]);
    if (ir->op == EB_IR_ATOMIC)
        eb_buf_fmt(out, ".%s", eb_ir_atomics[ir->cond]);
    for (unsigned n = 0; n < EB_IR_FLAG_COUNT; n++)
        if (ir->flags & eb_ir_flags[n].flag)
            eb_buf_fmt(out, ".%s", eb_ir_flags[n].name);
}

static void put_instruction(const eb_fn *fn, eb_value value, eb_buf *out) {
    const eb_ir *ir = eb_ir_at(fn, value);
    const eb_ir_row *row = &eb_ir_rows[ir->op];
    eb_buf_str(out, EB_STR("  "));
    if (ir->type != EB_IR_VOID)
        eb_buf_fmt(out, "v%u:%s = ", value, eb_ir_types[ir->type]);
    eb_buf_fmt(out, "%s", row->text);
    put_modifiers(ir, out);
    const char *between = "";
    for (const char *letter = row->operands; *letter; letter++)
        if (has_operand(ir, *letter)) {
            eb_buf_fmt(out, "%s", *letter == 'l' ? "" : between);
            put_operand(fn, ir, *letter, out);
            between = ",";
        }
    const eb_block *block = &fn->blocks.at[ir->block];
    if (row->effect == EB_EFFECT_END)
        for (uint32_t n = 0; n < block->succs.len; n++)
            eb_buf_fmt(out, n ? ", b%u" : " -> b%u", block->succs.at[n]);
    eb_buf_byte(out, '\n');
}

/* ---- functions ---- */

static void put_block(const eb_fn *fn, uint32_t b, eb_buf *out) {
    const eb_block *block = &fn->blocks.at[b];
    eb_buf_fmt(out, "b%u:", b);
    for (uint32_t p = 0; p < block->preds.len; p++)
        eb_buf_fmt(out, p ? ", b%u" : " from b%u", block->preds.at[p]);
    if (block->unroll)
        eb_buf_fmt(out, " unroll %u", block->unroll);
    eb_buf_byte(out, '\n');
    for (eb_value v = block->first; v; v = eb_ir_at(fn, v)->next)
        put_instruction(fn, v, out);
}

void eb_ir_print_fn(const eb_fn *fn, eb_buf *out) {
    eb_buf_str(out, EB_STR("function"));
    put_symbol(fn, fn->symbol, out);
    eb_buf_fmt(out, " params %u %s", fn->params, eb_ir_types[fn->result]);
    eb_buf_fmt(out, "%s%s%s%s%s\n", fn->entry ? " entry" : "", fn->is_naked ? " naked" : "",
               fn->always_inline ? " always_inline" : "", fn->noinline ? " noinline" : "",
               fn->hinted ? " inline" : "");
    for (uint32_t n = 1; n < fn->scopes.len; n++)
        eb_buf_fmt(out, "scope %u in %u\n", n, fn->scopes.at[n]);
    for (uint32_t n = 0; n < fn->slots.len; n++) {
        const eb_slot *slot = &fn->slots.at[n];
        eb_buf_fmt(out, "slot %u: %llu align %u", n, (unsigned long long)slot->size, slot->align);
        put_quoted(slot->name, out);
        if (slot->scope)
            eb_buf_fmt(out, " in %u", slot->scope);
        eb_buf_byte(out, '\n');
    }
    for (uint32_t n = 1; n < fn->blocks.len; n++)
        if (fn->blocks.at[n].first)
            put_block(fn, n, out);
}

/* ---- the unit's tables ---- */

static void put_data(const eb_ir_symbol *symbol, eb_buf *out) {
    if (symbol->data.len)
        eb_buf_str(out, EB_STR(" data "));
    for (size_t i = 0; i < symbol->data.len; i++)
        eb_buf_fmt(out, "%02x", symbol->data.at[i]);
    for (uint32_t n = 0; n < symbol->words.len; n++) {
        const eb_ir_word *word = &symbol->words.at[n];
        eb_buf_fmt(out, " word %llu.%u @%u", (unsigned long long)word->offset, word->size,
                   word->symbol);
        put_offset(word->addend, out);
    }
}

static void put_symbol_line(const eb_ir_unit *unit, uint32_t n, eb_buf *out) {
    static const char *const binds[] = {"", " global", " weak"};
    const eb_ir_symbol *symbol = &unit->symbols.at[n];
    eb_buf_fmt(out, "@%u %s", n, symbol->kind == EB_IR_FUNCTION ? "function" : "variable");
    put_quoted(symbol->name, out);
    eb_buf_fmt(out, "%s", symbol->bind < 3 ? binds[symbol->bind] : "");
    for (unsigned f = 0; f < EB_IR_SYMBOL_FLAG_COUNT; f++)
        if (*eb_ir_symbol_flag(&unit->symbols.at[n], f))
            eb_buf_fmt(out, " %s", eb_ir_symbol_flags[f]);
    if (symbol->section.len) {
        eb_buf_str(out, EB_STR(" section"));
        put_quoted(symbol->section, out);
    }
    if (symbol->size)
        eb_buf_fmt(out, " size %llu", (unsigned long long)symbol->size);
    if (symbol->align != 1)
        eb_buf_fmt(out, " align %u", symbol->align);
    put_data(symbol, out);
    eb_buf_byte(out, '\n');
}

const char *const eb_ir_symbol_flags[EB_IR_SYMBOL_FLAG_COUNT] = {
    "hidden", "defined", "const", "retained", "string", "written", "private", "live"};

bool *eb_ir_symbol_flag(eb_ir_symbol *symbol, unsigned flag) {
    bool *const flags[EB_IR_SYMBOL_FLAG_COUNT] = {
        &symbol->hidden,    &symbol->is_defined, &symbol->is_const,   &symbol->retained,
        &symbol->is_string, &symbol->written,    &symbol->is_private, &symbol->live};
    return flags[flag];
}

static void put_asm_operands(const eb_ir_operand *at, uint32_t count, const char *way,
                             eb_buf *out) {
    for (uint32_t n = 0; n < count; n++) {
        eb_buf_fmt(out, " : %s %c %s %u %lld @%u", way, at[n].kind, eb_ir_types[at[n].type],
                   at[n].size, (long long)at[n].imm, at[n].symbol);
        put_quoted(at[n].name, out);
        if (at[n].early)
            eb_buf_str(out, EB_STR(" early"));
        if (at[n].is_read)
            eb_buf_str(out, EB_STR(" read"));
    }
}

static void put_asm(const eb_ir_unit *unit, uint32_t n, eb_buf *out) {
    const eb_ir_asm *code = &unit->asms.at[n];
    eb_buf_fmt(out, "asm %u", n);
    put_quoted(code->text, out);
    if (code->clobbers)
        eb_buf_fmt(out, " clobbers %u", code->clobbers);
    if (code->memory)
        eb_buf_str(out, EB_STR(" memory"));
    put_asm_operands(code->outputs.at, code->outputs.len, "out", out);
    put_asm_operands(code->inputs.at, code->inputs.len, "in", out);
    for (uint32_t l = 0; l < code->labels.len; l++) {
        eb_buf_str(out, EB_STR(" : label"));
        put_quoted(code->labels.at[l], out);
    }
    eb_buf_byte(out, '\n');
}

void eb_ir_print(const eb_ir_unit *unit, eb_buf *out) {
    eb_buf_fmt(out, "unit %s v%u%s\n", unit->big ? "big" : "little", unit->cpu,
               unit->optimize ? "" : " plain");
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        put_symbol_line(unit, n, out);
    for (uint32_t n = 1; n < unit->cores.len; n++) {
        const eb_ir_core *core = &unit->cores.at[n];
        eb_buf_fmt(out, "core %u kind %u type %u value %lld", n, core->kind, core->type,
                   (long long)core->value);
        put_quoted(core->access, out);
        eb_buf_byte(out, '\n');
    }
    for (uint32_t n = 1; n < unit->asms.len; n++)
        put_asm(unit, n, out);
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        if (unit->symbols.at[n].fn)
            eb_ir_print_fn(unit->symbols.at[n].fn, out);
}
