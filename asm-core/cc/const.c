/* const.c - constant expressions: integers, and addresses with an offset (C11 6.6).
 * Nothing is reported here but by eb_constant_integer: an expression that is none may be fine. */
#include "builtin.h"
#include "parse.h"

static const eb_constant none;

uint64_t eb_wrap(uint64_t value, eb_type *type) {
    if (eb_type_is(type, EB_TYPE_BOOL))
        return value != 0;
    uint64_t size = eb_type_size(type);
    if (size >= 8)
        return value;
    unsigned shift = 64 - (unsigned)size * 8;
    if (eb_type_is_unsigned(type))
        return value << shift >> shift;
    uint64_t sign = 1ull << (size * 8 - 1);
    value &= sign * 2 - 1;
    return (value ^ sign) - sign;
}

static eb_constant number(uint64_t value, eb_type *type) {
    return (eb_constant){EB_CONSTANT_NUMBER, eb_wrap(value, type), NULL};
}

/* The address of an lvalue. */
static eb_constant address(const eb_expr *e) {
    eb_constant c;
    switch (e->kind) {
    case EB_EXPR_DECL:
        return e->of.decl->is_global ? (eb_constant){EB_CONSTANT_ADDRESS, 0, e} : none;
    case EB_EXPR_STRING:
        return (eb_constant){EB_CONSTANT_ADDRESS, 0, e};
    case EB_EXPR_COMPOUND:
        return e->of.decl->is_global ? (eb_constant){EB_CONSTANT_ADDRESS, 0, e} : none;
    case EB_EXPR_DEREF:
        return eb_constant_of(e->a);
    case EB_EXPR_MEMBER: {
        c = address(e->a);
        const eb_type *type = eb_type_plain(e->a->type);
        for (uint32_t n = 0; n < e->of.path.length; n++) {
            const eb_member *member = &type->of.record->members.at[e->of.path.at[n]];
            if (member->is_field)
                return none;
            c.value += member->offset / 8;
            type = eb_type_plain(member->type);
        }
        return c;
    }
    case EB_EXPR_INDEX: {
        c = eb_constant_of(e->a);
        eb_constant index = eb_constant_of(e->b);
        if (index.kind != EB_CONSTANT_NUMBER)
            return none;
        c.value += index.value * eb_type_size(e->type);
        return c;
    }
    default:
        return none;
    }
}

/* An object is not at 0, but what is weak may not be there. */
static bool is_somewhere(eb_constant c) {
    return c.kind == EB_CONSTANT_ADDRESS &&
           !(c.base->kind == EB_EXPR_DECL && c.base->of.decl->attrs.weak);
}

/* Whether it is known if `c` is true, and that. */
static bool is_decided(eb_constant c, bool *truth) {
    *truth = c.kind == EB_CONSTANT_ADDRESS || c.value;
    return c.kind == EB_CONSTANT_ADDRESS ? is_somewhere(c) : c.kind != 0;
}

/* Of 128 bits only what 64 extend to is known, by sign or with zeroes as the type has it. */
static eb_constant to_wide(eb_constant c, eb_type *from, eb_type *to) {
    bool same = eb_type_is_unsigned(from) == eb_type_is_unsigned(to);
    return same || (int64_t)c.value >= 0 ? c : none;
}

static eb_constant unary(const eb_expr *e) {
    eb_constant a = eb_constant_of(e->a);
    bool truth;
    if (e->op == EB_TOK_NOT)
        return is_decided(a, &truth) ? number(!truth, e->type) : none;
    if (a.kind != EB_CONSTANT_NUMBER || eb_type_is_wide(e->type))
        return none;
    return number(e->op == EB_TOK_MINUS ? 0 - a.value : ~a.value, e->type);
}

static eb_constant divided(const eb_expr *e, uint64_t a, uint64_t b) {
    bool remainder = e->op == EB_TOK_PERCENT;
    if (b == 0)
        return none;
    if (eb_type_is_unsigned(e->type))
        return number(remainder ? a % b : a / b, e->type);
    if (b == UINT64_MAX)
        return number(remainder ? 0 : 0 - a, e->type);
    int64_t x = (int64_t)a, y = (int64_t)b;
    return number((uint64_t)(remainder ? x % y : x / y), e->type);
}

static eb_constant shifted(const eb_expr *e, uint64_t a, uint64_t b) {
    if (b >= eb_type_size(e->type) * 8)
        return none;
    if (e->op == EB_TOK_SHL)
        return number(a << b, e->type);
    uint64_t sign = !eb_type_is_unsigned(e->type) && (int64_t)a < 0 && b ? ~(UINT64_MAX >> b) : 0;
    return number(a >> b | sign, e->type);
}

static eb_constant compared(const eb_expr *e, uint64_t a, uint64_t b) {
    bool below = eb_type_is_unsigned(e->a->type) ? a < b : (int64_t)a < (int64_t)b;
    bool above = eb_type_is_unsigned(e->a->type) ? a > b : (int64_t)a > (int64_t)b;
    switch (e->op) {
    case EB_TOK_LT:
        return number(below, e->type);
    case EB_TOK_GT:
        return number(above, e->type);
    case EB_TOK_LE:
        return number(!above, e->type);
    case EB_TOK_GE:
        return number(!below, e->type);
    case EB_TOK_EQ:
        return number(a == b, e->type);
    default:
        return number(a != b, e->type);
    }
}

static bool same_object(const eb_expr *a, const eb_expr *b) {
    bool decls = a->kind == EB_EXPR_DECL && b->kind == EB_EXPR_DECL;
    return a == b || (decls && a->of.decl == b->of.decl);
}

/* The start of a variable, which is nowhere else than any other. */
static bool is_variable(eb_constant c) {
    return is_somewhere(c) && c.base->kind == EB_EXPR_DECL && c.value == 0;
}

/* Pointers with numbers, and the distance of two into one object. */
static eb_constant of_addresses(const eb_expr *e, eb_constant a, eb_constant b) {
    bool plus = e->op == EB_TOK_PLUS, minus = e->op == EB_TOK_MINUS;
    bool same = a.kind == EB_CONSTANT_ADDRESS && b.kind == EB_CONSTANT_ADDRESS &&
                same_object(a.base, b.base);
    if (a.kind == EB_CONSTANT_ADDRESS && b.kind == EB_CONSTANT_NUMBER && (plus || minus)) {
        uint64_t step = eb_type_is(e->a->type, EB_TYPE_POINTER)
                            ? eb_type_size(eb_type_plain(e->a->type)->base)
                            : 1;
        a.value += (plus ? b.value : 0 - b.value) * step;
        return a;
    }
    if (same && minus && eb_type_is(e->a->type, EB_TYPE_POINTER)) {
        uint64_t size = eb_type_size(eb_type_plain(e->a->type)->base);
        int64_t distance = (int64_t)(a.value - b.value);
        return number((uint64_t)(distance / (int64_t)(size ? size : 1)), e->type);
    }
    if (same && !plus && !minus)
        return compared(e, a.value, b.value);
    bool apart = !same && is_variable(a) && is_variable(b);
    if (apart && (e->op == EB_TOK_EQ || e->op == EB_TOK_NE))
        return number(e->op == EB_TOK_NE, e->type);
    return none;
}

static eb_constant logical(const eb_expr *e) {
    bool left, right, is_or = e->op == EB_TOK_OROR;
    if (!is_decided(eb_constant_of(e->a), &left))
        return none;
    if (left == is_or)
        return number(is_or, e->type);
    return is_decided(eb_constant_of(e->b), &right) ? number(right, e->type) : none;
}

static eb_constant binary(const eb_expr *e) {
    if (e->op == EB_TOK_ANDAND || e->op == EB_TOK_OROR)
        return logical(e);
    eb_constant a = eb_constant_of(e->a), b = eb_constant_of(e->b);
    if (!a.kind || !b.kind || eb_type_is_wide(e->type))
        return none;
    if (a.kind == EB_CONSTANT_ADDRESS || b.kind == EB_CONSTANT_ADDRESS)
        return of_addresses(e, a, b);
    uint64_t step = 1;
    if (eb_type_is(e->a->type, EB_TYPE_POINTER) &&
        (e->op == EB_TOK_PLUS || e->op == EB_TOK_MINUS)) {
        step = eb_type_size(eb_type_plain(e->a->type)->base);
        if (eb_type_is(e->b->type, EB_TYPE_POINTER))
            return number((uint64_t)((int64_t)(a.value - b.value) / (int64_t)(step ? step : 1)),
                          e->type);
    }
    switch (e->op) { /* one case per row */
    case EB_TOK_PLUS:
        return number(a.value + b.value * step, e->type);
    case EB_TOK_MINUS:
        return number(a.value - b.value * step, e->type);
    case EB_TOK_STAR:
        return number(a.value * b.value, e->type);
    case EB_TOK_SLASH:
    case EB_TOK_PERCENT:
        return divided(e, a.value, b.value);
    case EB_TOK_SHL:
    case EB_TOK_SHR:
        return shifted(e, a.value, b.value);
    case EB_TOK_AND:
        return number(a.value & b.value, e->type);
    case EB_TOK_OR:
        return number(a.value | b.value, e->type);
    case EB_TOK_XOR:
        return number(a.value ^ b.value, e->type);
    default:
        return compared(e, a.value, b.value);
    }
}

static eb_constant cast(const eb_expr *e) {
    uint64_t whole;
    if (e->a->kind == EB_EXPR_FLOAT && eb_type_is_integer(e->type))
        return eb_float_integer(e->a->of.text, &whole) ? number(whole, e->type) : none;
    eb_constant a = eb_constant_of(e->a);
    if (a.kind == EB_CONSTANT_ADDRESS)
        return eb_type_size(e->type) == 8 ? a : none;
    if (!a.kind || !eb_type_is_scalar(e->type) || eb_type_is_floating(e->type))
        return none;
    return eb_type_is_wide(e->type) ? to_wide(a, e->a->type, e->type) : number(a.value, e->type);
}

static uint64_t swapped(uint64_t value, unsigned bytes) {
    uint64_t out = 0;
    for (unsigned n = 0; n < bytes; n++)
        out = out << 8 | (value >> (n * 8) & 0xff);
    return out;
}

static unsigned ones(uint64_t value) {
    unsigned count = 0;
    for (; value; value &= value - 1)
        count++;
    return count;
}

/* Zeroes below the lowest one, and above the highest of `width` bits; of 0 there are none. */
static uint64_t below(uint64_t value) {
    return ones((value & (0 - value)) - 1);
}

static uint64_t above(uint64_t value, unsigned width) {
    uint64_t count = width;
    for (; value; value >>= 1)
        count--;
    return count;
}

static uint64_t reversed(uint64_t value, unsigned width) {
    uint64_t out = 0;
    for (unsigned n = 0; n < width; n++)
        out = out << 1 | (value >> n & 1);
    return out;
}

/* The bytes of a literal that a pointer points to, from there on with the NUL; nothing if it is no
 * literal. */
static eb_str literal_at(const eb_expr *e) {
    eb_constant c = eb_constant_of(e);
    if (c.kind != EB_CONSTANT_ADDRESS || c.base->kind != EB_EXPR_STRING ||
        c.value >= c.base->of.text.len)
        return (eb_str){0};
    return (eb_str){c.base->of.text.at + c.value, c.base->of.text.len - (size_t)c.value};
}

/* strlen, strcmp, strncmp and memcmp of literals. */
static eb_constant of_strings(const eb_expr *e) {
    eb_expr **args = e->of.args.at;
    bool two = e->builtin != EB_BUILTIN_STRLEN;
    if (e->of.args.count < 1u + two)
        return none;
    eb_str a = literal_at(args[0]), b = two ? literal_at(args[1]) : a;
    uint64_t most = UINT64_MAX;
    if (e->of.args.count > 2) {
        eb_constant count = eb_constant_of(args[2]);
        if (count.kind != EB_CONSTANT_NUMBER)
            return none;
        most = count.value;
    }
    if (!a.at || !b.at)
        return none;
    bool bytes = e->builtin == EB_BUILTIN_MEMCMP || e->builtin == EB_BUILTIN_BCMP;
    for (uint64_t n = 0; n < most; n++) {
        if (n >= a.len || n >= b.len)
            return none;
        if (!two && !a.at[n])
            return number(n, e->type);
        if (a.at[n] != b.at[n])
            return number((uint8_t)a.at[n] < (uint8_t)b.at[n] ? UINT64_MAX : 1, e->type);
        if (!a.at[n] && !bytes)
            break;
    }
    return number(0, e->type);
}

/* Builtins of numbers (those that take none of zero are not constant for it). */
static eb_constant builtin(const eb_expr *e) {
    switch (e->builtin) {
    case EB_BUILTIN_STRLEN:
    case EB_BUILTIN_STRCMP:
    case EB_BUILTIN_STRNCMP:
    case EB_BUILTIN_MEMCMP:
    case EB_BUILTIN_BCMP:
        return of_strings(e);
    default:
        break;
    }
    eb_constant a = e->of.args.count ? eb_constant_of(e->of.args.at[0]) : none;
    unsigned width;
    if (a.kind != EB_CONSTANT_NUMBER)
        return none;
    switch (e->builtin) { /* one case per row */
    case EB_BUILTIN_BSWAP16:
        return number(swapped(a.value, 2), e->type);
    case EB_BUILTIN_BSWAP32:
        return number(swapped(a.value, 4), e->type);
    case EB_BUILTIN_BSWAP64:
        return number(swapped(a.value, 8), e->type);
    case EB_BUILTIN_POPCOUNT:
    case EB_BUILTIN_POPCOUNTL:
    case EB_BUILTIN_POPCOUNTLL:
        return number(ones(a.value), e->type);
    case EB_BUILTIN_FFS:
    case EB_BUILTIN_FFSL:
    case EB_BUILTIN_FFSLL:
        return number(a.value ? below(a.value) + 1 : 0, e->type);
    case EB_BUILTIN_CTZ:
    case EB_BUILTIN_CTZL:
    case EB_BUILTIN_CTZLL:
        return a.value ? number(below(a.value), e->type) : none;
    case EB_BUILTIN_CLZ:
        return a.value ? number(above(a.value, 32), e->type) : none;
    case EB_BUILTIN_CLZL:
    case EB_BUILTIN_CLZLL:
        return a.value ? number(above(a.value, 64), e->type) : none;
    case EB_BUILTIN_PARITY:
    case EB_BUILTIN_PARITYL:
    case EB_BUILTIN_PARITYLL:
        return number(ones(a.value) & 1, e->type);
    case EB_BUILTIN_CLRSB:
    case EB_BUILTIN_CLRSBL:
    case EB_BUILTIN_CLRSBLL:
        width = (unsigned)eb_type_size(e->of.args.at[0]->type) * 8;
        a.value ^= (int64_t)a.value < 0 ? UINT64_MAX : 0;
        return number(above(a.value, width) - 1, e->type);
    case EB_BUILTIN_CLZS:
        return a.value ? number(above(a.value, 16), e->type) : none;
    case EB_BUILTIN_CTZS:
        return a.value ? number(below(a.value), e->type) : none;
    case EB_BUILTIN_POPCOUNTG:
        return number(ones(a.value), e->type);
    case EB_BUILTIN_REVERSE8:
    case EB_BUILTIN_REVERSE16:
    case EB_BUILTIN_REVERSE32:
    case EB_BUILTIN_REVERSE64:
        return number(reversed(a.value, 8u << (e->builtin - EB_BUILTIN_REVERSE8)), e->type);
    case EB_BUILTIN_ABS:
    case EB_BUILTIN_LABS:
        return number((int64_t)a.value < 0 ? 0 - a.value : a.value, e->type);
    case EB_BUILTIN_EXPECT:
        return a;
    default:
        return none;
    }
}

/* A const variable's value: clang folds it where C asks for a constant, and people rely on it. */
static eb_constant variable(const eb_expr *e) {
    if (e->kind != EB_EXPR_DECL)
        return none;
    eb_decl *decl = e->of.decl;
    unsigned quals = eb_type_quals(decl->type);
    if (decl->is_folding || decl->inits.len != 1 || !(quals & EB_CONST) || (quals & EB_VOLATILE) ||
        decl->attrs.weak || !eb_type_is_integer(decl->type))
        return none;
    decl->is_folding = true; /* const int x = x; */
    eb_constant c = eb_constant_of(decl->inits.at[0].expr);
    decl->is_folding = false;
    return c;
}

eb_constant eb_constant_of(const eb_expr *e) {
    eb_constant a;
    bool truth;
    switch (e->kind) {
    case EB_EXPR_LOAD:
        return variable(e->a);
    case EB_EXPR_NUMBER:
        return number(e->of.value, e->type);
    case EB_EXPR_ADDRESS:
    case EB_EXPR_DECAY:
        return address(e->a);
    case EB_EXPR_CAST:
        return cast(e);
    case EB_EXPR_UNARY:
        return unary(e);
    case EB_EXPR_BINARY:
        return binary(e);
    case EB_EXPR_BUILTIN:
        return builtin(e);
    case EB_EXPR_COMMA: /* GNU: where nothing is done by the first */
        return eb_constant_of(e->a).kind ? eb_constant_of(e->b) : none;
    case EB_EXPR_COND:
        a = eb_constant_of(e->a);
        if (!is_decided(a, &truth))
            return none;
        return !truth ? eb_constant_of(e->c) : e->b ? eb_constant_of(e->b) : a;
    default:
        return none;
    }
}

void eb_settle(eb_expr *e) {
    if (!e)
        return;
    if (e->kind == EB_EXPR_BUILTIN && e->builtin == EB_BUILTIN_CONSTANT_P) {
        e->kind = EB_EXPR_NUMBER;
        e->of.value = 0;
    } else if (e->kind == EB_EXPR_BUILTIN || e->kind == EB_EXPR_CALL) {
        for (uint32_t n = 0; n < e->of.args.count; n++)
            eb_settle(e->of.args.at[n]);
    }
    eb_settle(e->a);
    eb_settle(e->b);
    eb_settle(e->c);
}

bool eb_constant_integer(eb_unit *u, eb_expr *expr, int64_t *value) {
    expr = eb_rvalue(u, expr);
    if (eb_expr_is_error(expr))
        return false;
    eb_constant c = eb_constant_of(expr);
    if (!c.kind) {
        eb_settle(expr);
        c = eb_constant_of(expr);
    }
    if (c.kind != EB_CONSTANT_NUMBER || !eb_type_is_integer(expr->type)) {
        eb_diag_add(u->ctx, EB_DIAG_NOT_INTEGER_CONSTANT, expr->lo, expr->hi);
        return false;
    }
    *value = (int64_t)c.value;
    return true;
}
