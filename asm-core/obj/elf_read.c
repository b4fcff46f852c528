/* elf_read.c - a relocatable ELF64 file of machine EM_BPF to an Object, in either byte order.
 *
 * The input is not trusted: every offset, size, index and string is checked before use, and what
 * the file makes us do is bounded by its size (sections may not overlap, names may not add up to
 * several times the file). The first damage ends the reading with one diagnostic that says what and
 * where. What a linker or a loader does not need goes: DWARF (.debug_* and its relocations),
 * .llvm_addrsig, and the tables that the writer makes anew (symbols, strings, relocations). Symbols
 * are put in the order that the writer keeps, locals first, so that reading what was written gives
 * the same object. Sources: the ELF specification; LLVM's and libbpf's conventions. */
#include "object.h"

#include <string.h>

enum {
    EHDR = 64,
    SHDR = 64,
    SYM = 24,
    REL = 16,
    RELA = 24,
    SHN_LORESERVE = 0xff00,
    SHN_ABS = 0xfff1,
    SHN_COMMON = 0xfff2,
    SHN_XINDEX = 0xffff, /* the number is elsewhere, since 16 bits do not hold it */
    NAMES_PER_BYTE = 4,  /* bytes of names read for each byte of the file */
    NO_SYMBOL = -1
};

typedef struct header {
    uint32_t name, type;
    uint64_t flags, offset, size;
    uint32_t link, info;
    uint64_t align, entsize;
} header;

typedef struct reader {
    ebpf_ctx *ctx;
    const uint8_t *bytes;
    size_t size;
    bool big;
    ebpf_object *obj;
    header *headers;
    eb_str *names; /* of the sections */
    uint32_t count;
    uint32_t names_section; /* e_shstrndx */
    uint32_t symtab;        /* its index, or 0 */
    uint32_t symtab_shndx;  /* the index of the table with its symbols' sections, or 0 */
    uint32_t symbol_count;
    uint32_t *section_of; /* file index to that in the object, 0 for what is left out */
    int64_t *symbol_of;   /* file index to that in the object, NO_SYMBOL for what is left out */
    uint64_t name_budget;
} reader;

/* ---- diagnostics ---- */

static int report(reader *r, eb_diag_code code, const char *format, va_list args) {
    eb_buf text = {.arena = &r->ctx->arena};
    eb_buf_vfmt(&text, format, args);
    eb_buf_byte(&text, 0);
    eb_diag_input(r->ctx, code, r->obj->name, -1, (const char *)text.at);
    return EBPF_E_INPUT;
}

static int not_elf(reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int damaged(reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int not_elf(reader *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int status = report(r, EB_DIAG_NOT_ELF, format, args);
    va_end(args);
    return status;
}

static int damaged(reader *r, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int status = report(r, EB_DIAG_BAD_ELF, format, args);
    va_end(args);
    return status;
}

/* `why` about section `index`, with its name when it is known. */
static int bad_section(reader *r, uint32_t index, const char *why) {
    eb_str name = r->names[index];
    return damaged(r, "section %u '%.*s' %s", index, (int)name.len, name.len ? name.at : "", why);
}

/* ---- headers ---- */

static int read_ehdr(reader *r) {
    const uint8_t *at = r->bytes;
    if (r->size < 4 || memcmp(at,
                              "\x7f"
                              "ELF",
                              4) != 0)
        return not_elf(r, "it does not start with the bytes 7f 45 4c 46");
    if (r->size < EHDR)
        return damaged(r, "its %zu bytes are less than the header's 64", r->size);
    if (at[4] != 2)
        return not_elf(r, "its class is %u, but BPF objects have class 2 (64 bits)", at[4]);
    if (at[5] != 1 && at[5] != 2)
        return damaged(r, "its byte order is %u (1 is little, 2 is big)", at[5]);
    r->big = r->obj->big = at[5] == 2;
    uint32_t type = eb_get16(at + 16, r->big), machine = eb_get16(at + 18, r->big);
    if (machine != EB_EM_BPF)
        return not_elf(r, "it is for machine %u, not for BPF (247)", machine);
    if (type != 1)
        return not_elf(r, "its type is %u, but BPF objects are relocatable (1)", type);
    r->obj->eflags = eb_get32(at + 48, r->big);
    return EBPF_OK;
}

static header header_at(const reader *r, const uint8_t *at) {
    return (header){.name = eb_get32(at, r->big),
                    .type = eb_get32(at + 4, r->big),
                    .flags = eb_get64(at + 8, r->big),
                    .offset = eb_get64(at + 24, r->big),
                    .size = eb_get64(at + 32, r->big),
                    .link = eb_get32(at + 40, r->big),
                    .info = eb_get32(at + 44, r->big),
                    .align = eb_get64(at + 48, r->big),
                    .entsize = eb_get64(at + 56, r->big)};
}

static int read_headers(reader *r) {
    uint64_t offset = eb_get64(r->bytes + 40, r->big);
    uint32_t each = eb_get16(r->bytes + 58, r->big);
    uint64_t count = eb_get16(r->bytes + 60, r->big);
    r->names_section = eb_get16(r->bytes + 62, r->big);
    if (!offset)
        return damaged(r, "it has no sections");
    if (each != SHDR)
        return damaged(r, "its section headers have %u bytes, not 64", each);
    if (count >= SHN_LORESERVE)
        return damaged(r, "its number of sections, %u, is reserved", (unsigned)count);
    if (offset <= r->size && SHDR <= r->size - offset) {
        /* What 16 bits do not hold stands in the null section's header. */
        header null = header_at(r, r->bytes + offset);
        count = count ? count : null.size;
        if (r->names_section == SHN_XINDEX)
            r->names_section = null.link;
    }
    if (offset > r->size || count > (r->size - offset) / SHDR)
        return damaged(r, "its %llu section headers at offset %llu reach past its end at %zu",
                       (unsigned long long)count, (unsigned long long)offset, r->size);
    if (!count)
        return damaged(r, "it has no sections");
    if (count > UINT32_MAX / 4)
        return damaged(r, "it has more sections than are supported");
    r->count = (uint32_t)count;
    r->headers = eb_alloc_array(&r->ctx->arena, r->count, sizeof *r->headers);
    r->names = eb_alloc_array(&r->ctx->arena, r->count, sizeof *r->names);
    r->section_of = eb_alloc_array(&r->ctx->arena, r->count, sizeof *r->section_of);
    for (uint32_t i = 0; i < r->count; i++)
        r->headers[i] = header_at(r, r->bytes + offset + (uint64_t)i * SHDR);
    return EBPF_OK;
}

static bool lies_within(const reader *r, const header *h) {
    return h->offset <= r->size && h->size <= r->size - h->offset;
}

static int check_header(reader *r, uint32_t i, uint64_t *total) {
    const header *h = &r->headers[i];
    if (h->align & (h->align - 1))
        return bad_section(r, i, "has an alignment that is no power of two");
    if (h->link >= r->count)
        return bad_section(r, i, "is linked to a section that does not exist");
    if (h->type == EB_SHT_NOBITS)
        return h->size > UINT32_MAX ? bad_section(r, i, "is larger than 4 GiB") : EBPF_OK;
    if (h->type == EB_SHT_NULL)
        return EBPF_OK;
    if (!lies_within(r, h))
        return bad_section(r, i, "reaches past the end of the file");
    *total += h->size;
    return *total > r->size ? bad_section(r, i, "overlaps others: all take more than the file has")
                            : EBPF_OK;
}

static int check_headers(reader *r) {
    uint64_t total = 0;
    for (uint32_t i = 1; i < r->count; i++) {
        if (check_header(r, i, &total))
            return EBPF_E_INPUT;
        if (r->headers[i].type == EB_SHT_SYMTAB_SHNDX)
            r->symtab_shndx = i;
        if (r->headers[i].type != EB_SHT_SYMTAB)
            continue;
        if (r->symtab)
            return bad_section(r, i, "is a second symbol table");
        r->symtab = i;
    }
    return EBPF_OK;
}

/* ---- names ---- */

static bool name_at(reader *r, const header *table, uint32_t offset, eb_str *name) {
    if (offset >= table->size)
        return offset == 0; /* of an empty table: no name */
    const char *at = (const char *)r->bytes + table->offset + offset;
    uint64_t left = table->size - offset, most = left < r->name_budget ? left : r->name_budget;
    const char *end = memchr(at, 0, (size_t)most);
    if (!end)
        return false;
    *name = eb_str_copy(&r->ctx->arena, (eb_str){at, (size_t)(end - at)});
    r->name_budget -= name->len;
    return true;
}

/* Runs before all other checks of the headers, so that their messages can name sections. */
static int read_names(reader *r) {
    const header *table = &r->headers[r->names_section < r->count ? r->names_section : 0];
    if (table->type != EB_SHT_STRTAB)
        return damaged(r, "its section names (section %u) are no string table", r->names_section);
    if (!lies_within(r, table))
        return damaged(r, "its section names (section %u) reach past its end", r->names_section);
    for (uint32_t i = 1; i < r->count; i++)
        if (!name_at(r, table, r->headers[i].name, &r->names[i]))
            return bad_section(r, i, "has a name that does not end within the string table");
    return EBPF_OK;
}

/* ---- sections ---- */

static bool is_relocations(uint32_t type) {
    return type == EB_SHT_REL || type == EB_SHT_RELA;
}

static bool is_kept(const reader *r, uint32_t i) {
    switch (r->headers[i].type) {
    case EB_SHT_NULL:
    case EB_SHT_SYMTAB:
    case EB_SHT_SYMTAB_SHNDX:
    case EB_SHT_REL:
    case EB_SHT_RELA:
    case EB_SHT_LLVM_ADDRSIG:
        return false;
    case EB_SHT_STRTAB:
        return i != r->names_section && !(r->symtab && i == r->headers[r->symtab].link);
    default:
        return !eb_str_starts(r->names[i], ".debug_") && !eb_str_is(r->names[i], ".debug");
    }
}

static void add_section(reader *r, uint32_t i) {
    const header *h = &r->headers[i];
    r->section_of[i] = eb_object_add_section(r->obj, r->names[i], h->type, h->flags);
    eb_section *section = &r->obj->sections.at[r->section_of[i]];
    section->align = h->align;
    section->entsize = h->entsize;
    section->size = h->size;
    if (h->type != EB_SHT_NOBITS)
        eb_buf_put(&section->bytes, r->bytes + h->offset, (size_t)h->size);
}

static int read_sections(reader *r) {
    for (uint32_t i = 1; i < r->count; i++)
        if (is_kept(r, i))
            add_section(r, i);
    return EBPF_OK;
}

/* ---- symbols ---- */

static int symbol_place(reader *r, uint32_t i, uint32_t section, uint32_t *to) {
    *to = section == SHN_ABS ? EB_SHN_ABS : section == SHN_COMMON ? EB_SHN_COMMON : EB_SHN_UNDEF;
    if (*to != EB_SHN_UNDEF || section == EB_SHN_UNDEF)
        return EBPF_OK;
    if (section == SHN_XINDEX) {
        const header *table = &r->headers[r->symtab_shndx];
        if (!r->symtab_shndx || i >= table->size / 4)
            return damaged(r, "symbol %u is in a section whose number is missing", i);
        section = eb_get32(r->bytes + table->offset + 4 * (size_t)i, r->big);
    }
    if (section >= r->count)
        return damaged(r, "symbol %u is in section %u, which does not exist", i, section);
    *to = r->section_of[section];
    return EBPF_OK;
}

static int read_symbol(reader *r, uint32_t i, const uint8_t *at) {
    uint32_t index = eb_get16(at + 6, r->big), section;
    if (symbol_place(r, i, index, &section))
        return EBPF_E_INPUT;
    r->symbol_of[i] = NO_SYMBOL;
    if (index && !section)
        return EBPF_OK; /* in a section that is left out */
    eb_str name = {"", 0};
    if (!name_at(r, &r->headers[r->headers[r->symtab].link], eb_get32(at, r->big), &name))
        return damaged(r, "symbol %u has a name that does not end within the string table", i);
    uint32_t to = eb_object_add_symbol(r->obj, name, section, eb_get64(at + 8, r->big));
    eb_symbol *symbol = &r->obj->symbols.at[to];
    symbol->size = eb_get64(at + 16, r->big);
    symbol->bind = at[4] >> 4;
    symbol->type = at[4] & 15;
    symbol->visibility = at[5] & 3;
    r->symbol_of[i] = to;
    return EBPF_OK;
}

static int read_symbols(reader *r) {
    if (!r->symtab)
        return EBPF_OK;
    const header *table = &r->headers[r->symtab];
    if (table->entsize != SYM || table->size % SYM)
        return bad_section(r, r->symtab, "is no whole number of 24-byte symbols");
    if (r->headers[table->link].type != EB_SHT_STRTAB)
        return bad_section(r, r->symtab, "is linked to no string table");
    r->symbol_count = (uint32_t)(table->size / SYM);
    r->symbol_of = eb_alloc_array(&r->ctx->arena, r->symbol_count, sizeof *r->symbol_of);
    for (int locals = 1; locals >= 0; locals--)
        for (uint32_t i = 1; i < r->symbol_count; i++) {
            const uint8_t *at = r->bytes + table->offset + (size_t)i * SYM;
            if ((at[4] >> 4 == EB_STB_LOCAL) == (locals == 1) && read_symbol(r, i, at))
                return EBPF_E_INPUT;
        }
    return EBPF_OK;
}

/* ---- relocations ---- */

static int bad_reloc(reader *r, uint32_t i, uint64_t number, const char *why) {
    eb_str name = r->names[i];
    return damaged(r, "relocation %llu of section %u '%.*s' %s", (unsigned long long)number, i,
                   (int)name.len, name.len ? name.at : "", why);
}

static int read_reloc(reader *r, uint32_t i, uint64_t number, eb_section *section) {
    const header *h = &r->headers[i];
    const uint8_t *at = r->bytes + h->offset + number * h->entsize;
    eb_reloc reloc = {.offset = eb_get64(at, r->big)};
    uint64_t info = eb_get64(at + 8, r->big);
    uint32_t symbol = (uint32_t)(info >> 32);
    if (reloc.offset >= section->size)
        return bad_reloc(r, i, number, "lies outside of its section");
    if (symbol >= r->symbol_count)
        return bad_reloc(r, i, number, "refers to a symbol that does not exist");
    if (r->symbol_of[symbol] == NO_SYMBOL)
        return bad_reloc(r, i, number, "refers to debug information from outside of it");
    reloc.type = (uint32_t)info;
    reloc.symbol = (uint32_t)r->symbol_of[symbol];
    if (h->type == EB_SHT_RELA)
        reloc.addend = (int64_t)eb_get64(at + 16, r->big);
    *EB_PUSH(&r->ctx->arena, &section->relocs) = reloc;
    return EBPF_OK;
}

static int read_relocs_of(reader *r, uint32_t i) {
    const header *h = &r->headers[i];
    bool rela = h->type == EB_SHT_RELA;
    if (h->info == 0 || h->info >= r->count)
        return bad_section(r, i, "relocates a section that does not exist");
    if (!r->section_of[h->info]) /* of debug information, or damage that nobody uses */
        return EBPF_OK;
    if (h->entsize != (rela ? RELA : REL) || h->size % h->entsize)
        return bad_section(r, i, "is no whole number of relocations");
    eb_section *section = &r->obj->sections.at[r->section_of[h->info]];
    uint64_t count = h->size / h->entsize;
    if (section->type == EB_SHT_GROUP) /* members are numbers of sections: nothing moves them */
        return EBPF_OK;
    if (count && (!r->symtab || h->link != r->symtab))
        return bad_section(r, i, "is not linked to the symbol table");
    if (count && section->type == EB_SHT_NOBITS)
        return bad_section(r, i, "relocates a section without contents");
    if (count && section->relocs.len && section->rela != rela)
        return bad_section(r, i, "relocates a section that has relocations of the other form");
    if (count)
        section->rela = rela;
    for (uint64_t number = 0; number < count; number++)
        if (read_reloc(r, i, number, section))
            return EBPF_E_INPUT;
    return EBPF_OK;
}

static int read_relocs(reader *r) {
    for (uint32_t i = 1; i < r->count; i++)
        if (is_relocations(r->headers[i].type) && read_relocs_of(r, i))
            return EBPF_E_INPUT;
    return EBPF_OK;
}

/* ---- references between sections ---- */

/* A group's members are section numbers: make them the object's. The writer adds the relocations of
 * members again. */
static int renumber_group(reader *r, uint32_t i, eb_section *group) {
    size_t words = group->bytes.len / 4, kept = 1;
    if (group->bytes.len % 4 || !words)
        return bad_section(r, i, "is a group of no whole number of words");
    for (size_t n = 1; n < words; n++) {
        uint32_t member = eb_get32(group->bytes.at + 4 * n, r->big);
        if (member >= r->count)
            return bad_section(r, i, "groups a section that does not exist");
        if (r->section_of[member])
            eb_set32(group->bytes.at + 4 * kept++, r->big, r->section_of[member]);
    }
    group->bytes.len = 4 * kept;
    group->size = group->bytes.len;
    return EBPF_OK;
}

static int read_links_of(reader *r, uint32_t i) {
    const header *h = &r->headers[i];
    eb_section *section = &r->obj->sections.at[r->section_of[i]];
    bool is_symtab = r->symtab && h->link == r->symtab;
    section->link = is_symtab ? EB_LINK_SYMTAB : r->section_of[h->link];
    section->info = h->info;
    if (h->type == EB_SHT_GROUP) {
        if (h->info >= r->symbol_count)
            return bad_section(r, i, "is named by a symbol that does not exist");
        section->info = r->symbol_of[h->info] == NO_SYMBOL ? 0 : (uint32_t)r->symbol_of[h->info];
        return renumber_group(r, i, section);
    }
    if (h->flags & EB_SHF_INFO_LINK) {
        if (h->info >= r->count)
            return bad_section(r, i, "refers to a section that does not exist");
        section->info = r->section_of[h->info];
    }
    return EBPF_OK;
}

static int read_links(reader *r) {
    for (uint32_t i = 1; i < r->count; i++)
        if (r->section_of[i] && read_links_of(r, i))
            return EBPF_E_INPUT;
    return EBPF_OK;
}

int eb_elf_read(ebpf_ctx *ctx, eb_str name, const uint8_t *bytes, size_t size, ebpf_object **out) {
    reader r = {.ctx = ctx,
                .bytes = bytes,
                .size = size,
                .obj = eb_object_new(ctx, false),
                .name_budget = (uint64_t)size * NAMES_PER_BYTE};
    r.obj->name = eb_str_copy(&ctx->arena, name);
    static int (*const steps[])(reader *) = {read_ehdr,     read_headers,  read_names,
                                             check_headers, read_sections, read_symbols,
                                             read_relocs,   read_links};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (steps[i](&r))
            return EBPF_E_INPUT;
    *out = r.obj;
    return eb_object_index(r.obj);
}
