/* pp_macro.c - macros: defining them, and replacing their names (C11 6.10.3, with GNU's named
 * variable arguments and comma, and C23's __VA_OPT__).
 *
 * The tokens of a body get locations of their own in each expansion (eb_expansion_add), so that a
 * diagnostic can tell where the macro was used and where its text stands; those of an argument keep
 * theirs. */
#include "pp.h"

#include <string.h>

enum { PARAMS_MOST = 1000, DEPTH_MOST = 200 };

/* The flags that do not tell how a token stands in its line. */
enum { KEPT = EB_TOK_PAINTED | EB_TOK_MADE };

typedef struct argument {
    eb_toks raw, expanded;
    bool is_expanded;
} argument;

/* One replacement at work. */
typedef struct expansion {
    eb_pp *pp;
    const eb_macro *macro;
    argument *args;
    bool no_rest; /* the variable argument was left out, not only empty */
    eb_loc to;    /* where the call ends */
    eb_loc first; /* the location of the body's first token here */
    eb_toks out;
    bool left_empty; /* what stands before ## came to nothing */
    bool space;      /* in front of a parameter that came to nothing */
} expansion;

eb_macro *eb_macro_of(const eb_pp *pp, uint32_t name) {
    uint32_t number = pp->words.names.at[name].macro;
    return number ? pp->macros.at[number - 1] : NULL;
}

/* ---- definition ---- */

static bool same_body(const eb_pp *pp, const eb_macro *a, const eb_macro *b) {
    if (a->count != b->count || a->function != b->function || a->variadic != b->variadic ||
        a->params != b->params || a->builtin != b->builtin)
        return false;
    for (uint32_t n = 0; n < a->params; n++)
        if (a->param_names.at[n] != b->param_names.at[n])
            return false;
    for (uint32_t n = 0; n < a->count; n++) {
        const eb_tok *x = &a->body[n], *y = &b->body[n];
        if (x->kind != y->kind || (n && ((x->flags ^ y->flags) & EB_TOK_SPACE)) ||
            !eb_str_eq(eb_tok_text(&pp->words, *x), eb_tok_text(&pp->words, *y)))
            return false;
    }
    return true;
}

static void expected(eb_pp *pp, eb_loc loc, const char *what) {
    eb_diag_add(pp->ctx, EB_DIAG_EXPECTED, loc, loc + 1, what);
}

static void add_param(eb_pp *pp, eb_macro *macro, uint32_t name, eb_loc loc) {
    for (uint32_t n = 0; n < macro->params; n++)
        if (macro->param_names.at[n] == name) {
            eb_str text = pp->words.names.at[name].text;
            eb_diag_add(pp->ctx, EB_DIAG_DUPLICATE_PARAM, loc, loc + (eb_loc)text.len,
                        (int)text.len, text.at);
        }
    if (macro->params >= PARAMS_MOST)
        eb_fail(&pp->ctx->arena, EBPF_E_LIMIT);
    *EB_PUSH(&pp->ctx->arena, &macro->param_names) = name;
    macro->params++;
}

/* Behind the '(': names, `...`, or GNU's `name...`. False after a diagnostic. */
static bool read_params(eb_pp *pp, eb_macro *macro, eb_lexer *lexer) {
    eb_tok tok = eb_lex(lexer);
    if (tok.kind == EB_TOK_RPAREN)
        return true;
    for (;; tok = eb_lex(lexer)) {
        if (tok.kind == EB_TOK_ELLIPSIS) {
            add_param(pp, macro, pp->name_va_args, tok.loc);
            macro->variadic = true;
        } else if (tok.kind == EB_TOK_NAME) {
            add_param(pp, macro, tok.value, tok.loc);
        } else {
            expected(pp, tok.loc, "a parameter's name, '...' or ')'");
            return false;
        }
        tok = eb_lex(lexer);
        if (tok.kind == EB_TOK_ELLIPSIS && !macro->variadic) {
            macro->variadic = true;
            tok = eb_lex(lexer);
        }
        if (tok.kind == EB_TOK_RPAREN)
            return true;
        if (tok.kind != EB_TOK_COMMA || macro->variadic) {
            expected(pp, tok.loc, macro->variadic ? "')'" : "',' or ')'");
            return false;
        }
    }
}

static uint16_t param_of(const eb_macro *macro, eb_tok tok) {
    for (uint32_t n = 0; tok.kind == EB_TOK_NAME && n < macro->params; n++)
        if (macro->param_names.at[n] == tok.value)
            return (uint16_t)(n + 1);
    return 0;
}

static bool check_body(eb_pp *pp, const eb_macro *macro) {
    for (uint32_t n = 0; n < macro->count; n++) {
        const eb_tok *tok = &macro->body[n], *next = n + 1 < macro->count ? tok + 1 : NULL;
        bool opt = next && next->kind == EB_TOK_NAME && next->value == pp->name_va_opt;
        if (tok->kind == EB_TOK_HASHHASH && (n == 0 || !next)) {
            eb_diag_add(pp->ctx, EB_DIAG_PASTE_END, tok->loc, tok->loc + 2);
            return false;
        }
        if (tok->kind == EB_TOK_HASH && macro->function && !(next && next->param) && !opt) {
            eb_diag_add(pp->ctx, EB_DIAG_STRINGIFY, tok->loc, tok->loc + 1);
            return false;
        }
    }
    return true;
}

static void enter(eb_pp *pp, eb_macro *macro) {
    eb_name *name = &pp->words.names.at[macro->name];
    const eb_macro *old = eb_macro_of(pp, macro->name);
    if (old && !same_body(pp, old, macro)) {
        eb_diag *diag = eb_pp_warn(pp, EB_DIAG_MACRO_REDEFINED, macro->lo, macro->hi,
                                   (int)name->text.len, name->text.at);
        if (diag && old->lo)
            eb_diag_note(pp->ctx, diag, old->lo, old->hi, "it was defined here");
    }
    *EB_PUSH(&pp->ctx->arena, &pp->macros) = macro;
    name->macro = pp->macros.len;
    if (pp->text & EBPF_CC_DEFINITIONS)
        eb_pp_mark_here(pp, EB_PP_DEFINE, macro->lo, name->macro);
}

void eb_macro_define(eb_pp *pp, eb_lexer *lexer) {
    eb_tok tok = eb_lex(lexer);
    if (tok.kind != EB_TOK_NAME || tok.value == pp->name_defined) {
        expected(pp, tok.loc, "a macro's name");
        return;
    }
    eb_macro *macro = eb_alloc(&pp->ctx->arena, sizeof *macro);
    macro->name = tok.value;
    macro->lo = tok.loc;
    macro->hi = eb_lexer_loc(lexer);
    if (lexer->at < lexer->end && *lexer->at == '(') {
        eb_lex(lexer);
        macro->function = true;
        if (!read_params(pp, macro, lexer))
            return;
    }
    eb_toks body = {0};
    while ((tok = eb_lex(lexer)).kind != EB_TOK_END) {
        tok.param = param_of(macro, tok);
        *EB_PUSH(&pp->ctx->arena, &body) = tok;
    }
    macro->body = body.at;
    macro->count = body.len;
    if (check_body(pp, macro))
        enter(pp, macro);
}

/* ---- arguments ---- */

static bool call_follows(const eb_pp *pp) {
    for (uint32_t n = pp->feeds.len; n; n--) {
        const eb_feed *feed = &pp->feeds.at[n - 1];
        if (feed->is_file)
            return eb_lexer_at_paren(&feed->lexer);
        if (feed->at < feed->end)
            return feed->at->kind == EB_TOK_LPAREN;
        if (feed->barrier)
            return false;
    }
    return false;
}

/* The arguments of a call, whose '(' is next. False after a diagnostic. */
static bool read_args(eb_pp *pp, const eb_macro *macro, eb_tok call, expansion *x) {
    uint32_t depth = 0, count = 1, most = macro->params ? macro->params : 1;
    argument *args = eb_alloc_array(&pp->ctx->arena, most, sizeof *args);
    argument *arg = args;
    bool reading = pp->reading_args, extra = false;
    eb_tok tok = eb_pp_raw(pp);
    pp->reading_args = true;
    for (;;) {
        tok = eb_pp_raw(pp);
        if (tok.kind == EB_TOK_END || (tok.kind == EB_TOK_RPAREN && !depth))
            break;
        depth += tok.kind == EB_TOK_LPAREN;
        depth -= tok.kind == EB_TOK_RPAREN;
        bool rest = macro->variadic && count == macro->params;
        if (tok.kind == EB_TOK_COMMA && !depth && !rest) {
            extra = extra || count >= most;
            arg = extra ? arg : &args[count];
            count++;
            continue;
        }
        if (tok.flags & EB_TOK_BOL)
            tok.flags = (uint8_t)((tok.flags & ~EB_TOK_BOL) | EB_TOK_SPACE);
        /* Reading on may leave the expansion that this name came from. */
        if (tok.kind == EB_TOK_NAME && pp->words.names.at[tok.value].macro &&
            eb_macro_of(pp, tok.value)->active)
            tok.flags |= EB_TOK_PAINTED;
        *EB_PUSH(&pp->ctx->arena, &arg->raw) = tok;
    }
    pp->reading_args = reading;
    eb_str name = pp->words.names.at[macro->name].text;
    eb_loc hi = call.loc + (eb_loc)name.len;
    if (tok.kind == EB_TOK_END) {
        if (!pp->wanted)
            eb_diag_add(pp->ctx, EB_DIAG_MACRO_CALL_END, call.loc, hi, (int)name.len, name.at);
        return false;
    }
    bool none = count == 1 && !args[0].raw.len;
    uint32_t given = none && (!macro->params || macro->params > 1) ? 0 : count;
    uint32_t least = macro->params - (macro->variadic ? 1 : 0);
    if (none && macro->params && given == 0 && least <= 1)
        given = 1;
    if (extra || given > macro->params || given < least) {
        eb_diag *diag = eb_diag_add(pp->ctx, EB_DIAG_MACRO_ARGS, call.loc, hi, (int)name.len,
                                    name.at, macro->variadic ? "at least " : "", least, given);
        if (macro->lo)
            eb_diag_note(pp->ctx, diag, macro->lo, macro->hi, "it is defined here");
        return false;
    }
    x->args = args;
    x->to = tok.loc;
    x->no_rest = macro->variadic && (count < macro->params || (none && macro->params == 1));
    return true;
}

static eb_toks expanded(expansion *x, argument *arg) {
    eb_pp *pp = x->pp;
    if (!arg->is_expanded) {
        if (pp->depth >= DEPTH_MOST)
            eb_fail(&pp->ctx->arena, EBPF_E_LIMIT);
        pp->depth++;
        arg->expanded = eb_pp_expand(pp, arg->raw.at, arg->raw.len);
        pp->depth--;
        arg->is_expanded = true;
    }
    return arg->expanded;
}

/* ---- replacement ---- */

static void put(expansion *x, eb_tok tok) {
    if (x->space)
        tok.flags |= EB_TOK_SPACE;
    x->space = false;
    *EB_PUSH(&x->pp->ctx->arena, &x->out) = tok;
}

/* Tokens in the place of one token of the body: the first stands as that one does. */
static void put_all(expansion *x, const eb_tok *at, uint32_t count, uint8_t flags) {
    for (uint32_t n = 0; n < count; n++) {
        eb_tok tok = at[n];
        if (n == 0)
            tok.flags = (uint8_t)((tok.flags & KEPT) | (flags & EB_TOK_SPACE));
        put(x, tok);
    }
}

/* What stands in the place of a parameter; where that is nothing, its space is the next token's. */
static void put_argument(expansion *x, eb_toks toks, uint8_t flags, bool behind) {
    x->left_empty = !toks.len;
    x->space |= !toks.len && behind && (flags & EB_TOK_SPACE);
    put_all(x, toks.at, toks.len, flags);
}

static void put_escaped(eb_buf *out, eb_str text) {
    bool quoted = text.at[text.len - 1] == '"' || text.at[text.len - 1] == '\'';
    for (size_t n = 0; n < text.len; n++) {
        if (text.at[n] == '"' || (quoted && text.at[n] == '\\'))
            eb_buf_byte(out, '\\');
        eb_buf_byte(out, (uint8_t)text.at[n]);
    }
}

/* #parameter: the argument's text in quotes, with its white space folded. */
static eb_tok stringified(expansion *x, const eb_tok *at, uint32_t count, eb_loc loc) {
    eb_buf text = {.arena = &x->pp->ctx->arena};
    eb_buf_byte(&text, '"');
    for (uint32_t n = 0; n < count; n++) {
        eb_str word = eb_tok_text(&x->pp->words, at[n]);
        if (n && (at[n].flags & EB_TOK_SPACE))
            eb_buf_byte(&text, ' ');
        if (word.len)
            put_escaped(&text, word);
    }
    eb_buf_byte(&text, '"');
    eb_str all = {(const char *)text.at, text.len};
    return (eb_tok){
        .kind = EB_TOK_STRING, .loc = loc, .value = eb_spelling_enter(&x->pp->words, all)};
}

/* ##: the last token so far and `right` as one. */
static void paste(expansion *x, eb_tok right, eb_loc loc) {
    eb_tok *left = &x->out.at[x->out.len - 1];
    eb_str a = eb_tok_text(&x->pp->words, *left), b = eb_tok_text(&x->pp->words, right);
    eb_str text = eb_str_fmt(&x->pp->ctx->arena, "%.*s%.*s", (int)a.len, a.at, (int)b.len, b.at);
    eb_toks made = eb_pp_scratch(x->pp, text, loc);
    if (made.len != 1) {
        eb_diag_add(x->pp->ctx, EB_DIAG_BAD_PASTE, loc, loc + 1, (int)text.len, text.at);
        put(x, right);
        return;
    }
    made.at[0].flags = (uint8_t)((left->flags & EB_TOK_SPACE) | EB_TOK_MADE);
    *left = made.at[0];
}

static void substitute(expansion *x, uint32_t from, uint32_t to);

/* The number of the token behind the ) that closes the ( at `open`. */
static uint32_t behind_parens(const eb_macro *macro, uint32_t open, uint32_t to) {
    uint32_t depth = 0;
    for (uint32_t n = open; n < to; n++) {
        depth += macro->body[n].kind == EB_TOK_LPAREN;
        depth -= macro->body[n].kind == EB_TOK_RPAREN;
        if (!depth)
            return n + 1;
    }
    return to;
}

/* __VA_OPT__( ... ) at `at`: its tokens if the variable argument is not empty. Gives what is behind
 * it. */
static uint32_t va_opt(expansion *x, uint32_t at, uint32_t to, eb_toks *result) {
    uint32_t behind = behind_parens(x->macro, at + 1, to);
    *result = (eb_toks){0};
    argument *rest = &x->args[x->macro->params - 1];
    if (expanded(x, rest).len && behind > at + 2) {
        eb_toks saved = x->out;
        bool left_empty = x->left_empty;
        x->out = (eb_toks){0};
        substitute(x, at + 2, behind - 1);
        *result = x->out;
        x->out = saved;
        x->left_empty = left_empty;
    }
    return behind;
}

/* What stands behind # or ## at `at`, not expanded. Gives what is behind it. */
static uint32_t operand(expansion *x, uint32_t at, uint32_t to, eb_toks *result) {
    const eb_tok *tok = &x->macro->body[at];
    bool opt = x->macro->variadic && tok->kind == EB_TOK_NAME && tok->value == x->pp->name_va_opt &&
               at + 1 < to && tok[1].kind == EB_TOK_LPAREN;
    if (opt)
        return va_opt(x, at, to, result);
    if (tok->param) {
        *result = x->args[tok->param - 1].raw;
        return at + 1;
    }
    *result = (eb_toks){0};
    eb_tok copy = *tok;
    copy.loc = x->first + at;
    copy.flags |= EB_TOK_MADE;
    *EB_PUSH(&x->pp->ctx->arena, result) = copy;
    return at + 1;
}

static bool is_kind(const eb_macro *macro, uint32_t at, uint32_t to, eb_tok_kind kind) {
    return at < to && macro->body[at].kind == kind;
}

/* GNU's `, ## rest`: without variable arguments the comma goes, with them ## does nothing. */
static bool is_gnu_comma(const eb_macro *macro, uint32_t at, uint32_t to) {
    return macro->variadic && is_kind(macro, at, to, EB_TOK_COMMA) &&
           is_kind(macro, at + 1, to, EB_TOK_HASHHASH) && at + 2 < to &&
           macro->body[at + 2].param == macro->params;
}

static void put_pasted(expansion *x, eb_toks right, eb_loc loc) {
    if (right.len && x->left_empty) {
        put_all(x, right.at, right.len, right.at[0].flags);
    } else if (right.len) {
        paste(x, right.at[0], loc);
        for (uint32_t n = 1; n < right.len; n++)
            put(x, right.at[n]);
    }
    x->left_empty = x->left_empty && !right.len;
}

/* One element of the body at `at`; gives what is behind it. */
static uint32_t element(expansion *x, uint32_t at, uint32_t from, uint32_t to) {
    const eb_macro *macro = x->macro;
    const eb_tok *tok = &macro->body[at];
    eb_loc loc = x->first + at;
    eb_toks toks;
    if (tok->kind == EB_TOK_HASHHASH && at > from) {
        uint32_t behind = operand(x, at + 1, to, &toks);
        put_pasted(x, toks, loc);
        return behind;
    }
    bool pasted = is_kind(macro, at + 1, to, EB_TOK_HASHHASH);
    x->left_empty = false;
    if (tok->kind == EB_TOK_HASH && macro->function && at + 1 < to) {
        uint32_t behind = operand(x, at + 1, to, &toks);
        eb_tok text = stringified(x, toks.at, toks.len, loc);
        text.flags = (uint8_t)((tok->flags & EB_TOK_SPACE) | EB_TOK_MADE);
        put(x, text);
        return behind;
    }
    if (is_gnu_comma(macro, at, to)) {
        eb_tok comma = *tok;
        comma.loc = loc;
        comma.flags |= EB_TOK_MADE;
        if (!x->no_rest) {
            put(x, comma);
            argument *rest = &x->args[macro->params - 1];
            toks = expanded(x, rest);
            put_all(x, toks.at, toks.len, rest->raw.len ? rest->raw.at[0].flags : 0);
        }
        return at + 3;
    }
    if (macro->variadic && tok->kind == EB_TOK_NAME && tok->value == x->pp->name_va_opt &&
        is_kind(macro, at + 1, to, EB_TOK_LPAREN)) {
        uint32_t behind = va_opt(x, at, to, &toks);
        put_argument(x, toks, tok->flags, at > from);
        return behind;
    }
    if (tok->param) {
        argument *arg = &x->args[tok->param - 1];
        toks = pasted ? arg->raw : expanded(x, arg);
        put_argument(x, toks, tok->flags, at > from);
        return at + 1;
    }
    eb_tok copy = *tok;
    copy.loc = loc;
    copy.flags = (uint8_t)((copy.flags & ~EB_TOK_BOL) | EB_TOK_MADE);
    put(x, copy);
    return at + 1;
}

static void substitute(expansion *x, uint32_t from, uint32_t to) {
    for (uint32_t at = from; at < to;)
        at = element(x, at, from, to);
}

/* In a text, what an argument has brought to a line's begin stands where the macro's name did. */
static void stand_as(expansion *x, eb_tok name) {
    eb_tok *first = x->out.len ? x->out.at : NULL;
    if (!x->pp->printing || !(name.flags & EB_TOK_BOL) || !first ||
        (first->loc >= x->first && first->loc < x->first + x->macro->count))
        return;
    eb_loc *spelled = eb_alloc(&x->pp->ctx->arena, sizeof *spelled);
    *spelled = first->loc;
    first->loc = eb_expansion_add(x->pp->ctx, x->pp->words.names.at[name.value].text, name.loc,
                                  x->to, spelled, sizeof *spelled, 1);
    first->flags |= EB_TOK_MADE;
}

bool eb_macro_expand(eb_pp *pp, eb_tok *tok) {
    eb_macro *macro = eb_macro_of(pp, tok->value);
    if (macro->active) {
        tok->flags |= EB_TOK_PAINTED;
        return false;
    }
    if (macro->builtin)
        return eb_builtin_expand(pp, macro, *tok);
    expansion x = {.pp = pp, .macro = macro, .to = tok->loc};
    if (macro->function && (!call_follows(pp) || !read_args(pp, macro, *tok, &x)))
        return false;
    eb_str name = pp->words.names.at[tok->value].text;
    x.first =
        eb_expansion_add(pp->ctx, name, tok->loc, x.to, macro->body ? &macro->body->loc : NULL,
                         sizeof(eb_tok), macro->count);
    substitute(&x, 0, macro->count);
    stand_as(&x, *tok);
    if (x.out.len)
        x.out.at[0].flags =
            (uint8_t)((x.out.at[0].flags & KEPT) | (tok->flags & (EB_TOK_BOL | EB_TOK_SPACE)));
    else
        pp->carried |= tok->flags & (EB_TOK_BOL | EB_TOK_SPACE);
    eb_pp_push_tokens(pp, macro, x.out.at, x.out.len);
    pp->feeds.at[pp->feeds.len - 1].carried = x.space ? EB_TOK_SPACE : 0;
    return true;
}
