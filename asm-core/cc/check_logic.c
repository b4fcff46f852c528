/* check_logic.c - comparisons and conditions that are always so, or mean something else than they
 * look like. When is clang's choice; the groups are called as there. */
#include "check.h"

static bool is_comparing(unsigned op) {
    return eb_binding_of((uint8_t)op) == 6 || eb_binding_of((uint8_t)op) == 7;
}

bool eb_is_truth(const eb_expr *e) {
    e = eb_plain(e);
    if (e->kind == EB_EXPR_UNARY)
        return e->op == EB_TOK_NOT;
    if (e->kind == EB_EXPR_BINARY)
        return is_comparing(e->op) || e->op == EB_TOK_ANDAND || e->op == EB_TOK_OROR;
    return eb_type_is(e->type, EB_TYPE_BOOL);
}

/* !a == b */
static void not_compared(eb_unit *u, uint32_t at, const eb_expr *e) {
    const eb_expr *a = eb_plain(e->a);
    if (a->kind != EB_EXPR_UNARY || a->op != EB_TOK_NOT || a->parens || eb_is_truth(e->b) ||
        eb_is_truth(a->a))
        return;
    eb_warn_at(u, at, EB_DIAG_NOT_MIXED, a->lo, a->hi,
               eb_tok_text(u->words, (eb_tok){.kind = e->op}).at);
}

/* a < b < c */
static void chained(eb_unit *u, uint32_t at, const eb_expr *e) {
    const eb_expr *a = eb_plain(e->a);
    if (eb_binding_of(e->op) == 7 && a->kind == EB_EXPR_BINARY && !a->parens &&
        eb_binding_of(a->op) == 7)
        eb_warn_at(u, at, EB_DIAG_COMPARE_CHAIN, e->lo, e->hi);
}

/* (a & 8) == 4, (a | 8) == 4 */
static void bits_compared(eb_unit *u, uint32_t at, const eb_expr *e) {
    const eb_expr *a = eb_plain(e->a);
    uint64_t with, mask;
    if (!eb_number_of(e->b, &with) || a->kind != EB_EXPR_BINARY ||
        (a->op != EB_TOK_AND && a->op != EB_TOK_OR) ||
        (!eb_number_of(a->b, &mask) && !eb_number_of(a->a, &mask)) || eb_in_macro(u, e->lo))
        return;
    if (a->op == EB_TOK_AND ? with & ~mask : mask & ~with)
        eb_warn_at(u, at, EB_DIAG_COMPARE_MASK, e->lo, e->hi,
                   e->op == EB_TOK_NE ? "true" : "false");
}

/* A variable against a constant: the values for which it holds, as low to high, or all others. */
typedef struct span {
    const eb_expr *of;
    int64_t low, high;
    bool others;
} span;

static bool span_of(const eb_expr *e, span *s) {
    e = eb_plain(e);
    uint64_t value;
    if (e->kind != EB_EXPR_BINARY || !is_comparing(e->op) || !eb_number_of(e->b, &value) ||
        eb_plain(e->a)->kind != EB_EXPR_LOAD || eb_plain(e->a)->a->kind != EB_EXPR_DECL ||
        eb_type_is_unsigned(e->a->type))
        return false;
    int64_t number = (int64_t)value;
    *s = (span){eb_plain(e->a), INT64_MIN, INT64_MAX, e->op == EB_TOK_NE};
    if (e->op == EB_TOK_EQ || e->op == EB_TOK_NE)
        s->low = s->high = number;
    else if (e->op == EB_TOK_GT || e->op == EB_TOK_GE)
        s->low = number + (e->op == EB_TOK_GT && number < INT64_MAX);
    else
        s->high = number - (e->op == EB_TOK_LT && number > INT64_MIN);
    return true;
}

/* a > 5 && a < 3, a != 1 || a != 2 */
static void overlapping(eb_unit *u, uint32_t at, const eb_expr *e) {
    span a, b;
    if (!span_of(e->a, &a) || !span_of(e->b, &b) || !eb_same_place(a.of, b.of) ||
        eb_in_macro(u, e->lo))
        return;
    bool apart = a.high < b.low || b.high < a.low, both = e->op == EB_TOK_ANDAND, always = false;
    if (both)
        always = !a.others && !b.others && apart;
    else if (a.others && b.others)
        always = apart;
    else if (!a.others && !b.others)
        always =
            (a.low == INT64_MIN && b.high == INT64_MAX && b.low <= a.high + (a.high < INT64_MAX)) ||
            (b.low == INT64_MIN && a.high == INT64_MAX && a.low <= b.high + (b.high < INT64_MAX));
    if (always)
        eb_warn_at(u, at, EB_DIAG_COMPARE_OVERLAP, e->lo, e->hi, both ? "false" : "true");
}

/* a || 4 */
static void constant_operand(eb_unit *u, uint32_t at, const eb_expr *e) {
    const eb_expr *b = eb_plain(e->b);
    uint64_t value;
    if (!eb_type_is_integer(eb_plain(e->a)->type) ||
        eb_type_is(eb_plain(e->a)->type, EB_TYPE_BOOL) || eb_is_truth(e->a) || eb_is_truth(b) ||
        !eb_number_of(b, &value) || value <= 1 || eb_in_macro(u, e->lo) || eb_in_macro(u, b->lo))
        return;
    eb_warn_at(u, at, EB_DIAG_LOGICAL_CONSTANT, b->lo, b->hi, e->op == EB_TOK_ANDAND ? "&&" : "||",
               e->op == EB_TOK_ANDAND ? "&" : "|");
}

/* Strings compared by their addresses. */
static bool is_string(const eb_expr *e) {
    e = eb_plain(e);
    return e->kind == EB_EXPR_DECAY && e->a->kind == EB_EXPR_STRING;
}

/* 2 ^ 8 */
static void powered(eb_unit *u, uint32_t at, const eb_expr *e) {
    uint64_t a, b;
    if (e->a->kind != EB_EXPR_NUMBER || e->b->kind != EB_EXPR_NUMBER || !eb_number_of(e->a, &a) ||
        !eb_number_of(e->b, &b) || (a != 2 && a != 10) || b > 63 || eb_in_macro(u, e->lo) ||
        eb_in_macro(u, e->b->lo) || e->a->hi - e->a->lo != (a == 2 ? 1u : 2u))
        return;
    eb_warn_at(u, at, EB_DIAG_XOR_POWER, e->lo, e->hi, (unsigned)a, (unsigned)b,
               (unsigned long long)(a ^ b));
}

static void shifted_constant(eb_unit *u, uint32_t at, const eb_expr *e) {
    uint64_t value, by;
    unsigned width = (unsigned)eb_type_size(e->type) * 8;
    if (e->op != EB_TOK_SHL || eb_type_is_unsigned(e->a->type) || !eb_number_of(e->a, &value) ||
        !eb_number_of(e->b, &by) || by >= width)
        return;
    if ((int64_t)value < 0)
        eb_warn_at(u, at, EB_DIAG_SHIFT_SIGNED, e->a->lo, e->a->hi,
                   eb_number_text(u, value, e->type));
    else if (value && eb_range_of(e->a, 0).bits + by > width)
        eb_warn_at(u, at, EB_DIAG_SHIFT_OVERFLOW, e->lo, e->hi,
                   eb_number_text(u, value, e->a->type), (unsigned)by, eb_type_string(u, e->type));
}

/* ---- what has no order ---- */

enum { SEARCH_MOST = 6 }; /* levels of an expression that are looked through */

/* Whether what is in an expression comes in an order by itself. */
static bool is_sequenced(const eb_expr *e) {
    return e->kind == EB_EXPR_COMMA || e->kind == EB_EXPR_COND || e->kind == EB_EXPR_STATEMENTS ||
           (e->kind == EB_EXPR_BINARY && (e->op == EB_TOK_ANDAND || e->op == EB_TOK_OROR));
}

/* The variable that ++ or -- changes in an expression. */
static const eb_decl *changed_in(const eb_expr *e, unsigned depth) {
    if (!e || depth > SEARCH_MOST || is_sequenced(e))
        return NULL;
    if (e->kind == EB_EXPR_STEP && e->a->kind == EB_EXPR_DECL)
        return e->a->of.decl;
    if (e->kind == EB_EXPR_STEP || e->kind == EB_EXPR_CALL || e->kind == EB_EXPR_BUILTIN)
        return NULL;
    const eb_decl *decl = changed_in(e->a, depth + 1);
    return decl ? decl : changed_in(e->b, depth + 1);
}

static bool is_used_in(const eb_expr *e, const eb_decl *decl, unsigned depth) {
    if (!e || depth > SEARCH_MOST || is_sequenced(e))
        return false;
    if (e->kind == EB_EXPR_DECL)
        return e->of.decl == decl;
    return e->kind != EB_EXPR_ADDRESS &&
           (is_used_in(e->a, decl, depth + 1) || is_used_in(e->b, decl, depth + 1));
}

void eb_check_sequence(eb_unit *u, uint32_t at, const eb_expr *e) {
    const eb_decl *decl = changed_in(e->b, 0);
    bool twice = decl && is_used_in(e->a, decl, 0);
    if (!twice && e->kind == EB_EXPR_BINARY) {
        decl = changed_in(e->a, 0);
        twice = decl && is_used_in(e->b, decl, 0);
    }
    if (!twice || decl->name == UINT32_MAX)
        return;
    eb_str text = eb_name_text(u, decl->name);
    eb_warn_at(u, at, EB_DIAG_UNSEQUENCED, e->lo, e->hi, (int)text.len, text.at);
}

void eb_check_logic(eb_unit *u, uint32_t at, const eb_expr *e) {
    if (is_comparing(e->op)) {
        not_compared(u, at, e);
        chained(u, at, e);
        if (e->op == EB_TOK_EQ || e->op == EB_TOK_NE) {
            bits_compared(u, at, e);
            if (is_string(e->a) || is_string(e->b))
                eb_warn_at(u, at, EB_DIAG_STRING_COMPARE, e->lo, e->hi);
        }
    } else if (e->op == EB_TOK_ANDAND || e->op == EB_TOK_OROR) {
        overlapping(u, at, e);
        constant_operand(u, at, e);
    } else if (e->op == EB_TOK_AND) {
        not_compared(u, at, e);
    } else if (e->op == EB_TOK_XOR) {
        powered(u, at, e);
    } else {
        shifted_constant(u, at, e);
    }
}

void eb_check_equality_parens(eb_unit *u, uint32_t at, const eb_expr *e) {
    if (e->kind == EB_EXPR_BINARY && e->op == EB_TOK_EQ && e->parens &&
        eb_plain(e->a)->kind == EB_EXPR_LOAD && !eb_in_macro(u, e->lo) &&
        !(eb_type_quals(eb_plain(e->a)->a->type) & EB_CONST))
        eb_warn_at(u, at, EB_DIAG_EQUALITY_PARENS, e->lo, e->hi);
}

void eb_check_empty_loop(eb_unit *u, const eb_stmt *loop) {
    const eb_stmt *body = loop->body, *next = loop->next;
    bool counts = (loop->kind == EB_STMT_FOR || loop->kind == EB_STMT_WHILE) && next && body &&
                  body->kind == EB_STMT_EMPTY && !body->falls_through;
    if (!counts || eb_in_macro(u, loop->lo) || eb_in_macro(u, body->lo) || eb_in_macro(u, next->lo))
        return;
    const eb_expr *last = loop->step ? loop->step : loop->expr;
    eb_place head = eb_place_of(u->ctx, last ? last->hi : loop->lo);
    if (head.line != eb_place_of(u->ctx, body->lo).line)
        return;
    if (next->kind == EB_STMT_BLOCK ||
        eb_place_of(u->ctx, next->lo).column > eb_place_of(u->ctx, loop->lo).column)
        eb_warn_at(u, body->at, EB_DIAG_EMPTY_BODY, body->lo, body->lo + 1,
                   loop->kind == EB_STMT_FOR ? "for" : "while");
}

/* The variables of a condition: false if it asks for anything else, or one is set from `at` on. */
static bool stands_still(const eb_expr *e, uint32_t at, unsigned *variables) {
    switch (e->kind) {
    case EB_EXPR_NUMBER:
        return true;
    case EB_EXPR_LOAD: {
        const eb_decl *decl = e->a->kind == EB_EXPR_DECL ? e->a->of.decl : NULL;
        bool simple = decl && !decl->is_global && decl->kind != EB_DECL_FUNCTION &&
                      eb_type_is_scalar(decl->type) && !(eb_type_quals(decl->type) & EB_VOLATILE);
        (*variables)++;
        return simple && decl->last_change < at;
    }
    case EB_EXPR_CAST:
    case EB_EXPR_UNARY:
        return stands_still(e->a, at, variables);
    case EB_EXPR_BINARY:
        return stands_still(e->a, at, variables) && stands_still(e->b, at, variables);
    default:
        return false;
    }
}

void eb_check_for(eb_unit *u, const eb_stmt *loop) {
    unsigned variables = 0;
    if (loop->kind == EB_STMT_FOR && loop->expr && !eb_in_macro(u, loop->lo) &&
        stands_still(loop->expr, loop->condition_at, &variables) && variables)
        eb_warn_at(u, loop->at, EB_DIAG_LOOP_CONSTANT, loop->expr->lo, loop->expr->hi);
}
