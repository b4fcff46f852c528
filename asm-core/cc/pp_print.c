/* pp_print.c - what the preprocessor made as text again, such that reading it gives the same
 * tokens.
 *
 * Lines and columns are clang's: a token that begins a line stands in its line and column, close
 * lines are reached by empty ones, others by a line marker (# LINE "FILE" FLAGS; 1 a file begins, 2
 * it goes on, 3 it is the system's). Without markers (-P) lines that are empty go. -dD has the
 * definitions as well, in their places; -dM has them alone, by name, as they stand at the end. -C
 * has the comments: their lines count as any, and no token sticks to them. */
#include "pp.h"
#include "sort.h"

#include <string.h>

enum { CLOSE = 8 }; /* lines that are reached by empty ones */

typedef struct printer {
    const eb_pp *pp;
    eb_buf *out;
    bool markers;
    uint32_t line;
    eb_str file;
    bool system;
    bool tokens, directive; /* what stands in this line so far */
    uint32_t asked;         /* files of -include so far */
    size_t marked;          /* where the last file begins or goes on */
    eb_tok before, before_that;
} printer;

/* ---- macros ---- */

static void put_macro(const eb_pp *pp, const eb_macro *macro, eb_buf *out) {
    eb_buf_str(out, EB_STR("#define "));
    eb_buf_str(out, pp->words.names.at[macro->name].text);
    for (uint32_t n = 0; macro->function && n < macro->params; n++) {
        uint32_t name = macro->param_names.at[n];
        bool rest = macro->variadic && n + 1 == macro->params;
        eb_buf_byte(out, n ? ',' : '(');
        if (!rest || name != pp->name_va_args)
            eb_buf_str(out, pp->words.names.at[name].text);
        if (rest)
            eb_buf_str(out, EB_STR("..."));
    }
    if (macro->function)
        eb_buf_str(out, macro->params ? EB_STR(")") : EB_STR("()"));
    if (!macro->count || !(macro->body[0].flags & EB_TOK_SPACE))
        eb_buf_byte(out, ' ');
    for (uint32_t n = 0; n < macro->count; n++) {
        if (macro->body[n].flags & EB_TOK_SPACE)
            eb_buf_byte(out, ' ');
        eb_buf_str(out, eb_tok_text(&pp->words, macro->body[n]));
    }
}

static int by_name(const void *context, uint32_t a, uint32_t b) {
    const eb_name *names = context;
    eb_str x = names[a].text, y = names[b].text;
    int order = memcmp(x.at, y.at, x.len < y.len ? x.len : y.len);
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

static void put_macros(const eb_pp *pp, eb_buf *out) {
    EB_VEC(uint32_t) names = {0};
    for (uint32_t n = 0; n < pp->words.names.len; n++) {
        const eb_macro *macro = eb_macro_of(pp, n);
        if (macro && macro->builtin == EB_PP_PLAIN)
            *EB_PUSH(&pp->ctx->arena, &names) = n;
    }
    eb_sort(&pp->ctx->arena, names.at, names.len, by_name, pp->words.names.at);
    for (uint32_t n = 0; n < names.len; n++) {
        put_macro(pp, eb_macro_of(pp, names.at[n]), out);
        eb_buf_byte(out, '\n');
    }
}

/* ---- lines ---- */

static void start_line(printer *p) {
    if (p->tokens || p->directive)
        eb_buf_byte(p->out, '\n');
    p->tokens = p->directive = false;
}

static void put_marker(printer *p, uint32_t line, const char *flag) {
    start_line(p);
    eb_buf_fmt(p->out, "# %u \"", line);
    for (size_t n = 0; n < p->file.len; n++) {
        if (p->file.at[n] == '"' || p->file.at[n] == '\\')
            eb_buf_byte(p->out, '\\');
        eb_buf_byte(p->out, (uint8_t)p->file.at[n]);
    }
    eb_buf_fmt(p->out, "\"%s%s\n", flag, p->system ? " 3" : "");
}

/* To `line`; true when something stands in front of it now, a line's end. */
static bool move_to(printer *p, uint32_t line, bool fresh) {
    bool moved = (fresh && p->tokens) || p->directive;
    if (moved) {
        start_line(p);
        p->line++;
    }
    uint32_t distance = line - p->line;
    if (distance == 0) {
        /* here it is */
    } else if (!moved && distance == 1) {
        eb_buf_byte(p->out, '\n');
        moved = true;
    } else if (p->markers) {
        for (uint32_t n = 0; n < distance && distance <= CLOSE; n++)
            eb_buf_byte(p->out, '\n');
        if (distance > CLOSE)
            put_marker(p, line, "");
        moved = true;
    } else if (p->tokens) {
        start_line(p);
        moved = true;
    }
    if (moved)
        p->tokens = p->directive = false;
    p->line = line;
    return moved;
}

/* ---- tokens ---- */

/* Whether two tokens stand side by side in a text, too. */
static bool touch(const eb_pp *pp, eb_tok a, eb_str x, eb_str y) {
    eb_str macro;
    eb_loc loc = a.loc, from;
    while (eb_expansion_of(pp->ctx, loc, &macro, &loc, &from))
        ;
    eb_str text = eb_source_text(pp->ctx, loc);
    return text.len >= x.len + y.len && memcmp(text.at, x.at, x.len) == 0 &&
           memcmp(text.at + x.len, y.at, y.len) == 0;
}

/* What a punctuator must not stand before: it would begin a longer one, or a comment. */
static const char *stickers_of(unsigned kind) {
    switch (kind) { /* one case per row */
    case EB_TOK_AND:
        return "&=";
    case EB_TOK_OR:
        return "|=";
    case EB_TOK_PLUS:
        return "+=";
    case EB_TOK_MINUS:
        return "->=";
    case EB_TOK_SLASH:
        return "*/=";
    case EB_TOK_LT:
        return "<:%=";
    case EB_TOK_GT:
        return "><=";
    case EB_TOK_PERCENT:
        return ">:=";
    case EB_TOK_COLON:
        return ">:";
    case EB_TOK_HASH:
        return "#@%";
    case EB_TOK_STAR:
    case EB_TOK_XOR:
    case EB_TOK_NOT:
    case EB_TOK_ASSIGN:
    case EB_TOK_SHL:
    case EB_TOK_SHR:
        return "=";
    default:
        return "";
    }
}

static bool is_prefix(eb_str name) {
    return eb_str_is(name, "L") || eb_str_is(name, "u8") || eb_str_is(name, "u") ||
           eb_str_is(name, "U");
}

static bool continues_number(char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' ||
           c == '.' || c == '+' || c == '-';
}

/* Whether `tok` behind the last token would be read as one with it, or as others. */
static bool would_join(const printer *p, eb_tok tok) {
    const eb_words *words = &p->pp->words;
    eb_str x = eb_tok_text(words, p->before), y = eb_tok_text(words, tok);
    if (!x.len || !y.len || touch(p->pp, p->before, x, y))
        return false;
    char first = y.at[0];
    bool quoted = tok.kind == EB_TOK_STRING || tok.kind == EB_TOK_CHAR;
    if (p->before.kind == EB_TOK_NUMBER)
        return continues_number(first);
    if (p->before.kind == EB_TOK_OTHER || tok.kind == EB_TOK_OTHER)
        return true;
    if (p->before.kind == EB_TOK_NAME)
        return tok.kind == EB_TOK_NAME || (tok.kind == EB_TOK_NUMBER && first != '.') ||
               (quoted && ((first != '"' && first != '\'') || is_prefix(x)));
    if (p->before.kind == EB_TOK_DOT)
        return (first >= '0' && first <= '9') ||
               (first == '.' && p->before_that.kind == EB_TOK_DOT);
    return strchr(stickers_of(p->before.kind), first) != NULL;
}

/* To where a token or comment stands in its text; true when something is in front of it now. */
static bool stand_at(printer *p, eb_place place, bool begins, bool spaced) {
    uint32_t line = place.source ? place.line : p->line;
    if (!(begins || p->directive) ||
        !(move_to(p, line, p->directive) || (begins && line == 1 && !p->tokens)))
        return false;
    uint32_t column = place.source ? place.column : 1;
    if (column == 1 && spaced)
        column = 2;
    for (; column > 1; column--)
        eb_buf_byte(p->out, ' ');
    return true;
}

/* White space in front of a token, and the token. `spaced`: at least one. */
static void put(printer *p, eb_tok tok, bool same_line, bool spaced) {
    eb_place place = eb_place_of(p->pp->ctx, tok.loc);
    bool begins = (tok.flags & EB_TOK_BOL) && !same_line;
    /* Where a macro came to nothing in front of it; or it is no directive. */
    bool away = (tok.flags & EB_TOK_SPACE) || tok.kind == EB_TOK_HASH;
    if (!stand_at(p, place, begins, away) && (spaced || (tok.flags & EB_TOK_SPACE) ||
                                              ((p->tokens || p->directive) && would_join(p, tok))))
        eb_buf_byte(p->out, ' ');
    p->before_that = p->before;
    p->before = tok;
    eb_buf_str(p->out, eb_tok_text(&p->pp->words, tok));
    p->tokens = true;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* Where it ends, the line does that its last line is. */
static void put_comment(printer *p, const eb_pp_mark *mark) {
    eb_place place = eb_place_of(p->pp->ctx, mark->loc);
    eb_str text = {eb_source_text(p->pp->ctx, mark->loc).at, mark->of};
    size_t first = 0;
    while (first < place.text.len && is_blank(place.text.at[first]))
        first++;
    if (!stand_at(p, place, first + 1 == place.column, false) && place.column > 1 &&
        is_blank(place.text.at[place.column - 2]))
        eb_buf_byte(p->out, ' ');
    eb_buf_str(p->out, text);
    for (size_t n = 0; n < text.len; n++)
        p->line += text.at[n] == '\n';
    p->before = (eb_tok){0};
    p->tokens = true;
}

/* A #pragma from token `at` on; gives the number of its last one. */
static uint32_t put_pragma(printer *p, uint32_t at) {
    const eb_toks *toks = &p->pp->out;
    move_to(p, eb_place_of(p->pp->ctx, toks->at[at].loc).line, true);
    eb_buf_str(p->out, EB_STR("#pragma"));
    p->tokens = true;
    for (uint32_t n = ++at; at < toks->len && toks->at[at].kind != EB_TOK_PRAGMA_END; at++)
        put(p, toks->at[at], true, at == n);
    p->directive = true;
    return at;
}

/* ---- marks ---- */

/* The file at the mark is told: it begins, or goes on, or has another name. What comes with the
 * compiler and what the command line says were read above the main file, in which they are told as
 * if it began with them. */
static void put_file(printer *p, const eb_pp_mark *mark) {
    eb_place place = eb_place_of(p->pp->ctx, mark->loc);
    bool built_in = eb_str_is(place.name, "<built-in>");
    bool said = eb_str_is(place.name, "<command line>");
    const char *flag = mark->kind == EB_PP_ENTER ? " 1" : mark->kind == EB_PP_LEAVE ? " 2" : "";
    bool included = mark->kind == EB_PP_ENTER && place.source->from;
    eb_place from = included ? eb_place_of(p->pp->ctx, place.source->from) : place;
    if (mark->kind == EB_PP_ENTER && said)
        return;
    bool asked = included && eb_str_is(from.name, "<command line>"); /* by -include */
    if (included && !asked)
        move_to(p, from.line, false);
    if (p->markers)
        start_line(p);
    bool back = mark->kind == EB_PP_LEAVE && !said;
    if (p->markers && (back || asked) && eb_str_is(p->file, "<command line>"))
        eb_buf_str(p->out, EB_STR("# 1 \"<built-in>\" 2\n"));
    p->asked += asked;
    if (mark->kind == EB_PP_LEAVE && said && p->asked) { /* where clang has the #include */
        place.name = EB_STR("<built-in>");
        place.line = p->asked;
    }
    if (p->markers && built_in)
        eb_buf_str(p->out, EB_STR("# 1 \"<built-in>\" 1\n"));
    if (said && eb_str_is(p->file, "<built-in>"))
        flag = " 1";
    else if (built_in || !p->file.len)
        flag = "";
    p->line = place.line + (mark->loc != place.source->first);
    p->file = place.name;
    p->system = mark->of != 0;
    if (p->markers)
        put_marker(p, p->line, flag);
    else
        start_line(p);
    p->marked = p->out->len;
}

static void put_mark(printer *p, const eb_pp_mark *mark) {
    const eb_pp *pp = p->pp;
    const eb_macro *macro = mark->kind == EB_PP_DEFINE ? pp->macros.at[mark->of - 1] : NULL;
    if (mark->kind <= EB_PP_RENAME) {
        put_file(p, mark);
        return;
    }
    if (mark->kind == EB_PP_COMMENT) {
        put_comment(p, mark);
        return;
    }
    move_to(p, eb_place_of(pp->ctx, mark->loc).line, true);
    if (macro)
        put_macro(pp, macro, p->out);
    else if (mark->kind == EB_PP_IDENT)
        eb_buf_fmt(p->out, "#ident %.*s", (int)pp->words.spellings.at[mark->of].len,
                   pp->words.spellings.at[mark->of].at);
    else
        eb_buf_fmt(p->out, "#undef %.*s", (int)pp->words.names.at[mark->of].text.len,
                   pp->words.names.at[mark->of].text.at);
    p->directive = true;
}

void eb_pp_print(const eb_pp *pp, eb_buf *out) {
    printer p = {.pp = pp, .out = out, .markers = pp->text & EBPF_CC_MARKERS};
    if (pp->text & EBPF_CC_MACROS) {
        put_macros(pp, out);
        return;
    }
    for (uint32_t n = 0, mark = 0;; n++) {
        for (; mark < pp->marks.len && pp->marks.at[mark].at <= n; mark++)
            put_mark(&p, &pp->marks.at[mark]);
        if (n >= pp->out.len)
            break;
        if (pp->out.at[n].kind == EB_TOK_PRAGMA)
            n = put_pragma(&p, n);
        else
            put(&p, pp->out.at[n], false, false);
    }
    start_line(&p);
    if (p.marked == out->len)
        eb_buf_byte(out, '\n'); /* which ends where nothing of it stands here */
}

void eb_pp_print_includes(const eb_pp *pp, eb_buf *out) {
    uint32_t depth = 0;
    for (uint32_t n = 0; n < pp->marks.len; n++) {
        const eb_pp_mark *mark = &pp->marks.at[n];
        eb_place place = eb_place_of(pp->ctx, mark->loc);
        depth -= mark->kind == EB_PP_LEAVE && depth;
        if (mark->kind != EB_PP_ENTER || !place.source->from)
            continue;
        for (uint32_t level = 0; level <= depth; level++)
            eb_buf_byte(out, '.');
        depth++;
        eb_buf_fmt(out, " %.*s\n", (int)place.source->name.len, place.source->name.at);
    }
}
