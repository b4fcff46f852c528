/* pp_print.c - tokens as text again, such that reading it gives the same tokens (-E -P). */
#include "pp.h"

/* Whether two tokens that stood apart would be read as one, or as others, without a space. */
static bool would_join(const eb_words *words, eb_tok a, eb_tok b) {
    bool word_a = a.kind == EB_TOK_NAME || a.kind == EB_TOK_NUMBER;
    bool word_b = b.kind == EB_TOK_NAME || b.kind == EB_TOK_NUMBER;
    bool quote_b = b.kind == EB_TOK_STRING || b.kind == EB_TOK_CHAR;
    if (word_a && (word_b || (a.kind == EB_TOK_NAME && quote_b)))
        return true;
    eb_str x = eb_tok_text(words, a), y = eb_tok_text(words, b);
    if (!x.len || !y.len)
        return false;
    char last = x.at[x.len - 1], first = y.at[0];
    if (a.kind == EB_TOK_NUMBER)
        return first == '.' || first == '+' || first == '-';
    if (last == '.' || a.kind == EB_TOK_OTHER || b.kind == EB_TOK_OTHER)
        return true;
    return a.kind > EB_TOK_PRAGMA_END && b.kind > EB_TOK_PRAGMA_END &&
           (first == '=' || first == last || first == '>' || first == '*' || first == '/' ||
            first == '#' || first == ':' || first == '%');
}

void eb_pp_print(const eb_pp *pp, eb_buf *out) {
    eb_tok before = {0};
    bool in_pragma = false;
    for (uint32_t n = 0; n < pp->out.len; n++) {
        eb_tok tok = pp->out.at[n];
        if (tok.kind == EB_TOK_PRAGMA) {
            eb_buf_str(out, before.kind ? EB_STR("\n#pragma") : EB_STR("#pragma"));
            in_pragma = true;
        } else if (tok.kind == EB_TOK_PRAGMA_END) {
            eb_buf_byte(out, '\n');
            in_pragma = false;
            before = (eb_tok){0};
            continue;
        } else {
            if (before.kind && !in_pragma && (tok.flags & EB_TOK_BOL))
                eb_buf_byte(out, '\n');
            else if (before.kind && ((tok.flags & EB_TOK_SPACE) || before.kind == EB_TOK_PRAGMA ||
                                     would_join(&pp->words, before, tok)))
                eb_buf_byte(out, ' ');
            eb_buf_str(out, eb_tok_text(&pp->words, tok));
        }
        before = tok;
    }
    if (before.kind)
        eb_buf_byte(out, '\n');
}
