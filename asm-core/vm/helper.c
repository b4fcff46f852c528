/* helper.c - the table of helpers, their arguments, and the helpers for maps.
 * Helpers do what the kernel's do: arguments are r1 to r5, the result r0. A pointer that leads
 * nowhere faults, where the kernel's verifier would have refused the program. Which function serves
 * which helper is in helper.def; helper_*.c have the others. Source: kernel/bpf/helpers.c. */
#include "kinds.h"
#include "vm.h"

#include <string.h>

#include "kinds.h"

eb_helper *const eb_helpers[EB_KFUNCS_END] = {
#define HELPER(id, name, major, minor, vm, callers) [id] = eb_help_##vm,
#include "helper.def"
#define KFUNC(name, vm) [EB_KFUNC_##name] = eb_help_##vm,
#include "kfunc.def"
};

const char *eb_vm_helper_name(const ebpf_vm *vm, uint32_t id) {
    const char *name = ebpf_vm_helper_name(vm, id);
    return name ? name : "helper";
}

const char *ebpf_helper_name(uint32_t id) {
    return eb_helper_name(id);
}

/* A helper that the VM leaves to the host. */
bool eb_help_host(ebpf_vm *vm, uint64_t *r) {
    (void)r;
    vm->state.helper = vm->helper;
    vm->go = EB_GO_HOST;
    return true;
}

bool eb_help_zero(ebpf_vm *vm, uint64_t *r) {
    (void)vm;
    r[0] = 0;
    return true;
}

/* ---- arguments ---- */

eb_vmap *eb_vm_map_argument(ebpf_vm *vm, uint64_t handle, uint64_t types) {
    const char *name = eb_vm_helper_name(vm, vm->helper);
    if (handle >> 32 != EB_REGION_HANDLES || (uint32_t)handle >= vm->map_count) {
        eb_vm_refuse(
            vm, EBPF_FAULT_HELPER, handle,
            "%s: its first argument, r1 = 0x%llx, is no map (load one with a 64-bit load of "
            "the map's name)",
            name, (unsigned long long)handle);
        return NULL;
    }
    eb_vmap *map = &vm->maps[(uint32_t)handle];
    if (map->kind == &eb_kind_unset) {
        eb_vm_refuse(vm, EBPF_FAULT_HELPER, handle,
                     "%s: map '%.*s' has max_entries 0, which loaders replace: resize it first",
                     name, (int)map->name.len, map->name.at);
        return NULL;
    }
    if (types >> map->type & 1)
        return map;
    eb_vm_refuse(vm, EBPF_FAULT_HELPER, handle,
                 "%s: programs cannot do that to map '%.*s' of type %s", name, (int)map->name.len,
                 map->name.at, eb_map_type_name(map->type));
    return NULL;
}

uint32_t eb_vm_cpu(const ebpf_vm *vm) {
    return vm->inputs.cpu < vm->cpus ? vm->inputs.cpu : 0;
}

/* ---- maps ---- */

static uint64_t value_address(const eb_vmap *map, uint32_t entry, uint32_t cpu) {
    if (!entry)
        return 0;
    if (map->inner)
        return eb_vm_address(EB_REGION_HANDLES, eb_vmap_held(map, entry));
    return eb_vm_address(map->region,
                         (entry - 1) * map->stride + (map->per_cpu ? cpu * map->one : 0));
}

uint64_t eb_vm_value_address(const ebpf_vm *vm, const eb_vmap *map, uint32_t entry) {
    return value_address(map, entry, eb_vm_cpu(vm));
}

/* Types whose values programs may write, and those they may look up. */
#define PLAIN                                                                                      \
    (EB_MAP_BIT(HASH) | EB_MAP_BIT(ARRAY) | EB_MAP_BIT(PERCPU_HASH) | EB_MAP_BIT(PERCPU_ARRAY) |   \
     EB_MAP_BIT(LRU_HASH) | EB_MAP_BIT(LRU_PERCPU_HASH) | EB_MAP_BIT(LPM_TRIE))
#define READABLE                                                                                   \
    (PLAIN | EB_MAP_BIT(ARRAY_OF_MAPS) | EB_MAP_BIT(HASH_OF_MAPS) | EB_MAP_BIT(DEVMAP) |           \
     EB_MAP_BIT(DEVMAP_HASH) | EB_MAP_BIT(XSKMAP) | EB_MAP_BIT(SOCKMAP) | EB_MAP_BIT(SOCKHASH))
#define QUEUES (EB_MAP_BIT(QUEUE) | EB_MAP_BIT(STACK))

bool eb_help_map_lookup(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1], READABLE);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    if (key)
        r[0] = eb_vm_value_address(vm, map, eb_vmap_use(map, key));
    return key;
}

bool eb_help_map_lookup_percpu(ebpf_vm *vm, uint64_t *r) {
    uint64_t types =
        EB_MAP_BIT(PERCPU_HASH) | EB_MAP_BIT(PERCPU_ARRAY) | EB_MAP_BIT(LRU_PERCPU_HASH);
    eb_vmap *map = eb_vm_map_argument(vm, r[1], types);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    uint32_t cpu = (uint32_t)r[3];
    if (key)
        r[0] = cpu < map->cpus ? value_address(map, eb_vmap_use(map, key), cpu) : 0;
    return key;
}

bool eb_help_map_update(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1], PLAIN);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    const uint8_t *value = key ? eb_vm_reach(vm, r[3], map->value_size, false) : NULL;
    if (value)
        r[0] = eb_vm_failure(-map->kind->update(vm, map, key, value, r[4], eb_vm_cpu(vm)));
    return value;
}

bool eb_help_map_delete(ebpf_vm *vm, uint64_t *r) {
    uint64_t types = PLAIN | EB_MAP_BIT(SOCKMAP) | EB_MAP_BIT(SOCKHASH);
    eb_vmap *map = eb_vm_map_argument(vm, r[1], types);
    const uint8_t *key = map ? eb_vm_reach(vm, r[2], map->key_size, false) : NULL;
    if (key)
        r[0] = eb_vm_failure(-map->kind->remove(vm, map, key));
    return key;
}

bool eb_help_map_push(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1], QUEUES | EB_MAP_BIT(BLOOM_FILTER));
    const uint8_t *value = map ? eb_vm_reach(vm, r[2], map->value_size, false) : NULL;
    if (value)
        r[0] = eb_vm_failure(-map->kind->push(vm, map, value, r[3]));
    return value;
}

static bool pop(ebpf_vm *vm, uint64_t *r, uint64_t types, bool take) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1], types);
    uint8_t *value = map ? eb_vm_reach(vm, r[2], map->value_size, true) : NULL;
    if (value)
        r[0] = eb_vm_failure(-map->kind->pop(map, value, take));
    return value;
}

bool eb_help_map_pop(ebpf_vm *vm, uint64_t *r) {
    return pop(vm, r, QUEUES, true);
}

bool eb_help_map_peek(ebpf_vm *vm, uint64_t *r) {
    return pop(vm, r, QUEUES | EB_MAP_BIT(BLOOM_FILTER), false);
}

/* ---- storages: hashes by the object that a value belongs to ---- */

enum { STORAGE_CREATE = 1 };

/* The value of `object`; made from `initial` or of zeroes when there is none and it may. */
static bool storage(ebpf_vm *vm, eb_vmap *map, uint64_t object, const uint8_t *initial, bool create,
                    uint64_t *result) {
    uint8_t key[8];
    eb_set64(key, map->big, object);
    uint32_t entry = map->kind->find(map, key);
    if (!entry && create) {
        uint32_t cpu = map->per_cpu ? EB_ALL_CPUS : 0, size = map->stride;
        if (!initial || map->per_cpu)
            initial = eb_alloc(&vm->ctx->arena, size);
        if (map->kind->update(vm, map, key, initial, EBPF_NOEXIST, cpu) == 0)
            entry = map->kind->find(map, key);
    }
    *result = eb_vm_value_address(vm, map, entry);
    return true;
}

#define STORAGES                                                                                   \
    (EB_MAP_BIT(SK_STORAGE) | EB_MAP_BIT(INODE_STORAGE) | EB_MAP_BIT(TASK_STORAGE) |               \
     EB_MAP_BIT(CGRP_STORAGE))

bool eb_help_storage_get(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1], STORAGES);
    const uint8_t *initial = map && r[3] ? eb_vm_reach(vm, r[3], map->value_size, false) : NULL;
    if (!map || (r[3] && !initial))
        return false;
    r[0] = 0;
    if (!r[2] || r[4] > STORAGE_CREATE)
        return true;
    return storage(vm, map, r[2], initial, r[4] & STORAGE_CREATE, &r[0]);
}

bool eb_help_storage_delete(ebpf_vm *vm, uint64_t *r) {
    eb_vmap *map = eb_vm_map_argument(vm, r[1], STORAGES);
    if (!map)
        return false;
    uint8_t key[8];
    eb_set64(key, map->big, r[2]);
    r[0] = r[2] ? eb_vm_failure(-map->kind->remove(vm, map, key)) : eb_vm_failure(EBPF_EINVAL);
    return true;
}

/* The storage of the program's cgroup is always there. */
bool eb_help_get_local_storage(ebpf_vm *vm, uint64_t *r) {
    uint64_t types = EB_MAP_BIT(CGROUP_STORAGE) | EB_MAP_BIT(PERCPU_CGROUP_STORAGE);
    eb_vmap *map = eb_vm_map_argument(vm, r[1], types);
    return map && storage(vm, map, vm->inputs.cgroup_id, NULL, true, &r[0]);
}

/* ---- locks, and pointers in values ---- */

/* Nobody else runs, so all there is to a lock is that one is held at a time. */
bool eb_help_spin_lock(ebpf_vm *vm, uint64_t *r) {
    if (!eb_vm_reach(vm, r[1], 4, true))
        return false;
    if (vm->lock)
        return eb_vm_refuse(vm, EBPF_FAULT_HELPER, r[1],
                            vm->lock == r[1] ? "spin_lock: this lock is held already"
                                             : "spin_lock: another lock is held already");
    vm->lock = r[1];
    r[0] = 0;
    return true;
}

bool eb_help_spin_unlock(ebpf_vm *vm, uint64_t *r) {
    if (vm->lock != r[1])
        return eb_vm_refuse(vm, EBPF_FAULT_HELPER, r[1], "spin_unlock: this lock is not held");
    vm->lock = 0;
    r[0] = 0;
    return true;
}

bool eb_help_kptr_xchg(ebpf_vm *vm, uint64_t *r) {
    uint8_t *at = eb_vm_reach(vm, r[1], 8, true);
    if (!at)
        return false;
    r[0] = eb_get64(at, vm->big);
    eb_set64(at, vm->big, r[2]);
    return true;
}
