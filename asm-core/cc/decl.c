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
    eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_INCOMPLETE, lo, hi, eb_type_string(u, type));
    eb_suggest_tag(u, diag, type);
    return false;
}

bool eb_require_object(eb_unit *u, eb_type *type, eb_loc lo, eb_loc hi) {
    if (!eb_require_complete(u, type, lo, hi))
        return false;
    if (eb_type_size(type) <= EB_OBJECT_MOST)
        return true;
    eb_diag_add(u->ctx, EB_DIAG_TYPE_SIZE, lo, hi, eb_type_string(u, type));
    return false;
}

/* ---- one declared name ---- */

static void note_old(eb_unit *u, eb_diag *diag, const eb_decl *old) {
    eb_diag_note(u->ctx, diag, old->lo, old->hi, "it was declared here");
}

static void redefined(eb_unit *u, const eb_decl *decl, const eb_decl *old) {
    if (decl != old &&
        (eb_type_is(decl->type, EB_TYPE_ERROR) || eb_type_is(old->type, EB_TYPE_ERROR)))
        return; /* something was wrong with it: maybe it is no declaration at all */
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
    if (from->alias)
        to->alias = from->alias;
    if (from->cleanup)
        to->cleanup = from->cleanup;
    if (from->mode)
        to->mode = from->mode;
    to->must_use |= from->must_use;
    to->deprecated |= from->deprecated;
    if (from->deprecation.len)
        to->deprecation = from->deprecation;
    to->has_alignas |= from->has_alignas;
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
    decl->attrs = eb_attrs_copy(u, &spec->attrs);
    eb_attrs_merge(u, &decl->attrs, &d->attrs);
    decl->is_inline = spec->is_inline;
    decl->is_global = eb_scope_is_global(u) || spec->storage == EB_STORAGE_STATIC ||
                      spec->storage == EB_STORAGE_EXTERN || kind == EB_DECL_FUNCTION;
    for (uint32_t n = 0; n < u->weak.len && decl->is_global; n++)
        if (u->weak.at[n].name == decl->name) {
            decl->attrs.weak = true;
            decl->attrs.alias = u->weak.at[n].alias;
        }
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

static bool is_linked(const eb_decl *decl) {
    return decl->is_global && !decl->is_local &&
           (decl->kind == EB_DECL_VARIABLE || decl->kind == EB_DECL_FUNCTION);
}

/* A variable or function with linkage that may have been declared before: the one declaration that
 * all uses refer to. */
static eb_decl *declare_linked(eb_unit *u, eb_decl *decl) {
    eb_decl *old = eb_bound(u, decl->name);
    if (!old || !is_linked(old)) {
        eb_decl *hidden = eb_file_decl(u, decl->name);
        old = eb_lookup_here(u, decl->name);
        if (!old && hidden && is_linked(hidden)) { /* behind a local namesake */
            old = hidden;
            eb_bind(u, decl->name, old);
        }
    }
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
    if (decl->storage == EB_STORAGE_STATIC && old->storage != EB_STORAGE_STATIC) {
        eb_str text = eb_name_text(u, decl->name);
        eb_diag *diag =
            eb_diag_add(u->ctx, EB_DIAG_STATIC_AFTER, decl->lo, decl->hi, (int)text.len, text.at);
        note_old(u, diag, old);
    }
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
    else
        eb_check_shadow(u, decl);
    eb_bind(u, decl->name, decl);
    if (u->function)
        *EB_PUSH(&u->ctx->arena, &u->function->locals) = decl;
    return decl;
}

static void asm_name(eb_unit *u, eb_decl *decl) {
    if (!eb_skip_word(u, EB_KW_ASM))
        return;
    eb_expect(u, EB_TOK_LPAREN, "'(' behind asm");
    eb_loc lo = eb_peek(u).loc;
    if (eb_is(u, EB_TOK_STRING))
        decl->assembly = eb_name_string(u);
    if (eb_in_register(decl) && eb_register_number(decl->assembly) < 0)
        eb_diag_add(u->ctx, EB_DIAG_ASM_CLOBBER, lo, eb_behind(u), (int)decl->assembly.len,
                    decl->assembly.at);
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
    if (!eb_require_object(u, decl->type, decl->lo, decl->hi))
        decl->type = eb_type_basic(&u->types, EB_TYPE_ERROR);
}

/* What stands in front of a declaration and does not go with what is declared. */
static void check_specifiers(eb_unit *u, const eb_declarator *d, const eb_spec *spec,
                             bool function) {
    bool is_typedef = spec->storage == EB_STORAGE_TYPEDEF;
    const char *what = function ? "a function" : is_typedef ? "a typedef" : "a variable";
    if (spec->is_thread_local && !function && !is_typedef)
        eb_diag_add(u->ctx, EB_DIAG_THREAD_LOCAL, spec->lo, spec->lo + 1);
    if ((spec->is_inline || spec->is_noreturn) && !function)
        eb_diag_add(u->ctx, EB_DIAG_SPECIFIER_PLACE, spec->lo, spec->lo + 1,
                    spec->is_inline ? "inline" : "_Noreturn", what);
    if (spec->attrs.has_alignas && (function || is_typedef))
        eb_diag_add(u->ctx, EB_DIAG_ALIGNAS_PLACE, spec->attrs.alignas_lo,
                    spec->attrs.alignas_lo + 1, what);
    if (spec->storage == EB_STORAGE_AUTO && !spec->is_auto_type && eb_scope_is_global(u))
        eb_diag_add(u->ctx, EB_DIAG_SPECIFIER_PLACE, d->lo, d->hi, "auto", "file scope");
}

static void check_attributes(eb_unit *u, const eb_decl *decl) {
    if (decl->attrs.weak && decl->storage == EB_STORAGE_STATIC)
        eb_diag_add(u->ctx, EB_DIAG_WEAK_STATIC, decl->lo, decl->hi);
    if (decl->attrs.has_alignas && eb_type_is_complete(decl->type) && decl->attrs.align &&
        decl->attrs.align < eb_type_align(decl->type))
        eb_diag_add(u->ctx, EB_DIAG_ALIGNAS_LESS, decl->lo, decl->hi, decl->attrs.align,
                    eb_type_string(u, decl->type));
    if (!decl->attrs.cleanup || decl->is_global)
        return;
    eb_str name = eb_name_text(u, decl->attrs.cleanup - 1);
    eb_decl *call = eb_lookup(u, decl->attrs.cleanup - 1);
    if (!call || call->kind != EB_DECL_FUNCTION) {
        eb_diag_add(u->ctx, EB_DIAG_UNDECLARED, decl->lo, decl->hi, (int)name.len, name.at);
        return;
    }
    const eb_type *type = eb_type_plain(call->type);
    eb_type *to = type->count == 1 ? eb_type_plain(type->of.params[0].type) : NULL;
    to = to && to->kind == EB_TYPE_POINTER ? to->base : NULL;
    if (!to ||
        (!eb_type_is(to, EB_TYPE_VOID) && !eb_type_is(to, EB_TYPE_ERROR) &&
         !eb_type_is(decl->type, EB_TYPE_ERROR) && !eb_type_compatible(to, decl->type, true)))
        eb_diag_add(u->ctx, EB_DIAG_CLEANUP, decl->lo, decl->hi, (int)name.len, name.at,
                    eb_type_string(u, decl->type));
}

static void check_constexpr(eb_unit *u, const eb_decl *decl) {
    for (uint32_t n = 0; n < decl->inits.len; n++) {
        eb_expr *e = decl->inits.at[n].expr;
        if (!eb_expr_is_error(e) && !eb_constant_of(e).kind && e->kind != EB_EXPR_STRING)
            eb_diag_add(u->ctx, EB_DIAG_NOT_CONSTANT, e->lo, e->hi);
    }
}

/* Of a record that is not complete, nothing of the value makes sense. */
static bool is_known_enough(eb_unit *u, const eb_decl *decl) {
    const eb_type *type = eb_type_plain(decl->type);
    while (type->kind == EB_TYPE_ARRAY)
        type = eb_type_plain(type->base);
    return (type->kind != EB_TYPE_STRUCT && type->kind != EB_TYPE_UNION) ||
           eb_require_complete(u, decl->type, decl->lo, decl->hi);
}

static eb_decl *variable(eb_unit *u, const eb_declarator *d, const eb_spec *spec) {
    bool linked = eb_scope_is_global(u) || spec->storage == EB_STORAGE_EXTERN;
    eb_decl *decl = new_decl(u, EB_DECL_VARIABLE, d, spec);
    asm_name(u, decl);
    eb_attributes(u, &decl->attrs);
    decl->type = eb_apply_type_attrs(u, decl->type, &decl->attrs, decl->lo);
    check_specifiers(u, d, spec, false);
    if (!spec->is_auto_type)
        decl = linked ? declare_linked(u, decl) : declare_local(u, decl);
    if (eb_skip(u, EB_TOK_ASSIGN)) {
        if (decl->has_init && linked)
            redefined(u, decl, decl);
        if (spec->storage == EB_STORAGE_EXTERN && !eb_scope_is_global(u))
            eb_diag_add(u->ctx, EB_DIAG_EXTERN_VALUE, d->lo, d->hi);
        decl->lo = d->lo;
        decl->hi = d->hi;
        if (spec->is_auto_type) {
            auto_type(u, decl); /* the name is not visible in its own initialiser */
            decl = linked ? declare_linked(u, decl) : declare_local(u, decl);
        } else {
            if (!is_known_enough(u, decl))
                decl->type = eb_type_basic(&u->types, EB_TYPE_ERROR);
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
    check_attributes(u, decl);
    if (spec->is_constexpr && decl->has_init)
        check_constexpr(u, decl);
    if (decl->is_global && decl->has_init && !eb_source_is_silent(u->ctx, decl->lo))
        eb_check_static(u, decl);
    return decl;
}

static eb_decl *function(eb_unit *u, const eb_declarator *d, const eb_spec *spec) {
    eb_decl *decl = new_decl(u, EB_DECL_FUNCTION, d, spec);
    asm_name(u, decl);
    eb_attributes(u, &decl->attrs);
    check_specifiers(u, d, spec, true);
    if (decl->attrs.weak && decl->storage == EB_STORAGE_STATIC)
        eb_diag_add(u->ctx, EB_DIAG_WEAK_STATIC, decl->lo, decl->hi);
    decl = declare_linked(u, decl);
    if (eb_skip(u, EB_TOK_ASSIGN)) {
        eb_diag_add(u->ctx, EB_DIAG_FUNCTION_VALUE, d->lo, d->hi);
        eb_assignment(u);
    }
    return decl;
}

static eb_param *param_called(const eb_declarator *d, eb_param *params, uint32_t name) {
    for (uint64_t n = 0; n < d->param_count; n++)
        if (params[n].name == name)
            return &params[n];
    return NULL;
}

/* C before 1999: what is between the names of parameters and the body says their types. */
static void old_parameters(eb_unit *u, eb_declarator *d) {
    eb_param *params = eb_alloc_array(&u->ctx->arena, (size_t)d->param_count, sizeof *params);
    for (uint64_t n = 0; n < d->param_count; n++)
        params[n] = d->params[n];
    d->params = params;
    while (!eb_is(u, EB_TOK_LBRACE) && eb_starts_declaration(u)) {
        eb_spec spec = eb_specifiers(u);
        do {
            eb_declarator p = eb_declarator_of(u, spec.type);
            eb_param *param = p.name ? param_called(d, params, p.name) : NULL;
            if (param) {
                param->type = eb_adjusted(u, p.type);
            } else if (p.name) {
                eb_str text = eb_name_text(u, p.name - 1);
                eb_diag_add(u->ctx, EB_DIAG_NO_PARAM, p.lo, p.hi, (int)text.len, text.at);
            }
        } while (eb_skip(u, EB_TOK_COMMA));
        if (!eb_expect(u, EB_TOK_SEMICOLON, "';' behind a declaration"))
            eb_resync(u);
    }
    for (uint64_t n = 0; n < d->param_count; n++) {
        if (params[n].type)
            continue;
        eb_str text = eb_name_text(u, params[n].name - 1);
        eb_warn(u, EB_DIAG_IMPLICIT_INT, params[n].loc, params[n].loc + (eb_loc)text.len,
                (int)text.len, text.at);
        params[n].type = eb_type_basic(&u->types, EB_TYPE_INT);
    }
}

static void define_function(eb_unit *u, eb_decl *decl, const eb_declarator *d) {
    if (decl->is_defined) {
        eb_decl again = *decl;
        again.lo = d->lo;
        again.hi = d->hi;
        redefined(u, &again, decl);
    }
    if (!d->is_function)
        eb_diag_add(u->ctx, EB_DIAG_TYPEDEF_BODY, d->lo, d->hi);
    eb_check_prototype(u, decl, d->lo);
    decl->is_defined = true;
    decl->lo = d->lo;
    decl->hi = d->hi;
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
        check_specifiers(u, d, spec, false);
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

/* asm("...") at file scope. */
static void file_assembly(eb_unit *u) {
    const eb_stmt *s = eb_assembly(u);
    const eb_asm *a = s->assembly;
    if (a->outputs.len || a->inputs.len || a->clobbers.len || a->labels.len)
        eb_diag_add(u->ctx, EB_DIAG_FILE_ASM, s->lo, s->hi);
    else
        *EB_PUSH(&u->ctx->arena, &u->texts) = s;
}

/* NAME("text") in or in front of a declaration, where no macro is so called: SEC misspelt, or
 * without its header. Only that is told, and what it stands at is read without it. */
static void unknown_macros(eb_unit *u) {
    for (;;) {
        eb_tok tok = eb_peek(u), first = eb_ahead(u, 2);
        bool called = eb_is_name(u) && eb_ahead(u, 1).kind == EB_TOK_LPAREN &&
                      (first.kind == EB_TOK_STRING || first.kind == EB_TOK_NUMBER);
        if (!called || eb_lookup(u, tok.value))
            return;
        eb_str text = eb_name_text(u, tok.value);
        eb_take(u);
        eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_UNDECLARED, tok.loc, eb_tok_end(u, tok),
                                    (int)text.len, text.at);
        eb_suggest(u, diag, text, EB_MEANT_CALL);
        eb_skip_group(u);
    }
}

/* Only the first in a function: behind it, a '}' is missing most likely. */
static void nested_function(eb_unit *u, eb_loc body) {
    eb_decl *outer = u->function;
    if (outer && outer->nests)
        return;
    eb_diag *diag = eb_diag_add(u->ctx, EB_DIAG_NESTED_FUNCTION, body, body + 1);
    if (outer) {
        eb_str name = eb_name_text(u, outer->name);
        eb_diag_note(u->ctx, diag, outer->lo, outer->hi, "'%.*s' begins here", (int)name.len,
                     name.at);
        outer->nests = true;
    }
}

/* What stands behind the head of a function is neither another declaration nor its end. */
static bool lacks_body(eb_unit *u, const eb_decl *decl, const eb_declarator *d) {
    return decl->kind == EB_DECL_FUNCTION && d->is_function && eb_scope_is_global(u) &&
           !eb_is(u, EB_TOK_SEMICOLON) && !eb_is(u, EB_TOK_COMMA) && !eb_is(u, EB_TOK_END) &&
           !eb_starts_declaration(u);
}

/* A typedef of an anonymous record names it for diagnostics only; nothing to do. */
eb_decl *eb_declaration(eb_unit *u) {
    if (eb_is_word(u, EB_KW_STATIC_ASSERT)) {
        eb_static_assert(u);
        return NULL;
    }
    if (eb_is_word(u, EB_KW_ASM)) {
        file_assembly(u);
        return NULL;
    }
    uint32_t errors = u->ctx->errors;
    if (eb_scope_is_global(u))
        unknown_macros(u);
    eb_spec spec = eb_specifiers(u);
    eb_decl *first = NULL, **last = &first;
    if (eb_is(u, EB_TOK_SEMICOLON))
        eb_check_empty_declaration(u, &spec);
    if (eb_skip(u, EB_TOK_SEMICOLON) || spec.ended)
        return NULL;
    for (;;) {
        bool derived = !eb_is_name(u) || eb_ahead(u, 1).kind == EB_TOK_LBRACKET;
        eb_declarator d = eb_declarator_of(u, spec.type);
        if (d.name && spec.is_auto_type && derived && spec.storage == EB_STORAGE_AUTO)
            eb_diag_add(u->ctx, EB_DIAG_EXPECTED, d.lo, d.hi,
                        "a name alone: auto takes its type from the value");
        if (!d.name) {
            if (!eb_type_is(spec.type, EB_TYPE_ERROR)) /* as was said */
                eb_expected(u, "a name to declare");
            eb_resync(u);
            return first;
        }
        eb_decl *decl = declared(u, &d, &spec);
        if (decl->kind == EB_DECL_FUNCTION && d.is_old && !eb_is(u, EB_TOK_COMMA) &&
            !eb_is(u, EB_TOK_SEMICOLON))
            old_parameters(u, &d);
        else if (d.is_old)
            eb_diag_add(u->ctx, EB_DIAG_NAMES_ONLY, d.lo, d.hi);
        if (decl->kind == EB_DECL_FUNCTION && eb_is(u, EB_TOK_LBRACE)) {
            eb_loc body = eb_peek(u).loc;
            if (!eb_scope_is_global(u))
                nested_function(u, body);
            define_function(u, decl, &d);
            return decl;
        }
        if (!eb_scope_is_global(u) && decl->kind == EB_DECL_VARIABLE) {
            *last = decl;
            last = &decl->next;
        }
        unknown_macros(u);
        if (lacks_body(u, decl, &d)) {
            eb_expected(u, "a function's body or ';'");
            u->lost = true;
            eb_resync(u);
            return first;
        }
        if (!eb_skip(u, EB_TOK_COMMA))
            break;
        eb_attributes(u, &spec.attrs);
    }
    eb_end_statement(u, errors, "';' behind a declaration");
    return first;
}
