/* convert.c - expressions made: conversions, operators and the checks that go with them
 * (C11 6.3, 6.5). What is wrong gives a diagnostic and the error type, which silences the rest. */
#include "parse.h"

/* ---- nodes ---- */

eb_expr *eb_expr_new(eb_unit *u, eb_expr_kind kind, eb_type *type, eb_loc lo, eb_loc hi) {
    eb_expr *e = eb_alloc(&u->ctx->arena, sizeof *e);
    e->kind = (uint8_t)kind;
    e->type = type;
    e->lo = lo;
    e->hi = hi;
    return e;
}

eb_expr *eb_expr_number(eb_unit *u, eb_type *type, uint64_t value, eb_loc lo, eb_loc hi) {
    eb_expr *e = eb_expr_new(u, EB_EXPR_NUMBER, type, lo, hi);
    e->of.value = value;
    return e;
}

eb_expr *eb_expr_error(eb_unit *u, eb_loc lo, eb_loc hi) {
    return eb_expr_new(u, EB_EXPR_ERROR, eb_type_basic(&u->types, EB_TYPE_ERROR), lo, hi);
}

bool eb_expr_is_error(const eb_expr *e) {
    return eb_type_is(e->type, EB_TYPE_ERROR);
}

static eb_expr *wrap(eb_unit *u, eb_expr_kind kind, eb_type *type, eb_expr *a) {
    eb_expr *e = eb_expr_new(u, kind, type, a->lo, a->hi);
    e->a = a;
    e->parens = a->parens;
    return e;
}

static eb_type *basic(eb_unit *u, eb_type_kind kind) {
    return eb_type_basic(&u->types, kind);
}

/* ---- values ---- */

eb_expr *eb_rvalue(eb_unit *u, eb_expr *e) {
    eb_type *plain = eb_type_plain(e->type);
    if (plain->kind == EB_TYPE_ARRAY)
        return wrap(u, EB_EXPR_DECAY, eb_type_pointer(&u->types, plain->base), e);
    if (plain->kind == EB_TYPE_FUNCTION)
        return wrap(u, EB_EXPR_DECAY, eb_type_pointer(&u->types, e->type), e);
    if (e->is_lvalue)
        return wrap(u, EB_EXPR_LOAD, eb_type_unqualified(&u->types, e->type), e);
    return e;
}

const eb_member *eb_member_of(const eb_expr *e) {
    const eb_type *type = eb_type_plain(e->a->type);
    const eb_member *member = NULL;
    for (uint32_t n = 0; n < e->of.path.length; n++) {
        member = &type->of.record->members.at[e->of.path.at[n]];
        type = eb_type_plain(member->type);
    }
    return member;
}

const eb_member *eb_bit_field_of(const eb_expr *e) {
    const eb_member *member = e->kind == EB_EXPR_MEMBER ? eb_member_of(e) : NULL;
    return member && member->is_field ? member : NULL;
}

bool eb_refuse_bit_field(eb_unit *u, const eb_expr *e, const char *what) {
    bool field = eb_bit_field_of(e) != NULL;
    if (field)
        eb_diag_add(u->ctx, EB_DIAG_BIT_FIELD_USE, e->lo, e->hi, what);
    return field;
}

/* The integer promotions; a bit-field's are those of its width (C11 6.3.1.1). */
static eb_expr *promoted(eb_unit *u, eb_expr *e) {
    const eb_member *field = e->kind == EB_EXPR_LOAD ? eb_bit_field_of(e->a) : NULL;
    if (!eb_type_is_integer(e->type))
        return e;
    eb_type *type = eb_type_promoted(&u->types, e->type);
    if (field && eb_type_size(e->type) <= 4)
        type = basic(u, field->bits == 32 && eb_type_is_unsigned(e->type) ? EB_TYPE_UINT
                                                                          : EB_TYPE_INT);
    return eb_cast(u, e, type);
}

eb_expr *eb_cast(eb_unit *u, eb_expr *e, eb_type *type) {
    if (eb_type_plain(e->type) == eb_type_plain(type) && e->type == type)
        return e;
    return wrap(u, EB_EXPR_CAST, type, e);
}

eb_expr *eb_condition(eb_unit *u, eb_expr *e) {
    e = eb_rvalue(u, e);
    if (eb_expr_is_error(e) || eb_type_is_scalar(e->type))
        return e;
    eb_diag_add(u->ctx, EB_DIAG_NOT_SCALAR, e->lo, e->hi, eb_type_string(u, e->type));
    return eb_expr_error(u, e->lo, e->hi);
}

/* ---- assignment ---- */

static bool is_null(const eb_expr *e) {
    eb_constant c = eb_constant_of(e);
    if (c.kind != EB_CONSTANT_NUMBER || c.value)
        return false;
    return eb_type_is_integer(e->type) || (eb_type_is(e->type, EB_TYPE_POINTER) &&
                                           eb_type_is(eb_type_plain(e->type)->base, EB_TYPE_VOID));
}

static eb_type *target(eb_type *pointer) {
    return eb_type_plain(pointer)->base;
}

/* Pointers to pointers that differ in what is qualified further in. */
static bool same_but_quals(eb_type *a, eb_type *b) {
    while (eb_type_is(a, EB_TYPE_POINTER) && eb_type_is(b, EB_TYPE_POINTER)) {
        a = target(eb_type_plain(a));
        b = target(eb_type_plain(b));
        if (eb_type_compatible(a, b, true))
            return true;
    }
    return false;
}

/* Two pointers in an assignment: what of them does not fit, or 0. */
static eb_diag_code pointer_trouble(eb_type *to, eb_type *from) {
    eb_type *a = target(to), *b = target(from);
    bool is_void = eb_type_is(a, EB_TYPE_VOID) || eb_type_is(b, EB_TYPE_VOID);
    if (!is_void && !eb_type_compatible(a, b, true)) {
        /* char and its signed and unsigned forms, int and unsigned int: signs only. */
        if (eb_type_is_integer(a) && eb_type_is_integer(b) && eb_type_size(a) == eb_type_size(b))
            return EB_DIAG_POINTER_SIGN;
        if (eb_type_is(a, EB_TYPE_FUNCTION) && eb_type_is(b, EB_TYPE_FUNCTION))
            return EB_DIAG_FUNCTION_POINTERS;
        return same_but_quals(a, b) ? EB_DIAG_QUALIFIERS_LOST : EB_DIAG_POINTER_TYPES;
    }
    if (eb_type_quals(b) & ~eb_type_quals(a) & ~(unsigned)EB_RESTRICT)
        return EB_DIAG_QUALIFIERS_LOST;
    return EB_DIAG_COUNT;
}

static bool is_transparent(eb_type *type, eb_type *from) {
    type = eb_type_plain(type);
    if (type->kind != EB_TYPE_UNION || !type->of.record->transparent)
        return false;
    for (uint32_t n = 0; n < type->of.record->members.len; n++)
        if (eb_type_compatible(type->of.record->members.at[n].type, from, true))
            return true;
    return false;
}

/* '&' or '*' that is missing in front of a value, or '&' that is too much: how it is said. */
static void hint_address(eb_unit *u, eb_diag *diag, const eb_expr *e, eb_type *type) {
    const eb_expr *of = e->kind == EB_EXPR_LOAD ? e->a : e;
    bool simple = of->kind == EB_EXPR_DECL || of->kind == EB_EXPR_MEMBER ||
                  of->kind == EB_EXPR_INDEX || of->kind == EB_EXPR_CALL || of->parens;
    eb_type *from = e->type;
    if (!diag)
        return;
    if (eb_type_is(type, EB_TYPE_POINTER) && e->kind == EB_EXPR_LOAD && simple &&
        eb_type_compatible(target(type), from, true)) {
        eb_diag_hint(u->ctx, diag, "take the address with &");
        eb_diag_fixit(u->ctx, diag, e->lo, e->lo, EB_STR("&"));
    } else if (of->kind == EB_EXPR_DEREF && of->lo < of->a->lo &&
               eb_type_compatible(of->a->type, type, true)) {
        eb_diag_hint(u->ctx, diag, "remove *");
        eb_diag_fixit(u->ctx, diag, of->lo, of->lo + 1, EB_STR(""));
    } else if (eb_type_is(from, EB_TYPE_POINTER) && eb_type_compatible(target(from), type, true)) {
        if (e->kind == EB_EXPR_ADDRESS) {
            eb_diag_hint(u->ctx, diag, "remove &");
            eb_diag_fixit(u->ctx, diag, e->lo, e->lo + 1, EB_STR(""));
        } else if (simple) {
            eb_diag_hint(u->ctx, diag, "dereference with *");
            eb_diag_fixit(u->ctx, diag, e->lo, e->lo, EB_STR("*"));
        }
    }
}

static eb_expr *mismatch(eb_unit *u, eb_expr *e, eb_type *type, const char *what) {
    hint_address(u,
                 eb_diag_add(u->ctx, EB_DIAG_MISMATCH, e->lo, e->hi, what, eb_type_string(u, type),
                             eb_type_string(u, e->type)),
                 e, type);
    return eb_expr_error(u, e->lo, e->hi);
}

eb_expr *eb_convert(eb_unit *u, eb_expr *e, eb_type *type, const char *what) {
    e = eb_rvalue(u, e);
    eb_type *to = eb_type_plain(type), *from = eb_type_plain(e->type);
    if (to->kind == EB_TYPE_ERROR || from->kind == EB_TYPE_ERROR)
        return to->kind == EB_TYPE_ERROR ? eb_expr_error(u, e->lo, e->hi) : e;
    eb_type *result = eb_type_unqualified(&u->types, type);
    if (eb_type_is_arithmetic(to) && eb_type_is_arithmetic(from))
        return eb_cast(u, e, result);
    if (to->kind == EB_TYPE_BOOL && from->kind == EB_TYPE_POINTER)
        return eb_cast(u, e, result);
    if (to->kind == EB_TYPE_POINTER && is_null(e))
        return eb_cast(u, e, result);
    if (to->kind == EB_TYPE_POINTER && from->kind == EB_TYPE_POINTER) {
        eb_diag_code trouble = pointer_trouble(to, from);
        eb_check_packed(u, e, type);
        if (trouble != EB_DIAG_COUNT)
            hint_address(u,
                         eb_warn(u, trouble, e->lo, e->hi, what, eb_type_string(u, type),
                                 eb_type_string(u, e->type)),
                         e, type);
        return eb_cast(u, e, result);
    }
    bool pointer = to->kind == EB_TYPE_POINTER || from->kind == EB_TYPE_POINTER;
    if (pointer && (eb_type_is_integer(to) || eb_type_is_integer(from))) {
        hint_address(u,
                     eb_warn(u, EB_DIAG_INT_POINTER, e->lo, e->hi, what, eb_type_string(u, type),
                             eb_type_string(u, e->type)),
                     e, type);
        return eb_cast(u, e, result);
    }
    if (eb_type_is_record(to) && (eb_type_compatible(to, from, true) || is_transparent(to, from)))
        return e;
    return mismatch(u, e, type, what);
}

/* ---- binary operators ---- */

static eb_expr *operands(eb_unit *u, eb_tok_kind op, eb_expr *a, eb_expr *b) {
    eb_diag_add(u->ctx, EB_DIAG_OPERANDS, a->lo, b->hi,
                eb_tok_text(u->words, (eb_tok){.kind = (uint8_t)op}).at, eb_type_string(u, a->type),
                eb_type_string(u, b->type));
    return eb_expr_error(u, a->lo, b->hi);
}

static eb_expr *make(eb_unit *u, eb_tok_kind op, eb_type *type, eb_expr *a, eb_expr *b) {
    eb_expr *e = eb_expr_new(u, EB_EXPR_BINARY, type, a->lo, b->hi);
    e->op = (uint8_t)op;
    e->a = a;
    e->b = b;
    return e;
}

static bool is_pointer(const eb_expr *e) {
    return eb_type_is(e->type, EB_TYPE_POINTER);
}

/* Arithmetic on what a pointer points to needs its size. */
static bool can_step(eb_unit *u, const eb_expr *e) {
    eb_type *to = target(e->type);
    if (eb_type_is(to, EB_TYPE_VOID) || eb_type_is(to, EB_TYPE_FUNCTION))
        return true; /* GNU: as bytes */
    return eb_require_complete(u, to, e->lo, e->hi);
}

static eb_expr *pointer_sum(eb_unit *u, eb_tok_kind op, eb_expr *a, eb_expr *b) {
    if (op == EB_TOK_PLUS && is_pointer(b)) {
        eb_expr *swap = a;
        a = b;
        b = swap;
    }
    if (!is_pointer(a))
        return operands(u, op, a, b);
    if (is_pointer(b)) {
        if (op == EB_TOK_PLUS || !eb_type_compatible(target(a->type), target(b->type), true))
            return operands(u, op, a, b);
        if (!can_step(u, a))
            return eb_expr_error(u, a->lo, b->hi);
        return make(u, op, basic(u, EB_TYPE_LONG), a, b);
    }
    if (!eb_type_is_integer(b->type))
        return operands(u, op, a, b);
    if (!can_step(u, a))
        return eb_expr_error(u, a->lo, b->hi);
    return make(u, op, a->type, a, eb_cast(u, b, basic(u, EB_TYPE_LONG)));
}

static eb_expr *comparison(eb_unit *u, eb_tok_kind op, eb_expr *a, eb_expr *b) {
    eb_type *result = basic(u, EB_TYPE_INT);
    if (eb_type_is_arithmetic(a->type) && eb_type_is_arithmetic(b->type)) {
        a = promoted(u, a);
        b = promoted(u, b);
        eb_type *type = eb_type_common(&u->types, a->type, b->type);
        return make(u, op, result, eb_cast(u, a, type), eb_cast(u, b, type));
    }
    if (!eb_type_is_scalar(a->type) || !eb_type_is_scalar(b->type))
        return operands(u, op, a, b);
    if (is_pointer(a) && is_pointer(b)) {
        eb_type *x = target(a->type), *y = target(b->type);
        bool equality = op == EB_TOK_EQ || op == EB_TOK_NE;
        bool any = equality && (eb_type_is(x, EB_TYPE_VOID) || eb_type_is(y, EB_TYPE_VOID));
        bool fine = any || eb_type_compatible(x, y, true) || is_null(a) || is_null(b);
        if (!fine)
            eb_warn(u, EB_DIAG_COMPARE_POINTERS, a->lo, b->hi, eb_type_string(u, a->type),
                    eb_type_string(u, b->type));
    } else if (!is_null(is_pointer(a) ? b : a)) {
        eb_warn(u, EB_DIAG_COMPARE_INT, a->lo, b->hi, eb_type_string(u, a->type),
                eb_type_string(u, b->type));
    }
    eb_type *type = is_pointer(a) ? a->type : b->type;
    return make(u, op, result, eb_cast(u, a, type), eb_cast(u, b, type));
}

static eb_expr *arithmetic(eb_unit *u, eb_tok_kind op, eb_expr *a, eb_expr *b) {
    bool shift = op == EB_TOK_SHL || op == EB_TOK_SHR;
    bool integers =
        op != EB_TOK_STAR && op != EB_TOK_SLASH && op != EB_TOK_PLUS && op != EB_TOK_MINUS;
    bool fine = integers ? eb_type_is_integer(a->type) && eb_type_is_integer(b->type)
                         : eb_type_is_arithmetic(a->type) && eb_type_is_arithmetic(b->type);
    if (!fine)
        return operands(u, op, a, b);
    a = promoted(u, a);
    b = promoted(u, b);
    if (shift)
        return make(u, op, a->type, a, b);
    eb_type *type = eb_type_common(&u->types, a->type, b->type);
    return make(u, op, type, eb_cast(u, a, type), eb_cast(u, b, type));
}

eb_expr *eb_binary(eb_unit *u, eb_tok_kind op, eb_expr *a, eb_expr *b) {
    if (op == EB_TOK_ANDAND || op == EB_TOK_OROR) {
        a = eb_condition(u, a);
        b = eb_condition(u, b);
        return make(u, op, basic(u, EB_TYPE_INT), a, b);
    }
    a = eb_rvalue(u, a);
    b = eb_rvalue(u, b);
    if (eb_expr_is_error(a) || eb_expr_is_error(b))
        return eb_expr_error(u, a->lo, b->hi);
    switch (op) {
    case EB_TOK_LT:
    case EB_TOK_LE:
    case EB_TOK_GT:
    case EB_TOK_GE:
    case EB_TOK_EQ:
    case EB_TOK_NE:
        return comparison(u, op, a, b);
    case EB_TOK_PLUS:
    case EB_TOK_MINUS:
        if (is_pointer(a) || is_pointer(b))
            return pointer_sum(u, op, a, b);
        return arithmetic(u, op, a, b);
    default:
        return arithmetic(u, op, a, b);
    }
}
