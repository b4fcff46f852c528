/* isa_test.c - every instruction of the table, in both dialects: printed, assembled to the same
 * bytes, disassembled to the same text. All pairs of registers, and the edges of offsets and
 * immediates, for each operation.
 *
 * With `--print CPU` it prints the llvm text instead (--no-jumps leaves branches out), for the
 * comparison with llvm-mc and llvm-objdump in test/peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dialect.h"
#include "ebpf.h"

static const int16_t offsets[] = {0, 1, -1, 8, -8, 127, -128, 1000, INT16_MAX, INT16_MIN};
static const int64_t imms[] = {0, 1, -1, 7, 255, 65536, -4096, INT32_MAX, INT32_MIN};
static const int64_t imms64[] = {0, 1, -1, 0x1122334455667788, INT64_MIN, INT64_MAX, 0xffffffff};
enum {
    OFFSETS = sizeof offsets / sizeof *offsets,
    IMMS = sizeof imms / sizeof *imms,
    IMMS64 = sizeof imms64 / sizeof *imms64
};

typedef void visit(void *to, eb_op op, const ebpf_insn *insn);

/* The immediate at `i` for what `row` leaves free; wide loads have a list of their own. */
static int64_t pick_imm(const eb_insn_row *row, uint32_t free, unsigned i) {
    if (free & EB_FREE_IMM64)
        return imms64[i % IMMS64];
    if (row->form == EB_FORM_LDIND_K && imms[i % IMMS] == 0)
        return 5;
    return (free & EB_FREE_IMM) ? imms[i % IMMS] : row->imm;
}

static void visit_op(ebpf_ctx *ctx, eb_op op, visit *call, void *to) {
    const eb_insn_row *row = &eb_insn_rows[op];
    uint32_t free = eb_form_free(ctx, (eb_form)row->form);
    unsigned dsts = (free & EB_FREE_DST) ? 11 : 1;
    unsigned srcs = (free & EB_FREE_PSEUDO) ? 15 : (free & EB_FREE_SRC) ? 11 : 1;
    ebpf_insn insn = {.code = row->code, .slots = eb_insn_is_lddw(row->code) ? 2 : 1};
    for (unsigned pair = 0; pair < dsts * srcs; pair++) {
        insn.dst = (uint8_t)(pair % dsts);
        insn.src = row->src;
        if (srcs > 1)
            insn.src = (uint8_t)(pair / dsts + ((free & EB_FREE_PSEUDO) != 0));
        insn.off = (free & EB_FREE_OFF) ? offsets[pair % OFFSETS] : row->off;
        insn.imm = pick_imm(row, free, pair);
        call(to, op, &insn);
    }
    for (unsigned edge = 0; edge < OFFSETS * (IMMS > IMMS64 ? IMMS : IMMS64); edge++) {
        insn.dst = (free & EB_FREE_DST) ? 3 : 0;
        insn.src = srcs == 1 ? row->src : 4;
        insn.off = (free & EB_FREE_OFF) ? offsets[edge % OFFSETS] : row->off;
        insn.imm = pick_imm(row, free, edge / OFFSETS);
        call(to, op, &insn);
    }
}

static void visit_all(ebpf_ctx *ctx, visit *call, void *to) {
    for (unsigned op = 0; op < EB_OP_COUNT; op++)
        visit_op(ctx, (eb_op)op, call, to);
}

/* ---- the round trip ---- */

typedef struct listing {
    enum ebpf_dialect dialect;
    int endian;
    bool hex;
    eb_buf text, bytes;
    unsigned count;
} listing;

static void list(void *to, eb_op op, const ebpf_insn *insn) {
    listing *l = to;
    uint8_t slots[2 * EBPF_SLOT];
    eb_buf_byte(&l->text, '\t');
    eb_insn_print(&l->text, l->dialect, op, insn, &(eb_style){.hex = l->hex});
    eb_buf_byte(&l->text, '\n');
    eb_buf_put(&l->bytes, slots, ebpf_insn_encode(insn, l->endian, slots) * EBPF_SLOT);
    l->count++;
}

/* The line that holds byte `at` of `text`. */
static int line_at(eb_str text, size_t at, const char **start) {
    size_t from = at, to = at;
    while (from > 0 && text.at[from - 1] != '\n')
        from--;
    while (to < text.len && text.at[to] != '\n')
        to++;
    *start = text.at + from;
    return (int)(to - from);
}

static void assert_same_text(eb_str ours, eb_str theirs) {
    for (size_t i = 0; i < ours.len && i < theirs.len; i++) {
        if (ours.at[i] == theirs.at[i])
            continue;
        const char *a, *b;
        int a_len = line_at(ours, i, &a), b_len = line_at(theirs, i, &b);
        fail_msg("'%.*s' came back as '%.*s'", a_len, a, b_len, b);
    }
    assert_int_equal(ours.len, theirs.len);
}

static void round_trip(enum ebpf_dialect dialect, int endian, bool hex) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    listing l = {.dialect = dialect, .endian = endian, .hex = hex};
    uint32_t flags = EBPF_DIS_NUMERIC | (hex ? EBPF_DIS_HEX : 0u);
    ebpf_object *obj;
    ebpf_bytes code, text;
    l.text.arena = l.bytes.arena = &ctx->arena;
    visit_all(ctx, list, &l);
    int status =
        ebpf_assemble(ctx, "table.s", 7, l.text.at, l.text.len, (int)dialect, endian, &obj);
    if (status != EBPF_OK) {
        ebpf_diagnostics(ctx, EBPF_DIAG_TEXT, &text);
        fail_msg("%.*s", (int)text.size, (const char *)text.data);
    }
    assert_int_equal(ebpf_object_section(ctx, obj, ".text", 5, &code), EBPF_OK);
    assert_int_equal(code.size, l.bytes.len);
    for (size_t i = 0; i < code.size; i += EBPF_SLOT)
        if (memcmp((const uint8_t *)code.data + i, l.bytes.at + i, EBPF_SLOT))
            fail_msg("slot %zu is assembled to other bytes", i / EBPF_SLOT);
    assert_int_equal(ebpf_disassemble(ctx, obj, (int)dialect, flags, &text), EBPF_OK);
    eb_str back = {text.data, text.size};
    const char *first = strstr(back.at, "\t.section");
    assert_non_null(first);
    first = strchr(first, '\n'); /* behind the .section line */
    assert_non_null(first);
    back = (eb_str){first + 1, back.len - (size_t)(first + 1 - back.at)};
    assert_same_text((eb_str){(const char *)l.text.at, l.text.len}, back);
    print_message("%u instructions of %u operations\n", l.count, (unsigned)EB_OP_COUNT);
    ebpf_ctx_free(ctx);
}

static void test_round_trip_llvm(void **state) {
    (void)state;
    round_trip(EBPF_DIALECT_LLVM, EBPF_LITTLE, false);
    round_trip(EBPF_DIALECT_LLVM, EBPF_BIG, true);
}

static void test_round_trip_ubpf(void **state) {
    (void)state;
    round_trip(EBPF_DIALECT_UBPF, EBPF_LITTLE, false);
    round_trip(EBPF_DIALECT_UBPF, EBPF_BIG, true);
}

/* Decoding then encoding gives the bytes back, for every code and random fields; what no row
 * describes says why. */
static void test_decode_encode(void **state) {
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    uint64_t random = 88172645463325252u;
    unsigned valid = 0;
    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        uint8_t bytes[16] = {0}, back[16] = {0};
        ebpf_insn insn;
        for (unsigned b = 1; b < 8; b++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            bytes[b] = (uint8_t)((i >> 8) & 1 && b > 1 ? 0 : random >> 32);
        }
        bytes[0] = (uint8_t)i;
        memcpy(bytes + 12, bytes + 4, 4);
        unsigned slots = ebpf_insn_decode(bytes, sizeof bytes, (int)(random & 1), &insn);
        assert_int_equal(slots, bytes[0] == 0x18 ? 2 : 1);
        assert_int_equal(ebpf_insn_encode(&insn, (int)(random & 1), back), slots);
        assert_memory_equal(bytes, back, slots * EBPF_SLOT);
        assert_int_equal(ebpf_insn_decode(bytes, slots * EBPF_SLOT - 1, EBPF_LITTLE, &insn), 0);
        bool known = eb_insn_op(ctx, &insn) != EB_OP_COUNT;
        valid += known;
        if (!known)
            assert_non_null(eb_insn_why_invalid(ctx, &insn));
    }
    assert_true(valid > 1000);
    ebpf_ctx_free(ctx);
}

/* No two rows describe the same instruction, or one of them could never be disassembled. */
static void check_own_row(void *to, eb_op op, const ebpf_insn *insn) {
    ebpf_ctx *ctx = to;
    eb_op found = eb_insn_op(ctx, insn);
    if (found != op)
        fail_msg("operation %u is taken for %u", (unsigned)op, (unsigned)found);
}

static void test_rows_are_distinct(void **state) {
    (void)state;
    ebpf_ctx *ctx = ebpf_ctx_new(0);
    visit_all(ctx, check_own_row, ctx);
    ebpf_ctx_free(ctx);
}

/* ---- lines for the peers ---- */

typedef struct printer {
    ebpf_ctx *ctx;
    unsigned cpu;
    eb_buf text;
} printer;

/* What LLVM has no text for (14 for v3, 19 for v4), or reads with narrower limits. */
static bool is_ours_alone(const printer *p, eb_op op, const ebpf_insn *insn) {
    switch (eb_insn_rows[op].form) {
    case EB_FORM_CALL_LOCAL: /* only by name there */
    case EB_FORM_CALL_KFUNC:
    case EB_FORM_LDIND_K:    /* no displacement there */
    case EB_FORM_LOAD_ACQ64: /* LLVM 20 has these */
    case EB_FORM_LOAD_ACQ32:
    case EB_FORM_STORE_REL64:
    case EB_FORM_STORE_REL32:
        return true;
    case EB_FORM_LDDW_PSEUDO: /* it drops the upper half */
        return p->cpu < 4 || insn->imm != (uint32_t)insn->imm;
    case EB_FORM_JA32: /* it wants 16 bits of a number */
        return p->cpu < 4 || insn->imm != (int16_t)insn->imm;
    case EB_FORM_CALLX:
    case EB_FORM_CAST_SPACE:
    case EB_FORM_ST: /* LLVM 14 knows neither these nor % and & */
        return p->cpu < 4;
    default:
        break;
    }
    const char *spelling = eb_insn_rows[op].spelling[EBPF_DIALECT_LLVM];
    if (p->cpu < 4 && (strcmp(spelling, "%=") == 0 || strcmp(spelling, "&") == 0))
        return true;
    return eb_insn_rows[op].cpu > p->cpu;
}

static void print_line(void *to, eb_op op, const ebpf_insn *insn) {
    printer *p = to;
    if (is_ours_alone(p, op, insn))
        return;
    eb_insn_print(&p->text, EBPF_DIALECT_LLVM, op, insn, &(eb_style){0});
    eb_buf_byte(&p->text, '\n');
}

static int print_lines(unsigned cpu) {
    printer p = {.ctx = ebpf_ctx_new(0), .cpu = cpu};
    p.text.arena = &p.ctx->arena;
    visit_all(p.ctx, print_line, &p);
    fwrite(p.text.at, 1, p.text.len, stdout);
    ebpf_ctx_free(p.ctx);
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_llvm),
        cmocka_unit_test(test_round_trip_ubpf),
        cmocka_unit_test(test_decode_encode),
        cmocka_unit_test(test_rows_are_distinct),
    };
    if (argc == 3 && strcmp(argv[1], "--print") == 0)
        return print_lines((unsigned)strtoul(argv[2], NULL, 10));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
