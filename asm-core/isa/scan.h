/* scan.h - assembly text to tokens; templates of dialect.def are read with the same scanner, which
 * is why they match what people write. */
#ifndef EB_SCAN_H
#define EB_SCAN_H

#include "ctx.h"

typedef enum eb_token_kind {
    EB_TOKEN_END,     /* of the input */
    EB_TOKEN_NEWLINE, /* or ';' */
    EB_TOKEN_WORD,    /* letters, digits, _ . $ */
    EB_TOKEN_REG64,   /* value is its number, which may be above 10 */
    EB_TOKEN_REG32,
    EB_TOKEN_NUMBER, /* value */
    EB_TOKEN_LOCAL,  /* 1f, 1b: value is the number, `back` tells which */
    EB_TOKEN_STRING, /* text is between the quotes, escapes untouched */
    EB_TOKEN_PUNCT,  /* punct is its code */
    EB_TOKEN_BAD     /* a diagnostic has been given */
} eb_token_kind;

/* The code of a mark of one character is that character; longer ones follow behind ASCII. */
#define EB_MARKS(MARK)                                                                             \
    MARK(ADD_SET, "+=")                                                                            \
    MARK(SUB_SET, "-=")                                                                            \
    MARK(MUL_SET, "*=")                                                                            \
    MARK(DIV_SET, "/=")                                                                            \
    MARK(MOD_SET, "%=")                                                                            \
    MARK(AND_SET, "&=")                                                                            \
    MARK(OR_SET, "|=")                                                                             \
    MARK(XOR_SET, "^=")                                                                            \
    MARK(EQ, "==")                                                                                 \
    MARK(NE, "!=")                                                                                 \
    MARK(LE, "<=")                                                                                 \
    MARK(GE, ">=")                                                                                 \
    MARK(SHL, "<<")                                                                                \
    MARK(SHR, ">>")                                                                                \
    MARK(AND, "&&")                                                                                \
    MARK(OR, "||")                                                                                 \
    MARK(SHL_SET, "<<=")                                                                           \
    MARK(SHR_SET, ">>=")

enum {
    EB_MARK_FIRST = 127,
#define MARK(id, text) EB_MARK_##id,
    EB_MARKS(MARK)
#undef MARK
        EB_MARK_END
};

typedef struct eb_token {
    uint8_t kind;  /* eb_token_kind; what the other kinds have is not set */
    uint8_t punct; /* of PUNCT */
    bool back;     /* of LOCAL */
    bool spaced;   /* white space stands before it */
    uint32_t hash; /* of WORD and STRING, as eb_str_hash has it */
    eb_loc lo, hi;
    eb_str text;
    uint64_t value;
} eb_token;

typedef struct eb_scanner {
    ebpf_ctx *ctx;
    enum ebpf_dialect dialect;
    eb_str text;
    size_t at;
    bool binary;  /* a NUL was met: this is no text */
    eb_loc first; /* location of text[0] */
} eb_scanner;

/* The next token. Diagnostics for what is no token go to the context. */
void eb_scan_into(eb_scanner *scanner, eb_token *token);

static inline eb_token eb_scan(eb_scanner *scanner) {
    eb_token token;
    eb_scan_into(scanner, &token);
    return token;
}

/* The text of a mark, by its code. */
eb_str eb_mark_text(uint8_t punct);
/* The byte that a backslash and this character stand for, or -1: not for octal and hex numbers. */
int eb_escape(char c);
/* Go to the end of the line. */
void eb_scan_skip_line(eb_scanner *scanner);
/* Go to the end of the statement, a newline or ';' outside of strings and comments, without
 * judging what stands there. Returns the text up to it, without comments behind it and the white
 * space around it. */
eb_str eb_scan_raw(eb_scanner *scanner);
/* The word that the statement at hand starts with, behind its labels; empty when it starts with
 * something else. */
eb_str eb_scan_keyword(eb_scanner *scanner);
/* Behind white space and comments (and newlines and ';' as well). */
void eb_scan_skip_space(eb_scanner *scanner, bool newlines);

#endif
