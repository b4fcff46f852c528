/* maps_array.c - maps whose keys are the numbers 0, 1, 2 and so on: arrays, which have all of their
 * values at once, and those whose places may be empty: programs, perf events, maps, devices, ...
 * Source: kernel/bpf/arraymap.c, devmap.c, cpumap.c, net/xdp/xskmap.c, stackmap.c. */
#include "kinds.h"
#include "vm.h"

#include <string.h>

enum { F_LOCK = 4, REGION_MOST = INT32_MAX };

static uint32_t index_of(const eb_vmap *map, const uint8_t *key) {
    return eb_get32(key, map->big);
}

static int next(const eb_vmap *map, const uint8_t *key, uint8_t *to) {
    uint32_t index = key ? index_of(map, key) : UINT32_MAX;
    if (index == map->max_entries - 1)
        return -EBPF_ENOENT;
    eb_set32(to, map->big, index < map->max_entries ? index + 1 : 0);
    return 0;
}

/* ---- arrays ---- */

static uint32_t find(const eb_vmap *map, const uint8_t *key) {
    uint32_t index = index_of(map, key);
    return index < map->max_entries ? index + 1 : 0;
}

static int update(ebpf_vm *vm, eb_vmap *map, const uint8_t *key, const uint8_t *value,
                  uint64_t flags, uint32_t cpu) {
    (void)vm;
    uint32_t n = find(map, key);
    /* A lock that is not there is what the system call looks at first, the helper at last. */
    bool no_lock = flags & F_LOCK && !map->locked;
    if ((flags & ~(uint64_t)F_LOCK) > EBPF_EXIST || (no_lock && cpu == EB_ALL_CPUS))
        return -EBPF_EINVAL;
    if (!n)
        return -EBPF_E2BIG;
    if (flags & EBPF_NOEXIST)
        return -EBPF_EEXIST;
    if (no_lock)
        return -EBPF_EINVAL;
    eb_vmap_set(map, n, value, cpu, false);
    return 0;
}

static int keep(ebpf_vm *vm, eb_vmap *map, const uint8_t *key) {
    (void)vm, (void)map, (void)key;
    return -EBPF_EINVAL;
}

static uint32_t after(const eb_vmap *map, uint32_t n) {
    return n < map->max_entries ? n + 1 : 0;
}

static const char *make(ebpf_vm *vm, eb_vmap *map) {
    if (map->value_size == 0)
        return "value_size must not be 0";
    if (map->key_size != 4)
        return "the key of an array has 4 bytes";
    uint64_t one = ((uint64_t)map->value_size + 7) & ~UINT64_C(7);
    if (one * map->cpus > REGION_MOST / map->max_entries)
        return "all values together pass 2 GiB";
    map->one = (uint32_t)one;
    map->stride = map->one * map->cpus;
    map->most = map->count = map->max_entries;
    map->room = map->most * map->stride;
    map->bytes = eb_alloc_array(&vm->ctx->arena, map->most, map->stride);
    return NULL;
}

const eb_vmap_kind eb_kind_array = {
    .flags = 0x18 | 0x180 | 0x400 | EB_MAP_INNER_MAP,
    .missing = EBPF_EINVAL,
    .make = make,
    .find = find,
    .update = update,
    .remove = keep,
    .next = next,
    .after = after,
};

/* ---- arrays with holes ---- */

static uint32_t find_slot(const eb_vmap *map, const uint8_t *key) {
    uint32_t n = find(map, key);
    return n && map->present[n - 1] ? n : 0;
}

/* Types of the network's: any value that says something, the flags of other maps. */
static bool is_target(uint32_t type) {
    return type == EB_MAP_DEVMAP || type == EB_MAP_CPUMAP || type == EB_MAP_XSKMAP ||
           type == EB_MAP_SOCKMAP || type == EB_MAP_REUSEPORT_SOCKARRAY;
}

static bool same_shape(const eb_vmap *map, const eb_map_def *shape) {
    bool sized = map->type != EB_MAP_ARRAY || map->flags & EB_MAP_INNER_MAP ||
                 map->max_entries == shape->max_entries;
    return map->type == shape->type && map->key_size == shape->key_size &&
           map->value_size == shape->value_size && map->flags == shape->flags && sized;
}

int eb_vmap_check_held(const ebpf_vm *vm, const eb_vmap *map, const uint8_t *value) {
    uint32_t held = eb_get32(value, map->big);
    if (held >= vm->map_count)
        return -EBPF_EBADF;
    return map->inner && same_shape(&vm->maps[held], map->inner) ? 0 : -EBPF_EINVAL;
}

static int check_value(const ebpf_vm *vm, const eb_vmap *map, const uint8_t *value) {
    switch (map->type) {
    case EB_MAP_PROG_ARRAY:
        return eb_get32(value, map->big) < vm->programs.len ? 0 : -EBPF_EBADF;
    case EB_MAP_ARRAY_OF_MAPS:
        return eb_vmap_check_held(vm, map, value);
    case EB_MAP_STACK_TRACE:
        return -EBPF_EINVAL;
    default:
        return 0;
    }
}

static int update_slot(ebpf_vm *vm, eb_vmap *map, const uint8_t *key, const uint8_t *value,
                       uint64_t flags, uint32_t cpu) {
    uint32_t n = find(map, key);
    bool target = is_target(map->type);
    if (flags > (target ? EBPF_EXIST : EBPF_ANY))
        return -EBPF_EINVAL;
    int wrong = check_value(vm, map, value);
    if (!n || wrong)
        return n ? wrong : -EBPF_E2BIG;
    bool by_presence = map->type == EB_MAP_XSKMAP || map->type == EB_MAP_SOCKMAP ||
                       map->type == EB_MAP_REUSEPORT_SOCKARRAY;
    if (flags == EBPF_NOEXIST && (map->present[n - 1] || !by_presence))
        return -EBPF_EEXIST;
    if (flags == EBPF_EXIST && by_presence && !map->present[n - 1])
        return -EBPF_ENOENT;
    /* Device 0 and a queue of no length mean none. */
    bool none =
        (map->type == EB_MAP_DEVMAP || map->type == EB_MAP_CPUMAP) && !eb_get32(value, map->big);
    map->count += (uint32_t)(!none - map->present[n - 1]);
    map->present[n - 1] = !none;
    eb_vmap_set(map, n, value, cpu, false);
    return 0;
}

static int clear_slot(ebpf_vm *vm, eb_vmap *map, const uint8_t *key) {
    (void)vm;
    uint32_t n = find(map, key);
    bool target = is_target(map->type);
    if (!n)
        return target ? -EBPF_EINVAL : -EBPF_E2BIG;
    uint8_t was = map->present[n - 1];
    map->count -= was;
    map->present[n - 1] = 0;
    if (was || map->type == EB_MAP_DEVMAP || map->type == EB_MAP_CPUMAP ||
        map->type == EB_MAP_XSKMAP)
        return 0;
    return map->type == EB_MAP_SOCKMAP ? -EBPF_EINVAL : -EBPF_ENOENT;
}

/* Of a stack trace map only what is there; of the others every number. */
static int next_slot(const eb_vmap *map, const uint8_t *key, uint8_t *to) {
    if (map->type != EB_MAP_STACK_TRACE)
        return next(map, key, to);
    uint32_t index = key ? index_of(map, key) + 1 : 0;
    if (index > map->max_entries)
        index = 0;
    while (index < map->max_entries && !map->present[index])
        index++;
    if (index >= map->max_entries)
        return -EBPF_ENOENT;
    eb_set32(to, map->big, index);
    return 0;
}

static const char *make_slots(ebpf_vm *vm, eb_vmap *map) {
    bool wide = map->type == EB_MAP_DEVMAP || map->type == EB_MAP_CPUMAP ||
                map->type == EB_MAP_SOCKMAP || map->type == EB_MAP_REUSEPORT_SOCKARRAY;
    bool events = map->type == EB_MAP_PERF_EVENT_ARRAY, stacks = map->type == EB_MAP_STACK_TRACE;
    if (events) { /* as libbpf fills it in */
        map->key_size = map->key_size ? map->key_size : 4;
        map->value_size = map->value_size ? map->value_size : 4;
        map->max_entries = map->max_entries ? map->max_entries : vm->cpus;
    }
    uint32_t each = map->flags & EB_MAP_BUILD_ID ? EB_BUILD_ID_SIZE : 8;
    if (stacks && (map->value_size % each || map->value_size > 127 * each))
        return "the value of a stack trace map has 8 bytes (with build ids 32) for each of up to "
               "127 "
               "addresses";
    if (!stacks && map->value_size != 4 && !(wide && map->value_size == 8))
        return wide ? "its value has 4 or 8 bytes" : "its value has 4 bytes";
    if (stacks && map->max_entries <= UINT32_C(1) << 31)
        for (uint32_t size = 1;; size *= 2)
            if (size >= map->max_entries) {
                map->max_entries = size;
                break;
            }
    const char *wrong = make(vm, map);
    if (wrong)
        return wrong;
    map->present = eb_alloc(&vm->ctx->arena, map->max_entries);
    map->count = 0;
    map->room = is_target(map->type) ? map->room : 0; /* programs see no values of the others */
    for (uint32_t i = 0; events && i < map->max_entries && i < vm->cpus; i++)
        map->count += map->present[i] = 1;
    return NULL;
}

const eb_vmap_kind eb_kind_slots = {
    .flags = 0x18 | 0x80 | 0x20 | 0x800 | EB_MAP_INNER_MAP,
    .missing = EBPF_EINVAL,
    .make = make_slots,
    .find = find_slot,
    .update = update_slot,
    .remove = clear_slot,
    .next = next_slot,
};
