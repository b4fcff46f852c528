/* memory.c - statements that read and write memory: the frame, data sections, map values and what
 * callers pass; by constant and by variable offsets; plain, sign-extending, atomic. */
#include "generate.h"

/* ---- places ---- */

bool frame_place(gen *g, uint32_t size, place *out) {
    if (g->data < size)
        return false;
    *out = (place){.reg = 10, .off = -(int)g->data, .size = g->data};
    return true;
}

static bool fits(const content *v, uint32_t size, bool write) {
    return (v->kind == MEMORY || v->kind == VALUE) && v->size >= size && (v->write || !write);
}

static bool from_register(gen *g, uint32_t size, bool write, place *out) {
    uint32_t first = rng_below(&g->r, REGS);
    for (uint32_t n = 0; n < REGS; n++) {
        uint32_t i = (first + n) % REGS;
        const content *v = &g->s.reg[i];
        if ((g->held >> i & 1) || !fits(v, size, write))
            continue;
        hold(g, i);
        *out = (place){.reg = i, .size = v->size, .any_align = v->kind == VALUE};
        return true;
    }
    return false;
}

static bool from_slot(gen *g, uint32_t size, bool write, place *out) {
    uint32_t i = rng_below(&g->r, SLOTS);
    const content v = g->s.slot[i];
    int reg = fits(&v, size, write) ? fresh(g) : -1;
    if (reg < 0)
        return false;
    emit(g, EB_OP_LDX64_DW, (uint32_t)reg, 10, -(int)(g->data + 8 * (i + 1)), 0);
    g->s.reg[reg] = v;
    *out = (place){.reg = (uint32_t)reg, .size = v.size, .any_align = v.kind == VALUE};
    return true;
}

static bool from_data(gen *g, uint32_t size, bool write, place *out) {
    uint32_t i = rng_below(&g->r, g->p->map_count);
    const map *m = &g->p->maps[i];
    if (m->use == USE_MAP || i == g->out || m->value_size < size || (write && m->use == USE_RODATA))
        return false;
    int reg = fresh(g);
    if (reg < 0)
        return false;
    uint32_t off = rng_chance(&g->r, 50) ? 0 : rng_below(&g->r, (m->value_size - size) / 8 + 1) * 8;
    emit_ref(g, EB_OP_LDDW_ONLY, (uint32_t)reg, REF_VALUE, i, off);
    g->s.reg[reg] = (content){.kind = VALUE,
                              .map = (uint8_t)i,
                              .write = m->use != USE_RODATA,
                              .size = (uint16_t)(m->value_size - off)};
    *out = (place){.reg = (uint32_t)reg, .size = m->value_size - off, .any_align = true};
    return true;
}

/* An open packet, in whatever register it is. */
static bool from_packet(gen *g, uint32_t size, place *out) {
    for (uint32_t i = 0; i < REGS && g->packets; i++) {
        const content *v = &g->s.reg[i];
        if ((g->held >> i & 1) || v->kind != PACKET || v->size < size)
            continue;
        hold(g, i);
        *out = (place){.reg = i, .size = v->size, .any_align = true};
        return true;
    }
    return false;
}

bool find_place(gen *g, uint32_t size, bool write, place *out) {
    for (int tries = 0; tries < 4; tries++) {
        uint32_t n = rng_below(&g->r, 10);
        if (n < 3   ? frame_place(g, size, out)
            : n < 6 ? from_register(g, size, write, out)
            : n < 7 ? from_slot(g, size, write, out)
                    : from_data(g, size, write, out))
            return true;
    }
    return frame_place(g, size, out);
}

void put_address(gen *g, uint32_t dst, const place *at) {
    if (at->reg != dst)
        emit(g, EB_OP_ALU64_X_MOV, dst, at->reg, 0, 0);
    if (at->off)
        emit(g, EB_OP_ALU64_K_ADD, dst, 0, 0, at->off);
}

void put_map(gen *g, uint32_t dst, uint32_t which) {
    emit_ref(g, EB_OP_LDDW_ONLY, dst, REF_MAP, which, 0);
}

/* ---- accesses ---- */

static uint32_t access_size(uint32_t op) {
    static const uint8_t sizes[] = {4, 2, 1, 8};
    return sizes[eb_insn_rows[op].code >> 3 & 3];
}

static bool is_write(eb_form form) {
    return form != EB_FORM_LDX64 && form != EB_FORM_LDX32 && form != EB_FORM_LDXSX &&
           form != EB_FORM_LOAD_ACQ64 && form != EB_FORM_LOAD_ACQ32;
}

static bool is_ordered(eb_form form) {
    switch (form) {
    case EB_FORM_LDX64:
    case EB_FORM_LDX32:
    case EB_FORM_LDXSX:
    case EB_FORM_STX64:
    case EB_FORM_STX32:
    case EB_FORM_ST:
        return false;
    default:
        return true;
    }
}

static const eb_form plain_forms[] = {EB_FORM_LDX64, EB_FORM_LDX32, EB_FORM_LDXSX,
                                      EB_FORM_STX64, EB_FORM_STX32, EB_FORM_ST};
static const eb_form atomic_forms[] = {
    EB_FORM_ATOMIC64,   EB_FORM_ATOMIC32,   EB_FORM_FETCH64,     EB_FORM_FETCH32,
    EB_FORM_XCHG64,     EB_FORM_XCHG32,     EB_FORM_CMPXCHG64,   EB_FORM_CMPXCHG32,
    EB_FORM_LOAD_ACQ64, EB_FORM_LOAD_ACQ32, EB_FORM_STORE_REL64, EB_FORM_STORE_REL32};

/* A compare-and-exchange wants a number in r0, best one that can be equal. */
static bool ready_r0(gen *g, const place *at, uint32_t op, int off) {
    const uint32_t r0 = 1;
    if ((g->locked | g->held) & r0)
        return false;
    if (g->s.reg[0].kind != SCALAR && g->s.reg[0].kind != NONE)
        return false;
    hold(g, 0);
    if (rng_chance(&g->r, 50) && at->reg != 0)
        emit(g, access_size(op) == 8 ? EB_OP_LDX64_DW : EB_OP_LDX32_W, 0, at->reg, off, 0);
    else if (g->s.reg[0].kind == NONE)
        move_imm(g, 0, random_imm(g));
    set_scalar(g, 0);
    return true;
}

static bool fetches(eb_form form) {
    return form == EB_FORM_FETCH64 || form == EB_FORM_FETCH32 || form == EB_FORM_XCHG64 ||
           form == EB_FORM_XCHG32 || form == EB_FORM_CMPXCHG64 || form == EB_FORM_CMPXCHG32;
}

/* Make the verifier forget what it knows of a number, without changing it.
 *
 * It must forget what an atomic operation has fetched from the stack: the verifier (6.18) takes it
 * for the number that was spilled there, but when a jump is decided by that, it does not find the
 * way back to the slot and prunes states whose slots differ. It then drops branches that are taken,
 * and the program does what no VM should: seeds 1058 and 1162 of this generator's first days. */
static void launder(gen *g, uint32_t reg, uint32_t unknown) {
    emit(g, EB_OP_ALU64_X_XOR, reg, unknown, 0, 0);
    emit(g, EB_OP_ALU64_X_XOR, reg, unknown, 0, 0);
}

int unknown_number(gen *g) {
    int reg = fresh(g);
    if (reg < 0)
        return -1;
    emit_ref(g, EB_OP_LDDW_ONLY, (uint32_t)reg, REF_VALUE, g->out + 1, 0);
    emit(g, EB_OP_LDX64_DW, (uint32_t)reg, (uint32_t)reg, 0, 0);
    set_scalar(g, (uint32_t)reg);
    return reg;
}

/* One access at `off` from the place's register. */
static bool access_at(gen *g, uint32_t op, const place *at, int off) {
    eb_form form = (eb_form)eb_insn_rows[op].form;
    if ((form == EB_FORM_CMPXCHG64 || form == EB_FORM_CMPXCHG32) && !ready_r0(g, at, op, off))
        return false;
    if (form == EB_FORM_ST) {
        emit(g, op, at->reg, 0, off, random_imm(g));
        return true;
    }
    if (is_write(form)) {
        bool exchange = form == EB_FORM_CMPXCHG64 || form == EB_FORM_CMPXCHG32;
        int src = scalar(g), unknown = REGS;
        if (fetches(form) && !at->any_align)
            unknown = unknown_number(g);
        if (src < 0 || unknown < 0 || (fetches(form) && !exchange && (g->locked >> src & 1)))
            return false;
        emit(g, op, at->reg, (uint32_t)src, off, 0);
        if (unknown < REGS)
            launder(g, exchange ? 0 : (uint32_t)src, (uint32_t)unknown);
        return true;
    }
    int dst = target(g);
    if (dst < 0)
        return false;
    emit(g, op, (uint32_t)dst, at->reg, off, 0);
    set_scalar(g, (uint32_t)dst);
    return true;
}

/* An offset below `limit` - size, from the place's start. */
static int random_offset(gen *g, const place *at, uint32_t size, bool aligned) {
    uint32_t most = at->size - size;
    uint32_t off = rng_below(&g->r, most + 1);
    return (int)(aligned ? off / size * size : off);
}

static uint32_t random_access(gen *g, uint32_t atomics) {
    eb_form form = rng_chance(&g->r, atomics) ? atomic_forms[rng_below(&g->r, 12)]
                                              : plain_forms[rng_below(&g->r, 6)];
    return random_op(g, form);
}

bool access_memory(gen *g) {
    uint32_t op = random_access(g, 35), size = access_size(op);
    eb_form form = (eb_form)eb_insn_rows[op].form;
    place at;
    bool packet = !is_ordered(form) && rng_chance(&g->r, 50) && from_packet(g, size, &at);
    if (!packet && !find_place(g, size, is_write(form), &at))
        return false;
    bool aligned = !at.any_align || is_ordered(form);
    return access_at(g, op, &at, at.off + random_offset(g, &at, size, aligned));
}

/* By a number that the verifier only knows to be below a bound. */
bool access_variable(gen *g) {
    uint32_t op = random_access(g, 10), size = access_size(op);
    eb_form form = (eb_form)eb_insn_rows[op].form;
    place at;
    if (!find_place(g, 16, is_write(form), &at) || (!at.any_align && is_ordered(form)))
        return false;
    int from = scalar(g), pointer = fresh(g), index = fresh(g);
    if (from < 0 || pointer < 0 || index < 0)
        return false;
    uint32_t p = (uint32_t)pointer, i = (uint32_t)index, span = at.size - size, mask = 1;
    while (mask * 2 + 1 <= span)
        mask = mask * 2 + 1;
    if (!at.any_align || is_ordered(form))
        mask &= ~7u;
    emit(g, rng_chance(&g->r, 50) ? EB_OP_ALU64_X_MOV : EB_OP_ALU32_X_MOV, i, (uint32_t)from, 0, 0);
    emit(g, rng_chance(&g->r, 50) ? EB_OP_ALU64_K_AND : EB_OP_ALU32_K_AND, i, 0, 0, mask);
    set_scalar(g, i);
    put_address(g, p, &at);
    emit(g, EB_OP_ALU64_X_ADD, p, i, 0, 0);
    forget(g, p);
    int rest = (int)(span - mask), off = rest > 0 ? (int)rng_below(&g->r, (uint32_t)rest + 1) : 0;
    if (!at.any_align || is_ordered(form))
        off = off / 8 * 8;
    place moved = {.reg = p, .any_align = at.any_align};
    return access_at(g, op, &moved, off);
}

/* A number that the verifier does not know, from a data section. */
bool fetch_number(gen *g) {
    place at;
    int dst = target(g);
    if (dst < 0 || !from_data(g, 8, false, &at))
        return false;
    emit(g, EB_OP_LDX64_DW, (uint32_t)dst, at.reg, random_offset(g, &at, 8, false), 0);
    set_scalar(g, (uint32_t)dst);
    return true;
}

/* The context of a raw tracepoint is 12 numbers to read, that of a syscall program plain memory. */
bool access_context(gen *g) {
    int from = -1;
    for (uint32_t i = 0; i < REGS && from < 0; i++)
        if (g->s.reg[i].kind == CONTEXT)
            from = (int)i;
    if (from < 0 || prog_types[g->p->kind].packet) /* see packets.c */
        return false;
    hold(g, (uint32_t)from);
    place at = {.reg = (uint32_t)from, .size = CONTEXT_SIZE};
    uint32_t op = g->p->kind == PROG_SYSCALL ? random_access(g, 0) : EB_OP_LDX64_DW;
    return access_at(g, op, &at, random_offset(g, &at, access_size(op), true));
}

/* ---- spilled registers ---- */

bool spill(gen *g) {
    uint32_t reg = rng_below(&g->r, REGS), i = rng_below(&g->r, SLOTS);
    if (g->slots_locked || g->s.reg[reg].kind == NONE)
        return false;
    emit(g, EB_OP_STX64_DW, 10, reg, -(int)(g->data + 8 * (i + 1)), 0);
    g->s.slot[i] = g->s.reg[reg];
    return true;
}

bool fill(gen *g) {
    uint32_t i = rng_below(&g->r, SLOTS);
    int reg = g->s.slot[i].kind == NONE ? -1 : g->s.slot[i].kind == SCALAR ? target(g) : fresh(g);
    if (reg < 0)
        return false;
    emit(g, EB_OP_LDX64_DW, (uint32_t)reg, 10, -(int)(g->data + 8 * (i + 1)), 0);
    g->s.reg[reg] = g->s.slot[i];
    return true;
}
