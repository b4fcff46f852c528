/* object.c - a program as an object, as clang would have made it: the program in a section named by
 * its type, the other functions in .text, maps defined by BTF in .maps, data in .data, .rodata and
 * .bss, and relocations for everything that an instruction names. The VM runs it, it can be written
 * as ELF, and disassembled it is what people see of a program. */
#include <stdio.h>
#include <string.h>

#include <linux/bpf.h>

#include "btf.h"
#include "diff.h"
#include "kinds.h"

typedef struct maker {
    const program *p;
    ebpf_object *obj;
    eb_btf *btf;
    uint32_t integer; /* BTF's int */
    uint32_t func_symbol[MOST_FUNCS], map_symbol[MOST_MAPS];
    uint32_t sections[2]; /* of the program, of the other functions */
} maker;

static eb_str name_of(maker *m, char letter, uint32_t i) {
    return eb_str_fmt(&m->obj->ctx->arena, "%c%u", letter, i);
}

static uint32_t add_symbol(maker *m, eb_str name, uint32_t section, uint64_t value, uint64_t size,
                           uint8_t type, uint8_t bind) {
    uint32_t index = eb_object_add_symbol(m->obj, name, section, value);
    eb_symbol *symbol = &m->obj->symbols.at[index];
    symbol->size = size;
    symbol->type = type;
    symbol->bind = bind;
    return index;
}

static uint32_t add_section(maker *m, const char *name, uint32_t type, uint64_t flags) {
    uint32_t index = eb_object_add_section(m->obj, eb_str_from(name), type, flags);
    m->obj->sections.at[index].align = 8;
    return index;
}

static void put(maker *m, uint32_t section, const void *bytes, size_t size) {
    eb_section *to = &m->obj->sections.at[section];
    if (to->type == EB_SHT_NOBITS) {
        to->size += size;
        return;
    }
    to->bytes.arena = &m->obj->ctx->arena;
    eb_buf_put(&to->bytes, bytes, size);
    to->size = to->bytes.len;
}

/* ---- maps ---- */

/* __uint(name, value): a pointer to an array of that many ints. */
static uint32_t number(maker *m, uint32_t value) {
    uint32_t array = eb_btf_add_array(m->btf, m->integer, m->integer, value);
    return eb_btf_add_ref(m->btf, EB_BTF_PTR, (eb_str){0}, array);
}

static uint32_t definition(maker *m, const map *def) {
    const struct {
        const char *name;
        uint32_t value;
    } settings[] = {{"type", def->type},
                    {"key_size", def->key_size},
                    {"value_size", def->value_size},
                    {"max_entries", def->max_entries},
                    {"map_flags", def->flags}};
    enum { COUNT = sizeof settings / sizeof *settings };
    uint32_t types[COUNT + 1] = {0}, used = 0, bits = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        types[i] = settings[i].value ? number(m, settings[i].value) : 0;
        used += types[i] != 0;
    }
    if (def->inner) { /* values: an array, without elements, of pointers to the inner definition */
        uint32_t inner = definition(m, &m->p->maps[def->inner - 1]);
        uint32_t pointer = eb_btf_add_ref(m->btf, EB_BTF_PTR, (eb_str){0}, inner);
        types[COUNT] = eb_btf_add_array(m->btf, pointer, m->integer, 0);
    }
    uint32_t type = eb_btf_add_record(m->btf, EB_BTF_STRUCT, (eb_str){0}, 8 * used);
    for (uint32_t i = 0; i < COUNT; i++) {
        if (!types[i])
            continue;
        eb_btf_add_member(m->btf, eb_str_from(settings[i].name), types[i], bits);
        bits += 64;
    }
    if (types[COUNT])
        eb_btf_add_member(m->btf, EB_STR("values"), types[COUNT], bits);
    return type;
}

static void add_maps(maker *m) {
    uint32_t section = 0, vars[MOST_MAPS], offsets[MOST_MAPS], sizes[MOST_MAPS], count = 0;
    for (uint32_t i = 0; i < m->p->map_count; i++) {
        if (m->p->maps[i].use != USE_MAP || m->p->maps[i].dead)
            continue;
        if (!section)
            section = add_section(m, ".maps", EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_WRITE);
        uint32_t type = definition(m, &m->p->maps[i]);
        uint32_t size = eb_btf_size(m->btf, type);
        eb_str name = name_of(m, 'm', i);
        uint64_t offset = m->obj->sections.at[section].size;
        static const uint8_t zeroes[64];
        put(m, section, zeroes, size);
        m->map_symbol[i] = add_symbol(m, name, section, offset, size, EB_STT_OBJECT, EB_STB_GLOBAL);
        offsets[count] = (uint32_t)offset;
        sizes[count] = size;
        vars[count++] = eb_btf_add_var(m->btf, name, type, EB_BTF_GLOBAL);
    }
    if (!section)
        return;
    eb_btf_add_datasec(m->btf, EB_STR(".maps"), (uint32_t)m->obj->sections.at[section].size);
    for (uint32_t i = 0; i < count; i++)
        eb_btf_add_datasec_var(m->btf, vars[i], offsets[i], sizes[i]);
}

static void add_data(maker *m) {
    static const struct {
        const char *name;
        uint32_t type;
        uint64_t flags;
    } kinds[] = {[USE_DATA] = {".data", EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_WRITE},
                 [USE_BSS] = {".bss", EB_SHT_NOBITS, EB_SHF_ALLOC | EB_SHF_WRITE},
                 [USE_RODATA] = {".rodata", EB_SHT_PROGBITS, EB_SHF_ALLOC}};
    for (uint32_t i = 0; i < m->p->map_count; i++) {
        const map *from = &m->p->maps[i];
        if (from->use == USE_MAP || from->dead)
            continue;
        uint32_t section =
            add_section(m, kinds[from->use].name, kinds[from->use].type, kinds[from->use].flags);
        put(m, section, from->entries[0].value, from->value_size);
        m->map_symbol[i] = add_symbol(m, name_of(m, 'd', i), section, 0, from->value_size,
                                      EB_STT_OBJECT, EB_STB_GLOBAL);
    }
}

/* ---- code ---- */

static void add_reloc(maker *m, uint32_t section, uint64_t offset, uint32_t type, uint32_t symbol) {
    *EB_PUSH(&m->obj->ctx->arena, &m->obj->sections.at[section].relocs) =
        (eb_reloc){.offset = offset, .type = type, .symbol = symbol};
}

/* What an instruction names becomes a relocation, its addend in place. */
static void relocate(maker *m, const step *s, ebpf_insn *insn, uint32_t section, uint64_t offset) {
    bool from_text = section == m->sections[1];
    switch (s->ref) {
    case REF_CALL:
        insn->src = 1;
        if (from_text && s->target >= m->p->entry_count)
            break; /* within a section the distance is enough */
        insn->imm = -1;
        add_reloc(m, section, offset, EB_R_BPF_64_32, m->func_symbol[s->target]);
        break;
    case REF_FUNC:
        insn->imm = 0;
        add_reloc(m, section, offset, EB_R_BPF_64_64, m->func_symbol[s->target]);
        break;
    case REF_MAP:
        insn->imm = 0;
        add_reloc(m, section, offset, EB_R_BPF_64_64, m->map_symbol[s->target]);
        break;
    case REF_VALUE:
        add_reloc(m, section, offset, EB_R_BPF_64_64, m->map_symbol[s->target]);
        break;
    default:
        break;
    }
}

static void add_code(maker *m) {
    const program *p = m->p;
    code c = code_of(p, ALL_ENTRIES);
    uint64_t flags = EB_SHF_ALLOC | EB_SHF_EXECINSTR;
    m->sections[0] = add_section(m, prog_types[p->kind].section, EB_SHT_PROGBITS, flags);
    if (c.func_slot[p->entry_count] < c.slots)
        m->sections[1] = add_section(m, ".text", EB_SHT_PROGBITS, flags);
    for (uint32_t f = 0; f < p->func_count; f++) {
        if (!c.reached[f])
            continue;
        bool other = f >= p->entry_count;
        uint32_t base = other ? c.func_slot[p->entry_count] : 0;
        uint64_t value = (uint64_t)(c.func_slot[f] - base) * EBPF_SLOT;
        uint64_t size = (uint64_t)(c.func_slot[f + 1] - c.func_slot[f]) * EBPF_SLOT;
        bool global = !other || p->funcs[f].global;
        m->func_symbol[f] = add_symbol(m, name_of(m, 'f', f), m->sections[other], value, size,
                                       EB_STT_FUNC, global ? EB_STB_GLOBAL : EB_STB_LOCAL);
    }
    for (uint32_t i = 0; i < c.count; i++) {
        bool other = c.at[i].slot >= c.func_slot[p->entry_count];
        uint32_t section = m->sections[other];
        uint64_t offset =
            (uint64_t)(c.at[i].slot - (other ? c.func_slot[p->entry_count] : 0)) * EBPF_SLOT;
        ebpf_insn insn = c.at[i].insn;
        relocate(m, c.at[i].from, &insn, section, offset);
        uint8_t bytes[2 * EBPF_SLOT];
        unsigned used = ebpf_insn_encode(&insn, EBPF_LITTLE, bytes);
        put(m, section, bytes, used * EBPF_SLOT);
    }
    code_free(&c);
}

static void add_btf(maker *m) {
    eb_buf out = {.arena = &m->obj->ctx->arena};
    eb_btf_write(m->btf, &out);
    put(m, add_section(m, ".BTF", EB_SHT_PROGBITS, 0), out.at, out.len);
}

static maker maker_of(ebpf_ctx *ctx, const program *p) {
    maker m = {.p = p, .obj = eb_object_new(ctx, false), .btf = eb_btf_new(&ctx->arena, false)};
    m.obj->name = EB_STR("random");
    return m;
}

ebpf_object *object_of(ebpf_ctx *ctx, const program *p) {
    maker m = maker_of(ctx, p);
    m.integer = eb_btf_add_int(m.btf, EB_STR("int"), 4, EB_BTF_SIGNED);
    put(&m, add_section(&m, "license", EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_WRITE), "GPL", 4);
    add_maps(&m);
    add_data(&m);
    add_code(&m);
    add_btf(&m);
    return eb_object_index(m.obj) == EBPF_OK ? m.obj : NULL;
}

/* Maps as the assembler's directive has them; data and code as the disassembler prints them. */
bool object_text(ebpf_ctx *ctx, const program *p, eb_buf *out) {
    maker m = maker_of(ctx, p);
    ebpf_bytes text;
    for (uint32_t i = 0; i < p->map_count; i++) {
        const map *from = &p->maps[i];
        if (from->use != USE_MAP || from->dead)
            continue;
        eb_str name = name_of(&m, 'm', i);
        eb_buf_fmt(out, "\t.map m%u, type=%s, key_size=%u, value_size=%u, max_entries=%u", i,
                   eb_map_type_name(from->type), from->key_size, from->value_size,
                   from->max_entries);
        if (from->flags)
            eb_buf_fmt(out, ", map_flags=%u", from->flags);
        eb_buf_byte(out, '\n');
        m.map_symbol[i] = add_symbol(&m, name, EB_SHN_UNDEF, 0, 0, EB_STT_NOTYPE, EB_STB_GLOBAL);
    }
    add_data(&m);
    add_code(&m);
    if (eb_object_index(m.obj) != EBPF_OK ||
        ebpf_disassemble(ctx, m.obj, EBPF_DIALECT_LLVM, 0, &text) != EBPF_OK)
        return false;
    eb_buf_put(out, text.data, text.size);
    return true;
}
