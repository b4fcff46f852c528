/* maps.c - the maps of an object, from what BTF says of section .maps.
 *
 * A map is a variable of .maps whose type is a struct that nobody reads: `type`, `max_entries` and
 * the like are pointers to arrays, and the array's length is the number; `key` and `value` are
 * pointers to the types; `values` is an array of pointers to the inner map's struct, or to
 * functions for a program array. The rules and what is refused are libbpf's (parse_btf_map_def). */
#include "maps.h"

#include "btf.h"
#include "kinds.h"
#include "map.h"
#include "sort.h"

/* MOST_MEMBERS is far above what a definition can use; it bounds the work that damage can cause. */
enum { FD_SIZE = 4, MOST_MEMBERS = 64 };

typedef struct parser {
    ebpf_object *obj;
    const eb_btf *btf;
    eb_map_def *map;
    bool inner;     /* this defines the maps inside another one */
    uint32_t below; /* the struct that defines the inner map, or 0 */
    bool failed;
} parser;

/* ---- diagnostics ---- */

static void complain(ebpf_object *obj, eb_diag_code code, eb_str name, uint32_t symbol,
                     const char *why) {
    eb_loc loc = symbol ? obj->symbols.at[symbol].loc : 0;
    if (loc)
        eb_diag_add(obj->ctx, code, loc, loc + (eb_loc)name.len, (int)name.len, name.at, why);
    else
        eb_diag_input(obj->ctx, code, obj->name, -1, (int)name.len, name.at, why);
}

static void refuse(parser *p, const char *why) {
    complain(p->obj, EB_DIAG_REFUSED_MAP, p->map->name, p->map->symbol, why);
    p->failed = true;
}

static void refuse_member(parser *p, eb_str member, const char *why) {
    refuse(p, eb_str_fmt(&p->obj->ctx->arena, "'%.*s' %s", (int)member.len, member.at, why).at);
}

/* ---- members ---- */

static eb_btf_type type_at(const parser *p, uint32_t id) {
    return eb_btf_at(p->btf, id);
}

/* What a pointer type points to; false when `id` is none. */
static bool pointee(const parser *p, uint32_t id, uint32_t *to) {
    eb_btf_type type = type_at(p, eb_btf_strip(p->btf, id));
    *to = type.size_or_type;
    return type.kind == EB_BTF_PTR;
}

/* __uint(name, number): a pointer to an array. */
static uint32_t number(parser *p, const eb_btf_member *m) {
    uint32_t id;
    if (!pointee(p, m->type, &id) || type_at(p, id).kind != EB_BTF_ARRAY) {
        refuse_member(p, m->name, "is no number: a pointer to an array of that length is needed");
        return 0;
    }
    return type_at(p, id).extra;
}

/* __ulong(name, number): an enum whose one value is the number; __uint is taken as well. */
static uint64_t long_number(parser *p, const eb_btf_member *m) {
    eb_btf_type type = type_at(p, eb_btf_strip(p->btf, m->type));
    if (type.kind != EB_BTF_ENUM && type.kind != EB_BTF_ENUM64)
        return number(p, m);
    if (type.count != 1) {
        refuse_member(p, m->name, "is no number: its enum must have one value");
        return 0;
    }
    return eb_btf_member_at(p->btf, &type, 0).value;
}

static void set_size(parser *p, eb_str member, uint32_t *to, uint32_t size) {
    if (*to && *to != size) {
        eb_str why =
            eb_str_fmt(&p->obj->ctx->arena, "gives size %u where %u was given before", size, *to);
        refuse_member(p, member, why.at);
    }
    *to = size;
}

/* __type(key, T): a pointer to T. */
static void set_type(parser *p, const eb_btf_member *m, uint32_t *size, uint32_t *type) {
    uint32_t id;
    if (!pointee(p, m->type, &id)) {
        refuse_member(p, m->name, "is no type: a pointer to it is needed");
        return;
    }
    uint32_t bytes = eb_btf_size(p->btf, id);
    if (!bytes) {
        refuse_member(p, m->name, "has a type without a size");
        return;
    }
    set_size(p, m->name, size, bytes);
    *type = id;
}

static void set_values(parser *p, const eb_btf_member *m, bool last) {
    uint32_t kind = p->map->type, id;
    bool programs = kind == EB_MAP_PROG_ARRAY;
    eb_btf_type array = type_at(p, m->type);
    if (p->inner) {
        refuse_member(p, m->name, "cannot stand in an inner map: one level is all there is");
    } else if (!last) {
        refuse_member(p, m->name, "must be the last member");
    } else if (!programs && kind != EB_MAP_ARRAY_OF_MAPS && kind != EB_MAP_HASH_OF_MAPS) {
        refuse_member(p, m->name, "is for maps of maps and program arrays, given after 'type'");
    } else if (array.kind != EB_BTF_ARRAY || array.extra || !pointee(p, array.size_or_type, &id)) {
        refuse_member(p, m->name, "is not an array without a length, of pointers");
    } else {
        set_size(p, m->name, &p->map->value_size, FD_SIZE);
        p->map->values_at = m->offset / 8;
        id = eb_btf_strip(p->btf, id);
        if (type_at(p, id).kind != (programs ? EB_BTF_FUNC_PROTO : EB_BTF_STRUCT))
            refuse_member(p, m->name,
                          programs ? "does not point to functions"
                                   : "does not point to the struct of a map");
        else if (!programs)
            p->below = id;
    }
}

static void set_pinning(parser *p, const eb_btf_member *m) {
    p->map->pinning = number(p, m); /* loaders in Go have kinds of their own */
    if (p->inner)
        refuse_member(p, m->name, "cannot stand in an inner map");
}

static void parse_member(parser *p, const eb_btf_member *m, bool last) {
    eb_map_def *map = p->map;
    if (eb_str_is(m->name, "type"))
        map->type = number(p, m);
    else if (eb_str_is(m->name, "max_entries"))
        map->max_entries = number(p, m);
    else if (eb_str_is(m->name, "map_flags"))
        map->flags = number(p, m);
    else if (eb_str_is(m->name, "numa_node"))
        map->numa_node = number(p, m);
    else if (eb_str_is(m->name, "map_extra"))
        map->extra = long_number(p, m);
    else if (eb_str_is(m->name, "pinning"))
        set_pinning(p, m);
    else if (eb_str_is(m->name, "key_size"))
        set_size(p, m->name, &map->key_size, number(p, m));
    else if (eb_str_is(m->name, "value_size"))
        set_size(p, m->name, &map->value_size, number(p, m));
    else if (eb_str_is(m->name, "key"))
        set_type(p, m, &map->key_size, &map->btf_key);
    else if (eb_str_is(m->name, "value"))
        set_type(p, m, &map->value_size, &map->btf_value);
    else if (eb_str_is(m->name, "values"))
        set_values(p, m, last);
    else
        refuse_member(p, m->name, "is no member of a map definition");
}

static void parse_struct(parser *p, uint32_t id) {
    eb_btf_type type = type_at(p, id);
    if (type.count > MOST_MEMBERS)
        refuse(p, "its struct has more than 64 members");
    for (uint32_t i = 0; i < type.count && !p->failed; i++) {
        eb_btf_member m = eb_btf_member_at(p->btf, &type, i);
        parse_member(p, &m, i + 1 == type.count);
    }
    if (!p->failed && !p->map->type)
        refuse(p, "its 'type' is missing");
}

/* ---- the section ---- */

/* The symbols of section .maps by name. */
static eb_map symbols_of(const ebpf_object *obj, uint32_t section) {
    eb_map symbols = {.arena = &obj->ctx->arena};
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        bool is_new = false;
        if (obj->symbols.at[i].section == section && obj->symbols.at[i].name.len) {
            uint32_t *index = eb_map_enter(&symbols, obj->symbols.at[i].name, &is_new);
            if (is_new)
                *index = i;
        }
    }
    return symbols;
}

/* `below` receives the struct of the inner map, or 0. What is no good map is left out. */
static void parse_map(ebpf_object *obj, uint32_t section, const eb_map *symbols,
                      const eb_btf_member *entry, uint32_t *below) {
    eb_btf_type var = eb_btf_at(obj->btf, entry->type);
    eb_map_def *map = EB_PUSH(&obj->ctx->arena, &obj->maps);
    const uint32_t *symbol = eb_map_find(symbols, var.name);
    *map = (eb_map_def){.name = var.name, .symbol = symbol ? *symbol : 0};
    parser p = {.obj = obj, .btf = obj->btf, .map = map};
    uint32_t type = eb_btf_strip(obj->btf, var.size_or_type);
    if (var.kind != EB_BTF_VAR || !var.name.len)
        refuse(&p, "it is no variable with a name");
    else if (var.extra != EB_BTF_GLOBAL)
        refuse(&p, "maps must be global variables");
    else if (type_at(&p, type).kind != EB_BTF_STRUCT)
        refuse(&p, "its type is not a struct");
    else if ((uint64_t)entry->offset + entry->size > obj->sections.at[section].size)
        refuse(&p, "it reaches past the end of section .maps");
    else
        parse_struct(&p, type);
    *below = p.below;
    obj->maps.len -= p.failed;
}

static void parse_inner(ebpf_object *obj, uint32_t outer, uint32_t type) {
    eb_str name = obj->maps.at[outer].name;
    eb_map_def *map = EB_PUSH(&obj->ctx->arena, &obj->maps);
    map->name = eb_str_fmt(&obj->ctx->arena, "%.*s.inner", (int)name.len, name.at);
    parser p = {.obj = obj, .btf = obj->btf, .map = map, .inner = true};
    parse_struct(&p, type);
    if (p.failed)
        obj->maps.len--;
    else
        obj->maps.at[outer].inner = obj->maps.len;
}

static int by_offset(const void *data, uint32_t a, uint32_t b) {
    const eb_btf_member *left = (const eb_btf_member *)data + a,
                        *right = (const eb_btf_member *)data + b;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

static void parse_datasec(ebpf_object *obj, uint32_t section, uint32_t datasec) {
    eb_btf_type type = eb_btf_at(obj->btf, datasec);
    uint32_t count = type.count;
    eb_btf_member *entries = eb_alloc_array(&obj->ctx->arena, count, sizeof *entries);
    uint32_t *order = eb_alloc_array(&obj->ctx->arena, count, sizeof *order);
    uint32_t *below = eb_alloc_array(&obj->ctx->arena, count, sizeof *below);
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = eb_btf_member_at(obj->btf, &type, i);
        order[i] = i;
    }
    eb_sort(&obj->ctx->arena, order, count, by_offset, entries);
    eb_map symbols = symbols_of(obj, section);
    for (uint32_t i = 0; i < count; i++)
        parse_map(obj, section, &symbols, &entries[order[i]], &below[obj->maps.len]);
    uint32_t outer = obj->maps.len;
    for (uint32_t i = 0; i < outer; i++)
        if (below[i])
            parse_inner(obj, i, below[i]);
}

/* Without BTF only the symbols tell that there are maps. The code can still be read and shown. */
static void warn_undescribed(ebpf_object *obj, uint32_t section) {
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        const eb_symbol *symbol = &obj->symbols.at[i];
        if (symbol->section == section && symbol->type != EB_STT_SECTION)
            complain(obj, EB_DIAG_UNDESCRIBED_MAP, symbol->name, i, "");
    }
}

void eb_maps_index(ebpf_object *obj) {
    if (eb_object_find_section(obj, EB_STR("maps")))
        eb_diag_input(obj->ctx, EB_DIAG_LEGACY_MAPS, obj->name, -1);
    uint32_t section = eb_object_find_section(obj, EB_STR(".maps"));
    if (!section)
        return;
    uint32_t id = obj->btf ? eb_btf_find(obj->btf, EB_BTF_DATASEC, EB_STR(".maps")) : 0;
    if (id)
        parse_datasec(obj, section, id);
    else
        warn_undescribed(obj, section);
}
