/* obj_test.c - the ELF writer and reader.
 *
 * Objects made here and by clang are written, read and compared: with our own reader, with a walker
 * of this file that shares no code with it, and with the tools of binutils, LLVM and libbpf.
 * Damaged files must be refused in one sentence; under the asan preset that they are read at all
 * shows that nothing is touched that should not be. */
#include "sample.h"

#include "guard.h"

/* ---- comparing objects ---- */

static void write_elf(const ebpf_object *obj, eb_buf *out) {
    *out = buffer(obj->ctx);
    eb_elf_write(obj, out);
}

static ebpf_object *read_elf(ebpf_ctx *ctx, const void *bytes, size_t size) {
    ebpf_object *obj = NULL;
    if (eb_elf_read(ctx, EB_STR("test.o"), bytes, size, &obj))
        fail_msg("not read: %s", unit_diagnostics(ctx));
    return obj;
}

static void expect_same_section(const eb_section *got, const eb_section *want) {
    expect_str(got->name, want->name);
    assert_int_equal(got->type, want->type);
    assert_int_equal(got->flags, want->flags);
    assert_int_equal(got->align, want->align);
    assert_int_equal(got->entsize, want->entsize);
    assert_int_equal(got->size, want->size);
    assert_int_equal(got->link, want->link);
    assert_int_equal(got->info, want->info);
    assert_int_equal(got->bytes.len, want->bytes.len);
    if (got->bytes.len)
        assert_memory_equal(got->bytes.at, want->bytes.at, want->bytes.len);
    assert_int_equal(got->relocs.len, want->relocs.len);
    assert_int_equal(got->rela, want->rela);
    for (uint32_t i = 0; i < want->relocs.len; i++) {
        assert_int_equal(got->relocs.at[i].offset, want->relocs.at[i].offset);
        assert_int_equal(got->relocs.at[i].type, want->relocs.at[i].type);
        assert_int_equal(got->relocs.at[i].symbol, want->relocs.at[i].symbol);
        assert_true(got->relocs.at[i].addend == want->relocs.at[i].addend);
    }
}

static void expect_same_symbol(const eb_symbol *got, const eb_symbol *want) {
    expect_str(got->name, want->name);
    assert_int_equal(got->section, want->section);
    assert_true(got->value == want->value);
    assert_true(got->size == want->size);
    assert_int_equal(got->bind, want->bind);
    assert_int_equal(got->type, want->type);
    assert_int_equal(got->visibility, want->visibility);
}

static void expect_same_views(const ebpf_object *got, const ebpf_object *want) {
    expect_str(got->license, want->license);
    assert_int_equal(got->funcs.len, want->funcs.len);
    for (uint32_t i = 0; i < want->funcs.len; i++) {
        expect_str(got->funcs.at[i].name, want->funcs.at[i].name);
        assert_int_equal(got->funcs.at[i].symbol, want->funcs.at[i].symbol);
        assert_int_equal(got->funcs.at[i].offset, want->funcs.at[i].offset);
        assert_int_equal(got->funcs.at[i].size, want->funcs.at[i].size);
        assert_int_equal(got->funcs.at[i].program, want->funcs.at[i].program);
    }
    assert_int_equal(got->maps.len, want->maps.len);
    for (uint32_t i = 0; i < want->maps.len; i++) {
        expect_str(got->maps.at[i].name, want->maps.at[i].name);
        assert_int_equal(got->maps.at[i].type, want->maps.at[i].type);
        assert_int_equal(got->maps.at[i].key_size, want->maps.at[i].key_size);
        assert_int_equal(got->maps.at[i].btf_value, want->maps.at[i].btf_value);
        assert_int_equal(got->maps.at[i].inner, want->maps.at[i].inner);
    }
}

static void expect_same(const ebpf_object *got, const ebpf_object *want) {
    assert_int_equal(got->big, want->big);
    assert_int_equal(got->eflags, want->eflags);
    assert_int_equal(got->sections.len, want->sections.len);
    for (uint32_t i = 0; i < want->sections.len; i++)
        expect_same_section(&got->sections.at[i], &want->sections.at[i]);
    assert_int_equal(got->symbols.len, want->symbols.len);
    for (uint32_t i = 0; i < want->symbols.len; i++)
        expect_same_symbol(&got->symbols.at[i], &want->symbols.at[i]);
    expect_same_views(got, want);
}

/* Reading, writing and reading again gives the same object; writing again the same bytes. */
static ebpf_object *expect_round_trip(ebpf_ctx *ctx, const void *bytes, size_t size) {
    ebpf_object *first = read_elf(ctx, bytes, size);
    eb_buf once, twice;
    write_elf(first, &once);
    ebpf_object *second = read_elf(ctx, once.at, once.len);
    expect_same(second, first);
    write_elf(second, &twice);
    assert_int_equal(twice.len, once.len);
    assert_memory_equal(twice.at, once.at, once.len);
    return first;
}

/* ---- a walker that shares no code with the reader ---- */

typedef struct walker {
    const uint8_t *at;
    int big;
    FILE *out;
} walker;

static uint64_t field(const walker *w, uint64_t offset, unsigned size) {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)w->at[offset + i] << 8 * (w->big ? size - 1 - i : i);
    return value;
}

static uint64_t header_of(const walker *w, uint64_t index) {
    return field(w, 40, 8) + index * 64;
}

static const char *text_of(const walker *w, uint64_t table, uint64_t offset) {
    return (const char *)w->at + field(w, header_of(w, table) + 24, 8) + offset;
}

static const char *section_text(const walker *w, uint64_t index) {
    static char number[16];
    if (index >= 0xff00 || index == 0) {
        snprintf(number, sizeof number, "#%x", (unsigned)index);
        return number;
    }
    return text_of(w, field(w, 62, 2), field(w, header_of(w, index), 4));
}

static uint64_t find_symtab(const walker *w) {
    uint64_t index = field(w, 60, 2);
    while (--index && field(w, header_of(w, index) + 4, 4) != 2)
        ;
    return index;
}

static void walk_symbol(const walker *w, uint64_t index) {
    uint64_t symtab = find_symtab(w), table = header_of(w, symtab);
    uint64_t at = field(w, table + 24, 8) + index * 24;
    fprintf(w->out, "%s info %x other %x section %s value %llx size %llx\n",
            text_of(w, field(w, table + 40, 4), field(w, at, 4)), (unsigned)w->at[at + 4],
            (unsigned)w->at[at + 5], section_text(w, field(w, at + 6, 2)),
            (unsigned long long)field(w, at + 8, 8), (unsigned long long)field(w, at + 16, 8));
}

static int is_dropped(const walker *w, uint64_t index) {
    uint64_t type = field(w, header_of(w, index) + 4, 4);
    const char *name = section_text(w, index);
    return strncmp(name, ".debug", 6) == 0 || strncmp(name, ".rel.debug", 10) == 0 ||
           type == 0x6fff4c03 || type == 3 || type == 2;
}

static void walk_section(const walker *w, uint64_t index) {
    uint64_t at = header_of(w, index), type = field(w, at + 4, 4), size = field(w, at + 32, 8);
    uint64_t data = field(w, at + 24, 8);
    fprintf(w->out, "%s type %llx flags %llx size %llx align %llx entsize %llx\n",
            section_text(w, index), (unsigned long long)type,
            (unsigned long long)field(w, at + 8, 8), (unsigned long long)size,
            (unsigned long long)field(w, at + 48, 8), (unsigned long long)field(w, at + 56, 8));
    if (type == 9) { /* SHT_REL */
        fprintf(w->out, "  of %s\n", section_text(w, field(w, at + 44, 4)));
        for (uint64_t i = data; i < data + size; i += 16) {
            fprintf(w->out, "  %llx %llx ", (unsigned long long)field(w, i, 8),
                    (unsigned long long)field(w, i + 8, 8) & 0xffffffff);
            walk_symbol(w, field(w, i + 8, 8) >> 32);
        }
    } else if (type != 8) { /* SHT_NOBITS */
        for (uint64_t i = 0; i < size; i++)
            fprintf(w->out, "%02x", w->at[data + i]);
        fprintf(w->out, "\n");
    }
}

/* Sections, symbols and relocations as text, without numbers that a rewrite may change. */
static char *walk(const void *bytes) {
    char *text = NULL;
    size_t size = 0;
    walker w = {bytes, ((const uint8_t *)bytes)[5] == 2, open_memstream(&text, &size)};
    assert_non_null(w.out);
    for (uint64_t i = 1; i < field(&w, 60, 2); i++)
        if (!is_dropped(&w, i))
            walk_section(&w, i);
    uint64_t symtab = header_of(&w, find_symtab(&w)), count = field(&w, symtab + 32, 8) / 24;
    uint64_t from = field(&w, symtab + 24, 8);
    for (uint64_t i = 1; i < count; i++) {
        uint64_t section = field(&w, from + i * 24 + 6, 2);
        if (section == 0 || section >= 0xff00 || !is_dropped(&w, section))
            walk_symbol(&w, i);
    }
    fclose(w.out);
    return text;
}

/* ---- tests: our own objects ---- */

static void round_trip(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = sample(ctx, big);
        assert_int_equal(eb_object_index(obj), 0);
        eb_buf elf;
        write_elf(obj, &elf);
        ebpf_object *back = expect_round_trip(ctx, elf.at, elf.len);
        unit_expect_none(ctx);
        assert_int_equal(back->sections.len, obj->sections.len);
        for (uint32_t i = 0; i < obj->sections.len; i++) {
            expect_str(back->sections.at[i].name, obj->sections.at[i].name);
            assert_int_equal(back->sections.at[i].relocs.len, obj->sections.at[i].relocs.len);
        }
        /* Locals first, each group in its order; relocations follow their symbols. */
        static const char *const order[] = {"", "helper",    "first",  "LBB0_1", "sample.c",
                                            "", "on_packet", "counts", "state",  "absent"};
        assert_int_equal(back->symbols.len, COUNT(order));
        for (uint32_t i = 0; i < COUNT(order); i++)
            expect_str(back->symbols.at[i].name, eb_str_from(order[i]));
        for (uint32_t s = 0; s < obj->sections.len; s++)
            for (uint32_t r = 0; r < obj->sections.at[s].relocs.len; r++)
                expect_same_symbol(&back->symbols.at[back->sections.at[s].relocs.at[r].symbol],
                                   &obj->symbols.at[obj->sections.at[s].relocs.at[r].symbol]);
        unit_close(ctx);
    }
}

/* Group members and linked sections keep their meaning when sections are numbered anew. */
static void groups_and_links(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = eb_object_new(ctx, false);
    uint32_t code =
        add_section(obj, ".text.f", EB_SHF_ALLOC | EB_SHF_EXECINSTR | EB_SHF_GROUP, 8, 16);
    uint32_t group = eb_object_add_section(obj, EB_STR(".group"), EB_SHT_GROUP, 0);
    uint32_t sizes = add_section(obj, ".stack_sizes", EB_SHF_LINK_ORDER, 1, 9);
    uint32_t profile = add_section(obj, ".profile", EB_SHF_INFO_LINK, 1, 8);
    uint32_t f = add_symbol(obj, "f", code, 0, 16, EB_STB_WEAK, EB_STT_FUNC);
    add_symbol(obj, "local", code, 8, 0, EB_STB_LOCAL, EB_STT_NOTYPE);
    add_reloc(obj, code, 0, EB_R_BPF_64_32, f, 0);
    obj->sections.at[group].entsize = 4;
    obj->sections.at[group].info = f;
    obj->sections.at[group].link = EB_LINK_SYMTAB;
    obj->sections.at[group].size = 8;
    eb_set32(eb_buf_room(&obj->sections.at[group].bytes, 4), false, 1);
    eb_set32(eb_buf_room(&obj->sections.at[group].bytes, 4), false, code);
    obj->sections.at[sizes].link = code;
    obj->sections.at[profile].link = EB_LINK_SYMTAB;
    obj->sections.at[profile].info = sizes;
    eb_buf elf;
    write_elf(obj, &elf);
    ebpf_object *back = expect_round_trip(ctx, elf.at, elf.len);
    assert_int_equal(back->sections.at[group].bytes.len, 8);
    assert_int_equal(eb_get32(back->sections.at[group].bytes.at + 4, false), code);
    expect_str(back->symbols.at[back->sections.at[group].info].name, EB_STR("f"));
    assert_int_equal(back->sections.at[sizes].link, code);
    assert_int_equal(back->sections.at[profile].info, sizes);
    /* In the file the group holds the section and its relocations: numbers 2 and 3. */
    walker w = {elf.at, 0, NULL};
    uint64_t header = header_of(&w, 4);
    assert_string_equal(section_text(&w, 4), ".group");
    assert_int_equal(field(&w, header + 32, 8), 12);
    assert_int_equal(field(&w, field(&w, header + 24, 8) + 4, 4), 2);
    assert_int_equal(field(&w, field(&w, header + 24, 8) + 8, 4), 3);
    unit_close(ctx);
}

/* Relocations of both forms for one section; numbers in groups and links that lead nowhere. */
static void refused_references(void **state) {
    (void)state;
    static const struct {
        const char *section;
        unsigned offset; /* in its header, or 64 and more: in its contents */
        uint32_t value;
        const char *error;
    } cases[] = {
        {".group", 44, 99, "'.group' is named by a symbol that does not exist"},
        {".group", 32, 7, "'.group' is a group of no whole number of words"},
        {".group", 64 + 4, 99, "'.group' groups a section that does not exist"},
        {".profile", 44, 99, "'.profile' refers to a section that does not exist"},
        {".rela.profile", 44, 2, "has relocations of the other form"},
        {".rela.profile", 44, 5, "relocates a section without contents"},
        {".rela.profile", 64, 8, "relocation 0 of section 8 '.rela.profile' lies outside"},
        {".rela.profile", 64 + 12, 99, "refers to a symbol that does not exist"},
    };
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = eb_object_new(ctx, false);
        uint32_t code = add_section(obj, ".text", EB_SHF_ALLOC | EB_SHF_EXECINSTR, 8, 16);
        uint32_t group = eb_object_add_section(obj, EB_STR(".group"), EB_SHT_GROUP, 0);
        uint32_t bss = eb_object_add_section(obj, EB_STR(".bss"), EB_SHT_NOBITS, EB_SHF_ALLOC);
        eb_object_add_section(obj, EB_STR(".empty"), EB_SHT_PROGBITS, 0);
        uint32_t profile = add_section(obj, ".profile", EB_SHF_INFO_LINK, 1, 8);
        uint32_t f = add_symbol(obj, "f", code, 0, 16, EB_STB_GLOBAL, EB_STT_FUNC);
        obj->sections.at[bss].size = 8;
        obj->sections.at[group].link = EB_LINK_SYMTAB;
        obj->sections.at[group].info = f;
        eb_set32(eb_buf_room(&obj->sections.at[group].bytes, 4), false, 1);
        eb_set32(eb_buf_room(&obj->sections.at[group].bytes, 4), false, profile);
        add_reloc(obj, code, 0, EB_R_BPF_64_32, f, 0);
        add_reloc(obj, profile, 0, EB_R_BPF_64_ABS32, f, 4);
        obj->sections.at[profile].rela = true;
        eb_buf elf;
        write_elf(obj, &elf);
        expect_round_trip(ctx, elf.at, elf.len);
        walker w = {elf.at, 0, NULL};
        uint64_t at = 1;
        while (strcmp(section_text(&w, at), cases[i].section) != 0)
            at++;
        at = header_of(&w, at);
        at = cases[i].offset < 64 ? at + cases[i].offset
                                  : field(&w, at + 24, 8) + cases[i].offset - 64;
        eb_set32(elf.at + at, false, cases[i].value);
        assert_int_equal(eb_elf_read(ctx, EB_STR("x.o"), elf.at, elf.len, &obj), EBPF_E_INPUT);
        unit_expect_error(ctx, cases[i].error);
        unit_close(ctx);
    }
}

/* A name that ends another one shares its bytes, as LLVM has it. */
static void strings_share_tails(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = eb_object_new(ctx, false);
    uint32_t text = add_section(obj, ".text", EB_SHF_ALLOC | EB_SHF_EXECINSTR, 8, 8);
    uint32_t f = add_symbol(obj, "text", text, 0, 8, EB_STB_GLOBAL, EB_STT_FUNC);
    add_reloc(obj, text, 0, EB_R_BPF_64_32, f, 0);
    eb_buf elf;
    write_elf(obj, &elf);
    walker w = {elf.at, 0, NULL};
    static const char want[] = "\0.rel.text\0.strtab\0.symtab";
    uint64_t strings = header_of(&w, 1);
    assert_int_equal(field(&w, strings + 32, 8), sizeof want);
    const uint8_t *at = elf.at + field(&w, strings + 24, 8);
    assert_memory_equal(at, want, sizeof want);
    assert_string_equal(section_text(&w, 2), ".text");
    assert_string_equal(section_text(&w, 3), ".rel.text");
    unit_close(ctx);
}

/* Above 0xff00 sections their numbers no longer fit where they usually stand. */
static void many_sections(void **state) {
    (void)state;
    for (uint32_t big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = eb_object_new(ctx, big), *back;
        for (uint32_t i = 0; i < 0xff00 - 5; i++)
            eb_object_add_section(obj, EB_STR("s"), EB_SHT_PROGBITS, 0);
        eb_buf elf;
        write_elf(obj, &elf); /* with null, .strtab and .symtab: the last that fits */
        assert_int_equal(eb_get16(elf.at + 60, big), 0xff00 - 2);
        assert_int_equal(read_elf(ctx, elf.at, elf.len)->sections.len, 0xff00 - 4);
        for (uint32_t i = 0; i < 0x200; i++)
            add_section(obj, "more", EB_SHF_ALLOC, 1, 8);
        uint32_t last = obj->sections.len - 1;
        add_symbol(obj, "constant", EB_SHN_ABS, 7, 0, EB_STB_LOCAL, EB_STT_NOTYPE);
        uint32_t symbol = add_symbol(obj, "far", last, 4, 0, EB_STB_GLOBAL, EB_STT_OBJECT);
        add_symbol(obj, "there", 0, 0, 0, EB_STB_GLOBAL, EB_STT_NOTYPE);
        add_symbol(obj, "room", EB_SHN_COMMON, 8, 8, EB_STB_GLOBAL, EB_STT_OBJECT);
        add_reloc(obj, last, 0, EB_R_BPF_64_ABS64, symbol, 0);
        write_elf(obj, &elf);
        assert_int_equal(eb_get16(elf.at + 60, big), 0);
        back = read_elf(ctx, elf.at, elf.len);
        expect_same(back, obj);
        unit_expect_none(ctx);
        unit_close(ctx);
    }
}

static void raw_bytes(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    static const uint8_t code[16] = {0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95};
    ebpf_object *obj;
    assert_int_equal(eb_object_from_raw(ctx, EB_STR("raw"), code, 16, true, &obj), 0);
    assert_true(obj->big);
    assert_int_equal(eb_object_find_section(obj, EB_STR(".text")), 1);
    assert_int_equal(obj->sections.at[1].flags, EB_SHF_ALLOC | EB_SHF_EXECINSTR);
    assert_memory_equal(obj->sections.at[1].bytes.at, code, 16);
    assert_int_equal(eb_object_from_raw(ctx, EB_STR("raw"), code, 15, false, &obj), EBPF_E_INPUT);
    unit_expect_error(ctx, "15 bytes");
    unit_close(ctx);
}

/* ---- tests: damaged files ---- */

typedef struct attempt {
    const uint8_t *bytes;
    size_t size;
} attempt;

/* Read it and, where that works, do with it all that can be done. */
static int read_and_use(ebpf_ctx *ctx, void *args) {
    const attempt *a = args;
    ebpf_object *obj;
    int status = eb_elf_read(ctx, EB_STR("damaged.o"), a->bytes, a->size, &obj);
    if (status) {
        assert_int_equal(status, EBPF_E_INPUT);
        assert_int_not_equal(ctx->errors, 0);
        assert_true(strlen(unit_diagnostics(ctx)) > 0);
        return status;
    }
    eb_buf elf = buffer(ctx), json = buffer(ctx);
    eb_elf_write(obj, &elf);
    eb_object_info_json(obj, &json);
    expect_same(read_elf(ctx, elf.at, elf.len), obj);
    return status;
}

/* Says whether it was accepted. */
static bool try_reading(const uint8_t *bytes, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(64 << 20);
    assert_non_null(ctx);
    int status = eb_guard(ctx, read_and_use, &(attempt){bytes, size});
    unit_close(ctx);
    return status == EBPF_OK;
}

typedef struct subject {
    uint8_t *at;
    size_t size;
    const char *name;
} subject;

/* The most complicated object at hand: clang's with DWARF and CO-RE, or else our own. */
static subject real_object(void) {
    static const char *const compilers[] = {"clang-19", "clang-14", "clang"};
    for (uint32_t i = 0; i < COUNT(compilers); i++) {
        char command[512], said[256];
        snprintf(command, sizeof command,
                 "%s -target bpfel -g -O2 -c " TEST_DATA "/object.c -o damage.o", compilers[i]);
        if (unit_has_tool(compilers[i]) && !unit_run(command, said, sizeof said)) {
            unit_file file = unit_read("damage.o");
            return (subject){file.at, file.size, compilers[i]};
        }
    }
    ebpf_ctx *ctx = unit_open();
    eb_buf elf;
    write_elf(sample(ctx, false), &elf);
    subject own = {malloc(elf.len), elf.len, "our writer"};
    assert_non_null(own.at);
    memcpy(own.at, elf.at, elf.len);
    unit_close(ctx);
    return own;
}

static void truncated(void **state) {
    (void)state;
    subject s = real_object();
    unsigned accepted = 0, tried = 0;
    for (size_t i = 0; i < 2000; i++) {
        size_t size = s.size * i / 2000;
        uint8_t *copy = malloc(size ? size : 1); /* of its exact size, so that ASan sees all */
        assert_non_null(copy);
        memcpy(copy, s.at, size);
        accepted += try_reading(copy, size);
        tried++;
        free(copy);
    }
    printf("%u truncations of an object of %s (%zu bytes), %u accepted\n", tried, s.name, s.size,
           accepted);
    assert_int_equal(accepted, 0); /* section headers are at the end */
    free(s.at);
}

static void flipped(void **state) {
    (void)state;
    subject s = real_object();
    uint64_t seed = 0x5eed0b7ec7;
    unsigned accepted = 0, tried = 20000;
    uint8_t *copy = malloc(s.size);
    assert_non_null(copy);
    for (unsigned i = 0; i < tried; i++) {
        memcpy(copy, s.at, s.size);
        unsigned flips = 1 + (unsigned)(unit_random(&seed) % 4);
        /* Half of them where they hurt most: in the headers at both ends. */
        for (unsigned f = 0; f < flips; f++) {
            uint64_t at = unit_random(&seed) % s.size, choice = unit_random(&seed) % 4;
            if (choice == 0)
                at %= 64;
            else if (choice == 1)
                at = s.size - 1 - at % (64 * 30);
            copy[at] = (uint8_t)unit_random(&seed);
        }
        accepted += try_reading(copy, s.size);
    }
    printf("%u damaged copies of an object of %s, %u accepted\n", tried, s.name, accepted);
    assert_true(accepted > tried / 20 && accepted < tried);
    free(copy);
    free(s.at);
}

static void random_bytes(void **state) {
    (void)state;
    size_t size = 10 << 20;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    uint64_t seed = 42;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(unit_random(&seed) >> 32);
    assert_false(try_reading(bytes, size));
    /* The same behind a header that promises as many sections as there can be. */
    ebpf_ctx *ctx = unit_open();
    eb_buf elf;
    write_elf(sample(ctx, false), &elf);
    memcpy(bytes, elf.at, 64);
    eb_set64(bytes + 40, false, 64);
    eb_set16(bytes + 60, false, 0xfeff);
    assert_false(try_reading(bytes, size));
    unit_close(ctx);
    free(bytes);
}

/* One damage each, and the sentence that it must give. */
static void refused(void **state) {
    (void)state;
    enum { HDR = -1, SEC = -2 }; /* offset in the file's header; in that of section `section` */
    static const struct {
        int where;
        const char *section;
        unsigned offset, size;
        uint64_t value;
        const char *error;
    } cases[] = {
        {HDR, "", 0, 4, 0x464c457e, "not an ELF file: it does not start"},
        {HDR, "", 4, 1, 1, "its class is 1"},
        {HDR, "", 5, 1, 3, "its byte order is 3"},
        {HDR, "", 18, 2, 62, "it is for machine 62"},
        {HDR, "", 16, 2, 2, "its type is 2"},
        {HDR, "", 40, 8, UINT64_MAX - 8, "section headers at offset"},
        {HDR, "", 58, 2, 40, "section headers have 40 bytes"},
        {HDR, "", 60, 2, 0, "it has no sections"},
        {HDR, "", 60, 2, 0xff01, "is reserved"},
        {HDR, "", 60, 2, 0xfe00, "reach past its end"},
        {HDR, "", 62, 2, 2, "are no string table"},
        {HDR, "", 62, 2, 999, "are no string table"},
        {SEC, "xdp", 24, 8, UINT64_MAX, "'xdp' reaches past the end of the file"},
        {SEC, "xdp", 32, 8, UINT64_MAX - 50, "'xdp' reaches past the end of the file"},
        {SEC, "xdp", 48, 8, 24, "no power of two"},
        {SEC, "xdp", 40, 4, 500, "linked to a section that does not exist"},
        {SEC, "xdp", 4, 4, 2, "second symbol table"},
        {SEC, "xdp", 0, 4, 100000, "has a name that does not end"},
        {SEC, ".bss", 32, 8, UINT64_C(1) << 33, "larger than 4 GiB"},
        {SEC, ".relxdp", 44, 4, 0, "relocates a section that does not exist"},
        {SEC, ".relxdp", 40, 4, 1, "not linked to the symbol table"},
        {SEC, ".relxdp", 56, 8, 24, "no whole number of relocations"},
        {SEC, ".relxdp", 32, 8, 24, "no whole number of relocations"},
        {SEC, ".symtab", 56, 8, 16, "no whole number of 24-byte symbols"},
        {SEC, ".symtab", 40, 4, 2, "linked to no string table"},
        {SEC, ".BTF", 32, 8, 20, "damaged BTF"},
    };
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        ebpf_ctx *ctx = unit_open();
        eb_buf elf;
        write_elf(sample(ctx, false), &elf);
        walker w = {elf.at, 0, NULL};
        uint64_t at = cases[i].offset;
        for (uint64_t s = 1; cases[i].where == SEC && s < field(&w, 60, 2); s++)
            if (strcmp(section_text(&w, s), cases[i].section) == 0)
                at = header_of(&w, s) + cases[i].offset;
        for (unsigned b = 0; b < cases[i].size; b++)
            elf.at[at + b] = (uint8_t)(cases[i].value >> 8 * b);
        ebpf_object *obj;
        assert_int_equal(eb_elf_read(ctx, EB_STR("x.o"), elf.at, elf.len, &obj), EBPF_E_INPUT);
        unit_expect_error(ctx, cases[i].error);
        unit_close(ctx);
    }
}

/* ---- tests: other people's objects and tools ---- */

static void compare_with_original(const char *path) {
    ebpf_ctx *ctx = unit_open();
    unit_file file = unit_read(path);
    ebpf_object *obj = expect_round_trip(ctx, file.at, file.size);
    eb_buf elf;
    write_elf(obj, &elf);
    char *before = walk(file.at), *after = walk(elf.at);
    assert_string_equal(after, before);
    free(before);
    free(after);
    assert_int_equal(ctx->errors, 0);
    free(file.at);
    unit_close(ctx);
}

static void check_clang(const char *compiler) {
    static const char *const options[] = {"-target bpfel -g", "-target bpfeb -g", "-target bpfel",
                                          "-target bpfel -g -mcpu=v1 -O1"};
    for (uint32_t i = 0; i < COUNT(options); i++) {
        char command[512], said[1024];
        snprintf(command, sizeof command, "%s -O2 %s -c " TEST_DATA "/object.c -o clang.o",
                 compiler, options[i]);
        if (unit_run(command, said, sizeof said))
            fail_msg("%s: %s", command, said);
        compare_with_original("clang.o");
    }
}

static void clang_14(void **state) {
    (void)state;
    if (!unit_has_tool("clang-14"))
        UNIT_SKIP("clang-14 is not installed");
    check_clang("clang-14");
}

static void clang_19(void **state) {
    (void)state;
    if (!unit_has_tool("clang-19"))
        UNIT_SKIP("clang-19 is not installed");
    check_clang("clang-19");
}

static void gcc_bpf(void **state) {
    (void)state;
    if (!unit_has_tool("bpf-gcc"))
        UNIT_SKIP("bpf-gcc (Debian's gcc-bpf) is not installed");
    static const char *const options[] = {"-gbtf", "-g", "-gbtf -mbig-endian"};
    for (uint32_t i = 0; i < COUNT(options); i++) {
        char command[512], said[1024];
        snprintf(command, sizeof command, "bpf-gcc -O2 %s -c " TEST_DATA "/object.c -o gcc.o",
                 options[i]);
        if (unit_run(command, said, sizeof said))
            fail_msg("%s: %s", command, said);
        compare_with_original("gcc.o");
    }
}

/* libbpf's linker leaves local symbols behind global ones: what we write is in order again. */
static void linked_by_bpftool(void **state) {
    (void)state;
    if (!unit_has_tool("bpftool") || !unit_has_tool("clang-14"))
        UNIT_SKIP("bpftool and clang-14 are not installed");
    char said[1024];
    if (unit_run("clang-14 -target bpfel -g -O2 -c " TEST_DATA "/object.c -o part1.o && "
                 "printf 'static int a; __attribute__((section(\"tc\"))) int more(void *c) "
                 "{ return a++; }' >part2.c && clang-14 -target bpfel -g -O2 -c part2.c && "
                 "bpftool gen object linked.o part1.o part2.o",
                 said, sizeof said))
        fail_msg("%s", said);
    ebpf_ctx *ctx = unit_open();
    unit_file file = unit_read("linked.o");
    ebpf_object *obj = expect_round_trip(ctx, file.at, file.size);
    assert_int_equal(obj->maps.len, 4);
    eb_buf elf;
    write_elf(obj, &elf);
    unit_write("linked.o", elf.at, elf.len);
    if (unit_run("readelf -a -W linked.o | grep -i warning; bpftool gen skeleton linked.o | "
                 "grep -q 'struct bpf_program .more'",
                 said, sizeof said) ||
        said[0])
        fail_msg("%s", said);
    free(file.at);
    unit_close(ctx);
}

/* What is known of clang's maps and programs, not only that it survives. */
static void clang_views(void **state) {
    (void)state;
    subject s = real_object();
    if (strcmp(s.name, "our writer") == 0) {
        free(s.at);
        UNIT_SKIP("no clang is installed");
    }
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = read_elf(ctx, s.at, s.size);
    assert_int_equal(obj->maps.len, 4);
    expect_str(obj->maps.at[0].name, EB_STR("counts"));
    assert_int_equal(obj->maps.at[0].value_size, 32);
    assert_int_equal(obj->maps.at[0].flags, 1);
    expect_str(obj->maps.at[1].name, EB_STR("outer")); /* by place, not as BTF lists them */
    assert_int_equal(obj->maps.at[1].inner, 4);
    assert_int_equal(obj->maps.at[2].type, EB_MAP_RINGBUF);
    expect_str(obj->maps.at[3].name, EB_STR("outer.inner"));
    assert_int_equal(obj->maps.at[3].max_entries, 4);
    static const char *const programs[] = {"on_packet", "on_call", "on_call_too"};
    uint32_t found = 0;
    for (uint32_t i = 0; i < obj->funcs.len; i++)
        if (obj->funcs.at[i].program)
            expect_str(obj->funcs.at[i].name, eb_str_from(programs[found++]));
    assert_int_equal(found, 3);
    assert_int_equal(eb_object_find_section(obj, EB_STR(".debug_info")), 0);
    free(s.at);
    unit_close(ctx);
}

/* An object of llvm-mc is written back byte for byte. */
static void same_bytes_as_llvm(void **state) {
    (void)state;
    if (!unit_has_tool("llvm-mc-19") || !unit_has_tool("clang-19"))
        UNIT_SKIP("llvm-mc-19 and clang-19 are not installed");
    static const char *const triples[] = {"bpfel", "bpfeb"};
    for (uint32_t i = 0; i < COUNT(triples); i++) {
        char command[512], said[1024];
        snprintf(command, sizeof command,
                 "clang-19 -target %s -O2 -S " TEST_DATA "/object.c -o mc.s && sed -i "
                 "/addrsig/d mc.s && llvm-mc-19 -triple=%s -filetype=obj mc.s -o mc.o",
                 triples[i], triples[i]);
        if (unit_run(command, said, sizeof said))
            fail_msg("%s: %s", command, said);
        ebpf_ctx *ctx = unit_open();
        unit_file file = unit_read("mc.o");
        eb_buf elf;
        write_elf(read_elf(ctx, file.at, file.size), &elf);
        assert_int_equal(elf.len, file.size);
        assert_memory_equal(elf.at, file.at, file.size);
        free(file.at);
        unit_close(ctx);
    }
}

/* The tool accepts our object without a word of complaint and says what it should. */
static void expect_tool(const char *tool, const char *arguments, const char *const *words,
                        uint32_t count) {
    for (int big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        eb_buf elf;
        write_elf(sample(ctx, big), &elf);
        unit_write("sample.o", elf.at, elf.len);
        char command[256], said[16384];
        snprintf(command, sizeof command, "%s %s sample.o", tool, arguments);
        int status = unit_run(command, said, sizeof said);
        if (status || strstr(said, "arning") || strstr(said, "rror:"))
            fail_msg("%s: %d, %s", command, status, said);
        for (uint32_t i = 0; i < count; i++)
            if (!strstr(said, words[i]))
                fail_msg("%s does not say %s: %s", command, words[i], said);
        unit_close(ctx);
    }
}

static void readelf_accepts(void **state) {
    (void)state;
    if (!unit_has_tool("readelf"))
        UNIT_SKIP("readelf (binutils) is not installed");
    static const char *const words[] = {"REL (Relocatable file)", ".relxdp", ".rela.notes",
                                        "FUNC    GLOBAL DEFAULT", "HIDDEN",  "on_packet"};
    expect_tool("readelf", "-a -W", words, COUNT(words));
}

static void objdump_accepts(void **state) {
    (void)state;
    static const char *const tools[] = {"llvm-objdump-14", "llvm-objdump-19"};
    static const char *const words[] = {"<on_packet>:", "exit", "R_BPF_64_64"};
    unsigned found = 0;
    for (uint32_t i = 0; i < COUNT(tools); i++)
        if (unit_has_tool(tools[i])) {
            expect_tool(tools[i], "-d -r", words, COUNT(words));
            found++;
        }
    if (!found)
        UNIT_SKIP("llvm-objdump is not installed");
}

static void bpftool_accepts(void **state) {
    (void)state;
    if (!unit_has_tool("bpftool"))
        UNIT_SKIP("bpftool is not installed");
    static const char *const words[] = {"STRUCT 'stat' size=16 vlen=1",
                                        "FUNC 'on_packet' type_id=14 linkage=global",
                                        "DATASEC '.maps' size=32 vlen=1"};
    expect_tool("bpftool", "btf dump file", words, COUNT(words));
}

/* libbpf opens it, .BTF.ext and maps included: bpftool makes a skeleton of it. */
static void libbpf_accepts(void **state) {
    (void)state;
    if (!unit_has_tool("bpftool"))
        UNIT_SKIP("bpftool is not installed");
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = sample(ctx, false);
    for (uint32_t i = 1; i < obj->symbols.len; i++) {
        if (eb_str_is(obj->symbols.at[i].name, "helper"))
            obj->symbols.at[i].size = 16;
        if (eb_str_is(obj->symbols.at[i].name, "absent"))
            obj->symbols.at[i].section = EB_SHN_ABS;
    }
    /* Without what libbpf does not want: RELA, and calls, as all code here is exit. */
    obj->sections.at[eb_object_find_section(obj, EB_STR(".notes"))].relocs.len = 0;
    obj->sections.at[eb_object_find_section(obj, EB_STR(".text"))].relocs.len = 0;
    obj->sections.at[eb_object_find_section(obj, EB_STR("xdp"))].relocs.len = 0;
    eb_buf elf;
    write_elf(obj, &elf);
    unit_write("skeleton.o", elf.at, elf.len);
    char said[65536];
    int status = unit_run("bpftool gen skeleton skeleton.o", said, sizeof said);
    if (status || !strstr(said, "struct bpf_map *counts") ||
        !strstr(said, "struct bpf_program *on_packet"))
        fail_msg("%d: %s", status, said);
    unit_close(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(groups_and_links),
        cmocka_unit_test(refused_references),
        cmocka_unit_test(strings_share_tails),
        cmocka_unit_test(many_sections),
        cmocka_unit_test(raw_bytes),
        cmocka_unit_test(refused),
        cmocka_unit_test(truncated),
        cmocka_unit_test(flipped),
        cmocka_unit_test(random_bytes),
        cmocka_unit_test(clang_14),
        cmocka_unit_test(clang_19),
        cmocka_unit_test(gcc_bpf),
        cmocka_unit_test(linked_by_bpftool),
        cmocka_unit_test(clang_views),
        cmocka_unit_test(same_bytes_as_llvm),
        cmocka_unit_test(readelf_accepts),
        cmocka_unit_test(objdump_accepts),
        cmocka_unit_test(bpftool_accepts),
        cmocka_unit_test(libbpf_accepts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
