/* info.c - an object described as one JSON document, for the CLI and TypeScript:
 *
 * { endian, license, version, sections[], programs[], functions[], maps[], legacyMaps[], globals[],
 *   structOps[], externs[], symbols[], relocations[], core, btf }
 *
 * Offsets and sizes are bytes but for `insns`, which counts 8-byte slots. Types are given as
 * number and name; those of C as it spells them, or null where BTF does not tell. `btf` and `core`
 * are null without BTF. Program types come from section names (kinds.h). */
#include "info.h"

#include "core.h"
#include "ebpf_insn.h"
#include "json.h"
#include "kinds.h"

typedef struct number_name {
    uint32_t number;
    const char *name;
} number_name;

static const number_name section_types[] = {{EB_SHT_PROGBITS, "progbits"},
                                            {EB_SHT_NOBITS, "nobits"},
                                            {EB_SHT_STRTAB, "strtab"},
                                            {EB_SHT_GROUP, "group"},
                                            {7, "note"}};
static const number_name binds[] = {
    {EB_STB_LOCAL, "local"}, {EB_STB_GLOBAL, "global"}, {EB_STB_WEAK, "weak"}};
static const number_name symbol_types[] = {{EB_STT_NOTYPE, "notype"},
                                           {EB_STT_OBJECT, "object"},
                                           {EB_STT_FUNC, "func"},
                                           {EB_STT_SECTION, "section"},
                                           {EB_STT_FILE, "file"}};
static const number_name visibilities[] = {
    {EB_STV_DEFAULT, "default"}, {1, "internal"}, {EB_STV_HIDDEN, "hidden"}, {3, "protected"}};

#define NAME_OF(table, number) name_of((table), sizeof(table) / sizeof *(table), (number))

static const char *name_of(const number_name *table, size_t count, uint32_t number) {
    for (size_t i = 0; i < count; i++)
        if (table[i].number == number)
            return table[i].name;
    return "other";
}

static void key_text(eb_json *json, const char *key, const char *value) {
    eb_json_key_str(json, key, eb_str_from(value));
}

/* ---- sections ---- */

/* As readelf's letters: W, A, X, M, S, G and the like; what has no letter here is left out. */
static void key_flags(eb_json *json, const char *key, uint64_t flags) {
    static const struct {
        uint32_t flag;
        char letter;
    } letters[] = {{EB_SHF_WRITE, 'W'},      {EB_SHF_ALLOC, 'A'},   {EB_SHF_EXECINSTR, 'X'},
                   {EB_SHF_MERGE, 'M'},      {EB_SHF_STRINGS, 'S'}, {EB_SHF_INFO_LINK, 'I'},
                   {EB_SHF_LINK_ORDER, 'L'}, {EB_SHF_GROUP, 'G'}};
    char text[sizeof letters / sizeof *letters];
    size_t len = 0;
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (flags & letters[i].flag)
            text[len++] = letters[i].letter;
    eb_json_key_str(json, key, (eb_str){text, len});
}

static void put_sections(eb_json *json, const ebpf_object *obj) {
    eb_json_key(json, "sections");
    eb_json_open(json, '[');
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        const eb_section *section = &obj->sections.at[i];
        eb_json_open(json, '{');
        eb_json_key_str(json, "name", section->name);
        key_text(json, "type", NAME_OF(section_types, section->type));
        key_flags(json, "flags", section->flags);
        eb_json_key_uint(json, "size", section->size);
        eb_json_key_uint(json, "align", section->align);
        eb_json_key_uint(json, "relocs", section->relocs.len);
        eb_json_close(json, '}');
    }
    eb_json_close(json, ']');
}

/* ---- programs, functions ---- */

static void put_place(eb_json *json, const ebpf_object *obj, const eb_func *func) {
    eb_json_key_str(json, "name", func->name);
    eb_json_key_str(json, "section", obj->sections.at[func->section].name);
    eb_json_key_uint(json, "offset", func->offset);
    eb_json_key_uint(json, "insns", func->size / EBPF_SLOT);
    eb_json_key_uint(json, "coreRelocs", eb_info_core_count(obj, func));
}

static void put_program(eb_json *json, const ebpf_object *obj, const eb_func *func) {
    eb_sec_kind kind = eb_sec_kind_of(obj->sections.at[func->section].name);
    eb_json_open(json, '{');
    put_place(json, obj, func);
    eb_json_key_uint(json, "type", kind.prog);
    key_text(json, "typeName", eb_prog_type_name(kind.prog));
    eb_json_key_uint(json, "attachType", kind.attach);
    eb_json_key(json, "attachTypeName");
    if (kind.attach)
        eb_json_str(json, eb_str_from(eb_attach_type_name(kind.attach)));
    else
        eb_json_null(json);
    eb_json_key_str(json, "attachTarget", kind.target);
    eb_json_key_bool(json, "sleepable", kind.flags & EB_SEC_SLEEPABLE);
    eb_json_key_bool(json, "frags", kind.flags & EB_SEC_FRAGS);
    eb_json_key_bool(json, "autoload", !kind.manual);
    eb_json_close(json, '}');
}

static void put_functions(eb_json *json, const ebpf_object *obj) {
    eb_json_key(json, "programs");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < obj->funcs.len; i++)
        if (obj->funcs.at[i].program)
            put_program(json, obj, &obj->funcs.at[i]);
    eb_json_close(json, ']');
    eb_json_key(json, "functions");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < obj->funcs.len; i++) {
        const eb_func *func = &obj->funcs.at[i];
        if (func->program)
            continue;
        eb_json_open(json, '{');
        put_place(json, obj, func);
        eb_json_key_bool(json, "global", obj->symbols.at[func->symbol].bind != EB_STB_LOCAL);
        eb_json_close(json, '}');
    }
    eb_json_close(json, ']');
}

/* ---- maps ---- */

static void key_type(eb_json *json, const ebpf_object *obj, const char *key, uint32_t type) {
    eb_json_key(json, key);
    if (type && obj->btf)
        eb_json_str(json, eb_info_spell(obj, type));
    else
        eb_json_null(json);
}

static void put_values(eb_json *json, const eb_info *info, uint32_t map) {
    eb_json_key(json, "values");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < info->map_values.len; i++) {
        const eb_info_slot *slot = &info->map_values.at[i];
        if (slot->owner != map)
            continue;
        eb_json_open(json, '{');
        eb_json_key_uint(json, "slot", slot->slot);
        eb_json_key_str(json, "name", slot->name);
        eb_json_close(json, '}');
    }
    eb_json_close(json, ']');
}

static void put_map(eb_json *json, const eb_info *info, uint32_t number) {
    const ebpf_object *obj = info->obj;
    const eb_map_def *map = &obj->maps.at[number];
    eb_json_open(json, '{');
    eb_json_key_str(json, "name", map->name);
    eb_json_key_uint(json, "type", map->type);
    key_text(json, "typeName", eb_map_type_name(map->type));
    eb_json_key_uint(json, "keySize", map->key_size);
    eb_json_key_uint(json, "valueSize", map->value_size);
    eb_json_key_uint(json, "maxEntries", map->max_entries);
    eb_json_key_uint(json, "flags", map->flags);
    eb_json_key_uint(json, "numaNode", map->numa_node);
    eb_json_key_uint(json, "extra", map->extra);
    eb_json_key_uint(json, "pinning", map->pinning);
    key_type(json, obj, "key", map->btf_key);
    key_type(json, obj, "value", map->btf_value);
    put_values(json, info, number);
    eb_json_key(json, "inner"); /* one level is all there is */
    if (map->inner)
        put_map(json, info, map->inner - 1);
    else
        eb_json_null(json);
    eb_json_close(json, '}');
}

static void put_maps(eb_json *json, const eb_info *info) {
    eb_json_key(json, "maps");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < info->maps; i++)
        put_map(json, info, i);
    eb_json_close(json, ']');
    eb_json_key(json, "legacyMaps");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < info->legacy_maps.len; i++)
        eb_json_str(json, info->legacy_maps.at[i]);
    eb_json_close(json, ']');
}

/* ---- variables, externs ---- */

static void put_globals(eb_json *json, const eb_info *info) {
    const ebpf_object *obj = info->obj;
    eb_json_key(json, "globals");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < info->globals.len; i++) {
        const eb_info_var *var = &info->globals.at[i];
        const eb_section *section = &obj->sections.at[var->section];
        eb_json_open(json, '{');
        eb_json_key_str(json, "name", var->name);
        eb_json_key_str(json, "section", section->name);
        key_type(json, obj, "type", var->type);
        eb_json_key_uint(json, "offset", var->offset);
        eb_json_key_uint(json, "size", var->size);
        eb_json_key_bool(json, "readOnly", !(section->flags & EB_SHF_WRITE));
        eb_json_key_bool(json, "static", var->local);
        eb_json_close(json, '}');
    }
    eb_json_close(json, ']');
}

static void put_members(eb_json *json, const eb_info *info, uint32_t owner) {
    eb_json_key(json, "members");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < info->struct_members.len; i++) {
        const eb_info_slot *slot = &info->struct_members.at[i];
        if (slot->owner != owner)
            continue;
        eb_json_open(json, '{');
        eb_json_key_str(json, "name", slot->member);
        eb_json_key_str(json, "program", slot->name);
        eb_json_close(json, '}');
    }
    eb_json_close(json, ']');
}

static void put_struct_ops(eb_json *json, const eb_info *info) {
    eb_json_key(json, "structOps");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < info->struct_ops.len; i++) {
        const eb_info_var *var = &info->struct_ops.at[i];
        eb_json_open(json, '{');
        eb_json_key_str(json, "name", var->name);
        eb_json_key_str(json, "section", info->obj->sections.at[var->section].name);
        key_type(json, info->obj, "type", var->type);
        put_members(json, info, i);
        eb_json_close(json, '}');
    }
    eb_json_close(json, ']');
}

static void put_externs(eb_json *json, const eb_info *info) {
    eb_json_key(json, "externs");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < info->externs.len; i++) {
        const eb_info_extern *extern_ = &info->externs.at[i];
        eb_json_open(json, '{');
        eb_json_key_str(json, "name", extern_->name);
        key_text(json, "kind", extern_->kind);
        key_type(json, info->obj, "type", extern_->type);
        eb_json_key_bool(json, "weak", extern_->weak);
        eb_json_close(json, '}');
    }
    eb_json_close(json, ']');
}

/* ---- relocations ---- */

/* What is added to the symbol: in the relocation, or in place. */
static int64_t addend_of(const ebpf_object *obj, const eb_section *section, const eb_reloc *reloc) {
    unsigned size = reloc->type == EB_R_BPF_64_64   ? 16
                    : reloc->type == EB_R_BPF_64_32 ? 8
                                                    : eb_reloc_size(reloc->type);
    if (section->rela || !size || section->bytes.len < size ||
        reloc->offset > section->bytes.len - size)
        return reloc->addend;
    const uint8_t *at = section->bytes.at + reloc->offset;
    switch (reloc->type) {
    case EB_R_BPF_64_64:
        return (int64_t)((uint64_t)eb_get32(at + 12, obj->big) << 32 | eb_get32(at + 4, obj->big));
    case EB_R_BPF_64_32: /* slots from the next instruction */
        return ((int64_t)(int32_t)eb_get32(at + 4, obj->big) + 1) * EBPF_SLOT;
    default:
        return size == 8 ? (int64_t)eb_get64(at, obj->big) : (int64_t)eb_get32(at, obj->big);
    }
}

static void put_relocs_of(eb_json *json, const ebpf_object *obj, const eb_section *section) {
    for (uint32_t i = 0; i < section->relocs.len; i++) {
        const eb_reloc *reloc = &section->relocs.at[i];
        const char *type = eb_reloc_name(reloc->type);
        eb_json_open(json, '{');
        eb_json_key_str(json, "section", section->name);
        eb_json_key_uint(json, "offset", reloc->offset);
        eb_json_key_uint(json, "type", reloc->type);
        key_text(json, "typeName", type ? type : "unknown");
        eb_json_key_str(json, "symbol", eb_info_symbol_name(obj, reloc->symbol));
        eb_json_key_int(json, "addend", addend_of(obj, section, reloc));
        eb_json_close(json, '}');
    }
}

static void put_relocs(eb_json *json, const ebpf_object *obj) {
    eb_json_key(json, "relocations");
    eb_json_open(json, '[');
    for (uint32_t i = 1; i < obj->sections.len; i++)
        if (eb_info_is_loaded(&obj->sections.at[i]))
            put_relocs_of(json, obj, &obj->sections.at[i]);
    eb_json_close(json, ']');
}

/* ---- BTF ---- */

/* CO-RE relocations by kind. */
static void put_core(eb_json *json, const ebpf_object *obj) {
    uint32_t counts[EB_CORE_KINDS + 1] = {0}, total = 0;
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        const eb_section *section = &obj->sections.at[i];
        total += section->core.len;
        for (uint32_t r = 0; r < section->core.len; r++)
            counts[section->core.at[r].kind < EB_CORE_KINDS ? section->core.at[r].kind
                                                            : EB_CORE_KINDS]++;
    }
    eb_json_key(json, "core");
    eb_json_open(json, '{');
    eb_json_key_uint(json, "total", total);
    eb_json_key(json, "kinds");
    eb_json_open(json, '{');
    for (uint32_t i = 0; i <= EB_CORE_KINDS; i++)
        if (counts[i])
            eb_json_key_uint(json, eb_core_kind_name(i), counts[i]);
    eb_json_close(json, '}');
    eb_json_close(json, '}');
}

static void put_btf(eb_json *json, const ebpf_object *obj) {
    uint32_t functions = 0, lines = 0;
    if (!obj->btf) {
        eb_json_key(json, "core");
        eb_json_null(json);
        eb_json_key(json, "btf");
        eb_json_null(json);
        return;
    }
    put_core(json, obj);
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        functions += obj->sections.at[i].func_types.len;
        lines += obj->sections.at[i].lines.len;
    }
    eb_json_key(json, "btf");
    eb_json_open(json, '{');
    eb_json_key_uint(json, "types", obj->btf->count - 1);
    eb_json_key_uint(json, "functions", functions);
    eb_json_key_uint(json, "lines", lines);
    eb_json_close(json, '}');
}

/* ---- symbols ---- */

static eb_str section_name(const ebpf_object *obj, uint32_t section) {
    if (section == EB_SHN_ABS)
        return EB_STR("*ABS*");
    if (section == EB_SHN_COMMON)
        return EB_STR("*COM*");
    return section && section < obj->sections.len ? obj->sections.at[section].name : (eb_str){0};
}

static void put_symbols(eb_json *json, const ebpf_object *obj) {
    eb_json_key(json, "symbols");
    eb_json_open(json, '[');
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        const eb_symbol *symbol = &obj->symbols.at[i];
        eb_json_open(json, '{');
        eb_json_key_str(json, "name", symbol->name);
        eb_json_key(json, "section");
        if (symbol->section)
            eb_json_str(json, section_name(obj, symbol->section));
        else
            eb_json_null(json);
        eb_json_key_uint(json, "value", symbol->value);
        eb_json_key_uint(json, "size", symbol->size);
        key_text(json, "bind", NAME_OF(binds, symbol->bind));
        key_text(json, "type", NAME_OF(symbol_types, symbol->type));
        key_text(json, "visibility", NAME_OF(visibilities, symbol->visibility));
        eb_json_close(json, '}');
    }
    eb_json_close(json, ']');
}

void eb_object_info_json(const ebpf_object *obj, eb_buf *out) {
    eb_json json = {.buf = *out};
    eb_info info = eb_info_of(obj);
    eb_json_open(&json, '{');
    key_text(&json, "endian", obj->big ? "big" : "little");
    eb_json_key_str(&json, "license", obj->license);
    eb_json_key(&json, "version");
    if (info.has_version)
        eb_json_uint(&json, info.version);
    else
        eb_json_null(&json);
    put_sections(&json, obj);
    put_functions(&json, obj);
    put_maps(&json, &info);
    put_globals(&json, &info);
    put_struct_ops(&json, &info);
    put_externs(&json, &info);
    put_symbols(&json, obj);
    put_relocs(&json, obj);
    put_btf(&json, obj);
    eb_json_close(&json, '}');
    *out = json.buf;
}
