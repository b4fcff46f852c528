/* cc_btf.c - the BTF that cc/ makes, against clang's.
 *
 *   cc_btf UNIT.i OBJECT.o ...
 *   cc_btf --objects OURS.o OBJECT.o ...
 *
 * UNIT.i is a preprocessed program, OBJECT.o what clang made of it. What clang's object has BTF for
 * (functions, variables, the types of CO-RE relocations) is looked up in the unit, in the order of
 * clang's ids, BTF is made for it, and the two graphs are compared from there: kinds, names, sizes,
 * members, parameters, linkage, tags, and which records are only declared. OURS.o is what we made
 * of the program: the functions and variables of the same names are compared, and where the
 * variables are must be what the symbols say. Each compiler inlines and drops what it likes there,
 * so that it does not matter which records one only declares, nor which members ours leaves out
 * (cc/btf_access.c); test/cases/cc has those. One line per object:
 *
 *   same TYPES OURS THEIRS UNIT.i     types compared; all types of ours and of clang's
 *   skip WHAT UNIT.i                  nothing in the unit is called so
 *   differ WHERE: WHAT UNIT.i
 *   failed UNIT.i */
#include <stdio.h>
#include <stdlib.h>

#include "btf_ext.h"
#include "btf_gen.h"
#include "guard.h"

typedef struct comparison {
    ebpf_ctx *ctx;
    const char *name;
    ebpf_object *theirs, *ours;
    eb_unit *u;
    eb_btf_gen *g;
    uint32_t *made; /* by clang's id: ours, of functions, variables and roots; or 0 */
    eb_map pairs;   /* compared or waiting: two ids, to 1 + what led there */
    EB_VEC(uint32_t) pending;
    eb_map tags[2]; /* "id:component:text" */
    eb_map used;    /* static variables by name: how many were taken */
    uint32_t told;
    bool objects; /* both are made */
    uint32_t at;  /* 1 + the pair that is being compared */
} comparison;

enum { TOLD_MOST = 8 };

static void tell(comparison *c, const char *where, eb_str name, const char *what, uint64_t a,
                 uint64_t b) {
    if (c->told++ >= TOLD_MOST)
        return;
    printf("differ %s %.*s: %s %llu, clang %llu", where, (int)name.len, name.at, what,
           (unsigned long long)a, (unsigned long long)b);
    const char *of = ", clang's type";
    for (uint32_t at = c->at; at; at = c->pairs.entries.at[at - 1].value, of = " of") {
        uint32_t key[2];
        memcpy(key, c->pairs.entries.at[at - 1].key.at, sizeof key);
        printf("%s %u", of, key[1]);
    }
    printf(" %s\n", c->name);
}

/* ---- what clang has, in the unit ---- */

static uint32_t name_of(comparison *c, eb_str text) {
    return eb_name_enter(c->u->words, text);
}

static eb_type *basic_of(comparison *c, eb_str name) {
    for (unsigned kind = EB_TYPE_BOOL; kind < EB_TYPE_BASIC_COUNT; kind++) {
        eb_type *type = eb_type_basic(&c->u->types, (eb_type_kind)kind);
        if (eb_str_is(name, eb_type_string(c->u, type)))
            return type;
    }
    return NULL;
}

/* The type that CO-RE relocations name; NULL for those without a name, and of inner scopes. */
static eb_type *type_of(comparison *c, uint32_t id) {
    eb_btf_type t = eb_btf_at(c->theirs->btf, id);
    eb_decl *decl;
    eb_type *base;
    switch (t.kind) {
    case EB_BTF_VOID:
        return eb_type_basic(&c->u->types, EB_TYPE_VOID);
    case EB_BTF_INT:
    case EB_BTF_FLOAT:
        return basic_of(c, t.name);
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
    case EB_BTF_FWD:
        return t.name.len ? eb_lookup_tag(c->u, name_of(c, t.name)) : NULL;
    case EB_BTF_TYPEDEF:
        decl = eb_lookup(c->u, name_of(c, t.name));
        return decl && decl->kind == EB_DECL_TYPEDEF ? decl->type : NULL;
    case EB_BTF_PTR:
        base = type_of(c, t.size_or_type);
        return base ? eb_type_pointer(&c->u->types, base) : NULL;
    case EB_BTF_ARRAY:
        base = type_of(c, t.size_or_type);
        return base ? eb_type_array(&c->u->types, base, t.extra) : NULL;
    case EB_BTF_CONST:
    case EB_BTF_VOLATILE:
        base = type_of(c, t.size_or_type);
        return base ? eb_type_qualified(&c->u->types, base,
                                        t.kind == EB_BTF_CONST ? EB_CONST : EB_VOLATILE)
                    : NULL;
    default:
        return NULL;
    }
}

/* FUNCTION.NAME and FUNCTION.NAME.7 are static variables of functions, in order. */
static eb_decl *local_of(comparison *c, eb_str name) {
    const char *dot = memchr(name.at, '.', name.len);
    if (!dot)
        return NULL;
    eb_str outer = {name.at, (size_t)(dot - name.at)};
    eb_str inner = {dot + 1, name.len - outer.len - 1};
    dot = memchr(inner.at, '.', inner.len);
    if (dot)
        inner.len = (size_t)(dot - inner.at);
    eb_str both = {name.at, outer.len + 1 + inner.len};
    bool is_new;
    uint32_t skip = (*eb_map_enter(&c->used, both, &is_new))++;
    eb_decl *function = eb_lookup(c->u, name_of(c, outer));
    uint32_t wanted = name_of(c, inner);
    for (uint32_t n = 0; function && n < function->locals.len; n++) {
        eb_decl *local = function->locals.at[n];
        if (local->name == wanted && local->storage == EB_STORAGE_STATIC && !skip--)
            return local;
    }
    return NULL;
}

static eb_decl *decl_of(comparison *c, eb_str name) {
    eb_decl *decl = eb_lookup(c->u, name_of(c, name));
    return decl ? decl : local_of(c, name);
}

typedef struct placed {
    eb_str section;
    uint32_t offset, size;
} placed;

static void make_one(comparison *c, uint32_t id, const placed *places, const bool *roots) {
    const eb_btf *btf = c->theirs->btf;
    eb_btf_type t = eb_btf_at(btf, id);
    eb_decl *decl = NULL;
    if (t.kind == EB_BTF_FUNC || t.kind == EB_BTF_VAR) {
        decl = decl_of(c, t.name);
        if (!decl)
            printf("skip %.*s %s\n", (int)t.name.len, t.name.at, c->name);
        else if (t.kind == EB_BTF_FUNC)
            c->made[id] = eb_btf_gen_func(c->g, decl);
        else
            c->made[id] = eb_btf_gen_var(c->g, decl, t.name, places[id].section, places[id].offset,
                                         places[id].size);
    } else if (roots[id]) {
        eb_type *type = type_of(c, id);
        if (type)
            c->made[id] = eb_btf_gen_type(c->g, type);
        else
            printf("skip type%u %s\n", id, c->name);
    }
}

static int make(comparison *c) {
    const eb_btf *btf = c->theirs->btf;
    placed *places = eb_alloc_array(&c->ctx->arena, btf->count, sizeof *places);
    bool *roots = eb_alloc_array(&c->ctx->arena, btf->count, sizeof *roots);
    c->made = eb_alloc_array(&c->ctx->arena, btf->count, sizeof *c->made);
    for (uint32_t id = 1; id < btf->count; id++) {
        eb_btf_type t = eb_btf_at(btf, id);
        for (uint32_t n = 0; t.kind == EB_BTF_DATASEC && n < t.count; n++) {
            eb_btf_member var = eb_btf_member_at(btf, &t, n);
            places[var.type] = (placed){t.name, var.offset, var.size};
        }
    }
    for (uint32_t n = 0; n < c->theirs->sections.len; n++) {
        const eb_section *section = &c->theirs->sections.at[n];
        for (uint32_t r = 0; r < section->core.len; r++)
            roots[section->core.at[r].type] = true;
        if (n && !eb_str_starts(section->name, ".BTF")) {
            uint32_t own =
                eb_object_add_section(c->ours, section->name, section->type, section->flags);
            c->ours->sections.at[own].size = section->size;
        }
    }
    for (uint32_t id = 1; id < btf->count; id++)
        make_one(c, id, places, roots);
    return eb_btf_gen_finish(c->g);
}

/* ---- the two graphs ---- */

static void enter_tags(comparison *c, int side, const eb_btf *btf) {
    for (uint32_t id = 1; id < btf->count; id++) {
        eb_btf_type t = eb_btf_at(btf, id);
        bool is_new;
        if (t.kind != EB_BTF_DECL_TAG)
            continue;
        eb_str key = eb_str_fmt(&c->ctx->arena, "%u:%d:%.*s", t.size_or_type, (int)t.extra,
                                (int)t.name.len, t.name.at);
        eb_map_enter(&c->tags[side], key, &is_new);
    }
}

/* Each tag of `from` is one of the other's, under the other's id. */
static void compare_tags(comparison *c, int from, const uint32_t *other) {
    for (uint32_t n = 0; n < c->tags[from].entries.len; n++) {
        eb_str key = c->tags[from].entries.at[n].key;
        uint32_t id = (uint32_t)strtoul(key.at, NULL, 10);
        const char *rest = memchr(key.at, ':', key.len);
        if (!other[id])
            continue;
        eb_str wanted = eb_str_fmt(&c->ctx->arena, "%u%.*s", other[id],
                                   (int)(key.len - (size_t)(rest - key.at)), rest);
        if (!eb_map_find(&c->tags[!from], wanted))
            tell(c, from ? "tag only clang has" : "tag only ours has", key, "id", other[id], id);
    }
}

static void pair(comparison *c, uint32_t a, uint32_t b) {
    const uint32_t key[2] = {a, b};
    bool is_new;
    eb_str text = eb_str_copy(&c->ctx->arena, (eb_str){(const char *)key, sizeof key});
    uint32_t *from = eb_map_enter(&c->pairs, text, &is_new);
    if (!is_new)
        return;
    *from = c->at;
    *EB_PUSH(&c->ctx->arena, &c->pending) = c->pairs.entries.len;
}

static bool refers(unsigned kind) {
    return kind == EB_BTF_PTR || kind == EB_BTF_TYPEDEF || kind == EB_BTF_CONST ||
           kind == EB_BTF_VOLATILE || kind == EB_BTF_RESTRICT || kind == EB_BTF_TYPE_TAG ||
           kind == EB_BTF_FUNC || kind == EB_BTF_VAR || kind == EB_BTF_FUNC_PROTO ||
           kind == EB_BTF_ARRAY;
}

static void compare_members(comparison *c, const eb_btf_type *a, const eb_btf_type *b) {
    for (uint32_t n = 0; n < a->count; n++) {
        eb_btf_member x = eb_btf_member_at(c->ours->btf, a, n);
        eb_btf_member y = eb_btf_member_at(c->theirs->btf, b, n);
        if (!eb_str_eq(x.name, y.name))
            tell(c, "name", x.name,
                 a->kind == EB_BTF_FUNC_PROTO ? "parameter" : "member or enumerator", n, n);
        if (x.offset != y.offset || x.bits != y.bits)
            tell(c, "member", x.name, "offset", x.offset, y.offset);
        if (x.value != y.value)
            tell(c, "enumerator", x.name, "value", x.value, y.value);
        if (a->kind != EB_BTF_ENUM && a->kind != EB_BTF_ENUM64)
            pair(c, x.type, y.type);
    }
}

/* Of records that only CO-RE accesses are about, ours have the members that are accessed. */
static bool is_part(const comparison *c, const eb_btf_type *a, const eb_btf_type *b) {
    bool record = a->kind == EB_BTF_STRUCT || a->kind == EB_BTF_UNION;
    return c->objects && record && a->kind == b->kind && a->count < b->count;
}

/* Each member of ours is one of clang's, in the same order. */
static void compare_part(comparison *c, const eb_btf_type *a, const eb_btf_type *b) {
    if (a->size_or_type != b->size_or_type || !eb_str_eq(a->name, b->name))
        tell(c, "record", b->name, "size", a->size_or_type, b->size_or_type);
    for (uint32_t n = 0, at = 0; n < a->count; n++, at++) {
        eb_btf_member x = eb_btf_member_at(c->ours->btf, a, n), y = {0};
        for (; at < b->count; at++) {
            y = eb_btf_member_at(c->theirs->btf, b, at);
            if (eb_str_eq(x.name, y.name) && x.offset == y.offset && x.bits == y.bits)
                break;
        }
        if (at == b->count) {
            tell(c, "record", a->name, "has no such member", n, b->count);
            return;
        }
        pair(c, x.type, y.type);
    }
}

static void compare_one(comparison *c, uint32_t ours, uint32_t theirs) {
    eb_btf_type a = eb_btf_at(c->ours->btf, ours), b = eb_btf_at(c->theirs->btf, theirs);
    eb_str name = a.name.len ? a.name : b.name;
    if (c->objects && eb_str_eq(a.name, b.name) && a.name.len &&
        (a.kind == EB_BTF_FWD || b.kind == EB_BTF_FWD))
        return;
    if (is_part(c, &a, &b)) {
        compare_part(c, &a, &b);
        return;
    }
    if (a.kind != b.kind) {
        tell(c, "type", name, "kind", a.kind, b.kind);
        return;
    }
    if (!eb_str_eq(a.name, b.name))
        tell(c, "name", a.name, b.name.len ? b.name.at : "none", 0, 0);
    if (a.kind_flag != b.kind_flag)
        tell(c, "type", name, "kind_flag", a.kind_flag, b.kind_flag);
    if (a.extra != b.extra)
        tell(c, "type", name, "bits, elements or linkage", a.extra, b.extra);
    if (refers(a.kind))
        pair(c, a.size_or_type, b.size_or_type);
    else if (a.size_or_type != b.size_or_type)
        tell(c, "type", name, "size", a.size_or_type, b.size_or_type);
    if (a.kind == EB_BTF_ARRAY)
        pair(c, a.index_type, b.index_type);
    if (a.count != b.count)
        tell(c, "type", name, "count", a.count, b.count);
    else
        compare_members(c, &a, &b);
}

static void compare_datasecs(comparison *c) {
    for (uint32_t id = 1; id < c->theirs->btf->count; id++) {
        eb_btf_type b = eb_btf_at(c->theirs->btf, id);
        if (b.kind != EB_BTF_DATASEC)
            continue;
        eb_btf_type a = eb_btf_at(c->ours->btf, eb_btf_find(c->ours->btf, EB_BTF_DATASEC, b.name));
        if (a.kind != b.kind || a.count != b.count)
            tell(c, "data section", b.name, "count", a.count, b.count);
    }
}

static eb_str place_key(comparison *c, eb_str name, uint64_t offset, uint64_t size) {
    return eb_str_fmt(&c->ctx->arena, "%.*s %llu %llu", (int)name.len, name.at,
                      (unsigned long long)offset, (unsigned long long)size);
}

/* What both have, by name; variables are where their symbols are. */
static void make_pairs(comparison *c) {
    const eb_btf *ours = c->ours->btf;
    eb_map symbols = {.arena = &c->ctx->arena};
    c->made = eb_alloc_array(&c->ctx->arena, c->theirs->btf->count, sizeof *c->made);
    for (uint32_t id = 1; id < c->theirs->btf->count; id++) {
        eb_btf_type b = eb_btf_at(c->theirs->btf, id);
        if (b.kind != EB_BTF_FUNC && b.kind != EB_BTF_VAR)
            continue;
        c->made[id] = eb_btf_find(ours, (eb_btf_kind)b.kind, b.name);
        if (!c->made[id] && b.extra == EB_BTF_GLOBAL)
            tell(c, "only clang has", b.name, "id", 0, id);
    }
    for (uint32_t n = 1; n < c->ours->symbols.len; n++) {
        const eb_symbol *symbol = &c->ours->symbols.at[n];
        bool is_new;
        eb_map_enter(&symbols, place_key(c, symbol->name, symbol->value, symbol->size), &is_new);
    }
    for (uint32_t id = 1; id < ours->count; id++) {
        eb_btf_type a = eb_btf_at(ours, id);
        for (uint32_t n = 0; a.kind == EB_BTF_DATASEC && n < a.count; n++) {
            eb_btf_member var = eb_btf_member_at(ours, &a, n);
            eb_btf_type type = eb_btf_at(ours, var.type);
            eb_str key = place_key(c, type.name, var.offset, var.size);
            if (type.extra != EB_BTF_EXTERN && !eb_map_find(&symbols, key))
                tell(c, "variable without symbol", type.name, "offset", var.offset, 0);
        }
    }
}

static void compare(comparison *c) {
    const eb_btf *ours = c->ours->btf, *theirs = c->theirs->btf;
    enter_tags(c, 0, ours);
    enter_tags(c, 1, theirs);
    for (uint32_t id = 1; id < theirs->count; id++)
        if (c->made[id])
            pair(c, c->made[id], id);
    while (c->pending.len) {
        uint32_t key[2];
        c->at = c->pending.at[--c->pending.len];
        memcpy(key, c->pairs.entries.at[c->at - 1].key.at, sizeof key);
        compare_one(c, key[0], key[1]);
    }
    c->at = 0;
    if (!c->objects)
        compare_datasecs(c);
    /* Ids of each in the other. */
    uint32_t *other[2];
    other[0] = eb_alloc_array(&c->ctx->arena, ours->count, sizeof **other);
    other[1] = eb_alloc_array(&c->ctx->arena, theirs->count, sizeof **other);
    for (uint32_t n = 0; n < c->pairs.entries.len; n++) {
        uint32_t key[2];
        memcpy(key, c->pairs.entries.at[n].key.at, sizeof key);
        other[0][key[0]] = key[1];
        other[1][key[1]] = key[0];
    }
    compare_tags(c, 0, other[0]);
    compare_tags(c, 1, other[1]);
    if (!c->told)
        printf("same %u %u %u %s\n", c->pairs.entries.len, ours->count - 1, theirs->count - 1,
               c->name);
}

/* ---- one pair of files ---- */

typedef struct files {
    const char *name;
    bool objects;
    eb_str unit, object;
} files;

/* The unit is a header of an empty program: what stands in headers is read when it is needed. */
static int run(ebpf_ctx *ctx, void *args) {
    const files *f = args;
    comparison c = {.ctx = ctx, .name = f->name};
    eb_pp_options options = {.cpu = 3, .optimize = true};
    c.pairs.arena = c.tags[0].arena = c.tags[1].arena = c.used.arena = &ctx->arena;
    if (eb_elf_read(ctx, eb_str_from(f->name), (const uint8_t *)f->object.at, f->object.len,
                    &c.theirs))
        return EBPF_E_INPUT;
    if (f->objects) {
        c.objects = true;
        if (eb_elf_read(ctx, eb_str_from(f->name), (const uint8_t *)f->unit.at, f->unit.len,
                        &c.ours) ||
            !c.ours->btf || !c.theirs->btf)
            return EBPF_E_INPUT;
        make_pairs(&c);
        compare(&c);
        return EBPF_OK;
    }
    eb_pp *pp = eb_pp_new(ctx, EB_STR("main.c"), EB_STR("#include \"unit.i\"\n"), &options);
    while (!eb_pp_run(pp))
        eb_pp_found(pp, pp->wanted - 1, EB_STR("unit.i"), f->unit, false);
    c.u = eb_parse(pp);
    if (ctx->errors)
        return EBPF_E_INPUT;
    c.ours = eb_object_new(ctx, c.theirs->big);
    c.g = eb_btf_gen_new(c.u, c.ours);
    if (!c.theirs->btf || make(&c))
        return EBPF_E_INPUT;
    compare(&c);
    return EBPF_OK;
}

static eb_str contents(const char *path) {
    FILE *file = fopen(path, "rb");
    eb_str text = {0};
    char *at = NULL;
    size_t room = 0;
    for (size_t got = 1; file && got; text.len += got) {
        if (text.len == room && !(at = realloc(at, room = room ? room * 2 : 1 << 20)))
            abort();
        got = fread(at + text.len, 1, room - text.len, file);
    }
    if (!file) {
        perror(path);
        exit(2);
    }
    fclose(file);
    text.at = at;
    return text;
}

int main(int argc, char **argv) {
    bool objects = argc > 1 && !strcmp(argv[1], "--objects");
    for (int n = objects ? 2 : 1; n + 1 < argc; n += 2) {
        files f = {argv[n], objects, contents(argv[n]), contents(argv[n + 1])};
        ebpf_ctx *ctx = ebpf_ctx_new(0);
        ebpf_bytes said;
        if (!ctx || eb_guard(ctx, run, &f)) {
            printf("failed %s\n", f.name);
            ebpf_diagnostics(ctx, EBPF_DIAG_TEXT, &said);
            fwrite(said.data, 1, said.size < 2000 ? said.size : 2000, stderr);
        }
        ebpf_ctx_free(ctx);
        free((void *)(uintptr_t)f.unit.at);
        free((void *)(uintptr_t)f.object.at);
    }
    return 0;
}
