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
    eb_btf_add_member(btf, EB_STR("bits"), INT, 5u << 24 | 32);
    eb_btf_add_member(btf, EB_STR("next"), PTR, 64);
    eb_btf_add_member(btf, (eb_str){0}, UNION, 128);
    btf->types.at[RECORD].kind_flag = true; /* offsets hold widths of bit-fields */
    eb_btf_add_record(btf, EB_BTF_UNION, EB_STR("either"), 8);
    eb_btf_add_member(btf, EB_STR("number"), INT, 0);
    eb_btf_add_member(btf, EB_STR("bytes"), ARRAY, 0);
    eb_btf_add_enum(btf, EB_BTF_ENUM, EB_STR("signed_enum"), 4, true);
    eb_btf_add_enumerator(btf, EB_STR("MINUS_ONE"), UINT64_MAX);
    eb_btf_add_enumerator(btf, EB_STR("SEVEN"), 7);
    eb_btf_add_enum(btf, EB_BTF_ENUM64, EB_STR("wide_enum"), 8, false);
    eb_btf_add_enumerator(btf, EB_STR("WIDE"), UINT64_C(0x123456789abcdef0));
}

static eb_btf *every_kind(ebpf_ctx *ctx) {
    eb_btf *btf = eb_btf_new(&ctx->arena);
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
    assert_int_equal(btf->types.len, LAST + 1);
    return btf;
}

/* ---- comparing ---- */

static eb_buf write_btf(ebpf_ctx *ctx, const eb_btf *btf, bool big) {
    eb_buf bytes = {.arena = &ctx->arena}, ext = {.arena = &ctx->arena};
    eb_btf_write(btf, eb_object_new(ctx, big), NULL, 0, &bytes, &ext);
    assert_int_equal(ext.len, 0);
    return bytes;
}

static eb_btf *read_btf(ebpf_ctx *ctx, const uint8_t *bytes, size_t size) {
    eb_btf *btf = NULL;
    if (eb_btf_read(ctx, EB_STR("test"), bytes, size, &btf))
        fail_msg("not read: %s", unit_diagnostics(ctx));
    return btf;
}

static bool same_type(const eb_btf *x, const eb_btf *y, uint32_t id) {
    const eb_btf_type *a = &x->types.at[id], *b = &y->types.at[id];
    if (!eb_str_eq(a->name, b->name) || a->kind != b->kind || a->kind_flag != b->kind_flag ||
        a->size_or_type != b->size_or_type || a->extra != b->extra ||
        a->index_type != b->index_type || a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const eb_btf_member *m = &x->members.at[a->first + i], *n = &y->members.at[b->first + i];
        if (!eb_str_eq(m->name, n->name) || m->type != n->type || m->offset != n->offset ||
            m->size != n->size || m->value != n->value)
            return false;
    }
    return true;
}

static void expect_same(const eb_btf *got, const eb_btf *want) {
    assert_int_equal(got->types.len, want->types.len);
    for (uint32_t id = 1; id < want->types.len; id++)
        if (!same_type(got, want, id))
            fail_msg("type %u differs", id);
}

/* ---- tests: writing and reading ---- */

static void round_trip(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        eb_btf *btf = every_kind(ctx);
        eb_buf bytes = write_btf(ctx, btf, big);
        assert_int_equal(bytes.at[0], big ? 0xeb : 0x9f);
        eb_btf *back = read_btf(ctx, bytes.at, bytes.len);
        expect_same(back, btf);
        eb_buf again = write_btf(ctx, back, big);
        assert_int_equal(again.len, bytes.len);
        assert_memory_equal(again.at, bytes.at, bytes.len);
        unit_expect_none(ctx);
        unit_close(ctx);
    }
}

static void strings_once(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = eb_btf_new(&ctx->arena);
    for (int i = 0; i < 100; i++)
        eb_btf_add_int(btf, EB_STR("int"), 4, 0);
    eb_buf bytes = write_btf(ctx, btf, false);
    assert_int_equal(bytes.len, 24 + 100 * 16 + 5); /* "\0int\0" */
    unit_close(ctx);
}

static void too_many_members(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = eb_btf_new(&ctx->arena);
    eb_btf_add_enum(btf, EB_BTF_ENUM, EB_STR("e"), 4, false);
    for (uint32_t i = 0; i < 65535; i++)
        eb_btf_add_enumerator(btf, EB_STR("v"), i);
    eb_buf bytes = write_btf(ctx, btf, false);
    expect_same(read_btf(ctx, bytes.at, bytes.len), btf);
    unit_close(ctx);
}

static int write_it(ebpf_ctx *ctx, void *args) {
    write_btf(ctx, args, false);
    return EBPF_OK;
}

static void member_limit(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = eb_btf_new(&ctx->arena);
    eb_btf_add_enum(btf, EB_BTF_ENUM, EB_STR("e"), 4, false);
    for (uint32_t i = 0; i < 65536; i++)
        eb_btf_add_enumerator(btf, EB_STR("v"), i);
    assert_int_equal(eb_guard(ctx, write_it, btf), EBPF_E_LIMIT);
    unit_close(ctx);
}

/* Section names in the strings of .BTF, records by section. */
static void func_infos(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = eb_object_new(ctx, big);
        uint32_t text = eb_object_add_section(obj, EB_STR(".text"), EB_SHT_PROGBITS, 0);
        uint32_t xdp = eb_object_add_section(obj, EB_STR("xdp"), EB_SHT_PROGBITS, 0);
        eb_btf *btf = every_kind(ctx);
        eb_func_info infos[] = {{text, 0, FUNC}, {text, 16, FUNC}, {xdp, 8, FUNC}};
        eb_buf bytes = {.arena = &ctx->arena}, ext = {.arena = &ctx->arena};
        eb_btf_write(btf, obj, infos, 3, &bytes, &ext);
        const uint32_t info_len = 4 + 2 * 8 + 3 * 8;
        assert_int_equal(ext.len, 32 + info_len);
        assert_int_equal(eb_get16(ext.at, big), 0xeb9f);
        static const unsigned header[] = {32, 0, info_len, info_len, 0, info_len, 0};
        for (uint32_t i = 0; i < COUNT(header); i++)
            assert_int_equal(eb_get32(ext.at + 4 + 4 * i, big), header[i]);
        const uint8_t *info = ext.at + 32;
        uint32_t strings = 24 + eb_get32(bytes.at + 16, big);
        const char *first = (const char *)bytes.at + strings + eb_get32(info + 4, big);
        const char *second = (const char *)bytes.at + strings + eb_get32(info + 28, big);
        assert_string_equal(first, ".text");
        assert_string_equal(second, "xdp");
        static const unsigned records[] = {8, 0, 2, 0, FUNC, 16, FUNC, 0, 1, 8, FUNC};
        for (uint32_t i = 0; i < COUNT(records); i++)
            if (records[i] || (i != 1 && i != 7)) /* but the names */
                assert_int_equal(eb_get32(info + 4 * i, big), records[i]);
        unit_close(ctx);
    }
}

/* Where instructions know the text they come from, lines are recorded where they change and where
 * functions start. */
static void line_infos(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = eb_object_new(ctx, false);
    eb_loc first = eb_source_add(ctx, EB_STR("x.s"), EB_STR("one\n  two \n"));
    uint32_t text = eb_object_add_section(obj, EB_STR(".text"), EB_SHT_PROGBITS, 0);
    const eb_loc locs[] = {first, first, first + 6, first + 6, 0};
    for (uint32_t i = 0; i < COUNT(locs); i++)
        *EB_PUSH(&ctx->arena, &obj->sections.at[text].locs) = locs[i];
    eb_func_info infos[] = {{text, 0, FUNC}, {text, 24, FUNC}};
    eb_buf bytes = {.arena = &ctx->arena}, ext = {.arena = &ctx->arena};
    eb_btf_write(every_kind(ctx), obj, infos, 2, &bytes, &ext);
    uint32_t offset = eb_get32(ext.at + 16, false);
    assert_int_equal(eb_get32(ext.at + 20, false), 4 + 8 + 3 * 16);
    const uint8_t *line = ext.at + 32 + offset;
    const char *strings = (const char *)bytes.at + 24 + eb_get32(bytes.at + 16, false);
    assert_int_equal(eb_get32(line, false), 16);
    assert_string_equal(strings + eb_get32(line + 4, false), ".text");
    assert_int_equal(eb_get32(line + 8, false), 3);
    static const struct {
        uint32_t offset, place;
        const char *text;
    } want[] = {{0, 1 << 10 | 1, "one"}, {16, 2 << 10 | 3, "two"}, {24, 2 << 10 | 3, "two"}};
    for (uint32_t i = 0; i < COUNT(want); i++) {
        const uint8_t *record = line + 12 + 16 * i;
        assert_int_equal(eb_get32(record, false), want[i].offset);
        assert_string_equal(strings + eb_get32(record + 4, false), "x.s");
        assert_string_equal(strings + eb_get32(record + 8, false), want[i].text);
        assert_int_equal(eb_get32(record + 12, false), want[i].place);
    }
    unit_close(ctx);
}

/* ---- tests: looking up ---- */

static void sizes(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_btf *btf = every_kind(ctx);
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
    eb_btf *btf = every_kind(ctx);
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

/* What was read may go in circles; nothing may follow them for ever. */
static void circles(void **state) {
    (void)state;
    static const eb_btf_kind kinds[] = {EB_BTF_TYPEDEF, EB_BTF_CONST, EB_BTF_PTR, EB_BTF_TYPE_TAG,
                                        EB_BTF_VAR};
    for (uint32_t i = 0; i < COUNT(kinds); i++) {
        ebpf_ctx *ctx = unit_open();
        eb_btf *btf = eb_btf_new(&ctx->arena);
        ref(btf, kinds[i], "x", 2);
        ref(btf, kinds[i], "y", 1);
        eb_btf_add_array(btf, 4, 4, 2);
        eb_btf_add_array(btf, 3, 3, 1);
        eb_buf bytes = write_btf(ctx, btf, false);
        btf = read_btf(ctx, bytes.at, bytes.len);
        assert_int_equal(eb_btf_size(btf, 1), kinds[i] == EB_BTF_PTR ? 8 : 0);
        assert_int_equal(eb_btf_size(btf, 3), 0);
        uint32_t stripped = eb_btf_strip(btf, 1);
        assert_int_equal(stripped, kinds[i] == EB_BTF_PTR || kinds[i] == EB_BTF_VAR ? 1 : 0);
        eb_buf text = {.arena = &ctx->arena};
        for (uint32_t id = 1; id <= 4; id++)
            eb_btf_spell(btf, id, &text);
        assert_in_range(text.len, 1, 4096);
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
        const eb_btf_type *type = &btf->types.at[i];
        at += 12u + own[type->kind] + (size_t)each[type->kind] * type->count;
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
        eb_btf *btf = every_kind(ctx);
        eb_buf bytes = write_btf(ctx, btf, false);
        size_t at = cases[i].type ? place_of(btf, cases[i].type) : 0;
        eb_set32(bytes.at + at + cases[i].offset, false, cases[i].value);
        assert_int_equal(eb_btf_read(ctx, EB_STR("x"), bytes.at, bytes.len, &btf), EBPF_E_INPUT);
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
    int status = eb_btf_read(ctx, EB_STR("damaged"), copy, size, &btf);
    if (status) {
        assert_int_equal(status, EBPF_E_INPUT);
        assert_int_equal(ctx->errors, 1);
    } else {
        eb_buf text = {.arena = &ctx->arena};
        for (uint32_t id = 0; id < btf->types.len; id++) {
            eb_btf_spell(btf, id, &text);
            assert_true(eb_btf_strip(btf, id) < btf->types.len);
            eb_btf_size(btf, id);
        }
        eb_buf again = write_btf(ctx, btf, false);
        expect_same(read_btf(ctx, again.at, again.len), btf);
    }
    free(copy);
    unit_close(ctx);
    return status == EBPF_OK;
}

static void damaged(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    eb_buf bytes = write_btf(ctx, every_kind(ctx), false);
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
    eb_buf bytes = write_btf(ctx, every_kind(ctx), false);
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
    eb_buf bytes = write_btf(ctx, every_kind(ctx), big);
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
    assert_int_equal(eb_btf_size(btf, task), btf->types.at[task].size_or_type);
    eb_buf again = write_btf(ctx, btf, file.at[0] == 0xeb);
    expect_same(read_btf(ctx, again.at, again.len), btf);
    printf("%u types, %u members: %zu bytes read, %zu written\n", btf->types.len - 1,
           btf->members.len, file.size, again.len);
    free(file.at);
    unit_close(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(strings_once),
        cmocka_unit_test(too_many_members),
        cmocka_unit_test(member_limit),
        cmocka_unit_test(func_infos),
        cmocka_unit_test(line_infos),
        cmocka_unit_test(sizes),
        cmocka_unit_test(spelling),
        cmocka_unit_test(circles),
        cmocka_unit_test(refused),
        cmocka_unit_test(damaged),
        cmocka_unit_test(bpftool_dump),
        cmocka_unit_test(kernel_load),
        cmocka_unit_test(kernel_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
