/* sample.h - an object that holds everything the model can, built by hand, and the means to build
 * others. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "unit.h"

#include "btf_ext.h"
#include "kinds.h"
#include "object.h"

static inline void expect_str(eb_str got, eb_str want) {
    if (!eb_str_eq(got, want))
        fail_msg("\"%.*s\" instead of \"%.*s\"", (int)got.len, got.at, (int)want.len, want.at);
}

static inline eb_buf buffer(ebpf_ctx *ctx) {
    return (eb_buf){.arena = &ctx->arena};
}

/* ---- an object of our own ---- */

static inline uint32_t add_symbol(ebpf_object *obj, const char *name, uint32_t section,
                                  uint64_t value, uint64_t size, int bind, int type) {
    uint32_t index = eb_object_add_symbol(obj, eb_str_from(name), section, value);
    eb_symbol *symbol = &obj->symbols.at[index];
    symbol->size = size;
    symbol->bind = (uint8_t)bind;
    symbol->type = (uint8_t)type;
    return index;
}

static inline uint32_t add_section(ebpf_object *obj, const char *name, uint64_t flags,
                                   uint64_t align, size_t size) {
    uint32_t index = eb_object_add_section(obj, eb_str_from(name), EB_SHT_PROGBITS, flags);
    eb_section *section = &obj->sections.at[index];
    section->align = align;
    section->size = size;
    uint8_t *bytes = eb_buf_room(&section->bytes, size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i + 1);
    if (flags & EB_SHF_EXECINSTR) /* exit, throughout */
        for (size_t i = 0; i < size; i++)
            bytes[i] = i % 8 ? 0 : 0x95;
    return index;
}

static inline void add_reloc(ebpf_object *obj, uint32_t section, uint64_t offset, uint32_t type,
                             uint32_t symbol, int64_t addend) {
    *EB_PUSH(&obj->ctx->arena, &obj->sections.at[section].relocs) =
        (eb_reloc){.offset = offset, .type = type, .symbol = symbol, .addend = addend};
}

/* A member of a map definition: `name`, a pointer to `type`. */
typedef struct member {
    const char *name;
    uint32_t type;
} member;

/* __uint(name, number) is a member of this type. */
static inline uint32_t number(eb_btf *btf, uint32_t value) {
    uint32_t integer = eb_btf_find(btf, EB_BTF_INT, EB_STR("int"));
    return eb_btf_add_array(btf, integer, integer, value);
}

static inline uint32_t pointer(eb_btf *btf, uint32_t type) {
    return eb_btf_add_ref(btf, EB_BTF_PTR, (eb_str){0}, type);
}

static inline uint32_t definition(eb_btf *btf, const member *members, uint32_t count) {
    uint32_t first = btf->count;
    for (uint32_t i = 0; i < count; i++)
        pointer(btf, members[i].type);
    uint32_t record = eb_btf_add_record(btf, EB_BTF_STRUCT, (eb_str){0}, count * 8);
    for (uint32_t i = 0; i < count; i++)
        eb_btf_add_member(btf, eb_str_from(members[i].name), first + i, i * 64);
    return record;
}

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

/* int, u32 and struct stat, and a map `counts` of them at the start of .maps. */
static inline eb_btf *describe(ebpf_ctx *ctx, bool big) {
    eb_btf *btf = eb_btf_new(&ctx->arena, big);
    uint32_t integer = eb_btf_add_int(btf, EB_STR("int"), 4, EB_BTF_SIGNED);
    uint32_t u32 = eb_btf_add_ref(btf, EB_BTF_TYPEDEF, EB_STR("u32"), integer);
    uint32_t stat = eb_btf_add_record(btf, EB_BTF_STRUCT, EB_STR("stat"), 16);
    eb_btf_add_member(btf, EB_STR("calls"), integer, 0);
    member members[] = {{"type", number(btf, EB_MAP_HASH)},
                        {"max_entries", number(btf, 64)},
                        {"key", u32},
                        {"value", stat}};
    uint32_t record = definition(btf, members, COUNT(members));
    uint32_t var = eb_btf_add_var(btf, EB_STR("counts"), record, EB_BTF_GLOBAL);
    eb_btf_add_datasec(btf, EB_STR(".maps"), 32);
    eb_btf_add_datasec_var(btf, var, 0, 32);
    return btf;
}

static inline void add_func_type(ebpf_object *obj, uint32_t section, uint32_t offset,
                                 uint32_t type) {
    *EB_PUSH(&obj->ctx->arena, &obj->sections.at[section].func_types) =
        (eb_func_type){offset, type};
}

static inline void add_btf_sections(ebpf_object *obj, eb_btf *btf) {
    eb_buf bytes = buffer(obj->ctx), ext = buffer(obj->ctx);
    eb_btf_ext_write(obj, btf, &ext);
    eb_btf_write(btf, &bytes);
    uint32_t section = eb_object_add_section(obj, EB_STR(".BTF"), EB_SHT_PROGBITS, 0);
    obj->sections.at[section].align = 4;
    obj->sections.at[section].bytes = bytes;
    obj->sections.at[section].size = bytes.len;
    section = eb_object_add_section(obj, EB_STR(".BTF.ext"), EB_SHT_PROGBITS, 0);
    obj->sections.at[section].align = 4;
    obj->sections.at[section].bytes = ext;
    obj->sections.at[section].size = ext.len;
}

/* Everything that the model can hold, symbols in an order that ELF does not allow. */
static inline ebpf_object *sample(ebpf_ctx *ctx, bool big) {
    ebpf_object *obj = eb_object_new(ctx, big);
    obj->name = EB_STR("sample.o");
    uint64_t code = EB_SHF_ALLOC | EB_SHF_EXECINSTR, data = EB_SHF_ALLOC | EB_SHF_WRITE;
    uint32_t text = add_section(obj, ".text", code, 8, 24);
    uint32_t xdp = add_section(obj, "xdp", code, 8, 40);
    uint32_t maps = add_section(obj, ".maps", data, 8, 32);
    uint32_t bss = eb_object_add_section(obj, EB_STR(".bss"), EB_SHT_NOBITS, data);
    obj->sections.at[bss].size = 12;
    obj->sections.at[bss].align = 4;
    uint32_t license = add_section(obj, "license", data, 1, 0);
    eb_buf_put(&obj->sections.at[license].bytes, "GPL", 4);
    obj->sections.at[license].size = 4;
    uint32_t notes = add_section(obj, ".notes", 0, 1, 8);

    uint32_t program = add_symbol(obj, "on_packet", xdp, 0, 40, EB_STB_GLOBAL, EB_STT_FUNC);
    uint32_t map = add_symbol(obj, "counts", maps, 0, 32, EB_STB_GLOBAL, EB_STT_OBJECT);
    uint32_t helper = add_symbol(obj, "helper", text, 8, 0, EB_STB_LOCAL, EB_STT_FUNC);
    add_symbol(obj, "first", text, 0, 8, EB_STB_LOCAL, EB_STT_FUNC);
    add_symbol(obj, "LBB0_1", xdp, 16, 0, EB_STB_LOCAL, EB_STT_NOTYPE);
    uint32_t hidden = add_symbol(obj, "state", bss, 4, 8, EB_STB_GLOBAL, EB_STT_OBJECT);
    obj->symbols.at[hidden].visibility = EB_STV_HIDDEN;
    uint32_t absent = add_symbol(obj, "absent", EB_SHN_UNDEF, 0, 0, EB_STB_WEAK, EB_STT_NOTYPE);
    add_symbol(obj, "sample.c", EB_SHN_ABS, 0, 0, EB_STB_LOCAL, EB_STT_FILE);
    uint32_t start = add_symbol(obj, "", text, 0, 0, EB_STB_LOCAL, EB_STT_SECTION);

    add_reloc(obj, xdp, 0, EB_R_BPF_64_64, map, 0);
    add_reloc(obj, xdp, 16, EB_R_BPF_64_32, helper, 0);
    add_reloc(obj, text, 0, EB_R_BPF_64_64, hidden, 0);
    add_reloc(obj, text, 16, EB_R_BPF_64_32, absent, 0);
    add_reloc(obj, notes, 0, EB_R_BPF_64_ABS32, start, -8);
    add_reloc(obj, notes, 4, EB_R_BPF_64_ABS32, program, INT64_MIN);
    obj->sections.at[notes].rela = true;

    eb_btf *btf = describe(ctx, big);
    uint32_t context = pointer(btf, 0);
    uint32_t proto = eb_btf_add_proto(btf, eb_btf_find(btf, EB_BTF_INT, EB_STR("int")));
    eb_btf_add_param(btf, EB_STR("ctx"), context);
    add_func_type(obj, text, 0, eb_btf_add_func(btf, EB_STR("first"), proto, EB_BTF_STATIC));
    add_func_type(obj, text, 8, eb_btf_add_func(btf, EB_STR("helper"), proto, EB_BTF_STATIC));
    add_func_type(obj, xdp, 0, eb_btf_add_func(btf, EB_STR("on_packet"), proto, EB_BTF_GLOBAL));
    add_btf_sections(obj, btf);
    return obj;
}

#endif
