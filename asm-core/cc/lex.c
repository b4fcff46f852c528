/* lex.c - see lex.h.
 *
 * Almost no token of a real program holds a joined line, so each is scanned as if none did; one
 * that ends at a backslash and a newline is scanned again from a copy of its logical line without
 * them. */
#include "lex.h"

#include <string.h>

/* ---- characters ---- */

enum { SPACE = 1, START = 2, DIGIT = 4, QUOTE = 8 };

/* Bytes of UTF-8 sequences and '$' may stand in names, as in gcc and clang. */
static const uint8_t classes[256] = {
    ['a' ... 'z'] = START,   ['A' ... 'Z'] = START, ['_'] = START,  ['$'] = START,
    [0x80 ... 0xff] = START, ['0' ... '9'] = DIGIT, [' '] = SPACE,  ['\t'] = SPACE,
    ['\r'] = SPACE,          ['\f'] = SPACE,        ['\v'] = SPACE, ['"'] = QUOTE,
    ['\''] = QUOTE,
};

static unsigned class_of(char c) {
    return classes[(uint8_t)c];
}

static bool in_name(char c) {
    return class_of(c) & (START | DIGIT);
}

/* The length of a backslash and the newline behind it, or 0. White space may stand between them. */
static size_t splice_at(const eb_lexer *lexer, const char *at) {
    if (at >= lexer->end || *at != '\\')
        return 0;
    const char *from = at++;
    while (at < lexer->end && *at != '\n' && class_of(*at) == SPACE)
        at++;
    return at < lexer->end && *at == '\n' ? (size_t)(at + 1 - from) : 0;
}

/* ---- names and spellings ---- */

enum { HASH_START = 0x811c9dc5, HASH_PRIME = 0x01000193 };

static void grow(eb_words *words) {
    uint32_t count = words->mask ? (words->mask + 1) * 2 : 1024;
    words->slots = eb_alloc_array(&words->ctx->arena, count, sizeof *words->slots);
    words->mask = count - 1;
    for (uint32_t n = 0; n < words->names.len; n++) {
        uint32_t i = words->names.at[n].hash & words->mask;
        while (words->slots[i])
            i = (i + 1) & words->mask;
        words->slots[i] = n + 1;
    }
}

static uint32_t enter_hashed(eb_words *words, eb_str text, uint32_t hash) {
    if (!words->mask || words->names.len >= words->mask / 2)
        grow(words);
    uint32_t i = hash & words->mask;
    for (; words->slots[i]; i = (i + 1) & words->mask) {
        const eb_name *name = &words->names.at[words->slots[i] - 1];
        if (name->hash == hash && eb_str_eq(name->text, text))
            return words->slots[i] - 1;
    }
    *EB_PUSH(&words->ctx->arena, &words->names) = (eb_name){.text = text, .hash = hash};
    return (words->slots[i] = words->names.len) - 1;
}

uint32_t eb_name_enter(eb_words *words, eb_str text) {
    uint32_t hash = HASH_START;
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.at[i]) * HASH_PRIME;
    return enter_hashed(words, text, hash);
}

void eb_words_start(eb_words *words) {
    static const char *const keywords[] = {
#define KEYWORD(id, spelling)       spelling,
#define SPELLED(id, when, spelling) spelling,
#include "token.def"
    };
    for (size_t n = 0; n < sizeof keywords / sizeof keywords[0]; n++)
        eb_name_enter(words, eb_str_from(keywords[n]));
}

uint32_t eb_spelling_enter(eb_words *words, eb_str text) {
    *EB_PUSH(&words->ctx->arena, &words->spellings) = text;
    return words->spellings.len - 1;
}

static const char *const puncts[] = {
#define PUNCT(id, spelling) [EB_TOK_##id] = spelling,
#include "token.def"
};

eb_str eb_tok_text(const eb_words *words, eb_tok tok) {
    if (tok.kind == EB_TOK_NAME)
        return words->names.at[tok.value].text;
    if (tok.kind >= EB_TOK_NUMBER && tok.kind <= EB_TOK_OTHER)
        return words->spellings.at[tok.value];
    return tok.kind > EB_TOK_PRAGMA_END ? eb_str_from(puncts[tok.kind]) : (eb_str){0};
}

unsigned eb_binding_of(unsigned kind) {
    switch (kind) { /* one case per row */
    case EB_TOK_STAR:
    case EB_TOK_SLASH:
    case EB_TOK_PERCENT:
        return 10;
    case EB_TOK_PLUS:
    case EB_TOK_MINUS:
        return 9;
    case EB_TOK_SHL:
    case EB_TOK_SHR:
        return 8;
    case EB_TOK_LT:
    case EB_TOK_LE:
    case EB_TOK_GT:
    case EB_TOK_GE:
        return 7;
    case EB_TOK_EQ:
    case EB_TOK_NE:
        return 6;
    case EB_TOK_AND:
        return 5;
    case EB_TOK_XOR:
        return 4;
    case EB_TOK_OR:
        return 3;
    case EB_TOK_ANDAND:
        return 2;
    case EB_TOK_OROR:
        return 1;
    default:
        return 0;
    }
}

/* ---- white space ---- */

eb_loc eb_lexer_loc(const eb_lexer *lexer) {
    return lexer->first + (eb_loc)(lexer->at - lexer->begin);
}

static void skip_line_comment(eb_lexer *lexer) {
    while (lexer->at < lexer->end && *lexer->at != '\n') {
        size_t splice = splice_at(lexer, lexer->at);
        lexer->at += splice ? splice : 1;
    }
}

/* The second byte of what may be a comment's sign, joined lines taken out. */
static const char *second(const eb_lexer *lexer) {
    const char *at = lexer->at + 1;
    for (size_t n; (n = splice_at(lexer, at));)
        at += n;
    return at;
}

static void skip_block_comment(eb_lexer *lexer) {
    eb_loc lo = eb_lexer_loc(lexer);
    for (lexer->at = second(lexer) + 1; lexer->at < lexer->end; lexer->at++) {
        if (*lexer->at != '*')
            continue;
        const char *next = second(lexer);
        if (next < lexer->end && *next == '/') {
            lexer->at = next + 1;
            return;
        }
    }
    eb_diag_add(lexer->words->ctx, EB_DIAG_BAD_COMMENT, lo, lo + 2);
}

eb_str eb_lexer_comment(eb_lexer *lexer, eb_loc *loc) {
    while (lexer->at < lexer->end) {
        const char *from = lexer->at;
        char next = *from == '/' ? *second(lexer) : 0;
        size_t splice;
        *loc = eb_lexer_loc(lexer);
        if (next == '/')
            skip_line_comment(lexer);
        else if (next == '*')
            skip_block_comment(lexer);
        if (lexer->at != from)
            return (eb_str){from, (size_t)(lexer->at - from)};
        if (*from == '\n' || *from == 0 || class_of(*from) == SPACE)
            lexer->at++;
        else if ((splice = splice_at(lexer, from)))
            lexer->at += splice;
        else
            break;
    }
    return (eb_str){0};
}

/* White space, comments and, outside directives, line ends. Gives the flags of the next token:
 * what stands in front of it in its own line. */
static unsigned skip_space(eb_lexer *lexer) {
    unsigned flags = lexer->bol ? EB_TOK_BOL : 0;
    while (lexer->at < lexer->end) {
        char c = *lexer->at, next = c == '/' ? *second(lexer) : 0;
        size_t splice;
        if (c == '\n') {
            if (lexer->directive)
                return flags;
            lexer->at++;
            flags = EB_TOK_BOL;
            continue;
        } else if (class_of(c) == SPACE || c == 0) {
            lexer->at++;
        } else if (c == '/' && next == '/') {
            skip_line_comment(lexer);
        } else if (c == '/' && next == '*') {
            skip_block_comment(lexer);
        } else if ((splice = splice_at(lexer, lexer->at))) {
            lexer->at += splice;
        } else {
            break;
        }
        flags |= EB_TOK_SPACE;
    }
    return flags;
}

void eb_lexer_skip_line(eb_lexer *lexer) {
    bool directive = lexer->directive;
    const char *open[2] = {lexer->at, lexer->at};
    lexer->directive = true;
    while (lexer->at < lexer->end && *lexer->at != '\n') {
        /* Strings hide comment signs; one without an end does not matter in a skipped line, and
         * where one has none, no other does (see scan_quoted). */
        char c = *lexer->at;
        if (c == '/' && (lexer->at[1] == '/' || lexer->at[1] == '*')) {
            skip_space(lexer);
        } else if (class_of(c) == QUOTE && lexer->at >= open[c == '"']) {
            const char *end = lexer->at + 1;
            while (end < lexer->end && *end != c && *end != '\n')
                end += *end == '\\' && end + 1 < lexer->end ? 2 : 1;
            bool closed = end < lexer->end && *end == c;
            lexer->at = closed ? end + 1 : lexer->at + 1;
            if (!closed)
                open[c == '"'] = end;
        } else {
            size_t splice = splice_at(lexer, lexer->at);
            lexer->at += splice ? splice : 1;
        }
    }
    lexer->directive = directive;
}

bool eb_lexer_at_paren(const eb_lexer *lexer) {
    eb_lexer ahead = *lexer;
    uint32_t errors = ahead.words->ctx->errors;
    skip_space(&ahead);
    /* A comment without an end is told once, when it is reached. */
    if (ahead.words->ctx->errors != errors && ahead.words->ctx->diags.len) {
        ahead.words->ctx->errors = errors;
        ahead.words->ctx->diags.len--;
    }
    return ahead.at < ahead.end && *ahead.at == '(';
}

/* ---- tokens ---- */

/* Scanners take the token's first byte and give what is behind its last one. */

static const char *scan_number(const eb_lexer *lexer, const char *at) {
    for (at++; at < lexer->end; at++) {
        char before = (char)(at[-1] | 0x20);
        bool sign = (*at == '+' || *at == '-') && (before == 'e' || before == 'p');
        if (*at == '\'' && lexer->words->separators && at + 1 < lexer->end && in_name(at[1]))
            continue;
        if (!in_name(*at) && *at != '.' && !sign)
            break;
    }
    return at;
}

/* A literal at its opening quote; NULL if the line ends first, or goes on in the next one. A quote
 * that is not closed leaves none that is: what closed a later one would have closed it. */
static const char *scan_quoted(const eb_lexer *lexer, const char *at) {
    char quote = *at++;
    if ((size_t)(at - lexer->begin) <= lexer->open[quote == '"'])
        return NULL;
    while (at < lexer->end && *at != quote && *at != '\n') {
        if (splice_at(lexer, at))
            return NULL;
        at += *at == '\\' && at + 1 < lexer->end ? 2 : 1;
    }
    return at < lexer->end && *at == quote ? at + 1 : NULL;
}

/* Punctuators of one byte. */
static const uint8_t singles[256] = {
    ['('] = EB_TOK_LPAREN,   [')'] = EB_TOK_RPAREN,    ['['] = EB_TOK_LBRACKET,
    [']'] = EB_TOK_RBRACKET, ['{'] = EB_TOK_LBRACE,    ['}'] = EB_TOK_RBRACE,
    [','] = EB_TOK_COMMA,    [';'] = EB_TOK_SEMICOLON, [':'] = EB_TOK_COLON,
    ['?'] = EB_TOK_QUESTION, ['~'] = EB_TOK_TILDE,     ['.'] = EB_TOK_DOT,
    ['+'] = EB_TOK_PLUS,     ['-'] = EB_TOK_MINUS,     ['*'] = EB_TOK_STAR,
    ['/'] = EB_TOK_SLASH,    ['%'] = EB_TOK_PERCENT,   ['&'] = EB_TOK_AND,
    ['|'] = EB_TOK_OR,       ['^'] = EB_TOK_XOR,       ['!'] = EB_TOK_NOT,
    ['='] = EB_TOK_ASSIGN,   ['<'] = EB_TOK_LT,        ['>'] = EB_TOK_GT,
    ['#'] = EB_TOK_HASH,     ['@'] = EB_TOK_AT,
};

/* The bytes that a longer punctuator has behind its first. */
static bool continues(char c) {
    return c == '=' || c == '+' || c == '-' || c == '&' || c == '|' || c == '<' || c == '>' ||
           c == '.' || c == '#' || c == ':' || c == '%';
}

/* The longest punctuator at `at`. */
static eb_tok_kind punct_at(const char *at, size_t left, size_t *size) {
    static const struct {
        eb_tok_kind kind;
        const char *text;
    } digraphs[] = {
#define DIGRAPH(id, spelling) {EB_TOK_##id, spelling},
#include "token.def"
    };
    eb_tok_kind best = (eb_tok_kind)singles[(uint8_t)*at];
    size_t length = *size = 1;
    if (!best)
        return EB_TOK_OTHER;
    if (left < 2 || !continues(at[1]))
        return best;
    for (size_t n = 0; n < sizeof digraphs / sizeof digraphs[0]; n++) {
        *size = strlen(digraphs[n].text);
        if (*size <= left && memcmp(digraphs[n].text, at, *size) == 0)
            return digraphs[n].kind;
    }
    for (unsigned kind = EB_TOK_LPAREN; kind < EB_TOK_COUNT; kind++) {
        size_t n = strlen(puncts[kind]);
        if (n > length && n <= left && memcmp(puncts[kind], at, n) == 0) {
            best = (eb_tok_kind)kind;
            length = n;
        }
    }
    *size = length;
    return best;
}

static bool is_prefix(eb_str name) {
    return eb_str_is(name, "L") || eb_str_is(name, "u8") || eb_str_is(name, "u") ||
           eb_str_is(name, "U");
}

static eb_tok literal(eb_lexer *lexer, eb_tok tok, const char *start, const char *quote) {
    const char *end = scan_quoted(lexer, quote);
    tok.kind = *quote == '"' ? EB_TOK_STRING : EB_TOK_CHAR;
    if (!end) { /* as one byte that no token starts with: the rest of the line is read as it is */
        tok.kind = EB_TOK_OTHER;
        end = quote + 1;
    }
    lexer->at = end;
    tok.value = eb_spelling_enter(lexer->words, (eb_str){start, (size_t)(end - start)});
    return tok;
}

/* \uXXXX or \UXXXXXXXX at `at`: the bytes that it takes, or 0. */
static size_t universal_at(const eb_lexer *lexer, const char *at, uint32_t *c) {
    if (at + 1 >= lexer->end || *at != '\\' || (at[1] != 'u' && at[1] != 'U'))
        return 0;
    size_t digits = at[1] == 'u' ? 4 : 8;
    *c = 0;
    for (size_t n = 0; n < digits; n++) {
        char d = at + 2 + n < lexer->end ? at[2 + n] : 0;
        unsigned value = d >= '0' && d <= '9' ? (unsigned)(d - '0') : 16;
        value = (d | 0x20) >= 'a' && (d | 0x20) <= 'f' ? (unsigned)((d | 0x20) - 'a') + 10 : value;
        if (value > 15)
            return 0;
        *c = *c << 4 | value;
    }
    return *c >= 0xa0 && *c <= 0x10ffff && (*c < 0xd800 || *c > 0xdfff) ? digits + 2 : 0;
}

/* C11 D.2: what no name begins with. */
static bool combines(uint32_t c) {
    return (c >= 0x300 && c <= 0x36f) || (c >= 0x1dc0 && c <= 0x1dff) ||
           (c >= 0x20d0 && c <= 0x20ff) || (c >= 0xfe20 && c <= 0xfe2f);
}

/* A name with \u in it is the same as one with the characters that they stand for. */
static eb_tok scan_universal_name(eb_lexer *lexer, eb_tok tok) {
    eb_buf text = {.arena = &lexer->words->ctx->arena};
    uint32_t c;
    while (lexer->at < lexer->end) {
        size_t length = universal_at(lexer, lexer->at, &c);
        if (length)
            eb_buf_utf8(&text, c);
        else if (in_name(*lexer->at))
            eb_buf_byte(&text, (uint8_t)*lexer->at);
        else
            break;
        lexer->at += length ? length : 1;
    }
    size_t length = text.len;
    eb_buf_byte(&text, 0);
    tok.kind = EB_TOK_NAME;
    tok.value = eb_name_enter(lexer->words, (eb_str){(const char *)text.at, length});
    return tok;
}

static eb_tok scan_name(eb_lexer *lexer, eb_tok tok) {
    const char *start = lexer->at, *at = start;
    uint32_t hash = HASH_START;
    for (; in_name(*at) && at < lexer->end; at++)
        hash = (hash ^ (uint8_t)*at) * HASH_PRIME;
    eb_str text = {start, (size_t)(at - start)};
    if (class_of(*at) == QUOTE && at < lexer->end && is_prefix(text))
        return literal(lexer, tok, start, at);
    uint32_t c;
    if (*at == '\\' && universal_at(lexer, at, &c))
        return scan_universal_name(lexer, tok);
    lexer->at = at;
    tok.kind = EB_TOK_NAME;
    tok.value = enter_hashed(lexer->words, text, hash);
    return tok;
}

static eb_tok scan_token(eb_lexer *lexer, eb_tok tok) {
    const char *start = lexer->at;
    unsigned class = class_of(*start);
    if (class == START)
        return scan_name(lexer, tok);
    if (class == QUOTE)
        return literal(lexer, tok, start, start);
    uint32_t c;
    if (*start == '\\' && universal_at(lexer, start, &c) && !combines(c))
        return scan_universal_name(lexer, tok);
    if (class == DIGIT || (*start == '.' && class_of(start[1]) == DIGIT)) {
        lexer->at = scan_number(lexer, start);
        tok.kind = EB_TOK_NUMBER;
    } else {
        size_t size;
        tok.kind = (uint8_t)punct_at(start, (size_t)(lexer->end - start), &size);
        if (tok.kind != EB_TOK_OTHER) {
            lexer->at += size;
            return tok;
        }
        lexer->at++;
    }
    tok.value = eb_spelling_enter(lexer->words, (eb_str){start, (size_t)(lexer->at - start)});
    return tok;
}

/* At most `most` bytes of the logical line from `start` on; gives what is behind them. */
static const char *join(const eb_lexer *lexer, const char *start, size_t most, eb_buf *line) {
    const char *at = start;
    while (at < lexer->end && *at != '\n') {
        size_t splice = splice_at(lexer, at);
        if (!splice && line->len == most)
            break;
        if (!splice)
            eb_buf_byte(line, (uint8_t)*at++);
        at += splice;
    }
    eb_buf_byte(line, 0);
    return at;
}

/* A token that a joined line cuts, or a quote that its own line does not close: scanned in a copy
 * of the logical line, then its length is counted off in the text itself. A macro may be a thousand
 * joined lines, so the copy is of the next few bytes, and of more if these do not show where the
 * token ends. */
static eb_tok scan_joined(eb_lexer *lexer, eb_tok tok, const char *start) {
    enum { FIRST = 128, LOOKED_AT = 8 }; /* no token is told by more bytes behind its end */
    uint32_t spellings = lexer->words->spellings.len;
    eb_lexer copy;
    eb_tok scanned;
    bool whole, open;
    size_t most = FIRST;
    do {
        eb_buf line = {.arena = &lexer->words->ctx->arena};
        const char *end = join(lexer, start, most, &line);
        whole = end >= lexer->end || *end == '\n';
        lexer->words->spellings.len = spellings;
        copy = eb_lexer_of(lexer->words, (eb_str){(const char *)line.at, line.len - 1}, 0);
        scanned = scan_token(&copy, tok);
        open = scanned.kind == EB_TOK_OTHER && class_of(*copy.begin) != 0;
        if (whole && open)
            lexer->open[copy.at[-1] == '"'] = (size_t)(end - lexer->begin);
        most *= 4;
    } while (!whole && (open || copy.end - copy.at < LOOKED_AT));
    lexer->at = start;
    for (size_t left = (size_t)(copy.at - copy.begin); left; left--) {
        for (size_t splice; (splice = splice_at(lexer, lexer->at));)
            lexer->at += splice;
        lexer->at++;
    }
    return scanned;
}

eb_lexer eb_lexer_of(eb_words *words, eb_str text, eb_loc first) {
    eb_lexer lexer = {.words = words, .begin = text.at, .first = first, .bol = true};
    lexer.at = text.at;
    lexer.end = text.at + text.len;
    return lexer;
}

eb_tok eb_lex(eb_lexer *lexer) {
    eb_tok tok = {.flags = (uint8_t)skip_space(lexer)};
    tok.loc = eb_lexer_loc(lexer);
    if (lexer->at >= lexer->end || *lexer->at == '\n')
        return tok;
    lexer->bol = false;
    const char *start = lexer->at;
    uint32_t spellings = lexer->words->spellings.len;
    tok = scan_token(lexer, tok);
    bool open = tok.kind == EB_TOK_OTHER && class_of(lexer->at[-1]) == QUOTE &&
                (size_t)(lexer->at - lexer->begin) > lexer->open[lexer->at[-1] == '"'];
    if (open || splice_at(lexer, lexer->at)) {
        lexer->words->spellings.len = spellings;
        tok = scan_joined(lexer, tok, start);
    }
    return tok;
}
