/* packed_test.c - the packed header set: each kind of DEFLATE block, and a set in which any byte
 * may be any other. data/headers.bin has four files, three with the same 200 declarations
 * (dynamic.h, fixed.h, stored.h, each compressed that way) and an empty one. */
#include "unit.h"

#include "ebpf_cc.h"

static uint8_t set[8192];
static size_t set_size;

static int setup(void **state) {
    (void)state;
    FILE *file = fopen(TEST_DATA "/headers.bin", "rb");
    assert_non_null(file);
    set_size = fread(set, 1, sizeof set, file);
    fclose(file);
    assert_in_range(set_size, 1000, sizeof set - 1);
    return 0;
}

/* A unit that includes <name>, asked up to its request. */
static ebpf_cc *asking(ebpf_ctx *ctx, const char *name) {
    char text[64];
    ebpf_cc *unit;
    ebpf_bytes out;
    int size = snprintf(text, sizeof text, "#include <%s>\n", name);
    assert_int_equal(ebpf_cc_new(ctx, "x.c", 3, text, (size_t)size, NULL, &unit), EBPF_OK);
    assert_int_equal(ebpf_cc_preprocess(unit, &out), EBPF_NEED_FILE);
    return unit;
}

static int answer(ebpf_cc *unit, const char *path, const void *bytes, size_t size) {
    return ebpf_cc_answer_packed(unit, path, strlen(path), bytes, size);
}

static void expect_text(const char *path, const char *expected) {
    ebpf_ctx *ctx = unit_open();
    ebpf_cc *unit = asking(ctx, "any.h");
    ebpf_bytes out;
    assert_int_equal(answer(unit, path, set, set_size), EBPF_OK);
    assert_int_equal(ebpf_cc_preprocess(unit, &out), EBPF_OK);
    /* Nothing follows the #include but the end of its line, as clang -E -P has it. */
    assert_int_equal(out.size, strlen(expected) + 1);
    assert_memory_equal(out.data, expected, out.size - 1);
    assert_int_equal(((const char *)out.data)[out.size - 1], '\n');
    unit_close(ctx);
}

static void test_blocks(void **state) {
    char text[4096], *at = text;
    (void)state;
    for (int n = 0; n < 200; n++)
        at += sprintf(at, "int v%d;\n", n);
    expect_text("<headers>/dynamic.h", text);
    expect_text("<headers>/fixed.h", text);
    expect_text("<headers>/stored.h", text);
    expect_text("<headers>/empty.h", "");
}

static void test_absent(void **state) {
    static const char *const paths[] = {
        "<headers>/none.h",     "<headers>/", "<headers>",          "<headers>/dynamic",
        "<headers>/dynamic.hh", "dynamic.h",  "/headers/dynamic.h", ""};
    ebpf_ctx *ctx = unit_open();
    ebpf_cc *unit = asking(ctx, "any.h");
    (void)state;
    for (size_t n = 0; n < sizeof paths / sizeof *paths; n++)
        assert_int_equal(answer(unit, paths[n], set, set_size), EBPF_NEED_FILE);
    assert_int_equal(answer(unit, "<headers>/fixed.h", set, 7), EBPF_E_INPUT);
    assert_int_equal(answer(unit, "<headers>/fixed.h", NULL, 0), EBPF_E_INPUT);
    assert_int_equal(answer(unit, "<headers>/fixed.h", set, set_size), EBPF_OK);
    assert_int_equal(answer(unit, "<headers>/fixed.h", set, set_size), EBPF_OK); /* until it runs */
    unit_close(ctx);
}

/* Bytes of its own, so that a read past the end is seen. */
static void try_damaged(uint32_t seed) {
    static const char *const paths[] = {"<headers>/dynamic.h", "<headers>/fixed.h",
                                        "<headers>/stored.h", "<headers>/empty.h"};
    size_t size = seed % 5 ? set_size : seed * 7919u % set_size;
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    memcpy(bytes, set, size);
    for (uint32_t n = 0; n < seed % 6 && size; n++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[(seed >> 8) % (n % 2 ? size : size < 400 ? size : 400)] ^= (uint8_t)(1u << seed % 8);
    }
    bytes = realloc(bytes, size ? size : 1);
    ebpf_ctx *ctx = ebpf_ctx_new(4 << 20);
    ebpf_cc *unit = asking(ctx, "any.h");
    for (size_t n = 0; n < 4; n++) {
        int status = answer(unit, paths[n], bytes, size);
        if (status == EBPF_E_LIMIT)
            break;
        assert_true(status == EBPF_OK || status == EBPF_NEED_FILE || status == EBPF_E_INPUT);
    }
    ebpf_ctx_free(ctx);
    free(bytes);
}

static void test_damage(void **state) {
    (void)state;
    for (uint32_t seed = 1; seed <= 4000; seed++)
        try_damaged(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
