/* suggest.c - what may have been meant: the nearest name that means something where one stands that
 * means nothing, as a hint of the diagnostic, as an edit that mends it, and with a note of where it
 * is declared. Names come from the scopes, the macros, the keywords and builtins, and where the
 * unit includes a kernel's header, from its BTF. */
#include "kernel.h"

#include "kinds.h"

/* Each look goes through all names that there are: a text that is full of errors gets few of them.
 */
enum { LOOKS_MOST = 50, KERNEL_LOOKS_MOST = 20 };

static bool is_callable(const eb_decl *decl) {
    const eb_type *type = eb_type_plain(decl->type);
    if (type->kind == EB_TYPE_POINTER)
        type = eb_type_plain(type->base);
    return type->kind == EB_TYPE_FUNCTION;
}

static bool fits(const eb_decl *decl, eb_meaning meaning) {
    bool is_type = decl->kind == EB_DECL_TYPEDEF;
    return meaning == EB_MEANT_TYPE   ? is_type
           : meaning == EB_MEANT_CALL ? !is_type && is_callable(decl)
                                      : !is_type;
}

/* The names of the scopes that are open: the declaration of the best, if it is among them. */
static const eb_decl *try_scopes(const eb_unit *u, eb_meaning meaning, eb_near *near) {
    const eb_decl *best = NULL;
    for (uint32_t n = EB_KW_COUNT; n < u->bindings.len; n++) {
        const eb_decl *decl = u->bindings.at[n].decl;
        if (decl && fits(decl, meaning) && eb_near_try(near, eb_name_text(u, n), EB_RANK_OWN))
            best = decl;
    }
    return best;
}

/* Of records of that kind that have members. */
static void try_tags(const eb_unit *u, eb_type_kind kind, eb_near *near) {
    for (uint32_t n = EB_KW_COUNT; n < u->bindings.len; n++) {
        const eb_type *tag = u->bindings.at[n].tag;
        if (tag && tag->kind == kind && eb_record_is_defined(tag->of.record))
            eb_near_try(near, eb_name_text(u, n), EB_RANK_OWN);
    }
}

/* Macros, but not those of which only the compiler and headers know. */
static void try_macros(const eb_unit *u, eb_meaning meaning, eb_near *near) {
    const eb_words *words = u->words;
    bool inner = near->name.at[0] == '_';
    for (uint32_t n = EB_KW_COUNT; n < words->names.len; n++) {
        uint32_t number = words->names.at[n].macro;
        if (!number || (words->names.at[n].text.at[0] == '_') != inner)
            continue;
        const eb_macro *macro = u->pp->macros.at[number - 1];
        if (macro->function == (meaning == EB_MEANT_CALL))
            eb_near_try(near, words->names.at[n].text, EB_RANK_OTHER);
    }
}

static bool ends_statement(eb_tok tok) {
    return tok.kind == EB_TOK_SEMICOLON || tok.kind == EB_TOK_LBRACE || tok.kind == EB_TOK_RBRACE ||
           tok.kind == EB_TOK_RPAREN || tok.kind == EB_TOK_COLON ||
           (tok.kind == EB_TOK_NAME && tok.value == EB_KW_ELSE);
}

/* Any keyword where a statement or declaration begins, those of types where a type may stand. The
 * name was taken unless it stands where a type belongs. */
static void try_keywords(eb_unit *u, eb_meaning meaning, eb_near *near) {
    enum { SHORTEST = 4 }; /* a name of three letters is near to too many of them */
    uint32_t at = meaning == EB_MEANT_TYPE ? u->at : u->at - 1;
    bool begins = !at || ends_statement(u->toks[at - 1]);
    for (uint32_t n = 0; n < EB_KW_COUNT && near->name.len >= SHORTEST; n++) {
        eb_tok word = {.kind = EB_TOK_NAME, .value = n};
        if (begins || (meaning == EB_MEANT_TYPE && eb_starts_type(u, word)))
            eb_near_try(near, eb_name_text(u, n), EB_RANK_OTHER);
    }
}

/* Helper functions, where the header that declares them is not included. */
static void try_helpers(eb_unit *u, eb_near *near) {
    const char *name;
    if (!eb_str_starts(near->name, "bpf_"))
        return;
    for (uint32_t id = 1; (name = eb_helper_name(id)) != NULL; id++)
        eb_near_try(near, eb_str_fmt(&u->ctx->arena, "bpf_%s", name), EB_RANK_KERNEL);
}

static void note_declared(eb_unit *u, eb_diag *diag, eb_str name, eb_loc lo, eb_loc hi) {
    if (lo)
        eb_diag_note(u->ctx, diag, lo, hi, "'%.*s' is declared here", (int)name.len, name.at);
}

static bool may_look(eb_unit *u) {
    return u->ctx->errors <= u->ctx->error_most && u->looks++ < LOOKS_MOST;
}

void eb_suggest(eb_unit *u, eb_diag *diag, eb_str name, eb_meaning meaning) {
    eb_near near = eb_near_to(name);
    if (!diag || !near.most || !may_look(u))
        return;
    const eb_decl *decl = try_scopes(u, meaning, &near);
    try_macros(u, meaning, &near);
    try_keywords(u, meaning, &near);
    if (meaning == EB_MEANT_CALL) {
        eb_builtin_near(&near);
        try_helpers(u, &near);
    }
    if (u->looks <= KERNEL_LOOKS_MOST)
        eb_kernel_near(u, meaning, &near);
    if (!eb_near_found(&near))
        return;
    eb_diag_meant(u->ctx, diag, near.best);
    if (near.rank == EB_RANK_OWN && decl)
        note_declared(u, diag, near.best, decl->lo, decl->hi);
}

/* The members of a record, those of its anonymous members among them. */
static void try_members(const eb_unit *u, const eb_record *record, eb_near *near,
                        const eb_member **at) {
    for (uint32_t n = 0; n < record->members.len; n++) {
        const eb_member *member = &record->members.at[n];
        if (!member->name && !member->is_field && eb_type_is_record(member->type))
            try_members(u, eb_type_plain(member->type)->of.record, near, at);
        else if (member->name && eb_near_try(near, eb_name_text(u, member->name - 1), EB_RANK_OWN))
            *at = member;
    }
}

void eb_suggest_member(eb_unit *u, eb_diag *diag, eb_str name, eb_type *type) {
    const eb_member *member = NULL;
    eb_near near = eb_near_to(name);
    if (!near.most || !eb_type_is_record(type) || !may_look(u))
        return;
    try_members(u, eb_type_plain(type)->of.record, &near, &member);
    if (!eb_near_found(&near))
        return;
    eb_diag_meant(u->ctx, diag, near.best);
    if (!u->kernel || member->loc != u->kernel->lo) /* BTF's are in no text */
        note_declared(u, diag, near.best, member->loc, member->loc + (eb_loc)near.best.len);
}

/* The edit is where the tag was met first, which declared it. */
void eb_suggest_tag(eb_unit *u, eb_diag *diag, eb_type *type) {
    type = eb_type_plain(type);
    uint32_t name = eb_type_is_record(type) ? type->of.record->name : 0;
    if (!name || eb_record_is_defined(type->of.record) || !may_look(u))
        return;
    eb_str text = eb_name_text(u, name - 1);
    eb_loc lo = type->of.record->loc;
    eb_near near = eb_near_to(text);
    try_tags(u, type->kind, &near);
    if (u->looks <= KERNEL_LOOKS_MOST)
        eb_kernel_near(u, EB_MEANT_TAG, &near);
    if (eb_near_found(&near)) {
        eb_diag_hint(u->ctx, diag, "did you mean '%s %.*s'?",
                     type->kind == EB_TYPE_UNION ? "union" : "struct", (int)near.best.len,
                     near.best.at);
        eb_diag_fixit(u->ctx, diag, lo, lo + (eb_loc)text.len, near.best);
    }
    eb_diag_note(u->ctx, diag, lo, lo + (eb_loc)text.len, "it is declared here, without members");
}

void eb_suggest_label(eb_unit *u, eb_diag *diag, eb_str name) {
    eb_near near = eb_near_to(name);
    for (uint32_t n = 0; n < u->function->labels.len; n++)
        if (u->function->labels.at[n]->defined)
            eb_near_try(&near, eb_name_text(u, u->function->labels.at[n]->name), EB_RANK_OWN);
    if (eb_near_found(&near))
        eb_diag_meant(u->ctx, diag, near.best);
}
