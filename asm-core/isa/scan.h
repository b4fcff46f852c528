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
    EB_TOKEN_PUNCT,
    EB_TOKEN_BAD /* a diagnostic has been given */
} eb_token_kind;

typedef struct eb_token {
    eb_token_kind kind;
    bool back;
    bool spaced; /* white space stands before it */
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
    eb_loc first; /* location of text[0]; 0 for templates */
} eb_scanner;

/* The next token. Diagnostics for what is no token go to the context. */
eb_token eb_scan(eb_scanner *scanner);
/* Go to the end of the line. */
void eb_scan_skip_line(eb_scanner *scanner);

#endif
