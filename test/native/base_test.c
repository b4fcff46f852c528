/* base_test.c - text, formatting, maps, JSON and the arena's limit. */
#include "unit.h"

#include "json.h"

static eb_arena arena = {.limit = 64 << 20};

static int teardown(void **state) {
    (void)state;
    eb_arena_free(&arena);
    return 0;
}

static void assert_text(const eb_buf *buf, const char *text) {
    assert_int_equal(buf->len, strlen(text));
    assert_memory_equal(buf->at, text, buf->len);
}

/* ---- formatting ---- */

static void test_format(void **state) {
    eb_buf buf = {.arena = &arena};
    (void)state;
    eb_buf_fmt(&buf, "%s|%.*s|%5s|%c|%%", "abc", 2, "xyz", "ab", 'q');
    eb_buf_fmt(&buf, "|%d|%+d|%4d|%u|%x|%08x", -7, 7, 42, 4000000000u, 255u, 0xbeefu);
    eb_buf_fmt(&buf, "|%lld|%llu|%016llx|%zu", (long long)INT64_MIN, (unsigned long long)UINT64_MAX,
               (unsigned long long)0x1234, (size_t)9);
    assert_text(&buf, "abc|xy|ab   |q|%|-7|+7|  42|4000000000|ff|0000beef|-9223372036854775808|"
                      "18446744073709551615|0000000000001234|9");
}

/* ---- text ---- */

static unsigned distance(const char *a, const char *b, unsigned most) {
    return eb_str_distance(eb_str_from(a), eb_str_from(b), most);
}

static void test_distance(void **state) {
    (void)state;
    assert_int_equal(distance("same", "same", 2), 0);
    assert_int_equal(distance("mvo", "mov", 2), 1); /* neighbours swapped */
    assert_int_equal(distance("hash", "hsah", 2), 1);
    assert_int_equal(distance("goto", "got", 2), 1);
    assert_int_equal(distance("", "ab", 2), 2);
    assert_int_equal(distance("kitten", "sitting", 3), 3);
    assert_int_equal(distance("kitten", "sitting", 2), 3); /* more than asked for */
    assert_int_equal(distance("short", "something much longer", 2), 3);
}

static void test_utf8(void **state) {
    static const struct {
        const char *text;
        unsigned length;
    } rows[] = {{"a", 1},
                {"\xc3\xb6", 2},
                {"\xe2\x82\xac", 3},
                {"\xf0\x9f\x98\x80", 4},
                {"\xc0\x80", 0},         /* overlong */
                {"\xe0\x80\x80", 0},     /* overlong */
                {"\xed\xa0\x80", 0},     /* a surrogate */
                {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
                {"\x80", 0},
                {"\xe2\x82", 0}}; /* cut off */
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(eb_utf8_length(rows[i].text, strlen(rows[i].text)), rows[i].length);
}

static void test_byte_order(void **state) {
    uint8_t bytes[8];
    (void)state;
    eb_set64(bytes, true, 0x0102030405060708);
    assert_int_equal(bytes[0], 1);
    assert_int_equal(eb_get64(bytes, false), 0x0807060504030201);
    assert_int_equal(eb_get32(bytes, true), 0x01020304);
    assert_int_equal(eb_get16(bytes, false), 0x0201);
}

/* ---- the map ---- */

static void test_map(void **state) {
    enum { COUNT = 5000 };
    eb_map map = {.arena = &arena};
    bool is_new;
    (void)state;
    assert_null(eb_map_find(&map, EB_STR("0")));
    for (uint32_t i = 0; i < COUNT; i++) {
        *eb_map_enter(&map, eb_str_fmt(&arena, "%u", i), &is_new) = i;
        assert_true(is_new);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        eb_str key = eb_str_fmt(&arena, "%u", i);
        assert_int_equal(*eb_map_find(&map, key), i);
        assert_int_equal(*eb_map_enter(&map, key, &is_new), i);
        assert_false(is_new);
        assert_true(eb_str_eq(map.entries.at[i].key, key)); /* in the order of insertion */
    }
    assert_null(eb_map_find(&map, EB_STR("5000")));
}

/* ---- JSON ---- */

static void test_json(void **state) {
    eb_json json = {.buf = {.arena = &arena}};
    (void)state;
    eb_json_open(&json, '{');
    eb_json_key_str(&json, "text", EB_STR("a\"b\\c\n\t\x01\xc3\xb6\xff\x7f"));
    eb_json_key_int(&json, "int", -5);
    eb_json_key_uint(&json, "exact", UINT64_C(1) << 52);
    eb_json_key_uint(&json, "wide", UINT64_C(1) << 53);
    eb_json_key_bool(&json, "yes", true);
    eb_json_key(&json, "list");
    eb_json_open(&json, '[');
    eb_json_null(&json);
    eb_json_open(&json, '[');
    eb_json_close(&json, ']');
    eb_json_int(&json, 1);
    eb_json_close(&json, ']');
    eb_json_close(&json, '}');
    assert_text(&json.buf, "{\"text\":\"a\\\"b\\\\c\\n\\u0009\\u0001\xc3\xb6\xef\xbf\xbd\\u007f\","
                           "\"int\":-5,\"exact\":4503599627370496,\"wide\":\"9007199254740992\","
                           "\"yes\":true,\"list\":[null,[],1]}");
}

/* ---- the arena ---- */

static void test_limit(void **state) {
    eb_arena small = {.limit = 100 << 10};
    size_t taken = 0;
    (void)state;
    while (eb_try_alloc(&small, 1000))
        taken += 1000;
    assert_int_equal(small.failure, EBPF_E_LIMIT);
    assert_true(taken >= 40 << 10 && small.total <= small.limit);
    assert_null(eb_try_alloc(&small, SIZE_MAX - 4)); /* rounding up must not wrap */
    assert_null(eb_try_alloc(&small, SIZE_MAX / 2));
    eb_arena_free(&small);
}

/* What a large vector leaves when it grows is given back; its elements stay, new ones are zero. */
static void test_growing(void **state) {
    enum { COUNT = 1 << 20 };
    eb_arena own = {.limit = 64 << 20};
    EB_VEC(uint32_t) vec = {0};
    (void)state;
    for (uint32_t n = 0; n < COUNT; n++) {
        uint32_t *at = EB_PUSH(&own, &vec);
        assert_int_equal(*at, 0);
        *at = n;
        (void)eb_alloc(&own, 1);
    }
    for (uint32_t n = 0; n < COUNT; n++)
        assert_int_equal(vec.at[n], n);
    size_t small = (size_t)COUNT * 16; /* the allocations between */
    assert_true(own.total < small + 2 * sizeof(uint32_t) * COUNT);
    eb_arena_reset(&own);
    assert_true(own.total <= 1 << 20);
    eb_arena_free(&own);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format), cmocka_unit_test(test_distance),
        cmocka_unit_test(test_utf8),   cmocka_unit_test(test_byte_order),
        cmocka_unit_test(test_map),    cmocka_unit_test(test_json),
        cmocka_unit_test(test_limit),  cmocka_unit_test(test_growing),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
