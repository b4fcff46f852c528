/* inline.c - the text of inline assembly: its operands are written out, and the assembler makes a
 * piece of it. %0 and %[name] are operands, with w before the number their 32-bit registers, with l
 * a label of asm goto; %= is a number that no other assembly has, %% a percent sign. */
#include "emit.h"

typedef struct writer {
    const eb_mfn *mfn;
    const eb_masm *masm;
    const eb_mblock *block;
    uint32_t unique;
    eb_str text;
    size_t at; /* behind the % */
    eb_buf out;
} writer;

static const eb_ir_operand *operand_at(const eb_ir_asm *ir, uint32_t n) {
    return n < ir->outputs.len ? &ir->outputs.at[n] : &ir->inputs.at[n - ir->outputs.len];
}

static void put_number(writer *w, const eb_masm_reg *operand) {
    if (!operand->symbol) {
        eb_buf_fmt(&w->out, "%lld", (long long)operand->imm);
        return;
    }
    eb_str name = w->mfn->unit->symbols.at[operand->symbol].name;
    if (name.len)
        eb_buf_str(&w->out, name);
    else
        eb_buf_fmt(&w->out, EB_SYMBOL_LABEL "%u", operand->symbol);
    if (operand->imm)
        eb_buf_fmt(&w->out, "%+lld", (long long)operand->imm);
}

static void put_operand(writer *w, uint32_t n, char modifier) {
    const eb_ir_operand *operand = operand_at(w->masm->ir, n);
    unsigned reg = w->masm->regs.at[n].reg;
    if (reg == EB_REG_NO)
        put_number(w, &w->masm->regs.at[n]);
    else if (operand->kind == 'm')
        eb_buf_fmt(&w->out, "(r%u + 0)", reg);
    else
        eb_buf_fmt(&w->out, modifier == 'w' ? "w%u" : "r%u", reg);
}

/* The operand or label (counted behind the operands) that is called so, or UINT32_MAX. */
static uint32_t by_name(const eb_ir_asm *ir, eb_str name) {
    uint32_t count = ir->outputs.len + ir->inputs.len;
    for (uint32_t n = 0; n < count; n++)
        if (eb_str_eq(operand_at(ir, n)->name, name))
            return n;
    for (uint32_t n = 0; n < ir->labels.len; n++)
        if (eb_str_eq(ir->labels.at[n], name))
            return count + n;
    return UINT32_MAX;
}

static uint32_t take_index(writer *w) {
    const char *at = w->text.at;
    uint64_t number = 0;
    if (w->at < w->text.len && at[w->at] == '[') {
        size_t start = ++w->at;
        while (w->at < w->text.len && at[w->at] != ']')
            w->at++;
        if (w->at == w->text.len)
            return UINT32_MAX;
        return by_name(w->masm->ir, (eb_str){at + start, w->at++ - start});
    }
    if (w->at == w->text.len || at[w->at] < '0' || at[w->at] > '9')
        return UINT32_MAX;
    while (w->at < w->text.len && at[w->at] >= '0' && at[w->at] <= '9' && number < UINT32_MAX)
        number = number * 10 + (uint64_t)(at[w->at++] - '0');
    return number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
}

/* What a % stands for; false when nothing is called so. */
static bool put_reference(writer *w) {
    const eb_ir_asm *ir = w->masm->ir;
    uint32_t count = ir->outputs.len + ir->inputs.len, labels = count;
    char c = w->at < w->text.len ? w->text.at[w->at] : 0, modifier = 0;
    if (c == '%' || c == '=') {
        w->at++;
        if (c == '%')
            eb_buf_byte(&w->out, '%');
        else
            eb_buf_fmt(&w->out, "%u", w->unique);
        return true;
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        modifier = c;
        w->at++;
    }
    uint32_t n = take_index(w);
    for (uint32_t i = 0; i < ir->outputs.len; i++)
        labels += ir->outputs.at[i].is_read; /* what is read, too, counts twice */
    if (n < count && modifier != 'l')
        put_operand(w, n, modifier);
    else if (n >= labels && n - labels < ir->labels.len && n - labels + 1 < w->block->succs.len)
        eb_buf_fmt(&w->out, EB_BLOCK_LABEL "%u", w->block->succs.at[n - labels + 1]);
    else
        return false;
    return true;
}

static bool write(writer *w) {
    while (w->at < w->text.len) {
        char c = w->text.at[w->at++];
        size_t start = w->at - 1;
        if (c != '%') {
            eb_buf_byte(&w->out, (uint8_t)c);
        } else if (!put_reference(w)) {
            size_t end = w->at < w->text.len ? w->at + 1 : w->at;
            eb_diag_add(w->mfn->ctx, EB_DIAG_ASM_TEMPLATE, w->masm->ir->lo, w->masm->ir->hi,
                        (int)(end - start), w->text.at + start);
            return false;
        }
    }
    return true;
}

void eb_piece_make(const eb_mfn *mfn, const eb_masm *masm, const eb_mblock *block, uint32_t unique,
                   eb_piece *out) {
    writer w = {.mfn = mfn, .masm = masm, .block = block, .unique = unique, .text = masm->ir->text};
    w.out.arena = &mfn->ctx->arena;
    *out = (eb_piece){.bytes = {.arena = &mfn->ctx->arena}};
    if (write(&w) && w.out.len)
        eb_asm_piece(mfn->ctx, EB_STR("<inline asm>"), (eb_str){(char *)w.out.at, w.out.len},
                     mfn->unit->big, masm->ir->lo, masm->ir->hi, out);
}

/* ---- what the assembly names ---- */

/* The unit's symbol with a name, or 0. */
static uint32_t symbol_named(const eb_ir_unit *unit, eb_str name) {
    uint32_t number = 0;
    if (eb_str_starts(name, EB_SYMBOL_LABEL)) {
        for (size_t n = sizeof EB_SYMBOL_LABEL - 1; n < name.len; n++)
            number = number * 10 + (uint32_t)(name.at[n] - '0');
        return number < unit->symbols.len ? number : 0;
    }
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        if (eb_str_eq(unit->symbols.at[n].name, name))
            return n;
    return 0;
}

/* An undefined symbol for a name that C does not know. */
static uint32_t foreign(ebpf_object *obj, eb_str name) {
    for (uint32_t n = 1; n < obj->symbols.len; n++)
        if (eb_str_eq(obj->symbols.at[n].name, name))
            return n;
    uint32_t number = eb_object_add_symbol(obj, name, EB_SHN_UNDEF, 0);
    obj->symbols.at[number].bind = EB_STB_GLOBAL;
    return number;
}

void eb_piece_link(eb_mfn *mfn, ebpf_object *obj, eb_links *links, uint32_t section, uint32_t start,
                   const eb_piece_ref *ref) {
    eb_arena *arena = &mfn->ctx->arena;
    uint32_t at = start + ref->offset, symbol = symbol_named(mfn->unit, ref->name);
    if (ref->kind == EB_REF_JUMP || ref->kind == EB_REF_JUMP32)
        return; /* within the function */
    if (ref->kind == EB_REF_DATA) {
        eb_diag_add(mfn->ctx, EB_DIAG_ASM_DATA, ref->lo, ref->hi, (int)ref->name.len, ref->name.at);
        return;
    }
    if (symbol && mfn->unit->symbols.at[symbol].object_symbol) {
        *EB_PUSH(arena, &links->links) = (eb_link){.section = section,
                                                   .offset = at,
                                                   .symbol = symbol,
                                                   .addend = ref->addend,
                                                   .calls = ref->kind == EB_REF_CALL};
        return;
    }
    eb_section *s = &obj->sections.at[section];
    if (ref->kind == EB_REF_CALL)
        eb_set32(s->bytes.at + at + 4, obj->big, UINT32_MAX);
    *EB_PUSH(arena, &s->relocs) =
        (eb_reloc){.offset = at,
                   .type = ref->kind == EB_REF_CALL ? EB_R_BPF_64_32 : EB_R_BPF_64_64,
                   .symbol = foreign(obj, ref->name)};
}
