/* cc_btf_test.c - BTF of C: what the interface promises, and its limits. What types look like is
 * shown by test/cases/cc/btf-*.case, and compared with clang's by scripts/peers/cc-btf.mjs. */
#include "unit.h"

#include "btf_ext.h"
#include "btf_gen.h"
#include "core.h"
#include "guard.h"
#include "lower.h"

typedef struct program {
    ebpf_ctx *ctx;
    eb_str text, header; /* header: what #include "header.h" finds */
    bool big;
    eb_unit *u;
    ebpf_object *obj;
    eb_btf_gen *g;
} program;

static int parse(ebpf_ctx *ctx, void *args) {
    program *p = args;
    eb_pp_options options = {.cpu = 3, .big = p->big, .optimize = true};
    eb_pp *pp = eb_pp_new(ctx, EB_STR("main.c"), p->text, &options);
    while (!eb_pp_run(pp))
        eb_pp_found(pp, pp->wanted - 1, EB_STR("header.h"), p->header, false);
    p->u = eb_parse(pp);
    p->obj = eb_object_new(ctx, p->big);
    p->g = eb_btf_gen_new(p->u, p->obj);
    return ctx->errors ? EBPF_E_INPUT : EBPF_OK;
}

static int make_all(ebpf_ctx *ctx, void *args) {
    program *p = args;
    (void)ctx;
    for (uint32_t n = 0; n < p->u->globals.len; n++) {
        eb_decl *decl = p->u->globals.at[n];
        eb_str name = eb_name_text(p->u, decl->name);
        if (decl->kind == EB_DECL_FUNCTION)
            eb_btf_gen_func(p->g, decl);
        else
            eb_btf_gen_var(p->g, decl, name, decl->attrs.section, 8 * n, 8);
    }
    return eb_btf_gen_finish(p->g);
}

static program open_program(const char *text) {
    program p = {.ctx = unit_open(), .text = eb_str_from(text)};
    if (eb_guard(p.ctx, parse, &p))
        fail_msg("%s", unit_diagnostics(p.ctx));
    return p;
}

static eb_decl *decl(const program *p, const char *name) {
    eb_decl *found = eb_lookup(p->u, eb_name_enter(p->u->words, eb_str_from(name)));
    assert_non_null(found);
    return found;
}

static uint32_t called(const program *p, eb_btf_kind kind, const char *name) {
    return eb_btf_find(p->obj->btf, kind, eb_str_from(name));
}

/* ---- the interface ---- */

static void test_types_once(void **state) {
    program p = open_program("struct s { int a; };\n"
                             "const struct s *a; struct s const *b; typeof(a) c;\n"
                             "int (*d)(const char *, int); int (*e)(char const *x, int y);\n"
                             "typedef int t; const volatile t f[2]; volatile const t g[2];");
    (void)state;
    uint32_t a = eb_btf_gen_type(p.g, decl(&p, "a")->type);
    assert_int_equal(a, 1);
    assert_int_equal(eb_btf_gen_type(p.g, decl(&p, "b")->type), a);
    assert_int_equal(eb_btf_gen_type(p.g, decl(&p, "c")->type), a);
    assert_int_equal(eb_btf_gen_type(p.g, decl(&p, "d")->type),
                     eb_btf_gen_type(p.g, decl(&p, "e")->type));
    assert_int_equal(eb_btf_gen_type(p.g, decl(&p, "f")->type),
                     eb_btf_gen_type(p.g, decl(&p, "g")->type));
    assert_int_not_equal(eb_btf_gen_type(p.g, decl(&p, "f")->type), a);
    assert_int_equal(eb_btf_gen_type(p.g, eb_type_basic(&p.u->types, EB_TYPE_VOID)), 0);
    assert_int_equal(eb_btf_gen_finish(p.g), EBPF_OK);
    assert_int_equal(eb_btf_kind_of(p.obj->btf, a), EB_BTF_PTR);
    unit_close(p.ctx);
}

/* A record that CO-RE names is complete, also when a member has pointed to it before. */
static void test_type_completes(void **state) {
    program p = open_program("struct late { int a; }; struct user { struct late *p; } u;");
    (void)state;
    eb_btf_gen_var(p.g, decl(&p, "u"), EB_STR("u"), EB_STR(""), 0, 8);
    eb_type *late = eb_lookup_tag(p.u, eb_name_enter(p.u->words, EB_STR("late")));
    uint32_t id = eb_btf_gen_type(p.g, late);
    assert_int_equal(eb_btf_gen_finish(p.g), EBPF_OK);
    assert_int_equal(eb_btf_kind_of(p.obj->btf, id), EB_BTF_STRUCT);
    assert_int_equal(called(&p, EB_BTF_STRUCT, "late"), id);
    assert_int_equal(called(&p, EB_BTF_FWD, "late"), 0);
    unit_close(p.ctx);
}

static void test_functions_once(void **state) {
    program p = open_program("extern int kfunc(int) __attribute__((section(\".ksyms\")));\n"
                             "int f(int a) { return a; }");
    (void)state;
    uint32_t kfunc = eb_btf_gen_func(p.g, decl(&p, "kfunc"));
    uint32_t f = eb_btf_gen_func(p.g, decl(&p, "f"));
    assert_int_equal(eb_btf_gen_func(p.g, decl(&p, "kfunc")), kfunc);
    assert_int_equal(eb_btf_gen_func(p.g, decl(&p, "f")), f);
    assert_int_equal(eb_btf_gen_finish(p.g), EBPF_OK);
    assert_int_equal(called(&p, EB_BTF_FUNC, "kfunc"), kfunc);
    assert_int_equal(eb_btf_at(p.obj->btf, kfunc).extra, EB_BTF_EXTERN);
    assert_int_equal(eb_btf_at(p.obj->btf, f).extra, EB_BTF_GLOBAL);
    assert_int_equal(eb_btf_at(p.obj->btf, called(&p, EB_BTF_DATASEC, ".ksyms")).count, 1);
    unit_close(p.ctx);
}

static void test_member_numbers(void **state) {
    program p =
        open_program("struct s { int : 3; int a : 2; int : 0; struct { int b; }; int c; } s;");
    (void)state;
    const eb_record *record = eb_type_plain(decl(&p, "s")->type)->of.record;
    assert_int_equal(record->members.len, 5);
    assert_int_equal(eb_btf_gen_member(record, 1), 0); /* a */
    assert_int_equal(eb_btf_gen_member(record, 3), 1); /* the anonymous one */
    assert_int_equal(eb_btf_gen_member(record, 4), 2); /* c */
    unit_close(p.ctx);
}

/* Variables come by their offsets; the sizes of data sections are those of the sections. */
static void test_datasec(void **state) {
    program p = open_program("int a, b;");
    (void)state;
    uint32_t bss = eb_object_add_section(p.obj, EB_STR(".bss"), EB_SHT_NOBITS, EB_SHF_ALLOC);
    p.obj->sections.at[bss].size = 24;
    uint32_t rodata = eb_object_add_section(p.obj, EB_STR(".rodata"), EB_SHT_PROGBITS, 0);
    p.obj->sections.at[rodata].size = 5;
    uint32_t a = eb_btf_gen_var(p.g, decl(&p, "a"), EB_STR("a"), EB_STR(".bss"), 16, 4);
    uint32_t b = eb_btf_gen_var(p.g, decl(&p, "b"), EB_STR("f.b"), EB_STR(".bss"), 8, 4);
    assert_int_equal(eb_btf_gen_finish(p.g), EBPF_OK);
    eb_btf_type section = eb_btf_at(p.obj->btf, called(&p, EB_BTF_DATASEC, ".bss"));
    assert_int_equal(section.size_or_type, 24);
    assert_int_equal(section.count, 2);
    eb_btf_member first = eb_btf_member_at(p.obj->btf, &section, 0);
    assert_int_equal(first.type, b);
    assert_int_equal(first.offset, 8);
    assert_int_equal(eb_btf_member_at(p.obj->btf, &section, 1).type, a);
    assert_int_equal(called(&p, EB_BTF_VAR, "f.b"), b);
    section = eb_btf_at(p.obj->btf, called(&p, EB_BTF_DATASEC, ".rodata"));
    assert_int_equal(section.size_or_type, 5);
    assert_int_equal(section.count, 0);
    unit_close(p.ctx);
}

/* What the sections know of instructions becomes .BTF.ext, in either byte order. */
static void test_records(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        program p = {.ctx = unit_open(), .text = EB_STR("int f(void) { return 0; }"), .big = big};
        ebpf_bytes elf;
        assert_int_equal(eb_guard(p.ctx, parse, &p), EBPF_OK);
        uint32_t text = eb_object_add_section(p.obj, EB_STR("xdp"), EB_SHT_PROGBITS,
                                              EB_SHF_ALLOC | EB_SHF_EXECINSTR);
        eb_section *section = &p.obj->sections.at[text];
        eb_buf_room(&section->bytes, 16);
        section->size = 16;
        uint32_t f = eb_btf_gen_func(p.g, decl(&p, "f"));
        *EB_PUSH(&p.ctx->arena, &section->func_types) = (eb_func_type){0, f};
        *EB_PUSH(&p.ctx->arena, &section->lines) =
            (eb_line){.offset = 8, .file = EB_STR("main.c"), .line = 3, .column = 5};
        assert_int_equal(eb_btf_gen_finish(p.g), EBPF_OK);
        assert_int_equal(ebpf_object_write(p.ctx, p.obj, &elf), EBPF_OK);
        ebpf_object *back;
        assert_int_equal(ebpf_object_read(p.ctx, "back.o", 6, elf.data, elf.size, &back), EBPF_OK);
        unit_expect_none(p.ctx);
        assert_int_equal(back->btf->big, big);
        section = &back->sections.at[eb_object_find_section(back, EB_STR("xdp"))];
        assert_int_equal(eb_func_type_of(section, 0), f);
        const eb_line *line = eb_line_of(section, 8);
        assert_true(eb_str_is(line->file, "main.c") && line->line == 3 && line->column == 5);
        assert_true(eb_str_is(eb_btf_name(back->btf, f), "f"));
        unit_close(p.ctx);
    }
}

/* What is live in the IR, placed as eb_gen_data does it; `dead` is not. */
static void test_unit(void **state) {
    program p = open_program(
        "#define SEC(name) __attribute__((section(name)))\n"
        "struct late { int a, b; } __attribute__((preserve_access_index));\n"
        "struct { int (*type)[1]; } map SEC(\".maps\"); int value, dead;\n"
        "extern int outside SEC(\".kconfig\"); extern int kfunc(void) SEC(\".ksyms\");\n"
        "static int unused(void) { return dead; }\n"
        "int f(void *p) { static int s; return ((struct late *)p)->b + value + outside + kfunc() "
        "+\n"
        "    s + __builtin_btf_type_id(*(struct late *)0, 0); }");
    (void)state;
    eb_pp_options options = {.cpu = 3, .optimize = true};
    eb_ir_unit *ir = eb_lower_unit(p.u, &options);
    unit_expect_none(p.ctx);
    uint32_t bss = eb_object_add_section(p.obj, EB_STR(".bss"), EB_SHT_NOBITS, EB_SHF_ALLOC);
    uint32_t maps = eb_object_add_section(p.obj, EB_STR(".maps"), EB_SHT_PROGBITS, EB_SHF_ALLOC);
    p.obj->sections.at[bss].size = 4096;
    p.obj->sections.at[maps].size = 8;
    for (uint32_t n = 1; n < ir->symbols.len; n++) {
        eb_ir_symbol *symbol = &ir->symbols.at[n];
        bool map = eb_str_is(symbol->name, "map");
        symbol->live = !eb_str_is(symbol->name, "dead") && !eb_str_is(symbol->name, "unused");
        symbol->object_symbol =
            eb_object_add_symbol(p.obj, symbol->name, map ? maps : bss, map ? 0 : 8 * n);
    }
    eb_btf_gen_unit(p.g, ir);
    assert_int_equal(eb_btf_gen_finish(p.g), EBPF_OK);
    const eb_btf *btf = p.obj->btf;
    uint32_t late = called(&p, EB_BTF_STRUCT, "late");
    assert_int_not_equal(late, 0);
    assert_int_equal(ir->cores.len, 3);
    for (uint32_t n = 1; n < ir->cores.len; n++) {
        const eb_ir_core *core = &ir->cores.at[n];
        assert_int_equal(core->type, late);
        if (core->kind == EB_CORE_TYPE_ID_LOCAL)
            assert_int_equal(core->value, late);
        else
            assert_true(eb_str_is(core->access, "0:1")); /* b, as BTF counts */
    }
    for (uint32_t n = 1; n < ir->symbols.len; n++) {
        const eb_ir_symbol *symbol = &ir->symbols.at[n];
        bool is_var = symbol->kind == EB_IR_VARIABLE;
        uint32_t id = eb_btf_find(btf, is_var ? EB_BTF_VAR : EB_BTF_FUNC, symbol->name);
        assert_int_equal(id != 0, symbol->live);
        if (!is_var)
            assert_int_equal(symbol->btf, id);
    }
    assert_int_not_equal(called(&p, EB_BTF_VAR, "f.s"), 0);
    assert_int_equal(eb_btf_at(btf, called(&p, EB_BTF_DATASEC, ".bss")).count, 2);
    assert_int_equal(eb_btf_at(btf, called(&p, EB_BTF_DATASEC, ".maps")).count, 1);
    assert_int_equal(eb_btf_at(btf, called(&p, EB_BTF_DATASEC, ".kconfig")).count, 1);
    assert_int_equal(eb_btf_at(btf, called(&p, EB_BTF_DATASEC, ".ksyms")).count, 1);
    unit_close(p.ctx);
}

/* An error in a body that nobody but BTF needs is told. */
static void test_late_error(void **state) {
    program p = {.ctx = unit_open(),
                 .text = EB_STR("#include \"header.h\"\nint f(struct wrong *w) { return 0; }"),
                 .header = EB_STR("struct wrong { struct missing m; };")};
    (void)state;
    assert_int_equal(eb_guard(p.ctx, parse, &p), EBPF_OK);
    assert_int_equal(eb_guard(p.ctx, make_all, &p), EBPF_E_INPUT);
    unit_expect_error(p.ctx, "struct missing");
    unit_close(p.ctx);
}

/* ---- limits ---- */

typedef struct text {
    char *at;
    size_t len, room;
} text;

static void put(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(text *t, const char *format, ...) {
    va_list args;
    if (t->room - t->len < 256) {
        t->room = t->room * 2 + 4096;
        t->at = realloc(t->at, t->room);
        assert_non_null(t->at);
    }
    va_start(args, format);
    t->len += (size_t)vsnprintf(t->at + t->len, t->room - t->len, format, args);
    va_end(args);
}

/* What making all of its BTF says; the text is freed. */
static int status_of(text *t, const char *error) {
    program p = {.ctx = unit_open(), .text = {t->at, t->len}};
    assert_int_equal(eb_guard(p.ctx, parse, &p), EBPF_OK);
    int status = eb_guard(p.ctx, make_all, &p);
    if (error)
        unit_expect_error(p.ctx, error);
    unit_close(p.ctx);
    free(t->at);
    return status;
}

static void test_many_enumerators(void **state) {
    (void)state;
    for (unsigned count = 65535; count < 65537; count++) {
        text t = {0};
        put(&t, "enum e {");
        for (unsigned n = 0; n < count; n++)
            put(&t, "A%u,", n);
        put(&t, "} e;");
        assert_int_equal(status_of(&t, NULL), count == 65535 ? EBPF_OK : EBPF_E_LIMIT);
    }
}

enum { DEEP = 20000, DEEP_TYPES = 300 }; /* of types, cc takes 500 */

/* Records in records, each by value: no recursion. */
static void test_deep_records(void **state) {
    text t = {0};
    (void)state;
    put(&t, "struct s0 { int a; };\n");
    for (unsigned n = 1; n < DEEP; n++)
        put(&t, "struct s%u { struct s%u *p; struct s%u a; };\n", n, n - 1, n - 1);
    put(&t, "int f(struct s%u *s) { return 0; }", DEEP - 1);
    assert_int_equal(status_of(&t, NULL), EBPF_OK);
}

/* Typedefs of typedefs, each used by a member: linear. BTF's readers take 64 of them. */
static void test_deep_typedefs(void **state) {
    text t = {0};
    (void)state;
    put(&t, "typedef int t0;\n");
    for (unsigned n = 1; n < DEEP_TYPES; n++)
        put(&t, "typedef t%u t%u;\n", n - 1, n);
    put(&t, "struct s {");
    for (unsigned n = 0; n < DEEP_TYPES; n++)
        put(&t, "t%u a%u; t%u b%u;", n, n, DEEP_TYPES - 1 - n, n);
    put(&t, "} s;");
    assert_int_equal(status_of(&t, "64"), EBPF_E_INPUT);
}

static void test_deep_pointers(void **state) {
    text t = {0};
    (void)state;
    put(&t, "int ");
    for (unsigned n = 0; n < DEEP_TYPES; n++)
        put(&t, n % 2 ? "*const" : "*");
    put(&t, " p;");
    assert_int_equal(status_of(&t, NULL), EBPF_OK);
}

/* Bit-fields have offsets of 24 bits: behind that, a record has a size and no members. */
static void test_far_bitfields(void **state) {
    program p = open_program("struct far { char a[2097152]; int b : 3; } far;\n"
                             "struct near { char a[2097148]; int b : 3; } near;\n"
                             "struct wide { char a[2097152]; int b; } wide;");
    (void)state;
    assert_int_equal(eb_guard(p.ctx, make_all, &p), EBPF_OK);
    const eb_btf *btf = p.obj->btf;
    eb_btf_type far = eb_btf_at(btf, called(&p, EB_BTF_STRUCT, "far"));
    assert_int_equal(far.count, 0);
    assert_int_equal(far.size_or_type, 2097156);
    eb_btf_type near = eb_btf_at(btf, called(&p, EB_BTF_STRUCT, "near"));
    assert_int_equal(eb_btf_member_at(btf, &near, 1).offset, 2097148 * 8);
    eb_btf_type wide = eb_btf_at(btf, called(&p, EB_BTF_STRUCT, "wide"));
    assert_int_equal(eb_btf_member_at(btf, &wide, 1).offset, 2097152 * 8);
    unit_close(p.ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_once),
        cmocka_unit_test(test_type_completes),
        cmocka_unit_test(test_functions_once),
        cmocka_unit_test(test_member_numbers),
        cmocka_unit_test(test_datasec),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_unit),
        cmocka_unit_test(test_late_error),
        cmocka_unit_test(test_many_enumerators),
        cmocka_unit_test(test_deep_records),
        cmocka_unit_test(test_deep_typedefs),
        cmocka_unit_test(test_deep_pointers),
        cmocka_unit_test(test_far_bitfields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
