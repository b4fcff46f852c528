/* Any bytes as BTF, ELF with BTF in it, or a pair (lib/pair.h) of BTF and what is split on it: what
 * the reader accepts is walked, dumped in every format, written and read back the same, stands
 * below split BTF, and is taken as what describes the maps and data of an object. Uses internals,
 * which no entry point reaches with BTF alone. */
#include "btf_dump.h"
#include "fuzz.h"
#include "guard.h"
#include "lib/pair.h"

typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

static bool same_member(const eb_btf_member *a, const eb_btf_member *b) {
    return eb_str_eq(a->name, b->name) && a->type == b->type && a->offset == b->offset &&
           a->bits == b->bits && a->size == b->size && a->value == b->value;
}

static bool same_type(const eb_btf *x, const eb_btf *y, uint32_t id) {
    eb_btf_type a = eb_btf_at(x, id), b = eb_btf_at(y, id);
    bool same = eb_str_eq(a.name, b.name) && a.kind == b.kind && a.kind_flag == b.kind_flag &&
                a.size_or_type == b.size_or_type && a.extra == b.extra &&
                a.index_type == b.index_type && a.count == b.count;
    for (uint32_t i = 0; same && i < a.count; i++) {
        eb_btf_member m = eb_btf_member_at(x, &a, i), n = eb_btf_member_at(y, &b, i);
        same = same_member(&m, &n);
    }
    return same;
}

/* Every look-up of its name must come to the type. */
static void look_up(const eb_btf *btf, uint32_t id) {
    eb_str name = eb_btf_name(btf, id);
    uint32_t found = 0, steps = 0;
    if (!name.len)
        return;
    while ((found = eb_btf_next(btf, EB_BTF_ANY, name, found)) != 0 && found < id && steps++ < 64)
        REQUIRE(eb_str_eq(eb_btf_name(btf, found), name));
    REQUIRE(found == id || steps == 65);
    REQUIRE(eb_btf_next_flavour(btf, EB_BTF_ANY, eb_btf_essential(name), 0) != 0);
}

static void walk(const eb_btf *btf, eb_buf *text) {
    for (uint32_t id = 0; id < btf->count; id++) {
        text->len = 0;
        eb_btf_spell(btf, id, text);
        REQUIRE(eb_btf_strip(btf, id) < btf->count);
        (void)eb_btf_size(btf, id);
        look_up(btf, id);
    }
}

/* Unchanged it is written as it came; changed, it is the same types still. */
static void round_trip(ebpf_ctx *ctx, eb_btf *btf, const eb_btf *base, input in) {
    eb_buf bytes = {.arena = &ctx->arena}, changed = {.arena = &ctx->arena};
    eb_btf *again;
    eb_btf_write(btf, &bytes);
    REQUIRE(bytes.len == in.size && memcmp(bytes.at, in.data, in.size) == 0);
    uint32_t count = btf->count;
    eb_btf_add_int(btf, EB_STR("one more"), 4, 0);
    eb_btf_write(btf, &changed);
    REQUIRE(eb_btf_read(ctx, EB_STR("again"), changed.at, changed.len, base, &again) == 0);
    REQUIRE(again->count == count + 1);
    for (uint32_t id = 1; id < count; id++)
        REQUIRE(same_type(again, btf, id));
}

/* The input again, on itself. */
static void split(ebpf_ctx *ctx, const eb_btf *base, input in, eb_buf *text) {
    eb_btf *btf;
    text->len = 0;
    if (eb_btf_read(ctx, EB_STR("split"), in.data, in.size, base, &btf))
        return;
    REQUIRE(btf->first == base->count);
    walk(btf, text);
    eb_btf_dump_raw(btf, NULL, 0, text);
}

static void dump(ebpf_ctx *ctx, const eb_btf *btf, eb_buf *text) {
    text->len = 0;
    eb_btf_dump_json(btf, NULL, 0, text);
    REQUIRE(is_json((const char *)text->at, text->len));
    eb_btf_dump_raw(btf, NULL, 0, text);
    uint32_t before = ctx->errors, root = btf->count - 1;
    int status = eb_btf_dump_c(ctx, btf, NULL, 0, text);
    REQUIRE((status != EBPF_OK) == (ctx->errors > before));
    (void)eb_btf_dump_c(ctx, btf, &root, root != 0, text);
}

static void describe(ebpf_ctx *ctx, eb_btf *btf, input in) {
    static const char *const names[] = {".maps", ".bss", ".data"};
    ebpf_object *obj = eb_object_new(ctx, false);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint32_t section = eb_object_add_section(obj, eb_str_from(names[i]), EB_SHT_PROGBITS, 3);
        obj->sections.at[section].size = 64;
    }
    for (uint32_t id = 1; id < btf->count; id++)
        if (eb_btf_kind_of(btf, id) == EB_BTF_VAR)
            eb_object_add_symbol(obj, eb_btf_name(btf, id), 1 + id % 3, 8 * (id % 9));
    uint32_t section = eb_object_add_section(obj, EB_STR(".BTF"), EB_SHT_PROGBITS, 0);
    eb_buf_put(&obj->sections.at[section].bytes, in.data, in.size);
    (void)eb_object_index(obj);
    eb_buf json = {.arena = &ctx->arena};
    eb_object_info_json(obj, &json);
}

static int run(ebpf_ctx *ctx, void *args) {
    input in = *(const input *)args;
    eb_btf *btf, *base = NULL;
    part front, back;
    if (open_pair(in.data, in.size, &front, &back)) {
        if (eb_btf_read(ctx, EB_STR("base"), front.at, front.size, NULL, &base))
            return EBPF_E_INPUT;
        in = (input){back.at, back.size};
    }
    if (eb_btf_open(ctx, EB_STR("fuzz"), in.data, in.size, base, &btf)) {
        REQUIRE(ctx->errors == 1);
        return EBPF_E_INPUT;
    }
    plant(eb_btf_kind_of(btf, btf->count - 1) == EB_BTF_RESTRICT, in.data, in.size);
    eb_buf text = {.arena = &ctx->arena};
    in = (input){btf->input, btf->input_size};
    walk(btf, &text);
    dump(ctx, btf, &text);
    if (!base) {
        split(ctx, btf, in, &text);
        describe(ctx, btf, in);
    }
    round_trip(ctx, btf, base, in);
    return EBPF_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ebpf_ctx *ctx = ebpf_ctx_new(FUZZ_MEMORY);
    if (ctx == NULL)
        return 0;
    (void)eb_guard(ctx, run, &(input){data, size});
    ebpf_ctx_free(ctx);
    return 0;
}

static size_t mutate_types(uint8_t *data, size_t size, size_t most, chance *dice) {
    return is_elf(data, size) ? mutate_elf(data, size, most, dice)
                              : mutate_btf(data, size, most, dice);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed) {
    return mutate_pair(data, size, most, &(chance){seed}, mutate_btf, mutate_types);
}
