/* elf_write.c - Object to a relocatable ELF64 file for EM_BPF, in the object's byte order.
 *
 * The layout is LLVM's, so that files compare equal with llvm-mc's: header; contents in section
 * order; symbols; relocations; strings; section headers. Section 1 is .strtab, every section is
 * followed by its relocations, .symtab is the last; where 16 bits do not number the sections,
 * .symtab_shndx, which has the sections of all symbols, stands before it. The one string table
 * holds section and symbol names; a name that ends another one lies inside it. Nothing depends on
 * anything but the object: the same object gives the same bytes everywhere. Sources: the ELF
 * specification; LLVM's ELFObjectWriter and StringTableBuilder. */
#include "object.h"

#include <string.h>

#include "sort.h"

enum {
    EHDR = 64,
    SHDR = 64,
    SYM = 24,
    REL = 16,
    RELA = 24,
    SHN_LORESERVE = 0xff00,
    SHN_ABS = 0xfff1,
    SHN_COMMON = 0xfff2,
    SHN_XINDEX = 0xffff
};
/* Padding in the file stops here; a larger alignment is still stated in the section header. */
enum { FILE_ALIGN_MOST = 4096 };

typedef struct writer {
    const ebpf_object *obj;
    eb_arena *arena;
    eb_buf *out;
    bool big;
    eb_str *names;     /* section names, symbol names, then the names of relocation sections */
    uint32_t *name_at; /* their offsets in the string table */
    uint32_t name_count;
    uint32_t *section_index; /* of each section, in the file */
    uint32_t headers;        /* section headers in the file; the last is .symtab's */
    bool wide;               /* more of them than 16 bits number */
    uint32_t *symbol_index;  /* of each symbol, in the file */
    uint32_t *symbol_order;  /* symbols as they stand in the file */
    uint32_t locals;
    uint64_t *content_at, *reloc_at; /* file offsets */
    uint64_t symbols_at, wide_at, strings_at, strings_size;
} writer;

/* ---- numbering ---- */

static bool has_relocs(const ebpf_object *obj, uint32_t section) {
    return obj->sections.at[section].relocs.len > 0;
}

static void number_sections(writer *w) {
    uint32_t next = 2; /* behind the null section and .strtab */
    w->section_index = eb_alloc_array(w->arena, w->obj->sections.len, sizeof(uint32_t));
    for (uint32_t i = 1; i < w->obj->sections.len; i++) {
        w->section_index[i] = next;
        next += 1 + (uint32_t)has_relocs(w->obj, i);
    }
    w->headers = next + 1; /* and .symtab */
    w->wide = w->headers >= SHN_LORESERVE;
    w->headers += w->wide;
}

/* ELF wants local symbols first; otherwise their order is kept. */
static void number_symbols(writer *w) {
    uint32_t count = w->obj->symbols.len, next = 0;
    w->symbol_index = eb_alloc_array(w->arena, count, sizeof(uint32_t));
    w->symbol_order = eb_alloc_array(w->arena, count, sizeof(uint32_t));
    for (int locals = 1; locals >= 0; locals--) {
        for (uint32_t i = 0; i < count; i++)
            if ((w->obj->symbols.at[i].bind == EB_STB_LOCAL) == (locals == 1)) {
                w->symbol_index[i] = next;
                w->symbol_order[next++] = i;
            }
        if (locals)
            w->locals = next;
    }
}

/* ---- strings ---- */

/* By the last byte first, larger bytes first, and a name before those that end it. */
static int by_tail(const void *data, uint32_t a, uint32_t b) {
    eb_str left = ((const eb_str *)data)[a], right = ((const eb_str *)data)[b];
    while (left.len && right.len) {
        uint8_t l = (uint8_t)left.at[--left.len], r = (uint8_t)right.at[--right.len];
        if (l != r)
            return l > r ? -1 : 1;
    }
    return left.len ? -1 : right.len ? 1 : 0;
}

static bool ends_with(eb_str text, eb_str tail) {
    return text.len >= tail.len && memcmp(text.at + text.len - tail.len, tail.at, tail.len) == 0;
}

static eb_str reloc_name(writer *w, const eb_section *section) {
    return eb_str_fmt(w->arena, "%s%.*s", section->rela ? ".rela" : ".rel", (int)section->name.len,
                      section->name.at);
}

enum { NAME_STRTAB, NAME_SYMTAB, NAME_WIDE, NAME_FIRST };

static uint32_t name_of_section(uint32_t section) {
    return NAME_FIRST + section;
}

static uint32_t name_of_symbol(const writer *w, uint32_t symbol) {
    return NAME_FIRST + w->obj->sections.len + symbol;
}

static uint32_t name_of_relocs(const writer *w, uint32_t section) {
    return NAME_FIRST + w->obj->sections.len + w->obj->symbols.len + section;
}

static void collect_names(writer *w) {
    const ebpf_object *obj = w->obj;
    w->name_count = NAME_FIRST + 2 * obj->sections.len + obj->symbols.len;
    w->names = eb_alloc_array(w->arena, w->name_count, sizeof *w->names);
    w->name_at = eb_alloc_array(w->arena, w->name_count, sizeof *w->name_at);
    w->names[NAME_STRTAB] = EB_STR(".strtab");
    w->names[NAME_SYMTAB] = EB_STR(".symtab");
    if (w->wide)
        w->names[NAME_WIDE] = EB_STR(".symtab_shndx");
    for (uint32_t i = 1; i < obj->sections.len; i++) {
        w->names[name_of_section(i)] = obj->sections.at[i].name;
        if (has_relocs(obj, i))
            w->names[name_of_relocs(w, i)] = reloc_name(w, &obj->sections.at[i]);
    }
    for (uint32_t i = 1; i < obj->symbols.len; i++)
        w->names[name_of_symbol(w, i)] = obj->symbols.at[i].name;
}

static void write_strings(writer *w) {
    uint32_t *order = eb_alloc_array(w->arena, w->name_count, sizeof *order);
    for (uint32_t i = 0; i < w->name_count; i++)
        order[i] = i;
    eb_sort(w->arena, order, w->name_count, by_tail, w->names);
    w->strings_at = w->out->len;
    eb_buf_byte(w->out, 0);
    eb_str last = {0};
    for (uint32_t i = 0; i < w->name_count; i++) {
        eb_str name = w->names[order[i]];
        if (!name.len)
            continue; /* offset 0 */
        if (!ends_with(last, name)) {
            eb_buf_str(w->out, name);
            eb_buf_byte(w->out, 0);
            last = name;
        }
        w->name_at[order[i]] = (uint32_t)(w->out->len - w->strings_at - name.len - 1);
    }
    w->strings_size = w->out->len - w->strings_at;
}

/* ---- contents ---- */

/* A group lists section numbers behind a word of flags: here those of the object, in the file
 * those of the file, and a section's relocations are members where it is one. */
static void write_group(writer *w, const eb_section *group) {
    const uint8_t *from = group->bytes.at;
    for (size_t i = 0; i + 4 <= group->bytes.len; i += 4) {
        uint32_t member = eb_get32(from + i, w->big);
        bool known = i > 0 && member < w->obj->sections.len;
        eb_set32(eb_buf_room(w->out, 4), w->big, known ? w->section_index[member] : member);
        if (known && has_relocs(w->obj, member))
            eb_set32(eb_buf_room(w->out, 4), w->big, w->section_index[member] + 1);
    }
}

static uint64_t group_size(const writer *w, const eb_section *group) {
    uint64_t size = group->bytes.len & ~(uint64_t)3;
    for (size_t i = 4; i + 4 <= group->bytes.len; i += 4) {
        uint32_t member = eb_get32(group->bytes.at + i, w->big);
        if (member < w->obj->sections.len && has_relocs(w->obj, member))
            size += 4;
    }
    return size;
}

static void write_contents(writer *w) {
    w->content_at = eb_alloc_array(w->arena, w->obj->sections.len, sizeof(uint64_t));
    for (uint32_t i = 1; i < w->obj->sections.len; i++) {
        const eb_section *section = &w->obj->sections.at[i];
        uint64_t align = section->align < FILE_ALIGN_MOST ? section->align : FILE_ALIGN_MOST;
        eb_buf_align(w->out, (size_t)align);
        w->content_at[i] = w->out->len;
        if (section->type == EB_SHT_GROUP)
            write_group(w, section);
        else if (section->type != EB_SHT_NOBITS)
            eb_buf_put(w->out, section->bytes.at, section->bytes.len);
    }
}

/* The number of a symbol's section in the symbol table; *wide is the one in .symtab_shndx. */
static uint16_t symbol_section(const writer *w, uint32_t section, uint32_t *wide) {
    *wide = 0;
    if (section == EB_SHN_ABS || section == EB_SHN_COMMON)
        return section == EB_SHN_ABS ? SHN_ABS : SHN_COMMON;
    if (section >= w->obj->sections.len)
        return EB_SHN_UNDEF;
    uint32_t index = w->section_index[section];
    if (index < SHN_LORESERVE)
        return (uint16_t)index;
    *wide = index;
    return SHN_XINDEX;
}

static void write_symbols(writer *w) {
    eb_buf_align(w->out, 8);
    w->symbols_at = w->out->len;
    eb_buf_room(w->out, (size_t)w->obj->symbols.len * SYM);
    w->wide_at = w->out->len;
    if (w->wide)
        eb_buf_room(w->out, (size_t)w->obj->symbols.len * 4);
}

/* Needs the offsets of names, so it runs when the string table stands. */
static void fill_symbols(writer *w) {
    for (uint32_t i = 1; i < w->obj->symbols.len; i++) {
        uint32_t index = w->symbol_order[i];
        const eb_symbol *symbol = &w->obj->symbols.at[index];
        uint8_t *at = w->out->at + w->symbols_at + (size_t)i * SYM;
        uint32_t wide;
        eb_set32(at, w->big, w->name_at[name_of_symbol(w, index)]);
        at[4] = (uint8_t)(symbol->bind << 4 | (symbol->type & 15));
        at[5] = symbol->visibility;
        eb_set16(at + 6, w->big, symbol_section(w, symbol->section, &wide));
        if (wide)
            eb_set32(w->out->at + w->wide_at + 4 * (size_t)i, w->big, wide);
        eb_set64(at + 8, w->big, symbol->value);
        eb_set64(at + 16, w->big, symbol->size);
    }
}

static void write_relocs(writer *w) {
    w->reloc_at = eb_alloc_array(w->arena, w->obj->sections.len, sizeof(uint64_t));
    for (uint32_t i = 1; i < w->obj->sections.len; i++) {
        const eb_section *section = &w->obj->sections.at[i];
        if (!section->relocs.len)
            continue;
        eb_buf_align(w->out, 8);
        w->reloc_at[i] = w->out->len;
        for (uint32_t r = 0; r < section->relocs.len; r++) {
            const eb_reloc *reloc = &section->relocs.at[r];
            uint8_t *at = eb_buf_room(w->out, section->rela ? RELA : REL);
            eb_set64(at, w->big, reloc->offset);
            uint64_t symbol = w->symbol_index[reloc->symbol];
            eb_set64(at + 8, w->big, symbol << 32 | reloc->type);
            if (section->rela)
                eb_set64(at + 16, w->big, (uint64_t)reloc->addend);
        }
    }
}

/* ---- headers ---- */

typedef struct header {
    uint32_t name, type;
    uint64_t flags, offset, size;
    uint32_t link, info;
    uint64_t align, entsize;
} header;

static void write_header(writer *w, header h) {
    uint8_t *at = eb_buf_room(w->out, SHDR);
    eb_set32(at, w->big, h.name);
    eb_set32(at + 4, w->big, h.type);
    eb_set64(at + 8, w->big, h.flags);
    eb_set64(at + 24, w->big, h.offset);
    eb_set64(at + 32, w->big, h.size);
    eb_set32(at + 40, w->big, h.link);
    eb_set32(at + 44, w->big, h.info);
    eb_set64(at + 48, w->big, h.align);
    eb_set64(at + 56, w->big, h.entsize);
}

static header section_header(const writer *w, uint32_t index) {
    const eb_section *section = &w->obj->sections.at[index];
    header h = {.name = w->name_at[name_of_section(index)],
                .type = section->type,
                .flags = section->flags,
                .offset = w->content_at[index],
                .size = section->type == EB_SHT_NOBITS ? section->size : section->bytes.len,
                .info = section->info,
                .align = section->align,
                .entsize = section->entsize};
    if (section->link == EB_LINK_SYMTAB)
        h.link = w->headers - 1;
    else if (section->link < w->obj->sections.len)
        h.link = w->section_index[section->link];
    if (section->type == EB_SHT_GROUP) {
        h.size = group_size(w, section);
        h.info = section->info < w->obj->symbols.len ? w->symbol_index[section->info] : 0;
    } else if (section->flags & EB_SHF_INFO_LINK) {
        h.info = section->info < w->obj->sections.len ? w->section_index[section->info] : 0;
    }
    return h;
}

static header reloc_header(const writer *w, uint32_t index) {
    const eb_section *section = &w->obj->sections.at[index];
    uint32_t entsize = section->rela ? RELA : REL;
    /* The relocations of a group's member belong to the group as well. */
    return (header){.name = w->name_at[name_of_relocs(w, index)],
                    .type = section->rela ? EB_SHT_RELA : EB_SHT_REL,
                    .flags = EB_SHF_INFO_LINK | (section->flags & EB_SHF_GROUP),
                    .offset = w->reloc_at[index],
                    .size = (uint64_t)section->relocs.len * entsize,
                    .link = w->headers - 1,
                    .info = w->section_index[index],
                    .align = 8,
                    .entsize = entsize};
}

static void write_headers(writer *w) {
    eb_buf_align(w->out, 8);
    eb_set64(w->out->at + 40, w->big, w->out->len);
    write_header(w, (header){.size = w->wide ? w->headers : 0});
    write_header(w, (header){.name = w->name_at[NAME_STRTAB],
                             .type = EB_SHT_STRTAB,
                             .offset = w->strings_at,
                             .size = w->strings_size,
                             .align = 1});
    for (uint32_t i = 1; i < w->obj->sections.len; i++) {
        write_header(w, section_header(w, i));
        if (has_relocs(w->obj, i))
            write_header(w, reloc_header(w, i));
    }
    if (w->wide)
        write_header(w, (header){.name = w->name_at[NAME_WIDE],
                                 .type = EB_SHT_SYMTAB_SHNDX,
                                 .offset = w->wide_at,
                                 .size = (uint64_t)w->obj->symbols.len * 4,
                                 .link = w->headers - 1,
                                 .align = 4,
                                 .entsize = 4});
    write_header(w, (header){.name = w->name_at[NAME_SYMTAB],
                             .type = EB_SHT_SYMTAB,
                             .offset = w->symbols_at,
                             .size = (uint64_t)w->obj->symbols.len * SYM,
                             .link = 1,
                             .info = w->locals,
                             .align = 8,
                             .entsize = SYM});
}

static void write_ehdr(writer *w) {
    uint8_t *at = eb_buf_room(w->out, EHDR);
    memcpy(at,
           "\x7f"
           "ELF",
           4);
    at[4] = 2; /* ELFCLASS64 */
    at[5] = w->big ? 2 : 1;
    at[6] = 1;                    /* EV_CURRENT */
    eb_set16(at + 16, w->big, 1); /* ET_REL */
    eb_set16(at + 18, w->big, EB_EM_BPF);
    eb_set32(at + 20, w->big, 1);
    eb_set32(at + 48, w->big, w->obj->eflags);
    eb_set16(at + 52, w->big, EHDR);
    eb_set16(at + 58, w->big, SHDR);
    eb_set16(at + 60, w->big, w->wide ? 0 : (uint16_t)w->headers);
    eb_set16(at + 62, w->big, 1); /* .strtab */
}

void eb_elf_write(const ebpf_object *obj, eb_buf *out) {
    eb_buf elf = {.arena = &obj->ctx->arena}; /* offsets count from its start */
    writer w = {.obj = obj, .arena = &obj->ctx->arena, .out = &elf, .big = obj->big};
    number_sections(&w);
    number_symbols(&w);
    collect_names(&w);
    write_ehdr(&w);
    write_contents(&w);
    write_symbols(&w);
    write_relocs(&w);
    write_strings(&w);
    fill_symbols(&w);
    write_headers(&w);
    if (out->len)
        eb_buf_put(out, elf.at, elf.len);
    else
        *out = elf;
}
