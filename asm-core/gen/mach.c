/* mach.c - what machine instructions read and write, in one place for all stages. */
#include "mach.h"

uint8_t eb_c_size(unsigned size) {
    return size == 8 ? EB_C_DW : size == 4 ? 0x00 : size == 2 ? 0x08 : 0x10;
}

static void put(eb_ref *refs, unsigned *count, uint32_t *reg, bool use, bool def) {
    if (*reg != EB_REG_NO)
        refs[(*count)++] = (eb_ref){.reg = reg, .use = use, .def = def};
}

enum { ATOMIC_CAS = 0xf1, ATOMIC_ACQUIRE = 0x100, ATOMIC_RELEASE = 0x110 };

static bool is_atomic(const eb_mi *mi) {
    return (mi->code & 0xe7) == EB_C_ATOMIC;
}

static void atomic_refs(eb_mi *mi, eb_ref *refs, unsigned *count) {
    if (mi->imm == ATOMIC_ACQUIRE) {
        put(refs, count, &mi->src, true, false);
        put(refs, count, &mi->dst, false, true);
        return;
    }
    bool fetch = (mi->imm & 1) && mi->imm != ATOMIC_CAS;
    put(refs, count, &mi->dst, true, false);
    put(refs, count, &mi->src, true, fetch);
    refs[*count - 1].early = fetch;
}

static void insn_refs(eb_mi *mi, eb_ref *refs, unsigned *count) {
    unsigned class = mi->code & 7, op = mi->code & 0xf0;
    switch (class) {
    case 1: /* LDX */
        put(refs, count, &mi->src, true, false);
        put(refs, count, &mi->dst, false, true);
        break;
    case 2: /* ST */
        put(refs, count, &mi->dst, true, false);
        break;
    case 3: /* STX */
        if (is_atomic(mi)) {
            atomic_refs(mi, refs, count);
        } else {
            put(refs, count, &mi->dst, true, false);
            put(refs, count, &mi->src, true, false);
        }
        break;
    default: /* ALU, ALU64 */
        if (op != EB_C_NEG && op != EB_C_END && (mi->code & EB_C_REG))
            put(refs, count, &mi->src, true, false);
        put(refs, count, &mi->dst, op != EB_C_MOV, true);
    }
}

unsigned eb_m_refs(const eb_mfn *mfn, eb_mi *mi, eb_ref *refs) {
    unsigned count = 0;
    switch (mi->kind) {
    case EB_M_INSN:
        insn_refs(mi, refs, &count);
        break;
    case EB_M_COPY:
        put(refs, &count, &mi->src, true, false);
        put(refs, &count, &mi->dst, false, true);
        break;
    case EB_M_CONST:
    case EB_M_SYMBOL:
    case EB_M_FRAME:
        put(refs, &count, &mi->dst, false, true);
        break;
    case EB_M_SET:
        put(refs, &count, &mi->src, true, false);
        put(refs, &count, &mi->src2, true, false);
        put(refs, &count, &mi->dst, false, true);
        refs[count - 1].early = true;
        break;
    case EB_M_CALLX:
        put(refs, &count, &mi->src, true, false);
        break;
    case EB_M_BRANCH:
        put(refs, &count, &mi->dst, true, false);
        put(refs, &count, &mi->src, true, false);
        break;
    case EB_M_ASM:
    case EB_M_GOTO: {
        eb_masm *masm = &mfn->asms.at[mi->extra];
        for (uint32_t n = 0; n < masm->regs.len && count < EB_REFS_MOST; n++) {
            eb_masm_reg *reg = &masm->regs.at[n];
            if (reg->reg != EB_REG_NO)
                refs[count++] = (eb_ref){&reg->reg, reg->use, reg->def, reg->early};
        }
        break;
    }
    default:
        break;
    }
    return count;
}

uint16_t eb_m_reads(const eb_mfn *mfn, const eb_mi *mi) {
    (void)mfn;
    if (eb_m_is_call(mi))
        return (uint16_t)((1u << (mi->args + 1)) - 2);
    if (mi->kind == EB_M_INSN && is_atomic(mi) && mi->imm == ATOMIC_CAS)
        return 1;
    return mi->kind == EB_M_EXIT && mi->imm ? 1 : 0;
}

uint16_t eb_m_writes(const eb_mfn *mfn, const eb_mi *mi) {
    if (eb_m_is_call(mi))
        return EB_CALLER_SAVED;
    if (mi->kind == EB_M_INSN && is_atomic(mi) && mi->imm == ATOMIC_CAS)
        return 1;
    if (mi->kind == EB_M_ASM || mi->kind == EB_M_GOTO)
        return mfn->asms.at[mi->extra].clobbers;
    return 0;
}

static bool fits32(int64_t imm) {
    return imm >= INT32_MIN && imm <= INT32_MAX;
}

unsigned eb_m_slots(const eb_mi *mi) {
    switch (mi->kind) {
    case EB_M_CONST:
        return mi->narrow || fits32(mi->imm) ? 1 : 2;
    case EB_M_SYMBOL:
    case EB_M_FRAME:
        return 2;
    case EB_M_SET:
        return 3;
    default:
        return 1;
    }
}
