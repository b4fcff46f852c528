/* lower_builtin.c - builtin functions: CO-RE, and those of no family. */
#include "lower_builtin.h"

enum { BYTE = 8, WORD = 8 };

typedef enum core_kind {
#define CORE(id, number, class, name) CORE_##id = number,
#include "core.def"
} core_kind;

/* ---- CO-RE ---- */

/* libbpf's words of a bit-field, as the place has chosen them. */
static int64_t field_value(const eb_call *c, const eb_lvalue *p, int64_t kind) {
    uint32_t bits = p->field ? p->field->bits : 0;
    uint64_t size = p->field ? p->unit : eb_type_size(p->type);
    bool plain = !p->field;
    switch (kind) {
    case CORE_FIELD_BYTE_OFFSET:
        return p->chain.offset;
    case CORE_FIELD_BYTE_SIZE:
        return (int64_t)size;
    case CORE_FIELD_EXISTS:
        return 1;
    case CORE_FIELD_SIGNED:
        return eb_type_is_integer(p->type) && !eb_type_is_unsigned(p->type);
    case CORE_FIELD_LSHIFT_U64:
        if (c->l->ir->big)
            return (int64_t)((WORD - size) * BYTE + (plain ? 0 : p->bit));
        return (int64_t)(64 - (plain ? size * BYTE : p->bit + bits));
    default:
        return (int64_t)(64 - (plain ? size * BYTE : bits));
    }
}

static eb_value field_info(const eb_call *c) {
    eb_lower *l = c->l;
    int64_t kind = eb_constant_arg(c, 1);
    const eb_expr *e = c->args[0];
    while (e->kind == EB_EXPR_LOAD || e->kind == EB_EXPR_DECAY || e->kind == EB_EXPR_CAST)
        e = e->a;
    l->preserve++;
    eb_lvalue p = eb_lower_place(l, e);
    l->preserve--;
    if (!p.chain.count || p.offset || kind < 0 || kind > CORE_FIELD_RSHIFT_U64) {
        eb_diag_add(l->ctx, EB_DIAG_NO_FIELD_ACCESS, e->lo, e->hi);
        return eb_number_of(c, EB_IR_I32, 0);
    }
    return eb_emit_core(l, (unsigned)kind, EB_IR_I32, p.chain.root, eb_chain_text(l, &p.chain),
                        field_value(c, &p, kind), c->loc);
}

/* The type that *(T *)0 names: clang takes what the declaration says, typedefs included. */
static eb_type *named_type(const eb_call *c) {
    eb_type *type = c->e->of.args.type;
    while (type->kind == EB_TYPE_QUALIFIED || type->kind == EB_TYPE_TAGGED)
        type = type->base;
    return type;
}

static eb_value type_info(const eb_call *c) {
    static const uint8_t kinds[] = {CORE_TYPE_EXISTS, CORE_TYPE_SIZE, CORE_TYPE_MATCHES};
    int64_t flag = eb_constant_arg(c, 1);
    eb_type *type = named_type(c);
    if (flag < 0 || flag > 2)
        return eb_number_of(c, EB_IR_I32, 0);
    bool sized = eb_type_is_complete(type) && !eb_type_is(type, EB_TYPE_FUNCTION);
    int64_t value = flag == 1 ? (int64_t)(sized ? eb_type_size(type) : 0) : 1;
    return eb_emit_core(c->l, kinds[flag], EB_IR_I32, type, EB_STR("0"), value, c->loc);
}

/* Its local id is known when the BTF is (core.value is filled in with it then). */
static eb_value type_id(const eb_call *c) {
    int64_t flag = eb_constant_arg(c, 1);
    eb_type *type = flag ? named_type(c) : c->e->of.args.type;
    return eb_emit_core(c->l, flag ? CORE_TYPE_ID_TARGET : CORE_TYPE_ID_LOCAL, EB_IR_I64, type,
                        EB_STR("0"), 0, c->loc);
}

/* *(typeof(enum e) *)VALUE */
static eb_value enum_value(const eb_call *c) {
    eb_lower *l = c->l;
    eb_type *type = named_type(c), *plain = eb_type_plain(type);
    const eb_expr *e = c->args[0];
    while (e->kind == EB_EXPR_DEREF || e->kind == EB_EXPR_LOAD)
        e = e->a;
    eb_constant k = eb_constant_of(e);
    uint32_t index = UINT32_MAX;
    if (plain->kind == EB_TYPE_ENUM && k.kind == EB_CONSTANT_NUMBER)
        for (uint32_t n = plain->of.enumeration->list.len; n; n--)
            if (eb_wrap((uint64_t)plain->of.enumeration->list.at[n - 1].value,
                        plain->of.enumeration->integer) ==
                eb_wrap(k.value, plain->of.enumeration->integer))
                index = n - 1;
    if (index == UINT32_MAX) {
        eb_diag_add(l->ctx, EB_DIAG_NO_ENUMERATOR, c->e->lo, c->e->hi);
        return eb_number_of(c, EB_IR_I64, 0);
    }
    bool value = eb_constant_arg(c, 1) != 0;
    eb_str access = eb_str_fmt(&l->ctx->arena, "%u", index);
    return eb_emit_core(l, value ? CORE_ENUMVAL_VALUE : CORE_ENUMVAL_EXISTS, EB_IR_I64, type,
                        access, value ? (int64_t)plain->of.enumeration->list.at[index].value : 1,
                        c->loc);
}

/* ---- all of them ---- */

static eb_value preserved(const eb_call *c) {
    c->l->preserve++;
    eb_value v = eb_arg(c, 0);
    c->l->preserve--;
    return v;
}

static eb_value no_return(const eb_call *c, bool trap) {
    eb_value v = eb_emit(c->l, EB_IR_UNREACHABLE, EB_IR_VOID, 0, 0, c->loc);
    eb_ir_at(c->l->fn, v)->imm = trap;
    eb_emit_dead(c->l);
    return 0;
}

static eb_value constant_p(const eb_call *c) {
    eb_type *type = c->args[0]->type;
    if (eb_type_is_record(type) || eb_type_is_wide(type) || !c->l->ir->optimize)
        return eb_number_of(c, EB_IR_I32, 0);
    return eb_emit(c->l, EB_IR_CONST_P, EB_IR_I32, eb_arg(c, 0), 0, c->loc);
}

eb_value eb_lower_builtin(eb_lower *l, const eb_expr *e) {
    eb_call c = {l, e, e->of.args.at, e->lo};
    switch (e->builtin) { /* one case per row */
    case EB_BUILTIN_EXPECT:
        return eb_arg(&c, 0);
    case EB_BUILTIN_TRAP:
    case EB_BUILTIN_UNREACHABLE:
        return no_return(&c, e->builtin == EB_BUILTIN_TRAP);
    case EB_BUILTIN_RETURN_ADDRESS:
    case EB_BUILTIN_FRAME_ADDRESS:
        return eb_number_of(&c, EB_IR_PTR, 0);
    case EB_BUILTIN_ASSUME:
        return 0;
    case EB_BUILTIN_CONSTANT_P:
        return constant_p(&c);
    case EB_BUILTIN_PRESERVE_ACCESS:
        return preserved(&c);
    case EB_BUILTIN_FIELD_INFO:
        return field_info(&c);
    case EB_BUILTIN_TYPE_INFO:
        return type_info(&c);
    case EB_BUILTIN_ENUM_VALUE:
        return enum_value(&c);
    case EB_BUILTIN_BTF_TYPE_ID:
        return type_id(&c);
    default:
        return eb_lower_bits_builtin(&c);
    }
}
