/* btf_gen.c - functions, variables and data sections as BTF, and the writing of it all.
 *
 * Ids are given out as things are reached. At the end come the records that were only pointed to
 * (FWD), the type of array indices, data sections and declaration tags, which nothing in the graph
 * refers to by then. Sources: libbpf (what it looks for in .maps, .kconfig and .ksyms), LLVM's
 * BTFDebug.cpp (linkage, tags), the kernel's btf.c (the order in data sections). */
#include "btf_ext.h"
#include "btf_node.h"
#include "sort.h"

eb_btf_gen *eb_btf_gen_new(eb_unit *u, ebpf_object *obj) {
    eb_arena *arena = &u->ctx->arena;
    eb_btf_gen *g = eb_alloc(arena, sizeof *g);
    g->u = u;
    g->obj = obj;
    g->arena = g->known.arena = g->datasec_names.arena = arena;
    EB_PUSH(arena, &g->nodes); /* void */
    return g;
}

uint32_t eb_btf_gen_type(eb_btf_gen *g, eb_type *type) {
    uint32_t node = eb_node_of(g, type);
    eb_node_reach(g, node);
    return g->nodes.at[node].id;
}

uint32_t eb_btf_gen_member(const eb_record *record, uint32_t n) {
    uint32_t number = n;
    for (uint32_t i = 0; i < n && i < record->members.len; i++)
        number -= !eb_btf_has_member(&record->members.at[i]);
    return number;
}

/* ---- functions and variables ---- */

static uint32_t linkage_of(const eb_decl *decl) {
    bool here =
        decl->kind == EB_DECL_FUNCTION ? decl->is_defined : decl->storage != EB_STORAGE_EXTERN;
    if (!here)
        return EB_BTF_EXTERN;
    return decl->storage == EB_STORAGE_STATIC ? EB_BTF_STATIC : EB_BTF_GLOBAL;
}

static uint32_t declared(eb_btf_gen *g, eb_btf_kind kind, const eb_decl *decl, eb_str name,
                         uint32_t type) {
    uint32_t number = eb_node_new(g, kind);
    eb_node *node = &g->nodes.at[number];
    node->of.decl = decl;
    node->name = name;
    node->base = type;
    node->linkage = (uint8_t)linkage_of(decl);
    eb_node_reach(g, type);
    eb_node_number(g, number);
    return number;
}

static void place(eb_btf_gen *g, eb_str section, eb_placed var) {
    bool is_new, is_extern = g->nodes.at[var.node].linkage == EB_BTF_EXTERN;
    uint32_t *number = eb_map_enter(&g->datasec_names, section, &is_new);
    if (is_new) {
        *number = g->datasecs.len;
        *EB_PUSH(g->arena, &g->datasecs) = (eb_datasec){.name = section, .is_extern = true};
    }
    eb_datasec *datasec = &g->datasecs.at[*number];
    datasec->is_extern = datasec->is_extern && is_extern;
    *EB_PUSH(g->arena, &datasec->vars) = var;
}

/* The prototype of a definition is its own: parameters have names. */
static uint32_t definition(eb_btf_gen *g, const eb_decl *decl, const eb_type *type) {
    EB_VEC(uint32_t) params = {0};
    for (uint32_t n = 0; n < decl->param_count; n++)
        *EB_PUSH(g->arena, &params) = eb_node_of(g, decl->params[n]->type);
    if (type->variadic)
        *EB_PUSH(g->arena, &params) = 0;
    uint32_t result = eb_node_of(g, type->base), number = eb_node_new(g, EB_BTF_FUNC_PROTO);
    eb_node *node = &g->nodes.at[number];
    node->base = result;
    node->of.decl = decl;
    node->first = g->refs.len;
    node->count = params.len;
    for (uint32_t n = 0; n < params.len; n++)
        *EB_PUSH(g->arena, &g->refs) = params.at[n];
    return number;
}

uint32_t eb_btf_gen_func(eb_btf_gen *g, const eb_decl *decl) {
    uint32_t *known = eb_node_slot(g, &decl, sizeof decl);
    if (*known)
        return g->nodes.at[*known].id;
    eb_type *type = eb_type_plain(decl->type);
    uint32_t proto = decl->is_defined ? definition(g, decl, type) : eb_node_of(g, type);
    uint32_t node = declared(g, EB_BTF_FUNC, decl, eb_name_text(g->u, decl->name), proto);
    *eb_node_slot(g, &decl, sizeof decl) = node; /* it may have moved */
    if (!decl->is_defined && decl->attrs.section.len)
        place(g, decl->attrs.section, (eb_placed){.node = node}); /* of no known size */
    return g->nodes.at[node].id;
}

uint32_t eb_btf_gen_var(eb_btf_gen *g, const eb_decl *decl, eb_str name, eb_str section,
                        uint32_t offset, uint32_t size) {
    if (eb_str_starts(section, ".maps"))
        eb_node_reach_map(g, decl->type);
    uint32_t node = declared(g, EB_BTF_VAR, decl, name, eb_node_of(g, decl->type));
    if (section.len)
        place(g, section, (eb_placed){node, offset, size});
    return g->nodes.at[node].id;
}

/* ---- the last ids ---- */

/* Records that were never needed complete become forward declarations. */
static void number_rest(eb_btf_gen *g) {
    bool has_array = false;
    for (uint32_t n = 0; n < g->order.len; n++) {
        const eb_node *node = &g->nodes.at[g->order.at[n]];
        has_array = has_array || node->kind == EB_BTF_ARRAY;
        if (!node->base || g->nodes.at[node->base].id)
            continue;
        g->nodes.at[node->base].kind = EB_BTF_FWD;
        eb_node_number(g, node->base);
    }
    if (!has_array)
        return;
    g->index_type = eb_node_new(g, EB_BTF_INT);
    eb_node_number(g, g->index_type);
}

/* ---- writing ---- */

typedef struct writer {
    eb_btf_gen *g;
    eb_btf *btf;
} writer;

static uint32_t id_of(const writer *w, uint32_t node) {
    return w->g->nodes.at[node].id;
}

static eb_str text_of(const writer *w, uint32_t name) {
    return name ? eb_name_text(w->g->u, name - 1) : (eb_str){0};
}

static void write_basic(const writer *w, const eb_node *node) {
    eb_type *type = node->of.type;
    if (!type) { /* as clang calls it */
        eb_btf_add_int(w->btf, EB_STR("__ARRAY_SIZE_TYPE__"), 4, 0);
        return;
    }
    eb_buf name = {.arena = w->g->arena};
    uint32_t size = (uint32_t)eb_type_size(type);
    eb_type_text(&w->g->u->types, type, &name);
    eb_str text = {(const char *)name.at, name.len};
    if (node->kind == EB_BTF_FLOAT)
        eb_btf_add_float(w->btf, text, size);
    else
        eb_btf_add_int(w->btf, text, size,
                       type->kind == EB_TYPE_BOOL  ? EB_BTF_BOOL
                       : eb_type_is_unsigned(type) ? 0u
                                                   : EB_BTF_SIGNED);
}

/* An enum of which nothing is known has no enumerators; the kernel wants a size all the same. */
static void write_enum(const writer *w, const eb_node *node) {
    const eb_enum *e = node->of.type->of.enumeration;
    uint32_t size = (uint32_t)eb_type_size(e->integer);
    eb_btf_add_enum(w->btf, size > 4 ? EB_BTF_ENUM64 : EB_BTF_ENUM, text_of(w, e->name), size,
                    !eb_type_is_unsigned(e->integer));
    for (uint32_t n = 0; n < e->list.len; n++)
        eb_btf_add_enumerator(w->btf, eb_name_text(w->g->u, e->list.at[n].name),
                              (uint64_t)e->list.at[n].value);
}

/* Whether BTF can say where its members are; with bit-fields, offsets have 24 bits. */
static bool has_room(const eb_record *record) {
    uint64_t most = UINT32_MAX;
    for (uint32_t n = 0; n < record->members.len; n++)
        if (record->members.at[n].is_field && record->members.at[n].name)
            most = (1 << 24) - 1;
    for (uint32_t n = 0; n < record->members.len; n++)
        if (record->members.at[n].offset > most)
            return false;
    return true;
}

static void write_record(const writer *w, const eb_node *node) {
    const eb_record *record = node->of.type->of.record;
    eb_btf_add_record(w->btf, (eb_btf_kind)node->kind, text_of(w, record->name),
                      (uint32_t)record->size);
    if (!has_room(record))
        return; /* its size is all that can be told */
    uint32_t number = 0;
    for (uint32_t n = 0; n < record->members.len; n++) {
        const eb_member *member = &record->members.at[n];
        if (!eb_btf_has_member(member))
            continue;
        uint32_t type = id_of(w, w->g->refs.at[node->first + number]);
        if (!eb_node_writes(node, number++))
            continue;
        uint32_t offset = (uint32_t)member->offset;
        if (member->is_field)
            eb_btf_add_bitfield(w->btf, text_of(w, member->name), type, offset, member->bits);
        else
            eb_btf_add_member(w->btf, text_of(w, member->name), type, offset);
    }
}

static void write_proto(const writer *w, const eb_node *node) {
    const eb_decl *decl = node->of.decl;
    eb_btf_add_proto(w->btf, id_of(w, node->base));
    for (uint32_t n = 0; n < node->count; n++) {
        /* Without a name it is UINT32_MAX: one more is 0. The last may be "...". */
        uint32_t name = decl && n < decl->param_count ? decl->params[n]->name + 1 : 0;
        eb_btf_add_param(w->btf, text_of(w, name), id_of(w, w->g->refs.at[node->first + n]));
    }
}

static void write_node(const writer *w, const eb_node *node) {
    uint32_t base = id_of(w, node->base);
    switch (node->kind) { /* one case per row */
    case EB_BTF_INT:
    case EB_BTF_FLOAT:
        write_basic(w, node);
        break;
    case EB_BTF_ARRAY:
        eb_btf_add_array(w->btf, base, id_of(w, w->g->index_type), (uint32_t)node->of.length);
        break;
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        write_record(w, node);
        break;
    case EB_BTF_ENUM:
        write_enum(w, node);
        break;
    case EB_BTF_FWD:
        eb_btf_add_ref(w->btf, EB_BTF_FWD, text_of(w, node->of.type->of.record->name),
                       node->of.type->kind == EB_TYPE_UNION);
        break;
    case EB_BTF_TYPEDEF:
        eb_btf_add_ref(w->btf, EB_BTF_TYPEDEF, text_of(w, node->of.type->of.name + 1), base);
        break;
    case EB_BTF_TYPE_TAG:
        eb_btf_add_ref(w->btf, EB_BTF_TYPE_TAG, node->of.tag, base);
        break;
    case EB_BTF_FUNC_PROTO:
        write_proto(w, node);
        break;
    case EB_BTF_FUNC:
        eb_btf_add_func(w->btf, node->name, base, node->linkage);
        break;
    case EB_BTF_VAR:
        eb_btf_add_var(w->btf, node->name, base, node->linkage);
        break;
    default:
        eb_btf_add_ref(w->btf, (eb_btf_kind)node->kind, (eb_str){0}, base);
    }
}

/* ---- data sections ---- */

static int by_offset(const void *data, uint32_t a, uint32_t b) {
    const eb_placed *left = (const eb_placed *)data + a, *right = (const eb_placed *)data + b;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* Offsets and sizes are the real ones, as the static linker leaves them; clang leaves zeroes for
 * libbpf to fill in, which still does it for what is outside. */
static void write_datasec(const writer *w, const eb_datasec *datasec, uint32_t size) {
    uint32_t count = datasec->vars.len;
    uint32_t *order = eb_alloc_array(w->g->arena, count, sizeof *order);
    for (uint32_t n = 0; n < count; n++)
        order[n] = n;
    eb_sort(w->g->arena, order, count, by_offset, datasec->vars.at);
    eb_btf_add_datasec(w->btf, datasec->name, datasec->is_extern ? 0 : size);
    for (uint32_t n = 0; n < count; n++) {
        const eb_placed *var = &datasec->vars.at[order[n]];
        eb_btf_add_datasec_var(w->btf, id_of(w, var->node), var->offset, var->size);
    }
}

/* Constants without a name in .rodata make a data section without variables. */
static void write_datasecs(const writer *w) {
    const ebpf_object *obj = w->g->obj;
    eb_str rodata = EB_STR(".rodata");
    eb_map sections = {.arena = w->g->arena};
    for (uint32_t n = 1; n < obj->sections.len; n++) {
        bool is_new;
        uint32_t *number = eb_map_enter(&sections, obj->sections.at[n].name, &is_new);
        if (is_new)
            *number = n;
    }
    for (uint32_t n = 0; n < w->g->datasecs.len; n++) {
        const uint32_t *number = eb_map_find(&sections, w->g->datasecs.at[n].name);
        write_datasec(w, &w->g->datasecs.at[n],
                      number ? (uint32_t)obj->sections.at[*number].size : 0);
    }
    const uint32_t *number = eb_map_find(&sections, rodata);
    if (number && obj->sections.at[*number].size && !eb_map_find(&w->g->datasec_names, rodata))
        eb_btf_add_datasec(w->btf, rodata, (uint32_t)obj->sections.at[*number].size);
}

/* ---- declaration tags ---- */

/* Each once, however often declarations repeat it. */
static void write_tags(const writer *w, const eb_tags *tags, uint32_t id, int32_t component) {
    for (uint32_t n = 0; n < tags->len; n++) {
        uint32_t before = 0;
        while (before < n && !eb_str_eq(tags->at[before], tags->at[n]))
            before++;
        if (before == n)
            eb_btf_add_decl_tag(w->btf, tags->at[n], id, component);
    }
}

static void write_record_tags(const writer *w, const eb_node *node) {
    const eb_record *record = node->of.type->of.record;
    uint32_t number = 0;
    int32_t component = 0;
    write_tags(w, &record->tags, node->id, -1);
    for (uint32_t n = 0; n < record->members.len; n++) {
        const eb_member *member = &record->members.at[n];
        if (eb_btf_has_member(member) && eb_node_writes(node, number++))
            write_tags(w, &member->tags, node->id, component++);
    }
}

static void write_node_tags(const writer *w, const eb_node *node) {
    const eb_decl *decl = node->of.decl;
    switch (node->kind) {
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        if (has_room(node->of.type->of.record))
            write_record_tags(w, node);
        break;
    case EB_BTF_TYPEDEF:
        if (node->of.type->of.tags)
            write_tags(w, node->of.type->of.tags, node->id, -1);
        break;
    case EB_BTF_FUNC:
        for (uint32_t n = 0; n < decl->param_count && decl->is_defined; n++)
            write_tags(w, &decl->params[n]->attrs.decl_tags, node->id, (int32_t)n);
        write_tags(w, &decl->attrs.decl_tags, node->id, -1);
        break;
    case EB_BTF_VAR:
        write_tags(w, &decl->attrs.decl_tags, node->id, -1);
        break;
    default:
        break;
    }
}

/* ---- all of it ---- */

int eb_btf_gen_finish(eb_btf_gen *g) {
    writer w = {g, eb_btf_new(g->arena, g->obj->big)};
    if (g->u->ctx->errors) /* in a body that was read last */
        return EBPF_E_INPUT;
    number_rest(g);
    for (uint32_t n = 0; n < g->order.len; n++)
        write_node(&w, &g->nodes.at[g->order.at[n]]);
    write_datasecs(&w);
    for (uint32_t n = 0; n < g->order.len; n++)
        write_node_tags(&w, &g->nodes.at[g->order.at[n]]);
    eb_btf_store(g->obj, w.btf);
    const eb_section *section =
        &g->obj->sections.at[eb_object_find_section(g->obj, EB_STR(".BTF"))];
    return eb_btf_read(g->u->ctx, g->obj->name, section->bytes.at, section->bytes.len, NULL,
                       &g->obj->btf);
}
