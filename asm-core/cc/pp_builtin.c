/* pp_builtin.c - the macros that are there from the start, and those whose value is computed. */
#include "pp.h"

static const struct {
    uint8_t id;
    const char *name;
} macros[] = {
#define BUILTIN_MACRO(id, name) {EB_PP_##id, name},
#include "predef.def"
};

static const char predefined[] =
#define PREDEF(text) text
#include "predef.def"
    ;

static const char *const attributes[] = {
#define ATTRIBUTE(name) name,
#include "predef.def"
};
static const char *const builtins[] = {
#define BUILTIN_FUNCTION(id, name, shape) name,
#define BUILTIN_ALIAS(id, name)           name,
#include "builtin.def"
};
static const char *const features[] = {
#define FEATURE(name) name,
#include "predef.def"
};

/* They have the first numbers of names. */
enum {
    KEYWORDS = 0
#define KEYWORD(id, spelling)       +1
#define SPELLED(id, when, spelling) +1
#include "token.def"
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* ---- the start ---- */

/* C23: formats of printf for binary numbers, and char8_t. */
static void put_c23(eb_buf *out) {
    static const char *const types[] = {
        "hhUINT8",       "hhUINT_LEAST8", "hhUINT_FAST8", "hUINT16",     "hUINT_LEAST16",
        "hUINT_FAST16",  "UINT32",        "UINT_LEAST32", "UINT_FAST32", "lUINT64",
        "lUINT_LEAST64", "lUINT_FAST64",  "lUINTMAX",     "lUINTPTR",    "lSIZE",
    };
    for (size_t n = 0; n < COUNT(types); n++) {
        const char *name = types[n];
        while (*name >= 'a')
            name++;
        int length = (int)(name - types[n]);
        eb_buf_fmt(out, "#define __%s_FMTB__ \"%.*sB\"\n#define __%s_FMTb__ \"%.*sb\"\n", name,
                   length, types[n], name, length, types[n]);
    }
    eb_buf_str(out, EB_STR("#define __CHAR8_TYPE__ unsigned char\n"
                           "#define __CLANG_ATOMIC_CHAR8_T_LOCK_FREE 2\n"
                           "#define __GCC_ATOMIC_CHAR8_T_LOCK_FREE 2\n"));
}

static void put_options(eb_buf *out, const eb_pp_options *o, eb_standard standard) {
    static const struct {
        unsigned cpu;
        const char *name;
    } gated[] = {
        {2, "JMP_EXT"}, {3, "ALU32"}, {3, "JMP32"}, {3, "MAY_GOTO"},  {4, "BSWAP"},
        {4, "GOTOL"},   {4, "LDSX"},  {4, "MOVSX"}, {4, "SDIV_SMOD"}, {4, "ST"},
    };
    static const struct {
        unsigned year;
        const char *version;
    } standards[] = {{1999, "199901L"}, {2011, "201112L"}, {2017, "201710L"}, {2023, "202311L"}};
    eb_buf_fmt(out, "#define __BPF_CPU_VERSION__ %u\n", o->cpu);
    for (size_t n = 0; n < COUNT(gated); n++)
        if (o->cpu >= gated[n].cpu)
            eb_buf_fmt(out, "#define __BPF_FEATURE_%s 1\n", gated[n].name);
    const char *order = o->big ? "BIG" : "LITTLE";
    eb_buf_fmt(out, "#define __BYTE_ORDER__ __ORDER_%s_ENDIAN__\n#define __%s_ENDIAN__ 1\n", order,
               order);
    eb_buf_fmt(out, "#define %s 1\n", o->optimize ? "__OPTIMIZE__" : "__NO_INLINE__");
    if (o->small)
        eb_buf_str(out, EB_STR("#define __OPTIMIZE_SIZE__ 1\n"));
    for (size_t n = 0; n < COUNT(standards); n++)
        if (standard.year == standards[n].year)
            eb_buf_fmt(out, "#define __STDC_VERSION__ %s\n", standards[n].version);
    eb_buf_fmt(out, "#define __STDC_HOSTED__ %u\n", !(o->dialect & EBPF_CC_FREESTANDING));
    if (o->dialect & EBPF_CC_UNSIGNED_CHAR)
        eb_buf_str(out, EB_STR("#define __CHAR_UNSIGNED__ 1\n"));
    if (standard.year >= 2023)
        put_c23(out);
    if (standard.strict)
        eb_buf_str(out, EB_STR("#define __STRICT_ANSI__ 1\n"));
}

static void push_text(eb_pp *pp, const char *name, eb_str text, bool system) {
    eb_pp_push_file(pp, eb_pp_file_add(pp, eb_str_from(name), text, system), 0, true);
}

/* Pushed above the main file, so read before it: the last pushed first. */
void eb_builtin_start(eb_pp *pp, const eb_pp_options *options) {
    for (size_t n = 0; n < COUNT(macros); n++) {
        eb_macro *macro = eb_alloc(&pp->ctx->arena, sizeof *macro);
        macro->name = eb_name_enter(&pp->words, eb_str_from(macros[n].name));
        macro->builtin = macros[n].id;
        macro->function = macro->builtin >= EB_PP_HAS_ATTRIBUTE;
        *EB_PUSH(&pp->ctx->arena, &pp->macros) = macro;
        pp->words.names.at[macro->name].macro = pp->macros.len;
    }
    eb_buf text = {.arena = &pp->ctx->arena};
    eb_buf_str(&text, (eb_str){predefined, sizeof predefined - 1});
    put_options(&text, options, pp->standard);
    push_text(pp, "<command line>", options->defines, false);
    push_text(pp, "<built-in>", (eb_str){(const char *)text.at, text.len}, true);
}

/* ---- computed values ---- */

static void push_made(eb_pp *pp, eb_tok tok, eb_tok_kind kind, eb_str text) {
    eb_tok *made = eb_alloc(&pp->ctx->arena, sizeof *made);
    *made = (eb_tok){.kind = (uint8_t)kind,
                     .flags = tok.flags & (EB_TOK_BOL | EB_TOK_SPACE),
                     .loc = tok.loc,
                     .value = eb_spelling_enter(&pp->words, text)};
    eb_pp_push_tokens(pp, NULL, made, 1);
}

static void push_number(eb_pp *pp, eb_tok tok, uint64_t number) {
    push_made(pp, tok, EB_TOK_NUMBER,
              eb_str_fmt(&pp->ctx->arena, "%llu", (unsigned long long)number));
}

static void push_string(eb_pp *pp, eb_tok tok, eb_str text) {
    eb_buf out = {.arena = &pp->ctx->arena};
    eb_buf_byte(&out, '"');
    for (size_t n = 0; n < text.len; n++) {
        if (text.at[n] == '"' || text.at[n] == '\\')
            eb_buf_byte(&out, '\\');
        eb_buf_byte(&out, (uint8_t)text.at[n]);
    }
    eb_buf_byte(&out, '"');
    push_made(pp, tok, EB_TOK_STRING, (eb_str){(const char *)out.at, out.len});
}

static eb_str base_name(eb_str path) {
    for (size_t n = path.len; n; n--)
        if (path.at[n - 1] == '/')
            return (eb_str){path.at + n, path.len - n};
    return path;
}

static bool is_in(const char *const *table, size_t count, eb_str name) {
    /* __name__ is name */
    if (name.len > 4 && eb_str_starts(name, "__") && name.at[name.len - 1] == '_' &&
        name.at[name.len - 2] == '_')
        name = (eb_str){name.at + 2, name.len - 4};
    for (size_t n = 0; n < count; n++)
        if (eb_str_is(name, table[n]))
            return true;
    return false;
}

static uint32_t include_level(const eb_pp *pp) {
    uint32_t level = 0;
    for (uint32_t n = 0; n < pp->feeds.len; n++)
        level += pp->feeds.at[n].is_file;
    return level - 1;
}

/* ---- those that are called ---- */

/* The tokens between the parentheses, as they are. False after a diagnostic. */
static bool operand(eb_pp *pp, eb_tok call, eb_toks *out) {
    uint32_t depth = 0;
    bool reading = pp->reading_args;
    eb_str name = eb_tok_text(&pp->words, call);
    *out = (eb_toks){0};
    pp->reading_args = true;
    eb_tok tok = eb_pp_raw(pp);
    bool open = tok.kind == EB_TOK_LPAREN;
    while (open && (tok = eb_pp_raw(pp)).kind != EB_TOK_END &&
           (tok.kind != EB_TOK_RPAREN || depth)) {
        depth += tok.kind == EB_TOK_LPAREN;
        depth -= tok.kind == EB_TOK_RPAREN;
        *EB_PUSH(&pp->ctx->arena, out) = tok;
    }
    pp->reading_args = reading;
    if (open && tok.kind == EB_TOK_RPAREN)
        return true;
    eb_diag_add(pp->ctx, EB_DIAG_MACRO_CALL_END, call.loc, call.loc + (eb_loc)name.len,
                (int)name.len, name.at);
    return false;
}

/* __has_include("x"): true, with 0 as long as the host has not answered. */
static bool has_include(eb_pp *pp, eb_toks toks, eb_tok call, bool next) {
    uint32_t file = 0;
    eb_buf text = {.arena = &pp->ctx->arena};
    if (toks.len && toks.at[0].kind != EB_TOK_STRING && toks.at[0].kind != EB_TOK_LT)
        toks = eb_pp_expand(pp, toks.at, toks.len);
    for (uint32_t n = 0; n < toks.len; n++) {
        if (n && (toks.at[n].flags & EB_TOK_SPACE))
            eb_buf_byte(&text, ' ');
        eb_buf_str(&text, eb_tok_text(&pp->words, toks.at[n]));
    }
    bool angle = text.len && text.at[0] == '<';
    if (text.len < 3 || (text.at[0] != '"' && !angle)) {
        eb_diag_add(pp->ctx, EB_DIAG_EXPECTED, call.loc, call.loc + 1, "\"FILE\" or <FILE>");
        return false;
    }
    eb_str spelling = {(const char *)text.at + 1, text.len - 2};
    uint32_t kind = angle ? EB_PP_ANGLE : EB_PP_QUOTE;
    return eb_include_find(pp, spelling, next ? kind + 2 : kind, &file) && file;
}

/* _Pragma("text") is #pragma text. */
static void pragma(eb_pp *pp, eb_toks toks, eb_tok call) {
    eb_str text = toks.len == 1 && toks.at[0].kind == EB_TOK_STRING
                      ? eb_tok_text(&pp->words, toks.at[0])
                      : (eb_str){0};
    if (!text.len) {
        eb_diag_add(pp->ctx, EB_DIAG_EXPECTED, call.loc, call.loc + 7, "_Pragma(\"TEXT\")");
        return;
    }
    eb_buf plain = {.arena = &pp->ctx->arena};
    size_t from = text.at[0] == '"' ? 1 : 2;
    for (size_t n = from; n + 1 < text.len; n++) {
        if (text.at[n] == '\\' && (text.at[n + 1] == '"' || text.at[n + 1] == '\\'))
            n++;
        eb_buf_byte(&plain, (uint8_t)text.at[n]);
    }
    size_t length = plain.len;
    eb_buf_byte(&plain, 0);
    eb_toks line = {0},
            inner = eb_pp_scratch(pp, (eb_str){(const char *)plain.at, length}, call.loc);
    *EB_PUSH(&pp->ctx->arena, &line) =
        (eb_tok){.kind = EB_TOK_PRAGMA, .flags = call.flags, .loc = call.loc};
    for (uint32_t n = 0; n < inner.len; n++) {
        inner.at[n].flags |= EB_TOK_PAINTED;
        *EB_PUSH(&pp->ctx->arena, &line) = inner.at[n];
    }
    *EB_PUSH(&pp->ctx->arena, &line) = (eb_tok){.kind = EB_TOK_PRAGMA_END, .loc = call.loc};
    eb_pp_push_tokens(pp, NULL, line.at, line.len);
}

/* C23's attributes have the date of their last change; gnu::x and clang::x are 1 when known. */
static uint64_t c_attribute(eb_pp *pp, eb_toks toks) {
    static const struct {
        const char *name;
        unsigned date;
    } rows[] = {
        {"deprecated", 201904},     {"fallthrough", 201910},     {"maybe_unused", 202106},
        {"nodiscard", 202003},      {"noreturn", 202202},        {"_Noreturn", 202202},
        {"__deprecated__", 201904}, {"__fallthrough__", 201910}, {"__maybe_unused__", 202106},
        {"__nodiscard__", 202003},  {"__noreturn__", 202202}};
    eb_str name = toks.len ? eb_tok_text(&pp->words, toks.at[0]) : (eb_str){0};
    for (size_t n = 0; n < COUNT(rows) && toks.len == 1; n++)
        if (eb_str_is(name, rows[n].name))
            return rows[n].date;
    bool vendor = toks.len == 3 && toks.at[1].kind == EB_TOK_COLONCOLON &&
                  (eb_str_is(name, "gnu") || eb_str_is(name, "__gnu__") ||
                   eb_str_is(name, "clang") || eb_str_is(name, "_Clang"));
    return vendor && is_in(attributes, COUNT(attributes), eb_tok_text(&pp->words, toks.at[2]));
}

static bool called(eb_pp *pp, const eb_macro *macro, eb_tok tok) {
    eb_toks toks;
    if (!operand(pp, tok, &toks))
        return false;
    eb_str name = toks.len ? eb_tok_text(&pp->words, toks.at[0]) : (eb_str){0};
    bool is_name = toks.len == 1 && toks.at[0].kind == EB_TOK_NAME;
    switch (macro->builtin) { /* one case per row */
    case EB_PP_PRAGMA:
        pragma(pp, toks, tok);
        return true;
    case EB_PP_HAS_INCLUDE:
    case EB_PP_HAS_INCLUDE_NEXT:
        push_number(pp, tok, has_include(pp, toks, tok, macro->builtin == EB_PP_HAS_INCLUDE_NEXT));
        return true;
    case EB_PP_HAS_ATTRIBUTE:
        push_number(pp, tok, is_name && is_in(attributes, COUNT(attributes), name));
        return true;
    case EB_PP_HAS_BUILTIN:
        push_number(pp, tok, is_name && is_in(builtins, COUNT(builtins), name));
        return true;
    case EB_PP_HAS_FEATURE:
    case EB_PP_HAS_EXTENSION:
        push_number(pp, tok, is_name && is_in(features, COUNT(features), name));
        return true;
    case EB_PP_HAS_WARNING:
        push_number(pp, tok,
                    toks.len == 1 && toks.at[0].kind == EB_TOK_STRING && name.len > 4 &&
                        eb_str_starts(name, "\"-W") &&
                        eb_warnings_know((eb_str){name.at + 3, name.len - 4}));
        return true;
    case EB_PP_HAS_EMBED:
        push_number(pp, tok, eb_has_embed(pp, toks, tok.loc));
        return true;
    case EB_PP_IS_IDENTIFIER:
        push_number(pp, tok, is_name && toks.at[0].value >= KEYWORDS);
        return true;
    case EB_PP_HAS_C_ATTRIBUTE:
        push_number(pp, tok, c_attribute(pp, toks));
        return true;
    default: /* attributes of MSVC: none */
        push_number(pp, tok, 0);
        return true;
    }
}

bool eb_builtin_expand(eb_pp *pp, const eb_macro *macro, eb_tok tok) {
    switch (macro->builtin) { /* one case per row */
    case EB_PP_FILE:
        push_string(pp, tok, eb_place_of(pp->ctx, tok.loc).name);
        return true;
    case EB_PP_FILE_NAME:
        push_string(pp, tok, base_name(eb_place_of(pp->ctx, tok.loc).name));
        return true;
    case EB_PP_BASE_FILE:
        push_string(pp, tok, pp->files.at[0].path);
        return true;
    case EB_PP_LINE:
        push_number(pp, tok, eb_place_end(pp->ctx, tok.loc).line);
        return true;
    case EB_PP_INCLUDE_LEVEL:
        push_number(pp, tok, include_level(pp));
        return true;
    case EB_PP_COUNTER:
        push_number(pp, tok, pp->counter++);
        return true;
    /* The same input gives the same output, always: there is no clock. */
    case EB_PP_DATE:
        push_string(pp, tok, EB_STR("Jan  1 1970"));
        return true;
    case EB_PP_TIME:
        push_string(pp, tok, EB_STR("00:00:00"));
        return true;
    case EB_PP_TIMESTAMP:
        push_string(pp, tok, EB_STR("Thu Jan  1 00:00:00 1970"));
        return true;
    case EB_PP_POISONED: {
        eb_str name = eb_tok_text(&pp->words, tok);
        eb_diag_add(pp->ctx, EB_DIAG_POISONED, tok.loc, tok.loc + (eb_loc)name.len, (int)name.len,
                    name.at);
        return false;
    }
    default:
        return called(pp, macro, tok);
    }
}
