/* btf_ext_test.c - .BTF.ext: records written, read back and looked up, in both byte orders; lines
 * made of source locations; damaged and longer records; and what clang wrote, written again. */
#include "sample.h"

#include <dirent.h>

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

/* ---- an object with records ---- */

enum { TEXT = 1, XDP = 2, INT = 1, PROTO = 2, FUNC = 3 };

static eb_section *section_of(ebpf_object *obj, uint32_t section) {
    return &obj->sections.at[section];
}

static void add_line(ebpf_object *obj, uint32_t section, eb_line line) {
    *EB_PUSH(&obj->ctx->arena, &section_of(obj, section)->lines) = line;
}

static void add_core(ebpf_object *obj, uint32_t section, eb_core_relo relo) {
    *EB_PUSH(&obj->ctx->arena, &section_of(obj, section)->core) = relo;
}

/* Records of every sort, those of .text not in the order of their offsets. */
static ebpf_object *with_records(ebpf_ctx *ctx, bool big) {
    ebpf_object *obj = eb_object_new(ctx, big);
    obj->name = EB_STR("records.o");
    add_section(obj, ".text", EB_SHF_ALLOC | EB_SHF_EXECINSTR, 8, 32);
    add_section(obj, "xdp", EB_SHF_ALLOC | EB_SHF_EXECINSTR, 8, 24);
    eb_btf *btf = eb_btf_new(&ctx->arena, big);
    eb_btf_add_int(btf, EB_STR("int"), 4, EB_BTF_SIGNED);
    eb_btf_add_proto(btf, INT);
    eb_btf_add_func(btf, EB_STR("f"), PROTO, EB_BTF_STATIC);
    add_func_type(obj, TEXT, 16, FUNC);
    add_func_type(obj, TEXT, 0, FUNC);
    add_func_type(obj, TEXT, 16, INT); /* another name of the same: dropped */
    add_func_type(obj, XDP, 8, FUNC);
    add_line(obj, TEXT, (eb_line){24, EB_STR("a.c"), EB_STR("return 0;"), 12, 5});
    add_line(obj, TEXT, (eb_line){0, EB_STR("a.c"), EB_STR("int f(void)"), 10, 1});
    add_line(obj, XDP, (eb_line){8, EB_STR("a.h"), EB_STR(""), 4194303, 1023});
    add_core(obj, XDP, (eb_core_relo){16, INT, 9, EB_STR("0")});
    add_core(obj, XDP, (eb_core_relo){0, INT, 0, EB_STR("0:1:2")});
    add_btf_sections(obj, btf);
    return obj;
}

static ebpf_object *read_back(ebpf_ctx *ctx, const ebpf_object *obj) {
    eb_buf elf = buffer(ctx);
    ebpf_object *back;
    eb_elf_write(obj, &elf);
    assert_int_equal(eb_elf_read(ctx, EB_STR("back.o"), elf.at, elf.len, &back), 0);
    return back;
}

static eb_buf ext_of(const ebpf_object *obj) {
    return obj->sections.at[eb_object_find_section(obj, EB_STR(".BTF.ext"))].bytes;
}

/* ---- tests ---- */

static void there_and_back(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = read_back(ctx, with_records(ctx, big));
        const eb_section *text = section_of(obj, TEXT), *xdp = section_of(obj, XDP);
        unit_expect_none(ctx);
        assert_int_equal(text->func_types.len, 2);
        assert_int_equal(eb_func_type_of(text, 0), FUNC);
        assert_int_equal(eb_func_type_of(text, 16), FUNC);
        assert_int_equal(eb_func_type_of(text, 8), 0);
        assert_int_equal(eb_func_type_of(xdp, 8), FUNC);
        assert_int_equal(text->lines.len, 2);
        assert_int_equal(text->lines.at[0].line, 10);
        assert_int_equal(xdp->lines.at[0].line, 4194303);
        assert_int_equal(xdp->lines.at[0].column, 1023);
        expect_str(xdp->lines.at[0].file, EB_STR("a.h"));
        expect_str(xdp->lines.at[0].text, EB_STR(""));
        assert_int_equal(xdp->core.len, 2);
        assert_int_equal(xdp->core.at[0].offset, 0);
        expect_str(xdp->core.at[0].access, EB_STR("0:1:2"));
        assert_int_equal(xdp->core.at[1].kind, 9);
        assert_int_equal(xdp->core.at[1].type, INT);
        unit_close(ctx);
    }
}

static void lookups(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = read_back(ctx, with_records(ctx, false));
    const eb_section *text = section_of(obj, TEXT), *xdp = section_of(obj, XDP);
    assert_int_equal(eb_line_of(text, 0)->line, 10);
    assert_int_equal(eb_line_of(text, 16)->line, 10);
    assert_int_equal(eb_line_of(text, 24)->line, 12);
    assert_int_equal(eb_line_of(text, UINT64_MAX)->line, 12);
    assert_null(eb_line_of(xdp, 0)); /* before the first line */
    assert_null(eb_core_of(xdp, 8));
    assert_int_equal(eb_core_of(xdp, 16)->kind, 9);
    assert_null(eb_core_of(text, 0));
    unit_close(ctx);
}

/* Where instructions know the text they come from, lines are recorded where they change and where
 * functions start. */
static void lines_from_locations(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = eb_object_new(ctx, false);
    eb_loc first = eb_source_add(ctx, EB_STR("x.s"), EB_STR("one\n  two \n"));
    add_section(obj, ".text", EB_SHF_ALLOC | EB_SHF_EXECINSTR, 8, 40);
    const eb_loc locs[] = {first, first, first + 6, first + 6, 0};
    for (uint32_t i = 0; i < COUNT(locs); i++)
        *EB_PUSH(&ctx->arena, &section_of(obj, TEXT)->locs) = locs[i];
    eb_btf *btf = eb_btf_new(&ctx->arena, false);
    eb_btf_add_int(btf, EB_STR("int"), 4, EB_BTF_SIGNED);
    eb_btf_add_proto(btf, INT);
    eb_btf_add_func(btf, EB_STR("f"), PROTO, EB_BTF_STATIC);
    add_func_type(obj, TEXT, 0, FUNC);
    add_func_type(obj, TEXT, 24, FUNC);
    add_btf_sections(obj, btf);
    const eb_section *text = section_of(read_back(ctx, obj), TEXT);
    static const struct {
        uint32_t offset, line, column;
        const char *text;
    } want[] = {{0, 1, 1, "one"}, {16, 2, 3, "two"}, {24, 2, 3, "two"}};
    assert_int_equal(text->lines.len, COUNT(want));
    for (uint32_t i = 0; i < COUNT(want); i++) {
        const eb_line *line = &text->lines.at[i];
        assert_int_equal(line->offset, want[i].offset);
        assert_int_equal(line->line, want[i].line);
        assert_int_equal(line->column, want[i].column);
        expect_str(line->file, EB_STR("x.s"));
        expect_str(line->text, eb_str_from(want[i].text));
    }
    unit_close(ctx);
}

/* Records of 20 bytes instead of 16, and a header of 40 instead of 32: what is behind is skipped.
 */
static void longer_records(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = with_records(ctx, false);
    eb_buf *ext = &obj->sections.at[eb_object_find_section(obj, EB_STR(".BTF.ext"))].bytes;
    uint32_t lines = 32 + eb_get32(ext->at + 16, false), size = eb_get32(ext->at + 20, false);
    eb_buf longer = buffer(ctx);
    eb_buf_put(&longer, ext->at, 32);
    eb_buf_room(&longer, 8);
    eb_set32(longer.at + 4, false, 40);
    eb_set32(longer.at + 12, false, 0); /* no functions */
    eb_set32(longer.at + 16, false, 0); /* lines at once */
    eb_set32(longer.at + 20, false, size + 3 * 4);
    eb_set32(longer.at + 28, false, 0); /* no CO-RE relocations */
    eb_set32(eb_buf_room(&longer, 4), false, 20);
    const uint8_t *at = ext->at + lines + 4;
    for (int run = 0; run < 2; run++) {
        uint32_t count = eb_get32(at + 4, false);
        eb_buf_put(&longer, at, 8);
        at += 8;
        for (; count; count--, at += 16) {
            eb_buf_put(&longer, at, 16);
            eb_set32(eb_buf_room(&longer, 4), false, 0xffffffff);
        }
    }
    *ext = longer;
    ebpf_object *back = read_back(ctx, obj);
    unit_expect_none(ctx);
    assert_int_equal(section_of(back, TEXT)->lines.len, 2);
    assert_int_equal(section_of(back, XDP)->lines.at[0].column, 1023);
    assert_int_equal(section_of(back, XDP)->core.len, 0);
    unit_close(ctx);
}

/* A word of .BTF.ext changed: all of it is ignored with a warning that has `text` in it. */
static void damaged(void **state) {
    (void)state;
    static const struct {
        uint32_t at, value;
        const char *text;
    } cases[] = {
        {0, 0x01eb9e, "magic number"},
        {0, 0x02eb9f, "version"},
        {4, 20, "its header has 20 bytes"},
        {4, 0x10000, "its header has 65536 bytes"},
        {8, 2, "its functions (44 bytes at 2) do not lie within it"},
        {12, 0xfffffff0, "do not lie within it"},
        {24, 0xfffffffc, "CO-RE relocations"},
        {32, 4, "records of 4 bytes; they have 8 or more"},
        {32, 10, "records of 10 bytes"},
        {36, 0xffffff, "a string at 16777215 of .BTF"},
        {36, 1, "name section 'int', which does not exist"},
        {40, 0x10000000, "its functions are cut off"},
        {44, 4, "offset 4 of section '.text', where no instruction is"},
        {44, 32, "offset 32 of section '.text'"},
        {48, 4, "type 4 of 3"},
    };
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = with_records(ctx, false);
        eb_set32(ext_of(obj).at + cases[i].at, false, cases[i].value);
        ebpf_object *back = read_back(ctx, obj);
        const char *said = unit_diagnostics(ctx);
        if (!strstr(said, "warning: damaged .BTF.ext") || !strstr(said, cases[i].text))
            fail_msg("case %u: %s", i, said);
        for (uint32_t s = 1; s < back->sections.len; s++)
            assert_int_equal(section_of(back, s)->lines.len + section_of(back, s)->core.len +
                                 section_of(back, s)->func_types.len,
                             0);
        unit_close(ctx);
    }
}

/* Every length of it: no read past its end (the sanitizers watch). */
static void cut_off(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = with_records(ctx, true);
    uint32_t index = eb_object_find_section(obj, EB_STR(".BTF.ext"));
    eb_buf whole = ext_of(obj);
    for (size_t size = 0; size < whole.len; size++) {
        uint8_t *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, whole.at, size);
        obj->sections.at[index].bytes = (eb_buf){.at = copy, .len = size};
        obj->ext_order.len = 0;
        section_of(obj, XDP)->core.len = 0;
        eb_btf_ext_read(obj);
        assert_int_equal(section_of(obj, XDP)->core.len, 0);
        free(copy);
    }
    unit_close(ctx);
}

/* What a compiler wrote comes out of the records the same, byte for byte. Tells whether the object
 * has records and could be read at all, which some cannot: their maps are wrong on purpose. */
static bool rewrite(const char *path) {
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj;
    unit_file file = unit_read(path);
    bool has_records = eb_elf_read(ctx, eb_str_from(path), file.at, file.size, &obj) == 0 &&
                       obj->ext_order.len > 0;
    if (has_records) {
        eb_buf again = buffer(ctx), before = ext_of(obj);
        eb_btf_ext_write(obj, obj->btf, &again);
        if (again.len != before.len || memcmp(again.at, before.at, before.len) != 0)
            fail_msg("%s: .BTF.ext is written differently", path);
    }
    free(file.at);
    unit_close(ctx);
    return has_records;
}

static void clangs_own(void **state) {
    (void)state;
    const char *dir = CASES "/../../build/corpus/selftests";
    DIR *entries = opendir(dir);
    const struct dirent *entry;
    int rewritten = 0;
    if (!entries)
        UNIT_SKIP("no objects in build/corpus (npm run setup makes them)");
    while ((entry = readdir(entries))) {
        const char *dot = strrchr(entry->d_name, '.');
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (dot && strcmp(dot, ".o") == 0)
            rewritten += rewrite(path);
    }
    closedir(entries);
    printf("%d objects rewritten\n", rewritten);
    assert_true(rewritten > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(lookups),
        cmocka_unit_test(lines_from_locations),
        cmocka_unit_test(longer_records),
        cmocka_unit_test(damaged),
        cmocka_unit_test(cut_off),
        cmocka_unit_test(clangs_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
