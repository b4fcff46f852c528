/* condition.c - .if and its kin. What a false condition leaves out is not read as tokens: only the
 * words that its lines start with are looked at. */
#include "asm.h"

#include <string.h>

static const char *const openers[] = {".if",    ".ifne",   ".ifeq", ".ifge",     ".ifgt", ".ifle",
                                      ".iflt",  ".ifdef",  ".ifb",  ".ifnotdef", ".ifc",  ".ifeqs",
                                      ".ifnes", ".ifndef", ".ifnb", ".ifnc"};

static bool is_opener(eb_str word) {
    for (unsigned i = 0; i < sizeof openers / sizeof *openers; i++)
        if (eb_str_is(word, openers[i]))
            return true;
    return false;
}

/* Leave out text up to the .elseif, .else or .endif of the innermost condition, which is read as
 * the next statement. */
static void skip(eb_asm *as) {
    eb_scanner *s = &as->scanner;
    unsigned depth = 0;
    for (;;) {
        eb_scan_skip_space(s, true);
        size_t line = s->at;
        eb_str word = eb_scan_keyword(s);
        bool end = eb_str_is(word, ".endif");
        bool other = eb_str_is(word, ".else") || eb_str_is(word, ".elseif");
        if (depth == 0 && (end || other)) {
            s->at = line;
            return;
        }
        depth += is_opener(word);
        depth -= end;
        eb_scan_raw(s);
        if (s->at >= s->text.len)
            return; /* eb_asm_read says what is missing */
    }
}

static void open(eb_asm *as, bool yes) {
    const eb_token *first = &as->tokens.at[0];
    *EB_PUSH(&as->ctx->arena, &as->conditions) =
        (eb_condition){.lo = first->lo, .hi = first->hi, .taken = yes};
    if (!yes)
        skip(as);
}

static bool test(int how, int64_t value) {
    switch (how) {
    case EB_IF_NE:
        return value != 0;
    case EB_IF_EQ:
        return value == 0;
    case EB_IF_GE:
        return value >= 0;
    case EB_IF_GT:
        return value > 0;
    case EB_IF_LE:
        return value <= 0;
    default:
        return value < 0;
    }
}

/* A condition that is wrong counts as false, so that its .endif is not wrong as well. */
void eb_run_if(eb_asm *as, int how) {
    int64_t value = 0;
    bool yes = false;
    if (how == EB_IF_DEF || how == EB_IF_NDEF) {
        const eb_token *name = eb_asm_name(as, "a symbol");
        const uint32_t *number = name ? eb_map_find(&as->names, name->text) : NULL;
        const eb_label *label = number ? &as->labels.at[*number] : NULL;
        bool there = label && (label->defined || label->alias);
        yes = name && eb_asm_ended(as) && there == (how == EB_IF_DEF);
    } else {
        yes = eb_asm_constant(as, &value) && eb_asm_ended(as) && test(how, value);
    }
    open(as, yes);
}

static eb_str trim(eb_str text) {
    while (text.len && (*text.at == ' ' || *text.at == '\t'))
        text = (eb_str){text.at + 1, text.len - 1};
    while (text.len && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* .ifb: is there no text? .ifc a, b: are both the same? */
void eb_run_if_text(eb_asm *as, int how) {
    if (how == EB_IF_BLANK || how == EB_IF_NBLANK) {
        open(as, (as->raw.len == 0) == (how == EB_IF_BLANK));
        return;
    }
    const char *comma = as->raw.len ? memchr(as->raw.at, ',', as->raw.len) : NULL;
    if (!comma) {
        const eb_token *first = &as->tokens.at[0];
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, first->lo, first->hi,
                    "two texts with a ',' between");
        open(as, false);
        return;
    }
    eb_str left = trim((eb_str){as->raw.at, (size_t)(comma - as->raw.at)});
    eb_str right = trim((eb_str){comma + 1, as->raw.len - (size_t)(comma + 1 - as->raw.at)});
    open(as, eb_str_eq(left, right) == (how == EB_IF_SAME));
}

/* The innermost condition of the text at hand, or NULL after a diagnostic. */
static eb_condition *innermost(eb_asm *as) {
    const eb_token *first = &as->tokens.at[0];
    if (as->conditions.len > as->open_conditions)
        return &as->conditions.at[as->conditions.len - 1];
    eb_diag_add(as->ctx, EB_DIAG_STRAY, first->lo, first->hi, (int)first->text.len, first->text.at,
                ".if");
    return NULL;
}

static bool other_branch(eb_asm *as, eb_condition *condition) {
    if (condition && condition->last) {
        const eb_token *first = &as->tokens.at[0];
        eb_diag_add(as->ctx, EB_DIAG_EXPECTED, first->lo, first->hi, ".endif behind .else");
        return false;
    }
    return condition != NULL;
}

void eb_run_elseif(eb_asm *as, int unused) {
    eb_condition *condition = innermost(as);
    int64_t value;
    (void)unused;
    if (!other_branch(as, condition))
        return;
    if (!condition->taken && eb_asm_constant(as, &value) && eb_asm_ended(as) && value)
        condition->taken = true;
    else
        skip(as);
}

void eb_run_else(eb_asm *as, int unused) {
    eb_condition *condition = innermost(as);
    (void)unused;
    if (!other_branch(as, condition) || !eb_asm_ended(as))
        return;
    condition->last = true;
    if (condition->taken)
        skip(as);
    condition->taken = true;
}

void eb_run_endif(eb_asm *as, int unused) {
    (void)unused;
    if (innermost(as) && eb_asm_ended(as))
        as->conditions.len--;
}

/* .error "text" and .warning "text", and .err without one. */
void eb_run_error(eb_asm *as, int code) {
    const eb_token *first = &as->tokens.at[0], *token = eb_asm_peek(as);
    eb_str text = token->kind == EB_TOKEN_STRING ? token->text : EB_STR("the text says so");
    eb_diag_add(as->ctx, (eb_diag_code)code, first->lo, first->hi, (int)text.len, text.at);
}
