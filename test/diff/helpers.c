/* helpers.c - statements that call helpers which take no map: text and numbers, memory, loops. */
#include <string.h>

#include <linux/bpf.h>

#include "generate.h"

bool can_call(const gen *g) {
    return (g->locked & 0x3f) == 0;
}

bool begin_call(gen *g) {
    if (!can_call(g))
        return false;
    save_pointers(g);
    g->held = 0;
    return true;
}

void call_helper(gen *g, uint32_t helper) {
    emit(g, EB_OP_CALL_ONLY, 0, 0, 0, helper);
    after_call(g);
}

void put_imm(gen *g, uint32_t dst, int64_t imm) {
    emit(g, EB_OP_ALU64_K_MOV, dst, 0, 0, imm);
}

/* ---- memory and text ---- */

/* Into the frame, and not from there: the kernel does not say what it makes of overlaps. */
static bool probe_read(gen *g) {
    place to, from;
    uint32_t size = 1 + rng_below(&g->r, 16);
    if (!frame_place(g, size, &to) || !find_place(g, size, false, &from) || !from.any_align)
        return false;
    put_address(g, 3, &from);
    put_address(g, 1, &to);
    put_imm(g, 2, size);
    call_helper(g, rng_chance(&g->r, 50) ? BPF_FUNC_probe_read_kernel
                                         : BPF_FUNC_probe_read_kernel_str);
    return true;
}

/* The constants' map, whose last byte is NUL: 1 + its number, or 0. */
static uint32_t constants(const gen *g) {
    for (uint32_t i = 0; i < g->p->map_count; i++)
        if (g->p->maps[i].use == USE_RODATA)
            return i + 1;
    return 0;
}

static void put_constant(gen *g, uint32_t dst, uint32_t which, uint32_t off) {
    emit_ref(g, EB_OP_LDDW_ONLY, dst, REF_VALUE, which, off);
}

static bool compare_text(gen *g) {
    uint32_t which = constants(g), size = 1 + rng_below(&g->r, 16);
    place at;
    if (!which || !find_place(g, size, false, &at))
        return false;
    put_address(g, 1, &at);
    put_imm(g, 2, size);
    put_constant(g, 3, which - 1, rng_below(&g->r, g->p->maps[which - 1].value_size));
    call_helper(g, BPF_FUNC_strncmp);
    return true;
}

/* Digits at the start of the frame, or what is there, as a number behind them. */
static bool read_number(gen *g) {
    static const char alphabet[] = "0123456789 -+abxf\n\t";
    static const int32_t bases[] = {0, 0, 8, 10, 16, 2, 64};
    uint64_t digits = 0;
    if (g->data < 24)
        return false;
    for (int i = 0; i < 8; i++)
        digits = digits << 8 | (uint8_t)alphabet[rng_below(&g->r, rng_chance(&g->r, 70) ? 10 : 19)];
    if (rng_chance(&g->r, 80)) {
        emit(g, EB_OP_LDDW_ONLY, 1, 0, 0, (int64_t)digits);
        emit(g, EB_OP_STX64_DW, 10, 1, -(int)g->data, 0);
    }
    place text = {.reg = 10, .off = -(int)g->data}, number = {.reg = 10, .off = 16 - (int)g->data};
    put_address(g, 1, &text);
    put_imm(g, 2, 1 + rng_below(&g->r, 16));
    put_imm(g, 3, bases[rng_below(&g->r, 7)]);
    put_address(g, 4, &number);
    call_helper(g, rng_chance(&g->r, 50) ? BPF_FUNC_strtol : BPF_FUNC_strtoul);
    return true;
}

static uint32_t arguments_of(const char *format) {
    uint32_t count = 0;
    for (; *format; format++)
        if (*format == '%') {
            count += format[1] != '%';
            format++;
        }
    return count;
}

/* Numbers of the frame as text at its start. */
static bool write_text(gen *g) {
    uint32_t which = constants(g);
    if (!which)
        return false;
    const char *format = (const char *)g->p->maps[which - 1].entries[0].value + TEXT_AT;
    uint32_t size = 8 * arguments_of(format);
    if (!*format || g->data < 16 + size)
        return false;
    place text = {.reg = 10, .off = -(int)g->data}, numbers = {.reg = 10, .off = -(int)size};
    put_address(g, 1, &text);
    put_imm(g, 2, 1 + rng_below(&g->r, 16));
    put_constant(g, 3, which - 1, TEXT_AT);
    if (size)
        put_address(g, 4, &numbers);
    else
        put_imm(g, 4, 0);
    put_imm(g, 5, size);
    call_helper(g, BPF_FUNC_snprintf);
    return true;
}

bool some_helper(gen *g) {
    if (!begin_call(g))
        return false;
    switch (rng_below(&g->r, 8)) {
    case 0:
        call_helper(g, BPF_FUNC_get_smp_processor_id);
        return true;
    case 1:
        call_helper(g, BPF_FUNC_get_numa_node_id);
        return true;
    case 2:
        return compare_text(g);
    case 3:
    case 4:
        return read_number(g);
    case 5:
        return write_text(g);
    default:
        return probe_read(g);
    }
}

/* ---- loops by callback ---- */

bool put_callback(gen *g, uint32_t dst, uint32_t context, uint32_t to) {
    const signature *sig = &g->sigs[to];
    place own; /* the kernel wants it on the stack */
    if (!frame_place(g, sig->arg[sig->args - 1].size, &own))
        return false;
    put_address(g, context, &own);
    forget(g, context);
    emit_ref(g, EB_OP_LDDW_ONLY, dst, REF_FUNC, to, 0);
    forget(g, dst);
    return true;
}

bool call_loop(gen *g) {
    int to = pick_function(g, ROLE_LOOP, 0);
    if (to < 0 || !can_run(g, (uint32_t)to) || !begin_call(g))
        return false;
    int turns = unknown_number(g); /* of a known 0 the verifier (6.18) makes a bug of its own */
    if (turns < 0)
        return false;
    move(g, 1, (uint32_t)turns);
    if (rng_chance(&g->r, 95)) /* most of the time there are not too many */
        emit(g, EB_OP_ALU64_K_AND, 1, 0, 0, 7);
    else
        emit(g, EB_OP_ALU32_K_OR, 1, 0, 0, 1 << 24);
    hold(g, 1);
    if (!put_callback(g, 2, 3, (uint32_t)to))
        return false;
    put_imm(g, 4, rng_chance(&g->r, 5));
    call_helper(g, BPF_FUNC_loop);
    note_run(g, (uint32_t)to);
    return true;
}
