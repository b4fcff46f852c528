/* maps_hash.c - hash maps: plain, per CPU, LRU, of maps, and the storages of sockets and tasks.
 *
 * Entries hang in chains from a table of buckets and stand in a list by age, which is the order of
 * iteration and, for LRU maps, of eviction (a true LRU, where the kernel's only comes near to one).
 * With BPF_F_ZERO_SEED the buckets are as many as the kernel's and iteration goes by bucket, so the
 * order is the kernel's own; otherwise the kernel hashes with a random seed and has no order.
 *
 * As in the kernel an update of a plain hash does not overwrite: the new value gets an entry of its
 * own, which each CPU has in spare, and the old one becomes the spare; so a pointer from an earlier
 * lookup still sees the old value, until the next such update. Freed entries are used again last
 * in, first out. Source: kernel/bpf/hashtab.c, include/linux/jhash.h. */
#include "kinds.h"
#include "vm.h"

#include <string.h>

enum { KEY_MOST = 1 << 16, STORAGE_MOST = 1 << 16, F_LOCK = 4 };

/* ---- hashing ---- */

static uint32_t rotate(uint32_t x, unsigned by) {
    return x << by | x >> (32 - by);
}

uint32_t eb_jhash(const uint8_t *key, uint32_t size, uint32_t seed) {
    uint32_t a = 0xdeadbeef + size + seed, b = a, c = a;
    for (; size > 12; size -= 12, key += 12) {
        a += eb_get32(key, false);
        b += eb_get32(key + 4, false);
        c += eb_get32(key + 8, false);
        a = (a - c) ^ rotate(c, 4), c += b;
        b = (b - a) ^ rotate(a, 6), a += c;
        c = (c - b) ^ rotate(b, 8), b += a;
        a = (a - c) ^ rotate(c, 16), c += b;
        b = (b - a) ^ rotate(a, 19), a += c;
        c = (c - b) ^ rotate(b, 4), b += a;
    }
    if (!size)
        return c;
    uint8_t last[12] = {0};
    memcpy(last, key, size);
    a += eb_get32(last, false);
    b += eb_get32(last + 4, false);
    c += eb_get32(last + 8, false);
    c = (c ^ b) - rotate(b, 14);
    a = (a ^ c) - rotate(c, 11);
    b = (b ^ a) - rotate(a, 25);
    c = (c ^ b) - rotate(b, 16);
    a = (a ^ c) - rotate(c, 4);
    b = (b ^ a) - rotate(a, 14);
    return (c ^ b) - rotate(b, 24);
}

static uint32_t find_hashed(const eb_vmap *map, const uint8_t *key, uint32_t hash) {
    if (!map->heads)
        return 0;
    for (uint32_t n = map->heads[hash & map->mask]; n;) {
        eb_entry *at = eb_entry_at(map, n);
        if (at->hash == hash && memcmp(eb_entry_key(at), key, map->key_size) == 0)
            return n;
        n = at->chain;
    }
    return 0;
}

static uint32_t find(const eb_vmap *map, const uint8_t *key) {
    return find_hashed(map, key, eb_jhash(key, map->key_size, 0));
}

static bool grow(ebpf_vm *vm, eb_vmap *map) {
    uint32_t size = map->heads ? (map->mask + 1) * 2 : 64;
    uint32_t *heads = eb_try_alloc(&vm->ctx->arena, size * sizeof *heads);
    if (!heads)
        return false;
    for (uint32_t n = map->oldest; n;) {
        eb_entry *at = eb_entry_at(map, n);
        at->chain = heads[at->hash & (size - 1)];
        heads[at->hash & (size - 1)] = n;
        n = at->newer;
    }
    map->heads = heads;
    map->mask = size - 1;
    return true;
}

/* ---- age ---- */

static void unlink_age(eb_vmap *map, const eb_entry *at) {
    if (at->older)
        eb_entry_at(map, at->older)->newer = at->newer;
    else
        map->oldest = at->newer;
    if (at->newer)
        eb_entry_at(map, at->newer)->older = at->older;
    else
        map->newest = at->older;
}

static void link_newest(eb_vmap *map, eb_entry *at, uint32_t n) {
    at->older = map->newest;
    at->newer = 0;
    if (map->newest)
        eb_entry_at(map, map->newest)->newer = n;
    else
        map->oldest = n;
    map->newest = n;
}

static void touch(eb_vmap *map, uint32_t n) {
    eb_entry *at = eb_entry_at(map, n);
    unlink_age(map, at);
    link_newest(map, at, n);
}

uint32_t eb_vmap_use(eb_vmap *map, const uint8_t *key) {
    uint32_t n = map->kind->find(map, key);
    if (n && map->lru)
        touch(map, n);
    return n;
}

/* ---- entries come and go ---- */

/* Take entry `n` out of chain and list; it is not freed. */
static void detach(ebpf_vm *vm, eb_vmap *map, uint32_t n) {
    eb_entry *at = eb_entry_at(map, n);
    eb_vmap_gone(vm, map, n);
    uint32_t *link = &map->heads[at->hash & map->mask];
    while (*link != n)
        link = &eb_entry_at(map, *link)->chain;
    *link = at->chain;
    unlink_age(map, at);
    map->count--;
}

static void attach(eb_vmap *map, uint32_t n, const uint8_t *key, uint32_t hash) {
    eb_entry *at = eb_entry_at(map, n);
    at->hash = hash;
    at->chain = map->heads[hash & map->mask];
    map->heads[hash & map->mask] = n;
    link_newest(map, at, n);
    memcpy(eb_entry_key(at), key, map->key_size);
    map->count++;
}

static int insert(ebpf_vm *vm, eb_vmap *map, const uint8_t *key, uint32_t hash,
                  const uint8_t *value, uint32_t cpu) {
    if (map->count >= map->max_entries) {
        if (!map->lru)
            return -EBPF_E2BIG;
        uint32_t oldest = map->oldest;
        detach(vm, map, oldest);
        eb_pool_give(vm, map, oldest, false);
    }
    bool fixed = map->flags & EB_MAP_ZERO_SEED;
    bool full = !map->heads || (map->count > map->mask && map->mask < UINT32_MAX >> 4);
    if (full && !fixed && !grow(vm, map))
        return -EBPF_ENOMEM;
    uint32_t n = eb_pool_take(vm, map);
    if (!n)
        return -EBPF_ENOMEM;
    attach(map, n, key, hash); /* the key first: value or key may be in memory of the entry */
    eb_vmap_set(map, n, value, cpu, true);
    return 0;
}

/* An entry of its own for the new value, in the old one's place by age. */
static int replace(ebpf_vm *vm, eb_vmap *map, uint32_t old, const uint8_t *key,
                   const uint8_t *value) {
    bool spare = !(map->flags & EB_MAP_NO_PREALLOC) && !map->lru;
    uint32_t *own = &map->spare[eb_vm_cpu(vm)];
    uint32_t n = spare && *own ? *own : eb_pool_take(vm, map);
    if (!n)
        return -EBPF_ENOMEM;
    eb_entry *at = eb_entry_at(map, n), *was = eb_entry_at(map, old);
    uint32_t older = was->older, newer = was->newer;
    at->state = EB_ENTRY_USED;
    attach(map, n, key, was->hash);
    eb_vmap_set(map, n, value, 0, true);
    detach(vm, map, old);
    if (!map->lru && newer) { /* not the newest, but where the old one was */
        unlink_age(map, at);
        at->older = older;
        at->newer = newer;
        eb_entry_at(map, newer)->older = n;
        if (older)
            eb_entry_at(map, older)->newer = n;
        else
            map->oldest = n;
    }
    if (!spare) {
        eb_pool_give(vm, map, old, false);
    } else {
        was->state = vm->runs;
        *own = old;
    }
    return 0;
}

/* ---- operations ---- */

static int check_held(const ebpf_vm *vm, const eb_vmap *map, const uint8_t *value) {
    return map->type == EB_MAP_HASH_OF_MAPS ? eb_vmap_check_held(vm, map, value) : 0;
}

static int update(ebpf_vm *vm, eb_vmap *map, const uint8_t *key, const uint8_t *value,
                  uint64_t flags, uint32_t cpu) {
    uint64_t mode = flags & ~(uint64_t)F_LOCK;
    if (mode > EBPF_EXIST || (flags & F_LOCK && !map->locked))
        return -EBPF_EINVAL;
    int wrong = check_held(vm, map, value);
    if (wrong)
        return wrong;
    uint32_t hash = eb_jhash(key, map->key_size, 0);
    uint32_t n = find_hashed(map, key, hash);
    if (n && mode == EBPF_NOEXIST)
        return -EBPF_EEXIST;
    if (!n && mode == EBPF_EXIST)
        return -EBPF_ENOENT;
    if (!n)
        return insert(vm, map, key, hash, value, cpu);
    if (!map->per_cpu && !(flags & F_LOCK))
        return replace(vm, map, n, key, value);
    if (map->lru)
        touch(map, n);
    eb_vmap_set(map, n, value, cpu, false);
    return 0;
}

static int discard(ebpf_vm *vm, eb_vmap *map, const uint8_t *key) {
    uint32_t n = find(map, key);
    if (!n)
        return -EBPF_ENOENT;
    detach(vm, map, n);
    eb_pool_give(vm, map, n, false);
    return 0;
}

static uint32_t after(const eb_vmap *map, uint32_t n) {
    if (!(map->flags & EB_MAP_ZERO_SEED))
        return n ? eb_entry_at(map, n)->newer : map->oldest;
    uint32_t bucket = 0;
    if (n) {
        const eb_entry *at = eb_entry_at(map, n);
        if (at->chain)
            return at->chain;
        bucket = (at->hash & map->mask) + 1;
    }
    while (bucket <= map->mask && !map->heads[bucket])
        bucket++;
    return bucket <= map->mask ? map->heads[bucket] : 0;
}

static int next(const eb_vmap *map, const uint8_t *key, uint8_t *to) {
    uint32_t n = after(map, key ? find(map, key) : 0);
    if (!n)
        return -EBPF_ENOENT;
    memcpy(to, eb_entry_key(eb_entry_at(map, n)), map->key_size);
    return 0;
}

/* ---- making one ---- */

/* Storages are keyed by the object that they belong to: its address, or the cgroup's number. */
static bool is_storage(uint32_t type) {
    return type == EB_MAP_SK_STORAGE || type == EB_MAP_INODE_STORAGE ||
           type == EB_MAP_TASK_STORAGE || type == EB_MAP_CGRP_STORAGE ||
           type == EB_MAP_CGROUP_STORAGE || type == EB_MAP_PERCPU_CGROUP_STORAGE;
}

static const char *make(ebpf_vm *vm, eb_vmap *map) {
    if (is_storage(map->type)) {
        if (map->max_entries)
            return "max_entries must be 0: each object has one value";
        map->key_size = 8;
        map->max_entries = STORAGE_MOST;
    }
    if (map->type == EB_MAP_HASH_OF_MAPS && map->value_size != 4)
        return "the value of a map of maps has 4 bytes";
    if (map->value_size == 0)
        return "value_size must not be 0";
    if (map->key_size == 0 || map->key_size > KEY_MOST)
        return "a key has 1 to 65536 bytes";
    if (map->lru && map->flags & EB_MAP_NO_PREALLOC)
        return "an LRU map cannot have BPF_F_NO_PREALLOC (map_flags 1)";
    uint64_t most = (uint64_t)map->max_entries + vm->cpus;
    while (!eb_pool_make(vm, map, most)) {
        if (!is_storage(map->type) || map->max_entries == 1)
            return "all values together pass 2 GiB";
        map->max_entries /= 2;
        most = (uint64_t)map->max_entries + vm->cpus;
    }
    map->spare = eb_alloc_array(&vm->ctx->arena, vm->cpus, sizeof *map->spare);
    if (!(map->flags & EB_MAP_ZERO_SEED))
        return NULL;
    uint32_t buckets = 1;
    while (buckets < map->max_entries)
        buckets *= 2;
    map->heads = eb_alloc_array(&vm->ctx->arena, buckets, sizeof *map->heads);
    map->mask = buckets - 1;
    return NULL;
}

const eb_vmap_kind eb_kind_hash = {
    /* preallocation, common LRU, both accesses, zero seed, and what storages have: clone */
    .flags = 0x1 | 0x2 | 0x18 | 0x40 | 0x180 | 0x200,
    .missing = EBPF_EINVAL,
    .make = make,
    .find = find,
    .update = update,
    .remove = discard,
    .next = next,
    .after = after,
};
