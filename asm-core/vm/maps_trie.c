/* maps_trie.c - the longest-prefix-match trie.
 *
 * A key is a u32 (the prefix's length in bits) and the bits, most significant first. A node has the
 * bits that all below it share; nodes without a value have two children always. Walks go down one
 * path, at most a node per bit. An update puts a node in the old one's place, so values that
 * programs hold stay as they were. Source: kernel/bpf/lpm_trie.c; the order of iteration is its
 * postorder: longer prefixes before those that contain them. */
#include "vm.h"

#include <string.h>

enum { BITS_MOST = 256 * 8 };

/* A node's children are its chain and hash. */
static uint32_t *child(eb_entry *at, unsigned bit) {
    return bit ? &at->hash : &at->chain;
}

static uint32_t length_of(const eb_vmap *map, const uint8_t *key) {
    return eb_get32(key, map->big);
}

static uint32_t length_at(const eb_vmap *map, eb_entry *at) {
    return length_of(map, eb_entry_key(at));
}

static uint32_t bits_most(const eb_vmap *map) {
    return (map->key_size - 4) * 8;
}

static unsigned bit_of(const uint8_t *key, uint32_t bit) {
    return key[4 + bit / 8] >> (7 - bit % 8) & 1;
}

/* The bits that node and key share from the first on, as far as both prefixes go. */
static uint32_t shared(const eb_vmap *map, eb_entry *at, const uint8_t *key) {
    const uint8_t *own = eb_entry_key(at);
    uint32_t left = length_of(map, own), right = length_of(map, key), bit = 0;
    uint32_t limit = left < right ? left : right;
    while (bit + 8 <= limit && own[4 + bit / 8] == key[4 + bit / 8])
        bit += 8;
    while (bit < limit && bit_of(own, bit) == bit_of(key, bit))
        bit++;
    return bit;
}

static uint32_t find(const eb_vmap *map, const uint8_t *key) {
    if (length_of(map, key) > bits_most(map))
        return 0;
    uint32_t found = 0;
    for (uint32_t n = map->root; n;) {
        eb_entry *at = eb_entry_at(map, n);
        uint32_t same = shared(map, at, key), length = length_at(map, at);
        if (same < length)
            break;
        if (!at->inner)
            found = n;
        if (same == bits_most(map))
            break;
        n = *child(at, bit_of(key, length));
    }
    return found;
}

/* The link to the node with exactly that prefix, or to where it belongs; `path` receives the links
 * on the way, that one last. */
static uint32_t descend(eb_vmap *map, const uint8_t *key, uint32_t **path, uint32_t *same) {
    uint32_t depth = 0, *link = &map->root;
    *same = 0;
    for (;;) {
        path[depth++] = link;
        if (!*link)
            return depth;
        eb_entry *at = eb_entry_at(map, *link);
        uint32_t length = length_at(map, at);
        *same = shared(map, at, key);
        if (*same != length || length == length_of(map, key))
            return depth;
        link = child(at, bit_of(key, length));
    }
}

static uint32_t new_node(ebpf_vm *vm, eb_vmap *map, const uint8_t *key, uint32_t length) {
    uint32_t n = eb_pool_take(vm, map);
    if (!n)
        return 0;
    eb_entry *at = eb_entry_at(map, n);
    *at = (eb_entry){.state = EB_ENTRY_USED};
    memmove(eb_entry_key(at), key, map->key_size);
    eb_set32(eb_entry_key(at), map->big, length);
    return n;
}

static int link_node(ebpf_vm *vm, eb_vmap *map, uint32_t *link, uint32_t n, const uint8_t *key,
                     uint32_t same) {
    eb_entry *at = eb_entry_at(map, n);
    uint32_t old = *link;
    if (!old) {
        *link = n;
        return 0;
    }
    eb_entry *was = eb_entry_at(map, old);
    if (length_at(map, was) == same) { /* the same prefix */
        at->chain = was->chain;
        at->hash = was->hash;
        *link = n;
        eb_pool_give(vm, map, old, true);
        return 0;
    }
    if (same == length_of(map, key)) { /* a shorter one, above */
        *child(at, bit_of(eb_entry_key(was), same)) = old;
        *link = n;
        return 0;
    }
    uint32_t fork = new_node(vm, map, eb_entry_key(was), same);
    if (!fork)
        return -EBPF_ENOMEM;
    eb_entry *above = eb_entry_at(map, fork);
    above->inner = 1;
    *child(above, bit_of(key, same)) = n;
    *child(above, !bit_of(key, same)) = old;
    *link = fork;
    return 0;
}

static int update(ebpf_vm *vm, eb_vmap *map, const uint8_t *key, const uint8_t *value,
                  uint64_t flags, uint32_t cpu) {
    if (flags > EBPF_EXIST || length_of(map, key) > bits_most(map))
        return -EBPF_EINVAL;
    uint32_t *path[BITS_MOST + 2], same;
    uint32_t *link = path[descend(map, key, path, &same) - 1];
    eb_entry *there = *link ? eb_entry_at(map, *link) : NULL;
    bool exists =
        there && !there->inner && length_at(map, there) == same && same == length_of(map, key);
    if (exists && flags == EBPF_NOEXIST)
        return -EBPF_EEXIST;
    if (!exists && flags == EBPF_EXIST)
        return -EBPF_ENOENT;
    if (!exists && map->count == map->max_entries)
        return -EBPF_ENOSPC;
    uint32_t n = new_node(vm, map, key, length_of(map, key));
    if (!n)
        return -EBPF_ENOMEM;
    eb_vmap_set(map, n, value, cpu, true);
    int status = link_node(vm, map, link, n, key, same);
    if (status)
        eb_pool_give(vm, map, n, false);
    else
        map->count += !exists;
    return status;
}

/* Depth of the path to the node with exactly this prefix and a value, or 0. */
static uint32_t locate(eb_vmap *map, const uint8_t *key, uint32_t **path) {
    uint32_t same, depth = descend(map, key, path, &same), n = *path[depth - 1];
    if (!n)
        return 0;
    eb_entry *at = eb_entry_at(map, n);
    bool exact = length_at(map, at) == same && same == length_of(map, key);
    return exact && !at->inner ? depth : 0;
}

static int discard(ebpf_vm *vm, eb_vmap *map, const uint8_t *key) {
    if (length_of(map, key) > bits_most(map))
        return -EBPF_EINVAL;
    uint32_t *path[BITS_MOST + 2], depth = locate(map, key, path);
    if (!depth)
        return -EBPF_ENOENT;
    uint32_t *link = path[depth - 1], n = *link;
    eb_entry *at = eb_entry_at(map, n);
    map->count--;
    if (at->chain && at->hash) {
        at->inner = 1;
        return 0;
    }
    uint32_t above = depth > 1 ? *path[depth - 2] : 0;
    eb_entry *parent = above ? eb_entry_at(map, above) : NULL;
    if (parent && parent->inner && !at->chain && !at->hash) { /* a fork with one way is none */
        *path[depth - 2] = parent->chain == n ? parent->hash : parent->chain;
        eb_pool_give(vm, map, above, true);
    } else {
        *link = at->chain ? at->chain : at->hash;
    }
    eb_pool_give(vm, map, n, true);
    return 0;
}

static int next(const eb_vmap *in, const uint8_t *key, uint8_t *to) {
    eb_vmap *map = (eb_vmap *)(uintptr_t)in; /* paths are links; nothing is written */
    uint32_t *path[BITS_MOST + 2], n = map->root;
    uint32_t depth = key && length_of(map, key) <= bits_most(map) ? locate(map, key, path) : 0;
    for (; depth > 0; depth--) {
        if (depth == 1)
            return -EBPF_ENOENT;
        eb_entry *parent = eb_entry_at(map, *path[depth - 2]);
        if (path[depth - 1] == &parent->chain && parent->hash) {
            n = parent->hash;
            break;
        }
        if (!parent->inner) {
            memcpy(to, eb_entry_key(parent), map->key_size);
            return 0;
        }
    }
    if (!n)
        return -EBPF_ENOENT;
    eb_entry *at = eb_entry_at(map, n); /* the first in postorder below n */
    while (at->chain || at->hash)
        at = eb_entry_at(map, at->chain ? at->chain : at->hash);
    memcpy(to, eb_entry_key(at), map->key_size);
    return 0;
}

static const char *make(ebpf_vm *vm, eb_vmap *map) {
    if (map->value_size == 0)
        return "value_size must not be 0";
    if (map->key_size < 5 || map->key_size > 4 + BITS_MOST / 8)
        return "the key of an LPM trie is a 4-byte length and 1 to 256 bytes";
    if (!(map->flags & EB_MAP_NO_PREALLOC))
        return "an LPM trie must have BPF_F_NO_PREALLOC (map_flags 1)";
    /* A fork per value, and nodes that rest until the run is over. */
    if (!eb_pool_make(vm, map, (uint64_t)map->max_entries * 4 + 64))
        return "all values together pass 2 GiB";
    return NULL;
}

const eb_vmap_kind eb_kind_trie = {
    .flags = 0x1 | 0x18 | 0x180,
    .missing = EBPF_EINVAL,
    .make = make,
    .find = find,
    .update = update,
    .remove = discard,
    .next = next,
};
