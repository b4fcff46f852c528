/* dis_test.c - text that assembles to the same object again, for objects that no compiler makes:
 * names twice or of any bytes, labels inside of instructions, relocations of any type, sections of
 * one name, groups; what comments say; the listing of llvm-objdump. */
#include "sample.h"

#include "assemble.h"
#include "core.h"

static eb_str disassemble(ebpf_object *obj, uint32_t flags) {
    eb_buf text = buffer(obj->ctx);
    eb_disassemble(obj, EBPF_DIALECT_LLVM, flags, &text);
    return (eb_str){(const char *)text.at, text.len};
}

static ebpf_object *assemble(ebpf_ctx *ctx, eb_str text, bool big) {
    ebpf_object *obj = NULL;
    if (eb_assemble(ctx, EB_STR("dis.s"), text, EBPF_DIALECT_LLVM, big, &obj))
        fail_msg("%s\n%.*s", unit_diagnostics(ctx), (int)text.len, text.at);
    return obj;
}

static void expect_line(eb_str text, const char *line) {
    size_t len = strlen(line);
    for (size_t i = 0; i + len <= text.len; i++)
        if ((i == 0 || text.at[i - 1] == '\n') && memcmp(text.at + i, line, len) == 0)
            return;
    fail_msg("no line '%s' in\n%.*s", line, (int)text.len, text.at);
}

/* ---- the same object ---- */

/* A symbol in words that do not depend on numbers. */
static eb_str symbol_words(const ebpf_object *obj, uint32_t number) {
    const eb_symbol *s = &obj->symbols.at[number];
    eb_str section =
        s->section < obj->sections.len ? obj->sections.at[s->section].name : EB_STR("elsewhere");
    eb_str name = s->type == EB_STT_SECTION ? EB_STR("") : s->name;
    return eb_str_fmt(&obj->ctx->arena, "'%.*s' in %.*s at %llu, %llu bytes, %u %u %u",
                      (int)name.len, name.at, (int)section.len, section.at,
                      (unsigned long long)s->value, (unsigned long long)s->size, s->bind, s->type,
                      s->visibility);
}

static void expect_symbols(const ebpf_object *got, const ebpf_object *want) {
    for (uint32_t i = 1; i < want->symbols.len; i++) {
        eb_str words = symbol_words(want, i);
        unsigned found = 0, wanted = 0;
        for (uint32_t j = 1; j < got->symbols.len; j++)
            found += eb_str_eq(words, symbol_words(got, j));
        for (uint32_t j = 1; j < want->symbols.len; j++)
            wanted += eb_str_eq(words, symbol_words(want, j));
        if (found != wanted)
            fail_msg("%u symbols instead of %u: %s", found, wanted, words.at);
    }
    assert_int_equal(got->symbols.len, want->symbols.len);
}

/* By place: sections may share a name. An empty .text is in front of what the assembler makes. */
static void expect_sections(const ebpf_object *got, const ebpf_object *want) {
    uint32_t at = 1;
    if (!eb_str_is(want->sections.at[1].name, ".text"))
        at++;
    for (uint32_t i = 1; i < want->sections.len; i++, at++) {
        const eb_section *a = &want->sections.at[i], *b = &got->sections.at[at];
        if (at >= got->sections.len)
            fail_msg("section %u is missing", i);
        expect_str(b->name, a->name);
        assert_int_equal(b->type, a->type);
        assert_int_equal(b->flags, a->flags);
        assert_int_equal(b->align, a->align);
        assert_int_equal(b->size, a->size);
        if (a->type != EB_SHT_GROUP && a->bytes.len)
            assert_memory_equal(b->bytes.at, a->bytes.at, a->bytes.len);
        assert_int_equal(b->relocs.len, a->relocs.len);
        for (uint32_t r = 0; r < a->relocs.len; r++) {
            assert_int_equal(b->relocs.at[r].offset, a->relocs.at[r].offset);
            assert_int_equal(b->relocs.at[r].type, a->relocs.at[r].type);
            expect_str(symbol_words(got, b->relocs.at[r].symbol),
                       symbol_words(want, a->relocs.at[r].symbol));
        }
    }
    assert_int_equal(at, got->sections.len);
}

static eb_str expect_back(ebpf_object *obj) {
    eb_str text = disassemble(obj, 0);
    ebpf_object *back = assemble(obj->ctx, text, obj->big);
    expect_sections(back, obj);
    expect_symbols(back, obj);
    return text;
}

static const uint64_t code = EB_SHF_ALLOC | EB_SHF_EXECINSTR, data = EB_SHF_ALLOC | EB_SHF_WRITE;

/* exit throughout, but for a 64-bit load in the first two slots. */
static uint32_t add_code(ebpf_object *obj, const char *name, size_t size) {
    uint32_t section = add_section(obj, name, code, 8, size);
    uint8_t *at = obj->sections.at[section].bytes.at;
    memset(at, 0, 16);
    at[0] = 0x18;
    return section;
}

static void names(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = eb_object_new(ctx, big);
        uint32_t xdp = add_code(obj, "xdp", 64);
        static const char *const odd[] = {
            "LBB0_2",    "LBB0_2", "LBB0_2", "a b", "say \"hi\"", "back\\", "new\nline", "\xff\x01",
            ".Lprivate", "r1",     "w10",    "1",   "",           "exit",   "bpf_loop",  "."};
        for (uint32_t i = 0; i < COUNT(odd); i++)
            add_symbol(obj, odd[i], xdp, 16 + i % 6 * 8, 0, EB_STB_LOCAL, EB_STT_NOTYPE);
        uint32_t global = add_symbol(obj, "the \"one\"", xdp, 0, 64, EB_STB_GLOBAL, EB_STT_FUNC);
        uint32_t weak = add_symbol(obj, "my call", 0, 0, 0, EB_STB_WEAK, EB_STT_NOTYPE);
        uint32_t maps = add_section(obj, "my maps", data, 8, 16);
        uint32_t map = add_symbol(obj, "LBB0_2", maps, 8, 8, EB_STB_GLOBAL, EB_STT_OBJECT);
        obj->symbols.at[map].visibility = EB_STV_HIDDEN;
        uint32_t room =
            add_symbol(obj, "the room", EB_SHN_COMMON, 8, 16, EB_STB_WEAK, EB_STT_OBJECT);
        obj->symbols.at[room].visibility = EB_STV_HIDDEN;
        add_symbol(obj, "w2", EB_SHN_COMMON, 4, 4, EB_STB_GLOBAL, EB_STT_OBJECT);
        add_reloc(obj, xdp, 0, EB_R_BPF_64_64, map, 0);
        add_reloc(obj, maps, 0, EB_R_BPF_64_ABS64, global, 0);
        add_reloc(obj, maps, 8, EB_R_BPF_64_ABS64, weak, 0);
        uint32_t namesake = add_symbol(obj, "xdp", 0, 0, 0, EB_STB_GLOBAL, EB_STT_NOTYPE);
        add_reloc(obj, xdp, 40, 77, namesake, 0);
        uint32_t dot = add_symbol(obj, ".", maps, 8, 0, EB_STB_GLOBAL, EB_STT_OBJECT);
        add_reloc(obj, add_section(obj, "words", data, 8, 16), 8, EB_R_BPF_64_ABS64, dot, 0);
        expect_back(obj);
        unit_close(ctx);
    }
}

static void places(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = eb_object_new(ctx, false);
    uint32_t xdp = add_code(obj, "xdp", 40);
    add_symbol(obj, "in_load", xdp, 8, 0, EB_STB_LOCAL, EB_STT_NOTYPE);
    add_symbol(obj, "in_slot", xdp, 19, 0, EB_STB_LOCAL, EB_STT_NOTYPE);
    add_symbol(obj, "at_end", xdp, 40, 0, EB_STB_LOCAL, EB_STT_NOTYPE);
    add_symbol(obj, "past_end", xdp, 100, 0, EB_STB_LOCAL, EB_STT_NOTYPE);
    uint32_t words = add_section(obj, ".data", data, 4, 16);
    uint32_t word = add_symbol(obj, "word", words, 0, 4, EB_STB_GLOBAL, EB_STT_OBJECT);
    add_symbol(obj, "in_field", words, 10, 0, EB_STB_LOCAL, EB_STT_NOTYPE);
    add_reloc(obj, words, 8, EB_R_BPF_64_ABS64, word, 0);
    add_symbol(obj, "seven", EB_SHN_ABS, 7, 0, EB_STB_LOCAL, EB_STT_NOTYPE);
    eb_str text = expect_back(obj);
    expect_line(text, "\t.set\tin_load, .-8\n");
    expect_line(text, "\t.set\tpast_end, .+60\n");
    unit_close(ctx);
}

static void relocations(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = eb_object_new(ctx, false);
    uint32_t xdp = add_code(obj, "xdp", 48), text = add_section(obj, "text", code, 8, 16);
    uint32_t local = add_symbol(obj, "local", text, 8, 8, EB_STB_LOCAL, EB_STT_FUNC);
    uint32_t start = add_symbol(obj, "", text, 0, 0, EB_STB_LOCAL, EB_STT_SECTION);
    uint32_t strings = add_section(obj, ".rodata.str", EB_SHF_ALLOC, 1, 16);
    obj->sections.at[strings].flags |= EB_SHF_MERGE | EB_SHF_STRINGS;
    obj->sections.at[strings].entsize = 1;
    uint32_t merged = add_symbol(obj, "", strings, 0, 0, EB_STB_LOCAL, EB_STT_SECTION);
    uint32_t loads = add_code(obj, "loads", 24);
    obj->sections.at[loads].bytes.at[4] = 5; /* in the middle of what can be merged */
    add_reloc(obj, loads, 0, EB_R_BPF_64_64, merged, 0);
    add_reloc(obj, xdp, 0, EB_R_BPF_64_64, local, 0);  /* not through its section */
    add_reloc(obj, xdp, 16, 77, local, 0);             /* no type that there is */
    add_reloc(obj, xdp, 16, EB_R_BPF_64_32, start, 0); /* two at a place, and not of a call */
    add_reloc(obj, xdp, 29, EB_R_BPF_64_ABS32, start, 0);
    add_reloc(obj, xdp, 40, 0, 0, 0);
    uint8_t *near = obj->sections.at[text].bytes.at; /* which the assembler would not need */
    near[0] = 0x85, near[1] = 0x10;
    add_reloc(obj, text, 0, EB_R_BPF_64_32, start, 0);
    uint32_t words = add_section(obj, ".data", data, 4, 16);
    add_reloc(obj, words, 2, EB_R_BPF_64_64, local, 0);
    add_reloc(obj, words, 14, EB_R_BPF_64_ABS64, start, 0); /* reaches past the end */
    eb_str said = expect_back(obj);
    expect_line(said, "\t.reloc\t16, 77, local\n");
    expect_line(said, "\t.reloc\t40, R_BPF_NONE\n");
    unit_close(ctx);
}

static void sections(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = eb_object_new(ctx, false);
    uint32_t group = eb_object_add_section(obj, EB_STR(".group"), EB_SHT_GROUP, 0);
    uint32_t one = add_code(obj, "tc", 24);
    obj->sections.at[one].flags |= EB_SHF_GROUP;
    eb_section *table = &obj->sections.at[group];
    table->align = table->entsize = 4;
    table->link = EB_LINK_SYMTAB;
    eb_set32(eb_buf_room(&table->bytes, 4), false, 1);
    eb_set32(eb_buf_room(&table->bytes, 4), false, one);
    table->size = 8;
    table->info = add_symbol(obj, "kept once", one, 0, 24, EB_STB_WEAK, EB_STT_FUNC);
    uint32_t two = add_code(obj, "tc", 16), three = add_code(obj, "tc", 40);
    add_symbol(obj, "second", two, 0, 16, EB_STB_GLOBAL, EB_STT_FUNC);
    add_symbol(obj, "third", three, 0, 40, EB_STB_GLOBAL, EB_STT_FUNC);
    add_section(obj, "empty", EB_SHF_ALLOC, 1, 0);
    add_section(obj, "a \"name\"\n\xff", EB_SHF_ALLOC, 1, 4);
    add_section(obj, "odd size", code, 8, 13);
    uint32_t note = add_section(obj, ".note", 0, 1, 3);
    obj->sections.at[note].type = EB_SHT_NOTE;
    uint32_t other = add_section(obj, ".other", 0, 1, 3);
    obj->sections.at[other].type = 0x70000001;
    eb_str text = expect_back(obj);
    expect_line(text, "\t.section\ttc,\"axG\",@progbits,\"kept once\",comdat\n");
    unit_close(ctx);
}

/* In damaged files only a group says that a section is in it, or it has no name. */
static void damaged_groups(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = eb_object_new(ctx, false);
    uint32_t group = eb_object_add_section(obj, EB_STR(".group"), EB_SHT_GROUP, 0);
    uint32_t one = add_code(obj, "tc", 24);
    add_symbol(obj, "once", one, 0, 24, EB_STB_WEAK, EB_STT_FUNC);
    eb_section *table = &obj->sections.at[group];
    eb_set32(eb_buf_room(&table->bytes, 4), false, 1);
    eb_set32(eb_buf_room(&table->bytes, 4), false, one);
    const struct {
        uint32_t flag, name;
    } damaged[] = {{0, 1}, {EB_SHF_GROUP, 0}, {EB_SHF_GROUP, 99}};
    for (size_t i = 0; i < COUNT(damaged); i++) {
        obj->sections.at[one].flags = code | damaged[i].flag;
        obj->sections.at[group].info = damaged[i].name;
        eb_str text = disassemble(obj, 0);
        expect_line(text, "\t.section\ttc,\"ax\",@progbits\n");
        (void)assemble(ctx, text, false);
    }
    unit_close(ctx);
}

/* What damaged files refer to has no name; the text is one all the same. */
static void nameless(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = eb_object_new(ctx, false);
    uint32_t xdp = add_code(obj, "xdp", 40), words = add_section(obj, ".BTF", 0, 4, 16);
    uint32_t symbols[] = {
        add_symbol(obj, "", 0, 0, 0, EB_STB_LOCAL, EB_STT_SECTION),
        add_symbol(obj, "", EB_SHN_ABS, 0, 0, EB_STB_LOCAL, EB_STT_SECTION),
        add_symbol(obj, "a.c", EB_SHN_ABS, 0, 0, EB_STB_LOCAL, EB_STT_FILE),
        add_symbol(obj, "seven", EB_SHN_ABS, 7, 0, EB_STB_GLOBAL, EB_STT_NOTYPE),
    };
    for (uint32_t i = 0; i < COUNT(symbols); i++) {
        add_reloc(obj, xdp, i * 8, EB_R_BPF_64_64, symbols[i], 0);
        add_reloc(obj, words, i * 4, EB_R_BPF_64_NODYLD32, symbols[i], 0);
    }
    eb_str text = disassemble(obj, 0);
    for (uint32_t i = 0; i < COUNT(symbols); i++)
        expect_line(text,
                    i % 2 ? "\t.reloc\t8, R_BPF_64_64\n" : "\t.reloc\t0, R_BPF_64_NODYLD32\n");
    unit_close(ctx);
}

/* .text is there from the start, but not what it is. */
static void other_text(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = eb_object_new(ctx, false);
    add_section(obj, ".text", data, 4, 12);
    add_section(obj, ".text", code, 8, 16);
    expect_back(obj);
    unit_close(ctx);
}

/* ---- comments ---- */

static void comments(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = sample(ctx, false);
    assert_int_equal(eb_object_index(obj), 0);
    uint32_t xdp = eb_object_find_section(obj, EB_STR("xdp"));
    eb_section *section = &obj->sections.at[xdp];
    static const eb_line lines[] = {{0, {"a.c", 3}, {"\tint x =\n1;", 11}, 7, 2},
                                    {8, {"a.c", 3}, {"\tint x =\n1;", 11}, 7, 9},
                                    {16, {"b.h", 3}, {"y();", 4}, 9, 1}};
    section->lines.len = section->core.len = 0;
    for (uint32_t i = 0; i < COUNT(lines); i++)
        *EB_PUSH(&ctx->arena, &section->lines) = lines[i];
    *EB_PUSH(&ctx->arena, &section->core) =
        (eb_core_relo){.offset = 8,
                       .type = eb_btf_find(obj->btf, EB_BTF_STRUCT, EB_STR("stat")),
                       .kind = EB_CORE_FIELD_BYTE_OFFSET,
                       .access = EB_STR("0:0")};
    eb_str text = disassemble(obj, EBPF_DIS_SOURCE);
    expect_line(text, "\t# a.c\n\t# 7: int x = 1;\n\t.reloc\t0, R_BPF_64_64, counts\n\texit\n"
                      "\texit\t# CO-RE byte_off struct stat.calls (0:0)\n");
    expect_line(text, "\t# b.h\n\t# 9: y();\n");
    assemble(ctx, text, false);
    section->bytes.at[8] = 0xff; /* the program is none any more, and the comments stay */
    assemble(ctx, disassemble(obj, EBPF_DIS_SOURCE | EBPF_DIS_RAW | EBPF_DIS_HEX), false);
    section->bytes.at[8] = 0x95;
    text = disassemble(obj, EBPF_DIS_OBJDUMP | EBPF_DIS_RELOCS);
    expect_line(text, "\nsample.o:\tfile format elf64-bpf\n\nDisassembly of section .text:\n\n"
                      "0000000000000000 <first>:\n");
    expect_line(text, "       1:\t95 00 00 00 00 00 00 00\texit\n"
                      "\t\t0000000000000008:  CO-RE <byte_off> [3] struct stat::calls (0:0)\n");
    section->core.at[0].access = EB_STR("0:9");
    text = disassemble(obj, EBPF_DIS_OBJDUMP | EBPF_DIS_RELOCS);
    expect_line(text, "\t\t0000000000000008:  CO-RE <byte_off> [3] '0:9' <member index 9 for spec "
                      "sub-string 1 is out of range>\n");
    unit_close(ctx);
}

/* ---- stripping ---- */

static void stripped(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = sample(ctx, true);
    assert_int_equal(eb_object_index(obj), 0);
    uint32_t before = obj->symbols.len, sections_before = obj->sections.len;
    uint32_t xdp = eb_object_find_section(obj, EB_STR("xdp"));
    add_symbol(obj, "", xdp, 0, 0, EB_STB_LOCAL, EB_STT_SECTION);
    eb_object_strip(obj, 0);
    assert_int_equal(obj->symbols.len, before); /* that of .text is used */
    assert_int_equal(obj->sections.len, sections_before);
    eb_object_strip(obj, EBPF_STRIP_LABELS | EBPF_STRIP_BTF);
    assert_int_equal(obj->symbols.len, before - 1);
    assert_int_equal(obj->sections.len, sections_before - 2);
    assert_int_equal(eb_object_find_section(obj, EB_STR(".BTF")), 0);
    for (uint32_t i = 1; i < obj->symbols.len; i++)
        assert_false(eb_str_is(obj->symbols.at[i].name, "LBB0_1"));
    expect_str(obj->symbols.at[obj->sections.at[xdp].relocs.at[0].symbol].name, EB_STR("counts"));
    expect_str(obj->symbols.at[obj->maps.at[0].symbol].name, EB_STR("counts"));
    unit_close(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),    cmocka_unit_test(places),         cmocka_unit_test(relocations),
        cmocka_unit_test(sections), cmocka_unit_test(damaged_groups), cmocka_unit_test(other_text),
        cmocka_unit_test(nameless), cmocka_unit_test(comments),       cmocka_unit_test(stripped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
