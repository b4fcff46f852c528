/* parse.c - the parser's hands: tokens, scopes, pragmas, and the top level; see parse.h. */
#include "kernel.h"

#include <string.h>

enum { NESTING_MOST = 400, CHAIN_MOST = 2000 };

/* ---- tokens ---- */

static const eb_tok the_end = {.kind = EB_TOK_END};

eb_tok eb_ahead(const eb_unit *u, uint32_t by) {
    uint32_t at = u->at + by;
    return at < u->count ? u->toks[at] : the_end;
}

eb_tok eb_peek(const eb_unit *u) {
    return eb_ahead(u, 0);
}

eb_tok eb_take(eb_unit *u) {
    eb_tok tok = eb_peek(u);
    u->at += u->at < u->count;
    return tok;
}

bool eb_is(const eb_unit *u, eb_tok_kind kind) {
    return eb_peek(u).kind == kind;
}

bool eb_is_word(const eb_unit *u, eb_keyword word) {
    eb_tok tok = eb_peek(u);
    return tok.kind == EB_TOK_NAME && tok.value == (uint32_t)word;
}

bool eb_is_c23(const eb_unit *u) {
    return u->pp->standard.year >= 2023;
}

bool eb_is_name(const eb_unit *u) {
    eb_tok tok = eb_peek(u);
    return tok.kind == EB_TOK_NAME && tok.value >= EB_KW_COUNT;
}

bool eb_skip(eb_unit *u, eb_tok_kind kind) {
    bool is = eb_is(u, kind);
    u->at += is;
    return is;
}

bool eb_skip_word(eb_unit *u, eb_keyword word) {
    bool is = eb_is_word(u, word);
    u->at += is;
    return is;
}

eb_loc eb_tok_end(const eb_unit *u, eb_tok tok) {
    return tok.loc + (tok.flags & EB_TOK_MADE ? 1 : (eb_loc)eb_tok_text(u->words, tok).len);
}

eb_loc eb_behind(const eb_unit *u) {
    return u->at ? eb_tok_end(u, u->toks[u->at - 1]) : 0;
}

/* Where the main text ends, in its last line. */
static eb_loc text_end(const eb_unit *u) {
    const eb_source *main = &u->ctx->sources.at[u->pp->main];
    size_t len = main->text.len;
    return main->first + (eb_loc)(len - (len && main->text.at[len - 1] == '\n'));
}

void eb_expected(eb_unit *u, const char *what) {
    eb_tok tok = eb_peek(u);
    eb_str text = eb_tok_text(u->words, tok);
    if (tok.kind == EB_TOK_END) {
        eb_loc loc = text_end(u);
        if (!u->ended) /* the first thing that is missing is all that there is to tell */
            eb_diag_add(u->ctx, EB_DIAG_EXPECTED_END, loc, loc + 1, what);
        u->ended = true;
        return;
    }
    eb_diag_add(u->ctx, EB_DIAG_EXPECTED_BEFORE, tok.loc, eb_tok_end(u, tok), what, (int)text.len,
                text.at);
}

/* Where the text of the last token taken ends; 0 where that is inside of a macro. */
static eb_loc text_behind(const eb_unit *u) {
    eb_loc hi = eb_behind(u), lo = hi ? hi - 1 : 0;
    if (!hi || eb_same_expansion(u->ctx, u->toks[u->at - 1].loc, eb_peek(u).loc))
        return 0;
    eb_span_in_text(u->ctx, &lo, &hi);
    return hi > lo ? hi : 0;
}

/* Where the last token ends, most likely: it is told there, not at what follows. */
void eb_missing(eb_unit *u, const char *text, const char *what) {
    eb_loc at = text_behind(u);
    eb_str next = eb_tok_text(u->words, eb_peek(u));
    bool end = eb_is(u, EB_TOK_END);
    if (!at || (end && u->ended)) {
        eb_expected(u, what);
        return;
    }
    u->ended = u->ended || end;
    eb_diag *diag =
        end ? eb_diag_add(u->ctx, EB_DIAG_EXPECTED_END, at, at, what)
            : eb_diag_add(u->ctx, EB_DIAG_EXPECTED_BEFORE, at, at, what, (int)next.len, next.at);
    if (*text)
        eb_diag_fixit(u->ctx, diag, at, at, eb_str_from(text));
}

static int nesting_of(eb_tok tok);

/* The bracket of that kind which is open here, or NULL. */
static const eb_tok *opened(const eb_unit *u, eb_tok_kind kind) {
    int depth = 0;
    for (uint32_t at = u->at; at; at--) {
        const eb_tok *tok = &u->toks[at - 1];
        depth += nesting_of(*tok);
        if (depth > 0)
            return tok->kind == kind ? tok : NULL;
    }
    return NULL;
}

/* A bracket that is not closed. It closes behind the last token if a statement or body ends there.
 */
static void unclosed(eb_unit *u, eb_tok_kind open, const char *text, const char *what) {
    const eb_tok *from = opened(u, open);
    eb_tok tok = eb_peek(u);
    eb_loc at = text_behind(u);
    eb_str next = eb_tok_text(u->words, tok);
    if (tok.kind == EB_TOK_END) {
        eb_expected(u, what);
        return;
    }
    eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_EXPECTED_BEFORE, tok.loc, eb_tok_end(u, tok), what,
                                (int)next.len, next.at);
    if (from)
        eb_diag_note(u->ctx, diag, from->loc, eb_tok_end(u, *from), "to match this '%s'",
                     eb_tok_text(u->words, *from).at);
    if (at && (tok.kind == EB_TOK_SEMICOLON || tok.kind == EB_TOK_LBRACE))
        eb_diag_fixit(u->ctx, diag, at, at, eb_str_from(text));
}

bool eb_expect(eb_unit *u, eb_tok_kind kind, const char *what) {
    if (eb_skip(u, kind))
        return true;
    switch (kind) {
    case EB_TOK_SEMICOLON:
        eb_missing(u, ";", what);
        break;
    case EB_TOK_COLON:
        eb_missing(u, ":", what);
        break;
    case EB_TOK_LPAREN:
        eb_missing(u, "(", what);
        break;
    case EB_TOK_RPAREN:
        unclosed(u, EB_TOK_LPAREN, ")", what);
        break;
    case EB_TOK_RBRACKET:
        unclosed(u, EB_TOK_LBRACKET, "]", what);
        break;
    case EB_TOK_RBRACE:
        unclosed(u, EB_TOK_LBRACE, "}", what);
        break;
    default:
        eb_expected(u, what);
    }
    return false;
}

static int nesting_of(eb_tok tok) {
    switch (tok.kind) {
    case EB_TOK_LPAREN:
    case EB_TOK_LBRACE:
    case EB_TOK_LBRACKET:
        return 1;
    case EB_TOK_RPAREN:
    case EB_TOK_RBRACE:
    case EB_TOK_RBRACKET:
        return -1;
    default:
        return 0;
    }
}

/* A keyword that only begins a statement. */
static bool begins_statement(eb_tok tok) {
    static const uint8_t words[] = {EB_KW_RETURN, EB_KW_IF,   EB_KW_FOR,   EB_KW_WHILE,
                                    EB_KW_SWITCH, EB_KW_GOTO, EB_KW_BREAK, EB_KW_CONTINUE};
    for (size_t n = 0; n < sizeof words; n++)
        if (tok.kind == EB_TOK_NAME && tok.value == words[n])
            return true;
    return false;
}

void eb_end_statement(eb_unit *u, uint32_t errors, const char *what) {
    if (eb_skip(u, EB_TOK_SEMICOLON))
        return;
    if (u->ctx->errors == errors)
        eb_expect(u, EB_TOK_SEMICOLON, what);
    eb_tok tok = eb_peek(u);
    bool goes_on = tok.kind == EB_TOK_NAME || tok.kind == EB_TOK_STAR || tok.kind == EB_TOK_LBRACE;
    if (!begins_statement(tok) && !(goes_on && (tok.flags & EB_TOK_BOL)) &&
        !eb_starts_declaration(u))
        eb_resync(u);
}

void eb_skip_to_close(eb_unit *u) {
    for (int depth = 1, braces = 0; depth > 0 && !eb_is(u, EB_TOK_END);) {
        eb_tok tok = eb_peek(u);
        /* The bracket is missing where a statement ends or begins, or a body. */
        if (!braces && (tok.kind == EB_TOK_SEMICOLON || tok.kind == EB_TOK_RBRACE ||
                        (tok.kind == EB_TOK_LBRACE && depth == 1) || begins_statement(tok)))
            return;
        depth += nesting_of(eb_take(u));
        braces += (tok.kind == EB_TOK_LBRACE) - (tok.kind == EB_TOK_RBRACE);
    }
}

void eb_skip_group(eb_unit *u) {
    int depth = 0;
    do
        depth += nesting_of(eb_take(u));
    while (depth > 0 && !eb_is(u, EB_TOK_END));
}

void eb_resync(eb_unit *u) {
    for (int braces = 0; !eb_is(u, EB_TOK_END);) {
        eb_tok tok = eb_peek(u);
        if (!braces && tok.kind == EB_TOK_SEMICOLON)
            eb_take(u);
        if (!braces &&
            (tok.kind == EB_TOK_SEMICOLON || tok.kind == EB_TOK_RBRACE || begins_statement(tok)))
            return;
        eb_take(u);
        braces += (tok.kind == EB_TOK_LBRACE) - (tok.kind == EB_TOK_RBRACE);
        if (!braces && tok.kind == EB_TOK_RBRACE) /* a body ends what had begun */
            return;
    }
}

/* The text ends here, as far as the parser is concerned: all that is open closes. */
static void too_deep(eb_unit *u, unsigned most) {
    eb_loc loc = eb_peek(u).loc;
    if (!u->ended)
        eb_diag_add(u->ctx, EB_DIAG_NESTING, loc, loc + 1, most);
    u->ended = true;
    u->at = u->count;
}

void eb_nest(eb_unit *u) {
    if (++u->depth > NESTING_MOST)
        too_deep(u, NESTING_MOST);
}

uint32_t eb_chain_open(eb_unit *u) {
    uint32_t beside = u->links;
    u->links = 0;
    return beside;
}

void eb_link(eb_unit *u, uint32_t by) {
    u->links += by;
    if (u->links > CHAIN_MOST)
        too_deep(u, CHAIN_MOST / by);
}

void eb_chain_close(eb_unit *u, uint32_t beside) {
    u->links = beside > u->links ? beside : u->links;
}

void eb_unnest(eb_unit *u) {
    u->depth--;
}

/* ---- pragmas ---- */

static bool next_is(const eb_unit *u, const char *text) {
    eb_tok tok = eb_peek(u);
    return tok.kind != EB_TOK_PRAGMA_END && tok.kind != EB_TOK_END &&
           eb_str_is(eb_tok_text(u->words, tok), text);
}

static bool skip_text(eb_unit *u, const char *text) {
    bool is = next_is(u, text);
    u->at += is;
    return is;
}

/* clang attribute push(__attribute__((X)), apply_to = record), or pop. */
static void pragma_attribute(eb_unit *u) {
    if (skip_text(u, "push")) {
        bool preserve = false;
        while (!eb_is(u, EB_TOK_PRAGMA_END) && !eb_is(u, EB_TOK_END)) {
            preserve = preserve || next_is(u, "preserve_access_index");
            eb_take(u);
        }
        *EB_PUSH(&u->ctx->arena, &u->preserve) = preserve;
    } else if (skip_text(u, "pop") && u->preserve.len) {
        u->preserve.len--;
    }
}

/* unroll, unroll N, unroll(N), nounroll. */
static void pragma_unroll(eb_unit *u) {
    skip_text(u, "(");
    eb_integer count;
    if (eb_is(u, EB_TOK_NUMBER) && eb_integer_of(eb_tok_text(u->words, eb_peek(u)), &count))
        u->unroll = count.value < UINT32_MAX ? (uint32_t)count.value : UINT32_MAX;
    else
        u->unroll = UINT32_MAX;
}

static void pragma_loop(eb_unit *u) {
    if (skip_text(u, "unroll") && skip_text(u, "("))
        u->unroll = next_is(u, "disable") ? 1 : UINT32_MAX;
    else if (skip_text(u, "unroll_count"))
        pragma_unroll(u);
}

/* pack(), pack(N), pack(push), pack(push, N), pack(pop). */
static void pragma_pack(eb_unit *u) {
    if (!skip_text(u, "("))
        return;
    if (skip_text(u, "pop")) {
        u->pack = u->packs.len ? u->packs.at[--u->packs.len] : 0;
        return;
    }
    if (skip_text(u, "push")) {
        *EB_PUSH(&u->ctx->arena, &u->packs) = u->pack;
        if (!skip_text(u, ","))
            return;
    }
    eb_integer pack = {0};
    if (eb_is(u, EB_TOK_NUMBER))
        eb_integer_of(eb_tok_text(u->words, eb_peek(u)), &pack);
    u->pack = pack.value <= 16 ? (uint32_t)pack.value : 0;
}

void eb_pragmas(eb_unit *u) {
    while (eb_skip(u, EB_TOK_PRAGMA)) {
        bool clang = skip_text(u, "clang"), gcc = !clang && skip_text(u, "GCC");
        if (clang && skip_text(u, "attribute"))
            pragma_attribute(u);
        else if (clang && skip_text(u, "loop"))
            pragma_loop(u);
        else if (skip_text(u, "unroll"))
            pragma_unroll(u);
        else if (skip_text(u, "nounroll"))
            u->unroll = 1;
        else if (!clang && !gcc && skip_text(u, "pack"))
            pragma_pack(u);
        else if (skip_text(u, "ebpf_types"))
            eb_kernel_open(u);
        else if (skip_text(u, "ebpf_kfuncs"))
            eb_kernel_open_functions(u);
        while (!eb_is(u, EB_TOK_END) && !eb_skip(u, EB_TOK_PRAGMA_END))
            eb_take(u);
    }
}

/* ---- scopes ---- */

static eb_binding *binding(eb_unit *u, uint32_t name) {
    while (u->bindings.len <= name)
        EB_PUSH(&u->ctx->arena, &u->bindings);
    return &u->bindings.at[name];
}

eb_label **eb_label_slot(eb_unit *u, uint32_t name) {
    while (u->labels.len <= name)
        EB_PUSH(&u->ctx->arena, &u->labels);
    return &u->labels.at[name];
}

void eb_scope_open(eb_unit *u) {
    *EB_PUSH(&u->ctx->arena, &u->scopes) = u->shadowed.len;
}

void eb_scope_close(eb_unit *u) {
    uint32_t start = u->scopes.at[--u->scopes.len];
    while (u->shadowed.len > start) {
        const eb_shadowed *s = &u->shadowed.at[--u->shadowed.len];
        u->bindings.at[s->name] = s->before;
    }
}

eb_suspended eb_scope_suspend(eb_unit *u) {
    eb_suspended s = {.count = u->shadowed.len, .scopes = u->scopes.len};
    eb_shadowed *inner = eb_alloc_array(&u->ctx->arena, s.count, sizeof *inner);
    for (uint32_t n = s.count; n; n--) {
        const eb_shadowed *row = &u->shadowed.at[n - 1];
        inner[n - 1] = (eb_shadowed){row->name, u->bindings.at[row->name]};
        u->bindings.at[row->name] = row->before;
    }
    s.inner = inner;
    u->shadowed.len = u->scopes.len = 0;
    return s;
}

void eb_scope_resume(eb_unit *u, eb_suspended s) {
    u->shadowed.len = s.count;
    u->scopes.len = s.scopes;
    for (uint32_t n = 0; n < s.count; n++) {
        /* What stands at file scope now is what comes back when the inner scopes close. */
        u->shadowed.at[n] = (eb_shadowed){s.inner[n].name, u->bindings.at[s.inner[n].name]};
        u->bindings.at[s.inner[n].name] = s.inner[n].before;
    }
}

bool eb_scope_is_global(const eb_unit *u) {
    return u->scopes.len == 0;
}

eb_decl *eb_bound(const eb_unit *u, uint32_t name) {
    return name < u->bindings.len ? u->bindings.at[name].decl : NULL;
}

static eb_type *bound_tag(const eb_unit *u, uint32_t name) {
    return name < u->bindings.len ? u->bindings.at[name].tag : NULL;
}

eb_type *eb_file_tag(const eb_unit *u, uint32_t name) {
    eb_type *tag = bound_tag(u, name);
    if (!tag || !u->bindings.at[name].tag_depth)
        return tag;
    for (uint32_t n = 0; n < u->shadowed.len; n++) /* what the outermost scope will bring back */
        if (u->shadowed.at[n].name == name)
            return u->shadowed.at[n].before.tag;
    return NULL;
}

eb_decl *eb_file_decl(const eb_unit *u, uint32_t name) {
    eb_decl *decl = eb_bound(u, name);
    if (!decl || !u->bindings.at[name].decl_depth)
        return decl;
    for (uint32_t n = 0; n < u->shadowed.len; n++)
        if (u->shadowed.at[n].name == name)
            return u->shadowed.at[n].before.decl;
    return NULL;
}

eb_decl *eb_lookup(eb_unit *u, uint32_t name) {
    eb_decl *decl = eb_bound(u, name);
    return decl ? decl : eb_kernel_decl(u, name, false);
}

eb_type *eb_lookup_tag(eb_unit *u, uint32_t name) {
    eb_type *tag = bound_tag(u, name);
    return tag ? tag : eb_kernel_tag(u, name, false);
}

/* What was used of BTF is as if it stood at file scope. */
eb_decl *eb_lookup_here(eb_unit *u, uint32_t name) {
    eb_decl *decl = eb_bound(u, name);
    if (!decl && eb_scope_is_global(u))
        return eb_kernel_decl(u, name, true);
    return decl && u->bindings.at[name].decl_depth == u->scopes.len ? decl : NULL;
}

eb_type *eb_lookup_tag_here(eb_unit *u, uint32_t name) {
    eb_type *tag = bound_tag(u, name);
    if (!tag && eb_scope_is_global(u))
        return eb_kernel_tag(u, name, true);
    return tag && u->bindings.at[name].tag_depth == u->scopes.len ? tag : NULL;
}

static eb_binding *shadow(eb_unit *u, uint32_t name) {
    eb_binding *b = binding(u, name);
    if (u->scopes.len)
        *EB_PUSH(&u->ctx->arena, &u->shadowed) = (eb_shadowed){name, *b};
    return b;
}

void eb_bind(eb_unit *u, uint32_t name, eb_decl *decl) {
    eb_binding *b = shadow(u, name);
    b->decl = decl;
    b->decl_depth = u->scopes.len;
}

void eb_bind_tag(eb_unit *u, uint32_t name, eb_type *type) {
    eb_binding *b = shadow(u, name);
    b->tag = type;
    b->tag_depth = u->scopes.len;
}

eb_str eb_name_text(const eb_unit *u, uint32_t name) {
    return u->words->names.at[name].text;
}

static eb_str text_of_type(eb_unit *u, eb_type *type) {
    eb_buf text = {.arena = &u->ctx->arena};
    eb_type_text(&u->types, type, &text);
    size_t length = text.len;
    eb_buf_byte(&text, 0);
    return (eb_str){(const char *)text.at, length};
}

const char *eb_type_string(eb_unit *u, eb_type *type) {
    eb_str text = text_of_type(u, type);
    eb_str other = text_of_type(u, eb_type_written_out(&u->types, type));
    if (eb_str_eq(text, other))
        return text.at;
    return eb_str_fmt(&u->ctx->arena, "%s%c%s", text.at, EB_DIAG_AKA, other.at).at;
}

/* ---- what #pragma says of diagnostics ---- */

/* The token `by` places behind `at`, as text. */
static eb_str text_at(const eb_pp *pp, uint32_t at, uint32_t by) {
    return at + by < pp->out.len ? eb_tok_text(&pp->words, pp->out.at[at + by]) : (eb_str){"", 0};
}

/* Whether a #pragma means something to the grammar. The others may stand where none is looked for,
 * as those about diagnostics in the middle of a declaration: they are taken out. */
static bool is_meant(const eb_pp *pp, uint32_t at) {
    static const char *const words[] = {"unroll", "nounroll", "pack", "ebpf_types", "ebpf_kfuncs"};
    eb_str first = text_at(pp, at, 1), second = text_at(pp, at, 2);
    if (eb_str_is(first, "clang"))
        return eb_str_is(second, "attribute") || eb_str_is(second, "loop");
    for (size_t n = 0; n < sizeof words / sizeof words[0]; n++)
        if (eb_str_is(first, words[n]))
            return true;
    return false;
}

/* #pragma weak name, or name = alias. */
static void note_weak(eb_unit *u, const eb_pp *pp, uint32_t at) {
    eb_tok tok = pp->out.at[at];
    eb_loc hi = tok.loc + (eb_loc)eb_tok_text(&pp->words, tok).len;
    eb_weak weak = {.name = tok.value, .lo = tok.loc, .hi = hi};
    if (at + 2 < pp->out.len && pp->out.at[at + 1].kind == EB_TOK_ASSIGN &&
        pp->out.at[at + 2].kind == EB_TOK_NAME)
        weak.alias = 1 + pp->out.at[at + 2].value;
    *EB_PUSH(&u->ctx->arena, &u->weak) = weak;
}

/* Those that others know: they change nothing here. */
static void unknown_pragma(eb_unit *u, eb_pp *pp, uint32_t at, const eb_warnings *now) {
    static const char *const known[] = {"STDC",       "message",   "mark",
                                        "weak",       "region",    "endregion",
                                        "push_macro", "pop_macro", "redefine_extname"};
    static const char *const parts[] = {
        "diagnostic",     "poison",     "system_header", "dependency",  "visibility", "warning",
        "error",          "unroll",     "push_options",  "pop_options", "optimize",   "target",
        "ivdep",          "attribute",  "loop",          "section",     "fp",         "module",
        "assume_nonnull", "deprecated", "final"};
    eb_str first = text_at(pp, at, 1);
    eb_severity severity;
    bool named = at + 2 < pp->out.len && pp->out.at[at + 2].kind == EB_TOK_NAME;
    if (named && eb_str_is(first, "weak"))
        note_weak(u, pp, at + 2);
    eb_tok tok = pp->out.at[at + 1 < pp->out.len ? at + 1 : at];
    bool of_compiler = eb_str_is(first, "GCC") || eb_str_is(first, "clang");
    eb_str second = text_at(pp, at, 2);
    for (size_t n = 0; of_compiler && n < sizeof parts / sizeof parts[0]; n++)
        if (eb_str_is(second, parts[n]))
            return;
    for (size_t n = 0; n < sizeof known / sizeof known[0]; n++)
        if (eb_str_is(first, known[n]))
            return;
    if (first.len && eb_warnings_severity(now, EB_DIAG_UNKNOWN_PRAGMA, &severity) &&
        !eb_source_is_silent(u->ctx, tok.loc)) {
        eb_diag *diag =
            eb_diag_add(u->ctx, EB_DIAG_UNKNOWN_PRAGMA, tok.loc, tok.loc + (eb_loc)first.len);
        diag->severity = severity;
    }
}

static void drop_pragmas(eb_unit *u, eb_pp *pp) {
    uint32_t to = 0;
    bool dropping = false;
    eb_warnings now = pp->options;
    EB_VEC(eb_warnings) before = {0};
    *EB_PUSH(&u->ctx->arena, &u->told) = (eb_told){0, now};
    for (uint32_t n = 0; n < pp->out.len; n++) {
        if (pp->out.at[n].kind == EB_TOK_PRAGMA && !is_meant(pp, n)) {
            dropping = true;
            if (!eb_pp_diagnostic(pp, &pp->out, n, &now, &before))
                unknown_pragma(u, pp, n, &now);
            else if (memcmp(&now, &u->told.at[u->told.len - 1].warnings, sizeof now) != 0)
                *EB_PUSH(&u->ctx->arena, &u->told) = (eb_told){to, now};
        }
        if (!dropping)
            pp->out.at[to++] = pp->out.at[n];
        else if (pp->out.at[n].kind == EB_TOK_PRAGMA_END)
            dropping = false;
    }
    pp->out.len = to;
}

static const eb_warnings *told_at(const eb_unit *u, uint32_t at) {
    uint32_t lo = 0, hi = u->told.len;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (u->told.at[mid].from <= at)
            lo = mid;
        else
            hi = mid;
    }
    return &u->told.at[lo].warnings;
}

static eb_diag *warn(eb_unit *u, const eb_warnings *told, eb_diag_code code, eb_loc lo, eb_loc hi,
                     va_list args) {
    eb_severity severity;
    if (!eb_warnings_severity(told, code, &severity) || eb_source_is_silent(u->ctx, lo))
        return NULL;
    return eb_diag_vadd(u->ctx, code, severity, lo, hi, args);
}

eb_diag *eb_warn(eb_unit *u, eb_diag_code code, eb_loc lo, eb_loc hi, ...) {
    va_list args;
    va_start(args, hi);
    eb_diag *diag = warn(u, told_at(u, u->at ? u->at - 1 : 0), code, lo, hi, args);
    va_end(args);
    return diag;
}

eb_diag *eb_warn_at(eb_unit *u, uint32_t at, eb_diag_code code, eb_loc lo, eb_loc hi, ...) {
    va_list args;
    va_start(args, hi);
    eb_diag *diag = warn(u, told_at(u, at), code, lo, hi, args);
    va_end(args);
    return diag;
}

bool eb_warns(const eb_unit *u, uint32_t at, eb_diag_code code, eb_loc loc) {
    eb_severity severity;
    return eb_warnings_severity(told_at(u, at), code, &severity) &&
           !eb_source_is_silent(u->ctx, loc);
}

bool eb_extra_semicolon(eb_unit *u) {
    bool is = eb_skip(u, EB_TOK_SEMICOLON);
    if (is)
        eb_warn(u, EB_DIAG_EXTRA_SEMICOLON, eb_behind(u) - 1, eb_behind(u));
    return is;
}

bool eb_braces_end(eb_unit *u) {
    eb_pragmas(u);
    if (eb_skip(u, EB_TOK_RBRACE))
        return true;
    if (!eb_is(u, EB_TOK_END))
        return false;
    eb_expected(u, "'}'");
    return true;
}

bool eb_in_main_file(const eb_unit *u, eb_loc loc) {
    const eb_source *main = &u->ctx->sources.at[u->pp->main];
    eb_str name;
    eb_loc spelled;
    while (eb_expansion_of(u->ctx, loc, &name, &spelled, &loc))
        continue;
    return loc >= main->first && loc <= main->first + main->text.len;
}

/* ---- the unit ---- */

/* When a spelling is a keyword. */
typedef enum applicable { ALWAYS, GNU, C23, EITHER } applicable;

static bool applies(const eb_pp *pp, applicable when) {
    bool gnu = !pp->standard.strict, c23 = pp->standard.year >= 2023;
    return when == ALWAYS || (when != C23 && gnu) || (when != GNU && c23);
}

/* The other spellings of keywords become the first: their tokens get its number. */
static void fold_keywords(eb_pp *pp) {
    static const struct {
        eb_keyword word;
        applicable when;
        const char *text;
    } spellings[] = {
#define SPELLED(id, when, text) {EB_KW_##id, when, text},
#include "token.def"
    };
    enum { SPELLINGS = sizeof spellings / sizeof spellings[0] };
    uint32_t names[SPELLINGS];
    for (unsigned n = 0; n < SPELLINGS; n++)
        names[n] = eb_name_enter(&pp->words, eb_str_from(spellings[n].text));
    /* They were entered one after the other, behind the keywords. */
    for (uint32_t n = 0; n < pp->out.len; n++) {
        eb_tok *tok = &pp->out.at[n];
        if (tok->kind == EB_TOK_NAME && tok->value >= names[0] &&
            tok->value <= names[SPELLINGS - 1] &&
            applies(pp, spellings[tok->value - names[0]].when))
            tok->value = (uint32_t)spellings[tok->value - names[0]].word;
    }
}

static void predeclare_type(eb_unit *u, const char *name, eb_type *type) {
    eb_decl *decl = eb_alloc(&u->ctx->arena, sizeof *decl);
    decl->kind = EB_DECL_TYPEDEF;
    decl->name = eb_name_enter(u->words, eb_str_from(name));
    decl->type = eb_type_typedef(&u->types, decl->name, type);
    eb_bind(u, decl->name, decl);
}

static void predeclare(eb_unit *u) {
    eb_type *none = eb_type_basic(&u->types, EB_TYPE_VOID);
    predeclare_type(u, "__builtin_va_list", eb_type_pointer(&u->types, none));
    predeclare_type(u, "__int128_t", eb_type_basic(&u->types, EB_TYPE_INT128));
    predeclare_type(u, "__uint128_t", eb_type_basic(&u->types, EB_TYPE_UINT128));
}

/* '}' at file scope, and what would be declared if it closed a record. */
static void extra_brace(eb_unit *u) {
    eb_tok tok = eb_take(u);
    if (!u->lost)
        eb_diag_add(u->ctx, EB_DIAG_STRAY, tok.loc, tok.loc + 1, 1, "}", "'{'");
    if (eb_is(u, EB_TOK_SEMICOLON) || (eb_is_name(u) && !eb_starts_declaration(u)))
        eb_resync(u);
}

/* What is left of a function that ended too early: told once, up to the next declaration. */
static void stray_statement(eb_unit *u) {
    eb_tok tok = eb_take(u);
    eb_str text = eb_tok_text(u->words, tok);
    if (!u->lost)
        eb_diag_add(u->ctx, EB_DIAG_OUTSIDE, tok.loc, eb_tok_end(u, tok),
                    eb_str_fmt(&u->ctx->arena, "'%.*s'", (int)text.len, text.at).at, "functions");
    u->lost = true;
    eb_resync(u);
}

/* At file scope, where something else than a declaration stands. */
static bool is_stray(eb_unit *u) {
    eb_tok tok = eb_peek(u);
    if (begins_statement(tok) || (tok.kind == EB_TOK_NAME && tok.value == EB_KW_ELSE))
        return true;
    if (u->lost && eb_starts_declaration(u))
        u->lost = false;
    return u->lost && !eb_is_word(u, EB_KW_ASM) && !eb_is(u, EB_TOK_SEMICOLON);
}

/* How many of the tokens are whole declarations. */
static uint32_t whole_declarations(const eb_unit *u) {
    uint32_t whole = 0;
    for (int depth = 0, n = 0; n < (int)u->count; n++) {
        eb_tok_kind kind = u->toks[n].kind;
        depth += nesting_of(u->toks[n]);
        if (depth <= 0 && (kind == EB_TOK_SEMICOLON || kind == EB_TOK_RBRACE))
            whole = (uint32_t)n + 1;
    }
    return whole;
}

static void declarations(eb_unit *u) {
    while (!eb_is(u, EB_TOK_END)) {
        uint32_t before = u->at;
        eb_pragmas(u);
        if (eb_is(u, EB_TOK_END))
            break;
        if (eb_is(u, EB_TOK_RBRACE))
            extra_brace(u);
        else if (is_stray(u))
            stray_statement(u);
        else if (!eb_extra_semicolon(u))
            eb_declaration(u);
        if (u->at == before) /* nothing begins with this token */
            eb_take(u);
    }
}

eb_unit *eb_parse(eb_pp *pp) {
    eb_unit *u = eb_alloc(&pp->ctx->arena, sizeof *u);
    bool front = pp->ctx->is_fatal; /* only what stands in front of the error means anything */
    u->ctx = pp->ctx;
    if (front && pp->front < pp->out.len)
        pp->out.len = pp->front;
    drop_pragmas(u, pp);
    fold_keywords(pp);
    u->pp = pp;
    u->words = &pp->words;
    u->toks = pp->out.at;
    u->count = pp->out.len;
    if (front)
        u->count = whole_declarations(u);
    u->ended = front;
    u->ctx->is_fatal = false;
    eb_types_init(&u->types, u->ctx, u->words, pp->dialect & EBPF_CC_UNSIGNED_CHAR);
    predeclare(u);
    declarations(u);
    if (!front) {
        eb_find_aliases(u);
        eb_check_unit(u);
    }
    eb_kernel_close(u);
    return u;
}
