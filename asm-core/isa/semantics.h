/* semantics.h - what operations compute, as functions unfolded from the expressions in insn.def:
 * alu64_ADD, alu32_ADD, jmp64_JEQ, jmp32_JEQ, movsx64_S8, atomic64_ADD, end_LE16, ... */
#ifndef EB_SEMANTICS_H
#define EB_SEMANTICS_H

#include <stdbool.h>
#include <stdint.h>

#define ALU(id, code, off, sign, word, cpu, value)                                                 \
    static inline uint64_t alu64_##id(U a, U b, S sa, S sb) {                                      \
        (void)a, (void)b, (void)sa, (void)sb;                                                      \
        U result = (value);                                                                        \
        return result;                                                                             \
    }
#define JMP(id, code, sign, word, cpu, taken)                                                      \
    static inline bool jmp64_##id(U a, U b, S sa, S sb) {                                          \
        (void)a, (void)b, (void)sa, (void)sb;                                                      \
        return (taken);                                                                            \
    }
#define MOVSX(id, bits, sign, word, value)                                                         \
    static inline uint64_t movsx64_##id(U b) {                                                     \
        U result = (value);                                                                        \
        return result;                                                                             \
    }
#define ATOMIC(id, imm, sign, word, value)                                                         \
    static inline U atomic64_##id(U a, U b) {                                                      \
        U result = (value);                                                                        \
        return result;                                                                             \
    }
#define U uint64_t
#define S int64_t
#define M 63
#include "insn.def"
#undef U
#undef S
#undef M

#define ALU(id, code, off, sign, word, cpu, value)                                                 \
    static inline uint64_t alu32_##id(U a, U b, S sa, S sb) {                                      \
        (void)a, (void)b, (void)sa, (void)sb;                                                      \
        U result = (value);                                                                        \
        return result;                                                                             \
    }
#define JMP(id, code, sign, word, cpu, taken)                                                      \
    static inline bool jmp32_##id(U a, U b, S sa, S sb) {                                          \
        (void)a, (void)b, (void)sa, (void)sb;                                                      \
        return (taken);                                                                            \
    }
#define MOVSX(id, bits, sign, word, value)                                                         \
    static inline uint64_t movsx32_##id(U b) {                                                     \
        U result = (value);                                                                        \
        return result;                                                                             \
    }
#define ATOMIC(id, imm, sign, word, value)                                                         \
    static inline U atomic32_##id(U a, U b) {                                                      \
        U result = (value);                                                                        \
        return result;                                                                             \
    }
#define U uint32_t
#define S int32_t
#define M 31
#include "insn.def"
#undef U
#undef S
#undef M

/* Byte order, over the target's (`big`). */
#define SWAP(bits, value)  __builtin_bswap##bits((uint##bits##_t)(value))
#define TO_LE(bits, value) (big ? SWAP(bits, value) : (uint##bits##_t)(value))
#define TO_BE(bits, value) (big ? (uint##bits##_t)(value) : SWAP(bits, value))
#define END(id, code, imm, sign, word, cpu, value)                                                 \
    static inline uint64_t end_##id(uint64_t a, bool big) {                                        \
        (void)big;                                                                                 \
        return (value);                                                                            \
    }
#define BSWAP(id, code, imm, sign, word, cpu, value) END(id, code, imm, sign, word, cpu, value)
#include "insn.def"
#undef SWAP
#undef TO_LE
#undef TO_BE

#endif
