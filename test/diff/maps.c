/* maps.c - the maps of a program, and statements that call helpers, with maps and without. */
#include <linux/bpf.h>

#include "generate.h"

/* ---- making maps ---- */

static void fill_bytes(gen *g, uint8_t *to, uint32_t size) {
    for (uint32_t i = 0; i < size; i += 8) {
        uint64_t number = (uint64_t)random_number(g);
        for (uint32_t k = 0; k < 8 && i + k < size; k++)
            to[i + k] = (uint8_t)(number >> (8 * k));
    }
}

static map *add_map(gen *g, map_use use, uint32_t type, uint32_t key, uint32_t value,
                    uint32_t entries) {
    map *m = &g->p->maps[g->p->map_count++];
    *m = (map){
        .use = use, .type = type, .key_size = key, .value_size = value, .max_entries = entries};
    return m;
}

static void add_data(gen *g, map_use use, uint32_t size) {
    map *m = add_map(g, use, BPF_MAP_TYPE_ARRAY, 4, size, 1);
    m->flags = use == USE_RODATA ? BPF_F_RDONLY_PROG : 0;
    if (use == USE_BSS)
        return;
    m->entry_count = 1;
    fill_bytes(g, m->entries[0].value, size);
}

enum { KEYS = 6 }; /* so few that they meet */

static void add_random_map(gen *g) {
    static const uint32_t types[] = {BPF_MAP_TYPE_HASH,           BPF_MAP_TYPE_ARRAY,
                                     BPF_MAP_TYPE_PERCPU_HASH,    BPF_MAP_TYPE_PERCPU_ARRAY,
                                     BPF_MAP_TYPE_LRU_HASH,       BPF_MAP_TYPE_HASH,
                                     BPF_MAP_TYPE_LRU_PERCPU_HASH};
    static const uint32_t key_sizes[] = {4, 8, 1, 2, 3, 12, 16, 24};
    static const uint32_t value_sizes[] = {8, 4, 16, 24, 1, 12, 32, 48};
    uint32_t type = types[rng_below(&g->r, 7)];
    map *m =
        add_map(g, USE_MAP, type, 4, value_sizes[rng_below(&g->r, 8)], 1 + rng_below(&g->r, 8));
    if (!map_is_array(m))
        m->key_size = key_sizes[rng_below(&g->r, 8)];
    if (type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH)
        m->max_entries = 64; /* what it evicts when full is not ours to predict */
    if ((type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_PERCPU_HASH) && rng_chance(&g->r, 40))
        m->flags = BPF_F_NO_PREALLOC;
    m->entry_count = rng_below(&g->r, (m->max_entries < 4 ? m->max_entries : 4) + 1);
    for (uint32_t i = 0; i < m->entry_count; i++) {
        m->entries[i].key[0] = (uint8_t)i;
        fill_bytes(g, m->entries[i].value, m->value_size);
    }
}

void make_maps(gen *g) {
    add_data(g, USE_BSS, 8 * REGS + DATA_MOST);
    g->out = 0;
    add_data(g, USE_DATA, 64 + 8 * rng_below(&g->r, 9));
    if (rng_chance(&g->r, 40))
        add_data(g, USE_RODATA, 16 + rng_below(&g->r, 64));
    for (uint32_t i = 1 + rng_below(&g->r, 4); i > 0; i--)
        add_random_map(g);
}

/* ---- calling helpers ---- */

/* A helper's call takes r0 to r5. */
static bool can_call(const gen *g) {
    return (g->locked & 0x3f) == 0;
}

static void call(gen *g, uint32_t helper) {
    emit(g, EB_OP_CALL_ONLY, 0, 0, 0, helper);
    after_call(g);
}

/* A random map that statements may look into, or -1. */
static int pick_map(gen *g) {
    uint32_t i = rng_below(&g->r, g->p->map_count);
    return g->p->maps[i].use == USE_MAP ? (int)i : -1;
}

/* A key for `m` in the frame: one of few. */
static bool put_key(gen *g, const map *m, place *out) {
    uint32_t room = (m->key_size + 7) / 8 * 8;
    if (room > g->data)
        return false;
    int off = -(int)g->data + (int)(rng_below(&g->r, (g->data - room) / 8 + 1) * 8);
    int from = scalar(g), reg = fresh(g);
    if (from < 0 || reg < 0)
        return false;
    for (uint32_t i = 0; i < room; i += 8)
        emit(g, EB_OP_ST_DW, 10, 0, off + (int)i, 0);
    move(g, (uint32_t)reg, (uint32_t)from);
    emit(g, EB_OP_ALU64_K_AND, (uint32_t)reg, 0, 0, 7);
    uint32_t op = m->key_size >= 8   ? EB_OP_STX64_DW
                  : m->key_size >= 4 ? EB_OP_STX32_W
                  : m->key_size >= 2 ? EB_OP_STX32_H
                                     : EB_OP_STX32_B;
    emit(g, op, 10, (uint32_t)reg, off, 0);
    *out = (place){.reg = 10, .off = off, .size = m->key_size};
    return true;
}

static void purge(content *v, uint32_t which) {
    if (v->kind == VALUE && v->map == which)
        *v = (content){.kind = NONE};
}

/* What is done with a value that was found, which r0 points to. */
static void use_value(gen *g, uint32_t i) {
    const map *m = &g->p->maps[i];
    bool passes = !map_is_array(m); /* others stay where they are */
    uint32_t reg = 0, locked = g->locked;
    g->s.reg[0] =
        (content){.kind = VALUE, .map = (uint8_t)i, .write = true, .size = (uint16_t)m->value_size};
    g->held = 0x3f;
    int up = rng_chance(&g->r, 70) ? fresh(g) : -1;
    if (up >= 0) {
        reg = (uint32_t)up;
        move(g, reg, 0);
        forget(g, 0);
    }
    g->held = 0;
    g->locked |= UINT32_C(1) << reg;
    g->busy[i] += passes;
    block(g, 5);
    g->busy[i] -= passes;
    g->locked = locked;
    for (uint32_t k = 0; k < REGS && passes; k++)
        purge(&g->s.reg[k], i);
    for (uint32_t k = 0; k < SLOTS && passes; k++)
        purge(&g->s.slot[k], i);
}

static bool lookup(gen *g, uint32_t i, uint32_t helper) {
    const map *m = &g->p->maps[i];
    place key;
    if (!can_call(g) || g->depth > 4)
        return false;
    save_pointers(g);
    g->held = 0;
    if (!put_key(g, m, &key))
        return false;
    put_address(g, 2, &key);
    put_map(g, 1, i);
    if (helper == BPF_FUNC_map_lookup_percpu_elem)
        emit(g, EB_OP_ALU64_K_MOV, 3, 0, 0, rng_below(&g->r, 3));
    call(g, helper);
    uint32_t over = emit_jump(g, EB_OP_JMP64_K_JEQ, 0, 0, 0);
    state before = g->s;
    use_value(g, i);
    land(g, over);
    g->s = merge(&before, &g->s);
    return true;
}

bool map_lookup(gen *g) {
    int i = pick_map(g);
    if (i < 0)
        return false;
    bool per_cpu = map_is_per_cpu(&g->p->maps[i]) && rng_chance(&g->r, 30);
    return lookup(g, (uint32_t)i,
                  per_cpu ? BPF_FUNC_map_lookup_percpu_elem : BPF_FUNC_map_lookup_elem);
}

/* May values of this map be replaced or deleted now? */
static bool may_change(gen *g, uint32_t i) {
    if (map_is_array(&g->p->maps[i]))
        return true;
    if (g->busy[i])
        return false;
    g->changes |= UINT32_C(1) << i;
    return true;
}

bool map_update(gen *g) {
    static const int32_t flags[] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 4};
    int i = pick_map(g);
    if (i < 0 || !can_call(g))
        return false;
    const map *m = &g->p->maps[i];
    save_pointers(g);
    g->held = 0;
    place key, value;
    if (!put_key(g, m, &key) || !find_place(g, m->value_size, false, &value) ||
        !may_change(g, (uint32_t)i))
        return false;
    put_address(g, 3, &value);
    put_address(g, 2, &key);
    put_map(g, 1, (uint32_t)i);
    emit(g, EB_OP_ALU64_K_MOV, 4, 0, 0, flags[rng_below(&g->r, 10)]);
    call(g, BPF_FUNC_map_update_elem);
    return true;
}

bool map_delete(gen *g) {
    int i = pick_map(g);
    place key;
    if (i < 0 || !can_call(g))
        return false;
    save_pointers(g);
    g->held = 0;
    if (!put_key(g, &g->p->maps[i], &key) || !may_change(g, (uint32_t)i))
        return false;
    put_address(g, 2, &key);
    put_map(g, 1, (uint32_t)i);
    call(g, BPF_FUNC_map_delete_elem);
    return true;
}

/* ---- helpers without maps ---- */

/* Into the frame, and not from there: the kernel does not say what it makes of overlaps. */
static bool probe_read(gen *g) {
    place to, from;
    uint32_t size = 1 + rng_below(&g->r, 16);
    if (!frame_place(g, size, &to) || !find_place(g, size, false, &from) || !from.any_align)
        return false;
    put_address(g, 3, &from);
    put_address(g, 1, &to);
    emit(g, EB_OP_ALU64_K_MOV, 2, 0, 0, size);
    call(g, BPF_FUNC_probe_read_kernel);
    return true;
}

bool some_helper(gen *g) {
    if (!can_call(g))
        return false;
    save_pointers(g);
    g->held = 0;
    switch (rng_below(&g->r, 4)) {
    case 0:
        call(g, BPF_FUNC_get_smp_processor_id);
        return true;
    case 1:
        call(g, BPF_FUNC_get_numa_node_id);
        return true;
    default:
        return probe_read(g);
    }
}
