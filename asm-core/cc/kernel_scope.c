/* kernel_scope.c - what a name means in BTF, for names that the unit itself does not bind.
 *
 * Nothing of BTF is bound in the unit's scopes: they come first, and what they do not have is asked
 * for here, where both answers are kept. So whatever a program defines by itself is what it means,
 * unless BTF's was used before. */
#include "kernel.h"

/* ---- opening ---- */

/* The #include that asked for the header, or the pragma itself. */
static void find_place(eb_kernel *k, eb_loc pragma) {
    const eb_source *source = eb_place_of(k->u->ctx, pragma).source;
    bool included = source && source->from;
    k->lo = included ? source->from : pragma;
    k->hi = included ? source->from_end : pragma + 1;
}

void eb_kernel_open(eb_unit *u) {
    if (u->kernel || !u->pp->btfs.len)
        return;
    ebpf_ctx *ctx = u->ctx;
    eb_kernel *k = eb_alloc(&ctx->arena, sizeof *k);
    k->u = u;
    k->count = u->pp->btfs.len;
    k->btfs = eb_alloc_array(&ctx->arena, k->count, sizeof *k->btfs);
    k->preserve = eb_preserving(u);
    find_place(k, u->at ? u->toks[u->at - 1].loc : 0);
    for (uint32_t n = 0; n < k->count; n++) {
        const eb_btf *btf = u->pp->btfs.at[n];
        k->btfs[n] = (eb_kernel_btf){
            .btf = btf,
            .types = eb_alloc_array(&ctx->arena, btf->count - btf->first, sizeof(eb_type *)),
            .aligns = eb_btf_aligns_new(&ctx->arena, btf, n ? k->btfs[0].aligns : NULL)};
    }
    eb_kernel_find_names(k);
    if (k->narrow) {
        eb_str name = u->pp->btfs.at[0]->name;
        eb_diag_add(ctx, EB_DIAG_BTF_32_BIT, k->lo, k->hi, (int)name.len, name.at);
    }
    u->kernel = k;
}

void eb_kernel_open_functions(eb_unit *u) {
    if (u->kernel)
        u->kernel->kfuncs = true;
}

/* ---- looking up ---- */

/* The `number`th definition of a ring of places. */
static const eb_kernel_place *nth(const eb_kernel *k, uint32_t first, uint32_t number) {
    for (uint32_t at = first; at; at = k->places.at[at - 1].next)
        if (eb_kernel_defines(k, &k->places.at[at - 1]) && --number == 0)
            return &k->places.at[at - 1];
    return NULL;
}

static const eb_kernel_place *tag_place(const eb_kernel *k, const eb_kernel_name *name) {
    uint32_t own = k->words.at[name->word - 1].tags;
    const eb_kernel_place *found = nth(k, own, 1);
    if (!found && name->stem)
        found = nth(k, k->words.at[name->stem - 1].tags, name->number);
    return found || !own ? found : &k->places.at[own - 1]; /* declared only */
}

static const eb_kernel_place *decl_place(const eb_kernel *k, const eb_kernel_name *name) {
    const eb_kernel_word *word = &k->words.at[name->word - 1];
    const eb_kernel_place *found = nth(k, word->ordinary, 1);
    if (!found && name->stem)
        found = nth(k, k->words.at[name->stem - 1].ordinary, name->number);
    return found || !k->kfuncs || !word->kfunc ? found : &k->places.at[word->kfunc - 1];
}

static eb_kernel_name *name_at(eb_unit *u, uint32_t name) {
    eb_kernel *k = u->kernel;
    return k && name < k->names.len && k->names.at[name].word ? &k->names.at[name] : NULL;
}

static void as_function(eb_kernel *k, eb_decl *decl, uint32_t btf, uint32_t id) {
    eb_btf_type func = eb_btf_at(k->btfs[btf].btf, id);
    decl->kind = EB_DECL_FUNCTION;
    decl->storage = EB_STORAGE_EXTERN;
    decl->is_global = true;
    decl->attrs.weak = true;
    decl->attrs.section = EB_STR(".ksyms");
    decl->type = eb_kernel_type(k, btf, func.size_or_type);
    *EB_PUSH(&k->u->ctx->arena, &k->functions) = decl;
}

static eb_decl *make(eb_kernel *k, uint32_t name, const eb_kernel_place *place) {
    eb_kernel_place p = *place; /* making types moves the places */
    eb_decl *decl = eb_alloc(&k->u->ctx->arena, sizeof *decl);
    decl->name = name;
    decl->lo = k->lo;
    decl->hi = k->hi;
    if (eb_btf_kind_of(k->btfs[p.btf].btf, p.id) == EB_BTF_FUNC) {
        if (eb_btf_check(k->u->ctx, k->btfs[p.btf].btf, p.id))
            return NULL;
        as_function(k, decl, p.btf, p.id);
        return eb_type_is(decl->type, EB_TYPE_FUNCTION) ? decl : NULL;
    }
    decl->type = eb_kernel_type(k, p.btf, p.id);
    decl->kind = EB_DECL_TYPEDEF;
    decl->storage = EB_STORAGE_TYPEDEF;
    if (p.number != EB_KERNEL_TYPE && decl->type->kind == EB_TYPE_ENUM) {
        const eb_enum *e = decl->type->of.enumeration;
        decl->kind = EB_DECL_ENUMERATOR;
        decl->storage = EB_STORAGE_NONE;
        decl->value = p.number < e->list.len ? e->list.at[p.number].value : 0;
    }
    return decl;
}

eb_decl *eb_kernel_decl(eb_unit *u, uint32_t name, bool used) {
    eb_kernel_name *entry = name_at(u, name);
    if (!entry || entry->decl || entry->no_decl || used)
        return entry ? entry->decl : NULL;
    const eb_kernel_place *place = decl_place(u->kernel, entry);
    entry->decl = place ? make(u->kernel, name, place) : NULL;
    entry->no_decl = !entry->decl;
    return entry->decl;
}

eb_type *eb_kernel_tag(eb_unit *u, uint32_t name, bool used) {
    eb_kernel_name *entry = name_at(u, name);
    if (!entry || entry->tag || entry->no_tag || used)
        return entry ? entry->tag : NULL;
    const eb_kernel_place *place = tag_place(u->kernel, entry);
    entry->tag = place ? eb_kernel_type(u->kernel, place->btf, place->id) : NULL;
    if (entry->tag && !eb_type_is_record(entry->tag) && !eb_type_is(entry->tag, EB_TYPE_ENUM))
        entry->tag = NULL; /* damaged, as was said */
    entry->no_tag = !entry->tag;
    return entry->tag;
}

/* ---- with declarations of the unit's own ---- */

bool eb_kernel_adopt(eb_unit *u, eb_type *declared) {
    uint32_t name =
        declared->kind == EB_TYPE_ENUM ? declared->of.enumeration->name : declared->of.record->name;
    return name && eb_file_tag(u, name - 1) == declared &&
           eb_kernel_tag(u, name - 1, false) == declared;
}

eb_decl *eb_kernel_function_like(eb_unit *u, const eb_decl *decl) {
    if (decl->kind != EB_DECL_FUNCTION || decl->storage != EB_STORAGE_EXTERN)
        return NULL;
    eb_decl *like = eb_kernel_decl(u, decl->name, false);
    return like && like->kind == EB_DECL_FUNCTION &&
                   eb_type_compatible(like->type, decl->type, false)
               ? like
               : NULL;
}

void eb_kernel_close(eb_unit *u) {
    eb_kernel *k = u->kernel;
    for (uint32_t n = 0; k && n < k->functions.len; n++)
        if (eb_lookup(u, k->functions.at[n]->name) == k->functions.at[n])
            *EB_PUSH(&u->ctx->arena, &u->globals) = k->functions.at[n];
}
