/* pp.c - the feeds of the preprocessor and its main loop; see pp.h. */
#include "btf_dump.h"
#include "pp.h"

enum { FEEDS_MOST = 4000, INCLUDES_MOST = 200, FILES_MOST = 20000 };

/* ---- feeds ---- */

eb_feed *eb_pp_top_file(eb_pp *pp) {
    for (uint32_t n = pp->feeds.len; n; n--)
        if (pp->feeds.at[n - 1].is_file)
            return &pp->feeds.at[n - 1];
    return NULL;
}

void eb_pp_push_tokens(eb_pp *pp, eb_macro *macro, const eb_tok *at, uint32_t count) {
    if (macro)
        macro->active = true;
    *EB_PUSH(&pp->ctx->arena, &pp->feeds) =
        (eb_feed){.macro = macro, .at = at, .end = count ? at + count : at};
}

static void push_barrier(eb_pp *pp) {
    *EB_PUSH(&pp->ctx->arena, &pp->feeds) = (eb_feed){.barrier = true};
}

uint32_t eb_pp_file_add(eb_pp *pp, eb_str path, eb_str text, bool system) {
    bool is_new;
    const uint32_t *known = eb_map_find(&pp->paths, path);
    if (known)
        return *known;
    path = eb_str_copy(&pp->ctx->arena, path);
    *eb_map_enter(&pp->paths, path, &is_new) = pp->files.len;
    *EB_PUSH(&pp->ctx->arena, &pp->files) =
        (eb_pp_file){.path = path, .text = eb_str_copy(&pp->ctx->arena, text), .system = system};
    return pp->files.len - 1;
}

void eb_pp_mark_here(eb_pp *pp, eb_pp_mark_kind kind, eb_loc loc, uint32_t of) {
    *EB_PUSH(&pp->ctx->arena, &pp->marks) = (eb_pp_mark){kind, pp->out.len, loc, of};
}

void eb_pp_push_file(eb_pp *pp, uint32_t file, eb_loc from, bool quiet) {
    eb_pp_file *entry = &pp->files.at[file];
    uint32_t depth = 0;
    for (uint32_t n = 0; n < pp->feeds.len; n++)
        depth += pp->feeds.at[n].is_file;
    if (depth > INCLUDES_MOST) {
        eb_diag_add(pp->ctx, EB_DIAG_INCLUDE_DEPTH, from, from + 1, (unsigned)INCLUDES_MOST);
        pp->stopped = true;
        return;
    }
    if (entry->entered && (entry->once || (entry->guard && eb_macro_of(pp, entry->guard - 1))))
        return;
    if (++pp->included > FILES_MOST) {
        eb_diag_add(pp->ctx, EB_DIAG_INCLUDE_COUNT, from, from + 1, (unsigned)FILES_MOST);
        pp->stopped = true;
        return;
    }
    entry->entered = true;
    const eb_feed *parent = from ? eb_pp_top_file(pp) : NULL;
    bool system = entry->system || (parent && parent->system);
    eb_loc first = eb_source_add(pp->ctx, entry->path, entry->text);
    if (from)
        eb_source_from(pp->ctx, from, from + 1);
    if (quiet)
        eb_source_silence(pp->ctx, first);
    *EB_PUSH(&pp->ctx->arena, &pp->feeds) =
        (eb_feed){.is_file = true,
                  .lexer = eb_lexer_of(&pp->words, entry->text, first),
                  .file = file,
                  .ifs = pp->ifs.len,
                  .guard_possible = true,
                  .system = system,
                  .out = pp->out.len,
                  .marks = pp->marks.len};
    eb_pp_mark_here(pp, EB_PP_ENTER, first, system);
}

/* The top feed is used up. */
static void pop(eb_pp *pp) {
    eb_feed *feed = &pp->feeds.at[pp->feeds.len - 1];
    if (feed->macro)
        feed->macro->active = false;
    pp->carried |= feed->carried;
    if (feed->is_file)
        eb_directive_file_end(pp, feed);
    pp->feeds.len--;
    if (!feed->is_file)
        return;
    if (feed->macros_only) {
        pp->out.len = feed->out;
        pp->marks.len = feed->marks;
    }
    const eb_feed *back = eb_pp_top_file(pp);
    if (back)
        eb_pp_mark_here(pp, EB_PP_LEAVE, eb_lexer_loc(&back->lexer), back->system);
}

/* ---- warnings ---- */

/* The token `by` places behind `at`, as text; strings without their quotes. */
static eb_str text_at(const eb_pp *pp, const eb_toks *toks, uint32_t at, uint32_t by) {
    if (at + by >= toks->len)
        return (eb_str){"", 0};
    eb_str text = eb_tok_text(&pp->words, toks->at[at + by]);
    if (toks->at[at + by].kind == EB_TOK_STRING && text.len > 1)
        text = (eb_str){text.at + 1, text.len - 2};
    return text.at ? text : (eb_str){"", 0};
}

bool eb_pp_diagnostic(const eb_pp *pp, const eb_toks *toks, uint32_t at, eb_warnings *now,
                      void *before) {
    EB_VEC(eb_warnings) *stack = before;
    eb_str verb = text_at(pp, toks, at, 3);
    if (!eb_str_is(text_at(pp, toks, at, 2), "diagnostic"))
        return false;
    if (eb_str_is(verb, "push"))
        *EB_PUSH(&pp->ctx->arena, stack) = *now;
    else if (!eb_str_is(verb, "pop"))
        eb_warnings_pragma(now, verb, text_at(pp, toks, at, 4));
    else if (stack->len)
        *now = stack->at[--stack->len];
    return true;
}

/* A pragma has come out: the preprocessor's own warnings obey it at once. */
static void end_pragma(eb_pp *pp) {
    uint32_t at = pp->out.len;
    while (at && pp->out.at[at - 1].kind != EB_TOK_PRAGMA)
        at--;
    if (at)
        eb_pp_diagnostic(pp, &pp->out, at - 1, &pp->warnings, &pp->warnings_before);
}

eb_diag *eb_pp_warn(eb_pp *pp, eb_diag_code code, eb_loc lo, eb_loc hi, ...) {
    eb_severity severity;
    if (!eb_warnings_severity(&pp->warnings, code, &severity) || eb_source_is_silent(pp->ctx, lo))
        return NULL;
    va_list args;
    va_start(args, hi);
    eb_diag *diag = eb_diag_vadd(pp->ctx, code, severity, lo, hi, args);
    va_end(args);
    return diag;
}

static void read_options(eb_pp *pp, eb_str lines) {
    eb_warnings_start(&pp->options, pp->standard.year);
    for (size_t at = 0, end; at < lines.len; at = end + 1) {
        for (end = at; end < lines.len && lines.at[end] != '\n';)
            end++;
        eb_warnings_option(&pp->options, (eb_str){lines.at + at, end - at});
    }
    pp->warnings = pp->options;
    for (size_t at = 0, end; at < lines.len; at = end + 1) {
        for (end = at; end < lines.len && lines.at[end] != '\n';)
            end++;
        eb_str option = {lines.at + at, end - at}, near = eb_warnings_near(option);
        if (near.len)
            eb_pp_warn(pp, EB_DIAG_UNKNOWN_WARNING, 0, 0, (int)option.len, option.at, (int)near.len,
                       near.at);
    }
}

/* ---- tokens ---- */

/* The comments from `before` to the token behind them, which was read. */
static void keep_comments(eb_pp *pp, eb_lexer before) {
    eb_loc loc;
    for (eb_str text; (text = eb_lexer_comment(&before, &loc)).len;)
        eb_pp_mark_here(pp, EB_PP_COMMENT, loc, (uint32_t)text.len);
}

eb_tok eb_pp_raw(eb_pp *pp) {
    while (pp->feeds.len) {
        eb_feed *feed = &pp->feeds.at[pp->feeds.len - 1];
        if (!feed->is_file) {
            if (feed->at < feed->end)
                return *feed->at++;
            if (feed->barrier)
                break;
            pop(pp);
            continue;
        }
        eb_lexer before = feed->lexer;
        uint32_t marks = pp->marks.len;
        eb_tok tok = eb_lex(&feed->lexer);
        if ((pp->text & EBPF_CC_COMMENTS) && !pp->reading_args && !pp->ctx->errors)
            keep_comments(pp, before);
        if (tok.kind == EB_TOK_HASH && (tok.flags & EB_TOK_BOL)) {
            if (!eb_directive(pp, feed)) {
                pp->feeds.at[pp->feeds.len - 1].lexer = before; /* once more, with the answer */
                pp->marks.len = marks;
                break;
            }
            continue;
        }
        if (tok.kind != EB_TOK_END) {
            feed->guard_possible = feed->guard_possible && pp->ifs.len > feed->ifs && feed->guard;
            return tok;
        }
        /* A macro call does not reach over the end of a file. */
        if (pp->reading_args)
            break;
        pop(pp);
    }
    return (eb_tok){0};
}

/* In an #if, the operand of `defined` is not to be expanded. */
static bool is_asked(eb_pp *pp, eb_tok tok) {
    bool after = pp->after_defined;
    pp->after_defined = tok.kind == EB_TOK_NAME ? tok.value == pp->name_defined
                                                : after && tok.kind == EB_TOK_LPAREN;
    return after;
}

eb_tok eb_pp_next(eb_pp *pp) {
    for (;;) {
        eb_tok tok = eb_pp_raw(pp);
        tok.flags |= (uint8_t)pp->carried;
        pp->carried = 0;
        if (pp->evaluating && is_asked(pp, tok))
            return tok;
        if (tok.kind != EB_TOK_NAME || (tok.flags & EB_TOK_PAINTED) ||
            !pp->words.names.at[tok.value].macro)
            return tok;
        if (pp->feeds.len >= FEEDS_MOST)
            eb_fail(&pp->ctx->arena, EBPF_E_LIMIT);
        if (!eb_macro_expand(pp, &tok))
            return tok;
    }
}

eb_toks eb_pp_expand(eb_pp *pp, const eb_tok *at, uint32_t count) {
    eb_toks out = {0};
    bool reading = pp->reading_args;
    unsigned carried = pp->carried;
    pp->reading_args = false;
    push_barrier(pp);
    eb_pp_push_tokens(pp, NULL, at, count);
    for (eb_tok tok; (tok = eb_pp_next(pp)).kind != EB_TOK_END;)
        *EB_PUSH(&pp->ctx->arena, &out) = tok;
    while (!pp->feeds.at[pp->feeds.len - 1].barrier)
        pop(pp);
    pp->feeds.len--;
    pp->reading_args = reading;
    pp->carried = carried;
    return out;
}

eb_toks eb_pp_scratch(eb_pp *pp, eb_str text, eb_loc loc) {
    eb_toks out = {0};
    eb_lexer lexer = eb_lexer_of(&pp->words, text, 0);
    lexer.directive = true;
    for (eb_tok tok; (tok = eb_lex(&lexer)).kind != EB_TOK_END;) {
        tok.loc = loc;
        tok.flags &= (uint8_t)~EB_TOK_BOL;
        *EB_PUSH(&pp->ctx->arena, &out) = tok;
    }
    return out;
}

/* ---- the unit ---- */

eb_pp *eb_pp_new(ebpf_ctx *ctx, eb_str name, eb_str text, const eb_pp_options *options) {
    eb_pp *pp = eb_alloc(&ctx->arena, sizeof *pp);
    pp->ctx = ctx;
    pp->words.ctx = ctx;
    pp->standard = options->standard;
    if (!pp->standard.year)
        pp->standard.year = 2017;
    pp->words.separators = pp->standard.year >= 2023;
    pp->requested.arena = pp->paths.arena = &ctx->arena;
    eb_words_start(&pp->words);
    pp->name_defined = eb_name_enter(&pp->words, EB_STR("defined"));
    pp->name_va_args = eb_name_enter(&pp->words, EB_STR("__VA_ARGS__"));
    pp->name_va_opt = eb_name_enter(&pp->words, EB_STR("__VA_OPT__"));
    pp->name_pragma = eb_name_enter(&pp->words, EB_STR("_Pragma"));
    read_options(pp, options->warnings);
    pp->text = options->text;
    pp->dialect = options->dialect;
    pp->main = ctx->sources.len;
    eb_pp_push_file(pp, eb_pp_file_add(pp, name, text, false), 0, false);
    eb_builtin_start(pp, options);
    return pp;
}

bool eb_pp_run(eb_pp *pp) {
    pp->wanted = 0;
    for (eb_tok tok; (tok = eb_pp_next(pp)).kind != EB_TOK_END;) {
        *EB_PUSH(&pp->ctx->arena, &pp->out) = tok;
        if (tok.kind == EB_TOK_PRAGMA_END)
            end_pragma(pp);
    }
    return pp->wanted == 0;
}

static void answer(eb_pp *pp, uint32_t request, bool found, uint32_t file) {
    pp->requests.at[request].state = found ? EB_PP_FOUND : EB_PP_ABSENT;
    pp->requests.at[request].file = file;
}

void eb_pp_found(eb_pp *pp, uint32_t request, eb_str path, eb_str text, bool system) {
    answer(pp, request, true, eb_pp_file_add(pp, path, text, system));
}

void eb_pp_found_btf(eb_pp *pp, uint32_t request) {
    eb_str text = eb_str_fmt(&pp->ctx->arena,
                             "%s#pragma ebpf_types\n\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n"
                             "#pragma ebpf_kfuncs\n#endif\n\n%s",
                             eb_btf_c_prologue, eb_btf_c_epilogue);
    eb_pp_found(pp, request, pp->btfs.at[0]->name, text, true);
}

void eb_pp_absent(eb_pp *pp, uint32_t request) {
    answer(pp, request, false, 0);
}
