/* info_gather.c - see info.h: globals and externs from BTF's data sections, completed from the
 * symbol table; what fills maps and struct_ops from the relocations of their sections. */
#include <string.h>

#include "info.h"
#include "map.h"
#include "sort.h"

eb_str eb_info_spell(const ebpf_object *obj, uint32_t type) {
    eb_buf text = {.arena = &obj->ctx->arena};
    if (type && obj->btf)
        eb_btf_spell(obj->btf, type, &text);
    return (eb_str){(const char *)text.at, text.len};
}

uint32_t eb_info_core_count(const ebpf_object *obj, const eb_func *func) {
    const eb_section *section = &obj->sections.at[func->section];
    uint32_t count = 0;
    for (uint32_t i = 0; i < section->core.len; i++) {
        uint64_t offset = section->core.at[i].offset;
        count += offset >= func->offset && offset - func->offset < func->size;
    }
    return count;
}

eb_str eb_info_symbol_name(const ebpf_object *obj, uint32_t number) {
    const eb_symbol *symbol = &obj->symbols.at[number];
    if (symbol->type == EB_STT_SECTION && symbol->section < obj->sections.len)
        return obj->sections.at[symbol->section].name;
    return symbol->name;
}

bool eb_info_is_loaded(const eb_section *section) {
    return (section->flags & EB_SHF_ALLOC) != 0;
}

static bool is_struct_ops(eb_str name) {
    if (name.len && name.at[0] == '?')
        name = (eb_str){name.at + 1, name.len - 1};
    return eb_str_is(name, ".struct_ops") || eb_str_is(name, ".struct_ops.link");
}

/* Sections of variables that programs share: not those that say something to a loader. */
static bool is_data(const eb_section *section) {
    static const char *const others[] = {".maps", "maps", "license", "version", ".ksyms"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (eb_str_is(section->name, others[i]))
            return false;
    return eb_info_is_loaded(section) && !(section->flags & EB_SHF_EXECINSTR) &&
           (section->type == EB_SHT_PROGBITS || section->type == EB_SHT_NOBITS) &&
           !is_struct_ops(section->name);
}

/* ---- variables ---- */

static void add_var(eb_info *info, eb_info_vars *to, eb_info_var var) {
    *EB_PUSH(&info->obj->ctx->arena, to) = var;
}

static void add_btf_vars(eb_info *info, eb_info_vars *to, uint32_t section, uint32_t datasec) {
    const eb_btf *btf = info->obj->btf;
    eb_btf_type type = eb_btf_at(btf, datasec);
    for (uint32_t i = 0; i < type.count; i++) {
        eb_btf_member member = eb_btf_member_at(btf, &type, i);
        eb_btf_type var = eb_btf_at(btf, member.type);
        if (var.kind == EB_BTF_VAR)
            add_var(info, to,
                    (eb_info_var){.name = var.name,
                                  .section = section,
                                  .type = var.size_or_type,
                                  .offset = member.offset,
                                  .size = member.size,
                                  .local = var.extra == EB_BTF_STATIC});
    }
}

/* Those of the sections that are marked. */
static void add_symbol_vars(eb_info *info, eb_info_vars *to, const uint8_t *marked) {
    const ebpf_object *obj = info->obj;
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        const eb_symbol *symbol = &obj->symbols.at[i];
        if (symbol->section < obj->sections.len && marked[symbol->section] &&
            symbol->type == EB_STT_OBJECT)
            add_var(info, to,
                    (eb_info_var){.name = symbol->name,
                                  .section = symbol->section,
                                  .offset = symbol->value,
                                  .size = symbol->size,
                                  .local = symbol->bind == EB_STB_LOCAL});
    }
}

static int by_place(const void *data, uint32_t a, uint32_t b) {
    const eb_info_var *left = (const eb_info_var *)data + a, *right = (const eb_info_var *)data + b;
    if (left->section != right->section)
        return left->section < right->section ? -1 : 1;
    return left->offset < right->offset ? -1 : left->offset > right->offset;
}

static void sort_vars(eb_info *info, eb_info_vars *list) {
    eb_arena *arena = &info->obj->ctx->arena;
    uint32_t *order = eb_alloc_array(arena, list->len, sizeof *order);
    eb_info_var *sorted = eb_alloc_array(arena, list->len, sizeof *sorted);
    for (uint32_t i = 0; i < list->len; i++)
        order[i] = i;
    eb_sort(arena, order, list->len, by_place, list->at);
    for (uint32_t i = 0; i < list->len; i++)
        sorted[i] = list->at[order[i]];
    list->at = sorted;
    list->cap = list->len;
}

/* The variables of data sections, or of struct_ops: from BTF where it knows the section. */
static void gather_vars(eb_info *info, eb_info_vars *to, bool struct_ops) {
    const ebpf_object *obj = info->obj;
    uint8_t *unknown = eb_alloc_array(&obj->ctx->arena, obj->sections.len, 1);
    eb_map seen = {.arena = &obj->ctx->arena};
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        const eb_section *section = &obj->sections.at[i];
        bool is_new;
        if (struct_ops ? !is_struct_ops(section->name) : !is_data(section))
            continue;
        uint32_t datasec = obj->btf ? eb_btf_find(obj->btf, EB_BTF_DATASEC, section->name) : 0;
        eb_map_enter(&seen, section->name, &is_new);
        unknown[i] = !datasec;
        if (datasec && is_new)
            add_btf_vars(info, to, i, datasec);
    }
    add_symbol_vars(info, to, unknown);
    sort_vars(info, to);
}

/* ---- externs ---- */

/* The variables and functions of a data section of BTF: names to ids. */
static eb_map names_in(const eb_btf *btf, const char *datasec) {
    eb_map names = {.arena = btf->arena};
    uint32_t id = eb_btf_find(btf, EB_BTF_DATASEC, eb_str_from(datasec));
    eb_btf_type type = eb_btf_at(btf, id);
    bool is_new;
    for (uint32_t i = 0; id && i < type.count; i++) {
        uint32_t member = eb_btf_member_at(btf, &type, i).type;
        *eb_map_enter(&names, eb_btf_name(btf, member), &is_new) = member;
    }
    return names;
}

static void gather_externs(eb_info *info) {
    const ebpf_object *obj = info->obj;
    eb_map kconfig = {0}, ksyms = {0};
    if (obj->btf) {
        kconfig = names_in(obj->btf, ".kconfig");
        ksyms = names_in(obj->btf, ".ksyms");
    }
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        const eb_symbol *symbol = &obj->symbols.at[i];
        if (symbol->section != EB_SHN_UNDEF || !symbol->name.len)
            continue;
        const uint32_t *k = eb_map_find(&kconfig, symbol->name);
        const uint32_t *s = eb_map_find(&ksyms, symbol->name);
        eb_btf_type type = {0};
        if (k || s)
            type = eb_btf_at(obj->btf, k ? *k : *s);
        *EB_PUSH(&obj->ctx->arena, &info->externs) =
            (eb_info_extern){.name = symbol->name,
                             .kind = k                          ? "kconfig"
                                     : !s                       ? "unknown"
                                     : type.kind == EB_BTF_FUNC ? "function"
                                                                : "ksym",
                             .type = type.size_or_type,
                             .weak = symbol->bind == EB_STB_WEAK};
    }
}

/* ---- what fills maps and struct_ops ---- */

/* The functions and variables of an object by place. */
typedef struct places {
    const ebpf_object *obj;
    uint32_t *at, count;
} places;

static int symbols_by_place(const void *data, uint32_t a, uint32_t b) {
    const eb_symbol *left = (const eb_symbol *)data + a, *right = (const eb_symbol *)data + b;
    if (left->section != right->section)
        return left->section < right->section ? -1 : 1;
    return left->value < right->value ? -1 : left->value > right->value;
}

static places places_of(const ebpf_object *obj) {
    places p = {.obj = obj};
    p.at = eb_alloc_array(&obj->ctx->arena, obj->symbols.len, sizeof *p.at);
    for (uint32_t i = 1; i < obj->symbols.len; i++)
        if (obj->symbols.at[i].type == EB_STT_FUNC || obj->symbols.at[i].type == EB_STT_OBJECT)
            p.at[p.count++] = i;
    eb_sort(&obj->ctx->arena, p.at, p.count, symbols_by_place, obj->symbols.at);
    return p;
}

/* The last symbol of a section that starts at `offset` or before, or 0. */
static uint32_t symbol_before(const places *p, uint32_t section, uint64_t offset) {
    uint32_t lo = 0, hi = p->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const eb_symbol *symbol = &p->obj->symbols.at[p->at[mid]];
        bool before =
            symbol->section != section ? symbol->section < section : symbol->value <= offset;
        if (before)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo && p->obj->symbols.at[p->at[lo - 1]].section == section ? p->at[lo - 1] : 0;
}

/* The symbol that a relocated field of 8 bytes names; a section-relative one is looked up. */
static eb_str named_by(const places *p, const eb_section *section, const eb_reloc *reloc) {
    const ebpf_object *obj = p->obj;
    const eb_symbol *symbol = &obj->symbols.at[reloc->symbol];
    if (symbol->type != EB_STT_SECTION || section->bytes.len < 8 ||
        reloc->offset > section->bytes.len - 8)
        return eb_info_symbol_name(obj, reloc->symbol);
    uint64_t at = eb_get64(section->bytes.at + reloc->offset, obj->big) + (uint64_t)reloc->addend;
    uint32_t found = symbol_before(p, symbol->section, at);
    return eb_info_symbol_name(obj,
                               found && obj->symbols.at[found].value == at ? found : reloc->symbol);
}

static void add_map_value(eb_info *info, const places *p, const uint32_t *map_of, uint32_t number,
                          const eb_reloc *reloc) {
    const ebpf_object *obj = info->obj;
    uint32_t symbol = symbol_before(p, number, reloc->offset);
    if (!symbol || !map_of[symbol])
        return;
    const eb_map_def *map = &obj->maps.at[map_of[symbol] - 1];
    uint64_t offset = reloc->offset - obj->symbols.at[symbol].value;
    if (!map->values_at || offset < map->values_at)
        return;
    *EB_PUSH(&obj->ctx->arena, &info->map_values) =
        (eb_info_slot){.owner = map_of[symbol] - 1,
                       .slot = (offset - map->values_at) / 8,
                       .name = named_by(p, &obj->sections.at[number], reloc)};
}

/* The member at a place of a struct, or an empty name. */
static eb_str member_at(const eb_btf *btf, uint32_t id, uint64_t offset, uint32_t *number) {
    eb_btf_type type = eb_btf_at(btf, eb_btf_strip(btf, id));
    if (type.kind != EB_BTF_STRUCT)
        return (eb_str){0};
    for (*number = 0; *number < type.count; ++*number) {
        eb_btf_member member = eb_btf_member_at(btf, &type, *number);
        if (member.offset == offset * 8)
            return member.name;
    }
    return (eb_str){0};
}

/* The variable of struct_ops that a relocation lies in, or NULL. */
static const eb_info_var *struct_at(const eb_info *info, uint32_t section, uint64_t offset) {
    uint32_t lo = 0, hi = info->struct_ops.len;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const eb_info_var *var = &info->struct_ops.at[mid];
        if (var->section != section ? var->section < section : var->offset <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    const eb_info_var *var = lo ? &info->struct_ops.at[lo - 1] : NULL;
    return var && var->section == section && offset - var->offset < var->size ? var : NULL;
}

static void add_struct_member(eb_info *info, const places *p, uint32_t number,
                              const eb_reloc *reloc) {
    const ebpf_object *obj = info->obj;
    const eb_info_var *var = struct_at(info, number, reloc->offset);
    uint32_t member = 0;
    eb_str name = {0};
    if (!var)
        return;
    if (obj->btf)
        name = member_at(obj->btf, var->type, reloc->offset - var->offset, &member);
    *EB_PUSH(&obj->ctx->arena, &info->struct_members) =
        (eb_info_slot){.owner = (uint32_t)(var - info->struct_ops.at),
                       .slot = member,
                       .name = named_by(p, &obj->sections.at[number], reloc),
                       .member = name};
}

static void gather_slots(eb_info *info) {
    const ebpf_object *obj = info->obj;
    places p = places_of(obj);
    uint32_t *map_of = eb_alloc_array(&obj->ctx->arena, obj->symbols.len, sizeof *map_of);
    for (uint32_t i = info->maps; i-- > 0;)
        if (obj->maps.at[i].symbol)
            map_of[obj->maps.at[i].symbol] = i + 1;
    for (uint32_t s = 1; s < obj->sections.len; s++) {
        const eb_section *section = &obj->sections.at[s];
        bool maps = eb_str_is(section->name, ".maps"), ops = is_struct_ops(section->name);
        for (uint32_t r = 0; (maps || ops) && r < section->relocs.len; r++) {
            if (maps)
                add_map_value(info, &p, map_of, s, &section->relocs.at[r]);
            else
                add_struct_member(info, &p, s, &section->relocs.at[r]);
        }
    }
}

/* ---- the rest ---- */

static void gather_legacy_maps(eb_info *info) {
    const ebpf_object *obj = info->obj;
    uint32_t section = eb_object_find_section(obj, EB_STR("maps"));
    for (uint32_t i = 1; section && i < obj->symbols.len; i++)
        if (obj->symbols.at[i].section == section && obj->symbols.at[i].type != EB_STT_SECTION)
            *EB_PUSH(&obj->ctx->arena, &info->legacy_maps) = obj->symbols.at[i].name;
}

static void gather_version(eb_info *info) {
    uint32_t index = eb_object_find_section(info->obj, EB_STR("version"));
    const eb_buf *bytes = &info->obj->sections.at[index].bytes;
    info->has_version = index && bytes->len == 4;
    if (info->has_version)
        info->version = eb_get32(bytes->at, info->obj->big);
}

eb_info eb_info_of(const ebpf_object *obj) {
    eb_info info = {.obj = obj, .maps = obj->maps.len};
    for (uint32_t i = 0; i < info.maps; i++)
        if (obj->maps.at[i].inner && obj->maps.at[i].inner - 1 < info.maps)
            info.maps = obj->maps.at[i].inner - 1;
    gather_vars(&info, &info.globals, false);
    gather_vars(&info, &info.struct_ops, true);
    gather_externs(&info);
    gather_slots(&info);
    gather_legacy_maps(&info);
    gather_version(&info);
    return info;
}
