/* stmt.c - statements and function bodies (C11 6.8; GNU's case ranges, asm, local labels). */
#include "parse.h"
#include "sort.h"

#include <string.h>

static eb_stmt *statement(eb_unit *u);

static eb_stmt *new_stmt(eb_unit *u, eb_stmt_kind kind, eb_loc lo) {
    eb_stmt *s = eb_alloc(&u->ctx->arena, sizeof *s);
    s->kind = (uint8_t)kind;
    s->lo = lo;
    s->hi = lo;
    s->at = u->at && eb_peek(u).loc != lo ? u->at - 1 : u->at;
    return s;
}

/* ( condition ) */
static eb_expr *condition(eb_unit *u) {
    if (!eb_expect(u, EB_TOK_LPAREN, "'('"))
        return eb_expr_error(u, eb_behind(u), eb_behind(u));
    eb_expr *e = eb_condition(u, eb_expression(u));
    if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
        eb_skip_to_close(u);
    return e;
}

/* ---- labels ---- */

static eb_label *new_label(eb_unit *u, uint32_t name) {
    eb_label *label = eb_alloc(&u->ctx->arena, sizeof *label);
    label->name = name;
    label->function = u->function;
    *EB_PUSH(&u->ctx->arena, &u->function->labels) = label;
    *eb_label_slot(u, name) = label;
    return label;
}

static eb_label *label_of(eb_unit *u, uint32_t name) {
    eb_label *label = *eb_label_slot(u, name);
    return label && label->function == u->function ? label : new_label(u, name);
}

/* __label__ a, b; makes names of this block: a newer label hides an older one. */
static void local_labels(eb_unit *u) {
    uint32_t errors = u->ctx->errors;
    while (eb_is_name(u)) {
        eb_tok tok = eb_take(u);
        eb_label *label = new_label(u, tok.value);
        label->used = tok.loc; /* it must be there */
        label->used_at = u->at;
        if (!eb_skip(u, EB_TOK_COMMA))
            break;
    }
    eb_end_statement(u, errors, "';'");
}

static eb_stmt *labelled(eb_unit *u) {
    eb_tok tok = eb_take(u);
    eb_stmt *s = new_stmt(u, EB_STMT_LABEL, tok.loc);
    eb_attrs attrs = {0};
    eb_take(u); /* ':' */
    s->label = label_of(u, tok.value);
    if (s->label->defined) {
        eb_str text = eb_name_text(u, tok.value);
        eb_diag_add(u->ctx, EB_DIAG_REDEFINED, tok.loc, eb_tok_end(u, tok), (int)text.len, text.at);
    }
    s->label->defined = tok.loc;
    s->label->defined_at = u->at;
    eb_attributes(u, &attrs);
    s->label->unused = attrs.unused;
    return s;
}

/* ---- asm ---- */

/* Outputs begin with = or +; what clang has for BPF is r, w, i, n, m, X, g, digits and & %. Of an
 * input it overlooks the +, which real programs have. */
static void check_constraint(eb_unit *u, eb_loc lo, eb_str text, bool output) {
    static const char letters[] = "rwingmpXsoV,&%*#?! \t";
    for (size_t n = 0; n < text.len; n++) {
        char c = text.at[n];
        bool sign = c == '=' || c == '+';
        bool digit = c >= '0' && c <= '9';
        bool fine = sign     ? n == 0 && (output || c == '+')
                    : output ? strchr(letters, c) != NULL
                             : digit || c == '[' || strchr(letters, c);
        if (c == '[' && fine && !output)
            return;
        if (!fine || (output && n == 0 && !sign)) {
            eb_diag_add(u->ctx, EB_DIAG_ASM_CONSTRAINT, lo, lo + (eb_loc)text.len + 2,
                        (int)text.len, text.at,
                        output ? "an output's begins with = or +" : "= is for outputs");
            return;
        }
    }
}

static void operands(eb_unit *u, void *to, bool output) {
    EB_VEC(eb_asm_operand) *list = to;
    eb_type *element;
    while (eb_is(u, EB_TOK_STRING) || eb_is(u, EB_TOK_LBRACKET)) {
        eb_asm_operand operand = {0};
        if (eb_skip(u, EB_TOK_LBRACKET)) {
            operand.name = eb_take(u).value + 1;
            eb_expect(u, EB_TOK_RBRACKET, "']'");
        }
        eb_loc lo = eb_peek(u).loc;
        eb_str constraint = operand.constraint = eb_strings(u, &element);
        eb_expect(u, EB_TOK_LPAREN, "'(' and the operand");
        operand.expr = eb_expression(u);
        if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
            eb_skip_to_close(u);
        if (eb_expr_is_error(operand.expr))
            constraint = EB_STR("");
        check_constraint(u, lo, constraint, output);
        bool in_register = constraint.len && memchr(constraint.at, 'r', constraint.len);
        if (in_register && operand.expr->kind == EB_EXPR_DECL &&
            eb_in_register(operand.expr->of.decl))
            operand.fixed = (int8_t)(eb_register_number(operand.expr->of.decl->assembly) + 1);
        if (output && !operand.expr->is_lvalue && !eb_expr_is_error(operand.expr))
            eb_diag_add(u->ctx, EB_DIAG_NOT_LVALUE, operand.expr->lo, operand.expr->hi);
        if (!output)
            operand.expr = eb_rvalue(u, operand.expr);
        else if (operand.expr->kind == EB_EXPR_DECL)
            operand.expr->of.decl->last_set = operand.expr->of.decl->last_change = u->at;
        *EB_PUSH(&u->ctx->arena, list) = operand;
        if (!eb_skip(u, EB_TOK_COMMA))
            break;
    }
}

static void asm_labels(eb_unit *u, eb_asm *a) {
    while (eb_is_name(u)) {
        eb_tok tok = eb_take(u);
        eb_label *label = u->function ? label_of(u, tok.value) : NULL; /* refused by the caller */
        if (label) {
            label->used = tok.loc;
            label->used_at = u->at;
        }
        *EB_PUSH(&u->ctx->arena, &a->labels) = label;
        if (!eb_skip(u, EB_TOK_COMMA))
            break;
    }
}

bool eb_in_register(const eb_decl *decl) {
    return decl->kind == EB_DECL_VARIABLE && !decl->is_global && decl->assembly.len &&
           decl->storage != EB_STORAGE_STATIC && decl->storage != EB_STORAGE_EXTERN;
}

int eb_register_number(eb_str name) {
    bool fine = name.len == 2 && (name.at[0] == 'r' || name.at[0] == 'w') && name.at[1] >= '0' &&
                name.at[1] <= '9';
    return fine ? name.at[1] - '0' : -1;
}

eb_stmt *eb_assembly(eb_unit *u) {
    uint32_t errors = u->ctx->errors;
    eb_stmt *s = new_stmt(u, EB_STMT_ASM, eb_take(u).loc);
    eb_asm *a = eb_alloc(&u->ctx->arena, sizeof *a);
    eb_type *element;
    s->assembly = a;
    for (;;) {
        if (eb_skip_word(u, EB_KW_VOLATILE))
            a->is_volatile = true;
        else if (eb_skip_word(u, EB_KW_GOTO))
            a->is_goto = true;
        else if (!eb_skip_word(u, EB_KW_INLINE))
            break;
    }
    if (!eb_expect(u, EB_TOK_LPAREN, "'(' behind asm"))
        return s;
    if (eb_is(u, EB_TOK_STRING))
        a->text = eb_strings(u, &element);
    else {
        eb_expected(u, "a string of assembly");
        eb_skip_to_close(u);
        eb_end_statement(u, errors, "';' behind asm");
        return s;
    }
    /* "::" may be one token. */
    for (int part = 0; part < 4;) {
        if (eb_skip(u, EB_TOK_COLONCOLON))
            part += 2;
        else if (eb_skip(u, EB_TOK_COLON))
            part += 1;
        else
            break;
        if (part == 1)
            operands(u, &a->outputs, true);
        else if (part == 2)
            operands(u, &a->inputs, false);
        else if (part == 3)
            while (eb_is(u, EB_TOK_STRING)) {
                *EB_PUSH(&u->ctx->arena, &a->clobbers) = eb_strings(u, &element);
                eb_skip(u, EB_TOK_COMMA);
            }
        else
            asm_labels(u, a);
    }
    if (!eb_expect(u, EB_TOK_RPAREN, "')' or ':'"))
        eb_skip_to_close(u);
    eb_end_statement(u, errors, "';' behind asm");
    return s;
}

/* ---- switch ---- */

typedef struct case_list {
    EB_VEC(const eb_stmt *) list;
    bool is_unsigned;
} case_list;

static int compare_cases(const void *data, uint32_t a, uint32_t b) {
    const case_list *cases = data;
    int64_t x = cases->list.at[a]->value, y = cases->list.at[b]->value;
    bool less = cases->is_unsigned ? (uint64_t)x < (uint64_t)y : x < y;
    return x == y ? 0 : less ? -1 : 1;
}

static void duplicate_case(eb_unit *u, const eb_stmt *s, const eb_stmt *old) {
    bool later = s->at > old->at;
    eb_loc lo = later ? s->lo : old->lo, before = later ? old->lo : s->lo;
    eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_DUPLICATE_CASE, lo, lo + 4);
    eb_diag_note(u->ctx, diag, before, before + 4, "the other one is here");
}

/* No value has two cases. In the order of their values, only neighbours can overlap. */
static void check_cases(eb_unit *u, const eb_stmt *s) {
    case_list cases = {.is_unsigned = eb_type_is_unsigned(s->expr->type)};
    const eb_stmt *otherwise = NULL;
    for (const eb_stmt *c = s->cases; c; c = c->cases) {
        if (c->kind == EB_STMT_CASE)
            *EB_PUSH(&u->ctx->arena, &cases.list) = c;
        else if (otherwise)
            duplicate_case(u, otherwise, c);
        if (c->kind == EB_STMT_DEFAULT)
            otherwise = c;
    }
    uint32_t count = cases.list.len;
    uint32_t *order = eb_alloc_array(&u->ctx->arena, count, sizeof *order);
    for (uint32_t n = 0; n < count; n++)
        order[n] = n;
    eb_sort(&u->ctx->arena, order, count, compare_cases, &cases);
    for (uint32_t n = 1; n < count; n++) {
        const eb_stmt *a = cases.list.at[order[n - 1]], *b = cases.list.at[order[n]];
        if (cases.is_unsigned ? (uint64_t)a->last >= (uint64_t)b->value : a->last >= b->value)
            duplicate_case(u, a, b);
    }
}

static void check_empty(eb_unit *u, const eb_stmt *body, eb_loc head, const char *what);

static eb_stmt *switch_statement(eb_unit *u) {
    eb_stmt *s = new_stmt(u, EB_STMT_SWITCH, eb_take(u).loc), *outer = u->in_switch;
    s->expr = condition(u);
    if (!eb_expr_is_error(s->expr) && !eb_type_is_integer(s->expr->type)) {
        eb_diag_add(u->ctx, EB_DIAG_NOT_INTEGER, s->expr->lo, s->expr->hi,
                    eb_type_string(u, s->expr->type));
        s->expr = eb_expr_error(u, s->expr->lo, s->expr->hi);
    }
    s->expr = eb_cast(u, s->expr, eb_type_promoted(&u->types, s->expr->type));
    u->in_switch = s;
    u->switches++;
    eb_loc head = eb_behind(u);
    s->body = statement(u);
    check_empty(u, s->body, head, "switch");
    u->switches--;
    u->in_switch = outer;
    check_cases(u, s);
    return s;
}

static void add_case(eb_unit *u, eb_stmt *s) {
    s->cases = u->in_switch->cases;
    u->in_switch->cases = s;
}

static eb_stmt *case_statement(eb_unit *u) {
    eb_tok tok = eb_take(u);
    bool otherwise = tok.value == EB_KW_DEFAULT;
    eb_stmt *s = new_stmt(u, otherwise ? EB_STMT_DEFAULT : EB_STMT_CASE, tok.loc);
    if (!otherwise) {
        eb_constant_integer(u, eb_conditional(u), &s->value);
        s->last = s->value;
        if (eb_skip(u, EB_TOK_ELLIPSIS)) {
            eb_warn(u, EB_DIAG_GNU_CASE_RANGE, eb_behind(u) - 3, eb_behind(u));
            eb_constant_integer(u, eb_conditional(u), &s->last);
        }
        if (u->in_switch && !eb_expr_is_error(u->in_switch->expr)) {
            s->value = (int64_t)eb_wrap((uint64_t)s->value, u->in_switch->expr->type);
            s->last = (int64_t)eb_wrap((uint64_t)s->last, u->in_switch->expr->type);
        }
    }
    eb_expect(u, EB_TOK_COLON, "':'");
    if (u->in_switch)
        add_case(u, s);
    else
        eb_diag_add(u->ctx, EB_DIAG_OUTSIDE, tok.loc, eb_tok_end(u, tok),
                    otherwise ? "default" : "case", "a switch");
    return s;
}

/* ---- loops ---- */

static eb_stmt *loop_body(eb_unit *u) {
    u->loops++;
    eb_stmt *body = statement(u);
    u->loops--;
    return body;
}

static eb_stmt *for_statement(eb_unit *u, eb_stmt *s) {
    eb_expect(u, EB_TOK_LPAREN, "'(' behind for");
    eb_scope_open(u);
    if (eb_starts_declaration(u)) {
        s->init = new_stmt(u, EB_STMT_DECL, eb_peek(u).loc);
        eb_tok tok = eb_peek(u);
        s->init->decl = eb_declaration(u);
        if (tok.value == EB_KW_TYPEDEF || (s->init->decl && s->init->decl->is_global))
            eb_diag_add(u->ctx, EB_DIAG_FOR_DECLARATION, tok.loc, eb_tok_end(u, tok));
    } else {
        if (!eb_is(u, EB_TOK_SEMICOLON)) {
            s->init = new_stmt(u, EB_STMT_EXPR, eb_peek(u).loc);
            s->init->expr = eb_rvalue(u, eb_expression(u));
        }
        eb_expect(u, EB_TOK_SEMICOLON, "';' behind the first part of for");
    }
    s->condition_at = u->at;
    if (!eb_is(u, EB_TOK_SEMICOLON))
        s->expr = eb_condition(u, eb_expression(u));
    eb_expect(u, EB_TOK_SEMICOLON, "';' behind the condition");
    if (!eb_is(u, EB_TOK_RPAREN))
        s->step = eb_rvalue(u, eb_expression(u));
    if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
        eb_skip_to_close(u);
    s->body = loop_body(u);
    eb_scope_close(u);
    return s;
}

static eb_stmt *loop(eb_unit *u, eb_stmt_kind kind) {
    eb_stmt *s = new_stmt(u, kind, eb_take(u).loc);
    s->unroll = u->unroll;
    u->unroll = 0;
    if (kind == EB_STMT_FOR)
        return for_statement(u, s);
    if (kind == EB_STMT_WHILE) {
        s->expr = condition(u);
        s->body = loop_body(u);
        return s;
    }
    s->body = loop_body(u);
    uint32_t errors = u->ctx->errors;
    if (eb_skip_word(u, EB_KW_WHILE))
        s->expr = condition(u);
    else
        eb_expected(u, "while behind the body of do");
    eb_end_statement(u, errors, "';' behind do ... while");
    return s;
}

/* ---- jumps ---- */

static eb_stmt *jump(eb_unit *u, eb_stmt_kind kind) {
    eb_tok tok = eb_take(u);
    eb_stmt *s = new_stmt(u, kind, tok.loc);
    uint32_t errors;
    bool inside = u->loops || (kind == EB_STMT_BREAK && u->switches);
    if (!inside)
        eb_diag_add(u->ctx, EB_DIAG_OUTSIDE, tok.loc, eb_tok_end(u, tok),
                    kind == EB_STMT_BREAK ? "break" : "continue",
                    kind == EB_STMT_BREAK ? "a loop or switch" : "a loop");
    errors = u->ctx->errors; /* without that one */
    eb_end_statement(u, errors, "';'");
    return s;
}

static eb_stmt *goto_statement(eb_unit *u) {
    uint32_t errors = u->ctx->errors;
    eb_stmt *s = new_stmt(u, EB_STMT_GOTO, eb_take(u).loc);
    eb_tok tok = eb_peek(u);
    if (eb_is(u, EB_TOK_STAR)) {
        eb_diag_add(u->ctx, EB_DIAG_LABEL_ADDRESS, tok.loc, tok.loc + 1);
        eb_resync(u);
        s->kind = EB_STMT_EMPTY;
        return s;
    }
    if (eb_is_name(u)) {
        eb_take(u);
        s->label = label_of(u, tok.value);
        s->label->used = tok.loc;
        s->label->used_at = u->at;
    } else {
        eb_expected(u, "a label");
        s->kind = EB_STMT_EMPTY;
    }
    eb_end_statement(u, errors, "';' behind goto");
    return s;
}

static eb_stmt *return_statement(eb_unit *u) {
    uint32_t errors = u->ctx->errors;
    eb_tok tok = eb_take(u);
    eb_stmt *s = new_stmt(u, EB_STMT_RETURN, tok.loc);
    eb_type *result = eb_type_plain(u->function->type)->base;
    bool is_void = eb_type_is(result, EB_TYPE_VOID);
    if (!eb_is(u, EB_TOK_SEMICOLON)) {
        s->expr = eb_expression(u);
        bool none = eb_type_is(s->expr->type, EB_TYPE_VOID);
        if (is_void && !none && !eb_expr_is_error(s->expr))
            eb_warn(u, EB_DIAG_RETURN_VALUE, s->expr->lo, s->expr->hi);
        s->expr = is_void ? eb_rvalue(u, s->expr) : eb_convert(u, s->expr, result, "result");
    } else if (!is_void && !eb_type_is(result, EB_TYPE_ERROR)) {
        eb_warn(u, EB_DIAG_RETURN_NOTHING, tok.loc, eb_tok_end(u, tok), eb_type_string(u, result));
    }
    eb_end_statement(u, errors, "';' behind return");
    return s;
}

/* ---- statements ---- */

/* `;` alone on the line where the head ends: it was not meant, most likely. */
static void check_empty(eb_unit *u, const eb_stmt *body, eb_loc head, const char *what) {
    if (body->kind == EB_STMT_EMPTY && eb_behind(u) == body->lo + 1 &&
        eb_place_of(u->ctx, body->lo).line == eb_place_of(u->ctx, head).line)
        eb_warn(u, EB_DIAG_EMPTY_BODY, body->lo, body->lo + 1, what);
}

/* The else that an if without braces has, as the last thing in `s`. */
static eb_loc trailing_else(const eb_stmt *s) {
    while (s->kind == EB_STMT_FOR || s->kind == EB_STMT_WHILE || s->kind == EB_STMT_LABEL)
        s = s->body;
    return s->kind == EB_STMT_IF && s->other ? s->otherwise : 0;
}

static eb_stmt *one_if(eb_unit *u) {
    eb_stmt *s = new_stmt(u, EB_STMT_IF, eb_take(u).loc);
    uint32_t errors = u->ctx->errors;
    s->expr = condition(u);
    eb_loc head = eb_behind(u);
    bool fine = u->ctx->errors == errors;
    s->body = statement(u);
    if (fine)
        check_empty(u, s->body, head, "if");
    return s;
}

/* One behind the other, not nested: generated programs have long chains of them. */
static eb_stmt *if_statement(eb_unit *u) {
    eb_stmt *first = one_if(u), *s = first;
    for (; eb_is_word(u, EB_KW_ELSE); eb_link(u, 1)) {
        s->otherwise = eb_take(u).loc;
        if (!eb_is_word(u, EB_KW_IF)) {
            eb_loc head = eb_behind(u);
            s->other = statement(u);
            check_empty(u, s->other, head, "else");
            return first;
        }
        s->other = one_if(u);
        s = s->other;
    }
    eb_loc dangling = trailing_else(s->body);
    if (dangling)
        eb_warn(u, EB_DIAG_DANGLING_ELSE, dangling, dangling + 4);
    for (s = first; s; s = s->other)
        s->hi = eb_behind(u);
    return first;
}

static eb_stmt *expression_statement(eb_unit *u) {
    eb_stmt *s = new_stmt(u, EB_STMT_EXPR, eb_peek(u).loc);
    uint32_t errors = u->ctx->errors;
    s->expr = eb_expression(u);
    eb_end_statement(u, errors, "';' behind an expression");
    /* As a value, but for the last of a statement expression, which decides by itself. */
    bool last = eb_is(u, EB_TOK_RBRACE);
    if (!last)
        s->expr = eb_rvalue(u, s->expr);
    return s;
}

static eb_stmt *keyword_statement(eb_unit *u, uint32_t word) {
    switch (word) { /* one case per row */
    case EB_KW_IF:
        return if_statement(u);
    case EB_KW_WHILE:
        return loop(u, EB_STMT_WHILE);
    case EB_KW_DO:
        return loop(u, EB_STMT_DO);
    case EB_KW_FOR:
        return loop(u, EB_STMT_FOR);
    case EB_KW_SWITCH:
        return switch_statement(u);
    case EB_KW_GOTO:
        return goto_statement(u);
    case EB_KW_BREAK:
        return jump(u, EB_STMT_BREAK);
    case EB_KW_CONTINUE:
        return jump(u, EB_STMT_CONTINUE);
    case EB_KW_RETURN:
        return return_statement(u);
    case EB_KW_ASM:
        return eb_assembly(u);
    default:
        return NULL;
    }
}

static bool is_label(const eb_unit *u) {
    return eb_is_word(u, EB_KW_CASE) || eb_is_word(u, EB_KW_DEFAULT) ||
           (eb_is_name(u) && eb_ahead(u, 1).kind == EB_TOK_COLON);
}

/* Labels and cases in a row, and the statement behind them. C23 and GNU: a label may end a block,
 * or stand in front of a declaration. */
static eb_stmt *all_labels(eb_unit *u) {
    eb_stmt *first = NULL, **last = &first;
    for (; is_label(u); last = &(*last)->body, eb_link(u, 1))
        *last = eb_is_name(u) ? labelled(u) : case_statement(u);
    if (eb_is(u, EB_TOK_RBRACE) || eb_starts_declaration(u))
        *last = new_stmt(u, EB_STMT_EMPTY, eb_behind(u));
    else
        *last = statement(u);
    return first;
}

/* The attribute says that a case goes on in the next one, which comes next. */
static void fall_through(eb_unit *u, eb_stmt *s, eb_loc lo) {
    s->falls_through = true;
    if (s->kind != EB_STMT_EMPTY || !u->in_switch)
        eb_diag_add(u->ctx, EB_DIAG_OUTSIDE, lo, lo + 2, "attribute fallthrough", "a switch");
}

static eb_stmt *unnested(eb_unit *u) {
    eb_tok tok = eb_peek(u);
    eb_attrs attrs = {0};
    if (tok.kind == EB_TOK_LBRACE)
        return eb_compound(u);
    if (eb_skip(u, EB_TOK_SEMICOLON))
        return new_stmt(u, EB_STMT_EMPTY, tok.loc);
    if (is_label(u))
        return all_labels(u);
    if (eb_is_attribute(u)) { /* __attribute__((fallthrough)); */
        eb_attributes(u, &attrs);
        eb_stmt *s = unnested(u);
        if (attrs.fallthrough)
            fall_through(u, s, tok.loc);
        return s;
    }
    eb_stmt *s = tok.kind == EB_TOK_NAME ? keyword_statement(u, tok.value) : NULL;
    return s ? s : expression_statement(u);
}

static eb_stmt *statement(eb_unit *u) {
    eb_nest(u);
    uint32_t beside = eb_chain_open(u);
    eb_pragmas(u);
    eb_stmt *s = unnested(u);
    eb_pragmas(u);
    s->hi = eb_behind(u);
    eb_chain_close(u, beside);
    eb_unnest(u);
    return s;
}

/* Attributes in front of a statement, not of a declaration. */
static bool is_attributed_statement(eb_unit *u) {
    uint32_t length = eb_attributes_length(u);
    if (!length)
        return false;
    eb_unit behind = *u;
    behind.at += length;
    return is_label(&behind) || eb_is(&behind, EB_TOK_SEMICOLON) || !eb_starts_declaration(&behind);
}

static eb_stmt *block_item(eb_unit *u) {
    if (eb_skip_word(u, EB_KW_LABEL)) {
        local_labels(u);
        return new_stmt(u, EB_STMT_EMPTY, eb_behind(u));
    }
    bool label = eb_is_name(u) && eb_ahead(u, 1).kind == EB_TOK_COLON;
    if (!label && !is_attributed_statement(u) && eb_starts_declaration(u)) {
        eb_stmt *s = new_stmt(u, EB_STMT_DECL, eb_peek(u).loc);
        s->decl = eb_declaration(u);
        s->hi = eb_behind(u);
        return s;
    }
    return statement(u);
}

/* From '{' to '}', in the scope that is open. */
static eb_stmt *block(eb_unit *u) {
    eb_stmt *s = new_stmt(u, EB_STMT_BLOCK, eb_take(u).loc), **last = &s->body;
    unsigned mixed = 0; /* 1: there was a statement */
    while (!eb_braces_end(u)) {
        uint32_t before = u->at;
        *last = block_item(u);
        if ((*last)->kind != EB_STMT_DECL)
            mixed = mixed ? mixed : 1;
        else if (mixed == 1) {
            eb_warn_at(u, (*last)->at, EB_DIAG_LATE_DECLARATION, (*last)->lo, (*last)->lo + 1);
            mixed = 2; /* told once */
        }
        last = &(*last)->next;
        if (u->at == before)
            eb_take(u);
    }
    s->hi = eb_behind(u);
    return s;
}

eb_stmt *eb_compound(eb_unit *u) {
    eb_scope_open(u);
    eb_stmt *s = block(u);
    eb_scope_close(u);
    return s;
}

/* A naked function has no frame: it consists of assembly. */
static void check_naked(eb_unit *u, const eb_stmt *body) {
    for (const eb_stmt *s = body->body; s; s = s->next)
        if (s->kind != EB_STMT_ASM && s->kind != EB_STMT_EMPTY && s->kind != EB_STMT_LABEL) {
            eb_diag_add(u->ctx, EB_DIAG_NAKED, s->lo, s->hi > s->lo ? s->hi : s->lo + 1);
            return;
        }
}

void eb_function_body(eb_unit *u, eb_decl *function) {
    eb_decl *outer = u->function;
    u->function = function;
    eb_nest(u); /* a definition may stand in another's body, where it is refused */
    eb_scope_open(u);
    for (uint32_t n = 0; n < function->param_count; n++) {
        eb_decl *param = function->params[n];
        eb_require_complete(u, param->type, param->lo, param->hi);
        if (param->name == UINT32_MAX)
            continue;
        eb_check_shadow(u, param);
        eb_bind(u, param->name, param);
    }
    uint32_t errors = u->ctx->errors;
    function->body = block(u);
    eb_scope_close(u);
    eb_unnest(u);
    if (function->attrs.naked && u->ctx->errors == errors)
        check_naked(u, function->body);
    for (uint32_t n = 0; n < function->labels.len; n++) {
        const eb_label *label = function->labels.at[n];
        eb_str text = eb_name_text(u, label->name);
        if (label->used && !label->defined) {
            eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_NO_LABEL, label->used,
                                        label->used + (eb_loc)text.len, (int)text.len, text.at);
            eb_suggest_label(u, diag, text);
        }
    }
    u->function = outer;
    if (!eb_source_is_silent(u->ctx, function->lo) && !u->ended) {
        eb_check_flow(u, function);
        eb_check_locals(u, function);
    }
}
