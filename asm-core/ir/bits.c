/* bits.c - which bits of a value are 0 in any case, by looking a few operations back. Only what the
 * kernel's verifier sees as well counts: it knows nothing about quotients and remainders, so the
 * `& 15` behind a division has to stay, while the one behind a load of a byte goes. */
#include "fold.h"

enum { DEPTH_MOST = 5, PHI_MOST = 8 };

static uint64_t zero_bits(const eb_fn *fn, eb_value value, unsigned depth);

static uint64_t above(unsigned bits) { /* all but the lower `bits` */
    return bits >= 64 ? 0 : UINT64_MAX << bits;
}

static unsigned width(uint64_t zero) { /* bits below the topmost that may be 1 */
    return ~zero ? 64 - (unsigned)__builtin_clzll(~zero) : 0;
}

/* A sum has one bit more than the wider operand. */
static uint64_t of_sum(uint64_t a, uint64_t b) {
    unsigned wider = width(a) > width(b) ? width(a) : width(b);
    unsigned low_a = ~a ? (unsigned)__builtin_ctzll(~a) : 63;
    unsigned low_b = ~b ? (unsigned)__builtin_ctzll(~b) : 63;
    return above(wider + 1) | ~above(low_a < low_b ? low_a : low_b);
}

static uint64_t of_shift(const eb_fn *fn, const eb_ir *ir, uint64_t a) {
    if (!eb_ir_is_const(fn, ir->b))
        return 0;
    unsigned bits = ir->type == EB_IR_I32 ? 32 : 64;
    unsigned by = (unsigned)(eb_ir_at(fn, ir->b)->imm & (bits - 1));
    if (ir->op == EB_IR_SHL)
        return a << by | ~above(by);
    if (ir->op == EB_IR_SHR || a >> (bits - 1) & 1)
        return a >> by | above(bits - by);
    return 0;
}

static uint64_t of_phi(const eb_fn *fn, const eb_ir *ir, unsigned depth) {
    const eb_list *list = &fn->lists.at[ir->list];
    uint64_t zero = list->values.len > PHI_MOST || depth + 2 >= DEPTH_MOST ? 0 : UINT64_MAX;
    for (uint32_t n = 0; zero && n < list->values.len; n++)
        zero &= zero_bits(fn, list->values.at[n], depth + 2);
    return zero;
}

static uint64_t of_operation(const eb_fn *fn, const eb_ir *ir, unsigned depth) {
    uint64_t a = ir->a ? zero_bits(fn, ir->a, depth + 1) : 0;
    uint64_t b = ir->b ? zero_bits(fn, ir->b, depth + 1) : 0;
    switch (ir->op) {
    case EB_IR_AND:
        return a | b;
    case EB_IR_OR:
    case EB_IR_XOR:
        return a & b;
    case EB_IR_ADD:
        return of_sum(a, b);
    case EB_IR_SHL:
    case EB_IR_SHR:
    case EB_IR_SAR:
        return of_shift(fn, ir, a);
    case EB_IR_SWAP:
        return above(8u * ir->size);
    case EB_IR_SEXT:
        return a >> (8 * ir->size - 1) & 1 ? a | above(8u * ir->size) : 0;
    case EB_IR_ZEXT:
        return a | above(32);
    case EB_IR_TRUNC:
    case EB_IR_COPY:
        return a;
    default:
        return 0;
    }
}

static uint64_t zero_bits(const eb_fn *fn, eb_value value, unsigned depth) {
    const eb_ir *ir = eb_ir_at(fn, value);
    uint64_t outside = ~eb_bits_of(ir->type);
    switch (ir->op) {
    case EB_IR_CONST:
        return ~((uint64_t)ir->imm & ~outside);
    case EB_IR_CMP:
        return ~(uint64_t)1;
    case EB_IR_LOAD:
        return (ir->flags & EB_IR_SIGNED ? 0 : above(8u * ir->size)) | outside;
    case EB_IR_PHI:
        return depth < DEPTH_MOST ? of_phi(fn, ir, depth) | outside : outside;
    default:
        return depth < DEPTH_MOST ? of_operation(fn, ir, depth) | outside : outside;
    }
}

uint64_t eb_bits_zero(const eb_fn *fn, eb_value value) {
    return zero_bits(fn, value, 0);
}
