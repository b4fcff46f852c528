/* core_test.c - CO-RE relocation: every kind with a target that has it and one that has not, in
 * both byte orders; what instructions may become; flavours, modules, ambiguity; what is refused, in
 * which words; hostile types. The decisions themselves are compared with libbpf's by scripts/peers.
 */
#include "sample.h"

#include "core.h"
#include "ebpf_insn.h"

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

/* ---- types ----
 * What the program's compiler saw, and two targets: one that has everything elsewhere, and one that
 * has types of the same names and nothing of what is in them. */

enum {
    INT = 1,
    U32,
    U8,
    LONG,
    PTR,
    BYTES,
    COLOUR,
    WIDE,
    INNER,
    TASK,
    BITS,
    TASK_T,
    PROTO,
    CALLBACK,
    ITEMS,
    TAIL,
    LAST = TAIL
};

static void add_basics(eb_btf *btf, bool small) {
    eb_btf_add_int(btf, EB_STR("int"), 4, EB_BTF_SIGNED);
    eb_btf_add_int(btf, EB_STR("unsigned int"), 4, 0);
    eb_btf_add_int(btf, EB_STR("unsigned char"), 1, 0);
    eb_btf_add_int(btf, EB_STR("unsigned long"), small ? 4 : 8, 0);
    eb_btf_add_ref(btf, EB_BTF_PTR, (eb_str){0}, 0);
    eb_btf_add_array(btf, U8, U32, 16);
}

static void add_rest(eb_btf *btf) {
    eb_btf_add_ref(btf, EB_BTF_TYPEDEF, EB_STR("task_t"), TASK);
    eb_btf_add_proto(btf, INT);
    eb_btf_add_param(btf, EB_STR("p"), PTR);
    eb_btf_add_ref(btf, EB_BTF_PTR, (eb_str){0}, PROTO);
    eb_btf_add_array(btf, U8, U32, 0);
}

static eb_btf *local_types(ebpf_ctx *ctx, bool big) {
    eb_btf *btf = eb_btf_new(&ctx->arena, big);
    add_basics(btf, false);
    eb_btf_add_enum(btf, EB_BTF_ENUM, EB_STR("colour"), 4, true);
    eb_btf_add_enumerator(btf, EB_STR("RED"), 1);
    eb_btf_add_enumerator(btf, EB_STR("BLUE___dark"), 2);
    eb_btf_add_enum(btf, EB_BTF_ENUM64, EB_STR("wide"), 8, false);
    eb_btf_add_enumerator(btf, EB_STR("FAR"), UINT64_C(1) << 40);
    eb_btf_add_record(btf, EB_BTF_UNION, (eb_str){0}, 8);
    eb_btf_add_member(btf, EB_STR("a"), INT, 0);
    eb_btf_add_member(btf, EB_STR("b"), LONG, 0);
    eb_btf_add_record(btf, EB_BTF_STRUCT, EB_STR("task___mine"), 48);
    eb_btf_add_member(btf, EB_STR("pid"), INT, 0);
    eb_btf_add_member(btf, EB_STR("flags"), U32, 32);
    eb_btf_add_member(btf, EB_STR("next"), PTR, 64);
    eb_btf_add_member(btf, EB_STR("comm"), BYTES, 128);
    eb_btf_add_member(btf, (eb_str){0}, INNER, 256);
    eb_btf_add_record(btf, EB_BTF_STRUCT, EB_STR("bits"), 8);
    eb_btf_add_bitfield(btf, EB_STR("low"), U32, 0, 3);
    eb_btf_add_bitfield(btf, EB_STR("high"), INT, 3, 9);
    add_rest(btf);
    eb_btf_add_record(btf, EB_BTF_STRUCT, EB_STR("tail"), 4);
    eb_btf_add_member(btf, EB_STR("count"), U32, 0);
    eb_btf_add_member(btf, EB_STR("items"), ITEMS, 32);
    assert_int_equal(btf->count, LAST + 1);
    return btf;
}

static eb_btf *full_target(ebpf_ctx *ctx, bool big) {
    eb_btf *btf = eb_btf_new(&ctx->arena, big);
    add_basics(btf, false);
    eb_btf_add_enum(btf, EB_BTF_ENUM, EB_STR("colour"), 4, true);
    eb_btf_add_enumerator(btf, EB_STR("GREEN"), 0);
    eb_btf_add_enumerator(btf, EB_STR("RED"), (uint64_t)-7);
    eb_btf_add_enumerator(btf, EB_STR("BLUE"), 40);
    eb_btf_add_enum(btf, EB_BTF_ENUM64, EB_STR("wide"), 8, false);
    eb_btf_add_enumerator(btf, EB_STR("FAR"), UINT64_C(3) << 50);
    eb_btf_add_record(btf, EB_BTF_STRUCT, (eb_str){0}, 24);
    eb_btf_add_member(btf, EB_STR("x"), LONG, 0);
    eb_btf_add_member(btf, EB_STR("b"), LONG, 64);
    eb_btf_add_member(btf, EB_STR("pid"), INT, 128);
    eb_btf_add_record(btf, EB_BTF_STRUCT, EB_STR("task"), 96);
    eb_btf_add_member(btf, (eb_str){0}, INNER, 64);
    eb_btf_add_member(btf, EB_STR("comm"), BYTES, 320);
    eb_btf_add_member(btf, EB_STR("flags"), LONG, 512);
    eb_btf_add_member(btf, EB_STR("next"), PTR, 576);
    eb_btf_add_member(btf, EB_STR("a"), U32, 640);
    eb_btf_add_record(btf, EB_BTF_STRUCT, EB_STR("bits"), 16);
    eb_btf_add_bitfield(btf, EB_STR("high"), INT, 36, 12);
    eb_btf_add_bitfield(btf, EB_STR("low"), INT, 62, 2);
    add_rest(btf);
    eb_btf_add_record(btf, EB_BTF_STRUCT, EB_STR("tail"), 8);
    eb_btf_add_member(btf, EB_STR("count"), LONG, 0);
    eb_btf_add_member(btf, EB_STR("items"), ITEMS, 64);
    return btf;
}

static eb_btf *bare_target(ebpf_ctx *ctx, bool big) {
    eb_btf *btf = eb_btf_new(&ctx->arena, big);
    add_basics(btf, false);
    eb_btf_add_enum(btf, EB_BTF_ENUM, EB_STR("colour"), 4, true);
    eb_btf_add_enumerator(btf, EB_STR("GREEN"), 0);
    eb_btf_add_record(btf, EB_BTF_STRUCT, EB_STR("task"), 8);
    eb_btf_add_member(btf, EB_STR("pid"), PTR, 0);
    eb_btf_add_record(btf, EB_BTF_UNION, EB_STR("bits"), 8);
    return btf;
}

/* ---- a program of one instruction per record ---- */

enum { ALU = 0xb7, ALU_W = 0xb4, LDX_B = 0x71, LDX_W = 0x61, LDX_DW = 0x79, LDDW = 0x18 };
enum { ST_W = 0x62, STX_DW = 0x7b, LDXSX_W = 0x81, ADD_X = 0x0f, CALL = 0x85 };

static ebpf_insn insn_of(uint8_t code, int64_t value) {
    bool memory = (code & 7) >= 1 && (code & 7) <= 3;
    return (ebpf_insn){.code = code,
                       .dst = 1,
                       .src = memory && code != ST_W ? 2 : 0,
                       .slots = code == LDDW ? 2 : 1,
                       .off = memory ? (int16_t)value : 0,
                       .imm = memory ? 0 : value};
}

static ebpf_object *program(ebpf_ctx *ctx, bool big) {
    ebpf_object *obj = eb_object_new(ctx, big);
    obj->name = EB_STR("prog.o");
    eb_object_add_section(obj, EB_STR("xdp"), EB_SHT_PROGBITS, EB_SHF_ALLOC | EB_SHF_EXECINSTR);
    obj->btf = local_types(ctx, big);
    return obj;
}

static void add_record(ebpf_object *obj, ebpf_insn insn, uint32_t kind, uint32_t type,
                       const char *access) {
    eb_section *section = &obj->sections.at[1];
    uint8_t bytes[2 * EBPF_SLOT];
    unsigned slots = ebpf_insn_encode(&insn, obj->big ? EBPF_BIG : EBPF_LITTLE, bytes);
    *EB_PUSH(&obj->ctx->arena, &section->core) =
        (eb_core_relo){(uint32_t)section->bytes.len, type, kind, eb_str_from(access)};
    eb_buf_put(&section->bytes, bytes, slots * EBPF_SLOT);
    section->size = section->bytes.len;
}

/* The sections that the object has been read with: .BTF.ext is there to be written again. */
static void finish(ebpf_object *obj) {
    eb_buf ext = buffer(obj->ctx);
    uint32_t section = eb_object_add_section(obj, EB_STR(".BTF.ext"), EB_SHT_PROGBITS, 0);
    eb_btf_ext_write(obj, obj->btf, &ext);
    obj->sections.at[section].bytes = ext;
    obj->sections.at[section].size = ext.len;
    uint32_t symbol = eb_object_add_symbol(obj, EB_STR(""), 1, 0); /* as clang relocates offsets */
    obj->symbols.at[symbol].type = EB_STT_SECTION;
    add_reloc(obj, section, ext.len - 16, EB_R_BPF_64_NODYLD32, symbol, 0);
}

static ebpf_insn insn_at(const ebpf_object *obj, const eb_core_result *result) {
    ebpf_insn insn = {0};
    const eb_buf *code = &obj->sections.at[result->section].bytes;
    ebpf_insn_decode(code->at + result->relo.offset, code->len - result->relo.offset,
                     obj->big ? EBPF_BIG : EBPF_LITTLE, &insn);
    return insn;
}

static int relocate(ebpf_object *obj, const eb_btf *target, eb_core_results *results) {
    eb_core_target targets[] = {{target, EB_STR("vmlinux")}};
    *results = (eb_core_results){0};
    finish(obj);
    return eb_core_relocate(obj, targets, 1, results);
}

/* ---- every kind, found and not found ---- */

typedef struct expected {
    uint32_t kind, type;
    const char *access;
    uint8_t code;
    int64_t before, after[2]; /* the value in the instruction; afterwards little, big */
    bool resolved_bare;       /* in the bare target: resolved to bare, or poisoned */
    int64_t bare;
} expected;

static const expected table[] = {
    /* pid has moved into a nameless struct and is a pointer in the bare target */
    {EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0", ALU, 0, {24, 24}, false, 0},
    {EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0", LDX_W, 0, {24, 24}, false, 0},
    {EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:2", LDX_DW, 8, {72, 72}, false, 0},
    {EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:3:5", LDX_B, 21, {45, 45}, false, 0},
    {EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:4:1", LDX_DW, 32, {16, 16}, false, 0},
    {EB_CORE_FIELD_BYTE_OFFSET, TASK, "2:0", ALU, 96, {216, 216}, false, 0},
    {EB_CORE_FIELD_BYTE_OFFSET, TASK_T, "0:2", STX_DW, 8, {72, 72}, false, 0},
    {EB_CORE_FIELD_BYTE_OFFSET, TAIL, "0:1:9", LDX_B, 13, {17, 17}, false, 0},
    {EB_CORE_FIELD_BYTE_SIZE, TASK, "0:1", ALU_W, 4, {8, 8}, false, 0},
    {EB_CORE_FIELD_BYTE_SIZE, TASK, "0:3", ALU, 16, {16, 16}, false, 0},
    {EB_CORE_FIELD_BYTE_SIZE, BITS, "0:1", ALU, 4, {4, 4}, false, 0},
    {EB_CORE_FIELD_EXISTS, TASK, "0:1", ALU, 1, {1, 1}, true, 0},
    {EB_CORE_FIELD_EXISTS, TASK, "0:0", ALU, 1, {1, 1}, true, 0},
    {EB_CORE_FIELD_SIGNED, TASK, "0:0", ALU, 1, {1, 1}, false, 0},
    {EB_CORE_FIELD_SIGNED, BITS, "0:0", ALU, 0, {1, 1}, false, 0},
    {EB_CORE_FIELD_LSHIFT_U64, BITS, "0:1", ALU, 52, {48, 36}, false, 0},
    {EB_CORE_FIELD_LSHIFT_U64, TASK, "0:0", ALU, 32, {32, 32}, false, 0},
    {EB_CORE_FIELD_RSHIFT_U64, BITS, "0:1", ALU, 55, {52, 52}, false, 0},
    {EB_CORE_TYPE_ID_LOCAL, TASK, "0", LDDW, TASK, {TASK, TASK}, true, TASK},
    {EB_CORE_TYPE_ID_TARGET, TASK, "0", LDDW, TASK, {10, 10}, true, 8},
    {EB_CORE_TYPE_EXISTS, BITS, "0", ALU, 1, {1, 1}, true, 0},
    {EB_CORE_TYPE_EXISTS, TASK_T, "0", ALU, 1, {1, 1}, true, 0},
    {EB_CORE_TYPE_SIZE, TASK, "0", ALU, 48, {96, 96}, true, 8},
    {EB_CORE_TYPE_SIZE, BITS, "0", ALU, 8, {16, 16}, true, 0},
    {EB_CORE_TYPE_MATCHES, COLOUR, "0", ALU, 1, {1, 1}, true, 0},
    {EB_CORE_TYPE_MATCHES, TAIL, "0", ALU, 1, {0, 0}, true, 0},
    {EB_CORE_ENUMVAL_EXISTS, COLOUR, "1", ALU, 1, {1, 1}, true, 0},
    {EB_CORE_ENUMVAL_VALUE, COLOUR, "0", ALU, 1, {-7, -7}, false, 0},
    {EB_CORE_ENUMVAL_VALUE, COLOUR, "1", LDDW, 2, {40, 40}, false, 0},
    {EB_CORE_ENUMVAL_VALUE,
     WIDE,
     "0",
     LDDW,
     (int64_t)1 << 40,
     {(int64_t)3 << 50, (int64_t)3 << 50},
     false,
     0},
};

static int64_t value_in(const ebpf_insn *insn) {
    uint8_t class = insn->code & 7;
    return class >= 1 && class <= 3 ? insn->off : insn->imm;
}

static void expect_poison(const ebpf_object *obj, const eb_core_result *result) {
    const uint8_t *code = obj->sections.at[result->section].bytes.at + result->relo.offset;
    assert_int_equal(result->outcome, EB_CORE_POISONED);
    assert_true(result->reason.len > 0);
    for (uint32_t slot = 0; slot < result->slots; slot++, code += EBPF_SLOT) {
        static const uint8_t head[4] = {CALL, 0, 0, 0};
        assert_memory_equal(code, head, 4);
        assert_int_equal(eb_get32(code + 4, obj->big), 195896080);
    }
}

static void every_kind_found(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = program(ctx, big);
        eb_core_results results;
        for (uint32_t i = 0; i < COUNT(table); i++)
            add_record(obj, insn_of(table[i].code, table[i].before), table[i].kind, table[i].type,
                       table[i].access);
        assert_int_equal(relocate(obj, full_target(ctx, big), &results), 0);
        unit_expect_none(ctx);
        assert_int_equal(results.len, COUNT(table));
        for (uint32_t i = 0; i < COUNT(table); i++) {
            ebpf_insn insn = insn_at(obj, &results.at[i]);
            if (results.at[i].outcome != EB_CORE_RESOLVED ||
                value_in(&insn) != table[i].after[big] || insn.code != table[i].code)
                fail_msg("row %u: outcome %d, value %lld, code 0x%x: %.*s", i,
                         (int)results.at[i].outcome, (long long)value_in(&insn), insn.code,
                         (int)results.at[i].reason.len, results.at[i].reason.at);
        }
        unit_close(ctx);
    }
}

static void every_kind_not_found(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = program(ctx, big);
        eb_core_results results;
        for (uint32_t i = 0; i < COUNT(table); i++)
            add_record(obj, insn_of(table[i].code, table[i].before), table[i].kind, table[i].type,
                       table[i].access);
        assert_int_equal(relocate(obj, bare_target(ctx, big), &results), 0);
        unit_expect_none(ctx);
        for (uint32_t i = 0; i < COUNT(table); i++) {
            ebpf_insn insn = insn_at(obj, &results.at[i]);
            if (!table[i].resolved_bare)
                expect_poison(obj, &results.at[i]);
            else if (results.at[i].outcome != EB_CORE_RESOLVED || value_in(&insn) != table[i].bare)
                fail_msg("row %u: outcome %d, value %lld", i, (int)results.at[i].outcome,
                         (long long)value_in(&insn));
        }
        unit_close(ctx);
    }
}

/* ---- loads and stores of another size ---- */

static void other_sizes(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_core_results results;
    add_record(obj, insn_of(LDX_W, 4), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:1");
    add_record(obj, insn_of(ST_W, 4), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:1");
    add_record(obj, insn_of(ALU, 4), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:1");
    assert_int_equal(relocate(obj, full_target(ctx, false), &results), 0);
    assert_int_equal(insn_at(obj, &results.at[0]).code, LDX_DW);
    assert_int_equal(insn_at(obj, &results.at[0]).off, 64);
    assert_int_equal(insn_at(obj, &results.at[1]).code, 0x7a);
    assert_int_equal(insn_at(obj, &results.at[2]).code, ALU);
    unit_close(ctx);
}

/* A signed field that has grown: a load of the new size would not extend the sign. */
static void signed_field_grown(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_btf *target = eb_btf_new(&ctx->arena, false);
    eb_core_results results;
    eb_btf_add_int(target, EB_STR("long"), 8, EB_BTF_SIGNED);
    eb_btf_add_record(target, EB_BTF_STRUCT, EB_STR("task"), 16);
    eb_btf_add_member(target, EB_STR("pid"), 1, 64);
    add_record(obj, insn_of(LDX_W, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    add_record(obj, insn_of(LDXSX_W, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    assert_int_equal(relocate(obj, target, &results), 0);
    expect_poison(obj, &results.at[0]);
    expect_poison(obj, &results.at[1]);
    assert_non_null(strstr(results.at[0].reason.at, "8 bytes there, not 4"));
    assert_int_equal(insn_at(obj, &results.at[2]).imm, 8);
    unit_close(ctx);
}

/* Pointers of a 32-bit kernel: 64-bit loads become 32-bit ones. */
static void small_pointers(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_btf *target = eb_btf_new(&ctx->arena, false);
    eb_core_results results;
    add_basics(target, true);
    eb_btf_add_record(target, EB_BTF_STRUCT, EB_STR("task"), 8);
    eb_btf_add_member(target, EB_STR("next"), PTR, 32);
    add_record(obj, insn_of(LDX_DW, 8), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:2");
    add_record(obj, insn_of(ALU, 8), EB_CORE_FIELD_BYTE_SIZE, TASK, "0:2");
    assert_int_equal(relocate(obj, target, &results), 0);
    assert_int_equal(insn_at(obj, &results.at[0]).code, LDX_W);
    assert_int_equal(insn_at(obj, &results.at[0]).off, 4);
    assert_int_equal(insn_at(obj, &results.at[1]).imm, 4);
    unit_close(ctx);
}

/* An array that has grown is loaded element by element as before. */
static void longer_array(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_btf *target = eb_btf_new(&ctx->arena, false);
    eb_core_results results;
    add_basics(target, false);
    uint32_t array = eb_btf_add_array(target, U8, U32, 32);
    eb_btf_add_record(target, EB_BTF_STRUCT, EB_STR("task"), 40);
    eb_btf_add_member(target, EB_STR("comm"), array, 64);
    add_record(obj, insn_of(LDX_B, 16), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:3");
    assert_int_equal(relocate(obj, target, &results), 0);
    assert_int_equal(results.at[0].outcome, EB_CORE_RESOLVED);
    assert_int_equal(insn_at(obj, &results.at[0]).code, LDX_B);
    assert_int_equal(insn_at(obj, &results.at[0]).off, 8);
    unit_close(ctx);
}

/* ---- several candidates ---- */

/* struct task { ...; pid at `bits` } */
static void add_task(eb_btf *btf, const char *name, uint32_t bits, const char *other) {
    eb_btf_add_record(btf, EB_BTF_STRUCT, eb_str_from(name), 64);
    eb_btf_add_member(btf, EB_STR("pid"), INT, bits);
    if (other)
        eb_btf_add_member(btf, eb_str_from(other), U32, bits + 32);
}

static void candidates_agree(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_btf *target = eb_btf_new(&ctx->arena, false);
    eb_core_results results;
    add_basics(target, false);
    add_task(target, "task", 64, NULL);
    add_task(target, "task___2", 64, NULL);
    add_task(target, "taskk", 96, NULL);
    add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    assert_int_equal(relocate(obj, target, &results), 0);
    assert_int_equal(insn_at(obj, &results.at[0]).imm, 8);
    assert_int_equal(results.at[0].found, 7);
    unit_close(ctx);
}

static void candidates_disagree(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_btf *target = eb_btf_new(&ctx->arena, false);
    eb_core_results results;
    add_basics(target, false);
    add_task(target, "task", 64, NULL);
    add_task(target, "task___2", 128, NULL);
    add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    assert_int_equal(relocate(obj, target, &results), EBPF_E_INPUT);
    assert_int_equal(results.at[0].outcome, EB_CORE_FAILED);
    assert_int_equal(insn_at(obj, &results.at[0]).imm, 0); /* as it was */
    unit_expect_error(ctx, "struct task [7] of vmlinux and struct task___2 [8] of vmlinux both "
                           "have it, at bits 64 and 128");
    unit_close(ctx);
}

/* What one relocation rules out is not asked by the next: flags is in one type only, and then pid
 * of the other does not count any more. */
static void candidates_pruned(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_btf *target = eb_btf_new(&ctx->arena, false);
    eb_core_results results;
    add_basics(target, false);
    add_task(target, "task", 128, "flags");
    add_task(target, "task___2", 64, NULL);
    add_record(obj, insn_of(ALU, 4), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:1");
    add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    assert_int_equal(relocate(obj, target, &results), 0);
    assert_int_equal(insn_at(obj, &results.at[1]).imm, 16);
    unit_close(ctx);
}

/* Modules are asked for what the kernel has not at all, by their own types only. */
static void modules(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_btf *kernel = eb_btf_new(&ctx->arena, false), *first, *second;
    eb_core_results results = {0};
    add_basics(kernel, false);
    eb_btf_add_record(kernel, EB_BTF_STRUCT, EB_STR("bits"), 4);
    first = eb_btf_new_split(&ctx->arena, kernel);
    eb_btf_add_record(first, EB_BTF_STRUCT, EB_STR("bits"), 44); /* the kernel has it already */
    second = eb_btf_new_split(&ctx->arena, kernel);
    add_task(second, "task", 160, NULL);
    add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    add_record(obj, insn_of(ALU, 8), EB_CORE_TYPE_SIZE, BITS, "0");
    add_record(obj, insn_of(ALU, 1), EB_CORE_TYPE_EXISTS, TAIL, "0");
    finish(obj);
    eb_core_target targets[] = {
        {kernel, EB_STR("vmlinux")}, {first, EB_STR("first")}, {second, EB_STR("second")}};
    assert_int_equal(eb_core_relocate(obj, targets, 3, &results), 0);
    assert_int_equal(insn_at(obj, &results.at[0]).imm, 20);
    assert_int_equal(results.at[0].target, 2);
    assert_int_equal(insn_at(obj, &results.at[1]).imm, 4);
    assert_int_equal(insn_at(obj, &results.at[2]).imm, 0);
    expect_str(results.at[2].reason, EB_STR("there is no struct tail in vmlinux, first, second"));
    unit_close(ctx);
}

/* Of all modules that have it; they must agree. */
static void modules_disagree(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_btf *kernel = eb_btf_new(&ctx->arena, false), *first, *second;
    eb_core_results results = {0};
    add_basics(kernel, false);
    first = eb_btf_new_split(&ctx->arena, kernel);
    add_task(first, "task", 64, NULL);
    second = eb_btf_new_split(&ctx->arena, kernel);
    add_task(second, "task", 160, "flags");
    add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    add_record(obj, insn_of(ALU, 4), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:1");
    finish(obj);
    eb_core_target targets[] = {
        {kernel, EB_STR("vmlinux")}, {first, EB_STR("first")}, {second, EB_STR("second")}};
    assert_int_equal(eb_core_relocate(obj, targets, 3, &results), EBPF_E_INPUT);
    unit_expect_error(ctx, "struct task [7] of first and struct task [7] of second both have it");
    assert_int_equal(insn_at(obj, &results.at[1]).imm, 24);
    assert_int_equal(results.at[1].target, 2);
    unit_close(ctx);
}

/* ---- what is refused ---- */

static void refused(void **state) {
    (void)state;
    static const struct {
        uint32_t kind, type;
        const char *access;
        uint8_t code;
        int64_t before;
        const char *error;
    } cases[] = {
        {13, TASK, "0", ALU, 1, "CO-RE relocation unknown of struct task___mine (0): its kind 13"},
        {0, TASK, "0:9", ALU, 0, "step 1 of its path is member 9 of 5"},
        {0, TASK, "0:-1", ALU, 0, "member -1 of 5"},
        {0, TASK, "0:3:16", ALU, 0, "element 16 of 16"},
        {0, TASK, "0:0:0", ALU, 0, "step 2 of its path goes into what has no members"},
        {0, TASK, "0:", ALU, 0, "its path '0:' is not like 0:1:2"},
        {0, TASK, "", ALU, 0, "its path '' is not"},
        {0, TASK, "0:99999999999", ALU, 0, "is not like 0:1:2"},
        {0, PROTO, "0", ALU, 0, "its type has no size"},
        {0, BYTES, "0", ALU, 0, "its type has no name to look for"},
        {8, TASK, "0:1", ALU, 1, "the path of a type is 0"},
        {11, TASK, "0", ALU, 1, "an enumerator of what is no enum"},
        {11, COLOUR, "2", ALU, 1, "enumerator 2 of 2"},
        {11, COLOUR, "0:0", ALU, 1, "the path of an enumerator is one number"},
        {3, TASK, "0:3:1", ALU, 1, "it asks for signed of an element of an array"},
        {0, TASK, "0:1", ALU, 5, "has the value 5 where the program's own BTF says 4"},
        {0, TASK, "0:1", LDX_W, 8, "has the value 8 where the program's own BTF says 4"},
        {11, WIDE, "0", LDDW, 7, "has the value 7 where the program's own BTF says 1099511627776"},
        {0, TASK, "0:1", LDX_B, 4, "takes 1 bytes of a field of 4 bytes"},
        {0, TASK, "0:1", ADD_X, 4, "(code 0x0f) has no value that can be relocated"},
        {0, TASK, "0:1", CALL, 4, "(code 0x85) has no value"},
        {0, TASK, "1000:1", LDX_W, 48004 - 65536, "the program's own BTF says 48004"},
    };
    for (uint32_t i = 0; i < COUNT(cases); i++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = program(ctx, false);
        eb_core_results results;
        add_record(obj, insn_of(cases[i].code, cases[i].before), cases[i].kind, cases[i].type,
                   cases[i].access);
        eb_buf before = buffer(ctx);
        eb_buf_put(&before, obj->sections.at[1].bytes.at, obj->sections.at[1].bytes.len);
        assert_int_equal(relocate(obj, full_target(ctx, false), &results), EBPF_E_INPUT);
        unit_expect_error(ctx, cases[i].error);
        assert_int_equal(results.at[0].outcome, EB_CORE_FAILED);
        assert_memory_equal(obj->sections.at[1].bytes.at, before.at, before.len);
        assert_int_equal(obj->sections.at[1].core.len, 1); /* it may be tried again */
        unit_close(ctx);
    }
}

static void far_offset(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_btf *target = eb_btf_new(&ctx->arena, false);
    eb_core_results results;
    add_basics(target, false);
    add_task(target, "task", 32768 * 8, NULL);
    add_record(obj, insn_of(LDX_W, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    assert_int_equal(relocate(obj, target, &results), EBPF_E_INPUT);
    unit_expect_error(ctx, "offset 32768 does not fit into its 16 bits");
    unit_close(ctx);
}

/* The whole message: instruction, what was asked, where it comes from. */
static void message(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_core_results results;
    add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    add_record(obj, insn_of(ALU, 5), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:4:1");
    *EB_PUSH(&ctx->arena, &obj->sections.at[1].lines) =
        (eb_line){8, EB_STR("prog.c"), EB_STR("return task->b;"), 17, 9};
    assert_int_equal(relocate(obj, full_target(ctx, false), &results), EBPF_E_INPUT);
    assert_string_equal(
        unit_diagnostics(ctx),
        "prog.o: instruction 1: error: CO-RE relocation byte_off of struct task___mine.b (0:4:1): "
        "the instruction has the value 5 where the program's own BTF says 32\n"
        "note: it is in section 'xdp', from prog.c:17:9: return task->b;\n");
    unit_close(ctx);
}

/* ---- afterwards ---- */

/* Answered records are gone, so that nobody answers them again; lines stay. */
static void records_afterwards(void **state) {
    (void)state;
    for (int big = 0; big < 2; big++) {
        ebpf_ctx *ctx = unit_open();
        ebpf_object *obj = program(ctx, big), *back;
        eb_core_results results;
        eb_buf bytes = buffer(ctx), elf = buffer(ctx);
        add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
        *EB_PUSH(&ctx->arena, &obj->sections.at[1].lines) =
            (eb_line){0, EB_STR("prog.c"), EB_STR("return task->pid;"), 17, 9};
        assert_int_equal(relocate(obj, full_target(ctx, big), &results), 0);
        eb_btf_write(obj->btf, &bytes);
        uint32_t section = eb_object_add_section(obj, EB_STR(".BTF"), EB_SHT_PROGBITS, 0);
        obj->sections.at[section].bytes = bytes;
        obj->sections.at[section].size = bytes.len;
        eb_elf_write(obj, &elf);
        assert_int_equal(eb_elf_read(ctx, EB_STR("back.o"), elf.at, elf.len, &back), 0);
        unit_expect_none(ctx);
        assert_int_equal(back->sections.at[1].core.len, 0);
        assert_int_equal(back->sections.at[1].lines.len, 1);
        assert_int_equal(insn_at(back, &results.at[0]).imm, 24);
        unit_close(ctx);
    }
}

static void reports(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_core_target targets[] = {{full_target(ctx, false), EB_STR("vmlinux")}};
    eb_core_results results;
    eb_buf text = buffer(ctx), json = buffer(ctx);
    add_record(obj, insn_of(LDX_W, 4), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:1");
    add_record(obj, insn_of(ALU, 1), EB_CORE_ENUMVAL_VALUE, COLOUR, "0");
    add_record(obj, insn_of(ALU, 1), EB_CORE_FIELD_EXISTS, TASK, "0:3:15");
    add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, INT, "0:7");
    *EB_PUSH(&ctx->arena, &obj->sections.at[1].lines) =
        (eb_line){0, EB_STR("prog.c"), EB_STR("\t return task->pid;"), 17, 9};
    assert_int_equal(relocate(obj, targets[0].btf, &results), EBPF_E_INPUT);
    eb_core_report_text(obj, &results, targets, &text);
    expect_str(
        (eb_str){(char *)text.at, text.len},
        EB_STR("xdp:\n"
               "  0: byte_off struct task___mine.flags (0:1): 4 -> 64, vmlinux [10] struct "
               "task.flags (0:2)\n"
               "      prog.c:17:9: return task->pid;\n"
               "  1: enumval_value enum colour::RED (0): 1 -> -7, vmlinux [7] enum colour::RED "
               "(1)\n"
               "      prog.c:17:9: return task->pid;\n"
               "  2: field_exists struct task___mine.comm[15] (0:3:15): 1 -> 1, vmlinux [10] "
               "struct task.comm[15] (0:1:15)\n"
               "      prog.c:17:9: return task->pid;\n"
               "  3: byte_off int (0:7): failed: step 1 of its path goes into what has no members\n"
               "      prog.c:17:9: return task->pid;\n"
               "4 relocations: 3 resolved, 0 poisoned, 1 failed\n"));
    eb_core_report_json(obj, &results, targets, &json);
    eb_buf_byte(&json, 0);
    static const char *const parts[] = {
        "{\"relocations\":[{\"section\":\"xdp\",\"insn\":0,\"file\":\"prog.c\",\"line\":17,"
        "\"column\":9,\"source\":\"return task->pid;\",\"kind\":\"byte_off\",\"typeId\":10,"
        "\"access\":\"0:1\",\"path\":\"struct task___mine.flags (0:1)\",\"outcome\":\"resolved\","
        "\"from\":4,\"to\":64,\"target\":{\"name\":\"vmlinux\",\"typeId\":10,\"path\":\"struct "
        "task.flags (0:2)\"},\"reason\":null,\"bytes\":\"7921400000000000\"}",
        "\"from\":1,\"to\":-7,",
        "\"outcome\":\"failed\",\"from\":null,\"to\":null,\"target\":null,\"reason\":\"step 1",
        "],\"resolved\":3,\"poisoned\":0,\"failed\":1}"};
    for (uint32_t i = 0; i < COUNT(parts); i++)
        if (!strstr((char *)json.at, parts[i]))
            fail_msg("no %s in %s", parts[i], (char *)json.at);
    unit_close(ctx);
}

/* ---- hostile types ---- */

/* A nameless struct of many nameless structs of the next level, and so on: every path has to be
 * looked at, which is more than there is time for. */
static void too_much_effort(void **state) {
    (void)state;
    enum { LEVELS = 12, WIDTH = 40 };
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_btf *target = eb_btf_new(&ctx->arena, false);
    eb_core_results results;
    add_basics(target, false);
    for (uint32_t level = 0; level <= LEVELS; level++) {
        eb_btf_add_record(target, EB_BTF_STRUCT, level ? (eb_str){0} : EB_STR("task"), 64);
        for (uint32_t i = 0; i < WIDTH; i++)
            eb_btf_add_member(target, (eb_str){0}, level < LEVELS ? target->count : INT, 0);
    }
    add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    assert_int_equal(relocate(obj, target, &results), EBPF_E_INPUT);
    assert_int_equal(ctx->errors, 2);
    assert_non_null(strstr(unit_diagnostics(ctx), "comparing its types takes too long"));
    unit_close(ctx);
}

/* A struct that contains itself without a name; prototypes of prototypes of prototypes. */
static void circles(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_btf *target = eb_btf_new(&ctx->arena, false);
    eb_core_results results;
    eb_btf_add_record(target, EB_BTF_STRUCT, EB_STR("task"), 64);
    eb_btf_add_member(target, (eb_str){0}, 1, 0);
    uint32_t callback = obj->btf->count, there;
    eb_btf_add_ref(obj->btf, EB_BTF_TYPEDEF, EB_STR("call"), callback + 1);
    eb_btf_add_proto(obj->btf, callback + 2);
    eb_btf_add_param(obj->btf, EB_STR("f"), callback + 2);
    eb_btf_add_param(obj->btf, EB_STR("g"), callback + 2);
    eb_btf_add_ref(obj->btf, EB_BTF_PTR, (eb_str){0}, callback + 1);
    there = target->count;
    eb_btf_add_ref(target, EB_BTF_TYPEDEF, EB_STR("call"), there + 1);
    eb_btf_add_proto(target, there + 2);
    eb_btf_add_param(target, EB_STR("f"), there + 2);
    eb_btf_add_param(target, EB_STR("g"), there + 2);
    eb_btf_add_ref(target, EB_BTF_PTR, (eb_str){0}, there + 1);
    add_record(obj, insn_of(ALU, 0), EB_CORE_FIELD_BYTE_OFFSET, TASK, "0:0");
    add_record(obj, insn_of(ALU, 1), EB_CORE_TYPE_EXISTS, callback, "0");
    add_record(obj, insn_of(ALU, 1), EB_CORE_TYPE_MATCHES, callback, "0");
    assert_int_equal(relocate(obj, target, &results), EBPF_E_INPUT);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(results.at[i].outcome, EB_CORE_FAILED);
        assert_non_null(strstr(results.at[i].reason.at, "nested too deeply"));
    }
    unit_close(ctx);
}

/* An object without BTF or without records has nothing to relocate. */
static void nothing_to_do(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_core_results results = {0};
    eb_core_target target = {full_target(ctx, false), EB_STR("vmlinux")};
    assert_int_equal(eb_core_relocate(obj, &target, 1, &results), 0);
    obj->btf = NULL;
    assert_int_equal(eb_core_relocate(obj, &target, 1, &results), 0);
    assert_int_equal(results.len, 0);
    unit_close(ctx);
}

/* A section that has a size and no bytes, as .bss, has no instruction to change. */
static void no_bytes(void **state) {
    (void)state;
    ebpf_ctx *ctx = unit_open();
    ebpf_object *obj = program(ctx, false);
    eb_core_results results;
    obj->sections.at[1].size = EBPF_SLOT;
    *EB_PUSH(&ctx->arena, &obj->sections.at[1].core) =
        (eb_core_relo){0, TASK, EB_CORE_FIELD_EXISTS, EB_STR("0:1")};
    assert_int_equal(relocate(obj, full_target(ctx, false), &results), EBPF_E_INPUT);
    assert_int_equal(results.len, 1);
    assert_int_equal(results.at[0].outcome, EB_CORE_FAILED);
    assert_int_equal(results.at[0].slots, 0);
    unit_close(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_found),   cmocka_unit_test(every_kind_not_found),
        cmocka_unit_test(other_sizes),        cmocka_unit_test(signed_field_grown),
        cmocka_unit_test(small_pointers),     cmocka_unit_test(longer_array),
        cmocka_unit_test(candidates_agree),   cmocka_unit_test(candidates_disagree),
        cmocka_unit_test(candidates_pruned),  cmocka_unit_test(modules),
        cmocka_unit_test(modules_disagree),   cmocka_unit_test(refused),
        cmocka_unit_test(far_offset),         cmocka_unit_test(message),
        cmocka_unit_test(records_afterwards), cmocka_unit_test(reports),
        cmocka_unit_test(too_much_effort),    cmocka_unit_test(circles),
        cmocka_unit_test(nothing_to_do),      cmocka_unit_test(no_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
