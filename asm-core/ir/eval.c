/* eval.c - what operations give for constants. Their meaning is insn.def's, unfolded by isa/
 * semantics.h: the compiler folds what the VM and the kernel would compute, division by zero
 * included. Constants of i32 are kept sign-extended. */
#include "fold.h"
#include "semantics.h"

int64_t eb_eval_binary(eb_ir_op op, eb_ir_type type, int64_t a, int64_t b) {
    uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
    uint32_t wa = (uint32_t)ua, wb = (uint32_t)ub;
    bool narrow = type == EB_IR_I32;
    uint64_t result = 0;
    switch (op) { /* one case per row */
#define IR_BINARY(id, text, alu)                                                                   \
    case EB_IR_##id:                                                                               \
        result =                                                                                   \
            narrow ? alu32_##alu(wa, wb, (int32_t)wa, (int32_t)wb) : alu64_##alu(ua, ub, a, b);    \
        break;
#include "ir.def"
    default:
        break;
    }
    return eb_ir_wrap(type, (int64_t)result);
}

bool eb_eval_cond(eb_cond cond, eb_ir_type type, int64_t a, int64_t b) {
    uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
    uint32_t wa = (uint32_t)ua, wb = (uint32_t)ub;
    bool narrow = type == EB_IR_I32;
#define TAKEN(id) (narrow ? jmp32_##id(wa, wb, (int32_t)wa, (int32_t)wb) : jmp64_##id(ua, ub, a, b))
    switch (cond) { /* one case per condition */
    case EB_COND_EQ:
        return TAKEN(JEQ);
    case EB_COND_NE:
        return TAKEN(JNE);
    case EB_COND_LT:
        return TAKEN(JLT);
    case EB_COND_GE:
        return TAKEN(JGE);
    case EB_COND_GT:
        return TAKEN(JGT);
    case EB_COND_LE:
        return TAKEN(JLE);
    case EB_COND_SLT:
        return TAKEN(JSLT);
    case EB_COND_SGE:
        return TAKEN(JSGE);
    case EB_COND_SGT:
        return TAKEN(JSGT);
    case EB_COND_SLE:
        return TAKEN(JSLE);
    case EB_COND_SET:
        return TAKEN(JSET);
    default:
        return !TAKEN(JSET);
    }
#undef TAKEN
}

static uint64_t swap(unsigned size, uint64_t a) {
    return size == 2   ? end_SWAP16(a, false)
           : size == 4 ? end_SWAP32(a, false)
                       : end_SWAP64(a, false);
}

static uint64_t sign_extend(unsigned size, uint64_t a) {
    return size == 1 ? movsx64_S8(a) : size == 2 ? movsx64_S16(a) : size == 4 ? movsx64_S32(a) : a;
}

int64_t eb_eval_unary(const eb_ir *ir, int64_t a) {
    uint64_t ua = (uint64_t)a;
    switch (ir->op) {
    case EB_IR_NEG:
        ua = 0 - ua;
        break;
    case EB_IR_SWAP:
        ua = swap(ir->size, ua);
        break;
    case EB_IR_SEXT:
        ua = sign_extend(ir->size, ua);
        break;
    case EB_IR_ZEXT:
        ua = (uint32_t)ua;
        break;
    default: /* TRUNC: the wrapping does it */
        break;
    }
    return eb_ir_wrap(ir->type, (int64_t)ua);
}
