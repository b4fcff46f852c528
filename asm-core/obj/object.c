/* object.c - making an Object, and the views on it that BPF adds: functions, licence, BTF.
 *
 * The views follow libbpf: a program is a global function of an executable section other than
 * .text; what BTF says of data sections is completed from the symbol table, since clang leaves
 * offsets and sizes to the loader. Maps are in maps.c. */
#include "object.h"

#include <string.h>

#include "btf_ext.h"
#include "ebpf_insn.h"
#include "map.h"
#include "maps.h"
#include "sort.h"

ebpf_object *eb_object_new(ebpf_ctx *ctx, bool big) {
    ebpf_object *obj = eb_alloc(&ctx->arena, sizeof *obj);
    obj->ctx = ctx;
    obj->big = big;
    (void)EB_PUSH(&ctx->arena, &obj->sections);
    (void)EB_PUSH(&ctx->arena, &obj->symbols);
    return obj;
}

uint32_t eb_object_add_section(ebpf_object *obj, eb_str name, uint32_t type, uint64_t flags) {
    eb_arena *arena = &obj->ctx->arena;
    *EB_PUSH(arena, &obj->sections) = (eb_section){
        .name = name, .type = type, .flags = flags, .align = 1, .bytes = {.arena = arena}};
    return obj->sections.len - 1;
}

uint32_t eb_object_add_symbol(ebpf_object *obj, eb_str name, uint32_t section, uint64_t value) {
    *EB_PUSH(&obj->ctx->arena, &obj->symbols) =
        (eb_symbol){.name = name, .section = section, .value = value};
    return obj->symbols.len - 1;
}

uint32_t eb_object_find_section(const ebpf_object *obj, eb_str name) {
    for (uint32_t i = 1; i < obj->sections.len; i++)
        if (eb_str_eq(obj->sections.at[i].name, name))
            return i;
    return 0;
}

int eb_object_from_raw(ebpf_ctx *ctx, eb_str name, const uint8_t *bytes, size_t size, bool big,
                       ebpf_object **out) {
    if (size % EBPF_SLOT) {
        eb_diag_input(ctx, EB_DIAG_RAW_SIZE, name, -1, size);
        return EBPF_E_INPUT;
    }
    ebpf_object *obj = eb_object_new(ctx, big);
    obj->name = eb_str_copy(&ctx->arena, name);
    uint32_t text = eb_object_add_section(obj, EB_STR(".text"), EB_SHT_PROGBITS,
                                          EB_SHF_ALLOC | EB_SHF_EXECINSTR);
    eb_section *section = &obj->sections.at[text];
    section->align = EBPF_SLOT;
    section->size = size;
    eb_buf_put(&section->bytes, bytes, size);
    *out = obj;
    return eb_object_index(obj);
}

/* ---- functions ---- */

static bool is_code(const ebpf_object *obj, uint32_t section) {
    return section < obj->sections.len && obj->sections.at[section].type == EB_SHT_PROGBITS &&
           (obj->sections.at[section].flags & EB_SHF_EXECINSTR) != 0;
}

/* Untyped labels are functions when they are global: hand-written assembly often leaves .type out,
 * while compilers leave local labels of jump targets. */
static bool is_function(const ebpf_object *obj, const eb_symbol *symbol) {
    return is_code(obj, symbol->section) &&
           (symbol->type == EB_STT_FUNC ||
            (symbol->type == EB_STT_NOTYPE && symbol->bind != EB_STB_LOCAL));
}

static int by_place(const void *data, uint32_t a, uint32_t b) {
    const eb_symbol *left = &((const eb_symbol *)data)[a], *right = &((const eb_symbol *)data)[b];
    if (left->section != right->section)
        return left->section < right->section ? -1 : 1;
    return left->value < right->value ? -1 : left->value > right->value;
}

/* What such a symbol stands for nobody knows; the rest of the object is none the worse. */
static void leave_out(const ebpf_object *obj, const eb_symbol *symbol, const char *why) {
    const eb_section *section = &obj->sections.at[symbol->section];
    eb_diag_input(obj->ctx, EB_DIAG_BAD_FUNCTION, obj->name, -1, (int)symbol->name.len,
                  symbol->name.at, (unsigned long long)symbol->value, (int)section->name.len,
                  section->name.at, why);
}

static void add_function(ebpf_object *obj, uint32_t index) {
    const eb_symbol *symbol = &obj->symbols.at[index];
    const eb_section *section = &obj->sections.at[symbol->section];
    const char *why = NULL;
    if (symbol->value % EBPF_SLOT)
        why = "starts within an instruction";
    else if (symbol->value > section->size || symbol->size > section->size - symbol->value)
        why = "reaches past the end of the section";
    if (why) {
        leave_out(obj, symbol, why);
        return;
    }
    bool program = symbol->type == EB_STT_FUNC && symbol->bind != EB_STB_LOCAL &&
                   !eb_str_is(section->name, ".text");
    *EB_PUSH(&obj->ctx->arena, &obj->funcs) = (eb_func){.name = symbol->name,
                                                        .symbol = index,
                                                        .section = symbol->section,
                                                        .offset = symbol->value,
                                                        .size = symbol->size,
                                                        .program = program};
}

/* A function without a size reaches to the next one behind it, or to the end of its section. */
static void fill_sizes(ebpf_object *obj) {
    uint64_t end = 0;
    for (uint32_t i = obj->funcs.len; i-- > 0;) {
        eb_func *func = &obj->funcs.at[i];
        const eb_func *next = func + 1;
        bool last = i + 1 == obj->funcs.len || next->section != func->section;
        if (last)
            end = obj->sections.at[func->section].size;
        else if (next->offset > func->offset)
            end = next->offset;
        if (!func->size)
            func->size = end - func->offset;
    }
}

static void index_functions(ebpf_object *obj) {
    EB_VEC(uint32_t) order = {0};
    for (uint32_t i = 1; i < obj->symbols.len; i++)
        if (is_function(obj, &obj->symbols.at[i]))
            *EB_PUSH(&obj->ctx->arena, &order) = i;
    eb_sort(&obj->ctx->arena, order.at, order.len, by_place, obj->symbols.at);
    for (uint32_t i = 0; i < order.len; i++)
        add_function(obj, order.at[i]);
    fill_sizes(obj);
}

/* ---- licence, BTF ---- */

static void index_license(ebpf_object *obj) {
    obj->license = (eb_str){"", 0};
    uint32_t index = eb_object_find_section(obj, EB_STR("license"));
    const eb_buf *bytes = &obj->sections.at[index].bytes;
    if (!index || !bytes->len)
        return;
    const uint8_t *end = memchr(bytes->at, 0, bytes->len);
    obj->license = (eb_str){(const char *)bytes->at, end ? (size_t)(end - bytes->at) : bytes->len};
}

/* Give the variables of one data section the places that the symbol table knows. */
static void place_variables(ebpf_object *obj, const eb_map *symbols, uint32_t datasec,
                            uint32_t section) {
    eb_btf_type type = eb_btf_at(obj->btf, datasec);
    for (uint32_t i = 0; i < type.count; i++) {
        uint32_t var = eb_btf_member_at(obj->btf, &type, i).type;
        const uint32_t *index = eb_map_find(symbols, eb_btf_name(obj->btf, var));
        if (eb_btf_kind_of(obj->btf, var) != EB_BTF_VAR || !index ||
            obj->symbols.at[*index].section != section)
            continue;
        eb_btf_set_place(obj->btf, datasec, i, (uint32_t)obj->symbols.at[*index].value);
    }
}

/* Names to numbers: of the named symbols that are defined, or of the sections. */
static eb_map symbols_by_name(const ebpf_object *obj) {
    eb_map map = {.arena = &obj->ctx->arena};
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        const eb_symbol *symbol = &obj->symbols.at[i];
        bool is_new;
        if (!symbol->name.len || symbol->section >= obj->sections.len || !symbol->section)
            continue;
        uint32_t *index = eb_map_enter(&map, symbol->name, &is_new);
        if (is_new)
            *index = i;
    }
    return map;
}

static eb_map sections_by_name(const ebpf_object *obj) {
    eb_map map = {.arena = &obj->ctx->arena};
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        bool is_new;
        uint32_t *index = eb_map_enter(&map, obj->sections.at[i].name, &is_new);
        if (is_new)
            *index = i;
    }
    return map;
}

static void place_datasecs(ebpf_object *obj) {
    eb_map symbols = symbols_by_name(obj), sections = sections_by_name(obj);
    for (uint32_t id = 1; id < obj->btf->count; id++) {
        if (eb_btf_kind_of(obj->btf, id) != EB_BTF_DATASEC || eb_btf_size(obj->btf, id))
            continue; /* a size means that a linker has placed the variables already */
        const uint32_t *section = eb_map_find(&sections, eb_btf_name(obj->btf, id));
        if (!section)
            continue;
        eb_btf_set_size_or_type(obj->btf, id, (uint32_t)obj->sections.at[*section].size);
        place_variables(obj, &symbols, id, *section);
    }
}

static int index_btf(ebpf_object *obj) {
    uint32_t index = eb_object_find_section(obj, EB_STR(".BTF"));
    const eb_section *section = &obj->sections.at[index];
    if (!index || section->type != EB_SHT_PROGBITS)
        return EBPF_OK;
    if (!obj->btf &&
        eb_btf_read(obj->ctx, obj->name, section->bytes.at, section->bytes.len, NULL, &obj->btf))
        return EBPF_E_INPUT;
    place_datasecs(obj);
    return EBPF_OK;
}

int eb_object_index(ebpf_object *obj) {
    obj->funcs.len = obj->maps.len = 0;
    index_license(obj);
    index_functions(obj);
    if (index_btf(obj))
        return EBPF_E_INPUT;
    eb_btf_ext_read(obj);
    eb_maps_index(obj);
    return EBPF_OK;
}
