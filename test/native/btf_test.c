/* btf_test.c - BTF built, written, read, looked up and spelled; damaged BTF refused; and the same
 * bytes given to bpftool and to the running kernel, whose own BTF is read and written as well. */
#include "unit.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>

#include "btf.h"
#include "guard.h"

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

static uint32_t ref(eb_btf *btf, eb_btf_kind kind, const char *name, uint32_t type) {
    return eb_btf_add_ref(btf, kind, eb_str_from(name), type);
}

/* ---- one type of every kind ---- */

/* In an order and with names that the kernel accepts. */
enum {
    INT = 1,
    U8,
    BOOL,
    ARRAY,
    RECORD,
    UNION,
    ENUM,
    ENUM64,
    FWD,
    FWD_UNION,
    TYPEDEF,
    CONST,
    VOLATILE,
    PTR,
    RESTRICT,
    FLOAT,
    PROTO,
    FUNC,
    VAR,
    DATASEC,
    TAG_TYPE,
    TAG_PTR,
    TAG_FUNC,
    TAG_PARAM,
    VOID_PTR,
    ARRAY2,
    FUNC_PTR,
    ARRAY_PTR,
    LAST = ARRAY_PTR
};

static void add_aggregates(eb_btf *btf) {
    eb_btf_add_record(btf, EB_BTF_STRUCT, EB_STR("record"), 24);
    eb_btf_add_member(btf, EB_STR("first"), INT, 0);
    eb_btf_add_bitfield(btf, EB_STR("bits"), INT, 32, 5);
    eb_btf_add_member(btf, EB_STR("next"), PTR, 64);
    eb_btf_add_member(btf, (eb_str){0}, UNION, 128);
    eb_btf_add_record(btf, EB_BTF_UNION, EB_STR("either"), 8);
    eb_btf_add_member(btf, EB_STR("number"), INT, 0);
    eb_btf_add_member(btf, EB_STR("bytes"), ARRAY, 0);
    eb_btf_add_enum(btf, EB_BTF_ENUM, EB_STR("signed_enum"), 4, true);
    eb_btf_add_enumerator(btf, EB_STR("MINUS_ONE"), UINT64_MAX);
    eb_btf_add_enumerator(btf, EB_STR("SEVEN"), 7);
    eb_btf_add_enum(btf, EB_BTF_ENUM64, EB_STR("wide_enum"), 8, false);
    eb_btf_add_enumerator(btf, EB_STR("WIDE"), UINT64_C(0x123456789abcdef0));
}

static eb_btf *every_kind(ebpf_ctx *ctx, bool big) {
    eb_btf *btf = eb_btf_new(&ctx->arena, big);
    eb_btf_add_int(btf, EB_STR("int"), 4, EB_BTF_SIGNED);
    eb_btf_add_int(btf, EB_STR("unsigned char"), 1, 0);
    eb_btf_add_int(btf, EB_STR("_Bool"), 1, EB_BTF_BOOL);
    eb_btf_add_array(btf, U8, INT, 8);
    add_aggregates(btf);
    ref(btf, EB_BTF_FWD, "later", 0);
    ref(btf, EB_BTF_FWD, "later_union", 1);
    ref(btf, EB_BTF_TYPEDEF, "record_t", RECORD);
    ref(btf, EB_BTF_CONST, "", TYPEDEF);
    ref(btf, EB_BTF_VOLATILE, "", CONST);
    ref(btf, EB_BTF_PTR, "", VOLATILE);
    ref(btf, EB_BTF_RESTRICT, "", PTR);
    eb_btf_add_float(btf, EB_STR("double"), 8);
    eb_btf_add_proto(btf, INT);
    eb_btf_add_param(btf, EB_STR("context"), RESTRICT);
    eb_btf_add_param(btf, EB_STR("ratio"), FLOAT);
    eb_btf_add_func(btf, EB_STR("function"), PROTO, EB_BTF_STATIC);
    eb_btf_add_var(btf, EB_STR("variable"), RECORD, EB_BTF_GLOBAL);
    eb_btf_add_datasec(btf, EB_STR(".data"), 24);
    eb_btf_add_datasec_var(btf, VAR, 0, 24);
    ref(btf, EB_BTF_TYPE_TAG, "user", INT);
    ref(btf, EB_BTF_PTR, "", TAG_TYPE);
    eb_btf_add_decl_tag(btf, EB_STR("tag of the function"), FUNC, -1);
    eb_btf_add_decl_tag(btf, EB_STR("tag of a parameter"), FUNC, 1);
    ref(btf, EB_BTF_PTR, "", 0);
    eb_btf_add_array(btf, ARRAY, INT, 3);
    ref(btf, EB_BTF_PTR, "", PROTO);
    ref(btf, EB_BTF_PTR, "", ARRAY2);
    assert_int_equal(btf->count, LAST + 1);
    return btf;
}

/* ---- comparing ---- */

static eb_buf write_btf(ebpf_ctx *ctx, const eb_btf *btf) {
    eb_buf bytes = {.arena = &ctx->arena};
    eb_btf_write(btf, &bytes);
    return bytes;
}

static eb_btf *read_btf(ebpf_ctx *ctx, const uint8_t *bytes, size_t size) {
    eb_btf *btf = NULL;
    if (eb_btf_read(ctx, EB_STR("test"), bytes, size, NULL, &btf))
        fail_msg("not read: %s", unit_diagnostics(ctx));
    return btf;
}

static bool same_type(const eb_btf *x, const eb_btf *y, uint32_t id) {
    eb_btf_type a = eb_btf_at(x, id), b = eb_btf_at(y, id);
    if (!eb_str_eq(a.name, b.name) || a.kind != b.kind || a.kind_flag != b.kind_flag ||
        a.size_or_type != b.size_or_type || a.extra != b.extra || a.index_type != b.index_type ||
        a.count != b.count)
        return false;
    for (uint32_t i = 0; i < a.count; i++) {
        eb_btf_member m = eb_btf_member_at(x, &a, i), n = eb_btf_member_at(y, &b, i);
        if (!eb_str_eq(m.name, n.name) || m.type != n.type || m.offset != n.offset ||
            m.bits != n.bits || m.size != n.size || m.value != n.value)
            return false;
    }
    return true;
}

static void expect_same(const eb_btf *got, const eb_btf *want) {
    assert_int_equal(got->count, want->count);
    for (uint32_t id = 1; id < want->count; id++)
        if (!same_type(got, want, id))
            fail_msg("type %u differs", id);
}

/* ---- tests: writing and reading ---- */

static void round_trip(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        eb_btf *btf = every_kind(ctx, big);
        eb_buf bytes = write_btf(ctx, btf);
        assert_int_equal(bytes.at[0], big ? 0xeb : 0x9f);
        eb_btf *back = read_btf(ctx, bytes.at, bytes.len);
        expect_same(back, btf);
        eb_buf again = write_btf(ctx, back);
        assert_int_equal(again.len, bytes.len);
        assert_memory_equal(again.at, bytes.at, bytes.len);
        unit_expect_none(ctx);
        unit_close(ctx);
    }
}

static void strings_once(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = eb_btf_new(&ctx->arena, false);
    for (int i = 0; i < 100; i++)
        eb_btf_add_int(btf, EB_STR("int"), 4, 0);
    eb_buf bytes = write_btf(ctx, btf);
    assert_int_equal(bytes.len, 24 + 100 * 16 + 5); /* "\0int\0" */
    unit_close(ctx);
}

static void too_many_members(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = eb_btf_new(&ctx->arena, false);
    eb_btf_add_enum(btf, EB_BTF_ENUM, EB_STR("e"), 4, false);
    for (uint32_t i = 0; i < 65535; i++)
        eb_btf_add_enumerator(btf, EB_STR("v"), i);
    eb_buf bytes = write_btf(ctx, btf);
    expect_same(read_btf(ctx, bytes.at, bytes.len), btf);
    unit_close(ctx);
}

static int add_one(ebpf_ctx *ctx, void *args) {
    (void)ctx;
    eb_btf_add_enumerator(args, EB_STR("v"), 65535);
    return EBPF_OK;
}

static void member_limit(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = eb_btf_new(&ctx->arena, false);
    eb_btf_add_enum(btf, EB_BTF_ENUM, EB_STR("e"), 4, false);
    for (uint32_t i = 0; i < 65535; i++)
        eb_btf_add_enumerator(btf, EB_STR("v"), i);
    assert_int_equal(eb_guard(ctx, add_one, btf), EBPF_E_LIMIT);
    unit_close(ctx);
}

/* ---- tests: looking up ---- */

static void sizes(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = every_kind(ctx, false);
    static const struct {
        uint32_t id, size;
    } cases[] = {{0, 0},    {INT, 4},       {ARRAY, 8},    {RECORD, 24}, {ENUM64, 8},
                 {FWD, 0},  {VOLATILE, 24}, {PTR, 8},      {PROTO, 0},   {FUNC, 0},
                 {VAR, 24}, {DATASEC, 24},  {TAG_TYPE, 4}, {ARRAY2, 24}, {FLOAT, 8},
                 {999, 0},  {TAG_FUNC, 0}};
    for (uint32_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(eb_btf_size(btf, cases[i].id), cases[i].size);
    assert_int_equal(eb_btf_strip(btf, VOLATILE), RECORD);
    assert_int_equal(eb_btf_strip(btf, INT), INT);
    assert_int_equal(eb_btf_strip(btf, 999), 0);
    assert_int_equal(eb_btf_find(btf, EB_BTF_STRUCT, EB_STR("record")), RECORD);
    assert_int_equal(eb_btf_find(btf, EB_BTF_UNION, EB_STR("record")), 0);
    uint32_t wide = eb_btf_add_array(btf, RECORD, INT, UINT32_MAX);
    assert_int_equal(eb_btf_size(btf, wide), 0);
    assert_int_equal(eb_btf_size(btf, eb_btf_add_array(btf, wide, INT, UINT32_MAX)), 0);
    unit_close(ctx);
}

static void spelling(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = every_kind(ctx, false);
    static const struct {
        uint32_t id;
        const char *text;
    } cases[] = {{0, "void"},
                 {INT, "int"},
                 {ARRAY, "unsigned char[8]"},
                 {RECORD, "struct record"},
                 {UNION, "union either"},
                 {ENUM64, "enum wide_enum"},
                 {FWD_UNION, "union later_union"},
                 {PTR, "volatile const record_t *"},
                 {RESTRICT, "volatile const record_t * restrict"},
                 {TAG_PTR, "int *"},
                 {VOID_PTR, "void *"},
                 {ARRAY2, "unsigned char[3][8]"},
                 {FUNC_PTR, "int (*)()"},
                 {ARRAY_PTR, "unsigned char (*)[3][8]"}};
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        eb_buf text = {.arena = &ctx->arena};
        eb_btf_spell(btf, cases[i].id, &text);
        eb_buf_byte(&text, 0);
        assert_string_equal((const char *)text.at, cases[i].text);
    }
    unit_close(ctx);
}

/* What is built may go in circles, and nothing follows them for ever; what is read may not, but for
 * pointers. */
static void circles(void **state) {
    (void)state;
    static const eb_btf_kind kinds[] = {EB_BTF_TYPEDEF,  EB_BTF_CONST, EB_BTF_PTR,
                                        EB_BTF_TYPE_TAG, EB_BTF_VAR,   EB_BTF_ARRAY};
    for (uint32_t i = 0; i < COUNT(kinds); i++) {
        ebpf_ctx *ctx = unit_open();
        eb_btf *btf = eb_btf_new(&ctx->arena, false), *back;
        bool array = kinds[i] == EB_BTF_ARRAY, pointer = kinds[i] == EB_BTF_PTR;
        for (uint32_t to = 2; to >= 1; to--)
            if (array)
                eb_btf_add_array(btf, to, to, to);
            else if (kinds[i] == EB_BTF_VAR)
                eb_btf_add_var(btf, EB_STR("x"), to, EB_BTF_STATIC);
            else
                ref(btf, kinds[i], "x", to);
        assert_int_equal(eb_btf_size(btf, 1), pointer ? 8 : 0);
        uint32_t stripped = eb_btf_strip(btf, 1);
        assert_int_equal(stripped, pointer || array || kinds[i] == EB_BTF_VAR ? 1 : 0);
        eb_buf text = {.arena = &ctx->arena};
        for (uint32_t id = 1; id <= 2; id++)
            eb_btf_spell(btf, id, &text);
        assert_in_range(text.len, 1, 4096);
        eb_buf bytes = write_btf(ctx, btf);
        int status = eb_btf_read(ctx, EB_STR("x"), bytes.at, bytes.len, NULL, &back);
        assert_int_equal(status, pointer ? EBPF_OK : EBPF_E_INPUT);
        if (!pointer)
            unit_expect_error(ctx, "type 1 contains itself, or is nested deeper than 64 levels");
        unit_close(ctx);
    }
}

/* 64 typedefs on top of one another are read, 65 are not. */
static void nesting(void **state) {
    (void)state;
    for (uint32_t levels = 64; levels <= 65; levels++) {
        ebpf_ctx *ctx = unit_open();
        eb_btf *btf = eb_btf_new(&ctx->arena, false), *back;
        eb_btf_add_int(btf, EB_STR("int"), 4, 0);
        for (uint32_t i = 1; i <= levels; i++)
            ref(btf, EB_BTF_TYPEDEF, "t", i);
        eb_buf bytes = write_btf(ctx, btf);
        int status = eb_btf_read(ctx, EB_STR("x"), bytes.at, bytes.len, NULL, &back);
        assert_int_equal(status, levels == 64 ? EBPF_OK : EBPF_E_INPUT);
        if (status == EBPF_OK) {
            assert_int_equal(eb_btf_size(back, 65), 4);
            assert_int_equal(eb_btf_strip(back, 65), 1);
        }
        unit_close(ctx);
    }
}

/* ---- tests: names ---- */

static void essential_names(void **state) {
    (void)state;
    static const struct {
        const char *name, *essential;
    } cases[] = {{"task_struct___old", "task_struct"},
                 {"a___b___c", "a___b"},
                 {"a____b", "a____b"},
                 {"___b", "___b"},
                 {"a___", "a___"},
                 {"a___b", "a"},
                 {"a__b", "a__b"},
                 {"", ""},
                 {"x", "x"}};
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        eb_str got = eb_btf_essential(eb_str_from(cases[i].name));
        assert_int_equal(got.len, strlen(cases[i].essential));
        assert_memory_equal(got.at, cases[i].essential, got.len);
    }
}

static void expect_ids(const eb_btf *btf, uint32_t kinds, const char *name, bool flavours,
                       const char *want) {
    char got[256] = "";
    uint32_t id = 0;
    eb_str text = eb_str_from(name);
    while ((id = flavours ? eb_btf_next_flavour(btf, kinds, text, id)
                          : eb_btf_next(btf, kinds, text, id)) != 0)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%u ", id);
    assert_string_equal(got, want);
}

/* Namesakes of several kinds in a base, in what stands on it and in what stands on that; some
 * entered after the first look-up. */
static void namesakes(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *base = eb_btf_new(&ctx->arena, false);
    eb_btf_add_int(base, EB_STR("int"), 4, EB_BTF_SIGNED);
    for (uint32_t i = 0; i < 3; i++)
        eb_btf_add_record(base, i == 1 ? EB_BTF_UNION : EB_BTF_STRUCT, EB_STR("event"), 4);
    ref(base, EB_BTF_TYPEDEF, "event", 2);
    eb_btf_add_record(base, EB_BTF_STRUCT, EB_STR("event___v2"), 4);
    expect_ids(base, EB_BTF_TAGS, "event", false, "2 3 4 ");
    expect_ids(base, EB_BTF_ORDINARY, "event", false, "5 ");
    ref(base, EB_BTF_FWD, "event", 0);
    for (uint32_t i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "other_%u", i);
        ref(base, EB_BTF_TYPEDEF, name, 1);
    }
    expect_ids(base, EB_BTF_TAGS, "event", false, "2 3 4 7 ");
    expect_ids(base, EB_BTF_ANY, "event", true, "2 3 4 5 6 7 ");
    expect_ids(base, EB_BTF_ANY, "event___v2", false, "6 ");
    expect_ids(base, EB_BTF_ANY, "event___v2", true, "");
    expect_ids(base, EB_BTF_ANY, "other_199", false, "207 ");
    expect_ids(base, EB_BTF_ANY, "", false, "");
    expect_ids(base, EB_BTF_ANY, "even", false, "");
    eb_btf *split = eb_btf_new_split(&ctx->arena, base);
    eb_btf_add_record(split, EB_BTF_STRUCT, EB_STR("event"), 8);
    eb_btf *top = eb_btf_new_split(&ctx->arena, split);
    eb_btf_add_record(top, EB_BTF_STRUCT, EB_STR("event"), 16);
    expect_ids(split, EB_BTF_IS(EB_BTF_STRUCT), "event", false, "2 4 208 ");
    expect_ids(top, EB_BTF_IS(EB_BTF_STRUCT), "event", false, "2 4 208 209 ");
    expect_ids(base, EB_BTF_IS(EB_BTF_STRUCT), "event", false, "2 4 ");
    assert_int_equal(eb_btf_next(top, EB_BTF_ANY, EB_STR("event"), 4711), 0);
    unit_close(ctx);
}

static void enumerators(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *base = every_kind(ctx, true), *split = eb_btf_new_split(&ctx->arena, base);
    eb_btf_add_enum(split, EB_BTF_ENUM, (eb_str){0}, 4, true);
    eb_btf_add_enumerator(split, EB_STR("SEVEN"), 8);
    eb_btf_add_enumerator(split, EB_STR("EIGHT"), 8);
    uint32_t number = 99;
    assert_int_equal(eb_btf_enumerator(split, EB_STR("SEVEN"), &number), ENUM);
    assert_int_equal(number, 1);
    assert_int_equal(eb_btf_enumerator(split, EB_STR("WIDE"), &number), ENUM64);
    assert_int_equal(number, 0);
    assert_int_equal(eb_btf_enumerator(split, EB_STR("EIGHT"), &number), LAST + 1);
    assert_int_equal(number, 1);
    assert_int_equal(eb_btf_enumerator(base, EB_STR("EIGHT"), &number), 0);
    eb_btf_type type = eb_btf_at(base, ENUM);
    assert_true(eb_btf_member_at(base, &type, 0).value == UINT64_MAX);
    unit_close(ctx);
}

/* ---- tests: split BTF ---- */

static void split_round_trip(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        eb_btf *base = every_kind(ctx, big), *module = eb_btf_new_split(&ctx->arena, base), *back;
        eb_buf bytes = write_btf(ctx, base);
        base = read_btf(ctx, bytes.at, bytes.len);
        uint32_t pointer = ref(module, EB_BTF_PTR, "", RECORD);
        uint32_t own = eb_btf_add_record(module, EB_BTF_STRUCT, EB_STR("module_state"), 24);
        eb_btf_add_member(module, EB_STR("record"), pointer, 0); /* a string of the base */
        eb_btf_add_member(module, EB_STR("mine"), RECORD, 64);
        bytes = write_btf(ctx, module);
        assert_int_equal(bytes.len, 24 + 12 + 12 + 2 * 12 + sizeof "module_state" + sizeof "mine");
        assert_int_equal(eb_btf_read(ctx, EB_STR("module"), bytes.at, bytes.len, base, &back), 0);
        expect_same(back, module);
        assert_int_equal(own, LAST + 2);
        assert_int_equal(eb_btf_find(back, EB_BTF_STRUCT, EB_STR("module_state")), own);
        assert_int_equal(eb_btf_find(back, EB_BTF_STRUCT, EB_STR("record")), RECORD);
        assert_int_equal(eb_btf_size(back, RECORD), 24);
        uint32_t more = ref(back, EB_BTF_TYPEDEF, "mine", own); /* what was read grows */
        assert_int_equal(more, own + 1);
        bytes = write_btf(ctx, back);
        eb_btf *again;
        assert_int_equal(eb_btf_read(ctx, EB_STR("module"), bytes.at, bytes.len, base, &again), 0);
        expect_same(again, back);
        assert_int_equal(eb_btf_size(again, more), 24);
        eb_btf *wrong;
        unit_expect_none(ctx);
        assert_int_equal(eb_btf_read(ctx, EB_STR("x"), bytes.at, bytes.len, NULL, &wrong),
                         EBPF_E_INPUT);
        unit_close(ctx);
    }
}

static void base_of_other_order(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *base = every_kind(ctx, true), *back;
    eb_buf bytes = write_btf(ctx, eb_btf_new_split(&ctx->arena, every_kind(ctx, false)));
    assert_int_equal(eb_btf_read(ctx, EB_STR("x"), bytes.at, bytes.len, base, &back), EBPF_E_INPUT);
    unit_expect_error(ctx, "its byte order is not that of its base");
    unit_close(ctx);
}

/* A string may be longer than names are, but then it is no name. */
static void long_strings(void **state) {
    (void)state;
    for (size_t length = 16383; length <= 16384; length++) {
        ebpf_ctx *ctx = unit_open();
        eb_btf *btf = eb_btf_new(&ctx->arena, false), *back;
        char *text = eb_alloc(&ctx->arena, length);
        memset(text, 'x', length);
        eb_btf_add_int(btf, EB_STR("int"), 4, 0);
        uint32_t offset = eb_btf_add_string(btf, (eb_str){text, length});
        eb_btf_add_string(btf, EB_STR("behind"));
        eb_buf bytes = write_btf(ctx, btf);
        assert_int_equal(eb_btf_read(ctx, EB_STR("x"), bytes.at, bytes.len, NULL, &back), 0);
        eb_str string;
        assert_true(eb_btf_string(back, offset, &string));
        assert_int_equal(string.len, length);
        assert_false(eb_btf_string(back, (uint32_t)back->strings_size, &string));
        eb_set32(bytes.at + 24, false, offset);
        int status = eb_btf_read(ctx, EB_STR("x"), bytes.at, bytes.len, NULL, &back);
        assert_int_equal(status, length < 16384 ? EBPF_OK : EBPF_E_INPUT);
        unit_close(ctx);
    }
}

/* ---- tests: damage ---- */

/* The bytes of type `id` in what write_btf makes of every_kind. */
static size_t place_of(const eb_btf *btf, uint32_t id) {
    static const uint8_t own[] = {[EB_BTF_INT] = 4,
                                  [EB_BTF_ARRAY] = 12,
                                  [EB_BTF_VAR] = 4,
                                  [EB_BTF_DECL_TAG] = 4,
                                  [EB_BTF_ENUM64] = 0};
    static const uint8_t each[] = {
        [EB_BTF_STRUCT] = 12, [EB_BTF_UNION] = 12,     [EB_BTF_ENUM] = 8,
        [EB_BTF_ENUM64] = 12, [EB_BTF_FUNC_PROTO] = 8, [EB_BTF_DATASEC] = 12};
    size_t at = 24;
    for (uint32_t i = 1; i < id; i++) {
        eb_btf_type type = eb_btf_at(btf, i);
        at += 12u + own[type.kind] + (size_t)each[type.kind] * type.count;
    }
    return at;
}

static void refused(void **state) {
    (void)state;
    static const struct {
        uint32_t type; /* 0: the header */
        unsigned offset;
        uint32_t value;
        const char *error;
    } cases[] = {
        {0, 0, 0x0001eb9e, "not with the magic number"},
        {0, 0, 0x0002eb9f, "version 2 is unknown"},
        {0, 4, 20, "its header has 20 bytes"},
        {0, 4, 0xffffffff, "its header has 4294967295 bytes"},
        {0, 8, 2, "its types"},
        {0, 12, 0xfffffff0, "its types"},
        {0, 16, 0xffffff00, "its strings"},
        {0, 20, 0, "do not start and end with NUL"},
        {0, 20, 4, "do not start and end with NUL"},
        {0, 12, 20, "type 2 is cut off"},
        {INT, 0, 0x10000, "the name of type 1 lies outside"},
        {INT, 4, 30u << 24, "unknown kind 30"},
        {INT, 8, 17, "an integer has up to 16 bytes"},
        {INT, 12, 33, "more bits than its bytes"},
        {INT, 12, 8 << 16 | 32, "bits lie outside"},
        {ARRAY, 12, 999, "type 4 refers to type 999 of 28"},
        {ARRAY, 16, 999, "array type 4 has index type 999"},
        {RECORD, 4, 0x8400ffff, "type 5 is cut off"},
        {RECORD, 12, 0xffffff, "the name of member 0 of type 5"},
        {RECORD, 20, 193, "member 0 of type 5 lies outside of its 24 bytes"},
        {RECORD, 16, 500, "member 0 of type 5 refers to type 500"},
        {ENUM, 8, 3, "1, 2, 4 or 8 bytes"},
        {FLOAT, 8, 7, "2, 4, 8, 12 or 16 bytes"},
        {PTR, 8, 29, "type 14 refers to type 29 of 28"},
        {FUNC, 8, INT, "does not refer to a prototype"},
        {FUNC, 4, 12u << 24 | 3, "unknown linkage"},
        {VAR, 12, 3, "unknown linkage"},
        {DATASEC, 12, INT, "no variable or function"},
        {TAG_PARAM, 12, 2, "tag 24 names component 2"},
        {TAG_FUNC, 12, (uint32_t)-2, "tag 23 names component -2"},
    };
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        ebpf_ctx *ctx = unit_open();
        eb_btf *btf = every_kind(ctx, false);
        eb_buf bytes = write_btf(ctx, btf);
        size_t at = cases[i].type ? place_of(btf, cases[i].type) : 0;
        eb_set32(bytes.at + at + cases[i].offset, false, cases[i].value);
        assert_int_equal(eb_btf_read(ctx, EB_STR("x"), bytes.at, bytes.len, NULL, &btf),
                         EBPF_E_INPUT);
        unit_expect_error(ctx, cases[i].error);
        unit_close(ctx);
    }
}

/* Reads from a block of its exact size; what is accepted is used and written. */
static bool try_reading(const uint8_t *bytes, size_t size) {
    ebpf_ctx *ctx = unit_open();
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    eb_btf *btf;
    int status = eb_btf_read(ctx, EB_STR("damaged"), copy, size, NULL, &btf);
    if (status) {
        assert_int_equal(status, EBPF_E_INPUT);
        assert_int_equal(ctx->errors, 1);
    } else {
        eb_buf text = {.arena = &ctx->arena};
        for (uint32_t id = 0; id < btf->count; id++) {
            eb_btf_spell(btf, id, &text);
            assert_true(eb_btf_strip(btf, id) < btf->count);
            eb_btf_size(btf, id);
        }
        eb_buf again = write_btf(ctx, btf);
        assert_int_equal(again.len, size);
        assert_memory_equal(again.at, copy, size);
    }
    unit_close(ctx);
    free(copy);
    return status == EBPF_OK;
}

static void damaged(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_buf bytes = write_btf(ctx, every_kind(ctx, false));
    for (size_t size = 0; size < bytes.len; size++)
        assert_false(try_reading(bytes.at, size));
    uint64_t seed = 0xb7f;
    unsigned accepted = 0, tried = 20000;
    for (unsigned i = 0; i < tried; i++) {
        size_t at = unit_random(&seed) % bytes.len;
        uint8_t before = bytes.at[at];
        bytes.at[at] = (uint8_t)unit_random(&seed);
        accepted += try_reading(bytes.at, bytes.len);
        bytes.at[at] = before;
    }
    printf("%u damaged copies, %u accepted\n", tried, accepted);
    assert_true(accepted > tried / 20 && accepted < tried);
    unit_close(ctx);
}

/* ---- tests: peers ---- */

static void bpftool_dump(void **state) {
    (void)state;
    if (!unit_has_tool("bpftool"))
        UNIT_SKIP("bpftool is not installed");
    ebpf_ctx *ctx = unit_open();
    eb_buf bytes = write_btf(ctx, every_kind(ctx, false));
    unit_write("every_kind.btf", bytes.at, bytes.len);
    char said[16384];
    if (unit_run("bpftool btf dump file every_kind.btf", said, sizeof said))
        fail_msg("%s", said);
    static const char *const words[] = {
        "[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED",
        "[4] ARRAY '(anon)' type_id=2 index_type_id=1 nr_elems=8",
        "'bits' type_id=1 bits_offset=32 bitfield_size=5",
        "[7] ENUM 'signed_enum' encoding=SIGNED size=4 vlen=2",
        "'MINUS_ONE' val=-1",
        "[8] ENUM64 'wide_enum' encoding=UNSIGNED size=8 vlen=1",
        "'WIDE' val=1311768467463790320ULL",
        "[9] FWD 'later' fwd_kind=struct",
        "[10] FWD 'later_union' fwd_kind=union",
        "[16] FLOAT 'double' size=8",
        "[18] FUNC 'function' type_id=17 linkage=static",
        "[19] VAR 'variable' type_id=5, linkage=global",
        "type_id=19 offset=0 size=24 (VAR 'variable')",
        "[21] TYPE_TAG 'user' type_id=1",
        "[24] DECL_TAG 'tag of a parameter' type_id=18 component_idx=1"};
    for (uint32_t i = 0; i < COUNT(words); i++)
        if (!strstr(said, words[i]))
            fail_msg("%s is not in\n%s", words[i], said);
    unit_close(ctx);
}

static void kernel_load(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    bool big = *(const uint8_t *)&(uint16_t){1} == 0;
    eb_buf bytes = write_btf(ctx, every_kind(ctx, big));
    static char log[65536];
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.btf = (uint64_t)(uintptr_t)bytes.at;
    attr.btf_size = (uint32_t)bytes.len;
    attr.btf_log_buf = (uint64_t)(uintptr_t)log;
    attr.btf_log_size = sizeof log;
    attr.btf_log_level = 1;
    long fd = syscall(SYS_bpf, BPF_BTF_LOAD, &attr, sizeof attr);
    int error = errno;
    unit_close(ctx);
    if (fd < 0 && (error == EPERM || error == ENOSYS))
        UNIT_SKIP("bpf(BPF_BTF_LOAD) says %s", strerror(error));
    if (fd < 0)
        fail_msg("%s: %s", strerror(error), log);
    close((int)fd);
}

static void kernel_types(void **state) {
    (void)state;
    const char *path = "/sys/kernel/btf/vmlinux";
    if (access(path, R_OK))
        UNIT_SKIP("%s cannot be read", path);
    ebpf_ctx *ctx = unit_open();
    unit_file file = unit_read(path);
    eb_btf *btf = read_btf(ctx, file.at, file.size);
    uint32_t task = eb_btf_find(btf, EB_BTF_STRUCT, EB_STR("task_struct"));
    assert_int_not_equal(task, 0);
    assert_int_equal(eb_btf_size(btf, task), eb_btf_at(btf, task).size_or_type);
    eb_buf again = write_btf(ctx, btf);
    assert_int_equal(again.len, file.size);
    assert_memory_equal(again.at, file.at, file.size);
    printf("%u types: %zu bytes read and written\n", btf->count - 1, file.size);
    free(file.at);
    unit_close(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(strings_once),
        cmocka_unit_test(too_many_members),
        cmocka_unit_test(member_limit),
        cmocka_unit_test(sizes),
        cmocka_unit_test(spelling),
        cmocka_unit_test(circles),
        cmocka_unit_test(nesting),
        cmocka_unit_test(essential_names),
        cmocka_unit_test(namesakes),
        cmocka_unit_test(enumerators),
        cmocka_unit_test(split_round_trip),
        cmocka_unit_test(base_of_other_order),
        cmocka_unit_test(long_strings),
        cmocka_unit_test(refused),
        cmocka_unit_test(damaged),
        cmocka_unit_test(bpftool_dump),
        cmocka_unit_test(kernel_load),
        cmocka_unit_test(kernel_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
