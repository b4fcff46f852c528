/* scan.c - see scan.h. Comments: # and // to the end of the line, and C's; in GNU and LLVM's
 * assemblers ';' separates statements. */
#include "scan.h"

#include <string.h>

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_word_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '$';
}

static bool is_word(char c) {
    return is_word_start(c) || is_digit(c);
}

static char peek(const eb_scanner *s, size_t ahead) {
    return s->at + ahead < s->text.len ? s->text.at[s->at + ahead] : 0;
}

static eb_loc loc_of(const eb_scanner *s, size_t at) {
    return s->first ? s->first + (eb_loc)at : 0;
}

void eb_scan_skip_line(eb_scanner *s) {
    const char *from = s->text.at + s->at;
    const char *end = memchr(from, '\n', s->text.len - s->at);
    s->at = end ? (size_t)(end - s->text.at) : s->text.len;
}

static bool skip_block(eb_scanner *s) {
    size_t start = s->at;
    for (s->at += 2; s->at < s->text.len; s->at++)
        if (peek(s, 0) == '*' && peek(s, 1) == '/') {
            s->at += 2;
            return true;
        }
    eb_diag_add(s->ctx, EB_DIAG_BAD_COMMENT, loc_of(s, start), loc_of(s, start + 2));
    return false;
}

/* White space and comments; true when there was any. */
static bool skip_space(eb_scanner *s) {
    size_t start = s->at;
    while (s->at < s->text.len) {
        char c = peek(s, 0);
        if (c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v')
            s->at++;
        else if (c == '#' || (c == '/' && peek(s, 1) == '/'))
            eb_scan_skip_line(s);
        else if (c != '/' || peek(s, 1) != '*' || !skip_block(s))
            break;
    }
    return s->at > start;
}

/* A register's number from "r10", or -1. A leading zero makes a symbol. */
static int register_of(eb_str word) {
    if (word.len < 2 || word.len > 4 || (word.at[0] != 'r' && word.at[0] != 'w'))
        return -1;
    if (word.at[1] == '0' && word.len > 2)
        return -1;
    int number = 0;
    for (size_t i = 1; i < word.len; i++) {
        if (!is_digit(word.at[i]))
            return -1;
        number = number * 10 + (word.at[i] - '0');
    }
    return number;
}

static eb_str take_word(eb_scanner *s) {
    size_t start = s->at;
    while (s->at < s->text.len && is_word(s->text.at[s->at]))
        s->at++;
    return (eb_str){s->text.at + start, s->at - start};
}

static void scan_word(eb_scanner *s, eb_token *token) {
    token->text = take_word(s);
    int number = register_of(token->text);
    token->kind = EB_TOKEN_WORD;
    if (number >= 0) {
        token->kind = token->text.at[0] == 'r' ? EB_TOKEN_REG64 : EB_TOKEN_REG32;
        token->value = (uint64_t)number;
    }
}

static int digit_value(char c) {
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

static void scan_number(eb_scanner *s, eb_token *token) {
    size_t start = s->at;
    token->text = take_word(s);
    eb_str t = token->text;
    unsigned base = 10;
    size_t i = 0;
    bool overflow = false;
    token->kind = EB_TOKEN_NUMBER;
    char last = t.at[t.len - 1];
    if (t.len > 2 && t.at[0] == '0' && (t.at[1] | 32) == 'x') {
        base = 16;
        i = 2;
    } else if (t.len > 2 && t.at[0] == '0' && (t.at[1] | 32) == 'b') {
        base = 2;
        i = 2;
    } else if (last == 'f' || last == 'b') {
        token->kind = EB_TOKEN_LOCAL;
        token->back = last == 'b';
        t.len--;
    } else if (t.len > 1 && t.at[0] == '0') {
        base = 8;
        i = 1;
    }
    for (; i < t.len; i++) {
        unsigned digit = (unsigned)digit_value(t.at[i]);
        if (digit >= base) {
            eb_diag_add(s->ctx, EB_DIAG_BAD_NUMBER, loc_of(s, start), loc_of(s, s->at),
                        (int)token->text.len, token->text.at);
            token->kind = EB_TOKEN_BAD;
            return;
        }
        overflow |= token->value > (UINT64_MAX - digit) / base;
        token->value = token->value * base + digit;
    }
    if (overflow) {
        eb_diag_add(s->ctx, EB_DIAG_NUMBER_RANGE, loc_of(s, start), loc_of(s, s->at),
                    (int)token->text.len, token->text.at, 64u);
        token->kind = EB_TOKEN_BAD;
    }
}

static void scan_string(eb_scanner *s, eb_token *token) {
    size_t start = s->at++;
    while (s->at < s->text.len && peek(s, 0) != '"' && peek(s, 0) != '\n')
        s->at += peek(s, 0) == '\\' && s->at + 1 < s->text.len && peek(s, 1) != '\n' ? 2 : 1;
    token->kind = EB_TOKEN_STRING;
    token->text = (eb_str){s->text.at + start + 1, s->at - start - 1};
    if (peek(s, 0) == '"') {
        s->at++;
        return;
    }
    eb_diag_add(s->ctx, EB_DIAG_BAD_STRING, loc_of(s, start), loc_of(s, s->at));
    token->kind = EB_TOKEN_BAD;
}

/* 'c' is the number of a character; as in GNU as the closing quote may be left out, but here not.
 */
static bool scan_char(eb_scanner *s, eb_token *token) {
    if (peek(s, 1) == 0 || peek(s, 1) == '\\' || peek(s, 1) == '\n' || peek(s, 2) != '\'')
        return false;
    token->kind = EB_TOKEN_NUMBER;
    token->value = (uint8_t)peek(s, 1);
    token->text = (eb_str){s->text.at + s->at, 3};
    s->at += 3;
    return true;
}

static size_t punct_length(const eb_scanner *s) {
    static const char *const longer[] = {"<<=", ">>=", "+=", "-=", "*=", "/=", "%=", "&=", "|=",
                                         "^=",  "==",  "!=", "<=", ">=", "<<", ">>", "&&", "||"};
    for (size_t i = 0; i < sizeof longer / sizeof *longer; i++) {
        size_t n = strlen(longer[i]);
        if (s->text.len - s->at >= n && memcmp(s->text.at + s->at, longer[i], n) == 0)
            return n;
    }
    return 1;
}

static void scan_punct(eb_scanner *s, eb_token *token) {
    static const char known[] = "()[]{},:+-*/%&|^~!=<>@?";
    char c = peek(s, 0);
    token->kind = EB_TOKEN_PUNCT;
    if (!c || !strchr(known, c)) {
        eb_diag_add(s->ctx, EB_DIAG_BAD_BYTE, loc_of(s, s->at), loc_of(s, s->at + 1), (uint8_t)c);
        token->kind = EB_TOKEN_BAD;
        s->binary |= c == 0;
    }
    size_t n = token->kind == EB_TOKEN_BAD ? 1 : punct_length(s);
    token->text = (eb_str){s->text.at + s->at, n};
    s->at += n;
}

eb_token eb_scan(eb_scanner *s) {
    bool spaced = skip_space(s);
    size_t start = s->at;
    eb_token token = {.spaced = spaced, .text = {s->text.at + start, 0}};
    if (start < s->text.len) {
        char c = peek(s, 0);
        if (c == '\n' || c == ';') {
            token.kind = EB_TOKEN_NEWLINE;
            s->at++;
        } else if (c == '%' && s->dialect == EBPF_DIALECT_UBPF && is_word_start(peek(s, 1))) {
            s->at++;
            scan_word(s, &token);
            if (token.kind == EB_TOKEN_WORD) {
                eb_diag_add(s->ctx, EB_DIAG_BAD_REGISTER, loc_of(s, start), loc_of(s, s->at),
                            (int)token.text.len, token.text.at);
                token.kind = EB_TOKEN_BAD;
            }
        } else if (is_word_start(c)) {
            scan_word(s, &token);
        } else if (is_digit(c)) {
            scan_number(s, &token);
        } else if (c == '"') {
            scan_string(s, &token);
        } else if (c != '\'' || !scan_char(s, &token)) {
            scan_punct(s, &token);
        }
    }
    token.lo = loc_of(s, start);
    token.hi = loc_of(s, s->at);
    return token;
}
