/* vm_pairs_test.c - every pair of fused.def in the fast loop against the exact one, which knows no
 * pairs: the same registers and counts when run through, when entered in the middle, and when the
 * first operation faults. */
#include "unit.h"

#include "ebpf_vm.h"
#include "vm.h"

static const struct {
    eb_op op[2];
} pairs[] = {
#define FUSED(form, id, then, then_id) {{EB_OP_##form##_##id, EB_OP_##then##_##then_id}},
#include "fused.def"
#undef FUSED
};
enum { PAIRS = sizeof pairs / sizeof *pairs, MEM = 64, MOST = 16 };

static bool is_load(eb_op op) {
    return eb_insn_rows[op].form == EB_FORM_LDX64 || eb_insn_rows[op].form == EB_FORM_LDX32;
}

/* Loads go through r1, everything else works on r3 and r4; jumps skip one instruction. */
static ebpf_insn example(eb_op op, bool wrong) {
    const eb_insn_row *row = &eb_insn_rows[op];
    ebpf_insn insn = {.code = row->code, .dst = 3, .src = row->src, .imm = row->imm};
    uint32_t form = row->form;
    if (is_load(op))
        insn.src = 1, insn.off = wrong ? MEM : 8;
    else if (form == EB_FORM_ALU64_X)
        insn.src = 4;
    else if (form == EB_FORM_LDDW)
        insn.imm = INT64_C(0x123456789abcdef0), insn.slots = 2;
    else if (form == EB_FORM_CALL)
        insn.dst = 0, insn.imm = EB_HELPER_get_prandom_u32;
    else
        insn.imm = 5;
    if (eb_op_target(op) == EB_TARGET_OFF)
        insn.off = 1;
    return insn;
}

static size_t build(uint8_t *bytes, const eb_op *pair, bool middle, bool wrong) {
    const ebpf_insn program[] = {
        {.code = 0x18, .dst = 4, .imm = (int64_t)UINT64_C(0xfedcba9876543210), .slots = 2},
        {.code = 0xb7, .dst = 3, .imm = -7},
        {.code = 0x05, .off = middle},
        example(pair[0], wrong),
        example(pair[1], false),
        {.code = 0x07, .dst = 4, .imm = 1},
        {.code = 0x95},
    };
    size_t size = 0;
    for (unsigned i = 0; i < sizeof program / sizeof *program; i++)
        size += EBPF_SLOT * ebpf_insn_encode(&program[i], EBPF_LITTLE, bytes + size);
    return size;
}

static ebpf_vm *start(ebpf_ctx *ctx, const uint8_t *bytes, size_t size, uint8_t *mem) {
    ebpf_object *obj;
    ebpf_vm *vm;
    for (unsigned i = 0; i < MEM; i++)
        mem[i] = (uint8_t)(i * 37 + 200);
    assert_int_equal(ebpf_object_from_raw(ctx, "pair", 4, bytes, size, EBPF_LITTLE, &obj), 0);
    assert_int_equal(ebpf_vm_new(ctx, obj, 0, &vm), 0);
    assert_int_equal(ebpf_vm_start(vm, 0, mem, MEM, 0), 0);
    ebpf_vm_state_of(vm)->budget = 1000;
    return vm;
}

static void compare(const eb_op *pair, bool middle, bool wrong) {
    ebpf_ctx *ctx = unit_open();
    uint8_t bytes[MOST * EBPF_SLOT], mem[2][MEM];
    size_t size = build(bytes, pair, middle, wrong);
    ebpf_vm *fast = start(ctx, bytes, size, mem[0]), *exact = start(ctx, bytes, size, mem[1]);
    int stop = ebpf_vm_run(fast), stepped = EBPF_STOP_BUDGET;
    while (stepped == EBPF_STOP_BUDGET)
        stepped = ebpf_vm_step(exact);
    const ebpf_vm_state *a = ebpf_vm_state_of(fast), *b = ebpf_vm_state_of(exact);
    assert_int_equal(stop, stepped);
    assert_int_equal(stop, wrong ? EBPF_STOP_FAULT : EBPF_STOP_EXIT);
    assert_int_equal(a->executed, b->executed);
    assert_int_equal(a->budget, 1000 - a->executed);
    assert_int_equal(a->slot, b->slot);
    assert_memory_equal(a->reg, b->reg, sizeof a->reg);
    unit_close(ctx);
}

static void test_all_pairs(void **state) {
    (void)state;
    for (unsigned p = 0; p < PAIRS; p++) {
        compare(pairs[p].op, false, false);
        compare(pairs[p].op, true, false);
        if (is_load(pairs[p].op[0]))
            compare(pairs[p].op, false, true);
    }
}

/* The table must be what the loader does: a row that never comes to use would be dead weight. */
static void test_pairs_are_used(void **state) {
    (void)state;
    for (unsigned p = 0; p < PAIRS; p++) {
        ebpf_ctx *ctx = unit_open();
        uint8_t bytes[MOST * EBPF_SLOT], mem[MEM];
        ebpf_vm *vm = start(ctx, bytes, build(bytes, pairs[p].op, false, false), mem);
        assert_int_equal(vm->ops[3].op, pairs[p].op[0]);
        assert_int_equal(vm->ops[3].fast, EB_VM_BAD + 1 + p);
        assert_int_equal(vm->ops[4].fast, vm->ops[4].op);
        unit_close(ctx);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_pairs),
                                       cmocka_unit_test(test_pairs_are_used)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
