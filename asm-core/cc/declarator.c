/* declarator.c - declarators, type names and attributes (C11 6.7.6, 6.7.7; GNU's __attribute__).
 *
 * A declarator reads inside out: `*(*f)(int)[3]` wraps its types from the name outwards, so what is
 * in parentheses is read after what stands behind them. */
#include "parse.h"

enum { TYPE_DEPTH_MOST = 500 };

/* ---- attributes ---- */

typedef enum attribute {
    A_OTHER, /* known to others, without meaning here */
    A_ADDRESS_SPACE,
    A_ALIAS,
    A_ALIGNED,
    A_ALWAYS_INLINE,
    A_CLEANUP,
    A_DECL_TAG,
    A_DEPRECATED,
    A_ERROR,
    A_FALLTHROUGH,
    A_HIDDEN,
    A_MODE,
    A_MUST_USE,
    A_NAKED,
    A_NOINLINE,
    A_GNU_INLINE,
    A_NORETURN,
    A_PACKED,
    A_PRESERVE,
    A_SECTION,
    A_TRANSPARENT,
    A_TYPE_TAG,
    A_UNUSED,
    A_USED,
    A_VECTOR,
    A_WEAK
} attribute;

static const struct {
    const char *name;
    attribute id;
} attributes[] = {
    {"address_space", A_ADDRESS_SPACE},
    {"alias", A_ALIAS},
    {"aligned", A_ALIGNED},
    {"always_inline", A_ALWAYS_INLINE},
    {"btf_decl_tag", A_DECL_TAG},
    {"btf_type_tag", A_TYPE_TAG},
    {"cleanup", A_CLEANUP},
    {"deprecated", A_DEPRECATED},
    {"error", A_ERROR},
    {"fallthrough", A_FALLTHROUGH},
    {"gnu_inline", A_GNU_INLINE},
    {"maybe_unused", A_UNUSED},
    {"mode", A_MODE},
    {"naked", A_NAKED},
    {"nodiscard", A_MUST_USE},
    {"noinline", A_NOINLINE},
    {"noreturn", A_NORETURN},
    {"_Noreturn", A_NORETURN},
    {"packed", A_PACKED},
    {"preserve_access_index", A_PRESERVE},
    {"section", A_SECTION},
    {"transparent_union", A_TRANSPARENT},
    {"unused", A_UNUSED},
    {"used", A_USED},
    {"ext_vector_type", A_VECTOR},
    {"vector_size", A_VECTOR},
    {"visibility", A_HIDDEN},
    {"warn_unused_result", A_MUST_USE},
    {"weak", A_WEAK},
};

/* What __x__ stands for is x. */
static eb_str bare(eb_str name) {
    if (name.len > 4 && eb_str_starts(name, "__") && name.at[name.len - 1] == '_' &&
        name.at[name.len - 2] == '_')
        return (eb_str){name.at + 2, name.len - 4};
    return name;
}

static attribute attribute_of(eb_str name) {
    name = bare(name);
    for (size_t n = 0; n < sizeof attributes / sizeof attributes[0]; n++)
        if (eb_str_is(name, attributes[n].name))
            return attributes[n].id;
    return A_OTHER;
}

static const char *const known[] = {
#define ATTRIBUTE(name) name,
#include "predef.def"
};

/* Known to clang, so that nothing is to be said of it. */
static bool is_known(eb_str name) {
    for (size_t n = 0; n < sizeof known / sizeof known[0]; n++)
        if (eb_str_is(name, known[n]))
            return true;
    return false;
}

static void unknown_attribute(eb_unit *u, eb_tok tok, eb_str name) {
    eb_diag *diag =
        eb_warn(u, EB_DIAG_UNKNOWN_ATTRIBUTE, tok.loc, eb_tok_end(u, tok), (int)name.len, name.at);
    eb_near near = eb_near_to(bare(name));
    for (size_t n = 0; n < sizeof attributes / sizeof attributes[0]; n++)
        eb_near_try(&near, eb_str_from(attributes[n].name), 0);
    for (size_t n = 0; n < sizeof known / sizeof known[0]; n++)
        eb_near_try(&near, eb_str_from(known[n]), 1);
    if (diag && eb_near_found(&near))
        eb_diag_meant(u->ctx, diag,
                      near.name.len == name.len ? near.best
                                                : eb_str_fmt(&u->ctx->arena, "__%.*s__",
                                                             (int)near.best.len, near.best.at));
}

eb_str eb_name_string(eb_unit *u) {
    eb_loc lo = eb_peek(u).loc;
    eb_type *element;
    eb_str text = eb_strings(u, &element);
    if (!text.len || !memchr(text.at, 0, text.len))
        return text;
    eb_diag_add(u->ctx, EB_DIAG_EXPECTED, lo, eb_behind(u), "a name without NUL");
    return (eb_str){0};
}

static eb_str string_argument(eb_unit *u) {
    uint32_t open = 0;
    eb_str text = {0};
    while (eb_skip(u, EB_TOK_LPAREN))
        open++;
    if (eb_is(u, EB_TOK_STRING))
        text = eb_name_string(u);
    else
        eb_expected(u, "a string");
    while (open-- && eb_expect(u, EB_TOK_RPAREN, "')'"))
        ;
    return text;
}

static uint32_t number_argument(eb_unit *u, int64_t most) {
    eb_expr *expr = eb_conditional(u);
    int64_t value = 0;
    if (!eb_constant_integer(u, expr, &value))
        return 0;
    if (value < 0 || value > most) {
        eb_diag_add(u->ctx, EB_DIAG_ATTRIBUTE_RANGE, expr->lo, expr->hi, (long long)value,
                    (long long)most);
        return 0;
    }
    return (uint32_t)value;
}

static uint32_t mode_size(eb_str name) {
    static const struct {
        const char *name;
        uint32_t size;
    } modes[] = {{"byte", 1}, {"QI", 1},  {"HI", 2},   {"SI", 4},
                 {"DI", 8},   {"TI", 16}, {"word", 8}, {"pointer", 8}};
    name = bare(name);
    for (size_t n = 0; n < sizeof modes / sizeof modes[0]; n++)
        if (eb_str_is(name, modes[n].name))
            return modes[n].size;
    return 0;
}

/* An attribute with arguments; its '(' was taken. Those that are not read here are skipped. */
static void with_arguments(eb_unit *u, attribute id, eb_attrs *attrs) {
    eb_str text;
    switch (id) { /* one case per row */
    case A_SECTION:
        attrs->section = string_argument(u);
        break;
    case A_ALIAS:
        attrs->alias = 1 + eb_name_enter(u->words, string_argument(u));
        break;
    case A_ALIGNED: {
        uint32_t align = number_argument(u, 1 << 28);
        if (align & (align - 1))
            eb_diag_add(u->ctx, EB_DIAG_NOT_POWER, eb_behind(u) - 1, eb_behind(u), align);
        else if (align > attrs->align)
            attrs->align = align;
        break;
    }
    case A_ADDRESS_SPACE: {
        uint32_t space = number_argument(u, 0x7fffff);
        if (space)
            *EB_PUSH(&u->ctx->arena, &attrs->type_tags) =
                eb_str_fmt(&u->ctx->arena, "address_space(%u)", space);
        break;
    }
    case A_DECL_TAG:
        text = string_argument(u);
        *EB_PUSH(&u->ctx->arena, &attrs->decl_tags) = text;
        break;
    case A_TYPE_TAG:
        text = string_argument(u);
        *EB_PUSH(&u->ctx->arena, &attrs->type_tags) = text;
        break;
    case A_DEPRECATED:
        attrs->deprecated = true;
        attrs->deprecation = string_argument(u);
        break;
    case A_ERROR:
        attrs->error = string_argument(u);
        break;
    case A_HIDDEN:
        text = string_argument(u);
        attrs->hidden = eb_str_is(text, "hidden") || eb_str_is(text, "internal");
        break;
    case A_MODE: {
        eb_tok tok = eb_take(u);
        text = eb_tok_text(u->words, tok);
        attrs->mode = mode_size(text);
        if (!attrs->mode)
            eb_diag_add(u->ctx, EB_DIAG_UNKNOWN_MODE, tok.loc, eb_tok_end(u, tok), (int)text.len,
                        text.at);
        break;
    }
    case A_VECTOR:
        eb_diag_add(u->ctx, EB_DIAG_VECTOR, eb_behind(u) - 1, eb_behind(u));
        eb_skip_to_close(u);
        return;
    case A_CLEANUP:
        if (eb_is_name(u))
            attrs->cleanup = eb_take(u).value + 1;
        else
            eb_expected(u, "a function's name");
        break;
    default:
        u->at--;
        eb_skip_group(u);
        return;
    }
    if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
        eb_skip_to_close(u);
}

static void without_arguments(attribute id, eb_attrs *attrs) {
    switch (id) { /* one case per row */
    case A_ALIGNED:
        attrs->align = attrs->align > 8 ? attrs->align : 8;
        break;
    case A_ALWAYS_INLINE:
        attrs->always_inline = true;
        break;
    case A_DEPRECATED:
        attrs->deprecated = true;
        break;
    case A_FALLTHROUGH:
        attrs->fallthrough = true;
        break;
    case A_MUST_USE:
        attrs->must_use = true;
        break;
    case A_NAKED:
        attrs->naked = true;
        break;
    case A_NOINLINE:
        attrs->noinline = true;
        break;
    case A_GNU_INLINE:
        attrs->gnu_inline = true;
        break;
    case A_NORETURN:
        attrs->noreturn = true;
        break;
    case A_PACKED:
        attrs->packed = true;
        break;
    case A_PRESERVE:
        attrs->preserve = true;
        break;
    case A_TRANSPARENT:
        attrs->transparent = true;
        break;
    case A_UNUSED:
        attrs->unused = true;
        break;
    case A_USED:
        attrs->used = true;
        break;
    case A_WEAK:
        attrs->weak = true;
        break;
    default:
        break;
    }
}

bool eb_is_attribute(const eb_unit *u) {
    return eb_is_word(u, EB_KW_ATTRIBUTE) ||
           (eb_is(u, EB_TOK_LBRACKET) && eb_ahead(u, 1).kind == EB_TOK_LBRACKET);
}

uint32_t eb_attributes_length(const eb_unit *u) {
    eb_unit ahead = *u;
    while (eb_is_attribute(&ahead)) {
        eb_skip_word(&ahead, EB_KW_ATTRIBUTE);
        if (eb_is(&ahead, EB_TOK_LPAREN) || eb_is(&ahead, EB_TOK_LBRACKET))
            eb_skip_group(&ahead);
    }
    return ahead.at - u->at;
}

/* One, whose name comes next; GNU's, clang's and C23's that mean something have no name twice. */
static void one_attribute(eb_unit *u, eb_attrs *attrs) {
    eb_tok tok = eb_take(u);
    eb_str name = eb_tok_text(u->words, tok);
    bool foreign = false;
    if (eb_skip(u, EB_TOK_COLONCOLON) && eb_peek(u).kind == EB_TOK_NAME) {
        foreign = !eb_str_is(bare(name), "gnu") && !eb_str_is(bare(name), "clang");
        eb_tok second = eb_take(u);
        tok = foreign ? tok : second;
        name = foreign ? name : eb_tok_text(u->words, tok);
    }
    attribute id = foreign ? A_OTHER : attribute_of(name);
    if (id == A_OTHER && (foreign || !is_known(bare(name))))
        unknown_attribute(u, tok, name);
    if (eb_skip(u, EB_TOK_LPAREN))
        with_arguments(u, id, attrs);
    else
        without_arguments(id, attrs);
}

/* Up to `close`, which is not taken. */
static void attribute_list(eb_unit *u, eb_attrs *attrs, eb_tok_kind close) {
    while (!eb_is(u, close) && !eb_is(u, EB_TOK_END)) {
        if (eb_skip(u, EB_TOK_COMMA))
            continue;
        if (eb_peek(u).kind != EB_TOK_NAME) {
            eb_expected(u, "an attribute's name");
            eb_skip_to_close(u);
            break;
        }
        one_attribute(u, attrs);
        if (!eb_is(u, EB_TOK_COMMA))
            break;
    }
}

void eb_attributes(eb_unit *u, eb_attrs *attrs) {
    while (eb_is_attribute(u)) {
        if (eb_skip(u, EB_TOK_LBRACKET)) {
            eb_take(u);
            attribute_list(u, attrs, EB_TOK_RBRACKET);
            eb_skip(u, EB_TOK_RBRACKET);
            eb_expect(u, EB_TOK_RBRACKET, "']]' behind attributes");
            continue;
        }
        eb_take(u);
        if (!eb_expect(u, EB_TOK_LPAREN, "'((' behind __attribute__") ||
            !eb_expect(u, EB_TOK_LPAREN, "'((' behind __attribute__"))
            return;
        attribute_list(u, attrs, EB_TOK_RPAREN);
        if (!eb_expect(u, EB_TOK_RPAREN, "')' or ',' behind an attribute"))
            eb_skip_to_close(u);
        eb_expect(u, EB_TOK_RPAREN, "')'");
    }
}

static eb_tags copy_of_tags(eb_unit *u, const eb_tags *tags) {
    eb_tags copy = {0};
    for (uint32_t n = 0; n < tags->len; n++)
        *EB_PUSH(&u->ctx->arena, &copy) = tags->at[n];
    return copy;
}

eb_attrs eb_attrs_copy(eb_unit *u, const eb_attrs *attrs) {
    eb_attrs copy = *attrs;
    copy.decl_tags = copy_of_tags(u, &attrs->decl_tags);
    copy.type_tags = copy_of_tags(u, &attrs->type_tags);
    return copy;
}

static eb_type *of_mode(eb_unit *u, eb_type *type, uint32_t size) {
    static const eb_type_kind kinds[2][5] = {
        {EB_TYPE_SCHAR, EB_TYPE_SHORT, EB_TYPE_INT, EB_TYPE_LONG, EB_TYPE_INT128},
        {EB_TYPE_UCHAR, EB_TYPE_USHORT, EB_TYPE_UINT, EB_TYPE_ULONG, EB_TYPE_UINT128}};
    unsigned log = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : size == 8 ? 3 : 4;
    if (eb_type_is(type, EB_TYPE_ENUM)) { /* signed, as clang has it */
        eb_type_plain(type)->of.enumeration->integer = eb_type_basic(&u->types, kinds[0][log]);
        return type;
    }
    if (!eb_type_is_integer(type))
        return type;
    return eb_type_basic(&u->types, kinds[eb_type_is_unsigned(type)][log]);
}

eb_type *eb_apply_type_attrs(eb_unit *u, eb_type *type, const eb_attrs *attrs, eb_loc loc) {
    (void)loc;
    if (attrs->mode)
        type = of_mode(u, type, attrs->mode);
    return type;
}

/* ---- parameters ---- */

eb_type *eb_adjusted(eb_unit *u, eb_type *type) {
    eb_type *plain = eb_type_plain(type);
    if (plain->kind == EB_TYPE_ARRAY)
        return eb_type_pointer(&u->types, plain->base);
    if (plain->kind == EB_TYPE_FUNCTION)
        return eb_type_pointer(&u->types, type);
    return type;
}

/* C before 1999: names, whose types are declared behind the ')'. */
static bool has_names_only(eb_unit *u) {
    eb_tok next = eb_ahead(u, 1);
    return !eb_is_c23(u) && eb_is_name(u) && !eb_starts_type(u, eb_peek(u)) &&
           (next.kind == EB_TOK_COMMA || next.kind == EB_TOK_RPAREN);
}

static eb_type *parameter_names(eb_unit *u, eb_type *result, eb_declarator *d) {
    EB_VEC(eb_param) params = {0};
    do {
        eb_tok tok = eb_peek(u);
        if (!eb_is_name(u)) {
            eb_expected(u, "a parameter's name");
            eb_skip_to_close(u);
            return eb_type_function(&u->types, result, NULL, 0, false);
        }
        eb_take(u);
        *EB_PUSH(&u->ctx->arena, &params) = (eb_param){.name = tok.value + 1, .loc = tok.loc};
    } while (eb_skip(u, EB_TOK_COMMA));
    if (!eb_expect(u, EB_TOK_RPAREN, "')' behind parameters"))
        eb_skip_to_close(u);
    d->params = params.at;
    d->param_count = params.len;
    d->is_old = true;
    eb_type *type = eb_type_function(&u->types, result, NULL, 0, false);
    type->no_prototype = true;
    return type;
}

static void check_param(eb_unit *u, const eb_spec *spec, const eb_declarator *p, bool alone) {
    bool is_void = p->type->kind == EB_TYPE_VOID;
    if (spec->storage && spec->storage != EB_STORAGE_REGISTER)
        eb_diag_add(u->ctx, EB_DIAG_PARAM_STORAGE, spec->lo, spec->lo + 1);
    if (spec->attrs.has_alignas)
        eb_diag_add(u->ctx, EB_DIAG_ALIGNAS_PLACE, spec->lo, spec->lo + 1, "a parameter");
    if (is_void && (p->name || !alone))
        eb_diag_add(u->ctx, EB_DIAG_INCOMPLETE, spec->lo, eb_behind(u), "void");
}

/* The lengths of arrays may name the parameters in front of them. */
static void bind_param(eb_unit *u, const eb_declarator *d) {
    eb_decl *param = eb_alloc(&u->ctx->arena, sizeof *param);
    param->kind = EB_DECL_PARAM;
    param->name = d->name - 1;
    param->lo = d->lo;
    param->hi = d->hi;
    param->type = eb_adjusted(u, d->type);
    eb_bind(u, param->name, param);
}

/* Lists longer than any that somebody writes are not compared with themselves. */
static void check_names(eb_unit *u, const eb_param *params, uint32_t count) {
    for (uint32_t n = 1; n < count && count <= 256; n++)
        for (uint32_t m = 0; m < n && params[n].name; m++)
            if (params[m].name == params[n].name) {
                eb_str text = eb_name_text(u, params[n].name - 1);
                eb_diag_add(u->ctx, EB_DIAG_DUPLICATE_PARAM, params[n].loc,
                            params[n].loc + (eb_loc)text.len, (int)text.len, text.at);
                return;
            }
}

/* Behind '('; ')' is taken. */
static eb_type *parameters(eb_unit *u, eb_type *result, eb_declarator *d) {
    EB_VEC(eb_param) params = {0};
    bool variadic = false, none = eb_is_word(u, EB_KW_VOID) && eb_ahead(u, 1).kind == EB_TOK_RPAREN;
    bool empty = eb_is(u, EB_TOK_RPAREN) && !eb_is_c23(u);
    if (has_names_only(u))
        return parameter_names(u, result, d);
    none = none || (eb_is(u, EB_TOK_RPAREN) && !empty);
    if (eb_is_word(u, EB_KW_VOID) && none)
        eb_take(u);
    eb_scope_open(u);
    u->param_lists++;
    while (!none && !empty) {
        if (eb_is(u, EB_TOK_ELLIPSIS)) {
            if (!params.len && !eb_is_c23(u))
                eb_expected(u, "a parameter in front of '...'");
            eb_take(u);
            variadic = true;
            break;
        }
        eb_spec spec = eb_specifiers(u);
        eb_declarator p = eb_declarator_of(u, spec.type);
        eb_attributes(u, &spec.attrs);
        eb_attrs_merge(u, &spec.attrs, &p.attrs);
        if (p.name && eb_in_main_file(u, p.lo))
            bind_param(u, &p);
        check_param(u, &spec, &p, !params.len && eb_is(u, EB_TOK_RPAREN));
        *EB_PUSH(&u->ctx->arena, &params) =
            (eb_param){eb_adjusted(u, p.type), p.name, p.lo ? p.lo : spec.lo, spec.attrs.decl_tags,
                       spec.attrs.unused};
        if (!eb_skip(u, EB_TOK_COMMA))
            break;
    }
    u->param_lists--;
    eb_scope_close(u);
    check_names(u, params.at, params.len);
    if (!eb_expect(u, EB_TOK_RPAREN, "')' behind parameters"))
        eb_skip_to_close(u);
    eb_type *type = eb_type_function(&u->types, result, params.at, params.len, variadic);
    type->no_prototype = empty;
    if (empty)
        eb_warn(u, EB_DIAG_NO_PARAMETERS, eb_behind(u) - 1, eb_behind(u));
    d->params = params.at;
    d->param_count = params.len;
    return type;
}

/* ---- declarators ---- */

static eb_type *suffix(eb_unit *u, eb_type *base, eb_declarator *d);

static eb_type *array_suffix(eb_unit *u, eb_type *base, eb_declarator *d) {
    uint64_t count = EB_ARRAY_OPEN;
    eb_loc lo = eb_peek(u).loc;
    while (eb_is_word(u, EB_KW_STATIC) || eb_is_word(u, EB_KW_CONST) ||
           eb_is_word(u, EB_KW_RESTRICT) || eb_is_word(u, EB_KW_VOLATILE))
        eb_take(u);
    bool star = eb_is(u, EB_TOK_STAR) && eb_ahead(u, 1).kind == EB_TOK_RBRACKET;
    if (star && u->param_lists) {
        eb_take(u); /* a parameter: it is a pointer, however long the array is */
    } else if (!eb_is(u, EB_TOK_RBRACKET)) {
        eb_expr *expr = eb_rvalue(u, eb_assignment(u));
        int64_t value = 0;
        if (eb_type_is_integer(expr->type) && eb_constant_of(expr).kind != EB_CONSTANT_NUMBER &&
            !(eb_settle(expr), eb_constant_of(expr).kind == EB_CONSTANT_NUMBER)) {
            if (!u->param_lists)
                eb_diag_add(u->ctx, EB_DIAG_VLA, expr->lo, expr->hi);
            value = 1;
        } else if (eb_constant_integer(u, expr, &value) && value < 0 &&
                   !eb_type_is_unsigned(expr->type)) {
            eb_diag_add(u->ctx, EB_DIAG_ARRAY_SIZE, expr->lo, expr->hi, (long long)value);
            value = 1;
        }
        count = (uint64_t)value;
    }
    if (!eb_expect(u, EB_TOK_RBRACKET, "']'"))
        eb_skip_to_close(u);
    base = suffix(u, base, d);
    if (eb_type_is(base, EB_TYPE_FUNCTION)) {
        eb_diag_add(u->ctx, EB_DIAG_ARRAY_OF, lo, eb_behind(u), "functions");
        base = eb_type_basic(&u->types, EB_TYPE_ERROR);
    }
    uint64_t size = eb_complete(u, base) ? eb_type_size(base) : 1;
    if (count != EB_ARRAY_OPEN && size && count > EB_TYPE_MOST / size) {
        eb_diag_add(u->ctx, EB_DIAG_TYPE_SIZE, lo, eb_behind(u), "this array");
        count = 1;
    }
    return eb_type_array(&u->types, base, count);
}

/* [..] and (..) behind a declarator, the first outermost. */
static eb_type *suffix(eb_unit *u, eb_type *base, eb_declarator *d) {
    if (eb_is(u, EB_TOK_LBRACKET) && eb_is_attribute(u))
        eb_attributes(u, &d->attrs);
    if (eb_is(u, EB_TOK_LBRACKET)) {
        eb_nest(u);
        base = eb_skip(u, EB_TOK_LBRACKET) ? array_suffix(u, base, d) : base;
        eb_unnest(u);
        return base;
    }
    eb_loc lo = eb_peek(u).loc;
    if (!eb_skip(u, EB_TOK_LPAREN))
        return base;
    eb_declarator inner = {0};
    eb_type *type = parameters(u, base, &inner);
    /* Functions returning functions and arrays are an error, but pointers to them are common:
     * then the suffix that follows belongs to what is in parentheses. */
    type->base = suffix(u, base, &inner);
    if (eb_type_is(type->base, EB_TYPE_FUNCTION) || eb_type_is(type->base, EB_TYPE_ARRAY)) {
        eb_diag_add(u->ctx, EB_DIAG_FUNCTION_RESULT, lo, eb_behind(u),
                    eb_type_is(type->base, EB_TYPE_ARRAY) ? "an array" : "a function");
        type->base = eb_type_basic(&u->types, EB_TYPE_ERROR);
    }
    d->params = inner.params;
    d->param_count = inner.param_count;
    d->is_old = inner.is_old;
    d->is_function = true;
    return type;
}

/* Type tags behind a '*' are the pointer's, other attributes those of what is declared. */
static eb_type *pointers(eb_unit *u, eb_type *base, eb_attrs *attrs) {
    unsigned depth = 0; /* one more than there may be is told when all is read */
    eb_attributes(u, attrs);
    for (;;) {
        base = eb_type_with_tags(&u->types, base, &attrs->type_tags);
        attrs->type_tags.len = 0;
        if (!eb_skip(u, EB_TOK_STAR))
            return base;
        base = ++depth > TYPE_DEPTH_MOST ? base : eb_type_pointer(&u->types, base);
        unsigned quals = 0;
        for (bool more = true; more;) {
            more = true;
            if (eb_skip_word(u, EB_KW_CONST))
                quals |= EB_CONST;
            else if (eb_skip_word(u, EB_KW_VOLATILE))
                quals |= EB_VOLATILE;
            else if (eb_skip_word(u, EB_KW_RESTRICT))
                quals |= EB_RESTRICT;
            else if (eb_skip_word(u, EB_KW_ATOMIC))
                quals |= EB_ATOMIC;
            else if (eb_is_attribute(u))
                eb_attributes(u, attrs);
            else
                more = false;
        }
        base = eb_type_qualified(&u->types, base, quals);
    }
}

/* Whether the '(' at hand opens a nested declarator, not the parameters of an unnamed function. */
static bool nested(eb_unit *u) {
    eb_tok tok = eb_ahead(u, 1);
    if (tok.kind == EB_TOK_STAR || tok.kind == EB_TOK_LPAREN || tok.kind == EB_TOK_LBRACKET)
        return true;
    if (tok.kind != EB_TOK_NAME)
        return false;
    return tok.value == EB_KW_ATTRIBUTE || (tok.value >= EB_KW_COUNT && !eb_starts_type(u, tok));
}

/* Typedefs and typeof make types of any depth, and whoever follows them goes down all of it. */
static bool is_deep(const eb_type *type) {
    unsigned depth = 0;
    for (; type && depth <= TYPE_DEPTH_MOST; type = type->base)
        depth++;
    return depth > TYPE_DEPTH_MOST;
}

eb_declarator eb_declarator_of(eb_unit *u, eb_type *base) {
    eb_declarator d = {.lo = eb_peek(u).loc};
    eb_nest(u);
    base = pointers(u, base, &d.attrs);
    if (eb_is(u, EB_TOK_LPAREN) && nested(u)) {
        /* What is behind the parentheses comes first: read it, then what is in them. */
        eb_take(u);
        uint32_t inside = u->at;
        uint32_t errors = u->ctx->errors;
        eb_skip_to_close(u);
        if (eb_is(u, EB_TOK_END))
            inside = u->at; /* it is not closed: nothing in it is looked at, once for each '(' */
        base = suffix(u, base, &d);
        uint32_t behind = u->at;
        u->at = inside;
        eb_declarator inner = eb_declarator_of(u, base);
        if (!eb_is(u, EB_TOK_RPAREN) && u->ctx->errors == errors)
            eb_expected(u, "')'");
        u->at = behind;
        if (inner.is_function || !eb_type_is(inner.type, EB_TYPE_FUNCTION)) {
            d.params = inner.params;
            d.param_count = inner.param_count;
            d.is_function = inner.is_function;
            d.is_old = inner.is_old;
        }
        eb_attrs_merge(u, &d.attrs, &inner.attrs);
        d.type = inner.type;
        d.name = inner.name;
        d.lo = inner.lo;
        d.hi = inner.hi;
    } else {
        if (eb_is_name(u)) {
            eb_tok tok = eb_take(u);
            d.name = tok.value + 1;
            d.lo = tok.loc;
            d.hi = eb_tok_end(u, tok);
        }
        d.type = suffix(u, base, &d);
    }
    eb_unnest(u);
    if (is_deep(d.type)) {
        eb_diag_add(u->ctx, EB_DIAG_NESTING, d.lo, d.hi > d.lo ? d.hi : d.lo + 1, TYPE_DEPTH_MOST);
        d.type = eb_type_basic(&u->types, EB_TYPE_ERROR);
    }
    return d;
}

eb_type *eb_type_name(eb_unit *u) {
    eb_spec spec = eb_specifiers(u);
    eb_declarator d = eb_declarator_of(u, spec.type);
    if (d.name)
        eb_diag_add(u->ctx, EB_DIAG_EXPECTED, d.lo, d.hi, "a type without a name");
    return d.type;
}
