/* rows.h - unfolds insn.def into concrete instructions, one ROW each:
 *   ROW(form, id, code, src, off, imm, cpu, llvm spelling, ubpf spelling)
 * Define ROW and include this; it undefines ROW. No include guard: it is meant to be included
 * again.
 *
 * Class and source bits: RFC 9669, table 3 (LD 0, LDX 1, ST 2, STX 3, ALU 4, JMP 5, JMP32 6,
 * ALU64 7; source bit 8); modes: table 7 (ABS 0x20, IND 0x40, MEM 0x60, MEMSX 0x80, ATOMIC 0xc0).
 */

#define EB_MAX(a, b) ((a) > (b) ? (a) : (b))

#define ALU(id, code, off, sign, word, cpu, value)                                                 \
    ROW(ALU64_X, id, 0x0f | code, 0, off, 0, cpu, sign, word)                                      \
    ROW(ALU64_K, id, 0x07 | code, 0, off, 0, cpu, sign, word)                                      \
    ROW(ALU32_X, id, 0x0c | code, 0, off, 0, EB_MAX(3, cpu), sign, word)                           \
    ROW(ALU32_K, id, 0x04 | code, 0, off, 0, EB_MAX(3, cpu), sign, word)
#define END(id, code, imm, sign, word, cpu, value) ROW(END, id, code, 0, 0, imm, cpu, sign, word)
#define BSWAP(id, code, imm, sign, word, cpu, value)                                               \
    ROW(BSWAP, id, code, 0, 0, imm, cpu, sign, word)
#define JMP(id, code, sign, word, cpu, taken)                                                      \
    ROW(JMP64_X, id, 0x0d | code, 0, 0, 0, cpu, sign, word)                                        \
    ROW(JMP64_K, id, 0x05 | code, 0, 0, 0, cpu, sign, word)                                        \
    ROW(JMP32_X, id, 0x0e | code, 0, 0, 0, EB_MAX(3, cpu), sign, word)                             \
    ROW(JMP32_K, id, 0x06 | code, 0, 0, 0, EB_MAX(3, cpu), sign, word)
#define MEM(id, code, ctype, word, bytes) ROW(ST, id, 0x62 | code, 0, 0, 0, 1, ctype, word)
#define ATOMIC(id, imm, sign, word, value)                                                         \
    ROW(ATOMIC64, id, 0xdb, 0, 0, imm, 1, sign, word)                                              \
    ROW(ATOMIC32, id, 0xc3, 0, 0, imm, 1, sign, word)                                              \
    ROW(FETCH64, id, 0xdb, 0, 0, imm | 1, 3, word, word)                                           \
    ROW(FETCH32, id, 0xc3, 0, 0, imm | 1, 3, word, word)
#define SINGLE(form, code, src, off, imm, cpu) ROW(form, ONLY, code, src, off, imm, cpu, "", "")
#include "insn.def"

/* Where not every size is allowed, or its register differs, the sizes are written out. */
#define SIZED(form64, form32, mode, imm, cpu)                                                      \
    ROW(form64, DW, 0x18 | mode, 0, 0, imm, cpu, "u64", "dw")                                      \
    ROW(form32, W, 0x00 | mode, 0, 0, imm, cpu, "u32", "w")                                        \
    ROW(form32, H, 0x08 | mode, 0, 0, imm, cpu, "u16", "h")                                        \
    ROW(form32, B, 0x10 | mode, 0, 0, imm, cpu, "u8", "b")
#define NARROW(form, mode)                                                                         \
    ROW(form, W, 0x00 | mode, 0, 0, 0, 1, "u32", "w")                                              \
    ROW(form, H, 0x08 | mode, 0, 0, 0, 1, "u16", "h")                                              \
    ROW(form, B, 0x10 | mode, 0, 0, 0, 1, "u8", "b")
SIZED(LDX64, LDX32, 0x61, 0, 1)
SIZED(STX64, STX32, 0x63, 0, 1)
SIZED(LOAD_ACQ64, LOAD_ACQ32, 0xc3, 0x100, 4)
SIZED(STORE_REL64, STORE_REL32, 0xc3, 0x110, 4)
NARROW(LDABS, 0x20)
NARROW(LDIND, 0x40)
NARROW(LDIND_K, 0x40)
ROW(LDXSX, W, 0x81, 0, 0, 0, 4, "s32", "w")
ROW(LDXSX, H, 0x89, 0, 0, 0, 4, "s16", "h")
ROW(LDXSX, B, 0x91, 0, 0, 0, 4, "s8", "b")
ROW(MOVSX64, S8, 0xbf, 0, 8, 0, 4, "s8", "8")
ROW(MOVSX64, S16, 0xbf, 0, 16, 0, 4, "s16", "16")
ROW(MOVSX64, S32, 0xbf, 0, 32, 0, 4, "s32", "32")
ROW(MOVSX32, S8, 0xbc, 0, 8, 0, 4, "s8", "8")
ROW(MOVSX32, S16, 0xbc, 0, 16, 0, 4, "s16", "16")

#undef SIZED
#undef NARROW
#undef EB_MAX
#undef ROW
