/* insn.c - bytes to instructions and back, and the table of operations.
 * RFC 9669, section 3: code, registers, offset, immediate; the registers' nibbles and the byte
 * order of offset and immediate follow the target's. */
#include "insn.h"

#include "isa.h"

const eb_insn_row eb_insn_rows[EB_OP_COUNT] = {
#define ROW(form, id, code, src, off, imm, cpu, llvm, ubpf)                                        \
    {EB_FORM_##form, code, src, cpu, off, imm, {llvm, ubpf}},
#include "rows.h"
};

unsigned ebpf_insn_decode(const void *bytes, size_t size, int endian, ebpf_insn *insn) {
    const uint8_t *at = bytes;
    bool big = endian == EBPF_BIG;
    if (size < EBPF_SLOT)
        return 0;
    insn->code = at[0];
    insn->dst = big ? at[1] >> 4 : at[1] & 15;
    insn->src = big ? at[1] & 15 : at[1] >> 4;
    insn->off = (int16_t)eb_get16(at + 2, big);
    insn->imm = (int32_t)eb_get32(at + 4, big);
    insn->slots = 1;
    if (!eb_insn_is_lddw(insn->code))
        return 1;
    if (size < 2 * EBPF_SLOT)
        return 0;
    insn->imm = (int64_t)((uint64_t)eb_get32(at + 12, big) << 32 | eb_get32(at + 4, big));
    insn->slots = 2;
    return 2;
}

unsigned ebpf_insn_encode(const ebpf_insn *insn, int endian, void *bytes) {
    uint8_t *at = bytes;
    bool big = endian == EBPF_BIG;
    at[0] = insn->code;
    at[1] = (uint8_t)(big ? insn->dst << 4 | insn->src : insn->src << 4 | insn->dst);
    eb_set16(at + 2, big, (uint16_t)insn->off);
    eb_set32(at + 4, big, (uint32_t)(uint64_t)insn->imm);
    if (!eb_insn_is_lddw(insn->code))
        return 1;
    eb_set32(at + 8, big, 0);
    eb_set32(at + 12, big, (uint32_t)((uint64_t)insn->imm >> 32));
    return 2;
}

/* ---- operations ---- */

static const char *const form_fields[EB_FORM_COUNT] = {
#define FORM(form, fields, llvm, ubpf) fields,
#include "dialect.def"
};

static uint32_t free_of(const char *fields) {
    uint32_t bits = 0;
    for (; *fields; fields++) {
        switch (*fields) {
        case 'd':
            bits |= EB_FREE_DST;
            break;
        case 's':
            bits |= EB_FREE_SRC;
            break;
        case 'p':
            bits |= EB_FREE_SRC | EB_FREE_PSEUDO;
            break;
        case 'o':
        case 'k':
        case 'j':
            bits |= EB_FREE_OFF;
            break;
        case 'q':
            bits |= EB_FREE_IMM | EB_FREE_IMM64;
            break;
        default: /* i l c a b */
            bits |= EB_FREE_IMM;
            break;
        }
    }
    return bits;
}

struct eb_isa *eb_isa_of(ebpf_ctx *ctx) {
    if (ctx->isa)
        return ctx->isa;
    struct eb_isa *isa = eb_alloc(&ctx->arena, sizeof *isa);
    for (unsigned form = 0; form < EB_FORM_COUNT; form++)
        isa->free[form] = free_of(form_fields[form]);
    /* From the last row to the first, so that each code's chain starts with its first row. */
    for (unsigned op = EB_OP_COUNT; op-- > 0;) {
        uint8_t code = eb_insn_rows[op].code;
        isa->next[op] = isa->first[code];
        isa->first[code] = (uint16_t)(op + 1);
    }
    return ctx->isa = isa;
}

uint32_t eb_form_free(ebpf_ctx *ctx, eb_form form) {
    return eb_isa_of(ctx)->free[form];
}

/* The first thing in which `insn` is not as `row` wants it, or NULL. */
static const char *mismatch(const eb_insn_row *row, uint32_t free, const ebpf_insn *insn) {
    if (insn->dst > ((free & EB_FREE_DST) ? 10 : 0))
        return (free & EB_FREE_DST) ? "there is no such destination register"
                                    : "its destination register must be 0";
    if ((free & EB_FREE_PSEUDO) && insn->src == 0)
        return "its source must not be 0";
    if (!(free & EB_FREE_SRC) && insn->src != row->src)
        return "its source register must be 0";
    if ((free & EB_FREE_SRC) && !(free & EB_FREE_PSEUDO) && insn->src > 10)
        return "there is no such source register";
    if (!(free & EB_FREE_OFF) && insn->off != row->off)
        return "its offset means nothing";
    if (!(free & EB_FREE_IMM) && insn->imm != row->imm)
        return "its immediate means nothing";
    if (row->form == EB_FORM_LDIND_K && insn->imm == 0)
        return "its immediate must not be 0";
    return NULL;
}

eb_op eb_insn_op(ebpf_ctx *ctx, const ebpf_insn *insn) {
    const struct eb_isa *isa = eb_isa_of(ctx);
    for (unsigned op = isa->first[insn->code]; op; op = isa->next[op - 1]) {
        const eb_insn_row *row = &eb_insn_rows[op - 1];
        if (!mismatch(row, isa->free[row->form], insn))
            return (eb_op)(op - 1);
    }
    return EB_OP_COUNT;
}

const char *eb_insn_why_invalid(ebpf_ctx *ctx, const ebpf_insn *insn) {
    const struct eb_isa *isa = eb_isa_of(ctx);
    unsigned op = isa->first[insn->code];
    if (!op)
        return "its code is unknown";
    if (isa->next[op - 1])
        return "its registers, offset or immediate fit no operation of this code";
    return mismatch(&eb_insn_rows[op - 1], isa->free[eb_insn_rows[op - 1].form], insn);
}

eb_target eb_op_target(eb_op op) {
    switch (eb_insn_rows[op].form) {
    case EB_FORM_JMP64_X:
    case EB_FORM_JMP64_K:
    case EB_FORM_JMP32_X:
    case EB_FORM_JMP32_K:
    case EB_FORM_JA:
    case EB_FORM_MAY_GOTO:
        return EB_TARGET_OFF;
    case EB_FORM_JA32:
        return EB_TARGET_IMM;
    case EB_FORM_CALL_LOCAL:
        return EB_TARGET_CALL;
    default:
        return EB_TARGET_NONE;
    }
}
