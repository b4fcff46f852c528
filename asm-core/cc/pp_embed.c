/* pp_embed.c - #embed and __has_embed (C23 6.10.4): a file's bytes as numbers with commas between.
 *
 * Behind the file's name stand parameters: limit(N) takes N bytes at most, clang::offset(N) leaves
 * the first N out, prefix(...) and suffix(...) go around what is not empty, if_empty(...) in place
 * of what is. */
#include "pp.h"

enum { BYTES_MOST = 16 << 20 };

typedef struct embed {
    eb_pp *pp;
    const eb_tok *at, *end;
    eb_loc loc;
    eb_str spelling;
    bool angle;
    uint64_t limit, offset;
    eb_toks prefix, suffix, if_empty;
    eb_str unknown; /* a parameter that nobody knows */
} embed;

static bool is(const embed *e, eb_tok_kind kind) {
    return e->at < e->end && e->at->kind == kind;
}

/* "NAME" or <NAME>, as tokens. */
static bool read_name(embed *e) {
    eb_buf name = {.arena = &e->pp->ctx->arena};
    if (is(e, EB_TOK_STRING)) {
        eb_str text = eb_tok_text(&e->pp->words, *e->at++);
        e->spelling =
            text.len > 2 && text.at[0] == '"' ? (eb_str){text.at + 1, text.len - 2} : (eb_str){0};
    } else if (is(e, EB_TOK_LT)) {
        e->angle = true;
        for (e->at++; e->at < e->end && !is(e, EB_TOK_GT); e->at++) {
            if (name.len && (e->at->flags & EB_TOK_SPACE))
                eb_buf_byte(&name, ' ');
            eb_buf_str(&name, eb_tok_text(&e->pp->words, *e->at));
        }
        e->spelling = (eb_str){(const char *)name.at, is(e, EB_TOK_GT) ? name.len : 0};
        e->at += e->spelling.len != 0;
    }
    return e->spelling.len != 0;
}

/* What stands between the parentheses behind a parameter's name. */
static bool read_group(embed *e, eb_toks *out) {
    uint32_t depth = 0;
    *out = (eb_toks){0};
    if (!is(e, EB_TOK_LPAREN))
        return false;
    for (e->at++; e->at < e->end && (depth || !is(e, EB_TOK_RPAREN)); e->at++) {
        depth += is(e, EB_TOK_LPAREN);
        depth -= is(e, EB_TOK_RPAREN);
        *EB_PUSH(&e->pp->ctx->arena, out) = *e->at;
    }
    return e->at++ < e->end;
}

static bool read_number(embed *e, uint64_t *out) {
    eb_toks toks;
    return read_group(e, &toks) && eb_pp_number(e->pp, toks, e->loc, out);
}

/* NAME, NAMESPACE::NAME, each also as __NAME__. */
static eb_str parameter_name(embed *e) {
    eb_buf name = {.arena = &e->pp->ctx->arena};
    for (;; e->at++) {
        eb_str word = is(e, EB_TOK_NAME) ? eb_tok_text(&e->pp->words, *e->at++) : EB_STR("?");
        if (word.len > 4 && eb_str_starts(word, "__") && word.at[word.len - 1] == '_' &&
            word.at[word.len - 2] == '_')
            word = (eb_str){word.at + 2, word.len - 4};
        eb_buf_str(&name, word);
        if (!is(e, EB_TOK_COLONCOLON))
            return (eb_str){(const char *)name.at, name.len};
        eb_buf_str(&name, EB_STR("::"));
    }
}

static bool read_parameter(embed *e) {
    eb_str name = parameter_name(e);
    eb_toks ignored;
    if (eb_str_is(name, "limit"))
        return read_number(e, &e->limit);
    if (eb_str_is(name, "clang::offset"))
        return read_number(e, &e->offset);
    if (eb_str_is(name, "prefix"))
        return read_group(e, &e->prefix);
    if (eb_str_is(name, "suffix"))
        return read_group(e, &e->suffix);
    if (eb_str_is(name, "if_empty"))
        return read_group(e, &e->if_empty);
    e->unknown = name;
    return is(e, EB_TOK_LPAREN) ? read_group(e, &ignored) : !eb_str_starts(name, "?");
}

/* The tokens behind #embed, or in __has_embed's parentheses. False after a diagnostic. */
static bool read(embed *e, eb_pp *pp, eb_toks toks, eb_loc loc) {
    if (toks.len && toks.at[0].kind != EB_TOK_STRING && toks.at[0].kind != EB_TOK_LT)
        toks = eb_pp_expand(pp, toks.at, toks.len);
    *e = (embed){.pp = pp, .at = toks.at, .loc = loc, .limit = UINT64_MAX};
    e->end = toks.len ? toks.at + toks.len : toks.at;
    uint32_t errors = pp->ctx->errors;
    bool fine = read_name(e);
    const char *what =
        fine ? "limit(N), prefix(...), suffix(...) or if_empty(...)" : "\"FILE\" or <FILE>";
    while (fine && e->at < e->end)
        fine = read_parameter(e);
    if (!fine && !pp->wanted && pp->ctx->errors == errors)
        eb_diag_add(pp->ctx, EB_DIAG_EXPECTED, loc, loc + 1, what);
    return fine;
}

/* The bytes that are wanted; false when the host must be asked first. `file` is 0 for none. */
static bool find(const embed *e, uint32_t *file, eb_str *bytes) {
    *bytes = (eb_str){0};
    if (!eb_include_find(e->pp, e->spelling, e->angle ? EB_PP_EMBED_ANGLE : EB_PP_EMBED_QUOTE,
                         file))
        return false;
    if (!*file)
        return true;
    eb_str all = e->pp->files.at[*file - 1].text;
    uint64_t from = e->offset < all.len ? e->offset : all.len, left = all.len - from;
    *bytes = (eb_str){all.at + from, (size_t)(e->limit < left ? e->limit : left)};
    return true;
}

static void put_all(eb_pp *pp, eb_toks *out, eb_toks toks) {
    for (uint32_t n = 0; n < toks.len; n++)
        *EB_PUSH(&pp->ctx->arena, out) = toks.at[n];
}

static void put_bytes(eb_pp *pp, eb_toks *out, eb_str bytes, eb_loc loc) {
    uint32_t spellings[256] = {0}; /* 1 + each number's */
    for (size_t n = 0; n < bytes.len; n++) {
        uint8_t byte = (uint8_t)bytes.at[n];
        if (!spellings[byte])
            spellings[byte] =
                eb_spelling_enter(&pp->words, eb_str_fmt(&pp->ctx->arena, "%u", byte)) + 1;
        if (n)
            *EB_PUSH(&pp->ctx->arena, out) = (eb_tok){.kind = EB_TOK_COMMA, .loc = loc};
        *EB_PUSH(&pp->ctx->arena, out) = (eb_tok){.kind = EB_TOK_NUMBER,
                                                  .flags = n ? EB_TOK_SPACE : 0,
                                                  .loc = loc,
                                                  .value = spellings[byte] - 1};
    }
}

bool eb_embed(eb_pp *pp, eb_toks line, eb_loc lo, eb_loc hi) {
    embed e;
    uint32_t file;
    eb_str bytes;
    eb_toks out = {0};
    if (!read(&e, pp, line, lo))
        return !pp->wanted;
    if (e.unknown.len) {
        eb_diag_add(pp->ctx, EB_DIAG_EMBED_PARAMETER, lo, hi, (int)e.unknown.len, e.unknown.at);
        return true;
    }
    if (!find(&e, &file, &bytes))
        return false;
    if (!file) {
        eb_diag_add(pp->ctx, EB_DIAG_NO_FILE, lo, hi, (int)e.spelling.len, e.spelling.at);
    } else if (bytes.len > BYTES_MOST) {
        eb_diag_add(pp->ctx, EB_DIAG_SIZE_LIMIT, lo, hi, (unsigned)BYTES_MOST);
    } else if (!bytes.len) {
        put_all(pp, &out, e.if_empty);
    } else {
        put_all(pp, &out, e.prefix);
        put_bytes(pp, &out, bytes, lo);
        put_all(pp, &out, e.suffix);
    }
    if (out.len) {
        out.at[0].flags |= EB_TOK_BOL;
        eb_pp_push_tokens(pp, NULL, out.at, out.len);
    }
    return true;
}

unsigned eb_has_embed(eb_pp *pp, eb_toks operand, eb_loc loc) {
    embed e;
    uint32_t file;
    eb_str bytes;
    if (!read(&e, pp, operand, loc) || !find(&e, &file, &bytes) || !file || e.unknown.len)
        return 0;
    return bytes.len ? 1 : 2;
}
