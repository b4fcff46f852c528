/* init.c - initialisers (C11 6.7.9): braces, designators, brace elision, strings, flexible arrays;
 * the result is a flat list of values with their offsets, later ones overriding earlier ones. */
#include "parse.h"
#include "sort.h"

typedef struct target {
    eb_unit *u;
    eb_decl *decl;
    eb_expr *pending; /* a value that was read already: it is the next one */
    bool designated;  /* a designator was there, so that values may be given twice */
    bool eliding;     /* inside of what has no braces of its own */
} target;

static void put(target *t, uint64_t offset, eb_type *type, eb_expr *expr) {
    *EB_PUSH(&t->u->ctx->arena, &t->decl->inits) =
        (eb_init){.offset = offset, .type = type, .expr = expr};
}

static void value_at(target *t, uint64_t offset, eb_type *type, const eb_member *field);

/* ---- values without a place ---- */

/* [index] and .member, in front of a value. */
static void any_designators(eb_unit *u) {
    for (;;) {
        if (eb_skip(u, EB_TOK_DOT)) {
            eb_take(u);
        } else if (eb_skip(u, EB_TOK_LBRACKET)) {
            eb_conditional(u);
            if (eb_skip(u, EB_TOK_ELLIPSIS))
                eb_conditional(u);
            if (!eb_expect(u, EB_TOK_RBRACKET, "']'"))
                eb_skip_to_close(u);
        } else {
            eb_skip(u, EB_TOK_ASSIGN);
            return;
        }
    }
}

/* A value or a list of them for something that was wrong: only what is wrong in itself is told. */
static void any_value(eb_unit *u) {
    eb_nest(u);
    if (!eb_skip(u, EB_TOK_LBRACE)) {
        eb_assignment(u);
    } else {
        while (!eb_is(u, EB_TOK_RBRACE) && !eb_is(u, EB_TOK_END)) {
            any_designators(u);
            any_value(u);
            if (!eb_skip(u, EB_TOK_COMMA))
                break;
        }
        if (!eb_expect(u, EB_TOK_RBRACE, "'}' or ','"))
            eb_skip_to_close(u);
    }
    eb_unnest(u);
}

/* ---- designators ---- */

/* .member and [index] behind an lvalue, for offsetof and designators: without the leading '.' for
 * the first member of offsetof. */
eb_expr *eb_designated(eb_unit *u, eb_expr *at) {
    for (bool first = true;; first = false) {
        if (first || eb_skip(u, EB_TOK_DOT)) {
            eb_tok tok = eb_peek(u);
            uint32_t path[EB_PATH_MOST], length = 0;
            if (!eb_is_name(u)) {
                eb_expected(u, "a member's name");
                return eb_expr_error(u, at->lo, at->hi);
            }
            eb_take(u);
            if (eb_type_is_record(at->type) && eb_complete(u, at->type))
                length =
                    eb_record_find(&u->types, eb_type_plain(at->type)->of.record, tok.value, path);
            if (!length) {
                eb_str text = eb_name_text(u, tok.value);
                eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_NO_MEMBER, tok.loc, eb_tok_end(u, tok),
                                            eb_type_string(u, at->type), (int)text.len, text.at);
                eb_suggest_member(u, diag, text, at->type);
                return eb_expr_error(u, at->lo, at->hi);
            }
            at = eb_member_access(u, at, path, length);
        } else if (eb_skip(u, EB_TOK_LBRACKET)) {
            eb_expr *index = eb_rvalue(u, eb_expression(u));
            eb_expr *array = eb_rvalue(u, at);
            if (!eb_expect(u, EB_TOK_RBRACKET, "']'"))
                eb_skip_to_close(u);
            if (eb_expr_is_error(index) || !eb_type_is(array->type, EB_TYPE_POINTER))
                return eb_expr_error(u, at->lo, at->hi);
            eb_expr *e = eb_expr_new(u, EB_EXPR_INDEX, eb_type_plain(array->type)->base, at->lo,
                                     eb_behind(u));
            e->a = array;
            e->b = eb_cast(u, index, eb_type_basic(&u->types, EB_TYPE_LONG));
            e->is_lvalue = true;
            at = e;
        } else {
            return at;
        }
    }
}

/* ---- strings ---- */

static bool is_char_array(eb_type *type) {
    eb_type *plain = eb_type_plain(type);
    return plain->kind == EB_TYPE_ARRAY && eb_type_is_integer(plain->base);
}

/* A string literal, maybe in braces, for an array of characters: true when it was one. */
static bool string_for(target *t, uint64_t offset, eb_type *type, uint64_t *count) {
    eb_unit *u = t->u;
    bool braced = eb_is(u, EB_TOK_LBRACE) && eb_ahead(u, 1).kind == EB_TOK_STRING;
    if (!is_char_array(type) || !(braced || eb_is(u, EB_TOK_STRING)))
        return false;
    u->at += braced;
    eb_loc lo = eb_peek(u).loc;
    eb_type *element;
    eb_type *array = eb_type_plain(type);
    eb_str text = eb_strings(u, &element);
    uint64_t width = eb_type_size(element), length = text.len / width;
    if (eb_type_size(array->base) != width)
        eb_diag_add(u->ctx, EB_DIAG_STRING_WIDTH, lo, eb_behind(u), eb_type_string(u, type));
    if (array->count == EB_ARRAY_OPEN)
        *count = length + 1;
    else if (length > array->count)
        eb_warn(u, EB_DIAG_STRING_LONG, lo, eb_behind(u), (unsigned long long)length,
                (unsigned long long)array->count);
    uint64_t room = array->count == EB_ARRAY_OPEN ? length + 1 : array->count;
    eb_type *own = eb_type_array(&u->types, element, room);
    eb_expr *e = eb_expr_new(u, EB_EXPR_STRING, own, lo, eb_behind(u));
    e->of.text = (eb_str){text.at, (size_t)((length < room ? length + 1 : room) * width)};
    e->is_lvalue = true;
    put(t, offset, own, e);
    if (braced) {
        eb_skip(u, EB_TOK_COMMA);
        if (!eb_expect(u, EB_TOK_RBRACE, "'}'"))
            eb_skip_to_close(u);
    }
    return true;
}

/* ---- aggregates ---- */

/* A place in an aggregate that is being filled. */
typedef struct cursor {
    eb_type *type; /* plain: array or record */
    uint64_t base;
    uint64_t at;   /* the next element or member */
    uint64_t most; /* elements reached, for arrays without a length */
} cursor;

static bool is_full(const cursor *c) {
    if (c->type->kind == EB_TYPE_ARRAY)
        return c->at >= c->type->count; /* EB_ARRAY_OPEN is never reached */
    const eb_record *record = c->type->of.record;
    if (c->type->kind == EB_TYPE_UNION)
        return c->at > 0 || !record->members.len;
    return c->at >= record->members.len;
}

/* Unnamed bit-fields are not initialised. */
static void skip_unnamed(cursor *c) {
    if (c->type->kind == EB_TYPE_ARRAY)
        return;
    const eb_record *record = c->type->of.record;
    while (c->at < record->members.len && record->members.at[c->at].is_field &&
           !record->members.at[c->at].name)
        c->at++;
}

static void next_value(target *t, cursor *c) {
    skip_unnamed(c);
    if (c->type->kind == EB_TYPE_ARRAY) {
        uint64_t size = eb_type_size(c->type->base);
        value_at(t, c->base + c->at * size, c->type->base, NULL);
        c->at++;
        c->most = c->at > c->most ? c->at : c->most;
        return;
    }
    const eb_member *member = &c->type->of.record->members.at[c->at];
    value_at(t, c->base + member->offset / 8, member->type, member);
    c->at++;
}

static void braced(target *t, uint64_t offset, eb_type *type, uint64_t *count);

/* The value behind a designator that reaches deeper than one step. */
static void designated_value(target *t, uint64_t offset, eb_type *type, const eb_member *field) {
    eb_unit *u = t->u;
    while (eb_is(u, EB_TOK_DOT) || eb_is(u, EB_TOK_LBRACKET)) {
        eb_type *plain = eb_type_plain(type);
        if (eb_skip(u, EB_TOK_LBRACKET)) {
            int64_t index = 0;
            eb_constant_integer(u, eb_conditional(u), &index);
            if (!eb_expect(u, EB_TOK_RBRACKET, "']'"))
                eb_skip_to_close(u);
            if (plain->kind != EB_TYPE_ARRAY || (uint64_t)index >= plain->count) {
                eb_diag_add(u->ctx, EB_DIAG_INIT_INDEX, eb_behind(u) - 1, eb_behind(u),
                            (long long)index, eb_type_string(u, type));
                any_designators(u);
                any_value(u);
                return;
            }
            type = plain->base;
            offset += (uint64_t)index * eb_type_size(type);
            field = NULL;
            continue;
        }
        eb_take(u);
        eb_tok tok = eb_take(u);
        uint32_t path[EB_PATH_MOST], length = 0;
        if (tok.kind == EB_TOK_NAME && eb_type_is_record(type) && eb_complete(u, type))
            length = eb_record_find(&u->types, plain->of.record, tok.value, path);
        if (!length) {
            eb_str text = eb_tok_text(u->words, tok);
            eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_NO_MEMBER, tok.loc, eb_tok_end(u, tok),
                                        eb_type_string(u, type), (int)text.len, text.at);
            eb_suggest_member(u, diag, text, type);
            any_designators(u);
            any_value(u);
            return;
        }
        for (uint32_t n = 0; n < length; n++) {
            field = &eb_type_plain(type)->of.record->members.at[path[n]];
            offset += field->offset / 8;
            type = field->type;
        }
    }
    eb_skip(u, EB_TOK_ASSIGN);
    value_at(t, offset, type, field);
}

enum { INITS_MOST = 1 << 20 };

/* [a ... b] = value: the value in all of them, read once. */
static void range(target *t, cursor *c, int64_t from, int64_t to) {
    eb_unit *u = t->u;
    uint64_t size = eb_type_size(c->type->base);
    uint32_t first = t->decl->inits.len;
    eb_skip(u, EB_TOK_ASSIGN);
    designated_value(t, c->base + (uint64_t)from * size, c->type->base, NULL);
    uint32_t count = t->decl->inits.len - first;
    if (count && (uint64_t)(to - from) > INITS_MOST / count)
        eb_fail(&u->ctx->arena, EBPF_E_LIMIT);
    for (int64_t n = from + 1; n <= to && count; n++)
        for (uint32_t i = 0; i < count; i++) {
            eb_init copy = t->decl->inits.at[first + i];
            copy.offset += (uint64_t)(n - from) * size;
            *EB_PUSH(&u->ctx->arena, &t->decl->inits) = copy;
        }
    c->at = (uint64_t)to + 1;
    c->most = c->at > c->most ? c->at : c->most;
}

static bool designator(target *t, cursor *c) {
    eb_unit *u = t->u;
    t->designated = t->designated || eb_is(u, EB_TOK_LBRACKET) || eb_is(u, EB_TOK_DOT);
    if (eb_is(u, EB_TOK_LBRACKET) && c->type->kind == EB_TYPE_ARRAY) {
        eb_loc lo = eb_take(u).loc;
        int64_t from = 0, to;
        eb_constant_integer(u, eb_conditional(u), &from);
        to = from;
        if (eb_skip(u, EB_TOK_ELLIPSIS))
            eb_constant_integer(u, eb_conditional(u), &to);
        if (!eb_expect(u, EB_TOK_RBRACKET, "']'"))
            eb_skip_to_close(u);
        bool open = c->type->count == EB_ARRAY_OPEN;
        if (from < 0 || to < from || (!open && (uint64_t)to >= c->type->count) || to >= 1 << 28) {
            eb_diag_add(u->ctx, EB_DIAG_INIT_INDEX, lo, eb_behind(u), (long long)to,
                        eb_type_string(u, c->type));
            from = to = 0;
        }
        range(t, c, from, to);
        return true;
    }
    if (!eb_is(u, EB_TOK_DOT) || c->type->kind == EB_TYPE_ARRAY)
        return false;
    /* The member of this record that the path goes through is where it goes on behind. */
    uint32_t path[EB_PATH_MOST];
    eb_tok tok = eb_ahead(u, 1);
    uint32_t length = tok.kind == EB_TOK_NAME
                          ? eb_record_find(&u->types, c->type->of.record, tok.value, path)
                          : 0;
    designated_value(t, c->base, c->type, NULL);
    c->at = length ? (uint64_t)path[0] + 1 : c->at;
    return true;
}

/* '->' for the '.' of a designator. */
static bool arrow_designator(eb_unit *u) {
    eb_tok tok = eb_peek(u);
    if (tok.kind != EB_TOK_ARROW)
        return false;
    eb_expected(u, "a value or '.'");
    eb_take(u);
    eb_take(u);
    any_designators(u);
    any_value(u);
    return true;
}

/* GNU's old form, member: value. */
static bool old_designator(target *t, cursor *c) {
    eb_unit *u = t->u;
    eb_tok tok = eb_peek(u);
    uint32_t path[EB_PATH_MOST];
    if (!eb_is_name(u) || eb_ahead(u, 1).kind != EB_TOK_COLON || c->type->kind == EB_TYPE_ARRAY)
        return false;
    uint32_t length = eb_record_find(&u->types, c->type->of.record, tok.value, path);
    if (!length)
        return false;
    eb_take(u);
    eb_take(u);
    eb_type *type = c->type;
    const eb_member *field = NULL;
    uint64_t offset = c->base;
    for (uint32_t n = 0; n < length; n++) {
        field = &eb_type_plain(type)->of.record->members.at[path[n]];
        offset += field->offset / 8;
        type = field->type;
    }
    value_at(t, offset, type, field);
    c->at = (uint64_t)path[0] + 1;
    t->designated = true;
    return true;
}

static void extra_value(eb_unit *u, eb_type *type) {
    eb_expr *extra = eb_assignment(u);
    eb_warn(u, EB_DIAG_INIT_EXTRA, extra->lo, extra->hi, eb_type_string(u, type));
}

/* The values end before the members do; {0} is the usual way to say so. */
static void missing(target *t, const cursor *c, eb_loc lo, uint32_t given) {
    const eb_record *record = c->type->of.record;
    const eb_init *last = given ? &t->decl->inits.at[t->decl->inits.len - 1] : NULL;
    if (!last || c->at >= record->members.len || !record->members.at[c->at].name)
        return;
    eb_constant zero = eb_constant_of(last->expr);
    if (given == 1 && zero.kind == EB_CONSTANT_NUMBER && !zero.value)
        return;
    const eb_member *member = &record->members.at[c->at];
    eb_type *plain = eb_type_plain(member->type);
    eb_str text = eb_name_text(t->u, member->name - 1);
    if (plain->kind != EB_TYPE_ARRAY || plain->count != EB_ARRAY_OPEN)
        eb_warn(t->u, EB_DIAG_INIT_MISSING, lo, eb_behind(t->u), (int)text.len, text.at);
}

static void braced(target *t, uint64_t offset, eb_type *type, uint64_t *count) {
    eb_unit *u = t->u;
    cursor c = {.type = eb_type_plain(type), .base = offset};
    uint32_t first = t->decl->inits.len;
    bool designated = false;
    eb_loc lo = eb_take(u).loc;
    uint32_t errors = u->ctx->errors;
    eb_nest(u);
    if (c.type->kind != EB_TYPE_ARRAY && !eb_type_is_record(c.type)) { /* {5} for a scalar */
        if (!eb_is(u, EB_TOK_RBRACE))
            value_at(t, offset, type, NULL);
        while (eb_skip(u, EB_TOK_COMMA) && !eb_is(u, EB_TOK_RBRACE))
            extra_value(u, type);
    } else {
        while (!eb_is(u, EB_TOK_RBRACE) && !eb_is(u, EB_TOK_END)) {
            uint32_t before = u->at;
            if (arrow_designator(u)) {
                designated = true;
            } else if (designator(t, &c) || old_designator(t, &c)) {
                designated = true;
            } else {
                skip_unnamed(&c);
                if (is_full(&c))
                    extra_value(u, c.type);
                else
                    next_value(t, &c);
            }
            if (!eb_skip(u, EB_TOK_COMMA) || u->at == before)
                break;
        }
    }
    eb_unnest(u);
    if (c.type->kind == EB_TYPE_STRUCT && !designated)
        missing(t, &c, lo, t->decl->inits.len - first);
    if (u->ctx->errors == errors ? !eb_expect(u, EB_TOK_RBRACE, "'}' or ','")
                                 : !eb_skip(u, EB_TOK_RBRACE)) {
        eb_skip_to_close(u);
        eb_skip(u, EB_TOK_RBRACE);
    }
    *count = c.most;
}

/* Values for an aggregate whose braces were left out: as many as it takes. */
static void elided(target *t, uint64_t offset, eb_type *type) {
    eb_unit *u = t->u;
    cursor c = {.type = eb_type_plain(type), .base = offset};
    eb_nest(u);
    while (!is_full(&c) && (t->pending || !eb_is(u, EB_TOK_RBRACE)) && !eb_is(u, EB_TOK_END)) {
        next_value(t, &c);
        skip_unnamed(&c);
        /* The comma belongs to the outer list when this aggregate is full, or a designator comes.
         */
        eb_tok_kind next = (eb_tok_kind)eb_ahead(u, 1).kind;
        if (is_full(&c) || !eb_is(u, EB_TOK_COMMA) || next == EB_TOK_DOT ||
            next == EB_TOK_LBRACKET || next == EB_TOK_RBRACE)
            break;
        eb_take(u);
    }
    eb_unnest(u);
}

static void put_field(target *t, uint64_t offset, const eb_member *field, eb_expr *expr) {
    put(t, offset, field->type, expr);
    eb_init *init = &t->decl->inits.at[t->decl->inits.len - 1];
    if (field->is_field) {
        init->bit = (uint16_t)(field->offset % 8);
        init->bits = field->bits;
    }
}

static bool is_zero(const eb_expr *e) {
    while (e->kind == EB_EXPR_CAST && !e->written)
        e = e->a;
    return e->kind == EB_EXPR_NUMBER && !e->of.value;
}

static void value_at(target *t, uint64_t offset, eb_type *type, const eb_member *field) {
    eb_unit *u = t->u;
    uint64_t count;
    eb_type *plain = eb_type_plain(type);
    bool aggregate = plain->kind == EB_TYPE_ARRAY || eb_type_is_record(plain);
    eb_complete(u, type);
    if (!t->pending && string_for(t, offset, type, &count))
        return;
    if (!t->pending && eb_is(u, EB_TOK_LBRACE)) {
        braced(t, offset, type, &count);
        return;
    }
    if (!aggregate) {
        eb_expr *e = t->pending ? t->pending : eb_assignment(u);
        t->pending = NULL;
        e = eb_convert(u, e, type, "variable");
        if (field)
            put_field(t, offset, field, e);
        else
            put(t, offset, type, e);
        return;
    }
    /* An expression of the record's own type, or the first value of what is inside it. A string is
     * no record, and its characters are for an array inside. */
    if (!t->pending && !eb_is(u, EB_TOK_STRING))
        t->pending = eb_rvalue(u, eb_assignment(u));
    eb_expr *e = t->pending;
    if (e && (eb_expr_is_error(e) ||
              (eb_type_is_record(plain) && eb_type_compatible(e->type, type, true)))) {
        t->pending = NULL;
        put(t, offset, type, e);
        return;
    }
    uint32_t before = t->decl->inits.len;
    bool outer = !t->eliding;
    t->eliding = true;
    eb_loc lo = e ? e->lo : eb_peek(u).loc, hi = e ? e->hi : eb_tok_end(u, eb_peek(u));
    elided(t, offset, type);
    t->pending = NULL;
    t->eliding = !outer;
    /* { 0 } is how everything is set to 0. */
    bool zero = e && is_zero(e) && eb_is(u, EB_TOK_RBRACE) && t->decl->inits.len == before + 1;
    if (outer && !zero)
        eb_warn(u, EB_DIAG_MISSING_BRACES, lo, hi);
}

/* ---- a declaration's ---- */

static int compare_places(const void *data, uint32_t a, uint32_t b) {
    const eb_init *inits = data, *x = &inits[a], *y = &inits[b];
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->bit < y->bit ? -1 : x->bit > y->bit;
}

/* A value for a place that has one already. */
static void check_twice(const target *t) {
    eb_unit *u = t->u;
    const eb_decl *decl = t->decl;
    uint32_t count = decl->inits.len;
    if (!t->designated || !eb_warns(u, u->at, EB_DIAG_INIT_AGAIN, decl->lo))
        return;
    uint32_t *order = eb_alloc_array(&u->ctx->arena, count, sizeof *order);
    for (uint32_t n = 0; n < count; n++)
        order[n] = n;
    eb_sort(&u->ctx->arena, order, count, compare_places, decl->inits.at);
    for (uint32_t n = 1; n < count; n++) {
        const eb_init *old = &decl->inits.at[order[n - 1]], *again = &decl->inits.at[order[n]];
        bool same = compare_places(decl->inits.at, order[n - 1], order[n]) == 0 &&
                    eb_type_size(old->type) && eb_type_size(again->type);
        eb_diag *diag =
            same ? eb_warn(u, EB_DIAG_INIT_AGAIN, again->expr->lo, again->expr->hi) : NULL;
        if (diag)
            eb_diag_note(u->ctx, diag, old->expr->lo, old->expr->hi, "the first value is here");
    }
}

void eb_initialiser(eb_unit *u, eb_decl *decl) {
    target t = {.u = u, .decl = decl};
    eb_type *plain = eb_type_plain(decl->type);
    uint64_t count = 0;
    bool open = plain->kind == EB_TYPE_ARRAY && plain->count == EB_ARRAY_OPEN;
    if (plain->kind == EB_TYPE_ERROR) {
        any_value(u);
        return;
    }
    eb_complete(u, decl->type);
    if (plain->kind == EB_TYPE_ARRAY && !eb_is(u, EB_TOK_LBRACE) && !eb_is(u, EB_TOK_STRING)) {
        /* GNU: an array from a compound literal of its type. */
        eb_expr *e = eb_assignment(u);
        if (e->kind == EB_EXPR_COMPOUND && eb_type_compatible(e->type, decl->type, true)) {
            put(&t, 0, e->type, e);
            count = eb_type_plain(e->type)->count;
        } else if (!eb_expr_is_error(e)) {
            eb_diag_add(u->ctx, EB_DIAG_EXPECTED, e->lo, e->hi, "'{' or a string for an array");
        }
    } else if (!string_for(&t, 0, decl->type, &count)) {
        if (eb_is(u, EB_TOK_LBRACE))
            braced(&t, 0, decl->type, &count);
        else if (eb_type_is_record(plain))
            put(&t, 0, decl->type, eb_convert(u, eb_assignment(u), decl->type, "variable"));
        else
            value_at(&t, 0, decl->type, NULL);
    }
    check_twice(&t);
    if (open)
        decl->type = eb_type_array(&u->types, plain->base, count);
}
