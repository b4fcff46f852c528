/* macro.c - .macro, .rept, .irp and .irpc, as GNU as and LLVM have them.
 *
 * A body is kept as text. Using a macro, and each round of .irp, writes the body once more with
 * \name replaced, as a source text of its own that knows where it was asked for, so that
 * diagnostics in it show the expansion and lead back. .rept reads its body again where it stands.
 *
 * In a body \name is a parameter, \@ counts expansions, \() is nothing (it ends a name). */
#include "asm.h"

#include <string.h>

static const char *const macro_opens[] = {".macro", NULL};
static const char *const macro_ends[] = {".endm", ".endmacro", NULL};
static const char *const rept_opens[] = {".rept", ".rep", ".irp", ".irpc", NULL};
static const char *const rept_ends[] = {".endr", NULL};

/* ---- text in pieces ---- */

typedef struct text {
    eb_asm *as;
    const char *at, *end;
} text;

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

static bool is_name(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '.' || c == '$';
}

static bool is_operator(char c) {
    return c && strchr("+-*/%&|^~!=<>", c);
}

static void skip_spaces(text *t) {
    while (t->at < t->end && is_space(*t->at))
        t->at++;
}

static eb_str take_word(text *t) {
    skip_spaces(t);
    const char *from = t->at;
    while (t->at < t->end && is_name(*t->at))
        t->at++;
    return (eb_str){from, (size_t)(t->at - from)};
}

static void expected_at(const text *t, const char *what) {
    eb_loc lo = t->as->tokens.at[0].lo + (eb_loc)(t->at - t->as->tokens.at[0].text.at);
    eb_diag_add(t->as->ctx, EB_DIAG_EXPECTED, lo, lo + 1, what);
}

/* Behind the string at hand. */
static void skip_string(text *t) {
    for (t->at++; t->at < t->end && *t->at != '"'; t->at++)
        t->at += *t->at == '\\' && t->at + 1 < t->end;
    t->at += t->at < t->end;
}

/* An argument ends at a comma, or at a space that no operator stands next to, outside of
 * parentheses and strings. */
static eb_str take_argument(text *t) {
    skip_spaces(t);
    const char *from = t->at, *to = t->at;
    for (unsigned depth = 0; t->at < t->end && (depth || *t->at != ',');) {
        if (is_space(*t->at) && !depth) {
            skip_spaces(t);
            bool joined = t->at < t->end && (is_operator(*t->at) || is_operator(to[-1]));
            if (!joined)
                break;
            continue;
        }
        depth += *t->at == '(';
        depth -= *t->at == ')' && depth;
        if (*t->at == '"')
            skip_string(t);
        else
            t->at++;
        to = t->at;
    }
    return (eb_str){from, (size_t)(to - from)};
}

static bool accept(text *t, char c) {
    skip_spaces(t);
    bool there = t->at < t->end && *t->at == c;
    t->at += there;
    return there;
}

static eb_str without_quotes(eb_str argument) {
    bool quoted = argument.len > 1 && argument.at[0] == '"' && argument.at[argument.len - 1] == '"';
    return quoted ? (eb_str){argument.at + 1, argument.len - 2} : argument;
}

/* ---- expansion ---- */

static const eb_str *value_of(const eb_macro *macro, const eb_str *values, eb_str name) {
    for (uint32_t i = 0; i < macro->parameters.len; i++)
        if (eb_str_eq(macro->parameters.at[i].name, name))
            return &values[i];
    return NULL;
}

/* The body with its parameters replaced, at the end of `out`. */
static void substitute(eb_asm *as, const eb_macro *macro, const eb_str *values, eb_buf *out) {
    const char *at = macro->body.at, *end = at + macro->body.len;
    while (at < end) {
        const char *mark = memchr(at, '\\', (size_t)(end - at));
        eb_buf_put(out, at, (size_t)((mark ? mark : end) - at));
        if (!mark)
            return;
        text t = {.as = as, .at = mark + 1, .end = end};
        at = mark + 1;
        if (at < end && *at == '@') {
            eb_buf_fmt(out, "%u", as->expansions);
            at++;
        } else if (end - at > 1 && at[0] == '(' && at[1] == ')') {
            at += 2;
        } else {
            eb_str name = at < end && is_name(*at) ? take_word(&t) : (eb_str){0};
            const eb_str *value = value_of(macro, values, name);
            eb_buf_str(out, value ? *value : (eb_str){mark, name.len + 1});
            at += name.len;
        }
    }
}

/* Read `body` next, as a text that the statement at hand asked for. */
static void push_text(eb_asm *as, const eb_macro *macro, const eb_buf *body, bool is_macro) {
    const eb_token *first = &as->tokens.at[0];
    eb_scanner scanner = {
        .ctx = as->ctx, .dialect = as->dialect, .text = {(const char *)body->at, body->len}};
    if (!body->len)
        return;
    eb_str name = eb_str_fmt(&as->ctx->arena, "%s %.*s", is_macro ? "macro" : ".irp",
                             (int)macro->name.len, macro->name.at);
    scanner.first = eb_source_add(as->ctx, name, scanner.text);
    eb_source_from(as->ctx, first->lo, first->hi);
    eb_asm_push(as, &scanner, 0, is_macro);
}

/* ---- .macro ---- */

static bool take_parameter(text *t, eb_macro *macro) {
    eb_parameter p = {.name = take_word(t)};
    if (!p.name.len || macro->parameters.len == UINT16_MAX) {
        expected_at(t, "a parameter's name");
        return false;
    }
    if (accept(t, ':')) {
        eb_str kind = take_word(t);
        p.required = eb_str_is(kind, "req");
        p.rest = eb_str_is(kind, "vararg");
        if (!p.required && !p.rest) {
            expected_at(t, "req or vararg");
            return false;
        }
    }
    if (accept(t, '='))
        p.value = p.rest ? take_argument(t) : without_quotes(take_argument(t));
    *EB_PUSH(&t->as->ctx->arena, &macro->parameters) = p;
    accept(t, ',');
    skip_spaces(t);
    if (p.rest && t->at < t->end) {
        expected_at(t, "nothing behind a vararg parameter");
        return false;
    }
    return true;
}

void eb_run_macro(eb_asm *as, int unused) {
    text t = {.as = as, .at = as->raw.at, .end = as->raw.at + as->raw.len};
    const eb_token first = as->tokens.at[0];
    eb_macro macro = {.name = take_word(&t), .lo = first.lo, .hi = first.hi};
    eb_scanner body;
    bool ok = true, is_new;
    (void)unused;
    if (!macro.name.len) {
        expected_at(&t, "a name for the macro");
        ok = false;
    }
    accept(&t, ',');
    skip_spaces(&t);
    while (ok && t.at < t.end)
        ok = take_parameter(&t, &macro);
    if (!eb_asm_capture(as, macro_opens, macro_ends, &body) || !ok)
        return;
    macro.body = body.text;
    uint32_t *number = eb_map_enter(&as->macro_names, macro.name, &is_new);
    if (*number) {
        const eb_macro *known = &as->macros.at[*number - 1];
        eb_diag *diag = eb_diag_add(as->ctx, EB_DIAG_DUPLICATE_MACRO, macro.lo, macro.hi,
                                    (int)macro.name.len, macro.name.at);
        eb_diag_note(as->ctx, diag, known->lo, known->hi, "it is defined here first");
        return;
    }
    *EB_PUSH(&as->ctx->arena, &as->macros) = macro;
    *number = as->macros.len;
}

void eb_run_purge(eb_asm *as, int unused) {
    (void)unused;
    do {
        const eb_token *name = eb_asm_name(as, "the name of a macro");
        uint32_t *number = name ? eb_map_find(&as->macro_names, name->text) : NULL;
        if (name && (!number || !*number)) {
            as->at--;
            eb_asm_expected(as, "the name of a macro");
        }
        if (!number || !*number)
            return;
        *number = 0;
    } while (eb_asm_accept(as, ','));
    eb_asm_ended(as);
}

void eb_run_exit(eb_asm *as, int unused) {
    (void)unused;
    bool within = as->in_macro;
    for (uint32_t i = 0; i < as->frames.len; i++)
        within |= as->frames.at[i].macro;
    if (!within) {
        const eb_token *first = &as->tokens.at[0];
        eb_diag_add(as->ctx, EB_DIAG_STRAY, first->lo, first->hi, (int)first->text.len,
                    first->text.at, ".macro");
        return;
    }
    while (!as->in_macro)
        eb_asm_pop(as);
    eb_asm_pop(as);
}

/* Which parameter `name=` is for, or -1. */
static int64_t named_parameter(const eb_macro *macro, text *t) {
    text ahead = *t;
    eb_str name = take_word(&ahead);
    if (!name.len || !accept(&ahead, '=') || (ahead.at < ahead.end && *ahead.at == '='))
        return -1;
    for (uint32_t i = 0; i < macro->parameters.len; i++)
        if (eb_str_eq(macro->parameters.at[i].name, name)) {
            *t = ahead;
            return i;
        }
    return -1;
}

static bool take_arguments(eb_asm *as, const eb_macro *macro, eb_str *values) {
    text t = {.as = as, .at = as->raw.at, .end = as->raw.at + as->raw.len};
    uint32_t next = 0;
    skip_spaces(&t);
    while (t.at < t.end) {
        int64_t named = named_parameter(macro, &t);
        uint32_t number = named < 0 ? next++ : (uint32_t)named;
        if (number >= macro->parameters.len) {
            expected_at(&t, "no more arguments than the macro has parameters");
            return false;
        }
        if (macro->parameters.at[number].rest) {
            skip_spaces(&t);
            values[number] = (eb_str){t.at, (size_t)(t.end - t.at)};
            break;
        }
        values[number] = without_quotes(take_argument(&t));
        accept(&t, ',');
        skip_spaces(&t);
    }
    for (uint32_t i = 0; i < macro->parameters.len; i++) {
        const eb_parameter *p = &macro->parameters.at[i];
        if (!values[i].len && p->required) {
            const eb_token *first = &as->tokens.at[0];
            eb_diag_add(as->ctx, EB_DIAG_MISSING_ARGUMENT, first->lo, first->hi, (int)p->name.len,
                        p->name.at);
            return false;
        }
        if (!values[i].len)
            values[i] = p->value;
    }
    return true;
}

void eb_asm_use_macro(eb_asm *as) {
    const eb_macro *macro = as->macro;
    eb_str *values = eb_alloc_array(&as->ctx->arena, macro->parameters.len + 1, sizeof *values);
    eb_buf body = {.arena = &as->ctx->arena};
    if (!take_arguments(as, macro, values))
        return;
    substitute(as, macro, values, &body);
    as->expansions++;
    push_text(as, macro, &body, true);
}

/* ---- repetition ---- */

void eb_run_rept(eb_asm *as, int unused) {
    int64_t count;
    eb_scanner body;
    const eb_token *token = eb_asm_peek(as);
    const eb_loc lo = token->lo, hi = token->hi;
    (void)unused;
    bool ok = eb_asm_constant(as, &count) && eb_asm_ended(as);
    if (!eb_asm_capture(as, rept_opens, rept_ends, &body) || !ok)
        return;
    if (count < 0 || count > UINT32_MAX)
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, lo, hi, "a count from 0 to 4294967295");
    else if (count && body.text.len)
        eb_asm_push(as, &body, (uint32_t)count - 1, false);
}

/* .irp name, values: a round for each; .irpc name, text: a round for each character. */
void eb_run_irp(eb_asm *as, int characters) {
    text t = {.as = as, .at = as->raw.at, .end = as->raw.at + as->raw.len};
    eb_macro macro = {.name = take_word(&t)};
    eb_buf body = {.arena = &as->ctx->arena};
    eb_scanner scanner;
    eb_str value = {0};
    uint64_t most = eb_asm_expansion_most(as);
    bool ok = macro.name.len > 0;
    if (!ok)
        expected_at(&t, "a parameter's name");
    if (!eb_asm_capture(as, rept_opens, rept_ends, &scanner) || !ok)
        return;
    *EB_PUSH(&as->ctx->arena, &macro.parameters) = (eb_parameter){.name = macro.name};
    macro.body = scanner.text;
    accept(&t, ',');
    skip_spaces(&t);
    do {
        value = characters ? (eb_str){t.at, t.at < t.end} : without_quotes(take_argument(&t));
        t.at += characters && t.at < t.end;
        substitute(as, &macro, &value, &body);
        as->expansions++;
        if (!characters)
            accept(&t, ',');
        skip_spaces(&t);
    } while (t.at < t.end && body.len <= most);
    push_text(as, &macro, &body, false);
}

void eb_run_stray_end(eb_asm *as, int of_macro) {
    const eb_token *first = &as->tokens.at[0];
    eb_diag_add(as->ctx, EB_DIAG_STRAY, first->lo, first->hi, (int)first->text.len, first->text.at,
                of_macro ? ".macro" : ".rept, .irp or .irpc");
}
