/* code.c - mutations of instructions, by the rows of insn.def. */
#include "mutate.h"

#include <string.h>

static const char *const form_fields[EB_FORM_COUNT] = {
#define FORM(form, fields, llvm, ubpf) fields,
#include "dialect.def"
};

static int64_t any_immediate(chance *dice) {
    return roll(dice, 2) ? (int32_t)roll(dice, 64) - 16
                         : (int32_t)odd_number(dice, roll(dice, UINT32_MAX), 64, 64);
}

/* Distances stay small and mostly forward, so that programs end; memory is mostly the stack's. */
static int16_t any_offset(chance *dice, char field) {
    if (field == 'j')
        return (int16_t)((int)roll(dice, 12) - 2);
    return roll(dice, 8) ? (int16_t)(-8 * (int)roll(dice, 16))
                         : (int16_t)odd_number(dice, roll(dice, 64), 8, 64);
}

static void fill_field(chance *dice, char field, ebpf_insn *insn) {
    switch (field) {
    case 'd':
        insn->dst = (uint8_t)roll(dice, 11);
        break;
    case 's':
        insn->src = (uint8_t)roll(dice, 11);
        break;
    case 'p':
        insn->src = (uint8_t)(1 + roll(dice, 6));
        break;
    case 'o':
    case 'k':
    case 'j':
        insn->off = any_offset(dice, field);
        break;
    case 'q':
        insn->imm =
            roll(dice, 4) ? any_immediate(dice) : (int64_t)(odd_number(dice, 1, 1, 40) << 20);
        break;
    case 'l':
    case 'c':
        insn->imm = (int32_t)roll(dice, 12) - 2;
        break;
    case 'a':
        insn->imm = (int64_t)roll(dice, 2) << 32 | roll(dice, 2);
        break;
    case 'i':
        insn->imm = any_immediate(dice);
        break;
    default:
        break;
    }
}

ebpf_insn any_insn(chance *dice, eb_op *op) {
    *op = (eb_op)roll(dice, EB_OP_COUNT);
    const eb_insn_row *row = &eb_insn_rows[*op];
    ebpf_insn insn = {.code = row->code,
                      .src = row->src,
                      .slots = eb_insn_is_lddw(row->code) ? 2 : 1,
                      .off = row->off,
                      .imm = row->imm};
    for (const char *field = form_fields[row->form]; *field; field++)
        fill_field(dice, *field, &insn);
    if (row->form == EB_FORM_LDIND_K && insn.imm == 0)
        insn.imm = 1;
    return insn;
}

static size_t slot_at(chance *dice, size_t size) {
    return EBPF_SLOT * (size_t)roll(dice, (uint32_t)(size / EBPF_SLOT));
}

static void change_field(uint8_t *at, bool big, chance *dice) {
    switch (roll(dice, 4)) {
    case 0:
        at[1] = (uint8_t)(roll(dice, 11) << 4 | roll(dice, 11));
        break;
    case 1:
        odd_field(dice, at + 2, 2, big, 8 * (uint64_t)roll(dice, 8));
        break;
    case 2:
        odd_field(dice, at + 4, 4, big, roll(dice, 220));
        break;
    default:
        at[0] = eb_insn_rows[roll(dice, EB_OP_COUNT)].code;
    }
}

size_t mutate_code(uint8_t *data, size_t size, size_t most, bool big, chance *dice) {
    eb_op op;
    ebpf_insn insn = any_insn(dice, &op);
    size_t at = slot_at(dice, size), other = slot_at(dice, size);
    size_t bytes = (size_t)insn.slots * EBPF_SLOT;
    switch (size < EBPF_SLOT ? 0 : roll(dice, 8)) {
    case 0:
    case 1:
        if (open_gap(data, &size, most, at, bytes))
            ebpf_insn_encode(&insn, big, data + at);
        return size;
    case 2:
        close_gap(data, &size, at, EBPF_SLOT);
        return size;
    case 3:
        memmove(data + at, data + other, EBPF_SLOT);
        return size;
    case 4:
        if (at + bytes <= size)
            ebpf_insn_encode(&insn, big, data + at);
        return size;
    case 5:
        return roll(dice, 8) ? size : LLVMFuzzerMutate(data, size, most);
    default:
        change_field(data + at, big, dice);
        return size;
    }
}
