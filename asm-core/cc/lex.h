/* lex.h - C text to preprocessing tokens.
 *
 * A token is twelve bytes: its kind, how it stands in the text, where, and a number: of its name
 * (identifiers; names are interned, so comparing them is comparing numbers) or of its spelling
 * (literals). The lexer knows nothing of macros and directives; pp.c is its one caller. Lines that
 * a backslash joins are joined here (C11 5.1.1.2, phases 1 to 3). */
#ifndef EB_LEX_H
#define EB_LEX_H

#include "ctx.h"

typedef enum eb_tok_kind {
    EB_TOK_END,    /* of a text, or of the tokens of a directive */
    EB_TOK_NAME,   /* identifiers and keywords: value is the name's number */
    EB_TOK_NUMBER, /* a pp-number: value is the spelling's number, as in the next three */
    EB_TOK_CHAR,   /* quotes and prefix included */
    EB_TOK_STRING,
    EB_TOK_OTHER,  /* a byte that no token of C starts with */
    EB_TOK_PRAGMA, /* the tokens of a #pragma follow, up to ... */
    EB_TOK_PRAGMA_END,
#define PUNCT(id, spelling) EB_TOK_##id,
#include "token.def"
    EB_TOK_COUNT
} eb_tok_kind;

enum {
    EB_TOK_BOL = 1,     /* the first of its line */
    EB_TOK_SPACE = 2,   /* white space stands before it */
    EB_TOK_PAINTED = 4, /* a macro's name that is never to be expanded (C11 6.10.3.4) */
    EB_TOK_MADE = 8,    /* of a macro's expansion: all of it is one location */
};

typedef struct eb_tok {
    uint8_t kind;
    uint8_t flags;
    uint16_t param; /* in a macro's body: 1 + the number of the parameter that it names */
    eb_loc loc;
    uint32_t value;
} eb_tok;

typedef struct eb_name {
    eb_str text;
    uint32_t hash;
    uint32_t macro; /* 1 + the number of the macro so called, or 0 */
} eb_name;

/* All names and literals of one compilation. */
typedef struct eb_words {
    ebpf_ctx *ctx;
    bool separators; /* C23: ' between digits */
    EB_VEC(eb_name) names;
    uint32_t *slots; /* 1 + the name's number, or 0 */
    uint32_t mask;
    EB_VEC(eb_str) spellings;
} eb_words;

typedef struct eb_lexer {
    eb_words *words;
    const char *begin, *at, *end; /* a NUL stands at `end` */
    eb_loc first;                 /* the location of *begin */
    bool bol;                     /* nothing but white space came since the line began */
    bool directive;               /* a line's end is a token, EB_TOK_END */
    size_t
        open[2]; /* no ' or " before this offset is closed in its line: they are looked for once */
} eb_lexer;

/* Enter the keywords and their other spellings, in the order of token.def: they have the first
 * numbers. */
void eb_words_start(eb_words *words);
/* The number of a name, entered when new. The text is not copied. */
uint32_t eb_name_enter(eb_words *words, eb_str text);
/* The number of a literal's spelling. */
uint32_t eb_spelling_enter(eb_words *words, eb_str text);
/* How a token is written. */
eb_str eb_tok_text(const eb_words *words, eb_tok tok);

/* How tightly a binary operator binds, 1 (||) to 10 (* / %); 0 for what is none. */
unsigned eb_binding_of(unsigned kind);

/* A lexer over a text that was entered as a source at `first`; a NUL must stand behind it. */
eb_lexer eb_lexer_of(eb_words *words, eb_str text, eb_loc first);
eb_tok eb_lex(eb_lexer *lexer);
/* The next comment in front of the next token, "" where there is none; *loc is its first byte. */
eb_str eb_lexer_comment(eb_lexer *lexer, eb_loc *loc);
/* The location of the next byte. */
eb_loc eb_lexer_loc(const eb_lexer *lexer);
/* Go to the end of the line, joined lines included; the next token is at the next line's begin. */
void eb_lexer_skip_line(eb_lexer *lexer);
/* Whether the next thing that is neither white space nor comment is '(': what follows a
 * function-like macro's name makes it a call. Nothing is consumed. */
bool eb_lexer_at_paren(const eb_lexer *lexer);

#endif
