/* views_test.c - what eb_object_index, section names and info say of an object: functions, maps,
 * data sections, program types. Whether the numbers of the .def files are right, the running kernel
 * tells: its BTF lists its enumerations. */
#include "sample.h"

/* ---- tests: the views ---- */

static void functions(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = sample(ctx, false);
    uint32_t xdp = eb_object_find_section(obj, EB_STR("xdp"));
    add_symbol(obj, "alias", xdp, 0, 0, EB_STB_GLOBAL, EB_STT_FUNC);
    add_symbol(obj, "untyped", xdp, 24, 0, EB_STB_GLOBAL, EB_STT_NOTYPE);
    add_symbol(obj, "inner", xdp, 32, 0, EB_STB_LOCAL, EB_STT_FUNC);
    assert_int_equal(eb_object_index(obj), 0);
    static const struct {
        const char *name;
        uint64_t offset, size;
        bool program;
    } want[] = {{"first", 0, 8, false}, {"helper", 8, 16, false},  {"on_packet", 0, 40, true},
                {"alias", 0, 24, true}, {"untyped", 24, 8, false}, {"inner", 32, 8, false}};
    assert_int_equal(obj->funcs.len, COUNT(want));
    for (uint32_t i = 0; i < COUNT(want); i++) {
        expect_str(obj->funcs.at[i].name, eb_str_from(want[i].name));
        assert_int_equal(obj->funcs.at[i].offset, want[i].offset);
        assert_int_equal(obj->funcs.at[i].size, want[i].size);
        assert_int_equal(obj->funcs.at[i].program, want[i].program);
    }
    expect_str(obj->license, EB_STR("GPL"));
    unit_expect_none(ctx);
    assert_int_equal(eb_object_index(obj), 0); /* again: the same, not twice as many */
    assert_int_equal(obj->funcs.len, COUNT(want));
    assert_int_equal(obj->maps.len, 1);
    unit_close(ctx);
}

static void damaged_functions(void **state) {
    (void)state;
    static const struct {
        uint64_t value, size;
        const char *error;
    } cases[] = {{4, 8, "starts within an instruction"},
                 {8, 40, "reaches past the end of the section"},
                 {48, 0, "reaches past the end of the section"},
                 {8, UINT64_MAX - 4, "reaches past the end of the section"}};
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = sample(ctx, false);
        add_symbol(obj, "broken", eb_object_find_section(obj, EB_STR("xdp")), cases[i].value,
                   cases[i].size, EB_STB_GLOBAL, EB_STT_FUNC);
        assert_int_equal(eb_object_index(obj), 0);
        unit_expect_warning(ctx, cases[i].error);
        for (uint32_t f = 0; f < obj->funcs.len; f++)
            assert_false(eb_str_is(obj->funcs.at[f].name, "broken"));
        unit_close(ctx);
    }
}

static void maps(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = sample(ctx, false);
    assert_int_equal(eb_object_index(obj), 0);
    assert_int_equal(obj->maps.len, 1);
    const eb_map_def *map = &obj->maps.at[0];
    expect_str(map->name, EB_STR("counts"));
    expect_str(obj->symbols.at[map->symbol].name, EB_STR("counts"));
    assert_int_equal(map->type, EB_MAP_HASH);
    assert_int_equal(map->key_size, 4);
    assert_int_equal(map->value_size, 16);
    assert_int_equal(map->max_entries, 64);
    expect_str(eb_btf_name(obj->btf, map->btf_value), EB_STR("stat"));
    unit_close(ctx);
}

/* Builds the definition under test; returns the id of its struct. */
typedef uint32_t define(eb_btf *btf);

static uint32_t pinned_otherwise(eb_btf *btf) {
    member m[] = {{"type", number(btf, EB_MAP_ARRAY)}, {"pinning", number(btf, 7)}};
    return definition(btf, m, COUNT(m));
}

static uint32_t int_id(eb_btf *btf) {
    return eb_btf_find(btf, EB_BTF_INT, EB_STR("int"));
}

static uint32_t conflicting_key(eb_btf *btf) {
    member m[] = {{"type", number(btf, 1)}, {"key_size", number(btf, 8)}, {"key", int_id(btf)}};
    return definition(btf, m, COUNT(m));
}

static uint32_t conflicting_value(eb_btf *btf) {
    member m[] = {{"type", number(btf, 1)}, {"value", int_id(btf)}, {"value_size", number(btf, 2)}};
    return definition(btf, m, COUNT(m));
}

static uint32_t no_type(eb_btf *btf) {
    member m[] = {{"max_entries", number(btf, 1)}};
    return definition(btf, m, COUNT(m));
}

static uint32_t unknown_member(eb_btf *btf) {
    member m[] = {{"type", number(btf, 1)}, {"colour", number(btf, 1)}};
    return definition(btf, m, COUNT(m));
}

static uint32_t bad_number(eb_btf *btf) {
    member m[] = {{"type", int_id(btf)}};
    return definition(btf, m, COUNT(m));
}

static uint32_t key_without_size(eb_btf *btf) {
    member m[] = {{"type", number(btf, 1)}, {"key", 0}};
    return definition(btf, m, COUNT(m));
}

static uint32_t values_of_hash(eb_btf *btf) {
    uint32_t inner = no_type(btf), type = number(btf, EB_MAP_HASH), to = pointer(btf, type);
    uint32_t values = eb_btf_add_array(btf, pointer(btf, inner), int_id(btf), 0);
    uint32_t record = eb_btf_add_record(btf, EB_BTF_STRUCT, (eb_str){0}, 8);
    eb_btf_add_member(btf, EB_STR("type"), to, 0);
    eb_btf_add_member(btf, EB_STR("values"), values, 64);
    return record;
}

static uint32_t many_members(eb_btf *btf) {
    member m[65];
    for (uint32_t i = 0; i < COUNT(m); i++)
        m[i] = (member){"type", number(btf, 1)};
    return definition(btf, m, COUNT(m));
}

/* An inner map whose definition is `inner`, in a member that is followed by `last` others. */
static uint32_t outer_of(eb_btf *btf, uint32_t inner, uint32_t last) {
    uint32_t type = pointer(btf, number(btf, EB_MAP_HASH_OF_MAPS));
    uint32_t values = eb_btf_add_array(btf, pointer(btf, inner), int_id(btf), 0);
    uint32_t record = eb_btf_add_record(btf, EB_BTF_STRUCT, (eb_str){0}, 24);
    eb_btf_add_member(btf, EB_STR("type"), type, 0);
    eb_btf_add_member(btf, EB_STR("values"), values, 64);
    for (uint32_t i = 0; i < last; i++)
        eb_btf_add_member(btf, EB_STR("map_flags"), type, 128);
    return record;
}

static uint32_t two_levels(eb_btf *btf) {
    member m[] = {{"type", number(btf, EB_MAP_ARRAY)}};
    return outer_of(btf, outer_of(btf, definition(btf, m, COUNT(m)), 0), 0);
}

static uint32_t values_first(eb_btf *btf) {
    return outer_of(btf, no_type(btf), 1);
}

static uint32_t inner_without_type(eb_btf *btf) {
    return outer_of(btf, no_type(btf), 0);
}

static uint32_t values_of_ints(eb_btf *btf) {
    return outer_of(btf, int_id(btf), 0);
}

static uint32_t pinned_inner(eb_btf *btf) {
    member m[] = {{"type", number(btf, EB_MAP_ARRAY)}, {"pinning", number(btf, 1)}};
    return outer_of(btf, definition(btf, m, COUNT(m)), 0);
}

static uint32_t two_extras(eb_btf *btf) {
    uint32_t extra = eb_btf_add_enum(btf, EB_BTF_ENUM, (eb_str){0}, 4, false);
    eb_btf_add_enumerator(btf, EB_STR("a"), 1);
    eb_btf_add_enumerator(btf, EB_STR("b"), 2);
    uint32_t record = eb_btf_add_record(btf, EB_BTF_STRUCT, (eb_str){0}, 8);
    eb_btf_add_member(btf, EB_STR("map_extra"), extra, 0);
    return record;
}

static uint32_t no_struct(eb_btf *btf) {
    return int_id(btf);
}

static int index_definition(ebpf_ctx *ctx, define *make, ebpf_object **out) {
    ebpf_object *obj = eb_object_new(ctx, false);
    uint32_t section = add_section(obj, ".maps", EB_SHF_ALLOC | EB_SHF_WRITE, 8, 32);
    add_symbol(obj, "m", section, 0, 32, EB_STB_GLOBAL, EB_STT_OBJECT);
    eb_btf *btf = eb_btf_new(&ctx->arena, false);
    eb_btf_add_int(btf, EB_STR("int"), 4, EB_BTF_SIGNED);
    uint32_t var = eb_btf_add_var(btf, EB_STR("m"), make(btf), EB_BTF_GLOBAL);
    eb_btf_add_datasec(btf, EB_STR(".maps"), 32);
    eb_btf_add_datasec_var(btf, var, 0, 32);
    add_btf_sections(obj, btf);
    *out = obj;
    return eb_object_index(obj);
}

static void damaged_maps(void **state) {
    (void)state;
    static const struct {
        define *make;
        const char *error;
    } cases[] = {{conflicting_key, "'key' gives size 4 where 8 was given before"},
                 {conflicting_value, "'value_size' gives size 2 where 4 was given before"},
                 {no_type, "its 'type' is missing"},
                 {unknown_member, "'colour' is no member"},
                 {bad_number, "'type' is no number"},
                 {key_without_size, "'key' has a type without a size"},
                 {values_of_hash, "'values' is for maps of maps"},
                 {many_members, "more than 64 members"},
                 {two_levels, "map 'm.inner': 'values' cannot stand in an inner map"},
                 {values_first, "'values' must be the last member"},
                 {inner_without_type, "map 'm.inner': its 'type' is missing"},
                 {values_of_ints, "does not point to the struct of a map"},
                 {pinned_inner, "map 'm.inner': 'pinning' cannot stand in an inner map"},
                 {two_extras, "its enum must have one value"},
                 {no_struct, "its type is not a struct"}};
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj;
        assert_int_equal(index_definition(ctx, cases[i].make, &obj), 0);
        unit_expect_warning(ctx, cases[i].error);
        /* The outer one of a bad inner map is there without it. */
        assert_int_equal(obj->maps.len, strstr(cases[i].error, "m.inner") != NULL);
        assert_true(!obj->maps.len || !obj->maps.at[0].inner);
        unit_close(ctx);
    }
}

/* libbpf knows no pinning but 0 and 1, other loaders have more. */
static void pinnings(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj;
    assert_int_equal(index_definition(ctx, pinned_otherwise, &obj), 0);
    unit_expect_none(ctx);
    assert_int_equal(obj->maps.len, 1);
    assert_int_equal(obj->maps.at[0].pinning, 7);
    unit_close(ctx);
}

static uint32_t map_of_maps(eb_btf *btf) {
    member in[] = {{"type", number(btf, EB_MAP_ARRAY)}, {"value", int_id(btf)}};
    uint32_t inner = definition(btf, in, COUNT(in)), to_inner = pointer(btf, inner);
    uint32_t values = eb_btf_add_array(btf, to_inner, int_id(btf), 0);
    uint32_t type = pointer(btf, number(btf, EB_MAP_ARRAY_OF_MAPS));
    uint32_t extra = eb_btf_add_enum(btf, EB_BTF_ENUM64, (eb_str){0}, 8, false);
    eb_btf_add_enumerator(btf, EB_STR("unique"), UINT64_C(1) << 40);
    uint32_t record = eb_btf_add_record(btf, EB_BTF_STRUCT, (eb_str){0}, 24);
    eb_btf_add_member(btf, EB_STR("type"), type, 0);
    eb_btf_add_member(btf, EB_STR("map_extra"), extra, 64);
    eb_btf_add_member(btf, EB_STR("values"), values, 128);
    return record;
}

static uint32_t program_array(eb_btf *btf) {
    uint32_t type = pointer(btf, number(btf, EB_MAP_PROG_ARRAY));
    uint32_t proto = eb_btf_add_proto(btf, int_id(btf));
    uint32_t values = eb_btf_add_array(btf, pointer(btf, proto), int_id(btf), 0);
    uint32_t record = eb_btf_add_record(btf, EB_BTF_STRUCT, (eb_str){0}, 8);
    eb_btf_add_member(btf, EB_STR("type"), type, 0);
    eb_btf_add_member(btf, EB_STR("values"), values, 64);
    return record;
}

/* What the variable must be, whatever its type. */
static void damaged_variables(void **state) {
    (void)state;
    static const struct {
        uint32_t linkage, offset;
        const char *name, *error;
        eb_loc loc;
    } cases[] = {{EB_BTF_STATIC, 0, "m", "map 'm': maps must be global variables", 0},
                 {EB_BTF_GLOBAL, 8, "m", "map 'm': it reaches past the end of section .maps", 0},
                 {EB_BTF_GLOBAL, 0, "", "it is no variable with a name", 0},
                 {EB_BTF_STATIC, 0, "m", "maps.s:1:4: warning: map 'm'", 3}};
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = eb_object_new(ctx, false);
        eb_loc first = eb_source_add(ctx, EB_STR("maps.s"), EB_STR("   m"));
        uint32_t section = add_section(obj, ".maps", EB_SHF_ALLOC | EB_SHF_WRITE, 8, 32);
        uint32_t symbol = add_symbol(obj, "m", section, 0, 32, EB_STB_GLOBAL, EB_STT_OBJECT);
        obj->symbols.at[symbol].loc = cases[i].loc ? first + cases[i].loc : 0;
        eb_btf *btf = eb_btf_new(&ctx->arena, false);
        eb_btf_add_int(btf, EB_STR("int"), 4, EB_BTF_SIGNED);
        member m[] = {{"type", number(btf, EB_MAP_ARRAY)}};
        uint32_t record = definition(btf, m, COUNT(m));
        uint32_t var = eb_btf_add_var(btf, eb_str_from(cases[i].name), record, cases[i].linkage);
        eb_btf_add_datasec(btf, EB_STR(".maps"), 32);
        eb_btf_add_datasec_var(btf, var, cases[i].offset, 32);
        add_btf_sections(obj, btf);
        assert_int_equal(eb_object_index(obj), 0);
        assert_int_equal(obj->maps.len, 0);
        unit_expect_warning(ctx, cases[i].error);
        unit_close(ctx);
    }
}

static void maps_of_maps(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj;
    assert_int_equal(index_definition(ctx, map_of_maps, &obj), 0);
    assert_int_equal(obj->maps.len, 2);
    assert_int_equal(obj->maps.at[0].inner, 2);
    assert_int_equal(obj->maps.at[0].value_size, 4);
    assert_true(obj->maps.at[0].extra == UINT64_C(1) << 40);
    expect_str(obj->maps.at[1].name, EB_STR("m.inner"));
    assert_int_equal(obj->maps.at[1].type, EB_MAP_ARRAY);
    assert_int_equal(obj->maps.at[1].value_size, 4);
    assert_int_equal(obj->maps.at[1].symbol, 0);
    assert_int_equal(index_definition(ctx, program_array, &obj), 0);
    assert_int_equal(obj->maps.len, 1);
    assert_int_equal(obj->maps.at[0].value_size, 4);
    unit_expect_none(ctx);
    unit_close(ctx);
}

/* Without BTF a map is known by name only: worth a warning, and the rest can be used. */
static void maps_without_btf(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = eb_object_new(ctx, false);
    uint32_t section = add_section(obj, ".maps", EB_SHF_ALLOC | EB_SHF_WRITE, 8, 32);
    add_symbol(obj, "m", section, 0, 32, EB_STB_GLOBAL, EB_STT_OBJECT);
    add_section(obj, "maps", EB_SHF_ALLOC | EB_SHF_WRITE, 8, 32);
    assert_int_equal(eb_object_index(obj), 0);
    assert_int_equal(ctx->errors, 0);
    assert_non_null(strstr(unit_diagnostics(ctx), "no BTF describes map 'm'"));
    assert_non_null(strstr(unit_diagnostics(ctx), "section 'maps'"));
    unit_close(ctx);
}

/* clang leaves the places of variables to the loader: the symbols tell them. */
static void places_variables(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = sample(ctx, false);
    obj->sections.len -= 2; /* .BTF and .BTF.ext, to be replaced */
    eb_btf *btf = describe(ctx, obj->big);
    uint32_t var = eb_btf_add_var(btf, EB_STR("state"), int_id(btf), EB_BTF_GLOBAL);
    uint32_t bss = eb_btf_add_datasec(btf, EB_STR(".bss"), 0);
    eb_btf_add_datasec_var(btf, var, 0, 8);
    add_btf_sections(obj, btf);
    assert_int_equal(eb_object_index(obj), 0);
    eb_btf_type placed = eb_btf_at(obj->btf, bss);
    assert_int_equal(placed.size_or_type, 12);
    assert_int_equal(eb_btf_member_at(obj->btf, &placed, 0).offset, 4);
    unit_close(ctx);
}

static void info(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = sample(ctx, true);
    assert_int_equal(eb_object_index(obj), 0);
    eb_buf json = buffer(ctx);
    eb_object_info_json(obj, &json);
    eb_buf_byte(&json, 0);
    const char *text = (const char *)json.at;
    static const char *const parts[] = {
        "{\"endian\":\"big\",\"license\":\"GPL\",\"version\":null,\"sections\":[{\"name\":"
        "\".text\",\"type\":\"progbits\",\"flags\":\"AX\",\"size\":24,\"align\":8,\"relocs\":2},",
        "\"programs\":[{\"name\":\"on_packet\",\"section\":\"xdp\",\"offset\":0,\"insns\":5,"
        "\"coreRelocs\":0,\"type\":6,\"typeName\":\"xdp\",\"attachType\":37,\"attachTypeName\":"
        "\"xdp\","
        "\"attachTarget\":\"\",\"sleepable\":false,\"frags\":false,\"autoload\":true}],",
        "\"functions\":[{\"name\":\"first\",\"section\":\".text\",\"offset\":0,\"insns\":1,"
        "\"coreRelocs\":0,\"global\":false},",
        "\"maps\":[{\"name\":\"counts\",\"type\":1,\"typeName\":\"hash\",\"keySize\":4,"
        "\"valueSize\":16,\"maxEntries\":64,\"flags\":0,\"numaNode\":0,\"extra\":0,\"pinning\":0,"
        "\"key\":\"u32\",\"value\":\"struct stat\",\"values\":[],\"inner\":null}],",
        "\"legacyMaps\":[],\"globals\":[{\"name\":\"state\",\"section\":\".bss\",\"type\":null,"
        "\"offset\":4,\"size\":8,\"readOnly\":false,\"static\":false}],\"structOps\":[],",
        "\"externs\":[{\"name\":\"absent\",\"kind\":\"unknown\",\"type\":null,\"weak\":true}],",
        "{\"name\":\"absent\",\"section\":null,\"value\":0,\"size\":0,\"bind\":\"weak\",\"type\":"
        "\"notype\",\"visibility\":\"default\"}",
        "\"relocations\":[{\"section\":\".text\",\"offset\":0,\"type\":1,\"typeName\":"
        "\"R_BPF_64_64\",\"symbol\":\"state\",\"addend\":0},",
        "\"core\":{\"total\":0,\"kinds\":{}},",
        "\"btf\":{\"types\":17,\"functions\":3,\"lines\":0}}"};
    for (uint32_t i = 0; i < COUNT(parts); i++)
        if (!strstr(text, parts[i]))
            fail_msg("%s\nis not in %s", parts[i], text);
    unit_close(ctx);
}

/* What only linked and compiled objects have: values of maps, struct_ops, typed externs. */
static void info_of_all(void **state) {
    (void)state;
    if (!unit_has_tool("clang-14"))
        UNIT_SKIP("clang-14 is not installed");
    static const char source[] =
        "#define SEC(name) __attribute__((section(name), used))\n"
        "#define __uint(name, value) int (*name)[value]\n"
        "struct inner { __uint(type, 2); __uint(max_entries, 1); __uint(key_size, 4);"
        " __uint(value_size, 4); };\n"
        "struct inner one SEC(\".maps\"), two SEC(\".maps\");\n"
        "struct { __uint(type, 12); __uint(max_entries, 3); __uint(key_size, 4);\n"
        "  struct inner *values[]; } outer SEC(\".maps\") = {.values = {[0] = &one, [2] = &two}};\n"
        "int prog(void *c);\n"
        "struct { __uint(type, 3); __uint(max_entries, 2); __uint(key_size, 4);\n"
        "  int (*values[])(void *); } jumps SEC(\".maps\") = {.values = {[1] = prog}};\n"
        "struct ops { long a; int (*open)(void *); int (*close)(void *); };\n"
        "SEC(\".struct_ops.link\") struct ops mine = {.close = prog};\n"
        "extern int CONFIG_HZ __attribute__((section(\".kconfig\")));\n"
        "extern const void runqueues __attribute__((section(\".ksyms\"))) __attribute__((weak));\n"
        "extern void kick(int) __attribute__((section(\".ksyms\")));\n"
        "static volatile struct { long x[2]; } hidden; const volatile char name[] = \"n\";\n"
        "struct a { int b, c; } __attribute__((preserve_access_index));\n"
        "SEC(\"?lsm.s/file_open\") int prog(void *c) { kick(CONFIG_HZ); hidden.x[1]++;\n"
        "  return &runqueues ? ((struct a *)c)->c : name[0]; }\n"
        "unsigned made_for SEC(\"version\") = 0x60c01; char l[] SEC(\"license\") = \"GPL\";\n"
        "int old SEC(\"maps\");\n";
    char said[2048];
    unit_write("all.c", source, sizeof source - 1);
    if (unit_run("clang-14 -target bpfel -g -O2 -c all.c -o all.o", said, sizeof said))
        fail_msg("%s", said);
    ebpf_ctx *ctx = unit_open();
    unit_file file = unit_read("all.o");
    ebpf_object *obj;
    if (eb_elf_read(ctx, EB_STR("all.o"), file.at, file.size, &obj))
        fail_msg("%s", unit_diagnostics(ctx));
    eb_buf json = buffer(ctx), text = buffer(ctx);
    eb_object_info_json(obj, &json);
    eb_buf_byte(&json, 0);
    eb_object_info_text(obj, &text);
    eb_buf_byte(&text, 0);
    static const char *const parts[] = {
        "\"license\":\"GPL\",\"version\":396289,",
        "\"coreRelocs\":1,\"type\":29,\"typeName\":\"lsm\",\"attachType\":27,\"attachTypeName\":"
        "\"lsm_mac\",\"attachTarget\":\"file_open\",\"sleepable\":true,\"frags\":false,"
        "\"autoload\":false}]",
        "\"values\":[{\"slot\":0,\"name\":\"one\"},{\"slot\":2,\"name\":\"two\"}],\"inner\":{"
        "\"name\":\"outer.inner\",\"type\":2,",
        "\"values\":[{\"slot\":1,\"name\":\"prog\"}],\"inner\":null}",
        "\"legacyMaps\":[\"old\"]",
        "{\"name\":\"name\",\"section\":\".rodata\",\"type\":\"const volatile char[2]\","
        "\"offset\":0,\"size\":2,\"readOnly\":true,\"static\":false}",
        "{\"name\":\"hidden\",\"section\":\".bss\",\"type\":\"volatile struct "
        "(anon)\",\"offset\":0,"
        "\"size\":16,\"readOnly\":false,\"static\":true}",
        "\"structOps\":[{\"name\":\"mine\",\"section\":\".struct_ops.link\",\"type\":\"struct "
        "ops\",\"members\":[{\"name\":\"close\",\"program\":\"prog\"}]}]",
        "{\"name\":\"CONFIG_HZ\",\"kind\":\"kconfig\",\"type\":\"int\",\"weak\":false}",
        "{\"name\":\"runqueues\",\"kind\":\"ksym\",\"type\":\"const void\",\"weak\":true}",
        "{\"name\":\"kick\",\"kind\":\"function\",\"type\":",
        "\"core\":{\"total\":1,\"kinds\":{\"byte_off\":1}}"};
    for (uint32_t i = 0; i < COUNT(parts); i++)
        if (!strstr((const char *)json.at, parts[i]))
            fail_msg("%s\nis not in %s", parts[i], (const char *)json.at);
    static const char *const lines[] = {"licence 'GPL', for kernel 6.12.1, BTF of ",
                                        "lsm/lsm_mac, sleepable, not loaded by itself",
                                        "3 entries, of array maps, [0] = one, [2] = two\n",
                                        "offset 0, .close = prog\n",
                                        "old form",
                                        "const volatile char[2] (2)   offset 0\n"};
    for (uint32_t i = 0; i < COUNT(lines); i++)
        if (!strstr((const char *)text.at, lines[i]))
            fail_msg("%s\nis not in\n%s", lines[i], (const char *)text.at);
    free(file.at);
    unit_close(ctx);
}

/* ---- tests: section names ---- */

static void section_names(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int prog, attach;
        unsigned flags;
        const char *target;
    } cases[] = {
        {"xdp", EB_PROG_XDP, EB_ATTACH_XDP, EB_SEC_OPTIONAL, ""},
        {"xdp.frags/devmap", EB_PROG_XDP, EB_ATTACH_XDP_DEVMAP, EB_SEC_FRAGS, ""},
        {"xdp/other", 0, 0, 0, ""},
        {"kprobe", EB_PROG_KPROBE, 0, 0, ""},
        {"kprobe/do_unlinkat", EB_PROG_KPROBE, 0, 0, "do_unlinkat"},
        {"kprobes", 0, 0, 0, ""},
        {"uprobe.s//bin/sh:main", EB_PROG_KPROBE, 0, EB_SEC_SLEEPABLE, "/bin/sh:main"},
        {"tp/syscalls/sys_enter_openat", EB_PROG_TRACEPOINT, 0, 0, "syscalls/sys_enter_openat"},
        {"raw_tp/sys_enter", EB_PROG_RAW_TRACEPOINT, 0, 0, "sys_enter"},
        {"fentry.s/f", EB_PROG_TRACING, EB_ATTACH_TRACE_FENTRY, EB_SEC_TARGET | EB_SEC_SLEEPABLE,
         "f"},
        {"lsm/file_open", EB_PROG_LSM, EB_ATTACH_LSM_MAC, EB_SEC_TARGET, "file_open"},
        {"struct_ops/init", EB_PROG_STRUCT_OPS, 0, 0, "init"},
        {"", 0, 0, 0, ""}};
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        eb_sec_kind kind = eb_sec_kind_of(eb_str_from(cases[i].name));
        assert_int_equal(kind.prog, cases[i].prog);
        assert_int_equal(kind.attach, cases[i].attach);
        assert_int_equal(kind.flags, cases[i].flags);
        expect_str(kind.target, eb_str_from(cases[i].target));
        assert_false(kind.manual);
    }
    eb_sec_kind manual = eb_sec_kind_of(EB_STR("?tc"));
    assert_true(manual.manual);
    assert_int_equal(manual.prog, EB_PROG_SCHED_CLS);
}

/* No row of the table hides a later one. */
static void section_rows(void **state) {
    (void)state;
    enum { SLEEPABLE = 1, FRAGS = 2, TARGET = 4, USDT = 8, OPTIONAL = 16 };
    static const struct {
        const char *name;
        int prog, attach;
        unsigned flags;
    } rows[] = {
#define SEC(name, prog, attach, flags) {name, EB_PROG_##prog, EB_ATTACH_##attach, flags},
#include "prog.def"
    };
    for (uint32_t i = 0; i < COUNT(rows); i++) {
        char name[64];
        snprintf(name, sizeof name, "%s", rows[i].name);
        char *plus = strchr(name, '+');
        if (plus)
            strcpy(plus, "/target");
        eb_sec_kind kind = eb_sec_kind_of(eb_str_from(name));
        assert_int_equal(kind.prog, rows[i].prog);
        assert_int_equal(kind.attach, rows[i].attach);
        assert_int_equal(kind.flags, rows[i].flags);
        expect_str(kind.target, eb_str_from(plus ? "target" : ""));
    }
    assert_string_equal(eb_map_type_name(EB_MAP_RINGBUF), "ringbuf");
    assert_int_equal(eb_map_type_find(EB_STR("lru_hash")), EB_MAP_LRU_HASH);
    assert_int_equal(eb_map_type_find(EB_STR("lru")), 0);
    assert_string_equal(eb_map_type_near(EB_STR("rinbuf")), "ringbuf");
    assert_null(eb_map_type_near(EB_STR("spaceship")));
    assert_string_equal(eb_prog_type_name(999), "unknown");
    assert_string_equal(eb_attach_type_name(EB_ATTACH_TCX_INGRESS), "tcx_ingress");
}

/* The numbers of the .def files are those of the running kernel, which describes its enums. */
static void numbers_of_this_kernel(void **state) {
    (void)state;
    const char *path = "/sys/kernel/btf/vmlinux";
    if (access(path, R_OK))
        UNIT_SKIP("%s cannot be read", path);
    static const struct {
        const char *name;
        uint32_t number;
    } rows[] = {
#define PROG(id, number, name, kernel) {"BPF_PROG_TYPE_" #id, number},
#include "prog.def"
#define ATTACH(id, number, name, kernel) {"BPF_" #id, number},
#include "attach.def"
#define MAP(id, number, name, kernel) {"BPF_MAP_TYPE_" #id, number},
#include "map.def"
    };
    ebpf_ctx *ctx = unit_open();
    unit_file file = unit_read(path);
    eb_btf *btf;
    assert_int_equal(eb_btf_read(ctx, EB_STR("vmlinux"), file.at, file.size, NULL, &btf), 0);
    unsigned found = 0;
    for (uint32_t id = 1; id < btf->count; id++) {
        eb_btf_type type = eb_btf_at(btf, id);
        for (uint32_t m = 0; type.kind == EB_BTF_ENUM && m < type.count; m++) {
            eb_btf_member value = eb_btf_member_at(btf, &type, m);
            if (!eb_str_starts(value.name, "BPF_"))
                continue;
            for (uint32_t i = 0; i < COUNT(rows); i++)
                if (eb_str_is(value.name, rows[i].name)) {
                    assert_true(value.value == rows[i].number);
                    found++;
                }
        }
    }
    printf("%u of %u rows found in the kernel's %u types\n", found, COUNT(rows), btf->count - 1);
    assert_true(found > COUNT(rows) * 8 / 10);
    free(file.at);
    unit_close(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions),
        cmocka_unit_test(damaged_functions),
        cmocka_unit_test(maps),
        cmocka_unit_test(damaged_maps),
        cmocka_unit_test(pinnings),
        cmocka_unit_test(damaged_variables),
        cmocka_unit_test(maps_of_maps),
        cmocka_unit_test(maps_without_btf),
        cmocka_unit_test(places_variables),
        cmocka_unit_test(info),
        cmocka_unit_test(info_of_all),
        cmocka_unit_test(section_names),
        cmocka_unit_test(section_rows),
        cmocka_unit_test(numbers_of_this_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
