/* strip.c - taking sections and symbols out of an object. Debug information is not even read
 * (elf_read.c); what it leaves behind are nameless symbols of sections that only it referred to.
 * Labels of jump targets, which LLVM leaves in the symbol table, and BTF go when asked. */
#include <string.h>

#include "ebpf.h"
#include "object.h"

typedef struct cut {
    ebpf_object *obj;
    uint32_t *sections, *symbols; /* by old index: the new one; 0 for what goes */
    uint8_t *used;                /* by symbol: something that stays refers to it */
} cut;

static bool is_btf(eb_str name) {
    return eb_str_is(name, ".BTF") || eb_str_is(name, ".BTF.ext");
}

static void number_sections(cut *c, uint32_t flags) {
    uint32_t next = 1;
    for (uint32_t i = 1; i < c->obj->sections.len; i++)
        if (!(flags & EBPF_STRIP_BTF) || !is_btf(c->obj->sections.at[i].name))
            c->sections[i] = next++;
}

static void mark_used(cut *c) {
    for (uint32_t i = 1; i < c->obj->sections.len; i++) {
        const eb_section *section = &c->obj->sections.at[i];
        if (!c->sections[i])
            continue;
        for (uint32_t r = 0; r < section->relocs.len; r++)
            c->used[section->relocs.at[r].symbol] = 1;
        if (section->type == EB_SHT_GROUP && section->info < c->obj->symbols.len)
            c->used[section->info] = 1;
    }
}

static bool stays(const cut *c, uint32_t number, uint32_t flags) {
    const eb_symbol *symbol = &c->obj->symbols.at[number];
    bool inside = symbol->section && symbol->section < c->obj->sections.len;
    if (inside && !c->sections[symbol->section])
        return false;
    if (c->used[number] || symbol->bind != EB_STB_LOCAL)
        return true;
    if (symbol->type == EB_STT_SECTION)
        return symbol->name.len > 0;
    return !(flags & EBPF_STRIP_LABELS) || symbol->type != EB_STT_NOTYPE;
}

static void number_symbols(cut *c, uint32_t flags) {
    uint32_t next = 1;
    for (uint32_t i = 1; i < c->obj->symbols.len; i++)
        if (stays(c, i, flags))
            c->symbols[i] = next++;
}

/* Members of a group that go are taken out of it. */
static void renumber_group(const cut *c, eb_section *group) {
    size_t kept = 4;
    for (size_t at = 4; at + 4 <= group->bytes.len; at += 4) {
        uint32_t member = eb_get32(group->bytes.at + at, c->obj->big);
        if (member >= c->obj->sections.len || !c->sections[member])
            continue;
        eb_set32(group->bytes.at + kept, c->obj->big, c->sections[member]);
        kept += 4;
    }
    if (group->bytes.len > kept)
        group->size = group->bytes.len = kept;
}

static void renumber_section(const cut *c, eb_section *section) {
    for (uint32_t r = 0; r < section->relocs.len; r++)
        section->relocs.at[r].symbol = c->symbols[section->relocs.at[r].symbol];
    if (section->link < c->obj->sections.len)
        section->link = c->sections[section->link];
    if (section->type == EB_SHT_GROUP) {
        section->info = section->info < c->obj->symbols.len ? c->symbols[section->info] : 0;
        renumber_group(c, section);
    } else if ((section->flags & EB_SHF_INFO_LINK) && section->info < c->obj->sections.len) {
        section->info = c->sections[section->info];
    }
}

static void compact(const cut *c) {
    ebpf_object *obj = c->obj;
    uint32_t sections = 1, symbols = 1;
    for (uint32_t i = 1; i < obj->sections.len; i++)
        if (c->sections[i])
            renumber_section(c, &obj->sections.at[i]);
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        eb_symbol *symbol = &obj->symbols.at[i];
        if (!c->symbols[i])
            continue;
        if (symbol->section < obj->sections.len)
            symbol->section = c->sections[symbol->section];
        obj->symbols.at[symbols++] = *symbol;
    }
    for (uint32_t i = 1; i < obj->sections.len; i++)
        if (c->sections[i])
            obj->sections.at[sections++] = obj->sections.at[i];
    for (uint32_t i = 0; i < obj->funcs.len; i++) {
        eb_func *func = &obj->funcs.at[i];
        func->section = c->sections[func->section];
        func->symbol = c->symbols[func->symbol];
    }
    for (uint32_t i = 0; i < obj->maps.len; i++)
        obj->maps.at[i].symbol = c->symbols[obj->maps.at[i].symbol];
    for (uint32_t i = 0; i < obj->ext_order.len; i++)
        obj->ext_order.at[i] = c->sections[obj->ext_order.at[i]];
    obj->sections.len = sections;
    obj->symbols.len = symbols;
}

void eb_object_strip(ebpf_object *obj, uint32_t flags) {
    eb_arena *arena = &obj->ctx->arena;
    cut c = {.obj = obj,
             .sections = eb_alloc_array(arena, obj->sections.len, sizeof(uint32_t)),
             .symbols = eb_alloc_array(arena, obj->symbols.len, sizeof(uint32_t)),
             .used = eb_alloc_array(arena, obj->symbols.len, 1)};
    number_sections(&c, flags);
    mark_used(&c);
    number_symbols(&c, flags);
    compact(&c);
    if (flags & EBPF_STRIP_BTF)
        obj->btf = NULL;
}
