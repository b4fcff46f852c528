/* vm_ops_test.c - every operation of insn.def, run by both loops of the VM on edge values and
 * compared with what it should do: computed here a second time, from RFC 9669's words, with 128-bit
 * numbers, single bits and single bytes instead of the expressions of insn.def. The last test
 * proves that no operation was left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ebpf_vm.h"
#include "insn.h"

typedef __int128 wide;

static const uint64_t edges[] = {0,
                                 1,
                                 2,
                                 7,
                                 31,
                                 32,
                                 33,
                                 63,
                                 64,
                                 0x7f,
                                 0x80,
                                 0xff,
                                 0x7fff,
                                 0x8000,
                                 0x12345678,
                                 0x7fffffff,
                                 0x80000000,
                                 0x80000001,
                                 0xfffffffe,
                                 0xffffffff,
                                 0x100000000,
                                 0x0123456789abcdef,
                                 0xfedcba9876543210,
                                 0x7fffffffffffffff,
                                 0x8000000000000000,
                                 0x8000000000000001,
                                 0xfffffffffffffff9,
                                 0xfffffffffffffffe,
                                 0xffffffffffffffff};
enum { EDGES = sizeof edges / sizeof *edges, DST = 3, SRC = 4, MEM = 32, AT = 16, OFF = 8 };

static bool seen[EB_OP_COUNT];

/* ---- the second computation ---- */

static wide as_unsigned(uint64_t value, unsigned bits) {
    return bits == 64 ? (wide)value : (wide)(value & (((uint64_t)1 << bits) - 1));
}

static wide as_signed(uint64_t value, unsigned bits) {
    wide number = as_unsigned(value, bits);
    return number >= (wide)1 << (bits - 1) ? number - ((wide)1 << bits) : number;
}

/* The number modulo 2^bits, as a register holds it. */
static uint64_t wrap(wide value, unsigned bits) {
    wide modulus = (wide)1 << bits, rest = value % modulus;
    return (uint64_t)(rest < 0 ? rest + modulus : rest);
}

static uint64_t bitwise(char kind, uint64_t a, uint64_t b, unsigned bits) {
    uint64_t result = 0;
    for (unsigned i = 0; i < bits; i++) {
        unsigned x = (unsigned)(a >> i) % 2, y = (unsigned)(b >> i) % 2;
        unsigned bit = kind == '|' ? x + y > 0 : kind == '&' ? x + y == 2 : x != y;
        result += (uint64_t)bit << i;
    }
    return result;
}

static wide power_of_two(unsigned n) {
    wide result = 1;
    while (n--)
        result *= 2;
    return result;
}

static wide floor_divide(wide a, wide b) {
    wide quotient = a / b;
    return quotient * b > a ? quotient - 1 : quotient;
}

/* RFC 9669, section 4.1, table 4. */
static uint64_t arithmetic(uint8_t code, int16_t off, uint64_t a, uint64_t b, unsigned bits) {
    wide ua = as_unsigned(a, bits), ub = as_unsigned(b, bits);
    wide sa = as_signed(a, bits), sb = as_signed(b, bits);
    unsigned shift = (unsigned)(ub % bits);
    switch (code & 0xf0) {
    case 0x00:
        return wrap(ua + ub, bits);
    case 0x10:
        return wrap(ua - ub, bits);
    case 0x20: /* schoolbook, so that nothing passes 128 bits */
        return wrap(wrap(ua * (ub % ((wide)1 << 32)), bits) +
                        (wide)wrap(ua * (ub >> 32), 32) * ((wide)1 << 32),
                    bits);
    case 0x30:
        return ub == 0 ? 0 : off ? wrap(sa / sb, bits) : wrap(ua / ub, bits);
    case 0x40:
        return bitwise('|', a, b, bits);
    case 0x50:
        return bitwise('&', a, b, bits);
    case 0x60:
        return wrap((ua % power_of_two((unsigned)bits - shift)) * power_of_two(shift), bits);
    case 0x70:
        return wrap(ua / power_of_two(shift), bits);
    case 0x90:
        return ub == 0 ? wrap(ua, bits) : off ? wrap(sa % sb, bits) : wrap(ua % ub, bits);
    case 0xa0:
        return bitwise('^', a, b, bits);
    case 0xb0:
        return wrap(off ? as_signed(b, (unsigned)off) : ub, bits);
    case 0xc0:
        return wrap(floor_divide(sa, power_of_two(shift)), bits);
    default:
        fail_msg("no arithmetic has code 0x%02x", code);
        return 0;
    }
}

/* Section 4.3, table 6. */
static bool taken(uint8_t code, uint64_t a, uint64_t b, unsigned bits) {
    wide ua = as_unsigned(a, bits), ub = as_unsigned(b, bits);
    wide sa = as_signed(a, bits), sb = as_signed(b, bits);
    switch (code & 0xf0) {
    case 0x10:
        return ua == ub;
    case 0x20:
        return ua > ub;
    case 0x30:
        return ua >= ub;
    case 0x40:
        return bitwise('&', a, b, bits) != 0;
    case 0x50:
        return ua != ub;
    case 0x60:
        return sa > sb;
    case 0x70:
        return sa >= sb;
    case 0xa0:
        return ua < ub;
    case 0xb0:
        return ua <= ub;
    case 0xc0:
        return sa < sb;
    case 0xd0:
        return sa <= sb;
    default:
        fail_msg("no condition has code 0x%02x", code);
        return false;
    }
}

/* `size` bytes as a number. */
static uint64_t number(const uint8_t *bytes, unsigned size, bool big) {
    uint64_t result = 0;
    for (unsigned i = 0; i < size; i++)
        result = result * 256 + bytes[big ? i : size - 1 - i];
    return result;
}

static void put_number(uint8_t *bytes, unsigned size, bool big, uint64_t value) {
    for (unsigned i = 0; i < size; i++, value /= 256)
        bytes[big ? size - 1 - i : i] = (uint8_t)(value % 256);
}

static uint64_t reversed(uint64_t value, unsigned bits) {
    uint8_t bytes[8];
    put_number(bytes, bits / 8, false, value);
    return number(bytes, bits / 8, true);
}

/* ---- running one instruction ---- */

typedef struct machine {
    ebpf_ctx *ctx;
    ebpf_vm *vm;
    ebpf_vm_state *state;
    uint8_t mem[MEM];
} machine;

/* insn; r0 = 7; exit: a jump of one skips the assignment. */
static machine *machine_for(eb_op op, ebpf_insn insn, bool big) {
    machine *m = calloc(1, sizeof *m);
    assert_non_null(m);
    uint8_t bytes[32];
    int endian = big ? EBPF_BIG : EBPF_LITTLE;
    const ebpf_insn set = {.code = 0xb7, .imm = 7, .slots = 1}, out = {.code = 0x95, .slots = 1};
    size_t size = 0;
    size += EBPF_SLOT * ebpf_insn_encode(&insn, endian, bytes + size);
    size += EBPF_SLOT * ebpf_insn_encode(&set, endian, bytes + size);
    size += EBPF_SLOT * ebpf_insn_encode(&out, endian, bytes + size);
    m->ctx = ebpf_ctx_new(0);
    ebpf_object *obj;
    assert_int_equal(eb_insn_op(m->ctx, &insn), op);
    assert_int_equal(ebpf_object_from_raw(m->ctx, "raw", 3, bytes, size, endian, &obj), EBPF_OK);
    assert_int_equal(ebpf_vm_new(m->ctx, obj, 0, &m->vm), EBPF_OK);
    m->state = ebpf_vm_state_of(m->vm);
    seen[op] = true;
    return m;
}

static void machine_free(machine *m) {
    ebpf_ctx_free(m->ctx);
    free(m);
}

/* Run once with these registers, by the fast loop or in single steps; r0 is 0 where the
 * instruction does not set it and jumped over the assignment. */
static void run(machine *m, uint64_t r0, uint64_t dst, uint64_t src, bool steps) {
    assert_int_equal(ebpf_vm_start(m->vm, 0, m->mem, MEM, 0), EBPF_OK);
    m->state->reg[0] = r0;
    m->state->reg[DST] = dst;
    m->state->reg[SRC] = src;
    m->state->budget = 1000;
    int stop = EBPF_STOP_BUDGET;
    if (!steps)
        stop = ebpf_vm_run(m->vm);
    while (stop == EBPF_STOP_BUDGET && m->state->executed < 1000)
        stop = ebpf_vm_step(m->vm);
    if (stop != EBPF_STOP_EXIT) {
        ebpf_bytes text;
        ebpf_vm_fault_text(m->vm, &text);
        fail_msg("stop %d: %.*s", stop, (int)text.size, (const char *)text.data);
    }
}

static void expect(eb_op op, const char *what, uint64_t got, uint64_t want, uint64_t a,
                   uint64_t b) {
    if (got != want)
        fail_msg("%s of operation %d (code 0x%02x, %s): a = 0x%llx, b = 0x%llx: got 0x%llx, want "
                 "0x%llx",
                 what, op, eb_insn_rows[op].code, eb_insn_rows[op].spelling[0],
                 (unsigned long long)a, (unsigned long long)b, (unsigned long long)got,
                 (unsigned long long)want);
}

static ebpf_insn blank(eb_op op) {
    const eb_insn_row *row = &eb_insn_rows[op];
    return (ebpf_insn){.code = row->code,
                       .src = row->src,
                       .off = row->off,
                       .imm = row->imm,
                       .slots = eb_insn_is_lddw(row->code) ? 2 : 1};
}

static bool form_is(eb_op op, eb_form form) {
    return eb_insn_rows[op].form == form;
}

/* ---- arithmetic and jumps ---- */

static unsigned width(eb_op op) {
    unsigned class = eb_insn_rows[op].code & 7;
    return class == 7 || class == 5 ? 64 : 32;
}

static void check_alu(machine *m, eb_op op, uint64_t a, uint64_t b) {
    const eb_insn_row *row = &eb_insn_rows[op];
    uint64_t want = arithmetic(row->code, row->off, a, b, width(op));
    for (int steps = 0; steps < 2; steps++) {
        run(m, 0, a, b, steps);
        expect(op, "result", m->state->reg[DST], want, a, b);
        expect(op, "source", m->state->reg[SRC], b, a, b);
    }
}

static void check_jump(machine *m, eb_op op, uint64_t a, uint64_t b) {
    uint64_t want = taken(eb_insn_rows[op].code, a, b, width(op)) ? 0 : 7;
    for (int steps = 0; steps < 2; steps++) {
        run(m, 0, a, b, steps);
        expect(op, "r0 behind the jump", m->state->reg[0], want, a, b);
        expect(op, "instructions", m->state->executed, want ? 3 : 2, a, b);
    }
}

typedef void checker(machine *m, eb_op op, uint64_t a, uint64_t b);

static void for_registers(eb_op op, int16_t off, checker *check) {
    ebpf_insn insn = blank(op);
    insn.dst = DST;
    insn.src = SRC;
    insn.off = (int16_t)(insn.off + off);
    machine *m = machine_for(op, insn, false);
    for (unsigned i = 0; i < EDGES * EDGES; i++)
        check(m, op, edges[i / EDGES], edges[i % EDGES]);
    machine_free(m);
}

static void for_immediates(eb_op op, int16_t off, checker *check) {
    for (unsigned j = 0; j < EDGES; j++) {
        ebpf_insn insn = blank(op);
        insn.dst = DST;
        insn.off = (int16_t)(insn.off + off);
        insn.imm = (int32_t)(uint32_t)edges[j];
        machine *m = machine_for(op, insn, false);
        for (unsigned i = 0; i < EDGES; i++) {
            /* The source register must not matter: check sees the immediate in it. */
            uint64_t b = (uint64_t)insn.imm;
            check(m, op, edges[i], b);
        }
        machine_free(m);
    }
}

static void test_arithmetic(void **state) {
    (void)state;
    for (eb_op op = 0; op < EB_OP_COUNT; op++) {
        if (form_is(op, EB_FORM_ALU64_X) || form_is(op, EB_FORM_ALU32_X) ||
            form_is(op, EB_FORM_MOVSX64) || form_is(op, EB_FORM_MOVSX32))
            for_registers(op, 0, check_alu);
        if (form_is(op, EB_FORM_ALU64_K) || form_is(op, EB_FORM_ALU32_K))
            for_immediates(op, 0, check_alu);
    }
}

static void test_conditions(void **state) {
    (void)state;
    for (eb_op op = 0; op < EB_OP_COUNT; op++) {
        if (form_is(op, EB_FORM_JMP64_X) || form_is(op, EB_FORM_JMP32_X))
            for_registers(op, 1, check_jump);
        if (form_is(op, EB_FORM_JMP64_K) || form_is(op, EB_FORM_JMP32_K))
            for_immediates(op, 1, check_jump);
    }
}

static void test_negation(void **state) {
    (void)state;
    for (unsigned bits = 32; bits <= 64; bits += 32) {
        eb_op op = bits == 64 ? EB_OP_NEG64_ONLY : EB_OP_NEG32_ONLY;
        ebpf_insn insn = blank(op);
        insn.dst = DST;
        machine *m = machine_for(op, insn, false);
        for (unsigned i = 0; i < EDGES * 2; i++) {
            run(m, 0, edges[i / 2], 0, i % 2);
            expect(op, "result", m->state->reg[DST], wrap(-as_unsigned(edges[i / 2], bits), bits),
                   edges[i / 2], 0);
        }
        machine_free(m);
    }
}

/* What le16 ... be64 and bswap16 ... do on a target of that byte order. */
static void check_order(eb_op op, bool big) {
    const eb_insn_row *row = &eb_insn_rows[op];
    unsigned bits = (unsigned)row->imm;
    bool swaps = row->code == 0xd7 || (row->code == 0xdc) != big;
    ebpf_insn insn = blank(op);
    insn.dst = DST;
    machine *m = machine_for(op, insn, big);
    for (unsigned i = 0; i < EDGES * 2; i++) {
        uint64_t a = edges[i / 2], low = wrap(as_unsigned(a, bits), bits);
        run(m, 0, a, 0, i % 2);
        expect(op, "result", m->state->reg[DST], swaps ? reversed(low, bits) : low, a, big);
    }
    machine_free(m);
}

static void test_byte_order(void **state) {
    (void)state;
    for (eb_op op = 0; op < EB_OP_COUNT; op++)
        if (form_is(op, EB_FORM_END) || form_is(op, EB_FORM_BSWAP)) {
            check_order(op, false);
            check_order(op, true);
        }
}

static void test_jumps(void **state) {
    (void)state;
    static const eb_op ops[] = {EB_OP_JA_ONLY, EB_OP_JA32_ONLY, EB_OP_MAY_GOTO_ONLY};
    for (unsigned i = 0; i < 6; i++) {
        ebpf_insn insn = blank(ops[i % 3]);
        if (ops[i % 3] == EB_OP_JA32_ONLY)
            insn.imm = 1;
        else
            insn.off = 1;
        machine *m = machine_for(ops[i % 3], insn, i >= 3);
        for (int steps = 0; steps < 2; steps++) {
            run(m, 5, 0, 0, steps); /* may_goto does not jump before 8 million rounds */
            uint64_t want = ops[i % 3] == EB_OP_MAY_GOTO_ONLY ? 7 : 5;
            expect(ops[i % 3], "r0", m->state->reg[0], want, 0, 0);
        }
        machine_free(m);
    }
}

static void test_wide_load(void **state) {
    (void)state;
    for (unsigned i = 0; i < EDGES * 2; i++) {
        ebpf_insn insn = blank(EB_OP_LDDW_ONLY);
        insn.dst = DST;
        insn.imm = (int64_t)edges[i / 2];
        machine *m = machine_for(EB_OP_LDDW_ONLY, insn, i % 2);
        run(m, 0, 1, 2, i % 2);
        expect(EB_OP_LDDW_ONLY, "result", m->state->reg[DST], edges[i / 2], 0, 0);
        machine_free(m);
    }
}

/* ---- memory ---- */

static unsigned access_size(eb_op op) {
    static const unsigned sizes[] = {4, 2, 1, 8};
    return sizes[eb_insn_rows[op].code >> 3 & 3];
}

static const uint64_t context = (uint64_t)1 << 32;

static void fill(machine *m) {
    for (unsigned i = 0; i < MEM; i++)
        m->mem[i] = (uint8_t)(0xf1 - 7 * i);
}

/* All bytes but the `size` ones at AT are as `fill` made them. */
static void expect_untouched(const machine *m, eb_op op, unsigned size) {
    machine fresh;
    fill(&fresh);
    memcpy(fresh.mem + AT, m->mem + AT, size);
    if (memcmp(fresh.mem, m->mem, MEM) != 0)
        fail_msg("operation %d wrote beside its %u bytes", op, size);
}

static bool is_load(eb_op op) {
    return form_is(op, EB_FORM_LDX64) || form_is(op, EB_FORM_LDX32) || form_is(op, EB_FORM_LDXSX) ||
           form_is(op, EB_FORM_LOAD_ACQ64) || form_is(op, EB_FORM_LOAD_ACQ32);
}

static bool is_store(eb_op op) {
    return form_is(op, EB_FORM_STX64) || form_is(op, EB_FORM_STX32) ||
           form_is(op, EB_FORM_STORE_REL64) || form_is(op, EB_FORM_STORE_REL32);
}

static void check_load(eb_op op, bool big) {
    unsigned size = access_size(op);
    ebpf_insn insn = blank(op);
    insn.dst = DST;
    insn.src = SRC;
    insn.off = -OFF;
    machine *m = machine_for(op, insn, big);
    for (unsigned high = 0; high < 4; high++) {
        fill(m);
        m->mem[AT] = (uint8_t)(high & 1 ? 0x80 : 0x7f);
        m->mem[AT + size - 1] = (uint8_t)(high & 1 ? 0xff : 0x12);
        uint64_t want = number(m->mem + AT, size, big);
        if (form_is(op, EB_FORM_LDXSX))
            want = wrap(as_signed(want, size * 8), 64);
        run(m, 0, 0xdead, context + AT + OFF, high >> 1);
        expect(op, "value read", m->state->reg[DST], want, big, high);
    }
    machine_free(m);
}

static void check_store(eb_op op, bool big) {
    unsigned size = access_size(op);
    for (unsigned i = 0; i < EDGES * 2; i++) {
        ebpf_insn insn = blank(op);
        insn.dst = DST;
        insn.off = -OFF;
        uint64_t value = edges[i / 2];
        if (form_is(op, EB_FORM_ST)) {
            insn.imm = (int32_t)(uint32_t)value;
            value = (uint64_t)insn.imm;
        } else {
            insn.src = SRC;
        }
        machine *m = machine_for(op, insn, big);
        fill(m);
        run(m, 0, context + AT + OFF, value, i % 2);
        expect(op, "value written", number(m->mem + AT, size, big),
               wrap(as_unsigned(value, size * 8), size * 8), value, big);
        expect_untouched(m, op, size);
        machine_free(m);
    }
}

static void test_memory(void **state) {
    (void)state;
    for (eb_op op = 0; op < EB_OP_COUNT; op++)
        for (int big = 0; big < 2; big++) {
            if (is_load(op))
                check_load(op, big);
            if (is_store(op) || form_is(op, EB_FORM_ST))
                check_store(op, big);
        }
}

/* Section 5.3: what an atomic leaves in memory, the source register and r0. */
typedef struct outcome {
    uint64_t memory, src, r0;
} outcome;

static outcome atomic(eb_op op, uint64_t memory, uint64_t src, uint64_t r0, unsigned bits) {
    int32_t imm = eb_insn_rows[op].imm;
    uint64_t low = wrap(as_unsigned(src, bits), bits);
    outcome out = {memory, src, r0};
    switch (imm & 0xf0) {
    case 0x00:
        out.memory = wrap(as_unsigned(memory, bits) + as_unsigned(src, bits), bits);
        break;
    case 0x40:
        out.memory = bitwise('|', memory, src, bits);
        break;
    case 0x50:
        out.memory = bitwise('&', memory, src, bits);
        break;
    case 0xa0:
        out.memory = bitwise('^', memory, src, bits);
        break;
    case 0xe0:
        out.memory = low;
        break;
    default: /* compare and exchange */
        out.r0 = memory;
        out.memory = memory == wrap(as_unsigned(r0, bits), bits) ? low : memory;
        return out;
    }
    if (imm & 1)
        out.src = memory;
    return out;
}

static void check_atomic(eb_op op, bool big) {
    unsigned size = access_size(op), bits = size * 8;
    ebpf_insn insn = blank(op);
    insn.dst = DST;
    insn.src = SRC;
    insn.off = -OFF;
    machine *m = machine_for(op, insn, big);
    for (unsigned i = 0; i < EDGES * EDGES; i++) {
        uint64_t old = wrap(as_unsigned(edges[i / EDGES], bits), bits), src = edges[i % EDGES];
        uint64_t r0 = i % 3 ? old : edges[(i + 5) % EDGES];
        outcome want = atomic(op, old, src, r0, bits);
        fill(m);
        put_number(m->mem + AT, size, big, old);
        run(m, r0, context + AT + OFF, src, i % 2);
        expect(op, "memory", number(m->mem + AT, size, big), want.memory, old, src);
        expect(op, "source", m->state->reg[SRC], want.src, old, src);
        expect_untouched(m, op, size);
    }
    machine_free(m);
}

/* r0 is overwritten by the program, so compare-and-exchange is looked at after one step. */
static void check_exchanged(eb_op op, bool big) {
    unsigned size = access_size(op), bits = size * 8;
    ebpf_insn insn = blank(op);
    insn.dst = DST;
    insn.src = SRC;
    machine *m = machine_for(op, insn, big);
    for (unsigned i = 0; i < EDGES * 2; i++) {
        uint64_t old = wrap(as_unsigned(edges[i / 2], bits), bits);
        put_number(m->mem + AT, size, big, old);
        assert_int_equal(ebpf_vm_start(m->vm, 0, m->mem, MEM, 0), EBPF_OK);
        m->state->reg[0] = i % 2 ? edges[i / 2] : ~edges[i / 2];
        m->state->reg[DST] = context + AT;
        m->state->reg[SRC] = 0x1234567890abcdef;
        assert_int_equal(ebpf_vm_step(m->vm), EBPF_STOP_BUDGET);
        expect(op, "r0", m->state->reg[0], old, old, i % 2);
        uint64_t want = i % 2 ? wrap(as_unsigned(0x1234567890abcdef, bits), bits) : old;
        expect(op, "memory", number(m->mem + AT, size, big), want, old, i % 2);
    }
    machine_free(m);
}

static void test_atomics(void **state) {
    (void)state;
    for (eb_op op = 0; op < EB_OP_COUNT; op++) {
        uint8_t code = eb_insn_rows[op].code;
        if ((code != 0xdb && code != 0xc3) || is_load(op) || is_store(op))
            continue;
        for (int big = 0; big < 2; big++) {
            check_atomic(op, big);
            if ((eb_insn_rows[op].imm & 0xf0) == 0xf0)
                check_exchanged(op, big);
        }
    }
}

/* ---- calls, and what this VM refuses ---- */

static void test_calls(void **state) {
    (void)state;
    /* call local +1 runs `exit` first in a new frame, then returns to the assignment. */
    ebpf_insn insn = blank(EB_OP_CALL_LOCAL_ONLY);
    insn.imm = 1;
    machine *m = machine_for(EB_OP_CALL_LOCAL_ONLY, insn, false);
    run(m, 0, 0, 0, false);
    expect(EB_OP_CALL_LOCAL_ONLY, "instructions", m->state->executed, 4, 0, 0);
    machine_free(m);

    insn = blank(EB_OP_CALL_ONLY);
    insn.imm = 8; /* get_smp_processor_id */
    m = machine_for(EB_OP_CALL_ONLY, insn, false);
    run(m, 9, 0, 0, true);
    machine_free(m);

    insn = blank(EB_OP_CALLX_ONLY);
    insn.dst = DST;
    m = machine_for(EB_OP_CALLX_ONLY, insn, false);
    run(m, 0, 8, 0, false);
    machine_free(m);

    insn = blank(EB_OP_EXIT_ONLY);
    m = machine_for(EB_OP_EXIT_ONLY, insn, false);
    run(m, 5, 0, 0, false);
    expect(EB_OP_EXIT_ONLY, "r0", m->state->reg[0], 5, 0, 0);
    machine_free(m);
}

static void test_refused(void **state) {
    (void)state;
    static const eb_op refused[] = {
        EB_OP_LDABS_W,   EB_OP_LDABS_H,         EB_OP_LDABS_B,         EB_OP_LDIND_W,
        EB_OP_LDIND_H,   EB_OP_LDIND_B,         EB_OP_LDIND_K_W,       EB_OP_LDIND_K_H,
        EB_OP_LDIND_K_B, EB_OP_CAST_SPACE_ONLY, EB_OP_CALL_KFUNC_ONLY, EB_OP_LDDW_PSEUDO_ONLY};
    for (unsigned i = 0; i < sizeof refused / sizeof *refused; i++) {
        eb_op op = refused[i];
        ebpf_insn insn = blank(op);
        uint32_t count = op == EB_OP_LDDW_PSEUDO_ONLY ? 15 : 1;
        insn.imm = 5; /* no address spaces that there are, either */
        if (form_is(op, EB_FORM_LDIND) || form_is(op, EB_FORM_LDIND_K))
            insn.src = SRC;
        if (form_is(op, EB_FORM_LDIND))
            insn.imm = 0;
        for (uint32_t src = 1; src <= count; src++) {
            if (count > 1)
                insn.src = (uint8_t)src;
            if (count > 1 && src == 4) /* a function's address, which this VM has */
                continue;
            machine *m = machine_for(op, insn, src % 2);
            assert_int_equal(ebpf_vm_start(m->vm, 0, m->mem, MEM, 0), EBPF_OK);
            m->state->budget = 10;
            assert_int_equal(ebpf_vm_run(m->vm), EBPF_STOP_FAULT);
            assert_int_equal(ebpf_vm_fault_of(m->vm)->reason, EBPF_FAULT_INSN);
            machine_free(m);
        }
    }
}

static void test_nothing_left_out(void **state) {
    (void)state;
    for (eb_op op = 0; op < EB_OP_COUNT; op++)
        if (!seen[op])
            fail_msg("operation %d (code 0x%02x, %s) was never run", op, eb_insn_rows[op].code,
                     eb_insn_rows[op].spelling[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic),      cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_negation),        cmocka_unit_test(test_byte_order),
        cmocka_unit_test(test_jumps),           cmocka_unit_test(test_wide_load),
        cmocka_unit_test(test_memory),          cmocka_unit_test(test_atomics),
        cmocka_unit_test(test_calls),           cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nothing_left_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
