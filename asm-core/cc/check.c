/* check.c - what C allows and nobody means: expressions whose values or spelling show a mistake,
 * and what is declared and not used. When and how is clang's choice; the groups are called as
 * there. */
#include "builtin.h"
#include "check.h"

/* ---- values ---- */

/* The operand as it was written: without the conversions that C's rules put around it. */
const eb_expr *eb_plain(const eb_expr *e) {
    while (e->kind == EB_EXPR_CAST && !e->written)
        e = e->a;
    return e;
}

bool eb_number_of(const eb_expr *e, uint64_t *value) {
    eb_constant c = eb_type_is_integer(e->type) ? eb_constant_of(e) : (eb_constant){0};
    *value = c.value;
    return c.kind == EB_CONSTANT_NUMBER;
}

/* A number as its type has it. */
const char *eb_number_text(eb_unit *u, uint64_t value, eb_type *type) {
    eb_str text = eb_type_is_unsigned(type)
                      ? eb_str_fmt(&u->ctx->arena, "%llu", (unsigned long long)value)
                      : eb_str_fmt(&u->ctx->arena, "%lld", (long long)value);
    eb_buf out = {.arena = &u->ctx->arena};
    eb_buf_str(&out, text);
    eb_buf_byte(&out, 0);
    return (const char *)out.at;
}

static unsigned length_of(uint64_t value) {
    unsigned bits = 0;
    for (; value; value >>= 1)
        bits++;
    return bits;
}

eb_range eb_range_of_type(eb_type *type) {
    if (eb_type_is(type, EB_TYPE_BOOL))
        return (eb_range){1, true};
    return (eb_range){(unsigned)eb_type_size(type) * 8, eb_type_is_unsigned(type)};
}

static eb_range widest(eb_range a, eb_range b) {
    bool positive = a.positive && b.positive;
    unsigned x = a.bits + (!positive && a.positive), y = b.bits + (!positive && b.positive);
    return (eb_range){x > y ? x : y, positive};
}

static eb_range range_of_binary(const eb_expr *e, unsigned depth) {
    uint64_t by;
    if (!eb_type_is_integer(e->a->type) || !eb_type_is_integer(e->b->type))
        return (eb_range){eb_binding_of(e->op) > 7 ? 64 : 1, eb_binding_of(e->op) <= 7};
    eb_range whole = eb_range_of_type(e->type), a = eb_range_of(e->a, depth),
             b = eb_range_of(e->b, depth);
    eb_range sum = {(a.positive ? a.bits : a.bits - 1), a.positive && b.positive};
    unsigned other = b.positive ? b.bits : b.bits - 1;
    switch (e->op) {
    case EB_TOK_ANDAND:
    case EB_TOK_OROR:
    case EB_TOK_LT:
    case EB_TOK_GT:
    case EB_TOK_LE:
    case EB_TOK_GE:
    case EB_TOK_EQ:
    case EB_TOK_NE:
        return (eb_range){1, true};
    case EB_TOK_AND: {
        eb_range low = a.positive && (!b.positive || a.bits < b.bits) ? a : b;
        return a.positive || b.positive ? low : widest(a, b);
    }
    case EB_TOK_OR:
    case EB_TOK_XOR:
        return widest(a, b);
    case EB_TOK_STAR:
        sum.bits += other + !sum.positive + (!a.positive && !b.positive);
        return sum.bits < whole.bits ? sum : whole;
    case EB_TOK_MINUS:
        sum.positive = a.positive && b.positive && !b.bits;
        sum.bits =
            (sum.bits > other ? sum.bits : other) + !sum.positive + !(a.positive && b.positive);
        return sum.bits < whole.bits ? sum : whole;
    case EB_TOK_PLUS:
        sum.bits = (sum.bits > other ? sum.bits : other) + 1 + !sum.positive;
        return sum.bits < whole.bits ? sum : whole;
    case EB_TOK_SHR:
        if (eb_number_of(e->b, &by) && by < a.bits)
            a.bits -= (unsigned)by;
        return a;
    case EB_TOK_SLASH:
        return a.positive && b.positive ? a : whole;
    case EB_TOK_PERCENT:
        return a.positive && b.positive && b.bits < a.bits ? b : a.positive ? a : whole;
    default:
        return whole;
    }
}

eb_range eb_range_of(const eb_expr *e, unsigned depth) {
    enum { DEEPEST = 20 };
    uint64_t value;
    if (!eb_type_is_integer(e->type) || depth > DEEPEST)
        return eb_range_of_type(e->type);
    if (eb_number_of(e, &value)) {
        bool negative = !eb_type_is_unsigned(e->type) && (int64_t)value < 0;
        return (eb_range){negative ? length_of(~value) + 1 : length_of(value), !negative};
    }
    switch (e->kind) {
    case EB_EXPR_CAST: {
        eb_range to = eb_range_of_type(e->type);
        if (!eb_type_is_integer(e->a->type))
            return to;
        eb_range from = eb_range_of(e->a, depth + 1);
        /* It holds all that there is, or is cut to its own. */
        return from.bits + (from.positive && !to.positive) <= to.bits &&
                       (from.positive || !to.positive)
                   ? from
                   : to;
    }
    case EB_EXPR_COND:
        if (e->b)
            return widest(eb_range_of(e->b, depth + 1), eb_range_of(e->c, depth + 1));
        return eb_range_of_type(e->type);
    case EB_EXPR_BINARY:
        return range_of_binary(e, depth + 1);
    case EB_EXPR_LOAD:
        if (e->a->kind == EB_EXPR_MEMBER) {
            const eb_member *member = eb_member_of(e->a);
            if (member->is_field)
                return (eb_range){member->bits, eb_type_is_unsigned(e->type)};
        }
        return eb_range_of_type(e->type);
    case EB_EXPR_UNARY:
        return e->op == EB_TOK_NOT ? (eb_range){1, true} : eb_range_of_type(e->type);
    default:
        return eb_range_of_type(e->type);
    }
}

const eb_decl *eb_called(const eb_expr *call) {
    const eb_expr *f = call->a;
    while (f->kind == EB_EXPR_DECAY || f->kind == EB_EXPR_DEREF || f->kind == EB_EXPR_LOAD)
        f = f->a;
    return f->kind == EB_EXPR_DECL ? f->of.decl : NULL;
}

/* ---- comparisons ---- */

static const char *outcome(bool is) {
    return is ? "true" : "false";
}

/* A constant against what cannot reach it. */
static void constant_compared(eb_unit *u, uint32_t at, const eb_expr *e, const eb_expr *other,
                              uint64_t value, eb_type *type, bool swapped) {
    eb_type *of = other->type;
    eb_range r = eb_is_truth(other) ? (eb_range){1, true} : eb_range_of_type(of);
    if (eb_type_is(of, EB_TYPE_ENUM) || !eb_type_is_integer(of) || r.bits > 64)
        return;
    bool is_unsigned = eb_type_is_unsigned(type); /* the type in which they are compared */
    bool negative = !is_unsigned && (int64_t)value < 0;
    unsigned op = e->op;
    if (swapped)
        op = op == EB_TOK_LT   ? EB_TOK_GT
             : op == EB_TOK_GT ? EB_TOK_LT
             : op == EB_TOK_LE ? EB_TOK_GE
             : op == EB_TOK_GE ? EB_TOK_LE
                               : op;
    if (r.positive && !value && (op == EB_TOK_LT || op == EB_TOK_GE) &&
        !eb_type_is(of, EB_TYPE_BOOL) && eb_type_is_unsigned(of)) {
        eb_warn_at(u, at, EB_DIAG_COMPARE_UNSIGNED, e->lo, e->hi, outcome(op == EB_TOK_GE));
        return;
    }
    if (eb_type_is(of, EB_TYPE_BOOL) && value == 1 && (op == EB_TOK_GT || op == EB_TOK_LE)) {
        eb_warn_at(u, at, EB_DIAG_COMPARE_TRUTH, e->lo, e->hi, outcome(op == EB_TOK_LE));
        return;
    }
    /* Where it stands: below all values, above all, or among them. */
    int place = 0;
    if (r.positive)
        place = negative ? -1 : r.bits < 64 && value >> r.bits ? 1 : 0;
    else if (!is_unsigned && r.bits < 64)
        place = (int64_t)value < -(int64_t)(1ull << (r.bits - 1))        ? -1
                : (int64_t)value > (int64_t)((1ull << (r.bits - 1)) - 1) ? 1
                                                                         : 0;
    else if (is_unsigned && r.bits < (unsigned)eb_type_size(type) * 8)
        /* Negative values are large ones here; a hole is between them and the positive ones. */
        place = value > (1ull << (r.bits - 1)) - 1 &&
                        value < eb_wrap(0 - (1ull << (r.bits - 1)), type) &&
                        (op == EB_TOK_EQ || op == EB_TOK_NE)
                    ? 1
                    : 0;
    if (!place)
        return;
    bool is = op == EB_TOK_NE || ((op == EB_TOK_LT || op == EB_TOK_LE) && place > 0) ||
              ((op == EB_TOK_GT || op == EB_TOK_GE) && place < 0);
    eb_warn_at(u, at, EB_DIAG_COMPARE_RANGE, e->lo, e->hi, eb_number_text(u, value, type),
               eb_is_truth(other) && !eb_type_is(of, EB_TYPE_BOOL) ? "_Bool"
                                                                   : eb_type_string(u, of),
               outcome(is));
}

static void signs_compared(eb_unit *u, uint32_t at, const eb_expr *e, const eb_expr *a,
                           const eb_expr *b) {
    bool a_signed = !eb_type_is_unsigned(a->type);
    if (a_signed == !eb_type_is_unsigned(b->type) || !eb_type_is_unsigned(e->a->type))
        return;
    const eb_expr *with_sign = a_signed ? a : b, *other = a_signed ? b : a;
    if (eb_range_of(with_sign, 0).positive)
        return;
    /* What no negative value becomes by conversion is never equal to one. */
    bool equality = e->op == EB_TOK_EQ || e->op == EB_TOK_NE;
    if (equality && eb_range_of(other, 0).bits < eb_type_size(e->a->type) * 8)
        return;
    eb_warn_at(u, at, EB_DIAG_COMPARE_SIGN, e->lo, e->hi, eb_type_string(u, a->type),
               eb_type_string(u, b->type));
}

/* Whether two operands name the same variable or member of one. */
bool eb_same_place(const eb_expr *a, const eb_expr *b) {
    a = eb_plain(a);
    b = eb_plain(b);
    if (a->kind != b->kind)
        return false;
    if (a->kind == EB_EXPR_LOAD)
        return eb_same_place(a->a, b->a);
    if (a->kind == EB_EXPR_DECL)
        return a->of.decl == b->of.decl;
    if (a->kind != EB_EXPR_MEMBER || a->of.path.length != b->of.path.length)
        return false;
    for (uint32_t n = 0; n < a->of.path.length; n++)
        if (a->of.path.at[n] != b->of.path.at[n])
            return false;
    return eb_same_place(a->a, b->a);
}

/* The variable or function whose address a value is, if that cannot be NULL. */
static const eb_decl *addressed(const eb_expr *e) {
    e = eb_plain(e);
    if ((e->kind != EB_EXPR_DECAY && e->kind != EB_EXPR_ADDRESS) || e->a->kind != EB_EXPR_DECL)
        return NULL;
    const eb_decl *decl = e->a->of.decl;
    return decl->attrs.weak ? NULL : decl;
}

bool eb_in_macro(const eb_unit *u, eb_loc loc) {
    eb_str name;
    eb_loc spelled, from;
    return eb_expansion_of(u->ctx, loc, &name, &spelled, &from);
}

static void compared(eb_unit *u, uint32_t at, const eb_expr *e) {
    const eb_expr *a = eb_plain(e->a), *b = eb_plain(e->b);
    uint64_t x, y;
    const eb_decl *decl = addressed(a);
    bool equality = e->op == EB_TOK_EQ || e->op == EB_TOK_NE;
    if (equality && decl && eb_number_of(b, &y) && !y) {
        eb_str text = eb_name_text(u, decl->name);
        eb_warn_at(u, at, EB_DIAG_COMPARE_NULL, e->lo, e->hi, (int)text.len, text.at);
        return;
    }
    if (!eb_type_is_integer(a->type) || !eb_type_is_integer(b->type))
        return;
    if (eb_type_is(a->type, EB_TYPE_ENUM) && eb_type_is(b->type, EB_TYPE_ENUM) &&
        eb_type_plain(a->type) != eb_type_plain(b->type)) {
        eb_warn_at(u, at, EB_DIAG_COMPARE_ENUMS, e->lo, e->hi, eb_type_string(u, a->type),
                   eb_type_string(u, b->type));
        return;
    }
    if (eb_same_place(a, b) &&
        !(eb_type_quals(a->kind == EB_EXPR_LOAD ? a->a->type : a->type) & EB_VOLATILE)) {
        if (!eb_in_macro(u, e->lo))
            eb_warn_at(u, at, EB_DIAG_COMPARE_SELF, e->lo, e->hi);
        return;
    }
    bool a_constant = eb_number_of(a, &x), b_constant = eb_number_of(b, &y);
    if (a_constant && b_constant)
        return;
    if (b_constant && eb_number_of(e->b, &y))
        constant_compared(u, at, e, a, y, e->b->type, false);
    else if (a_constant && eb_number_of(e->a, &x))
        constant_compared(u, at, e, b, x, e->a->type, true);
    signs_compared(u, at, e, a, b);
}

/* ---- arithmetic ---- */

static void shifted(eb_unit *u, uint32_t at, const eb_expr *a, const eb_expr *b) {
    uint64_t by;
    if (!eb_number_of(b, &by))
        return;
    if (!eb_type_is_unsigned(b->type) && (int64_t)by < 0)
        eb_warn_at(u, at, EB_DIAG_SHIFT_NEGATIVE, b->lo, b->hi, eb_number_text(u, by, b->type));
    else if (by >= eb_type_size(a->type) * 8)
        eb_warn_at(u, at, EB_DIAG_SHIFT_COUNT, b->lo, b->hi, eb_type_string(u, a->type),
                   eb_number_text(u, by, b->type));
}

/* Signed arithmetic on constants that leaves the type. */
static void overflown(eb_unit *u, uint32_t at, const eb_expr *e) {
    uint64_t a, b;
    if (eb_type_is_unsigned(e->type) || !eb_type_is_integer(e->type) || !eb_number_of(e->a, &a) ||
        !eb_number_of(e->b, &b))
        return;
    int64_t x = (int64_t)a, y = (int64_t)b, value;
    bool over = e->op == EB_TOK_PLUS    ? __builtin_add_overflow(x, y, &value)
                : e->op == EB_TOK_MINUS ? __builtin_sub_overflow(x, y, &value)
                                        : __builtin_mul_overflow(x, y, &value);
    if (over || (int64_t)eb_wrap((uint64_t)value, e->type) != value)
        eb_warn_at(u, at, EB_DIAG_OVERFLOW, e->lo, e->hi, eb_type_string(u, e->type),
                   eb_number_text(u, eb_wrap((uint64_t)value, e->type), e->type));
}

/* A constant that becomes one of another type, or of a bit-field of `bits`. */
static void constant_changed(eb_unit *u, uint32_t at, const eb_expr *e, eb_type *type,
                             unsigned bits) {
    uint64_t value;
    eb_range to = eb_range_of_type(type);
    if (!eb_type_is_integer(type) || eb_type_is(type, EB_TYPE_BOOL) || !eb_number_of(e, &value))
        return;
    bool negative = !eb_type_is_unsigned(e->type) && (int64_t)value < 0;
    unsigned width = bits ? bits : to.bits,
             need = negative ? length_of(~value) + 1 : length_of(value);
    bool becomes_negative =
        !bits && need == width && !to.positive && !negative && !eb_type_is_unsigned(e->type);
    if (need <= width && !becomes_negative)
        return;
    uint64_t left = width < 64 ? value & ((1ull << width) - 1) : value;
    if (!to.positive && width < 64 && left >> (width - 1))
        left |= ~0ull << width;
    if (bits)
        eb_warn_at(u, at, EB_DIAG_FIELD_CHANGED, e->lo, e->hi, eb_number_text(u, value, e->type),
                   eb_number_text(u, left, type), bits);
    else
        eb_warn_at(u, at, EB_DIAG_CONSTANT_CHANGED, e->lo, e->hi, eb_number_text(u, value, e->type),
                   eb_number_text(u, left, type), eb_type_string(u, type));
}

/* ---- casts ---- */

static void cast(eb_unit *u, uint32_t at, const eb_expr *e) {
    const eb_expr *a = e->a;
    eb_type *to = e->type, *from = a->type;
    bool to_int = eb_type_is_integer(to) && !eb_type_is(to, EB_TYPE_BOOL);
    uint64_t value;
    if (to_int && eb_type_is(from, EB_TYPE_POINTER) && eb_type_size(to) < eb_type_size(from))
        eb_warn_at(u, at,
                   eb_type_is(eb_type_plain(from)->base, EB_TYPE_VOID) ? EB_DIAG_VOID_POINTER_CUT
                                                                       : EB_DIAG_POINTER_CUT,
                   e->lo, e->hi, eb_type_string(u, from), eb_type_string(u, to));
    else if (eb_type_is(to, EB_TYPE_POINTER) && eb_type_is_integer(from) &&
             !eb_type_is(from, EB_TYPE_BOOL) && !eb_type_is(from, EB_TYPE_ENUM) &&
             eb_type_size(from) < eb_type_size(to) && !eb_number_of(a, &value))
        eb_warn_at(u, at,
                   eb_type_is(eb_type_plain(to)->base, EB_TYPE_VOID) ? EB_DIAG_VOID_POINTER_MADE
                                                                     : EB_DIAG_POINTER_MADE,
                   e->lo, e->hi, eb_type_string(u, from), eb_type_string(u, to));
}

/* ---- precedence ---- */

static const char *spelling(const eb_unit *u, unsigned op) {
    return eb_tok_text(u->words, (eb_tok){.kind = (uint8_t)op}).at;
}

static bool is_binary(const eb_expr *e) {
    return e->kind == EB_EXPR_BINARY && !e->parens;
}

static bool is_comparison(const eb_expr *e) {
    unsigned bound = is_binary(e) ? eb_binding_of(e->op) : 0;
    return bound == 6 || bound == 7;
}

static void precedence(eb_unit *u, uint32_t at, const eb_expr *e) {
    const eb_expr *sides[] = {eb_plain(e->a), eb_plain(e->b)};
    unsigned bound = eb_binding_of(e->op);
    bool bitwise = bound >= 3 && bound <= 5;
    for (unsigned n = 0; n < 2; n++) {
        const eb_expr *side = sides[n];
        if (!is_binary(side))
            continue;
        unsigned inner = eb_binding_of(side->op);
        if (bitwise && is_comparison(side) && !is_comparison(sides[!n]))
            eb_warn_at(u, at, EB_DIAG_COMPARE_BITS, side->lo, side->hi, spelling(u, e->op),
                       spelling(u, side->op));
        else if (bitwise && inner >= 3 && inner <= 5 && inner > bound)
            eb_warn_at(u, at, EB_DIAG_BITS_MIXED, side->lo, side->hi, spelling(u, side->op),
                       spelling(u, e->op));
        else if (e->op == EB_TOK_OROR && side->op == EB_TOK_ANDAND && !eb_in_macro(u, e->lo))
            eb_warn_at(u, at, EB_DIAG_LOGICAL_MIXED, side->lo, side->hi);
        else if (bound == 8 && inner == 9)
            eb_warn_at(u, at, EB_DIAG_SHIFT_MIXED, side->lo, side->hi, spelling(u, side->op),
                       spelling(u, e->op));
    }
}

/* ---- places ---- */

/* Whether an array is the last member of its record: people index behind those. */
static bool is_tail(const eb_expr *e) {
    if (e->kind != EB_EXPR_MEMBER)
        return false;
    const eb_type *record = eb_type_plain(e->a->type);
    for (uint32_t n = 0; n < e->of.path.length; n++) {
        uint32_t number = e->of.path.at[n];
        if (record->kind == EB_TYPE_STRUCT && number + 1 < record->of.record->members.len)
            return false;
        record = eb_type_plain(record->of.record->members.at[number].type);
    }
    return true;
}

static void bounds(eb_unit *u, uint32_t at, const eb_expr *e, bool address) {
    uint64_t index;
    if (e->a->kind != EB_EXPR_DECAY || !eb_number_of(e->b, &index))
        return;
    const eb_type *array = eb_type_plain(e->a->a->type);
    if (array->kind != EB_TYPE_ARRAY || array->count == EB_ARRAY_OPEN || is_tail(e->a->a))
        return;
    bool negative = !eb_type_is_unsigned(e->b->type) && (int64_t)index < 0;
    if (negative || index > array->count || (index == array->count && !address))
        eb_warn_at(u, at, EB_DIAG_ARRAY_BOUNDS, e->b->lo, e->b->hi,
                   eb_number_text(u, index, e->b->type), eb_type_string(u, e->a->a->type));
}

/* The local variable that an address leads into, if any. */
static const eb_decl *local_of(const eb_expr *e) {
    for (;;) {
        switch (e->kind) {
        case EB_EXPR_CAST:
            if (!eb_type_is(e->type, EB_TYPE_POINTER))
                return NULL;
            e = e->a;
            break;
        case EB_EXPR_ADDRESS:
        case EB_EXPR_DECAY:
        case EB_EXPR_MEMBER:
            e = e->a;
            break;
        case EB_EXPR_INDEX:
            e = e->a;
            break;
        case EB_EXPR_DECL:
            return e->of.decl->is_global || e->of.decl->kind == EB_DECL_FUNCTION ? NULL
                                                                                 : e->of.decl;
        default:
            return NULL;
        }
    }
}

void eb_check_return(eb_unit *u, uint32_t at, const eb_expr *e) {
    if (!eb_type_is(e->type, EB_TYPE_POINTER))
        return;
    const eb_decl *decl = local_of(e);
    if (!decl || decl->name == UINT32_MAX)
        return;
    eb_str text = eb_name_text(u, decl->name);
    eb_warn_at(u, at, EB_DIAG_STACK_ADDRESS, e->lo, e->hi, (int)text.len, text.at);
}

void eb_check_packed(eb_unit *u, const eb_expr *e, eb_type *to) {
    const eb_expr *a = eb_plain(e);
    if (a->kind != EB_EXPR_ADDRESS || a->a->kind != EB_EXPR_MEMBER ||
        !eb_type_is(to, EB_TYPE_POINTER))
        return;
    eb_type *target = eb_type_plain(to)->base;
    if (eb_type_is(target, EB_TYPE_VOID) || !eb_type_is_complete(target))
        return;
    const eb_type *record = eb_type_plain(a->a->a->type);
    bool packed = false;
    const eb_member *member = NULL;
    uint64_t offset = 0;
    uint32_t align = 0;
    for (uint32_t n = 0; n < a->a->of.path.length; n++) {
        member = &record->of.record->members.at[a->a->of.path.at[n]];
        packed = packed || record->of.record->packed || member->packed;
        align = n ? align : record->of.record->align;
        offset += member->offset / 8;
        record = eb_type_plain(member->type);
    }
    uint32_t wanted = eb_type_align(target);
    if (!packed || !member->name || wanted <= 1 || (align >= wanted && offset % wanted == 0))
        return;
    eb_str text = eb_name_text(u, member->name - 1);
    eb_warn(u, EB_DIAG_PACKED_ADDRESS, a->lo, a->hi, (int)text.len, text.at, eb_type_string(u, to));
}

void eb_check_field(eb_unit *u, uint32_t at, const eb_init *init) {
    if (init->bits)
        constant_changed(u, at, eb_plain(init->expr), init->type, init->bits);
}

/* p + 1 of what has no size. */
static void void_arithmetic(eb_unit *u, uint32_t at, const eb_expr *e, const eb_expr *a) {
    eb_type *to = eb_type_is(a->type, EB_TYPE_POINTER) ? eb_type_plain(a->type)->base : NULL;
    if (to && (eb_type_is(to, EB_TYPE_VOID) || eb_type_is(to, EB_TYPE_FUNCTION)))
        eb_warn_at(u, at, EB_DIAG_VOID_ARITHMETIC, e->lo, e->hi, eb_type_string(u, a->type));
}

/* ---- one node ---- */

void eb_check_node(eb_unit *u, uint32_t at, const eb_expr *e, bool live) {
    if (eb_expr_is_error(e))
        return;
    if (e->kind == EB_EXPR_BINARY) {
        unsigned bound = eb_binding_of(e->op);
        uint64_t divisor;
        precedence(u, at, e);
        if (!live)
            return;
        eb_check_logic(u, at, e);
        if (e->op != EB_TOK_ANDAND && e->op != EB_TOK_OROR)
            eb_check_sequence(u, at, e);
        if (e->op == EB_TOK_PLUS || e->op == EB_TOK_MINUS)
            void_arithmetic(u, at, e, e->a);
        if (bound > 2 && bound != 6 && bound != 7) {
            eb_check_conversion(u, at, e->a);
            if (bound != 8)
                eb_check_conversion(u, at, e->b);
        }
        if (bound == 6 || bound == 7)
            compared(u, at, e);
        else if (bound == 8)
            shifted(u, at, e->a, e->b);
        else if ((e->op == EB_TOK_SLASH || e->op == EB_TOK_PERCENT) &&
                 eb_number_of(e->b, &divisor) && !divisor)
            eb_warn_at(u, at, EB_DIAG_ZERO_DIVISOR, e->lo, e->hi);
        else if (e->op == EB_TOK_PLUS || e->op == EB_TOK_MINUS || e->op == EB_TOK_STAR)
            overflown(u, at, e);
    } else if (e->kind == EB_EXPR_STEP ||
               (e->kind == EB_EXPR_UPDATE && (e->op == EB_TOK_PLUS || e->op == EB_TOK_MINUS))) {
        void_arithmetic(u, at, e, e->a);
    } else if (e->kind == EB_EXPR_CAST && e->written) {
        cast(u, at, e);
        eb_check_cast(u, at, e);
    } else if (e->kind == EB_EXPR_CAST && live) {
        const eb_expr *a = eb_plain(e->a);
        if (eb_type_is(a->type, EB_TYPE_ENUM) && eb_type_is(e->type, EB_TYPE_ENUM) &&
            eb_type_plain(a->type) != eb_type_plain(e->type))
            eb_warn_at(u, at, EB_DIAG_ENUM_CONVERSION, a->lo, a->hi, eb_type_string(u, a->type),
                       eb_type_string(u, e->type));
        if (a == e->a && eb_type_size(e->type) < eb_type_size(a->type))
            constant_changed(u, at, a, e->type, 0);
    } else if (e->kind == EB_EXPR_UPDATE && (e->op == EB_TOK_AND || e->op == EB_TOK_OR) && live &&
               eb_plain(e->b)->kind == EB_EXPR_LOAD && e->a->kind == EB_EXPR_DECL &&
               eb_same_place(e->a, eb_plain(e->b)->a) && !eb_in_macro(u, e->lo)) {
        eb_str text = eb_name_text(u, e->a->of.decl->name);
        eb_warn_at(u, at, EB_DIAG_SELF_ASSIGN, e->lo, e->hi, (int)text.len, text.at);
    } else if (e->kind == EB_EXPR_UPDATE && (e->op == EB_TOK_SHL || e->op == EB_TOK_SHR) && live) {
        uint64_t by;
        if (eb_number_of(e->b, &by) && by >= eb_type_size(e->of.common) * 8)
            shifted(u, at, e, e->b);
    } else if (e->kind == EB_EXPR_UPDATE && live &&
               (e->op == EB_TOK_SLASH || e->op == EB_TOK_PERCENT)) {
        uint64_t divisor;
        if (eb_number_of(e->b, &divisor) && !divisor)
            eb_warn_at(u, at, EB_DIAG_ZERO_DIVISOR, e->lo, e->hi);
    } else if (e->kind == EB_EXPR_ASSIGN && live) {
        eb_check_conversion(u, at, e->b);
        eb_check_sequence(u, at, e);
        if (eb_same_place(e->a, e->b->kind == EB_EXPR_LOAD ? e->b->a : e->b) &&
            e->a->kind == EB_EXPR_DECL && !eb_in_macro(u, e->lo)) {
            eb_str text = eb_name_text(u, e->a->of.decl->name);
            eb_warn_at(u, at, EB_DIAG_SELF_ASSIGN, e->lo, e->hi, (int)text.len, text.at);
        }
        const eb_member *field = e->a->kind == EB_EXPR_MEMBER ? eb_member_of(e->a) : NULL;
        if (field && field->is_field)
            constant_changed(u, at, eb_plain(e->b), field->type, field->bits);
    } else if (e->kind == EB_EXPR_INDEX && live) {
        bounds(u, at, e, false);
    } else if (e->kind == EB_EXPR_ADDRESS && e->a->kind == EB_EXPR_INDEX && live) {
        bounds(u, at, e->a, true);
    } else if (e->kind == EB_EXPR_DEREF && live && e->lo < e->a->lo) {
        eb_constant c = eb_constant_of(e->a);
        if (c.kind == EB_CONSTANT_NUMBER && !c.value && !(eb_type_quals(e->type) & EB_VOLATILE))
            eb_warn_at(u, at, EB_DIAG_NULL_DEREFERENCE, e->lo, e->hi);
    } else if (e->kind == EB_EXPR_CALL && live) {
        for (uint32_t n = 0; n < e->of.args.count; n++)
            eb_check_conversion(u, at, e->of.args.at[n]);
        eb_check_call(u, at, e);
    } else if (e->kind == EB_EXPR_COND && e->b && live) {
        eb_check_conversion(u, at, e->b);
        eb_check_conversion(u, at, e->c);
    }
}

/* ---- conditions, and values that nobody uses ---- */

/* The '=' stands behind what is assigned to, unless that is in a macro. */
static void assigned(eb_unit *u, uint32_t at, const eb_expr *e) {
    eb_diag *diag = eb_warn_at(u, at, EB_DIAG_ASSIGN_CONDITION, e->lo, e->hi);
    eb_loc behind = e->a->hi;
    eb_place place = eb_place_of(u->ctx, behind);
    uint32_t from = place.column - 1;
    for (uint32_t n = from; diag && place.source && n < place.text.len; n++) {
        eb_loc op = behind + n - from;
        if (place.text.at[n] == '=')
            eb_diag_fixit(u->ctx, diag, op, op + 1, EB_STR("=="));
        if (place.text.at[n] != ' ')
            return;
    }
}

/* A condition, or the right operand of && or || in one. */
static void check_truth(eb_unit *u, uint32_t at, const eb_expr *e) {
    if (e->kind == EB_EXPR_ASSIGN && !e->parens)
        assigned(u, at, e);
    while (e->kind == EB_EXPR_UNARY && e->op == EB_TOK_NOT)
        e = e->a;
    if (e->kind == EB_EXPR_BINARY && (e->op == EB_TOK_ANDAND || e->op == EB_TOK_OROR)) {
        check_truth(u, at, e->b);
        return;
    }
    const eb_decl *decl = addressed(e);
    if (!decl || decl->name == UINT32_MAX)
        return;
    eb_str text = eb_name_text(u, decl->name);
    eb_warn_at(u, at, EB_DIAG_POINTER_TRUE, e->lo, e->hi, (int)text.len, text.at);
}

void eb_check_condition(eb_unit *u, uint32_t at, const eb_expr *e) {
    eb_check_equality_parens(u, at, e);
    check_truth(u, at, e);
}

static void result_unused(eb_unit *u, uint32_t at, const eb_expr *e) {
    const eb_decl *decl = eb_called(e);
    if (!decl || !decl->attrs.must_use)
        return;
    eb_str text = eb_name_text(u, decl->name);
    eb_warn_at(u, at, EB_DIAG_UNUSED_RESULT, e->lo, e->hi, (int)text.len, text.at);
}

void eb_check_unused(eb_unit *u, uint32_t at, const eb_expr *e) {
    e = eb_plain(e);
    if (eb_type_is(e->type, EB_TYPE_VOID) || eb_expr_is_error(e))
        return;
    eb_diag_code code = EB_DIAG_UNUSED_VALUE;
    switch (e->kind) {
    case EB_EXPR_CALL:
        result_unused(u, at, e);
        return;
    case EB_EXPR_BINARY:
        if (e->op == EB_TOK_ANDAND || e->op == EB_TOK_OROR) {
            eb_check_unused(u, at, e->b);
            return;
        }
        if (eb_binding_of(e->op) == 6 || eb_binding_of(e->op) == 7)
            code = EB_DIAG_UNUSED_COMPARISON;
        break;
    case EB_EXPR_COND:
        if (!e->b)
            return;
        eb_check_unused(u, at, e->b);
        eb_check_unused(u, at, e->c);
        return;
    case EB_EXPR_COMMA:
        eb_check_unused(u, at, e->b);
        return;
    case EB_EXPR_STATEMENTS: {
        const eb_stmt *last = e->of.body->body;
        while (last && last->next)
            last = last->next;
        if (last && last->kind == EB_STMT_EXPR && !eb_in_macro(u, e->lo))
            eb_check_unused(u, at, last->expr);
        return;
    }
    case EB_EXPR_LOAD:
    case EB_EXPR_DECAY:
        if (eb_type_quals(e->a->type) & EB_VOLATILE)
            return;
        break;
    case EB_EXPR_CAST:
    case EB_EXPR_NUMBER:
    case EB_EXPR_STRING:
    case EB_EXPR_UNARY:
    case EB_EXPR_ADDRESS:
        break;
    default:
        return;
    }
    if (!eb_in_macro(u, e->lo) || code == EB_DIAG_UNUSED_COMPARISON)
        eb_warn_at(u, at, code, e->lo, e->hi);
}

/* ---- switch ---- */

static eb_enum *switched(const eb_stmt *s) {
    const eb_expr *e = eb_plain(s->expr);
    return eb_type_is(e->type, EB_TYPE_ENUM) ? eb_type_plain(e->type)->of.enumeration : NULL;
}

static bool handles(const eb_stmt *s, int64_t value) {
    for (const eb_stmt *c = s->cases; c; c = c->cases)
        if (c->kind == EB_STMT_CASE && c->value <= value && value <= c->last)
            return true;
    return false;
}

static bool has_default(const eb_stmt *s) {
    for (const eb_stmt *c = s->cases; c; c = c->cases)
        if (c->kind == EB_STMT_DEFAULT)
            return true;
    return false;
}

enum { ENUM_MOST = 1000 }; /* more enumerators, or cases, are not compared */

bool eb_switch_is_full(const eb_stmt *s) {
    const eb_enum *e = switched(s);
    if (!e || !e->complete || !e->list.len || e->list.len > ENUM_MOST)
        return false;
    for (uint32_t n = 0; n < e->list.len; n++)
        if (!handles(s, e->list.at[n].value))
            return false;
    return true;
}

void eb_check_switch(eb_unit *u, const eb_stmt *s) {
    const eb_enum *e = switched(s);
    uint32_t missing = 0, first = 0, cases = 0;
    if (!e && !eb_expr_is_error(s->expr)) {
        const eb_expr *on = eb_plain(s->expr);
        bool truth = on->kind == EB_EXPR_UNARY && on->op == EB_TOK_NOT;
        truth = truth || (on->kind == EB_EXPR_BINARY && eb_range_of(on, 0).bits == 1);
        if (truth || eb_type_is(on->type, EB_TYPE_BOOL))
            eb_warn_at(u, s->at, EB_DIAG_SWITCH_BOOL, on->lo, on->hi);
    }
    for (const eb_stmt *c = s->cases; e && c && cases <= ENUM_MOST; c = c->cases)
        cases++;
    if (!e || !e->complete || e->list.len > ENUM_MOST || cases > ENUM_MOST)
        return;
    for (uint32_t n = 0; n < e->list.len && !has_default(s); n++)
        if (!handles(s, e->list.at[n].value) && !missing++)
            first = n;
    if (missing) {
        eb_str text = eb_name_text(u, e->list.at[first].name);
        eb_warn_at(u, s->at, EB_DIAG_SWITCH_MISSING, s->expr->lo, s->expr->hi, (unsigned)missing,
                   eb_type_string(u, e->type), (int)text.len, text.at);
    }
    for (const eb_stmt *c = s->cases; c; c = c->cases) {
        bool known = c->kind == EB_STMT_DEFAULT || c->value != c->last;
        for (uint32_t n = 0; n < e->list.len && !known; n++)
            known = e->list.at[n].value == c->value;
        if (!known)
            eb_warn_at(u, c->at, EB_DIAG_SWITCH_VALUE, c->lo, c->lo + 4,
                       eb_number_text(u, (uint64_t)c->value, e->integer),
                       eb_type_string(u, e->type));
    }
}

/* ---- declarations ---- */

void eb_warn_deprecated(eb_unit *u, const eb_decl *decl, eb_loc lo, eb_loc hi) {
    eb_str name = eb_name_text(u, decl->name), why = decl->attrs.deprecation;
    eb_diag *diag = eb_warn(u, EB_DIAG_DEPRECATED, lo, hi, (int)name.len, name.at,
                            why.len ? ": " : "", (int)why.len, why.len ? why.at : "");
    if (diag)
        eb_diag_note(u->ctx, diag, decl->lo, decl->hi, "it is declared here");
}

static bool is_variable(const eb_decl *decl) {
    return decl->kind == EB_DECL_PARAM ||
           (decl->kind == EB_DECL_VARIABLE && decl->storage != EB_STORAGE_EXTERN);
}

void eb_check_shadow(eb_unit *u, const eb_decl *decl) {
    const eb_decl *old = eb_bound(u, decl->name);
    if (!old || old == decl || !is_variable(decl) ||
        (old->kind != EB_DECL_VARIABLE && old->kind != EB_DECL_PARAM))
        return;
    eb_str text = eb_name_text(u, decl->name);
    eb_diag *diag = eb_warn(u, EB_DIAG_SHADOW, decl->lo, decl->hi, (int)text.len, text.at);
    if (diag)
        eb_diag_note(u->ctx, diag, old->lo, old->hi, "it is declared here");
}

void eb_check_prototype(eb_unit *u, const eb_decl *decl, eb_loc lo) {
    if (decl->storage == EB_STORAGE_STATIC || decl->is_inline || decl->lo != lo)
        return;
    eb_str text = eb_name_text(u, decl->name);
    eb_warn(u, EB_DIAG_NO_PROTOTYPE, lo, lo + (eb_loc)text.len, (int)text.len, text.at);
}

void eb_check_empty_declaration(eb_unit *u, const eb_spec *spec) {
    eb_type *plain_type = eb_type_plain(spec->type);
    bool names = plain_type->kind == EB_TYPE_ENUM || plain_type->kind == EB_TYPE_ERROR ||
                 (eb_type_is_record(plain_type) && plain_type->of.record->name);
    /* A typedef's name says nothing, even where it is that of a record. */
    if (!names || spec->type->kind == EB_TYPE_TYPEDEF || spec->type->kind == EB_TYPE_QUALIFIED ||
        spec->storage == EB_STORAGE_TYPEDEF)
        eb_warn(u, EB_DIAG_NO_DECLARATION, spec->lo, eb_behind(u));
    else if (spec->storage != EB_STORAGE_NONE)
        eb_warn(u, EB_DIAG_NO_STORAGE, spec->lo, eb_behind(u));
}

static void unused(eb_unit *u, const eb_decl *decl, eb_diag_code code) {
    eb_str text = eb_name_text(u, decl->name);
    eb_warn_at(u, decl->at, code, decl->lo, decl->hi, (int)text.len, text.at);
}

static void check_local(eb_unit *u, const eb_decl *decl) {
    bool exempt = decl->attrs.unused || decl->attrs.used || decl->attrs.cleanup ||
                  decl->name == UINT32_MAX || eb_type_is(decl->type, EB_TYPE_ERROR);
    if (exempt)
        return;
    if (decl->kind == EB_DECL_TYPEDEF) {
        if (!decl->is_referenced)
            unused(u, decl, EB_DIAG_UNUSED_TYPEDEF);
    } else if (decl->kind == EB_DECL_VARIABLE && decl->storage != EB_STORAGE_EXTERN) {
        if (!decl->is_referenced)
            unused(u, decl, EB_DIAG_UNUSED_VARIABLE);
        else if (!decl->reads && !decl->is_global && eb_type_is_scalar(decl->type))
            unused(u, decl, EB_DIAG_UNUSED_SET);
    }
}

void eb_check_locals(eb_unit *u, const eb_decl *function) {
    for (uint32_t n = 0; n < function->locals.len; n++)
        check_local(u, function->locals.at[n]);
    for (uint32_t n = 0; n < function->typedefs.len; n++)
        check_local(u, function->typedefs.at[n]);
    for (uint32_t n = 0; n < function->param_count; n++) {
        const eb_decl *param = function->params[n];
        if (param->name == UINT32_MAX || param->attrs.unused || function->attrs.naked ||
            eb_str_is(eb_name_text(u, param->name), "_"))
            continue;
        if (!param->is_referenced)
            unused(u, param, EB_DIAG_UNUSED_PARAMETER);
        else if (!param->reads && eb_type_is_scalar(param->type))
            unused(u, param, EB_DIAG_UNUSED_SET_PARAM);
    }
    for (uint32_t n = 0; n < function->labels.len; n++) {
        const eb_label *label = function->labels.at[n];
        eb_str text = eb_name_text(u, label->name);
        if (label->defined && !label->used && !label->unused)
            eb_warn_at(u, label->defined_at, EB_DIAG_UNUSED_LABEL, label->defined,
                       label->defined + (eb_loc)text.len, (int)text.len, text.at);
    }
}

static void check_function(eb_unit *u, const eb_decl *decl) {
    bool internal = decl->storage == EB_STORAGE_STATIC;
    if (!internal)
        return;
    if (!decl->is_defined && decl->is_used) {
        unused(u, decl, EB_DIAG_UNDEFINED_INTERNAL);
        return;
    }
    if (decl->is_used || decl->attrs.unused || decl->attrs.used)
        return;
    /* inline functions stand in headers, where it does not matter. */
    if (decl->is_inline && !eb_in_main_file(u, decl->lo))
        return;
    unused(u, decl, decl->is_referenced ? EB_DIAG_UNNEEDED : EB_DIAG_UNUSED_FUNCTION);
}

void eb_check_unit(eb_unit *u) {
    for (uint32_t n = 0; n < u->globals.len; n++) {
        const eb_decl *decl = u->globals.at[n];
        if (decl->kind == EB_DECL_FUNCTION) {
            check_function(u, decl);
            continue;
        }
        if (decl->storage != EB_STORAGE_STATIC || decl->is_used || decl->attrs.unused ||
            decl->attrs.used)
            continue;
        bool constant = eb_type_quals(decl->type) & EB_CONST;
        if (!eb_in_main_file(u, decl->lo))
            continue;
        if (decl->is_referenced)
            unused(u, decl, EB_DIAG_UNNEEDED);
        else
            unused(u, decl, constant ? EB_DIAG_UNUSED_CONST : EB_DIAG_UNUSED_VARIABLE);
    }
}
