/* lower_asm.c - inline assembly: operands by their constraints (GNU C's extended asm).
 *
 * r takes a register, i a number or a symbol's address, m the place itself; a constraint of several
 * letters takes the first that fits: "ri" a number where it is one. A digit ties an input to an
 * output, + does so with the output itself. A variable that chose its register is moved there in
 * front of the text and back behind it, where the text has that register's name. */
#include "lower.h"

static bool allows(eb_str constraint, const char *letters) {
    for (size_t n = 0; n < constraint.len; n++)
        if (strchr(letters, constraint.at[n]))
            return true;
    return false;
}

static eb_str operand_name(const eb_lower *l, const eb_asm_operand *operand) {
    return operand->name ? eb_name_text(l->u, operand->name - 1) : EB_STR("");
}

static eb_ir_operand *add(eb_lower *l, void *to, const eb_asm_operand *operand, char kind,
                          eb_type *type) {
    EB_VEC(eb_ir_operand) *list = to;
    eb_ir_operand *made = EB_PUSH(&l->ctx->arena, list);
    made->name = operand_name(l, operand);
    made->kind = kind;
    made->type = (uint8_t)eb_lower_type(type);
    made->size = made->type == EB_IR_VOID ? 0 : (uint8_t)eb_type_size(type);
    return made;
}

typedef struct operands {
    EB_VEC(eb_value) values;
} operands;

static void push(eb_lower *l, operands *to, eb_value v) {
    *EB_PUSH(&l->ctx->arena, &to->values) = v;
}

/* A number, or the address of something global. */
static bool immediate(eb_lower *l, eb_ir_operand *to, const eb_expr *e) {
    eb_constant c = eb_lower_constant(e);
    if (c.kind == EB_CONSTANT_NUMBER) {
        to->imm = (int64_t)c.value;
        return true;
    }
    if (eb_lower_bits(l, e, &to->imm))
        return true;
    c = eb_constant_of(e);
    if (c.kind != EB_CONSTANT_ADDRESS)
        return false;
    to->symbol = c.base->kind == EB_EXPR_STRING ? eb_symbol_of_string(l, c.base)
                                                : eb_symbol_of(l, c.base->of.decl);
    to->imm = (int64_t)c.value;
    return true;
}

static void input(eb_lower *l, eb_ir_asm *a, operands *values, const eb_asm_operand *operand) {
    const eb_expr *e = operand->expr;
    eb_str constraint = operand->constraint;
    char digit = 0;
    char constant = 0; /* how a value that may become one is passed */
    for (size_t n = 0; n < constraint.len; n++)
        if (constraint.at[n] >= '0' && constraint.at[n] <= '9')
            digit = constraint.at[n];
    if (!digit && allows(constraint, "in")) {
        eb_ir_operand *made = add(l, &a->inputs, operand, 'i', e->type);
        if (immediate(l, made, e))
            return;
        a->inputs.len--;
        constant = allows(constraint, "rg") ? 'e' : 'n';
    }
    bool memory = !digit && allows(constraint, "m") && !allows(constraint, "rg");
    if (memory && e->kind == EB_EXPR_LOAD) {
        eb_lvalue p = eb_lower_place(l, e->a);
        add(l, &a->inputs, operand, 'm', e->type);
        push(l, values, eb_place_address(l, &p, e->lo));
        return;
    }
    eb_value v = eb_refuse_type(l, e->type, e->lo, e->hi) ? 0 : eb_lower_value(l, e);
    if (!v) {
        eb_diag_add(l->ctx, EB_DIAG_ASM_OPERAND, e->lo, e->hi, eb_type_string(l->u, e->type));
        return;
    }
    add(l, &a->inputs, operand, digit ? digit : constant ? constant : 'r', e->type);
    push(l, values, v);
}

static void clobber(eb_lower *l, eb_ir_asm *a, eb_str name, const eb_stmt *s) {
    unsigned number = 0;
    bool is_register = name.len >= 2 && (name.at[0] == 'r' || name.at[0] == 'w');
    for (size_t n = 1; is_register && n < name.len; n++) {
        is_register = name.at[n] >= '0' && name.at[n] <= '9' && number < 100;
        number = number * 10 + (unsigned)(name.at[n] - '0');
    }
    if (eb_str_is(name, "memory"))
        a->memory = true;
    else if (is_register && number <= 10)
        a->clobbers |= (uint16_t)(1u << number);
    else if (!eb_str_is(name, "cc"))
        eb_diag_add(l->ctx, EB_DIAG_ASM_CLOBBER, s->lo, s->hi, (int)name.len, name.at);
}

/* Where the results go: each place, the register's value behind it. */
static void results(eb_lower *l, const eb_asm *from, const eb_lvalue *places, eb_value made,
                    eb_loc loc) {
    uint32_t number = 0;
    for (uint32_t n = 0; n < from->outputs.len; n++) {
        if (!places[n].type || !places[n].base)
            continue;
        eb_ir_type type = eb_lower_type(places[n].type);
        eb_value v = made;
        if (number++) {
            v = eb_emit(l, EB_IR_OUTPUT, type, made, 0, loc);
            eb_ir_at(l->fn, v)->imm = number - 1;
        }
        uint64_t size = eb_type_size(places[n].type);
        eb_lvalue p = places[n];
        if (size < 4) /* the register's upper part is anything */
            v = eb_lower_cast(l, v, eb_type_basic(&l->u->types, EB_TYPE_INT), p.type, loc);
        eb_place_store(l, &p, v, loc);
    }
}

/* asm goto: on in a block of its own, or in one of the labels', with the results in both. */
static void jumps(eb_lower *l, const eb_asm *from, eb_ir_asm *a, const eb_lvalue *places,
                  eb_value made, eb_loc loc) {
    uint32_t source = l->block, next = eb_block_new(l->fn);
    eb_edge_add(l->fn, source, next);
    for (uint32_t n = 0; n < from->labels.len; n++) {
        uint32_t to = eb_label_block(l, from->labels.at[n]);
        *EB_PUSH(&l->ctx->arena, &a->labels) = eb_name_text(l->u, from->labels.at[n]->name);
        if (!from->outputs.len) {
            eb_edge_add(l->fn, source, to);
            continue;
        }
        uint32_t between = eb_block_new(l->fn);
        eb_edge_add(l->fn, source, between);
        eb_emit_in(l, between);
        results(l, from, places, made, loc);
        eb_emit_jump(l, to, loc);
    }
    eb_emit_in(l, next);
}

/* ---- operands that chose their registers ---- */

static const eb_asm_operand *operand_of(const eb_asm *from, uint32_t n) {
    uint32_t outputs = from->outputs.len;
    return n < outputs                      ? &from->outputs.at[n]
           : n - outputs < from->inputs.len ? &from->inputs.at[n - outputs]
                                            : NULL;
}

/* The register that an operand, or the output that it is tied to, has chosen; -1 when it has not.
 */
static int fixed_of(const eb_asm *from, uint32_t n) {
    const eb_asm_operand *operand = operand_of(from, n);
    for (size_t c = 0; operand && n >= from->outputs.len && c < operand->constraint.len; c++) {
        uint32_t tied = (uint32_t)(operand->constraint.at[c] - '0');
        if (tied < 10 && tied < from->outputs.len && from->outputs.at[tied].fixed)
            return from->outputs.at[tied].fixed - 1;
    }
    return operand ? operand->fixed - 1 : -1;
}

/* The number of the operand that stands at text[*at], behind % and a modifier, and *at behind it;
 * that of none for what is none, such as a label. */
static uint32_t referred(const eb_lower *l, const eb_asm *from, eb_str text, size_t *at) {
    uint32_t number = 0, count = from->outputs.len + from->inputs.len;
    if (*at < text.len && text.at[*at] == '[') {
        size_t start = ++*at;
        while (*at < text.len && text.at[*at] != ']')
            ++*at;
        eb_str name = {text.at + start, *at - start};
        *at += *at < text.len;
        while (number < count && !eb_str_eq(operand_name(l, operand_of(from, number)), name))
            number++;
        return number;
    }
    size_t start = *at;
    for (; *at < text.len && text.at[*at] >= '0' && text.at[*at] <= '9'; ++*at)
        number = number < count ? number * 10 + (uint32_t)(text.at[*at] - '0') : count;
    return *at > start ? number : count;
}

/* The template, with the registers' names where their operands stood. */
static void put_fixed(const eb_lower *l, const eb_asm *from, eb_buf *out) {
    eb_str text = from->text;
    for (size_t at = 0; at < text.len;) {
        size_t start = at++;
        char modifier = 0;
        int fixed = -1;
        if (text.at[start] == '%' && at < text.len) {
            char c = text.at[at];
            if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
                modifier = text.at[at++];
            if (c == '%' || c == '=')
                at++;
            else
                fixed = fixed_of(from, referred(l, from, text, &at));
        }
        if (fixed >= 0 && modifier != 'l')
            eb_buf_fmt(out, "%c%d", modifier == 'w' ? 'w' : 'r', fixed);
        else
            eb_buf_put(out, text.at + start, at - start);
    }
}

/* The text of an assembly with such operands, whose registers are clobbered. */
static void fix_registers(eb_lower *l, const eb_asm *from, eb_ir_asm *a) {
    eb_buf out = {.arena = &l->ctx->arena}, behind = {.arena = &l->ctx->arena};
    for (uint32_t n = 0; n < from->outputs.len + from->inputs.len; n++) {
        bool output = n < from->outputs.len;
        int fixed = fixed_of(from, n);
        if (fixed < 0)
            continue;
        a->clobbers |= (uint16_t)(1u << fixed);
        if (!output || allows(operand_of(from, n)->constraint, "+"))
            eb_buf_fmt(&out, "r%d = %%%u\n", fixed, n);
        if (output)
            eb_buf_fmt(&behind, "\n%%%u = r%d", n, fixed);
    }
    if (!out.len && !behind.len)
        return;
    put_fixed(l, from, &out);
    eb_buf_put(&out, behind.at, behind.len);
    a->text = (eb_str){(const char *)out.at, out.len};
}

void eb_lower_asm(eb_lower *l, const eb_stmt *s) {
    const eb_asm *from = s->assembly;
    eb_ir_asm a = {.text = from->text, .lo = s->lo, .hi = s->hi};
    operands values = {0};
    eb_ir_type type = EB_IR_VOID;
    eb_lvalue *places = eb_alloc_array(&l->ctx->arena, from->outputs.len, sizeof *places);
    for (uint32_t n = 0; n < from->outputs.len; n++) {
        const eb_asm_operand *operand = &from->outputs.at[n];
        const eb_expr *e = operand->expr;
        if (eb_refuse_type(l, e->type, e->lo, e->hi) || eb_type_is_record(e->type))
            continue;
        eb_lvalue p = eb_lower_place(l, e);
        if (allows(operand->constraint, "m") && !allows(operand->constraint, "r")) {
            add(l, &a.outputs, operand, 'm', e->type);
            push(l, &values, eb_place_address(l, &p, e->lo));
            continue;
        }
        eb_ir_operand *made = add(l, &a.outputs, operand, 'r', e->type);
        made->early = allows(operand->constraint, "&");
        places[n] = p;
        type = type == EB_IR_VOID ? (eb_ir_type)made->type : type;
    }
    /* What + reads is an input that is tied, behind the memory operands. */
    for (uint32_t n = 0; n < from->outputs.len; n++)
        if (places[n].base && allows(from->outputs.at[n].constraint, "+")) {
            a.outputs.at[n].is_read = true;
            push(l, &values, eb_place_load(l, &places[n], s->lo));
        }
    for (uint32_t n = 0; n < from->inputs.len; n++)
        input(l, &a, &values, &from->inputs.at[n]);
    for (uint32_t n = 0; n < from->clobbers.len; n++)
        clobber(l, &a, from->clobbers.at[n], s);
    fix_registers(l, from, &a);
    uint32_t list = eb_list_new(l->fn, values.values.at, values.values.len);
    eb_value v = eb_emit(l, from->is_goto ? EB_IR_GOTO : EB_IR_ASM, type, 0, 0, s->lo);
    bool simple = !from->outputs.len || from->is_volatile;
    eb_ir_at(l->fn, v)->list = list;
    eb_ir_at(l->fn, v)->flags = simple ? EB_IR_VOLATILE : 0;
    if (from->is_goto)
        jumps(l, from, &a, places, v, s->lo);
    *EB_PUSH(&l->ctx->arena, &l->ir->asms) = a;
    eb_ir_at(l->fn, v)->extra = l->ir->asms.len - 1;
    results(l, from, places, v, s->lo);
}

/* The context has to be in r6; the packet's word comes in r0, in the host's order. A place that is
 * known goes into the instruction. */
eb_value eb_lower_packet_load(eb_lower *l, const eb_decl *decl, const eb_value *args,
                              uint32_t count, const eb_expr *e) {
    static const struct {
        const char *name, *type;
    } loads[] = {
        {"llvm.bpf.load.byte", "u8"}, {"llvm.bpf.load.half", "u16"}, {"llvm.bpf.load.word", "u32"}};
    enum { ABOVE_R0 = 0x7f, WORD = 8 };
    for (size_t n = 0; n < sizeof loads / sizeof loads[0]; n++) {
        if (!eb_str_is(decl->assembly, loads[n].name) || count != 2)
            continue;
        int64_t at = eb_ir_at(l->fn, args[1])->imm;
        bool known = eb_ir_at(l->fn, args[1])->op == EB_IR_CONST && at == (int32_t)at;
        eb_str place = known ? eb_str_fmt(&l->ctx->arena, "%d", (int)at) : eb_str_from("%2");
        eb_ir_asm a = {.lo = e->lo, .hi = e->hi, .clobbers = ABOVE_R0};
        a.text = eb_str_fmt(&l->ctx->arena, "r6 = %%1\nr0 = *(%s *)skb[%.*s]\n%%0 = r0",
                            loads[n].type, (int)place.len, place.at);
        eb_ir_operand value = {.kind = 'r', .type = EB_IR_I64, .size = WORD};
        *EB_PUSH(&l->ctx->arena, &a.outputs) = value;
        for (uint32_t input = known ? 1 : 0; input < 2; input++)
            *EB_PUSH(&l->ctx->arena, &a.inputs) = value;
        uint32_t list = eb_list_new(l->fn, args, a.inputs.len);
        eb_value v = eb_emit(l, EB_IR_ASM, EB_IR_I64, 0, 0, e->lo);
        *EB_PUSH(&l->ctx->arena, &l->ir->asms) = a;
        eb_ir *ir = eb_ir_at(l->fn, v);
        ir->list = list;
        ir->extra = l->ir->asms.len - 1;
        ir->flags = EB_IR_VOLATILE;
        return v;
    }
    return 0;
}
