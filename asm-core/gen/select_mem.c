/* select_mem.c - loads, stores, atomics, and copying and filling of memory.
 *
 * An address is a register plus what the instruction has room for; stack slots are r10 plus an
 * offset that frame.c fills in. Copies and fills are written out in pieces as large as the
 * alignment allows, and are a loop when there would be many. */
#include "select.h"

static bool fits16(int64_t off) {
    return off >= INT16_MIN && off <= INT16_MAX;
}

/* The address a + imm. */
static eb_address address(eb_sel *s, eb_value a, int64_t imm) {
    const eb_ir *ir = eb_sel_ir(s, a);
    if (ir->op == EB_IR_SLOT && fits16(ir->imm) && fits16(imm) && fits16(ir->imm + imm))
        return (eb_address){
            .base = EB_R10, .slot = s->slots[ir->extra] + 1, .off = (int32_t)(ir->imm + imm)};
    uint32_t base = eb_sel_reg(s, a);
    if (fits16(imm))
        return (eb_address){.base = base, .off = (int32_t)imm};
    uint32_t sum = eb_sel_new(s);
    eb_sel_copy(s, sum, base);
    if (imm >= INT32_MIN && imm <= INT32_MAX) {
        eb_sel_alui(s, EB_C_ALU64 | EB_C_ADD, sum, imm);
    } else {
        uint32_t wide = eb_sel_new(s);
        eb_sel_constant(s, wide, imm);
        eb_sel_alu(s, EB_C_ALU64 | EB_C_ADD, sum, wide);
    }
    return (eb_address){.base = sum};
}

/* The address of a load, store or atomic operation. What a CO-RE record says is all that the
 * instruction has for an offset, since libbpf puts another one there; what does not fit is added
 * before. */
static eb_address address_of(eb_sel *s, const eb_ir *ir) {
    if (!ir->extra)
        return address(s, ir->a, ir->imm);
    int64_t value = s->fn->unit->cores.at[ir->extra].value;
    if (!ir->imm && fits16(value))
        return (eb_address){.base = eb_sel_reg(s, ir->a), .off = (int32_t)value, .core = ir->extra};
    uint32_t base = eb_sel_reg(s, ir->a), sum = eb_sel_new(s);
    eb_sel_copy(s, sum, base);
    if (fits16(value)) {
        eb_sel_alui(s, EB_C_ALU64 | EB_C_ADD, sum, ir->imm);
        return (eb_address){.base = sum, .off = (int32_t)value, .core = ir->extra};
    }
    eb_sel_alui(s, EB_C_ALU64 | EB_C_ADD, sum, value)->core = ir->extra;
    if (fits16(ir->imm))
        return (eb_address){.base = sum, .off = (int32_t)ir->imm};
    eb_sel_alui(s, EB_C_ALU64 | EB_C_ADD, sum, ir->imm);
    return (eb_address){.base = sum};
}

static eb_address moved(eb_address at, uint64_t by) {
    at.off += (int32_t)by;
    return at;
}

static eb_mi *access_to(eb_sel *s, unsigned code, eb_address at, bool loads) {
    eb_mi *mi = eb_sel_emit(s, EB_M_INSN);
    mi->code = (uint8_t)code;
    mi->off = at.off;
    mi->slot = at.slot;
    mi->core = at.core;
    *(loads ? &mi->src : &mi->dst) = at.base;
    return mi;
}

void eb_sel_load(eb_sel *s, unsigned size, uint32_t dst, eb_address at) {
    access_to(s, EB_C_LDX | eb_c_size(size), at, true)->dst = dst;
}

void eb_sel_store(eb_sel *s, unsigned size, eb_address at, uint32_t src) {
    access_to(s, EB_C_STX | eb_c_size(size), at, false)->src = src;
}

/* ---- loads and stores ---- */

static void load(eb_sel *s, eb_value value) {
    const eb_ir *ir = eb_sel_ir(s, value);
    eb_address at = address_of(s, ir);
    uint32_t dst = eb_sel_def(s, value);
    unsigned bits = ir->type == EB_IR_I32 ? 32 : 64, size = ir->size * 8u;
    bool is_signed = (ir->flags & EB_IR_SIGNED) && size < bits, extends = is_signed && s->cpu < 4;
    unsigned mode = is_signed && !extends ? EB_C_LDXSX : EB_C_LDX;
    eb_mi *mi = access_to(s, mode | eb_c_size(ir->size), at, true);
    mi->dst = dst;
    if (extends) {
        bool narrow = bits == 32 && s->cpu >= 3;
        unsigned width = narrow ? EB_C_ALU32 : EB_C_ALU64;
        eb_sel_alui(s, width | EB_C_LSH, dst, (narrow ? 32 : 64) - size);
        eb_sel_alui(s, width | EB_C_ARSH, dst, (narrow ? 32 : 64) - size);
    }
    eb_sel_clean(s, value);
}

/* Before v4 no instruction stores a number. The lower `size` bytes count. */
static bool stored_imm(const eb_sel *s, eb_value value, unsigned size, int64_t *imm) {
    if (s->cpu < 4 || !eb_sel_is_const(s, value, imm))
        return false;
    if (size <= 4)
        *imm = (int32_t)(uint32_t)(uint64_t)*imm;
    return *imm >= INT32_MIN && *imm <= INT32_MAX;
}

static void store(eb_sel *s, const eb_ir *ir) {
    int64_t imm;
    eb_address at = address_of(s, ir);
    bool is_imm = stored_imm(s, ir->b, ir->size, &imm);
    uint32_t src = is_imm ? EB_REG_NO : eb_sel_reg(s, ir->b);
    eb_mi *mi = access_to(s, (is_imm ? EB_C_ST : EB_C_STX) | eb_c_size(ir->size), at, false);
    mi->src = src;
    mi->imm = is_imm ? imm : 0;
}

/* ---- atomics ---- */

enum { FETCH = 1, SWAP = 0xe1, CAS = 0xf1, ACQUIRE = 0x100, RELEASE = 0x110 };

static void atomic_access(eb_sel *s, eb_value value, eb_address at) {
    const eb_ir *ir = eb_sel_ir(s, value);
    bool loads = ir->cond == EB_ATOMIC_LOAD;
    uint32_t reg = loads ? eb_sel_def(s, value) : eb_sel_reg(s, ir->b);
    unsigned plain = loads ? EB_C_LDX : EB_C_STX, ordered = EB_C_ATOMIC;
    eb_mi *mi = access_to(s, (s->cpu < 4 ? plain : ordered) | eb_c_size(ir->size), at, loads);
    *(loads ? &mi->dst : &mi->src) = reg;
    mi->imm = s->cpu < 4 ? 0 : loads ? ACQUIRE : RELEASE;
}

static void compare_and_swap(eb_sel *s, eb_value value, eb_address at) {
    const eb_ir *ir = eb_sel_ir(s, value);
    uint32_t src = eb_sel_reg(s, ir->b);
    eb_sel_put(s, 0, ir->c);
    eb_mi *mi = access_to(s, EB_C_ATOMIC | eb_c_size(ir->size), at, false);
    mi->src = src;
    mi->imm = CAS;
    if (s->uses[value])
        eb_sel_copy(s, eb_sel_def(s, value), 0);
}

static void atomic(eb_sel *s, eb_value value) {
    static const uint8_t codes[] = {[EB_ATOMIC_ADD] = 0x00,
                                    [EB_ATOMIC_OR] = 0x40,
                                    [EB_ATOMIC_AND] = 0x50,
                                    [EB_ATOMIC_XOR] = 0xa0};
    const eb_ir *ir = eb_sel_ir(s, value);
    eb_address at = address_of(s, ir);
    if (ir->cond == EB_ATOMIC_LOAD || ir->cond == EB_ATOMIC_STORE) {
        atomic_access(s, value, at);
        return;
    }
    bool fetch = ir->cond >= EB_ATOMIC_SWAP || (ir->type != EB_IR_VOID && s->uses[value]);
    if (s->cpu < 3 && ir->size < 8 && (fetch || ir->cond != EB_ATOMIC_ADD))
        eb_diag_add(s->ctx, EB_DIAG_ATOMIC_CPU, ir->loc, ir->loc + (ir->loc != 0));
    if (ir->cond == EB_ATOMIC_CAS) {
        compare_and_swap(s, value, at);
        return;
    }
    uint32_t src = eb_sel_reg(s, ir->b);
    if (fetch) { /* the register gets the old value */
        uint32_t old = ir->type == EB_IR_VOID ? eb_sel_new(s) : eb_sel_def(s, value);
        eb_sel_put(s, old, ir->b);
        src = old;
    }
    eb_mi *mi = access_to(s, EB_C_ATOMIC | eb_c_size(ir->size), at, false);
    mi->src = src;
    mi->imm = ir->cond == EB_ATOMIC_SWAP ? SWAP : codes[ir->cond] | (fetch ? FETCH : 0);
}

/* ---- copying and filling ---- */

enum { PIECES_MOST = 64 }; /* more are a loop */

static unsigned piece(uint64_t left, unsigned align) {
    unsigned size = align >= 8 ? 8 : align ? align : 1;
    while (size > left)
        size /= 2;
    return size;
}

/* An address that stays put while a loop counts: base + off in a register. */
static uint32_t flat(eb_sel *s, eb_address at) {
    uint32_t reg = eb_sel_new(s);
    if (at.slot) {
        eb_sel_frame(s, reg, at.slot, at.off);
        return reg;
    }
    eb_sel_copy(s, reg, at.base);
    if (at.off)
        eb_sel_alui(s, EB_C_ALU64 | EB_C_ADD, reg, at.off);
    return reg;
}

typedef struct transfer {
    eb_address to, from;
    bool copies; /* else fills with: */
    eb_value byte;
    uint32_t pattern[9]; /* registers with the byte repeated, by size */
    bool is_const;
    uint64_t value; /* repeated in 8 bytes */
} transfer;

/* The register with the byte repeated `size` times. */
static uint32_t pattern(eb_sel *s, transfer *t, unsigned size) {
    if (t->pattern[size])
        return t->pattern[size];
    uint32_t reg = t->pattern[size] = eb_sel_new(s);
    if (t->is_const) {
        uint64_t value = size == 8 ? t->value : t->value & (((uint64_t)1 << size * 8) - 1);
        eb_sel_constant(s, reg, (int64_t)value);
        return reg;
    }
    eb_sel_put(s, reg, t->byte);
    if (size == 1)
        return reg;
    eb_sel_alui(s, EB_C_ALU64 | EB_C_AND, reg, 0xff);
    for (unsigned bytes = 1; bytes < size; bytes *= 2) {
        uint32_t high = eb_sel_new(s);
        eb_sel_copy(s, high, reg);
        eb_sel_alui(s, EB_C_ALU64 | EB_C_LSH, high, bytes * 8);
        eb_sel_alu(s, EB_C_ALU64 | 0x40, reg, high);
    }
    return reg;
}

static void put_piece(eb_sel *s, transfer *t, uint64_t at, unsigned size) {
    if (t->copies) {
        uint32_t reg = eb_sel_new(s);
        eb_sel_load(s, size, reg, moved(t->from, at));
        eb_sel_store(s, size, moved(t->to, at), reg);
        return;
    }
    int32_t narrow = (int32_t)(uint32_t)t->value;
    if (s->cpu >= 4 && t->is_const && (size < 8 || (uint64_t)(int64_t)narrow == t->value))
        access_to(s, EB_C_ST | eb_c_size(size), moved(t->to, at), false)->imm =
            size == 1   ? narrow & 0xff
            : size == 2 ? narrow & 0xffff
                        : narrow;
    else
        eb_sel_store(s, size, moved(t->to, at), pattern(s, t, size));
}

/* `for (i = 0; i < count; i += size)` over both addresses. */
static void put_loop(eb_sel *s, transfer *t, uint64_t count, unsigned size) {
    uint32_t to = flat(s, t->to), from = t->copies ? flat(s, t->from) : 0, index = eb_sel_new(s);
    if (!t->copies)
        pattern(s, t, size);
    eb_sel_constant(s, index, 0);
    eb_sel_emit(s, EB_M_JUMP);
    uint32_t before = s->block, loop = eb_sel_block(s), behind = eb_sel_block(s);
    eb_sel_edge(s, before, loop);
    eb_sel_edge(s, loop, loop);
    eb_sel_edge(s, loop, behind);
    s->block = loop;
    s->mfn->blocks.at[loop].depth++;
    uint32_t source = t->copies ? eb_sel_new(s) : 0, target = eb_sel_new(s);
    if (t->copies) {
        eb_sel_copy(s, source, from);
        eb_sel_alu(s, EB_C_ALU64 | EB_C_ADD, source, index);
    }
    eb_sel_copy(s, target, to);
    eb_sel_alu(s, EB_C_ALU64 | EB_C_ADD, target, index);
    transfer one = *t;
    one.to = (eb_address){.base = target};
    one.from = (eb_address){.base = source};
    put_piece(s, &one, 0, size);
    eb_sel_alui(s, EB_C_ALU64 | EB_C_ADD, index, size);
    eb_mi *mi = eb_sel_emit(s, EB_M_BRANCH);
    mi->cond = EB_COND_NE;
    mi->dst = index;
    mi->imm = (int64_t)count;
    s->block = behind;
}

static void put_transfer(eb_sel *s, transfer *t, uint64_t bytes, unsigned align) {
    unsigned size = piece(bytes, align);
    uint64_t at = 0;
    if (bytes / (size ? size : 1) > PIECES_MOST) {
        at = bytes - bytes % size;
        put_loop(s, t, at, size);
    }
    for (; at < bytes; at += size) {
        size = piece(bytes - at, align);
        put_piece(s, t, at, size);
    }
}

/* How many bytes: imm, or what c came to. */
static uint64_t bytes_of(const eb_sel *s, const eb_ir *ir) {
    int64_t imm = ir->imm;
    if (ir->c && !eb_sel_is_const(s, ir->c, &imm)) {
        eb_diag_add(s->ctx, EB_DIAG_MEMORY_SIZE, ir->loc, ir->loc + (ir->loc != 0));
        return 0;
    }
    return (uint64_t)imm;
}

static void fill(eb_sel *s, const eb_ir *ir) {
    int64_t imm = 0;
    transfer t = {.to = address(s, ir->a, 0), .byte = ir->b};
    t.is_const = eb_sel_is_const(s, ir->b, &imm);
    t.value = (uint8_t)imm * UINT64_C(0x0101010101010101);
    put_transfer(s, &t, bytes_of(s, ir), ir->size);
}

static void copy(eb_sel *s, const eb_ir *ir) {
    transfer t = {.copies = true, .to = address(s, ir->a, 0), .from = address(s, ir->b, 0)};
    put_transfer(s, &t, bytes_of(s, ir), ir->size);
}

/* What may overlap goes through registers when it is little, else through the frame. */
static void move(eb_sel *s, const eb_ir *ir) {
    enum { LITTLE = 4 };
    uint64_t bytes = bytes_of(s, ir);
    eb_address to = address(s, ir->a, 0), from = address(s, ir->b, 0);
    uint32_t regs[LITTLE];
    unsigned size = piece(bytes, ir->size), count = 0;
    if (!bytes)
        return;
    if (bytes % size == 0 && bytes / size <= LITTLE) {
        for (uint64_t at = 0; at < bytes; at += size)
            eb_sel_load(s, size, regs[count++] = eb_sel_new(s), moved(from, at));
        for (uint64_t at = 0; at < bytes; at += size)
            eb_sel_store(s, size, moved(to, at), regs[at / size]);
        return;
    }
    *EB_PUSH(&s->ctx->scratch, &s->mfn->slots) =
        (eb_mslot){.size = bytes, .align = 8, .name = EB_STR("memmove"), .loc = ir->loc};
    eb_address between = {.base = EB_R10, .slot = s->mfn->slots.len};
    transfer out = {.copies = true, .to = between, .from = from};
    put_transfer(s, &out, bytes, ir->size);
    transfer in = {.copies = true, .to = to, .from = between};
    put_transfer(s, &in, bytes, ir->size);
}

void eb_sel_memory(eb_sel *s, eb_value value) {
    const eb_ir *ir = eb_sel_ir(s, value);
    switch (ir->op) {
    case EB_IR_LOAD:
        load(s, value);
        break;
    case EB_IR_STORE:
        store(s, ir);
        break;
    case EB_IR_ATOMIC:
        atomic(s, value);
        break;
    case EB_IR_COPYMEM:
        copy(s, ir);
        break;
    case EB_IR_MOVEMEM:
        move(s, ir);
        break;
    default:
        fill(s, ir);
    }
}
