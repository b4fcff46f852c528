/* api_test.c - the entry points of ebpf.h: arguments, limits, outputs; and the BTF that the
 * assembler makes of types and maps. */
#include "unit.h"

#include "btf.h"
#include "ebpf.h"

static int assemble(ebpf_ctx *ctx, const char *text, ebpf_object **obj) {
    return ebpf_assemble(ctx, "t.s", 3, text, strlen(text), EBPF_DIALECT_LLVM, EBPF_LITTLE, obj);
}

/* What is no dialect, byte order, format or flag is the caller's mistake, and changes nothing. */
static void test_arguments(void **state) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    ebpf_object *obj, *none;
    ebpf_bytes out;
    (void)state;
    assert_int_equal(assemble(ctx, "exit\n", &obj), EBPF_OK);
    for (int bad = -1; bad < 100; bad = bad < 0 ? 2 : bad * 7) {
        assert_int_equal(ebpf_assemble(ctx, "", 0, "exit", 4, bad, 0, &none), EBPF_E_ARG);
        assert_null(none);
        assert_int_equal(ebpf_assemble(ctx, "", 0, "exit", 4, 0, bad, &none), EBPF_E_ARG);
        assert_int_equal(ebpf_object_from_raw(ctx, "", 0, "", 0, bad, &none), EBPF_E_ARG);
        assert_int_equal(ebpf_disassemble(ctx, obj, bad, 0, &out), EBPF_E_ARG);
        assert_int_equal(ebpf_diagnostics(ctx, bad < 0 ? bad : bad + 1, &out), EBPF_E_ARG);
    }
    assert_int_equal(ebpf_disassemble(ctx, obj, 0, 0x100, &out), EBPF_E_ARG);
    assert_int_equal(ebpf_object_section(ctx, obj, "no", 2, &out), EBPF_E_ARG);
    assert_int_equal(ebpf_error_count(ctx), 0);
    assert_int_equal(ebpf_disassemble(ctx, obj, 0, 0, &out), EBPF_OK);
    assert_int_equal(ebpf_assemble(ctx, NULL, 0, NULL, 0, 0, 0, &obj),
                     EBPF_OK); /* no text at all */
    ebpf_ctx_free(ctx);
    ebpf_ctx_free(NULL);
}

/* Whatever the limit, a request comes back: with a result or with EBPF_E_LIMIT. */
static void test_limits(void **state) {
    enum { LINES = 20000 };
    static const char line[] = "r1 = 0x1122334455667788 ll\n";
    char *text = malloc(LINES * (sizeof line - 1));
    unsigned limited = 0, done = 0;
    (void)state;
    assert_non_null(text);
    for (unsigned i = 0; i < LINES; i++)
        memcpy(text + i * (sizeof line - 1), line, sizeof line - 1);
    for (size_t limit = 1 << 10; limit <= 64 << 20; limit += limit / 3) {
        ebpf_ctx *ctx = ebpf_ctx_new(limit);
        ebpf_object *obj;
        int status = ebpf_assemble(ctx, "t.s", 3, text, LINES * (sizeof line - 1), 0, 0, &obj);
        assert_true(status == EBPF_OK || status == EBPF_E_LIMIT);
        assert_true((obj != NULL) == (status == EBPF_OK));
        limited += status == EBPF_E_LIMIT;
        done += status == EBPF_OK;
        ebpf_ctx_free(ctx);
    }
    assert_true(limited > 10 && done > 3);
    free(text);
}

static void test_diagnostics(void **state) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    ebpf_object *obj;
    ebpf_bytes out;
    (void)state;
    assert_int_equal(assemble(ctx, "  goto \"no\\\"where\"\n", &obj), EBPF_E_INPUT);
    assert_null(obj);
    assert_int_equal(ebpf_error_count(ctx), 1);
    assert_int_equal(ebpf_diagnostics(ctx, EBPF_DIAG_JSON, &out), EBPF_OK);
    static const char json[] =
        "[{\"severity\":\"error\",\"code\":\"undefined-label\",\"message\":\"label "
        "'no\\\\\\\"where' "
        "is not defined in this section\",\"file\":\"t.s\",\"line\":1,\"column\":8,\"endLine\":1,"
        "\"endColumn\":19,\"offset\":7,\"notes\":[]}]";
    assert_int_equal(out.size, sizeof json - 1);
    assert_memory_equal(out.data, json, out.size);
    assert_int_equal(ebpf_diagnostics(ctx, EBPF_DIAG_ANSI, &out), EBPF_OK);
    static const char ansi[] = "\x1b[1mt.s:1:8: \x1b[1;31merror:\x1b[0m ";
    assert_memory_equal(out.data, ansi, sizeof ansi - 1);
    ebpf_ctx_free(ctx);
}

/* ---- BTF of types ---- */

static eb_btf_member member(const eb_btf *btf, uint32_t id, const char *name) {
    eb_btf_type type = eb_btf_at(btf, id);
    for (uint32_t i = 0; i < type.count; i++) {
        eb_btf_member m = eb_btf_member_at(btf, &type, i);
        if (eb_str_is(m.name, name))
            return m;
    }
    fail_msg("no member %s", name);
    return (eb_btf_member){0};
}

/* A .struct lies in BTF as C would lay it out. */
static void test_struct_layout(void **state) {
    struct inner {
        int16_t x;
        int64_t y;
    };
    struct outer {
        uint8_t tag;
        struct inner ends[2];
        _Bool on;
        char name[3];
        uint32_t last;
    };
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    ebpf_object *obj;
    (void)state;
    assert_int_equal(assemble(ctx,
                              ".struct inner\n.field x, s16\n.field y, s64\n.ends\n"
                              ".struct outer\n.field tag, u8\n.field ends, inner, 2\n"
                              ".field on, bool\n.field name, char, 3\n.field last, u32\n.ends\n"
                              ".map m, type=array, key=u32, value=outer, max_entries=1\n",
                              &obj),
                     EBPF_OK);
    const eb_btf *btf = obj->btf;
    uint32_t outer = eb_btf_find(btf, EB_BTF_STRUCT, EB_STR("outer"));
    uint32_t inner = eb_btf_find(btf, EB_BTF_STRUCT, EB_STR("inner"));
    assert_int_equal(eb_btf_size(btf, outer), sizeof(struct outer));
    assert_int_equal(eb_btf_size(btf, inner), sizeof(struct inner));
    assert_int_equal(member(btf, inner, "y").offset, 8 * offsetof(struct inner, y));
    assert_int_equal(member(btf, outer, "ends").offset, 8 * offsetof(struct outer, ends));
    assert_int_equal(member(btf, outer, "on").offset, 8 * offsetof(struct outer, on));
    assert_int_equal(member(btf, outer, "name").offset, 8 * offsetof(struct outer, name));
    assert_int_equal(member(btf, outer, "last").offset, 8 * offsetof(struct outer, last));
    eb_btf_type ends = eb_btf_at(btf, member(btf, outer, "ends").type);
    assert_int_equal(ends.kind, EB_BTF_ARRAY);
    assert_int_equal(ends.extra, 2);
    assert_int_equal(ends.size_or_type, inner);
    assert_int_equal(obj->maps.at[0].value_size, sizeof(struct outer));
    ebpf_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_diagnostics),
        cmocka_unit_test(test_struct_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
