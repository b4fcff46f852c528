/* info_text.c - an object described for people: one part per kind of thing, a line each, in
 * columns; parts with nothing in them are left out. */
#include <string.h>

#include "ebpf_insn.h"
#include "info.h"
#include "kinds.h"

enum { COLUMNS = 4, WIDEST = 48, PIN_BY_NAME = 1 };

/* Lines of cells; a column is as wide as its widest cell, the last one is open. */
typedef struct table {
    eb_arena *arena;
    EB_VEC(eb_str) cells;
    size_t widths[COLUMNS];
} table;

static void cell(table *t, eb_str text) {
    size_t *width = &t->widths[t->cells.len % COLUMNS];
    size_t shown = text.len < WIDEST ? text.len : WIDEST;
    *width = *width < shown ? shown : *width;
    *EB_PUSH(t->arena, &t->cells) = text;
}

/* What would move the cursor is shown as a question mark. */
static void put_safe(eb_buf *out, eb_str text) {
    uint8_t *at = eb_buf_reserve(out, text.len);
    for (size_t i = 0; i < text.len; i++)
        at[i] = (uint8_t)text.at[i] < 0x20 || text.at[i] == 0x7f ? '?' : (uint8_t)text.at[i];
    out->len += text.len;
}

static void put_table(eb_buf *out, const char *title, const table *t) {
    if (!t->cells.len)
        return;
    eb_buf_fmt(out, "\n%s\n", title);
    for (uint32_t i = 0; i < t->cells.len; i++) {
        eb_str text = t->cells.at[i];
        uint32_t column = i % COLUMNS;
        eb_buf_str(out, EB_STR("  "));
        put_safe(out, text);
        if (column + 1 == COLUMNS) {
            while (out->at[out->len - 1] == ' ')
                out->len--;
            eb_buf_byte(out, '\n');
            continue;
        }
        for (size_t w = text.len; w < t->widths[column]; w++)
            eb_buf_byte(out, ' ');
    }
}

static eb_str count_text(eb_arena *arena, uint64_t count, const char *what) {
    return eb_str_fmt(arena, "%llu %s%s", (unsigned long long)count, what, count == 1 ? "" : "s");
}

static eb_str size_text(const ebpf_object *obj, const eb_func *func) {
    eb_arena *arena = &obj->ctx->arena;
    eb_str insns = count_text(arena, func->size / EBPF_SLOT, "instruction");
    uint32_t core = eb_info_core_count(obj, func);
    return core ? eb_str_fmt(arena, "%s, %u CO-RE", insns.at, core) : insns;
}

static eb_str kind_text(const ebpf_object *obj, eb_str section) {
    eb_sec_kind kind = eb_sec_kind_of(section);
    const char *type = kind.prog ? eb_prog_type_name(kind.prog) : "of no known type";
    return eb_str_fmt(&obj->ctx->arena, "%s%s%s%s%s", type, kind.attach ? "/" : "",
                      kind.attach ? eb_attach_type_name(kind.attach) : "",
                      kind.flags & EB_SEC_SLEEPABLE ? ", sleepable" : "",
                      kind.manual ? ", not loaded by itself" : "");
}

static void put_functions(eb_buf *out, const ebpf_object *obj, bool programs) {
    table t = {.arena = &obj->ctx->arena};
    for (uint32_t i = 0; i < obj->funcs.len; i++) {
        const eb_func *func = &obj->funcs.at[i];
        eb_str section = obj->sections.at[func->section].name;
        bool local = obj->symbols.at[func->symbol].bind == EB_STB_LOCAL;
        if (func->program != programs)
            continue;
        cell(&t, func->name);
        cell(&t, section);
        cell(&t, programs ? kind_text(obj, section) : local ? EB_STR("static") : EB_STR("global"));
        cell(&t, size_text(obj, func));
    }
    put_table(out, programs ? "Programs" : "Functions", &t);
}

/* "u32 (4)", or the size alone; empty where there is nothing. */
static eb_str typed(const ebpf_object *obj, uint32_t type, uint64_t size) {
    eb_arena *arena = &obj->ctx->arena;
    eb_str name = eb_info_spell(obj, type);
    if (!size && !name.len)
        return (eb_str){0};
    if (!name.len)
        return count_text(arena, size, "byte");
    return eb_str_fmt(arena, "%.*s (%llu)", (int)name.len, name.at, (unsigned long long)size);
}

static void put_rest_of_map(const eb_info *info, uint32_t number, eb_buf *text) {
    const eb_map_def *map = &info->obj->maps.at[number];
    const char *comma = "";
    if (map->max_entries)
        eb_buf_fmt(text, "%s%u %s", comma, map->max_entries,
                   map->type == EB_MAP_RINGBUF || map->type == EB_MAP_USER_RINGBUF ? "bytes"
                                                                                   : "entries"),
            comma = ", ";
    if (map->flags)
        eb_buf_fmt(text, "%sflags 0x%x", comma, map->flags), comma = ", ";
    if (map->extra)
        eb_buf_fmt(text, "%sextra 0x%llx", comma, (unsigned long long)map->extra), comma = ", ";
    if (map->pinning == PIN_BY_NAME)
        eb_buf_fmt(text, "%spinned by name", comma), comma = ", ";
    else if (map->pinning)
        eb_buf_fmt(text, "%spinning %u", comma, map->pinning), comma = ", ";
    if (map->inner)
        eb_buf_fmt(text, "%sof %s maps", comma,
                   eb_map_type_name(info->obj->maps.at[map->inner - 1].type)),
            comma = ", ";
    for (uint32_t i = 0; i < info->map_values.len; i++) {
        const eb_info_slot *slot = &info->map_values.at[i];
        if (slot->owner == number)
            eb_buf_fmt(text, "%s[%llu] = %.*s", comma, (unsigned long long)slot->slot,
                       (int)slot->name.len, slot->name.at),
                comma = ", ";
    }
}

static void put_maps(eb_buf *out, const eb_info *info) {
    const ebpf_object *obj = info->obj;
    eb_arena *arena = &obj->ctx->arena;
    table t = {.arena = arena};
    for (uint32_t i = 0; i < info->maps; i++) {
        const eb_map_def *map = &obj->maps.at[i];
        eb_str key = typed(obj, map->btf_key, map->key_size);
        eb_str value = typed(obj, map->btf_value, map->value_size);
        eb_buf rest = {.arena = arena};
        put_rest_of_map(info, i, &rest);
        cell(&t, map->name);
        cell(&t, eb_str_from(eb_map_type_name(map->type)));
        cell(&t, eb_str_fmt(arena, "%.*s%s%.*s", (int)key.len, key.at ? key.at : "",
                            key.len && value.len ? " -> " : "", (int)value.len,
                            value.at ? value.at : ""));
        cell(&t, (eb_str){(const char *)rest.at, rest.len});
    }
    for (uint32_t i = 0; i < info->legacy_maps.len; i++) {
        cell(&t, info->legacy_maps.at[i]);
        cell(&t, EB_STR("old form"));
        cell(&t, (eb_str){0});
        cell(&t, EB_STR("in section maps: libbpf does not take it"));
    }
    put_table(out, "Maps", &t);
}

static void put_vars(eb_buf *out, const eb_info *info, const char *title,
                     const eb_info_vars *vars) {
    const ebpf_object *obj = info->obj;
    eb_arena *arena = &obj->ctx->arena;
    table t = {.arena = arena};
    for (uint32_t i = 0; i < vars->len; i++) {
        const eb_info_var *var = &vars->at[i];
        eb_buf rest = {.arena = arena};
        eb_buf_fmt(&rest, "offset %llu%s", (unsigned long long)var->offset,
                   var->local ? ", static" : "");
        for (uint32_t m = 0; vars == &info->struct_ops && m < info->struct_members.len; m++) {
            const eb_info_slot *slot = &info->struct_members.at[m];
            if (slot->owner == i)
                eb_buf_fmt(&rest, ", .%.*s = %.*s", (int)slot->member.len, slot->member.at,
                           (int)slot->name.len, slot->name.at);
        }
        cell(&t, var->name);
        cell(&t, obj->sections.at[var->section].name);
        cell(&t, typed(obj, var->type, var->size));
        cell(&t, (eb_str){(const char *)rest.at, rest.len});
    }
    put_table(out, title, &t);
}

static void put_externs(eb_buf *out, const eb_info *info) {
    table t = {.arena = &info->obj->ctx->arena};
    for (uint32_t i = 0; i < info->externs.len; i++) {
        const eb_info_extern *e = &info->externs.at[i];
        cell(&t, e->name);
        cell(&t, eb_str_from(e->kind));
        cell(&t, eb_info_spell(info->obj, e->type));
        cell(&t, e->weak ? EB_STR("weak") : (eb_str){0});
    }
    put_table(out, "Externs", &t);
}

static void put_sections(eb_buf *out, const ebpf_object *obj) {
    eb_arena *arena = &obj->ctx->arena;
    table t = {.arena = arena};
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        const eb_section *section = &obj->sections.at[i];
        uint32_t relocs = section->relocs.len;
        cell(&t, section->name);
        cell(&t, section->flags & EB_SHF_EXECINSTR ? EB_STR("code")
                 : section->type == EB_SHT_NOBITS  ? EB_STR("zeroes")
                 : section->flags & EB_SHF_ALLOC   ? EB_STR("data")
                                                   : (eb_str){0});
        cell(&t, count_text(arena, section->size, "byte"));
        cell(&t, relocs ? count_text(arena, relocs, "relocation") : (eb_str){0});
    }
    put_table(out, "Sections", &t);
}

void eb_object_info_text(const ebpf_object *obj, eb_buf *out) {
    eb_info info = eb_info_of(obj);
    put_safe(out, obj->name);
    eb_buf_fmt(out, ": BPF object, %s-endian, licence '", obj->big ? "big" : "little");
    put_safe(out, obj->license);
    eb_buf_byte(out, '\'');
    if (info.has_version)
        eb_buf_fmt(out, ", for kernel %u.%u.%u", info.version >> 16, info.version >> 8 & 0xff,
                   info.version & 0xff);
    if (obj->btf)
        eb_buf_fmt(out, ", BTF of %u types", obj->btf->count - 1);
    eb_buf_byte(out, '\n');
    put_functions(out, obj, true);
    put_functions(out, obj, false);
    put_maps(out, &info);
    put_vars(out, &info, "Globals", &info.globals);
    put_vars(out, &info, "Struct ops", &info.struct_ops);
    put_externs(out, &info);
    put_sections(out, obj);
}
