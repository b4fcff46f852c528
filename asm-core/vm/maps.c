/* maps.c - hash and array maps, plain, per CPU and LRU.
 *
 * Entries are records in chunks that never move, made when first used: an entry's address is good
 * until it is deleted. A hash chains its entries from a table of heads that doubles as it fills,
 * keeps them on a list from oldest to newest (the order of iteration, and for LRU maps the order of
 * eviction) and reuses deleted ones. Results are the kernel's: 0 or -errno.
 * Source: kernel/bpf/hashtab.c and arraymap.c. */
#include "kinds.h"
#include "vm.h"

#include <string.h>

enum { KEY_MOST = 1 << 16, CHUNK_TARGET = 64 << 10 };

typedef struct entry {
    uint32_t chain; /* the next with the same head, or on the free list */
    uint32_t hash;
    uint32_t older, newer;
    uint32_t used;
    uint32_t reserved;
} entry;

static uint32_t round8(uint32_t size) {
    return (size + 7) & ~UINT32_C(7);
}

/* ---- entries ---- */

/* The record of entry number `n`, from 1, whose chunk exists. */
static entry *entry_at(const eb_vmap *map, uint32_t n) {
    uint32_t i = n - 1, chunk = i >> map->chunk_bits, rest = i - (chunk << map->chunk_bits);
    return (entry *)(void *)(map->chunks[chunk] + (size_t)rest * map->record);
}

static uint8_t *key_of(entry *at) {
    return (uint8_t *)at + sizeof(entry);
}

static uint8_t *value_of(const eb_vmap *map, entry *at) {
    return key_of(at) + round8(map->key_size);
}

static bool chunk_for(ebpf_vm *vm, eb_vmap *map, uint32_t n) {
    uint32_t chunk = (n - 1) >> map->chunk_bits, first = chunk << map->chunk_bits;
    if (map->chunks[chunk])
        return true;
    uint32_t entries = UINT32_C(1) << map->chunk_bits;
    if (entries > map->max_entries - first)
        entries = map->max_entries - first;
    map->chunks[chunk] = eb_try_alloc(&vm->ctx->arena, (size_t)entries * map->record);
    return map->chunks[chunk] != NULL;
}

uint8_t *eb_vmap_value(const eb_vmap *map, uint32_t n) {
    if (!map->hash)
        return map->chunks[(n - 1) >> map->chunk_bits] +
               (size_t)((n - 1) & ((UINT32_C(1) << map->chunk_bits) - 1)) * map->record;
    if (n > map->used)
        return NULL;
    entry *at = entry_at(map, n);
    return at->used ? value_of(map, at) : NULL;
}

/* ---- the hash ---- */

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint32_t hash_key(const eb_vmap *map, const uint8_t *key) {
    uint64_t hash = map->key_size;
    uint32_t left = map->key_size;
    for (; left >= 8; left -= 8, key += 8)
        hash = mix(hash, eb_get64(key, false));
    for (; left; left--, key++)
        hash = mix(hash, *key);
    return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t find_hashed(const eb_vmap *map, const uint8_t *key, uint32_t hash) {
    if (!map->mask)
        return 0;
    for (uint32_t n = map->heads[hash & map->mask]; n;) {
        entry *at = entry_at(map, n);
        if (at->hash == hash && memcmp(key_of(at), key, map->key_size) == 0)
            return n;
        n = at->chain;
    }
    return 0;
}

uint32_t eb_vmap_find(const eb_vmap *map, const uint8_t *key) {
    if (map->hash)
        return find_hashed(map, key, hash_key(map, key));
    uint32_t index = eb_get32(key, map->big);
    return index < map->max_entries ? index + 1 : 0;
}

/* Take `n` out of the list of ages. */
static void unlink_age(eb_vmap *map, entry *at) {
    if (at->older)
        entry_at(map, at->older)->newer = at->newer;
    else
        map->oldest = at->newer;
    if (at->newer)
        entry_at(map, at->newer)->older = at->older;
    else
        map->newest = at->older;
}

static void link_newest(eb_vmap *map, entry *at, uint32_t n) {
    at->older = map->newest;
    at->newer = 0;
    if (map->newest)
        entry_at(map, map->newest)->newer = n;
    else
        map->oldest = n;
    map->newest = n;
}

static void touch(eb_vmap *map, uint32_t n) {
    entry *at = entry_at(map, n);
    unlink_age(map, at);
    link_newest(map, at, n);
}

uint32_t eb_vmap_use(eb_vmap *map, const uint8_t *key) {
    uint32_t n = eb_vmap_find(map, key);
    if (n && map->lru)
        touch(map, n);
    return n;
}

static bool grow(ebpf_vm *vm, eb_vmap *map) {
    uint32_t size = map->mask ? (map->mask + 1) * 2 : 64;
    uint32_t *heads = eb_try_alloc(&vm->ctx->arena, size * sizeof *heads);
    if (!heads)
        return false;
    for (uint32_t n = map->oldest; n;) {
        entry *at = entry_at(map, n);
        at->chain = heads[at->hash & (size - 1)];
        heads[at->hash & (size - 1)] = n;
        n = at->newer;
    }
    map->heads = heads;
    map->mask = size - 1;
    return true;
}

static void remove_entry(ebpf_vm *vm, eb_vmap *map, uint32_t n) {
    entry *at = entry_at(map, n);
    uint32_t *link = &map->heads[at->hash & map->mask];
    while (*link != n)
        link = &entry_at(map, *link)->chain;
    *link = at->chain;
    unlink_age(map, at);
    at->used = 0;
    at->chain = map->free_list;
    map->free_list = n;
    map->count--;
    vm->window.read = vm->window.write = 0;
}

/* A new entry for `key`; its number, or -errno. */
static int64_t insert(ebpf_vm *vm, eb_vmap *map, const uint8_t *key, uint32_t hash) {
    if (map->count >= map->max_entries) {
        if (!map->lru)
            return -EBPF_E2BIG;
        remove_entry(vm, map, map->oldest);
    }
    if ((!map->mask || (map->count > map->mask && map->mask < UINT32_MAX >> 4)) && !grow(vm, map))
        return -EBPF_ENOMEM;
    uint32_t n = map->free_list;
    if (n) {
        map->free_list = entry_at(map, n)->chain;
    } else {
        n = map->used + 1;
        if (!chunk_for(vm, map, n))
            return -EBPF_ENOMEM;
        map->used = n;
    }
    entry *at = entry_at(map, n);
    at->hash = hash;
    at->used = 1;
    at->chain = map->heads[hash & map->mask];
    map->heads[hash & map->mask] = n;
    link_newest(map, at, n);
    memcpy(key_of(at), key, map->key_size);
    map->count++;
    return n;
}

/* ---- operations ---- */

static void set_value(const eb_vmap *map, uint8_t *to, const uint8_t *value, uint32_t cpu,
                      bool fresh) {
    if (!map->per_cpu) {
        memmove(to, value, map->value_size);
        return;
    }
    if (cpu == EB_ALL_CPUS) {
        memmove(to, value, map->stride);
        return;
    }
    for (uint32_t i = 0; fresh && i < map->cpus; i++)
        if (i != cpu)
            memset(to + (size_t)i * map->one, 0, map->one);
    memmove(to + (size_t)cpu * map->one, value, map->value_size);
}

int eb_vmap_update(ebpf_vm *vm, eb_vmap *map, const uint8_t *key, const uint8_t *value,
                   uint64_t flags, uint32_t cpu) {
    if (flags > EBPF_EXIST)
        return -EBPF_EINVAL;
    uint32_t hash = map->hash ? hash_key(map, key) : 0;
    uint32_t n = map->hash ? find_hashed(map, key, hash) : eb_vmap_find(map, key);
    if (!n && !map->hash)
        return -EBPF_E2BIG;
    if (n && flags == EBPF_NOEXIST)
        return -EBPF_EEXIST;
    if (!n && flags == EBPF_EXIST)
        return -EBPF_ENOENT;
    bool fresh = !n;
    if (fresh) {
        int64_t made = insert(vm, map, key, hash);
        if (made < 0)
            return (int)made;
        n = (uint32_t)made;
    } else if (map->lru) {
        touch(map, n);
    }
    set_value(map, eb_vmap_value(map, n), value, cpu, fresh);
    return 0;
}

int eb_vmap_delete(ebpf_vm *vm, eb_vmap *map, const uint8_t *key) {
    if (!map->hash)
        return -EBPF_EINVAL;
    uint32_t n = eb_vmap_find(map, key);
    if (!n)
        return -EBPF_ENOENT;
    remove_entry(vm, map, n);
    return 0;
}

int eb_vmap_next(const eb_vmap *map, const uint8_t *key, uint8_t *next) {
    uint32_t n = key ? eb_vmap_find(map, key) : 0;
    if (!map->hash) {
        if (n == map->max_entries)
            return -EBPF_ENOENT;
        eb_set32(next, map->big, n);
        return 0;
    }
    n = n ? entry_at(map, n)->newer : map->oldest;
    if (!n)
        return -EBPF_ENOENT;
    memcpy(next, key_of(entry_at(map, n)), map->key_size);
    return 0;
}

/* ---- making one ---- */

/* What is wrong with the definition, or NULL. */
static const char *wrong(const eb_vmap *map) {
    if (map->max_entries == 0)
        return "max_entries must not be 0";
    if (map->value_size == 0)
        return "value_size must not be 0";
    if (!map->hash && map->key_size != 4)
        return "the key of an array has 4 bytes";
    if (map->key_size == 0 || map->key_size > KEY_MOST)
        return "a key has 1 to 65536 bytes";
    uint64_t one = ((uint64_t)map->value_size + 7) & ~UINT64_C(7);
    if (one * map->cpus > UINT32_MAX / 2 / map->max_entries)
        return "all values together pass 2 GiB";
    return NULL;
}

static int refuse(ebpf_vm *vm, const eb_map_def *def, const char *why) {
    eb_loc loc = def->symbol < vm->obj->symbols.len ? vm->obj->symbols.at[def->symbol].loc : 0;
    eb_diag *diag = eb_diag_input(vm->ctx, EB_DIAG_BAD_MAP, vm->obj->name, -1, (int)def->name.len,
                                  def->name.at, why);
    diag->lo = diag->hi = loc;
    return EBPF_E_INPUT;
}

int eb_vmap_new(ebpf_vm *vm, eb_vmap *map, const eb_map_def *def) {
    uint32_t type = def->type;
    *map = (eb_vmap){.name = def->name,
                     .type = type,
                     .key_size = def->key_size,
                     .value_size = def->value_size,
                     .max_entries = def->max_entries,
                     .flags = def->flags,
                     .big = vm->big};
    map->lru = type == EB_MAP_LRU_HASH || type == EB_MAP_LRU_PERCPU_HASH;
    map->hash = map->lru || type == EB_MAP_HASH || type == EB_MAP_PERCPU_HASH;
    map->per_cpu =
        type == EB_MAP_PERCPU_HASH || type == EB_MAP_PERCPU_ARRAY || type == EB_MAP_LRU_PERCPU_HASH;
    map->cpus = map->per_cpu ? vm->cpus : 1;
    if (!map->hash && type != EB_MAP_ARRAY && type != EB_MAP_PERCPU_ARRAY)
        return refuse(vm, def,
                      eb_str_fmt(&vm->ctx->arena,
                                 "its type %u (%s) cannot run in this VM, which has hash, array, "
                                 "lru_hash and their per-CPU variants",
                                 type, eb_map_type_name(type))
                          .at);
    const char *why = wrong(map);
    if (why)
        return refuse(vm, def, why);
    map->one = round8(map->value_size);
    map->stride = map->one * map->cpus;
    map->record =
        map->hash ? (uint32_t)sizeof(entry) + round8(map->key_size) + map->stride : map->stride;
    if (!map->hash) { /* one chunk, all of it there and zero */
        map->chunk_bits = 31;
        map->chunks = eb_alloc_array(&vm->ctx->arena, 1, sizeof *map->chunks);
        map->chunks[0] = eb_alloc_array(&vm->ctx->arena, map->max_entries, map->record);
        map->count = map->max_entries;
        return 0;
    }
    while (map->chunk_bits < 16 && (map->record << map->chunk_bits) < CHUNK_TARGET)
        map->chunk_bits++;
    uint32_t chunks = (map->max_entries - 1) / (UINT32_C(1) << map->chunk_bits) + 1;
    map->chunks = eb_alloc_array(&vm->ctx->arena, chunks, sizeof *map->chunks);
    return 0;
}
