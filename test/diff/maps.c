/* maps.c - the maps of a program, and the statements that use them. */
#include <string.h>

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

static map *add_data(gen *g, map_use use, uint32_t size) {
    map *m = add_map(g, use, BPF_MAP_TYPE_ARRAY, 4, size, 1);
    m->flags = use == USE_RODATA ? BPF_F_RDONLY_PROG : 0;
    if (use == USE_BSS)
        return m;
    m->entry_count = 1;
    fill_bytes(g, m->entries[0].value, size);
    return m;
}

/* Constants: numbers, a format, and a NUL behind them. */
static void add_rodata(gen *g) {
    map *m = add_data(g, USE_RODATA, TEXT_AT + 8 * (1 + rng_below(&g->r, 4)));
    static const char *const formats[] = {
        "%d %u %x", "%lld,%llu", "%lx %llX %c", "%5d|%-6x|%%", "%08llx", "%i %li", "n"};
    const char *format = formats[rng_below(&g->r, sizeof formats / sizeof *formats)];
    uint8_t *text = m->entries[0].value + TEXT_AT;
    memset(text, 0, m->value_size - TEXT_AT);
    memcpy(text, format, strnlen(format, m->value_size - TEXT_AT - 1));
    if (strlen(format) > m->value_size - TEXT_AT - 1) /* it would be cut */
        memset(text, 0, m->value_size - TEXT_AT);
}

static uint32_t one_of(gen *g, const uint32_t *values, uint32_t count) {
    return values[rng_below(&g->r, count)];
}

static const uint32_t value_sizes[] = {8, 4, 16, 24, 1, 12, 32, 48};

static void fill_map(gen *g, map *m) {
    uint32_t most = m->max_entries < 4 ? m->max_entries : 4;
    m->entry_count = rng_below(&g->r, most + 1);
    for (uint32_t i = 0; i < m->entry_count; i++) {
        m->entries[i].key[0] = (uint8_t)i;
        fill_bytes(g, m->entries[i].value, m->value_size);
    }
}

static void add_table(gen *g) {
    static const uint32_t types[] = {BPF_MAP_TYPE_HASH,           BPF_MAP_TYPE_ARRAY,
                                     BPF_MAP_TYPE_PERCPU_HASH,    BPF_MAP_TYPE_PERCPU_ARRAY,
                                     BPF_MAP_TYPE_LRU_HASH,       BPF_MAP_TYPE_HASH,
                                     BPF_MAP_TYPE_LRU_PERCPU_HASH};
    static const uint32_t key_sizes[] = {4, 8, 1, 2, 3, 12, 16, 24};
    uint32_t type = one_of(g, types, 7);
    map *m = add_map(g, USE_MAP, type, 4, one_of(g, value_sizes, 8), 1 + rng_below(&g->r, 8));
    bool plain = type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_PERCPU_HASH;
    if (!map_is_array(m))
        m->key_size = one_of(g, key_sizes, 8);
    if (type == BPF_MAP_TYPE_LRU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH)
        m->max_entries = 64; /* what it evicts when full is not ours to predict */
    if (plain && rng_chance(&g->r, 40))
        m->flags |= BPF_F_NO_PREALLOC;
    if (plain && rng_chance(&g->r, 50))
        m->flags |= BPF_F_ZERO_SEED;
    fill_map(g, m);
}

static void add_trie(gen *g) {
    uint32_t bytes = 1 + rng_below(&g->r, 8);
    map *m = add_map(g, USE_MAP, BPF_MAP_TYPE_LPM_TRIE, 4 + bytes, one_of(g, value_sizes, 8),
                     2 + rng_below(&g->r, 12));
    m->flags = BPF_F_NO_PREALLOC;
    fill_map(g, m); /* keys are lengths 0, 1, 2, 3 with nothing behind */
}

static void add_queue(gen *g) {
    uint32_t type = rng_chance(&g->r, 50) ? BPF_MAP_TYPE_QUEUE : BPF_MAP_TYPE_STACK;
    map *m = add_map(g, USE_MAP, type, 0, one_of(g, value_sizes, 8), 1 + rng_below(&g->r, 6));
    fill_map(g, m);
    for (uint32_t i = 0; i < m->entry_count; i++)
        m->entries[i].key[0] = 0;
}

static void add_ring(gen *g) {
    add_map(g, USE_MAP, BPF_MAP_TYPE_RINGBUF, 0, 0, 4096);
}

/* Two maps of one shape, and a map that holds them. */
static void add_maps_of_maps(gen *g) {
    uint32_t first = g->p->map_count, value = one_of(g, value_sizes, 8);
    uint32_t type = rng_chance(&g->r, 50) ? BPF_MAP_TYPE_HASH : BPF_MAP_TYPE_ARRAY;
    for (int i = 0; i < 2; i++)
        fill_map(g, add_map(g, USE_MAP, type, 4, value, 4));
    bool hash = rng_chance(&g->r, 50);
    map *outer =
        add_map(g, USE_MAP, hash ? BPF_MAP_TYPE_HASH_OF_MAPS : BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 4);
    outer->inner = first + 1;
    outer->entry_count = 1 + rng_below(&g->r, 3);
    for (uint32_t i = 0; i < outer->entry_count; i++) {
        outer->entries[i].key[0] = (uint8_t)i;
        outer->entries[i].value[0] = (uint8_t)(first + rng_below(&g->r, 2));
    }
}

static void add_programs(gen *g) {
    map *m = add_map(g, USE_MAP, BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 6);
    m->entry_count = 4;
    for (uint32_t i = 0; i < m->entry_count; i++) {
        m->entries[i].key[0] = (uint8_t)i;
        uint32_t first = g->deep_tails ? 1 : 0;
        m->entries[i].value[0] = (uint8_t)(first + rng_below(&g->r, g->p->entry_count - first));
    }
}

void make_maps(gen *g) {
    bool sleepable = prog_types[g->p->kind].sleepable;
    add_data(g, USE_BSS, 8 * REGS + DATA_MOST);
    g->out = 0;
    add_data(g, USE_DATA, 64 + 8 * rng_below(&g->r, 9));
    if (rng_chance(&g->r, 50))
        add_rodata(g);
    if (g->p->entry_count > 1)
        add_programs(g);
    if (rng_chance(&g->r, 30))
        add_queue(g);
    if (rng_chance(&g->r, 30))
        add_ring(g);
    if (rng_chance(&g->r, 20) && !sleepable)
        add_trie(g);
    if (rng_chance(&g->r, 20))
        add_maps_of_maps(g);
    for (uint32_t i = 1 + rng_below(&g->r, 4); i > 0; i--)
        add_table(g);
}

/* ---- which map ---- */

/* A random map for which `fits` holds, or -1. */
static int pick_map(gen *g, bool (*fits)(const map *m)) {
    uint32_t first = rng_below(&g->r, g->p->map_count);
    for (uint32_t n = 0; n < g->p->map_count; n++) {
        uint32_t i = (first + n) % g->p->map_count;
        if (g->p->maps[i].use == USE_MAP && fits(&g->p->maps[i]))
            return (int)i;
    }
    return -1;
}

static bool is_table(const map *m) {
    return m->key_size && !map_holds_maps(m) && m->type != BPF_MAP_TYPE_PROG_ARRAY;
}

static bool can_look_up(const map *m) {
    return is_table(m) || map_holds_maps(m);
}

static bool is_ring(const map *m) {
    return m->type == BPF_MAP_TYPE_RINGBUF;
}

static bool is_walked(const map *m) {
    return map_is_array(m) || (m->type == BPF_MAP_TYPE_HASH && m->flags & BPF_F_ZERO_SEED);
}

static bool is_programs(const map *m) {
    return m->type == BPF_MAP_TYPE_PROG_ARRAY;
}

/* ---- keys ---- */

static void mask_number(gen *g, uint32_t dst, uint32_t from, int32_t mask) {
    move(g, dst, from);
    emit(g, EB_OP_ALU64_K_AND, dst, 0, 0, mask);
}

static uint32_t store_of(uint32_t size) {
    return size >= 8   ? EB_OP_STX64_DW
           : size >= 4 ? EB_OP_STX32_W
           : size >= 2 ? EB_OP_STX32_H
                       : EB_OP_STX32_B;
}

/* A key for `m` in the frame: one of few, so that they meet. */
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
    bool trie = m->type == BPF_MAP_TYPE_LPM_TRIE;
    if (trie) { /* bits behind the length, some of them beyond it */
        mask_number(g, (uint32_t)reg, (uint32_t)from, 0xc1);
        emit(g, EB_OP_STX32_B, 10, (uint32_t)reg, off + 4, 0);
    }
    mask_number(g, (uint32_t)reg, (uint32_t)from, trie ? 31 : 7);
    emit(g, trie ? EB_OP_STX32_W : store_of(m->key_size), 10, (uint32_t)reg, off, 0);
    *out = (place){.reg = 10, .off = off, .size = m->key_size};
    return true;
}

/* ---- looking up ---- */

static void purge(content *v, uint32_t which) {
    if ((v->kind == VALUE || v->kind == MEMORY) && v->map == which)
        *v = (content){.kind = NONE};
}

scope enter_memory(gen *g, content what, bool passes) {
    scope at = {.which = what.map, .locked = g->locked, .passes = passes};
    g->s.reg[0] = what;
    g->held = 0x3f;
    int up = rng_chance(&g->r, 70) ? fresh(g) : -1;
    if (up >= 0) {
        at.reg = (uint32_t)up;
        move(g, at.reg, 0);
        forget(g, 0);
    }
    g->held = 0;
    g->locked |= UINT32_C(1) << at.reg;
    g->busy[at.which] += passes;
    return at;
}

void leave_memory(gen *g, const scope *at) {
    g->busy[at->which] -= at->passes;
    g->locked = at->locked;
    for (uint32_t k = 0; k < REGS && at->passes; k++)
        purge(&g->s.reg[k], at->which);
    for (uint32_t k = 0; k < SLOTS && at->passes; k++)
        purge(&g->s.slot[k], at->which);
}

static content value_of(gen *g, uint32_t i) {
    return (content){.kind = VALUE,
                     .map = (uint8_t)i,
                     .write = true,
                     .size = (uint16_t)g->p->maps[i].value_size};
}

/* r0 = the value with the key at `key`; the jump that is taken when there is none. */
static uint32_t look(gen *g, uint32_t helper) {
    if (helper == BPF_FUNC_map_lookup_percpu_elem)
        put_imm(g, 3, rng_below(&g->r, 3));
    call_helper(g, helper);
    return emit_jump(g, EB_OP_JMP64_K_JEQ, 0, 0, 0);
}

/* In the map that r0 points to. What it finds is said to be of the first such map, and not kept. */
static void look_inside(gen *g, uint32_t inner, const place *key) {
    emit(g, EB_OP_ALU64_X_MOV, 1, 0, 0, 0);
    put_address(g, 2, key);
    uint32_t over = look(g, BPF_FUNC_map_lookup_elem);
    state before = g->s;
    scope at = enter_memory(g, value_of(g, inner), true);
    block(g, 4);
    leave_memory(g, &at);
    land(g, over);
    g->s = merge(&before, &g->s);
}

bool map_lookup(gen *g) {
    int found = pick_map(g, can_look_up);
    place key;
    if (found < 0 || g->depth > 4 || !begin_call(g))
        return false;
    uint32_t i = (uint32_t)found;
    const map *m = &g->p->maps[i];
    if (!put_key(g, m, &key))
        return false;
    bool per_cpu = map_is_per_cpu(m) && rng_chance(&g->r, 30);
    put_address(g, 2, &key);
    put_map(g, 1, i);
    uint32_t over = look(g, per_cpu ? BPF_FUNC_map_lookup_percpu_elem : BPF_FUNC_map_lookup_elem);
    state before = g->s;
    if (m->inner) {
        look_inside(g, m->inner - 1, &key);
    } else {
        scope at = enter_memory(g, value_of(g, i), !map_is_array(m));
        block(g, 5);
        leave_memory(g, &at);
    }
    land(g, over);
    g->s = merge(&before, &g->s);
    return true;
}

/* ---- changing ---- */

/* May values of this map be replaced or deleted now? Those of an array stay where they are. */
static bool may_change(gen *g, uint32_t i) {
    if (map_is_array(&g->p->maps[i]))
        return true;
    for (uint32_t k = 0; k < g->p->map_count; k++) /* of one in a map of maps: all of those */
        if (g->busy[k] && (k == i || g->p->maps[k].type == g->p->maps[i].type))
            return false;
    g->changes |= UINT32_C(1) << i;
    return true;
}

bool map_update(gen *g) {
    static const uint32_t flags[] = {0, 0, 0, 0, 1, 1, 2, 2, 3, 4};
    int i = pick_map(g, is_table);
    if (i < 0 || !begin_call(g))
        return false;
    const map *m = &g->p->maps[i];
    place key, value;
    if (!put_key(g, m, &key) || !find_place(g, m->value_size, false, &value) ||
        !may_change(g, (uint32_t)i))
        return false;
    put_address(g, 3, &value);
    put_address(g, 2, &key);
    put_map(g, 1, (uint32_t)i);
    put_imm(g, 4, one_of(g, flags, 10));
    call_helper(g, BPF_FUNC_map_update_elem);
    return true;
}

bool map_delete(gen *g) {
    int i = pick_map(g, is_table);
    place key;
    if (i < 0 || !begin_call(g))
        return false;
    if (!put_key(g, &g->p->maps[i], &key) || !may_change(g, (uint32_t)i))
        return false;
    put_address(g, 2, &key);
    put_map(g, 1, (uint32_t)i);
    call_helper(g, BPF_FUNC_map_delete_elem);
    return true;
}

bool use_queue(gen *g) {
    static const uint32_t flags[] = {0, 0, 0, 2, 2, 1};
    int i = pick_map(g, map_is_queue);
    place at;
    if (i < 0 || !begin_call(g))
        return false;
    uint32_t size = g->p->maps[i].value_size, n = rng_below(&g->r, 5);
    bool pushes = n < 3;
    if (pushes ? !find_place(g, size, false, &at) : !frame_place(g, size, &at))
        return false;
    put_address(g, 2, &at);
    put_map(g, 1, (uint32_t)i);
    if (pushes)
        put_imm(g, 3, one_of(g, flags, 6));
    call_helper(g, pushes   ? BPF_FUNC_map_push_elem
                   : n == 3 ? BPF_FUNC_map_pop_elem
                            : BPF_FUNC_map_peek_elem);
    return true;
}

/* ---- ring buffers ---- */

static bool reserve(gen *g, uint32_t i) {
    uint32_t size = 8 * (1 + rng_below(&g->r, rng_chance(&g->r, 10) ? 200 : 6));
    if (g->depth > 3 || g->busy[i])
        return false;
    put_map(g, 1, i);
    put_imm(g, 2, size);
    put_imm(g, 3, 0);
    call_helper(g, BPF_FUNC_ringbuf_reserve);
    uint32_t over = emit_jump(g, EB_OP_JMP64_K_JEQ, 0, 0, 0);
    state before = g->s;
    content memory = {.kind = MEMORY,
                      .map = (uint8_t)i,
                      .write = true,
                      .size = (uint16_t)(size < 64 ? size : 64)};
    for (uint32_t k = 0; k < size; k += 8) /* it has what was there before */
        emit(g, EB_OP_ST_DW, 0, 0, (int)k, size > 64 ? 0 : random_imm(g));
    scope at = enter_memory(g, memory, true);
    block(g, 5);
    if (!begin_call(g)) { /* the address is in r0, which nobody uses meanwhile */
        g->locked = at.locked;
        begin_call(g);
    }
    emit(g, EB_OP_ALU64_X_MOV, 1, at.reg, 0, 0);
    put_imm(g, 2, rng_below(&g->r, 3));
    leave_memory(g, &at);
    call_helper(g, rng_chance(&g->r, 75) ? BPF_FUNC_ringbuf_submit : BPF_FUNC_ringbuf_discard);
    forget(g, 0); /* neither has a result */
    land(g, over);
    g->s = merge(&before, &g->s);
    return true;
}

bool use_ring(gen *g) {
    int i = pick_map(g, is_ring);
    place data;
    if (i < 0 || !begin_call(g))
        return false;
    uint32_t n = rng_below(&g->r, 5), size = 1 + rng_below(&g->r, 24);
    if (n < 2)
        return reserve(g, (uint32_t)i);
    if (n < 4) {
        if (!find_place(g, size, false, &data))
            return false;
        put_address(g, 2, &data);
        put_map(g, 1, (uint32_t)i);
        put_imm(g, 3, size);
        put_imm(g, 4, rng_below(&g->r, 4));
        call_helper(g, BPF_FUNC_ringbuf_output);
        return true;
    }
    put_map(g, 1, (uint32_t)i);
    put_imm(g, 2, rng_below(&g->r, 5));
    call_helper(g, BPF_FUNC_ringbuf_query);
    return true;
}

/* ---- with functions ---- */

bool call_each(gen *g) {
    int i = pick_map(g, is_walked), to = i < 0 ? -1 : pick_function(g, ROLE_EACH, (uint32_t)i);
    if (to < 0 || !can_run(g, (uint32_t)to) || !begin_call(g))
        return false;
    if (!put_callback(g, 2, 3, (uint32_t)to))
        return false;
    put_map(g, 1, (uint32_t)i);
    put_imm(g, 4, rng_chance(&g->r, 5));
    call_helper(g, BPF_FUNC_for_each_map_elem);
    note_run(g, (uint32_t)to);
    return true;
}

/* When it succeeds it does not come back; then nothing must be open. */
bool call_tail(gen *g) {
    int i = pick_map(g, is_programs), from = -1;
    if (i < 0 || g->sig->role >= (g->deep_tails ? ROLE_LOOP : ROLE_CALL))
        return false;
    for (uint32_t k = 0; k < g->p->map_count; k++)
        if (g->busy[k])
            return false;
    for (uint32_t k = 6; k < REGS && from < 0; k++)
        if (g->s.reg[k].kind == CONTEXT)
            from = (int)k;
    int index = scalar(g);
    if (from < 0 || index < 0 || !can_call(g))
        return false;
    save_pointers(g);
    mask_number(g, 3, (uint32_t)index, 7);
    put_map(g, 2, (uint32_t)i);
    move(g, 1, (uint32_t)from);
    call_helper(g, BPF_FUNC_tail_call);
    forget(g, 0);
    g->sig->tails = true;
    g->changes = UINT32_MAX; /* who knows */
    return true;
}
