/* expr.c - expressions, by precedence climbing over unary and postfix ones (C11 6.5, GNU's
 * statement expressions, omitted middle operand, label addresses). */
#include "parse.h"

static eb_expr *unary(eb_unit *u);
static eb_expr *cast_expression(eb_unit *u);

static eb_type *basic(eb_unit *u, eb_type_kind kind) {
    return eb_type_basic(&u->types, kind);
}

static eb_expr *op_node(eb_unit *u, eb_expr_kind kind, eb_type *type, eb_tok op, eb_expr *a) {
    eb_expr *e = eb_expr_new(u, kind, type, op.loc < a->lo ? op.loc : a->lo, a->hi);
    e->op = op.kind;
    e->a = a;
    return e;
}

/* ---- literals ---- */

static eb_type_kind integer_type(const eb_integer *n) {
    static const eb_type_kind kinds[3][2] = {{EB_TYPE_INT, EB_TYPE_UINT},
                                             {EB_TYPE_LONG, EB_TYPE_ULONG},
                                             {EB_TYPE_LLONG, EB_TYPE_ULLONG}};
    unsigned longs = n->longs;
    /* Decimal constants become unsigned only when they say so (C11 6.4.4.1). */
    bool may_be_unsigned = n->is_unsigned || !n->is_decimal;
    if (longs == 0) {
        if (!n->is_unsigned && n->value <= INT32_MAX)
            return EB_TYPE_INT;
        if (may_be_unsigned && n->value <= UINT32_MAX)
            return EB_TYPE_UINT;
        longs = 1;
    }
    bool big = n->value > INT64_MAX;
    return kinds[longs][n->is_unsigned || (big && may_be_unsigned) || big];
}

static eb_expr *number(eb_unit *u) {
    eb_tok tok = eb_take(u);
    eb_str text = eb_tok_text(u->words, tok);
    eb_loc hi = eb_tok_end(u, tok);
    eb_integer n;
    if (eb_integer_of(text, &n)) {
        if (n.overflow)
            eb_diag_add(u->ctx, EB_DIAG_NUMBER_RANGE, tok.loc, hi, (int)text.len, text.at, 64u);
        return eb_expr_number(u, basic(u, integer_type(&n)), n.value, tok.loc, hi);
    }
    bool floating = false;
    for (size_t i = 0; i < text.len; i++)
        floating = floating || text.at[i] == '.' || text.at[i] == 'p' || text.at[i] == 'P' ||
                   ((text.at[i] == 'e' || text.at[i] == 'E') &&
                    !(text.len > 1 && (text.at[1] == 'x' || text.at[1] == 'X')));
    if (floating) {
        eb_expr *e = eb_expr_new(u, EB_EXPR_FLOAT, basic(u, EB_TYPE_DOUBLE), tok.loc, hi);
        e->of.text = text;
        return e;
    }
    eb_diag_add(u->ctx, EB_DIAG_BAD_NUMBER, tok.loc, hi, (int)text.len, text.at);
    return eb_expr_error(u, tok.loc, hi);
}

static eb_expr *character(eb_unit *u) {
    eb_tok tok = eb_take(u);
    eb_char_literal c = eb_char_of(u->ctx, eb_tok_text(u->words, tok), tok.loc,
                                   u->pp->dialect & EBPF_CC_UNSIGNED_CHAR);
    if (c.count > 1)
        eb_warn(u, EB_DIAG_MULTICHAR, tok.loc, eb_tok_end(u, tok));
    eb_type_kind kind = c.prefix == 'u'   ? EB_TYPE_USHORT
                        : c.prefix == 'U' ? EB_TYPE_UINT
                        : c.prefix == '8' ? EB_TYPE_UCHAR
                                          : EB_TYPE_INT;
    return eb_expr_number(u, basic(u, kind), (uint64_t)c.value, tok.loc, eb_tok_end(u, tok));
}

static char prefix_of(eb_str text) {
    if (text.at[0] == '"')
        return 0;
    return text.at[0] == 'u' && text.at[1] == '8' ? '8' : text.at[0];
}

static void put_literal(eb_unit *u, eb_tok tok, unsigned width, eb_buf *out) {
    eb_str text = eb_tok_text(u->words, tok);
    char prefix = prefix_of(text);
    const char *at = text.at + (prefix == '8' ? 3 : prefix ? 2 : 1);
    const char *end = text.at + text.len - 1;
    bool big = false;
    while (at < end) {
        bool raw;
        uint32_t c = eb_literal_char(u->ctx, &at, end, width, tok.loc, &raw);
        if (width == 1 && (raw || c < 0x80)) {
            eb_buf_byte(out, (uint8_t)c);
        } else if (width == 1) {
            eb_buf_utf8(out, c);
        } else {
            if (width == 2 && !raw && c > UINT16_MAX) { /* UTF-16: two halves */
                eb_set16(eb_buf_room(out, width), big, (uint16_t)(0xd7c0 + (c >> 10)));
                c = 0xdc00 | (c & 0x3ff);
            }
            uint8_t *room = eb_buf_room(out, width);
            if (width == 2)
                eb_set16(room, big, (uint16_t)c);
            else
                eb_set32(room, big, c);
        }
    }
}

eb_str eb_strings(eb_unit *u, eb_type **element) {
    char prefix = 0;
    eb_buf out = {.arena = &u->ctx->arena};
    for (uint32_t n = 0; eb_ahead(u, n).kind == EB_TOK_STRING; n++) {
        eb_tok tok = eb_ahead(u, n);
        char own = prefix_of(eb_tok_text(u->words, tok));
        if (own && prefix && own != prefix)
            eb_diag_add(u->ctx, EB_DIAG_MIXED_STRINGS, tok.loc, eb_tok_end(u, tok));
        prefix = own ? own : prefix;
    }
    unsigned width = prefix == 'u' ? 2 : prefix == 'U' || prefix == 'L' ? 4 : 1;
    while (eb_is(u, EB_TOK_STRING))
        put_literal(u, eb_take(u), width, &out);
    *element = basic(u, width == 1      ? EB_TYPE_CHAR
                        : prefix == 'L' ? EB_TYPE_INT
                        : width == 2    ? EB_TYPE_USHORT
                                        : EB_TYPE_UINT);
    size_t length = out.len;
    eb_buf_room(&out, width); /* the NUL, not counted */
    return (eb_str){(const char *)out.at, length};
}

static eb_expr *string(eb_unit *u) {
    eb_loc lo = eb_peek(u).loc;
    eb_type *element;
    eb_str text = eb_strings(u, &element);
    uint64_t width = eb_type_size(element);
    eb_type *type = eb_type_array(&u->types, element, text.len / width + 1);
    eb_expr *e = eb_expr_new(u, EB_EXPR_STRING, type, lo, eb_behind(u));
    e->of.text = (eb_str){text.at, text.len + (size_t)width};
    e->is_lvalue = true;
    return e;
}

/* ---- names ---- */

/* C before 1999: a function that is called is int f(). Where that is only warned of, it is so. */
static eb_expr *implicit_function(eb_unit *u, eb_tok tok, bool error) {
    eb_loc hi = eb_tok_end(u, tok);
    if (error)
        return eb_expr_error(u, tok.loc, hi);
    eb_decl *decl = eb_alloc(&u->ctx->arena, sizeof *decl);
    decl->kind = EB_DECL_FUNCTION;
    decl->name = tok.value;
    decl->lo = tok.loc;
    decl->hi = hi;
    decl->is_global = decl->is_used = decl->is_referenced = true;
    decl->type = eb_type_function(&u->types, basic(u, EB_TYPE_INT), NULL, 0, false);
    decl->type->no_prototype = true;
    *EB_PUSH(&u->ctx->arena, &u->globals) = decl;
    eb_bind(u, tok.value, decl);
    eb_expr *e = eb_expr_new(u, EB_EXPR_DECL, decl->type, tok.loc, hi);
    e->of.decl = decl;
    return e;
}

static eb_expr *undeclared(eb_unit *u, eb_tok tok) {
    eb_str text = eb_name_text(u, tok.value);
    eb_loc hi = eb_tok_end(u, tok);
    bool call = eb_is(u, EB_TOK_LPAREN);
    uint32_t errors = u->ctx->errors;
    eb_diag *diag =
        call ? eb_warn(u, EB_DIAG_IMPLICIT_FUNCTION, tok.loc, hi, (int)text.len, text.at)
             : eb_diag_add(u->ctx, EB_DIAG_UNDECLARED, tok.loc, hi, (int)text.len, text.at);
    eb_suggest(u, diag, text, call ? EB_MEANT_CALL : EB_MEANT_VALUE);
    return call ? implicit_function(u, tok, u->ctx->errors != errors)
                : eb_expr_error(u, tok.loc, hi);
}

/* "long f(void *)" */
static eb_str pretty_name(eb_unit *u, eb_str name) {
    const eb_type *type = eb_type_plain(u->function->type);
    eb_buf text = {.arena = &u->ctx->arena};
    eb_type_text(&u->types, type->base, &text);
    if (text.len && text.at[text.len - 1] != '*')
        eb_buf_byte(&text, ' ');
    eb_buf_fmt(&text, "%.*s(", (int)name.len, name.at);
    for (uint64_t n = 0; n < type->count; n++) {
        eb_buf_str(&text, n ? EB_STR(", ") : EB_STR(""));
        eb_type_text(&u->types, type->of.params[n].type, &text);
    }
    eb_buf_str(&text, type->variadic       ? EB_STR(", ...)")
                      : type->count        ? EB_STR(")")
                      : type->no_prototype ? EB_STR(")")
                                           : EB_STR("void)"));
    return (eb_str){(const char *)text.at, text.len};
}

static eb_expr *function_name(eb_unit *u, eb_tok tok, bool pretty) {
    eb_str name = u->function ? eb_name_text(u, u->function->name) : (eb_str){"", 0};
    if (pretty && u->function)
        name = pretty_name(u, name);
    eb_type *type = eb_type_array(
        &u->types, eb_type_qualified(&u->types, basic(u, EB_TYPE_CHAR), EB_CONST), name.len + 1);
    eb_expr *e = eb_expr_new(u, EB_EXPR_STRING, type, tok.loc, eb_tok_end(u, tok));
    eb_str copy = eb_str_copy(&u->ctx->arena, name);
    e->of.text = (eb_str){copy.at, copy.len + 1};
    e->is_lvalue = true;
    return e;
}

static eb_expr *name(eb_unit *u) {
    eb_tok tok = eb_take(u);
    eb_loc hi = eb_tok_end(u, tok);
    eb_decl *decl = eb_lookup(u, tok.value);
    /* memcpy stays what it is when <string.h> declares it; a static one of the program is its own.
     */
    bool own = decl && (decl->kind != EB_DECL_FUNCTION || decl->is_defined ||
                        decl->storage == EB_STORAGE_STATIC);
    eb_expr *builtin = own ? NULL : eb_builtin_call(u, tok, decl != NULL);
    if (builtin)
        return builtin;
    if (!decl) {
        eb_str text = eb_name_text(u, tok.value);
        bool pretty = eb_str_is(text, "__PRETTY_FUNCTION__");
        if (pretty || eb_str_is(text, "__func__") || eb_str_is(text, "__FUNCTION__"))
            return function_name(u, tok, pretty);
        return undeclared(u, tok);
    }
    if (decl->kind == EB_DECL_TYPEDEF) {
        u->at--;
        eb_expected(u, "an expression");
        u->at++;
        return eb_expr_error(u, tok.loc, hi);
    }
    if (decl->kind == EB_DECL_ENUMERATOR) {
        eb_type *type = decl->type;
        bool top = decl->value < 0 && type->kind == EB_TYPE_ENUM &&
                   type->of.enumeration->is_unsigned; /* 2^63 and above */
        bool fixed = type->kind == EB_TYPE_ENUM && type->of.enumeration->fixed;
        if (decl->value >= INT32_MIN && decl->value <= INT32_MAX && !top && !fixed)
            type = basic(u, EB_TYPE_INT);
        else if (type->kind == EB_TYPE_ENUM)
            type = type->of.enumeration->integer;
        return eb_expr_number(u, type, (uint64_t)decl->value, tok.loc, hi);
    }
    decl->is_used = decl->is_used || !u->unevaluated;
    decl->is_referenced = true;
    decl->reads++;
    if (decl->attrs.deprecated)
        eb_warn_deprecated(u, decl, tok.loc, hi);
    eb_expr *e = eb_expr_new(u, EB_EXPR_DECL, decl->type, tok.loc, hi);
    e->of.decl = decl;
    e->is_lvalue = decl->kind != EB_DECL_FUNCTION;
    return e;
}

/* ---- primary ---- */

static eb_expr *statement_expression(eb_unit *u, eb_loc lo) {
    eb_expr *e = eb_expr_new(u, EB_EXPR_STATEMENTS, basic(u, EB_TYPE_VOID), lo, lo);
    if (!u->function) {
        eb_diag_add(u->ctx, EB_DIAG_OUTSIDE_FUNCTION, lo, lo + 1);
        eb_skip_group(u);
        return eb_expr_error(u, lo, eb_behind(u));
    }
    if (!u->extension)
        eb_warn(u, EB_DIAG_GNU_STATEMENTS, lo, lo + 1);
    eb_nest(u);
    eb_stmt *block = eb_compound(u);
    eb_unnest(u);
    eb_stmt *last = block->body;
    while (last && last->next)
        last = last->next;
    /* A label or attribute in front of the last expression does not take its value away. */
    while (last && last->kind == EB_STMT_LABEL)
        last = last->body;
    if (last && last->kind == EB_STMT_EXPR && last->expr) {
        last->expr = eb_rvalue(u, last->expr);
        e->type = last->expr->type;
    }
    e->of.body = block;
    return e;
}

eb_expr *eb_unnamed_variable(eb_unit *u, eb_type *type, eb_loc lo) {
    eb_decl *decl = eb_alloc(&u->ctx->arena, sizeof *decl);
    decl->name = UINT32_MAX;
    decl->lo = lo;
    decl->hi = lo + 1;
    decl->type = type;
    decl->is_global = eb_scope_is_global(u);
    decl->storage = decl->is_global ? EB_STORAGE_STATIC : EB_STORAGE_NONE;
    decl->has_init = true;
    if (u->function && !decl->is_global)
        *EB_PUSH(&u->ctx->arena, &u->function->locals) = decl;
    eb_expr *e = eb_expr_new(u, EB_EXPR_COMPOUND, type, lo, lo);
    e->of.decl = decl;
    e->is_lvalue = true;
    return e;
}

static eb_expr *compound_literal(eb_unit *u, eb_type *type, eb_loc lo) {
    eb_expr *e = eb_unnamed_variable(u, type, lo);
    eb_initialiser(u, e->of.decl);
    e->type = e->of.decl->type;
    e->hi = eb_behind(u);
    if (!eb_type_is(e->type, EB_TYPE_VOID) && !eb_require_object(u, e->type, lo, e->hi))
        return eb_expr_error(u, lo, e->hi);
    return e;
}

/* What _Generic has for one type, or by default. */
typedef struct association {
    eb_type *type; /* NULL: default */
    eb_expr *expr;
} association;

static association associated(eb_unit *u, const association *before, uint32_t count) {
    association a = {0};
    eb_tok tok = eb_peek(u);
    if (!eb_skip_word(u, EB_KW_DEFAULT)) {
        a.type = eb_type_name(u);
        if (!eb_type_is(a.type, EB_TYPE_VOID))
            eb_require_complete(u, a.type, tok.loc, eb_behind(u));
    }
    for (uint32_t n = 0; n < count; n++)
        if (a.type && before[n].type ? eb_type_compatible(a.type, before[n].type, false)
                                     : !a.type && !before[n].type) {
            eb_diag_add(u->ctx, EB_DIAG_ASSOCIATED, tok.loc, eb_behind(u));
            break;
        }
    eb_expect(u, EB_TOK_COLON, "':'");
    a.expr = eb_assignment(u);
    return a;
}

/* _Generic(value or type, type: expression, ..., default: expression) */
static eb_expr *generic(eb_unit *u, eb_loc lo) {
    enum { LOOKED_AT_MOST = 64 }; /* no program has that many */
    eb_expr *chosen = NULL, *otherwise = NULL;
    EB_VEC(association) list = {0};
    if (!eb_expect(u, EB_TOK_LPAREN, "'(' behind _Generic"))
        return eb_expr_error(u, lo, eb_behind(u));
    eb_tok tok = eb_peek(u);
    eb_type *on = eb_starts_type(u, tok) ? eb_type_name(u) : eb_rvalue(u, eb_assignment(u))->type;
    eb_loc hi = eb_behind(u);
    while (eb_skip(u, EB_TOK_COMMA)) {
        uint32_t most = list.len < LOOKED_AT_MOST ? list.len : LOOKED_AT_MOST;
        association a = associated(u, list.at, most);
        *EB_PUSH(&u->ctx->arena, &list) = a;
        if (!a.type)
            otherwise = a.expr;
        else if (!chosen && eb_type_compatible(a.type, on, false))
            chosen = a.expr;
    }
    if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
        eb_skip_to_close(u);
    if (chosen || otherwise)
        return chosen ? chosen : otherwise;
    if (!eb_type_is(on, EB_TYPE_ERROR))
        eb_diag_add(u->ctx, EB_DIAG_NO_ASSOCIATION, tok.loc, hi, eb_type_string(u, on));
    return eb_expr_error(u, lo, eb_behind(u));
}

/* C23: true, false, nullptr. */
static eb_expr *constant_word(eb_unit *u) {
    eb_tok tok = eb_take(u);
    eb_type *type = tok.value == EB_KW_NULLPTR ? eb_type_pointer(&u->types, basic(u, EB_TYPE_VOID))
                                               : basic(u, EB_TYPE_BOOL);
    return eb_expr_number(u, type, tok.value == EB_KW_TRUE, tok.loc, eb_tok_end(u, tok));
}

static eb_expr *primary(eb_unit *u) {
    eb_tok tok = eb_peek(u);
    switch (tok.kind) {
    case EB_TOK_NUMBER:
        return number(u);
    case EB_TOK_CHAR:
        return character(u);
    case EB_TOK_STRING:
        return string(u);
    case EB_TOK_LPAREN: {
        eb_take(u);
        eb_expr *e = eb_is(u, EB_TOK_LBRACE) ? statement_expression(u, tok.loc) : eb_expression(u);
        if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
            eb_skip_to_close(u);
        if (e->lo && e->kind == EB_EXPR_STATEMENTS)
            e->hi = eb_behind(u);
        e->parens = true;
        return e;
    }
    case EB_TOK_NAME:
        if (eb_is_name(u))
            return name(u);
        if (eb_skip_word(u, EB_KW_GENERIC))
            return generic(u, tok.loc);
        if (tok.value == EB_KW_TRUE || tok.value == EB_KW_FALSE || tok.value == EB_KW_NULLPTR)
            return constant_word(u);
        break;
    default:
        break;
    }
    eb_expected(u, "an expression");
    /* `= };`: the list began with a '{' that is missing. */
    if (tok.kind == EB_TOK_RBRACE && eb_ahead(u, 1).kind == EB_TOK_SEMICOLON && u->at &&
        u->toks[u->at - 1].kind == EB_TOK_ASSIGN)
        eb_take(u);
    eb_loc lo = tok.loc ? tok.loc : eb_behind(u);
    return eb_expr_error(u, lo, lo + 1);
}

/* ---- postfix ---- */

static eb_expr *dereference(eb_unit *u, eb_expr *a, eb_loc lo) {
    a = eb_rvalue(u, a);
    if (eb_expr_is_error(a))
        return a;
    if (!eb_type_is(a->type, EB_TYPE_POINTER)) {
        eb_diag_add(u->ctx, EB_DIAG_NOT_POINTER, a->lo, a->hi, eb_type_string(u, a->type));
        return eb_expr_error(u, a->lo, a->hi);
    }
    eb_type *to = eb_type_plain(a->type)->base;
    if (!eb_type_is(to, EB_TYPE_FUNCTION) && !eb_type_is(to, EB_TYPE_VOID))
        eb_complete(u, to);
    eb_expr *e = eb_expr_new(u, EB_EXPR_DEREF, to, lo, a->hi);
    e->a = a;
    e->is_lvalue = !eb_type_is(to, EB_TYPE_FUNCTION);
    return e;
}

eb_expr *eb_member_access(eb_unit *u, eb_expr *a, const uint32_t *path, uint32_t length) {
    eb_type *type = a->type;
    uint32_t *copy = eb_alloc_array(&u->ctx->arena, length, sizeof *copy);
    for (uint32_t n = 0; n < length; n++) {
        copy[n] = path[n];
        const eb_member *member = &eb_type_plain(type)->of.record->members.at[path[n]];
        type = eb_type_part(&u->types, member->type, type);
    }
    eb_expr *e = eb_expr_new(u, EB_EXPR_MEMBER, type, a->lo, eb_behind(u));
    e->a = a;
    e->is_lvalue = a->is_lvalue;
    e->of.path.at = copy;
    e->of.path.length = length;
    return e;
}

/* '.' for '->' or the other way round: told, and read as it was meant. */
static eb_expr *other_access(eb_unit *u, eb_expr *a, eb_tok op) {
    bool arrow = op.kind == EB_TOK_ARROW;
    eb_diag *diag = eb_diag_add(u->ctx, arrow ? EB_DIAG_NOT_POINTER : EB_DIAG_NOT_RECORD, a->lo,
                                a->hi, eb_type_string(u, a->type));
    eb_diag_hint(u->ctx, diag, "did you mean to use '%s'?", arrow ? "." : "->");
    eb_diag_fixit(u->ctx, diag, op.loc, eb_tok_end(u, op), arrow ? EB_STR(".") : EB_STR("->"));
    return arrow ? a : dereference(u, a, a->lo);
}

/* The operand as what the member is in. */
static eb_expr *accessed(eb_unit *u, eb_expr *a, eb_tok op) {
    bool arrow = op.kind == EB_TOK_ARROW;
    eb_type *type = eb_type_plain(a->type);
    if (arrow ? eb_type_is_record(type)
              : type->kind == EB_TYPE_POINTER && eb_type_is_record(type->base))
        return other_access(u, a, op);
    return arrow ? dereference(u, a, a->lo) : a;
}

static eb_expr *member(eb_unit *u, eb_expr *a, eb_tok op) {
    a = accessed(u, a, op);
    eb_tok tok = eb_peek(u);
    if (!eb_is_name(u)) {
        /* A member may have a keyword's name only where keywords are spelled otherwise. */
        eb_expected(u, "a member's name");
        return eb_expr_error(u, a->lo, a->hi);
    }
    eb_take(u);
    if (eb_expr_is_error(a))
        return a;
    eb_loc hi = eb_tok_end(u, tok);
    if (!eb_type_is_record(a->type)) {
        eb_diag_add(u->ctx, EB_DIAG_NOT_RECORD, a->lo, a->hi, eb_type_string(u, a->type));
        return eb_expr_error(u, a->lo, hi);
    }
    if (!eb_require_complete(u, a->type, a->lo, a->hi))
        return eb_expr_error(u, a->lo, hi);
    uint32_t path[EB_PATH_MOST];
    eb_record *record = eb_type_plain(a->type)->of.record;
    uint32_t length = eb_record_find(&u->types, record, tok.value, path);
    if (length)
        return eb_member_access(u, a, path, length);
    eb_str text = eb_name_text(u, tok.value);
    eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_NO_MEMBER, tok.loc, hi, eb_type_string(u, a->type),
                                (int)text.len, text.at);
    eb_suggest_member(u, diag, text, a->type);
    return eb_expr_error(u, a->lo, hi);
}

static eb_expr *subscript(eb_unit *u, eb_expr *a) {
    eb_expr *b = eb_rvalue(u, eb_expression(u));
    if (!eb_expect(u, EB_TOK_RBRACKET, "']'"))
        eb_skip_to_close(u);
    a = eb_rvalue(u, a);
    if (!eb_type_is(a->type, EB_TYPE_POINTER) && eb_type_is(b->type, EB_TYPE_POINTER)) {
        eb_expr *swap = a;
        a = b;
        b = swap;
    }
    if (eb_expr_is_error(a) || eb_expr_is_error(b))
        return eb_expr_error(u, a->lo, eb_behind(u));
    if (!eb_type_is(a->type, EB_TYPE_POINTER) || !eb_type_is_integer(b->type)) {
        eb_diag_add(u->ctx, EB_DIAG_NOT_POINTER, a->lo, a->hi, eb_type_string(u, a->type));
        return eb_expr_error(u, a->lo, eb_behind(u));
    }
    eb_type *to = eb_type_plain(a->type)->base;
    if (!eb_require_complete(u, to, a->lo, a->hi))
        return eb_expr_error(u, a->lo, eb_behind(u));
    eb_expr *e = eb_expr_new(u, EB_EXPR_INDEX, to, a->lo, eb_behind(u));
    e->a = a;
    e->b = eb_cast(u, b,
                   basic(u, eb_type_is_unsigned(b->type) && eb_type_size(b->type) == 8
                                ? EB_TYPE_ULONG
                                : EB_TYPE_LONG));
    e->is_lvalue = true;
    return e;
}

/* The default argument promotions, for what no parameter says. */
static eb_expr *promoted_argument(eb_unit *u, eb_expr *e) {
    e = eb_rvalue(u, e);
    if (eb_type_is_integer(e->type))
        return eb_cast(u, e, eb_type_promoted(&u->types, e->type));
    return e;
}

static void check_count(eb_unit *u, const eb_type *type, uint32_t given, const eb_expr *callee) {
    if (type->no_prototype || given == type->count || (type->variadic && given > type->count))
        return;
    eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_ARGUMENTS, callee->lo, eb_behind(u),
                                (unsigned)type->count, given);
    const eb_expr *f = callee->kind == EB_EXPR_DECAY ? callee->a : callee;
    if (f->kind == EB_EXPR_DECL)
        eb_diag_note(u->ctx, diag, f->of.decl->lo, f->of.decl->hi, "it was declared here");
}

static eb_expr *call(eb_unit *u, eb_expr *callee) {
    EB_VEC(eb_expr *) args = {0};
    callee = eb_rvalue(u, callee);
    eb_type *type = eb_type_is(callee->type, EB_TYPE_POINTER)
                        ? eb_type_plain(eb_type_plain(callee->type)->base)
                        : eb_type_plain(callee->type);
    bool is_function = type->kind == EB_TYPE_FUNCTION;
    if (!is_function && !eb_expr_is_error(callee))
        eb_diag_add(u->ctx, EB_DIAG_NOT_FUNCTION, callee->lo, callee->hi,
                    eb_type_string(u, callee->type));
    while (!eb_is(u, EB_TOK_RPAREN) && !eb_is(u, EB_TOK_END)) {
        eb_expr *arg = eb_assignment(u);
        arg = is_function && args.len < type->count
                  ? eb_convert(u, arg, type->of.params[args.len].type, "parameter")
                  : promoted_argument(u, arg);
        *EB_PUSH(&u->ctx->arena, &args) = arg;
        if (!eb_skip(u, EB_TOK_COMMA))
            break;
    }
    if (!eb_expect(u, EB_TOK_RPAREN, "')' behind arguments"))
        eb_skip_to_close(u);
    if (!is_function)
        return eb_expr_error(u, callee->lo, eb_behind(u));
    check_count(u, type, args.len, callee);
    if (!eb_type_is(type->base, EB_TYPE_VOID) &&
        !eb_require_complete(u, type->base, callee->lo, eb_behind(u)))
        return eb_expr_error(u, callee->lo, eb_behind(u));
    eb_expr *e = eb_expr_new(u, EB_EXPR_CALL, eb_type_unqualified(&u->types, type->base),
                             callee->lo, eb_behind(u));
    e->a = callee;
    e->of.args.at = args.at;
    e->of.args.count = args.len;
    return e;
}

static bool has_const_member(eb_type *type) {
    eb_type *plain = eb_type_plain(type);
    if (!eb_type_is_record(plain) || !plain->of.record->complete)
        return false;
    const eb_record *record = plain->of.record;
    for (uint32_t n = 0; n < record->members.len; n++)
        if ((eb_type_quals(record->members.at[n].type) & EB_CONST) ||
            has_const_member(record->members.at[n].type))
            return true;
    return false;
}

/* An lvalue that may be written, or a diagnostic. */
static bool writable(eb_unit *u, const eb_expr *e) {
    if (eb_expr_is_error(e))
        return false;
    if (!e->is_lvalue || eb_type_is(e->type, EB_TYPE_ARRAY)) {
        eb_diag_add(u->ctx, EB_DIAG_NOT_LVALUE, e->lo, e->hi);
        return false;
    }
    if ((eb_type_quals(e->type) & EB_CONST) || has_const_member(e->type)) {
        eb_diag_add(u->ctx, EB_DIAG_CONST_WRITTEN, e->lo, e->hi, eb_type_string(u, e->type));
        return false;
    }
    if (e->kind == EB_EXPR_DECL)
        e->of.decl->last_change = u->at;
    return true;
}

static eb_expr *step(eb_unit *u, eb_expr *a, eb_tok op, bool postfix) {
    if (!writable(u, a))
        return eb_expr_error(u, a->lo, a->hi);
    if (!eb_type_is_scalar(a->type)) {
        eb_diag_add(u->ctx, EB_DIAG_NOT_SCALAR, a->lo, a->hi, eb_type_string(u, a->type));
        return eb_expr_error(u, a->lo, a->hi);
    }
    if (eb_type_is(a->type, EB_TYPE_POINTER))
        eb_complete(u, eb_type_plain(a->type)->base);
    eb_expr *e = op_node(u, EB_EXPR_STEP, eb_type_unqualified(&u->types, a->type), op, a);
    e->postfix = postfix;
    e->hi = eb_behind(u);
    return e;
}

static eb_expr *postfix_of(eb_unit *u, eb_expr *e) {
    for (;; eb_link(u, 2)) { /* a member of a member takes twice the stack of a sum */
        eb_tok tok = eb_peek(u);
        if (eb_skip(u, EB_TOK_LBRACKET))
            e = subscript(u, e);
        else if (eb_skip(u, EB_TOK_LPAREN))
            e = call(u, e);
        else if (eb_skip(u, EB_TOK_DOT))
            e = member(u, e, tok);
        else if (eb_skip(u, EB_TOK_ARROW))
            e = member(u, e, tok);
        else if (eb_skip(u, EB_TOK_PLUSPLUS) || eb_skip(u, EB_TOK_MINUSMINUS))
            e = step(u, e, tok, true);
        else
            return e;
    }
}

/* ---- unary ---- */

/* sizeof and _Alignof, of a type or of an expression, which is not evaluated. */
static eb_expr *size_of(eb_unit *u, eb_tok tok) {
    bool align = tok.value == EB_KW_ALIGNOF, unevaluated = u->unevaluated;
    uint32_t declared = 0; /* a variable's own alignment */
    eb_type *type;
    u->unevaluated = true;
    if (eb_is(u, EB_TOK_LPAREN) && eb_starts_type(u, eb_ahead(u, 1))) {
        eb_loc lo = eb_take(u).loc;
        type = eb_type_name(u);
        if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
            eb_skip_to_close(u);
        if (eb_is(u, EB_TOK_LBRACE))
            type = postfix_of(u, compound_literal(u, type, lo))->type;
    } else {
        const eb_expr *e = unary(u);
        eb_refuse_bit_field(u, e, align ? "_Alignof" : "sizeof");
        declared = align && e->kind == EB_EXPR_DECL ? e->of.decl->attrs.align : 0;
        type = e->type;
    }
    u->unevaluated = unevaluated;
    eb_loc hi = eb_behind(u);
    if (eb_type_is(type, EB_TYPE_ERROR))
        return eb_expr_error(u, tok.loc, hi);
    bool any = eb_type_is(type, EB_TYPE_VOID) || eb_type_is(type, EB_TYPE_FUNCTION);
    if (!any && !eb_require_complete(u, type, tok.loc, hi))
        return eb_expr_error(u, tok.loc, hi);
    uint64_t value = declared ? declared : align ? eb_type_align(type) : eb_type_size(type);
    return eb_expr_number(u, basic(u, EB_TYPE_ULONG), value, tok.loc, hi);
}

static eb_expr *address_of(eb_unit *u, eb_tok op) {
    eb_expr *a = cast_expression(u);
    if (eb_expr_is_error(a))
        return a;
    if (!a->is_lvalue && !eb_type_is(a->type, EB_TYPE_FUNCTION)) {
        eb_diag_add(u->ctx, EB_DIAG_NO_ADDRESS, a->lo, a->hi);
        return eb_expr_error(u, op.loc, a->hi);
    }
    if (eb_refuse_bit_field(u, a, "&"))
        return eb_expr_error(u, op.loc, a->hi);
    if (a->kind == EB_EXPR_DECL && a->of.decl->storage == EB_STORAGE_REGISTER)
        eb_diag_add(u->ctx, EB_DIAG_NO_ADDRESS, a->lo, a->hi);
    if (a->kind == EB_EXPR_DECL)
        a->of.decl->last_set = a->of.decl->last_change = u->at;
    return op_node(u, EB_EXPR_ADDRESS, eb_type_pointer(&u->types, a->type), op, a);
}

static eb_expr *signed_value(eb_unit *u, eb_tok op) {
    eb_expr *a = eb_rvalue(u, cast_expression(u));
    if (eb_expr_is_error(a))
        return a;
    bool fine =
        op.kind == EB_TOK_TILDE ? eb_type_is_integer(a->type) : eb_type_is_arithmetic(a->type);
    if (!fine) {
        eb_diag_add(u->ctx, EB_DIAG_OPERAND, a->lo, a->hi, eb_tok_text(u->words, op).at,
                    eb_type_string(u, a->type));
        return eb_expr_error(u, op.loc, a->hi);
    }
    a = promoted_argument(u, a);
    if (op.kind == EB_TOK_PLUS)
        return a;
    return op_node(u, EB_EXPR_UNARY, a->type, op, a);
}

static eb_expr *unary(eb_unit *u) {
    eb_tok op = eb_peek(u);
    eb_expr *a;
    switch (op.kind) {
    case EB_TOK_PLUSPLUS:
    case EB_TOK_MINUSMINUS:
        eb_take(u);
        eb_nest(u);
        a = unary(u);
        eb_unnest(u);
        return step(u, a, op, false);
    case EB_TOK_AND:
        eb_take(u);
        return address_of(u, op);
    case EB_TOK_STAR:
        eb_take(u);
        return dereference(u, cast_expression(u), op.loc);
    case EB_TOK_PLUS:
    case EB_TOK_MINUS:
    case EB_TOK_TILDE:
        eb_take(u);
        return signed_value(u, op);
    case EB_TOK_NOT:
        eb_take(u);
        a = eb_condition(u, cast_expression(u));
        return op_node(u, EB_EXPR_UNARY, basic(u, EB_TYPE_INT), op, a);
    case EB_TOK_ANDAND:
        eb_take(u);
        eb_take(u);
        eb_diag_add(u->ctx, EB_DIAG_LABEL_ADDRESS, op.loc, eb_behind(u));
        return eb_expr_error(u, op.loc, eb_behind(u));
    case EB_TOK_NAME:
        if (op.value == EB_KW_SIZEOF || op.value == EB_KW_ALIGNOF) {
            eb_take(u);
            eb_nest(u);
            a = size_of(u, op);
            eb_unnest(u);
            return a;
        }
        if (eb_skip_word(u, EB_KW_EXTENSION)) {
            bool outer = u->extension;
            u->extension = true;
            a = cast_expression(u);
            u->extension = outer;
            return a;
        }
        break;
    default:
        break;
    }
    return postfix_of(u, primary(u));
}

/* GNU: the union whose first member of the value's type is that value; NULL if there is none. */
static eb_expr *cast_to_union(eb_unit *u, eb_type *type, eb_expr *a, eb_loc lo) {
    const eb_record *record = eb_type_plain(type)->of.record;
    for (uint32_t n = 0; n < record->members.len; n++) {
        const eb_member *member = &record->members.at[n];
        if (member->is_field || !eb_type_compatible(member->type, a->type, true))
            continue;
        eb_expr *e = eb_unnamed_variable(u, eb_type_unqualified(&u->types, type), lo);
        *EB_PUSH(&u->ctx->arena, &e->of.decl->inits) =
            (eb_init){.offset = member->offset / 8, .type = member->type, .expr = a};
        e->hi = a->hi;
        return eb_rvalue(u, e);
    }
    return NULL;
}

static eb_expr *cast_to(eb_unit *u, eb_type *type, eb_loc lo) {
    eb_expr *a = cast_expression(u);
    if (eb_type_is(type, EB_TYPE_VOID)) {
        eb_expr *e = eb_expr_new(u, EB_EXPR_CAST, type, lo, a->hi);
        e->a = eb_rvalue(u, a);
        e->written = true;
        return e;
    }
    a = eb_rvalue(u, a);
    if (eb_expr_is_error(a) || eb_type_is(type, EB_TYPE_ERROR))
        return eb_expr_error(u, lo, a->hi);
    if (eb_type_is_record(type) && eb_type_compatible(type, a->type, true))
        return a;
    if (eb_type_is(type, EB_TYPE_UNION) && eb_complete(u, type)) {
        eb_expr *e = cast_to_union(u, type, a, lo);
        if (e)
            return e;
    }
    bool mixed = (eb_type_is_floating(type) && eb_type_is(a->type, EB_TYPE_POINTER)) ||
                 (eb_type_is_floating(a->type) && eb_type_is(type, EB_TYPE_POINTER));
    if (!eb_type_is_scalar(type) || !eb_type_is_scalar(a->type) || mixed) {
        eb_diag_add(u->ctx, EB_DIAG_CAST, lo, a->hi, eb_type_string(u, a->type),
                    eb_type_string(u, type));
        return eb_expr_error(u, lo, a->hi);
    }
    eb_expr *e = eb_expr_new(u, EB_EXPR_CAST, eb_type_unqualified(&u->types, type), lo, a->hi);
    e->a = a;
    e->written = true;
    return e;
}

static eb_expr *cast_expression(eb_unit *u) {
    eb_nest(u);
    uint32_t beside = eb_chain_open(u);
    eb_expr *e;
    if (eb_starts_cast(u)) {
        eb_loc lo = eb_take(u).loc;
        eb_type *type = eb_type_name(u);
        if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
            eb_skip_to_close(u);
        e = eb_is(u, EB_TOK_LBRACE) ? postfix_of(u, compound_literal(u, type, lo))
                                    : cast_to(u, type, lo);
    } else {
        e = unary(u);
    }
    eb_chain_close(u, beside);
    eb_unnest(u);
    return e;
}

/* ---- binary, conditional, assignment ---- */

static eb_expr *climb(eb_unit *u, unsigned least) {
    uint32_t beside = eb_chain_open(u);
    eb_expr *a = cast_expression(u);
    for (unsigned bound; (bound = eb_binding_of(eb_peek(u).kind)) >= least && bound;) {
        eb_tok op = eb_take(u);
        eb_expr *b = climb(u, bound + 1);
        eb_link(u, 1);
        a = eb_binary(u, (eb_tok_kind)op.kind, a, b);
    }
    eb_chain_close(u, beside);
    return a;
}

/* What both arms of ?: become. */
static eb_type *arms(eb_unit *u, eb_expr *b, eb_expr *c) {
    eb_type *x = eb_type_plain(b->type), *y = eb_type_plain(c->type);
    if (eb_type_is_arithmetic(x) && eb_type_is_arithmetic(y))
        return eb_type_common(&u->types, b->type, c->type);
    if (x->kind == EB_TYPE_VOID || y->kind == EB_TYPE_VOID)
        return basic(u, EB_TYPE_VOID);
    if (x->kind == EB_TYPE_POINTER && y->kind == EB_TYPE_POINTER) {
        eb_constant zero = eb_constant_of(b);
        if (zero.kind == EB_CONSTANT_NUMBER && !zero.value)
            return c->type;
        zero = eb_constant_of(c);
        if (zero.kind == EB_CONSTANT_NUMBER && !zero.value)
            return b->type;
        bool b_void = eb_type_is(x->base, EB_TYPE_VOID);
        eb_type *to = b_void ? x->base : eb_type_is(y->base, EB_TYPE_VOID) ? y->base : x->base;
        unsigned quals = eb_type_quals(x->base) | eb_type_quals(y->base);
        return eb_type_pointer(&u->types, eb_type_qualified(&u->types, to, quals));
    }
    if (x->kind == EB_TYPE_POINTER && eb_type_is_integer(y))
        return b->type;
    if (y->kind == EB_TYPE_POINTER && eb_type_is_integer(x))
        return c->type;
    return eb_type_compatible(x, y, true) ? b->type : NULL;
}

eb_expr *eb_conditional(eb_unit *u) {
    eb_nest(u);
    eb_expr *a = climb(u, 1);
    if (eb_is(u, EB_TOK_QUESTION)) {
        eb_take(u);
        a = eb_condition(u, a);
        bool omitted = eb_is(u, EB_TOK_COLON);
        if (omitted && !u->extension)
            eb_warn(u, EB_DIAG_GNU_CONDITIONAL, eb_peek(u).loc, eb_peek(u).loc + 1);
        eb_expr *b = omitted ? a : eb_rvalue(u, eb_expression(u));
        eb_expect(u, EB_TOK_COLON, "':'");
        eb_expr *c = eb_rvalue(u, eb_conditional(u));
        bool wrong = eb_expr_is_error(a) || eb_expr_is_error(b) || eb_expr_is_error(c);
        eb_type *type = wrong ? basic(u, EB_TYPE_ERROR) : arms(u, b, c);
        if (!type) {
            eb_diag_add(u->ctx, EB_DIAG_OPERANDS, b->lo, c->hi, "?:", eb_type_string(u, b->type),
                        eb_type_string(u, c->type));
            type = basic(u, EB_TYPE_ERROR);
        }
        eb_expr *e = eb_expr_new(u, EB_EXPR_COND, type, a->lo, c->hi);
        bool convert = eb_type_is_scalar(type);
        e->a = a;
        e->b = omitted ? NULL : convert ? eb_cast(u, b, type) : b;
        e->c = convert ? eb_cast(u, c, type) : c;
        a = e;
    }
    eb_unnest(u);
    return a;
}

/* The operator of a compound assignment, or END. */
static eb_tok_kind updating(unsigned kind) {
    static const uint8_t rows[][2] = {
        {EB_TOK_PLUSEQ, EB_TOK_PLUS},       {EB_TOK_MINUSEQ, EB_TOK_MINUS},
        {EB_TOK_STAREQ, EB_TOK_STAR},       {EB_TOK_SLASHEQ, EB_TOK_SLASH},
        {EB_TOK_PERCENTEQ, EB_TOK_PERCENT}, {EB_TOK_ANDEQ, EB_TOK_AND},
        {EB_TOK_OREQ, EB_TOK_OR},           {EB_TOK_XOREQ, EB_TOK_XOR},
        {EB_TOK_SHLEQ, EB_TOK_SHL},         {EB_TOK_SHREQ, EB_TOK_SHR}};
    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++)
        if (rows[n][0] == kind)
            return (eb_tok_kind)rows[n][1];
    return EB_TOK_END;
}

static eb_expr *update(eb_unit *u, eb_expr *a, eb_tok_kind op, eb_expr *b) {
    if (!writable(u, a))
        return eb_expr_error(u, a->lo, b->hi);
    eb_expr *result = eb_binary(u, op, a, b); /* checks, and says in which type it is computed */
    if (eb_expr_is_error(result))
        return result;
    if (eb_type_is(result->type, EB_TYPE_POINTER) != eb_type_is(a->type, EB_TYPE_POINTER))
        eb_convert(u, result, a->type, "variable"); /* says what is wrong */
    eb_expr *e =
        eb_expr_new(u, EB_EXPR_UPDATE, eb_type_unqualified(&u->types, a->type), a->lo, b->hi);
    e->op = (uint8_t)op;
    e->a = a;
    e->b = result->b;
    e->of.common = result->type;
    return e;
}

eb_expr *eb_assignment(eb_unit *u) {
    eb_expr *a = eb_conditional(u);
    eb_tok op = eb_peek(u);
    eb_tok_kind by = updating(op.kind);
    if (op.kind != EB_TOK_ASSIGN && by == EB_TOK_END)
        return a;
    eb_take(u);
    eb_nest(u);
    eb_expr *b = eb_assignment(u);
    eb_unnest(u);
    if (by != EB_TOK_END)
        return update(u, a, by, b);
    if (!writable(u, a))
        return eb_expr_error(u, a->lo, b->hi);
    b = eb_convert(u, b, a->type, "variable");
    if (a->kind == EB_EXPR_DECL)
        a->of.decl->last_set = u->at;
    eb_expr *e =
        eb_expr_new(u, EB_EXPR_ASSIGN, eb_type_unqualified(&u->types, a->type), a->lo, b->hi);
    e->a = a;
    e->b = b;
    return e;
}

eb_expr *eb_expression(eb_unit *u) {
    uint32_t beside = eb_chain_open(u);
    eb_expr *a = eb_assignment(u);
    for (; eb_skip(u, EB_TOK_COMMA); eb_link(u, 1)) {
        eb_expr *b = eb_rvalue(u, eb_assignment(u));
        eb_expr *e = eb_expr_new(u, EB_EXPR_COMMA, b->type, a->lo, b->hi);
        e->a = eb_rvalue(u, a);
        e->b = b;
        a = e;
    }
    eb_chain_close(u, beside);
    return a;
}
