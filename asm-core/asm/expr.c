/* expr.c - expressions over tokens: C's operators with C's precedence, numbers, labels, ".".
 *
 * A value is `label - label + constant`. Labels may only be added to and subtracted; everything
 * else needs constants. Arithmetic is 64 bits and wraps, as in other assemblers. */
#include "asm.h"

enum { DEPTH_MOST = 64 };

typedef struct parser {
    eb_asm *as;
    unsigned depth;
    bool failed; /* a diagnostic was given */
} parser;

static bool parse_binary(parser *p, int least, eb_expr *out);

static void fail(parser *p, eb_diag_code code, const eb_expr *where) {
    if (!p->failed)
        eb_diag_add(p->as->ctx, code, where->lo, where->hi, (unsigned)DEPTH_MOST);
    p->failed = true;
}

static bool parse_label(parser *p, const eb_token *token, eb_expr *out) {
    eb_asm *as = p->as;
    eb_str name = token->text;
    if (token->kind == EB_TOKEN_LOCAL) {
        eb_str key = eb_str_fmt(&as->ctx->arena, "%llu", (unsigned long long)token->value);
        uint32_t *count = eb_map_find(&as->locals, key);
        uint32_t nth = (count ? *count : 0) + !token->back;
        name = eb_str_fmt(&as->ctx->arena, "%s\1%u", key.at, nth);
    }
    uint32_t number = eb_str_is(name, ".")            ? eb_asm_here(as)
                      : token->kind == EB_TOKEN_LOCAL ? eb_asm_label(as, name, token->lo, token->hi)
                                                      : eb_asm_label_at(as, token);
    const eb_label *label = &as->labels.at[number];
    if (label->section == EB_SHN_ABS)
        out->value = (int64_t)label->value;
    else
        out->plus = number + 1;
    return true;
}

static bool parse_unary(parser *p, eb_expr *out) {
    eb_asm *as = p->as;
    const eb_token *token = eb_asm_peek(as);
    *out = (eb_expr){.lo = token->lo, .hi = token->hi};
    if (++p->depth > DEPTH_MOST) {
        fail(p, EB_DIAG_TOO_DEEP, out);
        return false;
    }
    bool ok = true;
    uint32_t start = as->at++;
    if (token->kind == EB_TOKEN_NUMBER) {
        out->value = (int64_t)token->value;
    } else if (token->kind == EB_TOKEN_WORD || token->kind == EB_TOKEN_LOCAL ||
               token->kind == EB_TOKEN_STRING) {
        ok = parse_label(p, token, out);
    } else if (token->kind == EB_TOKEN_PUNCT) {
        uint8_t c = token->punct;
        if (c == '(') {
            ok = parse_binary(p, 1, out) && eb_asm_accept(as, ')');
        } else if (c == '-' || c == '+' || c == '~' || c == '!') {
            ok = parse_unary(p, out);
            if (ok && c != '+' && (out->plus || out->minus)) {
                fail(p, EB_DIAG_NOT_CONSTANT, out);
                ok = false;
            }
            uint64_t v = (uint64_t)out->value;
            out->value = (int64_t)(c == '-' ? 0 - v : c == '~' ? ~v : c == '!' ? !v : v);
            out->lo = token->lo;
        } else {
            ok = false;
        }
    } else {
        ok = false;
    }
    if (ok)
        out->hi = as->tokens.at[as->at - 1].hi;
    else
        as->at = start;
    p->depth--;
    return ok;
}

/* C's precedence by the code of the operator, higher binds tighter; 0 is none. */
static const uint8_t levels[256] = {
    [EB_MARK_OR] = 1, [EB_MARK_AND] = 2, ['|'] = 3,         ['^'] = 4, ['&'] = 5,
    [EB_MARK_EQ] = 6, [EB_MARK_NE] = 6,  ['<'] = 7,         ['>'] = 7, [EB_MARK_LE] = 7,
    [EB_MARK_GE] = 7, [EB_MARK_SHL] = 8, [EB_MARK_SHR] = 8, ['+'] = 9, ['-'] = 9,
    ['*'] = 10,       ['/'] = 10,        ['%'] = 10,
};
enum { SUM = 9 };

static int level_at(const eb_token *token) {
    return token->kind == EB_TOKEN_PUNCT ? levels[token->punct] : 0;
}

static bool divide(parser *p, bool quotient, const eb_expr *b, int64_t *a) {
    if (b->value == 0) {
        fail(p, EB_DIAG_DIVISION_BY_ZERO, b);
        return false;
    }
    if (b->value == -1) /* INT64_MIN / -1 overflows */
        *a = quotient ? (int64_t)(0 - (uint64_t)*a) : 0;
    else
        *a = quotient ? *a / b->value : *a % b->value;
    return true;
}

/* a OP b for constants; a true comparison is all ones, as in GNU as and LLVM. */
static bool combine(parser *p, uint8_t op, eb_expr *left, const eb_expr *right) {
    int64_t a = left->value, b = right->value;
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    switch (op) {
    case '*':
        x *= y;
        break;
    case '/':
    case '%':
        return divide(p, op == '/', right, &left->value);
    case '|':
        x |= y;
        break;
    case '&':
        x &= y;
        break;
    case '^':
        x ^= y;
        break;
    case EB_MARK_OR:
        x = x || y;
        break;
    case EB_MARK_AND:
        x = x && y;
        break;
    case EB_MARK_SHL:
        x = y > 63 ? 0 : x << y;
        break;
    case EB_MARK_SHR:
        x = y > 63 ? 0 : x >> y;
        break;
    case EB_MARK_EQ:
        x = 0 - (uint64_t)(a == b);
        break;
    case EB_MARK_NE:
        x = 0 - (uint64_t)(a != b);
        break;
    case '<':
        x = 0 - (uint64_t)(a < b);
        break;
    case '>':
        x = 0 - (uint64_t)(a > b);
        break;
    case EB_MARK_LE:
        x = 0 - (uint64_t)(a <= b);
        break;
    default: /* >= */
        x = 0 - (uint64_t)(a >= b);
        break;
    }
    left->value = (int64_t)x;
    return true;
}

static bool add(parser *p, bool minus, eb_expr *a, const eb_expr *b) {
    uint32_t plus = minus ? b->minus : b->plus, less = minus ? b->plus : b->minus;
    if ((a->plus && plus) || (a->minus && less)) {
        fail(p, EB_DIAG_NOT_CONSTANT, b);
        return false;
    }
    a->plus = a->plus ? a->plus : plus;
    a->minus = a->minus ? a->minus : less;
    uint64_t y = (uint64_t)b->value;
    a->value = (int64_t)((uint64_t)a->value + (minus ? 0 - y : y));
    eb_asm_settle(p->as, a);
    return true;
}

static bool parse_binary(parser *p, int least, eb_expr *out) {
    eb_asm *as = p->as;
    if (!parse_unary(p, out))
        return false;
    for (;;) {
        int level = level_at(eb_asm_peek(as));
        if (!level || level < least)
            return true;
        uint8_t op = eb_asm_peek(as)->punct;
        eb_expr right;
        uint32_t before = as->at++;
        if (!parse_binary(p, level + 1, &right)) {
            as->at = before; /* what follows the operator is not ours: `r1 + 2` `)` */
            return false;
        }
        out->hi = right.hi;
        bool ok;
        if (level == SUM) {
            ok = add(p, op == '-', out, &right);
        } else if (out->plus || out->minus || right.plus || right.minus) {
            fail(p, EB_DIAG_NOT_CONSTANT, out);
            ok = false;
        } else {
            ok = combine(p, op, out, &right);
        }
        if (!ok)
            return false;
    }
}

bool eb_asm_settle(const eb_asm *as, eb_expr *expr) {
    if (!expr->plus || !expr->minus)
        return !expr->plus && !expr->minus;
    const eb_label *a = &as->labels.at[expr->plus - 1], *b = &as->labels.at[expr->minus - 1];
    if (!a->defined || !b->defined || a->section != b->section)
        return false;
    expr->value = (int64_t)((uint64_t)expr->value + a->value - b->value);
    expr->plus = expr->minus = 0;
    return true;
}

bool eb_asm_expr(eb_asm *as, eb_expr *expr) {
    parser p = {.as = as};
    const eb_token *token = eb_asm_peek(as);
    if (token->kind == EB_TOKEN_NUMBER && !level_at(&token[1])) { /* nearly all of them */
        *expr = (eb_expr){.value = (int64_t)token->value, .lo = token->lo, .hi = token->hi};
        as->at++;
        return true;
    }
    return parse_binary(&p, 1, expr);
}

bool eb_asm_expr_of(eb_asm *as, eb_expr *expr, const char *what) {
    uint32_t start = as->at, errors = as->ctx->errors;
    if (eb_asm_expr(as, expr))
        return true;
    if (as->ctx->errors == errors) {
        as->at = start;
        eb_asm_expected(as, what);
    }
    return false;
}

bool eb_asm_constant(eb_asm *as, int64_t *value) {
    eb_expr expr;
    if (!eb_asm_expr_of(as, &expr, "a number"))
        return false;
    if (!eb_asm_settle(as, &expr)) {
        eb_diag_add(as->ctx, EB_DIAG_NOT_CONSTANT, expr.lo, expr.hi);
        return false;
    }
    *value = expr.value;
    return true;
}
