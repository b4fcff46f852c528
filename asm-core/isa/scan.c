/* scan.c - see scan.h. Comments: # and // to the end of the line, and C's; in GNU and LLVM's
 * assemblers ';' separates statements. */
#include "scan.h"

#include <string.h>

/* What a byte starts: S white space, N the end of a statement, W a word, D a number, P a mark, and
 * those that are looked at closer; B, which is 0, nothing. */
enum { B, S, N, W, D, P, HASH, SLASH, PERCENT, QUOTE, TICK };
static const uint8_t classes[256] = {
    /* clang-format off */
    B, B, B, B, B, B, B, B, B, S, N, S, S, S, B, B,
    B, B, B, B, B, B, B, B, B, B, B, B, B, B, B, B,
    S, P, QUOTE, HASH, W, PERCENT, P, TICK, P, P, P, P, P, P, W, SLASH,
    D, D, D, D, D, D, D, D, D, D, P, N, P, P, P, P,
    P, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, P, B, P, P, W,
    B, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, P, P, P, P, B,
    /* clang-format on */
};

static uint8_t class_of(char c) {
    return classes[(uint8_t)c];
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_word(char c) {
    uint8_t class = class_of(c);
    return class == W || class == D;
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

/* ---- white space ---- */

/* Behind the block comment at hand; false when it has no end. */
static bool skip_block(eb_scanner *s) {
    for (size_t at = s->at + 2; at + 1 < s->text.len; at++)
        if (s->text.at[at] == '*' && s->text.at[at + 1] == '/') {
            s->at = at + 2;
            return true;
        }
    return false;
}

/* Behind the comment at hand; false when there is none. */
static bool skip_comment(eb_scanner *s) {
    char c = peek(s, 0), next = peek(s, 1);
    if (c == '#' || (c == '/' && next == '/')) {
        eb_scan_skip_line(s);
    } else if (c != '/' || next != '*') {
        return false;
    } else if (!skip_block(s)) {
        eb_diag_add(s->ctx, EB_DIAG_BAD_COMMENT, loc_of(s, s->at), loc_of(s, s->at + 2));
        s->at = s->text.len;
    }
    return true;
}

void eb_scan_skip_space(eb_scanner *s, bool newlines) {
    for (; s->at < s->text.len; s->at++) {
        while (skip_comment(s))
            continue;
        uint8_t class = s->at < s->text.len ? class_of(s->text.at[s->at]) : B;
        if (class != S && (class != N || !newlines))
            return;
    }
}

/* ---- words and numbers ---- */

/* r0 to r99 and w0 to w99; a leading zero makes a symbol. False when the word is no register. */
static bool scan_register(eb_scanner *s, eb_token *token) {
    const char *at = s->text.at + s->at;
    size_t left = s->text.len - s->at, length = 2;
    if ((at[0] != 'r' && at[0] != 'w') || left < 2 || !is_digit(at[1]))
        return false;
    uint64_t value = (uint64_t)(at[1] - '0');
    if (left > 2 && value && is_digit(at[2])) {
        value = value * 10 + (uint64_t)(at[2] - '0');
        length = 3;
    }
    if (left > length && is_word(at[length]))
        return false;
    token->kind = at[0] == 'r' ? EB_TOKEN_REG64 : EB_TOKEN_REG32;
    token->value = value;
    token->text.len = length;
    s->at += length;
    return true;
}

static void scan_word(eb_scanner *s, eb_token *token) {
    const char *from = s->text.at + s->at, *at = from, *end = s->text.at + s->text.len;
    uint32_t hash = EB_HASH_START;
    if (scan_register(s, token))
        return;
    for (; at < end && is_word(*at); at++)
        hash = EB_HASH_STEP(hash, *at);
    token->kind = EB_TOKEN_WORD;
    token->hash = EB_HASH_END(hash);
    token->text.len = (size_t)(at - from);
    s->at += token->text.len;
}

static unsigned digit_value(char c) {
    if (is_digit(c))
        return (unsigned)(c - '0');
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 99;
}

/* How a number is written: its base, and how many characters announce it. */
static unsigned base_of(eb_str t, size_t *prefix) {
    *prefix = 0;
    if (t.len < 2 || t.at[0] != '0')
        return 10;
    char mark = (char)(t.at[1] | 32);
    *prefix = t.len > 2 && (mark == 'x' || mark == 'b') ? 2 : 1;
    return *prefix == 1 ? 8 : mark == 'x' ? 16 : 2;
}

/* A plain decimal number, as nearly all are; false when this is none. */
static bool scan_decimal(eb_scanner *s, eb_token *token) {
    enum { DIGITS_MOST = 18 };
    const char *from = s->text.at + s->at, *at = from, *end = s->text.at + s->text.len;
    uint64_t value = 0;
    for (; at < end && is_digit(*at); at++)
        value = value * 10 + (uint64_t)(*at - '0');
    size_t length = (size_t)(at - from);
    if ((at < end && is_word(*at)) || length > DIGITS_MOST || (*from == '0' && length > 1))
        return false;
    token->kind = EB_TOKEN_NUMBER;
    token->value = value;
    token->text.len = length;
    s->at += length;
    return true;
}

static void scan_number(eb_scanner *s, eb_token *token) {
    size_t start = s->at, prefix;
    while (s->at < s->text.len && is_word(s->text.at[s->at]))
        s->at++;
    eb_str t = token->text = (eb_str){s->text.at + start, s->at - start};
    char last = t.at[t.len - 1];
    unsigned base = base_of(t, &prefix);
    bool overflow = false;
    token->kind = EB_TOKEN_NUMBER;
    if (base < 16 && prefix < 2 && (last == 'f' || last == 'b')) {
        token->kind = EB_TOKEN_LOCAL;
        token->back = last == 'b';
        t.len--;
        base = 10;
        prefix = 0;
    }
    for (size_t i = prefix; i < t.len; i++) {
        unsigned digit = digit_value(t.at[i]);
        if (digit >= base) {
            eb_diag_add(s->ctx, EB_DIAG_BAD_NUMBER, loc_of(s, start), loc_of(s, s->at),
                        (int)token->text.len, token->text.at);
            token->kind = EB_TOKEN_BAD;
            return;
        }
        overflow |= token->value > UINT64_MAX / 16 && token->value > (UINT64_MAX - digit) / base;
        token->value = token->value * base + digit;
    }
    if (overflow) {
        eb_diag_add(s->ctx, EB_DIAG_NUMBER_RANGE, loc_of(s, start), loc_of(s, s->at),
                    (int)token->text.len, token->text.at, 64u);
        token->kind = EB_TOKEN_BAD;
    }
}

/* ---- strings, characters, marks ---- */

/* Behind the string at hand, or at the end of its line. */
static void skip_string(eb_scanner *s) {
    for (s->at++; s->at < s->text.len && peek(s, 0) != '"' && peek(s, 0) != '\n';)
        s->at += peek(s, 0) == '\\' && s->at + 1 < s->text.len && peek(s, 1) != '\n' ? 2 : 1;
}

static void scan_string(eb_scanner *s, eb_token *token) {
    size_t start = s->at;
    skip_string(s);
    token->kind = EB_TOKEN_STRING;
    token->text = (eb_str){s->text.at + start + 1, s->at - start - 1};
    token->hash = eb_str_hash(token->text);
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

static const char *const marks[] = {
#define MARK(id, text) text,
    EB_MARKS(MARK)
#undef MARK
};

eb_str eb_mark_text(uint8_t punct) {
    static const char singles[] =
        "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_"
        "`abcdefghijklmnopqrstuvwxyz{|}~";
    if (punct > EB_MARK_FIRST && punct < EB_MARK_END)
        return eb_str_from(marks[punct - EB_MARK_FIRST - 1]);
    return (eb_str){&singles[punct < 127 && punct > 32 ? punct - 33 : 0], 1};
}

static void scan_mark(eb_scanner *s, eb_token *token) {
    char c = s->text.at[s->at], next = peek(s, 1);
    token->kind = EB_TOKEN_PUNCT;
    token->punct = (uint8_t)c;
    token->text.len = 1;
    if (next == '=' || (next == c && (c == '<' || c == '>' || c == '&' || c == '|'))) {
        for (uint8_t i = 0; i < sizeof marks / sizeof *marks; i++) {
            const char *mark = marks[i];
            if (mark[0] == c && mark[1] == next && (!mark[2] || mark[2] == peek(s, 2))) {
                token->punct = (uint8_t)(EB_MARK_FIRST + 1 + i);
                token->text.len = mark[2] ? 3 : 2;
                break;
            }
        }
    }
    s->at += token->text.len;
}

static void scan_bad(eb_scanner *s, eb_token *token) {
    char c = peek(s, 0);
    eb_diag_add(s->ctx, EB_DIAG_BAD_BYTE, loc_of(s, s->at), loc_of(s, s->at + 1), (uint8_t)c);
    token->kind = EB_TOKEN_BAD;
    token->text = (eb_str){s->text.at + s->at, 1};
    s->binary |= c == 0;
    s->at++;
}

/* %r1 in ubpf's dialect. */
static void scan_percent(eb_scanner *s, eb_token *token) {
    size_t start = s->at;
    if (s->dialect != EBPF_DIALECT_UBPF || class_of(peek(s, 1)) != W) {
        scan_mark(s, token);
        return;
    }
    token->text.at = s->text.at + ++s->at;
    scan_word(s, token);
    if (token->kind == EB_TOKEN_WORD) {
        eb_diag_add(s->ctx, EB_DIAG_BAD_REGISTER, loc_of(s, start), loc_of(s, s->at),
                    (int)token->text.len, token->text.at);
        token->kind = EB_TOKEN_BAD;
    }
}

/* ---- the whole ---- */

void eb_scan_into(eb_scanner *s, eb_token *token) {
    const char *text = s->text.at;
    size_t start = s->at, at = start, end = s->text.len;
    while (at < end && class_of(text[at]) == S)
        at++;
    s->at = at;
    if (at < end && (text[at] == '#' || text[at] == '/')) {
        eb_scan_skip_space(s, false);
        at = s->at;
    }
    *token = (eb_token){.spaced = at > start, .lo = loc_of(s, at), .text.at = text + at};
    switch (at < end ? class_of(text[at]) : (uint8_t)N) {
    case N: /* also the end of the text: then END, which is 0 */
        if (at < end) {
            token->kind = EB_TOKEN_NEWLINE;
            s->at++;
        }
        break;
    case W:
        scan_word(s, token);
        break;
    case D:
        if (!scan_decimal(s, token))
            scan_number(s, token);
        break;
    case P:
    case SLASH:
        scan_mark(s, token);
        break;
    case PERCENT:
        scan_percent(s, token);
        break;
    case QUOTE:
        scan_string(s, token);
        break;
    case TICK:
        if (!scan_char(s, token))
            scan_bad(s, token);
        break;
    default:
        scan_bad(s, token);
        break;
    }
    token->hi = loc_of(s, s->at);
}

eb_str eb_scan_raw(eb_scanner *s) {
    eb_scan_skip_space(s, false);
    size_t start = s->at, end = start;
    while (s->at < s->text.len && class_of(s->text.at[s->at]) != N) {
        if (skip_comment(s))
            continue;
        bool space = class_of(s->text.at[s->at]) == S;
        if (s->text.at[s->at] == '"')
            skip_string(s);
        if (s->at < s->text.len && s->text.at[s->at] != '\n')
            s->at++;
        end = space ? end : s->at;
    }
    return (eb_str){s->text.at + start, end - start};
}

eb_str eb_scan_keyword(eb_scanner *s) {
    for (;;) {
        size_t from = s->at;
        while (s->at < s->text.len && is_word(s->text.at[s->at]))
            s->at++;
        eb_str word = {s->text.at + from, s->at - from};
        eb_scan_skip_space(s, false);
        if (!word.len || peek(s, 0) != ':')
            return word;
        s->at++;
        eb_scan_skip_space(s, true);
    }
}
