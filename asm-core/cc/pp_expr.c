/* pp_expr.c - the conditions of #if: constant expressions over 64-bit integers (C11 6.10.1).
 * Operands that are not evaluated (1 || 1/0) may be wrong. */
#include "pp.h"

#include "literal.h"

enum { NESTING_MOST = 200 };

typedef struct value {
    uint64_t bits;
    bool is_unsigned;
} value;

typedef struct reader {
    eb_pp *pp;
    const eb_tok *at, *end;
    eb_loc loc; /* where the expression ends, for what is missing there */
    uint32_t depth;
    bool failed;
} reader;

static eb_tok peek(const reader *r) {
    return r->at < r->end ? *r->at : (eb_tok){.loc = r->loc};
}

static value fail(reader *r, eb_loc loc, const char *what) {
    if (!r->failed)
        eb_diag_add(r->pp->ctx, EB_DIAG_EXPECTED, loc, loc + 1, what);
    r->failed = true;
    return (value){0};
}

static value ternary(reader *r, bool live);

static value primary(reader *r, bool live) {
    eb_tok tok = peek(r);
    eb_str text = eb_tok_text(&r->pp->words, tok);
    value v = {0};
    if (r->at < r->end)
        r->at++;
    if (tok.kind == EB_TOK_LPAREN) {
        v = ternary(r, live);
        if (peek(r).kind != EB_TOK_RPAREN)
            return fail(r, peek(r).loc, "')'");
        r->at++;
        return v;
    }
    if (tok.kind == EB_TOK_NAME) { /* what no macro replaced */
        if (live)
            eb_pp_warn(r->pp, EB_DIAG_UNDEFINED_MACRO, tok.loc, tok.loc + (eb_loc)text.len,
                       (int)text.len, text.at);
        return v;
    }
    if (tok.kind == EB_TOK_CHAR) {
        eb_char_literal c =
            eb_char_of(r->pp->ctx, text, tok.loc, r->pp->dialect & EBPF_CC_UNSIGNED_CHAR);
        return (value){(uint64_t)c.value, c.is_unsigned};
    }
    if (tok.kind == EB_TOK_NUMBER) {
        eb_integer n;
        if (!eb_integer_of(text, &n))
            return fail(r, tok.loc, "an integer");
        return (value){n.value, n.is_unsigned || n.value > INT64_MAX};
    }
    return fail(r, tok.loc, "a number, a name or '('");
}

static value unary(reader *r, bool live) {
    eb_tok tok = peek(r);
    if (tok.kind != EB_TOK_PLUS && tok.kind != EB_TOK_MINUS && tok.kind != EB_TOK_TILDE &&
        tok.kind != EB_TOK_NOT)
        return primary(r, live);
    if (r->depth >= NESTING_MOST)
        eb_fail(&r->pp->ctx->arena, EBPF_E_LIMIT);
    r->depth++;
    r->at++;
    value v = unary(r, live);
    r->depth--;
    if (tok.kind == EB_TOK_MINUS)
        v.bits = 0 - v.bits;
    else if (tok.kind == EB_TOK_TILDE)
        v.bits = ~v.bits;
    else if (tok.kind == EB_TOK_NOT)
        v = (value){v.bits == 0, false};
    return v;
}

static value divide(reader *r, eb_tok op, value a, value b, bool live) {
    bool is_unsigned = a.is_unsigned || b.is_unsigned;
    if (b.bits == 0) {
        if (live && !r->failed)
            eb_diag_add(r->pp->ctx, EB_DIAG_DIVISION_BY_ZERO, op.loc, op.loc + 1);
        r->failed = r->failed || live;
        return (value){0, is_unsigned};
    }
    bool remainder = op.kind == EB_TOK_PERCENT;
    if (is_unsigned)
        return (value){remainder ? a.bits % b.bits : a.bits / b.bits, true};
    if (b.bits == UINT64_MAX) /* INT64_MIN / -1 does not fit */
        return (value){remainder ? 0 : 0 - a.bits, false};
    int64_t x = (int64_t)a.bits, y = (int64_t)b.bits;
    return (value){(uint64_t)(remainder ? x % y : x / y), false};
}

static value shift(bool left, value a, value b) {
    uint64_t by = b.bits;
    if (!b.is_unsigned && (int64_t)by < 0) { /* as compilers do: the other way round */
        left = !left;
        by = 0 - by;
    }
    bool negative = !a.is_unsigned && (int64_t)a.bits < 0;
    if (by > 63)
        return (value){!left && negative ? UINT64_MAX : 0, a.is_unsigned};
    if (left)
        return (value){a.bits << by, a.is_unsigned};
    uint64_t sign = negative && by ? ~(UINT64_MAX >> by) : 0;
    return (value){a.bits >> by | sign, a.is_unsigned};
}

static bool less(value a, value b) {
    if (a.is_unsigned || b.is_unsigned)
        return a.bits < b.bits;
    return (int64_t)a.bits < (int64_t)b.bits;
}

static value binary(reader *r, eb_tok op, value a, value b, bool live) {
    bool is_unsigned = a.is_unsigned || b.is_unsigned;
    switch (op.kind) { /* one case per row */
    case EB_TOK_STAR:
        return (value){a.bits * b.bits, is_unsigned};
    case EB_TOK_SLASH:
    case EB_TOK_PERCENT:
        return divide(r, op, a, b, live);
    case EB_TOK_PLUS:
        return (value){a.bits + b.bits, is_unsigned};
    case EB_TOK_MINUS:
        return (value){a.bits - b.bits, is_unsigned};
    case EB_TOK_SHL:
    case EB_TOK_SHR:
        return shift(op.kind == EB_TOK_SHL, a, b);
    case EB_TOK_LT:
        return (value){less(a, b), false};
    case EB_TOK_LE:
        return (value){!less(b, a), false};
    case EB_TOK_GT:
        return (value){less(b, a), false};
    case EB_TOK_GE:
        return (value){!less(a, b), false};
    case EB_TOK_EQ:
        return (value){a.bits == b.bits, false};
    case EB_TOK_NE:
        return (value){a.bits != b.bits, false};
    case EB_TOK_AND:
        return (value){a.bits & b.bits, is_unsigned};
    case EB_TOK_XOR:
        return (value){a.bits ^ b.bits, is_unsigned};
    case EB_TOK_OR:
        return (value){a.bits | b.bits, is_unsigned};
    case EB_TOK_ANDAND:
        return (value){a.bits && b.bits, false};
    default:
        return (value){a.bits || b.bits, false};
    }
}

/* Operators that bind at least as tightly as `least`. */
static value climb(reader *r, unsigned least, bool live) {
    value a = unary(r, live);
    for (unsigned bound; !r->failed && (bound = eb_binding_of(peek(r).kind)) >= least && bound;) {
        eb_tok op = *r->at++;
        bool right = live;
        if (op.kind == EB_TOK_ANDAND)
            right = live && a.bits;
        else if (op.kind == EB_TOK_OROR)
            right = live && !a.bits;
        a = binary(r, op, a, climb(r, bound + 1, right), right);
    }
    return a;
}

static value ternary(reader *r, bool live) {
    if (r->depth >= NESTING_MOST)
        eb_fail(&r->pp->ctx->arena, EBPF_E_LIMIT);
    r->depth++;
    value a = climb(r, 1, live);
    if (!r->failed && peek(r).kind == EB_TOK_QUESTION) {
        r->at++;
        value yes = ternary(r, live && a.bits);
        if (peek(r).kind != EB_TOK_COLON)
            return fail(r, peek(r).loc, "':'");
        r->at++;
        value no = ternary(r, live && !a.bits);
        bool is_unsigned = yes.is_unsigned || no.is_unsigned;
        a = (value){a.bits ? yes.bits : no.bits, is_unsigned};
    }
    r->depth--;
    return a;
}

/* `defined NAME` and `defined(NAME)`, also made by macros, as 1 or 0. */
static eb_toks without_defined(eb_pp *pp, eb_toks toks, bool *failed) {
    eb_toks out = {0};
    for (uint32_t n = 0; n < toks.len; n++) {
        eb_tok tok = toks.at[n];
        if (tok.kind == EB_TOK_NAME && tok.value == pp->name_defined) {
            bool paren = n + 1 < toks.len && toks.at[n + 1].kind == EB_TOK_LPAREN;
            uint32_t name = n + 1 + paren;
            if (name >= toks.len || toks.at[name].kind != EB_TOK_NAME ||
                (paren && (name + 1 >= toks.len || toks.at[name + 1].kind != EB_TOK_RPAREN))) {
                eb_diag_add(pp->ctx, EB_DIAG_EXPECTED, tok.loc, tok.loc + 7,
                            "a macro's name behind 'defined'");
                *failed = true;
                return out;
            }
            bool is = pp->words.names.at[toks.at[name].value].macro != 0;
            tok.kind = EB_TOK_NUMBER;
            tok.value = eb_spelling_enter(&pp->words, is ? EB_STR("1") : EB_STR("0"));
            n = name + paren;
        }
        *EB_PUSH(&pp->ctx->arena, &out) = tok;
    }
    return out;
}

bool eb_pp_number(eb_pp *pp, eb_toks toks, eb_loc loc, uint64_t *out) {
    bool failed = false, evaluating = pp->evaluating, after_defined = pp->after_defined;
    *out = 0;
    pp->evaluating = true;
    pp->after_defined = false;
    toks = eb_pp_expand(pp, toks.at, toks.len);
    pp->evaluating = evaluating;
    pp->after_defined = after_defined;
    toks = without_defined(pp, toks, &failed);
    if (failed || pp->wanted)
        return false;
    if (toks.len)
        loc = toks.at[toks.len - 1].loc;
    reader r = {
        .pp = pp, .at = toks.at, .end = toks.len ? toks.at + toks.len : toks.at, .loc = loc};
    *out = ternary(&r, true).bits;
    if (!r.failed && r.at < r.end)
        fail(&r, r.at->loc, "an operator or the end of the line");
    return !r.failed;
}

bool eb_pp_condition(eb_pp *pp, eb_toks toks, eb_loc loc) {
    uint64_t bits;
    return eb_pp_number(pp, toks, loc, &bits) && bits != 0;
}
