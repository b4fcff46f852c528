/* info.c - an object described as one JSON document, for people, the CLI and TypeScript:
 *
 * { endian, license, sections[], programs[], functions[], maps[], symbols[], btf }
 *
 * Offsets and sizes are bytes but for `insns`, which counts 8-byte slots. Types are given as
 * number and name; a map's key and value as C spells their types, or null where BTF does not tell.
 * `btf` is null without BTF. Program types come from section names (kinds.h). */
#include "object.h"

#include "btf.h"
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
    if (!type || !obj->btf) {
        eb_json_null(json);
        return;
    }
    eb_buf text = {.arena = &obj->ctx->arena};
    eb_btf_spell(obj->btf, type, &text);
    eb_json_str(json, (eb_str){(const char *)text.at, text.len});
}

static void put_map(eb_json *json, const ebpf_object *obj, const eb_map_def *map) {
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
    eb_json_key(json, "inner"); /* one level is all there is */
    if (map->inner)
        put_map(json, obj, &obj->maps.at[map->inner - 1]);
    else
        eb_json_null(json);
    eb_json_close(json, '}');
}

static void put_maps(eb_json *json, const ebpf_object *obj) {
    uint32_t count = obj->maps.len; /* without the inner definitions, which stand at the end */
    for (uint32_t i = 0; i < count; i++)
        if (obj->maps.at[i].inner && obj->maps.at[i].inner - 1 < count)
            count = obj->maps.at[i].inner - 1;
    eb_json_key(json, "maps");
    eb_json_open(json, '[');
    for (uint32_t i = 0; i < count; i++)
        put_map(json, obj, &obj->maps.at[i]);
    eb_json_close(json, ']');
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
    eb_json_open(&json, '{');
    key_text(&json, "endian", obj->big ? "big" : "little");
    eb_json_key_str(&json, "license", obj->license);
    put_sections(&json, obj);
    put_functions(&json, obj);
    put_maps(&json, obj);
    put_symbols(&json, obj);
    eb_json_key(&json, "btf");
    if (obj->btf) {
        eb_json_open(&json, '{');
        eb_json_key_uint(&json, "types", obj->btf->count - 1);
        eb_json_close(&json, '}');
    } else {
        eb_json_null(&json);
    }
    eb_json_close(&json, '}');
    *out = json.buf;
}
