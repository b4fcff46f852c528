/* source.c - statements from the text, and from the texts within it.
 *
 * A statement becomes tokens, but for two: behind the name of a macro, and of a directive that
 * takes text, stands what need not be tokens, which is kept as it is. The use of a macro and a
 * repetition push a text: it is read to its end, again where it repeats, before the text below goes
 * on. What all of them together may come to is bounded, and so is how deep they nest. */
#include "asm.h"

enum { DEPTH_MOST = 64, TEXT_COST = 64 };

/* ---- statements ---- */

/* The first word of a statement, or one behind a label, may announce text. */
static bool takes_text(eb_asm *as) {
    const eb_token *token = &as->tokens.at[as->tokens.len - 1];
    if (as->tokens.len > 1 && (token[-1].kind != EB_TOKEN_PUNCT || token[-1].punct != ':'))
        return false;
    if (token->text.at[0] == '.') {
        as->directive = eb_asm_directive_of(as, token);
        if (as->directive)
            return as->directive->raw;
    }
    const uint32_t *macro = eb_map_find_hashed(&as->macro_names, token->text, token->hash);
    char next = as->scanner.at < as->scanner.text.len ? as->scanner.text.at[as->scanner.at] : 0;
    if (!macro || !*macro || next == ':')
        return false;
    as->macro = &as->macros.at[*macro - 1];
    return true;
}

static bool read_tokens(eb_asm *as, bool *clean) {
    as->tokens.len = as->at = 0;
    as->directive = NULL;
    as->macro = NULL;
    *clean = true;
    for (;;) {
        eb_token *token = EB_PUSH(&as->ctx->arena, &as->tokens);
        eb_scan_into(&as->scanner, token);
        if (token->kind == EB_TOKEN_BAD) {
            eb_scan_skip_line(&as->scanner);
            *clean = false;
            return true;
        }
        if (token->kind <= EB_TOKEN_NEWLINE) {
            if (as->tokens.len > 1)
                return true;
            if (token->kind == EB_TOKEN_END)
                return false;
            as->tokens.len = 0;
        } else if (token->kind == EB_TOKEN_WORD && takes_text(as)) {
            as->raw = eb_scan_raw(&as->scanner);
            eb_scan_into(&as->scanner, EB_PUSH(&as->ctx->arena, &as->tokens));
            return true;
        }
    }
}

bool eb_asm_read(eb_asm *as, bool *clean) {
    while (!read_tokens(as, clean)) {
        while (as->conditions.len > as->open_conditions) {
            const eb_condition *open = &as->conditions.at[--as->conditions.len];
            eb_diag_add(as->ctx, EB_DIAG_EXPECTED, open->lo, open->hi, ".endif for this");
        }
        if (as->repeats) {
            as->repeats--;
            as->scanner.at = 0;
        } else if (as->frames.len) {
            eb_asm_pop(as);
        } else {
            return false;
        }
    }
    return true;
}

/* ---- texts within texts ---- */

uint64_t eb_asm_expansion_most(const eb_asm *as) {
    enum { SHARE = 16, MOST = 32 << 20 };
    size_t share = as->ctx->arena.limit / SHARE;
    return share < MOST ? share : MOST;
}

bool eb_asm_push(eb_asm *as, const eb_scanner *scanner, uint32_t repeats, bool macro) {
    const eb_token *first = &as->tokens.at[0];
    uint64_t most = eb_asm_expansion_most(as);
    if (as->frames.len >= DEPTH_MOST) {
        eb_diag_add(as->ctx, EB_DIAG_EXPANSION_DEPTH, first->lo, first->hi, (unsigned)DEPTH_MOST);
        return false;
    }
    as->expanded += (scanner->text.len + TEXT_COST) * ((uint64_t)repeats + 1);
    if (as->expanded > most) {
        eb_diag_add(as->ctx, EB_DIAG_EXPANSION_SIZE, first->lo, first->hi,
                    (unsigned long long)most);
        as->expanded = most; /* and each further one is refused, too */
        return false;
    }
    *EB_PUSH(&as->ctx->arena, &as->frames) = (eb_frame){.scanner = as->scanner,
                                                        .conditions = as->open_conditions,
                                                        .repeats = as->repeats,
                                                        .macro = as->in_macro};
    as->scanner = *scanner;
    as->repeats = repeats;
    as->open_conditions = as->conditions.len;
    as->in_macro = macro;
    return true;
}

void eb_asm_pop(eb_asm *as) {
    const eb_frame *frame = &as->frames.at[--as->frames.len];
    as->conditions.len = as->open_conditions;
    as->scanner = frame->scanner;
    as->repeats = frame->repeats;
    as->open_conditions = frame->conditions;
    as->in_macro = frame->macro;
}

static bool is_one_of(eb_str word, const char *const *list) {
    for (; *list; list++)
        if (eb_str_is(word, *list))
            return true;
    return false;
}

bool eb_asm_capture(eb_asm *as, const char *const *opens, const char *const *ends,
                    eb_scanner *out) {
    const eb_token opening = as->tokens.at[0];
    eb_scanner *s = &as->scanner;
    size_t from = s->at;
    unsigned depth = 0;
    for (;;) {
        eb_scan_skip_space(s, true);
        size_t line = s->at;
        eb_str word = eb_scan_keyword(s);
        if (!word.len && s->at >= s->text.len) {
            eb_str end = eb_str_from(ends[0]);
            eb_diag_add(as->ctx, EB_DIAG_UNCLOSED, opening.lo, opening.hi, (int)end.len, end.at);
            return false;
        }
        bool opened = is_one_of(word, opens), ended = is_one_of(word, ends);
        eb_scan_raw(s);
        if (ended && depth == 0) {
            *out = *s;
            out->text = (eb_str){s->text.at + from, line - from};
            out->first = s->first + (eb_loc)from;
            out->at = 0;
            return true;
        }
        depth += opened;
        depth -= ended;
    }
}
