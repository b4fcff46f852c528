/* loop.h - the interpreter, unfolded twice: by run_fast.c and run_exact.c. No include guard.
 *
 * The includer defines
 *   LOOP         the function's name
 *   BIG          whether memory is big-endian
 *   FAST         1: instructions are counted at jumps, and the loop gives up (returns 0) when the
 *                budget might end before the next one; 0: each is counted
 *   THREADED     1: every operation jumps to the next one's code by itself (a GNU extension), so
 *                that the processor predicts each of these jumps apart; 0: one switch
 * One case per row of insn.def; what operations compute is in semantics.h, from the same rows. */
#include "semantics.h"
#include "vm.h"

#include <string.h>

#define HOST_BIG (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
#define ACCESSORS(bits)                                                                            \
    static inline uint##bits##_t load##bits(const uint8_t *at, bool big) {                         \
        uint##bits##_t value;                                                                      \
        memcpy(&value, at, sizeof value);                                                          \
        return big != HOST_BIG ? __builtin_bswap##bits(value) : value;                             \
    }                                                                                              \
    static inline void store##bits(uint8_t *at, bool big, uint64_t wide) {                         \
        uint##bits##_t value = (uint##bits##_t)wide;                                               \
        value = big != HOST_BIG ? __builtin_bswap##bits(value) : value;                            \
        memcpy(at, &value, sizeof value);                                                          \
    }
ACCESSORS(16)
ACCESSORS(32)
ACCESSORS(64)

static inline uint8_t load8(const uint8_t *at, bool big) {
    (void)big;
    return *at;
}

static inline void store8(uint8_t *at, bool big, uint64_t wide) {
    (void)big;
    *at = (uint8_t)wide;
}

/* Host memory for the common access, or NULL. */
static inline uint8_t *reach(const eb_region *regions, uint64_t count, uint64_t address,
                             uint32_t size, bool write) {
    uint64_t id = address >> 32, offset = address & UINT32_MAX;
    if (__builtin_expect(id >= count, 0))
        return NULL;
    const eb_region *region = &regions[id];
    uint64_t limit = write ? region->write : region->read;
    return __builtin_expect(offset + size <= limit, 1) ? region->base + offset : NULL;
}

/* clang-format off */
#define DST r[pc->dst]
#define SRC r[pc->src]
#define OFF ((uint64_t)(int64_t)pc->off)

#if THREADED
#define OP(form, id) L_##form##_##id
#define DISPATCH() goto *labels[pc->fast]
#else
#define OP(form, id) case EB_OP_##form##_##id
#define DISPATCH() goto dispatch
#endif

#if FAST
#define NEXT()                                                                                     \
    do {                                                                                           \
        pc++;                                                                                      \
        DISPATCH();                                                                                \
    } while (0)
#define JUMP(target)                                                                               \
    do {                                                                                           \
        const eb_vm_op *goal = (target);                                                           \
        vm->credit += goal - pc - 1;                                                               \
        pc = goal;                                                                                 \
        if (__builtin_expect(vm->credit < 0, 0))                                                   \
            goto give_up;                                                                          \
        DISPATCH();                                                                                \
    } while (0)
#else
#define NEXT()                                                                                     \
    do {                                                                                           \
        pc++;                                                                                      \
        goto next;                                                                                 \
    } while (0)
#define JUMP(target)                                                                               \
    do {                                                                                           \
        pc = (target);                                                                             \
        goto next;                                                                                 \
    } while (0)
#endif

/* `at` becomes host memory for `bytes` at `base` + offset, or the program faults. */
#define REACH(base, bytes, writes)                                                                 \
    uint64_t address = (base) + OFF;                                                               \
    uint8_t *at = reach(regions, region_count, address, bytes, writes);                            \
    if (__builtin_expect(!at, 0)) {                                                                \
        if (!(at = eb_vm_reach(vm, address, bytes, writes)))                                       \
            goto fault;                                                                            \
        if (!(writes) && (bytes) == 4 && vm->wide)                                                 \
            goto load_wide;                                                                        \
    }                                                                                              \
    (void)0
#define REACH_ATOMIC(base, bytes)                                                                  \
    uint8_t *at = eb_vm_reach_atomic(vm, (base) + OFF, bytes);                                     \
    if (!at)                                                                                       \
        goto fault

/* Operations that may be the first of a pair (fused.def), without the way to the next one. */
#define STEP_ALU64_X(id) DST = alu64_##id(DST, SRC, (int64_t)DST, (int64_t)SRC)
#define STEP_ALU64_K(id) DST = alu64_##id(DST, pc->imm, (int64_t)DST, (int64_t)pc->imm)
#define STEP_ALU32_K(id)                                                                           \
    DST = alu32_##id((uint32_t)DST, (uint32_t)pc->imm, (int32_t)(uint32_t)DST,                     \
                     (int32_t)(uint32_t)pc->imm)
#define STEP_LOAD(bits, type)                                                                      \
    do {                                                                                           \
        REACH(SRC, bits / 8, false);                                                               \
        DST = (uint64_t)(type)load##bits(at, BIG);                                                 \
    } while (0)
#define STEP_LDX64_DW STEP_LOAD(64, uint64_t)
#define STEP_LDX32_W  STEP_LOAD(32, uint32_t)
#define STEP_LDX32_H  STEP_LOAD(16, uint16_t)
#define STEP_LDX32_B  STEP_LOAD(8, uint8_t)
#define STEP_LDXSX_W  STEP_LOAD(32, int32_t)
#define STEP_LDXSX_H  STEP_LOAD(16, int16_t)
#define STEP_LDXSX_B  STEP_LOAD(8, int8_t)
#define STEP_LDX64(id) STEP_LDX64_##id
#define STEP_LDX32(id) STEP_LDX32_##id

int LOOP(ebpf_vm *vm, uint64_t most) {
    uint64_t *const r = vm->state.reg;
    const eb_vm_op *const ops = vm->ops, *pc = ops + vm->pc;
    const eb_region *const regions = vm->regions;
    const uint64_t region_count = vm->region_count;
    uint64_t callee;
    uint32_t to;
    int stop, found;
    if (most > INT64_MAX)
        most = INT64_MAX;
#if FAST
    /* Credit is what is left plus the number of the operation at hand: one addition per jump, and
     * nothing to keep in a register. Falling below 0 it may be short by one walk through all
     * operations, and another one leads to the next check. */
    const int64_t slack = 2 * (int64_t)vm->op_count;
    int64_t left = (int64_t)most - slack;
    if (left < 0) {
        vm->left = most;
        return 0;
    }
    vm->credit = left + (pc - ops);
#else
    int64_t left = (int64_t)most;
    const bool big = vm->big, observed = eb_vm_observed(vm);
#endif

#if THREADED
    static const void *const labels[] = {
#define ROW(form, id, code, src, off, imm, cpu, llvm, ubpf) &&L_##form##_##id,
#include "rows.h"
        &&bad,
#define FUSED(form, id, then, then_id) &&L_##form##_##id##_##then##_##then_id,
#include "fused.def"
#undef FUSED
    };
    DISPATCH();
#else
#if !FAST
next:
    if (left == 0)
        goto used_up;
    if (observed && eb_vm_observe(vm, (uint32_t)(pc - ops)))
        goto broken;
    left--;
#else
dispatch:
#endif
    switch (FAST ? pc->fast : pc->op) { /* one case per row */
#endif

#define ALU(id, code, off, sign, word, cpu, value)                                                 \
    OP(ALU64_X, id) : STEP_ALU64_X(id);                                                            \
    NEXT();                                                                                        \
    OP(ALU64_K, id) : STEP_ALU64_K(id);                                                            \
    NEXT();                                                                                        \
    OP(ALU32_X, id)                                                                                \
        : DST = alu32_##id((uint32_t)DST, (uint32_t)SRC, (int32_t)(uint32_t)DST,                   \
                           (int32_t)(uint32_t)SRC);                                                \
    NEXT();                                                                                        \
    OP(ALU32_K, id) : STEP_ALU32_K(id);                                                            \
    NEXT();
#define END(id, code, imm, sign, word, cpu, value)                                                 \
    OP(END, id) : DST = end_##id(DST, BIG);                                                        \
    NEXT();
#define BSWAP(id, code, imm, sign, word, cpu, value)                                               \
    OP(BSWAP, id) : DST = end_##id(DST, BIG);                                                      \
    NEXT();
#define JMP(id, code, sign, word, cpu, taken)                                                      \
    OP(JMP64_X, id) : if (jmp64_##id(DST, SRC, (int64_t)DST, (int64_t)SRC)) JUMP(pc + pc->off);    \
    NEXT();                                                                                        \
    OP(JMP64_K, id)                                                                                \
        : if (jmp64_##id(DST, pc->imm, (int64_t)DST, (int64_t)pc->imm)) JUMP(pc + pc->off);        \
    NEXT();                                                                                        \
    OP(JMP32_X, id)                                                                                \
        : if (jmp32_##id((uint32_t)DST, (uint32_t)SRC, (int32_t)(uint32_t)DST,                     \
                         (int32_t)(uint32_t)SRC)) JUMP(pc + pc->off);                              \
    NEXT();                                                                                        \
    OP(JMP32_K, id)                                                                                \
        : if (jmp32_##id((uint32_t)DST, (uint32_t)pc->imm, (int32_t)(uint32_t)DST,                 \
                         (int32_t)(uint32_t)pc->imm)) JUMP(pc + pc->off);                          \
    NEXT();
#define MODIFY(form, id, bits, result)                                                             \
    OP(form##bits, id) : {                                                                         \
        REACH_ATOMIC(DST, bits / 8);                                                               \
        uint##bits##_t old = load##bits(at, BIG);                                                  \
        store##bits(at, BIG, atomic##bits##_##id(old, (uint##bits##_t)SRC));                       \
        result;                                                                                    \
        NEXT();                                                                                    \
    }
#define ATOMIC(id, imm, sign, word, value)                                                         \
    MODIFY(ATOMIC, id, 64, (void)0)                                                                \
    MODIFY(ATOMIC, id, 32, (void)0)                                                                \
    MODIFY(FETCH, id, 64, SRC = old)                                                               \
    MODIFY(FETCH, id, 32, SRC = old)
#include "insn.def"
#undef MODIFY

#define LOAD(form, id)                                                                             \
    OP(form, id) : STEP_##form##_##id;                                                             \
    NEXT();
#define STORE(form, id, bits, value)                                                               \
    OP(form, id) : {                                                                               \
        REACH(DST, bits / 8, true);                                                                \
        store##bits(at, BIG, value);                                                               \
        NEXT();                                                                                    \
    }
    LOAD(LDX64, DW)
    LOAD(LDX32, W)
    LOAD(LDX32, H)
    LOAD(LDX32, B)
    LOAD(LDXSX, W)
    LOAD(LDXSX, H)
    LOAD(LDXSX, B)
    STORE(STX64, DW, 64, SRC)
    STORE(STX32, W, 32, SRC)
    STORE(STX32, H, 16, SRC)
    STORE(STX32, B, 8, SRC)
    STORE(ST, DW, 64, pc->imm)
    STORE(ST, W, 32, pc->imm)
    STORE(ST, H, 16, pc->imm)
    STORE(ST, B, 8, pc->imm)
#undef LOAD
#undef STORE

#if FAST
#if THREADED
#define PAIR(form, id, then, then_id) L_##form##_##id##_##then##_##then_id
#else
#define PAIR(form, id, then, then_id) case EB_FUSED_##form##_##id##_##then##_##then_id
#endif
/* The second one unfolded, not jumped to: V8's code for the latter was four times slower. */
#define THEN_ALU64_X(id)                                                                           \
    STEP_ALU64_X(id);                                                                              \
    NEXT()
#define THEN_ALU64_K(id)                                                                           \
    STEP_ALU64_K(id);                                                                              \
    NEXT()
#define THEN_LDX64(id)                                                                             \
    STEP_LDX64(id);                                                                                \
    NEXT()
#define THEN_LDX32(id)                                                                             \
    STEP_LDX32(id);                                                                                \
    NEXT()
#define THEN_LDDW(id)                                                                              \
    DST = pc->imm;                                                                                 \
    NEXT()
#define THEN_JMP64_K(id)                                                                           \
    if (jmp64_##id(DST, pc->imm, (int64_t)DST, (int64_t)pc->imm))                                  \
        JUMP(pc + pc->off);                                                                        \
    NEXT()
#define THEN_CALL(id)                                                                              \
    callee = pc->imm;                                                                              \
    goto call_helper
#define FUSED(form, id, then, then_id)                                                             \
    PAIR(form, id, then, then_id) : STEP_##form(id);                                               \
    pc++;                                                                                          \
    THEN_##then(then_id);
#include "fused.def"
#undef FUSED
#undef PAIR
#endif

    /* Ordering means nothing to one thread; alignment does. */
#define ACQUIRE(form, id, bits)                                                                    \
    OP(form, id) : {                                                                               \
        REACH(SRC, bits / 8, false);                                                               \
        if (address % (bits / 8) && !(at = eb_vm_reach_atomic(vm, address, bits / 8)))             \
            goto fault;                                                                            \
        DST = load##bits(at, BIG);                                                                 \
        NEXT();                                                                                    \
    }
#define RELEASE(form, id, bits)                                                                    \
    OP(form, id) : {                                                                               \
        REACH_ATOMIC(DST, bits / 8);                                                               \
        store##bits(at, BIG, SRC);                                                                 \
        NEXT();                                                                                    \
    }
    ACQUIRE(LOAD_ACQ64, DW, 64)
    ACQUIRE(LOAD_ACQ32, W, 32)
    ACQUIRE(LOAD_ACQ32, H, 16)
    ACQUIRE(LOAD_ACQ32, B, 8)
    RELEASE(STORE_REL64, DW, 64)
    RELEASE(STORE_REL32, W, 32)
    RELEASE(STORE_REL32, H, 16)
    RELEASE(STORE_REL32, B, 8)
#undef ACQUIRE
#undef RELEASE

#define EXCHANGE(bits)                                                                             \
    OP(XCHG##bits, ONLY) : {                                                                       \
        REACH_ATOMIC(DST, bits / 8);                                                               \
        uint64_t old = load##bits(at, BIG);                                                        \
        store##bits(at, BIG, SRC);                                                                 \
        SRC = old;                                                                                 \
        NEXT();                                                                                    \
    }                                                                                              \
    OP(CMPXCHG##bits, ONLY) : {                                                                    \
        REACH_ATOMIC(DST, bits / 8);                                                               \
        uint##bits##_t old = load##bits(at, BIG);                                                  \
        if (old == (uint##bits##_t)r[0])                                                           \
            store##bits(at, BIG, SRC);                                                             \
        r[0] = old;                                                                                \
        NEXT();                                                                                    \
    }
    EXCHANGE(64)
    EXCHANGE(32)
#undef EXCHANGE

    OP(MOVSX64, S8) : DST = movsx64_S8(SRC);
    NEXT();
    OP(MOVSX64, S16) : DST = movsx64_S16(SRC);
    NEXT();
    OP(MOVSX64, S32) : DST = movsx64_S32(SRC);
    NEXT();
    OP(MOVSX32, S8) : DST = movsx32_S8((uint32_t)SRC);
    NEXT();
    OP(MOVSX32, S16) : DST = movsx32_S16((uint32_t)SRC);
    NEXT();
    OP(NEG64, ONLY) : DST = 0 - DST;
    NEXT();
    OP(NEG32, ONLY) : DST = (uint32_t)(0 - DST);
    NEXT();
    OP(LDDW, ONLY) : DST = pc->imm;
    NEXT();

    OP(JA, ONLY) : JUMP(pc + pc->off);
    OP(JA32, ONLY) : JUMP(pc + pc->off);
    OP(MAY_GOTO, ONLY) : if (vm->may_goto[vm->depth] == 0) JUMP(pc + pc->off);
    vm->may_goto[vm->depth]--;
    NEXT();

    OP(CALL, ONLY) : callee = pc->imm;
    goto call_helper;
    OP(CALL_LOCAL, ONLY) : callee = (uint64_t)(pc + pc->off - ops);
    goto call_function;
    OP(CALLX, ONLY) : callee = DST;
    if (callee <= UINT32_MAX) {
        callee |= (uint64_t)(callee >= EB_HELPERS) << 32; /* as the loader does */
        goto call_helper;
    }
    if (!eb_vm_callee(vm, &callee))
        goto fault;
    goto call_function;

#define PACKET_LOAD(id, bytes)                                                                     \
    OP(LDABS, id) : found = eb_packet_load(vm, (int32_t)(uint32_t)pc->imm, bytes);                 \
    goto packet_loaded;                                                                            \
    OP(LDIND, id)                                                                                  \
        : OP(LDIND_K, id)                                                                          \
        : found = eb_packet_load(vm, (int32_t)((uint32_t)pc->imm + (uint32_t)SRC), bytes);         \
    goto packet_loaded;
    PACKET_LOAD(W, 4)
    PACKET_LOAD(H, 2)
    PACKET_LOAD(B, 1)
#undef PACKET_LOAD
packet_loaded:
    if (found < 0)
        goto fault;
    if (found == 0)
        NEXT();
    r[0] = 0; /* the packet ends before: the function does, too */
    goto leave;

leave:
    OP(EXIT, ONLY) : if (vm->depth == 0) {
        stop = EBPF_STOP_EXIT;
        goto stop_behind;
    }
    eb_vm_frame_close(vm);
    memcpy(&r[6], vm->frames[vm->depth].saved, sizeof vm->frames[0].saved);
    to = vm->frames[vm->depth].ret;
    if (__builtin_expect(to == EB_NO_OP, 0) && (to = eb_vm_returned(vm)) == EB_NO_OP)
        goto fault;
    JUMP(ops + to);

    OP(CAST_SPACE, ONLY) : DST = eb_arena_cast(vm, SRC, pc->imm == EB_CAST_TO_USER);
    NEXT();

    /* The loader has made these into operations that fault. */
    OP(CALL_KFUNC, ONLY)
        : OP(LDDW_PSEUDO, ONLY)
#if THREADED
        : bad
#else
        : default
#endif
        : eb_vm_bad_op(vm, pc);
    goto fault;
#if !THREADED
}
#endif

load_wide: /* a field of the context that holds a pointer in 32 bits */
    DST = vm->wide;
    vm->wide = 0;
    NEXT();

call_helper:
    if (callee >= vm->helper_count || !callee) {
        eb_vm_refuse(vm, EBPF_FAULT_HELPER, 0, "there is no helper %u", (uint32_t)callee);
        goto fault;
    }
    vm->helper = (uint32_t)callee;
    if (!vm->helpers[callee](vm, r))
        goto fault;
    vm->helper = 0;
    if (__builtin_expect(vm->go == EB_GO_ON, 1))
        NEXT();
    if (vm->go == EB_GO_HOST) {
        vm->go = EB_GO_ON;
        stop = EBPF_STOP_HELPER;
        goto stop_behind;
    }
    to = eb_vm_transfer(vm, (uint32_t)(pc - ops) + 1);
    if (to == EB_NO_OP)
        goto fault;
    JUMP(ops + to);

call_function:
    if (vm->depth + 1 >= EBPF_VM_FRAMES) {
        eb_vm_refuse(vm, EBPF_FAULT_DEPTH, 0, "this call would be the %uth inside each other",
                     (unsigned)EBPF_VM_FRAMES);
        goto fault;
    }
    vm->frames[vm->depth].ret = (uint32_t)(pc - ops) + 1;
    memcpy(vm->frames[vm->depth].saved, &r[6], sizeof vm->frames[0].saved);
    eb_vm_frame_open(vm, vm->depth + 1);
    JUMP(ops + callee);

fault:
    stop = EBPF_STOP_FAULT;
    vm->pc = (uint32_t)(pc - ops);
    goto count;
stop_behind: /* this operation is done */
    vm->pc = (uint32_t)(pc - ops) + 1;
#if FAST
count:
    left = vm->credit - (pc - ops) - 1 + slack;
    goto out;
give_up:
    stop = 0;
    vm->pc = (uint32_t)(pc - ops);
    left = vm->credit - (pc - ops) + slack;
out:
#else
    goto count;
broken:
    stop = EBPF_STOP_BREAK;
    vm->pc = (uint32_t)(pc - ops);
    goto count;
used_up:
    stop = EBPF_STOP_BUDGET;
    vm->pc = (uint32_t)(pc - ops);
count:
#endif
    vm->state.executed += most - (uint64_t)left;
    vm->left = (uint64_t)left;
    return stop;
}

#undef REACH
#undef REACH_ATOMIC
#undef NEXT
#undef JUMP
#undef DISPATCH
#undef OP
#undef OFF
#undef SRC
#undef DST
