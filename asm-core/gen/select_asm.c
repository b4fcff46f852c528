/* select_asm.c - the operands of inline assembly. Each that is a register gets one; inputs tied to
 * an output share its register. inline.c writes the text when registers are known. */
#include "select.h"

typedef struct operands {
    eb_sel *s;
    const eb_list *list; /* values: of memory outputs, outputs that are read, inputs */
    uint32_t at;
} operands;

static eb_value next(operands *o) {
    return o->list && o->at < o->list->values.len ? o->list->values.at[o->at++] : 0;
}

/* A value in a register of its own or its value's, for reading. */
static uint32_t read_reg(operands *o) {
    eb_value v = next(o);
    return v ? eb_sel_reg(o->s, v) : EB_REG_NO;
}

static void outputs(operands *o, eb_masm *masm) {
    eb_sel *s = o->s;
    for (uint32_t n = 0; n < masm->ir->outputs.len; n++) {
        const eb_ir_operand *out = &masm->ir->outputs.at[n];
        eb_masm_reg *reg = EB_PUSH(&s->ctx->scratch, &masm->regs);
        if (out->kind == 'm')
            *reg = (eb_masm_reg){.reg = read_reg(o), .use = true};
        else
            *reg = (eb_masm_reg){.reg = eb_sel_new(s), .def = true, .early = out->early};
    }
    for (uint32_t n = 0; n < masm->ir->outputs.len; n++) {
        eb_value v = masm->ir->outputs.at[n].is_read ? next(o) : 0;
        if (v)
            eb_sel_put(s, masm->regs.at[n].reg, v);
        masm->regs.at[n].use |= v != 0;
    }
}

/* What must have become a number or an address by now. */
static void constant(operands *o, const eb_masm *masm, eb_masm_reg *reg) {
    eb_value v = next(o);
    const eb_ir *ir = eb_sel_ir(o->s, v);
    reg->imm = ir->imm;
    if (ir->op == EB_IR_SYMBOL)
        reg->symbol = ir->extra;
    else if (ir->op != EB_IR_CONST)
        eb_diag_add(o->s->ctx, EB_DIAG_ASM_CONSTANT, masm->ir->lo, masm->ir->hi);
}

/* Whether the next value is a constant that an instruction holds. */
static bool is_number(const operands *o) {
    eb_value v = o->list && o->at < o->list->values.len ? o->list->values.at[o->at] : 0;
    const eb_ir *ir = eb_sel_ir(o->s, v);
    return v && ir->op == EB_IR_CONST && ir->imm >= INT32_MIN && ir->imm <= INT32_MAX;
}

static void inputs(operands *o, eb_masm *masm) {
    eb_sel *s = o->s;
    uint32_t outs = masm->ir->outputs.len;
    for (uint32_t n = 0; n < masm->ir->inputs.len; n++) {
        char kind = masm->ir->inputs.at[n].kind;
        eb_masm_reg *reg = EB_PUSH(&s->ctx->scratch, &masm->regs);
        *reg = (eb_masm_reg){.reg = EB_REG_NO};
        if (kind >= '0' && kind <= '9' && (uint32_t)(kind - '0') < outs) {
            eb_masm_reg *tied = &masm->regs.at[kind - '0'];
            eb_value v = next(o);
            if (v)
                eb_sel_put(s, tied->reg, v);
            tied->use = true;
            reg->reg = tied->reg;
        } else if (kind == 'n' || (kind == 'e' && is_number(o))) {
            constant(o, masm, reg);
        } else if (kind != 'i') {
            *reg = (eb_masm_reg){.reg = read_reg(o), .use = true};
        } else {
            reg->imm = masm->ir->inputs.at[n].imm;
            reg->symbol = masm->ir->inputs.at[n].symbol;
        }
    }
}

void eb_sel_asm(eb_sel *s, eb_value value) {
    const eb_ir call = *eb_sel_ir(s, value);
    const eb_ir_asm *ir = &s->fn->unit->asms.at[call.extra];
    if (ir->outputs.len + ir->inputs.len > EB_REFS_MOST) {
        eb_diag_add(s->ctx, EB_DIAG_ASM_OPERANDS, ir->lo, ir->hi, (unsigned)EB_REFS_MOST);
        return;
    }
    eb_masm masm = {.ir = ir, .clobbers = ir->clobbers & ((1u << EB_REGS) - 1)};
    operands o = {.s = s, .list = call.list ? &s->fn->lists.at[call.list] : NULL};
    outputs(&o, &masm);
    inputs(&o, &masm);
    *EB_PUSH(&s->ctx->scratch, &s->mfn->asms) = masm;
    s->entry[value] = s->mfn->asms.len;
    eb_sel_emit(s, call.op == EB_IR_GOTO ? EB_M_GOTO : EB_M_ASM)->extra = s->mfn->asms.len - 1;
    for (uint32_t n = 0; n < ir->outputs.len; n++)
        if (call.type != EB_IR_VOID && ir->outputs.at[n].kind != 'm') {
            s->reg[value] = masm.regs.at[n].reg;
            if (call.op == EB_IR_ASM)
                eb_sel_clean(s, value);
            break;
        }
}

/* Number imm of the outputs that are registers. */
void eb_sel_output(eb_sel *s, eb_value value) {
    const eb_ir *ir = eb_sel_ir(s, value);
    const eb_masm *masm = &s->mfn->asms.at[s->entry[ir->a] - 1];
    uint32_t reg = EB_REG_NO;
    int64_t left = ir->imm;
    for (uint32_t n = 0; n < masm->ir->outputs.len && left >= 0; n++)
        if (masm->ir->outputs.at[n].kind != 'm' && left-- == 0)
            reg = masm->regs.at[n].reg;
    if (s->wanted[value] && s->dirty[value])
        eb_sel_zero_upper(s, eb_sel_def(s, value), reg);
    else
        s->reg[value] = reg;
}
