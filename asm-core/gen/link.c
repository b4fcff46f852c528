/* link.c - calls and addresses, when all have their places: within a section a call of a local
 * function is a distance; anything else is a relocation as clang writes it. Symbols that others see
 * go by their own names, local ones by their section with their place in the instruction; but maps
 * always by their own, since libbpf knows them so. */
#include "emit.h"
#include "sort.h"

static bool goes_by_section(const ebpf_object *obj, const eb_symbol *symbol) {
    return symbol->bind == EB_STB_LOCAL && symbol->type != EB_STT_SECTION && symbol->section &&
           !eb_str_is(obj->sections.at[symbol->section].name, ".maps");
}

static void link_one(eb_ir_unit *unit, ebpf_object *obj, const eb_link *link) {
    const eb_ir_symbol *symbol = &unit->symbols.at[link->symbol];
    const eb_symbol *target = &obj->symbols.at[symbol->object_symbol];
    uint32_t section = link->section, to = symbol->object_symbol;
    bool local = goes_by_section(obj, target);
    int64_t place = link->addend + (int64_t)symbol->object_offset;
    place += local ? (int64_t)target->value : 0;
    uint8_t *imm = obj->sections.at[section].bytes.at + link->offset + 4;
    if (link->calls && local && target->section == section) {
        eb_set32(imm, obj->big, (uint32_t)((place - link->offset) / EBPF_SLOT - 1));
        return;
    }
    eb_set32(imm, obj->big, (uint32_t)(link->calls ? place / EBPF_SLOT - 1 : place));
    if (local)
        to = eb_gen_section_symbol(obj, target->section);
    *EB_PUSH(&unit->ctx->arena, &obj->sections.at[section].relocs) =
        (eb_reloc){.offset = link->offset,
                   .type = link->calls ? EB_R_BPF_64_32 : EB_R_BPF_64_64,
                   .symbol = to};
}

static int by_offset(const void *data, uint32_t a, uint32_t b) {
    const eb_reloc *relocs = data;
    return relocs[a].offset < relocs[b].offset ? -1 : relocs[a].offset > relocs[b].offset;
}

static void sort_relocs(eb_ir_unit *unit, eb_section *section) {
    eb_arena *arena = &unit->ctx->arena;
    uint32_t count = section->relocs.len;
    uint32_t *order = eb_alloc_array(arena, count + 1, sizeof *order);
    eb_reloc *sorted = eb_alloc_array(arena, count + 1, sizeof *sorted);
    for (uint32_t n = 0; n < count; n++)
        order[n] = n;
    eb_sort(arena, order, count, by_offset, section->relocs.at);
    for (uint32_t n = 0; n < count; n++)
        sorted[n] = section->relocs.at[order[n]];
    section->relocs.at = sorted;
}

void eb_link_all(eb_ir_unit *unit, ebpf_object *obj, const eb_links *links) {
    for (uint32_t n = 0; n < links->links.len; n++)
        link_one(unit, obj, &links->links.at[n]);
    for (uint32_t n = 1; n < obj->sections.len; n++)
        if (obj->sections.at[n].flags & EB_SHF_EXECINSTR)
            sort_relocs(unit, &obj->sections.at[n]);
}
