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
    return s->first + (eb_loc)at;
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
    while (t.len > 1 && ((t.at[t.len - 1] | 32) == 'u' || (t.at[t.len - 1] | 32) == 'l'))
        t.len--; /* C's suffixes: all numbers have 64 bits */
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

/* What stands behind a backslash, as C has it; -1 for other letters. */
int eb_escape(char c) {
    static const char names[] = "b\bf\fn\nr\rt\t\\\\\"\"''";
    for (const char *n = names; *n; n += 2)
        if (c == n[0])
            return (uint8_t)n[1];
    return -1;
}

/* 'c' is the number of a character; as in GNU as the closing quote may be left out, but here not.
 */
static bool scan_char(eb_scanner *s, eb_token *token) {
    bool escaped = peek(s, 1) == '\\';
    size_t length = escaped ? 4 : 3;
    int value = escaped ? eb_escape(peek(s, 2)) : (uint8_t)peek(s, 1);
    if (value <= 0 || (!escaped && value == '\n') || peek(s, length - 1) != '\'')
        return false;
    token->kind = EB_TOKEN_NUMBER;
    token->value = (uint64_t)value;
    token->text = (eb_str){s->text.at + s->at, length};
    s->at += length;
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

/* In the order of EB_MARKS: what '=' may stand behind, what may be doubled, and then again. */
static void scan_mark(eb_scanner *s, eb_token *token) {
    static const char equals[] = "+-*/%&|^=!<>", twice[] = "<>&|";
    char c = peek(s, 0), next = peek(s, 1);
    const char *found = strchr(next == '=' ? equals : twice, c);
    token->kind = EB_TOKEN_PUNCT;
    token->punct = (uint8_t)c;
    token->text.len = 1;
    if (found && next == '=') {
        token->punct = (uint8_t)(EB_MARK_ADD_SET + (found - equals));
        token->text.len = 2;
    } else if (found && next == c) {
        bool set = found - twice < 2 && peek(s, 2) == '=';
        token->punct = (uint8_t)((set ? EB_MARK_SHL_SET : EB_MARK_SHL) + (found - twice));
        token->text.len = set ? 3 : 2;
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

/* ---- the whole ---- */

/* How far a register's name reaches: r0 to r99 and w0 to w99; a leading zero makes a symbol. NULL
 * when there is none. */
static const char *register_end(const char *at, const char *end) {
    if ((*at != 'r' && *at != 'w') || end - at < 2 || !is_digit(at[1]))
        return NULL;
    const char *to = at + 2;
    if (to < end && at[1] != '0' && is_digit(*to))
        to++;
    return to < end && is_word(*to) ? NULL : to;
}

/* %r1 in ubpf's dialect. */
static void scan_percent(eb_scanner *s, eb_token *token) {
    eb_token name;
    size_t start = s->at++;
    eb_scan_into(s, &name);
    name.spaced = token->spaced;
    name.lo = token->lo;
    *token = name;
    if (token->kind != EB_TOKEN_WORD)
        return;
    eb_diag_add(s->ctx, EB_DIAG_BAD_REGISTER, loc_of(s, start), token->hi, (int)token->text.len,
                token->text.at);
    token->kind = EB_TOKEN_BAD;
}

/* What eb_scan_into does not make by itself. */
static void scan_rest(eb_scanner *s, eb_token *token, uint8_t class) {
    *token = (eb_token){
        .spaced = token->spaced, .lo = loc_of(s, s->at), .text = {s->text.at + s->at, 0}};
    if (class == D)
        scan_number(s, token);
    else if (class == QUOTE)
        scan_string(s, token);
    else if (class == PERCENT && s->dialect == EBPF_DIALECT_UBPF && class_of(peek(s, 1)) == W)
        scan_percent(s, token);
    else if (class == P || class == SLASH || class == PERCENT)
        scan_mark(s, token);
    else if (class != TICK || !scan_char(s, token))
        scan_bad(s, token);
    token->hi = loc_of(s, s->at);
}

/* Most of the assembler's time is spent here, so that the usual tokens are made without a call. */
void eb_scan_into(eb_scanner *s, eb_token *token) {
    enum { DIGITS_MOST = 18 };
    const char *base = s->text.at, *end = base + s->text.len, *from = base + s->at, *at = from;
    while (at < end && class_of(*at) == S)
        at++;
    token->spaced = at > from;
    if (at < end && (*at == '#' || *at == '/')) {
        s->at = (size_t)(at - base);
        eb_scan_skip_space(s, false);
        at = base + s->at;
        token->spaced |= at > from;
    }
    uint8_t class = at < end ? class_of(*at) : (uint8_t)N;
    uint64_t value = 0;
    from = at;
    switch (class) {
    case W:
        if ((at = register_end(from, end))) {
            token->kind = *from == 'r' ? EB_TOKEN_REG64 : EB_TOKEN_REG32;
            value = (uint64_t)(from[1] - '0');
            value = at - from > 2 ? value * 10 + (uint64_t)(from[2] - '0') : value;
        } else {
            uint32_t hash = EB_HASH_START;
            for (at = from; at < end && is_word(*at); at++)
                hash = EB_HASH_STEP(hash, *at);
            token->kind = EB_TOKEN_WORD;
            token->hash = EB_HASH_END(hash);
        }
        break;
    case D:
        for (; at < end && is_digit(*at); at++)
            value = value * 10 + (uint64_t)(*at - '0');
        if ((at < end && is_word(*at)) || at - from > DIGITS_MOST ||
            (*from == '0' && at - from > 1))
            at = NULL; /* another base, a local label, or too large */
        token->kind = EB_TOKEN_NUMBER;
        break;
    case P:
        token->kind = EB_TOKEN_PUNCT;
        token->punct = (uint8_t)*at++;
        if (at < end && (*at == '=' || *at == *from))
            at = NULL; /* perhaps a longer one */
        break;
    case N:
        token->kind = at < end ? EB_TOKEN_NEWLINE : EB_TOKEN_END;
        at += at < end;
        break;
    default:
        at = NULL;
        break;
    }
    if (!at) {
        s->at = (size_t)(from - base);
        scan_rest(s, token, class);
        return;
    }
    token->text = (eb_str){from, (size_t)(at - from)};
    token->value = value;
    s->at = (size_t)(at - base);
    token->lo = loc_of(s, (size_t)(from - base));
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
