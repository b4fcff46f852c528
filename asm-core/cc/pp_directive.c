/* pp_directive.c - the lines that begin with '#' (C11 6.10, GNU's and C23's additions).
 *
 * A directive that needs an answer of the host leaves no trace and is read again from its '#'. */
#include "pp.h"

#include <string.h>

typedef enum directive {
    NONE,
#define DIRECTIVE(id, name) DIRECTIVE_##id,
#include "predef.def"
} directive;

static const char *const names[] = {
    "",
#define DIRECTIVE(id, name) name,
#include "predef.def"
};

static directive directive_of(const eb_pp *pp, eb_tok tok) {
    if (tok.kind != EB_TOK_NAME)
        return NONE;
    eb_str text = eb_tok_text(&pp->words, tok);
    for (unsigned n = 1; n < sizeof names / sizeof names[0]; n++)
        if (eb_str_is(text, names[n]))
            return (directive)n;
    return NONE;
}

static void end_of_line(eb_pp *pp, eb_lexer *lexer) {
    eb_tok tok = eb_lex(lexer);
    if (tok.kind != EB_TOK_END)
        eb_pp_warn(pp, EB_DIAG_EXTRA_TOKENS, tok.loc, tok.loc + 1);
}

static eb_toks rest_of_line(eb_pp *pp, eb_lexer *lexer) {
    eb_toks out = {0};
    for (eb_tok tok; (tok = eb_lex(lexer)).kind != EB_TOK_END;)
        *EB_PUSH(&pp->ctx->arena, &out) = tok;
    return out;
}

/* The text from here to the end of the line, without white space around it. */
static eb_str text_of_line(eb_lexer *lexer) {
    while (lexer->at < lexer->end && (*lexer->at == ' ' || *lexer->at == '\t'))
        lexer->at++;
    const char *start = lexer->at;
    eb_lexer_skip_line(lexer);
    const char *end = lexer->at;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    return (eb_str){start, (size_t)(end - start)};
}

/* ---- files ---- */

/* The number of the request; a new one is asked for later. */
static uint32_t request_of(eb_pp *pp, eb_str spelling, uint32_t kind) {
    uint32_t from = eb_pp_top_file(pp)->file;
    /* <...> is looked for in the same places from everywhere. */
    eb_str key = eb_str_fmt(&pp->ctx->arena, "%u:%u:%.*s", kind, kind == EB_PP_ANGLE ? 0 : from,
                            (int)spelling.len, spelling.at);
    bool is_new;
    uint32_t *number = eb_map_enter(&pp->requested, key, &is_new);
    if (is_new) {
        *number = pp->requests.len;
        *EB_PUSH(&pp->ctx->arena, &pp->requests) = (eb_pp_request){
            .spelling = eb_str_copy(&pp->ctx->arena, spelling), .kind = kind, .from = from};
    }
    return *number;
}

bool eb_include_find(eb_pp *pp, eb_str spelling, uint32_t kind, uint32_t *file) {
    uint32_t number = request_of(pp, spelling, kind);
    const eb_pp_request *r = &pp->requests.at[number];
    *file = r->state == EB_PP_FOUND ? r->file + 1 : 0;
    if (r->state == EB_PP_OPEN)
        pp->wanted = number + 1;
    return r->state != EB_PP_OPEN;
}

/* "name" or <name>, written so or made by macros. False after a diagnostic. */
static bool header_name(eb_pp *pp, eb_lexer *lexer, eb_str *spelling, bool *angle) {
    while (lexer->at < lexer->end && (*lexer->at == ' ' || *lexer->at == '\t'))
        lexer->at++;
    eb_str text = {lexer->at, 0};
    eb_loc lo = eb_lexer_loc(lexer);
    if (*lexer->at != '"' && *lexer->at != '<') {
        eb_toks toks = rest_of_line(pp, lexer);
        toks = eb_pp_expand(pp, toks.at, toks.len);
        eb_buf made = {.arena = &pp->ctx->arena};
        for (uint32_t n = 0; n < toks.len; n++) {
            if (n && (toks.at[n].flags & EB_TOK_SPACE))
                eb_buf_byte(&made, ' ');
            eb_buf_str(&made, eb_tok_text(&pp->words, toks.at[n]));
        }
        size_t length = made.len;
        eb_buf_byte(&made, 0);
        text = (eb_str){(const char *)made.at, length};
    } else {
        const char *end = lexer->at + 1;
        char close = *lexer->at == '<' ? '>' : '"';
        while (end < lexer->end && *end != close && *end != '\n')
            end++;
        text.len = (size_t)(end - lexer->at) + (end < lexer->end && *end == close);
        lexer->at += text.len;
        end_of_line(pp, lexer);
    }
    *angle = text.len && text.at[0] == '<';
    char close = *angle ? '>' : '"';
    if (text.len < 3 || (text.at[0] != '"' && !*angle) || text.at[text.len - 1] != close) {
        eb_diag_add(pp->ctx, EB_DIAG_EXPECTED, lo, lo + 1, "\"FILE\" or <FILE>");
        return false;
    }
    *spelling = (eb_str){text.at + 1, text.len - 2};
    return true;
}

/* An #include that does not enter a file: the text goes on in the next line. */
static bool leave_line(eb_pp *pp, eb_lexer *lexer) {
    eb_lexer_skip_line(lexer);
    lexer->directive = false;
    eb_pp_top_file(pp)->lexer = *lexer;
    return true;
}

/* Most of what follows would be about what the file declares: only more files that are missing are
 * told. */
static void no_file(eb_pp *pp, eb_loc lo, eb_str spelling, uint32_t kind) {
    const eb_pp_request *request = &pp->requests.at[request_of(pp, spelling, kind)];
    eb_diag *diag = eb_diag_add(pp->ctx, EB_DIAG_NO_FILE, lo, lo + (eb_loc)spelling.len + 2,
                                (int)spelling.len, spelling.at);
    if (request->near.len) {
        eb_str name = request->near;
        eb_diag_hint(pp->ctx, diag, "did you mean '%.*s'?", (int)name.len, name.at);
        eb_diag_fixit(pp->ctx, diag, lo + 1, lo + 1 + (eb_loc)spelling.len, name);
    }
    if (!pp->ctx->is_fatal)
        pp->front = pp->out.len;
    eb_diag_fatal(pp->ctx, diag);
}

static bool include(eb_pp *pp, eb_lexer *lexer, eb_tok tok, bool next) {
    eb_str spelling;
    bool angle;
    uint32_t file;
    if (pp->reading_args) {
        eb_diag_add(pp->ctx, EB_DIAG_INCLUDE_IN_ARGS, tok.loc, eb_lexer_loc(lexer));
        return leave_line(pp, lexer);
    }
    while (lexer->at < lexer->end && (*lexer->at == ' ' || *lexer->at == '\t'))
        lexer->at++;
    eb_loc at = eb_lexer_loc(lexer);
    if (pp->stopped || !header_name(pp, lexer, &spelling, &angle))
        return leave_line(pp, lexer);
    uint32_t kind = angle ? EB_PP_ANGLE : EB_PP_QUOTE;
    kind += next ? 2 : 0;
    if (!eb_include_find(pp, spelling, kind, &file))
        return false;
    /* The directive ends before the file begins: its lexer must be where it goes on. */
    lexer->directive = false;
    eb_pp_top_file(pp)->lexer = *lexer;
    /* What is included as <...> is somebody else's. */
    if (file)
        eb_pp_push_file(pp, file - 1, tok.loc, angle || eb_source_is_silent(pp->ctx, tok.loc));
    else
        no_file(pp, at, spelling, kind);
    return true;
}

/* -imacros, in the lines of the command line: what comes out of the file but macros is dropped. */
static bool include_macros(eb_pp *pp, eb_lexer *lexer, eb_tok tok) {
    uint32_t feeds = pp->feeds.len;
    if (!include(pp, lexer, tok, false))
        return false;
    if (pp->feeds.len > feeds)
        pp->feeds.at[feeds].macros_only = true;
    return true;
}

static bool embed(eb_pp *pp, eb_lexer *lexer, eb_tok tok) {
    eb_toks line = rest_of_line(pp, lexer);
    return eb_embed(pp, line, tok.loc, eb_lexer_loc(lexer));
}

/* ---- conditions ---- */

/* Each evaluator: false when the host must be asked first. */
static bool condition(eb_pp *pp, eb_lexer *lexer, directive kind, bool *value) {
    if (kind == DIRECTIVE_IF || kind == DIRECTIVE_ELIF) {
        eb_loc loc = eb_lexer_loc(lexer);
        eb_toks toks = rest_of_line(pp, lexer);
        *value = eb_pp_condition(pp, toks, loc);
        return !pp->wanted;
    }
    eb_tok tok = eb_lex(lexer);
    if (tok.kind != EB_TOK_NAME) {
        eb_diag_add(pp->ctx, EB_DIAG_EXPECTED, tok.loc, tok.loc + 1, "a macro's name");
        *value = false;
        return true;
    }
    bool positive = kind == DIRECTIVE_IFDEF || kind == DIRECTIVE_ELIFDEF;
    *value = (pp->words.names.at[tok.value].macro != 0) == positive;
    end_of_line(pp, lexer);
    return true;
}

static bool opens(directive kind) {
    return kind == DIRECTIVE_IF || kind == DIRECTIVE_IFDEF || kind == DIRECTIVE_IFNDEF;
}

static bool is_else(directive kind) {
    return kind == DIRECTIVE_ELIF || kind == DIRECTIVE_ELIFDEF || kind == DIRECTIVE_ELIFNDEF ||
           kind == DIRECTIVE_ELSE;
}

static void check_else(eb_pp *pp, eb_pp_if *top, directive kind, eb_tok tok) {
    if (top->in_else) {
        eb_diag *diag = eb_diag_add(pp->ctx, EB_DIAG_AFTER_ELSE, tok.loc, tok.loc + 1, names[kind]);
        eb_diag_note(pp->ctx, diag, top->loc, top->loc + 1, "the condition began here");
    }
    top->in_else = top->in_else || kind == DIRECTIVE_ELSE;
}

/* To the #elif or #else whose group is to be read, or behind the #endif. */
static bool skip_group(eb_pp *pp, eb_lexer *lexer) {
    uint32_t depth = 0;
    for (;;) {
        lexer->directive = false;
        eb_lexer line = *lexer;
        eb_tok tok = eb_lex(lexer);
        if (tok.kind == EB_TOK_END)
            return true;
        if (tok.kind != EB_TOK_HASH || !(tok.flags & EB_TOK_BOL)) {
            if (tok.kind == EB_TOK_OTHER || tok.kind == EB_TOK_STRING || tok.kind == EB_TOK_CHAR)
                *lexer = line; /* an apostrophe in skipped prose begins no literal */
            eb_lexer_skip_line(lexer);
            if (lexer->at == line.at)
                lexer->at++;
            continue;
        }
        lexer->directive = true;
        tok = eb_lex(lexer);
        directive kind = directive_of(pp, tok);
        eb_pp_if *top = &pp->ifs.at[pp->ifs.len - 1];
        depth += opens(kind);
        if (kind == DIRECTIVE_ENDIF && depth-- == 0) {
            pp->ifs.len--;
            end_of_line(pp, lexer);
            return true;
        }
        if (depth == 0 && is_else(kind)) {
            bool value = !top->taken && kind == DIRECTIVE_ELSE;
            check_else(pp, top, kind, tok);
            if (!top->taken && kind != DIRECTIVE_ELSE && !condition(pp, lexer, kind, &value))
                return false;
            if (value) {
                pp->ifs.at[pp->ifs.len - 1].taken = true;
                return true;
            }
        }
        eb_lexer_skip_line(lexer);
    }
}

static bool begin_if(eb_pp *pp, eb_lexer *lexer, directive kind, eb_loc loc) {
    bool value;
    if (!condition(pp, lexer, kind, &value))
        return false;
    *EB_PUSH(&pp->ctx->arena, &pp->ifs) = (eb_pp_if){.loc = loc, .taken = value};
    return value || skip_group(pp, lexer);
}

static bool conditional(eb_pp *pp, eb_feed *feed, eb_lexer *lexer, directive kind, eb_tok tok) {
    if (opens(kind))
        return begin_if(pp, lexer, kind, tok.loc);
    if (pp->ifs.len == feed->ifs) {
        eb_diag_add(pp->ctx, EB_DIAG_NO_IF, tok.loc, tok.loc + 1, names[kind]);
        return true;
    }
    if (kind == DIRECTIVE_ENDIF) {
        pp->ifs.len--;
        end_of_line(pp, lexer);
        return true;
    }
    /* The group before this one was read, so none of the others is. */
    check_else(pp, &pp->ifs.at[pp->ifs.len - 1], kind, tok);
    eb_lexer_skip_line(lexer);
    return skip_group(pp, lexer);
}

void eb_directive_file_end(eb_pp *pp, eb_feed *feed) {
    if (feed->guard_possible && feed->guard)
        pp->files.at[feed->file].guard = feed->guard;
    while (pp->ifs.len > feed->ifs) {
        eb_loc loc = pp->ifs.at[--pp->ifs.len].loc;
        eb_diag_add(pp->ctx, EB_DIAG_OPEN_IF, loc, loc + 1);
    }
}

/* ---- the others ---- */

static void undefine(eb_pp *pp, eb_lexer *lexer) {
    eb_tok tok = eb_lex(lexer);
    if (tok.kind != EB_TOK_NAME) {
        eb_diag_add(pp->ctx, EB_DIAG_EXPECTED, tok.loc, tok.loc + 1, "a macro's name");
        return;
    }
    if (pp->text & EBPF_CC_DEFINITIONS)
        eb_pp_mark_here(pp, EB_PP_UNDEF, tok.loc, tok.value);
    pp->words.names.at[tok.value].macro = 0;
    end_of_line(pp, lexer);
}

/* A name as #line has it, without its quotes. */
static eb_str unquoted(eb_pp *pp, eb_str text) {
    eb_buf out = {.arena = &pp->ctx->arena};
    for (size_t n = 1; n + 1 < text.len; n++) {
        n += text.at[n] == '\\' && n + 2 < text.len;
        eb_buf_byte(&out, (uint8_t)text.at[n]);
    }
    return (eb_str){(const char *)out.at, out.len};
}

/* #line NUMBER "FILE", or the line marker # NUMBER "FILE" FLAGS that preprocessors print: 3 is a
 * system's header. */
static void set_line(eb_pp *pp, eb_toks toks, eb_tok at) {
    toks = eb_pp_expand(pp, toks.at, toks.len);
    uint64_t line = 0;
    eb_str text = toks.len ? eb_tok_text(&pp->words, toks.at[0]) : (eb_str){0};
    for (size_t n = 0; n < text.len && line <= INT32_MAX; n++)
        line = text.at[n] >= '0' && text.at[n] <= '9' ? line * 10 + (uint64_t)(text.at[n] - '0')
                                                      : UINT32_MAX;
    if (!toks.len || toks.at[0].kind != EB_TOK_NUMBER || line > INT32_MAX) {
        eb_diag_add(pp->ctx, EB_DIAG_EXPECTED, at.loc, at.loc + 1, "a line number");
        return;
    }
    eb_str name = eb_place_of(pp->ctx, at.loc).name;
    bool system = false;
    if (toks.len > 1) {
        eb_str file = eb_tok_text(&pp->words, toks.at[1]);
        if (toks.at[1].kind != EB_TOK_STRING || file.at[0] != '"') {
            eb_diag_add(pp->ctx, EB_DIAG_EXPECTED, toks.at[1].loc, toks.at[1].loc + 1,
                        "a file's name in quotes");
            return;
        }
        name = unquoted(pp, file);
    }
    for (uint32_t n = 2; n < toks.len; n++)
        system = system || eb_str_is(eb_tok_text(&pp->words, toks.at[n]), "3");
    eb_source_mark(pp->ctx, at.loc, (uint32_t)line, name, system);
    eb_pp_top_file(pp)->system = system;
    eb_pp_mark_here(pp, EB_PP_RENAME, at.loc, system);
}

static void ident(eb_pp *pp, eb_lexer *lexer) {
    eb_tok tok = eb_lex(lexer);
    if (tok.kind == EB_TOK_STRING)
        eb_pp_mark_here(pp, EB_PP_IDENT, tok.loc, tok.value);
    else
        eb_diag_add(pp->ctx, EB_DIAG_EXPECTED, tok.loc, tok.loc + 1, "a text in quotes");
    eb_lexer_skip_line(lexer);
}

/* The text of a string literal that is next, without its quotes; the token's place. */
static eb_str string_next(eb_pp *pp, eb_lexer *lexer, eb_tok *tok) {
    *tok = eb_lex(lexer);
    if (tok->kind == EB_TOK_LPAREN)
        *tok = eb_lex(lexer);
    eb_str text = eb_tok_text(&pp->words, *tok);
    return tok->kind == EB_TOK_STRING && text.len >= 2 && text.at[0] == '"'
               ? (eb_str){text.at + 1, text.len - 2}
               : (eb_str){0};
}

/* push_macro("NAME"), pop_macro("NAME") */
static void push_macro(eb_pp *pp, eb_lexer *lexer, bool push) {
    eb_tok tok;
    eb_str text = string_next(pp, lexer, &tok);
    if (!text.len)
        return;
    uint32_t name = eb_name_enter(&pp->words, eb_str_copy(&pp->ctx->arena, text));
    if (push) {
        *EB_PUSH(&pp->ctx->arena, &pp->pushed) =
            (eb_pp_pushed){name, pp->words.names.at[name].macro};
        return;
    }
    for (uint32_t n = pp->pushed.len; n; n--) {
        if (pp->pushed.at[n - 1].name != name)
            continue;
        pp->words.names.at[name].macro = pp->pushed.at[n - 1].macro;
        pp->pushed.at[n - 1] = pp->pushed.at[--pp->pushed.len];
        return;
    }
}

static void poison(eb_pp *pp, eb_lexer *lexer) {
    for (eb_tok tok; (tok = eb_lex(lexer)).kind == EB_TOK_NAME;) {
        eb_macro *macro = eb_alloc(&pp->ctx->arena, sizeof *macro);
        macro->name = tok.value;
        macro->builtin = EB_PP_POISONED;
        *EB_PUSH(&pp->ctx->arena, &pp->macros) = macro;
        pp->words.names.at[tok.value].macro = pp->macros.len;
    }
}

static void pragma_message(eb_pp *pp, eb_lexer *lexer, bool error) {
    eb_tok tok;
    eb_str text = string_next(pp, lexer, &tok);
    eb_loc hi = tok.loc + (eb_loc)text.len + 2;
    if (!text.len)
        return;
    if (error)
        eb_diag_add(pp->ctx, EB_DIAG_USER_ERROR, tok.loc, hi, (int)text.len, text.at);
    else
        eb_pp_warn(pp, EB_DIAG_PRAGMA_MESSAGE, tok.loc, hi, (int)text.len, text.at);
}

/* What is for the preprocessor alone. `lexer` is behind the first word. */
static void obey_pragma(eb_pp *pp, eb_lexer *lexer, eb_str first) {
    bool gcc = eb_str_is(first, "GCC") || eb_str_is(first, "clang");
    eb_str word = gcc ? eb_tok_text(&pp->words, eb_lex(lexer)) : first;
    if (eb_str_is(word, "push_macro") || eb_str_is(word, "pop_macro"))
        push_macro(pp, lexer, eb_str_is(word, "push_macro"));
    else if (gcc && eb_str_is(word, "poison"))
        poison(pp, lexer);
    else if (gcc && (eb_str_is(word, "error") || eb_str_is(word, "warning")))
        pragma_message(pp, lexer, eb_str_is(word, "error"));
}

/* #pragma clang … (MACRO), about a macro's uses: clang's preprocessor keeps it to itself. */
static bool is_of_macros(const eb_pp *pp, eb_tok first, eb_tok second) {
    eb_str word = second.kind == EB_TOK_NAME ? eb_tok_text(&pp->words, second) : (eb_str){0};
    return first.kind == EB_TOK_NAME && eb_str_is(eb_tok_text(&pp->words, first), "clang") &&
           (eb_str_is(word, "deprecated") || eb_str_is(word, "restrict_expansion") ||
            eb_str_is(word, "final"));
}

static void pragma(eb_pp *pp, eb_feed *feed, eb_lexer *lexer, eb_tok tok) {
    eb_lexer ahead = *lexer;
    eb_tok first = eb_lex(&ahead);
    if (first.kind == EB_TOK_NAME && eb_str_is(eb_tok_text(&pp->words, first), "once")) {
        pp->files.at[feed->file].once = true;
        *lexer = ahead;
        end_of_line(pp, lexer);
        return;
    }
    if (first.kind == EB_TOK_NAME) {
        eb_lexer behind = ahead;
        obey_pragma(pp, &behind, eb_tok_text(&pp->words, first));
    }
    eb_tok second = eb_lex(&ahead);
    if (is_of_macros(pp, first, second)) {
        eb_lexer_skip_line(lexer);
        return;
    }
    if (second.kind == EB_TOK_NAME && eb_str_is(eb_tok_text(&pp->words, second), "system_header")) {
        if (feed->file) { /* not the main one */
            eb_source_silence(pp->ctx, tok.loc);
            eb_pp_mark_here(pp, EB_PP_RENAME, tok.loc, true);
            feed->system = true;
        }
        return;
    }
    /* Handed on to the parser as it is, in front of what comes. */
    eb_toks line = {0};
    tok.kind = EB_TOK_PRAGMA;
    *EB_PUSH(&pp->ctx->arena, &line) = tok;
    for (eb_tok t; (t = eb_lex(lexer)).kind != EB_TOK_END;) {
        t.flags |= EB_TOK_PAINTED;
        *EB_PUSH(&pp->ctx->arena, &line) = t;
    }
    *EB_PUSH(&pp->ctx->arena, &line) = (eb_tok){.kind = EB_TOK_PRAGMA_END, .loc = tok.loc};
    eb_pp_push_tokens(pp, NULL, line.at, line.len);
}

static void message(eb_pp *pp, eb_lexer *lexer, eb_tok tok, bool error) {
    eb_str text = text_of_line(lexer);
    eb_loc hi = eb_lexer_loc(lexer);
    if (error)
        eb_diag_add(pp->ctx, EB_DIAG_USER_ERROR, tok.loc, hi, (int)text.len, text.at);
    else
        eb_pp_warn(pp, EB_DIAG_HASH_WARNING, tok.loc, hi, (int)text.len, text.at);
}

/* An #ifndef that is the first thing of a file may enclose all of it. */
static void watch_guard(eb_pp *pp, eb_feed *feed, const eb_lexer *lexer, directive kind) {
    if (pp->ifs.len > feed->ifs + 1 || (pp->ifs.len > feed->ifs && !is_else(kind)))
        return;
    eb_lexer ahead = *lexer;
    eb_tok tok = kind == DIRECTIVE_IFNDEF ? eb_lex(&ahead) : (eb_tok){0};
    if (feed->guard_possible && !feed->guard && tok.kind == EB_TOK_NAME)
        feed->guard = tok.value + 1;
    else
        feed->guard_possible = false;
}

static void unknown_directive(eb_pp *pp, eb_tok tok) {
    eb_str text = eb_tok_text(&pp->words, tok);
    eb_diag *diag = eb_diag_add(pp->ctx, EB_DIAG_BAD_DIRECTIVE, tok.loc, tok.loc + (eb_loc)text.len,
                                (int)text.len, text.at);
    eb_near near = eb_near_to(text);
    for (unsigned n = 1; n < sizeof names / sizeof names[0]; n++)
        eb_near_try(&near, eb_str_from(names[n]), 0);
    if (eb_near_found(&near))
        eb_diag_meant(pp->ctx, diag, near.best);
}

static bool obey(eb_pp *pp, eb_feed *feed, eb_lexer *lexer, directive kind, eb_tok tok) {
    switch (kind) { /* one case per row */
    case DIRECTIVE_DEFINE:
        eb_macro_define(pp, lexer);
        return true;
    case DIRECTIVE_UNDEF:
        undefine(pp, lexer);
        return true;
    case DIRECTIVE_INCLUDE:
    case DIRECTIVE_IMPORT:
        return include(pp, lexer, tok, false);
    case DIRECTIVE_INCLUDE_NEXT:
        return include(pp, lexer, tok, true);
    case DIRECTIVE_INCLUDE_MACROS:
        return include_macros(pp, lexer, tok);
    case DIRECTIVE_IF:
    case DIRECTIVE_IFDEF:
    case DIRECTIVE_IFNDEF:
    case DIRECTIVE_ELIF:
    case DIRECTIVE_ELIFDEF:
    case DIRECTIVE_ELIFNDEF:
    case DIRECTIVE_ELSE:
    case DIRECTIVE_ENDIF:
        return conditional(pp, feed, lexer, kind, tok);
    case DIRECTIVE_LINE:
        set_line(pp, rest_of_line(pp, lexer), tok);
        return true;
    case DIRECTIVE_ERROR:
        message(pp, lexer, tok, true);
        return true;
    case DIRECTIVE_WARNING:
        message(pp, lexer, tok, false);
        return true;
    case DIRECTIVE_PRAGMA:
        pragma(pp, feed, lexer, tok);
        return true;
    case DIRECTIVE_IDENT:
    case DIRECTIVE_SCCS:
        ident(pp, lexer);
        return true;
    case DIRECTIVE_EMBED:
        return embed(pp, lexer, tok);
    case NONE:
        break;
    }
    unknown_directive(pp, tok);
    return true;
}

bool eb_directive(eb_pp *pp, eb_feed *feed) {
    uint32_t ifs = pp->ifs.len, counter = pp->counter, number = (uint32_t)(feed - pp->feeds.at);
    eb_pp_if top = ifs ? pp->ifs.at[ifs - 1] : (eb_pp_if){0};
    eb_lexer lexer = feed->lexer;
    lexer.directive = true;
    eb_tok tok = eb_lex(&lexer);
    if (tok.kind == EB_TOK_END) /* the null directive */
        return true;
    eb_feed before = *feed;
    directive kind = directive_of(pp, tok);
    if (kind == DIRECTIVE_INCLUDE_MACROS &&
        !eb_str_is(eb_place_of(pp->ctx, tok.loc).name, "<command line>"))
        kind = NONE;
    watch_guard(pp, feed, &lexer, kind);
    bool entering = kind == DIRECTIVE_INCLUDE || kind == DIRECTIVE_INCLUDE_NEXT ||
                    kind == DIRECTIVE_INCLUDE_MACROS;
    bool done = true;
    if (tok.kind == EB_TOK_NUMBER) {
        eb_toks toks = {0};
        *EB_PUSH(&pp->ctx->arena, &toks) = tok;
        for (eb_tok t; (t = eb_lex(&lexer)).kind != EB_TOK_END;)
            *EB_PUSH(&pp->ctx->arena, &toks) = t;
        set_line(pp, toks, tok);
    } else {
        done = obey(pp, feed, &lexer, kind, tok);
    }
    feed = &pp->feeds.at[number];
    if (!done) {
        *feed = before;
        pp->ifs.len = ifs;
        pp->counter = counter;
        if (ifs)
            pp->ifs.at[ifs - 1] = top;
        return false;
    }
    if (!entering) {
        eb_lexer_skip_line(&lexer);
        lexer.directive = false;
        feed->lexer = lexer;
    }
    return true;
}
