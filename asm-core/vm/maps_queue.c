/* maps_queue.c - maps without keys: queues, stacks and Bloom filters.
 * A filter hashes as the kernel's does with BPF_F_ZERO_SEED, so it errs where that one errs;
 * without the flag the kernel's seed is random. Source: kernel/bpf/queue_stack_maps.c,
 * bloom_filter.c. */
#include "kinds.h"
#include "vm.h"

#include <string.h>

enum { BYTES_MOST = INT32_MAX, HASHES = 5 };

/* ---- queues and stacks: `head` is where the oldest element is, `count` how many there are ---- */

static uint8_t *element(const eb_vmap *map, uint64_t number) {
    return map->bytes + (size_t)((map->head + number) % map->max_entries) * map->value_size;
}

static int push(ebpf_vm *vm, eb_vmap *map, const uint8_t *value, uint64_t flags) {
    (void)vm;
    if (flags != EBPF_ANY && flags != EBPF_EXIST)
        return -EBPF_EINVAL;
    if (map->count == map->max_entries) {
        if (flags != EBPF_EXIST) /* which puts the oldest out */
            return -EBPF_E2BIG;
        map->head = (map->head + 1) % map->max_entries;
        map->count--;
    }
    memmove(element(map, map->count++), value, map->value_size);
    return 0;
}

static int pop(eb_vmap *map, uint8_t *value, bool take) {
    if (!map->count) {
        memset(value, 0, map->value_size);
        return -EBPF_ENOENT;
    }
    bool stack = map->type == EB_MAP_STACK;
    memmove(value, element(map, stack ? map->count - 1 : 0), map->value_size);
    if (take) {
        map->count--;
        map->head = stack ? map->head : (map->head + 1) % map->max_entries;
    }
    return 0;
}

static const char *check(const eb_vmap *map) {
    if (map->value_size == 0)
        return "value_size must not be 0";
    if (map->key_size)
        return "it has no keys: key_size must be 0";
    return NULL;
}

static const char *make(ebpf_vm *vm, eb_vmap *map) {
    const char *wrong = check(map);
    if (!wrong && map->value_size > BYTES_MOST / map->max_entries)
        wrong = "all values together pass 2 GiB";
    if (!wrong)
        map->bytes = eb_alloc_array(&vm->ctx->arena, map->max_entries, map->value_size);
    return wrong;
}

const eb_vmap_kind eb_kind_queue = {
    .flags = 0x18 | 0x180, .missing = EBPF_EINVAL, .make = make, .push = push, .pop = pop};

/* ---- Bloom filters: `head` is the number of bits - 1, `extra` the number of hashes ---- */

static uint64_t bit_of(const eb_vmap *map, const uint8_t *value, uint32_t hash) {
    return eb_jhash(value, map->value_size, hash) & map->head;
}

static int add(ebpf_vm *vm, eb_vmap *map, const uint8_t *value, uint64_t flags) {
    (void)vm;
    if (flags != EBPF_ANY)
        return -EBPF_EINVAL;
    for (uint32_t i = 0; i < map->extra; i++) {
        uint64_t bit = bit_of(map, value, i);
        map->bytes[bit / 8] |= (uint8_t)(1 << bit % 8);
    }
    return 0;
}

static int test(eb_vmap *map, uint8_t *value, bool take) {
    (void)take; /* what is in a filter stays */
    for (uint32_t i = 0; i < map->extra; i++) {
        uint64_t bit = bit_of(map, value, i);
        if (!(map->bytes[bit / 8] >> bit % 8 & 1))
            return -EBPF_ENOENT;
    }
    return 0;
}

static const char *make_filter(ebpf_vm *vm, eb_vmap *map) {
    const char *wrong = check(map);
    if (wrong)
        return wrong;
    if (map->extra > 15)
        return "map_extra, the number of hashes, is at most 15";
    map->extra = map->extra ? map->extra : HASHES;
    uint64_t wanted = (uint64_t)map->max_entries * map->extra, bits = 64;
    if (wanted > UINT32_MAX || wanted / 5 * 7 > UINT32_C(1) << 31)
        return "it would have more than 2^31 bits";
    while (bits < wanted / 5 * 7)
        bits *= 2;
    map->head = bits - 1;
    map->bytes = eb_alloc(&vm->ctx->arena, (size_t)(bits / 8));
    return NULL;
}

const eb_vmap_kind eb_kind_bloom = {.flags = 0x18 | 0x40 | 0x180,
                                    .missing = EBPF_EOPNOTSUPP,
                                    .make = make_filter,
                                    .push = add,
                                    .pop = test};
