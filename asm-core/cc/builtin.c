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

static const struct {
    const char *name;
    eb_builtin id;
} aliases[] = {
#define BUILTIN_ALIAS(id, name) {name, EB_BUILTIN_##id},
#include "builtin.def"
};
enum { ALIASES = sizeof aliases / sizeof aliases[0] };

/* `declared`: a library function stands for the builtin, though it is not called __builtin_... or
 * memcpy and its like, which need no declaration. */
static unsigned builtin_of(eb_str name, bool declared) {
    bool prefixed = name.len > 2 && name.at[0] == '_' && name.at[1] == '_';
    for (unsigned n = 1; n < ROWS && prefixed; n++)
        if (eb_str_is(name, rows[n].name))
            return n;
    for (unsigned n = 0; n < ALIASES; n++)
        if (eb_str_is(name, aliases[n].name)) {
            bool memory = aliases[n].id >= EB_BUILTIN_MEMCPY && aliases[n].id <= EB_BUILTIN_STRCMP;
            return prefixed || declared || memory ? aliases[n].id : EB_BUILTIN_NONE;
        }
    return EB_BUILTIN_NONE;
}

void eb_builtin_near(eb_near *near) {
    if (!eb_str_starts(near->name, "__"))
        return;
    for (unsigned n = 1; n < ROWS; n++)
        if (eb_str_starts(eb_str_from(rows[n].name), "__"))
            eb_near_try(near, eb_str_from(rows[n].name), EB_RANK_OTHER);
    for (unsigned n = 0; n < ALIASES; n++)
        if (eb_str_starts(eb_str_from(aliases[n].name), "__"))
            eb_near_try(near, eb_str_from(aliases[n].name), EB_RANK_OTHER);
}

static eb_type *type_of(eb_unit *u, char letter) {
    static const struct {
        char letter;
        eb_type_kind kind;
    } kinds[] = {{'v', EB_TYPE_VOID},   {'i', EB_TYPE_INT},  {'u', EB_TYPE_UINT},
                 {'o', EB_TYPE_UCHAR},  {'l', EB_TYPE_LONG}, {'z', EB_TYPE_ULONG},
                 {'h', EB_TYPE_USHORT}, {'w', EB_TYPE_UINT}, {'d', EB_TYPE_ULLONG},
                 {'b', EB_TYPE_BOOL}};
    eb_types *t = &u->types;
    eb_type *none = eb_type_basic(t, EB_TYPE_VOID);
    if (letter == 'p')
        return eb_type_pointer(t, none);
    if (letter == 'c')
        return eb_type_pointer(t, eb_type_qualified(t, none, EB_CONST | EB_VOLATILE));
    if (letter == 't')
        return eb_type_pointer(t, eb_type_basic(t, EB_TYPE_CHAR));
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
    eb_str name;
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

/* What operations on a place take: a pointer's are distances. */
static eb_type *operand_type(call *c, eb_type *type) {
    bool adds = eb_str_starts(c->name, "__atomic") || eb_str_starts(c->name, "__sync");
    for (size_t n = 0; adds && n + 3 <= c->name.len; n++)
        if (eb_str_starts((eb_str){c->name.at + n, c->name.len - n}, "add") ||
            eb_str_starts((eb_str){c->name.at + n, c->name.len - n}, "sub"))
            return eb_type_is(type, EB_TYPE_POINTER) ? type_of(c->u, 'l') : type;
    return type;
}

static bool only_reads(unsigned id) {
    return id == EB_BUILTIN_ATOMIC_LOAD || id == EB_BUILTIN_C11_LOAD ||
           id == EB_BUILTIN_ATOMIC_LOAD_TO;
}

/* What the pointer that is the first argument points to; NULL after a diagnostic. */
static eb_type *pointed(call *c) {
    eb_unit *u = c->u;
    eb_expr *p = add(c, eb_rvalue(u, eb_assignment(u)));
    if (eb_expr_is_error(p))
        return NULL;
    if (!eb_type_is(p->type, EB_TYPE_POINTER)) {
        eb_diag_add(u->ctx, EB_DIAG_NOT_POINTER, p->lo, p->hi, eb_type_string(u, p->type));
        return NULL;
    }
    eb_type *to = eb_type_plain(p->type)->base;
    unsigned quals = eb_type_quals(to);
    if ((quals & EB_CONST) && !only_reads(c->id))
        eb_diag_add(u->ctx, EB_DIAG_CONST_WRITTEN, p->lo, p->hi, eb_type_string(u, to));
    if (eb_str_starts(c->name, "__c11") && !(quals & EB_ATOMIC))
        eb_diag_add(u->ctx, EB_DIAG_NOT_ATOMIC, p->lo, p->hi, eb_type_string(u, to));
    return eb_type_unqualified(&u->types, to);
}

static eb_expr *atomic(call *c, unsigned operands) {
    eb_type *type = pointed(c);
    for (unsigned n = 0; n < operands && comma(c); n++) {
        eb_expr *arg = eb_assignment(c->u);
        bool order = n + 1 == operands && rows[c->id].name[2] != 's'; /* __sync_ has none */
        add(c, type && !order ? eb_convert(c->u, arg, operand_type(c, type), "parameter")
                              : eb_rvalue(c->u, arg));
    }
    bool none = c->id == EB_BUILTIN_ATOMIC_STORE || c->id == EB_BUILTIN_C11_STORE ||
                c->id == EB_BUILTIN_SYNC_RELEASE;
    eb_type *result = c->id == EB_BUILTIN_SYNC_BOOL_CAS ? type_of(c->u, 'b')
                      : none                            ? type_of(c->u, 'v')
                                                        : type;
    return type ? finish(c, result) : eb_expr_error(c->u, c->lo, eb_behind(c->u));
}

/* (pointer, pointers to values..., order): __atomic_load and its like, by way of places. */
static eb_expr *by_places(call *c) {
    eb_unit *u = c->u;
    eb_type *type = pointed(c);
    unsigned places = c->id == EB_BUILTIN_ATOMIC_EXCHANGE_OF ? 2 : 1;
    eb_type *pointer = type ? eb_type_pointer(&u->types, type) : type_of(u, 'p');
    for (unsigned n = 0; n < places && comma(c); n++)
        add(c, eb_convert(u, eb_assignment(u), pointer, "parameter"));
    if (comma(c))
        add(c, eb_rvalue(u, eb_assignment(u)));
    if (!type || c->args.len < places + 2)
        return eb_expr_error(u, c->lo, eb_behind(u));
    return finish(c, type_of(u, 'v'));
}

/* (pointer, pointer to expected, desired or a pointer to that, [weak,] order, order) */
static eb_expr *compare_exchange(call *c) {
    eb_unit *u = c->u;
    eb_type *type = pointed(c);
    eb_type *pointer = type ? eb_type_pointer(&u->types, type) : type_of(u, 'p');
    if (comma(c))
        add(c, eb_convert(u, eb_assignment(u), pointer, "parameter"));
    if (comma(c)) {
        eb_expr *arg = eb_assignment(u);
        bool place = c->id == EB_BUILTIN_ATOMIC_CAS_OF;
        add(c, type ? eb_convert(u, arg, place ? pointer : type, "parameter") : arg);
    }
    while (eb_skip(u, EB_TOK_COMMA))
        add(c, eb_rvalue(u, eb_assignment(u)));
    if (!type || c->args.len < 3)
        return eb_expr_error(u, c->lo, eb_behind(u));
    return finish(c, type_of(u, 'b'));
}

/* __c11_atomic_init is an assignment: nobody else sees the object yet. */
static eb_expr *initialised(call *c) {
    eb_unit *u = c->u;
    eb_type *type = pointed(c);
    if (comma(c)) {
        eb_expr *arg = eb_assignment(u);
        add(c, type ? eb_convert(u, arg, type, "parameter") : arg);
    }
    if (!type || c->args.len < 2)
        return eb_expr_error(u, c->lo, eb_behind(u));
    c->id = EB_BUILTIN_ATOMIC_STORE;
    return finish(c, type_of(u, 'v'));
}

/* The type that __builtin_uaddl_overflow and its like say; NULL for the generic ones. */
static eb_type *overflow_type(call *c) {
    enum { PREFIX = sizeof "__builtin_" - 1 };
    char sign = c->name.at[PREFIX];
    bool is_long = c->name.at[PREFIX + 4] == 'l';
    if (eb_str_is(c->name, rows[c->id].name))
        return NULL;
    return eb_type_basic(&c->u->types, sign == 'u' ? (is_long ? EB_TYPE_ULONG : EB_TYPE_UINT)
                                                   : (is_long ? EB_TYPE_LONG : EB_TYPE_INT));
}

static bool is_integer(call *c, const eb_expr *e) {
    if (eb_expr_is_error(e))
        return false;
    if (!eb_type_is_integer(e->type))
        eb_diag_add(c->u->ctx, EB_DIAG_NOT_INTEGER, e->lo, e->hi, eb_type_string(c->u, e->type));
    return eb_type_is_integer(e->type);
}

static eb_expr *overflow(call *c) {
    eb_unit *u = c->u;
    eb_type *type = overflow_type(c);
    bool fine = true;
    for (unsigned n = 0; n < 2; n++) {
        eb_expr *e = eb_rvalue(u, eb_assignment(u));
        fine = is_integer(c, e) && fine;
        add(c, type && fine ? eb_convert(u, e, type, "parameter") : e);
        fine = comma(c) && fine;
    }
    eb_expr *to = add(c, eb_rvalue(u, eb_assignment(u)));
    if (eb_expr_is_error(to) || !fine)
        return eb_expr_error(u, c->lo, eb_behind(u));
    eb_type *into = eb_type_is(to->type, EB_TYPE_POINTER) ? eb_type_plain(to->type)->base : NULL;
    if (!into || !eb_type_is_integer(into) || (eb_type_quals(into) & EB_CONST)) {
        eb_diag_add(u->ctx, EB_DIAG_OVERFLOW_RESULT, to->lo, to->hi, eb_type_string(u, to->type));
        return eb_expr_error(u, c->lo, eb_behind(u));
    }
    return finish(c, type_of(u, 'b'));
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

/* Of an unsigned integer of any size; clzg and ctzg may say what they are of 0. */
static eb_expr *generic(call *c) {
    eb_unit *u = c->u;
    eb_expr *e = eb_rvalue(u, eb_assignment(u));
    bool fine = is_integer(c, e);
    add(c, e);
    if (c->id != EB_BUILTIN_POPCOUNTG && eb_skip(u, EB_TOK_COMMA))
        add(c, eb_convert(u, eb_assignment(u), type_of(u, 'i'), "parameter"));
    return fine ? finish(c, type_of(u, 'i')) : eb_expr_error(u, c->lo, eb_behind(u));
}

/* __builtin_align_up(integer or pointer, power of two) and its like. */
static eb_expr *aligned(call *c) {
    eb_unit *u = c->u;
    eb_expr *e = add(c, eb_rvalue(u, eb_assignment(u)));
    if (comma(c))
        add(c, eb_convert(u, eb_assignment(u), type_of(u, 'z'), "parameter"));
    if (!eb_type_is(e->type, EB_TYPE_POINTER) && !is_integer(c, e))
        return eb_expr_error(u, c->lo, eb_behind(u));
    if (c->args.len < 2)
        return eb_expr_error(u, c->lo, eb_behind(u));
    return finish(c, c->id == EB_BUILTIN_IS_ALIGNED ? type_of(u, 'b') : e->type);
}

/* Memory of the function's frame: as an array without a name, so its size is a constant. */
static eb_expr *alloca_of(call *c) {
    enum { STACK = 512, ALIGN = 8 };
    eb_unit *u = c->u;
    eb_expr *size = eb_rvalue(u, eb_assignment(u));
    while (eb_skip(u, EB_TOK_COMMA))
        eb_assignment(u);
    eb_constant k = eb_constant_of(size);
    if (eb_expr_is_error(size) || !u->function)
        return eb_expr_error(u, c->lo, eb_behind(u));
    if (k.kind != EB_CONSTANT_NUMBER || k.value > STACK) {
        eb_diag_add(u->ctx, EB_DIAG_ALLOCA, size->lo, size->hi);
        return eb_expr_error(u, c->lo, eb_behind(u));
    }
    eb_type *words = eb_type_array(&u->types, type_of(u, 'd'), (k.value + ALIGN - 1) / ALIGN);
    eb_expr *e = eb_rvalue(u, eb_unnamed_variable(u, words, c->lo));
    return eb_cast(u, e, type_of(u, 'p'));
}

/* (address, [0 or 1, [0 to 3]]): BPF has nothing of the kind, so only the address is evaluated. */
static eb_expr *prefetch(call *c) {
    eb_unit *u = c->u;
    eb_expr *e = eb_convert(u, eb_assignment(u), type_of(u, 'c'), "parameter");
    for (int64_t most = 1; most <= 3 && eb_skip(u, EB_TOK_COMMA); most += 2) {
        eb_expr *arg = eb_conditional(u);
        int64_t value;
        if (eb_constant_integer(u, arg, &value) && (value < 0 || value > most))
            eb_diag_add(u->ctx, EB_DIAG_ATTRIBUTE_RANGE, arg->lo, arg->hi, (long long)value,
                        (long long)most);
    }
    eb_expr *none = eb_expr_new(u, EB_EXPR_CAST, type_of(u, 'v'), c->lo, eb_behind(u));
    none->a = e;
    none->written = true;
    return none;
}

static eb_expr *text(call *c, eb_str string) {
    eb_unit *u = c->u;
    eb_type *letter =
        eb_type_qualified(&u->types, eb_type_basic(&u->types, EB_TYPE_CHAR), EB_CONST);
    eb_type *type = eb_type_array(&u->types, letter, string.len + 1);
    eb_expr *e = eb_expr_new(u, EB_EXPR_STRING, type, c->lo, eb_behind(u));
    e->of.text = (eb_str){eb_str_copy(&u->ctx->arena, string).at, string.len + 1};
    e->is_lvalue = true;
    return eb_rvalue(u, e);
}

static eb_expr *where(call *c) {
    eb_unit *u = c->u;
    eb_place place = eb_place_of(u->ctx, c->lo);
    if (c->id == EB_BUILTIN_LINE)
        return eb_expr_number(u, type_of(u, 'i'), place.line, c->lo, eb_behind(u));
    if (c->id == EB_BUILTIN_FILE)
        return text(c, place.source ? place.name : EB_STR(""));
    return text(c, u->function ? eb_name_text(u, u->function->name) : EB_STR(""));
}

static eb_expr *by_hand(call *c) {
    switch (c->id) { /* one case per row */
    case EB_BUILTIN_CLZG:
    case EB_BUILTIN_CTZG:
    case EB_BUILTIN_POPCOUNTG:
        return generic(c);
    case EB_BUILTIN_ALIGN_UP:
    case EB_BUILTIN_ALIGN_DOWN:
    case EB_BUILTIN_IS_ALIGNED:
        return aligned(c);
    case EB_BUILTIN_ALLOCA:
        return alloca_of(c);
    case EB_BUILTIN_PREFETCH:
        return prefetch(c);
    case EB_BUILTIN_LINE:
    case EB_BUILTIN_FILE:
    case EB_BUILTIN_FUNCTION:
        return where(c);
    case EB_BUILTIN_ATOMIC_LOAD_TO:
    case EB_BUILTIN_ATOMIC_STORE_OF:
    case EB_BUILTIN_ATOMIC_EXCHANGE_OF:
        return by_places(c);
    case EB_BUILTIN_C11_INIT:
        return initialised(c);
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
    case EB_BUILTIN_ATOMIC_CAS_OF:
    case EB_BUILTIN_C11_CAS:
        return compare_exchange(c);
    default:
        return overflow(c);
    }
}

eb_expr *eb_builtin_call(eb_unit *u, eb_tok name, bool declared) {
    eb_str text = eb_name_text(u, name.value);
    unsigned id = eb_is(u, EB_TOK_LPAREN) ? builtin_of(text, declared) : EB_BUILTIN_NONE;
    if (!id)
        return NULL;
    eb_take(u);
    call c = {.u = u, .id = id, .lo = name.loc, .name = text};
    const char *shape = rows[id].shape;
    eb_expr *e = shape[0] == '@'   ? by_hand(&c)
                 : shape[0] == '$' ? atomic(&c, (unsigned)(shape[1] - '0'))
                                   : plain(&c, shape);
    if (!eb_expect(u, EB_TOK_RPAREN, "')' behind arguments"))
        eb_skip_to_close(u);
    e->hi = eb_behind(u);
    return e;
}
