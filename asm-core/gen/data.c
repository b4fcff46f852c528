/* data.c - variables into sections.
 *
 * Named sections are as they are called; of the rest, constants go to .rodata, zeroes to .bss,
 * others to .data, and string literals, equal ones once, to .rodata.str1.1, as clang has it: libbpf
 * makes a map of each by its name and flags. Sections of code come first, .text at the very front,
 * so that they stand as in clang's objects. A word that holds an address becomes a relocation. */
#include "gen.h"
#include "emit.h"

typedef struct data {
    eb_ir_unit *unit;
    ebpf_object *obj;
    eb_map strings; /* contents to offsets in their section */
} data;

static uint32_t section_of(data *d, eb_str name, uint32_t type, uint64_t flags) {
    uint32_t found = eb_object_find_section(d->obj, name);
    return found ? found : eb_object_add_section(d->obj, name, type, flags);
}

/* ---- where a variable goes ---- */

/* A name that starts with `family`, by itself or up to a dot. */
static bool is_of(eb_str name, const char *family) {
    size_t len = strlen(family);
    return eb_str_starts(name, family) && (name.len == len || name.at[len] == '.');
}

static bool is_text(const eb_ir_symbol *symbol) {
    return symbol->is_string && symbol->data.len && !symbol->words.len && symbol->align <= 1 &&
           memchr(symbol->data.at, 0, symbol->data.len) == symbol->data.at + symbol->data.len - 1;
}

static uint32_t variable_section(data *d, const eb_ir_symbol *symbol) {
    const uint64_t fixed = EB_SHF_ALLOC, free = EB_SHF_ALLOC | EB_SHF_WRITE;
    eb_str name = symbol->section;
    bool zero = !symbol->data.len && !symbol->words.len;
    if (is_text(symbol)) {
        uint32_t section = section_of(d, EB_STR(".rodata.str1.1"), EB_SHT_PROGBITS,
                                      EB_SHF_ALLOC | EB_SHF_MERGE | EB_SHF_STRINGS);
        d->obj->sections.at[section].entsize = 1;
        return section;
    }
    if (!name.len)
        name = symbol->is_const ? EB_STR(".rodata") : zero ? EB_STR(".bss") : EB_STR(".data");
    bool is_fixed = symbol->is_const || is_of(name, ".rodata");
    return section_of(d, name, is_of(name, ".bss") ? EB_SHT_NOBITS : EB_SHT_PROGBITS,
                      is_fixed ? fixed : free);
}

/* ---- bytes ---- */

static uint64_t align_section(eb_section *section, uint32_t align) {
    uint64_t to = align ? align : 1, at = (section->size + to - 1) / to * to;
    if (to > section->align)
        section->align = to;
    if (section->type != EB_SHT_NOBITS)
        eb_buf_room(&section->bytes, (size_t)(at - section->size));
    section->size = at;
    return at;
}

/* Bytes of a variable at the end of its section; where they start. */
static uint64_t put_bytes(data *d, const eb_ir_symbol *symbol, uint32_t number) {
    enum { MOST = 64 << 20 };
    eb_section *section = &d->obj->sections.at[number];
    bool is_new = true;
    uint32_t *known = NULL;
    if (is_text(symbol)) {
        known =
            eb_map_enter(&d->strings, (eb_str){(char *)symbol->data.at, symbol->data.len}, &is_new);
        if (!is_new)
            return *known;
    }
    uint64_t at = align_section(section, symbol->align);
    if (known)
        *known = (uint32_t)at;
    if (section->type == EB_SHT_NOBITS) {
        if (symbol->data.len || symbol->words.len)
            eb_diag_add(d->unit->ctx, EB_DIAG_IN_NOBITS, symbol->loc, symbol->loc + 1,
                        (int)section->name.len, section->name.at);
        section->size += symbol->size;
        return at;
    }
    if (symbol->size > MOST || section->size > MOST) {
        eb_diag_add(d->unit->ctx, EB_DIAG_SIZE_LIMIT, symbol->loc, symbol->loc + 1, (unsigned)MOST);
        return at;
    }
    uint8_t *bytes = eb_buf_room(&section->bytes, (size_t)symbol->size);
    if (symbol->data.len)
        memcpy(bytes, symbol->data.at, symbol->data.len);
    section->size = section->bytes.len;
    return at;
}

/* ---- symbols ---- */

uint32_t eb_gen_section_symbol(ebpf_object *obj, uint32_t section) {
    for (uint32_t n = 1; n < obj->symbols.len; n++)
        if (obj->symbols.at[n].type == EB_STT_SECTION && obj->symbols.at[n].section == section)
            return n;
    uint32_t number = eb_object_add_symbol(obj, (eb_str){0}, section, 0);
    obj->symbols.at[number].type = EB_STT_SECTION;
    return number;
}

static void make_symbol(data *d, eb_ir_symbol *symbol, uint32_t section, uint64_t value) {
    symbol->object_symbol = eb_object_add_symbol(d->obj, symbol->name, section, value);
    eb_symbol *made = &d->obj->symbols.at[symbol->object_symbol];
    made->bind = section || symbol->bind == EB_STB_WEAK ? symbol->bind : (uint8_t)EB_STB_GLOBAL;
    made->visibility = symbol->hidden ? EB_STV_HIDDEN : EB_STV_DEFAULT;
    made->loc = symbol->loc;
    if (!section)
        return;
    made->type = symbol->kind == EB_IR_FUNCTION ? EB_STT_FUNC : EB_STT_OBJECT;
    made->size = symbol->kind == EB_IR_FUNCTION ? 0 : symbol->size;
}

static void put_variable(data *d, eb_ir_symbol *symbol) {
    uint32_t section = variable_section(d, symbol);
    uint64_t at = put_bytes(d, symbol, section);
    if (!symbol->is_string) {
        make_symbol(d, symbol, section, at);
        return;
    }
    /* A literal has no name: it is a place in its section. */
    symbol->object_symbol = eb_gen_section_symbol(d->obj, section);
    symbol->object_offset = at;
}

/* ---- words ---- */

static void put_words(data *d, const eb_ir_symbol *symbol) {
    const eb_symbol *made = &d->obj->symbols.at[symbol->object_symbol];
    eb_section *section = &d->obj->sections.at[made->section];
    uint64_t start = made->value + symbol->object_offset;
    if (section->type == EB_SHT_NOBITS)
        return;
    for (uint32_t n = 0; n < symbol->words.len; n++) {
        const eb_ir_word *word = &symbol->words.at[n];
        const eb_ir_symbol *target = &d->unit->symbols.at[word->symbol];
        uint64_t offset = start + word->offset;
        uint64_t addend = (uint64_t)word->addend + target->object_offset;
        if (offset > section->bytes.len || section->bytes.len - offset < word->size)
            continue;
        if (word->size == 8)
            eb_set64(section->bytes.at + offset, d->obj->big, addend);
        else
            eb_set32(section->bytes.at + offset, d->obj->big, (uint32_t)addend);
        *EB_PUSH(&d->unit->ctx->arena, &section->relocs) =
            (eb_reloc){.offset = offset,
                       .type = word->size == 8 ? EB_R_BPF_64_ABS64 : EB_R_BPF_64_ABS32,
                       .symbol = target->object_symbol};
    }
}

/* ---- the whole ---- */

ebpf_object *eb_gen_data(eb_ir_unit *unit) {
    const uint64_t code = EB_SHF_ALLOC | EB_SHF_EXECINSTR;
    data d = {.unit = unit, .obj = eb_object_new(unit->ctx, unit->big)};
    d.strings.arena = &unit->ctx->arena;
    section_of(&d, EB_STR(".text"), EB_SHT_PROGBITS, code);
    d.obj->sections.at[1].align = EBPF_SLOT;
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        eb_ir_symbol *symbol = &unit->symbols.at[n];
        if (!symbol->live || symbol->kind != EB_IR_FUNCTION || !symbol->is_defined)
            continue;
        eb_str name = symbol->section.len ? symbol->section : EB_STR(".text");
        uint32_t section = section_of(&d, name, EB_SHT_PROGBITS, code);
        d.obj->sections.at[section].align = EBPF_SLOT;
        make_symbol(&d, symbol, section, 0);
    }
    for (uint32_t n = 1; n < unit->symbols.len; n++) {
        eb_ir_symbol *symbol = &unit->symbols.at[n];
        if (symbol->live && !symbol->is_defined)
            make_symbol(&d, symbol, EB_SHN_UNDEF, 0);
        else if (symbol->live && symbol->kind == EB_IR_VARIABLE)
            put_variable(&d, symbol);
    }
    for (uint32_t n = 1; n < unit->symbols.len; n++)
        if (unit->symbols.at[n].live && unit->symbols.at[n].is_defined &&
            unit->symbols.at[n].kind == EB_IR_VARIABLE)
            put_words(&d, &unit->symbols.at[n]);
    return d.obj;
}

void eb_gen_aliases(eb_ir_unit *unit, ebpf_object *obj) {
    for (uint32_t n = 0; n < unit->aliases.len; n++) {
        const eb_ir_alias *alias = &unit->aliases.at[n];
        eb_symbol of = obj->symbols.at[unit->symbols.at[alias->symbol].object_symbol];
        uint32_t number = eb_object_add_symbol(obj, alias->name, of.section, of.value);
        eb_symbol *made = &obj->symbols.at[number];
        made->bind = alias->bind;
        made->visibility = alias->hidden ? EB_STV_HIDDEN : EB_STV_DEFAULT;
        made->type = of.type;
        made->size = of.size;
        made->loc = alias->loc;
    }
}
