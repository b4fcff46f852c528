/* builtin.c - calls of builtin functions (builtin.def), and the library functions that stand for
 * them: memcpy is __builtin_memcpy where nothing else is declared. */
#include "builtin.h"

#include "parse.h"

static const struct row {
    const char *name, *shape;
} rows[] = {
    {"", ""},
#define BUILTIN_FUNCTION(id, name, shape) {name, shape},
#include "builtin.def"
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static unsigned builtin_of(eb_str name) {
    if (name.len < 3 || name.at[0] != '_' || name.at[1] != '_')
        return EB_BUILTIN_NONE;
    for (unsigned n = 1; n < ROWS; n++)
        if (eb_str_is(name, rows[n].name))
            return n;
    return EB_BUILTIN_NONE;
}

static eb_type *type_of(eb_unit *u, char letter) {
    static const struct {
        char letter;
        eb_type_kind kind;
    } kinds[] = {{'v', EB_TYPE_VOID}, {'i', EB_TYPE_INT},    {'u', EB_TYPE_UINT},
                 {'l', EB_TYPE_LONG}, {'z', EB_TYPE_ULONG},  {'h', EB_TYPE_USHORT},
                 {'w', EB_TYPE_UINT}, {'d', EB_TYPE_ULLONG}, {'b', EB_TYPE_BOOL}};
    eb_types *t = &u->types;
    eb_type *none = eb_type_basic(t, EB_TYPE_VOID);
    if (letter == 'p')
        return eb_type_pointer(t, none);
    if (letter == 'c')
        return eb_type_pointer(t, eb_type_qualified(t, none, EB_CONST | EB_VOLATILE));
    if (letter == 's')
        return eb_type_pointer(
            t, eb_type_qualified(t, eb_type_basic(t, EB_TYPE_CHAR), EB_CONST | EB_VOLATILE));
    for (size_t n = 0; n < sizeof kinds / sizeof kinds[0]; n++)
        if (kinds[n].letter == letter)
            return eb_type_basic(t, kinds[n].kind);
    return none;
}

/* ---- calls ---- */

typedef struct call {
    eb_unit *u;
    unsigned id;
    eb_loc lo;
    EB_VEC(eb_expr *) args;
    eb_type *of; /* a type among the arguments */
} call;

static eb_expr *add(call *c, eb_expr *arg) {
    *EB_PUSH(&c->u->ctx->arena, &c->args) = arg;
    return arg;
}

static bool comma(call *c) {
    return eb_expect(c->u, EB_TOK_COMMA, "',' and another argument");
}

static eb_expr *finish(call *c, eb_type *type) {
    eb_unit *u = c->u;
    eb_expr *e = eb_expr_new(u, EB_EXPR_BUILTIN, type, c->lo, eb_behind(u));
    for (uint32_t n = 0; n < c->args.len; n++)
        if (eb_expr_is_error(c->args.at[n]))
            e->type = eb_type_basic(&u->types, EB_TYPE_ERROR);
    e->builtin = (uint16_t)c->id;
    e->of.args.at = c->args.at;
    e->of.args.count = c->args.len;
    e->of.args.type = c->of;
    return e;
}

static eb_expr *plain(call *c, const char *shape) {
    for (const char *at = shape + 2; *at; at++) {
        if (at != shape + 2 && !comma(c))
            break;
        add(c, eb_convert(c->u, eb_assignment(c->u), type_of(c->u, *at), "parameter"));
    }
    return finish(c, type_of(c->u, shape[0]));
}

/* What the pointer that is the first argument points to; NULL after a diagnostic. */
static eb_type *pointed(call *c) {
    eb_expr *p = add(c, eb_rvalue(c->u, eb_assignment(c->u)));
    if (eb_expr_is_error(p))
        return NULL;
    if (eb_type_is(p->type, EB_TYPE_POINTER))
        return eb_type_unqualified(&c->u->types, eb_type_plain(p->type)->base);
    eb_diag_add(c->u->ctx, EB_DIAG_NOT_POINTER, p->lo, p->hi, eb_type_string(c->u, p->type));
    return NULL;
}

static eb_expr *atomic(call *c, unsigned operands) {
    eb_type *type = pointed(c);
    for (unsigned n = 0; n < operands && comma(c); n++) {
        eb_expr *arg = eb_assignment(c->u);
        bool order = n + 1 == operands && rows[c->id].name[2] != 's'; /* __sync_ has none */
        add(c, type && !order ? eb_convert(c->u, arg, type, "parameter") : eb_rvalue(c->u, arg));
    }
    bool store = c->id == EB_BUILTIN_ATOMIC_STORE || c->id == EB_BUILTIN_C11_STORE;
    eb_type *result = c->id == EB_BUILTIN_SYNC_BOOL_CAS ? type_of(c->u, 'b')
                      : store                           ? type_of(c->u, 'v')
                                                        : type;
    return type ? finish(c, result) : eb_expr_error(c->u, c->lo, eb_behind(c->u));
}

/* (pointer, pointer to expected, desired, [weak,] order, order) */
static eb_expr *compare_exchange(call *c) {
    eb_type *type = pointed(c);
    if (comma(c))
        add(c, eb_rvalue(c->u, eb_assignment(c->u)));
    if (comma(c)) {
        eb_expr *arg = eb_assignment(c->u);
        add(c, type ? eb_convert(c->u, arg, type, "parameter") : arg);
    }
    while (eb_skip(c->u, EB_TOK_COMMA))
        add(c, eb_rvalue(c->u, eb_assignment(c->u)));
    return finish(c, type_of(c->u, 'b'));
}

static eb_expr *overflow(call *c) {
    add(c, eb_rvalue(c->u, eb_assignment(c->u)));
    if (comma(c))
        add(c, eb_rvalue(c->u, eb_assignment(c->u)));
    if (comma(c))
        add(c, eb_rvalue(c->u, eb_assignment(c->u)));
    return finish(c, type_of(c->u, 'b'));
}

/* ---- those that are read by hand ---- */

/* The answer may have to wait for the optimiser, which knows more constants. */
static eb_expr *constant_p(call *c) {
    eb_unit *u = c->u;
    bool unevaluated = u->unevaluated;
    u->unevaluated = true;
    eb_expr *e = add(c, eb_rvalue(u, eb_expression(u)));
    u->unevaluated = unevaluated;
    eb_constant k = eb_constant_of(e);
    bool string = k.kind == EB_CONSTANT_ADDRESS && k.base->kind == EB_EXPR_STRING;
    if (k.kind == EB_CONSTANT_NUMBER || string || e->kind == EB_EXPR_FLOAT)
        return eb_expr_number(u, type_of(u, 'i'), 1, c->lo, eb_behind(u));
    return finish(c, type_of(u, 'i'));
}

static eb_expr *choose(call *c) {
    int64_t which = 0;
    eb_constant_integer(c->u, eb_assignment(c->u), &which);
    comma(c);
    eb_expr *yes = eb_assignment(c->u);
    comma(c);
    eb_expr *no = eb_assignment(c->u);
    return which ? yes : no;
}

static eb_expr *compatible(call *c) {
    eb_unit *u = c->u;
    eb_type *a = eb_type_name(u);
    comma(c);
    eb_type *b = eb_type_name(u);
    /* Qualifiers on top do not count. */
    a = eb_type_unqualified(&u->types, a);
    b = eb_type_unqualified(&u->types, b);
    return eb_expr_number(u, type_of(u, 'i'), eb_type_compatible(a, b, false), c->lo, eb_behind(u));
}

/* offsetof(type, a.b[3].c) as the address of that in a record at 0. */
static eb_expr *offset_of(call *c) {
    eb_unit *u = c->u;
    eb_type *type = eb_type_name(u);
    comma(c);
    eb_require_complete(u, type, c->lo, eb_behind(u));
    eb_expr *zero = eb_expr_number(u, eb_type_pointer(&u->types, type), 0, c->lo, c->lo);
    eb_expr *at = eb_expr_new(u, EB_EXPR_DEREF, type, c->lo, c->lo);
    at->a = zero;
    at->is_lvalue = true;
    at = eb_designated(u, at);
    if (eb_expr_is_error(at))
        return at;
    eb_expr *address =
        eb_expr_new(u, EB_EXPR_ADDRESS, eb_type_pointer(&u->types, at->type), c->lo, eb_behind(u));
    address->a = at;
    return eb_cast(u, address, type_of(u, 'z'));
}

/* The value of its argument, all of whose accesses are relocated. */
static eb_expr *preserve_access(call *c) {
    eb_expr *e = add(c, eb_rvalue(c->u, eb_assignment(c->u)));
    return finish(c, e->type);
}

static eb_expr *field_info(call *c) {
    add(c, eb_assignment(c->u));
    if (comma(c))
        add(c, eb_rvalue(c->u, eb_assignment(c->u)));
    return finish(c, type_of(c->u, 'u'));
}

/* *(typeof(type) *)0 names a type. */
static eb_expr *of_type(call *c, char result) {
    eb_unit *u = c->u;
    bool unevaluated = u->unevaluated;
    u->unevaluated = true;
    c->of = add(c, eb_assignment(u))->type;
    u->unevaluated = unevaluated;
    if (comma(c))
        add(c, eb_rvalue(u, eb_assignment(u)));
    return finish(c, type_of(u, result));
}

/* *(typeof(enum type) *)enumerator names an enumerator. */
static eb_expr *enum_value(call *c) {
    c->of = add(c, eb_assignment(c->u))->type;
    if (comma(c))
        add(c, eb_rvalue(c->u, eb_assignment(c->u)));
    return finish(c, type_of(c->u, 'd'));
}

/* The value of the first argument: what the others say of it is for optimisers that predict. */
static eb_expr *first(call *c) {
    eb_unit *u = c->u;
    bool pointer = c->id == EB_BUILTIN_ASSUME_ALIGNED;
    eb_expr *e = eb_convert(u, eb_assignment(u), type_of(u, pointer ? 'p' : 'l'), "parameter");
    while (eb_skip(u, EB_TOK_COMMA))
        eb_assignment(u);
    return e;
}

static eb_expr *by_hand(call *c) {
    switch (c->id) { /* one case per row */
    case EB_BUILTIN_EXPECT_PROBABILITY:
    case EB_BUILTIN_UNPREDICTABLE:
    case EB_BUILTIN_ASSUME_ALIGNED:
        return first(c);
    case EB_BUILTIN_CONSTANT_P:
        return constant_p(c);
    case EB_BUILTIN_CHOOSE:
        return choose(c);
    case EB_BUILTIN_COMPATIBLE:
        return compatible(c);
    case EB_BUILTIN_OFFSETOF:
        return offset_of(c);
    case EB_BUILTIN_PRESERVE_ACCESS:
        return preserve_access(c);
    case EB_BUILTIN_FIELD_INFO:
        return field_info(c);
    case EB_BUILTIN_TYPE_INFO:
        return of_type(c, 'u');
    case EB_BUILTIN_BTF_TYPE_ID:
        return of_type(c, 'z');
    case EB_BUILTIN_ENUM_VALUE:
        return enum_value(c);
    case EB_BUILTIN_ATOMIC_CAS:
    case EB_BUILTIN_C11_CAS:
        return compare_exchange(c);
    default:
        return overflow(c);
    }
}

/* ---- library functions ---- */

static const struct {
    const char *name;
    eb_builtin id;
} library[] = {
    {"__builtin_memcpy_inline", EB_BUILTIN_MEMCPY},
    {"__builtin_memset_inline", EB_BUILTIN_MEMSET},
    {"__builtin_sadd_overflow", EB_BUILTIN_ADD_OVERFLOW},
    {"__builtin_saddl_overflow", EB_BUILTIN_ADD_OVERFLOW},
    {"__builtin_saddll_overflow", EB_BUILTIN_ADD_OVERFLOW},
    {"__builtin_uadd_overflow", EB_BUILTIN_ADD_OVERFLOW},
    {"__builtin_uaddl_overflow", EB_BUILTIN_ADD_OVERFLOW},
    {"__builtin_uaddll_overflow", EB_BUILTIN_ADD_OVERFLOW},
    {"__builtin_ssub_overflow", EB_BUILTIN_SUB_OVERFLOW},
    {"__builtin_ssubl_overflow", EB_BUILTIN_SUB_OVERFLOW},
    {"__builtin_ssubll_overflow", EB_BUILTIN_SUB_OVERFLOW},
    {"__builtin_usub_overflow", EB_BUILTIN_SUB_OVERFLOW},
    {"__builtin_usubl_overflow", EB_BUILTIN_SUB_OVERFLOW},
    {"__builtin_usubll_overflow", EB_BUILTIN_SUB_OVERFLOW},
    {"__builtin_smul_overflow", EB_BUILTIN_MUL_OVERFLOW},
    {"__builtin_smull_overflow", EB_BUILTIN_MUL_OVERFLOW},
    {"__builtin_smulll_overflow", EB_BUILTIN_MUL_OVERFLOW},
    {"__builtin_umul_overflow", EB_BUILTIN_MUL_OVERFLOW},
    {"__builtin_umull_overflow", EB_BUILTIN_MUL_OVERFLOW},
    {"__builtin_umulll_overflow", EB_BUILTIN_MUL_OVERFLOW},
    {"memcpy", EB_BUILTIN_MEMCPY},
    {"memmove", EB_BUILTIN_MEMMOVE},
    {"memset", EB_BUILTIN_MEMSET},
    {"memcmp", EB_BUILTIN_MEMCMP},
    {"strlen", EB_BUILTIN_STRLEN},
    {"strcmp", EB_BUILTIN_STRCMP},
};

static unsigned library_of(eb_str name) {
    for (size_t n = 0; n < sizeof library / sizeof library[0]; n++)
        if (eb_str_is(name, library[n].name))
            return library[n].id;
    return EB_BUILTIN_NONE;
}

eb_expr *eb_builtin_call(eb_unit *u, eb_tok name) {
    eb_str text = eb_name_text(u, name.value);
    unsigned id = builtin_of(text);
    if (!id)
        id = library_of(text);
    if (!id || !eb_is(u, EB_TOK_LPAREN))
        return NULL;
    eb_take(u);
    call c = {.u = u, .id = id, .lo = name.loc};
    const char *shape = rows[id].shape;
    eb_expr *e = shape[0] == '@'   ? by_hand(&c)
                 : shape[0] == '$' ? atomic(&c, (unsigned)(shape[1] - '0'))
                                   : plain(&c, shape);
    if (!eb_expect(u, EB_TOK_RPAREN, "')' behind arguments"))
        eb_skip_to_close(u);
    e->hi = eb_behind(u);
    return e;
}
