/* pp.h - the preprocessor: one translation unit's text to the tokens that the parser reads.
 *
 * It is a stack of feeds: files, and the token lists of macro expansions. A macro is not expanded
 * again while its expansion is on the stack (C11 6.10.3.4). Files come from the host: at an
 * #include whose answer the unit does not have, eb_pp_run stops in front of the directive with what
 * it needs, and goes on when it is called again. Nothing else stops it.
 *
 * Files: pp.c the feeds and the main loop, pp_macro.c macros, pp_directive.c directives,
 * pp_expr.c #if, pp_embed.c #embed, pp_builtin.c what is defined from the start, pp_print.c the
 * text of -E. */
#ifndef EB_PP_H
#define EB_PP_H

#include "btf.h"
#include "ebpf_cc.h"
#include "lex.h"
#include "warn.h"

typedef EB_VEC(eb_tok) eb_toks;

/* Macros whose value is computed. Those from HAS_ATTRIBUTE on take arguments. */
typedef enum eb_pp_builtin {
    EB_PP_PLAIN, /* an ordinary macro */
#define BUILTIN_MACRO(id, name) EB_PP_##id,
#include "predef.def"
    EB_PP_POISONED /* by a #pragma: its use is an error */
} eb_pp_builtin;

typedef struct eb_macro {
    uint32_t name;
    eb_loc lo, hi; /* of its name where it is defined */
    uint8_t builtin;
    bool function, variadic;
    bool active; /* its expansion is on the stack */
    uint32_t params;
    EB_VEC(uint32_t) param_names;
    const eb_tok *body;
    uint32_t count;
} eb_macro;

/* A file as the host gave it. */
typedef struct eb_pp_file {
    eb_str path;
    eb_str text;
    uint32_t guard; /* 1 + the name whose #ifndef encloses all of it, or 0 */
    bool once;      /* #pragma once */
    bool entered;
    bool system; /* it is of the system, not of the program */
} eb_pp_file;

enum {
    EB_PP_QUOTE,
    EB_PP_ANGLE,
    EB_PP_QUOTE_NEXT,
    EB_PP_ANGLE_NEXT,
    EB_PP_EMBED_QUOTE,
    EB_PP_EMBED_ANGLE
};

/* A question to the host, and its answer. */
typedef struct eb_pp_request {
    eb_str spelling;
    uint32_t kind;
    uint32_t from; /* the number of the including file */
    enum { EB_PP_OPEN, EB_PP_ABSENT, EB_PP_FOUND } state;
    uint32_t file; /* when found */
    eb_str near;   /* when absent: what may have been meant, or empty */
} eb_pp_request;

/* #pragma push_macro: what a name stood for. */
typedef struct eb_pp_pushed {
    uint32_t name, macro;
} eb_pp_pushed;

/* An #if and what follows it. */
typedef struct eb_pp_if {
    eb_loc loc;
    bool taken;   /* one of its groups was */
    bool in_else; /* #else was seen */
} eb_pp_if;

typedef struct eb_feed {
    eb_macro *macro; /* inactive again when these tokens are used up; may be NULL */
    const eb_tok *at, *end;
    bool is_file, barrier; /* a barrier is an end: an argument is expanded by itself */
    unsigned carried;      /* flags of the next token behind these */
    /* of a file: */
    eb_lexer lexer;
    uint32_t file;
    uint32_t ifs;        /* how many #ifs were open when it began */
    uint32_t guard;      /* the name of an #ifndef that was its first token */
    bool guard_possible; /* no token outside that #ifndef so far */
    bool system;         /* it, or what includes it, is the system's */
    bool macros_only;    /* -imacros: its tokens go */
    uint32_t out, marks; /* then: how many there were before it */
} eb_feed;

/* What the tokens do not show, and the text of -E does: a file begins, or goes on behind another
 * one, #line, #ident, #define, #undef and comments. */
typedef enum eb_pp_mark_kind {
    EB_PP_ENTER,
    EB_PP_LEAVE,
    EB_PP_RENAME,
    EB_PP_IDENT,
    EB_PP_DEFINE,
    EB_PP_UNDEF,
    EB_PP_COMMENT
} eb_pp_mark_kind;

typedef struct eb_pp_mark {
    eb_pp_mark_kind kind;
    uint32_t at; /* how many tokens stand before it */
    eb_loc loc;  /* ENTER: the first in the file; LEAVE and RENAME: in the line before */
    uint32_t of; /* DEFINE: the macro's number; UNDEF: the name's; IDENT: the text's; COMMENT: its
                    length; else: it is a system's header */
} eb_pp_mark;

/* Which C it is: 1989, 1999, 2011, 2017 (as does 0) or 2023, with GNU's extensions unless it is
 * strict. */
typedef struct eb_standard {
    unsigned year;
    bool strict;
} eb_standard;

typedef struct eb_pp {
    ebpf_ctx *ctx;
    eb_standard standard;
    eb_words words;
    EB_VEC(eb_macro *) macros;
    EB_VEC(eb_feed) feeds;
    EB_VEC(eb_pp_if) ifs;
    EB_VEC(eb_pp_pushed) pushed;
    EB_VEC(eb_pp_file) files;
    EB_VEC(eb_pp_request) requests;
    eb_map requested,
        paths;         /* the number of a request by what it asks for, of a file by its path */
    uint32_t included; /* files entered so far */
    bool stopped;      /* no more #include: there were too many, or too deep */
    uint32_t main;     /* the number of the main file's source */
    uint32_t wanted;   /* 1 + the number of the request that stopped it, or 0 */
    uint32_t counter;  /* __COUNTER__ */
    uint32_t depth;    /* of arguments expanded inside arguments */
    bool printing;     /* the tokens are wanted as text: where they stand is where macros are */
    unsigned carried;  /* flags of names that expand to nothing: the next token's */
    bool reading_args; /* a directive now stands between the parentheses of a macro call */
    bool evaluating;   /* the tokens of an #if: what `defined` asks for is not expanded */
    bool after_defined;
    uint32_t name_defined, name_va_args, name_va_opt, name_pragma;
    EB_VEC(const eb_btf *)
    btfs; /* what stands for a kernel's header: the kernel's, then modules' */
    eb_warnings options, warnings;       /* as the options say, and where it reads now */
    EB_VEC(eb_warnings) warnings_before; /* #pragma diagnostic push */
    eb_toks out;                         /* the result */
    uint32_t front;         /* behind a fatal error: how many tokens stand in front of it */
    unsigned text, dialect; /* bits of enum ebpf_cc_text and ebpf_cc_dialect */
    EB_VEC(eb_pp_mark) marks;
} eb_pp;

typedef struct eb_pp_options {
    unsigned cpu; /* 1 to 4 */
    bool big;     /* target bpfeb */
    bool optimize, small;
    bool bare; /* no BTF and no line information: CO-RE has no types to name */
    eb_standard standard;
    eb_str defines;  /* lines of #define, #undef and #include: what -D, -U and -include say */
    eb_str warnings; /* lines of -W… and -w */
    unsigned text, dialect; /* bits of enum ebpf_cc_text and ebpf_cc_dialect */
} eb_pp_options;

/* Begin with the main file. */
eb_pp *eb_pp_new(ebpf_ctx *ctx, eb_str name, eb_str text, const eb_pp_options *options);
/* Go on; false when a request is open (pp->wanted) and must be answered first. */
bool eb_pp_run(eb_pp *pp);
void eb_pp_found(eb_pp *pp, uint32_t request, eb_str path, eb_str text, bool system);
void eb_pp_absent(eb_pp *pp, uint32_t request);
/* BTF stands for the file: the unit reads a header that makes its names known to the parser. */
void eb_pp_found_btf(eb_pp *pp, uint32_t request);
/* The tokens as text: -E -P, -E, -dD and -dM, as the options say. */
void eb_pp_print(const eb_pp *pp, eb_buf *out);
/* The headers that were entered, as -H. */
void eb_pp_print_includes(const eb_pp *pp, eb_buf *out);

/* #pragma GCC diagnostic, whose tokens begin with PRAGMA at `at` of `toks`: what it makes of `now`;
 * `before` is the stack of push and pop. False when the pragma is another. */
bool eb_pp_diagnostic(const eb_pp *pp, const eb_toks *toks, uint32_t at, eb_warnings *now,
                      void *before);

/* ---- between the files of the preprocessor ---- */

/* A warning, unless it is switched off here; NULL then. */
eb_diag *eb_pp_warn(eb_pp *pp, eb_diag_code code, eb_loc lo, eb_loc hi, ...);

/* The next token before macro expansion; directives are obeyed on the way. END at a barrier. */
eb_tok eb_pp_raw(eb_pp *pp);
/* The next token after macro expansion. */
eb_tok eb_pp_next(eb_pp *pp);
/* All tokens to the next barrier, expanded. */
eb_toks eb_pp_expand(eb_pp *pp, const eb_tok *at, uint32_t count);
void eb_pp_push_tokens(eb_pp *pp, eb_macro *macro, const eb_tok *at, uint32_t count);
/* `quiet`: no warnings in it. */
void eb_pp_push_file(eb_pp *pp, uint32_t file, eb_loc from, bool quiet);
uint32_t eb_pp_file_add(eb_pp *pp, eb_str path, eb_str text, bool system);
void eb_pp_mark_here(eb_pp *pp, eb_pp_mark_kind kind, eb_loc loc, uint32_t of);
/* The innermost file. */
eb_feed *eb_pp_top_file(eb_pp *pp);

/* A name that a macro may have: expand it by pushing a feed (true), or leave it as it is. */
bool eb_macro_expand(eb_pp *pp, eb_tok *tok);
void eb_macro_define(eb_pp *pp, eb_lexer *lexer);
eb_macro *eb_macro_of(const eb_pp *pp, uint32_t name);
/* The value of a builtin macro, pushed; for those with arguments these are read from the feed. */
bool eb_builtin_expand(eb_pp *pp, const eb_macro *macro, eb_tok tok);
void eb_builtin_start(eb_pp *pp, const eb_pp_options *options);
/* Tokens of a text of our own making, such as a pasted or a stringified one. */
eb_toks eb_pp_scratch(eb_pp *pp, eb_str text, eb_loc loc);

/* At '#' as first token of a line of a file. False if an open request stops it. */
bool eb_directive(eb_pp *pp, eb_feed *feed);
/* The unit that ends here must have closed its #ifs. */
void eb_directive_file_end(eb_pp *pp, eb_feed *feed);
/* The file that an #include or __has_include names: its number + 1, 0 if there is none; false when
 * the host must be asked first. */
bool eb_include_find(eb_pp *pp, eb_str spelling, uint32_t kind, uint32_t *file);

/* The value of the #if whose condition is `toks`, expanded but for `defined`. */
bool eb_pp_condition(eb_pp *pp, eb_toks toks, eb_loc loc);
/* The value of such an expression; false after a diagnostic, or when a request is open. */
bool eb_pp_number(eb_pp *pp, eb_toks toks, eb_loc loc, uint64_t *value);

/* #embed, whose line is told by `lo` to `hi`: false if an open request stops it. */
bool eb_embed(eb_pp *pp, eb_toks line, eb_loc lo, eb_loc hi);
/* __has_embed: 0 there is none (as long as the host has not answered, too), 1, or 2 it is empty. */
unsigned eb_has_embed(eb_pp *pp, eb_toks operand, eb_loc loc);

#endif
