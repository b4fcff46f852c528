/* decl.c - declarations at file and block scope, and function definitions (C11 6.7, 6.9). */
#include "kernel.h"

void eb_static_assert(eb_unit *u) {
    eb_tok tok = eb_take(u);
    int64_t value = 1;
    eb_str text = {0};
    eb_type *element;
    if (!eb_expect(u, EB_TOK_LPAREN, "'(' behind _Static_assert"))
        return;
    eb_expr *expr = eb_conditional(u);
    bool constant = eb_constant_integer(u, expr, &value);
    if (eb_skip(u, EB_TOK_COMMA) && eb_is(u, EB_TOK_STRING))
        text = eb_strings(u, &element);
    if (constant && !value)
        eb_diag_add(u->ctx, EB_DIAG_STATIC_ASSERT, tok.loc, eb_tok_end(u, tok), (int)text.len,
                    text.at);
    if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
        eb_resync(u);
    else
        eb_expect(u, EB_TOK_SEMICOLON, "';'");
}

bool eb_require_complete(eb_unit *u, eb_type *type, eb_loc lo, eb_loc hi) {
    if (eb_complete(u, type) || eb_type_is(type, EB_TYPE_ERROR))
        return true;
    eb_diag_add(u->ctx, EB_DIAG_INCOMPLETE, lo, hi, eb_type_string(u, type));
    return false;
}

/* ---- one declared name ---- */

static void note_old(eb_unit *u, eb_diag *diag, const eb_decl *old) {
    eb_diag_note(u->ctx, diag, old->lo, old->hi, "it was declared here");
}

static void redefined(eb_unit *u, const eb_decl *decl, const eb_decl *old) {
    eb_str text = eb_name_text(u, decl->name);
    eb_diag *diag =
        eb_diag_add(u->ctx, EB_DIAG_REDEFINED, decl->lo, decl->hi, (int)text.len, text.at);
    note_old(u, diag, old);
}

static void conflicting(eb_unit *u, const eb_decl *decl, const eb_decl *old) {
    eb_str text = eb_name_text(u, decl->name);
    eb_diag *diag =
        eb_diag_add(u->ctx, EB_DIAG_CONFLICT, decl->lo, decl->hi, (int)text.len, text.at,
                    eb_type_string(u, decl->type), eb_type_string(u, old->type));
    note_old(u, diag, old);
}

/* The attributes of all declarations of one thing. */
void eb_attrs_merge(eb_unit *u, eb_attrs *to, const eb_attrs *from) {
    to->used |= from->used;
    to->weak |= from->weak;
    to->hidden |= from->hidden;
    to->always_inline |= from->always_inline;
    to->gnu_inline |= from->gnu_inline;
    to->noinline |= from->noinline;
    to->naked |= from->naked;
    to->unused |= from->unused;
    to->noreturn |= from->noreturn;
    to->packed |= from->packed;
    to->preserve |= from->preserve;
    if (from->cleanup)
        to->cleanup = from->cleanup;
    if (from->mode)
        to->mode = from->mode;
    to->must_use |= from->must_use;
    to->deprecated |= from->deprecated;
    if (from->deprecation.len)
        to->deprecation = from->deprecation;
    if (from->align > to->align)
        to->align = from->align;
    if (from->section.len)
        to->section = from->section;
    if (from->error.len)
        to->error = from->error;
    for (uint32_t n = 0; n < from->decl_tags.len; n++)
        *EB_PUSH(&u->ctx->arena, &to->decl_tags) = from->decl_tags.at[n];
}

/* Of two declarations of an array or function, the type that says more. */
static eb_type *composite(eb_type *a, eb_type *b) {
    eb_type *x = eb_type_plain(a);
    if (x->kind == EB_TYPE_ARRAY && x->count == EB_ARRAY_OPEN)
        return b;
    if (x->kind == EB_TYPE_FUNCTION && x->no_prototype)
        return b;
    return a;
}

static eb_decl *new_decl(eb_unit *u, eb_decl_kind kind, const eb_declarator *d,
                         const eb_spec *spec) {
    eb_decl *decl = eb_alloc(&u->ctx->arena, sizeof *decl);
    decl->kind = (uint8_t)kind;
    decl->storage = spec->storage;
    decl->name = d->name - 1;
    decl->at = u->at ? u->at - 1 : 0;
    decl->lo = d->lo;
    decl->hi = d->hi;
    decl->type = d->type;
    decl->attrs = eb_attrs_copy(&spec->attrs);
    eb_attrs_merge(u, &decl->attrs, &d->attrs);
    decl->is_inline = spec->is_inline;
    decl->is_global = eb_scope_is_global(u) || spec->storage == EB_STORAGE_STATIC ||
                      spec->storage == EB_STORAGE_EXTERN || kind == EB_DECL_FUNCTION;
    return decl;
}

static void declare_typedef(eb_unit *u, eb_decl *decl) {
    eb_decl *old = eb_lookup_here(u, decl->name);
    eb_type *type = eb_type_typedef(&u->types, decl->name, decl->type);
    type->align = decl->attrs.align;
    type->of.tags = &decl->attrs.decl_tags;
    if (old && old->kind != EB_DECL_TYPEDEF)
        redefined(u, decl, old);
    else if (old && !eb_type_compatible(old->type, decl->type, false))
        conflicting(u, decl, old);
    else if (old)
        return;
    decl->type = type;
    eb_bind(u, decl->name, decl);
}

/* A variable or function with linkage that may have been declared before: the one declaration that
 * all uses refer to. */
static eb_decl *declare_linked(eb_unit *u, eb_decl *decl) {
    eb_decl *old = eb_bound(u, decl->name);
    if (!old || !old->is_global || (old->kind != EB_DECL_VARIABLE && old->kind != EB_DECL_FUNCTION))
        old = eb_lookup_here(u, decl->name);
    if (!old && !eb_bound(u, decl->name))
        old = eb_kernel_function_like(u, decl);
    if (!old) {
        eb_bind(u, decl->name, decl);
        *EB_PUSH(&u->ctx->arena, &u->globals) = decl;
        return decl;
    }
    if (old->kind != decl->kind) {
        redefined(u, decl, old);
        return decl;
    }
    if (!eb_type_compatible(old->type, decl->type, false)) {
        conflicting(u, decl, old);
        return decl;
    }
    old->type = composite(old->type, decl->type);
    if (decl->storage == EB_STORAGE_STATIC)
        old->storage = EB_STORAGE_STATIC;
    else if (decl->storage != EB_STORAGE_EXTERN && old->storage == EB_STORAGE_EXTERN &&
             decl->kind == EB_DECL_VARIABLE)
        old->storage = EB_STORAGE_NONE; /* a definition, also without initialiser */
    old->is_inline |= decl->is_inline;
    eb_attrs_merge(u, &old->attrs, &decl->attrs);
    return old;
}

static eb_decl *declare_local(eb_unit *u, eb_decl *decl) {
    decl->is_local = true;
    eb_decl *old = eb_lookup_here(u, decl->name);
    if (old)
        redefined(u, decl, old);
    eb_bind(u, decl->name, decl);
    if (u->function)
        *EB_PUSH(&u->ctx->arena, &u->function->locals) = decl;
    return decl;
}

static void asm_name(eb_unit *u, eb_decl *decl) {
    eb_type *element;
    if (!eb_skip_word(u, EB_KW_ASM))
        return;
    eb_expect(u, EB_TOK_LPAREN, "'(' behind asm");
    if (eb_is(u, EB_TOK_STRING))
        decl->assembly = eb_strings(u, &element);
    if (!eb_expect(u, EB_TOK_RPAREN, "')'"))
        eb_skip_to_close(u);
}

static void auto_type(eb_unit *u, eb_decl *decl) {
    eb_loc lo = eb_peek(u).loc;
    eb_expr *expr = eb_rvalue(u, eb_assignment(u));
    decl->has_init = true;
    decl->type = eb_type_qualified(&u->types, expr->type, eb_type_quals(decl->type));
    if (eb_type_is(expr->type, EB_TYPE_VOID))
        eb_diag_add(u->ctx, EB_DIAG_INCOMPLETE, lo, expr->hi, "void");
    *EB_PUSH(&u->ctx->arena, &decl->inits) = (eb_init){.type = decl->type, .expr = expr};
}

static void check_variable(eb_unit *u, eb_decl *decl) {
    bool tentative = decl->is_global && eb_type_is(decl->type, EB_TYPE_ARRAY);
    if (decl->storage == EB_STORAGE_EXTERN && !decl->has_init)
        return;
    if (tentative && eb_type_plain(decl->type)->count == EB_ARRAY_OPEN)
        return; /* int x[]; at file scope */
    if (!eb_require_complete(u, decl->type, decl->lo, decl->hi))
        decl->type = eb_type_basic(&u->types, EB_TYPE_ERROR);
}

static eb_decl *variable(eb_unit *u, const eb_declarator *d, const eb_spec *spec) {
    bool linked = eb_scope_is_global(u) || spec->storage == EB_STORAGE_EXTERN;
    eb_decl *decl = new_decl(u, EB_DECL_VARIABLE, d, spec);
    asm_name(u, decl);
    eb_attributes(u, &decl->attrs);
    decl->type = eb_apply_type_attrs(u, decl->type, &decl->attrs, decl->lo);
    if (!spec->is_auto_type)
        decl = linked ? declare_linked(u, decl) : declare_local(u, decl);
    if (eb_skip(u, EB_TOK_ASSIGN)) {
        if (decl->has_init && linked)
            redefined(u, decl, decl);
        decl->lo = d->lo;
        decl->hi = d->hi;
        if (spec->is_auto_type) {
            auto_type(u, decl); /* the name is not visible in its own initialiser */
            decl = linked ? declare_linked(u, decl) : declare_local(u, decl);
        } else {
            decl->has_init = true;
            decl->inits.len = 0;
            eb_initialiser(u, decl);
        }
        if (decl->storage == EB_STORAGE_EXTERN)
            decl->storage = EB_STORAGE_NONE;
    } else if (spec->is_auto_type) {
        eb_expected(u, "'=' behind the name: __auto_type takes its type from the value");
    }
    check_variable(u, decl);
    if (decl->is_global && decl->has_init && !eb_source_is_silent(u->ctx, decl->lo))
        eb_check_static(u, decl);
    return decl;
}

static eb_decl *function(eb_unit *u, const eb_declarator *d, const eb_spec *spec) {
    eb_decl *decl = new_decl(u, EB_DECL_FUNCTION, d, spec);
    asm_name(u, decl);
    eb_attributes(u, &decl->attrs);
    return declare_linked(u, decl);
}

static void define_function(eb_unit *u, eb_decl *decl, const eb_declarator *d,
                            const eb_spec *spec) {
    if (decl->is_defined)
        redefined(u, decl, decl);
    decl->is_defined = true;
    decl->lo = d->lo;
    decl->hi = d->hi;
    (void)spec;
    eb_decl **params = eb_alloc_array(&u->ctx->arena, (size_t)d->param_count, sizeof *params);
    for (uint64_t n = 0; n < d->param_count; n++) {
        eb_decl *param = eb_alloc(&u->ctx->arena, sizeof *param);
        param->kind = EB_DECL_PARAM;
        param->at = u->at;
        param->attrs.unused = d->params[n].unused;
        param->name = d->params[n].name - 1; /* UINT32_MAX when it has none */
        param->lo = d->params[n].loc;
        param->hi = param->lo + (eb_loc)(d->params[n].name ? eb_name_text(u, param->name).len : 1);
        param->type = d->params[n].type;
        param->attrs.decl_tags = d->params[n].tags;
        params[n] = param;
    }
    decl->params = params;
    decl->param_count = (uint32_t)d->param_count;
    eb_function_body(u, decl);
}

/* ---- declarations ---- */

static eb_decl *declared(eb_unit *u, eb_declarator *d, const eb_spec *spec) {
    if (spec->storage == EB_STORAGE_TYPEDEF) {
        eb_decl *decl = new_decl(u, EB_DECL_TYPEDEF, d, spec);
        eb_attributes(u, &decl->attrs);
        decl->type = eb_apply_type_attrs(u, decl->type, &decl->attrs, decl->lo);
        declare_typedef(u, decl);
        if (u->function && !eb_scope_is_global(u))
            *EB_PUSH(&u->ctx->arena, &u->function->typedefs) = decl;
        return decl;
    }
    if (eb_type_is(d->type, EB_TYPE_FUNCTION))
        return function(u, d, spec);
    return variable(u, d, spec);
}

/* A typedef of an anonymous record names it for diagnostics only; nothing to do. */
eb_decl *eb_declaration(eb_unit *u) {
    if (eb_is_word(u, EB_KW_STATIC_ASSERT)) {
        eb_static_assert(u);
        return NULL;
    }
    eb_spec spec = eb_specifiers(u);
    eb_decl *first = NULL, **last = &first;
    if (eb_is(u, EB_TOK_SEMICOLON))
        eb_check_empty_declaration(u, &spec);
    if (eb_skip(u, EB_TOK_SEMICOLON))
        return NULL;
    for (;;) {
        eb_declarator d = eb_declarator_of(u, spec.type);
        if (!d.name) {
            eb_expected(u, "a name to declare");
            eb_resync(u);
            return first;
        }
        eb_decl *decl = declared(u, &d, &spec);
        if (decl->kind == EB_DECL_FUNCTION && eb_is(u, EB_TOK_LBRACE)) {
            if (!eb_scope_is_global(u))
                eb_diag_add(u->ctx, EB_DIAG_NESTED_FUNCTION, d.lo, d.hi);
            define_function(u, decl, &d, &spec);
            return decl;
        }
        if (!eb_scope_is_global(u) && decl->kind == EB_DECL_VARIABLE) {
            *last = decl;
            last = &decl->next;
        }
        if (!eb_skip(u, EB_TOK_COMMA))
            break;
        eb_attributes(u, &spec.attrs);
    }
    if (!eb_expect(u, EB_TOK_SEMICOLON, "';' behind a declaration"))
        eb_resync(u);
    return first;
}
