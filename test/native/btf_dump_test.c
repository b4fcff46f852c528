/* btf_dump_test.c - BTF as text. Every test/cases/btf/NAME.btf is a test: types in the raw format,
 * a line "-- c" or "-- diag", and what they become. The types are built from their lines, written,
 * read, and must give the same lines again; BLESS=1 writes what came out. Then what lines cannot
 * say; BTF in ELF files; and the kernel's own, line by line beside bpftool's.
 * That the C has the layout it should have is shown by compiling it: scripts/peers/vmlinux.mjs. */
#include "unit.h"

#include <dirent.h>

#include "btf_dump.h"
#include "guard.h"

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

/* ---- types from their lines ---- */

static eb_btf_kind kind_of(const char *word) {
    static const char *const names[] = {
        "",
#define BTF(id, number, own, each) #id " ",
#include "btf.def"
    };
    for (unsigned i = 1; i < COUNT(names); i++)
        if (strncmp(word, names[i], strlen(names[i])) == 0)
            return (eb_btf_kind)i;
    fail_msg("no kind: %s", word);
    return EB_BTF_VOID;
}

static const char *behind(const char *line, const char *key) {
    const char *at = strstr(line, key);
    return at ? at + strlen(key) : NULL;
}

static int64_t number(const char *line, const char *key) {
    const char *at = behind(line, key);
    if (!at)
        fail_msg("%s is missing: %s", key, line);
    return *at == '-' ? strtoll(at, NULL, 0) : (int64_t)strtoull(at, NULL, 0);
}

static uint32_t small(const char *line, const char *key) {
    return (uint32_t)number(line, key);
}

static bool says(const char *line, const char *text) {
    return strstr(line, text) != NULL;
}

static uint32_t linkage(const char *line) {
    return says(line, "extern") ? EB_BTF_EXTERN : says(line, "global") ? EB_BTF_GLOBAL : 0;
}

static eb_str quoted(const char *line) {
    const char *at = strchr(line, '\''), *end = at ? strchr(at + 1, '\'') : NULL;
    if (!end)
        return (eb_str){"", 0};
    eb_str name = {at + 1, (size_t)(end - at - 1)};
    return eb_str_is(name, "(anon)") ? (eb_str){"", 0} : name;
}

static void add_entry(eb_btf *btf, const char *line) {
    eb_btf_kind kind = eb_btf_kind_of(btf, btf->count - 1);
    eb_str name = quoted(line);
    if (kind == EB_BTF_ENUM || kind == EB_BTF_ENUM64)
        eb_btf_add_enumerator(btf, name, (uint64_t)number(line, " val="));
    else if (kind == EB_BTF_FUNC_PROTO)
        eb_btf_add_param(btf, name, small(line, "type_id="));
    else if (kind == EB_BTF_DATASEC)
        eb_btf_add_datasec_var(btf, small(line, "type_id="), small(line, "offset="),
                               small(line, "size="));
    else if (says(line, "bitfield_size="))
        eb_btf_add_bitfield(btf, name, small(line, "type_id="), small(line, "bits_offset="),
                            small(line, "bitfield_size="));
    else
        eb_btf_add_member(btf, name, small(line, "type_id="), small(line, "bits_offset="));
}

static uint32_t encoding(const char *line) {
    return says(line, "=SIGNED") ? EB_BTF_SIGNED
           : says(line, "=CHAR") ? EB_BTF_CHAR
           : says(line, "=BOOL") ? EB_BTF_BOOL
                                 : 0;
}

static void add_type(eb_btf *btf, const char *line) {
    eb_btf_kind kind = kind_of(strchr(line, ' ') + 1);
    eb_str name = quoted(line);
    switch (kind) {
    case EB_BTF_INT:
        eb_btf_add_int(btf, name, small(line, " size="), encoding(line));
        break;
    case EB_BTF_ARRAY:
        eb_btf_add_array(btf, small(line, " type_id="), small(line, "index_type_id="),
                         small(line, "nr_elems="));
        break;
    case EB_BTF_STRUCT:
    case EB_BTF_UNION:
        eb_btf_add_record(btf, kind, name, small(line, " size="));
        break;
    case EB_BTF_ENUM:
    case EB_BTF_ENUM64:
        eb_btf_add_enum(btf, kind, name, small(line, " size="), says(line, "=SIGNED"));
        break;
    case EB_BTF_FWD:
        eb_btf_add_ref(btf, kind, name, says(line, "=union"));
        break;
    case EB_BTF_FUNC:
        eb_btf_add_func(btf, name, small(line, "type_id="), linkage(line));
        break;
    case EB_BTF_FUNC_PROTO:
        eb_btf_add_proto(btf, small(line, "ret_type_id="));
        break;
    case EB_BTF_VAR:
        eb_btf_add_var(btf, name, small(line, "type_id="), linkage(line));
        break;
    case EB_BTF_DATASEC:
        eb_btf_add_datasec(btf, name, small(line, " size="));
        break;
    case EB_BTF_FLOAT:
        eb_btf_add_float(btf, name, small(line, " size="));
        break;
    case EB_BTF_DECL_TAG:
        eb_btf_add_decl_tag(btf, name, small(line, "type_id="),
                            (int32_t)number(line, "component_idx="));
        break;
    default:
        eb_btf_add_ref(btf, kind, name, small(line, "type_id="));
    }
}

static eb_btf *build(ebpf_ctx *ctx, eb_str lines) {
    eb_btf *btf = eb_btf_new(&ctx->arena, false);
    for (const char *at = lines.at, *end = at + lines.len; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        char *line = eb_alloc(&ctx->arena, (size_t)(stop - at) + 1);
        memcpy(line, at, (size_t)(stop - at));
        if (*line == '\t')
            add_entry(btf, line);
        else
            add_type(btf, line);
        at = stop + 1;
    }
    return btf;
}

/* ---- cases ---- */

static eb_btf *read_again(ebpf_ctx *ctx, const eb_btf *btf) {
    eb_buf bytes = {.arena = &ctx->arena};
    eb_btf *back;
    eb_btf_write(btf, &bytes);
    if (eb_btf_read(ctx, EB_STR("case"), bytes.at, bytes.len, NULL, &back))
        fail_msg("not read: %s", unit_diagnostics(ctx));
    return back;
}

/* What stands between the fixed head and tail. */
static eb_str body_of(eb_buf *text) {
    static const char head[] = "#define __weak __attribute__((weak))\n#endif\n\n";
    eb_buf_byte(text, 0);
    const char *at = strstr((const char *)text->at, head);
    assert_non_null(at);
    at += sizeof head - 1;
    const char *end =
        strstr(at, "#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop");
    assert_non_null(end);
    return (eb_str){at, (size_t)(end - at)};
}

static void bless(const char *path, eb_str lines, const char *part, eb_str text) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(lines.at, 1, lines.len, file);
    fprintf(file, "-- %s\n", part);
    fwrite(text.at, 1, text.len, file);
    fclose(file);
}

static void check_case(void **state) {
    const char *path = *state;
    ebpf_ctx *ctx = unit_open();
    unit_file file = unit_read(path);
    eb_str all = eb_str_copy(&ctx->arena, (eb_str){(const char *)file.at, file.size});
    free(file.at);
    const char *mark = strstr(all.at, "\n-- ");
    assert_non_null(mark);
    eb_str lines = {all.at, (size_t)(mark + 1 - all.at)};
    bool wants_c = strncmp(mark, "\n-- c\n", 6) == 0;
    const char *want = strchr(mark + 1, '\n') + 1;
    eb_btf *btf = read_again(ctx, build(ctx, lines));
    eb_buf raw = {.arena = &ctx->arena}, text = raw;
    eb_btf_dump_raw(btf, NULL, 0, &raw);
    if (raw.len != lines.len || memcmp(raw.at, lines.at, raw.len) != 0)
        fail_msg("%s: its lines come back as\n%.*s", path, (int)raw.len, (const char *)raw.at);
    int status = eb_btf_dump_c(ctx, btf, NULL, 0, &text);
    eb_str got = status ? eb_str_from(unit_diagnostics(ctx)) : body_of(&text);
    const char *blessed = getenv("BLESS");
    if (blessed && *blessed == '1')
        bless(path, lines, status ? "diag" : "c", got);
    else if (wants_c != (status == EBPF_OK) || !eb_str_is(got, want))
        fail_msg("%s: wanted\n%s\ngot\n%.*s", path, want, (int)got.len, got.at);
    unit_close(ctx);
}

/* ---- what lines cannot say ---- */

static void attribute_tags(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = eb_btf_new(&ctx->arena, false);
    eb_btf_add_int(btf, EB_STR("int"), 4, EB_BTF_SIGNED);
    eb_btf_add_ref(btf, EB_BTF_TYPE_TAG, EB_STR("address_space(1)"), 1);
    btf->own_types.at[btf->offsets.at[1] + 7] |= 0x80;
    eb_btf_add_ref(btf, EB_BTF_PTR, (eb_str){0}, 2);
    eb_btf_add_ref(btf, EB_BTF_TYPEDEF, EB_STR("arena_ptr"), 3);
    eb_buf text = {.arena = &ctx->arena};
    uint32_t root = 4;
    assert_int_equal(eb_btf_dump_c(ctx, btf, &root, 1, &text), EBPF_OK);
    eb_str got = body_of(&text);
    assert_true(eb_str_is(got, "typedef int __attribute__((address_space(1))) *arena_ptr;\n\n"));
    eb_buf json = {.arena = &ctx->arena};
    root = 2;
    eb_btf_dump_json(btf, &root, 1, &json);
    eb_str want =
        EB_STR("{\"types\":[{\"id\":2,\"kind\":\"TYPE_TAG\",\"name\":\"address_space(1)\","
               "\"type_id\":1,\"attribute\":true}]}");
    assert_int_equal(json.len, want.len);
    assert_memory_equal(json.at, want.at, want.len);
    unit_close(ctx);
}

static void refuse_c(ebpf_ctx *ctx, const eb_btf *btf, const char *why) {
    eb_buf text = {.arena = &ctx->arena};
    assert_int_equal(eb_btf_dump_c(ctx, btf, NULL, 0, &text), EBPF_E_INPUT);
    unit_expect_error(ctx, why);
    unit_close(ctx);
}

/* A thousand pointers on top of one another are too many, and so is what doubles at every level. */
static void endless(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = eb_btf_new(&ctx->arena, false);
    for (uint32_t i = 0; i < 3000; i++)
        eb_btf_add_ref(btf, EB_BTF_PTR, (eb_str){0}, i + 2);
    eb_btf_add_ref(btf, EB_BTF_PTR, (eb_str){0}, 0);
    refuse_c(ctx, btf, "is nested too deeply");

    ctx = unit_open();
    btf = eb_btf_new(&ctx->arena, false);
    for (uint32_t i = 0; i < 60; i++) { /* each a prototype with two parameters of the next */
        uint32_t next = i == 59 ? 0 : 2 * i + 4;
        eb_btf_add_proto(btf, 0);
        for (uint32_t k = 0; k < 2; k++)
            eb_btf_add_param(btf, EB_STR("p"), next);
        eb_btf_add_ref(btf, EB_BTF_PTR, (eb_str){0}, 2 * i + 1);
    }
    eb_btf_add_ref(btf, EB_BTF_TYPEDEF, EB_STR("all"), 2);
    refuse_c(ctx, btf, "takes too long");
}

static void hollow(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = eb_btf_new(&ctx->arena, false);
    eb_btf_add_record(btf, EB_BTF_STRUCT, EB_STR("hollow"), UINT32_MAX);
    refuse_c(ctx, btf, "type 1 'hollow' cannot be written as C: it has a hole that is too large");
}

static void json_values(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = eb_btf_new(&ctx->arena, false);
    eb_btf_add_enum(btf, EB_BTF_ENUM64, (eb_str){0}, 8, true);
    eb_btf_add_enumerator(btf, EB_STR("A"), (uint64_t)-1);
    eb_btf_add_enumerator(btf, EB_STR("B"), (uint64_t)INT64_MIN);
    eb_btf_add_enum(btf, EB_BTF_ENUM64, EB_STR("e"), 8, false);
    eb_btf_add_enumerator(btf, EB_STR("C"), UINT64_MAX);
    eb_buf json = {.arena = &ctx->arena};
    eb_btf_dump_json(btf, NULL, 0, &json);
    eb_buf_byte(&json, 0);
    assert_string_equal(
        (const char *)json.at,
        "{\"types\":["
        "{\"id\":1,\"kind\":\"ENUM64\",\"name\":\"(anon)\",\"encoding\":\"SIGNED\",\"size\":8,"
        "\"vlen\":2,\"values\":[{\"name\":\"A\",\"val\":-1},"
        "{\"name\":\"B\",\"val\":\"-9223372036854775808\"}]},"
        "{\"id\":2,\"kind\":\"ENUM64\",\"name\":\"e\",\"encoding\":\"UNSIGNED\",\"size\":8,"
        "\"vlen\":1,\"values\":[{\"name\":\"C\",\"val\":\"18446744073709551615\"}]}]}");
    unit_close(ctx);
}

/* ---- ELF ---- */

/* An ELF file with section headers only, and one section of bytes. */
static eb_buf elf_with(ebpf_ctx *ctx, bool wide, bool big, const char *name, const eb_buf *bytes) {
    eb_buf elf = {.arena = &ctx->arena};
    size_t header = wide ? 64 : 52, each = wide ? 64 : 40, tail = wide ? 58 : 46;
    size_t names = header + 3 * each, data = names + 32;
    uint8_t *at = eb_buf_room(&elf, data + bytes->len);
    memcpy(at, "\177ELF", 4);
    at[4] = wide ? 2 : 1;
    at[5] = big ? 2 : 1;
    eb_set32(at + (wide ? 40 : 32) + (wide && big ? 4 : 0), big, (uint32_t)header);
    eb_set16(at + tail, big, (uint16_t)each);
    eb_set16(at + tail + 2, big, 3);
    eb_set16(at + tail + 4, big, 1);
    memcpy(at + names + 1, name, strlen(name));
    const struct {
        uint32_t name;
        size_t offset, size;
    } sections[] = {{0, 0, 0}, {0, names, 32}, {1, data, bytes->len}};
    for (unsigned i = 1; i < 3; i++) {
        uint8_t *section = at + header + i * each;
        unsigned low = wide && big ? 4 : 0;
        eb_set32(section, big, sections[i].name);
        eb_set32(section + 4, big, i == 1 ? 3 : 1);
        eb_set32(section + (wide ? 24 : 16) + low, big, (uint32_t)sections[i].offset);
        eb_set32(section + (wide ? 32 : 20) + low, big, (uint32_t)sections[i].size);
    }
    memcpy(at + data, bytes->at, bytes->len);
    return elf;
}

static int open_copy(ebpf_ctx *ctx, const uint8_t *bytes, size_t size, eb_btf **out) {
    uint8_t *copy = malloc(size ? size : 1); /* of its exact size, for the sanitizer */
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    int status = eb_btf_open(ctx, EB_STR("x.o"), copy, size, NULL, out);
    free(copy);
    return status;
}

static void elf_files(void **state) {
    (void)state;
    for (int form = 0; form < 4; form++) {
        bool wide = form & 1, big = form & 2;
        ebpf_ctx *ctx = unit_open();
        eb_btf *btf = eb_btf_new(&ctx->arena, big), *back;
        eb_btf_add_int(btf, EB_STR("int"), 4, EB_BTF_SIGNED);
        eb_buf bytes = {.arena = &ctx->arena};
        eb_btf_write(btf, &bytes);
        eb_buf elf = elf_with(ctx, wide, big, ".BTF", &bytes);
        assert_int_equal(eb_btf_open(ctx, EB_STR("x.o"), elf.at, elf.len, NULL, &back), 0);
        assert_int_equal(eb_btf_find(back, EB_BTF_INT, EB_STR("int")), 1);
        unit_expect_none(ctx);
        for (size_t size = 0; size < elf.len; size++)
            assert_int_equal(open_copy(ctx, elf.at, size, &back), EBPF_E_INPUT);
        unit_close(ctx);
        ctx = unit_open();
        bytes.arena = &ctx->arena;
        bytes.len = 0;
        elf = elf_with(ctx, wide, big, ".BTG", &bytes);
        assert_int_equal(eb_btf_open(ctx, EB_STR("x.o"), elf.at, elf.len, NULL, &back),
                         EBPF_E_INPUT);
        unit_expect_error(ctx, "this ELF file has no section .BTF");
        unit_close(ctx);
    }
}

/* ---- the kernel's ---- */

static void expect_lines(eb_str got, const char *path, const char *what) {
    unit_file file = unit_read(path);
    size_t line = 1, i = 0;
    for (; i < got.len && i < file.size && got.at[i] == (char)file.at[i]; i++)
        line += got.at[i] == '\n';
    if (i < got.len || i < file.size)
        fail_msg("%s differ in line %zu", what, line);
    printf("%s: %zu lines equal bpftool's\n", what, line - 1);
    free(file.at);
}

static void kernel_lines(void **state) {
    (void)state;
    const char *path = "/sys/kernel/btf/vmlinux";
    char said[4096];
    if (access(path, R_OK))
        UNIT_SKIP("%s cannot be read", path);
    if (!unit_has_tool("bpftool"))
        UNIT_SKIP("bpftool is not installed");
    if (unit_run("bpftool btf dump file /sys/kernel/btf/vmlinux > vmlinux.raw", said, sizeof said))
        UNIT_SKIP("bpftool cannot read the kernel's BTF: %s", said);
    ebpf_ctx *ctx = unit_open();
    unit_file file = unit_read(path);
    eb_btf *btf;
    assert_int_equal(eb_btf_open(ctx, EB_STR("vmlinux"), file.at, file.size, NULL, &btf), 0);
    eb_buf raw = {.arena = &ctx->arena};
    eb_btf_dump_raw(btf, NULL, 0, &raw);
    expect_lines((eb_str){(const char *)raw.at, raw.len}, "vmlinux.raw", "raw lines");
    free(file.at);
    unit_close(ctx);
}

/* bpftool's lines of split BTF, of which this machine's kernel may have none. */
static void split_lines(void **state) {
    (void)state;
    char said[4096];
    if (!unit_has_tool("bpftool"))
        UNIT_SKIP("bpftool is not installed");
    ebpf_ctx *ctx = unit_open();
    eb_btf *base = eb_btf_new(&ctx->arena, EB_HOST_BIG);
    eb_btf_add_int(base, EB_STR("int"), 4, EB_BTF_SIGNED);
    eb_btf_add_record(base, EB_BTF_STRUCT, EB_STR("shared"), 4);
    eb_btf_add_member(base, EB_STR("value"), 1, 0);
    eb_btf *split = eb_btf_new_split(&ctx->arena, base);
    eb_btf_add_record(split, EB_BTF_STRUCT, EB_STR("own"), 8);
    eb_btf_add_member(split, EB_STR("value"), 2, 0);
    eb_btf_add_bitfield(split, EB_STR("mine"), 1, 32, 7);
    eb_btf_add_ref(split, EB_BTF_PTR, (eb_str){0}, 3);
    eb_buf bytes = {.arena = &ctx->arena}, raw = bytes;
    eb_btf_write(base, &bytes);
    unit_write("base.btf", bytes.at, bytes.len);
    bytes.len = 0;
    eb_btf_write(split, &bytes);
    unit_write("split.btf", bytes.at, bytes.len);
    if (unit_run("bpftool -B base.btf btf dump file split.btf > split.raw", said, sizeof said))
        fail_msg("%s", said);
    eb_btf_dump_raw(split, NULL, 0, &raw);
    expect_lines((eb_str){(const char *)raw.at, raw.len}, "split.raw", "raw lines of split BTF");
    unit_close(ctx);
}

/* ---- all of them ---- */

enum { CASES_MOST = 256, PATH_MOST = 512 };
static char paths[CASES_MOST][PATH_MOST];
static struct CMUnitTest tests[CASES_MOST];
static unsigned count;

static int compare_paths(const void *a, const void *b) {
    return strcmp(a, b);
}

static void find_cases(void) {
    DIR *dir = opendir(CASES "/btf");
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && strcmp(dot, ".btf") == 0 && count < CASES_MOST - 8)
            snprintf(paths[count++], PATH_MOST, "%s/btf/%s", CASES, entry->d_name);
    }
    if (dir)
        closedir(dir);
    qsort(paths, count, sizeof *paths, compare_paths);
    for (unsigned i = 0; i < count; i++)
        tests[i] =
            (struct CMUnitTest){paths[i] + strlen(CASES) + 1, check_case, NULL, NULL, paths[i]};
}

int main(void) {
    const struct CMUnitTest others[] = {
        cmocka_unit_test(attribute_tags), cmocka_unit_test(endless),
        cmocka_unit_test(hollow),         cmocka_unit_test(json_values),
        cmocka_unit_test(elf_files),      cmocka_unit_test(kernel_lines),
        cmocka_unit_test(split_lines)};
    find_cases();
    if (!count)
        return fprintf(stderr, "no cases in %s/btf\n", CASES), 1;
    for (unsigned i = 0; i < COUNT(others); i++)
        tests[count + i] = others[i];
    return _cmocka_run_group_tests("btf_dump", tests, count + COUNT(others), NULL, NULL);
}
