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
    uint32_t number =
        eb_str_is(name, ".") ? eb_asm_here(as) : eb_asm_label(as, name, token->lo, token->hi);
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
    } else if (token->kind == EB_TOKEN_PUNCT && token->text.len == 1) {
        char c = token->text.at[0];
        if (c == '(') {
            ok = parse_binary(p, 1, out) && eb_asm_accept(as, ")");
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

static const struct {
    const char *text;
    int level; /* C's precedence, higher binds tighter */
} operators[] = {
    {"||", 1}, {"&&", 2}, {"|", 3},  {"^", 4},  {"&", 5},  {"==", 6},
    {"!=", 6}, {"<", 7},  {"<=", 7}, {">", 7},  {">=", 7}, {"<<", 8},
    {">>", 8}, {"+", 9},  {"-", 9},  {"*", 10}, {"/", 10}, {"%", 10},
};

static int operator_at(const eb_asm *as) {
    const eb_token *token = eb_asm_peek(as);
    if (token->kind == EB_TOKEN_PUNCT)
        for (int i = 0; i < (int)(sizeof operators / sizeof *operators); i++)
            if (eb_str_is(token->text, operators[i].text))
                return i;
    return -1;
}

static bool divide(parser *p, char op, const eb_expr *b, int64_t *a) {
    if (b->value == 0) {
        fail(p, EB_DIAG_DIVISION_BY_ZERO, b);
        return false;
    }
    if (b->value == -1) /* INT64_MIN / -1 overflows */
        *a = op == '/' ? (int64_t)(0 - (uint64_t)*a) : 0;
    else
        *a = op == '/' ? *a / b->value : *a % b->value;
    return true;
}

/* a OP b for constants. */
static bool combine(parser *p, eb_str op, eb_expr *a, const eb_expr *b) {
    uint64_t x = (uint64_t)a->value, y = (uint64_t)b->value;
    char first = op.at[0], second = op.len > 1 ? op.at[1] : 0;
    switch (first) {
    case '*':
        a->value = (int64_t)(x * y);
        return true;
    case '/':
    case '%':
        return divide(p, first, b, &a->value);
    case '|':
        a->value = second ? (x || y) : (int64_t)(x | y);
        return true;
    case '&':
        a->value = second ? (x && y) : (int64_t)(x & y);
        return true;
    case '^':
        a->value = (int64_t)(x ^ y);
        return true;
    case '=':
        a->value = x == y ? -1 : 0; /* true is all ones, as in GNU as and LLVM */
        return true;
    case '!':
        a->value = x != y ? -1 : 0;
        return true;
    default: /* < <= << > >= >> */
        if (second == first)
            a->value = (int64_t)(y > 63 ? 0 : first == '<' ? x << y : x >> y);
        else if (first == '<')
            a->value = (second ? a->value <= b->value : a->value < b->value) ? -1 : 0;
        else
            a->value = (second ? a->value >= b->value : a->value > b->value) ? -1 : 0;
        return true;
    }
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
    if (!parse_unary(p, out))
        return false;
    for (;;) {
        eb_asm *as = p->as;
        int op = operator_at(as);
        if (op < 0 || operators[op].level < least)
            return true;
        eb_str text = eb_asm_peek(as)->text;
        eb_expr right;
        uint32_t before = as->at++;
        if (!parse_binary(p, operators[op].level + 1, &right)) {
            as->at = before; /* what follows the operator is not ours: `r1 + 2` `)` */
            return false;
        }
        out->hi = right.hi;
        bool ok;
        if (operators[op].level == 9) {
            ok = add(p, text.at[0] == '-', out, &right);
        } else if (out->plus || out->minus || right.plus || right.minus) {
            fail(p, EB_DIAG_NOT_CONSTANT, out);
            ok = false;
        } else {
            ok = combine(p, text, out, &right);
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
    return parse_binary(&p, 1, expr);
}

bool eb_asm_constant(eb_asm *as, int64_t *value) {
    parser p = {.as = as};
    eb_expr expr;
    uint32_t start = as->at;
    if (!parse_binary(&p, 1, &expr)) {
        if (!p.failed) {
            as->at = start;
            eb_asm_expected(as, "a number");
        }
        return false;
    }
    if (!eb_asm_settle(as, &expr)) {
        eb_diag_add(as->ctx, EB_DIAG_NOT_CONSTANT, expr.lo, expr.hi);
        return false;
    }
    *value = expr.value;
    return true;
}
