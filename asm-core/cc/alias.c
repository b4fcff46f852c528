/* alias.c - other names of what a unit defines: attribute alias, and #pragma weak name = other.
 *
 * A declaration with an alias is the definition that this leads to: whoever uses it in the unit
 * uses that. For others the object has a symbol more (eb_lower_unit). */
#include "parse.h"

enum { CHAIN_MOST = 64 }; /* aliases of aliases */

/* What `alias` (1 + a name) leads to, or NULL. */
static eb_decl *definition_of(eb_unit *u, uint32_t alias) {
    eb_decl *to = NULL;
    for (unsigned n = 0; alias && n < CHAIN_MOST; n++) {
        to = eb_lookup(u, alias - 1);
        if (!to || (to->kind != EB_DECL_FUNCTION && to->kind != EB_DECL_VARIABLE))
            return NULL;
        alias = to->attrs.alias;
    }
    bool defined = to && !alias &&
                   (to->kind == EB_DECL_FUNCTION
                        ? to->body != NULL
                        : to->is_global && (to->storage != EB_STORAGE_EXTERN || to->has_init));
    return defined ? to : NULL;
}

/* The declaration's own definition would be a second one. */
static bool is_free(eb_unit *u, const eb_decl *decl) {
    eb_str name = eb_name_text(u, decl->name);
    if (decl->body || decl->has_init)
        eb_diag_add(u->ctx, EB_DIAG_ALIAS_DEFINED, decl->lo, decl->hi, (int)name.len, name.at);
    return !decl->body && !decl->has_init;
}

static eb_decl *find(eb_unit *u, uint32_t name, uint32_t alias, eb_loc lo, eb_loc hi) {
    eb_decl *to = definition_of(u, alias);
    eb_str from = eb_name_text(u, name), other = eb_name_text(u, alias - 1);
    if (to)
        to->is_used = to->is_referenced = true;
    else
        eb_diag_add(u->ctx, EB_DIAG_ALIAS, lo, hi, (int)from.len, from.at, (int)other.len,
                    other.at);
    return to;
}

void eb_find_aliases(eb_unit *u) {
    for (uint32_t n = 0; n < u->globals.len; n++) {
        eb_decl *decl = u->globals.at[n];
        if (decl->attrs.alias && decl->name != UINT32_MAX && is_free(u, decl))
            decl->alias = find(u, decl->name, decl->attrs.alias, decl->lo, decl->hi);
    }
    for (uint32_t n = 0; n < u->weak.len; n++) {
        eb_weak *weak = &u->weak.at[n];
        if (weak->alias && !eb_lookup(u, weak->name))
            weak->of = find(u, weak->name, weak->alias, weak->lo, weak->hi);
    }
}
