/* spec.c - declaration specifiers: storage, type words, enum and typeof (C11 6.7.1 to 6.7.4);
 * struct and union are in record.c. */
#include "kernel.h"

/* ---- type words ---- */

enum {
    W_VOID = 1 << 0,
    W_BOOL = 1 << 2,
    W_CHAR = 1 << 4,
    W_SHORT = 1 << 6,
    W_INT = 1 << 8,
    W_LONG = 1 << 10,
    W_FLOAT = 1 << 12,
    W_DOUBLE = 1 << 14,
    W_SIGNED = 1 << 16,
    W_UNSIGNED = 1 << 18,
    W_INT128 = 1 << 20,
};

static const struct {
    uint32_t words;
    eb_type_kind kind;
} combinations[] = {
    {W_VOID, EB_TYPE_VOID},
    {W_BOOL, EB_TYPE_BOOL},
    {W_CHAR, EB_TYPE_CHAR},
    {W_SIGNED + W_CHAR, EB_TYPE_SCHAR},
    {W_UNSIGNED + W_CHAR, EB_TYPE_UCHAR},
    {W_SHORT, EB_TYPE_SHORT},
    {W_SHORT + W_INT, EB_TYPE_SHORT},
    {W_SIGNED + W_SHORT, EB_TYPE_SHORT},
    {W_SIGNED + W_SHORT + W_INT, EB_TYPE_SHORT},
    {W_UNSIGNED + W_SHORT, EB_TYPE_USHORT},
    {W_UNSIGNED + W_SHORT + W_INT, EB_TYPE_USHORT},
    {W_INT, EB_TYPE_INT},
    {W_SIGNED, EB_TYPE_INT},
    {W_SIGNED + W_INT, EB_TYPE_INT},
    {W_UNSIGNED, EB_TYPE_UINT},
    {W_UNSIGNED + W_INT, EB_TYPE_UINT},
    {W_LONG, EB_TYPE_LONG},
    {W_LONG + W_INT, EB_TYPE_LONG},
    {W_SIGNED + W_LONG, EB_TYPE_LONG},
    {W_SIGNED + W_LONG + W_INT, EB_TYPE_LONG},
    {W_UNSIGNED + W_LONG, EB_TYPE_ULONG},
    {W_UNSIGNED + W_LONG + W_INT, EB_TYPE_ULONG},
    {W_LONG + W_LONG, EB_TYPE_LLONG},
    {W_LONG + W_LONG + W_INT, EB_TYPE_LLONG},
    {W_SIGNED + W_LONG + W_LONG, EB_TYPE_LLONG},
    {W_SIGNED + W_LONG + W_LONG + W_INT, EB_TYPE_LLONG},
    {W_UNSIGNED + W_LONG + W_LONG, EB_TYPE_ULLONG},
    {W_UNSIGNED + W_LONG + W_LONG + W_INT, EB_TYPE_ULLONG},
    {W_INT128, EB_TYPE_INT128},
    {W_SIGNED + W_INT128, EB_TYPE_INT128},
    {W_UNSIGNED + W_INT128, EB_TYPE_UINT128},
    {W_FLOAT, EB_TYPE_FLOAT},
    {W_DOUBLE, EB_TYPE_DOUBLE},
    {W_LONG + W_DOUBLE, EB_TYPE_LDOUBLE},
};

static uint32_t word_of(eb_tok tok) {
    switch (tok.kind == EB_TOK_NAME ? tok.value : UINT32_MAX) { /* one case per row */
    case EB_KW_VOID:
        return W_VOID;
    case EB_KW_BOOL:
        return W_BOOL;
    case EB_KW_CHAR:
        return W_CHAR;
    case EB_KW_SHORT:
        return W_SHORT;
    case EB_KW_INT:
        return W_INT;
    case EB_KW_LONG:
        return W_LONG;
    case EB_KW_FLOAT:
        return W_FLOAT;
    case EB_KW_DOUBLE:
        return W_DOUBLE;
    case EB_KW_SIGNED:
        return W_SIGNED;
    case EB_KW_UNSIGNED:
        return W_UNSIGNED;
    case EB_KW_INT128:
        return W_INT128;
    default:
        return 0;
    }
}

static unsigned qual_of(eb_tok tok) {
    switch (tok.kind == EB_TOK_NAME ? tok.value : UINT32_MAX) {
    case EB_KW_CONST:
        return EB_CONST;
    case EB_KW_VOLATILE:
        return EB_VOLATILE;
    case EB_KW_RESTRICT:
        return EB_RESTRICT;
    default:
        return 0;
    }
}

bool eb_starts_type(eb_unit *u, eb_tok tok) {
    if (tok.kind != EB_TOK_NAME)
        return false;
    if (tok.value >= EB_KW_COUNT) {
        const eb_decl *decl = eb_lookup(u, tok.value);
        return decl && decl->kind == EB_DECL_TYPEDEF;
    }
    switch (tok.value) {
    case EB_KW_STRUCT:
    case EB_KW_UNION:
    case EB_KW_ENUM:
    case EB_KW_TYPEOF:
    case EB_KW_TYPEOF_UNQUAL:
    case EB_KW_ATOMIC:
    case EB_KW_AUTO_TYPE:
    case EB_KW_COMPLEX:
        return true;
    default:
        return word_of(tok) || qual_of(tok);
    }
}

/* A name that is declared nowhere, and what shows that a type's was meant: another name or '*' and
 * a name behind it, where no expression goes on so. */
static bool is_unknown_type(eb_unit *u, uint32_t by) {
    eb_tok tok = eb_ahead(u, by), next = eb_ahead(u, ++by);
    if (tok.kind != EB_TOK_NAME || tok.value < EB_KW_COUNT || eb_lookup(u, tok.value))
        return false;
    if (next.kind == EB_TOK_NAME && next.value < EB_KW_COUNT)
        return next.value != EB_KW_ELSE && next.value != EB_KW_WHILE;
    while (next.kind == EB_TOK_STAR)
        next = eb_ahead(u, ++by);
    if (next.kind != EB_TOK_NAME || next.value < EB_KW_COUNT)
        return false;
    switch (eb_ahead(u, by + 1).kind) {
    case EB_TOK_SEMICOLON:
    case EB_TOK_ASSIGN:
    case EB_TOK_COMMA:
    case EB_TOK_LBRACKET:
        return true;
    default:
        return eb_ahead(u, by - 1).kind == EB_TOK_NAME;
    }
}

bool eb_starts_cast(eb_unit *u) {
    if (!eb_is(u, EB_TOK_LPAREN))
        return false;
    eb_tok tok = eb_ahead(u, 1);
    if (eb_starts_type(u, tok))
        return true;
    if (tok.kind != EB_TOK_NAME || tok.value < EB_KW_COUNT)
        return false;
    /* (unknown *) or (unknown) VALUE */
    uint32_t by = 2;
    while (eb_ahead(u, by).kind == EB_TOK_STAR)
        by++;
    if (eb_ahead(u, by).kind != EB_TOK_RPAREN || eb_lookup(u, tok.value))
        return false;
    eb_tok value = eb_ahead(u, by + 1);
    bool begins = value.kind == EB_TOK_NUMBER || value.kind == EB_TOK_STRING ||
                  (value.kind == EB_TOK_NAME && value.value >= EB_KW_COUNT);
    return by > 2 || begins;
}

bool eb_starts_declaration(eb_unit *u) {
    eb_tok tok = eb_peek(u);
    if (eb_starts_type(u, tok)) {
        /* A typedef's name with ':' behind it is a label. */
        return tok.value < EB_KW_COUNT || eb_ahead(u, 1).kind != EB_TOK_COLON;
    }
    if (eb_is_attribute(u) || is_unknown_type(u, 0))
        return true;
    if (tok.kind != EB_TOK_NAME)
        return false;
    switch (tok.value) {
    case EB_KW_CONSTEXPR:
    case EB_KW_TYPEDEF:
    case EB_KW_EXTERN:
    case EB_KW_STATIC:
    case EB_KW_AUTO:
    case EB_KW_REGISTER:
    case EB_KW_THREAD_LOCAL:
    case EB_KW_INLINE:
    case EB_KW_NORETURN:
    case EB_KW_ALIGNAS:
    case EB_KW_STATIC_ASSERT:
        return true;
    case EB_KW_EXTENSION: {
        eb_unit ahead = *u;
        while (eb_skip_word(&ahead, EB_KW_EXTENSION))
            continue;
        return eb_starts_declaration(&ahead);
    }
    default:
        return false;
    }
}

/* ---- enum ---- */

/* The value of an enumerator. Nearly all are a number: vmlinux.h has twenty thousand, for which no
 * trees are needed. */
static void enumerator_value(eb_unit *u, eb_enum *e, int64_t *value) {
    eb_tok tok = eb_peek(u);
    unsigned behind = eb_ahead(u, 1).kind;
    eb_integer number;
    if (tok.kind == EB_TOK_NUMBER && (behind == EB_TOK_COMMA || behind == EB_TOK_RBRACE) &&
        eb_integer_of(eb_tok_text(u->words, tok), &number) && !number.overflow &&
        number.value <= INT32_MAX) {
        eb_take(u);
        *value = (int64_t)number.value;
        return;
    }
    eb_expr *expr = eb_conditional(u);
    if (eb_constant_integer(u, expr, value) && eb_type_is_unsigned(expr->type) && *value < 0)
        e->is_unsigned = true;
}

static void enumerator(eb_unit *u, eb_enum *e, int64_t *next) {
    eb_tok tok = eb_take(u);
    eb_attrs attrs = {0};
    eb_attributes(u, &attrs);
    if (eb_skip(u, EB_TOK_ASSIGN))
        enumerator_value(u, e, next);
    if (e->fixed && (int64_t)eb_wrap((uint64_t)*next, e->integer) != *next)
        eb_diag_add(u->ctx, EB_DIAG_ENUM_RANGE, tok.loc, eb_tok_end(u, tok), (long long)*next,
                    eb_type_string(u, e->integer));
    eb_decl *decl = eb_alloc(&u->ctx->arena, offsetof(eb_decl, inits));
    decl->kind = EB_DECL_ENUMERATOR;
    decl->name = tok.value;
    decl->lo = tok.loc;
    decl->hi = eb_tok_end(u, tok);
    decl->value = *next;
    decl->type = e->type; /* int while the list is read; see enum_body */
    eb_decl *old = eb_lookup_here(u, tok.value);
    if (old) {
        eb_str text = eb_name_text(u, tok.value);
        eb_diag *diag =
            eb_diag_add(u->ctx, EB_DIAG_REDEFINED, decl->lo, decl->hi, (int)text.len, text.at);
        eb_diag_note(u->ctx, diag, old->lo, old->hi, "it was declared here");
    }
    eb_bind(u, tok.value, decl);
    *EB_PUSH(&u->ctx->arena, &u->enumerators) = (eb_enumerator){tok.value, *next, tok.loc};
    *next = (int64_t)((uint64_t)*next + 1);
}

/* clang's choice: the first of unsigned int, int, long and unsigned long that holds all values. */
static eb_type_kind integer_for(const eb_enum *e) {
    bool negative = false, wide = false, wide_signed = false;
    for (uint32_t n = 0; n < e->list.len; n++) {
        int64_t v = e->list.at[n].value;
        bool below = v < 0 && !e->is_unsigned;
        negative = negative || below;
        wide = wide || (below ? v < INT32_MIN : (uint64_t)v > UINT32_MAX);
        wide_signed = wide_signed || (!below && (uint64_t)v > INT32_MAX);
    }
    if (!negative)
        return wide ? EB_TYPE_ULONG : EB_TYPE_UINT;
    return wide || wide_signed ? EB_TYPE_LONG : EB_TYPE_INT;
}

void eb_enum_finish(eb_unit *u, eb_enum *e) {
    if (!e->fixed)
        e->integer = eb_type_basic(&u->types, integer_for(e));
    e->complete = true;
}

static void enum_body(eb_unit *u, eb_enum *e) {
    int64_t next = 0;
    uint32_t before = u->enumerators.len; /* a value may have an enum in it */
    if (eb_is(u, EB_TOK_RBRACE))
        eb_expected(u, "an enumerator's name");
    while (eb_is_name(u)) {
        enumerator(u, e, &next);
        if (!eb_skip(u, EB_TOK_COMMA))
            break;
    }
    e->list.len = e->list.cap = u->enumerators.len - before;
    e->list.at = eb_alloc_array(&u->ctx->arena, e->list.len, sizeof *e->list.at);
    for (uint32_t n = 0; n < e->list.len; n++)
        e->list.at[n] = u->enumerators.at[before + n];
    u->enumerators.len = before;
    if (!eb_expect(u, EB_TOK_RBRACE, "an enumerator's name or '}'"))
        eb_skip_to_close(u);
    eb_enum_finish(u, e);
}

/* attribute packed: the smallest integer that holds all values. */
static void pack_enum(eb_unit *u, eb_enum *e) {
    int64_t most = 0, least = 0;
    e->packed = true;
    for (uint32_t n = 0; n < e->list.len; n++) {
        int64_t v = e->list.at[n].value;
        most = v > most ? v : most;
        least = v < least ? v : least;
    }
    if (least == 0 && most <= UINT16_MAX)
        e->integer = eb_type_basic(&u->types, most <= UINT8_MAX ? EB_TYPE_UCHAR : EB_TYPE_USHORT);
    else if (most <= INT16_MAX && least >= INT16_MIN)
        e->integer = eb_type_basic(
            &u->types, most <= INT8_MAX && least >= INT8_MIN ? EB_TYPE_SCHAR : EB_TYPE_SHORT);
}

void eb_tag_redefined(eb_unit *u, eb_tok tok, const eb_type *type) {
    eb_str text = eb_name_text(u, tok.value);
    eb_diag *diag =
        eb_diag_add(u->ctx, EB_DIAG_REDEFINED, tok.loc, eb_tok_end(u, tok), (int)text.len, text.at);
    eb_loc old = type->kind == EB_TYPE_ENUM ? type->of.enumeration->loc : type->of.record->loc;
    eb_diag_note(u->ctx, diag, old, old + 1, "it was declared here");
}

/* C23: the integer type behind ':'; NULL when there is none. */
static eb_type *underlying(eb_unit *u) {
    if (!eb_is(u, EB_TOK_COLON) || !eb_starts_type(u, eb_ahead(u, 1)))
        return NULL;
    eb_take(u);
    eb_loc lo = eb_peek(u).loc;
    eb_spec spec = eb_specifiers(u);
    if (eb_type_is_integer(spec.type) && !eb_type_is(spec.type, EB_TYPE_ENUM))
        return eb_type_unqualified(&u->types, spec.type);
    if (!eb_type_is(spec.type, EB_TYPE_ERROR))
        eb_diag_add(u->ctx, EB_DIAG_NOT_INTEGER, lo, eb_behind(u), eb_type_string(u, spec.type));
    return eb_type_basic(&u->types, EB_TYPE_INT);
}

/* The enum that is declared or defined here, of what was said of it before. */
static eb_enum *declared_enum(eb_unit *u, eb_tok tok, bool named, bool defined, eb_type *integer) {
    eb_type *old = !named    ? NULL
                   : defined ? eb_lookup_tag_here(u, tok.value)
                             : eb_lookup_tag(u, tok.value);
    eb_enum *e = old && old->kind == EB_TYPE_ENUM ? old->of.enumeration : NULL;
    bool other =
        e && integer && (!e->fixed ? e->complete : !eb_type_compatible(e->integer, integer, true));
    bool again = e && defined && e->complete && (!e->fixed || e->list.len);
    if (old && (!e || again || other)) {
        eb_tag_redefined(u, tok, old);
        e = NULL;
    }
    if (!e) {
        e = eb_enum_new(&u->types, named ? tok.value + 1 : 0, tok.loc);
        if (named)
            eb_bind_tag(u, tok.value, e->type);
    }
    if (integer) {
        e->fixed = e->complete = true;
        e->integer = integer;
    }
    return e;
}

static eb_type *enum_specifier(eb_unit *u) {
    eb_attrs attrs = {0};
    eb_attributes(u, &attrs);
    eb_tok tok = eb_peek(u);
    bool named = eb_is_name(u);
    u->at += named;
    eb_type *integer = underlying(u);
    bool defined = eb_skip(u, EB_TOK_LBRACE);
    if (!named && !defined) {
        eb_expected(u, "a name or '{' behind enum");
        return eb_type_basic(&u->types, EB_TYPE_ERROR);
    }
    eb_enum *e = declared_enum(u, tok, named, defined, integer);
    if (!defined)
        return e->type;
    enum_body(u, e);
    eb_attributes(u, &attrs);
    if ((attrs.packed || (u->pp->dialect & EBPF_CC_SHORT_ENUMS)) && !e->fixed)
        pack_enum(u, e);
    return eb_apply_type_attrs(u, e->type, &attrs, tok.loc);
}

/* ---- typeof ---- */

static eb_type *typeof_specifier(eb_unit *u, bool unqualified) {
    eb_type *type = eb_type_basic(&u->types, EB_TYPE_ERROR);
    if (!eb_expect(u, EB_TOK_LPAREN, "'(' behind typeof"))
        return type;
    bool unevaluated = u->unevaluated;
    u->unevaluated = true;
    eb_nest(u);
    if (eb_starts_type(u, eb_peek(u))) {
        type = eb_type_name(u);
    } else {
        const eb_expr *e = eb_expression(u);
        eb_refuse_bit_field(u, e, "typeof");
        type = e->type;
    }
    eb_unnest(u);
    u->unevaluated = unevaluated;
    if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
        eb_skip_to_close(u);
    return unqualified ? eb_type_unqualified(&u->types, type) : type;
}

/* ---- all of them ---- */

typedef struct collected {
    eb_type *type;
    uint32_t words;
    unsigned quals;
    bool unknown; /* the type is a name that nobody knows, as was said */
    eb_loc loc;   /* of the first type word */
} collected;

static void two_types(eb_unit *u, const collected *c, eb_tok tok) {
    if (!c->unknown)
        eb_diag_add(u->ctx, EB_DIAG_TWO_TYPES, tok.loc, eb_tok_end(u, tok));
}

static void set_type(eb_unit *u, collected *c, eb_type *type, eb_tok tok) {
    if (c->type || c->words)
        two_types(u, c, tok);
    c->type = type;
}

static const char *keyword_of(const eb_type *tag) {
    return tag->kind == EB_TYPE_STRUCT ? "struct" : tag->kind == EB_TYPE_UNION ? "union" : "enum";
}

/* The next token stands where a type belongs, and is none: what it may be. */
static eb_type *unknown_type(eb_unit *u) {
    eb_tok tok = eb_peek(u);
    eb_str text = eb_tok_text(u->words, tok);
    eb_loc hi = eb_tok_end(u, tok);
    eb_type *tag = eb_is_name(u) ? eb_lookup_tag(u, tok.value) : NULL;
    if (tag) {
        const char *word = keyword_of(tag);
        eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_TAG, tok.loc, hi, (int)text.len, text.at, word,
                                    (int)text.len, text.at);
        eb_diag_fixit(u->ctx, diag, tok.loc, tok.loc, eb_str_fmt(&u->ctx->arena, "%s ", word));
        return tag;
    }
    eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_NO_TYPE, tok.loc, hi, (int)text.len, text.at);
    if (eb_is_name(u))
        eb_suggest(u, diag, text, EB_MEANT_TYPE);
    return eb_type_basic(&u->types, EB_TYPE_ERROR);
}

/* Whether a name that stands where a type belongs was meant to be one, by what follows. */
static bool is_meant_as_type(const eb_unit *u) {
    eb_tok next = eb_ahead(u, 1);
    return next.kind == EB_TOK_NAME || next.kind == EB_TOK_STAR || next.kind == EB_TOK_RPAREN ||
           (next.kind == EB_TOK_COMMA && u->param_lists);
}

static bool storage_word(eb_unit *u, eb_spec *spec, eb_tok tok) {
    static const struct {
        eb_keyword word;
        eb_storage storage;
    } rows[] = {{EB_KW_EXTERN, EB_STORAGE_EXTERN},
                {EB_KW_STATIC, EB_STORAGE_STATIC},
                {EB_KW_AUTO, EB_STORAGE_AUTO},
                {EB_KW_REGISTER, EB_STORAGE_REGISTER},
                {EB_KW_TYPEDEF, EB_STORAGE_TYPEDEF}};
    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        if (tok.value != (uint32_t)rows[n].word)
            continue;
        if (spec->storage && spec->storage != rows[n].storage)
            eb_diag_add(u->ctx, EB_DIAG_TWO_STORAGES, tok.loc, eb_tok_end(u, tok));
        spec->storage = (uint8_t)rows[n].storage;
        return true;
    }
    return false;
}

static void alignas(eb_unit *u, eb_attrs *attrs) {
    int64_t align = 0;
    if (!eb_expect(u, EB_TOK_LPAREN, "'(' behind _Alignas"))
        return;
    eb_loc lo = eb_peek(u).loc;
    if (eb_starts_type(u, eb_peek(u)))
        align = eb_type_align(eb_type_name(u));
    else
        eb_constant_integer(u, eb_conditional(u), &align);
    if (align < 0 || align > 1 << 28 || (align & (align - 1)))
        eb_diag_add(u->ctx, EB_DIAG_NOT_POWER, lo, eb_behind(u), (uint32_t)align);
    else if ((uint32_t)align > attrs->align)
        attrs->align = (uint32_t)align;
    attrs->has_alignas = true;
    attrs->alignas_lo = lo;
    if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
        eb_skip_to_close(u);
}

/* One specifier that is no type word and no name; false when the token is none. */
static bool other_word(eb_unit *u, eb_spec *spec, collected *c, eb_tok tok) {
    unsigned qual = qual_of(tok);
    eb_take(u);
    if (qual) {
        eb_str text = eb_tok_text(u->words, tok);
        if (c->quals & qual)
            eb_warn(u, EB_DIAG_DUPLICATE_SPECIFIER, tok.loc, eb_tok_end(u, tok), (int)text.len,
                    text.at);
        c->quals |= qual;
        return true;
    }
    if (storage_word(u, spec, tok))
        return true;
    switch (tok.value) { /* one case per row */
    case EB_KW_STRUCT:
    case EB_KW_UNION:
        set_type(u, c, eb_record_specifier(u, tok.value == EB_KW_UNION), tok);
        return true;
    case EB_KW_ENUM:
        set_type(u, c, enum_specifier(u), tok);
        return true;
    case EB_KW_TYPEOF:
    case EB_KW_TYPEOF_UNQUAL:
        set_type(u, c, typeof_specifier(u, tok.value == EB_KW_TYPEOF_UNQUAL), tok);
        return true;
    case EB_KW_AUTO_TYPE:
        spec->is_auto_type = true;
        set_type(u, c, eb_type_basic(&u->types, EB_TYPE_ERROR), tok);
        return true;
    case EB_KW_ATOMIC:
        if (eb_skip(u, EB_TOK_LPAREN)) {
            eb_type *type = eb_type_name(u);
            if (eb_type_quals(type) || eb_type_is(type, EB_TYPE_ARRAY) ||
                eb_type_is(type, EB_TYPE_FUNCTION))
                eb_diag_add(u->ctx, EB_DIAG_ATOMIC_OF, tok.loc, eb_behind(u),
                            eb_type_string(u, type));
            set_type(u, c, type, tok);
            eb_expect(u, EB_TOK_RPAREN, "')'");
        }
        c->quals |= EB_ATOMIC;
        return true;
    case EB_KW_ATTRIBUTE:
        u->at--;
        eb_attributes(u, &spec->attrs);
        return true;
    case EB_KW_ALIGNAS:
        alignas(u, &spec->attrs);
        return true;
    case EB_KW_INLINE:
        spec->is_inline = true;
        return true;
    case EB_KW_NORETURN:
        spec->attrs.noreturn = spec->is_noreturn = true;
        return true;
    case EB_KW_CONSTEXPR:
        spec->is_constexpr = true;
        c->quals |= EB_CONST;
        return true;
    case EB_KW_THREAD_LOCAL:
        spec->is_thread_local = true;
        return true;
    case EB_KW_EXTENSION:
    case EB_KW_COMPLEX:
        return true;
    default:
        u->at--;
        return false;
    }
}

static eb_type *combination(eb_unit *u, uint32_t words) {
    for (size_t n = 0; n < sizeof combinations / sizeof combinations[0]; n++)
        if (combinations[n].words == words)
            return eb_type_basic(&u->types, combinations[n].kind);
    return NULL;
}

eb_type *eb_type_of_words(eb_unit *u, eb_str text) {
    uint32_t words = 0;
    for (size_t at = 0, end; at < text.len; at = end + 1) {
        for (end = at; end < text.len && text.at[end] != ' ';)
            end++;
        eb_tok tok = {.kind = EB_TOK_NAME,
                      .value = eb_name_enter(u->words, (eb_str){text.at + at, end - at})};
        uint32_t word = word_of(tok);
        if (!word)
            return NULL;
        words += word;
    }
    return combination(u, words);
}

static eb_type *combine(eb_unit *u, const collected *c) {
    eb_type *type = combination(u, c->words);
    if (type)
        return type;
    eb_diag_add(u->ctx, EB_DIAG_TWO_TYPES, c->loc, eb_behind(u));
    return eb_type_basic(&u->types, EB_TYPE_ERROR);
}

/* C before 1999: `static x;` and `f(void);` declare ints. */
static bool means_int(eb_unit *u, const eb_spec *spec, unsigned quals) {
    if (!eb_is_name(u) || u->param_lists)
        return false;
    switch (eb_ahead(u, 1).kind) {
    case EB_TOK_SEMICOLON:
    case EB_TOK_ASSIGN:
    case EB_TOK_COMMA:
        return spec->storage || quals || eb_scope_is_global(u);
    case EB_TOK_LPAREN:
    case EB_TOK_LBRACKET:
        return spec->storage || spec->is_inline || eb_scope_is_global(u);
    default:
        return false;
    }
}

static bool is_tagged(eb_tok tok) {
    return tok.value == EB_KW_STRUCT || tok.value == EB_KW_UNION || tok.value == EB_KW_ENUM;
}

/* Behind a struct, union or enum: what cannot go on with it, so that a ';' is missing. */
static bool begins_another(eb_unit *u) {
    eb_tok tok = eb_peek(u), next = eb_ahead(u, 1);
    if (tok.kind != EB_TOK_NAME || u->param_lists)
        return false;
    if (tok.value >= EB_KW_COUNT)
        return eb_starts_type(u, tok) && (next.kind == EB_TOK_STAR || next.kind == EB_TOK_NAME);
    switch (tok.value) {
    case EB_KW_STRUCT:
    case EB_KW_UNION:
    case EB_KW_ENUM:
        return true;
    case EB_KW_CONST:
    case EB_KW_STATIC:
    case EB_KW_EXTERN:
    case EB_KW_TYPEDEF:
    case EB_KW_INLINE:
        return (tok.flags & EB_TOK_BOL) != 0;
    default:
        return word_of(tok) != 0;
    }
}

eb_spec eb_specifiers(eb_unit *u) {
    eb_spec spec = {.lo = eb_peek(u).loc};
    collected c = {0};
    for (;;) {
        eb_tok tok = eb_peek(u);
        uint32_t word = word_of(tok);
        if (eb_is_attribute(u) && tok.kind != EB_TOK_NAME) {
            eb_attributes(u, &spec.attrs);
            continue;
        }
        if (tok.kind != EB_TOK_NAME)
            break;
        if (word) {
            if (!c.words)
                c.loc = tok.loc;
            if (c.type)
                two_types(u, &c, tok);
            c.words += word;
            eb_take(u);
        } else if (tok.value >= EB_KW_COUNT) {
            /* A typedef's name, unless there is a type already: then it is being declared again. */
            if (c.words || (c.type && !c.unknown))
                break; /* without a look: BTF's is used by that */
            if (eb_starts_type(u, tok)) {
                eb_decl *named = eb_lookup(u, tok.value);
                c.type = named->type;
                named->is_referenced = true;
            } else if (!c.type && is_meant_as_type(u)) {
                c.type = unknown_type(u);
                c.unknown = true;
            } else {
                break;
            }
            eb_take(u);
        } else if (!other_word(u, &spec, &c, tok)) {
            break;
        } else if (is_tagged(tok) && begins_another(u)) {
            eb_missing(u, ";",
                       tok.value == EB_KW_STRUCT  ? "';' behind a struct"
                       : tok.value == EB_KW_UNION ? "';' behind a union"
                                                  : "';' behind an enum");
            spec.ended = true;
            break;
        }
    }
    if (c.words) {
        spec.type = combine(u, &c);
    } else if (c.type) {
        spec.type = c.type;
    } else {
        eb_tok tok = eb_peek(u);
        eb_str text = eb_tok_text(u->words, tok);
        if (eb_is_c23(u) && spec.storage == EB_STORAGE_AUTO && eb_is_name(u)) {
            spec.is_auto_type = true;
            spec.type =
                eb_type_qualified(&u->types, eb_type_basic(&u->types, EB_TYPE_ERROR), c.quals);
            return spec;
        }
        if (means_int(u, &spec, c.quals)) {
            eb_warn(u, EB_DIAG_IMPLICIT_INT, tok.loc, eb_tok_end(u, tok), (int)text.len, text.at);
            spec.type =
                eb_type_qualified(&u->types, eb_type_basic(&u->types, EB_TYPE_INT), c.quals);
            return spec;
        }
        spec.type = unknown_type(u);
    }
    if ((c.quals & EB_RESTRICT) && !eb_type_is(spec.type, EB_TYPE_POINTER) &&
        !eb_type_is(spec.type, EB_TYPE_ERROR))
        eb_diag_add(u->ctx, EB_DIAG_NOT_POINTER, spec.lo, eb_behind(u),
                    eb_type_string(u, spec.type));
    spec.type = eb_type_with_tags(&u->types, spec.type, &spec.attrs.type_tags);
    spec.type = eb_type_qualified(&u->types, spec.type, c.quals);
    return spec;
}
