/* packets.c - statements about packets and what describes them: fields of contexts, direct access
 * behind a comparison with the end, helpers that read, write, move the bounds, sum up, and the
 * loads of classic BPF. */
#include <linux/bpf.h>

#include "generate.h"

enum { SKB = 1 << PROG_SOCKET | 1 << PROG_TC, TC = 1 << PROG_TC, XDP = 1 << PROG_XDP };

static bool is_kind(const gen *g, uint32_t kinds) {
    return kinds >> g->p->kind & 1;
}

/* A register with the context, held, or -1. */
static int find_context(gen *g) {
    for (uint32_t i = 0; i < REGS; i++)
        if (g->s.reg[i].kind == CONTEXT) {
            hold(g, i);
            return (int)i;
        }
    for (uint32_t i = 0; i < SLOTS; i++) {
        int reg = g->s.slot[i].kind == CONTEXT ? fresh(g) : -1;
        if (reg < 0)
            continue;
        emit(g, EB_OP_LDX64_DW, (uint32_t)reg, 10, -(int)(g->data + 8 * (i + 1)), 0);
        g->s.reg[reg] = g->s.slot[i];
        return reg;
    }
    return -1;
}

/* ---- fields ---- */

static const struct {
    uint32_t kinds;
    uint16_t off;
    bool write, narrow;
} fields[] = {
    {SKB, 0, false, true},                                                 /* len */
    {SKB, 4, false, false},                                                /* pkt_type */
    {TC, 8, true, true},                                                   /* mark */
    {SKB, 8, false, true},                                                 /* mark */
    {TC, 12, true, true},                                                  /* queue_mapping */
    {SKB, 16, false, true},                                                /* protocol */
    {SKB, 20, false, false},                                               /* vlan_present */
    {SKB, 24, false, true},                                                /* vlan_tci */
    {SKB, 28, false, true},                                                /* vlan_proto */
    {TC, 32, true, true},                                                  /* priority */
    {SKB, 32, false, true},                                                /* priority */
    {SKB, 36, false, true},                                                /* ingress_ifindex */
    {SKB, 40, false, true},                                                /* ifindex */
    {TC, 44, true, true},                                                  /* tc_index */
    {SKB, 48, true, true},                                                 /* cb */
    {SKB, 56, true, true},   {SKB, 64, true, true}, {TC, 72, true, false}, /* tc_classid */
    {XDP, 12, false, false},                                               /* ingress_ifindex */
    {XDP, 16, false, false},                                               /* rx_queue_index */
};

bool access_field(gen *g) {
    uint32_t n = rng_below(&g->r, sizeof fields / sizeof *fields);
    int from = is_kind(g, fields[n].kinds) ? find_context(g) : -1;
    if (from < 0)
        return false;
    int off = fields[n].off;
    if (fields[n].write && rng_chance(&g->r, 50)) {
        int src = scalar(g), part = fresh(g);
        if (src < 0 || part < 0)
            return false;
        /* Some of these have 16 bits in the kernel, which the VM does not know. */
        move(g, (uint32_t)part, (uint32_t)src);
        if (fields[n].kinds == TC)
            emit(g, EB_OP_ALU64_K_AND, (uint32_t)part, 0, 0, 0x7fff);
        emit(g, EB_OP_STX32_W, (uint32_t)from, (uint32_t)part, off, 0);
        return true;
    }
    int dst = target(g);
    if (dst < 0)
        return false;
    bool narrow = fields[n].narrow && rng_chance(&g->r, 30), byte = rng_chance(&g->r, 50);
    uint32_t op = !narrow ? EB_OP_LDX32_W : byte ? EB_OP_LDX32_B : EB_OP_LDX32_H;
    /* Of the upper half of a field that is 16 bits in the kernel the verifier (6.18) makes the
     * lower one, so halves are the lower ones only. */
    int inner = narrow && byte ? (int)rng_below(&g->r, 4) : 0;
    emit(g, op, (uint32_t)dst, (uint32_t)from, off + inner, 0);
    set_scalar(g, (uint32_t)dst);
    return true;
}

/* ---- direct access ---- */

/* Behind "if start + size > end" the packet has `size` bytes. */
bool open_packet(gen *g) {
    if (!is_kind(g, TC | XDP) || g->depth > 4)
        return false;
    int from = find_context(g), start = fresh(g), end = fresh(g), limit = fresh(g);
    if (from < 0 || start < 0 || end < 0 || limit < 0)
        return false;
    uint32_t s = (uint32_t)start, e = (uint32_t)end, l = (uint32_t)limit;
    uint32_t size = 4 * (1 + rng_below(&g->r, 12)), locked = g->locked;
    bool skb = g->p->kind == PROG_TC;
    emit(g, EB_OP_LDX32_W, s, (uint32_t)from, skb ? 76 : 0, 0);
    emit(g, EB_OP_LDX32_W, e, (uint32_t)from, skb ? 80 : 4, 0);
    emit(g, EB_OP_ALU64_X_MOV, l, s, 0, 0);
    emit(g, EB_OP_ALU64_K_ADD, l, 0, 0, size);
    uint32_t over = emit_jump(g, EB_OP_JMP64_X_JGT, l, e, 0);
    forget(g, s);
    forget(g, e);
    forget(g, l);
    state before = g->s;
    g->s.reg[s] = (content){.kind = PACKET, .write = true, .size = (uint16_t)size};
    g->locked |= UINT32_C(1) << s;
    g->packets++;
    block(g, 5);
    g->packets--;
    g->locked = locked;
    land(g, over);
    g->s = merge(&before, &g->s);
    return true;
}

/* ---- helpers ---- */

/* r1 = the context and whatever else: helpers that take it first. */
static bool begin_packet_call(gen *g, bool moves) {
    if ((moves && g->packets) || !begin_call(g))
        return false;
    int from = find_context(g);
    if (from < 0)
        return false;
    if (from != 1)
        move(g, 1, (uint32_t)from);
    forget(g, 1);
    g->held = 2;
    g->sig->moves |= moves;
    return true;
}

/* r2 = an offset, often within the packet. */
static bool put_offset(gen *g) {
    int from = scalar(g);
    if (from < 0)
        return false;
    move(g, 2, (uint32_t)from);
    forget(g, 2);
    if (rng_chance(&g->r, 90))
        emit(g, EB_OP_ALU64_K_AND, 2, 0, 0, 63);
    hold(g, 2);
    return true;
}

static bool move_bytes(gen *g) {
    bool skb = is_kind(g, SKB), store = rng_chance(&g->r, 40) && g->p->kind != PROG_SOCKET;
    uint32_t size = 1 + rng_below(&g->r, 16);
    place at;
    if (!begin_packet_call(g, store) || !put_offset(g) || !frame_place(g, size, &at))
        return false;
    put_address(g, 3, &at);
    put_imm(g, 4, size);
    if (skb && store)
        put_imm(g, 5, rng_below(&g->r, 4));
    call_helper(g, skb ? (store ? BPF_FUNC_skb_store_bytes : BPF_FUNC_skb_load_bytes)
                       : (store ? BPF_FUNC_xdp_store_bytes : BPF_FUNC_xdp_load_bytes));
    return true;
}

static bool replace_sum(gen *g) {
    static const uint32_t sizes[] = {0, 2, 4, 2, 4, 3};
    bool l3 = rng_chance(&g->r, 50);
    if (!is_kind(g, TC) || !begin_packet_call(g, true) || !put_offset(g))
        return false;
    int a = scalar(g);
    if (a < 0)
        return false;
    if (a != 4)
        emit(g, EB_OP_ALU64_X_MOV, 4, (uint32_t)a, 0, 0);
    emit(g, EB_OP_ALU32_X_MOV, 3, 4, 0, 0);
    emit(g, EB_OP_ALU64_K_XOR, 4, 0, 0, random_imm(g));
    put_imm(g, 5, sizes[rng_below(&g->r, 6)] | (l3 ? 0 : rng_below(&g->r, 4) << 4));
    call_helper(g, l3 ? BPF_FUNC_l3_csum_replace : BPF_FUNC_l4_csum_replace);
    return true;
}

static bool sum_up(gen *g) {
    place from, to;
    uint32_t size = 4 * rng_below(&g->r, 5), other = 4 * rng_below(&g->r, 5);
    if (!is_kind(g, TC | XDP) || !begin_call(g) || !frame_place(g, size, &from) ||
        !frame_place(g, other, &to))
        return false;
    int seed = scalar(g);
    if (seed < 0)
        return false;
    if (seed != 5)
        emit(g, EB_OP_ALU64_X_MOV, 5, (uint32_t)seed, 0, 0);
    put_address(g, 1, &from);
    put_imm(g, 2, size);
    put_address(g, 3, &to);
    put_imm(g, 4, other);
    call_helper(g, BPF_FUNC_csum_diff);
    return true;
}

static bool move_bounds(gen *g) {
    static const uint32_t xdp[] = {BPF_FUNC_xdp_adjust_head, BPF_FUNC_xdp_adjust_tail,
                                   BPF_FUNC_xdp_adjust_meta};
    if (!is_kind(g, TC | XDP) || !begin_packet_call(g, true))
        return false;
    bool skb = g->p->kind == PROG_TC;
    int32_t delta = (int32_t)rng_below(&g->r, 40) - 20;
    uint32_t helper = skb ? BPF_FUNC_skb_change_tail : xdp[rng_below(&g->r, 3)];
    if (helper == BPF_FUNC_xdp_adjust_meta)
        delta = -4 * (int32_t)rng_below(&g->r, 10);
    put_imm(g, 2, skb ? 10 + (int32_t)rng_below(&g->r, 100) : delta);
    if (skb)
        put_imm(g, 3, rng_chance(&g->r, 5));
    call_helper(g, helper);
    return true;
}

bool call_for_packet(gen *g) {
    if (!prog_types[g->p->kind].packet)
        return false;
    switch (rng_below(&g->r, 6)) {
    case 0:
        return move_bounds(g);
    case 1:
        return replace_sum(g);
    case 2:
        return sum_up(g);
    case 3:
        if (!is_kind(g, XDP) || !begin_packet_call(g, false))
            return false;
        call_helper(g, BPF_FUNC_xdp_get_buff_len);
        return true;
    default:
        return move_bytes(g);
    }
}

/* ---- loads of classic BPF: r6 is the context, r0 the result; beyond the end the program ends ----
 */

bool load_classic(gen *g) {
    static const eb_form forms[] = {EB_FORM_LDABS, EB_FORM_LDIND, EB_FORM_LDIND_K};
    eb_form form = forms[rng_below(&g->r, 3)];
    if (!is_kind(g, SKB) || g->sig->role != ROLE_ENTRY || !begin_call(g))
        return false;
    for (uint32_t i = 0; i < g->p->map_count; i++)
        if (g->busy[i]) /* a record may be open */
            return false;
    if (g->s.reg[6].kind != CONTEXT) {
        int from = find_context(g);
        if (from < 0 || (g->locked | g->sticky) & 1 << 6 || from == 6)
            return false;
        move(g, 6, (uint32_t)from);
    }
    hold(g, 6);
    uint32_t op = random_op(g, form), src = 0;
    if (form != EB_FORM_LDABS) {
        int index = scalar(g);
        if (index < 0 || g->locked >> index & 1)
            return false;
        src = (uint32_t)index;
        emit(g, EB_OP_ALU64_K_AND, src, 0, 0, 7);
    }
    emit(g, op, 0, src, 0, form == EB_FORM_LDIND ? 0 : 1 + rng_below(&g->r, 24));
    after_call(g);
    return true;
}
