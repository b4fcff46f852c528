/* again.c - see again.h. */
#include "again.h"

#include "fuzz.h"

/* What the text has to bring back: code and data, for any section that has bytes. */
static int is_written(const eb_section *section) {
    return section->type == EB_SHT_PROGBITS && section->size != 0;
}

/* What .comm takes. */
static int is_common(const eb_symbol *symbol) {
    return symbol->size <= UINT32_MAX && symbol->value != 0 && symbol->value <= UINT64_C(1) << 16 &&
           (symbol->value & (symbol->value - 1)) == 0;
}

/* A section of code or data, the only one with its name. */
static int is_plain_section(const ebpf_object *obj, uint32_t number) {
    uint32_t same = 0;
    for (uint32_t i = 1; number < obj->sections.len && i < obj->sections.len; i++)
        same += eb_str_eq(obj->sections.at[i].name, obj->sections.at[number].name);
    return same == 1 && (obj->sections.at[number].type == EB_SHT_PROGBITS ||
                         obj->sections.at[number].type == EB_SHT_NOBITS);
}

/* A symbol as compilers write them: it is in such a section, or it is common or undefined and
 * others know its name. */
static int is_plain(const ebpf_object *obj, const eb_symbol *symbol) {
    int odd_section = symbol->value != 0 || symbol->bind != EB_STB_LOCAL;
    if (symbol->type == EB_STT_FILE || (symbol->type == EB_STT_SECTION && odd_section))
        return 0;
    if (symbol->section == EB_SHN_UNDEF && symbol->value != 0)
        return 0;
    if (symbol->section == EB_SHN_UNDEF || symbol->section == EB_SHN_COMMON)
        return symbol->bind != EB_STB_LOCAL && symbol->name.len != 0;
    return is_plain_section(obj, symbol->section);
}

/* Text has no words for what no compiler writes: a section without a name, a fourth binding, a
 * common symbol without room; ubpf's has none for what is defined elsewhere. */
static int is_sayable(const ebpf_object *obj, int dialect) {
    for (uint32_t i = 1; i < obj->sections.len; i++)
        if (obj->sections.at[i].name.len == 0)
            return 0;
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        const eb_symbol *symbol = &obj->symbols.at[i];
        if (dialect != EBPF_DIALECT_LLVM && !is_plain(obj, symbol))
            return 0;
        if (symbol->bind > EB_STB_WEAK || (symbol->section == EB_SHN_COMMON && !is_common(symbol)))
            return 0;
    }
    return 1;
}

/* How many written sections before number `index` are called as it is. */
static uint32_t namesakes(const ebpf_object *obj, uint32_t index) {
    uint32_t count = 0;
    for (uint32_t i = 1; i < index; i++)
        count += is_written(&obj->sections.at[i]) &&
                 eb_str_eq(obj->sections.at[i].name, obj->sections.at[index].name);
    return count;
}

/* The section in `in` for number `index` of `obj`; 0 without. */
static uint32_t counterpart(const ebpf_object *in, const ebpf_object *obj, uint32_t index) {
    uint32_t before = namesakes(obj, index);
    for (uint32_t i = 1; i < in->sections.len; i++)
        if (is_written(&in->sections.at[i]) && namesakes(in, i) == before &&
            eb_str_eq(in->sections.at[i].name, obj->sections.at[index].name))
            return i;
    return 0;
}

static eb_str section_of(const ebpf_object *obj, const eb_symbol *symbol) {
    return symbol->section < obj->sections.len ? obj->sections.at[symbol->section].name
                                               : EB_STR("");
}

/* Where a relocation leads: to the same place. A place in a section has many names if it is a local
 * one: its section's, and those of the local symbols there. */
static int same_symbol(const ebpf_object *a, uint32_t x, const ebpf_object *b, uint32_t y) {
    const eb_symbol *left = &a->symbols.at[x], *right = &b->symbols.at[y];
    eb_str section = section_of(a, left);
    return left->value == right->value && left->bind == right->bind &&
           eb_str_eq(section, section_of(b, right)) &&
           (eb_str_eq(left->name, right->name) || (section.len != 0 && left->bind == EB_STB_LOCAL));
}

static void require_same_relocs(const ebpf_object *a, const eb_section *x, const ebpf_object *b,
                                const eb_section *y) {
    REQUIRE(x->relocs.len == y->relocs.len);
    for (uint32_t i = 0; i < x->relocs.len; i++) {
        const eb_reloc *reloc = &x->relocs.at[i];
        uint32_t same = 0; /* their order is free */
        for (uint32_t j = 0; j < y->relocs.len; j++)
            same += y->relocs.at[j].offset == reloc->offset &&
                    y->relocs.at[j].type == reloc->type &&
                    same_symbol(a, reloc->symbol, b, y->relocs.at[j].symbol);
        REQUIRE(same > 0 || !is_plain(a, &a->symbols.at[reloc->symbol]));
    }
}

static void require_same_sections(const ebpf_object *a, const ebpf_object *b) {
    for (uint32_t i = 1; i < a->sections.len; i++) {
        const eb_section *section = &a->sections.at[i];
        if (!is_written(section))
            continue;
        uint32_t other = counterpart(b, a, i);
        REQUIRE(other != 0);
        const eb_section *again = &b->sections.at[other];
        require_same((ebpf_bytes){section->bytes.at, section->bytes.len},
                     (ebpf_bytes){again->bytes.at, again->bytes.len});
        if (section->flags & EB_SHF_EXECINSTR)
            require_same_relocs(a, section, b, again);
    }
}

void require_text_round_trip(ebpf_ctx *ctx, const ebpf_object *obj, int dialect, uint32_t flags) {
    ebpf_bytes text;
    ebpf_object *again;
    if (ebpf_disassemble(ctx, obj, dialect, flags, &text) != EBPF_OK ||
        (flags & EBPF_DIS_OBJDUMP)) /* LLVM's listing is for people */
        return;
    int status = ebpf_assemble(ctx, "again.s", 7, text.data, text.size, dialect,
                               obj->big ? EBPF_BIG : EBPF_LITTLE, &again);
    if (!is_sayable(obj, dialect) || !went_well(status))
        return;
    REQUIRE(status == EBPF_OK);
    require_same_sections(obj, again);
}
